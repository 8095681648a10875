/* Templates in rules: message, labels and parameters; which names they may use and what those read. */
#include "base/suggest.h"
#include "base/utf8.h"
#include "rule/rule_internal.h"

/* Beside the fields. "." is the element inside a section over a list. */
static const char *const incident_names[] = { "key", "rule", "severity", "hits", "runs", "url", "count",
                                              "first_run", "still", "rate", "rate.percent", "rate.hits", "rate.runs",
                                              "absent", "absent.for", "absent.last", "absent.due" };
enum { INCIDENT_NAMES = sizeof incident_names / sizeof *incident_names };

bool rule_template_known(void *ctx, struct str name, struct str *suggestion)
{
    struct str names[RULE_METADATA + INCIDENT_NAMES + 2];
    size_t n = 0;
    (void)ctx;
    for (int id = 0; id < RULE_METADATA; id++) names[n++] = str_c(rule_field_name((enum rule_field_id)id));
    for (size_t i = 0; i < INCIDENT_NAMES; i++) names[n++] = str_c(incident_names[i]);
    names[n++] = STR("error");
    names[n++] = STR("metadata");
    if (str_eq_c(name, ".") || str_starts(name, STR("metadata."))) return true;
    for (size_t i = 0; i < n; i++)
        if (str_eq(name, names[i])) return true;
    if (suggestion) *suggestion = suggest_nearest(name, names, n);
    return false;
}

/* The specification lets a partial that is not there say nothing; here it is a mistake. */
static bool partial_asked(void *ctx, struct str name, struct str *source)
{
    struct str *asked = ctx;
    (void)source;
    if (str_absent(*asked)) *asked = name;
    return false;
}

/* The place inside a one-line scalar; a block's lines are not known here, so its start has to do. */
static void template_place(const struct yaml_node *n, const struct err *err, struct diag *d)
{
    bool one_line = str_find(n->text, '\n', 0) == n->text.n;
    if (!one_line || err->col == 0) return;
    d->col += (uint32_t)utf8_chars(str_sub(n->text, 0, err->col - 1)) + (n->plain ? 0 : 1);
}

const struct template *template_parse(struct compile *c, const struct yaml_node *n)
{
    struct str text, partial = STR_NONE;
    const struct template_options o = { .filters = true, .refuse_unescaped = true, .known = rule_template_known, .partial = partial_asked, .ctx = &partial };
    struct err err = { 0 };
    if (!yaml_want_text(n, c->d, &text)) return NULL;
    const struct template *t = template_compile(c->a, str_dup(c->a, text), &o, &err);
    if (!t) template_place(n, &err, yaml_error(c->d, n, "%s", err.msg));
    if (!t || str_absent(partial)) return t;
    yaml_error(c->d, n, "there are no partials in rules: {{>" STR_FMT "}} would say nothing", STR_ARG(partial));
    return NULL;
}

struct reads { struct compile *c; uint32_t bits; };

static void name_reads(void *ctx, struct str name)
{
    struct reads *r = ctx;
    struct rule_field f = { .id = RULE_METADATA };
    struct str nearest;
    struct err err;
    if (str_eq_c(name, "error")) f.id = RULE_ERROR_NAME;
    else if (!str_eq_c(name, "metadata") && rule_field_parse(r->c->a, name, &f, &nearest, &err) != 0) return;
    r->bits |= rule_field_reads(&f);
}

uint32_t template_reads(struct compile *c, const struct template *t)
{
    struct reads r = { c, 0 };
    if (t) template_names(t, name_reads, &r);
    return r.bits;
}

/* --- message, labels ----------------------------------------------------------------------------------- */
static bool named_templates(struct compile *c, const struct yaml_node *n, struct rule_message_field **out,
                            size_t *count)
{
    bool ok = true;
    *count = 0;
    *out = NULL;
    if (n->kind != YAML_MAP) {
        yaml_error(c->d, n, "wants a map of names and texts");
        return false;
    }
    *out = ARENA_ARRAY(c->a, struct rule_message_field, n->count);
    for (const struct yaml_node *m = n->first; m; m = m->next) {
        const struct template *value = template_parse(c, m);
        if (value) (*out)[(*count)++] = (struct rule_message_field){ str_dup(c->a, m->key), value };
        else ok = false;
    }
    return ok;
}

bool message_parse(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    struct message_draft draft = { 0 };
    bool ok = fields_decode(&rule_tables[RULE_TABLE_MESSAGE], c->a, n, c->d, &draft, NULL, NULL);
    r->title = r->body = NULL;
    r->fields = NULL;
    r->field_count = 0;
    if (draft.title) ok = (r->title = template_parse(c, draft.title)) && ok;
    if (draft.body) ok = (r->body = template_parse(c, draft.body)) && ok;
    if (draft.fields) ok = named_templates(c, draft.fields, &r->fields, &r->field_count) && ok;
    return ok;
}

bool labels_parse(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    return named_templates(c, n, &r->labels, &r->label_count);
}
