/* Reading a descriptor's actions: one for each kind of message, over the descriptor's defaults. */
#include "notify/notify_internal.h"

struct action_source {
    struct str method, otherwise;
    const struct yaml_node *url, *headers, *body, *plain, *budget, *success, *classify, *waits, *captures,
        *explain, *sign;
    int encoding;
    struct field_texts requires;
    int64_t default_wait_ms;
};
static const char *const encoding_names[] = { "json", "form", "raw", "none", NULL };
#define AT(member) .offset = offsetof(struct action_source, member)
static const struct field action_fields[] = {
    { .name = "method", .type = FIELD_TEXT, AT(method), .help = "POST unless said otherwise" },
    { .name = "url", .type = FIELD_NODE, AT(url),
      .help = "template; starting with / it goes behind base_url" },
    { .name = "headers", .type = FIELD_NODE, AT(headers),
      .help = "name: template; an empty one is not sent" },
    { .name = "encoding", .type = FIELD_ENUM, AT(encoding), .names = encoding_names, .help = "of the body" },
    { .name = "body", .type = FIELD_NODE, AT(body), .help = "the body tree; for raw a text leaf" },
    { .name = "plain", .type = FIELD_NODE, AT(plain), .help = "the reduced body, sent after a refused one" },
    { .name = "budget", .type = FIELD_NODE, AT(budget), .help = "{most, unit} of the whole body" },
    { .name = "requires_capture", .type = FIELD_TEXTS, AT(requires),
      .help = "captures it cannot do without" },
    { .name = "otherwise", .type = FIELD_TEXT, AT(otherwise),
      .help = "the action taken when one is missing" },
    { .name = "success", .type = FIELD_NODE, AT(success), .help = "what an accepting answer looks like" },
    { .name = "classify", .type = FIELD_NODE, AT(classify),
      .help = "rules for other answers, first match wins" },
    { .name = "retry_after", .type = FIELD_NODE, AT(waits),
      .help = "where the provider says how long to wait" },
    { .name = "default_wait", .type = FIELD_DURATION, AT(default_wait_ms),
      .help = "rate limited and nothing said" },
    { .name = "capture", .type = FIELD_NODE, AT(captures),
      .help = "what to remember of an accepting answer" },
    { .name = "explain", .type = FIELD_NODE, AT(explain), .help = "JSON pointers to an error's text" },
    { .name = "sign", .type = FIELD_NODE, AT(sign), .help = "the signer" },
};
static const struct field_table action_table = { "action", action_fields,
                                                 sizeof action_fields / sizeof action_fields[0] };

static const struct action skip_action = { .kind = "skip", .skip = true };

static bool url_read(struct reader *r, const struct action_source *s, struct action *out)
{
    template_escape_fn escape = notify_escape_by_name(STR("url_path"));
    if (!s->url) return true;
    out->url.wire = true;
    if (s->url->kind == YAML_SCALAR) {
        out->url_source = s->url->text;
        out->relative = str_starts(s->url->text, STR("/"));
    } else if (s->url->kind == YAML_MAP && yaml_get(s->url, "text")) {
        out->url_source = yaml_get(s->url, "text")->text;
    }
    return text_source_read(r, s->url, escape, &out->url);
}

static bool headers_read(struct reader *r, const struct yaml_node *n, struct action *out)
{
    if (!n) return true;
    if (n->kind != YAML_MAP) return yaml_error(r->d, n, "`headers` wants a map"), false;
    out->headers = ARENA_ARRAY(r->a, struct header_leaf, n->count);
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        struct header_leaf *h = &out->headers[out->header_count++];
        h->name = c->key;
        h->value.wire = true;
        if (!text_source_read(r, c, NULL, &h->value)) return false;
    }
    return true;
}

static bool budget_read(struct reader *r, const struct yaml_node *n, struct action *out)
{
    struct { int64_t most; struct str unit; } f = { 0, STR("bytes") };
    static const struct field fields[] = {
        { .name = "most",
          .type = FIELD_INT,
          .required = true,
          .offset = 0,
          .least = 100,
          .most = 64 << 20,
          .help = "size" },
        { .name = "unit", .type = FIELD_TEXT, .offset = 8, .help = "chars, utf16 or bytes" },
    };
    static const struct field_table table = { "budget", fields, 2 };
    if (!n) return true;
    if (!fields_decode(&table, r->a, n, r->d, &f, NULL, NULL)) return false;
    out->budget_most = (size_t)f.most;
    if (text_unit_parse(f.unit, &out->budget_unit)) return true;
    return yaml_error(r->d, n, "unknown unit `" STR_FMT "`", STR_ARG(f.unit)), false;
}

static bool tree_read(struct reader *r, const struct yaml_node *n, const struct body **out)
{
    if (!n) return true;
    *out = body_read(r, n);
    return *out != NULL;
}

static bool explain_read(struct reader *r, const struct yaml_node *n, struct action *out)
{
    if (!n) return true;
    out->explain = ARENA_ARRAY(r->a, struct pointer, n->count);
    for (const struct yaml_node *c = n->first; c; c = c->next)
        if (!pointer_read(r, c, c->text, &out->explain[out->explain_count++])) return false;
    return true;
}

static bool answers_read(struct reader *r, const struct action_source *s, struct action *out)
{
    static struct status_range accepted = { 200, 299 };
    bool ok = true;
    out->success = (struct answer_test){ .status = &accepted, .status_count = 1 };
    if (s->success) {
        out->success = (struct answer_test){ 0 };
        ok &= answer_test_read(r, s->success, &out->success);
    }
    ok &= !s->classify || classify_read(r, s->classify, out);
    ok &= !s->waits || waits_read(r, s->waits, out);
    ok &= !s->captures || captures_read(r, s->captures, out);
    ok &= !s->sign || signer_read(r, s->sign, &out->sign);
    return ok && explain_read(r, s->explain, out);
}

static struct action *action_read(struct reader *r, const struct yaml_node *n)
{
    struct action_source s = { .method = STR("POST") };
    struct action *out = ARENA_NEW(r->a, struct action);
    bool ok = true;
    if (r->defaults) ok = fields_decode(&action_table, r->a, r->defaults, r->d, &s, NULL, NULL);
    ok &= fields_decode(&action_table, r->a, n, r->d, &s, NULL, NULL);
    if (!ok) return NULL;
    r->drop_levels = 0;
    out->method = s.method;
    out->encoding = (enum encoding)s.encoding;
    out->default_wait_ms = s.default_wait_ms;
    out->requires = s.requires.v;
    out->require_count = s.requires.n;
    ok &= url_read(r, &s, out);
    ok &= headers_read(r, s.headers, out);
    ok &= budget_read(r, s.budget, out);
    ok &= tree_read(r, s.body, &out->body);
    ok &= answers_read(r, &s, out);
    out->drop_levels = r->drop_levels;
    ok &= tree_read(r, s.plain, &out->plain);
    if (!s.url && r->provider->transport == NOTIFY_HTTP)
        ok = (yaml_error(r->d, n, "`url` is missing"), false);
    if (out->require_count && str_absent(s.otherwise))
        ok = (yaml_error(r->d, n, "`requires_capture` wants an `otherwise`"), false);
    return ok ? out : NULL;
}

/* The action of that name; "skip" has one too. NULL after a diagnostic. */
static const struct action *action_named(struct reader *r, const struct yaml_node *at, struct str name)
{
    enum message_kind kind;
    if (str_eq_c(name, "skip")) return &skip_action;
    if (!message_kind_parse(name, &kind))
        return yaml_error(r->d, at, "no action is named `" STR_FMT "`", STR_ARG(name)), NULL;
    if (!r->provider->actions[kind])
        yaml_error(r->d, at, "`" STR_FMT "` is not an action of its own here", STR_ARG(name));
    return r->provider->actions[kind];
}

static bool read_own(struct reader *r, enum message_kind kind, const struct yaml_node *n)
{
    if (!n) return yaml_error(r->d, r->actions, "no action for `%s`: write one, name another, or say skip",
                              message_kind_name(kind)), false;
    if (n->kind != YAML_MAP) return true; /* in the second round */
    r->own[kind] = action_read(r, n);
    if (r->own[kind]) r->own[kind]->kind = message_kind_name(kind);
    r->provider->actions[kind] = r->own[kind];
    return r->own[kind] != NULL;
}

static bool read_reference(struct reader *r, enum message_kind kind, const struct yaml_node *n)
{
    struct str name;
    if (n->kind == YAML_MAP) return true;
    if (!yaml_want_text(n, r->d, &name)) return false;
    if (str_eq_c(name, message_kind_name(kind)))
        return yaml_error(r->d, n, "an action cannot be itself"), false;
    r->provider->actions[kind] = action_named(r, n, name);
    return r->provider->actions[kind] != NULL;
}

static bool read_otherwise(struct reader *r, enum message_kind kind, const struct yaml_node *n)
{
    const struct yaml_node *otherwise = n->kind == YAML_MAP ? yaml_get(n, "otherwise") : NULL;
    const struct action *to;
    if (!otherwise) return true;
    to = action_named(r, otherwise, otherwise->text);
    if (to && to->require_count)
        return yaml_error(r->d, otherwise, "`otherwise` names an action that needs captures itself"), false;
    r->own[kind]->otherwise = to;
    return to != NULL;
}

/* The names of all captures, so that templates may use what another action remembers. */
static bool collect_captures(struct reader *r)
{
    size_t most = 0;
    const struct yaml_node *lists[MESSAGE_KINDS + 1], *c;
    size_t n = 0;
    if (r->defaults && (c = yaml_get(r->defaults, "capture"))) lists[n++] = c;
    for (const struct yaml_node *a = r->actions->first; a && n <= MESSAGE_KINDS; a = a->next)
        if (a->kind == YAML_MAP && (c = yaml_get(a, "capture"))) lists[n++] = c;
    for (size_t i = 0; i < n; i++) most += lists[i]->count;
    r->captures = ARENA_ARRAY(r->a, struct str, most);
    for (size_t i = 0; i < n; i++)
        for (c = lists[i]->first; c; c = c->next) r->captures[r->capture_count++] = c->key;
    return true;
}

static bool kinds_known(struct reader *r)
{
    enum message_kind kind;
    bool ok = true;
    for (const struct yaml_node *a = r->actions->first; a; a = a->next) {
        if (message_kind_parse(a->key, &kind)) continue;
        yaml_error_key(r->d, a, "no kind of message is named `" STR_FMT "`", STR_ARG(a->key));
        ok = false;
    }
    return ok;
}

bool actions_read(struct reader *r)
{
    typedef bool (*round_fn)(struct reader *, enum message_kind, const struct yaml_node *);
    static const round_fn rounds[] = { read_own, read_reference, read_otherwise };
    if (!r->actions || r->actions->kind != YAML_MAP) return true; /* said by the field table */
    if (!kinds_known(r) || !collect_captures(r)) return false;
    for (size_t round = 0; round < sizeof rounds / sizeof rounds[0]; round++) {
        for (int k = 0; k < MESSAGE_KINDS; k++) { /* a mistake in the defaults is told once, not nine times */
            enum message_kind kind = (enum message_kind)k;
            if (!rounds[round](r, kind, yaml_get(r->actions, message_kind_name(kind)))) return false;
        }
    }
    return true;
}
