/* Rendering a body tree into JSON. What turns out empty is taken back: the writer is put back to where it
 * stood before the member or element. */
#include "notify/notify_internal.h"

enum rendered { RENDER_FAILED = -1, RENDER_ABSENT, RENDER_EMPTY, RENDER_FULL };
struct render {
    const struct body_job *job;
    struct json_writer w;
    struct err *err;
};
struct mark { struct json_writer w; size_t n; };

/* bare: inside a list, where what a directive yields as a list joins the list it stands in. */
static enum rendered render(struct render *r, const struct body *b, struct json view, bool bare);

static struct mark mark_here(const struct render *r)
{
    return (struct mark){ r->w, r->w.out->n };
}

static void go_back(struct render *r, const struct mark *m)
{
    strbuf_cut(r->w.out, m->n);
    r->w = m->w;
}

static struct json look_up(const struct render *r, const struct body_path *p, struct json view)
{
    if (p->n == 1 && str_eq_c(p->parts[0], "message")) return r->job->message;
    if (p->n == 1 && str_eq_c(p->parts[0], ".")) return view;
    return json_path(view, p->parts, p->n);
}

static bool is_true(struct json v)
{
    switch (json_kind(v)) {
    case JSON_ABSENT: case JSON_NULL: return false;
    case JSON_BOOL: return json_bool(v, false);
    case JSON_STRING: return json_str(v).n > 0;
    case JSON_ARRAY: return json_count(v) > 0;
    case JSON_NUMBER: case JSON_OBJECT: return true;
    }
    return false;
}

static bool any_true(const struct render *r, const struct body *b, struct json view)
{
    for (size_t i = 0; i < b->path_count; i++) {
        const struct body_path *p = &b->paths[i];
        struct json v = look_up(r, p, view);
        if ((p->tested ? wanted_holds(&p->wanted, v) : is_true(v)) != p->negated) return true;
    }
    return false;
}

static enum rendered render_text(struct render *r, const struct body *b, struct json view)
{
    struct str s;
    if (text_render(&b->text, view, r->job->a, &s, r->err) < 0) return RENDER_FAILED;
    if (str_absent(s) || (s.n == 0 && !b->text.keep)) return RENDER_ABSENT;
    json_put_str(&r->w, s);
    return s.n ? RENDER_FULL : RENDER_EMPTY;
}

static enum rendered render_typed(struct render *r, const struct body *b, struct json view)
{
    struct str s;
    int64_t v;
    if (text_render(&b->text, view, r->job->a, &s, r->err) < 0) return RENDER_FAILED;
    s = str_trim(s);
    if (s.n == 0) return RENDER_ABSENT;
    if (b->kind == BODY_BOOL) {
        json_put_bool(&r->w, !str_eq_c(s, "false"));
    } else if (str_to_i64(s, &v)) {
        json_put_i64(&r->w, v);
    } else {
        err_set(r->err, ERR_TYPE, "`" STR_FMT "` is no whole number", STR_ARG(str_sub(s, 0, 40)));
        return RENDER_FAILED;
    }
    return RENDER_FULL;
}

static enum rendered render_raw(struct render *r, const struct body *b, struct json view)
{
    struct json v = look_up(r, b->paths, view);
    if (!json_present(v)) return RENDER_ABSENT;
    json_put_value(&r->w, v);
    return (json_kind(v) == JSON_STRING && json_str(v).n == 0) ||
                   ((json_kind(v) == JSON_ARRAY || json_kind(v) == JSON_OBJECT) && json_count(v) == 0)
               ? RENDER_EMPTY : RENDER_FULL;
}

static bool is_needed(const struct body *b, struct str key)
{
    for (size_t i = 0; i < b->need_count; i++)
        if (str_eq(b->needs[i], key)) return true;
    return false;
}

static bool key_taken(const struct body *object, struct str key, const struct str *used, size_t n)
{
    for (const struct body *c = object->first; c; c = c->next)
        if (str_eq(c->key, key)) return true;
    for (size_t i = 0; i < n; i++)
        if (str_eq(used[i], key)) return true;
    return false;
}

static enum rendered render_member(struct render *r, struct str key, const struct body *b, struct json view)
{
    struct mark m = mark_here(r);
    enum rendered done;
    json_put_key(&r->w, key);
    done = render(r, b, view, false);
    if (done == RENDER_ABSENT) go_back(r, &m);
    return done;
}

/* Two elements of one name would be a duplicate key: the first wins. */
static enum rendered render_members(struct render *r, const struct body *object, const struct body *b,
                                    struct json view)
{
    struct json list = look_up(r, b->paths, view);
    struct str *used = ARENA_ARRAY(r->job->a, struct str, b->most);
    enum rendered done = RENDER_ABSENT;
    size_t n = 0;
    if (json_kind(list) != JSON_ARRAY) return RENDER_ABSENT;
    for (struct json e = json_first(list); json_kind(e) != JSON_ABSENT && n < b->most; e = json_next(e)) {
        struct str key;
        if (text_render(&b->text, e, r->job->a, &key, r->err) < 0) return RENDER_FAILED;
        if (key.n == 0 || key_taken(object, key, used, n)) continue;
        used[n++] = key;
        done = render_member(r, key, b->first, e);
        if (done == RENDER_FAILED) return done;
    }
    return n ? RENDER_FULL : RENDER_ABSENT;
}

static enum rendered render_object(struct render *r, const struct body *b, struct json view)
{
    size_t needed = 0;
    bool full = false;
    json_object_begin(&r->w);
    for (const struct body *c = b->first; c; c = c->next) {
        enum rendered done = c->kind == BODY_MEMBERS ? render_members(r, b, c, view)
                                                     : render_member(r, c->key, c, view);
        if (done == RENDER_FAILED) return done;
        full |= done == RENDER_FULL || done == RENDER_EMPTY;
        needed += done == RENDER_FULL && is_needed(b, c->key);
    }
    if (needed < b->need_count) return RENDER_ABSENT; /* whoever put the key or the comma takes it back */
    json_object_end(&r->w);
    return full ? RENDER_FULL : RENDER_EMPTY;
}

static enum rendered render_item(struct render *r, const struct body *b, struct json view, bool bare)
{
    struct mark m = mark_here(r);
    enum rendered done = render(r, b, view, bare);
    if (done == RENDER_ABSENT) go_back(r, &m);
    return done;
}

static enum rendered render_list(struct render *r, const struct body *b, struct json view, bool bare)
{
    bool any = false;
    if (!bare) json_array_begin(&r->w);
    for (const struct body *c = b->first; c; c = c->next) {
        enum rendered done = render_item(r, c, view, c->kind != BODY_LIST || c->splice);
        if (done == RENDER_FAILED) return done;
        any |= done != RENDER_ABSENT;
    }
    if (!bare) json_array_end(&r->w);
    return any ? RENDER_FULL : bare ? RENDER_ABSENT : RENDER_EMPTY;
}

static enum rendered render_each(struct render *r, const struct body *b, struct json view, bool bare)
{
    struct json list = look_up(r, b->paths, view);
    size_t n = 0;
    if (!bare) json_array_begin(&r->w);
    if (json_kind(list) == JSON_ARRAY) {
        for (struct json e = json_first(list); json_kind(e) != JSON_ABSENT && n < b->most; e = json_next(e)) {
            enum rendered done = render_item(r, b->first, e, true);
            if (done == RENDER_FAILED) return done;
            n += done != RENDER_ABSENT;
        }
    }
    if (!bare) json_array_end(&r->w);
    return n ? RENDER_FULL : bare ? RENDER_ABSENT : RENDER_EMPTY;
}

static const struct body *choose(const struct render *r, const struct body *b, struct json view)
{
    struct str v;
    if (b->kind == BODY_IF) return any_true(r, b, view) ? b->first : b->other;
    v = json_scalar(look_up(r, b->paths, view));
    for (const struct body *c = b->first; c; c = c->next)
        if (!str_absent(v) && str_eq(c->key, v)) return c;
    return b->other;
}

static enum rendered render(struct render *r, const struct body *b, struct json view, bool bare)
{
    if (b && b->drop && b->drop <= r->job->drop_level) b = b->dropped;
    if (!b) return RENDER_ABSENT;
    switch (b->kind) {
    case BODY_TEXT: return render_text(r, b, view);
    case BODY_INT: case BODY_BOOL: return render_typed(r, b, view);
    case BODY_LITERAL: json_put_raw(&r->w, b->literal); return RENDER_FULL;
    case BODY_RAW: return render_raw(r, b, view);
    case BODY_OBJECT: return render_object(r, b, view);
    case BODY_LIST: return render_list(r, b, view, bare);
    case BODY_IF: case BODY_PICK: return render(r, choose(r, b, view), view, bare);
    case BODY_EACH: return render_each(r, b, view, bare);
    case BODY_MEMBERS: break; /* only inside an object */
    }
    return RENDER_ABSENT;
}

int body_render(const struct body *b, const struct body_job *job, struct strbuf *out, struct err *err)
{
    struct render r = { .job = job, .err = err };
    enum rendered done;
    json_writer_init(&r.w, out);
    done = render(&r, b, job->view, false);
    if (done == RENDER_ABSENT) strbuf_clear(out);
    return done == RENDER_FAILED ? -1 : 0;
}
