/* SPDX-License-Identifier: ISC */
/*
 * taglist -- "v=1; a=rsa-sha256; …": lists of tags and values (RFC 6376 3.2).
 *
 * DKIM-Signature, the ARC fields, key records and others of the same grammar.
 * A list is valid as a whole or not at all: a name that stands twice, an empty
 * place between two semicolons or a control character refuses all of it.
 * Names and values are compared byte by byte.  Unknown tags are simply there.
 * Everything points into the text that was parsed.
 */
#ifndef AUTH_TAGLIST_H
#define AUTH_TAGLIST_H

#include "base/buf.h"
#include "base/error.h"

enum { TAGS_MOST = 64 };                /* more make the list invalid */

struct tag {
	struct slice name;
	struct slice value;             /* white space (also folding) at both ends taken off */
	struct slice raw;               /* everything between "=" and ";" */
};

struct taglist {
	struct tag tags[TAGS_MOST];     /* in their order */
	size_t     count;
};

bool taglist_parse(struct taglist *, struct slice text, struct error *why);
/* NULL when it is not there.  A tag without a value is there, and empty. */
const struct tag *taglist_find(const struct taglist *, const char *name);

/* --- values that are lists: "from : to : subject" ------------------------ */

/* The next item, white space around it taken off; false at the end. */
bool taglist_item(struct slice *list, struct slice *item_r);
/* Is the word one of the items, byte by byte? */
bool taglist_lists(struct slice list, struct slice word);

/* --- writing ------------------------------------------------------------- */

/*
 * A header field that holds a list, folded before column 78 (RFC 5322 2.1.1)
 * where white space does no harm.  The text goes to a buf; whether it had room
 * says the buf.  The same tags always give the same bytes.
 */
struct tagwriter {
	struct buf *to;
	size_t      column;
	bool        tagged;             /* a tag was written, the next needs a ";" */
};

struct tagwriter tagwriter_begin(struct buf *to, const char *field_name);
void tagwriter_add(struct tagwriter *, const char *name, struct slice value);
/* A value of items with colons between them: may be folded behind each colon. */
void tagwriter_list(struct tagwriter *, const char *name, struct slice value);
/* "b=", after which only tagwriter_end() may come. */
void tagwriter_open(struct tagwriter *, const char *name);
/* The base64 of these bytes, which may be folded anywhere, and the end of the field. */
void tagwriter_end(struct tagwriter *, struct slice bytes);

#endif
