/* The inside of a compiled template, for the files of template/ only. A template is a flat list of nodes;
 * a section knows where it ends. Partials are units of their own, compiled once each, so that they may
 * include each other or themselves. */
#ifndef TEMPLATE_TEMPLATE_INTERNAL_H
#define TEMPLATE_TEMPLATE_INTERNAL_H
#include "template/template.h"

struct name {
    struct str text;   /* as written */
    struct str *parts; /* split at the dots */
    size_t n;          /* 0: the implicit iterator, "." */
};

/* --- filters ---------------------------------------------------------------------------------------- */
/* What passes from filter to filter: a value of the view until a filter has made text of it. */
struct filter_value {
    struct json json;
    struct str text;
    bool is_text;
};
struct filter_call;
struct filter_run {
    struct arena *a; /* until the value is written */
    size_t bytes;    /* no text made here may be longer */
    bool too_long;   /* one would have been */
    struct err *err;
};
typedef int (*filter_fn)(struct filter_run *r, const struct filter_call *call, struct filter_value *v);
struct filter_call {
    filter_fn apply;
    const char *name;
    struct str arg;    /* STR_NONE = none given */
    int64_t number;    /* arg as a number, for those that want one */
    const struct filter_call *next;
};
/* Reads "upper | truncate: 20" into *first. -1 with the message in err; *bad is the part at fault. */
int filter_parse(struct arena *a, struct str text, const struct filter_call **first, struct str *bad,
                 struct err *err);
/* Index of the first | outside quotes, or s.n. */
size_t filter_bar(struct str s);
/* The value as text: scalars as they are, a list joined with ", ", an object as JSON. */
struct str filter_text(struct filter_run *r, const struct filter_value *v);

/* For filters only. A text as the value, always 0; the buffer's text, in the arena, and its end. */
int filter_set(struct filter_value *v, struct str text);
struct str filter_take(struct filter_run *r, struct strbuf *b);
/* Text to text; see filter_words.c. */
int filter_upper(struct filter_run *r, const struct filter_call *call, struct filter_value *v);
int filter_lower(struct filter_run *r, const struct filter_call *call, struct filter_value *v);
int filter_trim(struct filter_run *r, const struct filter_call *call, struct filter_value *v);
int filter_truncate(struct filter_run *r, const struct filter_call *call, struct filter_value *v);
int filter_urlencode(struct filter_run *r, const struct filter_call *call, struct filter_value *v);

/* --- nodes ------------------------------------------------------------------------------------------ */
enum node_kind {
    NODE_TEXT,
    NODE_LINE, /* a line of a partial begins: its indentation goes here */
    NODE_VALUE,
    NODE_RAW,
    NODE_SECTION,
    NODE_INVERTED,
    NODE_PARTIAL
};
struct node {
    enum node_kind kind;
    bool standalone;                   /* partial: alone on its line, text is its indentation */
    uint32_t end;                      /* section: first node behind its body */
    uint32_t at;                       /* offset of the tag in the unit's source */
    struct str text;
    struct name name;
    const struct filter_call *filters; /* NULL = none */
    const struct unit *partial;        /* NULL = there is none by that name */
};
struct unit {
    struct str name; /* STR_NONE for the template itself */
    struct str source;
    struct node *nodes;
    size_t n;
    struct unit *next;
};
struct template {
    struct unit *units; /* the template itself first */
    struct str literal;
    bool is_literal;
};
/* Fills in the place of offset at in u. */
void unit_place(const struct unit *u, size_t at, struct err *err);

/* Splits a dotted name; with quotes, a part may be written "a.b". False: *why says what is wrong. */
bool name_parse(struct arena *a, struct str text, bool quotes, struct name *out, const char **why);
#endif
