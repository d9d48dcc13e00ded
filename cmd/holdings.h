/* SPDX-License-Identifier: ISC */
/*
 * holdings -- what a backup holds, written down when it was made, so that a
 * restoration can tell what it has become since.
 *
 * DIR/holds is text; the files are those below DIR/queue, and DIR/secrets, sorted, and
 * the line of messages is the last, so that a list that was cut shows:
 *
 *     chainmail backup 1
 *     content/0123456789AB 568000 99aabbcc    bytes, CRC32C
 *     secrets 77 0a1b2c3d                     when there are any
 *     seg/00000001 28672 1a2b3c4d
 *     lacks 0                                 what could not be copied
 *     messages 3                              that live in it
 */
#ifndef CMD_HOLDINGS_H
#define CMD_HOLDINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Reads all that was copied once more. */
bool holdings_write(const char *dir, uint64_t messages, size_t lacks, struct error *why);

/*
 * Compare: `say` gets a sentence for each thing that is not as it was written down,
 * and the number of them is added to `lacks_r`.  One that has no list is of an older
 * program and stands for itself; then, too, `messages_r` is 0.  False when the list
 * cannot be read, or is none.
 */
bool holdings_compare(const char *dir, void (*say)(void *arg, const char *sentence), void *arg,
    uint64_t *messages_r, size_t *lacks_r, struct error *why);

#endif
