/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "dns/zone.h"
#include "lab/zones.h"
#include "mail/domain.h"

enum { ZONE_BYTES = 64 << 20, CONFIG_BYTES = 16 << 20, DATA_BYTES = 2 * ZONES_DATA_MOST, LINE_BYTES = 512 };

#define YEAR (365 * DAY)

static const char NAME_SERVER[] = "ns.test";

/* --- what the world says -------------------------------------------------------- */

struct data {
	struct data *next;
	char        *text;              /* as in a zone file */
};

/* All that is known of a name and type. */
struct entry {
	struct entry  *next;
	uint16_t       type;
	bool           tampered;
	enum dns_fault fault;
	struct data   *first;
};

struct node {
	struct node  *next;
	char         *name;             /* as in facts.h */
	struct entry *entries;
};

struct domain {
	struct domain     *next;
	char              *name;
	char              *base;        /* the path of its files without their ends */
	enum zone_security security;
	enum zone_denial   denial;
	struct zone_key    key;
	unsigned           serial;      /* how often its text changed */
	struct buf         draft;       /* what it would say now, without the SOA */
	struct buf         body;        /* what it said when it was published last */
	struct buf         text;        /* the same, signed */
};

struct zones {
	char          *directory, *config;
	uint64_t       seed, generation;
	int64_t        now;
	struct node   *nodes, **last_node;
	struct domain *domains, **last_domain;
	size_t         domain_count;
	struct map     by_name, by_domain;      /* struct node, struct domain */
	char           anchor[120];
	bool           config_written;
	struct published_zone *published;
};

static struct domain *
domain_at(const struct zones *zs, struct slice name)
{
	return map_get(&zs->by_domain, name);
}

/* The zone that a name belongs to. */
static struct domain *
domain_of(const struct zones *zs, struct slice name)
{
	struct domain *d;

	while ((d = domain_at(zs, name)) == NULL)
		name = domain_parent(name);
	return d;
}

/* Where the DS and NS records of a zone stand; NULL: it is the root. */
static struct domain *
parent_of(const struct zones *zs, const struct domain *d)
{
	return *d->name == '\0' ? NULL : domain_of(zs, domain_parent(slice(d->name)));
}

static char *
lower_copy(struct slice s)
{
	char *copy = must_copy(s.p, s.n);

	for (size_t i = 0; i < s.n; i++)
		copy[i] = to_lower(copy[i]);
	return copy;
}

static struct node *
node_at(struct zones *zs, struct slice name)
{
	struct node *n = map_get(&zs->by_name, name);

	if (n != NULL)
		return n;
	n = must_alloc(sizeof *n);
	n->name = lower_copy(name);
	map_put(&zs->by_name, slice(n->name), n);
	*zs->last_node = n;
	zs->last_node = &n->next;
	return n;
}

static struct entry *
find_entry(const struct zones *zs, struct slice name, uint16_t type)
{
	const struct node *n = map_get(&zs->by_name, name);

	for (struct entry *e = n ? n->entries : NULL; e != NULL; e = e->next)
		if (e->type == type)
			return e;
	return NULL;
}

static struct entry *
entry_at(struct zones *zs, struct slice name, uint16_t type)
{
	struct entry *e = find_entry(zs, name, type), **at;

	if (e != NULL)
		return e;
	for (at = &node_at(zs, name)->entries; *at != NULL;)
		at = &(*at)->next;
	*at = e = must_alloc(sizeof *e);
	e->type = type;
	return e;
}

static void
free_data(struct entry *e)
{
	struct data *d;

	while ((d = e->first) != NULL) {
		e->first = d->next;
		free(d->text);
		free(d);
	}
}

static void
free_node(struct node *n)
{
	struct entry *e;

	while ((e = n->entries) != NULL) {
		n->entries = e->next;
		free_data(e);
		free(e);
	}
	free(n->name);
	free(n);
}

static void
free_domain(struct domain *d)
{
	buf_free(&d->draft);
	buf_free(&d->body);
	buf_free(&d->text);
	free(d->name);
	free(d->base);
	free(d);
}

/* --- changes ------------------------------------------------------------------------- */

/* Letters, digits, "-" and "_": nothing that would mean something in a zone file. */
static bool
name_ok(struct slice name, bool wildcard)
{
	if (wildcard && slice_starts(name, S("*.")))
		name = slice_skip(name, 2);
	for (size_t i = 0; i < name.n; i++)
		if (!is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_' && name.p[i] != '.')
			return false;
	return domain_lengths_ok(name);
}

static bool
has_data(const struct zones *zs, struct slice name, uint16_t type)
{
	const struct entry *e = find_entry(zs, name, type);

	return e != NULL && e->first != NULL;
}

static bool
no_cname(const struct zones *zs, struct slice name, struct error *why)
{
	return !has_data(zs, name, RR_CNAME) || error_set(why,
	    "%.*s has a CNAME record, which stands alone (RFC 1034 3.6.2)", FMT(name));
}

/* RFC 1034 3.6.2; a zone's own name has a SOA at least. */
static bool
alone(const struct zones *zs, struct slice name, struct error *why)
{
	const struct node *n = map_get(&zs->by_name, name);
	bool other = domain_at(zs, name) != NULL;

	for (const struct entry *e = n ? n->entries : NULL; e != NULL; e = e->next)
		other |= e->type != RR_CNAME && e->first != NULL;
	return !other || error_set(why, "%.*s has other records, and a CNAME stands alone "
	    "(RFC 1034 3.6.2)", FMT(name));
}

bool
zone_security_parse(struct slice word, enum zone_security *security)
{
	static const char *const words[] = { "secure", "insecure", "bogus" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (slice_eq(slice(words[i]), word)) {
			*security = (enum zone_security)i;
			return true;
		}
	return false;
}

static struct domain *
new_domain(struct zones *zs, struct slice name)
{
	struct domain *d = must_alloc(sizeof *d);
	struct buf base = BUF(PATH_MAX);

	d->name = lower_copy(name);
	buf_printf(&base, "%s/%s", zs->directory, name.n ? d->name : "@");
	bug_if(base.full);
	d->base = must_copy(base.p, base.n);
	buf_free(&base);
	d->draft = d->body = d->text = BUF(ZONE_BYTES);
	zone_key_make(zs->seed, slice(d->name), &d->key);
	map_put(&zs->by_domain, slice(d->name), d);
	*zs->last_domain = d;
	zs->last_domain = &d->next;
	zs->domain_count++;
	return d;
}

bool
zones_domain(struct zones *zs, struct slice name, enum zone_security security,
    enum zone_denial denial, struct error *why)
{
	struct domain *d = domain_at(zs, name);

	if (d == NULL && !name_ok(name, false))
		return error_set(why, "\"%.*s\" is no name of a domain", FMT(slice_head(name, 80)));
	if (!no_cname(zs, name, why))
		return false;
	if (d == NULL)
		d = new_domain(zs, name);
	d->security = security;
	d->denial = denial;
	return true;
}

static bool
type_ok(uint16_t type)
{
	return type == RR_A || type == RR_AAAA || type == RR_MX || type == RR_TXT ||
	    type == RR_TLSA || type == RR_CNAME || type == RR_PTR;
}

static bool
data_ok(uint16_t type, struct slice data)
{
	switch (type) {
	case RR_A:
		return data.n == 4;
	case RR_AAAA:
		return data.n == 16;
	case RR_TXT:
		return true;
	case RR_TLSA:
		return data.n >= 3;
	default:
		return data.n == 0 || name_ok(data, false);
	}
}

/* RFC 2181 5.2: the records of a name and type are a set. */
static void
add_data(struct entry *e, struct slice text)
{
	struct data **at = &e->first;

	while (*at != NULL && !slice_eq(slice((*at)->text), text))
		at = &(*at)->next;
	if (*at != NULL)
		return;
	*at = must_alloc(sizeof **at);
	(*at)->text = must_copy(text.p, text.n);
}

bool
zones_add(struct zones *zs, struct slice name, uint16_t type, const struct record *r,
    struct error *why)
{
	struct buf text = BUF(ZONES_DATA_MOST);
	bool full;

	if (!name_ok(name, true))
		return error_set(why, "\"%.*s\" is no name of a record", FMT(slice_head(name, 80)));
	if (!type_ok(type))
		return error_set(why, "%.*s: the lab has no records of type %u", FMT(name), type);
	if (!data_ok(type, r->data))
		return error_set(why, "%.*s: data that no %s record can have", FMT(name),
		    rr_name(type));
	if (type == RR_CNAME ? !alone(zs, name, why) : !no_cname(zs, name, why))
		return false;
	record_to_text(&text, type, r);
	full = text.full;
	if (!full)
		add_data(entry_at(zs, name, type), buf_slice(&text));
	buf_free(&text);
	return !full || error_set(why, "%.*s: the data are too long", FMT(name));
}

bool
zones_add_text(struct zones *zs, struct slice name, uint16_t type, struct slice text,
    struct error *why)
{
	struct arena *arena = arena_new(DATA_BYTES);
	struct record r;
	bool ok = record_parse(type, text, arena, &r) ? zones_add(zs, name, type, &r, why)
	    : error_set(why, "%.*s: data that its record cannot have: %.*s",
	    FMT(slice_head(name, 80)), FMT(slice_head(text, 80)));

	arena_free(arena);
	return ok;
}

void
zones_remove(struct zones *zs, struct slice name, uint16_t type)
{
	struct entry *e = find_entry(zs, name, type);

	if (e != NULL)
		free_data(e);
}

void
zones_tamper(struct zones *zs, struct slice name, uint16_t type, bool tampered)
{
	entry_at(zs, name, type)->tampered = tampered;
}

void
zones_fault(struct zones *zs, struct slice name, uint16_t type, enum dns_fault fault)
{
	entry_at(zs, name, type)->fault = fault;
}

enum dns_fault
zones_fault_for(void *arg, struct slice name, uint16_t type)
{
	const struct entry *e = find_entry(arg, name, type);

	return e == NULL ? DNS_NO_FAULT : e->fault;
}

/* --- drafts: what each zone would say now ----------------------------------------------- */

/*
 * The draft begins with what a validator sees and the records do not say, so
 * that a change of it is a change of the text too.
 */
static void
begin_draft(struct domain *d)
{
	static const char *const states[] = { "secure", "insecure", "bogus" };
	static const char *const denials[] = { "NSEC", "NSEC3", "NSEC3, opt-out" };

	buf_clear(&d->draft);
	buf_printf(&d->draft, "; %s, %s\n", states[d->security], denials[d->denial]);
	buf_printf(&d->draft, "%s. 3600 IN NS %s.\n", d->name, NAME_SERVER);
	if (d->security != ZONE_INSECURE)
		buf_printf(&d->draft, "%s. 3600 IN DNSKEY %s\n", d->name, d->key.dnskey);
}

static void
add_delegation(const struct zones *zs, const struct domain *d)
{
	struct domain *parent = parent_of(zs, d);

	if (parent == NULL)
		return;
	buf_printf(&parent->draft, "%s. 3600 IN NS %s.\n", d->name, NAME_SERVER);
	if (d->security != ZONE_INSECURE && parent->security != ZONE_INSECURE)
		buf_printf(&parent->draft, "%s. 3600 IN DS %s\n", d->name, d->key.ds);
}

static void
add_entry(struct buf *draft, const struct node *n, const struct entry *e)
{
	for (const struct data *d = e->first; d != NULL; d = d->next)
		buf_printf(draft, "%s. 3600 IN %s %s\n", n->name, rr_name(e->type), d->text);
	if (e->tampered && e->first != NULL)
		buf_printf(draft, "; tampered: %s %s\n", n->name, rr_name(e->type));
}

/* The name server stands below "test", to which the root delegates: glue (RFC 1034 4.2.1). */
static void
add_glue(struct zones *zs)
{
	const struct entry *e = find_entry(zs, slice(NAME_SERVER), RR_A);

	if (e != NULL && e->first != NULL)
		buf_printf(&domain_at(zs, NONE)->draft, "%s. 3600 IN A %s\n", NAME_SERVER,
		    e->first->text);
}

static bool
write_drafts(struct zones *zs, struct error *why)
{
	for (struct domain *d = zs->domains; d != NULL; d = d->next)
		begin_draft(d);
	for (struct domain *d = zs->domains; d != NULL; d = d->next)
		add_delegation(zs, d);
	add_glue(zs);
	for (struct node *n = zs->nodes; n != NULL; n = n->next) {
		struct domain *d = domain_of(zs, slice(n->name));

		for (struct entry *e = n->entries; e != NULL; e = e->next)
			add_entry(&d->draft, n, e);
	}
	for (struct domain *d = zs->domains; d != NULL; d = d->next)
		if (d->draft.full)
			return error_set(why, "the zone %s. is too large", d->name);
	return true;
}

/* --- publishing ------------------------------------------------------------------------------ */

/* For this run only: it need not survive a power cut. */
static bool
write_file(const char *base, const char *end, struct slice bytes, struct error *why)
{
	char path[PATH_MAX];
	int fd = -1;
	bool ok;

	if (snprintf(path, sizeof path, "%s%s", base, end) < (int)sizeof path)
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1)
		return error_sys(why, "cannot create %s%s", base, end);
	ok = file_write(fd, bytes, why);
	return close(fd) == 0 && ok;
}

static bool
write_zone(const struct domain *d, struct error *why)
{
	struct buf text = BUF(ZONE_BYTES + LINE_BYTES);
	bool ok;

	/* A negative answer is kept for the least of TTL and minimum (RFC 2308 5). */
	buf_printf(&text, "%s. 600 IN SOA %s. hostmaster.test. %u 3600 600 604800 600\n", d->name,
	    NAME_SERVER, d->serial + 1);
	buf_add(&text, buf_slice(&d->draft));
	ok = write_file(d->base, ".zone", buf_slice(&text), why) &&
	    write_file(d->base, ".private", slice(d->key.private), why);
	if (ok && d->security == ZONE_INSECURE)
		ok = write_file(d->base, ".signed", buf_slice(&text), why);
	buf_free(&text);
	return ok;
}

struct breaking {
	const struct zones  *zones;
	const struct domain *domain;
	bool                 some;
};

/* The key's own signature stays good: what is bogus is what the key should have signed. */
static bool
breaks(void *arg, struct slice owner, struct slice type_name)
{
	struct breaking *b = arg;
	const struct entry *e;
	uint16_t type;
	bool yes = b->domain->security == ZONE_BOGUS && !slice_eq(type_name, S("DNSKEY"));

	if (!yes && rr_type(type_name, &type)) {
		e = find_entry(b->zones, owner, type);
		yes = e != NULL && e->tampered;
	}
	b->some |= yes;
	return yes;
}

/* Take what the signer wrote, with signatures broken where that is wanted. */
static bool
take_signed(const struct zones *zs, struct domain *d, struct error *why)
{
	struct buf text = BUF(ZONE_BYTES), broken = BUF(ZONE_BYTES);
	struct breaking b = { zs, d, false };
	char path[PATH_MAX];
	bool ok;

	snprintf(path, sizeof path, "%s.signed", d->base);
	ok = file_read(path, &text, why);
	if (ok)
		signatures_break(buf_slice(&text), breaks, &b, &broken);
	if (ok && b.some)
		ok = write_file(d->base, ".signed", buf_slice(&broken), why);
	buf_free(&text);
	if (!ok || broken.full) {
		buf_free(&broken);
		return ok ? error_set(why, "the zone %s. is too large", d->name) : false;
	}
	buf_free(&d->text);
	d->text = broken;
	return true;
}

static void
commit(struct domain *d)
{
	struct buf old = d->body;

	d->body = d->draft;
	d->draft = old;
	d->serial++;
}

/* The domains whose text is another one than last time. */
static size_t
find_changed(struct zones *zs, struct domain **changed)
{
	size_t n = 0;

	for (struct domain *d = zs->domains; d != NULL; d = d->next)
		if (!slice_eq(buf_slice(&d->draft), buf_slice(&d->body)))
			changed[n++] = d;
	return n;
}

static bool
sign_changed(struct zones *zs, struct domain *const *changed, size_t n, struct signing *signings,
    struct error *why)
{
	size_t jobs = 0, job = 0;
	bool ok;

	for (size_t i = 0; i < n; i++)
		if (!write_zone(changed[i], why))
			return false;
		else if (changed[i]->security != ZONE_INSECURE)
			signings[jobs++] = (struct signing){ .base = changed[i]->base,
			    .denial = changed[i]->denial };
	ok = sign_zones(signings, jobs, zs->now - 5 * YEAR, zs->now + 10 * YEAR, why);
	for (size_t i = 0; i < n; i++) {
		bool done = changed[i]->security == ZONE_INSECURE || signings[job++].done;

		if (done && take_signed(zs, changed[i], ok ? why : NULL))
			commit(changed[i]);
		else
			ok = false;
	}
	return ok;
}

/* --- what others read --------------------------------------------------------------------------- */

/* The names that libunbound would answer by itself must come from the world. */
static bool
write_config(const struct zones *zs, struct error *why)
{
	static const char *const own[] = { "test.", "invalid.", "onion.", "home.arpa.",
		"127.in-addr.arpa.",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa." };
	struct buf text = BUF(CONFIG_BYTES);
	bool ok;

	buf_add(&text, S("server:\n\tunblock-lan-zones: yes\n"));
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		buf_printf(&text, "\tlocal-zone: \"%s\" nodefault\n", own[i]);
	for (const struct domain *d = zs->domains; d != NULL; d = d->next)
		buf_printf(&text, "auth-zone:\n\tname: \"%s.\"\n\tzonefile: \"%s.signed\"\n"
		    "\tfor-downstream: no\n\tfor-upstream: yes\n\tfallback-enabled: no\n",
		    d->name, d->base);
	ok = write_file(zs->config, "", buf_slice(&text), why) &&
	    write_file(zs->directory, "/anchor", zones_anchor(zs), why);
	bug_if(text.full);
	buf_free(&text);
	return ok;
}

static enum security
chain_of(const struct zones *zs, const struct domain *d)
{
	enum security chain = DNS_SECURE;

	if (d->security == ZONE_INSECURE)
		return DNS_INSECURE;
	while ((d = parent_of(zs, d)) != NULL)
		if (d->security == ZONE_INSECURE)
			return DNS_INSECURE;
		else if (d->security == ZONE_BOGUS)
			chain = DNS_BOGUS;
	return chain;
}

static void
list_published(struct zones *zs)
{
	size_t n = 0;

	zs->published = must_grow(zs->published, zs->domain_count * sizeof *zs->published);
	for (const struct domain *d = zs->domains; d != NULL; d = d->next)
		zs->published[n++] = (struct published_zone){ slice(d->name), chain_of(zs, d),
		    buf_slice(&d->text) };
}

bool
zones_publish(struct zones *zs, struct error *why)
{
	struct domain **changed;
	struct signing *signings;
	size_t n;
	bool ok;

	if (!write_drafts(zs, why))
		return false;
	changed = must_alloc(zs->domain_count * sizeof *changed);
	signings = must_alloc(zs->domain_count * sizeof *signings);
	n = find_changed(zs, changed);
	ok = sign_changed(zs, changed, n, signings, why);
	free(changed);
	free(signings);
	list_published(zs);
	zs->config_written &= n == 0;
	zs->generation += n > 0;
	if (ok && !zs->config_written)
		ok = zs->config_written = write_config(zs, why);
	return ok;
}

uint64_t
zones_generation(const struct zones *zs)
{
	return zs->generation;
}

void
zones_resolver(struct zones *zs, int64_t now, struct resolver_options *o)
{
	o->config = zs->config;
	o->anchor = zones_anchor(zs);
	o->validate_at = now;
	o->fault = zones_fault_for;
	o->fault_arg = zs;
}

struct slice
zones_anchor(const struct zones *zs)
{
	return slice(zs->anchor);
}

size_t
zones_published(const struct zones *zs, const struct published_zone **first)
{
	*first = zs->published;
	return zs->published == NULL ? 0 : zs->domain_count;
}

/* --- begin and end ----------------------------------------------------------------- */

static bool
add_ground(struct zones *zs, struct ip server, struct error *why)
{
	static const unsigned char usual[] = { 127, 0, 42, 53 };
	struct record address = { .data = slice_of(server.bytes, server.n) };
	uint16_t type = server.n == 16 ? RR_AAAA : RR_A;

	if (server.n == 0)
		address.data = slice_of(usual, sizeof usual);
	new_domain(zs, NONE);
	return zones_domain(zs, S("test"), ZONE_SECURE, ZONE_NSEC, why) &&
	    zones_domain(zs, S("42.0.127.in-addr.arpa"), ZONE_SECURE, ZONE_NSEC, why) &&
	    zones_add(zs, slice(NAME_SERVER), type, &address, why);
}

struct zones *
zones_new(const struct zones_options *o, struct error *why)
{
	struct zones *zs;
	char path[PATH_MAX];
	struct buf config = BUF(PATH_MAX);

	if (!dir_make(o->directory, 0700, why))
		return NULL;
	if (realpath(o->directory, path) == NULL || strlen(path) + DOMAIN_MAX + 16 > PATH_MAX) {
		error_sys(why, "cannot use %s", o->directory);
		return NULL;
	}
	zs = must_alloc(sizeof *zs);
	zs->directory = must_copy(path, strlen(path));
	buf_printf(&config, "%s/unbound.conf", path);
	zs->config = must_copy(config.p, config.n);
	buf_free(&config);
	zs->seed = o->seed;
	zs->now = o->now;
	zs->last_node = &zs->nodes;
	zs->last_domain = &zs->domains;
	if (!add_ground(zs, o->server, why)) {
		zones_free(zs);
		return NULL;
	}
	snprintf(zs->anchor, sizeof zs->anchor, ". IN DS %s\n", domain_at(zs, NONE)->key.ds);
	return zs;
}

void
zones_free(struct zones *zs)
{
	struct node *n;
	struct domain *d;

	if (zs == NULL)
		return;
	while ((n = zs->nodes) != NULL) {
		zs->nodes = n->next;
		free_node(n);
	}
	while ((d = zs->domains) != NULL) {
		zs->domains = d->next;
		free_domain(d);
	}
	map_free(&zs->by_name);
	map_free(&zs->by_domain);
	free(zs->published);
	free(zs->directory);
	free(zs->config);
	free(zs);
}
