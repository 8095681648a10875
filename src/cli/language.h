/* language: the parts of the whole language, from every room that reads some of it. */
#ifndef CLI_LANGUAGE_H
#define CLI_LANGUAGE_H
#include "yaml/yaml.h"

struct language {
    struct arena a; /* what the parts point to */
    struct diags d;
    struct language_parts { const struct field_part *v; size_t n; } config, rules, tests;
};
/* 0, or an exit status: the descriptors inside this binary cannot be read, which its tests would have found. */
int language_open(struct language *l);
void language_close(struct language *l);
const struct field_part *language_part(const struct language *l, struct str name); /* NULL = none */
#endif
