/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/bug.h"
#include "delivery/reports.h"
#include "mail/domain.h"
#include "net/link.h"
#include "queue/order.h"
#include "sts/reach.h"
#include "sts/record.h"

enum { DNS_MS = 20 * SECOND, TASK_MEMORY = 8 << 20, TASKS_MOST = 100, PATH_MOST = 900 };

/* One question of the queue: where to, or a POST. */
struct task {
	struct task      *next, **back;
	struct reports   *all;
	struct arena     *arena;
	struct inquiry    dns;
	struct slice      domain;       /* of a question where to */
	uint64_t          number;       /* of a POST, with … */
	struct report_uri uri;
	struct slice      body;
	struct fetch     *fetch;
};

struct reports {
	struct reports_options options;
	struct task           *tasks;
	size_t                 count;
};

static void
free_task(struct task *t)
{
	if ((*t->back = t->next) != NULL)
		t->next->back = t->back;
	t->all->count--;
	fetch_forget(t->fetch);
	inquiry_end(&t->dns);
	arena_free(t->arena);
	free(t);
}

static struct task *
new_task(struct reports *all)
{
	struct task *t = must_alloc(sizeof *t);

	*t = (struct task){ .next = all->tasks, .back = &all->tasks, .all = all,
	    .arena = arena_new(TASK_MEMORY) };
	if (t->next != NULL)
		t->next->back = &t->next;
	all->tasks = t;
	all->count++;
	inquiry_begin(&t->dns, all->options.resolver, t->arena);
	inquiry_limit(&t->dns, DNS_MS);
	return t;
}

static void
answer(struct task *t, unsigned kind, const struct buf *payload)
{
	t->all->options.answer(t->all->options.arg, kind, buf_slice(payload));
}

/* --- where to ------------------------------------------------------------------------ */

static void
ask_where(void *arg)
{
	struct task *t = arg;
	struct tlsrpt_record r;
	struct buf b = BUF(64 << 10);

	if (!tlsrpt_record_find(&r, t->domain, &t->dns.facts)) {
		inquiry_ask(&t->dns, ask_where, t);
		return;
	}
	pack_slice(&b, t->domain);
	pack_u8(&b, (uint8_t)r.live);
	pack_u32(&b, (uint32_t)r.count);
	for (size_t i = 0; i < r.count; i++)
		pack_slice(&b, r.uris[i]);
	if (!b.full)
		answer(t, FRAME_TLSRPT_IS, &b);
	buf_free(&b);
	free_task(t);
}

void
reports_ask(struct reports *all, struct slice domain)
{
	struct task *t;

	if (all->count >= TASKS_MOST)
		return;                         /* the queue asks again */
	t = new_task(all);
	t->domain = arena_copy(t->arena, domain);
	ask_where(t);
}

/* --- POST ------------------------------------------------------------------------------- */

bool
report_uri_parse(struct report_uri *u, struct slice uri, struct arena *arena)
{
	struct slice rest = slice_skip(uri, 8), authority, port = NONE;
	uint64_t number = 443;
	size_t n = 0;

	if (!slice_startsi(uri, S("https://")))
		return false;
	while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#')
		n++;
	authority = slice_head(rest, n);
	rest = slice_skip(rest, n);
	u->path = slice_head(rest, slice_find(rest, '#'));
	if (u->path.n == 0 || *u->path.p != '/')
		u->path = arena_printf(arena, "/%.*s", FMT(u->path));
	u->host = slice_head(authority, slice_find(authority, ':'));
	if (u->host.n < authority.n)
		port = slice_skip(authority, u->host.n + 1);
	if (port.n > 0 && (!slice_number(port, 65535, &number) || number == 0))
		return false;
	u->port = (uint16_t)number;
	u->host = domain_normal(u->host, arena);
	/* No name ends in a label that begins so, but addresses do, for libcurl also in hexadecimal. */
	return u->host.n > 0 && u->path.n < PATH_MOST && !is_digit(*domain_tail(u->host, 1).p);
}

static void
tell_posted(struct task *t, bool taken, struct slice why)
{
	struct buf b = BUF(4096);

	pack_u64(&b, t->number);
	pack_u8(&b, taken);
	pack_slice(&b, slice_head(why, 200));
	answer(t, FRAME_POSTED, &b);
	buf_free(&b);
	free_task(t);
}

/* RFC 8460 5.4: any 2xx; what is said with it does not matter, not even when it is long. */
static void
posted(void *arg, const struct sts_answer *a)
{
	struct task *t = arg;
	bool said = a->transport == STS_ANSWERED || a->transport == STS_TOO_BIG;

	t->fetch = NULL;
	if (!said)
		tell_posted(t, false, a->transport == STS_TIMEOUT ? S("no answer in time")
		    : S("the host cannot be reached"));
	else
		tell_posted(t, a->status >= 200 && a->status < 300,
		    arena_printf(t->arena, "HTTP status %u", a->status));
}

static void
do_post(void *arg)
{
	struct task *t = arg;
	const struct fact *v4 = fact(&t->dns.facts, t->uri.host, RR_A),
	    *v6 = fact(&t->dns.facts, t->uri.host, RR_AAAA);
	struct fetch_post p = { t->uri.host, t->uri.path, t->uri.port,
	    S("application/tlsrpt+gzip"), t->body };
	struct ip ips[REACH_MOST];
	size_t n;

	if (v4 == NULL || v6 == NULL) {
		inquiry_ask(&t->dns, do_post, t);
		return;
	}
	n = reach_addresses(v6, v4, t->all->options.local_allowed, ips);
	if (n == 0)
		tell_posted(t, false, S("the host has no address that can be used"));
	else
		t->fetch = fetch_post(t->all->options.fetcher, &p, ips, n, posted, t);
}

void
reports_post(struct reports *all, struct slice payload)
{
	struct unpack u = { .left = payload };
	uint64_t number = unpack_u64(&u);
	struct slice uri = unpack_slice(&u), body = unpack_slice(&u);
	struct task *t;

	if (!unpack_done(&u) || all->count >= TASKS_MOST)
		return;
	t = new_task(all);
	t->number = number;
	t->body = arena_copy(t->arena, body);
	if (!report_uri_parse(&t->uri, arena_copy(t->arena, uri), t->arena) || t->body.p == NULL)
		tell_posted(t, false, S("no URI that can be used"));
	else
		do_post(t);
}

/* --- beginning and ending ------------------------------------------------------------------ */

struct reports *
reports_new(const struct reports_options *o)
{
	struct reports *all = must_alloc(sizeof *all);

	all->options = *o;
	return all;
}

void
reports_free(struct reports *all)
{
	if (all == NULL)
		return;
	while (all->tasks != NULL)
		free_task(all->tasks);
	free(all);
}
