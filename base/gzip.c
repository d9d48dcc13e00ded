/* SPDX-License-Identifier: ISC */
/* pure */
#include <limits.h>
#include <zlib.h>

#include "base/bug.h"
#include "base/gzip.h"

enum { WINDOW = 15, GZIP_ONLY = 16, MEMORY = 8, PIECE = 32768 };

bool
is_gzip(struct slice bytes)
{
	return slice_starts(bytes, S("\x1f\x8b"));
}

/* zlib counts in int; nobody here has half as much. */
static void
give_input(z_stream *z, struct slice bytes)
{
	bug_if(bytes.n > INT_MAX);
	z->next_in = (Bytef *)(uintptr_t)bytes.p;
	z->avail_in = (uInt)bytes.n;
}

/* Room for a piece, or for what is left under the ceiling; false when nothing is. */
static bool
give_room(z_stream *z, struct buf *to)
{
	size_t left = to->ceiling - to->n, n = left < PIECE ? left : PIECE;
	char *room = n > 0 ? buf_room(to, n) : NULL;

	z->next_out = (Bytef *)room;
	z->avail_out = room != NULL ? (uInt)n : 0;
	return room != NULL;
}

bool
gzip_add(struct buf *to, struct slice bytes)
{
	z_stream z = { .zalloc = NULL };
	size_t before = to->n;
	int state = Z_OK;

	bug_if(deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, WINDOW + GZIP_ONLY, MEMORY,
	    Z_DEFAULT_STRATEGY) != Z_OK);
	give_input(&z, bytes);
	while (state == Z_OK && give_room(&z, to)) {
		state = deflate(&z, Z_FINISH);
		to->n = (size_t)((char *)z.next_out - to->p);
	}
	deflateEnd(&z);
	if (state != Z_STREAM_END)
		to->n = before;
	return state == Z_STREAM_END;
}

static bool
inflate_all(z_stream *z, struct buf *to, struct error *why)
{
	int state = Z_OK;

	while (state != Z_STREAM_END || z->avail_in > 0) {
		if (state == Z_STREAM_END && inflateReset(z) != Z_OK)
			return error_set(why, "zlib cannot go on");
		if (!give_room(z, to))
			return error_set(why, "more than %zu bytes come out of it", to->ceiling);
		state = inflate(z, Z_NO_FLUSH);
		to->n = (size_t)((char *)z->next_out - to->p);
		if (state == Z_BUF_ERROR || (state == Z_OK && z->avail_in == 0 && z->avail_out > 0))
			return error_set(why, "the gzip file is cut short");
		if (state != Z_OK && state != Z_STREAM_END)
			return error_set(why, "no proper gzip file");
	}
	return true;
}

bool
gunzip_add(struct buf *to, struct slice bytes, struct error *why)
{
	z_stream z = { .zalloc = NULL };
	size_t before = to->n;
	bool ok;

	bug_if(inflateInit2(&z, WINDOW + GZIP_ONLY) != Z_OK);
	give_input(&z, bytes);
	ok = bytes.n > 0 ? inflate_all(&z, to, why) : error_set(why, "an empty file");
	inflateEnd(&z);
	if (!ok)
		to->n = before;
	return ok;
}
