/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "conf/listing.h"
#include "conf/routes.h"
#include "conf/table.h"
#include "conf/type.h"

/* Tables are bounded by the size of their files; the arena is never full before this. */
enum { ENTRIES_MOST = 4000000 };
static const size_t ARENA_BYTES = (size_t)16 << 30;

struct making {
	struct routes       *routes;
	const struct reader *reader;
	struct flaws        *flaws;
	struct home         *home;
	size_t               entries;
};

static void *
get(struct making *b, size_t n)
{
	return tree_get(b->routes->arena, n);
}

/* --- building: names ------------------------------------------------------------------ */

static bool
room_for_one_more(struct making *b, struct place place)
{
	if (++b->entries == ENTRIES_MOST)
		flaw_error(b->flaws, place, "more than four million names and targets");
	return b->entries < ENTRIES_MOST;
}

static struct entry *
entry_for(struct making *b, struct home *home, struct slice local, struct place place)
{
	struct entry *e = map_get(&home->names, local);

	if (e != NULL)
		return e;
	e = get(b, sizeof *e);
	*e = (struct entry){ .home = home, .name = local, .place = place };
	map_put(&home->names, e->name, e);
	return e;
}

/* This one leads somewhere. */
static void
chain(struct making *b, struct entry *e)
{
	*b->routes->last = e;
	b->routes->last = &e->next;
}

/* The entry of an alias or a list, which may have a user beside it and nothing else. */
static struct entry *
fresh_entry(struct making *b, struct slice local, struct place place)
{
	struct entry *e = entry_for(b, b->home, local, place);

	if (e->targets != NULL || e->list != NULL) {
		flaw_error(b->flaws, place, "\"%.*s\" is there twice", FMT(local));
		flaw_hint_first(b->flaws, e->place);
		return NULL;
	}
	e->place = place;
	chain(b, e);
	return e;
}

static void
add_user(struct making *b, struct slice local, struct place place)
{
	if (b->home->conf->deliver == DELIVER_MAILDIR && !safe_in_a_path(local))
		flaw_error(b->flaws, place, "no directory can be named \"%.*s\"", FMT(local));
	else if (room_for_one_more(b, place))
		entry_for(b, b->home, local, place)->user = true;
}

static struct target *
make_target(struct making *b, struct address address, struct place place)
{
	struct target *t = get(b, sizeof *t);

	*t = (struct target){ .address = address, .place = place };
	return t;
}

static struct target *
statement_targets(struct making *b, const struct conf_mailbox *m, size_t n)
{
	struct target *first = NULL, **last = &first;

	for (size_t i = 0; i < n && room_for_one_more(b, m[i].place); i++) {
		*last = make_target(b, m[i].address, m[i].place);
		last = &(*last)->next;
	}
	return first;
}

/* --- building: tables ------------------------------------------------------------------- */

/* The bytes of an outside table; NULL after a flaw. */
static const struct source *
read_table(struct making *b, struct slice path, enum file_purpose purpose, struct place place)
{
	struct source *source = get(b, sizeof *source);
	struct error why = { .text = "cannot be read" };

	if (b->reader->read(b->reader->arg, path, purpose, 0, &source->name, &source->bytes, &why) !=
	    READ_FILE) {
		flaw_error(b->flaws, place, "%s", why.text);
		return NULL;
	}
	return source;
}

/* A mailbox of a table. */
static bool
table_mailbox(struct making *b, struct slice text, struct place place, struct address *address)
{
	if (value_mailbox(text, b->home->conf->name, b->routes->arena, address))
		return true;
	flaw_error(b->flaws, place, "expected %s, not \"%.*s\"", type_find(S("MAILBOX"))->meaning,
	    FMT(slice_head(text, 200)));
	return false;
}

static bool
table_own_mailbox(struct making *b, struct slice text, struct place place, struct address *address)
{
	if (!table_mailbox(b, text, place, address))
		return false;
	if (slice_eq(address->domain, b->home->conf->name))
		return true;
	flaw_error(b->flaws, place, "%.*s is not an address of %.*s", FMT(address->text),
	    FMT(b->home->conf->name));
	return false;
}

/* The first word of each line; a colon ends it too, so that passwd(5) will do. */
static void
add_users_of(struct making *b, const struct conf_file *file)
{
	const struct source *source = read_table(b, file->name, file->purpose, file->place);
	struct table table;
	struct slice line, word;
	struct address address;

	if (source == NULL)
		return;
	table_begin(&table, source);
	while (b->entries < ENTRIES_MOST && table_next(&table, &line)) {
		slice_word(&line, &word);
		word = slice_head(word, slice_find(word, ':'));
		if (table_own_mailbox(b, word, table_place(&table, word), &address))
			add_user(b, address.local, table_place(&table, word));
	}
}

static void
add_users(struct making *b)
{
	const struct domain_conf *d = b->home->conf;

	for (size_t i = 0; i < d->user_count; i++)
		add_user(b, d->users[i].address.local, d->users[i].place);
	for (size_t i = 0; i < d->user_file_count; i++)
		add_users_of(b, d->user_files[i]);
}

static struct target **add_file_targets(struct making *b, struct aliases *, struct target **last);

static struct target **
add_included(struct making *b, struct slice path, struct place place, struct target **last)
{
	const struct source *source = read_table(b, tree_path(path, place, b->routes->arena),
	    FILE_ALIASES, place);
	struct aliases included;

	if (source == NULL)
		return last;
	aliases_begin(&included, source, true, b->routes->arena, b->flaws);
	return add_file_targets(b, &included, last);
}

/* The targets of the current name, appended behind `last`. */
static struct target **
add_file_targets(struct making *b, struct aliases *aliases, struct target **last)
{
	enum alias_kind kind;
	struct slice text;
	struct place place;
	struct address address;

	while (aliases_target(aliases, &kind, &text, &place)) {
		if (kind == ALIAS_INCLUDE) {
			last = add_included(b, text, place, last);
		} else if (table_mailbox(b, text, place, &address) && room_for_one_more(b, place)) {
			*last = make_target(b, address, place);
			(*last)->final = kind == ALIAS_FINAL;
			last = &(*last)->next;
		}
	}
	return last;
}

static void
add_aliases_of(struct making *b, const struct conf_file *file)
{
	const struct source *source = read_table(b, file->name, file->purpose, file->place);
	struct aliases aliases;
	struct slice name;
	struct place place;

	if (source == NULL)
		return;
	aliases_begin(&aliases, source, false, b->routes->arena, b->flaws);
	while (b->entries < ENTRIES_MOST && aliases_name(&aliases, &name, &place)) {
		struct address address;
		struct target *targets = NULL;
		struct entry *e;

		add_file_targets(b, &aliases, &targets);
		if (targets == NULL)
			flaw_error(b->flaws, place, "\"%.*s\" has no targets", FMT(name));
		else if (table_own_mailbox(b, name, place, &address) &&
		    (e = fresh_entry(b, address.local, place)) != NULL)
			e->targets = targets;
	}
}

static void
add_aliases(struct making *b)
{
	const struct domain_conf *d = b->home->conf;

	for (size_t i = 0; i < d->alias_count; i++) {
		const struct alias_conf *a = &d->aliases[i];
		struct target *targets = statement_targets(b, a->targets, a->target_count);

		for (size_t j = 0; j < a->name_count; j++) {
			struct entry *e = fresh_entry(b, a->names[j].address.local, a->names[j].place);

			if (e != NULL)
				e->targets = targets;
		}
	}
	for (size_t i = 0; i < d->alias_file_count; i++)
		add_aliases_of(b, d->alias_files[i]);
}

/* --- building: lists ----------------------------------------------------------------------- */

static void
add_member(struct making *b, struct list *list, struct target ***last, struct address address,
    struct place place)
{
	struct target *t;

	if (map_get(&list->by_address, address.text) != NULL || !room_for_one_more(b, place))
		return;
	t = make_target(b, address, place);
	map_put(&list->by_address, t->address.text, t);
	list->member_count++;
	**last = t;
	*last = &t->next;
}

static void
add_members_of(struct making *b, struct list *list, struct target ***last,
    const struct conf_file *file)
{
	const struct source *source = read_table(b, file->name, file->purpose, file->place);
	struct table table;
	struct slice line;
	struct address address;

	if (source == NULL)
		return;
	table_begin(&table, source);
	while (b->entries < ENTRIES_MOST && table_next(&table, &line))
		if (table_mailbox(b, line, table_place(&table, line), &address))
			add_member(b, list, last, address, table_place(&table, line));
}

static struct list *
make_list(struct making *b, const struct list_conf *conf)
{
	struct list *list = get(b, sizeof *list);
	struct target *first = NULL, **last = &first;

	list->conf = conf;
	for (size_t i = 0; i < conf->member_count; i++)
		add_member(b, list, &last, conf->members[i].address, conf->members[i].place);
	for (size_t i = 0; i < conf->member_file_count; i++)
		add_members_of(b, list, &last, conf->member_files[i]);
	list->members = first;
	if (conf->moderator.address.text.n > 0)
		list->moderator = make_target(b, conf->moderator.address, conf->moderator.place);
	return list;
}

/* NAME-bounces, NAME-owner: to the owner, unless the name is taken. */
static struct entry *
add_owned(struct making *b, const struct list_conf *conf, const char *suffix)
{
	struct address a = listing_address(conf, suffix, b->routes->arena);
	struct entry *e;

	if (map_get(&b->home->names, a.local) != NULL || !room_for_one_more(b, conf->owner.place))
		return NULL;
	e = fresh_entry(b, a.local, conf->owner.place);
	e->targets = make_target(b, conf->owner.address, conf->owner.place);
	return e;
}

static void
add_lists(struct making *b)
{
	const struct domain_conf *d = b->home->conf;
	struct entry *e;

	for (size_t i = 0; i < d->list_count; i++) {
		const struct conf_mailbox *m = &d->lists[i]->address;

		if ((e = fresh_entry(b, m->address.local, m->place)) != NULL)
			e->list = make_list(b, d->lists[i]);
	}
	for (size_t i = 0; i < d->list_count; i++) {
		const struct entry *list = map_get(&b->home->names, d->lists[i]->address.address.local);

		if ((e = add_owned(b, d->lists[i], "-bounces")) != NULL)
			e->bounces = list->list;
		add_owned(b, d->lists[i], "-owner");
	}
}

/* --- building: list managers ---------------------------------------------------------------- */

/* "members@lists.test   lmtp:[127.0.0.1]:8024" */
static void
add_managed(struct making *b, const struct table *table, struct slice line)
{
	struct transport *to = get(b, sizeof *to);
	struct slice word, transport = slice_trim(line);
	struct place place;
	struct address address;
	struct entry *e;

	slice_word(&transport, &word);
	place = table_place(table, word);
	transport = slice_trim(transport);
	if (!transport_parse(transport, b->routes->arena, to)) {
		flaw_error(b->flaws, table_place(table, transport), "expected lmtp: or smtp: and a socket");
	} else if (table_mailbox(b, word, place, &address) &&
	    slice_eq(address.domain, b->home->conf->name) && room_for_one_more(b, place)) {
		e = entry_for(b, b->home, address.local, place);
		if (e->targets == NULL && e->list == NULL)
			e->manager = to;
	}
}

/* One file for all domains of the manager: those of others are passed over. */
static void
add_managers(struct making *b)
{
	const struct domain_conf *d = b->home->conf;

	for (size_t i = 0; i < d->map_file_count; i++) {
		const struct conf_file *file = d->map_files[i];
		const struct source *source = read_table(b, file->name, file->purpose, file->place);
		struct table table;
		struct slice line;

		if (source == NULL)
			continue;
		table_begin(&table, source);
		while (b->entries < ENTRIES_MOST && table_next(&table, &line))
			add_managed(b, &table, line);
	}
}

static void
add_catch_all(struct making *b)
{
	const struct conf_mailbox *m = &b->home->conf->catch_all;
	struct entry *e;

	if (m->address.text.n == 0)
		return;
	e = b->home->catch_all = get(b, sizeof *e);
	*e = (struct entry){ .home = b->home, .name = S("catch-all"), .place = m->place };
	e->targets = make_target(b, m->address, m->place);
	chain(b, e);
}

/* --- building: who else is a user ------------------------------------------------------------ */

/* Beside a catch-all and without `users`, whoever is delivered to is a user. */
static void
imply_users(struct making *b, const struct target *t)
{
	for (; t != NULL; t = t->next) {
		struct home *home = home_of(b->routes, &t->address);

		if (home == NULL || home->conf->users_named || home->catch_all == NULL ||
		    home->conf->deliver == DELIVER_NOWHERE || home_find(home, t->address.local) != NULL)
			continue;
		b->home = home;
		add_user(b, without_detail(t->address.local), t->place);
	}
}

static void
add_implied_users(struct making *b)
{
	for (const struct entry *e = b->routes->first; e != NULL; e = e->next)
		imply_users(b, e->list != NULL ? e->list->members : e->targets);
}

/* The first postmaster that any domain has is there for those that have none. */
static void
find_postmaster(struct making *b)
{
	struct routes *routes = b->routes;
	struct entry *e;

	for (size_t i = 0; i < routes->home_count; i++) {
		const struct home *home = &routes->home[i];

		if (map_get(&home->names, S("postmaster")) == NULL)
			continue;
		e = routes->postmaster = get(b, sizeof *e);
		*e = (struct entry){ .home = home, .name = S("any postmaster") };
		e->targets = make_target(b, address_make(S("postmaster"), home->conf->name, routes->arena),
		    home->conf->place);
		return;
	}
}

/* --- the whole --------------------------------------------------------------------- */

static void
add_home(struct making *b, const struct domain_conf *d)
{
	struct home *home = b->home = &b->routes->home[b->routes->home_count++];

	home->conf = d;
	home->everyone = d->deliver != DELIVER_NOWHERE && !d->users_named &&
	    d->catch_all.address.text.n == 0;
	map_put(&b->routes->homes, d->name, home);
	add_users(b);
	add_aliases(b);
	add_lists(b);
	add_managers(b);
	add_catch_all(b);
}

struct routes *
routes_new(const struct conf *conf, const struct reader *reader, struct flaws *flaws)
{
	struct routes *routes = must_alloc(sizeof *routes);
	struct making b = { .routes = routes, .reader = reader, .flaws = flaws };

	routes->conf = conf;
	routes->arena = arena_new(ARENA_BYTES);
	routes->last = &routes->first;
	routes->home = must_alloc((conf->domain_count + 1) * sizeof *routes->home);
	for (size_t i = 0; i < conf->domain_count; i++)
		add_home(&b, &conf->domain[i]);
	add_implied_users(&b);
	find_postmaster(&b);
	routes_check(routes, flaws);
	return routes;
}

void
routes_free(struct routes *routes)
{
	if (routes == NULL)
		return;
	for (struct entry *e = routes->first; e != NULL; e = e->next)
		if (e->list != NULL)
			map_free(&e->list->by_address);
	for (size_t i = 0; i < routes->home_count; i++)
		map_free(&routes->home[i].names);
	map_free(&routes->homes);
	free(routes->home);
	arena_free(routes->arena);
	free(routes);
}
