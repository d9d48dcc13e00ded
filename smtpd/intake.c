/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/text.h"
#include "smtpd/intake.h"

enum {
	CONTENT_MOST = 2 << 20,         /* while the file is under way, with what the socket had */
	HASTE = 1 << 20,                /* octets of a file that go on to the disk together */
	CRUMB = 4 << 10,                /* pieces up to this are put together before they are written */
	CRUMBS_MOST = 32 << 10,
};

void
intake_begin(struct intake *in, bool signs)
{
	*in = (struct intake){ .file = -1, .signs = signs };
	in->arena = arena_new(INTAKE_ARENA);
	in->content = BUF(CONTENT_MOST);
	in->crumbs = BUF(CRUMBS_MOST);
}

void
intake_end(struct intake *in)
{
	buf_free(&in->content);
	buf_free(&in->crumbs);
	bodies_free(&in->bodies);
	arena_free(in->arena);
	if (in->file != -1)
		close(in->file);
	*in = (struct intake){ .file = -1 };
}

void
intake_refuse(struct intake *in, struct status flaw)
{
	bug_if(status_good(flaw));      /* it would be acknowledged, and be nowhere */
	if (in->flaw.class == 0)
		in->flaw = flaw;
	in->wants_file = false;
}

/* --- header --------------------------------------------------------------------- */

static void
parse_header(struct intake *in, size_t length)
{
	struct slice block = arena_copy(in->arena, slice_head(buf_slice(&in->content), length));
	struct error why = { 0 };

	in->header_done = true;
	if (block.p == NULL || (in->verdict = arena_get(in->arena, sizeof *in->verdict)) == NULL) {
		intake_refuse(in, STATUS(452, 4, 3, 1,
			    "the header is too much for this machine now"));
	} else if (!header_parse(&in->header, block, in->arena, &why)) {
		struct slice text = arena_copy(in->arena, slice(why.text));

		intake_refuse(in, status_make(550, 5, 6, 0, text));
	} else if (in->header.count > HEADER_FIELDS) {
		intake_refuse(in, STATUS(550, 5, 6, 0, "more than 2000 header fields"));
	} else {
		if (in->signs)
			bodies_add(&in->bodies, CANON_RELAXED, BODY_WHOLE);
		if (!verdict_begin(in->verdict, &in->header, &in->bodies, in->arena))
			intake_refuse(in, STATUS(452, 4, 3, 1,
			    "the header is too much for this machine now"));
	}
}

/* Where the empty line begins, or SIZE_MAX when it has not come. */
static size_t
find_header_end(struct intake *in)
{
	struct slice all = buf_slice(&in->content);
	size_t from = in->scanned > 3 ? in->scanned - 3 : 0;
	const char *at;

	if (slice_starts(all, S("\r\n")))
		return 0;
	at = memmem(all.p + from, all.n - from, "\r\n\r\n", 4);
	in->scanned = all.n;
	return at != NULL ? (size_t)(at - all.p) + 2 : SIZE_MAX;
}

static void
look_for_header(struct intake *in)
{
	size_t length = in->content.n >= 2 ? find_header_end(in) : SIZE_MAX;

	if (length == SIZE_MAX ? in->content.n > INTAKE_HEADER : length > INTAKE_HEADER) {
		in->header_done = true;
		intake_refuse(in, STATUS(552, 5, 3, 4, "the header is too large"));
	} else if (length != SIZE_MAX) {
		parse_header(in, length);
		if (in->flaw.class == 0)
			bodies_update(&in->bodies, slice_skip(buf_slice(&in->content), length + 2));
	}
}

/* --- content ---------------------------------------------------------------------- */

/* The disk works while the rest still comes: the client waits for the flush at its end. */
static void
hasten(struct intake *in)
{
	if (in->written < in->hastened + HASTE)
		return;
	file_hasten(in->file, (off_t)in->hastened, (off_t)(in->written - in->hastened));
	in->hastened = in->written;
}

/* The crumbs, and what came behind them, in one call. */
static void
write_out(struct intake *in, struct slice text)
{
	struct iovec pieces[] = { { in->crumbs.p, in->crumbs.n },
		{ (void *)(uintptr_t)text.p, text.n } };
	struct error why = { 0 };

	in->sum = crc32c(crc32c(in->sum, buf_slice(&in->crumbs)), text);
	if (file_write_pieces(in->file, pieces, 2, (off_t)in->written, &why)) {
		in->written += in->crumbs.n + text.n;
		buf_clear(&in->crumbs);
		hasten(in);
		return;
	}
	if (why.number == ENOSPC || why.number == EDQUOT)
		intake_refuse(in, STATUS(452, 4, 3, 1, "no space left for the message"));
	else
		intake_refuse(in, STATUS(451, 4, 3, 0, "the message cannot be written"));
}

/* Text comes in long pieces and, where they were cut, in very short ones. */
static void
add_to_file(struct intake *in, struct slice text)
{
	if (text.n > CRUMB || !buf_add(&in->crumbs, text))
		write_out(in, text);
}

void
intake_file(struct intake *in, int fd, uint64_t number)
{
	bug_if(in->file != -1);
	in->file = fd;
	in->file_number = number;
	in->wants_file = false;
	write_out(in, buf_slice(&in->content));
	buf_free(&in->content);
}

static void
keep(struct intake *in, struct slice text)
{
	if (in->file != -1) {
		add_to_file(in, text);
		return;
	}
	if (!buf_add(&in->content, text))
		intake_refuse(in, STATUS(452, 4, 3, 1, "no space for the message now"));
	in->wants_file = in->header_done && in->content.n > INTAKE_MEMORY;
}

void
intake_add(struct intake *in, struct slice text)
{
	if (in->flaw.class != 0)
		return;
	in->size += text.n;
	in->eight_bit = in->eight_bit || !ascii_only(text);
	keep(in, text);
	if (in->flaw.class != 0)
		return;
	if (in->header_done)
		bodies_update(&in->bodies, text);
	else
		look_for_header(in);
}

void
intake_finish(struct intake *in)
{
	if (!in->header_done && in->flaw.class == 0)
		parse_header(in, in->content.n);
	if (in->flaw.class == 0 && in->crumbs.n > 0)
		write_out(in, NONE);
	if (in->flaw.class == 0)
		bodies_finish(&in->bodies);
}
