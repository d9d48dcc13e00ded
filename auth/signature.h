/* SPDX-License-Identifier: ISC */
/*
 * signature -- what DKIM-Signature, ARC-Message-Signature (AMS) and ARC-Seal
 * have in common: tags, what is hashed, the key in the DNS, the conclusion
 * (RFC 6376 3.5, 3.7, 6.1; RFC 8617 4.1.2, 4.1.3).
 *
 * A signature is parsed from its field, tells which body hash and which key it
 * needs, and is concluded once: its state is then no longer SIGNATURE_OPEN and
 * never changes again.  What it points to lies in the message or in the arena.
 */
#ifndef AUTH_SIGNATURE_H
#define AUTH_SIGNATURE_H

#include "auth/canon.h"
#include "auth/key.h"
#include "auth/signed.h"
#include "dns/facts.h"
#include "mail/header.h"

enum {
	KEY_RECORDS_TRIED = 4,          /* of one name, RFC 6376 3.6.2.2 leaves it open */
	CLOCK_SKEW = 10 * 60,           /* seconds that t= may lie ahead */
	/*
	 * The work that the DKIM signatures of a message may take, and its chain as
	 * much again, in verifications with an RSA key of 2048 bits: enough for 50
	 * seals with 4096 bits, and at most some 7 ms of a processor each.  Without
	 * an end, 110 keys of 8192 bits and a header of 256 KiB under each of them
	 * would cost ten times that.  Neither spends what is the other's: which of
	 * them has its keys first is the DNS's choice, and decides nothing.
	 */
	WORK_MOST = 400,
	WORK_OCTETS = 8192,             /* of a header, hashed: the same work */
};

#define SIGNATURE_FOREVER INT64_C(1000000000000)        /* a t= or x= of more than 12 digits */

enum signature_kind { SIGNATURE_DKIM, SIGNATURE_AMS, SIGNATURE_SEAL };

enum signature_state {
	SIGNATURE_OPEN,                 /* not concluded */
	SIGNATURE_GOOD,
	SIGNATURE_MALFORMED,            /* a tag is missing or wrong */
	SIGNATURE_REFUSED,              /* an algorithm that RFC 8301 forbids, or an unknown one */
	SIGNATURE_EXPIRED,              /* x= */
	SIGNATURE_FUTURE,               /* t= */
	SIGNATURE_UNCHECKED,            /* a bound of ours was reached */
	SIGNATURE_UNDECIDED,            /* could not find out: the DNS does not answer */
	SIGNATURE_KEY_MISSING,
	SIGNATURE_KEY_REVOKED,
	SIGNATURE_KEY_UNFIT,            /* no key, too short, not for this use, … */
	SIGNATURE_BODY_CHANGED,
	SIGNATURE_BODY_SHORT,           /* l= counts more than there is */
	SIGNATURE_WRONG,                /* the header was changed, or another key signed */
};

const char *signature_state_name(enum signature_state);  /* "ok", "body changed", … */
bool signature_key_failed(enum signature_state);         /* it was the key, not the message */

struct signature {
	enum signature_kind  kind;
	enum signature_state state;
	struct slice  reason;           /* one clause for people; empty while open and when good */
	const struct field *field;
	struct slice  domain, selector; /* d=, s=: lower case, A-labels (RFC 8616) */
	struct slice  key_name;         /* <s>._domainkey.<d> */
	struct slice  identity;         /* DKIM: i= decoded, or "@" and d= */
	bool          below;            /* DKIM: the domain of i= is below d=, not equal */
	unsigned      instance;         /* ARC: i=, 1 to 50; 0: none that can be read */
	struct slice  cv;               /* seal */
	enum key_type algorithm;        /* a= */
	enum canon    header_canon, body_canon;
	struct slice  names;            /* h= */
	uint64_t      limit;            /* l=, or BODY_WHOLE */
	uint64_t      body_length;      /* canonical octets, once it was compared */
	int64_t       signed_at, expires_at;    /* t=, x= in seconds; -1: none */
	unsigned char body_hash[SHA256_BYTES];  /* bh= */
	struct slice  b_raw;            /* b= as it stands: left out when hashing */
	struct slice  b_text;           /* its letters, without white space */
	struct slice  b;                /* its bytes */
	unsigned      key_bits;         /* 0: no key that fits was found */
	bool          testing;          /* t=y in the key record */
};

/* Does not fail: a field that is no signature is concluded at once, with a reason. */
void signature_parse(struct signature *, enum signature_kind, const struct field *, struct arena *);

/* It holds for the first l= octets only, and there are more. */
bool signature_partial(const struct signature *);

/* Tell what body hash it needs. Concludes it when there are too many different ones. */
void signature_want_body(struct signature *, struct bodies *);

/* Ask for the key record. False: not known yet. */
bool signature_key_known(const struct signature *, struct facts *);

/* What the signatures of one message are verified with, by dkim and chain in turn. */
struct verifier {
	const struct bodies *bodies;    /* finished; NULL: look at headers only */
	struct keys  *keys;
	struct facts *facts;
	int64_t       now;              /* milliseconds */
	unsigned      work;             /* spent of WORK_MOST; each of the two begins at 0 */
};

/*
 * Conclude an open signature whose key record is known: a DKIM-Signature or an
 * AMS over the header that it stands in, or any over the digest of what it
 * should have signed.
 */
void signature_verify(struct signature *, struct field_order *, struct verifier *);
void signature_verify_digest(struct signature *, const unsigned char digest[SHA256_BYTES],
    struct verifier *);

#endif
