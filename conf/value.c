/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "conf/value.h"
#include "mail/domain.h"

/* Cut "25MB" into 25 and "MB". */
static bool
number_and_unit(struct slice s, uint64_t most, uint64_t *number, struct slice *unit)
{
	size_t n = 0;

	while (n < s.n && is_digit(s.p[n]))
		n++;
	*unit = slice_skip(s, n);
	return slice_number(slice_head(s, n), most, number) && *number > 0;
}

struct unit {
	struct slice name;
	uint64_t     worth;
};

static uint64_t
unit_worth(const struct unit *unit, struct slice name)
{
	for (; unit->worth; unit++)
		if (slice_eq(unit->name, name))
			return unit->worth;
	return 0;
}

static const struct unit DURATIONS[] = {
	{ S_INIT("s"), 1000 }, { S_INIT("m"), 60 * 1000 }, { S_INIT("h"), 3600 * 1000 },
	{ S_INIT("d"), 24 * 3600 * 1000 }, { { 0 }, 0 },
};
static const struct unit SIZES[] = {
	{ S_INIT("B"), 1 }, { S_INIT("kB"), 1 << 10 }, { S_INIT("MB"), 1 << 20 },
	{ S_INIT("GB"), 1 << 30 }, { { 0 }, 0 },
};
static const struct unit SPANS[] = {
	{ S_INIT("/s"), 1000 }, { S_INIT("/min"), 60 * 1000 }, { S_INIT("/h"), 3600 * 1000 },
	{ { 0 }, 0 },
};

bool
value_duration(struct slice s, int64_t *ms)
{
	const uint64_t most = 10ull * 365 * 24 * 3600 * 1000;
	uint64_t number, worth;
	struct slice unit;

	if (!number_and_unit(s, most, &number, &unit) || (worth = unit_worth(DURATIONS, unit)) == 0)
		return false;
	if (number > most / worth)
		return false;
	*ms = (int64_t)(number * worth);
	return true;
}

bool
value_size(struct slice s, uint64_t *bytes)
{
	const uint64_t most = 1ull << 50;
	uint64_t number, worth;
	struct slice unit;

	if (!number_and_unit(s, most, &number, &unit) || (worth = unit_worth(SIZES, unit)) == 0)
		return false;
	if (number > most / worth)
		return false;
	*bytes = number * worth;
	return true;
}

bool
value_rate(struct slice s, struct rate *rate)
{
	uint64_t number, worth;
	struct slice unit;

	if (!number_and_unit(s, 1000000, &number, &unit) || (worth = unit_worth(SPANS, unit)) == 0)
		return false;
	*rate = (struct rate){ (unsigned)number, (int64_t)worth };
	return true;
}

bool
value_switch(struct slice s, bool *on)
{
	if (!slice_eq(s, S("on")) && !slice_eq(s, S("off")))
		return false;
	*on = slice_eq(s, S("on"));
	return true;
}

bool
value_number(struct slice s, unsigned *number)
{
	uint64_t got;

	if (!slice_number(s, 1000000, &got) || got == 0)
		return false;
	*number = (unsigned)got;
	return true;
}

bool
value_network(struct slice s, struct network *network)
{
	size_t slash = slice_find(s, '/');
	struct network got;
	uint64_t bits;

	if (!ip_parse(slice_head(s, slash), &got.ip))
		return false;
	bits = 8 * got.ip.n;
	if (slash < s.n && !slice_number(slice_skip(s, slash + 1), bits, &bits))
		return false;
	for (size_t bit = (size_t)bits; bit < 8 * (size_t)got.ip.n; bit++)
		if (got.ip.bytes[bit / 8] >> (7 - bit % 8) & 1)
			return false;
	got.bits = (unsigned)bits;
	*network = got;
	return true;
}

/* "host:25" or "[::1]:25" cut at its last colon; an IPv6 address needs its brackets. */
static bool
host_and_port(struct slice s, struct slice *host, uint16_t *port)
{
	size_t colon = s.n;
	uint64_t number;

	while (colon > 0 && s.p[colon - 1] != ':')
		colon--;
	if (colon == 0 || !slice_number(slice_skip(s, colon), 65535, &number) || number == 0)
		return false;
	*host = slice_head(s, colon - 1);
	*port = (uint16_t)number;
	return true;
}

/* The last label is a number: this was meant as an IPv4 address. */
static bool
like_an_address(struct slice host)
{
	struct slice last = domain_tail(host, 1);
	uint64_t number;

	return slice_number(last, UINT64_MAX / 16, &number);
}

static bool
endpoint_host(struct slice host, struct arena *arena, struct endpoint *e)
{
	bool bracketed = host.n > 2 && *host.p == '[' && host.p[host.n - 1] == ']';

	if (bracketed)
		host = slice_head(slice_skip(host, 1), host.n - 2);
	if (!bracketed && slice_eq(host, S("*"))) {
		e->kind = ENDPOINT_ANY;
		return true;
	}
	if (ip_parse(host, &e->ip)) {
		e->kind = ENDPOINT_IP;
		return bracketed == (e->ip.n == 16);
	}
	e->kind = ENDPOINT_HOST;
	e->host = domain_normal(host, arena);
	return !bracketed && e->host.p != NULL && !like_an_address(e->host);
}

bool
value_endpoint(struct slice s, struct arena *arena, struct endpoint *endpoint)
{
	struct endpoint got = { 0 };
	struct slice host;

	if (slice_starts(s, S("unix:/"))) {
		got.kind = ENDPOINT_UNIX;
		got.host = slice_skip(s, 5);
		if (got.host.n > UNIX_PATH_MOST)
			return false;
	} else if (!host_and_port(s, &host, &got.port) || !endpoint_host(host, arena, &got)) {
		return false;
	}
	*endpoint = got;
	return true;
}

static bool
is_local_part(struct slice s)
{
	if (s.n == 0 || s.n > 64 || strchr("|/:@", *s.p) != NULL || !utf8_valid(s))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f || s.p[i] == '@')
			return false;
	return true;
}

bool
value_mailbox(struct slice s, struct slice domain, struct arena *arena, struct address *address)
{
	struct address got;

	if (s.n > 0 && strchr("|/:", *s.p) == NULL && address_parse(s, arena, &got)) {
		*address = got;
		return true;
	}
	if (!is_local_part(s))
		return false;
	*address = address_make(s, domain, arena);
	return address->text.p != NULL;
}

bool
value_pattern(struct slice s, struct arena *arena, struct slice *pattern)
{
	bool below = s.n > 1 && *s.p == '.';
	struct slice name = domain_normal(slice_skip(s, below), arena);

	if (name.p == NULL)
		return false;
	*pattern = below ? arena_printf(arena, ".%.*s", FMT(name)) : name;
	return pattern->p != NULL;
}

bool
value_whom(struct slice s, struct arena *arena, struct slice *pattern)
{
	struct address a;

	if (slice_find(s, '@') == s.n)
		return value_pattern(s, arena, pattern);
	if (!address_parse(s, arena, &a))
		return false;
	*pattern = a.text;
	return true;
}

bool
value_name(struct slice s)
{
	if (s.n == 0 || s.n > LABEL_MAX || *s.p == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return true;
}

bool
value_selector(struct slice s)
{
	struct slice label;

	if (!domain_lengths_ok(s))
		return false;
	while (slice_cut(&s, '.', &label))
		if (!value_name(label))
			return false;
	return true;
}

bool
value_mail_path(struct slice s)
{
	if (s.n == 0 || *s.p != '/')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '%' && (++i == s.n || strchr("ud%", s.p[i]) == NULL))
			return false;
	return true;
}

/* --- and back --------------------------------------------------------------------- */

/* In the largest unit that leaves nothing over. */
static void
add_with_unit(struct buf *b, const struct unit *unit, uint64_t value)
{
	const struct unit *best = unit;

	for (; unit->worth; unit++)
		if (value % unit->worth == 0)
			best = unit;
	buf_printf(b, "%llu%.*s", (unsigned long long)(value / best->worth), FMT(best->name));
}

void
value_add_duration(struct buf *b, int64_t ms)
{
	add_with_unit(b, DURATIONS, (uint64_t)ms);
}

void
value_add_size(struct buf *b, uint64_t bytes)
{
	add_with_unit(b, SIZES, bytes);
}

void
value_add_rate(struct buf *b, struct rate rate)
{
	const struct unit *unit = SPANS;

	while (unit->worth && unit->worth != (uint64_t)rate.per)
		unit++;
	buf_printf(b, "%u%.*s", rate.count, FMT(unit->name));
}

void
value_add_network(struct buf *b, struct network network)
{
	char text[IP_TEXT];

	ip_text(network.ip, text);
	buf_add(b, slice(text));
	if (network.bits < 8 * network.ip.n)
		buf_printf(b, "/%u", network.bits);
}

void
value_add_endpoint(struct buf *b, struct endpoint e)
{
	char text[IP_TEXT];

	ip_text(e.ip, text);
	switch (e.kind) {
	case ENDPOINT_IP:
		buf_printf(b, e.ip.n == 16 ? "[%s]:%u" : "%s:%u", text, e.port);
		break;
	case ENDPOINT_ANY:
		buf_printf(b, "*:%u", e.port);
		break;
	case ENDPOINT_HOST:
		buf_printf(b, "%.*s:%u", FMT(e.host), e.port);
		break;
	case ENDPOINT_UNIX:
		buf_printf(b, "unix:%.*s", FMT(e.host));
		break;
	default:
		buf_add(b, S("mx"));
	}
}
