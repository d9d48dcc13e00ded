/* SPDX-License-Identifier: ISC */
/*
 * fetch -- get a policy file over HTTPS (RFC 8461 3.3), or hand a report over, by
 * libcurl on our loop.
 *
 * The addresses are given: nothing here asks the DNS, follows a redirect, uses
 * a proxy or starts a thread.  The certificate must be good for exactly
 * mta-sts.DOMAIN by its SAN, at the time of our clock.  What came back is
 * written down as it came (sts/answer.h judges it).
 */
#ifndef STS_FETCH_H
#define STS_FETCH_H

#include <openssl/ssl.h>

#include "base/ip.h"
#include "net/loop.h"
#include "sts/answer.h"

struct fetcher;
struct fetch;

/* `roots` as tls_client_new() makes it: its certificate store says who is trusted. */
struct fetcher *fetcher_new(struct loop *, SSL_CTX *roots);
void            fetcher_free(struct fetcher *);         /* after all fetches are over */

/*
 * Begin; `done` is called once, from the loop, never inside this call.  The
 * answer's slices are valid during it.  A fetch can be forgotten before that.
 */
struct fetch *fetch_begin(struct fetcher *, struct slice domain, const struct ip *, size_t count,
    void (*done)(void *arg, const struct sts_answer *), void *arg);
void          fetch_forget(struct fetch *);             /* NULL is fine */

/*
 * Hand bytes over by POST (RFC 8460 3, 5.4): copied here.  The host's certificate
 * is not looked at, because what is reported may be just that.  Else the same.
 */
struct fetch_post {
	struct slice host, path;        /* "reports.b.test", "/v1?x=y" */
	uint16_t     port;
	struct slice type, body;
};
struct fetch *fetch_post(struct fetcher *, const struct fetch_post *, const struct ip *, size_t count,
    void (*done)(void *arg, const struct sts_answer *), void *arg);

#endif
