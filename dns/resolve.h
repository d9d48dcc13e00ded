/* SPDX-License-Identifier: ISC */
/*
 * resolve -- the one place that asks the DNS (libunbound, on our loop).
 *
 * An inquiry is the asking side of one transaction's facts.  It has at most
 * one waiter, woken once, from the loop, never before inquiry_ask() has
 * returned.  inquiry_end() forgets what is still under way; nothing is called
 * after it.  Every question has a time limit of its own, an inquiry may have a
 * deadline for all of them; after either the answer is ANSWER_BROKEN.
 *
 * Answers are validated here (DNSSEC) when there is a trust anchor.  Without
 * one everything is insecure, which the resolver says when asked; anchors of which
 * none can be used for the root make no resolver (conf/anchor.h).
 */
#ifndef DNS_RESOLVE_H
#define DNS_RESOLVE_H

#include "base/error.h"
#include "dns/facts.h"
#include "net/loop.h"

struct resolver;
struct zone;
struct ub_ctx;

/* How a question fails on purpose, before anybody is asked: in the lab. */
enum dns_fault {
	DNS_NO_FAULT,
	DNS_SERVFAIL,
	DNS_SILENCE,                    /* no answer: the question's time limit ends it */
};

struct resolver_options {
	const struct peer *servers;     /* forward to these; none: as /etc/resolv.conf says */
	size_t             server_count;
	struct slice       anchor;      /* trust anchors, DS or DNSKEY lines; empty: no DNSSEC */
	const char        *config;      /* a file of unbound.conf statements, or NULL: the lab's zones */
	int64_t            validate_at; /* ms since 1970 for signature times; 0: the machine's clock */
	const struct zone *facts;       /* answer from this text and ask nobody; NULL: ask */
	int64_t            timeout;     /* of one question in ms; 0: 10 s */
	/* Asked for every question (name as in facts.h); NULL: none fails on purpose. */
	enum dns_fault   (*fault)(void *arg, struct slice name, uint16_t type);
	void              *fault_arg;
};

/* Reads its files and makes its sockets now: before a role gives up its rights. */
struct resolver *resolver_new(struct loop *, const struct resolver_options *, struct error *why);
void             resolver_free(struct resolver *);      /* after all inquiries have ended */

struct resolver_counts {
	uint64_t asked, found, nodata, nxdomain, failed, timeout, secure, bogus;
	unsigned silent;                /* questions in a row that nobody answered */
};
struct resolver_counts resolver_counts(const struct resolver *);
bool resolver_validates(const struct resolver *);

struct question;

struct inquiry {
	struct facts     facts;
	struct resolver *resolver;
	struct question *open;
	struct later     wake;
	struct timer     deadline;
	void           (*woken)(void *);
	void            *arg;
};

void inquiry_begin(struct inquiry *, struct resolver *, struct arena *);
/* After so many milliseconds everything that is still open is broken. */
void inquiry_limit(struct inquiry *, int64_t ms);
/* Look up what is wanted; call when something of it has become known. */
void inquiry_ask(struct inquiry *, void (*woken)(void *), void *arg);
void inquiry_end(struct inquiry *);     /* may be called twice; the facts stay readable */

#endif
