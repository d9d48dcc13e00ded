/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/answers.h"
#include "cmd/cmd.h"
#include "conf/load.h"
#include "config.h"
#include "dns/zone.h"

static const char INSTALLED[] = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf";

enum { ZONE_FILE = 64 << 20, FLAWS_TEXT = 1 << 20, ANSWERS_MS = 30 * SECOND };

static int
complain(const struct answers *a, int code, const char *what)
{
	complaint("chainmail %s: %s", a->command, what);
	return code;
}

/* --- the configuration --------------------------------------------------------- */

static int
tell_flaws(const struct flaws *flaws)
{
	struct buf text = BUF(FLAWS_TEXT);

	flaws_add_text(&text, flaws);
	fwrite(text.p, 1, text.n, stderr);
	buf_free(&text);
	return EX_CONFIG;
}

/* Only its texts: keys and tables are none of a command's business. */
static int
read_configuration(struct answers *a, const char *path)
{
	struct flaws flaws;
	int code = 0;

	flaws_begin(&flaws);
	a->conf = conf_parse(slice(path), &a->reader, &flaws);
	flaws_sort(&flaws);
	if (flaws.errors > 0)
		code = tell_flaws(&flaws);
	flaws_end(&flaws);
	return code;
}

/* None: the defaults.  A stub's servers seldom hand on what validation needs. */
static void
assume_defaults(struct answers *a)
{
	struct flaws flaws;
	struct place nowhere = { 0 };

	flaws_begin(&flaws);
	a->conf = conf_build(NULL, NONE, nowhere, &flaws);
	a->conf->resolver.anchor = NONE;
	flaws_end(&flaws);
}

static int
find_configuration(struct answers *a, const struct answers_options *o)
{
	if (o->config != NULL)
		return read_configuration(a, o->config);
	if (o->dns == NULL && access(INSTALLED, R_OK) == 0)
		return read_configuration(a, INSTALLED);
	assume_defaults(a);
	return 0;
}

/* --- the answers ------------------------------------------------------------------ */

static int
read_zone(struct answers *a, const char *path)
{
	struct buf text = BUF(ZONE_FILE);
	struct error why;
	int code = 0;

	if (!file_read(path, &text, &why))
		code = complain(a, EX_NOINPUT, why.text);
	else if ((a->zone = zone_parse(buf_slice(&text), path, &why)) == NULL)
		code = complain(a, EX_DATAERR, why.text);
	buf_free(&text);
	return code;
}

static int
open_resolver(struct answers *a)
{
	struct resolver_options o = { .facts = a->zone };
	struct error why = { 0 };

	if (a->zone != NULL)
		a->dns.resolver = resolver_new(&a->loop, &o, &why);
	else
		resolving_begin(&a->dns, &a->loop, &a->conf->resolver, &a->reader, &why);
	return a->dns.resolver != NULL ? 0 : complain(a, EX_TEMPFAIL, why.text);
}

int
answers_begin(struct answers *a, const char *command, const struct answers_options *o, struct arena *arena)
{
	int code;

	*a = (struct answers){ .command = command };
	loop_begin(&a->loop, &a->clock);
	a->reader = disk_reader(&a->files);
	if ((code = find_configuration(a, o)) != 0 ||
	    (o->dns != NULL && (code = read_zone(a, o->dns)) != 0) ||
	    (code = open_resolver(a)) != 0)
		return code;
	inquiry_begin(&a->inquiry, a->dns.resolver, arena);
	inquiry_limit(&a->inquiry, ANSWERS_MS);
	return 0;
}

void
answers_end(struct answers *a)
{
	inquiry_end(&a->inquiry);
	resolving_end(&a->dns);
	zone_free(a->zone);
	conf_free(a->conf);
	files_free(&a->files);
	loop_end(&a->loop);
}

static void
try_again(void *arg)
{
	struct answers *a = arg;

	if (a->evaluate(a->arg, &a->inquiry.facts))
		loop_stop(&a->loop);
	else
		inquiry_ask(&a->inquiry, try_again, a);
}

void
answers_run(struct answers *a, bool (*evaluate)(void *, struct facts *), void *arg)
{
	a->evaluate = evaluate;
	a->arg = arg;
	if (evaluate(arg, &a->inquiry.facts))
		return;
	inquiry_ask(&a->inquiry, try_again, a);
	loop_run(&a->loop);
}
