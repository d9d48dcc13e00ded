/* SPDX-License-Identifier: ISC */
/*
 * sender -- somebody in a lab's world who sends a message: the client of
 * delivery/connection, once, with one message.  A user of a host comes to its
 * desk (port 587), everybody else to port 25.
 */
#ifndef LAB_SENDER_H
#define LAB_SENDER_H

#include "lab/world.h"
#include "mail/status.h"

struct sending_to {
	struct slice  address;
	struct status status;           /* class 0: not yet; what the host said */
};

struct sending {
	struct sending         *next;
	const struct statement *statement;
	struct citizen         *through;        /* the host that was spoken to */
	struct slice            from;           /* empty: null */
	struct sending_to      *to;
	size_t                  count;
	struct slice            message;        /* as it was sent */
	bool                    over;
};

struct senders;

struct senders *senders_new(struct world *);
void            senders_free(struct senders *);         /* NULL is fine */
/* Begin with a `send` statement; it goes on as the world turns. False: no such file, no socket. */
bool            sender_begin(struct senders *, const struct statement *, struct error *why);
/* All so far, in their order. */
const struct sending *senders_first(const struct senders *);

#endif
