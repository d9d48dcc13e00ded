/* SPDX-License-Identifier: ISC */
/*
 * plan -- who gets what next.
 *
 * Where a recipient goes is asked of the configuration each time, never frozen
 * in the envelope; only what an alias or a list makes of an address is done
 * once, and then written down.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "queue/inside.h"

enum { PLACE_MEMORY = 16 << 10, EXPAND_MEMORY = 64 << 20, MAILDIRS_AT_ONCE = 16 };

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
	} else if (r->kind == ROUTE_LMTP) {
		p->kind = PLACE_LMTP;
		p->place = endpoint_text(&r->domain->lmtp, arena);
		p->key = arena_printf(arena, "lmtp %.*s", FMT(p->place));
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

void
place_find(struct queue *q, const struct envelope *e, const struct recipient *r,
    struct arena *arena, struct place_to_go *p)
{
	struct address a;

	*p = (struct place_to_go){ .kind = PLACE_NOWHERE, .key = S("nowhere"), .terms = { .most = 1 } };
	if (!address_parse(r->address, arena, &a))
		a = address_make(r->address, NONE, arena);      /* <postmaster> without a domain */
	p->route = route_local(q->options.routes, &a, arena);
	if (p->route.kind == ROUTE_ALIAS && r->parent != NO_RECIPIENT)
		p->route = route_mailbox(q->options.routes, &a, arena);
	switch (p->route.kind) {
	case ROUTE_REMOTE:
		go_remote(q, &a, arena, p);
		p->seal = sealing_domain(q, e, r);
		break;
	case ROUTE_MAILDIR:
	case ROUTE_LMTP:
	case ROUTE_DISCARD:
		go_home(&p->route, arena, p);
		break;
	case ROUTE_ALIAS:
	case ROUTE_LIST:
		p->kind = PLACE_EXPAND;
		p->key = S("expand");
		break;
	case ROUTE_NO_USER:
		break;
	}
}

/* --- tasks ------------------------------------------------------------------------------ */

static const struct recipient_state *
state_of(const struct recipient_state *states, size_t n, uint32_t recipient)
{
	for (size_t i = 0; i < n; i++)
		if (states[i].recipient == recipient)
			return &states[i];
	return NULL;
}

static bool
is_over(const struct recipient_state *s)
{
	return s != NULL && (s->stage == RECIPIENT_DONE || s->stage == RECIPIENT_FAILED ||
	    s->stage == RECIPIENT_EXPANDED);
}

/* It was failed by a command, and nobody has told the sender yet. */
static bool
owes_report(const struct recipient_state *s)
{
	return s != NULL && s->stage == RECIPIENT_FAILED && (s->told & NOTIFY_FAILURE) == 0;
}

static void
plan_recipient(struct queue *q, struct message *m, const struct envelope *e, uint32_t number,
    const struct recipient *r, const struct recipient_state *s)
{
	struct arena *arena = arena_new(PLACE_MEMORY);
	struct place_to_go place;
	struct task *t;

	place_find(q, e, r, arena, &place);
	t = schedule_add(&q->schedule, m, place.key, &place.terms, &number, 1, s ? s->until : 0,
	    s ? s->attempts : 0);
	m->open++;
	m->warned = m->warned || (s != NULL && s->told & NOTIFY_DELAY);
	if (t->stage == TASK_WAITING && (s != NULL ? s->stage == RECIPIENT_HELD : e->hold))
		task_hold(&q->schedule, t);
	arena_free(arena);
}

/* Recipients that an expansion made have numbers behind those of the envelope. */
static void
plan_made(struct queue *q, struct message *m, const struct envelope *e,
    const struct recipient_state *states, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; states[i].stage == RECIPIENT_EXPANDED && j < states[i].count; j++) {
			uint32_t number = states[i].first + (uint32_t)j;
			const struct recipient_state *s = state_of(states, n, number);

			if (number >= m->total)
				m->total = number + 1;
			if (!is_over(s))
				plan_recipient(q, m, e, number, &states[i].made[j], s);
		}
}

void
plan_message(struct queue *q, const struct envelope *e, const struct recipient_state *states,
    size_t n)
{
	struct message *m = schedule_message(&q->schedule, e->id, e->arrival);

	m->report = e->sender.n == 0;
	m->bulk = is_post(e);
	m->total = (uint32_t)e->count;
	for (uint32_t i = 0; i < e->count; i++) {
		const struct recipient_state *s = state_of(states, n, i);

		if (!is_over(s))
			plan_recipient(q, m, e, i, &e->recipients[i], s);
	}
	plan_made(q, m, e, states, n);
	for (size_t i = 0; i < n; i++)
		m->open += owes_report(&states[i]);
	settle_owed(q, m, states, n);
	if (m->open == 0) {                     /* all was done but the last word */
		schedule_forget(&q->schedule, m);
		spool_gone(q->spool, e->id, NULL, NULL);
	}
}

static bool
plan_found(void *arg, const struct found *f)
{
	plan_message(arg, &f->summary, f->states, f->count);
	return true;
}

bool
plan_all(struct queue *q, struct error *why)
{
	return spool_each(q->spool, plan_found, q, why);
}

void
plan_recipient_over(struct queue *q, struct message *m, const struct recipient_state *state)
{
	bug_if(m->open == 0);
	if (--m->open > 0) {
		spool_state(q->spool, m->id, state, NULL, NULL);
		return;
	}
	spool_gone(q->spool, m->id, NULL, NULL);
	schedule_forget(&q->schedule, m);
}

/* --- aliases and lists -------------------------------------------------------------------- */

/* One recipient that becomes others, or a list's post. */
struct expansion_work {
	struct queue   *queue;
	uint64_t        id;
	uint32_t        recipient, attempts;
	struct arena   *arena;
	struct buf      bytes;
	struct stored   stored;
	struct recipient_state state;
};

static void
free_expansion(struct expansion_work *w)
{
	if (w->stored.fd != -1)
		close(w->stored.fd);
	w->queue->expanding--;
	buf_free(&w->bytes);
	arena_free(w->arena);
	free(w);
}

/* It did not work out: like any other recipient it is tried again later. */
static void
try_later(struct expansion_work *w)
{
	struct queue *q = w->queue;
	struct message *m = schedule_find(&q->schedule, w->id);
	struct destination_terms terms = { .most = 1 };

	if (m != NULL)
		schedule_add(&q->schedule, m, S("expand"), &terms, &w->recipient, 1,
		    clock_now(q->loop->clock) + retry_delay(q, w->attempts), w->attempts + 1);
	free_expansion(w);
	queue_work_over(q);
}

static void
expanded(void *arg, struct status status)
{
	struct expansion_work *w = arg;
	struct queue *q = w->queue;
	struct message *m = schedule_find(&q->schedule, w->id);

	if (!status_good(status)) {
		try_later(w);
		return;
	}
	for (size_t i = 0; m != NULL && i < w->state.count; i++)
		plan_recipient(q, m, &w->stored.envelope, w->state.first + (uint32_t)i,
		    &w->state.made[i], NULL);
	if (m != NULL && --m->open == 0) {
		spool_gone(q->spool, m->id, NULL, NULL);
		schedule_forget(&q->schedule, m);
	}
	free_expansion(w);
	queue_work_over(q);
	queue_look(q);
}

static void
posted(void *arg, struct status status)
{
	struct expansion_work *w = arg;

	if (status_good(status))
		spool_state(w->queue->spool, w->id, &w->state, expanded, w);
	else
		try_later(w);
}

/* NOTIFY and ORCPT go on with a single target; several would report too much (A13.8). */
static bool
make_recipients(struct expansion_work *w, const struct expansion *x, struct message *m,
    const struct recipient *from)
{
	size_t n = 0;

	w->state.first = m->total;
	w->state.made = arena_get(w->arena, (x->count + 1) * sizeof *w->state.made);
	if (w->state.made == NULL)
		return false;
	for (const struct reached *r = x->first; r != NULL; r = r->next) {
		struct recipient *to = &w->state.made[n++];

		*to = (struct recipient){ .address = r->path->address.text, .parent = w->recipient,
		    .notify = from->notify };
		if (x->count == 1)
			to->orcpt = from->orcpt;
		else if (from->notify != NOTIFY_NEVER)
			to->notify = from->notify & ~(unsigned)NOTIFY_SUCCESS;
	}
	w->state.count = n;
	m->total += (uint32_t)n;
	return true;
}

static void
expand_alias(struct expansion_work *w, struct message *m, const struct recipient *from,
    const struct address *a)
{
	struct expansion x;

	if (!route_expand(w->queue->options.routes, a, w->arena, &x) || x.count == 0 ||
	    !make_recipients(w, &x, m, from)) {
		queue_alarm(w->queue, "alias", "an alias leads to nobody, in a circle, or to too many");
		try_later(w);
		return;
	}
	spool_state(w->queue->spool, w->id, &w->state, expanded, w);
}

/* Recipients that expansions made, by their numbers. */
struct wanted {
	const uint32_t          *numbers;
	size_t                   n;
	struct arena            *arena;
	const struct recipient **found;
};

static const struct recipient *
copy_recipient(struct arena *arena, const struct recipient *r)
{
	struct recipient *to = arena_get(arena, sizeof *to);

	if (to == NULL)
		return NULL;
	*to = *r;
	to->address = arena_copy(arena, r->address);
	to->orcpt = arena_copy(arena, r->orcpt);
	return to;
}

static bool
find_made(void *arg, const struct found *f)
{
	struct wanted *w = arg;

	for (size_t i = 0; i < f->count; i++) {
		const struct recipient_state *s = &f->states[i];

		for (size_t j = 0; s->stage == RECIPIENT_EXPANDED && j < w->n; j++)
			if (w->numbers[j] >= s->first && w->numbers[j] - s->first < s->count)
				w->found[j] = copy_recipient(w->arena, &s->made[w->numbers[j] - s->first]);
	}
	return true;
}

const struct recipient **
plan_find_recipients(struct queue *q, const struct envelope *e, const uint32_t *numbers, size_t n,
    struct arena *arena)
{
	struct wanted w = { numbers, n, arena, arena_get(arena, n * sizeof *w.found) };
	bool made = false;

	for (size_t i = 0; w.found != NULL && i < n; i++) {
		w.found[i] = numbers[i] < e->count ? &e->recipients[numbers[i]] : NULL;
		made = made || w.found[i] == NULL;
	}
	if (made)
		spool_look(q->spool, e->id, find_made, &w, NULL);
	for (size_t i = 0; w.found != NULL && i < n; i++)
		if (w.found[i] == NULL)
			return NULL;
	return w.found;
}

static void
expand_one(struct queue *q, struct message *m, uint32_t number, uint32_t attempts)
{
	struct expansion_work *w = must_alloc(sizeof *w);
	const struct recipient **found, *r;
	struct place_to_go place;
	struct address a;
	struct error why = { 0 };

	*w = (struct expansion_work){ .queue = q, .id = m->id, .recipient = number,
	    .attempts = attempts, .arena = arena_new(EXPAND_MEMORY), .bytes = BUF(RECORD_MOST), .stored.fd = -1 };
	w->state = (struct recipient_state){ .recipient = number, .stage = RECIPIENT_EXPANDED };
	q->expanding++;
	if (!spool_read(q->spool, m->id, &w->bytes, w->arena, &w->stored, &why) ||
	    (found = plan_find_recipients(q, &w->stored.envelope, &number, 1, w->arena)) == NULL) {
		queue_alarm(q, "message", why.text);
		try_later(w);
		return;
	}
	r = found[0];
	place_find(q, &w->stored.envelope, r, w->arena, &place);
	if (place.route.kind == ROUTE_LIST) {
		list_post(q, &w->stored, number, place.route.list, posted, w);
	} else if (place.route.kind == ROUTE_ALIAS && address_parse(r->address, w->arena, &a)) {
		expand_alias(w, m, r, &a);
	} else {                                /* the configuration changed meanwhile */
		plan_recipient(q, m, &w->stored.envelope, number, r, NULL);
		m->open--;
		free_expansion(w);
		queue_work_over(q);
	}
}

void
plan_expand(struct queue *q, struct task *t)
{
	struct message *m = t->message;
	uint32_t count = t->count, attempts = t->attempts, *numbers = must_alloc(count * sizeof *numbers);

	memcpy(numbers, task_recipients(t), count * sizeof *numbers);
	task_remove(&q->schedule, t);
	for (uint32_t i = 0; i < count; i++)
		expand_one(q, m, numbers[i], attempts);
	free(numbers);
}
