/* SPDX-License-Identifier: ISC */
/*
 * policy -- the MTA-STS policy file (RFC 8461 3.2) and its patterns (4.1).
 *
 *     version: STSv1
 *     mode: enforce
 *     mx: mail.example.org
 *     mx: *.backup.example
 *     max_age: 604800
 *
 * Lines end with LF or CRLF, the last one need not.  Keys and modes are case
 * sensitive; of a key that comes twice the first counts, `mx` aside; keys we do
 * not know are skipped when they are well-formed.  An `mx` that is no pattern
 * matches nothing.  Everything lies in the arena the policy was parsed with, which
 * has room for STS_POLICY_MEMORY more: with less a policy would be lost, and lost is open.
 */
#ifndef STS_POLICY_H
#define STS_POLICY_H

#include "base/arena.h"
#include "base/error.h"

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };

enum {
	STS_MAX_AGE = 31557600,         /* seconds; a longer one is cut to it */
	STS_POLICY_MOST = 65536,        /* bytes of the file (RFC 8461 3.3) */
	STS_MX_MOST = STS_POLICY_MOST / 5,      /* more "mx:a\n" do not fit: no limit of its own */
	STS_POLICY_MEMORY = 320 << 10,  /* what the largest of them takes */
};

struct sts_policy {
	enum sts_mode mode;
	uint32_t      max_age;          /* seconds */
	struct slice *mx;               /* the patterns, as they are written */
	size_t        mx_count;
	struct slice  text;             /* the file, byte for byte, for reports and the cache */
};

bool sts_policy_parse(struct sts_policy *, struct slice text, struct arena *, struct error *why);

/*
 * Does a pattern cover the host?  `*.` stands for exactly one label at the left
 * (RFC 8461 4.1, RFC 6125 6.4.3).  Case and a dot at the host's end are no matter.
 */
bool sts_mx_matches(struct slice pattern, struct slice host);
bool sts_policy_lists(const struct sts_policy *, struct slice host);

/* The lines of the file in turn, without their ends and empty ones (RFC 8460 4.4). */
bool sts_policy_line(struct slice *rest, struct slice *line_r);

const char *sts_mode_name(enum sts_mode);       /* "none", "testing", "enforce" */

#endif
