/* SPDX-License-Identifier: ISC */
/*
 * facts -- what one transaction knows of the DNS, and what it still asks.
 *
 * A pure evaluator asks fact().  NULL means "not known yet": the question is
 * noted and the evaluator gives up for this time ("not concluded").  The shell
 * looks up all noted questions at once and calls the evaluator again from its
 * beginning.  Facts only grow, so it goes the same way and gets further.
 *
 * Several evaluators may share the facts of a transaction, each as a part with
 * questions of its own: facts_turn() says who asks from now on, and whether
 * there is anything new for him.  What one part asks never takes a question
 * from another one, and a part need not be called for answers that it does not
 * wait for.
 *
 * Facts come from the resolver (dns/resolve) or from a text (dns/zone): the
 * evaluators cannot tell the difference.
 */
#ifndef DNS_FACTS_H
#define DNS_FACTS_H

#include "base/arena.h"

enum {
	RR_A = 1, RR_NS = 2, RR_CNAME = 5, RR_SOA = 6, RR_PTR = 12, RR_MX = 15, RR_TXT = 16,
	RR_AAAA = 28, RR_TLSA = 52,
};

enum answer {
	ANSWER_FOUND,                   /* at least one record of the type, here or left out */
	ANSWER_NODATA,                  /* the name is there, the type is not */
	ANSWER_NXDOMAIN,                /* nothing at or below the name (RFC 8020) */
	ANSWER_BROKEN,                  /* could not find out: SERVFAIL, timeout, bogus */
};

enum security {                         /* RFC 4035 4.3; never confused with each other */
	DNS_INSECURE,                   /* provably unsigned, or nobody validated */
	DNS_SECURE,
	DNS_BOGUS,                      /* always together with ANSWER_BROKEN */
};

struct record {
	uint16_t     preference;        /* of an MX */
	struct slice data;              /* A, AAAA: 4, 16 bytes; TXT: all strings joined; MX, */
	                                /* CNAME, NS, PTR: a name, empty for the root; */
	                                /* TLSA: usage, selector, matching type, data */
};

struct fact {
	struct fact   *next, *bucket;   /* as asked; of the same bucket */
	uint64_t       hash;            /* of the name */
	unsigned       waiting;         /* the parts that wait for it, as bits */
	struct slice   name;            /* lower case, no dot at the end */
	uint16_t       type;
	enum { FACT_WANTED, FACT_ASKED, FACT_KNOWN } state;
	enum answer    answer;
	enum security  security;        /* of the whole answer, CNAMEs included */
	struct slice   canonical;       /* where the records stand: another name behind CNAMEs */
	uint32_t       ttl;             /* seconds; the least of the answer */
	size_t         count, left_out; /* records that are here; those that had no place */
	struct record *records;
	size_t         places, room;    /* records and octets that may be kept, for whoever answers */
	struct slice   why;             /* of ANSWER_BROKEN: one line for people, or empty */
};

enum {
	FACTS_MOST = 200,               /* questions of whoever is no part; further ones are broken */
	FACTS_PARTS = 8,                /* 0 is whoever has not said who he is, with FACTS_MOST */
	FACTS_BUCKETS = 64,
	FACT_OCTETS = 32 << 10,         /* of the data of an answer are kept ... */
	FACT_OCTETS_RECORD = 64,        /* ... and one record for each so many of them */
};

struct facts {
	struct arena *arena;
	struct fact  *first, **last;    /* in the order in which they were asked */
	size_t        count, known;
	unsigned      part;             /* who asks now */
	size_t        left[FACTS_PARTS]; /* how many questions each may still ask */
	unsigned      begun, stirred;   /* parts that had a turn; for whom an answer came since, as bits */
	struct fact  *buckets[FACTS_BUCKETS];
};

void facts_begin(struct facts *, struct arena *);

/*
 * It is the turn of this part, which may ask `most` questions in all of its turns;
 * one that is noted already costs nothing.  False: no answer that it waits for
 * has come since its last turn, and to evaluate it would give what it gave then.
 */
bool facts_turn(struct facts *, unsigned part, size_t most);

/*
 * The fact, or NULL when it is not known yet.  A name that cannot stand in a
 * question (domain.h, domain_lengths_ok) does not exist: ANSWER_NXDOMAIN.
 */
const struct fact *fact(struct facts *, struct slice name, uint16_t type);

/* The same; no more than so many octets of its records' data are of any interest. */
const struct fact *fact_within(struct facts *, struct slice name, uint16_t type, size_t octets);

/* Note a question for later: nobody waits for its answer yet. */
void fact_ahead(struct facts *, struct slice name, uint16_t type);

/* --- for whoever answers ------------------------------------------------- */

struct fact *facts_next_wanted(struct facts *);         /* becomes FACT_ASKED; NULL: none */
bool         facts_pending(const struct facts *);       /* something is wanted or asked */
/* Make place for so many records, or for as many as are kept; then add them.  False: no memory. */
bool         fact_expect(struct facts *, struct fact *, size_t records);
/* A copy of it; one that finds no place is left out, and counted. */
bool         fact_add(struct facts *, struct fact *, uint16_t preference, struct slice data);
/* Conclude one question. `why` is copied. */
void         fact_known(struct facts *, struct fact *, enum answer, const char *why);
/* The deadline has come: what is still open is broken. */
void         facts_expire(struct facts *);

const char *rr_name(uint16_t type);                     /* "TXT"; "TYPE99" is not known: NULL */
bool        rr_type(struct slice name, uint16_t *type_r);
const char *answer_name(enum answer);                   /* "found", "nodata", "nxdomain", "broken" */
const char *security_name(enum security);               /* "insecure", "secure", "bogus" */

#endif
