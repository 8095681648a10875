/* Many clients in lock step: all send, all wait for their answer, again. The counts are those at which a loop
 * that takes events in batches of 128 stalls. With an argument "serve PORT" this program is only the server
 * with the pretended pipeline, for measuring the HTTP layer alone. */
#include "http_testing.h"

#define REQUEST "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 33\r\n\r\n" \
    "{\"id\":\"run_1\",\"status\":\"CRASHED\"}"

enum { CLIENTS_MAX = 1000, STALL_MS = 10000 };
static struct client { int fd; char text[1024]; size_t n; } clients[CLIENTS_MAX];

static bool is_complete(const struct client *c)
{
    const char *end = strstr(c->text, "\r\n\r\n");
    return end && strchr(end + 4, '}') && strstr(end + 4, "]}");
}

/* Reads what is there; 1 when the answer is whole. */
static size_t hear_some(struct client *c)
{
    ssize_t n = recv(c->fd, c->text + c->n, sizeof c->text - 1 - c->n, 0);
    if (n <= 0) fail_msg("a client was closed");
    c->n += (size_t)n;
    c->text[c->n] = '\0';
    if (!is_complete(c)) return 0;
    if (strncmp(c->text, "HTTP/1.1 202 ", 13) != 0) fail_msg("%s", c->text);
    return 1;
}

static void round_of(size_t n)
{
    static struct pollfd fds[CLIENTS_MAX];
    size_t answered = 0;
    for (size_t i = 0; i < n; i++) {
        clients[i].n = 0;
        fds[i] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
        assert_true(say_all(clients[i].fd, REQUEST));
    }
    while (answered < n) {
        if (poll(fds, n, STALL_MS) <= 0)
            fail_msg("%zu clients, %zu answers, then nothing for 10 s", n, answered);
        for (size_t i = 0; i < n; i++)
            if (fds[i].fd >= 0 && fds[i].revents && hear_some(&clients[i])) {
                fds[i].fd = -1;
                answered++;
            }
    }
}

static void rounds(struct server *s, size_t n, int times)
{
    for (size_t i = 0; i < n; i++) clients[i].fd = dial(s->port);
    for (int k = 0; k < times; k++) round_of(n);
    for (size_t i = 0; i < n; i++) close(clients[i].fd);
}

static void test_lock_step(void **state)
{
    static const size_t counts[] = { 1, 2, 64, 127, 128, 129, 256, 300, 384, 1000 };
    struct server s;
    uint64_t want = 0;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        rounds(&s, counts[i], 20);
        want += counts[i] * 20;
    }
    assert_int_equal(s.stub.reports, want);
    server_stop(&s);
}

/* All are suspended at once and come back in one go. */
static void test_all_in_one_commit(void **state)
{
    static const size_t counts[] = { 128, 256, 1000 };
    struct server s;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        size_t n = counts[i];
        uint64_t before = s.stub.submits;
        atomic_store(&s.stub.slow, true);
        for (size_t k = 0; k < n; k++) {
            clients[k].fd = dial(s.port);
            clients[k].n = 0;
            assert_true(say_all(clients[k].fd, REQUEST));
        }
        while (s.stub.submits - before < n) { /* until all wait for the commit */ }
        atomic_store(&s.stub.slow, false);
        for (size_t k = 0; k < n; k++)
            while (!hear_some(&clients[k])) { /* more of it comes */ }
        for (size_t k = 0; k < n; k++) close(clients[k].fd);
    }
    server_stop(&s);
}

static void test_half_open_clients_disturb_nobody(void **state)
{
    enum { HALF = 600 };
    static int half[HALF];
    struct server s;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    for (int i = 0; i < HALF; i++) {
        half[i] = dial(s.port);
        assert_true(say_all(half[i], i % 2 ? "POST /v1/events HTTP/1.1\r\nHost" : ""));
    }
    rounds(&s, 128, 20);
    for (int i = 0; i < HALF; i++) close(half[i]);
    rounds(&s, 64, 2);
    server_stop(&s);
}

/* Clients that leave while their request is in the pipeline. */
static void test_clients_that_leave(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    for (int k = 0; k < 5; k++) {
        for (size_t i = 0; i < 200; i++) {
            clients[i].fd = dial(s.port);
            assert_true(say_all(clients[i].fd, REQUEST));
        }
        for (size_t i = 0; i < 200; i++) close(clients[i].fd);
    }
    rounds(&s, 64, 2);
    server_stop(&s);
}

/* Reloads under load: nobody notices. */
static void test_reload_under_load(void **state)
{
    struct server s;
    (void)state;
    server_start(&s, YAML_PLAIN, NULL);
    for (size_t i = 0; i < 64; i++) clients[i].fd = dial(s.port);
    for (int k = 0; k < 50; k++) {
        struct config *next = config_of(YAML_PLAIN);
        http_reload(s.http, next);
        config_unref(&next);
        round_of(64);
    }
    for (size_t i = 0; i < 64; i++) close(clients[i].fd);
    server_stop(&s);
}

_Noreturn static void serve(const char *port)
{
    struct server s;
    struct arena a = { 0 };
    struct str yaml = str_printf(
        &a, "version: 1\nserver: {listen: \"127.0.0.1:%s\"}\nsources:\n  push: {type: webhook}\n" YAML_TAIL,
        port);
    server_start(&s, yaml.p, NULL);
    s.stub.commit_us = 500;
    for (;;) pause();
}

static void raise_files(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock_step),
        cmocka_unit_test(test_all_in_one_commit),
        cmocka_unit_test(test_half_open_clients_disturb_nobody),
        cmocka_unit_test(test_clients_that_leave),
        cmocka_unit_test(test_reload_under_load),
    };
    raise_files();
    if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
