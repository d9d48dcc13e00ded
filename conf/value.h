/* SPDX-License-Identifier: ISC */
/*
 * value -- what a word of the configuration stands for.
 *
 * Values have one spelling each.  Every function here returns false, with the
 * result untouched, when the word is no such value.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "base/buf.h"
#include "base/ip.h"
#include "mail/address.h"

/* "30s", "5m", "4h", "5d" in milliseconds: more than nothing, at most ten years. */
bool value_duration(struct slice, int64_t *ms_r);
/* "500B", "64kB", "25MB", "1GB" in bytes; a kB is 1024 bytes. More than nothing. */
bool value_size(struct slice, uint64_t *bytes_r);
/* "on", "off" */
bool value_switch(struct slice, bool *on_r);
/* 1 to a million. */
bool value_number(struct slice, unsigned *number_r);

/* "20/s", "60/min", "500/h": so many in each such span of time. */
struct rate {
	unsigned count;                 /* 0: no limit was set */
	int64_t  per;                   /* in ms */
};
bool value_rate(struct slice, struct rate *);

/* "192.0.2.0/24", "2001:db8::/32", "127.0.0.1": no bit is set behind the prefix. */
struct network {
	struct ip ip;
	unsigned  bits;
};
bool value_network(struct slice, struct network *);

/*
 * Where to listen or to connect: "127.0.0.1:25", "[::1]:25", "*:25" (every
 * address of the machine), "mx.example.org:25", "unix:/path" (unix(7) takes 107 bytes).
 */
enum { UNIX_PATH_MOST = 107 };
struct endpoint {
	enum { ENDPOINT_NONE, ENDPOINT_IP, ENDPOINT_ANY, ENDPOINT_HOST, ENDPOINT_UNIX } kind;
	struct ip    ip;
	uint16_t     port;
	struct slice host;              /* domain_normal(), or the path of a socket */
};
bool value_endpoint(struct slice, struct arena *, struct endpoint *);

/*
 * "ann@example.org" as it is, "ann" in the domain given.  What aliases(5) knows
 * beside addresses (|command, /file, :include:) is no address.
 */
bool value_mailbox(struct slice, struct slice domain, struct arena *, struct address *);

/* "example.org", or ".example.org" for what is below it; the domain made normal. */
bool value_pattern(struct slice, struct arena *, struct slice *pattern_r);
/* The same, or an address. */
bool value_whom(struct slice, struct arena *, struct slice *pattern_r);
/* A word of letters, digits, `-` and `_`, at most 63. */
bool value_name(struct slice);
/* A name in the DNS that may have several labels, as a selector does. */
bool value_selector(struct slice);
/* A path below which mail is stored: absolute, %u, %d and %% are filled in later. */
bool value_mail_path(struct slice);

/* The same values as they are written. */
void value_add_duration(struct buf *, int64_t ms);
void value_add_size(struct buf *, uint64_t bytes);
void value_add_rate(struct buf *, struct rate);
void value_add_network(struct buf *, struct network);
void value_add_endpoint(struct buf *, struct endpoint);

#endif
