/* SPDX-License-Identifier: ISC */
/*
 * sink -- the next hop inside the load: an SMTP server that takes everything and
 * says the instant at which the end of a text had arrived.
 *
 * It lives in the load's own poller, so that one clock measures both ends.
 */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include <stdint.h>

/* What a descriptor of the poller belongs to: the first member of its owner. */
struct watcher {
	void (*ready)(struct watcher *, uint32_t events);
};

/* Listen on 127.0.0.1; `got` is called once for each message.  False: the port is taken. */
_Bool sink_open(int poller, int port, void (*got)(void));

#endif
