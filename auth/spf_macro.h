/* SPDX-License-Identifier: ISC */
/*
 * spf_macro -- macro-strings of SPF (RFC 7208 7): check them, expand them.
 *
 * One reader cuts a macro-string into pieces; checking and expanding both use
 * it.  What is expanded is never expanded again.
 */
#ifndef AUTH_SPF_MACRO_H
#define AUTH_SPF_MACRO_H

#include "base/buf.h"

/* What the letters stand for (RFC 7208 7.2). */
struct spf_values {
	struct slice sender;            /* s */
	struct slice local;             /* l */
	struct slice sender_domain;     /* o */
	struct slice domain;            /* d: the one whose record is being read */
	struct slice address;           /* i: with dots between the digits of IPv6 */
	struct slice validated;         /* p */
	struct slice family;            /* v: "in-addr", "ip6" */
	struct slice helo;              /* h */
	struct slice readable;          /* c: the address as people write it */
	struct slice receiver;          /* r */
	struct slice time;              /* t: seconds since 1970 */
};

/* Both give what is wrong as half a sentence, or NULL: nothing is. */
const char *spf_macro_flaw(struct slice macro_string);
const char *spf_domain_flaw(struct slice domain_spec);
/* The text of an explanation (RFC 7208 6.2): may hold spaces and the letters c, r, t. */
const char *spf_explanation_flaw(struct slice text);

/* True when one of the letters (in lower case) occurs as a macro. */
bool spf_macro_uses(struct slice macro_string, const char *letters);

/* Expand what has no flaw.  False when the buf is full. */
bool spf_macro_expand(struct buf *, struct slice macro_string, const struct spf_values *);

#endif
