/* SPDX-License-Identifier: ISC */
/*
 * tally -- how the TLS sessions of a day went, counted per policy (RFC 8460 4).
 *
 * Whoever had a session tells what it was; whoever keeps the counters finds the
 * tally of that day and policy by its key, adds, and keeps it again.  A day is
 * one of UTC, counted from 1970.  A tally tells TALLY_FAILURES ways to fail one
 * by one; what fails in yet another way is only counted among the failed.
 */
#ifndef STS_TALLY_H
#define STS_TALLY_H

#include "base/clock.h"
#include "base/ip.h"
#include "base/pack.h"
#include "sts/report.h"

enum {
	TALLY_FAILURES = 100,
	TALLY_POLICY_MOST = 32 << 10,   /* bytes of a policy's strings and hosts: more are left out */
	TALLY_MOST = 192 << 10,         /* bytes of a session or a tally, packed */
	TALLY_KEY = 4 + 253 + 1 + 16,
	TALLY_DELAY_MOST = 4 * HOUR,    /* a report is sent so long after midnight (RFC 8460 4.1) */
};

struct tlsrpt_session {
	struct tlsrpt_label label;
	enum tlsrpt_result  result;
	struct slice        reason;     /* "failure-reason-code"; may be empty */
	struct slice        mx, helo;   /* may be empty: there was no session, only a flaw */
	struct ip           from, to;   /* n 0: the same */
};

void session_pack(const struct tlsrpt_session *, struct buf *);
/* Slices point into the bytes, arrays lie in the arena. False: it is none. */
bool session_unpack(struct tlsrpt_session *, struct slice bytes, struct arena *);

/* Where the tally of that day and policy is: tallies are ordered by day, then by domain. */
void tally_key(const struct tlsrpt_label *, uint32_t day, struct buf *key);
/* What all keys of a day and a domain begin with. */
void tally_prefix(uint32_t day, struct slice domain, struct buf *key);
bool tally_key_read(struct slice key, uint32_t *day_r, struct slice *domain_r);

/* One session more; a tally that is { 0 } begins with it.  Everything new lies in the arena. */
void tally_add(struct tlsrpt_counts *, const struct tlsrpt_session *, struct arena *);

void tally_pack(const struct tlsrpt_counts *, struct buf *);
bool tally_unpack(struct tlsrpt_counts *, struct slice bytes, struct arena *);

/* --- days ------------------------------------------------------------------ */

uint32_t tally_day(int64_t now);                /* of a time in ms since 1970 */
int64_t  tally_midnight(uint32_t day);          /* when it begins */
/* When the report of a day to a domain is sent: spread over TALLY_DELAY_MOST, always the same. */
int64_t  tally_due(uint32_t day, struct slice domain, uint64_t salt);
/* "2026-11-22T00:00:00Z" */
struct slice tally_time(int64_t now, struct arena *);

#endif
