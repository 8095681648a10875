/* Columns to rows, in the order of SQ_INCIDENT_COLUMNS and SQ_DELIVERY_COLUMNS. */
#include "store/sqlite_internal.h"

void sq_incident_read(sqlite3_stmt *q, struct arena *a, struct engine_incident_row *out)
{
    *out = (struct engine_incident_row){
        .id = sq_col_id(q, 0),
        .project = sq_col_dup(a, q, 1),
        .env = sq_col_dup(a, q, 2),
        .rule = sq_col_dup(a, q, 3),
        .key = sq_col_dup(a, q, 4),
        .label = sq_col_dup(a, q, 5),
        .state = (enum incident_state)sq_col_int(q, 6),
        .severity = (int)sq_col_int(q, 7),
        .opened_ms = sq_col_int(q, 8),
        .updated_ms = sq_col_int(q, 9),
        .resolved_ms = sq_col_int(q, 10),
        .hits = sq_col_int(q, 11),
        .runs = sq_col_int(q, 12),
        .title = sq_col_dup(a, q, 13),
        .task = sq_col_dup(a, q, 14),
        .last_run = sq_col_dup(a, q, 15),
    };
}

void sq_delivery_read(sqlite3_stmt *q, struct arena *a, struct store_delivery *out)
{
    *out = (struct store_delivery){
        .id = sq_col_id(q, 0),
        .message = sq_col_id(q, 1),
        .incident = sq_col_id(q, 2),
        .destination = sq_col_dup(a, q, 3),
        .lane = sq_col_dup(a, q, 4),
        .params = sq_col_dup(a, q, 5),
        .content = sq_col_dup(a, q, 6),
        .kind = (int)sq_col_int(q, 7),
        .state = (enum delivery_state)sq_col_int(q, 8),
        .created_ms = sq_col_int(q, 9),
        .due_ms = sq_col_int(q, 10),
        .expires_ms = sq_col_int(q, 11),
        .done_ms = sq_col_int(q, 12),
        .attempts = sq_col_int(q, 13),
        .last_error = sq_col_dup(a, q, 14),
        .captures = sq_col_dup(a, q, 15),
    };
}
