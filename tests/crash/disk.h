/* SPDX-License-Identifier: ISC */
/*
 * disk -- what may be on a disk after a power cut, from what a program did to it.
 *
 * What was flushed is there.  What was written since may be there or not, as the
 * mode says; so may names: those of a directory that was not flushed since, each
 * directory up to some point in their order.
 */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include "base/arena.h"
#include "base/buf.h"
#include "tests/crash/log.h"

enum disk_mode {
	DISK_DROP,                      /* nothing that was not flushed */
	DISK_KEEP,                      /* all of it */
	DISK_PAGES,                     /* some pages of 4096 bytes */
	DISK_SECTORS,                   /* some sectors of 512 bytes: torn pages */
	DISK_MODES,
};

struct disk_log {
	struct buf bytes;
	size_t    *at;                  /* where each operation begins */
	size_t     count;
};

void disk_log_read(struct disk_log *, const char *path);
void disk_log_free(struct disk_log *);
/*
 * Build the disk below `dir`, which must not be there, after the first `count`
 * operations; what the world was told by then is added to `told`.
 */
void disk_build(const struct disk_log *, size_t count, enum disk_mode, uint64_t seed,
    const char *dir, struct buf *told);

#endif
