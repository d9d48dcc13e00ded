/* SPDX-License-Identifier: ISC */
/*
 * leaving -- who has left a list of ours with one click (RFC 8058), on the disk.
 *
 * The file of members is the administrator's, and nobody else writes to it.  So
 * the queue keeps, beside mail (queue/state.h), who has left: a row "list LF member"
 * in small letters, with the time.  Whoever stands there gets no post of that list,
 * until the row is forgotten by command.  There is a row at most for each member
 * that a list has had; it stays until it is forgotten.
 */
#ifndef QUEUE_LEAVING_H
#define QUEUE_LEAVING_H

#include "base/arena.h"
#include "base/kv.h"

struct left_row {
	struct slice list, member;      /* addresses in small letters */
	int64_t      when;              /* ms */
};

/* All rows, or those of one list (else NONE), until `each` returns false. `each` may not call kv. */
bool left_each(struct kv *, struct slice list, bool (*each)(void *arg, const struct left_row *),
    void *arg, struct error *why);

/* Whether there is such a row. */
enum kv_answer left_find(struct kv *, struct slice list, struct slice member, struct error *why);
/* Durable when they return true. What is not there is fine. */
bool left_put(struct kv *, struct slice list, struct slice member, int64_t when, struct error *why);
bool left_forget(struct kv *, struct slice list, struct slice member, struct error *why);

#endif
