/* http/internal: what the files of this room share. Unless said otherwise everything here is the loop
 * thread's; a reader thread owns a request while its stage is HTTP_READING, the pipeline its `p` while the
 * stage is HTTP_QUEUED. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/map.h"
#include "http/http.h"
#include "http/target.h"
#include "source/poller.h"
#include "source/trigger_webhook.h"
#include "source/webhook.h"

struct http_request;

/* --- connections (conn.c) -------------------------------------------------------------------------- */
struct http_peer { size_t connections; struct str key; }; /* one address, counted */
enum { HTTP_TOKEN_CACHE = 128 };
struct http_conn {
    struct http_conn *prev, *next;
    struct http *http;
    struct MHD_Connection *mhd;
    int fd;
    struct http_request *request; /* under way; NULL = idle */
    struct http_peer *peer;       /* NULL = exempt */
    int64_t deadline_ms;          /* monotonic; then its socket is shut down */
    /* The credentials that were right last time: comparing two digests per request costs more than the rest
     * of the headers. Valid for one configuration generation and one secret. */
    uint64_t auth_generation;
    const struct secret *auth_secret;
    size_t auth_n;
    char auth[HTTP_TOKEN_CACHE];
};
/* MHD's accept policy: not too many of one address. */
enum MHD_Result http_conn_allowed(void *h, const struct sockaddr *addr, socklen_t n);
struct http_peer *http_peer_join(struct http *h, const struct sockaddr *addr); /* NULL: not counted */
void http_peer_leave(struct http *h, struct http_peer *peer);
void http_conn_event(void *h, struct MHD_Connection *mhd, void **socket_context,
                     enum MHD_ConnectionNotificationCode what);
struct http_conn *http_conn_of(struct MHD_Connection *mhd);
void http_conns_check(struct http *h); /* shuts down those that are past their deadline */

/* --- routes (route.c) ------------------------------------------------------------------------------ */
enum http_where { HTTP_HERE, HTTP_READ, HTTP_WRITE };
struct http_route {
    const char *method, *pattern;
    enum http_where where;
    bool open;          /* needs no token */
    const char *params; /* query parameters it knows, separated by blanks */
    /* HERE, READ: writes the answer; s is NULL for HERE. */
    void (*handle)(struct http_request *r, struct store_reader *s);
    /* WRITE: fills r->p and gives 0, or writes an answer and gives -1. */
    int (*prepare)(struct http_request *r);
    /* WRITE: writes the answer after the commit. */
    void (*finish)(struct http_request *r);
};
/* Finds the route of a parsed target. NULL: a 404 or 405 is written. */
const struct http_route *http_route_find(struct http_request *r, const char *method);
extern const struct http_route http_ingest_route; /* POST to a source's path */

struct http_place { uint32_t line, col; size_t offset; };

/* --- requests (request.c) -------------------------------------------------------------------------- */
enum http_stage {
    HTTP_HEADERS, /* the request line was read */
    HTTP_BODY,
    HTTP_WAITING, /* suspended, for room in the queue or for http_attach */
    HTTP_QUEUED,  /* suspended, in the pipeline */
    HTTP_READING, /* suspended, with a reader thread */
    HTTP_ANSWER   /* resumed, or never suspended: an answer is due or was queued */
};
struct http_headers {
    struct str authorization, signature, content_type, content_encoding, host, origin;
    size_t lengths, transfer_encodings; /* how many of each */
    int64_t length;                     /* -1 = none, or no number */
    bool chunked, blank_in_name;
};
struct http_request {
    struct pipeline_request p; /* first */
    struct http *http;
    struct http_conn *conn;    /* NULL: its connection is gone, only the memory is left */
    struct MHD_Connection *mhd;
    struct http_request *next; /* in the pool, the finished stack, the waiting list or the readers' list */
    enum http_stage stage;
    const struct http_route *route;
    const char *method;
    struct arena arena;
    struct strbuf body, out;
    struct str raw;            /* target as sent */
    struct target target;      /* parsed, but for the ingest path */
    struct http_headers headers;
    struct config *config;     /* reference; of the generation in which the request began */
    const struct config_source *source;
    struct source_batch batch;
    enum source_result result;
    struct http_place place;   /* of the mistake, for SOURCE_NOT_JSON */
    size_t discarded;          /* bytes of a refused body */
    int64_t wait_until_ms;
    /* the answer: */
    unsigned status;           /* 0 = not yet written */
    const char *content_type, *allow;
    bool close, retry_after;
    bool counted;              /* in http.active */
    bool prepared;             /* its p is filled */
};
void *http_request_begin(void *h, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_request_handle(void *h, struct MHD_Connection *mhd, const char *url, const char *method,
                                    const char *version, const char *upload, size_t *upload_size, void **ctx);
void http_request_end(void *ctx, struct MHD_Connection *mhd, void **at, enum MHD_RequestTerminationCode how);
/* Hands a suspended request to the pipeline or the readers, or resumes it with an answer. False: no room, or nobody
 * there yet. */
bool http_request_dispatch(struct http_request *r);
void http_request_free(struct http_request *r); /* to the pool */
void http_pool_fini(struct http *h);

/* --- headers and authority (auth.c) ---------------------------------------------------------------- */
void http_headers_read(struct MHD_Connection *mhd, struct http_headers *out);
/* False: an answer is written. */
bool http_headers_sound(struct http_request *r);
bool http_auth_source(struct http_request *r);
bool http_auth_body(struct http_request *r); /* the same of what is known only with the whole body: its signature */
bool http_auth_api(struct http_request *r);

/* --- answers (answer.c) ---------------------------------------------------------------------------- */
/* Starts a JSON answer in r->out. */
struct json_writer http_json(struct http_request *r, unsigned status);
/* Starts the answer of a list; what follows are its elements. Next: where the next page begins; 0 = nowhere. */
struct json_writer http_list(struct http_request *r);
void http_list_end(struct json_writer *w, const char *prefix, uint64_t next);
void http_text(struct http_request *r, unsigned status, const char *content_type);
/* application/problem+json; replaces what was written before. */
void http_problem(struct http_request *r, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void http_problem_at(struct http_request *r, unsigned status, struct str detail,
                     const struct http_place *place);
void http_busy(struct http_request *r, const char *why); /* 503 with Retry-After */
enum MHD_Result http_answer(struct http_request *r);     /* queues what was written */
/* Members that many answers have. */
void http_put_id(struct json_writer *w, const char *key, const char *prefix, uint64_t id); /* 0 = left out */
void http_put_time(struct json_writer *w, const char *key, int64_t wall_ms); /* 0, NONE = left out */

/* --- readers (readers.c) --------------------------------------------------------------------------- */
struct http_readers;
struct http_readers *http_readers_start(struct http *h);
void http_readers_put(struct http_readers *rs, struct http_request *r);
/* Jobs not yet begun come back answered 503. */
void http_readers_stop(struct http_readers **rs);

/* --- the server (loop.c) --------------------------------------------------------------------------- */
struct http_counters { /* atomics: metrics are written on reader threads */
    atomic_uint_fast64_t requests, answers[6], accepted, duplicates, rejected_items, rejected_bodies, held,
        busy, unauthorized, deadlines, refused_connections, body_bytes;
};
struct http_source_stats { struct str name; uint64_t accepted, duplicates, rejected; int64_t last_ms; };
struct http_list { struct http_request *first, **last; };
struct http {
    struct clock *clock;
    struct http_limits limits;
    struct MHD_Daemon *mhd;
    int listen_fd, epoll_fd, event_fd, port;
    bool local;    /* who listens is not reached from other machines */
    char *address; /* server.listen at the start */
    char *unix_path;
    void *tls_cert, *tls_key; /* text, for as long as MHD runs */
    pthread_t thread;
    bool started;

    int64_t now_ms; /* monotonic, of this turn of the loop */
    struct config *config;
    uint64_t generation;
    bool log_requests;
    struct http_backend backend;
    bool to_flush; /* something was submitted in this turn */
    bool attached, draining, closing; /* closing: nothing may be suspended any more */
    struct http_conn *conns;
    size_t conn_count;
    struct map peers;
    struct http_request *pool;
    size_t pool_count;
    struct http_list waiting;
    size_t active;            /* requests in WAITING, QUEUED, READING or with an unsent answer */
    size_t body_bytes, body_ceiling;
    int64_t next_check_ms, next_retry_ms;
    struct http_readers *readers;

    _Atomic(struct pollers *) pollers; /* NULL = none */
    _Atomic(struct http_request *) finished; /* pushed by the writer and the readers */
    pthread_mutex_t lock;     /* what follows */
    struct config *next_config;
    struct http_backend next_backend;
    bool has_next_backend, stop;
    int64_t stop_grace_ms;
    VEC(struct http_source_stats *) sources;
    struct http_counters counters;
};
/* Any thread: r has its answer (or its commit); the loop resumes its connection. */
void http_finished(struct http_request *r);
void http_wait(struct http *h, struct http_request *r, int64_t for_ms);
/* Resumes r's connection with the answer written in r. */
void http_resume(struct http_request *r);
void http_count_source(struct http *h, struct str name, uint64_t accepted, uint64_t duplicates,
                       uint64_t rejected);

/* --- listening (listen.c) -------------------------------------------------------------------------- */
/* "host:port", "[v6]:port" or "unix:PATH". The descriptor, or -1. *local: only this machine can reach it. */
int http_listen(struct str address, int *port, char **unix_path, bool *local, struct err *err);
bool http_is_loopback(const struct sockaddr *addr);

/* --- the API --------------------------------------------------------------------------------------- */
enum { HTTP_PAGE_DEFAULT = 50, HTTP_PAGE_MAX = 500 };
struct http_page { uint64_t before; size_t limit; };
/* Reads ?after= and ?limit=. False: an answer is written. */
bool http_page_read(struct http_request *r, const char *prefix, struct http_page *out);
void http_store_failed(struct http_request *r, const struct err *err);
/* Segment i as an id. False: a 404 is written. */
bool http_id_segment(struct http_request *r, size_t i, const char *prefix, uint64_t *id);

void api_incidents(struct http_request *r, struct store_reader *s);
void api_incident(struct http_request *r, struct store_reader *s);
void api_silences(struct http_request *r, struct store_reader *s);
void api_deliveries(struct http_request *r, struct store_reader *s);
void api_delivery_write(struct json_writer *w, const struct store_delivery *d); /* members only */
int api_attempts_write(struct http_request *r, struct store_reader *s, uint64_t delivery,
                       struct json_writer *w, struct err *err);
void api_run(struct http_request *r, struct store_reader *s);
void api_explain(struct http_request *r, struct store_reader *s);
void api_backtest(struct http_request *r, struct store_reader *s);
void api_reread(struct http_request *r, struct store_reader *s);
void api_rejected(struct http_request *r, struct store_reader *s);
void api_rules(struct http_request *r, struct store_reader *s);
void api_import(struct http_request *r, struct store_reader *s);
void api_sources(struct http_request *r, struct store_reader *s);
void api_destinations(struct http_request *r, struct store_reader *s);
void api_status(struct http_request *r, struct store_reader *s);
void api_metrics(struct http_request *r, struct store_reader *s);
void api_healthz(struct http_request *r, struct store_reader *s);
void api_readyz(struct http_request *r, struct store_reader *s);
int api_silence_prepare(struct http_request *r);
void api_silence_finish(struct http_request *r);
int api_silence_end_prepare(struct http_request *r);
void api_silence_end_finish(struct http_request *r);
int api_command_prepare(struct http_request *r);
void api_command_finish(struct http_request *r);
int api_retry_prepare(struct http_request *r);
void api_retry_finish(struct http_request *r);
int api_send_prepare(struct http_request *r);
void api_send_finish(struct http_request *r);
struct http_process { int64_t rss_bytes, open_fds, max_fds; };
struct http_process http_process_read(void);
#endif
