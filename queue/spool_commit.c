/* SPDX-License-Identifier: ISC */
/*
 * The committer takes all records that wait, writes them with one call, flushes
 * once, and hands them back.  When nothing waits, a record goes out at once; while
 * a flush runs, others gather for the next: that is all the tuning there is.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "queue/spool_inside.h"

enum {
	BATCH_RECORDS = 1000,           /* one call takes IOV_MAX = 1024 pieces */
	BATCH_BYTES = 8 << 20,
	LINGER = 5,                     /* milliseconds */
};

static const char ZEROS[SPOOL_BLOCK];

static uint64_t
block_up(uint64_t n)
{
	return (n + SPOOL_BLOCK - 1) / SPOOL_BLOCK * SPOOL_BLOCK;
}

/* --- large content ------------------------------------------------------------------ */

/* Flushed, and under its own name, before its record is written. */
static bool
settle_content(const struct spool *s, const struct submission *m, struct error *why)
{
	char from[SPOOL_PATH], to[SPOOL_PATH];
	struct stat st;

	spool_path(s, from, "content/new-%llu", (unsigned long long)m->content.number);
	if (!file_flush(m->content.fd, why))
		return false;
	if (fstat(m->content.fd, &st) == -1)
		return error_sys(why, "cannot look at %s", from);
	if ((uint64_t)st.st_size != m->size)
		return error_set(why, "%s has %lld bytes, the envelope says %llu", from,
		    (long long)st.st_size, (unsigned long long)m->size);
	return file_rename(from, spool_content_path(s, m->id, to), why);
}

static void
drop_content(const struct spool *s, const struct submission *m)
{
	char path[SPOOL_PATH];

	if (m->content.fd == -1)
		return;
	file_remove(spool_path(s, path, "content/new-%llu",
	    (unsigned long long)m->content.number), NULL);
	file_remove(spool_content_path(s, m->id, path), NULL);
}

static void
fail(const struct spool *s, struct submission *m, const struct error *why, struct line *failed)
{
	drop_content(s, m);
	m->status = spool_status(why);
	line_put(failed, m);
}

/*
 * Records of a failed write may be on the disk all the same, until the next segment
 * makes them void: so long their content stays.
 */
static void
doom(struct spool *s, uint64_t id)
{
	s->doomed = must_grow(s->doomed, (s->dooms + 1) * sizeof *s->doomed);
	s->doomed[s->dooms++] = id;
}

static void
spare_doomed(struct spool *s, uint64_t id)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->dooms; i++)
		if (s->doomed[i] != id)
			s->doomed[kept++] = s->doomed[i];
	s->dooms = kept;
}

static void
remove_doomed(struct spool *s)
{
	char path[SPOOL_PATH];

	while (s->dooms > 0)
		file_remove(spool_content_path(s, s->doomed[--s->dooms], path), NULL);
}

/* Who has a large content that cannot be kept goes from the batch to the failed. */
static bool
settle_contents(struct spool *s, struct line *batch, struct line *failed,
    struct error *why)
{
	struct line all = *batch;
	struct submission *m;
	size_t settled = 0;
	char path[SPOOL_PATH];

	line_begin(batch);
	while ((m = line_take(&all)) != NULL)
		if (m->content.fd == -1) {
			line_put(batch, m);
		} else if (settle_content(s, m, why)) {
			line_put(batch, m);
			spare_doomed(s, m->id); /* another try with the same id */
			settled++;
		} else {
			fail(s, m, why, failed);
		}
	if (settled == 0 || dir_flush(spool_path(s, path, "content"), why))
		return failed->n == 0;
	all = *batch;
	line_begin(batch);
	while ((m = line_take(&all)) != NULL)
		if (m->content.fd == -1)
			line_put(batch, m);
		else
			fail(s, m, why, failed);
	return false;
}

/* --- segments ------------------------------------------------------------------------ */

static bool
take_spare(struct spool *s, uint32_t *number_r)
{
	bool some;

	pthread_mutex_lock(&s->lock);
	some = s->spares > 0;
	if (some)
		*number_r = s->spare[--s->spares];
	pthread_cond_broadcast(&s->work);       /* another one is wanted */
	pthread_mutex_unlock(&s->lock);
	return some;
}

static void
put_spare_back(struct spool *s, uint32_t number)
{
	pthread_mutex_lock(&s->lock);
	if (s->spares < SPARES_MOST)
		s->spare[s->spares++] = number;
	pthread_mutex_unlock(&s->lock);
}

static bool
rename_spare(struct spool *s, uint32_t number, const char *path, struct error *why)
{
	char spare[SPOOL_PATH];

	if (file_rename(spool_path(s, spare, "seg/spare-%u", number), path, why))
		return true;
	put_spare_back(s, number);
	return false;
}

/* Without a spare the file grows as it is written: slower, and right. */
static bool
begin_segment(struct spool *s, struct error *why)
{
	char path[SPOOL_PATH];
	uint32_t number;
	bool made = !take_spare(s, &number);

	spool_path(s, path, "seg/%08u", s->next_segment++);
	if (!made && !rename_spare(s, number, path, why))
		return false;
	s->head.fd = open(path, O_RDWR | O_CLOEXEC | (made ? O_CREAT | O_EXCL : 0), 0600);
	if (s->head.fd == -1) {
		error_sys(why, "cannot open %s", path);
		file_remove(path, NULL);
		return false;
	}
	s->head.number = s->next_segment - 1;
	s->head.offset = 0;
	s->head.empty = true;
	return true;
}

void
spool_abandon(struct spool *s)
{
	char path[SPOOL_PATH];

	if (s->head.fd == -1)
		return;
	close(s->head.fd);
	s->head.fd = -1;
	if (s->head.empty)
		file_remove(spool_path(s, path, "seg/%08u", s->head.number), NULL);
}

static bool
fits(const struct spool *s, size_t bytes)
{
	return s->head.fd != -1 && s->head.offset + bytes <= s->options.segment;
}

/* --- one batch ----------------------------------------------------------------------- */

/* Numbers, checksums and pieces; what the whole takes on the disk. */
static size_t
arrange(struct spool *s, const struct line *batch, struct iovec *piece, int *count)
{
	uint64_t at = s->head.offset, sequence = s->sequence;

	for (struct submission *m = batch->first; m != NULL; m = m->next) {
		struct spool_record r = { m->kind, sequence, s->sequence, m->id,
			slice_of(m->bytes + RECORD_HEADER, m->payload) };

		record_finish(&r, s->salt, m->bytes);
		m->reach = (struct reach){ sequence++,
			{ s->head.number, (uint32_t)at, (uint32_t)m->length } };
		piece[(*count)++] = (struct iovec){ m->bytes, m->length };
		at += m->length;
	}
	piece[(*count)++] = (struct iovec){ (void *)(uintptr_t)ZEROS, block_up(at) - at };
	return block_up(at) - s->head.offset;
}

static bool
flush_head(struct spool *s, struct error *why)
{
	int64_t begun = clock_micros(), took;
	char path[SPOOL_PATH];

	if (!file_flush(s->head.fd, why) ||
	    (s->head.empty && !dir_flush(spool_path(s, path, "seg"), why)))
		return false;
	took = clock_micros() - begun;
	pthread_mutex_lock(&s->lock);
	s->pace = s->usage.flushes++ == 0 ? took : (s->pace * 7 + took) / 8;
	if (took > s->usage.slowest_flush)
		s->usage.slowest_flush = took;
	pthread_mutex_unlock(&s->lock);
	return true;
}

static bool
write_batch(struct spool *s, const struct line *batch, struct error *why)
{
	struct iovec piece[BATCH_RECORDS + 2];
	char head[SPOOL_BLOCK];
	uint64_t at = s->head.offset;
	size_t bytes;
	int count = 0;

	if (s->head.empty) {            /* its head goes with the first batch */
		const struct segment_head h = { SEGMENT_FORMAT, s->head.number, s->sequence, s->salt };

		segment_head_pack(&h, head);
		piece[count++] = (struct iovec){ head, sizeof head };
		s->head.offset = SPOOL_BLOCK;
	}
	bytes = arrange(s, batch, piece, &count);
	if (!file_write_pieces(s->head.fd, piece, count, (off_t)at, why) || !flush_head(s, why))
		return false;
	s->head.offset += bytes;
	s->head.empty = false;
	s->sequence += batch->n;
	return true;
}

/*
 * The instant of acceptance is the return of the flush in here.  After a failure
 * the segment is left as it is: the next one begins with the same number, which
 * makes whatever reached the disk void.
 */
static bool
commit(struct spool *s, struct line *batch, struct error *why)
{
	if (batch->n == 0)
		return true;
	if (!fits(s, block_up(batch->bytes))) {
		if (s->head.fd != -1)
			close(s->head.fd);
		s->head.fd = -1;
		if (!begin_segment(s, why))
			return false;
	}
	if (write_batch(s, batch, why)) {
		remove_doomed(s);
		return true;
	}
	spool_abandon(s);
	for (struct submission *m = batch->first; m != NULL; m = m->next)
		if (m->content.fd != -1) {
			doom(s, m->id);
			close(m->content.fd);
			m->content.fd = -1;
		}
	return false;
}

/* --- taking and giving back ------------------------------------------------------------ */

/*
 * On a full disk the rest of the segment is for what ends messages: new ones would
 * take the room that makes room.
 */
static bool
no_more_messages(const struct spool *s, size_t bytes)
{
	return s->tight && s->spares == 0 &&
	    (s->head.fd == -1 || s->head.offset + bytes > s->options.segment / 8 * 7);
}

static void
take_batch(struct spool *s, struct line *batch, struct line *failed)
{
	static const struct error full = { ENOSPC, "the disk is full" };

	line_begin(batch);
	while (s->todo.first != NULL && batch->n < BATCH_RECORDS &&
	    (batch->n == 0 || batch->bytes + s->todo.first->length <= BATCH_BYTES)) {
		struct submission *m = line_take(&s->todo);

		if (m->kind == RECORD_MESSAGE && !m->copy &&
		    no_more_messages(s, batch->bytes + m->length))
			fail(s, m, &full, failed);
		else
			line_put(batch, m);
	}
}

static bool
somebody_waits(const struct submission *m)
{
	return m->done != NULL || m->kind == RECORD_MESSAGE || m->copy;
}

/*
 * All that wait fail with it, also those that were not tried: the next one finds out
 * whether the disk is well again.  What nobody waits for is kept, in its order.
 */
static void
fail_all(struct spool *s, struct line *batch, const struct error *why)
{
	struct submission *m;

	line_append(batch, &s->todo);
	while ((m = line_take(batch)) != NULL)
		if (somebody_waits(m))
			fail(s, m, why, &s->finished);
		else
			line_put(&s->todo, m);
}

static void
succeed(struct spool *s, struct line *batch)
{
	for (struct submission *m = batch->first; m != NULL; m = m->next)
		m->status = STATUS(250, 2, 0, 0, "stored");
	s->usage.records += batch->n;
	line_append(&s->finished, batch);
}

/* How the disk is, for the news. */
static void
judge(struct spool *s, bool well, bool tried, const struct error *why)
{
	if (well && tried && !no_more_messages(s, 0)) {
		s->troubled = false;
	} else if (!well && why->number != 0) {
		s->troubled = true;
		s->trouble = *why;
	}
	if (s->finished.first != NULL || s->troubled != s->told)
		spool_ring(s);
}

bool
spool_commit_some(struct spool *s)
{
	struct line batch, failed;
	struct error why = { ENOSPC, "the disk is full" };
	bool settled, good, tried, more, left;

	line_begin(&failed);
	pthread_mutex_lock(&s->lock);
	if (s->busy) {                          /* the other thread will look again */
		s->wanted = true;
		pthread_mutex_unlock(&s->lock);
		return false;
	}
	s->wanted = false;
	s->busy = true;
	s->batch = s->todo.first != NULL ? s->todo.first->serial : UINT64_MAX;
	take_batch(s, &batch, &failed);
	left = s->todo.first != NULL;           /* it was too much for one batch */
	pthread_mutex_unlock(&s->lock);

	settled = failed.n == 0;
	settled = settle_contents(s, &batch, &failed, &why) && settled;
	tried = batch.n > 0;
	good = commit(s, &batch, &why);

	pthread_mutex_lock(&s->lock);
	line_append(&s->finished, &failed);
	if (good)
		succeed(s, &batch);
	else
		fail_all(s, &batch, &why);
	more = s->wanted = s->wanted || (good && left);
	s->busy = false;
	judge(s, good && settled, tried, &why);
	pthread_mutex_unlock(&s->lock);
	return more;
}

void
spool_commit_here(struct spool *s)
{
	bool mine;

	pthread_mutex_lock(&s->lock);
	mine = s->here && !s->wanted && !s->busy;
	s->wanted = s->wanted || (s->here && !mine && s->todo.first != NULL);
	s->here = false;
	pthread_mutex_unlock(&s->lock);
	if (mine && spool_commit_some(s))
		pthread_cond_signal(&s->wake);
}

/*
 * What nobody waits for lingers for company.  After a failure it stays until somebody
 * waits, or spool_tidy() says that it is time for another try.
 */
static bool
linger(struct spool *s)
{
	struct timespec until;

	if (s->busy || s->todo.first == NULL || s->troubled) {
		pthread_cond_wait(&s->wake, &s->lock);
		return true;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LINGER * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!s->wanted && !s->stopping)
		if (pthread_cond_timedwait(&s->wake, &s->lock, &until) != 0)
			return false;
	return true;
}

void *
spool_committer(void *arg)
{
	struct spool *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while ((s->busy || !s->wanted) && !s->stopping && linger(s))
			;
		if (s->stopping && !s->wanted)
			break;
		pthread_mutex_unlock(&s->lock);
		spool_commit_some(s);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}
