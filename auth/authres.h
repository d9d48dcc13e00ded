/* SPDX-License-Identifier: ISC */
/*
 * authres -- Authentication-Results (RFC 8601): what was checked and what came
 * out, as a value that can be built, written, read and recognized.
 *
 * The payload is what stands behind "Authentication-Results:", and behind
 * "ARC-Authentication-Results: i=1;" as well.  Methods, result words and
 * properties we write (RFC 8601 2.7, 6008, 8617 10.2, 9989 9.1):
 *
 *     spf     none neutral pass fail softfail temperror permerror policy
 *             smtp.mailfrom  smtp.helo
 *     dkim    none pass fail policy neutral temperror permerror
 *             header.d  header.i  header.s  header.a  header.b (last: it is quoted)
 *     dmarc   none pass fail temperror permerror
 *             header.from  policy.dmarc
 *     arc     none pass fail                     smtp.remote-ip  header.oldest-pass
 *     iprev   pass fail temperror permerror      policy.iprev
 *     auth    none pass fail temperror permerror smtp.auth
 *
 * Whatever a sender wrote goes in as the value of a property or as a reason
 * and can neither end its line nor begin a second result.
 *
 * A struct authres lives in its arena and borrows the slices it was given.
 */
#ifndef AUTH_AUTHRES_H
#define AUTH_AUTHRES_H

#include "base/buf.h"
#include "mail/header.h"

struct authres_property {
	struct authres_property *next;
	struct slice             ptype, name;   /* "smtp", "mailfrom" */
	struct slice             value;         /* quotes undone */
};

struct authres_result {
	struct authres_result   *next;
	struct slice             method, result;
	unsigned                 version;       /* of the method; 1 when it is not said */
	struct slice             reason;        /* may be empty */
	struct authres_property *properties, **last;
	size_t                   count;
};

struct authres {
	struct arena          *arena;
	struct slice           authserv_id;
	struct authres_result *results, **last, *newest;
	size_t                 count;           /* 0: "none" */
	bool                   full;            /* something did not find a place */
};

enum {
	AUTHRES_RESULTS    = 64,
	AUTHRES_PROPERTIES = 32,                /* of one result */
	AUTHRES_VALUE      = 320,               /* octets of a value we write */
};

/* --- build and write ------------------------------------------------------ */

void authres_begin(struct authres *, struct slice authserv_id, struct arena *);
/* A further result; what follows belongs to it. */
void authres_add(struct authres *, const char *method, const char *result);
/* "smtp.mailfrom".  An empty value and one above AUTHRES_VALUE are left out. */
void authres_property(struct authres *, const char *property, struct slice value);
/* Why; the same rule. */
void authres_reason(struct authres *, struct slice reason);

/*
 * The payload, folded, without a line end.  `utf8`: the message is
 * internationalized and UTF-8 may stand in a value (RFC 8601 2.2, RFC 6532);
 * otherwise every such byte becomes '?', as control characters always do, and
 * the authserv-id is written in A-labels.
 */
void authres_write(const struct authres *, bool utf8, struct buf *);

/* --- read ----------------------------------------------------------------- */

/*
 * A payload by the grammar of RFC 8601 2.2, with the liberties that common
 * writers take: a semicolon at the end, a property without its ptype, and as
 * a property's value any characters but white space and ; ( ) " \.  False when
 * it is none, when its version is not 1, and above the bounds: then nothing
 * may be concluded from it.
 */
bool authres_parse(struct slice payload, struct arena *, struct authres *);

/* Its front alone, taken off *s: the id and the version, 1 when it is not said. */
bool authres_head(struct slice *s, struct arena *, struct slice *authserv_id_r, unsigned *version_r);
/* The first result of that method behind `after` (NULL: of all), or NULL. */
const struct authres_result *authres_find(const struct authres *, const char *method,
    const struct authres_result *after);
/* The value of "header.d", empty when it is not there. */
struct slice authres_value(const struct authres_result *, const char *property);

/* --- recognize (RFC 8601 5) ----------------------------------------------- */

/*
 * Does this payload claim to be ours?  Read as leniently as the most careless
 * reader behind us might: whatever the case, with U-labels or A-labels, in
 * quotes, split by folds, comments or white space of Unicode, inside a comment,
 * with anything around it, whatever follows.  A payload that names no id at all claims every one,
 * and so does one whose front is too tangled to be honest.
 */
bool authres_claims(struct slice payload, struct slice authserv_id, struct arena *);

struct authres_forged {
	const struct field **fields;    /* in their order */
	size_t               count;
};

/*
 * The fields of a stranger's message that must not be passed on: those that
 * claim one of our ids, and those of a version we do not know (RFC 8601 5); and
 * Received-SPF that says we received it (RFC 7208 9.1), as leniently read.
 * ARC-Authentication-Results are not touched; their seal tells who wrote them.
 * False when the arena is full.
 */
bool authres_forged(const struct header *, const struct slice *authserv_ids, size_t count,
    struct arena *, struct authres_forged *);

#endif
