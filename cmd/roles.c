/* SPDX-License-Identifier: ISC */
/*
 * roles -- what each role needs, may and does: the table of DESIGN in one place.
 *
 *     smtpd      talks to clients, asks the DNS; opens no file, sees no signing key
 *     queue      owns the spool, holds the signing keys; opens no socket
 *     delivery   connects out, asks the DNS, writes Maildirs; sees no signing key
 *     web        answers HTTPS from what it was told at its birth; sees no table, makes
 *                no socket, opens no file; asks the queue what a member's word is worth
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/pack.h"
#include "base/rng.h"
#include "cmd/resolving.h"
#include "cmd/role.h"
#include "delivery/delivery.h"
#include "net/identities.h"
#include "net/job.h"
#include "net/link.h"
#include "net/tls.h"
#include "queue/queue.h"
#include "smtpd/smtpd.h"
#include "web/responder.h"
#include "web/site.h"

#define BIT(purpose) (1u << (purpose))

enum {
	SEALERS_MOST = 4,
	WEB_DOORS_MOST = 128,
	/* Everybody who has to do with mail parses the same texts, so everybody has the tables they name. */
	TEXTS = BIT(FILE_CONFIG) | BIT(FILE_ALIASES) | BIT(FILE_MEMBERS) | BIT(FILE_USERS) |
	    BIT(FILE_TRUST) | BIT(FILE_LISTS),
	DNS = BIT(FILE_ANCHOR) | BIT(FILE_FACTS) | BIT(FILE_NAMESERVERS),
};

/* An outside file of the configuration; false when it is not there, which may be fine. */
static bool
outside(const struct role *r, struct slice name, enum file_purpose purpose, struct slice *bytes)
{
	struct slice found;
	struct error why;

	return name.n > 0 && r->reader.read(r->reader.arg, name, purpose, 0, &found, bytes, &why) ==
	    READ_FILE;
}

static bool
prepare_dns(struct role *r, struct resolving *dns, struct error *why)
{
	return resolving_begin(dns, &r->loop, &r->conf->resolver, &r->reader, why);
}

/* --- smtpd -------------------------------------------------------------------------------- */

struct smtpd_state {
	struct resolving dns;
	struct smtpd *smtpd;
};

static bool
smtpd_prepare(struct role *r, struct error *why)
{
	struct smtpd_state *s = r->state = must_alloc(sizeof *s);
	struct smtpd_options o = { .conf = r->conf, .routes = r->routes, .trust = r->trust,
	    .files = &r->reader, .log = &r->log, .slot = r->slot, .ids = r->ids,
	    .counts = &r->counts };

	if (!prepare_dns(r, &s->dns, why))
		return false;
	o.resolver = s->dns.resolver;
	s->smtpd = smtpd_start(&r->loop, &o, why);
	return s->smtpd != NULL;
}

static struct sandbox_rights
smtpd_rights(struct role *r)
{
	struct smtpd_state *s = r->state;

	return (struct sandbox_rights){ .net = SANDBOX_RESOLVE, .ports = s->dns.ports };
}

static bool
nothing_more(struct role *r, struct error *why)
{
	(void)r;
	(void)why;
	return true;
}

static void
smtpd_take_door(struct role *r, uint32_t number, int fd)
{
	smtpd_door(((struct smtpd_state *)r->state)->smtpd, number, fd);
}

static void
smtpd_take_link(struct role *r, enum role_number other, int fd)
{
	if (other == ROLE_QUEUE)
		smtpd_queue(((struct smtpd_state *)r->state)->smtpd, fd);
	else
		close(fd);
}

static void
done(void *arg)
{
	role_done(arg);
}

static void
smtpd_finish(struct role *r)
{
	smtpd_drain(((struct smtpd_state *)r->state)->smtpd, done, r);
}

static void
smtpd_be_quick(struct role *r)
{
	smtpd_hurry(((struct smtpd_state *)r->state)->smtpd);
}

/* --- queue ----------------------------------------------------------------------------------- */

struct queue_state {
	struct queue *queue;
	char          directory[4096];
	const char   *writable[2];
};

static bool
queue_prepare(struct role *r, struct error *why)
{
	struct queue_state *s = r->state = must_alloc(sizeof *s);

	(void)why;
	snprintf(s->directory, sizeof s->directory, "%.*s", FMT(r->conf->state));
	s->writable[0] = s->directory;
	return true;
}

static struct sandbox_rights
queue_rights(struct role *r)
{
	return (struct sandbox_rights){ .writable = ((struct queue_state *)r->state)->writable,
	    .net = SANDBOX_NO_SOCKETS };
}

static bool
queue_begin(struct role *r, struct error *why)
{
	struct queue_state *s = r->state;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct queue_options o = { .conf = r->conf, .routes = r->routes, .files = &r->reader,
	    .log = &r->log, .slot = r->slot, .ids = r->ids,
	    .sealers = cores < 1 ? 1 : cores > SEALERS_MOST ? SEALERS_MOST : (unsigned)cores };

	s->queue = queue_start(&r->loop, &o, why);
	return s->queue != NULL;
}

static void
queue_take_door(struct role *r, uint32_t number, int fd)
{
	if (number == CONTROL_DOOR_COMMANDS)
		queue_commands(((struct queue_state *)r->state)->queue, fd);
	else
		close(fd);
}

static void
queue_take_link(struct role *r, enum role_number other, int fd)
{
	struct queue *q = ((struct queue_state *)r->state)->queue;

	if (other == ROLE_SMTPD)
		queue_smtpd(q, fd);
	else if (other == ROLE_DELIVERY)
		queue_delivery(q, fd);
	else if (other == ROLE_WEB)
		queue_web(q, fd);
	else
		close(fd);
}

static void
queue_drained(void *arg)
{
	struct role *r = arg;

	queue_end(((struct queue_state *)r->state)->queue);
	role_done(r);
}

static void
queue_finish(struct role *r)
{
	queue_drain(((struct queue_state *)r->state)->queue, queue_drained, r);
}

/* --- delivery ----------------------------------------------------------------------------------- */

struct delivery_state {
	struct resolving dns;
	SSL_CTX         *tls;
	struct delivery *delivery;
	char           **paths;         /* ends with NULL */
	size_t           path_count;
};

/* The directory below which Maildirs of a domain lie: the path up to its first %. */
static void
add_path(struct delivery_state *s, struct slice path)
{
	struct slice fixed = slice_head(path, slice_find(path, '%'));
	struct stat st;

	if (fixed.n < path.n)
		while (fixed.n > 1 && fixed.p[fixed.n - 1] != '/')
			fixed.n--;
	s->paths[s->path_count] = must_copy(fixed.p, fixed.n);
	if (stat(s->paths[s->path_count], &st) == 0)
		s->path_count++;
}

static bool
delivery_prepare(struct role *r, struct error *why)
{
	struct delivery_state *s = r->state = must_alloc(sizeof *s);
	struct slice roots = NONE;

	outside(r, r->conf->roots, FILE_ROOTS, &roots);
	if (!prepare_dns(r, &s->dns, why) || (s->tls = tls_client_new(roots, why)) == NULL)
		return false;
	if (r->conf->policy.tls_13)
		tls_only_13(s->tls);
	s->paths = must_alloc((r->conf->domain_count + 1) * sizeof *s->paths);
	for (size_t i = 0; i < r->conf->domain_count; i++)
		if (r->conf->domain[i].deliver == DELIVER_MAILDIR)
			add_path(s, r->conf->domain[i].maildir);
	return true;
}

static struct sandbox_rights
delivery_rights(struct role *r)
{
	struct delivery_state *s = r->state;

	return (struct sandbox_rights){ .writable = (const char *const *)s->paths,
	    .net = SANDBOX_CONNECT };
}

static bool
delivery_begin(struct role *r, struct error *why)
{
	struct delivery_state *s = r->state;
	struct rng rng = rng_random();
	struct delivery_options o = { .conf = r->conf, .resolver = s->dns.resolver, .tls = s->tls,
	    .jobs = jobs_start(&r->loop, 2), .log = &r->log, .seed = rng_next(&rng) };

	(void)why;
	s->delivery = delivery_start(&r->loop, &o);
	return true;
}

static void
delivery_take_link(struct role *r, enum role_number other, int fd)
{
	if (other == ROLE_QUEUE)
		delivery_queue(((struct delivery_state *)r->state)->delivery, fd);
	else
		close(fd);
}

static void
delivery_finish(struct role *r)
{
	delivery_drain(((struct delivery_state *)r->state)->delivery, done, r);
}

static void
delivery_be_quick(struct role *r)
{
	delivery_hurry(((struct delivery_state *)r->state)->delivery);
}

/* --- web ------------------------------------------------------------------------------------------ */

struct web_door {
	struct web_state  *web;
	struct responder  *responder;
	uint32_t           number;
};

struct web_state {
	struct site       *site;
	struct tls_server *tls;
	uint64_t           seed;
	struct loop       *loop;
	struct link       *queue;       /* NULL: it has gone, or is not needed */
	struct web_door    doors[WEB_DOORS_MOST];
	size_t             count;
	size_t             busy;        /* responders that still talk, once it drains */
};

static bool
web_prepare(struct role *r, struct error *why)
{
	struct web_state *s = r->state = must_alloc(sizeof *s);
	const struct web_conf *conf = &r->conf->web;
	const struct identities shown = { conf->tls, conf->tls_count, FILE_WEB_CERTIFICATE, FILE_WEB_KEY,
	    r->conf->policy.tls_13 };
	struct rng rng = rng_random();

	s->site = site_new(r->conf);
	s->seed = rng_next(&rng);
	s->loop = &r->loop;
	s->tls = identities_open(&shown, &r->reader, why);
	return s->tls != NULL;
}

/* It has its sockets, its key and its texts: nothing else is needed. */
static struct sandbox_rights
web_rights(struct role *r)
{
	(void)r;
	return (struct sandbox_rights){ .net = SANDBOX_NO_SOCKETS };
}

/* The queue has the key and the disk: what it says is answered. */
static void
ask_queue(const struct web_door *d, struct slice word, struct response_plan *plan)
{
	struct buf b = BUF(HTTP_TARGET_MOST + 100);

	pack_u32(&b, d->number);
	pack_u64(&b, plan->visitor);
	pack_slice(&b, word);
	link_send(d->web->queue, FRAME_LEAVE, buf_slice(&b), -1);
	buf_free(&b);
	plan->later = true;
}

static void
web_answer(void *arg, const struct http_request *request, struct response_plan *plan)
{
	const struct web_door *d = arg;
	struct slice word;

	if (!site_leaves(d->web->site, request, &word))
		plan->response = site_answer(d->web->site, request);
	else if (d->web->queue == NULL)
		plan->response = site_left(LEFT_LATER);
	else
		ask_queue(d, word, plan);
}

static void
web_on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	const struct web_state *s = arg;
	struct unpack u = { .left = payload };
	uint32_t door = unpack_u32(&u);
	uint64_t visitor = unpack_u64(&u);
	unsigned left = unpack_u8(&u);
	struct http_response response = site_left(left <= LEFT_LATER ? (enum left)left : LEFT_LATER);

	if (fd != -1)
		close(fd);
	if (kind == FRAME_LEFT && unpack_done(&u) && door < s->count)
		responder_answer(s->doors[door].responder, visitor, &response);
}

/* Who waits for it hears 503 in time, or a new one answers. */
static void
web_on_gone(void *arg)
{
	struct web_state *s = arg;

	link_end(s->queue);
	s->queue = NULL;
}

static const struct link_user WEB_QUEUE = { web_on_frame, web_on_gone };

static void
web_take_link(struct role *r, enum role_number other, int fd)
{
	struct web_state *s = r->state;

	if (other != ROLE_QUEUE) {
		close(fd);
		return;
	}
	link_end(s->queue);
	s->queue = link_new(s->loop, fd, &WEB_QUEUE, s);
}

static void
web_take_door(struct role *r, uint32_t number, int fd)
{
	struct web_state *s = r->state;
	struct web_door *d = &s->doors[s->count];
	struct responder_options o = { .loop = &r->loop, .tls = s->tls, .most = r->conf->web.connections,
	    .seed = s->seed, .answer = web_answer, .arg = d };

	bug_if(number != 0 || s->count == WEB_DOORS_MOST);
	*d = (struct web_door){ .web = s, .responder = responder_new(&o, fd), .number = (uint32_t)s->count };
	s->count++;
}

static void
web_idle(void *arg)
{
	struct role *r = arg;
	struct web_state *s = r->state;

	if (--s->busy == 0)
		role_done(r);
}

static void
web_finish(struct role *r)
{
	struct web_state *s = r->state;

	if ((s->busy = s->count) == 0)
		role_done(r);
	for (size_t i = 0; i < s->count; i++)
		responder_drain(s->doors[i].responder, web_idle, r);
}

/* --- the table -------------------------------------------------------------------------------- */

const struct role_kind ROLE_KINDS[ROLE_NUMBERS] = {
	[ROLE_SMTPD] = { "smtpd", TEXTS | DNS | BIT(FILE_TLS_CERTIFICATE) | BIT(FILE_TLS_KEY) |
	    BIT(FILE_SECRETS),
	    smtpd_prepare, smtpd_rights, nothing_more, smtpd_take_door, smtpd_take_link, smtpd_finish,
	    smtpd_be_quick },
	[ROLE_QUEUE] = { "queue", TEXTS | BIT(FILE_SIGNING_KEY) | BIT(FILE_SECRETS),
	    queue_prepare, queue_rights, queue_begin, queue_take_door, queue_take_link, queue_finish, NULL },
	[ROLE_DELIVERY] = { "delivery", TEXTS | DNS | BIT(FILE_ROOTS),
	    delivery_prepare, delivery_rights, delivery_begin, NULL, delivery_take_link, delivery_finish,
	    delivery_be_quick },
	[ROLE_WEB] = { "web", BIT(FILE_CONFIG) | BIT(FILE_WEB_CERTIFICATE) | BIT(FILE_WEB_KEY),
	    web_prepare, web_rights, nothing_more, web_take_door, web_take_link, web_finish, role_done },
};
