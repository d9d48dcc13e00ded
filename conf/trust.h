/* SPDX-License-Identifier: ISC */
/*
 * trust -- the ARC sealers whose word counts here (`arc { trust … }`).
 *
 * In a file each line names a domain, or with a dot before it everything below
 * a domain, and perhaps a selector behind it: then only seals made with that
 * one count.  Nobody is trusted unless named.
 */
#ifndef CONF_TRUST_H
#define CONF_TRUST_H

#include "conf/conf.h"

struct trust;

/* From the patterns of the configuration and the files behind the reader. */
struct trust *trust_new(const struct arc_conf *, const struct reader *, struct flaws *);
void          trust_free(struct trust *);       /* NULL is fine */

/* Is this sealer trusted?  d= and s= of an ARC-Seal (RFC 8617 4.1.3). */
bool   trust_holds(const struct trust *, struct slice domain, struct slice selector);
size_t trust_count(const struct trust *);       /* how many patterns there are */

#endif
