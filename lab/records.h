/* SPDX-License-Identifier: ISC */
/*
 * records -- a zone's records as they go over the wire, in canonical order.
 *
 * Read from the text of a zone that we wrote or that ldns-signzone signed: one
 * record a line, absolute names, a TTL and IN before the type, types that a
 * mail world has, DNSSEC's included (RFC 1035, RFC 4034, RFC 5155).  A comment
 * ";bogus" behind an RRSIG says that it was broken on purpose.
 *
 * A name here is in wire form (length, label, …, 0) and lower case; unlike a
 * text it cannot be mistaken, whatever bytes a label holds.
 */
#ifndef LAB_RECORDS_H
#define LAB_RECORDS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "dns/facts.h"

enum {
	RR_DS = 43, RR_RRSIG = 46, RR_NSEC = 47, RR_DNSKEY = 48, RR_NSEC3 = 50, RR_NSEC3PARAM = 51,
};

enum { NAME_WIRE = 255 };               /* with the root's zero byte (RFC 1035 3.1) */

/* From text without escapes; false when it is no name. "" is the root. */
bool         name_to_wire(struct slice text, struct buf *);
struct slice name_parent(struct slice name);            /* not of the root */
bool         name_within(struct slice name, struct slice top);  /* equal or below */
/* Canonical order (RFC 4034 6.1): negative, zero or positive. */
int          name_order(struct slice a, struct slice b);

struct rrset {
	struct slice        name;
	uint16_t            type;
	uint32_t            ttl;
	const struct slice *data;
	size_t              count;
	const struct slice *signatures;         /* the data of its RRSIGs */
	size_t              signature_count;
	bool                bogus;
};

struct records {
	struct slice         name;              /* of the zone */
	const struct rrset  *sets;              /* by name, then by type; without NSEC3 */
	size_t               count;
	const struct rrset  *denials;           /* NSEC or NSEC3, by name */
	size_t               denial_count;
};

/*
 * Everything in the arena.  False with *why: "LINE: …" for what cannot be read,
 * line 0 when there is no SOA at the zone's name or the arena is full.
 */
bool records_read(struct slice zone, struct slice text, struct arena *, struct records *records_r,
    struct error *why);

/* NULL when there are none. */
const struct rrset *records_find(const struct records *, struct slice name, uint16_t type);
/* Any type at the name; NULL when it has none (but perhaps names below it). */
const struct rrset *records_first(const struct records *, struct slice name);
/* The name has records, or one below it has. */
bool                records_exist(const struct records *, struct slice name);
/* The denial whose name is the last one not behind `name`; the very last one before all. */
const struct rrset *records_denial(const struct records *, struct slice name);

/* 20 bytes to the 32 letters of an NSEC3 owner (RFC 4648 7, RFC 5155 1.3), lower case. */
void base32hex_add(struct buf *, struct slice bytes);

#endif
