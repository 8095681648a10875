/* probe: how long a POST takes to become a notification.
 *
 *   probe -l PORT -n COUNT [-g GAP_US] -T FILE [-t TYPE] http://HOST:PORT/PATH   measures, prints one JSON line
 *   probe -l PORT                                                               only receives, until it is ended
 *
 * Client and receiver in one thread and one loop, so that both ends read the same clock. Lock step: an event is
 * sent when the notification of the one before has come and GAP_US (plus up to as much again) went by; the time is
 * taken from just before the first byte of the POST is written to the first byte of the notification.
 * @ID@ and @NOW@ in the body are filled in as `load` does. A GET is answered with the number of POSTs received. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_MAX = 1 << 16, BODY_MAX = 1 << 16, SAMPLES_MAX = 1 << 20, PATIENCE_MS = 10000 };

struct options { int listen, gap_us; size_t count; const char *type, *url; char body[BODY_MAX]; size_t body_n; };
struct peer { /* a connection to the receiver */
    int fd;
    bool head_seen;
    size_t got;          /* of the head */
    uint64_t body_left;
    char head[IN_MAX];
};
struct state {
    struct options o;
    int epoll, listen_fd, client_fd;
    struct sockaddr_in target;
    char host[64], path[512];
    char out[BODY_MAX + 2048], in[IN_MAX];
    size_t in_n;
    bool answered, notified;
    double sent_s, notified_s;
    uint64_t received, next_id, bad;
    double *ms;
    size_t samples;
};

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "probe: %s: %m\n", what);
    exit(2);
}

static void watch(struct state *s, int fd, void *who)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = who };
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) die("epoll");
}

/* --- the receiver ------------------------------------------------------------------------------------------ */

static void open_receiver(struct state *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s->o.listen),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listen_fd < 0) die("socket");
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s->listen_fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(s->listen_fd, 512) != 0) die("listen");
    watch(s, s->listen_fd, &s->listen_fd);
}

static void welcome(struct state *s)
{
    struct peer *p = calloc(1, sizeof *p);
    int one = 1;
    if (!p) die("memory");
    p->fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (p->fd < 0) die("accept");
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(s, p->fd, p);
}

static void leave(struct peer *p)
{
    close(p->fd);
    free(p);
}

static bool respond(struct state *s, struct peer *p)
{
    char text[200], number[32] = "";
    int n;
    if (strncmp(p->head, "GET", 3) == 0)
        snprintf(number, sizeof number, "%" PRIu64 "\n", s->received);
    else
        s->received++;
    n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(number), number);
    p->got = 0;
    p->head_seen = false;
    return send(p->fd, text, (size_t)n, MSG_NOSIGNAL) == n;
}

/* The head is kept, the body counted and thrown away. false: the connection is of no use any more. */
static bool digest(struct state *s, struct peer *p, const char *bytes, size_t n)
{
    while (n > 0) {
        char *end, *length;
        size_t take = n < IN_MAX - 1 - p->got ? n : IN_MAX - 1 - p->got, before = p->got, body;
        if (p->head_seen) {
            take = p->body_left < n ? (size_t)p->body_left : n;
            p->body_left -= take;
            bytes += take;
            n -= take;
            if (p->body_left == 0 && !respond(s, p)) return false;
            continue;
        }
        if (take == 0) return false;
        memcpy(p->head + before, bytes, take);
        p->got += take;
        p->head[p->got] = '\0';
        end = strstr(p->head, "\r\n\r\n");
        if (!end) return p->got < IN_MAX - 1;
        body = p->got - (size_t)(end + 4 - p->head); /* of what was copied, this much is body already */
        bytes += take - body;
        n -= take - body;
        length = strcasestr(p->head, "\r\ncontent-length:");
        p->body_left = length && length < end ? strtoull(length + 17, NULL, 10) : 0;
        p->head_seen = true;
        if (p->body_left == 0 && !respond(s, p)) return false;
    }
    return true;
}

static void hear(struct state *s, struct peer *p)
{
    static char bytes[IN_MAX];
    ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
    if (n > 0 && !p->head_seen && p->got == 0 && !s->notified && bytes[0] == 'P') {
        s->notified = true;
        s->notified_s = now_s();
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0 || !digest(s, p, bytes, (size_t)n)) leave(p);
}

/* --- the client -------------------------------------------------------------------------------------------- */

static void aim(struct state *s)
{
    int port = 80;
    if (sscanf(s->o.url, "http://%63[^:/]:%d%511s", s->host, &port, s->path) != 3) die("URL");
    s->target = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    if (inet_pton(AF_INET, s->host, &s->target.sin_addr) != 1) die("host");
}

static void dial(struct state *s)
{
    int one = 1;
    s->client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->client_fd < 0 || connect(s->client_fd, (struct sockaddr *)&s->target, sizeof s->target) != 0) die("connect");
    setsockopt(s->client_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(s, s->client_fd, &s->client_fd);
}

static size_t fill_body(struct state *s, char *out)
{
    char when[64];
    struct timespec ts;
    struct tm tm;
    size_t n = 0;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(when + 19, sizeof when - 19, ".%03dZ", (int)(ts.tv_nsec / 1000000 % 1000));
    s->next_id++;
    for (size_t i = 0; i < s->o.body_n && n + 64 < BODY_MAX;) {
        if (strncmp(s->o.body + i, "@ID@", 4) == 0) {
            n += (size_t)snprintf(out + n, BODY_MAX - n, "%016" PRIx64, s->next_id);
            i += 4;
        } else if (strncmp(s->o.body + i, "@NOW@", 5) == 0) {
            n += (size_t)snprintf(out + n, BODY_MAX - n, "%s", when);
            i += 5;
        } else {
            out[n++] = s->o.body[i++];
        }
    }
    return n;
}

static void post(struct state *s)
{
    static char body[BODY_MAX];
    size_t body_n = fill_body(s, body);
    int n = snprintf(s->out, sizeof s->out, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                     s->path, s->host, s->o.type, body_n);
    memcpy(s->out + n, body, body_n);
    s->answered = s->notified = false;
    s->in_n = 0;
    s->sent_s = now_s();
    if (send(s->client_fd, s->out, (size_t)n + body_n, MSG_NOSIGNAL) != (ssize_t)((size_t)n + body_n)) die("send");
}

static void take_answer(struct state *s)
{
    ssize_t n = recv(s->client_fd, s->in + s->in_n, IN_MAX - 1 - s->in_n, 0);
    char *end, *length;
    if (n <= 0) die("the server closed the connection");
    s->in_n += (size_t)n;
    s->in[s->in_n] = '\0';
    end = strstr(s->in, "\r\n\r\n");
    length = strcasestr(s->in, "\r\ncontent-length:");
    if (!end || (length && s->in_n < (size_t)(end + 4 - s->in) + strtoul(length + 17, NULL, 10))) return;
    s->answered = true;
    s->bad += s->in[9] != '2';
}

/* --- both -------------------------------------------------------------------------------------------------- */

static bool turn(struct state *s, int wait_ms)
{
    struct epoll_event events[64];
    int n = epoll_wait(s->epoll, events, 64, wait_ms);
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == &s->listen_fd)
            welcome(s);
        else if (events[i].data.ptr == &s->client_fd)
            take_answer(s);
        else
            hear(s, events[i].data.ptr);
    }
    return n > 0;
}

/* Receives on while it waits: what comes late must not count for the next one. */
static void pause_between(struct state *s)
{
    double until = now_s() + (double)s->o.gap_us * (1 + (double)(s->next_id * 2654435761u % 1000) / 1000) / 1e6;
    for (double left; (left = until - now_s()) > 0;) {
        if (left > 0.001)
            turn(s, (int)(left * 1000));
        else
            usleep((useconds_t)(left * 1e6));
    }
    while (turn(s, 0)) { }
}

static void measure(struct state *s)
{
    aim(s);
    dial(s);
    while (s->samples < s->o.count) {
        post(s);
        while (!s->answered || !s->notified)
            if (!turn(s, PATIENCE_MS)) {
                fprintf(stderr, "probe: event %zu: %s within %d ms\n", s->samples, s->answered ? "no notification" : "no answer",
                        PATIENCE_MS);
                exit(1);
            }
        s->ms[s->samples++] = (s->notified_s - s->sent_s) * 1000;
        pause_between(s);
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct state *s, double p)
{
    return s->samples ? s->ms[(size_t)((double)(s->samples - 1) * p)] : 0;
}

static void read_options(int argc, char **argv, struct options *o)
{
    FILE *f;
    int c;
    while ((c = getopt(argc, argv, "l:n:g:T:t:")) != -1) {
        switch (c) {
        case 'l': o->listen = (int)strtol(optarg, NULL, 10); break;
        case 'n': o->count = strtoul(optarg, NULL, 10); break;
        case 'g': o->gap_us = (int)strtol(optarg, NULL, 10); break;
        case 't': o->type = optarg; break;
        case 'T':
            f = fopen(optarg, "re");
            if (!f) die(optarg);
            o->body_n = fread(o->body, 1, BODY_MAX, f);
            fclose(f);
            break;
        default: exit(2);
        }
    }
    if (o->listen == 0 || o->count > SAMPLES_MAX || (o->count > 0) != (optind + 1 == argc)) {
        fprintf(stderr, "usage: probe -l PORT [-n COUNT [-g GAP_US] -T FILE [-t TYPE] http://HOST:PORT/PATH]\n");
        exit(2);
    }
    o->url = argv[optind];
}

int main(int argc, char **argv)
{
    static struct state s = { .o = { .type = "application/json", .gap_us = 1000 }, .client_fd = -1 };
    read_options(argc, argv, &s.o);
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    s.ms = malloc(SAMPLES_MAX * sizeof *s.ms);
    s.next_id = (uint64_t)time(NULL) << 24;
    if (s.epoll < 0 || !s.ms) die("start");
    open_receiver(&s);
    if (s.o.count == 0)
        for (;;) turn(&s, -1);
    measure(&s);
    qsort(s.ms, s.samples, sizeof *s.ms, by_size);
    printf("{\"samples\":%zu,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"bad\":%" PRIu64 "}\n", s.samples,
           percentile(&s, 0.5), percentile(&s, 0.9), percentile(&s, 0.99), percentile(&s, 1), s.bad);
    return s.bad ? 1 : 0;
}
