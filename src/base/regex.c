#include "base/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

/* The compiled code's stack grows up to its limit: the 32 KiB it has else are used up by `^(.|\n)*x` over a
 * text of 2 KB, and a rule that should ring would be given up on. */
enum { MATCH_LIMIT = 100000, DEPTH_LIMIT = 1000, HEAP_LIMIT_KIB = 4096, JIT_STACK = 32 << 10, JIT_STACK_LIMIT = 4 << 20 };

struct regex {
    pcre2_code *code;
    bool jit;
};

/* What a thread needs to match: its own match data, limits and stack, made once per thread. */
struct scratch {
    pcre2_match_data *data;
    pcre2_match_context *limits;
    pcre2_jit_stack *stack; /* NULL: no JIT here */
};

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void scratch_free(void *p)
{
    struct scratch *s = p;
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->limits);
    pcre2_jit_stack_free(s->stack);
    free(s);
}

static void scratch_init(void)
{
    if (pthread_key_create(&scratch_key, scratch_free) != 0) abort();
}

static struct scratch *scratch_get(void)
{
    struct scratch *s;
    pthread_once(&scratch_once, scratch_init);
    s = pthread_getspecific(scratch_key);
    if (s) return s;
    s = xmalloc(sizeof *s);
    s->data = pcre2_match_data_create(1, NULL); /* only yes or no is asked for */
    s->limits = pcre2_match_context_create(NULL);
    if (!s->data || !s->limits) abort();
    pcre2_set_match_limit(s->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(s->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(s->limits, HEAP_LIMIT_KIB);
    s->stack = pcre2_jit_stack_create(JIT_STACK, JIT_STACK_LIMIT, NULL);
    if (s->stack) pcre2_jit_stack_assign(s->limits, NULL, s->stack);
    if (pthread_setspecific(scratch_key, s) != 0) abort();
    return s;
}

struct regex *regex_new(struct str pattern, struct err *err)
{
    int code = 0;
    PCRE2_SIZE at = 0;
    struct regex *re;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)(pattern.p ? pattern.p : ""), pattern.n,
                                         PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!compiled) {
        PCRE2_UCHAR text[160];
        pcre2_get_error_message(code, text, sizeof text);
        err_set(err, ERR_SYNTAX, "regular expression: %s", (const char *)text);
        err->col = (uint32_t)at + 1;
        return NULL;
    }
    re = xmalloc(sizeof *re);
    re->code = compiled;
    re->jit = pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE) == 0;
    return re;
}

void regex_free(struct regex **re)
{
    if (!*re) return;
    pcre2_code_free((*re)->code);
    free(*re);
    *re = NULL;
}

enum regex_result regex_match(const struct regex *re, struct str text)
{
    struct scratch *s = scratch_get();
    int rc = pcre2_match(re->code, (PCRE2_SPTR)(text.p ? text.p : ""), text.n, 0, 0, s->data, s->limits);
    if (rc >= 0) return REGEX_YES;
    return rc == PCRE2_ERROR_NOMATCH ? REGEX_NO : REGEX_LIMIT;
}
