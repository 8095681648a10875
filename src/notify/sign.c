/* Signers: the last step, over the final bytes, anew at each attempt. */
#include "base/digest.h"
#include "notify/notify_internal.h"

struct signer_fields {
    int scheme, encoding;
    struct str secret, header, prefix, timestamp_header, separator;
};
static const char *const scheme_names[] = { "none", "standard_webhooks", "hmac_header", NULL };
static const char *const encoding_names[] = { "hex", "base64", NULL };
#define AT(member) .offset = offsetof(struct signer_fields, member)
static const struct field signer_field_list[] = {
    { .name = "scheme", .type = FIELD_ENUM, .required = true, AT(scheme), .names = scheme_names,
      .help = "how to sign" },
    { .name = "secret", .type = FIELD_TEXT, .required = true, AT(secret),
      .help = "the parameter that holds the secret" },
    { .name = "header", .type = FIELD_TEXT, AT(header), .help = "hmac_header: where the signature goes" },
    { .name = "prefix", .type = FIELD_TEXT, AT(prefix), .help = "hmac_header: text before it, like sha256=" },
    { .name = "encoding", .type = FIELD_ENUM, AT(encoding), .names = encoding_names,
      .help = "hmac_header: of the sum" },
    { .name = "timestamp_header", .type = FIELD_TEXT, AT(timestamp_header),
      .help = "hmac_header: sent and signed too" },
    { .name = "separator", .type = FIELD_TEXT, AT(separator),
      .help = "hmac_header: between timestamp and body" },
};
static const struct field_table signer_table = { "sign", signer_field_list, 7 };

bool signer_read(struct reader *r, const struct yaml_node *n, struct signer *out)
{
    struct signer_fields f = { .separator = STR(":") };
    if (!fields_decode(&signer_table, r->a, n, r->d, &f, NULL, NULL)) return false;
    if (!provider_param(r->provider, f.secret))
        return yaml_error(r->d, n, "no parameter is named `" STR_FMT "`", STR_ARG(f.secret)), false;
    if (f.scheme == SIGN_HMAC_HEADER && str_absent(f.header))
        return yaml_error(r->d, n, "`header` is missing"), false;
    *out = (struct signer){ .scheme = (enum sign_scheme)f.scheme, .secret = f.secret, .header = f.header,
                            .prefix = f.prefix, .timestamp_header = f.timestamp_header,
                            .separator = f.separator, .base64 = f.encoding == 1 };
    return true;
}

static void sum(struct str key, struct str data, bool base64, struct strbuf *out)
{
    unsigned char mac[DIGEST_SIZE];
    digest_hmac_sha256(key, data, mac);
    if (base64) digest_base64(mac, sizeof mac, out);
    else digest_hex(mac, sizeof mac, out);
}

/* "whsec_" + base64 of the key, padded or not; the same without the prefix. */
static int webhook_key(struct str secret, struct strbuf *key, struct err *err)
{
    struct strbuf text;
    int rc;
    if (str_starts(secret, STR("whsec_"))) secret = str_sub(secret, 6, secret.n - 6);
    strbuf_init(&text, secret.n + 4);
    strbuf_str(&text, secret);
    while (text.n % 4) strbuf_char(&text, '=');
    rc = digest_unbase64(strbuf_view(&text), key);
    strbuf_fini(&text);
    if (rc < 0 || key->n < 24 || key->n > 64)
        return err_set(err, ERR_TYPE,
                       "the signing secret wants whsec_ followed by base64 of 24 to 64 random bytes");
    return 0;
}

/* Several secrets, newest first, while a key is being changed: one signature each. */
static int standard_signature(const struct sign_job *job, struct str signed_text, struct strbuf *out,
                              struct err *err)
{
    struct str rest = job->secret, one;
    while (str_split(&rest, ' ', &one)) {
        struct strbuf key;
        int rc;
        if (one.n == 0) continue;
        strbuf_init(&key, one.n + 4);
        rc = webhook_key(one, &key, err);
        if (rc == 0) {
            strbuf_c(out, out->n ? " v1," : "v1,");
            sum(strbuf_view(&key), signed_text, true, out);
        }
        strbuf_fini(&key);
        if (rc < 0) return -1;
    }
    return 0;
}

static void put(struct notify_header *headers, size_t *count, struct str name, struct str value)
{
    headers[(*count)++] = (struct notify_header){ name, value };
}

static int sign_standard(const struct sign_job *job, struct arena *a, struct notify_header *headers,
                         size_t *count, struct err *err)
{
    struct str at = str_printf(a, "%lld", (long long)(job->now_ms / 1000));
    struct strbuf text, signature;
    int rc;
    put(headers, count, STR("webhook-id"), job->id);
    put(headers, count, STR("webhook-timestamp"), at);
    if (job->secret.n == 0) return 0;
    strbuf_init(&text, job->body.n + job->id.n + 64);
    strbuf_init(&signature, 64 * 1024);
    strbuf_str(&text, job->id);
    strbuf_char(&text, '.');
    strbuf_str(&text, at);
    strbuf_char(&text, '.');
    strbuf_str(&text, job->body);
    rc = standard_signature(job, strbuf_view(&text), &signature, err);
    if (rc == 0) put(headers, count, STR("webhook-signature"), str_dup(a, strbuf_view(&signature)));
    strbuf_fini(&signature);
    strbuf_fini(&text);
    return rc;
}

static int sign_hmac(const struct signer *s, const struct sign_job *job, struct arena *a,
                     struct notify_header *headers, size_t *count)
{
    struct strbuf text, signature;
    if (job->secret.n == 0) return 0;
    strbuf_init(&text, job->body.n + s->separator.n + 64);
    strbuf_init(&signature, s->prefix.n + 2 * DIGEST_SIZE + 1);
    if (!str_absent(s->timestamp_header)) {
        struct str at = str_printf(a, "%lld", (long long)(job->now_ms / 1000));
        put(headers, count, s->timestamp_header, at);
        strbuf_str(&text, at);
        strbuf_str(&text, s->separator);
    }
    strbuf_str(&text, job->body);
    strbuf_str(&signature, s->prefix);
    sum(job->secret, strbuf_view(&text), s->base64, &signature);
    put(headers, count, s->header, str_dup(a, strbuf_view(&signature)));
    strbuf_fini(&signature);
    strbuf_fini(&text);
    return 0;
}

int sign_request(const struct signer *s, const struct sign_job *job, struct arena *a,
                 struct notify_header *headers, size_t *count, struct err *err)
{
    switch (s->scheme) {
    case SIGN_NONE: return 0;
    case SIGN_STANDARD_WEBHOOKS: return sign_standard(job, a, headers, count, err);
    case SIGN_HMAC_HEADER: return sign_hmac(s, job, a, headers, count);
    }
    return 0;
}
