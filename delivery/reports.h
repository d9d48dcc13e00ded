/* SPDX-License-Identifier: ISC */
/*
 * reports -- what reports on TLS need of the network (RFC 8460 3, 5.4): where a
 * domain wants them, and handing one over by HTTPS.
 *
 * The queue asks (FRAME_TLSRPT_ASK, FRAME_POST of queue/order.h) and is
 * answered; it has its own patience, so nothing here is kept beyond a minute.
 */
#ifndef DELIVERY_REPORTS_H
#define DELIVERY_REPORTS_H

#include "dns/resolve.h"
#include "sts/fetch.h"

struct reports;

struct reports_options {
	struct resolver *resolver;
	struct fetcher  *fetcher;
	struct loop     *loop;
	bool             local_allowed; /* POST to loopback addresses too */
	void           (*answer)(void *arg, unsigned kind, struct slice payload);
	void            *arg;
};

struct reports *reports_new(const struct reports_options *);
void            reports_free(struct reports *);         /* without a word; NULL is fine */

void reports_ask(struct reports *, struct slice domain);
void reports_post(struct reports *, struct slice payload);      /* of a FRAME_POST */

/* An https URI: host by name, port, path with query. False: it is none that is used here. */
struct report_uri {
	struct slice host, path;
	uint16_t     port;
};
bool report_uri_parse(struct report_uri *, struct slice uri, struct arena *);

#endif
