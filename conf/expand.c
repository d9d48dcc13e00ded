/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/map.h"
#include "conf/routes.h"

struct expand {
	const struct routes *routes;
	struct arena     *arena;
	struct expansion *result;
	struct reached **last;
	struct map        seen;         /* address -> the first struct hop to it */
	bool              failed;
};

static void expand(struct expand *, const struct hop *, bool final);

static void *
room(struct expand *x, size_t n)
{
	void *p = arena_get(x->arena, n);

	x->failed |= p == NULL;
	return p;
}

static void
add_recipient(struct expand *x, struct route route, const struct hop *path)
{
	struct reached *r = room(x, sizeof *r);

	if (++x->result->count > EXPAND_MOST)
		x->failed = true;
	if (x->failed)
		return;
	*r = (struct reached){ .route = route, .path = path };
	*x->last = r;
	x->last = &r->next;
}

static bool
on_path(const struct hop *path, const struct hop *hop)
{
	while (path != NULL && path != hop)
		path = path->from;
	return path != NULL;
}

/* Seen before? Local parts of others may differ in case alone (RFC 5321 2.4). */
static const struct hop *
seen_before(struct expand *x, const struct hop *hop, struct slice key)
{
	const struct hop *before = map_get(&x->seen, key);
	bool ours = home_of(x->routes, &hop->address) != NULL;

	if (before == NULL)
		map_put(&x->seen, key, (void *)(uintptr_t)hop);
	else if (!ours && !slice_eq(before->address.local, hop->address.local))
		return NULL;
	return before;
}

/* Is it for the mailbox behind an alias: marked so, or the alias names itself? */
static bool
passes_alias(struct expand *x, const struct target *t, const struct hop *from)
{
	const struct home *home = home_of(x->routes, &t->address);
	const struct entry *e = home != NULL ? home_find(home, t->address.local) : NULL;
	bool itself = slice_eqi(t->address.local, from->address.local) &&
	    slice_eq(t->address.domain, from->address.domain);

	return (t->final || itself) && e != NULL && e->targets != NULL;
}

static void
follow(struct expand *x, const struct target *t, const struct hop *from)
{
	struct hop *hop = room(x, sizeof *hop);
	bool final = passes_alias(x, t, from);
	struct slice key = final ? arena_printf(x->arena, "\\%.*s", FMT(t->address.text))
	                         : t->address.text;
	const struct hop *before;

	if (hop == NULL || key.p == NULL) {
		x->failed = true;
		return;
	}
	*hop = (struct hop){ from, t->address, from->depth + 1 };
	if ((before = seen_before(x, hop, key)) == NULL) {
		expand(x, hop, final);
	} else if (on_path(from, before) && x->result->loop == NULL) {
		x->result->loop = hop;
	}
}

static void
expand(struct expand *x, const struct hop *hop, bool final)
{
	const struct home *home = home_of(x->routes, &hop->address);
	struct route route = final && home != NULL ? own_mailbox(home, hop->address.local, x->arena)
	                                           : route_local(x->routes, &hop->address, x->arena);

	if (route.kind != ROUTE_ALIAS) {
		add_recipient(x, route, hop);
		return;
	}
	if (hop->depth == EXPAND_DEPTH) {
		x->result->too_deep = true;
		return;
	}
	for (const struct target *t = route.targets; t != NULL && !x->failed; t = t->next)
		follow(x, t, hop);
}

bool
route_expand(const struct routes *routes, const struct address *address, struct arena *arena,
    struct expansion *result)
{
	struct expand x = { routes, arena, result, &result->first, { 0 }, false };
	struct hop *hop;

	*result = (struct expansion){ 0 };
	if ((hop = room(&x, sizeof *hop)) == NULL)
		return false;
	*hop = (struct hop){ NULL, *address, 0 };
	map_put(&x.seen, address->text, hop);
	expand(&x, hop, false);
	map_free(&x.seen);
	return !x.failed;
}
