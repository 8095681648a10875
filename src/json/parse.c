/* The strict layer over jsmn, in three steps: a pre-scan that knows only strings and brackets, jsmn for the
 * token borders, and a walk that accounts for every byte between the tokens. jsmn is never trusted: what it
 * lets pass (a lone comma, a missing colon, "truth") the walk refuses. */
#include "json/json_internal.h"

#include <assert.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/mem.h"
#include "base/utf8.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS /* without them nested input takes quadratic time */
#include <jsmn.h>

const struct json_limits json_default_limits = { .bytes = 4u << 20, .tokens = 1u << 20, .depth = 64 };
const struct json_limits json_own_limits = { .bytes = 64u << 20, .tokens = 8u << 20, .depth = 128 };

enum {
    STACK_TOKENS = 256, /* what an ordinary run object takes */
    LED_BYTES = 6,      /* of a string that make it worth to lead jsmn round it */
    LED_STRINGS = 128   /* of one text */
};

struct led { uint32_t open, close; }; /* where its quotes are */
struct parse {
    struct str text;
    struct arena *arena;
    struct err *err;
    size_t error_at;
    size_t most_tokens; /* no valid text has more */
    bool has_escape;
    struct led *led; /* strings without escapes, LED_STRINGS at most */
    size_t led_count;
};

static int fail(struct parse *p, size_t at, const char *what)
{
    uint32_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < at; i++)
        if (p->text.p[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    p->error_at = at;
    return err_at(p->err, ERR_SYNTAX, NULL, line, (uint32_t)(at - line_start) + 1, "%s", what);
}

/* --- step 1: pre-scan ----------------------------------------------------------------------------------- */
enum byte_class { PLAIN, QUOTE, BACKSLASH, OPEN, CLOSE, SEPARATOR, CONTROL, HIGH };
static const uint8_t classes[256] = {
    [0x00 ... 0x1f] = CONTROL, ['"'] = QUOTE, ['\\'] = BACKSLASH, ['{'] = OPEN, ['['] = OPEN,
    ['}'] = CLOSE, [']'] = CLOSE, [','] = SEPARATOR, [':'] = SEPARATOR, [0x80 ... 0xff] = HIGH,
};
static const uint8_t ends_plain_run[256] = {
    [0x00 ... 0x1f] = 1, ['"'] = 1, ['\\'] = 1, [0x80 ... 0xff] = 1,
};

/* The next byte at or after i that is not simply part of a string, or n. */
static size_t plain_until(const unsigned char *s, size_t i, size_t n)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');
    for (; i + 16 <= n; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
        __m128i low = _mm_cmplt_epi8(v, space); /* signed: control characters, and what is not ASCII */
        __m128i hit = _mm_or_si128(low, _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
        unsigned bits = (unsigned)_mm_movemask_epi8(hit);
        if (bits) return i + (size_t)__builtin_ctz(bits);
    }
#endif
    while (i < n && !ends_plain_run[s[i]]) i++;
    return i;
}

static int scan_string(struct parse *p, size_t *at)
{
    const unsigned char *s = (const unsigned char *)p->text.p;
    size_t n = p->text.n, i = *at + 1;
    bool escapes = false;
    for (;;) {
        i = plain_until(s, i, n);
        if (i >= n) return fail(p, *at, "this string has no end");
        if (s[i] == '"') break;
        if (s[i] == '\\') {
            p->has_escape = escapes = true;
            i += 2;
        } else if (s[i] < 0x20) {
            return fail(p, i, s[i] ? "a control character inside a string must be escaped"
                                   : "a NUL byte is not allowed");
        } else {
            size_t len = utf8_sequence(p->text, i);
            if (len == 0) return fail(p, i, "this is not valid UTF-8");
            i += len;
        }
    }
    if (i - *at > LED_BYTES && !escapes && p->led_count < LED_STRINGS) {
        p->led[p->led_count].open = (uint32_t)*at;
        p->led[p->led_count++].close = (uint32_t)i;
    }
    *at = i;
    return 0;
}

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static int scan_root(struct parse *p)
{
    size_t i = 0;
    if (p->text.n >= 3 && memcmp(p->text.p, "\xef\xbb\xbf", 3) == 0)
        return fail(p, 0, "a byte order mark is not allowed");
    while (i < p->text.n && is_space((unsigned char)p->text.p[i])) i++;
    if (i == p->text.n) return fail(p, i, "the text is empty");
    if (p->text.p[i] != '{' && p->text.p[i] != '[')
        return fail(p, i, "the root must be an object or an array");
    return 0;
}

static int scan(struct parse *p, size_t depth_limit)
{
    const unsigned char *s = (const unsigned char *)p->text.p;
    size_t depth = 0, tokens = 1;
    if (scan_root(p)) return -1;
    for (size_t i = 0; i < p->text.n; i++) {
        switch ((enum byte_class)classes[s[i]]) {
        case PLAIN: break;
        case QUOTE:
            if (scan_string(p, &i)) return -1;
            break;
        case OPEN:
            tokens++;
            if (++depth > depth_limit) return fail(p, i, "nested too deeply");
            break;
        case CLOSE:
            if (depth-- == 0) return fail(p, i, "this bracket closes nothing");
            break;
        case SEPARATOR: tokens++; break;
        case CONTROL:
            if (is_space(s[i])) break;
            return fail(p, i, s[i] ? "unexpected control character" : "a NUL byte is not allowed");
        case BACKSLASH: return fail(p, i, "unexpected character");
        case HIGH:
            return fail(p, i, utf8_sequence(p->text, i) ? "unexpected character"
                                                        : "this is not valid UTF-8");
        }
    }
    if (depth) return fail(p, p->text.n, "the text ends inside an object or array");
    p->most_tokens = tokens;
    return 0;
}

/* --- step 3: gap grammar and leaves --------------------------------------------------------------------- */
enum expect { VALUE, VALUE_OR_END, KEY, KEY_OR_END, COLON, COMMA_OR_END, NOTHING };
static const char *const expect_texts[] = {
    [VALUE] = "a value is expected here",       [VALUE_OR_END] = "a value or ] is expected here",
    [KEY] = "a key in quotes is expected here", [KEY_OR_END] = "a key in quotes or } is expected here",
    [COLON] = "a colon is expected here",
    [COMMA_OR_END] = "a comma or the end of the object or array is expected here",
    [NOTHING] = "nothing may follow the root value",
};

struct walk {
    struct parse *p;
    jsmntok_t *tokens; /* parent: of an open container its parent, once closed its last value's node */
    struct json_node *nodes;
    size_t cursor; /* every byte before it is accounted for */
    uint32_t open; /* innermost open container */
    uint32_t last; /* last complete value in it, 0 = none */
    enum expect expect;
    bool in_object;
};

static int unexpected(struct walk *w, size_t at)
{
    return fail(w->p, at, expect_texts[w->expect]);
}

/* A value is complete: links it to its elder sibling. */
static void value_done(struct walk *w, uint32_t at)
{
    struct json_node *nodes = w->nodes;
    if (w->last) nodes[w->last].next = at & JSON_MOST_NODES;
    nodes[at].member = w->in_object;
    nodes[w->open].n++;
    w->last = at;
    w->expect = COMMA_OR_END;
}

static int close_container(struct walk *w)
{
    struct json_node *node = &w->nodes[w->open];
    uint32_t closed = w->open;
    bool can_end = w->expect == COMMA_OR_END || w->expect == (w->in_object ? KEY_OR_END : VALUE_OR_END);
    if (!can_end || node->end != w->cursor + 1) return unexpected(w, w->cursor);
    if (w->p->text.p[w->cursor] != (w->in_object ? '}' : ']')) return unexpected(w, w->cursor);
    if (w->in_object) {
        uint32_t twin = json_index_object(w->p->arena, w->nodes, closed);
        if (twin) return fail(w->p, w->nodes[twin - 1].start, "this key was given before in the same object");
    }
    if (closed == 0) {
        w->expect = NOTHING;
        return 0;
    }
    /* jsmn's parent of a member's value is its key, of an element the array. */
    w->open = (uint32_t)w->tokens[closed].parent;
    if (w->nodes[w->open].kind == JSON_STRING) w->open = (uint32_t)w->tokens[w->open].parent;
    w->in_object = w->nodes[w->open].kind == JSON_OBJECT;
    w->last = (uint32_t)w->tokens[closed].size; /* see open_container */
    value_done(w, closed);
    return 0;
}

/* A byte between tokens that separates nothing: white space, the end of a container, or what should not be there. */
static __attribute__((noinline)) int walk_other(struct walk *w, unsigned char c)
{
    if (is_space(c)) return 0;
    if ((c == '}' || c == ']') && w->expect != NOTHING) return close_container(w);
    return unexpected(w, w->cursor);
}

/* Consumes white space and punctuation up to `to`. Most gaps are a comma or a colon. */
static inline int walk_gap(struct walk *w, size_t to)
{
    for (; w->cursor < to; w->cursor++) {
        unsigned char c = (unsigned char)w->p->text.p[w->cursor];
        if (c == ',' && w->expect == COMMA_OR_END) w->expect = w->in_object ? KEY : VALUE;
        else if (c == ':' && w->expect == COLON) w->expect = VALUE;
        else if (walk_other(w, c)) return -1;
    }
    return 0;
}

static void open_container(struct walk *w, uint32_t at)
{
    bool object = w->tokens[at].type == JSMN_OBJECT;
    w->nodes[at].kind = object ? JSON_OBJECT : JSON_ARRAY;
    w->nodes[at].n = 0;
    w->tokens[at].size = (int)w->last; /* jsmn's count is not needed: remember where the parent stood */
    w->open = at;
    w->last = 0;
    w->in_object = object;
    w->expect = object ? KEY_OR_END : VALUE_OR_END;
    w->cursor++;
}

static size_t take_digits(const char *s, size_t i, size_t n)
{
    while (i < n && s[i] >= '0' && s[i] <= '9') i++;
    return i;
}

/* The number grammar of RFC 8259 over the whole of s. */
static bool number_ok(const char *s, size_t n)
{
    size_t i = 0, from;
    if (i < n && s[i] == '-') i++;
    from = i;
    i = take_digits(s, i, n);
    if (i == from || (s[from] == '0' && i > from + 1)) return false;
    if (i < n && s[i] == '.') {
        from = i + 1;
        i = take_digits(s, from, n);
        if (i == from) return false;
    }
    if (i < n && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        if (i < n && (s[i] == '+' || s[i] == '-')) i++;
        from = i;
        i = take_digits(s, from, n);
        if (i == from) return false;
    }
    return i == n;
}

static int walk_primitive(struct walk *w, struct json_node *node)
{
    struct str s = { w->p->text.p + node->start, node->end - node->start };
    if (s.p[0] == '-' || (s.p[0] >= '0' && s.p[0] <= '9')) {
        node->kind = JSON_NUMBER;
        if (!number_ok(s.p, s.n)) return fail(w->p, node->start, "this is not a number that JSON allows");
    } else if (str_eq(s, STR("null"))) {
        node->kind = JSON_NULL;
    } else if (str_eq(s, STR("true")) || str_eq(s, STR("false"))) {
        node->kind = JSON_BOOL;
    } else {
        return fail(w->p, node->start, "only true, false, null, numbers and strings are values");
    }
    return 0;
}

static int hex4(const char *s, const char *end, uint32_t *out)
{
    *out = 0;
    if (end - s < 4) return -1;
    for (int i = 0; i < 4; i++) {
        uint32_t c = (unsigned char)s[i], d = c - '0';
        if (d > 9) d = (c | 0x20) - 'a' + 10;
        if (d > 15 || (c > '9' && d < 10)) return -1;
        *out = *out << 4 | d;
    }
    return 0;
}

/* Decodes one \uXXXX, or a pair of them; *s is behind the u. */
static int decode_unicode(const char **s, const char *end, char **out)
{
    uint32_t cp, low;
    if (hex4(*s, end, &cp)) return -1;
    *s += 4;
    if (cp >= 0xdc00 && cp <= 0xdfff) return -1;
    if (cp >= 0xd800 && cp <= 0xdbff) {
        if (end - *s < 6 || (*s)[0] != '\\' || (*s)[1] != 'u' || hex4(*s + 2, end, &low)) return -1;
        if (low < 0xdc00 || low > 0xdfff) return -1;
        cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
        *s += 6;
    }
    *out += utf8_encode(cp, *out);
    return 0;
}

static const char escapes[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t',
};

/* Decodes the string [s, end) into the arena; `escape` is its first backslash. */
static int decode_string(struct walk *w, struct json_node *node, const char *s, const char *end,
                         const char *escape)
{
    char *out = arena_alloc(w->p->arena, (size_t)(end - s)), *start = out;
    for (; escape; escape = memchr(s, '\\', (size_t)(end - s))) {
        size_t plain = (size_t)(escape - s);
        memcpy(out, s, plain);
        out += plain;
        s = escape + 2;
        if (s > end) return fail(w->p, (size_t)(escape - w->p->text.p), "unknown escape");
        if (s[-1] == 'u') {
            if (decode_unicode(&s, end, &out))
                return fail(w->p, (size_t)(escape - w->p->text.p), "this \\u escape is not a character");
        } else {
            *out = escapes[(unsigned char)s[-1]];
            if (!*out++) return fail(w->p, (size_t)(escape - w->p->text.p), "unknown escape");
        }
    }
    memcpy(out, s, (size_t)(end - s));
    out += end - s;
    node->u.text = start;
    node->n = (uint32_t)(out - start);
    node->escaped = 1;
    return 0;
}

static int walk_string(struct walk *w, struct json_node *node)
{
    const char *s = w->p->text.p + node->start, *end = w->p->text.p + node->end, *escape = NULL;
    node->kind = JSON_STRING;
    node->start--; /* jsmn leaves the quotes out */
    node->end++;
    if (w->p->has_escape) escape = memchr(s, '\\', (size_t)(end - s));
    if (escape) return decode_string(w, node, s, end, escape);
    node->u.text = s;
    node->n = (uint32_t)(end - s);
    return 0;
}

static int walk_token(struct walk *w, uint32_t at)
{
    jsmntok_t *token = &w->tokens[at];
    struct json_node *node = &w->nodes[at];
    size_t start = (size_t)token->start - (token->type == JSMN_STRING ? 1 : 0);
    bool as_key;
    if (walk_gap(w, start)) return -1;
    as_key = w->expect == KEY || w->expect == KEY_OR_END;
    if (!as_key && w->expect != VALUE && w->expect != VALUE_OR_END) return unexpected(w, start);
    if (as_key && token->type != JSMN_STRING) return unexpected(w, start);
    *node = (struct json_node){ .start = (uint32_t)token->start, .end = (uint32_t)token->end };
    if (token->type == JSMN_OBJECT || token->type == JSMN_ARRAY) {
        open_container(w, at);
        return 0;
    }
    if (token->type == JSMN_STRING ? walk_string(w, node) : walk_primitive(w, node)) return -1;
    w->cursor = node->end;
    if (as_key) w->expect = COLON;
    else value_done(w, at);
    return 0;
}

/* --- the three steps ------------------------------------------------------------------------------------ */
/* jsmn stopped at a byte: what it found before says best what was wanted there. */
static int explain_stop(struct walk *w, size_t at)
{
    size_t n = w->p->text.n;
    char c = at < n ? w->p->text.p[at] : ' ';
    bool takes_value;
    if (walk_gap(w, at < n ? at : n)) return -1;
    takes_value = w->expect == VALUE || w->expect == VALUE_OR_END;
    if (c == '"' && (takes_value || w->expect == KEY || w->expect == KEY_OR_END))
        return fail(w->p, at, "this string holds an unknown escape");
    if (takes_value && c >= 'a' && c <= 'z')
        return fail(w->p, at, "only true, false, null, numbers and strings are values");
    return unexpected(w, at);
}

/* What jsmn does with a string, in one go: false without room for its token. */
static bool take_string(jsmn_parser *jsmn, jsmntok_t *tokens, unsigned most, const struct led *s)
{
    jsmntok_t *token = jsmn_alloc_token(jsmn, tokens, most);
    if (!token) return false;
    jsmn_fill_token(token, JSMN_STRING, (int)s->open + 1, (int)s->close);
    token->parent = jsmn->toksuper;
    if (jsmn->toksuper != -1) tokens[jsmn->toksuper].size++;
    jsmn->pos = s->close + 1;
    return true;
}

/* jsmn goes byte by byte. The pre-scan has seen the ends of strings already: jsmn is led round those that are worth
 * it. A text that ends behind the opening quote stops it there, before the look back over all that is open; where
 * it did not come that far it goes on alone. Called at one place, it becomes part of this function. */
static bool find_tokens(const struct parse *p, jsmn_parser *out, jsmntok_t *tokens)
{
    const unsigned most = (unsigned)p->most_tokens;
    jsmn_parser jsmn;
    size_t left = p->led_count;
    int found;
    jsmn_init(&jsmn);
    for (const struct led *led = p->led;; led++, left--) {
        found = jsmn_parse(&jsmn, p->text.p, left ? led->open + 1 : p->text.n, tokens, most);
        if (!left) break;
        if (jsmn.pos != led->open || !take_string(&jsmn, tokens, most, led)) left = 1;
    }
    *out = jsmn;
    return found > 0;
}

static int parse_tokens(struct parse *p, jsmntok_t *tokens, struct json *root)
{
    jsmn_parser jsmn;
    struct walk walk = { .p = p, .tokens = tokens, .expect = VALUE };
    struct json_doc *doc;
    bool stopped;
    stopped = !find_tokens(p, &jsmn, tokens);
    walk.nodes = arena_alloc(p->arena, sizeof *walk.nodes * jsmn.toknext);
    for (uint32_t i = 0; i < jsmn.toknext; i++)
        if (walk_token(&walk, i)) return -1;
    if (stopped || jsmn.pos != p->text.n) return explain_stop(&walk, jsmn.pos);
    if (walk_gap(&walk, p->text.n)) return -1;
    assert(walk.expect == NOTHING);
    doc = ARENA_NEW(p->arena, struct json_doc);
    *doc = (struct json_doc){ .text = p->text, .nodes = walk.nodes };
    *root = (struct json){ doc, 0 };
    return 0;
}

static int check_limits(const struct parse *p, const struct json_limits *limits, struct err *err)
{
    if (p->text.n > limits->bytes || p->text.n > INT32_MAX)
        return err_set(err, ERR_LIMIT, "the text has %zu bytes, at most %zu are allowed", p->text.n,
                       limits->bytes);
    if (p->most_tokens > limits->tokens || p->most_tokens > JSON_MOST_NODES)
        return err_set(err, ERR_LIMIT, "the text has over %zu values and keys", limits->tokens);
    return 0;
}

int json_parse(struct arena *a, struct str text, const struct json_limits *limits, struct json *root,
               size_t *offset, struct err *err)
{
    struct led led[LED_STRINGS];
    struct parse p = { .text = text, .arena = a, .err = err, .led = led };
    jsmntok_t few[STACK_TOKENS], *many = NULL;
    int rc = check_limits(&p, limits, err);
    *root = (struct json){ 0 };
    if (rc == 0) rc = scan(&p, limits->depth);
    if (rc == 0) rc = check_limits(&p, limits, err);
    if (rc == 0) {
        if (p.most_tokens > STACK_TOKENS) many = xmalloc(sizeof *many * p.most_tokens);
        rc = parse_tokens(&p, many ? many : few, root);
        free(many);
    }
    if (offset) *offset = p.error_at;
    return rc;
}
