/* SPDX-License-Identifier: ISC */
#include "auth/authres.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(1 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

#define BYTES(s) { s, sizeof(s) - 1 }

/* --- write ---------------------------------------------------------------- */

static struct slice
written(const struct authres *a, bool utf8, struct buf *to)
{
	buf_clear(to);
	authres_write(a, utf8, to);
	return buf_slice(to);
}

static void
a_field_with_every_method_is_as_the_registry_has_it(void **state)
{
	struct authres a;
	struct buf text = BUF(1 << 16);

	(void)state;
	authres_begin(&a, S("mx.example.net"), arena);
	assert_slice(written(&a, false, &text), "mx.example.net; none");       /* RFC 8601 2.2 */
	authres_add(&a, "spf", "pass");
	authres_property(&a, "smtp.mailfrom", S("example.org"));
	authres_add(&a, "dkim", "pass");
	authres_property(&a, "header.d", S("example.org"));
	authres_property(&a, "header.i", S("@news.example.org"));
	authres_property(&a, "header.s", S("s1"));
	authres_property(&a, "header.a", S("rsa-sha256"));
	authres_property(&a, "header.b", S("Ab/dEf+h"));
	authres_add(&a, "dmarc", "fail");
	authres_reason(&a, S("p=reject, trusted sealer"));
	authres_property(&a, "header.from", S("example.org"));
	authres_property(&a, "policy.dmarc", S("none"));
	authres_add(&a, "iprev", "pass");
	authres_property(&a, "policy.iprev", S("2001:db8::1"));
	authres_add(&a, "auth", "pass");
	authres_property(&a, "smtp.auth", S("ann=x@example.org"));
	assert_slice(written(&a, false, &text),
	    "mx.example.net;\r\n"
	    "\tspf=pass smtp.mailfrom=example.org;\r\n"
	    "\tdkim=pass header.d=example.org header.i=@news.example.org header.s=s1\r\n"
	    "\theader.a=rsa-sha256 header.b=\"Ab/dEf+h\";\r\n"
	    "\tdmarc=fail reason=\"p=reject, trusted sealer\" header.from=example.org\r\n"
	    "\tpolicy.dmarc=none;\r\n"
	    "\tiprev=pass policy.iprev=\"2001:db8::1\";\r\n"
	    "\tauth=pass smtp.auth=ann=x@example.org");
	assert_false(a.full);
	buf_free(&text);
}

/* What a sender wrote: as a value, in an ordinary message and in an EAI one. */
static const struct { struct slice value; const char *ascii, *utf8; } value_cases[] = {
	{ BYTES("example.org"), "example.org", NULL },
	{ BYTES("a@example.org"), "a@example.org", NULL },
	{ BYTES("@example.org"), "@example.org", NULL },
	{ BYTES("prvs=1/2=a+b@example.org"), "prvs=1/2=a+b@example.org", NULL },
	{ BYTES("a b@example.org"), "\"a b@example.org\"", NULL },
	{ BYTES("\"a b\"@example.org"), "\"\\\"a b\\\"@example.org\"", NULL },
	{ BYTES("a@b@example.org"), "\"a@b@example.org\"", NULL },
	{ BYTES("a@[192.0.2.1]"), "\"a@[192.0.2.1]\"", NULL },
	{ BYTES("a..b@example.org"), "\"a..b@example.org\"", NULL },
	{ BYTES("@"), "\"@\"", NULL },
	{ BYTES("2001:db8::1"), "\"2001:db8::1\"", NULL },
	{ BYTES("x; dmarc=pass"), "\"x; dmarc=pass\"", NULL },
	{ BYTES("x\"; dmarc=pass; y=\""), "\"x\\\"; dmarc=pass; y=\\\"\"", NULL },
	{ BYTES("x\\"), "\"x\\\\\"", NULL },
	{ BYTES("x\r\nEvil: yes"), "\"x??Evil: yes\"", NULL },                 /* B7.10 */
	{ BYTES("x\nEvil: yes"), "\"x?Evil: yes\"", NULL },
	{ BYTES("x\0y\tz\x7f"), "\"x?y?z?\"", NULL },
	{ BYTES("(comment"), "\"(comment\"", NULL },
	{ BYTES("x)"), "\"x)\"", NULL },
	{ BYTES("b\xc3\xbc" "cher.test"), "\"b??cher.test\"", "\"b\xc3\xbc" "cher.test\"" },
	{ BYTES("\xc3\xa4@x.test"), "\"??@x.test\"", "\"\xc3\xa4@x.test\"" },
	{ BYTES("\xc3\x28"), "\"?(\"", NULL },                                  /* no UTF-8 */
	{ BYTES("\xe2\x80\xa8"), "\"???\"", "\"\xe2\x80\xa8\"" },
};

static void
no_value_can_leave_its_place(void **state)
{
	struct buf text = BUF(1 << 16);

	(void)state;
	for (size_t i = 0; i < COUNT(value_cases); i++)
		for (int utf8 = 0; utf8 < 2; utf8++) {
			const char *want = utf8 && value_cases[i].utf8 ? value_cases[i].utf8 : value_cases[i].ascii;
			struct authres a, back;
			char whole[200];

			authres_begin(&a, S("id"), arena);
			authres_add(&a, "spf", "pass");
			authres_property(&a, "smtp.mailfrom", value_cases[i].value);
			authres_add(&a, "x-last", "none");
			snprintf(whole, sizeof whole, "id;\r\n\tspf=pass smtp.mailfrom=%s;\r\n\tx-last=none", want);
			assert_slice(written(&a, utf8, &text), whole);
			assert_case(authres_parse(buf_slice(&text), arena, &back), i, want);
			assert_case(back.count == 2 && back.results->count == 1, i, want);
		}
	buf_free(&text);
}

static void
a_reason_is_a_token_or_quoted(void **state)
{
	struct authres a;
	struct buf text = BUF(1 << 16);

	(void)state;
	authres_begin(&a, S("mx.example.net"), arena);
	authres_add(&a, "dkim", "fail");
	authres_reason(&a, S("expired"));
	authres_add(&a, "dkim", "fail");
	authres_reason(&a, S("a@example.org"));
	authres_property(&a, "header.i", S("a@example.org"));
	assert_slice(written(&a, false, &text), "mx.example.net;\r\n\tdkim=fail reason=expired;"
	    "\r\n\tdkim=fail reason=\"a@example.org\" header.i=a@example.org");
	buf_free(&text);
}

static void
an_id_is_written_in_letters_the_message_may_have(void **state)
{
	struct authres a;
	struct buf text = BUF(1 << 16);

	(void)state;
	authres_begin(&a, S("mx.b\xc3\xbc" "cher.test"), arena);
	assert_slice(written(&a, false, &text), "mx.xn--bcher-kva.test; none"); /* RFC 8601 2.5 */
	assert_slice(written(&a, true, &text), "\"mx.b\xc3\xbc" "cher.test\"; none");
	buf_free(&text);
}

static void
lines_stay_short_and_everything_is_bounded(void **state)
{
	struct authres a;
	struct buf text = BUF(1 << 20);
	char most[AUTHRES_VALUE + 1];
	struct slice rest, line;

	(void)state;
	memset(most, '"', sizeof most);
	authres_begin(&a, S("id"), arena);
	for (int i = 0; i <= AUTHRES_RESULTS; i++) {
		assert_int_equal(a.full, i > AUTHRES_RESULTS);
		authres_add(&a, "dkim", "fail");
		authres_reason(&a, slice_of(most, AUTHRES_VALUE));
		for (int j = 0; j < AUTHRES_PROPERTIES; j++)
			authres_property(&a, "header.d", slice_of(most, AUTHRES_VALUE));
	}
	assert_true(a.full);
	assert_int_equal(a.count, AUTHRES_RESULTS);
	authres_write(&a, false, &text);
	for (rest = buf_slice(&text); slice_cut(&rest, '\n', &line);)
		assert_true(line.n <= 998);                                     /* RFC 5322 2.1.1 */

	authres_begin(&a, S("id"), arena);
	authres_add(&a, "dkim", "fail");
	authres_property(&a, "header.d", slice_of(most, AUTHRES_VALUE + 1));
	authres_property(&a, "header.i", NONE);
	authres_reason(&a, slice_of(most, AUTHRES_VALUE + 1));
	assert_slice(written(&a, false, &text), "id;\r\n\tdkim=fail");
	buf_free(&text);
}

/* --- read: results as "method=result{reason}[ptype.name=value,…]" --------- */

static void
show(const struct authres *a, struct buf *to)
{
	buf_clear(to);
	buf_printf(to, "%.*s", FMT(a->authserv_id));
	for (const struct authres_result *r = a->results; r != NULL; r = r->next) {
		buf_printf(to, "|%.*s", FMT(r->method));
		if (r->version != 1)
			buf_printf(to, "/%u", r->version);
		buf_printf(to, "=%.*s", FMT(r->result));
		if (r->reason.p != NULL)
			buf_printf(to, "{%.*s}", FMT(r->reason));
		for (const struct authres_property *p = r->properties; p != NULL; p = p->next)
			buf_printf(to, ",%.*s.%.*s=%.*s", FMT(p->ptype), FMT(p->name), FMT(p->value));
	}
}

static const struct { const char *payload, *shown; } read_cases[] = {
	/* RFC 8601 appendix B */
	{ "example.org 1; none", "example.org" },
	{ " example.com;\r\n spf=pass smtp.mailfrom=example.net",
	  "example.com|spf=pass,smtp.mailfrom=example.net" },
	{ " example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n"
	  " spf=pass smtp.mailfrom=example.net",
	  "example.com|auth=pass,smtp.auth=sender@example.net|spf=pass,smtp.mailfrom=example.net" },
	{ " example.com;\r\n dkim=pass reason=\"good signature\"\r\n header.i=@mail-router.example.net;\r\n"
	  " dkim=fail reason=\"bad signature\" header.i=@newyork.example.com",
	  "example.com|dkim=pass{good signature},header.i=@mail-router.example.net"
	  "|dkim=fail{bad signature},header.i=@newyork.example.com" },
	{ " foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
	  " policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't"
	  " expecting it) 1362471462",
	  "foo.example.net|dkim=fail,policy.expired=1362471462" },
	/* J9 */
	{ "mx.example.net; dkim=pass header.d=example.org header.b=AbCdEfGh; arc=none smtp.remote-ip=192.0.2.7",
	  "mx.example.net|dkim=pass,header.d=example.org,header.b=AbCdEfGh|arc=none,smtp.remote-ip=192.0.2.7" },
	{ "i;none", "i" },
	{ "i ; NONE ;", "i" },
	{ "(a;b=c)\"i d\"(\\)) (x) ; a=b", "i d|a=b" },
	{ "i; a/2=b", "i|a/2=b" },
	{ "i; a=b reason = \"x;\\\"\\\\y\" c.d = \"e\\\"f\"", "i|a=b{x;\"\\y},c.d=e\"f" },
	{ "i; a=b c.d=\"a b\"@x.test", "i|a=b,c.d=\"a b\"@x.test" },
	{ "i; a=b c.d=\"e\"c.d=f", "i|a=b,c.d=e,c.d=f" },
	{ "i; a=b c.oldest-pass=0", "i|a=b,c.oldest-pass=0" },
	{ "i; spf=pass smtp.mailfrom=\xc3\xa4@b\xc3\xbc.test", "i|spf=pass,smtp.mailfrom=\xc3\xa4@b\xc3\xbc.test" },
	/* the liberties */
	{ "i; a=b;", "i|a=b" },
	{ "i; dmarc=pass action=none header.from=x.test", "i|dmarc=pass,.action=none,header.from=x.test" },
	{ "i; dkim=pass header.b=Ab/d+e==", "i|dkim=pass,header.b=Ab/d+e==" },
	{ "i; iprev=pass policy.iprev=2001:db8::1", "i|iprev=pass,policy.iprev=2001:db8::1" },
	{ "i; spf=none smtp.mailfrom=; a=b", "i|spf=none,smtp.mailfrom=|a=b" },
	{ "i; spf=none smtp.mailfrom=<>; a=b", "i|spf=none,smtp.mailfrom=<>|a=b" },
	/* nothing */
	{ "", NULL }, { "i", NULL }, { "i;", NULL }, { "; a=b", NULL }, { "i; none; a=b", NULL },
	{ "i; a=b; none", NULL }, { "i 2; a=b", NULL }, { "i 99999999999999999999; a=b", NULL },
	{ "i; a", NULL }, { "i; a=", NULL }, { "i; =b", NULL }, { "i; a==b", NULL }, { "i; a=b c", NULL },
	{ "i; a=b c.=d", NULL }, { "i; a=b c.d", NULL }, { "i; a=b (open", NULL }, { "i; a=b c.d=\"open", NULL },
	{ "i; a/x=b", NULL }, { "i; a=b)", NULL }, { "dkim=pass header.d=x.test", NULL },
	{ "a/b; a=b", NULL }, { "i j; a=b", NULL }, { "i; a=b; ; c=d", NULL }, { "(;) ; a=b", NULL },
	{ "i; a=b c.d=e\\;f=g", NULL },
	{ "((((((((((((((((((((((c))))))))))))))))))))))i; none", NULL },
};

static void
foreign_fields_are_read_by_the_grammar(void **state)
{
	struct buf text = BUF(1 << 16);

	(void)state;
	for (size_t i = 0; i < COUNT(read_cases); i++) {
		struct authres a;
		bool ok = authres_parse(slice(read_cases[i].payload), arena, &a);

		assert_case(ok == (read_cases[i].shown != NULL), i, read_cases[i].payload);
		if (!ok)
			continue;
		show(&a, &text);
		assert_slice(buf_slice(&text), read_cases[i].shown);
	}
	buf_free(&text);
}

static void
reading_is_bounded(void **state)
{
	struct buf text = BUF(1 << 20);
	struct authres a;

	(void)state;
	buf_add(&text, S("i"));
	for (int i = 0; i < AUTHRES_RESULTS; i++)
		buf_add(&text, S("; a=b"));
	assert_true(authres_parse(buf_slice(&text), arena, &a));
	assert_int_equal(a.count, AUTHRES_RESULTS);
	buf_add(&text, S("; a=b"));
	assert_false(authres_parse(buf_slice(&text), arena, &a));
	buf_clear(&text);
	buf_add(&text, S("i; a=b"));
	for (int i = 0; i < AUTHRES_PROPERTIES; i++)
		buf_add(&text, S(" c.d=e"));
	assert_true(authres_parse(buf_slice(&text), arena, &a));
	buf_add(&text, S(" c.d=e"));
	assert_false(authres_parse(buf_slice(&text), arena, &a));
	buf_free(&text);
}

static void
results_are_found_by_name(void **state)
{
	const struct authres_result *r;
	struct authres a;

	(void)state;
	assert_true(authres_parse(S("i; dkim=fail header.d=a; SPF=pass; DKIM=pass Header.D=b x=y"), arena, &a));
	r = authres_find(&a, "dkim", NULL);
	assert_slice(authres_value(r, "header.d"), "a");
	r = authres_find(&a, "dkim", r);
	assert_slice(authres_value(r, "header.d"), "b");
	assert_slice(authres_value(r, ".x"), "y");
	assert_slice(authres_value(r, "header.s"), "");
	assert_null(authres_find(&a, "dkim", r));
	assert_null(authres_find(&a, "arc", NULL));
}

/* --- recognize ------------------------------------------------------------ */

static const struct { struct slice payload; bool claims; } claim_cases[] = {
	/* RFC 8601 5: claims to have been added within our boundary */
	{ BYTES(" mx.example.net; dkim=pass"), true },
	{ BYTES("mx.example.net;none"), true },
	{ BYTES(" MX.Example.NET 1; dkim=pass"), true },
	{ BYTES("mx.example.net. ; dkim=pass"), true },
	{ BYTES("mx.example.net 2; dkim=pass"), true },
	{ BYTES("mx.example.net"), true },
	{ BYTES("mx.example.net dkim=pass"), true },
	{ BYTES("mx.example.net, dkim=pass"), true },
	{ BYTES("mx.example.net/1; dkim=pass"), true },
	{ BYTES("mx.example.net:25; dkim=pass"), true },
	{ BYTES("\r\n mx.example.net\r\n ; dkim=pass"), true },
	{ BYTES("(a comment) mx.example.net (another); dkim=pass"), true },
	{ BYTES("(a;b(c)\\)) mx.example.net; dkim=pass"), true },
	{ BYTES("\"mx.example.net\"; dkim=pass"), true },
	{ BYTES("\"mx.\\example.net\"; dkim=pass"), true },
	{ BYTES("\"mx.example.net; dkim=pass"), true },                         /* quotes that stay open */
	{ BYTES("mx.example.net(.evil.test; dkim=pass"), true },                /* CVE-2020-12272 */
	{ BYTES("evil.test(mx.example.net; dkim=pass"), true },
	{ BYTES("(mx.example.net); dkim=pass"), true },
	{ BYTES("evil.test (mx.example.net); dkim=pass"), true },
	{ BYTES("evil.test mx.example.net; dkim=pass"), true },
	{ BYTES("mx.(x)example.net; dkim=pass"), true },
	{ BYTES("mx.exa\r\n mple.net; dkim=pass"), true },
	{ BYTES("mx .\texample. net 1; dkim=pass"), true },
	{ BYTES("\"mx\".\"example\".\"net\"; dkim=pass"), true },
	{ BYTES("mx.example\0.net; dkim=pass"), true },
	{ BYTES("\xef\xbb\xbf" "mx.example.net; dkim=pass"), true },            /* a byte order mark */
	{ BYTES("mx\xe3\x80\x82" "example.net; dkim=pass"), true },             /* an ideographic dot */
	{ BYTES("\xef\xbd\x8d\xef\xbd\x98.example.net; dkim=pass"), true },     /* fullwidth letters */
	{ BYTES("<mx.example.net>; dkim=pass"), true },
	{ BYTES("@mx.example.net; dkim=pass"), true },
	{ BYTES("=?us-ascii?q?mx=2Eexample=2Enet?=; dkim=pass"), true },
	{ BYTES("=?utf-8?b?bXguZXhhbXBsZS5uZXQ=?=; dkim=pass"), true },
	/* white space of Unicode, and of Latin-1 */
	{ BYTES("mx.example.net\xc2\xa0; dkim=pass"), true },
	{ BYTES("\xc2\xa0mx.example.net; dkim=pass"), true },
	{ BYTES("mx.example.net\xe3\x80\x80; dkim=pass"), true },
	{ BYTES("\xe3\x80\x80mx.example.net; dkim=pass"), true },
	{ BYTES("mx.example.net\xe2\x80\x83; dkim=pass"), true },
	{ BYTES("mx.example.net\xe2\x80\x8b 1; dkim=pass"), true },
	{ BYTES("mx.example.net\xe2\x80\xa8\xe2\x80\xaf\xe1\x9a\x80\xe2\x81\x9f; dkim=pass"), true },
	{ BYTES("mx.example.net\xc2\x85; dkim=pass"), true },
	{ BYTES("mx.example.net\x0b; dkim=pass"), true },
	{ BYTES("mx.example.net\x1f; dkim=pass"), true },
	{ BYTES("mx.example.net\xa0; dkim=pass"), true },
	{ BYTES("\x85mx.example.net; dkim=pass"), true },
	{ BYTES("mx.exam\xc2\xa0ple.net; dkim=pass"), true },
	{ BYTES("(\xe2\x80\x83mx.example.net\xc2\xa0) x; dkim=pass"), true },
	{ BYTES("\"mx.example.net\xc2\xa0\"; dkim=pass"), true },
	{ BYTES("\xc2\xa0; dkim=pass"), true },
	{ BYTES("b\xc3\xa0r.test\xc2\xa0; dkim=pass"), false },                /* a letter that ends with 0xA0 */
	{ BYTES("mx.example.net\xe2\x80\x90; dkim=pass"), false },            /* U+2010 is a hyphen */
	/* names nobody */
	{ BYTES(""), true },
	{ BYTES(" (x) ; dkim=pass"), true },
	{ BYTES("; dkim=pass"), true },
	{ BYTES("dkim=pass header.d=x.test; spf=pass"), true },
	{ BYTES("(open; dkim=pass"), true },
	{ BYTES("i j k dkim=pass"), true },
	{ BYTES("\"\"; dkim=pass"), true },
	/* others' */
	{ BYTES("mx.example.org; dkim=pass header.d=mx.example.net"), false },
	{ BYTES("mx.example.network; dkim=pass"), false },
	{ BYTES("amx.example.net; dkim=pass"), false },
	{ BYTES("a.mx.example.net; dkim=pass"), false },
	{ BYTES("example.net; dkim=pass (mx.example.net)"), false },
	{ BYTES("other.test 1 (all good, a=b); spf=pass smtp.helo=mx.example.net"), false },
	{ BYTES("b\xc3\xbc" "cher.test 1; dkim=pass"), false },
	{ BYTES("example-isp; none"), false },
	{ BYTES("a/b; dkim=pass"), false },
};

static void
whoever_claims_our_id_is_recognized(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(claim_cases); i++)
		assert_case(authres_claims(claim_cases[i].payload, S("mx.example.net"), arena) ==
		    claim_cases[i].claims, i, claim_cases[i].payload.p);
}

static void
an_id_is_the_same_in_all_its_letters(void **state)
{
	(void)state;
	/* RFC 8601 5: after converting A-labels into U-labels */
	assert_true(authres_claims(S("mx.b\xc3\xbc" "cher.test; none"), S("mx.xn--bcher-kva.test"), arena));
	assert_true(authres_claims(S("MX.B\xc3\x9c" "CHER.test; none"), S("mx.xn--bcher-kva.test"), arena));
	assert_true(authres_claims(S("mx.bu\xcc\x88" "cher.test; none"), S("mx.xn--bcher-kva.test"), arena));
	assert_true(authres_claims(S("mx.XN--BCHER-KVA.test; none"), S("mx.b\xc3\xbc" "cher.test"), arena));
	assert_false(authres_claims(S("mx.bucher.test; none"), S("mx.b\xc3\xbc" "cher.test"), arena));
	assert_true(authres_claims(S("Example-ISP; none"), S("example-isp"), arena));
}

static void
a_front_that_is_too_tangled_claims(void **state)
{
	struct buf text = BUF(1 << 16);

	(void)state;
	for (int i = 0; i < 33; i++)
		buf_add(&text, S("a "));
	assert_false(authres_claims(slice_head(buf_slice(&text), 64), S("mx.example.net"), arena));
	assert_true(authres_claims(buf_slice(&text), S("mx.example.net"), arena));
	buf_clear(&text);
	for (int i = 0; i < 9; i++)
		buf_add(&text, S("\xc3\xa4,"));
	assert_true(authres_claims(buf_slice(&text), S("mx.example.net"), arena));
	buf_clear(&text);
	buf_add(&text, S("other.test ("));
	for (int i = 0; i < 1000; i++)
		buf_add(&text, S("x"));
	buf_add(&text, S("); none"));
	assert_true(authres_claims(buf_slice(&text), S("mx.example.net"), arena));
	buf_free(&text);
}

static void
forged_fields_are_listed(void **state)
{
	struct slice ids[] = { S("mx.example.net"), S("old.example.net") };
	struct authres_forged forged;
	struct arena *tiny = arena_new(8);
	struct header h;

	(void)state;
	assert_true(header_parse(&h, S(
	    "Authentication-Results: mx.example.net; dkim=pass\r\n"
	    "Authentication-Results: other.test; dkim=pass\r\n"
	    "AUTHENTICATION-RESULTS : OLD.example.net;\r\n none\r\n"
	    "Authentication-Results: other.test 2; dkim=pass\r\n"
	    "X-Authentication-Results: mx.example.net; dkim=pass\r\n"
	    "X-Authentication-Results: other.test 2; dkim=pass\r\n"
	    "ARC-Authentication-Results: i=1; mx.example.net; dkim=pass\r\n"
	    "Authentication-Results-Original: mx.example.net; dkim=pass\r\n"), arena, NULL));
	assert_true(authres_forged(&h, ids, 2, arena, &forged));
	assert_int_equal(forged.count, 4);
	assert_ptr_equal(forged.fields[0], &h.fields[0]);
	assert_ptr_equal(forged.fields[1], &h.fields[2]);
	assert_ptr_equal(forged.fields[2], &h.fields[3]);
	assert_ptr_equal(forged.fields[3], &h.fields[4]);
	assert_false(authres_forged(&h, ids, 2, tiny, &forged));
	assert_int_equal(forged.count, 0);
	arena_free(tiny);
}

static const struct { const char *value; bool ours; } received_spf_cases[] = {
	{ "pass (mx.example.net: domain of a@b.test designates 192.0.2.1) client-ip=192.0.2.1", true },
	{ "pass (other.test: domain of a@mx.example.net designates 192.0.2.1) client-ip=192.0.2.1", false },
	{ "pass receiver=mx.example.net", true },
	{ "pass\r\n\tclient-ip=192.0.2.1;\r\n\treceiver=mx.example.net;\r\n\tidentity=helo", true },
	{ "Pass client-ip=192.0.2.1; RECEIVER = \"MX.Example.NET.\"; helo=x", true },
	{ "pass receiver(x)=(y)\r\n mx.(z)exam\r\n ple.net", true },
	{ "pass receiver=\"mx\\.example.net\"", true },
	{ "pass (mailfrom) identity=mailfrom; helo=mx.example.net; receiver=other.test", false },
	{ "pass envelope-from=\"receiver=mx.example.net\"; receiver=other.test", false },
	{ "pass receiver=other.test; receiver=mx.example.net", true },
	{ "pass (x; receiver=mx.example.net", true },
	{ "pass receiver(x; =mx.example.net", true },                           /* a comment that stays open */
	{ "pass receiver=other.test; helo=\"\\\"\\\"x", true },                  /* quotes that do */
	{ "pass receiver=a.test; receiver=b.test; receiver=c.test; receiver=d.test", false },
	{ "pass receiver=a.test; receiver=b.test; receiver=c.test; receiver=d.test; receiver=e.test", true },
	{ "pass receivers=mx.example.net", false },
	{ "pass (a: b) \"open; helo=x", true },                         /* what may it hide? */
	{ "pass (a: b) \"\\\"; helo=x", true },
	{ "pass (a: b) \\\"; helo=x\"", false },
	{ "pass (a: b) receiver=b; receiver=c; receiver=d; receiver=e; helo=x", false },
	{ "pass (a: b) receiver=b; receiver=c; receiver=d; receiver=e; receiver=f", true },
	{ "pass (a: b) receiver=receiver=receiver=receiver=receiver=x;", true },
	{ "pass", false },
};

/* RFC 7208 9.1; RFC 8601 5 for the rest */
static void
received_spf_in_our_name_is_forged(void **state)
{
	struct slice id = S("mx.example.net");

	(void)state;
	for (size_t i = 0; i < COUNT(received_spf_cases); i++) {
		struct authres_forged forged;
		struct header h;
		struct slice block = arena_printf(arena, "Received-SPF : %s\r\n", received_spf_cases[i].value);

		assert_true(header_parse(&h, block, arena, NULL));
		assert_true(authres_forged(&h, &id, 1, arena, &forged));
		assert_case(forged.count == received_spf_cases[i].ours, i, received_spf_cases[i].value);
	}
}

/* To compare them costs much: there is a bound, and what is behind it is not trusted. */
static void
words_that_are_not_ascii_are_compared_so_often(void **state)
{
	struct slice id = S("mx.example.net");
	struct authres_forged forged;
	struct buf block = BUF(1 << 16);
	struct header h;

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_printf(&block, "Authentication-Results: b\xc3\xbc" "cher%d.test; none\r\n", i);
	buf_add(&block, S("Authentication-Results: other.test; none\r\n"));
	assert_true(header_parse(&h, buf_slice(&block), arena, NULL));
	assert_true(authres_forged(&h, &id, 1, arena, &forged));
	assert_true(forged.count > 0 && forged.count < 100);
	assert_ptr_not_equal(forged.fields[0], &h.fields[0]);
	assert_ptr_equal(forged.fields[forged.count - 1], &h.fields[99]);
	buf_free(&block);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_field_with_every_method_is_as_the_registry_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(no_value_can_leave_its_place, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reason_is_a_token_or_quoted, setup, teardown),
		cmocka_unit_test_setup_teardown(an_id_is_written_in_letters_the_message_may_have, setup, teardown),
		cmocka_unit_test_setup_teardown(lines_stay_short_and_everything_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(foreign_fields_are_read_by_the_grammar, setup, teardown),
		cmocka_unit_test_setup_teardown(reading_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(results_are_found_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(whoever_claims_our_id_is_recognized, setup, teardown),
		cmocka_unit_test_setup_teardown(an_id_is_the_same_in_all_its_letters, setup, teardown),
		cmocka_unit_test_setup_teardown(received_spf_in_our_name_is_forged, setup, teardown),
		cmocka_unit_test_setup_teardown(a_front_that_is_too_tangled_claims, setup, teardown),
		cmocka_unit_test_setup_teardown(forged_fields_are_listed, setup, teardown),
		cmocka_unit_test_setup_teardown(words_that_are_not_ascii_are_compared_so_often, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
