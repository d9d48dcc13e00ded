/* SPDX-License-Identifier: ISC */
/* pure */
#include "queue/order.h"

enum { RECIPIENTS_MOST = 100000 };

static void
pack_status(struct buf *b, const struct status *s)
{
	pack_u16(b, (uint16_t)status_pack_reply(s));
	pack_u8(b, (uint8_t)s->class);
	pack_u16(b, (uint16_t)s->subject);
	pack_u16(b, (uint16_t)s->detail);
	pack_slice(b, s->text);
}

static struct status
unpack_status(struct unpack *u)
{
	struct status s = { 0 };

	status_unpack_reply(&s, unpack_u16(u));
	s.class = unpack_u8(u);
	s.subject = unpack_u16(u);
	s.detail = unpack_u16(u);
	s.text = unpack_slice(u);
	return s;
}

void
order_pack(const struct order *o, struct buf *b)
{
	pack_u64(b, o->number);
	pack_u64(b, o->id);
	pack_u8(b, o->kind);
	pack_slice(b, o->domain);
	pack_slice(b, o->place);
	pack_slice(b, o->sender);
	pack_u32(b, o->count);
	for (uint32_t i = 0; i < o->count; i++) {
		pack_u32(b, o->recipients[i].index);
		pack_slice(b, o->recipients[i].address);
		pack_slice(b, o->recipients[i].orcpt);
		pack_u8(b, (uint8_t)o->recipients[i].notify);
	}
	pack_u8(b, (uint8_t)(o->eight_bit | o->smtputf8 << 1 | o->requiretls << 2 |
	    o->tls_optional << 3 | o->in_file << 4 | o->uncounted << 5 | o->file_sum.known << 6));
	pack_u8(b, o->ret);
	pack_slice(b, o->envid);
	pack_u64(b, (uint64_t)o->arrived);
	pack_slice(b, o->head);
	pack_slice(b, o->body);
	pack_u64(b, o->file_at);
	pack_u64(b, o->file_size);
	pack_u32(b, o->file_sum.sum);
	pack_u32(b, o->file_sum.whole);
}

/* So many things of at least `least` bytes each can still be in there. */
static bool
plausible(const struct unpack *u, uint32_t count, size_t least)
{
	return !u->bad && count <= RECIPIENTS_MOST && count <= u->left.n / least;
}

static bool
unpack_recipients(struct unpack *u, struct order *o, struct arena *arena)
{
	o->count = unpack_u32(u);
	if (!plausible(u, o->count, 13))
		return false;
	if ((o->recipients = arena_get(arena, (o->count + 1) * sizeof *o->recipients)) == NULL)
		return false;
	for (uint32_t i = 0; i < o->count; i++) {
		o->recipients[i].index = unpack_u32(u);
		o->recipients[i].address = unpack_slice(u);
		o->recipients[i].orcpt = unpack_slice(u);
		o->recipients[i].notify = unpack_u8(u);
	}
	return !u->bad && o->count > 0;
}

bool
order_unpack(struct order *o, struct slice bytes, struct arena *arena)
{
	struct unpack u = { .left = bytes };
	unsigned kind, flags, ret;

	*o = (struct order){ .number = unpack_u64(&u), .id = unpack_u64(&u) };
	kind = unpack_u8(&u);
	o->domain = unpack_slice(&u);
	o->place = unpack_slice(&u);
	o->sender = unpack_slice(&u);
	if (!unpack_recipients(&u, o, arena))
		return false;
	flags = unpack_u8(&u);
	ret = unpack_u8(&u);
	o->envid = unpack_slice(&u);
	o->arrived = (int64_t)unpack_u64(&u);
	o->head = unpack_slice(&u);
	o->body = unpack_slice(&u);
	o->file_at = unpack_u64(&u);
	o->file_size = unpack_u64(&u);
	o->file_sum.sum = unpack_u32(&u);
	o->file_sum.whole = unpack_u32(&u);
	if (!unpack_done(&u) || kind > ORDER_MAILDIR || ret > RET_HDRS)
		return false;
	o->kind = (enum order_kind)kind;
	o->ret = (enum ret)ret;
	o->eight_bit = flags & 1;
	o->smtputf8 = flags & 2;
	o->requiretls = flags & 4;
	o->tls_optional = flags & 8;
	o->uncounted = flags & 32;
	o->file_sum.known = flags & 64;
	o->in_file = flags & 16;
	return true;
}

void
order_result_pack(const struct order_result *r, struct buf *b)
{
	pack_u64(b, r->number);
	pack_u64(b, r->id);
	pack_u32(b, r->count);
	for (uint32_t i = 0; i < r->count; i++) {
		pack_u32(b, r->outcomes[i].index);
		pack_status(b, &r->outcomes[i].status);
	}
	pack_slice(b, r->host);
	pack_slice(b, r->peer);
	pack_slice(b, r->tls);
	pack_slice(b, r->policy);
	pack_slice(b, r->trust);
	pack_u8(b, (uint8_t)(r->dsn_passed | r->refused << 1 | r->unreadable << 2));
	pack_slice(b, r->story);
}

bool
order_result_unpack(struct order_result *r, struct slice bytes, struct arena *arena)
{
	struct unpack u = { .left = bytes };
	unsigned flags;

	*r = (struct order_result){ .number = unpack_u64(&u), .id = unpack_u64(&u) };
	r->count = unpack_u32(&u);
	if (!plausible(&u, r->count, 15))
		return false;
	if ((r->outcomes = arena_get(arena, (r->count + 1) * sizeof *r->outcomes)) == NULL)
		return false;
	for (uint32_t i = 0; i < r->count; i++) {
		r->outcomes[i].index = unpack_u32(&u);
		r->outcomes[i].status = unpack_status(&u);
	}
	r->host = unpack_slice(&u);
	r->peer = unpack_slice(&u);
	r->tls = unpack_slice(&u);
	r->policy = unpack_slice(&u);
	r->trust = unpack_slice(&u);
	flags = unpack_u8(&u);
	r->dsn_passed = flags & 1;
	r->refused = flags & 2;
	r->unreadable = flags & 4;
	r->story = unpack_slice(&u);
	return unpack_done(&u);
}

const struct order_outcome *
order_outcome_of(const struct order_result *r, uint32_t index)
{
	for (uint32_t i = 0; i < r->count; i++)
		if (r->outcomes[i].index == index)
			return &r->outcomes[i];
	return NULL;
}
