/* libyaml's events -> tree. A mistake is reported and reading goes on. What libyaml cannot pass ends the
 * file, but for one kind: a trap character at the start of a value is masked and the file read once more. */
#include <assert.h>
#include <string.h>
#include <yaml.h>

#include "base/map.h"
#include "base/utf8.h"
#include "yaml/yaml_internal.h"

enum { DEEPEST = 32, MOST_NODES = 2000000, CUT_LEVELS = 2, MOST_MASKS = 50 };

/* A trap character that stands masked in the text. */
struct mask {
    size_t at;
    uint32_t line, col;
};

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    const char *file;
    struct str source; /* as the user wrote it */
    struct str text;   /* as libyaml sees it: with masks */
    char *masked;      /* our copy behind text, NULL = no mask yet */
    struct diags *d;
    struct mask masks[MOST_MASKS];
    size_t n_masks, nodes;
    bool stopped, again;
    uint32_t error_line;      /* of the last error reported here, 0 = none */
    size_t seen_chars, seen_at; /* cursor: so many characters lie before this offset */
};

/* Offset of the character that a mark counts. Marks move forward, by and large. */
static size_t offset_of(struct reader *r, const yaml_mark_t *mark)
{
    while (r->seen_chars < mark->index && r->seen_at < r->text.n) {
        size_t n = utf8_sequence(r->text, r->seen_at);
        r->seen_at += n ? n : 1;
        r->seen_chars++;
    }
    while (r->seen_chars > mark->index && r->seen_at > 0) {
        do r->seen_at--;
        while (r->seen_at > 0 && (r->text.p[r->seen_at] & 0xc0) == 0x80);
        r->seen_chars--;
    }
    return r->seen_at;
}

static char char_at(struct reader *r, const yaml_mark_t *mark)
{
    size_t at = offset_of(r, mark);
    return at < r->text.n ? r->text.p[at] : '\0';
}

/* The one place where libyaml's 0-based marks become lines and columns. */
static uint32_t line_of(const yaml_mark_t *mark)
{
    return (uint32_t)mark->line + 1;
}

static uint32_t col_of(const yaml_mark_t *mark)
{
    return (uint32_t)mark->column + 1;
}

static struct diag *error_at(struct reader *r, const yaml_mark_t *mark, const char *text)
{
    r->error_line = line_of(mark);
    return diag_add(r->d, DIAG_ERROR, r->file, line_of(mark), col_of(mark), "%s", text);
}

static void trap_at(struct reader *r, const yaml_mark_t *mark)
{
    r->error_line = line_of(mark);
    trap_report(r->d, r->file, r->source, offset_of(r, mark), line_of(mark), col_of(mark));
}

/* --- what libyaml cannot read --------------------------------------------------------------------------- */
static const char *const trap_contexts[] = {
    "while scanning an alias", "while scanning an anchor", "while scanning a block scalar",
    "while scanning a tag", "while parsing a tag", "while scanning a directive", "while parsing a node",
};

static const struct advice {
    const char *problem, *hint;
} advices[] = {
    { "mapping values are not allowed in this context",
      "a value that holds a colon and a space must be in quotes; else check the indentation" },
    { "could not find expected ':'", "a key needs a colon and a space behind it" },
    { "did not find expected key", "check the indentation and the quotes of this line and the one before" },
    { "did not find expected ',' or ']'", "a `[` is not closed" },
    { "did not find expected ',' or '}'", "a `{` is not closed" },
    { "did not find expected '-' indicator", "check the indentation: the other entries start with `- `" },
    { "found unexpected end of stream", "a quote is not closed" },
};

static bool is_trap(struct reader *r, const yaml_mark_t *mark)
{
    char c = char_at(r, mark);
    return c != '\0' && trap_is(c);
}

/* Where the trap character stands that libyaml stumbled over, NULL = it was something else. */
static const yaml_mark_t *trap_mark(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (strcmp(p->problem, "found character that cannot start any token") == 0 &&
        is_trap(r, &p->problem_mark))
        return &p->problem_mark;
    for (size_t i = 0; p->context && i < sizeof trap_contexts / sizeof *trap_contexts; i++)
        if (strcmp(p->context, trap_contexts[i]) == 0 && is_trap(r, &p->context_mark))
            return &p->context_mark;
    return NULL;
}

static bool mask_trap(struct reader *r)
{
    const yaml_mark_t *mark = trap_mark(r);
    size_t at;
    if (!mark) return false;
    if (r->n_masks == MOST_MASKS) {
        trap_at(r, mark);
        return true;
    }
    at = offset_of(r, mark);
    if (!r->masked) r->masked = arena_memdup(r->arena, r->source.p, r->source.n);
    r->masked[at] = '_';
    r->text.p = r->masked;
    r->masks[r->n_masks++] = (struct mask){ at, line_of(mark), col_of(mark) };
    r->again = true;
    return true;
}

static bool line_is_masked(const struct reader *r, uint32_t line)
{
    for (size_t i = 0; i < r->n_masks; i++)
        if (r->masks[i].line == line) return true;
    return false;
}

/* For what was opened and not closed the place of the opening says more than where that was noticed. */
static bool report_unclosed(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    struct diag *item;
    char c;
    if (!p->context || p->context_mark.line == p->problem_mark.line) return false;
    c = char_at(r, &p->context_mark);
    if (c == '\0' || !strchr("{[\"'", c)) return false;
    item = error_at(r, &p->context_mark, "");
    item->text = str_printf(r->d->arena, "this `%c` is not closed (noticed in line %u: %s)", c,
                            line_of(&p->problem_mark), p->problem);
    if (str_find_str(item->source_line, STR(" #")) < item->source_line.n)
        item->hint =
            STR("a `#` behind a space starts a comment: a value that begins with it must be in quotes");
    return true;
}

static void report_problem(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    struct str text = str_c(p->problem);
    struct diag *item;
    if (report_unclosed(r)) return;
    if (char_at(r, &p->problem_mark) == '\t' && strstr(p->problem, "cannot start any token")) {
        error_at(r, &p->problem_mark, "a tab cannot indent YAML")->hint = STR("use spaces");
        return;
    }
    if (p->context)
        text = str_printf(r->d->arena, "%s, %s that begins in line %u", p->problem, p->context,
                          line_of(&p->context_mark));
    item = error_at(r, &p->problem_mark, text.p);
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        if (strcmp(p->problem, advices[i].problem) == 0) item->hint = str_c(advices[i].hint);
}

/* An error at a byte, where libyaml gives no mark. */
static void report_byte(struct reader *r, size_t at, const char *text)
{
    uint32_t line = 1;
    size_t start = 0;
    if (at > r->text.n) at = r->text.n;
    for (size_t i = 0; i < at; i++)
        if (r->text.p[i] == '\n') {
            line++;
            start = i + 1;
        }
    diag_add(r->d, DIAG_ERROR, r->file, line,
             (uint32_t)utf8_chars(str_sub(r->text, start, at - start)) + 1, "%s", text);
}

static void report_failure(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR || !p->problem) {
        diag_add(r->d, DIAG_ERROR, r->file, 0, 0, "out of memory while reading");
    } else if (p->error == YAML_READER_ERROR) {
        report_byte(r, p->problem_offset, p->problem);
    } else if (!mask_trap(r)) {
        uint32_t line = line_of(&p->problem_mark);
        if (r->error_line != line && !line_is_masked(r, line)) report_problem(r); /* else told already */
    }
}

static bool next_event(struct reader *r, yaml_event_t *event)
{
    if (r->stopped) return false;
    if (yaml_parser_parse(&r->parser, event)) return true;
    report_failure(r);
    r->stopped = true;
    return false;
}

/* --- the tree ------------------------------------------------------------------------------------------- */
static struct yaml_node *read_node(struct reader *r, yaml_event_t *event, unsigned depth);

static struct yaml_node *node_new(struct reader *r, const yaml_event_t *event, enum yaml_kind kind)
{
    struct yaml_node *n = ARENA_NEW(r->arena, struct yaml_node);
    n->kind = kind;
    n->file = r->file;
    n->line = line_of(&event->start_mark);
    n->col = col_of(&event->start_mark);
    if (++r->nodes > MOST_NODES && !r->stopped) {
        error_at(r, &event->start_mark, "the file holds more than 2 million values");
        r->stopped = true;
    }
    return n;
}

/* The text stays as it was meant, so that one mistake is not reported twice. */
static void trapped_scalar(struct reader *r, struct yaml_node *n, const yaml_mark_t *mark)
{
    trap_at(r, mark);
    n->text = trap_meant(r->source, offset_of(r, mark));
    n->plain = true;
}

/* Puts a masked character back. */
static struct str unmasked(struct reader *r, const yaml_mark_t *mark, struct str value)
{
    size_t at = r->n_masks ? offset_of(r, mark) : 0;
    for (size_t i = 0; i < r->n_masks; i++)
        if (r->masks[i].at == at && value.n) {
            char *text = arena_memdup(r->arena, value.p, value.n);
            text[0] = r->source.p[at];
            return (struct str){ text, value.n };
        }
    return str_dup(r->arena, value);
}

static struct yaml_node *read_scalar(struct reader *r, const yaml_event_t *event)
{
    struct yaml_node *n = node_new(r, event, YAML_SCALAR);
    struct str value = { (const char *)event->data.scalar.value, event->data.scalar.length };
    yaml_scalar_style_t style = event->data.scalar.style;
    bool block = style == YAML_FOLDED_SCALAR_STYLE || style == YAML_LITERAL_SCALAR_STYLE;
    char c = char_at(r, &event->start_mark);
    n->text = unmasked(r, &event->start_mark, value);
    n->plain = style == YAML_PLAIN_SCALAR_STYLE;
    /* libyaml forgets a lone `!`, and takes `>5` for an empty block: the source tells. */
    if (c == '!' || event->data.scalar.anchor || event->data.scalar.tag ||
        (block && value.n == 0 && trap_is(c)))
        trapped_scalar(r, n, &event->start_mark);
    else if (memchr(value.p, '\0', value.n))
        error_at(r, &event->start_mark, "a text may not hold a NUL character");
    return n;
}

static void add_child(struct yaml_node *parent, struct yaml_node *child, struct yaml_node **last)
{
    if (*last) (*last)->next = child;
    else parent->first = child;
    *last = child;
    parent->count++;
}

/* The value's part of a member is read, or the reading ended in it. */
static bool is_complete(const struct reader *r, const struct yaml_node *n, unsigned depth)
{
    return !r->stopped || (n->kind != YAML_SCALAR && depth < CUT_LEVELS);
}

static void bad_key(struct reader *r, const yaml_event_t *at, const struct yaml_node *key)
{
    size_t offset = offset_of(r, &at->start_mark);
    struct diag *item;
    if (key->kind == YAML_SCALAR) {
        error_at(r, &at->start_mark, "a key is missing here");
        return;
    }
    item = error_at(r, &at->start_mark, "a key must be text");
    if (offset > 0 && r->text.p[offset] == '{' && r->text.p[offset - 1] == '{')
        item->hint = STR("a value that starts with {{ must be in quotes");
}

static bool check_key(struct reader *r, struct map *seen, const yaml_event_t *at, struct yaml_node *key,
                      struct yaml_node *value)
{
    const struct yaml_node *twin;
    if (key->kind != YAML_SCALAR || (key->plain && key->text.n == 0)) {
        bad_key(r, at, key);
        return false;
    }
    value->key = key->text;
    value->key_plain = key->plain;
    value->key_line = key->line;
    value->key_col = key->col;
    twin = map_get(seen, value->key);
    if (twin) {
        yaml_error_key(r->d, value, "duplicate key `%s`: line %u has it already",
                       yaml_shown(r->arena, value->key), twin->key_line);
        return false;
    }
    map_put(seen, value->key, value);
    return true;
}

/* One member. False at the end of the map, or of the file's readable part. */
static bool read_member(struct reader *r, struct yaml_node *map, struct map *seen, struct yaml_node **last,
                        unsigned depth)
{
    yaml_event_t event, key_event;
    struct yaml_node *key, *value;
    if (!next_event(r, &event)) return false;
    if (event.type == YAML_MAPPING_END_EVENT) {
        yaml_event_delete(&event);
        return false;
    }
    key_event = event; /* for its mark */
    key = read_node(r, &event, depth + 1);
    if (!next_event(r, &event)) return false;
    value = read_node(r, &event, depth + 1);
    if (!check_key(r, seen, &key_event, key, value)) return !r->stopped;
    if (is_complete(r, value, depth + 1)) add_child(map, value, last);
    return !r->stopped;
}

static void read_map(struct reader *r, struct yaml_node *map, unsigned depth)
{
    struct map seen = { 0 };
    struct yaml_node *last = NULL;
    while (read_member(r, map, &seen, &last, depth)) {}
    map_fini(&seen);
    map->cut = r->stopped;
}

static void read_seq(struct reader *r, struct yaml_node *seq, unsigned depth)
{
    struct yaml_node *last = NULL, *n;
    yaml_event_t event;
    while (next_event(r, &event)) {
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        n = read_node(r, &event, depth + 1);
        if (is_complete(r, n, depth + 1)) add_child(seq, n, &last);
    }
    seq->cut = r->stopped;
}

static void refuse_anchor(struct reader *r, const yaml_event_t *event, const void *anchor, const void *tag)
{
    if (!anchor && !tag) return;
    error_at(r, &event->start_mark, anchor ? "anchors are not taken here: YAML reads `&` as the start of one"
                                           : "tags are not taken here: YAML reads `!` as the start of one")
        ->hint = STR("write the value out where it is needed");
}

static struct yaml_node *read_container(struct reader *r, const yaml_event_t *event, unsigned depth)
{
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    struct yaml_node *n = node_new(r, event, is_map ? YAML_MAP : YAML_SEQ);
    if (is_map) refuse_anchor(r, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    else refuse_anchor(r, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    if (depth >= DEEPEST && !r->stopped) {
        error_at(r, &event->start_mark, "nested more than 32 levels deep");
        r->stopped = true;
    }
    return n;
}

/* Takes event over. Never NULL; after a stop what it gives may be cut. */
static struct yaml_node *read_node(struct reader *r, yaml_event_t *event, unsigned depth)
{
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    struct yaml_node *n;
    if (event->type == YAML_ALIAS_EVENT) {
        n = node_new(r, event, YAML_SCALAR);
        trapped_scalar(r, n, &event->start_mark);
    } else if (event->type == YAML_SCALAR_EVENT) {
        n = read_scalar(r, event);
    } else {
        n = read_container(r, event, depth);
    }
    yaml_event_delete(event);
    if (n->kind == YAML_SCALAR) return n;
    if (is_map) read_map(r, n, depth);
    else read_seq(r, n, depth);
    return n;
}

/* --- the stream ----------------------------------------------------------------------------------------- */
static struct yaml_node *empty_map(struct reader *r)
{
    struct yaml_node *n = ARENA_NEW(r->arena, struct yaml_node);
    *n = (struct yaml_node){ .kind = YAML_MAP, .file = r->file, .line = 1, .col = 1 };
    return n;
}

static struct yaml_node *read_stream(struct reader *r)
{
    struct yaml_node *root = NULL;
    yaml_event_t event;
    while (next_event(r, &event)) {
        bool end = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT && root) {
            error_at(r, &event.start_mark, "a second document starts here; one file holds one");
            r->stopped = true;
        } else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_START_EVENT &&
                   event.type != YAML_DOCUMENT_END_EVENT && !end) {
            root = read_node(r, &event, 0);
            continue; /* the event is gone */
        }
        yaml_event_delete(&event);
        if (end) break;
    }
    if (root && root->kind == YAML_SCALAR && yaml_is_null(root)) root = NULL;
    return root || r->stopped ? root : empty_map(r);
}

static bool check_encoding(struct reader *r)
{
    size_t bad = utf8_invalid_at(r->text);
    if (bad == r->text.n) return true;
    report_byte(r, bad, "this is not valid UTF-8");
    return false;
}

static struct yaml_node *read_once(struct reader *r)
{
    struct yaml_node *root = NULL;
    r->nodes = r->error_line = 0;
    r->seen_chars = r->seen_at = 0;
    r->stopped = r->again = false;
    if (yaml_parser_initialize(&r->parser)) {
        yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text.p, r->text.n);
        root = read_stream(r);
    } else {
        report_failure(r);
    }
    yaml_parser_delete(&r->parser);
    return root;
}

/* Reads until no further trap needs a mask; what the last reading found is what is reported. */
static struct yaml_node *read_masked(struct reader *r)
{
    const size_t items = r->d->items.n, errors = r->d->errors, warnings = r->d->warnings, held = r->d->held;
    struct yaml_node *root = read_once(r);
    while (r->again) {
        r->d->items.n = items;
        r->d->errors = errors;
        r->d->warnings = warnings;
        r->d->held = held;
        root = read_once(r);
    }
    for (size_t i = 0; i < r->n_masks; i++)
        trap_report(r->d, r->file, r->source, r->masks[i].at, r->masks[i].line, r->masks[i].col);
    return root;
}

struct yaml_node *yaml_read(struct arena *a, const char *file, struct str text, struct diags *d)
{
    struct reader r = { .arena = a, .file = file, .d = d };
    if (str_starts(text, STR("\xef\xbb\xbf"))) text = str_sub(text, 3, text.n);
    if (!text.p) text = STR("");
    r.source = r.text = text;
    diags_add_source(d, file, text);
    return check_encoding(&r) ? read_masked(&r) : NULL;
}
