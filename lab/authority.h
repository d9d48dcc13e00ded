/* SPDX-License-Identifier: ISC */
/*
 * authority -- the certificates of a sealed lab: good ones, and those that are
 * broken in exactly one way.
 *
 * Everything follows from the seed, the time and the names: the same call gives
 * the same bytes, today and on another machine.  For that the authorities sign
 * with RSA (PKCS #1, no randomness in it), which every TLS peer accepts, while
 * the hosts have quick P-256 keys; a host that signs for itself has RSA too.
 * THE KEYS ARE NO SECRETS (keys.h): nobody may trust this root outside a lab.
 *
 * "Now" is the lab's clock.  What is valid is valid from five years before it
 * to ten years after it, so that peers on the machine's own clock agree and
 * `advance` does not pass the end.
 */
#ifndef LAB_AUTHORITY_H
#define LAB_AUTHORITY_H

#include "base/buf.h"
#include "base/error.h"

struct authority;

/* Takes the time of one RSA key, about 60 ms. `now`: ms since 1970. */
struct authority *authority_new(uint64_t seed, int64_t now);
void              authority_free(struct authority *);   /* NULL is fine */
struct slice      authority_root(const struct authority *);     /* PEM; lives as long as it */

enum certificate_kind {
	CERTIFICATE_GOOD,
	CERTIFICATE_ROOT_SENT,          /* good, with the root behind it, as DANE-TA(2) on it */
	                                /* needs (RFC 7672 3.1.2) */
	CERTIFICATE_ROOT_SENT_EXPIRED,  /* the same, but expired yesterday */
	CERTIFICATE_ROOT_SENT_WRONG_NAME,       /* the same, but for other.test alone */
	CERTIFICATE_INTERMEDIATE,       /* good, by an intermediate authority that is sent */
	CERTIFICATE_INTERMEDIATE_MISSING,       /* the same, but it is not sent */
	CERTIFICATE_EXPIRED,            /* yesterday */
	CERTIFICATE_NOT_YET_VALID,      /* in five years */
	CERTIFICATE_WRONG_NAME,         /* for other.test alone */
	CERTIFICATE_COMMON_NAME_ONLY,   /* the first name as CN, no SAN (RFC 9525 6.3); at most 64 bytes */
	CERTIFICATE_SELF_SIGNED,
	CERTIFICATE_UNKNOWN_AUTHORITY,  /* by somebody whom nobody trusts */
	CERTIFICATE_WEAK,               /* an RSA key of 1024 bits */
	CERTIFICATE_KINDS
};

/* "good", "root-sent", "intermediate", …: the words of a scenario. */
const char *certificate_kind_name(enum certificate_kind);
bool        certificate_kind_parse(struct slice, enum certificate_kind *kind_r);

struct certificate {
	struct buf chain, key;          /* PEM: the host's certificate first; PKCS #8 */
};

/* For these DNS names, wildcards too; at least one. The caller frees it. */
void certificate_make(struct authority *, enum certificate_kind, const struct slice *names,
    size_t count, struct certificate *);
void certificate_free(struct certificate *);

/*
 * The data of a TLSA record (RFC 6698 2.1) that matches one certificate of a
 * PEM chain: depth 0 is the host's, 1 its issuer's, as far as they are there.
 */
struct tlsa_form {
	unsigned char usage, selector, matching;
};
bool certificate_tlsa(struct slice chain, unsigned depth, struct tlsa_form, struct buf *to,
    struct error *why);

#endif
