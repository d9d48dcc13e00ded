/* SPDX-License-Identifier: ISC */
#include "hops.h"
#include "unit.h"

static const char MESSAGE[] =
    "DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=; b=\r\n"
    "From: A <a@a.example>\r\n"
    "To: list@hop1.example\r\n"
    "Subject: a subject\r\n"
    "\r\n"
    "Hi,\r\n"
    "there.\r\n";

static const char RESULTS[] = "mx.lists.example; arc=none; dmarc=pass header.from=a.example";

/* Seal a message with these inputs; what came of it, and the three fields. */
static enum arc_sealing
seal(const char *message, const char *names, const struct signing_key *key, enum arc_result arrival,
    const char *results, struct buf *to, struct error *why)
{
	struct signer signer = { S("lists.example"), S("arc1"), key, slice(names) };
	struct arc_arrival seen = { arrival, slice(results) };
	struct judged j;
	enum arc_sealing done;

	assert_true(judge_begin(&j, slice(message)));
	bodies_add(&j.bodies, CANON_RELAXED, BODY_WHOLE);
	judge_body(&j, slice(message));
	done = arc_seal(&signer, &j.header, j.bodies.hashes[0].digest, &seen, NOW, to, why);
	judge_end(&j);
	return done;
}

/* --- what is written ------------------------------------------------------------- */

static void
b_left_out(struct slice fields, struct buf *to)
{
	while (fields.n) {
		size_t b = 0, end = 0;

		while (b < fields.n && !slice_starts(slice_skip(fields, b), S(" b=")))
			b++;
		buf_add(to, slice_head(fields, b + 3));
		fields = slice_skip(fields, b + 3);
		/* the field ends with a CRLF that no white space follows */
		while (end + 2 < fields.n && !(fields.p[end] == '\r' && !is_wsp(fields.p[end + 2])))
			end++;
		fields = slice_skip(fields, end);
	}
}

static void
the_fields_stand_in_their_order(void **state)
{
	struct buf set = BUF(8192), again = BUF(8192), shown = BUF(8192);

	(void)state;
	assert_int_equal(seal(MESSAGE, "", &hop_key, ARC_NONE, RESULTS, &set, NULL), ARC_SEALED);
	b_left_out(buf_slice(&set), &shown);
	assert_slice(buf_slice(&shown),
	    "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=lists.example; s=arc1; t=1795311000;\r\n"
	    " b=\r\n"
	    "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=lists.example;\r\n"
	    " s=arc1; t=1795311000; h=from:from:reply-to:to:to:cc:subject:subject:date:\r\n"
	    " message-id:mime-version:content-type:content-transfer-encoding:\r\n"
	    " dkim-signature; bh=2tFprLHt/Rw19YcK5xT1AnHiWNZsCs3RW7nsIiEuoKw=; b=\r\n"
	    "ARC-Authentication-Results: i=1; mx.lists.example; arc=none; dmarc=pass header.from=a.example\r\n");
	assert_int_equal(seal(MESSAGE, "", &hop_key, ARC_NONE, RESULTS, &again, NULL), ARC_SEALED);
	assert_true(slice_eq(buf_slice(&set), buf_slice(&again)));
	buf_free(&set);
	buf_free(&again);
	buf_free(&shown);
}

/* --- cv= and i= (RFC 8617 5.1) ------------------------------------------------------ */

enum { TAKE_SEAL = 1, TAKE_ALL = 2, TAKE_NOTHING = 0 };

/* Some honest hops, something that happened to their sets, and then our seal. */
static const struct {
	unsigned         hops;
	int              taken;         /* by a list manager on the way */
	enum arc_result  arrival;
	enum arc_sealing done;
	const char      *seal;          /* how ours begins */
	bool             passes;        /* the chain for the next hop */
} chains[] = {
	{ 0, TAKE_NOTHING, ARC_NONE, ARC_SEALED, "ARC-Seal: i=1; a=rsa-sha256; cv=none;", true },
	{ 1, TAKE_NOTHING, ARC_PASS, ARC_SEALED, "ARC-Seal: i=2; a=rsa-sha256; cv=pass;", true },
	{ 4, TAKE_NOTHING, ARC_PASS, ARC_SEALED, "ARC-Seal: i=5; a=rsa-sha256; cv=pass;", true },
	{ 1, TAKE_NOTHING, ARC_FAIL, ARC_SEALED, "ARC-Seal: i=2; a=rsa-sha256; cv=fail;", false },
	{ 3, TAKE_NOTHING, ARC_FAIL, ARC_SEALED, "ARC-Seal: i=4; a=rsa-sha256; cv=fail;", false },
	{ 1, TAKE_NOTHING, ARC_NONE, ARC_SEALED, "ARC-Seal: i=2; a=rsa-sha256; cv=fail;", false },
	{ 2, TAKE_SEAL, ARC_PASS, ARC_SEALED, "ARC-Seal: i=3; a=rsa-sha256; cv=fail;", false },
	{ 2, TAKE_ALL, ARC_PASS, ARC_SEALED, "ARC-Seal: i=1; a=rsa-sha256; cv=none;", true },
	{ 2, TAKE_ALL, ARC_FAIL, ARC_SEALED, "ARC-Seal: i=1; a=rsa-sha256; cv=fail;", false },
	{ 49, TAKE_NOTHING, ARC_PASS, ARC_SEALED, "ARC-Seal: i=50; a=rsa-sha256; cv=pass;", true },
	{ 50, TAKE_NOTHING, ARC_PASS, ARC_FULL, NULL, false },          /* RFC 8617 5.1.1.1: never above 50 */
};

static void
cv_is_what_was_seen_at_arrival(void **state)
{
	struct zone *zone = hop_zone(51, "");

	(void)state;
	for (size_t i = 0; i < COUNT(chains); i++) {
		struct buf message = hops_message(MESSAGE, chains[i].hops);
		struct judged j;
		enum arc_sealing done;

		if (chains[i].taken == TAKE_SEAL)
			hops_replace(&message, "ARC-Seal: i=2", "X-Seal: i=2");
		if (chains[i].taken == TAKE_ALL) {
			buf_clear(&message);
			buf_add(&message, slice(MESSAGE));
		}
		done = hop_seals(&message, 51, chains[i].arrival);
		assert_case(done == chains[i].done, i, "done");
		if (done == ARC_SEALED) {
			assert_slice(slice_head(buf_slice(&message), strlen(chains[i].seal)), chains[i].seal);
			hops_judge(&j, buf_slice(&message), zone);
			assert_case((j.arc.result == ARC_PASS) == chains[i].passes, i, chains[i].seal);
			assert_case(j.arc.ended == !chains[i].passes, i, chains[i].seal);
			judge_end(&j);
			/* Behind cv=fail nobody adds anything. */
			if (!chains[i].passes)
				assert_int_equal(hop_seals(&message, 51, ARC_FAIL), ARC_ENDED);
		}
		buf_free(&message);
	}
	zone_free(zone);
}

/* Is the newest seal good over the sets from `first` on? */
static bool
seal_is_over(const struct arc *a, unsigned first)
{
	struct signed_text t = signed_text_begin(CANON_RELAXED, a->header->block.n);
	struct buf record = BUF(4096);
	unsigned char digest[SHA256_BYTES];
	struct key key;
	bool good;

	for (unsigned i = first; i <= a->count; i++) {
		signed_text_add(&t, a->sets[i - 1]->aar->whole);
		signed_text_add(&t, a->sets[i - 1]->ams.field->whole);
		if (i < a->count)
			signed_text_add(&t, a->sets[i - 1]->seal.field->whole);
	}
	signed_text_digest(&t, a->sets[a->count - 1]->seal.field->whole, a->sets[a->count - 1]->seal.b_raw, digest);
	signing_key_record(&hop_key, &record);
	assert_int_equal(key_parse(&key, buf_slice(&record)), KEY_OK);
	good = key_verifies(&key, digest, a->sets[a->count - 1]->seal.b);
	key_free(&key);
	buf_free(&record);
	signed_text_free(&t);
	return good;
}

/* RFC 8617 5.1.2: a failed chain's seal covers only its own set. */
static void
a_seal_that_says_fail_is_over_its_own_set(void **state)
{
	struct zone *zone = hop_zone(3, "");

	(void)state;
	for (int failed = 0; failed < 2; failed++) {
		struct buf message = hops_message(MESSAGE, 2);
		struct judged j;

		assert_int_equal(hop_seals(&message, 3, failed ? ARC_FAIL : ARC_PASS), ARC_SEALED);
		hops_judge(&j, buf_slice(&message), zone);
		assert_int_equal(seal_is_over(&j.arc, 1), !failed);
		assert_int_equal(seal_is_over(&j.arc, 3), failed);
		judge_end(&j);
		buf_free(&message);
	}
	zone_free(zone);
}

/* --- h= ------------------------------------------------------------------------------- */

static void
every_dkim_signature_is_covered(void **state)
{
	struct zone *zone = hop_zone(1, "");
	struct buf message = hops_message(MESSAGE, 1);
	struct judged j;

	(void)state;
	hops_replace(&message, "DKIM-Signature: v=1; a", "DKIM-Signature: v=1;  a");
	hops_judge(&j, buf_slice(&message), zone);
	assert_int_equal(j.arc.result, ARC_PASS);
	judge_end(&j);
	hops_replace(&message, "d=a.example", "d=b.example");
	hops_judge(&j, buf_slice(&message), zone);
	assert_int_equal(j.arc.sets[0]->ams.state, SIGNATURE_WRONG);
	judge_end(&j);
	buf_free(&message);
	zone_free(zone);
}

/* --- what is refused -------------------------------------------------------------------- */

static struct signing_key ed25519;

static const struct { const char *names, *results; bool ed25519; const char *why; } refusals[] = {
	{ "", RESULTS, true, "RSA keys only" },
	{ "from:arc-seal", RESULTS, false, "arc-seal must not be" },            /* RFC 8617 4.1.2 */
	{ "from:ARC-Authentication-Results", RESULTS, false, "must not be" },
	{ "from:authentication-results", RESULTS, false, "must not be" },
	{ "to", RESULTS, false, "From must be among" },
	{ "", "", false, "results" },
	{ "", "  \t", false, "results" },
	{ "", "mx.example; dmarc=pass\r\nBcc: evil", false, "folded" },
	{ "", "mx.example; dmarc=pass\r\n\r\n body", false, "folded" },
	{ "", "mx.example; dmarc=pass\n folded", false, "folded" },
	{ "", "mx.example; dmarc=pass\r folded", false, "folded" },
	{ "", "mx.example; dmarc=pass\r\n", false, "folded" },
	{ "", "mx.example; dmarc=pass\x7f", false, "folded" },
};

static void
what_cannot_be_sealed_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(refusals); i++) {
		struct buf to = BUF(8192);
		struct error why = { 0 };
		enum arc_sealing done;

		buf_add(&to, S("kept"));
		done = seal(MESSAGE, refusals[i].names, refusals[i].ed25519 ? &ed25519 : &hop_key, ARC_NONE,
		    refusals[i].results, &to, &why);
		assert_case(done == ARC_BROKEN, i, refusals[i].why);
		assert_case(strstr(why.text, refusals[i].why) != NULL, i, why.text);
		assert_slice(buf_slice(&to), "kept");
		buf_free(&to);
	}
}

static void
too_little_room_leaves_the_buf_alone(void **state)
{
	(void)state;
	for (size_t room = 0; room < 1100; room += 13) {
		struct buf to = BUF(room);

		if (seal(MESSAGE, "", &hop_key, ARC_NONE, RESULTS, &to, NULL) != ARC_SEALED)
			assert_int_equal(to.n, 0);
		buf_free(&to);
	}
}

static int
setup(void **state)
{
	return hops_setup(state) == 0 && signing_key_parse(&ed25519, slice(KEY_ED25519_SEED), NULL) ? 0 : -1;
}

static int
teardown(void **state)
{
	signing_key_free(&ed25519);
	return hops_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fields_stand_in_their_order),
		cmocka_unit_test(cv_is_what_was_seen_at_arrival),
		cmocka_unit_test(a_seal_that_says_fail_is_over_its_own_set),
		cmocka_unit_test(every_dkim_signature_is_covered),
		cmocka_unit_test(what_cannot_be_sealed_is_refused),
		cmocka_unit_test(too_little_room_leaves_the_buf_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
