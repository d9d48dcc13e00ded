/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/sha256.h"
#include "mail/header.h"
#include "smtpd/inside.h"

/*
 * What we have asked to have again, newest over oldest: bounded memory.  Forgotten
 * means that we ask once more, and the sender comes once more.
 */
enum { ASKED_MOST = 1024 };

struct asked {
	struct message_mark {
		unsigned char digest[SHA256_BYTES];
	}      marks[ASKED_MOST];
	size_t next;
};

struct asked *
asked_new(void)
{
	return must_alloc(sizeof(struct asked));
}

void
asked_free(struct asked *a)
{
	free(a);
}

static void
add_field(struct sha256 *sha, const struct header *h, const char *name)
{
	const struct field *f = header_find(h, name);

	if (f != NULL)
		sha256_add(sha, f->whole);
}

/* By what stays the same when another host of the sender's brings it. */
static struct message_mark
mark_of(struct slice sender, const struct header *h)
{
	struct message_mark m;
	struct sha256 sha;

	sha256_begin(&sha);
	sha256_add(&sha, sender);
	sha256_add(&sha, S("\r\n"));
	add_field(&sha, h, "From");
	add_field(&sha, h, "Message-ID");
	sha256_end(&sha, m.digest);
	return m;
}

bool
asked_before(const struct asked *a, struct slice sender, const struct header *h)
{
	size_t n = a->next < ASKED_MOST ? a->next : ASKED_MOST;
	struct message_mark m;

	if (n == 0)
		return false;
	m = mark_of(sender, h);
	for (size_t i = 0; i < n; i++)
		if (memcmp(a->marks[i].digest, m.digest, sizeof m.digest) == 0)
			return true;
	return false;
}

void
asked_again(struct asked *a, struct slice sender, const struct header *h)
{
	a->marks[a->next++ % ASKED_MOST] = mark_of(sender, h);
}
