/* yaml: libyaml's events as a positioned tree, and table-driven decoding of it (c-style.md section 5).
 * Refused while building, each with its place: anchors, aliases, tags, a second document, duplicate keys
 * (both lines named), depth over 32, more than 2 million nodes. Nodes live in the arena and are immutable
 * afterwards. Scalars are text; what they mean depends on the type that is wanted. */
#ifndef YAML_YAML_H
#define YAML_YAML_H
#include "base/err.h"
#include "base/str.h"
#include "json/json.h"
#include "yaml/diag.h"

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_SEQ };
struct yaml_node {
    enum yaml_kind kind;
    bool plain;             /* a scalar without quotes or block style */
    uint32_t line, col;     /* of the value */
    const char *file;
    struct str text;        /* scalars */
    struct str key;         /* inside a map: the member's key */
    bool key_plain;
    uint32_t key_line, key_col;
    size_t count;           /* children */
    bool cut;               /* a syntax error ended the reading inside it: more may stand below */
    struct yaml_node *first, *next;
};

/* Reads one document. NULL when it could not be read at all (the diagnostics say why); a tree with errors
 * reported may still come back. An empty document is an empty map. file and text must outlive the tree.
 * After a syntax error the tree holds what stood above it: the root and a section of it that were being read
 * have `cut` set, and an entry below them that was not complete is left out. Whoever looks for a thing that
 * is not there asks `cut` before calling it missing. */
struct yaml_node *yaml_read(struct arena *a, const char *file, struct str text, struct diags *d);

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key); /* NULL when absent */
bool yaml_is_null(const struct yaml_node *n); /* plain empty, ~ or null */
/* Adds an error at the node's value / at its key. */
struct diag *yaml_error(struct diags *d, const struct yaml_node *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct diag *yaml_error_key(struct diags *d, const struct yaml_node *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct diag *yaml_warning(struct diags *d, const struct yaml_node *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void yaml_hide(struct diags *d, const struct yaml_node *n); /* a secret: no line is shown with it */

/* Scalars by wanted type. Each gives false and adds an error that says what is wanted and what was found
 * ("wants a duration like 30s or 5m, got `5 min`"). */
bool yaml_want_text(const struct yaml_node *n, struct diags *d, struct str *out);
bool yaml_want_bool(const struct yaml_node *n, struct diags *d, bool *out);       /* plain true or false only */
bool yaml_want_i64(const struct yaml_node *n, struct diags *d, int64_t least, int64_t most, int64_t *out);
bool yaml_want_f64(const struct yaml_node *n, struct diags *d, double least, double most, double *out);
bool yaml_want_duration(const struct yaml_node *n, struct diags *d, int64_t *ms);
bool yaml_want_size(const struct yaml_node *n, struct diags *d, int64_t *bytes);  /* 512, 64KiB, 4MiB, 10GiB, MB.. */
bool yaml_want_rate(const struct yaml_node *n, struct diags *d, int64_t *count, int64_t *per_ms); /* "20 per 1m" or {n, per} */

/* Field tables: one description of a map's members decodes it, documents it and prints its JSON Schema. */
enum field_type {
    FIELD_TEXT,     /* struct str */
    FIELD_BOOL,     /* bool */
    FIELD_INT,      /* int64_t */
    FIELD_NUMBER,   /* double */
    FIELD_DURATION, /* int64_t, ms */
    FIELD_SIZE,     /* int64_t, bytes */
    FIELD_ENUM,     /* int: index into names */
    FIELD_NODE,     /* const struct yaml_node *: decoded by the caller */
    FIELD_TEXTS     /* struct field_texts: one text or a list */
};
struct field_texts {
    struct str *v;
    const struct yaml_node **nodes; /* where each was written */
    size_t n;
};
struct field {
    const char *name;
    enum field_type type;
    bool required;
    size_t offset;             /* into the decoded struct */
    int64_t least, most;       /* FIELD_INT, FIELD_DURATION, FIELD_SIZE; both 0 = no bound */
    const char *const *names;  /* FIELD_ENUM: NULL-terminated */
    const char *fallback;      /* as text, for the docs and applied when absent; NULL = left as it was */
    const char *help;          /* one sentence */
    const char *schema;        /* FIELD_NODE: JSON Schema text, NULL = any */
};
struct field_table {
    const char *name;          /* "rule", "server", ...: used in messages */
    const struct field *fields;
    size_t n;
};
/* Decodes map n into out (whose defaults the caller has set). Unknown keys are errors with the nearest
 * name; missing required ones name the map. `extra` (may be NULL) gets keys that are not in the table
 * instead: true = taken. Gives false when any error was added or a required key lies behind a syntax error;
 * what could be decoded is filled in. */
typedef bool (*field_extra_fn)(void *ctx, const struct yaml_node *member);
bool fields_decode(const struct field_table *t, struct arena *a, const struct yaml_node *n, struct diags *d,
                   void *out, field_extra_fn extra, void *ctx);
/* "unknown key `chanel` in slack destination" + hint "did you mean `channel`?" */
void fields_unknown(const struct field_table *t, const struct yaml_node *member, struct diags *d);
void fields_schema(const struct field_table *t, struct strbuf *out); /* JSON Schema object */
/* The same into w. A name that ends in .PATH stands for every key that starts so. */
void fields_schema_write(const struct field_table *t, struct json_writer *w);
void fields_docs(const struct field_table *t, struct strbuf *out);   /* a Markdown table */

/* The language in parts, for its schema and its reference: each has a name, and `{"$ref":"#/$defs/NAME"}` in some
 * field's schema means it. */
struct field_part {
    const char *name;
    const char *about;               /* a sentence or two, Markdown */
    const struct field_table *table; /* a map of these, or: */
    const char *schema;              /* whatever this JSON Schema text says */
    size_t own;                      /* the fields behind the first so many are explained elsewhere; 0 = none are */
};
void field_parts_schema(const struct field_part *parts, size_t n, struct json_writer *w); /* members of "$defs" */
void field_parts_docs(const struct field_part *parts, size_t n, struct strbuf *out);      /* a heading and a table each */
/* A limit, {n: 20, per: 1m}. */
extern const struct field_table yaml_rate_table;
#endif
