/* SPDX-License-Identifier: ISC */
/*
 * site -- the policy hosts of a world: https://mta-sts.DOMAIN for every domain
 * with an `sts` statement, each at an address of its own, over real TLS and HTTP
 * (web/responder.h), right or wrong as the scenario has it.
 */
#ifndef LAB_SITE_H
#define LAB_SITE_H

#include "lab/world.h"

/*
 * Publishes the records and opens the door.  `hosts` are the mail hosts of the
 * domain, for a policy whose statement names no patterns.
 */
bool site_open(struct world *, struct slice domain, const struct statement *sts,
    const struct slice *hosts, size_t count, struct error *why);
/*
 * From here on the policy host says what this statement says, under another id;
 * its certificate stays.  The zones are not published yet.
 */
bool site_change(struct world *, struct slice domain, const struct statement *sts,
    struct error *why);
/* Who has one, by turn from 0; false at the end. */
struct site_place {
	struct slice            domain, host;
	struct ip               ip;
	const struct statement *statement;
};
bool site_nth(const struct world *, size_t turn, struct site_place *);
void sites_close(struct world *);

#endif
