/* test: the tests beside the rules, once or at every change, for people, scripts and CI. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/junit.h"
#include "cli/watch.h"
#include "replay/tests.h"
#include "yaml/diag.h"

enum { OPERANDS_MAX = 1000 };

const char test_help[] =
    "Runs every test of the files (or of the configuration and what it includes) on a virtual clock: no server,\n"
    "no network, no waiting. A failure shows what happened beside what was expected. Exit status 1 on a failure.\n"
    "\n"
    "  runbell test rules/*.yaml                 these files\n"
    "  runbell test --watch                      again whenever a file changes; Ctrl-C ends it\n"
    "  runbell test -q --junit build/rules.xml   for CI: JUnit's XML, which CI systems show as tests";

/* What was asked for, and the run under way. */
struct testing {
    const char *config, *junit_path;
    bool json, quiet, watch;
    int file_count;
    char **files;
    struct test_counts counts;
    struct strbuf out;
    struct json_writer w;
    struct junit junit;
    struct watch changes;
    int64_t case_began_ms;
};

/* Standard output holds one thing: with --junit - that is the XML. */
static bool xml_alone(const struct testing *t)
{
    return t->junit_path && strcmp(t->junit_path, "-") == 0;
}

static void case_done(void *ctx, struct str name, const struct yaml_node *at, const char *failure)
{
    struct testing *t = ctx;
    int64_t now = clock_mono(clock_system()).ms;
    if (t->junit_path) junit_case(&t->junit, name, at->file, at->line, now - t->case_began_ms, failure);
    t->case_began_ms = now;
    if (t->json) {
        json_object_begin(&t->w);
        json_field_str(&t->w, "name", name);
        json_field_str(&t->w, "file", str_c(at->file));
        json_field_i64(&t->w, "line", at->line);
        json_field_bool(&t->w, "passed", failure == NULL);
        json_field_opt(&t->w, "failure", str_c(failure));
        json_object_end(&t->w);
    } else if (failure && !xml_alone(t)) {
        printf("FAIL  %.*s (%s:%u)\n%s", STR_ARG(name), at->file, at->line, failure);
    } else if (!failure && !t->quiet && !xml_alone(t)) {
        printf("ok    %.*s\n", STR_ARG(name));
    }
}

static void print_mistakes(struct diags *d)
{
    struct strbuf text;
    strbuf_init(&text, 4 << 20);
    diags_sort(d);
    diags_print(d, &text, use_color(STDERR_FILENO));
    if (text.n) fputs(text.p, stderr);
    strbuf_fini(&text);
}

static void watch_file(struct testing *t, const char *path)
{
    struct err err;
    if (t->watch && watch_add(&t->changes, path, &err) < 0) fprintf(stderr, "runbell test: %s\n", err.msg);
}

static int test_file(struct testing *t, const char *path)
{
    struct arena a = { 0 };
    int status;
    struct diags d;
    struct config *c;
    watch_file(t, path);
    diags_init(&d, &a);
    c = config_load_rules(path, &d);
    t->case_began_ms = clock_mono(clock_system()).ms;
    for (size_t k = 0; c && k < c->test_section_count; k++) tests_run(c->rules, c->test_sections[k], &d, case_done, t, &t->counts);
    for (size_t k = 0; diags_source_file(&d, k); k++) watch_file(t, diags_source_file(&d, k)); /* those with mistakes, too */
    if (!c && t->junit_path) junit_error(&t->junit, path, "it has mistakes, or cannot be read: runbell check names them");
    if (t->junit_path) junit_file_end(&t->junit, path);
    print_mistakes(&d);
    status = c ? EXIT_FINE : access(path, R_OK) == 0 ? EXIT_WRONG : EXIT_UNREACHED;
    config_unref(&c);
    diags_fini(&d);
    arena_fini(&a);
    return status;
}

static int write_junit(struct testing *t)
{
    struct err err;
    if (!t->junit_path || junit_write(&t->junit, t->junit_path, &err) == 0) return EXIT_FINE;
    fprintf(stderr, "runbell test: %s\n", err.msg);
    return EXIT_UNREACHED;
}

static int run_files(struct testing *t)
{
    int rc = EXIT_FINE, one;
    if (t->file_count == 0) return test_file(t, config_path(t->config));
    for (int k = 0; k < t->file_count; k++) {
        one = test_file(t, t->files[k]);
        if (one != EXIT_FINE) rc = one;
    }
    return rc;
}

static void print_counts(const struct testing *t)
{
    if (t->json) printf("{\"passed\":%zu,\"failed\":%zu,\"tests\":%s}\n", t->counts.passed, t->counts.failed, t->out.p);
    else fprintf(xml_alone(t) ? stderr : stdout, "%zu passed, %zu failed\n", t->counts.passed, t->counts.failed);
}

/* All files once. */
static int run_once(struct testing *t)
{
    int rc, written;
    memset(&t->counts, 0, sizeof t->counts);
    strbuf_init(&t->out, 64 << 20);
    json_writer_init(&t->w, &t->out);
    json_array_begin(&t->w);
    junit_init(&t->junit);
    rc = run_files(t);
    json_array_end(&t->w);
    print_counts(t);
    written = write_junit(t);
    junit_fini(&t->junit);
    strbuf_fini(&t->out);
    if (rc != EXIT_FINE || written != EXIT_FINE) return rc != EXIT_FINE ? rc : written;
    if (t->counts.passed + t->counts.failed == 0) fprintf(stderr, "runbell test: there are no tests; add a `tests:` section beside the rules\n");
    return t->counts.failed ? EXIT_WRONG : EXIT_FINE;
}

/* --- again and again ---------------------------------------------------------------------------------------------------- */
static volatile sig_atomic_t last_status;

static void leave(int signal)
{
    (void)signal;
    _exit(last_status); /* what the last whole run said */
}

static int run_watching(struct testing *t)
{
    struct sigaction end = { .sa_handler = leave };
    struct err err;
    if (watch_open(&t->changes, &err) < 0) {
        fprintf(stderr, "runbell test: %s\n", err.msg);
        return EXIT_UNREACHED;
    }
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    for (;;) {
        struct timespec began;
        size_t folders = t->changes.folders.n;
        clock_gettime(CLOCK_REALTIME_COARSE, &began); /* the one that files are stamped by */
        if (isatty(STDOUT_FILENO)) printf("\033[H\033[2J");
        last_status = run_once(t);
        if (!t->json && !xml_alone(t)) printf("watching %zu file%s; Ctrl-C ends it\n", t->changes.files.n, t->changes.files.n == 1 ? "" : "s");
        fflush(stdout);
        /* What changed in a folder between its being read and its being watched would never be told. */
        if (t->changes.folders.n == folders || !watch_changed_since(&t->changes, &began)) watch_wait(&t->changes);
    }
}

int cli_test(int argc, char **argv)
{
    struct testing t = { .files = argv + 1 };
    int rc;
    const struct arg_option options[] = {
        { "config", 'c', "FILE", "configuration (runbell.yaml, or RUNBELL_CONFIG)", &t.config, NULL },
        { "quiet", 'q', NULL, "only failures and the summary", NULL, &t.quiet },
        { "junit", 0, "FILE", "the result as JUnit's XML, too; - is standard output", &t.junit_path, NULL },
        { "watch", 'w', NULL, "run again whenever a file changes", NULL, &t.watch },
        { "json", 0, NULL, "the result as JSON", NULL, &t.json },
    };
    rc = args_parse(command_find("test"), options, 5, argc, argv, &t.file_count, 0, OPERANDS_MAX);
    if (rc >= 0) return rc;
    if (t.json && xml_alone(&t)) {
        fprintf(stderr, "runbell test: --json and --junit - both want standard output; name a file for one\nTry: runbell test --help\n");
        return EXIT_USAGE;
    }
    return t.watch ? run_watching(&t) : run_once(&t);
}
