/* SPDX-License-Identifier: ISC */
/*
 * opened -- messages with many recipients are read once for many attempts.
 *
 * A post to thirty thousand domains makes as many attempts; were each of them to read
 * and unpack all recipients, they would cost the square of that.  What is kept is never
 * wrong: an envelope is written once, and of the recipients that expansions made there
 * come only more.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "queue/inside.h"

enum {
	KEPT_MOST = 4,                  /* messages, the newest used */
	KEPT_LEAST = 16,                /* recipients: with fewer it is read again as quickly */
	KEPT_MS = 10 * SECOND,          /* behind its last use */
	ENVELOPE_MEMORY = 16 << 20,
	MADE_MEMORY = 96 << 20,         /* all that a message may have, with their addresses */
};

/* Recipients that expansions made. */
struct made {
	struct arena            *arena; /* NULL: nobody has asked for one */
	const struct recipient **each;  /* by number, from that of the first on */
	uint32_t                 first, count;
	struct slice             orcpt; /* the newest: mostly all have the same */
};

struct opened_inside {
	struct opened  public;
	struct opened_inside *next;     /* while it is kept */
	uint64_t       id;
	unsigned       users;           /* and one for being kept */
	int64_t        used;            /* ticks */
	struct arena  *arena;
	struct buf     bytes;
	struct made    made;
};

static struct opened_inside *
inside(struct opened *o)
{
	return (struct opened_inside *)o;
}

/* --- keeping ---------------------------------------------------------------------- */

void
opened_drop(struct opened *o)
{
	struct opened_inside *in = inside(o);

	if (o == NULL || --in->users > 0)
		return;
	if (o->stored.fd != -1)
		close(o->stored.fd);
	buf_free(&in->bytes);
	arena_free(in->arena);
	arena_free(in->made.arena);
	free(in->made.each);
	free(in);
}

static void
keep_at(struct opened_inside **at)
{
	struct opened_inside *in = *at;

	*at = in->next;
	opened_drop(&in->public);
}

/* All but the newest so many, and those that nobody has used for a while. */
static void
forget(struct queue *q, unsigned most, int64_t since)
{
	struct opened_inside **at = &q->opened;

	for (unsigned n = 0; *at != NULL; )
		if (n == most || (*at)->used < since)
			keep_at(at);
		else
			at = &(*at)->next, n++;
}

static void
keep(struct queue *q, struct opened_inside *in)
{
	forget(q, KEPT_MOST - 1, INT64_MIN);
	in->users++;
	in->next = q->opened;
	q->opened = in;
}

void
opened_tidy(struct queue *q)
{
	forget(q, KEPT_MOST, clock_ticks(q->loop->clock) - KEPT_MS);
}

void
opened_end(struct queue *q)
{
	forget(q, 0, INT64_MIN);
}

static struct opened_inside *
find(struct queue *q, uint64_t id)
{
	for (struct opened_inside **at = &q->opened, *in; (in = *at) != NULL; at = &in->next)
		if (in->id == id) {
			*at = in->next;         /* the newest stands first */
			in->next = q->opened;
			q->opened = in;
			return in;
		}
	return NULL;
}

/* --- opening ---------------------------------------------------------------------- */

static bool
is_worth_keeping(const struct queue *q, const struct opened_inside *in)
{
	const struct message *m = schedule_find(&q->schedule, in->id);

	return in->public.whole && m != NULL && m->total > KEPT_LEAST;
}

struct opened *
opened_get(struct queue *q, uint64_t id, struct error *why)
{
	struct opened_inside *in = spool_living(q->spool, id) ? find(q, id) : NULL;

	if (in == NULL) {
		in = must_alloc(sizeof *in);
		in->id = id;
		in->arena = arena_new(ENVELOPE_MEMORY);
		in->bytes = BUF(RECORD_MOST);
		in->public.whole = spool_read(q->spool, id, &in->bytes, in->arena, &in->public.stored, why);
		if (is_worth_keeping(q, in))
			keep(q, in);
	}
	in->users++;
	in->used = clock_ticks(q->loop->clock);
	return &in->public;
}

/* --- recipients ---------------------------------------------------------------------- */

/* NULL when there is no memory for him: he counts as not there. */
static const struct recipient *
copy_made(struct made *made, const struct recipient *r)
{
	struct recipient *to = arena_get(made->arena, sizeof *to);

	if (to == NULL)
		return NULL;
	if (!slice_eq(r->orcpt, made->orcpt))
		made->orcpt = arena_copy(made->arena, r->orcpt);
	*to = *r;
	to->orcpt = made->orcpt;
	to->address = arena_copy(made->arena, r->address);
	return to->address.n == r->address.n && to->orcpt.n == r->orcpt.n ? to : NULL;
}

static bool
gather_made(void *arg, const struct found *f)
{
	struct made *made = arg;

	for (size_t i = 0; i < f->count; i++)
		for (size_t j = 0; f->states[i].stage == RECIPIENT_EXPANDED && j < f->states[i].count; j++) {
			uint32_t at = f->states[i].first - made->first + (uint32_t)j;

			if (at < made->count && made->each[at] == NULL)
				made->each[at] = copy_made(made, &f->states[i].made[j]);
		}
	return true;
}

/* Also again, when somebody asks for one who was made since; who is known stays where he is. */
static void
read_made(struct queue *q, struct opened_inside *in, struct error *why)
{
	const struct message *m = schedule_find(&q->schedule, in->id);
	struct made *made = &in->made;
	uint32_t count = made->count;

	made->first = (uint32_t)in->public.stored.envelope.count;
	if (made->arena == NULL)
		made->arena = arena_new(MADE_MEMORY);
	if (m != NULL && m->total - made->first > count) {
		made->count = m->total - made->first;
		made->each = must_grow(made->each, made->count * sizeof *made->each);
		memset(made->each + count, 0, (made->count - count) * sizeof *made->each);
	}
	spool_look(q->spool, in->id, gather_made, made, why);
}

static const struct recipient *
find_recipient(struct opened_inside *in, uint32_t number)
{
	const struct envelope *e = &in->public.stored.envelope;
	const struct made *made = &in->made;

	if (number < e->count)
		return &e->recipients[number];
	number -= (uint32_t)e->count;
	return number < made->count ? made->each[number] : NULL;
}

/* Whom he was made of, or who that one was made of. */
static const struct recipient *
find_maker(const struct queue *q, struct opened_inside *in, uint32_t number)
{
	const struct message *m = schedule_find(&q->schedule, in->id);
	const struct recipient *r = NULL;

	while (r == NULL && m != NULL && (number = message_maker(m, number)) != NO_RECIPIENT)
		r = find_recipient(in, number);
	return r;
}

static bool
not_found(uint32_t number, const struct error *trouble, struct error *why)
{
	error_set(why, "recipient %u cannot be found: %.200s", number, trouble->text);
	if (why != NULL)
		why->number = trouble->number;
	return false;
}

/* One reading finds all of them: those it does not find are not there. */
static bool
find_all(struct queue *q, struct opened_inside *in, const uint32_t *numbers, size_t n, bool makers,
    const struct recipient **found, struct error *why)
{
	struct error trouble = { 0 };
	bool again = false;

	for (size_t i = 0; i < n; i++) {
		found[i] = find_recipient(in, numbers[i]);
		if (found[i] == NULL && !again) {
			again = true;
			read_made(q, in, &trouble);
			found[i] = find_recipient(in, numbers[i]);
		}
		if (found[i] == NULL && makers && !read_refused(&trouble))
			found[i] = find_maker(q, in, numbers[i]);
		if (found[i] == NULL)
			return not_found(numbers[i], &trouble, why);
	}
	return true;
}

const struct recipient **
opened_recipients(struct queue *q, struct opened *o, const uint32_t *numbers, size_t n,
    struct arena *arena, struct error *why)
{
	const struct recipient **found = arena_get(arena, (n + 1) * sizeof *found);

	return found != NULL && find_all(q, inside(o), numbers, n, false, found, why) ? found : NULL;
}

const struct recipient **
opened_names(struct queue *q, struct opened *o, const uint32_t *numbers, size_t n, struct arena *arena,
    struct error *why)
{
	const struct recipient **found = arena_get(arena, (n + 1) * sizeof *found);

	return found != NULL && find_all(q, inside(o), numbers, n, true, found, why) ? found : NULL;
}

bool
opened_knows(struct opened *o, uint32_t number)
{
	return find_recipient(inside(o), number) != NULL;
}
