/* SPDX-License-Identifier: ISC */
/*
 * queue_world -- a queue on a virtual clock, between a listener and a deliverer
 * whose lines the test speaks.  The queue's own struct is in sight: what it has
 * in memory must be what its spool would tell the next one.
 */
#ifndef TESTS_QUEUE_WORLD_H
#define TESTS_QUEUE_WORLD_H

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "queue/commands.h"
#include "queue/inside.h"
#include "unit.h"

enum { ORDERS_MOST = 4000, WORLD_MEMORY = 256 << 20, BEGIN_SECONDS = 1795342332 };

/* An order that came to the deliverer, and which one of his it is. */
struct seen {
	struct order   order;
	struct link   *link;
	int64_t        at;              /* ms */
	bool           answered;
};

struct world {
	char          dir[64];
	struct clock  clock;
	struct loop   loop;
	struct files  files;
	struct conf  *conf;
	struct routes *routes;
	struct reader reader;
	struct log    log;
	struct buf    said;             /* the log */
	struct queue *queue;
	struct link  *listener, *deliverer;
	struct arena *arena;
	struct seen  *orders;
	size_t        count;
	struct status stored;           /* of the newest answer to the listener */
	unsigned      answers;
	bool          mute;             /* a new listener does not say yet that he has asked again */
	uint64_t      space;            /* of the newest file that was given … */
	int           space_fd;         /* … and its descriptor */
	uint64_t      id;               /* of the newest message */
};

static inline void
world_log(void *arg, struct slice line)
{
	struct world *w = arg;

	if (w->said.n > 1 << 20)
		buf_clear(&w->said);
	buf_add(&w->said, line);
}

static inline void
world_conf(struct world *w, const char *text)
{
	struct flaws flaws;
	struct buf *to = &files_add(&w->files, S("/c/x.conf"), FILE_CONFIG)->bytes;

	buf_printf(to, "hostname mx.local.test\nstate %s\n%s", w->dir, text);
	w->reader = files_reader(&w->files);
	flaws_begin(&flaws);
	w->conf = conf_parse(S("/c/x.conf"), &w->reader, &flaws);
	w->routes = routes_new(w->conf, &w->reader, &flaws);
	flaws_add_text(&w->said, &flaws);
	if (flaws.errors > 0)
		fail_msg("%.*s", FMT(buf_slice(&w->said)));
	flaws_end(&flaws);
}

/* --- the listener ------------------------------------------------------------------ */

static inline void
listener_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct world *w = arg;
	struct unpack u = { .left = payload };

	unpack_u64(&u);
	if (kind == FRAME_SPACE_IS) {
		w->space = unpack_u64(&u);
		w->space_fd = fd;
	} else {
		assert_int_equal(fd, -1);
	}
	w->stored.reply = unpack_u16(&u);
	w->stored.class = unpack_u8(&u);
	w->stored.subject = unpack_u16(&u);
	w->stored.detail = unpack_u16(&u);
	unpack_slice(&u);
	assert_true(unpack_done(&u));
	w->answers++;
}

static inline void
listener_gone(void *arg)
{
	struct world *w = arg;

	link_end(w->listener);
	w->listener = NULL;
}

static const struct link_user LISTENER = { listener_frame, listener_gone };

static inline void
world_listener(struct world *w)
{
	int ends[2];

	link_pair(ends);
	link_end(w->listener);
	w->listener = link_new(&w->loop, ends[0], &LISTENER, w);
	queue_smtpd(w->queue, ends[1]);
	if (!w->mute)
		link_send(w->listener, FRAME_REPEATED, NONE, -1);
}

/* --- the deliverer ------------------------------------------------------------------- */

static inline void
deliverer_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct world *w = arg;
	struct seen *s = &w->orders[w->count];

	if (fd != -1)
		close(fd);
	if (kind != FRAME_ORDER)
		return;
	assert_true(w->count < ORDERS_MOST);
	*s = (struct seen){ .link = w->deliverer, .at = w->clock.now };
	assert_true(order_unpack(&s->order, arena_copy(w->arena, payload), w->arena));
	assert_int_equal(s->order.in_file, fd != -1);
	w->count++;
}

static inline void
deliverer_gone(void *arg)
{
	struct world *w = arg;

	link_end(w->deliverer);
	w->deliverer = NULL;
}

static const struct link_user DELIVERER = { deliverer_frame, deliverer_gone };

/* A new deliverer comes; he has not told yet what he is doing. */
static inline void
deliverer_comes(struct world *w)
{
	int ends[2];

	link_pair(ends);
	w->deliverer = link_new(&w->loop, ends[0], &DELIVERER, w);
	queue_delivery(w->queue, ends[1]);
}

static inline void
deliverer_ready(struct world *w)
{
	link_send(w->deliverer, FRAME_UNDER_WAY_END, NONE, -1);
}

static inline void
deliverer_dies(struct world *w)
{
	link_end(w->deliverer);
	w->deliverer = NULL;
}

/* What an order becomes: one text for all, or one for each recipient. */
static inline struct order_result
result_of(struct world *w, const struct seen *s, const char *const *texts, size_t n)
{
	struct order_result r = { .number = s->order.number, .id = s->order.id, .count = s->order.count,
		.host = S("mx.far.test"), .peer = S("192.0.2.9:25") };

	r.outcomes = arena_get(w->arena, s->order.count * sizeof *r.outcomes);
	for (uint32_t i = 0; i < r.count; i++) {
		struct slice text = slice(texts[i < n ? i : n - 1]);
		uint64_t reply = 0;
		bool coded = slice_number(slice_head(text, 3), 599, &reply) && reply > 0;

		r.outcomes[i].index = s->order.recipients[i].index;
		r.outcomes[i].status = status_of_reply((unsigned)reply, slice_skip(text, coded ? 4 : 0));
	}
	return r;
}

static inline void
send_result(struct world *w, struct seen *s, const struct order_result *r, unsigned kind)
{
	struct buf b = BUF(LINK_FRAME_MOST);

	order_result_pack(r, &b);
	link_send(w->deliverer, kind, buf_slice(&b), -1);
	buf_free(&b);
	s->answered = kind == FRAME_RESULT;
}

static inline void
world_answer(struct world *w, size_t order, const char *text)
{
	struct order_result r = result_of(w, &w->orders[order], &text, 1);

	send_result(w, &w->orders[order], &r, FRAME_RESULT);
}

/* Nobody could be spoken to: what the deliverer says himself. */
static inline void
world_unreachable(struct world *w, size_t order)
{
	struct seen *s = &w->orders[order];
	const char *text = "250 x";
	struct order_result r = result_of(w, s, &text, 1);

	for (uint32_t i = 0; i < r.count; i++)
		r.outcomes[i].status = STATUS(0, 4, 4, 1, "no host could be reached");
	send_result(w, s, &r, FRAME_RESULT);
}

/* --- beginning and ending ---------------------------------------------------------------- */

static inline void
world_start(struct world *w)
{
	struct queue_options o = { .conf = w->conf, .routes = w->routes, .files = &w->reader,
		.log = &w->log, .threadless = true, .segment = 1 << 20 };
	struct error why = { 0 };

	w->queue = queue_start(&w->loop, &o, &why);
	if (w->queue == NULL)
		fail_msg("%s", why.text);
	world_listener(w);
}

static inline void
world_begin(struct world *w, const char *conf)
{
	*w = (struct world){ .arena = arena_new(WORLD_MEMORY), .space_fd = -1 };
	/* What a flush means is the business of the spool's own tests: in memory it is quick. */
	snprintf(w->dir, sizeof w->dir, "%s/chainmail-unit-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(w->dir));
	w->clock = clock_virtual(BEGIN_SECONDS * INT64_C(1000));
	loop_begin(&w->loop, &w->clock);
	w->said = BUF(4 << 20);
	w->log = (struct log){ .clock = &w->clock, .write = world_log, .arg = w };
	w->orders = arena_get(w->arena, ORDERS_MOST * sizeof *w->orders);
	files_add(&w->files, S("/c/empty"), FILE_MEMBERS);
	world_conf(w, conf);
	world_start(w);
	deliverer_comes(w);
	deliverer_ready(w);
}

/* Everybody else in the house goes on for so long. */
static inline void
world_run(struct world *w, int64_t ms)
{
	loop_run_until(&w->loop, w->clock.now + ms);
}

/* The queue ends, and a new one comes; the deliverer lives on and knows what he does. */
static inline void
world_restart(struct world *w)
{
	queue_end(w->queue);
	world_start(w);
	deliverer_gone(w);
	deliverer_comes(w);
}

static inline void
remove_tree(const char *path)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static inline void
world_end(struct world *w)
{
	queue_end(w->queue);
	link_end(w->listener);
	link_end(w->deliverer);
	world_run(w, 1000);                     /* nobody speaks after the end */
	if (w->space_fd != -1)
		close(w->space_fd);
	loop_end(&w->loop);
	routes_free(w->routes);
	conf_free(w->conf);
	files_free(&w->files);
	buf_free(&w->said);
	arena_free(w->arena);
	remove_tree(w->dir);
}

/* --- messages ------------------------------------------------------------------------------ */

static const char CONTENT[] = "From: s@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

static inline struct envelope
world_envelope(struct world *w, const char *sender, const char *recipients)
{
	struct envelope e = { .id = ++w->id, .arrival = w->clock.now, .sender = slice(sender),
		.trace = S("Received: x\r\n"), .header_size = 33, .size = sizeof CONTENT - 1,
		.parent_recipient = NO_RECIPIENT };
	struct slice list = slice(recipients), one;

	e.recipients = arena_get(w->arena, (slice(recipients).n + 1) * sizeof *e.recipients);
	while (slice_word(&list, &one))
		e.recipients[e.count++] = (struct recipient){ .address = one, .parent = NO_RECIPIENT };
	return e;
}

static inline void
send_store(struct world *w, const struct envelope *e, uint64_t file, struct slice content)
{
	struct buf b = BUF(LINK_FRAME_MOST), packed = BUF(ENVELOPE_MOST);

	envelope_pack(e, &packed);
	pack_u64(&b, 77);
	pack_u64(&b, file);
	pack_slice(&b, buf_slice(&packed));
	pack_slice(&b, content);
	link_send(w->listener, FRAME_STORE, buf_slice(&b), -1);
	buf_free(&b);
	buf_free(&packed);
}

static inline void
world_store_envelope(struct world *w, const struct envelope *e)
{
	send_store(w, e, 0, slice(CONTENT));
	world_run(w, 10);
	assert_int_equal(w->stored.reply, 250);
}

/* The identifier of a message that is accepted now. */
static inline uint64_t
world_store(struct world *w, const char *sender, const char *recipients)
{
	struct envelope e = world_envelope(w, sender, recipients);

	world_store_envelope(w, &e);
	return e.id;
}

static inline bool
world_said(const struct world *w, const char *words)
{
	return w->said.n > 0 && memmem(w->said.p, w->said.n, words, strlen(words)) != NULL;
}

/* --- memory and disk --------------------------------------------------------------------------- */

static inline const struct task *
task_with(const struct message *m, uint32_t recipient)
{
	for (const struct task *t = m->tasks; t != NULL; t = t->next_of_message)
		for (uint32_t i = 0; i < t->count; i++)
			if (task_recipients(t)[i] == recipient)
				return t;
	return NULL;
}

struct comparing {
	const struct queue *queue;
	size_t              messages;
};

static inline void
compare_recipient(const struct message *m, const struct envelope *e, uint32_t number,
    const struct recipient_state *s)
{
	const struct task *t = task_with(m, number);
	bool held = s != NULL ? s->stage == RECIPIENT_HELD : e->hold;

	assert_non_null(t);
	assert_true(t->stage != TASK_ACTIVE);
	assert_int_equal(t->stage == TASK_HELD, held);
	if (s != NULL && t->stage == TASK_WAITING) {
		assert_int_equal(t->due.when, s->until);
		assert_int_equal(t->attempts, s->attempts);
	}
}

static inline const struct recipient_state *
found_state(const struct found *f, uint32_t number)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->states[i].recipient == number)
			return &f->states[i];
	return NULL;
}

static inline bool
over(const struct recipient_state *s)
{
	return s != NULL && s->stage != RECIPIENT_WAITING && s->stage != RECIPIENT_HELD;
}

static inline bool
compare_message(void *arg, const struct found *f)
{
	struct comparing *c = arg;
	const struct message *m = schedule_find(&c->queue->schedule, f->summary.id);
	uint32_t open = 0, number = 0;

	assert_non_null(m);
	for (; number < m->total; number++) {
		const struct recipient_state *s = found_state(f, number);

		if (over(s))
			continue;
		open++;
		compare_recipient(m, &f->summary, number, s);
	}
	assert_int_equal(m->open, open);
	c->messages++;
	return true;
}

/* With nothing under way, the spool would tell the next queue what this one knows. */
static inline void
world_compare(struct world *w)
{
	struct comparing c = { w->queue, 0 };
	struct error why = { 0 };

	assert_int_equal(queue_active(w->queue), 0);
	assert_true(spool_drain(w->queue->spool));
	spool_each(w->queue->spool, compare_message, &c);
	assert_int_equal(c.messages, queue_messages(w->queue));
	if (!spool_verify(w->queue->spool, &why))
		fail_msg("%s", why.text);
}

/* Changes a byte of the first record that has these. */
static inline void
world_spoil(const struct world *w, const char *words)
{
	static char front[64 << 10];
	char path[200], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "%s/queue/seg/00000001", w->dir);
	assert_true((fd = open(path, O_RDWR)) != -1);
	assert_true((n = pread(fd, front, sizeof front, 0)) > 0);
	assert_non_null(at = memmem(front, (size_t)n, words, strlen(words)));
	assert_int_equal(pwrite(fd, "#", 1, at - front), 1);
	close(fd);
}

/* All that is there: for messages of our own, whose identifiers nobody told. */
struct ids_found {
	uint64_t id[400];
	size_t   n;
};

static inline bool
note_id(void *arg, const struct found *f)
{
	struct ids_found *all = arg;

	if (all->n < COUNT(all->id))
		all->id[all->n++] = f->summary.id;
	return true;
}

/* The newest message of our own that lives, or 0. */
static inline uint64_t
world_own(struct world *w)
{
	struct ids_found all = { .n = 0 };
	uint64_t newest = 0;

	spool_each(w->queue->spool, note_id, &all);
	for (size_t i = 0; i < all.n; i++)
		if (all.id[i] > 1000000 && all.id[i] > newest)
			newest = all.id[i];
	return newest;
}

static inline void
add_piece(void *arg, struct slice piece)
{
	buf_add(arg, piece);
}

/* The text of a message in the spool, in the arena. */
static inline struct slice
world_text(struct world *w, uint64_t id)
{
	struct buf b = BUF(64 << 20);
	struct slice text;

	assert_true(queue_text(w->queue->spool, id, true, add_piece, &b, NULL));
	text = arena_copy(w->arena, buf_slice(&b));
	buf_free(&b);
	return text;
}

#endif
