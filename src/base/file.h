/* file: whole small files. */
#ifndef BASE_FILE_H
#define BASE_FILE_H
#include "base/err.h"
#include "base/str.h"

/* Reads path ("-" is standard input) into a, NUL-terminated behind out->n. -1 when it cannot be read
 * (ERR_NOT_FOUND, ERR_IO) or is longer than ceiling (ERR_LIMIT). */
int file_read(struct arena *a, const char *path, size_t ceiling, struct str *out, struct err *err) WUR;
/* Folder part of path, "." when it has none. */
struct str file_dir(struct arena *a, const char *path);
#endif
