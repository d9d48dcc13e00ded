/* SPDX-License-Identifier: ISC */
/*
 * What a stranger can make a verdict cost: one message that comes to every limit of
 * HACKING 8 at once, or just below it, beside an ordinary one.
 *
 *     the header has nearly 256 KiB and 2,000 fields
 *     10 DKIM signatures with keys of 8,192 bits, 1,000 names in each h=, and
 *     different canonicalizations and l=
 *     50 ARC sets that hold, the ten newest with 1,000 names in h=
 *     SPF asks ten times, each record with 8 KiB of terms that do not match
 *     16 addresses in From, 10 names for the client, DMARC walks all the way
 *
 * All answers come at once, or one by one in an order that is as bad as it can be: then
 * the policies of SPF are five records inside each other, each with 8 KiB of terms that
 * do not match or with a name to be expanded from that much, and innermost five mx with
 * ten hosts.
 *
 * Beside that, fields that are long and tangled: a quarter of a MiB of small pieces, in one
 * field or in many, for each reader of ours that goes through one.
 *
 * Wanted: at most 20 ms of a processor.  The body is small: what a body costs grows
 * with the octets that the sender had to send, and is printed beside.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "arc/seal.h"
#include "arc/verdict.h"
#include "base/bug.h"
#include "base/text.h"
#include "dns/zone.h"
#include "keys.h"

enum {
	HOPS = 50, NEWEST = 10, SIGNATURES = 10, NAMES = 1000, FILLING = 1800, RUNS = 21, BODY = 1 << 20,
	HEADER_MOST_TANGLED = 250 << 10, FIELDS_MOST_TANGLED = 1950,
};

#define NOW INT64_C(1795311000000)
#define DEEP "a.b.c.d.e.f.g.example.net"

static struct signing_key hop_key;
static char names[2 * NAMES + 8];               /* "from:x:x:…" */

/* --- the message ---------------------------------------------------------------------- */

/* Nobody signed with it: to find that out takes as long. */
static void
print_large_key(struct buf *to)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BIGNUM *n = BN_new(), *e = BN_new();
	OSSL_PARAM *params;
	EVP_PKEY *key = NULL;
	unsigned char *der = NULL;
	int size;

	bug_if(!BN_rand(n, 8192, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD) || !BN_set_word(e, 65537) ||
	    !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) ||
	    !OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e));
	params = OSSL_PARAM_BLD_to_param(build);
	bug_if(EVP_PKEY_fromdata_init(c) <= 0 || EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0);
	bug_if((size = i2d_PUBKEY(key, &der)) <= 0);
	base64_add(to, slice_of((char *)der, (size_t)size));
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(c);
	BN_free(n);
	BN_free(e);
}

/* The body is as they say, so that each of them must be looked at to the end. */
static void
add_signature(struct buf *to, int i, struct slice body)
{
	uint64_t limit = i < 4 ? (uint64_t)(100 + i) : BODY_WHOLE;
	enum canon canon = i % 2 ? CANON_SIMPLE : CANON_RELAXED;
	struct bodies bodies = { 0 };

	bodies_add(&bodies, canon, limit);
	bodies_update(&bodies, body);
	bodies_finish(&bodies);
	buf_printf(to, "DKIM-Signature: v=1; a=rsa-sha256; d=s%d.example.net; s=k; c=relaxed/%s; ", i,
	    i % 2 ? "simple" : "relaxed");
	if (i < 4)
		buf_printf(to, "l=%d; ", (int)limit);
	buf_printf(to, "h=%s; bh=", names);
	base64_add(to, slice_of((char *)bodies.hashes[0].digest, SHA256_BYTES));
	buf_add(to, S("; b="));
	base64_add(to, slice_of(names, 1024));
	buf_add(to, S("\r\n"));
}

/* The author's text: the fields that all signatures cover, and the addresses. */
static void
add_text(struct buf *to)
{
	buf_add(to, S("From: "));
	for (int i = 0; i < 16; i++)
		buf_printf(to, "%sa%d@" DEEP, i ? ", " : "", i);
	buf_add(to, S("\r\n"));
	for (int i = 0; i < FILLING; i++)
		buf_printf(to, "x: a value  that is folded\r\n\tand %d times as long\r\n", i);
	buf_add(to, S("\r\n"));
}

static void
parse(struct header *h, struct bodies *bodies, struct slice message, struct arena *arena)
{
	size_t n = header_length(message);
	struct error why;

	bug_if(!header_parse(h, slice_head(message, n), arena, &why));
	bodies_add(bodies, CANON_RELAXED, BODY_WHOLE);
}

static void
finish_bodies(struct bodies *bodies, struct slice message)
{
	bodies_update(bodies, slice_skip(message, header_length(message) + 2));
	bodies_finish(bodies);
}

static void
seal(struct buf *message, unsigned hop)
{
	struct arena *arena = arena_new(8 << 20);
	struct arc_arrival seen = { .result = hop == 1 ? ARC_NONE : ARC_PASS };
	struct signer signer = { .selector = S("k"), .key = &hop_key,
	    .names = hop > HOPS - NEWEST ? slice(names) : S("from") };
	struct buf set = BUF(1 << 16), whole = BUF(2 << 20);
	struct bodies bodies = { 0 };
	struct header header;
	struct error why;

	signer.domain = arena_printf(arena, "hop%u.example", hop);
	seen.results = arena_printf(arena, "hop%u.example; arc=%s", hop, arc_result_name(seen.result));
	parse(&header, &bodies, buf_slice(message), arena);
	finish_bodies(&bodies, buf_slice(message));
	bug_if(arc_seal(&signer, &header, bodies.hashes[0].digest, &seen, NOW, &set, &why) != ARC_SEALED);
	buf_add(&whole, buf_slice(&set));
	buf_add(&whole, buf_slice(message));
	buf_free(&set);
	buf_free(message);
	*message = whole;
	arena_free(arena);
}

static struct buf
worst_message(size_t body)
{
	struct buf text = BUF(4 << 20), octets = BUF(2 << 20);

	for (size_t i = 0; i < body; i += 16)
		buf_add(&octets, S("fourteen bytes\r\n"));
	for (int i = 0; i < SIGNATURES; i++)
		add_signature(&text, i, buf_slice(&octets));
	add_text(&text);
	buf_add(&text, buf_slice(&octets));
	buf_free(&octets);
	for (unsigned hop = 1; hop <= HOPS; hop++)
		seal(&text, hop);
	return text;
}

/* --- its world ------------------------------------------------------------------------- */

static void
add_spf(struct buf *to)
{
	buf_add(to, S("example.net. TXT \"v=spf1"));
	for (int i = 0; i < 10; i++)
		buf_printf(to, " include:i%d.example.net", i);
	buf_add(to, S(" -all\"\n"));
	for (int i = 0; i < 10; i++) {
		buf_printf(to, "i%d.example.net. TXT \"v=spf1", i);
		for (int k = 0; k < 480; k++)
			buf_printf(to, "%s ip4:10.%d.%d.1", k % 14 == 13 ? "\" \"" : "", i, k % 256);
		buf_add(to, S(" -all\"\n"));
	}
}

/* 8 KiB of what does not match, or of letters that stand for little. */
static void
add_filling(struct buf *to, bool macros)
{
	buf_add(to, S(" "));
	for (int k = 0; !macros && k < 480; k++)
		buf_printf(to, "%s ip4:10.%d.%d.1", k % 14 == 13 ? "\" \"" : "", k % 256, k % 250);
	if (macros)
		buf_add(to, S(" include:"));
	for (int k = 0; macros && k < 3950; k++)
		buf_add(to, k % 100 == 99 ? S("\" \"%%") : S("%%"));
}

/* Five records inside each other, and at their end what has many answers. */
static void
add_deep_spf(struct buf *to, const char *domain, bool macros)
{
	for (int i = 0; i < 6; i++) {
		buf_printf(to, "d%d.%s. TXT \"v=spf1", i, domain);
		if (i < 5) {
			add_filling(to, macros);
			buf_printf(to, macros ? ".d%d.%s -all\"\n" : " include:d%d.%s -all\"\n", i + 1, domain);
			continue;
		}
		for (int k = 0; k < 5; k++)
			buf_printf(to, " mx:m%d.%s", k, domain);
		buf_add(to, S(" -all\"\n"));
	}
	for (int k = 0; k < 50; k++)
		buf_printf(to, "m%d.%s. MX 10 h%02d.%s.\nh%02d.%s. A 192.0.2.9\n", k / 10, domain, k, domain, k, domain);
}

static void
add_large_key(struct buf *to, const char *owner, int which, struct slice p)
{
	buf_printf(to, "k._domainkey.%s. TXT \"v=DKIM1; n=%d; p=\"", owner, which);
	for (; p.n > 0; p = slice_skip(p, p.n < 200 ? p.n : 200))
		buf_printf(to, " \"%.*s\"", (int)(p.n < 200 ? p.n : 200), p.p);
	buf_add(to, S("\n"));
}

/* `others`: so many more keys under each name, all large, in front of the right one. */
static struct zone *
worst_world(int others)
{
	struct buf text = BUF(2 << 20), record = BUF(8192), large = BUF(8192);
	struct error why;
	struct zone *zone;
	char owner[40];

	signing_key_record(&hop_key, &record);
	print_large_key(&large);
	for (int i = 1; i <= HOPS; i++) {
		snprintf(owner, sizeof owner, "hop%d.example", i);
		for (int k = 0; k < others; k++)
			add_large_key(&text, owner, k, buf_slice(&large));
		buf_printf(&text, "k._domainkey.hop%d.example. TXT \"%.*s\"\n", i, FMT(buf_slice(&record)));
	}
	for (int i = 0; i < SIGNATURES; i++) {
		snprintf(owner, sizeof owner, "s%d.example.net", i);
		for (int k = 0; k <= others; k++)
			add_large_key(&text, owner, k, buf_slice(&large));
		buf_printf(&text, "1.2.0.192.in-addr.arpa. PTR h%d.example.net.\nh%d.example.net. A 192.0.2.9\n", i, i);
	}
	add_spf(&text);
	add_deep_spf(&text, "e1.example", false);
	add_deep_spf(&text, "e2.example", false);
	add_deep_spf(&text, "e3.example", true);
	add_deep_spf(&text, "e4.example", true);
	buf_add(&text, S("_dmarc.net. TXT \"v=DMARC1; p=reject; psd=y\"\n"));
	bug_if((zone = zone_parse(buf_slice(&text), "limits", &why)) == NULL);
	buf_free(&text);
	buf_free(&record);
	buf_free(&large);
	return zone;
}

/* --- what it costs ----------------------------------------------------------------------- */

static double
milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Who sends it, and how the answers come. */
struct manner {
	struct slice sender, helo;
	bool         one_by_one;
};

static void
answer(const struct zone *zone, struct facts *facts, bool one)
{
	struct fact *f;

	while ((f = facts_next_wanted(facts)) != NULL) {
		zone_answer(zone, facts, f);
		if (one)
			break;
	}
}

/* The verdict, from the octets to Authentication-Results; what it says goes to *shown. */
static void
judge(const struct zone *zone, struct slice message, const struct manner *how, struct buf *shown)
{
	struct verdict_question q = { .helo = how->helo, .hostname = S("mx.example.org"),
	    .sender = { S("ann"), how->sender, NONE }, .now = NOW };
	struct arena *arena = arena_new(32 << 20);
	struct verdict *v = arena_get(arena, sizeof *v);
	struct keys *keys = keys_new(64);
	struct bodies bodies = { 0 };
	struct policy policy = { 0 };
	struct authres results;
	struct header header;
	struct facts facts;

	ip_parse(S("192.0.2.1"), &q.client);
	parse(&header, &bodies, message, arena);
	bug_if(!verdict_begin(v, &header, &bodies, arena));
	finish_bodies(&bodies, message);
	facts_begin(&facts, arena);
	while (!verdict_evaluate(v, &q, &bodies, keys, &facts))
		answer(zone, &facts, how->one_by_one);
	verdict_decide(v, &q, &(struct verdict_terms){ .policy = &policy });
	verdict_results(v, &q, S("mx.example.org"), &results);
	buf_clear(shown);
	authres_write(&results, false, shown);
	keys_free(keys);
	arena_free(arena);
}

static int
ascending(const void *a, const void *b)
{
	double p = *(const double *)a, q = *(const double *)b;

	return (p > q) - (p < q);
}

static double
cost(const struct zone *zone, struct slice message, const struct manner *how, struct buf *shown,
    double *most)
{
	double took[RUNS];

	for (int i = 0; i < RUNS; i++) {
		took[i] = milliseconds();
		judge(zone, message, how, shown);
		took[i] = milliseconds() - took[i];
	}
	qsort(took, RUNS, sizeof *took, ascending);
	*most = took[RUNS - 1];
	return took[RUNS / 2];
}

/* --- tangled fields ---------------------------------------------------------------------- */

/* Behind its name a field begins with `head`; then so many times `piece`, until it is full. */
static const struct tangle { const char *name, *head, *group, *tail; int groups; bool many; } tangles[] = {
	{ "Received-SPF", "pass (x:)", "receiver=", "x;", 30, false },
	{ "Received-SPF", "pass (x:)", "receiver=", "(..........................................);", 30, false },
	{ "Received-SPF", "pass (x:)", "receiver=", "\"a b\" c d;", 4, false },
	{ "Received-SPF", "pass (x:)", "\"\\", "", 1, false },
	{ "Received-SPF", "pass (x:) \"", "\\\"", "", 1, false },
	{ "Received-SPF", "pass (x:) receiver=a;", "receiver=a ", "", 11, true },
	{ "Received-SPF", "pass (x:) receiver=a;", "a ", "receiver=", 31, true },
	{ "Authentication-Results", "", "a ", ";", 31, true },
	{ "Authentication-Results", "", "a(x)", ";", 31, true },
	{ "Authentication-Results", "", "abcdefghijklmnopqrstuvwxyz.", " ;", 37, true },
	{ "Authentication-Results", "a; ", "x=y ", "", 30, true },
	{ "Authentication-Results", "", "\"\\\"", "", 40, true },
	{ "Authentication-Results", "", "\xc3\xa9", " ;", 400, true },
	{ "From", "", "a:;,", "", 1, false },
	{ "From", "", "'a:;,", "", 1, false },
	{ "From", "", "\"a\" . ", "", 1, false },
	{ "From", "", "a.", "", 1, false },
	{ "From", "a: ", ", ", "", 1, false },
	{ "From", "", "(a) ", "", 1, false },
	{ "From", "", "\"\\\"", "", 1, false },
	{ "From", "<@a.t,", ", ", "", 1, false },
	{ "DKIM-Signature", "", "a=b;", "", 63, true },
	{ "DKIM-Signature", "v=1; a=rsa-sha256; bh=AA; d=a.test; s=s; b=", " \t", "", 1, false },
	{ "DKIM-Signature", "v=1; a=rsa-sha256; bh=AA; d=a.test; s=s; b=AA; h=", "a:", "", 1, false },
	{ "DKIM-Signature", "d=\xc3\xa9.example.net; x=", "y", "", 80, true },
	{ "ARC-Authentication-Results", "i=1; ", "(a)", "", 1, false },
	{ "ARC-Authentication-Results", "", "(", "", 40, true },
	{ "ARC-Seal", "i=1; a=b;", "c=d;", "", 40, true },
	{ "Received", "from a ", "(b) ", "", 40, true },
	{ "Precedence", "", "list ", "", 1, false },
	{ "List-Id", "", "<a> ", "", 1, false },
	{ "Subject", "", "=?utf-8?q?a?= ", "", 1, false },
	{ "TLS-Required", "", "(a) ", "", 1, false },
};

static struct buf
tangled(const struct tangle *t)
{
	struct buf message = BUF(1 << 20);
	int fields = 1;

	buf_printf(&message, "From: a@a.test\r\n%s: %s\r\n " + 16 * (strcmp(t->name, "From") == 0), t->name, t->head);
	for (size_t line = 0; message.n < HEADER_MOST_TANGLED; line++) {
		size_t at = message.n;

		while (message.n < at + 600 && message.n < HEADER_MOST_TANGLED) {
			for (int i = 0; i < t->groups; i++)
				buf_add(&message, slice(t->group));
			buf_add(&message, slice(t->tail));
			if (t->many)
				break;
		}
		buf_add(&message, S("\r\n "));
		if (t->many && fields++ < FIELDS_MOST_TANGLED)
			buf_printf(&message, "x\r\n%s: %s\r\n ", t->name, t->head);
	}
	buf_add(&message, S("x\r\n\r\n"));
	return message;
}

static void
read_tangled(struct slice message, const struct zone *nothing)
{
	static const struct manner at_once = { S_INIT("a.test"), S_INIT("a.test"), false };
	struct slice ours = S("mx.example.org");
	struct arena *arena = arena_new(8 << 20);
	struct authres_forged forged;
	struct bodies bodies = { 0 };
	struct buf shown = BUF(1 << 16);
	struct header header;

	judge(nothing, message, &at_once, &shown);
	parse(&header, &bodies, message, arena);
	bug_if(!authres_forged(&header, &ours, 1, arena, &forged));
	bodies_free(&bodies);
	buf_free(&shown);
	arena_free(arena);
}

static double
cost_of_tangle(const struct tangle *t, const struct zone *nothing)
{
	struct buf message = tangled(t);
	double took[5];

	for (size_t i = 0; i < 5; i++) {
		took[i] = milliseconds();
		read_tangled(buf_slice(&message), nothing);
		took[i] = milliseconds() - took[i];
	}
	qsort(took, 5, sizeof *took, ascending);
	buf_free(&message);
	return took[2];
}

static void
look_at_tangles(bool all)
{
	struct zone *nothing = zone_parse(S("a.test. A 192.0.2.2\n"), "nothing", NULL);
	const struct tangle *worst = tangles;
	double most = 0;

	for (const struct tangle *t = tangles; t < tangles + sizeof tangles / sizeof *tangles; t++) {
		double took = cost_of_tangle(t, nothing);

		if (all)
			printf("  %7.1f ms %s: %s%s\n", took, t->name, t->head, t->group);
		if (took > most) {
			most = took;
			worst = t;
		}
	}
	printf("  %7.1f ms for the dearest of %zu tangled headers, %s: %s%s (wanted: 20)\n", most,
	    sizeof tangles / sizeof *tangles, worst->name, worst->head, worst->group);
	zone_free(nothing);
}

static const struct manner AT_ONCE = { S_INIT("example.net"), S_INIT("h0.example.net"), false },
    LONG_RECORDS = { S_INIT("d0.e1.example"), S_INIT("d0.e2.example"), true },
    LONG_NAMES = { S_INIT("d0.e3.example"), S_INIT("d0.e4.example"), true };

int
main(int argc, char **argv)
{
	struct buf small, large, shown = BUF(1 << 16);
	double with_body, most, middle;
	struct zone *zone, *dear;
	size_t at;

	bug_if(!signing_key_parse(&hop_key, slice(KEY_RSA_2048_PEM), NULL));
	at = (size_t)snprintf(names, sizeof names, "from");
	for (int i = 1; i < NAMES; i++, at += 2)
		memcpy(names + at, ":x", 2);
	zone = worst_world(0);
	dear = worst_world(KEY_RECORDS_TRIED - 1);
	small = worst_message(1024);
	large = worst_message(BODY);
	middle = cost(zone, buf_slice(&small), &AT_ONCE, &shown, &most);
	if (argc > 1 && strcmp(argv[1], "results") == 0)
		printf("%.*s", FMT(buf_slice(&shown)));
	printf("limits: a message at every limit, %zu octets of header\n", header_length(buf_slice(&small)));
	printf("  %7.1f ms of a processor, at most %.1f (wanted: 20)\n", middle, most);
	with_body = cost(zone, buf_slice(&small), &LONG_RECORDS, &shown, &most);
	printf("  %7.1f ms when the answers come one by one, for SPF records of 8 KiB, at most %.1f\n",
	    with_body, most);
	with_body = cost(zone, buf_slice(&small), &LONG_NAMES, &shown, &most);
	printf("  %7.1f ms the same, for names of 8 KiB, at most %.1f\n", with_body, most);
	with_body = cost(dear, buf_slice(&small), &AT_ONCE, &shown, &most);
	printf("  %7.1f ms with keys so dear that DKIM and ARC both spend all they may, at most %.1f\n", with_body,
	    most);
	with_body = cost(zone, buf_slice(&large), &AT_ONCE, &shown, &most);
	printf("  %7.1f ms more for each MiB of a body that ten signatures hash in their own ways\n",
	    with_body - middle);
	look_at_tangles(argc > 1 && strcmp(argv[1], "tangles") == 0);
	zone_free(zone);
	zone_free(dear);
	signing_key_free(&hop_key);
	buf_free(&small);
	buf_free(&large);
	buf_free(&shown);
	return 0;
}
