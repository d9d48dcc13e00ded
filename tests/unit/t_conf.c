/* SPDX-License-Identifier: ISC */
#include "base/clock.h"
#include "conf/conf.h"
#include "conf/show.h"
#include "conf/trust.h"
#include "unit.h"

/* A text that is read into values, with its flaws. */
struct read {
	struct files  files;
	struct flaws  flaws;
	struct conf  *conf;
};

static struct conf *
begin(struct read *r, const char *text)
{
	struct reader reader = files_reader(&r->files);

	*r = (struct read){ 0 };
	reader = files_reader(&r->files);
	buf_add(&files_add(&r->files, S("/c/x.conf"), FILE_CONFIG)->bytes, slice(text));
	flaws_begin(&r->flaws);
	return r->conf = conf_parse(S("/c/x.conf"), &reader, &r->flaws);
}

static void
end(struct read *r)
{
	conf_free(r->conf);
	flaws_end(&r->flaws);
	files_free(&r->files);
}

static void
flaw_lines(const struct flaws *flaws, struct buf *out)
{
	for (const struct flaw *f = flaws->first; f != NULL; f = f->next)
		buf_printf(out, "%u:%u: %s: %.*s\n", f->line, f->column,
		    f->severity == FLAW_ERROR ? "error" : "warning", FMT(f->text));
}

/* --- the complete configuration of the issue -------------------------------------- */

static const char MACHINE[] =
    "hostname mx.local.test\n"
    "state    /some/dir\n"
    "log      json\n"
    "roots    /some/ca.pem\n"
    "resolver { server 127.0.0.1:5300; anchor /some/root.key }\n"
    "listen mx { on 127.0.0.1:2525, [::1]:2525; tls cert F key /K; tls cert /G key /L; allow relay from 127.0.0.2 }\n"
    "domain local.test { deliver to maildir /some/dir/%u; alias team -> ann, ben@far.test; catch-all ann }\n"
    "domain lists.test { deliver to lmtp 127.0.0.1:8024 }\n"
    "key      arc2026 { domain local.test; file F }\n"
    "arc      { trust list.test; seal forwards }\n"
    "delivery { via 127.0.0.1:2526; retry after 1s, 2s, then every 2s; expire after 1h; tls opportunistic }\n"
    "delivery { hold on; hold to ann@Far.test, Other.test; hold from .bulk.test }\n"
    "delivery { hold to .x.test }\n";

static void
every_statement_of_the_issue_becomes_a_value(void **state)
{
	struct read r;
	const struct conf *c = begin(&r, MACHINE);
	const struct listen_conf *l = c->listen;
	const struct domain_conf *d = c->domain;

	(void)state;
	assert_int_equal(r.flaws.errors, 0);
	assert_slice(c->hostname, "mx.local.test");
	assert_slice(c->state, "/some/dir");
	assert_true(c->log.json && c->log.least == LOG_INFO);
	assert_slice(c->roots, "/some/ca.pem");
	assert_int_equal(c->resolver.server_count, 1);
	assert_int_equal(c->resolver.servers[0].port, 5300);
	assert_slice(c->resolver.anchor, "/some/root.key");

	assert_int_equal(c->listen_count, 1);
	assert_slice(l->name, "mx");
	assert_int_equal(l->on_count, 2);
	assert_int_equal(l->on[1].ip.n, 16);
	assert_int_equal(l->tls_count, 2);
	assert_slice(l->tls[0].cert, "/c/F");           /* from the directory of the text */
	assert_slice(l->tls[0].key, "/K");
	assert_slice(l->tls[1].cert, "/G");
	assert_slice(l->tls[1].key, "/L");
	assert_int_equal(l->relay_count, 1);
	assert_int_equal(l->relay[0].bits, 32);
	assert_int_equal(l->size, 50 << 20);

	assert_int_equal(c->domain_count, 2);
	assert_int_equal(d[0].deliver, DELIVER_MAILDIR);
	assert_slice(d[0].maildir, "/some/dir/%u");
	assert_int_equal(d[0].alias_count, 1);
	assert_slice(d[0].aliases[0].names[0].address.text, "team@local.test");
	assert_slice(d[0].aliases[0].targets[1].address.text, "ben@far.test");
	assert_slice(d[0].catch_all.address.text, "ann@local.test");
	assert_int_equal(d[1].deliver, DELIVER_LMTP);
	assert_int_equal(d[1].lmtp.port, 8024);
	assert_ptr_equal(map_get(&c->domains, S("LISTS.test")), &d[1]);

	assert_slice(c->key[0].selector, "arc2026");
	assert_ptr_equal(conf_key(c, S("local.test"), 0), &c->key[0]);
	assert_null(conf_key(c, S("local.test"), 1));
	assert_int_equal(c->arc.seal, SEAL_FORWARDS);
	assert_slice(c->arc.trust[0], "list.test");

	assert_int_equal(c->delivery.usual.via.port, 2526);
	assert_int_equal(c->delivery.retry_count, 2);
	assert_int_equal(c->delivery.retry[1], 2 * SECOND);
	assert_int_equal(c->delivery.retry_every, 2 * SECOND);
	assert_int_equal(c->delivery.expire, HOUR);
	assert_int_equal(c->delivery.usual.tls, TLS_OPPORTUNISTIC);
	assert_true(c->delivery.hold);
	assert_int_equal(c->delivery.hold_to.count, 3);
	assert_slice(c->delivery.hold_to.patterns[0], "ann@far.test");
	assert_slice(c->delivery.hold_to.patterns[2], ".x.test");
	assert_int_equal(c->delivery.hold_from.count, 1);
	end(&r);
}

static void
everything_else_has_a_default(void **state)
{
	struct read r;
	const struct conf *c = begin(&r, "hostname a.test\ndomain a.test { alias x -> y@b.test }\n");
	const struct policy_conf none = { .arc_temperror_defer_once = true };

	(void)state;
	assert_int_equal(r.flaws.errors + r.flaws.warnings, 0);
	assert_int_equal(c->listen_count, 1);
	assert_slice(c->listen[0].name, "mx");
	assert_int_equal(c->listen[0].on[0].kind, ENDPOINT_ANY);
	assert_int_equal(c->listen[0].on[0].port, 25);
	assert_int_equal(c->listen[0].connections, 1000);
	assert_int_equal(c->listen[0].messages.count, 0);
	assert_int_equal(c->listen[0].relay_count, 0);
	assert_true(!c->log.json && c->log.least == LOG_INFO);
	assert_slice(c->user, "chainmail");
	assert_true(c->user_usual);
	assert_int_equal(c->arc.seal, SEAL_FORWARDS | SEAL_LISTS);
	assert_int_equal(c->arc.trust_count, 0);
	assert_int_equal(c->delivery.usual.via.kind, ENDPOINT_NONE);
	assert_true(c->delivery.usual.dane && c->delivery.usual.sts && !c->delivery.hold);
	assert_int_equal(c->delivery.usual.connections, 20);
	assert_int_equal(c->delivery.retry_count, 4);
	assert_int_equal(c->delivery.retry[3], 40 * MINUTE);
	assert_int_equal(c->delivery.retry_every, 2 * HOUR);
	assert_true(c->delivery.expire == 5 * DAY && c->delivery.expire_reports == DAY);
	assert_int_equal(c->delivery.warn, 4 * HOUR);
	assert_false(c->delivery.eight_bit_send);
	assert_memory_equal(&c->policy, &none, sizeof none);
	assert_int_equal(c->limits.recipients, 1000);
	assert_int_equal(c->limits.size, 50 << 20);
	assert_int_equal(c->limits.line, 64 << 10);
	assert_int_equal(c->limits.received, 100);
	assert_int_equal(c->limits.errors, 20);
	assert_int_equal(c->limits.commands, 100);
	assert_int_equal(c->limits.idle, 5 * MINUTE);
	assert_true(!c->web.there && c->web.on_count == 0 && !conf_serves(c));
	assert_true(c->domain[0].sts == SERVE_OFF && c->domain[0].mx_count == 1);
	assert_slice(c->domain[0].mx[0], "a.test");
	end(&r);
}

static void
everything_can_be_said(void **state)
{
	struct read r;
	const struct conf *c = begin(&r,
	    "hostname a.test; log text warn; user mail\n"
	    "policy { dmarc reject strict; dmarc temperror defer; arc temperror accept; spf fail reject\n"
	    "  received-spf on; several-authors accept; bare-newline normalize; tls at-least 1.3 }\n"
	    "limits { recipients 7; size 8MB; line 9kB; received 10; errors 11; commands 12; idle 13s }\n"
	    "delivery { source ::1, 127.0.0.2; warn sender never; expire reports after 2d; eight-bit send; retry after 3m, 6m\n"
	    "  connections 3; rate 4/s; dane off; sts off; tls require verified }\n"
	    "listen a { on *:465; tls cert /c key /k; tls implicit; limit messages 60/min per client\n"
	    "  limit connections 5; limit size 6MB; seal arc; sign dkim a.test }\n"
	    "key k { domain a.test; file /f; selector s1.x }\n"
	    "arc { seal all; trust from file /t; trust from file /u; trust .b.test }\n"
	    "domain a.test { deliver to discard; users ann, Ben; users from file /users; alias from file al\n"
	    "  tag subject \"[t]\"; footer \"f\\ng\"\n"
	    "  list l -> ann, x@b.test\n"
	    "  list m { members from file /m; tag subject \"[m]\"; footer \"\"; owner ann; post members } }\n");
	const struct list_conf *list = c->domain[0].lists[0], *m = c->domain[0].lists[1];

	(void)state;
	assert_int_equal(r.flaws.errors, 0);
	assert_true(!c->log.json && c->log.least == LOG_WARN);
	assert_slice(c->user, "mail");
	assert_true(c->policy.dmarc_reject == HEED_STRICT && c->policy.dmarc_temperror_defer &&
	    !c->policy.arc_temperror_defer_once && c->policy.spf_fail_reject &&
	    c->policy.received_spf && c->policy.several_authors_accept && c->policy.bare_newline_normalize && c->policy.tls_13);
	assert_true(c->limits.recipients == 7 && c->limits.size == 8 << 20 && c->limits.line == 9 << 10 &&
	    c->limits.received == 10 && c->limits.errors == 11 && c->limits.commands == 12 &&
	    c->limits.idle == 13 * SECOND);
	assert_int_equal(c->delivery.warn, 0);
	assert_true(c->delivery.source4.n == 4 && c->delivery.source6.n == 16);
	assert_true(c->delivery.expire_reports == 2 * DAY && c->delivery.eight_bit_send);
	assert_int_equal(c->delivery.retry_count, 2);
	assert_int_equal(c->delivery.retry_every, 6 * MINUTE);          /* the last one is repeated */
	assert_int_equal(c->delivery.usual.tls, TLS_VERIFIED);
	assert_true(c->delivery.usual.rate.count == 4 && c->delivery.usual.rate.per == SECOND);
	assert_true(c->listen[0].tls_implicit && c->listen[0].seal_arc && c->listen[0].connections == 5);
	assert_int_equal(c->listen[0].size, 6 << 20);
	assert_int_equal(c->listen[0].messages.count, 60);
	assert_slice(c->listen[0].sign_dkim, "a.test");
	assert_slice(c->key[0].selector, "s1.x");
	assert_int_equal(c->arc.seal, SEAL_FORWARDS | SEAL_LISTS | SEAL_ALL);
	assert_true(c->arc.trust_count == 1 && c->arc.trust_file_count == 2);
	assert_true(c->domain[0].users_named && c->domain[0].user_count == 2);
	assert_slice(c->domain[0].alias_files[0]->name, "/c/al");
	assert_slice(list->tag, "[t]");
	assert_slice(list->footer, "f\ng");
	assert_slice(list->owner.address.text, "postmaster@a.test");
	assert_int_equal(list->post, POST_OPEN);
	assert_slice(m->tag, "[m]");
	assert_slice(m->footer, "");                     /* said: none */
	assert_slice(m->owner.address.text, "ann@a.test");
	assert_true(m->post == POST_MEMBERS && m->member_file_count == 1);
	end(&r);
}

static void
a_domain_can_have_a_policy(void **state)
{
	static const struct { const char *said; enum sts_serving sts; int64_t age; } modes[] = {
		{ "sts off", SERVE_OFF, 7 * DAY }, { "sts none max-age 1h", SERVE_NONE, HOUR },
		{ "sts testing", SERVE_TESTING, 7 * DAY }, { "sts enforce max-age 30d", SERVE_ENFORCE, 30 * DAY },
	};
	struct read r;
	const struct conf *c = begin(&r, "hostname mx.a.test; listen x { tls cert /c key /k }\n"
	    "web { tls cert /w key /v; tls cert W key V; limit connections 9; on 127.0.0.1:8443 }\n"
	    "domain a.test { deliver to discard; sts enforce; mx MX.a.test, mx2.b.test. }\n"
	    "domain b.test { deliver to discard }");

	(void)state;
	assert_int_equal(r.flaws.errors + r.flaws.warnings, 0);
	assert_true(c->web.there && conf_serves(c) && c->web.connections == 9 && c->web.tls_count == 2);
	assert_true(c->web.on_count == 1 && c->web.on[0].port == 8443);
	assert_slice(c->web.tls[0].key, "/v");
	assert_slice(c->web.tls[1].cert, "/c/W");
	assert_int_equal(c->domain[0].mx_count, 2);
	assert_slice(c->domain[0].mx[0], "mx.a.test");
	assert_slice(c->domain[0].mx[1], "mx2.b.test");
	assert_slice(c->domain[1].mx[0], "mx.a.test");
	end(&r);
	for (size_t i = 0; i < COUNT(modes); i++) {
		struct buf text = BUF(1000);

		buf_printf(&text, "hostname a.test; listen x { tls cert /c key /k }\n"
		    "domain a.test { deliver to discard; %s }%c", modes[i].said, '\0');
		c = begin(&r, text.p);
		assert_case(r.flaws.errors == 0 && c->domain[0].sts == modes[i].sts, i, modes[i].said);
		assert_case(c->domain[0].sts_max_age == modes[i].age, i, modes[i].said);
		assert_case(!conf_serves(c), i, "somebody else does");
		buf_free(&text);
		end(&r);
	}
}

static void
outside_files_are_listed_with_their_purpose(void **state)
{
	static const struct { const char *name; enum file_purpose purpose; bool usual; } want[] = {
		{ "/usr/share/dns/root.key", FILE_ANCHOR, true }, { "/some/ca.pem", FILE_ROOTS, false },
		{ "/c/F", FILE_TLS_CERTIFICATE, false }, { "/K", FILE_TLS_KEY, false },
		{ "/w", FILE_WEB_CERTIFICATE, false }, { "/v", FILE_WEB_KEY, false },
		{ "/u", FILE_USERS, false }, { "/al", FILE_ALIASES, false }, { "/m", FILE_MEMBERS, false },
		{ "/f", FILE_SIGNING_KEY, false }, { "/t", FILE_TRUST, false },
		{ "/etc/resolv.conf", FILE_NAMESERVERS, true },
	};
	struct read r;
	const struct conf *c = begin(&r, "hostname a.test; roots /some/ca.pem; listen x { tls cert F key /K }\n"
	    "web { tls cert /w key /v }; domain a.test { sts testing; deliver to discard\n"
	    "users from file /u; alias from file /al\n"
	    "list l { members from file /m } }\nkey k { domain a.test; file /f }; arc { trust from file /t }\n");

	(void)state;
	assert_int_equal(r.flaws.errors, 0);
	assert_int_equal(c->file_count, COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_slice(c->file[i]->name, want[i].name);
		assert_case(c->file[i]->purpose == want[i].purpose, i, want[i].name);
		assert_case(c->file[i]->usual == want[i].usual, i, want[i].name);
	}
	end(&r);
	/* With facts nothing else of the DNS is wanted. */
	c = begin(&r, "hostname a.test; domain a.test { deliver to discard }; resolver { facts z }");
	assert_int_equal(c->file_count, 2);
	assert_slice(c->file[0]->name, "/etc/ssl/certs/ca-certificates.crt");
	assert_slice(c->file[1]->name, "/c/z");
	end(&r);
}

/* --- what only the whole can tell ---------------------------------------------------- */

#define OURS "hostname mx.a.test\ndomain a.test { deliver to discard }\n"
#define EIGHT_SERVERS "192.0.2.1:53, 192.0.2.2:53, 192.0.2.3:53, 192.0.2.4:53, 192.0.2.5:53, 192.0.2.6:53, " \
	"192.0.2.7:53, 192.0.2.8:53"

static const struct { const char *text, *flaws; } cases[] = {
	{ OURS, "" },
	{ "domain a.test { deliver to discard }", "1:1: error: the name of this machine is not set\n" },
	{ "", "1:1: error: the name of this machine is not set\n"
	    "1:1: warning: nobody can send anything here: no domain is ours, no client may relay\n" },
	{ "hostname a.test", "1:1: warning: nobody can send anything here: no domain is ours, no client may relay\n" },
	{ "hostname a.test\nlisten x { allow relay from 127.0.0.1 }", "" },
	{ "hostname mx\ndomain a.test { deliver to discard }",
	    "1:1: warning: \"mx\" is no fully qualified host name\n" },
	/* domains */
	{ OURS "domain A.TEST. { deliver to discard }", "3:8: error: domain \"a.test\" is there twice\n" },
	{ OURS "domain b.test { }", "3:8: error: mail to b.test would go nowhere\n" },
	{ OURS "domain b.test { users ann }", "3:8: error: the users of b.test have no mailboxes\n" },
	{ OURS "domain b.test { alias x -> y@c.test }", "" },
	{ OURS "domain b.test { deliver to maildir /m/%u }", "3:17: warning: mail to every name at b.test is accepted\n" },
	{ OURS "domain b.test { deliver to maildir /m; users a, b }",
	    "3:17: warning: all users of b.test share one mailbox\n" },
	{ OURS "domain b.test { deliver to maildir /m/%d; users from file u }",
	    "3:17: warning: all users of b.test share one mailbox\n" },
	{ OURS "domain b.test { deliver to maildir /m; users a }", "" },
	{ OURS "domain b.test { deliver to maildir /m; catch-all a }", "" },
	{ OURS "domain b.test { deliver to maildir /m/%u; users a }\n"
	    "domain c.test { deliver to maildir /m/%u; users a }",
	    "4:17: warning: users of b.test and of c.test share their mailboxes\n" },
	{ OURS "domain b.test { deliver to maildir /m/%d/%u; users a }\n"
	    "domain c.test { deliver to maildir /m/%d/%u; users a }", "" },
	{ OURS "domain b.test { deliver to maildir /m/%u; users ann }", "" },
	{ OURS "domain b.test { deliver to lmtp unix:/l; catch-all ann }", "" },
	{ OURS "domain b.test { deliver to discard; users ann@c.test }",
	    "3:43: error: ann@c.test is not an address of b.test\n" },
	{ OURS "domain b.test { alias x@c.test, y -> z@d.test }", "3:23: error: x@c.test is not an address of b.test\n" },
	{ OURS "domain b.test { list l@c.test -> z@d.test }", "3:22: error: l@c.test is not an address of b.test\n" },
	{ OURS "domain b.test { list l { post open } }\nkey k { domain b.test; file /k }",
	    "3:22: error: the list has no members\n" },
	{ OURS "domain b.test { list l -> x@c.test }",
	    "3:8: warning: posts of the lists leave without signature and seal: there is no key for b.test\n" },
	/* leaving a list with one click */
	{ OURS "web { tls cert /c key /k }\nkey k { domain test; file /k }\n"
	    "domain b.test { list l { members x@c.test; one-click https://h.test/leave } }",
	    "5:8: warning: posts of the lists leave without signature and seal: there is no key for b.test\n" },
	{ OURS "key k { domain b.test; file /k }\ndomain b.test { list l { members x@c.test; one-click https://h.test/x } }",
	    "4:22: error: one-click unsubscription needs a door for HTTPS\n" },
	{ OURS "web { tls cert /c key /k }\n"
	    "domain b.test { list l { members x@c.test; one-click https://h.test/x } }",
	    "4:8: warning: posts of the lists leave without signature and seal: there is no key for b.test\n"
	    "4:22: error: one-click unsubscription needs a signature: there is no key for b.test\n" },
	{ OURS "web { tls cert /c key /k }\nkey k { domain b.test; file /k }\n"
	    "domain b.test { list l { members x@c.test; one-click http://h.test/x } }",
	    "5:22: error: one-click unsubscription needs an https URI with a path, and no query\n" },
	{ OURS "web { tls cert /c key /k }\nkey k { domain b.test; file /k }\n"
	    "domain b.test { list l { members x@c.test; one-click https://h.test/leave } }", "" },
	/* keys */
	{ OURS "key k { domain a.test; file /k }", "" },
	{ OURS "key k { domain mx.a.test; file /k }", "" },
	{ OURS "key k { domain test; file /k }", "" },
	{ OURS "key k { domain b.test; file /k }", "3:16: error: \"b.test\" is not a domain of ours\n" },
	{ OURS "key k { domain x.a.test; file /k }", "3:16: error: \"x.a.test\" is not a domain of ours\n" },
	{ OURS "key k { domain a.test }", "3:5: error: key \"k\" needs a file\n" },
	{ OURS "key k { file /k }", "3:5: error: key \"k\" needs a domain\n" },
	{ OURS "key k { domain a.test; file /k }\nkey l { domain a.test; file /l }", "" },
	{ OURS "key k { domain a.test; file /k }\nkey l { domain a.test; file /l; selector k }",
	    "4:5: error: k._domainkey.a.test has two keys\n" },
	/* doors: no way to relay by accident */
	{ OURS "listen x { allow relay from 0.0.0.0/0 }", "3:29: error: 0.0.0.0/0 would let strangers relay: at least a /8\n" },
	{ OURS "listen x { allow relay from 128.0.0.0/1 }",
	    "3:29: error: 128.0.0.0/1 would let strangers relay: at least a /8\n" },
	{ OURS "listen x { allow relay from ::/0 }", "3:29: error: ::/0 would let strangers relay: at least a /16\n" },
	{ OURS "listen x { allow relay from 10.0.0.0/8, fd00::/16 }", "" },
	{ OURS "listen x { tls implicit }", "3:8: error: \"tls implicit\" needs a certificate\n" },
	{ OURS "listen x { sign dkim a.test; allow relay from 192.0.2.1 }",
	    "3:22: error: there is no key for \"a.test\"\n" },
	{ OURS "listen x { sign dkim a.test }\nkey k { domain a.test; file /k }",
	    "3:22: warning: nobody may relay here, so nothing is signed\n" },
	{ OURS "listen x { seal arc }", "3:8: error: \"seal arc\" needs a key\n" },
	{ OURS "listen x { on *:25 }\nlisten y { on 127.0.0.1:25, *:25 }",
	    "4:8: error: two listen blocks have the same address and port\n" },
	{ OURS "listen x { on 127.0.0.1:25 }\ndelivery { via 127.0.0.1:25 }",
	    "4:12: error: \"via\" leads back to a listen block of ours\n" },
	{ OURS "listen x { on 127.0.0.1:25 }\ndelivery { to .b.test { via 127.0.0.1:25 } }",
	    "4:25: error: \"via\" leads back to a listen block of ours\n" },
	/* policies of MTA-STS */
#define STS_OURS "hostname mx.a.test\nlisten x { tls cert /c key /k }\n"
#define WEB "\nweb { tls cert /w key /v }"
	{ STS_OURS "domain a.test { deliver to discard; sts testing }" WEB, "" },
	{ STS_OURS "domain a.test { deliver to discard; sts enforce }", "" },    /* served elsewhere */
	{ OURS "web { }", "3:1: warning: nothing is served: no domain has a policy, no list one-click\n" },
	{ OURS WEB, "4:1: warning: nothing is served: no domain has a policy, no list one-click\n" },
	{ STS_OURS "domain a.test { deliver to discard; sts none }\nweb { }", "4:1: error: \"web\" needs a certificate\n" },
	{ STS_OURS "domain a.test { deliver to discard; sts none }\nweb { tls cert /w key /v; on *:25 }",
	    "4:1: error: another block has the same address and port\n" },
	{ STS_OURS "domain a.test { deliver to discard; sts none; sts off }", "3:47: error: \"sts\" is set twice\n" },
	{ STS_OURS "domain a.test { deliver to discard; sts enfroce }",
	    "3:41: error: expected \"off\", \"none\", \"testing\" or \"enforce\", not \"enfroce\"\n" },
	{ STS_OURS "domain a.test { deliver to discard; sts enforce max-age 366d }",        /* RFC 8461 3.2 */
	    "3:37: error: max-age is at least a second and at most a year\n" },
	{ STS_OURS "domain a.test { deliver to discard; sts enforce max-age 365d }", "" },
	{ OURS "domain b.test { deliver to discard; sts none }", "" },
	{ OURS "domain b.test { deliver to discard; sts testing }",
	    "3:37: warning: the policy wants STARTTLS, and no listener offers it\n" },
	{ OURS "domain b.test { deliver to discard; sts enforce }",                        /* RFC 8461 4.2 */
	    "3:37: error: the policy demands STARTTLS, and no listener offers it\n" },
	{ OURS "listen x { on *:465; tls cert /c key /k; tls implicit }\ndomain b.test { deliver to discard; sts enforce }",
	    "4:37: error: the policy demands STARTTLS, and no listener offers it\n" },
	{ OURS "domain b.test { deliver to discard; sts enforce; mx mx.far.test }", "" },
	/* resolver */
	{ OURS "resolver { facts f; server 127.0.0.1:53 }",
	    "3:18: error: \"facts\" and \"server\" exclude each other\n" },
	{ OURS "resolver { server " EIGHT_SERVERS " }", "" },
	{ OURS "resolver { server " EIGHT_SERVERS ", 192.0.2.9:53 }", "3:12: error: at most 8 name servers are asked\n" },
	/* delivery */
	{ OURS "delivery { source 192.0.2.1, 2001:db8::1 }", "" },
	{ OURS "delivery { source 192.0.2.1, 192.0.2.2 }", "3:30: error: there is a source for IPv4 already\n" },
	{ OURS "delivery { expire after 1m }", "3:12: warning: mail expires before its second attempt\n" },
	{ OURS "delivery { dane off; tls require dane }",
	    "3:22: error: \"tls require dane\" can never be met: it is switched off\n" },
	{ OURS "delivery { sts off\n to b.test { tls require sts } }",
	    "4:14: error: \"tls require sts\" can never be met: it is switched off\n" },
	{ OURS "delivery { sts off; tls require dane-or-sts }", "" },
	{ OURS "delivery { sts off\n to .b.test { dane off; tls require dane-or-sts } }",
	    "4:25: error: \"tls require dane-or-sts\" can never be met: it is switched off\n" },
	{ OURS "delivery { via 127.0.0.1:3006; tls require verified\n to b.test { rate 1/s } }",
	    "3:12: warning: an address never proves what \"tls require\" asks for here: mail would not go there\n" },
	{ OURS "delivery { tls require dane-or-sts\n to .b.test { via [2001:db8::1]:25 } }",
	    "4:15: warning: an address never proves what \"tls require\" asks for here: mail would not go there\n" },
	{ OURS "delivery { via 127.0.0.1:3006; tls require encrypt\n to b.test { via mx.b.test:25; tls require dane } }", "" },
	{ OURS "delivery { to b.test { rate 1/s }; to c.test, B.test { rate 1/s } }",
	    "3:47: error: to \"B.test\" is there twice\n" },
	/* what the whole lacks is not told while a statement cannot be read */
	{ "domian a.test { }", "1:1: error: \"domian\" is not a statement\n" },
};

static void
the_whole_is_looked_at(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out = BUF(65536);
		struct read r;

		begin(&r, cases[i].text);
		flaw_lines(&r.flaws, &out);
		if (!slice_eq(buf_slice(&out), slice(cases[i].flaws)))
			print_error("got  %.*swant %s", FMT(buf_slice(&out)), cases[i].flaws);
		assert_case(slice_eq(buf_slice(&out), slice(cases[i].flaws)), i, cases[i].text);
		buf_free(&out);
		end(&r);
	}
}

static void
flaws_are_sorted_by_place(void **state)
{
	struct buf out = BUF(4096);
	struct read r;

	(void)state;
	begin(&r, "hostnmae a.test\nlet\nstate /x; stat /y\n\"z\"\n");
	flaws_sort(&r.flaws);
	flaw_lines(&r.flaws, &out);
	assert_slice(buf_slice(&out), "1:1: error: \"hostnmae\" is not a statement\n"
	    "2:4: error: expected let NAME = value\n3:11: error: \"stat\" is not a statement\n"
	    "4:1: error: expected a statement, not a string\n");
	buf_clear(&out);
	flaws_add_count(&out, &r.flaws);
	assert_slice(buf_slice(&out), "4 errors");
	buf_free(&out);
	end(&r);
}

static void
a_configuration_that_is_not_there_is_a_flaw(void **state)
{
	struct files files = { 0 };
	struct reader reader = files_reader(&files);
	struct flaws flaws;

	(void)state;
	flaws_begin(&flaws);
	conf_free(conf_parse(S("/c/gone.conf"), &reader, &flaws));
	assert_int_equal(flaws.errors, 1);
	assert_slice(flaws.first->file, "/c/gone.conf");
	assert_int_equal(flaws.first->line, 1);
	flaws_end(&flaws);
}

/* --- trusted sealers -------------------------------------------------------------------- */

static void
sealers_are_trusted_by_name_only(void **state)
{
	static const struct { const char *domain, *selector; bool trusted; } sealers[] = {
		{ "a.test", "s", true }, { "A.TEST", "s", true }, { "x.a.test", "s", false },
		{ "x.b.test", "s", true }, { "y.x.b.test", "s", true }, { "b.test", "s", false },
		{ "c.test", "s1", true }, { "c.test", "s2", true }, { "c.test", "s3", false },
		{ "d.test", "any", true }, { "test", "s", false }, { "", "s", false },
	};
	struct read r;
	struct conf *c = begin(&r, OURS "arc { trust a.test, .b.test; trust from file t }");
	struct reader reader = files_reader(&r.files);
	struct trust *trust;
	struct buf out = BUF(4096);

	(void)state;
	buf_add(&files_add(&r.files, S("/c/t"), FILE_TRUST)->bytes,
	    S("# sealers\r\nc.test s1\n\n C.test\ts2 \r\nd.test\nno..domain\ne.test s s2\nf.test -x\n"));
	trust = trust_new(&c->arc, &reader, &r.flaws);
	flaw_lines(&r.flaws, &out);
	assert_slice(buf_slice(&out),
	    "6:1: error: expected a domain such as example.org, or .example.org for what is below it\n"
	    "7:10: error: expected the end of the line\n8:8: error: expected a selector such as s2026 or mail.s2026\n");
	assert_int_equal(trust_count(trust), 5);
	for (size_t i = 0; i < COUNT(sealers); i++)
		assert_case(trust_holds(trust, slice(sealers[i].domain), slice(sealers[i].selector)) ==
		    sealers[i].trusted, i, sealers[i].domain);
	trust_free(trust);
	buf_free(&out);
	end(&r);
	/* Nobody, when nobody is named. */
	c = begin(&r, OURS);
	trust = trust_new(&c->arc, &reader, &r.flaws);
	assert_false(trust_holds(trust, S("a.test"), S("s")));
	trust_free(trust);
	end(&r);
}

/* --- as text ------------------------------------------------------------------------------- */

static struct slice
shown(const char *text, bool defaults, struct buf *out)
{
	struct read r;

	begin(&r, text);
	assert_int_equal(r.flaws.errors, 0);
	show_tree(out, &CONF_VOCABULARY, r.conf->tree, defaults);
	end(&r);
	return buf_slice(out);
}

static void
what_is_shown_can_be_read_again(void **state)
{
	static const char text[] = "let h = a.test; hostname $h\ndelivery { hold on }\n"
	    "domain a.test { deliver to discard; list l -> \"x y\", z; footer \"[\\\"x\\\" \\n$h]\" }\n"
	    "delivery { via b.test:25 }";
	struct buf once = BUF(65536), twice = BUF(65536), all = BUF(65536), again = BUF(65536);

	(void)state;
	assert_slice(shown(text, false, &once),
	    "hostname a.test  # /c/x.conf:1\n"
	    "delivery {  # /c/x.conf:2\n    hold on  # /c/x.conf:2\n    via b.test:25  # /c/x.conf:4\n}\n"
	    "domain a.test {  # /c/x.conf:3\n    deliver to discard  # /c/x.conf:3\n"
	    "    list l -> \"x y\", z  # /c/x.conf:3\n    footer \"[\\\"x\\\" \\n$h]\"  # /c/x.conf:3\n}\n");
	buf_byte(&once, '\0');
	assert_int_equal(shown(once.p, false, &twice).n > 0, true);
	/* With all defaults written out, nothing is left that is not set. */
	shown(text, true, &all);
	buf_byte(&all, '\0');
	assert_non_null(strstr(all.p, "listen mx {  # default\n    on *:25  # default\n"));
	assert_non_null(strstr(all.p, "    expire after 5d  # default\n"));
	shown(all.p, true, &again);
	buf_byte(&again, '\0');
	assert_null(strstr(again.p, "# default"));
	buf_free(&once);
	buf_free(&twice);
	buf_free(&all);
	buf_free(&again);
}

static const struct { const char *text, *formatted; } formats[] = {
	{ "", "" }, { "\n\n\n", "" }, { "a   b\n", "a b\n" }, { "a b", "a b\n" },
	{ "a;b ; c", "a\nb\nc\n" }, { "\n\na\n\n\n\nb\n\n", "a\n\nb\n" },
	{ "a{\nb\n}", "a {\n    b\n}\n" }, { "a { b;c }", "a { b; c }\n" }, { "a{}", "a { }\n" },
	{ "a { b { c } d }\ne", "a { b { c }; d }\ne\n" },
	{ "a {\n\nb { c; }\n\n}\n", "a {\n    b { c }\n}\n" },
	{ "a { b\n}", "a {\n    b\n}\n" }, { "a {\nb }", "a {\n    b\n}\n" },
	{ "a b ,c,d -> e", "a b, c, d -> e\n" }, { "a b,\nc", "a b,\n    c\n" },
	{ "x {\na b, # one\n c # two\n}", "x {\n    a b,  # one\n        c  # two\n}\n" },
	{ "# top\n\n  # next\na # at the end\n", "# top\n\n# next\na  # at the end\n" },
	{ "a { # why\nb\n  # inside\n} # done\nc", "a {  # why\n    b\n    # inside\n}  # done\nc\n" },
	{ "a \"x  y\" \"\\n\"", "a \"x  y\" \"\\n\"\n" },
	{ "a { b } c", "a { b }\nc\n" }, { "a { b }; c", "a { b }\nc\n" },
	{ "let x = 1;include y", "let x = 1\ninclude y\n" },
};

static void
a_text_is_put_in_order_and_then_stays(void **state)
{
	struct buf bad = BUF(100);

	(void)state;
	for (size_t i = 0; i < COUNT(formats); i++) {
		struct buf out = BUF(4096), again = BUF(4096);
		struct source source = { S("x"), slice(formats[i].text) };

		assert_true(show_formatted(&out, &source));
		if (!slice_eq(buf_slice(&out), slice(formats[i].formatted)))
			print_error("got %.*s\n", FMT(buf_slice(&out)));
		assert_case(slice_eq(buf_slice(&out), slice(formats[i].formatted)), i, formats[i].text);
		source.bytes = buf_slice(&out);
		assert_true(show_formatted(&again, &source));
		assert_case(slice_eq(buf_slice(&again), buf_slice(&out)), i, formats[i].text);
		buf_free(&out);
		buf_free(&again);
	}
	assert_false(show_formatted(&bad, &(struct source){ S("x"), S("a \"b") }));
	buf_free(&bad);
}

static void
it_can_be_explained(void **state)
{
	struct read r;
	struct conf *c = begin(&r, MACHINE);
	struct reader reader = files_reader(&r.files);
	struct routes *routes = routes_new(c, &reader, &r.flaws);
	struct trust *trust = trust_new(&c->arc, &reader, &r.flaws);
	struct buf out = BUF(65536), word = BUF(65536);

	(void)state;
	explain_conf(&out, c, routes, trust);
	assert_slice(buf_slice(&out),
	    "local.test is yours. Mail to its users is put into the Maildir /some/dir/%u; users are those named below.\n"
	    "  team → ann@local.test, ben@far.test (leaves this machine: ARC-sealed as local.test, selector arc2026)\n"
	    "  every other name → ann@local.test\n  Mail to postmaster reaches ann@local.test.\n"
	    "lists.test is yours. Mail to its users is delivered by LMTP to 127.0.0.1:8024; every name is a user.\n"
	    "  Mail to postmaster reaches postmaster@lists.test.\n"
	    "127.0.0.1:2525 and [::1]:2525 (mx, STARTTLS): anybody may send to the addresses above; "
	    "to all domains may send 127.0.0.2.\nNobody else may relay.\n"
	    "What programs of this machine send to a name alone, as cron to root, goes to that name at local.test.\n"
	    "Mail failing DMARC with p=reject is refused (550 5.7.26) when nothing shows a list or forwarder in between, "
	    "unless a trusted ARC sealer vouches; you trust 1.\nNothing is delivered: hold is on.\n"
	    "Held until somebody releases it: mail to ann@far.test, other.test, .x.test.\n"
	    "Held until somebody releases it: mail from .bulk.test.\n"
	    "Going out via 127.0.0.1:2526; DANE when the destination has it, else MTA-STS, else opportunistic TLS; "
	    "20 connections.\nTried again after 1s, 2s, then every 2s, for 1h.\n");
	assert_true(explain_word(&word, &CONF_VOCABULARY, S("hold")));
	assert_slice(buf_slice(&word),
	    "hold SWITCH   (in delivery)\n    Accept only and start no delivery.\n    default: hold off\n"
	    "hold to WHOM, ...   (in delivery)\n    Mail to them waits until somebody says `chainmail queue release`, "
	    "also when the rule has gone. What was tried before the rule came is not held.\n"
	    "hold from WHOM, ...   (in delivery)\n    The same for mail with these envelope senders.\n");
	assert_false(explain_word(&word, &CONF_VOCABULARY, S("nonsense")));
	buf_free(&out);
	buf_free(&word);
	trust_free(trust);
	routes_free(routes);
	end(&r);
}

static void
policies_are_explained(void **state)
{
	static const struct { const char *sts, *web, *says; } rows[] = {
		{ "off", WEB, "a.test is yours. Mail to its users is thrown away; every name is a user.\n"
		    "  Mail to postmaster reaches postmaster@a.test.\n*:25" },
		{ "none max-age 1d", WEB, "  Senders are told by MTA-STS that there is no policy any more (kept for 1d).\n" },
		{ "testing", "", "  Senders are told by MTA-STS to report when TLS proves none of its hosts "
		    "(mx.a.test, kept for 7d); another server must serve the policy.\n" },
		{ "enforce", WEB, "  Senders are told by MTA-STS to keep their mail when TLS proves none of its hosts "
		    "(mx.a.test, kept for 7d).\n" },
		{ "enforce", WEB, "*:443 (web, HTTPS): anybody may read the MTA-STS policies.\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf text = BUF(1000), out = BUF(65536);
		struct read r;
		struct reader reader;
		struct routes *routes;
		struct trust *trust;

		buf_printf(&text, STS_OURS "domain a.test { deliver to discard; sts %s }%s%c", rows[i].sts,
		    rows[i].web, '\0');
		begin(&r, text.p);
		reader = files_reader(&r.files);
		routes = routes_new(r.conf, &reader, &r.flaws);
		trust = trust_new(&r.conf->arc, &reader, &r.flaws);
		explain_conf(&out, r.conf, routes, trust);
		buf_byte(&out, '\0');
		if (strstr(out.p, rows[i].says) == NULL)
			print_error("got  %s", out.p);
		assert_case(strstr(out.p, rows[i].says) != NULL, i, rows[i].sts);
		trust_free(trust);
		routes_free(routes);
		buf_free(&text);
		buf_free(&out);
		end(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_statement_of_the_issue_becomes_a_value),
		cmocka_unit_test(everything_else_has_a_default),
		cmocka_unit_test(everything_can_be_said),
		cmocka_unit_test(a_domain_can_have_a_policy),
		cmocka_unit_test(outside_files_are_listed_with_their_purpose),
		cmocka_unit_test(the_whole_is_looked_at),
		cmocka_unit_test(flaws_are_sorted_by_place),
		cmocka_unit_test(a_configuration_that_is_not_there_is_a_flaw),
		cmocka_unit_test(sealers_are_trusted_by_name_only),
		cmocka_unit_test(what_is_shown_can_be_read_again),
		cmocka_unit_test(a_text_is_put_in_order_and_then_stays),
		cmocka_unit_test(it_can_be_explained),
		cmocka_unit_test(policies_are_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
