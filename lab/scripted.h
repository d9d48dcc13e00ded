/* SPDX-License-Identifier: ISC */
/*
 * scripted -- a server that says what a script tells it: for abuse and faults.
 *
 * What no row of the script is about is answered as a plain server would, which
 * takes every message and forgets it.  What a row says goes onto the wire as it
 * stands, so it may be no SMTP at all.
 *
 * LF ends a line for it, whatever stands in front, also of a message: who smuggles
 * (RFC 5321 2.3.8, 4.1.1.4) finds it willing.
 */
#ifndef LAB_SCRIPTED_H
#define LAB_SCRIPTED_H

#include "net/loop.h"
#include "net/tls.h"

enum script_moment {
	SCRIPT_CONNECT, SCRIPT_HELO, SCRIPT_STARTTLS, SCRIPT_MAIL, SCRIPT_RCPT, SCRIPT_DATA,
	SCRIPT_TEXT,                    /* behind the final dot */
	SCRIPT_QUIT, SCRIPT_OTHER, SCRIPT_MOMENTS
};

/* "connect", "helo", …; SCRIPT_MOMENTS: there is none of that name. */
enum script_moment script_moment_of(struct slice name);
/* Of a command line. */
enum script_moment script_moment_of_line(struct slice line);

enum script_then { SCRIPT_GO_ON, SCRIPT_CLOSE, SCRIPT_RESET, SCRIPT_SILENCE };

struct script_row {
	enum script_moment when;
	struct slice       say;         /* one reply or more, with their line ends */
	int64_t            delay;       /* ms before it is said */
	enum script_then   then;
	bool               once;        /* afterwards what is usual, or what a later row says */
};

/* What a plain server offers. */
#define SCRIPT_OFFERS S("8BITMIME")

struct script {
	struct slice       hostname;
	struct slice       offers;      /* words of EHLO beside STARTTLS, blanks between them */
	int64_t            pause;       /* ms between two bytes that it says; 0: there is none */
	bool               bare_cr;     /* a CR alone ends a line too */
	struct script_row *rows;
	size_t             count;
};

struct scripted;

/* A message that was taken. */
struct script_visit {
	struct slice from, to;          /* as in MAIL and RCPT; blanks between several */
	const char  *tls;               /* "TLSv1.3"; NULL: it came in the clear */
	size_t       bytes;
	bool         ascii;             /* all of it, paths too */
};

struct scripted_options {
	struct loop             *loop;
	const struct tls_server *tls;   /* NULL: no STARTTLS; must outlive it */
	const struct script     *script;        /* the same */
	void                   (*took)(void *arg, const struct script_visit *);         /* or NULL */
	void                    *arg;
};

/* `fd` listens already and is taken over. */
struct scripted *scripted_new(const struct scripted_options *, int fd);
void             scripted_free(struct scripted *);      /* NULL is fine */

#endif
