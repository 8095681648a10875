/* From nodes and a view to text. */
#include "template/template_internal.h"

const struct template_limits template_default_limits = { 100000, 1 << 20, 32 };

struct frame { /* of the context stack */
    const struct frame *up;
    struct json v;
};
struct indent { /* standalone partials within each other */
    const struct indent *up;
    struct str text;
};
struct render {
    template_escape_fn escape;
    size_t steps, depth; /* left */
    size_t bytes, start; /* most, and where our output begins in out */
    struct strbuf *out;
    struct arena scratch; /* of one filtered value */
    struct err *err;
};

static int run(struct render *r, const struct unit *u, size_t from, size_t to, const struct frame *f,
               const struct indent *in);

/* --- bounds ----------------------------------------------------------------------------------------- */
static int check_out(struct render *r, size_t before)
{
    if (strbuf_ok(r->out) && r->out->n - r->start <= r->bytes) return 0;
    strbuf_cut(r->out, before);
    return err_set(r->err, ERR_LIMIT, "the text grows over its limit of %zu bytes",
                   r->bytes < r->out->ceiling ? r->bytes : r->out->ceiling);
}

static int take_steps(struct render *r, size_t n)
{
    if (n > r->steps) return err_set(r->err, ERR_LIMIT, "the template takes too many steps");
    r->steps -= n;
    return 0;
}

/* What a filter has to go through, so that a filter in a loop over a long list is no way around the bound. */
static size_t work_of(const struct filter_value *v)
{
    return 1 + (v->is_text ? v->text.n : json_text(v->json).n) / 64;
}

/* --- names ------------------------------------------------------------------------------------------ */
/* The first part is looked for in the stack, the others only in what it gave. A null is found, too. */
static struct json look_up(const struct name *name, const struct frame *f)
{
    struct json v = { 0 };
    if (name->n == 0) return f->v;
    for (; f; f = f->up) {
        if (json_kind(f->v) != JSON_OBJECT) continue;
        v = json_get(f->v, name->parts[0]);
        if (json_kind(v) != JSON_ABSENT) break;
    }
    return name->n == 1 ? v : json_path(v, name->parts + 1, name->n - 1);
}

/* Empty texts count as false, so that {{#body}} asks what people mean by it; zero is a value like others. */
static bool is_true(struct json v)
{
    switch (json_kind(v)) {
    case JSON_ABSENT:
    case JSON_NULL: return false;
    case JSON_BOOL: return json_bool(v, false);
    case JSON_STRING: return json_str(v).n > 0;
    case JSON_ARRAY: return json_count(v) > 0;
    case JSON_NUMBER:
    case JSON_OBJECT: break;
    }
    return true;
}

/* --- nodes ------------------------------------------------------------------------------------------ */
static int write_text(struct render *r, const struct node *n, struct str text)
{
    size_t before = r->out->n;
    if (n->kind == NODE_VALUE && r->escape && text.n) r->escape(text, r->out);
    else strbuf_str(r->out, text);
    return check_out(r, before);
}

static int write_filtered(struct render *r, const struct node *n, struct json v)
{
    struct filter_value value = { .json = v };
    struct filter_run filters = { .a = &r->scratch, .bytes = r->bytes, .err = r->err };
    struct str text;
    int rc = 0;
    for (const struct filter_call *call = n->filters; call && rc == 0; call = call->next) {
        rc = take_steps(r, work_of(&value));
        if (rc == 0) rc = call->apply(&filters, call, &value);
    }
    if (rc == 0) rc = take_steps(r, work_of(&value));
    text = rc == 0 ? filter_text(&filters, &value) : STR_NONE;
    if (rc == 0 && filters.too_long)
        rc = err_set(r->err, ERR_LIMIT, "a value grows over the limit of %zu bytes", r->bytes);
    if (rc == 0) rc = write_text(r, n, text);
    arena_reset(&r->scratch);
    return rc;
}

static int write_value(struct render *r, const struct node *n, const struct frame *f)
{
    struct json v = look_up(&n->name, f);
    enum json_kind kind = json_kind(v);
    if (n->filters || kind == JSON_ARRAY || kind == JSON_OBJECT) return write_filtered(r, n, v);
    return write_text(r, n, json_scalar(v));
}

/* Once for a value, once per element for a list. */
static int run_section(struct render *r, const struct unit *u, size_t at, const struct frame *f,
                       const struct indent *in)
{
    const struct node *n = &u->nodes[at];
    struct json v = look_up(&n->name, f);
    bool list = json_kind(v) == JSON_ARRAY;
    size_t times = list ? json_count(v) : 1;
    struct frame inner = { f, list ? json_first(v) : v };
    if (is_true(v) != (n->kind == NODE_SECTION)) return 0;
    if (n->kind == NODE_INVERTED) return run(r, u, at + 1, n->end, f, in);
    for (size_t i = 0; i < times; i++) {
        if (take_steps(r, 1) < 0 || run(r, u, at + 1, n->end, &inner, in) < 0) return -1;
        if (list) inner.v = json_next(inner.v);
    }
    return 0;
}

static int run_partial(struct render *r, const struct node *n, const struct frame *f, const struct indent *in)
{
    struct indent inner = { in, n->text };
    if (!n->partial) return 0;
    return run(r, n->partial, 0, n->partial->n, f, n->standalone ? &inner : NULL);
}

static int write_indent(struct render *r, const struct indent *in)
{
    size_t before = r->out->n;
    if (!in) return 0;
    if (write_indent(r, in->up) < 0) return -1; /* as deep as the partials, and so bounded */
    strbuf_str(r->out, in->text);
    return check_out(r, before);
}

static int run_node(struct render *r, const struct unit *u, size_t at, const struct frame *f,
                    const struct indent *in)
{
    const struct node *n = &u->nodes[at];
    switch (n->kind) {
    case NODE_TEXT: return write_text(r, n, n->text);
    case NODE_LINE: return write_indent(r, in);
    case NODE_VALUE:
    case NODE_RAW: return write_value(r, n, f);
    case NODE_SECTION:
    case NODE_INVERTED: return run_section(r, u, at, f, in);
    case NODE_PARTIAL: return run_partial(r, n, f, in);
    }
    return 0;
}

static int run(struct render *r, const struct unit *u, size_t from, size_t to, const struct frame *f,
               const struct indent *in)
{
    size_t at = from;
    int rc = 0;
    if (r->depth == 0) return err_set(r->err, ERR_LIMIT, "sections and partials are nested too deep");
    r->depth--;
    while (at < to && rc == 0) {
        const struct node *n = &u->nodes[at];
        rc = take_steps(r, 1);
        if (rc == 0) rc = run_node(r, u, at, f, in);
        if (rc < 0 && r->err->line == 0) unit_place(u, n->at, r->err); /* the innermost place */
        at = n->end ? n->end : at + 1;
    }
    r->depth++;
    return rc;
}

int template_render(const struct template *t, struct json view, template_escape_fn escape,
                    const struct template_limits *limits, struct strbuf *out, struct err *err)
{
    const struct template_limits *l = limits ? limits : &template_default_limits;
    struct render r = {
        .escape = escape,
        .steps = l->steps,
        .depth = l->depth + 1,
        .bytes = l->bytes,
        .start = out->n,
        .out = out,
        .err = err,
    };
    struct frame root = { NULL, view };
    int rc;
    *err = (struct err){ 0 };
    rc = run(&r, t->units, 0, t->units->n, &root, NULL);
    arena_fini(&r.scratch);
    return rc;
}
