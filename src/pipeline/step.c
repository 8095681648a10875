/* step: what each kind of work in a batch means to the engine and to the rows of the batch. */
#include <stdlib.h>

#include "pipeline/pipeline_internal.h"

bool item_is_ours(const struct queue_item *i)
{
    return (int)item_kind(i) == PIPELINE_VERDICT || (int)item_kind(i) == PIPELINE_HEALTH;
}

void item_free_ours(struct queue_item *i)
{
    if ((int)item_kind(i) == PIPELINE_VERDICT)
        arena_fini(&((struct verdict_item *)(void *)i)->arena);
    else
        arena_fini(&((struct health_item *)(void *)i)->arena);
    free(i);
}

static int step_fault(struct pipeline *p, struct str topic, struct str title, struct str body, struct err *err)
{
    struct engine_input in = { .kind = ENGINE_FAULT, .now_ms = p->now_ms };
    in.u.fault.topic = topic;
    in.u.fault.title = title;
    in.u.fault.body = body;
    return engine_step(p->engine, &in, &p->out, err);
}

static int step_verdict(struct pipeline *p, const struct verdict_item *v, struct err *err)
{
    struct engine_input in = { .kind = ENGINE_VERDICT, .now_ms = p->now_ms };
    const struct deliver_result *r = &v->result;
    outbox_verdict(p, r);
    if (r->outcome == DELIVER_RETRY || v->bare) return 0;
    in.u.verdict.delivery = r->delivery;
    in.u.verdict.incident = r->incident;
    in.u.verdict.destination = r->destination;
    in.u.verdict.lane = r->lane;
    in.u.verdict.delivered = r->outcome == DELIVER_DELIVERED;
    in.u.verdict.detail = r->verdict.detail;
    if (engine_step(p->engine, &in, &p->out, err) < 0) return -1;
    if (r->outcome != DELIVER_DEAD) return 0;
    return step_fault(p, str_printf(&p->batch_arena, "dead/" STR_FMT, STR_ARG(r->destination)),
                      str_printf(&p->batch_arena, "A message to " STR_FMT " could not be delivered", STR_ARG(r->destination)),
                      str_printf(&p->batch_arena, STR_FMT "\n`runbell deliveries --state dead` lists it; `runbell retry ID` sends it again.",
                                 STR_ARG(r->verdict.detail)), err);
}

static int step_health(struct pipeline *p, const struct deliver_health *h, struct err *err)
{
    if (!h->open) {
        outbox_healed(p, h->destination);
        return 0;
    }
    return step_fault(p, str_printf(&p->batch_arena, "breaker/" STR_FMT, STR_ARG(h->destination)),
                      str_printf(&p->batch_arena, "Destination " STR_FMT " is failing: its messages wait", STR_ARG(h->destination)),
                      h->reason, err);
}

static int step_command(struct pipeline *p, struct pipeline_request *r, struct err *err)
{
    struct engine_input in = { .kind = ENGINE_COMMAND, .now_ms = p->now_ms };
    in.u.command = r->command;
    p->out.command_id = 0;
    if (engine_step(p->engine, &in, &p->out, err) < 0) return -1;
    r->command_id = p->out.command_id;
    if (p->out.command_result == 0) return 0;
    r->status = PIPELINE_NOT_FOUND;
    err_set(&r->err, ERR_NOT_FOUND, "there is no open incident or silence with this id");
    return 0;
}

static int step_rejected(struct pipeline *p, struct pipeline_request *r, struct err *err)
{
    struct str body = str_sub(r->rejected.body, 0, 65536), source = r->source ? r->source->name : STR("");
    *vec_push(&p->batch.rejected) = (struct store_rejected){ id_next(&p->event_ids, p->now_ms), p->now_ms, source, r->rejected.reason, body };
    p->tally.rejected++;
    return step_fault(p, str_printf(&p->batch_arena, "rejected/" STR_FMT, STR_ARG(source)),
                      str_printf(&p->batch_arena, "Source " STR_FMT " sent a body that was not taken", STR_ARG(source)),
                      r->rejected.reason, err);
}

static int step_reload(struct pipeline *p, struct pipeline_request *r, struct err *err)
{
    if (reports_note_sources(p, r->config, err) < 0 || outbox_name_places(p, r->config, err) < 0) return -1;
    if (engine_reload(p->engine, r->config->rules, p->now_ms, &p->out, err) < 0) return -1;
    return heard_learn(p, r->config, err);
}

int step_item(struct pipeline *p, struct queue_item *i, struct err *err)
{
    struct pipeline_request *r = item_request(i);
    if ((int)r->kind == PIPELINE_VERDICT) return step_verdict(p, (struct verdict_item *)(void *)i, err);
    if ((int)r->kind == PIPELINE_HEALTH) return step_health(p, &((struct health_item *)(void *)i)->health, err);
    r->status = PIPELINE_DONE;
    switch (r->kind) {
    case PIPELINE_REPORTS: return reports_apply(p, r, err);
    case PIPELINE_REJECTED: return step_rejected(p, r, err);
    case PIPELINE_COMMAND: return step_command(p, r, err);
    case PIPELINE_REDELIVER:
        if (outbox_redeliver(p, r) < 0) r->status = r->err.code == ERR_NOT_FOUND ? PIPELINE_NOT_FOUND : PIPELINE_FAILED;
        return 0;
    case PIPELINE_SEND:
        if (outbox_drill(p, r) < 0) r->status = PIPELINE_NOT_FOUND;
        return 0;
    case PIPELINE_RELOAD: return step_reload(p, r, err);
    case PIPELINE_FAULT: return step_fault(p, r->fault.topic, r->fault.title, r->fault.body, err);
    }
    return 0;
}
