/* SPDX-License-Identifier: ISC */
/*
 * fault -- what fails on purpose in a world, from a moment of the scenario on.
 *
 *     SMTP    a server with a script (scripted.h) stands before the host for one
 *             connection; it has the host's certificate and takes no message
 *     HTTPS   the policy host answers otherwise, or not at all
 *     DNS     a question fails before anybody is asked (dns/resolve.h)
 *
 * `times` counts connections, requests or questions; `probability` is decided by
 * the scenario's seed.  Of several faults that fit the first one counts.
 */
#ifndef LAB_FAULT_H
#define LAB_FAULT_H

#include "lab/world.h"
#include "web/responder.h"

struct faults *faults_new(struct world *);
void           faults_free(struct faults *);    /* NULL is fine */
/* From now on this fault statement holds. */
bool           faults_add(struct faults *, const struct statement *, struct error *why);

/* For places.guard, resolver_options.fault and policy hosts. */
bool           faults_take(void *faults, const struct peer *world, struct peer *real_r);
enum dns_fault faults_dns(void *world, struct slice name, uint16_t type);
void           faults_https(struct world *, struct slice domain, struct response_plan *);

#endif
