/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "delivery/connection.h"
#include "lab/sender.h"
#include "lab/written.h"

enum { RECIPIENTS_MOST = 1000 };

struct sender {
	struct sending          sending;        /* first: senders_first() shows it */
	struct world           *world;
	struct ip               address;        /* of the sender */
	struct plan_host        host;
	struct connection      *connection;
	struct client_mail      mail;
	struct letter           letter;
};

struct senders {
	struct world  *world;
	struct sending *first, **last;
	unsigned       count;
};

/* --- sending it -------------------------------------------------------------------------- */

static void
conclude(struct sender *s, struct status otherwise)
{
	for (size_t i = 0; i < s->sending.count; i++) {
		struct status st = s->mail.recipients[i].status;

		if (st.class == 0)
			st = otherwise;
		st.text = arena_copy(s->world->arena, st.text);
		s->sending.to[i].status = st;
	}
	s->sending.over = true;
}

static void
on_ready(void *arg)
{
	struct sender *s = arg;

	connection_send(s->connection, &s->mail, &s->letter);
}

static void
on_sent(void *arg)
{
	struct sender *s = arg;
	struct connection *c = s->connection;

	conclude(s, STATUS(0, 4, 0, 0, ""));
	s->connection = NULL;
	connection_quit(c);
}

static void
on_over(void *arg, const struct connection_end *end)
{
	struct sender *s = arg;

	s->connection = NULL;                   /* it ends itself */
	conclude(s, end->why);
}

static const struct connection_user USER = { on_ready, on_sent, on_over, NULL };

static bool
connect_to(struct sender *s, unsigned port, struct error *why)
{
	const struct statement *block = s->sending.statement->block;
	struct connection_options o = { .loop = &s->world->loop, .tls = s->world->tls,
	    .hostname = statement_text(block, LAB_SEND_HELO), .from = &s->address };
	struct peer to = { .ip = s->sending.through->ip, .port = (uint16_t)port };

	bug_if(!ip_parse(statement_text(block, LAB_SEND_AS), &s->address));
	s->host = (struct plan_host){ .name = s->sending.through->hostname, .go = true,
	    .addresses = &s->sending.through->ip, .address_count = 1 };
	plan_make_key(&s->host, (uint16_t)port);
	s->connection = connection_open(&o, &s->host, to, &USER, s, why);
	return s->connection != NULL;
}

/* --- beginning ----------------------------------------------------------------------------- */

static void
take_recipients(struct sender *s)
{
	const struct word *w = value_first(s->sending.statement);

	if (!statement_says(s->sending.statement, "null"))
		w = value_next(w);
	s->sending.to = arena_get(s->world->arena, RECIPIENTS_MOST * sizeof *s->sending.to);
	bug_if(s->sending.to == NULL);
	for (; w != NULL && s->sending.count < RECIPIENTS_MOST; w = value_next(w))
		if (strcmp(w->type, "FILE") != 0)
			s->sending.to[s->sending.count++].address = w->text;
}

static void
take_mail(struct sender *s, const struct written *w)
{
	s->mail = (struct client_mail){ .sender = w->from, .count = s->sending.count, .size = w->text.n,
	    .eight_bit = w->eight_bit, .smtputf8 = w->smtputf8, .requiretls = w->requiretls,
	    .requiretls_needed = w->requiretls };
	s->mail.recipients = arena_get(s->world->arena, s->mail.count * sizeof *s->mail.recipients);
	bug_if(s->mail.recipients == NULL);
	for (size_t i = 0; i < s->mail.count; i++)
		s->mail.recipients[i].address = s->sending.to[i].address;
	s->letter = (struct letter){ .head = w->text, .fd = -1 };
}

static bool
take_message(struct sender *s, unsigned number, struct error *why)
{
	struct written_by by = { s->world->scenario->seed, clock_now(&s->world->clock), number };
	struct written w;

	if (!written_make(&w, s->sending.statement, &by, s->world->arena, why))
		return false;
	s->sending.from = w.from;
	s->sending.message = w.text;
	take_recipients(s);
	take_mail(s, &w);
	return true;
}

bool
sender_begin(struct senders *all, const struct statement *statement, struct error *why)
{
	struct sender *s = must_alloc(sizeof *s);
	struct slice at = statement_text(statement->block, LAB_SEND_AT);

	s->world = all->world;
	s->sending.statement = statement;
	*all->last = &s->sending;
	all->last = &s->sending.next;
	if (!take_message(s, ++all->count, why))
		return false;
	s->sending.through = at.n > 0 ? world_citizen(all->world, at) : world_citizen_of(all->world,
	    slice_skip(s->sending.from, slice_find(s->sending.from, '@') + 1));
	if (s->sending.through == NULL)
		return error_set(why, "no host has the sender %.*s", FMT(s->sending.from));
	return connect_to(s, at.n > 0 ? MX_PORT : DESK_PORT, why);
}

const struct sending *
senders_first(const struct senders *all)
{
	return all->first;
}

struct senders *
senders_new(struct world *w)
{
	struct senders *all = must_alloc(sizeof *all);

	all->world = w;
	all->last = &all->first;
	return all;
}

void
senders_free(struct senders *all)
{
	struct sender *s;

	if (all == NULL)
		return;
	while ((s = (struct sender *)all->first) != NULL) {
		all->first = s->sending.next;
		connection_end(s->connection);
		free(s);
	}
	free(all);
}
