/* History: what ended before a source began to look, or what no rule asked for then, brought into the log on request. It
 * is recorded and never evaluated: nothing of it rings. Looks go first; history takes what they leave of the budget. Where
 * it is is stored with what it brought, so that it goes on after a restart. */
#include <string.h>

#include "base/log.h"
#include "source/list_page.h"
#include "source/query_page.h"
#include "source/webhook.h"

enum { ROOM_KEPT = 6, SLICE_MS = 3600000, PAGE_ROWS = 5000 };

/* --- how far it is ------------------------------------------------------------------------------------- */
static struct str history_text(const struct history *h, struct arena *a)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, 4096);
    json_object_begin(w);
    json_field_i64(w, "v", 1);
    json_field_i64(w, "since", h->since_ms);
    json_field_i64(w, "until", h->until_ms);
    json_field_i64(w, "at", h->at.ms);
    json_field_str(w, "id", query_cursor_id(&h->at));
    json_field_i64(w, "runs", (int64_t)h->runs);
    json_field_bool(w, "done", h->state == HISTORY_DONE);
    json_object_end(w);
    return json_draft_end(&d, a);
}

static int history_read(struct history *h, struct arena *a, struct str text, struct err *err)
{
    struct json root;
    int64_t version = 0, runs = 0;
    if (json_parse(a, text, &json_own_limits, &root, NULL, err) < 0) return -1;
    if (!json_i64(json_get_c(root, "v"), &version) || version != 1 || !json_i64(json_get_c(root, "since"), &h->since_ms) ||
        !json_i64(json_get_c(root, "until"), &h->until_ms) || !json_i64(json_get_c(root, "at"), &h->at.ms) || !json_i64(json_get_c(root, "runs"), &runs))
        return err_set(err, ERR_TYPE, "the stored place of its import is of another version of runbell");
    query_cursor_set(&h->at, json_str(json_get_c(root, "id")));
    h->runs = (uint64_t)runs;
    h->state = json_bool(json_get_c(root, "done"), false) ? HISTORY_DONE : HISTORY_RUNNING;
    return 0;
}

static void say(struct poll *p)
{
    pthread_mutex_lock(&p->lock);
    p->status.history = p->history;
    pthread_mutex_unlock(&p->lock);
}

int history_load(struct poll *p, struct err *err)
{
    const struct poller_sink *sink = &p->all->sink;
    struct str text;
    int found;
    if (p->history.loaded) return 0;
    found = sink->stored(sink->ctx, "import", p->name, &p->arena, &text, err);
    if (found < 0 || (found == 1 && history_read(&p->history, &p->arena, text, err) < 0)) return -1;
    p->history.loaded = true;
    say(p);
    return 0;
}

/* Everything that ended before this has been told by looks, if any rule asked for it. */
static int64_t told_until(const struct poll *p)
{
    return p->position.told_ms - p->source->api.overlap_ms;
}

static void take_wish(struct poll *p)
{
    struct history *h = &p->history;
    int64_t since_ms;
    pthread_mutex_lock(&p->lock);
    since_ms = p->import_since_ms;
    p->import_since_ms = 0;
    pthread_mutex_unlock(&p->lock);
    if (since_ms == 0) return;
    *h = (struct history){ .loaded = true, .state = HISTORY_RUNNING, .since_ms = since_ms, .until_ms = told_until(p), .at.ms = since_ms };
    log_info("source.import", LOG_S("source", p->name), LOG_I("since_ms", h->since_ms), LOG_I("until_ms", h->until_ms));
}

/* --- a page -------------------------------------------------------------------------------------------- */
static void take(struct poll *p, struct run *run)
{
    struct history *h = &p->history;
    if (run->finished_ms == RUN_TIME_NONE || run->finished_ms < h->since_ms || run->finished_ms >= h->until_ms) return;
    source_settle(p->source, run);
    *vec_push(&p->found) = *run;
    h->runs++;
}

static int store(struct poll *p, struct err *err)
{
    const struct poller_sink *sink = &p->all->sink;
    size_t n = p->found.n;
    struct poller_batch b = { .config = p->settings, .source = p->source, .start_ms = p->start_ms, .position = STR_NONE };
    for (size_t at = 0; at < n || at == 0; at += SUBMIT_RUNS) {
        b.runs = p->found.v + at;
        b.run_count = n - at < SUBMIT_RUNS ? n - at : SUBMIT_RUNS;
        b.bytes = b.run_count * 1024;
        b.history = at + b.run_count == n ? history_text(&p->history, &p->arena) : STR("");
        if (sink->submit(sink->ctx, &b, err) < 0) return -1;
    }
    return 0;
}

static enum api_outcome by_query(struct poll *p, bool *last, struct err *err)
{
    struct query_page page;
    enum api_outcome outcome = query_history_page(p, &p->history.at, p->history.until_ms, PAGE_ROWS, &page, err);
    if (outcome != API_OK) return outcome;
    for (size_t k = 0; k < page.n; k++) take(p, &page.runs[k]);
    *last = page.last;
    return API_OK;
}

/* Slices of creation, oldest first; a slice is stored whole. */
static enum api_outcome by_list(struct poll *p, bool *last, struct err *err)
{
    struct history *h = &p->history;
    int64_t to_ms = h->at.ms + SLICE_MS < h->until_ms ? h->at.ms + SLICE_MS : h->until_ms;
    struct list_query q = { RUN_CLASS_FINISHED, ~(uint32_t)0, h->at.ms, to_ms - 1, true };
    struct list_cursor at = { .n = 0 };
    struct json items;
    struct run run;
    while (!at.over) {
        enum api_outcome outcome = list_page(p, &q, &at, &items, err);
        if (outcome != API_OK) return outcome;
        for (struct json v = json_first(items); json_kind(v) != JSON_ABSENT; v = json_next(v))
            if (run_decode(&p->arena, v, &run, err) == 0) take(p, &run);
    }
    h->at.ms = to_ms;
    *last = to_ms >= h->until_ms;
    return API_OK;
}

static void ended(struct poll *p)
{
    p->history.state = HISTORY_DONE;
    log_info("source.imported", LOG_S("source", p->name), LOG_I("runs", (int64_t)p->history.runs));
}

enum api_outcome history_step(struct poll *p, bool *last, struct err *err)
{
    struct history before = p->history;
    enum api_outcome outcome;
    *last = false;
    outcome = p->method == METHOD_QUERY ? by_query(p, last, err) : by_list(p, last, err);
    if (outcome == API_OK && *last) ended(p);
    if (outcome == API_OK && store(p, err) == 0) return API_OK;
    p->history = before;
    snprintf(p->history.trouble, sizeof p->history.trouble, "%.150s", err->msg);
    return outcome == API_OK ? API_FAILED : outcome;
}

void history_go_on(struct poll *p, int64_t until_mono_ms)
{
    struct err err = { 0 };
    bool last, more;
    take_wish(p);
    if (p->history.state == HISTORY_RUNNING && p->history.at.ms >= p->history.until_ms) ended(p);
    while (p->history.state == HISTORY_RUNNING && poll_mono(p) < until_mono_ms && api_room(&p->api) > ROOM_KEPT) {
        p->history.trouble[0] = '\0';
        poll_reset(p);
        more = history_step(p, &last, &err) == API_OK && !last;
        say(p);
        if (!more) break;
    }
    poll_reset(p);
    say(p);
}

bool pollers_import(struct pollers *all, struct str source, int64_t since_ms)
{
    struct poll *p;
    pthread_mutex_lock(&all->lock);
    p = poll_named(all, source);
    if (p) {
        pthread_mutex_lock(&p->lock);
        p->import_since_ms = since_ms;
        p->status.history = (struct history){ .state = HISTORY_RUNNING, .since_ms = since_ms, .at.ms = since_ms };
        pthread_mutex_unlock(&p->lock);
        fetch_wake(p->api.fetch);
    }
    pthread_mutex_unlock(&all->lock);
    return p != NULL;
}
