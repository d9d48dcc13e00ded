/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/file.h"
#include "conf/show.h"
#include "lab/keys.h"
#include "lab/settings.h"

enum { CONFIG_MOST = 4 << 20, KEY_MOST = 16384 };

/* --- keys ------------------------------------------------------------------------------ */

bool
domain_key_nth(const struct statement *host, const struct statement *domain, size_t turn,
    struct domain_key *key)
{
	const struct statement *sign = statement_find(domain->block, LAB_ZONE_SIGN);
	bool small = sign != NULL && (statement_says(sign, "ed25519") || statement_says(sign, "both"));
	bool rsa = (sign != NULL && !statement_says(sign, "ed25519")) ||
	    statement_find(host->block, LAB_HOST_SEAL) != NULL;

	if (rsa && turn-- == 0) {
		*key = (struct domain_key){ "rsa", KEY_RSA_2048 };
		return true;
	}
	if (small && turn == 0) {
		*key = (struct domain_key){ "ed25519", KEY_ED25519 };
		return true;
	}
	return false;
}

EVP_PKEY *
domain_key_make(const struct world *w, struct slice domain, const struct domain_key *key)
{
	struct slice name = arena_printf(w->arena, "%s._domainkey.%.*s", key->selector, FMT(domain));

	return key_make((enum key_kind)key->kind, w->scenario->seed, name);
}

static bool
write_key(struct citizen *c, struct slice domain, const struct domain_key *key, struct buf *config,
    struct error *why)
{
	EVP_PKEY *pkey = domain_key_make(c->world, domain, key);
	struct buf pem = BUF(KEY_MOST);
	char *path = world_path(c->world, "hosts/%.*s/%s-%.*s.pem", FMT(c->name), key->selector,
	    FMT(domain));
	bool ok;

	key_pem(pkey, &pem);
	ok = world_write(path, buf_slice(&pem), why);
	buf_printf(config, "key %s-%u { domain %.*s; selector %s; file %s }\n", key->selector,
	    (unsigned)config->n, FMT(domain), key->selector, path);
	EVP_PKEY_free(pkey);
	buf_free(&pem);
	free(path);
	return ok;
}

static bool
write_keys(struct citizen *c, struct buf *config, struct error *why)
{
	for (const struct statement *s = c->statement->block; s != NULL; s = s->next) {
		struct domain_key key;

		if (statement_id(s) != KEYWORD_DOMAIN)
			continue;
		for (size_t i = 0; domain_key_nth(c->statement, s, i, &key); i++)
			if (!write_key(c, value_first(s)->text, &key, config, why))
				return false;
	}
	return true;
}

/* --- statements that are added to the host's own --------------------------------------------- */

/* A text as statements of a context; they live as long as the world. */
static struct statement *
parse(struct world *w, const char *context, struct slice text)
{
	struct flaws flaws;
	struct tree *tree;

	flaws_begin(&flaws);
	tree = tree_parse_text(S("lab"), arena_copy(w->arena, text), &flaws);
	keywords_check(&CONF_VOCABULARY, tree->first, context, tree->arena, &flaws);
	bug_if(flaws.errors > 0);
	flaws_end(&flaws);
	w->trees = must_grow(w->trees, (w->tree_count + 1) * sizeof *w->trees);
	w->trees[w->tree_count++] = tree;
	return tree->first;
}

static void
append(struct statement **block, struct statement *s)
{
	while (*block != NULL)
		block = &(*block)->next;
	*block = s;
}

static void
add_maildirs(struct citizen *c)
{
	for (struct statement *s = c->statement->block; s != NULL; s = s->next)
		if (statement_id(s) == KEYWORD_DOMAIN &&
		    statement_find(s->block, KEYWORD_DOMAIN_DELIVER) == NULL) {
			struct slice text = arena_printf(c->world->arena,
			    "deliver to maildir \"%s/mail/%%d/%%u\"", c->directory);

			append(&s->block, parse(c->world, "domain", text));
		}
}

/* --- the text ------------------------------------------------------------------------------------ */

static void
add_door(const struct citizen *c, struct buf *b, const char *name, unsigned port, const char *more)
{
	char ip[IP_TEXT];

	ip_text(c->ip, ip);
	buf_printf(b, "listen %s {\n    on %s:%u\n", name, ip, port);
	if (c->certificate.chain.n > 0)
		buf_printf(b, "    tls cert \"%s/tls.pem\" key \"%s/tls.key\"\n", c->directory, c->directory);
	buf_printf(b, "%s}\n", more);
}

static void
add_frame(const struct citizen *c, struct buf *b)
{
	const struct world *w = c->world;
	char ip[IP_TEXT];

	ip_text(c->ip, ip);
	if (statement_find(c->statement->block, KEYWORD_HOSTNAME) == NULL)
		buf_printf(b, "hostname %.*s\n", FMT(c->hostname));
	buf_printf(b, "history never\nstate \"%s/state\"\nroots \"%s/ca.pem\"\n", c->directory, w->directory);
	buf_printf(b, "resolver { server 127.0.42.53:53; anchor \"%s/dns/anchor\" }\n", w->directory);
	add_door(c, b, "mx", MX_PORT, "");
	add_door(c, b, "desk", DESK_PORT, "    allow relay from 127.0.42.1\n");
	buf_printf(b, "delivery { source %s }\n", ip);
}

static bool
write_text(struct citizen *c, struct error *why)
{
	struct buf b = BUF(CONFIG_MOST);
	struct tree own = { .first = c->statement->block };
	bool ok;

	buf_printf(&b, "# %.*s, made by chainmail lab from %.*s:%u\n", FMT(c->name),
	    FMT(c->world->scenario->name), c->statement->words->place.line);
	add_frame(c, &b);
	ok = write_keys(c, &b, why);
	show_tree(&b, &CONF_VOCABULARY, &own, false);
	ok = ok && (!b.full || error_set(why, "the configuration of %.*s is too long", FMT(c->name))) &&
	    world_write(c->config, buf_slice(&b), why);
	buf_free(&b);
	return ok;
}

bool
settings_write(struct citizen *c, struct error *why)
{
	char *certificate = world_path(c->world, "hosts/%.*s/tls.pem", FMT(c->name));
	char *key = world_path(c->world, "hosts/%.*s/tls.key", FMT(c->name));
	bool ok = c->certificate.chain.n == 0 ||
	    (world_write(certificate, buf_slice(&c->certificate.chain), why) &&
	     world_write(key, buf_slice(&c->certificate.key), why));

	free(certificate);
	free(key);
	add_maildirs(c);
	return ok && write_text(c, why);
}
