/* SPDX-License-Identifier: ISC */
/*
 * peer -- where a socket is, or shall be: an address with a port, or a path.
 */
#ifndef NET_PEER_H
#define NET_PEER_H

#include <sys/socket.h>

#include "base/error.h"
#include "base/ip.h"

struct peer {
	struct ip ip;                   /* n == 0: every address of the machine, or a path */
	uint16_t  port;
	char      path[108];            /* of a Unix socket; empty otherwise */
};

enum { PEER_TEXT = 120 };

/* "192.0.2.1:25", "[2001:db8::1]:25", "*:25", "unix:/run/x.sock". */
bool peer_parse(struct slice, struct peer *);
void peer_text(const struct peer *, char text_r[PEER_TEXT]);

struct peer      peer_of_sockaddr(const struct sockaddr_storage *);
/* "*" becomes [::], which takes IPv4 too. */
struct sockaddr_storage peer_sockaddr(const struct peer *, socklen_t *size_r);

/* A non-blocking socket that listens there, or -1. A stale Unix socket is replaced. */
int peer_listen(const struct peer *, struct error *why);
/* A non-blocking socket on its way there, or -1. `from`: NULL, or the address to use. */
int peer_connect(const struct peer *, const struct ip *from, struct error *why);

#endif
