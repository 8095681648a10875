#include "base/secret.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/strbuf.h"

enum { SECRET_CEILING = 64 * 1024 };

struct str secret_reveal(const struct secret *s)
{
    return s->hidden;
}

bool secret_present(const struct secret *s)
{
    return s->hidden.n > 0;
}

static int add_env(struct arena *a, struct str name, struct strbuf *out, struct err *err)
{
    const char *value = getenv(str_dup_c(a, name));
    if (!value)
        return err_set(err, ERR_NOT_FOUND, "environment variable " STR_FMT " is not set", STR_ARG(name));
    strbuf_c(out, value);
    return 0;
}

static int add_file(struct arena *a, struct str path, const char *dir, struct strbuf *out, struct err *err)
{
    struct str text;
    const char *full = path.n && path.p[0] == '/' ? str_dup_c(a, path)
                                                  : str_printf(a, "%s/" STR_FMT, dir, STR_ARG(path)).p;
    if (file_read(a, full, SECRET_CEILING, &text, err) < 0) return -1;
    if (text.n && text.p[text.n - 1] == '\n') text.n--;
    if (text.n && text.p[text.n - 1] == '\r') text.n--;
    strbuf_str(out, text);
    return 0;
}

/* Handles one "${kind:name}" at the start of rest; *used = its length, 0 when it is no reference. */
static int add_reference(struct arena *a, struct str rest, const char *dir, struct strbuf *out, size_t *used,
                         struct err *err)
{
    size_t end = str_find(rest, '}', 0);
    *used = 0;
    if (end == rest.n) return 0;
    if (str_starts(rest, STR("${env:"))) {
        *used = end + 1;
        return add_env(a, str_sub(rest, 6, end - 6), out, err);
    }
    if (str_starts(rest, STR("${file:"))) {
        *used = end + 1;
        return add_file(a, str_sub(rest, 7, end - 7), dir, out, err);
    }
    return 0;
}

int secret_resolve(struct arena *a, struct str text, const char *dir, struct secret *out, struct err *err)
{
    struct strbuf b;
    bool referred = false;
    int rc = 0;
    strbuf_init(&b, SECRET_CEILING);
    for (size_t at = 0; at < text.n && rc == 0;) {
        size_t used = 0;
        if (text.p[at] == '$')
            rc = add_reference(a, str_sub(text, at, text.n - at), dir, &b, &used, err);
        if (used == 0 && rc == 0) strbuf_char(&b, text.p[at]);
        referred |= used > 0;
        at += used ? used : 1;
    }
    if (rc == 0 && !strbuf_ok(&b)) rc = err_set(err, ERR_LIMIT, "secret is longer than 64 KiB");
    if (rc == 0) {
        out->hidden = str_dup(a, strbuf_view(&b));
        out->reference = referred ? str_dup(a, text) : STR_NONE;
    }
    strbuf_fini(&b);
    return rc;
}
