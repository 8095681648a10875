/* escape: named escapers and truncation for the targets messages go to (notifier-providers.md 0.3, 52.3).
 * Pure. */
#ifndef TEMPLATE_ESCAPE_H
#define TEMPLATE_ESCAPE_H
#include "template/template.h"

/* "html", "slack", "json" (inside a JSON string), "url_path", "url_query", "header" (refuses nothing:
 * CR, LF and NUL become blanks), "telegram_html", "telegram_md2", "discord_md", "none". NULL when unknown. */
template_escape_fn escape_by_name(struct str name);
enum text_unit { TEXT_CHARS, TEXT_UTF16, TEXT_BYTES };
bool text_unit_parse(struct str name, enum text_unit *out); /* "chars", "utf16", "bytes" */
size_t text_length(struct str s, enum text_unit unit);
/* s cut to at most `most` units on a code point boundary, with U+2026 at the end when cut (it counts). */
struct str text_truncate(struct arena *a, struct str s, size_t most, enum text_unit unit);
#endif
