/* SPDX-License-Identifier: ISC */
/*
 * report -- the daily report on TLS sessions, as JSON (RFC 8460 4).
 *
 * The same struct is written by us and read from others.  What we write is
 * I-JSON (RFC 7493); `mx-host` is an array, as the grammar of 4.4 wants it.
 * What others write is read with patience: strings where arrays belong and the
 * reverse, missing counts, words that no RFC knows.  Only what is no report at
 * all is refused: no JSON object, a name that stands twice in one, no policies.
 * What could not be taken stands in the notes: nothing is left out without a word.
 *
 * All words are slices: those we know stand in sts/result.h.
 */
#ifndef STS_REPORT_H
#define STS_REPORT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "sts/result.h"

/* Sessions that failed alike. */
struct tlsrpt_failure {
	struct slice result;            /* "certificate-expired" */
	struct slice sending_ip, mx, helo, receiving_ip;        /* any of them may be empty */
	struct slice information;       /* a URI, of others only */
	struct slice reason;            /* "X509_V_ERR_CERT_HAS_EXPIRED" */
	uint64_t     count;
};

/* The sessions under one policy. */
struct tlsrpt_counts {
	struct slice           type, domain;    /* "sts", "b.example" */
	const struct slice    *strings, *mx;    /* the policy, and the hosts it names */
	size_t                 string_count, mx_count;
	uint64_t               good, bad;       /* more may have failed than `failures` tell */
	struct tlsrpt_failure *failures;
	size_t                 failure_count;
};

struct tlsrpt_report {
	struct slice organization, contact, id;
	struct slice begin, end;        /* RFC 3339 */
	struct tlsrpt_counts *policies;
	size_t       count;
	struct slice notes;             /* of a report that was read: lines, harmless to show; may be empty */
};

enum {
	TLSRPT_NOTES_MOST = 20,         /* further ones are counted */
	TLSRPT_REPORT_MOST = 16 << 20,  /* bytes of JSON */
	TLSRPT_COUNTS_MOST = 1000,      /* policies of a report, and failures of a policy, … */
	TLSRPT_WORD_MOST = 2000,        /* … and bytes of a word: what is behind them is left out */
};

/* False above the ceiling of the buf. Bytes that are no UTF-8 are shown, not written. */
bool tlsrpt_report_write(const struct tlsrpt_report *, struct buf *json);
/* The text behind a byte order mark, which none should write and all may ignore (RFC 8259 8.1). */
struct slice json_without_mark(struct slice);
/* Everything lies in the arena. */
bool tlsrpt_report_read(struct tlsrpt_report *, struct slice json, struct arena *, struct error *why);

/* For people: a line a policy, and one for each way to fail. */
void tlsrpt_report_text(const struct tlsrpt_report *, struct buf *);

#endif
