/* SPDX-License-Identifier: ISC */
/* unit -- what every unit test needs: cmocka, and a look at slices. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/slice.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Fails with both texts and the place of the case. */
#define assert_slice(got, want) assert_slice_(got, slice(want), __FILE__, __LINE__)

static inline void
assert_slice_(struct slice got, struct slice want, const char *file, int line)
{
	if (!slice_eq(got, want))
		print_error("got  \"%.*s\"\nwant \"%.*s\"\n", FMT(got), FMT(want));
	_assert_true(slice_eq(got, want), "slices are equal", file, line);
}

/* For tables: says which case it was. */
#define assert_case(condition, number, text) do { \
	bool good_ = (condition);       /* asked once: it may be an act */ \
	if (!good_) \
		print_error("case %zu: %s\n", (size_t)(number), (text)); \
	_assert_true(good_, #condition, __FILE__, __LINE__); \
} while (0)

#endif
