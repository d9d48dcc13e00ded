/* SPDX-License-Identifier: ISC */
/*
 * dmarc_record -- a DMARC Policy Record (RFC 9989 4.7, 4.8).
 *
 * Only the version decides whether a text is a record at all.  Behind it,
 * unknown tags (pct, rf and ri of RFC 7489 are unknown today) and what does not
 * follow the grammar is ignored; of a tag that stands twice the first counts.
 */
#ifndef AUTH_DMARC_RECORD_H
#define AUTH_DMARC_RECORD_H

#include "base/slice.h"

enum dmarc_policy { DMARC_P_NONE, DMARC_P_QUARANTINE, DMARC_P_REJECT };
enum dmarc_psd    { DMARC_PSD_U, DMARC_PSD_Y, DMARC_PSD_N };

enum {                                  /* of fo= */
	DMARC_FO_0 = 1,                 /* all mechanisms failed */
	DMARC_FO_1 = 2,                 /* any failed */
	DMARC_FO_D = 4,
	DMARC_FO_S = 8,
};

struct dmarc_record {
	bool              usable;       /* no: no DMARC processing (RFC 9989 4.10.1) */
	enum dmarc_policy p, sp, np;    /* sp and np as they apply when they are not said */
	bool              sp_said, np_said;
	bool              adkim_strict, aspf_strict;
	bool              test;         /* t=y */
	enum dmarc_psd    psd;
	unsigned          fo;
	struct slice      rua, ruf;     /* lists for dmarc_uri_next() */
};

enum { DMARC_RECORD = 4096 };           /* octets; a longer text is no record to us */

/* Does it begin as a record does?  All that counts when there are several. */
bool dmarc_record_is(struct slice text);
/* False when the text is no DMARC record.  The result points into the text. */
bool dmarc_record_parse(struct slice text, struct dmarc_record *);

/*
 * The next valid URI of a list, moved over; what is none is passed over, the
 * "!10m" of RFC 7489 is cut off.  False at the end.
 */
bool dmarc_uri_next(struct slice *list, struct slice *uri_r);

const char *dmarc_policy_name(enum dmarc_policy);       /* "none", "quarantine", "reject" */

#endif
