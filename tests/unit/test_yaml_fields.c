/* Scalars by wanted type, and tables of fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "json/json.h"
#include "yaml/yaml.h"

struct fixture {
    struct arena arena;
    struct diags d;
};

static int setup(void **state)
{
    struct fixture *t = xcalloc(1, sizeof *t);
    diags_init(&t->d, &t->arena);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *t = *state;
    diags_fini(&t->d);
    arena_fini(&t->arena);
    free(t);
    return 0;
}

static struct yaml_node *read_text(struct fixture *t, const char *text)
{
    struct yaml_node *root = yaml_read(&t->arena, "f.yaml", str_c(text), &t->d);
    assert_non_null(root);
    return root;
}

/* One scalar decoded every way; the text of the last error, or "". */
enum wanted { TEXT, BOOL, INT, NUMBER, DURATION, SIZE, RATE };
static const char *want(struct fixture *t, enum wanted type, const struct yaml_node *n, int64_t *whole,
                        struct str *text)
{
    size_t errors = t->d.errors;
    bool ok = false, b = false;
    int64_t per = 0;
    double f = 0;
    switch (type) {
    case TEXT: ok = yaml_want_text(n, &t->d, text); break;
    case BOOL:
        ok = yaml_want_bool(n, &t->d, &b);
        *whole = b;
        break;
    case INT: ok = yaml_want_i64(n, &t->d, 1, 100, whole); break;
    case NUMBER:
        ok = yaml_want_f64(n, &t->d, 0, 100, &f);
        *whole = (int64_t)(f * 1000);
        break;
    case DURATION: ok = yaml_want_duration(n, &t->d, whole); break;
    case SIZE: ok = yaml_want_size(n, &t->d, whole); break;
    case RATE:
        ok = yaml_want_rate(n, &t->d, whole, &per);
        *whole = *whole * 1000000 + per;
        break;
    }
    if (ok != (errors == t->d.errors)) fail_msg("answer and diagnostics differ");
    return ok ? "" : t->d.items.v[t->d.items.n - 1].text.p;
}

static void decodes_by_wanted_type(void **state)
{
    static const struct {
        enum wanted type;
        const char *text;
        int64_t whole;
        const char *says, *hint;
    } cases[] = {
        { TEXT, "no", 0, "", NULL },
        { TEXT, "0123", 0, "", NULL },
        { TEXT, "12:30", 0, "", NULL },
        { TEXT, "'null'", 0, "", NULL },
        { TEXT, "''", 0, "", NULL },
        { TEXT, "null", 0, "wants text, got nothing", "\"null\"" },
        { TEXT, "#ops", 0, "wants text, got nothing", "quotes" },
        { TEXT, "[a]", 0, "wants text, got a list", NULL },
        { TEXT, "{a: b}", 0, "wants text, got a map", NULL },
        { BOOL, "true", 1, "", NULL },
        { BOOL, "false", 0, "", NULL },
        { BOOL, "yes", 0, "wants true or false, got `yes`", "write true" },
        { BOOL, "off", 0, "got `off`", "write false" },
        { BOOL, "'true'", 0, "wants true or false", "without quotes" },
        { BOOL, "1", 0, "wants true or false, got `1`", NULL },
        { INT, "100", 100, "", NULL },
        { INT, "0", 0, "wants a whole number from 1 to 100, got `0`", NULL },
        { INT, "101", 0, "got `101`", NULL },
        { INT, "1.0", 0, "got `1.0`", NULL },
        { INT, "0x10", 0, "got `0x10`", NULL },
        { INT, "'5'", 0, "got `5`", "without quotes" },
        { NUMBER, "2.5", 2500, "", NULL },
        { NUMBER, "1e1", 10000, "", NULL },
        { NUMBER, "nan", 0, "wants a number from 0 to 100, got `nan`", NULL },
        { NUMBER, "100.1", 0, "got `100.1`", NULL },
        { DURATION, "1h30m", 5400000, "", NULL },
        { DURATION, "'30s'", 30000, "", NULL },
        { DURATION, "5 min", 0, "wants a duration like 30s or 5m, got `5 min`", NULL },
        { DURATION, "30", 0, "got `30`", "30s" },
        { DURATION, "-5s", 0, "got `-5s`", NULL },
        { SIZE, "512", 512, "", NULL },
        { SIZE, "64KiB", 65536, "", NULL },
        { SIZE, "4MB", 4000000, "", NULL },
        { SIZE, "10GiB", 10737418240, "", NULL },
        { SIZE, "10 GiB", 0, "wants a size like 512, 64KiB or 4MiB", NULL },
        { SIZE, "9999999TiB", 0, "wants a size", NULL },
        { SIZE, "KiB", 0, "wants a size", NULL },
        { RATE, "20 per 1m", 20060000, "", NULL },
        { RATE, "{n: 3, per: 2s}", 3002000, "", NULL },
        { RATE, "0 per 1m", 0, "wants a limit like 20 per 1m", NULL },
        { RATE, "20 per", 0, "wants a limit", NULL },
        { RATE, "{n: 3}", 0, "missing key `per` in limit", NULL },
        { RATE, "{n: 3, pre: 1m, per: 1m}", 0, "unknown key `pre` in limit", "`per`" },
        { RATE, "[1]", 0, "wants a limit", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *t = *state;
        struct yaml_node *n = read_text(t, str_printf(&t->arena, "v: %s\n", cases[i].text).p)->first;
        int64_t whole = 0;
        struct str text = STR_NONE;
        const char *says = want(t, cases[i].type, n, &whole, &text);
        if (!strstr(says, cases[i].says) || (cases[i].says[0] == '\0' && says[0]))
            fail_msg("%s: says: %s", cases[i].text, says);
        if (says[0] == '\0' && cases[i].type == TEXT) assert_true(str_eq(text, n->text) && text.p);
        if (says[0] == '\0' && whole != cases[i].whole) fail_msg("%s: %lld", cases[i].text, (long long)whole);
        if (cases[i].hint) {
            struct str hint = t->d.items.v[t->d.items.n - 1].hint;
            if (!hint.p || !strstr(hint.p, cases[i].hint)) fail_msg("%s: hint %s", cases[i].text, hint.p);
        }
        teardown(state);
        setup(state);
    }
}

/* --- tables --------------------------------------------------------------------------------------------- */
struct sample {
    struct str text;
    bool flag;
    int64_t count, wait_ms, size;
    double ratio;
    int level;
    const struct yaml_node *node;
    struct field_texts names;
};
static const char *const levels[] = { "info", "warning", "error", NULL };
static const struct field sample_fields[] = {
    { .name = "text", .type = FIELD_TEXT, .required = true, .offset = offsetof(struct sample, text),
      .help = "Some | text." },
    { .name = "flag", .type = FIELD_BOOL, .offset = offsetof(struct sample, flag), .fallback = "true" },
    { .name = "count", .type = FIELD_INT, .offset = offsetof(struct sample, count), .least = 1, .most = 9 },
    { .name = "wait", .type = FIELD_DURATION, .offset = offsetof(struct sample, wait_ms), .least = 1000,
      .most = 60000, .fallback = "30s" },
    { .name = "size", .type = FIELD_SIZE, .offset = offsetof(struct sample, size), .least = 10 },
    { .name = "ratio", .type = FIELD_NUMBER, .offset = offsetof(struct sample, ratio) },
    { .name = "level", .type = FIELD_ENUM, .offset = offsetof(struct sample, level), .names = levels,
      .fallback = "error" },
    { .name = "node", .type = FIELD_NODE, .offset = offsetof(struct sample, node),
      .schema = "{\"type\":\"null\"}" },
    { .name = "names", .type = FIELD_TEXTS, .offset = offsetof(struct sample, names) },
};
static const struct field_table sample_table = { "sample", sample_fields,
                                                 sizeof sample_fields / sizeof *sample_fields };

static bool decode(struct fixture *t, const char *text, struct sample *s, field_extra_fn extra, void *ctx)
{
    return fields_decode(&sample_table, &t->arena, read_text(t, text), &t->d, s, extra, ctx);
}

static void decodes_a_table(void **state)
{
    struct sample s = { .count = 7 };
    assert_true(decode(*state, "text: on\nflag: false\nwait: 1m\nsize: 1KiB\nratio: 0.5\nlevel: info\n"
                               "node: {a: 1}\nnames: [x, y]\n", &s, NULL, NULL));
    assert_true(str_eq_c(s.text, "on"));
    assert_false(s.flag);
    assert_int_equal(s.count, 7);
    assert_int_equal(s.wait_ms, 60000);
    assert_int_equal(s.size, 1024);
    assert_int_equal((int)(s.ratio * 10), 5);
    assert_int_equal(s.level, 0);
    assert_int_equal(s.node->kind, YAML_MAP);
    assert_int_equal(s.names.n, 2);
    assert_true(str_eq_c(s.names.v[1], "y"));
    assert_int_equal(s.names.nodes[1]->col, 12);
}

static void applies_fallbacks(void **state)
{
    struct sample s = { .count = 7 };
    assert_true(decode(*state, "text: x\nnames: one\n", &s, NULL, NULL));
    assert_true(s.flag);
    assert_int_equal(s.wait_ms, 30000);
    assert_int_equal(s.level, 2);
    assert_int_equal(s.count, 7);
    assert_int_equal(s.names.n, 1);
}

static void reports_every_bad_member(void **state)
{
    static const struct {
        const char *text, *says, *hint;
    } cases[] = {
        { "text: x\nlevl: info\n", "unknown key `levl` in sample", "did you mean `level`?" },
        { "text: x\nzzzzzzzz: info\n", "unknown key `zzzzzzzz` in sample", NULL },
        { "flag: true\n", "missing key `text` in sample", NULL },
        { "text: x\ncount: 10\n", "wants a whole number from 1 to 9, got `10`", NULL },
        { "text: x\nwait: 2m\n", "`wait` is at most 1m", NULL },
        { "text: x\nwait: 1ms\n", "`wait` is at least 1s", NULL },
        { "text: x\nsize: 9\n", "`size` is at least 10 bytes", NULL },
        { "text: x\nlevel: waring\n", "`level` is info, warning or error, got `waring`",
          "did you mean `warning`?" },
        { "text: x\nnames: [a, [b]]\n", "wants text, got a list", NULL },
        { "- x\n", "sample wants a map of keys and values, got a list", NULL },
        { "x\n", "got `x`", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample s = { 0 };
        struct fixture *t = *state;
        const struct diag *item;
        assert_false(decode(t, cases[i].text, &s, NULL, NULL));
        assert_int_equal(t->d.errors, 1);
        item = &t->d.items.v[0];
        if (!strstr(item->text.p, cases[i].says)) fail_msg("%s: %s", cases[i].text, item->text.p);
        if ((cases[i].hint == NULL) != str_absent(item->hint) || (cases[i].hint && !str_eq_c(item->hint,
          cases[i].hint)))
            fail_msg("%s: hint: %s", cases[i].text, item->hint.p);
        teardown(state);
        setup(state);
    }
}

static void says_all_at_once(void **state)
{
    struct sample s = { 0 };
    struct fixture *t = *state;
    assert_false(decode(t, "flag: yes\ncount: x\nwait: 5\nbogus: 1\nratio: a\n", &s, NULL, NULL));
    assert_int_equal(t->d.errors, 6);
}

static bool take_x(void *ctx, const struct yaml_node *member)
{
    if (!str_eq_c(member->key, "x")) return false;
    *(const struct yaml_node **)ctx = member;
    return true;
}

static void gives_extra_keys(void **state)
{
    struct sample s = { 0 };
    struct fixture *t = *state;
    const struct yaml_node *x = NULL;
    assert_false(decode(t, "text: a\nx: 5\ny: 6\n", &s, take_x, &x));
    assert_true(x && str_eq_c(x->text, "5"));
    assert_int_equal(t->d.errors, 1);
}

static void missing_is_not_said_of_a_cut_map(void **state)
{
    struct sample s = { 0 };
    struct fixture *t = *state;
    assert_false(decode(t, "flag: true\nbad: 'x\n", &s, NULL, NULL));
    assert_int_equal(t->d.errors, 1);
    assert_true(s.flag);
}

static void prints_docs_and_schema(void **state)
{
    struct fixture *t = *state;
    struct strbuf b;
    struct json v;
    struct err err;
    struct str part[] = { STR("properties"), STR("level"), STR("default") };
    strbuf_init(&b, 1 << 16);
    fields_docs(&sample_table, &b);
    assert_non_null(strstr(b.p, "| `text` | text | required | Some \\| text. |\n"));
    assert_non_null(strstr(b.p, "| `wait` | duration | `30s` |  |\n"));
    assert_non_null(strstr(b.p, "| `level` | `info`, `warning`, `error` | `error` |"));
    strbuf_clear(&b);
    fields_schema(&sample_table, &b);
    if (json_parse(&t->arena, strbuf_view(&b), &json_default_limits, &v, NULL, &err)) fail_msg("%s", err.msg);
    assert_int_equal(json_count(json_get_c(v, "properties")), 9);
    assert_true(str_eq_c(json_str(json_path(v, part, 3)), "error"));
    assert_true(str_eq_c(json_text(json_get_c(v, "required")), "[\"text\"]"));
    assert_non_null(strstr(b.p, "\"count\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}"));
    assert_non_null(strstr(b.p, "\"node\":{\"allOf\":[{\"type\":\"null\"}]}"));
    strbuf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(decodes_by_wanted_type, setup, teardown),
        cmocka_unit_test_setup_teardown(decodes_a_table, setup, teardown),
        cmocka_unit_test_setup_teardown(applies_fallbacks, setup, teardown),
        cmocka_unit_test_setup_teardown(reports_every_bad_member, setup, teardown),
        cmocka_unit_test_setup_teardown(says_all_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(gives_extra_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_is_not_said_of_a_cut_map, setup, teardown),
        cmocka_unit_test_setup_teardown(prints_docs_and_schema, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
