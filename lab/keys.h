/* SPDX-License-Identifier: ISC */
/*
 * keys -- the keys of a sealed lab, made from a seed and a name.
 *
 * The same kind, seed and name give the same key on every machine, so that a
 * scenario signs the same bytes today and in ten years.  For the same reason
 * NONE OF THESE KEYS IS A SECRET: whoever knows the seed (and it stands in the
 * scenario) has the key.  Nothing made here may ever guard real mail.
 *
 * The bytes come from SHA-256 in counter mode over the seed, the kind and the
 * name; keys of different kinds or names have nothing in common.
 */
#ifndef LAB_KEYS_H
#define LAB_KEYS_H

#include <openssl/evp.h>

#include "base/buf.h"

enum key_kind {
	KEY_RSA_1024,                   /* too weak, for those who must notice */
	KEY_RSA_2048,                   /* DKIM, ARC, authorities; about 60 ms of work; e = 65537 */
	KEY_P256,                       /* hosts; its signatures differ from run to run */
	KEY_ED25519,                    /* DKIM, zones */
};

/* The caller owns the key: EVP_PKEY_free(). */
EVP_PKEY *key_make(enum key_kind, uint64_t seed, struct slice name);

/* The private key as PEM (PKCS #8, RFC 5958). */
void key_pem(const EVP_PKEY *, struct buf *);

/*
 * The text of a key record for DKIM and ARC: "v=DKIM1; k=rsa; p=…".  RSA keys
 * as SubjectPublicKeyInfo (RFC 6376 3.6.1 as everybody reads it), Ed25519 keys as their
 * 32 bytes (RFC 8463 4.2).
 */
void key_dkim_record(const EVP_PKEY *, struct buf *);

#endif
