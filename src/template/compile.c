/* From source text to nodes: finds tags, decides which stand alone on their line, pairs sections. */
#include <string.h>

#include "base/vec.h"
#include "template/template_internal.h"

enum { MOST_SOURCE = 1 << 20, MOST_UNITS = 256 };

struct open_section { uint32_t node; };
struct compiler {
    struct arena *a;
    const struct template_options *o;
    struct err *err;
    struct template *t;
    size_t unit_count;
    /* of the unit in hand */
    struct unit *u;
    struct str open, close; /* delimiters */
    size_t at;              /* what comes before is done */
    bool line_start;        /* the next node begins a line */
    VEC(struct node) nodes;
    VEC(struct open_section) sections;
};
struct tag {
    char sigil;          /* 0 = plain value */
    size_t from, to;     /* with the delimiters */
    struct str content;  /* trimmed */
    bool standalone;
    size_t line_from;    /* standalone: where its line begins */
    size_t line_to;      /* standalone: where the next line begins */
};

void unit_place(const struct unit *u, size_t at, struct err *err)
{
    uint32_t line = 1;
    size_t begin = 0;
    for (size_t i = 0; i < at && i < u->source.n; i++) {
        if (u->source.p[i] != '\n') continue;
        line++;
        begin = i + 1;
    }
    err->line = line;
    err->col = (uint32_t)(at - begin + 1);
    if (u->name.p) snprintf(err->file, sizeof err->file, "partial " STR_FMT, STR_ARG(u->name));
}

static int fail(struct compiler *c, size_t at)
{
    unit_place(c->u, at, c->err);
    return -1;
}
#define FAIL(c, at, ...) (err_set((c)->err, ERR_SYNTAX, __VA_ARGS__), fail((c), (at)))

/* --- finding tags ----------------------------------------------------------------------------------- */
static size_t find_from(struct str s, size_t from, struct str needle)
{
    const void *p = from <= s.n ? memmem(s.p + from, s.n - from, needle.p, needle.n) : NULL;
    return p ? (size_t)((const char *)p - s.p) : s.n;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Only blanks between the tag and both ends of its line. */
static void find_line(struct str s, struct tag *tag)
{
    size_t b = tag->from, e = tag->to;
    while (b > 0 && (s.p[b - 1] == ' ' || s.p[b - 1] == '\t')) b--;
    if (b > 0 && s.p[b - 1] != '\n') return;
    while (e < s.n && (s.p[e] == ' ' || s.p[e] == '\t')) e++;
    if (e + 1 < s.n && s.p[e] == '\r' && s.p[e + 1] == '\n') e++;
    if (e < s.n && s.p[e] != '\n') return;
    tag->standalone = true;
    tag->line_from = b;
    tag->line_to = e < s.n ? e + 1 : e;
}

/* What closes a tag: the delimiter, with } or = before it for {{{ and {{=. */
static struct str closer(struct compiler *c, char sigil, char buf[32])
{
    size_t n = 0;
    if (sigil == '{') buf[n++] = '}';
    if (sigil == '=') buf[n++] = '=';
    memcpy(buf + n, c->close.p, c->close.n);
    return (struct str){ buf, n + c->close.n };
}

/* The next tag at or after c->at: 1, or 0 when there is none, or -1. */
static int next_tag(struct compiler *c, struct tag *tag)
{
    struct str s = c->u->source, end;
    char buf[32];
    size_t at, stop;
    *tag = (struct tag){ .from = find_from(s, c->at, c->open) };
    if (tag->from == s.n) return 0;
    at = tag->from + c->open.n;
    while (at < s.n && is_space(s.p[at])) at++;
    if (at < s.n && strchr("!=#^/>&{", s.p[at]) && s.p[at]) tag->sigil = s.p[at++];
    end = closer(c, tag->sigil, buf);
    stop = find_from(s, at, end);
    if (stop == s.n) return FAIL(c, tag->from, "the tag is not closed: " STR_FMT " is missing", STR_ARG(end));
    tag->content = str_trim(str_sub(s, at, stop - at));
    tag->to = stop + end.n;
    if (tag->sigil && tag->sigil != '{' && tag->sigil != '&') find_line(s, tag);
    return 1;
}

/* --- nodes ------------------------------------------------------------------------------------------ */
static void begin_line(struct compiler *c)
{
    if (c->line_start && c->u->name.p) *vec_push(&c->nodes) = (struct node){ .kind = NODE_LINE };
    c->line_start = false;
}

static struct node *add_node(struct compiler *c, enum node_kind kind, size_t at)
{
    struct node *n = vec_push(&c->nodes);
    *n = (struct node){ .kind = kind, .at = (uint32_t)at };
    return n;
}

/* A partial's text goes line by line, because each may get an indentation. */
static void add_text(struct compiler *c, size_t from, size_t to)
{
    struct str s = str_sub(c->u->source, from, to - from);
    while (s.n) {
        size_t n = c->u->name.p ? str_find(s, '\n', 0) + 1 : s.n;
        struct str line = str_sub(s, 0, n);
        begin_line(c);
        add_node(c, NODE_TEXT, from)->text = line;
        c->line_start = line.p[line.n - 1] == '\n';
        s = str_sub(s, line.n, s.n);
    }
}

static int check_known(struct compiler *c, const struct tag *tag, const struct name *name)
{
    struct str hint = STR_NONE;
    if (!c->o->known || name->n == 0 || c->o->known(c->o->ctx, name->text, &hint)) return 0;
    if (hint.n)
        err_set(c->err, ERR_SYNTAX, "unknown field \"" STR_FMT "\"; did you mean \"" STR_FMT "\"?",
                STR_ARG(name->text), STR_ARG(hint));
    else
        err_set(c->err, ERR_SYNTAX, "unknown field \"" STR_FMT "\"", STR_ARG(name->text));
    return fail(c, tag->from);
}

static int read_name(struct compiler *c, const struct tag *tag, struct str text, struct name *out)
{
    const char *why = "";
    if (!name_parse(c->a, text, c->o->filters, out, &why))
        return FAIL(c, tag->from, "%s: \"" STR_FMT "\"", why, STR_ARG(text));
    return check_known(c, tag, out);
}

static int add_value(struct compiler *c, const struct tag *tag)
{
    bool raw = tag->sigil != 0;
    struct str text = tag->content, rest = STR_NONE, bad = STR_NONE;
    struct node *n;
    if (raw && c->o->refuse_unescaped)
        return FAIL(c, tag->from, "unescaped text ({{%c) is not allowed here: write {{" STR_FMT "}}",
                    tag->sigil, STR_ARG(text));
    if (c->o->filters) {
        size_t bar = filter_bar(text);
        if (bar < text.n) rest = str_sub(text, bar + 1, text.n);
        text = str_trim(str_sub(text, 0, bar));
    }
    n = add_node(c, raw ? NODE_RAW : NODE_VALUE, tag->from);
    if (read_name(c, tag, text, &n->name) < 0) return -1;
    if (rest.p && filter_parse(c->a, rest, &n->filters, &bad, c->err) < 0)
        return fail(c, bad.p ? (size_t)(bad.p - c->u->source.p) : tag->from);
    return 0;
}

static int open_section(struct compiler *c, const struct tag *tag)
{
    struct node *n;
    if (c->o->filters && filter_bar(tag->content) < tag->content.n)
        return FAIL(c, tag->from, "a section takes no filters: \"" STR_FMT "\"", STR_ARG(tag->content));
    n = add_node(c, tag->sigil == '#' ? NODE_SECTION : NODE_INVERTED, tag->from);
    *vec_push(&c->sections) = (struct open_section){ (uint32_t)(c->nodes.n - 1) };
    return read_name(c, tag, tag->content, &n->name);
}

static int close_section(struct compiler *c, const struct tag *tag)
{
    struct node *n;
    if (c->sections.n == 0)
        return FAIL(c, tag->from, "no section \"" STR_FMT "\" is open here", STR_ARG(tag->content));
    n = &c->nodes.v[c->sections.v[--c->sections.n].node];
    if (!str_eq(n->name.text, tag->content)) {
        unit_place(c->u, n->at, c->err);
        return FAIL(c, tag->from, "\"" STR_FMT "\" closes the section \"" STR_FMT "\" of line %u",
                    STR_ARG(tag->content), STR_ARG(n->name.text), c->err->line);
    }
    n->end = (uint32_t)c->nodes.n;
    return 0;
}

static int set_delimiters(struct compiler *c, const struct tag *tag)
{
    struct str t = tag->content, open, close;
    size_t n = 0;
    while (n < t.n && !is_space(t.p[n])) n++;
    open = str_sub(t, 0, n);
    close = str_trim(str_sub(t, n, t.n));
    for (size_t i = 0; i < close.n; i++)
        if (is_space(close.p[i])) close.n = 0;
    if (open.n == 0 || close.n == 0 || str_find(t, '=', 0) < t.n)
        return FAIL(c, tag->from, "two delimiters without \"=\" and with a blank between them are wanted");
    if (open.n > 16 || close.n > 16) return FAIL(c, tag->from, "a delimiter is at most 16 bytes long");
    c->open = open;
    c->close = close;
    return 0;
}

/* The unit of a partial: known, new (it is compiled later), or NULL when nobody has it. */
static int find_unit(struct compiler *c, const struct tag *tag, struct str name, const struct unit **out)
{
    struct str source;
    struct unit *u = c->t->units->next, **tail = &c->t->units->next;
    for (; u; tail = &u->next, u = u->next)
        if (str_eq(u->name, name)) break;
    if (!u && c->o->partial && c->o->partial(c->o->ctx, name, &source)) {
        if (++c->unit_count > MOST_UNITS) return FAIL(c, tag->from, "more than %d partials", MOST_UNITS);
        if (source.n > MOST_SOURCE) return FAIL(c, tag->from, "a partial is longer than 1 MiB");
        u = *tail = ARENA_NEW(c->a, struct unit);
        u->name = name;
        u->source = source;
    }
    *out = u;
    return 0;
}

static int add_partial(struct compiler *c, const struct tag *tag)
{
    struct node *n;
    const struct unit *u = NULL;
    if (tag->content.n == 0) return FAIL(c, tag->from, "the tag is empty");
    for (size_t i = 0; i < tag->content.n; i++)
        if (is_space(tag->content.p[i])) return FAIL(c, tag->from, "the name of a partial holds no blanks");
    if (find_unit(c, tag, tag->content, &u) < 0) return -1;
    n = add_node(c, NODE_PARTIAL, tag->from);
    n->partial = u;
    n->standalone = tag->standalone;
    if (tag->standalone) n->text = str_sub(c->u->source, tag->line_from, tag->from - tag->line_from);
    return 0;
}

/* --- a unit ----------------------------------------------------------------------------------------- */
static int take_tag(struct compiler *c, const struct tag *tag)
{
    switch (tag->sigil) {
    case '!': return 0;
    case '=': return set_delimiters(c, tag);
    case '#':
    case '^': return open_section(c, tag);
    case '/': return close_section(c, tag);
    case '>': return add_partial(c, tag);
    default: return add_value(c, tag);
    }
}

static int compile_tags(struct compiler *c)
{
    struct tag tag;
    int more;
    while ((more = next_tag(c, &tag)) > 0) {
        add_text(c, c->at, tag.standalone ? tag.line_from : tag.from);
        if (tag.standalone) c->line_start = true;
        else begin_line(c); /* the indentation stands before {{/a}}, so it belongs to the section */
        if (take_tag(c, &tag) < 0) return -1;
        c->at = tag.standalone ? tag.line_to : tag.to;
    }
    if (more < 0) return -1;
    add_text(c, c->at, c->u->source.n);
    if (c->sections.n == 0) return 0;
    const struct node *n = &c->nodes.v[c->sections.v[c->sections.n - 1].node];
    return FAIL(c, n->at, "the section \"" STR_FMT "\" is not closed", STR_ARG(n->name.text));
}

static int compile_unit(struct compiler *c, struct unit *u)
{
    c->u = u;
    c->open = STR("{{");
    c->close = STR("}}");
    c->at = 0;
    c->line_start = true;
    vec_clear(&c->nodes);
    vec_clear(&c->sections);
    if (compile_tags(c) < 0) return -1;
    u->n = c->nodes.n;
    u->nodes = ARENA_ARRAY(c->a, struct node, u->n ? u->n : 1);
    if (u->n) memcpy(u->nodes, c->nodes.v, u->n * sizeof *u->nodes);
    return 0;
}

static void find_literal(struct arena *a, struct template *t)
{
    const struct unit *u = t->units;
    struct strbuf b;
    for (size_t i = 0; i < u->n; i++)
        if (u->nodes[i].kind != NODE_TEXT) return;
    t->is_literal = true;
    t->literal = u->n ? u->nodes[0].text : STR("");
    if (u->n < 2) return;
    strbuf_init(&b, u->source.n + 1);
    for (size_t i = 0; i < u->n; i++) strbuf_str(&b, u->nodes[i].text);
    t->literal = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
}

struct template *template_compile(struct arena *a, struct str source, const struct template_options *o,
                                  struct err *err)
{
    static const struct template_options none;
    struct compiler c = { .a = a, .o = o ? o : &none, .err = err, .t = ARENA_NEW(a, struct template) };
    int rc = 0;
    if (source.n > MOST_SOURCE) {
        err_set(err, ERR_LIMIT, "a template is longer than 1 MiB");
        return NULL;
    }
    c.t->units = ARENA_NEW(a, struct unit);
    c.t->units->source = source;
    for (struct unit *u = c.t->units; u && rc == 0; u = u->next) rc = compile_unit(&c, u);
    vec_free(&c.nodes);
    vec_free(&c.sections);
    if (rc < 0) return NULL;
    find_literal(a, c.t);
    return c.t;
}

bool template_is_literal(const struct template *t, struct str *text)
{
    if (t->is_literal) *text = t->literal;
    return t->is_literal;
}

void template_names(const struct template *t, void (*fn)(void *ctx, struct str name), void *ctx)
{
    for (const struct unit *u = t->units; u; u = u->next)
        for (size_t i = 0; i < u->n; i++)
            if (u->nodes[i].name.n) fn(ctx, u->nodes[i].name.text);
}
