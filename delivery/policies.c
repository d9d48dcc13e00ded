/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/bug.h"
#include "base/map.h"
#include "conf/events.h"
#include "delivery/policies.h"
#include "sts/reach.h"

enum {
	DNS_MS = 20 * SECOND,           /* for the record and the addresses of one look */
	LOOK_MEMORY = 1 << 20,
	ENTRY_MEMORY = STS_POLICY_MEMORY + STS_ENTRY_MOST,
};

/* A domain, as long as somebody waits; then it is kept a while, with its entry. */
struct seat {
	struct policies    *all;
	struct seat        *newer, **back;      /* among those nobody asks for; back NULL: not there */
	struct slice        domain;
	struct arena       *entry_arena;
	struct sts_entry    entry;
	bool                asked, answered;    /* the queue, for the entry */

	/* one look at a time: */
	struct arena       *arena;              /* NULL: nobody looks */
	struct inquiry      dns;
	struct sts_record   record;
	struct sts_fetch    fetched;
	bool                have_fetch;
	bool                refused;            /* look for a newer policy, whatever its id */
	bool                refreshing;         /* somebody is told when it is over */
	struct fetch       *fetch;
	struct sts_decision decision;
	struct policy_wait *waiting;
	struct later        tell, again;
};

struct policy_wait {
	struct policy_wait *next, **back;
	void              (*told)(void *arg, const struct policy_answer *);
	void               *arg;
};

struct policies {
	struct policies_options options;
	struct map              seats;
	struct seat            *oldest, **newest;       /* nobody asks for them */
	size_t                  unasked;
};

static void look(void *arg);

/* --- seats ----------------------------------------------------------------------- */

/* Somebody asks for it again. */
static void
take_from_unasked(struct seat *s)
{
	struct policies *all = s->all;

	if (s->back == NULL)
		return;
	if ((*s->back = s->newer) != NULL)
		s->newer->back = s->back;
	else
		all->newest = s->back;
	s->back = NULL;
	all->unasked--;
}

static struct seat *
seat_of(struct policies *all, struct slice domain)
{
	struct seat *s = map_get(&all->seats, domain);

	if (s != NULL) {
		take_from_unasked(s);
		return s;
	}
	s = must_alloc(sizeof *s);
	s->all = all;
	s->domain = slice_of(must_copy(domain.p, domain.n), domain.n);
	map_put(&all->seats, s->domain, s);
	return s;
}

static void
stop_looking(struct seat *s)
{
	if (s->arena == NULL)
		return;
	fetch_forget(s->fetch);
	inquiry_end(&s->dns);
	arena_free(s->arena);
	s->arena = NULL;
	s->fetch = NULL;
	s->have_fetch = false;
}

static void
free_seat(struct seat *s)
{
	struct policy_wait *w;

	stop_looking(s);
	take_from_unasked(s);
	while ((w = s->waiting) != NULL)
		policies_forget(w);
	later_cancel(s->all->options.loop, &s->tell);
	later_cancel(s->all->options.loop, &s->again);
	arena_free(s->entry_arena);
	free((void *)(uintptr_t)s->domain.p);
	free(s);
}

/* Kept until others were asked for later. */
static void
put_to_unasked(struct seat *s)
{
	struct policies *all = s->all;

	s->newer = NULL;
	s->back = all->newest;
	*all->newest = s;
	all->newest = &s->newer;
	if (++all->unasked > POLICIES_MOST) {
		s = all->oldest;
		map_remove(&all->seats, s->domain);
		free_seat(s);
	}
}

/* --- the entry --------------------------------------------------------------------- */

static void
set_entry(struct seat *s, struct slice packed)
{
	struct arena *arena = arena_new(ENTRY_MEMORY);
	struct sts_entry entry = { 0 };

	if (packed.n > 0 && !sts_entry_unpack(&entry, packed, arena))
		entry = (struct sts_entry){ 0 };
	arena_free(s->entry_arena);
	s->entry_arena = arena;
	s->entry = entry;
	s->answered = true;
}

static void
keep_entry(struct seat *s)
{
	const struct policies_options *o = &s->all->options;
	struct buf packed = BUF(STS_ENTRY_MOST);

	if (!s->decision.store)
		return;
	sts_entry_pack(&s->decision.entry, &packed);
	o->keep(o->arg, s->domain, buf_slice(&packed), sts_entry_end(&s->decision.entry));
	set_entry(s, buf_slice(&packed));
	buf_free(&packed);
}

void
policies_entry(struct policies *all, struct slice domain, struct slice packed)
{
	struct seat *s = map_get(&all->seats, domain);

	if (s == NULL || s->answered)
		return;
	set_entry(s, packed);
	if (s->arena != NULL)
		look(s);
}

size_t
policies_count(const struct policies *all)
{
	return all->seats.n;
}

void
policies_ask_again(struct policies *all)
{
	struct seat *s;

	for (size_t at = 0; (s = map_next(&all->seats, &at)) != NULL; )
		if (s->asked && !s->answered)
			all->options.ask(all->options.arg, s->domain);
}

/* --- a look: record, entry, maybe a fetch ------------------------------------------------ */

static void
log_decision(struct seat *s)
{
	const struct sts_decision *d = &s->decision;
	struct log_line l;

	if (!s->have_fetch)
		return;
	l = log_event(s->all->options.log, &EVENT_POLICY, 0);
	log_slice(&l, "domain", s->domain);
	if (d->applies) {
		log_slice(&l, "policy-id", d->id);
		log_text(&l, "mode", sts_mode_name(d->policy.mode));
	}
	if (s->fetched.result != TLSRPT_SUCCESS) {
		log_text(&l, "result", tlsrpt_result_name(s->fetched.result));
		log_slice(&l, "why", s->fetched.reason);
	}
	log_end(&l);
}

/* How a refresh that somebody asked for ended; empty: well. */
static struct slice
why_not_refreshed(const struct seat *s)
{
	if (s->record.live == LIVE_UNKNOWN)
		return S("the record cannot be looked up");
	if (s->record.live != LIVE_VALID)
		return S("there is no valid record, so nothing to fetch");
	if (!s->have_fetch)
		return s->entry.failed != TLSRPT_SUCCESS
		    ? S("it failed a moment ago, and is left alone for five minutes")
		    : S("it was tried a moment ago");
	return s->fetched.result == TLSRPT_SUCCESS ? NONE : s->fetched.reason;
}

static void
tell_refreshed(struct seat *s)
{
	const struct policies_options *o = &s->all->options;

	if (s->refreshing && o->refreshed != NULL)
		o->refreshed(o->arg, s->domain, why_not_refreshed(s));
	s->refreshing = s->refused = false;
}

/* The look is over: everybody who waits is told. */
static void
conclude(void *arg)
{
	struct seat *s = arg;
	const struct policies_options *o = &s->all->options;
	const struct sts_decision *d = &s->decision;
	struct policy_answer answer = { d->applies, d->policy, d->id, d->report, d->reason };
	bool again = d->wish == STS_REFRESH;
	struct policy_wait *w;

	log_decision(s);
	while ((w = s->waiting) != NULL) {
		void (*told)(void *, const struct policy_answer *) = w->told;
		void *waiter = w->arg;

		policies_forget(w);
		told(waiter, &answer);
	}
	if (d->report != TLSRPT_SUCCESS && o->failed != NULL)
		o->failed(o->arg, s->domain, d);
	keep_entry(s);                          /* before whoever is told looks at it */
	tell_refreshed(s);
	stop_looking(s);
	if (again)                              /* now without anybody who waits */
		loop_later(s->all->options.loop, &s->again, look, s);
	else
		put_to_unasked(s);
}

static bool
decide(struct seat *s)
{
	struct sts_question q = {
		.record = &s->record, .entry = s->entry.known || s->entry.tried ? &s->entry : NULL,
		.fetch = s->have_fetch ? &s->fetched : NULL,
		.now = clock_now(s->all->options.loop->clock), .jitter = slice_hash(s->domain),
		.mail = s->waiting != NULL, .refused = s->refused, .wanted = s->refreshing,
	};

	sts_decide(&s->decision, &q);
	return s->have_fetch || s->decision.wish == STS_CONTENT;
}

static void
fetched(void *arg, const struct sts_answer *answer)
{
	struct seat *s = arg;

	s->fetch = NULL;
	sts_answer_judge(&s->fetched, answer, s->arena);
	s->have_fetch = true;
	decide(s);
	loop_later(s->all->options.loop, &s->tell, conclude, s);
}

/* The policy host's addresses, then the fetch; false when the DNS has not answered. */
static bool
begin_fetch(struct seat *s)
{
	struct slice host = arena_printf(s->arena, "mta-sts.%.*s", FMT(s->domain));
	const struct fact *v4 = fact(&s->dns.facts, host, RR_A), *v6 = fact(&s->dns.facts, host, RR_AAAA);
	struct ip ips[REACH_MOST];
	size_t n;

	if (v4 == NULL || v6 == NULL)
		return false;
	n = reach_addresses(v6, v4, s->all->options.local_allowed, ips);
	if (n == 0) {
		fetched(s, &(struct sts_answer){ .transport = STS_UNREACHABLE });
		return true;
	}
	s->fetch = fetch_begin(s->all->options.fetcher, s->domain, ips, n, fetched, s);
	return true;
}

/* Called anew whenever something has become known. */
static void
look(void *arg)
{
	struct seat *s = arg;
	const struct policies_options *o = &s->all->options;
	bool known;

	if (s->arena == NULL) {
		s->arena = arena_new(LOOK_MEMORY);
		inquiry_begin(&s->dns, o->resolver, s->arena);
		inquiry_limit(&s->dns, DNS_MS);
		s->have_fetch = false;
	}
	if (!s->answered && !s->asked) {
		s->asked = true;
		o->ask(o->arg, s->domain);
	}
	known = sts_record_find(&s->record, s->domain, &s->dns.facts);
	if (known && !s->answered)
		return;                         /* policies_entry() goes on */
	if (known && decide(s)) {
		loop_later(o->loop, &s->tell, conclude, s);
		return;
	}
	if (known && s->decision.wish == STS_REFRESH && s->waiting != NULL) {
		/* The mail does not wait for it: tell them, and look again without them. */
		loop_later(o->loop, &s->tell, conclude, s);
		return;
	}
	if (!known || !begin_fetch(s))
		inquiry_ask(&s->dns, look, s);
}

/* --- asking ------------------------------------------------------------------------------- */

static void
begin_look(struct seat *s, bool refused)
{
	s->refused = s->refused || refused;
	later_cancel(s->all->options.loop, &s->again);
	if (s->arena == NULL)
		look(s);
}

struct policy_wait *
policies_ask(struct policies *all, struct slice domain, bool refused,
    void (*told)(void *, const struct policy_answer *), void *arg)
{
	struct seat *s = seat_of(all, domain);
	struct policy_wait *w = must_alloc(sizeof *w);

	*w = (struct policy_wait){ s->waiting, &s->waiting, told, arg };
	if (w->next != NULL)
		w->next->back = &w->next;
	s->waiting = w;
	begin_look(s, refused);
	return w;
}

void
policies_refresh(struct policies *all, struct slice domain)
{
	struct seat *s = seat_of(all, domain);

	s->refreshing = true;
	begin_look(s, false);
}

void
policies_drop(struct policies *all, struct slice domain)
{
	struct seat *s = map_get(&all->seats, domain);

	if (s == NULL)
		return;
	s->entry = (struct sts_entry){ 0 };
	s->asked = s->answered = false;
}

void
policies_forget(struct policy_wait *w)
{
	if (w == NULL)
		return;
	if ((*w->back = w->next) != NULL)
		w->next->back = w->back;
	free(w);
}

struct policies *
policies_new(const struct policies_options *o)
{
	struct policies *all = must_alloc(sizeof *all);

	all->options = *o;
	all->newest = &all->oldest;
	return all;
}

void
policies_free(struct policies *all)
{
	struct seat *s;

	if (all == NULL)
		return;
	for (size_t at = 0; (s = map_next(&all->seats, &at)) != NULL; )
		free_seat(s);
	map_free(&all->seats);
	free(all);
}
