/* SPDX-License-Identifier: ISC */
/*
 * routes -- inside of route.c (looking up), routes.c (building), routes_check.c
 * and expand.c: the maps behind route.h.
 */
#ifndef CONF_ROUTES_H
#define CONF_ROUTES_H

#include "conf/route.h"
#include "conf/table.h"

/* What stands under a name of a domain. */
struct entry {
	struct entry  *next;            /* of those that lead somewhere, in the order of the texts */
	const struct home *home;
	struct slice   name;            /* local part, as it was written */
	struct place   place;
	bool           user;
	struct target *targets;         /* of an alias */
	struct list   *list;
	const struct list *bounces;     /* it is NAME-bounces of this one */
	const struct transport *manager;        /* of lists, or NULL */
	enum { UNSEEN, ON_PATH, DONE } state;   /* while loops are looked for */
	const struct entry *from;
	unsigned       height;          /* how many aliases follow each other below */
};

/* A domain of ours. */
struct home {
	const struct domain_conf *conf;
	struct map   names;             /* local part -> struct entry */
	bool         everyone;          /* every name is a user */
	struct entry *catch_all;        /* or NULL */
};

struct routes {
	const struct conf *conf;
	struct arena *arena;
	struct home  *home;             /* in the order of the configuration */
	size_t        home_count;
	struct map    homes;            /* domain -> struct home */
	struct entry *first, **last;    /* aliases, lists and catch-alls */
	struct entry *postmaster;       /* of those domains that have nobody for it, or NULL */
};

/* The domain of ours that an address belongs to, or NULL. */
struct home  *home_of(const struct routes *, const struct address *);
/* The entry of a local part, or of what stands before its `+`; or NULL. */
struct entry *home_find(const struct home *, struct slice local);
/* What a local part stands for: the order of route.h. NULL: a mere user, or nobody. */
struct entry *home_resolve(const struct routes *, const struct home *, struct slice local);
struct slice  without_detail(struct slice local);
bool          is_role(struct slice local);       /* postmaster, abuse */
/* Can a directory have this name, and nothing outside of it be meant? */
bool safe_in_a_path(struct slice name);
/* The mailbox of an address, whatever aliases it has. */
struct route own_mailbox(const struct home *, struct slice local, struct arena *);

/* Loops, targets that nobody has, domains without a postmaster. */
void routes_check(struct routes *, struct flaws *);

#endif
