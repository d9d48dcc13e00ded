/* SPDX-License-Identifier: ISC */
/*
 * shown -- what strangers wrote, for programs (JSON) and for people (a line of
 * text): nothing in it ends a line or moves a terminal's cursor.
 */
#ifndef CMD_SHOWN_H
#define CMD_SHOWN_H

#include <jansson.h>

#include "base/buf.h"
#include "dns/facts.h"

/* A string; null when there is nothing. */
json_t *shown_json(struct slice);
/* {"name", "type", "answer", "security", "why", "records": […]} */
json_t *shown_fact_json(const struct fact *);
/* Its records with commas between them, or why it was not answered. */
void shown_fact_add(struct buf *, const struct fact *);

/* One line of JSON on standard output; the object is given up. */
void shown_print(json_t *);

#endif
