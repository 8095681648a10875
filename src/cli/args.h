/* args: the command line of one subcommand, described by a table that parses it and prints its help. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H
#include <stdbool.h>
#include <stddef.h>

enum { EXIT_FINE = 0, EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_UNREACHED = 3 };

struct arg_option {
    const char *name;    /* "config" for --config */
    char letter;         /* 'c' for -c; 0 = none */
    const char *value;   /* "FILE"; NULL = a flag */
    const char *help;
    const char **text;   /* where the value goes */
    bool *flag;          /* or: set to true */
};
struct command {
    const char *name;
    const char *operands; /* "ID", "[FILE...]"; "" = none */
    const char *about;    /* one line, for the list */
    const char *help;     /* more, for --help; may be NULL */
    int (*run)(int argc, char **argv);
};
/* Parses argv[1..]; operands are left in argv[1..*operands]. Returns -1 to go on, or an exit status (help was
 * printed: 0; a mistake was explained: 2). */
int args_parse(const struct command *c, const struct arg_option *options, size_t n, int argc, char **argv, int *operands,
               int least, int most);
/* Calls fn with the options that c's own call of args_parse gives; c does nothing else. */
typedef void (*args_options_fn)(void *ctx, const struct command *c, const struct arg_option *options, size_t n);
void args_describe(const struct command *c, args_options_fn fn, void *ctx);
/* All commands, for help and completion; ends with a NULL name. */
extern const struct command commands[];
const struct command *command_find(const char *name);
#endif
