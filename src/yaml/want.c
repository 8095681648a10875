#include <inttypes.h>
#include <string.h>

#include "base/timefmt.h"
#include "yaml/yaml_internal.h"

/* What stands there, for "wants ..., got ...". */
static const char *found(struct diags *d, const struct yaml_node *n)
{
    if (n->kind == YAML_MAP) return "a map";
    if (n->kind == YAML_SEQ) return "a list";
    if (yaml_is_null(n)) return "nothing";
    return str_printf(d->arena, "`%s`", yaml_shown(d->arena, n->text)).p;
}

static struct diag *wants(struct diags *d, const struct yaml_node *n, const char *what)
{
    struct diag *item = yaml_error(d, n, "wants %s, got %s", what, found(d, n));
    const struct str line = item->source_line;
    if (yaml_is_null(n) && n->text.n == 0 && str_find(line, '#', 0) < line.n)
        item->hint = STR("a `#` starts a comment: a value that begins with it must be in quotes");
    return item;
}

static bool is_text(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && !yaml_is_null(n);
}

bool yaml_want_text(const struct yaml_node *n, struct diags *d, struct str *out)
{
    if (!is_text(n)) {
        struct diag *item = wants(d, n, "text");
        if (yaml_is_null(n) && n->text.n > 0)
            item->hint = str_printf(d->arena, "for the word itself write \"%s\" in quotes", n->text.p);
        return false;
    }
    *out = n->text;
    return true;
}

static void hint_quotes(struct diag *item, const struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR && !n->plain && str_absent(item->hint))
        item->hint = STR("write it without quotes: what is in quotes is text");
}

bool yaml_want_bool(const struct yaml_node *n, struct diags *d, bool *out)
{
    static const char *const yes[] = { "yes", "on", "True", "TRUE", "Yes", "On", "YES", "ON", "y" };
    static const char *const no[] = { "no", "off", "False", "FALSE", "No", "Off", "NO", "OFF", "n" };
    struct diag *item;
    bool is_true = n->kind == YAML_SCALAR && str_eq_c(n->text, "true");
    if (n->plain && (is_true || (n->kind == YAML_SCALAR && str_eq_c(n->text, "false")))) {
        *out = is_true;
        return true;
    }
    item = wants(d, n, "true or false");
    for (size_t i = 0; n->kind == YAML_SCALAR && i < sizeof yes / sizeof *yes; i++) {
        if (str_eq_c(n->text, yes[i])) item->hint = STR("write true");
        if (str_eq_c(n->text, no[i])) item->hint = STR("write false");
    }
    hint_quotes(item, n);
    return false;
}

/* "a whole number", "a whole number from 1 to 100", ... */
static const char *range(struct diags *d, const char *what, bool has_least, const char *least, bool has_most,
                         const char *most)
{
    if (has_least && has_most) return str_printf(d->arena, "%s from %s to %s", what, least, most).p;
    if (has_least) return str_printf(d->arena, "%s of at least %s", what, least).p;
    if (has_most) return str_printf(d->arena, "%s of at most %s", what, most).p;
    return what;
}

bool yaml_want_i64(const struct yaml_node *n, struct diags *d, int64_t least, int64_t most, int64_t *out)
{
    int64_t v;
    char low[24], high[24];
    if (n->plain && n->kind == YAML_SCALAR && str_to_i64(n->text, &v) && v >= least && v <= most) {
        *out = v;
        return true;
    }
    snprintf(low, sizeof low, "%" PRId64, least);
    snprintf(high, sizeof high, "%" PRId64, most);
    hint_quotes(wants(d, n, range(d, "a whole number", least != INT64_MIN, low, most != INT64_MAX, high)), n);
    return false;
}

bool yaml_want_f64(const struct yaml_node *n, struct diags *d, double least, double most, double *out)
{
    double v;
    char low[32], high[32];
    if (n->plain && n->kind == YAML_SCALAR && str_to_f64(n->text, &v) && v >= least && v <= most) {
        *out = v;
        return true;
    }
    snprintf(low, sizeof low, "%g", least);
    snprintf(high, sizeof high, "%g", most);
    hint_quotes(wants(d, n, range(d, "a number", least > -1e300, low, most < 1e300, high)), n);
    return false;
}

bool yaml_want_duration(const struct yaml_node *n, struct diags *d, int64_t *ms)
{
    struct diag *item;
    int64_t number;
    if (is_text(n) && duration_parse(n->text, ms)) return true;
    item = wants(d, n, "a duration like 30s or 5m");
    if (is_text(n) && str_to_i64(n->text, &number) && number >= 0)
        item->hint = str_printf(d->arena, "add a unit (ms, s, m, h, d, w): %ss",
                                yaml_shown(d->arena, n->text));
    return false;
}

static bool size_parse(struct str s, int64_t *bytes)
{
    static const struct {
        const char *name;
        int64_t bytes;
    } units[] = {
        { "", 1 }, { "B", 1 },
        { "kB", 1000 }, { "KB", 1000 }, { "MB", 1000000 }, { "GB", 1000000000 }, { "TB", 1000000000000 },
        { "KiB", 1LL << 10 }, { "MiB", 1LL << 20 }, { "GiB", 1LL << 30 }, { "TiB", 1LL << 40 },
    };
    size_t digits = 0;
    int64_t v;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9') digits++;
    if (!str_to_i64(str_sub(s, 0, digits), &v)) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (str_eq_c(str_sub(s, digits, s.n), units[i].name))
            return !__builtin_mul_overflow(v, units[i].bytes, bytes);
    return false;
}

bool yaml_want_size(const struct yaml_node *n, struct diags *d, int64_t *bytes)
{
    if (is_text(n) && size_parse(n->text, bytes)) return true;
    wants(d, n, "a size like 512, 64KiB or 4MiB");
    return false;
}

struct rate {
    int64_t n, per_ms;
};

static const struct field rate_fields[] = {
    { .name = "n", .type = FIELD_INT, .required = true, .offset = offsetof(struct rate, n), .least = 1,
      .most = INT64_MAX, .help = "how many" },
    { .name = "per", .type = FIELD_DURATION, .required = true, .offset = offsetof(struct rate, per_ms),
      .least = 1, .most = INT64_MAX, .help = "in how long" },
};
const struct field_table yaml_rate_table = { "limit", rate_fields, sizeof rate_fields / sizeof *rate_fields };

bool yaml_want_rate(const struct yaml_node *n, struct diags *d, int64_t *count, int64_t *per_ms)
{
    struct rate rate = { 0 };
    size_t at;
    if (n->kind == YAML_MAP) {
        if (!fields_decode(&yaml_rate_table, d->arena, n, d, &rate, NULL, NULL)) return false;
    } else {
        at = n->kind == YAML_SCALAR ? str_find_str(n->text, STR(" per ")) : 0;
        if (!is_text(n) || at == n->text.n || !str_to_i64(str_sub(n->text, 0, at), &rate.n) || rate.n < 1 ||
            !duration_parse(str_sub(n->text, at + 5, n->text.n), &rate.per_ms) || rate.per_ms < 1) {
            wants(d, n, "a limit like 20 per 1m");
            return false;
        }
    }
    *count = rate.n;
    *per_ms = rate.per_ms;
    return true;
}
