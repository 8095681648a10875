/* Rules that were taken because a query could see their runs, where the server then answers no queries. The check of the
 * configuration cannot know that: it is said when it turns out. */
#include "base/log.h"
#include "source/poll_internal.h"

static bool sees(const struct config_source *s, const struct rule *r)
{
    struct source_sight sight = config_source_sight(s);
    return !(rule_needs(r) & ~sight.fields) && (rule_states(r) & sight.states);
}

static bool another_sees(const struct poll *p, const struct rule *r)
{
    for (size_t k = 0; k < p->rules->source_count; k++) {
        const struct config_source *s = &p->rules->sources[k];
        if (!str_eq(s->name, p->name) && sees(s, r)) return true;
    }
    return false;
}

void blind_check(struct poll *p)
{
    const struct ruleset *rs = p->rules->rules;
    struct config_source listed = *p->source;
    struct strbuf names;
    struct str text = STR_NONE;
    if (p->method != METHOD_LIST || p->source->api.method != METHOD_AUTO || !rs) return;
    listed.api.method = METHOD_LIST;
    strbuf_init(&names, 400);
    for (size_t k = 0; k < rs->rule_count; k++) {
        const struct rule *r = rs->rules[k];
        if (!sees(p->source, r) || sees(&listed, r) || another_sees(p, r)) continue;
        strbuf_printf(&names, "%s" STR_FMT, names.n ? ", " : "", STR_ARG(r->name));
    }
    if (names.n) text = str_printf(&p->arena, "Lists tell neither queue nor machine, which these rules read: " STR_FMT ". They do not hit.", STR_ARG(strbuf_view(&names)));
    strbuf_fini(&names);
    poll_say_blind(p, text);
}
