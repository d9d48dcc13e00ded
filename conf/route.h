/* SPDX-License-Identifier: ISC */
/*
 * route -- what the configuration says of an address.
 *
 * An address of a domain of ours is looked up in this order, without regard to
 * the case of its local part:
 *
 *   1. what is written: an alias or a list, else a user;
 *   2. the same for the part before the first `+` (sub-addressing: the detail
 *      is for people and for LMTP, a Maildir is named by the user alone);
 *   3. postmaster and abuse always exist (RFC 5321 4.5.1, RFC 2142 4, 5): they are
 *      the domain's catch-all, else the first postmaster that any domain has,
 *      else a user of that name;
 *   4. the catch-all.
 *
 * A list brings NAME-bounces and NAME-owner with it, as aliases to its owner, and a
 * list manager all addresses of its map; a name that is there otherwise stays.
 *
 * Who is a user: those that `users` names.  Without `users` every name is one;
 * but beside a catch-all only the names to which aliases, lists and the
 * catch-all of this configuration deliver, or the catch-all would get nothing.
 *
 * A <postmaster> without a domain is that of the host name; and that one, where the
 * host name is no domain of ours, is the first domain's: our reports give him as contact.
 *
 * The routes read the outside tables once, hold everything in maps (100,000
 * aliases are ordinary), and never change.
 */
#ifndef CONF_ROUTE_H
#define CONF_ROUTE_H

#include "conf/conf.h"
#include "mail/status.h"

struct routes;

/*
 * From the conf, which must outlive the routes, and the tables behind the
 * reader, whose bytes must too.  Flaws: tables that cannot be read or make no
 * sense, names that are there twice, aliases that lead back to themselves,
 * targets that nobody has (a warning).  Never NULL.
 */
struct routes *routes_new(const struct conf *, const struct reader *, struct flaws *);
void           routes_free(struct routes *);    /* NULL is fine */

/* An address that an alias or a list sends to. */
struct target {
	struct target *next;
	struct address address;
	struct place   place;
	bool           final;           /* the mailbox itself, no further aliases */
};

struct list {
	const struct list_conf *conf;
	const struct target    *members;        /* each of them once */
	size_t                  member_count;
	const struct target    *moderator;      /* or NULL */
	struct map              by_address;     /* text -> struct target */
};

enum route_kind {
	ROUTE_REMOTE,                   /* not ours: see route_destination() */
	ROUTE_NO_USER,                  /* ours, but nobody has this name */
	ROUTE_MAILDIR,
	ROUTE_LMTP,
	ROUTE_SMTP,                     /* ours, but a list manager behind SMTP has it */
	ROUTE_DISCARD,
	ROUTE_ALIAS,                    /* go on with its targets: route_expand() does */
	ROUTE_LIST,                     /* a new message goes to its members (RFC 5321 3.9.2) */
};

struct route {
	enum route_kind           kind;
	const struct domain_conf *domain;       /* NULL: REMOTE */
	struct slice              user;         /* MAILDIR, LMTP, SMTP, DISCARD: without the detail */
	struct slice              maildir;      /* MAILDIR: %u and %d filled in */
	const struct target      *targets;      /* ALIAS */
	const struct list        *list;         /* LIST */
	const struct list        *bounces;      /* ALIAS: what comes back to this list, else NULL */
	const struct endpoint    *server;       /* LMTP, SMTP: where */
	bool                      manager;      /* LMTP, SMTP: a list manager stands behind it */
	struct status             refusal;      /* NO_USER: the reply to RCPT */
};

/* Strings of the result lie in the arena or in the routes. */
struct route route_local(const struct routes *, const struct address *, struct arena *);

/* The mailbox of that name whatever aliases say: for an address that an alias led to itself. */
struct route route_mailbox(const struct routes *, const struct address *, struct arena *);

/* May that envelope sender post to the list?  The null sender never may: it answers to mail. */
bool route_may_post(const struct list *, const struct address *sender);

/* What holds for a remote domain: its `to` block with the longest pattern, or the defaults. */
const struct destination_conf *route_destination(const struct conf *, struct slice domain);

/* The pattern that the address fits, a part of its text; NONE when it fits none. */
struct slice route_whom(const struct whom *, const struct address *);

/* --- expansion ----------------------------------------------------------------------- */

enum { EXPAND_DEPTH = 20, EXPAND_MOST = 100000 };

/* How an address was reached: the address itself, and the one it came from. */
struct hop {
	const struct hop *from;         /* NULL: the address that was asked for */
	struct address    address;
	unsigned          depth;
};

struct reached {
	struct reached *next;
	struct route      route;        /* never ALIAS */
	const struct hop *path;         /* ends at the recipient's own address */
};

struct expansion {
	struct reached *first;        /* in the order of the configuration, each once */
	size_t            count;
	const struct hop *loop;         /* a path that leads back to an address on it, or NULL */
	bool              too_deep;     /* EXPAND_DEPTH was reached somewhere */
};

/*
 * All final recipients of an address.  Duplicates are left out, loops are left
 * at the point where they close.  False: more than EXPAND_MOST, or the arena is
 * full; then nothing may be concluded.
 */
bool route_expand(const struct routes *, const struct address *, struct arena *,
    struct expansion *);

#endif
