/* json: a strict reader over jsmn's tokens and a streaming writer (c-style.md section 4).
 * The reader accepts every valid text (RFC 8259) whose root is an object or array and nothing else; it also
 * refuses duplicate keys (compared decoded), depth over the limit, bad UTF-8 and NUL bytes. Pure. A parsed
 * document is immutable: any thread may read it. The document borrows the text and lives in the arena. */
#ifndef JSON_JSON_H
#define JSON_JSON_H
#include "base/err.h"
#include "base/str.h"
#include "base/strbuf.h"

enum json_kind { JSON_ABSENT, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_doc;
/* One value of a document, passed by value. Zero ({0}) is JSON_ABSENT; every getter takes it and gives
 * absence back, so look-ups can be chained. */
struct json {
    const struct json_doc *doc;
    uint32_t at;
};
struct json_limits {
    size_t bytes;  /* longest text */
    size_t tokens; /* most jsmn tokens (each 20 bytes) */
    size_t depth;  /* deepest nesting */
};
extern const struct json_limits json_default_limits; /* 4 MiB, 1,048,576 tokens, depth 64 */
/* For what runbell wrote itself around texts that were within the limits above: whatever came in can be read again. */
extern const struct json_limits json_own_limits;

/* 0 with *root filled, or -1: err->code is ERR_LIMIT for bytes or tokens over the limit, else ERR_SYNTAX;
 * err->line/col are the place in the text (col in bytes) and *offset (may be NULL) the 0-based byte. */
int json_parse(struct arena *a, struct str text, const struct json_limits *limits, struct json *root,
               size_t *offset, struct err *err) WUR;

enum json_kind json_kind(struct json v);
bool json_present(struct json v);                 /* neither absent nor null */
struct json json_get(struct json object, struct str key);
static inline struct json json_get_c(struct json object, const char *key) { return json_get(object, str_c(key)); }
struct json json_at(struct json array, size_t index);
/* Dotted path of already split parts; a part that is a number indexes an array. */
struct json json_path(struct json v, const struct str *parts, size_t n);
size_t json_count(struct json v);                 /* members or elements; 0 for scalars */
struct json json_first(struct json v);            /* first member value or element */
struct json json_next(struct json v);             /* its next sibling */
struct str json_key(struct json member);          /* decoded key of a value inside an object */
/* A string's decoded text (in place when it has no escape; else decoded once at parse). STR_NONE for other
 * kinds. May hold NUL (from \u0000). */
struct str json_str(struct json v);
struct str json_text(struct json v);              /* the value's own source text, any kind */
bool json_i64(struct json v, int64_t *out);       /* whole numbers only: no fraction, exponent or overflow */
bool json_f64(struct json v, double *out);
bool json_bool(struct json v, bool fallback);
/* Scalars as a person would write them: strings decoded, numbers and literals as text; STR_NONE for
 * absent, null, arrays and objects. */
struct str json_scalar(struct json v);

/* Writer: appends to out; commas and colons are its business. Check strbuf_ok(out) once at the end. */
struct json_writer {
    struct strbuf *out;
    uint64_t has_item; /* one bit per open level */
    unsigned depth;
    bool after_key;
    bool escape_html; /* also < > & as \u00XX, for text that lands in a page */
};
void json_writer_init(struct json_writer *w, struct strbuf *out);
/* A text written in one go. json_draft_begin gives the writer to write it with; json_draft_end copies it into a and
 * frees the rest. What no longer fits under the ceiling is missing: where that can be, look at strbuf_ok(&d->text)
 * before the end. */
struct json_draft {
    struct strbuf text;
    struct json_writer w;
};
struct json_writer *json_draft_begin(struct json_draft *d, size_t ceiling);
struct str json_draft_end(struct json_draft *d, struct arena *a);
void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_put_key(struct json_writer *w, struct str key);
void json_put_str(struct json_writer *w, struct str s);  /* invalid UTF-8 becomes U+FFFD; STR_NONE writes null */
void json_put_i64(struct json_writer *w, int64_t v);
void json_put_f64(struct json_writer *w, double v);      /* NaN and infinities write null */
void json_put_bool(struct json_writer *w, bool v);
void json_put_null(struct json_writer *w);
void json_put_raw(struct json_writer *w, struct str text);   /* text is valid JSON already */
void json_put_value(struct json_writer *w, struct json v);   /* its source text, compacted; absent writes null */
void json_put_name(struct json_writer *w, struct str name); /* a key that is a name of ours: it is not escaped */
/* Such a key and its value in one call; the _opt form writes nothing for STR_NONE. */
static inline void json_field_str(struct json_writer *w, const char *key, struct str s)
{
    json_put_name(w, str_c(key));
    json_put_str(w, s);
}
static inline void json_field_opt(struct json_writer *w, const char *key, struct str s)
{
    if (!str_absent(s)) json_field_str(w, key, s);
}
static inline void json_field_i64(struct json_writer *w, const char *key, int64_t v)
{
    json_put_name(w, str_c(key));
    json_put_i64(w, v);
}
static inline void json_field_f64(struct json_writer *w, const char *key, double v)
{
    json_put_name(w, str_c(key));
    json_put_f64(w, v);
}
static inline void json_field_bool(struct json_writer *w, const char *key, bool v)
{
    json_put_name(w, str_c(key));
    json_put_bool(w, v);
}
void json_field_time(struct json_writer *w, const char *key, int64_t wall_ms); /* RFC 3339 */
#endif
