/* What a zone's clock does behind the table of its file: POSIX TZ as TZif extends it (RFC 8536, 3.3.1). */
#include "rule/zone_internal.h"

/* --- parsing -------------------------------------------------------------------------------------------- */
static bool take(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c) return false;
    *s = str_sub(*s, 1, s->n);
    return true;
}

static bool take_number(struct str *s, int most, int *out)
{
    size_t n = 0;
    *out = 0;
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++) {
        *out = *out * 10 + (s->p[n] - '0');
        if (*out > most) return false;
    }
    *s = str_sub(*s, n, s->n);
    return n > 0;
}

/* [+-]HH[:MM[:SS]] */
static bool take_clock(struct str *s, int most_hours, int32_t *out)
{
    int h, m = 0, sec = 0;
    bool minus = take(s, '-');
    if (!minus) (void)take(s, '+');
    if (!take_number(s, most_hours, &h)) return false;
    if (take(s, ':') && (!take_number(s, 59, &m) || (take(s, ':') && !take_number(s, 59, &sec)))) return false;
    *out = (minus ? -1 : 1) * (h * 3600 + m * 60 + sec);
    return true;
}

/* The letters of an abbreviation, or <anything>. */
static bool take_name(struct str *s)
{
    size_t n = 0;
    if (take(s, '<')) {
        n = str_find(*s, '>', 0);
        if (n == s->n) return false;
        *s = str_sub(*s, n + 1, s->n);
        return true;
    }
    while (n < s->n && ((s->p[n] | 32) >= 'a' && (s->p[n] | 32) <= 'z')) n++;
    *s = str_sub(*s, n, s->n);
    return n >= 3;
}

static bool take_day(struct str *s, struct zone_day *out)
{
    *out = (struct zone_day){ .kind = ZONE_DAY_OF_YEAR, .clock_s = 2 * 3600 };
    if (take(s, 'M')) {
        out->kind = ZONE_DAY_OF_MONTH;
        if (!take_number(s, 12, &out->month) || out->month < 1 || !take(s, '.')) return false;
        if (!take_number(s, 5, &out->week) || out->week < 1 || !take(s, '.')) return false;
        if (!take_number(s, 6, &out->day)) return false;
    } else {
        if (take(s, 'J')) out->kind = ZONE_DAY_JULIAN;
        if (!take_number(s, 365, &out->day) || (out->kind == ZONE_DAY_JULIAN && out->day < 1)) return false;
    }
    return !take(s, '/') || take_clock(s, 167, &out->clock_s);
}

bool zone_rule_parse(struct str text, struct zone_rule *out)
{
    int32_t west;
    *out = (struct zone_rule){ .exists = true };
    if (!take_name(&text) || !take_clock(&text, 24, &west)) return false;
    out->std_s = -west;
    out->dst_s = out->std_s + 3600;
    if (text.n == 0) return true;
    out->changes = true;
    if (!take_name(&text)) return false;
    if (text.n > 0 && text.p[0] != ',') {
        if (!take_clock(&text, 24, &west)) return false;
        out->dst_s = -west;
    }
    return take(&text, ',') && take_day(&text, &out->to_dst) && take(&text, ',') && take_day(&text, &out->to_std) && text.n == 0;
}

/* --- in a year --------------------------------------------------------------------------------------------- */
static int64_t day_in(const struct zone_day *d, int64_t year)
{
    int64_t first = civil_days(year, 1, 1), day;
    int length;
    if (d->kind == ZONE_DAY_OF_YEAR) return first + d->day;
    if (d->kind == ZONE_DAY_JULIAN) return first + d->day - 1 + (d->day >= 60 && civil_month_days(year, 2) == 29);
    first = civil_days(year, d->month, 1);
    length = civil_month_days(year, d->month);
    day = (d->day + 6 - civil_weekday(first)) % 7 + 7 * (d->week - 1); /* both from Monday on: Sunday's 0 is 6 */
    return first + (day < length ? day : day - 7);
}

/* Stable: of a change back and one forth at one moment, as New Year's in a zone whose summer never ends, the later year's counts. */
static void put_by_time(struct zone_change *c, int n, struct zone_change change)
{
    for (; n > 0 && c[n - 1].at_s > change.at_s; n--) c[n] = c[n - 1];
    c[n] = change;
}

/* Those of the years around at's, in order of time. The time of day is by the clock that ends; it may be of a week before or behind, so
 * that what is in force may be of two years ago. */
enum { YEARS = 5, CHANGES = 2 * YEARS };
static void changes_around(const struct zone_rule *r, int64_t at_s, struct zone_change out[CHANGES])
{
    int64_t year;
    int month, day;
    civil_date(floor_div(at_s, DAY_S), &year, &month, &day);
    for (int k = 0; k < YEARS; k++) {
        int64_t y = year - 2 + k;
        put_by_time(out, 2 * k, (struct zone_change){ day_in(&r->to_dst, y) * DAY_S + r->to_dst.clock_s - r->std_s, r->dst_s });
        put_by_time(out, 2 * k + 1, (struct zone_change){ day_in(&r->to_std, y) * DAY_S + r->to_std.clock_s - r->dst_s, r->std_s });
    }
}

int32_t zone_rule_offset(const struct zone_rule *r, int64_t at_s)
{
    struct zone_change c[CHANGES];
    int32_t offset = r->std_s;
    if (!r->changes) return offset;
    changes_around(r, at_s, c);
    for (int k = 0; k < CHANGES && c[k].at_s <= at_s; k++) offset = c[k].offset_s;
    return offset;
}

int64_t zone_rule_changes_at(const struct zone_rule *r, int64_t after_s)
{
    struct zone_change c[CHANGES];
    if (!r->changes) return ZONE_NEVER;
    changes_around(r, after_s, c);
    for (int k = 0; k < CHANGES; k++)
        if (c[k].at_s > after_s) return c[k].at_s;
    return ZONE_NEVER;
}
