/* SPDX-License-Identifier: ISC */
/*
 * `chainmail lab run FILE...`: play scenarios, tell what held.  The other words
 * of `chainmail lab` are in files of their own (lab.h).
 */
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/lab.h"
#include "conf/load.h"
#include "lab/picture.h"
#include "lab/play.h"

enum { WATCHDOG_S = 300, TEXT_MOST = 64 << 20 };

struct run {
	bool     json, tap, junit, keep, transcript, sender_only;
	json_t  *all;                   /* what --json will print */
	unsigned held, expected;
};

static void
print(const struct buf *b)
{
	output_now(buf_slice(b));
}

/* --- a result, in three ways ------------------------------------------------------------ */

static void
add_place(struct buf *b, const struct statement *s)
{
	struct place at = s->words->place;

	buf_printf(b, "%.*s:%u:%u", FMT(at.source->name), at.line, place_column(at));
}

static void
tell_people(const struct play *p, int64_t micros)
{
	struct buf b = BUF(TEXT_MOST);

	picture_draw(p, &b);
	for (const struct verdict_line *l = p->first; l != NULL; l = l->next)
		if (!l->holds) {
			buf_add(&b, S("  "));
			add_place(&b, l->statement);
			buf_printf(&b, ": expected %.*s\n      but it was: %.*s\n", FMT(l->about),
			    FMT(l->came));
		}
	buf_printf(&b, "  %u of %u expectations hold (%lld.%lld s)\n", p->held, p->expected,
	    (long long)(micros / 1000000), (long long)(micros / 100000 % 10));
	print(&b);
	buf_free(&b);
}

static void
tell_tap(const struct play *p)
{
	struct buf b = BUF(TEXT_MOST);

	for (const struct verdict_line *l = p->first; l != NULL; l = l->next) {
		buf_add(&b, l->holds ? S("ok - ") : S("not ok - "));
		add_place(&b, l->statement);
		buf_printf(&b, " %.*s\n", FMT(l->about));
		if (!l->holds)
			buf_printf(&b, "#   it was: %.*s\n", FMT(l->came));
	}
	print(&b);
	buf_free(&b);
}

static json_t *
text(struct slice s)
{
	return json_stringn(s.n > 0 ? s.p : "", s.n);
}

static json_t *
expectations(const struct play *p)
{
	json_t *list = json_array();

	for (const struct verdict_line *l = p->first; l != NULL; l = l->next) {
		json_t *j = json_pack("{s:i, s:i, s:o, s:b}", "line", (int)l->statement->words->place.line,
		    "column", (int)place_column(l->statement->words->place), "expected", text(l->about),
		    "holds", l->holds);

		if (!l->holds)
			json_object_set_new(j, "came", text(l->came));
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *
messages(const struct play *p)
{
	json_t *list = json_array();

	for (const struct captured *c = p->captures.first; c != NULL; c = c->next)
		json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "host", text(c->citizen->name),
		    "to", text(c->address), "id", text(c->id), "bytes", text(c->bytes)));
	return list;
}

static json_t *
log_lines(const struct play *p)
{
	json_t *list = json_array();

	for (const struct event_line *e = p->world->events.first; e != NULL; e = e->next) {
		json_t *j = json_copy(e->keys);

		json_object_set_new(j, "host", text(e->host));
		json_array_append_new(list, j);
	}
	return list;
}

static void
keep_json(struct run *r, const struct play *p)
{
	const struct scenario *sc = p->world->scenario;

	json_array_append_new(r->all, json_pack("{s:o, s:I, s:b, s:I, s:I, s:o, s:o, s:o}", "scenario",
	    text(sc->name), "seed", (json_int_t)sc->seed, "holds", p->held == p->expected, "held",
	    (json_int_t)p->held, "of", (json_int_t)p->expected, "expectations", expectations(p), "messages",
	    messages(p), "log", log_lines(p)));
}

static void
tell_transcript(const struct play *p)
{
	struct buf b = BUF(TEXT_MOST);

	transcript_write(p, &b);
	print(&b);
	buf_free(&b);
}

static void
tell(struct run *r, const struct play *p, int64_t micros)
{
	r->held += p->held;
	r->expected += p->expected;
	if (r->transcript)
		tell_transcript(p);
	if (r->json)
		keep_json(r, p);
	else if (r->tap)
		tell_tap(p);
	else
		tell_people(p, micros);
}

/* --- a run ---------------------------------------------------------------------------------- */

int
lab_failed(const char *what, const struct error *why)
{
	complaint("chainmail lab: %s: %s", what, why->text);
	return EX_SOFTWARE;
}

/* Signals of a terminal or of a service manager may go to all of its processes. */
static void
keep_place(const char *path, int pipe_end)
{
	static const int deaf[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	char word;

	for (size_t i = 0; i < sizeof deaf / sizeof *deaf; i++)
		sigaction(deaf[i], &ignore, NULL);
	if (read(pipe_end, &word, 1) != 1)      /* a word: it stays */
		dir_remove(path, NULL);
	_exit(0);
}

bool
lab_place_begin(struct lab_place *p, struct error *why)
{
	const char *above = getenv("TMPDIR");
	int ends[2];

	if (above == NULL)
		above = "/tmp";
	snprintf(p->path, sizeof p->path, "%s/chainmail-lab-XXXXXX", above);
	if (mkdtemp(p->path) == NULL)
		return error_sys(why, "cannot make a directory below %s", above);
	if (pipe2(ends, O_CLOEXEC) == -1 || (p->keeper = fork()) == -1)
		return error_sys(why, "nobody can keep %s", p->path);
	if (p->keeper == 0) {
		close(ends[1]);
		keep_place(p->path, ends[0]);
	}
	close(ends[0]);
	p->held = ends[1];
	return true;
}

void
lab_place_end(struct lab_place *p)
{
	close(p->held);
	while (waitpid(p->keeper, NULL, 0) == -1 && errno == EINTR)
		;
}

void
lab_place_keep(struct lab_place *p)
{
	file_write(p->held, S("k"), NULL);
	lab_place_end(p);
}

static int
play(struct run *r, const char *file, struct scenario *sc, const char *directory)
{
	int64_t begun = clock_micros();
	struct error why;
	struct world *w = world_new(sc, directory, &why);
	struct play p;
	int code = 0;

	if (w == NULL)
		return lab_failed(file, &why);
	if (play_run(&p, w, &why))
		tell(r, &p, clock_micros() - begun);
	else
		code = lab_failed(file, &why);
	play_end(&p);
	world_free(w);
	return code;
}

static int
play_in_directory(struct run *r, const char *file, struct scenario *sc)
{
	struct lab_place place;
	struct error why;
	int code;

	if (!lab_place_begin(&place, &why))
		return lab_failed(file, &why);
	code = play(r, file, sc, place.path);
	if (r->keep) {
		lab_place_keep(&place);
		complaint("chainmail lab: the world of %s is in %s", file, place.path);
	} else {
		lab_place_end(&place);
	}
	return code;
}

int
lab_flaws(struct flaws *flaws)
{
	struct buf b = BUF(1 << 20);

	flaws_sort(flaws);
	flaws_add_text(&b, flaws);
	file_write(STDERR_FILENO, buf_slice(&b), NULL);
	buf_free(&b);
	return EX_CONFIG;
}

static int
run_file(struct run *r, const char *file)
{
	struct files files = { 0 };
	struct reader reader = disk_reader(&files);
	struct flaws flaws;
	struct scenario *sc;
	int code;

	flaws_begin(&flaws);
	sc = scenario_read(slice(file), &reader, &flaws);
	code = flaws.errors > 0 ? lab_flaws(&flaws) : play_in_directory(r, file, sc);
	scenario_free(sc);
	flaws_end(&flaws);
	files_free(&files);
	return code;
}

/* Virtual time never waits; if true time passes, something turns in a circle. */
static void
hangs(int number)
{
	static const char words[] = "chainmail lab: the run hangs and is ended\n";

	(void)number;
	if (write(STDERR_FILENO, words, sizeof words - 1) == -1)
		_exit(EX_SOFTWARE);
	_exit(EX_SOFTWARE);
}

void
lab_watchdog(void)
{
	struct sigaction bark = { .sa_handler = hangs }, ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGALRM, &bark, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	alarm(WATCHDOG_S);
}

static int
run_all(struct run *r, const struct words *files)
{
	int code = 0;

	for (size_t i = 0; i < files->n && code == 0; i++) {
		lab_watchdog();
		code = run_file(r, files->word[i]);
	}
	if (code == 0 && r->tap)
		printf("1..%u\n", r->expected);
	if (code == 0 && r->json) {
		json_dumpf(r->all, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return code != 0 ? code : r->held == r->expected ? 0 : EX_BAD;
}

static int
print_manual(void)
{
	struct buf b = BUF(1 << 20);

	scenario_manual(&b);
	print(&b);
	buf_free(&b);
	return 0;
}

static enum lab_form
form_of(const struct run *r)
{
	return r->json ? LAB_JSON : r->tap ? LAB_TAP : r->junit ? LAB_JUNIT : LAB_PEOPLE;
}

/* What has a meaning only for a world that is open to others. */
static bool
opens_world(const struct lab_up *up)
{
	return up->directory != NULL || up->smtp != NULL || up->https != NULL || up->dns != NULL ||
	    up->http != NULL || up->wait != NULL;
}

/* The word behind `lab` and its operands; EX_USAGE: no such thing. */
static int
obey(struct run *r, struct words *words, const struct lab_up *up)
{
	const char *word = words->n > 0 ? words->word[0] : "";
	const char *file = words->n == 2 ? words->word[1] : NULL;

	if (r->json + r->tap + r->junit + r->transcript > 1)
		return EX_USAGE;
	if (strcmp(word, "manual") == 0 && words->n == 1)
		return print_manual();
	if (strcmp(word, "gallery") == 0 && words->n <= 2 && !r->transcript && !r->keep &&
	    (r->sender_only || !opens_world(up)))
		return r->sender_only ? lab_sender(file, form_of(r), up) : lab_gallery(file, form_of(r));
	if (strcmp(word, "up") == 0 && words->n <= 2 && form_of(r) == LAB_PEOPLE && !r->transcript)
		return lab_up(file, up);
	if (strcmp(word, "run") != 0 || words->n < 2 || r->junit)
		return EX_USAGE;
	memmove(words->word, words->word + 1, --words->n * sizeof *words->word);
	return run_all(r, words);
}

int
cmd_lab(int argc, char **argv)
{
	static const char synopsis[] = "lab run FILE... [--json | --tap | --transcript] [--keep]\n"
	    "       chainmail lab gallery [FILE] [--json | --tap | --junit]\n"
	    "       chainmail lab up [FILE] [--dir DIR] [--smtp PORT] [--https PORT] [--dns PORT]\n"
	    "               [--http PORT]\n"
	    "       chainmail lab gallery --sender-only --wait DURATION [FILE] [--json | --tap | --junit]\n"
	    "               [as for up]\n"
	    "       chainmail lab manual";
	struct run r = { .all = json_array() };
	struct lab_up up = { .directory = NULL };
	const struct option_row rows[] = {
		{ "--json", OPTION_FLAG, &r.json, NULL, "results, messages and logs as one JSON text" },
		{ "--tap", OPTION_FLAG, &r.tap, NULL, "an \"ok\" or \"not ok\" line an expectation" },
		{ "--junit", OPTION_FLAG, &r.junit, NULL, "the gallery's table for CI systems" },
		{ "--transcript", OPTION_FLAG, &r.transcript, NULL, "configurations, logs and messages too" },
		{ "--keep", OPTION_FLAG, &r.keep, NULL, "leave the world's directory there" },
		{ "--dir", OPTION_TEXT, &up.directory, "DIR", "where up keeps its files" },
		{ "--smtp", OPTION_TEXT, &up.smtp, "PORT", "of the mail hosts; 25 for root, else 2525" },
		{ "--https", OPTION_TEXT, &up.https, "PORT", "of the policy hosts; 443 for root, else 8443" },
		{ "--dns", OPTION_TEXT, &up.dns, "PORT", "of the name server; 53 for root, else 5353" },
		{ "--http", OPTION_TEXT, &up.http, "PORT", "of http://127.0.0.1/lab/v1/gallery; 8025" },
		{ "--sender-only", OPTION_FLAG, &r.sender_only, NULL, "judge another sender" },
		{ "--wait", OPTION_TEXT, &up.wait, "DURATION", "how long it may take" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words words = { .n = 0 };
	int code;

	if (!options_read(argc, argv, synopsis, rows, &words, 64))
		return EX_USAGE;
	if ((code = obey(&r, &words, &up)) == EX_USAGE)
		fprintf(stderr, "usage: chainmail %s\n", synopsis);
	json_decref(r.all);
	return code;
}
