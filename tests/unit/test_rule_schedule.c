/* Schedules and cron times: what is refused, days on which clocks jump, and changes held against each minute. What a schedule covers
 * and when a cron time comes is judged in tests/zones, too. */
#include "rule_testing.h"

#include "base/civil.h"
#include "base/timefmt.h"

static const struct zone *zone_of(struct arena *a, const char *name)
{
    struct err err = { 0 };
    const struct zone *z = zone_load(a, str_c(name), &err);
    if (!z) fail_msg("%s: %s", name, err.msg);
    return z;
}

static int64_t at(const char *text)
{
    int64_t ms;
    if (!time_parse(str_c(text), &ms)) fail_msg("%s", text);
    return ms;
}

/* days, hours and exceptions with commas between; none: NULL. */
struct plan { const char *zone, *days, *hours, *except; };
static const struct schedule *made(struct arena *a, struct plan p)
{
    struct schedule_hours hours[SCHEDULE_HOURS_MOST];
    int64_t except[SCHEDULE_EXCEPT_MOST];
    struct schedule_spec spec = { .name = STR("plan"), .hours = hours, .except = except, .zone = zone_of(a, p.zone) };
    struct str rest = str_c(p.days), part;
    while (str_split(&rest, ',', &part)) assert_true(schedule_days_parse(part, &spec.days));
    for (rest = str_c(p.hours); str_split(&rest, ',', &part);) assert_true(schedule_hours_parse(part, &hours[spec.hour_count++]));
    for (rest = str_c(p.except); str_split(&rest, ',', &part);) assert_true(civil_parse(part, &except[spec.except_count++]));
    return schedule_make(a, &spec);
}

/* --- text ------------------------------------------------------------------------------------------------- */
static void days_and_hours(void **state)
{
    static const struct { const char *text; unsigned days; } days[] = { { "all", 127 }, { "mon", 1 }, { "mon-fri", 31 }, { "sat-mon", 97 }, { "sun", 64 }, { "wed-wed", 4 } };
    static const char *const no_days[] = { "", "Mon", "monday", "mon-", "-fri", "mon-fri-sat", "mon,fri", "all-mon", "everyday" };
    static const struct { const char *text; int from, to; } hours[] = { { "09:00-18:00", 540, 1080 }, { "22:00-06:00", 1320, 360 }, { "00:00-24:00", 0, 1440 }, { "23:59 - 00:00", 1439, 0 } };
    static const char *const no_hours[] = { "", "9:00-18:00", "09:00", "09:00-", "9-18", "09:00-09:00", "24:00-01:00", "09:60-10:00", "09:00-24:01", "25:00-26:00", "09.00-18.00", "09:00-18:00-19:00", "-1:00-02:00" };
    struct schedule_hours h;
    unsigned bits;
    (void)state;
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        bits = 0;
        assert_true(schedule_days_parse(str_c(days[i].text), &bits));
        assert_int_equal(bits, days[i].days);
    }
    for (size_t i = 0; i < sizeof no_days / sizeof *no_days; i++)
        if (schedule_days_parse(str_c(no_days[i]), &bits)) fail_msg("%s", no_days[i]);
    for (size_t i = 0; i < sizeof hours / sizeof *hours; i++) {
        assert_true(schedule_hours_parse(str_c(hours[i].text), &h));
        assert_int_equal(h.from, hours[i].from);
        assert_int_equal(h.to, hours[i].to);
    }
    for (size_t i = 0; i < sizeof no_hours / sizeof *no_hours; i++)
        if (schedule_hours_parse(str_c(no_hours[i]), &h)) fail_msg("%s", no_hours[i]);
}

/* --- what is covered ---------------------------------------------------------------------------------------- */
static const struct plan night = { "Europe/Berlin", "all", "01:00-04:00", NULL };
static const struct plan late = { "Europe/Berlin", "mon-fri", "22:00-06:00", "2026-05-07" };
static const struct plan early = { "Europe/Berlin", "sun", "02:10-02:50", NULL };
static const struct plan always = { "Europe/Berlin", "all", "12:00-06:00,06:00-12:00", NULL };
static const struct plan closed = { "America/New_York", "all", "00:00-24:00", "2026-12-25,2026-12-24,2027-01-01" };

static const struct plan long_ago = { "UTC", "all", "00:00-24:00", "1970-01-02,2026-12-25" };

static void covered(void **state)
{
    static const struct { const struct plan *plan; const char *when; bool is; } all[] = {
        { &night, "2026-03-28T23:59:59Z", false }, { &night, "2026-03-29T00:00:00Z", true }, /* forward: 01:00 +01:00 to 04:00 +02:00 */
        { &night, "2026-03-29T01:59:59Z", true },  { &night, "2026-03-29T02:00:00Z", false },
        { &night, "2026-10-24T22:59:59Z", false }, { &night, "2026-10-24T23:00:00Z", true }, /* back: four hours */
        { &night, "2026-10-25T02:59:59Z", true },  { &night, "2026-10-25T03:00:00Z", false },
        { &late, "2026-05-02T01:00:00Z", true },   { &late, "2026-05-02T04:00:00Z", false }, /* Saturday 03:00 is Friday's */
        { &late, "2026-05-02T20:30:00Z", false },  { &late, "2026-05-03T20:30:00Z", false }, { &late, "2026-05-04T01:00:00Z", false },
        { &late, "2026-05-04T20:00:00Z", true },   { &late, "2026-05-07T01:00:00Z", true },  /* an exception takes what begins on it */
        { &late, "2026-05-07T20:00:00Z", false },  { &late, "2026-05-08T01:00:00Z", false }, { &late, "2026-05-08T20:00:00Z", true },
        { &early, "2026-03-22T01:30:00Z", true },  { &early, "2026-03-29T01:30:00Z", false }, /* skipped */
        { &early, "2026-10-25T00:30:00Z", true },  { &early, "2026-10-25T00:55:00Z", false }, { &early, "2026-10-25T01:30:00Z", true }, /* twice */
        { &closed, "2026-12-24T04:59:59Z", true }, { &closed, "2026-12-24T05:00:00Z", false }, { &closed, "2026-12-26T05:00:00Z", true },
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (schedule_covers(made(&a, *all[i].plan), at(all[i].when)) != all[i].is) fail_msg("%s: not %d", all[i].when, (int)all[i].is);
    assert_string_equal(schedule_name(made(&a, night)).p, "plan");
    arena_fini(&a);
}

/* --- when that changes ---------------------------------------------------------------------------------------- */
static void changes(void **state)
{
    static const struct { const struct plan *plan; const char *after, *then; } all[] = {
        { &night, "2026-03-28T23:59:59.999Z", "2026-03-29T00:00:00Z" }, { &night, "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z" },
        { &late, "2026-05-06T20:00:00Z", "2026-05-07T04:00:00Z" },      { &late, "2026-05-07T04:00:00Z", "2026-05-08T20:00:00Z" },
        { &early, "2026-03-22T02:00:00Z", "2026-04-05T00:10:00Z" },     { &early, "2026-10-25T00:50:00Z", "2026-10-25T01:10:00Z" },
        { &closed, "2020-01-01T00:00:00Z", "2026-12-24T05:00:00Z" },    { &closed, "2026-12-24T05:00:00Z", "2026-12-26T05:00:00Z" },
        { &long_ago, "1971-01-01T00:00:00Z", "2026-12-25T00:00:00Z" },
        { &closed, "2026-12-26T05:00:00Z", "2027-01-01T05:00:00Z" },    { &closed, "2027-01-02T05:00:00Z", NULL }, { &always, "2026-03-01T00:00:00Z", NULL },
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char text[TIMEFMT_SIZE];
        int64_t found = schedule_changes_at(made(&a, *all[i].plan), at(all[i].after)), wanted = all[i].then ? at(all[i].then) : SCHEDULE_NEVER;
        if (found != wanted) fail_msg("after %s: %s", all[i].after, time_format(found, text).p);
    }
    assert_true(schedule_changes_at(made(&a, night), INT64_MAX) == SCHEDULE_NEVER);
    (void)schedule_changes_at(made(&a, night), INT64_MIN);
    arena_fini(&a);
}

/* Samoa had no 30 December 2011: an exception on that day changes nothing, and what begins on the 29th goes on into the 31st. */
static void a_day_that_never_was(void **state)
{
    struct arena a = { 0 };
    struct plan open = { "Pacific/Apia", "all", "00:00-24:00", "2011-12-30,2012-01-02" }, fridays = { "Pacific/Apia", "fri", "09:00-17:00", NULL };
    (void)state;
    assert_int_equal(schedule_changes_at(made(&a, open), at("2011-12-01T00:00:00Z")), at("2012-01-01T10:00:00Z"));
    assert_int_equal(schedule_changes_at(made(&a, fridays), at("2011-12-25T00:00:00Z")), at("2012-01-05T19:00:00Z"));
    arena_fini(&a);
}

/* A thousand exceptions, every Monday of nineteen years: the next change is behind them all. */
static void many_exceptions_are_bounded_work(void **state)
{
    struct arena a = { 0 };
    int64_t except[SCHEDULE_EXCEPT_MOST], first = civil_days(2026, 5, 4);
    struct schedule_hours hours = { 540, 600 };
    struct schedule_spec spec = { .name = STR("mondays"), .days = 1, .hours = &hours, .hour_count = 1, .except = except, .except_count = SCHEDULE_EXCEPT_MOST, .zone = zone_of(&a, "Europe/Berlin") };
    int64_t change;
    (void)state;
    for (int64_t k = 0; k < SCHEDULE_EXCEPT_MOST; k++) except[k] = first + 7 * ((k * 7) % SCHEDULE_EXCEPT_MOST);
    change = schedule_changes_at(schedule_make(&a, &spec), at("2026-05-01T00:00:00Z"));
    assert_int_equal(floor_div(change, 86400000), first + 7 * SCHEDULE_EXCEPT_MOST);
    arena_fini(&a);
}

/* Minute by minute through years with jumps: schedule_changes_at() is what schedule_covers() shows. */
static void changes_are_what_each_minute_shows(void **state)
{
    static const struct plan plans[] = {
        { "Europe/Berlin", "mon-fri", "09:00-18:00", "2026-12-25,2026-12-24" }, { "Europe/Berlin", "all", "01:00-04:00,02:30-02:45,23:00-01:00", "2026-03-29" },
        { "America/New_York", "mon-fri", "22:00-06:00", "2026-05-01" }, { "Australia/Lord_Howe", "sat-mon", "01:45-02:15", NULL }, { "Asia/Beirut", "all", "23:30-00:30", "2026-03-29" },
        { "America/Havana", "all", "00:00-24:00", "2026-03-08,2026-11-01,2026-11-02" }, { "Africa/Casablanca", "sun", "02:00-03:00", NULL }, { "Pacific/Chatham", "wed", "18:00-17:59", NULL },
        { "UTC", "all", "00:00-12:00,12:00-23:59", NULL },
    };
    const char *span = getenv("SCHEDULE_DAYS");
    int64_t days = span ? strtoll(span, NULL, 10) : 1100, from = at("2025-12-28T00:00:00Z"), minute = 60000;
    (void)state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct arena a = { 0 };
        const struct schedule *s = made(&a, plans[i]);
        int64_t next = schedule_changes_at(s, from);
        bool is = schedule_covers(s, from);
        for (int64_t t = from + minute; t < from + days * 1440 * minute; t += minute) {
            bool now = schedule_covers(s, t);
            char text[TIMEFMT_SIZE];
            if ((now != is) != (t == next)) fail_msg("%s %s %s at %s", plans[i].zone, plans[i].days, plans[i].hours, time_format(t, text).p);
            if (t == next) next = schedule_changes_at(s, t);
            else if (t / minute % 101 == 0) assert_int_equal(schedule_changes_at(s, t - 1), next); /* from wherever it is asked */
            is = now;
        }
        arena_fini(&a);
    }
}

/* --- cron ------------------------------------------------------------------------------------------------------ */
static void next_times(void **state)
{
    static const struct { const char *cron, *zone, *after, *then; } all[] = {
        { "0 3 * * *", "Europe/Berlin", "2026-05-01T00:00:00Z", "2026-05-01T01:00:00Z" },
        { "0 3 * * *", "Europe/Berlin", "2026-05-01T01:00:00Z", "2026-05-02T01:00:00Z" },
        { "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z" }, /* skipped: at the jump */
        { "*/20 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z" }, /* and once */
        { "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z" }, /* twice: the first */
        { "30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z" },
        { "30 2 * * *", "Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-26T01:30:00Z" },
        { "@hourly", "Europe/Berlin", "2026-10-25T00:10:00Z", "2026-10-25T02:00:00Z" },
        { "@daily", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z" }, /* midnight is skipped */
        { "@weekly", "UTC", "2026-05-01T00:00:00Z", "2026-05-03T00:00:00Z" },
        { "@monthly", "UTC", "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z" },
        { "@yearly", "UTC", "2026-05-01T00:00:00Z", "2027-01-01T00:00:00Z" },
        { "0 0 13 * fri", "UTC", "2026-05-01T00:00:00Z", "2026-05-08T00:00:00Z" }, /* one of the two is enough */
        { "0 0 */13 * fri", "UTC", "2026-05-02T00:00:00Z", "2026-08-14T00:00:00Z" }, /* both: a field that begins with * */
        { "0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z" },
        { "0 0 29 2 */7", "UTC", "2088-03-01T00:00:00Z", "2128-02-29T00:00:00Z" },
        { "0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", NULL },
        { "0 0 31 apr,jun,sep *", "UTC", "2026-01-01T00:00:00Z", NULL },
        { "0 0 * * SUN", "UTC", "2026-05-01T00:00:00Z", "2026-05-03T00:00:00Z" },
        { "0 0 * * fri-sun", "UTC", "2026-05-02T00:00:00Z", "2026-05-03T00:00:00Z" },
        { "0 0 * * 7", "UTC", "2026-05-01T00:00:00Z", "2026-05-03T00:00:00Z" },
        { "  5  4 * Jan-mar 1 ", "UTC", "2026-05-01T00:00:00Z", "2027-01-04T04:05:00Z" },
        { "0 3 30 12 *", "Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-30T10:00:00Z" }, /* a day that never was */
    };
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct err err = { 0 };
        char text[TIMEFMT_SIZE];
        const struct cron *c = cron_parse(&a, str_c(all[i].cron), &err);
        int64_t found = c ? cron_next(c, zone_of(&a, all[i].zone), at(all[i].after)) : 0, wanted = all[i].then ? at(all[i].then) : SCHEDULE_NEVER;
        if (found != wanted) fail_msg("%s after %s: %s %s", all[i].cron, all[i].after, time_format(found, text).p, err.msg);
    }
    arena_fini(&a);
}

static void cron_texts(void **state)
{
    static const struct { const char *cron, *says; } bad[] = {
        { "", "five fields" }, { "0 3 * *", "here are 4" }, { "0 0 3 * * *", "here are 6" }, { "1 2 3 4 5 6 7 8 9 10", "more than 8" },
        { "60 * * * *", "`60` is no minute: 0 to 59" }, { "* 24 * * *", "`24` is no hour: 0 to 23" }, { "* * 0 * *", "`0` is no day of the month: 1 to 31" },
        { "* * 32 * *", "day of the month" }, { "* * * 13 *", "`13` is no month: 1 to 12, or three letters of a name" }, { "* * * * 8", "day of the week: 0 to 7" },
        { "* * L * *", "`L` is no day of the month" }, { "* * * * mon#2", "day of the week" }, { "? * * * *", "`?` is no minute" }, { "* * * foo *", "month" },
        { "5/10 * * * *", "a step needs a range: 5-59/10" }, { "*/0 * * * *", "no step from 1 to 59" }, { "*/x * * * *", "no step" }, { "*/60 * * * *", "no step" }, { "*/ * * * *", "no step" },
        { "30-10 * * * *", "`30-10` goes backwards" }, { "* 22-6 * * *", "goes backwards: write two ranges" }, { "1,,2 * * * *", "`` is no minute" }, { "1, * * * *", "no minute" }, { "*-5 * * * *", "no minute" },
        { "-1 * * * *", "no minute" }, { "001 * * * *", "no minute" }, { "@reboot", "`@reboot` is no time" }, { "@every 5m", "is no time" },
    };
    struct arena a = { 0 };
    struct err err = { 0 };
    const struct cron *c = cron_parse(&a, STR(" 0 3 * * * "), &err);
    (void)state;
    assert_non_null(c);
    assert_string_equal(cron_text(c).p, "0 3 * * *");
    assert_true(cron_next(c, zone_of(&a, "UTC"), INT64_MAX) == SCHEDULE_NEVER);
    (void)cron_next(c, zone_of(&a, "UTC"), INT64_MIN);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (cron_parse(&a, str_c(bad[i].cron), &err)) fail_msg("%s", bad[i].cron);
        if (!strstr(err.msg, bad[i].says)) fail_msg("%s: %s", bad[i].cron, err.msg);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_and_hours), cmocka_unit_test(covered), cmocka_unit_test(changes), cmocka_unit_test(a_day_that_never_was), cmocka_unit_test(many_exceptions_are_bounded_work),
        cmocka_unit_test(changes_are_what_each_minute_shows), cmocka_unit_test(next_times), cmocka_unit_test(cron_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
