/* SPDX-License-Identifier: ISC */
/*
 * world -- everything a scenario needs that is not the program itself: a
 * directory, a clock, signed zones, an authority, hosts with their
 * configurations, policy hosts, and the log of all of them.
 *
 *     DIRECTORY/ca.pem                 the root that everybody trusts
 *     DIRECTORY/dns/…                  zones.h
 *     DIRECTORY/hosts/NAME/            chainmail.conf, tls.pem, tls.key, keys,
 *                     state/           spool, catalogue, caches
 *                     mail/DOMAIN/USER the Maildirs
 *
 * Hosts live on 127.0.42.x.  The names of things follow from the scenario, so
 * that the same scenario makes the same world, byte for byte.
 */
#ifndef LAB_WORLD_H
#define LAB_WORLD_H

#include "lab/authority.h"
#include "lab/events.h"
#include "lab/host.h"
#include "lab/scenario.h"
#include "lab/scripted.h"
#include "lab/zones.h"

struct world;
struct site;

/* A mail host: a complete MTA, or one that follows a script. */
struct citizen {
	struct citizen         *next;
	struct world           *world;
	struct slice            name, hostname; /* "list.test", "mx.list.test" */
	struct ip               ip;
	const struct statement *statement;      /* host or scripted */
	struct certificate      certificate;
	struct tls_server      *tls;            /* for a script; NULL: no TLS */
	char                   *directory, *config;
	struct host            *host;           /* of a script NULL */
	struct scripted        *scripted;
	struct script           script;
};

/*
 * A world that is open to others: on the machine's clock, at these ports of its
 * addresses.  What its hosts say is told at once instead of being kept.
 */
struct world_doors {
	uint16_t smtp, https;           /* for 25 and 443 */
	/* One line in JSON, of a host's log or about a message that a script took. */
	void   (*said)(void *arg, struct slice host, struct slice line);
	void    *arg;
};

struct world {
	struct scenario  *scenario;
	struct world_doors doors;               /* said NULL: sealed */
	char             *directory;
	struct arena     *arena;
	struct clock      clock;
	struct loop       loop;
	struct places     places;
	struct authority *authority;
	struct zones     *zones;
	struct citizen   *citizens, **last;
	struct site      *sites;                /* policy hosts (site.h) */
	struct tree     **trees;                /* of statements we added */
	size_t            tree_count;
	unsigned          addresses;            /* given so far */
	struct events     events;
	struct faults    *faults;               /* fault.h */
	SSL_CTX          *tls;                  /* of senders */
};

enum { DESK_PORT = 587, MX_PORT = 25, POLICY_PORT = 443 };         /* where users send, where strangers do */

/* NULL with *why when it cannot be made; `directory` is there and empty. */
struct world *world_new(struct scenario *, const char *directory, struct error *why);
/* The same, open to others; loop_run() of its loop lets it live. */
struct world *world_open(struct scenario *, const char *directory, const struct world_doors *,
    struct error *why);
void          world_free(struct world *);       /* the directory stays; NULL is fine */

struct citizen *world_citizen(const struct world *, struct slice name);
/* Who has the domain, or NULL. */
struct citizen *world_citizen_of(const struct world *, struct slice domain);
/* The next free address. */
struct ip       world_address(struct world *);
/* "DIRECTORY/what/ever" */
char           *world_path(const struct world *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool            world_write(const char *path, struct slice, struct error *why);

/* Do all that is due now, and what follows from it. */
void world_settle(struct world *);
void world_advance(struct world *, int64_t ms);

#endif
