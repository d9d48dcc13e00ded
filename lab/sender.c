/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "delivery/connection.h"
#include "lab/sender.h"
#include "mail/date.h"

enum { MESSAGE_MOST = 64 << 20, RECIPIENTS_MOST = 1000 };

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

/* --- the message ----------------------------------------------------------------------- */

/* Lines as they go over the wire: each ends with CRLF. */
static void
add_lines(struct buf *b, struct slice text)
{
	struct slice line;

	while (slice_cut(&text, '\n', &line)) {
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		buf_printf(b, "%.*s\r\n", FMT(line));
	}
}

static void
write_message(const struct sender *s, unsigned number, struct buf *b)
{
	const struct statement *block = s->sending.statement->block;
	struct slice author = statement_text(block, LAB_SEND_AUTHOR);
	struct slice domain;
	char date[DATE_TEXT + 1];

	if (author.n == 0)
		author = s->sending.from.n > 0 ? s->sending.from : S("postmaster@client.test");
	domain = slice_skip(author, slice_find(author, '@') + 1);
	buf_printf(b, "From: %.*s\r\nTo: %.*s\r\nSubject: %.*s\r\n", FMT(author),
	    FMT(s->sending.to[0].address), FMT(statement_text(block, LAB_SEND_SUBJECT)));
	date_text(clock_now(&s->world->clock), date);
	buf_printf(b, "Date: %s\r\n", date);
	buf_printf(b, "Message-ID: <%u.%llu@%.*s>\r\n", number,
	    (unsigned long long)s->world->scenario->seed, FMT(domain));
	for (const struct statement *h = block; h != NULL; h = h->next)
		if (statement_id(h) == LAB_SEND_HEADER)
			add_lines(b, value_first(h)->text);
	buf_add(b, S("\r\n"));
	add_lines(b, statement_text(block, LAB_SEND_TEXT));
}

static bool
read_message(const struct sender *s, const struct word *file, struct buf *b, struct error *why)
{
	struct slice name = tree_path(file->text, file->place, s->world->arena);
	struct buf text = BUF(MESSAGE_MOST);
	char *path = must_copy(name.p, name.n);
	bool ok = file_read(path, &text, why);

	if (ok)
		add_lines(b, buf_slice(&text));
	buf_free(&text);
	free(path);
	return ok;
}

static bool
take_message(struct sender *s, const struct word *file, unsigned number, struct error *why)
{
	struct buf b = BUF(MESSAGE_MOST);
	bool ok = true;

	if (file != NULL)
		ok = read_message(s, file, &b, why);
	else
		write_message(s, number, &b);
	s->sending.message = arena_copy(s->world->arena, buf_slice(&b));
	buf_free(&b);
	return ok && (s->sending.message.p != NULL || error_set(why, "the message is too long"));
}

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

static const struct word *
take_words(struct sender *s)
{
	const struct word *file = NULL, *w = value_first(s->sending.statement);

	if (!statement_says(s->sending.statement, "null")) {
		s->sending.from = w->text;
		w = value_next(w);
	}
	s->sending.to = arena_get(s->world->arena, RECIPIENTS_MOST * sizeof *s->sending.to);
	bug_if(s->sending.to == NULL);
	for (; w != NULL; w = value_next(w))
		if (strcmp(w->type, "FILE") == 0)
			file = w;
		else if (s->sending.count < RECIPIENTS_MOST)
			s->sending.to[s->sending.count++].address = w->text;
	return file;
}

static void
take_mail(struct sender *s)
{
	s->mail = (struct client_mail){ .sender = s->sending.from, .count = s->sending.count,
	    .size = s->sending.message.n, .eight_bit = !ascii_only(s->sending.message) };
	s->mail.recipients = arena_get(s->world->arena, s->mail.count * sizeof *s->mail.recipients);
	bug_if(s->mail.recipients == NULL);
	for (size_t i = 0; i < s->mail.count; i++)
		s->mail.recipients[i].address = s->sending.to[i].address;
	s->letter = (struct letter){ .head = s->sending.message, .fd = -1 };
}

bool
sender_begin(struct senders *all, const struct statement *statement, struct error *why)
{
	struct sender *s = must_alloc(sizeof *s);
	struct slice at = statement_text(statement->block, LAB_SEND_AT);
	const struct word *file;

	s->world = all->world;
	s->sending.statement = statement;
	*all->last = &s->sending;
	all->last = &s->sending.next;
	file = take_words(s);
	s->sending.through = at.n > 0 ? world_citizen(all->world, at) : world_citizen_of(all->world,
	    slice_skip(s->sending.from, slice_find(s->sending.from, '@') + 1));
	if (s->sending.through == NULL)
		return error_set(why, "no host has the sender %.*s", FMT(s->sending.from));
	if (!take_message(s, file, ++all->count, why))
		return false;
	take_mail(s);
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
