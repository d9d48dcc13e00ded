/* SPDX-License-Identifier: ISC */
/*
 * What OpenSSL is told to prove, and what it finds: real certificates and real
 * handshakes (STANDARDS J8, the tables of DEPENDENCIES 3).
 */
#include "delivery/verify.h"
#include "net/tls.h"
#include "tlspair.h"
#include "unit.h"

enum { CA, OTHER_CA, GOOD, WILD, EXPIRED, FUTURE, SELF, SUBJECT_ONLY, NOBODY, DOMAIN, STRANGER, CERTIFICATES };

static struct issued certs[CERTIFICATES];
static SSL_CTX *client;
static struct arena *arena;

static int
make_world(void **state)
{
	static const struct wish wishes[CERTIFICATES] = {
		[CA] = { .subject = "Test CA", .authority = true, .from = -1000, .to = 1000 },
		[OTHER_CA] = { .subject = "Other CA", .authority = true, .from = -1000, .to = 1000 },
		[GOOD] = { .names = "DNS:mx.a.test", .issuer = &certs[CA] },
		[WILD] = { .names = "DNS:*.a.test", .issuer = &certs[CA] },
		[EXPIRED] = { .names = "DNS:mx.a.test", .issuer = &certs[CA], .from = -9, .to = -1 },
		[FUTURE] = { .names = "DNS:mx.a.test", .issuer = &certs[CA], .from = 1, .to = 9 },
		[SELF] = { .names = "DNS:mx.a.test", .subject = "me" },
		[SUBJECT_ONLY] = { .subject = "mx.a.test", .issuer = &certs[CA] },
		[NOBODY] = { .names = "DNS:other.test", .subject = "mx.a.test", .issuer = &certs[CA] },
		[DOMAIN] = { .names = "DNS:a.test", .issuer = &certs[CA] },
		[STRANGER] = { .names = "DNS:mx.a.test", .issuer = &certs[OTHER_CA] },
	};
	struct buf roots = BUF(65536);
	struct error why;

	(void)state;
	for (int i = 0; i < CERTIFICATES; i++)
		certs[i] = issue(&wishes[i]);
	issued_pem(&certs[CA], &roots);
	client = tls_client_new(buf_slice(&roots), &why);
	buf_free(&roots);
	arena = arena_new(1 << 20);
	return client == NULL;
}

static int
end_world(void **state)
{
	(void)state;
	for (int i = 0; i < CERTIFICATES; i++)
		issued_free(&certs[i]);
	SSL_CTX_free(client);
	arena_free(arena);
	return 0;
}

/* "3 1 1 CERTIFICATE" as a record of the plan. */
static void
add_tlsa(struct plan_host *h, int usage, int selector, int matching, const struct issued *of)
{
	struct buf rdata = BUF(4096);
	struct record r = { 0 };
	struct fact f = { .count = 1, .records = &r };

	buf_byte(&rdata, (char)usage);
	buf_byte(&rdata, (char)selector);
	buf_byte(&rdata, (char)matching);
	tlsa_data(of, selector, matching, &rdata);
	r.data = arena_copy(arena, buf_slice(&rdata));
	assert_true(tlsa_read(&h->tlsa, &f, arena));
	buf_free(&rdata);
}

static struct plan_host
host(enum need need, const char *name)
{
	return (struct plan_host){ .name = slice(name), .sni = slice(name), .go = true, .need = need,
	    .watch = need, .names = { slice(name) }, .name_count = 1, .policy = PLAN_STS_ENFORCE };
}

static bool
talk(const struct plan_host *h, int leaf, int authority, int64_t now, struct secure_found *found,
    struct buf *sni)
{
	SSL *ssl = SSL_new(client);
	SSL_CTX *server = server_context(&certs[leaf], authority ? &certs[CA] : NULL);
	struct error why = { 0 };
	bool ok = verify_setup(ssl, h, now, &why);

	*found = (struct secure_found){ .starttls = true };
	if (ok)
		handshake(ssl, server, sni);
	verify_read(ssl, found);
	SSL_free(ssl);
	SSL_CTX_free(server);
	return ok;
}

/* --- PKIX ------------------------------------------------------------------ */

static const struct { const char *name; int leaf, verify; } pkix[] = {
	{ "mx.a.test", GOOD, X509_V_OK },                       /* RFC 8461 4.2 */
	{ "MX.A.test", GOOD, X509_V_OK },
	{ "mx2.a.test", GOOD, X509_V_ERR_HOSTNAME_MISMATCH },
	{ "a.test", GOOD, X509_V_ERR_HOSTNAME_MISMATCH },
	{ "mx.a.test", WILD, X509_V_OK },                       /* RFC 6125 6.4.3: one label … */
	{ "x.mx.a.test", WILD, X509_V_ERR_HOSTNAME_MISMATCH },
	{ "a.test", WILD, X509_V_ERR_HOSTNAME_MISMATCH },
	{ "mx.a.test", EXPIRED, X509_V_ERR_CERT_HAS_EXPIRED },
	{ "mx.a.test", FUTURE, X509_V_ERR_CERT_NOT_YET_VALID },
	{ "mx.a.test", SELF, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT },
	{ "mx.a.test", STRANGER, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	{ "mx.a.test", SUBJECT_ONLY, X509_V_ERR_HOSTNAME_MISMATCH },    /* … and SAN only */
	{ "mx.a.test", NOBODY, X509_V_ERR_HOSTNAME_MISMATCH },
};

static void
certificates_of_authorities(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pkix); i++) {
		struct plan_host h = host(NEED_PKIX, pkix[i].name);
		struct secure_judgement j;
		struct secure_found f;

		assert_true(talk(&h, pkix[i].leaf, false, TLSPAIR_NOW, &f, NULL));
		assert_true(f.handshake && f.certificate && !f.resumed && !f.matched);
		if (f.verify != pkix[i].verify)
			print_error("case %zu: %s\n", i, certificate_flaw(f.verify)->symbol);
		assert_int_equal(f.verify, pkix[i].verify);
		secure_judge(&j, &h, &f, arena);
		assert_case((j.verdict == SECURE_GO_ON) == (pkix[i].verify == X509_V_OK), i, pkix[i].name);
	}
}

static void
any_of_the_names_will_do(void **state)
{
	struct plan_host h = host(NEED_PKIX, "mx.a.test");
	struct secure_found f;

	(void)state;
	plan_add_name(&h, S("a.test"));
	assert_true(talk(&h, GOOD, false, TLSPAIR_NOW, &f, NULL));
	assert_int_equal(f.verify, X509_V_OK);
	assert_true(talk(&h, DOMAIN, false, TLSPAIR_NOW, &f, NULL));
	assert_int_equal(f.verify, X509_V_OK);
	assert_true(talk(&h, NOBODY, false, TLSPAIR_NOW, &f, NULL));
	assert_int_equal(f.verify, X509_V_ERR_HOSTNAME_MISMATCH);
}

/* DEPENDENCIES 3: OpenSSL would take ".a.test" for all names below it. */
static void
names_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { ".a.test", "a..test", "mx.a.test.", "" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct plan_host h = host(NEED_PKIX, bad[i]);
		struct secure_found f;

		h.sni = S("mx.a.test");
		assert_case(!talk(&h, GOOD, false, TLSPAIR_NOW, &f, NULL), i, bad[i]);
	}
}

static void
time_is_what_we_say(void **state)
{
	struct plan_host h = host(NEED_PKIX, "mx.a.test");
	struct secure_found f;

	(void)state;
	assert_true(talk(&h, EXPIRED, false, TLSPAIR_NOW - 5 * DAY, &f, NULL));
	assert_int_equal(f.verify, X509_V_OK);
	assert_true(talk(&h, FUTURE, false, TLSPAIR_NOW + 5 * DAY, &f, NULL));
	assert_int_equal(f.verify, X509_V_OK);
	assert_true(talk(&h, GOOD, false, TLSPAIR_NOW + 5 * DAY, &f, NULL));
	assert_int_equal(f.verify, X509_V_ERR_CERT_HAS_EXPIRED);
}

/* --- DANE ------------------------------------------------------------------ */

static const struct {
	int usage, selector, matching, record;  /* of which certificate the record is */
	int leaf, chain;                        /* what the server shows; with its authority? */
	const char *base, *other;               /* reference names */
	int verify, depth;
} dane[] = {
	/* RFC 7672 3.1.1: DANE-EE knows neither names nor dates nor authorities */
	{ 3, 1, 1, GOOD, GOOD, 0, "mx.a.test", NULL, X509_V_OK, 0 },
	{ 3, 0, 1, GOOD, GOOD, 0, "mx.a.test", NULL, X509_V_OK, 0 },
	{ 3, 1, 2, GOOD, GOOD, 0, "mx.a.test", NULL, X509_V_OK, 0 },
	{ 3, 1, 0, GOOD, GOOD, 0, "mx.a.test", NULL, X509_V_OK, 0 },
	{ 3, 0, 0, GOOD, GOOD, 0, "mx.a.test", NULL, X509_V_OK, 0 },
	{ 3, 1, 1, NOBODY, NOBODY, 0, "mx.a.test", NULL, X509_V_OK, 0 },
	{ 3, 1, 1, EXPIRED, EXPIRED, 0, "mx.a.test", NULL, X509_V_OK, 0 },
	{ 3, 1, 1, SELF, SELF, 0, "other.test", NULL, X509_V_OK, 0 },
	{ 3, 1, 1, STRANGER, STRANGER, 0, "other.test", NULL, X509_V_OK, 0 },
	{ 3, 1, 1, SELF, GOOD, 1, "mx.a.test", NULL, X509_V_ERR_DANE_NO_MATCH, -1 },
	{ 3, 1, 1, CA, GOOD, 1, "mx.a.test", NULL, X509_V_ERR_DANE_NO_MATCH, -1 },
	/* 3.1.2: DANE-TA wants the anchor in the chain, the dates and a name */
	{ 2, 1, 1, CA, GOOD, 1, "mx.a.test", NULL, X509_V_OK, 1 },
	{ 2, 0, 1, CA, GOOD, 1, "mx.a.test", NULL, X509_V_OK, 1 },
	{ 2, 0, 2, CA, WILD, 1, "mx.a.test", NULL, X509_V_OK, 1 },
	{ 2, 1, 1, CA, WILD, 1, "x.mx.a.test", NULL, X509_V_ERR_HOSTNAME_MISMATCH, -1 },
	{ 2, 1, 1, CA, GOOD, 0, "mx.a.test", NULL, X509_V_ERR_DANE_NO_MATCH, -1 },
	{ 2, 1, 1, CA, NOBODY, 1, "mx.a.test", NULL, X509_V_ERR_HOSTNAME_MISMATCH, -1 },
	{ 2, 1, 1, CA, DOMAIN, 1, "mx.a.test", NULL, X509_V_ERR_HOSTNAME_MISMATCH, -1 },
	{ 2, 1, 1, CA, DOMAIN, 1, "mx.a.test", "a.test", X509_V_OK, 1 },        /* 3.2.2 */
	{ 2, 1, 1, CA, EXPIRED, 1, "mx.a.test", NULL, X509_V_ERR_CERT_HAS_EXPIRED, -1 },
	{ 2, 1, 1, CA, SUBJECT_ONLY, 1, "mx.a.test", NULL, X509_V_OK, 1 },      /* 3.2.3: no SAN */
	{ 2, 0, 0, CA, GOOD, 0, "mx.a.test", NULL, X509_V_OK, 1 },              /* RFC 7671 5.2.2 */
	{ 2, 1, 1, OTHER_CA, GOOD, 1, "mx.a.test", NULL, X509_V_ERR_DANE_NO_MATCH, -1 },
};

static void
certificates_of_tlsa_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(dane); i++) {
		struct plan_host h = host(NEED_DANE, dane[i].base);
		struct secure_judgement j;
		struct secure_found f;

		h.policy = PLAN_DANE;
		add_tlsa(&h, dane[i].usage, dane[i].selector, dane[i].matching, &certs[dane[i].record]);
		if (dane[i].other != NULL)
			plan_add_name(&h, slice(dane[i].other));
		assert_true(talk(&h, dane[i].leaf, dane[i].chain, TLSPAIR_NOW, &f, NULL));
		if (f.verify != dane[i].verify)
			print_error("case %zu: %s\n", i, certificate_flaw(f.verify)->symbol);
		assert_int_equal(f.verify, dane[i].verify);
		assert_case(f.matched == (dane[i].depth >= 0), i, "matched");
		assert_int_equal(f.depth, dane[i].depth);
		secure_judge(&j, &h, &f, arena);
		assert_case((j.verdict == SECURE_GO_ON) == (dane[i].verify == X509_V_OK), i, dane[i].base);
	}
}

static void
without_a_record_nothing_is_set_up(void **state)
{
	struct plan_host h = host(NEED_DANE, "mx.a.test");
	struct secure_found f;

	(void)state;
	assert_false(talk(&h, GOOD, false, TLSPAIR_NOW, &f, NULL));
	add_tlsa(&h, 3, 1, 1, &certs[GOOD]);
	h.tlsa.records[0].use = TLSA_UNUSABLE;
	assert_false(talk(&h, GOOD, false, TLSPAIR_NOW, &f, NULL));
	h.tlsa.records[0].use = TLSA_USABLE;
	assert_true(talk(&h, GOOD, false, TLSPAIR_NOW, &f, NULL));
}

/* RFC 7671 9: beside a strong digest the weak one is not even told to OpenSSL. */
static void
weaker_digests_do_not_help(void **state)
{
	struct plan_host h = host(NEED_DANE, "mx.a.test"), weak = h, strong = h;
	struct record r[2];
	struct fact both = { .count = 2, .records = r };
	struct secure_found f;

	(void)state;
	add_tlsa(&weak, 3, 1, 1, &certs[GOOD]);
	add_tlsa(&strong, 3, 1, 2, &certs[SELF]);
	r[0] = (struct record){ 0, weak.tlsa.records[0].rdata };
	r[1] = (struct record){ 0, strong.tlsa.records[0].rdata };
	assert_true(tlsa_read(&h.tlsa, &both, arena));
	assert_true(talk(&h, GOOD, false, TLSPAIR_NOW, &f, NULL));
	assert_int_equal(f.verify, X509_V_ERR_DANE_NO_MATCH);
	assert_true(talk(&h, SELF, false, TLSPAIR_NOW, &f, NULL));
	assert_int_equal(f.verify, X509_V_OK);
}

/* --- beside proof ------------------------------------------------------------ */

static void
the_server_hears_which_name_is_meant(void **state)
{
	static const struct { enum need need; const char *sni; } cases[] = {
		{ NEED_NOTHING, "mx.a.test" },
		{ NEED_TLS, "mx.a.test" },
		{ NEED_PKIX, "mx.a.test" },                     /* RFC 8461 7.1 */
		{ NEED_DANE, "base.a.test" },                   /* RFC 7672 8.1 */
		{ NEED_NOTHING, "" },                           /* an address has no name */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct plan_host h = host(cases[i].need, *cases[i].sni ? cases[i].sni : "[192.0.2.1]");
		struct buf sni = BUF(300);
		struct secure_found f;

		h.sni = slice(cases[i].sni);
		if (cases[i].need == NEED_DANE)
			add_tlsa(&h, 3, 1, 1, &certs[GOOD]);
		assert_true(talk(&h, GOOD, false, TLSPAIR_NOW, &f, &sni));
		assert_true(f.handshake);
		assert_slice(buf_slice(&sni), cases[i].sni);
		buf_free(&sni);
	}
}

static void
opportunism_takes_any_certificate_and_knows_what_it_is(void **state)
{
	struct plan_host h = host(NEED_NOTHING, "mx.a.test");
	struct secure_judgement j;
	struct secure_found f;

	(void)state;
	assert_true(talk(&h, SELF, false, TLSPAIR_NOW, &f, NULL));
	secure_judge(&j, &h, &f, arena);
	assert_int_equal(j.verdict, SECURE_GO_ON);
	assert_int_equal(j.trust, TRUST_UNTRUSTED);
	assert_true(talk(&h, GOOD, false, TLSPAIR_NOW, &f, NULL));
	secure_judge(&j, &h, &f, arena);
	assert_int_equal(j.trust, TRUST_TRUSTED);
}

static void
a_handshake_that_breaks_proves_nothing(void **state)
{
	struct plan_host h = host(NEED_PKIX, "mx.a.test");
	SSL *ssl = SSL_new(client);
	SSL_CTX *server = server_context(&certs[GOOD], NULL);
	struct secure_found f = { .starttls = true };

	(void)state;
	SSL_CTX_set_max_proto_version(server, TLS1_1_VERSION);
	assert_true(verify_setup(ssl, &h, TLSPAIR_NOW, NULL));
	assert_false(handshake(ssl, server, NULL));
	verify_read(ssl, &f);
	assert_false(f.handshake);
	assert_false(f.certificate);
	SSL_free(ssl);
	SSL_CTX_free(server);
}

/*
 * The trap of DEPENDENCIES 3, shown: a session made without proof and resumed
 * where a proof is demanded looks good to OpenSSL.  What keeps us out of it is
 * that the two have different keys.
 */
static void
a_resumed_session_proves_nothing_new(void **state)
{
	struct plan_host lax = host(NEED_NOTHING, "mx.a.test"), strict = host(NEED_DANE, "mx.a.test");
	SSL_CTX *server = server_context(&certs[GOOD], NULL);
	SSL *first = SSL_new(client), *second = SSL_new(client);
	struct secure_found f = { .starttls = true };
	SSL_SESSION *session;

	(void)state;
	SSL_CTX_set_max_proto_version(server, TLS1_2_VERSION);
	add_tlsa(&strict, 3, 1, 1, &certs[SELF]);
	assert_true(verify_setup(first, &lax, TLSPAIR_NOW, NULL) && handshake(first, server, NULL));
	session = SSL_get1_session(first);
	assert_true(verify_setup(second, &strict, TLSPAIR_NOW, NULL));
	SSL_set_session(second, session);
	assert_true(handshake(second, server, NULL));
	verify_read(second, &f);
	assert_true(f.resumed && f.verify == X509_V_OK && !f.matched);
	plan_make_key(&lax, 25);
	plan_make_key(&strict, 25);
	assert_memory_not_equal(lax.key, strict.key, PLAN_KEY);
	SSL_SESSION_free(session);
	SSL_free(first);
	SSL_free(second);
	SSL_CTX_free(server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates_of_authorities),
		cmocka_unit_test(any_of_the_names_will_do),
		cmocka_unit_test(names_that_are_none_are_refused),
		cmocka_unit_test(time_is_what_we_say),
		cmocka_unit_test(certificates_of_tlsa_records),
		cmocka_unit_test(without_a_record_nothing_is_set_up),
		cmocka_unit_test(weaker_digests_do_not_help),
		cmocka_unit_test(the_server_hears_which_name_is_meant),
		cmocka_unit_test(opportunism_takes_any_certificate_and_knows_what_it_is),
		cmocka_unit_test(a_handshake_that_breaks_proves_nothing),
		cmocka_unit_test(a_resumed_session_proves_nothing_new),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
