/* SPDX-License-Identifier: ISC */
/*
 * status -- how something ended, in the words of mail.
 *
 * One type for a reply to a client, the result of a delivery, a line of a
 * report and a line of the log: an SMTP reply code (RFC 5321 4.2), an enhanced
 * status code (RFC 3463) and a sentence.
 */
#ifndef MAIL_STATUS_H
#define MAIL_STATUS_H

#include "base/arena.h"

struct status {
	unsigned     reply;             /* 250; 0: not said */
	unsigned     class, subject, detail;    /* 2.1.5; class 0: has none (354, 220) */
	struct slice text;              /* one line, without codes; whose it is says the giver */
	bool         uncoded;           /* its server did not say class, subject and detail */
};

/* A status of our own: STATUS(550, 5,1,1, "no such user here"). */
#define STATUS(reply, class, subject, detail, text) \
	((struct status){ (reply), (class), (subject), (detail), S(text), false })
/* The same as a static initializer. */
#define STATUS_INIT(reply, class, subject, detail, text) \
	{ (reply), (class), (subject), (detail), S_INIT(text), false }

/* The same with a text that is made. */
static inline struct status
status_make(unsigned reply, unsigned class, unsigned subject, unsigned detail, struct slice text)
{
	return (struct status){ reply, class, subject, detail, text, false };
}

static inline bool status_good(struct status s)      { return s.class == 2; }
static inline bool status_transient(struct status s) { return s.class == 4; }
static inline bool status_permanent(struct status s) { return s.class == 5; }

/*
 * The status in a reply of another server: code, text behind the first three
 * digits and their separator.  Without a proper enhanced code the class comes
 * from the reply code and the rest is 0.0 (RFC 3463 2), and the text is all he said.
 */
struct status status_of_reply(unsigned reply, struct slice text);

/* Reply code and `uncoded` in sixteen bits, for what is packed. */
enum { STATUS_UNCODED = 0x8000 };

static inline unsigned
status_pack_reply(const struct status *s)
{
	return s->reply | (s->uncoded ? STATUS_UNCODED : 0);
}

static inline void
status_unpack_reply(struct status *s, unsigned packed)
{
	s->reply = packed & ~(unsigned)STATUS_UNCODED;
	s->uncoded = (packed & STATUS_UNCODED) != 0;
}

#endif
