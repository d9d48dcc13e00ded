/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

#include "base/ip.h"
#include "base/text.h"
#include "dns/zone.h"
#include "lab/records.h"

enum { LABELS_MOST = 128, DATA_MOST = 65535 };

/* --- names -------------------------------------------------------------------- */

bool
name_to_wire(struct slice text, struct buf *to)
{
	struct slice label;
	size_t from = to->n;

	if (text.n > 0 && text.p[text.n - 1] == '.')
		text.n--;
	while (slice_cut(&text, '.', &label)) {
		if (label.n == 0 || label.n > 63)
			return false;
		buf_byte(to, (char)label.n);
		for (size_t i = 0; i < label.n; i++)
			buf_byte(to, to_lower(label.p[i]));
	}
	buf_byte(to, '\0');
	return !to->full && to->n - from <= NAME_WIRE;
}

struct slice
name_parent(struct slice name)
{
	return slice_skip(name, 1u + (unsigned char)*name.p);
}

bool
name_within(struct slice name, struct slice top)
{
	while (name.n > top.n)
		name = name_parent(name);
	return slice_eq(name, top);
}

/* The labels of a name, the top one last. */
static unsigned
split(struct slice name, struct slice labels[LABELS_MOST])
{
	unsigned n = 0;

	for (; *name.p != '\0'; name = name_parent(name))
		labels[n++] = slice_of(name.p + 1, (unsigned char)*name.p);
	return n;
}

static int
octet_order(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

int
name_order(struct slice a, struct slice b)
{
	struct slice as[LABELS_MOST], bs[LABELS_MOST];
	unsigned an = split(a, as), bn = split(b, bs);

	while (an > 0 && bn > 0) {
		int order = octet_order(as[--an], bs[--bn]);

		if (order != 0)
			return order;
	}
	return (an > 0) - (bn > 0);
}

void
base32hex_add(struct buf *b, struct slice bytes)
{
	uint64_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < bytes.n; i++) {
		bits = bits << 8 | (unsigned char)bytes.p[i];
		for (have += 8; have >= 5; have -= 5)
			buf_byte(b, "0123456789abcdefghijklmnopqrstuv"[bits >> (have - 5) & 31]);
	}
}

static bool
base32hex_decode(struct buf *b, struct slice text)
{
	uint64_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = to_lower(text.p[i]);

		if (!is_digit(c) && (c < 'a' || c > 'v'))
			return false;
		bits = bits << 5 | (unsigned)(is_digit(c) ? c - '0' : c - 'a' + 10);
		have += 5;
		if (have >= 8)
			buf_byte(b, (char)(bits >> (have -= 8)));
	}
	return have < 5;
}

/* --- data --------------------------------------------------------------------------- */

/*
 * What stands in the data of each type, a letter a field:
 *   1 2 4  a number of so many bytes      a  an IPv4 address     q  an IPv6 address
 *   n  a name      t  a type              d  a date (or seconds since 1970)
 *   s  strings     m  a list of types, to the end of the line
 *   x  hexadecimal b  base64, both to the end of the line
 *   h  a length and so many bytes in hexadecimal, "-" for none (salt)
 *   o  the same in base32hex (the next hashed owner name)
 */
static const struct {
	const char *name;
	uint16_t    type;
	const char *fields;
} TYPES[] = {
	{ "A", RR_A, "a" }, { "NS", RR_NS, "n" }, { "CNAME", RR_CNAME, "n" },
	{ "SOA", RR_SOA, "nn44444" }, { "PTR", RR_PTR, "n" }, { "MX", RR_MX, "2n" },
	{ "TXT", RR_TXT, "s" }, { "AAAA", RR_AAAA, "q" }, { "TLSA", RR_TLSA, "111x" },
	{ "DS", RR_DS, "211x" }, { "RRSIG", RR_RRSIG, "t114dd2nb" }, { "NSEC", RR_NSEC, "nm" },
	{ "DNSKEY", RR_DNSKEY, "211b" }, { "NSEC3", RR_NSEC3, "112hom" },
	{ "NSEC3PARAM", RR_NSEC3PARAM, "112h" },
};

static const char *
fields_of(struct slice name, uint16_t *type)
{
	for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
		if (slice_eqi(slice(TYPES[i].name), name)) {
			*type = TYPES[i].type;
			return TYPES[i].fields;
		}
	return NULL;
}

static void
add_number(struct buf *to, uint64_t number, unsigned bytes)
{
	while (bytes-- > 0)
		buf_byte(to, (char)(number >> 8 * bytes));
}

static bool
read_number(struct slice word, unsigned bytes, struct buf *to)
{
	uint64_t number;

	if (!slice_number(word, bytes == 1 ? 255 : bytes == 2 ? 65535 : UINT32_MAX, &number))
		return false;
	add_number(to, number, bytes);
	return true;
}

static bool
read_address(struct slice word, unsigned bytes, struct buf *to)
{
	struct ip ip;

	return ip_parse(word, &ip) && ip.n == bytes && buf_add(to, slice_of(ip.bytes, ip.n));
}

/* YYYYMMDDHHmmSS (RFC 4034 3.2); seconds are shorter. */
static bool
read_date(struct slice word, struct buf *to)
{
	static const unsigned char digits[] = { 4, 2, 2, 2, 2, 2 };
	uint64_t part[6];
	struct tm t = { 0 };

	if (word.n != 14)
		return read_number(word, 4, to);
	for (size_t i = 0; i < 6; i++) {
		if (!slice_number(slice_head(word, digits[i]), 9999, &part[i]))
			return false;
		word = slice_skip(word, digits[i]);
	}
	t.tm_year = (int)part[0] - 1900;
	t.tm_mon = (int)part[1] - 1;
	t.tm_mday = (int)part[2];
	t.tm_hour = (int)part[3];
	t.tm_min = (int)part[4];
	t.tm_sec = (int)part[5];
	add_number(to, (uint64_t)timegm(&t), 4);
	return true;
}

/* Strings of at most 255 bytes, each with its length; joined they are what facts know. */
static bool
read_strings(struct slice text, struct arena *arena, struct buf *to)
{
	struct slice all = slice_trim(text);
	struct record r;

	while (all.n > 0) {
		size_t n = 1;

		if (*all.p != '"')
			return false;
		while (n < all.n && all.p[n] != '"')
			n += all.p[n] == '\\' ? 2 : 1;
		if (n >= all.n || !record_parse(RR_TXT, slice_head(all, n + 1), arena, &r) ||
		    r.data.n > 255)
			return false;
		buf_byte(to, (char)r.data.n);
		buf_add(to, r.data);
		all = slice_trim(slice_skip(all, n + 1));
	}
	return true;
}

/* RFC 4034 4.1.2; all types here are below 256, so that there is one window. */
static bool
read_type_list(struct slice text, struct buf *to)
{
	unsigned char bits[32] = { 0 };
	unsigned char last = 0;
	struct slice word;
	uint16_t type;

	while (slice_word(&text, &word)) {
		if (fields_of(word, &type) == NULL)
			return false;
		bits[type / 8] |= (unsigned char)(0x80 >> type % 8);
		if (type / 8 > last)
			last = (unsigned char)(type / 8);
	}
	if (bits[last] == 0)
		return true;            /* an empty non-terminal of NSEC3 */
	buf_byte(to, '\0');
	buf_byte(to, (char)(last + 1));
	return buf_add(to, slice_of(bits, last + 1u));
}

/* A length in one byte, then what `decode` makes of the word. */
static bool
read_counted(struct slice word, bool (*decode)(struct buf *, struct slice), struct buf *to)
{
	struct buf bytes = BUF(255);
	bool ok = slice_eq(word, S("-")) || decode(&bytes, word);

	buf_byte(to, (char)bytes.n);
	buf_add(to, buf_slice(&bytes));
	buf_free(&bytes);
	return ok;
}

static bool
read_field(char field, struct slice word, struct buf *to)
{
	uint16_t type;

	switch (field) {
	case 'a':
		return read_address(word, 4, to);
	case 'q':
		return read_address(word, 16, to);
	case 'n':
		return name_to_wire(word, to);
	case 't':
		if (fields_of(word, &type) == NULL)
			return false;
		add_number(to, type, 2);
		return true;
	case 'd':
		return read_date(word, to);
	case 'h':
		return read_counted(word, hex_decode, to);
	case 'o':
		return read_counted(word, base32hex_decode, to);
	default:
		return read_number(word, (unsigned)(field - '0'), to);
	}
}

static bool
read_data(const char *fields, struct slice text, struct arena *arena, struct buf *to)
{
	struct slice word;

	for (; *fields != '\0'; fields++)
		switch (*fields) {
		case 's':
			return read_strings(text, arena, to);
		case 'm':
			return read_type_list(text, to);
		case 'x':
			return hex_decode(to, slice_trim(text));
		case 'b':
			return base64_decode(to, text);
		default:
			if (!slice_word(&text, &word) || !read_field(*fields, word, to))
				return false;
		}
	return !slice_word(&text, &word);
}

/* --- lines ----------------------------------------------------------------------- */

struct rr {
	struct slice name, data;
	uint32_t     ttl;
	uint16_t     type;              /* of an RRSIG the type that it covers */
	bool         signature, bogus;
};

static struct slice
wire_name(struct slice text, struct arena *arena)
{
	struct buf wire = BUF(NAME_WIRE + 1);
	struct slice name = name_to_wire(text, &wire) ? arena_copy(arena, buf_slice(&wire)) : NONE;

	buf_free(&wire);
	return name;
}

/* A comment begins behind the data; in a TXT record a ";" is one of its letters. */
static struct slice
without_comment(struct slice text, uint16_t type)
{
	return type == RR_TXT ? text : slice_head(text, slice_find(text, ';'));
}

static bool
read_line(struct slice line, struct arena *arena, struct rr *rr)
{
	struct slice owner, ttl, class, type;
	struct buf data = BUF(DATA_MOST);
	const char *fields;
	uint64_t number;
	bool ok;

	if (!slice_word(&line, &owner) || !slice_word(&line, &ttl) || !slice_word(&line, &class) ||
	    !slice_word(&line, &type) || !slice_number(ttl, INT32_MAX, &number) ||
	    !slice_eqi(class, S("IN")) || (fields = fields_of(type, &rr->type)) == NULL)
		return false;
	rr->bogus = slice_endsi(slice_trim(line), S(";bogus"));
	rr->ttl = (uint32_t)number;
	rr->name = wire_name(owner, arena);
	ok = read_data(fields, without_comment(line, rr->type), arena, &data);
	rr->data = arena_copy(arena, buf_slice(&data));
	rr->signature = rr->type == RR_RRSIG;
	if (ok && rr->signature)
		rr->type = (uint16_t)((unsigned char)data.p[0] << 8 | (unsigned char)data.p[1]);
	buf_free(&data);
	return ok && rr->name.p != NULL && rr->data.p != NULL;
}

/* --- sets ----------------------------------------------------------------------------- */

static int
rr_order(const void *one, const void *two)
{
	const struct rr *a = one, *b = two;
	int order = name_order(a->name, b->name);

	if (order == 0)
		order = (int)a->type - (int)b->type;
	if (order == 0)
		order = a->signature - b->signature;
	return order != 0 ? order : octet_order(a->data, b->data);
}

/* The set that begins with rrs[0]; tells how many of them are its own. */
static size_t
make_set(const struct rr *rrs, size_t left, struct rrset *set, struct slice *data)
{
	size_t n = 0;

	*set = (struct rrset){ .name = rrs->name, .type = rrs->type, .ttl = rrs->ttl };
	set->data = data;
	while (n < left && rrs[n].type == rrs->type && slice_eq(rrs[n].name, rrs->name)) {
		data[n] = rrs[n].data;
		set->bogus |= rrs[n].bogus;
		set->signature_count += rrs[n].signature;
		n++;
	}
	set->count = n - set->signature_count;
	set->signatures = data + set->count;
	return n;
}

static bool
make_sets(const struct rr *rrs, size_t n, struct arena *arena, struct records *r)
{
	struct rrset *sets = arena_get(arena, (n + 1) * sizeof *sets), set;
	struct rrset *denials = arena_get(arena, (n + 1) * sizeof *denials);
	struct slice *data = arena_get(arena, (n + 1) * sizeof *data);

	if (sets == NULL || denials == NULL || data == NULL)
		return false;
	r->sets = sets;
	r->denials = denials;
	for (size_t i = 0; i < n;) {
		i += make_set(&rrs[i], n - i, &set, &data[i]);
		if (set.type != RR_NSEC3)
			sets[r->count++] = set;
		if (set.type == RR_NSEC || set.type == RR_NSEC3)
			denials[r->denial_count++] = set;
	}
	return true;
}

static size_t
count_lines(struct slice text)
{
	struct slice line;
	size_t n = 0;

	while (slice_cut(&text, '\n', &line))
		n++;
	return n;
}

/* The lines that are records; how many, or -1 with *why. */
static ssize_t
read_lines(struct slice text, struct arena *arena, struct rr *rrs, struct error *why)
{
	struct slice line;
	unsigned number = 0;
	ssize_t n = 0;

	while (slice_cut(&text, '\n', &line)) {
		number++;
		line = slice_trim(line);
		if (line.n == 0 || *line.p == ';')
			continue;
		if (!read_line(line, arena, &rrs[n++])) {
			error_set(why, "%u: this is no record: %.*s", number,
			    FMT(slice_head(line, 100)));
			return -1;
		}
	}
	return n;
}

bool
records_read(struct slice zone, struct slice text, struct arena *arena, struct records *r,
    struct error *why)
{
	struct rr *rrs = arena_get(arena, (count_lines(text) + 1) * sizeof *rrs);
	ssize_t n;

	*r = (struct records){ .name = wire_name(zone, arena) };
	if (rrs == NULL || r->name.p == NULL)
		return error_set(why, "0: the zone's name is wrong, or there is no memory left");
	if ((n = read_lines(text, arena, rrs, why)) < 0)
		return false;
	if (n > 0)
		qsort(rrs, (size_t)n, sizeof *rrs, rr_order);
	if (!make_sets(rrs, (size_t)n, arena, r))
		return error_set(why, "0: there is no memory left");
	return records_find(r, r->name, RR_SOA) != NULL || error_set(why, "0: there is no SOA record");
}

/* --- looking up ------------------------------------------------------------------------ */

/* The first set that does not stand before (name, type). */
static const struct rrset *
lower_bound(const struct rrset *sets, size_t n, struct slice name, uint16_t type)
{
	while (n > 0) {
		size_t half = n / 2;
		int order = name_order(sets[half].name, name);

		if (order < 0 || (order == 0 && sets[half].type < type)) {
			sets += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return sets;
}

const struct rrset *
records_find(const struct records *r, struct slice name, uint16_t type)
{
	const struct rrset *at = lower_bound(r->sets, r->count, name, type);

	return at < r->sets + r->count && at->type == type && slice_eq(at->name, name) ? at : NULL;
}

const struct rrset *
records_first(const struct records *r, struct slice name)
{
	const struct rrset *at = lower_bound(r->sets, r->count, name, 0);

	return at < r->sets + r->count && slice_eq(at->name, name) ? at : NULL;
}

/* What is below a name follows it at once in the canonical order. */
bool
records_exist(const struct records *r, struct slice name)
{
	const struct rrset *at = lower_bound(r->sets, r->count, name, 0);

	return at < r->sets + r->count && name_within(at->name, name);
}

const struct rrset *
records_denial(const struct records *r, struct slice name)
{
	const struct rrset *at = lower_bound(r->denials, r->denial_count, name, UINT16_MAX);

	if (r->denial_count == 0)
		return NULL;
	return at == r->denials ? r->denials + r->denial_count - 1 : at - 1;
}
