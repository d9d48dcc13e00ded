/* SPDX-License-Identifier: ISC */
/* pure */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "auth/signing_key.h"
#include "base/bug.h"
#include "base/text.h"

enum { ED25519_BYTES = 32 };

/* --- reading ------------------------------------------------------------------ */

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->room);
	buf_free(b);
}

/* What stands between the BEGIN line of that kind and its END line. */
static bool
pem_body(struct slice text, struct slice kind, struct slice *body)
{
	static const char DASHES[] = "-----";
	struct slice line;

	while (slice_cut(&text, '\n', &line)) {
		struct buf begin = BUF(100);
		bool here;

		buf_printf(&begin, "%sBEGIN %.*s%s", DASHES, FMT(kind), DASHES);
		here = slice_eq(slice_trim(line), buf_slice(&begin));
		buf_free(&begin);
		if (here) {
			*body = slice_head(text, slice_find(text, '-'));
			return true;
		}
	}
	return false;
}

static EVP_PKEY *
from_der(struct slice base64)
{
	struct buf der = BUF(64 << 10);
	const unsigned char *at;
	EVP_PKEY *pkey = NULL;

	if (base64_decode(&der, base64)) {
		at = (const unsigned char *)der.p;
		pkey = d2i_AutoPrivateKey(NULL, &at, (long)der.n);
	}
	wipe(&der);
	return pkey;
}

static EVP_PKEY *
from_seed(struct slice base64)
{
	struct buf seed = BUF(ED25519_BYTES);
	EVP_PKEY *pkey = NULL;

	if (base64_decode(&seed, base64) && seed.n == ED25519_BYTES)
		pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL,
		    (const unsigned char *)seed.p, seed.n);
	wipe(&seed);
	return pkey;
}

static bool
key_usable(struct signing_key *k, struct error *why)
{
	k->bits = (unsigned)EVP_PKEY_get_bits(k->pkey);
	if (EVP_PKEY_is_a(k->pkey, "ED25519")) {
		k->type = KEY_ED25519;
		k->bits = 256;
		return true;
	}
	k->type = KEY_RSA;
	if (!EVP_PKEY_is_a(k->pkey, "RSA"))
		return error_set(why, "the key is neither RSA nor Ed25519");
	if (k->bits < KEY_BITS_LEAST || k->bits > KEY_BITS_MOST)
		return error_set(why, "an RSA key of %u bits cannot sign, only %d to %d can",
		    k->bits, KEY_BITS_LEAST, KEY_BITS_MOST);
	return true;
}

bool
signing_key_parse(struct signing_key *k, struct slice text, struct error *why)
{
	struct slice body;

	*k = (struct signing_key){ 0 };
	if (pem_body(text, S("ENCRYPTED PRIVATE KEY"), &body))
		return error_set(why, "the private key is encrypted");
	if (pem_body(text, S("PRIVATE KEY"), &body) || pem_body(text, S("RSA PRIVATE KEY"), &body))
		k->pkey = from_der(body);
	else
		k->pkey = from_seed(text);
	ERR_clear_error();
	if (k->pkey == NULL)
		return error_set(why, "there is no private key that can be read");
	if (key_usable(k, why))
		return true;
	signing_key_free(k);
	return false;
}

void
signing_key_free(struct signing_key *k)
{
	EVP_PKEY_free(k->pkey);
	k->pkey = NULL;
}

/* --- signing -------------------------------------------------------------------- */

static bool
rsa_sign(EVP_PKEY *pkey, const unsigned char digest[SHA256_BYTES], unsigned char *to, size_t *n)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(pkey, NULL);
	bool done;

	bug_if(c == NULL);
	done = EVP_PKEY_sign_init(c) > 0 &&
	    EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) > 0 &&
	    EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) > 0 &&
	    EVP_PKEY_sign(c, to, n, digest, SHA256_BYTES) > 0;
	EVP_PKEY_CTX_free(c);
	return done;
}

static bool
ed25519_sign(EVP_PKEY *pkey, const unsigned char digest[SHA256_BYTES], unsigned char *to, size_t *n)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool done;

	bug_if(c == NULL);
	done = EVP_DigestSignInit(c, NULL, NULL, NULL, pkey) > 0 &&
	    EVP_DigestSign(c, to, n, digest, SHA256_BYTES) > 0;
	EVP_MD_CTX_free(c);
	return done;
}

bool
signing_key_sign(const struct signing_key *k, const unsigned char digest[SHA256_BYTES], struct buf *to,
    struct error *why)
{
	size_t n = KEY_BITS_MOST / 8;
	unsigned char *room = (unsigned char *)buf_room(to, n);

	if (room == NULL)
		return error_set(why, "there is no room for the signature");
	if (!(k->type == KEY_ED25519 ? ed25519_sign : rsa_sign)(k->pkey, digest, room, &n)) {
		ERR_clear_error();
		return error_set(why, "OpenSSL cannot sign with this key");
	}
	to->n += n;
	return true;
}

void
signing_key_record(const struct signing_key *k, struct buf *to)
{
	size_t n = k->type == KEY_ED25519 ? ED25519_BYTES : (size_t)i2d_PUBKEY(k->pkey, NULL);
	unsigned char *data = must_alloc(n), *at = data;

	if (k->type == KEY_ED25519)
		bug_if(EVP_PKEY_get_raw_public_key(k->pkey, data, &n) <= 0);
	else
		i2d_PUBKEY(k->pkey, &at);
	buf_printf(to, "v=DKIM1; k=%s; p=", key_type_name(k->type));
	base64_add(to, slice_of(data, n));
	free(data);
}
