/* SPDX-License-Identifier: ISC */
/*
 * What a verdict costs: a message of 4 KiB with one RSA-2048 DKIM signature, SPF
 * and DMARC, its DNS in memory, on one core; everything that the server does with
 * it between the socket and the envelope, by stage.  Beside it the bare signature:
 * OpenSSL's verification of the same digest with the same key, nothing around it.
 * Both in turn, many times, medians; all in time of the processor, so that others
 * on the machine disturb little.  The stages are timed in runs of their own, because
 * looking at the clock costs.
 *
 *     obj/tests/bench/b_auth              the figures
 *     obj/tests/bench/b_auth rate         verdicts a second, once, as a number
 *     obj/tests/bench/b_auth message      the message, for peers
 *     obj/tests/bench/b_auth records      and its DNS
 */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "arc/verdict.h"
#include "auth/sign.h"
#include "base/bug.h"
#include "dns/zone.h"
#include "keys.h"

enum { SIZE = 4096, PAIRS = 21, MESSAGES = 2000, BARE = 3000, ARENA = 8 << 20 };

#define NOW INT64_C(1795311000000)

static const char HEADER[] =
    "Received: from mx2.example.net (mx2.example.net [198.51.100.4])\r\n"
    "\tby mail.example.net with ESMTPS id 1S3W6QK4T9ZC; Sun, 22 Nov 2026 07:58:02 +0000\r\n"
    "Received: from client.example.net ([198.51.100.77])\r\n"
    "\tby mx2.example.net with ESMTPSA id 1S3W6QK4T9ZB; Sun, 22 Nov 2026 07:58:01 +0000\r\n"
    "From: Ann Example <ann@example.net>\r\n"
    "To: Bob <bob@example.org>\r\n"
    "Subject: Minutes of the last meeting, and what we decided there\r\n"
    "Date: Sun, 22 Nov 2026 08:58:00 +0100\r\n"
    "Message-ID: <5f0c7c3e-0b5f-4e55-9d2e-2c7a1f0b3a11@example.net>\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8; format=flowed\r\n"
    "Content-Transfer-Encoding: 8bit\r\n"
    "User-Agent: Example Mail 1.0\r\n";

static const char RECORDS[] =
    "example.net. TXT \"v=spf1 include:in.example.net -all\"\n"
    "in.example.net. TXT \"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all\"\n"
    "_dmarc.example.net. TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@example.net\"\n"
    "1.2.0.192.in-addr.arpa. PTR mail.example.net.\n"
    "mail.example.net. A 192.0.2.1\n";

static struct buf record = { .ceiling = 4096 }, message = { .ceiling = 2 * SIZE }, records = { .ceiling = 1 << 16 };
static struct zone *zone;

/* --- the message --------------------------------------------------------------------- */

static void
add_body(struct buf *to)
{
	static const char LINE[] = "The quick brown fox jumps over the lazy dog, and then it rests a while.\r\n";

	while (to->n + sizeof LINE < SIZE - 700)        /* the signature goes in front */
		buf_add(to, S(LINE));
}

static struct slice
sign_it(const struct signing_key *key, struct slice unsigned_, struct buf *field)
{
	struct signer signer = { .domain = S("example.net"), .selector = S("s2026"), .key = key };
	struct arena *arena = arena_new(1 << 20);
	size_t n = header_length(unsigned_);
	struct bodies bodies = { 0 };
	struct header header;
	struct error why;

	bug_if(!header_parse(&header, slice_head(unsigned_, n), arena, &why));
	bodies_add(&bodies, CANON_RELAXED, BODY_WHOLE);
	bodies_update(&bodies, slice_skip(unsigned_, n + 2));
	bodies_finish(&bodies);
	bug_if(!dkim_sign(&signer, &header, bodies.hashes[0].digest, NOW, field, &why));
	arena_free(arena);
	return buf_slice(field);
}

static void
make_message(void)
{
	struct buf text = BUF(SIZE), field = BUF(SIZE);
	struct signing_key key;
	struct error why;

	bug_if(!signing_key_parse(&key, slice(KEY_RSA_2048_PEM), &why));
	signing_key_record(&key, &record);
	buf_add(&text, S(HEADER));
	buf_add(&text, S("\r\n"));
	add_body(&text);
	buf_add(&message, sign_it(&key, buf_slice(&text), &field));
	buf_add(&message, buf_slice(&text));
	buf_printf(&records, "%ss2026._domainkey.example.net. TXT \"%.*s\"\n", RECORDS, FMT(buf_slice(&record)));
	bug_if((zone = zone_parse(buf_slice(&records), "records", &why)) == NULL);
	signing_key_free(&key);
	buf_free(&text);
	buf_free(&field);
}

/* --- a verdict, by stage --------------------------------------------------------------- */

enum stage { HEADER_STAGE, BODY_STAGE, EVALUATE_STAGE, ANSWER_STAGE, RESULTS_STAGE, STAGES };

static const char *const STAGE_NAMES[STAGES] = {
	"header read, signatures parsed", "body hashed", "evaluated: SPF, DKIM, ARC, DMARC, iprev",
	"questions answered from memory", "decided, results written",
};

static bool timed;                      /* look at the clock between the stages */
static double spent[STAGES];            /* seconds, of one run */

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
lap(enum stage stage, double since)
{
	double now;

	if (!timed)
		return since;
	now = seconds();
	spent[stage] += now - since;
	return now;
}

static double
evaluate(struct verdict *v, const struct verdict_question *q, struct bodies *bodies, struct keys *keys,
    struct arena *arena, double at)
{
	struct facts facts;

	facts_begin(&facts, arena);
	while (!verdict_evaluate(v, q, bodies, keys, &facts)) {
		at = lap(EVALUATE_STAGE, at);
		zone_answer_all(zone, &facts);
		at = lap(ANSWER_STAGE, at);
	}
	return lap(EVALUATE_STAGE, at);
}

static void
judge(struct arena *arena, struct keys *keys)
{
	struct verdict_question q = { .helo = S("mail.example.net"), .hostname = S("mx.example.org"),
	    .sender = { S("ann"), S("example.net"), S("ann@example.net") }, .now = NOW };
	struct verdict *v = arena_get(arena, sizeof *v);
	struct slice whole = buf_slice(&message);
	size_t n = header_length(whole);
	struct bodies bodies = { 0 };
	struct policy policy = { 0 };
	struct authres results;
	struct header header;
	struct buf text = BUF(4096);
	double at = timed ? seconds() : 0;

	ip_parse(S("192.0.2.1"), &q.client);
	bug_if(!header_parse(&header, slice_head(whole, n), arena, NULL));
	bodies_add(&bodies, CANON_RELAXED, BODY_WHOLE);
	bug_if(!verdict_begin(v, &header, &bodies, arena));
	at = lap(HEADER_STAGE, at);
	bodies_update(&bodies, slice_skip(whole, n + 2));
	bodies_finish(&bodies);
	at = lap(BODY_STAGE, at);
	at = evaluate(v, &q, &bodies, keys, arena, at);
	verdict_decide(v, &q, &(struct verdict_terms){ .policy = &policy });
	verdict_results(v, &q, S("mx.example.org"), &results);
	authres_write(&results, false, &text);
	lap(RESULTS_STAGE, at);
	bug_if(v->dmarc.result != DMARC_PASS || v->mail.result != SPF_PASS || v->iprev.result != IPREV_PASS ||
	    dkim_result(&v->dkim.signatures[0]) != DKIM_PASS);
	buf_free(&text);
}

static double
run_verdicts(bool stages)
{
	struct arena *arena = arena_new(ARENA);
	struct keys *keys = keys_new(64);
	double begun = seconds(), took;

	timed = stages;
	memset(spent, 0, sizeof spent);
	for (int i = 0; i < MESSAGES; i++) {
		judge(arena, keys);
		arena_reset(arena);
	}
	took = seconds() - begun;
	keys_free(keys);
	arena_free(arena);
	return MESSAGES / took;
}

/* --- the bare signature ---------------------------------------------------------------- */

static double
run_bare(void)
{
	static const unsigned char digest[SHA256_BYTES] = "any thirty-two bytes will do it";
	struct signing_key key;
	struct key public_key;
	struct buf signature = BUF(1024);
	struct error why;
	EVP_PKEY_CTX *c;
	double begun;

	bug_if(!signing_key_parse(&key, slice(KEY_RSA_2048_PEM), &why));
	bug_if(!signing_key_sign(&key, digest, &signature, &why));
	bug_if(key_parse(&public_key, buf_slice(&record)) != KEY_OK);
	c = EVP_PKEY_CTX_new(public_key.pkey, NULL);
	bug_if(c == NULL || EVP_PKEY_verify_init(c) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) <= 0);
	begun = seconds();
	for (int i = 0; i < BARE; i++)
		bug_if(EVP_PKEY_verify(c, (const unsigned char *)signature.p, signature.n, digest,
		    sizeof digest) != 1);
	begun = seconds() - begun;
	EVP_PKEY_CTX_free(c);
	key_free(&public_key);
	signing_key_free(&key);
	buf_free(&signature);
	return BARE / begun;
}

/* --- the figures -------------------------------------------------------------------------- */

static int
ascending(const void *a, const void *b)
{
	double p = *(const double *)a, q = *(const double *)b;

	return (p > q) - (p < q);
}

static double
median(double *v)
{
	qsort(v, PAIRS, sizeof *v, ascending);
	return v[PAIRS / 2];
}

static void
compare(void)
{
	double ours[PAIRS], bare[PAIRS], ratio[PAIRS], stages[STAGES][PAIRS], middle;

	for (int i = 0; i < PAIRS; i++) {
		run_verdicts(true);
		for (int s = 0; s < STAGES; s++)
			stages[s][i] = spent[s] / MESSAGES * 1e6;
		ours[i] = run_verdicts(false);
		bare[i] = run_bare();
		ratio[i] = ours[i] / bare[i];
	}
	middle = median(ratio);
	printf("auth: %zu octets, one RSA-2048 signature, SPF with an include, DMARC, iprev\n", message.n);
	printf("  %7.0f verdicts/s, %.2f times the bare signature (%.0f/s; %.2f to %.2f)\n", median(ours), middle,
	    median(bare), ratio[0], ratio[PAIRS - 1]);
	for (int s = 0; s < STAGES; s++)
		printf("  %7.1f us  %s\n", median(stages[s]), STAGE_NAMES[s]);
	printf("  %7.1f us  of it the bare signature\n", 1e6 / median(bare));
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	make_message();
	if (argc == 1)
		compare();
	else if (strcmp(argv[1], "rate") == 0)
		printf("%.0f\n", run_verdicts(false));
	else
		printf("%.*s", FMT(buf_slice(strcmp(argv[1], "records") == 0 ? &records : &message)));
	zone_free(zone);
	buf_free(&record);
	buf_free(&message);
	buf_free(&records);
	return 0;
}
