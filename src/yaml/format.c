/* Works on lines. A block map or list is cut into entries; an entry is its leading comments, its own line, and what is
 * below it: another block, or lines that are moved together. The text that comes out is read again: it must say
 * the same, in the same lines. */
#include "yaml/format.h"

#include <string.h>

enum { STEP = 2 };

struct lines { struct str *v; size_t n; };
struct format {
    struct arena *a;
    struct lines lines;
    struct strbuf *out;
    bool gap;     /* a blank line was seen and is due before the next line */
    bool opened;  /* nothing of this block was put yet: no blank line */
    bool joined;  /* a dash was put, and its line goes on */
    bool failed;
};
/* Line numbers from 0. */
struct entry {
    const struct yaml_node *node;
    size_t lead, line, end; /* its comments, its own line, the first line behind it */
    size_t place;           /* among its siblings as they shall come out */
};
struct entries {
    const struct yaml_node *block;
    struct entry *v;    /* as they stand in the text */
    struct entry **out; /* as they shall come out */
    size_t n, level; /* their column, from 0 */
    size_t tail;     /* comments behind the last one, up to the end of the block */
};

/* --- lines ----------------------------------------------------------------------------------------------- */
static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct str right_trimmed(struct str s)
{
    while (s.n && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

static size_t indent_of(struct str s)
{
    size_t at = 0;
    while (at < s.n && s.p[at] == ' ') at++;
    return at;
}

static bool is_blank(struct str s)
{
    return right_trimmed(s).n == 0;
}

static bool is_comment(struct str s)
{
    size_t at = indent_of(s);
    return at < s.n && s.p[at] == '#';
}

static struct lines lines_of(struct arena *a, struct str text)
{
    struct lines l = { ARENA_ARRAY(a, struct str, 1), 0 };
    size_t count = 1;
    for (size_t k = 0; k < text.n; k++) count += text.p[k] == '\n';
    l.v = ARENA_ARRAY(a, struct str, count);
    for (size_t from = 0; from < text.n;) {
        size_t to = str_find(text, '\n', from);
        l.v[l.n++] = str_sub(text, from, to - from);
        from = to + 1;
    }
    return l;
}

/* The character at a node's place: columns count characters, not bytes. */
static char at_place(const struct format *f, uint32_t line, uint32_t col)
{
    struct str s = line && line <= f->lines.n ? f->lines.v[line - 1] : STR("");
    size_t at = 0;
    for (uint32_t c = 1; c < col && at < s.n; c++)
        for (at++; at < s.n && ((unsigned char)s.p[at] & 0xc0) == 0x80;) at++;
    return at < s.n ? s.p[at] : '\0';
}

static bool is_block(const struct format *f, const struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR || n->count == 0) return false;
    return n->kind == YAML_MAP ? at_place(f, n->line, n->col) != '{' : at_place(f, n->line, n->col) == '-';
}

/* --- putting ------------------------------------------------------------------------------------------------ */
static void put_line(struct format *f, size_t indent, struct str text)
{
    if (f->gap && !f->opened && !f->joined && f->out->n) strbuf_char(f->out, '\n');
    if (!f->joined)
        for (size_t k = 0; k < indent; k++) strbuf_char(f->out, ' ');
    strbuf_str(f->out, text);
    strbuf_char(f->out, '\n');
    f->gap = f->opened = f->joined = false;
}

/* Blank lines and comments. */
static void put_lead(struct format *f, size_t from, size_t to, size_t indent)
{
    for (size_t k = from; k < to; k++) {
        struct str s = right_trimmed(f->lines.v[k]);
        if (s.n == 0) f->gap = true;
        else put_line(f, is_comment(s) ? indent : 0, is_comment(s) ? str_sub(s, indent_of(s), s.n) : s);
    }
}

/* Lines that belong together, moved from one column to another. */
static void put_moved(struct format *f, size_t from, size_t to, size_t old, size_t new)
{
    for (; to > from && is_blank(f->lines.v[to - 1]); to--) f->gap = true;
    for (size_t k = from; k < to; k++) {
        struct str s = f->lines.v[k];
        size_t indent = indent_of(s);
        if (s.n && s.p[s.n - 1] == '\r') s.n--;
        if (is_blank(s)) strbuf_char(f->out, '\n');
        else {
            size_t moved = indent + new < old ? 0 : indent + new - old;
            bool due = f->gap;
            f->gap = false; /* of what stands behind these lines */
            put_line(f, moved, is_comment(s) ? right_trimmed(str_sub(s, indent, s.n)) : str_sub(s, indent, s.n));
            f->gap = due;
        }
    }
}

/* --- entries --------------------------------------------------------------------------------------------------- */
/* Of the blank lines and comments above `line`, the first that speaks of what comes: comments deeper than level belong
 * to what is above them. */
static size_t lead_of(const struct format *f, size_t above, size_t line, size_t level)
{
    size_t first = line, lead;
    while (first > above && (is_blank(f->lines.v[first - 1]) || is_comment(f->lines.v[first - 1]))) first--;
    lead = first;
    for (size_t k = first; k < line; k++)
        if (is_comment(f->lines.v[k]) && indent_of(f->lines.v[k]) > level) lead = k + 1;
    return lead;
}

/* The line of a list's dash: the value's own, or one above it. */
static size_t dash_line(struct format *f, const struct yaml_node *item, size_t level)
{
    for (size_t k = item->line; k > 0; k--) {
        struct str s = k <= f->lines.n ? f->lines.v[k - 1] : STR("");
        if (indent_of(s) == level && level < s.n && s.p[level] == '-') return k - 1;
    }
    f->failed = true;
    return 0;
}

static int by_line(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    return (a->line > b->line) - (a->line < b->line);
}

static void find_lines(struct format *f, const struct yaml_node *block, struct entries *e)
{
    e->level = block->col - 1;
    for (const struct yaml_node *n = block->first; n; n = n->next) {
        struct entry *one = &e->v[e->n];
        *one = (struct entry){ .node = n, .place = e->n++ };
        if (block->kind == YAML_MAP) {
            one->line = n->key_line - 1;
            f->failed |= n->key_col - 1 != e->level || n->key_line > f->lines.n;
        } else if (n == block->first) {
            one->line = block->line - 1; /* of a list in a list it has no line of its own */
        } else {
            one->line = dash_line(f, n, e->level);
        }
    }
    qsort(e->v, e->n, sizeof *e->v, by_line);
    for (size_t k = 1; k < e->n; k++) f->failed |= e->v[k].line <= e->v[k - 1].line;
    for (size_t k = 0; k < e->n; k++) e->out[e->v[k].place] = &e->v[k];
}

/* Entries of a block that may use the lines [from, to). */
static struct entries entries_of(struct format *f, const struct yaml_node *block, size_t from, size_t to)
{
    struct entries e = { .block = block, .v = ARENA_ARRAY(f->a, struct entry, block->count), .out = ARENA_ARRAY(f->a, struct entry *, block->count) };
    find_lines(f, block, &e);
    if (f->failed || e.n == 0) return e;
    e.v[0].lead = from < e.v[0].line ? from : e.v[0].line;
    for (size_t k = 1; k < e.n; k++) {
        e.v[k].lead = lead_of(f, e.v[k - 1].line + 1, e.v[k].line, e.level);
        e.v[k - 1].end = e.v[k].lead;
    }
    e.tail = lead_of(f, e.v[e.n - 1].line + 1, to, e.level);
    e.v[e.n - 1].end = e.tail;
    return e;
}

static void put_block(struct format *f, const struct yaml_node *block, size_t from, size_t to, size_t indent);

/* What stands below an entry's own line. */
static void put_below(struct format *f, const struct entry *e, size_t level, size_t indent)
{
    if (is_block(f, e->node) && e->node->line - 1 > e->line) {
        f->opened = true;
        put_block(f, e->node, e->line + 1, e->end, indent + STEP);
        f->opened = false;
    } else {
        put_moved(f, e->line + 1, e->end, level, indent);
    }
}

static void put_member(struct format *f, const struct entry *e, size_t level, size_t indent)
{
    struct str line = f->lines.v[e->line];
    put_line(f, indent, right_trimmed(str_sub(line, level < line.n ? level : line.n, line.n)));
    put_below(f, e, level, indent);
}

static void put_entries(struct format *f, const struct entries *e, size_t to, size_t indent);

static void put_dash(struct format *f, size_t indent, bool more)
{
    if (f->gap && !f->opened && !f->joined && f->out->n) strbuf_char(f->out, '\n');
    for (size_t k = 0; !f->joined && k < indent; k++) strbuf_char(f->out, ' ');
    f->gap = f->opened = false;
    strbuf_c(f->out, more ? "- " : "-");
    f->joined = true;
}

/* A block that begins behind the dash. Comments of the entry that comes first stand above the dash. */
static void put_joined(struct format *f, const struct entry *item, size_t indent)
{
    struct entries e = entries_of(f, item->node, item->line, item->end);
    if (f->failed) return;
    if (e.out[0]->lead < e.out[0]->line && f->joined) {
        f->failed = true; /* two dashes in a line: there is no place above this one */
        return;
    }
    put_lead(f, e.out[0]->lead, e.out[0]->line, indent);
    e.out[0]->lead = e.out[0]->line;
    put_dash(f, indent, true);
    put_entries(f, &e, item->end, indent + STEP);
}

static void put_item(struct format *f, const struct entry *e, size_t level, size_t indent)
{
    struct str line = f->lines.v[e->line], rest = right_trimmed(str_sub(line, level + 1 < line.n ? level + 1 : line.n, line.n));
    if (is_block(f, e->node) && e->node->line - 1 == e->line) {
        put_joined(f, e, indent);
        return;
    }
    put_dash(f, indent, rest.n);
    put_line(f, 0, str_sub(rest, indent_of(rest), rest.n));
    put_below(f, e, level, indent);
}

static void put_entries(struct format *f, const struct entries *e, size_t to, size_t indent)
{
    for (size_t k = 0; k < e->n && !f->failed; k++) {
        const struct entry *one = e->out[k];
        put_lead(f, one->lead, one->line, indent);
        if (e->block->kind == YAML_MAP) put_member(f, one, e->level, indent);
        else put_item(f, one, e->level, indent);
    }
    put_lead(f, e->tail, to, indent);
}

static void put_block(struct format *f, const struct yaml_node *block, size_t from, size_t to, size_t indent)
{
    struct entries e = entries_of(f, block, from, to);
    if (!f->failed) put_entries(f, &e, to, indent);
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */
/* Comments at the top that a blank line parts from the first entry speak of the file, not of the entry. */
static size_t header_of(const struct format *f, size_t first)
{
    size_t header = 0;
    for (size_t k = 0; k < first; k++)
        if (is_blank(f->lines.v[k]) || !is_comment(f->lines.v[k])) header = k + 1;
    return header;
}

/* The same for texts of the same lines, whatever their order, white space and dashes in front: a dash goes to the member
 * that has become the first. */
static uint64_t lines_sum(struct str text)
{
    const uint64_t start = 14695981039346656037u; /* FNV-1a */
    uint64_t sum = 0, hash = start;
    for (size_t k = 0; k < text.n; k++) {
        if (text.p[k] == '\n') sum += hash, hash = start;
        else if (!is_space(text.p[k]) && (hash != start || text.p[k] != '-')) hash = (hash ^ (unsigned char)text.p[k]) * 1099511628211u;
    }
    return sum + hash;
}

/* Blank lines may go, so their part of the sum does not count. */
static bool same_lines(struct str x, struct str y)
{
    uint64_t a = lines_sum(x), b = lines_sum(y), blank = lines_sum(STR(""));
    for (size_t k = 0; k < x.n; k++) a -= x.p[k] == '\n' ? blank : 0;
    for (size_t k = 0; k < y.n; k++) b -= y.p[k] == '\n' ? blank : 0;
    return a == b;
}

static bool says_the_same(struct arena *a, const struct yaml_node *top, struct str text, struct str made, const struct yaml_node **again)
{
    struct diags d;
    bool ok;
    diags_init(&d, a);
    *again = yaml_read(a, top->file, made, &d);
    ok = *again && d.errors == 0 && yaml_same(top, *again) && same_lines(text, made);
    diags_fini(&d);
    return ok;
}

static void lay_out(struct arena *a, const struct yaml_node *top, struct str text, struct strbuf *out, bool *failed)
{
    struct format f = { .a = a, .lines = lines_of(a, text), .out = out, .opened = true };
    size_t first = f.lines.n, header;
    if (!is_block(&f, top)) {
        put_lead(&f, 0, f.lines.n, 0);
        return;
    }
    for (const struct yaml_node *n = top->first; n; n = n->next) {
        size_t line = (top->kind == YAML_MAP ? n->key_line : top->line) - 1;
        if (line < first) first = line;
    }
    header = header_of(&f, first);
    put_lead(&f, 0, header, 0);
    put_block(&f, top, header, f.lines.n, 0);
    *failed = f.failed || !strbuf_ok(out);
}

static const struct str mark = { "\xef\xbb\xbf", 3 }; /* of byte order: at the start it says nothing */

/* The result, when it says the same and would not be laid out otherwise itself. */
static bool at_rest(struct arena *a, const struct yaml_node *top, struct str text, struct strbuf *out)
{
    const struct yaml_node *again;
    struct str made = str_dup(a, strbuf_view(out));
    struct strbuf twice;
    bool failed = false, ok;
    if (str_starts(made, mark) || !says_the_same(a, top, text, made, &again)) return false;
    strbuf_init(&twice, out->ceiling);
    lay_out(a, again, made, &twice, &failed);
    if (twice.n && made.n && made.p[made.n - 1] != '\n') strbuf_cut(&twice, twice.n - 1);
    ok = !failed && str_eq(strbuf_view(&twice), made);
    strbuf_fini(&twice);
    return ok;
}

bool yaml_format(struct arena *a, const struct yaml_node *top, struct str text, struct strbuf *out)
{
    bool failed = false;
    if (str_starts(text, mark)) text = str_sub(text, mark.n, text.n);
    lay_out(a, top, text, out, &failed);
    if (failed) return false;
    if (at_rest(a, top, text, out)) return true;
    if (!out->n || str_ends(text, STR("\n"))) return false;
    strbuf_cut(out, out->n - 1); /* a block of text at the end, without a line's end: it would get one */
    return at_rest(a, top, text, out);
}

/* --- the same? -------------------------------------------------------------------------------------------------------- */
bool yaml_same(const struct yaml_node *x, const struct yaml_node *y)
{
    const struct yaml_node *m = x->first, *n = y->first;
    if (x->kind != y->kind || x->count != y->count) return false;
    if (x->kind == YAML_SCALAR) return x->plain == y->plain && str_eq(x->text, y->text);
    for (; m; m = m->next) {
        if (x->kind == YAML_MAP) {
            if (!n || !str_eq(n->key, m->key))
                for (n = y->first; n && !str_eq(n->key, m->key);) n = n->next;
        }
        if (!n || !yaml_same(m, n)) return false;
        n = n->next;
    }
    return true;
}
