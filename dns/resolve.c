/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unbound.h>
#include <unbound-event.h>

#include "base/bug.h"
#include "base/text.h"
#include "conf/anchor.h"
#include "dns/resolve.h"
#include "dns/wire.h"
#include "dns/zone.h"

enum { QUESTION_MS = 10000, NAME_ESCAPED = 1100, ANCHOR_MOST = 4096 };

struct resolver {
	struct loop       *loop;
	struct ub_ctx     *ub;
	const struct zone *zone;
	bool               validates;
	int64_t            timeout;
	enum dns_fault   (*fault)(void *arg, struct slice name, uint16_t type);
	void              *fault_arg;
	struct resolver_counts counts;
};

struct question {
	struct question *next, **back;
	struct inquiry  *inquiry;
	struct fact     *fact;
	struct timer     timeout;
	int              id;            /* of libunbound, for cancelling; 0: none has it */
	bool             asking;        /* ub_resolve_event() has not returned yet */
	bool             answered;
};

/* --- one question ------------------------------------------------------------ */

static void
unlink_question(struct question *q)
{
	if ((*q->back = q->next) != NULL)
		q->next->back = q->back;
	timer_clear(q->inquiry->resolver->loop, &q->timeout);
}

static void
wake(void *arg)
{
	struct inquiry *inq = arg;
	void (*woken)(void *) = inq->woken;

	inq->woken = NULL;
	if (woken != NULL)
		woken(inq->arg);
}

static void
count(struct resolver *r, const struct fact *f)
{
	struct resolver_counts *c = &r->counts;

	c->found += f->answer == ANSWER_FOUND;
	c->nodata += f->answer == ANSWER_NODATA;
	c->nxdomain += f->answer == ANSWER_NXDOMAIN;
	c->failed += f->answer == ANSWER_BROKEN;
	c->secure += f->security == DNS_SECURE;
	c->bogus += f->security == DNS_BOGUS;
}

/* The fact is known now: tell the inquiry, once this turn. */
static void
concluded(struct question *q)
{
	struct inquiry *inq = q->inquiry;

	count(inq->resolver, q->fact);
	unlink_question(q);
	loop_later(inq->resolver->loop, &inq->wake, wake, inq);
	q->answered = true;
	if (!q->asking)
		free(q);
}

static void
broken(struct question *q, const char *why)
{
	fact_known(&q->inquiry->facts, q->fact, ANSWER_BROKEN, why);
	concluded(q);
}

static void
bogus(struct question *q, const char *why)
{
	struct buf text = BUF(1024);

	shown_add(&text, slice_head(slice(why ? why : "DNSSEC validation failed"), 200));
	buf_byte(&text, '\0');
	q->fact->security = DNS_BOGUS;
	broken(q, text.p);
	buf_free(&text);
}

/*
 * libunbound's three ways of saying "no" must not be confused (a SERVFAIL read
 * as "insecure" would be a way around DANE): first bogus, then failed, and only
 * then what the packet says.
 */
static void
answered(void *arg, int rcode, void *packet, int size, int security, char *why, int limited)
{
	struct question *q = arg;
	struct resolver *r = q->inquiry->resolver;

	(void)limited;
	loop_happened(r->loop);
	r->counts.silent = 0;
	if (security == 1) {
		bogus(q, why);
	} else if (rcode != 0) {
		broken(q, rcode == 2 ? "SERVFAIL" : "the resolver failed");
	} else {
		q->fact->security = security == 2 ? DNS_SECURE : DNS_INSECURE;
		wire_read(&q->inquiry->facts, q->fact, slice_of(packet, size > 0 ? (size_t)size : 0));
		if (q->fact->answer == ANSWER_BROKEN)
			q->fact->security = DNS_INSECURE;
		concluded(q);
	}
}

static void
timed_out(void *arg)
{
	struct question *q = arg;
	struct resolver *r = q->inquiry->resolver;

	ub_cancel(r->ub, q->id);
	r->counts.timeout++;
	r->counts.silent++;
	broken(q, "no answer in time");
}

/* What a stranger wrote may hold any byte; libunbound reads zone-file escapes. */
static bool
escaped_name(struct slice name, char to[NAME_ESCAPED])
{
	struct buf text = BUF(NAME_ESCAPED - 1);
	bool ok;

	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '(' || c == ')' || c == ';')
			buf_printf(&text, "\\%03u", c);
		else
			buf_byte(&text, (char)c);
	}
	ok = !text.full;
	snprintf(to, NAME_ESCAPED, "%.*s", FMT(buf_slice(&text)));
	buf_free(&text);
	return ok;
}

/* Put the question to libunbound, which may answer inside the call. */
static void
ask_unbound(struct question *q)
{
	struct ub_ctx *ub = q->inquiry->resolver->ub;
	char name[NAME_ESCAPED];

	q->inquiry->resolver->loop->spoke = true;
	if (!escaped_name(q->fact->name, name) ||
	    ub_resolve_event(ub, name, q->fact->type, 1, q, answered, &q->id) != 0)
		if (!q->answered)
			broken(q, "the question cannot be asked");
}

static enum dns_fault
fault_for(const struct resolver *r, const struct fact *f)
{
	return r->fault == NULL ? DNS_NO_FAULT : r->fault(r->fault_arg, f->name, f->type);
}

static void
ask(struct inquiry *inq, struct fact *f)
{
	struct question *q = must_alloc(sizeof *q);

	*q = (struct question){ inq->open, &inq->open, inq, f, .asking = true };
	if (q->next != NULL)
		q->next->back = &q->next;
	inq->open = q;
	inq->resolver->counts.asked++;
	switch (fault_for(inq->resolver, f)) {
	case DNS_SERVFAIL:
		broken(q, "SERVFAIL");
		break;
	case DNS_SILENCE:
		break;
	case DNS_NO_FAULT:
		ask_unbound(q);
	}
	q->asking = false;
	if (q->answered)
		free(q);
	else
		timer_set(inq->resolver->loop, &q->timeout, inq->resolver->timeout, timed_out, q);
}

/* --- an inquiry --------------------------------------------------------------- */

void
inquiry_begin(struct inquiry *inq, struct resolver *r, struct arena *arena)
{
	*inq = (struct inquiry){ .resolver = r };
	facts_begin(&inq->facts, arena);
}

static void
forget_questions(struct inquiry *inq)
{
	struct question *q;

	while ((q = inq->open) != NULL) {
		ub_cancel(inq->resolver->ub, q->id);
		unlink_question(q);
		free(q);
	}
}

static void
deadline(void *arg)
{
	struct inquiry *inq = arg;

	forget_questions(inq);
	facts_expire(&inq->facts);
	wake(inq);
}

void
inquiry_limit(struct inquiry *inq, int64_t ms)
{
	timer_set(inq->resolver->loop, &inq->deadline, ms, deadline, inq);
}

void
inquiry_ask(struct inquiry *inq, void (*woken)(void *), void *arg)
{
	struct resolver *r = inq->resolver;
	struct fact *f;

	inq->woken = woken;
	inq->arg = arg;
	while ((f = facts_next_wanted(&inq->facts)) != NULL)
		if (r->zone != NULL) {
			zone_answer(r->zone, &inq->facts, f);
			count(r, f);
			loop_later(r->loop, &inq->wake, wake, inq);
		} else {
			ask(inq, f);
		}
	/* Nothing is under way: the asker is woken all the same, not left to wait for ever. */
	if (inq->open == NULL)
		loop_later(r->loop, &inq->wake, wake, inq);
}

void
inquiry_end(struct inquiry *inq)
{
	if (inq->resolver == NULL)
		return;
	forget_questions(inq);
	later_cancel(inq->resolver->loop, &inq->wake);
	timer_clear(inq->resolver->loop, &inq->deadline);
	inq->resolver = NULL;
}

/* --- the resolver --------------------------------------------------------------- */

static bool
failed(struct error *why, const char *what, int code)
{
	return error_set(why, "the resolver: %s: %s", what, ub_strerror(code));
}

static bool
set_options(struct resolver *r, struct error *why)
{
	static const char *const options[][2] = {
		{ "outgoing-range:", "512" }, { "outgoing-num-tcp:", "16" },
		{ "msg-cache-size:", "16m" }, { "rrset-cache-size:", "32m" },
		{ "key-cache-size:", "4m" }, { "num-queries-per-thread:", "2048" },
		{ "cache-max-negative-ttl:", "600" }, { "do-not-query-localhost:", "no" },
	};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		int code = ub_ctx_set_option(r->ub, options[i][0], options[i][1]);

		if (code != 0)
			return failed(why, options[i][0], code);
	}
	return true;
}

/* An administrator's own resolver knows the names that libunbound would make up. */
static void
open_local_names(struct resolver *r)
{
	static const char *const zones[] = {
		"test. transparent", "home.arpa. transparent", "invalid. transparent",
	};

	for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
		ub_ctx_set_option(r->ub, "local-zone:", zones[i]);
	ub_ctx_set_option(r->ub, "unblock-lan-zones:", "yes");
	ub_ctx_set_option(r->ub, "insecure-lan-zones:", "yes");
}

static bool
set_servers(struct resolver *r, const struct resolver_options *o, struct error *why)
{
	char text[IP_TEXT], server[IP_TEXT + 8];
	int code = 0;

	if (o->config != NULL)
		code = ub_ctx_config(r->ub, o->config);
	else if (o->server_count == 0)
		code = ub_ctx_resolvconf(r->ub, NULL);
	else
		open_local_names(r);
	for (size_t i = 0; i < o->server_count && code == 0; i++) {
		ip_text(o->servers[i].ip, text);
		snprintf(server, sizeof server, "%s@%u", text, o->servers[i].port);
		code = ub_ctx_set_fwd(r->ub, server);
	}
	return code == 0 || failed(why, o->config ? o->config : "its servers", code);
}

static bool
add_anchor(struct resolver *r, struct slice line, struct error *why)
{
	char anchor[ANCHOR_MOST];
	int code;

	if (line.n >= sizeof anchor)
		return error_set(why, "the resolver: a trust anchor is too long");
	snprintf(anchor, sizeof anchor, "%.*s", FMT(line));
	code = ub_ctx_add_ta(r->ub, anchor);
	return code == 0 || failed(why, "its trust anchor", code);
}

/* With anchors, but none for the root that is of use, all would be insecure, and nobody told. */
static bool
set_anchors(struct resolver *r, struct slice text, struct error *why)
{
	struct error flaw;
	enum anchor_line got;
	struct slice line;
	unsigned number = 0;

	if (text.n == 0)
		return true;
	if (!anchor_covers_root(text, &flaw))
		return error_set(why, "the resolver: its trust anchor: %s", flaw.text);
	while ((got = anchor_next(&text, &line, &number, &flaw)) != ANCHOR_END)
		if (got != ANCHOR_UNKNOWN && !add_anchor(r, line, why))
			return false;
	return r->validates = true;
}

/* The form libunbound wants: YYYYMMDDHHMMSS. */
static void
set_validation_time(struct resolver *r, int64_t at)
{
	time_t seconds = (time_t)(at / 1000);
	struct tm t;
	char text[32];

	if (at == 0 || gmtime_r(&seconds, &t) == NULL)
		return;
	strftime(text, sizeof text, "%Y%m%d%H%M%S", &t);
	ub_ctx_set_option(r->ub, "val-override-date:", text);
}

static void
probed(void *arg, int rcode, void *packet, int size, int security, char *why, int limited)
{
	(void)rcode, (void)packet, (void)size, (void)security, (void)why, (void)limited;
	*(bool *)arg = true;
}

/*
 * libunbound reads its files at the first question; a bad trust anchor shows
 * only then.  "localhost." is answered from inside, at once.
 */
static bool
force_start(struct resolver *r, struct error *why)
{
	bool came = false;
	int id = 0, code = ub_resolve_event(r->ub, "localhost.", RR_A, 1, &came, probed, &id);

	if (code != 0)
		return failed(why, "it does not start; is the trust anchor good?", code);
	if (!came)
		ub_cancel(r->ub, id);
	return true;
}

struct resolver *
resolver_new(struct loop *loop, const struct resolver_options *o, struct error *why)
{
	struct resolver *r = must_alloc(sizeof *r);

	r->loop = loop;
	r->zone = o->facts;
	r->timeout = o->timeout ? o->timeout : QUESTION_MS;
	r->fault = o->fault;
	r->fault_arg = o->fault_arg;
	if (r->zone != NULL)
		return r;
	if ((r->ub = ub_ctx_create_event(loop->base)) == NULL) {
		error_set(why, "the resolver cannot be made");
		free(r);
		return NULL;
	}
	ub_ctx_debuglevel(r->ub, 0);
	ub_ctx_debugout(r->ub, NULL);   /* the log is ours */
	if (set_options(r, why) && set_servers(r, o, why) && set_anchors(r, o->anchor, why)) {
		set_validation_time(r, o->validate_at);
		if (force_start(r, why))
			return r;
	}
	resolver_free(r);
	return NULL;
}

void
resolver_free(struct resolver *r)
{
	if (r == NULL)
		return;
	if (r->ub != NULL)
		ub_ctx_delete(r->ub);
	free(r);
}

struct resolver_counts
resolver_counts(const struct resolver *r)
{
	return r->counts;
}

bool
resolver_validates(const struct resolver *r)
{
	return r->validates;
}
