#include "cli/check_live.h"

#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"

enum { LIVE_MS = 15000, SHOWN_MAX = 5 };

static const char *what_is(enum rule_field_id id)
{
    switch ((int)id) { /* those that are named (rule/names.c) */
    case RULE_TASK: return "task";
    case RULE_TAGS: return "tag";
    case RULE_QUEUE: return "queue";
    default: return "environment";
    }
}

/* --- the warning ----------------------------------------------------------------------------------------------- */
static struct str list_few(struct arena *a, const struct seen_field *f)
{
    struct str text = STR("");
    for (size_t k = 0; k < f->list.n; k++) text = str_printf(a, STR_FMT "%s`" STR_FMT "`", STR_ARG(text), k ? ", " : "", STR_ARG(f->list.v[k]));
    return text;
}

static struct str hint_for(struct arena *a, const struct seen *s, const struct rule_named *n)
{
    const struct seen_field *f = seen_field_of(s, n->field);
    struct str nearest = seen_nearest(s, n);
    if (f->list.n == 0) return str_printf(a, "no event of the log names a %s at all", what_is(n->field));
    if (!str_absent(nearest)) return str_printf(a, "the nearest that was seen is `" STR_FMT "`", STR_ARG(nearest));
    if (f->list.n <= SHOWN_MAX) return str_printf(a, "seen: " STR_FMT, STR_ARG(list_few(a, f)));
    return STR_NONE;
}

static void warn(struct diags *d, const struct seen *s, const struct rule_named *n)
{
    struct str scope = s->cut_short ? str_printf(d->arena, "among the newest %llu events", (unsigned long long)s->events) : STR("in the log");
    struct diag *one = diag_add(d, DIAG_WARNING, n->file, n->line, n->col, n->glob ? "no %s " STR_FMT " fits `" STR_FMT "`" : "no %s " STR_FMT " is called `" STR_FMT "`",
                                what_is(n->field), STR_ARG(scope), STR_ARG(n->text));
    one->width = (uint32_t)n->text.n;
    one->hint = hint_for(d->arena, s, n);
}

int check_live(const struct config *c, const struct config *from, struct diags *d, struct seen *seen)
{
    struct arena a = { 0 };
    struct err err;
    struct store_reader *r = store_reader_open(str_dup_c(&a, secret_reveal(&from->store.url)), from->dir.p, &err);
    int rc = r ? seen_read(seen, c->rules, r, clock_mono(clock_system()).ms + LIVE_MS, &err) : -1;
    if (rc < 0) fprintf(stderr, "runbell check: %s\n", err.msg);
    if (r) r->ops->close(&r);
    arena_fini(&a);
    if (rc < 0) return EXIT_UNREACHED;
    for (size_t k = 0; k < seen->wanted_count && seen->events > 0; k++)
        if (!seen->wanted[k].found) warn(d, seen, &seen->wanted[k].named);
    return EXIT_FINE;
}

/* --- the summary ------------------------------------------------------------------------------------------------ */
void check_live_print(const struct seen *s)
{
    if (s->wanted_count == 0)
        printf("live: the rules name no task, tag, queue or environment\n");
    else if (s->events == 0)
        printf("live: the store has no events yet: nothing to compare the rules with\n");
    else
        printf("live: %zu of %zu names in the rules were seen in the newest %llu events%s\n", s->wanted_count - s->missing, s->wanted_count,
               (unsigned long long)s->events, s->cut_short ? "; there was no time for older ones" : s->missing ? ", which is all of the log" : "");
}

static void put_unseen(const struct seen *s, const struct rule_named *n, struct json_writer *w)
{
    json_object_begin(w);
    json_field_str(w, "what", str_c(what_is(n->field)));
    json_field_str(w, "name", n->text);
    json_field_bool(w, "glob", n->glob);
    if (n->rule) json_field_str(w, "rule", n->rule->name);
    json_field_str(w, "file", str_c(n->file));
    json_field_i64(w, "line", n->line);
    json_field_i64(w, "col", n->col);
    json_field_opt(w, "nearest", seen_nearest(s, n));
    json_object_end(w);
}

void check_live_write(const struct seen *s, struct json_writer *w)
{
    static const char *const names[SEEN_FIELDS] = { [SEEN_TASKS] = "tasks", [SEEN_TAGS] = "tags", [SEEN_QUEUES] = "queues", [SEEN_ENVS] = "envs" };
    json_object_begin(w);
    json_field_i64(w, "events", (int64_t)s->events);
    if (s->oldest_ms) json_field_time(w, "since", s->oldest_ms);
    json_field_bool(w, "cut_short", s->cut_short);
    json_put_key(w, STR("distinct"));
    json_object_begin(w);
    for (size_t k = 0; k < SEEN_FIELDS; k++) json_field_i64(w, names[k], (int64_t)s->fields[k].list.n);
    json_object_end(w);
    json_field_i64(w, "names", (int64_t)s->wanted_count);
    json_put_key(w, STR("unseen"));
    json_array_begin(w);
    for (size_t k = 0; k < s->wanted_count && s->events > 0; k++)
        if (!s->wanted[k].found) put_unseen(s, &s->wanted[k].named, w);
    json_array_end(w);
    json_object_end(w);
}
