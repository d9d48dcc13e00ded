/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/rng.h"
#include "conf/value.h"
#include "lab/fault.h"
#include "mail/domain.h"

enum fault_kind { FAULT_SMTP, FAULT_HTTPS, FAULT_DNS };

struct fault {
	struct fault           *next;
	const struct statement *block;
	enum fault_kind         kind;
	unsigned                left;           /* times; UINT_MAX: always */
	unsigned                percent;
	struct slice            name;           /* of a DNS question, or a domain */
	uint16_t                type;           /* 0: any */
	/* SMTP */
	struct citizen         *citizen;
	struct script_row       rows[2];
	struct script           script;
	struct scripted        *server;
	struct peer             real;
};

struct faults {
	struct world *world;
	struct rng    rng;
	struct fault *first, **last;
};

/* --- whether it is time --------------------------------------------------------------------- */

static bool
strikes(struct faults *fs, struct fault *f)
{
	if (f->left == 0 || (f->percent < 100 && rng_below(&fs->rng, 100) >= f->percent))
		return false;
	if (f->left != UINT32_MAX)
		f->left--;
	return true;
}

bool
faults_take(void *arg, const struct peer *world, struct peer *real)
{
	struct faults *fs = arg;

	for (struct fault *f = fs->first; f != NULL; f = f->next)
		if (f->kind == FAULT_SMTP && world->port == MX_PORT && ip_eq(f->citizen->ip, world->ip) &&
		    strikes(fs, f)) {
			*real = f->real;
			return true;
		}
	return false;
}

enum dns_fault
faults_dns(void *arg, struct slice name, uint16_t type)
{
	struct world *w = arg;
	struct faults *fs = w->faults;

	for (struct fault *f = fs->first; f != NULL; f = f->next)
		if (f->kind == FAULT_DNS && slice_eqi(f->name, name) && (f->type == 0 || f->type == type) &&
		    strikes(fs, f))
			return statement_find(f->block, LAB_FAULT_SILENCE) != NULL ? DNS_SILENCE
			    : DNS_SERVFAIL;
	return zones_fault_for(w->zones, name, type);
}

void
faults_https(struct world *w, struct slice domain, struct response_plan *plan)
{
	struct faults *fs = w->faults;

	for (struct fault *f = fs->first; f != NULL; f = f->next) {
		const struct statement *http = statement_find(f->block, LAB_FAULT_HTTP);
		uint64_t status;

		if (f->kind != FAULT_HTTPS || !slice_eqi(f->name, domain) || !strikes(fs, f))
			continue;
		plan->reset = statement_find(f->block, LAB_FAULT_RESET) != NULL;
		plan->silent = statement_find(f->block, LAB_FAULT_SILENCE) != NULL;
		if (http != NULL && slice_number(value_first(http)->text, 999, &status))
			plan->response = http_plain((unsigned)status);
		return;
	}
}

/* --- an SMTP fault --------------------------------------------------------------------------------- */

static enum script_moment
moment_of(const struct statement *when)
{
	const struct word *w = when->words->next;

	return script_moment_of(w->text);
}

/* What the fault says, with its line end; empty: what is usual. */
static struct slice
reply_of(const struct world *w, const struct statement *block)
{
	const struct statement *s = statement_find(block, LAB_FAULT_REPLY);
	const struct word *code = s != NULL ? value_first(s) : NULL;
	const struct word *text = code != NULL ? value_next(code) : NULL;

	if (code != NULL)
		return arena_printf(w->arena, "%.*s %.*s\r\n", FMT(code->text),
		    FMT(text != NULL ? text->text : S("a fault on purpose")));
	/* Nobody may believe after a delay that a message was taken. */
	return S("421 4.4.2 a fault on purpose\r\n");
}

static void
write_script(struct fault *f, const struct statement *when)
{
	struct world *w = f->citizen->world;
	struct slice delay = statement_text(f->block, LAB_FAULT_DELAY);
	struct script_row *row = &f->rows[0];

	*row = (struct script_row){ .when = moment_of(when), .say = reply_of(w, f->block) };
	if (delay.n > 0)
		bug_if(!value_duration(delay, &row->delay));
	row->then = statement_find(f->block, LAB_FAULT_RESET) != NULL ? SCRIPT_RESET
	    : statement_find(f->block, LAB_FAULT_SILENCE) != NULL ? SCRIPT_SILENCE
	    : slice_starts(row->say, S("421")) ? SCRIPT_CLOSE : SCRIPT_GO_ON;
	f->rows[1] = (struct script_row){ .when = SCRIPT_TEXT, .say = S("451 4.3.0 a fault on purpose\r\n") };
	f->script = (struct script){ .hostname = f->citizen->hostname, .offers = SCRIPT_OFFERS,
	    .rows = f->rows, .count = 2 };
}

static bool
open_server(struct faults *fs, struct fault *f, struct error *why)
{
	struct peer at = { .ip = f->citizen->ip };
	struct sockaddr_storage bound;
	socklen_t size = sizeof bound;
	int fd = peer_listen(&at, why);

	if (fd == -1)
		return false;
	bug_if(getsockname(fd, (struct sockaddr *)&bound, &size) == -1);
	f->real = peer_of_sockaddr(&bound);
	f->server = scripted_new(&(struct scripted_options){ .loop = &fs->world->loop,
	    .tls = f->citizen->tls, .script = &f->script }, fd);
	return true;
}

/* --- beginning ------------------------------------------------------------------------------------- */

static unsigned
number_of(const struct statement *block, int id, unsigned otherwise)
{
	const struct statement *s = statement_find(block, id);
	unsigned n = otherwise;

	if (s != NULL)
		bug_if(!value_number(value_first(s)->text, &n));
	return n;
}

static bool
name_question(struct fault *f, const struct statement *when, struct error *why)
{
	const struct word *type = value_next(value_first(when));

	f->kind = FAULT_DNS;
	return type == NULL || rr_type(type->text, &f->type) ||
	    error_set(why, "\"%.*s\" is no type of DNS records", FMT(type->text));
}

bool
faults_add(struct faults *fs, const struct statement *s, struct error *why)
{
	const struct statement *when = statement_find(s->block, LAB_FAULT_WHEN);
	struct fault *f = must_alloc(sizeof *f);

	*f = (struct fault){ .block = s->block, .left = number_of(s->block, LAB_FAULT_TIMES, UINT32_MAX),
	    .percent = number_of(s->block, LAB_FAULT_PROBABILITY, 100),
	    .name = domain_normal(value_first(when)->text, fs->world->arena) };
	*fs->last = f;
	fs->last = &f->next;
	if (statement_says(when, "dns"))
		return name_question(f, when, why);
	if (statement_says(when, "https")) {
		f->kind = FAULT_HTTPS;
		return true;
	}
	f->citizen = world_citizen(fs->world, f->name);
	bug_if(f->citizen == NULL);
	write_script(f, when);
	return open_server(fs, f, why);
}

struct faults *
faults_new(struct world *w)
{
	struct faults *fs = must_alloc(sizeof *fs);

	*fs = (struct faults){ .world = w, .rng = rng_seeded(w->scenario->seed), .last = &fs->first };
	return fs;
}

void
faults_free(struct faults *fs)
{
	struct fault *f;

	if (fs == NULL)
		return;
	while ((f = fs->first) != NULL) {
		fs->first = f->next;
		scripted_free(f->server);
		free(f);
	}
	free(fs);
}
