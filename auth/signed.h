/* SPDX-License-Identifier: ISC */
/*
 * signed -- what of a header is under a signature (RFC 6376 3.7, 5.4.2).
 *
 * The same for whoever signs and whoever verifies: the fields that h= names,
 * in its order, from the bottom of the header up among equal names, each in
 * canonical form; then the signature's own field without the value of its b=.
 */
#ifndef AUTH_SIGNED_H
#define AUTH_SIGNED_H

#include "auth/canon.h"
#include "mail/header.h"

enum { SIGNED_NAMES_MOST = 1000 };      /* names in h= */

/*
 * The fields of a header by name, and from the bottom up among equal names
 * (RFC 6376 5.4.2), so that h= costs no more than its length.  In the arena;
 * false when that is full.
 */
struct field_order {
	const struct header *header;
	const struct field **sorted;
	unsigned            *taken;     /* by the place of the first of a name */
};

bool field_order_make(struct field_order *, const struct header *, struct arena *);

/* Fields go in, one after the other, then digests can be taken. */
struct signed_text {
	enum canon    canon;
	struct sha256 hash;
	uint64_t      octets;           /* made canonical so far */
	struct buf    room;             /* one canonical field */
};

struct signed_text signed_text_begin(enum canon, size_t longest_field);
void signed_text_add(struct signed_text *, struct slice whole);
/* The fields that h= names; `self` is a signature in that header and is not one of them. */
void signed_text_add_names(struct signed_text *, struct field_order *, struct slice names,
    const struct field *self);
/* With the signature's own field behind, b_raw left out and no CRLF. Nothing is consumed. */
void signed_text_digest(struct signed_text *, struct slice own, struct slice b_raw,
    unsigned char digest_r[SHA256_BYTES]);
void signed_text_free(struct signed_text *);

#endif
