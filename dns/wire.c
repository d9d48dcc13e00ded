/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/buf.h"
#include "dns/wire.h"

enum { NAME_TEXT = 1100, DATA_MOST = 65536, CNAMES_MOST = 12, RECORDS_MOST = 512, JUMPS_MOST = 64 };

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
		if (n > 63 || text->full || text->n > NAME_TEXT)
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
static void
join_strings(struct slice data, struct buf *to)
{
	while (data.n > 0) {
		struct slice string = slice_head(slice_skip(data, 1), (unsigned char)*data.p);

		buf_add(to, string);
		data = slice_skip(data, 1 + string.n);
	}
}

static bool
name_in_rdata(struct packet p, const struct rr *rr, size_t offset, struct buf *to)
{
	p.at = rr->rdata + offset;
	take_name(&p, to);
	return !p.bad && to->n <= NAME_TEXT && p.at == rr->end;
}

/* One record's data in the form of facts.h; false when it makes no sense. */
static bool
read_data(struct packet *p, const struct rr *rr, struct buf *to, uint16_t *preference)
{
	struct slice data = slice_head(slice_skip(p->bytes, rr->rdata), rr->end - rr->rdata);

	buf_clear(to);
	*preference = 0;
	switch (rr->type) {
	case RR_A:
	case RR_AAAA:
		buf_add(to, data);
		return data.n == (rr->type == RR_A ? 4 : 16);
	case RR_TXT:
		join_strings(data, to);
		return true;
	case RR_MX:
		if (data.n < 3)
			return false;
		*preference = (uint16_t)((unsigned char)data.p[0] << 8 | (unsigned char)data.p[1]);
		return name_in_rdata(*p, rr, 2, to);
	case RR_CNAME:
	case RR_NS:
	case RR_PTR:
		return name_in_rdata(*p, rr, 0, to);
	default:
		buf_add(to, data);
		return true;
	}
}

struct answers {
	struct packet packet;           /* at the first record */
	unsigned      count, unread;    /* of its records: those looked at, those behind them */
};

/* Where the CNAME at `name` leads, or the name itself. */
static struct slice
follow(struct answers a, struct slice name, struct facts *fs, struct fact *f)
{
	struct buf owner = BUF(NAME_TEXT), target = BUF(DATA_MOST);
	struct slice next = NONE;
	uint16_t unused;
	struct rr rr;

	while (next.p == NULL && a.count-- > 0 && take_rr(&a.packet, &owner, &rr))
		if (rr.type == RR_CNAME && rr.class == 1 && slice_eqi(rr.name, name) &&
		    read_data(&a.packet, &rr, &target, &unused)) {
			if (rr.ttl < f->ttl)
				f->ttl = rr.ttl;
			next = arena_copy(fs->arena, buf_slice(&target));
		}
	buf_free(&owner);
	buf_free(&target);
	return next.p != NULL ? next : name;
}

static bool
collect(struct answers a, struct facts *fs, struct fact *f)
{
	struct buf owner = BUF(NAME_TEXT), data = BUF(DATA_MOST);
	bool good = fact_expect(fs, f, a.count);
	uint16_t preference;
	struct rr rr;

	while (good && a.count-- > 0 && take_rr(&a.packet, &owner, &rr)) {
		if (rr.type != f->type || rr.class != 1 || !slice_eqi(rr.name, f->canonical))
			continue;
		good = read_data(&a.packet, &rr, &data, &preference) &&
		    fact_add(fs, f, preference, buf_slice(&data));
		if (rr.ttl < f->ttl)
			f->ttl = rr.ttl;
	}
	buf_free(&owner);
	buf_free(&data);
	if (f->count > 0)
		f->left_out += a.unread;
	else if (f->left_out == 0 && a.unread > 0)
		good = false;           /* it may be of the type or not */
	return good && !a.packet.bad;
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
	a.packet = p;
	a.count = answers < RECORDS_MOST ? answers : RECORDS_MOST;
	a.unread = answers - a.count;
	if (p.bad || (rcode != 0 && rcode != 3)) {
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
	} else if (f->count + f->left_out > 0) {
		fact_known(fs, f, ANSWER_FOUND, "");
	} else {
		fact_known(fs, f, rcode == 3 ? ANSWER_NXDOMAIN : ANSWER_NODATA, "");
	}
	if (f->ttl == UINT32_MAX)
		f->ttl = 0;
}
