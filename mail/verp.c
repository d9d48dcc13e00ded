/* SPDX-License-Identifier: ISC */
/* pure */
#include "mail/domain.h"
#include "mail/verp.h"

enum { LOCAL_MOST = 64 };

bool
verp_make(const struct address *bounces, const struct address *member, struct arena *arena,
    struct address *sender)
{
	struct slice local = arena_printf(arena, "%.*s+%.*s=%.*s", FMT(bounces->local),
	    FMT(member->local), FMT(member->domain));

	if (local.p == NULL || member->local.n == 0 || member->domain.n == 0)
		return false;
	*sender = address_make(local, bounces->domain, arena);
	return sender->text.p != NULL && sender->text.n <= LOCAL_MOST + 1 + bounces->domain.n;
}

/* Where the last '=' stands; 0: there is none behind something. */
static size_t
last_equals(struct slice s)
{
	size_t at = s.n;

	while (at > 0 && s.p[at - 1] != '=')
		at--;
	return at > 0 ? at - 1 : 0;
}

bool
verp_member(const struct address *bounces, const struct address *recipient, struct arena *arena,
    struct address *member)
{
	struct slice rest = slice_skip(recipient->local, bounces->local.n), local, domain;
	size_t equals;

	if (!slice_eqi(recipient->domain, bounces->domain) ||
	    !slice_startsi(recipient->local, bounces->local) || rest.n == 0 || *rest.p != '+')
		return false;
	rest = slice_skip(rest, 1);
	equals = last_equals(rest);
	local = slice_head(rest, equals);
	domain = slice_skip(rest, equals + 1);
	if (equals == 0 || domain.n == 0)
		return false;
	return address_parse(address_make(local, domain, arena).text, arena, member);
}
