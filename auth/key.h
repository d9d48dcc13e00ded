/* SPDX-License-Identifier: ISC */
/*
 * key -- public keys as domains publish them (RFC 6376 3.6.1, RFC 8301, RFC 8463).
 *
 * A key record is read by our own bounded DER reader: OpenSSL's costs fifty
 * times as much and reads more kinds of keys than a stranger should choose from.
 * Signatures are verified over a SHA-256 digest; there is no other hash.
 */
#ifndef AUTH_KEY_H
#define AUTH_KEY_H

#include "base/sha256.h"

struct evp_pkey_st;                     /* OpenSSL's EVP_PKEY, EVP_PKEY_CTX */
struct evp_pkey_ctx_st;

enum key_type { KEY_RSA, KEY_ED25519 };

const char *key_type_name(enum key_type);       /* "rsa", "ed25519" as in k= */
const char *key_algorithm(enum key_type);       /* "rsa-sha256", "ed25519-sha256" as in a= */

enum {
	KEY_BITS_LEAST = 1024,          /* RFC 8301 3.2 */
	KEY_BITS_MOST = 8192,           /* a verification costs a quarter of a millisecond there */
	KEY_RECORD_MOST = 8192,         /* octets of a record, and of all that are kept of a name */
};

enum key_flaw {
	KEY_OK,
	KEY_SYNTAX,                     /* no list of tags, or too long */
	KEY_VERSION,                    /* v= is not DKIM1, or not in front */
	KEY_NO_DATA,                    /* no p= */
	KEY_REVOKED,                    /* an empty p= */
	KEY_UNKNOWN_TYPE,               /* k= */
	KEY_ENCODING,                   /* p= is not base64, or not the key it says */
	KEY_SHORT, KEY_LONG,            /* RSA: under or over the limits above */
	KEY_WEAK,                       /* RSA: even modulus; exponent even, 1 or over 32 bits */
};

const char *key_flaw_text(enum key_flaw);       /* "the key is revoked (p= is empty)" */

struct key {
	enum key_type type;
	unsigned bits;                  /* of an RSA modulus; 256 for Ed25519 */
	bool     testing;               /* t=y: failures are no worse than no signature */
	bool     strict;                /* t=s: i= must not be in a subdomain of d= */
	bool     for_sha256;            /* h= is absent or names it */
	bool     for_mail, for_tlsrpt;  /* s= is absent, "*", or names it (RFC 8460 3) */
	struct evp_pkey_st *pkey;
	struct evp_pkey_ctx_st *verify; /* of an RSA key: made ready once, that takes a tenth of it */
};

/* From the text of a TXT record. Anything but KEY_OK leaves nothing to be freed. */
enum key_flaw key_parse(struct key *, struct slice record);
void key_free(struct key *);
/* What a verification costs, in verifications with an RSA key of 2048 bits; about. */
unsigned key_work(const struct key *);
bool key_verifies(const struct key *, const unsigned char digest[SHA256_BYTES], struct slice signature);

/*
 * Parsed keys by the text of their record, the bad ones too: at most `most`,
 * rounded up; the least recently used goes first.  The owner is the caller, one
 * for each thread.
 */
struct keys;

struct keys *keys_new(size_t most);
void         keys_free(struct keys *);          /* NULL is fine */
/* Valid until the next call; NULL with *flaw_r set when the record is no good. */
const struct key *keys_get(struct keys *, struct slice record, enum key_flaw *flaw_r);

#endif
