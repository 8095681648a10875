/* log: one line per fact, typed fields, to stderr: logfmt, or JSON by flag. Values are escaped: a log
 * line is an output like any other. Any thread; a line is written whole.
 *     log_info("run.accepted", LOG_S("run", id), LOG_I("attempt", 3));
 * Secrets are never passed here: they have no accessor that gives a plain str (secret.h). */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };
enum log_kind { LOG_KIND_END, LOG_KIND_STR, LOG_KIND_INT };
struct log_field {
    enum log_kind kind;
    const char *name;
    struct str s;
    int64_t i;
};

#define LOG_S(name, value) ((struct log_field){ LOG_KIND_STR, (name), (value), 0 })
#define LOG_C(name, value) ((struct log_field){ LOG_KIND_STR, (name), str_c(value), 0 })
#define LOG_I(name, value) ((struct log_field){ LOG_KIND_INT, (name), STR_NONE, (int64_t)(value) })
#define LOG_E(err) ((struct log_field){ LOG_KIND_STR, "err", str_c((err)->msg), 0 })

void log_setup(enum log_format format, enum log_level least);
/* fields ends with LOG_KIND_END; the macros below add it. */
void log_write(enum log_level level, const char *msg, const struct log_field *fields);
/* The same, at most once per period_ms for one `once` (static, zeroed); the next line says how many were
 * held back. */
struct log_once { int64_t last_ms; uint64_t held; };
void log_write_limited(struct log_once *once, int64_t period_ms, enum log_level level, const char *msg,
                       const struct log_field *fields);

#define LOG_STOP { LOG_KIND_END, NULL, STR_NONE, 0 }
/* Begins with one that is skipped, so that `##` may take its comma away when there are no others (cppcheck and older
 * compilers do not know __VA_OPT__). */
#define LOG_FIELDS(...) ((const struct log_field[]){ LOG_STOP, ##__VA_ARGS__, LOG_STOP } + 1)
#define log_debug(msg, ...) log_write(LOG_DEBUG, msg, LOG_FIELDS(__VA_ARGS__))
#define log_info(msg, ...) log_write(LOG_INFO, msg, LOG_FIELDS(__VA_ARGS__))
#define log_warn(msg, ...) log_write(LOG_WARN, msg, LOG_FIELDS(__VA_ARGS__))
#define log_error(msg, ...) log_write(LOG_ERROR, msg, LOG_FIELDS(__VA_ARGS__))
#endif
