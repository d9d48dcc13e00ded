/* SPDX-License-Identifier: ISC */
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/text.h"
#include "queue/spool.h"
#include "refusing_disk.h"
#include "unit.h"

/* An environment of Berkeley DB that has panicked cannot be closed without leaking. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libdb-5.3\n"; }

enum { SEGMENT = 64 << 10, LARGE = SMALL_CONTENT + 1000 };

static char          dir[64];
static struct clock  clock_;
static struct buf    told;              /* the news, a line each */
static struct spool *spool;
static struct spool_options options;
static struct buf    bytes;
static struct arena *arena;

static void
hear(void *arg, enum spool_news what, const char *sentence)
{
	static const char *const WORDS[] = { "trouble", "well", "damage", "note" };

	(void)arg;
	buf_printf(&told, "%s: %s\n", WORDS[what], sentence);
}

static void
open_spool(void)
{
	struct error why = { 0 };

	spool = spool_open(&options, &why);
	if (spool == NULL)
		fail_msg("%s", why.text);
}

static void
close_spool(void)
{
	spool_close(spool);
	spool = NULL;
	buf_clear(&told);
}

static void
reopen(void)
{
	close_spool();
	open_spool();
}

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/chainmail-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	clock_ = clock_virtual(1795342332412);
	options = (struct spool_options){ .dir = dir, .clock = &clock_, .threadless = true,
		.segment = SEGMENT, .news = hear };
	told = BUF(100000);
	bytes = BUF(RECORD_MOST);
	arena = arena_new(1 << 20);
	open_spool();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	spool_close(spool);
	spool = NULL;
	buf_free(&told);
	buf_free(&bytes);
	arena_free(arena);
	return dir_remove(dir, NULL) ? 0 : -1;
}

/* --- words of the tests ------------------------------------------------------------ */

static struct status last;
static int           calls;

static void
keep_status(void *arg, struct status status)
{
	(void)arg;
	last = status;
	calls++;
}

static struct envelope
envelope_of(uint64_t id, uint64_t size)
{
	static struct recipient to[] = { { S_INIT("a@x.test"), { NULL, 0 }, 0, NO_RECIPIENT } };

	return (struct envelope){ .id = id, .arrival = (int64_t)id, .sender = S("s@x.test"),
		.recipients = to, .count = 1, .trace = S("Received: x\r\n"), .size = size,
		.parent_recipient = NO_RECIPIENT };
}

/* The content of a message follows from its id. */
static char
byte_of(uint64_t id, size_t i)
{
	return (char)(id * 31 + i * 7 + (i >> 8));
}

static void
fill(char *p, uint64_t id, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = byte_of(id, i);
}

static void
submit_small(uint64_t id, size_t n)
{
	struct envelope e = envelope_of(id, n);
	char *text = malloc(n + 1);

	fill(text, id, n);
	spool_store(spool, &e, slice_of(text, n), keep_status, NULL);
	free(text);
}

static void
store(uint64_t id, size_t n)
{
	submit_small(id, n);
	spool_complete(spool);
	assert_int_equal(last.reply, 250);
}

static bool unsummed;                   /* as messages of format 1 are */

static void
submit_large(uint64_t id, size_t n, size_t said)
{
	struct envelope e = envelope_of(id, said);
	struct spool_content c;
	char *text = malloc(n);

	fill(text, id, n);
	e.summed = !unsummed;
	e.content_sum = crc32c(0, slice_of(text, n));
	assert_true(spool_content_begin(spool, &c, NULL));
	assert_true(file_write(c.fd, slice_of(text, n), NULL));
	spool_store_file(spool, &e, c, keep_status, NULL);
	free(text);
}

static void
state(uint64_t id, uint32_t attempts)
{
	struct recipient_state s = { .stage = RECIPIENT_WAITING, .attempts = attempts };

	spool_state(spool, id, &s, NULL, NULL);
	spool_complete(spool);
}

static void
gone(uint64_t id)
{
	spool_gone(spool, id, NULL, NULL);
	spool_complete(spool);
}

static void
expect_content(uint64_t id, struct slice content)
{
	for (size_t i = 0; i < content.n; i++)
		if (content.p[i] != byte_of(id, i))
			fail_msg("byte %zu of message %d is another", i, (int)id);
}

static void
expect_message(uint64_t id, size_t n)
{
	struct error why = { 0 };
	struct stored m;
	char *text = malloc(n + 1);

	arena_reset(arena);
	if (!spool_read(spool, id, &bytes, arena, &m, &why))
		fail_msg("message %d: %s", (int)id, why.text);
	assert_int_equal(m.envelope.id, id);
	assert_int_equal(m.envelope.size, n);
	assert_slice(m.envelope.sender, "s@x.test");
	assert_slice(m.envelope.recipients[0].address, "a@x.test");
	assert_int_equal(m.fd != -1, n > SMALL_CONTENT);
	if (m.fd != -1) {
		assert_true(file_read_at(m.fd, text, n, 0, NULL));
		m.content = slice_of(text, n);
		close(m.fd);
	}
	assert_int_equal(m.content.n, n);
	expect_content(id, m.content);
	free(text);
}

static bool
take_attempts(void *arg, const struct found *f)
{
	*(int *)arg = f->count ? (int)f->states[0].attempts : 0;
	return true;
}

static int
attempts_of(uint64_t id)
{
	int attempts = -1;

	spool_look(spool, id, take_attempts, &attempts, NULL);
	return attempts;
}

static bool
add_id(void *arg, const struct found *f)
{
	return buf_printf(arg, "%d ", (int)f->summary.id);
}

/* The ids that live, in order. */
static void
expect_all(const char *want)
{
	struct buf b = BUF(10000);

	spool_each(spool, add_id, &b);
	assert_slice(buf_slice(&b), want);
	buf_free(&b);
}

static void
expect_sound(void)
{
	struct error why = { 0 };

	assert_true(spool_drain(spool));
	if (!spool_verify(spool, &why) || !spool_verify_contents(spool, &why))
		fail_msg("%s", why.text);
}

static void
expect_news(const char *words)
{
	buf_byte(&told, '\0');
	if (strstr(told.p, words) == NULL)
		fail_msg("\"%s\" is not among the news:\n%s", words, told.p);
	told.n--;
}

static size_t
names_in(const char *below)
{
	char path[200];
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof path, "%s/%s", dir, below);
	d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static struct spool_usage
usage(void)
{
	struct spool_usage u;

	spool_usage(spool, &u);
	return u;
}

/* A second for each turn, so that nothing waits for its time. */
static void
tidy(int turns)
{
	while (turns-- > 0) {
		clock_move(&clock_, SECOND);
		spool_tidy(spool);
		spool_complete(spool);
	}
}

/* --- putting in and taking out --------------------------------------------------------- */

static void
a_message_is_there_when_its_status_says_so(void **unused)
{
	struct pollfd bell = { spool_fd(spool), POLLIN, 0 };

	(void)unused;
	calls = 0;
	submit_small(1, 4000);
	assert_int_equal(calls, 0);                     /* never out of the call that asked */
	assert_false(spool_living(spool, 1));
	assert_int_equal(poll(&bell, 1, 0), 1);
	spool_complete(spool);
	assert_int_equal(calls, 1);
	assert_int_equal(last.reply, 250);
	assert_int_equal(poll(&bell, 1, 0), 0);
	assert_true(spool_living(spool, 1));
	expect_message(1, 4000);
	store(2, 0);
	expect_message(2, 0);
	store(3, SMALL_CONTENT);
	expect_message(3, SMALL_CONTENT);
	expect_sound();
	reopen();
	expect_all("1 2 3 ");
	expect_message(1, 4000);
	expect_message(2, 0);
	expect_message(3, SMALL_CONTENT);
}

static void
what_waits_goes_out_with_one_flush(void **unused)
{
	uint64_t before = usage().flushes;

	(void)unused;
	calls = 0;
	for (uint64_t id = 1; id <= 10; id++)
		submit_small(id, 100);
	spool_complete(spool);
	assert_int_equal(calls, 10);
	assert_int_equal(usage().flushes - before, 1);
	assert_int_equal(usage().records, 10);
	for (uint64_t id = 100; id < 2600; id++)        /* more than one call can take */
		submit_small(id, 10);
	spool_complete(spool);
	assert_int_equal(calls, 2510);
	assert_int_equal(usage().flushes - before, 4);
	expect_sound();
}

static void
large_content_has_a_file_of_its_own(void **unused)
{
	struct spool_content c;

	(void)unused;
	submit_large(1, LARGE, LARGE);
	assert_true(spool_content_begin(spool, &c, NULL));
	spool_complete(spool);
	assert_int_equal(last.reply, 250);
	expect_message(1, LARGE);
	assert_int_equal(names_in("content"), 2);
	spool_content_drop(spool, &c);
	assert_int_equal(c.fd, -1);
	assert_int_equal(names_in("content"), 1);
	assert_int_equal(usage().content_bytes, LARGE);
	reopen();
	expect_message(1, LARGE);
	expect_sound();
	gone(1);
	tidy(1);
	assert_int_equal(names_in("content"), 0);
}

static void
content_of_another_length_is_refused(void **unused)
{
	(void)unused;
	submit_large(1, LARGE, LARGE + 1);
	store(2, 10);                                   /* others in the same batch are stored */
	assert_int_equal(names_in("content"), 0);
	assert_false(spool_living(spool, 1));
	calls = 0;
	submit_large(3, LARGE, LARGE + 1);
	spool_complete(spool);
	assert_int_equal(calls, 1);
	assert_int_equal(last.reply, 451);
	assert_false(usage().troubled);                 /* that is not the disk's fault */
	expect_all("2 ");
	expect_sound();
}

static void
what_makes_no_sense_is_refused(void **unused)
{
	struct recipient_state s = { .stage = RECIPIENT_DONE };

	(void)unused;
	store(1, 10);
	submit_small(1, 20);
	spool_complete(spool);
	assert_int_equal(last.reply, 451);
	expect_message(1, 10);
	submit_large(1, LARGE, LARGE);
	spool_complete(spool);
	assert_int_equal(last.reply, 451);
	assert_int_equal(names_in("content"), 0);
	spool_state(spool, 2, &s, keep_status, NULL);
	spool_complete(spool);
	assert_int_equal(last.reply, 554);
	spool_gone(spool, 1, NULL, NULL);
	spool_state(spool, 1, &s, keep_status, NULL);   /* it is on its way out */
	spool_complete(spool);
	assert_int_equal(last.reply, 554);
	expect_all("");
	calls = 0;
	submit_small(3, 10);
	spool_state(spool, 3, &s, NULL, NULL);          /* it is not there yet */
	spool_complete(spool);
	assert_int_equal(calls, 1);
	assert_int_equal(usage().refused, 5);
	expect_sound();
}

static void
too_much_that_waits_is_refused(void **unused)
{
	(void)unused;
	close_spool();
	options.waiting = 10000;
	open_spool();
	calls = 0;
	for (uint64_t id = 1; id <= 3; id++)
		submit_small(id, 4000);
	spool_complete(spool);
	assert_int_equal(calls, 3);
	assert_int_equal(last.reply, 250);              /* 3 was refused before 1 was stored */
	expect_all("1 2 ");
	assert_int_equal(usage().refused, 1);
}

static void
an_envelope_that_is_too_large_is_refused(void **unused)
{
	struct envelope e = envelope_of(1, 0);
	char *trace = malloc(ENVELOPE_MOST + 1);

	(void)unused;
	memset(trace, 'x', ENVELOPE_MOST + 1);
	e.trace = slice_of(trace, ENVELOPE_MOST + 1);
	spool_store(spool, &e, NONE, keep_status, NULL);
	spool_complete(spool);
	assert_int_equal(last.reply, 552);
	e.trace.n = ENVELOPE_MOST / 2;                  /* larger than a segment: still stored */
	spool_store(spool, &e, NONE, keep_status, NULL);
	spool_complete(spool);
	assert_int_equal(last.reply, 250);
	store(2, 10);
	expect_sound();
	reopen();
	expect_all("1 2 ");
	free(trace);
}

static void
states_and_seals_are_remembered(void **unused)
{
	struct buf fields = BUF(1000);

	(void)unused;
	store(1, 10);
	store(2, 10);
	state(1, 1);
	state(1, 2);
	spool_seal(spool, 1, S("lists"), S("ARC-Seal: i=1\r\n"), NULL, NULL);
	spool_seal(spool, 1, S("other"), S("DKIM-Signature: x\r\n"), NULL, NULL);
	spool_complete(spool);
	for (int turn = 0; turn < 2; turn++) {
		assert_int_equal(attempts_of(1), 2);
		assert_int_equal(attempts_of(2), 0);
		assert_int_equal(attempts_of(3), -1);
		buf_clear(&fields);
		assert_true(spool_read_seal(spool, 1, S("lists"), &fields));
		assert_slice(buf_slice(&fields), "ARC-Seal: i=1\r\n");
		assert_false(spool_read_seal(spool, 1, S("none"), &fields));
		assert_false(spool_read_seal(spool, 2, S("lists"), &fields));
		expect_sound();
		reopen();
	}
	buf_free(&fields);
}

static void
one_process_has_it_open(void **unused)
{
	struct error why = { 0 };

	(void)unused;
	assert_null(spool_open(&options, &why));
	assert_non_null(strstr(why.text, "is in use"));
	store(1, 10);
}

/* --- crashes: the table of states, row by row -------------------------------------------- */

/* Run in a process of its own that ends without closing anything. */
static void
crash_after(void (*work)(void))
{
	int status;
	pid_t child;

	close_spool();
	child = fork();
	if (child == 0) {
		open_spool();
		work();
		_exit(77);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
	buf_clear(&told);
	open_spool();
}

static void
path_of(const char *name, char path[200])
{
	snprintf(path, 200, "%s/%s", dir, name);
}

static void
make_file(const char *name, size_t n)
{
	struct buf b = BUF(n + 1);
	char path[200];

	path_of(name, path);
	for (size_t i = 0; i < n; i++)
		buf_byte(&b, byte_of(1, i));
	assert_true(file_replace(path, buf_slice(&b), 0600, NULL));
	buf_free(&b);
}

/* Change a byte, or with `zeros` write that many zeros. */
static void
damage(const char *name, off_t at, size_t zeros)
{
	char path[200], was;
	int fd;

	path_of(name, path);
	fd = open(path, O_RDWR);
	assert_true(fd != -1);
	assert_int_equal(pread(fd, &was, 1, at), 1);
	was ^= 1;
	assert_int_equal(pwrite(fd, &was, 1, at), 1);
	for (size_t i = 0; i < zeros; i++)
		assert_int_equal(pwrite(fd, "", 1, at + (off_t)i), 1);
	close(fd);
}

static void
lose_catalogue(void)
{
	char path[200];

	path_of("catalogue", path);
	assert_true(dir_remove(path, NULL));
}

static void
copy_tree(const char *from, const char *to)
{
	char command[500];

	snprintf(command, sizeof command, "rm -rf %s/%s && cp -r %s/%s %s/%s", dir, to, dir, from, dir, to);
	assert_int_equal(system(command), 0);
}

static bool
is_there(const char *name)
{
	char path[200];

	path_of(name, path);
	return access(path, F_OK) == 0;
}

static void
receive_and_die(void)
{
	struct spool_content c;

	store(1, 10);
	spool_content_begin(spool, &c, NULL);
	file_write(c.fd, S("half"), NULL);
}

static void
content_being_received_is_removed(void **unused)
{
	(void)unused;
	crash_after(receive_and_die);
	assert_int_equal(names_in("content"), 0);
	expect_all("1 ");
}

static void
content_without_a_record_is_removed(void **unused)
{
	char id[ID_TEXT + 1], name[40];

	(void)unused;
	store(1, 10);
	id_text(55, id);
	snprintf(name, sizeof name, "content/%s", id);
	make_file(name, 100);
	make_file("content/README", 10);                /* not ours */
	reopen();
	assert_false(is_there(name));
	assert_true(is_there("content/README"));
	assert_int_equal(usage().orphans, 1);
	expect_all("1 ");
}

static void
store_three(void)
{
	store(1, 5000);
	store(2, 5000);
	state(1, 4);
	store(3, 5000);
}

static void
a_torn_record_ends_the_run(void **unused)
{
	(void)unused;
	/* 1 and 2 take two blocks each, the state one; 3 begins in block 6. */
	for (off_t at = 6 * SPOOL_BLOCK; at < 8 * SPOOL_BLOCK - 3300; at += 700) {
		crash_after(store_three);
		close_spool();
		damage("seg/00000001", at, 0);
		buf_clear(&told);
		open_spool();
		expect_all("1 2 ");
		assert_int_equal(attempts_of(1), 4);
		assert_int_equal(told.n, usage().rebuilt ? told.n : 0); /* nothing was promised */
		store(4, 100);                          /* it goes on, in a new segment */
		assert_true(is_there("seg/00000002"));
		expect_sound();
		reopen();
		expect_all("1 2 4 ");
		teardown(NULL);
		setup(NULL);
	}
}

static void
a_flushed_message_is_there_after_a_crash(void **unused)
{
	(void)unused;
	crash_after(store_three);
	expect_all("1 2 3 ");
	expect_message(3, 5000);
	assert_int_equal(attempts_of(1), 4);
	expect_sound();
}

static void
submit_and_die(void)
{
	struct recipient_state s = { .stage = RECIPIENT_WAITING, .attempts = 9 };

	store(1, 10);
	store(2, 10);
	state(1, 3);
	spool_state(spool, 1, &s, NULL, NULL);          /* on their way */
	spool_gone(spool, 2, NULL, NULL);
}

static void
what_was_not_flushed_did_not_happen(void **unused)
{
	(void)unused;
	crash_after(submit_and_die);
	expect_all("1 2 ");
	assert_int_equal(attempts_of(1), 3);
	expect_sound();
}

static void
store_large_and_end_it(void)
{
	submit_large(1, LARGE, LARGE);
	submit_large(2, LARGE, LARGE);
	spool_complete(spool);
	gone(1);                                        /* and die before its content is removed */
}

static void
content_of_an_ended_message_is_removed(void **unused)
{
	(void)unused;
	crash_after(store_large_and_end_it);
	assert_int_equal(names_in("content"), 1);
	expect_all("2 ");
	expect_message(2, LARGE);
	expect_sound();
}

static void
a_segment_that_was_being_begun_is_removed(void **unused)
{
	static const struct segment_head other = { SEGMENT_FORMAT, 77, 5, 1 };
	char block[SPOOL_BLOCK];

	(void)unused;
	store(1, 10);
	for (int turn = 0; turn < 3; turn++) {
		close_spool();
		make_file("seg/00000009", turn == 0 ? 0 : 20000);
		if (turn == 2) {                        /* the head of its former life */
			char path[200];

			segment_head_pack(&other, block);
			path_of("seg/00000009", path);
			assert_true(file_replace(path, slice_of(block, sizeof block), 0600, NULL));
		}
		buf_clear(&told);
		open_spool();
		assert_false(is_there("seg/00000009"));
		assert_int_equal(told.n, 0);
		expect_all("1 ");
		expect_message(1, 10);
	}
}

/* Records 1, 2, 3 in batches of their own; 2 rots. */
static void
a_rotten_record_is_named_and_passed_over(void **unused)
{
	(void)unused;
	store(1, 5000);
	store(2, 5000);
	store(3, 5000);
	close_spool();
	damage("seg/00000001", 3 * SPOOL_BLOCK + 100, 0);
	lose_catalogue();
	open_spool();
	expect_news("damage: segment 00000001: ");
	expect_news("1 records from number 2 on are lost");
	expect_all("1 3 ");
	expect_message(3, 5000);
	assert_int_equal(usage().damages, 1);
	expect_sound();
	gone(1);
	gone(3);
	store(4, 10);                                   /* in another segment */
	tidy(3);
	assert_true(is_there("damaged/00000001"));      /* not used again */
	assert_false(is_there("seg/00000001"));
	expect_all("4 ");
	expect_sound();
}

/* The same, found when it is read. */
static void
a_living_message_that_rots_is_told_and_given_up_in_its_turn(void **unused)
{
	struct error why = { 0 };
	struct stored m;

	(void)unused;
	store(1, 100);
	store(2, 100);
	damage("seg/00000001", SPOOL_BLOCK + 50, 0);
	assert_false(spool_read(spool, 1, &bytes, arena, &m, &why));
	assert_non_null(strstr(why.text, "is damaged"));
	expect_news("damage: the record at 4096 of segment 1 is damaged");
	for (uint64_t id = 10; id < 100; id++) {
		store(id, 5000);
		gone(id);
	}
	tidy(20);
	expect_news("damage: message 000000000001 cannot be read and is lost");
	assert_true(is_there("damaged/00000001"));
	expect_all("2 ");
	expect_message(2, 100);
	expect_sound();
	reopen();
	expect_all("2 ");
	expect_sound();
}

static void
a_damaged_head_does_not_matter(void **unused)
{
	(void)unused;
	for (uint64_t id = 1; id <= 30; id++)
		store(id, 5000);
	assert_in_range(usage().segments, 3, 9);
	close_spool();
	damage("seg/00000001", 0, 100);
	damage("seg/00000002", 0, 100);
	lose_catalogue();
	open_spool();
	expect_news("damage: the head of segment 00000001 was damaged and is written again");
	expect_news("damage: the head of segment 00000002 was damaged and is written again");
	for (uint64_t id = 1; id <= 30; id++)
		expect_message(id, 5000);
	expect_sound();
}

static void
a_segment_that_went_missing_is_named(void **unused)
{
	char path[200];

	(void)unused;
	for (uint64_t id = 1; id <= 30; id++)
		store(id, 5000);
	close_spool();
	path_of("seg/00000002", path);
	assert_int_equal(unlink(path), 0);
	open_spool();
	expect_news("records from number");
	expect_message(1, 5000);
	expect_message(30, 5000);
	assert_false(spool_living(spool, 8));
	expect_sound();
}

static void
missing_content_is_named(void **unused)
{
	char id[ID_TEXT + 1], name[40], path[200];
	struct error why = { 0 };
	struct stored m;

	(void)unused;
	submit_large(1, LARGE, LARGE);
	spool_complete(spool);
	close_spool();
	id_text(1, id);
	snprintf(name, sizeof name, "content/%s", id);
	path_of(name, path);
	assert_int_equal(unlink(path), 0);
	open_spool();
	expect_news("the content of message 000000000001 is not there");
	assert_false(spool_read(spool, 1, &bytes, arena, &m, &why));
	assert_int_equal(m.fd, -1);
	make_file(name, LARGE - 1);
	assert_false(spool_read(spool, 1, &bytes, arena, &m, &why));
	assert_non_null(strstr(why.text, "length"));
	gone(1);
}

/* A byte here and there, or the end cut off; without a checksum only the length tells. */
static void
damaged_content_is_named(void **unused)
{
	static const struct { bool unsummed; off_t at; size_t lacks; bool right; const char *words; } cases[] = {
		{ false, -1, 0, true, "" },
		{ false, 0, 0, false, "does not have the checksum" },
		{ false, 100000, 0, false, "does not have the checksum" },
		{ false, LARGE - 1, 0, false, "does not have the checksum" },
		{ false, -1, 1, false, "does not have the length" },
		{ true, 100000, 0, true, "" },
		{ true, -1, 1, false, "does not have the length" },
	};
	char text[ID_TEXT + 1], name[40], path[200];

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t id = 100 + i;
		struct error why = { 0 };
		size_t damages = usage().damages;

		id_text(id, text);
		snprintf(name, sizeof name, "content/%s", text);
		unsummed = cases[i].unsummed;
		submit_large(id, LARGE, LARGE);
		spool_complete(spool);
		if (cases[i].at >= 0)
			damage(name, cases[i].at, 0);
		path_of(name, path);
		assert_int_equal(truncate(path, (off_t)(LARGE - cases[i].lacks)), 0);
		assert_true(spool_verify(spool, &why));
		assert_case(spool_verify_contents(spool, &why) == cases[i].right, i, text);
		assert_int_equal(usage().damages - damages, !cases[i].right);
		if (!cases[i].right)
			expect_news(cases[i].words);
		assert_non_null(strstr(why.text, cases[i].words));
		assert_case(cases[i].right || strstr(why.text, name) != NULL, i, why.text);
		gone(id);
	}
	unsummed = false;
}

/* All are named, as far as there is room. */
static void
damaged_contents_are_named_together(void **unused)
{
	struct error why = { 0 };
	char text[ID_TEXT + 1], name[40];

	(void)unused;
	for (uint64_t id = 1; id <= 30; id++) {
		id_text(id, text);
		snprintf(name, sizeof name, "content/%s", text);
		submit_large(id, LARGE, LARGE);
		spool_complete(spool);
		damage(name, 5, 0);
		if (id != 3 && id != 30)
			continue;
		why.text[0] = '\0';
		assert_false(spool_verify_contents(spool, &why));
		assert_true(id == 30 || strstr(why.text, "; so is ") != NULL);
		assert_int_equal(strstr(why.text, ", and more") != NULL, id == 30);
	}
	for (uint64_t id = 1; id <= 3; id++) {
		id_text(id, text);
		expect_news(text);
	}
}

static struct segment_head
head_of(const char *name)
{
	char block[SPOOL_BLOCK], path[200];
	struct segment_head h;
	int fd;

	path_of(name, path);
	assert_true((fd = open(path, O_RDONLY)) != -1);
	assert_true(file_read_at(fd, block, sizeof block, 0, NULL));
	assert_true(segment_head_read(slice_of(block, sizeof block), &h));
	close(fd);
	return h;
}

static void
set_format(const char *name, uint32_t format)
{
	struct segment_head h = head_of(name);
	char block[SPOOL_BLOCK], path[200];
	int fd;

	h.format = format;
	segment_head_pack(&h, block);
	path_of(name, path);
	assert_true((fd = open(path, O_WRONLY)) != -1);
	assert_true(file_write_at(fd, slice_of(block, sizeof block), 0, NULL));
	close(fd);
}

/* What is there stays as it is, and what is new stands in a segment of the newer format. */
static void
a_spool_of_format_1_lives_on(void **unused)
{
	(void)unused;
	unsummed = true;
	store(1, 100);
	submit_large(2, LARGE, LARGE);
	spool_complete(spool);
	unsummed = false;
	close_spool();
	set_format("seg/00000001", 1);
	open_spool();
	expect_message(1, 100);
	expect_message(2, LARGE);
	store(3, 100);
	assert_int_equal(head_of("seg/00000001").format, 1);
	assert_int_equal(head_of("seg/00000002").format, 2);
	expect_sound();
	for (uint64_t id = 10; id < 100; id++) {        /* it is emptied as any other */
		store(id, 5000);
		gone(id);
	}
	tidy(20);
	assert_false(is_there("seg/00000001"));
	expect_message(1, 100);
	expect_message(2, LARGE);
	expect_sound();
}

static void
a_newer_format_is_refused_by_name(void **unused)
{
	struct segment_head h = { 9, 1, 1, 1 };
	struct error why = { 0 };
	char block[SPOOL_BLOCK], path[200];

	(void)unused;
	close_spool();
	segment_head_pack(&h, block);
	path_of("seg/00000001", path);
	assert_true(file_replace(path, slice_of(block, sizeof block), 0600, NULL));
	spool = spool_open(&options, &why);
	assert_null(spool);
	assert_string_equal(why.text, "segment 00000001 has format 9, this program knows up to 2");
	assert_true(is_there("seg/00000001"));
}

/* --- what the disk refuses to read --------------------------------------------------------- */

static const char *refused_file;        /* reading from it fails, … */
static int         refused_from, refused_times; /* … so many times, after so many */
static int         refusals;

static bool
is_refused(int fd)
{
	char link[60], path[200];
	ssize_t n;

	if (refused_file == NULL)
		return false;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	path[n < 0 ? 0 : n] = '\0';
	return strstr(path, refused_file) != NULL && refused_from-- <= 0 && refused_times-- > 0;
}

/* In place of that of the C library: a disk with a sector that it cannot read. */
ssize_t
pread(int fd, void *to, size_t n, off_t at)
{
	struct iovec piece = { to, n };

	if (!is_refused(fd))
		return preadv(fd, &piece, 1, at);
	refusals++;
	errno = EIO;
	return -1;
}

/* Nothing was touched: the same names are there as before. */
static void
expect_refused(const char *file, int from, int times)
{
	size_t seg = names_in("seg"), damaged = names_in("damaged");
	struct error why = { 0 };

	refused_file = file;
	refused_from = from;
	refused_times = times;
	refusals = 0;
	spool = spool_open(&options, &why);
	refused_file = NULL;
	if (refusals == 0)
		fail_msg("nobody reads %s for the %d-th time", file, from + 1);
	assert_null(spool);
	if (strstr(why.text, "Input/output error") == NULL || strstr(why.text, "segment") == NULL)
		assert_non_null(strstr(why.text, file));
	assert_non_null(strstr(why.text, "Input/output error"));
	assert_int_equal(names_in("seg"), seg);
	assert_int_equal(names_in("damaged"), damaged);
}

/* Two segments with the records 1 … 3 and 4 … 6. */
static void
store_in_two_segments(void)
{
	for (uint64_t id = 1; id <= 6; id++) {
		if (id == 4)
			reopen();
		store(id, 5000);
	}
	assert_true(is_there("seg/00000002"));
}

static void
a_disk_that_cannot_read_loses_nothing(void **unused)
{
	static const struct { const char *file; int from, times; bool catalogue; } cases[] = {
		{ "seg/00000001", 0, 1, true },  { "seg/00000002", 0, 1, true },        /* the head */
		{ "seg/00000001", 0, 1, false }, { "seg/00000002", 0, 1, false },
		{ "seg/00000001", 0, 99, false }, { "seg/00000002", 0, 99, false },
		{ "seg/00000002", 1, 1, true },                 /* what the catalogue ends with */
		{ "seg/00000002", 2, 1, true },                 /* records behind it */
		{ "seg/00000001", 1, 1, false }, { "seg/00000002", 1, 1, false },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		store_in_two_segments();
		close_spool();
		if (!cases[i].catalogue)
			lose_catalogue();
		expect_refused(cases[i].file, cases[i].from, cases[i].times);
		buf_clear(&told);
		open_spool();
		expect_all("1 2 3 4 5 6 ");
		assert_int_equal(usage().rebuilt, !cases[i].catalogue);
		assert_int_equal(usage().damages, 0);
		expect_sound();
		teardown(NULL);
		setup(NULL);
	}
}

static void
a_head_that_cannot_be_read_beside_one_that_is_damaged(void **unused)
{
	(void)unused;
	store_in_two_segments();
	close_spool();
	damage("seg/00000001", 0, 100);
	expect_refused("seg/00000001", 1, 1);           /* when it is read whole */
	open_spool();
	expect_all("1 2 3 4 5 6 ");
	expect_sound();
}

/* While it runs: the oldest is not given up, and leaves when it can be read. */
static void
a_segment_that_cannot_be_read_is_not_set_aside(void **unused)
{
	(void)unused;
	store(1, 100);
	store(2, 100);
	for (uint64_t id = 10; id < 100; id++) {
		store(id, 5000);
		gone(id);
	}
	refused_file = "seg/00000001";
	refused_from = 0;
	refused_times = INT_MAX;
	buf_clear(&told);
	tidy(20);
	expect_news("seg/00000001: cannot read: Input/output error; what lives in it stays there");
	refused_file = NULL;
	assert_true(is_there("seg/00000001"));
	assert_int_equal(names_in("damaged"), 0);
	expect_all("1 2 ");
	tidy(100);
	assert_false(is_there("seg/00000001"));
	expect_all("1 2 ");
	expect_message(1, 100);
	expect_sound();
}

/* --- what is damaged ----------------------------------------------------------------------- */

static void
truncate_to(const char *name, off_t size)
{
	char path[200];

	path_of(name, path);
	assert_int_equal(truncate(path, size), 0);
}

static void
lose(const char *name)
{
	char path[200];

	path_of(name, path);
	assert_int_equal(unlink(path), 0);
}

static off_t
size_of(const char *name)
{
	struct stat st;
	char path[200];

	path_of(name, path);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static const char A[] = "seg/00000001", B[] = "seg/00000002";

static void one_byte(void)      { damage(B, 8, 0); }
static void one_byte_of_a(void) { damage(A, 8, 0); }
static void both_heads(void)    { damage(A, 0, SPOOL_BLOCK); damage(B, 0, SPOOL_BLOCK); }
static void both_salts(void)    { damage(A, 32, 8); damage(B, 33, 0); }
static void zero_b(void)        { damage(B, 0, (size_t)size_of(B)); }
static void zero_a(void)        { damage(A, 0, (size_t)size_of(A)); }
static void zero_records(void)  { damage(B, SPOOL_BLOCK, (size_t)size_of(B) - SPOOL_BLOCK); }
static void empty_b(void)       { truncate_to(B, 0); }
static void empty_a(void)       { truncate_to(A, 0); }
static void cut_b(void)         { truncate_to(B, 2 * SPOOL_BLOCK); }
static void no_a(void)          { lose(A); }
static void no_b(void)          { lose(B); }
static void none(void)          { lose(A); lose(B); }
static void heads_and_firsts(void)
{
	damage(A, 0, SPOOL_BLOCK + 100);
	damage(B, 0, SPOOL_BLOCK + 100);
}

/*
 * Messages 1 2 3 in A, 4 5 6 in B.  What is lost is named, with the catalogue by the
 * number of messages; what may hold something is in damaged/.
 */
static const struct harm {
	void      (*how)(void);
	bool        catalogue;
	const char *all, *told;         /* told NULL: nothing is damaged */
	size_t      aside;
} harms[] = {
	{ one_byte, true, "1 2 3 4 5 6 ", NULL, 0 }, { one_byte, false, "1 2 3 4 5 6 ", NULL, 0 },
	{ one_byte_of_a, true, "1 2 3 4 5 6 ", "damage: the head of segment 00000001", 0 },
	{ both_heads, true, "1 2 3 4 5 6 ", "damage: the head of segment 00000001", 0 },
	{ both_heads, false, "1 2 3 4 5 6 ", "damage: the head of segment 00000001", 0 },
	{ both_salts, false, "1 2 3 4 5 6 ", "damage: the head of segment 00000001", 0 },
	{ zero_b, true, "1 2 3 ", "damage: 3 messages are in the catalogue", 0 },
	{ empty_b, true, "1 2 3 ", "damage: 3 messages are in the catalogue", 0 },
	{ no_b, true, "1 2 3 ", "first of them 000000000004", 0 },
	{ zero_records, true, "1 2 3 ", "damage: 3 messages are in the catalogue", 0 },
	{ cut_b, true, "1 2 3 ", "damage: 3 messages are in the catalogue", 0 },
	{ zero_a, true, "4 5 6 ", "damage: 3 messages are in the catalogue", 1 },
	{ empty_a, true, "4 5 6 ", "damage: 3 messages are in the catalogue", 1 },
	{ no_a, true, "4 5 6 ", "first of them 000000000001", 0 },
	{ none, true, "", "damage: 6 messages are in the catalogue", 0 },
	{ heads_and_firsts, true, "", "damage: 6 messages are in the catalogue", 2 },
	{ heads_and_firsts, false, "", "damage: segment 00000001 has no head that can be read", 2 },
};

static void
what_is_damaged_is_named_and_not_removed(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(harms); i++) {
		const struct harm *h = &harms[i];

		store_in_two_segments();
		close_spool();
		h->how();
		if (!h->catalogue)
			lose_catalogue();
		buf_clear(&told);
		open_spool();
		expect_all(h->all);
		assert_int_equal(usage().damages > 0, h->told != NULL);
		if (h->told != NULL)
			expect_news(h->told);
		assert_int_equal(names_in("damaged"), h->aside);
		expect_sound();
		store(7, 100);
		reopen();
		assert_true(spool_living(spool, 7));
		expect_sound();
		teardown(NULL);
		setup(NULL);
	}
}

/* Two with the same name: both are kept. */
static void
nothing_in_damaged_is_replaced(void **unused)
{
	(void)unused;
	for (int turn = 0; turn < 2; turn++) {
		for (uint64_t id = 1; id <= 6; id++)
			store(id, 5000);
		close_spool();
		damage(A, 0, SPOOL_BLOCK + 100);
		lose_catalogue();
		open_spool();
		expect_all("");
		expect_news("damage: segment 00000001 has no head that can be read");
		reopen();                               /* its number is free again */
	}
	assert_true(is_there("damaged/00000001"));
	assert_true(is_there("damaged/00000001.2"));
}

/* A catalogue that a power cut took back lists what has ended since: nobody is lost. */
static void
an_old_catalogue_is_no_witness(void **unused)
{
	(void)unused;
	for (uint64_t id = 1; id <= 6; id++)
		store(id, 5000);
	close_spool();
	copy_tree("catalogue", "older");
	open_spool();
	for (uint64_t id = 1; id <= 6; id++)
		gone(id);
	for (uint64_t id = 10; id < 100; id++) {
		store(id, 5000);
		gone(id);
	}
	tidy(20);
	assert_false(is_there(A));
	close_spool();
	copy_tree("older", "catalogue");
	buf_clear(&told);
	open_spool();
	assert_true(usage().rebuilt);
	assert_int_equal(usage().damages, 0);
	expect_all("");
}

static void
a_stray_file_does_not_take_numbers_to_their_end(void **unused)
{
	static const char *const strays[] = { "seg/99999999", "seg/100000007", "seg/4294967295",
		"seg/4294967296", "seg/0000000012", "seg/12", "seg/00000000" };

	(void)unused;
	store(1, 100);
	for (size_t i = 0; i < COUNT(strays); i++) {
		close_spool();
		make_file(strays[i], 0);
		open_spool();
		store(2 + i, 100);
		reopen();
		assert_true(spool_living(spool, 2 + i));
		expect_sound();
	}
	assert_true(is_there("seg/00000008"));
}

/* A number of nine digits is as good as one of eight. */
static void
numbers_go_on_behind_eight_digits(void **unused)
{
	struct segment_head h = { SEGMENT_FORMAT, 99999999, 1, 5 };
	char block[SPOOL_BLOCK], path[200];

	(void)unused;
	close_spool();
	segment_head_pack(&h, block);
	path_of("seg/99999999", path);
	assert_true(file_replace(path, slice_of(block, sizeof block), 0600, NULL));
	open_spool();
	store(1, 100);
	assert_true(is_there("seg/100000000"));
	reopen();
	expect_all("1 ");
	store(2, 100);
	assert_true(is_there("seg/100000001"));
	expect_sound();
	reopen();
	expect_all("1 2 ");
}

static void
a_directory_among_segments_is_not_ours(void **unused)
{
	char path[200];

	(void)unused;
	store(1, 100);
	path_of("seg/00000099", path);
	assert_int_equal(mkdir(path, 0700), 0);
	reopen();
	expect_all("1 ");
	assert_true(is_there("seg/00000099"));
	expect_sound();
}

/* --- the catalogue as a cache --------------------------------------------------------------- */

static void
a_start_replays_what_the_catalogue_does_not_know(void **unused)
{
	(void)unused;
	for (uint64_t id = 1; id <= 10; id++)
		store(id, 100);
	reopen();
	assert_false(usage().rebuilt);
	assert_int_equal(usage().replayed, 1);          /* the last one, again */
	close_spool();
	copy_tree("catalogue", "older");
	open_spool();
	gone(3);
	state(4, 7);
	store(11, 100);
	close_spool();
	copy_tree("older", "catalogue");
	buf_clear(&told);
	open_spool();
	assert_false(usage().rebuilt);
	assert_int_equal(usage().replayed, 4);
	expect_all("1 2 4 5 6 7 8 9 10 11 ");
	assert_int_equal(attempts_of(4), 7);
	assert_int_equal(told.n, 0);
	expect_sound();
}

static void use_older(void) { copy_tree("older-seg", "seg"); }
static void spoil(void)     { damage("catalogue/env/living.db", 5000, 3000); }

static void
a_catalogue_that_cannot_be_right_is_made_again(void **unused)
{
	static const struct { void (*how)(void); const char *all; bool told; } cases[] = {
		{ lose_catalogue, "1 2 3 ", false },    /* as after a kill in its first second */
		{ spoil, "1 2 3 ", true }, { use_older, "1 2 ", true },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(cases); i++) {
		store(1, 100);
		store(2, 100);
		close_spool();
		copy_tree("seg", "older-seg");
		open_spool();
		store(3, 100);
		close_spool();
		cases[i].how();
		buf_clear(&told);
		open_spool();
		assert_true(usage().rebuilt);
		if (cases[i].told)
			expect_news("the catalogue will be made again");
		assert_int_equal(told.n > 0, cases[i].told);
		assert_false(usage().catalogued);
		expect_all(cases[i].all);               /* from the segments */
		tidy(2);
		assert_true(usage().catalogued);
		expect_all(cases[i].all);               /* from the catalogue */
		expect_sound();
		reopen();
		assert_false(usage().rebuilt);
		expect_all(cases[i].all);
		teardown(NULL);
		setup(NULL);
	}
}

/* --- recycling ------------------------------------------------------------------------------- */

/* Many come and go while a few stay: the disk does not grow, and nobody is lost. */
static void
the_disk_does_not_grow_with_what_is_gone(void **unused)
{
	struct rng rng = rng_seeded(3);
	uint64_t largest = 0;

	(void)unused;
	for (uint64_t id = 1; id <= 1500; id++) {
		store(id, (size_t)rng_below(&rng, 9000));
		if (id % 100 == 0)
			state(id, (uint32_t)id);
		if (id > 20 && (id - 20) % 100 != 0)
			gone(id - 20);
		if (id % 7 == 0)
			tidy(1);
		if (id > 200 && usage().segment_bytes > largest)
			largest = usage().segment_bytes;
	}
	assert_in_range(usage().copied, 10, 2000);
	assert_in_range(largest, SEGMENT, 2 * 35 * 9000 + 6 * SEGMENT);
	for (uint64_t id = 100; id <= 1400; id += 100)
		assert_int_equal(attempts_of(id), id);
	assert_int_equal(usage().messages, 14 + 20);
	expect_sound();
	reopen();
	assert_int_equal(usage().messages, 14 + 20);
	for (uint64_t id = 100; id <= 1400; id += 100)
		assert_int_equal(attempts_of(id), id);
	expect_sound();
}

static void
a_rebuilt_catalogue_after_recycling_says_the_same(void **unused)
{
	(void)unused;
	the_disk_does_not_grow_with_what_is_gone(NULL);
	close_spool();
	lose_catalogue();
	open_spool();
	assert_true(usage().rebuilt);
	assert_int_equal(usage().messages, 14 + 20);
	for (uint64_t id = 100; id <= 1400; id += 100)
		assert_int_equal(attempts_of(id), id);
	expect_sound();
}

static void
used_segments_become_spares(void **unused)
{
	(void)unused;
	tidy(1);
	assert_int_equal(usage().spares, 1);
	for (uint64_t id = 1; id <= 100; id++) {
		store(id, 5000);
		gone(id);
		tidy(1);
	}
	assert_int_equal(usage().spares, 1);
	assert_in_range(usage().segments, 1, 3);
	assert_in_range(usage().segment_bytes, 1, 3 * SEGMENT);
	expect_sound();
}

/* --- trouble --------------------------------------------------------------------------------------- */

static void
a_disk_that_refuses_costs_nothing_that_was_promised(void **unused)
{
	(void)unused;
	store(1, 5000);
	store(2, 5000);
	allow_bytes(6 * SPOOL_BLOCK);
	calls = 0;
	submit_small(3, 9000);
	spool_complete(spool);
	assert_int_equal(calls, 1);
	assert_int_equal(last.reply, 451);
	expect_news("trouble: the spool cannot write: cannot write: File too large");
	assert_true(usage().troubled);
	assert_false(spool_living(spool, 3));
	allow_bytes(100);
	state(1, 5);                                    /* nobody waits: kept */
	gone(2);
	submit_small(4, 100);
	spool_complete(spool);
	assert_int_equal(last.reply, 451);
	expect_message(1, 5000);                        /* reading goes on */
	assert_int_equal(attempts_of(1), 0);
	assert_false(spool_drain(spool));
	allow_bytes(RLIM_INFINITY);
	tidy(1);
	expect_news("well: the spool can write again");
	assert_false(usage().troubled);
	assert_int_equal(attempts_of(1), 5);
	store(5, 100);
	expect_all("1 5 ");
	expect_sound();
	reopen();
	expect_all("1 5 ");                             /* 3 is void, though its bytes are there */
	assert_int_equal(attempts_of(1), 5);
	assert_int_equal(usage().damages, 0);
	expect_sound();
}

/* --- with threads ------------------------------------------------------------------------------------ */

struct sender {
	uint64_t id, end;
	int      stored;
};

static void
send_next(void *arg, struct status status)
{
	struct sender *s = arg;
	struct envelope e;
	char text[4000];

	if (s->stored >= 0)
		assert_int_equal(status.reply, 250);
	s->stored++;
	if (s->id == s->end)
		return;
	e = envelope_of(s->id, sizeof text);
	fill(text, s->id, sizeof text);
	spool_store(spool, &e, slice_of(text, sizeof text), send_next, s);
	if (s->id % 3 == 0 && spool_living(spool, s->id - 1))
		spool_gone(spool, s->id - 1, NULL, NULL);
	s->id++;
}

static void
open_with_threads(int64_t quick)
{
	close_spool();
	options.threadless = false;
	options.segment = 1 << 20;
	options.quick = quick;
	open_spool();
}

static void
many_senders(int64_t quick)
{
	enum { SENDERS = 50, EACH = 40 };
	struct sender sender[SENDERS];
	struct spool_usage u;
	int stored = 0;

	open_with_threads(quick);
	for (int i = 0; i < SENDERS; i++) {
		sender[i] = (struct sender){ (uint64_t)i * 1000 + 1, (uint64_t)i * 1000 + 1 + EACH, -1 };
		send_next(&sender[i], (struct status){ 0 });
	}
	while (stored < SENDERS * EACH) {
		struct pollfd bell = { spool_fd(spool), POLLIN, 0 };

		poll(&bell, 1, 1000);
		spool_complete(spool);
		spool_tidy(spool);
		clock_move(&clock_, SECOND);
		stored = 0;
		for (int i = 0; i < SENDERS; i++)
			stored += sender[i].stored;
	}
	assert_true(spool_drain(spool));
	u = usage();
	assert_in_range(u.flushes, 1, SENDERS * EACH / 3);
	expect_sound();
	reopen();
	assert_int_equal(usage().messages, u.messages);
	for (int i = 0; i < SENDERS; i++)
		expect_message((uint64_t)i * 1000 + EACH, 4000);
	expect_sound();
}

static void
many_senders_share_flushes(void **unused)
{
	(void)unused;
	many_senders(1);                                /* all by the committer */
}

static void
they_share_them_too_when_the_loop_flushes(void **unused)
{
	(void)unused;
	many_senders(60 * 1000000);
}

/* What is flushed quickly is not handed to another thread and back; large things always are. */
static void
a_quick_flush_is_the_loops_own(void **unused)
{
	const struct recipient_state once = { .stage = RECIPIENT_WAITING, .attempts = 1 };

	(void)unused;
	open_with_threads(60 * 1000000);
	submit_small(1, 4000);                          /* by the committer: no flush was seen yet */
	assert_true(spool_drain(spool));
	for (uint64_t id = 2; id < 50; id++) {
		calls = 0;
		submit_small(id, 4000);
		if (id % 2 == 0)
			spool_state(spool, id - 1, &once, NULL, NULL);  /* rides along */
		spool_complete(spool);
		assert_int_equal(calls, 1);
		assert_int_equal(last.reply, 250);
	}
	assert_true(spool_drain(spool));
	assert_int_equal(attempts_of(1), 1);
	reopen();
	expect_message(49, 4000);
	expect_sound();
}

/* --- going over all of it in steps ------------------------------------------------- */

struct steps {
	struct buf ids;
	size_t     left;                /* of this step */
};

static bool
take_id(void *arg, const struct found *f)
{
	struct steps *s = arg;

	buf_printf(&s->ids, "%d ", (int)f->summary.id);
	return --s->left > 0;
}

static bool
walk_on(struct spool_walk *walk, struct steps *s, size_t n)
{
	s->left = n;
	return spool_walk(spool, walk, take_id, s);
}

static void
store_nine(void)
{
	for (uint64_t id = 1; id <= 9; id++)
		store(id, 100);
	tidy(3);
}

/* What comes and goes between two steps is given or not; everything else is given once. */
static void
a_walk_goes_on_where_it_was(void **state)
{
	struct steps s = { .ids = BUF(1000) };
	struct spool_walk walk = { 0 };

	(void)state;
	store_nine();
	assert_true(walk_on(&walk, &s, 3));
	gone(3);
	gone(5);
	store(12, 100);
	assert_true(walk_on(&walk, &s, 1));
	assert_true(walk_on(&walk, &s, 4));
	assert_false(walk_on(&walk, &s, 4));
	assert_slice(buf_slice(&s.ids), "1 2 3 4 6 7 8 9 12 ");
	spool_walk_end(&walk);
	buf_free(&s.ids);
}

/* What is owed before it is written in portions, or at once. */
static void
a_walk_is_ready_in_portions(void **state)
{
	enum { ALL = 1200 };
	struct steps s = { .ids = BUF(10000) };
	struct spool_walk walk = { 0 };
	int portions = 1;

	(void)state;
	for (uint64_t id = 1; id <= ALL; id++)
		store(id, 10);
	while (!spool_walk_ready(spool))
		portions++;
	assert_true(portions > 1 && portions < ALL);
	store(ALL + 1, 10);                             /* comes between, and is given */
	assert_false(walk_on(&walk, &s, ALL + 2));
	assert_int_equal(s.left, 1);
	spool_walk_end(&walk);
	buf_free(&s.ids);
}

static void
a_walk_survives_its_catalogue(void **state)
{
	struct steps s = { .ids = BUF(1000) };
	struct spool_walk walk = { 0 };

	(void)state;
	store_nine();
	assert_true(walk_on(&walk, &s, 3));
	spool_rebuild(spool);                           /* all rows are due, nothing is in it */
	assert_false(usage().catalogued);
	assert_true(walk_on(&walk, &s, 2));
	gone(7);
	tidy(5);
	assert_true(usage().catalogued);                /* the walk stays with what it has begun */
	assert_true(walk_on(&walk, &s, 1));
	assert_false(walk_on(&walk, &s, 9));
	assert_slice(buf_slice(&s.ids), "1 2 3 4 5 6 8 9 ");
	spool_walk_end(&walk);
	buf_free(&s.ids);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_message_is_there_when_its_status_says_so),
		T(what_waits_goes_out_with_one_flush),
		T(large_content_has_a_file_of_its_own),
		T(content_of_another_length_is_refused),
		T(what_makes_no_sense_is_refused),
		T(too_much_that_waits_is_refused),
		T(an_envelope_that_is_too_large_is_refused),
		T(states_and_seals_are_remembered),
		T(one_process_has_it_open),
		T(content_being_received_is_removed),
		T(content_without_a_record_is_removed),
		T(a_torn_record_ends_the_run),
		T(a_flushed_message_is_there_after_a_crash),
		T(what_was_not_flushed_did_not_happen),
		T(content_of_an_ended_message_is_removed),
		T(a_segment_that_was_being_begun_is_removed),
		T(a_rotten_record_is_named_and_passed_over),
		T(a_living_message_that_rots_is_told_and_given_up_in_its_turn),
		T(a_damaged_head_does_not_matter),
		T(a_segment_that_went_missing_is_named),
		T(missing_content_is_named),
		T(damaged_content_is_named), T(damaged_contents_are_named_together),
		T(a_spool_of_format_1_lives_on), T(a_newer_format_is_refused_by_name),
		T(a_disk_that_cannot_read_loses_nothing),
		T(a_head_that_cannot_be_read_beside_one_that_is_damaged),
		T(a_segment_that_cannot_be_read_is_not_set_aside),
		T(what_is_damaged_is_named_and_not_removed),
		T(nothing_in_damaged_is_replaced),
		T(an_old_catalogue_is_no_witness),
		T(a_stray_file_does_not_take_numbers_to_their_end),
		T(numbers_go_on_behind_eight_digits),
		T(a_directory_among_segments_is_not_ours),
		T(a_start_replays_what_the_catalogue_does_not_know),
		T(a_catalogue_that_cannot_be_right_is_made_again),
		T(the_disk_does_not_grow_with_what_is_gone),
		T(a_rebuilt_catalogue_after_recycling_says_the_same),
		T(used_segments_become_spares),
		T(a_disk_that_refuses_costs_nothing_that_was_promised),
		T(many_senders_share_flushes),
		T(they_share_them_too_when_the_loop_flushes),
		T(a_quick_flush_is_the_loops_own),
		T(a_walk_goes_on_where_it_was),
		T(a_walk_is_ready_in_portions), T(a_walk_survives_its_catalogue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
