/* SPDX-License-Identifier: ISC */
/*
 * gallery_table -- the judged rows of a gallery, in four forms: for people, as
 * JSON, TAP or JUnit.  A row that was skipped says why and counts for nothing.
 */
#ifndef CMD_GALLERY_TABLE_H
#define CMD_GALLERY_TABLE_H

#include "cmd/lab.h"
#include "lab/gallery.h"

/* How large a table may become. */
enum { GALLERY_TABLE_MOST = 4 << 20 };

void        gallery_table(const struct gallery_row *first, enum lab_form, struct buf *);
/* What a client may ask for, as a media type (RFC 9110 8.3). */
struct slice gallery_table_type(enum lab_form);
/* "people", "json", "tap", "junit" */
bool        gallery_table_form(struct slice name, enum lab_form *form_r);

/* Prints it.  The exit code: 0 when a row was judged and none is wrong, EX_BAD otherwise. */
int         gallery_tell(const struct gallery_row *first, enum lab_form);

#endif
