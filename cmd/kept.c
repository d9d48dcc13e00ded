/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/pack.h"
#include "cmd/control.h"
#include "cmd/kept.h"
#include "cmd/owner.h"
#include "queue/commands.h"
#include "queue/state.h"

enum { PATH_BYTES = 4096, KV_MEMORY = 1 << 20, ENTRY_MOST = 1 << 20 };

/* --- the program that runs ------------------------------------------------------------ */

static void
take_entry(struct kept *k, struct slice payload)
{
	struct unpack u = { .left = payload };
	struct slice domain = unpack_slice(&u), entry = unpack_slice(&u);

	if (unpack_done(&u) && k->each != NULL)
		k->each(k->arg, domain, entry);
}

static void
take_end(struct kept *k, struct slice payload)
{
	json_t *j = json_loadb(payload.p, payload.n, 0, NULL);
	const char *error = json_string_value(json_object_get(j, "error"));

	if ((k->failed = j == NULL || error != NULL))
		error_set(&k->why, "%s", error != NULL ? error : "the program does not answer as it should");
	json_decref(j);
	loop_stop(&k->loop);
}

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	if (fd != -1)
		close(fd);
	if (kind == FRAME_BYTES)
		take_entry(arg, payload);
	else if (kind == FRAME_END)
		take_end(arg, payload);
}

static void
on_gone(void *arg)
{
	struct kept *k = arg;

	k->failed = true;
	error_set(&k->why, "the program ended before it answered");
	loop_stop(&k->loop);
}

static const struct link_user PROGRAM = { on_frame, on_gone };

static bool
ask_program(struct kept *k, const char *verb, struct slice domain, struct error *why)
{
	json_t *j = json_pack("{s:s, s:s%}", "verb", verb, "domain", domain.n > 0 ? domain.p : "", domain.n);
	char *text = json_dumps(j, JSON_COMPACT);

	bug_if(text == NULL);
	link_send(k->link, FRAME_STS_REQUEST, slice(text), -1);
	free(text);
	json_decref(j);
	k->failed = false;
	loop_run(&k->loop);
	return !k->failed || error_set(why, "%s", k->why.text);
}

/* --- the disk --------------------------------------------------------------------------- */

static bool
each_entry(void *arg, const struct kv_entry *e)
{
	struct kept *k = arg;

	if (k->each != NULL)
		k->each(k->arg, e->key, e->value);
	return true;
}

static bool
show(struct kept *k, struct slice domain, struct error *why)
{
	struct buf entry = BUF(ENTRY_MOST);
	enum kv_answer answer = kv_get(kv_table(k->kv, "sts"), domain, &entry, why);

	if (answer == KV_FOUND && k->each != NULL)
		k->each(k->arg, domain, buf_slice(&entry));
	buf_free(&entry);
	return answer != KV_FAILED;
}

static bool
ask_disk(struct kept *k, const char *verb, struct slice domain, struct error *why)
{
	if (strcmp(verb, "refresh") == 0)
		return error_set(why, "the program does not run; with the next mail the policy is fetched");
	if (k->kv == NULL)
		return true;
	if (strcmp(verb, "list") == 0)
		return kv_range(kv_table(k->kv, "sts"), NONE, NONE, each_entry, k, why);
	if (strcmp(verb, "show") == 0)
		return show(k, domain, why);
	return kv_delete(kv_table(k->kv, "sts"), domain, why) && kv_commit(k->kv, KV_SYNC, why);
}

/* --- the configuration ---------------------------------------------------------------------- */

struct conf *
kept_conf(const char *path, struct files *files)
{
	struct reader reader = disk_reader(files);
	struct buf text = BUF(1 << 20);
	struct flaws flaws;
	struct conf *conf;

	flaws_begin(&flaws);
	conf = conf_parse(slice(path), &reader, &flaws);
	if (flaws.errors > 0) {
		flaws_sort(&flaws);
		flaws_add_text(&text, &flaws);
		fwrite(text.p, 1, text.n, stderr);
		buf_free(&text);
		conf_free(conf);
		conf = NULL;
	}
	flaws_end(&flaws);
	return conf;
}

/* --- both ---------------------------------------------------------------------------------- */

bool
kept_ask(struct kept *k, const char *verb, struct slice domain,
    void (*each)(void *, struct slice, struct slice), void *arg, struct error *why)
{
	k->each = each;
	k->arg = arg;
	return k->link != NULL ? ask_program(k, verb, domain, why) : ask_disk(k, verb, domain, why);
}

bool
kept_running(const struct kept *k)
{
	return k->link != NULL;
}

/* The path of the socket may be longer than the kernel takes: go there, and come back. */
static int
connect_control(struct slice state, const char *path, bool *nobody_r, struct error *why)
{
	int here = open(".", O_PATH | O_CLOEXEC), fd = -1;

	*nobody_r = false;
	if (here == -1) {
		error_sys(why, "cannot come back to this directory");
	} else if (chdir(path) == -1) {
		*nobody_r = errno == ENOENT;
		error_sys(why, "cannot go to %s", path);
	} else {
		fd = control_connect(state, nobody_r, why);
		bug_if(fchdir(here) == -1);
	}
	if (here != -1)
		close(here);
	return fd;
}

static bool
open_disk(struct kept *k, const char *state, struct error *why)
{
	char path[PATH_BYTES];
	struct kv_options o = { path, STATE_TABLES, &k->clock, KV_MEMORY, false };
	struct stat st;

	snprintf(path, sizeof path, "%s/caches", state);
	if (stat(path, &st) == -1)
		return errno == ENOENT || error_sys(why, "cannot look at %s", path);
	return owner_become(state, why) && (k->kv = kv_open(&o, why)) != NULL;
}

bool
kept_begin(struct kept *k, const struct conf *conf, struct error *why)
{
	char state[PATH_BYTES - 100];
	bool nobody;
	int fd;

	*k = (struct kept){ .link = NULL };
	snprintf(state, sizeof state, "%.*s", FMT(conf->state));
	loop_begin(&k->loop, &k->clock);
	if ((fd = connect_control(conf->state, state, &nobody, why)) == -1)
		return nobody && open_disk(k, state, why);
	k->link = link_new(&k->loop, fd, &PROGRAM, k);
	return true;
}

void
kept_end(struct kept *k)
{
	link_end(k->link);
	kv_close(k->kv);
	owner_leave();
	loop_end(&k->loop);
}
