/* SPDX-License-Identifier: ISC */
/*
 * numbers -- a set of small numbers, a bit each: of the recipients of a message, say.
 *
 * { NULL, 0 } is the empty set.  It needs an eighth of the largest number in bytes:
 * whoever takes numbers from a stranger has a limit for them.
 */
#ifndef BASE_NUMBERS_H
#define BASE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct numbers {
	unsigned char *bits;
	size_t         room;            /* bytes */
};

void numbers_add(struct numbers *, uint32_t);
bool numbers_has(const struct numbers *, uint32_t);
/* It is empty then. */
void numbers_free(struct numbers *);

#endif
