/* diag: what the checker has to say, collected: all mistakes at once, each with its place.
 * Shown as FILE:LINE:COL: error: TEXT, the line, a caret, a suggestion. One thread. */
#ifndef YAML_DIAG_H
#define YAML_DIAG_H
#include "base/arena.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "base/vec.h"

enum diag_level { DIAG_ERROR, DIAG_WARNING };
struct diag {
    enum diag_level level;
    const char *file;       /* as the user named it */
    uint32_t line, col;     /* 1-based; 0 = the whole file */
    uint32_t width;         /* characters the caret underlines; 0 = 1 */
    struct str text;        /* one sentence, no final stop */
    struct str hint;        /* "did you mean `channel`?"; STR_NONE = none */
    struct str source_line; /* the line itself, STR_NONE = unknown */
};
struct diags {
    struct arena *arena; /* texts live here */
    VEC(struct diag) items;
    size_t errors, warnings, held; /* held: over the cap of 50, counted and not kept */
    struct diag_sources *sources;  /* the files read so far, for source_line */
};
void diags_init(struct diags *d, struct arena *a);
void diags_fini(struct diags *d);
/* Remembers a file's text so that its lines can be shown; text must outlive d. */
void diags_add_source(struct diags *d, const char *file, struct str text);
/* The k-th of those files; NULL at the end. */
const char *diags_source_file(const struct diags *d, size_t k);
/* Adds one and gives it, so that a caller may set hint or width; never NULL. */
struct diag *diag_add(struct diags *d, enum diag_level level, const char *file, uint32_t line, uint32_t col,
                      const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* The scalar that starts there is a secret: stars stand for it in every line shown. n: its bytes, 0 = quoted. */
void diags_hide(struct diags *d, const char *file, uint32_t line, uint32_t col, size_t n);
/* Sorted by file as read, then line, then column. */
void diags_sort(struct diags *d);
void diags_print(const struct diags *d, struct strbuf *out, bool color);
void diags_json(const struct diags *d, struct strbuf *out); /* array of {level,file,line,col,text,hint} */
#endif
