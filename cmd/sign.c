/* SPDX-License-Identifier: ISC */
/* sign -- `chainmail sign`: standard input with a DKIM-Signature on top. */
#include "cmd/signing.h"

static const char SYNOPSIS[] = "sign --domain D --selector S --key FILE [OPTION]... < message";

static int
sign(struct signing *s)
{
	struct buf field = BUF(SIGNING_HEADER);
	struct error why;
	int code;

	signing_hash_body(s);
	if (dkim_sign(&s->signer, &s->header, s->body_hash, s->now, &field, &why))
		code = signing_write(s, "sign", buf_slice(&field));
	else
		code = signing_failed("sign", why.text);
	buf_free(&field);
	return code;
}

int
cmd_sign(int argc, char **argv)
{
	struct signing_options o = { 0 };
	const struct option_row rows[] = { SIGNING_ROWS(&o), { 0 } };
	struct words none = { 0 };
	struct signing s;
	int code;

	if (!options_read(argc, argv, SYNOPSIS, rows, &none, 0))
		return EX_USAGE;
	if ((code = signing_begin(&s, "sign", &o)) == 0)
		code = sign(&s);
	signing_end(&s);
	return code;
}
