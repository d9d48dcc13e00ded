/* SPDX-License-Identifier: ISC */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/bug.h"
#include "net/tls.h"

enum { READ_BUFFER = 16709 };

struct tls_server {
	size_t   n;
	SSL_CTX *context[TLS_IDENTITIES_MOST];
	X509    *certificate[TLS_IDENTITIES_MOST];
};

static bool
fail(struct error *why, const char *name, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	error_set(why, "%s: %s%s%s", name, what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
	return false;
}

static void
set_common(SSL_CTX *c)
{
	SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	    SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_default_read_buffer_len(c, READ_BUFFER);
}

/* A key file never asks a human for its password. */
static int
no_password(char *to, int size, int writing, void *arg)
{
	(void)to, (void)size, (void)writing, (void)arg;
	return -1;
}

/* The end of a file is no error; a certificate that cannot be read is one. */
static bool
pem_ended(void)
{
	unsigned long code = ERR_peek_last_error();
	bool end = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

/* Without the whole chain others would not believe the leaf. */
static X509 *
use_chain(SSL_CTX *c, struct slice pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *leaf = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL), *next;

	if (leaf != NULL && SSL_CTX_use_certificate(c, leaf) != 1) {
		X509_free(leaf);
		leaf = NULL;
	}
	while (leaf != NULL && (next = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(c, next) != 1)
			X509_free(next);
	BIO_free(bio);
	if (leaf == NULL || pem_ended())
		return leaf;
	X509_free(leaf);
	return NULL;
}

static bool
use_key(SSL_CTX *c, struct slice pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	bool ok = key != NULL && SSL_CTX_use_PrivateKey(c, key) == 1;

	EVP_PKEY_free(key);
	BIO_free(bio);
	return ok;
}

static bool
add_identity(struct tls_server *s, const struct tls_identity *id, struct error *why)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	bug_if(c == NULL);
	s->context[s->n] = c;
	s->n++;
	set_common(c);
	SSL_CTX_set_num_tickets(c, 1);
	SSL_CTX_set_session_id_context(c, (const unsigned char *)"chainmail", 9);
	if ((s->certificate[s->n - 1] = use_chain(c, id->certificate)) == NULL)
		return fail(why, id->name, "its certificates cannot be read");
	if (!use_key(c, id->key))
		return fail(why, id->name, "its key cannot be used");
	if (SSL_CTX_check_private_key(c) != 1)
		return fail(why, id->name, "certificate and key do not belong together");
	return true;
}

static int
choose_by_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_server *s = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	for (size_t i = 0; name != NULL && i < s->n; i++)
		if (X509_check_host(s->certificate[i], name, 0, 0, NULL) == 1) {
			SSL_set_SSL_CTX(ssl, s->context[i]);
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_NOACK;
}

struct tls_server *
tls_server_new(const struct tls_identity *ids, size_t n, struct error *why)
{
	struct tls_server *s = must_alloc(sizeof *s);

	bug_if(n == 0 || n > TLS_IDENTITIES_MOST);
	for (size_t i = 0; i < n; i++)
		if (!add_identity(s, &ids[i], why)) {
			tls_server_free(s);
			return NULL;
		}
	SSL_CTX_set_tlsext_servername_callback(s->context[0], choose_by_name);
	SSL_CTX_set_tlsext_servername_arg(s->context[0], s);
	return s;
}

void
tls_server_free(struct tls_server *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++) {
		SSL_CTX_free(s->context[i]);
		X509_free(s->certificate[i]);
	}
	free(s);
}

SSL_CTX *
tls_server_context(const struct tls_server *s)
{
	return s->context[0];
}

static bool
add_roots(SSL_CTX *c, struct slice pem, struct error *why)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509_STORE *store = SSL_CTX_get_cert_store(c);
	X509 *root;
	size_t n = 0;

	do                              /* what cannot be read hides none of those behind it */
		while ((root = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL)) != NULL) {
			n += X509_STORE_add_cert(store, root) == 1;
			X509_free(root);
		}
	while (!pem_ended());
	BIO_free(bio);
	return n > 0 || fail(why, "roots", "no certificate authority in the file");
}

SSL_CTX *
tls_client_new(struct slice roots, struct error *why)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	bug_if(c == NULL);
	set_common(c);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_dane_enable(c) != 1) {
		fail(why, "DANE", "not in this OpenSSL");
	} else if (roots.n == 0 || add_roots(c, roots, why)) {
		SSL_CTX_dane_set_flags(c, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
		return c;
	}
	SSL_CTX_free(c);
	return NULL;
}

void
tls_only_13(SSL_CTX *c)
{
	SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION);
}

/* --- versions, where no session tells them ------------------------------------ */

static const char *
version_name(long version)
{
	switch (version) {
	case SSL3_VERSION:   return "SSL 3.0";
	case TLS1_VERSION:   return "TLS 1.0";
	case TLS1_1_VERSION: return "TLS 1.1";
	case TLS1_2_VERSION: return "TLS 1.2";
	case TLS1_3_VERSION: return "TLS 1.3";
	default:             return NULL;
	}
}

/* The head of a record names a version, also of one that has nothing but an alert (RFC 5246 6.2.1). */
static void
note_record(int ours, int version, int type, const void *bytes, size_t n, SSL *ssl, void *arg)
{
	const unsigned char *head = bytes;

	(void)version, (void)arg;
	if (!ours && type == SSL3_RT_HEADER && n >= 3)
		SSL_set_app_data(ssl, (void *)(uintptr_t)(head[1] << 8 | head[2]));
}

void
tls_watch(SSL *ssl)
{
	SSL_set_msg_callback(ssl, note_record);
}

/* TLS 1.3 calls itself 1.2 there (RFC 8446 5.1), so that says nothing. */
static const char *
spoken(const SSL *ssl)
{
	long version = (long)(uintptr_t)SSL_get_app_data(ssl);

	return version < TLS1_2_VERSION ? version_name(version) : NULL;
}

void
tls_versions_add(struct buf *b, SSL *ssl)
{
	const char *least = version_name(SSL_get_min_proto_version(ssl)), *theirs = spoken(ssl);
	bool one = SSL_get_min_proto_version(ssl) == TLS1_3_VERSION;

	buf_printf(b, "offered %s%s", least != NULL ? least : "TLS", one ? "" : " to 1.3");
	if (theirs != NULL)
		buf_printf(b, ", the other side spoke %s", theirs);
}

const char *
tls_version(const SSL *ssl)
{
	return SSL_get_version(ssl);
}

const char *
tls_cipher(const SSL *ssl)
{
	return SSL_get_cipher_name(ssl);
}
