/* SPDX-License-Identifier: ISC */
#include "base/bug.h"
#include "lab/keys.h"
#include "lab/publish.h"
#include "lab/settings.h"
#include "lab/site.h"
#include "mail/domain.h"

enum { HOSTS_MOST = 16, DATA_MOST = 4096 };

struct publishing {
	struct world           *world;
	struct citizen         *citizen;        /* NULL: on no host */
	struct slice            name;
	const struct statement *domain, *block;
	struct slice            hosts[HOSTS_MOST];
	size_t                  count;
	struct error           *why;
};

static bool
add_txt(struct publishing *p, struct slice name, struct slice text)
{
	return zones_add(p->world->zones, name, RR_TXT, &(struct record){ .data = text }, p->why);
}

static struct slice
below(struct publishing *p, const char *label)
{
	return arena_printf(p->world->arena, "%s.%.*s", label, FMT(p->name));
}

/* --- the zone -------------------------------------------------------------------------- */

static bool
add_zone(struct publishing *p)
{
	const struct statement *s = statement_find(p->block, LAB_ZONE_STATE);
	enum zone_security security = ZONE_SECURE;
	enum zone_denial denial = ZONE_NSEC;

	if (s != NULL) {
		security = statement_says(s, "insecure") ? ZONE_INSECURE : statement_says(s, "bogus")
		    ? ZONE_BOGUS : ZONE_SECURE;
		denial = statement_says(s, "nsec3") ? ZONE_NSEC3 : statement_says(s, "opt-out")
		    ? ZONE_NSEC3_OPT_OUT : ZONE_NSEC;
	}
	return zones_domain(p->world->zones, p->name, security, denial, p->why);
}

/* --- MX ---------------------------------------------------------------------------------- */

static void
find_hosts(struct publishing *p)
{
	const struct statement *s = statement_find(p->block, LAB_ZONE_MX);

	if (s == NULL && p->citizen != NULL)
		p->hosts[p->count++] = p->citizen->hostname;
	for (const struct word *w = s != NULL ? value_first(s) : NULL; w != NULL && p->count < HOSTS_MOST;
	    w = value_next(w))
		p->hosts[p->count++] = domain_normal(w->text, p->world->arena);
}

static bool
add_mx(struct publishing *p)
{
	const struct statement *s = statement_find(p->block, LAB_ZONE_MX);

	if (s != NULL && statement_says(s, "null"))
		return zones_add(p->world->zones, p->name, RR_MX, &(struct record){ .data = NONE }, p->why);
	for (size_t i = 0; i < p->count; i++) {
		struct record mx = { .preference = (uint16_t)(10 * (i + 1)), .data = p->hosts[i] };

		if (!zones_add(p->world->zones, p->name, RR_MX, &mx, p->why))
			return false;
	}
	return true;
}

/* --- policies ------------------------------------------------------------------------------ */

static bool
add_spf(struct publishing *p)
{
	const struct statement *s = statement_find(p->block, LAB_ZONE_SPF);

	if ((s != NULL && statement_says(s, "none")) || (s == NULL && p->citizen == NULL))
		return true;
	return add_txt(p, p->name, statement_text(p->block, LAB_ZONE_SPF));
}

static bool
add_dmarc(struct publishing *p)
{
	const struct statement *s = statement_find(p->block, LAB_ZONE_DMARC);
	struct slice text;

	if (s == NULL)
		return true;
	text = value_first(s) != NULL ? value_first(s)->text
	    : arena_printf(p->world->arena, "v=DMARC1; p=%.*s", FMT(s->words->next->text));
	return add_txt(p, below(p, "_dmarc"), text);
}

static bool
add_key(struct publishing *p, const struct domain_key *key)
{
	EVP_PKEY *pkey = domain_key_make(p->world, p->name, key);
	struct slice name = arena_printf(p->world->arena, "%s._domainkey.%.*s", key->selector, FMT(p->name));
	struct buf text = BUF(DATA_MOST);
	bool ok;

	key_dkim_record(pkey, &text);
	ok = add_txt(p, name, buf_slice(&text));
	buf_free(&text);
	EVP_PKEY_free(pkey);
	return ok;
}

static bool
add_keys(struct publishing *p)
{
	struct domain_key key;

	if (p->citizen == NULL || p->citizen->script.hostname.n > 0)
		return true;
	for (size_t i = 0; domain_key_nth(p->citizen->statement, p->domain, i, &key); i++)
		if (!add_key(p, &key))
			return false;
	return true;
}

/* --- what TLS must prove ---------------------------------------------------------------------- */

/* "3 0 2" */
static bool
parse_form(struct slice text, struct tlsa_form *t)
{
	unsigned char *part[] = { &t->usage, &t->selector, &t->matching };
	struct slice word;
	uint64_t n;

	for (size_t i = 0; i < 3; i++) {
		if (!slice_word(&text, &word) || !slice_number(word, 255, &n))
			return false;
		*part[i] = (unsigned char)n;
	}
	return !slice_word(&text, &word);
}

static bool
form_of(const struct publishing *p, const struct statement *s, struct tlsa_form *t)
{
	bool ta = statement_says(s, "ta");

	*t = (struct tlsa_form){ ta ? 2 : 3, ta ? 0 : 1, 1 };
	return value_first(s) == NULL || parse_form(value_first(s)->text, t) ||
	    error_set(p->why, "\"%.*s\" is no form of a TLSA record, such as \"3 1 1\"",
	    FMT(value_first(s)->text));
}

/* Usages 0 and 2 are about an authority: the certificate behind the host's own. */
static bool
add_tlsa(struct publishing *p, const struct statement *s)
{
	struct buf data = BUF(DATA_MOST);
	struct tlsa_form t;
	bool ok = form_of(p, s, &t) && certificate_tlsa(buf_slice(&p->citizen->certificate.chain),
	    t.usage % 2 == 0, t, &data, p->why);

	if (ok && statement_says(s, "wrong"))
		data.p[data.n - 1] ^= 1;
	ok = ok && zones_add(p->world->zones, arena_printf(p->world->arena, "_25._tcp.%.*s",
	    FMT(p->citizen->hostname)), RR_TLSA, &(struct record){ .data = buf_slice(&data) }, p->why);
	buf_free(&data);
	return ok;
}

static bool
add_dane(struct publishing *p)
{
	for (const struct statement *s = p->block; s != NULL; s = s->next) {
		if (statement_id(s) != LAB_ZONE_DANE)
			continue;
		if (p->citizen == NULL || p->citizen->certificate.chain.n == 0)
			return error_set(p->why, "dane of %.*s: its host has no certificate", FMT(p->name));
		if (!add_tlsa(p, s))
			return false;
	}
	return true;
}

static bool
add_sts(struct publishing *p)
{
	const struct statement *s = statement_find(p->block, LAB_ZONE_STS);

	return s == NULL || site_open(p->world, p->name, s, p->hosts, p->count, p->why);
}

/* A record as scenarios have it: a TXT record is the text itself. */
bool
publish_record(struct world *w, struct slice name, uint16_t type, struct slice data,
    struct error *why)
{
	if (type == RR_TXT)
		return zones_add(w->zones, name, type, &(struct record){ .data = data }, why);
	return zones_add_text(w->zones, name, type, data, why);
}

bool
publish_type(const struct word *word, uint16_t *type, struct error *why)
{
	return rr_type(word->text, type) ||
	    error_set(why, "\"%.*s\" is no type of DNS records", FMT(word->text));
}

static bool
add_records(struct publishing *p)
{
	for (const struct statement *s = p->block; s != NULL; s = s->next) {
		const struct word *at = value_first(s), *type;
		int id = statement_id(s);
		uint16_t number;

		if (id != LAB_ZONE_RECORD && id != LAB_ZONE_TAMPERED)
			continue;
		type = value_next(at);
		if (!publish_type(type, &number, p->why))
			return false;
		if (id == LAB_ZONE_TAMPERED)
			zones_tamper(p->world->zones, domain_normal(at->text, p->world->arena), number,
			    true);
		else if (!publish_record(p->world, at->text, number, value_next(type)->text, p->why))
			return false;
	}
	return true;
}

/* --- the whole ------------------------------------------------------------------------------------ */

bool
publish_host(struct citizen *c, struct error *why)
{
	struct record a = { .data = slice_of(c->ip.bytes, c->ip.n) }, ptr = { .data = c->hostname };
	char reverse[IP_REVERSE];

	ip_reverse(c->ip, reverse);
	return zones_add(c->world->zones, c->hostname, RR_A, &a, why) &&
	    zones_add(c->world->zones, slice(reverse), RR_PTR, &ptr, why);
}

bool
publish_domain(struct world *w, struct citizen *c, struct slice name, const struct statement *domain,
    struct error *why)
{
	struct publishing p = { .world = w, .citizen = c, .domain = domain, .block = domain->block,
	    .why = why };

	p.name = domain_normal(name, w->arena);
	bug_if(p.name.p == NULL);
	find_hosts(&p);
	return add_zone(&p) && add_mx(&p) && add_spf(&p) && add_dmarc(&p) && add_keys(&p) &&
	    add_dane(&p) && add_sts(&p) && add_records(&p);
}
