/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/ids.h"

#define EPOCH INT64_C(1577836800000)    /* 2020-01-01 */

enum { COUNT_BITS = 14, SLOT_BITS = 5 };

int64_t
ids_now(const struct clock *clock)
{
	return clock_now(clock) - EPOCH;
}

/* --- what all know together ------------------------------------------------------- */

static struct ids_bound *
map(int fd, struct error *why)
{
	void *bound = mmap(NULL, sizeof(struct ids_bound), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (bound != MAP_FAILED)
		return bound;
	error_sys(why, "cannot map the bound of identifiers");
	return NULL;
}

struct ids_bound *
ids_bound_make(int *fd, struct error *why)
{
	struct ids_bound *bound = NULL;

	*fd = memfd_create("ids", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	/* Whoever could make it smaller could end the process that looks at it. */
	if (*fd == -1 || ftruncate(*fd, sizeof *bound) == -1 ||
	    fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		error_sys(why, "no memory for the bound of identifiers");
	else
		bound = map(*fd, why);
	if (bound == NULL && *fd != -1)
		close(*fd);
	return bound;
}

struct ids_bound *
ids_bound_take(int fd, struct error *why)
{
	struct ids_bound *bound = NULL;
	struct stat st;

	if (fstat(fd, &st) == -1 || st.st_size != sizeof *bound)
		error_set(why, "that is no bound of identifiers");
	else
		bound = map(fd, why);
	close(fd);
	return bound;
}

/* --- giving them -------------------------------------------------------------------- */

int64_t
ids_newest(const struct ids_bound *bound)
{
	int64_t t = atomic_load(&bound->newest);

	return t < 0 ? 0 : t > IDS_TIME_MOST ? IDS_TIME_MOST : t;
}

static int64_t
newest(const struct ids *ids)
{
	return ids->bound != NULL ? ids_newest(ids->bound) : 0;
}

static int64_t
time_for_names(const struct ids *ids)
{
	int64_t now = ids_now(ids->clock), known = newest(ids);

	if (ids->bound != NULL && now > atomic_load(&ids->bound->end))
		now = known;
	if (now > IDS_TIME_MOST)
		now = IDS_TIME_MOST;
	return now > known ? now : known > 0 ? known : 1;
}

/* Before the first name of that time is given: its giver may die with the next breath. */
static void
publish(const struct ids *ids, int64_t t)
{
	int64_t known;

	if (ids->bound == NULL)
		return;
	known = atomic_load(&ids->bound->newest);
	while (known < t && !atomic_compare_exchange_weak(&ids->bound->newest, &known, t))
		;
}

static void
go_on_behind(struct ids *ids, int64_t t)
{
	ids->last = t < IDS_TIME_MOST ? t : IDS_TIME_MOST;
	ids->count = (1 << COUNT_BITS) - 1;
}

void
ids_begin(struct ids *ids, const struct clock *clock, unsigned slot, struct ids_bound *bound)
{
	bug_if(slot >= ID_SLOTS);
	*ids = (struct ids){ .clock = clock, .slot = slot, .bound = bound };
	go_on_behind(ids, newest(ids));
}

void
ids_pass(struct ids *ids, uint64_t id)
{
	int64_t t = (int64_t)(id >> (COUNT_BITS + SLOT_BITS));

	if (t >= ids->last)
		go_on_behind(ids, t);
	publish(ids, ids->last);
}

uint64_t
ids_next(struct ids *ids)
{
	int64_t now = time_for_names(ids);

	if (now > ids->last) {
		ids->last = now;
		ids->count = 0;
	} else if (++ids->count >> COUNT_BITS) {        /* a very full millisecond */
		ids->last += ids->last < IDS_TIME_MOST;
		ids->count = 0;
	}
	publish(ids, ids->last);
	return (uint64_t)ids->last << (COUNT_BITS + SLOT_BITS) |
	    (uint64_t)ids->slot << COUNT_BITS | ids->count;
}

int64_t
ids_time(uint64_t id)
{
	return (int64_t)(id >> (COUNT_BITS + SLOT_BITS)) + EPOCH;
}
