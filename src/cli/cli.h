/* cli: the subcommands and what they share. Only this room ends the process. */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include "base/str.h"
#include "cli/args.h"
#include "config/config.h"
#include "json/json.h"

int cli_serve(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_test(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_backtest(int argc, char **argv);
int cli_render(int argc, char **argv);
int cli_send(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_incidents(int argc, char **argv);
int cli_ack(int argc, char **argv);
int cli_resolve(int argc, char **argv);
int cli_silence(int argc, char **argv);
int cli_deliveries(int argc, char **argv);
int cli_retry(int argc, char **argv);
int cli_runs(int argc, char **argv);
int cli_import(int argc, char **argv);
int cli_providers(int argc, char **argv);
int cli_demo(int argc, char **argv);
int cli_healthcheck(int argc, char **argv);
int cli_version(int argc, char **argv);
int cli_schema(int argc, char **argv);
int cli_docs(int argc, char **argv);
int cli_fmt(int argc, char **argv);
int cli_completion(int argc, char **argv);
extern const char serve_help[], check_help[], test_help[], explain_help[], render_help[], demo_help[], import_help[],
    schema_help[], docs_help[], completion_help[], fmt_help[], backtest_help[], silence_help[];

/* -c FILE, else RUNBELL_CONFIG, else runbell.yaml. */
const char *config_path(const char *given);
/* Loads or explains on stderr: NULL, with *status set to the exit status. */
struct config_ask {
    const char *path, *rules;     /* rules: a file of rules that stand for the configuration's own; NULL = none */
    bool check_only, rules_only;  /* as in config.h */
    bool quiet;                   /* warnings are not shown */
};
struct config *config_asked(const struct config_ask *ask, int *status);
struct config *config_or_explain(const char *path, bool check_only, bool rules_only, int *status);
/* Is out (STDOUT_FILENO, ...) a terminal that takes colour? NO_COLOR is obeyed. */
bool use_color(int fd);
#endif
