/* SPDX-License-Identifier: ISC */
/*
 * files -- the outside files that a configuration names, and their bytes.
 *
 * Only the master opens files.  It reads them once, keeps them here with the
 * purpose each one serves, and hands every role the files of the purposes that
 * role may see; a role parses them with the same code, through the same reader.
 * Tests and the lab have no files at all: they add texts.
 */
#ifndef CONF_FILES_H
#define CONF_FILES_H

#include "base/error.h"
#include "base/pack.h"

enum file_purpose {
	FILE_CONFIG,                    /* configuration text */
	FILE_TLS_CERTIFICATE,
	FILE_TLS_KEY,
	FILE_WEB_CERTIFICATE,           /* of the web role alone: nobody else sees its key */
	FILE_WEB_KEY,
	FILE_SIGNING_KEY,               /* DKIM and ARC */
	FILE_ROOTS,                     /* certificate authorities */
	FILE_ANCHOR,                    /* DNSSEC trust anchor */
	FILE_FACTS,                     /* answers instead of a resolver (dns/zone.h) */
	FILE_NAMESERVERS,               /* resolv.conf */
	FILE_ALIASES,                   /* aliases(5), and what it includes */
	FILE_MEMBERS,                   /* of a list */
	FILE_USERS,
	FILE_TRUST,                     /* trusted ARC sealers */
	FILE_LISTS,                     /* what a list manager says of its addresses */
	FILE_SECRETS,                   /* of forwarding and tickets (secrets.h) */
	FILE_PURPOSES
};

const char *file_purpose_name(enum file_purpose);       /* "tls key" */

/*
 * How a parser gets at files.  `name` is a file or, for FILE_CONFIG, a pattern
 * (file_pattern()); the caller asks for turn 0, 1, 2, … until READ_NO_MORE.  The
 * bytes live as long as what is behind the reader.
 */
enum reading { READ_FILE, READ_NO_MORE, READ_FAILED };

struct reader {
	enum reading (*read)(void *arg, struct slice name, enum file_purpose, unsigned turn,
	    struct slice *name_r, struct slice *bytes_r, struct error *why);
	void *arg;
};

/* A pattern has `*` or `?` behind its last slash; they never match a leading dot. */
bool file_pattern(struct slice name);
bool file_matches(struct slice pattern, struct slice name);

/* --- a set of files -------------------------------------------------------- */

struct file {
	char             *name;
	size_t            name_length;
	enum file_purpose purpose;
	struct buf        bytes;
};

struct files {                          /* { 0 } is an empty one */
	struct file **file;
	size_t        count, room;
};

enum { FILE_MOST_BYTES = 64 << 20 };

void files_free(struct files *);
/* An empty file of that name and purpose, to be filled; the one there is, emptied. */
struct file *files_add(struct files *, struct slice name, enum file_purpose);
void         files_drop(struct files *, struct file *); /* which was added last */
const struct file *files_find(const struct files *, struct slice name, enum file_purpose);

/* Reads what is in the set and nothing else; patterns in the order of their names. */
struct reader files_reader(struct files *);

/* Those files whose purpose p has the bit 1 << p in `purposes`. */
void files_pack(const struct files *, unsigned purposes, struct buf *);
bool files_unpack(struct files *, struct unpack *);     /* false: what came makes no sense */

#endif
