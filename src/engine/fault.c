/* fault: runbell's own faults, told to the operator: once per topic and hour, the others counted. */
#include <stdlib.h>

#include "engine/engine_internal.h"

enum { FAULT_GAP_MS = 3600000 };

static struct str fault_content(struct step_context *c, const struct fault *f, struct str title, struct str body, uint64_t id)
{
    struct json_draft d;
    struct message m = {
        .kind = MESSAGE_OPERATOR,
        .id = id,
        .rule = STR("operator"),
        .key = f->topic,
        .dedup = str_printf(c->out->arena, "runbell-operator-" STR_FMT, STR_ARG(f->topic)),
        .project = STR("default"),
        .env = STR("default"),
        .severity = SEVERITY_ERROR,
        .title = title,
        .body = body,
        .status_line = STR("OPERATOR"),
        .at_ms = c->now_ms,
        .opened_ms = c->now_ms,
        .hits = 1,
        .note = f->held ? str_printf(c->out->arena, "%llu more like it since the last message", (unsigned long long)f->held) : STR_NONE,
    };
    message_write(&m, json_draft_begin(&d, CONTENT_CEILING));
    return json_draft_end(&d, c->out->arena);
}

void engine_fault(struct step_context *c, struct str topic, struct str title, struct str body)
{
    struct fault *f = map_get(&c->e->faults, topic);
    struct engine_message m = { .destination = c->e->rules->operator_destination, .params = STR_NONE, .kind = MESSAGE_OPERATOR };
    if (!f) {
        f = xcalloc(1, sizeof *f);
        f->topic = str_dup(&c->e->names, topic);
        f->last_ms = INT64_MIN / 2;
        map_put(&c->e->faults, f->topic, f);
    }
    if (!f->dirty) *vec_push(&c->e->dirty_faults) = f;
    f->dirty = true;
    if (c->now_ms - f->last_ms < FAULT_GAP_MS || str_absent(m.destination)) {
        f->held++;
        return;
    }
    m.message = id_next(&c->e->ids, c->now_ms);
    m.delivery = id_next(&c->e->ids, c->now_ms);
    m.lane = str_printf(c->out->arena, "operator/" STR_FMT, STR_ARG(f->topic));
    m.content = fault_content(c, f, title, body, m.message);
    *vec_push(&c->out->messages) = m;
    f->last_ms = c->now_ms;
    f->held = 0;
}
