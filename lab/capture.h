/* SPDX-License-Identifier: ISC */
/*
 * capture -- the messages that have reached a Maildir of the world, read back
 * from the disk, oldest first on each host.
 */
#ifndef LAB_CAPTURE_H
#define LAB_CAPTURE_H

#include "auth/authres.h"
#include "lab/world.h"
#include "mail/header.h"

struct captured {
	struct captured *next;
	struct citizen  *citizen;
	struct slice     file;          /* its name: "SECONDS.IDrINDEX.HOST" */
	struct slice     address;       /* user@domain, by the Maildir's path */
	struct slice     id;            /* under which the host had it in its queue */
	struct slice     bytes;         /* with CRLF, as on the wire */
	struct header    header;
	struct slice     body;
	bool             taken;         /* an expectation was about it */
};

struct captures {
	struct captured *first;
	size_t           count;
	struct arena    *arena;
};

void captures_begin(struct captures *);
void captures_end(struct captures *);
/* What has come since is there too; `taken` stays. */
bool captures_look(struct captures *, const struct world *, struct error *why);

/* Return-Path without its brackets; empty: null. */
struct slice captured_sender(const struct captured *, struct arena *);
/* What its host found out: its own Authentication-Results; false: there are none. */
bool         captured_results(const struct captured *, struct arena *, struct authres *);
/* The event of the host that handed it over ("delivered"), or NULL: it came from a client. */
const struct event_line *captured_hop(const struct captured *, struct arena *);
/* The event of its arrival ("received"), or NULL. */
const struct event_line *captured_arrival(const struct captured *);

#endif
