/* SPDX-License-Identifier: ISC */
/* packed -- the ground of tests that pack something into bytes and unpack it into an arena. */
#ifndef TESTS_PACKED_H
#define TESTS_PACKED_H

#include "base/arena.h"
#include "base/buf.h"
#include "unit.h"

static struct arena *arena;
static struct buf    bytes;

static inline int
setup(void **state)
{
	(void)state;
	arena = arena_new(1 << 20);
	bytes = BUF(1 << 20);
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	buf_free(&bytes);
	return 0;
}

#endif
