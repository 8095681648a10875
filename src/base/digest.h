/* digest: SHA-256, HMAC-SHA-256, base64, hex and constant-time comparison, over OpenSSL's libcrypto.
 * Any thread. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H
#include "base/strbuf.h"

enum { DIGEST_SIZE = 32 };

void digest_sha256(struct str data, unsigned char out[DIGEST_SIZE]);
void digest_hmac_sha256(struct str key, struct str data, unsigned char out[DIGEST_SIZE]);
void digest_hex(const unsigned char *p, size_t n, struct strbuf *out);       /* lower case */
void digest_base64(const unsigned char *p, size_t n, struct strbuf *out);    /* padded */
/* Standard alphabet, padding wanted. 0, or -1 when text is no base64. */
int digest_unbase64(struct str text, struct strbuf *out);
/* Equal content? Time depends on neither content nor length of the known side (both are hashed). */
bool digest_equal_secret(struct str known, struct str given);
#endif
