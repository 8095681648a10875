/* The tree, its places, and what a reader of the diagnostics sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "yaml/yaml.h"

struct reading {
    struct arena arena;
    struct diags d;
    struct strbuf out;
    struct yaml_node *root;
};

static struct reading *reading_begin(void **state, struct str text)
{
    struct reading *t = *state;
    t->root = yaml_read(&t->arena, "f.yaml", text, &t->d);
    diags_sort(&t->d);
    return t;
}

static int setup(void **state)
{
    struct reading *t = xcalloc(1, sizeof *t);
    diags_init(&t->d, &t->arena);
    strbuf_init(&t->out, 1 << 20);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct reading *t = *state;
    diags_fini(&t->d);
    strbuf_fini(&t->out);
    arena_fini(&t->arena);
    free(t);
    return 0;
}

static void assert_str(struct str got, const char *want)
{
    if (!str_eq_c(got, want)) fail_msg("got `" STR_FMT "`, want `%s`", STR_ARG(got), want);
}

/* The tree in one line: scalars with their place, `'` for quoted. */
static void put_tree(struct strbuf *out, const struct yaml_node *n)
{
    if (n->key_line) strbuf_printf(out, "%s" STR_FMT "@%u:%u=", n->key_plain ? "" : "'", STR_ARG(n->key),
                                   n->key_line, n->key_col);
    if (n->kind == YAML_SCALAR) {
        strbuf_printf(out, "%s" STR_FMT "@%u:%u", n->plain ? "" : "'", STR_ARG(n->text), n->line, n->col);
        return;
    }
    strbuf_printf(out, "%s%s%zu", n->cut ? "cut " : "", n->kind == YAML_MAP ? "{" : "[", n->count);
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        strbuf_c(out, " ");
        put_tree(out, c);
    }
    strbuf_c(out, n->kind == YAML_MAP ? "}" : "]");
}

static void builds_the_tree(void **state)
{
    static const struct {
        struct str text;
        const char *tree;
    } cases[] = {
        { STR(""), "{0}" },
        { STR("# only a comment\n"), "{0}" },
        { STR("---\n...\n"), "{0}" },
        { STR("a: 1\nb: 'x'\n"), "{2 a@1:1=1@1:4 b@2:1='x@2:4}" },
        { STR("\xef\xbb\xbf" "a: no\n"), "{1 a@1:1=no@1:4}" },
        { STR("a:\n  - 0123\n  - 12:30\n"), "{1 a@1:1=[2 0123@2:5 12:30@3:5]}" },
        { STR("a: {b: [x, \"y\"], 'c': }\r\nd: ~\r\n"),
          "{2 a@1:1={2 b@1:5=[2 x@1:9 'y@1:12] 'c@1:18=@1:23} d@2:1=~@2:4}" },
        { STR("\xc3\xa9: \xc3\xa9\n"), "{1 \xc3\xa9@1:1=\xc3\xa9@1:4}" },
        { STR("a: over >5, *x & 20%! @b\n"), "{1 a@1:1=over >5, *x & 20%! @b@1:4}" },
        { STR("a: >\n  b\n  c\nd: |-\n  e\n"), "{2 a@1:1='b c\n@1:4 d@4:1='e@4:4}" },
        { STR("%YAML 1.1\n---\na: 1\n"), "{1 a@3:1=1@3:4}" },
        { STR("5\n"), "5@1:1" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reading *t = reading_begin(state, cases[i].text);
        assert_int_equal(t->d.errors, 0);
        strbuf_clear(&t->out);
        put_tree(&t->out, t->root);
        assert_str(strbuf_view(&t->out), cases[i].tree);
    }
}

static void get_and_null(void **state)
{
    struct reading *t = reading_begin(state, STR("a: ~\nb: 'null'\nc: null\nd:\ne: {}\n"));
    assert_true(yaml_is_null(yaml_get(t->root, "a")));
    assert_false(yaml_is_null(yaml_get(t->root, "b")));
    assert_true(yaml_is_null(yaml_get(t->root, "c")));
    assert_true(yaml_is_null(yaml_get(t->root, "d")));
    assert_false(yaml_is_null(yaml_get(t->root, "e")));
    assert_null(yaml_get(t->root, "f"));
    assert_null(yaml_get(yaml_get(t->root, "a"), "b"));
    assert_null(yaml_get(NULL, "b"));
}

/* Each mistake: where it is reported, what is said, and what is left of the tree. */
static const struct {
    struct str text;
    uint32_t line, col;
    const char *says, *hint, *tree;
} mistakes[] = {
    { STR("a: >5m\nb: 1\n"), 1, 4, "start with `>`", "\">5m\"", "{2 a@1:1=>5m@1:4 b@2:1=1@2:4}" },
    { STR("a: >5\nb: 1\n"), 1, 4, "start with `>`", "to compare, write {gt: 5}", "{2 a@1:1=>5@1:4 b@2:1=1@2:4}" },
    { STR("a: {gt: >5m, b: 1}\n"), 1, 9, "start with `>`", "\">5m\"",
      "{1 a@1:1={2 gt@1:5=>5m@1:9 b@1:14=1@1:17}}" },
    { STR("a: !failed\nb: 1\n"), 1, 4, "start with `!`: YAML takes it for a tag", "\"!failed\"",
      "{2 a@1:1=!failed@1:4 b@2:1=1@2:4}" },
    { STR("a: ! x\n"), 1, 4, "start with `!`", "\"! x\"", "{1 a@1:1=! x@1:4}" },
    { STR("a: !x!y z\n"), 1, 4, "start with `!`", "\"!x!y z\"", "{1 a@1:1=!x!y z@1:4}" },
    { STR("a: *sync\n"), 1, 4, "start with `*`: YAML takes it for an alias", "\"*sync\"",
      "{1 a@1:1=*sync@1:4}" },
    { STR("a: *.log # all\n"), 1, 4, "start with `*`", "\"*.log\"", "{1 a@1:1=*.log@1:4}" },
    { STR("a: [*, b]\n"), 1, 5, "start with `*`", "\"*\"", "{1 a@1:1=[2 *@1:5 b@1:8]}" },
    { STR("*: b\n"), 1, 1, "start with `*`", "", "{1 *@1:1=b@1:4}" },
    { STR("a: &x y\n"), 1, 4, "start with `&`: YAML takes it for an anchor", "\"&x y\"",
      "{1 a@1:1=&x y@1:4}" },
    { STR("a: & y\n"), 1, 4, "start with `&`", "\"& y\"", "{1 a@1:1=& y@1:4}" },
    { STR("a: @ops\n"), 1, 4, "start with `@`", "\"@ops\"", "{1 a@1:1=@ops@1:4}" },
    { STR("a: @\"x\"\n"), 1, 4, "start with `@`", "'@\"x\"'", NULL },
    { STR("a: %5\n"), 1, 4, "start with `%`", "\"%5\"", "{1 a@1:1=%5@1:4}" },
    { STR("a: `x`\n"), 1, 4, "start with ``", "\"`x`\"", "{1 a@1:1=`x`@1:4}" },
    { STR("a: &x {b: 1}\n"), 1, 4, "anchors are not taken", "write the value out",
      "{1 a@1:1={1 b@1:8=1@1:11}}" },
    { STR("a: !!map {b: 1}\n"), 1, 4, "tags are not taken", "write the value out",
      "{1 a@1:1={1 b@1:11=1@1:14}}" },
    { STR("a: 1\nb: 2\na: 3\n"), 3, 1, "duplicate key `a`: line 1 has it already", NULL,
      "{2 a@1:1=1@1:4 b@2:1=2@2:4}" },
    { STR("x: {a: 1, 'a': 3}\n"), 1, 11, "duplicate key `a`: line 1", NULL, "{1 x@1:1={1 a@1:5=1@1:8}}" },
    { STR("a: 1\n---\nb: 1\n"), 2, 1, "second document", NULL, "{1 a@1:1=1@1:4}" },
    { STR("[a]: 1\nb: 2\n"), 1, 1, "a key must be text", NULL, "{1 b@2:1=2@2:4}" },
    { STR("t: {{x}}\n"), 1, 5, "a key must be text", "starts with {{", NULL },
    { STR("?\n: 1\nb: 2\n"), 1, 2, "a key is missing", NULL, "{1 b@3:1=2@3:4}" },
    { STR("a: \"x\\0y\"\n"), 1, 4, "NUL", NULL, NULL },
    { STR("a: x: y\n"), 1, 5, "mapping values are not allowed", "in quotes", "cut {1 a@1:1=x@1:4}" },
    { STR("v: 1\nr:\n  a: {b: 1}\n  c:\n    d: 1\n   e: 2\n"), 6, 4, "did not find expected key",
      "indentation",
      "cut {2 v@1:1=1@1:4 r@2:1=cut {2 a@3:3={1 b@3:7=1@3:10} c@4:3={1 d@5:5=1@5:8}}}" },
    /* The entry that was being read is left out. */
    { STR("v: 1\nr:\n  a: {b: 1}\n  c:\n    d: 'x\n"), 5, 8, "not closed", NULL,
      "cut {2 v@1:1=1@1:4 r@2:1=cut {1 a@3:3={1 b@3:7=1@3:10}}}" },
    { STR("a:\n\tb: 1\n"), 2, 1, "a tab cannot indent", "spaces", NULL },
    { STR("a: {b: 1\nc: 2\n"), 1, 4, "this `{` is not closed", NULL, NULL },
    { STR("a: {b: #x}\nc: 2\n"), 1, 4, "this `{` is not closed", "`#`", NULL },
    { STR("a: 'b\nc: 2\n"), 1, 4, "this `'` is not closed", NULL, NULL },
    { STR("a: 1\nb: \"\xff\"\n"), 2, 5, "not valid UTF-8", NULL, NULL },
    { STR("\xff\xfe" "a\0"), 1, 1, "not valid UTF-8", NULL, NULL },
    { STR("a: 1\nb: \xc3\xa9\x01\n"), 2, 5, "control characters", NULL, NULL },
};

static void reports_each_mistake(void **state)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const struct diag *item;
        struct reading *t;
        setup(state);
        t = reading_begin(state, mistakes[i].text);
        item = t->d.items.v;
        if (t->d.errors != 1) fail_msg("%s: %zu errors", mistakes[i].text.p, t->d.errors);
        if (item->line != mistakes[i].line || item->col != mistakes[i].col || !strstr(item->text.p,
          mistakes[i].says))
            fail_msg("%s: %u:%u: %s", mistakes[i].text.p, item->line, item->col, item->text.p);
        if (mistakes[i].hint && !(item->hint.p && strstr(item->hint.p, mistakes[i].hint)))
            fail_msg("%s: hint: %s", mistakes[i].text.p, item->hint.p ? item->hint.p : "none");
        if (mistakes[i].tree) {
            put_tree(&t->out, t->root);
            assert_str(strbuf_view(&t->out), mistakes[i].tree);
        }
        teardown(state);
    }
    setup(state);
}

static void reports_ten_at_once(void **state)
{
    struct reading *t = reading_begin(state, STR("a: @1\nb: *2\na: 3\nc: [>4]\nd: !5\n? [6]\n: x\ne: &7 x\n"
                                                 "f: {g: 1, g: 8}\nh: %9\ni: {t: @a: @b}\nj: \"\\0\"\n"));
    const uint32_t lines[] = { 1, 2, 3, 4, 5, 6, 8, 9, 10, 11 };
    assert_true(t->d.errors >= 10);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) assert_int_equal(t->d.items.v[i].line,
      lines[i]);
}

static void bounds_depth(void **state)
{
    char text[200];
    struct reading *t;
    memset(text, '[', 32);
    memset(text + 32, ']', 32);
    t = reading_begin(state, (struct str){ text, 64 });
    assert_int_equal(t->d.errors, 0);
    memset(text, '[', 33);
    memset(text + 33, ']', 33);
    t = reading_begin(state, (struct str){ text, 66 });
    assert_int_equal(t->d.errors, 1);
    assert_non_null(strstr(t->d.items.v[0].text.p, "32 levels"));
}

static void survives_a_wall_of_brackets(void **state)
{
    struct strbuf b;
    struct reading *t;
    strbuf_init(&b, 1 << 20);
    for (int i = 0; i < 64000; i++) strbuf_char(&b, '[');
    t = reading_begin(state, strbuf_view(&b));
    assert_int_equal(t->d.errors, 1);
    strbuf_fini(&b);
}

/* --- diagnostics ---------------------------------------------------------------------------------------- */
static void prints_like_a_compiler(void **state)
{
    struct reading *t = *state;
    diags_add_source(&t->d, "b.yaml", STR("one\r\n\ttwo \xc3\xa9 three\033[1m\n"));
    diags_add_source(&t->d, "a.yaml", STR("first\n"));
    diag_add(&t->d, DIAG_WARNING, "a.yaml", 1, 2, "hm");
    struct diag *item = diag_add(&t->d, DIAG_ERROR, "b.yaml", 2, 8, "bad `%s`", "three\033[1m");
    item->width = 5;
    item->hint = STR("did you mean `tree`?");
    diag_add(&t->d, DIAG_ERROR, "b.yaml", 1, 0, "line");
    diag_add(&t->d, DIAG_ERROR, "c.yaml", 0, 0, "cannot be read");
    diags_sort(&t->d);
    diags_print(&t->d, &t->out, false);
    assert_str(strbuf_view(&t->out), "b.yaml:1: error: line\n"
                                     "    1 | one\n"
                                     "b.yaml:2:8: error: bad `three?[1m`\n"
                                     "    2 | \ttwo \xc3\xa9 three?[1m\n"
                                     "      | \t      ^~~~~\n"
                                     "      = did you mean `tree`?\n"
                                     "a.yaml:1:2: warning: hm\n"
                                     "    1 | first\n"
                                     "      |  ^\n"
                                     "c.yaml: error: cannot be read\n");
    assert_int_equal(t->d.errors, 3);
    assert_int_equal(t->d.warnings, 1);
}

static void prints_json(void **state)
{
    struct reading *t = *state;
    diag_add(&t->d, DIAG_ERROR, "a.yaml", 3, 4, "bad \"x\"")->hint = STR("h");
    diag_add(&t->d, DIAG_WARNING, NULL, 0, 0, "w");
    diags_json(&t->d, &t->out);
    assert_str(strbuf_view(&t->out), "[{\"level\":\"error\",\"file\":\"a.yaml\",\"line\":3,\"col\":4,"
                                     "\"text\":\"bad \\\"x\\\"\",\"hint\":\"h\"},"
                                     "{\"level\":\"warning\",\"file\":null,\"line\":0,\"col\":0,"
                                     "\"text\":\"w\",\"hint\":null}]");
}

static void shows_part_of_a_long_line(void **state)
{
    struct reading *t = *state;
    char line[1000];
    const char *caret;
    memset(line, '.', sizeof line);
    line[700] = 'X';
    diags_add_source(&t->d, "a", (struct str){ line, sizeof line });
    diag_add(&t->d, DIAG_ERROR, "a", 1, 701, "x");
    diags_print(&t->d, &t->out, false);
    caret = strchr(t->out.p, '^');
    assert_true(t->out.n < 500);
    assert_int_equal(strchr(t->out.p, 'X') - strstr(t->out.p, "    1 |"), caret - strstr(t->out.p,
      "      |"));
}

static void keeps_fifty(void **state)
{
    struct reading *t = *state;
    for (int i = 0; i < 60; i++) diag_add(&t->d, DIAG_ERROR, "a", 0, 0, "e%d", i)->hint = STR("h");
    diag_add(&t->d, DIAG_WARNING, "a", 0, 0, "w");
    assert_int_equal(t->d.errors, 60);
    assert_int_equal(t->d.items.n, 51);
    assert_int_equal(t->d.held, 10);
    diags_print(&t->d, &t->out, false);
    assert_non_null(strstr(t->out.p, "... and 10 more\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(builds_the_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(get_and_null, setup, teardown),
        cmocka_unit_test_teardown(reports_each_mistake, teardown),
        cmocka_unit_test_setup_teardown(reports_ten_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds_depth, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_a_wall_of_brackets, setup, teardown),
        cmocka_unit_test_setup_teardown(prints_like_a_compiler, setup, teardown),
        cmocka_unit_test_setup_teardown(prints_json, setup, teardown),
        cmocka_unit_test_setup_teardown(shows_part_of_a_long_line, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_fifty, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
