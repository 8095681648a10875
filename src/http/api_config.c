/* What is configured: rules, sources, destinations. */
#include "base/timefmt.h"
#include "http/internal.h"

static void put_duration(struct json_writer *w, const char *key, int64_t ms)
{
    char text[TIMEFMT_SIZE];
    json_field_str(w, key, duration_format(ms, text));
}

static void put_condition(struct json_writer *w, const struct rule_condition *c)
{
    static const char *const kinds[] = { [RULE_EVERY_HIT] = "every hit", [RULE_COUNT] = "count", [RULE_STREAK] = "streak", [RULE_FIRST] = "first", [RULE_FLAPS] = "flaps", [RULE_RATE] = "rate", [RULE_LASTS] = "lasts", [RULE_ABSENT] = "absent" };
    json_put_key(w, STR("condition"));
    json_object_begin(w);
    json_field_str(w, "kind", str_c(kinds[c->kind]));
    if (c->kind == RULE_FIRST || c->kind == RULE_FLAPS) put_duration(w, "within", c->window_ms);
    if (c->kind == RULE_LASTS) put_duration(w, "for", c->window_ms);
    if (c->kind == RULE_STREAK || c->kind == RULE_FLAPS) json_field_i64(w, "n", c->n);
    if (c->kind == RULE_COUNT) {
        json_field_i64(w, "n", c->n);
        put_duration(w, "within", c->window_ms);
        json_field_str(w, "of", c->of ? c->of->text : c->of_runs ? STR("runs") : STR("hits"));
    }
    if (c->kind == RULE_ABSENT) {
        if (c->cron) json_field_str(w, "cron", cron_text(c->cron));
        if (c->cron) json_field_str(w, "zone", zone_name(c->zone));
        else put_duration(w, "every", c->window_ms);
        put_duration(w, "grace", c->grace_ms);
    }
    if (c->kind == RULE_RATE) {
        json_field_f64(w, c->under ? "under_percent" : "over_percent", c->percent);
        if (c->window_ms) put_duration(w, "within", c->window_ms);
        else json_field_i64(w, "last_runs", c->n);
        json_field_i64(w, "min", c->min);
    }
    json_object_end(w);
}

static void put_targets(struct json_writer *w, const struct ruleset *rs, const struct rule_targets *to)
{
    for (size_t i = 0; i < to->n; i++) json_put_str(w, rs->destinations[to->v[i].destination].name);
}

/* Of a switch, all that it may tell, and the field it decides by. */
static void put_notify(struct json_writer *w, const struct ruleset *rs, const struct rule *rule)
{
    json_put_key(w, STR("notify"));
    json_array_begin(w);
    put_targets(w, rs, &rule->notify);
    for (size_t i = 0; rule->route && i < rule->route->case_count; i++) put_targets(w, rs, &rule->route->cases[i].to);
    if (rule->route) put_targets(w, rs, &rule->route->otherwise);
    json_array_end(w);
    if (rule->route) json_field_str(w, "switch", rule->route->field.text);
}

static void put_rule(struct json_writer *w, const struct ruleset *rs, const struct rule *rule)
{
    json_object_begin(w);
    json_field_str(w, "name", rule->name);
    json_field_str(w, "file", str_c(rule->file));
    json_field_i64(w, "line", rule->line);
    json_field_str(w, "severity", str_c(severity_name((enum severity)rule->severity)));
    put_condition(w, &rule->condition);
    json_put_key(w, STR("by"));
    json_array_begin(w);
    for (size_t i = 0; i < rule->by_count; i++) json_put_str(w, rule->by[i].text);
    json_array_end(w);
    put_notify(w, rs, rule);
    json_field_opt(w, "runbook", rule->runbook);
    json_object_end(w);
}

void api_rules(struct http_request *r, struct store_reader *s)
{
    const struct ruleset *rs = r->config->rules;
    struct json_writer w = http_list(r);
    (void)s;
    for (size_t i = 0; rs && i < rs->rule_count; i++) put_rule(&w, rs, rs->rules[i]);
    http_list_end(&w, NULL, 0);
}

static struct http_source_stats stats_of(struct http *h, struct str name)
{
    struct http_source_stats found = { 0 };
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < h->sources.n; i++)
        if (str_eq(h->sources.v[i]->name, name)) found = *h->sources.v[i];
    pthread_mutex_unlock(&h->lock);
    return found;
}

static void put_source(struct json_writer *w, struct http *h, const struct config_source *s)
{
    struct http_source_stats stats = stats_of(h, s->name);
    json_object_begin(w);
    json_field_str(w, "name", s->name);
    json_field_str(w, "type", str_c(source_type_name(s->type)));
    json_field_str(w, "project", s->project.n ? s->project : STR("default"));
    json_field_opt(w, "env", s->env);
    if (s->type == SOURCE_TRIGGER_API) {
        struct pollers *pollers = atomic_load(&h->pollers);
        json_field_str(w, "url", s->api.url);
        if (pollers) pollers_describe(pollers, s->name, w);
        else json_field_str(w, "state", STR("starting"));
        json_object_end(w);
        return;
    }
    json_field_str(w, "path", s->path);
    if (s->type == SOURCE_WEBHOOK) json_field_bool(w, "token", secret_present(&s->token));
    json_field_i64(w, "accepted", (int64_t)stats.accepted);
    json_field_i64(w, "duplicates", (int64_t)stats.duplicates);
    json_field_i64(w, "rejected", (int64_t)stats.rejected);
    http_put_time(w, "last_at", stats.last_ms);
    json_object_end(w);
}

void api_import(struct http_request *r, struct store_reader *s)
{
    struct pollers *pollers = atomic_load(&r->http->pollers);
    struct str since = target_query(&r->target, "since"), name = r->target.segments[2];
    int64_t ms;
    struct json_writer w;
    (void)s;
    if (!duration_parse(since, &ms) || ms <= 0) {
        http_problem(r, MHD_HTTP_BAD_REQUEST, "since= wants a duration such as 24h or 7d: how far back the history begins");
        return;
    }
    if (!pollers || !pollers_import(pollers, name, clock_wall(r->http->clock).ms - ms)) {
        http_problem(r, MHD_HTTP_NOT_FOUND, "there is no trigger-api source `" STR_FMT "`: history comes from the API", STR_ARG(name));
        return;
    }
    w = http_json(r, MHD_HTTP_ACCEPTED);
    json_object_begin(&w);
    json_field_str(&w, "source", name);
    json_field_str(&w, "state", STR("running"));
    json_object_end(&w);
}

void api_sources(struct http_request *r, struct store_reader *s)
{
    struct json_writer w = http_list(r);
    (void)s;
    for (size_t i = 0; i < r->config->source_count; i++) put_source(&w, r->http, &r->config->sources[i]);
    http_list_end(&w, NULL, 0);
}

void api_destinations(struct http_request *r, struct store_reader *s)
{
    struct json_writer w = http_json(r, MHD_HTTP_OK);
    const struct http_backend *b = &r->http->backend;
    (void)s;
    json_object_begin(&w);
    json_put_key(&w, STR("data"));
    b->describe_destinations(b->ctx, &w);
    json_object_end(&w);
}
