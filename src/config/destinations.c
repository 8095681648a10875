/* destinations: the common keys; the type's own are the provider's business (notify). */
#include <stddef.h>
#include <string.h>

#include "config/config_internal.h"

#define AT(type, member) offsetof(struct type, member)
#define COUNT(x) (sizeof(x) / sizeof *(x))

struct common {
    struct str base_url, proxy;
    int64_t timeout;
    const struct yaml_node *type, *rate, *retry, *tls;
};
static const struct field common_fields[] = {
    { "type", FIELD_NODE, true, AT(common, type), 0, 0, NULL, NULL, "slack, pagerduty, webhook, console", "{\"type\":[\"string\",\"number\",\"boolean\"]}" },
    { "base_url", FIELD_TEXT, false, AT(common, base_url), 0, 0, NULL, NULL, "own gateway, another region, a test receiver", NULL },
    { "timeout", FIELD_DURATION, false, AT(common, timeout), 100, 300000, NULL, "15s", "of one try, from connect to the end of the answer", NULL },
    { "rate", FIELD_NODE, false, AT(common, rate), 0, 0, NULL, NULL, "at most so many requests: 1 per 1s", "{\"$ref\":\"#/$defs/limit\"}" },
    { "retry", FIELD_NODE, false, AT(common, retry), 0, 0, NULL, NULL, "{for: 24h}: how long a message is tried before it is dead", "{\"$ref\":\"#/$defs/destination.retry\"}" },
    { "tls", FIELD_NODE, false, AT(common, tls), 0, 0, NULL, NULL, "{ca: FILE, insecure: bool}", "{\"$ref\":\"#/$defs/tls\"}" },
    { "proxy", FIELD_TEXT, false, AT(common, proxy), 0, 0, NULL, NULL, "HTTP proxy; the environment's is never used", NULL },
};
static const struct field_table common_table = { "a destination", common_fields, COUNT(common_fields) };

struct retry { int64_t age; };
static const struct field retry_fields[] = { { "for", FIELD_DURATION, false, AT(retry, age), 1000, 30LL * 86400000, NULL, "24h", "maximum age", NULL } };
static const struct field_table retry_table = { "retry", retry_fields, COUNT(retry_fields) };
struct tls { struct str ca; bool insecure; };
static const struct field tls_fields[] = {
    { "ca", FIELD_TEXT, false, AT(tls, ca), 0, 0, NULL, NULL, "PEM file with the certificate authorities to trust", NULL },
    { "insecure", FIELD_BOOL, false, AT(tls, insecure), 0, 0, NULL, "false", "do not check the certificate: for tests only", NULL },
};
static const struct field_table tls_table = { "tls", tls_fields, COUNT(tls_fields) };

void config_read_tls(struct loader *l, const struct yaml_node *n, const char *whose, struct str *ca, bool *insecure)
{
    struct tls tls = { 0 };
    if (n) fields_decode(&tls_table, l->a, n, l->d, &tls, NULL, NULL);
    if (tls.insecure) yaml_warning(l->d, yaml_get(n, "insecure"), "certificates of this %s are not checked", whose);
    *ca = tls.ca;
    *insecure = tls.insecure;
}

/* Keys of the type's own are decoded by notify. */
static bool not_common(void *ctx, const struct yaml_node *member)
{
    (void)ctx;
    (void)member;
    return true;
}

static void read_common(struct loader *l, const struct yaml_node *n, struct notify_destination *out)
{
    static const struct yaml_node nothing = { .kind = YAML_MAP };
    struct common c = { 0 };
    struct retry retry = { 0 };
    fields_decode(&common_table, l->a, n, l->d, &c, not_common, NULL);
    fields_decode(&retry_table, l->a, c.retry ? c.retry : &nothing, l->d, &retry, NULL, NULL);
    if (c.rate) yaml_want_rate(c.rate, l->d, &out->rate_n, &out->rate_per_ms);
    config_check_url(l, n, "base_url", c.base_url);
    config_read_tls(l, c.tls, "destination", &out->tls_ca, &out->tls_insecure);
    out->base_url = c.base_url.n ? c.base_url : out->base_url;
    out->proxy = c.proxy;
    out->timeout_ms = c.timeout;
    out->retry_for_ms = retry.age;
}

static void read_destination(struct loader *l, const struct yaml_node *n)
{
    struct notify_destination out;
    memset(&out, 0, sizeof out);
    if (!config_name_ok(n->key)) yaml_error_key(l->d, n, "a name is lower case letters, digits and -, starts with a letter, 63 at most");
    if (n->kind != YAML_MAP) {
        yaml_error(l->d, n, "a destination is a map with a `type`");
        return;
    }
    if (notify_destination_decode(l->c->providers, l->a, n, l->c->dir.p, l->check_only, l->d, &out)) read_common(l, n, &out);
    out.name = str_dup(l->a, n->key); /* a broken one, too: rules that name it are not wrong */
    l->c->destinations[l->c->destination_count++] = out;
}

void config_read_destinations(struct loader *l, const struct yaml_node *destinations)
{
    if (!destinations || !l->c->providers) return;
    if (destinations->kind != YAML_MAP) {
        yaml_error(l->d, destinations, "destinations is a map of names");
        return;
    }
    l->c->destinations = ARENA_ARRAY(l->a, struct notify_destination, destinations->count);
    for (const struct yaml_node *n = destinations->first; n; n = n->next) read_destination(l, n);
}

/* --- what rules may name --------------------------------------------------------------------------------------------- */
struct str config_channel(const struct notify_destination *d)
{
    for (size_t k = 0; k < d->param_count; k++)
        if (str_eq_c(d->params[k].name, "channel")) return secret_reveal(&d->params[k].value);
    return STR_NONE;
}

struct name_list { struct str *v; size_t n, cap; };

static void add_name(struct name_list *list, struct str name)
{
    for (size_t k = 0; k < list->n; k++)
        if (str_eq(list->v[k], name)) return;
    *vec_push(list) = name;
}

/* Every destination that a target names: a text, {to: X}, or a list of those. */
static void target_names(const struct yaml_node *n, struct name_list *list)
{
    const struct yaml_node *to;
    if (n->kind == YAML_SCALAR) add_name(list, n->text);
    if (n->kind == YAML_MAP && (to = yaml_get(n, "to")) && to->kind == YAML_SCALAR) add_name(list, to->text);
    if (n->kind == YAML_SEQ)
        for (const struct yaml_node *k = n->first; k; k = k->next) target_names(k, list);
}

/* Of a switch, those of all its values. */
static void notify_names(const struct yaml_node *n, struct name_list *list)
{
    if (n->kind != YAML_MAP || !yaml_get(n, "switch")) {
        target_names(n, list);
        return;
    }
    for (const struct yaml_node *k = n->first; k; k = k->next)
        if (!str_eq_c(k->key, "switch")) target_names(k, list);
}

static void rule_names(const struct yaml_node *rule, struct name_list *list)
{
    const struct yaml_node *notify, *escalate, *outside;
    if (rule->kind != YAML_MAP) return;
    notify = yaml_get(rule, "notify");
    escalate = yaml_get(rule, "escalate");
    outside = yaml_get(rule, "outside");
    if (notify) notify_names(notify, list);
    if (outside && !(outside->kind == YAML_SCALAR && (str_eq_c(outside->text, "hold") || str_eq_c(outside->text, "drop")))) target_names(outside, list);
    if (escalate && escalate->kind == YAML_MAP)
        for (const struct yaml_node *k = escalate->first; k; k = k->next) target_names(k, list);
}

static void placeholders(struct loader *l, struct rule_world *w)
{
    struct name_list list = { 0 };
    struct rule_destination *out;
    for (size_t f = 0; f < l->c->file_count; f++) {
        const struct yaml_node *rules = yaml_get(l->c->files[f].top, "rules"), *defaults = yaml_get(l->c->files[f].top, "defaults");
        if (defaults && f == 0) rule_names(defaults, &list);
        if (!rules || rules->kind != YAML_MAP) continue;
        for (const struct yaml_node *r = rules->first; r; r = r->next) rule_names(r, &list);
    }
    out = ARENA_ARRAY(l->a, struct rule_destination, list.n + 1);
    for (size_t k = 0; k < list.n; k++)
        out[k] = (struct rule_destination){ .name = str_dup(l->a, list.v[k]), .type = STR(""), .edits = false, .channel_pattern = STR_NONE };
    w->destinations = out;
    w->destination_count = list.n;
    vec_free(&list);
}

void config_rule_world(struct loader *l, struct rule_world *w)
{
    struct rule_destination *out;
    w->files = l->c->files;
    w->file_count = l->c->file_count;
    w->operator_destination = STR_NONE;
    w->part = l->rules_only || l->rules_path;
    if ((l->rules_only && l->c->destination_count == 0) || config_is_cut(l->c)) {
        placeholders(l, w);
        return;
    }
    out = ARENA_ARRAY(l->a, struct rule_destination, l->c->destination_count + 1);
    for (size_t k = 0; k < l->c->destination_count; k++) {
        const struct notify_destination *d = &l->c->destinations[k];
        out[k] = (struct rule_destination){ .name = d->name, .type = d->type, .edits = d->edits, .acks = d->acks,
                                              .params = d->provider ? notify_provider_settable(d->provider) : NULL, .channel_pattern = config_channel(d) };
    }
    w->destinations = out;
    w->destination_count = l->c->destination_count;
}

/* Of rules that are there: a configuration without any is only begun. */
void config_check_used(struct loader *l, const struct yaml_node *destinations)
{
    const struct ruleset *rs = l->c->rules;
    if (!rs || rs->rule_count == 0 || l->rules_only || l->rules_path || !destinations || config_is_cut(l->c)) return;
    for (const struct yaml_node *n = destinations->first; n; n = n->next) {
        struct diag *d;
        size_t k = 0;
        while (k < rs->destination_count && !str_eq(rs->destinations[k].name, n->key)) k++;
        if (k == rs->destination_count || rs->destinations[k].used || str_eq(rs->operator_destination, n->key)) continue;
        d = diag_add(l->d, DIAG_WARNING, n->file, n->key_line, n->key_col, "no rule tells destination `" STR_FMT "` anything", STR_ARG(n->key));
        d->width = (uint32_t)n->key.n;
        d->hint = str_printf(l->d->arena, "a rule does with `notify: " STR_FMT "`; runbell's own faults go where `operator:` says", STR_ARG(n->key));
    }
}

const struct field_part *config_destination_parts(size_t *n)
{
    static const struct field_part parts[] = {
        { .name = "destination", .about = "What every destination may have; the keys of its own type stand with the type.", .table = &common_table },
        { .name = "destination.retry", .table = &retry_table },
        { .name = "tls", .about = "How the other side's certificate is judged.", .table = &tls_table },
    };
    *n = COUNT(parts);
    return parts;
}
