/* shape: the realtime feed's protocol (trigger-dev-api.md section 5): where a subscription stands, and its messages as
 * changes of runs. Rows are merged: an update may hold the changed columns only. One thread. */
#ifndef SOURCE_SHAPE_H
#define SOURCE_SHAPE_H
#include "base/map.h"
#include "run/run.h"
#include "source/fetch.h"

enum { SHAPE_TEXT = 256 };
struct shape {
    char handle[SHAPE_TEXT], offset[SHAPE_TEXT], cursor[SHAPE_TEXT]; /* opaque; handle "" = from the start */
    bool up_to_date;       /* the next request may wait for news */
    bool news;             /* of the answer at hand: it tells what happened, not how things stand */
    bool changed;          /* of the answer at hand: there was some change in it */
    uint32_t generation;   /* of the subscription, counted */
    bool swept;            /* rows that the subscription did not tell again are gone */
    struct map rows;       /* key -> struct shape_row: active runs, merged */
};
struct shape_row {
    struct str key;
    struct str id;
    struct str status;     /* as last told */
    uint32_t generation;   /* that told it last */
    struct str text[10];   /* columns that later updates may leave out: shape.c */
};
/* Called for each change: the merged row as a run object of the API's shape (json text), and the status before ("" for a
 * row that was not known). known: it was kept from before this subscription or an earlier message. */
typedef void (*shape_change_fn)(void *ctx, struct str run_object, struct str status_before, bool known);
void shape_init(struct shape *s);
void shape_fini(struct shape *s);
void shape_restart(struct shape *s);                       /* from the start; rows are kept to compare with */
/* The query string of the next request. */
struct str shape_query(const struct shape *s, struct arena *a, const char *window, struct str skip_columns);
/* Takes an answer with status 200. -1: it is not of the protocol. */
int shape_take(struct shape *s, struct arena *a, const struct fetch_answer *answer, shape_change_fn fn, void *ctx, struct err *err) WUR;
#endif
