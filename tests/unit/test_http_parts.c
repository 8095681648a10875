/* The parts of the http room that need no server: targets, addresses, the per-address limit. */
#include "http_testing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "http/internal.h"

/* --- targets ------------------------------------------------------------------------------------------- */

static const struct parsed {
    const char *raw;
    bool fine;
    const char *segments; /* joined with "|" */
    const char *query;    /* "name=value" joined with "|" */
} targets[] = {
    { "/", true, "", "" },
    { "/v1/incidents", true, "v1|incidents", "" },
    { "/v1/incidents/", true, "v1|incidents|", "" },
    { "/a%2Fb/c", true, "a/b|c", "" },
    { "/%C3%A9", true, "\xc3\xa9", "" },
    { "/a+b", true, "a+b", "" },
    { "/x?", true, "x", "" },
    { "/x?&&", true, "x", "" },
    { "/x?a=1&b=2", true, "x", "a=1|b=2" },
    { "/x?a", true, "x", "a=" },
    { "/x?a=b=c", true, "x", "a=b=c" },
    { "/x?q=two+words%2B", true, "x", "q=two words+" },
    { "/x?q=/y?z", true, "x", "q=/y?z" },
    { "", false, NULL, NULL },
    { "x", false, NULL, NULL },
    { "*", false, NULL, NULL },
    { "http://host/x", false, NULL, NULL },
    { "/%", false, NULL, NULL },
    { "/%2", false, NULL, NULL },
    { "/%2g", false, NULL, NULL },
    { "/%00", false, NULL, NULL },
    { "/%0d%0a", false, NULL, NULL },
    { "/%7f", false, NULL, NULL },
    { "/%ff", false, NULL, NULL },
    { "/x?a=%0a", false, NULL, NULL },
    { "/x?a=1&a=2", false, NULL, NULL },
    { "/x?a=1&%61=2", false, NULL, NULL },
    { "/1/2/3/4/5/6/7/8", true, "1|2|3|4|5|6|7|8", "" },
    { "/1/2/3/4/5/6/7/8/9", false, NULL, NULL },
};

static void join(struct strbuf *b, bool first, struct str s)
{
    if (!first) strbuf_char(b, '|');
    strbuf_str(b, s);
}

static void check_target(const struct parsed *p)
{
    struct arena a = { 0 };
    struct target t;
    struct err err = { 0 };
    struct strbuf segments, query;
    int rc = target_parse(&a, str_c(p->raw), &t, &err);
    if ((rc == 0) != p->fine) fail_msg("%s: %d %s", p->raw, rc, err.msg);
    if (rc < 0) assert_true(err.msg[0]);
    strbuf_init(&segments, 1024);
    strbuf_init(&query, 1024);
    if (rc == 0) {
        for (size_t i = 0; i < t.segment_count; i++) join(&segments, i == 0, t.segments[i]);
        for (size_t i = 0; i < t.query_count; i++) {
            join(&query, i == 0, t.query[i].name);
            strbuf_char(&query, '=');
            strbuf_str(&query, t.query[i].value);
        }
        assert_string_equal(segments.p, p->segments);
        assert_string_equal(query.p, p->query);
    }
    strbuf_fini(&segments);
    strbuf_fini(&query);
    arena_fini(&a);
}

static void test_targets(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(targets); i++) check_target(&targets[i]);
}

static void test_patterns(void **state)
{
    static const struct { const char *raw, *pattern; bool matches; } cases[] = {
        { "/v1/rules", "v1/rules", true },
        { "/v1/rules/", "v1/rules", false },
        { "/v1", "v1/rules", false },
        { "/v1/incidents/x/ack", "v1/incidents/{}/ack", true },
        { "/v1/incidents//ack", "v1/incidents/{}/ack", false },
        { "/v1/incidents/x", "v1/incidents/{}/ack", false },
        { "/v1/incidents/a%2Fack", "v1/incidents/{}/ack", false },
        { "/v1/incidents/a%2Fack", "v1/incidents/{}", true },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a = { 0 };
        struct target t;
        struct err err;
        assert_int_equal(target_parse(&a, str_c(cases[i].raw), &t, &err), 0);
        if (target_matches(&t, cases[i].pattern) != cases[i].matches)
            fail_msg("%s, %s", cases[i].raw, cases[i].pattern);
        arena_fini(&a);
    }
}

/* --- addresses ----------------------------------------------------------------------------------------- */

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static union address address_of(const char *text)
{
    union address u;
    memset(&u, 0, sizeof u);
    if (strchr(text, ':')) {
        u.six.sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &u.six.sin6_addr), 1);
    } else {
        u.four.sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &u.four.sin_addr), 1);
    }
    return u;
}

static void test_loopback(void **state)
{
    static const struct { const char *text; bool loopback; } cases[] = {
        { "127.0.0.1", true }, { "127.9.9.9", true },         { "10.0.0.1", false },         { "0.0.0.0", false },
        { "::1", true },       { "::ffff:127.0.0.1", true }, { "::ffff:10.0.0.1", false }, { "2001:db8::1", false },
        { "::", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        union address u = address_of(cases[i].text);
        if (http_is_loopback(&u.any) != cases[i].loopback) fail_msg("%s", cases[i].text);
    }
}

static bool allowed(struct http *h, const char *text)
{
    union address u = address_of(text);
    return http_conn_allowed(h, &u.any, sizeof u) == MHD_YES;
}

static void test_limit_per_address(void **state)
{
    struct http h = { .limits = { .per_address = 2 } };
    struct http_peer *four, *six;
    union address a = address_of("10.1.2.3"), b = address_of("2001:db8:1:2::5");
    (void)state;
    log_setup(LOG_LOGFMT, LOG_ERROR);
    four = http_peer_join(&h, &a.any);
    assert_true(allowed(&h, "10.1.2.3"));
    assert_ptr_equal(http_peer_join(&h, &a.any), four);
    assert_false(allowed(&h, "10.1.2.3"));
    assert_false(allowed(&h, "::ffff:10.1.2.3")); /* the same host by another way */
    assert_true(allowed(&h, "10.1.2.4"));
    assert_true(allowed(&h, "127.0.0.1"));
    six = http_peer_join(&h, &b.any);
    http_peer_join(&h, &b.any);
    assert_false(allowed(&h, "2001:db8:1:2:ffff::1")); /* one customer's /64 */
    assert_true(allowed(&h, "2001:db8:1:3::5"));
    http_peer_leave(&h, four);
    assert_true(allowed(&h, "10.1.2.3"));
    http_peer_leave(&h, four);
    http_peer_leave(&h, six);
    http_peer_leave(&h, six);
    assert_int_equal(h.peers.n, 0);
    assert_int_equal(atomic_load(&h.counters.refused_connections), 3);
    a = address_of("127.0.0.1");
    assert_null(http_peer_join(&h, &a.any));
    map_fini(&h.peers);
}

/* --- listening ----------------------------------------------------------------------------------------- */

static void test_listen_addresses(void **state)
{
    static const struct { const char *text; bool fine, local; } cases[] = {
        { "127.0.0.1:0", true, true }, { "localhost:0", true, true }, { "[::1]:0", true, true },
        { "0.0.0.0:0", true, false },  { ":0", true, false },         { "*:0", true, false },
        { "127.0.0.1", false, false }, { "127.0.0.1:", false, false }, { "::1:0", false, false },
        { "[::1:0", false, false },    { "127.0.0.1:http9", false, false }, { "", false, false },
        { "unix:", false, false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err err = { 0 };
        char *path = NULL;
        bool local;
        int port, fd = http_listen(str_c(cases[i].text), &port, &path, &local, &err);
        if (fd < 0 && strstr(cases[i].text, "::1") && strstr(err.msg, "assign")) continue; /* no IPv6 here */
        if ((fd >= 0) != cases[i].fine) fail_msg("%s: %s", cases[i].text, err.msg);
        if (fd >= 0) {
            if (local != cases[i].local) fail_msg("%s: local", cases[i].text);
            assert_true(port > 0);
            close(fd);
        } else {
            assert_true(err.msg[0]);
        }
    }
}

static int dial_unix(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&un, sizeof un) == 0) return fd;
    close(fd);
    return -1;
}

static void test_unix_socket(void **state)
{
    static struct answer a;
    char dir[] = "/tmp/runbell-test-XXXXXX", path[64], yaml[512];
    struct err err = { 0 };
    struct server s;
    struct stat st;
    bool local;
    char *own = NULL;
    int port, fd;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/bell", dir);
    snprintf(yaml, sizeof yaml, "version: 1\nserver: {listen: \"unix:%s\"}\nsources:\n  push: {type: webhook}\n%s", path,
             YAML_TAIL);
    server_start(&s, yaml, NULL);
    assert_int_equal(s.port, 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    fd = dial_unix(path);
    exchange(fd, "GET /v1/status HTTP/1.1\r\nHost: anything\r\n\r\n", &a);
    assert_int_equal(a.status, 200);
    close(fd);
    assert_int_equal(http_listen(s.config->server.listen, &port, &own, &local, &err), -1); /* in use */
    assert_non_null(strstr(err.msg, "another server"));
    server_stop(&s);
    assert_int_equal(stat(path, &st), -1);
    /* A dead server's file is taken over; a plain file is not. */
    snprintf(yaml, sizeof yaml, "unix:%s", path);
    fd = http_listen(str_c(yaml), &port, &own, &local, &err);
    assert_true(fd >= 0);
    close(fd);
    free(own);
    own = NULL;
    fd = http_listen(str_c(yaml), &port, &own, &local, &err);
    assert_true(fd >= 0);
    close(fd);
    free(own);
    own = NULL;
    unlink(path);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_int_equal(http_listen(str_c(yaml), &port, &own, &local, &err), -1);
    assert_non_null(strstr(err.msg, "no socket"));
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),           cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_loopback),          cmocka_unit_test(test_limit_per_address),
        cmocka_unit_test(test_listen_addresses),  cmocka_unit_test(test_unix_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
