/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/buf.h"
#include "dns/wire.h"

enum { NAME_TEXT = 1100, CNAMES_MOST = 12, RECORDS_MOST = 512, JUMPS_MOST = 64 };

struct packet {
	struct slice bytes;
	size_t       at;
	bool         bad;
};

struct rr {
	struct slice name;              /* as text, in a buffer of the reader */
	uint16_t     type, class;
	uint32_t     ttl;
	size_t       rdata, end;        /* where the data stand in the packet */
};

static unsigned
byte_at(struct packet *p, size_t at)
{
	if (at >= p->bytes.n) {
		p->bad = true;
		return 0;
	}
	return (unsigned char)p->bytes.p[at];
}

static unsigned
take16(struct packet *p)
{
	unsigned v = byte_at(p, p->at) << 8 | byte_at(p, p->at + 1);

	p->at += 2;
	return v;
}

void
label_byte_add(struct buf *text, char c)
{
	unsigned char byte = (unsigned char)c;

	if (byte <= ' ' || byte >= 0x7f || strchr(".\\;\"", byte) != NULL)
		buf_printf(text, "\\%03u", byte);
	else
		buf_byte(text, to_lower(c));
}

static void
add_label(struct packet *p, struct buf *text, size_t at, unsigned n)
{
	if (text->n)
		buf_byte(text, '.');
	for (unsigned i = 0; i < n && !p->bad; i++)
		label_byte_add(text, (char)byte_at(p, at + i));
}

/* A name, compressed or not (RFC 1035 4.1.4), without the dot at its end. */
static void
take_name(struct packet *p, struct buf *text)
{
	size_t at = p->at;
	unsigned jumps = 0, n;

	buf_clear(text);
	while (!p->bad && (n = byte_at(p, at)) != 0) {
		if ((n & 0xc0) == 0xc0) {
			if (jumps == 0)
				p->at = at + 2;
			at = (n & 0x3f) << 8 | byte_at(p, at + 1);
			if (++jumps > JUMPS_MOST)
				p->bad = true;
			continue;
		}
		if (n > 63 || text->full)
			p->bad = true;
		add_label(p, text, at + 1, n);
		at += 1 + n;
	}
	if (jumps == 0)
		p->at = at + 1;
}

static bool
take_rr(struct packet *p, struct buf *name, struct rr *rr)
{
	take_name(p, name);
	rr->name = buf_slice(name);
	rr->type = (uint16_t)take16(p);
	rr->class = (uint16_t)take16(p);
	rr->ttl = take16(p) << 16;
	rr->ttl |= take16(p);
	rr->end = take16(p);
	rr->rdata = p->at;
	rr->end += rr->rdata;
	if (rr->end > p->bytes.n)
		p->bad = true;
	p->at = rr->end;
	return !p->bad;
}

/* All strings of a TXT record, joined (RFC 7208 3.3). */
static struct slice
joined_strings(struct slice data, struct arena *arena)
{
	char *to = arena_get(arena, data.n + 1);
	size_t n = 0;

	while (to != NULL && data.n > 0) {
		struct slice string = slice_head(slice_skip(data, 1), (unsigned char)*data.p);

		memcpy(to + n, string.p, string.n);
		n += string.n;
		data = slice_skip(data, 1 + string.n);
	}
	return slice_of(to, n);
}

static struct slice
name_in_rdata(struct packet p, const struct rr *rr, size_t offset, struct arena *arena)
{
	struct buf name = BUF(NAME_TEXT);
	struct slice copy = NONE;

	p.at = rr->rdata + offset;
	take_name(&p, &name);
	if (!p.bad && !name.full && p.at == rr->end)
		copy = arena_copy(arena, buf_slice(&name));
	buf_free(&name);
	return copy;
}

/* One record's data in the form of facts.h; false when it makes no sense. */
static bool
read_data(struct packet *p, const struct rr *rr, struct arena *arena, struct record *r)
{
	struct slice data = slice_head(slice_skip(p->bytes, rr->rdata), rr->end - rr->rdata);

	switch (rr->type) {
	case RR_A:
	case RR_AAAA:
		if (data.n != (rr->type == RR_A ? 4 : 16))
			return false;
		r->data = arena_copy(arena, data);
		break;
	case RR_TXT:
		r->data = joined_strings(data, arena);
		break;
	case RR_MX:
		if (data.n < 3)
			return false;
		r->preference = (uint16_t)((unsigned char)data.p[0] << 8 | (unsigned char)data.p[1]);
		r->data = name_in_rdata(*p, rr, 2, arena);
		break;
	case RR_CNAME:
	case RR_NS:
	case RR_PTR:
		r->data = name_in_rdata(*p, rr, 0, arena);
		break;
	default:
		r->data = arena_copy(arena, data);
	}
	return r->data.p != NULL;
}

struct answers {
	struct packet packet;           /* at the first record */
	unsigned      count;
};

/* Where the CNAME at `name` leads, or the name itself. */
static struct slice
follow(struct answers a, struct slice name, struct facts *fs, struct fact *f)
{
	struct buf owner = BUF(NAME_TEXT);
	struct record target = { 0 };
	struct rr rr;

	while (a.count-- > 0 && take_rr(&a.packet, &owner, &rr))
		if (rr.type == RR_CNAME && rr.class == 1 && slice_eqi(rr.name, name) &&
		    read_data(&a.packet, &rr, fs->arena, &target)) {
			if (rr.ttl < f->ttl)
				f->ttl = rr.ttl;
			name = target.data;
			break;
		}
	buf_free(&owner);
	return name;
}

static bool
collect(struct answers a, struct facts *fs, struct fact *f)
{
	struct buf owner = BUF(NAME_TEXT);
	struct rr rr;
	bool good = true;

	f->records = arena_get(fs->arena, (a.count + 1) * sizeof *f->records);
	while (f->records != NULL && a.count-- > 0 && take_rr(&a.packet, &owner, &rr)) {
		if (rr.type != f->type || rr.class != 1 || !slice_eqi(rr.name, f->canonical))
			continue;
		if (!read_data(&a.packet, &rr, fs->arena, &f->records[f->count])) {
			good = false;
			break;
		}
		f->count++;
		if (rr.ttl < f->ttl)
			f->ttl = rr.ttl;
	}
	buf_free(&owner);
	return good && !a.packet.bad && f->records != NULL;
}

void
wire_read(struct facts *fs, struct fact *f, struct slice bytes)
{
	struct packet p = { .bytes = bytes, .at = 2 };
	struct buf name = BUF(NAME_TEXT);
	unsigned rcode = take16(&p) & 15, questions = take16(&p), answers = take16(&p);
	struct answers a;

	p.at = 12;
	while (questions-- > 0 && !p.bad) {
		take_name(&p, &name);
		p.at += 4;
	}
	buf_free(&name);
	a = (struct answers){ p, answers };
	if (p.bad || (rcode != 0 && rcode != 3) || answers > RECORDS_MOST) {
		fact_known(fs, f, ANSWER_BROKEN, p.bad ? "malformed answer"
		    : rcode == 2 ? "SERVFAIL" : rcode == 5 ? "REFUSED" : "the server gave an error");
		return;
	}
	f->ttl = UINT32_MAX;
	for (int i = 0; i < CNAMES_MOST && f->type != RR_CNAME; i++) {
		struct slice next = follow(a, f->canonical, fs, f);

		if (next.p == f->canonical.p)
			break;
		f->canonical = next;
	}
	if (!collect(a, fs, f)) {
		f->count = 0;
		fact_known(fs, f, ANSWER_BROKEN, "malformed answer");
	} else if (f->count > 0) {
		fact_known(fs, f, ANSWER_FOUND, "");
	} else {
		fact_known(fs, f, rcode == 3 ? ANSWER_NXDOMAIN : ANSWER_NODATA, "");
	}
	if (f->ttl == UINT32_MAX)
		f->ttl = 0;
}
