/* SPDX-License-Identifier: ISC */
/*
 * tap -- what every vector test needs: TAP lines, and the public suites.
 *
 * The suites lie in $CONFORMANCE and are not ours: where they are absent a
 * test says so with tap_skip() and ends well.
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/slice.h"

static unsigned tap_count, tap_failed;

static inline void __attribute__((format(printf, 2, 3)))
tap_ok(bool ok, const char *format, ...)
{
	va_list ap;

	printf("%sok %u - ", ok ? "" : "not ", ++tap_count);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	tap_failed += !ok;
}

static inline void __attribute__((format(printf, 1, 2)))
tap_skip(const char *format, ...)
{
	va_list ap;

	printf("ok %u - # skip ", ++tap_count);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
}

/* Prints the plan; the exit code of the program. */
static inline int
tap_end(void)
{
	printf("1..%u\n", tap_count);
	return tap_failed == 0 ? 0 : 1;
}

/* A JSON file of the suites, its path below $CONFORMANCE; NULL when it is not there. */
static inline json_t *
conformance(const char *path)
{
	const char *folder = getenv("CONFORMANCE");
	char full[4096];
	json_error_t error;
	json_t *json;

	snprintf(full, sizeof full, "%s/%s", folder != NULL ? folder : "../shared/conformance", path);
	if ((json = json_load_file(full, JSON_ALLOW_NUL, &error)) == NULL)
		printf("# %s: %s\n", full, error.text);
	return json;
}

static inline struct slice
json_slice(json_t *json)
{
	return json_is_string(json) ? slice_of(json_string_value(json), json_string_length(json)) : NONE;
}

#endif
