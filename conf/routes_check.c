/* SPDX-License-Identifier: ISC */
/* pure */
#include "conf/routes.h"

struct check {
	struct routes *routes;
	struct flaws  *flaws;
};

static const char *
kind_name(const struct entry *e)
{
	return e->list != NULL ? "list" : e == e->home->catch_all ? "domain" : "alias";
}

static bool
is_itself(const struct entry *e, const struct target *t)
{
	return t->final || (slice_eqi(t->address.local, e->name) &&
	    slice_eq(t->address.domain, e->home->conf->name));
}

/* Does anybody get what goes to this target? */
static bool
reaches_somebody(struct check *c, const struct entry *e, const struct target *t)
{
	const struct home *home = home_of(c->routes, &t->address);
	const struct entry *to = home != NULL ? home_find(home, t->address.local) : NULL;

	if (home == NULL || home->everyone || is_role(t->address.local))
		return true;
	return to != NULL && (to->user || !home->conf->users_named || !is_itself(e, t));
}

static void
check_target(struct check *c, const struct entry *e, const struct target *t)
{
	const struct home *home = home_of(c->routes, &t->address);

	if (reaches_somebody(c, e, t))
		return;
	if (e == home->catch_all)
		flaw_error(c->flaws, t->place, "the catch-all goes to %.*s, who is not a user of %.*s",
		    FMT(t->address.local), FMT(home->conf->name));
	else
		flaw_warning(c->flaws, t->place, "%s \"%.*s\" goes to %.*s, who is not a user of %.*s",
		    kind_name(e), FMT(e->name), FMT(t->address.local), FMT(home->conf->name));
}

/* "a -> b -> a": the entries on the path that ends at `last`, from `from` on. */
static void
add_path(struct buf *b, const struct entry *last, const struct entry *from)
{
	if (last != from && last->from != NULL)
		add_path(b, last->from, from);
	buf_printf(b, "%.*s -> ", FMT(last->name));
}

static void
tell_loop(struct check *c, const struct entry *e, const struct entry *again, struct place place)
{
	struct buf path = BUF(4096);

	add_path(&path, e, again);
	flaw_error(c->flaws, place, "this leads back to itself: %.*s%.*s", FMT(buf_slice(&path)),
	    FMT(again->name));
	buf_free(&path);
}

static const struct target *
leads_to(const struct entry *e)
{
	return e->list != NULL ? e->list->members : e->targets;
}

/* The alias or list that a target is, or NULL. */
static struct entry *
entry_behind(struct check *c, const struct entry *e, const struct target *t)
{
	const struct home *home = home_of(c->routes, &t->address);
	struct entry *next;

	if (home == NULL || (e->list == NULL && is_itself(e, t)))
		return NULL;
	next = home_resolve(c->routes, home, t->address.local);
	return next != NULL && (next->targets != NULL || next->list != NULL) ? next : NULL;
}

static void check_loops(struct check *, struct entry *, unsigned depth);

static void
check_step(struct check *c, struct entry *e, const struct target *t, unsigned depth)
{
	struct entry *next = entry_behind(c, e, t);

	if (next == NULL)
		return;
	if (next->state == ON_PATH) {
		tell_loop(c, e, next, t->place);
	} else if (depth + next->height >= EXPAND_DEPTH) {
		flaw_error(c->flaws, t->place, "more than %d aliases and lists follow each other",
		    EXPAND_DEPTH);
		return;
	} else if (next->state == UNSEEN) {
		next->from = e;
		check_loops(c, next, depth + 1);
	}
	if (next->height >= e->height)
		e->height = next->height + 1;
}

/*
 * Depth first.  A list may be a member of another one; in a ring each would post what
 * it has posted (mail/listheader.h stops that, but nobody means it).  A list goes also
 * to its moderator: moderated by itself it would ask itself.
 */
static void
check_loops(struct check *c, struct entry *e, unsigned depth)
{
	e->state = ON_PATH;
	for (const struct target *t = leads_to(e); t != NULL; t = t->next)
		check_step(c, e, t, depth);
	if (e->list != NULL && e->list->moderator != NULL)
		check_step(c, e, e->list->moderator, depth);
	e->state = DONE;
}

/* It may be meant so for an hour; mail to it waits with its senders. */
static void
check_members(struct check *c, const struct entry *e)
{
	if (e->list != NULL && e->list->member_count == 0)
		flaw_warning(c->flaws, e->place, "list \"%.*s\" has no members: its mail is put off",
		    FMT(e->name));
}

/* RFC 5321 4.5.1: somebody must read what is sent to postmaster. */
static void
check_postmaster(struct check *c, const struct home *home)
{
	if (home->everyone || home_resolve(c->routes, home, S("postmaster")) != NULL)
		return;
	flaw_warning(c->flaws, home->conf->place, "nobody is named as postmaster of %.*s",
	    FMT(home->conf->name));
	flaw_hint(c->flaws, "alias postmaster, abuse -> ...");
}

void
routes_check(struct routes *routes, struct flaws *flaws)
{
	struct check c = { routes, flaws };

	for (struct entry *e = routes->first; e != NULL; e = e->next) {
		for (const struct target *t = leads_to(e); t != NULL; t = t->next)
			check_target(&c, e, t);
		check_members(&c, e);
		if (e->state == UNSEEN)
			check_loops(&c, e, 0);
	}
	for (size_t i = 0; i < routes->home_count; i++)
		check_postmaster(&c, &routes->home[i]);
}
