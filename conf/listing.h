/* SPDX-License-Identifier: ISC */
/*
 * listing -- what a list says of itself, and the addresses that belong to it:
 *
 *     NAME            posts
 *     NAME-bounces    the sender of its posts (RFC 5321 3.9.2); also NAME-bounces+member=domain
 *     NAME-owner      the people who look after it
 */
#ifndef CONF_LISTING_H
#define CONF_LISTING_H

#include "conf/conf.h"
#include "mail/listheader.h"

/* "members" and "-bounces": its address; text.p is NULL when the arena is full. */
struct address listing_address(const struct list_conf *, const char *suffix, struct arena *);

/* For listheader_write(); unsubscription goes to the owner unless configured. In the arena. */
struct list_identity listing_identity(const struct list_conf *, struct arena *);

#endif
