/* SPDX-License-Identifier: ISC */
/*
 * dns_server -- the world's zones over UDP and TCP, for those who are not us:
 * foreign MTAs, validating resolvers, dig.
 *
 * What is answered is in answer.h; this is only the sockets (RFC 1035 4.2, RFC
 * 7766 for TCP).  It follows what zones_publish() makes visible by itself, and
 * faults (zones.h) at once.  Our own roles do not ask here: their resolvers
 * have the same zones in memory.
 *
 * A foreign resolver forwards to it (unbound's forward-zone ".", any port).  To
 * ask it as the root it must be at port 53 of the address that ns.test has, for
 * there the NS records of all zones lead.
 *
 * Everything is bounded: connections, the time one may be idle (on the loop's
 * clock), the length of a question, what is not yet sent.
 */
#ifndef LAB_DNS_SERVER_H
#define LAB_DNS_SERVER_H

#include "lab/zones.h"
#include "net/loop.h"

struct dns_server;

/*
 * UDP and TCP at one address (not "*") and port; port 0 is a free one.  The
 * zones must be published and outlive the server.  NULL with *why.
 */
struct dns_server *dns_server_new(struct loop *, struct peer at, struct zones *,
    struct error *why);
void               dns_server_free(struct dns_server *);        /* NULL is fine */
struct peer        dns_server_at(const struct dns_server *);    /* with its true port */
/* From here on somebody hears each question that can be read, before it is answered. */
void               dns_server_watch(struct dns_server *, void (*asked)(void *arg, struct slice name,
    uint16_t type), void *arg);

#endif
