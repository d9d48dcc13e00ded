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
	c->tried += s != NULL && s->attempts > 0;
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

/* RFC 8259 7: what may not stand in a string as it is. */
static bool
must_escape(char c)
{
	return (unsigned char)c < ' ' || c == '"' || c == '\\';
}

static void
escape(struct buf *b, char c)
{
	if ((unsigned char)c < ' ')
		buf_printf(b, "\\u%04x", (unsigned)c);
	else
		buf_add(b, slice_of((const char[]){ '\\', c }, 2));
}

static void
add_string(struct buf *b, struct slice utf8)
{
	buf_byte(b, '"');
	for (size_t n = 0; utf8.n > 0; n = 0) {
		while (n < utf8.n && !must_escape(utf8.p[n]))
			n++;
		buf_add(b, slice_head(utf8, n));
		utf8 = slice_skip(utf8, n);
		if (utf8.n > 0) {
			escape(b, *utf8.p);
			utf8 = slice_skip(utf8, 1);
		}
	}
	buf_byte(b, '"');
}

/* A stranger's words: as they are, or made harmless when they are not UTF-8. */
static void
add_text(struct buf *b, struct slice s)
{
	struct buf shown = BUF(4 * SHOWN_MOST);

	if (utf8_valid(s)) {
		add_string(b, s);
		return;
	}
	shown_add(&shown, slice_head(s, SHOWN_MOST));
	add_string(b, buf_slice(&shown));
	buf_free(&shown);
}

/* Of milliseconds, the seconds. */
static void
add_time(struct buf *b, struct slice key, int64_t ms)
{
	buf_add(b, key);
	number_add(b, ms / 1000);
}

static void
add_reason(struct buf *b, const struct recipient_state *s)
{
	struct buf reason = BUF(2 * SHOWN_MOST);

	if (s == NULL || s->last.class == 0)
		return;
	row_reason_add(&reason, s);
	buf_add(b, S(",\"delay_reason\":"));
	add_text(b, buf_slice(&reason));
	buf_free(&reason);
}

struct writing {
	struct buf            *to;
	const struct envelope *envelope;
	bool                   begun;
};

static bool
add_recipient(void *arg, uint32_t number, const struct recipient *r, const struct recipient_state *s)
{
	struct writing *w = arg;
	struct buf *b = w->to;

	(void)number;
	buf_add(b, w->begun ? S(",{\"address\":") : S("{\"address\":"));
	w->begun = true;
	add_text(b, r->address);
	if (r->parent < w->envelope->count) {
		buf_add(b, S(",\"orig_address\":"));
		add_text(b, w->envelope->recipients[r->parent].address);
	}
	add_reason(b, s);
	buf_add(b, S(",\"attempts\":"));
	number_add(b, s != NULL ? s->attempts : 0);
	if (s != NULL && s->tried > 0)
		add_time(b, S(",\"last_attempt\":"), s->tried);
	if (s != NULL && s->stage == RECIPIENT_WAITING && s->until > 0)
		add_time(b, S(",\"next_attempt\":"), s->until);
	return buf_byte(b, '}');
}

static void
add_id(struct buf *b, struct slice key, uint64_t id)
{
	char text[ID_TEXT + 1];

	id_text(id, text);
	buf_add(b, key);
	add_string(b, slice_of(text, ID_TEXT));
}

void
row_json_add(struct buf *b, const struct queue_row *row)
{
	const struct envelope *e = &row->found.summary;
	struct writing w = { b, e, false };

	buf_add(b, S("{\"queue_name\":"));
	add_string(b, slice(row_queue(row)));
	add_id(b, S(",\"queue_id\":"), e->id);
	add_time(b, S(",\"arrival_time\":"), e->arrival);
	buf_add(b, S(",\"message_size\":"));
	number_add(b, (int64_t)e->size);
	buf_add(b, S(",\"forced_expire\":false,\"sender\":"));
	add_text(b, e->sender);
	buf_add(b, S(",\"recipients\":["));
	found_each_open(&row->found, add_recipient, &w);
	buf_byte(b, ']');
	if (row->expires > 0)
		add_time(b, S(",\"expires\":"), row->expires);
	if (e->parent != 0)
		add_id(b, S(",\"parent\":"), e->parent);
	buf_byte(b, '}');
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
