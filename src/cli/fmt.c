/* fmt: files in their canonical form: the order of keys that the language's tables have, two blanks for each level,
 * comments kept. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/language.h"
#include "yaml/format.h"

enum { FILE_CEILING = 16 << 20, OUT_CEILING = 32 << 20, OPERANDS_MAX = 1000, DEPTH_MAX = 64 };

const char fmt_help[] =
    "Lays files of configuration and rules out anew: keys in the order of the reference, two blanks for each level,\n"
    "at most one blank line in a row. Comments stay with what they speak of; values, and what stands on one line,\n"
    "stay as they were written; the tests of a `when` keep their order. A file that is not YAML is left alone and its\n"
    "mistakes are told. The result is read again before it is written: it says the same as before.\n"
    "\n"
    "  runbell fmt runbell.yaml rules/*.yaml     writes those that change, and names them\n"
    "  runbell fmt --check rules/*.yaml          changes nothing; exit status 1 when some file would\n"
    "  runbell fmt -                             from standard input to standard output";

/* --- the order of keys ------------------------------------------------------------------------------------- */
static struct json schema_of(struct language *l, const char *text)
{
    struct json v = { 0 };
    struct err err;
    if (!text || json_parse(&l->a, str_c(text), &json_own_limits, &v, NULL, &err) < 0) return (struct json){ 0 };
    return v;
}

/* What a map or list of that schema is made of: a table, or a schema without references. */
struct made_of { const struct field_table *table; struct json schema; };

static bool find_made_of(struct language *l, struct json schema, enum yaml_kind kind, int depth, struct made_of *out)
{
    struct json any = json_get_c(schema, "anyOf");
    struct str ref = json_str(json_get_c(schema, "$ref")), type = json_str(json_get_c(schema, "type"));
    const struct field_part *part = ref.n > 8 ? language_part(l, str_sub(ref, 8, ref.n)) : NULL; /* behind #/$defs/ */
    if (depth == 0) return false;
    if (part && part->table) {
        *out = (struct made_of){ .table = part->table };
        return kind == YAML_MAP;
    }
    if (part) return find_made_of(l, schema_of(l, part->schema), kind, depth - 1, out);
    for (struct json k = json_first(any); json_kind(k) != JSON_ABSENT; k = json_next(k))
        if (find_made_of(l, k, kind, depth - 1, out)) return true;
    *out = (struct made_of){ .schema = schema };
    return str_eq_c(type, kind == YAML_MAP ? "object" : "array");
}

/* The place of a member: unknown ones come last, in the order they have. */
static size_t rank_of(const struct made_of *m, const struct yaml_node *member)
{
    struct json first = json_get_c(m->schema, "properties");
    size_t k = 0;
    if (m->table) {
        while (k < m->table->n && !str_eq_c(member->key, m->table->fields[k].name)) k++;
        return k;
    }
    return json_kind(json_get(first, member->key)) == JSON_ABSENT; /* what decides, `type`, comes first */
}

static void sort_members(struct arena *a, struct yaml_node *map, const struct made_of *m)
{
    struct yaml_node **v = ARENA_ARRAY(a, struct yaml_node *, map->count + 1);
    size_t n = 0, ranks = (m->table ? m->table->n : 1) + 1;
    for (size_t rank = 0; rank < ranks; rank++)
        for (struct yaml_node *k = map->first; k; k = k->next)
            if (rank_of(m, k) == rank) v[n++] = k;
    if (n != map->count) return;
    for (size_t k = 0; k < n; k++) v[k]->next = k + 1 < n ? v[k + 1] : NULL;
    if (n) map->first = v[0];
}

static struct json member_schema(struct language *l, const struct made_of *m, const struct yaml_node *member)
{
    size_t k = m->table ? rank_of(m, member) : 0;
    if (!m->table) return json_get_c(m->schema, "additionalProperties");
    return k < m->table->n ? schema_of(l, m->table->fields[k].schema) : (struct json){ 0 };
}

/* A `when` reads as its author wrote it. */
static bool is_ordered(const struct made_of *m)
{
    return m->table ? strcmp(m->table->name, "match") != 0 : json_kind(json_get_c(m->schema, "properties")) == JSON_OBJECT;
}

static void order(struct language *l, struct yaml_node *n, struct json schema, int depth)
{
    struct made_of m;
    if (n->kind == YAML_SCALAR || depth == 0 || !find_made_of(l, schema, n->kind, DEPTH_MAX, &m)) return;
    for (struct yaml_node *k = n->first; k; k = k->next)
        order(l, k, n->kind == YAML_SEQ ? json_get_c(m.schema, "items") : member_schema(l, &m, k), depth - 1);
    if (n->kind == YAML_MAP && is_ordered(&m)) sort_members(&l->a, n, &m);
}

/* --- one file ------------------------------------------------------------------------------------------------ */
struct formatting {
    struct language language;
    bool check;
};

static int report(struct diags *d)
{
    struct strbuf text;
    diags_sort(d);
    strbuf_init(&text, 4 << 20);
    diags_print(d, &text, use_color(STDERR_FILENO));
    if (text.n) fputs(text.p, stderr);
    strbuf_fini(&text);
    return EXIT_WRONG;
}

/* Beside the file first, so that it is there whole or as it was; the file keeps its permissions. */
static int replace(struct arena *a, const char *path, struct str text)
{
    const char *part = str_printf(a, "%s.part", path).p;
    struct stat st;
    FILE *to = fopen(part, "w");
    bool ok = to && stat(path, &st) == 0 && fchmod(fileno(to), st.st_mode & 07777) == 0 && fwrite(text.p, 1, text.n, to) == text.n;
    ok &= to && fclose(to) == 0;
    if (ok && rename(part, path) == 0) return EXIT_FINE;
    fprintf(stderr, "runbell fmt: cannot write %s: %m\n", path);
    if (to) unlink(part);
    return EXIT_UNREACHED;
}

static int deliver(struct formatting *f, struct arena *a, const char *path, struct str before, struct str after)
{
    bool same = str_eq(before, after), in_place = strcmp(path, "-") != 0;
    if (!in_place && !f->check) fwrite(after.p, 1, after.n, stdout);
    if (same) return EXIT_FINE;
    if (f->check) {
        printf("%s\n", path);
        return EXIT_WRONG;
    }
    if (!in_place) return EXIT_FINE;
    printf("%s\n", path);
    return replace(a, path, after);
}

static int format_text(struct formatting *f, struct arena *a, const char *path, struct str text, struct diags *d)
{
    struct yaml_node *top = yaml_read(a, path, text, d);
    struct strbuf out;
    int rc;
    if (!top || d->errors) return report(d);
    order(&f->language, top, schema_of(&f->language, "{\"$ref\":\"#/$defs/file\"}"), DEPTH_MAX);
    strbuf_init(&out, OUT_CEILING);
    if (yaml_format(a, top, text, &out)) {
        rc = deliver(f, a, path, text, strbuf_view(&out));
    } else {
        fprintf(stderr, "runbell fmt: %s: left alone, it cannot be laid out anew without a change of what it says\n", path);
        rc = EXIT_WRONG;
    }
    strbuf_fini(&out);
    return rc;
}

static int format_file(struct formatting *f, const char *path)
{
    struct arena a = { 0 };
    struct diags d;
    struct err err;
    struct str text;
    int rc = EXIT_UNREACHED;
    diags_init(&d, &a);
    if (file_read(&a, path, FILE_CEILING, &text, &err) < 0) {
        fprintf(stderr, "runbell fmt: %s\n", err.msg);
    } else {
        diags_add_source(&d, path, text);
        rc = format_text(f, &a, path, text, &d);
    }
    diags_fini(&d);
    arena_fini(&a);
    return rc;
}

int cli_fmt(int argc, char **argv)
{
    struct formatting f = { .check = false };
    int operands, rc, worst = EXIT_FINE;
    const struct arg_option options[] = { { "check", 0, NULL, "only name the files that would change", NULL, &f.check } };
    rc = args_parse(command_find("fmt"), options, 1, argc, argv, &operands, 1, OPERANDS_MAX);
    if (rc >= 0) return rc;
    rc = language_open(&f.language);
    for (int k = 1; k <= operands && rc == EXIT_FINE; k++) {
        int one = format_file(&f, argv[k]);
        if (one > worst) worst = one;
    }
    language_close(&f.language);
    return rc != EXIT_FINE ? rc : worst;
}
