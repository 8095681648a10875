/* completion: scripts that let a shell complete commands, options and files, made from the commands' own tables. */
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "cli/cli.h"

const char completion_help[] =
    "Prints a script with which bash, zsh or fish completes runbell's commands and options:\n"
    "\n"
    "  bash: source <(runbell completion bash)       in ~/.bashrc; or into /etc/bash_completion.d/runbell\n"
    "  zsh:  source <(runbell completion zsh)        in ~/.zshrc, after compinit\n"
    "  fish: runbell completion fish > ~/.config/fish/completions/runbell.fish\n"
    "\n"
    "`make install` puts all three where the shells look for them.";

enum { SCRIPT_CEILING = 1 << 20 };
static const char *const shells[] = { "bash", "zsh", "fish", NULL };

/* What may stand behind a command, or as the value of an option. */
static bool wants_file(const char *what)
{
    return what && strstr(what, "FILE");
}

static bool wants_shell(const char *what)
{
    return what && strcmp(what, "SHELL") == 0;
}

/* A text between single quotes, for a shell of the sh family; `also` are characters to put \ before. */
static void put_quoted(struct strbuf *out, const char *text, const char *also)
{
    for (; *text; text++) {
        if (*text == '\'') strbuf_c(out, "'\\''");
        else {
            if (strchr(also, *text)) strbuf_char(out, '\\');
            strbuf_char(out, *text);
        }
    }
}

/* --- bash -------------------------------------------------------------------------------------------------- */
static void bash_names(struct strbuf *out, const struct arg_option *o)
{
    if (o->letter) strbuf_printf(out, "-%c ", o->letter);
    strbuf_printf(out, "--%s ", o->name);
}

static void bash_command(void *ctx, const struct command *c, const struct arg_option *options, size_t n)
{
    struct strbuf *out = ctx;
    strbuf_printf(out, "    %s) opts='", c->name);
    for (size_t k = 0; k < n; k++) bash_names(out, &options[k]);
    strbuf_c(out, "-h --help' files='");
    for (size_t k = 0; k < n; k++)
        if (wants_file(options[k].value)) bash_names(out, &options[k]);
    strbuf_c(out, "' values='");
    for (size_t k = 0; k < n; k++)
        if (options[k].value && !wants_file(options[k].value)) bash_names(out, &options[k]);
    strbuf_printf(out, "' operand=%s ;;\n", wants_file(c->operands) ? "file" : wants_shell(c->operands) ? "shell" : "none");
}

static void put_bash(struct strbuf *out)
{
    strbuf_c(out, "# bash completion of runbell; printed by: runbell completion bash\n"
                  "_runbell() {\n"
                  "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} opts= files= values= operand=none\n"
                  "  COMPREPLY=()\n"
                  "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                  "    COMPREPLY=($(compgen -W '");
    for (const struct command *c = commands; c->name; c++) strbuf_printf(out, "%s ", c->name);
    strbuf_c(out, "--help --version' -- \"$cur\"))\n"
                  "    return\n"
                  "  fi\n"
                  "  case ${COMP_WORDS[1]} in\n");
    for (const struct command *c = commands; c->name; c++) args_describe(c, bash_command, out);
    strbuf_c(out, "  esac\n"
                  "  case \" $files\" in *\" $prev \"*) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;; esac\n"
                  "  case \" $values\" in *\" $prev \"*) return ;; esac\n"
                  "  case $cur in -*) COMPREPLY=($(compgen -W \"$opts\" -- \"$cur\")); return ;; esac\n"
                  "  case $operand in\n"
                  "    file) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
                  "    shell) COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\")) ;;\n"
                  "  esac\n"
                  "}\n"
                  "complete -o filenames -F _runbell runbell\n");
}

/* --- zsh --------------------------------------------------------------------------------------------------- */
static const char zsh_special[] = "[]:\\";

static void zsh_spec(struct strbuf *out, const struct arg_option *o, const char *name)
{
    strbuf_printf(out, " '%s[", name);
    put_quoted(out, o->help, zsh_special);
    strbuf_char(out, ']');
    if (o->value) strbuf_printf(out, ":%s:%s", wants_file(o->value) ? "file" : "value", wants_file(o->value) ? "_files" : "");
    strbuf_char(out, '\'');
}

static void zsh_command(void *ctx, const struct command *c, const struct arg_option *options, size_t n)
{
    struct strbuf *out = ctx;
    char name[64];
    strbuf_printf(out, "    %s) _arguments", c->name);
    for (size_t k = 0; k < n; k++) {
        snprintf(name, sizeof name, "--%s", options[k].name);
        zsh_spec(out, &options[k], name);
        if (!options[k].letter) continue;
        snprintf(name, sizeof name, "-%c", options[k].letter);
        zsh_spec(out, &options[k], name);
    }
    strbuf_c(out, " '(-h --help)'{-h,--help}'[help]'");
    if (wants_file(c->operands)) strbuf_c(out, " '*:file:_files'");
    if (wants_shell(c->operands)) strbuf_c(out, " '1:shell:(bash zsh fish)'");
    strbuf_c(out, " ;;\n");
}

static void put_zsh(struct strbuf *out)
{
    strbuf_c(out, "#compdef runbell\n"
                  "# zsh completion of runbell; printed by: runbell completion zsh\n"
                  "_runbell() {\n"
                  "  local -a list=(\n");
    for (const struct command *c = commands; c->name; c++) {
        strbuf_printf(out, "    '%s:", c->name);
        put_quoted(out, c->about, zsh_special);
        strbuf_c(out, "'\n");
    }
    strbuf_c(out, "  )\n"
                  "  if (( CURRENT == 2 )); then _describe command list; return; fi\n"
                  "  shift words; (( CURRENT-- ))\n"
                  "  case $words[1] in\n");
    for (const struct command *c = commands; c->name; c++) args_describe(c, zsh_command, out);
    strbuf_c(out, "  esac\n"
                  "}\n"
                  "if [ \"$funcstack[1]\" = _runbell ]; then _runbell \"$@\"; else compdef _runbell runbell; fi\n");
}

/* --- fish -------------------------------------------------------------------------------------------------- */
static void fish_text(struct strbuf *out, const char *text)
{
    strbuf_char(out, '\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') strbuf_char(out, '\\');
        strbuf_char(out, *text);
    }
    strbuf_char(out, '\'');
}

static void fish_command(void *ctx, const struct command *c, const struct arg_option *options, size_t n)
{
    struct strbuf *out = ctx;
    for (size_t k = 0; k < n; k++) {
        strbuf_printf(out, "complete -c runbell -n '__fish_seen_subcommand_from %s' -l %s", c->name, options[k].name);
        if (options[k].letter) strbuf_printf(out, " -s %c", options[k].letter);
        if (options[k].value) strbuf_c(out, wants_file(options[k].value) ? " -r -F" : " -x");
        strbuf_c(out, " -d ");
        fish_text(out, options[k].help);
        strbuf_char(out, '\n');
    }
    if (wants_file(c->operands)) strbuf_printf(out, "complete -c runbell -n '__fish_seen_subcommand_from %s' -F\n", c->name);
    if (wants_shell(c->operands)) strbuf_printf(out, "complete -c runbell -n '__fish_seen_subcommand_from %s' -a 'bash zsh fish'\n", c->name);
}

static void put_fish(struct strbuf *out)
{
    strbuf_c(out, "# fish completion of runbell; printed by: runbell completion fish\n"
                  "complete -c runbell -f\n"
                  "complete -c runbell -s h -l help -d 'help'\n");
    for (const struct command *c = commands; c->name; c++) {
        strbuf_printf(out, "complete -c runbell -n __fish_use_subcommand -a %s -d ", c->name);
        fish_text(out, c->about);
        strbuf_char(out, '\n');
        args_describe(c, fish_command, out);
    }
}

int cli_completion(int argc, char **argv)
{
    static void (*const put[])(struct strbuf *) = { put_bash, put_zsh, put_fish };
    struct strbuf out;
    size_t shell = 0;
    int operands, rc = args_parse(command_find("completion"), NULL, 0, argc, argv, &operands, 1, 1);
    if (rc >= 0) return rc;
    while (shells[shell] && strcmp(shells[shell], argv[1]) != 0) shell++;
    if (!shells[shell]) {
        fprintf(stderr, "runbell completion: knows bash, zsh and fish, not %s\nTry: runbell completion --help\n", argv[1]);
        return EXIT_USAGE;
    }
    strbuf_init(&out, SCRIPT_CEILING);
    put[shell](&out);
    fwrite(out.p, 1, out.n, stdout);
    strbuf_fini(&out);
    return EXIT_FINE;
}
