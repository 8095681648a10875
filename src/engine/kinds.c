#include "engine/kinds.h"

#include "template/escape.h"

enum { MESSAGE_CHARS = 80 };

bool kind_is(const struct run *run, const char *kind)
{
    return str_eq_c(run->kind, kind);
}

static struct str meta(const struct run *run, const char *key)
{
    return json_scalar(json_get_c(run->metadata, key));
}

static struct str git(const struct run *run, const char *key)
{
    return json_scalar(json_get_c(json_get_c(run->metadata, "git"), key));
}

/* --- titles -------------------------------------------------------------------------------------------- */
static struct str deployment_title(struct arena *a, const struct run *run, unsigned n, const char *verb)
{
    if (n > 1) return str_printf(a, "%u deployments %s", n, verb);
    return str_printf(a, "Deployment " STR_FMT " %s", STR_ARG(run->version.n ? run->version : run->id), verb);
}

static struct str error_name(struct arena *a, const struct run *run)
{
    const struct run_error *e = &run->error;
    struct str line = str_sub(e->message, 0, str_find(e->message, '\n', 0)), message = text_truncate(a, line, MESSAGE_CHARS, TEXT_CHARS);
    if (e->name.n && message.n) return str_printf(a, STR_FMT ": " STR_FMT, STR_ARG(e->name), STR_ARG(message));
    return message.n ? message : e->name;
}

static struct str error_title(struct arena *a, const struct run *run, unsigned n)
{
    struct str name = error_name(a, run), how = meta(run, "classification"), title;
    title = n > 1 ? str_printf(a, "%u alerts of error groups, the last " STR_FMT, n, STR_ARG(name)) : str_printf(a, "Error group " STR_FMT, STR_ARG(name));
    if (how.n) title = str_printf(a, STR_FMT " (" STR_FMT ")", STR_ARG(title), STR_ARG(how));
    if (run->task.n) title = str_printf(a, STR_FMT " in task " STR_FMT, STR_ARG(title), STR_ARG(run->task));
    return title;
}

struct str kind_title(struct arena *a, const struct run *run, unsigned n, const char *verb)
{
    if (kind_is(run, "deployment")) return deployment_title(a, run, n, verb);
    if (kind_is(run, "error")) return error_title(a, run, n);
    return STR_NONE;
}

/* --- fields -------------------------------------------------------------------------------------------- */
static void add(struct message_field *out, size_t *n, const char *name, struct str value)
{
    if (value.n) out[(*n)++] = (struct message_field){ str_c(name), value, false };
}

static struct str commit(struct arena *a, const struct run *run)
{
    struct str sha = git(run, "commitSha"), message = git(run, "commitMessage");
    if (sha.n == 0 || message.n == 0) return sha.n ? sha : message;
    return str_printf(a, STR_FMT " " STR_FMT, STR_ARG(sha), STR_ARG(message));
}

static struct str pull_request(struct arena *a, const struct run *run)
{
    struct str number = git(run, "pullRequestNumber"), title = git(run, "pullRequestTitle");
    return number.n ? str_printf(a, "#" STR_FMT " " STR_FMT, STR_ARG(number), STR_ARG(title)) : title;
}

size_t kind_fields(struct arena *a, const struct run *run, struct message_field out[KIND_FIELDS_MAX])
{
    size_t n = 0;
    if (kind_is(run, "deployment")) {
        add(out, &n, "Deployment", run->id);
        add(out, &n, "Short code", meta(run, "shortCode"));
        add(out, &n, "Branch", git(run, "branch"));
        add(out, &n, "Commit", commit(a, run));
        add(out, &n, "Pull request", str_trim(pull_request(a, run)));
    } else if (kind_is(run, "error")) {
        add(out, &n, "Classification", meta(run, "classification"));
        add(out, &n, "Occurrences", meta(run, "occurrenceCount"));
        add(out, &n, "First seen", meta(run, "firstSeen"));
        add(out, &n, "Last seen", meta(run, "lastSeen"));
        add(out, &n, "Fingerprint", meta(run, "fingerprint"));
    }
    return n;
}

struct str kind_page(struct arena *a, const struct run *run)
{
    struct str code = meta(run, "shortCode"), print = meta(run, "fingerprint");
    if (kind_is(run, "deployment")) return code.n ? str_printf(a, "deployments/" STR_FMT, STR_ARG(code)) : STR("deployments");
    if (kind_is(run, "error")) return print.n ? str_printf(a, "errors/" STR_FMT, STR_ARG(print)) : STR("errors");
    return str_printf(a, "runs/" STR_FMT, STR_ARG(run->id));
}
