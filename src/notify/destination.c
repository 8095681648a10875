/* A configured place: its parameters decoded, and its secrets kept out of texts. */
#include "base/regex.h"
#include "base/suggest.h"
#include "notify/notify_internal.h"

static const char *const common_keys[] = { "type", "base_url", "timeout", "rate", "retry", "tls", "proxy" };
enum { COMMON_KEYS = sizeof common_keys / sizeof common_keys[0], NAMES_MAX = 64 };

static bool is_common(struct str key)
{
    for (size_t i = 0; i < COMMON_KEYS; i++)
        if (str_eq_c(key, common_keys[i])) return true;
    return false;
}

static bool given_all(const struct notify_provider *p, const struct yaml_node *map)
{
    for (size_t i = 0; i < p->when.n; i++)
        if (!yaml_get(map, p->when.v[i].p)) return false;
    return true;
}

static void unknown_type(const struct notify_providers *p, const struct yaml_node *type, struct diags *d)
{
    struct str names[PROVIDERS_MAX], near;
    struct diag *diag = yaml_error(d, type, "unknown destination type `" STR_FMT "`", STR_ARG(type->text));
    for (size_t i = 0; i < p->n; i++) names[i] = p->v[i]->type;
    near = suggest_nearest(type->text, names, p->n);
    if (!str_absent(near)) diag->hint = str_printf(d->arena, "did you mean `" STR_FMT "`?", STR_ARG(near));
}

/* "wants `url`, or `token`": what picks each provider of the type. */
static void nothing_picks(const struct notify_providers *p, const struct yaml_node *map, struct str type,
                          struct diags *d)
{
    struct strbuf b;
    strbuf_init(&b, 1024);
    for (size_t i = 0; i < p->n; i++) {
        if (!str_eq(p->v[i]->type, type)) continue;
        if (b.n) strbuf_c(&b, ", or ");
        for (size_t k = 0; k < p->v[i]->when.n; k++)
            strbuf_printf(&b, "%s`" STR_FMT "`", k ? " and " : "", STR_ARG(p->v[i]->when.v[k]));
    }
    yaml_error(d, map, "a " STR_FMT " destination wants %s", STR_ARG(type), b.p);
    strbuf_fini(&b);
}

static const struct notify_provider *pick(const struct notify_providers *p, const struct yaml_node *map,
                                          struct diags *d)
{
    const struct yaml_node *type = yaml_get(map, "type");
    const struct notify_provider *found = NULL;
    size_t of_type = 0, fit = 0;
    struct str name;
    if (!type) return yaml_error(d, map, "`type` is missing"), NULL;
    if (!yaml_want_text(type, d, &name)) return NULL;
    for (size_t i = 0; i < p->n; i++) {
        if (!str_eq(p->v[i]->type, name)) continue;
        of_type++;
        if (!given_all(p->v[i], map)) continue;
        fit++;
        found = p->v[i];
    }
    if (of_type == 0) unknown_type(p, type, d);
    else if (fit == 0) nothing_picks(p, map, name, d);
    else if (fit > 1)
        yaml_error(d, map,
                   "the parameters of this " STR_FMT " destination fit two of its APIs: "
                   "give those of one",
                   STR_ARG(name));
    return fit == 1 ? found : NULL;
}

static void unknown_key(const struct notify_provider *p, const struct yaml_node *c, struct diags *d)
{
    struct str names[NAMES_MAX], near;
    size_t n = 0;
    struct diag *diag = yaml_error_key(d, c, "unknown key `" STR_FMT "` in a " STR_FMT " destination",
                                       STR_ARG(c->key), STR_ARG(p->type));
    for (; n < COMMON_KEYS; n++) names[n] = str_c(common_keys[n]);
    for (size_t i = 0; i < p->param_count && n < NAMES_MAX; i++) names[n++] = p->params[i].name;
    near = suggest_nearest(c->key, names, n);
    if (!str_absent(near)) diag->hint = str_printf(d->arena, "did you mean `" STR_FMT "`?", STR_ARG(near));
}

static bool fits_pattern(const struct param *q, struct str value)
{
    struct err err;
    struct regex *re;
    bool yes;
    if (str_absent(q->pattern)) return true;
    re = regex_new(q->pattern, &err);
    yes = re && regex_match(re, value) == REGEX_YES;
    regex_free(&re);
    return yes;
}

static bool value_ok(const struct param *q, const struct yaml_node *c, struct str value, struct diags *d)
{
    struct str wants = str_absent(q->wants) ? q->help : q->wants;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] == '\r' || value.p[i] == '\n' || value.p[i] == '\0')
            return yaml_error(d, c, "`" STR_FMT "` holds a line end", STR_ARG(q->name)), false;
    if (fits_pattern(q, value)) return true;
    yaml_error(d, c, "`" STR_FMT "` wants " STR_FMT, STR_ARG(q->name), STR_ARG(wants));
    return false;
}

/* Where secrets come from. */
struct secrets { const char *dir; bool check_only; };

static bool param_decode(const struct param *q, struct arena *a, const struct yaml_node *c, const struct secrets *from,
                         struct diags *d, struct notify_param *out)
{
    struct err err;
    struct str text;
    bool yes;
    if (yaml_is_null(c)) {
        yaml_error(d, c, "`" STR_FMT "` is empty", STR_ARG(q->name))->hint =
            STR("a value that starts with # needs quotes");
        return false;
    }
    if (q->type == PARAM_BOOL && !yaml_want_bool(c, d, &yes)) return false;
    if (!yaml_want_text(c, d, &text)) return false;
    if (secret_resolve(a, text, from->dir, &out->value, &err) < 0) {
        if (!from->check_only) return yaml_error(d, c, "`" STR_FMT "`: %s", STR_ARG(q->name), err.msg), false;
        yaml_warning(d, c, "`" STR_FMT "`: %s", STR_ARG(q->name), err.msg);
        out->value = (struct secret){ str_dup(a, text), str_dup(a, text) };
        return true;
    }
    if (q->secret && str_absent(out->value.reference)) {
        yaml_hide(d, c);
        yaml_warning(d, c, "the secret `" STR_FMT "` stands here as plain text", STR_ARG(q->name))->hint =
            STR("keep it out of the file: \"${env:NAME}\" or \"${file:PATH}\"");
    }
    return value_ok(q, c, secret_reveal(&out->value), d);
}

static bool param_missing(const struct param *q, const struct yaml_node *map, struct diags *d)
{
    yaml_error(d, map, "`" STR_FMT "` is missing: " STR_FMT, STR_ARG(q->name), STR_ARG(q->help));
    return false;
}

static bool params_decode(const struct notify_provider *p, struct arena *a, const struct yaml_node *map,
                          const struct secrets *from, struct diags *d, struct notify_destination *out)
{
    bool ok = true;
    out->params = ARENA_ARRAY(a, struct notify_param, p->param_count + 1);
    out->param_count = 0;
    for (size_t i = 0; i < p->param_count; i++) {
        const struct param *q = &p->params[i];
        const struct yaml_node *c = yaml_get(map, q->name.p);
        struct notify_param *one = &out->params[out->param_count++];
        *one = (struct notify_param){ .name = q->name, .is_secret = q->secret };
        one->value.hidden = q->fallback;
        if (c) ok &= param_decode(q, a, c, from, d, one);
        else if (q->required)
            ok = param_missing(q, map, d);
    }
    return ok;
}

bool notify_destination_decode(const struct notify_providers *p, struct arena *a, const struct yaml_node *map,
                               const char *dir, bool check_only, struct diags *d, struct notify_destination *out)
{
    const struct notify_provider *provider;
    const struct secrets from = { dir, check_only };
    bool ok = true;
    if (map->kind != YAML_MAP) return yaml_error(d, map, "a destination wants a map with a `type`"), false;
    provider = pick(p, map, d);
    if (!provider) return false;
    out->name = map->key;
    out->type = provider->type;
    out->provider = provider;
    out->edits = provider->edits;
    out->acks = provider->acks;
    out->transport = (enum notify_transport)provider->transport;
    out->in_flight_max = (size_t)provider->in_flight;
    if (!out->timeout_ms) out->timeout_ms = 15000;
    if (!out->retry_for_ms) out->retry_for_ms = 24 * 3600 * INT64_C(1000);
    if (!out->rate_n) out->rate_n = provider->rate_n, out->rate_per_ms = provider->rate_per_ms;
    for (const struct yaml_node *c = map->first; c; c = c->next) {
        if (is_common(c->key) || provider_param(provider, c->key)) continue;
        unknown_key(provider, c, d);
        ok = false;
    }
    return params_decode(provider, a, map, &from, d, out) && ok;
}

const struct notify_param *destination_param(const struct notify_destination *d, struct str name)
{
    for (size_t i = 0; i < d->param_count; i++)
        if (str_eq(d->params[i].name, name)) return &d->params[i];
    return NULL;
}

/* How many bytes at text[at] belong to a secret: the whole value, or of a URL the part behind its host. */
static size_t secret_at(const struct notify_destination *d, struct str text, size_t at)
{
    struct str rest = str_sub(text, at, text.n - at);
    size_t longest = 0;
    for (size_t i = 0; i < d->param_count; i++) {
        struct str v = secret_reveal(&d->params[i].value), words, one;
        size_t host = str_find_str(v, STR("://"));
        if (!d->params[i].is_secret || v.n == 0) continue;
        if (str_starts(rest, v) && v.n > longest) longest = v.n;
        for (words = v; str_split(&words, ' ', &one);)
            if (one.n >= 4 && one.n > longest && str_starts(rest, one)) longest = one.n;
        if (host == v.n) continue;
        host = str_find(v, '/', host + 3);
        v = str_sub(v, host + 1, v.n - host);
        if (v.n >= 6 && str_starts(rest, v) && v.n > longest) longest = v.n;
    }
    return longest;
}

struct str notify_mask(const struct notify_destination *d, struct arena *a, struct str text)
{
    struct strbuf b;
    struct str out;
    strbuf_init(&b, 3 * text.n + 1);
    for (size_t at = 0; at < text.n;) {
        size_t n = secret_at(d, text, at);
        if (n) strbuf_c(&b, "***");
        else strbuf_char(&b, text.p[at]);
        at += n ? n : 1;
    }
    out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}
