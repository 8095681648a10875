#include "source/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"

enum { HEADERS_MOST = 48, CONNECT_MS = 5000, WAIT_MS = 1000 };

struct fetch {
    const struct config_trigger_api *settings;
    CURLM *multi;
    CURL *easy;
    atomic_bool interrupted;
    atomic_uint woken;
    unsigned heard; /* of those wakes; the sleeper's */
};
struct reading { /* of one answer */
    struct arena *a;
    struct fetch_answer *out;
    struct strbuf body;
    size_t most;
};

/* --- what comes in ------------------------------------------------------------------------------------- */
static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct reading *r = ctx;
    struct fetch_answer *out = r->out;
    struct str s = { p, n * size };
    size_t colon = str_find(s, ':', 0);
    if (str_starts(s, STR("HTTP/"))) out->header_count = 0; /* 100 Continue and its like come before the answer */
    else if (colon < s.n && out->header_count < HEADERS_MOST)
        out->headers[out->header_count++] = (struct fetch_header){ str_dup(r->a, str_trim(str_sub(s, 0, colon))),
                                                                  str_dup(r->a, str_trim(str_sub(s, colon + 1, s.n))) };
    return s.n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct reading *r = ctx;
    if (r->body.n + n * size > r->most) {
        r->out->too_large = true;
        return 0;
    }
    strbuf_add(&r->body, p, n * size);
    return n * size;
}

/* --- settings ------------------------------------------------------------------------------------------ */
#define SET(option, value) curl_easy_setopt(f->easy, option, value)

static void set_fixed(struct fetch *f)
{
    const struct config_trigger_api *s = f->settings;
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_USERAGENT, "runbell/" RUNBELL_VERSION);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, s->tls_insecure ? 0L : 1L);
    SET(CURLOPT_SSL_VERIFYHOST, s->tls_insecure ? 0L : 2L);
    if (s->tls_ca.n) SET(CURLOPT_CAINFO, s->tls_ca.p);
    SET(CURLOPT_PROXY, s->proxy.n ? s->proxy.p : ""); /* "": not even the environment's */
    SET(CURLOPT_NOPROXY, "");
}

static struct curl_slist *add_header(struct arena *a, struct curl_slist *next, const char *name, struct str value)
{
    struct curl_slist *node = ARENA_NEW(a, struct curl_slist);
    node->data = (char *)str_printf(a, "%s: " STR_FMT, name, STR_ARG(value)).p;
    node->next = next;
    return node;
}

/* trigger-dev-api.md 2.1: the version header picks the vocabulary, the branch header a preview branch. */
static struct curl_slist *headers_of(struct fetch *f, struct arena *a, const struct fetch_request *r)
{
    const struct config_trigger_api *s = f->settings;
    struct str key = secret_reveal(&s->key);
    struct curl_slist *list = add_header(a, NULL, "x-trigger-api-version", STR("2025-07-16"));
    list = add_header(a, list, "Authorization", str_printf(a, "Bearer " STR_FMT, STR_ARG(key)));
    if (!str_absent(s->branch)) list = add_header(a, list, "x-trigger-branch", s->branch);
    if (!str_absent(r->body)) list = add_header(a, list, "Content-Type", STR("application/json"));
    for (size_t k = 0; k < r->header_count; k++) list = add_header(a, list, str_dup_c(a, r->headers[k].name), r->headers[k].value);
    return list;
}

static void set_request(struct fetch *f, struct arena *a, const struct fetch_request *r, struct reading *reading)
{
    long timeout = (long)r->timeout_ms;
    if (str_absent(r->body)) {
        SET(CURLOPT_HTTPGET, 1L);
    } else {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
        SET(CURLOPT_POSTFIELDS, r->body.p);
    }
    SET(CURLOPT_URL, str_dup_c(a, r->url));
    SET(CURLOPT_HTTPHEADER, headers_of(f, a, r));
    SET(CURLOPT_TIMEOUT_MS, timeout);
    SET(CURLOPT_CONNECTTIMEOUT_MS, timeout < CONNECT_MS ? timeout : (long)CONNECT_MS);
    SET(CURLOPT_HEADERDATA, reading);
    SET(CURLOPT_WRITEDATA, reading);
}

/* --- what came of it ----------------------------------------------------------------------------------- */
/* Our own words: curl's may quote the URL. */
static struct str trouble_of(struct fetch *f, struct arena *a, CURLcode code)
{
    long os = 0;
    char buf[96];
    switch ((int)code) { /* those that people meet */
    case CURLE_OPERATION_TIMEDOUT: return STR("no answer within the timeout");
    case CURLE_COULDNT_RESOLVE_HOST: return STR("the host's name could not be resolved");
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR: return STR("the connection was closed without a whole answer");
    case CURLE_PARTIAL_FILE: return STR("the answer was cut short");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR: return STR("the certificate is not trusted, or is for another name");
    case CURLE_SSL_CACERT_BADFILE: return STR("the file with the certificate authorities cannot be read");
    case CURLE_COULDNT_CONNECT:
        curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &os);
        if (os == ECONNREFUSED) return STR("connection refused");
        return os ? str_printf(a, "could not connect: %s", strerror_r((int)os, buf, sizeof buf)) : STR("could not connect");
    default: return str_printf(a, "%s", curl_easy_strerror(code));
    }
}

static CURLcode result_of(struct fetch *f)
{
    int left;
    CURLMsg *msg = curl_multi_info_read(f->multi, &left);
    return msg ? msg->data.result : CURLE_GOT_NOTHING;
}

/* False: interrupted. */
static bool run(struct fetch *f)
{
    int running = 1;
    while (!atomic_load(&f->interrupted)) {
        curl_multi_perform(f->multi, &running);
        if (!running) return true;
        curl_multi_poll(f->multi, NULL, 0, WAIT_MS, NULL);
    }
    return false;
}

static int64_t date_of(const struct fetch_answer *a)
{
    struct str text = fetch_header(a, "date");
    time_t t = text.n ? curl_getdate(text.p, NULL) : -1;
    return t < 0 ? RUN_TIME_NONE : (int64_t)t * 1000;
}

static void finish(struct fetch *f, struct reading *r, bool done)
{
    struct fetch_answer *out = r->out;
    CURLcode code = done ? result_of(f) : CURLE_ABORTED_BY_CALLBACK;
    long status = 0;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    out->interrupted = !done;
    out->status = code == CURLE_OK || out->too_large ? (int)status : 0;
    out->trouble = code == CURLE_OK ? STR_NONE : trouble_of(f, r->a, code);
    if (out->too_large) out->trouble = STR("the answer is larger than what is read at once");
    if (!done) out->trouble = STR("stopping");
    out->body = str_dup(r->a, strbuf_view(&r->body));
    out->server_ms = date_of(out);
}

void fetch_do(struct fetch *f, struct arena *a, const struct fetch_request *r, struct fetch_answer *out)
{
    struct reading reading = { .a = a, .out = out, .most = r->bytes_most };
    *out = (struct fetch_answer){ .headers = ARENA_ARRAY(a, struct fetch_header, HEADERS_MOST), .trouble = STR_NONE };
    strbuf_init(&reading.body, r->bytes_most);
    set_request(f, a, r, &reading);
    if (curl_multi_add_handle(f->multi, f->easy) != CURLM_OK) abort(); /* out of memory, or our mistake */
    finish(f, &reading, run(f));
    curl_multi_remove_handle(f->multi, f->easy);
    strbuf_fini(&reading.body);
}

struct str fetch_header(const struct fetch_answer *a, const char *name)
{
    for (size_t k = 0; k < a->header_count; k++)
        if (str_ieq(a->headers[k].name, str_c(name))) return a->headers[k].value;
    return STR_NONE;
}

/* --- waiting ------------------------------------------------------------------------------------------- */
bool fetch_sleep(struct fetch *f, int64_t ms)
{
    int64_t until = clock_mono(clock_system()).ms + ms, left;
    while (!atomic_load(&f->interrupted) && atomic_load(&f->woken) == f->heard) {
        left = until - clock_mono(clock_system()).ms;
        if (left <= 0) return true;
        curl_multi_poll(f->multi, NULL, 0, left > WAIT_MS ? WAIT_MS : (int)left, NULL);
    }
    f->heard = atomic_load(&f->woken);
    return !atomic_load(&f->interrupted);
}

void fetch_wake(struct fetch *f)
{
    atomic_fetch_add(&f->woken, 1);
    curl_multi_wakeup(f->multi);
}

void fetch_interrupt(struct fetch *f)
{
    atomic_store(&f->interrupted, true);
    curl_multi_wakeup(f->multi);
}

/* --- beginning and end --------------------------------------------------------------------------------- */
static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct fetch *fetch_new(const struct config_trigger_api *settings, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct fetch *f = xcalloc(1, sizeof *f);
    pthread_once(&once, start_curl);
    f->settings = settings;
    f->multi = curl_multi_init();
    f->easy = curl_easy_init();
    if (f->multi && f->easy) {
        set_fixed(f);
        return f;
    }
    fetch_free(&f);
    err_set(err, ERR_IO, "libcurl could not start");
    return NULL;
}

void fetch_free(struct fetch **fetch)
{
    struct fetch *f = *fetch;
    *fetch = NULL;
    if (!f) return;
    if (f->easy) curl_easy_cleanup(f->easy);
    if (f->multi) curl_multi_cleanup(f->multi);
    free(f);
}
