#include "deliver/wire.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"

enum {
    HEADERS_MOST = 64, HEADER_BYTES_MOST = 65536, /* more of them are not kept; more bytes end the answer */
    CONNECT_MS = 5000, TIMEOUT_MS = 15000, IDLE_CONNECTIONS = 256
};

struct wire {
    CURLM *multi;
    struct deliver_core *core;
    bool answered; /* in this run */
};
struct line { /* what an exchange has of curl; its settings are made once */
    CURL *easy;
    struct curl_slist *headers; /* in the exchange's arena */
    struct notify_header in[HEADERS_MOST];
    size_t in_count, in_bytes;
    bool headers_done;
    struct strbuf body;
};

/* --- what comes in ------------------------------------------------------------------------------------- */
static void keep_header(struct exchange *x, struct str s, size_t colon)
{
    struct line *l = x->line;
    struct notify_header *h = &l->in[l->in_count++];
    h->name = str_dup(&x->arena, str_trim(str_sub(s, 0, colon)));
    h->value = str_dup(&x->arena, str_trim(str_sub(s, colon + 1, s.n)));
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    struct line *l = x->line;
    struct str s = { p, n * size };
    size_t colon = str_find(s, ':', 0);
    if (l->in_bytes == 0) failpoint("deliver.sent"); /* it is out, and nobody here knows the answer */
    l->in_bytes += s.n;
    if (l->in_bytes > HEADER_BYTES_MOST) return 0;
    if (str_starts(s, STR("HTTP/"))) { /* 100 Continue and its like come before the answer */
        l->in_count = 0;
        l->headers_done = false;
    } else if (str_trim(s).n == 0) {
        l->headers_done = true;
    } else if (!l->headers_done && colon < s.n && l->in_count < HEADERS_MOST) { /* trailers come after it */
        keep_header(x, s, colon);
    }
    return s.n;
}

/* Over the bound the answer is what was read so far; a short count makes curl close the connection. */
static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct line *l = ((struct exchange *)ctx)->line;
    size_t got = n * size, room = ANSWER_MOST - l->body.n;
    strbuf_add(&l->body, p, got < room ? got : room);
    return got <= room ? got : 0;
}

/* --- settings ------------------------------------------------------------------------------------------ */
#define SET(option, value) curl_easy_setopt(l->easy, option, value)

static void set_tls(struct line *l, const struct notify_destination *d)
{
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, d->tls_insecure ? 0L : 1L);
    SET(CURLOPT_SSL_VERIFYHOST, d->tls_insecure ? 0L : 2L);
    if (d->tls_ca.n) SET(CURLOPT_CAINFO, d->tls_ca.p);
}

static void set_proxy(struct line *l, const struct notify_destination *d)
{
    SET(CURLOPT_PROXY, d->proxy.n ? d->proxy.p : ""); /* "": not even the environment's */
    SET(CURLOPT_NOPROXY, "");
}

/* Texts of a configuration end in NUL. */
static struct line *line_new(struct exchange *x)
{
    const struct notify_destination *d = x->dest;
    long timeout = (long)(d->timeout_ms > 0 ? d->timeout_ms : TIMEOUT_MS);
    struct line *l = xcalloc(1, sizeof *l);
    strbuf_init(&l->body, ANSWER_MOST);
    l->easy = curl_easy_init();
    if (!l->easy) abort(); /* out of memory */
    SET(CURLOPT_PRIVATE, x);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, x);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, x);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* a name server that hangs must not hold up everybody at the timeout */
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_USERAGENT, "runbell/" RUNBELL_VERSION);
    SET(CURLOPT_TIMEOUT_MS, timeout);
    SET(CURLOPT_CONNECTTIMEOUT_MS, timeout < CONNECT_MS ? timeout : (long)CONNECT_MS);
    set_tls(l, d);
    set_proxy(l, d);
    return l;
}

static struct curl_slist *header_node(struct exchange *x, struct str text, struct curl_slist *next)
{
    struct curl_slist *node = ARENA_NEW(&x->arena, struct curl_slist);
    node->data = (char *)text.p; /* ends in NUL: made by str_printf, or a literal */
    node->next = next;
    return node;
}

static void set_headers(struct exchange *x, struct line *l)
{
    struct str text;
    bool typed = false;
    l->headers = header_node(x, STR("Expect:"), NULL); /* no waiting for 100 Continue */
    for (size_t i = x->request.header_count; i-- > 0;) {
        const struct notify_header *h = &x->request.headers[i];
        typed |= str_ieq(h->name, STR("Content-Type"));
        text = str_printf(&x->arena, STR_FMT ": " STR_FMT, STR_ARG(h->name), STR_ARG(h->value));
        l->headers = header_node(x, text, l->headers);
    }
    if (!typed) l->headers = header_node(x, STR("Content-Type:"), l->headers); /* not curl's guess, a form */
    SET(CURLOPT_HTTPHEADER, l->headers);
}

static void set_request(struct exchange *x, struct line *l)
{
    const struct notify_request *r = &x->request;
    bool post = str_eq_c(r->method, "POST"), body = post || r->body.n > 0;
    if (body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
        SET(CURLOPT_POSTFIELDS, r->body.n ? r->body.p : "");
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, post || str_eq_c(r->method, "GET") ? NULL : str_dup_c(&x->arena, r->method));
    SET(CURLOPT_URL, str_dup_c(&x->arena, r->url));
    set_headers(x, l);
}

static void send_it(void *ctx, struct exchange *x)
{
    struct wire *w = ctx;
    struct line *l = x->line;
    if (!l) x->line = l = line_new(x);
    l->in_count = l->in_bytes = 0;
    l->headers_done = false;
    strbuf_clear(&l->body);
    set_request(x, l);
    if (curl_multi_add_handle(w->multi, l->easy) != CURLM_OK) abort(); /* out of memory, or our mistake */
}

static void forget(void *ctx, struct exchange *x)
{
    struct wire *w = ctx;
    struct line *l = x->line;
    if (!l) return;
    if (x->flying) curl_multi_remove_handle(w->multi, l->easy);
    curl_easy_cleanup(l->easy);
    strbuf_fini(&l->body);
    free(l);
    x->line = NULL;
}

/* --- answers ------------------------------------------------------------------------------------------- */
/* Our own words: curl's may quote the URL. */
static struct str error_text(struct exchange *x, CURLcode code, bool sent)
{
    struct line *l = x->line;
    long os = 0;
    char buf[96];
    if (code == CURLE_OPERATION_TIMEDOUT)
        return sent ? STR("no answer within the timeout") : STR("no connection within the timeout");
    if (code == CURLE_COULDNT_RESOLVE_HOST) return STR("the host's name could not be resolved");
    if (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR)
        return STR("the connection was closed without an answer");
    if (code == CURLE_UNSUPPORTED_PROTOCOL && sent) return STR("the answer is not HTTP");
    curl_easy_getinfo(l->easy, CURLINFO_OS_ERRNO, &os);
    if (code == CURLE_COULDNT_CONNECT && os == ECONNREFUSED) return STR("connection refused");
    if (code == CURLE_COULDNT_CONNECT && os)
        return str_printf(&x->arena, "could not connect: %s", strerror_r((int)os, buf, sizeof buf));
    return str_printf(&x->arena, "%s", curl_easy_strerror(code));
}

/* Why the other side's certificate, or ours to check it with, will not do; STR_NONE: it is not that. */
static struct str certificate_text(CURLcode code)
{
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR)
        return STR("the certificate is not trusted, or is for another name");
    if (code == CURLE_SSL_CACERT_BADFILE)
        return STR("the file with the certificate authorities cannot be read");
    return code == CURLE_SSL_CERTPROBLEM ? STR("there is something wrong with the certificate") : STR_NONE;
}

/* Did the request go out whole? When in doubt it did: uncertain is the careful answer. */
static bool went_out(struct exchange *x)
{
    struct line *l = x->line;
    curl_off_t uploaded = 0;
    long bytes = 0;
    curl_easy_getinfo(l->easy, CURLINFO_REQUEST_SIZE, &bytes);
    curl_easy_getinfo(l->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    return bytes > 0 && (x->request.body.n == 0 || uploaded >= (curl_off_t)x->request.body.n);
}

/* An answer whose head is whole counts by what was read of it, however its body ended. */
static void hand_over(struct wire *w, struct exchange *x, CURLcode code)
{
    struct line *l = x->line;
    struct notify_response res = { .sent = went_out(x) };
    long status = 0;
    curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &status);
    if (l->headers_done && status >= 200) {
        res.status = (int)status;
        res.headers = l->in;
        res.header_count = l->in_count;
        res.body = strbuf_view(&l->body);
    } else {
        res.transport_error = certificate_text(code);
        res.tls_failed = !str_absent(res.transport_error);
        if (code == CURLE_OK) code = CURLE_GOT_NOTHING;
        if (!res.tls_failed) res.transport_error = error_text(x, code, res.sent);
    }
    curl_multi_remove_handle(w->multi, l->easy);
    w->answered = true;
    core_answered(w->core, x, &res);
}

bool wire_run(struct wire *w)
{
    CURLMsg *msg;
    int left;
    w->answered = false;
    curl_multi_perform(w->multi, &left);
    while ((msg = curl_multi_info_read(w->multi, &left))) {
        char *x = NULL;
        if (msg->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &x);
        hand_over(w, (struct exchange *)(void *)x, msg->data.result);
    }
    return w->answered;
}

void wire_wait(struct wire *w, int64_t wait_ms)
{
    curl_multi_poll(w->multi, NULL, 0, wait_ms < 0 ? 0 : wait_ms > 60000 ? 60000 : (int)wait_ms, NULL);
}

void wire_wake(struct wire *w)
{
    curl_multi_wakeup(w->multi);
}

/* --- beginning and end --------------------------------------------------------------------------------- */
static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct wire *wire_new(struct deliver_core *core, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct wire *w = xcalloc(1, sizeof *w);
    pthread_once(&once, start_curl);
    w->core = core;
    w->multi = curl_multi_init();
    if (!w->multi) {
        free(w);
        err_set(err, ERR_IO, "libcurl could not start");
        return NULL;
    }
    curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
    return w;
}

void wire_free(struct wire **wire)
{
    struct wire *w = *wire;
    *wire = NULL;
    if (!w) return;
    curl_multi_cleanup(w->multi);
    free(w);
}

struct deliver_transport wire_transport(struct wire *w)
{
    return (struct deliver_transport){ send_it, forget, w };
}
