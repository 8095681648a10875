/* Escapers that only notification bodies need, beside those of template/escape.h. */
#include "notify/notify_internal.h"

/* Slack's code blocks end at three backticks; a zero width space after each second one in a row keeps a
 * value from ending the block it stands in. */
static void slack_code(struct str s, struct strbuf *out)
{
    template_escape_fn slack = escape_by_name(STR("slack"));
    size_t from = 0, run = 0;
    for (size_t i = 0; i < s.n; i++) {
        run = s.p[i] == '`' ? run + 1 : 0;
        if (run < 2) continue;
        slack(str_sub(s, from, i + 1 - from), out);
        strbuf_c(out, "\xE2\x80\x8B");
        from = i + 1;
        run = 0;
    }
    slack(str_sub(s, from, s.n - from), out);
    if (run) strbuf_c(out, "\xE2\x80\x8B"); /* one that would join the closing fence */
}

/* Inside `code` of one line there is no escape for the backtick itself. */
static void slack_span(struct str s, struct strbuf *out)
{
    struct strbuf plain;
    strbuf_init(&plain, s.n + 1);
    for (size_t i = 0; i < s.n; i++) strbuf_char(&plain, s.p[i] == '`' ? '\'' : s.p[i]);
    escape_by_name(STR("slack"))(strbuf_view(&plain), out);
    strbuf_fini(&plain);
}

/* The address in <address|label>. */
static void slack_link(struct str s, struct strbuf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '&') strbuf_c(out, "&amp;");
        else if (c <= ' ' || c == '|' || c == '<' || c == '>' || c == 127) strbuf_printf(out, "%%%02X", c);
        else strbuf_char(out, (char)c);
    }
}

/* Lines after the first stand under it. */
static void indent(struct str s, struct strbuf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        strbuf_char(out, s.p[i]);
        if (s.p[i] == '\n') strbuf_c(out, "    ");
    }
}

/* "none" of escape_by_name may well be NULL, which here means unknown. */
static void none(struct str s, struct strbuf *out)
{
    strbuf_str(out, s);
}

template_escape_fn notify_escape_by_name(struct str name)
{
    static const struct { const char *name; template_escape_fn fn; } own[] = {
        { "slack_code", slack_code }, { "slack_span", slack_span }, { "slack_link", slack_link },
        { "indent", indent },         { "none", none },
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (str_eq_c(name, own[i].name)) return own[i].fn;
    return escape_by_name(name);
}
