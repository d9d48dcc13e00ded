/* SPDX-License-Identifier: ISC */
/*
 * answer -- a question packet in, an answer packet out.
 *
 * Answers as an authoritative server does for all zones of the world at once,
 * and as a validating resolver that asked them would: CNAMEs are followed
 * through the world, nothing is referred, AA and RA are set.  DNSSEC by RFC
 * 4035 3.1 and RFC 5155 7.2:
 *
 *   DO set           signatures, and the proof of what is not there
 *   AD               when the asker set AD or DO and everything in the answer
 *                    is signed below an unbroken chain of trust (RFC 6840 5.8)
 *   SERVFAIL         when a validator would call the answer bogus, unless the
 *                    asker set CD and wants to see for himself (RFC 4035 3.2.2)
 *   TC               when the answer is longer than the asker can take
 *
 * Why not ask our own libunbound and pass its packets on: it would hide from a
 * foreign validator what it must see itself (raw bogus data, DS at the parent),
 * count TTLs down by the machine's clock, and lie between the question and a
 * test of the answer.  This is a function of its arguments and takes about a
 * microsecond; with NSEC3 as much more as its hashes take.
 */
#ifndef LAB_ANSWER_H
#define LAB_ANSWER_H

#include "lab/records.h"

enum { DNS_HEADER = 12, DNS_UDP_LEAST = 512, DNS_UDP_MOST = 1232, DNS_TCP_MOST = 65535 };

enum { DNS_NOERROR, DNS_FORMERR, DNS_SERVER_FAILURE, DNS_NXDOMAIN, DNS_NOTIMP, DNS_REFUSED,
	DNS_BADVERS = 16 };             /* RFC 6895 2.3 */

struct dns_question {
	uint16_t      id, type;
	struct slice  asked;            /* name, type and class as they came: into the packet */
	unsigned char name[NAME_WIRE];  /* in lower case */
	size_t        name_size;
	bool          recursion_desired, authentic_data, checking_disabled;
	bool          edns, dnssec_ok;
	unsigned      udp_size;         /* what the asker can take over UDP, 512 at least */
	unsigned      rcode;            /* not 0: all there is to be answered */
};

/*
 * False when the packet is no question at all and gets no answer (too short,
 * or itself an answer).
 */
bool dns_question_read(struct slice packet, struct dns_question *);

/* The name as facts have it; NONE when its letters are none that a world has. */
struct slice dns_question_name(const struct dns_question *, char text_r[NAME_WIRE]);

/* How far the chain of trust reaches: to the zone's own key, or not. */
struct dns_zone {
	struct records records;
	enum security  chain;           /* DNS_BOGUS: something above is broken */
};

struct dns_world;

/* The zones must outlive it; the root must be one of them. */
struct dns_world *dns_world_new(const struct dns_zone *, size_t n);
void              dns_world_free(struct dns_world *);

/* The answer, at most `most` bytes: cut off behind the question when it is longer. */
void dns_answer(const struct dns_world *, const struct dns_question *, size_t most, struct buf *);
/* The question and an error, nothing else. */
void dns_refuse(const struct dns_question *, unsigned rcode, struct buf *);

#endif
