/* SPDX-License-Identifier: ISC */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "base/bug.h"
#include "base/text.h"
#include "lab/authority.h"
#include "net/stream.h"
#include "net/tls.h"
#include "unit.h"

static const int64_t NOW = 1780315200000;       /* 2026-06-01T12:00:00Z */
#define YEARS(n) ((n) * 365 * DAY)

static struct loop loop;
static struct clock clock_;
static struct authority *authority;

static int
begin(void **state)
{
	(void)state;
	authority = authority_new(42, NOW);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	authority_free(authority);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	clock_ = clock_virtual(NOW);
	loop_begin(&loop, &clock_);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	loop_end(&loop);
	return 0;
}

/* --- two sides of a handshake --------------------------------------------------- */

struct side {
	struct stream *stream;
	bool           secured, closed;
	long           verdict;         /* X509_V_OK, … */
};

static void on_secured(void *arg) { ((struct side *)arg)->secured = true; }
static void on_input(void *arg) { (void)arg; }

static void
on_closed(void *arg, const struct error *why)
{
	struct side *s = arg;

	(void)why;
	s->closed = true;
	if (stream_ssl(s->stream) != NULL)
		s->verdict = SSL_get_verify_result(stream_ssl(s->stream));
	stream_end(s->stream);
	s->stream = NULL;
}

static const struct stream_user SIDE = { NULL, on_input, NULL, on_secured, on_closed };

/* What net/tls refuses to offer (a weak key) is offered all the same. */
static SSL_CTX *
careless_server(const struct certificate *c)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	BIO *chain = BIO_new_mem_buf(c->chain.p, (int)c->chain.n);
	BIO *pem = BIO_new_mem_buf(c->key.p, (int)c->key.n);
	X509 *x = PEM_read_bio_X509(chain, NULL, NULL, NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, NULL, NULL);

	SSL_CTX_set_security_level(ctx, 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(x);
	EVP_PKEY_free(key);
	BIO_free(chain);
	BIO_free(pem);
	return ctx;
}

static SSL *
client_ssl(SSL_CTX *ctx, const char *host, int64_t at)
{
	SSL *ssl = SSL_new(ctx);
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	X509_VERIFY_PARAM_set_time(param, (time_t)(at / 1000));
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	X509_VERIFY_PARAM_set1_host(param, host, 0);
	return ssl;
}

/* The verdict of a client who trusts the lab's root, or checks a TLSA record. */
static long
shake_hands(SSL_CTX *server, const char *host, int64_t at, int version, const struct buf *tlsa)
{
	SSL_CTX *client = tls_client_new(tlsa ? NONE : authority_root(authority), NULL);
	SSL *ssl = client_ssl(client, host, at);
	struct side a = { 0 }, b = { 0 };
	int fds[2];

	SSL_set_max_proto_version(ssl, version);
	if (tlsa != NULL) {
		const unsigned char *t = (const unsigned char *)tlsa->p;

		SSL_dane_enable(ssl, host);
		assert_int_equal(SSL_dane_tlsa_add(ssl, t[0], t[1], t[2], t + 3, tlsa->n - 3), 1);
	}
	bug_if(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1);
	a.stream = stream_new(&loop, fds[0], &SIDE, &a);
	b.stream = stream_new(&loop, fds[1], &SIDE, &b);
	stream_secure_server(b.stream, server);
	stream_secure_client(a.stream, ssl);
	loop_run_until(&loop, clock_.now);
	if (!a.closed)
		a.verdict = SSL_get_verify_result(stream_ssl(a.stream));
	assert_true(a.secured == (a.verdict == X509_V_OK));
	stream_end(a.stream);
	stream_end(b.stream);
	loop_run_until(&loop, clock_.now);
	SSL_CTX_free(client);
	return a.verdict;
}

static struct tls_server *
server_of(const struct certificate *c, struct error *why)
{
	struct tls_identity id = { buf_slice(&c->chain), buf_slice(&c->key), "lab" };

	return tls_server_new(&id, 1, why);
}

/* --- each kind is good, or broken in its one way ------------------------------------- */

static const struct slice HOST[] = { S_INIT("mx.bank.test") };
static const struct slice TWO[] = { S_INIT("mx1.bank.test"), S_INIT("mx2.bank.test") };
static const struct slice WILD[] = { S_INIT("*.bank.test") };

static const struct {
	enum certificate_kind kind;
	const struct slice   *names;
	size_t                count;
	const char           *host;
	int64_t               at;       /* from now */
	long                  verdict;
} cases[] = {
	{ CERTIFICATE_GOOD, HOST, 1, "mx.bank.test", 0, X509_V_OK },
	{ CERTIFICATE_GOOD, HOST, 1, "MX.Bank.Test", 0, X509_V_OK },
	{ CERTIFICATE_GOOD, HOST, 1, "bank.test", 0, X509_V_ERR_HOSTNAME_MISMATCH },
	{ CERTIFICATE_GOOD, HOST, 1, "mx.bank.test", YEARS(9), X509_V_OK },
	{ CERTIFICATE_GOOD, HOST, 1, "mx.bank.test", -YEARS(4), X509_V_OK },
	{ CERTIFICATE_GOOD, HOST, 1, "mx.bank.test", YEARS(11), X509_V_ERR_CERT_HAS_EXPIRED },
	{ CERTIFICATE_GOOD, TWO, 2, "mx1.bank.test", 0, X509_V_OK },
	{ CERTIFICATE_GOOD, TWO, 2, "mx2.bank.test", 0, X509_V_OK },
	{ CERTIFICATE_GOOD, TWO, 2, "mx3.bank.test", 0, X509_V_ERR_HOSTNAME_MISMATCH },
	{ CERTIFICATE_GOOD, WILD, 1, "any.bank.test", 0, X509_V_OK },
	{ CERTIFICATE_GOOD, WILD, 1, "bank.test", 0, X509_V_ERR_HOSTNAME_MISMATCH },
	{ CERTIFICATE_GOOD, WILD, 1, "a.b.bank.test", 0, X509_V_ERR_HOSTNAME_MISMATCH }, /* RFC 9525 6.3 */
	{ CERTIFICATE_ROOT_SENT, HOST, 1, "mx.bank.test", 0, X509_V_OK },
	{ CERTIFICATE_ROOT_SENT_EXPIRED, HOST, 1, "mx.bank.test", 0, X509_V_ERR_CERT_HAS_EXPIRED },
	{ CERTIFICATE_ROOT_SENT_WRONG_NAME, HOST, 1, "mx.bank.test", 0, X509_V_ERR_HOSTNAME_MISMATCH },
	{ CERTIFICATE_ROOT_SENT_WRONG_NAME, HOST, 1, "other.test", 0, X509_V_OK },
	{ CERTIFICATE_INTERMEDIATE, HOST, 1, "mx.bank.test", 0, X509_V_OK },
	{ CERTIFICATE_INTERMEDIATE_MISSING, HOST, 1, "mx.bank.test", 0,
	    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	{ CERTIFICATE_EXPIRED, HOST, 1, "mx.bank.test", 0, X509_V_ERR_CERT_HAS_EXPIRED },
	{ CERTIFICATE_EXPIRED, HOST, 1, "mx.bank.test", -2 * DAY, X509_V_OK },
	{ CERTIFICATE_NOT_YET_VALID, HOST, 1, "mx.bank.test", 0, X509_V_ERR_CERT_NOT_YET_VALID },
	{ CERTIFICATE_NOT_YET_VALID, HOST, 1, "mx.bank.test", YEARS(6), X509_V_OK },
	{ CERTIFICATE_WRONG_NAME, HOST, 1, "mx.bank.test", 0, X509_V_ERR_HOSTNAME_MISMATCH },
	{ CERTIFICATE_WRONG_NAME, HOST, 1, "other.test", 0, X509_V_OK },
	{ CERTIFICATE_COMMON_NAME_ONLY, HOST, 1, "mx.bank.test", 0, X509_V_ERR_HOSTNAME_MISMATCH },
	{ CERTIFICATE_SELF_SIGNED, HOST, 1, "mx.bank.test", 0,
	    X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT },
	{ CERTIFICATE_UNKNOWN_AUTHORITY, HOST, 1, "mx.bank.test", 0,
	    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	{ CERTIFICATE_WEAK, HOST, 1, "mx.bank.test", 0, X509_V_ERR_EE_KEY_TOO_SMALL },
};

/* The context of a server; net/tls itself refuses to offer a weak key. */
static SSL_CTX *
serve(const struct certificate *c, enum certificate_kind kind, struct tls_server **server)
{
	struct error why = { 0 };

	*server = server_of(c, &why);
	if (kind != CERTIFICATE_WEAK) {
		assert_non_null(*server);
		return tls_server_context(*server);
	}
	assert_null(*server);
	assert_non_null(strstr(why.text, "key too small"));
	return careless_server(c);
}

static void
every_kind_is_judged_as_its_name_says(void **state)
{
	bool seen[CERTIFICATE_KINDS] = { false };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct certificate c;
		struct tls_server *server;
		SSL_CTX *ctx;

		certificate_make(authority, cases[i].kind, cases[i].names, cases[i].count, &c);
		ctx = serve(&c, cases[i].kind, &server);
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			long verdict = shake_hands(ctx, cases[i].host, NOW + cases[i].at, version, NULL);

			if (verdict != cases[i].verdict)
				print_error("%s\n", X509_verify_cert_error_string(verdict));
			assert_case(verdict == cases[i].verdict, i, certificate_kind_name(cases[i].kind));
		}
		seen[cases[i].kind] = true;
		if (server == NULL)
			SSL_CTX_free(ctx);
		tls_server_free(server);
		certificate_free(&c);
	}
	for (size_t i = 0; i < CERTIFICATE_KINDS; i++)
		assert_case(seen[i], i, "this kind has no case");
}

static void
kinds_have_words(void **state)
{
	enum certificate_kind kind;

	(void)state;
	for (size_t i = 0; i < CERTIFICATE_KINDS; i++) {
		const char *name = certificate_kind_name((enum certificate_kind)i);

		assert_case(certificate_kind_parse(slice(name), &kind) && kind == i, i, name);
	}
	assert_false(certificate_kind_parse(S("Good"), &kind));
	assert_false(certificate_kind_parse(NONE, &kind));
}

/* --- the same bytes, always --------------------------------------------------------- */

static void
digest_of_all(struct authority *a, struct buf *hex)
{
	struct buf all = BUF(1 << 20);
	unsigned char digest[32];

	buf_add(&all, authority_root(a));
	for (size_t i = 0; i < CERTIFICATE_KINDS; i++) {
		struct certificate c;

		certificate_make(a, (enum certificate_kind)i, TWO, COUNT(TWO), &c);
		buf_add(&all, buf_slice(&c.chain));
		buf_add(&all, buf_slice(&c.key));
		certificate_free(&c);
	}
	assert_false(all.full);
	EVP_Digest(all.p, all.n, digest, NULL, EVP_sha256(), NULL);
	hex_add(hex, slice_of(digest, sizeof digest));
	buf_free(&all);
}

static void
seed_and_time_give_the_same_bytes(void **state)
{
	static const struct { uint64_t seed; int64_t now; bool same; } worlds[] = {
		{ 42, NOW, true }, { 43, NOW, false }, { 42, NOW + 1000, false },
	};
	struct buf want = BUF(100);

	(void)state;
	digest_of_all(authority, &want);
	for (size_t i = 0; i < COUNT(worlds); i++) {
		struct authority *a = authority_new(worlds[i].seed, worlds[i].now);
		struct buf got = BUF(100);

		digest_of_all(a, &got);
		assert_case(slice_eq(buf_slice(&got), buf_slice(&want)) == worlds[i].same, i, "world");
		buf_free(&got);
		authority_free(a);
	}
	buf_free(&want);
}

/* RFC 5280 4.1.2.2: one issuer never gives a number twice. */
static void
serial_numbers_differ(void **state)
{
	struct certificate good, weak;

	(void)state;
	for (int round = 0; round < 2; round++) {
		BIO *bio[2];
		X509 *x[2];

		certificate_make(authority, CERTIFICATE_GOOD, HOST, 1, &good);
		certificate_make(authority, round ? CERTIFICATE_WEAK : CERTIFICATE_EXPIRED, HOST, 1, &weak);
		bio[0] = BIO_new_mem_buf(good.chain.p, (int)good.chain.n);
		bio[1] = BIO_new_mem_buf(weak.chain.p, (int)weak.chain.n);
		for (int i = 0; i < 2; i++)
			x[i] = PEM_read_bio_X509(bio[i], NULL, NULL, NULL);
		assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(x[0]),
		    X509_get0_serialNumber(x[1])), 0);
		for (int i = 0; i < 2; i++) {
			X509_free(x[i]);
			BIO_free(bio[i]);
		}
		certificate_free(&good);
		certificate_free(&weak);
	}
}

/* --- TLSA ------------------------------------------------------------------------------ */

static const struct {
	enum certificate_kind kind;
	unsigned              depth;
	struct tlsa_form           tlsa;
	size_t                size;     /* of the record; 0: some */
	const char           *host;
	long                  verdict;
} records[] = {
	{ CERTIFICATE_GOOD, 0, { 3, 1, 1 }, 35, "mx.bank.test", X509_V_OK },
	{ CERTIFICATE_GOOD, 0, { 3, 1, 2 }, 67, "mx.bank.test", X509_V_OK },
	{ CERTIFICATE_GOOD, 0, { 3, 1, 0 }, 3 + 91, "mx.bank.test", X509_V_OK },
	{ CERTIFICATE_GOOD, 0, { 3, 0, 1 }, 35, "mx.bank.test", X509_V_OK },
	{ CERTIFICATE_GOOD, 0, { 3, 0, 0 }, 0, "mx.bank.test", X509_V_OK },
	{ CERTIFICATE_SELF_SIGNED, 0, { 3, 1, 1 }, 35, "mx.bank.test", X509_V_OK },
	{ CERTIFICATE_EXPIRED, 0, { 3, 1, 1 }, 35, "mx.bank.test", X509_V_OK },  /* RFC 7672 3.1.1 */
	{ CERTIFICATE_WRONG_NAME, 0, { 3, 1, 1 }, 35, "mx.bank.test", X509_V_OK },
	{ CERTIFICATE_ROOT_SENT_EXPIRED, 1, { 2, 0, 1 }, 35, "mx.bank.test", X509_V_ERR_CERT_HAS_EXPIRED },
	{ CERTIFICATE_ROOT_SENT, 1, { 2, 0, 1 }, 35, "mx.bank.test", X509_V_OK },
	{ CERTIFICATE_ROOT_SENT, 1, { 2, 1, 1 }, 35, "other.test", X509_V_ERR_HOSTNAME_MISMATCH },
	{ CERTIFICATE_INTERMEDIATE, 1, { 2, 1, 1 }, 35, "mx.bank.test", X509_V_OK },
	{ CERTIFICATE_INTERMEDIATE, 1, { 3, 1, 1 }, 35, "mx.bank.test", X509_V_ERR_DANE_NO_MATCH },
};

static void
tlsa_data_match_what_is_offered(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(records); i++) {
		struct buf data = BUF(10000);
		struct certificate c;
		struct tls_server *server;
		SSL_CTX *ctx;
		long verdict;

		certificate_make(authority, records[i].kind, HOST, 1, &c);
		assert_true(certificate_tlsa(buf_slice(&c.chain), records[i].depth, records[i].tlsa, &data,
		    NULL));
		if (records[i].size > 0)
			assert_int_equal(data.n, records[i].size);
		ctx = serve(&c, records[i].kind, &server);
		verdict = shake_hands(ctx, records[i].host, NOW, TLS1_3_VERSION, &data);
		assert_case(verdict == records[i].verdict, i, X509_verify_cert_error_string(verdict));
		data.p[3]++;                    /* one byte else: no match */
		if (records[i].tlsa.matching != 0) {
			verdict = shake_hands(ctx, records[i].host, NOW, TLS1_3_VERSION, &data);
			assert_case(verdict == X509_V_ERR_DANE_NO_MATCH, i,
			    X509_verify_cert_error_string(verdict));
		}
		tls_server_free(server);
		certificate_free(&c);
		buf_free(&data);
	}
}

static void
tlsa_data_that_cannot_be_made(void **state)
{
	struct buf data = BUF(10000);
	struct error why = { 0 };

	(void)state;
	assert_false(certificate_tlsa(authority_root(authority), 1, (struct tlsa_form){ 2, 1, 1 }, &data,
	    &why));
	assert_string_equal(why.text, "there is no certificate 1 in the chain");
	assert_false(certificate_tlsa(authority_root(authority), 0, (struct tlsa_form){ 3, 1, 3 }, &data,
	    &why));
	assert_false(certificate_tlsa(authority_root(authority), 0, (struct tlsa_form){ 3, 2, 1 }, &data,
	    &why));
	assert_int_equal(data.n, 0);
	assert_int_equal(ERR_peek_error(), 0);  /* nothing left behind for the next TLS call */
	buf_free(&data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_kind_is_judged_as_its_name_says, setup, teardown),
		cmocka_unit_test(kinds_have_words),
		cmocka_unit_test(seed_and_time_give_the_same_bytes),
		cmocka_unit_test(serial_numbers_differ),
		cmocka_unit_test_setup_teardown(tlsa_data_match_what_is_offered, setup, teardown),
		cmocka_unit_test(tlsa_data_that_cannot_be_made),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
