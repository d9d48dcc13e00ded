/* SPDX-License-Identifier: ISC */
/* pure */
#include "sts/cache.h"

enum { FORM = 1 };                      /* of the packed entry */

static bool
valid(const struct sts_entry *e, int64_t now)
{
	return e->known && now < e->expires;
}

/* The last fetch is so recent that another one would be rude; not when a clock was set back. */
static bool
just_tried(const struct sts_entry *e, int64_t now)
{
	return e->tried > 0 && now >= e->tried && now - e->tried < STS_RETRY;
}

/* --- refreshing ---------------------------------------------------------- */

static int64_t
interval(const struct sts_entry *e)
{
	int64_t half = (int64_t)e->policy.max_age * SECOND / 2;

	return half < DAY ? half : DAY;
}

static int64_t
less_jitter(int64_t span, uint64_t jitter)
{
	return span - (int64_t)(jitter % (uint64_t)(span / 4 + 1));
}

/* Until the next try when a refresh could not be made. */
static int64_t
patience(const struct sts_entry *e)
{
	int64_t quarter = interval(e) / 4;

	return quarter < STS_RETRY ? STS_RETRY : quarter < HOUR ? quarter : HOUR;
}

int64_t
sts_refresh_time(const struct sts_entry *e, int64_t now, uint64_t jitter)
{
	if (!valid(e, now) || now - e->used > STS_UNUSED)
		return 0;
	if (e->tried > now)
		return now;             /* the clock was set back: nobody knows how old it is */
	if (e->tried != e->fetched)
		return e->tried + patience(e);
	return e->fetched + less_jitter(interval(e), jitter);
}

/* --- what a fetch changes ------------------------------------------------ */

static void
take_policy(struct sts_entry *e, const struct sts_fetch *f, struct slice id, int64_t now)
{
	e->known = true;
	e->id = id;
	e->policy = f->policy;
	e->fetched = now;
	e->expires = now + (int64_t)f->policy.max_age * SECOND;
}

/* RFC 8461 3.3: whoever has withdrawn his policy need not be told that it cannot be fetched. */
static bool
to_be_reported(const struct sts_entry *e, int64_t now)
{
	return !(valid(e, now) && e->policy.mode == STS_NONE);
}

static void
take_fetch(struct sts_decision *d, const struct sts_question *q)
{
	struct sts_entry *e = &d->entry;

	e->tried = q->now;
	e->tried_id = q->record->id;
	e->failed = q->fetch->result;
	d->store = true;
	if (q->fetch->result == TLSRPT_SUCCESS) {
		take_policy(e, q->fetch, q->record->id, q->now);
	} else if (to_be_reported(e, q->now)) {
		d->report = q->fetch->result;
		d->reason = q->fetch->reason;
	}
}

/* --- what to wish for ---------------------------------------------------- */

/* RFC 8461 3.3 wants a wait after these; a new id is a new chance. */
static bool
failed_for(const struct sts_entry *e, struct slice id)
{
	return e->failed != TLSRPT_SUCCESS && slice_eq(e->tried_id, id);
}

static enum sts_wish
wish(const struct sts_question *q, const struct sts_entry *e)
{
	bool same = valid(e, q->now) && slice_eq(e->id, q->record->id);
	int64_t due;

	if (q->record->live != LIVE_VALID)
		return STS_CONTENT;     /* RFC 8461 3.1: no record, no discovery */
	if (just_tried(e, q->now) && (failed_for(e, q->record->id) || (same && !q->wanted)))
		return STS_CONTENT;
	if (!same || q->refused || q->wanted)
		return STS_FETCH;
	due = sts_refresh_time(e, q->now, q->jitter);
	return due != 0 && q->now >= due ? STS_REFRESH : STS_CONTENT;
}

/* To be asked again: when the refresh is due, and not at once when it just could not be made. */
static int64_t
ask_again(const struct sts_entry *e, const struct sts_question *q)
{
	int64_t due = sts_refresh_time(e, q->now, q->jitter);

	return due != 0 && due <= q->now ? q->now + patience(e) : due;
}

/* The time for a refresh has come, but without a record there is nothing to fetch: not so soon again. */
static bool
in_vain(const struct sts_question *q, const struct sts_entry *e)
{
	int64_t due = sts_refresh_time(e, q->now, q->jitter);

	return !q->mail && q->fetch == NULL && q->record->live != LIVE_VALID && due != 0 && due <= q->now;
}

void
sts_decide(struct sts_decision *decision, const struct sts_question *q)
{
	struct sts_decision d = { .wish = STS_CONTENT };

	if (q->entry != NULL)
		d.entry = *q->entry;
	if (q->mail && (d.entry.used == 0 || q->now - d.entry.used >= DAY)) {
		d.entry.used = q->now;
		d.store = d.entry.known;
	}
	if (q->fetch != NULL)
		take_fetch(&d, q);
	else
		d.wish = wish(q, &d.entry);
	if (in_vain(q, &d.entry)) {
		d.entry.tried = q->now;
		d.store = true;
	}
	d.applies = valid(&d.entry, q->now) ||
	    (q->fetch != NULL && q->fetch->result == TLSRPT_SUCCESS);
	d.policy = d.entry.policy;
	d.id = d.entry.id;
	d.again = ask_again(&d.entry, q);
	*decision = d;
}

/* --- kept ---------------------------------------------------------------- */

int64_t
sts_entry_end(const struct sts_entry *e)
{
	int64_t tried = e->tried + STS_RETRY;

	return e->known && e->expires > tried ? e->expires : tried;
}

void
sts_entry_pack(const struct sts_entry *e, struct buf *to)
{
	pack_u8(to, FORM);
	pack_u8(to, e->known);
	pack_u8(to, (uint8_t)e->failed);
	pack_u64(to, (uint64_t)e->fetched);
	pack_u64(to, (uint64_t)e->expires);
	pack_u64(to, (uint64_t)e->tried);
	pack_u64(to, (uint64_t)e->used);
	pack_slice(to, e->tried_id);
	pack_slice(to, e->known ? e->id : NONE);
	pack_slice(to, e->known ? e->policy.text : NONE);
}

/* A time that a clock has shown: what is computed from it cannot overflow. */
static int64_t
unpack_time(struct unpack *u)
{
	uint64_t time = unpack_u64(u);

	u->bad |= time > INT64_MAX / 4;
	return u->bad ? 0 : (int64_t)time;
}

/* The policy itself is kept as its text: there is one way to read it. */
bool
sts_entry_unpack(struct sts_entry *entry, struct slice bytes, struct arena *arena)
{
	struct unpack u = { .left = bytes };
	struct sts_entry e = { 0 };
	unsigned form = unpack_u8(&u), known = unpack_u8(&u), failed = unpack_u8(&u);
	struct slice text;

	e.known = known != 0;
	e.failed = (enum tlsrpt_result)failed;
	e.fetched = unpack_time(&u);
	e.expires = unpack_time(&u);
	e.tried = unpack_time(&u);
	e.used = unpack_time(&u);
	e.tried_id = arena_copy(arena, unpack_slice(&u));
	e.id = arena_copy(arena, unpack_slice(&u));
	text = unpack_slice(&u);
	if (!unpack_done(&u) || form != FORM || known > 1 || failed >= TLSRPT_RESULTS)
		return false;
	if (e.known && !sts_policy_parse(&e.policy, text, arena, NULL))
		return false;
	*entry = e;
	return true;
}
