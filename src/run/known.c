#include "run/known.h"

#include <stddef.h>

static const struct identity {
    const char *key; /* in the stored form */
    uint32_t bit;
    size_t run_at, known_at;
} identities[] = {
    { "t", RUN_HAS_TASK, offsetof(struct run, task), offsetof(struct run_known, task) },
    { "v", RUN_HAS_VERSION, offsetof(struct run, version), offsetof(struct run_known, version) },
    { "q", RUN_HAS_QUEUE, offsetof(struct run, queue), offsetof(struct run_known, queue) },
    { "r", RUN_HAS_ROOT, offsetof(struct run, root), offsetof(struct run_known, root) },
    { "p", RUN_HAS_PARENT, offsetof(struct run, parent), offsetof(struct run_known, parent) },
    { "s", RUN_HAS_SCHEDULE, offsetof(struct run, schedule), offsetof(struct run_known, schedule) },
    { "b", RUN_HAS_BATCH, offsetof(struct run, batch), offsetof(struct run_known, batch) },
};
enum { IDENTITIES = sizeof identities / sizeof *identities };

static void copy_text(void *to, size_t to_at, const void *from, size_t from_at)
{
    memcpy((char *)to + to_at, (const char *)from + from_at, sizeof(struct str));
}

uint32_t known_carry(const struct run_known *k, struct run *report)
{
    uint32_t carry = k->present & ~report->present,
             carried = carry & (RUN_HAS_TAGS | RUN_HAS_CREATED | RUN_HAS_STARTED | RUN_HAS_TEST);
    for (size_t i = 0; i < IDENTITIES; i++)
        if (carry & identities[i].bit) {
            copy_text(report, identities[i].run_at, k, identities[i].known_at);
            carried |= identities[i].bit;
        }
    if (carry & RUN_HAS_TAGS) {
        report->tags = k->tags;
        report->tag_count = k->tag_count;
    }
    if (carry & RUN_HAS_CREATED) report->created_ms = k->created_ms;
    if (carry & RUN_HAS_STARTED) report->started_ms = k->started_ms;
    if (carry & RUN_HAS_TEST) report->test = k->test;
    return carried;
}

void known_learn(struct run_known *k, const struct run *report, bool late)
{
    uint32_t learn = report->present & (late ? ~k->present : ~(uint32_t)0);
    for (size_t i = 0; i < IDENTITIES; i++)
        if (learn & identities[i].bit) {
            copy_text(k, identities[i].known_at, report, identities[i].run_at);
            k->present |= identities[i].bit;
        }
    if (learn & RUN_HAS_TAGS) {
        k->tags = report->tags;
        k->tag_count = report->tag_count;
    }
    if (learn & RUN_HAS_CREATED) k->created_ms = report->created_ms;
    if (learn & RUN_HAS_STARTED) k->started_ms = report->started_ms;
    if (learn & RUN_HAS_TEST) k->test = report->test;
    k->present |= learn & (RUN_HAS_TAGS | RUN_HAS_CREATED | RUN_HAS_STARTED | RUN_HAS_TEST | RUN_HAS_ATTEMPT);
}

size_t known_place(const struct run_known *k, int64_t event_ms)
{
    size_t at = k->seen_count;
    while (at > 0 && k->seen[at - 1].event_ms > event_ms) at--;
    return at;
}

/* What a full list can do without: the oldest active state that is not the latest, else the lowest
 * attempt (whoever asks for a lower one than all listed in a full list is told that it is known). */
static size_t dispensable(const struct run_known *k)
{
    size_t latest = 0, lowest = k->seen_count;
    for (size_t i = 0; i < k->seen_count; i++)
        if (!k->seen[i].derived) latest = i;
    for (size_t i = 0; i < k->seen_count; i++) {
        const struct run_seen *s = &k->seen[i];
        bool finished = (run_state_class(s->state) & RUN_CLASS_FINISHED) != 0;
        if (s->state != RUN_REATTEMPTING && !finished && i != latest) return i;
        if (s->state == RUN_REATTEMPTING && (lowest == k->seen_count || s->attempt < k->seen[lowest].attempt))
            lowest = i;
    }
    return lowest < k->seen_count ? lowest : 0;
}

void known_insert(struct arena *a, struct run_known *k, struct run_seen s)
{
    size_t drop = k->seen_count < RUN_SEEN_MAX ? k->seen_count : dispensable(k),
           place = known_place(k, s.event_ms), n = 0;
    struct run_seen *list = arena_alloc(a, (k->seen_count + 1) * sizeof *list);
    for (size_t i = 0; i <= k->seen_count; i++) {
        if (i == place) list[n++] = s;
        if (i < k->seen_count && i != drop) list[n++] = k->seen[i];
    }
    k->seen = list;
    k->seen_count = n;
}

/* The stored form: {"t":task,...,"h":present,"k":[[event_ms,state,present,event_id,attempt,derived],...]}. */

static void write_seen(const struct run_seen *s, struct json_writer *w)
{
    json_array_begin(w);
    json_put_i64(w, s->event_ms);
    json_put_str(w, s->state == RUN_UNKNOWN ? s->spelling : str_c(run_state_name(s->state)));
    json_put_i64(w, (int64_t)s->present);
    json_put_i64(w, (int64_t)s->event_id);
    if (s->attempt || s->derived) json_put_i64(w, s->attempt);
    if (s->derived) json_put_i64(w, 1);
    json_array_end(w);
}

void run_known_write(const struct run_known *k, struct json_writer *w)
{
    json_object_begin(w);
    for (size_t i = 0; i < IDENTITIES; i++) {
        struct str text;
        copy_text(&text, 0, k, identities[i].known_at);
        json_field_opt(w, identities[i].key, text);
    }
    if (k->tag_count) {
        json_put_key(w, STR("g"));
        json_array_begin(w);
        for (size_t i = 0; i < k->tag_count; i++) json_put_str(w, k->tags[i]);
        json_array_end(w);
    }
    if (k->present & RUN_HAS_CREATED) json_field_i64(w, "c", k->created_ms);
    if (k->present & RUN_HAS_STARTED) json_field_i64(w, "u", k->started_ms);
    if (k->test) json_field_bool(w, "x", true);
    if (k->attempts_known) json_field_i64(w, "a", k->attempts_known);
    if (k->present) json_field_i64(w, "h", (int64_t)k->present);
    if (k->exists) {
        json_put_key(w, STR("k"));
        json_array_begin(w);
        for (size_t i = 0; i < k->seen_count; i++) write_seen(&k->seen[i], w);
        json_array_end(w);
    }
    json_object_end(w);
}

static int64_t number_or(struct json v, int64_t fallback)
{
    int64_t n;
    return json_i64(v, &n) ? n : fallback;
}

static int restore_seen(struct json v, struct run_seen *out, struct err *err)
{
    struct json state = json_next(json_first(v)), present = json_next(state), event = json_next(present);
    if (json_kind(state) != JSON_STRING || json_kind(event) != JSON_NUMBER)
        return err_set(err, ERR_TYPE, "remembered run: a transition is damaged");
    *out = (struct run_seen){
        .event_ms = number_or(json_first(v), 0), .state = run_state_parse(json_str(state)),
        .present = (uint32_t)number_or(present, 0), .event_id = (uint64_t)number_or(event, 0),
        .attempt = number_or(json_next(event), 0), .derived = number_or(json_next(json_next(event)), 0) == 1,
    };
    if (out->state == RUN_UNKNOWN) out->spelling = json_str(state);
    return 0;
}

static int restore_list(struct arena *a, struct json list, struct run_known *out, struct err *err)
{
    size_t n = json_count(list);
    if (n > RUN_SEEN_MAX)
        return err_set(err, ERR_TYPE, "remembered run: more than %d transitions", RUN_SEEN_MAX);
    out->seen = n ? ARENA_ARRAY(a, struct run_seen, n) : NULL;
    for (struct json v = json_first(list); out->seen_count < n; v = json_next(v))
        if (restore_seen(v, &out->seen[out->seen_count++], err)) return -1;
    return 0;
}

/* Dispatches on the one-letter keys: fewer steps than a look-up per field, and this runs per event. */
static int restore_member(struct arena *a, struct json v, struct run_known *out, struct err *err)
{
    struct str key = json_key(v);
    if (key.n != 1) return 0;
    for (size_t i = 0; i < IDENTITIES; i++)
        if (identities[i].key[0] == key.p[0]) {
            struct str text = json_str(v);
            copy_text(out, identities[i].known_at, &text, 0);
            return 0;
        }
    switch (key.p[0]) {
    case 'c': out->created_ms = number_or(v, RUN_TIME_NONE); break;
    case 'u': out->started_ms = number_or(v, RUN_TIME_NONE); break;
    case 'x': out->test = json_bool(v, false); break;
    case 'a': out->attempts_known = number_or(v, 0); break;
    case 'h': out->present = (uint32_t)number_or(v, 0); break;
    case 'g':
        out->tags = ARENA_ARRAY(a, struct str, json_count(v) + 1);
        for (struct json tag = json_first(v); json_kind(tag) != JSON_ABSENT; tag = json_next(tag))
            out->tags[out->tag_count++] = json_str(tag);
        break;
    case 'k': out->exists = true; return restore_list(a, v, out, err);
    default: break;
    }
    return 0;
}

int run_known_restore(struct arena *a, struct json object, struct run_known *out, struct err *err)
{
    *out = (struct run_known){ .created_ms = RUN_TIME_NONE, .started_ms = RUN_TIME_NONE };
    if (json_kind(object) != JSON_OBJECT) return err_set(err, ERR_TYPE, "a remembered run must be an object");
    for (struct json v = json_first(object); json_kind(v) != JSON_ABSENT; v = json_next(v))
        if (restore_member(a, v, out, err)) return -1;
    return 0;
}
