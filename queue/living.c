/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "base/text.h"
#include "queue/living.h"

#define NOWHERE ((struct spot){ 0, 0, 0 })

/* --- counting what lives in a segment ----------------------------------------- */

static uint64_t *
counter_of(struct living *l, uint32_t segment)
{
	size_t i;

	if (l->segments == 0)
		l->first = segment;
	if (segment < l->first) {       /* an older one: make room in front */
		size_t shift = l->first - segment;

		l->bytes = must_grow(l->bytes, (l->segments + shift) * sizeof *l->bytes);
		memmove(l->bytes + shift, l->bytes, l->segments * sizeof *l->bytes);
		memset(l->bytes, 0, shift * sizeof *l->bytes);
		l->segments += shift;
		l->first = segment;
	}
	i = segment - l->first;
	if (i >= l->segments) {
		l->bytes = must_grow(l->bytes, (i + 1) * sizeof *l->bytes);
		memset(l->bytes + l->segments, 0, (i + 1 - l->segments) * sizeof *l->bytes);
		l->segments = i + 1;
	}
	return &l->bytes[i];
}

/* The record lies at `to` from now on. */
static void
move(struct living *l, struct spot *p, struct spot to)
{
	if (p->segment != 0)
		*counter_of(l, p->segment) -= p->length;
	if (to.segment != 0)
		*counter_of(l, to.segment) += to.length;
	*p = to;
}

uint64_t
living_bytes(const struct living *l, uint32_t segment)
{
	return segment >= l->first && segment - l->first < l->segments ?
	    l->bytes[segment - l->first] : 0;
}

uint64_t
living_bytes_all(const struct living *l)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < l->segments; i++)
		sum += l->bytes[i];
	return sum;
}

void
living_trim(struct living *l, uint32_t segment)
{
	size_t n = segment < l->first ? 0 : (size_t)(segment - l->first) + 1;

	if (n > l->segments)
		n = l->segments;
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		bug_if(l->bytes[i] != 0);
	memmove(l->bytes, l->bytes + n, (l->segments - n) * sizeof *l->bytes);
	l->segments -= n;
	l->first += (uint32_t)n;
}

/* --- entries -------------------------------------------------------------------- */

static void
whereabouts_free(struct whereabouts *w)
{
	free(w->states);
	free(w->seals);
	free(w);
}

void
living_free(struct living *l)
{
	struct whereabouts *w;
	size_t at = 0;

	while ((w = idmap_next(&l->by_id, &at)) != NULL)
		whereabouts_free(w);
	idmap_free(&l->by_id);
	free(l->bytes);
	*l = (struct living){ 0 };
}

struct whereabouts *
living_find(const struct living *l, uint64_t id)
{
	return idmap_get(&l->by_id, id);
}

struct whereabouts *
living_expect(struct living *l, uint64_t id)
{
	struct whereabouts *w = living_find(l, id);

	if (w != NULL)
		return w;
	w = must_alloc(sizeof *w);
	w->id = id;
	idmap_put(&l->by_id, id, w);
	return w;
}

static void
clear_places(struct living *l, struct whereabouts *w)
{
	move(l, &w->message, NOWHERE);
	for (uint32_t i = 0; w->states != NULL && i < w->states->n; i++)
		move(l, &w->states->at[i], NOWHERE);
	for (uint32_t i = 0; w->seals != NULL && i < w->seals->n; i++)
		move(l, &w->seals->at[i].at, NOWHERE);
}

void
living_forget(struct living *l, uint64_t id)
{
	struct whereabouts *w = idmap_remove(&l->by_id, id);

	if (w == NULL)
		return;
	l->messages -= w->message.segment != 0;
	clear_places(l, w);
	whereabouts_free(w);
}

void
living_message(struct living *l, uint64_t id, bool large, struct spot at)
{
	struct whereabouts *w = living_expect(l, id);

	l->messages += w->message.segment == 0;
	w->large = large;
	move(l, &w->message, at);
}

void
living_state(struct living *l, uint64_t id, uint32_t recipient, struct spot at)
{
	struct whereabouts *w = living_expect(l, id);
	uint32_t n = w->states == NULL ? 0 : w->states->n, room = recipient + 1;

	bug_if(recipient >= RECIPIENTS_MOST);
	if (room > n) {                 /* doubled, or a long list is copied again and again */
		room = room > 1 && room < 2 * n ? 2 * n : room;
		w->states = must_grow(w->states, sizeof *w->states + room * sizeof(struct spot));
		memset(w->states->at + n, 0, (room - n) * sizeof(struct spot));
		w->states->n = room;
	}
	move(l, &w->states->at[recipient], at);
}

void
living_seal(struct living *l, uint64_t id, uint32_t route, struct spot at)
{
	struct whereabouts *w = living_expect(l, id);
	uint32_t n = w->seals == NULL ? 0 : w->seals->n;

	for (uint32_t i = 0; i < n; i++)
		if (w->seals->at[i].route == route) {
			move(l, &w->seals->at[i].at, at);
			return;
		}
	if (n == SEALS_MOST)            /* not kept: it will be made again */
		return;
	w->seals = must_grow(w->seals, sizeof *w->seals + (n + 1) * sizeof(struct seal_place));
	w->seals->n = n + 1;
	w->seals->at[n] = (struct seal_place){ route, NOWHERE };
	move(l, &w->seals->at[n].at, at);
}

struct spot
state_place(const struct whereabouts *w, uint32_t recipient)
{
	return w->states != NULL && recipient < w->states->n ? w->states->at[recipient] : NOWHERE;
}

struct spot
seal_place(const struct whereabouts *w, uint32_t route)
{
	for (uint32_t i = 0; w->seals != NULL && i < w->seals->n; i++)
		if (w->seals->at[i].route == route)
			return w->seals->at[i].at;
	return NOWHERE;
}

struct whereabouts *
living_next(const struct living *l, size_t *at)
{
	return idmap_next(&l->by_id, at);
}

/* --- what a record means ---------------------------------------------------------- */

/* What it is about; CHANGED_NOTHING for a payload that says nothing. */
static struct change
subject_of(const struct spool_record *r)
{
	struct change c = { CHANGED_NOTHING, r->id, 0 };
	struct message_payload m;
	struct slice route, fields;

	if (r->kind == RECORD_MESSAGE && message_read(r->payload, &m)) {
		c.what = CHANGED_MESSAGE;
	} else if (r->kind == RECORD_STATE &&
	    (c.number = state_recipient(r->payload)) != NO_RECIPIENT) {
		c.what = CHANGED_STATE;
	} else if (r->kind == RECORD_SEAL && seal_read(r->payload, &route, &fields)) {
		c.what = CHANGED_SEAL;
		c.number = route_number(route);
	} else if (r->kind == RECORD_GONE) {
		c.what = CHANGED_GONE;
	}
	return c;
}

struct change
living_apply(struct living *l, const struct spool_record *r, struct spot at)
{
	struct change c = subject_of(r);

	switch (c.what) {
	case CHANGED_MESSAGE: living_message(l, c.id, r->payload.p[0] == 1, at); break;
	case CHANGED_STATE:   living_state(l, c.id, c.number, at); break;
	case CHANGED_SEAL:    living_seal(l, c.id, c.number, at); break;
	case CHANGED_GONE:    living_forget(l, c.id); break;
	case CHANGED_NOTHING: break;
	}
	return c;
}

bool
living_has(const struct living *l, const struct spool_record *r, struct spot at)
{
	const struct whereabouts *w = living_find(l, r->id);
	struct change c = subject_of(r);

	if (w == NULL || w->message.segment == 0)
		return false;
	return c.what == CHANGED_MESSAGE ? place_eq(w->message, at) :
	    c.what == CHANGED_STATE ? place_eq(state_place(w, c.number), at) :
	    c.what == CHANGED_SEAL && place_eq(seal_place(w, c.number), at);
}

/* --- many at once ------------------------------------------------------------------ */

/* Forget all that `which` says; a map may not change while it is walked. */
static void
forget_those(struct living *l, bool (*which)(struct living *, struct whereabouts *, uint32_t),
    uint32_t segment, void (*lost)(void *, uint64_t), void *arg)
{
	struct whereabouts *w;
	uint64_t *ids = NULL;
	size_t at = 0, n = 0, room = 0;

	while ((w = living_next(l, &at)) != NULL) {
		if (!which(l, w, segment))
			continue;
		if (n == room)
			ids = must_grow(ids, (room = room ? 2 * room : 64) * sizeof *ids);
		ids[n++] = w->id;
	}
	for (size_t i = 0; i < n; i++) {
		living_forget(l, ids[i]);
		if (lost != NULL)
			lost(arg, ids[i]);
	}
	free(ids);
}

static bool
is_ghost(struct living *l, struct whereabouts *w, uint32_t unused)
{
	(void)l;
	(void)unused;
	return w->message.segment == 0 && w->in_flight == 0;
}

void
living_forget_ghosts(struct living *l)
{
	forget_those(l, is_ghost, 0, NULL, NULL);
}

static bool
lies_in(struct living *l, struct whereabouts *w, uint32_t segment)
{
	if (w->message.segment == segment)
		return true;
	for (uint32_t i = 0; w->states != NULL && i < w->states->n; i++)
		if (w->states->at[i].segment == segment)
			move(l, &w->states->at[i], NOWHERE);
	for (uint32_t i = 0; w->seals != NULL && i < w->seals->n; i++)
		if (w->seals->at[i].at.segment == segment)
			move(l, &w->seals->at[i].at, NOWHERE);
	return false;
}

void
living_forget_segment(struct living *l, uint32_t segment, void (*lost)(void *, uint64_t),
    void *arg)
{
	forget_those(l, lies_in, segment, lost, arg);
}

/* --- comparing ----------------------------------------------------------------------- */

static bool
same_places(const struct whereabouts *a, const struct whereabouts *b)
{
	uint32_t states = a->states ? a->states->n : 0, more = b->states ? b->states->n : 0;

	for (uint32_t i = 0; i < (states > more ? states : more); i++)
		if (!place_eq(state_place(a, i), state_place(b, i)))
			return false;
	for (uint32_t i = 0; a->seals != NULL && i < a->seals->n; i++)
		if (!place_eq(a->seals->at[i].at, seal_place(b, a->seals->at[i].route)))
			return false;
	for (uint32_t i = 0; b->seals != NULL && i < b->seals->n; i++)
		if (!place_eq(b->seals->at[i].at, seal_place(a, b->seals->at[i].route)))
			return false;
	return place_eq(a->message, b->message) && a->large == b->large;
}

bool
living_equal(const struct living *a, const struct living *b, struct error *why)
{
	const struct whereabouts *w, *other;
	size_t at = 0;
	char id[ID_TEXT + 1];

	if (a->messages != b->messages)
		return error_set(why, "%zu messages are known, %zu are there", a->messages, b->messages);
	while ((w = living_next(a, &at)) != NULL) {
		if (w->message.segment == 0)
			continue;
		other = living_find(b, w->id);
		id_text(w->id, id);
		if (other == NULL)
			return error_set(why, "message %s is known and not there", id);
		if (!same_places(w, other))
			return error_set(why, "message %s lies elsewhere than is known", id);
	}
	return true;
}
