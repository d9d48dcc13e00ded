/* SPDX-License-Identifier: ISC */
#include "base/text.h"
#include "lab/answer.h"
#include "small_world.h"
#include "unit.h"

static struct arena *arena;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(16 << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* --- names ------------------------------------------------------------------------- */

/* RFC 4034 6.1, in the order that is given there. */
static const struct slice ordered[] = {
	S_INIT("\7example\0"), S_INIT("\1a\7example\0"), S_INIT("\10yljkjljk\1a\7example\0"),
	S_INIT("\1z\1a\7example\0"), S_INIT("\4zabc\1a\7example\0"), S_INIT("\1z\7example\0"),
	S_INIT("\1\1\1z\7example\0"), S_INIT("\1*\1z\7example\0"), S_INIT("\1\200\1z\7example\0"),
};

static void
names_have_an_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ordered); i++)
		for (size_t j = 0; j < COUNT(ordered); j++) {
			int order = name_order(ordered[i], ordered[j]);

			assert_case(i < j ? order < 0 : i > j ? order > 0 : order == 0, i, ordered[j].p);
		}
	assert_true(name_order(S("\0"), ordered[0]) < 0);
}

static void
names_as_text_and_on_the_wire(void **state)
{
	static const struct { const char *text; struct slice wire; } cases[] = {
		{ "", S_INIT("\0") }, { ".", S_INIT("\0") }, { "Test", S_INIT("\4test\0") },
		{ "*.a.test.", S_INIT("\1*\1a\4test\0") }, { "a..b", { NULL, 0 } },
		{ "a123456789012345678901234567890123456789012345678901234567890123.test", { NULL, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf wire = BUF(1000);
		bool ok = name_to_wire(slice(cases[i].text), &wire);

		assert_case(ok == (cases[i].wire.p != NULL), i, cases[i].text);
		if (ok)
			assert_case(slice_eq(buf_slice(&wire), cases[i].wire), i, cases[i].text);
		buf_free(&wire);
	}
	assert_true(name_within(S("\1b\1a\0"), S("\1a\0")));
	assert_true(name_within(S("\1a\0"), S("\1a\0")));
	assert_true(name_within(S("\1a\0"), S("\0")));
	assert_false(name_within(S("\2ba\0"), S("\1a\0")));
	assert_false(name_within(S("\1a\0"), S("\1b\1a\0")));
}

/* --- records ------------------------------------------------------------------------- */

/* What an independent reader (dnspython) makes of the same lines; names are in lower case. */
static const struct { uint16_t type; const char *line, *hex; } lines[] = {
	{ RR_A, "A 192.0.2.1", "c0000201" },
	{ RR_AAAA, "AAAA 2001:db8::1", "20010db8000000000000000000000001" },
	{ RR_NS, "NS ns.Test.", "026e73047465737400" },
	{ RR_CNAME, "CNAME b.test.", "0162047465737400" },
	{ RR_PTR, "PTR .", "00" },
	{ RR_MX, "MX 10 mx.test.", "000a026d78047465737400" },
	{ RR_SOA, "SOA ns.test. h.test. 7 3600 600 604800 600",
	    "026e73047465737400" "0168047465737400" "00000007" "00000e10" "00000258" "00093a80" "00000258" },
	{ RR_TXT, "TXT \"a;b\" \"\" \"q\\\"\\007\"", "03613b62" "00" "03712207" },
	{ RR_TLSA, "TLSA 3 1 1 00ff", "03010100ff" },
	{ RR_DS, "DS 60485 15 2 00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff",
	    "ec450f02" "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff" },
	{ RR_DNSKEY, "DNSKEY 257 3 15 AAEC ;{id = 1 (ksk), size = 256b}", "0101030f000102" },
	{ RR_NSEC, "NSEC a.test. NS SOA RRSIG NSEC DNSKEY ", "0161047465737400" "00072200000000" "0380" },
	{ RR_NSEC3PARAM, "NSEC3PARAM 1 0 12 aabbccdd", "0100000c04aabbccdd" },
	{ RR_NSEC3PARAM, "NSEC3PARAM 1 0 0 -", "0100000000" },
};

static void
data_of_every_type_as_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct buf text = BUF(1000), hex = BUF(1000);
		struct records r;
		struct error why = { 0 };
		const struct rrset *set;

		buf_printf(&text, "a.test. 5 IN SOA . . 1 1 1 1 1\nx.a.test. 60 IN %s\n", lines[i].line);
		if (!records_read(S("a.test"), buf_slice(&text), arena, &r, &why))
			fail_msg("%s", why.text);
		set = records_find(&r, S("\1x\1a\4test\0"), lines[i].type);
		assert_case(set != NULL && set->count == 1 && set->ttl == 60, i, lines[i].line);
		hex_add(&hex, set->data[0]);
		assert_slice(buf_slice(&hex), lines[i].hex);
		buf_free(&text);
		buf_free(&hex);
	}
}

/* Signatures go with what they cover; NSEC3 stands in no name of its own. */
static void
signatures_and_hashed_names(void **state)
{
	static const char text[] = "a.test. 5 IN SOA . . 1 1 1 1 1\n"
	    "a.test. 60 IN RRSIG A 15 3 3600 20360529120000 20210602120000 34282 a.test. AAECAAEC ;bogus\n"
	    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.a.test. 60 IN NSEC3 1 1 12 aabbccdd "
	    "2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG\n"
	    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.a.test. 60 IN RRSIG NSEC3 15 3 3600 2095761600 1622635200 "
	    "34282 a.test. AAEC\n"
	    "a.test. 60 IN A 192.0.2.2\na.test. 60 IN A 192.0.2.1\n";
	struct buf hex = BUF(1000);
	struct records r;
	const struct rrset *set;

	(void)state;
	assert_true(records_read(S("a.test"), slice(text), arena, &r, NULL));
	set = records_find(&r, S("\1a\4test\0"), RR_A);
	assert_int_equal(set->count, 2);
	assert_int_equal(set->signature_count, 1);
	assert_true(set->bogus);
	hex_add(&hex, set->signatures[0]);
	assert_slice(buf_slice(&hex),
	    "00010f0300000e107ce9774060b772c085ea0161047465737400000102000102");
	buf_clear(&hex);
	assert_int_equal(r.count, 2);
	set = records_denial(&r, S("\1z\4test\0"));
	assert_int_equal(set->signature_count, 1);
	assert_false(set->bogus);
	hex_add(&hex, set->data[0]);
	assert_slice(buf_slice(&hex), "0101000c04aabbccdd14174eb2409fe28bcb4887a1836f957f0a8425e27b"
	    "000722010000000290");
	buf_clear(&hex);
	hex_add(&hex, set->signatures[0]);
	assert_slice(buf_slice(&hex), "00320f0300000e107ceac8c060b772c085ea0161047465737400000102");
	buf_free(&hex);
}

static const char *const no_records[] = {
	"a.test.", "a.test. 60 IN", "a.test. 60 CH A 192.0.2.1", "a.test. x IN A 192.0.2.1",
	"a..test. 60 IN A 192.0.2.1", "a.test. 60 IN A 192.0.2", "a.test. 60 IN A ::1",
	"a.test. 60 IN A 192.0.2.1 2", "a.test. 60 IN MX mx.test.", "a.test. 60 IN MX 65536 mx.test.",
	"a.test. 60 IN WKS 1", "a.test. 60 IN TXT open", "a.test. 60 IN TXT \"open",
	"a.test. 60 IN TLSA 3 1 1 abc", "a.test. 60 IN TLSA 3 1 256 ab", "a.test. 60 IN NSEC b.test. A WKS",
	"a.test. 60 IN NSEC3 1 0 0 - w", "a.test. 60 IN DNSKEY 257 3 15 A",
	"a.test. 60 IN RRSIG A 15 2 60 2036052912000x 20210602120000 1 test. AAAA",
};

static void
a_line_that_is_no_record_is_named(void **state)
{
	struct records r;
	struct error why = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(no_records); i++) {
		struct buf text = BUF(1000);

		buf_printf(&text, "; a comment\n\na.test. 5 IN SOA . . 1 1 1 1 1\n%s\n", no_records[i]);
		assert_case(!records_read(S("a.test"), buf_slice(&text), arena, &r, &why), i, no_records[i]);
		assert_case(strncmp(why.text, "4: this is no record: a.", 24) == 0, i, why.text);
		buf_free(&text);
	}
	assert_false(records_read(S("a.test"), S("b.test. 5 IN SOA . . 1 1 1 1 1\n"), arena, &r, &why));
	assert_string_equal(why.text, "0: there is no SOA record");
}

/* --- questions and answers as text -------------------------------------------------------- */

enum { RD = 1, CD = 2, AD = 4, EDNS = 8, DO = 16 };

static void
put_question(struct buf *b, const char *name, uint16_t type, int flags)
{
	static const char opt[] = "\0\0\x29\x04\xd0\0\0\0\0\0";

	buf_add(b, S("\x12\x34"));
	buf_byte(b, flags & RD ? 1 : 0);
	buf_byte(b, (char)((flags & CD ? 0x10 : 0) | (flags & AD ? 0x20 : 0)));
	buf_add(b, S("\0\1\0\0\0\0\0"));
	buf_byte(b, flags & (EDNS | DO) ? 1 : 0);
	for (struct slice left = slice(name), label; slice_cut(&left, '.', &label);) {
		buf_byte(b, (char)label.n);
		buf_add(b, label);
	}
	buf_byte(b, '\0');
	buf_byte(b, (char)(type >> 8));
	buf_byte(b, (char)type);
	buf_add(b, S("\0\1"));
	if (flags & (EDNS | DO)) {
		buf_add(b, slice_of(opt, 7));
		buf_byte(b, flags & DO ? (char)0x80 : 0);
		buf_add(b, S("\0\0\0"));
	}
}

static unsigned
number(struct slice p, size_t *at, size_t bytes)
{
	unsigned n = 0;

	assert_true(*at + bytes <= p.n);
	while (bytes-- > 0)
		n = n << 8 | (unsigned char)p.p[(*at)++];
	return n;
}

static void
show_name(struct slice p, size_t *at, struct buf *to)
{
	size_t here = *at, end = 0, from = to->n;
	unsigned n;

	while ((n = number(p, &here, 1)) != 0)
		if (n >= 0xc0) {
			size_t target = (n & 0x3f) << 8 | number(p, &here, 1);

			end = end ? end : here;
			assert_true(target < here - 2);
			here = target;
		} else {
			assert_true(here + n <= p.n);
			if (to->n > from)
				buf_byte(to, '.');
			buf_add(to, slice_of(p.p + here, n));
			here += n;
		}
	if (to->n == from)
		buf_byte(to, '.');
	*at = end ? end : here;
}

static void
show_type(unsigned type, struct buf *to)
{
	static const struct { unsigned type; const char *name; } types[] = { { RR_DS, "DS" },
		{ RR_RRSIG, "RRSIG" }, { RR_NSEC, "NSEC" }, { RR_NSEC3, "NSEC3" }, { 41, "OPT" } };
	const char *name = rr_name((uint16_t)type);

	for (size_t i = 0; i < COUNT(types); i++)
		if (types[i].type == type)
			name = types[i].name;
	buf_add(to, slice(name ? name : "?"));
}

/* "0 aa ad: a.test/A a.test/RRSIG | . | ./OPT": rcode, flags, the three sections. */
static void
show_answer(struct slice p, struct buf *to)
{
	size_t at = 2;
	unsigned flags = number(p, &at, 2), questions = number(p, &at, 2), counts[3];

	for (int i = 0; i < 3; i++)
		counts[i] = number(p, &at, 2);
	buf_printf(to, "%u%s%s%s%s%s%s:", flags & 15, flags & 0x400 ? " aa" : "",
	    flags & 0x200 ? " tc" : "", flags & 0x100 ? " rd" : "", flags & 0x80 ? " ra" : "",
	    flags & 0x20 ? " ad" : "", flags & 0x10 ? " cd" : "");
	for (struct buf skipped = BUF(300); questions-- > 0; buf_free(&skipped)) {
		show_name(p, &at, &skipped);
		at += 4;
	}
	for (int i = 0; i < 3; i++) {
		while (counts[i]-- > 0) {
			unsigned type, size;

			buf_byte(to, ' ');
			show_name(p, &at, to);
			type = number(p, &at, 2);
			at += 6;
			size = number(p, &at, 2);
			buf_byte(to, '/');
			show_type(type, to);
			at += size;
		}
		if (i < 2)
			buf_add(to, S(" |"));
	}
	assert_int_equal(at, p.n);
}

static const struct { const char *name; uint16_t type; int flags; const char *answer; } cases[] = {
	{ "a.test", RR_A, RD, "0 aa rd ra: a.test/A a.test/A | |" },
	{ "A.Test", RR_A, 0, "0 aa ra: A.Test/A A.Test/A | |" },        /* as it was asked */
	{ "a.test", RR_A, AD | EDNS, "0 aa ra ad: a.test/A a.test/A | | ./OPT" },
	{ "a.test", RR_A, DO, "0 aa ra ad: a.test/A a.test/A a.test/RRSIG | | ./OPT" },
	{ "a.test", 255, 0, "0 aa ra: a.test/A a.test/A | |" },         /* RFC 8482 4.1 */
	{ "a.test", RR_NSEC, 0, "0 aa ra: a.test/NSEC | |" },
	/* CNAMEs */
	{ "b.c.test", RR_A, AD, "0 aa ra ad: b.c.test/CNAME a.test/A a.test/A | |" },
	{ "b.c.test", RR_CNAME, AD, "0 aa ra ad: b.c.test/CNAME | |" },
	{ "b.c.test", RR_MX, DO, "0 aa ra ad: b.c.test/CNAME b.c.test/RRSIG | test/SOA test/RRSIG "
	    "a.test/NSEC a.test/RRSIG | ./OPT" },
	{ "l.i.test", RR_A, RD, "2 rd ra: | |" },                       /* round and round */
	{ "c.i.test", RR_A, AD, "0 aa ra: c.i.test/CNAME a.test/A a.test/A | |" },
	/* what is not there */
	{ "a.test", RR_MX, AD, "0 aa ra ad: | test/SOA |" },
	{ "a.test", RR_MX, DO, "0 aa ra ad: | test/SOA test/RRSIG a.test/NSEC a.test/RRSIG | ./OPT" },
	{ "c.test", RR_MX, DO, "0 aa ra ad: | test/SOA test/RRSIG a.test/NSEC a.test/RRSIG | ./OPT" },
	{ "x.a.test", RR_A, DO, "3 aa ra ad: | a.test/NSEC a.test/RRSIG test/SOA test/RRSIG | ./OPT" },
	{ "d.test", RR_A, DO, "3 aa ra ad: | b.c.test/NSEC b.c.test/RRSIG test/SOA test/RRSIG "
	    "test/NSEC test/RRSIG | ./OPT" },
	{ "z.test", RR_A, AD, "3 aa ra ad: | test/SOA |" },
	{ "com", RR_A, DO, "3 aa ra ad: | ./NSEC ./RRSIG ./SOA ./RRSIG | ./OPT" },
	{ "", RR_A, DO, "0 aa ra ad: | ./SOA ./RRSIG ./NSEC ./RRSIG | ./OPT" },
	/* wildcards (RFC 4035 3.1.3.3 and 3.1.3.4) */
	{ "x.w.test", RR_MX, DO, "0 aa ra ad: x.w.test/MX x.w.test/RRSIG | *.w.test/NSEC *.w.test/RRSIG | ./OPT" },
	{ "x.w.test", RR_A, DO, "0 aa ra ad: | *.w.test/NSEC *.w.test/RRSIG test/SOA test/RRSIG | ./OPT" },
	{ "*.w.test", RR_MX, AD, "0 aa ra ad: *.w.test/MX | |" },
	/* the parent speaks for DS (RFC 4035 3.1.4.1) */
	{ "test", RR_DS, DO, "0 aa ra ad: test/DS test/RRSIG | | ./OPT" },
	{ "i.test", RR_DS, DO, "0 aa ra ad: | test/SOA test/RRSIG i.test/NSEC i.test/RRSIG | ./OPT" },
	{ "", RR_DS, AD, "0 aa ra ad: | ./SOA |" },
	/* not signed: nothing is proved */
	{ "i.test", RR_TXT, DO | AD, "0 aa ra: i.test/TXT | | ./OPT" },
	{ "x.i.test", RR_TXT, DO, "3 aa ra: | i.test/SOA | ./OPT" },
	/* bogus, unless the asker wants to see it */
	{ "f.test", RR_TXT, RD, "2 rd ra: | |" },
	{ "f.test", RR_TXT, RD | DO, "2 rd ra: | | ./OPT" },
	{ "f.test", RR_TXT, RD | CD | DO, "0 aa rd ra cd: f.test/TXT f.test/RRSIG | | ./OPT" },
	{ "f.test", RR_A, DO, "0 aa ra ad: | test/SOA test/RRSIG f.test/NSEC f.test/RRSIG | ./OPT" },
	/* not for us */
	{ "test", 252, RD, "5 rd ra: | |" },                            /* AXFR */
	/* RFC 5155, Appendix B.1, B.2, B.2.1, B.4, B.5 */
	{ "a.c.x.w.example", RR_A, DO, "3 aa ra: | b4um86eghhds6nea196smvmlo4ors995.example/NSEC3 "
	    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example/NSEC3 example/SOA "
	    "35mthgpgcu1qg68fab165klnsnk3dpvl.example/NSEC3 | ./OPT" },
	{ "ns1.example", RR_MX, DO, "0 aa ra: | example/SOA "
	    "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example/NSEC3 | ./OPT" },
	{ "y.w.example", RR_A, DO, "0 aa ra: | example/SOA "
	    "ji6neoaepv8b5o6k4ev33abha8ht9fgc.example/NSEC3 | ./OPT" },
	{ "a.z.w.example", RR_MX, DO, "0 aa ra: a.z.w.example/MX | "
	    "k8udemvp1j2f7eg6jebps17vp3n8i58h.example/NSEC3 "
	    "q04jkcevqvmu85r014c7dkba38o0ji5r.example/NSEC3 | ./OPT" },
	{ "a.z.w.example", RR_AAAA, DO, "0 aa ra: | k8udemvp1j2f7eg6jebps17vp3n8i58h.example/NSEC3 "
	    "q04jkcevqvmu85r014c7dkba38o0ji5r.example/NSEC3 example/SOA "
	    "r53bq7cc2uvmubfu5ocmm6pers9tk9en.example/NSEC3 | ./OPT" },
};

static void
answers_of_a_small_world(void **state)
{
	struct dns_world *w = small_world(arena);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf packet = BUF(1000), answer = BUF(65535), shown = BUF(10000);
		struct dns_question q;

		put_question(&packet, cases[i].name, cases[i].type, cases[i].flags);
		assert_true(dns_question_read(buf_slice(&packet), &q));
		dns_answer(w, &q, DNS_TCP_MOST, &answer);
		show_answer(buf_slice(&answer), &shown);
		assert_slice(buf_slice(&shown), cases[i].answer);
		assert_true(slice_starts(buf_slice(&answer), S("\x12\x34")));
		buf_free(&packet);
		buf_free(&answer);
		buf_free(&shown);
	}
	dns_world_free(w);
}

/* RFC 6891 6.2.5, RFC 2181 9: too long is cut behind the question, never in between. */
static void
an_answer_that_is_too_long_is_cut(void **state)
{
	struct dns_world *w = small_world(arena);
	struct buf packet = BUF(1000), whole = BUF(65535);
	struct dns_question q;

	(void)state;
	put_question(&packet, "a.test", RR_A, DO);
	assert_true(dns_question_read(buf_slice(&packet), &q));
	assert_int_equal(q.udp_size, 1232);
	dns_answer(w, &q, DNS_TCP_MOST, &whole);
	for (size_t most = 60; most <= whole.n; most++) {
		struct buf answer = BUF(65535), shown = BUF(1000);

		dns_answer(w, &q, most, &answer);
		assert_true(answer.n <= most);
		show_answer(buf_slice(&answer), &shown);
		assert_slice(buf_slice(&shown), most < whole.n ? "0 aa tc ra ad: | | ./OPT"
		    : "0 aa ra ad: a.test/A a.test/A a.test/RRSIG | | ./OPT");
		buf_free(&answer);
		buf_free(&shown);
	}
	buf_free(&packet);
	buf_free(&whole);
	dns_world_free(w);
}

/* --- packets that are no good questions ---------------------------------------------------- */

#define ASK(flags, counts) "\x12\x34" flags counts
#define A_TEST "\1a\4test\0\0\1\0\1"
#define OPT(size, ttl) "\0\0\x29" size ttl "\0\0"

static const struct { struct slice packet; bool question; const char *answer; } packets[] = {
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\0") A_TEST), true, "0 aa ra: a.test/A a.test/A | |" },
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0")), false, NULL },         /* too short */
	{ S_INIT(""), false, NULL },
	{ S_INIT(ASK("\x80\0", "\0\1\0\0\0\0\0\0") A_TEST), false, NULL },      /* an answer */
	{ S_INIT(ASK("\x28\0", "\0\1\0\0\0\0\0\0") A_TEST), true, "4 ra: | |" },        /* UPDATE */
	{ S_INIT(ASK("\x20\0", "\0\1\0\0\0\0\0\0") A_TEST), true, "4 ra: | |" },        /* NOTIFY */
	{ S_INIT(ASK("\0\0", "\0\0\0\0\0\0\0\0")), true, "1 ra: | |" },
	{ S_INIT(ASK("\0\0", "\0\2\0\0\0\0\0\0") A_TEST A_TEST), true, "1 ra: | |" },
	{ S_INIT(ASK("\0\0", "\0\1\0\1\0\0\0\0") A_TEST), true, "1 ra: | |" },
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\1\0\0") A_TEST), true, "1 ra: | |" },
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\1") A_TEST), true, "1 ra: | |" },
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\0") "\1a\4test\0\0\1\0"), true, "1 ra: | |" },
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\0") "\1a\4tes"), true, "1 ra: | |" },
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\0") "\xc0\x0c\0\1\0\1"), true, "1 ra: | |" },
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\0") "\x41xxx\0\0\1\0\1"), true, "1 ra: | |" },
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\0") "\1a\4test\0\0\1\0\3"), true, "5 ra: | |" },   /* CH */
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\1") A_TEST OPT("\2\0", "\0\0\0\0")), true,
	    "0 aa ra: a.test/A a.test/A | | ./OPT" },
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\1") A_TEST OPT("\2\0", "\0\1\0\0")), true,
	    "0 ra: | | ./OPT" },                                        /* BADVERS: the rest is in OPT */
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\2") A_TEST OPT("\2\0", "\0\0\0\0") OPT("\2\0", "\0\0\0\0")),
	    true, "1 ra: | | ./OPT" },                                  /* RFC 6891 6.1.1 */
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\1") A_TEST "\1x\0\x29\2\0\0\0\0\0\0\0"), true, "1 ra: | |" },
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\1") A_TEST "\0\0\x29\2\0\0\0\0\0\0\5"), true, "1 ra: | |" },
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\1") A_TEST "\0\0\x29\2\0\0\0\0\0\0\4\0\x0a\0\0"), true,
	    "0 aa ra: a.test/A a.test/A | | ./OPT" },                   /* an option: ignored */
	{ S_INIT(ASK("\0\0", "\0\1\0\0\0\0\0\1") A_TEST "\0\0\xfa\0\1\0\0\0\0\0\0"), true,
	    "0 aa ra: a.test/A a.test/A | |" },                         /* some other record */
};

static void
packets_that_are_no_good_questions(void **state)
{
	struct dns_world *w = small_world(arena);

	(void)state;
	for (size_t i = 0; i < COUNT(packets); i++) {
		struct buf answer = BUF(65535), shown = BUF(10000);
		struct dns_question q;
		bool question = dns_question_read(packets[i].packet, &q);

		assert_case(question == packets[i].question, i, "a question?");
		if (question) {
			dns_answer(w, &q, DNS_TCP_MOST, &answer);
			show_answer(buf_slice(&answer), &shown);
			assert_slice(buf_slice(&shown), packets[i].answer);
		}
		buf_free(&answer);
		buf_free(&shown);
	}
	dns_world_free(w);
}

/* RFC 6891 6.2.3: less than 512 means 512. */
static void
what_the_asker_can_take(void **state)
{
	static const struct { const char *size; unsigned most; } sizes[] = {
		{ "\0\0", 512 }, { "\1\xff", 512 }, { "\2\0", 512 }, { "\4\xd0", 1232 }, { "\xff\xff", 65535 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct buf packet = BUF(1000);
		struct dns_question q;

		buf_add(&packet, S(ASK("\0\0", "\0\1\0\0\0\0\0\1") A_TEST "\0\0\x29"));
		buf_add(&packet, slice_of(sizes[i].size, 2));
		buf_add(&packet, S("\0\0\0\0\0\0"));
		assert_true(dns_question_read(buf_slice(&packet), &q));
		assert_int_equal(q.udp_size, sizes[i].most);
		buf_free(&packet);
	}
}

static void
the_name_of_a_question_as_text(void **state)
{
	static const struct { const char *wire; size_t n; const char *text; } names[] = {
		{ "\2MX\4_x-1\4test\0", 14, "mx._x-1.test" }, { "\0", 1, "" },
		{ "\3a.b\4test\0", 10, NULL }, { "\1*\4test\0", 8, NULL }, { "\1\0\4test\0", 8, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct buf packet = BUF(1000);
		struct dns_question q;
		char text[NAME_WIRE];
		struct slice name;

		buf_add(&packet, S(ASK("\0\0", "\0\1\0\0\0\0\0\0")));
		buf_add(&packet, slice_of(names[i].wire, names[i].n));
		buf_add(&packet, S("\0\1\0\1"));
		assert_true(dns_question_read(buf_slice(&packet), &q));
		name = dns_question_name(&q, text);
		if (names[i].text == NULL)
			assert_null(name.p);
		else
			assert_slice(name, names[i].text);
		buf_free(&packet);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_an_order),
		cmocka_unit_test(names_as_text_and_on_the_wire),
		cmocka_unit_test_setup_teardown(data_of_every_type_as_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(signatures_and_hashed_names, setup, teardown),
		cmocka_unit_test_setup_teardown(a_line_that_is_no_record_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_of_a_small_world, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_that_is_too_long_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(packets_that_are_no_good_questions, setup, teardown),
		cmocka_unit_test(what_the_asker_can_take),
		cmocka_unit_test(the_name_of_a_question_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
