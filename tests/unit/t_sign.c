/* SPDX-License-Identifier: ISC */
#include "auth/sign.h"
#include "judge.h"
#include "keys.h"
#include "unit.h"

#define NOW INT64_C(1795311000123)

static struct signing_key rsa, ed25519;

/* --- h= ----------------------------------------------------------------------- */

/* What is listed whatever the message has: adding one breaks the signature (RFC 6376 8.15). */
#define REST "reply-to:to:cc:subject:date:message-id"
#define MIME "mime-version:content-type:content-transfer-encoding"

static const struct { const char *header, *names; } lists[] = {
	{ "From: a@example.org\r\n", "from:from:" REST ":" MIME },
	{ "Subject: x\r\nFROM: a@example.org\r\nTo: b\r\n",
	  "from:from:reply-to:to:to:cc:subject:subject:date:message-id:" MIME },
	{ "From: a\r\nSender: b\r\n", "from:from:" REST ":sender:sender:" MIME },
	{ "From: a\r\nReferences: x\r\nIn-Reply-To: x\r\n",
	  "from:from:" REST ":in-reply-to:references:" MIME },
	/* RFC 6376 5.4: every instance; RFC 8058 4: one-click is covered and cannot be added again */
	{ "From: a\r\nList-Unsubscribe: <https://x>\r\nList-Unsubscribe-Post: One-Click\r\nList-Id: <l>\r\n",
	  "from:from:" REST ":" MIME ":list-id:list-unsubscribe:list-unsubscribe:list-unsubscribe-post:"
	  "list-unsubscribe-post" },
	{ "From: a\r\nResent-From: b\r\nResent-From: c\r\n", "from:from:" REST ":" MIME ":resent-from:resent-from" },
	/* never what others put on top (RFC 6376 5.4.1) */
	{ "Return-Path: <a>\r\nReceived: x\r\nAuthentication-Results: x\r\nARC-Seal: i=1\r\nX-Y: z\r\n"
	  "DKIM-Signature: v=1\r\nFrom: a\r\nDelivered-To: b\r\nComments: c\r\n", "from:from:" REST ":" MIME },
};

static void
the_default_covers_what_readers_see(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		struct arena *arena = arena_new(1 << 16);
		struct buf names = BUF(4096);
		struct header header;

		assert_true(header_parse(&header, slice(lists[i].header), arena, NULL));
		assert_true(sign_names(&header, &names));
		assert_slice(buf_slice(&names), lists[i].names);
		buf_free(&names);
		arena_free(arena);
	}
}

/* --- signing -------------------------------------------------------------------- */

/* The message with our signature on top; false with a reason. */
static bool
sign(struct slice message, const struct signer *signer, int64_t now, struct buf *to, struct error *why)
{
	struct judged j;
	bool ok;

	assert_true(judge_begin(&j, message));
	bodies_add(&j.bodies, CANON_RELAXED, BODY_WHOLE);
	judge_body(&j, message);
	ok = dkim_sign(signer, &j.header, j.bodies.hashes[0].digest, now, to, why);
	if (ok)
		buf_add(to, message);
	judge_end(&j);
	return ok;
}

/* Does it verify, and with what result the first signature? */
static enum dkim_result
verify(struct slice message, const struct signing_key *key)
{
	struct buf text = BUF(8192);
	struct judged j;
	struct zone *zone;
	enum dkim_result result;

	buf_add(&text, S("s1._domainkey.example.org. TXT \""));
	signing_key_record(key, &text);
	buf_add(&text, S("\"\n"));
	zone = zone_parse(buf_slice(&text), "zone", NULL);
	assert_true(judge_begin(&j, message));
	assert_true(dkim_begin(&j.dkim, &j.header, NONE, &j.bodies, j.arena));
	judge_body(&j, message);
	judge_dkim(&j, zone, NOW);
	result = dkim_result(&j.dkim.signatures[0]);
	zone_free(zone);
	judge_end(&j);
	buf_free(&text);
	return result;
}

static const char MESSAGE[] =
    "Received: from a\r\n"
    "From: A <a@example.org>\r\n"
    "To: b@example.net\r\n"
    "Subject: a  subject\r\n"
    "\t folded\r\n"
    "\r\n"
    "Hi,\r\n"
    "there.\r\n";

/* Ed25519 signatures are deterministic (RFC 8032 5.1.6): the whole field is known. */
static void
the_same_input_gives_the_same_bytes(void **state)
{
	struct signer signer = { S("example.org"), S("s1"), &ed25519, NONE };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct buf to = BUF(8192);

		assert_true(sign(slice(MESSAGE), &signer, NOW, &to, NULL));
		assert_slice(slice_head(buf_slice(&to), to.n - strlen(MESSAGE)),
		    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=s1;\r\n"
		    " t=1795311000; h=from:from:reply-to:to:to:cc:subject:subject:date:message-id:\r\n"
		    " mime-version:content-type:content-transfer-encoding;\r\n"
		    " bh=2tFprLHt/Rw19YcK5xT1AnHiWNZsCs3RW7nsIiEuoKw=; b=sEI9aaaj5xBbP4JdAPZlvCYZFy\r\n"
		    " IEZVJ3SQVkofoaBFppVq2BdLaD78mJG3gliMuRsiO63kq3KMCbvKXsZBXGDA==\r\n");
		buf_free(&to);
	}
}

static const char *const messages[] = {
	MESSAGE,
	"From: a@example.org\r\n\r\n",
	"From: a@example.org\r\n",                                      /* no body at all */
	"From: a@example.org\r\n\r\n\r\n\r\n",
	"From: a@example.org\r\n\r\nno line end",
	"From: a@example.org\r\nTo: b\r\nTo: c\r\nCc:\r\n \td\r\n\r\n \t x \r\n",
	"from : a@example.org\r\nSubject: gr\xc3\xbc\xc3\x9f\r\n\r\n8 bit: \xe4\xf6\xfc\r\n",
	"X-A: 1\r\nX-A: 2\r\nFrom: a@example.org\r\nList-Id: <x>\r\nReferences: <a>\r\n <b>\r\n <c>\r\n\r\nhi\r\n",
};

static void
what_we_sign_verifies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++)
		for (int k = 0; k < 2; k++) {
			struct signer signer = { S("example.org"), S("s1"), k ? &rsa : &ed25519, NONE };
			struct buf once = BUF(65536), twice = BUF(65536);

			assert_true(sign(slice(messages[i]), &signer, NOW, &once, NULL));
			assert_int_equal(verify(buf_slice(&once), signer.key), DKIM_PASS);
			signer.names = S("From:From:X-A:Subject");
			assert_true(sign(buf_slice(&once), &signer, NOW, &twice, NULL));
			assert_int_equal(verify(buf_slice(&twice), signer.key), DKIM_PASS);
			buf_free(&once);
			buf_free(&twice);
		}
}

/* What must not be added or changed, and what may. */
static const struct { const char *from, *to; enum dkim_result result; } changes[] = {
	{ "From: A", "From: B", DKIM_FAIL },
	{ "From: A", "From: x@example.com\r\nFrom: A", DKIM_FAIL },
	{ "To: b", "To: c\r\nTo: b", DKIM_FAIL },
	{ "To: b", "Cc: c\r\nTo: b", DKIM_FAIL },
	{ "To: b", "Reply-To: c\r\nTo: b", DKIM_FAIL },
	{ "To: b", "Date: c\r\nTo: b", DKIM_FAIL },
	{ "To: b", "Message-ID: c\r\nTo: b", DKIM_FAIL },
	{ "To: b", "Content-Type: c\r\nTo: b", DKIM_FAIL },
	{ "Subject: a", "Subject: [l] a", DKIM_FAIL },
	{ "there.\r\n", "there.\r\n--\r\nfooter\r\n", DKIM_FAIL },
	{ "To: b", "List-Id: <c>\r\nTo: b", DKIM_PASS },
	{ "To: b", "List-Unsubscribe: <c>\r\nTo: b", DKIM_PASS },
	{ "To: b", "Sender: c\r\nTo: b", DKIM_PASS },
	{ "Received: from a", "Received: from b", DKIM_PASS },
	{ "a  subject\r\n\t folded", "a subject folded", DKIM_PASS },
	{ "there.\r\n", "there. \t\r\n\r\n\r\n", DKIM_PASS },
};

static void
the_signature_breaks_where_it_should(void **state)
{
	struct signer signer = { S("example.org"), S("s1"), &ed25519, NONE };
	struct buf message = BUF(8192);

	(void)state;
	assert_true(sign(slice(MESSAGE), &signer, NOW, &message, NULL));
	buf_byte(&message, '\0');
	for (size_t i = 0; i < COUNT(changes); i++) {
		const char *at = strstr(message.p, changes[i].from);
		struct buf changed = BUF(8192);

		assert_non_null(at);
		buf_printf(&changed, "%.*s%s%s", (int)(at - message.p), message.p, changes[i].to,
		    at + strlen(changes[i].from));
		assert_case(verify(buf_slice(&changed), &ed25519) == changes[i].result, i, changes[i].to);
		buf_free(&changed);
	}
	buf_free(&message);
}

static const struct { const char *message, *names, *why; } refusals[] = {
	{ "To: a\r\n\r\n", "", "no From field, or more than one" },
	{ "From: a\r\nFrom: b\r\n\r\n", "", "no From field, or more than one" },
	{ "From: a\r\n\r\n", "to:subject", "From must be among" },
	{ "From: a\r\n\r\n", "from:to;x", "item 2" },
	{ "From: a\r\n\r\n", "from::to", "item 2" },
	{ "From: a\r\n\r\n", "fr om:from", "item 1" },
};

static void
what_cannot_be_signed_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(refusals); i++) {
		struct signer signer = { S("example.org"), S("s1"), &ed25519, slice(refusals[i].names) };
		struct buf to = BUF(8192);
		struct error why = { 0 };

		buf_add(&to, S("kept"));
		assert_false(sign(slice(refusals[i].message), &signer, NOW, &to, &why));
		assert_case(strstr(why.text, refusals[i].why) != NULL, i, why.text);
		assert_slice(buf_slice(&to), "kept");
		buf_free(&to);
	}
}

static void
too_many_names_and_too_little_room_are_refused(void **state)
{
	struct signer signer = { S("example.org"), S("s1"), &ed25519, NONE };
	struct buf message = BUF(1 << 20), to = BUF(1 << 20);
	struct error why = { 0 };

	(void)state;
	buf_add(&message, S("From: a\r\n"));
	for (int i = 0; i < SIGNED_NAMES_MOST; i++)
		buf_add(&message, S("To: a\r\n"));
	assert_false(sign(buf_slice(&message), &signer, NOW, &to, &why));
	assert_non_null(strstr(why.text, "1000 fields to sign"));
	buf_free(&message);
	buf_free(&to);
	for (size_t room = 0; room < 500; room += 7) {
		to = BUF(room);
		if (!sign(slice(MESSAGE), &signer, NOW, &to, &why))
			assert_int_equal(to.n, 0);
		buf_free(&to);
	}
}

static int
setup(void **state)
{
	(void)state;
	return signing_key_parse(&rsa, slice(KEY_RSA_2048_PEM), NULL) &&
	    signing_key_parse(&ed25519, slice(KEY_ED25519_SEED), NULL) ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	signing_key_free(&rsa);
	signing_key_free(&ed25519);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_covers_what_readers_see),
		cmocka_unit_test(the_same_input_gives_the_same_bytes),
		cmocka_unit_test(what_we_sign_verifies),
		cmocka_unit_test(the_signature_breaks_where_it_should),
		cmocka_unit_test(what_cannot_be_signed_is_refused),
		cmocka_unit_test(too_many_names_and_too_little_room_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
