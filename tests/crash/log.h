/* SPDX-License-Identifier: ISC */
/* log -- what the shim records and the model of a disk reads, and how it is switched. */
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

enum shim_operation {                   /* bits */
	SHIM_OPEN = 1,
	SHIM_WRITE = 2,
	SHIM_FLUSH = 4,
	SHIM_NAME = 8,                  /* rename, unlink */
	SHIM_MAKE = 16,                 /* mkdir, truncate, allocate */
	SHIM_FORK = 32,
};

enum shim_act {
	SHIM_NOTHING,
	SHIM_FAIL,                      /* with `number` as errno */
	SHIM_KILL,                      /* the process, in front of it */
	SHIM_HALF,                      /* the process, in the middle of a write */
	SHIM_SHORT,                     /* writes are done by half */
	SHIM_FAKE,                      /* flushes do nothing */
};

/* A file that is mapped by all processes; tests/crash/world.py writes it. */
struct shim_switch {
	uint32_t act, operations;
	int32_t  number;
	uint32_t countdown;             /* only the n-th from now; 0: all of them */
	uint64_t seen;                  /* operations, counted */
};

#endif
