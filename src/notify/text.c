/* Text leaves: templates rendered so that what they interpolated can still be told from what the descriptor
 * wrote. Values can then be tidied, cut before escaping and measured after it, and no cut ever lands inside
 * an escape or a piece of markup. */
#include "base/digest.h"
#include "base/utf8.h"
#include "notify/notify_internal.h"

enum { MARK_BEGIN = 1, MARK_END = 2, TEXT_CEILING = 4 << 20 };

struct piece { struct str text; template_escape_fn escape; bool value; };
struct pieces { struct piece *v; size_t n; };

static void mark(struct str s, struct strbuf *out)
{
    strbuf_char(out, MARK_BEGIN);
    for (size_t i = 0; i < s.n; i++)
        strbuf_char(out, s.p[i] == MARK_BEGIN || s.p[i] == MARK_END ? ' ' : s.p[i]);
    strbuf_char(out, MARK_END);
}

static bool is_control(uint32_t cp)
{
    return cp < 32 || (cp >= 127 && cp < 160);
}

/* Control characters out (they could drive a terminal and blow up as \u00XX), white space at the end off. */
static struct str tidy(struct arena *a, struct str s, bool line)
{
    struct strbuf b;
    struct str out;
    strbuf_init(&b, s.n + 1);
    for (size_t at = 0; at < s.n;) {
        size_t next = at + 1, len = utf8_sequence(s, at);
        uint32_t cp = len ? utf8_decode(s, at, &next) : ' ';
        bool blank = is_control(cp) && (line || (cp != '\n' && cp != '\t'));
        if (cp == '\r' && !line) blank = false, cp = 0; /* CR LF is one line end */
        if (line && (blank || cp == ' ')) {
            if (b.n && b.p[b.n - 1] != ' ') strbuf_char(&b, ' ');
        } else if (blank) {
            strbuf_char(&b, ' ');
        } else if (cp) {
            strbuf_str(&b, str_sub(s, at, next - at));
        }
        at = next;
    }
    while (b.n && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\n' || b.p[b.n - 1] == '\t'))
        strbuf_cut(&b, b.n - 1);
    out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}

static void add_pieces(struct pieces *out, struct str marked, template_escape_fn escape)
{
    struct str rest = marked;
    while (rest.n) {
        size_t begin = str_find(rest, MARK_BEGIN, 0), end = str_find(rest, MARK_END, begin);
        if (begin) out->v[out->n++] = (struct piece){ str_sub(rest, 0, begin), NULL, false };
        if (begin < rest.n)
            out->v[out->n++] = (struct piece){ str_sub(rest, begin + 1, end - begin - 1), escape, true };
        rest = end < rest.n ? str_sub(rest, end + 1, rest.n - end - 1) : (struct str){ "", 0 };
    }
}

static size_t count_marks(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += s.p[i] == MARK_BEGIN;
    return n;
}

static int render_part(const struct text_part *part, struct json view, struct arena *a, struct str *out,
                       struct err *err)
{
    static const struct template_limits limits = { 100000, TEXT_CEILING, 32 };
    struct strbuf b;
    int rc;
    if (template_is_literal(part->template, out)) return 0;
    strbuf_init(&b, TEXT_CEILING);
    rc = template_render(part->template, view, mark, &limits, &b, err);
    if (rc == 0 && !strbuf_ok(&b)) rc = err_set(err, ERR_LIMIT, "a rendered text is longer than 4 MiB");
    if (rc == 0) *out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    return rc;
}

static int render_pieces(const struct text_leaf *t, struct json view, struct arena *a, struct pieces *out,
                         struct err *err)
{
    struct str *marked = ARENA_ARRAY(a, struct str, t->part_count);
    size_t most = 0;
    for (size_t i = 0; i < t->part_count; i++) {
        if (render_part(&t->parts[i], view, a, &marked[i], err) < 0) return -1;
        most += 2 * count_marks(marked[i]) + 1;
    }
    out->v = ARENA_ARRAY(a, struct piece, most);
    out->n = 0;
    for (size_t i = 0; i < t->part_count; i++) add_pieces(out, marked[i], t->parts[i].escape);
    for (size_t i = 0; i < out->n && !t->wire; i++)
        if (out->v[i].value) out->v[i].text = tidy(a, out->v[i].text, t->line);
    return 0;
}

/* The pieces in one, each value cut to `cap` units before it is escaped. */
static struct str join(const struct pieces *p, size_t cap, enum text_unit unit, struct arena *a)
{
    struct strbuf b;
    struct str out;
    strbuf_init(&b, TEXT_CEILING);
    for (size_t i = 0; i < p->n; i++) {
        struct str s = p->v[i].text;
        if (p->v[i].value && cap == 0) continue;
        if (p->v[i].value && cap != SIZE_MAX) s = text_truncate(a, s, cap, unit);
        if (p->v[i].escape) p->v[i].escape(s, &b);
        else strbuf_str(&b, s);
    }
    out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}

/* The longest values lose first: the largest common cap under which the whole fits. */
static struct str fit(const struct text_leaf *t, const struct pieces *p, struct arena *a)
{
    struct str best = join(p, 0, t->unit, a);
    size_t low = 0, high = t->most;
    while (low < high) {
        size_t mid = low + (high - low + 1) / 2;
        struct str s = join(p, mid, t->unit, a);
        if (text_length(s, t->unit) <= t->most) best = s, low = mid;
        else high = mid - 1;
    }
    return text_truncate(a, best, t->most, t->unit); /* the literals alone may be too long */
}

static struct str hashed(struct str s, struct arena *a)
{
    unsigned char sum[DIGEST_SIZE];
    struct strbuf b;
    struct str out;
    strbuf_init(&b, 2 * DIGEST_SIZE + 1);
    digest_sha256(s, sum);
    digest_hex(sum, sizeof sum, &b);
    out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}

int text_render(const struct text_leaf *t, struct json view, struct arena *a, struct str *out,
                struct err *err)
{
    struct pieces pieces;
    if (render_pieces(t, view, a, &pieces, err) < 0) return -1;
    *out = join(&pieces, SIZE_MAX, t->unit, a);
    if (t->most && text_length(*out, t->unit) > t->most) switch (t->over) {
        case TEXT_CUT: *out = fit(t, &pieces, a); break;
        case TEXT_OMIT: *out = STR_NONE; break;
        case TEXT_HASH: *out = hashed(*out, a); break;
    }
    return 0;
}
