/* SPDX-License-Identifier: ISC */
/*
 * late -- whom a warning of delay names.
 *
 * The memory knows who waits and for what, the spool what was said to each.  A
 * recipient is named once in its life: that is in the message's `warned`, and in
 * its state as soon as the report is stored; a crash in between names it again.
 */
#include "queue/inside.h"
#include "queue/row.h"

struct looking {
	struct message *message;
	struct numbers  waiting, at_home;       /* at_home: its host is nobody's business */
	void          (*each)(void *arg, const struct late *);
	void           *arg;
};

bool
late_untold(const struct message *m, uint32_t number, const struct recipient *r)
{
	return (r->notify == 0 || (r->notify & NOTIFY_DELAY) != 0) && !numbers_has(&m->warned, number);
}

static bool
waits(const struct task *t)
{
	return t->stage == TASK_WAITING || t->stage == TASK_IN_LINE;
}

static void
note_waiting(struct looking *l)
{
	for (const struct task *t = l->message->tasks; t != NULL; t = t->next_of_message) {
		const struct slice key = t->destination->key;
		bool abroad = slice_starts(key, S("mx ")) || slice_starts(key, S("via "));

		for (uint32_t i = 0; waits(t) && i < t->count; i++) {
			numbers_add(&l->waiting, task_recipients(t)[i]);
			if (!abroad)
				numbers_add(&l->at_home, task_recipients(t)[i]);
		}
	}
}

static bool
look_at(void *arg, uint32_t number, const struct recipient *r, const struct recipient_state *s)
{
	struct looking *l = arg;
	struct late late = { .number = number, .status = STATUS(0, 4, 4, 0, "it could not be tried yet") };

	if (!numbers_has(&l->waiting, number) || !late_untold(l->message, number, r))
		return true;
	numbers_add(&l->message->warned, number);
	if (s != NULL && s->last.class != 0) {
		late.status = s->last;
		late.tried = s->tried;
		late.host = numbers_has(&l->at_home, number) ? NONE : s->host;
	}
	l->each(l->arg, &late);
	return true;
}

static bool
look_at_message(void *arg, const struct found *f)
{
	return found_each_open(f, look_at, arg);
}

void
late_each(struct queue *q, struct message *m, void (*each)(void *, const struct late *), void *arg)
{
	struct looking l = { .message = m, .each = each, .arg = arg };

	note_waiting(&l);
	spool_look(q->spool, m->id, look_at_message, &l, NULL);
	numbers_free(&l.waiting);
	numbers_free(&l.at_home);
}

/* --- told ------------------------------------------------------------------------------ */

struct keeping {
	struct queue         *queue;
	const struct message *message;
	struct numbers        told;
};

/* What was said meanwhile of one who was tried again says it too, and is newer than this. */
static void
keep_one(const struct keeping *k, const struct task *t, const struct recipient_state *found)
{
	struct recipient_state s;

	if (found == NULL || found->stage != RECIPIENT_WAITING || found->until != t->due.when)
		return;
	s = *found;
	s.told |= NOTIFY_DELAY;
	spool_state(k->queue->spool, k->message->id, &s, NULL, NULL);
}

static bool
keep_message(void *arg, const struct found *f)
{
	const struct keeping *k = arg;

	for (const struct task *t = k->message->tasks; t != NULL; t = t->next_of_message)
		for (uint32_t i = 0; t->stage == TASK_WAITING && i < t->count; i++)
			if (numbers_has(&k->told, task_recipients(t)[i]))
				keep_one(k, t, state_find(f->states, f->count, task_recipients(t)[i]));
	return true;
}

void
late_keep(struct queue *q, struct message *m, const struct told *told, size_t n)
{
	struct keeping k = { .queue = q, .message = m };

	for (size_t i = 0; i < n; i++)
		numbers_add(&k.told, told[i].recipient);
	spool_look(q->spool, m->id, keep_message, &k, NULL);
	numbers_free(&k.told);
}
