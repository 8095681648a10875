#include "http/target.h"

#include "base/utf8.h"

struct str target_path(struct str raw)
{
    return str_sub(raw, 0, str_find(raw, '?', 0));
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int check_decoded(struct str s, struct err *err)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return err_set(err, ERR_SYNTAX, "control character in the URL");
    if (utf8_invalid_at(s) != s.n) return err_set(err, ERR_SYNTAX, "the URL is not valid UTF-8");
    return 0;
}

static int decode(struct arena *a, struct str raw, bool plus_is_blank, struct str *out, struct err *err)
{
    char *p;
    size_t n = 0;
    *out = raw;
    if (str_find(raw, '%', 0) == raw.n && (!plus_is_blank || str_find(raw, '+', 0) == raw.n))
        return check_decoded(raw, err);
    p = arena_alloc(a, raw.n + 1);
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '%') {
            int high = i + 2 < raw.n ? hex_digit(raw.p[i + 1]) : -1;
            int low = i + 2 < raw.n ? hex_digit(raw.p[i + 2]) : -1;
            if (high < 0 || low < 0) return err_set(err, ERR_SYNTAX, "broken %% escape in the URL");
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        p[n++] = c;
    }
    p[n] = '\0';
    *out = (struct str){ p, n };
    return check_decoded(*out, err);
}

static int parse_path(struct arena *a, struct target *t, struct err *err)
{
    struct str rest = str_sub(t->path, 1, t->path.n), part;
    if (rest.n == 0) return 0;
    while (str_split(&rest, '/', &part)) {
        if (t->segment_count == TARGET_SEGMENTS_MAX)
            return err_set(err, ERR_SYNTAX, "more than %d path segments", TARGET_SEGMENTS_MAX);
        if (decode(a, part, false, &t->segments[t->segment_count], err) < 0) return -1;
        t->segment_count++;
    }
    return 0;
}

static int parse_pair(struct arena *a, struct str part, struct target *t, struct err *err)
{
    struct target_pair *pair = &t->query[t->query_count];
    size_t eq = str_find(part, '=', 0);
    if (t->query_count == TARGET_PAIRS_MAX)
        return err_set(err, ERR_SYNTAX, "more than %d query parameters", TARGET_PAIRS_MAX);
    if (decode(a, str_sub(part, 0, eq), true, &pair->name, err) < 0) return -1;
    if (decode(a, str_sub(part, eq + 1, part.n), true, &pair->value, err) < 0) return -1;
    if (str_absent(pair->value)) pair->value = STR("");
    for (size_t i = 0; i < t->query_count; i++)
        if (str_eq(t->query[i].name, pair->name))
            return err_set(err, ERR_SYNTAX, "query parameter `" STR_FMT "` is given twice",
                           STR_ARG(pair->name));
    t->query_count++;
    return 0;
}

int target_parse(struct arena *a, struct str raw, struct target *out, struct err *err)
{
    struct str query, part;
    *out = (struct target){ .path = target_path(raw) };
    if (raw.n == 0 || raw.p[0] != '/') return err_set(err, ERR_SYNTAX, "the URL does not start with /");
    if (parse_path(a, out, err) < 0) return -1;
    if (out->path.n == raw.n) return 0;
    query = str_sub(raw, out->path.n + 1, raw.n);
    while (str_split(&query, '&', &part))
        if (part.n && parse_pair(a, part, out, err) < 0) return -1;
    return 0;
}

struct str target_query(const struct target *t, const char *name)
{
    for (size_t i = 0; i < t->query_count; i++)
        if (str_eq_c(t->query[i].name, name)) return t->query[i].value;
    return STR_NONE;
}

bool target_matches(const struct target *t, const char *pattern)
{
    struct str rest = str_c(pattern), part;
    size_t i = 0;
    while (str_split(&rest, '/', &part)) {
        if (i == t->segment_count) return false;
        if (!str_eq_c(part, "{}") && !str_eq(part, t->segments[i])) return false;
        if (t->segments[i].n == 0) return false;
        i++;
    }
    return i == t->segment_count;
}
