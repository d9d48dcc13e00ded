/* SPDX-License-Identifier: ISC */
/*
 * A question packet: whatever it is, the answer is well-formed, belongs to it,
 * and is no longer than the asker can take.
 */
#include "small_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static unsigned
at16(struct slice p, size_t at)
{
	return (unsigned)(unsigned char)p.p[at] << 8 | (unsigned char)p.p[at + 1];
}

static size_t
skip_name(struct slice p, size_t at)
{
	for (;;) {
		unsigned n;

		bug_if(at >= p.n);
		n = (unsigned char)p.p[at];
		if (n >= 0xc0) {
			bug_if(at + 2 > p.n || (at16(p, at) & 0x3fff) >= at);
			return at + 2;
		}
		at += 1 + n;
		if (n == 0)
			return at;
	}
}

/* Every record that is counted is there, and nothing behind. */
static void
walk(struct slice p)
{
	unsigned questions = at16(p, 4), records = at16(p, 6) + at16(p, 8) + at16(p, 10);
	size_t at = DNS_HEADER;

	for (; questions > 0; questions--)
		at = skip_name(p, at) + 4;
	for (; records > 0; records--) {
		at = skip_name(p, at) + 10;
		bug_if(at > p.n);
		at += at16(p, at - 2);
	}
	bug_if(at != p.n);
}

static void
ask(const struct dns_world *w, const struct dns_question *q, size_t most)
{
	struct buf answer = BUF(DNS_TCP_MOST);

	dns_answer(w, q, most, &answer);
	bug_if(answer.n < DNS_HEADER || answer.n > most || answer.full);
	bug_if(at16(buf_slice(&answer), 0) != q->id || !(answer.p[2] & 0x80));
	walk(buf_slice(&answer));
	buf_free(&answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *arena;
	static struct dns_world *w;
	struct dns_question q;
	char name[NAME_WIRE];

	if (w == NULL)
		w = small_world(arena = arena_new(16 << 20));
	if (!dns_question_read(slice_of(data, size), &q))
		return 0;
	bug_if(dns_question_name(&q, name).n >= sizeof name);
	ask(w, &q, DNS_TCP_MOST);
	ask(w, &q, DNS_UDP_LEAST);
	return 0;
}
