#include "base/log.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "base/timefmt.h"
#include "base/utf8.h"

enum { LINE_CEILING = 16384, LINE_END = 128, VALUE_CEILING = 2048 }; /* LINE_END: kept free for what ends a line */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum log_format log_format = LOG_LOGFMT;
static enum log_level log_least = LOG_INFO;
static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_setup(enum log_format format, enum log_level least)
{
    pthread_mutex_lock(&lock);
    log_format = format;
    log_least = least;
    pthread_mutex_unlock(&lock);
}

/* Both formats quote alike: JSON's escapes are legal in logfmt's quoted values too. */
static void put_quoted(struct strbuf *b, struct str s)
{
    if (s.n > VALUE_CEILING) s.n = VALUE_CEILING;
    strbuf_char(b, '"');
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t n = utf8_sequence(s, i);
        if (c == '"' || c == '\\') {
            strbuf_char(b, '\\');
            strbuf_char(b, (char)c);
        } else if (c == '\n') {
            strbuf_c(b, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            strbuf_printf(b, "\\u%04x", c);
        } else if (n == 0) {
            strbuf_c(b, "\\ufffd");
        } else {
            strbuf_add(b, s.p + i, n);
        }
        i += n ? n : 1;
    }
    strbuf_char(b, '"');
}

static bool is_plain(struct str s)
{
    if (s.n == 0 || s.n > 256) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\') return false;
    }
    return true;
}

static void put_text(struct strbuf *b, const char *name, struct str value, bool json)
{
    if (json) {
        strbuf_printf(b, "%s\"%s\":", b->n > 1 ? "," : "", name);
        put_quoted(b, value);
        return;
    }
    strbuf_printf(b, "%s%s=", b->n ? " " : "", name);
    if (is_plain(value))
        strbuf_str(b, value);
    else
        put_quoted(b, value);
}

static void put_int(struct strbuf *b, const char *name, int64_t value, bool json)
{
    strbuf_printf(b, json ? ",\"%s\":%lld" : " %s=%lld", name, (long long)value);
}

/* A field that does not fit is left out whole, so that a line keeps its form. */
static bool put_field(struct strbuf *b, const struct log_field *f, bool json)
{
    size_t before = b->n;
    if (f->kind == LOG_KIND_INT)
        put_int(b, f->name, f->i, json);
    else
        put_text(b, f->name, f->s, json);
    if (strbuf_ok(b)) return true;
    strbuf_cut(b, before);
    b->failed = false;
    return false;
}

static void write_line(enum log_level level, const char *msg, const struct log_field *fields,
                       uint64_t held)
{
    struct strbuf b;
    char at[TIMEFMT_SIZE];
    bool json = log_format == LOG_JSON;
    int64_t left_out = 0;
    strbuf_init(&b, LINE_CEILING);
    if (json) strbuf_char(&b, '{');
    put_text(&b, "ts", time_format(clock_wall(clock_system()).ms, at), json);
    put_text(&b, "level", str_c(level_names[level]), json);
    put_text(&b, "msg", str_c(msg), json);
    for (; fields->kind != LOG_KIND_END; fields++) left_out += !put_field(&b, fields, json);
    b.ceiling += LINE_END;
    if (held) put_int(&b, "held_back", (int64_t)held, json);
    if (left_out) put_int(&b, "fields_left_out", left_out, json);
    strbuf_c(&b, json ? "}\n" : "\n");
    if (write(STDERR_FILENO, b.p, b.n) < 0) { /* nowhere left to tell */ }
    strbuf_fini(&b);
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields)
{
    pthread_mutex_lock(&lock);
    if (level >= log_least) write_line(level, msg, fields, 0);
    pthread_mutex_unlock(&lock);
}

void log_write_limited(struct log_once *once, int64_t period_ms, enum log_level level, const char *msg,
                       const struct log_field *fields)
{
    int64_t now = clock_mono(clock_system()).ms;
    pthread_mutex_lock(&lock);
    if (once->last_ms && now - once->last_ms < period_ms) {
        once->held++;
    } else if (level >= log_least) {
        write_line(level, msg, fields, once->held);
        once->last_ms = now;
        once->held = 0;
    }
    pthread_mutex_unlock(&lock);
}
