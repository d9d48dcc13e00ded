/* SPDX-License-Identifier: ISC */
#include "base/bug.h"
#include "conf/value.h"
#include "lab/fault.h"
#include "lab/play.h"
#include "lab/publish.h"
#include "lab/site.h"
#include "mail/domain.h"

enum { PLAY_MEMORY = 64 << 20, BOOT = SECOND };

static bool
send_one(struct play *p, const struct statement *s, struct error *why)
{
	if (!sender_begin(p->senders, s, why))
		return false;
	world_settle(p->world);
	return true;
}

static bool
advance(struct play *p, const struct statement *s)
{
	int64_t ms;

	bug_if(!value_duration(value_first(s)->text, &ms));
	world_advance(p->world, ms);
	return true;
}

static struct host *
host_of(const struct play *p, const struct statement *s)
{
	struct citizen *c = world_citizen(p->world, value_first(s)->text);

	return c != NULL ? c->host : NULL;
}

static bool
stop(const struct play *p, const struct statement *s)
{
	struct host *h = host_of(p, s);

	if (h != NULL)
		host_stop(h);
	world_settle(p->world);
	return true;
}

/* Names of messages come from the clock: a machine that starts has taken a moment. */
static bool
start(const struct play *p, const struct statement *s, struct error *why)
{
	struct host *h = host_of(p, s);

	world_advance(p->world, BOOT);
	if (h != NULL && !host_runs(h) && !host_start(h, why))
		return false;
	world_settle(p->world);
	return true;
}

static bool
change_record(const struct play *p, const struct statement *s, struct error *why)
{
	struct world *w = p->world;
	const struct word *at = value_first(s), *type = value_next(at);
	struct slice name = domain_normal(at->text, w->arena);
	uint16_t number;

	if (!publish_type(type, &number, why))
		return false;
	zones_remove(w->zones, name, number);
	for (const struct word *data = value_next(type); data != NULL; data = value_next(data))
		if (!publish_record(w, name, number, data->text, why))
			return false;
	return zones_publish(w->zones, why);
}

static bool
change_sts(const struct play *p, const struct statement *s, struct error *why)
{
	struct world *w = p->world;

	return site_change(w, domain_normal(value_first(s)->text, w->arena), s, why) &&
	    zones_publish(w->zones, why);
}

static bool
step(struct play *p, const struct statement *s, struct error *why)
{
	switch (statement_id(s)) {
	case LAB_SEND:
		return send_one(p, s, why);
	case LAB_ADVANCE:
		return advance(p, s);
	case LAB_STOP:
		return stop(p, s);
	case LAB_START:
		return start(p, s, why);
	case LAB_FAULT:
		return faults_add(p->world->faults, s, why);
	case LAB_CHANGE_RECORD:
		return change_record(p, s, why);
	case LAB_CHANGE_STS:
		return change_sts(p, s, why);
	case LAB_EXPECT_MESSAGE:
	case LAB_EXPECT_NO_MESSAGE:
	case LAB_EXPECT_NO_DELIVERY:
	case LAB_EXPECT_OUTCOME:
		return expect(p, s, why);
	default:
		return true;
	}
}

bool
play_run(struct play *p, struct world *w, struct error *why)
{
	*p = (struct play){ .world = w, .senders = senders_new(w), .arena = arena_new(PLAY_MEMORY) };
	p->last = &p->first;
	captures_begin(&p->captures);
	for (const struct statement *s = w->scenario->first; s != NULL; s = s->next)
		if (!step(p, s, why))
			return false;
	return captures_look(&p->captures, w, why);
}

void
play_end(struct play *p)
{
	senders_free(p->senders);
	captures_end(&p->captures);
	arena_free(p->arena);
}
