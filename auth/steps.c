/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/steps.h"

struct step *
step_new(const char *name, struct slice subject, struct arena *arena)
{
	struct step *s = arena_get(arena, sizeof *s);

	if (s == NULL)
		return NULL;
	*s = (struct step){ .arena = arena, .name = name, .subject = arena_copy(arena, subject) };
	s->last = &s->first;
	s->last_detail = &s->details;
	return s;
}

void
step_put(struct step *under, struct step *s)
{
	if (under == NULL || s == NULL)
		return;
	*under->last = s;
	under->last = &s->next;
}

struct step *
step_add(struct step *under, const char *name, struct slice subject)
{
	struct step *s = under != NULL ? step_new(name, subject, under->arena) : NULL;

	step_put(under, s);
	return s;
}

void
step_end(struct step *s, const char *result, const char *rule)
{
	if (s == NULL)
		return;
	s->result = result;
	s->rule = rule;
}

void
step_why(struct step *s, struct slice why)
{
	if (s != NULL)
		s->why = why;
}

static void
add_detail(struct step *s, struct detail detail)
{
	struct detail *d;

	if (s == NULL || detail.value.n == 0 || (d = arena_get(s->arena, sizeof *d)) == NULL)
		return;
	*d = detail;
	*s->last_detail = d;
	s->last_detail = &d->next;
}

void
step_detail(struct step *s, const char *name, struct slice value)
{
	add_detail(s, (struct detail){ .name = name, .value = value });
}

void
step_number(struct step *s, const char *name, int64_t value)
{
	if (s != NULL)
		add_detail(s, (struct detail){ .name = name, .is_number = true,
		    .value = arena_printf(s->arena, "%lld", (long long)value) });
}

void
step_asked(struct step *under, const struct fact *f, const char *rule)
{
	struct step *s = f != NULL ? step_add(under, "query", f->name) : NULL;

	if (s == NULL)
		return;
	step_end(s, answer_name(f->answer), rule);
	step_why(s, f->why);
	s->fact = f;
}

void
step_clear(struct step *s)
{
	if (s == NULL)
		return;
	s->first = NULL;
	s->last = &s->first;
}

struct slice
step_value(const struct step *s, const char *name)
{
	for (const struct detail *d = s->details; d != NULL; d = d->next)
		if (slice_eq(slice(d->name), slice(name)))
			return d->value;
	return NONE;
}
