/* SPDX-License-Identifier: ISC */
/*
 * expect -- what a scenario expects, compared with what came.
 *
 * Each statement of a block is an expectation of its own: when a message is not
 * there at all, all that was expected of it does not hold.
 */
#include "base/bug.h"
#include "base/text.h"
#include "lab/play.h"

struct expecting {
	struct play            *play;
	const struct statement *outer;
	struct captured        *message;        /* NULL: there is none */
	const struct event_line *attempt;       /* the last one, or NULL */
	struct authres          results;
	bool                    has_results;
};

/* --- words ----------------------------------------------------------------------------- */

struct slice
statement_words(const struct statement *s, struct arena *arena)
{
	struct buf b = BUF(4096);
	struct slice copy;

	for (const struct word *w = s->words; w != NULL; w = w->next)
		buf_printf(&b, w->kind == WORD_STRING ? "%s\"%.*s\"" : "%s%.*s",
		    w == s->words || w->kind == WORD_COMMA ? "" : " ", FMT(w->text));
	copy = arena_copy(arena, buf_slice(&b));
	buf_free(&b);
	return copy;
}

static struct slice
or_nothing(struct slice s)
{
	return s.n > 0 ? s : S("none");
}

static bool
contains(struct slice text, struct slice part)
{
	return part.n == 0 || (text.n >= part.n && memmem(text.p, text.n, part.p, part.n) != NULL);
}

static void
add_line(struct expecting *x, const struct statement *s, bool holds, struct slice came)
{
	struct play *p = x->play;
	struct verdict_line *l = arena_get(p->arena, sizeof *l);
	struct slice outer = statement_words(x->outer, p->arena);

	bug_if(l == NULL);
	*l = (struct verdict_line){ .statement = s, .holds = holds, .about = slice_skip(outer, 7) };
	if (s != x->outer)
		l->about = arena_printf(p->arena, "%.*s: %.*s", FMT(l->about),
		    FMT(statement_words(s, p->arena)));
	l->came = arena_copy(p->arena, came);
	*p->last = l;
	p->last = &l->next;
	p->expected++;
	p->held += holds;
}

/* --- what came, as the same words would say it ---------------------------------------------- */

static struct slice
result_of(const struct expecting *x, const char *method)
{
	const struct authres_result *r = x->has_results ? authres_find(&x->results, method, NULL) : NULL;

	return r != NULL ? r->result : S("none");
}

static struct slice
event_key(const struct expecting *x, const struct event_line *e, const char *key)
{
	return e != NULL ? event_text(e, key, x->play->arena) : NONE;
}

/* "verified by sts": policy and proof of an attempt. */
static struct slice
protection(const struct expecting *x, const struct event_line *hop)
{
	struct slice tls = event_key(x, hop, "tls"), policy = event_key(x, hop, "policy");
	struct slice proof = event_key(x, hop, "verified");

	if (tls.n == 0)
		return S("none");
	if (!slice_eq(proof, S("verified")))
		return S("encrypted");
	return slice_starts(policy, S("dane")) ? S("verified by dane")
	    : slice_starts(policy, S("sts")) ? S("verified by sts")
	    : slice_eq(policy, S("requiretls")) ? S("verified by requiretls") : S("verified by pkix");
}

static struct slice
dkim_seen(const struct expecting *x, const struct statement *s)
{
	struct buf b = BUF(4096);
	struct slice copy;

	(void)s;
	for (const struct authres_result *r = x->has_results ? authres_find(&x->results, "dkim", NULL) : NULL;
	    r != NULL; r = authres_find(&x->results, "dkim", r))
		buf_printf(&b, "%sdkim %.*s for %.*s", b.n > 0 ? ", " : "", FMT(r->result),
		    FMT(authres_value(r, "header.d")));
	copy = b.n > 0 ? arena_copy(x->play->arena, buf_slice(&b)) : S("dkim none");
	buf_free(&b);
	return copy;
}

static struct slice
arc_seen(const struct expecting *x, const struct statement *s)
{
	size_t sets = header_count(&x->message->header, "ARC-Seal");

	(void)s;
	return arena_printf(x->play->arena, "arc %.*s with %zu %s", FMT(result_of(x, "arc")), sets,
	    sets == 1 ? "set" : "sets");
}

static struct slice
dmarc_seen(const struct expecting *x, const struct statement *s)
{
	struct slice voucher = event_key(x, captured_arrival(x->message), "override");

	(void)s;
	if (voucher.n == 0)
		return arena_printf(x->play->arena, "dmarc %.*s", FMT(result_of(x, "dmarc")));
	return arena_printf(x->play->arena, "dmarc %.*s, accepted because arc %.*s",
	    FMT(result_of(x, "dmarc")), FMT(voucher));
}

static struct slice
subject_seen(const struct expecting *x, const struct statement *s)
{
	const struct field *f = header_find(&x->message->header, "Subject");

	(void)s;
	return f != NULL ? field_unfolded(f, x->play->arena) : NONE;
}

/* --- one statement of a message's block ----------------------------------------------------------- */

/* The first literal word behind those of the keyword: "pass". */
static struct slice
literal_of(const struct statement *s)
{
	const struct word *w = s->words->next;

	while (w != NULL && w->type != NULL)
		w = w->next;
	return w != NULL ? w->text : NONE;
}

static bool
dkim_holds(const struct expecting *x, const struct statement *s)
{
	const struct word *signer = value_first(s);

	for (const struct authres_result *r = x->has_results ? authres_find(&x->results, "dkim", NULL) : NULL;
	    r != NULL; r = authres_find(&x->results, "dkim", r))
		if (slice_eq(r->result, literal_of(s)) &&
		    (signer == NULL || slice_eqi(authres_value(r, "header.d"), signer->text)))
			return true;
	return signer == NULL && slice_eq(literal_of(s), S("none")) &&
	    slice_eq(result_of(x, "dkim"), S("none"));
}

static bool
arc_holds(const struct expecting *x, const struct statement *s)
{
	uint64_t sets = header_count(&x->message->header, "ARC-Seal"), wanted = sets;

	if (value_first(s) != NULL)
		bug_if(!slice_number(value_first(s)->text, 1000000, &wanted));
	return slice_eq(result_of(x, "arc"), literal_of(s)) && sets == wanted;
}

static bool
dmarc_holds(const struct expecting *x, const struct statement *s)
{
	const struct word *sealer = value_first(s);

	return slice_eq(result_of(x, "dmarc"), literal_of(s)) && (sealer == NULL ||
	    slice_eqi(event_key(x, captured_arrival(x->message), "override"), sealer->text));
}

static bool
header_holds(const struct expecting *x, const struct statement *s)
{
	struct slice name = value_first(s)->text, part = value_next(value_first(s))->text;

	for (size_t i = 0; i < x->message->header.count; i++)
		if (slice_eqi(x->message->header.fields[i].name, name) &&
		    contains(field_unfolded(&x->message->header.fields[i], x->play->arena), part))
			return true;
	return false;
}

/* What stands in the fields of that name. */
static struct slice
header_seen(const struct expecting *x, const struct statement *s)
{
	char name[100];
	const struct field *f;

	snprintf(name, sizeof name, "%.*s", FMT(value_first(s)->text));
	f = header_find(&x->message->header, name);
	return f != NULL ? field_unfolded(f, x->play->arena) : S("no such field");
}

static struct slice
number_text(const struct expecting *x, int64_t n)
{
	return arena_printf(x->play->arena, "attempts %lld", (long long)n);
}

static int64_t
attempts_of(const struct event_line *e)
{
	return e != NULL ? event_number(e, "try") : 0;
}

static bool
number_holds(const struct statement *s, int64_t n)
{
	uint64_t wanted;

	bug_if(!slice_number(value_first(s)->text, 1000000, &wanted));
	return n == (int64_t)wanted;
}

/* Each: does it hold, and what came, in the words of the statement. */
struct aspect {
	int          id;
	bool       (*holds)(const struct expecting *, const struct statement *);
	struct slice (*seen)(const struct expecting *, const struct statement *);
};

static struct slice
from_seen(const struct expecting *x, const struct statement *s)
{
	(void)s;
	return captured_sender(x->message, x->play->arena);
}

static bool
from_holds(const struct expecting *x, const struct statement *s)
{
	return slice_eqi(from_seen(x, s), value_first(s) != NULL ? value_first(s)->text : NONE);
}

static bool
subject_holds(const struct expecting *x, const struct statement *s)
{
	return slice_eq(subject_seen(x, s), value_first(s)->text);
}

static bool
body_holds(const struct expecting *x, const struct statement *s)
{
	return contains(x->message->body, value_first(s)->text);
}

static struct slice
body_seen(const struct expecting *x, const struct statement *s)
{
	(void)x, (void)s;
	return S("another body");
}

static struct slice
spf_seen(const struct expecting *x, const struct statement *s)
{
	(void)s;
	return arena_printf(x->play->arena, "spf %.*s", FMT(result_of(x, "spf")));
}

static struct slice
tls_seen(const struct expecting *x, const struct statement *s)
{
	(void)s;
	return arena_printf(x->play->arena, "tls %.*s",
	    FMT(protection(x, captured_hop(x->message, x->play->arena))));
}

/* Those whose words are exactly what would have been said. */
static bool
spf_holds(const struct expecting *x, const struct statement *s)
{
	return slice_eq(spf_seen(x, s), statement_words(s, x->play->arena));
}

static bool
tls_holds(const struct expecting *x, const struct statement *s)
{
	return slice_eq(tls_seen(x, s), statement_words(s, x->play->arena));
}

static bool
attempts_hold(const struct expecting *x, const struct statement *s)
{
	return number_holds(s, attempts_of(captured_hop(x->message, x->play->arena)));
}

static struct slice
attempts_seen(const struct expecting *x, const struct statement *s)
{
	(void)s;
	return number_text(x, attempts_of(captured_hop(x->message, x->play->arena)));
}

static const struct aspect ASPECTS[] = {
	{ LAB_MESSAGE_FROM, from_holds, from_seen }, { LAB_MESSAGE_SUBJECT, subject_holds, subject_seen },
	{ LAB_MESSAGE_HEADER, header_holds, header_seen }, { LAB_MESSAGE_BODY, body_holds, body_seen },
	{ LAB_MESSAGE_SPF, spf_holds, spf_seen }, { LAB_MESSAGE_DKIM, dkim_holds, dkim_seen },
	{ LAB_MESSAGE_DMARC, dmarc_holds, dmarc_seen }, { LAB_MESSAGE_ARC, arc_holds, arc_seen },
	{ LAB_MESSAGE_TLS, tls_holds, tls_seen }, { LAB_MESSAGE_ATTEMPTS, attempts_hold, attempts_seen },
};

static void
check_about(struct expecting *x, const struct statement *s)
{
	const struct aspect *a = ASPECTS;

	while (a->id != statement_id(s))
		bug_if(++a == ASPECTS + sizeof ASPECTS / sizeof *ASPECTS);
	add_line(x, s, a->holds(x, s), or_nothing(a->seen(x, s)));
}

/* --- messages ------------------------------------------------------------------------------------- */

static struct captured *
next_message(struct play *p, struct slice address)
{
	struct captured *c = p->captures.first;

	while (c != NULL && (c->taken || !slice_eqi(c->address, address)))
		c = c->next;
	return c;
}

/* How the last attempt ended, for somebody who expected a message. */
static struct slice
attempt_seen(const struct expecting *x)
{
	const struct event_line *e = x->attempt;
	struct slice why;

	if (e == NULL)
		return S("nobody tried");
	why = event_key(x, e, "reply");
	return arena_printf(x->play->arena, "%s at attempt %lld: %.*s", e->name,
	    (long long)attempts_of(e), FMT(why));
}

static void
expect_message(struct expecting *x)
{
	x->message = next_message(x->play, value_first(x->outer)->text);
	add_line(x, x->outer, x->message != NULL, attempt_seen(x));
	if (x->message != NULL) {
		x->message->taken = true;
		x->has_results = captured_results(x->message, x->play->arena, &x->results);
	}
	for (const struct statement *s = x->outer->block; s != NULL; s = s->next)
		if (x->message != NULL)
			check_about(x, s);
		else
			add_line(x, s, false, S("no message"));
}

static void
expect_no_message(struct expecting *x)
{
	const struct word *to = value_first(x->outer);
	struct captured *c = x->play->captures.first;

	while (c != NULL && (c->taken || (to != NULL && !slice_eqi(c->address, to->text))))
		c = c->next;
	add_line(x, x->outer, c == NULL, c == NULL ? NONE : arena_printf(x->play->arena,
	    "a message to %.*s", FMT(c->address)));
}

/* --- outcomes --------------------------------------------------------------------------------------- */

const struct event_line *
last_attempt(const struct world *w, struct slice address)
{
	const struct event_line *last = NULL;

	for (const struct event_line *e = w->events.first; e != NULL; e = e->next)
		if ((event_is(e, "delivered") || event_is(e, "deferred") || event_is(e, "bounced") ||
		     event_is(e, "expired")) && event_about(e, "to", address) &&
		    json_object_get(e->keys, "maildir") == NULL)
			last = e;
	return last;
}

static bool
was_delivered(const struct world *w, struct slice address)
{
	for (const struct event_line *e = w->events.first; e != NULL; e = e->next)
		if (event_is(e, "delivered") && event_about(e, "to", address))
			return true;
	return false;
}

/* The sender's own refusal, when he was refused. */
static const struct sending_to *
last_refusal(const struct play *p, struct slice address)
{
	const struct sending_to *last = NULL;

	for (const struct sending *s = senders_first(p->senders); s != NULL; s = s->next)
		for (size_t i = 0; i < s->count; i++)
			if (slice_eqi(s->to[i].address, address) && s->over && !status_good(s->to[i].status))
				last = &s->to[i];
	return last;
}

static struct slice
status_code(const struct expecting *x, const struct status *s)
{
	return arena_printf(x->play->arena, "%u.%u.%u", s->class, s->subject, s->detail);
}

/* Another address of the same domain. */
static bool
is_company(const char *other, struct slice address)
{
	struct slice domain = slice_skip(address, slice_find(address, '@'));
	struct slice its = slice_skip(slice(other), slice_find(slice(other), '@'));

	return slice_eqi(its, domain) && !slice_eqi(slice(other), address);
}

/* No script said that it took a message for somebody else of the domain. */
static bool
was_alone(const struct expecting *x)
{
	for (const struct event_line *e = x->play->world->events.first; e != NULL; e = e->next) {
		const json_t *to = json_object_get(e->keys, "to"), *one;
		size_t i;

		if (event_is(e, "received") && json_object_get(e->keys, "tls") != NULL)
			json_array_foreach(to, i, one)
				if (is_company(json_string_value(one), value_first(x->outer)->text))
					return false;
	}
	return true;
}

static void
check_outcome(struct expecting *x, const struct statement *s, const struct sending_to *refused)
{
	struct slice value = value_first(s) != NULL ? value_first(s)->text : NONE, seen;

	switch (statement_id(s)) {
	case LAB_OUTCOME_ATTEMPTS:
		add_line(x, s, number_holds(s, attempts_of(x->attempt)),
		    number_text(x, attempts_of(x->attempt)));
		break;
	case LAB_OUTCOME_WHY:
		seen = refused != NULL ? refused->status.text : event_key(x, x->attempt, "reply");
		add_line(x, s, contains(seen, value), or_nothing(seen));
		break;
	case LAB_OUTCOME_TLS:
		seen = arena_printf(x->play->arena, "tls %.*s", FMT(protection(x, x->attempt)));
		add_line(x, s, slice_eq(seen, statement_words(s, x->play->arena)), seen);
		break;
	case LAB_OUTCOME_DSN:
		seen = refused != NULL ? status_code(x, &refused->status) : event_key(x, x->attempt, "dsn");
		add_line(x, s, slice_eq(seen, value), or_nothing(seen));
		break;
	case LAB_OUTCOME_ALONE:
		add_line(x, s, was_alone(x), was_alone(x) ? S("alone") : S("in company"));
		break;
	default:                        /* flaw, rfc, or converted: not about our own sender */
		break;
	}
}

static void
expect_outcome(struct expecting *x)
{
	struct slice to = value_first(x->outer)->text;
	bool wants_refusal = statement_says(x->outer, "refused");
	const struct sending_to *refused = wants_refusal ? last_refusal(x->play, to) : NULL;
	bool holds = wants_refusal ? refused != NULL
	    : x->attempt != NULL && slice_eq(slice(x->attempt->name), literal_of(x->outer));

	add_line(x, x->outer, holds, attempt_seen(x));
	for (const struct statement *s = x->outer->block; s != NULL; s = s->next)
		check_outcome(x, s, refused);
}

static void
expect_no_delivery(struct expecting *x)
{
	add_line(x, x->outer, !was_delivered(x->play->world, value_first(x->outer)->text), attempt_seen(x));
	for (const struct statement *s = x->outer->block; s != NULL; s = s->next)
		check_outcome(x, s, NULL);
}

bool
expect(struct play *p, const struct statement *s, struct error *why)
{
	struct expecting x = { .play = p, .outer = s };

	if (!captures_look(&p->captures, p->world, why))
		return false;
	if (value_first(s) != NULL)
		x.attempt = last_attempt(p->world, value_first(s)->text);
	switch (statement_id(s)) {
	case LAB_EXPECT_MESSAGE:
		expect_message(&x);
		break;
	case LAB_EXPECT_NO_MESSAGE:
		expect_no_message(&x);
		break;
	case LAB_EXPECT_NO_DELIVERY:
		expect_no_delivery(&x);
		break;
	default:
		expect_outcome(&x);
	}
	return true;
}
