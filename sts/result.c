/* SPDX-License-Identifier: ISC */
/* pure */
#include <stddef.h>
#include <openssl/x509_vfy.h>

#include "sts/result.h"

const char *
tlsrpt_result_name(enum tlsrpt_result result)
{
	static const char *const names[TLSRPT_RESULTS] = {
		[TLSRPT_SUCCESS] = "success",
		[TLSRPT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
		[TLSRPT_CERTIFICATE_HOST_MISMATCH] = "certificate-host-mismatch",
		[TLSRPT_CERTIFICATE_EXPIRED] = "certificate-expired",
		[TLSRPT_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
		[TLSRPT_VALIDATION_FAILURE] = "validation-failure",
		[TLSRPT_TLSA_INVALID] = "tlsa-invalid",
		[TLSRPT_DNSSEC_INVALID] = "dnssec-invalid",
		[TLSRPT_DANE_REQUIRED] = "dane-required",
		[TLSRPT_STS_POLICY_FETCH_ERROR] = "sts-policy-fetch-error",
		[TLSRPT_STS_POLICY_INVALID] = "sts-policy-invalid",
		[TLSRPT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
	};

	return names[result];
}

const char *
tlsrpt_policy_name(enum tlsrpt_policy policy)
{
	static const char *const names[] = { "no-policy-found", "tlsa", "sts" };

	return names[policy];
}

/*
 * A certificate that is not valid yet is not "expired", and the registry has no
 * word for it: it stands with those that are not trusted.  A TLSA record that
 * matches nothing says nothing of trust: it is a "general failure".
 */
#define ROW(symbol, type, says) { symbol, TLSRPT_##type, #symbol, says }
static const struct certificate_flaw FLAWS[] = {
	ROW(X509_V_OK, SUCCESS, "is good"),
	ROW(X509_V_ERR_HOSTNAME_MISMATCH, CERTIFICATE_HOST_MISMATCH, "is for another name"),
	ROW(X509_V_ERR_IP_ADDRESS_MISMATCH, CERTIFICATE_HOST_MISMATCH, "is for another address"),
	ROW(X509_V_ERR_CERT_HAS_EXPIRED, CERTIFICATE_EXPIRED, "has expired"),
	ROW(X509_V_ERR_CERT_NOT_YET_VALID, CERTIFICATE_NOT_TRUSTED, "is not valid yet"),
	ROW(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, CERTIFICATE_NOT_TRUSTED, "is signed by itself"),
	ROW(X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, CERTIFICATE_NOT_TRUSTED,
	    "comes from an authority not trusted here"),
	ROW(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, CERTIFICATE_NOT_TRUSTED,
	    "comes from an authority not known here"),
	ROW(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, CERTIFICATE_NOT_TRUSTED,
	    "comes from an authority not known here"),
	ROW(X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, CERTIFICATE_NOT_TRUSTED,
	    "comes without its chain"),
	ROW(X509_V_ERR_CERT_SIGNATURE_FAILURE, CERTIFICATE_NOT_TRUSTED, "has a wrong signature"),
	ROW(X509_V_ERR_CERT_CHAIN_TOO_LONG, CERTIFICATE_NOT_TRUSTED, "has too long a chain"),
	ROW(X509_V_ERR_INVALID_CA, CERTIFICATE_NOT_TRUSTED,
	    "was signed by what is no authority"),
	ROW(X509_V_ERR_PATH_LENGTH_EXCEEDED, CERTIFICATE_NOT_TRUSTED,
	    "was signed by an authority that may not sign it"),
	ROW(X509_V_ERR_INVALID_PURPOSE, CERTIFICATE_NOT_TRUSTED, "is not for a server"),
	ROW(X509_V_ERR_CERT_UNTRUSTED, CERTIFICATE_NOT_TRUSTED, "is not trusted"),
	ROW(X509_V_ERR_CERT_REJECTED, CERTIFICATE_NOT_TRUSTED, "is rejected"),
	ROW(X509_V_ERR_CERT_REVOKED, CERTIFICATE_NOT_TRUSTED, "was revoked"),
	ROW(X509_V_ERR_PERMITTED_VIOLATION, CERTIFICATE_NOT_TRUSTED,
	    "was signed by an authority that may not sign for this name"),
	ROW(X509_V_ERR_EXCLUDED_VIOLATION, CERTIFICATE_NOT_TRUSTED,
	    "was signed by an authority that may not sign for this name"),
	ROW(X509_V_ERR_EE_KEY_TOO_SMALL, CERTIFICATE_NOT_TRUSTED, "has too small a key"),
	ROW(X509_V_ERR_CA_KEY_TOO_SMALL, CERTIFICATE_NOT_TRUSTED,
	    "was signed with too small a key"),
	ROW(X509_V_ERR_CA_MD_TOO_WEAK, CERTIFICATE_NOT_TRUSTED, "was signed with a weak digest"),
	ROW(X509_V_ERR_DANE_NO_MATCH, VALIDATION_FAILURE, "matches no TLSA record"),
	ROW(X509_V_ERR_OUT_OF_MEM, VALIDATION_FAILURE, "could not be checked: no memory"),
	ROW(X509_V_ERR_UNSPECIFIED, CERTIFICATE_NOT_TRUSTED, "does not verify"),
};

const struct certificate_flaw *
certificate_flaw(int verify_error)
{
	size_t last = sizeof FLAWS / sizeof *FLAWS - 1;

	for (size_t i = 0; i < last; i++)
		if (FLAWS[i].number == verify_error)
			return &FLAWS[i];
	return &FLAWS[last];
}
