#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "yaml/diag.h"

const char *config_path(const char *given)
{
    const char *env = getenv("RUNBELL_CONFIG");
    if (given) return given;
    return env && env[0] ? env : "runbell.yaml";
}

bool use_color(int fd)
{
    const char *no = getenv("NO_COLOR");
    return isatty(fd) && !(no && no[0]);
}

static struct config *load(const struct config_ask *ask, struct diags *d)
{
    if (ask->rules_only) return config_load_rules(ask->path, d);
    return ask->rules ? config_load_with_rules(ask->path, ask->rules, d) : config_load(ask->path, ask->check_only, d);
}

static bool can_be_read(const struct config_ask *ask)
{
    return access(ask->path, R_OK) == 0 && (!ask->rules || access(ask->rules, R_OK) == 0);
}

struct config *config_asked(const struct config_ask *ask, int *status)
{
    struct arena a = { 0 };
    struct diags d;
    struct strbuf text;
    struct config *c;
    diags_init(&d, &a);
    strbuf_init(&text, 4 << 20);
    c = load(ask, &d);
    if (!c || !ask->quiet) diags_print(&d, &text, use_color(STDERR_FILENO));
    if (text.n) fputs(text.p, stderr);
    *status = c ? EXIT_FINE : can_be_read(ask) ? EXIT_WRONG : EXIT_UNREACHED;
    strbuf_fini(&text);
    diags_fini(&d);
    arena_fini(&a);
    return c;
}

struct config *config_or_explain(const char *path, bool check_only, bool rules_only, int *status)
{
    return config_asked(&(struct config_ask){ .path = path, .check_only = check_only, .rules_only = rules_only }, status);
}
