/* SPDX-License-Identifier: ISC */
/*
 * policy -- what we do about a message: the one local decision (RFC 9989 5.4, 7.4).
 *
 * All evidence comes in, one action goes out, with its reply, its reason for
 * aggregate reports (RFC 9990) and one sentence for people.
 *
 * Switches, their words, the default first:
 *
 *     dmarc_reject         evidence strict never
 *     dmarc_dns_temperror  accept defer
 *     from_multiple        reject accept
 *     spf_fail             mark reject
 *     arc_dns_temperror    defer-once accept
 *
 * dmarc_reject.  RFC 9989 7.4 forbids to reject only because a domain says
 * p=reject: its users post to lists, lists change messages, and the rejected
 * subscriber is removed.  It asks for "other knowledge and analysis" and wants
 * quarantine without it.  A small site wants forgeries refused while the client
 * is still there.  `evidence` gives both what they are after.  What 7.4 protects
 * is mail that came through somebody in between, and those who change messages
 * say that they were there: lists write List-Id or List-Post (RFC 2919, 2369),
 * Precedence or Mailing-List; people who resend write Resent-From (RFC 5322
 * 3.6.6); forwarders rewrite the envelope (SRS), or seal (RFC 8617); plain
 * forwarders change nothing, and the author's signature still verifies.  So:
 *
 *     failed, p=reject, and a sealer we trust vouches     accept
 *     failed, p=reject, a trace of somebody in between    quarantine
 *     failed, p=reject, and no such trace                 reject
 *
 * Traces can be forged; then the message is where the RFC puts it anyway.
 * `strict` rejects whatever the traces say, against 7.4; `never` always
 * quarantines.  A trusted sealer's word is above all three.
 *
 * from_multiple.  A From that shows two authors, that cannot be read, or that says
 * something but names no address, has no author that could be checked; it is refused.
 * A message without any, or with an empty one, is taken.
 * spf_fail=reject never refuses what passes DMARC (RFC 9989 7.1).
 * arc_dns_temperror=defer-once asks the client to come again when a key of a
 * chain could not be had and the chain matters: "fail" would be for good.
 */
#ifndef AUTH_POLICY_H
#define AUTH_POLICY_H

#include "auth/dmarc.h"
#include "conf/conf.h"
#include "mail/status.h"

/* { 0 } is the default of everything. */
struct policy {
	enum { REJECT_EVIDENCE, REJECT_STRICT, REJECT_NEVER } dmarc_reject;
	enum { DMARC_DNS_ACCEPT, DMARC_DNS_DEFER }            dmarc_dns_temperror;
	enum { FROM_MULTIPLE_REJECT, FROM_MULTIPLE_ACCEPT }   from_multiple;
	enum { SPF_FAIL_MARK, SPF_FAIL_REJECT }               spf_fail;
	enum { ARC_DNS_DEFER_ONCE, ARC_DNS_ACCEPT }           arc_dns_temperror;
};

/* Set a switch by its name and word, as above; false when there is no such. */
bool policy_set(struct policy *, struct slice name, struct slice word);
/* And back: the word of the i-th switch, which is called *name_r. */
enum { POLICY_SWITCHES = 5 };
struct slice policy_switch(const struct policy *, size_t i, const char **name_r);
/* As the configuration has them. */
struct policy policy_configured(const struct policy_conf *);

/* --- evidence ------------------------------------------------------------- */

/* Signs that the message came through somebody in between. */
struct traces {
	bool list, resent, srs;
};

struct traces traces_read(const struct header *, struct slice mail_from_local);

/* One seal of a chain, for the reports of others (RFC 8617 7.2.2). */
struct policy_seal {
	unsigned     instance;
	struct slice domain, selector;
	struct slice remote_ip;         /* as its results say it; may be empty */
};

struct policy_evidence {
	const struct dmarc *dmarc;      /* concluded */
	enum from_flaw      flaw;
	bool                spf_fail;   /* SPF of MAIL FROM said "fail" */
	struct traces       traces;
	enum { CHAIN_NONE, CHAIN_PASS, CHAIN_FAIL, CHAIN_UNSURE } chain; /* unsure: a DNS error */
	struct slice        sealer;     /* trusted, and vouches for this author; empty: nobody */
	const struct policy_seal *seals; /* newest first */
	size_t              seal_count;
	bool                will_be_sealed;     /* it goes on from here with a seal of ours */
	bool                deferred_before;    /* we asked to have it again already */
};

/* --- the decision --------------------------------------------------------- */

enum policy_action { POLICY_ACCEPT, POLICY_QUARANTINE, POLICY_REJECT, POLICY_DEFER };

enum policy_reason {                    /* RFC 9990, PolicyOverrideType */
	REASON_NONE, REASON_LOCAL_POLICY, REASON_MAILING_LIST, REASON_OTHER,
	REASON_POLICY_TEST_MODE, REASON_TRUSTED_FORWARDER,
};

struct decision {
	enum policy_action action;      /* quarantine: taken, and marked as suspicious */
	struct status      status;      /* of reject and defer */
	const char        *disposition; /* for reports: "none", "pass", "quarantine", "reject" */
	enum policy_reason reason;      /* why it is not what the domain asked for */
	struct slice       comment;     /* beside the reason; may be empty */
	struct slice       why;         /* one sentence, for log, reason= and explain */
};

/* Texts that are made lie in the arena; above its ceiling they are shorter. */
struct decision policy_decide(const struct policy *, const struct policy_evidence *, struct arena *);

const char *policy_action_name(enum policy_action);     /* "accept", "quarantine", … */
const char *policy_reason_name(enum policy_reason);     /* "local_policy", …; "none" */

#endif
