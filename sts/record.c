/* SPDX-License-Identifier: ISC */
/* pure */
#include "mail/domain.h"
#include "sts/record.h"

enum { ID_MOST = 32, KEY_MOST = 32 };

/* --- the grammar both share ---------------------------------------------- */

/*
 * Is the text one of ours?  The prose asks for "v=STSv1;" at the front, the
 * grammar also allows white space before the semicolon: so do we.
 */
static bool
take_version(struct slice *text, struct slice version)
{
	struct slice rest;

	if (!slice_starts(*text, version))
		return false;
	rest = slice_trim_wsp(slice_skip(*text, version.n));
	if (rest.n == 0 || *rest.p != ';')
		return false;
	*text = slice_skip(rest, 1);
	return true;
}

bool
sts_key_ok(struct slice name)
{
	if (name.n == 0 || name.n > KEY_MOST || !is_alnum(*name.p))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!is_alnum(name.p[i]) && memchr("_-.", name.p[i], 3) == NULL)
			return false;
	return true;
}

/* What an extension may say: anything printable but "=", ";" and a blank. */
static bool
value_ok(struct slice value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] <= ' ' || value.p[i] >= 0x7f || value.p[i] == '=')
			return false;
	return value.n > 0;
}

struct fields {
	struct slice rest;
	bool         broken;
};

/* The next "name=value"; one delimiter may stand at the end, no two in a row. */
static bool
next_field(struct fields *f, struct slice *name, struct slice *value)
{
	size_t at = slice_find(f->rest, ';');
	struct slice field = slice_trim_wsp(slice_head(f->rest, at));
	bool last = at == f->rest.n;

	if (f->broken || (field.n == 0 && last))
		return false;
	f->rest = slice_skip(f->rest, at + 1);
	at = slice_find(field, '=');
	*name = slice_head(field, at);
	*value = slice_skip(field, at + 1);
	f->broken = at == field.n || !sts_key_ok(*name);
	return !f->broken;
}

/* --- MTA-STS (RFC 8461 3.1) ---------------------------------------------- */

static bool
id_ok(struct slice id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!is_alnum(id.p[i]))
			return false;
	return id.n > 0 && id.n <= ID_MOST;
}

enum live
sts_record_parse(struct slice text, struct sts_record *record)
{
	struct fields fields = { .rest = text };
	struct slice name, value;

	*record = (struct sts_record){ LIVE_NONE, NONE };
	if (!take_version(&fields.rest, S("v=STSv1")))
		return LIVE_NONE;
	while (next_field(&fields, &name, &value)) {
		bool is_id = slice_eq(name, S("id"));

		if (is_id && record->id.n > 0)
			continue;       /* of a field that came twice the first counts */
		if (is_id)
			record->id = value;
		if (is_id ? !id_ok(value) : !value_ok(value))
			fields.broken = true;
	}
	return record->live = fields.broken || record->id.n == 0 ? LIVE_BROKEN : LIVE_VALID;
}

/* --- TLSRPT (RFC 8460 3) ------------------------------------------------- */

static bool
is_hex(char c)
{
	return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'f');
}

/* The letters of a URI (RFC 3986 2), without those that must be encoded here. */
static bool
uri_ok(struct slice uri)
{
	for (size_t i = 0; i < uri.n; i++) {
		char c = uri.p[i];

		if (c == '%' && (i + 2 >= uri.n || !is_hex(uri.p[i + 1]) || !is_hex(uri.p[i + 2])))
			return false;
		if (!is_alnum(c) && (c == '\0' || strchr("-._~:/?#[]@$&'()*+=%", c) == NULL))
			return false;
	}
	return uri.n > 0;
}

/* A place to report to: others than these two kinds are for others. */
static bool
uri_wanted(struct slice uri)
{
	return (slice_startsi(uri, S("mailto:")) && uri.n > 7) ||
	    (slice_startsi(uri, S("https://")) && uri.n > 8);
}

static bool
take_uris(struct slice list, struct tlsrpt_record *record)
{
	struct slice uri;
	bool more = true;

	while (more) {
		size_t at = slice_find(list, ',');

		more = at < list.n;
		uri = slice_trim_wsp(slice_head(list, at));
		list = slice_skip(list, at + 1);
		if (!uri_ok(uri))
			return false;
		if (uri_wanted(uri) && record->count < TLSRPT_URIS_MOST)
			record->uris[record->count++] = uri;
	}
	return true;
}

enum live
tlsrpt_record_parse(struct slice text, struct tlsrpt_record *record)
{
	struct fields fields = { .rest = text };
	struct slice name, value;

	*record = (struct tlsrpt_record){ .live = LIVE_NONE };
	if (!take_version(&fields.rest, S("v=TLSRPTv1")))
		return LIVE_NONE;
	while (next_field(&fields, &name, &value))
		if (slice_eq(name, S("rua")) ? !take_uris(value, record) : !value_ok(value))
			fields.broken = true;
	if (fields.broken)
		record->count = 0;
	return record->live = record->count == 0 ? LIVE_BROKEN : LIVE_VALID;
}

/* --- at a domain --------------------------------------------------------- */

/* The TXT records at prefix.domain; a name too long for the DNS is not there. */
static const struct fact *
txt_at(struct slice prefix, struct slice domain, struct facts *facts)
{
	static const struct fact nowhere = { .state = FACT_KNOWN, .answer = ANSWER_NXDOMAIN };
	char name[DOMAIN_MAX];

	if (prefix.n + domain.n > sizeof name)
		return &nowhere;
	memcpy(name, prefix.p, prefix.n);
	memcpy(name + prefix.n, domain.p, domain.n);
	return fact(facts, slice_of(name, prefix.n + domain.n), RR_TXT);
}

static enum live
live_without_records(const struct fact *txt)
{
	return txt->answer == ANSWER_BROKEN ? LIVE_UNKNOWN : LIVE_NONE;
}

bool
sts_record_find(struct sts_record *record, struct slice domain, struct facts *facts)
{
	const struct fact *txt = txt_at(S("_mta-sts."), domain, facts);
	struct sts_record one;
	size_t ours = 0;

	if (txt == NULL)
		return false;
	*record = (struct sts_record){ live_without_records(txt), NONE };
	for (size_t i = 0; i < txt->count; i++)
		if (sts_record_parse(txt->records[i].data, &one) != LIVE_NONE && ours++ == 0)
			*record = one;
	if (ours > 1)
		*record = (struct sts_record){ LIVE_BROKEN, NONE };
	return true;
}

bool
tlsrpt_record_find(struct tlsrpt_record *record, struct slice domain, struct facts *facts)
{
	const struct fact *txt = txt_at(S("_smtp._tls."), domain, facts);
	struct tlsrpt_record one;
	size_t ours = 0;

	if (txt == NULL)
		return false;
	*record = (struct tlsrpt_record){ .live = live_without_records(txt) };
	for (size_t i = 0; i < txt->count; i++)
		if (tlsrpt_record_parse(txt->records[i].data, &one) != LIVE_NONE && ours++ == 0)
			*record = one;
	if (ours > 1)
		*record = (struct tlsrpt_record){ .live = LIVE_BROKEN };
	return true;
}
