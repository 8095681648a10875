/* backtest: what rules would have sent over a stored log: counts per rule and destination, every opening and message,
 * what a change of rules adds and removes, a picture of it. One thread. */
#ifndef REPLAY_BACKTEST_H
#define REPLAY_BACKTEST_H
#include "replay/history.h"

struct backtest_opening { int64_t at_ms; const struct history_who *who; };
struct backtest_message { int64_t at_ms; const struct history_who *who; uint32_t destination; uint32_t kind; }; /* who NULL: a digest */
struct backtest_line { /* of one rule and destination; destination absent: of the rule itself */
    struct str rule, destination;         /* rule empty: digests, which gather incidents of several rules */
    uint64_t sent[MESSAGE_KINDS], total;
    uint64_t openings, resolves, limited; /* of the rule itself */
    int64_t first_ms, last_ms;
};
enum { BACKTEST_BINS = 168 };
struct backtest {
    int64_t from_ms, until_ms;            /* what is counted */
    struct history history;
    struct map lines, places;
    VEC(struct backtest_line *) list;     /* in the order of their rules, then as they came */
    VEC(struct str) destinations;
    VEC(struct backtest_opening) openings;
    VEC(struct backtest_message) messages;
    bool (*page)(void *ctx, int64_t at_ms, uint64_t events); /* false: no further */
    void *page_ctx;
    bool as_it_happened;                  /* by event time: set before backtest_read */
    bool cut_short;                       /* page said so: what stands here is not the whole of it */
};
/* config is borrowed until backtest_fini. */
void backtest_init(struct backtest *b, const struct config *config, int64_t from_ms, int64_t until_ms);
void backtest_fini(struct backtest *b);
/* The log before from_ms that the fold begins with, so that windows and open incidents are as they were. */
int64_t backtest_warm_up(const struct ruleset *rules);
int backtest_read(struct backtest *b, struct store_reader *r, int64_t warm_up_ms, struct err *err) WUR;
/* {"since", "until", "events", "hits", "rules": [...], "openings": [...], "messages": [...]}; the lists hold at most `most`
 * entries each and say how many more there are. */
void backtest_write(const struct backtest *b, size_t most, struct json_writer *w);

/* Openings of a that b has not: same rule, project, env and key, opened at the same moment. */
typedef void (*backtest_opening_fn)(void *ctx, const struct backtest_opening *o);
size_t backtest_missing(const struct backtest *a, const struct backtest *b, backtest_opening_fn fn, void *ctx);

void backtest_put_who(const struct history_who *who, struct json_writer *w); /* members; NULL: of no incident */
/* A picture of when each rule would have sent what. */
void backtest_svg(const struct backtest *b, struct strbuf *out);
#endif
