/* SPDX-License-Identifier: ISC */
/*
 * steps -- what an evaluation did, one step below the other, for whoever wants
 * to know why (`chainmail verify --explain`).
 *
 * An evaluator that is given a step puts what it does under it: what it looked
 * at, the question it asked, the rule of the RFC, what came out.  Given NULL, or
 * when the arena is full, it does nothing: every function here takes NULL for a
 * step, so that nobody need ask whether somebody wants to know.
 *
 * Steps live in the arena.  Texts are borrowed; rules, names and results are ours.
 */
#ifndef AUTH_STEPS_H
#define AUTH_STEPS_H

#include "base/arena.h"
#include "dns/facts.h"

struct detail {
	struct detail *next;
	const char    *name;            /* "alignment", "signed_at" */
	struct slice   value;
	bool           is_number;       /* for programs */
};

struct step {
	struct step   *next, *first, **last;    /* beside it; below it */
	struct arena  *arena;
	const char    *name;            /* what kind: "spf", "term", "query", "set" */
	struct slice   subject;         /* what about: "ip4:192.0.2.0/24", "example.org/s1" */
	const char    *result;          /* "pass", "no match"; NULL: nothing came out */
	struct slice   why;             /* a clause for people, or empty */
	const char    *rule;            /* "RFC 7208 5.6", or NULL */
	const struct fact *fact;        /* the question of this step, or NULL */
	struct detail *details, **last_detail;
};

/* A step that stands alone: the root of a tree, or to be put somewhere later. */
struct step *step_new(const char *name, struct slice subject, struct arena *);
/* The next one below `under`; a copy of the subject is made. */
struct step *step_add(struct step *under, const char *name, struct slice subject);
/* Put a lone step below another. */
void step_put(struct step *under, struct step *);
/* What came out, and by which rule. */
void step_end(struct step *, const char *result, const char *rule);
void step_why(struct step *, struct slice why);
/* An empty value is left out. */
void step_detail(struct step *, const char *name, struct slice value);
void step_number(struct step *, const char *name, int64_t value);
/* A question that was asked: the step "query" below `under`.  A fact of NULL is none. */
void step_asked(struct step *under, const struct fact *, const char *rule);
/* Forget everything below it: the evaluator begins again (HACKING 2). */
void step_clear(struct step *);

/* The value of a detail; empty when it is not there. */
struct slice step_value(const struct step *, const char *name);

#endif
