/* Providers: descriptors read from YAML, and what a person may know of them. */
#include "notify/notify_internal.h"

struct provider_source {
    const struct yaml_node *params, *rate, *defaults, *actions, *shares;
    struct str escape;
};
/* Decoded in two structs: the provider itself, and what only reading needs. */
struct both { struct notify_provider p; struct provider_source s; };
static const char *const transport_names[] = { "http", "console", "smtp", NULL };
#define P(member) .offset = offsetof(struct both, p.member)
#define S(member) .type = FIELD_NODE, .offset = offsetof(struct both, s.member)
static const struct field provider_fields[] = {
    { .name = "name", .type = FIELD_TEXT, .required = true, P(name), .help = "of the descriptor" },
    { .name = "type", .type = FIELD_TEXT, .required = true, P(type), .help = "what users write" },
    { .name = "when", .type = FIELD_TEXTS, P(when), .help = "parameters that pick this one among its type" },
    { .name = "about", .type = FIELD_TEXT, .required = true, P(about), .help = "for people" },
    { .name = "params", S(params), .help = "name: {required, secret, pattern, default, help, ...}" },
    { .name = "transport", .type = FIELD_ENUM, P(transport), .names = transport_names,
      .help = "http unless said otherwise" },
    { .name = "base_url", .type = FIELD_TEXT, P(base_url), .help = "in front of relative URLs" },
    { .name = "edits", .type = FIELD_BOOL, P(edits), .help = "a sent message can be changed" },
    { .name = "acks", .type = FIELD_BOOL, P(acks), .help = "wants to hear of acknowledgements" },
    { .name = "idempotent", .type = FIELD_BOOL, P(idempotent),
      .help = "the same request twice is shown once" },
    { .name = "in_flight", .type = FIELD_INT, P(in_flight), .least = 1, .most = 64,
      .help = "requests at a time" },
    { .name = "rate", S(rate), .help = "what the provider bears, like 3 per 3s" },
    { .name = "escape", .type = FIELD_TEXT, .offset = offsetof(struct both, s.escape),
      .help = "of leaves that name none" },
    { .name = "shares", S(shares), .help = "a provider whose texts and parts may be used too" },
    { .name = "texts", .type = FIELD_NODE, P(texts), .help = "templates to use as {{>name}}" },
    { .name = "parts", .type = FIELD_NODE, P(parts), .help = "trees and lists to use as $use or use" },
    { .name = "defaults", S(defaults), .help = "what every action has unless it says otherwise" },
    { .name = "actions", .required = true, S(actions), .help = "one for each kind of message" },
};
static const struct field_table provider_table = { "provider", provider_fields,
                                                   sizeof provider_fields / sizeof provider_fields[0] };

static const char *const param_types[] = { "text", "bool", NULL };
#define Q(member) .offset = offsetof(struct param, member)
static const struct field param_fields[] = {
    { .name = "type", .type = FIELD_ENUM, Q(type), .names = param_types, .help = "text or bool" },
    { .name = "required", .type = FIELD_BOOL, Q(required), .help = "must be given" },
    { .name = "secret", .type = FIELD_BOOL, Q(secret), .help = "never shown" },
    { .name = "settable", .type = FIELD_BOOL, Q(settable),
      .help = "a rule may set it, within the destination's own pattern" },
    { .name = "pattern", .type = FIELD_TEXT, Q(pattern), .help = "what a value must fit" },
    { .name = "wants", .type = FIELD_TEXT, Q(wants), .help = "the pattern in words" },
    { .name = "default", .type = FIELD_TEXT, Q(fallback), .help = "when not given" },
    { .name = "help", .type = FIELD_TEXT, .required = true, Q(help), .help = "for people" },
};
static const struct field_table param_table = { "parameter", param_fields,
                                                sizeof param_fields / sizeof param_fields[0] };

const struct param *provider_param(const struct notify_provider *p, struct str name)
{
    for (size_t i = 0; i < p->param_count; i++)
        if (str_eq(p->params[i].name, name)) return &p->params[i];
    return NULL;
}

static bool params_read(struct reader *r, const struct yaml_node *n)
{
    struct notify_provider *p = r->provider;
    bool ok = true;
    if (!n) return true;
    p->params = ARENA_ARRAY(r->a, struct param, n->count);
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        struct param *q = &p->params[p->param_count++];
        ok &= fields_decode(&param_table, r->a, c, r->d, q, NULL, NULL);
        q->name = str_dup(r->a, c->key);
    }
    for (size_t i = 0; i < p->when.n; i++) {
        p->when.v[i] = str_dup(r->a, p->when.v[i]);
        if (provider_param(p, p->when.v[i])) continue;
        yaml_error(r->d, p->when.nodes[i], "no parameter is named `" STR_FMT "`", STR_ARG(p->when.v[i]));
        ok = false;
    }
    return ok;
}

/* The table of what a rule may set, for {to: X, channel: ...}; values go into no struct here. */
static void settable_table(struct reader *r)
{
    struct notify_provider *p = r->provider;
    struct field *fields = ARENA_ARRAY(r->a, struct field, p->param_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < p->param_count; i++) {
        const struct param *q = &p->params[i];
        if (!q->settable) continue;
        fields[n++] = (struct field){ .name = str_dup_c(r->a, q->name), .type = FIELD_TEXT,
                                      .help = str_dup_c(r->a, q->help) };
    }
    p->settable = (struct field_table){ str_dup_c(r->a, p->type), fields, n };
}

static bool escape_read(struct reader *r, const struct yaml_node *n, struct str name)
{
    r->escape = notify_escape_by_name(str_absent(name) ? STR("none") : name);
    if (!r->escape)
        return yaml_error(r->d, yaml_get(n, "escape"), "unknown escaper `" STR_FMT "`", STR_ARG(name)), false;
    return true;
}

static bool shares_read(struct reader *r, const struct yaml_node *n, const struct notify_providers *p)
{
    struct str name;
    if (!n) return true;
    if (!yaml_want_text(n, r->d, &name)) return false;
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->v[i]->name, name)) r->shares = p->v[i];
    if (!r->shares) yaml_error(r->d, n, "no provider is named `" STR_FMT "`", STR_ARG(name));
    return r->shares != NULL;
}

static struct notify_provider *provider_read(const struct notify_providers *p, struct arena *a,
                                             const struct yaml_node *n, struct diags *d)
{
    struct both *b = ARENA_NEW(a, struct both);
    struct reader r = { .a = a, .d = d, .provider = &b->p };
    b->p.in_flight = 8;
    if (!fields_decode(&provider_table, a, n, d, b, NULL, NULL)) return NULL;
    if (b->s.rate && !yaml_want_rate(b->s.rate, d, &b->p.rate_n, &b->p.rate_per_ms)) return NULL;
    r.defaults = b->s.defaults;
    r.actions = b->s.actions;
    if (!shares_read(&r, b->s.shares, p) || !params_read(&r, b->s.params) ||
        !escape_read(&r, n, b->s.escape) || !actions_read(&r))
        return NULL;
    settable_table(&r);
    return &b->p;
}

/* Kept in order of name. */
static int add_read(struct notify_providers *p, struct notify_provider *one, const struct yaml_node *n,
                    struct diags *d)
{
    size_t at = p->n;
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->v[i]->name, one->name))
            return yaml_error(d, n, "a provider of this name is there already"), -1;
    for (; at && str_cmp(p->v[at - 1]->name, one->name) > 0; at--) p->v[at] = p->v[at - 1];
    p->v[at] = one;
    p->n++;
    return 0;
}

static int add_node(struct notify_providers *p, struct arena *a, const struct yaml_node *n, struct diags *d)
{
    const size_t errors = d->errors;
    struct notify_provider *one;
    if (p->n == PROVIDERS_MAX) return yaml_error(d, n, "more than %d providers", PROVIDERS_MAX), -1;
    one = provider_read(p, a, n, d);
    return one && d->errors == errors ? add_read(p, one, n, d) : -1;
}

int notify_providers_add(struct notify_providers *p, struct arena *a, const char *file, struct str text,
                         struct diags *d)
{
    const size_t errors = d->errors;
    const struct yaml_node *n = yaml_read(a, file, text, d);
    return n && d->errors == errors ? add_node(p, a, n, d) : -1;
}

struct notify_providers *notify_providers_load(struct arena *a, struct diags *d)
{
    struct notify_providers *p = ARENA_NEW(a, struct notify_providers);
    const struct yaml_node *nodes[PROVIDERS_MAX];
    const size_t errors = d->errors;
    size_t n = 0;
    for (const struct notify_embedded *e = notify_embedded; e->name && n < PROVIDERS_MAX; e++) {
        struct str text = { e->start, (size_t)(e->end - e->start) };
        nodes[n] = yaml_read(a, str_printf(a, "%s.yaml", e->name).p, text, d);
        n += nodes[n] != NULL;
    }
    for (int sharing = 0; sharing < 2; sharing++) /* those that share come after what they share */
        for (size_t i = 0; i < n && d->errors == errors; i++)
            if ((yaml_get(nodes[i], "shares") != NULL) == sharing && add_node(p, a, nodes[i], d) < 0) break;
    return d->errors == errors ? p : NULL;
}

size_t notify_providers_list(const struct notify_providers *p, const struct notify_provider **out, size_t max)
{
    for (size_t i = 0; i < p->n && i < max; i++) out[i] = p->v[i];
    return p->n;
}

struct str notify_provider_name(const struct notify_provider *p)
{
    return p->name;
}

const struct field_table *notify_provider_settable(const struct notify_provider *p)
{
    return &p->settable;
}

static void describe_param(const struct param *q, struct json_writer *w)
{
    json_object_begin(w);
    json_field_str(w, "name", q->name);
    json_field_bool(w, "required", q->required);
    json_field_bool(w, "secret", q->secret);
    json_field_bool(w, "settable", q->settable);
    json_field_opt(w, "default", q->fallback);
    json_field_opt(w, "wants", q->wants);
    json_field_str(w, "help", q->help);
    json_object_end(w);
}

static void describe_action(const struct notify_provider *p, const struct action *action,
                            struct json_writer *w)
{
    json_object_begin(w);
    json_field_str(w, "does", str_c(action->kind));
    if (!action->skip && p->transport == NOTIFY_HTTP) {
        json_field_str(w, "method", action->method);
        json_field_opt(w, "base_url", action->relative ? p->base_url : STR_NONE);
        json_field_opt(w, "url", action->url_source);
    }
    if (action->otherwise) json_field_str(w, "otherwise", str_c(action->otherwise->kind));
    if (action->capture_count) {
        json_put_key(w, STR("captures"));
        json_array_begin(w);
        for (size_t i = 0; i < action->capture_count; i++) json_put_str(w, action->captures[i].name);
        json_array_end(w);
    }
    json_object_end(w);
}

void notify_provider_describe(const struct notify_provider *p, struct json_writer *w)
{
    json_object_begin(w);
    json_field_str(w, "name", p->name);
    json_field_str(w, "type", p->type);
    json_field_str(w, "about", p->about);
    json_field_str(w, "transport", str_c(transport_names[p->transport]));
    json_field_opt(w, "base_url", p->base_url);
    json_field_bool(w, "edits", p->edits);
    json_field_bool(w, "acks", p->acks);
    json_field_bool(w, "idempotent", p->idempotent);
    json_field_i64(w, "in_flight", p->in_flight);
    if (p->rate_n) {
        json_put_key(w, STR("rate"));
        json_object_begin(w);
        json_field_i64(w, "n", p->rate_n);
        json_field_i64(w, "per_ms", p->rate_per_ms);
        json_object_end(w);
    }
    json_put_key(w, STR("params"));
    json_array_begin(w);
    for (size_t i = 0; i < p->param_count; i++) describe_param(&p->params[i], w);
    json_array_end(w);
    json_put_key(w, STR("actions"));
    json_object_begin(w);
    for (int k = 0; k < MESSAGE_KINDS; k++) {
        json_put_key(w, str_c(message_kind_name((enum message_kind)k)));
        describe_action(p, p->actions[k], w);
    }
    json_object_end(w);
    json_object_end(w);
}
