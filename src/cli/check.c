/* check, providers, version: commands that need no server. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/check_live.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "yaml/diag.h"

const char check_help[] =
    "Reads the configuration (or one file of rules) and everything it includes, and reports all mistakes at\n"
    "once, each with its place, the line and a suggestion. Secrets that cannot be resolved here are warnings.\n"
    "Exit status 1 when there is an error.\n"
    "--live also reads the log of the configuration's store, beside a server that may be running, and warns of tasks,\n"
    "tags, queues and environments in the rules that no event of it has: a misspelt name never rings.";

static struct config *load_any(const char *path, bool rules_only, struct diags *d)
{
    return rules_only ? config_load_rules(path, d) : config_load(path, true, d);
}

static void print_json(const struct diags *d, const struct config *c, const struct seen *seen)
{
    struct strbuf out;
    struct json_writer w;
    strbuf_init(&out, 16 << 20);
    strbuf_printf(&out, "{\"ok\":%s,\"errors\":%zu,\"warnings\":%zu,\"rules\":%zu,\"diagnostics\":", c ? "true" : "false", d->errors,
                  d->warnings, c ? c->rules->rule_count : 0);
    diags_json(d, &out);
    if (seen) {
        strbuf_c(&out, ",\"live\":");
        json_writer_init(&w, &out);
        check_live_write(seen, &w);
    }
    strbuf_c(&out, "}\n");
    fputs(out.p, stdout);
    strbuf_fini(&out);
}

static void print_text(const char *path, const struct diags *d, const struct config *c, const struct seen *seen)
{
    struct strbuf out;
    strbuf_init(&out, 16 << 20);
    diags_print(d, &out, use_color(STDERR_FILENO));
    fputs(out.p, stderr);
    strbuf_fini(&out);
    if (!c)
        fprintf(stderr, "%zu error%s, %zu warning%s\n", d->errors, d->errors == 1 ? "" : "s", d->warnings, d->warnings == 1 ? "" : "s");
    else
        printf("%s: fine, %zu rule%s, %zu source%s, %zu destination%s%s\n", path, c->rules->rule_count, c->rules->rule_count == 1 ? "" : "s",
               c->source_count, c->source_count == 1 ? "" : "s", c->destination_count, c->destination_count == 1 ? "" : "s",
               d->warnings ? ", with warnings" : "");
    if (seen) check_live_print(seen);
}

/* A file of rules has no store: the configuration's is asked. */
static int look_live(const struct config *c, const char *config, bool rules_only, struct diags *d, struct seen *seen)
{
    int rc = EXIT_FINE;
    struct config *from = rules_only ? config_or_explain(config_path(config), true, false, &rc) : config_ref((struct config *)(uintptr_t)c);
    if (from) rc = check_live(c, from, d, seen);
    config_unref(&from);
    if (rc == EXIT_FINE) diags_sort(d);
    return rc;
}

/* A file with rules and neither sources nor destinations is one that others include. */
static bool looks_like_rules(const char *path)
{
    struct arena a = { 0 };
    struct diags d;
    struct config *c;
    bool yes;
    diags_init(&d, &a);
    c = config_load_rules(path, &d);
    yes = c && c->file_count > 0 && !yaml_get(c->files[0].top, "sources") && !yaml_get(c->files[0].top, "destinations") &&
          !yaml_get(c->files[0].top, "include");
    config_unref(&c);
    diags_fini(&d);
    arena_fini(&a);
    return yes;
}

int cli_check(int argc, char **argv)
{
    const char *path, *config = NULL;
    bool json = false, rules = false, live = false;
    struct arena a = { 0 };
    struct diags d;
    struct config *c;
    struct seen seen = { .wanted = NULL };
    int operands, rc;
    const struct arg_option options[] = {
        { "config", 'c', "FILE", "configuration (runbell.yaml, or RUNBELL_CONFIG)", &config, NULL },
        { "json", 0, NULL, "the result as JSON on standard output", NULL, &json },
        { "rules", 0, NULL, "the file holds rules alone: any destination may be named", NULL, &rules },
        { "live", 0, NULL, "also warn of names that the store's log has never seen", NULL, &live },
    };
    rc = args_parse(command_find("check"), options, 4, argc, argv, &operands, 0, 1);
    if (rc >= 0) return rc;
    path = operands ? argv[1] : config_path(config);
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "runbell check: cannot read %s: %m\n", path);
        return EXIT_UNREACHED;
    }
    diags_init(&d, &a);
    rules |= operands && looks_like_rules(path);
    c = load_any(path, rules, &d);
    rc = !c ? EXIT_WRONG : live ? look_live(c, config, rules, &d, &seen) : EXIT_FINE;
    live &= c && rc == EXIT_FINE;
    if (json)
        print_json(&d, c, live ? &seen : NULL);
    else
        print_text(path, &d, c, live ? &seen : NULL);
    seen_fini(&seen);
    config_unref(&c);
    diags_fini(&d);
    arena_fini(&a);
    return rc;
}

/* --- providers -------------------------------------------------------------------------------------------------------- */
static struct json describe(struct arena *a, const struct notify_provider *p)
{
    struct json_draft d;
    struct json v = { 0 };
    struct err err;
    notify_provider_describe(p, json_draft_begin(&d, 1 << 20));
    if (json_parse(a, json_draft_end(&d, a), &json_default_limits, &v, NULL, &err) < 0) v = (struct json){ 0 };
    return v;
}

static void print_provider(struct json v)
{
    struct json params = json_get_c(v, "params");
    printf("%.*s: %.*s\n\n", STR_ARG(json_str(json_get_c(v, "name"))), STR_ARG(json_str(json_get_c(v, "about"))));
    printf("  type: %.*s\n", STR_ARG(json_str(json_get_c(v, "type"))));
    for (struct json p = json_first(params); json_kind(p) != JSON_ABSENT; p = json_next(p))
        printf("  %-14.*s %s%s %.*s\n", STR_ARG(json_str(json_get_c(p, "name"))), json_bool(json_get_c(p, "required"), false) ? "required" : "optional",
               json_bool(json_get_c(p, "secret"), false) ? ", secret:" : ":", STR_ARG(json_str(json_get_c(p, "help"))));
    printf("\n%.*s\n", STR_ARG(json_text(v)));
}

int cli_providers(int argc, char **argv)
{
    bool json = false;
    struct arena a = { 0 };
    struct diags d;
    struct notify_providers *all;
    const struct notify_provider *list[128];
    struct table t;
    size_t n, shown = 0;
    int operands, rc;
    const struct arg_option options[] = { { "json", 0, NULL, "as JSON", NULL, &json } };
    rc = args_parse(command_find("providers"), options, 1, argc, argv, &operands, 0, 1);
    if (rc >= 0) return rc;
    diags_init(&d, &a);
    all = notify_providers_load(&a, &d);
    n = all ? notify_providers_list(all, list, 128) : 0;
    table_init(&t, (const char *const[]){ "NAME", "TYPE", "WHAT" }, 3);
    if (json && !operands) printf("[");
    for (size_t k = 0; k < n; k++) {
        struct json v = describe(&a, list[k]);
        if (operands && !str_eq_c(notify_provider_name(list[k]), argv[1]) && !str_eq_c(json_str(json_get_c(v, "type")), argv[1])) continue;
        if (json)
            printf("%s%.*s", shown && !operands ? "," : "", STR_ARG(json_text(v)));
        else if (operands)
            print_provider(v);
        table_cell(&t, notify_provider_name(list[k]));
        table_cell(&t, json_str(json_get_c(v, "type")));
        table_cell(&t, json_str(json_get_c(v, "about")));
        shown++;
    }
    if (json) printf("%s\n", operands ? "" : "]");
    if (!json && !operands) table_print(&t);
    if (shown == 0) fprintf(stderr, "runbell providers: there is none called %s; `runbell providers` lists them\n", operands ? argv[1] : "");
    table_fini(&t);
    diags_fini(&d);
    arena_fini(&a);
    return shown ? EXIT_FINE : EXIT_WRONG;
}

/* --- version ---------------------------------------------------------------------------------------------------------------- */
int cli_version(int argc, char **argv)
{
    bool json = false;
    int operands, rc;
    const struct arg_option options[] = { { "json", 0, NULL, "as JSON", NULL, &json } };
    rc = args_parse(command_find("version"), options, 1, argc, argv, &operands, 0, 0);
    if (rc >= 0) return rc;
    if (json)
        printf("{\"version\":\"%s\"}\n", RUNBELL_VERSION);
    else
        printf("runbell %s\n", RUNBELL_VERSION);
    return EXIT_FINE;
}
