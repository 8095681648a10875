/* silence: making, listing and ending silences of the running server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "cli/call.h"
#include "cli/table.h"

const char silence_help[] =
    "Holds the messages of incidents whose hits all match, until it ends; nothing is lost, and what is still open then is told.\n"
    "\n"
    "  runbell silence add --when '{task: sync-*, env: prod}' --for 2h --why 'database is moved'\n"
    "  runbell silence add --rule retry-storm --until-resolved --why 'known, being mended'\n"
    "  runbell silence list\n"
    "  runbell silence end sil_...\n"
    "\n"
    "--when is what a rule's `when` is. With --until-resolved it ends with the last incident that it holds, after 7 days at the\n"
    "latest, or after --for. Who makes one says why: it stands in the timeline of every incident that is held.";

static void print_silences(struct call *c)
{
    struct table t;
    struct json list = json_get_c(c->answer, "data");
    table_init(&t, (const char *const[]){ "ID", "STATE", "RULE", "WHEN", "ENDS", "UNTIL RESOLVED", "WHO", "WHY" }, 8);
    for (struct json s = json_first(list); json_kind(s) != JSON_ABSENT; s = json_next(s)) {
        table_cell(&t, call_text(s, "id"));
        table_cell(&t, call_text(s, "state"));
        table_cell(&t, call_text(s, "rule"));
        table_cell(&t, call_text(s, "when"));
        table_cell(&t, json_present(json_get_c(s, "ended_at")) ? call_text(s, "ended_at") : call_text(s, "ends_at"));
        table_cell(&t, json_bool(json_get_c(s, "until_resolved"), false) ? STR("yes") : STR(""));
        table_cell(&t, call_text(s, "who"));
        table_cell(&t, call_text(s, "why"));
    }
    table_print(&t);
    table_fini(&t);
}

struct silence_options { const char *when, *rule, *span, *who, *why; bool until_resolved, all; };

static int add(struct call *c, const struct silence_options *o)
{
    struct strbuf body;
    struct json_writer w;
    int rc;
    strbuf_init(&body, 65536);
    json_writer_init(&w, &body);
    json_object_begin(&w);
    json_field_opt(&w, "when", str_c(o->when));
    json_field_opt(&w, "rule", str_c(o->rule));
    json_field_opt(&w, "for", str_c(o->span));
    if (o->until_resolved) json_field_bool(&w, "until_resolved", true);
    json_field_opt(&w, "who", str_c(o->who));
    json_field_opt(&w, "why", str_c(o->why));
    json_object_end(&w);
    rc = call(c, "POST", "/v1/silences", strbuf_view(&body));
    if (rc == EXIT_FINE && !c->json) printf("%.*s: holds until %.*s\n", STR_ARG(call_text(c->answer, "id")), STR_ARG(call_text(c->answer, "ends_at")));
    strbuf_fini(&body);
    return rc;
}

static int end(struct call *c, const struct silence_options *o, const char *id)
{
    struct arena a = { 0 };
    struct str who = o->who ? str_printf(&a, "?who=%.*s", STR_ARG(client_encode(&a, str_c(o->who)))) : STR("");
    int rc = call(c, "DELETE", str_printf(&a, "/v1/silences/%.*s%.*s", STR_ARG(client_encode(&a, str_c(id))), STR_ARG(who)).p, STR_NONE);
    if (rc == EXIT_FINE && !c->json) printf("%s: ended; what it held and is still open is told\n", id);
    arena_fini(&a);
    return rc;
}

static int list(struct call *c, const struct silence_options *o)
{
    int rc = call(c, "GET", o->all ? "/v1/silences?state=all" : "/v1/silences", STR_NONE);
    if (rc == EXIT_FINE && !c->json) print_silences(c);
    return rc;
}

static int wrong_verb(const char *verb)
{
    const struct str verbs[] = { STR("add"), STR("list"), STR("end") };
    struct str near = suggest_nearest(str_c(verb), verbs, 3);
    fprintf(stderr, "runbell silence: add, list or end, not `%s`", verb);
    if (near.n) fprintf(stderr, "; did you mean %.*s?", STR_ARG(near));
    fprintf(stderr, "\nTry: runbell silence --help\n");
    return EXIT_USAGE;
}

int cli_silence(int argc, char **argv)
{
    struct call c = { 0 };
    struct silence_options o = { .who = getenv("USER") };
    int operands, rc;
    bool ends;
    const struct arg_option options[] = {
        CALL_OPTIONS(&c),
        { "when", 0, "MATCH", "add: which hits, as in a rule: '{task: sync-*}'", &o.when, NULL },
        { "rule", 0, "NAME", "add: hits of this rule only", &o.rule, NULL },
        { "for", 0, "DUR", "add: so long, or with --until-resolved so long at most", &o.span, NULL },
        { "until-resolved", 0, NULL, "add: until what it holds is resolved", NULL, &o.until_resolved },
        { "by", 0, "WHO", "add, end: who does it (your user name)", &o.who, NULL },
        { "why", 0, "TEXT", "add: the reason", &o.why, NULL },
        { "all", 'a', NULL, "list: ended ones, too", NULL, &o.all },
    };
    rc = args_parse(command_find("silence"), options, sizeof options / sizeof *options, argc, argv, &operands, 1, 2);
    if (rc >= 0) return rc;
    ends = strcmp(argv[1], "end") == 0;
    if (!ends && strcmp(argv[1], "add") != 0 && strcmp(argv[1], "list") != 0) return wrong_verb(argv[1]);
    if (operands != (ends ? 2 : 1)) {
        fprintf(stderr, ends ? "runbell silence end: which? `runbell silence list` shows them\n" : "runbell silence %s takes no operand\n", argv[1]);
        return EXIT_USAGE;
    }
    if (ends) rc = end(&c, &o, argv[2]);
    else rc = strcmp(argv[1], "add") == 0 ? add(&c, &o) : list(&c, &o);
    return call_finish(&c, rc);
}
