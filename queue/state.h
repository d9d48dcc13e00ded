/* SPDX-License-Identifier: ISC */
/*
 * state -- what is kept beside mail (queue/caches.c), as text: a JSON object a
 * row, so that it can be read, saved and brought to another machine.
 *
 *     {"table":"sts","key":"x.test","value":"…","expires":1795333909000}
 *
 * What is no UTF-8 stands as "key_hex" and "value_hex".  Expired rows are left out.
 */
#ifndef QUEUE_STATE_H
#define QUEUE_STATE_H

#include <jansson.h>

#include "base/kv.h"

extern const char *const STATE_TABLES[];        /* NULL behind the last */

/* Every row of every table, until `row` returns false; it gets the object. */
bool state_dump(struct kv *, bool (*row)(void *arg, json_t *), void *arg, struct error *why);
/* Is it one, whatever is kept already? */
bool state_check(const json_t *row, struct error *why);
/* Put one back, in place of one with the same key.  Not committed. */
bool state_load(struct kv *, const json_t *row, struct error *why);

#endif
