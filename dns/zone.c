/* SPDX-License-Identifier: ISC */
/* pure */
#include <arpa/inet.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/map.h"
#include "base/text.h"
#include "dns/zone.h"
#include "mail/domain.h"

enum { ZONE_BYTES = 256 << 20, CNAMES_MOST = 12, RDATA_BYTES = 65535, NAME_TEXT = 1100,
       REASON_MOST = 4096 };

/* One line: a record, or how the question for a type fails. */
struct entry {
	struct entry *next;
	uint16_t      type;
	const char   *broken;           /* NULL: a record */
	bool          bogus, nxdomain;
	struct record record;
};

struct node {
	struct slice   name;
	bool           nxdomain;
	struct entry  *entries, **last;
};

/* From this name downwards, until another one says otherwise. */
struct top {
	struct top  *next;
	struct slice name;
	bool         secure;
};

struct zone {
	struct arena *arena;
	struct map    nodes;
	struct top   *tops;             /* the last one of the text first */
};

struct place {
	const char *file;
	unsigned    line;
};

void
zone_free(struct zone *z)
{
	if (z == NULL)
		return;
	map_free(&z->nodes);
	arena_free(z->arena);
	free(z);
}

/* The node of a name, made with all above it, so that they answer NODATA. */
static struct node *
node_at(struct zone *z, struct slice name)
{
	struct node *n = map_get(&z->nodes, name);

	if (n != NULL)
		return n;
	n = arena_get(z->arena, sizeof *n);
	bug_if(n == NULL);
	n->name = arena_lower(z->arena, name);
	n->last = &n->entries;
	map_put(&z->nodes, n->name, n);
	if (name.n > 0)
		node_at(z, domain_parent(name));
	return n;
}

/* --- reading ------------------------------------------------------------- */

static struct slice
without_dot(struct slice name)
{
	return name.n && name.p[name.n - 1] == '.' ? slice_head(name, name.n - 1) : name;
}

/* One character-string of a TXT record: "…" with \" and \DDD, or a word. */
static bool
take_string(struct slice *s, struct buf *to)
{
	bool quoted = s->n && *s->p == '"';

	*s = slice_skip(*s, quoted);
	while (s->n) {
		char c = *s->p;
		uint64_t code;

		if (quoted ? c == '"' : is_space(c) || c == ';')
			break;
		*s = slice_skip(*s, 1);
		if (c == '\\' && slice_number(slice_head(*s, 3), 255, &code) && s->n >= 3) {
			c = (char)code;
			*s = slice_skip(*s, 3);
		} else if (c == '\\' && s->n) {
			c = *s->p;
			*s = slice_skip(*s, 1);
		}
		if (!buf_byte(to, c))
			return false;
	}
	if (quoted && s->n == 0)
		return false;
	*s = slice_skip(*s, quoted);
	return true;
}

static bool
read_txt(struct slice s, struct buf *to)
{
	for (;;) {
		while (s.n && is_space(*s.p))
			s = slice_skip(s, 1);
		if (s.n == 0 || *s.p == ';')
			return true;
		if (!take_string(&s, to))
			return false;
	}
}

static bool
read_address(int family, struct slice word, struct buf *to)
{
	char text[64];
	unsigned char bytes[16];

	if (word.n >= sizeof text)
		return false;
	memcpy(text, word.p, word.n);
	text[word.n] = '\0';
	return inet_pton(family, text, bytes) == 1 &&
	    buf_add(to, slice_of(bytes, family == AF_INET ? 4 : 16));
}

/* "3 1 1 HEX", or "\# LENGTH HEX" (RFC 3597 5) when it is too short for that. */
static bool
read_tlsa(struct slice s, struct buf *to)
{
	bool generic = slice_starts(slice_trim(s), S("\\#"));
	struct slice word;
	uint64_t number;

	if (generic)
		return slice_word(&s, &word) && slice_word(&s, &word) &&
		    slice_number(word, RDATA_BYTES, &number) &&
		    (!slice_word(&s, &word) || hex_decode(to, word)) && to->n == number;
	for (int i = 0; i < 3; i++)
		if (!slice_word(&s, &word) || !slice_number(word, 255, &number) ||
		    !buf_byte(to, (char)number))
			return false;
	while (slice_word(&s, &word) && *word.p != ';')
		if (!hex_decode(to, word))
			return false;
	return true;
}

/*
 * A name as the house writes it (label_byte_add).  That of an answer may be
 * longer than one that can be asked for: an odd octet takes four letters.
 */
static bool
name_ok(struct slice name)
{
	struct slice label;

	if (name.n > NAME_TEXT || (name.n > 0 && name.p[name.n - 1] == '.'))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == ';' || name.p[i] == '"')
			return false;
	while (slice_cut(&name, '.', &label))
		if (label.n == 0)
			return false;
	return true;
}

static bool
read_name(struct slice word, struct buf *to)
{
	word = without_dot(word);
	for (size_t i = 0; i < word.n; i++)
		buf_byte(to, to_lower(word.p[i]));
	return name_ok(word);
}

/* The data into `to`, except for the preference of an MX. */
static bool
read_rdata(uint16_t type, struct slice s, struct record *r, struct buf *to)
{
	struct slice rest = s, word;
	uint64_t number;

	if (type == RR_TXT)
		return read_txt(s, to);
	if (type == RR_TLSA)
		return read_tlsa(s, to);
	if (!slice_word(&rest, &word))
		return false;
	switch (type) {
	case RR_A:
		return read_address(AF_INET, word, to);
	case RR_AAAA:
		return read_address(AF_INET6, word, to);
	case RR_MX:
		if (!slice_number(word, 65535, &number) || !slice_word(&rest, &word))
			return false;
		r->preference = (uint16_t)number;
		return read_name(word, to);
	case RR_SOA:
		return true;            /* it only makes the name exist */
	default:
		return read_name(word, to);
	}
}

bool
record_parse(uint16_t type, struct slice text, struct arena *arena, struct record *r)
{
	struct buf data = BUF(RDATA_BYTES);
	struct record record = { 0 };
	bool ok = read_rdata(type, text, &record, &data);

	record.data = arena_copy(arena, buf_slice(&data));
	buf_free(&data);
	if (!ok || record.data.p == NULL)
		return false;
	*r = record;
	return true;
}

static bool
read_failure(struct slice word, struct entry *e)
{
	if (slice_eqi(word, S("!servfail")))
		e->broken = "SERVFAIL";
	else if (slice_eqi(word, S("!timeout")))
		e->broken = "timeout";
	else if (slice_eqi(word, S("!bogus")))
		e->broken = "DNSSEC validation failed", e->bogus = true;
	else if (slice_eqi(word, S("!nxdomain")))
		e->broken = "no such name", e->nxdomain = true;
	return e->broken != NULL;
}

/* Other words of why it failed, in quotes behind the failure. */
static bool
read_reason(struct slice rest, struct arena *arena, struct entry *e)
{
	struct buf text = BUF(REASON_MOST);
	bool ok = true;

	rest = slice_trim(rest);
	if (slice_starts(rest, S("\""))) {
		ok = read_txt(rest, &text);
		e->broken = arena_copy(arena, buf_slice(&text)).p;
	}
	buf_free(&text);
	return ok && e->broken != NULL;
}

/* The records of a name and type are a set (RFC 2181 5.2): what is there is not added again. */
static void
add_entry(struct zone *z, struct node *n, uint16_t type, const struct entry *from)
{
	struct entry *e;

	for (e = n->entries; e != NULL; e = e->next)
		if (e->type == type && e->broken == from->broken &&
		    e->record.preference == from->record.preference &&
		    slice_eq(e->record.data, from->record.data))
			return;
	bug_if((e = arena_get(z->arena, sizeof *e)) == NULL);
	*e = *from;
	e->type = type;
	*n->last = e;
	n->last = &e->next;
}

static bool
read_record(struct zone *z, struct slice name, struct slice type_word, struct slice rest,
    struct place at, struct error *why)
{
	struct entry entry = { 0 };
	struct slice words = rest, word;
	uint16_t type;

	if (!rr_type(type_word, &type))
		return error_set(why, "%s:%u: \"%.*s\" is not a record type known here",
		    at.file, at.line, FMT(slice_head(type_word, 40)));
	if (slice_word(&words, &word) && read_failure(word, &entry)) {
		if (!read_reason(words, z->arena, &entry))
			return error_set(why, "%s:%u: this is no reason in quotes: %.*s", at.file, at.line,
			    FMT(slice_head(slice_trim(words), 100)));
		add_entry(z, node_at(z, name), type, &entry);
		return true;
	}
	if (!record_parse(type, rest, z->arena, &entry.record))
		return error_set(why, "%s:%u: this is not the data of a %s record: %.*s",
		    at.file, at.line, rr_name(type), FMT(slice_head(slice_trim(rest), 100)));
	add_entry(z, node_at(z, name), type, &entry);
	return true;
}

/* The name a line begins with, in the arena; NONE when it is none. */
static struct slice
line_name(struct zone *z, struct slice word)
{
	struct buf name = BUF(NAME_TEXT + 1);
	struct slice copy = NONE;

	if (read_name(word, &name) && !name.full)
		copy = arena_copy(z->arena, buf_slice(&name));
	buf_free(&name);
	return copy;
}

static bool
read_top(struct zone *z, struct slice word, bool secure)
{
	struct top *top = arena_get(z->arena, sizeof *top);

	bug_if(top == NULL);
	*top = (struct top){ z->tops, line_name(z, word), secure };
	z->tops = top;
	return top->name.p != NULL;
}

static bool
no_name(struct slice word, struct place at, struct error *why)
{
	return error_set(why, "%s:%u: \"%.*s\" is not a domain name", at.file, at.line,
	    FMT(slice_head(without_dot(word), 80)));
}

static bool
read_line(struct zone *z, struct slice line, struct place at, struct error *why)
{
	struct slice name, word, first;
	uint64_t ttl;

	if (!slice_word(&line, &name) || *name.p == ';')
		return true;
	if (!slice_word(&line, &word))
		return error_set(why, "%s:%u: a line is NAME TYPE DATA", at.file, at.line);
	if (slice_eqi(name, S("@secure")) || slice_eqi(name, S("@insecure")))
		return read_top(z, word, slice_eqi(name, S("@secure"))) || no_name(word, at, why);
	first = name;
	if ((name = line_name(z, first)).p == NULL)
		return no_name(first, at, why);
	if (slice_eqi(word, S("!nxdomain"))) {
		node_at(z, name)->nxdomain = true;
		return true;
	}
	while (slice_eqi(word, S("IN")) || slice_number(word, UINT32_MAX, &ttl))
		if (!slice_word(&line, &word))
			return error_set(why, "%s:%u: a line is NAME TYPE DATA", at.file, at.line);
	return read_record(z, name, word, line, at, why);
}

struct zone *
zone_parse(struct slice text, const char *file, struct error *why)
{
	struct zone *z = must_alloc(sizeof *z);
	struct place at = { file, 0 };
	struct slice line;

	z->arena = arena_new(ZONE_BYTES);
	while (slice_cut(&text, '\n', &line)) {
		at.line++;
		if (!read_line(z, line, at, why)) {
			zone_free(z);
			return NULL;
		}
	}
	return z;
}

/* --- answering ----------------------------------------------------------- */

/* The node that speaks for a name: its own, or the wildcard of the closest name above. */
static const struct node *
speaks_for(const struct zone *z, struct slice name)
{
	const struct node *n = map_get(&z->nodes, name);
	char wildcard[DOMAIN_MAX + 3] = "*.";
	struct slice above = name;

	if (n != NULL)
		return n->nxdomain ? NULL : n;
	do
		above = domain_parent(above);
	while (above.n > 0 && map_get(&z->nodes, above) == NULL);
	if (above.n == 0 || above.n > DOMAIN_MAX)
		return NULL;
	memcpy(wildcard + 2, above.p, above.n);
	return map_get(&z->nodes, slice_of(wildcard, above.n + 2));
}

static const struct entry *
first_of(const struct node *n, uint16_t type)
{
	for (const struct entry *e = n->entries; e != NULL; e = e->next)
		if (e->type == type)
			return e;
	return NULL;
}

/* The closest top at or above the name decides. */
static bool
is_secure(const struct zone *z, struct slice name)
{
	const struct top *closest = NULL;

	for (const struct top *t = z->tops; t != NULL; t = t->next)
		if ((closest == NULL || t->name.n > closest->name.n) &&
		    (t->name.n == 0 || domain_within(name, t->name)))
			closest = t;
	return closest != NULL && closest->secure;
}

static void
found(struct facts *fs, struct fact *f, const struct node *n)
{
	size_t count = 0;
	bool good;

	for (const struct entry *e = n->entries; e != NULL; e = e->next)
		count += e->type == f->type && e->broken == NULL;
	good = fact_expect(fs, f, count);
	for (const struct entry *e = n->entries; e != NULL && good; e = e->next)
		if (e->type == f->type && e->broken == NULL)
			good = fact_add(fs, f, e->record.preference, e->record.data);
	f->ttl = 3600;
	if (good)
		fact_known(fs, f, count ? ANSWER_FOUND : ANSWER_NODATA, "");
	else
		fact_known(fs, f, ANSWER_BROKEN, "no memory left for the answer");
}

void
zone_answer(const struct zone *z, struct facts *fs, struct fact *f)
{
	bool secure = is_secure(z, f->name);

	for (int hops = 0; hops < CNAMES_MOST; hops++) {
		const struct node *n = speaks_for(z, f->canonical);
		const struct entry *e = n ? first_of(n, f->type) : NULL;
		const struct entry *alias = n ? first_of(n, RR_CNAME) : NULL;

		f->security = secure ? DNS_SECURE : DNS_INSECURE;
		if (e == NULL && alias != NULL && alias->broken == NULL) {
			f->canonical = arena_copy(fs->arena, alias->record.data);
			secure = secure && is_secure(z, f->canonical);
			continue;
		}
		if (e == NULL)
			e = alias;
		if (n == NULL || (e != NULL && e->nxdomain)) {
			fact_known(fs, f, ANSWER_NXDOMAIN, "");
		} else if (e != NULL && e->broken != NULL) {
			f->security = e->bogus ? DNS_BOGUS : DNS_INSECURE;
			fact_known(fs, f, ANSWER_BROKEN, e->broken);
		} else {
			found(fs, f, n);
		}
		return;
	}
	fact_known(fs, f, ANSWER_BROKEN, "the CNAMEs form a loop");
}

void
zone_answer_all(const struct zone *z, struct facts *fs)
{
	struct fact *f;

	while ((f = facts_next_wanted(fs)) != NULL)
		zone_answer(z, fs, f);
}

/* --- writing ------------------------------------------------------------- */

static void
add_string(struct buf *b, struct slice s)
{
	size_t at = 0;

	do {
		struct slice piece = slice_head(slice_skip(s, at), 255);

		buf_add(b, at > 0 ? S(" \"") : S("\""));
		for (size_t i = 0; i < piece.n; i++) {
			unsigned char c = (unsigned char)piece.p[i];

			if (c < ' ' || c >= 0x7f)
				buf_printf(b, "\\%03u", c);
			else
				buf_printf(b, c == '"' || c == '\\' ? "\\%c" : "%c", c);
		}
		buf_byte(b, '"');
		at += piece.n;
	} while (at < s.n);
}

/* Names come escaped (label_byte_add); what was not would end the word or the line. */
static void
add_name(struct buf *b, struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= ' ' || c >= 0x7f || c == ';' || c == '"')
			buf_printf(b, "\\%03u", c);
		else
			buf_byte(b, (char)c);
	}
	buf_byte(b, '.');
}

static void
add_tlsa(struct buf *b, struct slice data)
{
	if (data.n < 3) {
		buf_printf(b, "\\# %zu ", data.n);
		hex_add(b, data);
		return;
	}
	for (size_t i = 0; i < 3; i++)
		buf_printf(b, "%u ", (unsigned char)data.p[i]);
	hex_add(b, slice_skip(data, 3));
}

void
record_to_text(struct buf *b, uint16_t type, const struct record *r)
{
	char text[INET6_ADDRSTRLEN];

	switch (type) {
	case RR_A:
	case RR_AAAA:
		inet_ntop(type == RR_A ? AF_INET : AF_INET6, r->data.p, text, sizeof text);
		buf_add(b, slice(text));
		break;
	case RR_TXT:
		add_string(b, r->data);
		break;
	case RR_TLSA:
		add_tlsa(b, r->data);
		break;
	default:
		if (type == RR_MX)
			buf_printf(b, "%u ", r->preference);
		add_name(b, r->data);
	}
}

static void
begin_line(struct buf *b, struct slice name, const char *word)
{
	add_name(b, name);
	buf_printf(b, " %s", word);
}

/* Where the CNAME at a name leads, as far as somebody has asked for it by itself. */
static struct slice
known_alias(const struct facts *fs, struct slice name)
{
	for (const struct fact *f = fs->first; f != NULL; f = f->next)
		if (f->type == RR_CNAME && f->state == FACT_KNOWN && f->answer == ANSWER_FOUND &&
		    slice_eqi(f->canonical, name))
			return f->records[0].data;
	return name;
}

static void
top_to_text(struct buf *b, const char *word, struct slice name)
{
	buf_printf(b, "%s ", word);
	add_name(b, name);
	buf_byte(b, '\n');
}

/*
 * Whatever stands behind a CNAME stands there, and so does that nothing does.
 * Of a chain the answer tells the ends only; links that are known come first.
 */
static void
alias_to_text(const struct facts *fs, const struct fact *f, struct buf *b)
{
	struct slice name = f->name, next;

	for (int hops = 0; hops < CNAMES_MOST && !slice_eqi(name, f->canonical); hops++, name = next) {
		if (f->security == DNS_SECURE)
			top_to_text(b, "@secure", name);
		if (next = known_alias(fs, name), slice_eqi(next, name))
			break;
	}
	if (slice_eqi(name, f->canonical))
		return;
	begin_line(b, name, "CNAME ");
	add_name(b, f->canonical);
	buf_byte(b, '\n');
}

static void
records_to_text(const struct fact *f, struct buf *b)
{
	for (size_t i = 0; i < f->count; i++) {
		begin_line(b, f->canonical, rr_name(f->type));
		buf_byte(b, ' ');
		record_to_text(b, f->type, &f->records[i]);
		buf_byte(b, '\n');
	}
}

/*
 * Of this question alone: servers are about that say so of a name and know
 * another type of it, or names below it (against RFC 8020).
 */
static void
nxdomain_to_text(const struct fact *f, struct buf *b)
{
	begin_line(b, f->canonical, rr_name(f->type));
	buf_add(b, S(" !nxdomain\n"));
}

/* The words of why too: they come up in reason= and in explanations. */
static void
failure_to_text(const struct fact *f, struct buf *b)
{
	const char *word = f->security == DNS_BOGUS ? "!bogus"
	    : slice_eq(f->why, S("SERVFAIL")) ? "!servfail" : "!timeout";
	struct entry usual = { 0 };

	begin_line(b, f->name, rr_name(f->type));
	buf_printf(b, " %s", word);
	read_failure(slice(word), &usual);
	if (!slice_eq(f->why, slice(usual.broken))) {
		buf_byte(b, ' ');
		add_string(b, slice_head(f->why, REASON_MOST));
	}
	buf_byte(b, '\n');
}

static void
fact_to_text(const struct facts *fs, const struct fact *f, bool signed_world, struct buf *b)
{
	if (!domain_lengths_ok(f->name))
		return;                 /* nobody asks for it: fact() knows the answer */
	if (f->answer == ANSWER_BROKEN) {
		failure_to_text(f, b);
		return;
	}
	alias_to_text(fs, f, b);
	if (signed_world)       /* where the first link alone may be secure: what is not is the end */
		top_to_text(b, f->security == DNS_SECURE ? "@secure" : "@insecure", f->canonical);
	if (f->answer == ANSWER_NXDOMAIN)
		nxdomain_to_text(f, b);
	else if (f->answer == ANSWER_NODATA)
		begin_line(b, f->canonical, "SOA .\n");
	else
		records_to_text(f, b);
}

void
facts_to_text(const struct facts *fs, struct buf *b)
{
	bool signed_world = false;

	for (const struct fact *f = fs->first; f != NULL; f = f->next)
		signed_world |= f->state == FACT_KNOWN && f->security == DNS_SECURE;
	for (const struct fact *f = fs->first; f != NULL; f = f->next)
		if (f->state == FACT_KNOWN)
			fact_to_text(fs, f, signed_world, b);
}
