/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/bug.h"
#include "net/identities.h"
#include "smtpd/inside.h"

enum { KEYS_KEPT = 512, LISTENERS_MOST = 64, SECRETS_MEMORY = 64 << 10 };

/* --- doors --------------------------------------------------------------------------- */

static bool
open_tls(struct door *d, struct error *why)
{
	const struct smtpd_options *o = &d->smtpd->options;
	const struct identities shown = { d->conf->tls, d->conf->tls_count, FILE_TLS_CERTIFICATE,
	    FILE_TLS_KEY, o->conf->policy.tls_13 };

	if (shown.count > 0)
		d->tls = identities_open(&shown, o->files, why);
	return shown.count == 0 || d->tls != NULL;
}

static void
came_in(void *arg, int fd, struct peer from)
{
	visit_begin(arg, fd, from);
}

void
smtpd_door(struct smtpd *s, uint32_t number, int fd)
{
	struct door *d = &s->doors[number];

	bug_if(number >= s->options.conf->listen_count || d->listener_count == LISTENERS_MOST);
	d->listeners[d->listener_count++] = listener_new(s->loop, fd, came_in, d);
}

static void
close_doors(struct smtpd *s)
{
	for (size_t i = 0; i < s->options.conf->listen_count; i++) {
		struct door *d = &s->doors[i];

		while (d->listener_count > 0)
			listener_end(d->listeners[--d->listener_count]);
	}
}

/* --- beginning and ending -------------------------------------------------------------- */

struct smtpd *
smtpd_start(struct loop *loop, const struct smtpd_options *o, struct error *why)
{
	struct smtpd *s = must_alloc(sizeof *s);

	s->loop = loop;
	s->options = *o;
	s->counts = o->counts;
	if (s->counts == NULL && !counts_make(s->counts = &s->own, (unsigned)o->conf->listen_count, why)) {
		free(s);
		return NULL;
	}
	s->policy = policy_configured(&o->conf->policy);
	ids_begin(&s->ids, loop->clock, o->slot, o->ids);
	s->keys = keys_new(KEYS_KEPT);
	s->storage = storage_new(s);
	s->rates = rates_new();
	s->arena = arena_new(SECRETS_MEMORY);
	secrets_read(&s->secrets, o->files, s->arena);
	s->asked = asked_new();
	s->witness = witness_new(s);
	s->doors = must_alloc(o->conf->listen_count * sizeof *s->doors);
	for (size_t i = 0; i < o->conf->listen_count; i++) {
		s->doors[i] = (struct door){ .smtpd = s, .conf = &o->conf->listen[i],
		    .listeners = must_alloc(LISTENERS_MOST * sizeof *s->doors->listeners) };
		if (!open_tls(&s->doors[i], why)) {
			smtpd_end(s);
			return NULL;
		}
	}
	return s;
}

void
smtpd_queue(struct smtpd *s, int fd)
{
	storage_link(s->storage, fd);
}

static void
tell_idle(void *arg)
{
	struct smtpd *s = arg;
	void (*idle)(void *) = s->idle;

	s->idle = NULL;
	witness_tell(s->witness);
	storage_flush(s->storage);
	if (idle != NULL)
		idle(s->idle_arg);
}

void
smtpd_visit_over(struct smtpd *s)
{
	if (s->draining && s->visit_count == 0)
		loop_later(s->loop, &s->drained, tell_idle, s);
}

void
smtpd_drain(struct smtpd *s, void (*idle)(void *), void *arg)
{
	s->draining = true;
	s->idle = idle;
	s->idle_arg = arg;
	close_doors(s);
	smtpd_visit_over(s);
}

void
smtpd_hurry(struct smtpd *s)
{
	s->hurried = true;
	visits_goodbye(s);
}

size_t
smtpd_visits(const struct smtpd *s)
{
	return s->visit_count;
}

void
smtpd_end(struct smtpd *s)
{
	s->draining = false;
	visits_end(s);
	close_doors(s);
	for (size_t i = 0; i < s->options.conf->listen_count; i++) {
		tls_server_free(s->doors[i].tls);
		free(s->doors[i].listeners);
	}
	free(s->doors);
	counts_free(&s->own);
	witness_free(s->witness);
	storage_end(s->storage);
	rates_free(s->rates);
	arena_free(s->arena);
	asked_free(s->asked);
	keys_free(s->keys);
	later_cancel(s->loop, &s->drained);
	free(s);
}
