/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/pack.h"
#include "cmd/children.h"

_Static_assert((int)CHILDREN_MOST == (int)COUNTS_ROWS, "each child has a row of its own");

enum {
	STOP_MS = 30 * SECOND,          /* then those who still work are killed */
	DRAIN_MS = 10 * MINUTE,         /* sessions of an old configuration */
	PACKED_MOST = 256 << 20,
	PATH_BYTES = 4096,
};

/* --- who is there ----------------------------------------------------------------------------- */

unsigned
children_count(const struct children *all, enum role_number role)
{
	unsigned n = 0;

	for (size_t i = 0; i < CHILDREN_MOST; i++)
		n += all->each[i] != NULL && all->each[i]->role == role && !all->each[i]->draining &&
		    all->each[i]->generation == all->generation;
	return n;
}

bool
children_none(const struct children *all)
{
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (all->each[i] != NULL)
			return false;
	return true;
}

bool
children_ready(const struct children *all)
{
	for (size_t i = 0; i < CHILDREN_MOST; i++) {
		const struct child *c = all->each[i];

		if (c != NULL && c->generation == all->generation && !c->ready)
			return false;
	}
	return true;
}

struct child *
children_queue(const struct children *all)
{
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (all->each[i] != NULL && all->each[i]->role == ROLE_QUEUE)
			return all->each[i];
	return NULL;
}

struct child *
children_find(const struct children *all, pid_t pid)
{
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (all->each[i] != NULL && all->each[i]->pid == pid)
			return all->each[i];
	return NULL;
}

/* --- what each is told at its birth -------------------------------------------------------------- */

static void
send_link(struct child *to, enum role_number other, int fd)
{
	struct buf b = BUF(8);

	pack_u32(&b, other);
	link_send(to->link, CONTROL_LINK, buf_slice(&b), fd);
	buf_free(&b);
}

static void
link_both(struct child *a, struct child *b)
{
	int ends[2];

	if (a->link == NULL || b->link == NULL)
		return;
	link_pair(ends);
	send_link(a, b->role, ends[0]);
	send_link(b, a->role, ends[1]);
}

/* Everybody who has to do with mail talks with the queue; the web role, where members leave lists. */
static bool
talks(const struct child *c)
{
	return c->role != ROLE_WEB || c->all->lists_are_left;
}

static void
link_child(struct child *c)
{
	struct children *all = c->all;
	struct child *queue = children_queue(all);

	if (!talks(c))
		return;
	if (c->role != ROLE_QUEUE) {
		if (queue != NULL)
			link_both(queue, c);
		return;
	}
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (all->each[i] != NULL && all->each[i] != c && talks(all->each[i]))
			link_both(c, all->each[i]);
}

/* What the role may see, in a file without a name. */
static int
packed_files(const struct files *files, unsigned purposes)
{
	struct buf b = BUF(PACKED_MOST);
	int fd = memfd_create("files", MFD_CLOEXEC);

	files_pack(files, purposes, &b);
	bug_if(b.full || fd == -1 || !file_write(fd, buf_slice(&b), NULL) || lseek(fd, 0, SEEK_SET) != 0);
	buf_free(&b);
	return fd;
}

static void
send_door(struct child *c, uint32_t number, int fd)
{
	struct buf b = BUF(8);

	pack_u32(&b, number);
	link_send(c->link, CONTROL_DOOR, buf_slice(&b), fcntl(fd, F_DUPFD_CLOEXEC, 0));
	buf_free(&b);
}

static void
send_doors(struct child *c)
{
	const struct premises *p = c->all->premises;

	for (size_t i = 0; i < p->door_count; i++)
		if (p->door[i].role == c->role)
			send_door(c, p->door[i].number, p->door[i].fd);
	if (c->role == ROLE_QUEUE)
		send_door(c, CONTROL_DOOR_COMMANDS, p->commands);
}

static void
send_birth(struct child *c)
{
	struct buf b = BUF(PATH_BYTES);

	pack_u8(&b, (uint8_t)c->role);
	pack_u8(&b, (uint8_t)c->slot);
	/* What was read first: the configuration, by its absolute name. */
	pack_slice(&b, slice(c->all->files->file[0]->name));
	link_send(c->link, CONTROL_ROLE, buf_slice(&b), -1);
	buf_free(&b);
	link_send(c->link, CONTROL_FILES, NONE, packed_files(c->all->files, ROLE_KINDS[c->role].purposes));
	if (c->role == ROLE_SMTPD)
		link_send(c->link, CONTROL_COUNTS, NONE, fcntl(c->all->counts->fd, F_DUPFD_CLOEXEC, 0));
	if (c->role == ROLE_SMTPD || c->role == ROLE_QUEUE)
		link_send(c->link, CONTROL_IDS, NONE, fcntl(c->all->ids, F_DUPFD_CLOEXEC, 0));
	send_doors(c);
	link_child(c);
	link_send(c->link, CONTROL_GO, NONE, -1);
}

static void
exec_role(int fd)
{
	static char *const argv[] = { (char *)"chainmail", (char *)"role", NULL };

	if (fd == ROLE_FD ? fcntl(fd, F_SETFD, 0) == -1 : dup2(fd, ROLE_FD) == -1)
		_exit(EX_OSERR);
	execv("/proc/self/exe", argv);
	_exit(EX_OSERR);
}

/* --- starting ----------------------------------------------------------------------------- */

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct child *c = arg;

	if (fd != -1)
		close(fd);
	c->all->hear(c->all->arg, c, kind, payload);
}

static void
on_gone(void *arg)
{
	struct child *c = arg;

	link_end(c->link);
	c->link = NULL;
}

static const struct link_user CHILD = { on_frame, on_gone };

bool
child_start(struct children *all, enum role_number role)
{
	struct child *c;
	unsigned slot = 0;
	int ends[2];
	pid_t pid;

	while (slot < CHILDREN_MOST && all->each[slot] != NULL)
		slot++;
	if (slot == CHILDREN_MOST)
		return false;
	link_pair(ends);
	if ((pid = fork()) == 0)
		exec_role(ends[1]);
	close(ends[1]);
	if (pid == -1) {
		close(ends[0]);
		return false;
	}
	c = must_alloc(sizeof *c);
	*c = (struct child){ .all = all, .role = role, .slot = slot, .generation = all->generation,
	    .pid = pid, .started = clock_ticks(all->loop->clock) };
	c->link = link_new(all->loop, ends[0], &CHILD, c);
	all->each[slot] = c;
	send_birth(c);
	return true;
}

/* --- ending ------------------------------------------------------------------------------- */

static void
kill_child(void *arg)
{
	kill(((struct child *)arg)->pid, SIGKILL);
}

void
child_hurry(struct child *c)
{
	if (c->hurried || c->link == NULL)
		return;
	c->hurried = true;
	link_send(c->link, CONTROL_HURRY, NONE, -1);
	timer_set(c->all->loop, &c->patience, STOP_MS, kill_child, c);
}

static void
hurry(void *arg)
{
	child_hurry(arg);
}

void
child_drain(struct child *c)
{
	if (c->draining || c->link == NULL)
		return;
	c->draining = true;
	link_send(c->link, CONTROL_DRAIN, NONE, -1);
	timer_set(c->all->loop, &c->patience, DRAIN_MS, hurry, c);
}

void
child_end(struct child *c)
{
	child_drain(c);
	child_hurry(c);
}

void
child_forget(struct child *c)
{
	if (c->role == ROLE_SMTPD && c->generation == c->all->generation)
		counts_forget(c->all->counts, c->slot);
	timer_clear(c->all->loop, &c->patience);
	link_end(c->link);
	c->all->each[c->slot] = NULL;
	free(c);
}

/* --- all of them ------------------------------------------------------------------------------ */

void
children_kill(const struct children *all)
{
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (all->each[i] != NULL)
			kill(all->each[i]->pid, SIGKILL);
}

/* The queue is told to end at once; all others when somebody stands in for them. */
static bool
is_old(const struct child *c)
{
	return c != NULL && c->generation != c->all->generation && c->role != ROLE_QUEUE;
}

void
children_drain_old(const struct children *all)
{
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (is_old(all->each[i]))
			child_drain(all->each[i]);
}

void
children_make_room(const struct children *all, unsigned wanted)
{
	unsigned coming = 0;

	for (size_t i = 0; i < CHILDREN_MOST; i++) {
		struct child *c = all->each[i];

		if (is_old(c) && !c->ready)
			child_end(c);
		coming += c == NULL || (is_old(c) && !c->ready);
	}
	for (size_t i = 0; i < CHILDREN_MOST && coming < wanted; i++)
		if (all->each[i] != NULL && all->each[i]->draining)
			child_hurry(all->each[i]);
	for (size_t i = 0; i < CHILDREN_MOST && coming < wanted; i++)
		if (is_old(all->each[i]))
			child_end(all->each[i]);
}
