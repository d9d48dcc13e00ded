/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "base/pack.h"
#include "base/text.h"
#include "queue/past.h"

enum { WORDS_MOST = (PAST_INDEX - 12) / 4, WORDS_ROOM = 256, WORD_MOST = 4 << 10 };

/* --- a line -------------------------------------------------------------------------- */

bool
past_line(struct slice text, struct past_line *l)
{
	struct slice left = slice_head(text, slice_find(text, '\n'));

	if (!slice_cut(&left, ' ', &l->when) || !slice_cut(&left, ' ', &l->level) ||
	    !slice_cut(&left, ' ', &l->id) || !slice_cut(&left, ' ', &l->event))
		return false;
	l->pairs = left;
	return l->event.n > 0;
}

/* Where the quote ends that begins the text: a backslash hides the next one. */
static size_t
quoted_length(struct slice s)
{
	size_t n = 1;

	while (n < s.n && s.p[n] != '"')
		n += s.p[n] == '\\' && n + 1 < s.n ? 2 : 1;
	return n < s.n ? n : s.n;
}

bool
past_pair(struct slice *left, struct past_pair *p)
{
	size_t n;

	while (left->n > 0 && *left->p == ' ')
		*left = slice_skip(*left, 1);
	if (slice_find(*left, '=') == left->n || !slice_cut(left, '=', &p->key))
		return false;
	if (left->n > 0 && *left->p == '"') {
		n = quoted_length(*left);
		p->value = slice_skip(slice_head(*left, n), 1);
		*left = slice_skip(*left, n + 1);
	} else {
		n = slice_find(*left, ' ');
		p->value = slice_head(*left, n);
		*left = slice_skip(*left, n);
	}
	return true;
}

struct slice
past_value(const struct past_line *l, const char *key)
{
	struct slice left = l->pairs, wanted = slice(key);
	struct past_pair p;

	while (past_pair(&left, &p))
		if (slice_eq(p.key, wanted))
			return p.value;
	return NONE;
}

bool
past_path(struct slice *left, struct slice *path)
{
	size_t n = 0;

	if (left->n == 0)
		return false;
	if (*left->p != '<') {
		*path = *left;
		*left = NONE;
		return true;
	}
	while (n < left->n && !slice_starts(slice_skip(*left, n), S(">,<")))
		n++;
	*path = slice_skip(slice_head(*left, n), 1);
	if (n == left->n && path->n > 0 && path->p[path->n - 1] == '>')
		path->n--;
	*left = slice_skip(*left, n + 2);
	return true;
}

/* --- its words -------------------------------------------------------------------------- */

static bool
is_found_by(struct slice key)
{
	static const char *const keys[] = { "to", "from", "message-id", "orig-to", "parent", "of", "member",
	    "list" };

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (slice_eq(key, slice(keys[i])))
			return true;
	return false;
}

void
past_words(struct slice text, void (*each)(void *, struct slice), void *arg)
{
	struct past_line l;
	struct past_pair p;
	struct slice path;

	if (!past_line(text, &l))
		return;
	if (!slice_eq(l.id, S("-")))
		each(arg, l.id);
	if (slice_eq(l.event, S(PAST_NOT_KEPT)))
		each(arg, l.event);
	while (past_pair(&l.pairs, &p))
		while (is_found_by(p.key) && past_path(&p.value, &path))
			if (path.n > 0)
				each(arg, path);
}

void
past_word_add(struct buf *b, struct slice typed)
{
	struct buf shown = BUF(WORD_MOST);

	typed = slice_trim(typed);
	if (typed.n > 1 && *typed.p == '<' && typed.p[typed.n - 1] == '>')
		typed = slice_skip(slice_head(typed, typed.n - 1), 1);
	shown_add(&shown, typed);
	for (size_t i = 0; i < shown.n; i++) {
		if (shown.p[i] == '"')
			buf_byte(b, '\\');
		buf_byte(b, shown.p[i]);
	}
	buf_free(&shown);
}

uint32_t
past_hash(struct slice word)
{
	uint64_t h = slice_hash(word);

	return (uint32_t)(h ^ h >> 32);
}

/* --- a block ------------------------------------------------------------------------------ */

void
past_block_begin(struct past_block *b)
{
	*b = (struct past_block){ .text = BUF(PAST_BLOCK) };
}

void
past_block_free(struct past_block *b)
{
	buf_free(&b->text);
	free(b->words);
	past_block_begin(b);
}

static void
note_word(void *arg, struct slice word)
{
	struct past_block *b = arg;

	if (b->count == WORDS_MOST)
		return;
	if (b->count == b->room) {
		b->room = b->room > 0 ? 2 * b->room : WORDS_ROOM;
		b->words = must_grow(b->words, b->room * sizeof *b->words);
	}
	b->words[b->count++] = past_hash(word);
}

bool
past_block_add(struct past_block *b, struct slice line, int64_t now)
{
	struct slice text = slice_head(slice_head(line, slice_find(line, '\n')), PAST_LINE);

	if (b->text.n + text.n + 1 > PAST_BLOCK || b->count + text.n / 2 > WORDS_MOST)
		return false;
	past_words(text, note_word, b);
	buf_add(&b->text, text);
	buf_byte(&b->text, '\n');
	b->last = now;
	return true;
}

static int
in_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
sort_words(struct past_block *b)
{
	size_t kept = 0;

	if (b->count > 0)
		qsort(b->words, b->count, sizeof *b->words, in_order);
	for (size_t i = 0; i < b->count; i++)
		if (i == 0 || b->words[i] != b->words[kept - 1])
			b->words[kept++] = b->words[i];
	b->count = kept;
}

void
past_index_add(struct buf *to, struct past_block *b)
{
	sort_words(b);
	pack_u64(to, (uint64_t)b->last);
	pack_u32(to, (uint32_t)b->text.n);
	for (size_t i = 0; i < b->count; i++)
		pack_u32(to, b->words[i]);
}

bool
past_index_read(struct past_index *x, struct slice packed)
{
	struct unpack u = { .left = packed };

	x->last = (int64_t)unpack_u64(&u);
	x->bytes = unpack_u32(&u);
	x->hashes = u.left;
	return !u.bad && u.left.n % 4 == 0;
}

static uint32_t
nth_hash(const struct past_index *x, size_t i)
{
	struct unpack u = { .left = slice_skip(x->hashes, 4 * i) };

	return unpack_u32(&u);
}

bool
past_index_has(const struct past_index *x, uint32_t hash)
{
	size_t from = 0, to = x->hashes.n / 4;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		uint32_t there = nth_hash(x, middle);

		if (there == hash)
			return true;
		if (there < hash)
			from = middle + 1;
		else
			to = middle;
	}
	return false;
}
