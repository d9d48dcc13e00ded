/* SPDX-License-Identifier: ISC */
/*
 * envelope -- what we know about a message beside its bytes, and how each
 * recipient stands.
 *
 * Both are packed for the spool (base/pack.h) with a version in front; a newer
 * version than this program's is refused with a sentence, never guessed at.
 * The message as it was received is written once and never rewritten: what goes
 * out is `trace`, then the message without the ranges in `omit`.
 *
 * Whatever came from outside is a slice; unpacked slices point into the packed
 * bytes, arrays lie in the arena.  Pure.
 */
#ifndef QUEUE_ENVELOPE_H
#define QUEUE_ENVELOPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/ip.h"
#include "mail/dsn.h"
#include "mail/status.h"

enum {
	ENVELOPE_VERSION = 1,
	ENVELOPE_MOST = 16 << 20,       /* octets when packed */
	RECIPIENTS_MOST = 100000,       /* of one message, with those made by expansion */
	BODY_HASH = 32,                 /* SHA-256 */
};

#define ID_MOST (((uint64_t)1 << 60) - 1)       /* what id_text() can say; 0 is no id */
#define NO_RECIPIENT UINT32_MAX

struct recipient {
	struct slice address;           /* as it goes onto the wire */
	struct slice orcpt;             /* RFC 3461 4.2, as it was given; empty: none */
	unsigned     notify;            /* bits of enum notify */
	uint32_t     parent;            /* expanded from this one, or NO_RECIPIENT */
};

/* A byte range of the received message; only of its header. */
struct span {
	uint64_t at, n;
};

struct envelope {
	uint64_t     id;                /* 1 .. ID_MOST */
	int64_t      arrival;           /* milliseconds since 1970 */
	struct slice sender;            /* empty: the null reverse-path */
	struct recipient *recipients;
	size_t       count;

	/* where it came from */
	struct slice listener;          /* its name in the configuration; empty: we made it */
	struct ip    client;
	struct slice helo;
	struct slice login;             /* authenticated as; empty: not at all */
	bool         relayed;           /* the client's network may send to anybody */

	/* what was asked for */
	bool         smtputf8;          /* RFC 6531 */
	bool         eight_bit;         /* RFC 6152: BODY=8BITMIME */
	bool         requiretls;        /* RFC 8689 2 */
	bool         tls_optional;      /* RFC 8689 5: TLS-Required: No */
	bool         uncounted;         /* our report on TLS: its own sessions are in none (RFC 8460 3) */
	bool         srs;               /* forwarded it needs a sender of ours: SPF would fail */
	enum ret     ret;
	struct slice envid;             /* decoded (RFC 3461 4.4); empty: none */

	/* the message */
	struct slice trace;             /* whole header fields that we put in front */
	struct span *omit;              /* ascending, apart from each other */
	size_t       omitted;           /* how many ranges */
	uint64_t     header_size;       /* octets up to the empty line or the end */
	uint64_t     size;              /* octets as they were received */
	bool         hashed;            /* body_hash is there: relaxed body (RFC 6376 3.4.4) */
	unsigned char body_hash[BODY_HASH];
	bool         summed;            /* content_sum is there: it lies in a file of its own … */
	uint32_t     content_sum;       /* … whose octets had this CRC32C as they were written */
	struct slice verdict;           /* what auth concluded, packed by auth */

	/* A post of a list, or a report, is made from another message. */
	uint64_t     parent;            /* its id, or 0 */
	uint32_t     parent_recipient;  /* which recipient of it led here, or NO_RECIPIENT */
	bool         bulk;              /* its header says so: people's mail goes before it */
	bool         hold;              /* nothing is tried until it is released */
};

/* bytes->full tells when it did not fit. */
void envelope_pack(const struct envelope *, struct buf *bytes);
bool envelope_unpack(struct envelope *, struct slice bytes, struct arena *, struct error *why);
/* Without trace, verdict, omitted ranges, hash, checksum, ENVID and origin: for a list of many. */
struct envelope envelope_summary(const struct envelope *);
/* What its content adds up to, from its first octet; not known: a record guards it, or nobody. */
struct checksum envelope_checksum(const struct envelope *);

/* --- what goes out ---------------------------------------------------------- */

struct piece {
	bool        trace;              /* of envelope.trace, else of the received message */
	struct span span;               /* never empty */
};

/* The next piece, from *at = 0 on; false when all was given. */
bool     envelope_piece(const struct envelope *, size_t *at, struct piece *piece_r);
uint64_t envelope_size(const struct envelope *);        /* octets of all pieces */

/* --- how a recipient stands --------------------------------------------------- */

enum recipient_stage {
	RECIPIENT_WAITING = 1,          /* until `until`; also between two attempts */
	RECIPIENT_DONE,                 /* delivered, relayed, or dropped by order */
	RECIPIENT_FAILED,               /* never again; a report may still be owed */
	RECIPIENT_HELD,                 /* until somebody releases it */
	RECIPIENT_EXPANDED,             /* others were made of it, nothing is owed to itself */
};

/*
 * A recipient without a state is waiting since its arrival, never tried.
 * EXPANDED brings recipients of its own: they are numbered from `first` on,
 * and their parent is this one.  It has a status when its sender is to hear of it.
 */
struct recipient_state {
	uint32_t             recipient; /* its number in the message */
	enum recipient_stage stage;
	int64_t              until;     /* WAITING: no attempt before; 0: at once */
	int64_t              tried;     /* the newest attempt, or 0 */
	uint32_t             attempts;
	unsigned             told;      /* reports that were made: bits of enum notify; of DONE, NEVER: */
	                                /* one of success is owed, and `host` is who took it over */
	struct slice         host;      /* who said `last`; empty: we did */
	struct status        last;      /* class 0: nothing happened yet */
	uint32_t             first;
	struct recipient    *made;
	size_t               count;
};

void state_pack(const struct recipient_state *, struct buf *bytes);
bool state_unpack(struct recipient_state *, struct slice bytes, struct arena *, struct error *why);
/* His state among those of a message, which stand in their order; NULL when he has none. */
const struct recipient_state *state_find(const struct recipient_state *, size_t n, uint32_t recipient);
/* Whose state it is, without looking at the rest; NO_RECIPIENT when it is none. */
uint32_t state_recipient(struct slice bytes);

#endif
