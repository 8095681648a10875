/* What the files of yaml/ share. */
#ifndef YAML_YAML_INTERNAL_H
#define YAML_YAML_INTERNAL_H
#include "yaml/yaml.h"

/* A value as messages quote it: cut when long, without control characters. Lives in the arena. */
const char *yaml_shown(struct arena *a, struct str value);

/* --- trap.c: characters that YAML takes for something else when a value starts with them --------------- */
/* True when an unquoted value must not start with c. */
bool trap_is(char c);
/* The value at text[at] as its writer meant it: to the end of the line, a comment or the bracket around it. */
struct str trap_meant(struct str text, size_t at);
/* Adds the error that names the trap; at is the offset of the character in the file's text. */
void trap_report(struct diags *d, const char *file, struct str text, size_t at, uint32_t line, uint32_t col);
#endif
