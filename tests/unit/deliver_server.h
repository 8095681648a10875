/* deliver_server: an HTTP server for the tests of deliver, with every fault there is: a thread per
 * connection, the path says how it behaves. Includes deliver_testing.h before. */
#ifndef DELIVER_SERVER_H
#define DELIVER_SERVER_H
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

enum { SEEN_MOST = 8192, CONNECTIONS_MOST = 512 };
struct seen { char path[64], id[32], head[1024]; };
struct server {
    int fd, port, stop[2]; /* stop: the read end becomes readable when all have to end */
    pthread_t thread, workers[CONNECTIONS_MOST];
    size_t worker_count;
    pthread_mutex_t lock;
    struct seen seen[SEEN_MOST];
    size_t seen_count;
};
struct connection { struct server *server; int fd; };

static inline bool wait_readable(const struct server *s, int fd)
{
    struct pollfd p[2] = { { fd, POLLIN, 0 }, { s->stop[0], POLLIN, 0 } };
    return poll(p, 2, -1) > 0 && !p[1].revents;
}

static inline void say(int fd, const char *text)
{
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) return;
}

static inline void note(struct server *s, const char *path, const char *head)
{
    const char *id = strcasestr(head, "webhook-id: ");
    struct seen *k;
    pthread_mutex_lock(&s->lock);
    assert_true(s->seen_count < SEEN_MOST);
    k = &s->seen[s->seen_count++];
    snprintf(k->path, sizeof k->path, "%s", path);
    snprintf(k->id, sizeof k->id, "%.17s", id ? id + 12 : "");
    snprintf(k->head, sizeof k->head, "%s", head);
    pthread_mutex_unlock(&s->lock);
}

static inline void pour(const struct connection *c)
{
    static const char block[4096] = { 0 };
    say(c->fd, "HTTP/1.1 500 No\r\n\r\n");
    while (send(c->fd, block, sizeof block, MSG_NOSIGNAL) > 0) continue;
}

/* One answer; false: the connection ends. */
static inline bool behave(const struct connection *c, const char *path)
{
    static const struct { const char *path, *answer; bool keep;
    } plain[] = {
        { "/ok", "HTTP/1.1 204 Fine\r\n\r\n", true },
        { "/500", "HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops", true },
        { "/400", "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", true },
        { "/401", "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", true },
        { "/429", "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", true },
        { "/301", "HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", true },
        { "/100",
          "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: "
          "3\r\nContent-Length: 0\r\n\r\n",
          true },
        { "/trailer",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nServer-Timing: total\r\n\r\n", true },
        { "/garbage", "SSH-2.0-OpenSSH_9.2\r\n", false },
        { "/half-head", "HTTP/1.1 200 OK\r\nContent-Le", false },
        { "/short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok", false },
        { "/close", "", false },
    };
    for (size_t i = 0; i < COUNT(plain); i++) {
        if (strcmp(path, plain[i].path) != 0) continue;
        say(c->fd, plain[i].answer);
        return plain[i].keep;
    }
    if (strcmp(path, "/endless") == 0) pour(c);
    if (strcmp(path, "/slow") == 0)
        say(c->fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok"); /* and no more */
    if (strcmp(path, "/hang") == 0 || strcmp(path, "/slow") == 0) wait_readable(c->server, c->fd);
    return false;
}

static inline bool serve_one(const struct connection *c, char *buf, size_t size)
{
    size_t n = 0, length = 0;
    char path[64] = "", *end = NULL, *found;
    while (!end || n < (size_t)(end + 4 - buf) + length) {
        ssize_t got;
        if (n + 1 >= size || !wait_readable(c->server, c->fd)) return false;
        got = recv(c->fd, buf + n, size - 1 - n, 0);
        if (got <= 0) return false;
        n += (size_t)got;
        buf[n] = '\0';
        end = strstr(buf, "\r\n\r\n");
        found = end ? strcasestr(buf, "content-length: ") : NULL;
        if (found) length = (size_t)strtol(found + 16, NULL, 10);
    }
    found = strchr(buf, ' ') + 1;
    snprintf(path, sizeof path, "%.*s", (int)strcspn(found, " "), found);
    note(c->server, path, buf);
    return behave(c, path);
}

static inline void *serve(void *ctx)
{
    struct connection c = *(struct connection *)ctx;
    char *buf = xmalloc(65536);
    free(ctx);
    while (serve_one(&c, buf, 65536)) continue;
    free(buf);
    close(c.fd);
    return NULL;
}

static inline void *accept_all(void *ctx)
{
    struct server *s = ctx;
    while (wait_readable(s, s->fd)) {
        struct connection *c = xmalloc(sizeof *c);
        *c = (struct connection){ s, accept(s->fd, NULL, NULL) };
        assert_true(c->fd >= 0 && s->worker_count < CONNECTIONS_MOST);
        pthread_create(&s->workers[s->worker_count++], NULL, serve, c);
    }
    return NULL;
}

static inline int listen_somewhere(int *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 128), 0);
    getsockname(fd, (struct sockaddr *)&a, &n);
    *port = ntohs(a.sin_port);
    return fd;
}

static inline struct server *server_open(void)
{
    struct server *s = xcalloc(1, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->fd = listen_somewhere(&s->port);
    assert_int_equal(pipe(s->stop), 0);
    pthread_create(&s->thread, NULL, accept_all, s);
    return s;
}

static inline void server_close(struct server *s)
{
    close(s->stop[1]);
    pthread_join(s->thread, NULL);
    for (size_t i = 0; i < s->worker_count; i++) pthread_join(s->workers[i], NULL);
    close(s->stop[0]);
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static inline size_t server_saw(struct server *s, const char *path)
{
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->seen_count; i++) n += strcmp(s->seen[i].path, path) == 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}
#endif
