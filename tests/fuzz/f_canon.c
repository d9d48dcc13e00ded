/* SPDX-License-Identifier: ISC */
/*
 * The first byte says how the rest, a body, is cut.  The streaming hashes must
 * be those of the canonical forms made line by line, as RFC 6376 3.4 tells it.
 */
#include <stdlib.h>

#include "auth/canon.h"
#include "base/bug.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
add_relaxed(struct slice line, struct buf *to)
{
	size_t n = line.n;

	while (n && is_wsp(line.p[n - 1]))
		n--;
	for (size_t i = 0; i < n; i++)
		if (!is_wsp(line.p[i]))
			buf_byte(to, line.p[i]);
		else if (!is_wsp(line.p[i + 1]))
			buf_byte(to, ' ');
}

/* One line and its end; false when it is empty. */
static bool
add_line(struct slice line, enum canon canon, struct buf *to)
{
	size_t before = to->n;

	if (canon == CANON_RELAXED)
		add_relaxed(line, to);
	else
		buf_add(to, line);
	buf_add(to, S("\r\n"));
	return to->n > before + 2;
}

/* All of it in memory, one line after the other. */
static void
canonical(struct slice body, enum canon canon, struct buf *to)
{
	size_t kept = 0;

	while (body.n) {
		size_t n = 0;

		while (n < body.n && !slice_starts(slice_skip(body, n), S("\r\n")))
			n++;
		if (add_line(slice_head(body, n), canon, to))
			kept = to->n;
		body = slice_skip(body, n + 2);
	}
	to->n = kept;
	if (canon == CANON_SIMPLE && kept == 0)
		buf_add(to, S("\r\n"));
}

static void
compare(const struct bodies *b, enum canon canon, uint64_t limit, struct slice body)
{
	struct buf form = BUF(4 << 20);
	unsigned char digest[SHA256_BYTES];
	const struct body_hash *h = bodies_get(b, canon, limit);

	canonical(body, canon, &form);
	sha256_of(slice_head(buf_slice(&form), limit), digest);
	bug_if(h->length != form.n);
	bug_if(memcmp(h->digest, digest, sizeof digest) != 0);
	buf_free(&form);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice body = slice_skip(slice_of(data, size), 1), left = body;
	struct bodies b = { 0 };
	size_t step = size ? data[0] + 1u : 1;
	uint64_t limit = size / 2;

	for (int form = 0; form < 2; form++) {
		bodies_add(&b, form, BODY_WHOLE);
		bodies_add(&b, form, limit);
	}
	if (size && data[0] & 1)
		bodies_remember(&b, 3);
	for (; left.n; left = slice_skip(left, step), step = step * 7 % 61 + 1)
		bodies_update(&b, slice_head(left, step));
	bodies_finish(&b);
	for (int form = 0; form < 2; form++) {
		compare(&b, form, BODY_WHOLE, body);
		compare(&b, form, limit, body);
	}
	bodies_free(&b);
	return 0;
}
