/* SPDX-License-Identifier: ISC */
/*
 * zone -- facts from a text: for tests, `chainmail verify --dns`, replayed
 * cases and `resolver { facts FILE }`.
 *
 *     example.org.   TXT   "v=spf1 " "-all"      strings are joined
 *     example.org.   MX    10 mx.example.org.    a TTL and IN may stand before the type
 *     slow.test.     TXT   !timeout              !servfail, !bogus; why in other words: !timeout "no route"
 *     gone.test.     !nxdomain                   nothing at or below it
 *     odd.test.      TXT   !nxdomain             this question alone is answered so
 *     @secure        example.org.                all at and below it is DNSSEC-secure …
 *     @insecure      sub.example.org.            … but for what is at and below this
 *
 * All names are absolute, with or without the last dot, odd octets as \DDD (as
 * dns/wire.h, label_byte_add); `;` begins a comment.
 * A name that has other types, or names below it, answers NODATA; an unknown
 * name NXDOMAIN; "*.x" is a wildcard (RFC 4592).  Nothing else is ever asked.
 */
#ifndef DNS_ZONE_H
#define DNS_ZONE_H

#include "base/buf.h"
#include "base/error.h"
#include "dns/facts.h"

struct zone;

/* `name` is how errors call the text: "name:line: …". NULL on the first error. */
struct zone *zone_parse(struct slice text, const char *name, struct error *why);
void         zone_free(struct zone *);

/* Conclude one question, or everything that is wanted. */
void zone_answer(const struct zone *, struct facts *, struct fact *);
void zone_answer_all(const struct zone *, struct facts *);

/* The data of a record as zone_parse() reads it and a terminal can bear it: `10 mx.example.org.` */
void record_to_text(struct buf *, uint16_t type, const struct record *);
/* And back, into the arena; false when the text is no data of that type. */
bool record_parse(uint16_t type, struct slice text, struct arena *, struct record *record_r);
/* What is known, as lines that zone_parse() reads: the record of a case. */
void facts_to_text(const struct facts *, struct buf *);

#endif
