/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "queue/row.h"

enum { SHOWN_MOST = 1000 };             /* of bytes that are no text */

/* --- recipients ----------------------------------------------------------------------------- */

static bool
is_open(const struct recipient_state *s)
{
	return s == NULL || s->stage == RECIPIENT_WAITING || s->stage == RECIPIENT_HELD;
}

bool
found_each_open(const struct found *f,
    bool (*each)(void *arg, uint32_t number, const struct recipient *, const struct recipient_state *),
    void *arg)
{
	for (uint32_t i = 0; i < f->summary.count; i++) {
		const struct recipient_state *s = state_find(f->states, f->count, i);

		if (is_open(s) && !each(arg, i, &f->summary.recipients[i], s))
			return false;
	}
	for (size_t i = 0; i < f->count; i++)
		for (size_t j = 0; f->states[i].stage == RECIPIENT_EXPANDED && j < f->states[i].count; j++) {
			uint32_t number = f->states[i].first + (uint32_t)j;
			const struct recipient_state *s = state_find(f->states, f->count, number);

			if (is_open(s) && !each(arg, number, &f->states[i].made[j], s))
				return false;
		}
	return true;
}

struct counts {
	bool   held_at_first;           /* those without a state are */
	size_t open, held, tried;
};

static bool
count_one(void *arg, uint32_t number, const struct recipient *r, const struct recipient_state *s)
{
	struct counts *c = arg;

	(void)number;
	(void)r;
	c->open++;
	c->held += s != NULL ? s->stage == RECIPIENT_HELD : c->held_at_first;
	c->tried += s != NULL && (s->attempts > 0 || s->last.class != 0);
	return true;
}

const char *
row_queue(const struct queue_row *row)
{
	struct counts c = { .held_at_first = row->found.summary.hold };

	if (row->active)
		return "active";
	found_each_open(&row->found, count_one, &c);
	return c.open > 0 && c.held == c.open ? "hold" : c.tried > 0 ? "deferred" : "incoming";
}

void
row_reason_add(struct buf *b, const struct recipient_state *s)
{
	if (s == NULL || s->last.class == 0)
		return;
	if (s->host.n > 0)
		buf_printf(b, "%.*s: ", FMT(s->host));
	if (s->last.reply > 0)
		buf_printf(b, "%u ", s->last.reply);
	buf_printf(b, "%u.%u.%u ", s->last.class, s->last.subject, s->last.detail);
	buf_add(b, s->last.text);
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* A stranger's words: as they are, or made harmless when they are not UTF-8. */
json_t *
row_text(struct slice s)
{
	json_t *j = json_stringn(s.n > 0 ? s.p : "", s.n);
	struct buf shown = BUF(4 * SHOWN_MOST);

	if (j != NULL)
		return j;
	shown_add(&shown, slice_head(s, SHOWN_MOST));
	j = json_stringn(shown.p, shown.n);
	buf_free(&shown);
	return j;
}

/* Of milliseconds, the seconds. */
static void
set_time(json_t *j, const char *key, int64_t ms)
{
	json_object_set_new(j, key, json_integer(ms / 1000));
}

static void
set_reason(json_t *j, const struct recipient_state *s)
{
	struct buf reason = BUF(2 * SHOWN_MOST);

	if (s == NULL || s->last.class == 0)
		return;
	row_reason_add(&reason, s);
	json_object_set_new(j, "delay_reason", row_text(buf_slice(&reason)));
	buf_free(&reason);
}

struct writing {
	json_t                *recipients;
	const struct envelope *envelope;
};

static bool
add_recipient(void *arg, uint32_t number, const struct recipient *r, const struct recipient_state *s)
{
	struct writing *w = arg;
	json_t *j = json_object();

	(void)number;
	json_array_append_new(w->recipients, j);
	json_object_set_new(j, "address", row_text(r->address));
	if (r->parent < w->envelope->count)
		json_object_set_new(j, "orig_address", row_text(w->envelope->recipients[r->parent].address));
	set_reason(j, s);
	json_object_set_new(j, "attempts", json_integer(s != NULL ? s->attempts : 0));
	if (s != NULL && s->tried > 0)
		set_time(j, "last_attempt", s->tried);
	if (s != NULL && s->stage == RECIPIENT_WAITING && s->until > 0)
		set_time(j, "next_attempt", s->until);
	return true;
}

static void
set_id(json_t *j, const char *key, uint64_t id)
{
	char text[ID_TEXT + 1];

	id_text(id, text);
	json_object_set_new(j, key, json_string(text));
}

json_t *
row_json(const struct queue_row *row)
{
	const struct envelope *e = &row->found.summary;
	struct writing w = { json_array(), e };
	json_t *j = json_object();

	json_object_set_new(j, "queue_name", json_string(row_queue(row)));
	set_id(j, "queue_id", e->id);
	set_time(j, "arrival_time", e->arrival);
	json_object_set_new(j, "message_size", json_integer((json_int_t)e->size));
	json_object_set_new(j, "forced_expire", json_false());
	json_object_set_new(j, "sender", row_text(e->sender));
	found_each_open(&row->found, add_recipient, &w);
	json_object_set_new(j, "recipients", w.recipients);
	if (row->expires > 0)
		set_time(j, "expires", row->expires);
	if (e->parent != 0)
		set_id(j, "parent", e->parent);
	return j;
}

/* --- between processes -------------------------------------------------------------------------- */

void
row_pack(const struct queue_row *row, struct buf *b)
{
	size_t whole = pack_begin(b), part;

	pack_u8(b, row->active);
	pack_u64(b, (uint64_t)row->expires);
	part = pack_begin(b);
	envelope_pack(&row->found.summary, b);
	pack_end(b, part);
	pack_u32(b, (uint32_t)row->found.count);
	for (size_t i = 0; i < row->found.count; i++) {
		part = pack_begin(b);
		state_pack(&row->found.states[i], b);
		pack_end(b, part);
	}
	pack_end(b, whole);
}

/* At most so many as there are bytes for, so that a wrong number costs no memory. */
static bool
unpack_states(struct found *f, struct unpack *u, struct arena *arena)
{
	uint32_t count = unpack_u32(u);

	if (count > u->left.n / sizeof(uint32_t) ||
	    (f->states = arena_get(arena, count * sizeof *f->states)) == NULL)
		return false;
	for (f->count = 0; f->count < count; f->count++)
		if (!state_unpack(&f->states[f->count], unpack_slice(u), arena, NULL))
			return false;
	return unpack_done(u);
}

enum row_answer
row_unpack(struct queue_row *row, struct slice *stream, struct arena *arena)
{
	struct unpack all = { *stream, false }, u = { unpack_slice(&all), false };

	*row = (struct queue_row){ 0 };
	if (all.bad)
		return ROW_PART;
	row->active = unpack_u8(&u) != 0;
	row->expires = (int64_t)unpack_u64(&u);
	if (row->expires < 0 || !envelope_unpack(&row->found.summary, unpack_slice(&u), arena, NULL) ||
	    !unpack_states(&row->found, &u, arena))
		return ROW_BAD;
	*stream = all.left;
	return ROW_GOT;
}
