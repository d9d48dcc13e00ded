/* SPDX-License-Identifier: ISC */
/*
 * listener -- connections, as they come in.
 *
 * Several processes may listen on one socket.  Out of file descriptors, it
 * rests for a moment instead of turning in circles.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/loop.h"

struct listener;

/* `accepted` gets a connected, non-blocking socket and owns it; it does not end the listener. */
struct listener *listener_new(struct loop *, int fd,
    void (*accepted)(void *arg, int fd, struct peer from), void *arg);
void             listener_end(struct listener *);       /* closes the socket; NULL is fine */

#endif
