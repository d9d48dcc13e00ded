/* SPDX-License-Identifier: ISC */
/*
 * srs -- the Sender Rewriting Scheme: a forwarder's own address as envelope
 * sender, from which only it can read the first sender again.
 *
 *     SRS0=hash=day=domain=local@forwarder                  the first forwarder
 *     SRS1=hash=first-forwarder==hash=day=domain=local@forwarder     every later one
 *
 * A later forwarder names the first one and keeps what that wrote, so addresses
 * do not grow with every hop, and a bounce takes two steps home.
 *
 * The hash is 30 bits of HMAC-SHA256 over what follows it, in base 32: others
 * change the case of a local part, and refuse "/".  The day is counted modulo
 * 1024, so an address lives SRS_DAYS days.  Secrets are rotated (hmac.h).
 *
 * Whether to rewrite at all is not decided here: only where SPF would fail at the
 * next hop.  And a bounce is taken back only if it has no sender itself.
 */
#ifndef MAIL_SRS_H
#define MAIL_SRS_H

#include "base/hmac.h"
#include "mail/address.h"

enum { SRS_DAYS = 21 };

struct srs {
	struct slice domain;            /* ours, in which the addresses are made */
	struct secrets  secrets;
};

enum srs_result {
	SRS_OK,
	SRS_NONE,                       /* forward: the sender needs none; back: it is no such address */
	SRS_LONG,                       /* the local part would be over 64 octets (RFC 5321 4.5.3.1.1),
	                                   or the arena is full */
	SRS_MALFORMED,
	SRS_FORGED,
	SRS_EXPIRED,
};

/*
 * The sender for the next hop.  None is needed by the null reverse-path and by
 * senders of our own domain, among them those that were rewritten here before.
 * `now` in milliseconds since 1970.
 */
enum srs_result srs_forward(const struct srs *, const struct address *sender, int64_t now,
    struct arena *, struct address *sender_r);

/* Where a bounce goes that came to `recipient`. */
enum srs_result srs_back(const struct srs *, const struct address *recipient, int64_t now,
    struct arena *, struct address *recipient_r);

/* Whether an address has the form; for recipients of our domain before anything else is asked. */
bool srs_is(const struct address *);

const char *srs_result_name(enum srs_result);

#endif
