#include "replay/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TEXTS = 7 };

static void texts_of(struct run_known *k, struct str *out[TEXTS])
{
    struct str *const all[TEXTS] = { &k->task, &k->version, &k->queue, &k->root, &k->parent, &k->schedule, &k->batch };
    memcpy(out, all, sizeof all);
}

struct run_known memory_recall(const struct memory *m)
{
    return m->known ? *m->known : (struct run_known){ .exists = false };
}

static size_t text_bytes(struct run_known *k)
{
    struct str *texts[TEXTS];
    size_t n = 0;
    texts_of(k, texts);
    for (size_t i = 0; i < TEXTS; i++) n += texts[i]->n;
    for (size_t i = 0; i < k->tag_count; i++) n += k->tags[i].n;
    for (size_t i = 0; i < k->seen_count; i++) n += k->seen[i].spelling.n;
    return n;
}

/* Absent stays absent, and empty stays there. */
static void move_text(struct str *s, char **at)
{
    if (str_absent(*s)) return;
    if (s->n) memcpy(*at, s->p, s->n);
    s->p = *at;
    *at += s->n;
}

/* Layout: the struct, its lists, their texts. */
void memory_keep(struct memory *m, const struct run_known *known)
{
    struct run_known copy = *known, *block;
    size_t seen = copy.seen_count * sizeof *copy.seen, tags = copy.tag_count * sizeof *copy.tags;
    size_t bytes = sizeof copy + seen + tags + text_bytes(&copy) + 1;
    struct str *texts[TEXTS];
    char *at;
    block = xmalloc(bytes);
    at = (char *)(block + 1);
    if (seen) memcpy(at, copy.seen, seen);
    copy.seen = (struct run_seen *)(void *)at;
    at += seen;
    if (tags) memcpy(at, copy.tags, tags);
    copy.tags = (struct str *)(void *)at;
    at += tags;
    texts_of(&copy, texts);
    for (size_t i = 0; i < TEXTS; i++) move_text(texts[i], &at);
    for (size_t i = 0; i < copy.tag_count; i++) move_text(&copy.tags[i], &at);
    for (size_t i = 0; i < copy.seen_count; i++) move_text(&copy.seen[i].spelling, &at);
    *block = copy;
    free(m->known);
    m->known = block;
}

void memory_fini(struct memory *m)
{
    free(m->known);
    m->known = NULL;
}
