#include "cli/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

enum { ANSWER_CEILING = 64 << 20, TIMEOUT_S = 30 };

static size_t keep_answer(char *p, size_t size, size_t n, void *ctx)
{
    struct strbuf *b = ctx;
    strbuf_add(b, p, size * n);
    return strbuf_ok(b) ? size * n : 0;
}

static size_t drop_answer(char *p, size_t size, size_t n, void *ctx)
{
    (void)p;
    (void)ctx;
    return size * n;
}

/* "127.0.0.1:8484", "0.0.0.0:8484", "[::]:8484", "unix:PATH" -> how to reach it from here. */
static void base_from_listen(struct client *c, struct str listen, bool tls, struct str dir)
{
    const char *scheme = tls ? "https" : "http";
    if (str_starts(listen, STR("unix:"))) {
        struct str path = str_sub(listen, 5, listen.n);
        c->unix_path = path.n && path.p[0] == '/' ? str_dup(&c->arena, path)
                                                  : str_printf(&c->arena, STR_FMT "/" STR_FMT, STR_ARG(dir), STR_ARG(path));
        c->base = STR("http://localhost");
        return;
    }
    if (str_starts(listen, STR("0.0.0.0:")))
        c->base = str_printf(&c->arena, "%s://127.0.0.1:" STR_FMT, scheme, STR_ARG(str_sub(listen, 8, listen.n)));
    else if (str_starts(listen, STR("[::]:")))
        c->base = str_printf(&c->arena, "%s://[::1]:" STR_FMT, scheme, STR_ARG(str_sub(listen, 5, listen.n)));
    else
        c->base = str_printf(&c->arena, "%s://" STR_FMT, scheme, STR_ARG(listen));
}

int client_open(struct client *c, const char *url, const char *config, struct err *err)
{
    const char *env_url = getenv("RUNBELL_URL"), *env_token = getenv("RUNBELL_TOKEN");
    struct config *cfg = NULL;
    int status;
    *c = (struct client){ .base = STR_NONE, .token = str_c(env_token) };
    if (!url && env_url && env_url[0]) url = env_url;
    if (url) {
        c->base = str_dup(&c->arena, str_c(url));
        while (c->base.n && c->base.p[c->base.n - 1] == '/') c->base.n--;
        return 0;
    }
    cfg = config_or_explain(config_path(config), true, false, &status);
    if (!cfg) return err_set(err, ERR_NOT_FOUND, "no configuration to learn the server's address from; name one with -c, or the server with --url");
    base_from_listen(c, cfg->server.listen, cfg->server.tls_cert.n > 0, cfg->dir);
    if (cfg->server.tls_cert.n) c->certificate = str_dup(&c->arena, cfg->server.tls_cert);
    if (!c->token.n) c->token = str_dup(&c->arena, secret_reveal(&cfg->server.token));
    config_unref(&cfg);
    return 0;
}

void client_close(struct client *c)
{
    arena_fini(&c->arena);
}

static struct curl_slist *headers(struct client *c)
{
    struct curl_slist *h = curl_slist_append(NULL, "Content-Type: application/json");
    if (c->token.n) h = curl_slist_append(h, str_printf(&c->arena, "Authorization: Bearer " STR_FMT, STR_ARG(c->token)).p);
    return h;
}

static CURL *easy(struct client *c, const char *method, const char *path, struct str body, struct curl_slist *h, struct strbuf *answer)
{
    CURL *e = curl_easy_init();
    if (!e) abort();
    curl_easy_setopt(e, CURLOPT_URL, str_printf(&c->arena, STR_FMT "%s", STR_ARG(c->base), path).p);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, h);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, keep_answer);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, answer);
    if (c->certificate.n) { /* it is for the server's public name, and this is the address it listens on */
        curl_easy_setopt(e, CURLOPT_CAINFO, c->certificate.p);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (c->unix_path.n) curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, c->unix_path.p);
    if (!str_absent(body)) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)body.n);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, body.p);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
    return e;
}

int client_request(struct client *c, const char *method, const char *path, struct str body, int *status, struct json *answer,
                   struct err *err)
{
    struct strbuf text;
    struct curl_slist *h = headers(c);
    struct err parse_err;
    long code = 0;
    CURLcode rc;
    CURL *e;
    strbuf_init(&text, ANSWER_CEILING);
    e = easy(c, method, path, body, h, &text);
    rc = curl_easy_perform(e);
    curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &code);
    *status = (int)code;
    *answer = (struct json){ 0 };
    if (rc == CURLE_OK && text.n &&
        json_parse(&c->arena, str_dup(&c->arena, strbuf_view(&text)), &(struct json_limits){ ANSWER_CEILING, 8 << 20, 64 }, answer, NULL, &parse_err) < 0)
        *answer = (struct json){ 0 };
    curl_easy_cleanup(e);
    curl_slist_free_all(h);
    strbuf_fini(&text);
    if (rc != CURLE_OK) return err_set(err, ERR_IO, "cannot reach runbell at " STR_FMT ": %s", STR_ARG(c->base), curl_easy_strerror(rc));
    return 0;
}

int client_ping(const char *url, int64_t timeout_ms)
{
    CURL *e = curl_easy_init();
    long code = 0;
    CURLcode rc;
    if (!e) return -1;
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, drop_answer);
    rc = curl_easy_perform(e);
    curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_cleanup(e);
    return rc == CURLE_OK ? (int)code : -1;
}

struct str client_encode(struct arena *a, struct str s)
{
    struct strbuf b;
    struct str out;
    strbuf_init(&b, 65536);
    for (size_t k = 0; k < s.n; k++) {
        unsigned char ch = (unsigned char)s.p[k];
        if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_' || ch == '.')
            strbuf_char(&b, (char)ch);
        else
            strbuf_printf(&b, "%%%02X", ch);
    }
    out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}
