/* SPDX-License-Identifier: ISC */
/*
 * record -- the two TXT records of transport security.
 *
 *     _mta-sts.example.org    TXT  "v=STSv1; id=20261122T100000"         RFC 8461 3.1
 *     _smtp._tls.example.org  TXT  "v=TLSRPTv1; rua=mailto:a@b.example"  RFC 8460 3
 *
 * Both have one grammar.  Of several TXT records at the name only those count
 * that begin with the version; when not exactly one is left, or it breaks the
 * grammar, the domain has none.  Slices point into the answer of the DNS.
 */
#ifndef STS_RECORD_H
#define STS_RECORD_H

#include "dns/facts.h"

enum live {
	LIVE_NONE,                      /* the domain publishes nothing */
	LIVE_VALID,
	LIVE_BROKEN,                    /* it tries to: two records, or bad syntax */
	LIVE_UNKNOWN,                   /* the DNS did not tell */
};

struct sts_record {
	enum live    live;
	struct slice id;                /* of LIVE_VALID: 1 to 32 letters and digits */
};

enum { TLSRPT_URIS_MOST = 10 };         /* more are read and forgotten */

struct tlsrpt_record {
	enum live    live;
	struct slice uris[TLSRPT_URIS_MOST];    /* mailto: and https: in their order */
	size_t       count;             /* of LIVE_VALID: at least 1 */
};

/* One TXT record (all its strings joined). */
enum live sts_record_parse(struct slice text, struct sts_record *);
enum live tlsrpt_record_parse(struct slice text, struct tlsrpt_record *);

/* What stands at the domain; false when the DNS has not answered yet. */
bool sts_record_find(struct sts_record *, struct slice domain, struct facts *);
bool tlsrpt_record_find(struct tlsrpt_record *, struct slice domain, struct facts *);

/* A key in a record or a policy: (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / "."). */
bool sts_key_ok(struct slice);

#endif
