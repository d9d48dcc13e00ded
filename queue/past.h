/* SPDX-License-Identifier: ISC */
/*
 * past -- what was logged of messages, kept so that it can be found again.
 *
 * The history is made of the lines of the log themselves (base/log.h, the plain
 * form), some hundred in a block.  A line is found by its words: the identifier
 * of its message, those of messages it came from, addresses, the Message-ID.
 * Beside each block stands an index, the hashes of all its words, so that of a
 * long history only those blocks are read that tell of what is asked for.  A
 * hash may be that of another word: lines that are found are looked at again.
 *
 * Values stay as they stand in a line: harmless to show (text.h, shown), and
 * inside quotes with a backslash before each quote.
 */
#ifndef QUEUE_PAST_H
#define QUEUE_PAST_H

#include "base/buf.h"

/* --- a line ------------------------------------------------------------------------ */

struct past_pair {
	struct slice key, value;        /* without the quotes around it */
};

struct past_line {
	struct slice when, level, id, event;    /* the id is "-" when there is none */
	struct slice pairs;                     /* what follows */
};

/* False: it is no line of the log. */
bool past_line(struct slice text, struct past_line *);
/* The next pair of it; false at the end, or where it is no pair any more. */
bool past_pair(struct slice *left, struct past_pair *);
/* The value of a key, or NONE. */
struct slice past_value(const struct past_line *, const char *key);
/* The next address of "<a@x.test>,<b@x.test>"; what is no path is one word.  False at the end. */
bool past_path(struct slice *left, struct slice *path);

/* Every word by which the line is found. */
void past_words(struct slice text, void (*each)(void *arg, struct slice word), void *arg);

/* Lines that tell how much was left out are found by this. */
#define PAST_NOT_KEPT "not-kept"

/* A word as somebody typed it, as it stands in lines: without <>, and harmless. */
void past_word_add(struct buf *, struct slice typed);
/* Case does not matter: neither to addresses as we look for them nor to identifiers. */
uint32_t past_hash(struct slice word);

/* --- a block ----------------------------------------------------------------------- */

enum {
	PAST_BLOCK = 64 << 10,          /* bytes of lines in one block at most */
	PAST_LINE = 4 << 10,            /* longer ones lose their end */
	PAST_INDEX = 64 << 10,          /* bytes of an index at most */
};

struct past_block {
	struct buf  text;               /* lines */
	uint32_t   *words;
	size_t      count, room;
	int64_t     last;               /* when the last of them was added */
};

void past_block_begin(struct past_block *);
void past_block_free(struct past_block *);      /* and empty again */
/* False: it is full; the line begins the next one.  With its line end. */
bool past_block_add(struct past_block *, struct slice line, int64_t now);

/* When its last line came (u64), how long the lines are (u32), the hashes in their order. */
void past_index_add(struct buf *, struct past_block *);

struct past_index {
	int64_t      last;
	uint32_t     bytes;
	struct slice hashes;
};

bool past_index_read(struct past_index *, struct slice);
bool past_index_has(const struct past_index *, uint32_t hash);

#endif
