/* SPDX-License-Identifier: ISC */
/*
 * story -- the steps of a verdict (arc/explain.h) for people and for programs.
 * Both are made from the same tree and from nothing else.
 */
#ifndef CMD_STORY_H
#define CMD_STORY_H

#include <jansson.h>

#include "auth/steps.h"
#include "base/buf.h"

/* The author and his policy, and a line for each result. */
void story_results(struct buf *, const struct step *root);
/* The chain hop by hop; nothing without one. */
void story_chain(struct buf *, const struct step *root);
/* Every step with its questions, answers and rules. */
void story_steps(struct buf *, const struct step *root);

/*
 * {"step", "subject", "result", "why", "rule", …details…, "query": {…}, "steps": […]};
 * what a step does not have is left out.
 */
json_t *story_json(const struct step *root);

#endif
