/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "cmd/owner.h"
#include "cmd/premises.h"
#include "conf/secrets.h"

enum { PATH_BYTES = 4096 };

/* --- directories and the lock --------------------------------------------------------------- */

/* Root in the roles is for a lab, or for whoever says so: strangers do not talk to it by accident. */
bool
premises_roles_are_safe(const struct conf *conf, struct error *why)
{
	return geteuid() != 0 || owner_account(conf) != NULL || conf_on_loopback(conf) ||
	    error_set(why, "there is no account %.*s, and root does not talk to strangers: make it "
	    "(systemd-sysusers does), or say \"user NAME\"", FMT(conf->user));
}

static bool
make_directories(const struct conf *conf, struct error *why)
{
	if (!owner_make_state(conf, why))
		return false;
	for (size_t i = 0; i < conf->domain_count; i++)
		if (conf->domain[i].deliver == DELIVER_MAILDIR &&
		    !owner_make(conf, conf->domain[i].maildir, 0700, why))
			return false;
	return true;
}

/* Of somebody else, and closed to us; what is closed to the account root cannot see by trying. */
static bool
is_foreign(const char *path, uid_t who)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_uid != who &&
	    (geteuid() != who || access(path, R_OK | W_OK) == -1);
}

static bool
is_ours(const char *path, const struct conf *conf, const struct passwd *p, struct error *why)
{
	return !is_foreign(path, p->pw_uid) || error_set(why, "%s belongs to another account: "
	    "chown -R %s %.*s", path, p->pw_name, FMT(conf->state));
}

/* A first trial as root, or a copy that was put back as root, would close it to the account. */
static bool
state_is_ours(const struct conf *conf, struct error *why)
{
	static const char *const names[] = { "lock", "ids", SECRETS_NAME, "control", "queue", "caches",
		"history" };
	const struct passwd *p = geteuid() == 0 ? owner_account(conf) : getpwuid(geteuid());
	char path[PATH_BYTES];

	if (p == NULL)
		return true;                    /* a lab of root, or a number without a name */
	snprintf(path, sizeof path, "%.*s", FMT(conf->state));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!is_ours(path, conf, p, why))
			return false;
		snprintf(path, sizeof path, "%.*s/%s", FMT(conf->state), names[i]);
	}
	return is_ours(path, conf, p, why);
}

bool
premises_prepare(const struct conf *conf, struct error *why)
{
	return make_directories(conf, why) && state_is_ours(conf, why);
}

/* One program for one state directory. */
static bool
take_lock(struct premises *p, const struct conf *conf, struct error *why)
{
	char state[PATH_BYTES], path[PATH_BYTES];
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	bool ours;

	snprintf(state, sizeof state, "%.*s", FMT(conf->state));
	snprintf(path, sizeof path, "%.*s/lock", FMT(conf->state));
	if ((ours = owner_become(state, why)))
		p->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	owner_leave();
	if (!ours)
		return false;
	if (p->lock == -1)
		return error_sys(why, "cannot open %s", path);
	if (fcntl(p->lock, F_SETLK, &lock) == -1)
		return error_set(why, "another chainmail runs with the state directory %.*s",
		    FMT(conf->state));
	return true;
}

/* --- sockets ---------------------------------------------------------------------------------- */

/* A path of a socket may be longer than the kernel takes: go there and name it shortly. */
static bool
open_commands(struct premises *p, const struct conf *conf, struct error *why)
{
	char state[PATH_BYTES];
	struct peer at = { .path = "control" };
	int here = open(".", O_PATH | O_CLOEXEC);
	mode_t old = umask(0177);
	bool ok;

	snprintf(state, sizeof state, "%.*s", FMT(conf->state));
	ok = here != -1 && chdir(state) == 0;
	if (!ok)
		error_sys(why, "cannot go to %s", state);
	else
		ok = owner_become(".", why) && (p->commands = peer_listen(&at, why)) != -1;
	owner_leave();
	umask(old);
	if (here != -1) {
		bug_if(fchdir(here) == -1);
		close(here);
	}
	return ok;
}

static struct door *
find_door(struct premises *p, const char *text)
{
	for (size_t i = 0; i < p->door_count; i++)
		if (strcmp(p->door[i].text, text) == 0)
			return &p->door[i];
	return NULL;
}

static bool
want_door(struct premises *p, const struct endpoint *e, enum role_number role, uint32_t number,
    struct error *why)
{
	struct peer peer = { .ip = e->ip, .port = e->port };
	char text[PEER_TEXT];
	struct door *d;

	if (e->kind == ENDPOINT_UNIX)
		snprintf(peer.path, sizeof peer.path, "%.*s", FMT(e->host));
	peer_text(&peer, text);
	if ((d = find_door(p, text)) == NULL) {
		if (p->door_count == DOORS_MOST)
			return error_set(why, "more than %d addresses to listen on", DOORS_MOST);
		d = &p->door[p->door_count];
		*d = (struct door){ .fd = peer_listen(&peer, why) };
		if (d->fd == -1)
			return false;
		memcpy(d->text, text, sizeof text);
		p->door_count++;
	}
	d->role = role;
	d->number = number;
	d->wanted = true;
	return true;
}

bool
premises_open_doors(struct premises *p, const struct conf *conf, struct error *why)
{
	if (!premises_roles_are_safe(conf, why))
		return false;
	for (size_t i = 0; i < p->door_count; i++)
		p->door[i].wanted = false;
	for (size_t i = 0; i < conf->listen_count; i++)
		for (size_t j = 0; j < conf->listen[i].on_count; j++)
			if (!want_door(p, &conf->listen[i].on[j], ROLE_SMTPD, (uint32_t)i, why))
				return false;
	for (size_t i = 0; conf_serves(conf) && i < conf->web.on_count; i++)
		if (!want_door(p, &conf->web.on[i], ROLE_WEB, 0, why))
			return false;
	return true;
}

void
premises_close_unwanted(struct premises *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->door_count; i++) {
		if (p->door[i].wanted)
			p->door[kept++] = p->door[i];
		else
			close(p->door[i].fd);
	}
	p->door_count = kept;
}

/* --- the whole -------------------------------------------------------------------------------- */

bool
premises_take(struct premises *p, const struct conf *conf, struct error *why)
{
	return premises_roles_are_safe(conf, why) && premises_prepare(conf, why) &&
	    take_lock(p, conf, why) && open_commands(p, conf, why);
}

/* --- who else is there ------------------------------------------------------------------------ */

static void
wait_for(const char *path, void (*say)(void *, const char *), void *arg)
{
	char sentence[PATH_BYTES + 80];
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return;                         /* not made yet; otherwise the queue will say why */
	if (flock(fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK) {
		snprintf(sentence, sizeof sentence, "%s is open in another process, a command perhaps; "
		    "mail waits for its end", path);
		say(arg, sentence);
		while (flock(fd, LOCK_EX) == -1 && errno == EINTR)
			;
	}
	close(fd);
}

void
premises_wait(const struct conf *conf, void (*say)(void *, const char *), void *arg)
{
	static const char *const names[] = { "queue", "caches", "history" };
	char path[PATH_BYTES];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%.*s/%s", FMT(conf->state), names[i]);
		wait_for(path, say, arg);
	}
}
