/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>
#include <time.h>

#include "base/bug.h"
#include "base/text.h"
#include "cmd/tale.h"

enum {
	EACH_MOST = 10,                 /* lines that tell of the same kind of event, … */
	KINDS_MOST = 16,                /* … of which there are not so many */
	WHEN = 19, SPAN = 16,
};

#define INDENT "                       "

/* --- words -------------------------------------------------------------------------- */

static bool
is_event(const struct past_line *l, const char *name)
{
	return slice_eq(l->event, slice(name));
}

/* A value for people: without the backslash before a quote. */
static void
add_value(struct buf *b, struct slice value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] != '\\' || i + 1 == value.n || value.p[i + 1] != '"')
			buf_byte(b, value.p[i]);
}

/* "2026-11-22 10:04:31" */
static void
add_when(struct buf *b, struct slice when)
{
	for (size_t i = 0; i < WHEN; i++)
		buf_byte(b, i < when.n && when.p[i] != 'T' ? when.p[i] : ' ');
}

static void
add_seconds(struct buf *b, int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		buf_printf(b, "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		    tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void
span_text(int64_t seconds, char text[SPAN])
{
	if (seconds < 60)
		snprintf(text, SPAN, "%ds", (int)(seconds < 0 ? 0 : seconds));
	else if (seconds < 3600)
		snprintf(text, SPAN, "%dm%02ds", (int)(seconds / 60), (int)(seconds % 60));
	else if (seconds < 48 * 3600)
		snprintf(text, SPAN, "%dh%02dm", (int)(seconds / 3600), (int)(seconds / 60 % 60));
	else
		snprintf(text, SPAN, "%dd%02dh", (int)(seconds / 86400 % 100000), (int)(seconds / 3600 % 24));
}

static void
begin_line(struct buf *b, const struct past_line *l)
{
	buf_add(b, S("  "));
	add_when(b, l->when);
	buf_add(b, S("  "));
}

/* Before, value, after; or nothing when there is no value. */
static void
add_key(struct buf *b, const struct past_line *l, const char *before, const char *key,
    const char *after)
{
	struct slice value = past_value(l, key);

	if (value.n == 0)
		return;
	buf_printf(b, "%s", before);
	add_value(b, value);
	buf_printf(b, "%s", after);
}

/* --- how it ended ------------------------------------------------------------------- */

struct ends {
	size_t received, rejected, delivered, failed, dropped, posted;
};

static bool
is_its_own(const struct tale *t, const struct past_line *l)
{
	return slice_eqi(l->id, t->id);
}

static struct ends
count_ends(const struct tale *t)
{
	struct ends e = { 0 };

	for (size_t i = 0; i < t->count; i++) {
		const struct past_line *l = &t->lines[i];
		bool own = is_its_own(t, l);

		e.received += own && is_event(l, "received");
		e.rejected += own && is_event(l, "rejected");
		e.delivered += own && is_event(l, "delivered");
		e.failed += own && (is_event(l, "bounced") || is_event(l, "expired"));
		e.dropped += own && is_event(l, "dropped");
		e.posted += !own && is_event(l, "queued");
	}
	return e;
}

static bool
is_held(const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "queue_name"));

	return name != NULL && strcmp(name, "hold") == 0;
}

enum tale_end
tale_end(const struct tale *t)
{
	struct ends e = count_ends(t);

	if (t->row != NULL)
		return is_held(t->row) ? TALE_HELD : TALE_WAITING;
	return e.rejected > 0 ? TALE_REFUSED : e.failed > 0 ? TALE_FAILED
	    : e.delivered > 0 ? TALE_DELIVERED : e.posted > 0 ? TALE_PASSED_ON
	    : e.dropped > 0 ? TALE_DROPPED : TALE_UNKNOWN;
}

const char *
tale_end_word(enum tale_end end)
{
	static const char *const words[] = { "waiting", "held", "delivered", "failed", "refused", "passed-on",
	    "dropped", "unknown" };

	return words[end];
}

static void
add_recipients(struct buf *b, size_t n)
{
	buf_printf(b, "%zu recipient%s", n, n == 1 ? "" : "s");
}

static void
add_waiting(struct buf *b, const struct tale *t)
{
	int64_t until = json_integer_value(json_object_get(t->row, "expires")), now = t->now / 1000;
	char span[SPAN];

	buf_add(b, S("Not delivered yet to "));
	add_recipients(b, json_array_size(json_object_get(t->row, "recipients")));
	if (until > now) {
		span_text(until - now, span);
		buf_add(b, S("; it will be tried until "));
		add_seconds(b, until);
		buf_printf(b, " (%s)", span);
	}
	buf_add(b, S(". The message is safe in the queue."));
}

static void
add_failed(struct buf *b, const struct tale *t, const struct ends *e)
{
	buf_add(b, S("It could not be delivered to "));
	add_recipients(b, e->failed);
	if (e->delivered > 0) {
		buf_add(b, S("; it was delivered to "));
		add_recipients(b, e->delivered);
	}
	for (size_t i = 0; i < t->count; i++)
		if (!is_its_own(t, &t->lines[i]) && is_event(&t->lines[i], "report")) {
			buf_add(b, S(". The sender was told."));
			return;
		}
	buf_printf(b, "%s", e->dropped > 0 ? ". Nobody was told." : ".");
}

static void
add_end(struct buf *b, const struct tale *t)
{
	struct ends e = count_ends(t);

	switch (tale_end(t)) {
	case TALE_WAITING:
		add_waiting(b, t);
		break;
	case TALE_HELD:
		buf_printf(b, "Held: it is not tried until somebody says chainmail queue release %.*s.",
		    FMT(t->id));
		break;
	case TALE_DELIVERED:
		buf_add(b, S("Delivered to "));
		add_recipients(b, e.delivered);
		buf_byte(b, '.');
		break;
	case TALE_FAILED:
		add_failed(b, t, &e);
		break;
	case TALE_REFUSED:
		buf_add(b, S("Refused: it was never taken in; whoever brought it was told so."));
		break;
	case TALE_PASSED_ON:
		buf_add(b, S("Posted to a list."));
		break;
	case TALE_DROPPED:
		buf_add(b, S("Given up; nobody was told."));
		break;
	case TALE_UNKNOWN:
		buf_printf(b, "It does not wait any more; %s.", e.received > 0
		    ? "its end is not in the history" : "the history knows a part of it");
	}
	buf_byte(b, '\n');
}

/* --- what happened ------------------------------------------------------------------ */

/* "from 192.0.2.1 (mx.a.test) over TLS 1.3" */
static void
add_client(struct buf *b, const struct past_line *l)
{
	add_key(b, l, " from ", "client", "");
	add_key(b, l, " (", "helo", ")");
	add_key(b, l, " over TLS ", "tls", "");
}

static void
add_envelope(struct buf *b, const struct past_line *l)
{
	add_key(b, l, ", from ", "from", "");
	add_key(b, l, " to ", "to", "");
}

/* "spf=pass dkim=pass:a.test": what was found out of its sender. */
static void
add_verdict(struct buf *b, const struct past_line *l)
{
	static const char *const keys[] = { "spf", "dkim", "dmarc", "arc", "ticket" };
	bool any = false;

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		struct slice value = past_value(l, keys[i]);

		if (value.n == 0)
			continue;
		buf_printf(b, "%s%s=", any ? " " : INDENT "found ", keys[i]);
		add_value(b, value);
		any = true;
	}
	add_key(b, l, any ? "; accepted on the word of " : INDENT "accepted on the word of ", "override", "");
	add_key(b, l, any ? "; not trusted to vouch for it: " : INDENT "not trusted: ", "untrusted", "");
	if (any || past_value(l, "override").n > 0 || past_value(l, "untrusted").n > 0)
		buf_byte(b, '\n');
}

static void
add_arrival(struct buf *b, const struct past_line *l, const char *word)
{
	begin_line(b, l);
	buf_printf(b, "%s", word);
	add_client(b, l);
	add_envelope(b, l);
	add_key(b, l, ", ", "size", " bytes\n");
	if (past_value(l, "size").n == 0)
		buf_byte(b, '\n');
	add_key(b, l, INDENT "Message-ID ", "message-id", "\n");
	add_verdict(b, l);
}

static void
add_rejected(struct buf *b, const struct past_line *l)
{
	add_arrival(b, l, "refused after its text was seen,");
	buf_add(b, S(INDENT "answered"));
	add_key(b, l, " ", "reply", "");
	add_key(b, l, " ", "dsn", "");
	add_key(b, l, " ", "why", "");
	buf_byte(b, '\n');
}

static void
add_queued(struct buf *b, const struct tale *t, const struct past_line *l)
{
	begin_line(b, l);
	if (is_its_own(t, l)) {
		add_key(b, l, "made here by a ", "reason", "");
		add_key(b, l, " of ", "parent", "");
	} else {
		buf_printf(b, "posted to the list as %.*s", FMT(l->id));
	}
	add_key(b, l, " for ", "rcpts", " recipients");
	buf_byte(b, '\n');
}

static void
add_sealed(struct buf *b, const struct past_line *l)
{
	begin_line(b, l);
	if (past_value(l, "domain").n == 0 && past_value(l, "dkim").n == 0)
		buf_add(b, S("not signed"));
	add_key(b, l, past_value(l, "instance").n > 0 ? "sealed for " : "not sealed for ", "domain", "");
	add_key(b, l, " as instance ", "instance", "");
	add_key(b, l, ", cv=", "cv", "");
	add_key(b, l, ": ", "reason", "");
	add_key(b, l, past_value(l, "domain").n > 0 ? "; signed for " : "signed for ", "dkim", "");
	buf_byte(b, '\n');
}

static void
add_report(struct buf *b, const struct tale *t, const struct past_line *l)
{
	begin_line(b, l);
	if (is_its_own(t, l)) {
		add_key(b, l, "made here: a report of kind ", "kind", "");
		add_key(b, l, " about ", "of", "");
	} else {
		add_key(b, l, "the sender was told (", "kind", ")");
		buf_printf(b, ": report %.*s", FMT(l->id));
	}
	add_key(b, l, " to ", "to", "");
	buf_byte(b, '\n');
}

/* As it was said, "451 4.2.1 not now"; nobody said a number when it never came so far. */
static void
add_answer(struct buf *b, const struct past_line *l)
{
	struct slice said = past_value(l, "reply");

	if (said.n > 3 && is_digit(said.p[0]) && said.p[3] == ' ') {
		buf_add(b, slice_head(said, 4));
		said = slice_skip(said, 4);
	}
	add_key(b, l, "", "dsn", " ");
	add_value(b, said);
}

/* The words of delivery/judge.h; without TLS there is nothing to say. */
static void
add_proof(struct buf *b, struct slice trust)
{
	static const struct { struct slice trust; const char *words; } proofs[] = {
		{ S_INIT("anonymous"), ", no certificate" }, { S_INIT("untrusted"), ", not proved" },
		{ S_INIT("trusted"), ", the certificate is of a trusted authority" },
		{ S_INIT("verified"), ", proved" },
	};

	for (size_t i = 0; i < sizeof proofs / sizeof *proofs; i++)
		if (slice_eq(trust, proofs[i].trust))
			buf_printf(b, "%s", proofs[i].words);
}

/* Where the attempt went, what had to be proved there, and what was said. */
static void
add_attempt(struct buf *b, const struct past_line *l, const char *word)
{
	begin_line(b, l);
	add_key(b, l, "try ", "try", ": ");
	buf_printf(b, "%s", word);
	add_key(b, l, " ", "to", "");
	add_key(b, l, " (for ", "orig-to", ")");
	add_key(b, l, " at ", "mx", "");
	add_key(b, l, " in ", "maildir", "");
	add_key(b, l, " at ", "lmtp", "");
	add_key(b, l, " over TLS ", "tls", "");
	if (is_event(l, "delivered") && past_value(l, "mx").n > 0 && past_value(l, "tls").n == 0)
		buf_add(b, S(" in clear text"));
	add_key(b, l, ", policy ", "policy", "");
	add_proof(b, past_value(l, "verified"));
	buf_byte(b, '\n');
	buf_add(b, S(INDENT));
	add_answer(b, l);
	buf_byte(b, '\n');
}

static void
add_dropped(struct buf *b, const struct past_line *l)
{
	begin_line(b, l);
	buf_add(b, S("given up, nobody was told"));
	add_key(b, l, "; recipient ", "to", "");
	add_key(b, l, "; reason: ", "reason", "");
	add_key(b, l, ", ", "why", "");
	buf_byte(b, '\n');
}

static void
add_held(struct buf *b, const struct past_line *l)
{
	begin_line(b, l);
	add_key(b, l, "held for ", "to", "");
	add_key(b, l, ": the configuration says \"", "why", "\"");
	buf_byte(b, '\n');
}

static void
add_tls_failed(struct buf *b, const struct past_line *l)
{
	begin_line(b, l);
	add_key(b, l, "no proof from ", "mx", "");
	add_key(b, l, ": ", "why", "");
	add_key(b, l, " (", "reason", ")");
	buf_byte(b, '\n');
}

static void
add_bounce_of_list(struct buf *b, const struct past_line *l)
{
	begin_line(b, l);
	add_key(b, l, "something came back to the list ", "list", "");
	add_key(b, l, ", about ", "member", "");
	buf_byte(b, '\n');
}

/* Whatever has no sentence of its own stands as it was logged. */
static void
add_as_it_is(struct buf *b, const struct past_line *l)
{
	begin_line(b, l);
	buf_printf(b, "%.*s %.*s\n", FMT(l->event), FMT(l->pairs));
}

/* --- the same again ----------------------------------------------------------------- */

static bool
same_reason(const struct past_line *a, const struct past_line *b)
{
	return is_event(b, "deferred") && slice_eq(past_value(a, "to"), past_value(b, "to")) &&
	    slice_eq(past_value(a, "reply"), past_value(b, "reply")) &&
	    slice_eq(past_value(a, "mx"), past_value(b, "mx"));
}

static void
add_deferred(struct buf *b, const struct tale *t, size_t at)
{
	const struct past_line *l = &t->lines[at], *last = NULL;
	size_t again = 0;

	add_attempt(b, l, "not delivered yet to");
	for (size_t i = at + 1; i < t->count; i++)
		if (same_reason(l, &t->lines[i])) {
			last = &t->lines[i];
			again++;
		}
	if (last == NULL)
		return;
	buf_printf(b, INDENT "and %zu more tr%s with the same end, the last at ", again,
	    again == 1 ? "y" : "ies");
	add_when(b, last->when);
	buf_byte(b, '\n');
}

static void
add_happening(struct buf *b, const struct tale *t, size_t at)
{
	const struct past_line *l = &t->lines[at];

	if (is_event(l, "received"))
		add_arrival(b, l, "accepted");
	else if (is_event(l, "rejected"))
		add_rejected(b, l);
	else if (is_event(l, "queued"))
		add_queued(b, t, l);
	else if (is_event(l, "sealed"))
		add_sealed(b, l);
	else if (is_event(l, "report"))
		add_report(b, t, l);
	else if (is_event(l, "delivered"))
		add_attempt(b, l, "delivered to");
	else if (is_event(l, "deferred"))
		add_deferred(b, t, at);
	else if (is_event(l, "bounced"))
		add_attempt(b, l, "refused for good for");
	else if (is_event(l, "expired"))
		add_attempt(b, l, "given up after too long a time:");
	else if (is_event(l, "dropped"))
		add_dropped(b, l);
	else if (is_event(l, "held"))
		add_held(b, l);
	else if (is_event(l, "tls-failed"))
		add_tls_failed(b, l);
	else if (is_event(l, "list-bounce"))
		add_bounce_of_list(b, l);
	else
		add_as_it_is(b, l);
}

/* What has been told: so many of each kind, and which attempts that failed. */
struct telling {
	struct { struct slice event; size_t count; } kind[KINDS_MOST];
	size_t kinds;
	const struct past_line *deferred[EACH_MOST];
	size_t deferred_count, left_out;
};

static size_t
count_kind(struct telling *t, struct slice event)
{
	size_t i = 0;

	while (i < t->kinds && !slice_eq(t->kind[i].event, event))
		i++;
	if (i == KINDS_MOST)
		return EACH_MOST + 1;
	if (i == t->kinds)
		t->kind[t->kinds++].event = event;
	return ++t->kind[i].count;
}

/* It was told together with the first one that ended so. */
static bool
is_again(const struct telling *t, const struct past_line *l)
{
	for (size_t i = 0; i < t->deferred_count; i++)
		if (same_reason(t->deferred[i], l))
			return true;
	return false;
}

static void
add_if_new(struct buf *b, struct telling *telling, const struct tale *t, size_t at)
{
	const struct past_line *l = &t->lines[at];

	if (is_again(telling, l))
		return;
	if (count_kind(telling, l->event) > EACH_MOST) {
		telling->left_out++;
		return;
	}
	if (is_event(l, "deferred"))
		telling->deferred[telling->deferred_count++] = l;
	add_happening(b, t, at);
}

static void
add_happenings(struct buf *b, const struct tale *t)
{
	struct telling telling = { .kinds = 0 };

	for (size_t i = 0; i < t->count; i++)
		add_if_new(b, &telling, t, i);
	if (telling.left_out > 0)
		buf_printf(b, INDENT "and %zu more of the same kinds; --json tells them all\n",
		    telling.left_out);
}

/* --- what comes --------------------------------------------------------------------- */

static void
add_next(struct buf *b, const struct tale *t, const json_t *recipient)
{
	int64_t next = json_integer_value(json_object_get(recipient, "next_attempt"));
	int64_t now = t->now / 1000;
	const json_t *address = json_object_get(recipient, "address");
	char span[SPAN];

	if (next == 0)
		return;
	span_text(next - now, span);
	buf_add(b, S("  "));
	add_seconds(b, next);
	buf_printf(b, "  next: try %d for <",
	    (int)json_integer_value(json_object_get(recipient, "attempts")) + 1);
	shown_add(b, slice_of(json_string_value(address), json_string_length(address)));
	buf_printf(b, ">%s%s\n", next > now ? ", in " : "", next > now ? span : "");
}

static void
add_future(struct buf *b, const struct tale *t)
{
	const json_t *recipients = json_object_get(t->row, "recipients");
	size_t count = json_array_size(recipients);

	for (size_t i = 0; i < count && i < EACH_MOST; i++)
		add_next(b, t, json_array_get(recipients, i));
	if (count > EACH_MOST)
		buf_printf(b, INDENT "and %zu more recipients wait\n", count - EACH_MOST);
	buf_printf(b, "What you can do: chainmail queue retry %.*s (now), hold, bounce (tell the"
	    " sender), drop.\n", FMT(t->id));
}

void
tale_add(struct buf *b, const struct tale *t)
{
	buf_printf(b, "%.*s  ", FMT(t->id));
	add_end(b, t);
	add_happenings(b, t);
	if (t->row != NULL && !is_held(t->row))
		add_future(b, t);
}

/* --- refusals ----------------------------------------------------------------------- */

static bool
same_refusal(const struct past_line *a, const struct past_line *b)
{
	static const char *const keys[] = { "client", "from", "to", "verb", "why" };

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (!slice_eq(past_value(a, keys[i]), past_value(b, keys[i])))
			return false;
	return true;
}

static bool
refused_before(const struct past_line *lines, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (same_refusal(&lines[i], &lines[at]))
			return true;
	return false;
}

static void
add_refusal(struct buf *b, const struct past_line *lines, size_t at, size_t count)
{
	const struct past_line *l = &lines[at];
	size_t again = 0;

	if (refused_before(lines, at))
		return;
	begin_line(b, l);
	add_key(b, l, "", "verb", " refused");
	add_client(b, l);
	add_envelope(b, l);
	buf_add(b, S("\n" INDENT "answered"));
	add_key(b, l, " ", "reply", "");
	add_key(b, l, " ", "dsn", "");
	add_key(b, l, " ", "why", "");
	for (size_t i = at + 1; i < count; i++)
		again += same_refusal(l, &lines[i]);
	if (again > 0)
		buf_printf(b, "; and %zu more time%s", again, again == 1 ? "" : "s");
	buf_byte(b, '\n');
}

void
tale_refusals_add(struct buf *b, const struct past_line *lines, size_t count)
{
	if (count > 0)
		buf_add(b, S("Refused before a message was sent:\n"));
	for (size_t i = 0; i < count; i++)
		add_refusal(b, lines, i, count);
}

/* --- for programs ------------------------------------------------------------------- */

json_t *
tale_line_json(const struct past_line *l)
{
	json_t *j = json_object();
	struct slice left = l->pairs;
	struct past_pair p;
	struct buf value = BUF(PAST_LINE), key = BUF(PAST_LINE);

	json_object_set_new(j, "t", json_stringn(l->when.p, l->when.n));
	if (!slice_eq(l->id, S("-")))
		json_object_set_new(j, "id", json_stringn(l->id.p, l->id.n));
	json_object_set_new(j, "event", json_stringn(l->event.p, l->event.n));
	while (past_pair(&left, &p)) {
		buf_clear(&value), buf_clear(&key);
		add_value(&value, p.value);
		buf_add(&key, p.key);
		buf_byte(&key, '\0');
		if (!key.full)
			json_object_set_new(j, key.p, json_stringn(value.n > 0 ? value.p : "", value.n));
	}
	buf_free(&value), buf_free(&key);
	return j;
}

json_t *
tale_json(const struct tale *t)
{
	json_t *j = json_object(), *events = json_array();

	for (size_t i = 0; i < t->count; i++)
		json_array_append_new(events, tale_line_json(&t->lines[i]));
	json_object_set_new(j, "id", json_stringn(t->id.p, t->id.n));
	json_object_set_new(j, "end", json_string(tale_end_word(tale_end(t))));
	json_object_set_new(j, "events", events);
	json_object_set_new(j, "queue", t->row != NULL ? json_deep_copy(t->row) : json_null());
	return j;
}
