/* SPDX-License-Identifier: ISC */
/*
 * gzip -- bytes made small and large again (RFC 1952), all at once.
 *
 * Everything ends at the ceiling of the buf: a few kilobytes of a stranger's can
 * stand for gigabytes.  Behind zlib.
 */
#ifndef BASE_GZIP_H
#define BASE_GZIP_H

#include "base/buf.h"
#include "base/error.h"

/* False above the ceiling; then nothing was added. */
bool gzip_add(struct buf *, struct slice bytes);
/*
 * One gzip stream or several in a row (RFC 1952 2.2); what is none, is broken,
 * is cut short or passes the ceiling fails, and nothing was added.
 */
bool gunzip_add(struct buf *, struct slice bytes, struct error *why);

/* Does it begin as gzip does? */
bool is_gzip(struct slice bytes);

#endif
