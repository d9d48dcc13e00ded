/* SPDX-License-Identifier: ISC */
/* Where nobody answered (delivery/silence): for how long, and that it is that address only. */
#include "base/clock.h"
#include "delivery/silence.h"
#include "unit.h"

static struct peer
peer(const char *text)
{
	struct peer p;

	assert_true(peer_parse(slice(text), &p));
	return p;
}

static void
test_silence(void **state)
{
	static const struct { const char *peer; int64_t now, age; } cases[] = {
		{ "192.0.2.1:25", 1000, 0 }, { "192.0.2.1:25", 60999, 59999 },
		{ "192.0.2.1:25", 61000, -1 },          /* it has passed */
		{ "192.0.2.1:26", 1000, -1 }, { "192.0.2.2:25", 1000, -1 },
		{ "[2001:db8::1]:25", 2000, 1000 }, { "[2001:db8::2]:25", 2000, -1 },
		{ "unix:/run/x.sock", 1000, -1 },
	};
	static const char *const silent[] = { "192.0.2.1:25", "[2001:db8::1]:25", "unix:/run/x.sock" };
	static struct silence s;
	struct peer p;

	(void)state;
	for (size_t i = 0; i < COUNT(silent); i++)
		p = peer(silent[i]), silence_note(&s, &p, 1000, 1000 + MINUTE);
	for (size_t i = 0; i < COUNT(cases); i++) {
		p = peer(cases[i].peer);
		assert_case(silence_age(&s, &p, cases[i].now) == cases[i].age, i, "age");
	}
	p = peer("192.0.2.1:25");
	silence_over(&s, &p);
	assert_int_equal(silence_age(&s, &p, 1000), -1);
	p = peer("[2001:db8::1]:25");
	assert_int_equal(silence_age(&s, &p, 1000), 0);
	silence_forget(&s);
	assert_int_equal(silence_age(&s, &p, 1000), -1);
}

/* Of more than it can remember it knows some, the newest among them, and nobody wrongly. */
static void
test_more_than_it_remembers(void **state)
{
	static struct silence s;
	char text[40];
	struct peer p;
	size_t known = 0;

	(void)state;
	for (int i = 0; i < 4 * SILENCE_MOST; i++) {
		snprintf(text, sizeof text, "10.%d.%d.1:25", i / 256, i % 256);
		p = peer(text);
		assert_int_equal(silence_age(&s, &p, 1000), -1);
		silence_note(&s, &p, 1000, 2000);
		assert_int_equal(silence_age(&s, &p, 1000), 0);
	}
	for (int i = 0; i < 4 * SILENCE_MOST; i++) {
		snprintf(text, sizeof text, "10.%d.%d.1:25", i / 256, i % 256);
		p = peer(text);
		known += silence_age(&s, &p, 1000) == 0;
	}
	assert_in_range(known, SILENCE_MOST / 4, SILENCE_MOST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence), cmocka_unit_test(test_more_than_it_remembers),
	};

	return cmocka_run_group_tests_name("silence", tests, NULL, NULL);
}
