#include "replay/backtest.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"

enum { DAY_MS = 86400000 };

/* --- counting ---------------------------------------------------------------------------------------------------- */
static struct backtest_line *line_of(struct backtest *b, struct str rule, struct str destination)
{
    struct arena *a = &b->history.names;
    char space[512];
    size_t n = rule.n + destination.n + 2;
    char *p = n <= sizeof space ? space : arena_alloc(a, n);
    struct backtest_line *line;
    memcpy(p, rule.p ? rule.p : "", rule.n);
    p[rule.n] = '\0';
    memcpy(p + rule.n + 1, destination.p ? destination.p : "", destination.n);
    p[n - 1] = str_absent(destination) ? 0 : 1;
    line = map_get(&b->lines, (struct str){ p, n });
    if (line) return line;
    line = ARENA_NEW(a, struct backtest_line);
    line->rule = str_dup(a, rule);
    line->destination = str_absent(destination) ? STR_NONE : str_dup(a, destination);
    map_put(&b->lines, str_dup(a, (struct str){ p, n }), line);
    *vec_push(&b->list) = line;
    return line;
}

static void seen_at(struct backtest_line *line, int64_t at_ms)
{
    if (line->first_ms == 0) line->first_ms = at_ms;
    line->last_ms = at_ms;
}

static uint32_t place_of(struct backtest *b, struct str name)
{
    size_t at = (size_t)(uintptr_t)map_get(&b->places, name);
    if (at) return (uint32_t)at - 1;
    *vec_push(&b->destinations) = str_dup(&b->history.names, name);
    map_put(&b->places, b->destinations.v[b->destinations.n - 1], (void *)(uintptr_t)b->destinations.n);
    return (uint32_t)b->destinations.n - 1;
}

static void take_message(void *ctx, const struct history_who *who, const struct engine_message *m, int64_t at_ms)
{
    struct backtest *b = ctx;
    struct backtest_line *line;
    if (at_ms < b->from_ms) return;
    line = line_of(b, who ? who->rule : STR(""), m->destination);
    line->sent[m->kind]++;
    line->total++;
    seen_at(line, at_ms);
    *vec_push(&b->messages) = (struct backtest_message){ at_ms, who, place_of(b, m->destination), m->kind };
}

static void take_note(void *ctx, const struct history_who *who, const struct engine_note *n)
{
    struct backtest *b = ctx;
    struct backtest_line *line;
    bool opened = strcmp(n->what, "opened") == 0, resolved = strcmp(n->what, "resolved") == 0, limited = strcmp(n->what, "limited") == 0;
    if (n->at_ms < b->from_ms || !who || !who->opened || !(opened || resolved || limited)) return;
    line = line_of(b, who->rule, STR_NONE);
    line->openings += opened;
    line->resolves += resolved;
    line->limited += limited;
    if (!opened) return;
    seen_at(line, n->at_ms);
    *vec_push(&b->openings) = (struct backtest_opening){ n->at_ms, who };
}

static bool turn_page(void *ctx, int64_t at_ms, uint64_t events)
{
    struct backtest *b = ctx;
    b->cut_short = b->page && !b->page(b->page_ctx, at_ms, events);
    return !b->cut_short;
}

/* --- life ---------------------------------------------------------------------------------------------------------- */
void backtest_init(struct backtest *b, const struct config *config, int64_t from_ms, int64_t until_ms)
{
    struct history_ear ear = { .ctx = b, .message = take_message, .note = take_note, .page = turn_page };
    *b = (struct backtest){ .from_ms = from_ms, .until_ms = until_ms };
    history_init(&b->history, config, &ear);
    for (size_t k = 0; k < config->rules->rule_count; k++) line_of(b, config->rules->rules[k]->name, STR_NONE);
}

void backtest_fini(struct backtest *b)
{
    map_fini(&b->lines);
    map_fini(&b->places);
    vec_free(&b->list);
    vec_free(&b->destinations);
    vec_free(&b->openings);
    vec_free(&b->messages);
    history_fini(&b->history);
}

int64_t backtest_warm_up(const struct ruleset *rules)
{
    int64_t most = DAY_MS;
    for (size_t k = 0; k < rules->rule_count; k++) {
        const struct rule *r = rules->rules[k];
        int64_t absent_ms = r->condition.kind == RULE_ABSENT ? rule_absent_period(&r->condition) : 0;
        if (r->condition.window_ms > most) most = r->condition.window_ms;
        if (absent_ms > most) most = absent_ms; /* what came last before it was armed */
        for (size_t i = 0; i < r->resolve_count; i++)
            if (r->resolve[i].quiet_ms > most) most = r->resolve[i].quiet_ms;
    }
    return most;
}

static size_t rule_order(const struct backtest *b, struct str name)
{
    const struct ruleset *rs = b->history.config->rules;
    size_t k = 0;
    while (k < rs->rule_count && !str_eq(rs->rules[k]->name, name)) k++;
    return k;
}

struct ordered { struct backtest_line *line; size_t rule; };

static int by_rule(const void *x, const void *y)
{
    const struct ordered *a = x, *b = y;
    if (a->rule != b->rule) return a->rule < b->rule ? -1 : 1;
    if (str_absent(a->line->destination) != str_absent(b->line->destination)) return str_absent(a->line->destination) ? -1 : 1;
    return str_cmp(a->line->destination, b->line->destination);
}

static void sort_lines(struct backtest *b)
{
    struct ordered *o = xcalloc(b->list.n + 1, sizeof *o);
    for (size_t k = 0; k < b->list.n; k++) o[k] = (struct ordered){ b->list.v[k], rule_order(b, b->list.v[k]->rule) };
    qsort(o, b->list.n, sizeof *o, by_rule);
    for (size_t k = 0; k < b->list.n; k++) b->list.v[k] = o[k].line;
    free(o);
}

int backtest_read(struct backtest *b, struct store_reader *r, int64_t warm_up_ms, struct err *err)
{
    int (*read)(struct history *, struct store_reader *, int64_t, int64_t, struct err *) = b->as_it_happened ? history_read_as_it_happened : history_read;
    if (history_learn_sources(&b->history, r, err) < 0 || read(&b->history, r, b->from_ms - warm_up_ms, b->until_ms, err) < 0) return -1;
    sort_lines(b);
    return 0;
}

/* --- comparing -------------------------------------------------------------------------------------------------------- */
static int compare_openings(const void *x, const void *y)
{
    const struct backtest_opening *a = x, *b = y;
    int c = str_cmp(a->who->rule, b->who->rule);
    if (a->at_ms != b->at_ms) return a->at_ms < b->at_ms ? -1 : 1;
    if (c == 0) c = str_cmp(a->who->project, b->who->project);
    if (c == 0) c = str_cmp(a->who->env, b->who->env);
    return c ? c : str_cmp(a->who->key, b->who->key);
}

static struct backtest_opening *sorted(const struct backtest *b)
{
    struct backtest_opening *v = xcalloc(b->openings.n + 1, sizeof *v);
    if (b->openings.n) memcpy(v, b->openings.v, b->openings.n * sizeof *v);
    qsort(v, b->openings.n, sizeof *v, compare_openings);
    return v;
}

size_t backtest_missing(const struct backtest *a, const struct backtest *b, backtest_opening_fn fn, void *ctx)
{
    struct backtest_opening *x = sorted(a), *y = sorted(b);
    size_t missing = 0, at = 0;
    for (size_t k = 0; k < a->openings.n; k++) {
        while (at < b->openings.n && compare_openings(&y[at], &x[k]) < 0) at++;
        if (at < b->openings.n && compare_openings(&y[at], &x[k]) == 0) {
            at++;
            continue;
        }
        missing++;
        if (fn) fn(ctx, &x[k]);
    }
    free(x);
    free(y);
    return missing;
}

/* --- as JSON ------------------------------------------------------------------------------------------------------------ */
static void put_line(const struct backtest_line *line, struct json_writer *w)
{
    json_object_begin(w);
    json_field_str(w, "rule", line->rule);
    if (str_absent(line->destination)) {
        json_field_i64(w, "openings", (int64_t)line->openings);
        json_field_i64(w, "resolves", (int64_t)line->resolves);
        json_field_i64(w, "limited", (int64_t)line->limited);
    } else {
        json_field_str(w, "destination", line->destination);
        json_field_i64(w, "messages", (int64_t)line->total);
        for (int k = 0; k < MESSAGE_KINDS; k++)
            if (line->sent[k]) json_field_i64(w, message_kind_name((enum message_kind)k), (int64_t)line->sent[k]);
    }
    if (line->first_ms) json_field_time(w, "first", line->first_ms);
    if (line->first_ms) json_field_time(w, "last", line->last_ms);
    json_object_end(w);
}

void backtest_put_who(const struct history_who *who, struct json_writer *w)
{
    json_field_str(w, "rule", who ? who->rule : STR(""));
    if (!who) return;
    json_field_str(w, "project", who->project);
    json_field_str(w, "env", who->env);
    json_field_str(w, "key", who->key);
}

static void put_openings(const struct backtest *b, size_t most, struct json_writer *w)
{
    char id[ID_SIZE];
    json_put_key(w, STR("openings"));
    json_array_begin(w);
    for (size_t k = 0; k < b->openings.n && k < most; k++) {
        json_object_begin(w);
        json_field_time(w, "at", b->openings.v[k].at_ms);
        json_field_str(w, "incident", id_format("inc", b->openings.v[k].who->id, id));
        backtest_put_who(b->openings.v[k].who, w);
        json_object_end(w);
    }
    json_array_end(w);
    json_field_i64(w, "openings_total", (int64_t)b->openings.n);
}

static void put_messages(const struct backtest *b, size_t most, struct json_writer *w)
{
    char id[ID_SIZE];
    json_put_key(w, STR("messages"));
    json_array_begin(w);
    for (size_t k = 0; k < b->messages.n && k < most; k++) {
        const struct backtest_message *m = &b->messages.v[k];
        json_object_begin(w);
        json_field_time(w, "at", m->at_ms);
        json_field_str(w, "kind", str_c(message_kind_name((enum message_kind)m->kind)));
        json_field_str(w, "destination", b->destinations.v[m->destination]);
        if (m->who) json_field_str(w, "incident", id_format("inc", m->who->id, id));
        backtest_put_who(m->who, w);
        json_object_end(w);
    }
    json_array_end(w);
    json_field_i64(w, "messages_total", (int64_t)b->messages.n);
}

void backtest_write(const struct backtest *b, size_t most, struct json_writer *w)
{
    json_object_begin(w);
    json_field_time(w, "since", b->from_ms);
    json_field_time(w, "until", b->until_ms);
    json_field_i64(w, "events", (int64_t)b->history.events);
    json_field_i64(w, "hits", (int64_t)b->history.hits);
    json_put_key(w, STR("rules"));
    json_array_begin(w);
    for (size_t k = 0; k < b->list.n; k++) put_line(b->list.v[k], w);
    json_array_end(w);
    put_openings(b, most, w);
    put_messages(b, most, w);
    json_object_end(w);
}
