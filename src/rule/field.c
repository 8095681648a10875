/* The fields of the language: names, what kind of value they hold, which part of a report they need. */
#include "base/suggest.h"
#include "rule/rule_internal.h"

struct field_info {
    enum field_shape shape;
    bool outcome;
    uint32_t reads;
};

static const struct field_info infos[RULE_FIELDS] = {
    [RULE_STATUS] = { SHAPE_STATUS, true, RUN_HAS_STATE },
    [RULE_TASK] = { SHAPE_TEXT, false, RUN_HAS_TASK },
    [RULE_TAGS] = { SHAPE_LIST, false, RUN_HAS_TAGS },
    [RULE_ENV] = { SHAPE_TEXT, false, 0 },
    [RULE_PROJECT] = { SHAPE_TEXT, false, 0 },
    [RULE_VERSION] = { SHAPE_TEXT, false, RUN_HAS_VERSION },
    [RULE_QUEUE] = { SHAPE_TEXT, false, RUN_HAS_QUEUE },
    [RULE_RUN] = { SHAPE_TEXT, false, 0 },
    [RULE_ROOT] = { SHAPE_TEXT, false, RUN_HAS_ROOT },
    [RULE_PARENT] = { SHAPE_TEXT, false, RUN_HAS_PARENT },
    [RULE_MACHINE] = { SHAPE_TEXT, false, RUN_HAS_MACHINE },
    [RULE_REGION] = { SHAPE_TEXT, false, RUN_HAS_REGION },
    [RULE_SCHEDULE] = { SHAPE_TEXT, false, RUN_HAS_SCHEDULE },
    [RULE_BATCH] = { SHAPE_TEXT, false, RUN_HAS_BATCH },
    [RULE_TEST] = { SHAPE_BOOL, false, RUN_HAS_TEST },
    [RULE_KIND] = { SHAPE_TEXT, false, 0 },
    [RULE_ATTEMPT] = { SHAPE_NUMBER, true, RUN_HAS_ATTEMPT },
    [RULE_DURATION] = { SHAPE_DURATION, true, RUN_HAS_STARTED | RUN_HAS_FINISHED },
    [RULE_QUEUE_TIME] = { SHAPE_DURATION, true, RUN_HAS_STARTED | RUN_HAS_CREATED | RUN_HAS_DELAYED },
    [RULE_COST] = { SHAPE_NUMBER, true, RUN_HAS_COST },
    [RULE_AGE] = { SHAPE_DURATION, true, RUN_HAS_CREATED },
    [RULE_ERROR_MESSAGE] = { SHAPE_TEXT, true, RUN_HAS_ERROR },
    [RULE_ERROR_NAME] = { SHAPE_TEXT, true, RUN_HAS_ERROR },
    [RULE_ERROR_CODE] = { SHAPE_TEXT, true, RUN_HAS_ERROR },
    [RULE_ERROR_FINGERPRINT] = { SHAPE_TEXT, true, RUN_HAS_ERROR },
    [RULE_METADATA] = { SHAPE_JSON, false, RUN_HAS_METADATA },
};

bool rule_field_is_outcome(enum rule_field_id id)
{
    return infos[id].outcome;
}

uint32_t rule_field_reads(const struct rule_field *f)
{
    return infos[f->id].reads;
}

enum field_shape rule_field_shape(enum rule_field_id id)
{
    return infos[id].shape;
}

const char *rule_field_name(enum rule_field_id id)
{
    return rule_match_fields[id].name;
}

bool rule_field_same(const struct rule_field *f, const struct rule_field *g)
{
    if (f->id != g->id || f->path_count != g->path_count) return false;
    for (size_t i = 0; i < f->path_count; i++)
        if (!str_eq(f->path[i], g->path[i])) return false;
    return true;
}

/* One quoted part: `"a.b"`, where \" and \\ stand for themselves. Gives the offset behind it, 0 when open. */
static size_t quoted_part(struct arena *a, struct str text, size_t at, struct str *part)
{
    char *p = arena_alloc(a, text.n);
    size_t n = 0;
    for (at++; at < text.n && text.p[at] != '"'; at++) {
        if (text.p[at] == '\\' && at + 1 < text.n) at++;
        p[n++] = text.p[at];
    }
    *part = (struct str){ p, n };
    return at < text.n ? at + 1 : 0;
}

static size_t next_part(struct arena *a, struct str text, size_t at, struct str *part)
{
    size_t end;
    if (at < text.n && text.p[at] == '"') return quoted_part(a, text, at, part);
    end = str_find(text, '.', at);
    *part = str_sub(text, at, end - at);
    return end > at ? end : 0;
}

enum { PATH_MAX_PARTS = 32 };

static int path_parse(struct arena *a, struct str path, struct rule_field *out, struct err *err)
{
    struct str parts[PATH_MAX_PARTS];
    size_t at = 0, n = 0;
    do {
        if (n == PATH_MAX_PARTS)
            return err_set(err, ERR_LIMIT, "a metadata path has at most %d parts", PATH_MAX_PARTS);
        at = next_part(a, path, at, &parts[n++]);
        if (at == 0)
            return err_set(err, ERR_SYNTAX, "an empty part or an open quote in the path `" STR_FMT "`",
                           STR_ARG(path));
        if (at < path.n && path.p[at] != '.')
            return err_set(err, ERR_SYNTAX, "a dot is wanted behind the quoted part in `" STR_FMT "`",
                           STR_ARG(path));
    } while (at++ < path.n);
    out->path = ARENA_ARRAY(a, struct str, n);
    memcpy(out->path, parts, n * sizeof *parts);
    out->path_count = n;
    return 0;
}

static struct str nearest_name(struct str text)
{
    struct str names[RULE_MATCH_KEYS];
    for (size_t i = 0; i < RULE_MATCH_KEYS; i++) names[i] = str_c(rule_match_fields[i].name);
    return suggest_nearest(text, names, RULE_MATCH_KEYS);
}

int rule_field_parse(struct arena *a, struct str text, struct rule_field *out, struct str *nearest,
                     struct err *err)
{
    *out = (struct rule_field){ .text = text };
    *nearest = STR_NONE;
    if (str_starts(text, STR("metadata."))) {
        out->id = RULE_METADATA;
        return path_parse(a, str_sub(text, 9, text.n), out, err);
    }
    if (str_eq_c(text, "metadata"))
        return err_set(err, ERR_SYNTAX, "`metadata` wants a path, as in metadata.customerId");
    for (int id = 0; id < RULE_METADATA; id++) {
        if (!str_eq_c(text, rule_match_fields[id].name)) continue;
        out->id = (enum rule_field_id)id;
        return 0;
    }
    *nearest = nearest_name(text);
    return err_set(err, ERR_SYNTAX, "unknown field `" STR_FMT "`", STR_ARG(text));
}
