/* outbox: from decided messages to the deliver thread and back. The store holds what is to be sent; the head
 * of each (destination, lane) is given to deliver, the next one when that is settled. */
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "pipeline/pipeline_internal.h"

/* --- lanes on the way ---------------------------------------------------------------------------------------- */
struct lane { struct str key; };

static struct place_state *place_of(struct pipeline *p, struct str name)
{
    struct place_state *s = map_get(&p->places, name);
    if (s) return s;
    s = ARENA_NEW(&p->names, struct place_state);
    s->name = str_dup(&p->names, name);
    map_put(&p->places, s->name, s);
    *vec_push(&p->place_list) = s;
    return s;
}

/* The store can tell what is due for a name, not which names there are: those that were ever configured are kept
 * beside the deliveries, so that what waits for one that is gone is found. */
int outbox_name_places(struct pipeline *p, const struct config *c, struct err *err)
{
    struct str known, rest, all = STR("");
    int found = p->store->ops->meta_get(p->store, &p->batch_arena, STR("destinations"), &known, err);
    if (found < 0) return -1;
    for (rest = found ? known : STR(""); rest.n > 0;) {
        size_t end = str_find(rest, ' ', 0);
        place_of(p, str_sub(rest, 0, end));
        rest = str_sub(rest, end < rest.n ? end + 1 : end, rest.n);
    }
    for (size_t k = 0; k < c->destination_count; k++) place_of(p, c->destinations[k].name);
    for (size_t k = 0; k < p->place_list.n; k++)
        all = str_printf(&p->batch_arena, STR_FMT "%s" STR_FMT, STR_ARG(all), k ? " " : "", STR_ARG(p->place_list.v[k]->name));
    if (found == 0 || !str_eq(all, known)) *vec_push(&p->batch.meta) = (struct store_meta){ STR("destinations"), all };
    return 0;
}

static struct str lane_key(char *buf, size_t size, struct str destination, struct str lane)
{
    size_t n = destination.n + 1 + lane.n;
    if (n > size) n = size;
    memcpy(buf, destination.p, destination.n < n ? destination.n : n);
    if (destination.n < n) buf[destination.n] = '\0';
    if (n > destination.n + 1) memcpy(buf + destination.n + 1, lane.p, n - destination.n - 1);
    return (struct str){ buf, n };
}

static bool lane_busy(struct pipeline *p, struct str destination, struct str lane)
{
    char buf[256];
    return map_get(&p->lanes, lane_key(buf, sizeof buf, destination, lane)) != NULL;
}

static void lane_take(struct pipeline *p, struct str destination, struct str lane)
{
    char buf[256];
    struct str key = lane_key(buf, sizeof buf, destination, lane);
    struct lane *l = xmalloc(sizeof *l + key.n);
    memcpy(l + 1, key.p, key.n);
    l->key = (struct str){ (char *)(l + 1), key.n };
    map_put(&p->lanes, l->key, l);
    place_of(p, destination)->on_the_way++;
}

void outbox_release(struct pipeline *p, const struct deliver_result *r)
{
    char buf[256];
    struct lane *l = map_remove(&p->lanes, lane_key(buf, sizeof buf, r->destination, r->lane));
    if (!l) return;
    free(l);
    place_of(p, r->destination)->on_the_way--;
}

void outbox_fini(struct pipeline *p)
{
    size_t at = 0;
    struct map_entry *e;
    while ((e = map_next(&p->lanes, &at))) free(e->value);
    map_fini(&p->lanes);
    map_fini(&p->places);
    vec_free(&p->place_list);
}

/* --- into the batch ------------------------------------------------------------------------------------------- */
static int64_t retry_for(struct pipeline *p, struct str destination)
{
    const struct notify_destination *d = config_destination(p->config, destination);
    return d && d->retry_for_ms > 0 ? d->retry_for_ms : 86400000;
}

/* What the rows say after the answers is needed to push them: it may not borrow from requests, nor from a
 * configuration that this batch replaces. */
static void add_delivery(struct pipeline *p, const struct engine_message *m)
{
    struct str destination = str_dup(&p->batch_arena, m->destination);
    *vec_push(&p->batch.deliveries) = (struct store_delivery){
        .id = m->delivery, .message = m->message, .incident = m->incident, .destination = destination, .lane = m->lane,
        .params = m->params, .content = m->content, .kind = (int)m->kind, .state = DELIVERY_PENDING, .created_ms = p->wall_ms,
        .due_ms = p->now_ms, .expires_ms = p->wall_ms + retry_for(p, m->destination), .captures = STR_NONE,
    };
}

void outbox_take_messages(struct pipeline *p)
{
    for (size_t k = 0; k < p->out.messages.n; k++) add_delivery(p, &p->out.messages.v[k]);
    for (size_t k = 0; k < p->out.notes.n; k++) {
        const struct engine_note *n = &p->out.notes.v[k];
        *vec_push(&p->batch.notes) = (struct store_note){ n->incident, n->at_ms, str_c(n->what), n->body };
    }
}

/* The engine numbers its deliveries itself, from the beginning of each millisecond; drills take the upper half. */
static uint64_t drill_id(struct pipeline *p)
{
    return id_next(&p->drill_ids, p->now_ms) | UINT64_C(1) << 19;
}

int outbox_drill(struct pipeline *p, struct pipeline_request *r)
{
    struct message m = {
        .kind = MESSAGE_DRILL, .rule = STR("drill"), .key = r->send.destination, .project = STR("default"), .env = STR("default"),
        .severity = SEVERITY_INFO, .title = STR("This is a drill from runbell"),
        .body = STR("Nothing is wrong. Somebody ran `runbell send` to see that messages arrive here."),
        .status_line = STR("DRILL"), .at_ms = p->now_ms, .opened_ms = p->now_ms, .hits = 1, .runs = 1,
    };
    struct engine_message out = { .destination = r->send.destination, .params = STR_NONE, .kind = MESSAGE_DRILL };
    struct json_draft d;
    char id[ID_SIZE];
    if (!config_destination(p->config, r->send.destination))
        return err_set(&r->err, ERR_NOT_FOUND, "there is no destination " STR_FMT, STR_ARG(r->send.destination));
    out.message = m.id = drill_id(p);
    out.delivery = r->send.delivery = drill_id(p);
    out.lane = str_dup(&p->batch_arena, id_format("drill", out.delivery, id));
    m.dedup = str_printf(&p->batch_arena, "runbell-" STR_FMT, STR_ARG(out.lane));
    message_write(&m, json_draft_begin(&d, 65536));
    out.content = json_draft_end(&d, &p->batch_arena);
    add_delivery(p, &out);
    return 0;
}

int outbox_redeliver(struct pipeline *p, struct pipeline_request *r)
{
    struct store_delivery_filter f = { .state = -1, .before = r->redeliver + 1, .destination = STR_NONE, .limit = 1 };
    struct store_delivery found;
    size_t n = 1;
    if (p->reader->ops->deliveries(p->reader, &p->batch_arena, &f, &found, &n, &r->err) < 0) return -1;
    if (n == 0 || found.id != r->redeliver) return err_set(&r->err, ERR_NOT_FOUND, "there is no such delivery");
    if (found.state != DELIVERY_DEAD)
        return err_set(&r->err, ERR_CONFLICT, "the delivery is %s; only a dead one can be sent again", delivery_state_name(found.state));
    *vec_push(&p->batch.redeliver) = r->redeliver;
    outbox_look_again(p, p->now_ms);
    place_of(p, found.destination)->backlog = true;
    return 0;
}

void outbox_verdict(struct pipeline *p, const struct deliver_result *r)
{
    enum delivery_state state = r->outcome == DELIVER_DELIVERED ? DELIVERY_DELIVERED
                                : r->outcome == DELIVER_DEAD    ? DELIVERY_DEAD
                                                                : DELIVERY_RETRYING;
    int64_t due_ms = r->due_ms + (p->now_ms - p->wall_ms); /* deliver goes by the wall clock */
    *vec_push(&p->batch.attempts) = (struct store_attempt){
        .delivery = r->delivery, .at_ms = r->at_ms, .took_ms = r->took_ms,
        .class = (int)r->verdict.class, .status = r->verdict.status, .detail = r->verdict.detail, .state = state,
        .postponed = !r->attempted, .due_ms = due_ms, .captures = r->verdict.captures,
    };
    if (state == DELIVERY_RETRYING) outbox_look_again(p, due_ms);
}

void outbox_look_again(struct pipeline *p, int64_t at_ms)
{
    if (at_ms < p->next_delivery_ms) p->next_delivery_ms = at_ms;
}

/* --- out to deliver ------------------------------------------------------------------------------------------------ */
static bool push(struct pipeline *p, const struct store_delivery *d)
{
    struct deliver_job job = {
        .delivery = d->id, .message = d->message, .incident = d->incident, .destination = d->destination, .lane = d->lane,
        .params = d->params, .content = d->content, .captures = d->captures, .created_ms = d->created_ms, .expires_ms = d->expires_ms,
        .attempts = d->attempts, .plain = str_starts(d->last_error, STR("bad_payload")),
    };
    if (lane_busy(p, d->destination, d->lane)) return true; /* it is on the way, or waits for what is */
    lane_take(p, d->destination, d->lane);
    if (deliver_push(p->deliver, &job)) return true;
    outbox_release(p, &(struct deliver_result){ .destination = d->destination, .lane = d->lane });
    place_of(p, d->destination)->backlog = true;
    return false;
}

void outbox_push_lane(struct pipeline *p, struct str destination, struct str lane)
{
    struct store_delivery d;
    struct err err;
    int found;
    if (!p->deliver || lane_busy(p, destination, lane)) return; /* stopping, or its turn comes */
    found = p->store->ops->lane_head(p->store, &p->batch_arena, destination, lane, &d, &err);
    if (found < 0) {
        log_error("outbox.read_failed", LOG_E(&err));
        outbox_look_again(p, p->now_ms + HEAL_EVERY_MS);
    } else if (found == 1 && d.due_ms <= p->now_ms) {
        push(p, &d);
    } else if (found == 1) {
        outbox_look_again(p, d.due_ms);
    }
}

void outbox_push_new(struct pipeline *p)
{
    if (!p->deliver) return;
    for (size_t k = 0; k < p->batch.deliveries.n; k++) {
        const struct store_delivery *d = &p->batch.deliveries.v[k];
        if (deliver_room(p->deliver, d->destination) == 0)
            place_of(p, d->destination)->backlog = true;
        else
            outbox_push_lane(p, d->destination, d->lane);
    }
}

void outbox_healed(struct pipeline *p, struct str destination)
{
    struct place_state *s = place_of(p, destination);
    s->healed = s->backlog = true;
}

static void top_up(struct pipeline *p, struct str name)
{
    struct place_state *s = place_of(p, name);
    size_t room = deliver_room(p->deliver, name), n;
    size_t want = (room < TOP_UP ? room : TOP_UP) + s->on_the_way;
    struct store_delivery *due;
    int64_t next_ms = ENGINE_NEVER, until_ms = p->now_ms + (s->healed ? HEALED_AHEAD_MS : 0);
    struct err err;
    if (room == 0) {
        s->backlog = true;
        return;
    }
    due = ARENA_ARRAY(&p->batch_arena, struct store_delivery, want);
    n = want;
    if (p->store->ops->due_deliveries(p->store, &p->batch_arena, name, until_ms, want, due, &n, &next_ms, &err) < 0) {
        log_error("outbox.read_failed", LOG_E(&err));
        next_ms = p->now_ms + HEAL_EVERY_MS;
        n = 0;
    }
    s->backlog = n == want;
    s->healed &= s->backlog; /* until all that waited was taken */
    for (size_t k = 0; k < n; k++)
        if (!push(p, &due[k])) break;
    outbox_look_again(p, next_ms);
}

/* Of destinations that the configuration does not have any more, too: deliver says so, and they become dead letters. */
void outbox_top_up(struct pipeline *p, bool all)
{
    if (!p->deliver) return;
    if (all) p->next_delivery_ms = ENGINE_NEVER;
    for (size_t k = 0; k < p->place_list.n; k++)
        if (all || p->place_list.v[k]->backlog) top_up(p, p->place_list.v[k]->name);
}
