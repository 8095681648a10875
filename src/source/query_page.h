/* query_page: pages of the query endpoint that are not of a look (query.c). */
#ifndef SOURCE_QUERY_PAGE_H
#define SOURCE_QUERY_PAGE_H
#include "source/poll_internal.h"

struct query_page {
    struct run *runs; /* in the poll's arena */
    size_t n;
    bool last;
};
/* What finished from *at on and before until_ms, in order of finishing; *at moves behind it. */
enum api_outcome query_history_page(struct poll *p, struct query_cursor *at, int64_t until_ms, int64_t rows, struct query_page *out, struct err *err);
#endif
