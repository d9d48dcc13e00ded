/* SPDX-License-Identifier: ISC */
/* pure */
/*
 * take -- each statement into the field of the struct it is about.
 *
 * The table at the end says for every keyword which function takes it and where
 * its value goes.  keywords_check() has looked at the words: what does not parse
 * here is a bug.
 */
#include "base/bug.h"
#include "conf/build.h"
#include "mail/domain.h"

enum { STS_USUAL_AGE = 7 * DAY };

/* --- values --------------------------------------------------------------------- */

static struct slice
text_of(struct build *b, const struct word *w)
{
	struct slice copy = arena_copy(b->conf->arena, w->text);

	bug_if(copy.p == NULL);
	return copy;
}

static struct slice
domain_of(struct build *b, const struct word *w)
{
	struct slice domain = domain_normal(w->text, b->conf->arena);

	bug_if(domain.p == NULL);
	return domain;
}

static struct endpoint
endpoint_of(struct build *b, const struct word *w)
{
	struct endpoint e;

	bug_if(!value_endpoint(w->text, b->conf->arena, &e));
	if (e.kind == ENDPOINT_UNIX)
		e.host = arena_copy(b->conf->arena, e.host);
	return e;
}

static int64_t
duration_of(const struct word *w)
{
	int64_t ms;

	bug_if(!value_duration(w->text, &ms));
	return ms;
}

static struct conf_mailbox
mailbox_of(struct build *b, const struct word *w)
{
	struct conf_mailbox m = { .place = w->place };

	bug_if(!value_mailbox(text_of(b, w), b->domain->name, b->conf->arena, &m.address));
	return m;
}

/* A mailbox that must be one of the domain it stands in. */
static struct conf_mailbox
own_mailbox_of(struct build *b, const struct word *w)
{
	struct conf_mailbox m = mailbox_of(b, w);

	if (!slice_eq(m.address.domain, b->domain->name))
		flaw_error(b->flaws, w->place, "%.*s is not an address of %.*s", FMT(m.address.text),
		    FMT(b->domain->name));
	return m;
}

/* Where something was said; a default stands in no text of the administrator. */
static struct place
place_of(const struct build *b, const struct word *w)
{
	return b->usual ? b->conf->begin : w->place;
}

static struct conf_file *
file_of(struct build *b, const struct word *w, enum file_purpose purpose)
{
	struct conf *conf = b->conf;
	struct conf_file *f = tree_get(conf->arena, sizeof *f);

	f->name = arena_copy(conf->arena, tree_path(w->text, w->place, conf->arena));
	bug_if(f->name.p == NULL);
	f->purpose = purpose;
	f->place = place_of(b, w);
	f->usual = b->usual;
	*(struct conf_file **)MORE(b, conf->file, conf->file_count) = f;
	return f;
}

static struct slice
first_file(struct build *b, const struct statement *s, enum file_purpose purpose)
{
	return file_of(b, value_first(s), purpose)->name;
}

/* --- statements that set one field ------------------------------------------------ */

/* `field` is where the table says; `word` what it names, if anything. */
#define TAKER(name) \
	static void name(struct build *b, const struct statement *s, void *field, const char *word)
#define UNUSED ((void)b, (void)s, (void)field, (void)word)

TAKER(set_text)     { UNUSED; *(struct slice *)field = text_of(b, value_first(s)); }
TAKER(set_domain)   { UNUSED; *(struct slice *)field = domain_of(b, value_first(s)); }
TAKER(set_duration) { UNUSED; *(int64_t *)field = duration_of(value_first(s)); }
TAKER(set_number)   { UNUSED; bug_if(!value_number(value_first(s)->text, field)); }
TAKER(set_size)     { UNUSED; bug_if(!value_size(value_first(s)->text, field)); }
TAKER(set_switch)   { UNUSED; bug_if(!value_switch(value_first(s)->text, field)); }
TAKER(set_rate)     { UNUSED; bug_if(!value_rate(value_first(s)->text, field)); }
TAKER(set_mailbox)  { UNUSED; *(struct conf_mailbox *)field = mailbox_of(b, value_first(s)); }
TAKER(set_says)     { UNUSED; *(bool *)field = statement_says(s, word); }
TAKER(set_true)     { UNUSED; *(bool *)field = true; }
TAKER(take_block)   { UNUSED; take_statements(b, s->block, field); }

/* --- outside of blocks --------------------------------------------------------------- */

TAKER(take_state)
{
	const struct word *w = value_first(s);

	UNUSED;
	b->conf->state_place = place_of(b, w);
	b->conf->state = arena_copy(b->conf->arena, tree_path(w->text, w->place, b->conf->arena));
}

TAKER(take_user)
{
	UNUSED;
	b->conf->user = text_of(b, value_first(s));
	b->conf->user_place = place_of(b, value_first(s));
	b->conf->user_usual = b->usual;
}

TAKER(take_log)
{
	struct log_conf *log = field;

	UNUSED;
	log->json = statement_says(s, "json");
	log->least = statement_says(s, "debug") ? LOG_DEBUG : statement_says(s, "warn") ? LOG_WARN
	           : statement_says(s, "error") ? LOG_ERROR : LOG_INFO;
}

TAKER(take_roots)  { UNUSED; b->conf->roots = first_file(b, s, FILE_ROOTS); }
TAKER(take_facts)  { UNUSED; b->conf->resolver.facts = first_file(b, s, FILE_FACTS); }

TAKER(take_anchor)
{
	struct resolver_conf *r = field;

	UNUSED;
	r->anchor_place = place_of(b, s->words->next);
	r->anchor = statement_says(s, "none") ? NONE : first_file(b, s, FILE_ANCHOR);
}

TAKER(take_server)
{
	struct resolver_conf *r = field;

	UNUSED;
	r->server_place = s->words->place;
	for (const struct word *w = value_first(s); w != NULL; w = value_next(w))
		*(struct endpoint *)MORE(b, r->servers, r->server_count) = endpoint_of(b, w);
}

/* --- listen ------------------------------------------------------------------------- */

struct listen_conf *
add_listen(struct build *b, struct slice name, struct place place)
{
	struct listen_conf *l = MORE(b, b->conf->listen, b->conf->listen_count);

	*l = (struct listen_conf){ .name = name, .place = place };
	take_defaults(b, "listen", l);
	return l;
}

TAKER(take_listen)
{
	const struct word *w = value_first(s);

	UNUSED;
	take_statements(b, s->block, add_listen(b, text_of(b, w), w->place));
}

TAKER(take_on)
{
	struct listen_conf *l = field;

	UNUSED;
	l->on_count = 0;                /* what there is are defaults */
	for (const struct word *w = value_first(s); w != NULL; w = value_next(w))
		*(struct endpoint *)MORE(b, l->on, l->on_count) = endpoint_of(b, w);
}

/* "tls cert FILE key FILE" */
static void
take_identity(struct build *b, const struct statement *s, struct identity_conf *identity,
    enum file_purpose certificate, enum file_purpose key)
{
	const struct word *cert = value_first(s);

	identity->place = cert->place;
	identity->cert = file_of(b, cert, certificate)->name;
	identity->key = file_of(b, value_next(cert), key)->name;
}

TAKER(take_cert)
{
	struct listen_conf *l = field;

	UNUSED;
	take_identity(b, s, MORE(b, l->tls, l->tls_count), FILE_TLS_CERTIFICATE, FILE_TLS_KEY);
}

TAKER(take_relay)
{
	struct listen_conf *l = field;

	UNUSED;
	for (const struct word *w = value_first(s); w != NULL; w = value_next(w)) {
		struct network *network = MORE(b, l->relay, l->relay_count);
		unsigned least;

		bug_if(!value_network(w->text, network));
		/* Nobody owns a larger network: this would be a door for everybody. */
		least = network->ip.n == 4 ? 8 : 16;
		if (network->bits < least)
			flaw_error(b->flaws, w->place, "%.*s would let strangers relay: at least a /%u",
			    FMT(w->text), least);
	}
}

TAKER(take_sign)
{
	struct listen_conf *l = field;

	UNUSED;
	l->sign_dkim = domain_of(b, value_first(s));
	l->sign_place = value_first(s)->place;
}

/* --- web ------------------------------------------------------------------------------ */

TAKER(take_web)
{
	struct web_conf *web = field;

	UNUSED;
	web->there = true;
	web->place = s->words->place;
	take_defaults(b, "web", web);
	take_statements(b, s->block, web);
}

TAKER(take_web_on)
{
	struct web_conf *web = field;

	UNUSED;
	web->on_count = 0;              /* what there is are defaults */
	for (const struct word *w = value_first(s); w != NULL; w = value_next(w))
		*(struct endpoint *)MORE(b, web->on, web->on_count) = endpoint_of(b, w);
}

TAKER(take_web_cert)
{
	struct web_conf *web = field;

	UNUSED;
	take_identity(b, s, MORE(b, web->tls, web->tls_count), FILE_WEB_CERTIFICATE, FILE_WEB_KEY);
}

/* --- domain and list ------------------------------------------------------------------ */

TAKER(take_domain)
{
	const struct word *w = value_first(s);
	struct domain_conf *d = MORE(b, b->conf->domain, b->conf->domain_count);

	UNUSED;
	*d = (struct domain_conf){ .name = domain_of(b, w), .place = w->place };
	b->domain = d;
	take_defaults(b, "domain", d);
	take_statements(b, s->block, d);
}

TAKER(take_mx)
{
	struct domain_conf *d = field;

	UNUSED;
	for (const struct word *w = value_first(s); w != NULL; w = value_next(w))
		*(struct slice *)MORE(b, d->mx, d->mx_count) = domain_of(b, w);
}

TAKER(take_sts)
{
	struct domain_conf *d = field;

	UNUSED;
	d->sts_place = place_of(b, s->words);
	d->sts = statement_says(s, "enforce") ? SERVE_ENFORCE : statement_says(s, "testing") ? SERVE_TESTING
	    : statement_says(s, "none") ? SERVE_NONE : SERVE_OFF;
	d->sts_max_age = value_first(s) != NULL ? duration_of(value_first(s)) : STS_USUAL_AGE;
}

TAKER(take_deliver)
{
	struct domain_conf *d = field;

	UNUSED;
	d->deliver_place = s->words->place;
	if (statement_says(s, "maildir")) {
		d->deliver = DELIVER_MAILDIR;
		d->maildir = text_of(b, value_first(s));
	} else if (statement_says(s, "lmtp")) {
		d->deliver = DELIVER_LMTP;
		d->lmtp = endpoint_of(b, value_first(s));
	} else {
		d->deliver = DELIVER_DISCARD;
	}
}

TAKER(take_users)
{
	struct domain_conf *d = field;

	UNUSED;
	d->users_named = true;
	for (const struct word *w = value_first(s); w != NULL; w = value_next(w))
		if (statement_says(s, "from"))
			*(struct conf_file **)MORE(b, d->user_files, d->user_file_count) =
			    file_of(b, w, FILE_USERS);
		else
			*(struct conf_mailbox *)MORE(b, d->users, d->user_count) = own_mailbox_of(b, w);
}

/* The first value behind the arrow; NULL when there is no arrow. */
static const struct word *
behind_arrow(const struct statement *s)
{
	const struct word *w = s->words;

	while (w != NULL && w->kind != WORD_ARROW)
		w = w->next;
	return w != NULL ? value_next(w) : NULL;
}

TAKER(take_alias)
{
	struct domain_conf *d = field;
	const struct word *w = value_first(s), *target = behind_arrow(s);
	struct alias_conf *a;

	UNUSED;
	if (target == NULL) {
		*(struct conf_file **)MORE(b, d->alias_files, d->alias_file_count) =
		    file_of(b, w, FILE_ALIASES);
		return;
	}
	a = MORE(b, d->aliases, d->alias_count);
	*a = (struct alias_conf){ 0 };
	for (; w != target; w = value_next(w))
		*(struct conf_mailbox *)MORE(b, a->names, a->name_count) = own_mailbox_of(b, w);
	for (; w != NULL; w = value_next(w))
		*(struct conf_mailbox *)MORE(b, a->targets, a->target_count) = mailbox_of(b, w);
}

TAKER(take_list)
{
	struct domain_conf *d = field;
	struct list_conf *l = tree_get(b->conf->arena, sizeof *l);

	UNUSED;
	*(struct list_conf **)MORE(b, d->lists, d->list_count) = l;
	l->address = own_mailbox_of(b, value_first(s));
	take_defaults(b, "list", l);
	for (const struct word *w = behind_arrow(s); w != NULL; w = value_next(w))
		*(struct conf_mailbox *)MORE(b, l->members, l->member_count) = mailbox_of(b, w);
	take_statements(b, s->block, l);
}

TAKER(take_members)
{
	struct list_conf *l = field;

	UNUSED;
	for (const struct word *w = value_first(s); w != NULL; w = value_next(w))
		if (statement_says(s, "from"))
			*(struct conf_file **)MORE(b, l->member_files, l->member_file_count) =
			    file_of(b, w, FILE_MEMBERS);
		else
			*(struct conf_mailbox *)MORE(b, l->members, l->member_count) = mailbox_of(b, w);
}

TAKER(take_map)
{
	struct domain_conf *d = field;

	UNUSED;
	*(struct conf_file **)MORE(b, d->map_files, d->map_file_count) =
	    file_of(b, value_first(s), FILE_LISTS);
}

TAKER(take_post)
{
	UNUSED;
	((struct list_conf *)field)->post = statement_says(s, "members") ? POST_MEMBERS
	    : statement_says(s, "moderator") ? POST_MODERATOR : POST_OPEN;
}

TAKER(take_skip)
{
	struct list_conf *l = field;

	UNUSED;
	l->skip_sender = statement_says(s, "sender");
	l->skip_addressed = statement_says(s, "addressed");
}

/* --- key and arc -------------------------------------------------------------------- */

TAKER(take_key)
{
	struct key_conf *k = MORE(b, b->conf->key, b->conf->key_count);
	struct slice name = text_of(b, value_first(s));

	UNUSED;
	*k = (struct key_conf){ .name = name, .place = value_first(s)->place, .selector = name };
	take_statements(b, s->block, k);
}

TAKER(take_key_domain)
{
	struct key_conf *k = field;

	UNUSED;
	k->domain = domain_of(b, value_first(s));
	k->domain_place = value_first(s)->place;
}

TAKER(take_key_file) { UNUSED; ((struct key_conf *)field)->file = first_file(b, s, FILE_SIGNING_KEY); }

TAKER(take_trust)
{
	struct arc_conf *a = field;

	UNUSED;
	for (const struct word *w = value_first(s); w != NULL; w = value_next(w))
		if (statement_says(s, "from"))
			*(struct conf_file **)MORE(b, a->trust_files, a->trust_file_count) =
			    file_of(b, w, FILE_TRUST);
		else
			bug_if(!value_pattern(w->text, b->conf->arena, MORE(b, a->trust, a->trust_count)));
}

TAKER(take_seal)
{
	UNUSED;
	*(unsigned *)field = (statement_says(s, "forwards") ? SEAL_FORWARDS : 0u) |
	    (statement_says(s, "lists") ? SEAL_LISTS : 0u) |
	    (statement_says(s, "all") ? SEAL_FORWARDS | SEAL_LISTS | SEAL_ALL : 0u);
}

/* --- delivery: its statements and those of `to` fill a struct destination_conf -------- */

TAKER(take_via)
{
	struct destination_conf *d = field;
	const struct word *w = value_first(s);

	UNUSED;
	d->via = w != NULL ? endpoint_of(b, w) : (struct endpoint){ 0 };
	d->via_place = place_of(b, s->words);
}

TAKER(take_tls)
{
	static const char *const NEEDS[] = {
		[TLS_OPPORTUNISTIC] = "opportunistic", [TLS_ENCRYPT] = "encrypt",
		[TLS_VERIFIED] = "verified", [TLS_DANE] = "dane", [TLS_STS] = "sts",
		[TLS_DANE_OR_STS] = "dane-or-sts",
	};
	struct destination_conf *d = field;

	UNUSED;
	d->tls_place = place_of(b, s->words);
	for (enum tls_need need = TLS_OPPORTUNISTIC; need <= TLS_DANE_OR_STS; need++)
		if (statement_says(s, NEEDS[need]))
			d->tls = need;
}

/* dane and sts */
TAKER(take_proof)
{
	struct destination_conf *d = field;

	d->tls_place = place_of(b, s->words);
	set_switch(b, s, strcmp(word, "dane") == 0 ? &d->dane : &d->sts, NULL);
}

TAKER(take_to)
{
	UNUSED;
	*(const struct statement **)MORE(b, b->to, b->to_count) = s;
}

/* One for each kind of address. */
TAKER(take_source)
{
	struct delivery_conf *d = field;

	UNUSED;
	for (const struct word *w = value_first(s); w != NULL; w = value_next(w)) {
		struct ip ip, *to;

		bug_if(!ip_parse(w->text, &ip));
		to = ip.n == 4 ? &d->source4 : &d->source6;
		if (to->n > 0)
			flaw_error(b->flaws, w->place, "there is a source for IPv%d already",
			    ip.n == 4 ? 4 : 6);
		*to = ip;
	}
}

TAKER(take_hold)
{
	struct whom *whom = field;

	UNUSED;
	for (const struct word *w = value_first(s); w != NULL; w = value_next(w)) {
		struct slice *pattern = MORE(b, whom->patterns, whom->count);

		bug_if(!value_whom(w->text, b->conf->arena, pattern));
		map_put(&whom->map, *pattern, whom);
	}
}

TAKER(take_retry)
{
	struct delivery_conf *d = field;

	UNUSED;
	d->retry_count = 0;             /* what there is are defaults */
	for (const struct word *w = value_first(s); w != NULL; w = value_next(w)) {
		d->retry_every = duration_of(w);
		if (value_next(w) != NULL || !statement_says(s, "every"))
			*(int64_t *)MORE(b, d->retry, d->retry_count) = d->retry_every;
	}
}

TAKER(take_expire)
{
	struct delivery_conf *d = field;

	UNUSED;
	d->expire_place = place_of(b, s->words);
	d->expire = duration_of(value_first(s));
}

TAKER(take_or_never)
{
	UNUSED;
	*(int64_t *)field = statement_says(s, "never") ? 0 : duration_of(value_first(s));
}

TAKER(take_dmarc_reject)
{
	UNUSED;
	((struct policy_conf *)field)->dmarc_reject = statement_says(s, "strict") ? HEED_STRICT
	    : statement_says(s, "never") ? HEED_NEVER : HEED_EVIDENCE;
}

/* --- the table --------------------------------------------------------------------------- */

struct take {
	void      (*function)(struct build *, const struct statement *, void *field, const char *word);
	size_t      offset;             /* of the field in the struct of the block */
	const char *word;
};

#define IN(type, member) offsetof(struct type, member)

static const struct take TAKE[KEYWORD_COUNT] = {
	[KEYWORD_HOSTNAME]                 = { set_domain, IN(conf, hostname), NULL },
	[KEYWORD_STATE]                    = { take_state, 0, NULL },
	[KEYWORD_LOG]                      = { take_log, IN(conf, log), NULL },
	[KEYWORD_HISTORY]                  = { take_or_never, IN(conf, history), NULL },
	[KEYWORD_USER]                     = { take_user, 0, NULL },
	[KEYWORD_ROOTS]                    = { take_roots, 0, NULL },
	[KEYWORD_RESOLVER]                 = { take_block, IN(conf, resolver), NULL },
	[KEYWORD_LISTEN]                   = { take_listen, 0, NULL },
	[KEYWORD_WEB]                      = { take_web, IN(conf, web), NULL },
	[KEYWORD_DOMAIN]                   = { take_domain, 0, NULL },
	[KEYWORD_KEY]                      = { take_key, 0, NULL },
	[KEYWORD_ARC]                      = { take_block, IN(conf, arc), NULL },
	[KEYWORD_DELIVERY]                 = { take_block, IN(conf, delivery), NULL },
	[KEYWORD_POLICY]                   = { take_block, IN(conf, policy), NULL },
	[KEYWORD_LIMITS]                   = { take_block, IN(conf, limits), NULL },

	[KEYWORD_RESOLVER_SERVER]          = { take_server, 0, NULL },
	[KEYWORD_RESOLVER_ANCHOR]          = { take_anchor, 0, NULL },
	[KEYWORD_RESOLVER_FACTS]           = { take_facts, 0, NULL },

	[KEYWORD_LISTEN_ON]                = { take_on, 0, NULL },
	[KEYWORD_LISTEN_TLS_CERT]          = { take_cert, 0, NULL },
	[KEYWORD_LISTEN_TLS_IMPLICIT]      = { set_true, IN(listen_conf, tls_implicit), NULL },
	[KEYWORD_LISTEN_ALLOW_RELAY]       = { take_relay, 0, NULL },
	[KEYWORD_LISTEN_LIMIT_MESSAGES]    = { set_rate, IN(listen_conf, messages), NULL },
	[KEYWORD_LISTEN_LIMIT_CONNECTIONS] = { set_number, IN(listen_conf, connections), NULL },
	[KEYWORD_LISTEN_LIMIT_SIZE]        = { set_size, IN(listen_conf, size), NULL },
	[KEYWORD_LISTEN_SEAL_ARC]          = { set_true, IN(listen_conf, seal_arc), NULL },
	[KEYWORD_LISTEN_SIGN_DKIM]         = { take_sign, 0, NULL },

	[KEYWORD_WEB_ON]                   = { take_web_on, 0, NULL },
	[KEYWORD_WEB_TLS_CERT]             = { take_web_cert, 0, NULL },
	[KEYWORD_WEB_LIMIT_CONNECTIONS]    = { set_number, IN(web_conf, connections), NULL },

	[KEYWORD_DOMAIN_DELIVER]           = { take_deliver, 0, NULL },
	[KEYWORD_DOMAIN_USERS]             = { take_users, 0, NULL },
	[KEYWORD_DOMAIN_ALIAS]             = { take_alias, 0, NULL },
	[KEYWORD_DOMAIN_CATCH_ALL]         = { set_mailbox, IN(domain_conf, catch_all), NULL },
	[KEYWORD_DOMAIN_MX]                = { take_mx, 0, NULL },
	[KEYWORD_DOMAIN_STS]               = { take_sts, 0, NULL },
	[KEYWORD_DOMAIN_LIST]              = { take_list, 0, NULL },
	[KEYWORD_DOMAIN_LISTS]             = { take_map, 0, NULL },
	[KEYWORD_DOMAIN_TAG]               = { set_text, IN(domain_conf, tag), NULL },
	[KEYWORD_DOMAIN_FOOTER]            = { set_text, IN(domain_conf, footer), NULL },

	[KEYWORD_LIST_MEMBERS]             = { take_members, 0, NULL },
	[KEYWORD_LIST_TAG]                 = { set_text, IN(list_conf, tag), NULL },
	[KEYWORD_LIST_FOOTER]              = { set_text, IN(list_conf, footer), NULL },
	[KEYWORD_LIST_OWNER]               = { set_mailbox, IN(list_conf, owner), NULL },
	[KEYWORD_LIST_POST]                = { take_post, 0, NULL },
	[KEYWORD_LIST_MODERATOR]           = { set_mailbox, IN(list_conf, moderator), NULL },
	[KEYWORD_LIST_SKIP]                = { take_skip, 0, NULL },
	[KEYWORD_LIST_FROM]                = { set_says, IN(list_conf, keep_from), "keep" },
	[KEYWORD_LIST_VERP]                = { set_switch, IN(list_conf, verp), NULL },
	[KEYWORD_LIST_NAME]                = { set_text, IN(list_conf, name), NULL },
	[KEYWORD_LIST_HELP]                = { set_text, IN(list_conf, help), NULL },
	[KEYWORD_LIST_SUBSCRIBE]           = { set_text, IN(list_conf, subscribe), NULL },
	[KEYWORD_LIST_UNSUBSCRIBE]         = { set_text, IN(list_conf, unsubscribe), NULL },
	[KEYWORD_LIST_ONE_CLICK]           = { set_text, IN(list_conf, one_click), NULL },
	[KEYWORD_LIST_ARCHIVE]             = { set_text, IN(list_conf, archive), NULL },

	[KEYWORD_KEY_DOMAIN]               = { take_key_domain, 0, NULL },
	[KEYWORD_KEY_FILE]                 = { take_key_file, 0, NULL },
	[KEYWORD_KEY_SELECTOR]             = { set_text, IN(key_conf, selector), NULL },

	[KEYWORD_ARC_TRUST]                = { take_trust, 0, NULL },
	[KEYWORD_ARC_SEAL]                 = { take_seal, IN(arc_conf, seal), NULL },

	[KEYWORD_DELIVERY_VIA]             = { take_via, IN(delivery_conf, usual), NULL },
	[KEYWORD_DELIVERY_TLS]             = { take_tls, IN(delivery_conf, usual), NULL },
	[KEYWORD_DELIVERY_DANE]            = { take_proof, IN(delivery_conf, usual), "dane" },
	[KEYWORD_DELIVERY_STS]             = { take_proof, IN(delivery_conf, usual), "sts" },
	[KEYWORD_DELIVERY_CONNECTIONS]     = { set_number, IN(delivery_conf, usual.connections), NULL },
	[KEYWORD_DELIVERY_RATE]            = { set_rate, IN(delivery_conf, usual.rate), NULL },
	[KEYWORD_DELIVERY_SOURCE]          = { take_source, 0, NULL },
	[KEYWORD_DELIVERY_HOLD]            = { set_switch, IN(delivery_conf, hold), NULL },
	[KEYWORD_DELIVERY_HOLD_TO]         = { take_hold, IN(delivery_conf, hold_to), NULL },
	[KEYWORD_DELIVERY_HOLD_FROM]       = { take_hold, IN(delivery_conf, hold_from), NULL },
	[KEYWORD_DELIVERY_RETRY]           = { take_retry, 0, NULL },
	[KEYWORD_DELIVERY_EXPIRE]          = { take_expire, 0, NULL },
	[KEYWORD_DELIVERY_EXPIRE_REPORTS]  = { set_duration, IN(delivery_conf, expire_reports), NULL },
	[KEYWORD_DELIVERY_WARN]            = { take_or_never, IN(delivery_conf, warn), NULL },
	[KEYWORD_DELIVERY_EIGHT_BIT]       = { set_says, IN(delivery_conf, eight_bit_send), "send" },
	[KEYWORD_DELIVERY_TLS_REPORTS]     = { set_switch, IN(delivery_conf, tls_reports), NULL },
	[KEYWORD_DELIVERY_SRS]             = { set_switch, IN(delivery_conf, srs), NULL },
	[KEYWORD_DELIVERY_TO]              = { take_to, 0, NULL },

	[KEYWORD_TO_VIA]                   = { take_via, 0, NULL },
	[KEYWORD_TO_TLS]                   = { take_tls, 0, NULL },
	[KEYWORD_TO_DANE]                  = { take_proof, 0, "dane" },
	[KEYWORD_TO_STS]                   = { take_proof, 0, "sts" },
	[KEYWORD_TO_CONNECTIONS]           = { set_number, IN(destination_conf, connections), NULL },
	[KEYWORD_TO_RATE]                  = { set_rate, IN(destination_conf, rate), NULL },

	[KEYWORD_POLICY_DMARC_REJECT]      = { take_dmarc_reject, 0, NULL },
	[KEYWORD_POLICY_DMARC_TEMPERROR]   = { set_says, IN(policy_conf, dmarc_temperror_defer), "defer" },
	[KEYWORD_POLICY_ARC_TEMPERROR]     = { set_says, IN(policy_conf, arc_temperror_defer_once),
		"defer-once" },
	[KEYWORD_POLICY_SPF_FAIL]          = { set_says, IN(policy_conf, spf_fail_reject), "reject" },
	[KEYWORD_POLICY_RECEIVED_SPF]      = { set_switch, IN(policy_conf, received_spf), NULL },
	[KEYWORD_POLICY_SEVERAL_AUTHORS]   = { set_says, IN(policy_conf, several_authors_accept), "accept" },
	[KEYWORD_POLICY_BARE_NEWLINE]      = { set_says, IN(policy_conf, bare_newline_normalize),
		"normalize" },
	[KEYWORD_POLICY_TLS]               = { set_says, IN(policy_conf, tls_13), "1.3" },

	[KEYWORD_LIMITS_RECIPIENTS]        = { set_number, IN(limits_conf, recipients), NULL },
	[KEYWORD_LIMITS_SIZE]              = { set_size, IN(limits_conf, size), NULL },
	[KEYWORD_LIMITS_LINE]              = { set_size, IN(limits_conf, line), NULL },
	[KEYWORD_LIMITS_RECEIVED]          = { set_number, IN(limits_conf, received), NULL },
	[KEYWORD_LIMITS_ERRORS]            = { set_number, IN(limits_conf, errors), NULL },
	[KEYWORD_LIMITS_COMMANDS]          = { set_number, IN(limits_conf, commands), NULL },
	[KEYWORD_LIMITS_IDLE]              = { set_duration, IN(limits_conf, idle), NULL },
};

void
take_statements(struct build *b, const struct statement *first, void *owner)
{
	for (const struct statement *s = first; s != NULL; s = s->next) {
		const struct keyword *k = s->keyword;
		const struct take *take;

		if (k == NULL || (unsigned)k->id >= KEYWORD_COUNT || k != &CONF_VOCABULARY.rows[k->id])
			continue;
		take = &TAKE[k->id];
		bug_if(take->function == NULL);
		take->function(b, s, (char *)owner + take->offset, take->word);
	}
}
