/* SPDX-License-Identifier: ISC */
/*
 * accept -- from the final dot to the reply:
 *
 *     EVALUATE   SPF, DKIM, ARC, DMARC, iprev, all at once over facts
 *     DECIDE     take it, refuse it, or ask for it again
 *     STORE      the queue writes it down; 250 comes after its word
 *     REPLY
 *
 * The bytes are kept and their hashes made already (intake); only questions, one
 * decision and one durable write remain.
 */
#include <stdlib.h>

#include "arc/forecast.h"
#include "auth/received_spf.h"
#include "base/bug.h"
#include "base/text.h"
#include "conf/events.h"
#include "mail/date.h"
#include "mail/ticket.h"
#include "smtpd/inside.h"
#include "smtpd/trace.h"

enum { EVALUATE_MS = 30 * SECOND, TRACE_MOST = 64 << 10, VERDICT_MOST = 64 << 10, RECIPIENTS_SAID = 600 };

struct step;

struct accept {
	struct smtpd              *smtpd;
	const struct step         *step;
	struct accept_client       client;
	const struct session      *session;
	struct intake             *intake;
	struct inquiry             dns;
	struct verdict_question    question;
	bool                       judged;      /* a stranger's message: policy applies */
	bool                       passes_on;   /* an alias or a list sends it on */
	struct forecast_spf        onward;      /* SPF of its sender when it is sent on */
	bool                       onward_begun, onward_known;
	enum ticket_result         ticketed;
	struct ticket              ticket;      /* when valid */
	uint64_t                   id;
	int64_t                    now, begun;  /* ms; microseconds, for the log */
	struct slice               message_id;  /* that it gets from us; else empty */
	struct status              status;
	struct buf                 trace, results, packed;
	struct recipient          *recipients;  /* of the envelope */
	struct storing            *storing;
	struct later               go;
	void                     (*done)(void *arg, struct status);
	void                      *arg;
};

enum flow { FLOW_ON, FLOW_WAIT, FLOW_DONE };

struct step {
	const char *name;
	enum flow (*run)(struct accept *);
};

static enum flow evaluate(struct accept *), decide(struct accept *), store(struct accept *),
    reply(struct accept *);

static const struct step EVALUATE = { "evaluate", evaluate }, DECIDE = { "decide", decide },
    STORE = { "store", store }, REPLY = { "reply", reply };

static enum flow
then(struct accept *a, const struct step *next)
{
	a->step = next;
	return FLOW_ON;
}

static void
run(void *arg)
{
	struct accept *a = arg;

	while (a->step->run(a) == FLOW_ON)
		continue;
}

static void
free_accept(struct accept *a)
{
	later_cancel(a->smtpd->loop, &a->go);
	inquiry_end(&a->dns);
	storage_forget(a->storing);
	buf_free(&a->trace);
	buf_free(&a->results);
	buf_free(&a->packed);
	free(a->recipients);
	free(a);
}

void
accept_forget(struct accept *a)
{
	if (a != NULL)
		free_accept(a);
}

static enum flow
refuse(struct accept *a, struct status status)
{
	a->status = status;
	return then(a, &REPLY);
}

/* --- EVALUATE ------------------------------------------------------------------------- */

/* RFC 5321 6.3 */
static bool
runs_in_a_circle(const struct accept *a)
{
	return header_count(&a->intake->header, "Received") > a->smtpd->options.conf->limits.received;
}

static bool
is_ours(const struct accept *a, struct slice domain)
{
	return map_get(&a->smtpd->options.conf->domains, domain) != NULL;
}

/* Sent on, would its sender fail SPF?  Asked beside everything else. */
static bool
look_onward(struct accept *a)
{
	const struct address *sender = &a->session->mail.sender;

	if (!a->passes_on || !a->smtpd->options.conf->delivery.srs || sender->domain.n == 0 ||
	    is_ours(a, sender->domain))
		return true;
	/* Only when something came that it waits for, as the parts of a verdict. */
	if (!a->onward_known && (facts_turn(&a->dns.facts, 0, FACTS_MOST) || !a->onward_begun)) {
		a->onward_begun = true;
		a->onward_known = forecast_spf(&a->onward, a->smtpd->options.conf->hostname, sender, a->now,
		    &a->dns.facts);
	}
	return a->onward_known;
}

static enum flow
evaluate(struct accept *a)
{
	bool judged, onward;
	struct intake *in = a->intake;
	struct status flaw = session_text_flaw(a->session);

	if (flaw.class == 0)
		flaw = in->flaw;
	if (flaw.class != 0)
		return refuse(a, flaw);
	if (runs_in_a_circle(a))
		return refuse(a, STATUS(554, 5, 4, 6,
		    "too many Received fields: the message runs in a circle"));
	onward = look_onward(a);
	judged = verdict_evaluate(in->verdict, &a->question, &in->bodies, a->smtpd->keys, &a->dns.facts);
	if (!judged || !onward) {
		inquiry_ask(&a->dns, run, a);
		return FLOW_WAIT;
	}
	inquiry_end(&a->dns);
	return then(a, &DECIDE);
}

/* --- DECIDE ------------------------------------------------------------------------------ */

/*
 * Mail of our own clients is not judged, but what names no single author cannot be
 * signed for him: who sent it is told, instead of all who do not take it unsigned.
 */
static bool
is_refused(const struct accept *a)
{
	const struct verdict *v = a->intake->verdict;

	if (!a->judged)
		return v->decision.action == POLICY_REJECT && v->from.domain.n == 0;
	return v->decision.action == POLICY_REJECT || v->decision.action == POLICY_DEFER;
}

static enum flow
decide(struct accept *a)
{
	struct verdict *v = a->intake->verdict;
	struct slice sender = a->session->mail.sender.text;
	struct verdict_terms terms = { .policy = &a->smtpd->policy, .trust = a->smtpd->options.trust,
	    .will_be_sealed = a->passes_on && a->smtpd->options.conf->arc.seal != 0,
	    .deferred_before = asked_before(a->smtpd->asked, sender, &a->intake->header) };

	verdict_decide(v, &a->question, &terms);
	if (a->judged && v->decision.action == POLICY_DEFER)
		asked_again(a->smtpd->asked, sender, &a->intake->header);
	if (is_refused(a))
		return refuse(a, v->decision.status);
	return then(a, &STORE);
}

/* --- STORE --------------------------------------------------------------------------------- */

/* RFC 7208 9.1: above the Received field of this receiver. */
static void
write_received_spf(struct accept *a)
{
	const struct spf *spf = &a->intake->verdict->mail;
	bool error = spf->result == SPF_TEMPERROR || spf->result == SPF_PERMERROR;
	struct received_spf r = {
		.result = spf_result_name(spf->result), .client = a->client.ip,
		.envelope_from = a->session->mail.sender.text, .helo = a->session->helo,
		.identity = spf_identity_name(spf->identity), .receiver = a->question.hostname,
		.mechanism = spf->term.text, .problem = error ? spf->why : NONE,
	};

	buf_add(&a->trace, S("Received-SPF: "));
	received_spf_write(&r, a->session->mail.smtputf8, &a->trace);
	buf_add(&a->trace, S("\r\n"));
}

/*
 * From a client of ours, and signed for the door's domain or the author's.  A list
 * manager's posts are his, and what is not signed can be completed by whoever comes next.
 */
static bool
is_submitted(const struct accept *a)
{
	const struct listen_conf *door = a->client.listener;
	struct slice author = a->intake->verdict->from.domain;

	return a->client.relay && !door->seal_arc && (door->sign_dkim.n > 0 ||
	    (author.n > 0 && conf_signs(a->smtpd->options.conf, author)));
}

/*
 * RFC 6409 8.2, 8.3: printers and scripts leave out both.  The signature says of each
 * that there is no other one, so nobody may add it later.
 */
static void
complete(struct accept *a)
{
	const struct header *h = &a->intake->header;
	char date[DATE_TEXT + 1], id[ID_TEXT + 1];

	date_text(a->now, date);
	if (header_find(h, "Date") == NULL)
		buf_printf(&a->trace, "Date: %s\r\n", date);
	if (header_find(h, "Message-ID") != NULL)
		return;
	id_text(a->id, id);
	a->message_id = arena_printf(a->intake->arena, "<%s@%.*s>", id,
	    FMT(a->smtpd->options.conf->hostname));
	buf_printf(&a->trace, "Message-ID: %.*s\r\n", FMT(a->message_id));
}

/* What we put in front: what we found out, and that it came through here. */
static void
write_trace(struct accept *a)
{
	const struct session *s = a->session;
	const struct verdict *v = a->intake->verdict;
	struct slice hostname = a->smtpd->options.conf->hostname;
	struct authres results;
	struct trace t = {
		.helo = s->helo, .name = v->iprev.result == IPREV_PASS ? v->iprev.name : NONE,
		.client = a->client.ip, .by = hostname, .with = session_protocol(s),
		.tls = a->client.tls, .cipher = a->client.cipher, .id = a->id, .now = a->now,
	};

	if (s->mail.count == 1)
		t.recipient = s->mail.recipients->address.text;
	verdict_results(v, &a->question, hostname, &results);
	authres_write(&results, s->mail.smtputf8, &a->results);
	if (a->judged) {
		buf_add(&a->trace, S("Authentication-Results: "));
		buf_add(&a->trace, buf_slice(&a->results));
		buf_add(&a->trace, S("\r\n"));
	}
	if (a->judged && v->spf_asked && a->smtpd->options.conf->policy.received_spf)
		write_received_spf(a);
	trace_add(&a->trace, &t);
	if (is_submitted(a))
		complete(a);
}

static struct span
span_of(const struct header *h, const struct field *f)
{
	return (struct span){ (uint64_t)(f->whole.p - h->block.p), f->whole.n };
}

/*
 * RFC 8601 5: fields that claim to be ours are not passed on; nor is a ticket,
 * forged or true: it has been read.
 */
static bool
leave_out(struct accept *a, struct envelope *e)
{
	const struct header *h = &a->intake->header;
	struct authres_forged forged;
	size_t next = 0;

	if (!authres_forged(h, &a->smtpd->options.conf->hostname, 1, a->intake->arena, &forged))
		return false;
	e->omit = arena_get(a->intake->arena, (h->count + 1) * sizeof *e->omit);
	if (e->omit == NULL)
		return false;
	for (size_t i = 0; i < h->count; i++) {
		const struct field *f = &h->fields[i];
		bool is_forged = next < forged.count && forged.fields[next] == f;

		next += is_forged;
		if (is_forged || ticket_field(f))
			e->omit[e->omitted++] = span_of(h, f);
	}
	return true;
}

/* Those of the transaction; RECIPIENTS_MOST. */
static void
name_recipients(struct accept *a, struct envelope *e)
{
	struct recipient *to = must_alloc(a->session->mail.count * sizeof *to);

	e->recipients = a->recipients = to;
	for (const struct session_recipient *r = a->session->mail.recipients; r != NULL; r = r->next)
		to[e->count++] = (struct recipient){ .address = r->address.text, .orcpt = r->orcpt,
		    .notify = r->notify, .parent = NO_RECIPIENT };
}

/* RFC 8689 3: exactly one such field, and not with REQUIRETLS. */
static bool
tls_optional(const struct accept *a)
{
	const struct header *h = &a->intake->header;
	const struct field *f = header_find(h, "TLS-Required");

	return f != NULL && header_count(h, "TLS-Required") == 1 &&
	    slice_eqi(slice_trim(f->value), S("No")) && !a->session->mail.requiretls;
}

/* Mail for many, by its own word; what says nothing has the place of people's mail. */
static bool
is_bulk(const struct accept *a)
{
	const struct header *h = &a->intake->header;
	const struct field *f = header_find(h, "Precedence");
	struct slice word = f != NULL ? slice_trim(f->value) : NONE;

	return slice_eqi(word, S("bulk")) || slice_eqi(word, S("list")) || slice_eqi(word, S("junk")) ||
	    header_find(h, "List-Id") != NULL;
}

/* From names an address of the list manager: a list of his, or one that belongs to it. */
static bool
is_from_manager(const struct accept *a)
{
	struct address author;

	return address_parse(a->intake->verdict->from.address, a->intake->arena, &author) &&
	    route_local(a->smtpd->options.routes, &author, a->intake->arena).manager;
}

/*
 * At the door of a list manager the ticket tells of the author who wrote.  For another
 * one, and in what has no ticket, the manager speaks himself: for his own addresses only.
 */
static bool
is_proved_by_manager(const struct accept *a)
{
	const struct from *from = &a->intake->verdict->from;
	const struct ticket *t = &a->ticket;

	if (a->ticketed == TICKET_NONE)
		return is_from_manager(a);
	if (a->ticketed != TICKET_VALID || from->domain.n == 0)
		return false;
	return slice_eqi(t->proved, from->domain) ||
	    (t->from.n > 0 && !slice_eqi(t->from, from->address) && is_from_manager(a));
}

/*
 * A Sieve script may hand us what a stranger sent, as if its owner had written it; then
 * our results of the first time are still there.  Their claim to be ours costs nobody
 * else anything, so no proof is asked for it.
 */
static bool
was_unproved(const struct accept *a)
{
	const struct header *h = &a->intake->header;
	struct authres saw;

	for (size_t i = 0; i < h->count; i++)
		if (field_is(&h->fields[i], "Authentication-Results") &&
		    authres_parse(h->fields[i].value, a->intake->arena, &saw) &&
		    slice_eqi(saw.authserv_id, a->question.hostname) &&
		    verdict_was_unproved(&saw, a->intake->verdict->from.domain))
			return true;
	return false;
}

/* What our own clients send is theirs, but not all of it is by them. */
static bool
is_proved_by_client(const struct accept *a)
{
	if (a->intake->verdict->from.domain.n == 0)
		return false;
	return a->client.listener->seal_arc ? is_proved_by_manager(a) : !was_unproved(a);
}

static void
take_ticket(struct accept *a, struct verdict_record *r)
{
	if (a->ticket.results.n > 0)
		r->results = a->ticket.results;
	r->arc = slice_eq(a->ticket.arc, S("pass")) ? ARC_PASS
	    : slice_eq(a->ticket.arc, S("fail")) ? ARC_FAIL : ARC_NONE;
}

/*
 * What a seal of ours will say: what we see now, or, when a list manager hands a
 * post back, what was seen when it arrived (mail/ticket.h).
 */
static void
pack_verdict(struct accept *a)
{
	struct verdict_record r = verdict_record(a->intake->verdict, buf_slice(&a->results));

	if (!a->judged)
		r.proved = is_proved_by_client(a);
	if (a->ticketed == TICKET_VALID)
		take_ticket(a, &r);
	verdict_pack(&r, &a->packed);
}

static bool
fill_envelope(struct accept *a, struct envelope *e)
{
	const struct transaction *m = &a->session->mail;
	const struct intake *in = a->intake;
	const struct body_hash *hash = bodies_get(&in->bodies, CANON_RELAXED, BODY_WHOLE);

	pack_verdict(a);
	*e = (struct envelope){
		.id = a->id, .arrival = a->now, .sender = m->sender.text,
		.listener = a->client.listener->name, .client = a->client.ip, .helo = a->session->helo,
		.relayed = a->client.relay, .smtputf8 = m->smtputf8, .eight_bit = in->eight_bit,
		.requiretls = m->requiretls, .tls_optional = tls_optional(a), .ret = m->ret,
		.envid = m->envid, .trace = buf_slice(&a->trace), .header_size = in->header.block.n,
		.size = in->size, .summed = in->file_number != 0, .content_sum = in->sum,
		.verdict = buf_slice(&a->packed), .hashed = hash != NULL, .bulk = is_bulk(a),
		.srs = forecast_spf_hurts(a->onward.worst),
	};
	if (hash != NULL)
		memcpy(e->body_hash, hash->digest, sizeof e->body_hash);
	name_recipients(a, e);
	return leave_out(a, e);
}

static void
stored(void *arg, struct status status)
{
	struct accept *a = arg;
	char id[ID_TEXT + 1];

	a->storing = NULL;
	id_text(a->id, id);
	a->status = status;
	a->status.text = status_good(status)
	    ? arena_printf(a->intake->arena, "Ok: queued as %s", id)
	    : arena_copy(a->intake->arena, status.text);
	a->step = &REPLY;
	run(a);
}

static enum flow
store(struct accept *a)
{
	struct envelope e;

	write_trace(a);
	if (!fill_envelope(a, &e) || a->trace.full || a->packed.full)
		return refuse(a, STATUS(452, 4, 3, 1, "the message is too much for this machine now"));
	a->storing = storage_store(a->smtpd->storage, &e, a->intake->file_number,
	    buf_slice(&a->intake->content), stored, a);
	a->intake->file_number = 0;             /* the queue has it now */
	return FLOW_WAIT;
}

/* --- REPLY ----------------------------------------------------------------------------------- */

static void
log_dkim(struct log_line *l, const struct verdict *v)
{
	struct buf text = BUF(4000);

	for (size_t i = 0; i < v->dkim.count; i++) {
		const struct signature *s = &v->dkim.signatures[i];

		buf_printf(&text, "%s%s:%.*s", i ? "," : "", dkim_result_name(dkim_result(s)),
		    FMT(s->domain));
	}
	if (v->dkim.left_out > 0)
		buf_printf(&text, ",left-out:%zu", v->dkim.left_out);
	log_slice(l, "dkim", text.n > 0 ? buf_slice(&text) : S("none"));
	buf_free(&text);
}

static void
log_verdict(struct log_line *l, const struct accept *a)
{
	const struct verdict *v = a->intake->verdict;

	if (v->spf_asked)
		log_text(l, "spf", spf_result_name(v->mail.result));
	log_dkim(l, v);
	log_text(l, "dmarc", dmarc_result_name(v->dmarc.result));
	log_text(l, "arc", arc_result_name(v->arc.result));
	if (v->trust_matters)
		log_slice(l, "untrusted", v->would_vouch);
}

/* "<ann@x.test>,<ben@x.test>", as many as a line should hold. */
static void
log_recipients(struct log_line *l, const struct session *s)
{
	struct buf to = BUF(RECIPIENTS_SAID);

	for (const struct session_recipient *r = s->mail.recipients; r != NULL; r = r->next) {
		if (to.n + r->address.text.n + 3 > to.ceiling)
			break;
		buf_printf(&to, "%s<%.*s>", to.n > 0 ? "," : "", FMT(r->address.text));
	}
	log_slice(l, "to", buf_slice(&to));
	buf_free(&to);
}

/* Who brought it, from whom, for whom. */
static void
log_transaction(struct log_line *l, const struct accept *a)
{
	const struct session *s = a->session;
	char ip[IP_TEXT];

	ip_text(a->client.ip, ip);
	log_slice(l, "listener", a->client.listener->name);
	log_text(l, "client", ip);
	log_slice(l, "helo", s->helo);
	log_path(l, "from", s->mail.sender.text);
	log_recipients(l, s);
	log_number(l, "rcpts", s->mail.count);
	log_number(l, "size", (int64_t)a->intake->size);
	if (a->client.tls != NULL)
		log_text(l, "tls", a->client.tls);
}

/* It came to a verdict, and the verdict was asked for. */
static bool
is_judged(const struct accept *a)
{
	const struct intake *in = a->intake;

	return in->verdict != NULL && a->judged && a->step == &REPLY && a->question.hostname.n > 0 &&
	    in->flaw.class == 0 && in->verdict->dmarc.concluded;
}

static void
log_refusal(struct log_line *l, const struct status *s)
{
	struct buf dsn = BUF(100);

	buf_printf(&dsn, "%u.%u.%u", s->class, s->subject, s->detail);
	log_number(l, "reply", s->reply);
	log_slice(l, "dsn", buf_slice(&dsn));
	log_slice(l, "why", s->text);
	buf_free(&dsn);
}

static struct slice
message_id_of(const struct accept *a)
{
	const struct field *f = header_find(&a->intake->header, "Message-ID");

	return f != NULL ? slice_trim(f->value) : a->message_id;
}

static void
log_end_of_data(const struct accept *a)
{
	bool good = status_good(a->status);
	struct slice message_id = message_id_of(a);
	struct log_line l = log_event(a->smtpd->options.log, good ? &EVENT_RECEIVED : &EVENT_REJECTED,
	    a->id);

	log_transaction(&l, a);
	if (is_judged(a))
		log_verdict(&l, a);
	if (good && a->intake->verdict->voucher.n > 0)
		log_slice(&l, "override", a->intake->verdict->voucher);
	if (a->ticketed != TICKET_NONE)
		log_text(&l, "ticket", ticket_result_name(a->ticketed));
	if (!good)
		log_refusal(&l, &a->status);
	if (message_id.n > 0)
		log_slice(&l, "message-id", message_id);
	log_end(&l);
}

/* The same that the log says, for `chainmail trust`. */
static void
count_trust(const struct accept *a)
{
	const struct verdict *v = a->intake->verdict;

	if (!is_judged(a))
		return;
	if (v->trust_matters)
		storage_vouched(a->smtpd->storage, VOUCHED_UNTRUSTED, v->would_vouch);
	if (status_good(a->status) && v->voucher.n > 0)
		storage_vouched(a->smtpd->storage, VOUCHED_BELIEVED, v->voucher);
}

static enum flow
reply(struct accept *a)
{
	void (*done)(void *, struct status) = a->done;
	void *arg = a->arg;
	struct status status = a->status;

	log_end_of_data(a);
	count_trust(a);
	free_accept(a);
	done(arg, status);
	return FLOW_DONE;
}

/* --- beginning --------------------------------------------------------------------------------- */

static bool
passes_on(const struct accept *a)
{
	for (const struct session_recipient *r = a->session->mail.recipients; r != NULL; r = r->next) {
		struct route route = route_local(a->smtpd->options.routes, &r->address, a->intake->arena);

		if (route.kind == ROUTE_ALIAS || route.kind == ROUTE_LIST)
			return true;
	}
	return false;
}

/* Only the door of a list manager, and only he, may bring one. */
static void
read_ticket(struct accept *a)
{
	a->ticketed = TICKET_NONE;
	if (a->client.listener->seal_arc && a->client.relay && a->intake->flaw.class == 0)
		a->ticketed = ticket_read(&a->intake->header, a->smtpd->secrets.tickets, a->now,
		    a->intake->arena, &a->ticket);
}

struct accept *
accept_begin(struct smtpd *smtpd, const struct accept_client *client, const struct session *session,
    struct intake *intake, void (*done)(void *, struct status), void *arg)
{
	struct accept *a = must_alloc(sizeof *a);

	*a = (struct accept){ .smtpd = smtpd, .step = &EVALUATE, .client = *client, .session = session,
	    .intake = intake, .id = ids_next(&smtpd->ids), .now = clock_now(smtpd->loop->clock),
	    .trace = BUF(TRACE_MOST), .results = BUF(TRACE_MOST), .packed = BUF(VERDICT_MOST),
	    .done = done, .arg = arg };
	/* Who may relay is one of ours: his mail is signed, not judged. */
	a->judged = !client->relay;
	a->question = (struct verdict_question){ .client = a->judged ? client->ip : (struct ip){ .n = 0 },
	    .helo = session->helo, .sender = session->mail.sender,
	    .hostname = smtpd->options.conf->hostname, .now = a->now };
	a->passes_on = passes_on(a);
	read_ticket(a);
	inquiry_begin(&a->dns, smtpd->options.resolver, intake->arena);
	inquiry_limit(&a->dns, EVALUATE_MS);
	loop_later(smtpd->loop, &a->go, run, a);
	return a;
}
