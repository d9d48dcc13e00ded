/* SPDX-License-Identifier: ISC */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "delivery/verify.h"
#include "mail/domain.h"

enum { NAMES_SHOWN = 3, NAME_SHOWN = 60 };

static bool
fail(struct error *why, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	error_set(why, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
	return false;
}

/* A name as OpenSSL wants it; "" when it is none: too long, or it begins with a dot. */
static const char *
c_name(struct slice name, char text[DOMAIN_MAX + 1])
{
	text[0] = '\0';
	if (domain_lengths_ok(name)) {
		memcpy(text, name.p, name.n);
		text[name.n] = '\0';
	}
	return text;
}

/* The first name replaces what is there, the others come beside it. */
static bool
set_names(SSL *ssl, const struct plan_host *h, size_t from, struct error *why)
{
	char text[DOMAIN_MAX + 1];

	for (size_t i = from; i < h->name_count; i++) {
		const char *name = c_name(h->names[i], text);

		if (*name == '\0' || (i == 0 ? SSL_set1_host(ssl, name) : SSL_add1_host(ssl, name)) != 1)
			return fail(why, "a reference name cannot be used");
	}
	return true;
}

static bool
set_sni(SSL *ssl, const struct plan_host *h, struct error *why)
{
	char text[DOMAIN_MAX + 1];

	return h->sni.n == 0 || SSL_set_tlsext_host_name(ssl, c_name(h->sni, text)) == 1 ||
	    fail(why, "the server name cannot be sent");
}

/*
 * RFC 8461 4.2, RFC 6125 6.4: SAN only, and a wildcard is a whole label.  An
 * address literal has no name that could be checked; the chain is, for the log.
 */
static bool
set_pkix(SSL *ssl, const struct plan_host *h, struct error *why)
{
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return set_sni(ssl, h, why) && (h->sni.n == 0 || set_names(ssl, h, 0, why));
}

static bool
add_record(SSL *ssl, const struct tlsa *t)
{
	bool taken = SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching,
	    (const unsigned char *)t->data.p, t->data.n) > 0;

	ERR_clear_error();
	return taken;
}

/* RFC 7672 3.2.3: without a SAN the subject may speak; the base domain is the SNI (8.1). */
static bool
set_dane(SSL *ssl, const struct plan_host *h, struct error *why)
{
	char base[DOMAIN_MAX + 1];
	size_t taken = 0;

	if (SSL_dane_enable(ssl, c_name(h->names[0], base)) != 1)
		return fail(why, "DANE cannot be used");
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (!set_names(ssl, h, 1, why))
		return false;
	for (size_t i = 0; i < h->tlsa.count; i++)
		if (h->tlsa.records[i].use == TLSA_USABLE)
			taken += add_record(ssl, &h->tlsa.records[i]);
	return taken > 0 || fail(why, "none of the TLSA records can be used");
}

bool
verify_setup(SSL *ssl, const struct plan_host *h, int64_t now, struct error *why)
{
	SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	if (now != 0)
		X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), (time_t)(now / SECOND));
	return h->watch == NEED_DANE ? set_dane(ssl, h, why) : set_pkix(ssl, h, why);
}

static void
add_names(struct buf *b, X509 *c)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(c, NID_subject_alt_name, NULL, NULL);
	int shown = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && shown < NAMES_SHOWN; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_DNS)
			continue;
		buf_add(b, shown++ > 0 ? S(" ") : NONE);
		shown_add(b, slice_head(slice_of(ASN1_STRING_get0_data(name->d.dNSName),
		    (size_t)ASN1_STRING_length(name->d.dNSName)), NAME_SHOWN));
	}
	if (shown == 0)
		buf_add(b, S("no names"));
	GENERAL_NAMES_free(names);
}

/* "mx.a.test mx2.a.test, until 2027-01-31, by Example CA" */
static void
describe(X509 *c, char text[FOUND_TEXT])
{
	struct buf b = BUF(4096);
	char issuer[NAME_SHOWN + 1];
	struct tm t;

	add_names(&b, c);
	if (ASN1_TIME_to_tm(X509_get0_notAfter(c), &t) == 1)
		buf_printf(&b, ", until %04d-%02d-%02d", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
	if (X509_NAME_get_text_by_NID(X509_get_issuer_name(c), NID_commonName, issuer, sizeof issuer) > 0) {
		buf_add(&b, S(", by "));
		shown_add(&b, slice(issuer));
	}
	snprintf(text, FOUND_TEXT, "%.*s", FMT(buf_slice(&b)));
	buf_free(&b);
}

void
verify_describe(SSL *ssl, char text[FOUND_TEXT])
{
	X509 *c = SSL_get0_peer_certificate(ssl);

	*text = '\0';
	if (c != NULL)
		describe(c, text);
}

void
verify_read(SSL *ssl, struct secure_found *found)
{
	found->handshake = SSL_is_init_finished(ssl);
	found->certificate = SSL_get0_peer_certificate(ssl) != NULL;
	found->resumed = SSL_session_reused(ssl);
	found->verify = (int)SSL_get_verify_result(ssl);
	if (!found->handshake || found->verify != X509_V_OK)
		verify_describe(ssl, found->seen);
	found->depth = SSL_get0_dane_authority(ssl, NULL, NULL);
	found->matched = found->depth >= 0;
}
