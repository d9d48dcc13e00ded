/* SPDX-License-Identifier: ISC */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "cmd/certificates.h"
#include "cmd/children.h"
#include "cmd/cmd.h"
#include "cmd/lease.h"
#include "cmd/master.h"
#include "cmd/notify.h"
#include "cmd/premises.h"
#include "cmd/role.h"
#include "cmd/secrets.h"
#include "cmd/watch.h"
#include "conf/events.h"
#include "config.h"

enum {
	END_MS = MINUTE,                /* an orderly end takes no longer */
	RESTART_MOST_MS = 10 * SECOND,
	WATCH_MS = 2 * SECOND,          /* how often files are looked at */
	RELOAD_LEAST_MS = 10 * SECOND,  /* between two times that tables make us read again */
	RENEWAL_MOST_MS = 5 * MINUTE,   /* between two tries of what could not be read */
	FLAWS_TEXT = 1 << 20,
};

/*
 * What changed without a signal and could not be taken.  What it lacks need not be seen
 * by looking at files that are known, so it is tried again; its flaws are told once.
 */
struct renewal {
	bool       failed;
	int64_t    next, wait;          /* ticks, ms */
	struct buf told;
};

struct master {
	struct master_options options;
	struct loop    loop;
	struct clock   clock;
	struct log     log;
	struct files   files;
	struct conf   *conf;
	struct premises premises;
	struct lease   lease;           /* until when messages may be named */
	bool           lease_alarmed;
	struct counts  counts;          /* of connections, by listen block */
	struct children children;
	bool           ready_said, stopping;
	bool           reloading;       /* the new configuration is not in force yet */
	unsigned       warnings;        /* of it */
	unsigned       failures;        /* in a row: deaths soon after the start */
	struct timer   restart, deadline, look;
	struct watch   watch;           /* the files of the configuration in force */
	int64_t        read;            /* ms since 1970: when reading one began last */
	struct renewal renewal;
	int64_t        renewed;         /* ticks: when the secrets were looked at */
	int64_t        adopted;         /* ticks: when the configuration came into force */
	struct event   on_child, on_term, on_int, on_hup;
	int64_t        started;
	struct certificates certificates;
	int            exit_code;
};

static void fill_roles(void *arg);

/* --- who is needed -------------------------------------------------------------------------- */

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

		if (role == ROLE_QUEUE && children_queue(&m->children) != NULL)
			continue;
		while (children_count(&m->children, role) < wanted_role(m, role))
			if (!child_start(&m->children, role)) {
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
		if (children_count(&m->children, role) < wanted_role(m, role))
			return false;
	return children_ready(&m->children);
}

static void
log_ready(struct master *m)
{
	struct log_line l = log_event(&m->log, &EVENT_READY, 0);
	struct buf doors = BUF(8192);

	for (size_t i = 0; i < m->premises.door_count; i++)
		buf_printf(&doors, "%s%s", i ? "," : "", m->premises.door[i].text);
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

static void
child_is_ready(struct master *m, struct child *c, struct slice lacking)
{
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
	children_drain_old(&m->children);
}

static void
stop_at_once(struct master *m, int code)
{
	m->exit_code = code;
	m->stopping = true;
	children_kill(&m->children);
	loop_stop(&m->loop);
}

static void
on_child_says(void *arg, struct child *c, unsigned kind, struct slice payload)
{
	struct master *m = arg;

	if (kind == CONTROL_READY) {
		child_is_ready(m, c, payload);
	} else if (kind == CONTROL_FAILED) {
		struct log_line l = log_event(&m->log, &EVENT_ALARM, 0);

		log_text(&l, "what", ROLE_KINDS[c->role].name);
		log_slice(&l, "why", payload);
		log_end(&l);
		if (!m->ready_said)
			stop_at_once(m, EX_OSERR);
	}
}

/* --- deaths --------------------------------------------------------------------------------- */

static void
log_death(struct log *log, const struct child *c, int status)
{
	struct log_line l = log_event(log, &EVENT_CHILD_DIED, 0);

	log_text(&l, "role", ROLE_KINDS[c->role].name);
	log_number(&l, "pid", c->pid);
	if (WIFSIGNALED(status))
		log_number(&l, "signal", WTERMSIG(status));
	else
		log_number(&l, "status", WEXITSTATUS(status));
	log_end(&l);
}

/* Those who bring work go first, the queue last. */
static void
stop_step(struct master *m)
{
	struct child *queue = children_queue(&m->children);
	bool others = false;

	for (size_t i = 0; i < CHILDREN_MOST; i++) {
		struct child *c = m->children.each[i];

		if (c != NULL && c->role != ROLE_QUEUE) {
			others = true;
			child_end(c);
		}
	}
	if (!others && queue != NULL)
		child_end(queue);
	if (children_none(&m->children))
		loop_stop(&m->loop);
}

static void
buried(struct master *m, struct child *c, int status)
{
	bool early = clock_ticks(&m->clock) - c->started < SECOND;
	bool told = c->draining || m->stopping, well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (!told || !well)
		log_death(&m->log, c, status);
	m->failures += !told && early;
	if (m->stopping && !well)
		m->exit_code = EX_SOFTWARE;     /* what it was still to do it did not do */
	child_forget(c);
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
		if ((c = children_find(&m->children, pid)) != NULL)
			buried(m, c, status);
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
	timer_set(&m->loop, &m->deadline, END_MS, give_up, m);
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
same_house(const struct master *m, const struct conf *fresh, struct error *why)
{
	return (slice_eq(m->conf->state, fresh->state) && slice_eq(m->conf->hostname, fresh->hostname)) ||
	    error_set(why, "hostname and state change only with a restart");
}

static void
adopt(struct master *m, struct conf *fresh, struct files *files, const struct counts *counts,
    unsigned warnings)
{
	conf_free(m->conf);
	files_free(&m->files);
	counts_free(&m->counts);
	m->counts = *counts;
	m->conf = fresh;
	m->files = *files;
	m->children.generation++;
	m->children.lists_are_left = conf_lets_leave(m->conf);
	m->adopted = clock_ticks(&m->clock);
	m->renewal.failed = false;
	m->renewal.wait = 0;
	buf_clear(&m->renewal.told);
	watch_begin(&m->watch, &m->files, m->read, clock_now(&m->clock));
	certificates_begin(&m->certificates, m->conf, &m->files);
	m->log.json = fresh->log.json;
	m->log.least = fresh->log.least;
	m->reloading = true;
	m->warnings = warnings;
}

/* Old children stay until the new ones are ready; the queue hands over at once. */
static void
replace_children(struct master *m)
{
	struct child *queue = children_queue(&m->children);

	premises_close_unwanted(&m->premises);
	if (queue != NULL)
		child_end(queue);
	children_make_room(&m->children, m->options.smtpds + m->options.deliveries + 2);
	fill_roles(m);
}

/* Is this worth a line: was another thing, or nothing, told of the last try? */
static bool
is_news(struct renewal *r, const struct flaws *flaws, const struct error *why)
{
	struct buf now = BUF(FLAWS_TEXT);
	bool news;

	flaws_add_text(&now, flaws);
	buf_add(&now, slice(why->text));
	news = !slice_eq(buf_slice(&now), buf_slice(&r->told));
	buf_clear(&r->told);
	buf_add(&r->told, buf_slice(&now));
	buf_free(&now);
	return news;
}

static void
renewal_failed(struct master *m)
{
	struct renewal *r = &m->renewal;

	r->wait = r->wait == 0 ? RELOAD_LEAST_MS : 2 * r->wait;
	if (r->wait > RENEWAL_MOST_MS)
		r->wait = RENEWAL_MOST_MS;
	r->next = clock_ticks(&m->clock) + r->wait;
	r->failed = true;
}

static void
log_refusal(struct master *m, const struct flaws *flaws, const struct error *why)
{
	log_flaws(m, flaws);
	if (flaws->errors == 0) {
		struct log_line l = log_event(&m->log, &EVENT_CONFIG_ERROR, 0);

		log_text(&l, "why", why->text);
		log_end(&l);
	}
}

/* False, and the old one is as it was: then `fresh` and `files` are still the caller's. */
static bool
take_over(struct master *m, struct conf *fresh, struct files *files, unsigned warnings, struct error *why)
{
	struct counts counts;
	bool renewed;

	if (!same_house(m, fresh, why))
		return false;
	if (!secrets_keep(fresh->state, clock_now(&m->clock), files, &renewed, why) ||
	    !premises_open_doors(&m->premises, fresh, why) ||
	    !premises_prepare(fresh, why) ||
	    !counts_make(&counts, (unsigned)fresh->listen_count, why)) {
		if (premises_open_doors(&m->premises, m->conf, NULL))
			premises_close_unwanted(&m->premises);  /* nobody would answer there */
		return false;
	}
	adopt(m, fresh, files, &counts, warnings);
	replace_children(m);
	return true;
}

/* `renewed_only`: what the configuration in force names; its texts are SIGHUP's. */
static void
read_again(struct master *m, bool renewed_only)
{
	struct files files = { 0 };
	struct flaws flaws;
	struct conf *fresh;
	struct error why = { 0 };

	m->read = clock_now(&m->clock);
	flaws_begin(&flaws);
	fresh = renewed_only ? conf_load_renewed(m->options.file, &m->files, &files, &flaws)
	    : conf_load(m->options.file, &files, &flaws);
	if (flaws.errors == 0)
		world_check(fresh, &files, clock_now(&m->clock), &flaws);
	if (flaws.errors > 0 || !take_over(m, fresh, &files, flaws.warnings, &why)) {
		if (!renewed_only || is_news(&m->renewal, &flaws, &why))
			log_refusal(m, &flaws, &why);
		if (renewed_only)
			renewal_failed(m);
		conf_free(fresh);
		files_free(&files);
	}
	flaws_end(&flaws);
}

static void
on_sighup(evutil_socket_t number, short what, void *arg)
{
	struct master *m = arg;

	(void)number;
	(void)what;
	if (!m->stopping)               /* nobody is started any more */
		read_again(m, false);
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

/* For an hour the disk may refuse; then names still differ, and say the time no more. */
static void
renew_lease(struct master *m)
{
	struct error why;
	bool ok = lease_renew(&m->lease, &m->clock, &why);

	if (!ok && !m->lease_alarmed) {
		struct log_line l = log_event(&m->log, &EVENT_ALARM, 0);

		log_text(&l, "what", "ids");
		log_text(&l, "why", why.text);
		log_end(&l);
	}
	m->lease_alarmed = !ok;
}

static bool
renewal_is_due(const struct master *m)
{
	return m->renewal.failed && clock_ticks(&m->clock) >= m->renewal.next;
}

static void
look_around(void *arg)
{
	struct master *m = arg;

	if (!m->stopping && clock_ticks(&m->clock) - m->adopted >= RELOAD_LEAST_MS &&
	    (watch_changed(&m->watch) || secrets_changed(m) || renewal_is_due(m)))
		read_again(m, true);
	renew_lease(m);
	certificates_warn(&m->certificates, clock_now(&m->clock), &m->log);
	timer_set(&m->loop, &m->look, WATCH_MS, look_around, m);
}

/* --- the whole ------------------------------------------------------------------------------------ */

static bool
load(struct master *m)
{
	struct flaws flaws;
	struct buf text = BUF(1 << 20);
	bool ok;

	m->read = clock_now(&m->clock);
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

static void
say_waiting(void *arg, const char *sentence)
{
	struct master *m = arg;
	struct log_line l = log_event(&m->log, &EVENT_NOTE, 0);

	log_text(&l, "what", "waiting");
	log_text(&l, "why", sentence);
	log_end(&l);
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
	if (!premises_take(&m.premises, m.conf, &why) ||
	    !secrets_keep(m.conf->state, clock_now(&m.clock), &m.files, &renewed, &why) ||
	    !lease_begin(&m.lease, m.conf->state, &m.clock, &why) ||
	    !premises_open_doors(&m.premises, m.conf, &why) ||
	    !counts_make(&m.counts, (unsigned)m.conf->listen_count, &why)) {
		fprintf(stderr, "chainmail: %s\n", why.text);
		return EX_OSERR;
	}
	premises_wait(m.conf, say_waiting, &m);
	loop_begin(&m.loop, &m.clock);
	m.children = (struct children){ .loop = &m.loop, .files = &m.files, .premises = &m.premises,
	    .counts = &m.counts, .ids = m.lease.fd, .lists_are_left = conf_lets_leave(m.conf),
	    .hear = on_child_says, .arg = &m };
	watch_signals(&m);
	watch_begin(&m.watch, &m.files, m.read, clock_now(&m.clock));
	m.renewed = clock_ticks(&m.clock);
	m.renewal.told = BUF(FLAWS_TEXT);
	timer_set(&m.loop, &m.look, WATCH_MS, look_around, &m);
	fill_roles(&m);
	certificates_begin(&m.certificates, m.conf, &m.files);
	loop_run(&m.loop);
	if (children_none(&m.children))
		lease_end(&m.lease);
	return m.exit_code;
}
