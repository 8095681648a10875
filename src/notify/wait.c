/* How long a provider asks to wait: the forms of notifier-providers.md section 0.2. */
#include "base/timefmt.h"
#include "notify/notify_internal.h"

bool http_date_parse(struct str s, int64_t *wall_ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct str part[6], rest = str_trim(s);
    char text[TIMEFMT_SIZE];
    size_t n = 0, month = 0;
    int len;
    while (n < 6 && str_split(&rest, ' ', &part[n])) n++;
    if (n != 6 || part[0].n != 4 || part[1].n != 2 || part[2].n != 3 || part[3].n != 4 || part[4].n != 8)
        return false;
    if (!str_eq_c(part[5], "GMT")) return false;
    while (month < 12 && !str_eq(str_sub(str_c(months), month * 3, 3), part[2])) month++;
    if (month == 12) return false;
    len = snprintf(text, sizeof text, "%.4s-%02zu-%.2sT%.8sZ", part[3].p, month + 1, part[1].p, part[4].p);
    return len > 0 && (size_t)len < sizeof text && time_parse(str_c(text), wall_ms);
}

static struct str text_of(const struct wait_source *w, const struct answer *answer)
{
    if (w->header) return str_trim(answer_header(answer->response, w->name));
    return json_scalar(json_path(answer->json, w->at.parts, w->at.n));
}

/* -1 when the value cannot be read this way. */
static int64_t wait_of(const struct wait_source *w, struct str text, int64_t now_ms)
{
    int64_t at;
    double v;
    if (str_absent(text)) return -1;
    if (w->kind == WAIT_HTTP_DATE) return http_date_parse(text, &at) ? (at > now_ms ? at - now_ms : 0) : -1;
    if (!str_to_f64(text, &v) || v < 0 || v > 1e14) return -1;
    v *= (double)w->unit_ms;
    if (w->kind == WAIT_EPOCH) v -= (double)now_ms;
    if (v <= 0) return 0;
    at = (int64_t)v;
    return (double)at < v ? at + 1 : at; /* never a millisecond too early */
}

int64_t answer_wait(const struct wait_source *sources, size_t n, const struct answer *answer, int64_t now_ms,
                    int64_t max_age_ms)
{
    for (size_t i = 0; i < n; i++) {
        int64_t cap = sources[i].cap_ms < 0 ? max_age_ms : sources[i].cap_ms;
        int64_t wait = wait_of(&sources[i], text_of(&sources[i], answer), now_ms);
        if (wait >= 0) return wait < cap ? wait : cap;
    }
    return 0;
}
