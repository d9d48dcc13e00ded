/* SPDX-License-Identifier: ISC */
/*
 * tlsrpt -- TLS sessions that deliverers tell of are counted (RFC 8460), and
 * once a day whoever asks for it is told.
 *
 * The tallies of a day lie in the caches under day and domain (sts/tally).  Some
 * hours into the next day each domain has its turn:
 *
 *     WAITING   until its time, or until it is tried again
 *     ASKED     a deliverer: where does it want reports?
 *     WRITING   the report, in a job
 *     SENDING   letters go to the spool, POSTs to a deliverer; one success is enough
 *
 * What nobody wants is dropped, what cannot be sent is tried each hour; a day
 * later the tallies expire by themselves.  A report tells as many policies as
 * REPORT_BYTES hold; how many were left out is said once, when it was taken.
 * Nothing of this is ever in the way of mail: a failure costs a report, no more.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/gzip.h"
#include "base/text.h"
#include "conf/events.h"
#include "mail/header.h"
#include "queue/inside.h"
#include "sts/record.h"
#include "sts/report_mail.h"
#include "sts/tally.h"

enum {
	TALLIES_MOST = 100000,          /* further policies of a day are not counted */
	GROUPS_MOST = 1000, AT_ONCE = 8,
	LOOK_AT = 200,                  /* tallies in one turn */
	POLICIES_MOST = 200,            /* in one report, and … */
	REPORT_BYTES = 2 << 20,         /* … of their tallies: JSON makes six times that at most */
	ANSWER_MS = 2 * MINUTE, AGAIN_MS = HOUR,
	GIVE_UP_MS = 24 * HOUR,         /* RFC 8460 5.5 */
	SESSION_MEMORY = 1 << 20, REPORT_MEMORY = 16 << 20,
	KEYS_MEMORY = 64 << 20,         /* more than all keys */
};

enum stage { WAITING, ASKED, WRITING, SENDING };

/* A day and a domain that have their turn. */
struct group {
	struct group  *next;
	struct queue  *queue;
	uint32_t       day;
	struct slice   domain;
	enum stage     stage;
	int64_t        when;            /* WAITING: its time; else: no answer comes any more */
	uint64_t       number;          /* of its POSTs; a late answer to older ones does not count */
	unsigned       letters, posts;  /* not answered yet */
	size_t         told;            /* policies in its report */
	bool           accepted;
	struct error   why;
};

struct tlsrpt {
	struct kv_table *table;
	uint64_t         tallies;
	uint64_t         salt, number;
	struct group    *groups;
	size_t           group_count, active;
	struct buf       cursor;        /* the key from which the next turn looks on */
	bool             full_said;
};

/* --- counting --------------------------------------------------------------------------- */

static void
fail(struct queue *q, const struct error *why)
{
	queue_alarm(q, "tls-reports", why->text);
}

static int64_t
expiry(uint32_t day)
{
	return tally_midnight(day + 1) + TALLY_DELAY_MOST + GIVE_UP_MS;
}

static bool
room_for_another(struct queue *q)
{
	struct tlsrpt *t = q->tlsrpt;

	if (t->tallies < TALLIES_MOST)
		return true;
	if (!t->full_said)
		queue_alarm(q, "tls-reports", "too many policies are counted; some sessions are not");
	t->full_said = true;
	return false;
}

static void
add_session(struct queue *q, const struct tlsrpt_session *s, struct arena *arena)
{
	struct tlsrpt *t = q->tlsrpt;
	uint32_t day = tally_day(clock_now(q->loop->clock));
	struct buf key = BUF(TALLY_KEY), old = BUF(TALLY_MOST), new = BUF(TALLY_MOST);
	struct tlsrpt_counts counts = { 0 };
	struct error why = { 0 };
	enum kv_answer answer;

	tally_key(&s->label, day, &key);
	answer = kv_get(t->table, buf_slice(&key), &old, &why);
	if (answer == KV_FOUND && !tally_unpack(&counts, buf_slice(&old), arena))
		counts = (struct tlsrpt_counts){ 0 };
	if (answer == KV_FAILED) {
		fail(q, &why);
	} else if (answer == KV_FOUND || room_for_another(q)) {
		tally_add(&counts, s, arena);
		tally_pack(&counts, &new);
		t->tallies += answer == KV_NONE;
		caches_changed(q);
		if (new.full || !kv_put_until(t->table, buf_slice(&key), buf_slice(&new), expiry(day), &why))
			fail(q, &why);
	}
	buf_free(&key), buf_free(&old), buf_free(&new);
}

void
tlsrpt_count(struct queue *q, struct slice packed)
{
	struct arena *arena;
	struct tlsrpt_session s;

	if (q->tlsrpt == NULL || !q->options.conf->delivery.tls_reports)
		return;
	arena = arena_new(SESSION_MEMORY);
	if (session_unpack(&s, packed, arena))
		add_session(q, &s, arena);
	arena_free(arena);
}

/* --- groups ------------------------------------------------------------------------------- */

static struct group *
find_group(struct tlsrpt *t, uint32_t day, struct slice domain)
{
	for (struct group *g = t->groups; g != NULL; g = g->next)
		if (g->day == day && slice_eq(g->domain, domain))
			return g;
	return NULL;
}

static void
forget_group(struct group *g)
{
	struct tlsrpt *t = g->queue->tlsrpt;
	struct group **at = &t->groups;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	t->group_count--;
	t->active -= g->stage != WAITING;
	free((void *)(uintptr_t)g->domain.p);
	free(g);
}

static void
set_stage(struct group *g, enum stage stage, int64_t after)
{
	struct tlsrpt *t = g->queue->tlsrpt;

	t->active += stage != WAITING;
	t->active -= g->stage != WAITING;
	g->stage = stage;
	g->when = clock_now(g->queue->loop->clock) + after;
}

static void
log_group(struct group *g, struct slice to, const char *result, const char *why)
{
	struct log_line l = log_event(g->queue->options.log, &EVENT_TLS_REPORT, 0);
	char day[LOG_TIME + 1];

	log_time(tally_midnight(g->day), day);
	log_slice(&l, "domain", g->domain);
	log_slice(&l, "day", slice_head(slice(day), 10));
	if (to.n > 0)
		log_slice(&l, "to", to);
	log_text(&l, "result", result);
	if (why != NULL && *why != '\0')
		log_text(&l, "why", why);
	log_end(&l);
}

static bool
gather_key(void *arg, const struct kv_entry *e)
{
	pack_slice(arg, e->key);
	return true;
}

/* Its tallies have served, or nobody wants them: how many there were. */
static size_t
drop_tallies(struct group *g)
{
	struct tlsrpt *t = g->queue->tlsrpt;
	struct buf prefix = BUF(TALLY_KEY), keys = BUF(KEYS_MEMORY);
	struct unpack u;
	struct error why;
	size_t dropped = 0;

	tally_prefix(g->day, g->domain, &prefix);
	if (!kv_range(t->table, buf_slice(&prefix), NONE, gather_key, &keys, &why))
		fail(g->queue, &why);
	for (u = (struct unpack){ .left = buf_slice(&keys) }; u.left.n > 0; dropped++)
		if (!kv_delete(t->table, unpack_slice(&u), &why))
			fail(g->queue, &why);
	t->tallies -= dropped < t->tallies ? dropped : t->tallies;
	caches_changed(g->queue);
	buf_free(&prefix), buf_free(&keys);
	return dropped;
}

/* Somebody has the report; what it could not hold is told here and nowhere else. */
static void
end_told(struct group *g)
{
	size_t all = drop_tallies(g);
	struct error cut;

	if (all > g->told) {
		error_set(&cut, "%zu of %zu policies were left out", all - g->told, all);
		log_group(g, NONE, "cut", cut.text);
	}
	forget_group(g);
}

static void
conclude(struct group *g)
{
	if (g->letters > 0 || g->posts > 0)
		return;
	if (!g->accepted) {
		log_group(g, NONE, "deferred", g->why.text);
		set_stage(g, WAITING, AGAIN_MS);
		return;
	}
	end_told(g);
}

/* It cannot be sent, nor can it ever be. */
static void
give_up(struct group *g)
{
	log_group(g, NONE, "given-up", g->why.text);
	drop_tallies(g);
	forget_group(g);
}

/* --- the report ------------------------------------------------------------------------------ */

/* A report that is written: the job has it, so it holds nothing of its group. */
struct writing {
	struct queue         *queue;
	uint32_t              day;
	struct slice          domain;
	struct arena         *arena;
	struct tlsrpt_letter  letter;
	struct slice          uris[TLSRPT_URIS_MOST];
	size_t                uri_count;
	struct tlsrpt_counts *counts;
	size_t                count, bytes;
	struct buf            gzip;
	bool                  fits;
};

static void
free_writing(struct writing *w)
{
	buf_free(&w->gzip);
	arena_free(w->arena);
	free(w);
}

static bool
gather_tally(void *arg, const struct kv_entry *e)
{
	struct writing *w = arg;
	struct slice value;

	w->bytes += e->value.n;
	if (w->count == POLICIES_MOST || (w->count > 0 && w->bytes > REPORT_BYTES))
		return false;
	value = arena_copy(w->arena, e->value);
	if (value.p != NULL && tally_unpack(&w->counts[w->count], value, w->arena))
		w->count++;
	return true;
}

/* In a pool thread: megabytes, in the worst case. */
static void
write_report(void *arg)
{
	struct writing *w = arg;
	const struct tlsrpt_letter *l = &w->letter;
	struct tlsrpt_report r = { .organization = l->submitter, .contact = l->contact, .id = l->id,
	    .begin = tally_time(l->begin, w->arena), .end = tally_time(l->end, w->arena),
	    .policies = w->counts, .count = w->count };
	struct buf json = BUF(TLSRPT_REPORT_MOST);

	w->fits = tlsrpt_report_write(&r, &json) && gzip_add(&w->gzip, buf_slice(&json));
	buf_free(&json);
}

static struct tlsrpt_letter
letter_of(const struct group *g, struct arena *arena)
{
	struct queue *q = g->queue;
	struct slice host = q->options.conf->hostname;
	char id[ID_TEXT + 1];

	id_text(ids_next(&q->ids), id);
	return (struct tlsrpt_letter){
		.submitter = host, .contact = arena_printf(arena, "postmaster@%.*s", FMT(host)),
		.domain = g->domain, .id = arena_printf(arena, "%s@%.*s", id, FMT(host)),
		.now = clock_now(q->loop->clock),
		.begin = tally_midnight(g->day), .end = tally_midnight(g->day + 1),
	};
}

/* --- handing it over --------------------------------------------------------------------------- */

static void
letter_stored(void *arg, struct status status)
{
	struct group *g = arg;

	g->letters--;
	g->accepted = g->accepted || status_good(status);
	if (!status_good(status))
		error_set(&g->why, "%.*s", FMT(status.text));
	conclude(g);
}

/*
 * From the null sender, so that nothing comes back; TLS is tried and not needed,
 * and its sessions are in no report (RFC 8460 3).
 */
static void
store_letter(struct group *g, struct tlsrpt_letter *l, struct slice to, struct arena *arena)
{
	struct queue *q = g->queue;
	struct recipient recipient = { .address = to, .notify = NOTIFY_NEVER, .parent = NO_RECIPIENT };
	struct envelope e = { .id = ids_next(&q->ids), .arrival = l->now, .recipients = &recipient,
	    .count = 1, .tls_optional = true, .uncounted = true, .parent_recipient = NO_RECIPIENT };
	struct buf text = BUF(2 * TLSRPT_REPORT_MOST);
	struct own own;
	size_t header;

	l->to = to;
	tlsrpt_letter_write(l, arena, &text);
	header = header_length(buf_slice(&text));
	own_begin(q, &own);
	own_add(&own, slice_head(buf_slice(&text), header));
	own_header_done(&own);
	own_add_body(&own, slice_skip(buf_slice(&text), header + 2));
	buf_free(&text);
	g->letters++;
	own_store(&own, &e, letter_stored, g);
}

/* RFC 8460 3: what comes without a signature of ours must not be believed, so it is not sent. */
static void
send_letter(struct group *g, struct tlsrpt_letter *l, struct slice to, struct arena *arena)
{
	const struct conf *conf = g->queue->options.conf;

	if (conf_signs(conf, conf->hostname))
		store_letter(g, l, to, arena);
	else
		error_set(&g->why, "a report by mail must be signed, and there is no key for %.*s",
		    FMT(conf->hostname));
}

static void
post(struct group *g, struct slice uri, struct slice gzip)
{
	struct buf b = BUF(LINK_FRAME_MOST);

	pack_u64(&b, g->number);
	pack_slice(&b, uri);
	pack_slice(&b, gzip);
	if (b.full || !delivery_tell(g->queue, g->domain, FRAME_POST, buf_slice(&b)))
		error_set(&g->why, "the report cannot be handed over");
	else
		g->posts++;
	buf_free(&b);
}

/* To everybody the domain names: one who has it is enough (RFC 8460 3). */
static void
send_report(struct group *g, struct writing *w)
{
	struct address to;

	w->letter.gzip = buf_slice(&w->gzip);
	g->number = ++g->queue->tlsrpt->number;
	g->accepted = false;
	g->told = w->count;
	set_stage(g, SENDING, ANSWER_MS);
	g->letters++;                           /* nothing is concluded before all are asked */
	for (size_t i = 0; i < w->uri_count; i++) {
		log_group(g, w->uris[i], "sending", NULL);
		if (tlsrpt_mailto(w->uris[i], w->arena, &to))
			send_letter(g, &w->letter, to.text, w->arena);
		else
			post(g, w->uris[i], w->letter.gzip);
	}
	g->letters--;
	conclude(g);
}

/* The queue may have ended meanwhile. */
static void
report_written(void *arg)
{
	struct writing *w = arg;
	struct group *g = w->queue->tlsrpt == NULL ? NULL : find_group(w->queue->tlsrpt, w->day, w->domain);

	if (g != NULL && g->stage == WRITING && w->fits) {
		send_report(g, w);
	} else if (g != NULL && g->stage == WRITING) {
		error_set(&g->why, "the report is too large");
		give_up(g);
	}
	free_writing(w);
}

static struct writing *
new_writing(const struct group *g, const struct slice *uris, size_t count)
{
	struct writing *w = must_alloc(sizeof *w);
	struct arena *arena = arena_new(REPORT_MEMORY);

	*w = (struct writing){ .queue = g->queue, .day = g->day, .domain = arena_copy(arena, g->domain),
	    .arena = arena, .letter = letter_of(g, arena), .uri_count = count,
	    .counts = arena_get(arena, POLICIES_MOST * sizeof *w->counts),
	    .gzip = BUF(TLSRPT_REPORT_MOST) };
	w->letter.domain = w->domain;
	for (size_t i = 0; i < count; i++)
		w->uris[i] = arena_copy(arena, uris[i]);
	return w;
}

static void
begin_report(struct group *g, const struct slice *uris, size_t count)
{
	struct writing *w = new_writing(g, uris, count);
	struct buf prefix = BUF(TALLY_KEY);
	bool ok;

	g->why = (struct error){ 0 };
	tally_prefix(g->day, g->domain, &prefix);
	ok = kv_range(g->queue->tlsrpt->table, buf_slice(&prefix), NONE, gather_tally, w, &g->why);
	buf_free(&prefix);
	if (ok && w->count > 0) {
		set_stage(g, WRITING, 0);
		job(g->queue->jobs, write_report, report_written, w);
		return;
	}
	free_writing(w);
	if (ok) {
		error_set(&g->why, "there is nothing left to tell");
		give_up(g);
	} else {
		set_stage(g, WAITING, AGAIN_MS);
	}
}

/* --- what deliverers answer ------------------------------------------------------------------------ */

static void
answered(struct group *g, enum live live, const struct slice *uris, size_t count)
{
	if (live == LIVE_VALID && count > 0) {
		begin_report(g, uris, count);
	} else if (live == LIVE_UNKNOWN) {
		error_set(&g->why, "the record cannot be looked up");
		set_stage(g, WAITING, AGAIN_MS);
	} else {
		drop_tallies(g);                /* nobody wants to know */
		forget_group(g);
	}
}

void
tlsrpt_where(struct queue *q, struct slice payload)
{
	struct unpack u = { .left = payload };
	struct slice domain = unpack_slice(&u), uris[TLSRPT_URIS_MOST];
	unsigned live = unpack_u8(&u);
	size_t count = unpack_u32(&u);
	struct group *next;

	for (size_t i = 0; i < count && i < TLSRPT_URIS_MOST; i++)
		uris[i] = unpack_slice(&u);
	if (q->tlsrpt == NULL || !unpack_done(&u) || count > TLSRPT_URIS_MOST || live > LIVE_UNKNOWN)
		return;
	for (struct group *g = q->tlsrpt->groups; g != NULL; g = next) {
		next = g->next;
		if (g->stage == ASKED && slice_eq(g->domain, domain))
			answered(g, (enum live)live, uris, count);
	}
}

void
tlsrpt_posted(struct queue *q, struct slice payload)
{
	struct unpack u = { .left = payload };
	uint64_t number = unpack_u64(&u);
	unsigned taken = unpack_u8(&u);
	struct slice why = unpack_slice(&u);

	if (q->tlsrpt == NULL || !unpack_done(&u))
		return;
	for (struct group *g = q->tlsrpt->groups; g != NULL; g = g->next)
		if (g->stage == SENDING && g->number == number && g->posts > 0) {
			g->posts--;
			g->accepted = g->accepted || taken;
			if (!taken)
				error_set(&g->why, "%.*s", FMT(slice_head(why, 200)));
			conclude(g);
			return;
		}
}

/* --- turns ------------------------------------------------------------------------------------------- */

static void
start(struct group *g)
{
	if (delivery_tell(g->queue, g->domain, FRAME_TLSRPT_ASK, g->domain))
		set_stage(g, ASKED, ANSWER_MS);
	else
		set_stage(g, WAITING, MINUTE);
}

/* Whoever did not answer died, or its DNS is slow. */
static void
patience_ends(struct group *g)
{
	if (g->stage == ASKED) {
		error_set(&g->why, "no answer");
		set_stage(g, WAITING, AGAIN_MS);
	} else if (g->letters == 0) {
		g->posts = 0;
		error_set(&g->why, "no answer");
		conclude(g);
	}
}

static void
move(struct group *g, int64_t now)
{
	if (g->stage == WRITING)
		return;                         /* the job ends by itself */
	if (g->stage == WAITING && now >= expiry(g->day))
		give_up(g);                     /* its tallies have expired, whatever answer comes */
	else if (now >= g->when && g->stage != WAITING)
		patience_ends(g);
	else if (now >= g->when && g->queue->tlsrpt->active < AT_ONCE)
		start(g);
}

static void
move_groups(struct queue *q, int64_t now)
{
	struct group *next;

	for (struct group *g = q->tlsrpt->groups; g != NULL; g = next) {
		next = g->next;
		move(g, now);
	}
}

struct looking {
	struct queue *queue;
	int64_t       now;
	bool          ended;
};

static void
new_group(struct queue *q, uint32_t day, struct slice domain)
{
	struct tlsrpt *t = q->tlsrpt;
	struct group *g = must_alloc(sizeof *g);

	*g = (struct group){ .next = t->groups, .queue = q, .day = day,
	    .domain = slice_of(must_copy(domain.p, domain.n), domain.n) };
	t->groups = g;
	t->group_count++;
}

/* A tally of a day that is over, whose time has come, begins a group. */
static bool
look_at(void *arg, const struct kv_entry *e)
{
	struct looking *l = arg;
	struct tlsrpt *t = l->queue->tlsrpt;
	struct slice domain;
	uint32_t day;

	if (t->group_count == GROUPS_MOST)
		return false;
	if (!tally_key_read(e->key, &day, &domain))
		return true;
	if (day >= tally_day(l->now))
		return !(l->ended = true);      /* today's stand behind all others */
	if (l->now >= tally_due(day, domain, t->salt) && find_group(t, day, domain) == NULL)
		new_group(l->queue, day, domain);
	return true;
}

static void
find_groups(struct queue *q, int64_t now)
{
	struct tlsrpt *t = q->tlsrpt;
	struct looking l = { q, now, false };
	struct error why;

	if (!kv_walk(t->table, &t->cursor, LOOK_AT, look_at, &l, &why))
		fail(q, &why);
	if (l.ended)
		buf_clear(&t->cursor);          /* from the first one again */
}

static void
sweep(struct queue *q)
{
	struct tlsrpt *t = q->tlsrpt;
	size_t removed = 0;

	kv_sweep(t->table, LOOK_AT, &removed, NULL);
	t->tallies -= removed < t->tallies ? removed : t->tallies;
	t->full_said = t->full_said && t->tallies >= TALLIES_MOST;
}

/* True: there are groups that may move soon, or more to look at. */
bool
tlsrpt_turn(struct queue *q)
{
	int64_t now = clock_now(q->loop->clock);

	if (q->draining)
		return false;
	sweep(q);
	find_groups(q, now);
	move_groups(q, now);
	for (const struct group *g = q->tlsrpt->groups; g != NULL; g = g->next)
		if (g->stage != WAITING || g->when <= now)
			return true;
	return q->tlsrpt->cursor.n > 0;
}

bool
tlsrpt_idle(const struct queue *q)
{
	return q->tlsrpt->active == 0;
}

void
tlsrpt_begin(struct queue *q)
{
	struct tlsrpt *t = must_alloc(sizeof *t);
	struct error why;

	t->table = kv_table(q->kv, "tlsrpt");
	t->salt = slice_hash(q->options.conf->hostname);
	t->cursor = BUF(KV_KEY);
	t->number = (uint64_t)clock_now(q->loop->clock);        /* more than any before it had */
	q->tlsrpt = t;
	if (!kv_count(t->table, &t->tallies, &why))
		fail(q, &why);
}

void
tlsrpt_end(struct queue *q)
{
	if (q->tlsrpt == NULL)
		return;
	while (q->tlsrpt->groups != NULL)
		forget_group(q->tlsrpt->groups);
	buf_free(&q->tlsrpt->cursor);
	free(q->tlsrpt);
	q->tlsrpt = NULL;
}
