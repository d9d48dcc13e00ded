/* SPDX-License-Identifier: ISC */
/*
 * sessions -- TLS sessions that may be resumed, so that the next handshake with a
 * host costs less.
 *
 * A resumed session shows no certificate and repeats the verdict of the one it
 * came from.  So a session is kept only when it proved all that was looked at,
 * under the key of its plan (host, port, rule, what had to be proved, names, TLSA
 * records: plan.h) and the address, and it is found only under the same; any
 * other plan makes a full handshake.  After SESSION_LIFE nothing is believed any
 * more, and a ticket is used once (RFC 8446 C.4).  There is a ceiling; who came
 * first goes first.
 */
#ifndef DELIVERY_SESSIONS_H
#define DELIVERY_SESSIONS_H

#include <openssl/ssl.h>

#include "base/clock.h"
#include "delivery/plan.h"
#include "net/peer.h"

enum { SESSIONS_MOST = 500, SESSION_LIFE = 30 * MINUTE };

struct sessions;

struct sessions *sessions_new(const struct clock *);
void             sessions_free(struct sessions *);      /* NULL is fine */

/* Before a handshake: resume the session that is kept for this, if there is one. */
void sessions_resume(struct sessions *, SSL *, const struct plan_host *, const struct peer *);
/* Behind one that proved what it should, and some reading: the server sends tickets late. */
void sessions_keep(struct sessions *, SSL *, const struct plan_host *, const struct peer *);
size_t sessions_count(const struct sessions *);

#endif
