/* SPDX-License-Identifier: ISC */
/*
 * witness -- what this listener said about messages goes to the queue, which
 * keeps it for `chainmail why`: arrivals, and refusals whether they had a message
 * or not.  Lines of the log are gathered and sent together, behind the replies.
 *
 * A stranger can be refused as often as he likes: of one client, and of all, so
 * many refusals are told in a minute and the rest is counted.
 */
#include <stdlib.h>

#include "base/bug.h"
#include "conf/events.h"
#include "queue/past.h"
#include "smtpd/inside.h"

enum {
	SEND_MS = 100, SEND_BYTES = 32 << 10, KEPT_MOST = 256 << 10,
	MINUTE_MS = MINUTE, OF_ONE_CLIENT = 20, OF_ALL = 120,
};

struct witness {
	struct smtpd     *smtpd;
	struct buf        lines;
	struct timer      send, minute;
	struct rates     *clients;
	unsigned          told, left_out;       /* refusals in this minute */
	struct log_reader reader;
	struct log        log;                  /* of the listener, with that reader */
};

static void
send_lines(void *arg)
{
	struct witness *w = arg;

	timer_clear(w->smtpd->loop, &w->send);
	if (w->lines.n > 0 && storage_tell(w->smtpd->storage, buf_slice(&w->lines)))
		buf_clear(&w->lines);
}

static void
minute_is_over(void *arg)
{
	struct witness *w = arg;
	unsigned left_out = w->left_out;
	struct log_line l;

	w->told = w->left_out = 0;
	if (left_out == 0)
		return;
	l = log_event(&w->log, &EVENT_NOT_KEPT, 0);
	log_number(&l, "count", left_out);
	log_end(&l);
}

static bool
is_few(struct witness *w, const struct past_line *l)
{
	static const struct rate one = { OF_ONE_CLIENT, MINUTE_MS };
	struct ip ip = { .n = 0 };

	if (!timer_is_set(&w->minute))
		timer_set_chore(w->smtpd->loop, &w->minute, MINUTE_MS, minute_is_over, w);
	return w->told < OF_ALL && ip_parse(past_value(l, "client"), &ip) &&
	    rates_allow(w->clients, ip, one, clock_now(w->smtpd->loop->clock)) && ++w->told > 0;
}

static void
note_it(void *arg, struct slice word)
{
	(void)word;
	*(bool *)arg = true;
}

/* A refused EHLO is about no message: nobody could ask for it. */
static bool
can_be_found(struct slice line)
{
	bool found = false;

	past_words(line, note_it, &found);
	return found;
}

/* Everything but refusals that nobody could ask for, and those of a flood. */
static bool
is_worth_telling(struct witness *w, struct slice line)
{
	struct past_line l;
	bool refused;

	if (!past_line(line, &l))
		return false;
	refused = slice_eq(l.event, slice(EVENT_REFUSED.name));
	if (!refused && !slice_eq(l.event, slice(EVENT_REJECTED.name)))
		return true;
	if (refused && !can_be_found(line))
		return false;
	if (is_few(w, &l))
		return true;
	w->left_out++;
	return false;
}

static bool
wants(void *arg, const struct event_kind *kind, uint64_t id)
{
	(void)arg;
	return id != 0 || kind == &EVENT_REFUSED || kind == &EVENT_NOT_KEPT;
}

static void
read_line(void *arg, struct slice line)
{
	struct witness *w = arg;

	if (!is_worth_telling(w, line))
		return;
	if (w->lines.n + line.n > KEPT_MOST)    /* nobody takes them now */
		return;
	buf_add(&w->lines, line);
	if (w->lines.n >= SEND_BYTES)
		send_lines(w);
	else if (!timer_is_set(&w->send))
		timer_set_chore(w->smtpd->loop, &w->send, SEND_MS, send_lines, w);
}

struct witness *
witness_new(struct smtpd *s)
{
	struct witness *w;

	if (s->options.log == NULL || s->options.conf->history == 0)
		return NULL;
	w = must_alloc(sizeof *w);
	*w = (struct witness){ .smtpd = s, .lines = BUF(KEPT_MOST), .clients = rates_new(),
	    .reader = { wants, read_line, w }, .log = *s->options.log };
	w->log.reader = &w->reader;
	s->options.log = &w->log;
	return w;
}

void
witness_tell(struct witness *w)
{
	if (w == NULL)
		return;
	minute_is_over(w);
	send_lines(w);
}

void
witness_free(struct witness *w)
{
	if (w == NULL)
		return;
	timer_clear(w->smtpd->loop, &w->send);
	timer_clear(w->smtpd->loop, &w->minute);
	rates_free(w->clients);
	buf_free(&w->lines);
	w->smtpd->options.log = NULL;
	free(w);
}
