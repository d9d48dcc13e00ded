/* SPDX-License-Identifier: ISC */
/*
 * sign -- make DKIM-Signature fields (RFC 6376 5, RFC 8301, RFC 8463).
 *
 * Signing needs the header as it leaves and the hash of the body in relaxed
 * form, nothing else.  Always relaxed/relaxed, never l=, z= or x=.  The same
 * input gives the same bytes.  For two signatures (RSA and Ed25519) ask twice.
 */
#ifndef AUTH_SIGN_H
#define AUTH_SIGN_H

#include "auth/signed.h"
#include "auth/signing_key.h"
#include "auth/taglist.h"
#include "mail/header.h"

struct signer {
	struct slice domain, selector;  /* lower case, A-labels */
	const struct signing_key *key;
	struct slice names;             /* h= as it shall be, or empty: sign_names() */
};

/*
 * The careful default for h=, behind what is in the buf: every instance of the
 * fields that a reader sees or acts on, and once more of those that must not be
 * added later (RFC 6376 8.15).  List-* and one-click unsubscription are covered
 * where they are (RFC 8058 4), but not kept from being added: a mailing list
 * downstream adds them, and the author's signature should survive that.
 */
bool sign_names(const struct header *, struct buf *to);

/*
 * The whole field with its CRLF, behind what is in the buf.  `now` is in
 * milliseconds.  Fails when From is not there exactly once, when h= does not
 * name it, and above the ceiling of the buf.
 */
bool dkim_sign(const struct signer *, const struct header *, const unsigned char body_hash[SHA256_BYTES],
    int64_t now, struct buf *to, struct error *why);

/* --- the parts, for other signatures of the same make (arc/seal) -------------- */

/* h= as the signer wants it, for this header; fails as dkim_sign() does. */
bool sign_choose(const struct signer *, const struct header *, struct buf *names, struct error *why);
/* "a=… c=… d=… s=… t=… h=… bh=… b=". */
void sign_tags(struct tagwriter *, const struct signer *, struct slice names,
    const unsigned char body_hash[SHA256_BYTES], int64_t now);
/* t=, in seconds. */
void sign_time(struct tagwriter *, int64_t now);
/* What is signed: the named fields, and the own one as it stands now, behind "b=". */
bool sign_digest(const struct header *, struct slice names, struct slice own,
    unsigned char digest_r[SHA256_BYTES], struct error *why);
/* The signature behind "b=", and the end of the field. Fails also when the buf was full. */
bool sign_end(struct tagwriter *, const struct signing_key *, const unsigned char digest[SHA256_BYTES],
    struct error *why);

#endif
