/* SPDX-License-Identifier: ISC */
/*
 * plan -- who gets what next.
 *
 * Where a recipient goes is asked of the configuration each time, never frozen
 * in the envelope; only what an alias or a list makes of an address is done
 * once, and then written down (expand.c).
 */
#include "base/bug.h"
#include "conf/events.h"
#include "mail/srs.h"
#include "queue/inside.h"

enum {
	PLACE_MEMORY = 16 << 10,
	MAILDIRS_AT_ONCE = 16,
	BULK_RECIPIENTS = 50,           /* a message to more of them is a mailing */
};

/* --- where a recipient goes ------------------------------------------------------- */

static struct slice
endpoint_text(const struct endpoint *e, struct arena *arena)
{
	char ip[IP_TEXT];

	ip_text(e->ip, ip);
	switch (e->kind) {
	case ENDPOINT_UNIX:
		return arena_printf(arena, "unix:%.*s", FMT(e->host));
	case ENDPOINT_HOST:
		return arena_printf(arena, "%.*s:%u", FMT(e->host), e->port);
	default:
		return arena_printf(arena, e->ip.n == 4 ? "%s:%u" : "[%s]:%u", ip, e->port);
	}
}

static void
go_remote(struct queue *q, const struct address *a, struct arena *arena, struct place_to_go *p)
{
	const struct destination_conf *dest = route_destination(q->options.conf, a->domain);

	p->kind = PLACE_SMTP;
	p->domain = a->domain;
	p->terms = (struct destination_terms){ dest->connections, dest->rate.count, dest->rate.per };
	if (dest->via.kind == ENDPOINT_NONE) {
		p->key = arena_printf(arena, "mx %.*s", FMT(a->domain));
		return;
	}
	/* All domains of one `to` block that go to one hop go together. */
	p->place = endpoint_text(&dest->via, arena);
	p->key = arena_printf(arena, "via %.*s %p", FMT(p->place), (const void *)dest);
}

static void
go_home(const struct route *r, struct arena *arena, struct place_to_go *p)
{
	p->domain = r->domain->name;
	if (r->kind == ROUTE_MAILDIR) {
		p->kind = PLACE_MAILDIR;
		p->place = r->maildir;
		p->key = arena_printf(arena, "maildir %.*s", FMT(r->maildir));
		p->terms.most = MAILDIRS_AT_ONCE;
	} else if (r->kind == ROUTE_LMTP || r->kind == ROUTE_SMTP) {
		p->kind = r->kind == ROUTE_LMTP ? PLACE_LMTP : PLACE_HOST;
		p->place = endpoint_text(r->server, arena);
		p->ticket = r->manager;
		p->key = arena_printf(arena, "%s %.*s", p->kind == PLACE_LMTP ? "lmtp" : "smtp",
		    FMT(p->place));
		p->terms.most = MAILDIRS_AT_ONCE;
	} else {
		p->kind = PLACE_DISCARD;
		p->key = S("discard");
	}
}

static struct slice
domain_of(struct slice address)
{
	size_t n = address.n;

	while (n > 0 && address.p[n - 1] != '@')
		n--;
	return slice_skip(address, n);
}

/* The address that a stranger wrote to, before aliases made others of it. */
static const struct recipient *
first_of(const struct envelope *e, const struct recipient *r)
{
	while (r->parent != NO_RECIPIENT && r->parent < e->count)
		r = &e->recipients[r->parent];
	return r;
}

/* The post of a list: made from another message, and not a report. */
static bool
is_post(const struct envelope *e)
{
	return e->parent != 0 && e->sender.n > 0;
}

static const struct listen_conf *
listener_of(const struct conf *conf, const struct envelope *e)
{
	for (size_t i = 0; i < conf->listen_count; i++)
		if (slice_eq(conf->listen[i].name, e->listener))
			return &conf->listen[i];
	return NULL;
}

/*
 * Who seals mail that leaves (RFC 8617 5.1): the domain that had it before.  Mail
 * for our own mailboxes is not sealed; nobody behind them would look.
 */
static struct slice
sealing_domain(struct queue *q, const struct envelope *e, const struct recipient *r)
{
	const struct conf *conf = q->options.conf;
	const struct listen_conf *listener = listener_of(conf, e);

	if (is_post(e))
		return conf->arc.seal & (SEAL_LISTS | SEAL_ALL) ? domain_of(e->sender) : NONE;
	if (r->parent != NO_RECIPIENT && conf->arc.seal & (SEAL_FORWARDS | SEAL_ALL))
		return domain_of(first_of(e, r)->address);
	if (listener != NULL && listener->seal_arc)
		return listener->sign_dkim.n > 0 ? listener->sign_dkim : domain_of(e->sender);
	if (conf->arc.seal & SEAL_ALL)
		return conf->hostname;
	return NONE;
}

/* It becomes other recipients, which find their own way. */
static void
go_on(struct place_to_go *p)
{
	p->kind = PLACE_EXPAND;
	p->key = S("expand");
}

/* A bounce to an address of ours that stands for a foreign one. */
static void
go_back(struct queue *q, const struct address *a, struct arena *arena, struct place_to_go *p)
{
	if (sender_back(q, a, arena, &p->instead))
		go_on(p);
}

/* What somebody may not post goes to the moderator. */
static void
go_to_list(const struct envelope *e, struct arena *arena, struct place_to_go *p)
{
	const struct list *list = p->route.list;
	struct address sender = { .text = NONE };

	if (e->sender.n > 0)
		address_parse(e->sender, arena, &sender);
	if (!route_may_post(list, &sender)) {
		p->route.refusal = STATUS(550, 5, 7, 2, "this sender may not post to the list");
		if (list->moderator == NULL || sender.text.n == 0)
			return;
		p->instead = list->moderator->address;
	}
	go_on(p);
}

struct address
plan_address(const struct recipient *r, struct arena *arena)
{
	struct address a;

	return address_parse(r->address, arena, &a) ? a : address_make(r->address, NONE, arena);
}

void
place_find(struct queue *q, const struct envelope *e, const struct recipient *r,
    struct arena *arena, struct place_to_go *p)
{
	struct address a = plan_address(r, arena);

	*p = (struct place_to_go){ .kind = PLACE_NOWHERE, .key = S("nowhere"), .terms = { .most = 1 },
	    .sender = e->sender };
	p->route = route_local(q->options.routes, &a, arena);
	if (p->route.kind == ROUTE_ALIAS && r->parent != NO_RECIPIENT)
		p->route = route_mailbox(q->options.routes, &a, arena);
	if (p->route.kind != ROUTE_REMOTE && srs_is(&a)) {
		go_back(q, &a, arena, p);
		return;
	}
	p->one_click = leaving_uri(q, e, r, arena);
	switch (p->route.kind) {
	case ROUTE_REMOTE:
		go_remote(q, &a, arena, p);
		p->seal = sealing_domain(q, e, r);
		p->sender = sender_onward(q, e, r, arena);
		p->alone = is_post(e) && !slice_eq(p->sender, e->sender);
		break;
	case ROUTE_MAILDIR:
	case ROUTE_LMTP:
	case ROUTE_SMTP:
	case ROUTE_DISCARD:
		go_home(&p->route, arena, p);
		break;
	case ROUTE_ALIAS:
		go_on(p);
		break;
	case ROUTE_LIST:
		go_to_list(e, arena, p);
		break;
	case ROUTE_NO_USER:
		break;
	}
	p->alone = p->alone || p->one_click.n > 0;
}

/* --- tasks ------------------------------------------------------------------------------ */

static bool
is_over(const struct recipient_state *s)
{
	return s != NULL && (s->stage == RECIPIENT_DONE || s->stage == RECIPIENT_FAILED ||
	    s->stage == RECIPIENT_EXPANDED);
}

/* The rule of the configuration that holds what goes there, as it is written; or NONE. */
static struct slice
holding_rule(const struct delivery_conf *d, const struct envelope *e, const struct recipient *r,
    struct arena *arena)
{
	const struct recipient *first = first_of(e, r);
	struct address to, from;
	struct slice whom;

	if (d->hold_to.count + d->hold_from.count == 0 ||
	    (first != r && holding_rule(d, e, first, arena).n > 0))
		return NONE;                    /* or it held whom he was made of, who was released */
	to = plan_address(r, arena);
	if ((whom = route_whom(&d->hold_to, &to)).n > 0)
		return arena_printf(arena, "hold to %.*s", FMT(whom));
	if (address_parse(e->sender, arena, &from) && (whom = route_whom(&d->hold_from, &from)).n > 0)
		return arena_printf(arena, "hold from %.*s", FMT(whom));
	return NONE;
}

/* As if somebody had said `queue hold`. */
static void
hold_recipient(struct queue *q, const struct envelope *e, const struct recipient *r,
    const struct recipient_state *held, struct slice rule)
{
	struct log_line l = log_event(q->options.log, &EVENT_HELD, e->id);

	log_path(&l, "from", e->sender);
	log_path(&l, "to", r->address);
	log_text(&l, "reason", "configuration");
	log_slice(&l, "why", rule);
	log_end(&l);
	spool_state(q->spool, e->id, held, NULL, NULL);
}

/* ms since 1970; at once when nothing is known of the recipient. */
static int64_t
due_of(const struct envelope *e, const struct recipient_state *s)
{
	if (s != NULL ? s->stage == RECIPIENT_HELD : e->hold)
		return UNTIL_RELEASED;
	return s != NULL ? s->until : 0;
}

void
plan_recipient(struct queue *q, struct message *m, const struct envelope *e, uint32_t number,
    const struct recipient *r, const struct recipient_state *s)
{
	struct arena *arena = arena_new(PLACE_MEMORY);
	struct recipient_state held = { .recipient = number, .stage = RECIPIENT_HELD };
	struct place_to_go place;
	struct slice rule;

	/* Who has a state was tried, held or released before. */
	if (s == NULL && (rule = holding_rule(&q->options.conf->delivery, e, r, arena)).n > 0) {
		hold_recipient(q, e, r, &held, rule);
		s = &held;
	}
	place_find(q, e, r, arena, &place);
	(place.alone ? schedule_add_alone : schedule_add)(&q->schedule, m, place.key, &place.terms,
	    &number, 1, due_of(e, s), s ? s->attempts : 0);
	m->open++;
	if (s != NULL && s->told & NOTIFY_DELAY)
		numbers_add(&m->warned, number);
	arena_free(arena);
}

static void
plan_pass(struct message *m, uint32_t number)
{
	if (number >= m->total)
		m->total = number + 1;
}

/* Recipients that an expansion made have numbers behind those of the envelope. */
static void
plan_made(struct queue *q, struct message *m, const struct envelope *e,
    const struct recipient_state *states, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct recipient_state *by = &states[i];

		/* Also of those whose maker's record was lost: nobody else gets their numbers. */
		plan_pass(m, by->recipient);
		if (by->stage == RECIPIENT_EXPANDED && by->count > 0)
			message_note_made(m, by->recipient, by->first, by->count);
		for (size_t j = 0; by->stage == RECIPIENT_EXPANDED && j < by->count; j++) {
			uint32_t number = by->first + (uint32_t)j;
			const struct recipient_state *s = state_find(states, n, number);

			plan_pass(m, number);
			if (!is_over(s))
				plan_recipient(q, m, e, number, &by->made[j], s);
		}
	}
}

void
plan_message(struct queue *q, const struct envelope *e, const struct recipient_state *states,
    size_t n)
{
	struct message *m = schedule_message(&q->schedule, e->id, e->arrival);

	m->report = e->sender.n == 0;
	m->bulk = is_post(e) || e->bulk || e->count > BULK_RECIPIENTS;
	m->sender = (uint32_t)slice_hash(e->sender);
	m->total = (uint32_t)e->count;
	for (uint32_t i = 0; i < e->count; i++) {
		const struct recipient_state *s = state_find(states, n, i);

		if (!is_over(s))
			plan_recipient(q, m, e, i, &e->recipients[i], s);
	}
	plan_made(q, m, e, states, n);
	for (size_t i = 0; i < n; i++)
		m->open += settle_owes(&states[i]);
	settle_owed(q, m, states, n);
	if (m->open == 0) {                     /* all was done but the last word */
		schedule_forget(&q->schedule, m);
		spool_gone(q->spool, e->id, NULL, NULL);
	}
}

static bool
plan_found(void *arg, const struct found *f)
{
	struct queue *q = arg;

	ids_pass(&q->ids, f->summary.id);       /* also should the lease be lost (cmd/lease.h) */
	plan_message(q, &f->summary, f->states, f->count);
	if (is_post(&f->summary))
		expand_note_post(q, f->summary.parent, f->summary.parent_recipient);
	return true;
}

static void
plan_later(void *arg, uint64_t id)
{
	struct queue *q = arg;
	size_t n = q->unplanned_count;

	if ((n & (n - 1)) == 0)                 /* it doubles */
		q->unplanned = must_grow(q->unplanned, (n > 0 ? 2 * n : 1) * sizeof *q->unplanned);
	q->unplanned[q->unplanned_count++] = id;
}

/* Should the disk give them now. */
static void
plan_again(void *arg)
{
	struct queue *q = arg;
	size_t count = q->unplanned_count;

	q->unplanned_count = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t id = q->unplanned[i];
		struct error why = { 0 };

		if (spool_living(q->spool, id) && !spool_look(q->spool, id, plan_found, q, &why) &&
		    read_refused(&why))
			q->unplanned[q->unplanned_count++] = id;
	}
	if (q->unplanned_count > 0)
		timer_set(q->loop, &q->plan_again, MINUTE, plan_again, q);
	queue_look(q);
}

void
plan_all(struct queue *q)
{
	struct spool_walk walk = { .refused = plan_later };

	spool_walk(q->spool, &walk, plan_found, q);
	spool_walk_end(&walk);
	if (q->unplanned_count > 0)
		timer_set(q->loop, &q->plan_again, MINUTE, plan_again, q);
	else
		expand_keep_open_posts(q);
	/* The clock may have been, since they were written. */
	schedule_set_back(&q->schedule, clock_now(q->loop->clock), retry_longest(q));
}

bool
plan_last(struct queue *q, struct message *m)
{
	bug_if(m->open == 0);
	if (--m->open > 0)
		return false;
	spool_gone(q->spool, m->id, NULL, NULL);
	schedule_forget(&q->schedule, m);
	return true;
}

void
plan_recipient_over(struct queue *q, struct message *m, const struct recipient_state *state)
{
	uint64_t id = m->id;

	if (!plan_last(q, m))
		spool_state(q->spool, id, state, NULL, NULL);
}
