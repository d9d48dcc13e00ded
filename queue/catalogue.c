/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/crc32c.h"
#include "base/kv.h"
#include "base/pack.h"
#include "base/text.h"
#include "queue/catalogue.h"

enum {
	FORMAT = 1,
	MEMORY = 32 << 20,              /* of the store, for pages */
	ROW_MOST = ENVELOPE_MOST + 64,
	FOUND_MOST = 256 << 20,         /* one message with all its states, unpacked */
	PLACE_BYTES = 12,
	ROOM_KEPT = 16384,              /* of what is due, when nothing is */
};

static const char *const TABLES[] = { "living", "reach", NULL };

/* A row that is due, in the order of the log. */
struct due {
	struct change change;
	bool          rowed;
	struct reach  reach;            /* sequence 0: says nothing about that */
};

struct catalogue {
	struct kv       *kv;
	struct kv_table *living, *reach_table;
	struct due      *due;
	size_t           head, n, room;
	size_t           ripe, ripening;        /* those before these are, and will be next */
	size_t           work;          /* rows written or removed in this turn */
	struct reach     reach;         /* what the rows say; sequence 0: not everything */
	bool             incomplete;    /* a record could not be read: they never will */
	uint64_t         rows, sum;
	struct buf       value, old;
	struct arena    *arena;
};

/* --- opening ----------------------------------------------------------------- */

struct catalogue *
catalogue_open(const char *dir, const struct clock *clock, bool anew, struct error *why)
{
	struct kv_options o = { dir, TABLES, clock, MEMORY, anew };
	struct kv *kv = kv_open(&o, why);
	struct catalogue *c;

	if (kv == NULL)
		return NULL;
	c = must_alloc(sizeof *c);
	c->kv = kv;
	c->living = kv_table(kv, "living");
	c->reach_table = kv_table(kv, "reach");
	c->value = BUF(ROW_MOST);
	c->old = BUF(ROW_MOST);
	c->arena = arena_new(FOUND_MOST);
	return c;
}

void
catalogue_close(struct catalogue *c)
{
	if (c == NULL)
		return;
	kv_close(c->kv);
	buf_free(&c->value);
	buf_free(&c->old);
	arena_free(c->arena);
	free(c->due);
	free(c);
}

const char *
catalogue_aside(const struct catalogue *c)
{
	return kv_aside(c->kv);
}

uint64_t
catalogue_reach(const struct catalogue *c)
{
	return c->reach.sequence;
}

bool
catalogue_checkpoint(struct catalogue *c, struct error *why)
{
	return kv_checkpoint(c->kv, why);
}

/* --- keys and values ------------------------------------------------------------ */

enum { KEY_BYTES = 8 + 1 + 4 };

struct key {
	char   bytes[KEY_BYTES];
	size_t n;
};

static void
put_big(struct key *k, uint64_t number, int bytes)
{
	while (bytes-- > 0)
		k->bytes[k->n++] = (char)(number >> (8 * bytes));
}

static struct key
key_of(const struct change *c)
{
	static const char kinds[] = { [CHANGED_MESSAGE] = 'm', [CHANGED_STATE] = 's',
		[CHANGED_SEAL] = 'z' };
	struct key k = { .n = 0 };

	put_big(&k, c->id, 8);
	if (c->what == CHANGED_GONE)
		return k;               /* the beginning of all its keys */
	k.bytes[k.n++] = kinds[c->what];
	if (c->what != CHANGED_MESSAGE)
		put_big(&k, c->number, 4);
	return k;
}

static uint64_t
get_big(struct slice s)
{
	uint64_t number = 0;

	for (size_t i = 0; i < s.n; i++)
		number = number << 8 | (unsigned char)s.p[i];
	return number;
}

/* What a key is about; CHANGED_NOTHING when it is none of ours. */
static struct change
subject_of(struct slice key)
{
	struct change c = { CHANGED_NOTHING, 0, 0 };

	if (key.n != 9 && key.n != KEY_BYTES)
		return c;
	c.id = get_big(slice_head(key, 8));
	c.number = (uint32_t)get_big(slice_skip(key, 9));
	if (key.n == 9)
		c.what = key.p[8] == 'm' ? CHANGED_MESSAGE : CHANGED_NOTHING;
	else if (key.p[8] == 's' && c.number < RECIPIENTS_MOST)
		c.what = CHANGED_STATE;
	else if (key.p[8] == 'z')
		c.what = CHANGED_SEAL;
	return c;
}

static void
pack_place(struct buf *b, struct spot p)
{
	pack_u32(b, p.segment);
	pack_u32(b, p.offset);
	pack_u32(b, p.length);
}

static struct spot
unpack_place(struct unpack *u)
{
	struct spot p;

	p.segment = unpack_u32(u);
	p.offset = unpack_u32(u);
	p.length = unpack_u32(u);
	return p;
}

/* Rows are added up, so that one that was lost or is an old one shows. */
static uint64_t
weight(struct slice key, struct slice value)
{
	return (uint64_t)crc32c(crc32c(0, key), value) * 0x9e3779b97f4a7c15u;
}

static struct spot
place_of(const struct whereabouts *w, const struct change *c)
{
	return c->what == CHANGED_MESSAGE ? w->message :
	    c->what == CHANGED_STATE ? state_place(w, c->number) : seal_place(w, c->number);
}

static bool
add_summary(struct catalogue *c, const struct spool_record *r, struct error *why)
{
	struct message_payload m;
	struct envelope e, summary;

	if (!message_read(r->payload, &m))
		return error_set(why, "the message's record is damaged");
	arena_reset(c->arena);
	if (!envelope_unpack(&e, m.envelope, c->arena, why))
		return false;
	summary = envelope_summary(&e);
	pack_u8(&c->value, m.in_file);
	envelope_pack(&summary, &c->value);
	return true;
}

/* The row as it must be now, into c->value. */
static bool
make_row(struct catalogue *c, const struct whereabouts *w, const struct change *what,
    const struct record_reader *reader, struct error *why)
{
	struct spot at = place_of(w, what);
	struct spool_record r;

	buf_clear(&c->value);
	pack_place(&c->value, at);
	if (what->what == CHANGED_SEAL)
		return true;
	if (!reader->read(reader->arg, at, &r, why))
		return false;
	return what->what == CHANGED_MESSAGE ? add_summary(c, &r, why) :
	    buf_add(&c->value, r.payload);
}

/* --- loading ---------------------------------------------------------------------- */

struct loading {
	struct catalogue *catalogue;
	struct living    *living;
	bool            (*valid)(void *arg, struct spot);
	void             *arg;
	uint64_t          rows, sum;
	bool              bad;
};

static bool
load_row(void *arg, const struct kv_entry *e)
{
	struct loading *l = arg;
	struct change c = subject_of(e->key);
	struct unpack u = { e->value, false };
	struct spot at = unpack_place(&u);

	l->rows++;
	l->sum += weight(e->key, e->value);
	l->bad = c.what == CHANGED_NOTHING || u.bad || !l->valid(l->arg, at);
	if (l->bad)
		return false;
	if (c.what == CHANGED_MESSAGE) {
		living_message(l->living, c.id, unpack_u8(&u) == 1, at);
		living_find(l->living, c.id)->rowed = true;
	} else if (c.what == CHANGED_STATE) {
		living_state(l->living, c.id, c.number, at);
	} else {
		living_seal(l->living, c.id, c.number, at);
	}
	return true;
}

static bool
read_reach(struct catalogue *c, struct error *why)
{
	struct unpack u;
	uint32_t format;

	buf_clear(&c->value);
	switch (kv_get(c->reach_table, S("reach"), &c->value, why)) {
	case KV_FAILED: return false;
	case KV_NONE:   return error_set(why, "the catalogue is not complete");
	case KV_FOUND:  break;
	}
	u = (struct unpack){ buf_slice(&c->value), false };
	format = unpack_u32(&u);
	c->reach.sequence = unpack_u64(&u);
	c->reach.at = unpack_place(&u);
	c->rows = unpack_u64(&u);
	c->sum = unpack_u64(&u);
	return (unpack_done(&u) && format == FORMAT) ||
	    error_set(why, "the catalogue has another format");
}

static bool
load_all(struct catalogue *c, struct loading *l, struct error *why)
{
	if (!read_reach(c, why) || !kv_range(c->living, NONE, NONE, load_row, l, why))
		return false;
	if (l->bad)
		return error_set(why, "the catalogue points to where nothing is");
	return (l->rows == c->rows && l->sum == c->sum) ||
	    error_set(why, "the catalogue does not add up");
}

bool
catalogue_load(struct catalogue *c, struct living *living,
    bool (*valid)(void *, struct spot), void *arg, struct reach *reach_r, struct error *why)
{
	struct loading l = { c, living, valid, arg, 0, 0, false };

	bug_if(living->by_id.n != 0);
	if (load_all(c, &l, why)) {
		*reach_r = c->reach;
		return true;
	}
	c->reach = (struct reach){ 0 };
	living_free(living);
	return false;
}

static bool
meet_row(void *arg, const struct kv_entry *e)
{
	(void)e;
	*(bool *)arg = true;
	return false;
}

bool
catalogue_blank(struct catalogue *c)
{
	bool met = false;

	buf_clear(&c->value);
	return kv_get(c->reach_table, S("reach"), &c->value, NULL) == KV_NONE &&
	    kv_range(c->living, NONE, NONE, meet_row, &met, NULL) && !met;
}

/* --- what is due ------------------------------------------------------------------- */

/* Forget those that were written. */
static void
close_up(struct catalogue *c)
{
	c->n -= c->head;
	c->ripe -= c->head < c->ripe ? c->head : c->ripe;
	c->ripening -= c->head < c->ripening ? c->head : c->ripening;
	if (c->n > 0)
		memmove(c->due, c->due + c->head, c->n * sizeof *c->due);
	c->head = 0;
	if (c->n == 0 && c->room > ROOM_KEPT) {
		free(c->due);
		c->due = NULL;
		c->room = 0;
	}
}

static void
add_due(struct catalogue *c, struct due d)
{
	if (c->n == c->room && c->head > c->n / 2)
		close_up(c);
	if (c->n == c->room) {
		c->room = c->room ? 2 * c->room : 256;
		c->due = must_grow(c->due, c->room * sizeof *c->due);
	}
	c->due[c->n++] = d;
}

void
catalogue_note(struct catalogue *c, const struct change *change, bool rowed, struct reach reach)
{
	add_due(c, (struct due){ *change, rowed, reach });
}

static int
by_key(const void *a, const void *b)
{
	const struct change *p = &((const struct due *)a)->change;
	const struct change *q = &((const struct due *)b)->change;

	return p->id != q->id ? (p->id < q->id ? -1 : 1) :
	    p->what != q->what ? (int)p->what - (int)q->what :
	    (p->number > q->number) - (p->number < q->number);
}

/* In the order of their keys: written in any other, a million rows take ten times as long. */
void
catalogue_note_all(struct catalogue *c, const struct living *living, struct reach newest)
{
	static const struct reach nothing = { 0 };
	struct whereabouts *w;
	size_t at = 0, first;

	close_up(c);
	first = c->n;
	while ((w = living_next(living, &at)) != NULL) {
		w->rowed = false;
		add_due(c, (struct due){ { CHANGED_MESSAGE, w->id, 0 }, false, nothing });
		for (uint32_t i = 0; w->states != NULL && i < w->states->n; i++)
			if (w->states->at[i].segment != 0)
				add_due(c, (struct due){ { CHANGED_STATE, w->id, i }, false, nothing });
		for (uint32_t i = 0; w->seals != NULL && i < w->seals->n; i++)
			add_due(c, (struct due){ { CHANGED_SEAL, w->id, w->seals->at[i].route },
			    false, nothing });
	}
	if (c->n > first)
		qsort(c->due + first, c->n - first, sizeof *c->due, by_key);
	add_due(c, (struct due){ { CHANGED_NOTHING, 0, 0 }, false, newest });
	c->ripe = c->ripening = c->n;
}

size_t
catalogue_due(const struct catalogue *c)
{
	return c->n - c->head;
}

size_t
catalogue_ripe(const struct catalogue *c)
{
	return c->ripe > c->head ? c->ripe - c->head : 0;
}

void
catalogue_ripen(struct catalogue *c)
{
	c->ripe = c->ripening;
	c->ripening = c->n;
}

/* --- writing ------------------------------------------------------------------------- */

static bool
put_row(struct catalogue *c, struct slice key, struct error *why)
{
	struct slice value = buf_slice(&c->value);

	c->work++;
	buf_clear(&c->old);
	switch (kv_get(c->living, key, &c->old, why)) {
	case KV_FAILED: return false;
	case KV_NONE:   c->rows++; break;
	case KV_FOUND:  c->sum -= weight(key, buf_slice(&c->old)); break;
	}
	c->sum += weight(key, value);
	return kv_put(c->living, key, value, why);
}

struct removal {
	struct catalogue *catalogue;
	struct buf        keys;         /* each of KEY_BYTES at most, with its length in front */
};

static bool
take_off(void *arg, const struct kv_entry *e)
{
	struct removal *r = arg;

	r->catalogue->work++;
	r->catalogue->rows--;
	r->catalogue->sum -= weight(e->key, e->value);
	pack_slice(&r->keys, e->key);
	return true;
}

static bool
remove_rows(struct catalogue *c, struct slice prefix, struct error *why)
{
	struct removal r = { c, BUF((RECIPIENTS_MOST + SEALS_MOST + 1) * (KEY_BYTES + 4)) };
	bool ok = kv_range(c->living, prefix, NONE, take_off, &r, why);
	struct unpack keys = { buf_slice(&r.keys), false };

	while (ok && keys.left.n > 0)
		ok = kv_delete(c->living, unpack_slice(&keys), why);
	buf_free(&r.keys);
	return ok;
}

/*
 * A record that cannot be read gets no row, and the rows will never say
 * everything: the next start reads the segments.  The reader raises the alarm.
 */
static bool
write_row(struct catalogue *c, struct living *living, const struct due *d,
    const struct record_reader *reader, struct error *why)
{
	struct whereabouts *w = living_find(living, d->change.id);
	struct key key = key_of(&d->change);

	if (w == NULL || w->message.segment == 0 || place_of(w, &d->change).segment == 0)
		return true;
	if (!make_row(c, w, &d->change, reader, NULL)) {
		c->incomplete = true;
		return true;
	}
	w->rowed = true;
	return put_row(c, slice_of(key.bytes, key.n), why);
}

static bool
write_due(struct catalogue *c, struct living *living, const struct due *d,
    const struct record_reader *reader, struct error *why)
{
	struct key key;

	if (d->change.what == CHANGED_NOTHING)
		return true;
	if (d->change.what != CHANGED_GONE)
		return write_row(c, living, d, reader, why);
	key = key_of(&d->change);
	return !d->rowed || remove_rows(c, slice_of(key.bytes, key.n), why);
}

static bool
write_reach(struct catalogue *c, struct error *why)
{
	buf_clear(&c->value);
	pack_u32(&c->value, FORMAT);
	pack_u64(&c->value, c->reach.sequence);
	pack_place(&c->value, c->reach.at);
	pack_u64(&c->value, c->rows);
	pack_u64(&c->value, c->sum);
	return kv_put(c->reach_table, S("reach"), buf_slice(&c->value), why);
}

bool
catalogue_write(struct catalogue *c, struct living *living, const struct record_reader *reader,
    size_t most, struct error *why)
{
	struct reach reach = c->reach;

	if (catalogue_ripe(c) == 0)
		return true;
	c->work = 0;
	for (; c->head < c->ripe && c->work < most; c->head++) {
		const struct due *d = &c->due[c->head];

		if (!write_due(c, living, d, reader, why))
			return false;
		if (d->reach.sequence != 0)
			reach = d->reach;
	}
	if (c->head == c->n)
		close_up(c);
	c->reach = c->incomplete ? (struct reach){ 0 } : reach;
	if (!(c->reach.sequence != 0 ? write_reach(c, why)
	    : kv_delete(c->reach_table, S("reach"), why)))
		return false;
	return kv_commit(c->kv, KV_QUICK, why);
}

bool
catalogue_write_some(struct catalogue *c, struct living *living, const struct record_reader *reader,
    size_t most, struct error *why)
{
	c->ripe = c->n;
	return catalogue_write(c, living, reader, most, why);
}

bool
catalogue_write_all(struct catalogue *c, struct living *living, const struct record_reader *reader,
    struct error *why)
{
	while (catalogue_due(c) > 0)
		if (!catalogue_write_some(c, living, reader, 10000, why))
			return false;
	return true;
}

/* --- all that lives --------------------------------------------------------------- */

struct gathering {
	struct arena *arena;            /* holds one message */
	struct found  found;
	bool          begun, stopped, bad;
	size_t        room;
	bool        (*each)(void *arg, const struct found *);
	void         *arg;
	struct error *why;
};

static void
give(struct gathering *g)
{
	if (g->begun && !g->bad && !g->stopped)
		g->stopped = !g->each(g->arg, &g->found);
	g->begun = false;
	g->found.count = 0;
	arena_reset(g->arena);
}

static void
gather_message(struct gathering *g, struct slice packed)
{
	struct slice own = arena_copy(g->arena, packed);

	g->begun = own.p != NULL && envelope_unpack(&g->found.summary, own, g->arena, g->why);
	g->bad = g->bad || !g->begun;
}

static void
gather_state(struct gathering *g, struct slice packed)
{
	struct slice own = arena_copy(g->arena, packed);

	if (g->found.count == g->room) {
		g->room = g->room ? 2 * g->room : 16;
		g->found.states = must_grow(g->found.states, g->room * sizeof *g->found.states);
	}
	if (own.p != NULL &&
	    state_unpack(&g->found.states[g->found.count], own, g->arena, g->why))
		g->found.count++;
	else
		g->bad = true;
}

static bool
gather_row(void *arg, const struct kv_entry *e)
{
	struct gathering *g = arg;
	struct change c = subject_of(e->key);
	struct slice value = slice_skip(e->value, PLACE_BYTES);

	if (c.what == CHANGED_MESSAGE) {
		give(g);
		if (!g->stopped)
			gather_message(g, slice_skip(value, 1));
	} else if (c.what == CHANGED_STATE && g->begun && g->found.summary.id == c.id) {
		gather_state(g, value);
	}
	return !g->stopped && !g->bad;
}

bool
catalogue_each(struct catalogue *c, uint64_t after, bool (*each)(void *, const struct found *),
    void *arg, struct error *why)
{
	struct gathering g = { .arena = c->arena, .each = each, .arg = arg, .why = why };
	struct key from = { .n = 0 };
	bool ok;

	bug_if(catalogue_due(c) != 0 || c->reach.sequence == 0);
	arena_reset(c->arena);
	put_big(&from, after + 1, 8);
	ok = kv_range(c->living, NONE, slice_of(from.bytes, from.n), gather_row, &g, why) && !g.bad;
	if (ok)
		give(&g);
	free(g.found.states);
	return ok;
}

bool
catalogue_recall(struct catalogue *c, uint64_t id, struct buf *bytes, struct arena *arena,
    struct envelope *e)
{
	struct key key = key_of(&(struct change){ CHANGED_MESSAGE, id, 0 });

	buf_clear(bytes);
	return kv_get(c->living, slice_of(key.bytes, key.n), bytes, NULL) == KV_FOUND &&
	    envelope_unpack(e, slice_skip(buf_slice(bytes), PLACE_BYTES + 1), arena, NULL) && e->id == id;
}

static int
by_place(const void *a, const void *b)
{
	const struct spot *p = &(*(struct whereabouts *const *)a)->message;
	const struct spot *q = &(*(struct whereabouts *const *)b)->message;

	return p->segment != q->segment ? (p->segment < q->segment ? -1 : 1) :
	    (p->offset > q->offset) - (p->offset < q->offset);
}

bool
read_refused(const struct error *why)
{
	return why->number != 0 && why->number != ENOENT;
}

/* What is damaged is passed over, and the reader has raised the alarm; false: the disk refuses. */
static bool
gather_states(struct gathering *g, const struct whereabouts *w, const struct record_reader *reader)
{
	for (uint32_t i = 0; w->states != NULL && i < w->states->n; i++) {
		struct error trouble = { 0 };
		struct spool_record r;

		if (w->states->at[i].segment == 0)
			continue;
		if (reader->read(reader->arg, w->states->at[i], &r, &trouble)) {
			gather_state(g, r.payload);
			g->bad = false;
		} else if (read_refused(&trouble)) {
			if (g->why != NULL)
				*g->why = trouble;
			return false;
		}
	}
	return true;
}

static bool
gather_summary(struct gathering *g, struct slice payload)
{
	struct message_payload m;
	struct envelope e;

	if (!message_read(payload, &m))
		return false;
	gather_message(g, m.envelope);
	e = g->found.summary;
	g->found.summary = envelope_summary(&e);
	return g->begun;
}

bool
living_look(const struct whereabouts *w, const struct record_reader *reader,
    bool (*each)(void *, const struct found *), void *arg, struct error *why)
{
	struct gathering g = { .arena = arena_new(FOUND_MOST), .each = each, .arg = arg, .why = why };
	struct spool_record r;
	bool ok = reader->read(reader->arg, w->message, &r, why);

	if (ok && !gather_summary(&g, r.payload))
		ok = error_set(why, "the message's record is damaged");
	ok = ok && gather_states(&g, w, reader);
	if (ok)
		give(&g);
	free(g.found.states);
	arena_free(g.arena);
	return ok;
}

uint64_t *
living_ids(const struct living *living, uint64_t after, size_t *count_r)
{
	struct whereabouts **all = must_alloc((living->by_id.n + 1) * sizeof *all), *w;
	uint64_t *ids = must_alloc((living->by_id.n + 1) * sizeof *ids);
	size_t n = 0, at = 0;

	while ((w = living_next(living, &at)) != NULL)
		if (w->message.segment != 0 && w->id > after)
			all[n++] = w;
	qsort(all, n, sizeof(struct whereabouts *), by_place);
	for (size_t i = 0; i < n; i++)
		ids[i] = all[i]->id;
	free(all);
	*count_r = n;
	return ids;
}

/* --- checking ---------------------------------------------------------------------- */

struct checking {
	struct catalogue     *catalogue;
	const struct living  *living;
	const struct record_reader  *reader;
	uint64_t              rows;
	bool                  bad;
	struct error         *why;
};

static bool
check_row(void *arg, const struct kv_entry *e)
{
	struct checking *k = arg;
	struct change c = subject_of(e->key);
	struct whereabouts *w = living_find(k->living, c.id);
	char id[ID_TEXT + 1];

	id_text(c.id & ID_MOST, id);
	k->rows++;
	k->bad = true;
	if (c.what == CHANGED_NOTHING || w == NULL)
		return error_set(k->why, "the catalogue has a row of %s, which is not there", id);
	if (!make_row(k->catalogue, w, &c, k->reader, k->why))
		return false;
	if (!slice_eq(buf_slice(&k->catalogue->value), e->value))
		return error_set(k->why, "the catalogue says something else about %s", id);
	k->bad = false;
	return true;
}

static uint64_t
rows_wanted(const struct living *living)
{
	const struct whereabouts *w;
	uint64_t rows = 0;
	size_t at = 0;

	while ((w = living_next(living, &at)) != NULL) {
		rows += w->message.segment != 0;
		for (uint32_t i = 0; w->states != NULL && i < w->states->n; i++)
			rows += w->states->at[i].segment != 0;
		for (uint32_t i = 0; w->seals != NULL && i < w->seals->n; i++)
			rows += w->seals->at[i].at.segment != 0;
	}
	return rows;
}

bool
catalogue_check(struct catalogue *c, const struct living *living, const struct record_reader *reader,
    struct error *why)
{
	struct checking k = { c, living, reader, 0, false, why };
	uint64_t wanted = rows_wanted(living);

	bug_if(catalogue_due(c) != 0);
	if (!kv_range(c->living, NONE, NONE, check_row, &k, why) || k.bad)
		return false;
	return (k.rows == wanted && c->rows == k.rows) ||
	    error_set(why, "the catalogue has %llu rows, there should be %llu",
	    (unsigned long long)k.rows, (unsigned long long)wanted);
}
