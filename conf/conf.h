/* SPDX-License-Identifier: ISC */
/*
 * conf -- what the administrator wants, as values.
 *
 * There is no struct that everybody gets: a module is handed the small struct
 * that is about it and nothing else.  Durations are in milliseconds, sizes in
 * bytes, domains normal (mail/domain.h), file names joined with the directory
 * of the text they stand in.  Everything lies in the arena of the conf and lives
 * as long as it; a conf never changes once it was read: a process is replaced,
 * not reconfigured.
 *
 * Reading has three parts: keywords_check() marks the tree, conf_build() makes
 * values of it, conf_check() looks at the whole.  conf_parse() does all three.
 * Outside tables (aliases, users, members, trusted sealers) are read by
 * route.h and trust.h, because not every role may see them.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/log.h"
#include "base/map.h"
#include "conf/keywords.h"
#include "conf/value.h"

/* An outside file, and where it is named. */
struct conf_file {
	struct slice      name;
	enum file_purpose purpose;
	struct place      place;
	bool              usual;        /* not named: the default; may be missing */
};

/* --- one struct per module ---------------------------------------------------- */

struct log_conf {
	bool           json;
	enum log_level least;
};

struct resolver_conf {
	struct endpoint *servers;       /* none: those of /etc/resolv.conf */
	size_t           server_count;
	struct place     server_place;
	struct slice     anchor;        /* empty: nothing is validated */
	struct place     anchor_place;
	struct slice     facts;         /* not empty: nothing else is asked */
};

/* A certificate with its chain, and its key. */
struct identity_conf {
	struct slice cert, key;
	struct place place;
};

/* A door for clients. */
struct listen_conf {
	struct slice     name;          /* "mx" */
	struct place     place;
	struct endpoint *on;
	size_t           on_count;
	struct identity_conf *tls;      /* none: no TLS is offered */
	size_t           tls_count;
	bool             tls_implicit;
	struct network  *relay;         /* who may send to any domain */
	size_t           relay_count;
	struct rate      messages;      /* per client; count 0: no limit */
	unsigned         connections;
	uint64_t         size;          /* the largest message; that of limits where not set */
	bool             seal_arc;
	struct slice     sign_dkim;     /* a domain that has a key, or empty */
	struct place     sign_place;
};

/* The door for HTTPS. It is there when the block is; see conf_serves(). */
struct web_conf {
	bool             there;
	struct place     place;
	struct endpoint *on;
	size_t           on_count;
	struct identity_conf *tls;
	size_t           tls_count;
	unsigned         connections;
};

/* What is published of MTA-STS (RFC 8461 3.2): nothing, or a policy of that mode. */
enum sts_serving { SERVE_OFF, SERVE_NONE, SERVE_TESTING, SERVE_ENFORCE };

/* A name or an address as it stands in a statement. */
struct conf_mailbox {
	struct address address;         /* in the block's domain when none was written */
	struct place   place;
};

struct alias_conf {
	struct conf_mailbox *names, *targets;
	size_t               name_count, target_count;
};

struct list_conf {
	struct conf_mailbox  address;
	struct conf_mailbox *members;
	size_t               member_count;
	struct conf_file   **member_files;
	size_t               member_file_count;
	struct slice         tag;               /* before the subject, or empty */
	struct slice         footer;            /* lines ended by \n, or empty */
	struct conf_mailbox  owner;
	struct conf_mailbox  moderator;         /* address.text empty: none */
	enum { POST_OPEN, POST_MEMBERS, POST_MODERATOR } post;
	bool                 skip_sender, skip_addressed;
	bool                 keep_from;         /* the author stays, whatever his domain asks for */
	bool                 verp;
	struct slice         name;              /* for people, or empty */
	struct slice         help, subscribe, unsubscribe, archive;     /* URIs, or empty */
	struct slice         one_click;         /* https URI before a member's word, or empty */
};

struct domain_conf {
	struct slice      name;
	struct place      place;
	enum { DELIVER_NOWHERE, DELIVER_MAILDIR, DELIVER_LMTP, DELIVER_DISCARD } deliver;
	struct slice      maildir;      /* with %u, %d and %% in it */
	struct endpoint   lmtp;
	struct place      deliver_place;

	bool              users_named;  /* otherwise see route.h */
	struct conf_mailbox *users;
	size_t            user_count;
	struct conf_file **user_files;
	size_t            user_file_count;

	struct alias_conf *aliases;
	size_t            alias_count;
	struct conf_file **alias_files;
	size_t            alias_file_count;
	struct conf_mailbox catch_all;  /* address.text empty: none */

	struct list_conf **lists;
	size_t            list_count;
	struct conf_file **map_files;   /* of list managers */
	size_t            map_file_count;
	struct slice      tag, footer;  /* of lists that have none of their own */

	struct slice     *mx;           /* the hosts that take its mail, the best first; … */
	size_t            mx_count;     /* … at least one */
	enum sts_serving  sts;
	int64_t           sts_max_age;
	struct place      sts_place;
};

struct key_conf {
	struct slice name;
	struct place place;
	struct slice domain, selector, file;
	struct place domain_place;
};

enum { SEAL_FORWARDS = 1, SEAL_LISTS = 2, SEAL_ALL = 4 };

struct arc_conf {
	struct slice      *trust;       /* patterns: domain_matches() */
	size_t             trust_count;
	struct conf_file **trust_files;
	size_t             trust_file_count;
	unsigned           seal;        /* of the bits above */
};

enum tls_need {
	TLS_OPPORTUNISTIC,              /* better than nothing; in the clear when it cannot be */
	TLS_ENCRYPT,                    /* never in the clear */
	TLS_VERIFIED,                   /* certificate by the roots, name matches */
	TLS_DANE,                       /* usable TLSA records, matched */
	TLS_STS,                        /* an enforced MTA-STS policy, obeyed */
	TLS_DANE_OR_STS,
};

/* What holds for a destination: all fields are set, defaults are filled in. */
struct destination_conf {
	struct endpoint via;            /* ENDPOINT_NONE: by MX */
	enum tls_need   tls;
	bool            dane, sts;
	unsigned        connections;
	struct rate     rate;           /* count 0: no limit */
	struct place    via_place, tls_place;   /* where that was said last */
};

/* Addresses, domains, and what is below domains: route_whom() finds one. */
struct whom {
	struct slice *patterns;         /* in the order of the configuration, maybe twice */
	size_t        count;
	struct map    map;              /* pattern -> this */
};

struct delivery_conf {
	struct destination_conf usual;  /* comes first: its statements fill it */
	struct map exact, below;        /* "example.org", and "x" for ".x" -> destination_conf */

	struct ip source4, source6;     /* n == 0: the system chooses */
	bool     hold;
	struct whom hold_to, hold_from; /* held when they come */
	int64_t *retry;                 /* the first waits */
	size_t   retry_count;           /* at least one */
	int64_t  retry_every;           /* all further ones */
	int64_t  expire, expire_reports;
	struct place expire_place;
	int64_t  warn;                  /* 0: never */
	bool     eight_bit_send;        /* to hosts without 8BITMIME too */
	bool     tls_reports;           /* RFC 8460 */
	bool     srs;                   /* forwarded mail gets a sender of ours where it needs one */
};

/* What the standards leave to us (STANDARDS L1), for auth and smtpd. */
struct policy_conf {
	enum { HEED_EVIDENCE, HEED_STRICT, HEED_NEVER } dmarc_reject;
	bool dmarc_temperror_defer;
	bool arc_temperror_defer_once;
	bool spf_fail_reject;
	bool received_spf;              /* written beside Authentication-Results */
	bool several_authors_accept;
	bool bare_newline_normalize;
	bool tls_13;                    /* nothing older than TLS 1.3 */
};

struct limits_conf {
	unsigned recipients, received, errors, commands;
	uint64_t size, line;
	int64_t  idle;
};

/* --- the whole ------------------------------------------------------------------ */

struct conf {
	struct arena *arena;
	struct tree  *tree;             /* what it was made of, when it is ours */
	struct tree **usual;            /* the defaults, a tree a context */
	size_t        usual_count;
	struct place  begin;            /* of flaws that have no statement */

	struct slice hostname;
	struct slice state;             /* a directory */
	struct place state_place;
	struct slice user;              /* whose rights are kept by what was started as root */
	struct place user_place;
	bool         user_usual;        /* the default: need not exist */
	struct slice roots;

	struct log_conf      log;
	int64_t              history;           /* what became of messages is told so long; 0: never */
	struct resolver_conf resolver;
	struct listen_conf  *listen;
	size_t               listen_count;      /* at least one */
	struct web_conf      web;
	struct domain_conf  *domain;
	size_t               domain_count;
	struct map           domains;           /* name -> struct domain_conf */
	struct key_conf     *key;
	size_t               key_count;
	struct arc_conf      arc;
	struct delivery_conf delivery;
	struct policy_conf   policy;
	struct limits_conf   limits;

	struct conf_file   **file;      /* all outside files but the texts themselves */
	size_t               file_count;
};

/*
 * Read the configuration `name` and what it includes.  Never NULL.  With errors
 * among the flaws it must not be used for anything but telling them.
 */
struct conf *conf_parse(struct slice name, const struct reader *, struct flaws *);
void         conf_free(struct conf *);  /* NULL is fine */

/*
 * From statements that keywords_check() has seen; those of other tables are
 * skipped.  `hostname` holds when no statement sets it; `begin` is the place of
 * flaws that have no statement.  The tree must live as long as the conf.
 */
struct conf *conf_build(const struct statement *first, struct slice hostname, struct place begin,
    struct flaws *);
/* What only the whole can tell: keys of foreign domains, doors for everybody, … (check.c) */
void         conf_check(const struct conf *, struct flaws *);

/*
 * The domain of a name that comes without one from programs here, and of the postmaster
 * who hears what nobody else can be told: the hostname where that is a domain of ours,
 * else the first of ours; the hostname when there is none.
 */
struct slice conf_home(const struct conf *);

/* A text with all defaults of a context, as statements. */
void conf_defaults(const struct vocabulary *, const char *context, struct buf *);

/* The key of that domain, by turn from 0; NULL at the end. */
const struct key_conf *conf_key(const struct conf *, struct slice domain, size_t turn);
/* There is one for the domain, or for one above it: still aligned (RFC 9989 5.3.3). */
bool conf_signs(const struct conf *, struct slice domain);

/* The web role has something to do: a door, and a policy to serve or a list that can be left there. */
bool conf_serves(const struct conf *);
/* No stranger comes to its doors: all of them are on loopback addresses or sockets of this machine. */
bool conf_on_loopback(const struct conf *);
/* There is a list that its members can leave with one click. */
bool conf_lets_leave(const struct conf *);

/* How long a message, or a report, is tried, in ms. */
int64_t conf_patience(const struct conf *, bool report);

#endif
