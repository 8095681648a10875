#include "source/list_page.h"

#include <string.h>

#include "base/log.h"

enum { NAMES_BYTES = 2000 /* three bytes each when encoded, and servers take 16 KB of head */, PATH_MOST = 1 << 20, PAGES_SHRINK = 4 };

/* Every name that filter[status] takes (2.1), and the state it stands for. A server that does not know one says so; it
 * is left out then. */
static const struct { const char *name; enum run_state state; } filters[] = {
    { "DELAYED", RUN_DELAYED }, { "QUEUED", RUN_QUEUED }, { "PENDING_VERSION", RUN_PENDING_VERSION }, { "WAITING_FOR_DEPLOY", RUN_PENDING_VERSION },
    { "DEQUEUED", RUN_DEQUEUED }, { "EXECUTING", RUN_EXECUTING }, { "REATTEMPTING", RUN_REATTEMPTING }, { "WAITING", RUN_WAITING },
    { "FROZEN", RUN_WAITING }, { "COMPLETED", RUN_COMPLETED }, { "FAILED", RUN_FAILED }, { "CRASHED", RUN_CRASHED },
    { "SYSTEM_FAILURE", RUN_SYSTEM_FAILURE }, { "INTERRUPTED", RUN_INTERRUPTED }, { "TIMED_OUT", RUN_TIMED_OUT }, { "EXPIRED", RUN_EXPIRED },
    { "CANCELED", RUN_CANCELED },
};
enum { FILTERS = sizeof filters / sizeof *filters };

/* With the version header the old INTERRUPTED is shown as FAILED, and found by its own name only. */
static uint32_t widened(uint32_t states)
{
    return states >> RUN_FAILED & 1 ? states | 1u << RUN_INTERRUPTED : states;
}

/* --- the request --------------------------------------------------------------------------------------- */
static void add_param(struct strbuf *b, const char *name, struct str value)
{
    strbuf_c(b, strbuf_view(b).p[b->n - 1] == '?' ? "" : "&");
    api_encode(b, str_c(name));
    strbuf_char(b, '=');
    api_encode(b, value);
}

static void add_names(struct strbuf *b, struct arena *a, const char *name, const struct rule_names *names)
{
    struct strbuf list;
    if (names->all || names->n == 0 || names_bytes(names) > NAMES_BYTES) return;
    strbuf_init(&list, PATH_MOST);
    for (size_t k = 0; k < names->n; k++) {
        if (str_find(names->v[k], ',', 0) < names->v[k].n) { /* a comma parts names: such a one cannot be asked for */
            strbuf_fini(&list);
            return;
        }
        if (k) strbuf_char(&list, ',');
        strbuf_str(&list, names->v[k]);
    }
    add_param(b, name, str_dup(a, strbuf_view(&list)));
    strbuf_fini(&list);
}

static bool add_states(struct poll *p, struct strbuf *b, const struct list_query *q)
{
    struct strbuf list;
    uint32_t states = widened(q->states);
    strbuf_init(&list, 1024);
    for (unsigned k = 0; k < FILTERS; k++) {
        if (!(run_state_class(filters[k].state) & q->class) || !(states >> filters[k].state & 1) || p->refused_states >> k & 1) continue;
        strbuf_printf(&list, "%s%s", list.n ? "," : "", filters[k].name);
    }
    if (list.n) add_param(b, "filter[status]", strbuf_view(&list));
    states = list.n > 0;
    strbuf_fini(&list);
    return states;
}

static void add_number(struct strbuf *b, struct arena *a, const char *name, int64_t n)
{
    add_param(b, name, str_printf(a, "%lld", (long long)n));
}

/* STR_NONE: there is no state to ask for. */
static struct str path_of(struct poll *p, const struct list_query *q, const struct list_cursor *at)
{
    const struct config_trigger_api *s = &p->source->api;
    struct str path = STR_NONE;
    struct strbuf b;
    strbuf_init(&b, PATH_MOST);
    if (str_absent(s->project_ref)) {
        strbuf_c(&b, "/api/v1/runs?");
    } else {
        strbuf_c(&b, "/api/v1/projects/");
        api_encode(&b, s->project_ref);
        strbuf_c(&b, "/runs?");
        add_param(&b, "filter[env]", p->source->env);
    }
    if (add_states(p, &b, q)) {
        add_number(&b, &p->arena, "page[size]", (int64_t)p->page_size);
        add_number(&b, &p->arena, "filter[createdAt][from]", q->from_ms);
        if (q->to_ms != RUN_TIME_NONE) add_number(&b, &p->arena, "filter[createdAt][to]", q->to_ms);
        if (!q->all) add_names(&b, &p->arena, "filter[taskIdentifier]", &p->demand.tasks);
        if (!q->all) add_names(&b, &p->arena, "filter[tag]", &p->demand.tags);
        if (at->n) add_param(&b, "page[after]", (struct str){ at->text, at->n });
        path = str_dup(&p->arena, strbuf_view(&b));
    }
    strbuf_fini(&b);
    return path;
}

/* --- the answer ---------------------------------------------------------------------------------------- */
/* "Invalid status values: X, Y": an older server. Leaves them out from now on. */
static bool drop_refused(struct poll *p, struct str words)
{
    uint32_t before = p->refused_states;
    size_t at = str_find_str(words, STR("Invalid status values"));
    struct str rest = str_sub(words, at + sizeof "Invalid status values:" - 1, words.n), part;
    if (at == words.n) return false;
    while (str_split(&rest, ',', &part))
        for (unsigned k = 0; k < FILTERS; k++)
            if (str_eq_c(str_trim(part), filters[k].name)) p->refused_states |= 1u << k;
    if (p->refused_states != before) log_info("source.states_left_out", LOG_S("source", p->name), LOG_S("server", words));
    return p->refused_states != before;
}

static int cursor_read(struct list_cursor *at, struct json root, struct err *err)
{
    struct str next = json_str(json_get_c(json_get_c(root, "pagination"), "next"));
    at->over = next.n == 0;
    if (at->over) return 0;
    if (next.n > sizeof at->text) return err_set(err, ERR_IO, "the list's cursor has %zu bytes", next.n);
    if (str_eq(next, (struct str){ at->text, at->n })) return err_set(err, ERR_IO, "the list's cursor does not move on");
    memcpy(at->text, next.p, next.n);
    at->n = next.n;
    return 0;
}

enum api_outcome list_answer(struct json root, struct list_cursor *at, struct json *items, struct err *err)
{
    *items = json_get_c(root, "data");
    if (json_kind(*items) == JSON_ARRAY) return cursor_read(at, root, err) < 0 ? API_FAILED : API_OK;
    err_set(err, ERR_IO, "the list's answer has no `data`");
    return API_FAILED;
}

enum api_outcome list_page(struct poll *p, const struct list_query *q, struct list_cursor *at, struct json *items, struct err *err)
{
    struct api_answer answer;
    enum api_outcome outcome;
    for (;;) {
        struct str path = path_of(p, q, at);
        *items = (struct json){ 0 };
        at->over = true;
        if (str_absent(path)) return API_OK;
        outcome = api_call(&p->api, &p->arena, path, STR_NONE, &answer, err);
        if (outcome == API_BAD_REQUEST && drop_refused(p, str_c(err->msg))) continue;
        if (outcome == API_TOO_LARGE && p->page_size > 1) {
            p->page_size = p->page_size > PAGES_SHRINK ? p->page_size / PAGES_SHRINK : 1;
            log_info("source.smaller_pages", LOG_S("source", p->name), LOG_I("page_size", (int64_t)p->page_size));
            continue;
        }
        break;
    }
    if (outcome != API_OK) return outcome;
    if (at->n == 0) at->asked_ms = answer.server_ms;
    p->server_ms = answer.server_ms;
    outcome = list_answer(answer.root, at, items, err);
    if (outcome != API_OK) p->api.usage.failed++;
    return outcome;
}
