/* SPDX-License-Identifier: ISC */
#include "cmd/resolving.h"
#include "conf/anchor.h"
#include "dns/zone.h"

static bool
read_facts(struct resolving *r, struct slice path, const struct reader *reader, struct error *why)
{
	struct slice name, text;

	if (reader->read(reader->arg, path, FILE_FACTS, 0, &name, &text, why) != READ_FILE)
		return false;
	r->facts = zone_parse(text, name.p, why);
	return r->facts != NULL;
}

/* None where the configuration says so, and nowhere else: DANE would be off without a word. */
static bool
read_anchor(struct slice path, const struct reader *reader, struct slice *text_r, struct error *why)
{
	struct slice name;
	struct error flaw;

	if (path.n == 0)
		return true;
	if (reader->read(reader->arg, path, FILE_ANCHOR, 0, &name, text_r, &flaw) == READ_FILE &&
	    anchor_covers_root(*text_r, &flaw))
		return true;
	return error_set(why, "trust anchor %.*s: %.150s; or say \"anchor none\"", FMT(path), flaw.text);
}

bool
resolving_begin(struct resolving *r, struct loop *loop, const struct resolver_conf *c,
    const struct reader *reader, struct error *why)
{
	struct peer servers[RESOLVING_SERVERS];
	struct resolver_options o = { .servers = servers };
	size_t ports = 0;

	*r = (struct resolving){ 0 };
	if (c->facts.n > 0 && !read_facts(r, c->facts, reader, why))
		return false;
	o.facts = r->facts;
	if (o.facts == NULL && !read_anchor(c->anchor, reader, &o.anchor, why))
		return false;
	r->ports[ports++] = 53;
	for (size_t i = 0; i < c->server_count && o.server_count < RESOLVING_SERVERS; i++) {
		const struct endpoint *e = &c->servers[i];

		servers[o.server_count++] = (struct peer){ .ip = e->ip, .port = e->port };
		r->ports[ports++] = e->port;
	}
	r->resolver = resolver_new(loop, &o, why);
	return r->resolver != NULL;
}

void
resolving_end(struct resolving *r)
{
	resolver_free(r->resolver);
	zone_free(r->facts);
	*r = (struct resolving){ 0 };
}
