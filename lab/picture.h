/* SPDX-License-Identifier: ISC */
/*
 * picture -- a played scenario for people: who sent what to whom, what became of
 * it on the way, what the receivers saw, and what was refused.
 *
 * Every word that tells a result comes from the hosts' logs, from captured
 * messages or from what a sender was told.
 */
#ifndef LAB_PICTURE_H
#define LAB_PICTURE_H

#include "lab/play.h"

void picture_draw(const struct play *, struct buf *);

/* Everything: each host's configuration, all logs, all messages. */
void transcript_write(const struct play *, struct buf *);

#endif
