/* SPDX-License-Identifier: ISC */
/*
 * verify -- tell OpenSSL what a host of the plan must prove, and read what it found.
 *
 * The context is net/tls's (tls_client_new: DANE enabled, names not checked for
 * DANE-EE, RFC 7672 3.1.1).  The handshake itself never fails for a certificate:
 * the chain is checked in it all the same, and delivery/judge decides with the
 * result in hand.  So the host gets a QUIT, and the log knows what was wrong
 * with the certificate.
 *
 * A resumed session repeats the verdict of the one it came from and looks at no
 * certificate, whatever is asked of it now.  Sessions may therefore be resumed
 * only under the same plan key (plan.h), and only those that were good.
 */
#ifndef DELIVERY_VERIFY_H
#define DELIVERY_VERIFY_H

#include <openssl/ssl.h>

#include "base/error.h"
#include "delivery/judge.h"

/*
 * For a fresh SSL, before its handshake.  `now` in ms since 1970 is the time
 * certificates are checked for; 0: the machine's.  False when OpenSSL cannot do
 * it, for instance when it takes none of the TLSA records: then nothing can be
 * proved, and the host must not be used.
 */
bool verify_setup(SSL *, const struct plan_host *, int64_t now, struct error *why);

/*
 * Behind the handshake, good or broken off; the fields of EHLO stay as they are.
 * `seen` is filled where something is wrong: it costs a tenth of a delivery.
 */
void verify_read(SSL *, struct secure_found *);
/* The certificate of the host in words: names, last day, issuer; empty without one. */
void verify_describe(SSL *, char text[FOUND_TEXT]);

#endif
