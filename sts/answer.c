/* SPDX-License-Identifier: ISC */
/* pure */
#include <openssl/x509_vfy.h>

#include "sts/answer.h"

static struct sts_fetch
failed(enum tlsrpt_result result, struct slice reason)
{
	return (struct sts_fetch){ .result = result, .reason = reason };
}

/* text/plain, whatever its parameters (RFC 8461 3.2). */
static bool
is_plain_text(struct slice type)
{
	return slice_eqi(slice_trim(slice_head(type, slice_find(type, ';'))), S("text/plain"));
}

static struct sts_fetch
read_body(struct slice body, struct arena *arena)
{
	struct sts_fetch f = { .result = TLSRPT_SUCCESS };
	struct error why;

	if (sts_policy_parse(&f.policy, body, arena, &why))
		return f;
	return failed(TLSRPT_STS_POLICY_INVALID, arena_copy(arena, slice(why.text)));
}

static struct sts_fetch
read_response(const struct sts_answer *a, struct arena *arena)
{
	if (a->status >= 300 && a->status < 400)
		return failed(TLSRPT_STS_POLICY_FETCH_ERROR,
		    arena_printf(arena, "HTTP status %u: redirects are not followed", a->status));
	if (a->status != 200)
		return failed(TLSRPT_STS_POLICY_FETCH_ERROR,
		    arena_printf(arena, "HTTP status %u", a->status));
	if (!is_plain_text(a->type))
		return failed(TLSRPT_STS_POLICY_FETCH_ERROR, S("the file is not text/plain"));
	return read_body(a->body, arena);
}

/* Whoever says "untrusted" without a number is still not believed. */
static struct slice
flaw_of(int verify)
{
	int number = verify != 0 ? verify : X509_V_ERR_UNSPECIFIED;

	return slice(tlsrpt_result_name(certificate_flaw(number)->type));
}

void
sts_answer_judge(struct sts_fetch *fetch, const struct sts_answer *a, struct arena *arena)
{
	switch (a->transport) {
	case STS_ANSWERED:
		*fetch = read_response(a, arena);
		break;
	case STS_UNREACHABLE:
		*fetch = failed(TLSRPT_STS_POLICY_FETCH_ERROR, S("the policy host cannot be reached"));
		break;
	case STS_TIMEOUT:
		*fetch = failed(TLSRPT_STS_POLICY_FETCH_ERROR, S("the policy host did not answer in time"));
		break;
	case STS_TOO_BIG:
		*fetch = failed(TLSRPT_STS_POLICY_FETCH_ERROR, S("the file is too big"));
		break;
	case STS_UNTRUSTED:
		*fetch = failed(TLSRPT_STS_WEBPKI_INVALID, flaw_of(a->verify));
		break;
	}
}
