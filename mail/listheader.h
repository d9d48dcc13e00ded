/* SPDX-License-Identifier: ISC */
/*
 * listheader -- what a list says of itself in the header of a post: its name and
 * commands (RFC 2919, RFC 2369, RFC 8058), through which lists it went, and, where
 * the author's domain forbids others to write in its name, its own address as author.
 *
 * Everything here works on an edit (edit.h), whose `full` is looked at in the end.
 */
#ifndef MAIL_LISTHEADER_H
#define MAIL_LISTHEADER_H

#include "mail/address.h"
#include "mail/edit.h"

enum { LIST_ID_MOST = 255, LIST_NAME_MOST = 100, LIST_URI_MOST = 900 };

struct list_identity {
	struct slice   id;              /* "members.list.test" (RFC 2919 3) */
	struct slice   name;            /* for people, UTF-8; may be empty */
	struct address address;         /* where posts are sent to */
	struct address sender;          /* for Sender; text empty: no such field */
	bool           no_posts;        /* nobody may post: an announcement list */
	/* URIs (RFC 2369 3); empty: no such field */
	struct slice   help, subscribe, unsubscribe, owner, archive;
	struct slice   one_click;       /* an https URI, to be continued: listheader_one_click() */
};

/* "mailto:" and the address, escaped (RFC 6068 2), for the URIs above. */
void mailto_add(struct buf *, const struct address *);

/* Whether id, name and URIs are what they must be; for the configuration. */
bool list_check(const struct list_identity *, struct error *why);

/*
 * Whether this post has already been through the list: then it must not go through
 * it again.  Another list between the two puts its own List-Id in place of ours
 * (RFC 2919 3), therefore each list adds an X-BeenThere, which all of them leave alone;
 * Mailman knows the name too.  So no ring of lists goes round, on whatever hosts they are.
 */
bool listheader_loops(const struct header *, const struct list_identity *);

/*
 * Whether a program wrote this as an answer (RFC 3834 5: Auto-Submitted: auto-replied).
 * No list posts it: each member's program that answers would have another one to answer.
 */
bool listheader_answers(const struct header *);

/*
 * Leave out what the poster, or another list, said in these fields (List-*,
 * Precedence, Return-Path, X-Original-From; Sender if the list has its own), and
 * add ours at the end, X-BeenThere with the list's address behind those of other lists.
 */
void listheader_write(struct edit *, const struct list_identity *);

/*
 * For one member: make List-Unsubscribe name the https URI first in which he and
 * the list are hidden, and add List-Unsubscribe-Post (RFC 8058 3.1).  DKIM must
 * cover both (4).
 */
void listheader_one_click(struct edit *, struct slice uri);

/* Of a URI for one-click: its path, without a `/` at the end; empty: it has none. */
struct slice one_click_path(struct slice uri);

/*
 * Write the post in the list's name: behind listheader_write(), where the
 * author's domain asks for quarantine or reject, or he is one of ours and not proved.
 *
 *     From: "Ann via Members" <members@list.test>
 *     Reply-To: the author, where nothing stood: answers go where they went before
 *     X-Original-From, Author: the author (RFC 9057), byte for byte
 *
 * The name is taken over whatever it holds; encoded words stay as they are.  A
 * Sender of the poster's would name the wrong one and goes.  Where there is not one
 * From with an address in it, the list alone is the author: all of them go, the first
 * stays as X-Original-From, and nobody is to be answered who cannot be read.
 */
void listheader_from(struct edit *, const struct list_identity *);

#endif
