/* SPDX-License-Identifier: ISC */
#include "lab/gallery.h"
#include "unit.h"

enum { MEMORY = 4 << 20 };

static struct scenario *
read_scenario(struct slice name, struct files *files)
{
	struct reader reader = files_reader(files);
	struct scenario *sc;
	struct flaws flaws;

	flaws_begin(&flaws);
	sc = scenario_read(name, &reader, &flaws);
	for (const struct flaw *f = flaws.first; f != NULL; f = f->next)
		print_error("%.*s:%u: %.*s\n", FMT(f->file), f->line, FMT(f->text));
	assert_int_equal(flaws.errors, 0);
	flaws_end(&flaws);
	return sc;
}

static void
the_gallery_has_a_table(void **state)
{
	struct files files = { 0 };
	struct arena *arena = arena_new(MEMORY);
	struct scenario *sc;
	size_t count = 0, later = 0;

	(void)state;
	gallery_files(&files);
	sc = read_scenario(GALLERY_NAME, &files);
	for (const struct gallery_row *r = gallery_rows(sc, arena); r != NULL; r = r->next) {
		assert_true(r->flaw.n > 0 && r->rfc.n > 4);
		assert_non_null(r->send);
		/* What is delivered was protected somehow, and the row says how. */
		assert_int_equal(slice_eq(r->outcome, S("delivered")), r->tls.n > 0);
		count++;
		later += r->changes;
	}
	assert_true(count >= 100 && later >= 10 && later < count / 2);
	scenario_free(sc);
	arena_free(arena);
	files_free(&files);
}

static const char TWO[] =
    "lab {\n host a.test { domain a.test { } }\n send from x@a.test to y@b.test, y@c.test, y@d.test\n"
    " expect delivered to y@b.test { tls verified by dane; flaw \"f\"; rfc \"7672 2.2\"; attempts 2 }\n"
    " expect delivered to y@d.test { tls none }\n"
    " change record c.test MX gone\n"
    " expect deferred to y@c.test { flaw \"g\"; rfc \"8461 5\" }\n}\n";

static struct gallery_row *
two_rows(struct scenario **sc, struct files *files, struct arena *arena)
{
	buf_add(&files_add(files, S("x.lab"), FILE_CONFIG)->bytes, slice(TWO));
	*sc = read_scenario(S("x.lab"), files);
	return gallery_rows(*sc, arena);
}

static void
a_row_is_an_outcome_with_a_flaw(void **state)
{
	struct files files = { 0 };
	struct arena *arena = arena_new(MEMORY);
	struct scenario *sc;
	const struct gallery_row *r = two_rows(&sc, &files, arena);

	(void)state;
	assert_slice(r->domain, "b.test");
	assert_slice(r->address, "y@b.test");
	assert_ptr_equal(r->send, statement_find(sc->first, LAB_SEND));
	assert_slice(r->flaw, "f");
	assert_slice(r->rfc, "RFC 7672 2.2");
	assert_slice(r->outcome, "delivered");
	assert_slice(r->tls, "verified by dane");
	assert_slice(r->expected, "delivered; tls verified by dane; attempts 2");
	assert_false(r->changes || r->alone);
	r = r->next;
	assert_slice(r->domain, "c.test");
	assert_slice(r->expected, "deferred");
	assert_true(r->changes && r->next == NULL);
	scenario_free(sc);
	arena_free(arena);
	files_free(&files);
}

static void
a_row_is_right_when_all_of_it_holds(void **state)
{
	struct files files = { 0 };
	struct arena *arena = arena_new(MEMORY);
	struct scenario *sc;
	struct gallery_row *r = two_rows(&sc, &files, arena);
	const struct statement *tls = statement_find(r->statement->block, LAB_OUTCOME_TLS);
	struct verdict_line second = { NULL, tls, S("tls"), true, S("tls verified by dane") };
	struct verdict_line first = { &second, r->statement, S("to"), true, S("delivered at attempt 1: 250 Ok") };
	struct play p = { .first = &first };

	(void)state;
	gallery_judge(r, &p, arena);
	assert_true(r->right);
	assert_slice(r->got, "delivered; tls verified by dane");
	assert_slice(r->reply, "delivered at attempt 1: 250 Ok");
	assert_false(r->next->right);           /* nobody has looked at it */
	second.holds = false;
	second.came = S("tls none");
	gallery_judge(r, &p, arena);
	assert_false(r->right);
	assert_slice(r->got, "delivered; tls none");
	first.holds = false;
	first.came = S("nobody tried");
	gallery_judge(r, &p, arena);
	assert_slice(r->got, "nobody tried; tls none");
	scenario_free(sc);
	arena_free(arena);
	files_free(&files);
}

/* What reaches the world of somebody else's sender: questions, and messages. */
static void
what_a_world_sees_of_a_sender(void **state)
{
	enum { ENCRYPTED = 1, CLEAR = 2, ANOTHER = 4, EIGHT_BIT = 8 };
	static const char *const lines[] = {
		"delivered to y@b.test { tls verified by sts", "delivered to y@b.test { tls encrypted",
		"delivered to y@b.test { tls none", "deferred to y@b.test { dsn 4.7.5", "bounced to y@b.test { dsn 5.1.10",
		"delivered to y@b.test { tls encrypted; alone", "delivered to y@b.test { tls none; alone",
		"bounced to y@b.test { dsn 5.6.3; or converted",
	};
	static const struct { unsigned line; const char *asked; int took; const char *got; bool right; } cases[] = {
		{ 0, "", 0, "nobody asked for it", false }, { 3, "", 0, "nobody asked for it", false },
		{ 0, "b.test", 0, "not delivered", false },
		{ 0, "b.test", ENCRYPTED, "delivered; tls encrypted", true },
		{ 0, "", ENCRYPTED, "delivered; tls encrypted", true },         /* he knew where it is */
		{ 0, "B.TEST", CLEAR, "delivered; tls none", false },
		{ 0, "b.test", ENCRYPTED | CLEAR, "delivered; tls none", false },       /* once is enough */
		{ 1, "b.test", ENCRYPTED, "delivered; tls encrypted", true },
		{ 1, "b.test", CLEAR, "delivered; tls none", false },
		{ 2, "b.test", CLEAR, "delivered; tls none", true },
		{ 2, "b.test", ENCRYPTED, "delivered; tls encrypted", true },
		{ 3, "b.test", 0, "not delivered", true }, { 4, "b.test", 0, "not delivered", true },
		{ 3, "b.test", ENCRYPTED, "delivered; tls encrypted", false },
		{ 4, "b.test", CLEAR, "delivered; tls none", false },
		{ 1, "b.test", ENCRYPTED | ANOTHER, "delivered; tls encrypted", true },
		{ 5, "b.test", ENCRYPTED, "delivered; tls encrypted", true },
		{ 5, "b.test", ENCRYPTED | ANOTHER, "delivered; tls encrypted; in company", false },
		{ 5, "b.test", ANOTHER, "delivered; tls encrypted; in company", false },
		{ 6, "b.test", CLEAR | ANOTHER, "delivered; tls none; in company", false },
		{ 5, "b.test", 0, "not delivered", false },
		{ 7, "b.test", 0, "not delivered", true },
		{ 7, "b.test", ENCRYPTED, "delivered; tls encrypted; converted", true },
		{ 7, "b.test", ENCRYPTED | EIGHT_BIT, "delivered; tls encrypted", false },
		{ 1, "b.test", ENCRYPTED | EIGHT_BIT, "delivered; tls encrypted", true },
		{ 3, "c.test", 0, "nobody asked for it", false }, { 3, "mx.b.test", 0, "nobody asked for it", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct files files = { 0 };
		struct arena *arena = arena_new(MEMORY);
		struct scenario *sc;
		struct gallery_row *r;

		buf_printf(&files_add(&files, S("x.lab"), FILE_CONFIG)->bytes, "lab {\n host a.test { domain a.test { } }\n"
		    " send from x@a.test to y@b.test\n expect %s; flaw \"f\"; rfc \"7672 2.2\" }\n}\n",
		    lines[cases[i].line]);
		sc = read_scenario(S("x.lab"), &files);
		r = gallery_rows(sc, arena);
		gallery_asked(r, slice(cases[i].asked));
		if (cases[i].took & ENCRYPTED)
			gallery_took(r, S("y@b.test"), true, !(cases[i].took & EIGHT_BIT));
		if (cases[i].took & CLEAR)
			gallery_took(r, S("Y@b.test"), false, true);
		if (cases[i].took & ANOTHER)
			gallery_took(r, S("z@b.test"), true, true);
		gallery_took(r, S("y@elsewhere.test"), false, true);
		gallery_judge_seen(r);
		assert_slice(r->got, cases[i].got);
		assert_case(r->right == cases[i].right, i, cases[i].got);
		assert_case((r->skipped != NULL) == (strncmp(cases[i].got, "nobody", 6) == 0), i, cases[i].got);
		scenario_free(sc);
		arena_free(arena);
		files_free(&files);
	}
}

static void
what_needs_a_change_is_skipped(void **state)
{
	struct files files = { 0 };
	struct arena *arena = arena_new(MEMORY);
	struct scenario *sc;
	struct gallery_row *r = two_rows(&sc, &files, arena);

	(void)state;
	gallery_asked(r, S("c.test"));
	gallery_judge_seen(r);
	assert_string_equal(r->next->skipped, "only right after a change");
	assert_false(r->next->right);
	scenario_free(sc);
	arena_free(arena);
	files_free(&files);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_gallery_has_a_table),
		cmocka_unit_test(a_row_is_an_outcome_with_a_flaw),
		cmocka_unit_test(a_row_is_right_when_all_of_it_holds),
		cmocka_unit_test(what_a_world_sees_of_a_sender),
		cmocka_unit_test(what_needs_a_change_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
