/* SPDX-License-Identifier: ISC */
/*
 * chainmail route -- where mail for an address goes from here, and what TLS must
 * prove there: aliases and lists, then for each destination MX, TLSA, MTA-STS and
 * the verdict, by the functions a deliverer acts by.  --connect makes the
 * connections and shows what was proved; nothing is sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/text.h"
#include "cmd/answers.h"
#include "cmd/cmd.h"
#include "cmd/kept.h"
#include "cmd/onward.h"
#include "cmd/shown.h"
#include "delivery/aim.h"
#include "delivery/connection.h"
#include "delivery/policies.h"
#include "mail/domain.h"
#include "net/tls.h"
#include "sts/fetch.h"

enum { MEMORY = 64 << 20, TEXT = 1 << 20, PROBE_MS = 60 * SECOND };

struct request {
	struct answers_options answers;
	bool connect, json, requiretls, tls_optional;
	const char    *from_text;
	struct address from;                    /* --from; text empty: not asked */
};

/* One destination that is looked at. */
struct routing {
	struct answers        *answers;
	const struct request  *request;
	struct arena          *arena;
	struct log             log;
	SSL_CTX               *tls;
	struct fetcher        *fetcher;
	struct policies       *policies;
	struct aim             aim;
	struct slice           kept;            /* the entry of the policy cache, or empty */
	struct later           give;
	struct fact          **asked;           /* the facts from there on are about this destination */

	struct secure_question question;
	struct plan            plan;
	bool                   planned;
	struct policy_wait    *wait;
	bool                   policy_known;
	struct policy_answer   policy;
	struct later           again;

	json_t                *json;            /* of this destination */
	bool                   good;            /* a host to go to; with --connect: one that proves */
	bool                   refused;         /* by one that could be spoken to */
};

/* --- the policy, as a deliverer gets it -------------------------------------------------- */

static void
give_entry(void *arg)
{
	struct routing *r = arg;

	policies_entry(r->policies, secure_policy_domain(&r->question.where), r->kept);
}

static void
ask_entry(void *arg, struct slice domain)
{
	struct routing *r = arg;

	(void)domain;
	loop_later(&r->answers->loop, &r->give, give_entry, r);
}

/* What is found out here is for looking at: the program keeps what it fetches itself. */
static void
keep_nothing(void *arg, struct slice domain, struct slice entry, int64_t until)
{
	(void)arg, (void)domain, (void)entry, (void)until;
}

static void
note_entry(void *arg, struct slice domain, struct slice entry)
{
	struct routing *r = arg;

	(void)domain;
	r->kept = arena_copy(r->arena, entry);
}

static void
find_kept(struct routing *r, struct slice domain)
{
	struct kept kept;
	struct error why;

	r->kept = NONE;
	if (!kept_begin(&kept, r->answers->conf, &why) ||
	    !kept_ask(&kept, "show", domain, note_entry, r, &why))
		complaint("chainmail route: the policies that are kept: %s", why.text);
	kept_end(&kept);
}

/* --- the plan -------------------------------------------------------------------------------- */

static void plan_again(void *arg);

static void
policy_told(void *arg, const struct policy_answer *answer)
{
	struct routing *r = arg;

	r->wait = NULL;
	r->policy_known = true;
	r->policy = *answer;
	r->policy.id = arena_copy(r->arena, answer->id);
	r->policy.reason = arena_copy(r->arena, answer->reason);
	if (answer->applies)
		r->policy.applies = sts_policy_parse(&r->policy.policy,
		    arena_copy(r->arena, answer->policy.text), r->arena, NULL);
	loop_later(&r->answers->loop, &r->again, plan_again, r);
}

static bool
policy_found(struct routing *r)
{
	struct slice domain = secure_policy_domain(&r->question.where);

	if (r->policy_known || r->question.sts_off || domain.n == 0)
		return true;
	if (r->wait == NULL)
		r->wait = policies_ask(r->policies, domain, false, policy_told, r);
	return false;
}

static void
plan_again(void *arg)
{
	struct routing *r = arg;
	bool policy = policy_found(r), planned;

	if (r->planned)
		return;                         /* it was woken twice */
	r->question.sts = r->policy.applies ? &r->policy.policy : NULL;
	planned = secure_plan(&r->plan, &r->question, &r->answers->inquiry.facts, r->arena);
	if ((r->planned = policy && planned))
		loop_stop(&r->answers->loop);
	else if (!planned)
		inquiry_ask(&r->answers->inquiry, plan_again, r);
}

static void
make_plan(struct routing *r, struct slice domain)
{
	r->asked = r->answers->inquiry.facts.last;
	r->policy_known = false;
	r->policy = (struct policy_answer){ .applies = false };
	if (!aim_at_domain(&r->aim, domain, rng_seeded(1), r->arena, &r->question, &r->plan))
		return;
	r->question.message = r->request->requiretls ? MESSAGE_REQUIRETLS
	    : r->request->tls_optional ? MESSAGE_TLS_OPTIONAL : MESSAGE_ORDINARY;
	if (!r->question.sts_off && secure_policy_domain(&r->question.where).n > 0)
		find_kept(r, secure_policy_domain(&r->question.where));
	loop_later(&r->answers->loop, &r->again, plan_again, r);
	loop_run(&r->answers->loop);
}

/* --- showing it ---------------------------------------------------------------------------------- */

static json_t *
texts(const struct slice *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, shown_json(list[i]));
	return array;
}

static json_t *
addresses(const struct plan_host *h)
{
	json_t *array = json_array();
	char text[IP_TEXT];

	for (size_t i = 0; i < h->address_count; i++)
		if (h->addresses[i].n > 0) {
			ip_text(h->addresses[i], text);
			json_array_append_new(array, json_string(text));
		}
	return array;
}

static json_t *
records(const struct routing *r, const struct plan_host *h)
{
	json_t *array = json_array();

	for (size_t i = 0; i < h->tlsa.count; i++) {
		static const char *const uses[] = { "usable", "weaker", "unusable" };
		struct slice text = tlsa_text(&h->tlsa.records[i], r->arena);

		json_array_append_new(array, json_pack("{s:s%, s:s}", "record", text.p, text.n, "use",
		    uses[h->tlsa.records[i].use]));
	}
	return array;
}

static json_t *
status_json(const struct status *s)
{
	char code[32];

	snprintf(code, sizeof code, "%u.%u.%u", s->class, s->subject, s->detail);
	return json_pack("{s:s, s:o}", "dsn", code, "why", shown_json(s->text));
}

static json_t *
host_json(const struct routing *r, const struct plan_host *h)
{
	json_t *j = json_pack("{s:o, s:i, s:b, s:s, s:s, s:s}", "host", shown_json(h->name),
	    "preference", (int)h->preference, "go", h->go, "policy", plan_policy_name(h->policy),
	    "needs", need_name(h->need), "watches", need_name(h->watch));

	json_object_set_new(j, "addresses", addresses(h));
	json_object_set_new(j, "names", texts(h->names, h->name_count));
	json_object_set_new(j, "tlsa", records(r, h));
	json_object_set_new(j, "requiretls", json_boolean(h->requiretls));
	if (h->flaw != TLSRPT_SUCCESS)
		json_object_set_new(j, "flaw", json_string(tlsrpt_result_name(h->flaw)));
	if (!h->go)
		json_object_set_new(j, "refused", status_json(&h->why_not));
	return j;
}

static json_t *
policy_json(const struct routing *r)
{
	json_t *j;

	if (!r->policy.applies && r->policy.report == TLSRPT_SUCCESS)
		return json_null();
	j = json_object();
	if (r->policy.applies) {
		json_object_set_new(j, "id", shown_json(r->policy.id));
		json_object_set_new(j, "mode", json_string(sts_mode_name(r->policy.policy.mode)));
		json_object_set_new(j, "mx", texts(r->policy.policy.mx, r->policy.policy.mx_count));
	}
	if (r->policy.report != TLSRPT_SUCCESS) {
		json_object_set_new(j, "failed", json_string(tlsrpt_result_name(r->policy.report)));
		json_object_set_new(j, "why", shown_json(r->policy.reason));
	}
	return j;
}

static void
describe(struct routing *r, struct slice domain)
{
	json_t *hosts = json_array();

	for (size_t i = 0; i < r->plan.count; i++)
		json_array_append_new(hosts, host_json(r, &r->plan.hosts[i]));
	r->json = json_pack("{s:o, s:i, s:o, s:o}", "domain", shown_json(domain), "port",
	    (int)r->plan.port, "sts", policy_json(r), "hosts", hosts);
	if (r->plan.status.class != 0)
		json_object_set_new(r->json, "status", status_json(&r->plan.status));
	r->good = r->plan.status.class == 0;
}

static void
print_facts(const struct routing *r)
{
	for (const struct fact *f = *r->asked; f != NULL; f = f->next) {
		struct buf line = BUF(TEXT);

		shown_fact_add(&line, f);
		if (line.n == 0)
			buf_add(&line, slice(answer_name(f->answer)));
		printf("  %-5s %-40.*s %-8s %.*s\n", rr_name(f->type), FMT(f->name),
		    security_name(f->security), FMT(buf_slice(&line)));
		buf_free(&line);
	}
}

static void
print_policy(const struct routing *r)
{
	if (r->policy.applies)
		printf("  STS   policy %.*s, mode %s\n", FMT(r->policy.id),
		    sts_mode_name(r->policy.policy.mode));
	if (r->policy.report != TLSRPT_SUCCESS) {
		struct buf reason = BUF(TEXT);

		shown_add(&reason, r->policy.reason);
		printf("  STS   %s: %.*s\n", tlsrpt_result_name(r->policy.report), FMT(buf_slice(&reason)));
		buf_free(&reason);
	}
}

static void
print_plan(const struct routing *r, struct slice domain)
{
	struct buf text = BUF(TEXT);
	struct slice rest, line;

	printf("%.*s\n", FMT(domain));
	print_facts(r);
	print_policy(r);
	plan_text(&r->plan, &text);
	for (rest = buf_slice(&text); slice_cut(&rest, '\n', &line); ) {
		struct buf shown = BUF(TEXT);

		shown_add(&shown, line);
		printf("  ->    %.*s\n", FMT(buf_slice(&shown)));
		buf_free(&shown);
	}
	buf_free(&text);
}

/* --- --connect ---------------------------------------------------------------------------------------- */

struct probe {
	struct routing           *routing;
	const struct plan_host   *host;
	struct peer               peer;
	struct connection        *connection;
	struct timer              patience;
	json_t                   *json;
	bool                      proved;
};

/* RFC 3463 3.5: X.4 is the network, where nothing was found out about the host. */
static void
note_refusal(struct probe *p, const struct status *why)
{
	p->routing->refused |= !(status_transient(*why) && why->subject == 4);
	json_object_set_new(p->json, "refused", status_json(why));
}

/* Of a session that was judged too weak there is nothing left to ask when it is over. */
static void
note_tls(struct probe *p)
{
	struct connection_facts f = connection_facts(p->connection);

	if (f.tls == NULL)
		return;
	json_object_set_new(p->json, "tls", json_string(f.tls));
	json_object_set_new(p->json, "cipher", json_string(f.cipher));
}

/* Where TLS never stood "broke" says what was seen of the handshake. */
static void
note_session(struct probe *p)
{
	struct connection_facts f = connection_facts(p->connection);
	struct slice seen = connection_certificate(p->connection);

	note_tls(p);
	json_object_set_new(p->json, "trust", json_string(secure_trust_name(f.trust)));
	json_object_set_new(p->json, "greeting", shown_json(f.greeting));
	if (seen.n > 0)
		json_object_set_new(p->json, "certificate", shown_json(seen));
	if (f.broke.n > 0)
		json_object_set_new(p->json, "broke", shown_json(f.broke));
}

static void
probe_judged(void *arg, const struct secure_judgement *j)
{
	struct probe *p = arg;

	note_tls(p);
	json_object_set_new(p->json, "result", json_string(tlsrpt_result_name(j->result)));
	if (*j->reason != '\0')
		json_object_set_new(p->json, "reason", json_string(j->reason));
}

static void
probe_ready(void *arg)
{
	struct probe *p = arg;

	p->proved = true;
	note_session(p);
	connection_quit(p->connection);
	p->connection = NULL;
	loop_stop(&p->routing->answers->loop);
}

static void
probe_over(void *arg, const struct connection_end *end)
{
	struct probe *p = arg;

	note_session(p);
	note_refusal(p, &end->why);
	p->connection = NULL;
	loop_stop(&p->routing->answers->loop);
}

static void
probe_sent(void *arg)
{
	(void)arg;
	bug_if(true);                           /* nothing is ever sent */
}

static void
probe_too_long(void *arg)
{
	struct probe *p = arg;

	connection_end(p->connection);
	p->connection = NULL;
	note_refusal(p, &STATUS(0, 4, 4, 2, "no answer in time"));
	loop_stop(&p->routing->answers->loop);
}

static const struct connection_user PROBE = { probe_ready, probe_sent, probe_over, probe_judged };

static bool
probe(struct routing *r, size_t host, size_t address, json_t *list)
{
	struct probe p = { .routing = r, .host = &r->plan.hosts[host],
	    .peer = aim_peer(&r->plan, host, address), .json = json_object() };
	struct connection_options o = { .loop = &r->answers->loop, .tls = r->tls,
	    .hostname = r->answers->conf->hostname, .from = aim_source(&r->aim, &p.peer) };
	char text[PEER_TEXT];
	struct error why;

	peer_text(&p.peer, text);
	json_object_update_new(p.json, json_pack("{s:s, s:n, s:n}", "peer", text, "tls", "cipher"));
	p.connection = connection_open(&o, p.host, p.peer, &PROBE, &p, &why);
	if (p.connection != NULL) {
		timer_set(&r->answers->loop, &p.patience, PROBE_MS, probe_too_long, &p);
		loop_run(&r->answers->loop);
		timer_clear(&r->answers->loop, &p.patience);
	} else {
		const struct status no = status_make(0, 4, 4, 1, slice(why.text));

		note_refusal(&p, &no);
	}
	json_array_append_new(list, p.json);
	return p.proved;
}

static const char *
word(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s != NULL ? s : "";
}

static void
print_probe(const struct plan_host *h, const json_t *j)
{
	const json_t *refused = json_object_get(j, "refused");

	printf("  %s  %.*s [%s]", refused != NULL ? "FAIL" : "ok  ", FMT(h->name), word(j, "peer"));
	if (*word(j, "tls") != '\0')
		printf("  %s %s, %s", word(j, "tls"), word(j, "cipher"), word(j, "trust"));
	else if (refused == NULL)
		fputs("  in the clear", stdout);
	if (*word(j, "certificate") != '\0')
		printf("\n        certificate  %s", word(j, "certificate"));
	if (refused != NULL)
		printf("\n        %s %s", word(refused, "dsn"), word(refused, "why"));
	putchar('\n');
}

/* Every address of every host of the plan: what one of them proves says nothing of the others. */
static void
probe_all(struct routing *r)
{
	r->good = r->refused = false;
	for (size_t i = 0; i < r->plan.count; i++) {
		json_t *host = json_array_get(json_object_get(r->json, "hosts"), i), *list = json_array();

		json_object_set_new(host, "sessions", list);
		for (size_t k = 0; r->plan.hosts[i].go && k < r->plan.hosts[i].address_count; k++) {
			r->good = probe(r, i, k, list) || r->good;
			if (!r->request->json)
				print_probe(&r->plan.hosts[i], json_array_get(list, k));
		}
	}
}

/* --- one destination -------------------------------------------------------------------------- */

static bool
open_tools(struct routing *r, struct error *why)
{
	struct answers *a = r->answers;
	struct slice name, roots = NONE;
	struct policies_options o = { .loop = &a->loop, .resolver = a->dns.resolver, .log = &r->log,
	    .ask = ask_entry, .keep = keep_nothing, .arg = r };

	a->reader.read(a->reader.arg, a->conf->roots, FILE_ROOTS, 0, &name, &roots, why);
	if ((r->tls = tls_client_new(roots, why)) == NULL)
		return false;
	r->fetcher = o.fetcher = fetcher_new(&a->loop, r->tls);
	r->policies = policies_new(&o);
	aim_begin(&r->aim, a->conf, r->arena);
	return true;
}

static void
close_tools(struct routing *r)
{
	policies_forget(r->wait);
	policies_free(r->policies);
	fetcher_free(r->fetcher);
	SSL_CTX_free(r->tls);
	later_cancel(&r->answers->loop, &r->again);
	later_cancel(&r->answers->loop, &r->give);
}

/* 0: mail would go; EX_BAD: it would not; EX_TEMPFAIL: who knows. */
static int
code_of(const struct routing *r)
{
	if (r->good)
		return 0;
	if (r->plan.status.class != 0)
		return status_transient(r->plan.status) ? EX_TEMPFAIL : EX_BAD;
	return r->refused ? EX_BAD : EX_TEMPFAIL;
}

static int
look_at_domain(struct answers *a, const struct request *request, struct slice domain, json_t **told,
    struct arena *arena)
{
	struct routing r = { .answers = a, .request = request, .arena = arena,
	    .log = { &a->clock, LOG_ERROR, false, log_to_stderr, NULL, NULL } };
	struct error why = { 0 };
	int code;

	if (!open_tools(&r, &why)) {
		complaint("chainmail route: %s", why.text);
		return EX_UNAVAILABLE;
	}
	make_plan(&r, domain);
	describe(&r, domain);
	if (!request->json)
		print_plan(&r, domain);
	if (request->connect)
		probe_all(&r);
	code = code_of(&r);
	*told = r.json;
	close_tools(&r);
	return code;
}

/* --- the address ------------------------------------------------------------------------------ */

static const char *
kind_word(enum route_kind kind)
{
	static const char *const words[] = {
		[ROUTE_REMOTE] = "smtp", [ROUTE_NO_USER] = "no such user", [ROUTE_MAILDIR] = "maildir",
		[ROUTE_LMTP] = "lmtp", [ROUTE_SMTP] = "list manager by smtp", [ROUTE_DISCARD] = "discard",
		[ROUTE_ALIAS] = "alias", [ROUTE_LIST] = "list",
	};

	return words[kind];
}

static int
look_at_end(struct answers *a, const struct request *request, const struct reached *end,
    json_t *list, struct arena *arena)
{
	const struct address *to = &end->path->address;
	json_t *j = json_pack("{s:o, s:s}", "address", shown_json(to->text), "kind",
	    kind_word(end->route.kind)), *told = NULL;
	json_t *onward = request->from.text.n > 0 ? onward_ask(a, &request->from, end) : NULL;
	int code = 0;

	if (!request->json && end->route.kind != ROUTE_REMOTE)
		printf("%.*s  %s %.*s\n", FMT(to->text), kind_word(end->route.kind), FMT(end->route.maildir));
	if (onward != NULL) {
		json_object_set_new(j, "onward", onward);
		if (!request->json)
			onward_print(onward);
	}
	if (end->route.kind == ROUTE_REMOTE)
		code = look_at_domain(a, request, to->domain, &told, arena);
	else if (end->route.kind == ROUTE_NO_USER)
		code = EX_BAD;
	if (end->route.maildir.n > 0)
		json_object_set_new(j, "maildir", shown_json(end->route.maildir));
	if (told != NULL)
		json_object_set_new(j, "route", told);
	json_array_append_new(list, j);
	return code;
}

static bool
read_address(struct slice text, struct arena *arena, struct address *address)
{
	if (address_parse(text, arena, address))
		return true;
	complaint("chainmail route: \"%.*s\" is no address", FMT(text));
	return false;
}

/* NULL after a message: with a table that cannot be read an answer would be a guess. */
static struct routes *
read_tables(struct answers *a)
{
	struct buf text = BUF(TEXT);
	struct routes *routes;
	struct flaws flaws;

	flaws_begin(&flaws);
	routes = routes_new(a->conf, &a->reader, &flaws);
	if (flaws.errors > 0) {
		flaws_sort(&flaws);
		flaws_add_text(&text, &flaws);
		fwrite(text.p, 1, text.n, stderr);
		routes_free(routes);
		routes = NULL;
	}
	buf_free(&text);
	flaws_end(&flaws);
	return routes;
}

/* Everywhere it leads to, the worst of their codes. */
static int
look_at_ends(struct answers *a, const struct request *request, const struct expansion *all,
    struct slice text, struct arena *arena)
{
	json_t *list = json_array();
	int code = 0;

	for (const struct reached *end = all->first; code != EX_TEMPFAIL && end != NULL; end = end->next) {
		int one = look_at_end(a, request, end, list, arena);

		code = one > code ? one : code;
	}
	if (request->json)
		shown_print(json_pack("{s:o, s:o}", "address", shown_json(text), "ends", list));
	else
		json_decref(list);
	return code;
}

static int
look_at_address(struct answers *a, struct request *request, struct slice text, struct arena *arena)
{
	struct expansion all = { .first = NULL };
	struct address address;
	struct routes *routes;
	int code;
	bool whole;

	if (!read_address(text, arena, &address) || (request->from_text != NULL &&
	    !read_address(slice(request->from_text), arena, &request->from)))
		return EX_USAGE;
	if ((routes = read_tables(a)) == NULL)
		return EX_CONFIG;
	whole = route_expand(routes, &address, arena, &all);
	if (!whole)
		all.first = NULL;
	code = look_at_ends(a, request, &all, text, arena);
	routes_free(routes);
	return whole ? code : EX_TEMPFAIL;
}

int
cmd_route(int argc, char **argv)
{
	struct request r = { .connect = false };
	const struct option_row rows[] = {
		ANSWERS_ROWS(&r.answers),
		{ "--from", OPTION_TEXT, &r.from_text, "ADDRESS",
		  "say what the next hop finds of its mail: SPF, DKIM, DMARC, ARC" },
		{ "--connect", OPTION_FLAG, &r.connect, NULL,
		  "connect to the hosts and see what they prove; send nothing" },
		{ "--requiretls", OPTION_FLAG, &r.requiretls, NULL,
		  "as for a message with REQUIRETLS (RFC 8689)" },
		{ "--tls-optional", OPTION_FLAG, &r.tls_optional, NULL, "as for one with TLS-Required: No" },
		{ "--json", OPTION_FLAG, &r.json, NULL, "print one JSON object" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words words = { .n = 0 };
	struct arena *arena;
	struct answers answers;
	int code;

	if (!options_read(argc, argv, "route ADDRESS [OPTION]...", rows, &words, 1))
		return EX_USAGE;
	if (words.n != 1) {
		fputs("chainmail route: which address?\n", stderr);
		return EX_USAGE;
	}
	arena = arena_new(MEMORY);
	if ((code = answers_begin(&answers, "route", &r.answers, arena)) == 0)
		code = look_at_address(&answers, &r, slice(words.word[0]), arena);
	answers_end(&answers);
	arena_free(arena);
	return code;
}
