/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/pack.h"
#include "cmd/certificates.h"
#include "cmd/cmd.h"
#include "cmd/master.h"
#include "cmd/notify.h"
#include "cmd/role.h"
#include "cmd/secrets.h"
#include "cmd/watch.h"
#include "conf/events.h"
#include "config.h"
#include "net/link.h"

enum {
	CHILDREN_MOST = ID_SLOTS, DOORS_MOST = 128,
	STOP_MS = 30 * SECOND,          /* then those who still work are killed */
	DRAIN_MS = 10 * MINUTE,         /* sessions of an old configuration */
	RESTART_MOST_MS = 10 * SECOND,
	PACKED_MOST = 256 << 20,
	PATH_BYTES = 4096,
	WATCH_MS = 2 * SECOND,          /* how often files are looked at */
	RELOAD_LEAST_MS = 10 * SECOND,  /* between two times that tables make us read again */
};

struct master;

struct child {
	struct master    *master;
	enum role_number  role;
	unsigned          slot, generation;
	pid_t             pid;
	struct link      *link;         /* NULL: it has gone, only its body is missing */
	bool              ready, draining, hurried;
	int64_t           started;
	struct timer      patience;
};

/* A listening socket; it outlives configurations that name it. */
struct door {
	char         text[PEER_TEXT];
	int          fd;
	enum role_number role;          /* whose it is, and … */
	uint32_t     number;            /* … the listen block in the configuration in force */
	bool         wanted;
};

struct master {
	struct master_options options;
	struct loop    loop;
	struct clock   clock;
	struct log     log;
	struct files   files;
	struct conf   *conf;
	unsigned       generation;
	struct child  *child[CHILDREN_MOST];    /* by slot */
	struct door    door[DOORS_MOST];
	size_t         door_count;
	int            commands;        /* the socket of the queue commands */
	int            lock;
	bool           ready_said, stopping;
	bool           reloading;       /* the new configuration is not in force yet */
	unsigned       warnings;        /* of it */
	unsigned       failures;        /* in a row: deaths soon after the start */
	struct timer   restart, deadline, look;
	struct watch   watch;           /* the files of the configuration in force */
	int64_t        renewed;         /* ticks: when the secrets were looked at */
	int64_t        adopted;         /* ticks: when the configuration came into force */
	struct event   on_child, on_term, on_int, on_hup;
	int64_t        started;
	struct certificates certificates;
	int            exit_code;
};

static void fill_roles(void *arg);

/* --- files and sockets ---------------------------------------------------------------- */

/* The directory of a path up to its first % (see value_mail_path), or all of it. */
static bool
make_tree(const struct master *m, struct slice path, mode_t mode, struct error *why)
{
	struct slice fixed = slice_head(path, slice_find(path, '%'));
	char name[PATH_BYTES], user[64];
	const struct passwd *p;
	struct stat st;

	if (fixed.n < path.n)
		while (fixed.n > 1 && fixed.p[fixed.n - 1] != '/')
			fixed.n--;
	while (fixed.n > 1 && fixed.p[fixed.n - 1] == '/')
		fixed.n--;
	snprintf(name, sizeof name, "%.*s", FMT(fixed));
	if (stat(name, &st) == 0)
		return true;
	if (!dir_make(name, mode, why))
		return false;
	snprintf(user, sizeof user, "%.*s", FMT(m->conf->user));
	if (geteuid() == 0 && (p = getpwnam(user)) != NULL && chown(name, p->pw_uid, p->pw_gid) == -1)
		return error_sys(why, "cannot give %s to %s", name, user);
	return true;
}

static bool
make_directories(const struct master *m, struct error *why)
{
	if (!make_tree(m, m->conf->state, 0700, why))
		return false;
	for (size_t i = 0; i < m->conf->domain_count; i++)
		if (m->conf->domain[i].deliver == DELIVER_MAILDIR &&
		    !make_tree(m, m->conf->domain[i].maildir, 0700, why))
			return false;
	return true;
}

/* One program for one state directory. */
static bool
take_lock(struct master *m, struct error *why)
{
	char path[PATH_BYTES];
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	snprintf(path, sizeof path, "%.*s/lock", FMT(m->conf->state));
	m->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (m->lock == -1)
		return error_sys(why, "cannot open %s", path);
	if (fcntl(m->lock, F_SETLK, &lock) == -1)
		return error_set(why, "another chainmail runs with the state directory %.*s",
		    FMT(m->conf->state));
	return true;
}

/* A path of a socket may be longer than the kernel takes: go there and name it shortly. */
static bool
open_commands(struct master *m, struct error *why)
{
	char state[PATH_BYTES];
	struct peer at = { .path = "control" };
	int here = open(".", O_PATH | O_CLOEXEC);
	mode_t old = umask(0177);
	bool ok;

	snprintf(state, sizeof state, "%.*s", FMT(m->conf->state));
	ok = here != -1 && chdir(state) == 0;
	if (!ok)
		error_sys(why, "cannot go to %s", state);
	else
		ok = (m->commands = peer_listen(&at, why)) != -1;
	umask(old);
	if (here != -1) {
		bug_if(fchdir(here) == -1);
		close(here);
	}
	return ok;
}

static struct door *
find_door(struct master *m, const char *text)
{
	for (size_t i = 0; i < m->door_count; i++)
		if (strcmp(m->door[i].text, text) == 0)
			return &m->door[i];
	return NULL;
}

static bool
want_door(struct master *m, const struct endpoint *e, enum role_number role, uint32_t number,
    struct error *why)
{
	struct peer peer = { .ip = e->ip, .port = e->port };
	char text[PEER_TEXT];
	struct door *d;

	if (e->kind == ENDPOINT_UNIX)
		snprintf(peer.path, sizeof peer.path, "%.*s", FMT(e->host));
	peer_text(&peer, text);
	if ((d = find_door(m, text)) == NULL) {
		if (m->door_count == DOORS_MOST)
			return error_set(why, "more than %d addresses to listen on", DOORS_MOST);
		d = &m->door[m->door_count];
		*d = (struct door){ .fd = peer_listen(&peer, why) };
		if (d->fd == -1)
			return false;
		memcpy(d->text, text, sizeof text);
		m->door_count++;
	}
	d->role = role;
	d->number = number;
	d->wanted = true;
	return true;
}

static bool
open_doors(struct master *m, const struct conf *conf, struct error *why)
{
	for (size_t i = 0; i < m->door_count; i++)
		m->door[i].wanted = false;
	for (size_t i = 0; i < conf->listen_count; i++)
		for (size_t j = 0; j < conf->listen[i].on_count; j++)
			if (!want_door(m, &conf->listen[i].on[j], ROLE_SMTPD, (uint32_t)i, why))
				return false;
	for (size_t i = 0; conf_serves(conf) && i < conf->web.on_count; i++)
		if (!want_door(m, &conf->web.on[i], ROLE_WEB, 0, why))
			return false;
	return true;
}

static void
close_unwanted_doors(struct master *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->door_count; i++) {
		if (m->door[i].wanted)
			m->door[kept++] = m->door[i];
		else
			close(m->door[i].fd);
	}
	m->door_count = kept;
}

/* --- children --------------------------------------------------------------------------- */

/* Those of an older configuration are not replaced: they leave when the new ones are ready. */
static unsigned
count_role(const struct master *m, enum role_number role)
{
	unsigned n = 0;

	for (size_t i = 0; i < CHILDREN_MOST; i++)
		n += m->child[i] != NULL && m->child[i]->role == role && !m->child[i]->draining &&
		    m->child[i]->generation == m->generation;
	return n;
}

static unsigned
wanted_role(const struct master *m, enum role_number role)
{
	switch (role) {
	case ROLE_SMTPD:
		return m->options.smtpds;
	case ROLE_DELIVERY:
		return m->options.deliveries;
	case ROLE_WEB:
		return conf_serves(m->conf);
	default:
		return 1;
	}
}

static struct child *
queue_of(const struct master *m)
{
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (m->child[i] != NULL && m->child[i]->role == ROLE_QUEUE)
			return m->child[i];
	return NULL;
}

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

/* Everybody who has to do with mail talks with the queue. */
static void
link_child(struct child *c)
{
	struct master *m = c->master;
	struct child *queue = queue_of(m);

	if (c->role == ROLE_WEB)
		return;
	if (c->role != ROLE_QUEUE) {
		if (queue != NULL)
			link_both(queue, c);
		return;
	}
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (m->child[i] != NULL && m->child[i] != c && m->child[i]->role != ROLE_WEB)
			link_both(c, m->child[i]);
}

/* What the role may see, in a file without a name. */
static int
packed_files(const struct master *m, unsigned purposes)
{
	struct buf b = BUF(PACKED_MOST);
	int fd = memfd_create("files", MFD_CLOEXEC);

	files_pack(&m->files, purposes, &b);
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
	struct master *m = c->master;

	for (size_t i = 0; i < m->door_count; i++)
		if (m->door[i].role == c->role)
			send_door(c, m->door[i].number, m->door[i].fd);
	if (c->role == ROLE_QUEUE)
		send_door(c, CONTROL_DOOR_COMMANDS, m->commands);
}

static void
send_birth(struct child *c)
{
	struct buf b = BUF(PATH_BYTES);

	pack_u8(&b, (uint8_t)c->role);
	pack_u8(&b, (uint8_t)c->slot);
	/* What was read first: the configuration, by its absolute name. */
	pack_slice(&b, slice(c->master->files.file[0]->name));
	link_send(c->link, CONTROL_ROLE, buf_slice(&b), -1);
	buf_free(&b);
	link_send(c->link, CONTROL_FILES, NONE, packed_files(c->master, ROLE_KINDS[c->role].purposes));
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

static void on_child_frame(void *arg, unsigned kind, struct slice payload, int fd);
static void on_child_gone(void *arg);
static const struct link_user CHILD = { on_child_frame, on_child_gone };

static bool
start_child(struct master *m, enum role_number role)
{
	struct child *c;
	unsigned slot = 0;
	int ends[2];
	pid_t pid;

	while (slot < CHILDREN_MOST && m->child[slot] != NULL)
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
	*c = (struct child){ .master = m, .role = role, .slot = slot, .generation = m->generation,
	    .pid = pid, .started = clock_ticks(&m->clock) };
	c->link = link_new(&m->loop, ends[0], &CHILD, c);
	m->child[slot] = c;
	send_birth(c);
	return true;
}

static void
kill_child(void *arg)
{
	kill(((struct child *)arg)->pid, SIGKILL);
}

static void
hurry_child(void *arg)
{
	struct child *c = arg;

	if (c->hurried || c->link == NULL)
		return;
	c->hurried = true;
	link_send(c->link, CONTROL_HURRY, NONE, -1);
	timer_set(&c->master->loop, &c->patience, STOP_MS, kill_child, c);
}

static void
drain_child(struct child *c)
{
	if (c->draining || c->link == NULL)
		return;
	c->draining = true;
	link_send(c->link, CONTROL_DRAIN, NONE, -1);
	timer_set(&c->master->loop, &c->patience, DRAIN_MS, hurry_child, c);
}

static void
end_child(struct child *c)
{
	drain_child(c);
	hurry_child(c);
}

static void
forget_child(struct child *c)
{
	timer_clear(&c->master->loop, &c->patience);
	link_end(c->link);
	c->master->child[c->slot] = NULL;
	free(c);
}

/* --- who is needed -------------------------------------------------------------------------- */

static void
try_again_later(struct master *m)
{
	int64_t wait = (int64_t)100 << (m->failures < 7 ? m->failures : 7);

	timer_set(&m->loop, &m->restart, wait < RESTART_MOST_MS ? wait : RESTART_MOST_MS, fill_roles, m);
}

/* Start what is missing. A new queue waits for the end of the old one: the spool is one. */
static void
fill_roles(void *arg)
{
	struct master *m = arg;
	static const enum role_number order[] = { ROLE_QUEUE, ROLE_SMTPD, ROLE_DELIVERY, ROLE_WEB };

	for (size_t i = 0; i < ROLE_NUMBERS && !m->stopping; i++) {
		enum role_number role = order[i];

		if (role == ROLE_QUEUE && queue_of(m) != NULL)
			continue;
		while (count_role(m, role) < wanted_role(m, role))
			if (!start_child(m, role)) {
				try_again_later(m);
				return;
			}
	}
}

/* The configuration in force has everybody it needs. */
static bool
all_ready(const struct master *m)
{
	for (unsigned role = 0; role < ROLE_NUMBERS; role++)
		if (count_role(m, role) < wanted_role(m, role))
			return false;
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (m->child[i] != NULL && !m->child[i]->ready)
			return false;
	return true;
}

static void
log_ready(struct master *m)
{
	struct log_line l = log_event(&m->log, &EVENT_READY, 0);
	struct buf doors = BUF(8192);

	for (size_t i = 0; i < m->door_count; i++)
		buf_printf(&doors, "%s%s", i ? "," : "", m->door[i].text);
	log_text(&l, "version", CHAINMAIL_VERSION);
	log_slice(&l, "listen", buf_slice(&doors));
	log_number(&l, "delay", (clock_ticks(&m->clock) - m->started) / 1000);
	log_end(&l);
	notify("READY=1");
	buf_free(&doors);
}

static void
log_reloaded(struct master *m)
{
	struct log_line l = log_event(&m->log, &EVENT_RELOADED, 0);

	m->reloading = false;
	log_text(&l, "file", m->options.file);
	log_number(&l, "warnings", m->warnings);
	log_end(&l);
}

/* The new generation stands: the old one may finish. */
static void
drain_old(struct master *m)
{
	for (size_t i = 0; i < CHILDREN_MOST; i++) {
		struct child *c = m->child[i];

		if (c != NULL && c->generation != m->generation && c->role != ROLE_QUEUE)
			drain_child(c);
	}
}

static void
child_ready(struct child *c, struct slice lacking)
{
	struct master *m = c->master;

	c->ready = true;
	m->failures = 0;
	if (lacking.n > 0 && !m->ready_said) {
		struct log_line l = log_event(&m->log, &EVENT_SANDBOX, 0);

		log_text(&l, "role", ROLE_KINDS[c->role].name);
		log_slice(&l, "missing", lacking);
		log_end(&l);
	}
	if (!all_ready(m))
		return;
	if (!m->ready_said) {
		m->ready_said = true;
		log_ready(m);
	}
	if (m->reloading)
		log_reloaded(m);
	drain_old(m);
}

static void
stop_at_once(struct master *m, int code)
{
	m->exit_code = code;
	m->stopping = true;
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (m->child[i] != NULL)
			kill(m->child[i]->pid, SIGKILL);
	loop_stop(&m->loop);
}

static void
on_child_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct child *c = arg;
	struct master *m = c->master;

	if (fd != -1)
		close(fd);
	if (kind == CONTROL_READY) {
		child_ready(c, payload);
	} else if (kind == CONTROL_FAILED) {
		struct log_line l = log_event(&m->log, &EVENT_ALARM, 0);

		log_text(&l, "what", ROLE_KINDS[c->role].name);
		log_slice(&l, "why", payload);
		log_end(&l);
		if (!m->ready_said)
			stop_at_once(m, EX_OSERR);
	}
}

static void
on_child_gone(void *arg)
{
	struct child *c = arg;

	link_end(c->link);
	c->link = NULL;
}

/* --- deaths --------------------------------------------------------------------------------- */

static struct child *
child_of(struct master *m, pid_t pid)
{
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (m->child[i] != NULL && m->child[i]->pid == pid)
			return m->child[i];
	return NULL;
}

static void
log_death(struct child *c, int status)
{
	struct log_line l = log_event(&c->master->log, &EVENT_CHILD_DIED, 0);

	log_text(&l, "role", ROLE_KINDS[c->role].name);
	log_number(&l, "pid", c->pid);
	if (WIFSIGNALED(status))
		log_number(&l, "signal", WTERMSIG(status));
	else
		log_number(&l, "status", WEXITSTATUS(status));
	log_end(&l);
}

static bool
nobody_left(const struct master *m)
{
	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (m->child[i] != NULL)
			return false;
	return true;
}

/* Those who bring work go first, the queue last. */
static void
stop_step(struct master *m)
{
	bool others = false;

	for (size_t i = 0; i < CHILDREN_MOST; i++)
		if (m->child[i] != NULL && m->child[i]->role != ROLE_QUEUE) {
			others = true;
			end_child(m->child[i]);
		}
	if (!others && queue_of(m) != NULL)
		end_child(queue_of(m));
	if (nobody_left(m))
		loop_stop(&m->loop);
}

static void
buried(struct child *c, int status)
{
	struct master *m = c->master;
	bool early = clock_ticks(&m->clock) - c->started < SECOND;

	if (!c->draining && !m->stopping) {
		log_death(c, status);
		m->failures += early;
	}
	forget_child(c);
	if (m->stopping)
		stop_step(m);
	else if (m->failures > 0)
		try_again_later(m);
	else
		fill_roles(m);
}

static void
on_sigchld(evutil_socket_t number, short what, void *arg)
{
	struct master *m = arg;
	struct child *c;
	int status;
	pid_t pid;

	(void)number;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if ((c = child_of(m, pid)) != NULL)
			buried(c, status);
}

/* --- stopping and reading again ---------------------------------------------------------------- */

static void
give_up(void *arg)
{
	stop_at_once(arg, EX_SOFTWARE);
}

static void
on_sigterm(evutil_socket_t number, short what, void *arg)
{
	struct master *m = arg;
	struct log_line l = log_event(&m->log, &EVENT_STOPPING, 0);

	(void)what;
	log_text(&l, "reason", number == SIGTERM ? "SIGTERM" : "SIGINT");
	log_end(&l);
	notify("STOPPING=1");
	if (number == SIGINT || m->stopping) {
		stop_at_once(m, 0);
		return;
	}
	m->stopping = true;
	timer_set(&m->loop, &m->deadline, 2 * STOP_MS, give_up, m);
	stop_step(m);
}

static void
log_flaws(struct master *m, const struct flaws *flaws)
{
	for (const struct flaw *f = flaws->first; f != NULL; f = f->next) {
		struct log_line l;

		if (f->severity != FLAW_ERROR)
			continue;
		l = log_event(&m->log, &EVENT_CONFIG_ERROR, 0);
		log_slice(&l, "file", f->file);
		log_number(&l, "line", f->line);
		log_number(&l, "column", f->column);
		log_slice(&l, "why", f->text);
		if (f->hint.n > 0)
			log_slice(&l, "hint", f->hint);
		log_end(&l);
	}
}

static bool
same_house(struct master *m, const struct conf *fresh)
{
	if (slice_eq(m->conf->state, fresh->state) && slice_eq(m->conf->hostname, fresh->hostname))
		return true;

	struct log_line l = log_event(&m->log, &EVENT_CONFIG_ERROR, 0);

	log_text(&l, "why", "hostname and state change only with a restart");
	log_end(&l);
	return false;
}

static void
adopt(struct master *m, struct conf *fresh, struct files *files, unsigned warnings)
{
	conf_free(m->conf);
	files_free(&m->files);
	m->conf = fresh;
	m->files = *files;
	m->generation++;
	m->adopted = clock_ticks(&m->clock);
	watch_begin(&m->watch, &m->files);
	certificates_begin(&m->certificates);
	m->log.json = fresh->log.json;
	m->log.least = fresh->log.least;
	m->reloading = true;
	m->warnings = warnings;
}

/* Many changes in a row: those who have had the longest time to finish get no more. */
static void
make_room(struct master *m)
{
	unsigned vacant = 0, wanted = m->options.smtpds + m->options.deliveries + 2;

	for (size_t i = 0; i < CHILDREN_MOST; i++)
		vacant += m->child[i] == NULL;
	for (size_t i = 0; i < CHILDREN_MOST && vacant < wanted; i++)
		if (m->child[i] != NULL && m->child[i]->draining)
			hurry_child(m->child[i]);
}

/* Old children stay until the new ones are ready; the queue hands over at once. */
static void
replace_children(struct master *m)
{
	struct child *queue = queue_of(m);

	close_unwanted_doors(m);
	if (queue != NULL)
		end_child(queue);
	make_room(m);
	fill_roles(m);
}

static void
read_again(struct master *m)
{
	struct files files = { 0 };
	struct flaws flaws;
	struct conf *fresh;
	struct error why;
	bool renewed;

	flaws_begin(&flaws);
	fresh = conf_load(m->options.file, &files, &flaws);
	if (flaws.errors == 0)
		world_check(fresh, &files, clock_now(&m->clock), &flaws);
	log_flaws(m, &flaws);
	if (flaws.errors == 0 && same_house(m, fresh)) {
		if (secrets_keep(fresh->state, clock_now(&m->clock), &files, &renewed, &why) &&
		    open_doors(m, fresh, &why)) {
			adopt(m, fresh, &files, flaws.warnings);
			replace_children(m);
			flaws_end(&flaws);
			return;
		}
		open_doors(m, m->conf, NULL);

		struct log_line l = log_event(&m->log, &EVENT_CONFIG_ERROR, 0);

		log_text(&l, "why", why.text);
		log_end(&l);
	}
	conf_free(fresh);
	files_free(&files);
	flaws_end(&flaws);
}

static void
on_sighup(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	read_again(arg);
}

/* --- what changes without a signal ---------------------------------------------------------------- */

/* Once a day: new secrets are for new processes. */
static bool
secrets_changed(struct master *m)
{
	int64_t now = clock_ticks(&m->clock);
	struct error why;
	bool renewed = false;

	if (now - m->renewed < DAY)
		return false;
	m->renewed = now;
	if (!secrets_keep(m->conf->state, clock_now(&m->clock), &m->files, &renewed, &why)) {
		struct log_line l = log_event(&m->log, &EVENT_ALARM, 0);

		log_text(&l, "what", "secrets");
		log_text(&l, "why", why.text);
		log_end(&l);
	}
	return renewed;
}

static void
look_around(void *arg)
{
	struct master *m = arg;

	if (!m->stopping && clock_ticks(&m->clock) - m->adopted >= RELOAD_LEAST_MS &&
	    (watch_changed(&m->watch) || secrets_changed(m)))
		read_again(m);
	certificates_warn(&m->certificates, m->conf, &m->files, clock_now(&m->clock), &m->log);
	timer_set(&m->loop, &m->look, WATCH_MS, look_around, m);
}

/* --- the whole ------------------------------------------------------------------------------------ */

static bool
load(struct master *m)
{
	struct flaws flaws;
	struct buf text = BUF(1 << 20);
	bool ok;

	flaws_begin(&flaws);
	m->conf = conf_load(m->options.file, &m->files, &flaws);
	if (flaws.errors == 0)
		world_check(m->conf, &m->files, clock_now(&m->clock), &flaws);
	flaws_sort(&flaws);
	flaws_add_text(&text, &flaws);
	file_write(STDERR_FILENO, buf_slice(&text), NULL);
	buf_free(&text);
	ok = flaws.errors == 0;
	flaws_end(&flaws);
	return ok;
}

static void
watch_signal(struct master *m, struct event *e, int number, event_callback_fn call)
{
	evsignal_assign(e, m->loop.base, number, call, m);
	event_add(e, NULL);
}

static void
watch_signals(struct master *m)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGPIPE, &ignore, NULL);
	watch_signal(m, &m->on_child, SIGCHLD, on_sigchld);
	watch_signal(m, &m->on_term, SIGTERM, on_sigterm);
	watch_signal(m, &m->on_int, SIGINT, on_sigterm);
	watch_signal(m, &m->on_hup, SIGHUP, on_sighup);
}

int
master_run(const struct master_options *o)
{
	static struct master m;
	struct error why;
	bool renewed;

	m.options = *o;
	m.log = (struct log){ &m.clock, LOG_INFO, false, log_to_stderr, NULL, NULL };
	m.started = clock_ticks(&m.clock);
	if (!load(&m))
		return EX_CONFIG;
	m.log.json = m.conf->log.json;
	m.log.least = m.conf->log.least;
	if (!make_directories(&m, &why) || !take_lock(&m, &why) || !open_commands(&m, &why) ||
	    !secrets_keep(m.conf->state, clock_now(&m.clock), &m.files, &renewed, &why) ||
	    !open_doors(&m, m.conf, &why)) {
		fprintf(stderr, "chainmail: %s\n", why.text);
		return EX_OSERR;
	}
	loop_begin(&m.loop, &m.clock);
	watch_signals(&m);
	watch_begin(&m.watch, &m.files);
	m.renewed = clock_ticks(&m.clock);
	timer_set(&m.loop, &m.look, WATCH_MS, look_around, &m);
	fill_roles(&m);
	certificates_begin(&m.certificates);
	loop_run(&m.loop);
	return m.exit_code;
}
