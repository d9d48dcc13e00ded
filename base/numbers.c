/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/numbers.h"

void
numbers_add(struct numbers *n, uint32_t number)
{
	size_t byte = number / 8, room = n->room;

	if (byte >= room) {
		n->room = byte < 2 * room ? 2 * room : byte + 1;
		n->bits = must_grow(n->bits, n->room);
		memset(n->bits + room, 0, n->room - room);
	}
	n->bits[byte] |= (unsigned char)(1 << number % 8);
}

bool
numbers_has(const struct numbers *n, uint32_t number)
{
	return number / 8 < n->room && (n->bits[number / 8] & 1 << number % 8) != 0;
}

void
numbers_free(struct numbers *n)
{
	free(n->bits);
	*n = (struct numbers){ NULL, 0 };
}
