/* utf8: validity and lengths in the units destinations count in (notifier-providers.md 0.3). Pure. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
#include "base/str.h"

/* Length in bytes of the valid sequence at s[at], or 0: overlong, surrogate, above U+10FFFF, cut short. */
size_t utf8_sequence(struct str s, size_t at);
/* Offset of the first invalid byte, or s.n when all of s is valid. */
size_t utf8_invalid_at(struct str s);
/* Code point at s[at] (valid there); *next = offset behind it. */
uint32_t utf8_decode(struct str s, size_t at, size_t *next);
/* Writes cp (a scalar value) into out[4]; gives the number of bytes. */
size_t utf8_encode(uint32_t cp, char out[4]);
size_t utf8_chars(struct str s);  /* code points */
size_t utf8_utf16(struct str s);  /* UTF-16 code units */
#endif
