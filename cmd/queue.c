/* SPDX-License-Identifier: ISC */
/*
 * queue -- list, show, retry, hold, release and drop messages that wait.
 *
 * The running program is asked over its control socket; when nobody runs the
 * spool is opened here, and the same functions do the same work.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "conf/load.h"
#include "config.h"
#include "net/link.h"
#include "queue/commands.h"

enum { PATH_BYTES = 4096, REQUEST_MOST = 1 << 20 };

struct asking {
	struct queue_request request;
	bool          json;
	struct clock  clock;
	struct loop   loop;
	struct files  files;
	struct flaws  flaws;
	struct conf  *conf;
	struct spool *spool;            /* when nobody runs */
	struct link  *link;             /* when somebody does */
	size_t        rows;
	int64_t       bytes, oldest;
	int           code;
};

/* --- for people --------------------------------------------------------------------------- */

static void
age_text(int64_t seconds, char text[16])
{
	if (seconds < 60)
		snprintf(text, 16, "%ds", (int)(seconds < 0 ? 0 : seconds));
	else if (seconds < 3600)
		snprintf(text, 16, "%dm%02ds", (int)(seconds / 60), (int)(seconds % 60));
	else if (seconds < 48 * 3600)
		snprintf(text, 16, "%dh%02dm", (int)(seconds / 3600), (int)(seconds / 60 % 60));
	else
		snprintf(text, 16, "%dd%02dh", (int)(seconds / 86400 % 100000), (int)(seconds / 3600 % 24));
}

static void
size_text(int64_t bytes, char text[16])
{
	if (bytes < 1000)
		snprintf(text, 16, "%d B", (int)bytes);
	else if (bytes < 1000 * 1000)
		snprintf(text, 16, "%d kB", (int)((bytes + 500) / 1000));
	else
		snprintf(text, 16, "%.1f MB", (double)bytes / 1e6);
}

static const char *
string_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s != NULL ? s : "";
}

static int64_t
number_of(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

/* "deferred, next try in 18m (5th)" */
static void
state_text(const struct asking *a, const json_t *row, const json_t *recipient, char text[80])
{
	const char *queue = string_of(row, "queue_name");
	int64_t now = clock_now(&a->clock) / 1000, next = number_of(recipient, "next_attempt");
	char wait[16];

	if (strcmp(queue, "deferred") != 0 || next == 0) {
		snprintf(text, 80, "%s", queue);
		return;
	}
	age_text(next - now, wait);
	snprintf(text, 80, "deferred, try %d in %s", (int)number_of(recipient, "attempts") + 1,
	    next > now ? wait : "a moment");
}

static void
print_recipient(const struct asking *a, const json_t *row, const json_t *r, bool first)
{
	const char *why = string_of(r, "delay_reason");
	char state[80];

	state_text(a, row, r, state);
	if (!first)
		printf("%-12s  %-6s %-7s %-27s ", "", "", "", "");
	printf("%-27s %s\n", string_of(r, "address"), state);
	if (*why != '\0')
		printf("%-12s  %-6s %-7s %-27s └ %s\n", "", "", "", "", why);
}

static void
print_row(const struct asking *a, const json_t *row)
{
	const json_t *recipients = json_object_get(row, "recipients");
	const char *from = string_of(row, "sender");
	char age[16], size[16], sender[300];

	age_text(clock_now(&a->clock) / 1000 - number_of(row, "arrival_time"), age);
	size_text(number_of(row, "message_size"), size);
	snprintf(sender, sizeof sender, "%s", *from == '\0' ? "<>" : from);
	printf("%-12s  %-6s %-7s %-27s ", string_of(row, "queue_id"), age, size, sender);
	for (size_t i = 0; i < json_array_size(recipients); i++)
		print_recipient(a, row, json_array_get(recipients, i), i == 0);
	if (json_array_size(recipients) == 0)
		putchar('\n');
}

static void
print_end(const struct asking *a)
{
	char size[16], age[16];

	if (a->rows == 0) {
		puts("the queue is empty");
		return;
	}
	size_text(a->bytes, size);
	age_text(clock_now(&a->clock) / 1000 - a->oldest, age);
	printf("%zu message%s, %s, oldest %s\n", a->rows, a->rows == 1 ? "" : "s", size, age);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void
take_row(struct asking *a, json_t *row)
{
	int64_t arrival = number_of(row, "arrival_time");

	if (a->json) {
		json_dumpf(row, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		if (a->rows == 0)
			printf("%-12s  %-6s %-7s %-27s %-27s %s\n", "ID", "AGE", "SIZE", "FROM",
			    "TO", "STATE");
		print_row(a, row);
		if (a->request.verb == QUEUE_SHOW)
			putchar('\n');
	}
	a->rows++;
	a->bytes += number_of(row, "message_size");
	if (a->oldest == 0 || arrival < a->oldest)
		a->oldest = arrival;
	json_decref(row);
}

static void
take_bytes(void *arg, struct slice bytes)
{
	const struct asking *a = arg;

	if (!a->json)
		fwrite(bytes.p, 1, bytes.n, stdout);
}

static void
take_end(struct asking *a, size_t count, const char *error)
{
	if (error != NULL) {
		fprintf(stderr, "chainmail queue: %s\n", error);
		a->code = EX_BAD;
	}
	if (a->json)
		return;
	if (a->request.verb == QUEUE_LIST)
		print_end(a);
	else if (a->request.verb != QUEUE_SHOW)
		printf("%s: %zu message%s\n", queue_verb_word(a->request.verb), count, count == 1 ? "" : "s");
}

/* --- asking the running program ------------------------------------------------------------------ */

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct asking *a = arg;
	json_t *j;

	if (fd != -1)
		close(fd);
	if (kind == FRAME_BYTES) {
		take_bytes(a, payload);
		return;
	}
	if ((j = json_loadb(payload.p, payload.n, 0, NULL)) == NULL)
		return;
	if (kind == FRAME_ROW) {
		take_row(a, j);
		return;
	}
	take_end(a, (size_t)number_of(j, "count"), json_string_value(json_object_get(j, "error")));
	json_decref(j);
	loop_stop(&a->loop);
}

static void
on_gone(void *arg)
{
	struct asking *a = arg;

	fputs("chainmail queue: the program ended before it answered\n", stderr);
	a->code = EX_TEMPFAIL;
	loop_stop(&a->loop);
}

static const struct link_user PROGRAM = { on_frame, on_gone };

static int
connect_control(void)
{
	struct peer at = { .path = "control" };
	struct error why;

	return peer_connect(&at, NULL, &why);
}

static void
ask_program(struct asking *a, int fd)
{
	json_t *j = queue_request_json(&a->request);
	char *text = json_dumps(j, JSON_COMPACT);

	a->link = link_new(&a->loop, fd, &PROGRAM, a);
	link_send(a->link, FRAME_REQUEST, slice(text), -1);
	free(text);
	json_decref(j);
	loop_run(&a->loop);
	link_end(a->link);
}

/* --- asking the spool ------------------------------------------------------------------------------ */

static bool
answer_one(void *arg, const struct found *f)
{
	struct asking *a = arg;
	struct error why;

	if (a->request.verb == QUEUE_LIST || a->request.verb == QUEUE_SHOW)
		take_row(a, queue_row(f, false,
		    f->summary.arrival + conf_patience(a->conf, f->summary.sender.n == 0)));
	if (a->request.verb == QUEUE_SHOW)
		queue_text(a->spool, f->summary.id, a->request.text, take_bytes, a, &why);
	return true;
}

struct selected {
	uint64_t *ids;
	size_t    count, room;
};

static bool
gather(void *arg, const struct found *f)
{
	struct selected *s = arg;

	if (s->count == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		s->ids = must_grow(s->ids, s->room * sizeof *s->ids);
	}
	s->ids[s->count++] = f->summary.id;
	return true;
}

static bool
change_one(void *arg, const struct found *f)
{
	struct asking *a = arg;

	queue_change(a->spool, a->request.verb, f);
	return true;
}

static void
ask_spool(struct asking *a)
{
	struct spool_options o = { .dir = "queue", .clock = &a->clock, .threadless = true };
	struct selected s = { .ids = NULL };
	struct error why = { 0 };
	bool ok;

	if ((a->spool = spool_open(&o, &why)) == NULL) {
		fprintf(stderr, "chainmail queue: %s\n", why.text);
		a->code = EX_UNAVAILABLE;
		return;
	}
	if (a->request.verb == QUEUE_LIST)
		ok = queue_select(a->spool, &a->request, answer_one, a, &why);
	else
		ok = queue_select(a->spool, &a->request, gather, &s, &why);
	for (size_t i = 0; i < s.count; i++)
		spool_look(a->spool, s.ids[i],
		    a->request.verb <= QUEUE_SHOW ? answer_one : change_one, a, NULL);
	if (!spool_drain(a->spool))
		ok = error_set(&why, "the disk does not take the change");
	take_end(a, s.count, ok ? NULL : why.text);
	spool_close(a->spool);
	free(s.ids);
}

/* --- the command line --------------------------------------------------------------------------------- */

static bool
read_ids(struct asking *a, const struct words *words, struct arena *arena)
{
	a->request.ids = arena_get(arena, sizeof words->word / sizeof *words->word * sizeof(uint64_t));
	for (size_t i = 1; i < words->n; i++) {
		if (strcmp(words->word[i], "all") == 0) {
			a->request.all = true;
		} else if (!id_parse(slice(words->word[i]), &a->request.ids[a->request.id_count++])) {
			fprintf(stderr, "chainmail queue: \"%s\" is not the ID of a message\n",
			    words->word[i]);
			return false;
		}
	}
	return true;
}

static bool
read_words(struct asking *a, const struct words *words, struct arena *arena)
{
	struct queue_request *r = &a->request;

	if (words->n > 0 && !queue_verb_parse(slice(words->word[0]), &r->verb)) {
		fprintf(stderr, "chainmail queue: there is no \"%s\"; it can list, show, retry, hold, "
		    "release, drop\n", words->word[0]);
		return false;
	}
	if (!read_ids(a, words, arena))
		return false;
	if (r->verb != QUEUE_LIST && r->id_count == 0 && !r->all && r->from.n == 0 && r->to.n == 0) {
		fprintf(stderr, "chainmail queue %s: which messages? IDs, --from, --to, or the word all\n",
		    queue_verb_word(r->verb));
		return false;
	}
	return true;
}

/* Only the words of the configuration count here; what it refers to may be unreadable. */
static bool
load(struct asking *a, const char *file)
{
	a->conf = conf_load(file, &a->files, &a->flaws);
	return a->conf != NULL && a->conf->state.n > 0;
}

static int
tell_flaws(const struct asking *a)
{
	struct buf out = BUF(1 << 20);

	flaws_add_text(&out, &a->flaws);
	fwrite(out.p, 1, out.n, stderr);
	buf_free(&out);
	return EX_CONFIG;
}

/* Socket and spool are named from there: a path may be longer than the kernel takes. */
static bool
go_to_state(const struct asking *a)
{
	char state[PATH_BYTES];

	snprintf(state, sizeof state, "%.*s", FMT(a->conf->state));
	if (chdir(state) == 0)
		return true;
	if (a->flaws.errors == 0)
		fprintf(stderr, "chainmail queue: cannot go to %s: %s\n", state, strerror(errno));
	return false;
}

static int
ask(struct asking *a, const char *file)
{
	int fd;

	if (!load(a, file))
		return tell_flaws(a);
	if (!go_to_state(a))
		return a->flaws.errors > 0 ? tell_flaws(a) : EX_NOINPUT;
	loop_begin(&a->loop, &a->clock);
	if ((fd = connect_control()) != -1)
		ask_program(a, fd);
	else
		ask_spool(a);
	loop_end(&a->loop);
	return a->code;
}

int
cmd_queue(int argc, char **argv)
{
	struct asking a = { .request = { .verb = QUEUE_LIST } };
	const char *file = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf", *from = "", *to = "";
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, &file, "FILE", "the configuration" },
		{ "--json", OPTION_FLAG, &a.json, NULL, "an object a line, with the keys of postqueue -j" },
		{ "--from", OPTION_TEXT, &from, "ADDRESS", "only with this sender, or of this domain" },
		{ "--to", OPTION_TEXT, &to, "ADDRESS", "only with this recipient, or of this domain" },
		{ "--text", OPTION_FLAG, &a.request.text, NULL, "show: the whole message" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words words = { .n = 0 };
	struct arena *arena;
	int code = EX_USAGE;

	if (!options_read(argc, argv, "queue [list|show|retry|hold|release|drop] [ID...|all]", rows, &words,
	    sizeof words.word / sizeof *words.word))
		return EX_USAGE;
	a.request.from = slice(from);
	a.request.to = slice(to);
	flaws_begin(&a.flaws);
	arena = arena_new(REQUEST_MOST);
	if (read_words(&a, &words, arena))
		code = ask(&a, file);
	conf_free(a.conf);
	files_free(&a.files);
	flaws_end(&a.flaws);
	arena_free(arena);
	return code;
}
