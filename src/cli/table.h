/* table: rows for people, on standard output: columns as wide as their widest cell, cut to the terminal. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H
#include "base/str.h"
#include "base/vec.h"

enum { TABLE_COLUMNS = 10 };
struct table {
    struct arena arena;
    const char *heads[TABLE_COLUMNS];
    size_t columns;
    VEC(struct str) cells;
};
/* What came from outside must not move the cursor of whoever reads it: control characters become ?. In a. */
struct str printable(struct arena *a, struct str text);
void table_init(struct table *t, const char *const *heads, size_t columns);
void table_cell(struct table *t, struct str text); /* left to right, row by row; made printable */
void table_print(const struct table *t);           /* a header and the rows; "nothing" when there are none */
void table_fini(struct table *t);
#endif
