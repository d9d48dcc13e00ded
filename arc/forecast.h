/* SPDX-License-Identifier: ISC */
/*
 * forecast -- what the next hop will find when we send a message on: SPF, DKIM,
 * DMARC, and whether only a seal can tell it that the author was proved here.
 *
 * The next hop sees our addresses.  They are those of our host name (RFC 5321
 * 2.3.5: what we say in EHLO), which is also true behind a NAT.  When the name has
 * none, an address that nobody has stands for them.
 *
 * Pure over facts; false while facts are missing.
 */
#ifndef ARC_FORECAST_H
#define ARC_FORECAST_H

#include "auth/dmarc.h"
#include "auth/spf.h"
#include "mail/address.h"

enum { FORECAST_ADDRESSES = 8 };        /* of the host name that are looked at */

/*
 * What SPF says of that envelope sender when we send: the worst over our addresses.
 * { 0 } before the first call; the question stays the same.
 */
struct forecast_spf {
	enum spf_result worst;
	struct spf      each[FORECAST_ADDRESSES];       /* private: what has been read stays read */
};

bool forecast_spf(struct forecast_spf *, struct slice hostname, const struct address *sender,
    int64_t now, struct facts *);

/* fail, softfail and permerror: whoever looks at SPF alone holds it against the message. */
bool forecast_spf_hurts(enum spf_result);

enum passage { PASSAGE_FORWARD, PASSAGE_LIST };

struct forecast_question {
	struct slice   hostname;        /* ours */
	struct slice   own;             /* the domain of ours that sends it on */
	struct address sender;          /* as it came */
	bool           sender_is_ours;  /* its domain is one of ours: it is never rewritten */
	struct slice   author;          /* the Author Domain, or empty */
	enum passage   passage;
	bool           srs;             /* a forward may get a sender of ours */
	bool           changed;         /* tag or footer: the author's signature breaks */
	bool           rewrites_from;   /* the list becomes the author when needed */
	int64_t        now;
};

struct forecast {
	enum spf_result   as_it_is;     /* SPF, if the sender stayed */
	bool              rewritten;    /* it gets a sender of ours (SRS, or the list's) */
	struct slice      sender;       /* domain of the sender as it leaves; empty: null */
	enum spf_result   spf;          /* of that one */
	bool              signature;    /* one of the author's domain would still verify */
	struct slice      author;       /* as it leaves */
	enum dmarc_policy asked;        /* by the domain of the author who wrote it */
	enum dmarc_result dmarc;        /* there, for a message that the author's domain has signed */
	enum dmarc_result unsigned_;    /* the same, for one that it has not signed */
	bool              seal;         /* only our seal can tell that DMARC passed here */
	const char       *why;          /* one clause */
	struct forecast_spf of_sender, of_ours; /* private */
};

/* { 0 } before the first call; the question stays the same. */
bool forecast_evaluate(struct forecast *, const struct forecast_question *, struct facts *);

#endif
