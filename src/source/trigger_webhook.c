#include "source/trigger_webhook.h"

#include "base/digest.h"
#include "base/timefmt.h"

/* --- signatures ---------------------------------------------------------------------------------------- */
bool trigger_signature_shaped(struct str signature)
{
    if (signature.n != TRIGGER_SIGNATURE_BYTES) return false;
    for (size_t i = 0; i < signature.n; i++) {
        char c = signature.p[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) return false;
    }
    return true;
}

static bool signed_with(const struct secret *secret, struct str body, struct str signature)
{
    unsigned char mac[DIGEST_SIZE];
    struct strbuf hex;
    bool right;
    digest_hmac_sha256(secret_reveal(secret), body, mac);
    strbuf_init(&hex, 2 * DIGEST_SIZE + 1);
    digest_hex(mac, sizeof mac, &hex);
    right = digest_equal_secret(strbuf_view(&hex), signature);
    strbuf_fini(&hex);
    return right;
}

bool trigger_signature_right(const struct config_source *source, struct str body, struct str signature)
{
    bool right = false;
    if (!trigger_signature_shaped(signature)) return false;
    for (size_t i = 0; i < source->secret_count; i++) right |= signed_with(&source->secrets[i], body, signature);
    return right;
}

/* --- single values ------------------------------------------------------------------------------------- */
struct alert {
    struct arena *arena;
    struct json object; /* the envelope's, or a bare body */
    struct run *run;
    int64_t created_ms; /* of the envelope; RUN_TIME_NONE: it has none */
    size_t body_bytes;
};

/* where: "task.id", for people. */
static int take_text(struct json v, const char *where, struct str *out, struct err *err)
{
    if (!json_present(v)) return 0;
    if (json_kind(v) != JSON_STRING) return err_set(err, ERR_TYPE, "%s must be text", where);
    *out = json_str(v);
    return 0;
}

/* Names go into keys and titles. Trigger.dev says "Unknown" where it knows nothing. */
static int take_name(struct json v, const char *where, struct str *out, struct err *err)
{
    if (take_text(v, where, out, err)) return -1;
    if (out->n > RUN_NAME_MAX) return err_set(err, ERR_TYPE, "%s has %zu bytes; a name has %d at most", where, out->n, RUN_NAME_MAX);
    if (str_eq_c(*out, "Unknown")) *out = STR_NONE;
    return 0;
}

static int take_time(struct json v, const char *where, int64_t *out, struct err *err)
{
    struct str text = STR_NONE;
    if (take_text(v, where, &text, err)) return -1;
    if (str_absent(text) || time_parse(text, out)) return 0;
    return err_set(err, ERR_TYPE, "%s is no RFC 3339 time", where);
}

static void set_bit(struct run *r, uint32_t bit, bool has)
{
    r->present = has ? r->present | bit : r->present & ~bit;
}

static int take_error(const struct alert *al, struct json v, struct err *err)
{
    bool found;
    if (run_error_decode(v, &al->run->error, &found, err)) return -1;
    if (found) al->run->present |= RUN_HAS_ERROR;
    return 0;
}

/* Run and deployment alerts name the environment by its slug, error groups by its name. */
static int take_env(const struct alert *al, struct err *err)
{
    struct json env = json_get_c(al->object, "environment"), slug = json_get_c(env, "slug");
    if (json_present(slug)) return take_name(slug, "environment.slug", &al->run->env, err);
    return take_name(json_get_c(env, "name"), "environment.name", &al->run->env, err);
}

static int missing(const char *what, struct err *err)
{
    return err_set(err, ERR_TYPE, "%s is missing from the alert", what);
}

/* --- runs ---------------------------------------------------------------------------------------------- */
static int take_task(const struct alert *al, struct err *err)
{
    struct json task = json_get_c(al->object, "task");
    struct run *r = al->run;
    if (take_name(json_get_c(task, "id"), "task.id", &r->task, err)) return -1;
    if (take_name(json_get_c(task, "version"), "task.version", &r->version, err)) return -1;
    set_bit(r, RUN_HAS_TASK, !str_absent(r->task));
    set_bit(r, RUN_HAS_VERSION, !str_absent(r->version));
    return 0;
}

/* A failure whose name is not known is still a failure. */
static void hold_to_failed(struct run *r)
{
    if (run_state_class(r->state) & RUN_CLASS_FAILED) return;
    r->state = RUN_FAILED;
    r->present &= ~(uint32_t)RUN_HAS_STATE;
}

static int decode_run(const struct alert *al, struct err *err)
{
    struct run *r = al->run;
    if (run_decode(al->arena, json_get_c(al->object, "run"), r, err)) return -1;
    hold_to_failed(r);
    if (str_eq_c(r->machine, "Unknown")) {
        r->machine = STR_NONE;
        r->present &= ~(uint32_t)RUN_HAS_MACHINE;
    }
    /* When it failed, for runs that could not even be triggered. */
    if (r->finished_ms == RUN_TIME_NONE) r->updated_ms = al->created_ms;
    return take_task(al, err);
}

static int decode_bare_run(const struct alert *al, struct err *err)
{
    if (run_decode_failed(al->arena, json_get_c(al->object, "run"), al->run, err)) return -1;
    if (take_error(al, json_get_c(al->object, "error"), err)) return -1;
    return take_task(al, err);
}

/* --- metadata of what is no run ------------------------------------------------------------------------ */
static void put_opt(struct json_writer *w, const char *key, struct json v)
{
    if (!json_present(v)) return;
    json_put_key(w, str_c(key));
    json_put_value(w, v);
}

static void put_members(struct json_writer *w, struct json from, const char *const *keys)
{
    for (; *keys; keys++) put_opt(w, *keys, json_get_c(from, *keys));
}

static void put_task_ids(struct json_writer *w, struct json tasks)
{
    if (json_kind(tasks) != JSON_ARRAY) return;
    json_put_key(w, STR("tasks"));
    json_array_begin(w);
    for (struct json t = json_first(tasks); json_kind(t) != JSON_ABSENT; t = json_next(t))
        if (!str_absent(json_str(json_get_c(t, "id")))) json_put_str(w, json_str(json_get_c(t, "id")));
    json_array_end(w);
}

/* Begins an object; metadata_end makes it the run's. */
static struct json_writer *metadata_begin(const struct alert *al, struct json_draft *d)
{
    struct json_writer *w = json_draft_begin(d, 8 * al->body_bytes + 1024); /* an escape is six bytes at most */
    json_object_begin(w);
    return w;
}

static int metadata_end(const struct alert *al, struct json_draft *d, struct err *err)
{
    json_object_end(&d->w);
    al->run->present |= RUN_HAS_METADATA;
    return json_parse(al->arena, json_draft_end(d, al->arena), &json_own_limits, &al->run->metadata, NULL, err);
}

/* --- deployments --------------------------------------------------------------------------------------- */
static int deployment_metadata(const struct alert *al, struct json deployment, struct err *err)
{
    static const char *const own[] = { "shortCode", NULL }, *const beside[] = { "git", "vercel", NULL };
    struct json_draft d;
    struct json_writer *w = metadata_begin(al, &d);
    put_members(w, deployment, own);
    put_members(w, al->object, beside);
    put_opt(w, "stderr", json_get_c(json_get_c(al->object, "error"), "stderr"));
    put_task_ids(w, json_get_c(al->object, "tasks"));
    return metadata_end(al, &d, err);
}

/* The alert's type says how it ended; the status, where it agrees, says it more exactly. */
static void deployment_state(struct run *r, bool failed, struct str status)
{
    enum run_state told = run_state_parse(status);
    r->state = failed ? RUN_FAILED : RUN_COMPLETED;
    if (failed && (run_state_class(told) & RUN_CLASS_FAILED)) r->state = told;
    r->spelling = status.n && status.n <= 128 ? status : str_c(run_state_name(r->state));
    r->present |= RUN_HAS_STATE;
}

static int deployment_times(const struct alert *al, struct json deployment, bool failed, struct err *err)
{
    const char *where = failed ? "deployment.failedAt" : "deployment.deployedAt";
    struct run *r = al->run;
    if (take_time(json_get_c(deployment, failed ? "failedAt" : "deployedAt"), where, &r->finished_ms, err)) return -1;
    set_bit(r, RUN_HAS_FINISHED, r->finished_ms != RUN_TIME_NONE);
    if (r->finished_ms == RUN_TIME_NONE) r->updated_ms = al->created_ms;
    return 0;
}

static int decode_deployment(const struct alert *al, bool failed, struct err *err)
{
    struct json deployment = json_get_c(al->object, "deployment");
    struct str status = STR_NONE;
    struct run *r = al->run;
    run_init(r);
    r->kind = STR("deployment");
    if (take_text(json_get_c(deployment, "id"), "deployment.id", &r->id, err)) return -1;
    if (!run_id_usable(r->id)) return err_set(err, ERR_TYPE, "deployment.id must be 1 to 128 characters of printable ASCII");
    if (take_text(json_get_c(deployment, "status"), "deployment.status", &status, err)) return -1;
    if (take_name(json_get_c(deployment, "version"), "deployment.version", &r->version, err)) return -1;
    set_bit(r, RUN_HAS_VERSION, !str_absent(r->version));
    deployment_state(r, failed, status);
    if (deployment_times(al, deployment, failed, err)) return -1;
    if (failed && take_error(al, json_get_c(al->object, "error"), err)) return -1;
    return deployment_metadata(al, deployment, err);
}

static int decode_deployment_failed(const struct alert *al, struct err *err)
{
    return decode_deployment(al, true, err);
}

static int decode_deployment_success(const struct alert *al, struct err *err)
{
    return decode_deployment(al, false, err);
}

/* --- error groups -------------------------------------------------------------------------------------- */
/* Each try of one alert has a new id: what it says is what it is (section 6.4). */
static struct str error_id(struct arena *a, struct str classification, struct str fingerprint, int64_t seen_ms)
{
    unsigned char sum[DIGEST_SIZE];
    struct strbuf hex;
    struct str id = str_printf(a, "error_" STR_FMT "_" STR_FMT "_%lld", STR_ARG(fingerprint), STR_ARG(classification), (long long)seen_ms);
    if (run_id_usable(id)) return id;
    digest_sha256(id, sum);
    strbuf_init(&hex, 2 * DIGEST_SIZE + 1);
    digest_hex(sum, sizeof sum, &hex);
    id = str_printf(a, "error_%s", hex.p);
    strbuf_fini(&hex);
    return id;
}

static int error_metadata(const struct alert *al, struct json error, struct err *err)
{
    static const char *const own[] = { "fingerprint", "occurrenceCount", "firstSeen", "lastSeen", NULL };
    struct json_draft d;
    struct json_writer *w = metadata_begin(al, &d);
    put_opt(w, "classification", json_get_c(al->object, "classification"));
    put_members(w, error, own);
    return metadata_end(al, &d, err);
}

static int error_texts(const struct alert *al, struct json error, struct err *err)
{
    struct run *r = al->run;
    if (take_name(json_get_c(error, "taskIdentifier"), "error.taskIdentifier", &r->task, err)) return -1;
    if (take_text(json_get_c(error, "type"), "error.type", &r->error.name, err)) return -1;
    if (take_text(json_get_c(error, "message"), "error.message", &r->error.message, err)) return -1;
    if (take_text(json_get_c(error, "stackTrace"), "error.stackTrace", &r->error.stack, err)) return -1;
    if (take_text(json_get_c(al->object, "dashboardUrl"), "dashboardUrl", &r->dashboard_url, err)) return -1;
    set_bit(r, RUN_HAS_TASK, !str_absent(r->task));
    set_bit(r, RUN_HAS_ERROR, true);
    return 0;
}

static int error_times(const struct alert *al, struct json error, struct err *err)
{
    struct run *r = al->run;
    if (take_time(json_get_c(error, "firstSeen"), "error.firstSeen", &r->created_ms, err)) return -1;
    if (take_time(json_get_c(error, "lastSeen"), "error.lastSeen", &r->finished_ms, err)) return -1;
    if (r->finished_ms == RUN_TIME_NONE) return missing("error.lastSeen", err);
    set_bit(r, RUN_HAS_CREATED, r->created_ms != RUN_TIME_NONE);
    set_bit(r, RUN_HAS_FINISHED, true);
    return 0;
}

static int decode_error_group(const struct alert *al, struct err *err)
{
    struct json error = json_get_c(al->object, "error");
    struct str classification = STR_NONE, fingerprint = STR_NONE;
    struct run *r = al->run;
    run_init(r);
    r->kind = STR("error");
    r->state = RUN_FAILED;
    r->spelling = STR("FAILED");
    r->present |= RUN_HAS_STATE;
    if (take_text(json_get_c(al->object, "classification"), "classification", &classification, err)) return -1;
    if (take_text(json_get_c(error, "fingerprint"), "error.fingerprint", &fingerprint, err)) return -1;
    if (fingerprint.n == 0) return missing("error.fingerprint", err);
    if (error_texts(al, error, err) || error_times(al, error, err)) return -1;
    r->id = error_id(al->arena, classification, fingerprint, r->finished_ms);
    return error_metadata(al, error, err);
}

/* --- which one it is ----------------------------------------------------------------------------------- */
typedef int (*decode_alert_fn)(const struct alert *al, struct err *err);

static decode_alert_fn decoder_of_type(struct str type)
{
    static const struct { const char *type; decode_alert_fn decode; } types[] = {
        { "alert.run.failed", decode_run },
        { "alert.deployment.failed", decode_deployment_failed },
        { "alert.deployment.success", decode_deployment_success },
        { "alert.error", decode_error_group },
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_eq_c(type, types[i].type)) return types[i].decode;
    return NULL;
}

/* NULL: it is no alert without an envelope either. */
static decode_alert_fn decoder_of_bare(struct json root)
{
    struct json deployment = json_get_c(root, "deployment");
    if (json_kind(deployment) != JSON_OBJECT) return json_kind(json_get_c(root, "run")) == JSON_OBJECT ? decode_bare_run : NULL;
    if (json_present(json_get_c(root, "error")) || json_present(json_get_c(deployment, "failedAt"))) return decode_deployment_failed;
    return decode_deployment_success;
}

static void not_an_alert(struct json root, struct err *err)
{
    struct json run = json_get_c(root, "run");
    bool runs = json_kind(root) == JSON_ARRAY || json_kind(json_get_c(root, "data")) == JSON_ARRAY || json_present(json_get_c(root, "status")) ||
                json_present(json_get_c(run, "status"));
    err_set(err, ERR_TYPE, "%s", runs ? "run objects, no alert of Trigger.dev's: they belong to a source of type webhook"
                                      : "no alert of Trigger.dev's: it has no type");
}

/* There is no other protection against replays than the time at which it was made (reliability.md section 7). */
static int too_old(struct alert *al, const struct config_source *source, struct json root, int64_t now_ms, struct err *err)
{
    char age[TIMEFMT_SIZE];
    struct str text;
    if (take_time(json_get_c(root, "created"), "created", &al->created_ms, err)) return -1;
    if (source->replays) return 0;
    if (al->created_ms == RUN_TIME_NONE) return missing("created", err);
    if (now_ms - TRIGGER_REPLAY_MS <= al->created_ms) return 0;
    text = duration_human(now_ms - al->created_ms, age);
    return err_set(err, ERR_TYPE, "the alert was made " STR_FMT " ago, and may be a replay: what is older than 24h is taken with `replays: true` on the source",
                   STR_ARG(text));
}

static enum source_result unknown_type(struct arena *a, struct str type, struct source_batch *out, struct err *err)
{
    err_set(err, ERR_TYPE, "an alert of a type this version does not know: " STR_FMT, STR_ARG(str_sub(type, 0, 100)));
    out->faults = ARENA_NEW(a, struct source_fault);
    out->faults[out->fault_count++].text = str_dup(a, str_c(err->msg));
    return SOURCE_UNKNOWN;
}

static enum source_result decode_root(struct alert *al, const struct config_source *source, struct json root, int64_t now_ms,
                                      struct source_batch *out, struct err *err)
{
    struct str type = json_str(json_get_c(root, "type"));
    bool alert = source_is_alert(root), enveloped = alert && type.n > 0;
    decode_alert_fn decode = enveloped ? decoder_of_type(type) : decoder_of_bare(root);
    if (!alert || (!enveloped && !decode)) {
        not_an_alert(root, err);
        return SOURCE_NOTHING;
    }
    if (enveloped && too_old(al, source, root, now_ms, err)) return SOURCE_NOTHING;
    if (!decode) return unknown_type(al->arena, type, out, err);
    al->object = enveloped ? json_get_c(root, "object") : root;
    if (decode(al, err) || take_env(al, err)) return SOURCE_NOTHING;
    source_settle(source, al->run);
    out->report_count = 1;
    return SOURCE_DECODED;
}

enum source_result source_trigger_decode(struct arena *a, const struct config_source *source, struct str body, int64_t now_ms,
                                         struct source_batch *out, struct err *err)
{
    struct alert al = { .arena = a, .created_ms = RUN_TIME_NONE, .body_bytes = body.n };
    struct json_limits limits = json_default_limits;
    struct json root;
    *out = (struct source_batch){ .reports = ARENA_NEW(a, struct source_report) };
    al.run = &out->reports->run;
    limits.bytes = body.n;
    if (json_parse(a, body, &limits, &root, &out->offset, err) == 0) return decode_root(&al, source, root, now_ms, out, err);
    return err->code == ERR_LIMIT ? SOURCE_TOO_LARGE : SOURCE_NOT_JSON;
}
