/* SPDX-License-Identifier: ISC */
/*
 * order -- what the queue asks of a deliverer, and what it hears back.
 *
 * An order is one message for some recipients with one destination.  It names
 * everything the deliverer needs; it is only a request: who asked may have died
 * meanwhile, and the same order may come again.  The result says of every
 * recipient how it went.  Both travel as frames over net/link; a deliverer that
 * went mad must not harm the queue, so everything is read with bounds.
 */
#ifndef QUEUE_ORDER_H
#define QUEUE_ORDER_H

#include "base/crc32c.h"
#include "base/pack.h"
#include "mail/dsn.h"
#include "mail/status.h"

enum {                                  /* kinds of frames between queue and delivery */
	FRAME_ORDER = 1,                /* struct order; a descriptor when the content is in a file */
	FRAME_RESULT,                   /* struct order_result */
	FRAME_UNDER_WAY,                /* an order_result without recipients: it is being worked on */
	FRAME_UNDER_WAY_END,            /* that was all: said once when a link is new */
	FRAME_LEAVING,                  /* the deliverer is replaced: no new orders, please */
	FRAME_STS_ASK,                  /* a domain */
	FRAME_STS_IS,                   /* a domain, the entry of the cache (sts/cache.h) or nothing */
	FRAME_STS_KEEP,                 /* a domain, an entry, when it may be forgotten */
	FRAME_SESSION,                  /* how a TLS session went (sts/tally.h), for reports (RFC 8460) */
	FRAME_STS_REFRESH,              /* a domain: fetch its policy, though no mail waits */
	FRAME_STS_REFRESHED,            /* the domain, why not (empty: it was) */
	FRAME_STS_FORGET,               /* a domain whose entry is gone */
	FRAME_TLSRPT_ASK,               /* a domain: where does it want reports? */
	FRAME_TLSRPT_IS,                /* the domain, u8 of enum live, u32 how many URIs, and they */
	FRAME_POST,                     /* number u64, an https URI, a report: hand it over there */
	FRAME_POSTED,                   /* number u64, u8 whether it was taken, why not */
	FRAME_TRY_ALL,                  /* somebody wants a try now: also of hosts that did not answer */
};

enum order_kind {
	ORDER_SMTP,                     /* to the hosts of `domain`, or its fixed next hop */
	ORDER_LMTP,                     /* to `place` */
	ORDER_HOST,                     /* the same by SMTP: a list manager */
	ORDER_MAILDIR,                  /* into the directory `place` */
};

struct order_recipient {
	uint32_t     index;             /* in the envelope */
	struct slice address;
	struct slice orcpt;
	unsigned     notify;
};

struct order {
	uint64_t        number;         /* of this order; the result carries it */
	uint64_t        id;             /* of the message */
	enum order_kind kind;
	struct slice    domain;         /* of the recipients */
	struct slice    place;          /* LMTP, HOST: an endpoint; MAILDIR: a directory */
	struct slice    sender;
	struct order_recipient *recipients;
	uint32_t        count;
	bool            eight_bit, smtputf8, requiretls, tls_optional;
	bool            uncounted;      /* its TLS sessions are not reported (RFC 8460 3) */
	enum ret        ret;
	struct slice    envid;
	int64_t         arrived;        /* ms */
	struct slice    head;           /* everything that goes before the body */
	struct slice    body;           /* all of it, unless it is in a file */
	bool            in_file;        /* it is: the frame has its descriptor … */
	uint64_t        file_at, file_size;     /* … and this is the part of it */
	struct checksum file_sum;       /* of all of it; what stands before that part is in it already */
};

struct order_outcome {
	uint32_t      index;
	struct status status;
};

struct order_result {
	uint64_t     number, id;
	struct order_outcome *outcomes;
	uint32_t     count;
	struct slice host;              /* who said so: "mx.b.example" */
	struct slice peer;              /* "198.51.100.9:25" */
	struct slice tls;               /* "TLSv1.3"; empty: in the clear */
	struct slice policy, trust;     /* "sts-enforce", "verified" */
	bool         dsn_passed;        /* the host knows DSN and was told what the sender wants */
	bool         refused;           /* spoken to, the host did not let us begin: "421 too many …" */
	bool         unreadable;        /* the file is not what was stored, or the disk refuses it */
	struct slice story;             /* lines of the log, for `why`: what else happened */
};

/* Writing: whether there was room says the buf. */
void order_pack(const struct order *, struct buf *);
void order_result_pack(const struct order_result *, struct buf *);
/* Reading: slices point into what is read, arrays lie in the arena. False: no such thing. */
bool order_unpack(struct order *, struct slice, struct arena *);
bool order_result_unpack(struct order_result *, struct slice, struct arena *);

/* What became of a recipient; NULL: it says nothing of him. */
const struct order_outcome *order_outcome_of(const struct order_result *, uint32_t index);

#endif
