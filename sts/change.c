/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdarg.h>
#include <stdio.h>

#include "base/bug.h"
#include "conf/value.h"
#include "sts/change.h"
#include "sts/ours.h"

enum { SENTENCE_MOST = 32768, SPAN = 32 };

/* One change that is being thought through. */
struct thought {
	struct change                *change;
	const struct change_question *q;
	struct arena                 *arena;
	struct slice                  policy;           /* the one we want */
	char                          id[OURS_ID + 1];
	bool                          same;             /* it is the one that is served */
};

__attribute__((format(printf, 2, 3))) static void
step(struct thought *t, const char *format, ...)
{
	char text[SENTENCE_MOST];
	struct slice *to = &t->change->step[t->change->count++];
	va_list args;

	bug_if(t->change->count > CHANGE_STEPS);
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	*to = arena_copy(t->arena, slice(text));
}

static const char *
span_text(int64_t ms, char text[SPAN])
{
	struct buf b = BUF(SPAN);

	value_add_duration(&b, ms);
	snprintf(text, SPAN, "%.*s", FMT(buf_slice(&b)));
	buf_free(&b);
	return text;
}

/* Whoever serves a file may end its lines otherwise. */
static bool
same_lines(struct slice a, struct slice b)
{
	struct slice one, other;

	while (sts_policy_line(&a, &one))
		if (!sts_policy_line(&b, &other) || !slice_eq(one, other))
			return false;
	return !sts_policy_line(&b, &other);
}

static bool
served(const struct thought *t)
{
	return t->q->fetch->result == TLSRPT_SUCCESS;
}

/* A policy that asks something of senders is out there. */
static bool
asked_before(const struct thought *t)
{
	return served(t) && t->q->fetch->policy.mode != STS_NONE;
}

/* --- putting a policy up ----------------------------------------------------------------- */

static bool
is_listed(const struct domain_conf *d, struct slice host)
{
	for (size_t i = 0; i < d->mx_count; i++)
		if (slice_eqi(d->mx[i], host))
			return true;
	return false;
}

/* Mail would not get to a host that the DNS names and the policy does not (RFC 8461 4.1). */
static void
name_hosts(struct thought *t)
{
	struct buf hosts = BUF(SENTENCE_MOST / 2);

	for (size_t i = 0; i < t->q->mx_count; i++)
		if (!is_listed(t->q->domain, t->q->mx[i]))
			buf_printf(&hosts, "%s%.*s", hosts.n > 0 ? ", " : "", FMT(t->q->mx[i]));
	if (hosts.n > 0)
		step(t, "Name %.*s in \"mx\" of %.*s, or take the MX record down: senders would not go "
		    "there.", FMT(buf_slice(&hosts)), FMT(t->q->domain->name));
	buf_free(&hosts);
}

/* A host that no record names: the policy speaks of none that mail goes to (RFC 8461 4.1). */
static void
look_at_mx(struct thought *t)
{
	struct slice domain = t->q->domain->name;

	switch (t->q->mx_is) {
	case CHANGE_MX_FOUND:
		name_hosts(t);
		break;
	case CHANGE_MX_NONE:
		if (!is_listed(t->q->domain, domain))
			step(t, "Publish the MX records that \"chainmail dns-records %.*s\" prints: "
			    "there are none, so mail goes to %.*s itself, which the policy does not name.",
			    FMT(domain), FMT(domain));
		break;
	case CHANGE_MX_NULL:
		step(t, "Publish the MX records that \"chainmail dns-records %.*s\" prints: the one that is "
		    "there says that %.*s takes no mail.", FMT(domain), FMT(domain));
		break;
	case CHANGE_MX_UNKNOWN:
		step(t, "Ask again: the DNS does not tell the MX records of %.*s.", FMT(domain));
		break;
	}
}

static void
serve_policy(struct thought *t)
{
	const struct sts_fetch *f = t->q->fetch;
	struct slice domain = t->q->domain->name;
	char now[200], age[SPAN];

	if (t->same)
		return;
	if (served(t))
		snprintf(now, sizeof now, "mode %s, max-age %s", sts_mode_name(f->policy.mode),
		    span_text(f->policy.max_age * (int64_t)SECOND, age));
	else
		snprintf(now, sizeof now, "%.*s", FMT(f->reason));
	if (t->q->here)
		step(t, "Serve the policy: let mta-sts.%.*s lead to this machine, with a certificate for "
		    "that name, and reload. (Now: %s.)", FMT(domain), now);
	else
		step(t, "Serve the policy: let mta-sts.%.*s show what \"chainmail sts export\" writes. "
		    "(Now: %s.)", FMT(domain), now);
}

static void
publish_id(struct thought *t)
{
	const struct sts_record *r = t->q->record;
	struct slice domain = t->q->domain->name;

	if (r->live == LIVE_VALID && slice_eq(r->id, slice(t->id))) {
		if (served(t) && !t->same)
			step(t, "The record names the new id already: who looked meanwhile keeps the old "
			    "policy under it. Change max-age a little, and the id changes again.");
	} else if (r->live == LIVE_VALID) {
		step(t, "Then change the id: _mta-sts.%.*s TXT \"v=STSv1; id=%s\". (Now: %.*s.)",
		    FMT(domain), t->id, FMT(r->id));
	} else {
		step(t, "Then publish %s: _mta-sts.%.*s TXT \"v=STSv1; id=%s\".", r->live == LIVE_BROKEN
		    ? "one valid record and no other" : "the record", FMT(domain), t->id);
	}
}

static void
outlast_the_old(struct thought *t)
{
	char age[SPAN];

	if (!t->same && asked_before(t) && t->q->record->live == LIVE_VALID)
		step(t, "For %s from then on, senders that have not looked may act by the old policy "
		    "(mode %s): its hosts must take mail as it says until then.",
		    span_text(t->q->fetch->policy.max_age * (int64_t)SECOND, age),
		    sts_mode_name(t->q->fetch->policy.mode));
}

/* What may come next when the policy is published as it is wanted. */
static void
look_ahead(struct thought *t)
{
	static const char *const NEXT[] = {
		[SERVE_OFF] = "",
		[SERVE_NONE] =
		    "When the max-age of the policy before it is over, take down its TXT record. Then ask.",
		[SERVE_TESTING] = "When reports on TLS (RFC 8460) tell of no failures, say \"sts enforce\".",
		[SERVE_ENFORCE] = "",
	};

	if (t->change->count == 0)
		t->change->note = slice(NEXT[t->q->domain->sts]);
}

static void
put_up(struct thought *t)
{
	struct buf policy = BUF(OURS_POLICY_MOST);

	ours_policy_add(&policy, t->q->domain);
	t->policy = arena_copy(t->arena, buf_slice(&policy));
	ours_id(t->policy, t->id);
	t->same = served(t) && same_lines(t->policy, t->q->fetch->policy.text);
	if (t->q->domain->sts != SERVE_NONE)
		look_at_mx(t);
	serve_policy(t);
	publish_id(t);
	outlast_the_old(t);
	look_ahead(t);
	buf_free(&policy);
}

/* --- taking it down (RFC 8461 8.3) ------------------------------------------------------------ */

/* Nothing leads senders to a policy, and none that asks something of them is there. */
static bool
is_gone(const struct thought *t)
{
	return t->q->record->live == LIVE_NONE && !asked_before(t);
}

static void
replace_by_none(struct thought *t, const char *unless)
{
	step(t, "%s \"sts none max-age 1d\" in the block of %.*s and reload: a policy that vanishes "
	    "stays in force with senders until its max-age is over.", unless, FMT(t->q->domain->name));
	step(t, "Then ask again what comes next.");
}

static void
take_down(struct thought *t)
{
	struct slice domain = t->q->domain->name;

	if (is_gone(t))
		return;
	if (asked_before(t)) {
		replace_by_none(t, "Say");
	} else if (served(t)) {
		step(t, "Wait until the policy before the one of mode none has run out: its max-age, counted "
		    "from when the id changed.");
		step(t, "Then take the record _mta-sts.%.*s down.", FMT(domain));
		step(t, "Then take the policy host mta-sts.%.*s down.", FMT(domain));
	} else {
		step(t, "If a policy of mode none stood there until the one before it had run out, take the "
		    "record _mta-sts.%.*s down: that is all.", FMT(domain));
		replace_by_none(t, "If not, say");
	}
}

void
sts_change(struct change *c, const struct change_question *q, struct arena *arena)
{
	struct thought t = { .change = c, .q = q, .arena = arena };

	*c = (struct change){ .count = 0 };
	if (q->record->live == LIVE_UNKNOWN)
		step(&t, "Ask again: the DNS does not tell what stands at _mta-sts.%.*s.",
		    FMT(q->domain->name));
	else if (q->domain->sts == SERVE_OFF)
		take_down(&t);
	else if (q->domain->sts == SERVE_NONE && is_gone(&t))
		c->note = S("No record leads to a policy: when the max-age of the last one is over, say "
		    "\"sts off\" and reload.");
	else
		put_up(&t);
}
