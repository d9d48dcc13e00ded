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

/* "2026-06-01", in UTC, of seconds since 1970; "-" where that is no day. */
enum { SHOWN_DAY = sizeof "2026-06-01" };
const char *shown_day(int64_t seconds, char text[SHOWN_DAY]);

/*
 * To standard output: on a terminal no letter of a stranger does anything but be seen
 * (line ends and tabs stay); for a file, or another program, what it is.
 */
void shown_write(struct slice);

/* One line of JSON on standard output; the object is given up. */
void shown_print(json_t *);

#endif
