/* err: what a failing function tells its caller. Filled in place, never allocated. */
#ifndef BASE_ERR_H
#define BASE_ERR_H
#include <stdint.h>

#define WUR __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))

enum err_code {
    ERR_OK,
    ERR_SYNTAX,    /* the text is not what its grammar wants */
    ERR_TYPE,      /* well formed, but of the wrong kind or out of range */
    ERR_LIMIT,     /* a bound of the configuration was reached */
    ERR_IO,        /* the system said no; may heal */
    ERR_CONFLICT,  /* somebody else holds or changed it */
    ERR_BUSY,      /* try later */
    ERR_NOT_FOUND, /* no such thing */
    ERR_UNCERTAIN  /* it may or may not have happened */
};

struct err {
    enum err_code code;
    uint32_t line, col; /* 1-based; 0 = unknown */
    char file[128];     /* "" = unknown; a long path keeps its end */
    char msg[240];
};

/* Fills err without a place. Always returns -1, so that `return err_set(...)` reads well. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same with a place. file may be NULL. */
int err_at(struct err *err, enum err_code code, const char *file, uint32_t line, uint32_t col,
           const char *fmt, ...) PRINTF_LIKE(6, 7);
#endif
