/* SPDX-License-Identifier: ISC */
/* pure */
/*
 * explain_conf() -- what the configuration does, in sentences.
 */
#include "conf/show.h"

enum {
	SHOWN = 20,                     /* aliases and lists of a domain */
	NAME_MEMORY = 16 << 10,
};

/* --- domains ----------------------------------------------------------------------- */

/* What stands before the n-th of several: ", " or " and ". */
static struct slice
between(size_t i, size_t count)
{
	return i == 0 ? S("") : i + 1 == count ? S(" and ") : S(", ");
}

static void
explain_mailboxes(struct buf *b, const struct domain_conf *d)
{
	switch (d->deliver) {
	case DELIVER_MAILDIR:
		buf_printf(b, "Mail to its users is put into the Maildir %.*s", FMT(d->maildir));
		break;
	case DELIVER_LMTP:
		buf_add(b, S("Mail to its users is delivered by LMTP to "));
		value_add_endpoint(b, d->lmtp);
		break;
	case DELIVER_DISCARD:
		buf_add(b, S("Mail to its users is thrown away"));
		break;
	default:
		buf_add(b, S("It has no mailboxes, only other names"));
	}
	if (d->deliver == DELIVER_NOWHERE)
		buf_add(b, S(".\n"));
	else if (d->users_named)
		buf_add(b, S("; who is a user is listed.\n"));
	else if (d->catch_all.address.text.n > 0)
		buf_add(b, S("; users are those named below.\n"));
	else
		buf_add(b, S("; every name is a user.\n"));
}

static void
explain_mailboxes_of(struct buf *b, const struct conf_mailbox *m, size_t n, bool local)
{
	for (size_t i = 0; i < n && i < SHOWN; i++)
		buf_printf(b, "%s%.*s", i ? ", " : "",
		    FMT(local ? m[i].address.local : m[i].address.text));
	if (n > SHOWN)
		buf_printf(b, " and %zu more", n - SHOWN);
}

static bool
leaves(const struct conf *conf, const struct alias_conf *a)
{
	for (size_t i = 0; i < a->target_count; i++)
		if (map_get(&conf->domains, a->targets[i].address.domain) == NULL)
			return true;
	return false;
}

/* " (leaves this machine: ARC-sealed as example.org, selector a2611)" */
static void
explain_seal(struct buf *b, const struct conf *conf, const struct domain_conf *d, unsigned what)
{
	const struct key_conf *key = conf_key(conf, d->name, 0);

	if (key == NULL || (conf->arc.seal & what) == 0)
		buf_add(b, S(" (leaves this machine, not sealed)"));
	else
		buf_printf(b, " (leaves this machine: ARC-sealed as %.*s, selector %.*s)",
		    FMT(key->domain), FMT(key->selector));
}

static void
explain_aliases(struct buf *b, const struct conf *conf, const struct domain_conf *d)
{
	for (size_t i = 0; i < d->alias_count && i < SHOWN; i++) {
		const struct alias_conf *a = &d->aliases[i];

		buf_add(b, S("  "));
		explain_mailboxes_of(b, a->names, a->name_count, true);
		buf_add(b, S(" → "));
		explain_mailboxes_of(b, a->targets, a->target_count, false);
		if (leaves(conf, a))
			explain_seal(b, conf, d, SEAL_FORWARDS);
		buf_byte(b, '\n');
	}
	if (d->alias_count > SHOWN)
		buf_printf(b, "  and %zu more aliases\n", d->alias_count - SHOWN);
	for (size_t i = 0; i < d->alias_file_count; i++)
		buf_printf(b, "  further aliases stand in %.*s\n", FMT(d->alias_files[i]->name));
}

static void
explain_lists(struct buf *b, const struct conf *conf, const struct domain_conf *d,
    const struct routes *routes, struct arena *scratch)
{
	static const char *const WHO[] = {
		[POST_OPEN] = "everybody", [POST_MEMBERS] = "members", [POST_MODERATOR] = "the moderator",
	};

	for (size_t i = 0; i < d->list_count && i < SHOWN; i++) {
		const struct list_conf *l = d->lists[i];
		struct route r = route_local(routes, &l->address.address, scratch);

		buf_printf(b, "  %.*s is a list", FMT(l->address.address.local));
		if (r.kind == ROUTE_LIST)
			buf_printf(b, " of %zu", r.list->member_count);
		buf_printf(b, "; %s may post", WHO[l->post]);
		if (l->moderator.address.text.n > 0)
			buf_printf(b, ", others through %.*s", FMT(l->moderator.address.text));
		if (l->tag.n > 0)
			buf_printf(b, "; subjects get \"%.*s\"", FMT(l->tag));
		if (l->footer.n > 0)
			buf_add(b, S("; a footer is added"));
		explain_seal(b, conf, d, SEAL_LISTS);
		buf_byte(b, '\n');
	}
	for (size_t i = 0; i < d->map_file_count; i++)
		buf_printf(b, "  addresses of a list manager stand in %.*s\n", FMT(d->map_files[i]->name));
}

static void
explain_role(struct buf *b, const struct domain_conf *d, const struct routes *routes,
    struct arena *scratch)
{
	struct address postmaster = address_make(S("postmaster"), d->name, scratch);
	struct expansion x;

	if (!route_expand(routes, &postmaster, scratch, &x) || x.first == NULL)
		return;
	buf_add(b, S("  Mail to postmaster reaches "));
	for (const struct reached *r = x.first; r != NULL; r = r->next)
		buf_printf(b, "%s%.*s", r == x.first ? "" : ", ", FMT(r->path->address.text));
	buf_add(b, S(".\n"));
}

/* What senders are told by MTA-STS. */
static void
explain_sts(struct buf *b, const struct conf *conf, const struct domain_conf *d)
{
	static const char *const MODES[] = {
		[SERVE_OFF] = "", [SERVE_NONE] = "that there is no policy any more",
		[SERVE_TESTING] = "to report when TLS proves none of its hosts",
		[SERVE_ENFORCE] = "to keep their mail when TLS proves none of its hosts",
	};

	if (d->sts == SERVE_OFF)
		return;
	buf_printf(b, "  Senders are told by MTA-STS %s (", MODES[d->sts]);
	for (size_t i = 0; i < d->mx_count && d->sts != SERVE_NONE; i++)
		buf_printf(b, "%.*s, ", FMT(d->mx[i]));
	buf_add(b, S("kept for "));
	value_add_duration(b, d->sts_max_age);
	buf_add(b, conf->web.there ? S(").\n") : S("); another server must serve the policy.\n"));
}

static void
explain_domain(struct buf *b, const struct conf *conf, const struct domain_conf *d,
    const struct routes *routes)
{
	struct arena *scratch = arena_new(1 << 22);

	buf_printf(b, "%.*s is yours. ", FMT(d->name));
	explain_mailboxes(b, d);
	explain_aliases(b, conf, d);
	explain_lists(b, conf, d, routes, scratch);
	if (d->catch_all.address.text.n > 0)
		buf_printf(b, "  every other name → %.*s\n", FMT(d->catch_all.address.text));
	explain_role(b, d, routes, scratch);
	explain_sts(b, conf, d);
	arena_free(scratch);
}

/* --- doors -------------------------------------------------------------------------- */

static void
explain_listen(struct buf *b, const struct conf *conf, const struct listen_conf *l)
{
	for (size_t i = 0; i < l->on_count; i++) {
		buf_add(b, between(i, l->on_count));
		value_add_endpoint(b, l->on[i]);
	}
	buf_printf(b, " (%.*s%s): %s", FMT(l->name),
	    l->tls_implicit ? ", TLS from the start" : l->tls_count ? ", STARTTLS" : ", no TLS",
	    conf->domain_count ? "anybody may send to the addresses above" : "nobody may send");
	for (size_t i = 0; i < l->relay_count; i++) {
		buf_add(b, i == 0 ? S("; to all domains may send ") : S(", "));
		value_add_network(b, l->relay[i]);
	}
	if (l->sign_dkim.n > 0)
		buf_printf(b, "; it is signed for %.*s", FMT(l->sign_dkim));
	if (l->seal_arc)
		buf_add(b, S("; it is ARC-sealed"));
	buf_add(b, S(".\n"));
}

/* Where what programs of this machine send to a name alone goes (cmd/sendmail.c). */
static void
explain_names(struct buf *b, const struct conf *conf, const struct routes *routes)
{
	struct arena *arena = arena_new(NAME_MEMORY);
	struct address root = address_make(S("root"), conf_home(conf), arena);
	enum route_kind kind = route_local(routes, &root, arena).kind;

	if (conf->domain_count > 0)
		buf_printf(b, "What programs of this machine send to a name alone, as cron to root, goes to "
		    "that name at %.*s%s.\n", FMT(root.domain), kind == ROUTE_NO_USER || kind == ROUTE_REMOTE
		    ? "; but root is nobody there" : "");
	arena_free(arena);
}

static void
explain_web(struct buf *b, const struct conf *conf)
{
	const struct web_conf *web = &conf->web;

	for (size_t i = 0; i < web->on_count; i++) {
		buf_add(b, between(i, web->on_count));
		value_add_endpoint(b, web->on[i]);
	}
	buf_add(b, S(" (web, HTTPS): anybody may read the MTA-STS policies"));
	buf_add(b, conf_lets_leave(conf) ? S(", members may leave lists.\n") : S(".\n"));
}

static void
explain_doors(struct buf *b, const struct conf *conf)
{
	bool relay = false;

	for (size_t i = 0; i < conf->listen_count; i++) {
		explain_listen(b, conf, &conf->listen[i]);
		relay |= conf->listen[i].relay_count > 0;
	}
	buf_add(b, relay ? S("Nobody else may relay.\n") : S("Nobody may relay.\n"));
	if (conf_serves(conf))
		explain_web(b, conf);
}

static void
explain_policy(struct buf *b, const struct conf *conf, const struct trust *trust)
{
	static const char *const DMARC[] = {
		[HEED_EVIDENCE] =
		    "is refused (550 5.7.26) when nothing shows a list or forwarder in between",
		[HEED_STRICT] = "is refused (550 5.7.26)",
		[HEED_NEVER] = "is marked, never refused",
	};
	size_t n = trust_count(trust);

	buf_printf(b, "Mail failing DMARC with p=reject %s", DMARC[conf->policy.dmarc_reject]);
	if (n == 0)
		buf_add(b, S(". A trusted ARC sealer could vouch for it; you trust none.\n"));
	else
		buf_printf(b, ", unless a trusted ARC sealer vouches; you trust %zu.\n", n);
}

/* --- going out ----------------------------------------------------------------------- */

static void
explain_destination(struct buf *b, const struct destination_conf *d)
{
	static const char *const NEEDS[] = {
		[TLS_OPPORTUNISTIC] = "opportunistic TLS", [TLS_ENCRYPT] = "TLS or nothing",
		[TLS_VERIFIED] = "TLS with a verified certificate or nothing",
		[TLS_DANE] = "nothing", [TLS_STS] = "nothing", [TLS_DANE_OR_STS] = "nothing",
	};

	if (d->via.kind == ENDPOINT_NONE) {
		buf_add(b, S("by MX records"));
	} else {
		buf_add(b, S("via "));
		value_add_endpoint(b, d->via);
	}
	buf_printf(b, "; %s%s%s", d->dane ? "DANE when the destination has it, else " : "",
	    d->sts ? "MTA-STS, else " : "", NEEDS[d->tls]);
	buf_printf(b, "; %u connections", d->connections);
	if (d->rate.count > 0) {
		buf_add(b, S(", "));
		value_add_rate(b, d->rate);
	}
}

static void
explain_held(struct buf *b, const char *word, const struct whom *whom)
{
	for (size_t i = 0; i < whom->count; i++)
		buf_printf(b, "%s%.*s", i > 0 ? ", " : word, FMT(whom->patterns[i]));
	if (whom->count > 0)
		buf_add(b, S(".\n"));
}

static void
explain_delivery(struct buf *b, const struct delivery_conf *d)
{
	if (d->hold)
		buf_add(b, S("Nothing is delivered: hold is on.\n"));
	explain_held(b, "Held until somebody releases it: mail to ", &d->hold_to);
	explain_held(b, "Held until somebody releases it: mail from ", &d->hold_from);
	buf_add(b, S("Going out "));
	explain_destination(b, &d->usual);
	buf_add(b, S(".\nTried again after "));
	for (size_t i = 0; i < d->retry_count; i++) {
		buf_add(b, i ? S(", ") : S(""));
		value_add_duration(b, d->retry[i]);
	}
	buf_add(b, S(", then every "));
	value_add_duration(b, d->retry_every);
	buf_add(b, S(", for "));
	value_add_duration(b, d->expire);
	if (d->warn > 0 && d->warn < d->expire) {
		buf_add(b, S("; the sender is warned after "));
		value_add_duration(b, d->warn);
	}
	buf_add(b, S(".\n"));
}

void
explain_conf(struct buf *b, const struct conf *conf, const struct routes *routes,
    const struct trust *trust)
{
	for (size_t i = 0; i < conf->domain_count; i++)
		explain_domain(b, conf, &conf->domain[i], routes);
	explain_doors(b, conf);
	explain_names(b, conf, routes);
	explain_policy(b, conf, trust);
	explain_delivery(b, &conf->delivery);
}

/* --- one word -------------------------------------------------------------------------- */

bool
explain_word(struct buf *b, const struct vocabulary *v, struct slice word)
{
	bool found = false;

	for (; v != NULL; v = v->more)
		for (size_t i = 0; i < v->count; i++) {
			const struct keyword *row = &v->rows[i];
			struct slice words = slice(row->words), first;

			if (!slice_cut(&words, ' ', &first) || !slice_eq(first, word))
				continue;
			found = true;
			keyword_add_usage(b, row);
			buf_printf(b, "%s%s%s\n    %s\n", *row->context ? "   (in " : "", row->context,
			    *row->context ? ")" : "", row->meaning);
			if (row->usual != NULL)
				buf_printf(b, "    default: %s %s\n", row->words, row->usual);
		}
	return found;
}
