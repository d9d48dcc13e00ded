/* SPDX-License-Identifier: ISC */
#include <string.h>
#include <unistd.h>

#include "base/bug.h"
#include "lab/places.h"

enum { NOBODY_PORT = 1 };               /* tcpmux: nobody has listened there for decades */

static bool
same(const struct peer *a, const struct peer *b)
{
	return a->port == b->port && ip_eq(a->ip, b->ip) && a->path[0] == '\0' && b->path[0] == '\0';
}

static struct peer
nobody(void)
{
	return (struct peer){ .ip = ip_of(slice_of("\x7f\0\0\1", 4)), .port = NOBODY_PORT };
}

static bool
find(const struct places *p, const struct peer *world, size_t *at)
{
	for (*at = 0; *at < p->count; ++*at)
		if (same(&p->place[*at].world, world))
			return true;
	return false;
}

void
places_open(struct places *p, uint16_t world, uint16_t real)
{
	bug_if(p->open_count == PLACES_OPEN_MOST);
	p->open[p->open_count].world = world;
	p->open[p->open_count++].real = real;
}

/* 0: any free one. */
static uint16_t
port_of(const struct places *p, uint16_t world)
{
	for (size_t i = 0; i < p->open_count; i++)
		if (p->open[i].world == world)
			return p->open[i].real;
	return 0;
}

int
places_listen(struct places *p, const struct peer *world, struct error *why)
{
	struct peer real = { .ip = world->ip, .port = port_of(p, world->port) };
	struct sockaddr_storage bound;
	socklen_t size = sizeof bound;
	size_t at;
	int fd;

	if (find(p, world, &at)) {
		error_set(why, "two hosts of the world have one address and port");
		return -1;
	}
	if (p->count == PLACES_MOST) {
		error_set(why, "the world has too many doors");
		return -1;
	}
	if ((fd = peer_listen(&real, why)) == -1)
		return -1;
	if (getsockname(fd, (struct sockaddr *)&bound, &size) == -1) {
		error_sys(why, "cannot see where a host listens");
		close(fd);
		return -1;
	}
	p->place[p->count].world = *world;
	p->place[p->count++].real = peer_of_sockaddr(&bound);
	return fd;
}

void
places_leave(struct places *p, const struct peer *world)
{
	size_t at;

	if (find(p, world, &at))
		p->place[at] = p->place[--p->count];
}

void
places_map(void *arg, struct peer *peer)
{
	struct places *p = arg;
	struct peer world = *peer;
	size_t at;

	if (peer->path[0] != '\0')
		return;
	if (p->guard.takes != NULL && p->guard.takes(p->guard.arg, &world, peer))
		return;
	*peer = find(p, &world, &at) ? p->place[at].real : nobody();
}
