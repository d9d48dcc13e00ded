/* SPDX-License-Identifier: ISC */
/*
 * text -- bytes as letters and back: base64, hexadecimal, queue identifiers,
 * and what may be shown of a stranger's bytes.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buf.h"

/* RFC 4648 4, with padding, without line ends. */
void base64_add(struct buf *, struct slice bytes);
/*
 * Decode strictly: white space of a folded field is skipped, everything else
 * outside the alphabet, wrong padding and left-over bits are refused.
 */
bool base64_decode(struct buf *, struct slice text);
/* What a letter of its alphabet stands for: 0 to 63, or -1. */
int  base64_value(char);

void hex_add(struct buf *, struct slice bytes);                 /* lower case */
bool hex_decode(struct buf *, struct slice text);

/* A 60-bit number as 12 letters of Crockford's base 32; they sort like it. */
enum { ID_TEXT = 12 };
void id_text(uint64_t id, char text_r[ID_TEXT + 1]);
bool id_parse(struct slice text, uint64_t *id_r);

/*
 * A stranger's bytes so that they can stand in a log line, a reply or on a
 * terminal: printable ASCII and valid UTF-8 as they are, everything else, the
 * backslash too, as \xHH.  Nothing in the result ends a line.
 */
void shown_add(struct buf *, struct slice bytes);
/* The same, but a backslash stays as it is: for words that shall stay what they are. */
void harmless_add(struct buf *, struct slice bytes);

/* RFC 3629, strictly: no overlong forms, surrogates or values above 10FFFF. */
bool utf8_valid(struct slice);
/* The length of the valid character in front of what is not empty, or 0. */
size_t utf8_length(struct slice);
bool ascii_only(struct slice);

/*
 * How many letters must be changed, added or left out to make a into b (ASCII
 * case ignored): for "did you mean".  Words longer than 31 count as far away.
 */
unsigned word_distance(struct slice a, struct slice b);

#endif
