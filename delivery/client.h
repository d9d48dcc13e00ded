/* SPDX-License-Identifier: ISC */
/*
 * client -- the client's side of SMTP (RFC 5321) and LMTP (RFC 2033), from
 * replies to commands.
 *
 * Pure: replies go in with client_feed(), commands gather in `out`.  What comes
 * next is said with `want`:
 *
 *     CLIENT_REPLY    send `out`, feed me what comes
 *     CLIENT_HELLO    EHLO was answered: client_starttls(), or go on as with READY
 *     CLIENT_TLS      do the handshake, then client_secured()
 *     CLIENT_READY    client_mail() or client_quit()
 *     CLIENT_TEXT     send `out`, then the text, dots stuffed, then client_text_sent()
 *     CLIENT_DONE     the transaction is over: every recipient has his status;
 *                     then client_mail() or client_quit()
 *     CLIENT_FAILED   nothing more can be said on this connection; `failure` says
 *                     why; recipients that are still undecided keep class 0
 *     CLIENT_CLOSE    QUIT was answered
 *
 * Replies are matched by counting, never by their text (RFC 2920 3.1).
 */
#ifndef DELIVERY_CLIENT_H
#define DELIVERY_CLIENT_H

#include "base/buf.h"
#include "mail/dsn.h"
#include "mail/lines.h"
#include "mail/status.h"

struct client_recipient {
	struct slice  address;          /* as it goes onto the wire */
	struct slice  orcpt;            /* RFC 3461, as it was given; may be empty */
	unsigned      notify;           /* bits of enum notify */
	struct status status;           /* how it ended; class 0 while undecided */
};

struct client_mail {
	struct slice  sender;           /* empty: the null reverse-path */
	struct client_recipient *recipients;
	size_t        count;
	uint64_t      size;             /* octets, without stuffed dots */
	bool          eight_bit;        /* there are octets above 127 … */
	bool          eight_bit_anyway; /* … and they go to a server without 8BITMIME too */
	bool          smtputf8;         /* an address or a header field needs it */
	bool          requiretls;       /* said where it is offered … */
	bool          requiretls_needed;        /* … and without it nothing goes (RFC 8689 4.2.1) */
	enum ret      ret;
	struct slice  envid;            /* decoded; empty: none */
};

struct client_extensions {
	bool     starttls, pipelining, eight_bit, smtputf8, dsn, requiretls, chunking, size;
	uint64_t size_most;             /* 0: not said */
	unsigned recipients_most, mails_most;   /* RFC 9422; 0: not said */
};

enum client_want {
	CLIENT_REPLY, CLIENT_HELLO, CLIENT_TLS, CLIENT_READY, CLIENT_TEXT, CLIENT_DONE,
	CLIENT_FAILED, CLIENT_CLOSE,
};

struct client_reply {
	unsigned     code;              /* 0: none yet */
	struct buf   text;              /* all lines, one blank between them, without the codes */
	bool         started;
};

struct client {
	enum client_want  want;
	struct buf        out;
	struct client_extensions offers;        /* of the newest EHLO */
	bool              tls_refused;  /* that is why it failed: a reply to STARTTLS, not 421 */
	struct status     failure;
	struct slice      greeting;     /* the host name the server gave, for TLSRPT */
	uint64_t          replies;      /* whole ones, so far */

	/* private */
	struct slice      hostname;     /* what we say in EHLO */
	bool              lmtp, secure, helo_allowed;
	enum {
		AT_GREETING, AT_EHLO, AT_HELO, AT_STARTTLS, AT_IDLE, AT_MAIL, AT_RCPT, AT_DATA,
		AT_TEXT, AT_END, AT_QUIT,
	} at;
	struct lines      lines;
	struct client_reply reply;
	struct client_mail *mail;
	size_t            said, answered;       /* RCPTs sent, RCPT replies read */
	size_t            accepted, ended;      /* LMTP: replies still to come behind the text */
	bool              data_said, mail_refused;
	unsigned          mails;
	struct arena     *arena;        /* texts of replies: until the next client_mail() */
	struct arena     *memory;       /* of the connection */
};

/* `hostname` must live as long as the client. */
void client_begin(struct client *, struct slice hostname, bool lmtp);
void client_end(struct client *);

/* HELO instead of EHLO is all right when no policy needs an extension. */
void client_allow_helo(struct client *);

void client_feed(struct client *, struct slice *input);

void client_starttls(struct client *);          /* from CLIENT_HELLO, when it is offered */
bool client_securing(const struct client *);    /* STARTTLS was said, and TLS does not stand yet */
void client_secured(struct client *);           /* the handshake succeeded: EHLO again */

/*
 * Begin a transaction; the mail and its recipients stay the caller's and must
 * live until DONE or FAILED.  What the server cannot take (size, SMTPUTF8,
 * 8BITMIME, REQUIRETLS) is decided here without asking it.
 */
void client_mail(struct client *, struct client_mail *);
void client_text_sent(struct client *);         /* all text was written; the dot follows here */
/*
 * The connection has gone in CLIENT_TEXT, and this is what was said before.  RFC 5321 has no
 * reply there, but some refuse what is too much for them at once: FAILED then, and a
 * permanent reply is the status of each recipient.  Without a reply nothing changes.
 */
void client_gone_in_text(struct client *, struct slice said);
void client_quit(struct client *);

/* How long the next reply, or the handshake, may take in ms (RFC 5321 4.5.3.2). */
int64_t client_patience(const struct client *);

#endif
