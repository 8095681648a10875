/* Headers, read in one pass, and who may ask. */
#include "base/digest.h"
#include "http/internal.h"

static enum MHD_Result take_header(void *ctx, enum MHD_ValueKind kind, const char *key, size_t key_n,
                                   const char *value, size_t value_n)
{
    struct http_headers *out = ctx;
    struct str name = { key, key_n }, text = { value, value_n };
    (void)kind;
    for (size_t i = 0; i < key_n; i++) out->blank_in_name |= key[i] == ' ' || key[i] == '\t';
    if (str_ieq(name, STR("Authorization"))) {
        out->authorization = text;
    } else if (str_ieq(name, STR(TRIGGER_SIGNATURE_HEADER))) {
        out->signature = text;
    } else if (str_ieq(name, STR("Content-Type"))) {
        out->content_type = text;
    } else if (str_ieq(name, STR("Content-Length"))) {
        out->lengths++;
        if (!str_to_i64(text, &out->length) || out->length < 0) out->length = -1;
    } else if (str_ieq(name, STR("Transfer-Encoding"))) {
        out->transfer_encodings++;
        out->chunked = str_ieq(text, STR("chunked"));
    } else if (str_ieq(name, STR("Content-Encoding"))) {
        out->content_encoding = text;
    } else if (str_ieq(name, STR("Host"))) {
        out->host = text;
    } else if (str_ieq(name, STR("Origin"))) {
        out->origin = text;
    }
    return MHD_YES;
}

void http_headers_read(struct MHD_Connection *mhd, struct http_headers *out)
{
    *out = (struct http_headers){ .length = -1 };
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, take_header, out);
}

/* What two servers in a row could read differently is refused, and the connection closed. */
bool http_headers_sound(struct http_request *r)
{
    const struct http_headers *hd = &r->headers;
    const char *wrong = NULL;
    if (hd->blank_in_name)
        wrong = "a header name with a blank";
    else if (hd->lengths && hd->transfer_encodings)
        wrong = "both Content-Length and Transfer-Encoding";
    else if (hd->lengths > 1 || hd->transfer_encodings > 1)
        wrong = "a length given more than once";
    else if (hd->lengths && hd->length < 0)
        wrong = "Content-Length is no number";
    else if (hd->transfer_encodings && !hd->chunked)
        wrong = "a Transfer-Encoding other than chunked";
    if (wrong) http_problem(r, MHD_HTTP_BAD_REQUEST, "%s", wrong);
    return !wrong;
}

/* Same content, in time that depends on the length only. */
static bool same_bytes(const char *a, const char *b, size_t n)
{
    unsigned char differ = 0;
    for (size_t i = 0; i < n; i++) differ |= (unsigned char)(a[i] ^ b[i]);
    return differ == 0;
}

static bool cached(const struct http_request *r, const struct secret *secret, struct str given)
{
    const struct http_conn *c = r->conn;
    return c->auth_secret == secret && c->auth_generation == r->http->generation && c->auth_n == given.n &&
           same_bytes(c->auth, given.p, given.n);
}

static void cache(struct http_request *r, const struct secret *secret, struct str given)
{
    struct http_conn *c = r->conn;
    if (given.n == 0 || given.n > sizeof c->auth) return;
    memcpy(c->auth, given.p, given.n);
    c->auth_n = given.n;
    c->auth_secret = secret;
    c->auth_generation = r->http->generation;
}

static bool bearer_right(struct http_request *r, const struct secret *secret)
{
    struct str given = r->headers.authorization;
    if (cached(r, secret, given)) return true;
    if (!str_ieq(str_sub(given, 0, 7), STR("Bearer "))) return false;
    if (!digest_equal_secret(secret_reveal(secret), str_trim(str_sub(given, 7, given.n)))) return false;
    cache(r, secret, given);
    return true;
}

static bool unauthorized(struct http_request *r, const char *whose)
{
    atomic_fetch_add(&r->http->counters.unauthorized, 1);
    http_problem(r, MHD_HTTP_UNAUTHORIZED, "%s wants its token: Authorization: Bearer TOKEN", whose);
    return false;
}

static bool unsigned_body(struct http_request *r, const char *what)
{
    atomic_fetch_add(&r->http->counters.unauthorized, 1);
    http_problem(r, MHD_HTTP_UNAUTHORIZED,
                 "%s: this source takes alerts that Trigger.dev signed with the channel's secret (" TRIGGER_SIGNATURE_HEADER
                 ": 64 hex digits in lower case); run objects go to a source of type webhook", what);
    return false;
}

/* "host:port" -> "host"; "[::1]:80" -> "[::1]". */
static struct str host_only(struct str authority)
{
    size_t close = str_find(authority, ']', 0);
    size_t colon = str_find(authority, ':', close < authority.n ? close : 0);
    return str_sub(authority, 0, colon);
}

static struct str url_authority(struct str url)
{
    size_t at = str_find_str(url, STR("://"));
    struct str rest = at < url.n ? str_sub(url, at + 3, url.n) : url;
    return str_sub(rest, 0, str_find(rest, '/', 0));
}

/* All of it: a name like 127.evil.example may lead anywhere. */
static bool is_loopback_address(struct str host)
{
    if (!str_starts(host, STR("127."))) return false;
    for (size_t i = 0; i < host.n; i++)
        if (host.p[i] != '.' && (host.p[i] < '0' || host.p[i] > '9')) return false;
    return true;
}

static bool is_own_host(const struct http_request *r)
{
    struct str host = host_only(r->headers.host);
    if (r->http->port == 0 || host.n == 0) return true; /* a unix socket; HTTP/1.0 */
    return str_ieq(host, STR("localhost")) || is_loopback_address(host) || str_eq(host, STR("[::1]")) ||
           str_ieq(host, host_only(url_authority(r->config->server.public_url)));
}

static bool may_ask(struct http_request *r)
{
    if (is_own_host(r)) return true;
    http_problem(r, MHD_HTTP_FORBIDDEN, "Host " STR_FMT " is not this server's: set server.public_url or %s",
                 STR_ARG(r->headers.host), r->source ? "the source's token" : "server.token");
    return false;
}

static bool may_post(struct http_request *r)
{
    struct str origin = r->headers.origin;
    if (origin.n == 0 || str_ieq(url_authority(origin), r->headers.host)) return true;
    http_problem(r, MHD_HTTP_FORBIDDEN, "a page of another origin may not do this");
    return false;
}

/* Without a token: senders of events are no browsers, and those alone name an origin. */
bool http_auth_source(struct http_request *r)
{
    const struct secret *token = &r->source->token;
    if (r->source->type == SOURCE_TRIGGER_WEBHOOK) {
        if (r->headers.signature.n == 0) return unsigned_body(r, "no signature");
        return trigger_signature_shaped(r->headers.signature) || unsigned_body(r, "no signature of the right form");
    }
    if (secret_present(token)) return bearer_right(r, token) || unauthorized(r, "this source");
    return r->headers.origin.n == 0 || (may_ask(r) && may_post(r));
}

bool http_auth_body(struct http_request *r)
{
    if (r->source->type != SOURCE_TRIGGER_WEBHOOK) return true;
    return trigger_signature_right(r->source, strbuf_view(&r->body), r->headers.signature) || unsigned_body(r, "a wrong signature");
}

/* Without a token the browser of whoever sits here could be made to ask: a page elsewhere must neither reach
 * us under its own name (DNS rebinding) nor post across origins. */
bool http_auth_api(struct http_request *r)
{
    const struct secret *token = &r->config->server.token;
    if (secret_present(token)) return bearer_right(r, token) || unauthorized(r, "the API");
    return may_ask(r) && (strcmp(r->route->method, "GET") == 0 || may_post(r));
}
