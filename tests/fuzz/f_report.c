/* SPDX-License-Identifier: ISC */
/*
 * A report about strangers' words, which stand in the input, NUL between them:
 * status text, host, ORCPT, ENVID, and the message.  Whatever they are, it has
 * three parts, its lines are whole, and its second part is fields.
 *
 * The first byte: action, RET, and whether an address is not ASCII.
 */
#include "base/bug.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "queue/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Up to the attached message, which is as long as its own lines are. */
static void
check_lines(struct slice s)
{
	struct slice line;

	while (slice_cut(&s, '\n', &line)) {
		bug_if(line.n == 0 || line.n > 999 || line.p[line.n - 1] != '\r');
		bug_if(slice_find(line, '\0') < line.n || slice_find(line, '\r') < line.n - 1);
	}
}

static void
check(struct slice text, struct slice original, struct arena *arena)
{
	size_t n = header_length(text), blocks = 0;
	struct mime_entity e;
	struct multipart m;
	struct header h;
	struct slice body = slice_skip(text, n), rest = body, status;
	uint64_t ends[5] = { 0 }, begins[5] = { 0 };
	unsigned parts = 0;

	bug_if(!header_parse(&h, slice_head(text, n), arena, NULL) || h.count < 8);
	mime_entity_of(&h, arena, &e);
	multipart_begin(&m, mime_boundary(&e.type));
	while (multipart_next(&m, &rest) && parts < 5) {
		ends[parts] = m.line;
		begins[parts++] = m.taken;
	}
	if (memmem(original.p, original.n, m.boundary.p, m.boundary.n) != NULL)
		return;                         /* it guessed our identifier */
	bug_if(parts != (original.n > 0 ? 4 : 3) || !m.closed);
	check_lines(slice_head(text, n + (size_t)begins[2]));
	status = slice_skip(slice_head(body, (size_t)ends[2] - 2), (size_t)begins[1]);
	status = slice_skip(status, header_length(status) + 2);
	for (; status.n > 0; status = slice_skip(status, header_length(status) + 2), blocks++)
		bug_if(!header_parse(&h, slice_head(status, header_length(status)), arena, NULL) || h.count == 0);
	bug_if(blocks != 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = size > 0 ? data[0] : 0;
	struct slice words = slice_skip(slice_of(data, size), 1);
	struct report_recipient one = { .address = how & 8 ? S("\xc3\xa4@x.test") : S("a@x.test"),
		.action = (enum report_action)(how % 5), .status = { .reply = 550, .class = 5 }, .tried = 1000 };
	struct report r = { .hostname = S("mx.local.test"), .to = S("s@sender.test"), .id = 123456789,
		.about = 5, .arrived = 1, .now = 2, .until = 3, .recipients = &one, .count = 1, .full = how & 16 };
	struct arena *arena = arena_new(16 << 20);
	struct buf b = BUF(8 << 20);

	slice_cut(&words, '\0', &one.status.text);
	slice_cut(&words, '\0', &one.orcpt);
	slice_cut(&words, '\0', &r.envid);
	r.original = words;
	report_write(&b, &r);
	check(buf_slice(&b), words, arena);
	buf_free(&b);
	arena_free(arena);
	return 0;
}
