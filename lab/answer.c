/* SPDX-License-Identifier: ISC */
/* pure */
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/map.h"
#include "lab/answer.h"

enum {
	TYPE_OPT = 41, TYPE_ANY = 255, CLASS_IN = 1, CNAMES_MOST = 12, SETS_MOST = 64,
	HASH = 20, ITERATIONS_MOST = 500, NSEC3_OPT_OUT = 1,
};

enum { QR = 0x8000, OPCODE = 0x7800, AA = 0x0400, TC = 0x0200, RD = 0x0100, RA = 0x0080,
	AD = 0x0020, CD = 0x0010, DO = 0x8000 };

/* --- reading a question ----------------------------------------------------------- */

static unsigned
get16(struct slice s, size_t at)
{
	return (unsigned)(unsigned char)s.p[at] << 8 | (unsigned char)s.p[at + 1];
}

/* The name at *at without compression, which a question cannot have. */
static bool
read_name(struct slice packet, size_t *at, struct dns_question *q)
{
	size_t from = *at, n;

	do {
		if (*at >= packet.n)
			return false;
		n = (unsigned char)packet.p[*at];
		if (n > 63 || *at + 1 + n > packet.n || *at + 1 + n - from > NAME_WIRE)
			return false;
		*at += 1 + n;
	} while (n > 0);
	q->name_size = *at - from;
	for (size_t i = 0; i < q->name_size; i++)
		q->name[i] = (unsigned char)to_lower(packet.p[from + i]);
	return true;
}

/*
 * What may follow a question: an OPT record (RFC 6891 6.1), and records that
 * say nothing to us.  Two OPT records, or one that is cut off, are an error.
 */
static bool
read_additional(struct slice packet, size_t at, unsigned count, struct dns_question *q)
{
	struct dns_question unused;

	for (; count > 0; count--) {
		size_t data;

		if (!read_name(packet, &at, &unused) || at + 10 > packet.n)
			return false;
		data = at + 10;
		if (data + get16(packet, at + 8) > packet.n)
			return false;
		if (get16(packet, at) == TYPE_OPT) {
			if (q->edns || unused.name_size != 1)
				return false;
			q->edns = true;
			q->udp_size = get16(packet, at + 2);
			q->dnssec_ok = (get16(packet, at + 6) & DO) != 0;
			if (packet.p[at + 5] != 0)
				q->rcode = DNS_BADVERS;
		}
		at = data + get16(packet, at + 8);
	}
	return true;
}

/* TKEY, TSIG, IXFR, AXFR and the like: they ask for something else than records. */
static bool
is_transfer(uint16_t type)
{
	return type >= 249 && type < TYPE_ANY;
}

static unsigned
read_body(struct slice packet, struct dns_question *q)
{
	size_t at = DNS_HEADER;

	if (get16(packet, 4) != 1 || !read_name(packet, &at, q) || at + 4 > packet.n)
		return DNS_FORMERR;
	q->type = (uint16_t)get16(packet, at);
	q->asked = slice_head(slice_skip(packet, DNS_HEADER), at + 4 - DNS_HEADER);
	if (get16(packet, 6) != 0 || get16(packet, 8) != 0 ||
	    !read_additional(packet, at + 4, get16(packet, 10), q))
		return DNS_FORMERR;
	if (q->rcode == DNS_NOERROR && (get16(packet, at + 2) != CLASS_IN || is_transfer(q->type)))
		return DNS_REFUSED;
	return q->rcode;
}

bool
dns_question_read(struct slice packet, struct dns_question *q)
{
	unsigned flags;

	*q = (struct dns_question){ .udp_size = DNS_UDP_LEAST, .name_size = 1 };
	if (packet.n < DNS_HEADER || ((flags = get16(packet, 2)) & QR) != 0)
		return false;
	q->id = (uint16_t)get16(packet, 0);
	q->recursion_desired = (flags & RD) != 0;
	q->authentic_data = (flags & AD) != 0;
	q->checking_disabled = (flags & CD) != 0;
	q->rcode = (flags & OPCODE) != 0 ? DNS_NOTIMP : read_body(packet, q);
	if (q->udp_size < DNS_UDP_LEAST)
		q->udp_size = DNS_UDP_LEAST;
	return true;
}

struct slice
dns_question_name(const struct dns_question *q, char text[NAME_WIRE])
{
	size_t n = 0;

	for (size_t at = 0; q->name[at] != 0;) {
		size_t label = q->name[at++];

		if (n > 0)
			text[n++] = '.';
		for (size_t end = at + label; at < end; at++) {
			char c = (char)q->name[at];

			if (!is_alnum(c) && c != '-' && c != '_')
				return NONE;
			text[n++] = c;
		}
	}
	return slice_of(text, n);
}

/* --- the world ---------------------------------------------------------------------- */

struct dns_world {
	struct map zones;               /* by their names on the wire */
};

struct dns_world *
dns_world_new(const struct dns_zone *zones, size_t n)
{
	struct dns_world *w = must_alloc(sizeof *w);

	for (size_t i = 0; i < n; i++)
		map_put(&w->zones, zones[i].records.name, (void *)&zones[i]);
	bug_if(map_get(&w->zones, slice_of("", 1)) == NULL);
	return w;
}

void
dns_world_free(struct dns_world *w)
{
	if (w == NULL)
		return;
	map_free(&w->zones);
	free(w);
}

/* The zone that speaks for a name; for the DS of a zone that is its parent (RFC 4035 3.1.4.1). */
static const struct dns_zone *
zone_for(const struct dns_world *w, struct slice name, uint16_t type)
{
	const struct dns_zone *z;

	if (type == RR_DS && name.n > 1)
		name = name_parent(name);
	while ((z = map_get(&w->zones, name)) == NULL)
		name = name_parent(name);
	return z;
}

/* --- gathering an answer --------------------------------------------------------------- */

struct part {
	const struct rrset *set;
	struct slice        owner;      /* another one than the set's when a wildcard speaks */
};

struct gathered {
	struct part  answer[SETS_MOST], authority[SETS_MOST];
	size_t       answers, authorities;
	unsigned     rcode;
	bool         secure, bogus;
	struct slice at;                /* the name that is looked for, behind CNAMEs */
	char         synthetic[NAME_WIRE + 2];  /* the name of a wildcard that was tried */
};

static void
judge(struct gathered *g, const struct dns_zone *z, const struct rrset *set)
{
	if (z->chain != DNS_SECURE || set->signature_count == 0 || set->bogus)
		g->secure = false;
	if (z->chain == DNS_BOGUS || (z->chain == DNS_SECURE && set->bogus))
		g->bogus = true;
}

static void
add_answer(struct gathered *g, const struct dns_zone *z, const struct rrset *set)
{
	if (g->answers < SETS_MOST)
		g->answer[g->answers++] = (struct part){ set, g->at };
	judge(g, z, set);
}

/* Two proofs are often one and the same record: it stands there once. */
static void
add_authority(struct gathered *g, const struct dns_zone *z, const struct rrset *set)
{
	for (size_t i = 0; i < g->authorities; i++)
		if (g->authority[i].set == set)
			return;
	if (g->authorities < SETS_MOST)
		g->authority[g->authorities++] = (struct part){ set, set->name };
	judge(g, z, set);
}

/* --- proving what is not there ------------------------------------------------------------ */

static const struct rrset *
nsec3_parameters(const struct dns_zone *z)
{
	return records_find(&z->records, z->records.name, RR_NSEC3PARAM);
}

/* The owner name of a hash (RFC 5155 5): base32hex of it, in the zone. */
static struct slice
hashed(const struct dns_zone *z, const struct rrset *parameters, struct slice name,
    struct buf *to)
{
	const unsigned char *p = (const unsigned char *)parameters->data[0].p;
	unsigned iterations = (unsigned)p[2] << 8 | p[3];
	struct slice salt = slice_of(p + 5, p[4]);
	unsigned char digest[EVP_MAX_MD_SIZE], in[NAME_WIRE + 255];
	size_t n = name.n;

	memcpy(in, name.p, n);
	for (unsigned i = 0; i <= iterations && i <= ITERATIONS_MOST; i++) {
		memcpy(in + n, salt.p, salt.n);
		bug_if(EVP_Digest(in, n + salt.n, digest, NULL, EVP_sha1(), NULL) != 1);
		memcpy(in, digest, n = HASH);
	}
	buf_byte(to, 32);
	base32hex_add(to, slice_of(digest, HASH));
	buf_add(to, z->records.name);
	return buf_slice(to);
}

/*
 * The denial that speaks for a name: its own one or the one that spans it.
 * True when it is its own.  What an opt-out span covers may exist unsigned: the
 * proof is not a secure one (RFC 5155 9.2).
 */
static bool
add_denial(struct gathered *g, const struct dns_zone *z, struct slice name)
{
	const struct rrset *parameters = nsec3_parameters(z);
	struct buf owner = BUF(2 * NAME_WIRE);
	const struct rrset *denial;
	bool own;

	if (parameters != NULL)
		name = hashed(z, parameters, name, &owner);
	denial = records_denial(&z->records, name);
	own = denial != NULL && slice_eq(denial->name, name);
	if (denial != NULL)
		add_authority(g, z, denial);
	if (denial != NULL && denial->type == RR_NSEC3 && !own && denial->data[0].p[1] & NSEC3_OPT_OUT)
		g->secure = false;
	buf_free(&owner);
	return own;
}

static void
add_soa(struct gathered *g, const struct dns_zone *z)
{
	const struct rrset *soa = records_find(&z->records, z->records.name, RR_SOA);

	if (soa != NULL)
		add_authority(g, z, soa);
}

/* The closest name above that is there; what lies just below it towards `name` is *next. */
static struct slice
closest_encloser(const struct dns_zone *z, struct slice name, struct slice *next)
{
	do {
		*next = name;
		name = name_parent(name);
	} while (name.n > z->records.name.n && !records_exist(&z->records, name));
	return name;
}

/*
 * The name itself is not there, only what is above it (RFC 4035 3.1.3.2, RFC
 * 5155 7.2.1): NSEC spans the name, NSEC3 shows the closest encloser and spans
 * the next closer name.
 */
static void
prove_no_name(struct gathered *g, const struct dns_zone *z, struct slice name)
{
	struct slice next, encloser = closest_encloser(z, name, &next);

	if (nsec3_parameters(z) == NULL) {
		add_denial(g, z, name);
	} else {
		add_denial(g, z, encloser);
		add_denial(g, z, next);
	}
}

/* RFC 4035 3.1.3.1; an NSEC3 chain with opt-out may leave the name out (RFC 5155 7.2.4). */
static void
prove_no_type(struct gathered *g, const struct dns_zone *z, struct slice name)
{
	add_soa(g, z);
	if (!add_denial(g, z, name) && nsec3_parameters(z) != NULL && name.n > z->records.name.n)
		prove_no_name(g, z, name);
}

/* --- finding ------------------------------------------------------------------------------- */

enum step { DONE, FOLLOW };

/* The name is there, itself or as `node`, a wildcard: its records, its CNAME or nothing. */
static enum step
answer_at(struct gathered *g, const struct dns_zone *z, struct slice node, uint16_t type)
{
	const struct rrset *set = type == TYPE_ANY ? records_first(&z->records, node)
	    : records_find(&z->records, node, type);
	const struct rrset *alias = records_find(&z->records, node, RR_CNAME);

	if (set != NULL) {              /* for ANY one type is enough: RFC 8482 4.1 */
		add_answer(g, z, set);
	} else if (alias != NULL && type != RR_DS) {
		add_answer(g, z, alias);
		g->at = alias->data[0];
		return FOLLOW;
	} else {
		prove_no_type(g, z, node);
	}
	return DONE;
}

/* The wildcard below the closest encloser speaks, or nobody does (RFC 1034 4.3.2, RFC 4592). */
static enum step
answer_below(struct gathered *g, const struct dns_zone *z, uint16_t type)
{
	struct slice next, encloser = closest_encloser(z, g->at, &next), wildcard;

	memcpy(g->synthetic, "\1*", 2);
	memcpy(g->synthetic + 2, encloser.p, encloser.n);
	wildcard = slice_of(g->synthetic, 2 + encloser.n);
	prove_no_name(g, z, g->at);
	if (records_first(&z->records, wildcard) != NULL)
		return answer_at(g, z, wildcard, type);
	g->rcode = DNS_NXDOMAIN;
	add_soa(g, z);
	if (wildcard.n <= NAME_WIRE)
		add_denial(g, z, wildcard);
	return DONE;
}

static void
gather(struct gathered *g, const struct dns_world *w, const struct dns_question *q)
{
	enum step step = FOLLOW;

	*g = (struct gathered){ .secure = true, .at = slice_of(q->name, q->name_size) };
	for (int i = 0; i < CNAMES_MOST && step == FOLLOW; i++) {
		const struct dns_zone *z = zone_for(w, g->at, q->type);

		step = records_exist(&z->records, g->at) ? answer_at(g, z, g->at, q->type)
		    : answer_below(g, z, q->type);
	}
	if (step == FOLLOW)
		g->rcode = DNS_SERVER_FAILURE;          /* the CNAMEs go round */
}

/* --- writing -------------------------------------------------------------------------------- */

static void
put16(struct buf *b, unsigned n)
{
	buf_byte(b, (char)(n >> 8));
	buf_byte(b, (char)n);
}

static void
put_header(struct buf *b, const struct dns_question *q, unsigned flags, unsigned rcode)
{
	flags |= QR | RA | (q->recursion_desired ? RD : 0) | (q->checking_disabled ? CD : 0);
	put16(b, q->id);
	put16(b, flags | (rcode & 15));
	put16(b, q->asked.n > 0);
	for (int i = 0; i < 3; i++)
		put16(b, 0);            /* counted as records are put */
	buf_add(b, q->asked);
}

static void
count_record(struct buf *b, size_t counter)
{
	unsigned n = get16(buf_slice(b), counter) + 1;

	b->p[counter] = (char)(n >> 8);
	b->p[counter + 1] = (char)n;
}

/* A name that ends as the question's does points there (RFC 1035 4.1.4). */
static void
put_name(struct buf *b, const struct dns_question *q, struct slice name)
{
	struct slice asked = slice_of(q->name, q->name_size);

	while (name.n > 1) {
		if (name.n <= asked.n && name_within(asked, name)) {
			put16(b, (unsigned)(0xc000 | (DNS_HEADER + asked.n - name.n)));
			return;
		}
		buf_add(b, slice_head(name, 1u + (unsigned char)*name.p));
		name = name_parent(name);
	}
	buf_byte(b, '\0');
}

static void
put_record(struct buf *b, const struct dns_question *q, const struct part *part, uint16_t type,
    struct slice data, size_t counter)
{
	put_name(b, q, part->owner);
	put16(b, type);
	put16(b, CLASS_IN);
	put16(b, part->set->ttl >> 16);
	put16(b, part->set->ttl);
	put16(b, (unsigned)data.n);
	buf_add(b, data);
	count_record(b, counter);
}

static void
put_parts(struct buf *b, const struct dns_question *q, const struct part *parts, size_t n,
    size_t counter)
{
	for (size_t i = 0; i < n; i++) {
		const struct rrset *set = parts[i].set;
		bool proof = set->type == RR_NSEC || set->type == RR_NSEC3;

		if (proof && !q->dnssec_ok && set->type != q->type)
			continue;
		for (size_t j = 0; j < set->count; j++)
			put_record(b, q, &parts[i], set->type, set->data[j], counter);
		for (size_t j = 0; q->dnssec_ok && j < set->signature_count; j++)
			put_record(b, q, &parts[i], RR_RRSIG, set->signatures[j], counter);
	}
}

/* RFC 6891 6.1.2 and 6.1.3; DO goes back as it came (RFC 3225 3). */
static void
put_opt(struct buf *b, const struct dns_question *q, unsigned rcode)
{
	if (!q->edns)
		return;
	buf_byte(b, '\0');
	put16(b, TYPE_OPT);
	put16(b, DNS_UDP_MOST);
	buf_byte(b, (char)(rcode >> 4));
	buf_byte(b, 0);
	put16(b, q->dnssec_ok ? DO : 0);
	put16(b, 0);
	count_record(b, 10);
}

void
dns_refuse(const struct dns_question *q, unsigned rcode, struct buf *b)
{
	put_header(b, q, 0, rcode);
	put_opt(b, q, rcode);
}

void
dns_answer(const struct dns_world *w, const struct dns_question *q, size_t most, struct buf *b)
{
	struct gathered g;
	unsigned flags = AA;

	if (q->rcode == DNS_NOERROR)
		gather(&g, w, q);
	else
		g.rcode = q->rcode;
	if (q->rcode == DNS_NOERROR && g.bogus && !q->checking_disabled)
		g.rcode = DNS_SERVER_FAILURE;
	if (g.rcode != DNS_NOERROR && g.rcode != DNS_NXDOMAIN) {
		dns_refuse(q, g.rcode, b);
		return;
	}
	if (g.secure && (q->authentic_data || q->dnssec_ok))
		flags |= AD;
	put_header(b, q, flags, g.rcode);
	put_parts(b, q, g.answer, g.answers, 6);
	put_parts(b, q, g.authority, g.authorities, 8);
	put_opt(b, q, g.rcode);
	if (b->full || b->n > most) {
		buf_clear(b);
		b->full = false;
		put_header(b, q, flags | TC, g.rcode);
		put_opt(b, q, g.rcode);
	}
}
