/* Silences: who made them, of what, until when; making and ending them. What they do is the engine's (engine/silence.c). */
#include "base/id.h"
#include "base/suggest.h"
#include "base/timefmt.h"
#include "http/internal.h"

enum { DAY_MS = 86400000, UNTIL_RESOLVED_DAYS = 7, LONGEST_DAYS = 90, DIAGNOSTICS_MAX = 64 << 10, WHEN_MAX = 16384, WHO_MAX = 256, WHY_MAX = 2048 };

/* --- listing ------------------------------------------------------------------------------------------- */
static int64_t time_of(struct json o, const char *name)
{
    int64_t ms;
    return json_i64(json_get_c(o, name), &ms) ? ms : 0;
}

static void put_silence(struct json_writer *w, struct json o)
{
    bool ended = json_present(json_get_c(o, "ended"));
    json_object_begin(w);
    json_field_str(w, "id", json_str(json_get_c(o, "id")));
    json_field_str(w, "state", ended ? STR("ended") : STR("active"));
    json_field_opt(w, "rule", json_str(json_get_c(o, "rule")));
    json_field_opt(w, "when", json_str(json_get_c(o, "when")));
    json_field_opt(w, "who", json_str(json_get_c(o, "who")));
    json_field_opt(w, "why", json_str(json_get_c(o, "why")));
    http_put_time(w, "created_at", time_of(o, "made"));
    http_put_time(w, "ends_at", time_of(o, "until"));
    json_field_bool(w, "until_resolved", json_bool(json_get_c(o, "until_resolved"), false));
    http_put_time(w, "ended_at", time_of(o, "ended"));
    if (ended) json_field_opt(w, "ended_because", json_str(json_get_c(o, "end")));
    json_object_end(w);
}

static bool wants_ended(struct http_request *r, bool *ended)
{
    struct str state = target_query(&r->target, "state");
    *ended = str_eq_c(state, "all");
    if (str_absent(state) || *ended || str_eq_c(state, "active")) return true;
    http_problem(r, MHD_HTTP_BAD_REQUEST, "state is active (the default) or all");
    return false;
}

struct silence_rows { struct engine_cell_row *v; size_t n; };

static int read_rows(struct http_request *r, struct store_reader *s, struct str prefix, struct silence_rows *out, struct err *err)
{
    out->v = ARENA_ARRAY(&r->arena, struct engine_cell_row, ENGINE_SILENCES_MOST);
    return s->ops->cells(s, &r->arena, prefix, out->v, ENGINE_SILENCES_MOST, &out->n, err);
}

/* Newest first. */
static void put_rows(struct http_request *r, const struct silence_rows *rows, struct json_writer *w)
{
    struct err err = { 0 };
    for (size_t k = rows->n; k-- > 0;) {
        struct json o;
        if (json_parse(&r->arena, rows->v[k].blob, &json_own_limits, &o, NULL, &err) == 0) put_silence(w, o);
    }
}

/* Those in force first: the engine keeps so many of either at most. */
void api_silences(struct http_request *r, struct store_reader *s)
{
    struct silence_rows active = { 0 }, ended = { 0 };
    struct json_writer w;
    struct err err = { 0 };
    bool all;
    if (!wants_ended(r, &all)) return;
    if (read_rows(r, s, STR("s/"), &active, &err) < 0 || (all && read_rows(r, s, STR("x/"), &ended, &err) < 0)) {
        http_store_failed(r, &err);
        return;
    }
    w = http_list(r);
    put_rows(r, &active, &w);
    put_rows(r, &ended, &w);
    http_list_end(&w, "sil", 0);
}

/* --- making one ------------------------------------------------------------------------------------------ */
static const char form[] = "{\"when\": {\"task\": \"sync-*\"}, \"rule\": \"NAME\", \"for\": \"2h\", \"until_resolved\": true, \"who\": \"ann\", \"why\": \"...\"}; "
                           "`when` or `rule`, `for` or `until_resolved`, `who` and `why` are needed";

static bool is_wrong(struct http_request *r, const char *what)
{
    http_problem(r, MHD_HTTP_BAD_REQUEST, "%s A silence is %s", what, form);
    return false;
}

static bool keys_known(struct http_request *r, struct json root)
{
    const struct str known[] = { STR("when"), STR("rule"), STR("for"), STR("until_resolved"), STR("who"), STR("why") };
    enum { KNOWN = sizeof known / sizeof *known };
    for (struct json m = json_first(root); json_kind(m) != JSON_ABSENT; m = json_next(m)) {
        struct str near = suggest_nearest(json_key(m), known, KNOWN);
        bool found = false;
        for (size_t k = 0; k < KNOWN; k++) found |= str_eq(json_key(m), known[k]);
        if (found) continue;
        if (near.n) http_problem(r, MHD_HTTP_BAD_REQUEST, "unknown key `" STR_FMT "`, did you mean `" STR_FMT "`?", STR_ARG(json_key(m)), STR_ARG(near));
        else http_problem(r, MHD_HTTP_BAD_REQUEST, "unknown key `" STR_FMT "`. A silence is %s", STR_ARG(json_key(m)), form);
        return false;
    }
    return true;
}

static void put_mistakes(const struct diags *d, struct strbuf *out)
{
    strbuf_c(out, "`when` has mistakes:");
    for (size_t k = 0; k < d->items.n; k++) {
        const struct diag *one = &d->items.v[k];
        strbuf_printf(out, "\n%u:%u: " STR_FMT, one->line, one->col, STR_ARG(one->text));
        if (one->hint.n) strbuf_printf(out, " (" STR_FMT ")", STR_ARG(one->hint));
    }
}

static bool when_is_right(struct http_request *r, struct str text)
{
    struct rule_when when;
    struct diags d;
    struct strbuf mistakes;
    bool ok;
    diags_init(&d, &r->arena);
    strbuf_init(&mistakes, DIAGNOSTICS_MAX);
    ok = rule_when_compile(&r->arena, text, &when, &d);
    if (ok) {
        rule_when_fini(&when);
    } else {
        put_mistakes(&d, &mistakes);
        http_problem_at(r, MHD_HTTP_BAD_REQUEST, strbuf_view(&mistakes), NULL);
    }
    strbuf_fini(&mistakes);
    diags_fini(&d);
    return ok;
}

/* With no escapes but those that YAML knows, too: halves of a surrogate pair it does not. */
static void put_plain(struct json_writer *w, struct json v)
{
    enum json_kind kind = json_kind(v);
    if (kind == JSON_STRING) json_put_str(w, json_str(v));
    else if (kind != JSON_OBJECT && kind != JSON_ARRAY) json_put_value(w, v);
    else if (kind == JSON_OBJECT) json_object_begin(w);
    else json_array_begin(w);
    if (kind != JSON_OBJECT && kind != JSON_ARRAY) return;
    for (struct json m = json_first(v); json_kind(m) != JSON_ABSENT; m = json_next(m)) {
        if (kind == JSON_OBJECT) json_put_key(w, json_key(m));
        put_plain(w, m);
    }
    if (kind == JSON_OBJECT) json_object_end(w);
    else json_array_end(w);
}

static struct str object_text(struct http_request *r, struct json when)
{
    struct json_draft d;
    put_plain(json_draft_begin(&d, 4 * WHEN_MAX), when);
    return json_draft_end(&d, &r->arena);
}

static bool fits(struct http_request *r, const char *name, struct str text, size_t most)
{
    if (text.n <= most) return true;
    http_problem(r, MHD_HTTP_BAD_REQUEST, "`%s` has %zu bytes; at most %zu are taken", name, text.n, most);
    return false;
}

/* As text, of YAML or of JSON; or as an object. */
static bool read_when(struct http_request *r, struct json when)
{
    struct engine_command_input *c = &r->p.command;
    if (!json_present(when)) return true;
    if (json_kind(when) == JSON_OBJECT && !fits(r, "when", json_text(when), WHEN_MAX)) return false;
    c->when = json_kind(when) == JSON_OBJECT ? object_text(r, when) : json_str(when);
    if (c->when.n == 0) return is_wrong(r, "`when` is a match.");
    return fits(r, "when", c->when, WHEN_MAX) && when_is_right(r, c->when);
}

static bool read_rule(struct http_request *r, struct json rule)
{
    struct str name = json_str(rule);
    if (!json_present(rule)) return true;
    if (str_absent(name)) return is_wrong(r, "`rule` is a rule's name.");
    r->p.command.rule = name;
    if (ruleset_find(r->config->rules, name)) return true;
    {
        size_t n = r->config->rules->rule_count;
        struct str *names = ARENA_ARRAY(&r->arena, struct str, n + 1), near;
        for (size_t k = 0; k < n; k++) names[k] = r->config->rules->rules[k]->name;
        near = suggest_nearest(name, names, n);
        http_problem(r, MHD_HTTP_BAD_REQUEST, "no rule is called `" STR_FMT "`%s" STR_FMT "%s", STR_ARG(name), near.n ? ", did you mean `" : "", STR_ARG(near), near.n ? "`?" : "");
    }
    return false;
}

static bool read_time(struct http_request *r, struct json span, struct json until)
{
    struct engine_command_input *c = &r->p.command;
    c->until_resolved = json_bool(until, false);
    if (json_present(until) && json_kind(until) != JSON_BOOL) return is_wrong(r, "`until_resolved` is true or false.");
    if (!json_present(span) && !c->until_resolved) return is_wrong(r, "until when?");
    if (!json_present(span)) c->for_ms = (int64_t)UNTIL_RESOLVED_DAYS * DAY_MS;
    else if (!duration_parse(json_str(span), &c->for_ms) || c->for_ms < 1) return is_wrong(r, "`for` is a duration such as 30m or 2h.");
    if (c->for_ms <= (int64_t)LONGEST_DAYS * DAY_MS) return true;
    http_problem(r, MHD_HTTP_BAD_REQUEST, "a silence lasts %d days at most; for longer change the rule, or write a mute", LONGEST_DAYS);
    return false;
}

static bool read_author(struct http_request *r, struct json root)
{
    struct engine_command_input *c = &r->p.command;
    c->who = json_str(json_get_c(root, "who"));
    c->why = json_str(json_get_c(root, "why"));
    if (c->who.n && c->why.n) return fits(r, "who", c->who, WHO_MAX) && fits(r, "why", c->why, WHY_MAX);
    return is_wrong(r, "whoever wonders why nothing rings wants to know who did it and why.");
}

static bool read_silence(struct http_request *r)
{
    struct json root;
    struct err err = { 0 };
    struct http_place place;
    if (r->body.n == 0) return is_wrong(r, "there is no body.");
    if (json_parse(&r->arena, strbuf_view(&r->body), &json_default_limits, &root, &place.offset, &err) < 0) {
        place.line = err.line;
        place.col = err.col;
        http_problem_at(r, MHD_HTTP_BAD_REQUEST, str_c(err.msg), &place);
        return false;
    }
    if (json_kind(root) != JSON_OBJECT) return is_wrong(r, "the body is no object.");
    if (!keys_known(r, root) || !read_when(r, json_get_c(root, "when")) || !read_rule(r, json_get_c(root, "rule"))) return false;
    if (r->p.command.when.n == 0 && r->p.command.rule.n == 0) return is_wrong(r, "what is silenced?");
    return read_time(r, json_get_c(root, "for"), json_get_c(root, "until_resolved")) && read_author(r, root);
}

int api_silence_prepare(struct http_request *r)
{
    r->p.kind = PIPELINE_COMMAND;
    r->p.command.what = ENGINE_SILENCE;
    return read_silence(r) ? 0 : -1;
}

static bool is_stored(struct http_request *r)
{
    if (r->p.status == PIPELINE_DONE) return true;
    http_busy(r, r->p.err.msg[0] ? r->p.err.msg : "not stored");
    return false;
}

void api_silence_finish(struct http_request *r)
{
    struct json_writer w;
    if (r->p.status == PIPELINE_NOT_FOUND) {
        http_problem(r, MHD_HTTP_CONFLICT, "there are %d silences in force already: end some, or write a mute", ENGINE_SILENCES_MOST);
        return;
    }
    if (!is_stored(r)) return;
    w = http_json(r, MHD_HTTP_CREATED);
    json_object_begin(&w);
    http_put_id(&w, "id", "sil", r->p.command_id);
    http_put_time(&w, "ends_at", r->p.arrival_ms + r->p.command.for_ms);
    json_field_bool(&w, "until_resolved", r->p.command.until_resolved);
    json_object_end(&w);
}

/* --- ending one ------------------------------------------------------------------------------------------- */
int api_silence_end_prepare(struct http_request *r)
{
    r->p.kind = PIPELINE_COMMAND;
    r->p.command.what = ENGINE_SILENCE_END;
    r->p.command.who = target_query(&r->target, "who");
    return http_id_segment(r, 2, "sil", &r->p.command.incident) ? 0 : -1;
}

void api_silence_end_finish(struct http_request *r)
{
    struct json_writer w;
    if (r->p.status == PIPELINE_NOT_FOUND) {
        http_problem(r, MHD_HTTP_NOT_FOUND, "no such active silence");
        return;
    }
    if (!is_stored(r)) return;
    w = http_json(r, MHD_HTTP_OK);
    json_object_begin(&w);
    http_put_id(&w, "id", "sil", r->p.command.incident);
    json_field_str(&w, "done", STR("ended"));
    json_object_end(&w);
}
