/* SPDX-License-Identifier: ISC */
/*
 * file -- files and directories that are there after a power cut.
 *
 * "Durable" here means: when the function has returned true, the bytes and the
 * name are on the disk.  A failed flush is never repeated on the same file: the
 * kernel may have dropped the pages (fsyncgate); the caller takes a new file.
 * All functions go on after EINTR and short counts.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/error.h"

/* The whole file, at most what fits under the buf's ceiling. */
bool file_read(const char *path, struct buf *, struct error *why);
/* What is left of an open file, from where it stands. */
bool file_read_fd(int fd, const char *path, struct buf *, struct error *why);

/* Exactly these bytes: at the file's position, or at an offset. */
bool file_write(int fd, struct slice, struct error *why);
bool file_write_at(int fd, struct slice, off_t at, struct error *why);
/* Many pieces one behind the other, in one call where that is possible; they are used up. */
bool file_write_pieces(int fd, struct iovec *, int count, off_t at, struct error *why);
/* Exactly n bytes from an offset; a shorter file is a failure. */
bool file_read_at(int fd, void *to, size_t n, off_t at, struct error *why);
bool file_flush(int fd, struct error *why);             /* fdatasync */
/* What was written there may go to the disk already; a hint, so that a flush finds less. */
void file_hasten(int fd, off_t at, off_t n);

/* Replace the file by these bytes, durably, in one step (new file, rename). */
bool file_replace(const char *path, struct slice, mode_t, struct error *why);

bool file_rename(const char *from, const char *to, struct error *why); /* not yet durable */
/* Each has the other's name, in one step.  EINVAL in `why`: that file system cannot do it. */
bool file_exchange(const char *one, const char *other, struct error *why);
bool file_remove(const char *path, struct error *why);  /* what is not there is fine */

/* Only one process has it, until the descriptor in *fd_r is closed; -1 there when it fails. */
bool dir_lock(const char *path, int *fd_r, struct error *why);
/* A directory that is there afterwards, with its parents. */
bool dir_make(const char *path, mode_t, struct error *why);
bool dir_flush(const char *path, struct error *why);    /* names in it are durable */
bool dir_flush_name(const char *path, struct error *why);       /* its own name is */
/* Remove a whole tree; what is not there is fine. */
bool dir_remove(const char *path, struct error *why);

#endif
