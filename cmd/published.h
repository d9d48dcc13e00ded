/* SPDX-License-Identifier: ISC */
/*
 * published -- the verbs of `chainmail sts` that are about our own policies.
 */
#ifndef CMD_PUBLISHED_H
#define CMD_PUBLISHED_H

#include "conf/conf.h"

/*
 * Write DIR/DOMAIN/.well-known/mta-sts.txt for every domain that has a policy:
 * DIR/DOMAIN is what a web server shows as mta-sts.DOMAIN.  The exit code.
 */
int published_export(const struct conf *, const char *directory);

/*
 * Look at what the world sees of a domain of ours, and print what is left to do
 * (sts/change.h).  0 when nothing is, EX_BAD when something is.
 */
int published_mode(const char *config, const char *domain, bool json);

#endif
