/* SPDX-License-Identifier: ISC */
/*
 * A header block.  Through the list, its From becomes one mailbox, the list's;
 * no line is too long, and no field came about that nobody wrote.
 */
#include "base/bug.h"
#include "mail/listheader.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_lines(struct slice whole)
{
	struct slice line;

	while (slice_cut(&whole, '\n', &line))
		bug_if(line.n > 998);
}

/* Cut into fields again, the new header has as many as were put together. */
static void
check_whole(const struct edit *e, struct arena *arena)
{
	struct buf b = BUF(64 << 20);
	struct header again = { 0 };

	for (size_t i = 0; i < e->header.count; i++)
		buf_add(&b, e->header.fields[i].whole);
	bug_if(!header_parse(&again, buf_slice(&b), arena, NULL) || again.count != e->header.count);
	bug_if(header_length(buf_slice(&b)) != b.n || edit_size(e) != b.n);
	buf_free(&b);
}

static void
check_from(const struct edit *e, const struct list_identity *l, struct arena *arena)
{
	const struct field *from = header_find(&e->header, "from");
	struct mailbox box;
	size_t count;

	bug_if(header_count(&e->header, "from") != 1);
	check_lines(from->whole);
	bug_if(!mailboxes_parse(from->value, arena, &box, 1, &count) || count != 1);
	bug_if(!address_eq(&box.address, &l->address));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice block = slice_head(slice_of(data, size), header_length(slice_of(data, size)));
	struct arena *arena = arena_new(64 << 20);
	struct list_identity l = { .id = S("l.x.test"), .name = S("F\xc3\xbcr"), .one_click = S("https://x.test/l") };
	struct header h = { 0 };
	struct edit e;

	bug_if(!address_parse(S("l@x.test"), arena, &l.address) || !list_check(&l, NULL));
	if (header_parse(&h, block, arena, NULL)) {
		listheader_loops(&h, &l);
		edit_begin(&e, &h, arena);
		listheader_write(&e, &l);
		listheader_one_click(&e, S("https://x.test/l/w"));
		bug_if(!listheader_loops(&e.header, &l));
		listheader_from(&e, &l);
		check_from(&e, &l, arena);
		bug_if(e.full);
		check_whole(&e, arena);
	}
	arena_free(arena);
	return 0;
}
