/* SPDX-License-Identifier: ISC */
/*
 * intake -- take a message in, in one pass: its bytes are kept as they came, its
 * header is parsed once, and every body hash that a signature or our own seal
 * will need is made while the body flows by.
 *
 * A small message stays in memory.  A larger one goes into a file that the queue
 * has opened for it: `wants_file` says when; until intake_file() brings it the
 * caller should bring no more text.
 */
#ifndef SMTPD_INTAKE_H
#define SMTPD_INTAKE_H

#include "arc/verdict.h"
#include "base/error.h"
#include "mail/status.h"

enum {
	INTAKE_MEMORY = 256 << 10,      /* a larger message goes into a file */
	INTAKE_HEADER = 256 << 10,      /* a larger header is refused */
	INTAKE_ARENA = 8 << 20,         /* header, signatures, facts, results of one message */
};

struct intake {
	struct arena   *arena;
	struct buf      content;        /* not yet in the file */
	size_t          scanned;        /* no end of the header before it */
	bool            signs, header_done, wants_file, eight_bit;
	struct header   header;
	struct bodies   bodies;
	struct verdict *verdict;        /* once the header is done */
	int             file;           /* -1: none */
	struct buf      crumbs;         /* short pieces, on their way to it */
	uint64_t        written;        /* octets of it … */
	uint64_t        hastened;       /* … and how many of those were sent on to the disk */
	uint32_t        sum;            /* … and the CRC32C of all that were written */
	uint64_t        file_number;    /* how the queue calls it; 0: none, or it has it back */
	uint64_t        size;           /* octets so far */
	struct status   flaw;           /* class 0: none.  What comes after a flaw is dropped */
};

/* `signs`: we may seal or sign it, and need the relaxed hash of its body (RFC 6376 3.4.4). */
void intake_begin(struct intake *, bool signs);
void intake_end(struct intake *);       /* closes the file, if it is still ours */
void intake_add(struct intake *, struct slice text);
/* A file to write to; taken over. */
void intake_file(struct intake *, int fd, uint64_t number);
/* The message cannot be taken, whatever it says; the first reason stays. */
void intake_refuse(struct intake *, struct status);
/* All text has come: the hashes are finished, a header without a body is a header too. */
void intake_finish(struct intake *);

#endif
