/* SPDX-License-Identifier: ISC */
/*
 * wire -- read an answer as it comes over the network (RFC 1035 4).
 *
 * Whoever answers may be hostile: nothing is believed, no pointer is followed
 * twice, nothing is read over the end.
 */
#ifndef DNS_WIRE_H
#define DNS_WIRE_H

#include "base/buf.h"
#include "dns/facts.h"

/*
 * One byte of a label as the house writes names: what could be mistaken for a
 * dot, an escape, a comment or the end of a word is \DDD (RFC 1035 5.1).  Who
 * makes a name of a stranger's bytes makes it with this, dots aside.
 */
void label_byte_add(struct buf *, char);

/*
 * Conclude the fact from a packet: the records of its type at its name or
 * behind the CNAMEs that start there.  A packet that makes no sense is
 * ANSWER_BROKEN.  The security is not set here.  Copies what it keeps.
 */
void wire_read(struct facts *, struct fact *, struct slice packet);

#endif
