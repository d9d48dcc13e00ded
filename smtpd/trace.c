/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "mail/date.h"
#include "smtpd/trace.h"

/*
 * The name was checked when HELO was answered (letters, digits, hyphen, dot, or
 * an address literal); anything else would be our mistake and becomes "?".
 */
static void
add_name(struct buf *b, struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		buf_byte(b, is_alnum(c) || strchr("-._:[]", c) != NULL ? c : '?');
	}
}

static void
add_from(struct buf *b, const struct trace *t)
{
	char literal[IP_TEXT + 8];

	if (t->client.n == 0)
		return;
	ip_literal(t->client, literal);
	buf_add(b, S("from "));
	if (t->helo.n > 0)
		add_name(b, t->helo);
	else
		buf_add(b, slice(literal));
	buf_add(b, S(" ("));
	if (t->name.n > 0)
		add_name(b, t->name);
	else
		buf_add(b, S("unknown"));
	buf_printf(b, " %s)\r\n\t", literal);
}

void
trace_add(struct buf *b, const struct trace *t)
{
	char id[ID_TEXT + 1], date[DATE_TEXT + 1];

	id_text(t->id, id);
	date_text(t->now, date);
	buf_add(b, S("Received: "));
	add_from(b, t);
	buf_printf(b, "by %.*s with %s", FMT(t->by), t->with);
	if (t->tls != NULL)
		buf_printf(b, "\r\n\t(version=%s cipher=%s)", t->tls, t->cipher);
	buf_printf(b, " id %s", id);
	if (t->recipient.n > 0)
		buf_printf(b, "\r\n\tfor <%.*s>", FMT(t->recipient));
	buf_printf(b, ";\r\n\t%s\r\n", date);
}
