#include "source/webhook.h"

#include "base/vec.h"

struct decoding {
    struct arena *arena;
    const struct config_source *source;
    struct source_batch *out;
    size_t items_max;
};

void source_settle(const struct config_source *source, struct run *run)
{
    run->project = source->project.n ? source->project : STR("default");
    if (source->env.n) run->env = source->env;
    if (!run->env.n) run->env = STR("default");
}

/* Room for n items, so that decoding never moves what was decoded. */
static void reserve(struct decoding *d, size_t n)
{
    d->out->reports = arena_alloc(d->arena, n * sizeof *d->out->reports);
    d->out->faults = NULL;
    d->out->report_count = d->out->fault_count = 0;
}

static void add_fault(struct decoding *d, size_t index, struct str text, size_t room)
{
    if (!d->out->faults) d->out->faults = arena_alloc(d->arena, room * sizeof *d->out->faults);
    d->out->faults[d->out->fault_count++] = (struct source_fault){ index, text };
}

static bool is_object(struct json v)
{
    return json_kind(v) == JSON_OBJECT;
}

/* Channels made long ago send no envelope: the organization is what tells their bodies from wrapped runs. */
static bool is_bare_alert(struct json root)
{
    return is_object(json_get_c(root, "organization")) && is_object(json_get_c(root, "environment")) &&
           (is_object(json_get_c(root, "run")) || is_object(json_get_c(root, "deployment")));
}

bool source_is_alert(struct json root)
{
    return json_present(json_get_c(root, "webhookVersion")) || is_object(json_get_c(root, "object")) ||
           str_starts(json_str(json_get_c(root, "type")), STR("alert.")) || is_bare_alert(root);
}

/* People will point Trigger.dev's alert webhook at the wrong path: say what it is. */
static struct str fault_text(struct decoding *d, struct json item, const struct err *err)
{
    if (source_is_alert(item))
        return STR("a Trigger.dev alert webhook, not a run object: it belongs to a source of type "
                   "trigger-webhook");
    return str_dup(d->arena, str_c(err->msg));
}

static void decode_item(struct decoding *d, struct json item, size_t index, size_t room)
{
    struct err err = { 0 };
    struct source_report *report = &d->out->reports[d->out->report_count];
    struct json run = json_get_c(item, "run");
    if (!is_object(item)) {
        add_fault(d, index, STR("not an object: a run is expected"), room);
        return;
    }
    run_init(&report->run);
    if (run_decode(d->arena, is_object(run) ? run : item, &report->run, &err) < 0) {
        add_fault(d, index, fault_text(d, item, &err), room);
        return;
    }
    source_settle(d->source, &report->run);
    report->index = index;
    d->out->report_count++;
}

static enum source_result finish(struct decoding *d, size_t items, struct err *err)
{
    if (d->out->report_count) return SOURCE_DECODED;
    if (!d->out->faults)
        err_set(err, ERR_TYPE, "no run in it");
    else if (items == 1)
        err_set(err, ERR_TYPE, STR_FMT, STR_ARG(d->out->faults[0].text));
    else
        err_set(err, ERR_TYPE, "none of its %zu items could be taken; the first: " STR_FMT, items,
                STR_ARG(d->out->faults[0].text));
    return SOURCE_NOTHING;
}

static enum source_result too_many(const struct decoding *d, size_t items, struct err *err)
{
    err_set(err, ERR_LIMIT, "%zu items in one body; at most %zu are taken", items, d->items_max);
    return SOURCE_TOO_LARGE;
}

static enum source_result decode_list(struct decoding *d, struct json list, struct err *err)
{
    size_t n = json_count(list), index = 0;
    if (n > d->items_max) return too_many(d, n, err);
    reserve(d, n);
    for (struct json item = json_first(list); json_kind(item) != JSON_ABSENT; item = json_next(item))
        decode_item(d, item, index++, n);
    return finish(d, n, err);
}

static enum source_result decode_root(struct decoding *d, struct json root, struct err *err)
{
    struct json page = json_get_c(root, "data");
    if (json_kind(root) == JSON_ARRAY) return decode_list(d, root, err);
    if (json_kind(page) == JSON_ARRAY && !json_present(json_get_c(root, "id")))
        return decode_list(d, page, err);
    reserve(d, 1);
    decode_item(d, root, 0, 1);
    return finish(d, 1, err);
}

/* --- NDJSON ---------------------------------------------------------------------------------------- */

/* The next line that is not blank, trimmed; *number counts all lines. */
static bool next_line(struct str *rest, size_t *number, struct str *line)
{
    while (str_split(rest, '\n', line)) {
        ++*number;
        *line = str_trim(*line);
        if (line->n) return true;
    }
    return false;
}

static size_t count_lines(struct str body)
{
    struct str line;
    size_t n = 0, number = 0;
    while (next_line(&body, &number, &line)) n++;
    return n;
}

/* No valid text has more tokens than this (c-style.md section 4). The reader bounds one line; the lines of
 * one body are bounded together. */
static size_t tokens_at_most(struct str body)
{
    size_t n = 1;
    bool in_string = false;
    for (size_t i = 0; i < body.n; i++) {
        char c = body.p[i];
        if (c == '\\' && in_string) {
            i++;
        } else if (c == '"' || c == '\n') {
            in_string = c == '"' && !in_string; /* no string passes a line's end */
        } else if (!in_string) {
            n += c == ',' || c == ':' || c == '{' || c == '[';
        }
    }
    return n;
}

static void decode_line(struct decoding *d, struct str line, size_t number, size_t index, size_t room)
{
    struct err err = { 0 };
    struct json root;
    struct json_limits limits = json_default_limits;
    limits.bytes = line.n;
    if (json_parse(d->arena, line, &limits, &root, NULL, &err) == 0) {
        decode_item(d, root, index, room);
        return;
    }
    add_fault(d, index, str_printf(d->arena, "line %zu, column %u: %s", number, err.col, err.msg), room);
}

static enum source_result decode_lines(struct decoding *d, struct str body, struct err *err)
{
    size_t n = count_lines(body), index = 0, number = 0;
    struct str line;
    if (n > d->items_max) return too_many(d, n, err);
    if (tokens_at_most(body) > json_default_limits.tokens) {
        err_set(err, ERR_LIMIT, "more than %zu JSON tokens", json_default_limits.tokens);
        return SOURCE_TOO_LARGE;
    }
    reserve(d, n);
    while (next_line(&body, &number, &line)) decode_line(d, line, number, index++, n);
    return finish(d, n, err);
}

/* Several root objects on lines of their own: the first line is a whole object and another one follows. */
static bool looks_like_lines(struct arena *a, struct str body)
{
    struct str first, second;
    struct json root;
    struct err err;
    size_t number = 0;
    struct json_limits limits = json_default_limits;
    if (!next_line(&body, &number, &first) || !next_line(&body, &number, &second)) return false;
    if (first.p[0] != '{' || second.p[0] != '{') return false;
    limits.bytes = first.n;
    return json_parse(a, first, &limits, &root, NULL, &err) == 0;
}

enum source_result source_webhook_decode(struct arena *a, const struct config_source *source, struct str body,
                                         bool ndjson, size_t items_max, struct source_batch *out,
                                         struct err *err)
{
    struct decoding d = { a, source, out, items_max };
    struct json_limits limits = json_default_limits;
    struct json root;
    *out = (struct source_batch){ 0 };
    limits.bytes = body.n;
    if (ndjson) return decode_lines(&d, body, err);
    if (json_parse(a, body, &limits, &root, &out->offset, err) == 0) return decode_root(&d, root, err);
    if (err->code == ERR_LIMIT) return SOURCE_TOO_LARGE;
    if (looks_like_lines(a, body)) return decode_lines(&d, body, err);
    return SOURCE_NOT_JSON;
}
