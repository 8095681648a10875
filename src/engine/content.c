/* content: what is said, built from the rule, the incident and its last hit. Plain text; providers escape. */
#include <stdlib.h>
#include <string.h>

#include "base/timefmt.h"
#include "engine/engine_internal.h"
#include "engine/kinds.h"
#include "template/escape.h"

enum { TITLE_CHARS = 200, BODY_CHARS = 2000, FIELD_CHARS = 300, TAGS_SHOWN = 10, FIELDS_MAX = 20 };

/* What a builder carries: the incident, its last hit, the view templates see. */
struct talk {
    struct step_context *c;
    struct arena *a;
    struct incident *i;
    const struct rule *r;
    struct detail d;
    struct rule_subject s;
    struct json view;
    bool has_view;
    struct str note;
};

/* --- the view of rule templates ---------------------------------------------------------------------------------- */
static struct str run_link(const struct talk *t)
{
    const struct run *run = &t->d.run;
    if (run->dashboard_url.n) return run->dashboard_url;
    if (t->d.dashboard.n == 0) return STR_NONE;
    return str_printf(t->a, STR_FMT "%s" STR_FMT, STR_ARG(t->d.dashboard), str_ends(t->d.dashboard, STR("/")) ? "" : "/",
                      STR_ARG(kind_page(t->a, run)));
}

static void view_rate(struct talk *t, struct json_writer *w)
{
    struct share s;
    if (!incident_share(t->c->e, t->i, &s)) return;
    json_put_key(w, STR("rate"));
    json_object_begin(w);
    json_field_f64(w, "percent", share_percent(s));
    json_field_i64(w, "hits", s.hits);
    json_field_i64(w, "runs", s.runs);
    json_object_end(w);
}

static int make_view(struct talk *t)
{
    struct strbuf b;
    struct json_writer w;
    int rc;
    if (t->has_view) return 0;
    strbuf_init(&b, 4 * CONTENT_CEILING);
    json_writer_init(&w, &b);
    json_object_begin(&w);
    rule_view_members(t->r, &t->s, &w);
    json_field_str(&w, "key", incident_key(t->i));
    json_field_i64(&w, "hits", t->i->hits);
    json_field_i64(&w, "count", t->i->hits);
    json_field_i64(&w, "runs", t->i->run_count);
    if (t->r->condition.kind == RULE_LASTS) json_field_i64(&w, "still", t->i->still);
    json_field_opt(&w, "first_run", incident_first_run(t->i));
    view_rate(t, &w);
    if (t->r->condition.kind == RULE_ABSENT) absent_view(t->a, t->i, &t->d.absence, &w);
    json_field_opt(&w, "url", run_link(t));
    json_object_end(&w);
    rc = strbuf_ok(&b) ? json_parse(t->a, str_dup(t->a, strbuf_view(&b)), &json_own_limits, &t->view, NULL, t->c->err) : -1;
    strbuf_fini(&b);
    t->has_view = rc == 0;
    return rc;
}

/* The rendered template, or fallback with a note: a template never eats an alert. */
static struct str render(struct talk *t, const struct template *tpl, struct str fallback)
{
    struct strbuf b;
    struct str out = fallback;
    if (!tpl) return fallback;
    strbuf_init(&b, CONTENT_CEILING);
    if (make_view(t) == 0 && template_render(tpl, t->view, NULL, &template_default_limits, &b, t->c->err) == 0) {
        out = str_dup(t->a, strbuf_view(&b));
    } else {
        t->c->e->stats.template_failures++;
        t->note = str_printf(t->a, "a template of rule " STR_FMT " failed (%s): this is the built-in text",
                             STR_ARG(t->i->rule->name), t->c->err->msg);
    }
    strbuf_fini(&b);
    return out;
}

/* --- built-in texts --------------------------------------------------------------------------------------------------- */
static const char *state_verb(enum run_state s)
{
    switch (s) {
    case RUN_DELAYED: return "is delayed";
    case RUN_QUEUED: return "is queued";
    case RUN_PENDING_VERSION: return "waits for a version";
    case RUN_DEQUEUED: return "was dequeued";
    case RUN_EXECUTING: return "is executing";
    case RUN_REATTEMPTING: return "keeps being retried";
    case RUN_WAITING: return "is waiting";
    case RUN_COMPLETED: return "succeeded";
    case RUN_FAILED: return "failed";
    case RUN_CRASHED: return "crashed";
    case RUN_SYSTEM_FAILURE: return "hit a system failure";
    case RUN_FAILED_TO_RUN: return "failed to run";
    case RUN_INTERRUPTED: return "was interrupted";
    case RUN_TIMED_OUT: return "timed out";
    case RUN_EXPIRED: return "expired before it ran";
    case RUN_CANCELED: return "was canceled";
    case RUN_UNKNOWN:
    case RUN_STATES: break;
    }
    return NULL;
}

/* Takes the next value off a key; the others are behind it. */
static void put_key_part(struct str *rest, struct strbuf *b)
{
    size_t at = 0;
    while (at < rest->n && rest->p[at] != '/') at += rest->p[at] == '\\' ? 2 : 1;
    for (size_t p = 0; p < at && p < rest->n; p++) {
        if (rest->p[p] == '\\' && p + 1 < at) p++;
        strbuf_char(b, rest->p[p]);
    }
    *rest = at < rest->n ? str_sub(*rest, at + 1, rest->n - at - 1) : STR("");
}

struct str incident_label(struct arena *a, const struct incident *i)
{
    const struct rule *r = i->rule->now;
    struct str rest = incident_key(i);
    struct strbuf b;
    struct str out;
    if (r->by_count == 0) return str_dup(a, incident_key(i)); /* what is handed out outlives the incident */
    strbuf_init(&b, CONTENT_CEILING);
    for (size_t k = 0; k < r->by_count; k++) {
        if (k > 0) strbuf_c(&b, ", ");
        strbuf_str(&b, r->by[k].text);
        strbuf_char(&b, '=');
        put_key_part(&rest, &b);
    }
    out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}

struct str incident_key_part(struct arena *a, const struct incident *i, enum rule_field_id id)
{
    const struct rule *r = i->rule->now;
    struct str rest = incident_key(i), out = STR_NONE;
    struct strbuf b;
    strbuf_init(&b, CONTENT_CEILING);
    for (size_t k = 0; k < r->by_count && str_absent(out); k++) {
        strbuf_clear(&b);
        put_key_part(&rest, &b);
        if (r->by[k].id == id) out = str_dup(a, strbuf_view(&b));
    }
    strbuf_fini(&b);
    return out;
}

static bool by_has(const struct rule *r, enum rule_field_id id)
{
    for (size_t k = 0; k < r->by_count; k++)
        if (r->by[k].id == id) return true;
    return false;
}

/* "task=(none)" tells nobody anything: deployments belong to no task. */
static struct str key_label(struct talk *t)
{
    bool by_task_alone = t->r->by_count == 1 && t->r->by[0].id == RULE_TASK;
    if (by_task_alone && t->d.run.task.n == 0 && kind_is(&t->d.run, "deployment")) return STR("deployments");
    return incident_label(t->a, t->i);
}

static struct str whose(struct talk *t)
{
    bool one_task = by_has(t->r, RULE_TASK) || by_has(t->r, RULE_RUN) || t->i->run_count <= 1;
    struct str who = one_task && t->d.run.task.n ? t->d.run.task : incident_label(t->a, t->i);
    return who.n ? who : t->i->rule->name;
}

/* What happened to what, for runs. */
static void run_title(struct talk *t, struct strbuf *b)
{
    struct incident *i = t->i;
    const char *verb = state_verb((enum run_state)i->last_state);
    strbuf_str(b, whose(t));
    if (i->run_count > 1) strbuf_printf(b, ": %u runs", i->run_count);
    if (verb)
        strbuf_printf(b, " %s", i->run_count > 1 && i->last_state == RUN_REATTEMPTING ? "keep being retried" : verb);
    else
        strbuf_printf(b, " is in state " STR_FMT, STR_ARG(t->d.run.spelling));
    if (incident_run_ended(i) && t->d.transition.state == RUN_REATTEMPTING) strbuf_c(b, " after being retried");
    if (i->last_state == RUN_REATTEMPTING && i->run_count <= 1 && t->d.transition.attempt > 0)
        strbuf_printf(b, ": attempt %lld", (long long)t->d.transition.attempt);
}

/* "render-video crashed", "render-video: 12 runs crashed (prod)", "send-invoice keeps being retried: attempt 4". */
/* "sync: 24% of 50 runs failed (limit over 20% of last 50 runs)". What a hit is when it is no failure, the rule's name tells. */
static void rate_title(struct talk *t, struct strbuf *b)
{
    uint32_t failures = 0;
    struct share s;
    for (uint32_t k = 0; k < RUN_STATES; k++)
        if (run_state_class((enum run_state)k) & RUN_CLASS_FAILED) failures |= 1u << k;
    strbuf_printf(b, STR_FMT ": ", STR_ARG(whose(t)));
    if (incident_share(t->c->e, t->i, &s)) strbuf_printf(b, "%.6g%% of %lld runs ", share_percent(s), (long long)s.runs);
    if (rule_states(t->r) & ~failures) strbuf_printf(b, "hit " STR_FMT, STR_ARG(t->r->name));
    else strbuf_c(b, "failed");
    strbuf_printf(b, " (limit " STR_FMT ")", STR_ARG(rule_condition_text(&t->r->condition, t->a)));
}

static struct str builtin_title(struct talk *t)
{
    struct incident *i = t->i;
    const char *verb = state_verb((enum run_state)i->last_state);
    struct str other = kind_title(t->a, &t->d.run, i->run_count, verb ? verb : "changed");
    struct strbuf b;
    struct str out;
    char text[TIMEFMT_SIZE];
    strbuf_init(&b, 4096);
    if (t->r->condition.kind == RULE_ABSENT) {
        strbuf_fini(&b);
        return absent_title(t->a, i, &t->d.absence);
    }
    if (t->r->condition.kind == RULE_FLAPS) strbuf_printf(&b, STR_FMT " flaps", STR_ARG(whose(t)));
    else if (t->r->condition.kind == RULE_RATE) rate_title(t, &b);
    else if (t->r->condition.kind == RULE_LASTS) lasts_title(i, whose(t), &b);
    else if (str_absent(other)) run_title(t, &b);
    else strbuf_str(&b, other);
    if (t->r->condition.of) {
        struct str span = duration_format(t->r->condition.window_ms, text);
        strbuf_printf(&b, " (%lld or more different " STR_FMT " in " STR_FMT ")", (long long)t->r->condition.n, STR_ARG(t->r->condition.of->text), STR_ARG(span));
    } else if (t->r->condition.kind == RULE_COUNT) {
        struct str span = duration_format(t->r->condition.window_ms, text);
        strbuf_printf(&b, " (%u %s, limit %lld in " STR_FMT ")", t->r->condition.of_runs ? i->run_count : i->hits,
                      t->r->condition.of_runs ? "runs" : "times", (long long)t->r->condition.n, STR_ARG(span));
    } else if (t->r->condition.kind == RULE_RATE || t->r->condition.kind == RULE_LASTS) {
        /* said already */
    } else if (t->r->condition.kind == RULE_FLAPS) {
        struct str span = duration_format(t->r->condition.window_ms, text);
        strbuf_printf(&b, " (%lld or more changes in " STR_FMT ")", (long long)t->r->condition.n, STR_ARG(span));
    } else if (t->r->condition.kind == RULE_FIRST) {
        struct str span = duration_format(t->r->condition.window_ms, text);
        strbuf_printf(&b, ", for the first time in " STR_FMT, STR_ARG(span));
    } else if (t->r->condition.kind == RULE_STREAK) {
        strbuf_printf(&b, " (%lld in a row)", (long long)t->r->condition.n);
    } else if (i->hits > i->run_count && i->hits > 1) {
        strbuf_printf(&b, " (%u times)", i->hits);
    }
    if (!str_eq_c(i->part->env, "default")) strbuf_printf(&b, " in " STR_FMT, STR_ARG(i->part->env));
    out = str_dup(t->a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}

static struct str builtin_body(struct talk *t)
{
    const struct run_error *e = &t->d.run.error;
    if (t->r->condition.kind == RULE_ABSENT) return absent_body(t->a, t->i, &t->d.absence);
    if (e->name.n && e->message.n) return str_printf(t->a, STR_FMT ": " STR_FMT, STR_ARG(e->name), STR_ARG(e->message));
    if (e->message.n) return e->message;
    return e->code.n ? e->code : e->name;
}

static struct str status_line(struct talk *t, const struct say *say)
{
    char text[TIMEFMT_SIZE];
    int64_t open_ms = t->c->now_ms - t->i->opened_ms;
    struct str span;
    switch (say->kind) {
    case MESSAGE_REMINDER:
        span = duration_human(open_ms, text);
        return str_printf(t->a, "STILL OPEN after " STR_FMT, STR_ARG(span));
    case MESSAGE_ESCALATION:
        span = duration_human(say->after_ms, text);
        return str_printf(t->a, "ESCALATED after " STR_FMT, STR_ARG(span));
    case MESSAGE_ACK:
        return say->reason.n ? str_printf(t->a, "ACKNOWLEDGED by " STR_FMT, STR_ARG(say->reason)) : STR("ACKNOWLEDGED");
    case MESSAGE_OPEN:
    case MESSAGE_UPDATE:
    case MESSAGE_RESOLVE:
    case MESSAGE_DIGEST:
    case MESSAGE_OPERATOR:
    case MESSAGE_DRILL:
    case MESSAGE_KINDS: break;
    }
    if (t->i->state == INCIDENT_RESOLVED) {
        span = duration_human(open_ms, text);
        return str_printf(t->a, "RESOLVED after " STR_FMT, STR_ARG(span));
    }
    return t->i->state == INCIDENT_ACKNOWLEDGED ? STR("ACKNOWLEDGED") : STR("OPEN");
}

/* --- fields ---------------------------------------------------------------------------------------------------------------- */
struct field_list { struct message_field v[FIELDS_MAX]; size_t n; };

static void add(struct talk *t, struct field_list *f, struct str name, struct str value, bool wide)
{
    if (value.n == 0 || f->n == FIELDS_MAX) return;
    f->v[f->n++] = (struct message_field){ name, text_truncate(t->a, value, FIELD_CHARS, TEXT_CHARS), wide };
}

static struct str tags_text(struct talk *t)
{
    struct strbuf b;
    struct str out;
    strbuf_init(&b, CONTENT_CEILING);
    for (size_t k = 0; k < t->d.run.tag_count && k < TAGS_SHOWN; k++) {
        if (k) strbuf_c(&b, ", ");
        strbuf_str(&b, t->d.run.tags[k]);
    }
    out = str_dup(t->a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}

static void builtin_fields(struct talk *t, struct field_list *f)
{
    const struct run *run = &t->d.run;
    struct message_field others[KIND_FIELDS_MAX];
    size_t n = kind_fields(t->a, run, others);
    add(t, f, STR("Task"), run->task, false);
    if (n == 0) add(t, f, STR("Run"), run->id, false);
    for (size_t k = 0; k < n; k++) add(t, f, others[k].name, others[k].value, others[k].wide);
    if (!by_has(t->r, RULE_TASK) && !by_has(t->r, RULE_RUN)) add(t, f, STR("Key"), incident_label(t->a, t->i), false);
    if (t->r->condition.kind == RULE_LASTS) add(t, f, STR("Since"), lasts_since(t->a, t->i, t->d.transition.event_ms), false);
    if (n == 0 && t->r->condition.kind == RULE_LASTS && t->i->run_count > 1) add(t, f, STR("Runs"), lasts_runs_text(t->a, t->i), false);
    else if (n == 0 && t->i->run_count > 1) add(t, f, STR("Runs"), str_printf(t->a, "%u", t->i->run_count), false);
    if (t->d.transition.attempt > 1) add(t, f, STR("Attempt"), str_printf(t->a, "%lld", (long long)t->d.transition.attempt), false);
    add(t, f, STR("Version"), run->version, false);
    add(t, f, STR("Queue"), run->queue, false);
    add(t, f, STR("Machine"), run->machine, false);
    add(t, f, STR("Tags"), tags_text(t), true);
}

static void own_fields(struct talk *t, struct field_list *f)
{
    for (size_t k = 0; k < t->r->field_count; k++)
        add(t, f, t->r->fields[k].name, render(t, t->r->fields[k].value, STR("(template failed)")), false);
}

static struct json labels(struct talk *t)
{
    struct json_draft d;
    struct json_writer *w;
    struct json out = { 0 };
    if (t->r->label_count == 0) return out;
    w = json_draft_begin(&d, CONTENT_CEILING);
    json_object_begin(w);
    for (size_t k = 0; k < t->r->label_count; k++) {
        json_put_key(w, t->r->labels[k].name);
        json_put_str(w, text_truncate(t->a, render(t, t->r->labels[k].value, STR("")), FIELD_CHARS, TEXT_CHARS));
    }
    json_object_end(w);
    if (json_parse(t->a, json_draft_end(&d, t->a), &json_own_limits, &out, NULL, t->c->err) < 0) out = (struct json){ 0 };
    return out;
}

/* --- whole messages ----------------------------------------------------------------------------------------------------------- */
static int talk_begin(struct talk *t, struct step_context *c, struct incident *i)
{
    *t = (struct talk){ .c = c, .a = c->out->arena, .i = i, .r = i->rule->now, .note = STR_NONE };
    if (detail_get(c, i, &t->d) < 0) return -1;
    rule_subject_init(&t->s, t->a, &t->d.run, &t->d.transition, c->now_ms);
    t->note = t->d.note;
    return 0;
}

static struct str title_of(struct talk *t)
{
    struct str title = render(t, t->r->title, builtin_title(t));
    return text_truncate(t->a, str_trim(title), TITLE_CHARS, TEXT_CHARS);
}

struct str content_title(struct step_context *c, struct incident *i)
{
    struct talk t;
    if (talk_begin(&t, c, i) < 0) return STR("");
    return title_of(&t);
}

static struct str write_message(struct arena *a, const struct message *m)
{
    struct json_draft d;
    message_write(m, json_draft_begin(&d, CONTENT_CEILING));
    if (!strbuf_ok(&d.text)) { /* rather the bare fact than nothing */
        struct message bare = *m;
        bare.field_count = 0;
        bare.labels = (struct json){ 0 };
        bare.reason = bare.link = STR_NONE;
        strbuf_fini(&d.text);
        message_write(&bare, json_draft_begin(&d, CONTENT_CEILING));
    }
    return json_draft_end(&d, a);
}

static struct str joined_notes(struct arena *a, struct str one, struct str other)
{
    if (!one.n || !other.n) return one.n ? one : other;
    return str_printf(a, STR_FMT "; " STR_FMT, STR_ARG(one), STR_ARG(other));
}

static void set_lateness(struct talk *t, const struct say *say, struct message *m)
{
    char text[TIMEFMT_SIZE];
    struct str span;
    if (say->kind == MESSAGE_OPEN && t->i->hold && t->i->hold->held_ms > 0) {
        span = duration_human(t->i->hold->held_ms, text);
        t->note = joined_notes(t->a, str_printf(t->a, "held for " STR_FMT ": %s", STR_ARG(span), t->i->hold->why ? t->i->hold->why : ""), t->note);
    }
    if (say->note.n) t->note = joined_notes(t->a, say->note, t->d.note);
    if (t->c->overdue_ms > 0) {
        span = duration_human(t->c->overdue_ms, text);
        t->note = t->r->condition.kind == RULE_ABSENT && say->kind == MESSAGE_OPEN
                      ? absent_lateness(t->a, t->c->overdue_ms)
                      : str_printf(t->a, "sent " STR_FMT " later than due: runbell was not running", STR_ARG(span));
    }
    if (say->kind == MESSAGE_OPEN || say->kind == MESSAGE_ESCALATION) t->note = joined_notes(t->a, t->note, confirm_note(t->a, t->i));
    if (!t->i->late || (say->kind != MESSAGE_OPEN && say->kind != MESSAGE_ESCALATION)) return;
    m->late = true;
    span = duration_human(t->c->now_ms - t->i->last_event_ms, text);
    m->late_by = str_dup(t->a, span);
}

static struct str incident_link(struct talk *t)
{
    char id[ID_SIZE];
    struct str base = t->c->e->public_url, inc = id_format("inc", t->i->id, id);
    if (base.n == 0) return STR_NONE;
    return str_printf(t->a, STR_FMT "%sv1/incidents/" STR_FMT, STR_ARG(base), str_ends(base, STR("/")) ? "" : "/", STR_ARG(inc));
}

struct str content_incident(struct step_context *c, struct incident *i, const struct say *say, uint64_t message_id)
{
    struct talk t;
    struct field_list fields = { .n = 0 };
    char id[ID_SIZE];
    struct str inc = id_format("inc", i->id, id);
    struct message m = {
        .kind = say->kind, .id = message_id, .incident = i->id, .rule = i->rule->name, .project = i->part->project,
        .env = i->part->env, .resolved = i->state == INCIDENT_RESOLVED, .acknowledged = i->state == INCIDENT_ACKNOWLEDGED,
        .reason = say->reason, .at_ms = c->now_ms, .opened_ms = i->opened_ms, .hits = i->hits, .runs = i->run_count,
    };
    if (talk_begin(&t, c, i) < 0) return STR_NONE;
    m.key = key_label(&t);
    m.dedup = str_printf(t.a, "runbell-" STR_FMT, STR_ARG(inc)); /* a new id each time it opens: the epoch */
    m.severity = (enum severity)t.r->severity;
    m.title = title_of(&t);
    m.body = text_truncate(t.a, render(&t, t.r->body, builtin_body(&t)), BODY_CHARS, TEXT_CHARS);
    m.status_line = status_line(&t, say);
    if (t.r->field_count)
        own_fields(&t, &fields);
    else
        builtin_fields(&t, &fields);
    m.fields = fields.v;
    m.field_count = fields.n;
    m.run = t.d.run.id;
    m.task = t.d.run.task;
    m.link = run_link(&t);
    m.incident_link = incident_link(&t);
    m.runbook = t.r->runbook;
    m.labels = labels(&t);
    set_lateness(&t, say, &m);
    m.note = t.note;
    return write_message(t.a, &m);
}

struct str content_digest(struct step_context *c, struct digest *d, enum message_kind kind, bool resolved, uint64_t message_id)
{
    struct arena *a = c->out->arena;
    struct strbuf b;
    char id[ID_SIZE], text[TIMEFMT_SIZE];
    struct str dig = id_format("dig", d->id, id), span = duration_human(c->now_ms - d->opened_ms, text);
    struct message m = {
        .kind = kind, .id = message_id, .rule = STR("digest"), .key = d->place->name,
        .project = d->part->project, .env = d->part->env, .severity = (enum severity)d->severity, .resolved = resolved,
        .at_ms = c->now_ms, .opened_ms = d->opened_ms, .hits = d->total, .runs = 0,
    };
    m.dedup = str_printf(a, "runbell-" STR_FMT, STR_ARG(dig));
    m.title = str_printf(a, d->held ? "%lld incidents were held, %lld still open" : "%lld more incidents, %lld still open", (long long)d->total, (long long)d->open);
    m.status_line = resolved ? str_printf(a, "RESOLVED after " STR_FMT, STR_ARG(span)) : STR("DIGEST");
    strbuf_init(&b, CONTENT_CEILING);
    strbuf_c(&b, d->held ? "They were held back until now, so told together:\n" : "Over the limit for this destination, so told together:\n");
    for (size_t k = 0; k < d->titles.n; k++) strbuf_printf(&b, "- " STR_FMT "\n", STR_ARG(d->titles.v[k]));
    if ((size_t)d->total > d->titles.n) strbuf_printf(&b, "- and %lld more\n", (long long)d->total - (long long)d->titles.n);
    m.body = str_dup(a, str_trim(strbuf_view(&b)));
    strbuf_fini(&b);
    return write_message(a, &m);
}
