/* Positions as text. */
#include "base/log.h"
#include "source/poll_internal.h"

enum { TEXT_MOST = 4 << 20 }; /* LATE_MOST ids of 128 bytes fit */

struct str position_text(const struct poll *p, struct arena *a)
{
    const struct position *at = &p->position;
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, TEXT_MOST);
    json_object_begin(w);
    json_field_i64(w, "v", 1);
    json_field_str(w, "method", str_c(source_method_name(at->method)));
    json_field_i64(w, "start", at->start_ms);
    json_field_i64(w, "told", at->told_ms);
    json_field_i64(w, "from", at->from_ms);
    json_field_bool(w, "attempts", at->attempts);
    if (p->env[0]) json_field_str(w, "env", str_c(p->env));
    json_put_key(w, STR("follow"));
    json_array_begin(w);
    for (size_t k = 0; k < at->follow.n; k++) json_put_str(w, at->follow.v[k]);
    json_array_end(w);
    json_put_key(w, STR("late"));
    json_array_begin(w);
    for (size_t k = 0; k < p->late.n; k++) json_put_str(w, p->late.v[k]);
    json_array_end(w);
    json_object_end(w);
    return json_draft_end(&d, a);
}

enum { AHEAD_MS = 2000, REWIND_MS = 3600000 /* what is told again is known as told */ };
#define RUNS_LAST_MS 86400000LL /* longer ones are found when they are listed as active once more */

void position_is_of(struct position *at, enum source_method m)
{
    if (at->known && at->method == METHOD_QUERY && m == METHOD_LIST) at->from_ms = at->told_ms - RUNS_LAST_MS;
    if (m == METHOD_LIST) at->attempts = false; /* asks as the budget allows */
    at->method = m;
}

bool position_rewind(struct poll *p, int64_t now_ms)
{
    struct position *at = &p->position;
    if (at->told_ms <= now_ms + AHEAD_MS) return false;
    log_warn("source.clock_set_back", LOG_S("source", p->name), LOG_I("by_ms", at->told_ms - now_ms));
    at->told_ms = now_ms - REWIND_MS;
    if (at->from_ms > at->told_ms) at->from_ms = at->told_ms;
    if (at->start_ms > now_ms) at->start_ms = now_ms;
    p->floor_ms = RUN_TIME_NONE;
    poll_learn_start(p);
    return true;
}

void position_follow(struct position *at, struct str id)
{
    struct str kept = str_dup(&at->texts, id);
    *vec_push(&at->follow) = kept;
}

void position_clear_follow(struct position *at)
{
    vec_clear(&at->follow);
    arena_reset(&at->texts);
}

void position_fini(struct position *at)
{
    vec_free(&at->follow);
    arena_fini(&at->texts);
}

static int position_read(struct poll *p, struct arena *a, struct str text, struct err *err)
{
    struct position *at = &p->position;
    struct json root, list;
    int64_t version = 0;
    if (json_parse(a, text, &json_own_limits, &root, NULL, err) < 0) return -1;
    if (!json_i64(json_get_c(root, "v"), &version) || version != 1 || !json_i64(json_get_c(root, "from"), &at->from_ms) ||
        !json_i64(json_get_c(root, "start"), &at->start_ms))
        return err_set(err, ERR_TYPE, "its stored position is of another version of runbell");
    if (!json_i64(json_get_c(root, "told"), &at->told_ms)) at->told_ms = at->from_ms;
    at->attempts = json_bool(json_get_c(root, "attempts"), false);
    at->method = str_eq_c(json_str(json_get_c(root, "method")), "list") ? METHOD_LIST : METHOD_QUERY;
    list = json_get_c(root, "follow");
    for (struct json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v)) position_follow(at, json_str(v));
    list = json_get_c(root, "late");
    for (struct json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v)) details_put_off(p, json_str(v));
    at->known = true;
    poll_learn_env(p, json_str(json_get_c(root, "env")));
    poll_learn_start(p);
    return 0;
}

int position_load(struct poll *p, struct err *err)
{
    const struct poller_sink *sink = &p->all->sink;
    struct str text;
    int found = sink->stored(sink->ctx, "position", p->name, &p->arena, &text, err);
    if (found <= 0) return found;
    return position_read(p, &p->arena, text, err);
}
