/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "base/text.h"
#include "mail/joint.h"

void
joint_begin(struct joint *j, enum mime_encoding encoding)
{
	bug_if(encoding == MIME_BINARY || encoding == MIME_OTHER);
	*j = (struct joint){ .encoding = encoding, .said = '\n' };
}

/* --- looking ---------------------------------------------------------------- */

static void
look_at_end(struct joint *j, struct slice s)
{
	char last = s.p[s.n - 1];
	bool cr = s.n > 1 ? s.p[s.n - 2] == '\r' : j->cr;

	j->mid_line = !(last == '\n' && cr);
	j->cr = last == '\r';
	j->taken += s.n;
}

/* White space at the end of a line does not count (RFC 2045 6.7 rule 3). */
static void
look_at_quoted(struct joint *j, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\n') {
			j->soft = j->equals;
			j->equals = false;
		} else if (c != '\r' && !is_wsp(c)) {
			j->equals = c == '=';
			j->soft = false;
		}
	}
}

static void
take_letter(struct joint *j, int bits, uint64_t at, bool mid_line)
{
	if (j->letters == 0) {
		j->group = at;
		j->group_mid_line = mid_line;
	}
	j->bits = j->bits << 6 | (uint32_t)bits;
	if (++j->letters == 4) {
		j->said = (char)j->bits;
		j->letters = 0;
	}
}

static void
look_at_base64(struct joint *j, struct slice s)
{
	bool mid_line = j->mid_line;

	for (size_t i = 0; i < s.n; i++) {
		int bits = base64_value(s.p[i]);

		if (s.p[i] == '=' && j->letters >= 2 && j->letters + j->pads < 4)
			j->pads++;
		else if (bits >= 0 && j->pads == 0)
			take_letter(j, bits, j->taken + i, mid_line);
		else if (!is_space(s.p[i]))
			j->broken = true;
		mid_line = s.p[i] != '\n';
	}
}

void
joint_look(struct joint *j, struct slice s)
{
	if (s.n == 0)
		return;
	if (j->encoding == MIME_QUOTED_PRINTABLE)
		look_at_quoted(j, s);
	else if (j->encoding == MIME_BASE64)
		look_at_base64(j, s);
	look_at_end(j, s);
}

/* --- joining ---------------------------------------------------------------- */

/* "=" at the end of a line says that the line goes on: an empty one ends it. */
static void
join_quoted(const struct joint *j, struct slice text, struct buf *b)
{
	if (j->mid_line)
		buf_add(b, S("\r\n"));
	if (j->soft || j->equals)
		buf_add(b, S("\r\n"));
	quoted_printable_add(b, text);
}

/* The bytes of the group that is not whole, their number; -1: it is broken. */
static int
rest_of_group(const struct joint *j, char rest[2])
{
	int n = j->letters == 0 ? 0 : (int)j->letters - 1;
	uint32_t bits = n == 1 ? j->bits >> 4 : j->bits >> 2;

	if (j->broken || j->pads != (j->letters == 0 ? 0 : 4 - j->letters))
		return -1;
	if (n > 0 && (j->bits & (n == 1 ? 15 : 3)) != 0)
		return -1;                              /* bits that belong to no byte */
	for (int i = n; i-- > 0; bits >>= 8)
		rest[i] = (char)bits;
	return n;
}

static bool
join_base64(const struct joint *j, struct slice text, struct buf *b, uint64_t *at)
{
	struct buf bytes = BUF(text.n + 4);
	char rest[2];
	int n = rest_of_group(j, rest);

	if (n < 0)
		return false;
	buf_add(&bytes, slice_of(rest, (size_t)n));
	if ((n > 0 ? rest[n - 1] : j->said) != '\n')
		buf_add(&bytes, S("\r\n"));
	buf_add(&bytes, text);
	*at = n > 0 ? j->group : j->taken;
	if (n > 0 ? j->group_mid_line : j->mid_line)
		buf_add(b, S("\r\n"));
	base64_lines_add(b, buf_slice(&bytes));
	buf_free(&bytes);
	return true;
}

bool
joint_make(const struct joint *j, struct slice text, struct buf *b, uint64_t *at)
{
	*at = j->taken;
	if (j->encoding == MIME_BASE64)
		return join_base64(j, text, b, at);
	if (j->encoding == MIME_QUOTED_PRINTABLE) {
		join_quoted(j, text, b);
	} else {
		if (j->mid_line)
			buf_add(b, S("\r\n"));
		buf_add(b, text);
	}
	return true;
}
