/* SPDX-License-Identifier: ISC */
#include "conf/route.h"
#include "unit.h"

/* A configuration with its tables, and the routes through it. */
struct world {
	struct files   files;
	struct flaws   flaws;
	struct conf   *conf;
	struct routes *routes;
	struct arena  *arena;
};

static void
begin(struct world *w, const char *text)
{
	struct reader reader = files_reader(&w->files);

	w->arena = arena_new(64 << 20);
	buf_add(&files_add(&w->files, S("/c/x.conf"), FILE_CONFIG)->bytes, slice(text));
	flaws_begin(&w->flaws);
	w->conf = conf_parse(S("/c/x.conf"), &reader, &w->flaws);
	assert_int_equal(w->flaws.errors, 0);
	flaws_end(&w->flaws);
	flaws_begin(&w->flaws);
	w->routes = routes_new(w->conf, &reader, &w->flaws);
}

static void
table(struct world *w, const char *name, enum file_purpose purpose, const char *text)
{
	buf_add(&files_add(&w->files, slice(name), purpose)->bytes, slice(text));
}

static void
end(struct world *w)
{
	routes_free(w->routes);
	conf_free(w->conf);
	flaws_end(&w->flaws);
	files_free(&w->files);
	arena_free(w->arena);
}

/* "maildir ann /m/ann", "alias: b@a.test c@d.test", … */
static void
say(struct world *w, const char *address_text, struct buf *out)
{
	struct slice path = slice(address_text);
	struct address address;
	struct route r;

	assert_int_equal(path_parse(&path, true, w->arena, &address), PATH_OK);
	r = route_local(w->routes, &address, w->arena);
	switch (r.kind) {
	case ROUTE_REMOTE:  buf_add(out, S("remote")); break;
	case ROUTE_NO_USER:
		buf_printf(out, "%u %u.%u.%u", r.refusal.reply, r.refusal.class, r.refusal.subject, r.refusal.detail);
		break;
	case ROUTE_MAILDIR: buf_printf(out, "%.*s in %.*s", FMT(r.user), FMT(r.maildir)); break;
	case ROUTE_LMTP:    buf_printf(out, "%.*s by lmtp", FMT(r.user)); break;
	case ROUTE_SMTP:    buf_printf(out, "%.*s by smtp", FMT(r.user)); break;
	case ROUTE_DISCARD: buf_printf(out, "%.*s nowhere", FMT(r.user)); break;
	case ROUTE_ALIAS:
		buf_add(out, S("->"));
		for (const struct target *t = r.targets; t != NULL; t = t->next)
			buf_printf(out, " %s%.*s", t->final ? "\\" : "", FMT(t->address.text));
		break;
	case ROUTE_LIST:
		buf_printf(out, "list %zu:", r.list->member_count);
		for (const struct target *t = r.list->members; t != NULL; t = t->next)
			buf_printf(out, " %.*s", FMT(t->address.text));
	}
}

/* --- one address -------------------------------------------------------------------- */

static const char TOWN[] =
    "hostname mx.a.test\n"
    "domain a.test { deliver to maildir /m/%d/%u/100%%; users Ann, bob, \"a b\", postmaster\n"
    "  alias team, sales -> ann, bob@a.test, c@far.test; alias ann -> ann, archive@b.test\n"
    "  alias bob+lists -> lists@far.test; list news -> ann, bob, ann, x@far.test }\n"
    "domain b.test { deliver to lmtp unix:/l }\n"
    "domain c.test { deliver to maildir /m/%u; alias info -> dave; catch-all eve }\n"
    "domain d.test { alias only -> x@far.test }\n"
    "domain e.test { deliver to discard; users zoe; catch-all zoe }\n"
    "domain f.test { deliver to maildir /m/%u; users fred }\n"
    "domain g.test { deliver to maildir /m/%u }\n";

static const struct { const char *address, *route; } cases[] = {
	{ "<x@far.test>", "remote" }, { "<x@sub.a.test>", "remote" }, { "<x@[127.0.0.1]>", "remote" },
	/* users, as they are written in the table, without regard to case */
	{ "<bob@a.test>", "bob in /m/a.test/bob/100%" }, { "<BOB@A.Test>", "bob in /m/a.test/bob/100%" },
	{ "<\"a B\"@a.test>", "a b in /m/a.test/a b/100%" }, { "<\"bob\"@a.test>", "bob in /m/a.test/bob/100%" },
	{ "<carl@a.test>", "550 5.1.1" }, { "<bobby@a.test>", "550 5.1.1" },
	/* sub-addressing */
	{ "<bob+x@a.test>", "bob in /m/a.test/bob/100%" }, { "<bob+x+y@a.test>", "bob in /m/a.test/bob/100%" },
	{ "<bob+@a.test>", "bob in /m/a.test/bob/100%" }, { "<+bob@a.test>", "550 5.1.1" },
	{ "<bob+lists@a.test>", "-> lists@far.test" }, { "<team+x@a.test>", "-> ann@a.test bob@a.test c@far.test" },
	{ "<news+x@a.test>", "list 3: ann@a.test bob@a.test x@far.test" },
	/* aliases and lists */
	{ "<Team@a.test>", "-> ann@a.test bob@a.test c@far.test" },
	{ "<sales@a.test>", "-> ann@a.test bob@a.test c@far.test" },
	{ "<ann@a.test>", "-> ann@a.test archive@b.test" },
	{ "<news@a.test>", "list 3: ann@a.test bob@a.test x@far.test" },          /* each once */
	/* every name is a user */
	{ "<Any@b.test>", "any by lmtp" }, { "<any+x@b.test>", "any by lmtp" },
	{ "<postmaster@b.test>", "postmaster by lmtp" },
	{ "<Any@g.test>", "any in /m/any" },
	{ "<\"../x\"@g.test>", "553 5.1.3" }, { "<\"..\"@g.test>", "553 5.1.3" }, { "<a/b@g.test>", "553 5.1.3" },
	{ "<\".x\"@g.test>", "553 5.1.3" }, { "<%d@g.test>", "%d in /m/%d" },
	{ "<j\xc3\xb6rg@g.test>", "j\xc3\xb6rg in /m/j\xc3\xb6rg" },
	/* beside a catch-all only those to whom something is delivered */
	{ "<eve@c.test>", "eve in /m/eve" }, { "<dave@c.test>", "dave in /m/dave" }, { "<Dave+x@c.test>", "dave in /m/dave" },
	{ "<info@c.test>", "-> dave@c.test" }, { "<frank@c.test>", "-> eve@c.test" },
	{ "<zoe@e.test>", "zoe nowhere" }, { "<any@e.test>", "-> zoe@e.test" },
	/* only other names */
	{ "<only@d.test>", "-> x@far.test" }, { "<any@d.test>", "550 5.1.1" },
	/* RFC 5321 4.5.1, RFC 2142: postmaster and abuse always exist */
	{ "<postmaster@a.test>", "postmaster in /m/a.test/postmaster/100%" },
	{ "<abuse@a.test>", "-> postmaster@a.test" },
	{ "<PostMaster@c.test>", "-> eve@c.test" }, { "<abuse@c.test>", "-> eve@c.test" },
	{ "<postmaster@d.test>", "-> postmaster@a.test" }, { "<abuse+x@d.test>", "-> postmaster@a.test" },
	{ "<postmaster@f.test>", "-> postmaster@a.test" }, { "<postmaster@far.test>", "remote" },
	{ "<postmaster>", "postmaster in /m/a.test/postmaster/100%" },             /* of the first domain */
	{ "<PostMaster@mx.a.test>", "postmaster in /m/a.test/postmaster/100%" },    /* and so is the host's */
	{ "<abuse@mx.a.test>", "remote" }, { "<x@mx.a.test>", "remote" }, { "<postmaster@b.a.test>", "remote" },
};

static void
an_address_goes_where_the_configuration_says(void **state)
{
	struct world w = { 0 };

	(void)state;
	begin(&w, TOWN);
	assert_int_equal(w.flaws.errors + w.flaws.warnings, 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out = BUF(4096);

		say(&w, cases[i].address, &out);
		if (!slice_eq(buf_slice(&out), slice(cases[i].route)))
			print_error("got %.*s\n", FMT(buf_slice(&out)));
		assert_case(slice_eq(buf_slice(&out), slice(cases[i].route)), i, cases[i].address);
		buf_free(&out);
	}
	end(&w);
}

static void
a_postmaster_is_there_even_where_nobody_is_named(void **state)
{
	struct world w = { 0 };
	struct buf out = BUF(4096);

	(void)state;
	begin(&w, "hostname b.test; domain a.test { deliver to maildir /m/%u; users ann }\n"
	    "domain b.test { deliver to discard; users bob }\ndomain c.test { alias x -> y@far.test }");
	assert_int_equal(w.flaws.warnings, 3);
	assert_slice(w.flaws.first->text, "nobody is named as postmaster of a.test");
	say(&w, "<postmaster@a.test>", &out);
	say(&w, "<postmaster>", &out);                  /* the host name is a domain of ours */
	say(&w, "<postmaster@c.test>", &out);
	assert_slice(buf_slice(&out), "postmaster in /m/postmasterpostmaster nowhere550 5.1.1");
	buf_free(&out);
	end(&w);
}

static void
a_full_arena_is_no_refusal_for_good(void **state)
{
	struct world w = { 0 };
	struct address a;
	struct arena *small = arena_new(60);

	(void)state;
	begin(&w, TOWN);
	assert_true(address_parse(S("bob@a.test"), w.arena, &a));
	for (int left = 3; left > 0 && arena_get(small, 17) != NULL; left--)
		;
	assert_int_equal(route_local(w.routes, &a, small).refusal.reply, 451);
	arena_free(small);
	end(&w);
}

/* --- destinations ---------------------------------------------------------------------- */

static void
the_longest_pattern_counts(void **state)
{
	static const struct { const char *domain; unsigned connections; } to[] = {
		{ "far.test", 5 }, { "a.test", 1 }, { "x.a.test", 2 }, { "y.x.a.test", 2 }, { "b.x.a.test", 3 },
		{ "c.b.x.a.test", 4 }, { "B.X.A.test", 3 }, { "other.test", 5 }, { "test", 5 }, { "d.test", 1 },
	};
	struct world w = { 0 };
	const struct destination_conf *d;

	(void)state;
	begin(&w, "hostname a.b; listen x { on *:25; allow relay from 127.0.0.1 }\n"
	    "delivery { to a.test, d.test { connections 1; via mx }; to .a.test { connections 2; tls require dane }\n"
	    "to b.x.a.test { connections 3 }; to .b.x.a.test { connections 4; rate 3/min; dane off }\n"
	    "connections 5; via 127.0.0.1:26; tls require verified }");
	for (size_t i = 0; i < COUNT(to); i++)
		assert_case(route_destination(w.conf, slice(to[i].domain))->connections == to[i].connections, i,
		    to[i].domain);
	d = route_destination(w.conf, S("a.test"));     /* over the defaults, wherever those stand */
	assert_true(d->via.kind == ENDPOINT_NONE && d->tls == TLS_VERIFIED && d->dane && d->sts);
	d = route_destination(w.conf, S("z.a.test"));
	assert_true(d->via.port == 26 && d->tls == TLS_DANE);
	d = route_destination(w.conf, S("z.b.x.a.test"));
	assert_true(d->rate.count == 3 && !d->dane && d->tls == TLS_VERIFIED);
	end(&w);
}

/* --- whom a rule means ----------------------------------------------------------------- */

static void
addresses_and_domains(void **state)
{
	static const struct { const char *address, *pattern; } whom[] = {
		{ "ann@far.test", "ann@far.test" }, { "ANN@FAR.test", "ann@far.test" }, { "ben@far.test", "" },
		{ "x@a.test", "a.test" }, { "x@A.Test", "a.test" }, { "x@b.a.test", "" },
		{ "x@sub.b.test", ".b.test" }, { "x@c.sub.b.test", ".b.test" }, { "x@b.test", "" },
		{ "ben@xb.test", "" }, { "a.test@far.test", "" }, { "x@[192.0.2.1]", "" },
		{ "\"two words\"@far.test", "\"two words\"@far.test" }, { "x@xn--bcher-kva.test", "xn--bcher-kva.test" },
	};
	struct world w = { 0 };

	(void)state;
	begin(&w, "hostname a.b; listen x { on *:25; allow relay from 127.0.0.1 }\n"
	    "delivery { hold to ann@far.test, a.test, .b.test, \"\\\"two words\\\"@far.test\", b\303\274cher.test }");
	for (size_t i = 0; i < COUNT(whom); i++) {
		struct address a;
		struct slice found;

		assert_true(address_parse(slice(whom[i].address), w.arena, &a));
		found = route_whom(&w.conf->delivery.hold_to, &a);
		assert_case(slice_eqi(found, slice(whom[i].pattern)), i, whom[i].address);
		assert_int_equal(route_whom(&w.conf->delivery.hold_from, &a).n, 0);
	}
	end(&w);
}

/* --- tables ------------------------------------------------------------------------------- */

static const struct { const char *aliases, *address, *route, *flaws; } tables[] = {
	{ "team: ann, ben@far.test\n", "<team@a.test>", "-> ann@a.test ben@far.test", "" },
	{ "# c\n\nteam :ann\r\n\t,ben@far.test\r\n# c\n \n  eve@far.test,\n\nx: ann", "<team@a.test>",
	    "-> ann@a.test ben@far.test eve@far.test", "" },
	{ "\"a team\": \"ann\" , \"\\\"q q\\\"@far.test\", \"q q\"@far.test", "<\"A Team\"@a.test>",
	    "-> ann@a.test \"q q\"@far.test \"q q\"@far.test", "" },
	{ "team@a.test: ann", "<team@a.test>", "-> ann@a.test", "" },
	{ "team: \\ann, ann", "<team@a.test>", "-> \\ann@a.test ann@a.test", "" },
	{ "team: :include:/c/more, ann", "<team@a.test>", "-> one@far.test two@far.test three@far.test ann@a.test", "" },
	{ "team: :include:more", "<team@a.test>", "-> one@far.test two@far.test three@far.test", "" },
	{ "\xef\xbb\xbfteam: ann", "<team@a.test>", "-> ann@a.test", "" },
	/* refused, by file and line */
	{ "x: ann\nteam: |/bin/cat, ann\n", "<team@a.test>", "-> ann@a.test", "al:2:7 commands are not run: \"|/bin/cat\"\n" },
	{ "team: \"|/bin/cat -x, y\"\n", "<team@a.test>", "550 5.1.1",
	    "al:1:7 commands are not run: \"\"|/bin/cat -x, y\"\"\nal:1:1 \"team\" has no targets\n" },
	{ "team: /var/mail/x, ann", "<team@a.test>", "-> ann@a.test", "al:1:7 files are not written: \"/var/mail/x\"\n" },
	{ "team: :fail: no, ann", "<team@a.test>", "-> ann@a.test",
	    "al:1:7 a comma is missing between targets: \":fail: no\"\n" },
	{ "team: :fail:, ann", "<team@a.test>", "-> ann@a.test", "al:1:7 this target is not known here: \":fail:\"\n" },
	{ "team: :include:/gone", "<team@a.test>", "550 5.1.1",
	    "al:1:7 /gone is not among the files that were read\nal:1:1 \"team\" has no targets\n" },
	{ "team: :include:/c/deep, ann", "<team@a.test>", "-> ann@a.test",
	    "deep:1:1 this target is not known here: \":include:/c/more\"\n" },
	{ "team: ann ben", "<team@a.test>", "550 5.1.1",
	    "al:1:7 a comma is missing between targets: \"ann ben\"\nal:1:1 \"team\" has no targets\n" },
	{ "team: \"ann\nx: ann", "<x@a.test>", "-> ann@a.test",
	    "al:1:7 a string is not closed: \"\"ann\"\nal:1:1 \"team\" has no targets\n" },
	{ "team: ann@, ann", "<team@a.test>", "-> ann@a.test",
	    "al:1:7 expected a name such as ann or an address such as ann@example.org, not \"ann@\"\n" },
	{ "team\n ann\nx: ann", "<x@a.test>", "-> ann@a.test", "al:1:1 expected a name and a colon\n" },
	{ " ann\nx: ann", "<x@a.test>", "-> ann@a.test", "al:1:2 this line goes on, but none begins before it\n" },
	{ ": ann\nx: ann", "<x@a.test>", "-> ann@a.test", "al:1:1 expected a name and a colon\n" },
	{ "team:\nx: ann", "<team@a.test>", "550 5.1.1", "al:1:1 \"team\" has no targets\n" },
	{ "team: ann\nTeam: x@far.test", "<team@a.test>", "-> ann@a.test", "al:2:1 \"Team\" is there twice\n" },
	{ "stated: ann", "<stated@a.test>", "-> x@far.test", "al:1:1 \"stated\" is there twice\n" },
	{ "team@b.test: ann", "<team@b.test>", "remote", "al:1:1 team@b.test is not an address of a.test\n" },
	{ "team: nobody", "<team@a.test>", "-> nobody@a.test",
	    "al:1:7 alias \"team\" goes to nobody, who is not a user of a.test\n" },
	{ "team: team", "<team@a.test>", "-> team@a.test",
	    "al:1:7 alias \"team\" goes to team, who is not a user of a.test\n" },
	/* loops */
	{ "one: two\ntwo: one", "<one@a.test>", "-> two@a.test", "al:2:6 this leads back to itself: one -> two -> one\n" },
	{ "zero: one\none: two, ann\ntwo: three\nthree: x@far.test, one", "<x@a.test>", "550 5.1.1",
	    "al:4:20 this leads back to itself: one -> two -> three -> one\n" },
	{ "ann: ann, x@far.test\ntwo: \\two, ann\nthree: ann+x", "<three@a.test>", "-> ann+x@a.test",
	    "al:2:6 alias \"two\" goes to two, who is not a user of a.test\n" },
};

static void
aliases_are_read_as_everybody_writes_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(tables); i++) {
		struct world w = { 0 };
		struct buf out = BUF(4096), flaws = BUF(4096);

		table(&w, "/c/al", FILE_ALIASES, tables[i].aliases);
		table(&w, "/c/more", FILE_ALIASES, "# more\n one@far.test\ntwo@far.test, three@far.test\n");
		table(&w, "/c/deep", FILE_ALIASES, ":include:/c/more\n");
		begin(&w, "hostname a.b; domain a.test { deliver to discard; users ann, postmaster\n"
		    "alias stated -> x@far.test; alias from file al }");
		say(&w, tables[i].address, &out);
		if (!slice_eq(buf_slice(&out), slice(tables[i].route)))
			print_error("got %.*s\n", FMT(buf_slice(&out)));
		assert_case(slice_eq(buf_slice(&out), slice(tables[i].route)), i, tables[i].aliases);
		for (const struct flaw *f = w.flaws.first; f != NULL; f = f->next)
			buf_printf(&flaws, "%.*s:%u:%u %.*s\n", FMT(slice_skip(f->file, 3)), f->line, f->column, FMT(f->text));
		if (!slice_eq(buf_slice(&flaws), slice(tables[i].flaws)))
			print_error("got %.*s\n", FMT(buf_slice(&flaws)));
		assert_case(slice_eq(buf_slice(&flaws), slice(tables[i].flaws)), i, tables[i].aliases);
		buf_free(&out);
		buf_free(&flaws);
		end(&w);
	}
}

static void
users_and_members_come_from_files(void **state)
{
	struct world w = { 0 };
	struct address poster;
	struct buf out = BUF(4096);
	struct address news;
	struct route r;

	(void)state;
	table(&w, "/c/passwd", FILE_USERS, "# users\nann:x:1000:1000::/home/ann\nBob  the builder\r\n\n  carl\nd/e\n");
	table(&w, "/c/members", FILE_MEMBERS,
	    "\xef\xbb\xbf""ann\r\n# members\n x@far.test \n\nX@far.test\nann@a.test\nno address\n");
	begin(&w, "hostname a.b; domain a.test { deliver to maildir /m/%u; users from file passwd\n"
	    "alias postmaster -> ann; list news { members dora@far.test; members from file members; post members } }\n"
	    "key k { domain a.test; file /k }");
	assert_int_equal(w.flaws.errors, 1);
	assert_slice(w.flaws.first->text, "no directory can be named \"d/e\"");
	assert_int_equal(w.flaws.first->line, 6);
	/* "no address" is a name with a blank: told as somebody who is not there */
	assert_int_equal(w.flaws.warnings, 1);
	say(&w, "<bob@a.test>", &out);
	say(&w, "<carl@a.test>", &out);
	say(&w, "<news@a.test>", &out);
	assert_slice(buf_slice(&out), "Bob in /m/Bobcarl in /m/carl"
	    "list 4: dora@far.test ann@a.test x@far.test \"no address\"@a.test");
	assert_true(address_parse(S("news@a.test"), w.arena, &news));
	r = route_local(w.routes, &news, w.arena);
	assert_true(address_parse(S("X@FAR.test"), w.arena, &poster));
	assert_true(route_may_post(r.list, &poster));
	assert_true(address_parse(S("y@far.test"), w.arena, &poster));
	assert_false(route_may_post(r.list, &poster));
	buf_free(&out);
	end(&w);
}

static const struct { const char *text, *flaw; } routes_flaws[] = {
	{ "domain a.test { deliver to discard; users ann; catch-all bob; alias postmaster -> ann }",
	    "the catch-all goes to bob, who is not a user of a.test" },
	{ "domain a.test { deliver to discard; alias info -> nobody; catch-all info }", NULL },
	{ "domain a.test { alias info -> nobody; catch-all info }", "this leads back to itself: info -> catch-all -> info" },
	{ "domain a.test { alias x -> y@b.test }\ndomain b.test { alias y -> x@a.test; alias postmaster -> z@far.test }",
	    "this leads back to itself: x -> y -> x" },
	{ "domain a.test { alias postmaster -> x@b.test }\ndomain b.test { alias x -> abuse }",
	    "this leads back to itself: postmaster -> x -> any postmaster -> postmaster" },
	/* lists: one in another is an umbrella, a ring is none */
	{ "domain a.test { list all -> aa, bb; list aa -> x@far.test, side; list bb -> y@far.test; alias side -> bb\n"
	    "alias postmaster -> z@far.test }\nkey k { domain a.test; file /k }", NULL },
	{ "domain a.test { list aa -> bb, x@far.test; list bb -> aa }\nkey k { domain a.test; file /k }",
	    "this leads back to itself: aa -> bb -> aa" },
	{ "domain a.test { list aa -> bb; list bb -> cc; list cc -> aa, x@far.test }\nkey k { domain a.test; file /k }",
	    "this leads back to itself: aa -> bb -> cc -> aa" },
	{ "domain a.test { list aa -> x@far.test, aa }\nkey k { domain a.test; file /k }",
	    "this leads back to itself: aa -> aa" },
	{ "domain a.test { list aa -> side@b.test }\ndomain b.test { alias side -> aa@a.test }\nkey k { domain a.test; file /k }",
	    "this leads back to itself: aa -> side -> aa" },
	{ "domain a.test { list aa { members x@far.test; post moderator; moderator aa } }\nkey k { domain a.test; file /k }",
	    "this leads back to itself: aa -> aa" },
	{ "domain a.test { list aa { members from file /c/nobody } }\nkey k { domain a.test; file /k }",
	    "list \"aa\" has no members: its mail is put off" },
	{ "domain a.test { deliver to discard; users from file gone }", "/c/gone is not among the files that were read" },
	{ "domain a.test { deliver to maildir /m/%u; users \"a/b\" }", "no directory can be named \"a/b\"" },
	{ "domain a.test { deliver to discard; alias x -> y; list x -> z@far.test }\nkey k { domain a.test; file /k }",
	    "\"x\" is there twice" },
};

static bool
has_flaw(const struct flaws *flaws, const char *text)
{
	for (const struct flaw *f = flaws->first; f != NULL; f = f->next)
		if (slice_eq(f->text, slice(text)))
			return true;
	return false;
}

static void
what_cannot_work_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(routes_flaws); i++) {
		struct world w = { 0 };
		struct buf text = BUF(4096);

		buf_printf(&text, "hostname a.b\n%s%c", routes_flaws[i].text, 0);
		table(&w, "/c/nobody", FILE_MEMBERS, "\xef\xbb\xbf# nobody yet\n");
		begin(&w, text.p);
		if (routes_flaws[i].flaw == NULL)
			assert_case(w.flaws.errors + w.flaws.warnings == 0, i, routes_flaws[i].text);
		else
			assert_case(has_flaw(&w.flaws, routes_flaws[i].flaw), i, routes_flaws[i].flaw);
		buf_free(&text);
		end(&w);
	}
}

/* --- lists and their managers ------------------------------------------------------------------ */

static const char LISTS[] = "hostname lists.test\n"
    "domain lists.test { deliver to lmtp unix:/own; users carl, bounced-bounces\n"
    "  lists from mailman /v/postfix_lmtp; lists from mailman /v/more; alias test-join -> x@far.test\n"
    "  list news { members ann@far.test, bob@far.test; owner o@far.test; post members; moderator m@far.test }\n"
    "  list only { members ann@far.test; post moderator; moderator m@far.test }\n"
    "  list bounced -> ann@far.test }\n"
    "key k { domain lists.test; file /k }\nlisten back { seal arc }";

static const struct { const char *address, *route; } managed[] = {
	{ "<test@lists.test>", "test at 127.0.0.1:8024" }, { "<Test@LISTS.test>", "test at 127.0.0.1:8024" },
	{ "<test-confirm+0123@lists.test>", "test-confirm at 127.0.0.1:8024" },
	{ "<test-bounces+a=b.test@lists.test>", "test-bounces at 127.0.0.1:8024" },
	{ "<six@lists.test>", "six at [::1]:8024" }, { "<unix@lists.test>", "unix at unix:/run/lmtp" },
	{ "<host@lists.test>", "host at mailman.test:24" }, { "<more@lists.test>", "more at 127.0.0.1:1" },
	{ "<small+subscribe@lists.test>", "small by smtp at 127.0.0.1:2600" },
	{ "<test-join@lists.test>", "-> x@far.test" },          /* what the administrator wrote comes first */
	{ "<test-nonsense@lists.test>", "550 5.1.1" }, { "<test-@lists.test>", "550 5.1.1" },
	{ "<else@lists.test>", "550 5.1.1" },                   /* of another domain */
	{ "<carl@lists.test>", "carl at unix:/own" },
	{ "<news@lists.test>", "list 2: ann@far.test bob@far.test" },
	{ "<news-owner@lists.test>", "-> o@far.test" }, { "<news-bounces@lists.test>", "-> o@far.test (news)" },
	{ "<news-bounces+ann=far.test@lists.test>", "-> o@far.test (news)" },
	{ "<bounced-bounces@lists.test>", "bounced-bounces at unix:/own" },     /* the name is taken */
};

static void
add_where(struct world *w, const char *address, struct buf *out)
{
	struct slice path = slice(address);
	struct address a;
	struct route r;

	say(w, address, out);
	assert_int_equal(path_parse(&path, true, w->arena, &a), PATH_OK);
	r = route_local(w->routes, &a, w->arena);
	if (r.kind == ROUTE_LMTP || r.kind == ROUTE_SMTP) {
		out->n -= strlen("by lmtp");
		buf_add(out, r.kind == ROUTE_SMTP ? S("by smtp at ") : S("at "));
		value_add_endpoint(out, *r.server);
		assert_true(r.manager == (r.server != &r.domain->lmtp));
	} else if (r.bounces != NULL) {
		buf_printf(out, " (%.*s)", FMT(r.bounces->conf->address.address.local));
	}
}

static void
a_list_manager_says_which_addresses_it_has(void **state)
{
	struct world w = { 0 };

	(void)state;
	table(&w, "/v/postfix_lmtp", FILE_LISTS, "# AUTOMATICALLY GENERATED BY MAILMAN\n#\n\n"
	    "test@lists.test               lmtp:[127.0.0.1]:8024\n"
	    "test-bounces@lists.test       lmtp:[127.0.0.1]:8024\r\n"
	    "test-confirm@lists.test\tlmtp:127.0.0.1:8024\n"
	    "test-join@lists.test lmtp:[127.0.0.1]:8024\n"
	    "six@lists.test lmtp:[ipv6:::1]:8024\nunix@lists.test lmtp:unix:/run/lmtp\n"
	    "host@lists.test lmtp:inet:mailman.test:24\nelse@other.test lmtp:[127.0.0.1]:8024\n");
	table(&w, "/v/more", FILE_LISTS, "more@lists.test lmtp:[127.0.0.1]:1\n"
	    "small@lists.test SMTP:[127.0.0.1]:2600\n");
	begin(&w, LISTS);
	assert_int_equal(w.flaws.errors, 0);
	for (size_t i = 0; i < COUNT(managed); i++) {
		struct buf out = BUF(4096);

		add_where(&w, managed[i].address, &out);
		buf_byte(&out, '\0');
		if (strcmp(out.p, managed[i].route) != 0)
			print_error("got %s\n", out.p);
		assert_case(strcmp(out.p, managed[i].route) == 0, i, managed[i].route);
		buf_free(&out);
	}
	end(&w);
}

static void
a_map_that_makes_no_sense_is_told_with_its_place(void **state)
{
	static const char *const bad[] = { "relay:[127.0.0.1]:25", "smtp:far.test", "lmtp:", "lmtp:[127.0.0.1]", "local:",
	    "lmtp:*:24", "lmtp:[::1]:0", "lmtp:[]inet:3", "lmtp:[a]b:3", "" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct world w = { 0 };
		struct buf map = BUF(1000);

		buf_printf(&map, "# x\ntest@a.test  %s\n%c", bad[i], 0);
		table(&w, "/m", FILE_LISTS, map.p);
		begin(&w, "hostname a.b; domain a.test { lists from mailman /m }\nlisten b { seal arc }\n"
		    "key k { domain a.test; file /k }");
		assert_case(has_flaw(&w.flaws, "expected lmtp: or smtp: and a socket"), i, bad[i]);
		assert_int_equal(w.flaws.first->line, 2);
		buf_free(&map);
		end(&w);
	}
}

static const struct { const char *list, *sender; bool may; } posts[] = {
	{ "news@lists.test", "ann@far.test", true }, { "news@lists.test", "ANN@far.test", true },
	{ "news@lists.test", "m@far.test", true }, { "news@lists.test", "x@far.test", false },
	{ "news@lists.test", "", false },
	{ "only@lists.test", "ann@far.test", false }, { "only@lists.test", "m@FAR.test", true },
	{ "bounced@lists.test", "x@far.test", true },
	{ "bounced@lists.test", "", false },            /* a bounce, an answer of a machine */
};

static void
who_may_post_is_said_by_the_list(void **state)
{
	struct world w = { 0 };

	(void)state;
	table(&w, "/v/postfix_lmtp", FILE_LISTS, "");
	table(&w, "/v/more", FILE_LISTS, "");
	begin(&w, LISTS);
	for (size_t i = 0; i < COUNT(posts); i++) {
		struct address list, sender = { .text = NONE };
		struct route r;

		assert_true(address_parse(slice(posts[i].list), w.arena, &list));
		if (*posts[i].sender != '\0')
			assert_true(address_parse(slice(posts[i].sender), w.arena, &sender));
		r = route_local(w.routes, &list, w.arena);
		assert_int_equal(r.kind, ROUTE_LIST);
		assert_case(route_may_post(r.list, &sender) == posts[i].may, i, posts[i].sender);
	}
	end(&w);
}

/* --- expansion ------------------------------------------------------------------------------- */

static void
expanded(struct world *w, const char *text, struct buf *out, struct expansion *x)
{
	struct address a;

	assert_true(address_parse(slice(text), w->arena, &a));
	assert_true(route_expand(w->routes, &a, w->arena, x));
	for (const struct reached *r = x->first; r != NULL; r = r->next) {
		for (const struct hop *h = r->path; h != NULL; h = h->from)
			buf_printf(out, "%.*s%s", FMT(h->address.local), h->from ? "<" : "");
		buf_add(out, r->route.kind == ROUTE_REMOTE ? S("! ") : r->route.kind == ROUTE_LIST ? S("* ")
		    : r->route.kind == ROUTE_NO_USER ? S("? ") : S(" "));
	}
}

static void
an_address_is_expanded_to_its_final_recipients(void **state)
{
	static const struct { const char *address, *recipients; bool loop; } all[] = {
		{ "bob@a.test", "bob ", false }, { "x@far.test", "x! ", false }, { "zed@a.test", "zed? ", false },
		{ "team@a.test", "ann<team bob<team x<team! ", false },
		{ "both@a.test", "ann<team<both bob<team<both x<team<both! X<both! ", false }, /* RFC 5321 2.4 */
		{ "keep@a.test", "keep<keep far<keep! ", false },             /* itself: the mailbox */
		{ "mine@a.test", "bob<mine far<mine! ", false },              /* \bob although bob is no alias */
		{ "posts@a.test", "news<posts* bob<posts ", false },          /* a list is a new message */
		{ "gone@a.test", "zed<gone? ", false },
		{ "twice@a.test", "bob<twice ", false },
		{ "detail@a.test", "bob+x<detail bob+y<detail ", false },
		{ "marked@a.test", "bob<marked keep<marked far<keep<marked! ", false },
	};
	struct world w = { 0 };

	(void)state;
	table(&w, "/c/al", FILE_ALIASES, "mine: \\bob, far@far.test\nmarked: \\bob, bob, \\keep, keep\n");
	begin(&w, "hostname a.b; domain a.test { deliver to discard; users ann, bob, keep, postmaster\n"
	    "alias team -> ann, bob, x@far.test; alias both -> team, bob, X@far.test; alias keep -> keep, far@far.test\n"
	    "alias posts -> news, bob; list news -> ann; alias gone -> zed; alias twice -> bob, BOB, bob@a.test\n"
	    "alias detail -> bob+x, bob+y; alias from file al }\nkey k { domain a.test; file /k }");
	for (size_t i = 0; i < COUNT(all); i++) {
		struct buf out = BUF(4096);
		struct expansion x;

		expanded(&w, all[i].address, &out, &x);
		if (!slice_eq(buf_slice(&out), slice(all[i].recipients)))
			print_error("got %.*s\n", FMT(buf_slice(&out)));
		assert_case(slice_eq(buf_slice(&out), slice(all[i].recipients)), i, all[i].address);
		assert_case((x.loop != NULL) == all[i].loop, i, all[i].address);
		assert_false(x.too_deep);
		buf_free(&out);
	}
	end(&w);
}

static void
loops_and_depth_end_an_expansion(void **state)
{
	struct world w = { 0 };
	struct buf text = BUF(65536), out = BUF(4096);
	struct expansion x;

	(void)state;
	for (int i = 0; i < 50; i++)
		buf_printf(&text, "a%d: a%d\n", i, i + 1);
	buf_add(&text, S("a50: ann\none: two, ann\ntwo: three\nthree: two, bob\n"));
	buf_byte(&text, '\0');
	table(&w, "/c/al", FILE_ALIASES, text.p);
	begin(&w, "hostname a.b; domain a.test { deliver to discard; users ann, bob, postmaster; alias from file al }");
	assert_true(w.flaws.errors >= 2);
	expanded(&w, "a0@a.test", &out, &x);
	assert_true(x.too_deep && x.count == 0);
	expanded(&w, "a31@a.test", &out, &x);           /* 20 aliases on the way are enough */
	assert_true(!x.too_deep && x.count == 1);
	expanded(&w, "a30@a.test", &out, &x);
	assert_true(x.too_deep && x.count == 0);
	buf_clear(&out);
	expanded(&w, "one@a.test", &out, &x);
	assert_slice(buf_slice(&out), "bob<three<two<one ann<one ");
	assert_non_null(x.loop);
	assert_slice(x.loop->address.local, "two");
	assert_slice(x.loop->from->address.local, "three");
	buf_free(&out);
	buf_free(&text);
	end(&w);
}

static void
an_expansion_is_bounded(void **state)
{
	struct world w = { 0 };
	struct address a;
	struct expansion x;
	struct arena *small = arena_new(1000);

	(void)state;
	begin(&w, "hostname a.b; domain a.test { deliver to discard; users ann, postmaster\n"
	    "alias team -> a@far.test, b@far.test, c@far.test, d@far.test, e@far.test, f@far.test, g@far.test }");
	assert_true(address_parse(S("team@a.test"), w.arena, &a));
	assert_false(route_expand(w.routes, &a, small, &x));
	arena_reset(small);
	assert_true(address_parse(S("ann@a.test"), w.arena, &a));
	assert_true(route_expand(w.routes, &a, small, &x));
	arena_free(small);
	end(&w);
}

/* 100,000 aliases and users are ordinary: looked up without looking through them. */
static void
large_tables_are_quick(void **state)
{
	enum { N = 100000 };
	struct buf aliases = BUF(16 << 20), users = BUF(16 << 20);
	struct world w = { 0 };
	struct address a;
	struct arena *scratch;

	(void)state;
	for (int i = 0; i < N; i++) {
		buf_printf(&aliases, "alias%d: user%d, alias%d\n", i, i, i / 7 + 1 < i ? i / 7 : N);
		buf_printf(&users, "user%d\n", i);
	}
	buf_printf(&aliases, "alias%d: x@far.test\n%c", N, 0);
	buf_byte(&users, '\0');
	table(&w, "/c/al", FILE_ALIASES, aliases.p);
	table(&w, "/c/us", FILE_USERS, users.p);
	begin(&w, "hostname a.b; domain a.test { deliver to maildir /m/%u; users from file us\n"
	    "alias from file al; alias postmaster -> user1 }");
	assert_int_equal(w.flaws.errors + w.flaws.warnings, 0);
	scratch = arena_new(1 << 20);
	for (int i = 0; i < N; i++) {
		char text[40];
		struct route r;

		snprintf(text, sizeof text, "USER%d@a.test", i);
		arena_reset(scratch);
		assert_true(address_parse(slice(text), scratch, &a));
		r = route_local(w.routes, &a, scratch);
		assert_int_equal(r.kind, ROUTE_MAILDIR);
	}
	arena_free(scratch);
	buf_free(&aliases);
	buf_free(&users);
	end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_goes_where_the_configuration_says),
		cmocka_unit_test(a_postmaster_is_there_even_where_nobody_is_named),
		cmocka_unit_test(a_full_arena_is_no_refusal_for_good),
		cmocka_unit_test(the_longest_pattern_counts), cmocka_unit_test(addresses_and_domains),
		cmocka_unit_test(aliases_are_read_as_everybody_writes_them),
		cmocka_unit_test(users_and_members_come_from_files),
		cmocka_unit_test(what_cannot_work_is_told),
		cmocka_unit_test(a_list_manager_says_which_addresses_it_has),
		cmocka_unit_test(a_map_that_makes_no_sense_is_told_with_its_place),
		cmocka_unit_test(who_may_post_is_said_by_the_list),
		cmocka_unit_test(an_address_is_expanded_to_its_final_recipients),
		cmocka_unit_test(loops_and_depth_end_an_expansion),
		cmocka_unit_test(an_expansion_is_bounded),
		cmocka_unit_test(large_tables_are_quick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
