/* SPDX-License-Identifier: ISC */
#include "auth/spf.h"
#include "auth/spf_macro.h"
#include "auth/spf_record.h"
#include "base/buf.h"
#include "base/text.h"
#include "dns/zone.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(1 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

/* --- macros (RFC 7208 7) ----------------------------------------------------- */

static const struct spf_values VALUES = {
	.sender = S_INIT("strong-bad@email.example.com"), .local = S_INIT("strong-bad"),
	.sender_domain = S_INIT("email.example.com"), .domain = S_INIT("email.example.com"),
	.address = S_INIT("192.0.2.3"), .validated = S_INIT("mx.example.org"),
	.family = S_INIT("in-addr"), .helo = S_INIT("a_b/c=d+e,f.~x y"),
	.readable = S_INIT("192.0.2.3"), .receiver = S_INIT("mx.test"), .time = S_INIT("1795311000"),
};

static const struct { const char *text, *result; } macro_cases[] = {
	/* RFC 7208 7.4 */
	{ "%{s}", "strong-bad@email.example.com" },
	{ "%{o}", "email.example.com" },
	{ "%{d}", "email.example.com" },
	{ "%{d4}", "email.example.com" },
	{ "%{d3}", "email.example.com" },
	{ "%{d2}", "example.com" },
	{ "%{d1}", "com" },
	{ "%{dr}", "com.example.email" },
	{ "%{d2r}", "example.email" },
	{ "%{l}", "strong-bad" },
	{ "%{l-}", "strong.bad" },
	{ "%{lr}", "strong-bad" },
	{ "%{lr-}", "bad.strong" },
	{ "%{l1r-}", "strong" },
	{ "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" },
	{ "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
	{ "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
	{ "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com" },
	{ "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net" },
	/* 7.1 */
	{ "%%%_%-", "% %20" },
	{ "%%{d}", "%{d}" },
	{ "%{p}/%{p2}", "mx.example.org/example.org" },
	{ "%{D1R}", "email" },                   /* letters of the grammar have no case */
	{ "%{d00002}", "example.com" },
	{ "%{d99999999999999999999}", "email.example.com" },
	{ "%{h-+,/_=}", "a.b.c.d.e.f.~x y" },   /* a dot is a delimiter only when it is named */
	{ "%{h1-+,/_=}", "f.~x y" },
	{ "%{hr.}", "~x y.a_b/c=d+e,f" },
	{ "%{S}", "strong-bad%40email.example.com" },   /* 7.3, RFC 3986 2.3 */
	{ "%{H}", "a_b%2Fc%3Dd%2Be%2Cf.~x%20y" },
	{ "%{H2=+}", "d.e%2Cf.~x%20y" },
	{ "plain.text", "plain.text" },
	{ "", "" },
};

static void
macros_are_expanded(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(macro_cases); i++) {
		struct buf b = BUF(200);

		assert_null(spf_macro_flaw(slice(macro_cases[i].text)));
		assert_true(spf_macro_expand(&b, slice(macro_cases[i].text), &VALUES));
		assert_slice(buf_slice(&b), macro_cases[i].result);
		buf_free(&b);
	}
}

static void
parts_of_odd_values(void **state)
{
	static const struct { const char *value, *macro, *result; } cases[] = {
		{ "", "%{d}", "" }, { "", "%{dr}", "" }, { "", "%{d1r}", "" },
		{ ".", "%{dr}", "." }, { "a.", "%{d1}", "" }, { "a.", "%{dr}", ".a" },
		{ ".a", "%{d1r}", "" }, { ".a", "%{d2r}", "a." }, { "a..b", "%{d2}", ".b" },
		{ "a..b", "%{d2r}", ".a" }, { "a", "%{d1r}", "a" }, { "a.b", "%{d1r}", "a" },
		{ "a.b", "%{d2r}", "b.a" }, { "a.b", "%{d3r}", "b.a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct spf_values values = { .domain = slice(cases[i].value) };
		struct buf b = BUF(200);

		assert_true(spf_macro_expand(&b, slice(cases[i].macro), &values));
		assert_case(slice_eq(buf_slice(&b), slice(cases[i].result)), i, cases[i].macro);
		buf_free(&b);
	}
}

static void
an_expansion_stops_at_the_ceiling(void **state)
{
	struct buf b = BUF(20);

	(void)state;
	assert_false(spf_macro_expand(&b, S("%{d}%{d}"), &VALUES));
	buf_free(&b);
}

static void
wrong_macros_are_seen(void **state)
{
	static const char *const bad[] = {
		"%", "%a", "%(ir)", "foo%.bar", "%{", "%{}", "%{d", "%{x}", "%{1}", "%{d0}", "%{d000}",
		"%{d1x}", "%{drr}", "%{dr1}", "%{d.r}", "%{d*}", "%{ d}", "%%%", "%{%{d}}",
		"%{c}", "%{r}", "%{t}", "%{R}",                         /* 7.2: in explanations only */
		"a b", "\xc3\xa4", "a\x7f", "a\rb",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_case(spf_macro_flaw(slice(bad[i])) != NULL, i, bad[i]);
	assert_null(spf_explanation_flaw(S("%{c} is not %{R}'s at %{t}")));
	assert_non_null(spf_explanation_flaw(S("two\nlines")));
	assert_non_null(spf_explanation_flaw(S("%{x} files")));
	assert_true(spf_macro_uses(S("a%{i}b%{L2r-}"), "ls"));
	assert_false(spf_macro_uses(S("%%{l}.s.%{d}"), "ls"));
}

/* --- the syntax of records (RFC 7208 4.6.1, 5, 6, 7.1, 12) ---------------------- */

static const char *const good_terms[] = {
	"all", "+all", "-all", "?all", "~all", "ALL", "include:a.test", "Include:%{d}", "a", "A",
	"a/0", "a/32", "a//0", "a//128", "a/24//64", "a:a.test", "a:a.test.", "a:a.test/24", "a:a.test//64",
	"a:a.test/24//64", "a:%{d}/24", "a:%%", "a:%-/8", "a:foo:bar/baz.a.test", "a:.test", "a:a..test",
	"a:a.xn--zckzah", "a:a.1a", "a:a.a1", "a:a.1-1", "a:a.4a4", "a:%{d2r.-+,/_=}.test",
	"mx", "mx/1//2", "mx:a.test", "-mx:%{o}/30", "ptr", "ptr:a.test", "?ptr:%{d}",
	"ip4:192.0.2.1", "ip4:192.0.2.0/24", "ip4:0.0.0.0/0", "-ip4:192.0.2.1/32", "IP4:192.0.2.1",
	"ip6:2001:db8::", "ip6:2001:db8::/32", "ip6:::/0", "ip6:::1/128", "ip6:::ffff:192.0.2.1",
	"exists:a.test", "exists:%{ir}.%{v}.a.test", "redirect=a.test", "REDIRECT=%{d2}", "exp=a.test",
	"x=", "x=anything:goes/here", "x=%{d}", "default=pass", "moo.cow-far_out=man:dog/cat", "a.b=c",
	"a=b", "all=", "ip4=x",                         /* modifiers, however they are called */
};

static const char *const bad_terms[] = {
	"alll", "all:", "all:a.test", "all/8", "-all.", "+-all", "--all", "-", "+", "moo", "1up=foo",
	"=all", "-x=y", "+redirect=a.test", "include", "include:", "include/24", "include:a.test/24",
	"a:", "a/", "a//", "a/33", "a//129", "a/032", "a//064", "a/00", "a/24/64", "a//64/24", "a///64", "a/x", "a:/24",
	"a/99999999999999999999", "a:museum", "a:museum.", "a:a.test..", "a:abc.123", "a:111.222.33.44",
	"a:1.2.3.4/24", "a:a.test:8080", "a:a.-test", "a:a.test-", "a:a.te_st", "a:a.test/33", "a:%{x}", "a:%", "a:%{d}x",
	"a:a.test/24/", "a.test", "a;b", "a,", "mx:", "mx/33", "mx:%{c}.test", "ptr:", "ptr/24", "ptr:a.test/24",
	"ip4", "ip4:", "ip4/24", "ip4:192.0.2", "ip4:192.0.2.1.1", "ip4:192.0.2.256", "ip4:192.0.02.1",
	"ip4:192.0.2.1/33", "ip4:192.0.2.1/024", "ip4:192.0.2.1//32", "ip4:192.0.2.1/", "ip4:192.0.2.1:25",
	"ip4:2001:db8::", "ip4:a.test", "ip4:%{i}", "ip6", "ip6:", "ip6:192.0.2.1", "ip6:2001:db8::/129",
	"ip6:2001:db8::/032", "ip6:2001:db8:::/32", "ip6::cafe::babe", "ip6:2001:db8::1//64", "ip6:fe80::1%eth0",
	"exists", "exists:", "exists/24", "exists:a.test/24", "redirect", "redirect:a.test", "redirect=",
	"redirect=-all", "redirect=a.test/24", "redirect=%{r}.test", "exp", "exp=", "exp=-all", "exp=%{t}.test",
	"x=%abc", "x=%{y}", "x=%{c}", "spf2.0/pra", "all\t", "a:a.test\r", "a:\xc3\xa4.test", "a:a.te\x01st", "v=spf1%",
};

static bool
term_is_good(const char *text)
{
	char record[200];
	struct spf_record r;
	struct spf_term bad;
	const char *flaw;

	snprintf(record, sizeof record, "v=spf1 %s", text);
	flaw = spf_record_read(slice(record), &r, &bad);
	if (flaw != NULL) {
		assert_slice(bad.text, text);
		assert_int_equal(bad.at, 7);
	}
	return flaw == NULL;
}

static void
terms_are_right_or_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good_terms); i++)
		assert_case(term_is_good(good_terms[i]), i, good_terms[i]);
	for (size_t i = 0; i < COUNT(bad_terms); i++)
		assert_case(!term_is_good(bad_terms[i]), i, bad_terms[i]);
	assert_false(spf_record_is(S("v=spf1\0")));             /* a NUL ends no version */
}

static void
what_is_a_record(void **state)
{
	static const char *const no[] = { "", "v=spf", "v=spf10", "v=spf1mx", "v=spf1\t-all", " v=spf1",
	    "v=spf2 -all", "v=spf1.0 -all", "spf1 -all" };

	(void)state;
	assert_true(spf_record_is(S("v=spf1")));
	assert_true(spf_record_is(S("V=SpF1 -all")));
	for (size_t i = 0; i < COUNT(no); i++)
		assert_case(!spf_record_is(slice(no[i])), i, no[i]);
}

static void
a_record_is_read_term_by_term(void **state)
{
	struct slice text = S("v=spf1  a:x.test/20//40 ?ip6:2001:db8::/33   ~all exp=e.test ");
	struct spf_record r;
	struct spf_term t;
	const char *flaw;
	size_t at = 0;

	(void)state;
	assert_null(spf_record_read(text, &r, &t));
	assert_true(r.has_all);
	assert_slice(r.exp.target, "e.test");
	assert_int_equal(r.redirect.text.n, 0);
	assert_true(spf_term_next(text, &at, &t, &flaw));
	assert_slice(t.text, "a:x.test/20//40");
	assert_slice(t.target, "x.test");
	assert_true(t.kind == TERM_A && t.at == 8 && t.bits4 == 20 && t.bits6 == 40 && t.result == SPF_PASS);
	assert_true(spf_term_next(text, &at, &t, &flaw));
	assert_true(t.kind == TERM_IP6 && t.at == 24 && t.bits6 == 33 && t.result == SPF_NEUTRAL);
	assert_true(spf_term_next(text, &at, &t, &flaw));
	assert_true(t.kind == TERM_ALL && t.at == 45 && t.result == SPF_SOFTFAIL);
	assert_true(spf_term_next(text, &at, &t, &flaw));
	assert_int_equal(t.kind, TERM_EXP);
	assert_false(spf_term_next(text, &at, &t, &flaw));
	assert_null(flaw);
}

/* --- evaluation ------------------------------------------------------------------ */

static const char ZONE[] =
    /* 4.3 to 4.5: finding the record */
    "none.test.        TXT \"just text\"\n"
    "joined.test.      TXT \"v=spf1 ip4:192.\" \"0.2.1 -all\"\n"
    "unspaced.test.    TXT \"v=spf1\" \"-all\"\n"
    "two.test.         TXT \"v=spf1 -all\"\n"
    "two.test.         TXT \"V=SPF1 +all\"\n"
    "other.test.       TXT \"v=spf10 +all\"\n"
    "other.test.       TXT \"\\195\\164\"\n"
    "other.test.       TXT \"v=spf1 -all\"\n"
    "broken.test.      TXT !servfail\n"
    "alias.test.       CNAME other.test.\n"
    "xn--bcher-kva.test. TXT \"v=spf1 a:%{d}.x.test -all\"\n"
    "xn--bcher-kva.test.x.test. A 192.0.2.1\n"
    /* 4.6, 4.7 */
    "empty.test.       TXT \"v=spf1\"\n"
    "late.test.        TXT \"v=spf1 ip4:192.0.2.1 -all moo\"\n"
    "order.test.       TXT \"v=spf1 ?ip4:192.0.2.1 ~ip4:192.0.2.0/24 -all\"\n"
    "control.test.     TXT \"v=spf1 ip4:192.0.2.1\\013\\010 -all\"\n"
    "bytes.test.       TXT \"v=spf1 a:\\195\\164.test -all\"\n"
    /* 5.1 */
    "all.test.         TXT \"v=spf1 ~all -all redirect=none.test\"\n"
    /* 5.2 */
    "inc.test.         TXT \"v=spf1 ?include:i-pass.test -all\"\n"
    "i-pass.test.      TXT \"v=spf1 ip4:192.0.2.1 ~ip4:192.0.2.2 ?ip4:192.0.2.3 -all exp=boom.test\"\n"
    "inc-temp.test.    TXT \"v=spf1 include:broken.test +all\"\n"
    "inc-perm.test.    TXT \"v=spf1 include:late.test +all\"\n"
    "inc-none.test.    TXT \"v=spf1 include:none.test +all\"\n"
    "inc-gone.test.    TXT \"v=spf1 include:gone.test +all\"\n"
    "inc-bad.test.     TXT \"v=spf1 include:%{h} +all\"\n"
    "inc-o.test.       TXT \"v=spf1 include:inc-o2.test -all\"\n"
    "inc-o2.test.      TXT \"v=spf1 exists:%{o}.%{d}.x.test\"\n"
    "inc-o.test.inc-o2.test.x.test. A 127.0.0.2\n"
    /* 5.3 */
    "a.test.           TXT \"v=spf1 a -all\"\n"
    "a.test.           A 192.0.2.1\n"
    "a.test.           A 192.0.2.2\n"
    "a.test.           AAAA 2001:db8::1\n"
    "a-cidr.test.      TXT \"v=spf1 a:a.test/24//64 -all\"\n"
    "a-zero.test.      TXT \"v=spf1 a:gone.test/0 -all\"\n"
    "a-zero6.test.     TXT \"v=spf1 a:v4.test//0 -all\"\n"
    "v4.test.          A 192.0.2.9\n"
    "a-alias.test.     TXT \"v=spf1 a:www.test -all\"\n"
    "www.test.         CNAME a.test.\n"
    "a-temp.test.      TXT \"v=spf1 a:slow.test +all\"\n"
    "slow.test.        A !timeout\n"
    "slow.test.        AAAA !timeout\n"
    "slow.test.        MX !timeout\n"
    "a-dots.test.      TXT \"v=spf1 a:x..test a:%{h}.%{h}.%{h}.test -all\"\n"
    "a-odd.test.       TXT \"v=spf1 a:macro%%percent%_%_space%-url-space.x.test -all\"\n"
    "macro%percent\\032\\032space%20url-space.x.test. A 192.0.2.1\n"
    /* 5.4 */
    "mx.test.          TXT \"v=spf1 mx -all\"\n"
    "mx.test.          MX 20 m2.test.\n"
    "mx.test.          MX 10 m1.test.\n"
    "m1.test.          A 192.0.2.1\n"
    "m2.test.          A 192.0.2.2\n"
    "m2.test.          AAAA 2001:db8::2\n"
    "mx-none.test.     TXT \"v=spf1 mx -all\"\n"
    "mx-none.test.     A 192.0.2.1\n"                   /* no implicit MX here */
    "mx-null.test.     TXT \"v=spf1 mx -all\"\n"
    "mx-null.test.     MX 0 .\n"
    "mx-temp.test.     TXT \"v=spf1 mx:slow.test +all\"\n"
    "mx-host.test.     TXT \"v=spf1 mx -all\"\n"
    "mx-host.test.     MX 10 m1.test.\n"
    "mx-host.test.     MX 20 slow.test.\n"
    "mx-host.test.     MX 30 m2.test.\n"
    "mx10.test.        TXT \"v=spf1 mx -all\"\n"
    "mx11.test.        TXT \"v=spf1 mx:mx11.test -all\"\n"
    /* 5.5 */
    "ptr.test.         TXT \"v=spf1 ptr -all\"\n"
    "ptr-other.test.   TXT \"v=spf1 ptr:PTR.test -all\"\n"
    "1.2.0.192.in-addr.arpa. PTR liar.ptr.test.\n"
    "1.2.0.192.in-addr.arpa. PTR Good.ptr.test.\n"
    "liar.ptr.test.    A 192.0.2.77\n"
    "good.ptr.test.    A 192.0.2.1\n"
    "2.2.0.192.in-addr.arpa. PTR xptr.test.\n"
    "xptr.test.        A 192.0.2.2\n"
    "3.2.0.192.in-addr.arpa. PTR !timeout\n"
    "4.2.0.192.in-addr.arpa. PTR broken.ptr.test.\n"
    "4.2.0.192.in-addr.arpa. PTR four.ptr.test.\n"
    "broken.ptr.test.  A !servfail\n"
    "four.ptr.test.    A 192.0.2.4\n"
    "5.2.0.192.in-addr.arpa. PTR v1.ptr.test.\n"        /* voids that the client chose */
    "5.2.0.192.in-addr.arpa. PTR v2.ptr.test.\n"
    "5.2.0.192.in-addr.arpa. PTR v3.ptr.test.\n"
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR six.ptr.test.\n"
    "six.ptr.test.     AAAA 2001:db8::1\n"
    /* 5.6 */
    "ip.test.          TXT \"v=spf1 ip4:192.0.2.16/28 ip6:2001:db8:1::/48 ip6:::ffff:192.0.2.1 -all\"\n"
    "ip-all.test.      TXT \"v=spf1 ip6:::/0 -all\"\n"
    /* 5.7 */
    "exists.test.      TXT \"v=spf1 exists:%{ir}.%{v}.l.test -all\"\n"
    "1.2.0.192.in-addr.l.test. A 127.0.0.2\n"
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.l.test. A 127.0.0.2\n"
    "exists6.test.     TXT \"v=spf1 exists:six.ptr.test -all\"\n"   /* has AAAA only */
    "exists-l.test.    TXT \"v=spf1 exists:%{l}.l.test include:%{s}.l.test ~all\"\n"
    "user.l.test.      A 127.0.0.2\n"
    /* 6.1 */
    "redir.test.       TXT \"v=spf1 ip4:192.0.2.1 redirect=a.test\"\n"
    "redir-none.test.  TXT \"v=spf1 redirect=none.test\"\n"
    "redir-bad.test.   TXT \"v=spf1 redirect=%{h}\"\n"
    "redir-temp.test.  TXT \"v=spf1 redirect=broken.test\"\n"
    "redir-l.test.     TXT \"v=spf1 redirect=%{l}.l.test\"\n"
    "redir2.test.      TXT \"v=spf1 redirect=a.test redirect=a.test\"\n"
    "exp2.test.        TXT \"v=spf1 -all exp=a.test exp=b.test\"\n"
    /* 6.2 */
    "exp.test.         TXT \"v=spf1 ip4:192.0.2.1 -all exp=why.exp.test\"\n"
    "why.exp.test.     TXT \"%{i} is not one of %{d}'s, %{s}; %{c} %{r} %{t}%% %{h} %{p}\"\n"
    "exp-redir.test.   TXT \"v=spf1 exp=boom.test redirect=exp.test\"\n"
    "exp-lost.test.    TXT \"v=spf1 exp=why.exp.test redirect=other.test\"\n"
    "exp-inc.test.     TXT \"v=spf1 include:exp.test -all exp=own.exp.test\"\n"
    "own.exp.test.     TXT \"Our own words.\"\n"
    "boom.test.        TXT \"must not be seen\"\n"
    "exp-two.test.     TXT \"v=spf1 -all exp=none2.test\"\n"
    "none2.test.       TXT \"one\"\n"
    "none2.test.       TXT \"two\"\n"
    "exp-gone.test.    TXT \"v=spf1 a:gone.test a:gone2.test -all exp=gone3.test\"\n"
    "exp-temp.test.    TXT \"v=spf1 -all exp=broken.test\"\n"
    "exp-bad.test.     TXT \"v=spf1 -all exp=x.exp.test\"\n"
    "x.exp.test.       TXT \"the %{x} files\"\n"
    "exp-utf8.test.    TXT \"v=spf1 -all exp=u.exp.test\"\n"
    "u.exp.test.       TXT \"\\195\\164\"\n"
    "exp-l.test.       TXT \"v=spf1 -all exp=l.exp.test\"\n"
    "l.exp.test.       TXT \"see http://x.test/?%{L}\"\n"
    "exp-long.test.    TXT \"v=spf1 -all exp=long.exp.test\"\n"
    "exp-name.test.    TXT \"v=spf1 -all exp=%{ir}.exp.test\"\n"
    "1.1.1.1.exp.test. TXT \"found by address\"\n"
    "exp-p.test.       TXT \"v=spf1 -all exp=p.exp.test\"\n"
    "p.exp.test.       TXT \"you are %{p}\"\n"
    /* 7 */
    "p.test.           TXT \"v=spf1 exists:%{p}.p.l.test -all\"\n"
    "good.ptr.test.p.l.test. A 127.0.0.2\n"
    "unknown.p.l.test. A 127.0.0.2\n"
    "long.test.        TXT \"v=spf1 exists:%{o}.%{s}.%{o}.%{s}.%{o}.%{s}.%{o}.%{s}.%{o}.%{s}.%{o}.%{s}.%{o}.%{s}"
    ".%{o}.%{s}.%{o}.l.test -all\"\n"
    "long2.test.       TXT \"v=spf1 exists:0123456789%{o}012345678901234567890123456789.l.test -all\"\n"
    "helo.test.        TXT \"v=spf1 a:%{h} -all\"\n"
    "dot.test.         TXT \"v=spf1 a:a.test. include:i-pass.test. -all\"\n"
    /* 4.6.4 */
    "ten.test.         TXT \"v=spf1 a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test"
    " a:v4.test a:v4.test exists:v4.test -all\"\n"
    "eleven.test.      TXT \"v=spf1 a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test"
    " a:v4.test a:v4.test a:v4.test redirect=a.test\"\n"
    "nested.test.      TXT \"v=spf1 include:five.test include:five.test -all\"\n"
    "five.test.        TXT \"v=spf1 a:v4.test mx:mx.test ptr:x.test a:v4.test\"\n"
    "nested2.test.     TXT \"v=spf1 include:five.test include:five.test a:v4.test -all\"\n"
    "self.test.        TXT \"v=spf1 include:self.test -all\"\n"
    "loop.test.        TXT \"v=spf1 redirect=loop2.test\"\n"
    "loop2.test.       TXT \"v=spf1 redirect=loop.test\"\n"
    "void2.test.       TXT \"v=spf1 a:gone.test exists:none.test ip4:192.0.2.1 -all\"\n"
    "void3.test.       TXT \"v=spf1 a:gone.test mx:gone.test exists:gone.test +all\"\n"
    "void-again.test.  TXT \"v=spf1 a:gone.test a:gone.test a:gone.test +all\"\n"
    "void-mx.test.     TXT \"v=spf1 mx +all\"\n"
    "void-mx.test.     MX 10 m2.test.\n"
    "void-mx.test.     MX 20 gone1.test.\n"
    "void-mx.test.     MX 30 gone2.test.\n"
    "void-mx.test.     MX 40 gone3.test.\n"
    "void-ptr.test.    TXT \"v=spf1 ptr ptr:a.test ptr:b.test +all\"\n"
    "p-ten.test.       TXT \"v=spf1 a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test"
    " exists:%{p}.gone.test a:%{p}.v4.test ?all\"\n"
    "p-eleven.test.    TXT \"v=spf1 a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test a:v4.test"
    " a:v4.test a:v4.test exists:%{p}.gone.test ?all\"\n"
    "ptr11.test.       TXT \"v=spf1 ptr -all\"\n";

static const struct evaluation {
	const char     *section, *from, *ip;
	enum spf_result result;
	const char     *term;           /* that decided, or "" */
	const char     *text;           /* of a fail: the explanation; else a part of `why` */
} evaluations[] = {
	{ "4.3", "u@test", "192.0.2.1", SPF_NONE, "", "not the name of a domain" },
	{ "4.3", "u@a..test", "192.0.2.1", SPF_NONE, "", "not the name" },
	{ "4.3", "u@[192.0.2.1]", "192.0.2.1", SPF_NONE, "", "not the name" },
	{ "4.3", "u@0123456789012345678901234567890123456789012345678901234567890123.test", "192.0.2.1",
	    SPF_NONE, "", "not the name" },
	{ "4.3", "u@gone.test", "192.0.2.1", SPF_NONE, "", "no SPF record" },
	{ "4.3", "u@Other.TEST.", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "4.4", "u@broken.test", "192.0.2.1", SPF_TEMPERROR, "", "looking up TXT of broken.test failed: SERVFAIL" },
	{ "4.5", "u@none.test", "192.0.2.1", SPF_NONE, "", "none.test has no SPF record" },
	{ "4.5", "u@joined.test", "192.0.2.1", SPF_PASS, "ip4:192.0.2.1", "" },
	{ "4.5", "u@unspaced.test", "192.0.2.1", SPF_NONE, "", "" },
	{ "4.5", "u@two.test", "192.0.2.1", SPF_PERMERROR, "", "two.test has 2 SPF records" },
	{ "4.5", "u@other.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "3.2", "u@alias.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "4.7", "u@empty.test", "192.0.2.1", SPF_NEUTRAL, "", "" },
	{ "4.6", "u@late.test", "192.0.2.1", SPF_PERMERROR, "moo", "\"moo\" in the SPF record of late.test: there is no" },
	{ "4.6.2", "u@order.test", "192.0.2.1", SPF_NEUTRAL, "?ip4:192.0.2.1", "" },
	{ "4.6.2", "u@order.test", "192.0.2.2", SPF_SOFTFAIL, "~ip4:192.0.2.0/24", "" },
	{ "4.6.1", "u@control.test", "192.0.2.1", SPF_PERMERROR, "ip4:192.0.2.1\r\n", "" },
	{ "3.1", "u@bytes.test", "192.0.2.1", SPF_PERMERROR, "a:\xc3\xa4.test", "not visible ASCII" },
	{ "5.1", "u@all.test", "192.0.2.1", SPF_SOFTFAIL, "~all", "" },
	/* 5.2: pass matches; fail, softfail, neutral do not; errors stay, none becomes one */
	{ "5.2", "u@inc.test", "192.0.2.1", SPF_NEUTRAL, "?include:i-pass.test", "" },
	{ "5.2", "u@inc.test", "192.0.2.2", SPF_FAIL, "-all", "" },
	{ "5.2", "u@inc.test", "192.0.2.3", SPF_FAIL, "-all", "" },
	{ "5.2", "u@inc.test", "192.0.2.4", SPF_FAIL, "-all", "" },
	{ "5.2", "u@inc-temp.test", "192.0.2.1", SPF_TEMPERROR, "include:broken.test", "TXT of broken.test" },
	{ "5.2", "u@inc-perm.test", "192.0.2.1", SPF_PERMERROR, "moo", "the SPF record of late.test" },
	{ "5.2", "u@inc-none.test", "192.0.2.1", SPF_PERMERROR, "include:none.test", "none.test has no SPF record" },
	{ "5.2", "u@inc-gone.test", "192.0.2.1", SPF_PERMERROR, "include:gone.test", "no SPF record" },
	{ "5.2", "u@inc-bad.test", "192.0.2.1", SPF_PERMERROR, "include:%{h}", "\"localhost\" is not the name" },
	{ "5.2", "u@inc-o.test", "192.0.2.1", SPF_PASS, "include:inc-o2.test", "" },
	{ "5.3", "u@a.test", "192.0.2.2", SPF_PASS, "a", "" },
	{ "5.3", "u@a.test", "192.0.2.3", SPF_FAIL, "-all", "" },
	{ "5.3", "u@a.test", "2001:db8::1", SPF_PASS, "a", "" },
	{ "5.3", "u@a-cidr.test", "192.0.2.99", SPF_PASS, "a:a.test/24//64", "" },
	{ "5.3", "u@a-cidr.test", "192.0.3.1", SPF_FAIL, "-all", "" },
	{ "5.3", "u@a-cidr.test", "2001:db8::ffff", SPF_PASS, "a:a.test/24//64", "" },
	{ "5.3", "u@a-cidr.test", "2001:db8:0:1::1", SPF_FAIL, "-all", "" },
	{ "5.3", "u@a-zero.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "5.3", "u@a-zero6.test", "2001:db8::1", SPF_FAIL, "-all", "" },
	{ "5.3", "u@a-alias.test", "192.0.2.1", SPF_PASS, "a:www.test", "" },
	{ "5", "u@a-temp.test", "192.0.2.1", SPF_TEMPERROR, "a:slow.test", "looking up A of slow.test failed: timeout" },
	{ "5", "u@a-temp.test", "2001:db8::1", SPF_TEMPERROR, "a:slow.test", "AAAA of slow.test" },
	{ "4.8", "u@a-dots.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "7.1", "u@a-odd.test", "192.0.2.1", SPF_PASS, "a:macro%%percent%_%_space%-url-space.x.test", "" },
	{ "5.4", "u@mx.test", "192.0.2.1", SPF_PASS, "mx", "" },
	{ "5.4", "u@mx.test", "192.0.2.2", SPF_PASS, "mx", "" },
	{ "5.4", "u@mx.test", "2001:db8::2", SPF_PASS, "mx", "" },
	{ "5.4", "u@mx.test", "192.0.2.3", SPF_FAIL, "-all", "" },
	{ "5.4", "u@mx-none.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "5.4", "u@mx-null.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "5.4", "u@mx-temp.test", "192.0.2.1", SPF_TEMPERROR, "mx:slow.test", "MX of slow.test" },
	{ "5.4", "u@mx-host.test", "192.0.2.1", SPF_PASS, "mx", "" },
	{ "5.4", "u@mx-host.test", "192.0.2.2", SPF_TEMPERROR, "mx", "A of slow.test" },
	{ "5.5", "u@ptr.test", "192.0.2.1", SPF_PASS, "ptr", "" },
	{ "5.5", "u@ptr-other.test", "192.0.2.1", SPF_PASS, "ptr:PTR.test", "" },
	{ "5.5", "u@ptr.test", "192.0.2.2", SPF_FAIL, "-all", "" },     /* xptr.test is not below ptr.test */
	{ "5.5", "u@ptr.test", "192.0.2.3", SPF_FAIL, "-all", "" },     /* an error does not match */
	{ "5.5", "u@ptr.test", "192.0.2.4", SPF_PASS, "ptr", "" },      /* and is skipped */
	{ "5.5", "u@ptr.test", "192.0.2.5", SPF_FAIL, "-all", "" },
	{ "5.5", "u@ptr.test", "192.0.2.6", SPF_FAIL, "-all", "" },
	{ "5.5", "u@ptr.test", "2001:db8::1", SPF_PASS, "ptr", "" },
	{ "5.6", "u@ip.test", "192.0.2.15", SPF_FAIL, "-all", "" },
	{ "5.6", "u@ip.test", "192.0.2.16", SPF_PASS, "ip4:192.0.2.16/28", "" },
	{ "5.6", "u@ip.test", "192.0.2.31", SPF_PASS, "ip4:192.0.2.16/28", "" },
	{ "5.6", "u@ip.test", "192.0.2.32", SPF_FAIL, "-all", "" },
	{ "5.6", "u@ip.test", "2001:db8:1:ffff::", SPF_PASS, "ip6:2001:db8:1::/48", "" },
	{ "5.6", "u@ip.test", "2001:db8:2::", SPF_FAIL, "-all", "" },
	{ "5", "u@ip.test", "::ffff:192.0.2.16", SPF_PASS, "ip4:192.0.2.16/28", "" },
	{ "5", "u@ip.test", "::ffff:192.0.2.1", SPF_FAIL, "-all", "" }, /* an IPv4 client is never in ip6 */
	{ "5", "u@ip-all.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "5", "u@ip-all.test", "2001:db8::", SPF_PASS, "ip6:::/0", "" },
	{ "5.7", "u@exists.test", "192.0.2.1", SPF_PASS, "exists:%{ir}.%{v}.l.test", "" },
	{ "5.7", "u@exists.test", "192.0.2.2", SPF_FAIL, "-all", "" },
	{ "5.7", "u@exists.test", "2001:db8::1", SPF_PASS, "exists:%{ir}.%{v}.l.test", "" },
	{ "5.7", "u@exists6.test", "2001:db8::1", SPF_FAIL, "-all", "" },
	{ "5.7", "user@exists-l.test", "192.0.2.1", SPF_PASS, "exists:%{l}.l.test", "" },
	{ "8616 4", "\xc3\xa4@exists-l.test", "192.0.2.1", SPF_SOFTFAIL, "~all", "" },
	{ "8616 4", "\xc3\xa4@redir-l.test", "192.0.2.1", SPF_PERMERROR, "redirect=%{l}.l.test", "not ASCII" },
	{ "8616 4", "u@b\xc3\xbc" "cher.test", "192.0.2.1", SPF_PASS, "a:%{d}.x.test", "" },
	{ "6.1", "u@redir.test", "192.0.2.1", SPF_PASS, "ip4:192.0.2.1", "" },
	{ "6.1", "u@redir.test", "192.0.2.2", SPF_PASS, "a", "" },
	{ "6.1", "u@redir.test", "192.0.2.3", SPF_FAIL, "-all", "" },
	{ "6.1", "u@redir-none.test", "192.0.2.1", SPF_PERMERROR, "redirect=none.test", "no SPF record" },
	{ "6.1", "u@redir-bad.test", "192.0.2.1", SPF_PERMERROR, "redirect=%{h}", "not the name of a domain" },
	{ "6.1", "u@redir-temp.test", "192.0.2.1", SPF_TEMPERROR, "redirect=broken.test", "TXT of broken.test" },
	{ "6", "u@redir2.test", "192.0.2.1", SPF_PERMERROR, "redirect=a.test", "twice" },
	{ "6", "u@exp2.test", "192.0.2.1", SPF_PERMERROR, "exp=b.test", "twice" },
	{ "6.2", "a b@exp.test", "192.0.2.2", SPF_FAIL, "-all",
	    "192.0.2.2 is not one of exp.test's, a b@exp.test; 192.0.2.2 mx.here.test 1795311000% localhost xptr.test" },
	{ "6.2", "u@exp.test", "192.0.2.1", SPF_PASS, "ip4:192.0.2.1", "" },
	{ "6.2", "u@exp-redir.test", "2001:db8::1", SPF_FAIL, "-all",
	    "2.0.0.1.0.D.B.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1 is not one of exp.test's, "
	    "u@exp-redir.test; 2001:db8::1 mx.here.test 1795311000% localhost six.ptr.test" },
	{ "6.2", "u@exp-lost.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "6.2", "u@exp-inc.test", "192.0.2.2", SPF_FAIL, "-all", "Our own words." },
	{ "6.2", "u@inc.test", "192.0.2.4", SPF_FAIL, "-all", "" },
	{ "6.2", "u@exp-two.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "6.2", "u@exp-gone.test", "192.0.2.1", SPF_FAIL, "-all", "" },       /* not a third void */
	{ "6.2", "u@exp-temp.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "6.2", "u@exp-bad.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "6.2", "u@exp-utf8.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "6.2", "u&v@exp-l.test", "192.0.2.1", SPF_FAIL, "-all", "see http://x.test/?u%26v" },
	{ "6.2", "u\nv@exp.test", "192.0.2.2", SPF_FAIL, "-all", "" },         /* nothing to inject */
	{ "6.2", "\xc3\xa4@exp.test", "192.0.2.2", SPF_FAIL, "-all", "" },
	{ "6.2", "u@exp-long.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "6.2", "u@exp-name.test", "1.1.1.1", SPF_FAIL, "-all", "found by address" },
	{ "6.2", "u@exp-p.test", "192.0.2.1", SPF_FAIL, "-all", "you are good.ptr.test" },
	{ "6.2", "u@exp-p.test", "192.0.2.3", SPF_FAIL, "-all", "you are unknown" },
	{ "7.3", "u@p.test", "192.0.2.1", SPF_PASS, "exists:%{p}.p.l.test", "" },
	{ "7.3", "u@p.test", "192.0.2.2", SPF_FAIL, "-all", "" },
	{ "7.3", "u@p.test", "192.0.2.3", SPF_PASS, "exists:%{p}.p.l.test", "" },       /* "unknown" */
	{ "7.3", "u@p.test", "192.0.2.6", SPF_PASS, "exists:%{p}.p.l.test", "" },
	{ "7.1", "u@helo.test", "192.0.2.1", SPF_FAIL, "-all", "" },
	{ "7.1", "u@dot.test", "192.0.2.2", SPF_PASS, "a:a.test.", "" },
	{ "4.6.4", "u@ten.test", "192.0.2.9", SPF_PASS, "a:v4.test", "" },
	{ "4.6.4", "u@ten.test", "192.0.2.1", SPF_PASS, "exists:v4.test", "" },
	{ "4.6.4", "u@eleven.test", "192.0.2.9", SPF_PASS, "a:v4.test", "" },   /* redirect counts when it is used */
	{ "4.6.4", "u@eleven.test", "192.0.2.1", SPF_PERMERROR, "redirect=a.test", "more than 10 terms" },
	{ "4.6.4", "u@nested.test", "192.0.2.4", SPF_FAIL, "-all", "" },
	{ "4.6.4", "u@nested2.test", "192.0.2.4", SPF_PERMERROR, "a:v4.test", "more than 10 terms" },
	{ "4.6.4", "u@self.test", "192.0.2.1", SPF_PERMERROR, "include:self.test", "more than 10 terms" },
	{ "4.6.4", "u@loop.test", "192.0.2.1", SPF_PERMERROR, "redirect=loop2.test", "more than 10 terms" },
	{ "4.6.4", "u@void2.test", "192.0.2.1", SPF_PASS, "ip4:192.0.2.1", "" },
	{ "4.6.4", "u@void3.test", "192.0.2.1", SPF_PERMERROR, "exists:gone.test", "more than 2 look-ups found nothing" },
	{ "4.6.4", "u@void-again.test", "192.0.2.1", SPF_PERMERROR, "a:gone.test", "A of gone.test" },
	{ "4.6.4", "u@void-mx.test", "192.0.2.2", SPF_PASS, "mx", "" },         /* matched before the third */
	{ "4.6.4", "u@void-mx.test", "192.0.2.1", SPF_PERMERROR, "mx", "A of gone3.test" },
	{ "4.6.4", "u@void-ptr.test", "192.0.2.6", SPF_PERMERROR, "ptr:b.test", "PTR of 6.2.0.192.in-addr.arpa" },
	{ "4.6.4", "u@void-ptr.test", "192.0.2.1", SPF_PASS, "+all", "" },
	{ "4.6.4", "u@mx10.test", "192.0.2.10", SPF_PASS, "mx", "" },
	{ "4.6.4", "u@mx11.test", "192.0.2.1", SPF_PERMERROR, "mx:mx11.test", "more than 10 MX hosts" },
	{ "4.6.4", "u@p-ten.test", "192.0.2.2", SPF_NEUTRAL, "?all", "" },
	{ "4.6.4", "u@p-eleven.test", "192.0.2.2", SPF_PERMERROR, "exists:%{p}.gone.test", "more than 10 terms" },
	{ "4.6.4", "u@ptr11.test", "10.0.0.10", SPF_PASS, "ptr", "" },
	{ "4.6.4", "u@ptr11.test", "10.0.0.11", SPF_FAIL, "-all", "" },
	/* 2.4: the null reverse-path is postmaster@HELO */
	{ "2.4", "", "192.0.2.1", SPF_NONE, "", "\"localhost\"" },
};

/* The zone above, and what is easier counted than written. */
static struct zone *
make_zone(void)
{
	struct buf b = BUF(1 << 20);
	struct error why;
	struct zone *z;

	buf_add(&b, S(ZONE));
	for (int i = 1; i <= 11; i++) {
		if (i <= 10)
			buf_printf(&b, "mx10.test. MX %d h%d.mx.test.\n", 100 - i, i);
		buf_printf(&b, "mx11.test. MX 10 h%d.mx.test.\nh%d.mx.test. A 192.0.2.%d\n", i, i, i);
		buf_printf(&b, "10.0.0.10.in-addr.arpa. PTR p%d.%s.\n", i, i == 10 ? "ptr11.test" : "x.test");
		buf_printf(&b, "11.0.0.10.in-addr.arpa. PTR p%d.%s.\n", i, i == 11 ? "ptr11.test" : "x.test");
	}
	buf_add(&b, S("p10.ptr11.test. A 10.0.0.10\np11.ptr11.test. A 10.0.0.11\n"));
	buf_add(&b, S("long.exp.test. TXT \""));
	for (int i = 0; i <= SPF_EXPLANATION_MOST; i++)
		buf_byte(&b, 'x');
	buf_add(&b, S("\"\n"));
	z = zone_parse(buf_slice(&b), "zone", &why);
	if (z == NULL)
		print_error("%s\n", why.text);
	assert_non_null(z);
	buf_free(&b);
	return z;
}

static struct spf_question
question_of(const char *from, const char *ip)
{
	struct slice text = slice(from);
	size_t at = slice_find(text, '@');
	struct spf_question q = {
		.helo = S("localhost"), .receiver = S("mx.here.test"), .now = 1795311000999,
		.local = slice_head(text, at), .domain = slice_skip(text, at + 1),
	};

	assert_true(ip_parse(slice(ip), &q.client));
	return q;
}

enum pace { ALL_AT_ONCE, FIRST_ONLY, LAST_ONLY };       /* what is answered in a round */

static struct fact *
next_at(enum pace pace, struct facts *facts)
{
	struct fact *last = NULL;

	if (pace != LAST_ONLY)
		return facts_next_wanted(facts);
	for (struct fact *f = facts->first; f != NULL; f = f->next)
		if (f->state == FACT_WANTED)
			last = f;
	return last;
}

/* Returns the number of rounds. */
static unsigned
run(struct spf *spf, const struct spf_question *q, const struct zone *z, struct facts *facts, enum pace pace)
{
	unsigned rounds = 0;

	facts_begin(facts, arena);
	*spf = (struct spf){ 0 };
	while (!spf_evaluate(spf, q, facts)) {
		struct fact *f;

		assert_true(facts_pending(facts));
		assert_true(rounds++ < FACTS_MOST);
		while ((f = next_at(pace, facts)) != NULL) {
			zone_answer(z, facts, f);
			if (pace != ALL_AT_ONCE)
				break;
		}
	}
	return rounds;
}

static bool
holds(struct slice text, const char *part)
{
	return *part == '\0' || (text.n > 0 && memmem(text.p, text.n, part, strlen(part)) != NULL);
}

static bool
as_wanted(const struct spf *spf, const struct evaluation *want)
{
	if (!spf->done || spf->result != want->result || !slice_eq(spf->term.text, slice(want->term)))
		return false;
	return want->result == SPF_FAIL ? slice_eq(spf->explanation, slice(want->text))
	    : spf->explanation.n == 0 && holds(spf->why, want->text);
}

static void
evaluations_end_as_they_must(void **state)
{
	struct zone *z = make_zone();

	(void)state;
	for (size_t i = 0; i < COUNT(evaluations); i++) {
		struct spf_question q = question_of(evaluations[i].from, evaluations[i].ip);
		struct facts facts;
		struct spf spf;

		run(&spf, &q, z, &facts, ALL_AT_ONCE);
		if (!as_wanted(&spf, &evaluations[i]))
			print_error("got %s \"%.*s\" \"%.*s\" \"%.*s\"\n", spf_result_name(spf.result),
			    FMT(spf.term.text), FMT(spf.explanation), FMT(spf.why));
		assert_case(as_wanted(&spf, &evaluations[i]), i, evaluations[i].from);
		assert_true(spf_evaluate(&spf, &q, &facts));            /* and stays so */
		assert_true(as_wanted(&spf, &evaluations[i]));
		arena_reset(arena);
	}
	zone_free(z);
}

/* In which order answers come must not show in anything that is concluded. */
static void
the_pace_of_answers_does_not_matter(void **state)
{
	struct zone *z = make_zone();

	(void)state;
	for (size_t i = 0; i < COUNT(evaluations); i++) {
		struct spf_question q = question_of(evaluations[i].from, evaluations[i].ip);
		struct facts facts, others;
		struct spf once, slow;

		run(&once, &q, z, &facts, ALL_AT_ONCE);
		for (enum pace pace = FIRST_ONLY; pace <= LAST_ONLY; pace++) {
			run(&slow, &q, z, &others, pace);
			assert_case(as_wanted(&slow, &evaluations[i]), i, evaluations[i].from);
			assert_int_equal(once.lookups, slow.lookups);
			assert_int_equal(once.voids, slow.voids);
			assert_int_equal(once.term.at, slow.term.at);
		}
		arena_reset(arena);
	}
	zone_free(z);
}

static void
the_deciding_term_has_its_place(void **state)
{
	static const struct { const char *from, *ip; size_t at; const char *domain; unsigned lookups, voids; } cases[] = {
		{ "u@other.test", "192.0.2.1", 7, "other.test", 0, 0 },
		{ "u@order.test", "192.0.2.2", 22, "order.test", 0, 0 },
		{ "u@redir.test", "192.0.2.2", 7, "a.test", 2, 0 },
		{ "u@inc.test", "192.0.2.1", 7, "inc.test", 1, 0 },
		{ "u@inc-perm.test", "192.0.2.1", 26, "late.test", 1, 0 },
		{ "u@inc-none.test", "192.0.2.1", 7, "inc-none.test", 1, 0 },
		{ "u@nested.test", "192.0.2.4", 43, "nested.test", 10, 0 },
		{ "u@void2.test", "192.0.2.1", 36, "void2.test", 2, 2 },
		{ "u@exp-gone.test", "192.0.2.1", 32, "exp-gone.test", 2, 2 },
		{ "u@mx-null.test", "192.0.2.1", 10, "mx-null.test", 1, 0 },    /* nobody to ask: not void */
		{ "u@a-dots.test", "192.0.2.1", 39, "a-dots.test", 2, 1 },
		{ "u@ptr.test", "192.0.2.5", 11, "ptr.test", 1, 0 },    /* the client's names do not count */
		{ "u@ptr.test", "192.0.2.6", 11, "ptr.test", 1, 1 },
		{ "u@p.test", "192.0.2.6", 7, "p.test", 2, 0 },
	};
	struct zone *z = make_zone();

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct spf_question q = question_of(cases[i].from, cases[i].ip);
		struct facts facts;
		struct spf spf;

		run(&spf, &q, z, &facts, ALL_AT_ONCE);
		assert_slice(spf.term.domain, cases[i].domain);
		assert_case(spf.term.at == cases[i].at, i, cases[i].from);
		assert_case(spf.lookups == cases[i].lookups, i, cases[i].from);
		assert_case(spf.voids == cases[i].voids, i, cases[i].from);
	}
	zone_free(z);
}

static void
helo_is_an_identity_of_its_own(void **state)
{
	struct zone *z = make_zone();
	struct spf_question q = question_of("u@a.test", "192.0.2.1");
	struct facts facts;
	struct spf spf;

	(void)state;
	q.helo = S("Exp.test");
	q.identity = SPF_HELO;                                  /* RFC 7208 2.3 */
	q.client.bytes[3] = 2;
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	assert_int_equal(spf.result, SPF_FAIL);
	assert_int_equal(spf.identity, SPF_HELO);
	assert_slice(spf.domain, "exp.test");
	assert_true(holds(spf.explanation, "postmaster@exp.test"));
	assert_true(holds(spf.explanation, " Exp.test "));      /* %{h}: as it was said */
	q.identity = SPF_MAILFROM;
	q.local = q.domain = NONE;                              /* RFC 7208 2.4 */
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	assert_int_equal(spf.result, SPF_FAIL);
	assert_int_equal(spf.identity, SPF_MAILFROM);
	assert_slice(spf.domain, "exp.test");
	q.domain = S("exp.test");                               /* RFC 7208 4.3: no local part */
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	assert_true(holds(spf.explanation, "postmaster@exp.test"));
	q.helo = S("b\xc3\xbc" "cher.test");                    /* RFC 8616 4 */
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	assert_true(holds(spf.explanation, " xn--bcher-kva.test "));
	zone_free(z);
}

static bool
was_asked(const struct facts *facts, const char *name, uint16_t type)
{
	for (const struct fact *f = facts->first; f != NULL; f = f->next)
		if (f->type == type && slice_eqi(f->name, slice(name)))
			return true;
	return false;
}

/* RFC 7208 7.3: cut label by label, from the left, until 253 octets are left. */
static void
long_names_are_cut(void **state)
{
	struct zone *z = make_zone();
	struct spf_question q = question_of("0123456789@long.test", "192.0.2.1");
	struct facts facts;
	struct spf spf;
	const struct fact *f;

	(void)state;
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	f = facts.first->next;
	assert_int_equal(spf.voids, 1);
	assert_int_equal(f->name.n, 238);                       /* with "0123456789@long." it were 254 */
	assert_true(slice_startsi(f->name, S("test.long.test.0123456789@long.test.")));
	assert_true(slice_endsi(f->name, S("0123456789@long.test.long.test.l.test")));
	q = question_of("u@long2.test", "192.0.2.1");           /* a label of more than 63: nobody is asked */
	q.domain = S("long2.test");
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	assert_int_equal(spf.result, SPF_FAIL);
	zone_free(z);
}

static void
names_for_questions_are_clean(void **state)
{
	struct zone *z = make_zone();
	struct spf_question q = question_of("u@helo.test", "192.0.2.1");
	struct facts facts;
	struct spf spf;

	(void)state;
	q.helo = S("a\0b.test");
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	assert_int_equal(spf.result, SPF_FAIL);
	assert_int_equal(spf.voids, 0);
	assert_int_equal(facts.count, 1);
	q.helo = S("\xff\xfe.test");
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	assert_int_equal(facts.count, 1);
	q.helo = S("a\\.b;c .test");
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	assert_int_equal(facts.count, 2);
	assert_true(was_asked(&facts, "a\\092.b\\059c\\032.test", RR_A));
	assert_int_equal(spf.voids, 1);
	zone_free(z);
}

/* --- how many round trips -------------------------------------------------------- */

static const char WIDE[] =
    "wide.test. TXT \"v=spf1 ip4:10.0.0.1 a mx include:i1.test include:i2.test exists:e.test include:i3.test"
    " include:%{d}.i4.test redirect=i5.test\"\n"
    "wide.test. A 192.0.2.1\n"
    "wide.test. MX 10 m1.test.\n"
    "wide.test. MX 10 m2.test.\n"
    "m1.test. A 192.0.2.2\n"
    "m2.test. A 192.0.2.3\n"
    "i1.test. TXT \"v=spf1 include:i11.test include:i12.test ?all\"\n"
    "i2.test. TXT \"v=spf1 ?all\"\n"
    "i3.test. TXT \"v=spf1 ip4:192.0.2.77\"\n"
    "i11.test. TXT \"v=spf1 ?all\"\n"
    "i12.test. TXT \"v=spf1 ?all\"\n";

static void
what_can_be_asked_together_is(void **state)
{
	struct zone *z = zone_parse(S(WIDE), "wide", NULL);
	struct spf_question q = question_of("u@wide.test", "192.0.2.77");
	struct facts facts;
	struct spf spf = { 0 };

	(void)state;
	assert_non_null(z);
	/* record; a and the includes; MX; its two hosts; i11 and i12; exists; the one with a macro is never reached */
	assert_int_equal(run(&spf, &q, z, &facts, ALL_AT_ONCE), 6);
	assert_int_equal(spf.result, SPF_PASS);
	assert_slice(spf.term.text, "include:i3.test");
	assert_int_equal(spf.lookups, 8);
	assert_int_equal(spf.voids, 1);
	assert_false(was_asked(&facts, "wide.test.i4.test", RR_TXT));

	facts_begin(&facts, arena);
	spf = (struct spf){ 0 };
	assert_false(spf_evaluate(&spf, &q, &facts));
	zone_answer_all(z, &facts);
	assert_false(spf_evaluate(&spf, &q, &facts));
	assert_true(was_asked(&facts, "wide.test", RR_A));
	assert_true(was_asked(&facts, "i3.test", RR_TXT));
	assert_true(was_asked(&facts, "i5.test", RR_TXT));
	assert_false(was_asked(&facts, "wide.test", RR_MX));    /* it may never be reached */
	assert_false(was_asked(&facts, "e.test", RR_A));
	zone_free(z);
}

static void
what_decides_at_once_asks_nothing_else(void **state)
{
	struct zone *z = zone_parse(S(WIDE), "wide", NULL);
	struct spf_question q = question_of("u@wide.test", "10.0.0.1");
	struct facts facts;
	struct spf spf;

	(void)state;
	assert_int_equal(run(&spf, &q, z, &facts, ALL_AT_ONCE), 1);
	assert_int_equal(spf.result, SPF_PASS);
	assert_int_equal(facts.count, 1);
	zone_free(z);
}

/* However a policy is built: the questions for it are few (RFC 7208 4.6.4, 11.1). */
static void
nothing_is_asked_beyond_the_limits(void **state)
{
	struct buf b = BUF(100000);
	struct spf_question q = question_of("u@fan.test", "192.0.2.1");
	struct facts facts;
	struct zone *z;
	struct spf spf;

	(void)state;
	for (int i = 0; i < 10; i++) {
		buf_printf(&b, "%sfan.test. TXT \"v=spf1", i ? "x." : "");
		for (int j = 0; j < 40; j++)
			buf_printf(&b, " include:x.fan.test include:n%d.fan.test", j);
		buf_add(&b, S("\"\n"));
	}
	z = zone_parse(buf_slice(&b), "fan", NULL);
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	assert_int_equal(spf.result, SPF_PERMERROR);
	assert_in_range(facts.count, 2, 12);
	zone_free(z);
	buf_free(&b);
}

/* --- when there is no answer ----------------------------------------------------- */

static void
a_deadline_is_a_temperror(void **state)
{
	struct spf_question q = question_of("u@a.test", "192.0.2.1");
	struct facts facts;
	struct spf spf = { 0 };

	(void)state;
	facts_begin(&facts, arena);
	assert_false(spf_evaluate(&spf, &q, &facts));
	facts_expire(&facts);
	assert_true(spf_evaluate(&spf, &q, &facts));
	assert_int_equal(spf.result, SPF_TEMPERROR);            /* RFC 7208 4.6.4 */
	assert_slice(spf.why, "looking up TXT of a.test failed: no answer in time");
}

static void
no_memory_is_a_temperror(void **state)
{
	struct zone *z = make_zone();
	struct spf_question q = question_of("u@nested.test", "192.0.2.4");
	enum spf_result last = SPF_NONE;

	(void)state;
	for (size_t ceiling = 0; ceiling < 20000; ceiling += 97) {
		struct arena *small = arena_new(ceiling);
		struct facts facts;
		struct spf spf = { 0 };

		facts_begin(&facts, small);
		for (int round = 0; round < 50 && !spf_evaluate(&spf, &q, &facts); round++)
			zone_answer_all(z, &facts);
		assert_true(spf.done);
		assert_true(spf.result == SPF_TEMPERROR || spf.result == SPF_FAIL);
		assert_true(ceiling > 0 || spf.result == SPF_TEMPERROR);
		last = spf.result;
		arena_free(small);
	}
	assert_int_equal(last, SPF_FAIL);
	zone_free(z);
}

static void
too_many_questions_are_a_temperror(void **state)
{
	struct spf_question q = question_of("u@a.test", "192.0.2.1");
	struct facts facts;
	struct spf spf = { 0 };
	char name[20];

	(void)state;
	facts_begin(&facts, arena);
	for (int i = 0; i < FACTS_MOST; i++) {
		snprintf(name, sizeof name, "n%d.test", i);
		fact(&facts, slice(name), RR_A);
	}
	assert_true(spf_evaluate(&spf, &q, &facts));
	assert_int_equal(spf.result, SPF_TEMPERROR);
}

static void
huge_records_and_names_are_refused(void **state)
{
	struct buf b = BUF(200000);
	struct spf_question q = question_of("u@big.test", "192.0.2.1");
	struct facts facts;
	struct zone *z;
	struct spf spf;

	(void)state;
	buf_add(&b, S("big.test. TXT \"v=spf1"));
	for (int i = 0; i < 2000; i++)
		buf_add(&b, S(" ip4:10.0.0.1"));
	buf_add(&b, S(" -all\"\nmacro.test. TXT \"v=spf1 exists:"));
	for (int i = 0; i < 500; i++)
		buf_add(&b, S("%{S}"));
	buf_add(&b, S(" -all\"\n"));
	z = zone_parse(buf_slice(&b), "big", NULL);
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	assert_int_equal(spf.result, SPF_PERMERROR);
	assert_true(holds(spf.why, "longer than 8192"));
	q = question_of("0123456789@macro.test", "192.0.2.1");
	run(&spf, &q, z, &facts, ALL_AT_ONCE);
	assert_int_equal(spf.result, SPF_PERMERROR);
	assert_true(holds(spf.why, "longer than 4096"));
	zone_free(z);
	buf_free(&b);
}

static void
results_have_their_names(void **state)
{
	(void)state;
	assert_string_equal(spf_result_name(SPF_NONE), "none");
	assert_string_equal(spf_result_name(SPF_NEUTRAL), "neutral");
	assert_string_equal(spf_result_name(SPF_PASS), "pass");
	assert_string_equal(spf_result_name(SPF_FAIL), "fail");
	assert_string_equal(spf_result_name(SPF_SOFTFAIL), "softfail");
	assert_string_equal(spf_result_name(SPF_TEMPERROR), "temperror");
	assert_string_equal(spf_result_name(SPF_PERMERROR), "permerror");
	assert_string_equal(spf_identity_name(SPF_HELO), "helo");
	assert_string_equal(spf_identity_name(SPF_MAILFROM), "mailfrom");
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(macros_are_expanded),
		cmocka_unit_test(parts_of_odd_values),
		cmocka_unit_test(an_expansion_stops_at_the_ceiling),
		cmocka_unit_test(wrong_macros_are_seen),
		cmocka_unit_test(terms_are_right_or_wrong),
		cmocka_unit_test(what_is_a_record),
		cmocka_unit_test(a_record_is_read_term_by_term),
		WITH_ARENA(evaluations_end_as_they_must),
		WITH_ARENA(the_pace_of_answers_does_not_matter),
		WITH_ARENA(the_deciding_term_has_its_place),
		WITH_ARENA(helo_is_an_identity_of_its_own),
		WITH_ARENA(long_names_are_cut),
		WITH_ARENA(names_for_questions_are_clean),
		WITH_ARENA(what_can_be_asked_together_is),
		WITH_ARENA(what_decides_at_once_asks_nothing_else),
		WITH_ARENA(nothing_is_asked_beyond_the_limits),
		WITH_ARENA(a_deadline_is_a_temperror),
		cmocka_unit_test(no_memory_is_a_temperror),
		WITH_ARENA(too_many_questions_are_a_temperror),
		WITH_ARENA(huge_records_and_names_are_refused),
		cmocka_unit_test(results_have_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
