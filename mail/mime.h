/* SPDX-License-Identifier: ISC */
/*
 * mime -- as little of MIME as a list needs (RFC 2045, RFC 2046): what a header
 * says about its body, where the parts of a multipart begin, and text in the
 * transfer encodings of mail.
 *
 * Readers of mail disagree about everything that is not quite right.  What two
 * of them may read differently is called doubtful here; nobody may build on it.
 */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

#include "base/buf.h"
#include "mail/header.h"

/* --- what a header says ------------------------------------------------------ */

struct mime_parameter {
	struct slice name;              /* in lower case; "name*0*" stays (RFC 2231) */
	struct slice value;             /* without its quotes */
};

enum { MIME_PARAMETERS = 16, BOUNDARY_MOST = 200 };

/* The value of Content-Type or Content-Disposition. */
struct mime_value {
	struct slice          type, subtype;    /* lower case; a disposition has no subtype */
	struct mime_parameter parameters[MIME_PARAMETERS];
	size_t                count;
	bool                  doubtful;
};

/*
 * Read the value of a field (RFC 2045 5.1, RFC 2183 2).  Doubtful is whatever
 * does not follow the grammar; and, because many readers do not know them,
 * comments, and extended or twice given parameters that decide how the body is
 * read.  What was read before the doubt is there.
 */
void mime_value_parse(struct mime_value *, struct slice value, struct arena *);
/* The value of a parameter; NONE without it. */
struct slice mime_parameter(const struct mime_value *, const char *name);

enum mime_encoding {
	MIME_7BIT, MIME_8BIT, MIME_BINARY, MIME_QUOTED_PRINTABLE, MIME_BASE64, MIME_OTHER,
};

struct mime_entity {
	struct mime_value  type;        /* text/plain where nothing is said (RFC 2045 5.2) */
	enum mime_encoding encoding;    /* 7bit where nothing is said (RFC 2045 6.1) */
	bool               attached;    /* a disposition other than "inline" (RFC 2183 2) */
	bool               doubtful;    /* one of the fields is, or stands there twice */
};

/* What the header of a message or part says about its body. */
void mime_entity_of(const struct header *, struct arena *, struct mime_entity *);

/* --- where parts begin ------------------------------------------------------- */

/*
 * The delimiter lines of one multipart (RFC 2046 5.1.1), found in a stream.
 * Nothing is kept of the stream.  Only this boundary is looked for: a
 * multipart inside a part is bytes, so that depth costs nothing, and our own
 * delimiter ends whatever was left open inside (RFC 2046 5.1.2).
 *
 * Before the first delimiter stands the preamble, behind the closing one the
 * epilogue.  A part goes from behind its delimiter to the next; the CRLF before
 * a delimiter belongs to the delimiter.
 */
struct multipart {
	struct slice boundary;          /* the caller's */
	uint64_t     taken;             /* bytes so far */
	uint64_t     line;              /* where the newest delimiter line begins */
	uint64_t     parts;             /* delimiters that were not the closing one */
	bool         closed;
	bool         odd;               /* a line began with the delimiter and went on as none */
	bool         stray;             /* a bare CR or LF, or a NUL, before the close */

	/* private */
	int          at;
	uint64_t     begun;             /* where this line begins */
	size_t       matched;           /* of "--" and the boundary */
	bool         closes, cr;
};

/* The boundary that a multipart's header names, when it is a proper one; else NONE. */
struct slice mime_boundary(const struct mime_value *);

void multipart_begin(struct multipart *, struct slice boundary);
/*
 * Take bytes off the front of *input up to the end of the next delimiter line.
 * True: `line` and `taken` say where it begins and what it ends, `closed` which
 * it is.  False: there is no more.
 */
bool multipart_next(struct multipart *, struct slice *input);
/* At the end of the stream: true when a delimiter stood there without a line end. */
bool multipart_finish(struct multipart *);

/* --- text in transfer encodings ------------------------------------------------ */

/* Lines ended by CRLF become lines ended by CRLF (RFC 2045 6.7). */
void quoted_printable_add(struct buf *, struct slice text);
/* And back; what is no proper escape stands as it is. */
void quoted_printable_decode(struct buf *, struct slice text);
/* Lines of 76 letters ended by CRLF (RFC 2045 6.8). */
void base64_lines_add(struct buf *, struct slice bytes);

#endif
