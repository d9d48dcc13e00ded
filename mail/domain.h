/* SPDX-License-Identifier: ISC */
/*
 * domain -- names of hosts and mail domains.
 *
 * Inside the house a domain is in lower case, in A-labels, without a dot at its
 * end.  domain_normal() makes it so; everything else here expects it so.
 */
#ifndef MAIL_DOMAIN_H
#define MAIL_DOMAIN_H

#include "base/arena.h"

enum { DOMAIN_MAX = 253, LABEL_MAX = 63 };

/*
 * The domain as the house wants it, in the arena: U-labels become A-labels
 * (IDNA 2008, RFC 5891), one dot at the end is taken off.  NONE when it is no
 * name: empty labels, labels over 63 or names over 253 octets, anything but
 * letters, digits, hyphen and underscore (RFC 5321 2.3.5, RFC 8616 for `_`).
 */
struct slice domain_normal(struct slice, struct arena *);

/* What domain_normal() lets through, its case and a last dot aside; needs no memory. */
bool domain_valid(struct slice);

/* Syntax of a name for a DNS question: labels 1..63, at most 253 in all. */
bool domain_lengths_ok(struct slice);

unsigned     domain_labels(struct slice);               /* "a.b.c" has 3 */
struct slice domain_parent(struct slice);               /* "b.c"; empty at the top */
/* The last n labels, or all of it. */
struct slice domain_tail(struct slice, unsigned n);
/* Equal, or below: "a.b" is at or below "b". */
bool         domain_within(struct slice name, struct slice top);

/*
 * A pattern of the configuration: "example.org" (exact) or ".example.org"
 * (everything below it, not itself).
 */
bool domain_matches(struct slice pattern, struct slice name);

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 4.1.3): 4 or 16 bytes, or 0. */
size_t domain_literal(struct slice, unsigned char address_r[16]);

#endif
