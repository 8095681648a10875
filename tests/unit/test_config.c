/* config: whole configurations from files: what is read, and every mistake at its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"

/* --- a folder of files ------------------------------------------------------------------------------------------- */
struct bed {
    char dir[32];
    VEC(char *) paths;
    struct arena a;
    struct diags d;
    struct config *c;
};

static int bed_open(void **state)
{
    struct bed *b = calloc(1, sizeof *b);
    memcpy(b->dir, "/tmp/runbell-config-XXXXXX", 27);
    assert_non_null(mkdtemp(b->dir));
    diags_init(&b->d, &b->a);
    *state = b;
    return 0;
}

static void bed_forget(struct bed *b) /* what was loaded, so that one can be loaded again */
{
    config_unref(&b->c);
    diags_fini(&b->d);
    arena_fini(&b->a);
    diags_init(&b->d, &b->a);
}

static int bed_close(void **state)
{
    struct bed *b = *state;
    bed_forget(b);
    diags_fini(&b->d);
    for (size_t k = b->paths.n; k-- > 0;) {
        if (unlink(b->paths.v[k]) != 0) rmdir(b->paths.v[k]);
        free(b->paths.v[k]);
    }
    vec_free(&b->paths);
    rmdir(b->dir);
    free(b);
    return 0;
}

static char *path_of(struct bed *b, const char *name)
{
    char *path = malloc(256);
    snprintf(path, 256, "%s/%s", b->dir, name);
    *vec_push(&b->paths) = path;
    return path;
}

static void file(struct bed *b, const char *name, const char *text)
{
    FILE *f = fopen(path_of(b, name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void folder(struct bed *b, const char *name)
{
    assert_int_equal(mkdir(path_of(b, name), 0700), 0);
}

static struct config *load(struct bed *b, bool check_only)
{
    bed_forget(b);
    b->c = config_load(str_printf(&b->a, "%s/main.yaml", b->dir).p, check_only, &b->d);
    return b->c;
}

/* All diagnostics, one a line: FILE:LINE:COL: LEVEL: TEXT [HINT], files without the folder. */
static const char *said(struct bed *b)
{
    struct strbuf out;
    const char *text;
    strbuf_init(&out, 1 << 20);
    for (size_t k = 0; k < b->d.items.n; k++) {
        const struct diag *d = &b->d.items.v[k];
        size_t n = strlen(b->dir);
        const char *name = strncmp(d->file, b->dir, n) == 0 ? d->file + n + 1 : d->file;
        strbuf_printf(&out, "%s:%u:%u: %s: " STR_FMT, name, d->line, d->col, d->level == DIAG_ERROR ? "error" : "warning", STR_ARG(d->text));
        if (d->hint.n) strbuf_printf(&out, " [" STR_FMT "]", STR_ARG(d->hint));
        strbuf_char(&out, '\n');
    }
    text = str_dup_c(&b->a, strbuf_view(&out));
    strbuf_fini(&out);
    return text;
}

static void assert_said(struct bed *b, const char *wanted)
{
    const char *got = said(b);
    size_t same = 0;
    if (strcmp(got, wanted) == 0) return;
    for (size_t k = 0; got[k] && got[k] == wanted[k]; k++)
        if (got[k] == '\n') same = k + 1;
    fail_msg("after what agrees\n  got:    %.200s\n  wanted: %.200s", got + same, wanted + same);
}

#define HEAD "version: 1\nsources: {push: {type: webhook}}\ndestinations: {out: {type: console}}\n"
#define RULE(name) name ": {when: {status: failed}, notify: out}\n"

/* --- what is read ---------------------------------------------------------------------------------------------------- */
static void test_a_whole_configuration(void **state)
{
    struct bed *b = *state;
    const struct config *c;
    setenv("RUNBELL_TEST_TOKEN", "sesame", 1);
    setenv("RUNBELL_TEST_URL", "https://h.example.com/", 1);
    file(b, "hook", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz\n");
    file(b, "main.yaml",
         "version: 1\n"
         "server:\n  listen: \"[::1]:9\"\n  public_url: https://bell.example.com\n  token: \"${env:RUNBELL_TEST_TOKEN}\"\n"
         "  limits: {body: 1MiB, batch: 7, queue: 2MiB, connections: 9, window: 100, keys: 200, runs: 30, watched: 400}\n"
         "store: {url: \"sqlite:x.db\", keep: {events: 2d, incidents: 3d, size: 1GiB}}\n"
         "log: {format: json, level: debug}\n"
         "heartbeat: {url: \"https://hc.example.com/x\", every: 2m}\n"
         "sources:\n  push: {type: webhook, token: \"${env:RUNBELL_TEST_TOKEN}\", project: p, env: e, dashboard: \"https://d.example.com\", ignore_older: 1d}\n"
         "  other: {type: webhook, path: /v1/other}\n"
         "destinations:\n  hook: {type: webhook, url: \"${env:RUNBELL_TEST_URL}\", secret: \"${file:hook}\", rate: 5 per 1m, retry: {for: 2h}, timeout: 3s,"
         " tls: {ca: /x.pem}, proxy: \"http://p:1\"}\n  out: {type: console}\n"
         "operator: out\n"
         "rules:\n  r: {when: {status: failed}, notify: [out, hook]}\ntests: []\n");
    c = load(b, false);
    assert_said(b, "");
    assert_non_null(c);
    assert_true(str_eq_c(c->server.listen, "[::1]:9") && str_eq_c(c->server.public_url, "https://bell.example.com"));
    assert_true(str_eq_c(secret_reveal(&c->server.token), "sesame"));
    assert_int_equal(c->server.body_bytes, 1 << 20);
    assert_int_equal(c->server.batch_items, 7);
    assert_int_equal(c->server.queue_bytes, 2 << 20);
    assert_int_equal(c->server.connections, 9);
    assert_true(c->server.window_entries == 100 && c->server.keys_per_rule == 200 && c->server.runs_per_incident == 30 && c->server.watched_runs == 400);
    assert_true(str_eq_c(secret_reveal(&c->store.url), "sqlite:x.db"));
    assert_int_equal(c->store.keep_events_ms, 2 * 86400000);
    assert_int_equal(c->store.keep_incidents_ms, 3 * 86400000);
    assert_int_equal(c->store.keep_size_bytes, 1 << 30);
    assert_int_equal(c->log_format, LOG_JSON);
    assert_int_equal(c->log_level, LOG_DEBUG);
    assert_int_equal(c->heartbeat.every_ms, 120000);
    assert_int_equal(c->source_count, 2);
    assert_true(str_eq_c(c->sources[0].project, "p") && str_eq_c(c->sources[0].env, "e") && str_eq_c(c->sources[0].dashboard, "https://d.example.com"));
    assert_true(str_eq_c(c->sources[0].path, "/v1/events") && c->sources[0].ignore_older_ms == 86400000);
    assert_ptr_equal(config_source_by_path(c, STR("/v1/other")), &c->sources[1]);
    assert_null(config_source_by_path(c, STR("/v1")));
    assert_ptr_equal(config_destination(c, STR("hook")), &c->destinations[0]);
    assert_null(config_destination(c, STR("hoo")));
    assert_int_equal(c->destinations[0].rate_n, 5);
    assert_int_equal(c->destinations[0].retry_for_ms, 2 * 3600000);
    assert_int_equal(c->destinations[0].timeout_ms, 3000);
    assert_true(str_eq_c(c->destinations[0].tls_ca, "/x.pem") && str_eq_c(c->destinations[0].proxy, "http://p:1"));
    assert_true(str_eq_c(c->rules->operator_destination, "out"));
    assert_int_equal(c->test_section_count, 1);
}

static void test_the_defaults(void **state)
{
    struct bed *b = *state;
    const struct config *c;
    struct config *again;
    file(b, "main.yaml", HEAD "rules:\n  " RULE("r"));
    c = load(b, false);
    assert_said(b, "");
    assert_true(str_eq_c(c->server.listen, "127.0.0.1:8484") && str_absent(c->server.public_url) && !secret_present(&c->server.token));
    assert_int_equal(c->server.body_bytes, 4 << 20);
    assert_int_equal(c->server.batch_items, 1000);
    assert_int_equal(c->server.queue_bytes, 64 << 20);
    assert_int_equal(c->server.connections, 4096);
    assert_true(c->server.window_entries == 4096 && c->server.keys_per_rule == 1000000 && c->server.runs_per_incident == 1000 && c->server.watched_runs == 500000);
    assert_true(str_eq_c(secret_reveal(&c->store.url), "sqlite:runbell.db"));
    assert_int_equal(c->store.keep_events_ms, 30LL * 86400000);
    assert_int_equal(c->store.keep_incidents_ms, 180LL * 86400000);
    assert_int_equal(c->store.keep_size_bytes, 10LL << 30);
    assert_int_equal(c->log_format, LOG_LOGFMT);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_int_equal(c->heartbeat.every_ms, 0);
    assert_int_equal(c->destinations[0].timeout_ms, 15000);
    assert_int_equal(c->destinations[0].retry_for_ms, 86400000);
    assert_true(str_absent(c->rules->operator_destination) && str_absent(c->sources[0].project) && str_absent(c->sources[0].env));
    assert_string_equal(c->dir.p, b->dir);
    again = config_ref(b->c); /* two holders: it lives until the last has let go */
    config_unref(&b->c);
    assert_null(b->c);
    assert_true(str_eq_c(again->sources[0].name, "push"));
    b->c = again;
}

/* --- mistakes ---------------------------------------------------------------------------------------------------------- */
static void test_every_mistake_of_every_section(void **state)
{
    struct bed *b = *state;
    file(b, "main.yaml",
         "version: 2\n"
         "server:\n"
         "  listen: nowhere\n"
         "  tokn: abc\n"
         "  limits: {body: 4 MB, batch: 0, queue: 64MiB}\n"
         "  tls: {cert: a.pem}\n"
         "store:\n"
         "  url: postgresql://db/x\n"
         "  keep: {events: 1s, payload: true}\n"
         "log: {format: xml, level: loud}\n"
         "heartbeat: {every: 1m}\n"
         "sources:\n"
         "  Push: {type: webhook}\n"
         "  push: {type: webhok}\n"
         "  api: {type: trigger-api, url: https://x}\n"
         "  two: {type: webhook, path: events}\n"
         "  three: {type: webhook, path: /v1/status, dashboard: here}\n"
         "  four: {type: webhook, path: /a, tokne: x}\n"
         "  five: {type: webhook, path: /b, ignore_older: 5 min}\n"
         "  six: webhook\n"
         "  seven: {type: webhook, token: \"\"}\n"
         "destinations:\n"
         "  pager: {type: pagerdutty, routing_key: x}\n"
         "  out: {type: console, rate: fast, retry: {fro: 1h}, timeout: 1ms, base_url: ftp://x}\n"
         "  tls: {type: console, tls: {insecure: yes}}\n"
         "  none: console\n"
         "  notype: {url: x}\n"
         "operator: otu\n"
         "mutes: {m: {during: nightly}}\n"
         "include: [nothing/*.yaml, [a]]\n"
         "unknwn: 1\n"
         "rules:\n"
         "  a: {whn: {status: failed}, notify: out}\n"
         "  b: {when: {status: FALED}, notify: ot}\n"
         "  c: {when: {status: failed}, absent: soon, notify: out}\n"
         "  d: {when: {status: failed}, count: 3 on 10m, notify: out}\n"
         "tests: 7\n");
    assert_null(load(b, false));
    assert_said(b,
                "main.yaml:1:10: error: this runbell reads version 1, not `2`\n"
                "main.yaml:3:11: error: wants host:port, [v6]:port or unix:PATH\n"
                "main.yaml:4:3: error: unknown key `tokn` in server [did you mean `token`?]\n"
                "main.yaml:5:18: error: wants a size like 512, 64KiB or 4MiB, got `4 MB`\n"
                "main.yaml:5:31: error: wants a whole number from 1 to 100000, got `0`\n"
                "main.yaml:6:3: error: missing key `key` in server.tls\n"
                "main.yaml:8:8: error: PostgreSQL is not available in this version of runbell yet [use sqlite:PATH]\n"
                "main.yaml:9:18: error: `events` is at least 1h\n"
                "main.yaml:9:31: error: `payload: true` is not available in this version of runbell yet\n"
                "main.yaml:10:15: error: `format` is logfmt or json, got `xml`\n"
                "main.yaml:10:27: error: `level` is debug, info, warn or error, got `loud`\n"
                "main.yaml:11:1: error: missing key `url` in heartbeat\n"
                "main.yaml:13:3: error: a name is lower case letters, digits and -, starts with a letter, 63 at most\n"
                "main.yaml:14:16: error: there is no source type `webhok` [did you mean `webhook`?]\n"
                "main.yaml:15:3: error: missing key `key` in a trigger-api source\n"
                "main.yaml:16:30: error: a path starts with / and has no query\n"
                "main.yaml:17:32: error: /v1/status is a path of runbell's own\n"
                "main.yaml:17:55: error: wants a URL that starts with http:// or https://\n"
                "main.yaml:18:35: error: unknown key `tokne` in a webhook source [did you mean `token`?]\n"
                "main.yaml:19:49: error: wants a duration like 30s or 5m, got `5 min`\n"
                "main.yaml:20:8: error: a source is a map with a `type`\n"
                "main.yaml:21:10: error: source `Push` listens on /v1/events already\n"
                "main.yaml:21:33: error: the token is empty: anybody could post\n"
                "main.yaml:23:17: error: unknown destination type `pagerdutty` [did you mean `pagerduty`?]\n"
                "main.yaml:24:30: error: wants a limit like 20 per 1m, got `fast`\n"
                "main.yaml:24:44: error: unknown key `fro` in retry [did you mean `for`?]\n"
                "main.yaml:24:63: error: `timeout` is at least 100ms\n"
                "main.yaml:24:78: error: wants a URL that starts with http:// or https://\n"
                "main.yaml:25:40: error: wants true or false, got `yes` [write true]\n"
                "main.yaml:26:9: error: a destination is a map with a `type`\n"
                "main.yaml:27:11: error: `type` is missing\n"
                "main.yaml:28:11: error: operator: there is no destination `otu` [did you mean `out`?]\n"
                "main.yaml:29:9: error: missing key `when` in mute\n"
                "main.yaml:29:9: error: missing key `why` in mute\n"
                "main.yaml:29:21: error: no schedule is called `nightly` [schedules: {nightly: {days: mon-fri, hours: 09:00-18:00, zone: Europe/Berlin}}]\n"
                "main.yaml:30:11: error: `nothing/*.yaml` matches no file [paths are relative to this file]\n"
                "main.yaml:30:27: error: wants text, got a list\n"
                "main.yaml:31:1: error: unknown key `unknwn` in the configuration\n"
                "main.yaml:33:3: error: rule `a` has no `when`\n"
                "main.yaml:33:7: error: unknown key `whn` in rule [did you mean `when`?]\n"
                "main.yaml:34:22: warning: no known state is called `FALED`; it is matched by its exact text [did you mean `FAILED`?]\n"
                "main.yaml:34:38: error: no destination is called `ot` [did you mean `out`?]\n"
                "main.yaml:35:39: error: wants a time like `2h`, {every: 2h, grace: 10m} or {cron: \"0 3 * * *\", grace: 30m, zone: Europe/Berlin}, got `soon`\n"
                "main.yaml:36:38: error: wants a count like `3 in 10m`, `10 runs in 5m` or `5 of metadata.customerId in 15m`, got `3 on 10m`\n"
                "main.yaml:37:8: error: tests is a list\n");
}

static void test_settings_one_by_one(void **state)
{
    static const struct { const char *section, *says; } cases[] = {
        { "server: {listen: \"127.0.0.1:0\"}", "" },
        { "server: {listen: \"[::]:8484\"}", "" },
        { "server: {listen: \"unix:/run/x.sock\"}", "" },
        { "server: {listen: localhost:80}", "" },
        { "server: {listen: \"unix:\"}", "main.yaml:4:18: error: wants host:port, [v6]:port or unix:PATH\n" },
        { "server: {listen: \"::1:80\"}", "main.yaml:4:18: error: wants host:port, [v6]:port or unix:PATH\n" },
        { "server: {listen: \":80\"}", "main.yaml:4:18: error: wants host:port, [v6]:port or unix:PATH\n" },
        { "server: {listen: host:70000}", "main.yaml:4:18: error: wants host:port, [v6]:port or unix:PATH\n" },
        { "server: {listen: 8484}", "main.yaml:4:18: error: wants host:port, [v6]:port or unix:PATH\n" },
        { "server: {public_url: bell.example.com}", "main.yaml:4:22: error: wants a URL that starts with http:// or https://\n" },
        { "server: {public_url: \"https://\"}", "main.yaml:4:22: error: wants a URL that starts with http:// or https://\n" },
        { "server: {zone: Europe/Berlin}", "main.yaml:4:16: error: a `zone` other than UTC is not available in this version of runbell yet\n" },
        { "server: [a]", "main.yaml:4:9: error: server wants a map of keys and values, got a list\n" },
        { "store: {url: mysql://x}", "main.yaml:4:14: error: wants sqlite:PATH\n" },
        { "store: {url: \"memory:\"}", "" },
        { "heartbeat: {url: nowhere}", "main.yaml:4:18: error: wants a URL that starts with http:// or https://\n" },
        { "heartbeat: {url: \"http://x/y\", every: 1ms}", "main.yaml:4:39: error: `every` is at least 1s\n" },
        { "operator: [out]", "main.yaml:4:11: error: wants text, got a list\n" },
        { "operator: out", "" },
        { "schedules: {}", "" },
        { "schedules: [a]", "main.yaml:4:12: error: `schedules` wants a map of names and schedules\n" },
        { "sources: {}", "main.yaml:4:1: error: duplicate key `sources`: line 2 has it already\n" },
    };
    struct bed *b = *state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[1000];
        snprintf(text, sizeof text, HEAD "%s\nrules:\n  " RULE("r"), cases[k].section);
        file(b, "main.yaml", text);
        load(b, false);
        assert_said(b, cases[k].says);
        assert_int_equal(b->c != NULL, cases[k].says[0] == '\0');
    }
}

/* What it hears belongs to no run: nobody would name its channel. */
static void test_an_operator_with_a_pattern_for_a_channel(void **state)
{
    struct bed *b = *state;
    setenv("RUNBELL_TEST_TOKEN", "sesame", 1);
    file(b, "main.yaml", "version: 1\ndestinations: {many: {type: slack, token: \"${env:RUNBELL_TEST_TOKEN}\", channel: \"#c-*\"}}\noperator: many\n");
    assert_null(load(b, false));
    assert_said(b, "main.yaml:3:11: error: the operator needs one channel: `#c-*` of destination `many` is a pattern\n");
}

/* Each: a source and what is said of it. */
static void test_sources_of_trigger_dev(void **state)
{
    static const struct { const char *source, *says; } cases[] = {
        { "{type: trigger-api, key: \"${file:key}\"}", "" },
        { "{type: trigger-api, key: \"${file:key}\", url: \"http://127.0.0.1:3030/\", every: 1s, method: list, live: true, budget: 50}", "" },
        { "{type: trigger-api, key: tr_dev_x}",
          "main.yaml:8:31: warning: the API key is written into the file [refer to it instead: \"${env:NAME}\" or \"${file:/path}\"]\n" },
        { "{type: trigger-api, key: \"\"}", "main.yaml:8:31: error: the key is empty\n" },
        { "{type: trigger-api, key: \"${file:public}\"}",
          "main.yaml:8:31: error: a public key (pk_...) cannot read runs [use the environment's secret key, tr_prod_... or the like]\n" },
        { "{type: trigger-api, key: \"${file:pat}\"}",
          "main.yaml:8:31: error: a personal token reads a project: it wants `project_ref` [add project_ref: proj_... and env:, or use the "
          "environment's secret key]\n" },
        { "{type: trigger-api, key: \"${file:pat}\", project_ref: proj_abc, env: prod}", "" },
        { "{type: trigger-api, key: \"${file:pat}\", project_ref: abc, live: true, method: query}",
          "main.yaml:8:59: error: wants a project's reference: proj_ and 20 letters\n"
          "main.yaml:8:59: error: with `project_ref` the source wants `env`: the slug of one environment (dev, stg, prod, preview)\n"
          "main.yaml:8:70: error: a personal token cannot follow the realtime feed: use the environment's secret key\n"
          "main.yaml:8:84: error: a personal token cannot query: the API takes it for lists only\n" },
        { "{type: trigger-api, key: \"${file:key}\", project_ref: proj_abc, env: prod}",
          "main.yaml:8:59: error: `project_ref` goes with a personal token (tr_pat_...) only [an environment's key needs no project_ref]\n" },
        { "{type: trigger-api, key: \"${file:key}\", every: 1ms, budget: 0, method: guess, url: here, page_size: 101}",
          "main.yaml:8:53: error: `every` is at least 50ms\n"
          "main.yaml:8:66: error: wants a whole number from 1 to 100, got `0`\n"
          "main.yaml:8:77: error: `method` is auto, query or list, got `guess`\n"
          "main.yaml:8:106: error: wants a whole number from 1 to 100, got `101`\n" },
        { "{type: trigger-webhook, secret: \"${file:key}\"}", "" },
        { "{type: trigger-webhook, secret: [\"${file:key}\", \"${file:pat}\"], path: /in, replays: true}", "" },
        { "{type: trigger-webhook}", "main.yaml:8:3: error: missing key `secret` in a trigger-webhook source\n" },
        { "{type: trigger-webhook, secret: []}", "main.yaml:8:38: error: wants at least one secret: anybody could post otherwise\n" },
        { "{type: trigger-webhook, secret: [\"\"]}", "main.yaml:8:39: error: the secret is empty: anybody could sign\n" },
    };
    struct bed *b = *state;
    file(b, "key", "tr_prod_abc\n");
    file(b, "public", "pk_abc");
    file(b, "pat", "tr_pat_abc");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[1000];
        snprintf(text, sizeof text, "version: 1\ndestinations: {out: {type: console}}\nrules:\n  a:\n    when: {status: failed}\n    notify: out\nsources:\n  s: %s\n",
                 cases[k].source);
        file(b, "main.yaml", text);
        load(b, false);
        assert_said(b, cases[k].says);
    }
}

/* What stays away where nobody listens would never be missed. */
static void test_absences_where_nobody_listens(void **state)
{
    static const char hint[] = " [add a source with that `env:`, or name another one in `when`]\n";
    static const struct { const char *when, *source, *reason; } cases[] = {
        { "{task: x, status: success, env: prod}", "{type: webhook}", NULL },
        { "{task: x, status: success, env: prod}", "{type: webhook, env: prod}", NULL },
        { "{task: x, status: success}", "{type: webhook, env: stg}", NULL },
        { "{task: x, status: success, env: [stg, prod]}", "{type: webhook, env: stg}", "rule `a` waits for hits in env `prod`, and no source brings events of it" },
        { "{task: x, status: success, env: prod, project: shop}", "{type: webhook, env: prod}",
          "rule `a` waits for hits in env `prod`, and no source brings events of it in that project" },
        { "{task: x, status: success, env: prod, project: shop}", "{type: webhook, env: prod, project: shop}", NULL },
    };
    struct bed *b = *state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[1000], says[1000] = "";
        snprintf(text, sizeof text, "version: 1\ndestinations: {out: {type: console}}\nsources: {s: %s}\nrules:\n  a:\n    when: %s\n    absent: 2h\n    notify: out\n",
                 cases[k].source, cases[k].when);
        if (cases[k].reason) snprintf(says, sizeof says, "main.yaml:5:3: error: %s%s", cases[k].reason, hint);
        file(b, "main.yaml", text);
        load(b, false);
        assert_said(b, says);
    }
}

/* What no source can see is refused with the reason. */
static void test_rules_that_no_source_can_see(void **state)
{
    static const char webhook[] = "{type: trigger-webhook, secret: \"${file:key}\"}", api[] = "{type: trigger-api, key: \"${file:key}\"}",
                      list[] = "{type: trigger-api, key: \"${file:key}\", method: list}", push[] = "{type: webhook}";
    static const char hint[] = " [add a source that sees it: trigger-api with the environment's key, or a webhook that your tasks post to]\n";
    static const struct { const char *when, *source, *reason; } cases[] = {
        { "{status: [CRASHED, TIMED_OUT]}", webhook, NULL },
        { "{status: failed}", webhook, NULL },
        { "{status: REATTEMPTING}", webhook, "trigger-webhook `s` does not see retries: Trigger.dev's webhook tells of final failures only" },
        { "{status: REATTEMPTING}", api, NULL },
        { "{status: REATTEMPTING}", push, NULL },
        { "{status: success}", webhook, "trigger-webhook `s` does not see that state: Trigger.dev's webhook tells of final failures only" },
        { "{status: failed, attempt: {gt: 2}}", webhook, "trigger-webhook `s` does not see attempt numbers" },
        { "{status: failed, metadata.customer: acme}", webhook, "trigger-webhook `s` does not see metadata" },
        { "{status: failed, any: [{metadata.customer: acme}, {task: x}]}", webhook, NULL },
        { "{status: failed, not: {metadata.customer: acme}}", webhook, NULL },
        { "{status: failed, queue: slow}", list, "trigger-api `s` does not see queues" },
        { "{status: failed, queue: slow}", api, NULL },
        { "{status: failed}\n    streak: 3", webhook, "trigger-webhook `s` sees failures only, and the condition is about successes, too" },
        { "{status: failed}\n    streak: 3", list, NULL },
        { "{status: EXECUTING}\n    lasts: 30m", webhook, "trigger-webhook `s` does not see that state: Trigger.dev's webhook tells of final failures only" },
        { "{status: EXECUTING}\n    lasts: 30m", list, NULL },
        { "{status: QUEUED, queue: a}\n    lasts: 30m", list, "trigger-api `s` does not see queues" },
        { "{status: QUEUED, queue: a}\n    lasts: 30m", api, NULL },
        { "{status: EXECUTING}\n    lasts: 30m", push, NULL },
        { "{kind: deployment, status: failed}\n    streak: 3\n    by: env", webhook, NULL },
        { "{status: success}\n    absent: 2h", webhook, "trigger-webhook `s` does not see that state: Trigger.dev's webhook tells of final failures only" },
        { "{kind: deployment, status: failed}", webhook, NULL },
        { "{kind: deployment, status: failed}", api, "trigger-api `s` sees runs only, no deployments or error groups" },
    };
    struct bed *b = *state;
    file(b, "key", "tr_prod_abc\n");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[1000], says[1000] = "";
        snprintf(text, sizeof text, "version: 1\ndestinations: {out: {type: console}}\nsources: {s: %s}\nrules:\n  a:\n    when: %s\n    notify: out\n",
                 cases[k].source, cases[k].when);
        if (cases[k].reason) snprintf(says, sizeof says, "main.yaml:5:3: error: rule `a` can never hit: %s%s", cases[k].reason, hint);
        file(b, "main.yaml", text);
        load(b, false);
        assert_said(b, says);
    }
}

/* Nor what would end its incidents: those would stay open. */
static void test_ends_that_no_source_can_see(void **state)
{
    static const char alerts[] = "{type: trigger-webhook, secret: \"${file:key}\"}";
    static const struct { const char *when, *match, *source; bool seen; } cases[] = {
        { "{status: failed}", "{status: EXECUTING}", alerts, false },
        { "{status: failed}", "{metadata.fixed: true}", alerts, false },
        { "{status: failed}", "{status: TIMED_OUT, version: \"2*\"}", alerts, true },
        { "{status: failed}", "{status: EXECUTING}", "{type: webhook}", true },
        { "{status: failed}", "{kind: deployment, status: success}", alerts, true },
        { "{kind: deployment, status: failed}", "{status: success}", alerts, true },
    };
    struct bed *b = *state;
    file(b, "key", "secret\n");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[1000];
        snprintf(text, sizeof text, "version: 1\ndestinations: {out: {type: console}}\nsources: {s: %s}\nrules:\n  a:\n    when: %s\n    notify: out\n    by: env\n    resolve: {match: %s}\n",
                 cases[k].source, cases[k].when, cases[k].match);
        file(b, "main.yaml", text);
        load(b, false);
        assert_int_equal(b->d.errors, 0);
        assert_int_equal(strstr(said(b), "no source can show the event that ends incidents of rule `a`") == NULL, cases[k].seen);
    }
}

/* Behind a syntax error destinations may stand that were not read: names of rules and of `defaults` are not called wrong then. */
static void test_a_syntax_error_makes_no_other_mistakes(void **state)
{
    struct bed *b = *state;
    file(b, "main.yaml", "version: 1\ndefaults: {notify: {switch: env, prod: out, else: [pager]}, escalate: {5m: mail}}\nrules:\n  a: {when: {status: failed}}\n"
                         "  b: {when: {}, notify: {switch: env, x: deep, else: {to: deeper}}}\n  c: {when: {status: [}\n");
    assert_null(load(b, false));
    assert_int_equal(b->d.errors, 1);
    assert_int_equal(b->d.items.v[0].line, 6);
}

static void test_a_file_that_is_not_there(void **state)
{
    struct bed *b = *state;
    assert_null(load(b, false));
    assert_int_equal(b->d.errors, 1);
    assert_non_null(strstr(said(b), "main.yaml:0:0: error: cannot open "));
    assert_non_null(strstr(said(b), "[name the configuration with -c FILE]"));
    folder(b, "main.yaml");
    assert_null(load(b, false));
    assert_non_null(strstr(said(b), "Is a directory"));
}

/* A run is read again before its incident opens, where some source can read one. */
static void test_what_can_be_confirmed(void **state)
{
    static const struct { const char *sources, *more; bool confirm; } cases[] = {
        { "{s: {type: trigger-api, key: \"${file:key}\"}}", "lasts: 30m", true },
        { "{s: {type: trigger-api, key: \"${file:key}\", method: list}, t: {type: webhook}}", "lasts: 30m", true },
        { "{s: {type: trigger-api, key: \"${file:key}\"}}", "lasts: 30m, confirm: false", false },
        { "{s: {type: trigger-api, key: \"${file:key}\"}}", "update: 30s", false },
        { "{s: {type: trigger-api, key: \"${file:pat}\", project_ref: proj_abc, env: prod}}", "lasts: 30m", false },
        { "{s: {type: webhook}}", "lasts: 30m", false },
    };
    struct bed *b = *state;
    file(b, "key", "tr_prod_abc\n");
    file(b, "pat", "tr_pat_abc\n");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char text[600];
        snprintf(text, sizeof text, "version: 1\ndestinations: {out: {type: console}}\nsources: %s\nrules: {a: {when: {status: EXECUTING}, notify: out, %s}}\n",
                 cases[k].sources, cases[k].more);
        file(b, "main.yaml", text);
        load(b, false);
        assert_said(b, "");
        assert_int_equal(b->c->rules->rules[0]->confirm, cases[k].confirm);
    }
}

static void test_what_is_no_configuration(void **state)
{
    static const struct { const char *text, *says; } cases[] = {
        { "", "main.yaml:1:1: error: the file needs `version: 1` [add `version: 1` as its first line]\n" },
        { "- a\n", "main.yaml:1:1: error: a configuration is a map that starts with `version: 1`\n" },
        { "version: \"1\"\nrules: {}\n", "" },
        { "version: [1]\n", "main.yaml:1:10: error: this runbell reads version 1, not ``\n" },
    };
    struct bed *b = *state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        file(b, "main.yaml", cases[k].text);
        load(b, false);
        assert_said(b, cases[k].says);
    }
}

/* --- several files -------------------------------------------------------------------------------------------------------- */
static void test_files_are_included_by_glob(void **state)
{
    struct bed *b = *state;
    folder(b, "rules");
    file(b, "rules/a.yaml", "version: 1\nrules:\n  from-a: {when: {task: a}, notify: out}\ntests: []\n");
    file(b, "rules/b.yaml", "version: 1\nrules:\n  from-b: {when: {task: b}, notify: out}\n");
    file(b, "rules/c.txt", "not looked at");
    file(b, "main.yaml", HEAD "include: [rules/*.yaml, \"*.yaml\", rules/a.yaml]\nrules:\n  own: {when: {task: c}, notify: out}\ntests: []\n"); /* each once */
    load(b, false);
    assert_said(b, "");
    assert_int_equal(b->c->file_count, 3);
    assert_int_equal(b->c->rules->rule_count, 3);
    assert_non_null(ruleset_find(b->c->rules, STR("from-a")));
    assert_non_null(ruleset_find(b->c->rules, STR("from-b")));
    assert_int_equal(b->c->test_section_count, 2);
    file(b, "main.yaml", HEAD "include: rules/b.yaml\n"); /* one, not in a list */
    load(b, false);
    assert_said(b, "");
    assert_int_equal(b->c->rules->rule_count, 1);
}

static void test_a_glob_without_a_match(void **state)
{
    struct bed *b = *state;
    file(b, "main.yaml", HEAD "include: [\"rules/*.yaml\"]\nrules: {}\n");
    assert_null(load(b, false));
    assert_said(b, "main.yaml:4:11: error: `rules/*.yaml` matches no file [paths are relative to this file]\n");
    assert_non_null(load(b, true)); /* a check may run where the files are not */
    assert_said(b, "main.yaml:4:11: warning: `rules/*.yaml` matches no file [paths are relative to this file]\n");
}

static void test_what_an_included_file_may_not_hold(void **state)
{
    struct bed *b = *state;
    file(b, "part.yaml", "version: 1\nsources: {}\ndestinations: {}\ndefaults: {}\ninclude: [x]\noperator: out\nserver: {}\nrules:\n  " RULE("r") "rulse: {}\n");
    file(b, "main.yaml", HEAD "include: part.yaml\n");
    assert_null(load(b, false));
    assert_said(b,
                "part.yaml:2:1: error: unknown key `sources` in an included file\n"
                "part.yaml:3:1: error: unknown key `destinations` in an included file\n"
                "part.yaml:4:1: error: unknown key `defaults` in an included file\n"
                "part.yaml:5:1: error: unknown key `include` in an included file\n"
                "part.yaml:6:1: error: unknown key `operator` in an included file\n"
                "part.yaml:7:1: error: unknown key `server` in an included file\n"
                "part.yaml:10:1: error: unknown key `rulse` in an included file [did you mean `rules`?]\n");
}

static void test_one_name_in_two_files(void **state)
{
    struct bed *b = *state;
    const char *got;
    file(b, "part.yaml", "version: 1\nrules:\n  " RULE("fine") "  " RULE("twice"));
    file(b, "main.yaml", HEAD "include: part.yaml\nrules:\n  " RULE("twice"));
    assert_null(load(b, false));
    got = said(b);
    assert_int_equal(b->d.errors, 1);
    assert_non_null(strstr(got, "part.yaml:4:3: error: rule `twice` exists already, at "));
    assert_non_null(strstr(got, "main.yaml:6"));
}

static void test_a_syntax_error_hides_nothing_elsewhere(void **state)
{
    struct bed *b = *state;
    const char *got;
    file(b, "part.yaml", "version: 1\nrules:\n  x: {whn: {status: failed}, notify: pager}\n");
    file(b, "main.yaml",
         "version: 1\ninclude: part.yaml\noperator: pager\nrules:\n  r: {when: {status: failed}, notify: later, wiat: 5m}\n"
         "destinations:\n  out: {type: console}\n  bad: [unclosed\nsources: {push: {type: webhook}}\n");
    assert_null(load(b, false));
    got = said(b);
    assert_non_null(strstr(got, "main.yaml:5:46: error: unknown key `wiat` in rule [did you mean `wait`?]\n"));
    assert_non_null(strstr(got, "part.yaml:3:7: error: unknown key `whn` in rule [did you mean `when`?]\n"));
    assert_null(strstr(got, "no destination")); /* `later` and `pager` may stand below the break */
    assert_non_null(strstr(got, "main.yaml:8:") ? strstr(got, "main.yaml:8:") : strstr(got, "main.yaml:9:"));
    bed_forget(b);
    file(b, "part.yaml", "version: 1\nrules:\n  x: {when: {status: failed}, notify: out}\n y: [\n"); /* the other way round */
    file(b, "main.yaml", HEAD "operator: pager\ninclude: part.yaml\nrules:\n  r: {when: {status: failed}, notify: out, wiat: 5m}\n");
    assert_null(load(b, false));
    got = said(b);
    assert_non_null(strstr(got, "unknown key `wiat`"));
    assert_non_null(strstr(got, "part.yaml:4:"));
}

/* --- secrets ---------------------------------------------------------------------------------------------------------------- */
static void test_secrets_come_from_elsewhere(void **state)
{
    struct bed *b = *state;
    struct strbuf out;
    unsetenv("RUNBELL_TEST_NOT_SET");
    setenv("RUNBELL_TEST_TOKEN", "sesame", 1);
    file(b, "token", "from-file\n");
    file(b, "main.yaml",
         "version: 1\nserver: {token: \"${env:RUNBELL_TEST_NOT_SET}\"}\n"
         "sources: {push: {type: webhook, token: \"${file:gone}\"}, two: {type: webhook, path: /2, token: \"${file:token}\"}}\n"
         "destinations: {hook: {type: webhook, url: \"${env:RUNBELL_TEST_NOT_SET}\"}}\n");
    assert_null(load(b, false));
    assert_int_equal(b->d.errors, 3);
    assert_non_null(strstr(said(b), "main.yaml:2:17: error: environment variable RUNBELL_TEST_NOT_SET is not set [set it before starting, or "
                                    "refer to a file: ${file:/path}]\n"));
    assert_non_null(strstr(said(b), "main.yaml:3:40: error: cannot open "));
    assert_non_null(strstr(said(b), "main.yaml:4:43: error: "));
    assert_non_null(load(b, true)); /* a check needs no secrets */
    assert_int_equal(b->d.warnings, 3);
    assert_true(str_eq_c(secret_reveal(&b->c->sources[1].token), "from-file"));
    file(b, "main.yaml",
         "version: 1\nserver: {token: very-plain}\nsources: {push: {type: webhook, token: very-plain}, two: {type: webhook, path: /2, token: "
         "\"${env:RUNBELL_TEST_TOKEN}\"}}\ndestinations: {p: {type: pagerduty, routing_key: 0123456789abcdef0123456789abcdef}}\n");
    if (!load(b, false)) fail_msg("%s", said(b));
    assert_int_equal(b->d.warnings, 3); /* not for the one that is referred to */
    assert_non_null(strstr(said(b), "main.yaml:2:17: warning: the server's token is written into the file"));
    assert_non_null(strstr(said(b), "main.yaml:3:40: warning: the source's token is written into the file"));
    assert_non_null(strstr(said(b), "main.yaml:4:50: warning: "));
    strbuf_init(&out, 1 << 16);
    diags_json(&b->d, &out);
    assert_null(strstr(out.p, "sesame"));
    strbuf_fini(&out);
}

/* One that is written into the file after all stays there: no line is shown with it, whatever is wrong in that line. */
static void test_no_line_is_shown_with_its_secret(void **state)
{
    struct bed *b = *state;
    struct strbuf out;
    file(b, "main.yaml",
         "version: 1\nserver:\n  token: canary-1,canary-2 #x\nsources: {push: {type: webhook, token: \"canary-\\x41-3\", pat: /x}}\n"
         "destinations: {p: {type: pagerduty, routing_key: 'canary-canary', rat: 5}}\n"
         "heartbeat: {url: https://hc.example/canary-4, ever: 1m}\n");
    assert_null(load(b, false));
    strbuf_init(&out, 1 << 16);
    diags_print(&b->d, &out, false);
    assert_null(strstr(out.p, "canary"));
    assert_non_null(strstr(out.p, "    3 |   token: ***************** #x\n"));
    assert_non_null(strstr(out.p, "    5 | destinations: {p: {type: pagerduty, routing_key: ***************, rat: 5}}\n"));
    strbuf_fini(&out);
}

static void test_destinations_that_are_told_nothing(void **state)
{
    static const char head[] = "version: 1\nsources: {push: {type: webhook}}\ndestinations:\n  out: {type: console}\n  faults: {type: console}\n  late: {type: console}\n  forgotten: {type: console}\noperator: faults\n";
    static const char rules[] = "rules:\n  r: {when: {status: failed}, notify: out, enabled: false}\n  s: {when: {status: failed}, notify: out, escalate: {1h: late}}\n";
    struct bed *b = *state;
    char text[1000];
    snprintf(text, sizeof text, "%s%s", head, rules);
    file(b, "main.yaml", text);
    assert_non_null(load(b, false));
    assert_said(b, "main.yaml:7:3: warning: no rule tells destination `forgotten` anything [a rule does with `notify: forgotten`; runbell's own faults go where `operator:` says]\n");
    file(b, "main.yaml", head); /* only begun */
    assert_non_null(load(b, false));
    assert_said(b, "");
}

/* --- files of rules alone ------------------------------------------------------------------------------------------------------ */
static void test_a_file_of_rules_alone(void **state)
{
    struct bed *b = *state;
    file(b, "main.yaml", "version: 1\nrules:\n  r:\n    when: {status: failed}\n    notify: [slack-ops, {to: slack-x, channel: \"#c\"}]\n    escalate: {15m: pager}\n    during: day\n    outside: [night]\n"
         "  s: {when: {status: success}, notify: pager, during: day, outside: drop}\nschedules: {day: {days: mon, zone: UTC}, spare: {days: mon, zone: UTC}}\n");
    assert_null(load(b, true));
    assert_int_equal(b->d.errors, 5); /* each destination that nobody defines */
    bed_forget(b);
    b->c = config_load_rules(str_printf(&b->a, "%s/main.yaml", b->dir).p, &b->d);
    assert_said(b, "");
    assert_int_equal(b->c->rules->rule_count, 2);
    assert_int_equal(b->c->rules->destination_count, 4);
    file(b, "main.yaml", "version: 1\nrules:\n  r: {when: {status: failed}, notyfi: x}\n");
    bed_forget(b);
    b->c = config_load_rules(str_printf(&b->a, "%s/main.yaml", b->dir).p, &b->d);
    assert_null(b->c);
    assert_non_null(strstr(said(b), "main.yaml:3:31: error: unknown key `notyfi` in rule [did you mean `notify`?]\n"));
}

/* Other rules for a configuration: what they bring of schedules and mutes counts, the rest is as it was. */
static void test_rules_of_another_file_bring_their_schedules(void **state)
{
    static const char other[] = "version: 1\nschedules:\n  business: {days: sat, zone: UTC}\nmutes:\n  m: {when: {task: a}, during: nightly, why: theirs}\n"
                                "rules:\n  q: {when: {status: failed}, during: business, outside: drop, notify: out}\n";
    struct bed *b = *state;
    const struct ruleset *rs;
    file(b, "main.yaml", HEAD "schedules:\n  business: {days: mon, zone: UTC}\n  nightly: {hours: 01:00-02:00, zone: UTC}\n"
         "mutes:\n  m: {when: {task: b}, during: nightly, why: ours}\n  n: {when: {task: c}, during: nightly, why: ours}\nrules:\n  " RULE("r"));
    bed_forget(b);
    b->c = config_load_with_rules_text(str_printf(&b->a, "%s/main.yaml", b->dir).p, str_c(other), &b->d);
    assert_said(b, "");
    rs = b->c->rules;
    assert_int_equal(rs->rule_count, 1);
    assert_int_equal(rs->schedule_count, 2);
    assert_true(schedule_covers(rs->rules[0]->during, INT64_C(1777680000000))); /* a Saturday */
    assert_int_equal(rs->mute_count, 2);
    assert_string_equal(rs->mutes[0].name.p, "n");
    assert_string_equal(rs->mutes[1].why.p, "theirs");
}

/* --- again and again ------------------------------------------------------------------------------------------------------------ */
static void test_loading_leaks_nothing(void **state)
{
    struct bed *b = *state;
    file(b, "part.yaml", "version: 1\nrules:\n  q: {when: {error.message: {re: \"time ?out\"}}, notify: nobody}\n  w: {when: {task: {re: \"(\"}}, notify: out}\n");
    file(b, "main.yaml", HEAD "include: part.yaml\nrules:\n  r: {when: {error.message: {re: \"[a-z]+\"}, status: failed}, notify: out, message: {title: \"{{task}\"}}\n");
    for (int k = 0; k < 1000; k++) {
        assert_null(load(b, false));
        assert_true(b->d.errors >= 3);
    }
    file(b, "part.yaml", "version: 1\nrules:\n  q: {when: {error.message: {re: \"time ?out\"}}, notify: out}\n");
    file(b, "main.yaml", HEAD "include: part.yaml\n");
    for (int k = 0; k < 100; k++) assert_non_null(load(b, false));
}

static void test_too_many_files(void **state)
{
    struct bed *b = *state;
    char name[32];
    for (int k = 0; k < 1005; k++) {
        snprintf(name, sizeof name, "part%d.yaml", k);
        file(b, name, "version: 1\n");
    }
    file(b, "main.yaml", HEAD "include: \"part*.yaml\"\n");
    assert_null(load(b, false));
    assert_said(b, "main.yaml:4:10: error: more than 999 files are included\n"); /* never silently left out */
}

#define BED_TEST(fn) cmocka_unit_test_setup_teardown(fn, bed_open, bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BED_TEST(test_a_whole_configuration),
        BED_TEST(test_the_defaults),
        BED_TEST(test_every_mistake_of_every_section),
        BED_TEST(test_settings_one_by_one),
        BED_TEST(test_an_operator_with_a_pattern_for_a_channel),
        BED_TEST(test_sources_of_trigger_dev),
        BED_TEST(test_absences_where_nobody_listens),
        BED_TEST(test_what_can_be_confirmed),
        BED_TEST(test_rules_that_no_source_can_see),
        BED_TEST(test_ends_that_no_source_can_see),
        BED_TEST(test_a_syntax_error_makes_no_other_mistakes),
        BED_TEST(test_a_file_that_is_not_there),
        BED_TEST(test_what_is_no_configuration),
        BED_TEST(test_files_are_included_by_glob),
        BED_TEST(test_a_glob_without_a_match),
        BED_TEST(test_what_an_included_file_may_not_hold),
        BED_TEST(test_one_name_in_two_files),
        BED_TEST(test_a_syntax_error_hides_nothing_elsewhere),
        BED_TEST(test_secrets_come_from_elsewhere),
        BED_TEST(test_no_line_is_shown_with_its_secret),
        BED_TEST(test_destinations_that_are_told_nothing),
        BED_TEST(test_a_file_of_rules_alone),
        BED_TEST(test_rules_of_another_file_bring_their_schedules),
        BED_TEST(test_loading_leaks_nothing),
        BED_TEST(test_too_many_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
