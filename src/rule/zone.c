/* Zones by name, from the system's tzdata. */
#include "base/file.h"
#include "base/suggest.h"
#include "rule/zone_internal.h"

/* --- loading ------------------------------------------------------------------------------------------------ */
enum { NAME_LONGEST = 64, FILE_LARGEST = 1 << 18, NAMES_LARGEST = 1 << 20, NAMES_MOST = 2000 };

/* TZDIR is what other programs of the system honour. */
static const char *tzdata_dir(void)
{
    const char *dir = getenv("TZDIR");
    return dir && *dir ? dir : "/usr/share/zoneinfo";
}

/* Letters, digits and -+_ in parts divided by /: nothing that leaves the folder. */
static bool name_ok(struct str name)
{
    if (name.n == 0 || name.n > NAME_LONGEST) return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool edge = i == 0 || i + 1 == name.n || name.p[i - 1] == '/';
        if (c == '/' ? edge : !((c | 32) >= 'a' && (c | 32) <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '+' && c != '_') return false;
    }
    return true;
}

static int not_there(struct arena *a, struct str name, struct err *err)
{
    struct err why = { 0 };
    struct str text;
    const char *known = str_printf(a, "%s/Etc/UTC", tzdata_dir()).p;
    if (file_read(a, known, FILE_LARGEST, &text, &why) != 0)
        return err_set(err, ERR_IO, "no time zones on this machine: there is no %s (Debian's package tzdata brings it)", known);
    return err_set(err, ERR_NOT_FOUND, "no time zone is called `" STR_FMT "`", STR_ARG(name));
}

static int load(struct arena *a, struct str name, struct zone *z, struct err *err)
{
    const char *path = str_printf(a, "%s/" STR_FMT, tzdata_dir(), STR_ARG(name)).p;
    struct err why = { 0 };
    struct str bytes;
    if (file_read(a, path, FILE_LARGEST, &bytes, &why) != 0) return not_there(a, name, err);
    if (tzif_read(a, bytes, z, &why) == 0) return 0;
    return err_set(err, why.code, "time zone `" STR_FMT "` cannot be read: %s", STR_ARG(name), why.msg);
}

const struct zone *zone_load(struct arena *a, struct str name, struct err *err)
{
    struct zone *z = ARENA_NEW(a, struct zone);
    z->name = str_dup(a, name);
    if (!name_ok(name)) {
        (void)err_set(err, ERR_SYNTAX, "`" STR_FMT "` is no name of a time zone: write one like Europe/Berlin, or UTC", STR_ARG(name));
        return NULL;
    }
    if (str_eq_c(name, "UTC")) return z; /* needs no tzdata */
    return load(a, name, z, err) == 0 ? z : NULL;
}

struct str zone_name(const struct zone *z)
{
    return z->name;
}

/* --- names like it -------------------------------------------------------------------------------------------- */
/* The name in a line of tzdata.zi: "Z Europe/Berlin 0:53:28 ...", "L Europe/Berlin Arctic/Longyearbyen". */
static struct str name_in(struct str line)
{
    struct str kind, name = STR_NONE, link = STR_NONE;
    if (!str_split(&line, ' ', &kind) || !str_split(&line, ' ', &name)) return STR_NONE;
    if (str_eq_c(kind, "Z")) return name;
    return str_eq_c(kind, "L") && str_split(&line, ' ', &link) ? link : STR_NONE;
}

static struct str city_of(struct str name)
{
    size_t at = name.n;
    while (at > 0 && name.p[at - 1] != '/') at--;
    return str_sub(name, at, name.n);
}

struct str zone_nearest(struct arena *a, struct str name)
{
    struct str *names = ARENA_ARRAY(a, struct str, NAMES_MOST), text, line;
    struct err err = { 0 };
    size_t n = 0;
    if (file_read(a, str_printf(a, "%s/tzdata.zi", tzdata_dir()).p, NAMES_LARGEST, &text, &err) != 0) return STR_NONE;
    while (n < NAMES_MOST && str_split(&text, '\n', &line)) {
        names[n] = name_in(line);
        if (str_absent(names[n])) continue;
        if (str_ieq(names[n], name) || str_ieq(city_of(names[n]), name)) return names[n];
        n++;
    }
    return suggest_nearest(name, names, n);
}

/* --- the clock -------------------------------------------------------------------------------------------------- */
int64_t zone_seconds(int64_t at_ms)
{
    if (at_ms < zone_first_ms) at_ms = zone_first_ms;
    if (at_ms > zone_last_ms) at_ms = zone_last_ms;
    return floor_div(at_ms, 1000);
}

/* How many changes are at or before. */
static size_t changes_until(const struct zone *z, int64_t at_s)
{
    size_t low = 0, high = z->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (z->changes[mid].at_s <= at_s) low = mid + 1;
        else high = mid;
    }
    return low;
}

int32_t zone_offset_at(const struct zone *z, int64_t at_s)
{
    size_t k = changes_until(z, at_s);
    if (k == z->n && z->rule.exists) return zone_rule_offset(&z->rule, at_s);
    return k == 0 ? z->first_s : z->changes[k - 1].offset_s;
}

int32_t zone_offset_s(const struct zone *z, int64_t at_ms)
{
    return zone_offset_at(z, zone_seconds(at_ms));
}

int64_t zone_changes_at(const struct zone *z, int64_t after_s)
{
    size_t k = changes_until(z, after_s);
    if (k < z->n) return z->changes[k].at_s;
    return z->rule.exists ? zone_rule_changes_at(&z->rule, after_s) : ZONE_NEVER;
}

int64_t zone_reaches(const struct zone *z, int64_t local_s)
{
    int64_t at = local_s - ZONE_OFFSET_BELOW_S; /* when no clock is there yet */
    for (;;) {
        int64_t there = local_s - zone_offset_at(z, at), next = zone_changes_at(z, at);
        if (there < at) return at; /* it jumped over */
        if (there < next) return there;
        at = next;
    }
}
