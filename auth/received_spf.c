/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/received_spf.h"
#include "base/text.h"
#include "mail/cfws.h"

enum { VALUE_MOST = 320 };              /* a longer value is left out, to keep lines short */

/* key-value-pair = key [CFWS] "=" ( dot-atom / quoted-string ) */
static void
add_pair(const char *key, struct slice value, bool utf8, const char **before, struct buf *to)
{
	if (value.n > VALUE_MOST)
		return;
	buf_printf(to, "%s%s=", *before, key);
	if (is_dot_atom(value) && ascii_only(value))
		buf_add(to, value);
	else
		quoted_add(to, value, utf8);
	*before = ";\r\n\t";
}

void
received_spf_write(const struct received_spf *r, bool utf8, struct buf *to)
{
	const char *before = "\r\n\t";
	char client[IP_TEXT];

	ip_text(r->client, client);
	buf_add(to, slice(r->result));
	add_pair("client-ip", slice(client), utf8, &before, to);
	add_pair("envelope-from", r->envelope_from, utf8, &before, to);
	add_pair("helo", r->helo, utf8, &before, to);
	add_pair("identity", slice(r->identity), utf8, &before, to);
	add_pair("receiver", r->receiver, utf8, &before, to);
	if (r->mechanism.n > 0)
		add_pair("mechanism", r->mechanism, utf8, &before, to);
	if (r->problem.n > 0)
		add_pair("problem", r->problem, utf8, &before, to);
}
