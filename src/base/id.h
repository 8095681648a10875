/* id: time-ordered 64-bit ids with a prefix in their text form ("inc_0c3k9...").
 * 44 bits of milliseconds, 20 bits of sequence: order of making is order of value. No randomness, so a
 * replay of the same inputs makes the same ids. One thread per generator. */
#ifndef BASE_ID_H
#define BASE_ID_H
#include "base/str.h"

enum { ID_SIZE = 24 }; /* bytes of the text form, NUL included */
struct id_gen { uint64_t last; };

/* Greater than every id made before, even if the clock went back. */
uint64_t id_next(struct id_gen *g, int64_t wall_ms);
/* Text of id with prefix ("inc"; at most 7 letters): "inc_" + 13 characters of base 32. */
struct str id_format(const char *prefix, uint64_t id, char out[ID_SIZE]);
/* The other way; false when the prefix or a character is wrong. */
bool id_parse(const char *prefix, struct str text, uint64_t *id);
int64_t id_wall_ms(uint64_t id); /* when it was made */
#endif
