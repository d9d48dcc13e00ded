/* SPDX-License-Identifier: ISC */
/* pure */
#include "conf/listing.h"

enum { URI_MOST = 1000 };

struct address
listing_address(const struct list_conf *l, const char *suffix, struct arena *arena)
{
	const struct address *a = &l->address.address;
	struct slice local = arena_printf(arena, "%.*s%s", FMT(a->local), suffix);

	return address_make(local, a->domain, arena);
}

/* "mailto:members-owner@list.test?subject=unsubscribe" (RFC 2369 3, RFC 6068) */
static struct slice
mailto(const struct address *a, const char *query, struct arena *arena)
{
	struct buf b = BUF(URI_MOST);
	struct slice uri;

	mailto_add(&b, a);
	buf_add(&b, slice(query));
	uri = arena_copy(arena, buf_slice(&b));
	buf_free(&b);
	return uri;
}

struct list_identity
listing_identity(const struct list_conf *l, struct arena *arena)
{
	const struct address *a = &l->address.address;
	struct address owner = listing_address(l, "-owner", arena);

	return (struct list_identity){
		.id = arena_printf(arena, "%.*s.%.*s", FMT(a->local), FMT(a->domain)),
		.name = l->name, .address = *a,
		.no_posts = l->post == POST_MODERATOR,
		.help = l->help, .subscribe = l->subscribe, .archive = l->archive, .one_click = l->one_click,
		.unsubscribe = l->unsubscribe.n > 0 ? l->unsubscribe
		             : mailto(&owner, "?subject=unsubscribe", arena),
		.owner = mailto(&owner, "", arena),
	};
}
