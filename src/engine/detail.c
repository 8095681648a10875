/* detail: what an incident needs to speak: the last hit's run and where it can be opened. Kept as JSON; may
 * be paged out between steps. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"

static void drop(struct engine *e, struct incident *i)
{
    e->detail_bytes -= i->detail_bytes;
    free(i->detail);
    i->detail = NULL;
    i->detail_bytes = 0;
}

static void keep(struct engine *e, struct incident *i, struct str text)
{
    drop(e, i);
    i->detail = xmalloc(text.n + 1);
    memcpy(i->detail, text.p, text.n);
    i->detail[text.n] = '\0';
    i->detail_bytes = (uint32_t)text.n;
    e->detail_bytes += text.n;
    if (!e->detail || i->listed) return;
    i->listed = true;
    *vec_push(&e->detailed) = i->id;
}

/* Texts of any length come in; what is kept for messages is bounded, so that a detail always fits its ceiling. */
static struct str cut(struct str s, size_t most)
{
    if (s.n <= most) return s;
    while (most > 0 && ((unsigned char)s.p[most] & 0xC0) == 0x80) most--;
    return str_sub(s, 0, most);
}

static bool shrink(struct run *r)
{
    struct run_error *e = &r->error;
    size_t bytes = 0, n = 0;
    bool big = json_text(r->metadata).n > METADATA_KEPT;
    if (big) r->metadata = (struct json){ 0 };
    e->name = cut(e->name, ERROR_KEPT);
    e->message = cut(e->message, ERROR_KEPT);
    e->code = cut(e->code, ERROR_KEPT);
    e->stack = cut(e->stack, ERROR_KEPT);
    while (n < r->tag_count && (bytes += r->tags[n].n + 3) <= TAGS_KEPT) n++;
    r->tag_count = n;
    return big;
}

static void put_absence(const struct absence *x, struct json_writer *w)
{
    json_put_key(w, STR("absence"));
    json_array_begin(w);
    json_put_i64(w, x->since_ms);
    json_put_i64(w, x->slot_ms);
    json_put_i64(w, x->due_ms);
    json_put_i64(w, x->now_ms);
    json_put_bool(w, x->hit);
    json_array_end(w);
}

static void get_absence(struct json v, struct absence *out)
{
    int64_t *const times[] = { &out->since_ms, &out->slot_ms, &out->due_ms, &out->now_ms };
    for (size_t k = 0; k < 4; k++) (void)json_i64(json_at(v, k), times[k]);
    out->hit = json_bool(json_at(v, 4), false);
}

void detail_set_absence(struct step_context *c, struct incident *i, const struct run *run, const struct absence *x)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, 4 * CONTENT_CEILING);
    json_object_begin(w);
    json_put_key(w, STR("run"));
    run_write(run, w);
    put_absence(x, w);
    json_object_end(w);
    keep(c->e, i, json_draft_end(&d, c->out->arena));
    i->detail_dirty = true;
    incident_touch(c->e, i);
}

bool detail_write(const struct rule_subject *s, struct str dashboard, struct strbuf *out)
{
    struct json_writer w;
    struct run run = *s->run;
    bool big = shrink(&run);
    json_writer_init(&w, out);
    json_object_begin(&w);
    json_put_key(&w, STR("run"));
    run_write(&run, &w);
    json_field_i64(&w, "state", (int64_t)s->transition->state);
    json_field_i64(&w, "attempt", s->transition->attempt);
    json_field_i64(&w, "event_ms", s->transition->event_ms);
    if (s->transition->derived) json_field_bool(&w, "derived", true);
    json_field_opt(&w, "dashboard", dashboard);
    if (big) json_field_str(&w, "note", STR("the run's metadata is over 16 KiB and is not kept for messages"));
    json_object_end(&w);
    return strbuf_ok(out);
}

void detail_set(struct step_context *c, struct incident *i, struct rule_subject *s, struct str dashboard)
{
    struct strbuf b;
    strbuf_init(&b, 4 * CONTENT_CEILING);
    if (detail_write(s, dashboard, &b)) {
        keep(c->e, i, strbuf_view(&b));
        i->detail_dirty = true;
    }
    strbuf_fini(&b);
    incident_touch(c->e, i);
}

static int page_in(struct step_context *c, struct incident *i)
{
    struct str text;
    struct arena a = { 0 };
    if (i->detail) return 0;
    if (!c->e->detail || c->e->detail(c->e->detail_ctx, i->id, &a, &text) != 0) {
        arena_fini(&a);
        c->failed = true;
        return err_set(c->err, ERR_IO, "the details of an incident could not be read back");
    }
    keep(c->e, i, text);
    arena_fini(&a);
    return 0;
}

int detail_get(struct step_context *c, struct incident *i, struct detail *out)
{
    memset(out, 0, sizeof *out);
    if (page_in(c, i) < 0) return -1;
    if (detail_read(c->out->arena, (struct str){ i->detail, i->detail_bytes }, out, c->err) == 0) return 0;
    c->failed = true;
    return -1;
}

int detail_read(struct arena *a, struct str text, struct detail *out, struct err *err)
{
    struct json root;
    int64_t v;
    memset(out, 0, sizeof *out);
    if (json_parse(a, str_dup(a, text), &json_own_limits, &root, NULL, err) < 0 || run_restore(a, json_get_c(root, "run"), &out->run, err) < 0) return -1;
    if (json_i64(json_get_c(root, "state"), &v)) out->transition.state = (enum run_state)v;
    if (json_i64(json_get_c(root, "attempt"), &v)) out->transition.attempt = v;
    if (json_i64(json_get_c(root, "event_ms"), &v)) out->transition.event_ms = v;
    out->transition.derived = json_bool(json_get_c(root, "derived"), false);
    out->transition.current = true;
    get_absence(json_get_c(root, "absence"), &out->absence);
    out->dashboard = json_str(json_get_c(root, "dashboard"));
    out->note = json_str(json_get_c(root, "note"));
    return 0;
}

void engine_trim(struct engine *e, size_t keep_bytes)
{
    size_t at = 0;
    lasts_trim(e, keep_bytes);
    if (!e->detail) return;
    for (; at < e->detailed.n && e->detail_bytes > keep_bytes; at++) {
        struct incident *i = incident_by_id(e, e->detailed.v[at]);
        if (!i) continue;
        if (i->detail_dirty) break; /* not handed out yet: the younger ones are not either */
        drop(e, i);
        i->listed = false;
    }
    if (at == 0) return;
    memmove(e->detailed.v, e->detailed.v + at, (e->detailed.n - at) * sizeof *e->detailed.v);
    e->detailed.n -= at;
}
