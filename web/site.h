/* SPDX-License-Identifier: ISC */
/*
 * site -- what our web door answers: the policies of our domains (RFC 8461 3.3).
 *
 *     mta-sts.DOMAIN  /.well-known/mta-sts.txt    200, text/plain, the policy
 *     everything else                             404
 *
 * All answers are made when the site is, and never change.  There is no file
 * behind a path, so there is none to get at.
 */
#ifndef WEB_SITE_H
#define WEB_SITE_H

#include "conf/conf.h"
#include "web/http.h"

struct site;

struct site *site_new(const struct conf *);     /* keeps nothing of the conf */
void         site_free(struct site *);          /* NULL is fine */

/* The slices of the response live as long as the site. */
struct http_response site_answer(const struct site *, const struct http_request *);

#endif
