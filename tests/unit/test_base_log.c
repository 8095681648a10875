/* base: log lines. A child writes them, the parent reads them back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "base/timefmt.h"
#include "base/utf8.h"

enum { OUTPUT_CEILING = 64 << 20 };

/* --- a child whose standard error is read ------------------------------------------------------------------------- */
static struct strbuf output_of(void (*child)(void))
{
    struct strbuf b;
    int ends[2], status;
    pid_t pid;
    char chunk[4096];
    ssize_t n;
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        child();
        _exit(0);
    }
    close(ends[1]);
    strbuf_init(&b, OUTPUT_CEILING);
    while ((n = read(ends[0], chunk, sizeof chunk)) > 0) strbuf_add(&b, chunk, (size_t)n);
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return b;
}

/* --- reading a line back -------------------------------------------------------------------------------------------- */
enum { PAIRS_MAX = 64 };
struct line {
    struct { struct str name, value; bool quoted; } pair[PAIRS_MAX];
    size_t n;
};

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A quoted text at *at, as JSON's strings are; its decoded form. */
static struct str take_quoted(struct arena *a, struct str s, size_t *at)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    assert_int_equal(s.p[(*at)++], '"');
    while (s.p[*at] != '"') {
        uint32_t cp = 0;
        assert_true(*at + 1 < s.n);
        assert_true((unsigned char)s.p[*at] >= 0x20 && s.p[*at] != 0x7f);
        if (s.p[*at] != '\\') {
            out[n++] = s.p[(*at)++];
            continue;
        }
        switch (s.p[*at + 1]) {
        case '"':
        case '\\': cp = (uint32_t)s.p[*at + 1]; break;
        case 'n': cp = '\n'; break;
        case 'u':
            for (size_t k = 0; k < 4; k++) {
                assert_true(hex(s.p[*at + 2 + k]) >= 0);
                cp = cp << 4 | (uint32_t)hex(s.p[*at + 2 + k]);
            }
            *at += 4;
            break;
        default: fail_msg("an escape that JSON does not have");
        }
        *at += 2;
        n += utf8_encode(cp, out + n);
    }
    (*at)++;
    return (struct str){ out, n };
}

static void read_logfmt(struct arena *a, struct str s, struct line *l)
{
    size_t at = 0;
    l->n = 0;
    while (at < s.n) {
        size_t from = at, equals = str_find(s, '=', at);
        assert_true(equals < s.n && equals > at && l->n < PAIRS_MAX);
        l->pair[l->n].name = str_sub(s, from, equals - from);
        at = equals + 1;
        l->pair[l->n].quoted = at < s.n && s.p[at] == '"';
        if (l->pair[l->n].quoted) {
            l->pair[l->n].value = take_quoted(a, s, &at);
        } else {
            from = at;
            while (at < s.n && s.p[at] != ' ') at++;
            l->pair[l->n].value = str_sub(s, from, at - from);
        }
        l->n++;
        if (at < s.n) assert_int_equal(s.p[at++], ' ');
    }
}

static void read_json(struct arena *a, struct str s, struct line *l)
{
    size_t at = 1;
    l->n = 0;
    assert_int_equal(s.p[0], '{');
    for (;;) {
        assert_true(l->n < PAIRS_MAX);
        l->pair[l->n].name = take_quoted(a, s, &at);
        assert_int_equal(s.p[at++], ':');
        l->pair[l->n].quoted = s.p[at] == '"';
        if (l->pair[l->n].quoted) {
            l->pair[l->n].value = take_quoted(a, s, &at);
        } else {
            size_t from = at;
            int64_t number;
            while (at < s.n && (hex(s.p[at]) >= 0 || s.p[at] == '-')) at++;
            l->pair[l->n].value = str_sub(s, from, at - from);
            assert_true(str_to_i64(l->pair[l->n].value, &number));
        }
        l->n++;
        if (s.p[at] == '}') break;
        assert_int_equal(s.p[at++], ',');
    }
    assert_int_equal(at, s.n - 1);
}

static bool json; /* which of the two is being written and read */

static size_t lines_of(struct arena *a, const struct strbuf *b, struct line *out, size_t max)
{
    struct str rest = strbuf_view(b), s;
    size_t n = 0;
    if (b->n) assert_int_equal(b->p[b->n - 1], '\n');
    rest.n -= rest.n > 0;
    while (b->n && str_split(&rest, '\n', &s)) {
        assert_true(n < max);
        assert_int_equal(utf8_invalid_at(s), s.n);
        (json ? read_json : read_logfmt)(a, s, &out[n]);
        assert_true(str_eq_c(out[n].pair[0].name, "ts") && str_eq_c(out[n].pair[1].name, "level") && str_eq_c(out[n].pair[2].name, "msg"));
        assert_true(time_parse(out[n].pair[0].value, &(int64_t){ 0 }));
        n++;
    }
    return n;
}

static void in_both_formats(void (*test)(void))
{
    json = false;
    test();
    json = true;
    test();
}

static void setup(enum log_level least)
{
    log_setup(json ? LOG_JSON : LOG_LOGFMT, least);
}

/* --- what is written is read back -------------------------------------------------------------------------------------- */
#define BYTES(lit) { lit, sizeof(lit) - 1 }
static const struct { struct str in, out; } values[] = {
    { BYTES("plain"), BYTES("plain") },
    { BYTES(""), BYTES("") },
    { { NULL, 0 }, BYTES("") },
    { BYTES("two words"), BYTES("two words") },
    { BYTES("a=b"), BYTES("a=b") },
    { BYTES("say \"hi\""), BYTES("say \"hi\"") },
    { BYTES("back\\slash"), BYTES("back\\slash") },
    { BYTES("line\nbreak level=error msg=forged"), BYTES("line\nbreak level=error msg=forged") },
    { BYTES("\r\t\x1b[31mred\x7f"), BYTES("\r\t\x1b[31mred\x7f") },
    { BYTES("nul\0inside"), BYTES("nul\0inside") },
    { BYTES("h\xc3\xa9llo \xf0\x9f\x98\x80"), BYTES("h\xc3\xa9llo \xf0\x9f\x98\x80") },
    { BYTES("bad\xff\xc3("), BYTES("bad\xef\xbf\xbd\xef\xbf\xbd(") },
    { BYTES("}\n{\"ts\":\"x\"}"), BYTES("}\n{\"ts\":\"x\"}") },
};
enum { VALUES = sizeof values / sizeof *values };

static void write_values(void)
{
    setup(LOG_INFO);
    for (size_t k = 0; k < VALUES; k++) log_warn("some.fact", LOG_S("value", values[k].in), LOG_I("n", k), LOG_I("least", INT64_MIN));
}

static void values_round_trip(void)
{
    static struct line lines[VALUES];
    struct arena a = { 0 };
    struct strbuf b = output_of(write_values);
    assert_int_equal(lines_of(&a, &b, lines, VALUES), VALUES);
    for (size_t k = 0; k < VALUES; k++) {
        int64_t n;
        assert_int_equal(lines[k].n, 6);
        assert_true(str_eq_c(lines[k].pair[1].value, "warn") && str_eq_c(lines[k].pair[2].value, "some.fact"));
        if (!str_eq(lines[k].pair[3].value, values[k].out)) fail_msg("value %zu", k);
        assert_true(str_to_i64(lines[k].pair[4].value, &n) && n == (int64_t)k);
        assert_true(str_eq_c(lines[k].pair[5].value, "-9223372036854775808"));
        assert_false(lines[k].pair[4].quoted);
    }
    strbuf_fini(&b);
    arena_fini(&a);
}

static void test_values_round_trip(void **state)
{
    (void)state;
    in_both_formats(values_round_trip);
}

static void write_every_byte(void)
{
    setup(LOG_INFO);
    for (unsigned c = 0; c < 256; c++) log_info("byte", LOG_S("value", ((struct str){ (const char[]){ 'x', (char)c, 'y' }, 3 })));
}

static void every_byte_is_safe(void)
{
    static struct line lines[256];
    struct arena a = { 0 };
    struct strbuf b = output_of(write_every_byte);
    assert_int_equal(lines_of(&a, &b, lines, 256), 256);
    for (unsigned c = 0; c < 0x80; c++) {
        assert_int_equal(lines[c].pair[3].value.n, 3);
        assert_int_equal(lines[c].pair[3].value.p[1], (char)c);
    }
    strbuf_fini(&b);
    arena_fini(&a);
}

static void test_every_byte_is_safe(void **state)
{
    (void)state;
    in_both_formats(every_byte_is_safe);
}

/* --- bounds ------------------------------------------------------------------------------------------------------------- */
static char long_text[10000];

static void write_long(void)
{
    struct str s = { long_text, sizeof long_text };
    setup(LOG_INFO);
    memset(long_text, 'x', sizeof long_text);
    log_info("long", LOG_S("value", s), LOG_I("after", 7));
    memset(long_text, 1, sizeof long_text); /* each byte takes six */
    log_info("longest", LOG_S("a", s), LOG_S("b", s), LOG_S("c", s), LOG_I("after", 7));
    log_info("next");
}

/* A line over the ceiling loses fields, and says so; it never loses its end or its form. */
static void long_values_are_cut(void)
{
    static struct line lines[3];
    struct arena a = { 0 };
    struct strbuf b = output_of(write_long);
    assert_int_equal(lines_of(&a, &b, lines, 3), 3);
    assert_int_equal(lines[0].pair[3].value.n, 2048);
    assert_true(str_eq_c(lines[0].pair[4].value, "7"));
    assert_true(str_eq_c(lines[1].pair[2].value, "longest"));
    assert_true(str_eq_c(lines[1].pair[3].name, "a"));
    assert_true(str_eq_c(lines[1].pair[lines[1].n - 1].name, "fields_left_out"));
    assert_true(str_eq_c(lines[1].pair[lines[1].n - 1].value, "2")); /* b and c; `after` still fits */
    assert_true(str_eq_c(lines[1].pair[4].name, "after"));
    assert_true(str_eq_c(lines[2].pair[2].value, "next"));
    strbuf_fini(&b);
    arena_fini(&a);
}

static void test_long_values_are_cut(void **state)
{
    (void)state;
    in_both_formats(long_values_are_cut);
}

/* --- levels, repeats, threads --------------------------------------------------------------------------------------------- */
static void write_levels(void)
{
    static struct log_once once;
    setup(LOG_WARN);
    log_debug("no");
    log_info("no");
    log_warn("yes");
    log_error("yes");
    for (int k = 0; k < 100; k++) log_write_limited(&once, 3600000, LOG_ERROR, "again", LOG_FIELDS(LOG_I("k", k)));
    log_write_limited(&once, 0, LOG_ERROR, "again", LOG_FIELDS(LOG_I("k", 100)));
}

static void levels_and_repeats(void)
{
    static struct line lines[8];
    struct arena a = { 0 };
    struct strbuf b = output_of(write_levels);
    assert_int_equal(lines_of(&a, &b, lines, 8), 4);
    assert_true(str_eq_c(lines[0].pair[1].value, "warn") && str_eq_c(lines[1].pair[1].value, "error"));
    assert_int_equal(lines[2].n, 4);
    assert_true(str_eq_c(lines[3].pair[4].name, "held_back") && str_eq_c(lines[3].pair[4].value, "99"));
    strbuf_fini(&b);
    arena_fini(&a);
}

static void test_levels_and_repeats(void **state)
{
    (void)state;
    in_both_formats(levels_and_repeats);
}

enum { THREADS = 4, EACH = 500 };

static void *write_many(void *arg)
{
    for (int k = 0; k < EACH; k++) log_info("thread", LOG_C("name", arg), LOG_I("k", k));
    return NULL;
}

static void write_from_threads(void)
{
    static char names[THREADS][4] = { "a b", "c d", "e f", "g h" };
    pthread_t t[THREADS];
    setup(LOG_INFO);
    for (int k = 0; k < THREADS; k++) pthread_create(&t[k], NULL, write_many, names[k]);
    for (int k = 0; k < THREADS; k++) pthread_join(t[k], NULL);
}

static void lines_are_whole(void)
{
    static struct line lines[THREADS * EACH];
    struct arena a = { 0 };
    struct strbuf b = output_of(write_from_threads);
    int64_t sum = 0, k;
    assert_int_equal(lines_of(&a, &b, lines, THREADS * EACH), THREADS * EACH);
    for (size_t i = 0; i < THREADS * EACH; i++) {
        assert_int_equal(lines[i].n, 5);
        assert_true(str_to_i64(lines[i].pair[4].value, &k));
        sum += k;
    }
    assert_int_equal(sum, THREADS * (EACH - 1) * EACH / 2);
    strbuf_fini(&b);
    arena_fini(&a);
}

static void test_lines_of_threads_are_whole(void **state)
{
    (void)state;
    in_both_formats(lines_are_whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_round_trip),
        cmocka_unit_test(test_every_byte_is_safe),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_levels_and_repeats),
        cmocka_unit_test(test_lines_of_threads_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
