/* How pollers are, for people and for metrics. */
#include "source/poll_internal.h"

static bool status_of(struct pollers *all, struct str source, struct poll_status *out)
{
    struct poll *p;
    pthread_mutex_lock(&all->lock);
    p = poll_named(all, source);
    if (p) {
        pthread_mutex_lock(&p->lock);
        *out = p->status;
        pthread_mutex_unlock(&p->lock);
    }
    pthread_mutex_unlock(&all->lock);
    return p != NULL;
}

static int64_t age(struct pollers *all, int64_t ms)
{
    int64_t now = clock_wall(all->clock).ms;
    if (ms <= 0) return -1;
    return now > ms ? now - ms : 0;
}

/* The lag is what a transition waits at most to be seen; while looking fails it grows. */
static int64_t lag_of(struct pollers *all, const struct poll_status *s)
{
    int64_t since = age(all, s->last_ok_ms);
    if (since < 0) return -1;
    return since > s->lag_ms ? since : s->lag_ms;
}

static void put_requests(struct json_writer *w, const struct poll_status *s)
{
    json_put_key(w, STR("requests"));
    json_object_begin(w);
    json_field_i64(w, "made", (int64_t)s->usage.requests);
    json_field_i64(w, "limited", (int64_t)s->usage.limited);
    json_field_i64(w, "failed", (int64_t)s->usage.failed);
    json_field_i64(w, "waited_ms", s->usage.waited_ms);
    json_field_f64(w, "budget_per_minute", s->per_minute);
    json_field_i64(w, "limit", s->limit);
    if (s->remaining >= 0) json_field_i64(w, "remaining", s->remaining);
    json_object_end(w);
}

static void put_live(struct json_writer *w, const struct poll_status *s)
{
    json_put_key(w, STR("live"));
    json_object_begin(w);
    json_field_bool(w, "connected", s->live_ok);
    json_field_i64(w, "reports", (int64_t)s->live_reports);
    if (s->live_trouble[0]) json_field_str(w, "trouble", str_c(s->live_trouble));
    json_object_end(w);
}

static void put_history(struct json_writer *w, const struct history *h)
{
    int64_t whole = h->until_ms - h->since_ms, part = h->at.ms - h->since_ms;
    json_put_key(w, STR("import"));
    json_object_begin(w);
    json_field_str(w, "state", h->state == HISTORY_DONE ? STR("done") : STR("running"));
    json_field_time(w, "since", h->since_ms);
    if (h->until_ms) json_field_time(w, "until", h->until_ms);
    json_field_time(w, "at", h->at.ms);
    json_field_i64(w, "percent", h->state == HISTORY_DONE ? 100 : whole > 0 ? part * 100 / whole : 0);
    json_field_i64(w, "runs", (int64_t)h->runs);
    if (h->trouble[0]) json_field_str(w, "trouble", str_c(h->trouble));
    json_object_end(w);
}

void pollers_describe(struct pollers *all, struct str source, struct json_writer *w)
{
    struct poll_status s;
    int64_t lag;
    if (!status_of(all, source, &s)) return;
    lag = lag_of(all, &s);
    json_field_str(w, "state", !s.tried ? STR("starting") : s.ok ? STR("ok") : STR("failing"));
    if (!s.ok && s.trouble[0]) json_field_str(w, "trouble", str_c(s.trouble));
    else if (s.again[0]) json_field_str(w, "trouble", str_c(s.again)); /* not given up yet */
    if (s.failing_since_ms) json_field_time(w, "failing_since", s.failing_since_ms);
    json_field_str(w, "method", s.method == METHOD_AUTO ? STR("not settled yet") : str_c(source_method_name(s.method)));
    if (s.why_method[0]) json_field_str(w, "why", str_c(s.why_method));
    if (s.blind[0]) json_field_str(w, "blind", str_c(s.blind));
    if (s.env[0]) json_field_str(w, "environment", str_c(s.env));
    if (lag >= 0) json_field_i64(w, "lag_ms", lag);
    json_field_i64(w, "look_ms", s.look_ms);
    if (s.last_ok_ms) json_field_time(w, "last_look_at", s.last_ok_ms);
    if (s.newest_ms) json_field_time(w, "newest_data_at", s.newest_ms);
    json_field_i64(w, "transitions", (int64_t)s.transitions);
    json_field_i64(w, "active_runs", (int64_t)s.active);
    json_field_i64(w, "without_details", (int64_t)s.thin);
    json_field_i64(w, "details_waiting", (int64_t)s.late);
    put_requests(w, &s);
    if (s.live) put_live(w, &s);
    if (s.history.state != HISTORY_NONE) put_history(w, &s.history);
}

bool pollers_figures(struct pollers *all, struct str source, struct poller_figures *out)
{
    struct poll_status s;
    if (!status_of(all, source, &s)) return false;
    *out = (struct poller_figures){
        .ok = s.ok, .requests = s.usage.requests, .limited = s.usage.limited, .failed = s.usage.failed, .transitions = s.transitions,
        .looks = s.looks, .thin = s.thin, .lag_ms = lag_of(all, &s), .data_age_ms = age(all, s.newest_ms), .budget_per_minute = s.per_minute,
    };
    return true;
}
