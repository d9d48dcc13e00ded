/* SPDX-License-Identifier: ISC */
/*
 * cache -- which MTA-STS policy applies now, and when to fetch (RFC 8461 3.3, 5.1).
 *
 * The cache holds one entry per domain: the policy last fetched, and when a
 * fetch was last tried.  Whoever sends mail looks up the TXT record, reads the
 * entry and asks sts_decide().  When it says STS_FETCH, he fetches and asks
 * again with what came of it; then he stores the entry if he is told to.
 *
 *     live TXT    id       fetch      cache    -> applies
 *     none, bad   -        -          valid    the cached policy, to its end
 *     none, bad   -        -          no       nothing
 *     valid       same     no need    valid    the cached policy
 *     valid       other    good       any      the new policy, at once
 *     valid       other    failed     valid    the cached policy; reported
 *     valid       -        good       no       the new policy
 *     valid       -        failed     no       nothing; reported
 *
 * After a fetch for an id has failed it is left alone for five minutes, whoever
 * asks; what was fetched so lately is fetched again when somebody wants just that.  A
 * policy is refreshed once a day, or at half its life when that is shorter,
 * also when no mail waits, so that an attacker would have to keep us from the
 * policy host for all its life (RFC 8461 10.2); jitter takes up to a quarter
 * off, and it is due at once when a clock was set back before the last fetch.
 * Domains nobody wrote to for ninety days are not refreshed.
 * All times are milliseconds since 1970.  Slices live as long as what they were
 * read from: the record, the fetch, the arena of the entry.
 */
#ifndef STS_CACHE_H
#define STS_CACHE_H

#include "base/pack.h"
#include "sts/answer.h"
#include "sts/record.h"

#define STS_UNUSED (90 * DAY)
enum { STS_RETRY = 5 * MINUTE };        /* not sooner after a failed fetch (RFC 8461 3.3) */

/* What the cache knows of a domain; { 0 } is nothing. */
struct sts_entry {
	bool              known;        /* there is a policy, perhaps an expired one */
	struct slice      id;
	struct sts_policy policy;
	int64_t           fetched, expires;
	int64_t           tried;        /* the last fetch, good or bad; 0: never */
	struct slice      tried_id;
	enum tlsrpt_result failed;      /* how it failed; TLSRPT_SUCCESS: it did not */
	int64_t           used;         /* when mail last asked, to the day */
};

struct sts_question {
	const struct sts_record *record;
	const struct sts_entry  *entry; /* NULL: nothing is cached */
	const struct sts_fetch  *fetch; /* made a moment ago for record->id; NULL: none */
	int64_t  now;
	uint64_t jitter;                /* any random number */
	bool     mail;                  /* a message waits; else only a refresh is due */
	bool     refused;               /* the policy just kept a message from every host: */
	                                /* look whether there is a newer one (RFC 8461 5) */
	bool     wanted;                /* somebody asks for this fetch itself, not for a policy */
};

enum sts_wish {
	STS_CONTENT,                    /* nothing to fetch */
	STS_REFRESH,                    /* fetch, but let no mail wait for it */
	STS_FETCH,                      /* fetch first, then ask again */
};

struct sts_decision {
	enum sts_wish      wish;
	bool               applies;     /* `policy` and `id` hold now, unless STS_FETCH brings better */
	struct sts_policy  policy;
	struct slice       id;
	bool               store;       /* the cache shall hold `entry` from now on */
	struct sts_entry   entry;
	int64_t            again;       /* when to ask again without mail; 0: never */
	enum tlsrpt_result report;      /* to be counted against the domain's policy */
	struct slice       reason;
};

void sts_decide(struct sts_decision *, const struct sts_question *);

/*
 * When the policy of an entry is to be fetched anew though no mail asks; 0: never.
 * `jitter` is any number, but the same for an entry each time.
 */
int64_t sts_refresh_time(const struct sts_entry *, int64_t now, uint64_t jitter);

/* From when on an entry says nothing any more and may be forgotten. */
int64_t sts_entry_end(const struct sts_entry *);

/* The entry as bytes for the cache; at most STS_ENTRY_MOST of them. */
enum { STS_ENTRY_MOST = STS_POLICY_MOST + 256 };
void sts_entry_pack(const struct sts_entry *, struct buf *);
/* Copies what it keeps. False when these bytes are no entry: then nothing is known. */
bool sts_entry_unpack(struct sts_entry *, struct slice bytes, struct arena *);

#endif
