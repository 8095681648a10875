/* secret: text that must never be shown. It has no accessor that prints; whoever needs the plain bytes for
 * a request or a comparison says so by secret_reveal, which a reviewer can search for. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H
#include "base/err.h"
#include "base/str.h"

struct secret {
    struct str hidden;    /* do not read: secret_reveal */
    struct str reference; /* "${env:NAME}" as written, or STR_NONE for a literal: this may be shown */
};

struct str secret_reveal(const struct secret *s);
bool secret_present(const struct secret *s);
/* Resolves "${env:NAME}" and "${file:PATH}" (one trailing newline cut; PATH relative to dir) inside text:
 * several references and plain text may be mixed. Anything else stays literal. 0, or -1 when a variable is
 * unset or a file cannot be read; err names it. */
int secret_resolve(struct arena *a, struct str text, const char *dir, struct secret *out, struct err *err) WUR;
#endif
