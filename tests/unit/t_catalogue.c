/* SPDX-License-Identifier: ISC */
#include <unistd.h>

#include "base/file.h"
#include "base/kv.h"
#include "base/rng.h"
#include "queue/catalogue.h"
#include "unit.h"

enum { SALT = 7, SEGMENT = 4096 };      /* bytes of a segment of this little log */

static char           dir[64];
static struct clock   clock_;
static struct buf     wal;              /* all segments, one behind the other */
static uint64_t       sequence;
static struct living  living;
static struct catalogue *catalogue;

static bool
read_log(void *arg, struct spot at, struct spool_record *r, struct error *why)
{
	size_t from = (at.segment - 1) * (size_t)SEGMENT + at.offset;

	(void)arg;
	return record_read(slice_skip(buf_slice(&wal), from), SALT, r) ||
	    error_set(why, "damaged");
}

static const struct record_reader READER = { read_log, NULL };

static bool
valid_place(void *arg, struct spot at)
{
	(void)arg;
	return at.segment > 0 && (at.segment - 1) * (size_t)SEGMENT + at.offset + at.length <= wal.n;
}

static void
open_catalogue(bool anew)
{
	struct error why = { 0 };

	catalogue_close(catalogue);
	catalogue = catalogue_open(dir, &clock_, anew, &why);
	assert_non_null(catalogue);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/chainmail-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	wal = BUF(64 << 20);
	sequence = 0;
	open_catalogue(false);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	catalogue_close(catalogue);
	catalogue = NULL;
	living_free(&living);
	buf_free(&wal);
	return dir_remove(dir, NULL) ? 0 : -1;
}

/* --- a log ------------------------------------------------------------------- */

static struct reach
append(enum record_kind kind, uint64_t id, struct slice payload)
{
	size_t length = record_length(payload.n);
	struct spool_record r = { kind, sequence + 1, sequence + 1, id, NONE };
	struct spot at;
	char *p;

	if (wal.n % SEGMENT + length > SEGMENT)
		for (; wal.n % SEGMENT; buf_byte(&wal, 0))
			;
	sequence++;
	p = buf_room(&wal, length);
	memcpy(p + RECORD_HEADER, payload.p ? payload.p : "", payload.n);
	r.payload = slice_of(p + RECORD_HEADER, payload.n);
	record_finish(&r, SALT, p);
	at = (struct spot){ (uint32_t)(wal.n / SEGMENT + 1), (uint32_t)(wal.n % SEGMENT),
		(uint32_t)length };
	wal.n += length;
	return (struct reach){ sequence, at };
}

/* Written, applied and noted, as the spool does it. */
static struct reach
log_record(enum record_kind kind, uint64_t id, struct slice payload)
{
	struct reach reach = append(kind, id, payload);
	struct whereabouts *w = living_find(&living, id);
	bool rowed = w != NULL && w->rowed;
	struct spool_record r;
	struct change c;

	assert_true(read_log(NULL, reach.at, &r, NULL));
	c = living_apply(&living, &r, reach.at);
	if (catalogue != NULL)
		catalogue_note(catalogue, &c, rowed, reach);
	return reach;
}

static struct reach
message(uint64_t id)
{
	struct recipient to[] = { { S_INIT("a@x.test"), { NULL, 0 }, 0, NO_RECIPIENT },
		{ S_INIT("b@y.test"), { NULL, 0 }, 0, NO_RECIPIENT } };
	struct envelope e = { .id = id, .arrival = (int64_t)id * 10, .sender = S("s@x.test"),
		.recipients = to, .count = 2, .trace = S("Received: x\r\n"), .size = 4,
		.parent_recipient = NO_RECIPIENT };
	struct buf b = BUF(1000);
	struct reach r;

	message_pack(false, &e, &b);
	buf_add(&b, S("text"));
	r = log_record(RECORD_MESSAGE, id, buf_slice(&b));
	buf_free(&b);
	return r;
}

static struct reach
state_of(uint64_t id, uint32_t recipient, uint32_t attempts)
{
	struct recipient_state s = { .recipient = recipient, .stage = RECIPIENT_WAITING,
		.attempts = attempts, .last = STATUS(450, 4, 2, 0, "later") };
	struct buf b = BUF(1000);
	struct reach r;

	state_pack(&s, &b);
	r = log_record(RECORD_STATE, id, buf_slice(&b));
	buf_free(&b);
	return r;
}

static struct reach
seal_of(uint64_t id, const char *route)
{
	struct buf b = BUF(1000);
	struct reach r;

	seal_pack(slice(route), S("ARC-Seal: i=1\r\n"), &b);
	r = log_record(RECORD_SEAL, id, buf_slice(&b));
	buf_free(&b);
	return r;
}

static struct reach gone(uint64_t id) { return log_record(RECORD_GONE, id, NONE); }

static void
apply_again(struct living *l, const struct spool_record *r, struct spot at, bool note)
{
	struct whereabouts *w = living_find(l, r->id);
	bool rowed = w != NULL && w->rowed;
	struct change c = living_apply(l, r, at);

	if (note)
		catalogue_note(catalogue, &c, rowed, (struct reach){ r->sequence, at });
}

/* Apply the log again from this record on. */
static void
replay(struct living *l, uint64_t from, bool note)
{
	for (size_t at = 0; at < wal.n;) {
		struct spool_record r;
		struct spot p = { (uint32_t)(at / SEGMENT + 1), (uint32_t)(at % SEGMENT), 0 };

		if (!record_read(slice_skip(buf_slice(&wal), at), SALT, &r)) {
			at = (at / SEGMENT + 1) * SEGMENT;
			continue;
		}
		p.length = (uint32_t)record_length(r.payload.n);
		if (r.sequence >= from)
			apply_again(l, &r, p, note);
		at += p.length;
	}
	living_forget_ghosts(l);
}

/* --- living -------------------------------------------------------------------- */

static void
a_message_lives_until_it_is_gone(void **state)
{
	struct reach m, s, newer, z;

	(void)state;
	m = message(5);
	s = state_of(5, 1, 1);
	z = seal_of(5, "lists");
	assert_int_equal(living.messages, 1);
	assert_true(place_eq(living_find(&living, 5)->message, m.at));
	assert_true(place_eq(state_place(living_find(&living, 5), 1), s.at));
	assert_int_equal(state_place(living_find(&living, 5), 0).segment, 0);
	assert_int_equal(state_place(living_find(&living, 5), 9).segment, 0);
	assert_true(place_eq(seal_place(living_find(&living, 5), route_number(S("lists"))), z.at));
	assert_int_equal(living_bytes(&living, 1), m.at.length + s.at.length + z.at.length);
	newer = state_of(5, 1, 2);
	assert_int_equal(living_bytes(&living, 1), m.at.length + newer.at.length + z.at.length);
	gone(5);
	assert_null(living_find(&living, 5));
	assert_int_equal(living.messages, 0);
	assert_int_equal(living_bytes_all(&living), 0);
}

/* What was said about a message may stand before it, once it was copied forward. */
static void
a_copied_message_keeps_its_states(void **state)
{
	struct reach s, copy;
	struct living rebuilt = { 0 };

	(void)state;
	message(5);
	s = state_of(5, 0, 3);
	copy = message(5);
	gone(6);
	state_of(7, 0, 1);                              /* of a message that is long gone */
	living_forget_ghosts(&living);
	assert_true(place_eq(living_find(&living, 5)->message, copy.at));
	replay(&rebuilt, 2, false);                            /* the first record is no more */
	assert_int_equal(rebuilt.messages, 1);
	assert_true(place_eq(living_find(&rebuilt, 5)->message, copy.at));
	assert_true(place_eq(state_place(living_find(&rebuilt, 5), 0), s.at));
	assert_true(living_equal(&living, &rebuilt, NULL));
	living_free(&rebuilt);
}

/* A random history; replaying its end from anywhere changes nothing. */
static void
random_history(uint64_t seed, int length)
{
	struct rng rng = rng_seeded(seed);

	for (int i = 0; i < length; i++) {
		uint64_t id = 1 + rng_below(&rng, 20);
		struct whereabouts *w = living_find(&living, id);

		if (w == NULL || w->message.segment == 0)
			message(id);
		else if (rng_below(&rng, 3) == 0)
			gone(id);
		else if (rng_below(&rng, 3) == 0)
			seal_of(id, rng_below(&rng, 2) ? "one" : "two");
		else
			state_of(id, (uint32_t)rng_below(&rng, 4), (uint32_t)i);
	}
}

static void
the_end_of_the_log_may_be_applied_twice(void **state)
{
	struct living again = { 0 };
	struct error why = { 0 };

	(void)state;
	random_history(1, 300);
	replay(&again, 0, false);
	assert_true(living_equal(&living, &again, NULL));
	for (uint64_t from = 1; from <= sequence; from += 13) {
		replay(&again, from, false);
		if (!living_equal(&living, &again, &why))
			print_error("%s\n", why.text);
		assert_true(living_equal(&living, &again, NULL));
		assert_int_equal(living_bytes_all(&living), living_bytes_all(&again));
	}
	living_free(&again);
}

static void
count_lost(void *arg, uint64_t id)
{
	*(uint64_t *)arg = *(uint64_t *)arg * 10 + id;
}

static void
a_lost_segment_takes_what_lies_in_it(void **state)
{
	uint64_t lost = 0;

	(void)state;
	message(1);
	message(2);
	while (wal.n / SEGMENT == 0)
		state_of(2, 0, 1);
	message(3);
	seal_of(2, "lists");
	living_forget_segment(&living, 2, count_lost, &lost);
	assert_int_equal(lost, 3);
	assert_non_null(living_find(&living, 2));
	assert_int_equal(state_place(living_find(&living, 2), 0).segment, 0);
	assert_int_equal(living_bytes(&living, 2), 0);
	living_forget_segment(&living, 1, count_lost, &lost);
	assert_int_equal(living.messages, 0);
	living_trim(&living, 2);
	assert_int_equal(living_bytes_all(&living), 0);
}

static void
what_no_longer_counts_is_known(void **state)
{
	struct reach m, s, newer;
	struct spool_record r;

	(void)state;
	m = message(1);
	s = state_of(1, 0, 1);
	newer = state_of(1, 0, 2);
	read_log(NULL, m.at, &r, NULL);
	assert_true(living_has(&living, &r, m.at));
	assert_false(living_has(&living, &r, s.at));
	read_log(NULL, s.at, &r, NULL);
	assert_false(living_has(&living, &r, s.at));
	read_log(NULL, newer.at, &r, NULL);
	assert_true(living_has(&living, &r, newer.at));
	gone(1);
	assert_false(living_has(&living, &r, newer.at));
}

/* --- rows ------------------------------------------------------------------------ */

static void
write_all(void)
{
	struct error why = { 0 };

	catalogue_ripen(catalogue);
	catalogue_ripen(catalogue);
	while (catalogue_due(catalogue) > 0)
		if (!catalogue_write(catalogue, &living, &READER, 7, &why))
			fail_msg("%s", why.text);
}

static bool
load(struct living *l, struct reach *reach, struct error *why)
{
	return catalogue_load(catalogue, l, valid_place, NULL, reach, why);
}

static void
expect_not_believed(const char *because)
{
	struct living loaded = { 0 };
	struct error why = { 0 };
	struct reach reach;

	open_catalogue(false);
	assert_false(load(&loaded, &reach, &why));
	if (strstr(why.text, because) == NULL)
		print_error("%s\n", why.text);
	assert_non_null(strstr(why.text, because));
	assert_int_equal(loaded.by_id.n, 0);
	assert_int_equal(catalogue_reach(catalogue), 0);
}

/* At every point of a history: what is loaded and the replayed rest are the truth. */
static void
rows_and_the_rest_of_the_log_are_the_truth(void **state)
{
	int some_left = 0;

	(void)state;
	message(99);
	write_all();
	for (int turn = 0; turn < 20; turn++) {
		struct living loaded = { 0 };
		struct reach reach;
		struct error why = { 0 };

		random_history((uint64_t)turn, 40);
		for (int steps = turn % 4; steps >= 0; steps--, catalogue_ripen(catalogue))
			assert_true(catalogue_write(catalogue, &living, &READER, 9, &why));
		open_catalogue(false);                  /* what is still due is forgotten */
		assert_true(load(&loaded, &reach, &why));
		assert_true(reach.sequence > 0 && reach.sequence <= sequence);
		some_left += reach.sequence < sequence;
		replay(&loaded, reach.sequence, true);
		if (!living_equal(&living, &loaded, &why))
			print_error("turn %d: %s\n", turn, why.text);
		assert_true(living_equal(&living, &loaded, NULL));
		living_free(&living);
		living = loaded;
		write_all();
		assert_true(catalogue_check(catalogue, &living, &READER, &why));
		catalogue_note_all(catalogue, &living, (struct reach){ 0 });
		write_all();                            /* rewriting all changes nothing */
		assert_true(catalogue_check(catalogue, &living, &READER, &why));
		assert_int_equal(catalogue_reach(catalogue), sequence);
	}
	assert_in_range(some_left, 10, 20);             /* it was not always all of it */
}

static void
what_is_due_ripens_before_it_is_written(void **state)
{
	(void)state;
	message(1);
	assert_int_equal(catalogue_ripe(catalogue), 0);
	catalogue_ripen(catalogue);
	message(2);
	assert_int_equal(catalogue_ripe(catalogue), 0);
	catalogue_ripen(catalogue);
	assert_int_equal(catalogue_ripe(catalogue), 1);
	assert_true(catalogue_write(catalogue, &living, &READER, 10, NULL));
	assert_int_equal(catalogue_reach(catalogue), 1);
	assert_int_equal(catalogue_due(catalogue), 1);
	gone(2);
	catalogue_ripen(catalogue);
	catalogue_ripen(catalogue);
	assert_true(catalogue_write(catalogue, &living, &READER, 1, NULL));
	assert_int_equal(catalogue_due(catalogue), 0);
	assert_true(catalogue_write_all(catalogue, &living, &READER, NULL));
	assert_int_equal(catalogue_reach(catalogue), 3);
}

static void
who_is_gone_in_time_gets_no_row(void **state)
{
	struct kv_options o = { dir, (const char *const[]){ "living", NULL }, &clock_, 1 << 20, false };
	struct kv *kv;
	uint64_t rows = 99;

	(void)state;
	for (uint64_t id = 1; id <= 50; id++) {
		message(id);
		state_of(id, 0, 1);
		if (id % 10)
			gone(id);
	}
	write_all();
	assert_true(catalogue_check(catalogue, &living, &READER, NULL));
	for (uint64_t id = 10; id <= 40; id += 10)
		gone(id);
	write_all();
	assert_int_equal(catalogue_reach(catalogue), sequence);
	catalogue_close(catalogue);
	catalogue = NULL;
	kv = kv_open(&o, NULL);
	assert_true(kv_count(kv_table(kv, "living"), &rows, NULL));
	assert_int_equal(rows, 2);                      /* message and state of 50 */
	kv_close(kv);
}

static void
nothing_is_believed_before_all_rows_are_there(void **state)
{
	struct living loaded = { 0 };
	struct reach reach, newest;

	(void)state;
	expect_not_believed("not complete");
	for (uint64_t id = 1; id <= 30; id++)
		newest = message(id);
	open_catalogue(true);
	catalogue_note_all(catalogue, &living, newest);
	assert_true(catalogue_write(catalogue, &living, &READER, 29, NULL));
	expect_not_believed("not complete");
	open_catalogue(true);
	catalogue_note_all(catalogue, &living, newest);
	assert_true(catalogue_write(catalogue, &living, &READER, 31, NULL));
	open_catalogue(false);
	assert_true(load(&loaded, &reach, NULL));
	assert_int_equal(reach.sequence, 30);
	assert_true(living_equal(&living, &loaded, NULL));
	living_free(&loaded);
}

/* Somebody else writes into the tables. */
static void
tamper(void (*how)(struct kv_table *rows))
{
	struct kv_options o = { dir, (const char *const[]){ "living", "reach", NULL }, &clock_, 1 << 20, false };
	struct kv *kv;

	catalogue_close(catalogue);
	catalogue = NULL;
	kv = kv_open(&o, NULL);
	how(kv_table(kv, "living"));
	assert_true(kv_commit(kv, KV_SYNC, NULL));
	kv_close(kv);
}

#define KEY1 S("\0\0\0\0\0\0\0\1m")

static void lose_a_row(struct kv_table *t) { kv_delete(t, KEY1, NULL); }
static void add_a_row(struct kv_table *t)  { kv_put(t, S("\0\0\0\0\0\0\0\7z\0\0\0\0"), S("\1\0\0\0\0\0\0\0\0\0\0\0"), NULL); }
static void odd_key(struct kv_table *t)    { kv_put(t, S("what?"), S("\1\0\0\0\0\0\0\0\0\0\0\0"), NULL); }
static void short_row(struct kv_table *t)  { kv_put(t, KEY1, S("\1\0\0\0"), NULL); }
static void nowhere(struct kv_table *t)    { kv_put(t, KEY1, S("\xff\0\0\0\0\0\0\0\0\0\0\0"), NULL); }
static void no_segment(struct kv_table *t) { kv_put(t, KEY1, S("\0\0\0\0\0\0\0\0\0\0\0\0"), NULL); }
static void
change_a_bit(struct kv_table *t)
{
	struct buf b = BUF(10000);

	assert_int_equal(kv_get(t, KEY1, &b, NULL), KV_FOUND);
	b.p[b.n - 1] ^= 1;
	kv_put(t, KEY1, buf_slice(&b), NULL);
	buf_free(&b);
}

static void
rows_that_are_wrong_are_not_believed(void **state)
{
	static const struct { void (*how)(struct kv_table *); const char *because; } cases[] = {
		{ lose_a_row, "does not add up" }, { add_a_row, "does not add up" },
		{ change_a_bit, "does not add up" }, { odd_key, "points to where nothing is" },
		{ short_row, "points to where nothing is" }, { nowhere, "points to where nothing is" },
		{ no_segment, "points to where nothing is" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		open_catalogue(true);
		living_free(&living);
		message(1);
		message(2);
		write_all();
		tamper(cases[i].how);
		expect_not_believed(cases[i].because);
	}
}

static void
a_record_that_cannot_be_read_means_the_next_start_reads_all(void **state)
{
	struct reach bad;

	(void)state;
	message(1);
	bad = message(2);
	message(3);
	wal.p[(bad.at.segment - 1) * (size_t)SEGMENT + bad.at.offset + 50] ^= 1;
	write_all();
	assert_int_equal(catalogue_reach(catalogue), 0);
	expect_not_believed("not complete");
}

static void
a_check_finds_what_differs(void **state)
{
	struct error why = { 0 };
	struct reach s;

	(void)state;
	message(1);
	s = state_of(1, 0, 1);
	write_all();
	assert_true(catalogue_check(catalogue, &living, &READER, &why));
	living_state(&living, 1, 1, s.at);
	assert_false(catalogue_check(catalogue, &living, &READER, &why));
	assert_non_null(strstr(why.text, "has 2 rows, there should be 3"));
	living_message(&living, 1, true, s.at);
	assert_false(catalogue_check(catalogue, &living, &READER, &why));
	living_forget(&living, 1);
	assert_false(catalogue_check(catalogue, &living, &READER, &why));
	assert_non_null(strstr(why.text, "000000000001, which is not there"));
}

/* "1:0x3,1x7 2:" -- id, then recipients with attempts. */
static bool
describe(void *arg, const struct found *f)
{
	struct buf *b = arg;

	assert_int_equal(f->summary.arrival, f->summary.id * 10);
	assert_slice(f->summary.sender, "s@x.test");
	assert_int_equal(f->summary.count, 2);
	assert_slice(f->summary.recipients[1].address, "b@y.test");
	buf_printf(b, "%d:", (int)f->summary.id);
	for (size_t i = 0; i < f->count; i++) {
		assert_slice(f->states[i].last.text, "later");
		buf_printf(b, "%ux%u,", f->states[i].recipient, f->states[i].attempts);
	}
	return buf_byte(b, ' ') && f->summary.id != 8;
}

/* The same without a catalogue. */
static void
describe_segments(struct buf *b)
{
	size_t count;
	uint64_t *ids = living_ids(&living, 0, &count);

	for (size_t i = 0; i < count; i++)
		assert_true(living_look(living_find(&living, ids[i]), &READER, describe, b, NULL));
	free(ids);
}

static void
all_that_lives_is_given(void **state)
{
	const char *want = "1: 2:0x3,1x7, 3:0x5, ";
	struct buf rows = BUF(1000), segments = BUF(1000), some = BUF(1000);

	(void)state;
	message(1);
	message(2);
	state_of(2, 1, 7);
	state_of(2, 0, 3);
	message(4);
	seal_of(2, "lists");
	gone(4);
	message(3);
	state_of(3, 0, 5);
	write_all();
	assert_true(catalogue_each(catalogue, 0, describe, &rows, NULL));
	assert_slice(buf_slice(&rows), want);
	describe_segments(&segments);
	assert_slice(buf_slice(&segments), want);
	message(8);                                     /* the last that is wanted */
	message(9);
	write_all();
	assert_true(catalogue_each(catalogue, 0, describe, &some, NULL));
	assert_slice(buf_slice(&some), "1: 2:0x3,1x7, 3:0x5, 8: ");
	buf_clear(&some);
	assert_true(catalogue_each(catalogue, 2, describe, &some, NULL));      /* behind 2 */
	assert_slice(buf_slice(&some), "3:0x5, 8: ");
	buf_clear(&some);
	assert_true(catalogue_each(catalogue, 8, describe, &some, NULL));
	assert_slice(buf_slice(&some), "9: ");
	buf_clear(&some);
	assert_true(catalogue_each(catalogue, ID_MOST, describe, &some, NULL));
	assert_slice(buf_slice(&some), "");
	buf_free(&rows);
	buf_free(&segments);
	buf_free(&some);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_message_lives_until_it_is_gone),
		T(a_copied_message_keeps_its_states),
		T(the_end_of_the_log_may_be_applied_twice),
		T(a_lost_segment_takes_what_lies_in_it),
		T(what_no_longer_counts_is_known),
		T(rows_and_the_rest_of_the_log_are_the_truth),
		T(what_is_due_ripens_before_it_is_written),
		T(who_is_gone_in_time_gets_no_row),
		T(nothing_is_believed_before_all_rows_are_there),
		T(rows_that_are_wrong_are_not_believed),
		T(a_record_that_cannot_be_read_means_the_next_start_reads_all),
		T(a_check_finds_what_differs),
		T(all_that_lives_is_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
