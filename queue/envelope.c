/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "base/pack.h"
#include "queue/envelope.h"

enum {
	SMALLEST_RECIPIENT = 4 + 4 + 1 + 4,     /* packed: two lengths, bits, parent */
	SPAN_BYTES = 16,
	NOTIFY_BITS = NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY,
};

/* Bits of the packed form: they never change their meaning. */
enum {
	BIT_RELAYED = 1, BIT_SMTPUTF8 = 2, BIT_EIGHT_BIT = 4, BIT_REQUIRETLS = 8,
	BIT_TLS_OPTIONAL = 16, BIT_HASHED = 32, BIT_HOLD = 64, BIT_UNCOUNTED = 128, BIT_SRS = 256,
	BIT_BULK = 512, BIT_SUMMED = 1024,
	BITS_KNOWN = 2047,
};

/* --- packing ---------------------------------------------------------------- */

static void
pack_recipients(const struct recipient *r, size_t count, struct buf *b)
{
	bug_if(count > RECIPIENTS_MOST);
	pack_u32(b, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		pack_slice(b, r[i].address);
		pack_slice(b, r[i].orcpt);
		pack_u8(b, (uint8_t)r[i].notify);
		pack_u32(b, r[i].parent);
	}
}

static void
pack_spans(const struct span *s, size_t count, struct buf *b)
{
	pack_u32(b, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		pack_u64(b, s[i].at);
		pack_u64(b, s[i].n);
	}
}

static uint16_t
bits_of(const struct envelope *e)
{
	return (uint16_t)((e->relayed ? BIT_RELAYED : 0) | (e->smtputf8 ? BIT_SMTPUTF8 : 0) |
	    (e->eight_bit ? BIT_EIGHT_BIT : 0) | (e->requiretls ? BIT_REQUIRETLS : 0) |
	    (e->tls_optional ? BIT_TLS_OPTIONAL : 0) | (e->uncounted ? BIT_UNCOUNTED : 0) |
	    (e->hashed ? BIT_HASHED : 0) | (e->hold ? BIT_HOLD : 0) | (e->srs ? BIT_SRS : 0) |
	    (e->bulk ? BIT_BULK : 0) | (e->summed ? BIT_SUMMED : 0));
}

void
envelope_pack(const struct envelope *e, struct buf *b)
{
	pack_u16(b, ENVELOPE_VERSION);
	pack_u64(b, e->id);
	pack_u64(b, (uint64_t)e->arrival);
	pack_u16(b, bits_of(e));
	pack_slice(b, e->sender);
	pack_recipients(e->recipients, e->count, b);
	pack_slice(b, e->listener);
	pack_slice(b, slice_of(e->client.bytes, e->client.n));
	pack_slice(b, e->helo);
	pack_slice(b, e->login);
	pack_u8(b, (uint8_t)e->ret);
	pack_slice(b, e->envid);
	pack_slice(b, e->trace);
	pack_spans(e->omit, e->omitted, b);
	pack_u64(b, e->header_size);
	pack_u64(b, e->size);
	if (e->hashed)
		buf_add(b, slice_of(e->body_hash, BODY_HASH));
	if (e->summed)
		pack_u32(b, e->content_sum);
	pack_slice(b, e->verdict);
	pack_u64(b, e->parent);
	pack_u32(b, e->parent_recipient);
}

struct envelope
envelope_summary(const struct envelope *e)
{
	struct envelope s = *e;

	s.trace = s.verdict = s.login = s.listener = s.helo = s.envid = NONE;
	s.client = (struct ip){ .n = 0 };
	s.omit = NULL;
	s.omitted = 0;
	s.hashed = s.summed = false;
	return s;
}

struct checksum
envelope_checksum(const struct envelope *e)
{
	return (struct checksum){ e->summed, 0, e->content_sum };
}

/* --- unpacking ---------------------------------------------------------------- */

static bool
no_room(struct error *why)
{
	return error_set(why, "the envelope needs more memory than it may have");
}

/*
 * At most so many as there are bytes for, so that a wrong number costs no
 * memory; `first` is the number of the first, a parent stands before its child.
 */
static bool
unpack_recipients(struct unpack *u, uint32_t first, struct recipient **recipients_r,
    size_t *count_r, struct arena *arena, struct error *why)
{
	uint32_t count = unpack_u32(u);
	struct recipient *r;

	if (u->bad || count > RECIPIENTS_MOST || count > u->left.n / SMALLEST_RECIPIENT)
		return error_set(why, "the envelope has an impossible number of recipients");
	if ((r = arena_get(arena, (size_t)count * sizeof *r)) == NULL)
		return no_room(why);
	for (uint32_t i = 0; i < count; i++) {
		r[i].address = unpack_slice(u);
		r[i].orcpt = unpack_slice(u);
		r[i].notify = unpack_u8(u);
		r[i].parent = unpack_u32(u);
		if (u->bad || r[i].notify > NOTIFY_BITS ||
		    (r[i].parent != NO_RECIPIENT && r[i].parent >= first + i))
			return error_set(why, "recipient %u of the envelope is damaged", first + i);
	}
	*recipients_r = r;
	*count_r = count;
	return true;
}

static bool
unpack_spans(struct unpack *u, struct envelope *e, struct arena *arena, struct error *why)
{
	uint32_t count = unpack_u32(u);

	if (u->bad || count > u->left.n / SPAN_BYTES)
		return error_set(why, "the envelope omits an impossible number of ranges");
	if ((e->omit = arena_get(arena, (size_t)count * sizeof *e->omit)) == NULL)
		return no_room(why);
	e->omitted = count;
	for (uint32_t i = 0; i < count; i++) {
		e->omit[i].at = unpack_u64(u);
		e->omit[i].n = unpack_u64(u);
	}
	return true;
}

static bool
spans_proper(const struct envelope *e)
{
	uint64_t end = 0;

	for (size_t i = 0; i < e->omitted; i++) {
		const struct span *s = &e->omit[i];

		if (s->n == 0 || s->at < end || s->at > e->header_size ||
		    s->n > e->header_size - s->at)
			return false;
		end = s->at + s->n;
	}
	return e->header_size <= e->size && e->size <= INT64_MAX;
}

static void
unpack_bits(struct unpack *u, struct envelope *e)
{
	unsigned bits = unpack_u16(u);

	u->bad = u->bad || bits > BITS_KNOWN;
	e->relayed = bits & BIT_RELAYED;
	e->smtputf8 = bits & BIT_SMTPUTF8;
	e->eight_bit = bits & BIT_EIGHT_BIT;
	e->requiretls = bits & BIT_REQUIRETLS;
	e->tls_optional = bits & BIT_TLS_OPTIONAL;
	e->uncounted = bits & BIT_UNCOUNTED;
	e->hashed = bits & BIT_HASHED;
	e->hold = bits & BIT_HOLD;
	e->srs = bits & BIT_SRS;
	e->bulk = bits & BIT_BULK;
	e->summed = bits & BIT_SUMMED;
}

static void
unpack_body_hash(struct unpack *u, struct envelope *e)
{
	u->bad = u->bad || u->left.n < BODY_HASH;
	if (u->bad)
		return;
	memcpy(e->body_hash, u->left.p, BODY_HASH);
	u->left = slice_skip(u->left, BODY_HASH);
}

static void
unpack_origin(struct unpack *u, struct envelope *e)
{
	struct slice client;

	e->listener = unpack_slice(u);
	client = unpack_slice(u);
	if (client.n == 4 || client.n == 16)
		e->client = ip_of(client);
	u->bad = u->bad || e->client.n != client.n;
	e->helo = unpack_slice(u);
	e->login = unpack_slice(u);
	e->ret = (enum ret)unpack_u8(u);
	e->envid = unpack_slice(u);
}

static bool
version_known(struct unpack *u, const char *what, struct error *why)
{
	uint16_t version = unpack_u16(u);

	return version == ENVELOPE_VERSION || error_set(why,
	    "the %s has version %u, this program knows up to %d", what, version, ENVELOPE_VERSION);
}

bool
envelope_unpack(struct envelope *e, struct slice bytes, struct arena *arena, struct error *why)
{
	struct unpack u = { bytes, false };

	*e = (struct envelope){ 0 };
	if (!version_known(&u, "envelope", why))
		return false;
	e->id = unpack_u64(&u);
	e->arrival = (int64_t)unpack_u64(&u);
	unpack_bits(&u, e);
	e->sender = unpack_slice(&u);
	if (!unpack_recipients(&u, 0, &e->recipients, &e->count, arena, why))
		return false;
	unpack_origin(&u, e);
	e->trace = unpack_slice(&u);
	if (!unpack_spans(&u, e, arena, why))
		return false;
	e->header_size = unpack_u64(&u);
	e->size = unpack_u64(&u);
	if (e->hashed)
		unpack_body_hash(&u, e);
	if (e->summed)
		e->content_sum = unpack_u32(&u);
	e->verdict = unpack_slice(&u);
	e->parent = unpack_u64(&u);
	e->parent_recipient = unpack_u32(&u);
	if (!unpack_done(&u) || e->id == 0 || e->id > ID_MOST || e->parent > ID_MOST ||
	    e->ret > RET_HDRS || e->arrival < 0 || !spans_proper(e))
		return error_set(why, "the envelope is damaged");
	return true;
}

/* --- what goes out ---------------------------------------------------------- */

/* Piece 0 is the trace, piece i + 1 stands before omitted range i; empty ones are passed over. */
bool
envelope_piece(const struct envelope *e, size_t *at, struct piece *piece)
{
	while (*at <= e->omitted + 1) {
		size_t i = (*at)++;
		uint64_t from, to;

		if (i == 0) {
			*piece = (struct piece){ true, { 0, e->trace.n } };
		} else {
			from = i == 1 ? 0 : e->omit[i - 2].at + e->omit[i - 2].n;
			to = i <= e->omitted ? e->omit[i - 1].at : e->size;
			*piece = (struct piece){ false, { from, to - from } };
		}
		if (piece->span.n > 0)
			return true;
	}
	return false;
}

uint64_t
envelope_size(const struct envelope *e)
{
	uint64_t size = e->trace.n + e->size;

	for (size_t i = 0; i < e->omitted; i++)
		size -= e->omit[i].n;
	return size;
}

/* --- how a recipient stands --------------------------------------------------- */

void
state_pack(const struct recipient_state *s, struct buf *b)
{
	pack_u16(b, ENVELOPE_VERSION);
	pack_u32(b, s->recipient);
	pack_u8(b, (uint8_t)s->stage);
	pack_u64(b, (uint64_t)s->until);
	pack_u64(b, (uint64_t)s->tried);
	pack_u32(b, s->attempts);
	pack_u8(b, (uint8_t)s->told);
	pack_slice(b, s->host);
	pack_u16(b, (uint16_t)status_pack_reply(&s->last));
	pack_u16(b, (uint16_t)s->last.class);
	pack_u16(b, (uint16_t)s->last.subject);
	pack_u16(b, (uint16_t)s->last.detail);
	pack_slice(b, s->last.text);
	if (s->stage == RECIPIENT_EXPANDED) {
		pack_u32(b, s->first);
		pack_recipients(s->made, s->count, b);
	}
}

uint32_t
state_recipient(struct slice bytes)
{
	struct unpack u = { bytes, false };
	uint16_t version = unpack_u16(&u);
	uint32_t recipient = unpack_u32(&u);

	return version == ENVELOPE_VERSION && !u.bad && recipient < RECIPIENTS_MOST ?
	    recipient : NO_RECIPIENT;
}

const struct recipient_state *
state_find(const struct recipient_state *states, size_t n, uint32_t recipient)
{
	size_t low = 0;

	while (low < n) {
		size_t middle = low + (n - low) / 2;

		if (states[middle].recipient == recipient)
			return &states[middle];
		if (states[middle].recipient < recipient)
			low = middle + 1;
		else
			n = middle;
	}
	return NULL;
}

static void
unpack_last(struct unpack *u, struct status *last)
{
	status_unpack_reply(last, unpack_u16(u));
	last->class = unpack_u16(u);
	last->subject = unpack_u16(u);
	last->detail = unpack_u16(u);
	last->text = unpack_slice(u);
}

bool
state_unpack(struct recipient_state *s, struct slice bytes, struct arena *arena,
    struct error *why)
{
	struct unpack u = { bytes, false };

	*s = (struct recipient_state){ 0 };
	if (!version_known(&u, "recipient's state", why))
		return false;
	s->recipient = unpack_u32(&u);
	s->stage = (enum recipient_stage)unpack_u8(&u);
	s->until = (int64_t)unpack_u64(&u);
	s->tried = (int64_t)unpack_u64(&u);
	s->attempts = unpack_u32(&u);
	s->told = unpack_u8(&u);
	s->host = unpack_slice(&u);
	unpack_last(&u, &s->last);
	if (s->stage == RECIPIENT_EXPANDED) {
		s->first = unpack_u32(&u);
		if (s->first > RECIPIENTS_MOST ||
		    !unpack_recipients(&u, s->first, &s->made, &s->count, arena, why))
			return error_set(why, "the recipient's state makes impossible recipients");
	}
	if (!unpack_done(&u) || s->recipient >= RECIPIENTS_MOST || s->told > NOTIFY_BITS ||
	    s->stage < RECIPIENT_WAITING || s->stage > RECIPIENT_EXPANDED ||
	    s->first + s->count > RECIPIENTS_MOST || s->until < 0 || s->tried < 0)
		return error_set(why, "the recipient's state is damaged");
	return true;
}
