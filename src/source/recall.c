#include "source/recall.h"

#include <string.h>

#include "base/mem.h"

struct recalled *recall_get(const struct recall *r, struct str id)
{
    return map_get(&r->runs, id);
}

static struct str env_text(struct recall *r, struct str env)
{
    struct str *kept = map_get(&r->envs, env);
    if (kept) return *kept;
    kept = ARENA_NEW(&r->texts, struct str);
    *kept = str_dup(&r->texts, env);
    (void)map_put(&r->envs, *kept, kept);
    return *kept;
}

static struct recalled *make(struct recall *r, struct str id)
{
    struct recalled *run = xcalloc(1, sizeof *run + id.n);
    char *text = (char *)(run + 1);
    memcpy(text, id.p, id.n);
    run->id = (struct str){ text, id.n };
    run->attempt = -1;
    run->asked_ms = RUN_TIME_NONE;
    (void)map_put(&r->runs, run->id, run);
    return run;
}

struct recalled *recall_note(struct recall *r, const struct run *run)
{
    struct recalled *k = recall_get(r, run->id);
    if (!k) k = make(r, run->id);
    k->state = run->state;
    if (run->attempt_count > k->attempt) k->attempt = run->attempt_count;
    k->created_ms = run->created_ms;
    k->updated_ms = run->updated_ms;
    k->finished_ms = run->finished_ms;
    if (run->env.n) k->env = env_text(r, run->env);
    return k;
}

void recall_forget(struct recall *r, struct recalled *run)
{
    (void)map_remove(&r->runs, run->id);
    free(run);
}

bool recalled_is_final(const struct recalled *run)
{
    return (run_state_class(run->state) & RUN_CLASS_FINISHED) != 0;
}

void recall_fini(struct recall *r)
{
    struct map_entry *e;
    size_t at = 0;
    while ((e = map_next(&r->runs, &at))) free(e->value);
    map_fini(&r->runs);
    map_fini(&r->envs);
    arena_fini(&r->texts);
}
