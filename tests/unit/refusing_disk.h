/* SPDX-License-Identifier: ISC */
/* refusing_disk -- a disk that takes no write beyond an offset (EFBIG), for this process. */
#ifndef TESTS_REFUSING_DISK_H
#define TESTS_REFUSING_DISK_H

#include <sys/resource.h>

#include <signal.h>

#include "unit.h"

/* RLIM_INFINITY: as usual again. */
static inline void
allow_bytes(rlim_t most)
{
	struct sigaction act = { .sa_handler = most == RLIM_INFINITY ? SIG_DFL : SIG_IGN };
	struct rlimit r;

	assert_int_equal(sigaction(SIGXFSZ, &act, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = most;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

#endif
