#include "source/api.h"

#include "base/log.h"

enum {
    TRIES = 4, BACKOFF_MS = 500, BACKOFF_MOST_MS = 60000, RESET_MOST_MS = 120000, JITTER_MS = 1000,
    ANSWER_MOST = 32 << 20 /* a list page can be 25 MB (trigger-dev-api.md section 7) */
};
#define NUMBER_MOST 1000000000000000LL
static const struct json_limits limits = { ANSWER_MOST, 4 << 20, 128 };

int api_init(struct api *a, const struct config_trigger_api *settings, struct clock *clock, struct err *err)
{
    *a = (struct api){ .settings = settings, .clock = clock, .fetch = fetch_new(settings, err) };
    rng_seed_system(&a->rng);
    budget_init(&a->budget, settings->budget_percent, clock_mono(clock).ms);
    return a->fetch ? 0 : -1;
}

void api_fini(struct api *a)
{
    fetch_free(&a->fetch);
}

int64_t api_server_now(struct api *a)
{
    return clock_wall(a->clock).ms + a->server_ahead_ms;
}

int64_t api_room(struct api *a)
{
    return budget_room(&a->budget, clock_mono(a->clock).ms);
}

void api_encode(struct strbuf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) strbuf_char(out, (char)c);
        else strbuf_printf(out, "%%%02X", c);
    }
}

/* A wake is for who rests between looks, not for who was told to wait. False: interrupted. */
static bool wait_out(struct api *a, int64_t ms)
{
    int64_t due = clock_mono(a->clock).ms + ms;
    while (ms > 0 && fetch_sleep(a->fetch, ms)) ms = due - clock_mono(a->clock).ms;
    return ms <= 0;
}

/* --- the budget ---------------------------------------------------------------------------------------- */
static bool wait_turn(struct api *a)
{
    int64_t ms;
    while ((ms = budget_take(&a->budget, clock_mono(a->clock).ms)) > 0) {
        a->usage.waited_ms += ms;
        if (!wait_out(a, ms)) return false;
    }
    return true;
}

static int64_t number_in(const struct fetch_answer *f, const char *name)
{
    int64_t n;
    struct str text = fetch_header(f, name);
    return text.n && str_to_i64(text, &n) && n >= 0 && n <= NUMBER_MOST ? n : -1; /* so that reckoning with it is safe */
}

/* Milliseconds until the limiter's bucket is filled again, by the server's own clock. */
static int64_t reset_in(struct api *a, const struct fetch_answer *f)
{
    int64_t reset_ms = number_in(f, "x-ratelimit-reset"), now = f->server_ms == RUN_TIME_NONE ? clock_wall(a->clock).ms : f->server_ms;
    int64_t ms = reset_ms - now;
    if (reset_ms < 0) return -1;
    return ms < 0 ? 0 : ms > RESET_MOST_MS ? RESET_MOST_MS : ms;
}

static void hear_limits(struct api *a, const struct fetch_answer *f)
{
    int64_t limit = number_in(f, "x-ratelimit-limit"), remaining = number_in(f, "x-ratelimit-remaining");
    if (limit > 0) budget_told(&a->budget, clock_mono(a->clock).ms, limit, remaining, reset_in(a, f));
}

/* --- what an answer means ------------------------------------------------------------------------------ */
/* The server's own words: `error`, and of a "Query Error" what was wrong with the query. */
static struct str words_of(struct arena *arena, const struct fetch_answer *f)
{
    struct json root;
    struct err err;
    struct str text, detail;
    if (json_parse(arena, f->body, &limits, &root, NULL, &err) < 0) return STR("");
    text = json_str(json_get_c(root, "error"));
    detail = json_str(json_get_c(json_first(json_get_c(root, "details")), "message"));
    return detail.n ? str_printf(arena, STR_FMT ": " STR_FMT, STR_ARG(text), STR_ARG(detail)) : text;
}

/* Query concurrency is told by 429, in some versions by 400 (trigger-dev-api.md 2.5). */
static bool is_busy(int status, struct str words)
{
    return status == 429 || (status == 400 && str_find_str(words, STR("query concurrency")) < words.n) ||
           (status == 400 && str_find_str(words, STR("a lot of queries")) < words.n);
}

static enum api_outcome outcome_of(int status, bool busy)
{
    if (busy || status == 408 || status == 409 || status >= 500) return API_FAILED;
    if (status == 404 || status == 405) return API_NOT_FOUND;
    if (status == 401 || status == 403) return API_DENIED;
    return API_BAD_REQUEST;
}

static enum api_outcome refused(const struct api *a, struct arena *arena, const struct fetch_answer *f, bool *busy, struct err *err)
{
    struct str words = words_of(arena, f), key = secret_reveal(&a->settings->key);
    if (key.n && str_find_str(words, key) < words.n) words = STR("(its words hold the key)"); /* a gateway that echoes */
    *busy = is_busy(f->status, words);
    if (f->status >= 300 && f->status <= 399)
        err_set(err, ERR_IO, "HTTP %d: it sends elsewhere - set `url` to the server's own address (https?)", f->status);
    else
        err_set(err, ERR_IO, "HTTP %d%s" STR_FMT, f->status, words.n ? ": " : "", STR_ARG(str_sub(words, 0, 150)));
    return outcome_of(f->status, *busy);
}

/* One try. *wait_ms: how long to wait before the next; -1 = there is no use in one. */
static enum api_outcome try_once(struct api *a, struct arena *arena, const struct fetch_request *r, struct api_answer *out, int64_t *wait_ms, struct err *err)
{
    struct fetch_answer f;
    struct str again;
    bool busy;
    enum api_outcome outcome;
    int64_t asked_ms = clock_wall(a->clock).ms;
    fetch_do(a->fetch, arena, r, &f);
    a->usage.requests++;
    hear_limits(a, &f);
    /* A Date is cut to the second and says when the answer was sent, not when the question was understood. */
    if (f.server_ms != RUN_TIME_NONE) a->server_ahead_ms = f.server_ms - clock_wall(a->clock).ms;
    out->status = f.status;
    out->server_ms = asked_ms + a->server_ahead_ms;
    *wait_ms = 0;
    if (f.interrupted) return API_INTERRUPTED;
    if (!str_absent(f.trouble)) err_set(err, ERR_IO, STR_FMT, STR_ARG(f.trouble));
    if (f.too_large) return *wait_ms = -1, API_TOO_LARGE;
    if (f.status == 0) return API_FAILED;
    if (f.status >= 200 && f.status <= 299) {
        if (json_parse(arena, f.body, &limits, &out->root, NULL, err) == 0) return API_OK;
        if (err->code == ERR_LIMIT) return *wait_ms = -1, API_TOO_LARGE;
        err_set(err, ERR_IO, "the answer is no JSON");
        return API_FAILED;
    }
    outcome = refused(a, arena, &f, &busy, err);
    again = fetch_header(&f, "x-should-retry");
    if (busy) {
        int64_t reset = f.status == 429 ? reset_in(a, &f) : -1;
        a->usage.limited++;
        *wait_ms = (reset < 0 ? BACKOFF_MS : reset) + (int64_t)rng_below(&a->rng, JITTER_MS);
        if (reset >= 0) budget_hold(&a->budget, clock_mono(a->clock).ms + *wait_ms);
    } else if (str_ieq(again, STR("false")) || (outcome != API_FAILED && !str_ieq(again, STR("true")))) {
        *wait_ms = -1;
    }
    return outcome;
}

static int64_t backoff(struct api *a, int tries)
{
    int64_t most = (int64_t)BACKOFF_MS << tries;
    if (most > BACKOFF_MOST_MS) most = BACKOFF_MOST_MS;
    return most / 2 + (int64_t)rng_below(&a->rng, (uint64_t)most / 2 + 1);
}

enum api_outcome api_call(struct api *a, struct arena *arena, struct str path, struct str body, struct api_answer *out, struct err *err)
{
    const struct config_trigger_api *s = a->settings;
    struct fetch_request r = { .url = str_printf(arena, STR_FMT STR_FMT, STR_ARG(s->url), STR_ARG(path)), .body = body, .timeout_ms = s->timeout_ms,
                               .bytes_most = ANSWER_MOST };
    int64_t wait_ms;
    bool told = false;
    for (int tries = 0;; tries++) {
        if (!wait_turn(a)) return out->outcome = API_INTERRUPTED;
        out->outcome = try_once(a, arena, &r, out, &wait_ms, err);
        if (out->outcome == API_OK || out->outcome == API_INTERRUPTED || wait_ms < 0 || tries == TRIES - 1) break;
        if (wait_ms == 0) wait_ms = backoff(a, tries);
        log_debug("source.again", LOG_S("path", str_sub(path, 0, 80)), LOG_E(err), LOG_I("wait_ms", wait_ms));
        if (a->on_again) a->on_again(a->ctx, err);
        told = true;
        if (!wait_out(a, wait_ms)) return out->outcome = API_INTERRUPTED;
    }
    if (told && a->on_again) a->on_again(a->ctx, NULL);
    if (out->outcome != API_OK && out->outcome != API_INTERRUPTED) a->usage.failed++;
    return out->outcome;
}
