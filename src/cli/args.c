#include "cli/args.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/suggest.h"

static void print_help(const struct command *c, const struct arg_option *options, size_t n)
{
    printf("runbell %s - %s\n\nUsage: runbell %s%s%s%s\n", c->name, c->about, c->name, n ? " [options]" : "", c->operands[0] ? " " : "",
           c->operands);
    if (c->help) printf("\n%s\n", c->help);
    printf("\nOptions:\n");
    for (size_t k = 0; k < n; k++) {
        char left[64];
        snprintf(left, sizeof left, "%s%c%s--%s%s%s", options[k].letter ? "-" : " ", options[k].letter ? options[k].letter : ' ',
                 options[k].letter ? ", " : "  ", options[k].name, options[k].value ? " " : "", options[k].value ? options[k].value : "");
        printf("  %-26s %s\n", left, options[k].help);
    }
    printf("  %-26s %s\n", "-h, --help", "this text");
}

static int wrong(const struct command *c, const char *before, const char *what, const char *after)
{
    fprintf(stderr, "runbell %s: %s%s%s\nTry: runbell %s --help\n", c->name, before, what, after, c->name);
    return EXIT_USAGE;
}

static const struct arg_option *find_long(const struct arg_option *options, size_t n, const char *name, size_t len)
{
    for (size_t k = 0; k < n; k++)
        if (strlen(options[k].name) == len && memcmp(options[k].name, name, len) == 0) return &options[k];
    return NULL;
}

static const struct arg_option *find_letter(const struct arg_option *options, size_t n, char letter)
{
    for (size_t k = 0; k < n; k++)
        if (options[k].letter == letter) return &options[k];
    return NULL;
}

static int unknown(const struct command *c, const struct arg_option *options, size_t n, const char *arg)
{
    struct str names[32], near;
    for (size_t k = 0; k < n && k < 32; k++) names[k] = str_c(options[k].name);
    near = suggest_nearest(str_c(arg + strspn(arg, "-")), names, n < 32 ? n : 32);
    if (near.n) fprintf(stderr, "runbell %s: unknown option %s, did you mean --%.*s?\nTry: runbell %s --help\n", c->name, arg, STR_ARG(near), c->name);
    else return wrong(c, "unknown option ", arg, "");
    return EXIT_USAGE;
}

/* One option at argv[*at]; -1 to go on. */
static int take(const struct command *c, const struct arg_option *options, size_t n, int argc, char **argv, int *at)
{
    const char *arg = argv[*at], *value = NULL;
    const struct arg_option *o;
    if (arg[1] == '-') {
        const char *equals = strchr(arg, '=');
        o = find_long(options, n, arg + 2, equals ? (size_t)(equals - arg - 2) : strlen(arg + 2));
        value = equals ? equals + 1 : NULL;
    } else {
        o = find_letter(options, n, arg[1]);
        if (arg[2]) value = arg + 2;
    }
    if (!o) return unknown(c, options, n, arg);
    if (!o->value) {
        if (value) return wrong(c, "--", o->name, " takes no value");
        *o->flag = true;
        return -1;
    }
    if (!value && *at + 1 >= argc) return wrong(c, "--", o->name, " wants a value");
    *o->text = value ? value : argv[++*at];
    return -1;
}

/* Options point at variables of the command that has them: whoever wants to know them lets the command come as far as
 * args_parse, where it is asked instead of parsed. */
static struct { args_options_fn fn; void *ctx; } asked;

void args_describe(const struct command *c, args_options_fn fn, void *ctx)
{
    char name[64];
    char *argv[] = { name, NULL };
    snprintf(name, sizeof name, "%s", c->name);
    asked.fn = fn;
    asked.ctx = ctx;
    c->run(1, argv);
    asked.fn = NULL;
}

int args_parse(const struct command *c, const struct arg_option *options, size_t n, int argc, char **argv, int *operands, int least,
               int most)
{
    int found = 0;
    bool only_operands = false;
    if (asked.fn) {
        asked.fn(asked.ctx, c, options, n);
        return EXIT_FINE;
    }
    for (int at = 1; at < argc; at++) {
        const char *arg = argv[at];
        int rc;
        if (!only_operands && strcmp(arg, "--") == 0) {
            only_operands = true;
            continue;
        }
        if (only_operands || arg[0] != '-' || arg[1] == '\0') {
            argv[++found] = argv[at];
            continue;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            print_help(c, options, n);
            return EXIT_FINE;
        }
        rc = take(c, options, n, argc, argv, &at);
        if (rc >= 0) return rc;
    }
    *operands = found;
    if (found < least) return wrong(c, "wants ", c->operands, "");
    if (found > most) return wrong(c, "does not know what to do with ", argv[most + 1], "");
    return -1;
}
