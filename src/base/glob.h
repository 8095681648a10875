/* glob: `*` (any run of characters) and `?` (any one) over a whole text. Linear space, no recursion. */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H
#include "base/str.h"

bool glob_match(struct str pattern, struct str text);
bool glob_is(struct str pattern); /* does it hold a * or a ? */
#endif
