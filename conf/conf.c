/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "conf/build.h"
#include "mail/domain.h"

/* Texts are at most 16 MB; what becomes of a word is at most some hundred bytes. */
static const size_t ARENA_BYTES = (size_t)4 << 30;

void *
build_more(struct build *b, void *array, size_t *count, size_t size)
{
	size_t n = *count;
	char *elements, *larger;

	memcpy(&elements, array, sizeof elements);      /* a pointer to whatever type */
	if (n == 0 || (n & (n - 1)) == 0) {
		larger = tree_get(b->conf->arena, (n ? 2 * n : 1) * size);
		if (n > 0)
			memcpy(larger, elements, n * size);
		memcpy(array, &larger, sizeof larger);
		elements = larger;
	}
	++*count;
	return elements + n * size;
}

/* --- defaults --------------------------------------------------------------------- */

void
conf_defaults(const struct vocabulary *v, const char *context, struct buf *text)
{
	const struct keyword *row;

	for (size_t i = 0; (row = keyword_nth(v, context, i)) != NULL; i++)
		if (row->usual != NULL)
			buf_printf(text, "%s %s\n", row->words, row->usual);
}

/* Defaults are statements like others: one parser, one spelling, one table. */
static struct tree *
defaults(struct build *b, const char *context)
{
	struct buf text = BUF(1 << 16);
	struct slice kept;
	struct tree *tree;

	for (size_t i = 0; i < b->conf->usual_count; i++)
		if (slice_eq(b->conf->usual[i]->begin.source->name, slice(context)))
			return b->conf->usual[i];
	conf_defaults(&CONF_VOCABULARY, context, &text);
	kept = arena_copy(b->conf->arena, buf_slice(&text));
	buf_free(&text);
	tree = tree_parse_text(slice(context), kept, b->flaws);
	keywords_check(&CONF_VOCABULARY, tree->first, context, tree->arena, b->flaws);
	return *(struct tree **)MORE(b, b->conf->usual, b->conf->usual_count) = tree;
}

void
take_defaults(struct build *b, const char *context, void *owner)
{
	bool before = b->usual;

	b->usual = true;
	take_statements(b, defaults(b, context)->first, owner);
	b->usual = before;
}

/* --- when all statements have been read ------------------------------------------------ */

/* One pattern of a `to` block: the longest one that fits a domain will count. */
static void
add_destination(struct build *b, struct map *places, const struct word *w,
    struct destination_conf *destination)
{
	struct delivery_conf *d = &b->conf->delivery;
	const struct word *before;
	struct slice pattern;

	bug_if(!value_pattern(w->text, b->conf->arena, &pattern));
	if ((before = map_get(places, pattern)) != NULL) {
		flaw_error(b->flaws, w->place, "to \"%.*s\" is there twice", FMT(w->text));
		flaw_hint_first(b->flaws, before->place);
		return;
	}
	map_put(places, pattern, (void *)(uintptr_t)w);
	if (*pattern.p == '.')
		map_put(&d->below, slice_skip(pattern, 1), destination);
	else
		map_put(&d->exact, pattern, destination);
}

static void
finish_destinations(struct build *b)
{
	struct map places = { 0 };

	for (size_t i = 0; i < b->to_count; i++) {
		const struct statement *s = b->to[i];
		struct destination_conf *d = tree_get(b->conf->arena, sizeof *d);

		*d = b->conf->delivery.usual;
		take_statements(b, s->block, d);
		for (const struct word *w = value_first(s); w != NULL; w = value_next(w))
			add_destination(b, &places, w, d);
	}
	map_free(&places);
}

static void
finish_domains(struct build *b)
{
	struct conf *conf = b->conf;

	for (size_t i = 0; i < conf->domain_count; i++) {
		struct domain_conf *d = &conf->domain[i], *before = map_get(&conf->domains, d->name);

		if (before != NULL) {
			flaw_error(b->flaws, d->place, "domain \"%.*s\" is there twice", FMT(d->name));
			flaw_hint_first(b->flaws, before->place);
			continue;
		}
		map_put(&conf->domains, d->name, d);
		for (size_t j = 0; j < d->list_count; j++) {
			struct list_conf *l = d->lists[j];

			l->tag = l->tag.p != NULL ? l->tag : d->tag;
			l->footer = l->footer.p != NULL ? l->footer : d->footer;
		}
	}
}

/* Without "mx" this machine takes the mail of a domain. */
static void
finish_hosts(struct build *b)
{
	for (size_t i = 0; i < b->conf->domain_count; i++) {
		struct domain_conf *d = &b->conf->domain[i];

		if (d->mx_count == 0)
			*(struct slice *)MORE(b, d->mx, d->mx_count) = b->conf->hostname;
	}
}

static void
finish_listen(struct build *b)
{
	struct conf *conf = b->conf;

	if (conf->listen_count == 0)
		add_listen(b, S("mx"), conf->begin);
	for (size_t i = 0; i < conf->listen_count; i++)
		if (conf->listen[i].size == 0)
			conf->listen[i].size = conf->limits.size;
}

/* A default that was overridden names no file of ours. */
static bool
names_a_file(const struct conf *conf, const struct conf_file *f)
{
	if (!f->usual)
		return true;
	if (f->purpose == FILE_ROOTS)
		return slice_eq(f->name, conf->roots);
	return conf->resolver.facts.n == 0 && slice_eq(f->name, conf->resolver.anchor);
}

static void
finish_files(struct build *b)
{
	struct conf *conf = b->conf;
	struct conf_file *f;
	size_t n = 0;

	for (size_t i = 0; i < conf->file_count; i++)
		if (names_a_file(conf, conf->file[i]))
			conf->file[n++] = conf->file[i];
	conf->file_count = n;
	if (conf->resolver.server_count > 0 || conf->resolver.facts.n > 0)
		return;
	f = tree_get(conf->arena, sizeof *f);
	*f = (struct conf_file){ S("/etc/resolv.conf"), FILE_NAMESERVERS, conf->begin, true };
	*(struct conf_file **)MORE(b, conf->file, conf->file_count) = f;
}

struct conf *
conf_build(const struct statement *first, struct slice hostname, struct place begin,
    struct flaws *flaws)
{
	struct conf *conf = must_alloc(sizeof *conf);
	struct build b = { .conf = conf, .flaws = flaws };

	conf->arena = arena_new(ARENA_BYTES);
	conf->begin = begin;
	if (hostname.n > 0)
		conf->hostname = domain_normal(hostname, conf->arena);
	take_defaults(&b, "", conf);
	take_defaults(&b, "resolver", &conf->resolver);
	take_defaults(&b, "arc", &conf->arc);
	take_defaults(&b, "delivery", &conf->delivery);
	take_defaults(&b, "policy", &conf->policy);
	take_defaults(&b, "limits", &conf->limits);
	take_statements(&b, first, conf);
	finish_destinations(&b);
	finish_domains(&b);
	finish_hosts(&b);
	finish_listen(&b);
	finish_files(&b);
	return conf;
}

struct conf *
conf_parse(struct slice name, const struct reader *reader, struct flaws *flaws)
{
	struct tree *tree = tree_parse(name, reader, flaws);
	struct conf *conf;

	keywords_check(&CONF_VOCABULARY, tree->first, "", tree->arena, flaws);
	conf = conf_build(tree->first, NONE, tree->begin, flaws);
	conf->tree = tree;
	/* What the whole lacks may stand in a statement that could not be read. */
	if (flaws->errors == 0)
		conf_check(conf, flaws);
	return conf;
}

void
conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	map_free(&conf->domains);
	map_free(&conf->delivery.exact);
	map_free(&conf->delivery.below);
	map_free(&conf->delivery.hold_to.map);
	map_free(&conf->delivery.hold_from.map);
	for (size_t i = 0; i < conf->usual_count; i++)
		tree_free(conf->usual[i]);
	tree_free(conf->tree);
	arena_free(conf->arena);
	free(conf);
}

struct slice
conf_home(const struct conf *conf)
{
	if (conf->domain_count == 0 || map_get(&conf->domains, conf->hostname) != NULL)
		return conf->hostname;
	return conf->domain[0].name;
}

const struct key_conf *
conf_key(const struct conf *conf, struct slice domain, size_t turn)
{
	for (size_t i = 0; i < conf->key_count; i++)
		if (slice_eq(conf->key[i].domain, domain) && turn-- == 0)
			return &conf->key[i];
	return NULL;
}

bool
conf_signs(const struct conf *conf, struct slice domain)
{
	while (domain.n > 0 && conf_key(conf, domain, 0) == NULL)
		domain = domain_parent(domain);
	return domain.n > 0;
}

bool
conf_lets_leave(const struct conf *conf)
{
	for (size_t i = 0; i < conf->domain_count; i++)
		for (size_t j = 0; j < conf->domain[i].list_count; j++)
			if (conf->domain[i].lists[j]->one_click.n > 0)
				return true;
	return false;
}

bool
conf_serves(const struct conf *conf)
{
	for (size_t i = 0; conf->web.tls_count > 0 && i < conf->domain_count; i++)
		if (conf->domain[i].sts != SERVE_OFF)
			return true;
	return conf->web.tls_count > 0 && conf_lets_leave(conf);
}

int64_t
conf_patience(const struct conf *conf, bool report)
{
	const struct delivery_conf *c = &conf->delivery;

	return report && c->expire_reports < c->expire ? c->expire_reports : c->expire;
}
