/* SPDX-License-Identifier: ISC */
/*
 * policies -- the MTA-STS policies of the domains we send to (RFC 8461), known
 * here, kept by the queue.
 *
 * Whoever is about to send asks; the answer comes at once or from the loop.
 * Behind it stand the TXT record (asked each time, cached by the resolver), the
 * entry of the cache (asked of the queue once), a fetch when sts_decide() wants
 * one (one per domain at a time, however many wait).  Refreshes without mail are
 * the queue's to ask for: it has all entries, here stand only those last used.
 */
#ifndef DELIVERY_POLICIES_H
#define DELIVERY_POLICIES_H

#include "base/log.h"
#include "dns/resolve.h"
#include "sts/cache.h"
#include "sts/fetch.h"

enum { POLICIES_MOST = 2000 };          /* domains that are remembered though nobody asks */

struct policies;
struct policy_wait;                     /* somebody who asked and waits */

struct policies_options {
	struct loop     *loop;
	struct resolver *resolver;
	struct fetcher  *fetcher;
	struct log      *log;
	bool             local_allowed; /* fetch from loopback addresses too */
	/* The cache that survives: ask for an entry, answered by policies_entry(); keep one. */
	void           (*ask)(void *arg, struct slice domain);
	void           (*keep)(void *arg, struct slice domain, struct slice entry, int64_t until);
	/* policies_refresh() is over; `why` not, or empty. May be NULL. */
	void           (*refreshed)(void *arg, struct slice domain, struct slice why);
	/* A fetch failed that is to be reported: under the policy in force, or none. May be NULL. */
	void           (*failed)(void *arg, struct slice domain, const struct sts_decision *);
	void            *arg;
};

/* What holds for a domain now. */
struct policy_answer {
	bool               applies;
	struct sts_policy  policy;      /* copied into the asker's arena */
	struct slice       id;
	enum tlsrpt_result report;      /* a fetch that failed, to be counted */
	struct slice       reason;
};

struct policies *policies_new(const struct policies_options *);
void             policies_free(struct policies *);

/*
 * `refused`: the policy has just kept a message from every host; a newer one is
 * looked for before anybody gives up (RFC 8461 5).
 * `told` is called once, from the loop, never inside this call; the answer is
 * valid during it, copies go where the caller wants them.
 */
struct policy_wait *policies_ask(struct policies *, struct slice domain, bool refused,
    void (*told)(void *arg, const struct policy_answer *), void *arg);
void                policies_forget(struct policy_wait *);      /* NULL is fine */

/* Fetch it now, whether mail waits or not, unless that failed a moment ago. */
void policies_refresh(struct policies *, struct slice domain);
/* Its entry is gone from the queue's cache. */
void policies_drop(struct policies *, struct slice domain);

/* The queue's answer: the packed entry, or nothing. */
void policies_entry(struct policies *, struct slice domain, struct slice entry);
size_t policies_count(const struct policies *);         /* domains that are known here now */
/* The link to the queue is new: ask again for what it has not answered. */
void policies_ask_again(struct policies *);

#endif
