#include "base/timefmt.h"

#include <stdio.h>

#include "base/civil.h"

static const int64_t day_ms = 86400000;
static const int64_t year_1_ms = -62135596800000, year_9999_end_ms = 253402300799999;

static char *put_digits(char *p, unsigned value, unsigned width)
{
    for (unsigned i = width; i-- > 0; value /= 10) p[i] = (char)('0' + value % 10);
    return p + width;
}

struct str time_format(int64_t ms, char out[TIMEFMT_SIZE])
{
    int64_t days, rest, y;
    int m, d;
    char *p = out;
    if (ms < year_1_ms) ms = year_1_ms;
    if (ms > year_9999_end_ms) ms = year_9999_end_ms;
    days = floor_div(ms, day_ms);
    rest = ms - days * day_ms;
    civil_date(days, &y, &m, &d);
    p = put_digits(p, (unsigned)y, 4);
    *p++ = '-';
    p = put_digits(p, (unsigned)m, 2);
    *p++ = '-';
    p = put_digits(p, (unsigned)d, 2);
    *p++ = 'T';
    p = put_digits(p, (unsigned)(rest / 3600000), 2);
    *p++ = ':';
    p = put_digits(p, (unsigned)(rest / 60000 % 60), 2);
    *p++ = ':';
    p = put_digits(p, (unsigned)(rest / 1000 % 60), 2);
    *p++ = '.';
    p = put_digits(p, (unsigned)(rest % 1000), 3);
    *p++ = 'Z';
    *p = '\0';
    return (struct str){ out, (size_t)(p - out) };
}

/* Reads exactly width digits at *at. */
static bool take_digits(struct str s, size_t *at, size_t width, int *out)
{
    int v = 0;
    if (s.n - *at < width) return false;
    for (size_t i = 0; i < width; i++) {
        int d = s.p[*at + i] - '0';
        if (d < 0 || d > 9) return false;
        v = v * 10 + d;
    }
    *at += width;
    *out = v;
    return true;
}

static inline bool take_char(struct str s, size_t *at, const char *any)
{
    if (*at >= s.n) return false;
    for (; *any; any++)
        if (s.p[*at] == *any) {
            (*at)++;
            return true;
        }
    return false;
}

static bool take_date(struct str s, size_t *at, int64_t *days)
{
    int y, m, d;
    if (!take_digits(s, at, 4, &y) || !take_char(s, at, "-")) return false;
    if (!take_digits(s, at, 2, &m) || !take_char(s, at, "-") || !take_digits(s, at, 2, &d)) return false;
    if (m < 1 || m > 12 || d < 1 || d > civil_month_days(y, m)) return false;
    *days = civil_days(y, m, d);
    return true;
}

static bool take_fraction(struct str s, size_t *at, int *ms)
{
    int scale = 100;
    size_t from = *at;
    *ms = 0;
    for (; *at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9'; (*at)++, scale /= 10)
        *ms += (s.p[*at] - '0') * scale;
    return *at > from;
}

static bool take_clock(struct str s, size_t *at, int64_t *ms)
{
    int h, m, sec, frac = 0;
    if (!take_digits(s, at, 2, &h) || !take_char(s, at, ":")) return false;
    if (!take_digits(s, at, 2, &m) || !take_char(s, at, ":") || !take_digits(s, at, 2, &sec)) return false;
    if (take_char(s, at, ".") && !take_fraction(s, at, &frac)) return false;
    if (h > 23 || m > 59 || sec > 60) return false;
    if (sec == 60) {
        sec = 59;
        frac = 999;
    }
    *ms = ((int64_t)h * 3600 + m * 60 + sec) * 1000 + frac;
    return true;
}

static bool take_offset(struct str s, size_t *at, int64_t *ms)
{
    int h, m;
    int64_t sign;
    if (take_char(s, at, "Zz")) {
        *ms = 0;
        return true;
    }
    if (*at >= s.n) return false;
    sign = s.p[*at] == '-' ? -1 : 1;
    if (!take_char(s, at, "+-") || !take_digits(s, at, 2, &h) || !take_char(s, at, ":")) return false;
    if (!take_digits(s, at, 2, &m) || h > 23 || m > 59) return false;
    *ms = sign * ((int64_t)h * 60 + m) * 60000;
    return true;
}

bool time_parse(struct str s, int64_t *wall_ms)
{
    size_t at = 0;
    int64_t days, ms, offset;
    if (!take_date(s, &at, &days) || !take_char(s, &at, "Tt ")) return false;
    if (!take_clock(s, &at, &ms) || !take_offset(s, &at, &offset) || at != s.n) return false;
    *wall_ms = days * day_ms + ms - offset;
    return true;
}

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {
    { "w", 604800000 }, { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};
enum { UNITS = sizeof units / sizeof *units };

bool duration_parse(struct str s, int64_t *ms)
{
    static const int64_t most_ms = 100 * 365 * 86400000LL;
    int64_t total = 0;
    size_t at = 0;
    if (s.n == 0) return false;
    while (at < s.n) {
        size_t from = at, i;
        int64_t v;
        struct str name;
        while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9') at++;
        if (!str_to_i64(str_sub(s, from, at - from), &v)) return false;
        from = at;
        while (at < s.n && s.p[at] >= 'a' && s.p[at] <= 'z') at++;
        name = str_sub(s, from, at - from);
        for (i = 0; i < UNITS && !str_eq_c(name, units[i].name); i++) {}
        if (i == UNITS || v > most_ms / units[i].ms) return false;
        total += v * units[i].ms;
        if (total > most_ms) return false;
    }
    *ms = total;
    return true;
}

/* Writes at most `most` units; sep stands between them. */
static struct str write_units(int64_t ms, size_t most, const char *sep, char out[TIMEFMT_SIZE])
{
    size_t at = 0, written = 0;
    uint64_t rest = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (ms < 0) out[at++] = '-';
    for (size_t i = 0; i < UNITS && written < most; i++) {
        uint64_t n = rest / (uint64_t)units[i].ms;
        if (n == 0) continue;
        rest -= n * (uint64_t)units[i].ms;
        at += (size_t)snprintf(out + at, TIMEFMT_SIZE - at, "%s%llu%s", written ? sep : "",
                               (unsigned long long)n, units[i].name);
        if (at >= TIMEFMT_SIZE) at = TIMEFMT_SIZE - 1;
        written++;
    }
    if (written == 0) at = (size_t)snprintf(out, TIMEFMT_SIZE, "0s");
    return (struct str){ out, at };
}

struct str duration_format(int64_t ms, char out[TIMEFMT_SIZE])
{
    return write_units(ms, UNITS, "", out);
}

struct str duration_human(int64_t ms, char out[TIMEFMT_SIZE])
{
    if (ms >= 1000 || ms <= -1000) ms -= ms % 1000;
    return write_units(ms, 2, " ", out);
}
