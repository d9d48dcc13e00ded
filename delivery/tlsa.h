/* SPDX-License-Identifier: ISC */
/*
 * tlsa -- the TLSA records of a mail host: where they stand and which of them
 * can be used (RFC 7672 2.2.2, 2.2.3, 3.1; RFC 7671 9).
 *
 * Usable for SMTP are DANE-TA(2) and DANE-EE(3) with a known selector, a known
 * matching type and data of the right form.  PKIX-TA(0) and PKIX-EE(1) are not
 * (RFC 7672 3.1.3).  Of several digests of one usage and selector only the
 * strongest counts (digest agility), so that a weak one cannot be the way in.
 */
#ifndef DELIVERY_TLSA_H
#define DELIVERY_TLSA_H

#include "delivery/mx.h"

enum tlsa_use { TLSA_USABLE, TLSA_WEAKER, TLSA_UNUSABLE };

struct tlsa {
	uint8_t       usage, selector, matching;
	struct slice  data;             /* the certificate association data */
	struct slice  rdata;            /* all of it, also when it is too short for the above */
	enum tlsa_use use;
};

struct tlsa_set {
	struct tlsa *records;           /* in the order of their bytes: the DNS's changes */
	size_t       count, usable;
};

/* False only above the arena's ceiling. */
bool tlsa_read(struct tlsa_set *, const struct fact *, struct arena *);

/* "3 1 1 00FF…" as TLSRPT wants it (RFC 8460 4.4); a malformed one as "\# LENGTH HEX". */
struct slice tlsa_text(const struct tlsa *, struct arena *);

/* --- where they stand ---------------------------------------------------- */

enum dane_state {
	DANE_ABSENT,                    /* DNSSEC shows that there are none, or cannot speak here */
	DANE_USABLE,
	DANE_UNUSABLE,                  /* records, but none that is usable */
	DANE_UNKNOWN,                   /* a look-up failed: the host must not be used */
};

struct dane {
	enum dane_state state;
	struct slice    base;           /* TLSA base domain; of ABSENT: the host's own name */
	struct tlsa_set set;
	struct slice    why;            /* unless USABLE: why not, the end of a sentence */
	bool            alias;          /* the address answer went through CNAMEs */
};

/*
 * The records of a host whose addresses are known.  Candidates for the base
 * domain are the name behind secure CNAMEs and the host's own name, never one
 * in between.  Addresses that are not secure and came without a CNAME end the
 * search without a question: name servers of unsigned zones drop such questions.
 */
bool dane_find(struct dane *, const struct mx_host *, uint16_t port, struct facts *,
    struct arena *);

/* Only ask for the records at the host's own name: the answer will probably be needed. */
void dane_ask(const struct mx_host *, uint16_t port, struct facts *);

#endif
