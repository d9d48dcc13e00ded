/* SPDX-License-Identifier: ISC */
/*
 * error -- why the world refused.
 *
 * A function that can fail returns bool and takes a `struct error *why`.  On
 * failure *why holds one whole sentence without a line end; on success it is
 * untouched.  A caller that does not care passes NULL.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

struct error {
	int  number;                    /* errno, when there was one, or 0 */
	char text[256];
};

/* Both return false, so that a failure is one line: `return error_set(why, …)`. */
bool error_set(struct error *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same, with ": " and the meaning of errno behind it. */
bool error_sys(struct error *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
