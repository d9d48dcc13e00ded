/* SPDX-License-Identifier: ISC */
/*
 * Messages of 4 KiB stored per second with 1, 10 and 100 that wait, and flushes a
 * message, beside a bare loop that writes and flushes the same bytes in the same
 * file system; both in turn, several times, medians.  Then: memory for what lives,
 * and how long a start takes.
 *
 *     obj/tests/bench/b_spool [DIR [LIVING]]
 */
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "queue/spool.h"

enum { SIZE = 4096, PAIRS = 7, MESSAGES = 4000, BARE = 1000 };

static char dir[200];
static const struct clock clock_ = { 0 };
static struct spool *spool;
static char text[SIZE];
static uint64_t next_id = 1;

static void
open_spool(void)
{
	struct spool_options o = { .dir = dir, .clock = &clock_, .spares = 2 };
	struct error why;

	spool = spool_open(&o, &why);
	if (spool == NULL) {
		fprintf(stderr, "b_spool: %s\n", why.text);
		exit(1);
	}
}

static struct recipient to[] = { { S_INIT("recipient@example.org"), { NULL, 0 }, 0, NO_RECIPIENT } };

static struct envelope
envelope_of(uint64_t id)
{
	return (struct envelope){ .id = id, .arrival = 1795342332412, .sender = S("s@example.net"),
		.recipients = to, .count = 1, .listener = S("smtp"), .helo = S("host.example.net"),
		.trace = S("Received: from host.example.net ([192.0.2.1]) by mx.example.org\r\n"),
		.header_size = 500, .size = SIZE, .hashed = true, .parent_recipient = NO_RECIPIENT };
}

/* --- storing, and gone at once ---------------------------------------------------------- */

static int left, in_flight;

static void stored(void *arg, struct status);

static void
store_one(void)
{
	struct envelope e = envelope_of(next_id);

	left--;
	in_flight++;
	spool_store(spool, &e, slice_of(text, SIZE), stored, (void *)(uintptr_t)next_id++);
}

/* Delivered at once, as a fast next hop would have it. */
static void
stored(void *arg, struct status status)
{
	bug_if(status.reply != 250);
	in_flight--;
	spool_gone(spool, (uint64_t)(uintptr_t)arg, NULL, NULL);
	if (left > 0)
		store_one();
}

struct result {
	double rate, flushes;           /* a second; a message */
};

static struct result
run_spool(int waiting)
{
	struct pollfd bell = { spool_fd(spool), POLLIN, 0 };
	struct spool_usage before, after;
	int64_t begun = clock_micros(), took, tidied = begun;

	spool_usage(spool, &before);
	left = MESSAGES;
	for (int i = 0; i < waiting; i++)
		store_one();
	while (in_flight > 0) {
		poll(&bell, 1, 1000);
		spool_complete(spool);
		if (clock_micros() - tidied > 100000) {
			spool_tidy(spool);
			tidied = clock_micros();
		}
	}
	took = clock_micros() - begun;
	spool_usage(spool, &after);
	spool_drain(spool);
	while (spool_tidy(spool))
		spool_complete(spool);
	return (struct result){ MESSAGES * 1e6 / (double)took,
		(double)(after.flushes - before.flushes) / MESSAGES };
}

/* One write and one flush a message, in a file that was filled with zeros. */
static double
run_bare(int fd)
{
	int64_t begun = clock_micros();

	for (int i = 0; i < BARE; i++) {
		bug_if(!file_write_at(fd, slice_of(text, SIZE), (off_t)i * SIZE, NULL));
		bug_if(!file_flush(fd, NULL));
	}
	return BARE * 1e6 / (double)(clock_micros() - begun);
}

static int
bare_file(void)
{
	static const char zeros[1 << 20];
	char path[300];
	int fd;

	snprintf(path, sizeof path, "%s/bare", dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bug_if(fd == -1);
	for (off_t at = 0; at < BARE * (off_t)SIZE; at += sizeof zeros)
		bug_if(!file_write_at(fd, slice_of(zeros, sizeof zeros), at, NULL));
	bug_if(!file_flush(fd, NULL));
	return fd;
}

static int
ascending(const void *a, const void *b)
{
	double p = *(const double *)a, q = *(const double *)b;

	return (p > q) - (p < q);
}

static double
median(double *v)
{
	qsort(v, PAIRS, sizeof *v, ascending);
	return v[PAIRS / 2];
}

static void
compare(int waiting, int fd)
{
	double ours[PAIRS], bare[PAIRS], ratio[PAIRS], flushes[PAIRS], middle;

	for (int i = 0; i < PAIRS; i++) {
		struct result r = run_spool(waiting);

		ours[i] = r.rate;
		flushes[i] = r.flushes;
		bare[i] = run_bare(fd);
		ratio[i] = ours[i] / bare[i];
	}
	middle = median(ratio);
	printf("  %3d waiting  %7.0f messages/s  %5.3f flushes/message  %5.2f times the bare loop"
	    " (%.0f/s; %.2f to %.2f)\n", waiting, median(ours), median(flushes), middle,
	    median(bare), ratio[0], ratio[PAIRS - 1]);
	fflush(stdout);
}

/* --- many that live ------------------------------------------------------------------------ */

static void
kept(void *arg, struct status status)
{
	(void)arg;
	bug_if(status.reply != 250);
	in_flight--;
}

static void
store_many(uint64_t count)
{
	struct pollfd bell = { spool_fd(spool), POLLIN, 0 };

	for (uint64_t i = 0; i < count; i++) {
		struct envelope e = envelope_of(next_id++);

		in_flight++;
		spool_store(spool, &e, slice_of(text, SIZE), kept, NULL);
		while (in_flight > 500) {
			poll(&bell, 1, 1000);
			spool_complete(spool);
		}
		if (i % 5000 == 0)
			spool_tidy(spool);
	}
	bug_if(!spool_drain(spool));
}

static bool
schedule(void *arg, const struct found *f)
{
	*(uint64_t *)arg += f->summary.recipients[0].address.n > 0;
	return true;
}

static double
since(int64_t begun)
{
	return (double)(clock_micros() - begun) / 1e6;
}

static void
time_a_start(const char *how)
{
	int64_t begun = clock_micros();
	uint64_t count = 0;
	double opened, seen;
	struct spool_usage u;

	open_spool();
	opened = since(begun);
	spool_each(spool, schedule, &count);
	seen = since(begun);
	spool_usage(spool, &u);
	printf("  start %s: open %.3f s, all %llu seen after %.3f s (%llu records replayed)\n", how,
	    opened, (unsigned long long)count, seen, (unsigned long long)u.replayed);
	fflush(stdout);
}

static size_t
memory(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* What the spool keeps in memory; beside it stand the catalogue's pages, 32 MiB at most. */
static void
measure_memory(uint64_t count)
{
	struct living l = { 0 };
	size_t before = memory(), fresh;

	for (uint64_t id = 1; id <= count; id++)
		living_message(&l, id, false, (struct spot){ (uint32_t)(id >> 14) + 1, 4096, 4700 });
	fresh = memory() - before;
	for (uint64_t id = 1; id <= count; id++)
		living_state(&l, id, 0, (struct spot){ (uint32_t)(id >> 14) + 1, 9000, 120 });
	printf("  memory: %.0f bytes a message, %.0f with a recipient that waits\n",
	    (double)fresh / (double)count, (double)(memory() - before) / (double)count);
	living_free(&l);
}

static void
measure_living(uint64_t count)
{
	int64_t begun = clock_micros();
	char path[300];

	open_spool();
	store_many(count);
	printf("\n%llu living messages: stored in %.1f s\n", (unsigned long long)count, since(begun));
	spool_close(spool);
	time_a_start("after a proper end");
	spool_close(spool);
	snprintf(path, sizeof path, "%s/catalogue", dir);
	dir_remove(path, NULL);
	time_a_start("without a catalogue");
	begun = clock_micros();
	while (spool_tidy(spool))
		spool_complete(spool);
	printf("  making the catalogue again, in steps: %.3f s\n", since(begun));
	spool_close(spool);
}

int
main(int argc, char **argv)
{
	char made[] = "/tmp/chainmail-bench-XXXXXX";
	uint64_t living = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
	int fd;

	if (argc < 2 && mkdtemp(made) == NULL)
		return 1;
	snprintf(dir, sizeof dir, "%s", argc > 1 ? argv[1] : made);
	memset(text, 'x', sizeof text);
	open_spool();
	fd = bare_file();
	sleep(1);                               /* the spares are being made */
	printf("spool: %d messages of %d bytes a run, %d pairs in turn, medians\n", MESSAGES, SIZE, PAIRS);
	compare(1, fd);
	compare(10, fd);
	compare(100, fd);
	close(fd);
	spool_close(spool);
	dir_remove(dir, NULL);
	measure_living(living);
	measure_memory(living);
	return dir_remove(dir, NULL) ? 0 : 1;
}
