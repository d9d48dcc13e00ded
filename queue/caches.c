/* SPDX-License-Identifier: ISC */
/*
 * caches -- what is kept of the world beside mail, in Berkeley DB: MTA-STS
 * policies here, counters of TLS sessions in tlsrpt.c.
 *
 * Deliverers ask for a policy's entry once and tell what it became.  Nobody has
 * to send mail for a policy to stay: entries are gone over here, and when a
 * refresh is due a deliverer is told (RFC 8461 10.2); so a restart forgets none.
 * Without a disk for it mail flows all the same, with less memory of the past; it is
 * looked every minute, and whenever a command asks, whether the disk is back.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "mail/domain.h"
#include "queue/commands.h"
#include "queue/inside.h"
#include "queue/state.h"
#include "sts/cache.h"

enum {
	KV_MEMORY = 4 << 20, ENTRY_MEMORY = 512 << 10, PATH_BYTES = 4096,
	TURN_MS = MINUTE, BUSY_TURN_MS = SECOND,
	COMMIT_MS = SECOND,             /* without a flush: a kill costs so much, a power cut more */
	LOOK_AT = 1000,                 /* entries in one turn */
	REFRESHES_MOST = 50,            /* of them are told to be refreshed */
	REFRESH_MS = MINUTE,            /* so long a command waits for the fetch */
	WAITING_MOST = 16,
};

/* A command that waits for its refresh. */
struct refreshing {
	struct refreshing *next;
	struct link       *link;
	char               domain[DOMAIN_MAX + 1];
	int64_t            until;
};

struct caches {
	struct kv_table   *sts;
	struct timer       turn, commit;
	bool               checkpoint;  /* one is being made */
	struct buf         cursor;      /* the key from which the next turn looks on */
	struct refreshing *waiting;
	size_t             waiting_count;
};

static void
fail(struct queue *q, const struct error *why)
{
	queue_alarm(q, "caches", why->text);
}

/* --- committing ----------------------------------------------------------------------- */

static void
commit(void *arg)
{
	struct queue *q = arg;
	struct error why;

	if (!kv_commit(q->kv, KV_QUICK, &why))
		fail(q, &why);
}

void
caches_changed(struct queue *q)
{
	if (!timer_is_set(&q->caches->commit))
		timer_set(q->loop, &q->caches->commit, COMMIT_MS, commit, q);
}

static void
make_checkpoint(void *arg)
{
	struct queue *q = arg;

	kv_checkpoint(q->kv, NULL);     /* what fails now fails again where it is told */
}

static void
checkpoint_made(void *arg)
{
	((struct queue *)arg)->caches->checkpoint = false;
}

/* Or the logs of Berkeley DB grow until the queue ends; it has nothing to do when they are short. */
static void
begin_checkpoint(struct queue *q)
{
	if (q->caches->checkpoint)
		return;
	q->caches->checkpoint = true;
	job(q->jobs, make_checkpoint, checkpoint_made, q);
}

/* --- deliverers -------------------------------------------------------------------------- */

static enum kv_answer
get_entry(struct queue *q, struct slice domain, struct buf *entry)
{
	struct error why;
	enum kv_answer answer = q->caches == NULL ? KV_NONE
	    : kv_get(q->caches->sts, slice_head(domain, KV_KEY), entry, &why);

	if (answer == KV_FAILED)
		fail(q, &why);
	return answer;
}

static void turn(void *arg);
static void look_again(void *arg);

/* One entry, or what is not there, as both the deliverer and the command read it. */
static void
send_entry(struct link *link, unsigned kind, struct slice domain, struct slice entry)
{
	struct buf b = BUF(LINK_FRAME_MOST);

	pack_slice(&b, domain);
	pack_slice(&b, entry);
	link_send(link, kind, buf_slice(&b), -1);
	buf_free(&b);
}

void
caches_ask(struct queue *q, struct slice domain, struct link *link)
{
	struct buf entry = BUF(STS_ENTRY_MOST);

	if (get_entry(q, domain, &entry) != KV_FOUND)
		buf_clear(&entry);
	send_entry(link, FRAME_STS_IS, domain, buf_slice(&entry));
	buf_free(&entry);
}

void
caches_keep(struct queue *q, struct slice payload)
{
	struct unpack u = { .left = payload };
	struct slice domain = unpack_slice(&u), entry = unpack_slice(&u);
	int64_t until = (int64_t)unpack_u64(&u);
	struct error why;

	if (!unpack_done(&u) || q->caches == NULL || domain.n == 0 || domain.n > DOMAIN_MAX)
		return;
	/* Losing it would open a window for a downgrade: it goes to the disk now. */
	if (!kv_put_until(q->caches->sts, domain, entry, until, &why) ||
	    !kv_commit(q->kv, KV_SYNC, &why))
		fail(q, &why);
}

/* --- refreshing without mail --------------------------------------------------------------- */

struct looking {
	struct queue *queue;
	int64_t       now;
	unsigned      due;
	struct buf    domains;
	struct arena *arena;
};

static bool
look_at(void *arg, const struct kv_entry *e)
{
	struct looking *l = arg;
	struct sts_entry entry;
	int64_t when;

	if (l->due == REFRESHES_MOST)
		return false;
	arena_reset(l->arena);
	if (!sts_entry_unpack(&entry, e->value, l->arena))
		return true;
	when = sts_refresh_time(&entry, l->now, slice_hash(e->key));
	if (when != 0 && when <= l->now) {
		pack_slice(&l->domains, e->key);
		l->due++;
	}
	return true;
}

static void
refresh_due(struct queue *q, int64_t now)
{
	struct caches *c = q->caches;
	struct looking l = { q, now, 0, BUF(64 << 10), arena_new(ENTRY_MEMORY) };
	struct unpack u;
	struct error why;

	if (!kv_walk(c->sts, &c->cursor, LOOK_AT, look_at, &l, &why))
		fail(q, &why);
	for (u = (struct unpack){ .left = buf_slice(&l.domains) }; u.left.n > 0; ) {
		struct slice domain = unpack_slice(&u);

		delivery_tell(q, domain, FRAME_STS_REFRESH, domain);
	}
	buf_free(&l.domains);
	arena_free(l.arena);
}

/* --- the command -------------------------------------------------------------------------------- */

static void
send_end(struct link *link, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);

	bug_if(text == NULL);
	link_send(link, FRAME_END, slice(text), -1);
	free(text);
	json_decref(j);
}

static void
end_with(struct link *link, size_t count, const char *error)
{
	send_end(link, error == NULL ? json_pack("{s:I}", "count", (json_int_t)count)
	    : json_pack("{s:I, s:s}", "count", (json_int_t)count, "error", error));
}

struct listing {
	struct link *link;
	size_t       count;
};

static bool
list_one(void *arg, const struct kv_entry *e)
{
	struct listing *l = arg;

	send_entry(l->link, FRAME_BYTES, e->key, e->value);
	l->count++;
	return link_unsent(l->link) < LINK_UNSENT_MOST / 2;
}

static void
list_all(struct queue *q, struct link *link)
{
	struct listing l = { link, 0 };
	struct error why;

	if (kv_range(q->caches->sts, NONE, NONE, list_one, &l, &why))
		end_with(link, l.count, NULL);
	else
		end_with(link, l.count, why.text);
}

static void
show_one(struct queue *q, struct slice domain, struct link *link)
{
	struct buf entry = BUF(STS_ENTRY_MOST);
	bool found = get_entry(q, domain, &entry) == KV_FOUND;

	if (found)
		send_entry(link, FRAME_BYTES, domain, buf_slice(&entry));
	end_with(link, found, NULL);
	buf_free(&entry);
}

static void
forget_one(struct queue *q, struct slice domain, struct link *link)
{
	struct buf entry = BUF(STS_ENTRY_MOST);
	bool found = get_entry(q, domain, &entry) == KV_FOUND;
	struct error why = { 0 };
	bool ok = !found || (kv_delete(q->caches->sts, domain, &why) && kv_commit(q->kv, KV_SYNC, &why));

	deliveries_tell_all(q, FRAME_STS_FORGET, domain);
	end_with(link, found, ok ? NULL : why.text);
	buf_free(&entry);
}

static void
refresh_one(struct queue *q, struct slice domain, struct link *link)
{
	struct caches *c = q->caches;
	struct refreshing *r;

	if (c->waiting_count == WAITING_MOST) {
		end_with(link, 0, "too many others wait for a refresh");
	} else if (!delivery_tell(q, domain, FRAME_STS_REFRESH, domain)) {
		end_with(link, 0, "there is no delivery role now");
	} else {
		r = must_alloc(sizeof *r);
		*r = (struct refreshing){ .next = c->waiting, .link = link,
		    .until = clock_now(q->loop->clock) + REFRESH_MS };
		snprintf(r->domain, sizeof r->domain, "%.*s", FMT(domain));
		c->waiting = r;
		c->waiting_count++;
		timer_set(q->loop, &c->turn, BUSY_TURN_MS, turn, q);
	}
}

/* Takes those out who wait for the domain, or wait too long, or on a link that ends. */
static struct refreshing *
take_waiting(struct caches *c, struct slice domain, int64_t now, const struct link *link)
{
	for (struct refreshing **at = &c->waiting; *at != NULL; at = &(*at)->next)
		if ((domain.n > 0 && slice_eqi(slice((*at)->domain), domain)) || now >= (*at)->until ||
		    (*at)->link == link) {
			struct refreshing *r = *at;

			*at = r->next;
			c->waiting_count--;
			return r;
		}
	return NULL;
}

void
caches_refreshed(struct queue *q, struct slice payload)
{
	struct unpack u = { .left = payload };
	struct slice domain = unpack_slice(&u), why = unpack_slice(&u);
	struct refreshing *r;

	if (!unpack_done(&u) || q->caches == NULL || domain.n == 0)
		return;
	while ((r = take_waiting(q->caches, domain, INT64_MIN, NULL)) != NULL) {
		if (why.n > 0)
			send_end(r->link, json_pack("{s:i, s:s%}", "count", 0, "error", why.p, why.n));
		else
			show_one(q, domain, r->link);
		free(r);
	}
}

void
caches_forget_link(struct queue *q, const struct link *link)
{
	struct refreshing *r;

	while (q->caches != NULL && (r = take_waiting(q->caches, NONE, INT64_MIN, link)) != NULL)
		free(r);
}

void
caches_answer(struct queue *q, struct slice request, struct link *link)
{
	json_t *j = json_loadb(request.p, request.n, 0, NULL);
	const char *verb = json_string_value(json_object_get(j, "verb"));
	const char *domain = json_string_value(json_object_get(j, "domain"));
	struct slice name = domain != NULL ? slice(domain) : NONE;

	if (!caches_ready(q))
		end_with(link, 0, "the caches cannot be opened");
	else if (verb != NULL && strcmp(verb, "list") == 0)
		list_all(q, link);
	else if (verb == NULL || !domain_valid(name))
		end_with(link, 0, "the queue does not understand the request");
	else if (strcmp(verb, "show") == 0)
		show_one(q, name, link);
	else if (strcmp(verb, "forget") == 0)
		forget_one(q, name, link);
	else if (strcmp(verb, "refresh") == 0)
		refresh_one(q, name, link);
	else
		end_with(link, 0, "the queue does not understand the request");
	json_decref(j);
}

/* --- turns ---------------------------------------------------------------------------------------- */

static void
end_patience(struct queue *q, int64_t now)
{
	struct refreshing *r;

	while ((r = take_waiting(q->caches, NONE, now, NULL)) != NULL) {
		end_with(r->link, 0, "no answer in time");
		free(r);
	}
}

static void
turn(void *arg)
{
	struct queue *q = arg;
	int64_t now = clock_now(q->loop->clock);
	size_t removed;
	bool busy;

	if (!kv_sound(q->kv) && (caches_ready(q) || q->caches == NULL))
		return;                         /* opened again, with a turn of their own; or closed */
	kv_sweep(q->caches->sts, LOOK_AT, &removed, NULL);
	refresh_due(q, now);
	end_patience(q, now);
	busy = tlsrpt_turn(q) || q->caches->waiting != NULL;
	begin_checkpoint(q);
	timer_set(q->loop, &q->caches->turn, busy ? BUSY_TURN_MS : TURN_MS, turn, q);
}

/* What goes with them is told: without its policy a domain is open to a downgrade until the next fetch. */
static void
tell_aside(struct queue *q)
{
	struct error why;

	if (kv_aside(q->kv) == NULL)
		return;
	error_set(&why, "they were damaged and are set aside as %s: the MTA-STS policies and the counters "
	    "for TLS reports in them are not known any more", kv_aside(q->kv));
	fail(q, &why);
}

static bool
open_kv(struct queue *q, struct error *why)
{
	char path[PATH_BYTES];
	struct kv_options o = { path, STATE_TABLES, q->loop->clock, KV_MEMORY, false };

	snprintf(path, sizeof path, "%.*s/caches", FMT(q->options.conf->state));
	if ((q->kv = kv_open(&o, why)) == NULL)
		return false;
	tell_aside(q);
	q->caches = must_alloc(sizeof *q->caches);
	q->caches->sts = kv_table(q->kv, "sts");
	q->caches->cursor = BUF(KV_KEY);
	tlsrpt_begin(q);
	timer_set(q->loop, &q->caches->turn, BUSY_TURN_MS, turn, q);
	return true;
}

void
caches_open(struct queue *q)
{
	struct error why;

	if (!open_kv(q, &why)) {
		fail(q, &why);
		timer_set(q->loop, &q->caches_again, TURN_MS, look_again, q);
	}
}

/* --- another try ------------------------------------------------------------------------------------ */

/* Closed, they would be missed by a checkpoint that is being made, or a report that is stored. */
static bool
may_close(const struct queue *q)
{
	return !q->caches->checkpoint && tlsrpt_idle(q);
}

/* That it failed was told when it did. */
bool
caches_ready(struct queue *q)
{
	if (q->caches != NULL && (kv_sound(q->kv) || !may_close(q)))
		return kv_sound(q->kv);
	if (q->caches != NULL)
		end_patience(q, INT64_MAX);
	caches_close(q);
	if (open_kv(q, NULL)) {
		queue_note(q, "caches", "they are open again");
		return true;
	}
	timer_set(q->loop, &q->caches_again, TURN_MS, look_again, q);
	return false;
}

static void
look_again(void *arg)
{
	caches_ready(arg);
}

/* --- the end ------------------------------------------------------------------------------------------ */

void
caches_close(struct queue *q)
{
	struct refreshing *r;

	timer_clear(q->loop, &q->caches_again);
	if (q->caches == NULL)
		return;
	while ((r = q->caches->waiting) != NULL) {
		q->caches->waiting = r->next;
		free(r);
	}
	tlsrpt_end(q);
	timer_clear(q->loop, &q->caches->turn);
	timer_clear(q->loop, &q->caches->commit);
	buf_free(&q->caches->cursor);
	free(q->caches);
	q->caches = NULL;
	kv_commit(q->kv, KV_QUICK, NULL);
	kv_close(q->kv);
	q->kv = NULL;
}
