/* SPDX-License-Identifier: ISC */
#include "auth/canon.h"
#include "base/text.h"
#include "unit.h"

/* --- fields ---------------------------------------------------------------- */

static const struct { const char *field, *relaxed; } fields[] = {
	{ "A: X\r\n", "a:X\r\n" },                                      /* RFC 6376 3.4.5 */
	{ "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n" },
	{ "SUBJect: AbC\r\n", "subject:AbC\r\n" },
	{ "Subject:\r\n", "subject:\r\n" },
	{ "Subject:   \r\n", "subject:\r\n" },
	{ "Subject: \r\n \r\n\t\r\n", "subject:\r\n" },
	{ "Subject:a:b : c\r\n", "subject:a:b : c\r\n" },
	{ "Subject\t :  a \t b\r\n", "subject:a b\r\n" },
	{ "Subject: a\r\n b\r\n  c \r\n", "subject:a b c\r\n" },
	{ "From: J\xc3\xbcrgen\r\n", "from:J\xc3\xbcrgen\r\n" },       /* bytes as they stand, RFC 8616 5 */
	{ "X: a\vb\r\n", "x:a\vb\r\n" },                                /* WSP is blank and tab alone */
};

static void
fields_become_canonical(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct buf to = BUF(100);

		assert_true(canon_field(CANON_RELAXED, slice(fields[i].field), &to));
		assert_slice(buf_slice(&to), fields[i].relaxed);
		buf_clear(&to);
		assert_true(canon_field(CANON_SIMPLE, slice(fields[i].field), &to));
		assert_slice(buf_slice(&to), fields[i].field);
		buf_free(&to);
	}
}

static void
a_last_line_without_an_end_gets_one(void **state)
{
	(void)state;
	for (enum canon canon = CANON_SIMPLE; canon <= CANON_RELAXED; canon++) {
		struct buf to = BUF(100);

		assert_true(canon_field(canon, S("a:x"), &to));
		assert_slice(buf_slice(&to), "a:x\r\n");
		buf_free(&to);
	}
}

static void
a_field_that_finds_no_room_is_not_hashed(void **state)
{
	struct buf to = BUF(5);

	(void)state;
	assert_false(canon_field(CANON_RELAXED, S("Subject: x\r\n"), &to));
	assert_true(to.full);
	assert_int_equal(to.n, 0);
	buf_free(&to);
}

/* --- bodies ---------------------------------------------------------------- */

static const struct { const char *body, *simple, *relaxed; } bodies[] = {
	{ "", "\r\n", "" },                                             /* RFC 6376 3.4.3, 3.4.4 */
	{ "\r\n", "\r\n", "" },
	{ "\r\n\r\n\r\n", "\r\n", "" },
	{ "hi", "hi\r\n", "hi\r\n" },
	{ "hi\r\n", "hi\r\n", "hi\r\n" },
	{ "hi\r\n\r\n\r\n\r\n\r\n\r\n", "hi\r\n", "hi\r\n" },
	{ " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" }, /* RFC 6376 3.4.5 */
	{ "\r\n\r\na\r\n\r\nb\r\n", "\r\n\r\na\r\n\r\nb\r\n", "\r\n\r\na\r\n\r\nb\r\n" },
	{ "  \r\n", "  \r\n", "" },                                     /* becomes an empty line, goes */
	{ "a\r\n \t\r\n", "a\r\n \t\r\n", "a\r\n" },
	{ "a\r\n \t", "a\r\n \t\r\n", "a\r\n" },
	{ " ", " \r\n", "" },
	{ "a ", "a \r\n", "a\r\n" },
	{ "\ta", "\ta\r\n", " a\r\n" },
	{ "a\tb", "a\tb\r\n", "a b\r\n" },
	{ "a \r\n b", "a \r\n b\r\n", "a\r\n b\r\n" },
	{ "a  b \t\t c\r\n", "a  b \t\t c\r\n", "a b c\r\n" },
	{ "a\r", "a\r\r\n", "a\r\r\n" },                                /* a bare CR is a letter */
	{ "a\rb\r\n", "a\rb\r\n", "a\rb\r\n" },
	{ "a \rb\r\n", "a \rb\r\n", "a \rb\r\n" },
	{ "a \r \r\n", "a \r \r\n", "a \r\r\n" },
	{ "a\r\r\n", "a\r\r\n", "a\r\r\n" },
	{ "a\n\n", "a\n\n\r\n", "a\n\n\r\n" },                          /* and so is a bare LF */
	{ "a \nb\r\n", "a \nb\r\n", "a \nb\r\n" },
	{ "\r\n\r", "\r\n\r\r\n", "\r\n\r\r\n" },
	{ "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789  0123456789\r\n",
	  "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789  0123456789\r\n",
	  "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789\r\n" },
	{ "0123456789 0123456789 0123456789 0123456789 0123456789 01234567\r\n0123456789 \t\r\n\r\n",
	  "0123456789 0123456789 0123456789 0123456789 0123456789 01234567\r\n0123456789 \t\r\n",
	  "0123456789 0123456789 0123456789 0123456789 0123456789 01234567\r\n0123456789\r\n" },
};

static void
check(const struct bodies *b, enum canon canon, uint64_t limit, const char *form, size_t number)
{
	const struct body_hash *h = bodies_get(b, canon, limit);
	struct slice text = slice(form);
	unsigned char digest[SHA256_BYTES];

	assert_non_null(h);
	sha256_of(limit < text.n ? slice_head(text, limit) : text, digest);
	assert_case(h->length == text.n, number, form);
	assert_case(memcmp(h->digest, digest, sizeof digest) == 0, number, form);
}

/* The body in two pieces and then in pieces of `step`. */
static void
run(struct slice body, size_t first, size_t step, const char *simple, const char *relaxed, size_t number)
{
	struct bodies b = { 0 };

	assert_true(bodies_add(&b, CANON_SIMPLE, BODY_WHOLE));
	assert_true(bodies_add(&b, CANON_RELAXED, BODY_WHOLE));
	assert_true(bodies_add(&b, CANON_SIMPLE, 3));
	assert_true(bodies_add(&b, CANON_RELAXED, 3));
	assert_true(bodies_add(&b, CANON_RELAXED, 0));
	bodies_update(&b, slice_head(body, first));
	for (body = slice_skip(body, first); body.n; body = slice_skip(body, step))
		bodies_update(&b, slice_head(body, step));
	bodies_finish(&b);
	check(&b, CANON_SIMPLE, BODY_WHOLE, simple, number);
	check(&b, CANON_RELAXED, BODY_WHOLE, relaxed, number);
	check(&b, CANON_SIMPLE, 3, simple, number);
	check(&b, CANON_RELAXED, 3, relaxed, number);
	check(&b, CANON_RELAXED, 0, relaxed, number);
}

static void
bodies_become_canonical_however_they_come(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct slice body = slice(bodies[i].body);

		for (size_t step = 1; step <= 10; step += 3)
			for (size_t first = 0; first <= body.n; first++)
				run(body, first, step, bodies[i].simple, bodies[i].relaxed, i);
	}
}

static const struct { const char *body; enum canon canon; const char *base64; } known[] = {
	{ "", CANON_SIMPLE, "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=" },   /* RFC 6376 3.4.3 */
	{ "", CANON_RELAXED, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },  /* RFC 6376 3.4.4 */
	{ " C \r\nD \t E\r\n\r\n\r\n", CANON_SIMPLE, "NOeivbQlDH9TmNKJUw7D53wZfsk8YMZ/hTuVVwTgi8s=" },
	{ " C \r\nD \t E\r\n\r\n\r\n", CANON_RELAXED, "unak6JHq0wL+Q1HP7dW1tjBx9FLA6DffoZ0qrLwbbpo=" },
	{ "hi\r\n", CANON_SIMPLE, "RHI91NDg1Go8f6isolS2HCe2tXiflhd+gsgHAECfFTU=" },
	{ "hi", CANON_RELAXED, "RHI91NDg1Go8f6isolS2HCe2tXiflhd+gsgHAECfFTU=" },
	{ "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n", CANON_SIMPLE,
	  "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=" },                     /* RFC 6376 A.2 */
};

static void
known_hashes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		struct bodies b = { 0 };
		struct buf text = BUF(100);

		bodies_add(&b, known[i].canon, BODY_WHOLE);
		bodies_update(&b, slice(known[i].body));
		bodies_finish(&b);
		base64_add(&text, slice_of(b.hashes[0].digest, SHA256_BYTES));
		assert_slice(buf_slice(&text), known[i].base64);
		buf_free(&text);
	}
}

static void
equal_wishes_are_one_and_there_is_an_end_to_them(void **state)
{
	struct bodies b = { 0 };

	(void)state;
	for (uint64_t i = 0; i < BODIES_LIMITED; i++)
		for (int again = 0; again < 2; again++)
			assert_true(bodies_add(&b, CANON_RELAXED, i));
	assert_int_equal(b.count, BODIES_LIMITED);
	assert_false(bodies_add(&b, CANON_RELAXED, BODIES_LIMITED));
	assert_true(bodies_add(&b, CANON_RELAXED, 0));
	for (int again = 0; again < 2; again++) {               /* whole, there is always room */
		assert_true(bodies_add(&b, CANON_RELAXED, BODY_WHOLE));
		assert_true(bodies_add(&b, CANON_SIMPLE, BODY_WHOLE));
	}
	assert_int_equal(b.count, BODIES_MOST);
	assert_null(bodies_get(&b, CANON_SIMPLE, 0));
}

static void
many_empty_lines_come_out_when_something_follows(void **state)
{
	for (int ends = 0; ends < 100; ends++) {
		struct buf body = BUF(1000);

		(void)state;
		for (int i = 0; i < ends; i++)
			buf_add(&body, S("\r\n"));
		run(buf_slice(&body), 1, 7, "\r\n", "", (size_t)ends);
		buf_add(&body, S("x\r\n"));
		buf_byte(&body, '\0');                  /* to compare it as a string */
		body.n--;
		run(buf_slice(&body), 1, 7, body.p, body.p, (size_t)ends);
		buf_free(&body);
	}
}

/* --- hints ----------------------------------------------------------------- */

static const struct {
	const char *before, *added;
	bool        found;
	uint64_t    kept, lines;
} tails[] = {
	{ "a\r\nb\r\n", "-- \r\nfooter\r\n", true, 2, 2 },
	{ "a\r\nb\r\n", "\r\n-- \r\nfooter\r\n", true, 2, 3 },
	{ "a\r\nb\r\n\r\n\r\n", "-- \r\nfooter\r\n", true, 2, 4 },      /* empty lines are no part of it */
	{ "a\r\nb", "\r\nfooter", true, 2, 1 },
	{ "a\r\nb  c\t\r\n", "footer\r\n", true, 2, 1 },
	{ "a\r\nb", "c\r\nfooter\r\n", false, 0, 0 },                   /* the line itself was changed */
	{ "a\r\n", "1\r\n2\r\n3\r\n4\r\n", true, 1, 4 },
	{ "a\r\n", "1\r\n2\r\n3\r\n4\r\n5\r\n", false, 0, 0 },          /* remembered were only four */
	{ "", "footer\r\n", false, 0, 0 },
};

static void
an_added_footer_is_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(tails); i++)
		for (int form = 0; form < 2; form++)
			for (size_t step = 1; step < 9; step++) {
				struct bodies before = { 0 }, after = { 0 };
				struct buf body = BUF(1000);
				uint64_t kept = 0, added = 0;
				bool found;

				bodies_add(&before, form, BODY_WHOLE);
				bodies_update(&before, slice(tails[i].before));
				bodies_finish(&before);
				bodies_add(&after, form, BODY_WHOLE);
				bodies_remember(&after, 4);
				buf_printf(&body, "%s%s", tails[i].before, tails[i].added);
				for (size_t at = 0; at < body.n; at += step)
					bodies_update(&after, slice_head(slice_skip(buf_slice(&body), at), step));
				bodies_finish(&after);
				found = bodies_without_tail(&after, form, before.hashes[0].digest, &kept, &added);
				assert_case(found == tails[i].found, i, body.p);
				assert_case(kept == tails[i].kept && added == tails[i].lines, i, body.p);
				bodies_free(&after);
				buf_free(&body);
			}
}

static void
without_being_asked_nothing_is_remembered(void **state)
{
	struct bodies b = { 0 };
	uint64_t kept, added;

	(void)state;
	bodies_add(&b, CANON_SIMPLE, BODY_WHOLE);
	bodies_update(&b, S("a\r\nb\r\n"));
	bodies_finish(&b);
	assert_false(bodies_without_tail(&b, CANON_SIMPLE, b.hashes[0].digest, &kept, &added));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_become_canonical),
		cmocka_unit_test(a_last_line_without_an_end_gets_one),
		cmocka_unit_test(a_field_that_finds_no_room_is_not_hashed),
		cmocka_unit_test(bodies_become_canonical_however_they_come),
		cmocka_unit_test(known_hashes),
		cmocka_unit_test(equal_wishes_are_one_and_there_is_an_end_to_them),
		cmocka_unit_test(many_empty_lines_come_out_when_something_follows),
		cmocka_unit_test(an_added_footer_is_found),
		cmocka_unit_test(without_being_asked_nothing_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
