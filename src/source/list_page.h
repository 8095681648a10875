/* list_page: pages of the runs list (trigger-dev-api.md section 2), for list.c. */
#ifndef SOURCE_LIST_PAGE_H
#define SOURCE_LIST_PAGE_H
#include "source/poll_internal.h"

struct list_query {
    unsigned class;         /* RUN_CLASS_ACTIVE or RUN_CLASS_FINISHED */
    uint32_t states;        /* of that class, those wanted */
    int64_t from_ms, to_ms; /* of creation, both inclusive; to_ms RUN_TIME_NONE = open */
    bool all;               /* of any task and tag, asked for by rules or not */
};
struct list_cursor {
    char text[512];
    size_t n;               /* 0 = the first page */
    bool over;              /* that was the last */
    int64_t asked_ms;       /* when the first was asked for, by the server */
};
/* The next page into *items. On API_OK with nothing that could be asked for, the cursor is over at once. */
enum api_outcome list_page(struct poll *p, const struct list_query *q, struct list_cursor *at, struct json *items, struct err *err);
/* What a page says: its items, and where the next one is. */
enum api_outcome list_answer(struct json root, struct list_cursor *at, struct json *items, struct err *err);
#endif
