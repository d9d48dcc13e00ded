/* SPDX-License-Identifier: ISC */
/*
 * reach -- the addresses of an HTTPS host that a stranger named: in his MTA-STS
 * policy's place (RFC 8461 3.3) or in his TLSRPT record (RFC 8460 3).
 *
 * Whoever publishes such a record makes us connect, and chooses host, port and
 * path.  So it leads to public addresses only: not to this host, not to its link,
 * nor into a private network that he cannot reach himself.  An MX may stand in one:
 * what speaks no SMTP has nothing to fear of a sender.
 */
#ifndef STS_REACH_H
#define STS_REACH_H

#include "base/ip.h"
#include "dns/facts.h"

enum { REACH_MOST = 8 };                /* addresses of a host that are tried */

/*
 * From both answers, IPv6 first but not alone; how many.  0: there is none that may
 * be asked.  `local_allowed`: loopback too, because we are on no network ourselves.
 */
size_t reach_addresses(const struct fact *v6, const struct fact *v4, bool local_allowed,
    struct ip to[REACH_MOST]);

#endif
