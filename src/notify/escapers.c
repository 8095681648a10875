/* Escapers that only notification bodies need, beside those of template/escape.h. */
#include "notify/notify_internal.h"

/* Lines after the first stand under it. */
static void indent(struct str s, struct strbuf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        strbuf_char(out, s.p[i]);
        if (s.p[i] == '\n') strbuf_c(out, "    ");
    }
}

static void none(struct str s, struct strbuf *out)
{
    strbuf_str(out, s);
}

template_escape_fn notify_escape_by_name(struct str name)
{
    if (str_eq_c(name, "indent")) return indent;
    if (str_eq_c(name, "none"))
        return none; /* escape_by_name may say NULL for it, which here means unknown */
    return escape_by_name(name);
}
