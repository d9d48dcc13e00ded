/* SPDX-License-Identifier: ISC */
/*
 * link -- framed messages between two roles, over a socketpair.
 *
 * A frame is a kind, up to LINK_FRAME_MOST bytes, and at most one file
 * descriptor.  Frames arrive whole, in order, or not at all.  Both ends are our
 * own processes, but the other one may have been taken over by a stranger: a
 * frame that is too long ends the link, and whoever reads a payload checks it.
 * A descriptor is lost when the receiver has no room for one more: its frame
 * then comes without.
 *
 *     length u32 | kind u16 | has a descriptor u16 | payload
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include "base/buf.h"
#include "net/loop.h"

enum {
	LINK_FRAME_MOST = 17 << 20,     /* the largest envelope and a small message */
	LINK_UNSENT_MOST = 256 << 20,
	LINK_READ = 64 << 10,           /* octets at once */
	LINK_PATIENCE_MS = 10000,       /* for an end that others wait for */
};

struct link;

struct link_user {
	/* The payload is valid during the call; the descriptor (or -1) is the user's. */
	void (*frame)(void *arg, unsigned kind, struct slice payload, int fd);
	/* The other side has gone; the user calls link_end(). */
	void (*closed)(void *arg);
};

struct link *link_new(struct loop *, int fd, const struct link_user *, void *arg);
void         link_end(struct link *);           /* from anywhere; NULL is fine */
/* The payload is copied; the descriptor (-1: none) is taken and closed here. */
void         link_send(struct link *, unsigned kind, struct slice payload, int fd);
size_t       link_unsent(const struct link *);
/* Once, from the loop, when no more than so many bytes are unsent: for whoever sends much. */
void         link_when_low(struct link *, size_t unsent, void (*call)(void *), void *arg);
/*
 * Block until everything has been sent: before a process exits.  False: it has
 * not, for the other side is gone, or has read nothing for so long.
 */
bool         link_flush(struct link *, int patience_ms);
/* Take all that has arrived, until nothing more is there: before a process exits. */
void         link_take_all(struct link *);
int          link_fd(const struct link *);

/* Two connected ends, close-on-exec and non-blocking. */
void         link_pair(int ends_r[2]);

#endif
