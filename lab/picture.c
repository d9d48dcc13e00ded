/* SPDX-License-Identifier: ISC */
/*
 * A message is followed by what was said of it: the sender was told "queued as
 * ID", the log of that host says to whom ID went and what the next host called
 * it, and so on to the Maildirs.  One hop with several legs is a fan:
 *
 *     alice@bank.test ──▶ list.test ──┬──▶ ann@sts.test    delivered   …
 *      DKIM, p=reject     [members]   │
 *                         + footer    └──▶ ben@dane.test   deferred 421, …
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "conf/value.h"
#include "lab/picture.h"

enum { LEGS_MOST = 64, NOTES_MOST = 4, NOTE_MOST = 100, ORIGIN_AT = 2 };

/* A message as one host has it. */
struct stay {
	struct citizen *citizen;        /* NULL: nobody has it */
	struct slice    id;
};

/* One recipient of it, and what became of him. */
struct leg {
	struct slice             to;
	const struct event_line *first_failure, *last;
	struct stay              next;
};

struct drawing {
	const struct play *play;
	struct world      *world;
	struct arena      *arena;
	struct buf        *out;
};

/* --- following a message --------------------------------------------------------------- */

static struct slice
key(const struct drawing *d, const struct event_line *e, const char *name)
{
	return e != NULL ? event_text(e, name, d->arena) : NONE;
}

/* "… queued as 2Y9576802000" */
static struct slice
queued_as(struct slice reply)
{
	static const char says[] = "queued as ";
	const char *at = reply.n > 0 ? memmem(reply.p, reply.n, says, sizeof says - 1) : NULL;

	return at != NULL ? slice_head(slice_skip(reply, (size_t)(at - reply.p) + sizeof says - 1), ID_TEXT)
	                  : NONE;
}

/* The host that "mx.b.test[127.0.42.11]:25" names. */
static struct citizen *
citizen_at(const struct drawing *d, struct slice mx)
{
	struct slice host = slice_head(mx, slice_find(mx, '['));
	struct citizen *c = d->world->citizens;

	while (c != NULL && !slice_eqi(c->hostname, host))
		c = c->next;
	return c;
}

static bool
is_outcome(const struct event_line *e)
{
	return event_is(e, "delivered") || event_is(e, "deferred") || event_is(e, "bounced") ||
	    event_is(e, "expired");
}

/* The event is about this stay: about the message itself, or about a list's post made of it. */
static bool
belongs(const struct drawing *d, const struct event_line *e, const struct stay *stay)
{
	struct slice id = key(d, e, "id");

	if (!slice_eq(e->host, stay->citizen->name))
		return false;
	if (slice_eq(id, stay->id))
		return true;
	for (const struct event_line *q = d->world->events.first; q != NULL; q = q->next)
		if (event_is(q, "queued") && slice_eq(q->host, e->host) && slice_eq(key(d, q, "id"), id) &&
		    slice_eq(key(d, q, "reason"), S("list")) && slice_eq(key(d, q, "parent"), stay->id))
			return true;
	return false;
}

static struct leg *
leg_of(struct leg *legs, size_t *count, struct slice to)
{
	for (size_t i = 0; i < *count; i++)
		if (slice_eqi(legs[i].to, to))
			return &legs[i];
	if (*count == LEGS_MOST)
		return NULL;
	legs[*count] = (struct leg){ .to = to };
	return &legs[(*count)++];
}

static int
by_address(const void *a, const void *b)
{
	struct slice x = ((const struct leg *)a)->to, y = ((const struct leg *)b)->to;
	int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);

	return order != 0 ? order : (x.n > y.n) - (x.n < y.n);
}

/* To whom the host took it on: everybody but its own Maildirs. */
static size_t
find_legs(const struct drawing *d, const struct stay *stay, struct leg legs[LEGS_MOST])
{
	size_t count = 0;

	for (const struct event_line *e = d->world->events.first; e != NULL; e = e->next) {
		struct leg *l;

		if (!is_outcome(e) || key(d, e, "maildir").n > 0 || !belongs(d, e, stay) ||
		    (l = leg_of(legs, &count, key(d, e, "to"))) == NULL)
			continue;
		l->last = e;
		if (l->first_failure == NULL && !event_is(e, "delivered"))
			l->first_failure = e;
		l->next = (struct stay){ citizen_at(d, key(d, e, "mx")), queued_as(key(d, e, "reply")) };
	}
	qsort(legs, count, sizeof *legs, by_address);
	return count;
}

/* --- columns ------------------------------------------------------------------------------ */

/* Letters, not bytes: what we draw with takes several of those. */
static size_t
width(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void
add_padded(struct buf *b, struct slice text, size_t columns)
{
	size_t n = width(text);

	buf_add(b, text);
	buf_printf(b, "%*s", n < columns ? (int)(columns - n) : 0, "");
}

/* Nothing but what can be seen. */
static void
end_line(struct buf *b)
{
	while (b->n > 0 && b->p[b->n - 1] == ' ')
		b->n--;
	buf_byte(b, '\n');
}

/* --- what became of a leg ---------------------------------------------------------------------- */

static const char *
ordinal(int64_t n)
{
	return n % 10 == 1 && n % 100 != 11 ? "st" : n % 10 == 2 && n % 100 != 12 ? "nd"
	    : n % 10 == 3 && n % 100 != 13 ? "rd" : "th";
}

/* "300.000" seconds as "+5m" */
static void
add_delay(struct buf *b, struct slice seconds)
{
	uint64_t s = 0;

	slice_number(slice_head(seconds, slice_find(seconds, '.')), UINT32_MAX, &s);
	buf_byte(b, '+');
	if (s >= 60 && s % 60 == 0)
		value_add_duration(b, (int64_t)s * SECOND);
	else
		buf_printf(b, "%llus", (unsigned long long)s);
}

/* The code of a reply, or the enhanced one of what we found out ourselves. */
static struct slice
code_of(const struct drawing *d, const struct event_line *e)
{
	struct slice reply = key(d, e, "reply");

	return reply.n > 3 && is_digit(*reply.p) ? slice_head(reply, 3) : key(d, e, "dsn");
}

static struct slice
fate(const struct drawing *d, const struct leg *l)
{
	struct buf b = BUF(500);
	struct slice text;
	int64_t tries = event_number(l->last, "try");

	if (l->first_failure != NULL && event_is(l->last, "delivered"))
		buf_printf(&b, "deferred %.*s, ", FMT(code_of(d, l->first_failure)));
	buf_printf(&b, "%s", l->last->name);
	if (!event_is(l->last, "delivered"))
		buf_printf(&b, " %.*s", FMT(code_of(d, l->last)));
	if (tries > 1) {
		buf_printf(&b, " on %lld%s try (", (long long)tries, ordinal(tries));
		add_delay(&b, key(d, l->last, "delay"));
		buf_byte(&b, ')');
	}
	text = arena_copy(d->arena, buf_slice(&b));
	buf_free(&b);
	return text;
}

/* "MTA-STS enforce: mx.sts.test verified" */
static struct slice
protection(const struct drawing *d, const struct leg *l)
{
	struct slice policy = key(d, l->last, "policy"), mx = key(d, l->last, "mx");
	struct slice proof = key(d, l->last, "verified"), tls = key(d, l->last, "tls");

	if (!event_is(l->last, "delivered") || mx.n == 0)
		return NONE;
	if (tls.n == 0)
		return S("in the clear");
	mx = slice_head(mx, slice_find(mx, '['));
	if (slice_starts(policy, S("sts-")))
		policy = arena_printf(d->arena, "MTA-STS %.*s", FMT(slice_skip(policy, 4)));
	else if (slice_eq(policy, S("dane")))
		policy = S("DANE");
	return arena_printf(d->arena, "%.*s: %.*s %.*s, %.*s", FMT(policy), FMT(mx), FMT(proof), FMT(tls));
}

/* --- notes below the names ------------------------------------------------------------------------ */

struct notes {
	struct slice line[NOTES_MOST];
	size_t       count;
};

static void
note(struct notes *n, struct slice text)
{
	if (n->count < NOTES_MOST && text.n > 0)
		n->line[n->count++] = text;
}

static const struct captured *
captured_of(const struct drawing *d, const struct stay *stay)
{
	for (const struct captured *c = d->play->captures.first; c != NULL; c = c->next)
		if (c->citizen == stay->citizen && slice_eq(c->id, stay->id))
			return c;
	return NULL;
}

static const struct event_line *
arrival_of(const struct drawing *d, const struct stay *stay)
{
	for (const struct event_line *e = d->world->events.first; e != NULL; e = e->next)
		if (event_is(e, "received") && slice_eq(e->host, stay->citizen->name) &&
		    slice_eq(key(d, e, "id"), stay->id))
			return e;
	return NULL;
}

/* The policy that a DMARC result names: in the results of the host, or in those it sealed. */
static struct slice
policy_in(const struct drawing *d, struct slice payload)
{
	struct authres results;
	const struct authres_result *r;

	if (slice_starts(slice_trim(payload), S("i=")))
		payload = slice_skip(payload, slice_find(payload, ';') + 1);
	if (!authres_parse(payload, d->arena, &results) ||
	    (r = authres_find(&results, "dmarc", NULL)) == NULL)
		return NONE;
	return authres_value(r, "policy.dmarc");
}

/* "DKIM, p=reject": how the message was when its first foreign host saw it. */
static struct slice
origin_note(const struct drawing *d, const struct stay *first, const struct captured *end)
{
	struct slice dkim = key(d, arrival_of(d, first), "dkim"), policy = NONE;
	const struct field *f = end != NULL ? header_find(&end->header, "ARC-Authentication-Results") : NULL;

	if (f == NULL && end != NULL)
		f = header_find(&end->header, "Authentication-Results");
	if (f != NULL)
		policy = policy_in(d, f->value);
	if (!slice_starts(dkim, S("pass")))
		return policy.n > 0 ? arena_printf(d->arena, "p=%.*s", FMT(policy)) : NONE;
	return policy.n > 0 ? arena_printf(d->arena, "DKIM, p=%.*s", FMT(policy)) : S("DKIM");
}

static struct slice
subject_in(const struct drawing *d, struct slice message)
{
	size_t n = header_length(message);
	const struct field *f;
	struct header h;

	if (n < 2 || !header_parse(&h, slice_head(message, n - 2), d->arena, NULL) ||
	    (f = header_find(&h, "Subject")) == NULL)
		return NONE;
	return field_unfolded(f, d->arena);
}

/* What a list put before the subject and below the text. */
static void
note_changes(const struct drawing *d, const struct sending *s, const struct captured *end, struct notes *n)
{
	struct slice before = subject_in(d, s->message), after = subject_in(d, end->bytes);
	struct slice body = slice_skip(s->message, header_length(s->message));

	if (after.n > before.n && slice_endsi(after, before))
		note(n, slice_trim(slice_head(after, after.n - before.n)));
	if (slice_starts(end->body, body) && end->body.n > body.n)
		note(n, S("+ footer"));
}

/* --- drawing ------------------------------------------------------------------------------------------ */

/* One hop with its legs, and how wide the columns are. */
struct fan {
	struct slice      from, origin, name;   /* who sent it, how it was, who took it on */
	struct notes      changes;
	const struct leg *legs;
	size_t            count;
	size_t            from_width, name_width, to_width, fate_width;
};

static size_t
greater(size_t a, size_t b)
{
	return a > b ? a : b;
}

static void
measure(const struct drawing *d, struct fan *f)
{
	f->from_width = greater(width(f->from), 1 + width(f->origin));
	f->name_width = width(f->name);
	for (size_t i = 0; i < f->changes.count; i++)
		f->name_width = greater(f->name_width, width(f->changes.line[i]));
	for (size_t i = 0; i < f->count; i++) {
		f->to_width = greater(f->to_width, width(f->legs[i].to));
		f->fate_width = greater(f->fate_width, width(fate(d, &f->legs[i])));
	}
}

/* A name and the line that goes on behind it. */
static void
add_lined(struct buf *b, struct slice name, size_t columns)
{
	buf_add(b, name);
	buf_byte(b, ' ');
	for (size_t n = width(name); n < columns; n++)
		buf_add(b, S("─"));
}

static void
add_leg(const struct drawing *d, const struct fan *f, const struct leg *l)
{
	add_padded(d->out, l->to, f->to_width + 3);
	add_padded(d->out, fate(d, l), f->fate_width + 3);
	buf_add(d->out, protection(d, l));
}

/* The first row has the names, those below it the notes. */
static void
add_names(const struct drawing *d, const struct fan *f, size_t row)
{
	buf_printf(d->out, "%*s", ORIGIN_AT, "");
	if (row == 0) {
		add_lined(d->out, f->from, f->from_width);
		buf_add(d->out, S("──▶ "));
		add_lined(d->out, f->name, f->name_width);
		buf_add(d->out, S("──"));
		return;
	}
	buf_byte(d->out, ' ');
	add_padded(d->out, row == 1 ? f->origin : NONE, f->from_width - 1 + 5);
	add_padded(d->out, row <= f->changes.count ? f->changes.line[row - 1] : NONE, f->name_width + 3);
}

/* Every second row has a leg. */
static void
add_branch(const struct drawing *d, const struct fan *f, size_t row)
{
	size_t leg = row / 2;

	if (row % 2 == 1) {
		buf_add(d->out, leg + 1 < f->count ? S("│") : NONE);
	} else if (leg < f->count) {
		buf_add(d->out, f->count == 1 ? S("─") : leg == 0 ? S("┬")
		    : leg + 1 == f->count ? S("└") : S("├"));
		buf_add(d->out, S("──▶ "));
		add_leg(d, f, &f->legs[leg]);
	}
	end_line(d->out);
}

/* From the host in the middle to everybody who got it from there. */
static void
draw_fan(const struct drawing *d, const struct sending *s, const struct stay *middle,
    const struct leg *legs, size_t count)
{
	struct fan f = { .from = s->from.n > 0 ? s->from : S("<>"), .name = middle->citizen->name,
	    .legs = legs, .count = count };
	const struct captured *end = NULL;
	size_t rows;

	for (size_t i = 0; i < count && end == NULL; i++)
		end = legs[i].next.citizen != NULL ? captured_of(d, &legs[i].next) : NULL;
	f.origin = origin_note(d, middle, end);
	if (end != NULL)
		note_changes(d, s, end, &f.changes);
	measure(d, &f);
	rows = greater(greater(2 * count - 1, f.changes.count + 1), f.origin.n > 0 ? 2 : 1);
	for (size_t row = 0; row < rows; row++) {
		add_names(d, &f, row);
		add_branch(d, &f, row);
	}
}

static void
draw_straight(const struct drawing *d, const struct sending *s, const struct leg *l)
{
	struct fan f = { .from = s->from.n > 0 ? s->from : S("<>"), .legs = l, .count = 1 };

	if (l->next.citizen != NULL && l->next.id.n > 0)
		f.origin = origin_note(d, &l->next, captured_of(d, &l->next));
	measure(d, &f);
	buf_printf(d->out, "%*s", ORIGIN_AT, "");
	add_lined(d->out, f.from, width(f.from));
	buf_add(d->out, S("──▶ "));
	add_leg(d, &f, l);
	buf_byte(d->out, '\n');
	if (f.origin.n > 0)
		buf_printf(d->out, "%*s %.*s\n", ORIGIN_AT, "", FMT(f.origin));
}

/* Where the host of a leg took it on to others, the picture is of those. */
static void
draw_leg(const struct drawing *d, const struct sending *s, const struct leg *l)
{
	struct leg *further = must_alloc(LEGS_MOST * sizeof *further);
	size_t count = 0;

	if (l->next.citizen != NULL && l->next.id.n > 0)
		count = find_legs(d, &l->next, further);
	if (count > 0)
		draw_fan(d, s, &l->next, further, count);
	else if (event_is(l->last, "delivered"))
		draw_straight(d, s, l);
	free(further);
}

static struct stay
first_stay(const struct sending *s)
{
	struct stay none = { NULL, NONE };

	for (size_t i = 0; i < s->count; i++)
		if (status_good(s->to[i].status))
			return (struct stay){ s->through, queued_as(s->to[i].status.text) };
	return none;
}

static void
each_leg(const struct drawing *d, void (*draw)(const struct drawing *, const struct sending *,
    const struct leg *))
{
	for (const struct sending *s = senders_first(d->play->senders); s != NULL; s = s->next) {
		struct leg *legs = must_alloc(LEGS_MOST * sizeof *legs);
		struct stay stay = first_stay(s);
		size_t count = stay.citizen != NULL ? find_legs(d, &stay, legs) : 0;

		for (size_t i = 0; i < count; i++)
			draw(d, s, &legs[i]);
		free(legs);
	}
}

/* --- what the hosts saw ------------------------------------------------------------------------------- */

/* "pass:list.test,fail:bank.test" as "pass(list.test),fail(bank.test)" */
static void
add_signers(struct buf *b, struct slice dkim)
{
	struct slice one;

	for (bool first = true; slice_cut(&dkim, ',', &one); first = false) {
		size_t colon = slice_find(one, ':');

		buf_printf(b, "%s%.*s", first ? "" : ",", FMT(slice_head(one, colon)));
		if (colon < one.n)
			buf_printf(b, "(%.*s)", FMT(slice_skip(one, colon + 1)));
	}
}

static const struct event_line *
seal_of(const struct drawing *d, const struct stay *stay)
{
	for (const struct event_line *e = d->world->events.first; e != NULL; e = e->next)
		if (event_is(e, "sealed") && belongs(d, e, stay) && event_number(e, "instance") > 0)
			return e;
	return NULL;
}

static void
add_arrival(const struct drawing *d, const struct event_line *e, size_t columns, size_t dkim_columns)
{
	struct stay stay = { world_citizen(d->world, e->host), key(d, e, "id") };
	const struct event_line *seal = seal_of(d, &stay);
	struct slice voucher = key(d, e, "override"), dmarc = key(d, e, "dmarc");
	struct buf dkim = BUF(2000);

	add_signers(&dkim, key(d, e, "dkim"));
	buf_add(d->out, S("  "));
	add_padded(d->out, e->host, columns + 2);
	buf_printf(d->out, "spf=%.*s  dkim=", FMT(key(d, e, "spf")));
	add_padded(d->out, buf_slice(&dkim), dkim_columns);
	buf_printf(d->out, "  dmarc=%-5.*s arc=%-5.*s", FMT(dmarc), FMT(key(d, e, "arc")));
	if (seal != NULL)
		buf_printf(d->out, " sealed i=%lld cv=%.*s", (long long)event_number(seal, "instance"),
		    FMT(key(d, seal, "cv")));
	if (voucher.n > 0)
		buf_printf(d->out, " accepted: sealer %.*s is trusted here", FMT(voucher));
	end_line(d->out);
	buf_free(&dkim);
}

/* What a stranger brought: it was judged. */
static bool
is_judged(const struct drawing *d, const struct event_line *e)
{
	return event_is(e, "received") && key(d, e, "spf").n > 0;
}

static void
draw_arrivals(const struct drawing *d)
{
	size_t columns = 0, dkim_columns = 0;

	for (const struct event_line *e = d->world->events.first; e != NULL; e = e->next)
		if (is_judged(d, e)) {
			struct buf dkim = BUF(2000);

			add_signers(&dkim, key(d, e, "dkim"));
			columns = greater(columns, width(e->host));
			dkim_columns = greater(dkim_columns, dkim.n);
			buf_free(&dkim);
		}
	if (columns > 0)
		buf_byte(d->out, '\n');
	for (const struct event_line *e = d->world->events.first; e != NULL; e = e->next)
		if (is_judged(d, e))
			add_arrival(d, e, columns, dkim_columns);
}

/* --- what was not delivered --------------------------------------------------------------------------- */

static void
draw_failure(const struct drawing *d, const struct leg *l)
{
	if (!event_is(l->last, "delivered"))
		buf_printf(d->out, "\n  Not delivered: %.*s, %.*s\n    \"%.*s\"\n", FMT(l->to),
		    FMT(fate(d, l)), FMT(key(d, l->last, "reply")));
}

/* The leg itself, and those of whoever took it on. */
static void
draw_failures(const struct drawing *d, const struct sending *s, const struct leg *l)
{
	struct leg *further = must_alloc(LEGS_MOST * sizeof *further);
	size_t count = 0;

	(void)s;
	draw_failure(d, l);
	if (l->next.citizen != NULL && l->next.id.n > 0)
		count = find_legs(d, &l->next, further);
	for (size_t i = 0; i < count; i++)
		draw_failure(d, &further[i]);
	free(further);
}

static void
draw_refusal(const struct drawing *d, const struct sending *s, const struct sending_to *to)
{
	const struct status *st = &to->status;

	buf_printf(d->out, "\n  Refused at once: %.*s to %.*s, %u %u.%u.%u\n    \"%.*s\"\n",
	    FMT(s->from.n > 0 ? s->from : S("<>")), FMT(to->address), st->reply, st->class, st->subject,
	    st->detail, FMT(st->text));
}

static void
draw_refusals(const struct drawing *d)
{
	for (const struct sending *s = senders_first(d->play->senders); s != NULL; s = s->next)
		for (size_t i = 0; i < s->count; i++)
			if (s->over && !status_good(s->to[i].status))
				draw_refusal(d, s, &s->to[i]);
}

/* --- the whole ------------------------------------------------------------------------------------------ */

static void
draw_title(const struct drawing *d)
{
	const struct scenario *sc = d->world->scenario;
	const struct published_zone *zones;
	size_t count = zones_published(d->world->zones, &zones), secure = 0, slash = sc->name.n;
	char begin[LOG_TIME + 1];

	for (size_t i = 0; i < count; i++)
		secure += zones[i].chain == DNS_SECURE;
	while (slash > 0 && sc->name.p[slash - 1] != '/')
		slash--;
	log_time(sc->clock, begin);
	buf_printf(d->out, "lab: %.*s   clock %.19sZ   seed %llu   world of %zu zones, %zu signed\n\n",
	    FMT(slice_skip(sc->name, slash)), begin, (unsigned long long)sc->seed, count, secure);
}

void
picture_draw(const struct play *p, struct buf *b)
{
	struct drawing d = { p, p->world, p->arena, b };

	draw_title(&d);
	each_leg(&d, draw_leg);
	draw_arrivals(&d);
	each_leg(&d, draw_failures);
	draw_refusals(&d);
	buf_byte(b, '\n');
}

/* --- the transcript ------------------------------------------------------------------------- */

static void
write_configuration(const struct citizen *c, struct buf *b)
{
	struct buf text = BUF(4 << 20);

	buf_printf(b, "=== configuration of %.*s\n", FMT(c->name));
	if (file_read(c->config, &text, NULL))
		buf_add(b, buf_slice(&text));
	buf_free(&text);
}

void
transcript_write(const struct play *p, struct buf *b)
{
	for (const struct citizen *c = p->world->citizens; c != NULL; c = c->next)
		if (c->host != NULL)
			write_configuration(c, b);
	buf_add(b, S("=== log\n"));
	for (const struct event_line *e = p->world->events.first; e != NULL; e = e->next) {
		char *line = json_dumps(e->keys, JSON_COMPACT);

		buf_printf(b, "%-20.*s %s\n", FMT(e->host), line);
		free(line);
	}
	for (const struct captured *m = p->captures.first; m != NULL; m = m->next)
		buf_printf(b, "=== message to %.*s on %.*s\n%.*s", FMT(m->address), FMT(m->citizen->name),
		    FMT(m->bytes));
}
