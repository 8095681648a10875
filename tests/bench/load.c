/* load: keep-alive connections in lock step, each sending its next POST when the last was answered.
 *
 *   load [-c 64] [-n COUNT | -d SECONDS] [-T FILE | -B TEXT] [-t TYPE] [-b TOKEN] [-m METHOD] [-r] [-s SEED]
 * [-j] http://HOST:PORT/PATH
 *
 * Every @ID@ in the body becomes a fresh 16-digit id: rising (the default), or scattered with -r. @NOW@
 * becomes the time in RFC 3339. Reports requests per second, latency percentiles and answers that were not
 * 2xx. One thread, so that it disturbs what it measures no more than it must. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 65536, LATENCIES_MAX = 1 << 22, MARKS_MAX = 4096, ID_DIGITS = 16, NOW_CHARS = 24 };

struct options {
    size_t connections;
    uint64_t count, seed;
    double seconds;
    const char *type, *token, *method, *url;
    bool scattered, json;
    char *body;
    size_t body_n;
};
struct mark { size_t at; bool is_time; };
struct shape { /* one request, with places to fill in */
    char *text;
    size_t n;
    struct mark marks[MARKS_MAX];
    size_t mark_count;
};
struct client {
    int fd;
    char *out;
    size_t sent;
    char in[ANSWER_MAX];
    size_t got, want; /* want 0 = head not complete */
    double since;
    bool busy;
};
struct tally {
    uint64_t sent, answered, bad, broken, next_id;
    int first_bad;
    float *latency_ms;
    size_t latencies;
};

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %m\n", what);
    exit(2);
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* --- the request ----------------------------------------------------------------------------------- */

static void put(struct shape *s, const char *p, size_t n)
{
    s->text = realloc(s->text, s->n + n + 1);
    if (!s->text) die("memory");
    memcpy(s->text + s->n, p, n);
    s->n += n;
}

static void put_mark(struct shape *s, bool is_time)
{
    static const char blanks[] = "000000000000000000000000";
    if (s->mark_count == MARKS_MAX) die("too many marks");
    s->marks[s->mark_count++] = (struct mark){ s->n, is_time };
    put(s, blanks, is_time ? NOW_CHARS : ID_DIGITS);
}

static void put_body(struct shape *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (n - i >= 4 && memcmp(p + i, "@ID@", 4) == 0) {
            put_mark(s, false);
            i += 4;
        } else if (n - i >= 5 && memcmp(p + i, "@NOW@", 5) == 0) {
            put_mark(s, true);
            i += 5;
        } else {
            put(s, p + i++, 1);
        }
    }
}

static void shape_make(struct shape *s, const struct options *o, const char *host, const char *path)
{
    struct shape body = { 0 };
    char head[2048];
    int n;
    put_body(&body, o->body, o->body_n);
    n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s%s%s%s%sContent-Length: %zu\r\n\r\n",
                 o->method, path, host, o->token ? "Authorization: Bearer " : "", o->token ? o->token : "",
                 o->token ? "\r\n" : "", o->body_n ? "Content-Type: " : "", o->body_n ? o->type : "",
                 o->body_n ? "\r\n" : "", body.n);
    if (n < 0 || (size_t)n >= sizeof head) die("URL or token too long");
    put(s, head, (size_t)n);
    for (size_t i = 0; i < body.mark_count; i++)
        s->marks[s->mark_count++] = (struct mark){ body.marks[i].at + s->n, body.marks[i].is_time };
    put(s, body.text ? body.text : "", body.n);
    free(body.text);
}

static void fill(const struct shape *s, const struct options *o, struct tally *t, char *out)
{
    static const char digits[] = "0123456789abcdef";
    char when[NOW_CHARS + 16];
    struct timespec ts;
    struct tm tm;
    for (size_t i = 0; i < s->mark_count; i++) {
        if (s->marks[i].is_time) {
            clock_gettime(CLOCK_REALTIME, &ts);
            gmtime_r(&ts.tv_sec, &tm);
            strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
            snprintf(when + 19, sizeof when - 19, ".%03dZ", (int)(ts.tv_nsec / 1000000 % 1000));
            memcpy(out + s->marks[i].at, when, NOW_CHARS);
        } else {
            uint64_t id = t->next_id++;
            if (o->scattered) id = mix(id);
            for (size_t k = ID_DIGITS; k-- > 0; id >>= 4) out[s->marks[i].at + k] = digits[id & 15];
        }
    }
}

/* --- clients --------------------------------------------------------------------------------------- */

static int dial(const struct addrinfo *ai)
{
    int one = 1, fd = socket(ai->ai_family, SOCK_STREAM, 0);
    if (fd < 0) die("socket");
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) die("fcntl");
    return fd;
}

static bool push(struct client *c, const struct shape *s)
{
    while (c->sent < s->n) {
        ssize_t n = send(c->fd, c->out + c->sent, s->n - c->sent, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN;
        c->sent += (size_t)n;
    }
    return true;
}

static bool start(struct client *c, const struct shape *s, const struct options *o, struct tally *t)
{
    fill(s, o, t, c->out);
    c->sent = c->got = c->want = 0;
    c->since = now_s();
    c->busy = true;
    t->sent++;
    return push(c, s);
}

/* Bytes of the whole answer once its head is there; 0 before. -1: no length. */
static long answer_size(struct client *c)
{
    char *end, *at;
    c->in[c->got] = '\0';
    end = strstr(c->in, "\r\n\r\n");
    if (!end) return 0;
    at = strcasestr(c->in, "\r\ncontent-length:");
    if (at && at < end) return end + 4 - c->in + strtol(at + 17, NULL, 10);
    return strtol(c->in + 9, NULL, 10) == 204 ? end + 4 - c->in : -1;
}

/* 1 an answer is complete, 0 not yet, -1 the connection is of no use. */
static int pull(struct client *c)
{
    for (;;) {
        ssize_t n = recv(c->fd, c->in + c->got, ANSWER_MAX - 1 - c->got, 0);
        if (n == 0) return -1;
        if (n < 0) return errno == EAGAIN ? 0 : -1;
        c->got += (size_t)n;
        if (!c->want) {
            long size = answer_size(c);
            if (size < 0 || size >= ANSWER_MAX) return -1;
            c->want = (size_t)size;
        }
        if (c->want && c->got >= c->want) return 1;
    }
}

static void count_answer(struct client *c, struct tally *t)
{
    int status = (int)strtol(c->in + 9, NULL, 10);
    t->answered++;
    if (status < 200 || status > 299) {
        if (!t->bad++) t->first_bad = status;
    }
    if (t->latencies < LATENCIES_MAX) t->latency_ms[t->latencies++] = (float)((now_s() - c->since) * 1000);
    c->busy = false;
}

/* --- the run --------------------------------------------------------------------------------------- */

struct run {
    const struct options *o;
    const struct shape *shape;
    struct tally *tally;
    const struct addrinfo *ai;
    int epoll;
    double until;
};

static void join_epoll(struct run *r, struct client *c)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c };
    if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0) die("epoll");
}

static bool more(const struct run *r)
{
    return r->o->count ? r->tally->sent < r->o->count : now_s() < r->until;
}

static void replace(struct run *r, struct client *c)
{
    if (c->busy) r->tally->broken++;
    close(c->fd);
    c->busy = false;
    c->fd = dial(r->ai);
    join_epoll(r, c);
}

static void serve(struct run *r, struct client *c, size_t *busy)
{
    int got;
    if (!push(c, r->shape)) {
        replace(r, c);
        --*busy;
    } else if (c->busy && (got = pull(c)) != 0) {
        --*busy;
        if (got > 0)
            count_answer(c, r->tally);
        else
            replace(r, c);
    }
    if (!c->busy && more(r)) {
        if (!start(c, r->shape, r->o, r->tally)) {
            replace(r, c);
            return;
        }
        ++*busy;
    }
}

static double run_all(struct run *r)
{
    struct client *clients = calloc(r->o->connections, sizeof *clients);
    struct epoll_event events[512];
    double from;
    size_t busy = 0;
    if (!clients) die("memory");
    for (size_t i = 0; i < r->o->connections; i++) {
        clients[i].out = malloc(r->shape->n);
        if (!clients[i].out) die("memory");
        memcpy(clients[i].out, r->shape->text, r->shape->n);
        clients[i].sent = r->shape->n;
        clients[i].fd = dial(r->ai);
        join_epoll(r, &clients[i]);
    }
    from = now_s();
    r->until = from + r->o->seconds;
    for (size_t i = 0; i < r->o->connections && more(r); i++)
        if (start(&clients[i], r->shape, r->o, r->tally)) busy++;
    while (busy) {
        int n = epoll_wait(r->epoll, events, 512, 10000);
        if (n == 0) {
            fprintf(stderr, "load: %zu clients had no answer for 10 s\n", busy);
            r->tally->broken += busy;
            break;
        }
        for (int i = 0; i < n; i++) serve(r, events[i].data.ptr, &busy);
    }
    from = now_s() - from;
    for (size_t i = 0; i < r->o->connections; i++) {
        close(clients[i].fd);
        free(clients[i].out);
    }
    free(clients);
    return from;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct tally *t, double p)
{
    return t->latencies ? (double)t->latency_ms[(size_t)((double)(t->latencies - 1) * p)] : 0;
}

static void report(const struct options *o, struct tally *t, double took)
{
    double rate = took > 0 ? (double)t->answered / took : 0;
    qsort(t->latency_ms, t->latencies, sizeof *t->latency_ms, by_size);
    if (o->json)
        printf("{\"connections\":%zu,\"answered\":%" PRIu64 ",\"seconds\":%.3f,\"rate\":%.1f,\"p50_ms\":%.3f,"
               "\"p99_ms\":%.3f,\"max_ms\":%.3f,\"bad\":%" PRIu64 ",\"first_bad\":%d,\"broken\":%" PRIu64
               "}\n",
               o->connections, t->answered, took, rate, percentile(t, 0.5), percentile(t, 0.99),
               percentile(t, 1), t->bad, t->first_bad, t->broken);
    else
        printf("%zu connections, %" PRIu64
               " answers in %.2f s: %.0f/s, p50 %.2f ms, p99 %.2f ms, max %.2f ms, "
               "%" PRIu64 " not 2xx%s%.0d, %" PRIu64 " broken\n",
               o->connections, t->answered, took, rate, percentile(t, 0.5), percentile(t, 0.99),
               percentile(t, 1), t->bad, t->bad ? " first " : "", t->first_bad, t->broken);
}

/* --- the command line ------------------------------------------------------------------------------ */

static void read_body(struct options *o, const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) die(path);
    o->body = malloc(1 << 24);
    if (!o->body) die("memory");
    o->body_n = fread(o->body, 1, 1 << 24, f);
    fclose(f);
}

static void read_options(int argc, char **argv, struct options *o)
{
    int c;
    while ((c = getopt(argc, argv, "c:n:d:T:B:t:b:m:rs:j")) != -1) {
        switch (c) {
        case 'c': o->connections = strtoul(optarg, NULL, 10); break;
        case 'n': o->count = strtoull(optarg, NULL, 10); break;
        case 'd': o->seconds = strtod(optarg, NULL); break;
        case 'T': read_body(o, optarg); break;
        case 'B': o->body = optarg; o->body_n = strlen(optarg); break;
        case 't': o->type = optarg; break;
        case 'b': o->token = optarg; break;
        case 'm': o->method = optarg; break;
        case 'r': o->scattered = true; break;
        case 's': o->seed = strtoull(optarg, NULL, 10); break;
        case 'j': o->json = true; break;
        default: exit(2);
        }
    }
    if (optind + 1 != argc || strncmp(argv[optind], "http://", 7) != 0) {
        fprintf(
            stderr,
            "usage: load [-c N] [-n COUNT | -d SECONDS] [-T FILE | -B TEXT] [-t TYPE] [-b TOKEN] [-m METHOD] "
            "[-r] [-s SEED] [-j] http://HOST:PORT/PATH\n");
        exit(2);
    }
    o->url = argv[optind];
}

static struct addrinfo *resolve(const char *authority)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai = NULL;
    char host[300];
    char *colon;
    snprintf(host, sizeof host, "%s", authority);
    colon = strrchr(host, ':');
    if (colon) *colon++ = '\0';
    if (getaddrinfo(host, colon ? colon : "80", &hints, &ai) != 0) die(authority);
    return ai;
}

int main(int argc, char **argv)
{
    struct options o = {
        .connections = 64, .seconds = 5, .type = "application/json", .method = "POST", .body = ""
    };
    struct tally t = { 0 };
    struct shape s = { 0 };
    struct run r = { &o, &s, &t, NULL, -1, 0 };
    struct rlimit files;
    char authority[300];
    const char *path;
    double took;
    read_options(argc, argv, &o);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    path = strchr(o.url + 7, '/');
    snprintf(authority, sizeof authority, "%.*s", (int)(path ? path - o.url - 7 : 299), o.url + 7);
    shape_make(&s, &o, authority, path ? path : "/");
    r.ai = resolve(authority);
    r.epoll = epoll_create1(EPOLL_CLOEXEC);
    /* Two runs never share ids, and ids rise. */
    t.next_id = (uint64_t)time(NULL) << 24 | (o.seed & 0xff) << 16;
    t.latency_ms = malloc(LATENCIES_MAX * sizeof *t.latency_ms);
    if (!t.latency_ms || r.epoll < 0) die("start");
    took = run_all(&r);
    report(&o, &t, took);
    free(t.latency_ms);
    free(s.text);
    return t.bad || t.broken ? 1 : 0;
}
