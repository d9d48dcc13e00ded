/* SPDX-License-Identifier: ISC */
#include "auth/dkim.h"
#include "auth/hint.h"
#include "auth/signing_key.h"
#include "base/text.h"
#include "judge.h"
#include "keys.h"
#include "unit.h"

#define NOW INT64_C(1795311000000)      /* 2026-11-22 01:30:00 */

/* RFC 6376 A.2, with its key; RFC 8463 A.3, with both keys. */
static const char RFC6376[] =
    "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
    "      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
    "      h=Received : From : To : Subject : Date : Message-ID;\r\n"
    "      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    "      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
    "        4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
    "        KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
    "        4bmp/YzhwvcubU4=;\r\n"
    "Received: from client1.football.example.com  [192.0.2.1]\r\n"
    "      by submitserver.example.com with SUBMISSION;\r\n"
    "      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    "\r\n"
    "Hi.\r\n"
    "\r\n"
    "We lost the game. Are you hungry yet?\r\n"
    "\r\n"
    "Joe.\r\n";

#define RFC6376_P "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt" \
	"IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi" \
	"tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
#define BRISBANE "brisbane._domainkey.example.com. TXT "

static const char RFC8463[] =
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
    " subject : date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
    " date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
    " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    "\r\n"
    "Hi.\r\n"
    "\r\n"
    "We lost the game.  Are you hungry yet?\r\n"
    "\r\n"
    "Joe.\r\n";

static const char ZONE[] =
    BRISBANE "\"v=DKIM1; p=" RFC6376_P "\"\n"
    "brisbane._domainkey.football.example.com. TXT "
    "\"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n"
    "test._domainkey.football.example.com. TXT \"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQ"
    "KBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e"
    "/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\"\n";

/* "result reason" of every signature, joined with '|'. */
static void
results(const struct dkim *d, struct buf *to)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct signature *s = &d->signatures[i];
		struct slice reason = dkim_reason(s);

		buf_printf(to, "%s%s%s%.*s", i ? "|" : "", dkim_result_name(dkim_result(s)),
		    reason.n ? ": " : "", FMT(reason));
	}
}

static struct judged judged;

/* Judged, and left in `judged` for a closer look until judge_end(). */
static void
look(struct slice message, const char *zone_text, const char *want)
{
	struct error why = { 0 };
	struct zone *zone = zone_parse(slice(zone_text), "zone", &why);
	struct buf got = BUF(4096);

	assert_string_equal(why.text, "");
	assert_true(judge_begin(&judged, message));
	assert_true(dkim_begin(&judged.dkim, &judged.header, NONE, &judged.bodies, judged.arena));
	judge_body(&judged, message);
	judge_dkim(&judged, zone, NOW);
	assert_true(judged.rounds <= 1);        /* all keys are asked for at once */
	results(&judged.dkim, &got);
	assert_slice(buf_slice(&got), want);
	buf_free(&got);
	zone_free(zone);
}

static void
look_once(struct slice message, const char *zone, const char *want)
{
	look(message, zone, want);
	judge_end(&judged);
}

/* The text with the first `from` replaced by `to`. */
static void
replaced(const char *text, const char *from, const char *to, struct buf *out)
{
	const char *at = strstr(text, from);

	assert_non_null(at);
	buf_add(out, slice_of(text, (size_t)(at - text)));
	buf_add(out, slice(to));
	buf_add(out, slice(at + strlen(from)));
}

static void
the_examples_of_the_rfcs_pass(void **state)
{
	const struct signature *s;

	(void)state;
	look(slice(RFC6376), ZONE, "pass");
	s = judged.dkim.signatures;
	assert_slice(s->domain, "example.com");
	assert_slice(s->selector, "brisbane");
	assert_slice(s->key_name, "brisbane._domainkey.example.com");
	assert_slice(s->identity, "joe@football.example.com");
	assert_slice(slice_head(s->b_text, 8), "AuUoFEfD");
	assert_int_equal(s->algorithm, KEY_RSA);
	assert_int_equal(s->key_bits, 1024);
	assert_int_equal(s->body_length, 54);
	assert_false(s->testing);
	judge_end(&judged);
	look(slice(RFC8463), ZONE, "pass|pass");
	s = judged.dkim.signatures;
	assert_int_equal(s[0].algorithm, KEY_ED25519);
	assert_int_equal(s[0].key_bits, 256);
	assert_int_equal(s[0].signed_at, 1528637909);
	assert_int_equal(s[0].expires_at, -1);
	assert_slice(s[1].identity, "@football.example.com");
	judge_end(&judged);
}

/* RFC 6376 A.2 with one change. */
static const struct { const char *from, *to, *want; } changes[] = {
	/* what was signed */
	{ "Subject: Is", "Subject: is", "fail: the signature does not verify" },
	{ "Subject: Is", "subject: Is", "fail: the signature does not verify" },      /* simple: case counts */
	{ "[192.0.2.1]\r\n", "[192.0.2.1] \r\n", "fail: the signature does not verify" },
	{ "hungry", "thirsty", "fail: the body hash differs" },
	{ "Joe.\r\n", "Joe.\r\n\r\n\r\n", "pass" },
	{ "Joe.\r\n", "Joe.", "pass" },
	{ "Joe.\r\n", "Joe. \r\n", "fail: the body hash differs" },
	{ "Message-ID:", "X-New: field\r\nMessage-ID:", "pass" },
	{ "Received:", "From: somebody@else.example\r\nReceived:", "pass" },          /* above: not looked at */
	{ "\r\n\r\nHi", "\r\nFrom: somebody@else.example\r\n\r\nHi", "fail: the signature does not verify" },
	{ "b=Au", "b=Av", "fail: the signature does not verify" },
	{ "4nujc", "4n\r\n\tu jc", "pass" },                                          /* white space in b= */
	{ "bh=2j", "bh=3j", "fail: the body hash differs" },
	/* tags (RFC 6376 3.5, 6.1.1) */
	{ "v=1; ", "", "permerror: v= is missing" },
	{ "v=1", "v=2", "permerror: v= is not 1" },
	{ "v=1", "v=1.0", "permerror: v= is not 1" },
	{ "v=1; ", "V=1; ", "permerror: v= is missing" },
	{ "a=rsa-sha256; ", "", "permerror: a= is missing" },
	{ "a=rsa-sha256", "a=rsa-sha1", "permerror: rsa-sha1 is no longer accepted (RFC 8301)" },
	{ "a=rsa-sha256", "a=RSA-SHA256", "permerror: a= is an unknown algorithm" },
	{ "a=rsa-sha256", "a=rsa-md5", "permerror: a= is an unknown algorithm" },
	{ "a=rsa-sha256", "a=ed25519-sha256", "permerror: the key is of another type than a= says" },
	{ "s=brisbane; ", "", "permerror: s= is missing" },
	{ "s=brisbane", "s=", "permerror: s= is empty" },
	{ "s=brisbane", "s=a..b", "permerror: s= is no proper name" },
	{ "s=brisbane", "s=other", "permerror: there is no key record" },
	{ "d=example.com;", "", "permerror: d= is missing" },
	{ "d=example.com", "d=com", "permerror: d= is no proper name" },              /* domain-name has two labels */
	{ "d=example.com", "d=example,com", "permerror: d= is no proper name" },
	{ "d=example.com", "d=other.com", "permerror: i= is not within d=" },
	{ "c=simple/simple; ", "", "fail: the signature does not verify" },     /* it covers itself */
	{ "c=simple/simple; ", "c=simple; ", "fail: the signature does not verify" },
	{ "c=simple/simple; ", "c=relaxed/simple; ", "fail: the signature does not verify" },
	{ "c=simple/simple; ", "c=nofws; ", "permerror: c= is no known canonicalization" },
	{ "c=simple/simple; ", "c=simple/; ", "permerror: c= is no known canonicalization" },
	{ "c=simple/simple; ", "c=; ", "permerror: c= is no known canonicalization" },
	{ "q=dns/txt", "q=http", "permerror: q= does not name dns/txt" },
	{ "q=dns/txt", "q=dns/special", "permerror: q= does not name dns/txt" },
	{ "q=dns/txt", "q=http:dns/txt", "fail: the signature does not verify" },
	{ "i=joe@football.example.com", "i=joe@example.com.org", "permerror: i= is not within d=" },
	{ "i=joe@football.example.com", "i=joe@otherexample.com", "permerror: i= is not within d=" },
	{ "i=joe@football.example.com", "i=joe", "permerror: i= is no identity" },
	{ "i=joe@football.example.com", "i=", "permerror: i= is no identity" },
	{ "i=joe@football.example.com", "i=j=6Fe=40EXAMPLE.com", "fail: the signature does not verify" },
	{ "i=joe@football.example.com", "i=j=XX@example.com", "permerror: i= is no identity" },
	{ "i=joe@football.example.com", "i=joe@example.com=4", "permerror: i= is no identity" },
	{ "h=Received : From", "h=Received", "permerror: h= does not name From" },
	{ "h=Received : From : To : Subject : Date : Message-ID;", "", "permerror: h= is missing" },
	{ "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;", "", "permerror: bh= is missing" },
	{ "bh=2jUSOH9N", "bh=", "permerror: bh= is no SHA-256 hash in base64" },
	{ "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=", "bh=", "permerror: bh= is empty" },
	{ "b=Au", "b=!!", "permerror: b= is no signature in base64" },
	{ "b=AuUo", "b=AuU", "permerror: b= is no signature in base64" },
	{ "q=dns/txt", "t=1795311000", "fail: the signature does not verify" },
	{ "q=dns/txt", "t=1795311599", "fail: the signature does not verify" },       /* a clock may be ahead */
	{ "q=dns/txt", "t=1795311601", "policy: the signature was made in the future (t=)" },
	{ "q=dns/txt", "t=", "permerror: t= is no time" },
	{ "q=dns/txt", "t=-1", "permerror: t= is no time" },
	{ "q=dns/txt", "t=1528637909.5", "permerror: t= is no time" },
	{ "q=dns/txt", "t=99999999999999999999", "policy: the signature was made in the future (t=)" },
	{ "q=dns/txt", "x=1000000000000", "fail: the signature does not verify" },      /* RFC 6376 3.5 */
	{ "q=dns/txt", "x=99999999999999999999999", "fail: the signature does not verify" },
	{ "q=dns/txt", "x=99999999999999999999999x", "permerror: x= is no time" },
	{ "q=dns/txt", "x=1795311000", "fail: the signature does not verify" },
	{ "q=dns/txt", "x=1795310999", "permerror: the signature has expired (x=)" },
	{ "q=dns/txt", "t=5; x=5", "permerror: x= is not after t=" },
	{ "q=dns/txt", "l=54", "fail: the signature does not verify" },
	{ "q=dns/txt", "l=53", "fail: the body hash differs" },
	{ "q=dns/txt", "l=55", "fail: l= counts more than the body has" },            /* RFC 6376 3.5 */
	{ "q=dns/txt", "l=00000000000000000000000000000000000000000054", "fail: the signature does not verify" },
	{ "q=dns/txt", "l=99999999999999999999999999999999999999999999", "fail: l= counts more than the body has" },
	{ "q=dns/txt", "l=", "permerror: l= is no number" },
	{ "q=dns/txt", "l=5x", "permerror: l= is no number" },
	{ "q=dns/txt", "x_y=unknown; z=From:joe", "fail: the signature does not verify" },
	/* the list itself (RFC 6376 3.2) */
	{ "v=1", "v=1; v=1", "permerror: tag 2 stands twice" },
	{ "v=1;", "v=1;;", "permerror: tag 2 has no \"=\"" },
	{ "v=1;", "v=1; \x01=1;", "permerror: tag 2 has no proper name" },
	{ "4bmp/YzhwvcubU4=;", "4bmp/YzhwvcubU4=; ;", "permerror: tag 11 has no \"=\"" },
};

static void
one_change_at_a_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		struct buf message = BUF(8192);

		replaced(RFC6376, changes[i].from, changes[i].to, &message);
		look_once(buf_slice(&message), ZONE, changes[i].want);
		buf_free(&message);
	}
}

/* The key of RFC 6376 A.2 (RFC 6376 3.6.1, 6.1.2). */
static const struct { const char *zone, *want; } keys[] = {
	{ "", "permerror: there is no key record" },
	{ "brisbane._domainkey.example.com. A 192.0.2.1\n", "permerror: there is no key record" },
	{ BRISBANE "!servfail\n", "temperror: SERVFAIL" },
	{ BRISBANE "!timeout\n", "temperror: timeout" },
	{ BRISBANE "\"\"\n", "permerror: the key record is no list of tags" },
	{ BRISBANE "\"p=\"\n", "permerror: the key is revoked (p= is empty)" },
	{ BRISBANE "\"v=DKIM1; h=sha1; p=" RFC6376_P "\"\n", "permerror: the key is not for SHA-256 (h=)" },
	{ BRISBANE "\"v=DKIM1; h=sha1:sha256; p=" RFC6376_P "\"\n", "pass" },
	{ BRISBANE "\"s=other; p=" RFC6376_P "\"\n", "permerror: the key is not for mail (s=)" },
	{ BRISBANE "\"s=tlsrpt; p=" RFC6376_P "\"\n", "permerror: the key is not for mail (s=)" },
	{ BRISBANE "\"s=other:email; p=" RFC6376_P "\"\n", "pass" },
	{ BRISBANE "\"t=s; p=" RFC6376_P "\"\n", "permerror: the key forbids i= in a subdomain (t=s)" },
	{ BRISBANE "\"k=dsa; p=" RFC6376_P "\"\n", "permerror: the key is of an unknown type (k=)" },
	{ BRISBANE "\"k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAMs93oc95ObA7OEQEbqjIy6YvRj1u3yVGTzQ3wkwRQTWx1fh"
	  "vNQenPNFklaL+Tw9XFYUc3f8eY0hs3WUNQ+t+I0CAwEAAQ==\"\n", "permerror: the RSA key is shorter than 1024 bits" },
	/* Several records: the first that verifies decides (RFC 6376 3.6.2.2 leaves it open). */
	{ BRISBANE "\"v=spf1 -all\"\n" BRISBANE "\"p=" RFC6376_P "\"\n", "pass" },
	{ BRISBANE "\"p=\"\n" BRISBANE "\"p=" RFC6376_P "\"\n", "pass" },
	{ BRISBANE "\"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n" BRISBANE "\"p=" RFC6376_P "\"\n",
	  "pass" },
	{ BRISBANE "\"p=\"\n" BRISBANE "\"k=rsa\"\n", "permerror: the key is revoked (p= is empty)" },
	{ BRISBANE "\"n=1\"\n" BRISBANE "\"n=2\"\n" BRISBANE "\"n=3\"\n" BRISBANE "\"p=" RFC6376_P "\"\n", "pass" },
	{ BRISBANE "\"n=1\"\n" BRISBANE "\"n=2\"\n" BRISBANE "\"n=3\"\n" BRISBANE "\"n=4\"\n" BRISBANE "\"p="
	  RFC6376_P "\"\n", "permerror: the key record has no p=" },
};

static void
keys_that_fit_and_keys_that_do_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++)
		look_once(slice(RFC6376), keys[i].zone, keys[i].want);
}

static void
a_failure_under_a_testing_key_says_so(void **state)
{
	struct buf message = BUF(8192);

	(void)state;
	replaced(RFC6376, "hungry", "thirsty", &message);
	look(buf_slice(&message), BRISBANE "\"t=y; p=" RFC6376_P "\"\n", "fail: the body hash differs");
	assert_true(judged.dkim.signatures[0].testing);
	judge_end(&judged);
	buf_free(&message);
}

/* --- signatures of our own, with any tags ------------------------------------- */

static struct signing_key rsa;

/* A message with a true signature of the given tags; bh= and b= are added. */
static void
forge(const char *tags, const char *fields, const char *body, struct buf *to)
{
	struct judged j;
	struct buf bh = BUF(100), signature = BUF(1024), b = BUF(2048);
	unsigned char digest[SHA256_BYTES];
	struct field_order order;
	struct signed_text text;
	struct signature s;

	buf_printf(to, "DKIM-Signature: %s; bh=%s; b=AAAA\r\n%s\r\n%s", tags,
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", fields, body);
	assert_true(judge_begin(&j, buf_slice(to)));
	signature_parse(&s, SIGNATURE_DKIM, j.header.fields, j.arena);
	assert_int_equal(s.state, SIGNATURE_OPEN);
	signature_want_body(&s, &j.bodies);
	judge_body(&j, buf_slice(to));
	base64_add(&bh, slice_of(j.bodies.hashes[0].digest, SHA256_BYTES));
	memcpy(memmem(to->p, to->n, "AAAAAAAA", 8), bh.p, bh.n);
	assert_true(field_order_make(&order, &j.header, j.arena));
	text = signed_text_begin(s.header_canon, j.header.block.n);
	signed_text_add_names(&text, &order, s.names, s.field);
	signed_text_digest(&text, s.field->whole, s.b_raw, digest);
	signed_text_free(&text);
	assert_true(signing_key_sign(&rsa, digest, &signature, NULL));
	base64_add(&b, buf_slice(&signature));
	buf_byte(&b, '\0');
	buf_clear(&bh);
	base64_add(&bh, slice_of(j.bodies.hashes[0].digest, SHA256_BYTES));
	buf_byte(&bh, '\0');
	judge_end(&j);
	buf_clear(to);
	buf_printf(to, "DKIM-Signature: %s; bh=%s; b=%s\r\n%s\r\n%s", tags, bh.p, b.p, fields, body);
	buf_free(&bh);
	buf_free(&signature);
	buf_free(&b);
}

#define TAGS "v=1; a=rsa-sha256; d=example.org; s=s1"
#define FIELDS "From: a@example.org\r\nSubject: x  y\r\n"

static const struct { const char *tags, *fields, *body, *want; } forged[] = {
	{ TAGS "; h=from", FIELDS, "hi\r\n", "pass" },
	{ TAGS "; c=relaxed; h=from", FIELDS, "hi\r\n", "pass" },
	{ TAGS "; c=relaxed/simple; h=from", FIELDS, "hi\r\n", "pass" },
	{ TAGS "; c=simple/relaxed; h=from", FIELDS, "hi\r\n", "pass" },
	{ TAGS "; c=relaxed/relaxed; h= FROM : subject : from :x-none", FIELDS, "", "pass" },
	{ TAGS "; h=from; l=4", FIELDS, "hi\r\n", "pass" },
	{ TAGS "; h=from; l=0", FIELDS, "hi\r\n", "policy: l= leaves out part of the body" },
	{ TAGS "; h=from; l=3", FIELDS, "hi\r\n", "policy: l= leaves out part of the body" },
	{ TAGS "; h=from; c=relaxed/relaxed; l=0", FIELDS, "\r\n\r\n", "pass" },
	{ TAGS "; h=from; t=1795310999; x=1795311001", FIELDS, "hi\r\n", "pass" },
	{ TAGS "; h=from; i=@sub.Example.ORG", FIELDS, "hi\r\n", "pass" },
	{ TAGS "; h=from; i=\"a=40b\"@example.org", FIELDS, "hi\r\n", "pass" },
	{ TAGS "; h=from; i=j=C3=BCrgen@\r\n example.org; q=dns/txt ; z=a:b|c", FIELDS, "hi\r\n", "pass" },
	{ TAGS "; h=from:dkim-signature", FIELDS, "hi\r\n", "pass" },           /* itself is not one of them */
	{ TAGS "; h=from:dkim-signature:dkim-signature",
	  "DKIM-Signature: v=1; a=other\r\n" FIELDS, "hi\r\n", "pass|permerror: d= is missing" },
	{ TAGS "; h=from:received:received:received", "Received: 1\r\nReceived: 2\r\n" FIELDS, "", "pass" },
	{ "v=1; a=rsa-sha256; d=EXAMPLE.org; s=S1; h=from", FIELDS, "hi\r\n", "pass" },
	/* RFC 8616: U-labels are signed as they stand and looked up as A-labels. */
	{ "v=1; a=rsa-sha256; d=b\xc3\xbc" "cher.example; s=\xc3\xbc; i=j\xc3\xb6@b\xc3\xbc" "cher.example; h=from",
	  FIELDS, "hi\r\n", "pass" },
};

static void
true_signatures_of_every_shape_pass(void **state)
{
	struct buf zone = BUF(8192);

	(void)state;
	for (int i = 0; i < 2; i++) {
		buf_printf(&zone, "%s TXT \"", i ? "xn--tda._domainkey.xn--bcher-kva.example." :
		    "s1._domainkey.example.org.");
		signing_key_record(&rsa, &zone);
		buf_add(&zone, S("\"\n"));
	}
	buf_byte(&zone, '\0');
	for (size_t i = 0; i < COUNT(forged); i++) {
		struct buf message = BUF(8192);

		forge(forged[i].tags, forged[i].fields, forged[i].body, &message);
		look_once(buf_slice(&message), zone.p, forged[i].want);
		buf_free(&message);
	}
	buf_free(&zone);
}

/* RFC 6376 5.4.2: with two fields of a name and one mention, the lower one is signed. */
static void
fields_are_taken_from_the_bottom(void **state)
{
	static const char *const lines[] = { "upper", "lower" };
	struct buf zone = BUF(8192);

	(void)state;
	buf_add(&zone, S("s1._domainkey.example.org. TXT \""));
	signing_key_record(&rsa, &zone);
	buf_printf(&zone, "\"%c", '\n');
	buf_byte(&zone, '\0');
	for (int i = 0; i < 2; i++) {
		struct buf message = BUF(8192), changed = BUF(8192);

		forge(TAGS "; h=from:comments", "Comments: upper\r\nComments: lower\r\n" FIELDS, "", &message);
		buf_byte(&message, '\0');
		replaced(message.p, lines[i], "changed", &changed);
		look_once(buf_slice(&changed), zone.p, i == 0 ? "pass" : "fail: the signature does not verify");
		buf_free(&message);
		buf_free(&changed);
	}
	buf_free(&zone);
}

/* --- bounds ----------------------------------------------------------------------- */

static void
there_is_an_end_to_signatures(void **state)
{
	struct buf message = BUF(1 << 20);

	(void)state;
	for (int i = 0; i < DKIM_SIGNATURES + 3; i++)
		buf_printf(&message, "DKIM-Signature: v=1; d=d%d.example; s=s\r\n", i);
	buf_add(&message, S("From: a@example.org\r\n\r\n"));
	assert_true(judge_begin(&judged, buf_slice(&message)));
	assert_true(dkim_begin(&judged.dkim, &judged.header, NONE, &judged.bodies, judged.arena));
	assert_int_equal(judged.dkim.count, DKIM_SIGNATURES);
	assert_int_equal(judged.dkim.left_out, 3);
	assert_slice(judged.dkim.signatures[9].domain, "d9.example");
	judge_end(&judged);
	buf_free(&message);
}

/* What stands behind ten foreign ones, or behind a hundred, is looked at when it is nearest. */
static void
the_nearest_to_the_author_come_first(void **state)
{
	static const struct { const char *author, *signed_by, *chosen; } cases[] = {
		{ "b.test", "b.test", "b.test" }, { "b.test", "B.Test.", "b.test" },
		{ "b.test", "x.b.test", "x.b.test" }, { "a.b.test", "b.test", "b.test" },
		{ "a.b.test", "x.b.test", "x.b.test" }, { "a.b.test", "x.b.test|a.b.test", "a.b.test" },
		{ "a.b.test", "x.y.a.b.test|b.test", "x.y.a.b.test" },
		{ "b.xn--bcher-kva.test", "b\xc3\xbc" "cher.test", "xn--bcher-kva.test" },
		{ "b.test", "ab.test", NULL }, { "b.test", "b.test.evil", NULL }, { "b.test", "test", NULL },
		{ "", "b.test", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice names = slice(cases[i].signed_by), name;
		struct buf message = BUF(1 << 20);
		const struct signature *first;

		for (int j = 0; j < 100; j++)
			buf_printf(&message, "DKIM-Signature: v=1; d=d%d.test; s=s\r\n", j);
		while (slice_cut(&names, '|', &name))
			buf_printf(&message, "DKIM-Signature: v=1; d=%.*s; s=s\r\n", FMT(name));
		buf_add(&message, S("From: a@b.test\r\n\r\n"));
		assert_true(judge_begin(&judged, buf_slice(&message)));
		assert_true(dkim_begin(&judged.dkim, &judged.header, slice(cases[i].author), &judged.bodies,
		    judged.arena));
		assert_int_equal(judged.dkim.count, DKIM_SIGNATURES);
		first = &judged.dkim.signatures[judged.dkim.turns[0]];
		assert_case(slice_eq(first->domain, slice(cases[i].chosen ? cases[i].chosen : "d0.test")), i,
		    cases[i].signed_by);
		assert_int_equal(judged.dkim.turns[0], cases[i].chosen ? judged.dkim.count - 1 -
		    (strchr(cases[i].signed_by, '|') && slice_eqi(first->domain, S("x.y.a.b.test"))) : 0);
		judge_end(&judged);
		buf_free(&message);
	}
}

static void
there_is_an_end_to_body_hashes(void **state)
{
	struct buf message = BUF(1 << 20);

	(void)state;
	for (int i = 0; i < DKIM_SIGNATURES; i++)
		buf_printf(&message, "DKIM-Signature: " TAGS "; h=from; l=%d; b=AAAA; "
		    "bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n", i);
	buf_add(&message, S("From: a@example.org\r\n\r\nbody and more\r\n"));
	look(buf_slice(&message), "", "permerror: there is no key record|permerror: there is no key record|"
	    "permerror: there is no key record|permerror: there is no key record|"
	    "neutral: there are too many different l= in this message|"
	    "neutral: there are too many different l= in this message|"
	    "neutral: there are too many different l= in this message|"
	    "neutral: there are too many different l= in this message|"
	    "neutral: there are too many different l= in this message|"
	    "neutral: there are too many different l= in this message");
	judge_end(&judged);
	buf_free(&message);
}

static void
there_is_an_end_to_signed_names(void **state)
{
	(void)state;
	for (int more = 0; more < 2; more++) {
		struct buf message = BUF(1 << 20);

		buf_add(&message, S("DKIM-Signature: " TAGS "; b=AAAA; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; h=from"));
		for (int i = 1; i < SIGNED_NAMES_MOST + more; i++)
			buf_add(&message, S(":a"));
		buf_add(&message, S("\r\nFrom: a@example.org\r\n\r\n"));
		look_once(buf_slice(&message), "", more ? "permerror: h= names too many fields"
		    : "permerror: there is no key record");
		buf_free(&message);
	}
}

/* A key of 8192 bits in the zone, four times under one name. */
static void
dear_zone(struct buf *zone)
{
	struct buf der = BUF(2048);

	buf_add(&der, S("\x30\x82\x04\x0a\x02\x82\x04\x01\x00\x80"));
	while (der.n < 8 + 1024)
		buf_byte(&der, 1);
	buf_add(&der, S("\x01\x02\x03\x01\x00\x01"));
	for (int i = 0; i < KEY_RECORDS_TRIED; i++) {
		buf_printf(zone, "s1._domainkey.example.org. TXT \"n=%d; p=", i);
		base64_add(zone, buf_slice(&der));
		buf_add(zone, S("\"\n"));
	}
	buf_byte(zone, '\0');
	buf_free(&der);
}

static void
there_is_an_end_to_work(void **state)
{
	struct buf message = BUF(1 << 20), zone = BUF(1 << 20), b = BUF(4096), want = BUF(4096);

	(void)state;
	dear_zone(&zone);
	while (b.n < 1366)                      /* as base64: 1024 octets and something */
		buf_byte(&b, 'A');
	for (int i = 0; i < DKIM_SIGNATURES; i++) {
		buf_printf(&message, "DKIM-Signature: " TAGS "; h=from; b=%.*s==; "
		    "bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=\r\n", FMT(slice_head(buf_slice(&b), 1366)));
		buf_printf(&want, "%s%s", i ? "|" : "", i < 5 ? "fail: the signature does not verify"
		    : "neutral: the signatures take too much work");
	}
	buf_add(&message, S("From: a@example.org\r\n\r\n"));
	buf_byte(&want, '\0');
	look_once(buf_slice(&message), zone.p, want.p);
	buf_free(&message);
	buf_free(&zone);
	buf_free(&b);
	buf_free(&want);
}

static void
a_full_arena_is_an_outcome(void **state)
{
	bool fits = false;

	(void)state;
	for (size_t size = 0; size < 4000; size += 50) {
		struct arena *small = arena_new(size);
		struct bodies bodies = { 0 };
		struct dkim d;
		bool begun;

		assert_true(judge_begin(&judged, slice(RFC8463)));
		begun = dkim_begin(&d, &judged.header, NONE, &bodies, small);
		assert_true(begun || !fits);
		for (size_t i = 0; begun && i < d.count; i++)   /* never taken for a flaw of the signature */
			assert_int_equal(d.signatures[i].state, SIGNATURE_OPEN);
		fits |= begun;
		arena_free(small);
		judge_end(&judged);
	}
	assert_true(fits);
}

static void
no_signature_is_no_result(void **state)
{
	(void)state;
	look_once(S("From: a@example.org\r\n\r\nhi\r\n"), "", "");
	look_once(S("DomainKey-Signature: a=rsa-sha1; d=example.org\r\n\r\nhi\r\n"), "", "");
}

/* --- hints -------------------------------------------------------------------------- */

static const struct { const char *from, *to, *subject; } subjects[] = {
	{ "Subject: Is", "Subject: [list] Is", "Is dinner ready?" },
	{ "Subject: Is", "Subject: [a b]\r\n Is", "Is dinner ready?" },
	{ "Subject: Is", "Subject: [list] was Is", NULL },
	{ "Subject: Is", "Subject: [list]Is", NULL },
	{ "Subject: Is", "Subject: Re: [list] Is", NULL },
	{ "Subject: Is", "Subject: Is", NULL },                 /* it verifies as it is */
	{ "Subject: Is dinner ready?", "Subject: [list]", NULL },
	{ "Subject: Is dinner ready?\r\n", "", NULL },
};

static void
a_tag_in_the_subject_is_found(void **state)
{
	struct zone *zone = zone_parse(slice(ZONE), "zone", NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(subjects); i++)
		for (int body = 0; body < 2; body++) {
			struct buf message = BUF(8192), both = BUF(8192);
			struct slice subject;
			const struct signature *s;
			bool found;

			replaced(RFC6376, subjects[i].from, subjects[i].to, &message);
			buf_byte(&message, '\0');
			replaced(message.p, "Joe.\r\n", body ? "Joe.\r\n--\r\nfooter\r\n" : "Joe.\r\n", &both);
			assert_true(judge_begin(&judged, buf_slice(&both)));
			assert_true(dkim_begin(&judged.dkim, &judged.header, NONE, &judged.bodies, judged.arena));
			judge_body(&judged, buf_slice(&both));
			judge_dkim(&judged, zone, NOW);
			s = judged.dkim.signatures;
			found = hint_subject(s, &judged.dkim.order, &judged.verifier, judged.arena, &subject);
			assert_case(found == (subjects[i].subject != NULL), i, subjects[i].to);
			if (found)
				assert_slice(subject, subjects[i].subject);
			judge_end(&judged);
			buf_free(&message);
			buf_free(&both);
		}
	zone_free(zone);
}

static int
setup(void **state)
{
	(void)state;
	return signing_key_parse(&rsa, slice(KEY_RSA_2048_PEM), NULL) ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	signing_key_free(&rsa);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_rfcs_pass),
		cmocka_unit_test(one_change_at_a_time),
		cmocka_unit_test(keys_that_fit_and_keys_that_do_not),
		cmocka_unit_test(a_failure_under_a_testing_key_says_so),
		cmocka_unit_test(true_signatures_of_every_shape_pass),
		cmocka_unit_test(fields_are_taken_from_the_bottom),
		cmocka_unit_test(there_is_an_end_to_signatures),
		cmocka_unit_test(the_nearest_to_the_author_come_first),
		cmocka_unit_test(there_is_an_end_to_body_hashes),
		cmocka_unit_test(there_is_an_end_to_signed_names),
		cmocka_unit_test(there_is_an_end_to_work),
		cmocka_unit_test(a_full_arena_is_an_outcome),
		cmocka_unit_test(no_signature_is_no_result),
		cmocka_unit_test(a_tag_in_the_subject_is_found),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
