/* heard: how far each source is, for the engine. What did not come through a source that was not heard may have happened all the
 * same: rules that wait for what stays away must know. */
#include <string.h>

#include "pipeline/pipeline_internal.h"

struct heard_source { /* by name, as long as the process */
    int64_t since_ms;  /* it listens since then; 0 = not known */
    int64_t told_ms;   /* a polling one: where it is; INT64_MIN = nowhere yet */
    char env[128];     /* a polling one: whose environment it has learned to be */
};

static struct heard_source *source_get(struct pipeline *p, struct str name)
{
    struct heard_source *s = map_get(&p->heard, name);
    if (s) return s;
    s = ARENA_NEW(&p->names, struct heard_source);
    s->told_ms = INT64_MIN;
    map_put(&p->heard, str_dup(&p->names, name), s);
    return s;
}

/* A position, as source/position.c writes it. One that cannot be read is its poller's trouble, who says so. */
static void read_position(struct pipeline *p, struct str text, struct heard_source *s)
{
    struct json root;
    struct str env;
    struct err err;
    if (json_parse(&p->batch_arena, text, &json_own_limits, &root, NULL, &err) < 0) return;
    if (!json_i64(json_get_c(root, "told"), &s->told_ms)) s->told_ms = INT64_MIN;
    if (!json_i64(json_get_c(root, "start"), &s->since_ms)) s->since_ms = p->now_ms;
    env = json_str(json_get_c(root, "env"));
    if (env.n < sizeof s->env) snprintf(s->env, sizeof s->env, STR_FMT, STR_ARG(env));
}

/* While the store was ill, whoever posted was turned away and may not come again. */
static void listen_from_now(struct pipeline *p, struct heard_source *s)
{
    if (s->since_ms == 0 || p->sick) s->since_ms = p->now_ms;
}

static int learn(struct pipeline *p, const struct config_source *c, struct err *err)
{
    struct heard_source *s = source_get(p, c->name);
    struct str text;
    int found;
    if (c->type != SOURCE_TRIGGER_API) {
        listen_from_now(p, s);
        return 0;
    }
    found = p->store->ops->meta_get(p->store, &p->batch_arena, str_printf(&p->batch_arena, "position/" STR_FMT, STR_ARG(c->name)), &text, err);
    s->told_ms = INT64_MIN;
    if (found == 1) read_position(p, text, s);
    return found < 0 ? -1 : 0;
}

/* The server's lists and queries lag behind its runs: what ended within the overlap may still come. */
static struct engine_source told_as(const struct config_source *c, const struct heard_source *s)
{
    struct source_sight sight = config_source_sight(c);
    struct engine_source out = { .name = c->name, .project = c->project.n ? c->project : STR("default"), .env = c->env, .states = sight.states,
                                 .fields = sight.fields, .heard_ms = s->since_ms, .told_ms = s->told_ms };
    if (c->type != SOURCE_TRIGGER_API) out.told_ms = ENGINE_NEVER;
    else if (s->told_ms != INT64_MIN) out.told_ms -= c->api.overlap_ms;
    if (out.env.n == 0 && s->env[0]) out.env = str_c(s->env);
    return out;
}

static int tell(struct pipeline *p, struct err *err)
{
    const struct config *c = p->heard_of;
    struct engine_source *v = ARENA_ARRAY(&p->batch_arena, struct engine_source, c->source_count + 1);
    struct engine_input in = { .kind = ENGINE_SOURCES, .now_ms = p->now_ms };
    for (size_t k = 0; k < c->source_count; k++) v[k] = told_as(&c->sources[k], source_get(p, c->sources[k].name));
    in.u.sources.v = v;
    in.u.sources.n = c->source_count;
    return engine_step(p->engine, &in, &p->out, err);
}

int heard_learn(struct pipeline *p, const struct config *c, struct err *err)
{
    for (size_t k = 0; k < c->source_count; k++)
        if (learn(p, &c->sources[k], err) < 0) return -1;
    p->heard_of = c;
    return tell(p, err);
}

int heard_position(struct pipeline *p, const struct config_source *source, struct str position, struct err *err)
{
    if (position.n == 0 || !source) return 0;
    read_position(p, position, source_get(p, source->name));
    return tell(p, err);
}
