/* SPDX-License-Identifier: ISC */
/*
 * kv -- named tables of keys and values on the disk, in the order of their keys.
 *
 * One process, one thread, one writer: kv_open() takes a lock on the directory.
 * Keys and values are any bytes; keys are ordered as memcmp() orders them, a
 * shorter one first.  What was put since the last kv_commit() is seen at once and
 * is gone after a crash; what was committed survives a crash of the program, and
 * with KV_SYNC a power cut too.
 *
 * A value may expire: from that time on (milliseconds of the clock) it is not
 * seen, and kv_sweep() takes it away, some entries a call.
 *
 * Damage is never fatal.  When an environment cannot be opened, is corrupt, or
 * has brought the program down three times in a row while it was opened, it is
 * set aside as DIR/damaged-N (the newest three are kept), and an empty one takes
 * its place; kv_aside() tells, and the caller rebuilds what can be rebuilt.  When
 * something fails while it is open, every later call fails, and the next
 * kv_open() reads everything before it trusts it.
 *
 * Behind it stands Berkeley DB 5.3; kv.c is the only file that knows.
 */
#ifndef BASE_KV_H
#define BASE_KV_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"

struct kv;
struct kv_table;

enum { KV_KEY = 1000, KV_TABLES = 8 };          /* longest key; most tables */

struct kv_options {
	const char         *dir;        /* made when it is not there */
	const char *const  *tables;     /* names, NULL behind the last */
	const struct clock *clock;
	size_t              memory;     /* for pages, in bytes; at least 64 KiB */
	bool                anew;       /* throw away what is there: it can be made again */
};

struct kv  *kv_open(const struct kv_options *, struct error *why);
void        kv_close(struct kv *);              /* drops what was not committed; NULL is fine */
bool        kv_sound(const struct kv *);        /* nothing has failed: another kv_open() is not needed */
/* Where a damaged environment was put, or NULL when nothing was damaged. */
const char *kv_aside(const struct kv *);
struct kv_table *kv_table(struct kv *, const char *name);       /* one of the options' */

enum kv_answer { KV_FOUND, KV_NONE, KV_FAILED };

/* The value is added to the buf; a full one is a failure. */
enum kv_answer kv_get(struct kv_table *, struct slice key, struct buf *, struct error *why);
bool kv_put(struct kv_table *, struct slice key, struct slice value, struct error *why);
bool kv_put_until(struct kv_table *, struct slice key, struct slice value, int64_t expires,
    struct error *why);
/* What is not there is fine. */
bool kv_delete(struct kv_table *, struct slice key, struct error *why);

struct kv_entry {
	struct slice key, value;
	int64_t      expires;           /* 0: never */
};

/*
 * Every entry whose key begins with `prefix`, from the key `from` on (NONE: from
 * the first), in order, until `each` returns false.  `each` may not call kv.
 */
bool kv_range(struct kv_table *, struct slice prefix, struct slice from,
    bool (*each)(void *arg, const struct kv_entry *), void *arg, struct error *why);
/*
 * A part of them all, to be called again and again: `most` entries at most, from the
 * key in the cursor on (empty: from the first).  An entry for which `each` returns
 * false ends it and is not taken: the next call begins with it.  An empty cursor
 * afterwards: the last one was reached, or nothing can be read.
 */
bool kv_walk(struct kv_table *, struct buf *cursor, size_t most,
    bool (*each)(void *arg, const struct kv_entry *), void *arg, struct error *why);
/* How many a kv_range() over all would give; it looks at every entry. */
bool kv_count(struct kv_table *, uint64_t *count_r, struct error *why);
/* Look at the next `most` entries and take away the expired ones. */
bool kv_sweep(struct kv_table *, size_t most, size_t *removed_r, struct error *why);

enum kv_commit { KV_QUICK, KV_SYNC };

bool kv_commit(struct kv *, enum kv_commit, struct error *why);
/*
 * Bring pages to the disk, so that logs can go and the next start is short.
 * It may take long, and is the one call another thread may make meanwhile.
 */
bool kv_checkpoint(struct kv *, struct error *why);

#endif
