/* SPDX-License-Identifier: ISC */
/*
 * verbs -- what each command does (RFC 5321 4.1.1 and its extensions).
 *
 * Private to the session engine: session.c cuts the line, a verb answers it.
 */
#ifndef SMTPD_VERBS_H
#define SMTPD_VERBS_H

#include "smtpd/session.h"

struct verb {
	const char *name;
	void      (*run)(struct session *, struct slice argument);
	bool        before_tls;         /* allowed where TLS is required and not there yet */
	bool        bounded;            /* has a limit of its own: not counted as idling */
};

/* The verb of a command line; *argument_r is what stands behind it, trimmed. NULL: unknown. */
const struct verb *verb_find(struct slice line, struct slice *argument_r);

/* Helpers of both files. */
void session_say(struct session *, struct status);
void session_refuse(struct session *, struct status);   /* counted as an error */
void transaction_clear(struct session *);

#endif
