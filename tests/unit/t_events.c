/* SPDX-License-Identifier: ISC */
#include "base/map.h"
#include "conf/events.h"
#include "unit.h"

static bool
is_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !is_digit(s.p[i]) && s.p[i] != '-')
			return false;
	return s.n > 0;
}

static void
every_event_has_a_name_of_its_own_keys_and_a_meaning(void **state)
{
	static const char *const promised[] = {
		"ready", "stopping", "reloaded", "config-error", "connected", "disconnected", "refused",
		"rejected", "received", "queued", "sealed", "delivered", "deferred", "bounced", "expired",
		"report", "dropped", "policy", "child-died", "alarm", "note", "tls-failed", "dns-failed", "sandbox",
	};
	struct map names = { 0 };
	const struct event_kind *kind;
	size_t n = 0;

	(void)state;
	for (; (kind = event_nth(n)) != NULL; n++) {
		struct slice keys = slice(kind->keys), key, meaning = slice(kind->meaning);
		struct map seen = { 0 };

		assert_true(is_word(slice(kind->name)));
		assert_null(map_get(&names, slice(kind->name)));
		map_put(&names, slice(kind->name), (void *)(uintptr_t)kind);
		assert_true(meaning.n > 10 && meaning.p[meaning.n - 1] == '.');
		while (slice_word(&keys, &key)) {
			assert_case(is_word(key), n, key.p);
			assert_case(map_get(&seen, key) == NULL, n, key.p);         /* each once */
			/* what base/log.c writes itself */
			assert_case(!slice_eq(key, S("t")) && !slice_eq(key, S("id")) &&
			    !slice_eq(key, S("level")) && !slice_eq(key, S("event")), n, kind->name);
			map_put(&seen, key, (void *)(uintptr_t)kind);
		}
		assert_true(seen.n > 0);
		map_free(&seen);
	}
	/* People write programs that read these: names may be added, none may go. */
	for (size_t i = 0; i < COUNT(promised); i++)
		assert_case(map_get(&names, slice(promised[i])) != NULL, i, promised[i]);
	map_free(&names);
}

static void
keep_line(void *arg, struct slice line)
{
	buf_add(arg, line);
}

/* The sample lines of UX.md section 4, as they are made. */
static void
the_sample_lines_can_be_written(void **state)
{
	struct clock clock = clock_virtual(1795341871412);
	struct buf out = BUF(4096);
	struct log log = { .clock = &clock, .write = keep_line, .arg = &out };
	struct log_line l = log_event(&log, &EVENT_RECEIVED, 0);

	(void)state;
	log_text(&l, "listener", "mx");
	log_text(&l, "client", "192.0.2.25");
	log_text(&l, "helo", "mx.a.example");
	log_path(&l, "from", S("a@a.example"));
	log_number(&l, "rcpts", 2);
	log_number(&l, "size", 18211);
	log_text(&l, "tls", "1.3");
	log_text(&l, "spf", "pass");
	log_text(&l, "dkim", "pass:a.example");
	log_text(&l, "dmarc", "pass");
	log_text(&l, "arc", "none");
	log_end(&l);
	assert_slice(buf_slice(&out), "2026-11-22T10:04:31.412Z info - received listener=mx client=192.0.2.25 "
	    "helo=mx.a.example from=<a@a.example> rcpts=2 size=18211 tls=1.3 spf=pass dkim=pass:a.example "
	    "dmarc=pass arc=none\n");
	buf_clear(&out);
	l = log_event(&log, &EVENT_DEFERRED, 0);
	log_path(&l, "to", S("c@c.example"));
	log_text(&l, "mx", "mx.c.example[203.0.113.4]:25");
	log_text(&l, "policy", "dane");
	log_text(&l, "reason", "tlsa-mismatch");
	log_text(&l, "dsn", "4.7.5");
	log_number(&l, "try", 2);
	log_number(&l, "next", 600);
	log_end(&l);
	assert_slice(buf_slice(&out), "2026-11-22T10:04:31.412Z warn - deferred to=<c@c.example> "
	    "mx=mx.c.example[203.0.113.4]:25 policy=dane reason=tlsa-mismatch dsn=4.7.5 try=2 next=600\n");
	buf_free(&out);
}

/* An end is told of every way a message can go (queue/settle.c). */
static void
every_end_can_be_told_of_every_way(void **state)
{
	static const struct event_kind *const ends[] = { &EVENT_DELIVERED, &EVENT_DEFERRED, &EVENT_BOUNCED,
		&EVENT_EXPIRED };
	static const char *const words[] = { "to", "orig-to", "mx", "tls", "policy", "maildir", "lmtp", "dsn",
		"reply", "delay", "try" };

	(void)state;
	for (size_t i = 0; i < COUNT(ends); i++)
		for (size_t j = 0; j < COUNT(words); j++) {
			struct slice keys = slice(ends[i]->keys), key;
			bool met = false;

			while (slice_word(&keys, &key))
				met = met || slice_eq(key, slice(words[j]));
			assert_case(met, i, words[j]);
		}
}

static void
the_delivered_line_of_the_sample_has_its_keys(void **state)
{
	static const char *const wanted[] = { "to", "mx", "tls", "policy", "verified", "delay", "try", "reply" };
	struct slice keys, key;
	size_t met = 0;

	(void)state;
	for (keys = slice(EVENT_DELIVERED.keys); slice_word(&keys, &key); )
		met += met < COUNT(wanted) && slice_eq(key, slice(wanted[met]));
	assert_int_equal(met, COUNT(wanted));           /* in this order */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_has_a_name_of_its_own_keys_and_a_meaning),
		cmocka_unit_test(the_sample_lines_can_be_written),
		cmocka_unit_test(every_end_can_be_told_of_every_way),
		cmocka_unit_test(the_delivered_line_of_the_sample_has_its_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
