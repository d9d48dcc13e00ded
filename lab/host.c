/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/ids.h"
#include "base/rng.h"
#include "conf/load.h"
#include "conf/route.h"
#include "conf/trust.h"
#include "delivery/delivery.h"
#include "lab/host.h"
#include "net/job.h"
#include "net/link.h"
#include "net/tls.h"
#include "queue/queue.h"
#include "smtpd/smtpd.h"

enum { SLOT_SMTPD, SLOT_QUEUE, SLOTS }; /* of one machine: base/ids.h */
enum { SEGMENT = 1 << 20, DOORS_MOST = 16 };

struct host {
	struct host_options options;
	char            *config;
	bool             runs;
	uint64_t         starts;

	struct log       log;
	struct files     files;
	struct reader    reader;
	struct conf     *conf;
	struct routes   *routes;
	struct trust    *trust;
	struct resolver *resolver[2];   /* of smtpd and delivery: each role has its own */
	SSL_CTX         *tls;
	struct jobs     *jobs;
	struct smtpd    *smtpd;
	struct queue    *queue;
	struct delivery *delivery;
	struct peer      doors[DOORS_MOST];
	size_t           door_count;
};

/* --- reading ------------------------------------------------------------------------- */

static bool
first_flaw(const struct flaws *flaws, struct error *why)
{
	for (const struct flaw *f = flaws->first; f != NULL; f = f->next)
		if (f->severity == FLAW_ERROR)
			return error_set(why, "%.*s:%u:%u: %.*s", FMT(f->file), f->line, f->column,
			    FMT(f->text));
	return true;
}

static bool
read_configuration(struct host *h, struct error *why)
{
	struct flaws flaws;
	bool ok;

	flaws_begin(&flaws);
	h->conf = conf_load(h->config, &h->files, &flaws);
	h->reader = files_reader(&h->files);
	if (flaws.errors == 0) {
		h->routes = routes_new(h->conf, &h->reader, &flaws);
		h->trust = trust_new(&h->conf->arc, &h->reader, &flaws);
	}
	ok = first_flaw(&flaws, why);
	flaws_end(&flaws);
	return ok;
}

static unsigned
slot(const struct host *h, unsigned role)
{
	return (h->options.number * SLOTS + role) % ID_SLOTS;
}

/* --- roles, as cmd/roles.c makes them ------------------------------------------------------ */

static struct resolver *
new_resolver(struct host *h, struct error *why)
{
	struct resolver_options o = { 0 };

	h->options.dns(h->options.arg, &o);
	return resolver_new(h->options.loop, &o, why);
}

static bool
start_smtpd(struct host *h, struct error *why)
{
	struct smtpd_options o = { .conf = h->conf, .routes = h->routes, .trust = h->trust,
	    .files = &h->reader, .log = &h->log, .slot = slot(h, SLOT_SMTPD) };

	if ((o.resolver = h->resolver[0] = new_resolver(h, why)) == NULL)
		return false;
	h->smtpd = smtpd_start(h->options.loop, &o, why);
	return h->smtpd != NULL;
}

static bool
start_queue(struct host *h, struct error *why)
{
	struct queue_options o = { .conf = h->conf, .routes = h->routes, .files = &h->reader,
	    .log = &h->log, .slot = slot(h, SLOT_QUEUE), .threadless = true, .segment = SEGMENT };

	h->queue = queue_start(h->options.loop, &o, why);
	return h->queue != NULL;
}

static bool
start_delivery(struct host *h, struct error *why)
{
	struct rng rng = rng_seeded(h->options.seed + h->starts);
	struct delivery_options o = { .conf = h->conf, .log = &h->log, .seed = rng_next(&rng) };
	struct slice name, roots = NONE;

	h->reader.read(h->reader.arg, h->conf->roots, FILE_ROOTS, 0, &name, &roots, why);
	if ((h->tls = tls_client_new(roots, why)) == NULL ||
	    (h->resolver[1] = new_resolver(h, why)) == NULL)
		return false;
	o.tls = h->tls;
	o.resolver = h->resolver[1];
	o.jobs = h->jobs = jobs_start(h->options.loop, 0);
	h->delivery = delivery_start(h->options.loop, &o);
	return true;
}

static void
join_roles(struct host *h)
{
	int ends[2];

	link_pair(ends);
	smtpd_queue(h->smtpd, ends[0]);
	queue_smtpd(h->queue, ends[1]);
	link_pair(ends);
	delivery_queue(h->delivery, ends[0]);
	queue_delivery(h->queue, ends[1]);
}

/* --- doors ------------------------------------------------------------------------------------ */

static bool
open_doors(struct host *h, struct error *why)
{
	for (size_t i = 0; i < h->conf->listen_count; i++)
		for (size_t j = 0; j < h->conf->listen[i].on_count; j++) {
			const struct endpoint *e = &h->conf->listen[i].on[j];
			struct peer at = { .ip = e->ip, .port = e->port };
			int fd;

			if (e->kind != ENDPOINT_IP || h->door_count == DOORS_MOST)
				return error_set(why, "a host of a lab listens at few addresses, its own");
			if ((fd = places_listen(h->options.places, &at, why)) == -1)
				return false;
			h->doors[h->door_count++] = at;
			smtpd_door(h->smtpd, (uint32_t)i, fd);
		}
	return true;
}

static void
leave_places(struct host *h)
{
	while (h->door_count > 0)
		places_leave(h->options.places, &h->doors[--h->door_count]);
}

/* --- the whole ----------------------------------------------------------------------------------- */

static void
say(void *arg, struct slice line)
{
	struct host *h = arg;

	h->options.said(h->options.arg, line);
}

struct host *
host_new(const struct host_options *o)
{
	struct host *h = must_alloc(sizeof *h);

	h->options = *o;
	h->config = must_copy(o->config, strlen(o->config));
	h->log = (struct log){ o->loop->clock, LOG_DEBUG, true, say, h, NULL };
	return h;
}

bool
host_start(struct host *h, struct error *why)
{
	bug_if(h->runs);
	h->runs = true;
	h->starts++;
	if (read_configuration(h, why) && start_smtpd(h, why) && start_queue(h, why) &&
	    start_delivery(h, why)) {
		join_roles(h);
		if (open_doors(h, why))
			return true;
	}
	host_stop(h);
	return false;
}

void
host_stop(struct host *h)
{
	if (!h->runs)
		return;
	h->runs = false;
	if (h->smtpd != NULL)
		smtpd_end(h->smtpd);
	queue_end(h->queue);
	if (h->delivery != NULL)
		delivery_end(h->delivery);
	if (h->jobs != NULL)
		jobs_stop(h->jobs);
	leave_places(h);
	SSL_CTX_free(h->tls);
	for (size_t i = 0; i < 2; i++)
		resolver_free(h->resolver[i]);
	routes_free(h->routes);
	trust_free(h->trust);
	conf_free(h->conf);
	files_free(&h->files);
	*h = (struct host){ .options = h->options, .config = h->config, .starts = h->starts,
	    .log = { h->log.clock, h->log.least, h->log.json, say, h, NULL } };
}

void
host_free(struct host *h)
{
	if (h == NULL)
		return;
	host_stop(h);
	free(h->config);
	free(h);
}

bool
host_runs(const struct host *h)
{
	return h->runs;
}
