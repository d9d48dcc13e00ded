/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/dmarc_record.h"

enum { URI_MOST = 1000 };               /* octets; nobody reports to a longer one */
enum tag { P, SP, NP, ADKIM, ASPF, T, PSD, FO, RUA, RUF, TAGS };

static const char *const TAG_NAMES[TAGS] = {
	"p", "sp", "np", "adkim", "aspf", "t", "psd", "fo", "rua", "ruf",
};
static const char *const POLICIES[] = { "none", "quarantine", "reject" };

/* dmarc-tag = 1*ALPHA equals 1*dmarc-value */
static bool
split_tag(struct slice part, struct slice *name, struct slice *value)
{
	size_t equals = slice_find(part, '=');

	*name = slice_trim_wsp(slice_head(part, equals));
	*value = slice_trim_wsp(slice_skip(part, equals + 1));
	return equals < part.n;
}

/* dmarc-version = "v" equals %s"DMARC1", and it comes first. */
static bool
take_version(struct slice *text)
{
	struct slice part, name, value;

	return text->n > 0 && text->n <= DMARC_RECORD && !is_wsp(*text->p) &&
	    slice_cut(text, ';', &part) &&
	    split_tag(part, &name, &value) && slice_eqi(name, S("v")) &&
	    slice_eq(value, S("DMARC1"));
}

bool
dmarc_record_is(struct slice text)
{
	return take_version(&text);
}

static void
collect(struct slice text, struct slice values[TAGS])
{
	struct slice part, name, value;

	while (slice_cut(&text, ';', &part)) {
		if (!split_tag(part, &name, &value))
			continue;
		for (int tag = 0; tag < TAGS; tag++)
			if (values[tag].p == NULL && slice_eqi(name, slice(TAG_NAMES[tag])))
				values[tag] = value;
	}
}

/* dmarc-request; a value that is not there is as good as it can be. */
static bool
read_policy(struct slice value, enum dmarc_policy *policy)
{
	for (unsigned i = 0; i < sizeof POLICIES / sizeof *POLICIES; i++)
		if (slice_eqi(value, slice(POLICIES[i]))) {
			*policy = (enum dmarc_policy)i;
			return true;
		}
	return value.p == NULL;
}

/* RFC 9989 4.10.1: the policies of the record, or none of them. */
static void
read_policies(struct dmarc_record *r, const struct slice values[TAGS])
{
	struct slice list = r->rua, uri;
	bool valid;

	r->sp_said = values[SP].p != NULL;
	r->np_said = values[NP].p != NULL;
	valid = values[P].p != NULL && read_policy(values[P], &r->p) &&
	    read_policy(values[SP], &r->sp) && read_policy(values[NP], &r->np);
	r->usable = valid || dmarc_uri_next(&list, &uri);
	if (!valid) {
		r->p = DMARC_P_NONE;
		r->sp_said = r->np_said = false;
	}
	if (!r->sp_said)
		r->sp = r->p;
	if (!r->np_said)
		r->np = r->sp;
}

static unsigned
read_fo(struct slice value)
{
	struct slice option;
	unsigned fo = 0;

	while (slice_cut(&value, ':', &option)) {
		static const char letters[] = "01ds";
		const char *at;

		option = slice_trim_wsp(option);
		at = option.n == 1 ? strchr(letters, to_lower(*option.p)) : NULL;
		if (at == NULL || *at == '\0')
			return DMARC_FO_0;
		fo |= 1u << (at - letters);
	}
	return fo != 0 ? fo : DMARC_FO_0;
}

bool
dmarc_record_parse(struct slice text, struct dmarc_record *r)
{
	struct slice values[TAGS] = { { 0 } };

	*r = (struct dmarc_record){ 0 };
	if (!take_version(&text))
		return false;
	collect(text, values);
	r->rua = values[RUA];
	r->ruf = values[RUF];
	read_policies(r, values);
	r->adkim_strict = slice_eqi(values[ADKIM], S("s"));
	r->aspf_strict = slice_eqi(values[ASPF], S("s"));
	r->test = slice_eqi(values[T], S("y"));
	r->psd = slice_eqi(values[PSD], S("y")) ? DMARC_PSD_Y
	    : slice_eqi(values[PSD], S("n")) ? DMARC_PSD_N : DMARC_PSD_U;
	r->fo = read_fo(values[FO]);
	return true;
}

static bool
is_scheme_char(char c)
{
	return is_alnum(c) || c == '+' || c == '-' || c == '.';
}

static bool
is_uri_char(char c)                     /* RFC 3986 2 */
{
	return c > ' ' && c < 0x7f && strchr("\"<>\\^`{|}", c) == NULL;
}

static bool
all(struct slice s, bool (*is)(char))
{
	for (size_t i = 0; i < s.n; i++)
		if (!is(s.p[i]))
			return false;
	return s.n > 0;
}

/* scheme ":" and what is there; a mailto: must name a mailbox. */
static bool
is_uri(struct slice s)
{
	struct slice rest = s, scheme;
	size_t at;

	if (s.n > URI_MOST || !slice_cut(&rest, ':', &scheme))
		return false;
	at = slice_find(rest, '@');
	if (!all(scheme, is_scheme_char) || !is_alpha(*scheme.p) || !all(rest, is_uri_char))
		return false;
	return !slice_eqi(scheme, S("mailto")) || (at > 0 && at + 1 < rest.n);
}

bool
dmarc_uri_next(struct slice *list, struct slice *uri)
{
	while (slice_cut(list, ',', uri)) {
		*uri = slice_trim_wsp(slice_head(*uri, slice_find(*uri, '!')));
		if (is_uri(*uri))
			return true;
	}
	return false;
}

const char *
dmarc_policy_name(enum dmarc_policy policy)
{
	return POLICIES[policy];
}
