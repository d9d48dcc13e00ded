/* SPDX-License-Identifier: ISC */
/*
 * spf -- may this client use that domain?  (RFC 7208; RFC 8616 for EAI)
 *
 * spf_evaluate() is check_host() of RFC 7208 4 as a function over facts.  The
 * HELO identity and the MAIL FROM identity are two questions; nothing is
 * shared between them but the facts, so ask both before looking anything up.
 *
 * The answer owns nothing: its slices lie in the facts' arena or are those of
 * the question, and live as long.  Everything in it but the result was written
 * by a stranger; only the explanation has been made safe (printable US-ASCII).
 * An arena or a table of facts that is full gives temperror.  A struct spf
 * begins as { 0 }, or with `steps` set, and belongs to one question.
 *
 * The limits are those of RFC 7208 4.6.4.  They count what an evaluation from
 * left to right needs, in that order, whatever was asked for ahead of time:
 *
 *     include, a, mx, ptr, exists, redirect     10 in all; the 11th: permerror
 *     the PTR question of %{p}                  counts as one of them, once
 *     void look-ups (no such name, no data)     2; the 3rd: permerror
 *     MX hosts of one term                      10; more: permerror
 *     PTR names                                 the first 10; others are ignored
 *     a record                                  8 KiB; longer: permerror
 *     all TXT records of a name                 32 KiB; more: permerror
 *     a domain-spec, expanded                   4 KiB before it is cut to 253; longer: permerror
 *     an explanation, expanded                  400 octets; longer: none
 *
 * A void look-up is one that the record asked for: the question of a term, and
 * those for the addresses of MX hosts.  Not counted are the addresses of PTR
 * names, because the client chooses these, not the record (a name that leads
 * nowhere is skipped, 5.5), %{p}, which has a word for every failure (7.3),
 * exp=, and names that cannot stand in a question, because nobody is asked.
 */
#ifndef AUTH_SPF_H
#define AUTH_SPF_H

#include "base/ip.h"
#include "dns/facts.h"

enum {
	SPF_TERMS_MOST = 10, SPF_VOIDS_MOST = 2, SPF_MX_MOST = 10, SPF_PTR_MOST = 10,
	SPF_RECORD_MOST = 8192, SPF_EXPANSION_MOST = 4096, SPF_EXPLANATION_MOST = 400,
	/*
	 * Questions of one evaluation: the record; of each term one, and ten addresses
	 * (mx, ptr, %{p}); an explanation, with a %{p} of its own.  Records asked for
	 * ahead and never reached are in it: an include that displaces them has no
	 * addresses.
	 */
	SPF_QUESTIONS = 1 + SPF_TERMS_MOST * (1 + SPF_MX_MOST) + 1 + (1 + SPF_PTR_MOST),
};

enum spf_result {                       /* RFC 7208 2.6 */
	SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR,
};

enum spf_identity { SPF_MAILFROM, SPF_HELO };           /* RFC 7208 2.3, 2.4 */

struct spf_question {
	struct ip         client;       /* IPv4-mapped is IPv4 (RFC 7208 5) */
	struct slice      helo;         /* as the client said it */
	struct slice      local, domain; /* of MAIL FROM; no domain: postmaster@HELO (2.4) */
	enum spf_identity identity;
	struct slice      receiver;     /* our host name, for %{r}; empty: "unknown" */
	int64_t           now;          /* milliseconds since 1970, for %{t} */
};

/* A term and where it stands: `at` is the offset of its first byte in the record of `domain`. */
struct spf_place {
	struct slice text, domain;
	size_t       at;
};

struct spf_record;
struct step;

struct spf {
	struct step     *steps;         /* what was done goes below it (auth/steps.h); or NULL */
	bool             done;
	enum spf_result  result;
	enum spf_identity identity;
	struct slice     domain;        /* the one that was checked; empty: there was none */
	struct spf_place term;          /* that decided, or that is wrong; empty: none did */
	unsigned         lookups, voids; /* counted against the limits */
	struct slice     explanation;   /* of a fail, or empty: what the domain wants said (6.2) */
	struct slice     why;           /* of none, temperror, permerror: a sentence */
	struct spf_record *records;     /* private: those without a flaw, read once for all rounds; */
	                                /* of their terms what matters to this client */
};

/* False while facts are missing: they have been asked for; call again when there are more. */
bool spf_evaluate(struct spf *, const struct spf_question *, struct facts *);

const char *spf_result_name(enum spf_result);           /* "softfail" */
const char *spf_identity_name(enum spf_identity);       /* "mailfrom", "helo" */

#endif
