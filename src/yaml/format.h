/* format: a YAML text laid out anew: two blanks for each level, comments kept with what they speak of, values as
 * they were written. What stands inside one entry ({...}, a long text) is moved as it is. */
#ifndef YAML_FORMAT_H
#define YAML_FORMAT_H
#include "yaml/yaml.h"

/* top: the tree of text, whose members may have been put in another order: they come out in that one. False when the
 * text cannot be laid out without a change of its meaning or the loss of a line; out is then of no use. */
bool yaml_format(struct arena *a, const struct yaml_node *top, struct str text, struct strbuf *out);
/* Do both say the same? The order of a map's members does not matter. */
bool yaml_same(const struct yaml_node *x, const struct yaml_node *y);
#endif
