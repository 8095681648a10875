/* Reading text leaves: a template with the descriptor's escaper, or {$text, escape, most, unit, over, line,
 * empty} around one or around a list of parts, each with its own escaper. */
#include "base/suggest.h"
#include "notify/notify_internal.h"

/* What a template may name: the stored message (message/message.h) and what build.c puts beside it. */
static const char *const view_names[] = {
    "kind", "id", "incident", "rule", "key", "dedup", "project", "env", "severity", "severity_info",
    "severity_warning", "severity_error", "severity_critical", "resolved", "state", "acknowledged",
    "title", "body", "status", "reason", "fields", "run", "task", "link", "incident_link", "runbook",
    "at", "opened_at", "opened_unix", "hits", "runs", "late", "late_by", "note", "labels", "label_list",
    "is_open", "is_update", "is_reminder", "is_escalation", "is_resolve", "is_digest", "is_ack",
    "is_operator", "is_drill", "plain", "base_url", "destination", "attempt.id", "attempt.at", "attempt.unix", "name",
    "value", "wide", "." /* name, value, wide, .: of elements */
};
enum { VIEW_NAMES = sizeof view_names / sizeof view_names[0] };

static bool known_in(struct str name, struct str prefix, const struct str *names, size_t n)
{
    if (!str_starts(name, prefix)) return false;
    name = str_sub(name, prefix.n, name.n - prefix.n);
    for (size_t i = 0; i < n; i++)
        if (str_eq(name, names[i])) return true;
    return false;
}

static bool known(void *ctx, struct str name, struct str *suggestion)
{
    const struct reader *r = ctx;
    struct str all[VIEW_NAMES];
    for (size_t i = 0; i < VIEW_NAMES; i++) {
        all[i] = str_c(view_names[i]);
        if (str_eq(name, all[i])) return true;
    }
    if (str_starts(name, STR("labels."))) return true;
    if (str_starts(name, STR("param.")) && provider_param(r->provider, str_sub(name, 6, name.n - 6)))
        return true;
    if (known_in(name, STR("capture."), r->captures, r->capture_count)) return true;
    if (suggestion) *suggestion = suggest_nearest(name, all, VIEW_NAMES);
    return false;
}

static bool partial(void *ctx, struct str name, struct str *source)
{
    const struct reader *r = ctx;
    const char *key = str_dup_c(r->a, name);
    const struct yaml_node *n = r->provider->texts ? yaml_get(r->provider->texts, key) : NULL;
    if (!n && r->shares && r->shares->texts) n = yaml_get(r->shares->texts, key);
    if (!n || n->kind != YAML_SCALAR) return false;
    *source = n->text;
    return true;
}

static bool part_compile(struct reader *r, const struct yaml_node *n, template_escape_fn escape,
                         struct text_part *out)
{
    struct template_options o = {
        .filters = true, .refuse_unescaped = true, .known = known, .partial = partial, .ctx = r
    };
    struct err err;
    struct str text;
    if (!yaml_want_text(n, r->d, &text)) return false;
    out->escape = escape;
    out->template = template_compile(r->a, text, &o, &err);
    if (!out->template) return yaml_error(r->d, n, "%s", err.msg), false;
    return true;
}

static bool escape_read(struct reader *r, const struct yaml_node *n, template_escape_fn *out)
{
    struct str name;
    if (!n) return true;
    if (!yaml_want_text(n, r->d, &name)) return false;
    *out = notify_escape_by_name(name);
    if (!*out) return yaml_error(r->d, n, "unknown escaper `" STR_FMT "`", STR_ARG(name)), false;
    return true;
}

/* One element of a list of parts: a template, or {text, escape}. */
static bool part_read(struct reader *r, const struct yaml_node *n, template_escape_fn escape,
                      struct text_part *out)
{
    struct { const struct yaml_node *text, *escape; } f = { NULL, NULL };
    static const struct field fields[] = {
        { .name = "text", .type = FIELD_NODE, .required = true, .offset = 0, .help = "the template" },
        { .name = "escape",
          .type = FIELD_NODE,
          .offset = sizeof(void *),
          .help = "the escaper of this part" },
    };
    static const struct field_table table = { "text part", fields, 2 };
    if (n->kind == YAML_SCALAR) return part_compile(r, n, escape, out);
    if (!fields_decode(&table, r->a, n, r->d, &f, NULL, NULL)) return false;
    return escape_read(r, f.escape, &escape) && part_compile(r, f.text, escape, out);
}

bool text_source_read(struct reader *r, const struct yaml_node *n, template_escape_fn escape,
                      struct text_leaf *out)
{
    bool ok = true;
    size_t at = 0;
    out->part_count = n->kind == YAML_SEQ ? n->count : 1;
    out->parts = ARENA_ARRAY(r->a, struct text_part, out->part_count);
    if (n->kind != YAML_SEQ) return part_read(r, n, escape, &out->parts[0]);
    for (const struct yaml_node *i = n->first; i; i = i->next)
        ok &= part_read(r, i, escape, &out->parts[at++]);
    return ok;
}

struct leaf_source {
    const struct yaml_node *text, *escape, *needs, *drop, *dropped;
    int64_t most;
    struct str unit;
    int over, empty;
    bool line;
};
static const char *const over_names[] = { "cut", "omit", "hash", NULL };
static const char *const empty_names[] = { "omit", "keep", NULL };
#define AT(member) .offset = offsetof(struct leaf_source, member)
static const struct field leaf_fields[] = {
    { .name = "$text", .type = FIELD_NODE, .required = true, AT(text),
      .help = "the template, or a list of parts" },
    { .name = "escape", .type = FIELD_NODE, AT(escape), .help = "the escaper of interpolated values" },
    { .name = "most", .type = FIELD_INT, AT(most), .least = 1, .most = 1 << 20, .help = "longest result" },
    { .name = "unit", .type = FIELD_TEXT, AT(unit), .help = "what `most` counts: chars, utf16 or bytes" },
    { .name = "over", .type = FIELD_ENUM, AT(over), .names = over_names,
      .help = "a longer result is cut, omitted or hashed" },
    { .name = "empty", .type = FIELD_ENUM, AT(empty), .names = empty_names,
      .help = "whether an empty result is omitted" },
    { .name = "line", .type = FIELD_BOOL, AT(line), .help = "one line: white space runs become one blank" },
    { .name = "$drop", .type = FIELD_NODE, AT(drop), .help = "drop level" },
    { .name = "$dropped", .type = FIELD_NODE, AT(dropped), .help = "what stands in when dropped" },
};
static const struct field_table leaf_table = { "text leaf", leaf_fields,
                                               sizeof leaf_fields / sizeof leaf_fields[0] };

bool text_leaf_read(struct reader *r, const struct yaml_node *n, struct text_leaf *out)
{
    struct leaf_source s = { .over = TEXT_CUT };
    template_escape_fn escape = r->escape;
    struct str literal;
    if (n->kind == YAML_SCALAR) {
        if (!text_source_read(r, n, escape, out)) return false;
        out->keep = template_is_literal(out->parts[0].template, &literal); /* "" on purpose */
        return true;
    }
    if (!fields_decode(&leaf_table, r->a, n, r->d, &s, NULL, NULL)) return false;
    if (!str_absent(s.unit) && !text_unit_parse(s.unit, &out->unit))
        return yaml_error(r->d, n, "unknown unit `" STR_FMT "`, wants chars, utf16 or bytes",
                          STR_ARG(s.unit)),
               false;
    out->most = (size_t)s.most;
    out->over = (enum text_over)s.over;
    out->keep = s.empty == 1;
    out->line = s.line;
    return escape_read(r, s.escape, &escape) && text_source_read(r, s.text, escape, out);
}
