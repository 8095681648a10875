/* backtest: what rules would have sent over the log of a store. Reads the file; needs no server and disturbs none. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/timefmt.h"
#include "cli/cli.h"
#include "cli/from_api.h"
#include "cli/table.h"
#include "replay/backtest.h"

const char backtest_help[] =
    "Folds the log of the configuration's store through its rules, on the log's own clock, and says what would have been\n"
    "sent: timers fire as they would have, every message counts as delivered, nobody acknowledges anything. The server may\n"
    "run meanwhile; nothing is written and nobody is told. --rules tries the rules of another file with the configuration's\n"
    "sources and destinations. --compare OLD NEW shows what a change adds and removes; each is a file of rules or a whole\n"
    "configuration. Rules begin --warm-up before --since, so that windows and open incidents are as they were.\n"
    "--from-api SOURCE folds what Trigger.dev's API tells of that time instead: runs that ended, read within the source's\n"
    "budget of requests into a store of their own, which is removed afterwards. The configuration's store is left alone.";

enum { LIST_MAX = 10000, SHOWN_MAX = 20, BAR_WIDTH = 40, DRAW_EVERY_MS = 100, FILE_CEILING = 16 << 20, SVG_CEILING = 16 << 20 };

struct bar { int64_t from_ms, until_ms, next_ms; bool shown; };
struct options {
    struct bar *bar;
    const char *config, *since, *rules, *warm_up, *svg, *from_api;
    bool json, compare, by_event_time;
    int64_t since_ms, warm_up_ms; /* warm_up_ms -1: as the rules want it */
    int64_t now_ms;
};

/* --- what is read -------------------------------------------------------------------------------------------------- */
/* Does the file have destinations of its own? Then it is a whole configuration. */
static bool is_configuration(const char *path)
{
    struct arena a = { 0 };
    struct diags d;
    struct str text;
    struct err err;
    const struct yaml_node *top = NULL;
    bool whole = false;
    diags_init(&d, &a);
    if (file_read(&a, path, FILE_CEILING, &text, &err) == 0) top = yaml_read(&a, path, text, &d);
    if (top && top->kind == YAML_MAP) whole = yaml_get(top, "destinations") != NULL;
    diags_fini(&d);
    arena_fini(&a);
    return whole;
}

/* The configuration with the rules of a file (NULL: its own), or NULL after saying why. */
static struct config *load(const char *path, const char *rules, int *status)
{
    bool whole = rules && is_configuration(rules);
    return config_asked(&(struct config_ask){ .path = whole ? rules : path, .rules = whole ? NULL : rules, .check_only = true, .quiet = true }, status);
}

static int64_t warm_up_of(const struct options *o, const struct config *c)
{
    return o->warm_up_ms >= 0 ? o->warm_up_ms : backtest_warm_up(c->rules);
}

/* The log of the configuration's store, or what the API of one of its sources tells. */
struct log { struct store_reader *reader; struct from_api api; };

static int open_stored(struct log *l, const struct config *c)
{
    struct arena a = { 0 };
    struct err err;
    l->reader = store_reader_open(str_dup_c(&a, secret_reveal(&c->store.url)), c->dir.p, &err);
    if (!l->reader) fprintf(stderr, "runbell backtest: %s\n", err.msg);
    arena_fini(&a);
    return l->reader ? EXIT_FINE : EXIT_UNREACHED;
}

/* of: whose rules are to be folded over it. 0, or an exit status after saying why; close_log in either case. */
static int open_log(struct log *l, const struct options *o, struct config *c, struct config *const *of, size_t n)
{
    const struct ruleset *rules[2];
    struct from_api_ask ask = { .config = c, .source = o->from_api, .since_ms = o->now_ms - o->since_ms, .rules = rules, .rule_sets = n };
    int64_t warm_up_ms = 0;
    int status;
    *l = (struct log){ .reader = NULL };
    if (!o->from_api) return open_stored(l, c);
    for (size_t k = 0; k < n; k++) {
        rules[k] = of[k]->rules;
        if (warm_up_of(o, of[k]) > warm_up_ms) warm_up_ms = warm_up_of(o, of[k]);
    }
    ask.since_ms -= warm_up_ms;
    status = from_api_open(&l->api, &ask);
    l->reader = l->api.reader;
    return status;
}

static void close_log(struct log *l, const struct options *o)
{
    if (o->from_api) from_api_close(&l->api);
    else if (l->reader) l->reader->ops->close(&l->reader);
}

static bool draw(void *ctx, int64_t at_ms, uint64_t events)
{
    struct bar *b = ctx;
    int64_t now_ms = clock_mono(clock_system()).ms, percent;
    if (now_ms < b->next_ms) return true;
    b->next_ms = now_ms + DRAW_EVERY_MS;
    b->shown = true;
    percent = at_ms <= b->from_ms ? 0 : at_ms >= b->until_ms ? 100 : (at_ms - b->from_ms) * 100 / (b->until_ms - b->from_ms);
    fprintf(stderr, "\r[");
    for (int k = 0; k < BAR_WIDTH; k++) fputc(k < percent * BAR_WIDTH / 100 ? '#' : '.', stderr);
    fprintf(stderr, "] %3lld%%  %llu events ", (long long)percent, (unsigned long long)events);
    return true;
}

/* 0, or an exit status after saying why. */
static int fold(struct backtest *b, const struct options *o, const struct config *c, struct store_reader *r)
{
    int64_t warm_up_ms = warm_up_of(o, c);
    struct err err = { 0 };
    int rc;
    *o->bar = (struct bar){ .from_ms = o->now_ms - o->since_ms - warm_up_ms, .until_ms = o->now_ms };
    backtest_init(b, c, o->now_ms - o->since_ms, o->now_ms);
    b->as_it_happened = o->by_event_time || o->from_api; /* it all came now */
    if (isatty(STDERR_FILENO)) {
        b->page = draw;
        b->page_ctx = o->bar;
    }
    rc = backtest_read(b, r, warm_up_ms, &err);
    if (o->bar->shown) fprintf(stderr, "\r%*s\r", BAR_WIDTH + 40, "");
    if (rc == 0) return EXIT_FINE;
    fprintf(stderr, "runbell backtest: %s\n", err.msg);
    return EXIT_UNREACHED;
}

/* --- what is shown --------------------------------------------------------------------------------------------------- */
static void number(struct table *t, uint64_t n)
{
    table_cell(t, n ? str_printf(&t->arena, "%llu", (unsigned long long)n) : STR(""));
}

static void moment(struct table *t, int64_t at_ms)
{
    char text[TIMEFMT_SIZE];
    table_cell(t, at_ms ? str_sub(time_format(at_ms, text), 0, 19) : STR(""));
}

static void add_line(struct table *t, const struct backtest_line *line)
{
    bool own = str_absent(line->destination);
    table_cell(t, line->rule.n ? line->rule : STR("(digests)"));
    table_cell(t, own ? STR("") : line->destination);
    number(t, own ? line->openings : line->sent[MESSAGE_OPEN]);
    number(t, own ? 0 : line->sent[MESSAGE_UPDATE]);
    number(t, own ? 0 : line->sent[MESSAGE_REMINDER]);
    number(t, own ? 0 : line->sent[MESSAGE_ESCALATION]);
    number(t, own ? line->resolves : line->sent[MESSAGE_RESOLVE]);
    number(t, own ? line->limited : line->sent[MESSAGE_DIGEST]);
    moment(t, line->first_ms);
    moment(t, line->last_ms);
}

static void print_table(const struct backtest *b)
{
    struct table t;
    table_init(&t, (const char *const[]){ "RULE", "DESTINATION", "OPEN", "UPDATE", "REMIND", "ESCALATE", "RESOLVE", "DIGEST", "FIRST", "LAST" }, 10);
    for (size_t k = 0; k < b->list.n; k++) add_line(&t, b->list.v[k]);
    table_print(&t);
    table_fini(&t);
    printf("\n%zu incidents and %zu messages over %llu events\n", b->openings.n, b->messages.n, (unsigned long long)b->history.events);
    printf("The line of a rule alone counts its incidents: opened, resolved, and put into a digest by a limit.\n");
}

/* 0, or an exit status after saying why. */
static int write_svg(const struct backtest *b, const char *path)
{
    struct strbuf out;
    FILE *f = fopen(path, "w");
    bool ok;
    if (!f) {
        fprintf(stderr, "runbell backtest: cannot write %s: %m\n", path);
        return EXIT_UNREACHED;
    }
    strbuf_init(&out, SVG_CEILING);
    backtest_svg(b, &out);
    ok = fwrite(out.p, 1, out.n, f) == out.n;
    ok = fclose(f) == 0 && ok;
    strbuf_fini(&out);
    if (ok) return EXIT_FINE;
    fprintf(stderr, "runbell backtest: cannot write %s: %m\n", path);
    return EXIT_UNREACHED;
}

static int show(const struct backtest *b, const struct options *o)
{
    struct strbuf out;
    struct json_writer w;
    if (o->svg) {
        int rc = write_svg(b, o->svg);
        if (rc != EXIT_FINE) return rc;
    }
    if (!o->json) {
        print_table(b);
        return EXIT_FINE;
    }
    strbuf_init(&out, 64 << 20);
    json_writer_init(&w, &out);
    backtest_write(b, LIST_MAX, &w);
    printf("%s\n", out.p);
    strbuf_fini(&out);
    return EXIT_FINE;
}

/* --- one, or two --------------------------------------------------------------------------------------------------------- */
static int run_one(const struct options *o)
{
    struct backtest b;
    int status;
    struct config *c = load(config_path(o->config), o->rules, &status);
    struct log l;
    if (!c) return status;
    status = open_log(&l, o, c, &c, 1);
    if (status == EXIT_FINE) {
        status = fold(&b, o, c, l.reader);
        if (status == EXIT_FINE) status = show(&b, o);
        backtest_fini(&b);
    }
    close_log(&l, o);
    config_unref(&c);
    return status;
}

static const struct backtest_line *same_line(const struct backtest *b, const struct backtest_line *line)
{
    for (size_t k = 0; k < b->list.n; k++) {
        const struct backtest_line *other = b->list.v[k];
        if (str_eq(other->rule, line->rule) && str_absent(other->destination) == str_absent(line->destination) && str_eq(other->destination, line->destination))
            return other;
    }
    return NULL;
}

static uint64_t weight(const struct backtest_line *line)
{
    return !line ? 0 : str_absent(line->destination) ? line->openings : line->total;
}

static void compare_line(struct table *t, const struct backtest_line *line, uint64_t before, uint64_t after)
{
    if (before == 0 && after == 0) return;
    table_cell(t, line->rule.n ? line->rule : STR("(digests)"));
    table_cell(t, str_absent(line->destination) ? STR("incidents") : str_printf(&t->arena, "messages to %.*s", STR_ARG(line->destination)));
    table_cell(t, str_printf(&t->arena, "%llu", (unsigned long long)before));
    table_cell(t, str_printf(&t->arena, "%llu", (unsigned long long)after));
    table_cell(t, before == after ? STR("=") : str_printf(&t->arena, "%+lld", (long long)after - (long long)before));
}

struct listing { const char *mark; size_t shown; struct arena a; struct json_writer *w; };

static void list_opening(void *ctx, const struct backtest_opening *o)
{
    struct listing *l = ctx;
    char text[TIMEFMT_SIZE];
    if (l->w && l->shown++ < LIST_MAX) {
        json_object_begin(l->w);
        json_field_time(l->w, "at", o->at_ms);
        backtest_put_who(o->who, l->w);
        json_object_end(l->w);
    } else if (!l->w && l->shown++ < SHOWN_MAX) {
        printf("%s %s %s %.*s in %.*s\n", l->mark, time_format(o->at_ms, text).p, o->who->rule.p, STR_ARG(printable(&l->a, o->who->key)),
               STR_ARG(printable(&l->a, o->who->env)));
    }
}

static void print_list(const char *mark, const char *what, const struct backtest *a, const struct backtest *b)
{
    struct listing l = { .mark = mark };
    size_t n = backtest_missing(a, b, NULL, NULL);
    printf("\n%s: %zu incidents\n", what, n);
    backtest_missing(a, b, list_opening, &l);
    if (n > SHOWN_MAX) printf("%s and %zu more; --json lists them\n", mark, n - SHOWN_MAX);
    arena_fini(&l.a);
}

static void print_compared(const struct backtest *before, const struct backtest *after)
{
    struct table t;
    table_init(&t, (const char *const[]){ "RULE", "WHAT", "OLD", "NEW", "CHANGE" }, 5);
    for (size_t k = 0; k < after->list.n; k++) compare_line(&t, after->list.v[k], weight(same_line(before, after->list.v[k])), weight(after->list.v[k]));
    for (size_t k = 0; k < before->list.n; k++)
        if (!same_line(after, before->list.v[k])) compare_line(&t, before->list.v[k], weight(before->list.v[k]), 0);
    table_print(&t);
    table_fini(&t);
    print_list("+", "added", after, before);
    print_list("-", "removed", before, after);
}

static void put_list(struct json_writer *w, const char *name, const struct backtest *a, const struct backtest *b)
{
    struct listing l = { .w = w };
    json_put_key(w, str_c(name));
    json_array_begin(w);
    backtest_missing(a, b, list_opening, &l);
    json_array_end(w);
}

static void write_compared(const struct backtest *before, const struct backtest *after)
{
    struct strbuf out;
    struct json_writer w;
    strbuf_init(&out, 128 << 20);
    json_writer_init(&w, &out);
    json_object_begin(&w);
    json_put_key(&w, STR("old"));
    backtest_write(before, 0, &w);
    json_put_key(&w, STR("new"));
    backtest_write(after, 0, &w);
    put_list(&w, "added", after, before);
    put_list(&w, "removed", before, after);
    json_object_end(&w);
    printf("%s\n", out.p);
    strbuf_fini(&out);
}

static int compare_over(const struct options *o, struct config *c[2], struct store_reader *r)
{
    struct backtest b[2];
    int status = fold(&b[0], o, c[0], r);
    if (status == EXIT_FINE) {
        status = fold(&b[1], o, c[1], r);
        if (status == EXIT_FINE && o->svg) status = write_svg(&b[1], o->svg);
        if (status == EXIT_FINE && o->json) write_compared(&b[0], &b[1]);
        else if (status == EXIT_FINE) print_compared(&b[0], &b[1]);
        backtest_fini(&b[1]);
    }
    backtest_fini(&b[0]);
    return status;
}

/* The log of the configuration named, or of NEW when that is a whole configuration and none was named. */
static int fold_both(const struct options *o, struct config *c[2])
{
    struct log l;
    int status;
    struct config *store = o->config || !is_configuration(c[1]->path.p) ? load(config_path(o->config), NULL, &status) : config_ref(c[1]);
    if (!store) return EXIT_UNREACHED;
    status = open_log(&l, o, store, c, 2);
    config_unref(&store);
    if (status == EXIT_FINE) status = compare_over(o, c, l.reader);
    close_log(&l, o);
    return status;
}

static int run_two(const struct options *o, char **files)
{
    struct config *c[2] = { NULL, NULL };
    int status = EXIT_FINE;
    for (int k = 0; k < 2 && status == EXIT_FINE; k++) c[k] = load(config_path(o->config), files[k], &status);
    if (status == EXIT_FINE) status = fold_both(o, c);
    for (int k = 0; k < 2; k++) config_unref(&c[k]);
    return status;
}

static bool read_duration(const char *name, const char *text, int64_t *ms)
{
    if (!text || duration_parse(str_c(text), ms)) return true;
    fprintf(stderr, "runbell backtest: %s wants a duration like 7d or 12h, got %s\n", name, text);
    return false;
}

int cli_backtest(int argc, char **argv)
{
    struct bar bar = { 0 };
    struct options o = { .bar = &bar, .since = "7d", .warm_up_ms = -1, .now_ms = clock_wall(clock_system()).ms };
    int operands, rc;
    const struct arg_option options[] = {
        { "since", 0, "DUR", "how far back (7d)", &o.since, NULL },
        { "config", 'c', "FILE", "configuration (runbell.yaml, or RUNBELL_CONFIG)", &o.config, NULL },
        { "rules", 0, "FILE", "rules to try instead of the configuration's own", &o.rules, NULL },
        { "compare", 0, NULL, "OLD and NEW: what a change adds and removes", NULL, &o.compare },
        { "warm-up", 0, "DUR", "fold that much of the log before, uncounted (the rules' longest window or quiet)", &o.warm_up, NULL },
        { "from-api", 0, "SOURCE", "read the history from Trigger.dev's API by this source", &o.from_api, NULL },
        { "by-event-time", 0, NULL, "each event when it happened, not when it came: for imported history", NULL, &o.by_event_time },
        { "svg", 0, "FILE", "a timeline of what would have been sent", &o.svg, NULL },
        { "json", 0, NULL, "the result as JSON, with every opening and message", NULL, &o.json },
    };
    rc = args_parse(command_find("backtest"), options, 9, argc, argv, &operands, 0, 2);
    if (rc >= 0) return rc;
    if (!read_duration("--since", o.since, &o.since_ms) || !read_duration("--warm-up", o.warm_up, &o.warm_up_ms)) return EXIT_USAGE;
    if (operands != (o.compare ? 2 : 0) || (o.compare && o.rules)) {
        fprintf(stderr, "runbell backtest: wants --compare OLD NEW, or --rules FILE, or neither\nTry: runbell backtest --help\n");
        return EXIT_USAGE;
    }
    return o.compare ? run_two(&o, argv + 1) : run_one(&o);
}
