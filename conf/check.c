/* SPDX-License-Identifier: ISC */
/* pure */
/*
 * conf_check() -- what only the whole configuration can tell.
 *
 * Each rule is one function; conf_check() at the end is their table of contents.
 */
#include "base/bug.h"
#include "conf/listing.h"
#include "mail/decorate.h"
#include "mail/domain.h"

enum {
	CERTIFICATES_MOST = 64,         /* of net/tls.h */
	SERVERS_MOST = 8,               /* of cmd/resolving.h */
	DOORS_MOST = 128,               /* of cmd/premises.h */
	STS_HOSTS_MOST = 100,           /* their names fit into the 64 kB that senders read (RFC 8461 3.3) */
};
static const int64_t STS_AGE_MOST = 31557600 * (int64_t)SECOND;        /* RFC 8461 3.2 */

static void
check_hostname(const struct conf *conf, struct flaws *flaws)
{
	if (conf->hostname.n == 0) {
		flaw_error(flaws, conf->begin, "the name of this machine is not set");
		flaw_hint(flaws, "hostname mail.example.org");
	} else if (domain_labels(conf->hostname) < 2) {
		/* RFC 5321 2.3.5: a name that others can resolve */
		flaw_warning(flaws, conf->begin, "\"%.*s\" is no fully qualified host name",
		    FMT(conf->hostname));
	}
}

/* --- keys ------------------------------------------------------------------------ */

static bool
signs_for_us(const struct conf *conf, struct slice signer)
{
	if (domain_within(conf->hostname, signer))
		return true;
	for (size_t i = 0; i < conf->domain_count; i++)
		if (domain_within(conf->domain[i].name, signer))
			return true;
	return false;
}

static void
check_key(const struct conf *conf, const struct key_conf *key, struct flaws *flaws)
{
	if (key->domain.n == 0 || key->file.n == 0) {
		flaw_error(flaws, key->place, "key \"%.*s\" needs a %s", FMT(key->name),
		    key->domain.n == 0 ? "domain" : "file");
	} else if (!signs_for_us(conf, key->domain)) {
		flaw_error(flaws, key->domain_place, "\"%.*s\" is not a domain of ours", FMT(key->domain));
		flaw_hint(flaws, "no domain block has this name or one below it");
	}
}

static void
check_keys(const struct conf *conf, struct flaws *flaws)
{
	struct map seen = { 0 };

	for (size_t i = 0; i < conf->key_count; i++) {
		struct key_conf *key = &conf->key[i], *before;
		struct slice name = arena_printf(conf->arena, "%.*s._domainkey.%.*s",
		    FMT(key->selector), FMT(key->domain));

		check_key(conf, key, flaws);
		bug_if(name.p == NULL);
		if ((before = map_get(&seen, name)) != NULL) {
			flaw_error(flaws, key->place, "%.*s has two keys", FMT(name));
			flaw_hint_first(flaws, before->place);
		}
		map_put(&seen, name, key);
	}
	map_free(&seen);
}

/* --- doors ------------------------------------------------------------------------- */

static void
check_listen(const struct conf *conf, const struct listen_conf *l, struct flaws *flaws)
{
	if (l->tls_count > CERTIFICATES_MOST)
		flaw_error(flaws, l->place, "a listener takes at most %d certificates", CERTIFICATES_MOST);
	if (l->tls_implicit && l->tls_count == 0) {
		flaw_error(flaws, l->place, "\"tls implicit\" needs a certificate");
		flaw_hint(flaws, "tls cert FILE key FILE");
	}
	if (l->sign_dkim.n > 0 && conf_key(conf, l->sign_dkim, 0) == NULL)
		flaw_error(flaws, l->sign_place, "there is no key for \"%.*s\"", FMT(l->sign_dkim));
	if (l->sign_dkim.n > 0 && l->relay_count == 0) {
		flaw_warning(flaws, l->sign_place, "nobody may relay here, so nothing is signed");
		flaw_hint(flaws, "allow relay from NETWORK");
	}
	if (l->seal_arc && conf->key_count == 0)
		flaw_error(flaws, l->place, "\"seal arc\" needs a key");
}

static struct slice
endpoint_text(const struct endpoint *e, struct arena *arena)
{
	char ip[IP_TEXT];

	ip_text(e->ip, ip);
	return arena_printf(arena, "%d %s %u", (int)e->kind, ip, e->port);
}

/* `seen` leads to the place of the door that has the address and port. */
static void
check_place(const struct conf *conf, struct map *seen, const struct endpoint *on, const struct place *place,
    const char *what, struct flaws *flaws)
{
	struct slice name = endpoint_text(on, conf->arena);
	const struct place *before = map_get(seen, name);

	bug_if(name.p == NULL);
	if (before != NULL) {
		flaw_error(flaws, *place, "%s the same address and port", what);
		flaw_hint_first(flaws, *before);
	}
	map_put(seen, name, (void *)(uintptr_t)place);
}

/* A next hop that is one of our own doors: told where it is said. */
static void
check_via(const struct conf *conf, const struct map *doors, const struct destination_conf *d,
    struct flaws *flaws)
{
	const struct destination_conf *usual = &conf->delivery.usual;

	if (d->via.kind == ENDPOINT_IP && (d == usual || d->via_place.at != usual->via_place.at) &&
	    map_get(doors, endpoint_text(&d->via, conf->arena)) != NULL)
		flaw_error(flaws, d->via_place, "\"via\" leads back to a listen block of ours");
}

/* Two doors at one place; and what leads back to one. */
static void
check_endpoints(const struct conf *conf, struct flaws *flaws)
{
	const struct destination_conf *d;
	struct map seen = { 0 };
	size_t at = 0;

	for (size_t i = 0; i < conf->listen_count; i++)
		for (size_t j = 0; j < conf->listen[i].on_count; j++)
			check_place(conf, &seen, &conf->listen[i].on[j], &conf->listen[i].place,
			    "two listen blocks have", flaws);
	for (size_t i = 0; i < conf->web.on_count; i++)
		check_place(conf, &seen, &conf->web.on[i], &conf->web.place, "another block has", flaws);
	check_via(conf, &seen, &conf->delivery.usual, flaws);
	while ((d = map_next(&conf->delivery.exact, &at)) != NULL)
		check_via(conf, &seen, d, flaws);
	for (at = 0; (d = map_next(&conf->delivery.below, &at)) != NULL; )
		check_via(conf, &seen, d, flaws);
	map_free(&seen);
}

static void
check_doors(const struct conf *conf, struct flaws *flaws)
{
	size_t doors = conf->web.on_count;
	bool relay = false;

	for (size_t i = 0; i < conf->listen_count; i++) {
		check_listen(conf, &conf->listen[i], flaws);
		relay |= conf->listen[i].relay_count > 0;
		doors += conf->listen[i].on_count;
	}
	if (doors > DOORS_MOST)
		flaw_error(flaws, conf->begin, "more than %d addresses to listen on", DOORS_MOST);
	if (conf->domain_count == 0 && !relay)
		flaw_warning(flaws, conf->begin,
		    "nobody can send anything here: no domain is ours, no client may relay");
}

/* --- domains ------------------------------------------------------------------------- */

static bool
has_mailboxes(const struct domain_conf *d)
{
	return d->deliver == DELIVER_MAILDIR || d->deliver == DELIVER_LMTP;
}

static bool
knows_names(const struct domain_conf *d)
{
	return d->alias_count + d->alias_file_count + d->list_count + d->map_file_count > 0 ||
	    d->catch_all.address.text.n > 0;
}

static void
check_mailboxes(const struct domain_conf *d, struct flaws *flaws)
{
	if (d->deliver == DELIVER_NOWHERE && d->users_named)
		flaw_error(flaws, d->place, "the users of %.*s have no mailboxes", FMT(d->name));
	else if (d->deliver == DELIVER_NOWHERE && !knows_names(d))
		flaw_error(flaws, d->place, "mail to %.*s would go nowhere", FMT(d->name));
	else
		return;
	flaw_hint(flaws, "deliver to maildir PATH, or lmtp SOCKET");
}

/* Marks and words of a list stand in the header and the body of every post. */
static void
check_list(const struct conf *conf, const struct list_conf *l, struct flaws *flaws)
{
	struct list_identity id = listing_identity(l, conf->arena);
	struct error why;

	if (l->member_count + l->member_file_count == 0)
		flaw_error(flaws, l->address.place, "the list has no members");
	if (l->post == POST_MODERATOR && l->moderator.address.text.n == 0)
		flaw_error(flaws, l->address.place, "nobody may post to the list: it has no moderator");
	if (!list_check(&id, &why) || !decoration_check(l->tag, l->footer, &why))
		flaw_error(flaws, l->address.place, "%s", why.text);
}

/* RFC 8058 3.1, 4: an answer to the click, and a signature over the field. */
static void
check_one_click(const struct conf *conf, const struct list_conf *l, struct flaws *flaws)
{
	if (l->one_click.n == 0)
		return;
	if (!conf->web.there) {
		flaw_error(flaws, l->address.place, "one-click unsubscription needs a door for HTTPS");
		flaw_hint(flaws, "web { tls cert FILE key FILE }");
	}
	if (!conf_signs(conf, l->address.address.domain))
		flaw_error(flaws, l->address.place, "one-click unsubscription needs a signature: "
		    "there is no key for %.*s", FMT(l->address.address.domain));
}

/* Is there a door at which what comes in is sealed? */
static bool
comes_back(const struct conf *conf)
{
	for (size_t i = 0; i < conf->listen_count; i++)
		if (conf->listen[i].seal_arc)
			return true;
	return false;
}

static bool
has_mark(struct slice path, char mark)
{
	for (size_t i = 0; i + 1 < path.n; i++)
		if (path.p[i] == '%' && path.p[i + 1] == mark)
			return true;
	return false;
}

static bool
has_many_users(const struct domain_conf *d)
{
	return d->users_named ? d->user_count > 1 || d->user_file_count > 0 :
	    d->catch_all.address.text.n == 0;
}

/* The first domain whose Maildirs are these, too. */
static const struct domain_conf *
shares_with(const struct conf *conf, const struct domain_conf *d)
{
	for (const struct domain_conf *e = conf->domain; e < d; e++)
		if (e->deliver == DELIVER_MAILDIR && slice_eq(e->maildir, d->maildir))
			return e;
	return NULL;
}

/* It may be meant, but whoever did not mean it would read another's mail. */
static void
check_sharing(const struct conf *conf, const struct domain_conf *d, struct flaws *flaws)
{
	const struct domain_conf *e = has_mark(d->maildir, 'd') ? NULL : shares_with(conf, d);

	if (!has_mark(d->maildir, 'u') && has_many_users(d)) {
		flaw_warning(flaws, d->deliver_place, "all users of %.*s share one mailbox", FMT(d->name));
		flaw_hint(flaws, "%%u in the path is the user");
	}
	if (e != NULL) {
		flaw_warning(flaws, d->deliver_place, "users of %.*s and of %.*s share their mailboxes",
		    FMT(e->name), FMT(d->name));
		flaw_hint(flaws, "%%d in the path is the domain");
	}
}

static void
check_domain(const struct conf *conf, const struct domain_conf *d, struct flaws *flaws)
{
	check_mailboxes(d, flaws);
	if (d->deliver == DELIVER_MAILDIR)
		check_sharing(conf, d, flaws);
	if (has_mailboxes(d) && !d->users_named && d->catch_all.address.text.n == 0) {
		flaw_warning(flaws, d->deliver_place, "mail to every name at %.*s is accepted", FMT(d->name));
		flaw_hint(flaws, "\"users\" says who there is");
	}
	if (d->list_count > 0 && conf_key(conf, d->name, 0) == NULL)
		flaw_warning(flaws, d->place, "posts of the lists leave without signature and seal: "
		    "there is no key for %.*s", FMT(d->name));
	for (size_t i = 0; i < d->list_count; i++) {
		check_list(conf, d->lists[i], flaws);
		check_one_click(conf, d->lists[i], flaws);
	}
	if (d->map_file_count > 0 && !comes_back(conf))
		flaw_warning(flaws, d->place, "the list manager of %.*s has no door for its posts: "
		    "they would leave without signature and seal", FMT(d->name));
}

/* --- the policies of MTA-STS ------------------------------------------------------------- */

static bool
offers_starttls(const struct conf *conf)
{
	for (size_t i = 0; i < conf->listen_count; i++)
		if (conf->listen[i].tls_count > 0 && !conf->listen[i].tls_implicit)
			return true;
	return false;
}

static bool
is_mx(const struct domain_conf *d, struct slice host)
{
	for (size_t i = 0; i < d->mx_count; i++)
		if (slice_eq(d->mx[i], host))
			return true;
	return false;
}

/* What is asked of others must be possible (RFC 8461 4.2), and can be said (3.2). */
static void
check_sts(const struct conf *conf, const struct domain_conf *d, struct flaws *flaws)
{
	bool asks = d->sts == SERVE_TESTING || d->sts == SERVE_ENFORCE;

	if (d->sts != SERVE_OFF && (d->sts_max_age < SECOND || d->sts_max_age > STS_AGE_MOST))
		flaw_error(flaws, d->sts_place, "max-age is at least a second and at most a year");
	if (asks && d->mx_count > STS_HOSTS_MOST)
		flaw_error(flaws, d->sts_place, "a policy names at most %d hosts", STS_HOSTS_MOST);
	if (!asks || !is_mx(d, conf->hostname) || offers_starttls(conf))
		return;
	if (d->sts == SERVE_ENFORCE)
		flaw_error(flaws, d->sts_place, "the policy demands STARTTLS, and no listener offers it");
	else
		flaw_warning(flaws, d->sts_place, "the policy wants STARTTLS, and no listener offers it");
	flaw_hint(flaws, "tls cert FILE key FILE");
}

static void
check_web(const struct conf *conf, struct flaws *flaws)
{
	bool wanted = conf_lets_leave(conf);

	for (size_t i = 0; i < conf->domain_count; i++) {
		check_sts(conf, &conf->domain[i], flaws);
		wanted |= conf->domain[i].sts != SERVE_OFF;
	}
	if (!conf->web.there)
		return;
	if (!wanted) {
		flaw_warning(flaws, conf->web.place,
		    "nothing is served: no domain has a policy, no list one-click");
		flaw_hint(flaws, "domain DOMAIN { sts testing }");
	} else if (conf->web.tls_count == 0) {
		flaw_error(flaws, conf->web.place, "\"web\" needs a certificate");
		flaw_hint(flaws, "tls cert FILE key FILE");
	} else if (conf->web.tls_count > CERTIFICATES_MOST) {
		flaw_error(flaws, conf->web.place, "\"web\" takes at most %d certificates",
		    CERTIFICATES_MOST);
	}
}

/* --- delivery ------------------------------------------------------------------------- */

static void
check_resolver(const struct conf *conf, struct flaws *flaws)
{
	if (conf->resolver.server_count > SERVERS_MOST)
		flaw_error(flaws, conf->resolver.server_place, "at most %d name servers are asked",
		    SERVERS_MOST);
	if (conf->resolver.facts.n == 0)
		return;
	for (size_t i = 0; i < conf->file_count; i++)
		if (conf->file[i]->purpose == FILE_FACTS && conf->resolver.server_count > 0)
			flaw_error(flaws, conf->file[i]->place,
			    "\"facts\" and \"server\" exclude each other");
}

static void
check_times(const struct delivery_conf *d, struct flaws *flaws)
{
	if (d->retry[0] >= d->expire)
		flaw_warning(flaws, d->expire_place, "mail expires before its second attempt");
}

/* No certificate that others believe, no TLSA record and no policy is for an address. */
static void
check_address(const struct destination_conf *d, const struct destination_conf *usual, struct flaws *flaws)
{
	bool told = d != usual && d->via_place.at == usual->via_place.at &&
	    d->tls_place.at == usual->tls_place.at;

	if (told || d->via.kind != ENDPOINT_IP || d->tls < TLS_VERIFIED)
		return;
	flaw_warning(flaws, d->via_place, "an address never proves what \"tls require\" asks for here: mail "
	    "would not go there");
	flaw_hint(flaws, "via NAME:PORT");
}

/* What is demanded must be looked for. */
static void
check_destination(const struct destination_conf *d, const struct destination_conf *usual,
    struct flaws *flaws)
{
	const char *off = d->tls == TLS_DANE && !d->dane ? "dane" : d->tls == TLS_STS && !d->sts ? "sts"
	    : d->tls == TLS_DANE_OR_STS && !d->dane && !d->sts ? "dane-or-sts" : NULL;

	if (off != NULL)
		flaw_error(flaws, d->tls_place,
		    "\"tls require %s\" can never be met: it is switched off", off);
	else
		check_address(d, usual, flaws);
}

void
conf_check(const struct conf *conf, struct flaws *flaws)
{
	const struct destination_conf *d, *usual = &conf->delivery.usual;
	size_t at = 0;

	check_hostname(conf, flaws);
	check_keys(conf, flaws);
	check_doors(conf, flaws);
	check_endpoints(conf, flaws);
	check_web(conf, flaws);
	for (size_t i = 0; i < conf->domain_count; i++)
		check_domain(conf, &conf->domain[i], flaws);
	check_resolver(conf, flaws);
	check_times(&conf->delivery, flaws);
	check_destination(usual, usual, flaws);
	while ((d = map_next(&conf->delivery.exact, &at)) != NULL)
		check_destination(d, usual, flaws);
	for (at = 0; (d = map_next(&conf->delivery.below, &at)) != NULL; )
		check_destination(d, usual, flaws);
}
