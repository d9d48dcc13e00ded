/* SPDX-License-Identifier: ISC */
/*
 * result -- the words of TLS reporting (RFC 8460 4.3, 4.4).
 *
 * Every session that tried to be secure ends in one of these; they are counted
 * per policy and told to the domain that published the policy.  The names are
 * those of the IANA registry "STARTTLS Validation Result Types".
 */
#ifndef STS_RESULT_H
#define STS_RESULT_H

#include "base/slice.h"

enum tlsrpt_result {
	TLSRPT_SUCCESS,                 /* no failure: its name is "success", it is never a type */
	/* how the session went (RFC 8460 4.3.1) */
	TLSRPT_STARTTLS_NOT_SUPPORTED,
	TLSRPT_CERTIFICATE_HOST_MISMATCH,
	TLSRPT_CERTIFICATE_EXPIRED,
	TLSRPT_CERTIFICATE_NOT_TRUSTED,
	TLSRPT_VALIDATION_FAILURE,      /* anything else */
	/* DANE (4.3.2.1) */
	TLSRPT_TLSA_INVALID,            /* records, but none that can be used */
	TLSRPT_DNSSEC_INVALID,          /* no valid answer from the resolver */
	TLSRPT_DANE_REQUIRED,           /* we demand DANE, the host has none */
	/* MTA-STS (4.3.2.2) */
	TLSRPT_STS_POLICY_FETCH_ERROR,
	TLSRPT_STS_POLICY_INVALID,
	TLSRPT_STS_WEBPKI_INVALID,      /* the certificate of the policy host */
};

enum { TLSRPT_RESULTS = TLSRPT_STS_WEBPKI_INVALID + 1 };

enum tlsrpt_policy { TLSRPT_NO_POLICY_FOUND, TLSRPT_TLSA, TLSRPT_STS };

const char *tlsrpt_result_name(enum tlsrpt_result);     /* "certificate-expired" */
const char *tlsrpt_policy_name(enum tlsrpt_policy);     /* "tlsa", "sts", "no-policy-found" */

/* Whose rules a session was under (RFC 8460 4.4). */
struct tlsrpt_label {
	enum tlsrpt_policy  type;
	struct slice        domain;     /* TLSA base domain, or the recipients' domain */
	const struct slice *strings;    /* "policy-string" */
	size_t              string_count;
	const struct slice *mx;         /* "mx-host" */
	size_t              mx_count;
};

/*
 * What a certificate was found guilty of: an X509_V_ERR_* number of OpenSSL
 * (0 is none), its type, its symbol for "failure-reason-code", and the end of a
 * sentence that begins "the certificate ".
 */
struct certificate_flaw {
	int                number;
	enum tlsrpt_result type;
	const char        *symbol;      /* "X509_V_ERR_CERT_HAS_EXPIRED" */
	const char        *says;        /* "has expired" */
};

/* Never NULL: a number without a row of its own has one in common with its like. */
const struct certificate_flaw *certificate_flaw(int verify_error);

#endif
