/* SPDX-License-Identifier: ISC */
/*
 * tls -- OpenSSL contexts, made once from bytes that somebody else has read.
 *
 * TLS 1.2 is the floor (RFC 8996, RFC 9325 3.1.1); renegotiation and
 * compression are off.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

/* A certificate with its chain and its key, as PEM. */
struct tls_identity {
	struct slice certificate, key;
	const char  *name;              /* how errors call it: a file name */
};

enum { TLS_IDENTITIES_MOST = 64 };

/*
 * For accepting: the identity whose certificate names what the client asks for
 * (SNI); the first one when none does or none was asked, never an alert
 * (RFC 8461 7.1).  NULL with *why.
 */
struct tls_server;
struct tls_server *tls_server_new(const struct tls_identity *, size_t n, struct error *why);
void               tls_server_free(struct tls_server *);
SSL_CTX           *tls_server_context(const struct tls_server *);

/*
 * For connecting: `roots` are the trusted authorities as PEM, may be empty.
 * The context proves nothing by itself; what must be proved is set on each SSL
 * (delivery/verify).  DANE is enabled (RFC 7672).
 */
SSL_CTX *tls_client_new(struct slice roots, struct error *why);

/* Nothing older than TLS 1.3 from now on. */
void tls_only_13(SSL_CTX *);

/*
 * For a handshake that may break: before it, and what is known behind it, as
 * "offered TLS 1.2 to 1.3, the other side spoke TLS 1.1".  Nothing else uses the
 * app data of such an SSL.
 */
void tls_watch(SSL *);
void tls_versions_add(struct buf *, SSL *);

/* "TLSv1.3" and "TLS_AES_256_GCM_SHA384". */
const char *tls_version(const SSL *);
const char *tls_cipher(const SSL *);

#endif
