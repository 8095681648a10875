#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(struct err *err, enum err_code code, const char *fmt, va_list ap)
{
    err->code = code;
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    va_list ap;
    err->line = err->col = 0;
    err->file[0] = '\0';
    va_start(ap, fmt);
    fill(err, code, fmt, ap);
    va_end(ap);
    return -1;
}

int err_at(struct err *err, enum err_code code, const char *file, uint32_t line, uint32_t col,
           const char *fmt, ...)
{
    va_list ap;
    const size_t room = sizeof err->file - 1;
    size_t n = file ? strlen(file) : 0;
    const char *from = n > room ? file + (n - room) : file;
    err->line = line;
    err->col = col;
    if (n > room) n = room;
    if (n) memcpy(err->file, from, n);
    err->file[n] = '\0';
    va_start(ap, fmt);
    fill(err, code, fmt, ap);
    va_end(ap);
    return -1;
}
