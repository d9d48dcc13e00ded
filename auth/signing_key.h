/* SPDX-License-Identifier: ISC */
/*
 * signing_key -- the private keys that we sign with (RFC 6376 5.2, RFC 8463).
 *
 * Apart from auth/key.h because who talks to strangers verifies signatures and
 * never holds one of these.
 */
#ifndef AUTH_SIGNING_KEY_H
#define AUTH_SIGNING_KEY_H

#include "auth/key.h"
#include "base/buf.h"
#include "base/error.h"

struct signing_key {
	enum key_type type;
	unsigned bits;
	struct evp_pkey_st *pkey;
};

/*
 * From a PEM text (PKCS#8 or PKCS#1, not encrypted), or an Ed25519 seed as 44
 * letters of base64, as RFC 8463 A.2 writes it.  RSA keys under KEY_BITS_LEAST
 * are refused.
 */
bool signing_key_parse(struct signing_key *, struct slice text, struct error *why);
void signing_key_free(struct signing_key *);
/* The bytes of the signature, behind what is in the buf. */
bool signing_key_sign(const struct signing_key *, const unsigned char digest[SHA256_BYTES],
    struct buf *to, struct error *why);
/* What the domain has to publish: "v=DKIM1; k=rsa; p=…". */
void signing_key_record(const struct signing_key *, struct buf *to);

#endif
