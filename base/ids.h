/* SPDX-License-Identifier: ISC */
/*
 * ids -- names for messages: 60 bits, sortable by time, never given twice on
 * one machine.
 *
 *     41 bits  milliseconds since 2020
 *      5 bits  the slot of the process that gave it; no two live ones share a slot
 *     14 bits  a counter within the millisecond
 *
 * A clock that is set back does not bring names back: time here never goes back
 * while the process lives.  As text: id_text() (base/text.h).
 */
#ifndef BASE_IDS_H
#define BASE_IDS_H

#include "base/clock.h"

enum { ID_SLOTS = 32 };

struct ids {
	const struct clock *clock;
	unsigned            slot;
	int64_t             last;       /* ms since 2020 */
	unsigned            count;
};

uint64_t ids_next(struct ids *);        /* never 0 */
/* When it was given, in ms since 1970. */
int64_t  ids_time(uint64_t id);

#endif
