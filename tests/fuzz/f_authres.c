/* SPDX-License-Identifier: ISC */
/* f_authres -- a payload of a stranger, and the same bytes as a value we write. */
#include "auth/authres.h"
#include "base/bug.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Nothing but "\r\n\t" ends a line. */
static void
check_lines(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		bug_if(text.p[i] == '\n' && (i == 0 || text.p[i - 1] != '\r'));
		bug_if(text.p[i] == '\r' && (i + 2 >= text.n || memcmp(text.p + i, "\r\n\t", 3) != 0));
		bug_if(text.p[i] == '\0');
	}
}

/* What we write can be read, and has as many results. */
static void
write_and_read(const struct authres *a, bool utf8)
{
	struct buf text = BUF(1 << 22);
	struct arena *arena = arena_new(1 << 24);
	struct authres back;

	authres_write(a, utf8, &text);
	bug_if(text.full);
	check_lines(buf_slice(&text));
	bug_if(!authres_parse(buf_slice(&text), arena, &back));
	bug_if(back.count != a->count);
	arena_free(arena);
	buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct slice input = slice_of(bytes, n);
	struct arena *arena = arena_new(1 << 24);
	struct authres a;

	if (authres_parse(input, arena, &a)) {
		write_and_read(&a, false);
		write_and_read(&a, true);
		/* Ours is ASCII; in front of another, bytes may stand that some reader takes for white space. */
		bug_if(ascii_only(a.authserv_id) && !authres_claims(input, a.authserv_id, arena));
	}
	authres_claims(input, S("mx.example.net"), arena);
	authres_begin(&a, S("mx.example.net"), arena);
	authres_add(&a, "spf", "pass");
	authres_reason(&a, input);
	authres_property(&a, "smtp.mailfrom", input);
	authres_add(&a, "dmarc", "fail");
	write_and_read(&a, false);
	write_and_read(&a, true);
	arena_free(arena);
	return 0;
}
