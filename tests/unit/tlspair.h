/* SPDX-License-Identifier: ISC */
/*
 * tlspair -- certificates made on the spot, and a TLS handshake in memory.
 *
 * Certificates count their days from TLSPAIR_NOW, so that nothing depends on
 * the day on which the tests run.
 */
#ifndef TESTS_TLSPAIR_H
#define TESTS_TLSPAIR_H

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/text.h"

#define TLSPAIR_NOW (INT64_C(1795000000) * SECOND)

struct issued {
	X509     *certificate;
	EVP_PKEY *key;
};

struct wish {
	const char          *names;             /* "DNS:a.test,DNS:b.test"; NULL: no SAN */
	const char          *subject;           /* common name; NULL: none */
	const struct issued *issuer;            /* NULL: signed by itself */
	bool                 authority;
	int                  from, to;          /* days; { 0, 0 } is from yesterday to tomorrow */
};

static inline void
add_extension(X509 *c, const struct wish *w, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *e;

	X509V3_set_ctx(&context, w->issuer ? w->issuer->certificate : c, c, NULL, NULL, 0);
	bug_if((e = X509V3_EXT_conf_nid(NULL, &context, nid, value)) == NULL);
	bug_if(X509_add_ext(c, e, -1) != 1);
	X509_EXTENSION_free(e);
}

static inline struct issued
issue(const struct wish *w)
{
	struct issued made = { X509_new(), EVP_EC_gen("P-256") };
	X509 *c = made.certificate;
	time_t now = TLSPAIR_NOW / SECOND;
	int from = w->from || w->to ? w->from : -1, to = w->from || w->to ? w->to : 1;
	static long serial;

	bug_if(c == NULL || made.key == NULL);
	X509_set_version(c, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
	X509_time_adj_ex(X509_getm_notBefore(c), from, 0, &now);
	X509_time_adj_ex(X509_getm_notAfter(c), to, 0, &now);
	if (w->subject != NULL)
		X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
		    (const unsigned char *)w->subject, -1, -1, 0);
	X509_set_issuer_name(c, X509_get_subject_name(w->issuer ? w->issuer->certificate : c));
	X509_set_pubkey(c, made.key);
	if (w->authority)
		add_extension(c, w, NID_basic_constraints, "critical,CA:TRUE");
	if (w->names != NULL)
		add_extension(c, w, NID_subject_alt_name, w->names);
	bug_if(X509_sign(c, w->issuer ? w->issuer->key : made.key, EVP_sha256()) == 0);
	return made;
}

static inline void
issued_free(struct issued *i)
{
	X509_free(i->certificate);
	EVP_PKEY_free(i->key);
	*i = (struct issued){ NULL, NULL };
}

static inline void
issued_pem(const struct issued *i, struct buf *to)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	bug_if(PEM_write_bio_X509(bio, i->certificate) != 1);
	n = BIO_get_mem_data(bio, &p);
	buf_add(to, slice_of(p, (size_t)n));
	BIO_free(bio);
}

/* The association data of a TLSA record: of the certificate or its key, whole or a digest. */
static inline void
tlsa_data(const struct issued *i, int selector, int matching, struct buf *to)
{
	unsigned char *der = NULL, digest[64];
	int n = selector == 0 ? i2d_X509(i->certificate, &der) : i2d_PUBKEY(i->key, &der);
	unsigned digest_n = 0;

	bug_if(n <= 0);
	if (matching == 0) {
		buf_add(to, slice_of(der, (size_t)n));
	} else {
		EVP_Digest(der, (size_t)n, digest, &digest_n, matching == 1 ? EVP_sha256() : EVP_sha512(), NULL);
		buf_add(to, slice_of(digest, digest_n));
	}
	OPENSSL_free(der);
}

/* A server that shows this certificate, and this authority behind it unless NULL. */
static inline SSL_CTX *
server_context(const struct issued *leaf, const struct issued *authority)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	bug_if(SSL_CTX_use_certificate(c, leaf->certificate) != 1);
	bug_if(SSL_CTX_use_PrivateKey(c, leaf->key) != 1);
	if (authority != NULL)
		bug_if(SSL_CTX_add1_chain_cert(c, authority->certificate) != 1);
	return c;
}

/* Both sides in turn until they agree, or one gives up. The server is made and gone here. */
static inline bool
handshake(SSL *client, SSL_CTX *server_ctx, struct buf *sni)
{
	SSL *server = SSL_new(server_ctx);
	BIO *ours, *theirs;
	char byte;

	bug_if(BIO_new_bio_pair(&ours, 65536, &theirs, 65536) != 1);
	SSL_set_bio(client, ours, ours);
	SSL_set_bio(server, theirs, theirs);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (int i = 0; i < 10 && !(SSL_is_init_finished(client) && SSL_is_init_finished(server)); i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	SSL_read(client, &byte, 1);             /* tickets */
	if (sni != NULL && SSL_get_servername(server, TLSEXT_NAMETYPE_host_name) != NULL)
		buf_add(sni, slice(SSL_get_servername(server, TLSEXT_NAMETYPE_host_name)));
	SSL_free(server);
	return SSL_is_init_finished(client);
}

#endif
