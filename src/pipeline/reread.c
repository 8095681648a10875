/* reread: runs that the engine wants read again, from the commit to whoever can. What nobody can read, the engine is told
 * with the next batch. Lost in a crash, they are asked for again at the start. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/pipeline_internal.h"

static struct str kept(struct str s)
{
    char *p = xmalloc(s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return (struct str){ p, s.n };
}

static void let_go(struct engine_reread *r)
{
    free((char *)(uintptr_t)r->project.p);
    free((char *)(uintptr_t)r->env.p);
    free((char *)(uintptr_t)r->run.p);
}

void reread_take(struct pipeline *p)
{
    for (size_t k = 0; k < p->out.rereads.n; k++) {
        const struct engine_reread *r = &p->out.rereads.v[k];
        *vec_push(&p->rereads) = (struct engine_reread){ kept(r->project), kept(r->env), kept(r->run) };
    }
}

/* Those asked for before there are sources wait for them. */
void reread_ask(struct pipeline *p)
{
    if (p->rereads.n == 0) return;
    pthread_mutex_lock(&p->reread_lock);
    for (size_t k = 0; p->reread_fn && k < p->rereads.n; k++) {
        struct engine_reread *r = &p->rereads.v[k];
        if (p->reread_fn(p->reread_ctx, r->env, r->run) == 0) *vec_push(&p->unread) = *r;
        else let_go(r);
    }
    if (p->reread_fn) vec_clear(&p->rereads);
    pthread_mutex_unlock(&p->reread_lock);
}

int reread_step(struct pipeline *p, struct err *err)
{
    for (size_t k = 0; k < p->unread.n; k++) {
        struct engine_input in = { .kind = ENGINE_UNREAD, .now_ms = p->now_ms };
        in.u.unread.project = p->unread.v[k].project;
        in.u.unread.env = p->unread.v[k].env;
        in.u.unread.run = p->unread.v[k].run;
        if (engine_step(p->engine, &in, &p->out, err) < 0) return -1;
    }
    return 0;
}

void reread_forget(struct pipeline *p)
{
    for (size_t k = 0; k < p->unread.n; k++) let_go(&p->unread.v[k]);
    vec_clear(&p->unread);
}

void reread_fini(struct pipeline *p)
{
    reread_forget(p);
    for (size_t k = 0; k < p->rereads.n; k++) let_go(&p->rereads.v[k]);
    vec_free(&p->rereads);
    vec_free(&p->unread);
}

void pipeline_set_reread(struct pipeline *p, pipeline_reread_fn fn, void *ctx)
{
    pthread_mutex_lock(&p->reread_lock);
    p->reread_fn = fn;
    p->reread_ctx = ctx;
    pthread_mutex_unlock(&p->reread_lock);
    queue_wake(p->queue);
}
