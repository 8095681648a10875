/* The built-in text: what remains when a provider refuses the good-looking one. */
#include "message/message.h"

/* Control characters could drive a terminal or end a line early: blanks instead. C1 ones are two bytes. */
static void put_clean(struct str s, struct strbuf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool c1 = c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0;
        if (c1) i++;
        strbuf_char(out, c < 32 || c == 127 || c1 ? ' ' : s.p[i]);
    }
}

static void put_upper(struct str s, struct strbuf *out)
{
    for (size_t i = 0; i < s.n; i++)
        strbuf_char(out, s.p[i] >= 'a' && s.p[i] <= 'z' ? (char)(s.p[i] - 32) : s.p[i]);
}

static struct str member(struct json m, const char *name)
{
    return str_trim(json_scalar(json_get_c(m, name)));
}

static void put_line(const char *name, struct str value, struct strbuf *out)
{
    if (value.n == 0) return;
    strbuf_printf(out, "%s: ", name);
    put_clean(value, out);
    strbuf_char(out, '\n');
}

/* Does the title give this number already? */
static bool tells(struct str title, struct str number)
{
    for (size_t at = 0; at + number.n <= title.n; at++) {
        bool before = at > 0 && title.p[at - 1] >= '0' && title.p[at - 1] <= '9';
        size_t end = at + number.n;
        bool behind = end < title.n && title.p[end] >= '0' && title.p[end] <= '9';
        if (!before && !behind && str_eq(str_sub(title, at, number.n), number)) return true;
    }
    return false;
}

/* A rule's own title may say nothing of how often: " (12 times in 3 runs)". */
static void put_count(struct json m, struct str title, struct strbuf *out)
{
    int64_t hits = 0, runs = 0;
    json_i64(json_get_c(m, "hits"), &hits);
    json_i64(json_get_c(m, "runs"), &runs);
    if (hits < 2 || tells(title, member(m, "hits")) || (hits == runs && tells(title, member(m, "runs"))))
        return;
    strbuf_printf(out, " (%lld times", (long long)hits);
    if (runs > 0) strbuf_printf(out, " in %lld run%s", (long long)runs, runs == 1 ? "" : "s");
    strbuf_char(out, ')');
}

static void put_headline(struct json m, struct strbuf *out)
{
    struct str title = member(m, "title"), status = member(m, "status");
    strbuf_char(out, '[');
    put_upper(member(m, "severity"), out);
    strbuf_c(out, "] ");
    if (status.n) {
        put_clean(status, out);
        strbuf_c(out, ": ");
    }
    put_clean(title.n ? title : STR("(no title)"), out);
    put_count(m, title, out);
    strbuf_char(out, '\n');
}

static void put_body(struct str body, struct strbuf *out)
{
    struct str line;
    while (str_split(&body, '\n', &line)) {
        if (str_trim(line).n == 0) continue; /* one paragraph */
        put_clean(line.p[line.n - 1] == '\r' ? str_sub(line, 0, line.n - 1) : line, out);
        strbuf_char(out, '\n');
    }
}

static void put_fields(struct json m, struct strbuf *out)
{
    struct json list = json_get_c(m, "fields"), f = json_first(list);
    for (size_t i = 0, n = json_count(list); i < n; i++, f = json_next(f)) {
        struct str value = member(f, "value");
        if (value.n == 0) continue;
        put_clean(member(f, "name"), out);
        strbuf_c(out, ": ");
        put_clean(value, out);
        strbuf_char(out, '\n');
    }
}

static void put_origin(struct json m, struct strbuf *out)
{
    struct str project = member(m, "project"), env = member(m, "env"), rule = member(m, "rule"),
               key = member(m, "key");
    if (rule.n == 0) return;
    strbuf_c(out, "Rule: ");
    put_clean(rule, out);
    if (key.n) {
        strbuf_c(out, ", ");
        put_clean(key, out);
    }
    if (project.n || env.n) {
        strbuf_c(out, " (");
        put_clean(project, out);
        if (project.n && env.n) strbuf_char(out, '/');
        put_clean(env, out);
        strbuf_char(out, ')');
    }
    strbuf_char(out, '\n');
}

static void put_incident(struct json m, struct strbuf *out)
{
    struct str id = member(m, "incident"), link = member(m, "incident_link");
    if (id.n == 0 && link.n == 0) return;
    strbuf_c(out, "Incident: ");
    put_clean(id, out);
    if (id.n && link.n) strbuf_char(out, ' ');
    put_clean(link, out);
    strbuf_char(out, '\n');
}

void message_plain(struct json message, struct strbuf *out)
{
    struct str late = member(message, "late_by");
    put_headline(message, out);
    put_body(json_scalar(json_get_c(message, "body")), out);
    put_line("Reason", member(message, "reason"), out);
    put_fields(message, out);
    put_origin(message, out);
    if (late.n) {
        strbuf_c(out, "Told ");
        put_clean(late, out);
        strbuf_c(out, " after it happened\n");
    }
    put_line("Note", member(message, "note"), out);
    put_line("Link", member(message, "link"), out);
    put_line("Runbook", member(message, "runbook"), out);
    put_incident(message, out);
    if (out->n && strbuf_ok(out)) strbuf_cut(out, out->n - 1); /* no line end behind the last */
}
