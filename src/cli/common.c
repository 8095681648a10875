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

struct config *config_or_explain(const char *path, bool check_only, bool rules_only, int *status)
{
    struct arena a = { 0 };
    struct diags d;
    struct strbuf text;
    struct config *c;
    diags_init(&d, &a);
    strbuf_init(&text, 4 << 20);
    c = rules_only ? config_load_rules(path, &d) : config_load(path, check_only, &d);
    diags_print(&d, &text, use_color(STDERR_FILENO));
    if (text.n) fputs(text.p, stderr);
    *status = c ? EXIT_FINE : access(path, R_OK) == 0 ? EXIT_WRONG : EXIT_UNREACHED;
    strbuf_fini(&text);
    diags_fini(&d);
    arena_fini(&a);
    return c;
}
