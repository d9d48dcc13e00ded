/* SPDX-License-Identifier: ISC */
/*
 * The way of an order to a mail host:
 *
 *     LOOK     hosts, their DNSSEC state, the MTA-STS policy: a plan (delivery/secure)
 *     CHOOSE   the next host and address of the plan, until none is left or it takes too long
 *     TALK     a connection: greeting, TLS, the judge, the message
 *     TELL     the queue, what became of each recipient
 *
 * LMTP and a fixed next hop are plans of one host.  A Maildir is a job.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "conf/events.h"
#include "conf/route.h"
#include "delivery/attempt.h"
#include "delivery/maildir.h"
#include "mail/domain.h"
#include "net/link.h"

enum {
	ATTEMPT_MEMORY = 24 << 20,      /* an order with 100,000 recipients */
	DNS_MS = 30 * SECOND,
	STORY_MOST = 16 << 10,
	SILENT_MS = 5 * MINUTE,         /* a host that did not answer is left alone, at most */
};

struct step;

struct attempt {
	struct attempt         *next, **back;
	struct delivery        *delivery;
	const struct step      *step;
	struct arena           *arena;
	struct order            order;
	int                     fd;

	struct inquiry          dns;
	struct policy_wait     *wait;
	bool                    policy_known;
	bool                    refused;        /* a host by the policy of the domain … */
	struct slice            old_policy;     /* … which was this one */
	bool                    rechecked;      /* a policy refused it, and no newer one was there */
	struct policy_answer    policy;         /* copied here */
	struct secure_question  question;
	struct plan             plan;

	size_t                  host, address;  /* of the plan, being tried: a place */
	size_t                  places, left;   /* all, and those that are not behind us */
	size_t                  first;          /* where we began */
	uint64_t                seed;           /* of the order of equal hosts */
	bool                    cut;            /* no more is tried, though some are left */
	struct search           search;
	struct timer            enough;         /* the time of an attempt */
	bool                    in_clear;
	bool                    reused, fresh;  /* the connection was idle; no idle one again */
	bool                    begun;          /* the host took us in: a transaction is under way */
	struct connection      *connection;
	struct status          *status;         /* of each recipient of the order; class 0: undecided */
	struct client_mail      mail;           /* those who are undecided, … */
	uint32_t               *sent_to;        /* … and which they are in the order */
	struct letter           letter;
	struct status           worst;          /* of hosts that did not take it; class 0: none yet */
	struct order_result     result;
	struct buf              story;
	struct log              log;            /* which is read along for the story */
	struct log_reader       reader;
	struct later            go;

	char                  **maildir_name;   /* ORDER_MAILDIR */
	struct error           *why;
};

/* --- steps ------------------------------------------------------------------------ */

enum flow { FLOW_ON, FLOW_WAIT, FLOW_DONE };

struct step {
	const char *name;
	enum flow (*run)(struct attempt *);
};

static enum flow look(struct attempt *), choose(struct attempt *), talk(struct attempt *),
    store(struct attempt *), tell(struct attempt *);

static const struct step LOOK = { "look", look }, CHOOSE = { "choose", choose },
    TALK = { "talk", talk }, STORE = { "store", store }, TELL = { "tell", tell };

static enum flow
then(struct attempt *a, const struct step *next)
{
	a->step = next;
	return FLOW_ON;
}

static void
run(void *arg)
{
	struct attempt *a = arg;

	while (a->step->run(a) == FLOW_ON)
		continue;
}

static void
free_attempt(struct attempt *a)
{
	struct delivery *d = a->delivery;

	if ((*a->back = a->next) != NULL)
		a->next->back = a->back;
	later_cancel(d->loop, &a->go);
	timer_clear(d->loop, &a->enough);
	inquiry_end(&a->dns);
	policies_forget(a->wait);
	connection_end(a->connection);
	buf_free(&a->story);
	if (a->fd != -1)
		close(a->fd);
	arena_free(a->arena);
	free(a);
}

/* --- what the log says of it goes to the queue too, for `why` -------------------------------- */

static bool
wants_all(void *arg, const struct event_kind *kind, uint64_t id)
{
	(void)arg, (void)kind, (void)id;
	return true;
}

static void
add_to_story(void *arg, struct slice line)
{
	struct attempt *a = arg;

	if (a->story.n + line.n <= STORY_MOST)
		buf_add(&a->story, line);
}

/* A line for both; false: there is no log. */
static bool
story_line(struct attempt *a, const struct event_kind *kind, struct log_line *l)
{
	if (a->delivery->options.log == NULL)
		return false;
	a->log = *a->delivery->options.log;
	a->reader = (struct log_reader){ wants_all, add_to_story, a };
	a->log.reader = &a->reader;
	*l = log_event(&a->log, kind, a->order.id);
	return true;
}

/* --- LOOK ---------------------------------------------------------------------------- */

/* The DNS and the policy wake us, each for itself: who comes second finds us gone on. */
static void
look_again(void *arg)
{
	struct attempt *a = arg;

	if (a->step == &LOOK)
		run(a);
}

static void
copy_policy(struct attempt *a, const struct policy_answer *from)
{
	a->policy = *from;
	a->policy.id = arena_copy(a->arena, from->id);
	a->policy.reason = arena_copy(a->arena, from->reason);
	if (from->applies)
		a->policy.applies = sts_policy_parse(&a->policy.policy, from->policy.text, a->arena, NULL);
	a->policy_known = true;
}

static void
policy_told(void *arg, const struct policy_answer *answer)
{
	struct attempt *a = arg;

	a->wait = NULL;
	copy_policy(a, answer);
	loop_later(a->delivery->loop, &a->go, look_again, a);
}

/* True when it is known whether a policy applies. */
static bool
policy_found(struct attempt *a)
{
	struct slice domain = secure_policy_domain(&a->question.where);

	if (a->policy_known || a->question.sts_off || domain.n == 0)
		return true;
	if (a->wait == NULL)
		a->wait = policies_ask(a->delivery->policies, domain, a->rechecked, policy_told, a);
	return false;
}

static bool
same_policy(const struct attempt *a)
{
	return a->policy.applies && slice_eq(a->policy.policy.text, a->old_policy);
}

/* --- the places of a plan: each address, or a host not to go to -------------------------- */

static size_t
places_of(const struct plan_host *h)
{
	return h->go && h->address_count > 0 ? h->address_count : 1;
}

/* The next place; behind the last one comes the first. */
static void
pass(struct attempt *a)
{
	if (++a->address < places_of(&a->plan.hosts[a->host]))
		return;
	a->address = 0;
	a->host = (a->host + 1) % a->plan.count;
}

/* From the first place, or from where an attempt to get there stopped. */
static void
begin_search(struct attempt *a)
{
	a->host = a->address = a->places = 0;
	for (size_t i = 0; i < a->plan.count; i++)
		a->places += places_of(&a->plan.hosts[i]);
	a->left = a->places;
	a->first = left_off_at(&a->delivery->left_off, a->question.where.domain, a->places);
	for (size_t i = 0; i < a->first; i++)
		pass(a);
	a->search.addresses = a->search.put_off = 0;
	a->cut = false;
	a->worst = (struct status){ 0 };
}

/* What was learnt of a place is its own: the next one has TLS again, and idle connections. */
static void
next_place(struct attempt *a)
{
	a->in_clear = a->fresh = false;
	a->left--;
	pass(a);
}

/*
 * What is left over is for the next attempt, and may take it: nobody is refused for good
 * by those who were asked.
 */
static void
leave_rest(struct attempt *a)
{
	struct log_line l;

	if (story_line(a, &EVENT_NOT_TRIED, &l)) {
		log_number(&l, "left", (int64_t)a->left);
		log_text(&l, "why", "this attempt has tried enough; the next one begins with them");
		log_end(&l);
	}
	if (status_permanent(a->worst))
		a->worst.class = 4, a->worst.reply = 0;
}

/* Where the next attempt to get there begins: with the first, unless this one was cut. */
static void
end_search(struct attempt *a)
{
	size_t at = a->cut ? (a->first + a->places - a->left) % a->places : 0;

	left_off_note(&a->delivery->left_off, a->question.where.domain, at, a->seed);
	if (a->cut)
		leave_rest(a);
}

static enum flow
look(struct attempt *a)
{
	bool policy = policy_found(a), planned;

	a->question.sts = a->policy.applies ? &a->policy.policy : NULL;
	planned = secure_plan(&a->plan, &a->question, &a->dns.facts, a->arena);
	if (policy && a->rechecked && same_policy(a))
		return then(a, &TELL);
	if (policy && planned) {
		/* Two were asked: who comes late must not wake the next step. */
		later_cancel(a->delivery->loop, &a->go);
		inquiry_end(&a->dns);
		begin_search(a);
		return then(a, &CHOOSE);
	}
	if (!planned)
		inquiry_ask(&a->dns, look_again, a);
	return FLOW_WAIT;
}

static void
ask_for_endpoint(struct attempt *a, const struct endpoint *e)
{
	a->step = aim_at_endpoint(e, a->arena, &a->question, &a->plan) ? &LOOK : &CHOOSE;
	begin_search(a);
}

static void
ask_for_domain(struct attempt *a)
{
	struct delivery *d = a->delivery;
	bool look;

	a->seed = left_off_seed(&d->left_off, a->order.domain, rng_next(&d->rng));
	look = aim_at_domain(&d->aim, a->order.domain, rng_seeded(a->seed), a->arena, &a->question,
	    &a->plan);
	a->question.message = a->order.requiretls ? MESSAGE_REQUIRETLS
	    : a->order.tls_optional ? MESSAGE_TLS_OPTIONAL : MESSAGE_ORDINARY;
	a->question.null_sender = a->order.sender.n == 0;
	a->step = look ? &LOOK : &CHOOSE;
	begin_search(a);
}

/* --- counted for the domain's report (RFC 8460) --------------------------------------------- */

/* Sessions with a hop that is named here, or in which a report itself goes, are nobody's business. */
static bool
is_counted(const struct attempt *a, const struct plan_host *h)
{
	return !a->order.uncounted && a->order.kind == ORDER_SMTP && !a->in_clear &&
	    (!a->question.where.fixed || h->label.type != TLSRPT_NO_POLICY_FOUND);
}

/* What was wrong before there was a session. */
static void
count_flaw(struct attempt *a, const struct plan_host *h)
{
	if (h->flaw != TLSRPT_SUCCESS && is_counted(a, h))
		delivery_count(a->delivery, &(struct tlsrpt_session){ .label = h->label, .result = h->flaw,
		    .mx = h->name });
}

static void
count_session(struct attempt *a, const struct plan_host *h, const struct secure_judgement *j)
{
	struct connection_facts f = connection_facts(a->connection);

	if (is_counted(a, h))
		delivery_count(a->delivery, &(struct tlsrpt_session){ .label = h->label,
		    .result = j->result, .reason = slice(j->reason), .mx = h->name, .helo = f.greeting,
		    .from = f.from, .to = f.peer.ip });
}

/* --- CHOOSE ---------------------------------------------------------------------------- */

static void
not_there(struct attempt *a, struct status why)
{
	const struct plan_host *h = &a->plan.hosts[a->host];

	a->refused = a->refused ||
	    (why.reply == 0 && why.subject == 7 && h->label.type == TLSRPT_STS);
	a->worst = a->worst.class == 0 ? why : secure_worse(a->worst, why);
}

/* Whose rule kept us away, when it is not known yet whom we talked to. */
static void
note_policy(struct attempt *a, const struct plan_host *h)
{
	if (a->result.policy.n == 0)
		a->result.policy = slice(plan_policy_name(h->policy));
}

/*
 * RFC 8461 5: before a policy that let nobody take the message has its way, it is
 * fetched anew, once.  Only a policy that has changed is worth another look.
 */
static bool
look_for_newer_policy(struct attempt *a)
{
	if (a->rechecked || !a->policy.applies || !a->refused)
		return false;
	a->rechecked = true;
	a->policy_known = false;
	a->old_policy = a->policy.policy.text;
	return true;
}

static enum flow
choose(struct attempt *a)
{
	bool goes_on = search_goes_on(&a->search, clock_ticks(a->delivery->loop->clock));

	for (; a->left > 0; next_place(a)) {
		const struct plan_host *h = &a->plan.hosts[a->host];

		if (!h->go) {
			note_policy(a, h);
			count_flaw(a, h);
			not_there(a, h->why_not);
		} else if (a->address < h->address_count) {
			if (goes_on)
				return then(a, &TALK);
			a->cut = true;
			break;
		}
	}
	if (look_for_newer_policy(a))
		return then(a, &LOOK);
	if (a->worst.class == 0)
		a->worst = a->plan.status.class != 0 ? a->plan.status
		    : STATUS(0, 4, 4, 1, "no host could be reached");
	return then(a, &TELL);
}

static void
next_address(struct attempt *a)
{
	next_place(a);
	a->step = &CHOOSE;
	loop_later(a->delivery->loop, &a->go, run, a);
}

/* --- TALK ------------------------------------------------------------------------------- */

/* Those who are still undecided, for the next host; false: nobody is. */
static bool
begin_mail(struct attempt *a)
{
	const struct order *o = &a->order;

	a->mail.count = 0;
	for (uint32_t i = 0; i < o->count; i++) {
		if (a->status[i].class != 0)
			continue;
		a->sent_to[a->mail.count] = i;
		a->mail.recipients[a->mail.count++] = (struct client_recipient){
			.address = o->recipients[i].address, .orcpt = o->recipients[i].orcpt,
			.notify = o->recipients[i].notify,
		};
	}
	return a->mail.count > 0;
}

/* What the host said of them; texts lie in the connection, and are copied. */
static void
end_mail(struct attempt *a)
{
	for (size_t i = 0; i < a->mail.count; i++) {
		struct status s = a->mail.recipients[i].status;

		s.text = arena_copy(a->arena, s.text);
		a->status[a->sent_to[i]] = s;
	}
	a->mail.count = 0;
}

static void
begin_letter(struct attempt *a)
{
	a->letter = (struct letter){ a->order.head, a->order.body, a->fd,
	    (off_t)a->order.file_at, a->order.file_size, a->order.file_sum };
}

/* Who it was, for the result: copied, since the connection goes on to others. */
static void
note_host(struct attempt *a)
{
	struct connection_facts f = connection_facts(a->connection);
	char peer[PEER_TEXT];

	peer_text(&f.peer, peer);
	a->result.host = arena_copy(a->arena, f.host);
	a->result.peer = arena_copy(a->arena, slice(peer));
	a->result.dsn_passed = f.dsn;
	a->result.tls = f.tls ? arena_copy(a->arena, slice(f.tls)) : NONE;
	a->result.policy = slice(plan_policy_name(f.policy));
	a->result.trust = slice(secure_trust_name(f.trust));
}

/* --- hosts that do not answer: others need not find it out again ---------------------- */

/* Shorter than the first wait: a message's own next try always is one. */
static void
did_not_answer(struct attempt *a)
{
	struct delivery *d = a->delivery;
	struct peer peer = aim_peer(&a->plan, a->host, a->address);
	int64_t now = clock_ticks(d->loop->clock), first = d->options.conf->delivery.retry[0];

	silence_note(&d->silence, &peer, now, now + (first < SILENT_MS ? first : SILENT_MS));
}

static void
answered(struct attempt *a)
{
	struct peer peer = aim_peer(&a->plan, a->host, a->address);

	silence_over(&a->delivery->silence, &peer);
}

/* True, and the story tells it, when this address is passed over. */
static bool
is_silent(struct attempt *a)
{
	const struct plan_host *h = &a->plan.hosts[a->host];
	struct peer peer = aim_peer(&a->plan, a->host, a->address);
	int64_t age = silence_age(&a->delivery->silence, &peer, clock_ticks(a->delivery->loop->clock));
	char text[PEER_TEXT];
	struct log_line l;
	struct status why;

	if (age < 0)
		return false;
	peer_text(&peer, text);
	why = status_make(0, 4, 4, 1, arena_printf(a->arena,
	    "nobody answered there %lld s ago: not tried again so soon", (long long)(age / 1000)));
	if (story_line(a, &EVENT_NOT_TRIED, &l)) {
		log_slice(&l, "mx", h->name);
		log_slice(&l, "why", why.text);
		log_end(&l);
	}
	a->result.host = h->name;
	a->result.peer = arena_copy(a->arena, slice(text));
	not_there(a, why);
	return true;
}

static void
on_ready(void *arg)
{
	struct attempt *a = arg;

	note_host(a);
	answered(a);
	a->begun = true;
	a->result.refused = false;
	bug_if(!begin_mail(a));
	/* The plan knows who is free of it: reports, and our own neighbours (RFC 8689 5). */
	a->mail.requiretls_needed = a->plan.hosts[a->host].requiretls;
	begin_letter(a);
	connection_send(a->connection, &a->mail, &a->letter);
}

static void
on_sent(void *arg)
{
	struct attempt *a = arg;
	struct connection *c = a->connection;

	end_mail(a);
	answered(a);
	a->connection = NULL;
	idle_put(a->delivery, c);
	a->step = &TELL;
	run(a);
}

/* Go on with a step, out of the connection's call. */
static void
go_on(struct attempt *a, const struct step *step)
{
	a->step = step;
	loop_later(a->delivery->loop, &a->go, run, a);
}

static void
on_over(void *arg, const struct connection_end *end)
{
	struct attempt *a = arg;
	struct status why = end->why;
	struct connection_facts f = connection_facts(a->connection);
	/* An idle connection that is gone when we come back says nothing about the host. */
	bool stale = a->reused && !end->text_sent && !end->silent && !end->unreadable && why.reply == 0;
	bool nobody = why.reply == 0 && why.subject == 4 && f.greeting.n == 0;

	why.text = arena_copy(a->arena, why.text);
	note_host(a);
	end_mail(a);
	a->connection = NULL;                   /* it ends itself */
	if ((stale || end->clear_retry) && timer_is_set(&a->enough)) {
		a->fresh = true;
		a->in_clear = end->clear_retry;
		go_on(a, &TALK);
		return;
	}
	a->result.refused = !a->begun && why.reply != 0;
	a->search.put_off += f.from.n > 0 && !status_permanent(why);
	if (nobody || end->silent)
		did_not_answer(a);
	not_there(a, why);
	a->result.unreadable = end->unreadable; /* nobody else gets it either */
	if (end->text_sent || end->unreadable) {        /* sent, it may have arrived: try later (A21.10) */
		a->worst = why;
		go_on(a, &TELL);
	} else if (begin_mail(a)) {
		next_address(a);
	} else {
		go_on(a, &TELL);
	}
}

static void
on_judged(void *arg, const struct secure_judgement *j)
{
	struct attempt *a = arg;
	struct connection_facts f = connection_facts(a->connection);
	struct log_line l;

	count_session(a, &a->plan.hosts[a->host], j);
	if (j->result == TLSRPT_SUCCESS || !story_line(a, &EVENT_TLS_FAILED, &l))
		return;
	log_slice(&l, "mx", a->plan.hosts[a->host].name);
	log_text(&l, "direction", "out");
	log_text(&l, "policy", plan_policy_name(a->plan.hosts[a->host].policy));
	log_text(&l, "reason", tlsrpt_result_name(j->result));
	if (f.tls != NULL)
		log_text(&l, "version", f.tls);
	log_slice(&l, "why", f.broke.n > 0 ? f.broke : slice(j->reason));
	if (f.seen.n > 0)
		log_slice(&l, "certificate", f.seen);
	log_end(&l);
}

static void
on_enough(void *arg)
{
	struct attempt *a = arg;

	if (a->connection != NULL)
		connection_give_up(a->connection);
}

static const struct connection_user CONNECTION = { on_ready, on_sent, on_over, on_judged };

static enum flow
talk(struct attempt *a)
{
	struct delivery *d = a->delivery;
	const struct plan_host *host = &a->plan.hosts[a->host];
	struct peer peer = aim_peer(&a->plan, a->host, a->address);
	struct connection_options o = {
		.loop = d->loop, .tls = d->options.tls, .hostname = d->options.conf->hostname,
		.lmtp = a->order.kind == ORDER_LMTP, .in_clear = a->in_clear,
		.from = aim_source(&d->aim, &peer), .sessions = d->sessions,
	};
	struct error why;

	a->begun = false;
	a->connection = a->in_clear || a->fresh ? NULL : idle_take(d, host, &peer);
	a->reused = a->connection != NULL;
	if (a->reused) {
		connection_hand(a->connection, &CONNECTION, a);
		on_ready(a);
		return FLOW_WAIT;
	}
	if (!a->in_clear && !a->fresh && is_silent(a)) {
		next_place(a);
		return then(a, &CHOOSE);
	}
	a->connection = connection_open(&o, host, peer, &CONNECTION, a, &why);
	if (a->connection != NULL) {
		a->search.addresses += !a->in_clear && !a->fresh;
		return FLOW_WAIT;
	}
	not_there(a, status_make(0, 4, 4, 1, arena_copy(a->arena, slice(why.text))));
	next_place(a);
	return then(a, &CHOOSE);
}

/* --- STORE: a Maildir ---------------------------------------------------------------------- */

static void
store_job(void *arg)
{
	struct attempt *a = arg;
	const struct slice pieces[] = { a->order.head, a->order.body };
	char *directory = must_copy(a->order.place.p, a->order.place.n);

	for (size_t i = 0; i < a->order.count; i++) {
		struct maildir_mail m = {
			.directory = directory, .name = a->maildir_name[i], .pieces = pieces, .count = 2,
			.content = a->fd, .from = (off_t)a->order.file_at, .size = a->order.file_size,
			.sum = a->order.file_sum,
		};
		bool unreadable = false;

		a->status[i] = maildir_deliver(&m, &unreadable, &a->why[i]);
		a->result.unreadable = a->result.unreadable || unreadable;
	}
	free(directory);
}

static void
stored(void *arg)
{
	struct attempt *a = arg;

	a->step = &TELL;
	run(a);
}

static enum flow
store(struct attempt *a)
{
	size_t n = a->order.count;

	a->maildir_name = arena_get(a->arena, n * sizeof *a->maildir_name);
	a->why = arena_get(a->arena, n * sizeof *a->why);
	bug_if(a->why == NULL);
	for (size_t i = 0; i < n; i++) {
		bug_if((a->maildir_name[i] = arena_get(a->arena, 128)) == NULL);
		maildir_name(a->order.arrived, a->order.id, a->order.recipients[i].index,
		    a->delivery->options.conf->hostname, a->maildir_name[i]);
	}
	job(a->delivery->options.jobs, store_job, stored, a);
	return FLOW_WAIT;
}

/* --- TELL ------------------------------------------------------------------------------------ */

static enum flow
tell(struct attempt *a)
{
	struct delivery *d = a->delivery;

	if (a->places > 0)
		end_search(a);
	a->result.number = a->order.number;
	a->result.id = a->order.id;
	a->result.count = a->order.count;
	a->result.story = buf_slice(&a->story);
	for (size_t i = 0; i < a->order.count; i++) {
		a->result.outcomes[i].index = a->order.recipients[i].index;
		a->result.outcomes[i].status = a->status[i].class != 0 ? a->status[i] : a->worst;
	}
	delivery_result(d, &a->result);
	free_attempt(a);
	delivery_attempt_over(d);
	return FLOW_DONE;
}

/* --- beginning and ending ------------------------------------------------------------------------ */

static bool
make_room(struct attempt *a)
{
	const struct order *o = &a->order;

	a->mail = (struct client_mail){
		.sender = o->sender, .size = o->head.n + o->body.n + o->file_size,
		.eight_bit = o->eight_bit,
		.eight_bit_anyway = a->delivery->options.conf->delivery.eight_bit_send,
		.smtputf8 = o->smtputf8, .requiretls = o->requiretls, .ret = o->ret, .envid = o->envid,
	};
	a->mail.recipients = arena_get(a->arena, o->count * sizeof *a->mail.recipients);
	a->sent_to = arena_get(a->arena, o->count * sizeof *a->sent_to);
	a->status = arena_get(a->arena, o->count * sizeof *a->status);
	a->result.outcomes = arena_get(a->arena, o->count * sizeof *a->result.outcomes);
	return a->result.outcomes != NULL;
}

static bool
begin_order(struct attempt *a, struct slice packed)
{
	packed = arena_copy(a->arena, packed);
	return packed.p != NULL && order_unpack(&a->order, packed, a->arena) &&
	    (a->order.in_file || a->fd == -1) && make_room(a);
}

static bool
first_step(struct attempt *a)
{
	struct endpoint place;

	if (a->order.in_file && a->fd == -1) {  /* lost on its way (net/link.h) */
		a->worst = STATUS(0, 4, 3, 0, "too many files are open to read the message");
		a->step = &TELL;
		return true;
	}
	switch (a->order.kind) {
	case ORDER_MAILDIR:
		a->step = &STORE;
		return true;
	case ORDER_LMTP:
	case ORDER_HOST:
		a->question = (struct secure_question){ .dane_off = true, .sts_off = true };
		if (!value_endpoint(a->order.place, a->arena, &place))
			return false;
		ask_for_endpoint(a, &place);
		return true;
	default:
		ask_for_domain(a);
		return true;
	}
}

bool
attempt_begin(struct delivery *d, struct slice packed, int fd)
{
	struct attempt *a = must_alloc(sizeof *a);

	*a = (struct attempt){ .next = d->attempts, .back = &d->attempts, .delivery = d, .fd = fd,
	    .arena = arena_new(ATTEMPT_MEMORY), .story = BUF(STORY_MOST) };
	if (a->next != NULL)
		a->next->back = &a->next;
	d->attempts = a;
	inquiry_begin(&a->dns, d->options.resolver, a->arena);
	inquiry_limit(&a->dns, DNS_MS);
	if (!begin_order(a, packed) || !first_step(a)) {
		free_attempt(a);
		return false;
	}
	a->search.begun = clock_ticks(d->loop->clock);
	timer_set(d->loop, &a->enough, ATTEMPT_MS, on_enough, a);
	loop_later(d->loop, &a->go, run, a);
	return true;
}

void
attempt_end_all(struct delivery *d)
{
	while (d->attempts != NULL)
		free_attempt(d->attempts);
}

void
attempt_tell_under_way(struct delivery *d)
{
	for (const struct attempt *a = d->attempts; a != NULL; a = a->next) {
		struct order_result r = { .number = a->order.number, .id = a->order.id,
		    .outcomes = a->result.outcomes, .count = a->order.count };
		struct buf packed = BUF(LINK_FRAME_MOST);

		for (size_t i = 0; i < a->order.count; i++)
			r.outcomes[i].index = a->order.recipients[i].index;
		order_result_pack(&r, &packed);
		delivery_send(d, FRAME_UNDER_WAY, buf_slice(&packed));
		buf_free(&packed);
	}
}
