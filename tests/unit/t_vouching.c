/* SPDX-License-Identifier: ISC */
/* What the word of sealers changes is counted, in a table that strangers cannot fill. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "queue/state.h"
#include "queue/vouching.h"
#include "unit.h"

static const int64_t NOW = 1780315200000;       /* 2026-06-01T12:00:00Z */

static char dir[64];
static struct clock time_;
static struct kv *kv;

static int
setup(void **state)
{
	struct error why;

	(void)state;
	snprintf(dir, sizeof dir, "/tmp/t_vouching.XXXXXX");
	assert_non_null(mkdtemp(dir));
	time_ = clock_virtual(NOW);
	kv = kv_open(&(struct kv_options){ dir, STATE_TABLES, &time_, 1 << 20, false }, &why);
	return kv == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	kv_close(kv);
	return !dir_remove(dir, NULL);
}

struct seen {
	struct buf text;
	size_t     n;
};

static bool
see(void *arg, const struct voucher *v)
{
	struct seen *s = arg;

	if (s->n++ < 10)
		buf_printf(&s->text, "%.*s %u %u %lld; ", FMT(v->sealer), (unsigned)v->count[VOUCHED_UNTRUSTED],
		    (unsigned)v->count[VOUCHED_BELIEVED], (long long)(v->last - NOW));
	return true;
}

static void
count(const char *sealer, enum vouched what, unsigned times)
{
	struct error why;

	while (times-- > 0)
		assert_true(vouching_count(kv, what, slice(sealer), clock_now(&time_), &why));
}

static void
assert_rows(const char *text)
{
	struct seen s = { .text = BUF(10000) };

	assert_true(vouching_each(kv, see, &s, NULL));
	if (!slice_eq(buf_slice(&s.text), slice(text)))
		print_error("got %.*s\n", FMT(buf_slice(&s.text)));
	assert_true(slice_eq(buf_slice(&s.text), slice(text)));
	buf_free(&s.text);
}

static void
each_sealer_has_a_row(void **state)
{
	(void)state;
	assert_rows("");
	count("b.test", VOUCHED_UNTRUSTED, 2);
	time_.now += 5;
	count("a.test", VOUCHED_BELIEVED, 1);
	count("b.test", VOUCHED_BELIEVED, 3);
	assert_rows("a.test 0 1 5; b.test 2 3 5; ");
	time_.now += VOUCHING_KEPT - 1;
	count("a.test", VOUCHED_UNTRUSTED, 1);
	time_.now += 1;                                 /* b.test was not heard of for so long */
	assert_rows("a.test 1 1 7776000004; ");
}

static void
a_value_that_makes_no_sense_begins_anew(void **state)
{
	struct error why;

	(void)state;
	assert_true(kv_put(kv_table(kv, "sealers"), S("a.test"), S("1 x 3"), &why));
	assert_rows("");
	count("a.test", VOUCHED_UNTRUSTED, 1);
	assert_rows("a.test 1 0 0; ");
}

/* Whoever makes up names takes the place of other names that were made up. */
static void
strangers_cannot_fill_it(void **state)
{
	struct seen s = { .text = BUF(10000) };
	char name[32];

	(void)state;
	count("known.test", VOUCHED_UNTRUSTED, 2);
	for (int i = 0; i < VOUCHING_MOST + 50; i++) {
		snprintf(name, sizeof name, "x%04d.test", i);
		time_.now++;
		count(name, VOUCHED_UNTRUSTED, 1);
	}
	assert_true(vouching_each(kv, see, &s, NULL));
	assert_int_equal(s.n, VOUCHING_MOST);
	assert_true(slice_starts(buf_slice(&s.text), S("known.test 2 0 0; x0051.test 1 0 52; ")));
	buf_free(&s.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_sealer_has_a_row, setup, teardown),
		cmocka_unit_test_setup_teardown(a_value_that_makes_no_sense_begins_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_cannot_fill_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
