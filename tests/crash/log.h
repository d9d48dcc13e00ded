/* SPDX-License-Identifier: ISC */
/* log -- what the shim records, and the model of a disk reads. */
#ifndef TESTS_CRASH_LOG_H
#define TESTS_CRASH_LOG_H

#include <stdint.h>

enum log_kind {
	LOG_CREATE = 1,                 /* file, path */
	LOG_MKDIR,                      /* file, path */
	LOG_RENAME,                     /* path, NUL, path */
	LOG_UNLINK,                     /* path */
	LOG_WRITE,                      /* file, offset, bytes */
	LOG_TRUNCATE,                   /* file, size */
	LOG_EXTEND,                     /* file, size at least */
	LOG_FLUSH,                      /* file: what was written to it is on the disk */
	LOG_FLUSH_DIR,                  /* path: the names in it are on the disk */
	LOG_TOLD,                       /* bytes: the world knows this */
};

/* Paths begin behind the directory that is watched. */
struct log_head {
	uint8_t  kind;
	uint32_t file;
	uint64_t number;
	uint32_t length;
} __attribute__((packed));

#endif
