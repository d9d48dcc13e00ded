/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/peer.h"

bool
peer_parse(struct slice s, struct peer *peer)
{
	struct peer p = { 0 };
	struct slice host;
	uint64_t port;
	size_t colon = s.n;

	if (slice_starts(s, S("unix:"))) {
		s = slice_skip(s, 5);
		if (s.n == 0 || s.n >= sizeof p.path || memchr(s.p, '\0', s.n) != NULL)
			return false;
		memcpy(p.path, s.p, s.n);
		*peer = p;
		return true;
	}
	while (colon > 0 && s.p[colon - 1] != ':')
		colon--;
	if (colon == 0 || !slice_number(slice_skip(s, colon), 65535, &port))
		return false;
	p.port = (uint16_t)port;
	host = slice_head(s, colon - 1);
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = slice_head(slice_skip(host, 1), host.n - 2);
	else if (slice_find(host, ':') < host.n)
		return false;
	if (!slice_eq(host, S("*")) && !ip_parse(host, &p.ip))
		return false;
	*peer = p;
	return true;
}

void
peer_text(const struct peer *p, char text[PEER_TEXT])
{
	char ip[IP_TEXT];

	ip_text(p->ip, ip);
	if (p->path[0] != '\0')
		snprintf(text, PEER_TEXT, "unix:%.107s", p->path);
	else if (p->ip.n == 0)
		snprintf(text, PEER_TEXT, "*:%u", p->port);
	else
		snprintf(text, PEER_TEXT, p->ip.n == 4 ? "%s:%u" : "[%s]:%u", ip, p->port);
}

struct peer
peer_of_sockaddr(const struct sockaddr_storage *from)
{
	struct peer p = { 0 };

	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)from;

		p.ip = ip_of(slice_of(&in->sin_addr, 4));
		p.port = ntohs(in->sin_port);
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)from;

		p.ip = ip_unmapped(ip_of(slice_of(&in->sin6_addr, 16)));
		p.port = ntohs(in->sin6_port);
	}
	return p;
}

struct sockaddr_storage
peer_sockaddr(const struct peer *p, socklen_t *size)
{
	struct sockaddr_storage to = { 0 };

	if (p->path[0] != '\0') {
		struct sockaddr_un *un = (struct sockaddr_un *)&to;

		un->sun_family = AF_UNIX;
		memcpy(un->sun_path, p->path, sizeof un->sun_path);
		*size = sizeof *un;
	} else if (p->ip.n == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)&to;

		in->sin_family = AF_INET;
		in->sin_port = htons(p->port);
		memcpy(&in->sin_addr, p->ip.bytes, 4);
		*size = sizeof *in;
	} else {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)&to;

		in->sin6_family = AF_INET6;
		in->sin6_port = htons(p->port);
		memcpy(&in->sin6_addr, p->ip.bytes, 16);
		*size = sizeof *in;
	}
	return to;
}

static int
open_socket(const struct sockaddr_storage *address, struct error *why)
{
	int on = 1;
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		error_sys(why, "cannot make a socket");
	else if (address->ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static bool
bind_and_listen(int fd, const struct peer *p, const struct sockaddr_storage *address,
    socklen_t size)
{
	int on = 1, off = 0;
	struct stat st;

	if (p->path[0] != '\0') {
		/* A socket that a killed process left behind; nothing else is removed. */
		if (lstat(p->path, &st) == 0 && S_ISSOCK(st.st_mode))
			unlink(p->path);
	} else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1)
		return false;
	if (address->ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, p->ip.n ? &on : &off, sizeof on) == -1)
		return false;
	return bind(fd, (const struct sockaddr *)address, size) == 0 && listen(fd, 1024) == 0;
}

int
peer_listen(const struct peer *p, struct error *why)
{
	socklen_t size;
	struct sockaddr_storage address = peer_sockaddr(p, &size);
	char text[PEER_TEXT];
	int fd = open_socket(&address, why);

	if (fd == -1 || bind_and_listen(fd, p, &address, size))
		return fd;
	peer_text(p, text);
	error_sys(why, "cannot listen on %s", text);
	close(fd);
	return -1;
}

int
peer_connect(const struct peer *p, const struct ip *from, struct error *why)
{
	socklen_t size, from_size;
	struct sockaddr_storage address = peer_sockaddr(p, &size), source;
	struct peer local = { 0 };
	char text[PEER_TEXT];
	int fd = open_socket(&address, why);

	if (fd == -1)
		return -1;
	peer_text(p, text);
	if (from != NULL) {
		local.ip = *from;
		source = peer_sockaddr(&local, &from_size);
		if (bind(fd, (struct sockaddr *)&source, from_size) == -1) {
			error_sys(why, "cannot take the source address for %s", text);
			close(fd);
			return -1;
		}
	}
	if (connect(fd, (struct sockaddr *)&address, size) == -1 && errno != EINPROGRESS) {
		error_sys(why, "cannot connect to %s", text);
		close(fd);
		return -1;
	}
	return fd;
}
