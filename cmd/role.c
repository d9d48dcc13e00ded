/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/pack.h"
#include "cmd/cmd.h"
#include "cmd/role.h"
#include "net/link.h"

enum { WAITING_MOST = 256, FILES_MOST = 256 << 20 };

/* What came before GO. */
struct arrival {
	bool             door;
	uint32_t         number;
	int              fd;
};

struct birth {
	struct role     role;
	struct link    *master;
	struct buf      config;         /* the name of the configuration */
	struct arrival  arrivals[WAITING_MOST];
	size_t          count;
	bool            born;
};

void
role_done(struct role *r)
{
	(void)r;
	_exit(0);
}

static void
say(struct birth *b, unsigned kind, const char *text)
{
	link_send(b->master, kind, slice(text), -1);
	link_flush(b->master, LINK_PATIENCE_MS);
}

static void
fail(struct birth *b, const char *why)
{
	say(b, CONTROL_FAILED, why);
	_exit(EX_SOFTWARE);
}

/* --- before GO --------------------------------------------------------------------- */

static void
take_role(struct birth *b, struct slice payload)
{
	struct unpack u = { .left = payload };
	unsigned number = unpack_u8(&u);

	b->role.slot = unpack_u8(&u);
	buf_add(&b->config, unpack_slice(&u));
	bug_if(!unpack_done(&u) || number >= ROLE_NUMBERS);
	b->role.kind = &ROLE_KINDS[number];
	prctl(PR_SET_NAME, b->role.kind->name); /* for ps and for whoever counts them */
}

static void
take_files(struct birth *b, int fd)
{
	struct buf bytes = BUF(FILES_MOST);
	struct unpack u;
	struct error why;

	if (!file_read_fd(fd, "the files of the configuration", &bytes, &why))
		fail(b, why.text);
	u = (struct unpack){ .left = buf_slice(&bytes) };
	bug_if(!files_unpack(&b->role.files, &u));
	buf_free(&bytes);
	close(fd);
}

static void
take_counts(struct birth *b, int fd)
{
	struct error why;

	if (fd == -1)
		fail(b, "the descriptor of the counts did not come");
	if (!counts_take(&b->role.counts, fd, &why))
		fail(b, why.text);
}

static void
take_ids(struct birth *b, int fd)
{
	struct error why;

	if (fd == -1)
		fail(b, "the descriptor of the bound of identifiers did not come");
	if ((b->role.ids = ids_bound_take(fd, &why)) == NULL)
		fail(b, why.text);
}

static void
hand_over(struct birth *b, const struct arrival *a)
{
	const struct role_kind *kind = b->role.kind;

	if (a->door && kind->door != NULL)
		kind->door(&b->role, a->number, a->fd);
	else if (!a->door && kind->link != NULL)
		kind->link(&b->role, (enum role_number)a->number, a->fd);
	else
		close(a->fd);
}

static void
take_arrival(struct birth *b, bool door, struct slice payload, int fd)
{
	struct unpack u = { .left = payload };
	struct arrival a = { door, unpack_u32(&u), fd };

	bug_if(!unpack_done(&u) || fd == -1 || b->count == WAITING_MOST);
	if (b->born)
		hand_over(b, &a);
	else
		b->arrivals[b->count++] = a;
}

/* --- GO ------------------------------------------------------------------------------ */

/* The master has read the same texts without a flaw; a flaw here is ours. */
static void
read_configuration(struct birth *b)
{
	struct role *r = &b->role;
	struct flaws flaws;

	flaws_begin(&flaws);
	r->reader = files_reader(&r->files);
	r->conf = conf_parse(buf_slice(&b->config), &r->reader, &flaws);
	if ((r->kind->purposes >> FILE_USERS & 1) != 0) {
		r->routes = routes_new(r->conf, &r->reader, &flaws);
		r->trust = trust_new(&r->conf->arc, &r->reader, &flaws);
	}
	if (flaws.errors > 0) {
		struct buf text = BUF(64 << 10);

		flaws_add_text(&text, &flaws);
		buf_byte(&text, '\0');
		fail(b, text.p);
	}
	flaws_end(&flaws);
	r->log = (struct log){ &r->clock, r->conf->log.least, r->conf->log.json, log_to_stderr, NULL,
	    NULL };
}

static void
give_up_rights(struct birth *b, struct buf *lacking)
{
	struct sandbox_rights rights = b->role.kind->rights(&b->role);
	struct slice user = b->role.conf->user;
	char name[64];
	struct error why;

	snprintf(name, sizeof name, "%.*s", FMT(user));
	if (geteuid() == 0 && b->role.conf->user_usual && getpwnam(name) == NULL)
		buf_printf(lacking, "the account %s (the rights of root are kept)", name);
	else if (geteuid() == 0 && !sandbox_become(name, &why))
		fail(b, why.text);
	if (!sandbox_enter(&rights, lacking, &why))
		fail(b, why.text);
}

static void
go(struct birth *b)
{
	struct buf lacking = BUF(1000);
	struct error why = { 0 };

	read_configuration(b);
	if (!b->role.kind->prepare(&b->role, &why))
		fail(b, why.text);
	give_up_rights(b, &lacking);
	if (!b->role.kind->start(&b->role, &why))
		fail(b, why.text);
	b->born = true;
	for (size_t i = 0; i < b->count; i++)
		hand_over(b, &b->arrivals[i]);
	buf_byte(&lacking, '\0');
	say(b, CONTROL_READY, lacking.p);
	buf_free(&lacking);
}

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct birth *b = arg;

	switch (kind) {
	case CONTROL_ROLE:
		take_role(b, payload);
		break;
	case CONTROL_FILES:
		take_files(b, fd);
		break;
	case CONTROL_DOOR:
		take_arrival(b, true, payload, fd);
		break;
	case CONTROL_LINK:
		take_arrival(b, false, payload, fd);
		break;
	case CONTROL_COUNTS:
		take_counts(b, fd);
		break;
	case CONTROL_IDS:
		take_ids(b, fd);
		break;
	case CONTROL_GO:
		go(b);
		break;
	case CONTROL_DRAIN:
		b->role.kind->drain(&b->role);
		break;
	case CONTROL_HURRY:
		if (b->role.kind->hurry != NULL)
			b->role.kind->hurry(&b->role);
		break;
	default:
		bug_if(true);
	}
}

static void
on_gone(void *arg)
{
	(void)arg;
	_exit(EX_UNAVAILABLE);          /* the master is dead; the files are safe at every instant */
}

static const struct link_user MASTER = { on_frame, on_gone };

int
cmd_role(int argc, char **argv)
{
	static struct birth b;
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	(void)argv;
	if (argc != 1 || fcntl(ROLE_FD, F_GETFD) == -1) {
		fputs("chainmail role: only `chainmail run` starts this\n", stderr);
		return EX_USAGE;
	}
	fcntl(ROLE_FD, F_SETFD, FD_CLOEXEC);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);       /* signals of a terminal are the master's business */
	sigaction(SIGINT, &ignore, NULL);
	b.config = BUF(4096);
	loop_begin(&b.role.loop, &b.role.clock);
	b.master = link_new(&b.role.loop, ROLE_FD, &MASTER, &b);
	loop_run(&b.role.loop);
	return 0;
}
