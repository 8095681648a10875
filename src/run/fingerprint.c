/* What makes two errors the same one: their words without what differs from run to run. */
#include "base/strbuf.h"
#include "run/run.h"

enum { MASKED_MAX = 4096, ID_LENGTH = 8 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A UUID at s[at]: its groups may lack digits and would pass for words. */
static bool is_uuid(struct str s, size_t at)
{
    if (s.n - at < 36) return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[at + i] != '-' : !is_hex(s.p[at + i])) return false;
    }
    return true;
}

/* The end of a number at s[at], with its fraction, time or address: "10.0.0.1", "10:16:41". */
static size_t number_end(struct str s, size_t at)
{
    while (at < s.n) {
        bool joins =
            (s.p[at] == '.' || s.p[at] == ':' || s.p[at] == ',') && at + 1 < s.n && is_digit(s.p[at + 1]);
        if (!is_digit(s.p[at]) && !joins) break;
        at++;
    }
    return at;
}

/* A word that is an id as a whole: long with a digit in it, or 0x and hex digits. */
static bool is_id(struct str word)
{
    if (word.n > 2 && word.p[0] == '0' && word.p[1] == 'x') return true;
    if (word.n < ID_LENGTH) return false;
    for (size_t i = 0; i < word.n; i++)
        if (is_digit(word.p[i])) return true;
    return false;
}

static void mask_word(struct str word, struct strbuf *out)
{
    if (is_id(word)) {
        strbuf_char(out, '#');
        return;
    }
    for (size_t i = 0; i < word.n; i++) {
        if (!is_digit(word.p[i])) strbuf_char(out, word.p[i]);
        else if (i == 0 || !is_digit(word.p[i - 1])) strbuf_char(out, '#');
    }
}

static void mask(struct str s, struct strbuf *out)
{
    size_t at = 0, end;
    while (at < s.n && strbuf_ok(out)) {
        if (is_uuid(s, at)) {
            strbuf_char(out, '#');
            at += 36;
            continue;
        }
        for (end = at; end < s.n && is_alnum(s.p[end]); end++) {}
        if (end == at) {
            strbuf_char(out, s.p[at++]);
        } else if (number_end(s, at) >= end) {
            strbuf_char(out, '#');
            at = number_end(s, at);
        } else {
            mask_word(str_sub(s, at, end - at), out);
            at = end;
        }
    }
}

static bool is_own_frame(struct str line)
{
    static const char *const foreign[] = { "node_modules", "node:", "(internal/",
                                           "@trigger.dev", "(<anonymous>)", "(native)" };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (str_find_str(line, str_c(foreign[i])) < line.n) return false;
    return true;
}

/* The first "at ..." line of the stack that is the user's code; STR_NONE when there is none. */
static struct str own_frame(struct str stack)
{
    struct str line;
    while (str_split(&stack, '\n', &line)) {
        line = str_trim(line);
        if (str_starts(line, STR("at ")) && is_own_frame(line)) return line;
    }
    return STR_NONE;
}

struct str run_error_fingerprint(struct arena *a, const struct run *r)
{
    const struct run_error *e = &r->error;
    struct strbuf text;
    struct str print;
    if (str_absent(e->name) && str_absent(e->message) && str_absent(e->code) && str_absent(e->stack))
        return STR_NONE;
    strbuf_init(&text, MASKED_MAX);
    strbuf_str(&text, str_sub(e->name, 0, MASKED_MAX / 4));
    strbuf_char(&text, '\n');
    if (!str_absent(e->code)) {
        strbuf_str(&text, str_sub(e->code, 0, MASKED_MAX / 4));
    } else {
        mask(str_sub(e->message, 0, MASKED_MAX / 4), &text);
        strbuf_char(&text, '\n');
        mask(str_sub(own_frame(e->stack), 0, MASKED_MAX / 4), &text);
    }
    print = str_printf(a, "%016llx", (unsigned long long)str_hash_stable(strbuf_view(&text)));
    strbuf_fini(&text);
    return print;
}
