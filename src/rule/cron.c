/* Cron times, as Vixie's cron reads them. */
#include "base/civil.h"
#include "rule/rule_internal.h"
#include "rule/zone_internal.h"

struct cron {
    struct str text;
    uint64_t minutes;
    uint32_t hours, days, months, weekdays; /* bit n: n is in; weekdays: 0 is Sunday */
    bool any_day, any_weekday;              /* the field begins with *: then both must fit, else one is enough */
};

/* --- parsing -------------------------------------------------------------------------------------------------- */
struct cron_field { const char *name; int least, most; const char *names; /* of three letters each, from `first` on */ int first; };
enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, CRON_FIELDS };
static const struct cron_field cron_fields[CRON_FIELDS] = {
    [MINUTE] = { "minute", 0, 59, "", 0 },
    [HOUR] = { "hour", 0, 23, "", 0 },
    [DAY] = { "day of the month", 1, 31, "", 0 },
    [MONTH] = { "month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec", 1 },
    [WEEKDAY] = { "day of the week", 0, 7, "sunmontuewedthufrisat", 0 },
};

static bool value_parse(const struct cron_field *f, struct str text, int *out)
{
    int64_t number;
    for (int k = 0; f->names[3 * k]; k++) {
        if (!str_ieq(text, (struct str){ f->names + 3 * (ptrdiff_t)k, 3 })) continue;
        *out = f->first + k;
        return true;
    }
    if (text.n == 0 || text.n > 2 || text.p[0] == '-' || text.p[0] == '+' || !str_to_i64(text, &number)) return false;
    *out = (int)number;
    return number >= f->least && number <= f->most;
}

static int bad_item(const struct cron_field *f, struct str item, struct err *err)
{
    const char *more = f->names[0] ? ", or three letters of a name" : "";
    return err_set(err, ERR_SYNTAX, "`" STR_FMT "` is no %s: %d to %d%s, a range like %d-%d, *, or a step like */%d", STR_ARG(item), f->name, f->least,
                   f->most, more, f->least, f->least + 2, 2);
}

/* first-last, or * */
static int range_parse(const struct cron_field *f, struct str item, struct str text, int *first, int *last, struct err *err)
{
    size_t dash = str_find(text, '-', 0);
    *first = f->least;
    *last = f->most;
    if (str_eq_c(text, "*")) return 0;
    if (!value_parse(f, str_sub(text, 0, dash), first)) return bad_item(f, item, err);
    *last = *first;
    if (dash < text.n && !value_parse(f, str_sub(text, dash + 1, text.n), last)) return bad_item(f, item, err);
    if (f->most == 7 && dash < text.n && *last == 0 && *first > 0) *last = 7; /* fri-sun */
    if (*first <= *last) return 0;
    return err_set(err, ERR_SYNTAX, "`" STR_FMT "` goes backwards: write two ranges, with a comma", STR_ARG(item));
}

static int item_parse(const struct cron_field *f, struct str item, uint64_t *bits, struct err *err)
{
    size_t slash = str_find(item, '/', 0);
    struct str range = str_sub(item, 0, slash), by = str_sub(item, slash + 1, item.n);
    int first, last;
    int64_t step = 1;
    if (range_parse(f, item, range, &first, &last, err) != 0) return -1;
    if (slash < item.n && first == last)
        return err_set(err, ERR_SYNTAX, "a step needs a range: %d-%d/" STR_FMT, first, f->most, STR_ARG(by));
    if (slash < item.n && (by.n == 0 || by.n > 2 || by.p[0] == '+' || !str_to_i64(by, &step) || step < 1 || step > f->most))
        return err_set(err, ERR_SYNTAX, "`" STR_FMT "` has no step from 1 to %d", STR_ARG(item), f->most);
    for (int k = first; k <= last; k += (int)step) *bits |= UINT64_C(1) << k;
    return 0;
}

static int field_parse(const struct cron_field *f, struct str text, uint64_t *bits, struct err *err)
{
    struct str item;
    *bits = 0;
    if (str_ends(text, STR(","))) return bad_item(f, text, err);
    while (str_split(&text, ',', &item))
        if (item_parse(f, item, bits, err) != 0) return -1;
    return 0;
}

/* @daily and the like, as five fields. */
static int nickname(struct str *text, struct err *err)
{
    static const struct { const char *name, *fields; } known[] = {
        { "@hourly", "0 * * * *" },  { "@daily", "0 0 * * *" },   { "@midnight", "0 0 * * *" }, { "@weekly", "0 0 * * 0" },
        { "@monthly", "0 0 1 * *" }, { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" },
    };
    if (!str_starts(*text, STR("@"))) return 0;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        if (!str_eq_c(*text, known[k].name)) continue;
        *text = str_c(known[k].fields);
        return 0;
    }
    return err_set(err, ERR_SYNTAX, "`" STR_FMT "` is no time: @hourly, @daily, @weekly, @monthly, @yearly, or five fields", STR_ARG(*text));
}

const struct cron *cron_parse(struct arena *a, struct str written, struct err *err)
{
    struct cron *c = ARENA_NEW(a, struct cron);
    struct str text = str_trim(written), words[RULE_WORDS_MAX];
    uint64_t bits[CRON_FIELDS] = { 0 };
    size_t n;
    if (nickname(&text, err) != 0) return NULL;
    n = rule_words(text, words);
    if (n != CRON_FIELDS) {
        (void)err_set(err, ERR_SYNTAX, "a cron time has five fields, minute hour day month weekday, as `0 3 * * *`: here are %s%zu",
                      n > RULE_WORDS_MAX ? "more than " : "", n > RULE_WORDS_MAX ? n - 1 : n);
        return NULL;
    }
    for (size_t k = 0; k < CRON_FIELDS; k++)
        if (field_parse(&cron_fields[k], words[k], &bits[k], err) != 0) return NULL;
    *c = (struct cron){ .text = str_dup(a, str_trim(written)), .minutes = bits[MINUTE], .hours = (uint32_t)bits[HOUR], .days = (uint32_t)bits[DAY],
                        .months = (uint32_t)bits[MONTH], .weekdays = (uint32_t)(bits[WEEKDAY] | bits[WEEKDAY] >> 7),
                        .any_day = words[DAY].p[0] == '*', .any_weekday = words[WEEKDAY].p[0] == '*' };
    return c;
}

struct str cron_text(const struct cron *c)
{
    return c->text;
}

/* --- the next time ---------------------------------------------------------------------------------------------- */
enum { YEARS_FAR = 50 }; /* 29 February is a Sunday every 40 years at the latest */

static bool day_fits(const struct cron *c, int64_t days, int day)
{
    bool fits = c->days >> day & 1, weekday = c->weekdays >> ((civil_weekday(days) + 1) % 7) & 1;
    return c->any_day || c->any_weekday ? fits && weekday : fits || weekday;
}

/* The first day from `days` on that fits; false: none within reach. */
static bool next_day(const struct cron *c, int64_t *days)
{
    int64_t year, until;
    int month, day;
    civil_date(*days, &year, &month, &day);
    for (until = year + YEARS_FAR; year <= until; day = 1) {
        int length = civil_month_days(year, month);
        for (; (c->months >> month & 1) && day <= length; day++) {
            *days = civil_days(year, month, day);
            if (day_fits(c, *days, day)) return true;
        }
        year += month == 12;
        month = month % 12 + 1;
    }
    return false;
}

/* The first minute of the day from `minute` on that fits; -1: none. */
static int next_minute(const struct cron *c, int minute)
{
    for (int hour = minute / 60, at = minute % 60; hour < 24; hour++, at = 0) {
        if (!(c->hours >> hour & 1)) continue;
        for (; at < 60; at++)
            if (c->minutes >> at & 1) return hour * 60 + at;
    }
    return -1;
}

/* By the clock of the zone the times stand in order, and so do the moments at which the clock first reaches them. */
int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after_ms)
{
    int64_t after = zone_seconds(after_ms), local = after + zone_offset_at(z, after), days = floor_div(local, DAY_S), first = days;
    int minute = (int)((local - days * DAY_S) / 60);
    if (after_ms >= zone_last_ms) return SCHEDULE_NEVER;
    while (next_day(c, &days)) {
        int at = days == first ? minute : 0;
        while ((at = next_minute(c, at)) >= 0) {
            int64_t moment = zone_reaches(z, days * DAY_S + (int64_t)at * 60);
            if (moment > after) return moment * 1000;
            at++;
            if (at >= SCHEDULE_MINUTES) break;
        }
        days++;
    }
    return SCHEDULE_NEVER;
}
