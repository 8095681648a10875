/* junit: the outcome of rule tests as JUnit's XML, which every CI system shows. */
#ifndef CLI_JUNIT_H
#define CLI_JUNIT_H
#include "base/err.h"
#include "base/strbuf.h"

struct junit {
    struct strbuf cases;    /* of the file under way */
    struct strbuf suites;   /* of those before */
    size_t tests, failures, errors;             /* of the file under way */
    size_t all_tests, all_failures, all_errors;
    int64_t ms, all_ms;
};
void junit_init(struct junit *j);
void junit_fini(struct junit *j);
/* One test of the file: failure NULL = it passed. */
void junit_case(struct junit *j, struct str name, const char *file, uint32_t line, int64_t ms, const char *failure);
/* The file could not be tested at all. */
void junit_error(struct junit *j, const char *file, const char *what);
void junit_file_end(struct junit *j, const char *file); /* its tests become a suite */
/* Writes path as a whole or not at all ("-": standard output). -1 with err. */
int junit_write(const struct junit *j, const char *path, struct err *err) WUR;
#endif
