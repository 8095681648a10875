/* schema, docs: the language as its own tables tell it, for editors and for people. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/language.h"
#include "replay/tests.h"

enum { LANGUAGE_CEILING = 4 << 20 };

int language_open(struct language *l)
{
    struct notify_providers *providers;
    memset(l, 0, sizeof *l);
    diags_init(&l->d, &l->a);
    providers = notify_providers_load(&l->a, &l->d);
    if (!providers) {
        fprintf(stderr, "runbell: the descriptors of destinations cannot be read\n");
        return EXIT_WRONG;
    }
    l->config.v = config_parts(&l->a, providers, &l->config.n);
    l->rules.v = rule_parts(&l->a, &l->rules.n);
    l->tests.v = test_parts(&l->tests.n);
    return EXIT_FINE;
}

void language_close(struct language *l)
{
    diags_fini(&l->d);
    arena_fini(&l->a);
}

const struct field_part *language_part(const struct language *l, struct str name)
{
    const struct language_parts all[] = { l->config, l->rules, l->tests };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        for (size_t i = 0; i < all[k].n; i++)
            if (str_eq_c(name, all[k].v[i].name)) return &all[k].v[i];
    return NULL;
}

/* Takes as long as the reader of a pipe allows; a reader that left is no mistake of ours. */
static void print(struct strbuf *out)
{
    fwrite(out->p, 1, out->n, stdout);
    fflush(stdout);
}

/* --- schema ---------------------------------------------------------------------------------------------- */
const char schema_help[] =
    "Prints the JSON Schema (draft 2020-12) of a whole configuration: keys, values, what each destination of this\n"
    "binary takes. Editors complete and check by it:\n"
    "\n"
    "  runbell schema > runbell.schema.json\n"
    "  # yaml-language-server: $schema=runbell.schema.json      (the first line of runbell.yaml)\n"
    "\n"
    "It comes from the tables that read the configuration. `runbell check` knows more: names, secrets, templates.";

static void put_schema(const struct language *l, bool rules, struct strbuf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_object_begin(&w);
    json_field_str(&w, "$schema", STR("https://json-schema.org/draft/2020-12/schema"));
    json_field_str(&w, "title", rules ? STR("runbell rules") : STR("runbell configuration"));
    json_field_str(&w, "$comment", STR("printed by runbell " RUNBELL_VERSION));
    json_field_str(&w, "$ref", rules ? STR("#/$defs/included") : STR("#/$defs/file"));
    json_put_key(&w, STR("$defs"));
    json_object_begin(&w);
    field_parts_schema(l->config.v, l->config.n, &w);
    field_parts_schema(l->rules.v, l->rules.n, &w);
    field_parts_schema(l->tests.v, l->tests.n, &w);
    json_object_end(&w);
    json_object_end(&w);
    strbuf_char(out, '\n');
}

int cli_schema(int argc, char **argv)
{
    struct language l;
    struct strbuf out;
    bool rules = false, json = false;
    int operands, rc;
    const struct arg_option options[] = {
        { "rules", 0, NULL, "of a file of rules that a configuration includes", NULL, &rules },
        { "json", 0, NULL, "accepted as everywhere: a schema is JSON", NULL, &json },
    };
    rc = args_parse(command_find("schema"), options, 2, argc, argv, &operands, 0, 0);
    if (rc >= 0) return rc;
    rc = language_open(&l);
    if (rc == EXIT_FINE) {
        strbuf_init(&out, LANGUAGE_CEILING);
        put_schema(&l, rules, &out);
        print(&out);
        strbuf_fini(&out);
    }
    language_close(&l);
    return rc;
}

/* --- docs -------------------------------------------------------------------------------------------------- */
const char docs_help[] =
    "Prints the reference of the configuration as Markdown: every key with its type, its default and what it means,\n"
    "and every destination that this binary can tell. It comes from the tables that read the configuration.";

static void put_part_list(struct strbuf *out, const char *title, const char *about, const struct field_part *v, size_t n)
{
    strbuf_printf(out, "\n## %s\n\n%s\n", title, about);
    field_parts_docs(v, n, out);
}

static void put_docs(const struct language *l, struct strbuf *out)
{
    strbuf_c(out, "# Reference\n\n"
                  "Every key of the configuration, printed by `runbell docs` from the tables that read it. To learn the language, read\n"
                  "[rules.md](rules.md); for editors there is `runbell schema`. A duration is `30s`, `5m`, `1h30m`, `7d`; a size is `512`,\n"
                  "`64KiB`, `10GiB`. A secret is `\"${env:NAME}\"` or `\"${file:PATH}\"`.\n");
    put_part_list(out, "Configuration", "The file that `-c` names.", l->config.v, l->config.n);
    put_part_list(out, "Rules", "When these runs happen, tell those people.", l->rules.v, l->rules.n);
    put_part_list(out, "Tests", "They stand beside the rules, under `tests:`.", l->tests.v, l->tests.n);
}

int cli_docs(int argc, char **argv)
{
    struct language l;
    struct strbuf out;
    int operands, rc = args_parse(command_find("docs"), NULL, 0, argc, argv, &operands, 0, 0);
    if (rc >= 0) return rc;
    rc = language_open(&l);
    if (rc == EXIT_FINE) {
        strbuf_init(&out, LANGUAGE_CEILING);
        put_docs(&l, &out);
        print(&out);
        strbuf_fini(&out);
    }
    language_close(&l);
    return rc;
}
