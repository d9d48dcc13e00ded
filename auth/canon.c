/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "auth/canon.h"
#include "base/bug.h"

const char *
canon_name(enum canon canon)
{
	return canon == CANON_RELAXED ? "relaxed" : "simple";
}

/* --- header fields (RFC 6376 3.4.1, 3.4.2) ---------------------------------- */

/* Lines joined, runs of white space one blank, none at either end. */
static char *
relaxed_value(struct slice value, char *to)
{
	bool space = false, begun = false;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (c == '\r' || c == '\n')
			continue;
		if (is_wsp(c)) {
			space = true;
			continue;
		}
		if (space && begun)
			*to++ = ' ';
		*to++ = c;
		space = false;
		begun = true;
	}
	return to;
}

static bool
relaxed_field(struct slice whole, struct buf *to)
{
	size_t colon = slice_find(whole, ':');
	struct slice name = slice_trim(slice_head(whole, colon));
	char *start = buf_room(to, whole.n + 3), *p = start;

	if (p == NULL)
		return false;
	for (size_t i = 0; i < name.n; i++)
		*p++ = to_lower(name.p[i]);
	*p++ = ':';
	p = relaxed_value(slice_skip(whole, colon + 1), p);
	*p++ = '\r';
	*p++ = '\n';
	to->n += (size_t)(p - start);
	return true;
}

bool
canon_field(enum canon canon, struct slice whole, struct buf *to)
{
	if (canon == CANON_RELAXED)
		return relaxed_field(whole, to);
	/* The last line of a text may have no end; on the wire it has. */
	return buf_add(to, whole) && (slice_endsi(whole, S("\r\n")) || buf_add(to, S("\r\n")));
}

/* --- bodies: what flows into the hashes ------------------------------------- */

/* The state of the hash of the whole form where a line of it ended. */
struct body_mark {
	struct sha256 hash;
	uint64_t      line;             /* the number of that line, from 1 */
};

bool
bodies_add(struct bodies *b, enum canon canon, uint64_t limit)
{
	struct body_hash *h;

	bug_if(b->started);
	if (bodies_get(b, canon, limit) != NULL)
		return true;
	if (limit != BODY_WHOLE && b->limited++ >= BODIES_LIMITED)
		return false;
	h = &b->hashes[b->count];
	*h = (struct body_hash){ .canon = canon, .limit = limit };
	sha256_begin(&h->hash);
	b->forms[canon].wanted = true;
	b->count++;
	return true;
}

const struct body_hash *
bodies_get(const struct bodies *b, enum canon canon, uint64_t limit)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->hashes[i].canon == canon && b->hashes[i].limit == limit)
			return &b->hashes[i];
	return NULL;
}

/* The next octets of a canonical form, to everyone who still wants them. */
static void
flow(struct bodies *b, enum canon canon, struct slice s)
{
	struct body_form *form = &b->forms[canon];

	for (size_t i = 0; i < b->count; i++) {
		struct body_hash *h = &b->hashes[i];
		uint64_t room = h->limit > form->length ? h->limit - form->length : 0;

		if (h->canon == canon && room > 0)
			sha256_add(&h->hash, room < s.n ? slice_head(s, (size_t)room) : s);
	}
	form->length += s.n;
}

static void
mark_line_end(struct bodies *b, enum canon canon)
{
	struct body_form *form = &b->forms[canon];
	const struct body_hash *whole = bodies_get(b, canon, BODY_WHOLE);

	if (form->marks == NULL || whole == NULL || form->length == 0)
		return;
	form->marks[form->marked++ % b->remembered] = (struct body_mark){
		.hash = whole->hash, .line = form->lines - form->line_ends + 1,
	};
}

/* Something follows: what was held back is part of the form after all. */
static void
release(struct bodies *b, enum canon canon)
{
	static const char ENDS[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
	struct body_form *form = &b->forms[canon];
	uint64_t octets = 2 * form->line_ends;

	if (octets)
		mark_line_end(b, canon);
	while (octets) {
		size_t n = octets < sizeof ENDS - 1 ? (size_t)octets : sizeof ENDS - 1;

		flow(b, canon, slice_of(ENDS, n));
		octets -= n;
	}
	if (form->space)
		flow(b, canon, S(" "));
	if (form->cr)
		flow(b, canon, S("\r"));
	form->line_ends = 0;
	form->space = form->cr = false;
}

/* --- bodies: the canonical forms -------------------------------------------- */

static void
line_end(struct body_form *form)
{
	form->cr = false;
	form->space = false;            /* RFC 6376 3.4.4: none at the end of a line */
	form->line_ends++;
	form->lines++;
}

/* Behind a CR that was held back: was it the first half of a line end? */
static struct slice
after_cr(struct bodies *b, enum canon canon, struct slice s)
{
	if (*s.p != '\n') {
		release(b, canon);      /* no: a bare CR */
		return s;
	}
	line_end(&b->forms[canon]);
	return slice_skip(s, 1);
}

/* How much of s there is before the CRLFs, and maybe a CR, at its end. */
static size_t
before_line_ends(struct slice s)
{
	size_t n = s.n;

	if (n && s.p[n - 1] == '\r')
		n--;
	while (n >= 2 && s.p[n - 2] == '\r' && s.p[n - 1] == '\n')
		n -= 2;
	return n;
}

/* RFC 6376 3.4.3: everything as it is, empty lines at the end held back. */
static void
simple_update(struct bodies *b, struct slice s)
{
	struct body_form *form = &b->forms[CANON_SIMPLE];
	size_t text;

	if (form->cr)
		s = after_cr(b, CANON_SIMPLE, s);
	if ((text = before_line_ends(s)) > 0) {
		release(b, CANON_SIMPLE);
		flow(b, CANON_SIMPLE, slice_head(s, text));
	}
	for (s = slice_skip(s, text); s.n >= 2; s = slice_skip(s, 2))
		line_end(form);
	form->cr = s.n == 1;
}

/* White space that the relaxed form changes: a tab, or any before more of it or a CR. */
static inline bool
irregular(char c, char next)
{
	return c == '\t' || (c == ' ' && (next == ' ' || next == '\t' || next == '\r'));
}

/* The same for 64 bytes and the one behind, without a branch: the compiler takes many at once. */
static bool
any_irregular(const char *p)
{
	unsigned char any = 0;

	for (int i = 0; i < 64; i++)
		any |= (unsigned char)((p[i] == '\t') | ((p[i] == ' ') &
		    ((p[i + 1] == ' ') | (p[i + 1] == '\t') | (p[i + 1] == '\r'))));
	return any != 0;
}

/*
 * Where the first irregular white space stands, or s.n.  The first letters are
 * looked at one by one: messy text would otherwise cost a block for each word.
 */
static size_t
find_irregular(struct slice s)
{
	size_t i = 0;

	for (; i < 16 && i + 1 < s.n; i++)
		if (irregular(s.p[i], s.p[i + 1]))
			return i;
	while (i + 64 < s.n && !any_irregular(s.p + i))
		i += 64;
	for (; i + 1 < s.n; i++)
		if (irregular(s.p[i], s.p[i + 1]))
			return i;
	return s.n;
}

/* How much of s, which begins with a letter, is its own relaxed form whatever follows. */
static size_t
relaxed_already(struct slice s)
{
	size_t n = find_irregular(s);

	for (;;) {
		size_t before = before_line_ends(slice_head(s, n));

		while (before && is_wsp(s.p[before - 1]))
			before--;
		if (before == n)
			return n;
		n = before;
	}
}

/*
 * RFC 6376 3.4.4: white space at the end of lines goes, runs of it become one
 * blank, empty lines at the end go.  Most mail is already so for long stretches;
 * only around irregular white space is it looked at letter by letter.
 */
static void
relaxed_update(struct bodies *b, struct slice s)
{
	struct body_form *form = &b->forms[CANON_RELAXED];

	while (s.n) {
		size_t n = 1;

		if (form->cr) {
			s = after_cr(b, CANON_RELAXED, s);
			continue;
		}
		if (*s.p == '\r') {
			form->cr = true;
		} else if (is_wsp(*s.p)) {
			form->space = true;
		} else {
			n = relaxed_already(s);
			release(b, CANON_RELAXED);
			flow(b, CANON_RELAXED, slice_head(s, n));
		}
		s = slice_skip(s, n);
	}
}

static void
update(struct bodies *b, struct slice piece)
{
	if (b->forms[CANON_SIMPLE].wanted)
		simple_update(b, piece);
	if (b->forms[CANON_RELAXED].wanted)
		relaxed_update(b, piece);
}

void
bodies_update(struct bodies *b, struct slice piece)
{
	b->started = true;
	if (piece.n == 0)
		return;
	if (b->remembered == 0) {
		update(b, piece);
		return;
	}
	/* Line by line, so that every line end passes through release(). */
	while (piece.n) {
		size_t n = slice_find(piece, '\n') + 1;

		update(b, slice_head(piece, n));
		piece = slice_skip(piece, n);
	}
}

void
bodies_finish(struct bodies *b)
{
	struct body_form *simple = &b->forms[CANON_SIMPLE], *relaxed = &b->forms[CANON_RELAXED];

	b->started = b->finished = true;
	if (simple->cr)
		release(b, CANON_SIMPLE);
	if (relaxed->cr)
		release(b, CANON_RELAXED);
	for (int i = 0; i < 2; i++)     /* a last line without an end is a line */
		b->forms[i].lines += b->forms[i].length > 0 && b->forms[i].line_ends == 0;
	/* RFC 6376 3.4.3: an empty body is one CRLF; 3.4.4: it stays empty. */
	flow(b, CANON_SIMPLE, S("\r\n"));
	if (relaxed->length > 0)
		flow(b, CANON_RELAXED, S("\r\n"));
	for (size_t i = 0; i < b->count; i++) {
		struct body_hash *h = &b->hashes[i];

		h->length = b->forms[h->canon].length;
		sha256_end(&h->hash, h->digest);
	}
}

/* --- hints ------------------------------------------------------------------- */

void
bodies_remember(struct bodies *b, size_t lines)
{
	bug_if(b->started || lines == 0);
	b->remembered = lines;
	for (int i = 0; i < 2; i++)
		b->forms[i].marks = must_alloc(lines * sizeof(struct body_mark));
}

void
bodies_free(struct bodies *b)
{
	for (int i = 0; i < 2; i++) {
		free(b->forms[i].marks);
		b->forms[i].marks = NULL;
	}
}

bool
bodies_without_tail(const struct bodies *b, enum canon canon, const unsigned char digest[SHA256_BYTES],
    uint64_t *kept, uint64_t *added)
{
	const struct body_form *form = &b->forms[canon];
	size_t count = form->marked < b->remembered ? form->marked : b->remembered;

	for (size_t i = 0; i < count; i++) {
		const struct body_mark *mark = &form->marks[i];
		struct sha256 hash = mark->hash;
		unsigned char here[SHA256_BYTES];

		sha256_add(&hash, S("\r\n"));
		sha256_end(&hash, here);
		if (memcmp(here, digest, sizeof here) == 0) {
			*kept = mark->line;
			*added = form->lines - mark->line;
			return true;
		}
	}
	return false;
}
