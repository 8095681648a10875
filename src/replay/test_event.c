#include "replay/test_event.h"

#include <string.h>

static size_t digits(struct str s, size_t at)
{
    while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9') at++;
    return at;
}

/* RFC 8259's grammar: `007`, `1.` and `.5` are text, as they are in other readers of YAML. */
static bool is_number(struct str s)
{
    size_t at = s.n && s.p[0] == '-', from = at;
    at = digits(s, at);
    if (at == from || (at - from > 1 && s.p[from] == '0')) return false;
    if (at < s.n && s.p[at] == '.') {
        from = ++at;
        at = digits(s, at);
        if (at == from) return false;
    }
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        at++;
        if (at < s.n && (s.p[at] == '+' || s.p[at] == '-')) at++;
        from = at;
        at = digits(s, at);
        if (at == from) return false;
    }
    return at == s.n;
}

void test_yaml_to_json(const struct yaml_node *n, struct json_writer *w)
{
    if (n->kind == YAML_MAP) {
        json_object_begin(w);
        for (const struct yaml_node *m = n->first; m; m = m->next) {
            json_put_key(w, m->key);
            test_yaml_to_json(m, w);
        }
        json_object_end(w);
    } else if (n->kind == YAML_SEQ) {
        json_array_begin(w);
        for (const struct yaml_node *m = n->first; m; m = m->next) test_yaml_to_json(m, w);
        json_array_end(w);
    } else if (yaml_is_null(n)) {
        json_put_null(w);
    } else if (n->plain && (str_eq_c(n->text, "true") || str_eq_c(n->text, "false"))) {
        json_put_bool(w, str_eq_c(n->text, "true"));
    } else if (n->plain && is_number(n->text)) {
        json_put_raw(w, n->text);
    } else {
        json_put_str(w, n->text);
    }
}

static void take_metadata(struct arena *a, const struct yaml_node *n, struct diags *d, struct run *r)
{
    struct strbuf b;
    struct json_writer w;
    struct err err;
    if (n->kind != YAML_MAP) {
        yaml_error(d, n, "metadata is a map");
        return;
    }
    strbuf_init(&b, 1 << 20);
    json_writer_init(&w, &b);
    test_yaml_to_json(n, &w);
    if (!strbuf_ok(&b))
        yaml_error(d, n, "the metadata is over 1 MiB");
    else if (json_parse(a, str_dup(a, strbuf_view(&b)), &json_default_limits, &r->metadata, NULL, &err) < 0)
        yaml_error(d, n, "%s", err.msg);
    strbuf_fini(&b);
    r->present |= RUN_HAS_METADATA;
}

static void take_tags(struct arena *a, const struct yaml_node *n, struct diags *d, struct run *r)
{
    r->tags = ARENA_ARRAY(a, struct str, n->kind == YAML_SEQ ? n->count + 1 : 1);
    for (const struct yaml_node *m = n->kind == YAML_SEQ ? n->first : n; m; m = n->kind == YAML_SEQ ? m->next : NULL)
        if (yaml_want_text(m, d, &r->tags[r->tag_count])) r->tag_count++;
    r->present |= RUN_HAS_TAGS;
}

/* The error's message alone, or {message, name, code}. */
static void take_error(const struct yaml_node *n, struct diags *d, struct run *r)
{
    r->present |= RUN_HAS_ERROR;
    if (n->kind != YAML_MAP) {
        yaml_want_text(n, d, &r->error.message);
        return;
    }
    for (const struct yaml_node *m = n->first; m; m = m->next) {
        if (str_eq_c(m->key, "message")) yaml_want_text(m, d, &r->error.message);
        else if (str_eq_c(m->key, "name")) yaml_want_text(m, d, &r->error.name);
        else if (str_eq_c(m->key, "code")) yaml_want_text(m, d, &r->error.code);
        else yaml_error_key(d, m, "an error has no `" STR_FMT "`", STR_ARG(m->key))->hint = STR("message, name or code");
    }
}

/* Text fields by name; false when it is none of them. */
static bool take_text(const struct yaml_node *n, struct diags *d, struct run *r)
{
    const struct { const char *name; struct str *to; uint32_t has; } texts[] = {
        { "run", &r->id, 0 }, { "task", &r->task, RUN_HAS_TASK }, { "project", &r->project, 0 }, { "env", &r->env, 0 },
        { "version", &r->version, RUN_HAS_VERSION }, { "queue", &r->queue, RUN_HAS_QUEUE }, { "root", &r->root, RUN_HAS_ROOT },
        { "parent", &r->parent, RUN_HAS_PARENT }, { "machine", &r->machine, RUN_HAS_MACHINE }, { "region", &r->region, RUN_HAS_REGION },
        { "schedule", &r->schedule, RUN_HAS_SCHEDULE }, { "batch", &r->batch, RUN_HAS_BATCH }, { "kind", &r->kind, 0 },
    };
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        if (str_eq_c(n->key, texts[k].name)) {
            yaml_want_text(n, d, texts[k].to);
            r->present |= texts[k].has;
            return true;
        }
    return false;
}

static bool take_duration(const struct yaml_node *n, int64_t start_ms, struct diags *d, struct run *r)
{
    const struct { const char *name; int64_t *to; uint32_t has; } times[] = {
        { "created", &r->created_ms, RUN_HAS_CREATED }, { "started", &r->started_ms, RUN_HAS_STARTED },
        { "finished", &r->finished_ms, RUN_HAS_FINISHED }, { "updated", &r->updated_ms, RUN_HAS_UPDATED },
        { "delayed", &r->delayed_ms, RUN_HAS_DELAYED },
    };
    int64_t ms;
    for (size_t k = 0; k < sizeof times / sizeof *times; k++)
        if (str_eq_c(n->key, times[k].name)) {
            if (yaml_want_duration(n, d, &ms)) *times[k].to = start_ms + ms;
            r->present |= times[k].has;
            return true;
        }
    if (!str_eq_c(n->key, "duration")) return false;
    yaml_want_duration(n, d, &r->duration_ms);
    return true;
}

static void unknown(const struct yaml_node *n, struct diags *d)
{
    struct diag *item = yaml_error_key(d, n, "an event has no field `" STR_FMT "`", STR_ARG(n->key));
    if (str_starts(n->key, STR("metadata."))) item->hint = STR("write metadata: {KEY: value}");
    if (str_starts(n->key, STR("error."))) item->hint = STR("write error: {message: text, name: text, code: text}");
    if (str_eq_c(n->key, "age") || str_eq_c(n->key, "queue_time")) item->hint = STR("it follows from created, delayed and started");
}

static void take_field(struct arena *a, const struct yaml_node *n, int64_t start_ms, struct diags *d, struct test_event *e)
{
    struct run *r = &e->run;
    if (str_eq_c(n->key, "at")) {
        yaml_want_duration(n, d, &e->at_ms);
    } else if (str_eq_c(n->key, "status")) {
        if (yaml_want_text(n, d, &r->spelling)) r->state = run_state_parse(r->spelling);
    } else if (str_eq_c(n->key, "attempt")) {
        if (yaml_want_i64(n, d, 1, 1000000, &r->attempt)) r->present |= RUN_HAS_ATTEMPT;
    } else if (str_eq_c(n->key, "test")) {
        if (yaml_want_bool(n, d, &r->test)) r->present |= RUN_HAS_TEST;
    } else if (str_eq_c(n->key, "cost")) {
        if (yaml_want_f64(n, d, 0, 1e12, &r->cost_cents)) r->present |= RUN_HAS_COST;
    } else if (str_eq_c(n->key, "tags")) {
        take_tags(a, n, d, r);
    } else if (str_eq_c(n->key, "error")) {
        take_error(n, d, r);
    } else if (str_eq_c(n->key, "metadata")) {
        take_metadata(a, n, d, r);
    } else if (!take_duration(n, start_ms, d, r) && !take_text(n, d, r)) {
        unknown(n, d);
    }
}

/* What a test leaves out: the times follow from `at`. */
static void fill(struct arena *a, size_t number, int64_t start_ms, struct test_event *e)
{
    struct run *r = &e->run;
    int64_t at = start_ms + e->at_ms;
    if (r->id.n == 0) r->id = str_printf(a, "run_event%zu", number + 1);
    if (r->project.n == 0) r->project = STR("default");
    if (r->env.n == 0) r->env = STR("default");
    if (r->kind.n == 0) r->kind = STR("run");
    if (r->updated_ms == RUN_TIME_NONE) r->updated_ms = at;
    if (r->finished_ms == RUN_TIME_NONE && (run_state_class(r->state) & RUN_CLASS_FINISHED)) {
        r->finished_ms = at;
        r->present |= RUN_HAS_FINISHED;
    }
    r->present |= RUN_HAS_UPDATED | RUN_HAS_STATE;
}

bool test_event_read(struct arena *a, const struct yaml_node *n, size_t number, int64_t start_ms, struct diags *d, struct test_event *out)
{
    size_t errors = d->errors;
    memset(out, 0, sizeof *out);
    run_init(&out->run);
    if (n->kind != YAML_MAP) {
        yaml_error(d, n, "an event is a map: {at: 2m, run: run_1, task: sync, status: FAILED}");
        return false;
    }
    for (const struct yaml_node *m = n->first; m; m = m->next) take_field(a, m, start_ms, d, out);
    if (!yaml_get(n, "status")) yaml_error(d, n, "the event has no `status`");
    fill(a, number, start_ms, out);
    return d->errors == errors;
}
