/* SPDX-License-Identifier: ISC */
/* pure */
#include "conf/routes.h"
#include "mail/domain.h"

/* --- looking up -------------------------------------------------------------------- */

struct slice
without_detail(struct slice local)
{
	size_t plus = slice_find(local, '+');

	return plus > 0 ? slice_head(local, plus) : local;
}

struct entry *
home_find(const struct home *home, struct slice local)
{
	struct entry *e = map_get(&home->names, local);

	return e != NULL ? e : map_get(&home->names, without_detail(local));
}

/* RFC 5321 4.5.1, RFC 2142 4 and 5 */
bool
is_role(struct slice local)
{
	local = without_detail(local);
	return slice_eqi(local, S("postmaster")) || slice_eqi(local, S("abuse"));
}

struct entry *
home_resolve(const struct routes *routes, const struct home *home, struct slice local)
{
	struct entry *e = home_find(home, local);

	if (e != NULL || home->everyone)
		return e;
	if (home->catch_all != NULL)
		return home->catch_all;
	return is_role(local) ? routes->postmaster : NULL;
}

struct home *
home_of(const struct routes *routes, const struct address *address)
{
	struct slice host = routes->conf->hostname;
	struct home *home = map_get(&routes->homes, address->domain.n > 0 ? address->domain : host);
	bool of_host = address->domain.n == 0 || slice_eq(address->domain, host);

	if (address->domain.n > 0 && home != NULL)
		return home;
	if (!of_host || !slice_eqi(address->local, S("postmaster")) || routes->home_count == 0)
		return NULL;
	return home != NULL ? home : &routes->home[0];
}

bool
safe_in_a_path(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '/' || (unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f)
			return false;
	return name.n > 0 && *name.p != '.';
}

/* --- one address ------------------------------------------------------------------- */

/* The path with %u, %d and %% filled in. */
static struct slice
filled(struct slice path, struct slice user, struct slice domain, struct arena *arena)
{
	size_t n = 0, most = path.n;
	char *to;

	for (size_t i = 0; i < path.n; i++)
		most += path.p[i] == '%' ? user.n + domain.n : 0;
	if ((to = arena_get(arena, most)) == NULL)
		return NONE;
	for (size_t i = 0; i < path.n; i++) {
		struct slice piece = slice_of(path.p + i, 1);

		if (path.p[i] == '%')
			piece = path.p[++i] == 'u' ? user : path.p[i] == 'd' ? domain : S("%");
		memcpy(to + n, piece.p, piece.n);
		n += piece.n;
	}
	return slice_of(to, n);
}

static const struct status NO_USER = STATUS_INIT(550, 5,1,1, "no such user here"),
	BAD_NAME = STATUS_INIT(553, 5,1,3, "no mailbox can have this name"),
	NO_MEMORY = STATUS_INIT(451, 4,3,0, "not enough memory, try again later");

static struct route
no_user(const struct domain_conf *domain, struct status refusal)
{
	return (struct route){ .kind = ROUTE_NO_USER, .domain = domain, .refusal = refusal };
}

/* The mailbox of a user, wherever the domain keeps it. */
static struct route
mailbox(const struct home *home, struct slice user, struct arena *arena)
{
	struct route r = { .domain = home->conf, .user = user };

	switch (home->conf->deliver) {
	case DELIVER_MAILDIR:
		r.kind = ROUTE_MAILDIR;
		if (!safe_in_a_path(user))
			return no_user(home->conf, BAD_NAME);
		r.maildir = filled(home->conf->maildir, user, home->conf->name, arena);
		return r.maildir.p != NULL ? r : no_user(home->conf, NO_MEMORY);
	case DELIVER_LMTP:
		r.kind = ROUTE_LMTP;
		r.server = &home->conf->lmtp;
		return r;
	case DELIVER_DISCARD:
		r.kind = ROUTE_DISCARD;
		return r;
	default:
		return no_user(home->conf, NO_USER);
	}
}

struct route
own_mailbox(const struct home *home, struct slice local, struct arena *arena)
{
	const struct entry *e = home_find(home, local);
	struct slice user = e != NULL && e->user ? e->name : arena_lower(arena, without_detail(local));

	return user.p != NULL ? mailbox(home, user, arena) : no_user(home->conf, NO_MEMORY);
}

struct route
route_mailbox(const struct routes *routes, const struct address *address, struct arena *arena)
{
	const struct home *home = home_of(routes, address);

	if (home == NULL)
		return (struct route){ .kind = ROUTE_REMOTE };
	return own_mailbox(home, address->local, arena);
}

struct route
route_local(const struct routes *routes, const struct address *address, struct arena *arena)
{
	const struct home *home = home_of(routes, address);
	const struct entry *e;

	if (home == NULL)
		return (struct route){ .kind = ROUTE_REMOTE };
	e = home_resolve(routes, home, address->local);
	if (e != NULL && e->list != NULL)
		return (struct route){ .kind = ROUTE_LIST, .domain = home->conf, .list = e->list };
	if (e != NULL && e->targets != NULL)
		return (struct route){ .kind = ROUTE_ALIAS, .domain = home->conf, .targets = e->targets,
		    .bounces = e->bounces };
	if (e != NULL && e->manager != NULL)
		return (struct route){ .kind = e->manager->smtp ? ROUTE_SMTP : ROUTE_LMTP,
		    .domain = home->conf, .user = e->name, .server = &e->manager->to, .manager = true };
	if (e != NULL || home->everyone || is_role(address->local))
		return own_mailbox(home, address->local, arena);
	return no_user(home->conf, NO_USER);
}

bool
route_may_post(const struct list *list, const struct address *sender)
{
	if (sender->text.n == 0)
		return false;
	if (list->moderator != NULL && address_eq(sender, &list->moderator->address))
		return true;
	return list->conf->post == POST_OPEN ||
	    (list->conf->post == POST_MEMBERS && map_get(&list->by_address, sender->text) != NULL);
}

const struct destination_conf *
route_destination(const struct conf *conf, struct slice domain)
{
	const struct delivery_conf *d = &conf->delivery;
	const struct destination_conf *found = map_get(&d->exact, domain);

	while (found == NULL && (domain = domain_parent(domain)).n > 0)
		found = map_get(&d->below, domain);
	return found != NULL ? found : &d->usual;
}

static struct slice
from_dot(struct slice name)
{
	return slice_skip(name, slice_find(name, '.'));
}

struct slice
route_whom(const struct whom *whom, const struct address *a)
{
	if (map_get(&whom->map, a->text) != NULL)
		return a->text;
	if (map_get(&whom->map, a->domain) != NULL)
		return a->domain;
	for (struct slice below = from_dot(a->domain); below.n > 0; below = from_dot(slice_skip(below, 1)))
		if (map_get(&whom->map, below) != NULL)
			return below;
	return NONE;
}
