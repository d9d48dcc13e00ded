/* SPDX-License-Identifier: ISC */
/*
 * leaving -- the way off a list (leaving.h): the URI in a member's copy, the web
 * role's question, the rows.  The word that a stranger shows is read here, where
 * the keys are; the web role holds none.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "conf/events.h"
#include "mail/unsubscribe.h"
#include "queue/inside.h"
#include "queue/leaving.h"

enum { WORD_MEMORY = 16 << 10, VALUE_MOST = 32 };

/* --- rows ---------------------------------------------------------------------------- */

static struct kv_table *
rows_of(struct kv *kv)
{
	return kv_table(kv, "left");
}

/* In small letters; of a list alone: what all its rows begin with. */
static void
make_key(struct buf *key, struct slice list, struct slice member)
{
	if (list.n > 0)
		buf_add(key, list), buf_byte(key, '\n'), buf_add(key, member);
	for (size_t i = 0; i < key->n; i++)
		key->p[i] = to_lower(key->p[i]);
}

struct going_over {
	bool (*each)(void *arg, const struct left_row *);
	void  *arg;
};

static bool
read_row(void *arg, const struct kv_entry *e)
{
	const struct going_over *g = arg;
	struct left_row row = { .member = e->key };
	uint64_t when = 0;

	if (!slice_cut(&row.member, '\n', &row.list) || !slice_number(e->value, INT64_MAX, &when))
		return true;
	row.when = (int64_t)when;
	return g->each(g->arg, &row);
}

bool
left_each(struct kv *kv, struct slice list, bool (*each)(void *, const struct left_row *), void *arg,
    struct error *why)
{
	struct going_over g = { each, arg };
	struct buf prefix = BUF(KV_KEY);
	bool ok;

	make_key(&prefix, list, NONE);
	ok = kv_range(rows_of(kv), buf_slice(&prefix), NONE, read_row, &g, why);
	buf_free(&prefix);
	return ok;
}

enum kv_answer
left_find(struct kv *kv, struct slice list, struct slice member, struct error *why)
{
	struct buf key = BUF(KV_KEY), value = BUF(VALUE_MOST);
	enum kv_answer answer;

	make_key(&key, list, member);
	answer = kv_get(rows_of(kv), buf_slice(&key), &value, why);
	buf_free(&key), buf_free(&value);
	return answer;
}

bool
left_put(struct kv *kv, struct slice list, struct slice member, int64_t when, struct error *why)
{
	struct buf key = BUF(KV_KEY), value = BUF(VALUE_MOST);
	bool ok;

	make_key(&key, list, member);
	buf_printf(&value, "%" PRId64, when);
	ok = kv_put(rows_of(kv), buf_slice(&key), buf_slice(&value), why) && kv_commit(kv, KV_SYNC, why);
	buf_free(&key), buf_free(&value);
	return ok;
}

bool
left_forget(struct kv *kv, struct slice list, struct slice member, struct error *why)
{
	struct buf key = BUF(KV_KEY);
	bool ok;

	make_key(&key, list, member);
	ok = kv_delete(rows_of(kv), buf_slice(&key), why) && kv_commit(kv, KV_SYNC, why);
	buf_free(&key);
	return ok;
}

/* --- a member's URI --------------------------------------------------------------------- */

/* Whom the post was sent to as a member, before aliases made others of him. */
static const struct recipient *
member_of(const struct envelope *e, const struct recipient *r)
{
	while (r->parent != NO_RECIPIENT && r->parent < e->count)
		r = &e->recipients[r->parent];
	return r;
}

struct slice
leaving_uri(const struct queue *q, const struct envelope *e, const struct recipient *r,
    struct arena *arena)
{
	const struct list_conf *list;
	struct buf uri = BUF(UNSUBSCRIBE_MOST + 300);
	struct slice base, whole = NONE;
	struct address bounces;
	struct route route;

	if (e->parent == 0 || e->sender.n == 0 || !address_parse(e->sender, arena, &bounces))
		return NONE;
	route = route_local(q->options.routes, &bounces, arena);
	if (route.kind != ROUTE_ALIAS || route.bounces == NULL || route.bounces->conf->one_click.n == 0)
		return NONE;
	list = route.bounces->conf;
	base = list->one_click;
	buf_add(&uri, base);
	if (base.p[base.n - 1] != '/')
		buf_byte(&uri, '/');
	if (unsubscribe_add(&uri, list->address.address.text, member_of(e, r)->address, q->secrets.leaves))
		whole = arena_copy(arena, buf_slice(&uri));
	buf_free(&uri);
	return whole;
}

/* --- the web role asks -------------------------------------------------------------------- */

struct leaving_link {
	struct leaving_link *next, **back;
	struct queue        *queue;
	struct link         *link;
};

static const struct list *
list_of(const struct queue *q, struct slice text, struct arena *arena)
{
	struct address a;
	struct route route;

	if (!address_parse(text, arena, &a))
		return NULL;
	route = route_local(q->options.routes, &a, arena);
	return route.kind == ROUTE_LIST && route.list->conf->one_click.n > 0 ? route.list : NULL;
}

static void
log_left(struct queue *q, struct slice list, struct slice member)
{
	struct log_line l = log_event(q->options.log, &EVENT_LIST_LEFT, 0);

	log_slice(&l, "list", list);
	log_path(&l, "member", member);
	log_end(&l);
}

/* Who is no member gets no row: he has what he wants. */
static enum left
leave(struct queue *q, struct slice list, struct slice member)
{
	struct error why = { 0 };
	enum kv_answer before;

	if (!caches_ready(q))
		return LEFT_LATER;
	before = left_find(q->kv, list, member, &why);
	if (before == KV_FOUND)
		return LEFT_DONE;
	if (before == KV_FAILED || !left_put(q->kv, list, member, clock_now(q->loop->clock), &why)) {
		queue_alarm(q, "caches", why.text);
		return LEFT_LATER;
	}
	log_left(q, list, member);
	return LEFT_DONE;
}

static enum left
leave_with(struct queue *q, struct slice word)
{
	struct arena *arena = arena_new(WORD_MEMORY);
	const struct list *list = NULL;
	enum left left = LEFT_UNKNOWN;
	struct slice name, member;

	if (unsubscribe_read(word, q->secrets.leaves, arena, &name, &member) &&
	    (list = list_of(q, name, arena)) != NULL)
		left = map_get(&list->by_address, member) != NULL ? leave(q, name, member) : LEFT_DONE;
	arena_free(arena);
	return left;
}

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct leaving_link *l = arg;
	struct unpack u = { .left = payload };
	uint32_t door = unpack_u32(&u);
	uint64_t visitor = unpack_u64(&u);
	struct slice word = unpack_slice(&u);
	struct buf b = BUF(VALUE_MOST);

	if (fd != -1)
		close(fd);
	if (kind != FRAME_LEAVE || !unpack_done(&u))
		return;
	pack_u32(&b, door);
	pack_u64(&b, visitor);
	pack_u8(&b, (uint8_t)leave_with(l->queue, word));
	link_send(l->link, FRAME_LEFT, buf_slice(&b), -1);
	buf_free(&b);
}

static void
on_gone(void *arg)
{
	struct leaving_link *l = arg;

	if ((*l->back = l->next) != NULL)
		l->next->back = l->back;
	link_end(l->link);
	free(l);
}

static const struct link_user WEB = { on_frame, on_gone };

void
leaving_link_new(struct queue *q, int fd)
{
	struct leaving_link *l = must_alloc(sizeof *l);

	*l = (struct leaving_link){ .next = q->leavings, .back = &q->leavings, .queue = q };
	if (l->next != NULL)
		l->next->back = &l->next;
	q->leavings = l;
	l->link = link_new(q->loop, fd, &WEB, l);
}

void
leaving_links_end(struct queue *q)
{
	while (q->leavings != NULL) {
		link_flush(q->leavings->link, LINK_PATIENCE_MS);      /* the last answers */
		on_gone(q->leavings);
	}
}

/* --- those who have left, for a post --------------------------------------------------------- */

struct gathering {
	struct arena *arena;
	struct map   *map;
	bool          full;
};

static bool
gather(void *arg, const struct left_row *row)
{
	struct gathering *g = arg;
	struct slice copy = arena_copy(g->arena, row->member);

	g->full = copy.p == NULL;
	if (!g->full)
		map_put(g->map, copy, g->map);
	return !g->full;
}

bool
leaving_gather(struct queue *q, const struct list_conf *list, struct arena *arena, struct map *map,
    struct error *why)
{
	struct gathering g = { arena, map, false };

	if (list->one_click.n == 0)
		return true;
	if (!caches_ready(q))
		return error_set(why, "it cannot be read who has left the list");
	if (!left_each(q->kv, list->address.address.text, gather, &g, why))
		return false;
	return !g.full || error_set(why, "too many have left the list");
}
