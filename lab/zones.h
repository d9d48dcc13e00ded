/* SPDX-License-Identifier: ISC */
/*
 * zones -- the DNS of a lab's world, made, signed and changed.
 *
 * Every domain is a zone of its own; a record belongs to the closest zone above
 * its name.  Always there are the root, "test" and the reverse zone of the
 * lab's addresses (42.0.127.in-addr.arpa), all secure: what nobody put into the
 * world is a secure NXDOMAIN, and nobody outside is ever asked.
 *
 *   secure      signed, with a DS in its parent
 *   insecure    not signed, no DS
 *   bogus       signed, but no signature of its data fits, only its key's does
 *
 * Below an insecure zone everything is insecure, below a bogus one bogus.
 *
 * Changes gather until zones_publish(): it writes and signs the zones whose
 * text is another one now, and only those, into a directory of plain files:
 *
 *   NAME.zone, NAME.signed      before and after signing ("@" is the root)
 *   unbound.conf                for resolver_options.config
 *   anchor                      the root's DS, for whoever validates
 *
 * Signatures are valid from five years before the lab's "now" to ten years
 * after it.  With the same calls the files are the same bytes (keys.h: no
 * secrets).  One process a zone signs, about 5 ms; it blocks: not for a role.
 *
 * How a question fails (SERVFAIL, silence) is another matter than what the
 * zones say: it holds at once, and nothing is signed for it.
 */
#ifndef LAB_ZONES_H
#define LAB_ZONES_H

#include "dns/resolve.h"
#include "lab/signer.h"

struct zones;

struct zones_options {
	const char *directory;          /* made when it is not there */
	uint64_t    seed;
	int64_t     now;                /* ms since 1970 */
	struct ip   server;             /* of ns.test, which all zones name; none: 127.0.42.53 */
};

/* Nothing is signed before zones_publish(). */
struct zones *zones_new(const struct zones_options *, struct error *why);
void          zones_free(struct zones *);               /* the files stay; NULL is fine */

enum zone_security { ZONE_SECURE, ZONE_INSECURE, ZONE_BOGUS };

/* "secure", "insecure", "bogus": the words of a scenario. */
bool zone_security_parse(struct slice, enum zone_security *security_r);

/* A domain as a zone of its own, or another state for one that is there. */
bool zones_domain(struct zones *, struct slice name, enum zone_security, enum zone_denial,
    struct error *why);

/*
 * A, AAAA, MX, TXT, TLSA, CNAME, PTR.  `name` may begin with "*.".  A record
 * that is there already is not added again.  False with *why for names that
 * are none, other types, a CNAME beside other records (RFC 1034 3.6.2), and
 * data that take more than ZONES_DATA_MOST letters: with the record's name and
 * signature about 64 KiB is all that a message, and libunbound's reader, hold.
 */
enum { ZONES_DATA_MOST = 62000 };
bool zones_add(struct zones *, struct slice name, uint16_t type, const struct record *,
    struct error *why);
/* The same, with the data as text: dns/zone.h, record_parse(). */
bool zones_add_text(struct zones *, struct slice name, uint16_t type, struct slice data,
    struct error *why);
/* All records of the type at the name. */
void zones_remove(struct zones *, struct slice name, uint16_t type);
/* The signature of these records does not fit: bogus in a zone that is secure. */
void zones_tamper(struct zones *, struct slice name, uint16_t type, bool tampered);
/* Questions for the name and type fail from now on, or (DNS_NO_FAULT) no more. */
void zones_fault(struct zones *, struct slice name, uint16_t type, enum dns_fault);

/*
 * Make all changes visible.  On failure the zones that could not be signed are
 * as they were, and are tried again next time.
 */
bool     zones_publish(struct zones *, struct error *why);
/* How often something became visible: when it grows, a resolver must be made anew. */
uint64_t zones_generation(const struct zones *);

/*
 * How a resolver sees the published world at a time: config, anchor,
 * validate_at, fault.  What is filled in lives as long as the zones.
 */
void zones_resolver(struct zones *, int64_t now, struct resolver_options *);
/* The root's DS as a line. */
struct slice zones_anchor(const struct zones *);
/* For resolver_options.fault; arg is the zones. */
enum dns_fault zones_fault_for(void *zones, struct slice name, uint16_t type);

/* What is published, for whoever serves it. Valid until the next zones_publish(). */
struct published_zone {
	struct slice  name;             /* as in facts.h */
	enum security chain;            /* does the chain of trust reach the zone's key? */
	struct slice  text;             /* records.h reads it */
};
size_t zones_published(const struct zones *, const struct published_zone **first_r);

#endif
