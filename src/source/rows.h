/* rows: rows of the query endpoint's `runs` table -> runs (trigger-dev-api.md 2.5). Pure. */
#ifndef SOURCE_ROWS_H
#define SOURCE_ROWS_H
#include "run/run.h"

/* The columns that row_decode reads, as a list for SELECT. */
extern const char row_columns[];
/* Slices borrow from the row's document and a. -1 when it is no row of a run: err names the column. */
int row_decode(struct arena *a, struct json row, struct run *out, struct err *err) WUR;
/* "2026-05-03 10:16:41.702", as the endpoint writes and compares times. */
struct str row_time(struct arena *a, int64_t wall_ms);
/* A text as an SQL literal. */
void row_quote(struct strbuf *out, struct str text);
/* The titles that the endpoint shows and compares states by; NULL for a state it does not have. Several for one state
 * end with NULL. */
const char *const *row_titles(enum run_state s);
#endif
