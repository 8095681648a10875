/* Connections: counted per address, and each with a deadline of ours. MHD's own timeout counts idleness only,
 * so a client that drips one byte a second would live for ever. */
#include <netinet/in.h>

#include "http/internal.h"

static struct str peer_key(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        return (struct str){ (const char *)&((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4 };
    if (addr->sa_family == AF_INET6) { /* one customer has a /64 */
        const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(six)) return (struct str){ (const char *)six + 12, 4 };
        return (struct str){ (const char *)six, 8 };
    }
    return STR_NONE;
}

enum MHD_Result http_conn_allowed(void *ctx, const struct sockaddr *addr, socklen_t n)
{
    static struct log_once once;
    struct http *h = ctx;
    struct http_peer *peer;
    (void)n;
    if (!addr || http_is_loopback(addr)) return MHD_YES;
    peer = map_get(&h->peers, peer_key(addr));
    if (!peer || peer->connections < h->limits.per_address) return MHD_YES;
    atomic_fetch_add(&h->counters.refused_connections, 1);
    log_write_limited(
        &once, 10000, LOG_WARN, "http.connection_refused",
        LOG_FIELDS(LOG_C("reason", "too many from one address"), LOG_I("limit", h->limits.per_address)));
    return MHD_NO;
}

struct http_peer *http_peer_join(struct http *h, const struct sockaddr *addr)
{
    struct str key = addr ? peer_key(addr) : STR_NONE;
    struct http_peer *peer;
    if (str_absent(key) || http_is_loopback(addr)) return NULL;
    peer = map_get(&h->peers, key);
    if (!peer) {
        peer = xcalloc(1, sizeof *peer + key.n);
        memcpy(peer + 1, key.p, key.n);
        peer->key = (struct str){ (char *)(peer + 1), key.n };
        map_put(&h->peers, peer->key, peer);
    }
    peer->connections++;
    return peer;
}

void http_peer_leave(struct http *h, struct http_peer *peer)
{
    if (!peer || --peer->connections) return;
    map_remove(&h->peers, peer->key);
    free(peer);
}

static struct http_conn *conn_new(struct http *h, struct MHD_Connection *mhd)
{
    struct http_conn *c = xcalloc(1, sizeof *c);
    const union MHD_ConnectionInfo *addr = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const union MHD_ConnectionInfo *fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    c->http = h;
    c->mhd = mhd;
    c->fd = fd ? fd->connect_fd : -1;
    c->peer = http_peer_join(h, addr ? addr->client_addr : NULL);
    c->deadline_ms = h->now_ms + h->limits.header_ms;
    c->next = h->conns;
    if (c->next) c->next->prev = c;
    if (!h->conns) h->next_check_ms = h->now_ms; /* the checks sleep while there is nothing to check */
    h->conns = c;
    h->conn_count++;
    return c;
}

static void conn_free(struct http_conn *c)
{
    struct http *h = c->http;
    http_peer_leave(h, c->peer);
    if (c->prev)
        c->prev->next = c->next;
    else
        h->conns = c->next;
    if (c->next) c->next->prev = c->prev;
    h->conn_count--;
    explicit_bzero(c->auth, sizeof c->auth);
    free(c);
}

void http_conn_event(void *ctx, struct MHD_Connection *mhd, void **socket_context,
                     enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = conn_new(ctx, mhd);
        return;
    }
    if (*socket_context) conn_free(*socket_context);
    *socket_context = NULL;
}

struct http_conn *http_conn_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

void http_conns_check(struct http *h)
{
    for (struct http_conn *c = h->conns; c; c = c->next) {
        if (c->deadline_ms > h->now_ms || c->fd < 0) continue;
        shutdown(c->fd, SHUT_RDWR); /* MHD sees the end and cleans up */
        c->deadline_ms = INT64_MAX;
        atomic_fetch_add(&h->counters.deadlines, 1);
    }
}
