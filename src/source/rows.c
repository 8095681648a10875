#include "source/rows.h"

#include "base/timefmt.h"

const char row_columns[] = "run_id, environment, status, attempt_count, task_identifier, queue, batch_id, root_run_id, parent_run_id, region, "
                           "triggered_at, dequeued_at, completed_at, delay_until, total_cost, error, tags, task_version, machine, is_test";

/* --- states -------------------------------------------------------------------------------------------- */
const char *const *row_titles(enum run_state s)
{
    static const char *const titles[RUN_STATES][4] = {
        [RUN_DELAYED] = { "Delayed" }, [RUN_QUEUED] = { "Queued" }, [RUN_PENDING_VERSION] = { "Pending version" },
        [RUN_DEQUEUED] = { "Dequeued" }, [RUN_EXECUTING] = { "Executing" }, [RUN_REATTEMPTING] = { "Reattempting" },
        [RUN_WAITING] = { "Waiting", "Paused" }, [RUN_COMPLETED] = { "Completed" }, [RUN_FAILED] = { "Failed" },
        [RUN_CRASHED] = { "Crashed" }, [RUN_SYSTEM_FAILURE] = { "System failure" }, [RUN_INTERRUPTED] = { "Interrupted" },
        [RUN_TIMED_OUT] = { "Timed out" }, [RUN_EXPIRED] = { "Expired" }, [RUN_CANCELED] = { "Canceled" },
    };
    return titles[s][0] ? titles[s] : NULL;
}

/* --- writing SQL --------------------------------------------------------------------------------------- */
struct str row_time(struct arena *a, int64_t wall_ms)
{
    char text[TIMEFMT_SIZE];
    struct str s = time_format(wall_ms, text);
    return str_printf(a, STR_FMT " " STR_FMT, STR_ARG(str_sub(s, 0, 10)), STR_ARG(str_sub(s, 11, 12)));
}

void row_quote(struct strbuf *out, struct str text)
{
    strbuf_char(out, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'' || text.p[i] == '\\') strbuf_char(out, '\\');
        strbuf_char(out, text.p[i]);
    }
    strbuf_char(out, '\'');
}

/* --- reading ------------------------------------------------------------------------------------------- */
struct reading {
    struct arena *a;
    struct json row;
    struct run *run;
};

static struct str text_in(const struct reading *r, const char *column, uint32_t bit)
{
    struct str s = json_scalar(json_get_c(r->row, column));
    if (s.n == 0) return STR_NONE;
    r->run->present |= bit;
    return s;
}

static int64_t time_in(const struct reading *r, const char *column, uint32_t bit)
{
    struct str s = json_str(json_get_c(r->row, column));
    int64_t ms;
    if (s.n == 0) return RUN_TIME_NONE;
    if (!time_parse(s, &ms) && !time_parse(str_printf(r->a, STR_FMT "Z", STR_ARG(s)), &ms)) return RUN_TIME_NONE;
    if (ms <= 0) return RUN_TIME_NONE; /* how an analytics store writes "never" */
    r->run->present |= bit;
    return ms;
}

/* Numbers come as such, or as text where they are wide. */
static bool number_in(const struct reading *r, const char *column, double *out)
{
    struct str s = json_scalar(json_get_c(r->row, column));
    return s.n > 0 && str_to_f64(s, out);
}

static void read_tags(const struct reading *r)
{
    struct json list = json_get_c(r->row, "tags");
    size_t n = json_count(list);
    r->run->present |= RUN_HAS_TAGS; /* none is an answer, too */
    if (json_kind(list) != JSON_ARRAY || n == 0) return;
    r->run->tags = ARENA_ARRAY(r->a, struct str, n);
    for (struct json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v))
        if (json_kind(v) == JSON_STRING && json_str(v).n <= RUN_NAME_MAX) r->run->tags[r->run->tag_count++] = json_str(v);
}

/* The stored error, an object or, in some versions, its text: run_decode knows all its shapes. */
static void read_error(const struct reading *r)
{
    struct json v = json_get_c(r->row, "error");
    struct json_draft d;
    struct json_writer *w;
    struct json root;
    struct run whole;
    struct err err;
    if (json_count(v) == 0 && json_str(v).n == 0) return;
    w = json_draft_begin(&d, 1 << 20);
    json_object_begin(w);
    json_field_str(w, "id", STR("run_x"));
    json_field_str(w, "status", STR("FAILED"));
    json_put_key(w, STR("error"));
    json_put_value(w, v);
    json_object_end(w);
    if (json_parse(r->a, json_draft_end(&d, r->a), &json_own_limits, &root, NULL, &err) < 0) return;
    run_init(&whole);
    if (run_decode(r->a, root, &whole, &err) < 0 || !(whole.present & RUN_HAS_ERROR)) return;
    r->run->error = whole.error;
    r->run->present |= RUN_HAS_ERROR;
}

static void read_names(const struct reading *r)
{
    struct run *run = r->run;
    run->task = text_in(r, "task_identifier", RUN_HAS_TASK);
    run->env = text_in(r, "environment", 0);
    run->queue = text_in(r, "queue", RUN_HAS_QUEUE);
    run->batch = text_in(r, "batch_id", RUN_HAS_BATCH);
    run->root = text_in(r, "root_run_id", RUN_HAS_ROOT);
    run->parent = text_in(r, "parent_run_id", RUN_HAS_PARENT);
    run->region = text_in(r, "region", RUN_HAS_REGION);
    run->version = text_in(r, "task_version", RUN_HAS_VERSION);
    run->machine = text_in(r, "machine", RUN_HAS_MACHINE);
}

static void read_numbers(const struct reading *r)
{
    struct run *run = r->run;
    struct str test = json_scalar(json_get_c(r->row, "is_test"));
    double n;
    if (number_in(r, "attempt_count", &n) && n >= 0 && n <= RUN_ATTEMPT_MAX) {
        run->attempt_count = (int64_t)n;
        run->present |= RUN_HAS_ATTEMPT;
    }
    if (number_in(r, "total_cost", &n)) {
        run->cost_cents = n * 100;
        run->present |= RUN_HAS_COST;
    }
    if (test.n == 0) return;
    run->test = str_eq_c(test, "1") || str_eq_c(test, "true");
    run->present |= RUN_HAS_TEST;
}

static void read_times(const struct reading *r)
{
    struct run *run = r->run;
    run->created_ms = time_in(r, "triggered_at", RUN_HAS_CREATED);
    run->started_ms = time_in(r, "dequeued_at", RUN_HAS_STARTED);
    run->delayed_ms = time_in(r, "delay_until", RUN_HAS_DELAYED);
    run->finished_ms = time_in(r, "completed_at", RUN_HAS_FINISHED);
}

int row_decode(struct arena *a, struct json row, struct run *out, struct err *err)
{
    struct reading r = { a, row, out };
    run_init(out);
    out->kind = STR("run");
    if (json_kind(row) != JSON_OBJECT) return err_set(err, ERR_TYPE, "a row is no object");
    out->id = text_in(&r, "run_id", 0);
    out->spelling = text_in(&r, "status", RUN_HAS_STATE);
    if (out->id.n < 1 || out->id.n > 128) return err_set(err, ERR_TYPE, "run_id is missing or has more than 128 characters");
    for (size_t i = 0; i < out->id.n; i++)
        if (out->id.p[i] <= ' ' || out->id.p[i] > '~') return err_set(err, ERR_TYPE, "run_id is not printable ASCII");
    if (out->spelling.n < 1 || out->spelling.n > 128) return err_set(err, ERR_TYPE, "status is missing or has more than 128 bytes");
    out->state = run_state_parse(out->spelling);
    read_names(&r);
    read_times(&r);
    read_numbers(&r);
    read_tags(&r);
    read_error(&r);
    return 0;
}
