/* SPDX-License-Identifier: ISC */
/*
 * The public DANE suites.  danetest.json: OpenSSL's matcher through our reading
 * of TLSA records and our setting up of an SSL.  smtp-dane-matrix.json: whole
 * deliveries, from a zone over the plan and a real handshake to the judgement.
 */
#include "delivery/judge.h"
#include "delivery/secure.h"
#include "delivery/verify.h"
#include "dns/zone.h"
#include "net/tls.h"
#include "suites.h"
#include "tlspair.h"

static struct arena *arena;

static const char *
member(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

/* --- danetest.json ---------------------------------------------------------------- */

/* The records of a case as an answer of the DNS. */
static void
read_records(json_t *tlsa, struct fact *f)
{
	json_t *one;
	size_t i;

	f->records = arena_get(arena, json_array_size(tlsa) * sizeof *f->records);
	json_array_foreach(tlsa, i, one) {
		struct buf rdata = BUF(65536);

		buf_byte(&rdata, (char)json_integer_value(json_object_get(one, "usage")));
		buf_byte(&rdata, (char)json_integer_value(json_object_get(one, "selector")));
		buf_byte(&rdata, (char)json_integer_value(json_object_get(one, "mtype")));
		bug_if(!hex_decode(&rdata, json_slice(json_object_get(one, "data"))));
		f->records[f->count++].data = arena_copy(arena, buf_slice(&rdata));
		buf_free(&rdata);
	}
}

static STACK_OF(X509) *
read_chain(json_t *pems)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	json_t *pem;
	size_t i;

	json_array_foreach(pems, i, pem) {
		BIO *bio = BIO_new_mem_buf(json_string_value(pem), (int)json_string_length(pem));
		X509 *c = PEM_read_bio_X509(bio, NULL, NULL, NULL);

		bug_if(c == NULL || sk_X509_push(chain, c) == 0);
		BIO_free(bio);
	}
	return chain;
}

/* What the handshake would do with this chain, without the handshake. */
static int
verify_chain(SSL *ssl, STACK_OF(X509) *chain)
{
	X509_STORE_CTX *c = X509_STORE_CTX_new();
	X509_STORE *roots = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
	int result;

	bug_if(X509_STORE_CTX_init(c, roots, sk_X509_value(chain, 0), chain) != 1);
	X509_STORE_CTX_set_default(c, "ssl_server");
	X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(c), SSL_get0_param(ssl));
	X509_STORE_CTX_set0_dane(c, SSL_get0_dane(ssl));
	X509_verify_cert(c);
	result = X509_STORE_CTX_get_error(c);
	SSL_set_verify_result(ssl, result);
	X509_STORE_CTX_free(c);
	return result;
}

/* The numbers of OpenSSL's result, or "unusable" when no record counts for SMTP. */
static const char *
verify_case(json_t *c, const char *name, SSL_CTX *client)
{
	struct fact f = { .answer = ANSWER_FOUND, .security = DNS_SECURE };
	struct plan_host h = { .name = slice(name), .sni = slice(name), .need = NEED_DANE, .watch = NEED_DANE,
	    .names = { slice(name) }, .name_count = 1 };
	STACK_OF(X509) *chain;
	struct slice result;
	struct error why;
	SSL *ssl;

	read_records(json_object_get(c, "tlsa"), &f);
	bug_if(!tlsa_read(&h.tlsa, &f, arena));
	if (h.tlsa.usable == 0)
		return "unusable";
	ssl = SSL_new(client);
	SSL_set_connect_state(ssl);
	if (!verify_setup(ssl, &h, TLSPAIR_NOW, &why)) {
		SSL_free(ssl);
		return "not set up";
	}
	chain = read_chain(json_object_get(c, "chain"));
	result = arena_printf(arena, "%d", verify_chain(ssl, chain));
	if (SSL_get_verify_result(ssl) == X509_V_OK)
		result = arena_printf(arena, "0 depth %d", SSL_get0_dane_authority(ssl, NULL, NULL));
	sk_X509_pop_free(chain, X509_free);
	SSL_free(ssl);
	return result.p;
}

/* CONTESTED says why: usages 0 and 1 do not count, and usage 3 knows no names. */
static bool
as_smtp_has_it(json_t *c, const char *got)
{
	json_t *first = json_array_get(json_object_get(c, "tlsa"), 0);
	bool pkix = json_integer_value(json_object_get(first, "usage")) < 2;

	return strcmp(got, pkix ? "unusable" : "0 depth 0") == 0;
}

static void
check_case(const char *suite, json_t *c, const char *name, SSL_CTX *client)
{
	int verify = (int)json_integer_value(json_object_get(c, "verify_result"));
	int depth = (int)json_integer_value(json_object_get(c, "depth"));
	const char *number = arena_printf(arena, "%d", (int)json_integer_value(json_object_get(c, "n"))).p;
	const char *want = verify == 0 ? arena_printf(arena, "0 depth %d", depth).p
	    : arena_printf(arena, "%d", verify).p;
	const char *got = verify_case(c, name, client);

	if (contested(suite, number))
		tap_ok(strcmp(got, want) != 0 && as_smtp_has_it(c, got), "%s %s: %s, contested: %s", suite,
		    number, got, want);
	else
		tap_ok(strcmp(got, want) == 0, "%s %s: %s, want %s", suite, number, got, want);
}

static SSL_CTX *
client_trusting(const char *file)
{
	struct buf roots = suite_file(file);
	struct error why = { 0 };
	SSL_CTX *client = tls_client_new(buf_slice(&roots), &why);

	tap_ok(client != NULL, "trust store %s %s", file, why.text);
	bug_if(client == NULL);
	buf_free(&roots);
	return client;
}

static void
danetest(json_t *suite)
{
	SSL_CTX *client = client_trusting("dane/danetest.pem"), *cross = client_trusting("dane/cross-root.pem");
	json_t *c;
	size_t i;

	json_array_foreach(json_object_get(suite, "cases"), i, c)
		check_case("danetest", c, "example.com", client);
	json_array_foreach(json_object_get(suite, "cross"), i, c)
		check_case("dane-cross", c, "server.example", cross);
	SSL_CTX_free(client);
	SSL_CTX_free(cross);
}

/* --- smtp-dane-matrix.json ---------------------------------------------------------- */

enum { NOTHING, CA, GOOD, OTHER, FOREIGN, NEXT_HOP, CERTIFICATES };

static struct issued certs[CERTIFICATES];
static SSL_CTX *client;

#define HOSTS "a.test MX 10 mx.a.test\nmx.a.test A 192.0.2.1\n"
#define SIGNED "@secure a.test\n" HOSTS
#define TLSA  "_25._tcp.mx.a.test TLSA "

/*
 * A row plays a case of the suite.  In a zone {U S M NAME} stands for a record
 * of that certificate.  A server shows a certificate, `ca` with its authority's
 * behind it; NOTHING: no STARTTLS.  `wants` is how the suite's own sentence
 * begins, so that a case that changes is seen.
 */
static const struct {
	const char *id, *zone;
	int         shows;
	bool        ca, sts;
	int         second;                     /* what mx2.a.test shows */
	const char *wants, *outcome;
} matrix[] = {
	{ "ee-spki", SIGNED TLSA "{3 1 1 FOREIGN}\n", FOREIGN, false, false, NOTHING,
	  "deliver, DANE ok", "delivered to mx.a.test verified" },
	{ "ee-mismatch", SIGNED TLSA "{3 1 1 OTHER}\n", GOOD, true, false, NOTHING,
	  "defer", "deferred validation-failure" },
	{ "ta-good", SIGNED TLSA "{2 0 1 CA}\n", GOOD, true, false, NOTHING,
	  "deliver", "delivered to mx.a.test verified" },
	{ "ta-ca-not-sent", SIGNED TLSA "{2 0 1 CA}\n", GOOD, false, false, NOTHING,
	  "defer", "deferred validation-failure" },
	{ "ta-name-mismatch", SIGNED TLSA "{2 1 1 CA}\n", OTHER, true, false, NOTHING,
	  "defer", "deferred certificate-host-mismatch" },
	{ "ta-name-next-hop", SIGNED TLSA "{2 1 1 CA}\n", NEXT_HOP, true, false, NOTHING,
	  "deliver", "delivered to mx.a.test verified" },
	{ "pkix-usages", SIGNED TLSA "{1 1 1 OTHER}\n" TLSA "{0 0 1 CA}\n", FOREIGN, false, false, NOTHING,
	  "treat as unusable => TLS mandatory without authentication", "delivered to mx.a.test untrusted" },
	{ "all-unusable", SIGNED TLSA "3 1 9 00ff\n" TLSA "9 9 9 00\n", FOREIGN, false, false, NOTHING,
	  "deliver over TLS, unauthenticated", "delivered to mx.a.test untrusted" },
	{ "all-unusable", SIGNED TLSA "3 1 9 00ff\n" TLSA "9 9 9 00\n", NOTHING, false, false, NOTHING,
	  "deliver over TLS, unauthenticated; no STARTTLS => defer", "deferred starttls-not-supported" },
	{ "mixed-usable", SIGNED TLSA "9 9 9 00\n" TLSA "{3 1 1 FOREIGN}\n", FOREIGN, false, false, NOTHING,
	  "deliver", "delivered to mx.a.test verified" },
	{ "no-starttls", SIGNED TLSA "{3 1 1 GOOD}\n", NOTHING, false, false, NOTHING,
	  "defer; starttls-not-supported", "deferred starttls-not-supported" },
	{ "insecure-tlsa", "@secure a.test\na.test MX 10 mx.b.test\nmx.b.test A 192.0.2.1\n"
	  "_25._tcp.mx.b.test TLSA {3 1 1 OTHER}\n", FOREIGN, false, false, NOTHING,
	  "ignore TLSA, opportunistic TLS", "delivered to mx.b.test untrusted" },
	{ "insecure-mx", "@secure mx.a.test\n" HOSTS TLSA "{3 1 1 OTHER}\n", FOREIGN, false, false, NOTHING,
	  "MAY use DANE", "delivered to mx.a.test untrusted" },
	{ "bogus-tlsa", SIGNED TLSA "!bogus\n", GOOD, true, false, NOTHING,
	  "skip this MX / defer", "deferred dnssec-invalid" },
	{ "bogus-mx", "a.test MX !servfail\nmx.a.test A 192.0.2.1\n", GOOD, true, false, NOTHING,
	  "defer", "deferred 4.4.3" },
	{ "bogus-a", "@secure a.test\na.test MX 10 mx.a.test\nmx.a.test A !servfail\n", GOOD, true, false, NOTHING,
	  "skip host / defer", "deferred 4.4.3" },
	{ "nodata-tlsa-secure", SIGNED, FOREIGN, false, false, NOTHING,
	  "opportunistic", "delivered to mx.a.test untrusted" },
	{ "nodata-tlsa-secure", SIGNED, NOTHING, false, false, NOTHING,
	  "opportunistic", "delivered to mx.a.test none" },
	{ "cname-mx-host", "@secure a.test\na.test MX 10 alias.a.test\nalias.a.test CNAME mx.a.test\n"
	  "mx.a.test A 192.0.2.1\n" TLSA "{3 1 1 FOREIGN}\n", FOREIGN, false, false, NOTHING,
	  "deliver; first the expanded name", "delivered to alias.a.test verified" },
	{ "cname-insecure", "@secure a.test\na.test MX 10 mx.a.test\nmx.a.test CNAME x.b.test\n"
	  "x.b.test A 192.0.2.1\n" TLSA "{3 1 1 FOREIGN}\n", FOREIGN, false, false, NOTHING,
	  "deliver using original name", "delivered to mx.a.test verified" },
	{ "two-mx-one-bad", SIGNED "a.test MX 20 mx2.a.test\nmx2.a.test A 192.0.2.2\n" TLSA "{3 1 1 OTHER}\n"
	  "_25._tcp.mx2.a.test TLSA {3 1 1 FOREIGN}\n", GOOD, true, false, FOREIGN,
	  "deliver to the second MX", "delivered to mx2.a.test verified" },
	{ "rollover", SIGNED TLSA "{3 1 1 OTHER}\n" TLSA "{3 1 1 FOREIGN}\n", FOREIGN, false, false, NOTHING,
	  "deliver", "delivered to mx.a.test verified" },
	{ "full-1-0-matching", SIGNED TLSA "{3 1 0 FOREIGN}\n", FOREIGN, false, false, NOTHING,
	  "deliver", "delivered to mx.a.test verified" },
	{ "sha512", SIGNED TLSA "{3 1 2 FOREIGN}\n", FOREIGN, false, false, NOTHING,
	  "deliver", "delivered to mx.a.test verified" },
	{ "digest-agility", SIGNED TLSA "{3 1 1 OTHER}\n" TLSA "{3 1 2 FOREIGN}\n", FOREIGN, false, false, NOTHING,
	  "deliver when SHA2-512 is preferred", "delivered to mx.a.test verified" },
	{ "dane-over-sts", SIGNED TLSA "{3 1 1 OTHER}\n", GOOD, true, true, NOTHING,
	  "defer: DANE failure is not overridden", "deferred validation-failure" },
	{ "no-dane-sts", HOSTS, GOOD, true, true, NOTHING,
	  "deliver under MTA-STS", "delivered to mx.a.test verified" },
	{ "sni", SIGNED TLSA "{2 1 1 CA}\n", GOOD, true, false, NOTHING,
	  "client sends SNI = TLSA base domain", "delivered to mx.a.test verified" },
};

static void
make_certificates(void)
{
	static const struct wish wishes[CERTIFICATES] = {
		[CA] = { .subject = "Test CA", .authority = true, .from = -1000, .to = 1000 },
		[GOOD] = { .names = "DNS:mx.a.test", .issuer = &certs[CA] },
		[OTHER] = { .names = "DNS:other.test", .issuer = &certs[CA] },
		[FOREIGN] = { .names = "DNS:foreign.test", .subject = "me", .from = -99, .to = -9 },
		[NEXT_HOP] = { .names = "DNS:a.test", .issuer = &certs[CA] },
	};
	struct buf roots = BUF(65536);

	for (int i = CA; i < CERTIFICATES; i++)
		certs[i] = issue(&wishes[i]);
	issued_pem(&certs[CA], &roots);
	bug_if((client = tls_client_new(buf_slice(&roots), NULL)) == NULL);
	buf_free(&roots);
}

/* "3 1 1 NAME" becomes "3 1 1 <hex>". */
static void
add_record(struct buf *zone, struct slice record)
{
	static const char *const names[CERTIFICATES] = {
		[CA] = "CA", [GOOD] = "GOOD", [OTHER] = "OTHER", [FOREIGN] = "FOREIGN", [NEXT_HOP] = "NEXT_HOP",
	};
	struct buf data = BUF(4096);
	struct slice word;
	uint64_t number[3];
	int which = CA;

	for (int i = 0; i < 3; i++)
		bug_if(!slice_word(&record, &word) || !slice_number(word, 3, &number[i]));
	bug_if(!slice_word(&record, &word));
	while (!slice_eq(word, slice(names[which])))
		bug_if(++which == CERTIFICATES);
	tlsa_data(&certs[which], (int)number[1], (int)number[2], &data);
	buf_printf(zone, "%d %d %d ", (int)number[0], (int)number[1], (int)number[2]);
	hex_add(zone, buf_slice(&data));
	buf_free(&data);
}

static struct zone *
make_zone(const char *text)
{
	struct buf zone = BUF(65536);
	struct slice rest = slice(text), part;
	struct zone *made;

	while (rest.n > 0) {
		slice_cut(&rest, '{', &part);
		buf_add(&zone, part);
		if (rest.n > 0 && slice_cut(&rest, '}', &part))
			add_record(&zone, part);
	}
	bug_if((made = zone_parse(buf_slice(&zone), "zone", NULL)) == NULL);
	buf_free(&zone);
	return made;
}

static struct secure_found
connect_to(const struct plan_host *h, int shows, bool ca, struct buf *sni)
{
	struct secure_found found = { .starttls = shows != NOTHING };
	SSL_CTX *server;
	SSL *ssl;

	if (shows == NOTHING)
		return found;
	server = server_context(&certs[shows], ca ? &certs[CA] : NULL);
	ssl = SSL_new(client);
	bug_if(!verify_setup(ssl, h, TLSPAIR_NOW, NULL));
	handshake(ssl, server, sni);
	verify_read(ssl, &found);
	SSL_free(ssl);
	SSL_CTX_free(server);
	return found;
}

/* A delivery as the attempt will make it: host after host, until one takes it. */
static const char *
deliver(const struct plan *plan, size_t row, struct buf *sni)
{
	const char *reported = "";

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_host *h = &plan->hosts[i];
		bool second = slice_eq(h->name, S("mx2.a.test"));
		struct secure_judgement j;
		struct secure_found f;

		reported = tlsrpt_result_name(h->flaw);
		if (!h->go)
			continue;
		f = connect_to(h, second ? matrix[row].second : matrix[row].shows, matrix[row].ca && !second, sni);
		secure_judge(&j, h, &f, arena);
		if (j.verdict == SECURE_GO_ON)
			return arena_printf(arena, "delivered to %.*s %s", FMT(h->name), secure_trust_name(j.trust)).p;
		reported = tlsrpt_result_name(j.result);
	}
	if (plan->count > 0)
		return arena_printf(arena, "deferred %s", reported).p;
	return arena_printf(arena, "deferred %u.%u.%u", plan->status.class, plan->status.subject,
	    plan->status.detail).p;
}

static json_t *
case_of(json_t *suite, const char *id)
{
	json_t *c;
	size_t i;

	json_array_foreach(json_object_get(suite, "cases"), i, c)
		if (strcmp(member(c, "id"), id) == 0)
			return c;
	return NULL;
}

static void
play(json_t *suite, size_t row)
{
	struct sts_policy sts;
	struct secure_question q = { .where = { .domain = S("a.test") }, .sts = matrix[row].sts ? &sts : NULL };
	struct zone *zone = make_zone(matrix[row].zone);
	json_t *c = case_of(suite, matrix[row].id);
	struct buf sni = BUF(300);
	struct plan plan;
	struct facts facts;
	const char *outcome;

	bug_if(!sts_policy_parse(&sts, S("version: STSv1\nmode: enforce\nmx: mx.a.test\nmax_age: 86400\n"), arena,
	    NULL));
	facts_begin(&facts, arena);
	while (!secure_plan(&plan, &q, &facts, arena))
		zone_answer_all(zone, &facts);
	outcome = deliver(&plan, row, &sni);
	tap_ok(strncmp(member(c, "expect"), matrix[row].wants, strlen(matrix[row].wants)) == 0 &&
	    strcmp(outcome, matrix[row].outcome) == 0, "%s: %s (%s; %s)", matrix[row].id, outcome,
	    member(c, "spec"), member(c, "expect"));
	if (strcmp(matrix[row].id, "sni") == 0)
		tap_ok(slice_eq(buf_slice(&sni), S("mx.a.test")), "sni: the server was told %.*s", FMT(buf_slice(&sni)));
	buf_free(&sni);
	zone_free(zone);
}

/* Every case of the suite has its row, or a reason why it has none. */
static void
all_are_played(json_t *suite)
{
	json_t *c;
	size_t i;

	json_array_foreach(json_object_get(suite, "cases"), i, c) {
		bool played = false;

		for (size_t j = 0; j < sizeof matrix / sizeof *matrix; j++)
			played |= strcmp(matrix[j].id, member(c, "id")) == 0;
		if (strcmp(member(c, "id"), "ad-bit-spoof") == 0)
			tap_skip("ad-bit-spoof: about the resolver, not about the decision");
		else if (!played)
			tap_ok(false, "%s is not played", member(c, "id"));
	}
}

int
main(void)
{
	json_t *matcher = conformance("dane/danetest.json"), *deliveries = conformance("dane/smtp-dane-matrix.json");

	if (matcher == NULL || deliveries == NULL) {
		tap_skip("no suite dane");
		json_decref(matcher);
		json_decref(deliveries);
		return tap_end();
	}
	arena = arena_new(64 << 20);
	danetest(matcher);
	make_certificates();
	for (size_t i = 0; i < sizeof matrix / sizeof *matrix; i++)
		play(deliveries, i);
	all_are_played(deliveries);
	for (int i = CA; i < CERTIFICATES; i++)
		issued_free(&certs[i]);
	SSL_CTX_free(client);
	json_decref(matcher);
	json_decref(deliveries);
	arena_free(arena);
	return tap_end();
}
