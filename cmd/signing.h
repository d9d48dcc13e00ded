/* SPDX-License-Identifier: ISC */
/*
 * signing -- what `chainmail sign` and `chainmail seal` have in common: their
 * options, the message, the key, the time.
 */
#ifndef CMD_SIGNING_H
#define CMD_SIGNING_H

#include "auth/sign.h"
#include "cmd/cmd.h"

enum {
	SIGNING_MESSAGE = 64 << 20,     /* octets of a message */
	SIGNING_HEADER = 1 << 20,       /* octets of what is added */
	FIELD_NAME_MOST = 76,           /* octets of a name in --headers */
};

struct signing_options {
	const char *domain, *selector, *key, *headers, *time;
};

#define SIGNING_ROWS(o) \
	{ "--domain", OPTION_TEXT, &(o)->domain, "DOMAIN", "who signs (d=)" }, \
	{ "--selector", OPTION_TEXT, &(o)->selector, "NAME", "under which name the key is published (s=)" }, \
	{ "--key", OPTION_TEXT, &(o)->key, "FILE", "the private key, RSA or Ed25519, PEM" }, \
	{ "--headers", OPTION_TEXT, &(o)->headers, "LIST", "the signed fields: from:to:subject" }, \
	{ "--time", OPTION_TEXT, &(o)->time, "UNIX", "seconds since 1970 instead of now (t=)" }

struct signing {
	struct arena      *arena;
	struct buf         message;
	struct header      header;
	struct slice       body;
	struct bodies      bodies;      /* of the message, not yet fed */
	struct signing_key key;
	struct signer      signer;
	int64_t            now;         /* milliseconds */
	unsigned char      body_hash[SHA256_BYTES];     /* relaxed, whole */
};

/*
 * Options, key and message: the exit code, 0 when all is there; what was missing
 * or wrong has been said.  Bare LFs have become CRLF; a bare CR and a NUL are wrong.
 * signing_end() is needed in any case.
 */
int signing_begin(struct signing *, const char *command, const struct signing_options *);
/* The body through the hashes, also through those that were wanted since. */
void signing_hash_body(struct signing *);
void signing_end(struct signing *);

/* The fields and the message to standard output; the exit code. */
int signing_write(const struct signing *, const char *command, struct slice fields);
/* Say why; gives EX_DATAERR. */
int signing_failed(const char *command, const char *why);

#endif
