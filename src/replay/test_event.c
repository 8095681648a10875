#include "replay/test_event.h"

#include <stddef.h>

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

/* --- the fields of an event ----------------------------------------------------------------------------- */
/* What the table decodes into: the event, and what has a form of its own. */
struct draft {
    struct test_event e; /* times count from the start of the test */
    const struct yaml_node *tags, *error, *metadata, *cost;
};
#define AT(member) .offset = offsetof(struct draft, member)
#define TEXT_FIELD(name_, member_, help_) { .name = (name_), .type = FIELD_TEXT, AT(e.run.member_), .help = (help_) }
#define TIME_FIELD(name_, member_, help_) { .name = (name_), .type = FIELD_DURATION, AT(e.run.member_), .help = (help_) }
static const struct field event_fields[] = {
    { .name = "at", .type = FIELD_DURATION, AT(e.at_ms), .help = "When it arrives, from the start of the test; 0s when left out. Events stand in this order." },
    { .name = "status", .type = FIELD_TEXT, .required = true, AT(e.run.spelling), .help = "The run's state, in any spelling." },
    TEXT_FIELD("run", id, "The run's id; without one the event is a run of its own."),
    TEXT_FIELD("task", task, "The task's identifier."),
    TEXT_FIELD("project", project, "The project; `default` when left out."),
    TEXT_FIELD("env", env, "The environment; `default` when left out."),
    TEXT_FIELD("version", version, "The deployed version."),
    TEXT_FIELD("queue", queue, "The queue's name."),
    TEXT_FIELD("root", root, "The id of the run at the root."),
    TEXT_FIELD("parent", parent, "The id of the parent run."),
    TEXT_FIELD("machine", machine, "The machine preset."),
    TEXT_FIELD("region", region, "The region."),
    TEXT_FIELD("schedule", schedule, "The id of the schedule that started the run."),
    TEXT_FIELD("batch", batch, "The id of the batch."),
    TEXT_FIELD("kind", kind, "run, deployment or error; run when left out."),
    TIME_FIELD("created", created_ms, "When the run was created, from the start of the test."),
    TIME_FIELD("delayed", delayed_ms, "Until when it was delayed."),
    TIME_FIELD("started", started_ms, "When it started."),
    TIME_FIELD("finished", finished_ms, "When it finished; for a final state `at` when left out."),
    TIME_FIELD("updated", updated_ms, "When it last changed; `at` when left out."),
    TIME_FIELD("duration", duration_ms, "How long it ran, as the report says."),
    { .name = "attempt", .type = FIELD_INT, AT(e.run.attempt), .least = 1, .most = 1000000, .help = "The number of the attempt; for REATTEMPTING the one about to run." },
    { .name = "test", .type = FIELD_BOOL, AT(e.run.test), .help = "Is it a test run?" },
    { .name = "cost", .type = FIELD_NODE, AT(cost), .schema = "{\"type\":\"number\",\"minimum\":0}", .help = "Cost in cents." },
    { .name = "tags", .type = FIELD_NODE, AT(tags), .schema = "{\"anyOf\":[{\"type\":[\"string\",\"number\",\"boolean\"]},{\"type\":\"array\",\"items\":{\"type\":[\"string\",\"number\",\"boolean\"]}}]}", .help = "A tag or a list of tags." },
    { .name = "error", .type = FIELD_NODE, AT(error),
      .schema = "{\"anyOf\":[{\"type\":[\"string\",\"number\",\"boolean\"]},{\"type\":\"object\",\"properties\":{\"message\":{},\"name\":{},\"code\":{}},"
                "\"additionalProperties\":false}]}",
      .help = "The error's message, or {message, name, code}." },
    { .name = "metadata", .type = FIELD_NODE, AT(metadata), .schema = "{\"type\":\"object\"}", .help = "The run's metadata." },
};
const struct field_table test_event_table = { "an event", event_fields, sizeof event_fields / sizeof *event_fields };

/* What the report carried, by its keys; times become moments. */
static void mark_present(const struct yaml_node *n, int64_t start_ms, struct run *r)
{
    static const struct { const char *name; uint32_t has; } marks[] = {
        { "task", RUN_HAS_TASK }, { "version", RUN_HAS_VERSION }, { "queue", RUN_HAS_QUEUE }, { "root", RUN_HAS_ROOT },
        { "parent", RUN_HAS_PARENT }, { "machine", RUN_HAS_MACHINE }, { "region", RUN_HAS_REGION }, { "schedule", RUN_HAS_SCHEDULE },
        { "batch", RUN_HAS_BATCH }, { "attempt", RUN_HAS_ATTEMPT }, { "test", RUN_HAS_TEST }, { "cost", RUN_HAS_COST },
    };
    const struct { const char *name; int64_t *at; uint32_t has; } times[] = {
        { "created", &r->created_ms, RUN_HAS_CREATED }, { "started", &r->started_ms, RUN_HAS_STARTED },
        { "finished", &r->finished_ms, RUN_HAS_FINISHED }, { "updated", &r->updated_ms, RUN_HAS_UPDATED },
        { "delayed", &r->delayed_ms, RUN_HAS_DELAYED },
    };
    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
        if (yaml_get(n, marks[k].name)) r->present |= marks[k].has;
    for (size_t k = 0; k < sizeof times / sizeof *times; k++) {
        if (!yaml_get(n, times[k].name)) continue;
        if (*times[k].at != RUN_TIME_NONE) *times[k].at += start_ms;
        r->present |= times[k].has;
    }
}

static bool unknown(void *ctx, const struct yaml_node *n)
{
    struct diags *d = ctx;
    struct diag *item = yaml_error_key(d, n, "an event has no field `" STR_FMT "`", STR_ARG(n->key));
    if (str_starts(n->key, STR("metadata."))) item->hint = STR("write metadata: {KEY: value}");
    if (str_starts(n->key, STR("error."))) item->hint = STR("write error: {message: text, name: text, code: text}");
    if (str_eq_c(n->key, "age") || str_eq_c(n->key, "queue_time")) item->hint = STR("it follows from created, delayed and started");
    return true;
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
    struct draft draft = { 0 };
    struct run *r = &draft.e.run;
    size_t errors = d->errors;
    run_init(r);
    if (n->kind != YAML_MAP) {
        yaml_error(d, n, "an event is a map: {at: 2m, run: run_1, task: sync, status: FAILED}");
        return false;
    }
    fields_decode(&test_event_table, a, n, d, &draft, unknown, d);
    r->state = run_state_parse(r->spelling);
    if (draft.tags) take_tags(a, draft.tags, d, r);
    if (draft.error) take_error(draft.error, d, r);
    if (draft.metadata) take_metadata(a, draft.metadata, d, r);
    if (draft.cost) yaml_want_f64(draft.cost, d, 0, 1e12, &r->cost_cents);
    mark_present(n, start_ms, r);
    *out = draft.e;
    fill(a, number, start_ms, out);
    return d->errors == errors;
}
