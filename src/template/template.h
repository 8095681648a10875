/* template: Mustache (core modules: comments, delimiters, interpolation, inverted, partials, sections),
 * with our filters {{ field | filter: arg }} and named escapers. Compiled once, immutable, any thread.
 * Bounded: steps, output bytes, section depth. Pure. */
#ifndef TEMPLATE_TEMPLATE_H
#define TEMPLATE_TEMPLATE_H
#include "base/err.h"
#include "base/strbuf.h"
#include "json/json.h"

/* Escapes s for one kind of target. See template/escape.h for the named ones. */
typedef void (*template_escape_fn)(struct str s, struct strbuf *out);
/* Partials by name: true and *source, or false when there is none (renders as empty, as the spec says). */
typedef bool (*template_partial_fn)(void *ctx, struct str name, struct str *source);
/* Is this dotted name a known field? Called at compile time for every name; false makes it an error. */
typedef bool (*template_known_fn)(void *ctx, struct str name, struct str *suggestion);

struct template_options {
    bool filters;                 /* the {{ a | b: c }} form is understood */
    bool refuse_unescaped;        /* {{{ and {{& are errors */
    template_known_fn known;      /* NULL = any name */
    template_partial_fn partial;  /* NULL = none */
    void *ctx;
};
struct template;

/* NULL with err->line/col inside the source (of the partial that err->file then names). The template lives in
 * a and borrows source and partials. o may be NULL: none of the options. What the specification leaves open:
 * an empty text is false, zero is true; a list as a value is joined with ", ", an object is JSON.
 * Filters: upper, lower, trim, truncate: N, default: TEXT, date, duration, round: N, join: SEP, first, last,
 * json, percent: N (of a share of 1), urlencode. A TEXT may stand in quotes, with escapes as in JSON; so may,
 * with filters on, a part of a name: metadata."a.b".c. Sections take no filters. */
struct template *template_compile(struct arena *a, struct str source, const struct template_options *o,
                                  struct err *err);
/* True when the template is plain text; *text is it. */
bool template_is_literal(const struct template *t, struct str *text);
struct template_limits { size_t steps, bytes, depth; };
extern const struct template_limits template_default_limits; /* 100,000 steps, 1 MiB, depth 32 */
/* Renders with view as the root context ({{.}} and dotted names as in the specification); interpolations
 * pass through escape (NULL = none), unless unescaped. -1 when a limit is hit or a filter fails: out then
 * holds what was written so far. */
int template_render(const struct template *t, struct json view, template_escape_fn escape,
                    const struct template_limits *limits, struct strbuf *out, struct err *err) WUR;
/* Calls fn for every name the template reads (sections and partials too), but not for ".". */
void template_names(const struct template *t, void (*fn)(void *ctx, struct str name), void *ctx);
#endif
