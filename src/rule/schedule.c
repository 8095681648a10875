/* Schedules: hours of the week, by the clock of a zone. */
#include <assert.h>

#include "base/civil.h"
#include "rule/zone_internal.h"

enum { MINUTE_S = 60, WEEK = 7, MARKS_MOST = 2 * SCHEDULE_HOURS_MOST };

struct schedule {
    struct str name;
    unsigned days;
    const struct schedule_hours *hours;
    size_t hour_count;
    int64_t *except; /* sorted */
    size_t except_count;
    const struct zone *zone;
    int marks[MARKS_MOST]; /* minutes of the day at which hours begin or end, sorted */
    size_t mark_count;
    bool whole; /* but for exceptions it covers every minute */
};

/* --- from text -------------------------------------------------------------------------------------------- */
static int day_number(struct str text)
{
    static const char *const names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };
    for (int k = 0; k < WEEK; k++)
        if (str_eq_c(text, names[k])) return k;
    return -1;
}

bool schedule_days_parse(struct str text, unsigned *days)
{
    size_t dash = str_find(text, '-', 0);
    int first = day_number(str_sub(text, 0, dash)), last = dash < text.n ? day_number(str_sub(text, dash + 1, text.n)) : first;
    if (str_eq_c(text, "all")) {
        *days |= SCHEDULE_ALL_DAYS;
        return true;
    }
    if (first < 0 || last < 0) return false;
    for (int k = first;; k = (k + 1) % WEEK) {
        *days |= 1u << k;
        if (k == last) return true;
    }
}

/* HH:MM */
static bool clock_parse(struct str text, int *minutes)
{
    int v[4];
    if (text.n != 5 || text.p[2] != ':') return false;
    for (size_t i = 0; i < 4; i++) {
        v[i] = text.p[i < 2 ? i : i + 1] - '0';
        if (v[i] < 0 || v[i] > 9) return false;
    }
    *minutes = (v[0] * 10 + v[1]) * 60 + v[2] * 10 + v[3];
    return v[2] < 6 && *minutes <= SCHEDULE_MINUTES;
}

bool schedule_hours_parse(struct str text, struct schedule_hours *out)
{
    size_t dash = str_find(text, '-', 0);
    if (!clock_parse(str_trim(str_sub(text, 0, dash)), &out->from)) return false;
    return clock_parse(str_trim(str_sub(text, dash + 1, text.n)), &out->to) && out->from < SCHEDULE_MINUTES && out->from != out->to;
}

/* --- what is covered ---------------------------------------------------------------------------------------- */
static bool is_exception(const struct schedule *s, int64_t day)
{
    size_t low = 0, high = s->except_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->except[mid] < day) low = mid + 1;
        else high = mid;
    }
    return low < s->except_count && s->except[low] == day;
}

/* Do hours begin on that day? */
static bool begins_on(const struct schedule *s, int64_t day)
{
    return (s->days >> civil_weekday(day) & 1) && !is_exception(s, day);
}

static bool covers_local(const struct schedule *s, int64_t local_s)
{
    int64_t day = floor_div(local_s, DAY_S);
    int minute = (int)((local_s - day * DAY_S) / MINUTE_S);
    bool today = begins_on(s, day), yesterday = begins_on(s, day - 1);
    for (size_t i = 0; i < s->hour_count; i++) {
        const struct schedule_hours *h = &s->hours[i];
        bool night = h->from > h->to;
        if (today && minute >= h->from && (night || minute < h->to)) return true;
        if (yesterday && night && minute < h->to) return true;
    }
    return false;
}

static bool covers_at(const struct schedule *s, int64_t at_s)
{
    return covers_local(s, at_s + zone_offset_at(s->zone, at_s));
}

struct str schedule_name(const struct schedule *s)
{
    return s->name;
}

bool schedule_covers(const struct schedule *s, int64_t at_ms)
{
    return covers_at(s, zone_seconds(at_ms));
}

/* --- when that changes ---------------------------------------------------------------------------------------- */
/* The next time by the clock at which hours begin or end. */
static int64_t next_mark(const struct schedule *s, int64_t local_s)
{
    int64_t midnight = floor_div(local_s, DAY_S) * DAY_S;
    for (size_t i = 0; i < s->mark_count; i++)
        if (midnight + s->marks[i] * MINUTE_S > local_s) return midnight + s->marks[i] * MINUTE_S;
    return midnight + DAY_S + s->marks[0] * MINUTE_S;
}

/* The first change after at_s, not behind until_s: from mark to mark, and over each jump of the clock. */
static int64_t change_within(const struct schedule *s, int64_t at_s, int64_t until_s)
{
    bool covered = covers_at(s, at_s);
    while (at_s <= until_s) {
        int64_t offset = zone_offset_at(s->zone, at_s), jump = zone_changes_at(s->zone, at_s);
        int64_t mark = next_mark(s, at_s + offset) - offset;
        at_s = mark < jump ? mark : jump;
        if (covers_at(s, at_s) != covered) return at_s;
    }
    return ZONE_NEVER;
}

/* Exceptions that are not over on that day. */
static size_t exceptions_from(const struct schedule *s, int64_t day)
{
    size_t k = 0;
    while (k < s->except_count && s->except[k] < day) k++;
    return k;
}

/* What is always covered changes around exceptions only. */
static int64_t whole_changes_at(const struct schedule *s, int64_t at_s)
{
    enum { AROUND_S = 2 * DAY_S };
    for (size_t k = exceptions_from(s, floor_div(at_s - AROUND_S, DAY_S)); k < s->except_count; k++) {
        int64_t from = s->except[k] * DAY_S - AROUND_S, change;
        size_t last = k;
        while (last + 1 < s->except_count && s->except[last + 1] <= s->except[last] + 1) last++; /* days in a row */
        change = change_within(s, from > at_s ? from : at_s, s->except[last] * DAY_S + DAY_S + AROUND_S);
        if (change != ZONE_NEVER) return change;
        k = last;
    }
    return ZONE_NEVER;
}

int64_t schedule_changes_at(const struct schedule *s, int64_t after_ms)
{
    int64_t at = zone_seconds(after_ms), change;
    size_t left = s->except_count - exceptions_from(s, floor_div(at, DAY_S) - 2);
    if (after_ms >= zone_last_ms) return SCHEDULE_NEVER;
    /* Every week has hours that begin and end, unless each of its days is an exception, or a clock skips them: then the next has. */
    if (s->whole) change = whole_changes_at(s, at);
    else change = change_within(s, at, at + ((int64_t)left + 4) * WEEK * DAY_S);
    return change == ZONE_NEVER ? SCHEDULE_NEVER : change * 1000;
}

/* --- making ------------------------------------------------------------------------------------------------------ */
static int by_number(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static int by_day(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Between marks nothing changes. */
static bool is_whole(const struct schedule *s)
{
    struct schedule plain = *s;
    plain.except_count = 0;
    for (int64_t day = 0; day < WEEK; day++)
        for (size_t i = 0; i < s->mark_count; i++)
            if (!covers_local(&plain, day * DAY_S + s->marks[i] * MINUTE_S)) return false;
    return true;
}

const struct schedule *schedule_make(struct arena *a, const struct schedule_spec *spec)
{
    struct schedule *s = ARENA_NEW(a, struct schedule);
    struct schedule_hours *hours = ARENA_ARRAY(a, struct schedule_hours, spec->hour_count);
    assert(spec->hour_count > 0 && spec->hour_count <= SCHEDULE_HOURS_MOST && spec->days);
    *s = (struct schedule){ .name = str_dup(a, spec->name), .days = spec->days, .hours = hours, .hour_count = spec->hour_count,
                            .except_count = spec->except_count, .zone = spec->zone };
    for (size_t i = 0; i < spec->hour_count; i++) {
        hours[i] = spec->hours[i];
        s->marks[s->mark_count++] = hours[i].from;
        s->marks[s->mark_count++] = hours[i].to % SCHEDULE_MINUTES;
    }
    qsort(s->marks, s->mark_count, sizeof *s->marks, by_number);
    s->except = ARENA_ARRAY(a, int64_t, spec->except_count + 1);
    for (size_t i = 0; i < spec->except_count; i++) s->except[i] = spec->except[i];
    if (s->except_count > 1) qsort(s->except, s->except_count, sizeof *s->except, by_day);
    s->whole = is_whole(s);
    return s;
}
