/* SPDX-License-Identifier: ISC */
/*
 * The first byte is how the stream is cut, the first line a Content-Type, the
 * rest a body.  The delimiters must be the same in one piece and in many, and
 * stand where they are said to.
 */
#include <stdlib.h>

#include "base/bug.h"
#include "mail/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
add_event(struct buf *events, const struct multipart *m, struct slice body)
{
	struct slice line = slice_skip(slice_head(body, m->taken), m->line);

	bug_if(!slice_starts(line, S("--")) || !slice_starts(slice_skip(line, 2), m->boundary));
	bug_if(m->line > 0 && !slice_endsi(slice_head(body, m->line), S("\r\n")));
	buf_printf(events, "%zu-%zu %d|", (size_t)m->line, (size_t)m->taken, m->closed);
}

static void
find(struct slice body, struct slice boundary, size_t step, struct buf *events)
{
	struct multipart m;

	multipart_begin(&m, boundary);
	for (struct slice left = body; left.n; left = slice_skip(left, step)) {
		struct slice input = slice_head(left, step);

		while (multipart_next(&m, &input))
			add_event(events, &m, body);
		bug_if(input.n > 0);
	}
	if (multipart_finish(&m))
		add_event(events, &m, body);
	bug_if(m.taken != body.n);
	buf_printf(events, "%d %d %zu", m.odd, m.stray, (size_t)m.parts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice body = slice_skip(slice_of(data, size), 1), type;
	struct arena *arena = arena_new(1 << 20);
	struct mime_value v;

	if (slice_cut(&body, '\n', &type)) {
		struct buf whole = BUF(64 << 20), cut = BUF(64 << 20);

		mime_value_parse(&v, type, arena);
		bug_if(v.count > MIME_PARAMETERS);
		if (mime_boundary(&v).n > 0) {
			find(body, mime_boundary(&v), body.n + 1, &whole);
			find(body, mime_boundary(&v), data[0] % 32 + 1, &cut);
			bug_if(!slice_eq(buf_slice(&whole), buf_slice(&cut)));
		}
		buf_free(&whole);
		buf_free(&cut);
	}
	arena_free(arena);
	return 0;
}
