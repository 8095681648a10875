/* engine_state: the engine, built from the store: at start, and after a commit that failed (memory is then
 * ahead of the store, and the store is the truth). */
#include "base/log.h"
#include "pipeline/pipeline_internal.h"

static int load_incident(void *ctx, const struct engine_incident_row *row, struct err *err)
{
    return engine_restore_incident(ctx, row, err);
}

static int load_cell(void *ctx, const struct engine_cell_row *row, struct err *err)
{
    return engine_restore_cell(ctx, row, err);
}

static int page_detail(void *ctx, uint64_t incident, struct arena *a, struct str *detail)
{
    struct pipeline *p = ctx;
    struct err err;
    if (p->store->ops->fetch_detail(p->store, a, incident, detail, &err) == 0) return 0;
    log_error("incident.detail_lost", LOG_E(&err));
    return -1;
}

static int page_cell(void *ctx, struct str key, struct arena *a, struct str *blob)
{
    struct pipeline *p = ctx;
    struct err err;
    if (p->store->ops->fetch_cell(p->store, a, key, blob, &err) == 0) return 0;
    log_error("cell.lost", LOG_E(&err));
    return -1;
}

int engine_build(struct pipeline *p, struct err *err)
{
    const struct config_server *most = &p->config->server;
    const struct engine_limits limits = { (size_t)most->window_entries, (size_t)most->keys_per_rule, (size_t)most->runs_per_incident, (size_t)most->watched_runs };
    struct engine_setup setup = {
        .rules = p->config->rules,
        .limits = limits,
        .detail = page_detail,
        .cell = page_cell,
        .detail_ctx = p,
        .public_url = p->config->server.public_url,
        .rereads = true, /* rules whose runs no source can read do not ask: config */
    };
    struct store_load load = { load_incident, load_cell, NULL };
    struct engine *fresh = engine_new(&setup);
    load.ctx = fresh;
    if (p->store->ops->load(p->store, &load, err) < 0) {
        engine_free(&fresh);
        return -1;
    }
    engine_free(&p->engine);
    p->engine = fresh;
    return 0;
}
