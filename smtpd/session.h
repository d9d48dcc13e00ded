/* SPDX-License-Identifier: ISC */
/*
 * session -- the server's side of SMTP (RFC 5321), from bytes to replies.
 *
 * Pure: bytes go in with session_feed(), replies gather in `out`, the text of a
 * message goes to a sink.  Whatever needs the world is said with `want`:
 *
 *     SESSION_MORE     feed me
 *     SESSION_ACCEPT   a whole message came: decide, store, then session_finish()
 *     SESSION_TLS      220 was said: do the handshake, then session_secured()
 *     SESSION_CLOSE    send `out`, then close
 *
 * The engine knows the rules of the protocol and the limits; whose recipients
 * are ours it asks (`recipient`), what becomes of a message it is told.
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include "base/buf.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "mail/lines.h"
#include "mail/status.h"

enum {
	COMMAND_MOST = 4096,            /* octets of a command line with its CRLF */
	RECIPIENT_MEMORY = 2048,        /* octets for a recipient with the longest names */
	/*
	 * Of a transaction, however many recipients it may have.  A recipient takes more of
	 * it than of a packed envelope: what was accepted can be stored (ENVELOPE_MOST).
	 */
	TRANSACTION_MOST = 16 << 20,
};

/* What one listener offers one client; nothing in it changes during a session. */
struct session_terms {
	struct slice     hostname;
	bool             tls_offered;   /* there is a certificate */
	bool             tls_required;  /* nothing happens before STARTTLS (RFC 3207 4) */
	bool             tls_at_once;   /* the connection begins with TLS (RFC 8314 3.3) */
	bool             relay;         /* this client may send to anybody */
	enum bare_policy bare;          /* BARE_KEEP: a bare CR or LF is refused */
	uint64_t         size_most;     /* of a message, in octets */
	unsigned         recipients_most;       /* of a transaction, if TRANSACTION_MOST has room */
	unsigned         errors_most;   /* 5yz replies to commands, then 421 */
	unsigned         idle_most;     /* commands without a message between them, then 421 */
	size_t           line_most;     /* octets of a text line; longer ones are refused */
	/* A good status takes the recipient; its text is what is said. */
	struct status  (*recipient)(void *arg, const struct address *);
	/* A command was refused, for the log; may be NULL. */
	void           (*refused)(void *arg, struct slice verb, struct status);
	void            *arg;
};

struct session_recipient {
	struct session_recipient *next;
	struct session_recipient *below[2];     /* private: a tree, by the bits of the address */
	struct address address;
	unsigned       notify;          /* bits of enum notify */
	struct slice   orcpt;           /* as it was given, xtext and all */
};

/* One transaction: from MAIL to the end of the text. */
struct transaction {
	struct arena  *arena;           /* everything of it, until session_finish(); or NULL */
	bool           begun;           /* MAIL was accepted */
	struct address sender;          /* empty: the null reverse-path */
	struct session_recipient *recipients, **last;
	struct session_recipient *tree; /* the same, to find one who was named before */
	unsigned       count;
	bool           eight_bit, smtputf8, requiretls;
	enum ret       ret;
	struct slice   envid;           /* decoded */
};

enum session_want { SESSION_MORE, SESSION_ACCEPT, SESSION_TLS, SESSION_CLOSE };

struct session {
	const struct session_terms *terms;
	enum session_want  want;
	struct buf         out;
	struct slice       helo;        /* as it was said; empty before HELO and EHLO */
	bool               extended, secure;
	struct transaction mail;
	struct text        text;        /* the text of the message that is being received */
	uint64_t           texts;       /* that have begun: chunks may be given up by RSET (RFC 3030 2) */
	/* Gets the text of a message, piece by piece, dots removed. */
	void             (*sink)(void *arg, struct slice piece);
	void              *sink_arg;

	/* private */
	enum { READ_COMMAND, READ_TEXT, READ_CHUNK } reading;
	struct lines       lines;
	char               helo_text[256];
	uint64_t           chunk_left;
	bool               chunked, chunk_last, chunk_refused;
	unsigned           errors, idle;
	struct slice       verb;        /* of the command that is being answered */
	struct slice       about;       /* RCPT: the recipient, while it is refused */
};

/* Says the greeting, unless TLS comes first. */
void session_begin(struct session *, const struct session_terms *,
    void (*sink)(void *arg, struct slice piece), void *arg);
void session_end(struct session *);

/* Take what can be taken from the front of *input, until something else is wanted. */
void session_feed(struct session *, struct slice *input);

/*
 * SESSION_ACCEPT is over: say the status, forget the transaction.  A reply of
 * 421 also closes.  What stood wrong in the text itself comes from
 * session_text_flaw().
 */
void session_finish(struct session *, struct status);
/* Why this text cannot be accepted whatever it says, or a status of class 0. */
struct status session_text_flaw(const struct session *);
/* The handshake is done: all knowledge from before is gone (RFC 3207 4.2). */
void session_secured(struct session *);
/* Say this and close: a timeout, a shutdown. */
void session_close(struct session *, struct status);

/* "ESMTPS" and the like (RFC 3848, RFC 6531 4.3). */
const char *session_protocol(const struct session *);

#endif
