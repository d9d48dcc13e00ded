/* SPDX-License-Identifier: ISC */
/*
 * publish -- what the domains of a world say of themselves in the DNS: addresses
 * and reverse names of hosts, MX, SPF, DKIM and ARC keys, DMARC, MTA-STS, TLSA.
 */
#ifndef LAB_PUBLISH_H
#define LAB_PUBLISH_H

#include "lab/world.h"

/* Address and reverse name of a host. */
bool publish_host(struct citizen *, struct error *why);

/*
 * A domain with its statements (of the context zone), on a host or (NULL) on none.
 * Opens its policy host too.
 */
bool publish_domain(struct world *, struct citizen *, struct slice name,
    const struct statement *domain, struct error *why);

/* One record with its data as a scenario has them: as in a zone file, but TXT without quotes. */
bool publish_record(struct world *, struct slice name, uint16_t type, struct slice data,
    struct error *why);
bool publish_type(const struct word *, uint16_t *type_r, struct error *why);

#endif
