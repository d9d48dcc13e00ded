/* SPDX-License-Identifier: ISC */
/*
 * site -- what our web door answers: the policies of our domains (RFC 8461 3.3),
 * and members who leave a list (RFC 8058).
 *
 *     mta-sts.DOMAIN  /.well-known/mta-sts.txt    200, text/plain, the policy
 *     PATH of one-click/WORD                      GET: a page with a button, and nothing
 *                                                 happens; POST: see site_leaves()
 *     everything else                             404
 *
 * All answers are made when the site is, and never change.  There is no file
 * behind a path, so there is none to get at.  Whether a word is one of ours the
 * queue role knows: who talks to strangers has no key.
 */
#ifndef WEB_SITE_H
#define WEB_SITE_H

#include "conf/conf.h"
#include "queue/queue.h"
#include "web/http.h"

struct site;

struct site *site_new(const struct conf *);     /* keeps nothing of the conf */
void         site_free(struct site *);          /* NULL is fine */

/* The slices of the response live as long as the site. */
struct http_response site_answer(const struct site *, const struct http_request *);

/*
 * Somebody leaves a list: `word_r` is to be shown to the queue, and what it says
 * is answered by site_left().  False: site_answer() has the answer.
 */
bool                 site_leaves(const struct site *, const struct http_request *, struct slice *word_r);
struct http_response site_left(enum left);

#endif
