/* runbell: one binary, subcommands. */
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/suggest.h"
#include "cli/cli.h"

const struct command commands[] = {
    { "serve", "", "the server: takes run events, matches rules, sends messages", serve_help, cli_serve },
    { "check", "[FILE]", "validates configuration and rules: all mistakes at once", check_help, cli_check },
    { "test", "[FILE...]", "runs the tests: sections of rule files on a virtual clock", test_help, cli_test },
    { "explain", "[RUN]", "why each rule does or does not fire for a run or an event", explain_help, cli_explain },
    { "backtest", "[OLD NEW]", "what the rules would have sent over the stored log", backtest_help, cli_backtest },
    { "render", "RULE", "the exact request a destination would get", render_help, cli_render },
    { "send", "DEST", "sends a drill message through the running server",
      "The message says that it is a drill, and goes the way of every other one: rate, retries, breaker, ledger.\n"
      "`runbell deliveries` shows what came of it.", cli_send },
    { "status", "", "how the running server is doing",
      "Events, queue, commits, incidents, deliveries, store and polled sources of the running server, in figures.", cli_status },
    { "incidents", "[ID]", "incidents of the running server, or one with its timeline",
      "Without ID those that are not resolved; with one, its whole timeline: what hit, what was said to whom, who did what.\n"
      "\n"
      "  runbell incidents --rule retry-storm --all", cli_incidents },
    { "ack", "ID", "acknowledges an incident: no more reminders and escalations",
      "Reminders and escalations of it end, and pagers are told. With --for it is a snooze: it lapses after that long.\n"
      "\n"
      "  runbell ack inc_... --for 1h --why 'deploy is under way'", cli_ack },
    { "resolve", "ID", "resolves an incident by hand",
      "It ends now, and whoever heard of it is told. The next hit opens a new incident.", cli_resolve },
    { "silence", "add|list|end [ID]", "holds back what would be told of runs that match", silence_help, cli_silence },
    { "deliveries", "", "messages on their way, delivered and dead",
      "Each message to each destination, with its state, tries and last error. --state dead: those that were given up;\n"
      "`runbell retry ID` sends one again.", cli_deliveries },
    { "retry", "ID", "sends a dead delivery again",
      "It goes out again under the same idempotency key, so a receiver that had it after all can tell.", cli_retry },
    { "runs", "ID", "what was seen of a run",
      "What was known of it and what each report changed, from the log. --reread asks Trigger.dev\n"
      "again, where a source of type trigger-api has seen it.", cli_runs },
    { "import", "--source NAME", "history of a trigger-api source into the server's log", import_help, cli_import },
    { "providers", "[NAME]", "the kinds of destinations and their parameters",
      "Without NAME a list; with a name or a type its parameters and what it does for each kind of message.\n"
      "The reference of all of them: runbell docs", cli_providers },
    { "fmt", "FILE...", "lays files out anew: order, indentation, comments kept", fmt_help, cli_fmt },
    { "schema", "", "the JSON Schema of the configuration, for editors", schema_help, cli_schema },
    { "docs", "", "the reference of the configuration, as Markdown", docs_help, cli_docs },
    { "completion", "SHELL", "a script with which bash, zsh or fish completes commands", completion_help, cli_completion },
    { "demo", "", "tells the story of all three sample rules, with real parts", demo_help, cli_demo },
    { "healthcheck", "", "exit status 0 when the server is ready (for containers)",
      "Asks /readyz: can the store be written, is the configuration loaded? Exit status 3 when nobody answers.", cli_healthcheck },
    { "version", "", "version of runbell and of the libraries it runs with",
      "What to name in a bug report.", cli_version },
    { NULL, NULL, NULL, NULL, NULL },
};

const struct command *command_find(const char *name)
{
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0) return c;
    return NULL;
}

static void usage(FILE *out)
{
    fprintf(out, "runbell rings when Trigger.dev runs go wrong.\n\nUsage: runbell COMMAND [options]\n\nCommands:\n");
    for (const struct command *c = commands; c->name; c++) fprintf(out, "  %-12s %s\n", c->name, c->about);
    fprintf(out, "\nEvery command has --help. A first try: runbell demo\n");
}

static int unknown(const char *name)
{
    struct str names[32], near;
    size_t n = 0;
    for (const struct command *c = commands; c->name && n < 32; c++) names[n++] = str_c(c->name);
    near = suggest_nearest(str_c(name), names, n);
    fprintf(stderr, "runbell: there is no command %s", name);
    if (near.n) fprintf(stderr, ", did you mean %.*s?", STR_ARG(near));
    fprintf(stderr, "\nTry: runbell --help\n");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    const struct command *c;
    int rc;
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return EXIT_FINE;
    }
    c = command_find(strcmp(argv[1], "--version") == 0 ? "version" : argv[1]);
    if (!c) return unknown(argv[1]);
    signal(SIGPIPE, SIG_IGN);
    failpoint_setup();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    rc = c->run(argc - 1, argv + 1);
    curl_global_cleanup();
    return rc;
}
