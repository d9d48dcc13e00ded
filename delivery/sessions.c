/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/bug.h"
#include "delivery/sessions.h"

struct kept {
	struct kept *next;
	char         peer[PEER_TEXT];
	unsigned char key[PLAN_KEY];
	SSL_SESSION *session;
	int64_t      until;             /* ticks */
};

struct sessions {
	const struct clock *clock;
	struct kept        *first, **last;      /* in the order they came */
	size_t              count;
};

static void
drop(struct sessions *all, struct kept **at)
{
	struct kept *k = *at;

	if ((*at = k->next) == NULL)
		all->last = at;
	all->count--;
	SSL_SESSION_free(k->session);
	free(k);
}

static void
drop_old(struct sessions *all)
{
	while (all->first != NULL &&
	    (all->count > SESSIONS_MOST || clock_ticks(all->clock) >= all->first->until))
		drop(all, &all->first);
}

/* Where it stands, or NULL. */
static struct kept **
find(struct sessions *all, const struct plan_host *h, const struct peer *peer)
{
	char text[PEER_TEXT];

	peer_text(peer, text);
	for (struct kept **at = &all->first; *at != NULL; at = &(*at)->next)
		if (memcmp((*at)->key, h->key, PLAN_KEY) == 0 && strcmp((*at)->peer, text) == 0)
			return at;
	return NULL;
}

void
sessions_resume(struct sessions *all, SSL *ssl, const struct plan_host *h, const struct peer *peer)
{
	struct kept **at;

	drop_old(all);
	if ((at = find(all, h, peer)) == NULL)
		return;
	SSL_set_session(ssl, (*at)->session);
	drop(all, at);
}

void
sessions_keep(struct sessions *all, SSL *ssl, const struct plan_host *h, const struct peer *peer)
{
	SSL_SESSION *session = SSL_get1_session(ssl);
	struct kept **at, *k;

	if (session == NULL || !SSL_SESSION_is_resumable(session)) {
		SSL_SESSION_free(session);
		return;
	}
	if ((at = find(all, h, peer)) != NULL)
		drop(all, at);
	k = must_alloc(sizeof *k);
	*k = (struct kept){ .session = session, .until = clock_ticks(all->clock) + SESSION_LIFE };
	memcpy(k->key, h->key, PLAN_KEY);
	peer_text(peer, k->peer);
	*all->last = k;
	all->last = &k->next;
	all->count++;
	drop_old(all);
}

size_t
sessions_count(const struct sessions *all)
{
	return all->count;
}

struct sessions *
sessions_new(const struct clock *clock)
{
	struct sessions *all = must_alloc(sizeof *all);

	all->clock = clock;
	all->last = &all->first;
	return all;
}

void
sessions_free(struct sessions *all)
{
	if (all == NULL)
		return;
	while (all->first != NULL)
		drop(all, &all->first);
	free(all);
}
