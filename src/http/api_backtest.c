/* POST /v1/backtest: {"since", "rules"}: what the rules in force, or others, would have sent over the stored log. It is
 * bounded in events and time, and one at a time: it must not cost the server its memory or its readers. */
#include "base/timefmt.h"
#include "http/internal.h"
#include "replay/backtest.h"

enum { EVENTS_MAX = 200000, TIME_MS = 5000, LIST_MAX = 1000, DIAGNOSTICS_MAX = 64 << 10 };

struct question { int64_t since_ms, until_mono_ms; struct str rules; };

static bool read_question(struct http_request *r, struct question *q)
{
    struct json root = { 0 }, since, rules;
    struct http_place place;
    struct err err = { 0 };
    *q = (struct question){ .since_ms = INT64_C(86400000), .until_mono_ms = clock_mono(clock_system()).ms + TIME_MS };
    if (r->body.n && json_parse(&r->arena, strbuf_view(&r->body), &json_default_limits, &root, &place.offset, &err) < 0) {
        place.line = err.line;
        place.col = err.col;
        http_problem_at(r, MHD_HTTP_BAD_REQUEST, str_c(err.msg), &place);
        return false;
    }
    for (struct json m = json_first(root); json_kind(m) != JSON_ABSENT; m = json_next(m)) {
        if (json_kind(root) == JSON_OBJECT && (str_eq_c(json_key(m), "since") || str_eq_c(json_key(m), "rules"))) continue;
        http_problem(r, MHD_HTTP_BAD_REQUEST, "the body is {\"since\": \"7d\", \"rules\": \"version: 1 ...\"}, both optional");
        return false;
    }
    since = json_get_c(root, "since");
    rules = json_get_c(root, "rules");
    q->rules = json_str(rules);
    if (json_present(rules) && str_absent(q->rules)) {
        http_problem(r, MHD_HTTP_BAD_REQUEST, "rules is the text of a file of rules");
        return false;
    }
    if (!json_present(since) || duration_parse(json_str(since), &q->since_ms)) return true;
    http_problem(r, MHD_HTTP_BAD_REQUEST, "since is a duration such as 7d or 12h");
    return false;
}

/* "rules:3:9: text (hint)" for each mistake; warnings, of the configuration's own file too, are not the asker's. */
static void put_mistakes(const struct diags *d, struct strbuf *out)
{
    strbuf_c(out, "the rules have mistakes:");
    for (size_t k = 0; k < d->items.n; k++) {
        const struct diag *one = &d->items.v[k];
        if (one->level != DIAG_ERROR) continue;
        strbuf_printf(out, "\n%s:%u:%u: " STR_FMT, one->file, one->line, one->col, STR_ARG(one->text));
        if (one->hint.n) strbuf_printf(out, " (" STR_FMT ")", STR_ARG(one->hint));
    }
}

/* The configuration in force, or the one on disk with the rules asked about. NULL: an answer is written. */
static struct config *config_for(struct http_request *r, const struct question *q, struct arena *a)
{
    struct diags d;
    struct strbuf text;
    struct config *c;
    if (str_absent(q->rules)) return config_ref(r->config);
    diags_init(&d, a);
    strbuf_init(&text, DIAGNOSTICS_MAX);
    c = config_load_with_rules_text(str_dup_c(a, r->config->path), q->rules, &d);
    if (!c) {
        put_mistakes(&d, &text);
        http_problem_at(r, MHD_HTTP_BAD_REQUEST, strbuf_view(&text), NULL);
    }
    strbuf_fini(&text);
    diags_fini(&d);
    return c;
}

static bool may_go_on(void *ctx, int64_t at_ms, uint64_t events)
{
    const struct question *q = ctx;
    (void)at_ms;
    return events < EVENTS_MAX && clock_mono(clock_system()).ms < q->until_mono_ms;
}

static void answer(struct http_request *r, struct store_reader *s, struct question *q, const struct config *c)
{
    int64_t now_ms = clock_wall(clock_system()).ms;
    struct backtest b;
    struct json_writer w;
    struct err err = { 0 };
    backtest_init(&b, c, now_ms - q->since_ms, now_ms);
    b.page = may_go_on;
    b.page_ctx = q;
    if (backtest_read(&b, s, backtest_warm_up(c->rules), &err) < 0) {
        http_store_failed(r, &err);
    } else if (b.cut_short) {
        http_problem(r, MHD_HTTP_CONTENT_TOO_LARGE, "the log of that time is too long to be answered here (%d events, %d s): ask for less, or use "
                     "`runbell backtest`, which reads beside the server", EVENTS_MAX, TIME_MS / 1000);
    } else {
        w = http_json(r, MHD_HTTP_OK);
        backtest_write(&b, LIST_MAX, &w);
    }
    backtest_fini(&b);
}

void api_backtest(struct http_request *r, struct store_reader *s)
{
    static atomic_flag busy = ATOMIC_FLAG_INIT;
    struct question q;
    struct config *c;
    struct arena a = { 0 };
    if (!read_question(r, &q)) return;
    if (atomic_flag_test_and_set(&busy)) {
        http_busy(r, "another backtest is under way");
        return;
    }
    c = config_for(r, &q, &a);
    if (c) answer(r, s, &q, c);
    config_unref(&c);
    arena_fini(&a);
    atomic_flag_clear(&busy);
}
