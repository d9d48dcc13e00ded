/* SPDX-License-Identifier: ISC */
/*
 * secrets -- what only this host knows: the keys of its SRS addresses, of its
 * tickets, and of the words with which members leave its lists.
 *
 * They stand in a file of the state directory, a line each, the newest first:
 *
 *     1795305600 0f1e…        since when (seconds), 32 bytes in hex
 *
 * The newest one marks, all of them are believed.  A new one is made every
 * SECRET_FRESH days; one is kept as long as something it has marked may come back.
 * The file itself is the master's; roles get its bytes through the reader.
 */
#ifndef CONF_SECRETS_H
#define CONF_SECRETS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/hmac.h"
#include "conf/files.h"

enum {
	SECRET_BYTES = 32,
	SECRETS_MOST = 16,
	SECRET_FRESH = 30,              /* days */
	/* A bounce may take 21 days (mail/srs.h); who leaves a list may look at an older post. */
	SECRET_KEPT = SECRET_FRESH + 60,
};

/* By what the reader calls the file. */
#define SECRETS_NAME "secrets"

struct secret_set {                     /* { 0 } has none */
	struct slice   srs_keys[SECRETS_MOST], ticket_keys[SECRETS_MOST], leave_keys[SECRETS_MOST];
	struct secrets srs, tickets, leaves;    /* count 0: nothing can be marked */
};

/* Lines that make no sense are passed over.  The keys lie in the arena. */
void secrets_parse(struct secret_set *, struct slice text, struct arena *);
/* What the reader has under SECRETS_NAME; none when it has nothing. */
void secrets_read(struct secret_set *, const struct reader *, struct arena *);

/*
 * The text of the file at this time (ms); `fresh` is used when a new secret is
 * due.  False: it is well as it is, and nothing was written.
 */
bool secrets_renew(struct slice text, int64_t now, const unsigned char fresh[SECRET_BYTES],
    struct buf *);

/* Both files in one, the newest first, each once; of more than SECRETS_MOST the oldest go. */
void secrets_join(struct slice one, struct slice other, struct buf *);

#endif
