/* SPDX-License-Identifier: ISC */
/*
 * canon -- what a signature looks at: canonical header fields and bodies
 * (RFC 6376 3.4).
 *
 * The body of a message is never in memory.  `struct bodies` holds all distinct
 * hashes that the signatures of one message want; it is told them before the
 * body begins, then fed the body piece by piece, however it is cut:
 *
 *     struct bodies b = { 0 };
 *     bodies_add(&b, CANON_RELAXED, BODY_WHOLE);
 *     while (...)
 *             bodies_update(&b, piece);
 *     bodies_finish(&b);
 *     bodies_get(&b, CANON_RELAXED, BODY_WHOLE)->digest ...
 *
 * The only hash is SHA-256: RFC 8301 3.1 took SHA-1 away and nobody added one.
 * Lines end with CRLF; a bare CR or LF is a letter like others here.
 */
#ifndef AUTH_CANON_H
#define AUTH_CANON_H

#include "base/buf.h"
#include "base/sha256.h"

enum canon { CANON_SIMPLE, CANON_RELAXED };

const char *canon_name(enum canon);     /* "simple", "relaxed" */

/*
 * One whole field (name, colon, value, CRLF) in canonical form, with its CRLF,
 * behind what is in the buf.  False when the buf is full.  (RFC 6376 3.4.1, 3.4.2)
 */
bool canon_field(enum canon, struct slice whole, struct buf *to);

/* --- bodies --------------------------------------------------------------- */

enum { BODIES_LIMITED = 4, BODIES_MOST = BODIES_LIMITED + 2 };
#define BODY_WHOLE UINT64_MAX           /* no l= */

struct body_hash {
	enum canon    canon;
	uint64_t      limit;            /* l=: only so many canonical octets, or BODY_WHOLE */
	struct sha256 hash;
	unsigned char digest[SHA256_BYTES];     /* when finished */
	uint64_t      length;           /* when finished: canonical octets of the whole body */
};

/* One canonical form on its way; private. */
struct body_form {
	bool     wanted;
	uint64_t length;                /* canonical octets so far */
	uint64_t line_ends;             /* seen, but not part of the form unless more follows */
	bool     space, cr;             /* the same: white space, then a CR */
	uint64_t lines;                 /* line ends seen in all */
	struct body_mark *marks;        /* a ring of `remembered`, when asked */
	size_t   marked;                /* so many were set in all */
};

struct bodies {
	struct body_hash hashes[BODIES_MOST];
	size_t           count, limited;
	struct body_form forms[2];      /* by enum canon */
	size_t           remembered;    /* line ends */
	bool             started, finished;
};

/*
 * Want a hash, if it is not wanted yet.  The two forms always fit in whole; false
 * when there are BODIES_LIMITED others with an l= already.
 */
bool bodies_add(struct bodies *, enum canon, uint64_t limit);
void bodies_update(struct bodies *, struct slice piece);
void bodies_finish(struct bodies *);
/* NULL when it was not wanted. */
const struct body_hash *bodies_get(const struct bodies *, enum canon, uint64_t limit);

/*
 * For hints, and for programs that have time: remember the hash at the last
 * `lines` line ends, before the body begins.  Afterwards bodies_without_tail()
 * tells whether the digest is that of the body without its last lines: then
 * *kept_r lines are as they were, and *added_r came behind them.  bodies_free()
 * is needed only after bodies_remember().
 */
void bodies_remember(struct bodies *, size_t lines);
bool bodies_without_tail(const struct bodies *, enum canon, const unsigned char digest[SHA256_BYTES],
    uint64_t *kept_r, uint64_t *added_r);
void bodies_free(struct bodies *);

#endif
