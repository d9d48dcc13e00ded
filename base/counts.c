/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/counts.h"

enum { TRIES = 16 };

static size_t
size_of(unsigned columns)
{
	return (size_t)columns * COUNTS_ROWS * sizeof(uint32_t);
}

static bool
map(struct counts *c, unsigned columns, struct error *why)
{
	void *cells = mmap(NULL, size_of(columns), PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);

	if (cells == MAP_FAILED)
		return error_sys(why, "cannot map the counts");
	c->cells = cells;
	c->columns = columns;
	return true;
}

bool
counts_make(struct counts *c, unsigned columns, struct error *why)
{
	*c = (struct counts){ .fd = memfd_create("counts", MFD_CLOEXEC | MFD_ALLOW_SEALING) };
	if (c->fd == -1)
		return error_sys(why, "no memory for counts");
	/* Whoever could make it smaller could end the process that looks at it. */
	if (ftruncate(c->fd, (off_t)size_of(columns)) == -1 ||
	    fcntl(c->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		error_sys(why, "no memory for counts");
	else if (map(c, columns, why))
		return true;
	close(c->fd);
	*c = (struct counts){ .cells = NULL };
	return false;
}

bool
counts_take(struct counts *c, int fd, struct error *why)
{
	struct stat st;
	bool ok;

	*c = (struct counts){ .fd = fd };
	ok = fstat(fd, &st) == 0 || error_sys(why, "cannot look at the counts");
	ok = ok && map(c, (unsigned)((size_t)st.st_size / size_of(1)), why);
	close(fd);
	c->fd = -1;
	return ok;
}

void
counts_free(struct counts *c)
{
	if (c->cells == NULL)
		return;
	munmap(c->cells, size_of(c->columns));
	if (c->fd != -1)
		close(c->fd);
	*c = (struct counts){ .cells = NULL };
}

static _Atomic uint32_t *
cell(struct counts *c, unsigned row, unsigned column)
{
	bug_if(row >= COUNTS_ROWS || column >= c->columns);
	return &c->cells[(size_t)column * COUNTS_ROWS + row];
}

static uint64_t
sum(struct counts *c, unsigned column)
{
	uint64_t n = 0;

	for (unsigned row = 0; row < COUNTS_ROWS; row++)
		n += *cell(c, row, column);
	return n;
}

bool
counts_enter(struct counts *c, unsigned row, unsigned column, uint32_t most)
{
	for (int i = 0; i < TRIES && sum(c, column) < most; i++) {
		++*cell(c, row, column);
		if (sum(c, column) <= most)
			return true;
		--*cell(c, row, column);        /* somebody else came in the same moment */
	}
	return false;
}

void
counts_leave(struct counts *c, unsigned row, unsigned column)
{
	--*cell(c, row, column);
}

void
counts_forget(struct counts *c, unsigned row)
{
	for (unsigned column = 0; column < c->columns; column++)
		*cell(c, row, column) = 0;
}
