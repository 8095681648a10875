#include "base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>

static const unsigned char *bytes(struct str s)
{
    return (const unsigned char *)(s.p ? s.p : "");
}

void digest_sha256(struct str data, unsigned char out[DIGEST_SIZE])
{
    SHA256(bytes(data), data.n, out);
}

void digest_hmac_sha256(struct str key, struct str data, unsigned char out[DIGEST_SIZE])
{
    unsigned n = DIGEST_SIZE;
    if (!HMAC(EVP_sha256(), bytes(key), (int)key.n, bytes(data), data.n, out, &n)) abort();
}

void digest_hex(const unsigned char *p, size_t n, struct strbuf *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        strbuf_char(out, digits[p[i] >> 4]);
        strbuf_char(out, digits[p[i] & 15]);
    }
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void digest_base64(const unsigned char *p, size_t n, struct strbuf *out)
{
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
                     (i + 2 < n ? p[i + 2] : 0);
        strbuf_char(out, base64_digits[v >> 18]);
        strbuf_char(out, base64_digits[v >> 12 & 63]);
        strbuf_char(out, i + 1 < n ? base64_digits[v >> 6 & 63] : '=');
        strbuf_char(out, i + 2 < n ? base64_digits[v & 63] : '=');
    }
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int digest_unbase64(struct str text, struct strbuf *out)
{
    size_t pad = 0;
    if (text.n % 4 != 0) return -1;
    while (pad < 2 && pad < text.n && text.p[text.n - 1 - pad] == '=') pad++;
    for (size_t i = 0; i < text.n; i += 4) {
        uint32_t v = 0;
        size_t have = i + 4 == text.n ? 3 - pad : 3;
        for (size_t k = 0; k < 4; k++) {
            int d = k <= have ? base64_value(text.p[i + k]) : 0;
            if (d < 0) return -1;
            v = v << 6 | (uint32_t)d;
        }
        for (size_t k = 0; k < have; k++) strbuf_char(out, (char)(v >> (16 - 8 * k) & 255));
    }
    return strbuf_ok(out) ? 0 : -1;
}

bool digest_equal_secret(struct str known, struct str given)
{
    unsigned char a[DIGEST_SIZE], b[DIGEST_SIZE];
    digest_sha256(known, a);
    digest_sha256(given, b);
    return CRYPTO_memcmp(a, b, DIGEST_SIZE) == 0;
}
