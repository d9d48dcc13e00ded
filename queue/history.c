/* SPDX-License-Identifier: ISC */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/bug.h"
#include "base/pack.h"
#include "conf/events.h"
#include "queue/commands.h"
#include "queue/history.h"
#include "queue/inside.h"

enum {
	KV_MEMORY = 1 << 20, PATH_BYTES = 4096, KEY = 8,
	WRITE_MS = 2 * SECOND, TURN_MS = MINUTE,
	GROWN = 8 << 10,                /* smaller blocks are written again when more has come */
	BYTES_MOST = 256 << 20,         /* of lines, in all, unless an option says otherwise */
	TRIM_MOST = 16,                 /* blocks that go in one step */
	CHECKPOINT_BYTES = 8 << 20,     /* written, until the logs of Berkeley DB are made short */
	LOOK_MOST = 1000, READ_MOST = HISTORY_PAGE / PAST_BLOCK,        /* indexes and blocks of one page */
};

static const char *const TABLES[] = { "blocks", "indexes", NULL };

/* --- keys --------------------------------------------------------------------------- */

/* Keys are in the order of their bytes; so the newest block is the first. */
static struct slice
key_of(uint64_t number, struct buf *key)
{
	buf_clear(key);
	pack_u64(key, ~number);
	return buf_slice(key);
}

static uint64_t
number_of(struct slice key)
{
	struct unpack u = { .left = key };
	uint64_t number = ~unpack_u64(&u);

	return unpack_done(&u) ? number : 0;
}

struct kv *
history_open(const char *dir, const struct clock *clock, struct error *why)
{
	struct kv_options o = { dir, TABLES, clock, KV_MEMORY, false };

	return kv_open(&o, why);
}

/* --- looking ------------------------------------------------------------------------ */

struct looking {
	const struct history_question *question;
	uint64_t found[READ_MOST];      /* blocks to be read */
	size_t   count, looked;
	uint64_t last;                  /* the last one that was looked at */
	bool     stopped;               /* there are more behind it, or … */
	bool     old;                   /* everything behind it is too old */
	struct buf *lines;
};

static bool
look_at(void *arg, const struct kv_entry *e)
{
	struct looking *l = arg;
	const struct history_question *q = l->question;
	struct past_index x;

	if (l->looked == LOOK_MOST || l->count == READ_MOST)
		return !(l->stopped = true);
	l->looked++;
	l->last = number_of(e->key);
	if (!past_index_read(&x, e->value))
		return true;
	if (x.last < q->since)
		return !(l->old = true);
	for (size_t i = 0; i < q->count; i++)
		if (past_index_has(&x, q->hashes[i])) {
			l->found[l->count++] = l->last;
			break;
		}
	return true;
}

struct matching {
	const struct history_question *question;
	bool found;
};

static void
match_word(void *arg, struct slice word)
{
	struct matching *m = arg;
	uint32_t hash = past_hash(word);

	for (size_t i = 0; i < m->question->count && !m->found; i++)
		m->found = m->question->hashes[i] == hash;
}

static void
add_lines(struct looking *l, struct slice text)
{
	struct slice line;

	while (slice_cut(&text, '\n', &line)) {
		struct matching m = { l->question, false };

		past_words(line, match_word, &m);
		if (m.found) {
			buf_add(l->lines, line);
			buf_byte(l->lines, '\n');
		}
	}
}

static bool
read_blocks(struct kv *kv, struct looking *l, struct error *why)
{
	struct buf text = BUF(PAST_BLOCK), key = BUF(KEY);
	enum kv_answer got = KV_FOUND;

	for (size_t i = 0; i < l->count && got != KV_FAILED; i++) {
		buf_clear(&text);
		got = kv_get(kv_table(kv, "blocks"), key_of(l->found[i], &key), &text, why);
		if (got == KV_FOUND)
			add_lines(l, buf_slice(&text));
	}
	buf_free(&text);
	buf_free(&key);
	return got != KV_FAILED;
}

bool
history_look(struct kv *kv, const struct history_question *q, struct buf *lines, uint64_t *below_r,
    struct error *why)
{
	struct looking l = { .question = q, .lines = lines };
	struct buf key = BUF(KEY);
	struct slice from = q->below == 0 ? NONE : key_of(q->below - 1, &key);
	bool ok = kv_range(kv_table(kv, "indexes"), NONE, from, look_at, &l, why);

	buf_free(&key);
	*below_r = l.stopped && !l.old && l.last > 1 ? l.last : 0;
	return ok && read_blocks(kv, &l, why);
}

/* --- writing ------------------------------------------------------------------------ */

struct history {
	struct queue     *queue;
	struct kv        *kv;           /* NULL: not opened yet, or … */
	bool              failed;       /* … it cannot be; nothing is kept until the next turn */
	bool              told;         /* that it failed, and not yet that it is kept again */
	struct past_block block;        /* the newest one, perhaps written already and growing */
	bool              fresh;        /* it has lines that are not written */
	uint64_t          number;       /* of the block; 0: not known before it is open */
	uint64_t          oldest;       /* of those on the disk; == number: there are none */
	uint64_t          bytes, most;  /* of lines in all blocks before this one */
	uint64_t          written;      /* since the last checkpoint */
	bool              checkpoint;   /* one is under way */
	struct timer      write, turn;
	struct log_reader reader;
	struct log        log;          /* of the queue, with that reader */
};

static bool
fail(struct history *h, const struct error *why)
{
	if (!h->told)
		queue_alarm(h->queue, "history", why->text);
	h->failed = h->told = true;
	return false;
}

/* The disk may be well again.  The lines that came meanwhile, and the last before, are lost. */
static void
begin_again(struct history *h)
{
	kv_close(h->kv);
	h->kv = NULL;
	past_block_free(&h->block);
	h->number = h->oldest = h->bytes = h->written = 0;
	h->fresh = h->failed = false;
}

static bool
commit(struct history *h)
{
	struct error why;

	if (!kv_commit(h->kv, KV_QUICK, &why))
		return fail(h, &why);
	if (h->told)
		queue_note(h->queue, "history", "it is kept again");
	h->told = false;
	return true;
}

/* Which blocks there are, and how large they are together. */
static bool
count_block(void *arg, const struct kv_entry *e)
{
	struct history *h = arg;
	uint64_t number = number_of(e->key);
	struct past_index x;

	if (h->number == 0)
		h->number = number + 1;
	h->oldest = number;
	if (past_index_read(&x, e->value))
		h->bytes += x.bytes;
	return true;
}

static void
tell_aside(struct history *h)
{
	struct error why;

	if (kv_aside(h->kv) == NULL)
		return;
	error_set(&why, "it was damaged and is set aside as %s: what happened before is not found in it "
	    "any more", kv_aside(h->kv));
	queue_alarm(h->queue, "history", why.text);
}

/* It is opened when it is needed first: a start does not wait for it. */
static bool
is_open(struct history *h)
{
	char path[PATH_BYTES];
	struct error why;

	if (h->kv != NULL || h->failed)
		return !h->failed;
	snprintf(path, sizeof path, "%.*s/history", FMT(h->queue->options.conf->state));
	if ((h->kv = history_open(path, h->queue->loop->clock, &why)) == NULL)
		return fail(h, &why);
	tell_aside(h);
	if (!kv_range(kv_table(h->kv, "indexes"), NONE, NONE, count_block, h, &why))
		return fail(h, &why);
	if (h->number == 0)
		h->number = h->oldest = 1;
	return true;
}

/* --- its bounds --------------------------------------------------------------------- */

static bool
remove_oldest(struct history *h, struct slice key, uint32_t bytes)
{
	struct error why;

	if (!kv_delete(kv_table(h->kv, "blocks"), key, &why) ||
	    !kv_delete(kv_table(h->kv, "indexes"), key, &why))
		return fail(h, &why);
	h->bytes -= bytes < h->bytes ? bytes : h->bytes;
	h->oldest++;
	return true;
}

/* True: it may have to go too. */
static bool
trim_one(struct history *h, int64_t since)
{
	struct buf key = BUF(KEY), packed = BUF(PAST_INDEX);
	struct past_index x = { .last = 0 };
	struct error why;
	enum kv_answer got = kv_get(kv_table(h->kv, "indexes"), key_of(h->oldest, &key), &packed, &why);
	bool gone = got == KV_FAILED ? fail(h, &why)
	    : got == KV_FOUND && past_index_read(&x, buf_slice(&packed)) && x.last >= since &&
	    h->bytes <= h->most ? false : remove_oldest(h, key_of(h->oldest, &key), x.bytes);

	buf_free(&key);
	buf_free(&packed);
	return gone;
}

static void
trim(struct history *h)
{
	const struct queue *q = h->queue;
	int64_t since = clock_now(q->loop->clock) - q->options.conf->history;

	for (int i = 0; i < TRIM_MOST && h->oldest < h->number && trim_one(h, since); i++)
		continue;
}

/* --- blocks ------------------------------------------------------------------------- */

static void
next_block(struct history *h)
{
	h->bytes += h->block.text.n;
	h->number++;
	past_block_free(&h->block);
}

static bool
put_block(struct history *h, struct error *why)
{
	struct buf key = BUF(KEY), packed = BUF(PAST_INDEX);
	struct slice at = key_of(h->number, &key);
	bool ok;

	past_index_add(&packed, &h->block);
	ok = kv_put(kv_table(h->kv, "blocks"), at, buf_slice(&h->block.text), why) &&
	    kv_put(kv_table(h->kv, "indexes"), at, buf_slice(&packed), why);
	h->written += h->block.text.n + packed.n;
	buf_free(&key);
	buf_free(&packed);
	return ok;
}

/* What has come is on its way to the disk; the block ends when it is large enough. */
static void
write_block(struct history *h)
{
	struct error why;

	timer_clear(h->queue->loop, &h->write);
	if (!h->fresh || !is_open(h))
		return;
	if (!put_block(h, &why)) {
		fail(h, &why);
		return;
	}
	h->fresh = false;
	if (h->block.text.n >= GROWN)
		next_block(h);
	trim(h);
	if (!h->failed)
		commit(h);
}

static void
write_now(void *arg)
{
	write_block(arg);
}

static void
keep_line(struct history *h, struct slice line)
{
	int64_t now = clock_now(h->queue->loop->clock);

	if (h->failed)
		return;
	if (!past_block_add(&h->block, line, now)) {
		write_block(h);
		if (h->block.text.n > 0)
			next_block(h);
		past_block_add(&h->block, line, now);
	}
	h->fresh = true;
	if (!timer_is_set(&h->write))
		timer_set_chore(h->queue->loop, &h->write, WRITE_MS, write_now, h);
}

void
history_keep(struct queue *q, struct slice lines)
{
	struct slice line;

	while (q->history != NULL && q->options.conf->history > 0 && slice_cut(&lines, '\n', &line))
		keep_line(q->history, line);
}

/* --- turns -------------------------------------------------------------------------- */

static void
make_checkpoint(void *arg)
{
	struct history *h = arg;

	kv_checkpoint(h->kv, NULL);     /* what fails now fails again where it is told */
}

static void
checkpoint_made(void *arg)
{
	((struct history *)arg)->checkpoint = false;
}

static void
begin_checkpoint(struct history *h)
{
	if (h->checkpoint || h->written < CHECKPOINT_BYTES)
		return;
	h->written = 0;
	h->checkpoint = true;
	job(h->queue->jobs, make_checkpoint, checkpoint_made, h);
}

/* Nothing is made only to be empty. */
static bool
is_worth_opening(const struct history *h)
{
	char path[PATH_BYTES];
	struct stat st;

	snprintf(path, sizeof path, "%.*s/history", FMT(h->queue->options.conf->state));
	return h->kv != NULL || stat(path, &st) == 0;
}

static void
turn(void *arg)
{
	struct history *h = arg;

	timer_set_chore(h->queue->loop, &h->turn, TURN_MS, turn, h);
	if (h->failed && !h->checkpoint)
		begin_again(h);
	if (h->failed || !is_worth_opening(h) || !is_open(h))
		return;
	trim(h);
	if (!h->failed && commit(h))
		begin_checkpoint(h);
}

/* --- the command -------------------------------------------------------------------- */

static bool
read_question(struct history_question *q, struct slice request)
{
	json_t *j = json_loadb(request.p, request.n, JSON_ALLOW_NUL, NULL);
	const json_t *hashes = json_object_get(j, "hashes"), *one;
	size_t i;

	*q = (struct history_question){ .below = (uint64_t)json_integer_value(json_object_get(j, "below")),
	    .since = json_integer_value(json_object_get(j, "since")) };
	json_array_foreach((json_t *)(uintptr_t)hashes, i, one)
		if (q->count < HISTORY_WORDS)
			q->hashes[q->count++] = (uint32_t)json_integer_value(one);
	json_decref(j);
	return q->count > 0;
}

bool
history_answer(struct queue *q, struct slice request, struct buf *lines, uint64_t *below_r,
    struct error *why)
{
	struct history *h = q->history;
	struct history_question question;

	if (!read_question(&question, request))
		return error_set(why, "the queue does not understand the request");
	write_block(h);
	if (h->failed)
		return error_set(why, "the history cannot be opened");
	*below_r = 0;
	if (!is_worth_opening(h))
		return true;
	return is_open(h) ? history_look(h->kv, &question, lines, below_r, why)
	    : error_set(why, "the history cannot be opened");
}

/* --- beginning and ending ----------------------------------------------------------- */

/* Whatever is said of a message. */
static bool
wants(void *arg, const struct event_kind *kind, uint64_t id)
{
	(void)arg;
	(void)kind;
	return id != 0;
}

static void
read_line(void *arg, struct slice line)
{
	struct history *h = arg;

	keep_line(h, slice_head(line, slice_find(line, '\n')));
}

void
history_begin(struct queue *q)
{
	struct history *h = must_alloc(sizeof *h);

	*h = (struct history){ .queue = q, .reader = { wants, read_line, h },
	    .most = q->options.history > 0 ? q->options.history : BYTES_MOST };
	past_block_begin(&h->block);
	q->history = h;
	timer_set_chore(q->loop, &h->turn, TURN_MS, turn, h);
	if (q->options.log == NULL || q->options.conf->history == 0)
		return;
	h->log = *q->options.log;
	h->log.reader = &h->reader;
	q->options.log = &h->log;
}

void
history_end(struct queue *q)
{
	struct history *h = q->history;

	write_block(h);
	timer_clear(q->loop, &h->write);
	timer_clear(q->loop, &h->turn);
	past_block_free(&h->block);
	kv_close(h->kv);
	free(h);
	q->history = NULL;
	q->options.log = NULL;
}
