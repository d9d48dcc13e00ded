/* SPDX-License-Identifier: ISC */
/*
 * queue -- list, show, retry, hold, release, drop and bounce messages that wait,
 * take them out, wait until they are gone; look after the spool.
 *
 * The running program is asked over its control socket; when nobody runs the
 * spool is opened here, and the same functions do the same work.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "cmd/owner.h"
#include "cmd/shown.h"
#include "config.h"

enum { PATH_BYTES = 4096, REQUEST_MOST = 1 << 20, LOOK_US = 200000, TEXT_AT_ONCE = 64 << 10 };

#define QUEUE_WORDS "list, show, stats, retry, hold, release, drop, bounce, drain, export, verify, rebuild"

struct asking {
	struct queue_request request;
	bool          json;
	bool          envelope, header, body;   /* show: these parts; none: the usual ones */
	size_t        ends;             /* of the message that is shown: octets of the empty line */
	struct house  house;
	struct spool *spool;            /* when nobody runs */
	struct error  flaw, why;        /* of the message it is about now; of any */
	size_t        rows, done;
	int64_t       bytes, oldest;
	int           code;
	struct buf    text;             /* of rows, not written yet */
	const char   *export;           /* into this directory; NULL: show it here */
	char          place[PATH_BYTES];        /* of it */
	FILE         *out;              /* the text that is being exported */
	bool          drain;
	bool          lost;             /* the program ended before it had answered, or cannot tell */
	bool          missing;          /* it failed, but only as ids that were named are not there */
	int64_t       since;            /* drain: when it was asked, in seconds */
	size_t        untried;          /* drain: those that were not tried since */
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

/* In a column of that width, and a space behind it. */
static void
add_column(struct buf *b, struct slice text, size_t width)
{
	static const char blanks[] = "                              ";

	buf_add(b, text);
	buf_add(b, slice_of(blanks, 1 + (text.n < width ? width - text.n : 0)));
}

enum { ID_WIDTH = ID_TEXT + 1, AGE_WIDTH = 6, BYTES_WIDTH = 7, PATH_WIDTH = 27 };

static void
add_text_column(struct buf *b, const char *text, size_t width)
{
	add_column(b, slice(text), width);
}

/* A stranger's words. */
static void
add_shown_column(struct buf *b, struct slice text, size_t width)
{
	struct buf shown = BUF(4096);

	shown_add(&shown, text);
	add_column(b, buf_slice(&shown), width);
	buf_free(&shown);
}

struct printing {
	struct buf             *to;
	const struct queue_row *row;
	const char             *queue;
	int64_t                 now;            /* in seconds */
	size_t                  recipients;     /* so far */
};

/* Below a row: what comes first there. */
static void
add_margin(struct buf *b)
{
	add_text_column(b, "", ID_WIDTH);
	add_text_column(b, "", AGE_WIDTH);
	add_text_column(b, "", BYTES_WIDTH);
	add_text_column(b, "", PATH_WIDTH);
}

/* "deferred, try 5 in 18m02s" */
static void
add_state(const struct printing *p, const struct recipient_state *s)
{
	int64_t next = s != NULL && s->stage == RECIPIENT_WAITING ? s->until / 1000 : 0;
	char wait[16];

	buf_add(p->to, slice(p->queue));
	if (strcmp(p->queue, "deferred") != 0 || next == 0)
		return;
	age_text(next - p->now, wait);
	buf_printf(p->to, ", try %d in %s", (int)s->attempts + 1, next > p->now ? wait : "a moment");
}

static void
add_reason(struct buf *b, const struct recipient_state *s)
{
	struct buf reason = BUF(4096);

	if (s == NULL || s->last.class == 0)
		return;
	row_reason_add(&reason, s);
	add_margin(b);
	buf_add(b, S("└ "));
	shown_add(b, buf_slice(&reason));
	buf_byte(b, '\n');
	buf_free(&reason);
}

static bool
add_recipient(void *arg, uint32_t number, const struct recipient *r, const struct recipient_state *s)
{
	struct printing *p = arg;

	(void)number;
	if (p->recipients++ > 0)
		add_margin(p->to);
	add_shown_column(p->to, r->address, PATH_WIDTH);
	add_state(p, s);
	buf_byte(p->to, '\n');
	add_reason(p->to, s);
	return true;
}

static void
add_row(const struct asking *a, const struct queue_row *row, struct buf *b)
{
	const struct envelope *e = &row->found.summary;
	struct printing p = { b, row, row_queue(row), clock_now(&a->house.clock) / 1000, 0 };
	char text[16];

	id_text(e->id, text);
	add_text_column(b, text, ID_WIDTH);
	age_text(p.now - e->arrival / 1000, text);
	add_text_column(b, text, AGE_WIDTH);
	size_text((int64_t)e->size, text);
	add_text_column(b, text, BYTES_WIDTH);
	add_shown_column(b, e->sender.n > 0 ? e->sender : S("<>"), PATH_WIDTH);
	found_each_open(&row->found, add_recipient, &p);
	if (p.recipients == 0)
		buf_byte(b, '\n');
}

static void
add_heading(struct buf *b)
{
	add_text_column(b, "ID", ID_WIDTH);
	add_text_column(b, "AGE", AGE_WIDTH);
	add_text_column(b, "SIZE", BYTES_WIDTH);
	add_text_column(b, "FROM", PATH_WIDTH);
	add_text_column(b, "TO", PATH_WIDTH);
	buf_add(b, S("STATE\n"));
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
	age_text(clock_now(&a->house.clock) / 1000 - a->oldest, age);
	printf("%zu message%s, %s, oldest %s\n", a->rows, a->rows == 1 ? "" : "s", size, age);
}

/* "segment_bytes" becomes "segment bytes" */
static void
print_stats(const json_t *row)
{
	const char *key;
	json_t *value;
	char text[16];

	json_object_foreach((json_t *)(uintptr_t)row, key, value) {
		char name[40];

		snprintf(name, sizeof name, "%s", key);
		for (char *c = name; *c != '\0'; c++)
			if (*c == '_')
				*c = ' ';
		size_text(json_integer_value(value), text);
		if (json_is_boolean(value))
			printf("%-18s %s\n", name, json_is_true(value) ? "yes" : "no");
		else if (strstr(name, "bytes") != NULL)
			printf("%-18s %s\n", name, text);
		else
			printf("%-18s %lld\n", name, (long long)json_integer_value(value));
	}
}

/* --- taking out ------------------------------------------------------------------------------ */

static void
export_end(struct asking *a)
{
	if (a->out == NULL)
		return;
	if (fflush(a->out) != 0 || fsync(fileno(a->out)) == -1 || ferror(a->out)) {
		complaint("chainmail queue: cannot write to %s: %s", a->export, strerror(errno));
		a->code = EX_IOERR;
	}
	fclose(a->out);
	a->out = NULL;
}

static FILE *
export_open(struct asking *a, const char *id, const char *ending)
{
	char path[PATH_BYTES + 40];
	struct owner owner = owner_leave();
	FILE *f;
	int fd;

	snprintf(path, sizeof path, "%s/%s.%s", a->export, id, ending);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);       /* it is somebody's mail */
	f = fd != -1 ? fdopen(fd, "w") : NULL;
	owner_return(owner);
	if (f == NULL) {
		complaint("chainmail queue: cannot create %s: %s", path, strerror(errno));
		a->code = EX_CANTCREAT;
	}
	return f;
}

/* What is written there is to be found there, also when the power goes. */
static void
export_flush(struct asking *a)
{
	struct owner owner = owner_leave();
	struct error why;

	if (!dir_flush(a->export, &why) || !dir_flush_name(a->export, &why)) {
		complaint("chainmail queue: %s", why.text);
		a->code = EX_IOERR;
	}
	owner_return(owner);
}

/* The row, laid out for reading. */
static void
export_json(struct asking *a, const struct queue_row *row)
{
	json_t *j = row_json(row);

	json_dumpf(j, a->out, JSON_INDENT(2));
	fputc('\n', a->out);
	json_decref(j);
}

/* ID.json: the row.  ID.eml: the message as it was received, which follows. */
static void
export_row(struct asking *a, const struct queue_row *row)
{
	char id[ID_TEXT + 1];

	id_text(row->found.summary.id, id);
	export_end(a);
	if ((a->out = export_open(a, id, "json")) == NULL)
		return;
	export_json(a, row);
	export_end(a);
	a->out = export_open(a, id, "eml");
}

/* --- waiting --------------------------------------------------------------------------------- */

struct trying {
	int64_t since;                  /* ms */
	bool    untried;
};

static bool
look_when_tried(void *arg, uint32_t number, const struct recipient *r, const struct recipient_state *s)
{
	struct trying *t = arg;

	(void)number;
	(void)r;
	t->untried = s == NULL || s->tried / 1000 < t->since;
	return !t->untried;
}

/* It has been tried since, or will not be. */
static void
count_untried(struct asking *a, const struct queue_row *row)
{
	struct trying t = { a->since, false };

	found_each_open(&row->found, look_when_tried, &t);
	a->untried += (t.untried || row->active) && strcmp(row_queue(row), "hold") != 0;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void
write_text(struct asking *a)
{
	fwrite(a->text.p, 1, a->text.n, stdout);
	buf_clear(&a->text);
}

static int
add_json(const char *bytes, size_t n, void *arg)
{
	return buf_add(arg, slice_of(bytes, n)) ? 0 : -1;
}

static void
show_row(struct asking *a, const struct queue_row *row)
{
	struct buf *b = &a->text;

	if (a->json) {
		json_t *j = row_json(row);

		json_dump_callback(j, add_json, b, JSON_COMPACT);
		json_decref(j);
	} else {
		if (a->rows == 0)
			add_heading(b);
		add_row(a, row, b);
	}
	if (a->json || a->request.verb == QUEUE_SHOW)
		buf_byte(b, '\n');
	if (b->n >= TEXT_AT_ONCE || a->request.verb == QUEUE_SHOW)
		write_text(a);
}

static bool
in_parts(const struct asking *a)
{
	return a->request.verb == QUEUE_SHOW && (a->envelope || a->header || a->body);
}

static void
take_row(struct asking *a, const struct queue_row *row)
{
	const struct envelope *e = &row->found.summary;

	if (a->drain)
		count_untried(a, row);
	else if (a->export != NULL)
		export_row(a, row);
	else if (!in_parts(a) || a->envelope)
		show_row(a, row);
	a->ends = 2;                            /* the text begins like a line */
	a->rows++;
	a->bytes += (int64_t)e->size;
	if (a->oldest == 0 || e->arrival / 1000 < a->oldest)
		a->oldest = e->arrival / 1000;
}

static void
take_stats(struct asking *a, json_t *row)
{
	if (a->json) {
		json_dumpf(row, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_stats(row);
	}
	json_decref(row);
}

/* What of these bytes belongs to the header, which the first empty line ends. */
static size_t
header_part(struct asking *a, struct slice bytes)
{
	static const char end[] = "\r\n\r\n";
	size_t n = 0;

	for (; n < bytes.n && a->ends < sizeof end - 1; n++)
		a->ends = bytes.p[n] == end[a->ends] ? a->ends + 1 : bytes.p[n] == '\r';
	return n;
}

static struct slice
asked_part(struct asking *a, struct slice bytes)
{
	size_t header = header_part(a, bytes);

	if (!a->header)
		bytes = slice_skip(bytes, header);
	return a->body ? bytes : a->header ? slice_head(bytes, header) : NONE;
}

static void
take_bytes(void *arg, struct slice bytes)
{
	struct asking *a = arg;

	if (in_parts(a))
		bytes = asked_part(a, bytes);
	if (a->export != NULL && a->out != NULL)
		fwrite(bytes.p, 1, bytes.n, a->out);
	else if (a->export == NULL && !a->json)
		shown_write(bytes);
}

static void
take_end(struct asking *a, size_t count, const char *error)
{
	bool rest = a->drain && a->request.verb == QUEUE_LIST;

	write_text(a);
	/* Drained and gone is what those should be that were named. */
	if (error != NULL && !(rest && a->missing)) {
		complaint("chainmail queue: %s", error);
		a->code = EX_BAD;
		a->lost = rest;
	}
	export_end(a);
	if (a->export != NULL)
		export_flush(a);
	if (a->json || a->drain)
		return;
	if (a->export != NULL)
		printf("export: %zu message%s\n", count, count == 1 ? "" : "s");
	else if (a->request.verb == QUEUE_LIST && (error == NULL || a->rows > 0))
		print_end(a);
	else if (a->request.verb != QUEUE_SHOW && a->request.verb != QUEUE_STATS && error == NULL)
		printf("%s: %zu message%s\n", queue_verb_word(a->request.verb), count, count == 1 ? "" : "s");
}

/* --- asking the running program ------------------------------------------------------------------ */

static bool
a_message(void *arg, const struct queue_row *row)
{
	take_row(arg, row);
	return true;
}

static bool
a_row(void *arg, json_t *row)
{
	take_stats(arg, row);
	return true;
}

/* False: nobody runs. */
static bool
ask_program(struct asking *a)
{
	const struct answer_user user = { .message = a_message, .row = a_row, .bytes = take_bytes, .arg = a,
	    .missing_r = &a->missing };
	struct error why = { 0 };
	size_t count;
	enum control_answer got = control_ask(&a->house, queue_request_json(&a->request), &user,
	    &count, &why);

	if (got == CONTROL_NOBODY)
		return false;
	if (got == CONTROL_LOST) {
		complaint("chainmail queue: %s", why.text);
		a->code = EX_TEMPFAIL;
		a->lost = true;
	} else {
		take_end(a, count, got == CONTROL_FAILED ? why.text : NULL);
	}
	return true;
}

/* --- asking the spool ------------------------------------------------------------------------------ */

static bool
answer_one(void *arg, const struct found *f)
{
	struct asking *a = arg;
	const struct queue_row row = { *f, false,
		f->summary.arrival + conf_patience(a->house.conf, f->summary.sender.n == 0) };

	take_row(a, &row);
	return a->request.verb != QUEUE_SHOW ||
	    queue_text(a->spool, f->summary.id, a->request.text, take_bytes, a, &a->flaw);
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

	if (queue_changes(a->request.verb, f, NULL)) {
		queue_change(a->spool, a->request.verb, f, NULL);
		a->done++;
	}
	return true;
}

static void
about_one(struct asking *a, uint64_t id)
{
	a->flaw.text[0] = '\0';
	queue_look_at(a->spool, a->request.verb, id,
	    a->request.verb == QUEUE_SHOW ? answer_one : change_one, a, &a->flaw);
	if (a->flaw.text[0] != '\0')
		a->why = a->flaw;
	else if (a->request.verb == QUEUE_SHOW)
		a->done++;
}

static void
about_messages(struct asking *a)
{
	struct selected s = { .ids = NULL };
	struct queue_selection selection = { 0 };
	bool listing = a->request.verb == QUEUE_LIST;

	queue_select(a->spool, &a->request, &selection, listing ? answer_one : gather,
	    listing ? (void *)a : &s);
	for (size_t i = 0; i < s.count; i++)
		about_one(a, s.ids[i]);
	if (a->why.text[0] == '\0')
		queue_selection_whole(&selection, &a->why);
	if (!spool_drain(a->spool))
		error_set(&a->why, "the disk does not take the change");
	take_end(a, a->done, a->why.text[0] != '\0' ? a->why.text : NULL);
	queue_selection_end(&selection);
	free(s.ids);
}

static void
about_the_spool(struct asking *a)
{
	struct spool_usage usage;
	struct error why = { 0 };
	bool ok = true;

	spool_usage(a->spool, &usage);
	if (a->request.verb == QUEUE_STATS)
		take_stats(a, queue_stats(a->spool));
	else
		ok = queue_verify(a->spool, a->request.verb, &why) && spool_verify_contents(a->spool, &why);
	take_end(a, usage.messages, ok ? NULL : why.text);
}

static bool
open_spool(struct asking *a)
{
	struct error why = { 0 };

	if ((a->spool = house_spool(&a->house, &why)) != NULL)
		return true;
	complaint("chainmail queue: %s", why.text);
	a->code = EX_UNAVAILABLE;
	return false;
}

/* From the segments alone. */
static bool
begin_without_catalogue(struct asking *a)
{
	struct error why;

	spool_close(a->spool);
	if (dir_remove("queue/catalogue", &why))
		return open_spool(a);
	complaint("chainmail queue: %s", why.text);
	a->code = EX_IOERR;
	return false;
}

static void
ask_spool(struct asking *a)
{
	if (!open_spool(a))
		return;
	if (a->request.verb == QUEUE_REBUILD && !begin_without_catalogue(a))
		return;
	if (a->request.verb <= QUEUE_BOUNCE)
		about_messages(a);
	else
		about_the_spool(a);
	spool_close(a->spool);
}

/* What is left.  False: nobody can tell, for the program ended under us or cannot read it. */
static bool
look_at_rest(struct asking *a)
{
	a->rows = a->untried = 0;
	a->lost = a->missing = false;
	if (ask_program(a))
		return !a->lost;
	complaint("chainmail queue drain: the program ended; what is left waits for its next start");
	a->code = EX_TEMPFAIL;
	return false;
}

/* Everything selected is tried now; what is left after that stays. */
static int
drain(struct asking *a)
{
	bool tried;

	a->since = clock_now(&a->house.clock) / 1000;
	a->request.verb = QUEUE_RETRY;
	a->request.all = a->request.id_count == 0 && a->request.from.n == 0 && a->request.to.n == 0;
	if (!ask_program(a)) {
		complaint("chainmail queue drain: nobody runs who could deliver");
		return EX_UNAVAILABLE;
	}
	tried = a->code == 0 || a->missing;
	a->request.verb = QUEUE_LIST;
	do {
		usleep(LOOK_US);
		if (!look_at_rest(a))
			return a->code;
	} while (tried && a->untried > 0);
	printf("drain: %zu message%s left\n", a->rows, a->rows == 1 ? " is" : "s are");
	return a->code != 0 ? a->code : a->rows > 0 ? EX_TEMPFAIL : 0;
}

/* --- the command line --------------------------------------------------------------------------------- */

static bool
read_ids(struct asking *a, const struct words *words, size_t first, struct arena *arena)
{
	a->request.ids = arena_get(arena, sizeof words->word / sizeof *words->word * sizeof(uint64_t));
	for (size_t i = first; i < words->n; i++) {
		if (strcmp(words->word[i], "all") == 0) {
			a->request.all = true;
		} else if (!id_parse(slice(words->word[i]), &a->request.ids[a->request.id_count++])) {
			complaint("chainmail queue: \"%s\" is not the ID of a message", words->word[i]);
			return false;
		}
	}
	if (!a->request.all || a->request.id_count == 0)
		return true;
	complaint("chainmail queue: all messages, or those with these IDs: which?");
	return false;
}

static bool
directory_for_export(struct asking *a, const struct words *words)
{
	if (words->n < 2 || (mkdir(words->word[1], 0700) == -1 && errno != EEXIST) ||
	    realpath(words->word[1], a->place) == NULL) {
		complaint("chainmail queue export: %s", words->n < 2 ? "into which directory?"
		    : strerror(errno));
		return false;
	}
	a->export = a->place;
	return true;
}

/* Two words are ways to ask the others. */
static bool
read_verb(struct asking *a, const struct words *words)
{
	struct slice word = words->n > 0 ? slice(words->word[0]) : S("list");

	if (slice_eq(word, S("export"))) {
		a->request.verb = QUEUE_SHOW;
		a->request.text = true;
		return directory_for_export(a, words);
	}
	if (slice_eq(word, S("drain"))) {
		a->request.verb = QUEUE_RETRY;
		return a->drain = true;
	}
	if (queue_verb_parse(word, &a->request.verb) && a->request.verb <= QUEUE_REBUILD)
		return true;
	complaint("chainmail queue: there is no \"%s\"; it can " QUEUE_WORDS, word.p);
	return false;
}

static bool
needs_selection(const struct asking *a)
{
	const struct queue_request *r = &a->request;

	return !a->drain && r->verb != QUEUE_LIST && r->verb <= QUEUE_BOUNCE && r->id_count == 0 &&
	    !r->all && r->from.n == 0 && r->to.n == 0;
}

/* What a script left empty by mistake is not everybody. */
static bool
read_address(const char *option, const char *given, struct slice *address)
{
	if (given == NULL)
		return true;
	*address = slice(given);
	if (address->n == 0)
		complaint("chainmail queue: %s needs an address or a domain; '<>' is the null sender",
		    option);
	return address->n > 0;
}

static bool
read_words(struct asking *a, const struct words *words, struct arena *arena)
{
	if (!read_verb(a, words) || !read_ids(a, words, a->export != NULL ? 2 : 1, arena))
		return false;
	if (!needs_selection(a))
		return true;
	complaint("chainmail queue %s: which messages? IDs, --from, --to, or the word all",
	    words->word[0]);
	return false;
}

static int
ask(struct asking *a, const char *file)
{
	int code = house_enter(&a->house, "queue", file);

	if (code == 0 && a->drain)
		code = drain(a);
	else if (code == 0) {
		if (!ask_program(a))
			ask_spool(a);
		code = a->code;
	}
	house_leave(&a->house);
	return code;
}

int
cmd_queue(int argc, char **argv)
{
	struct asking a = { .request = { .verb = QUEUE_LIST }, .text = BUF(QUEUE_ROW_MOST) };
	const char *file = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf", *from = NULL, *to = NULL;
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, &file, "FILE", "the configuration" },
		{ "--json", OPTION_FLAG, &a.json, NULL, "an object a line, with the keys of postqueue -j" },
		{ "--from", OPTION_TEXT, &from, "ADDRESS", "only with this sender, or domain; '<>': none" },
		{ "--to", OPTION_TEXT, &to, "ADDRESS", "only with this recipient, or of this domain" },
		{ "--text", OPTION_FLAG, &a.request.text, NULL, "show: the whole message" },
		{ "--envelope", OPTION_FLAG, &a.envelope, NULL, "show: from, to, and how it stands" },
		{ "--header", OPTION_FLAG, &a.header, NULL, "show: its header" },
		{ "--body", OPTION_FLAG, &a.body, NULL, "show: its text without the header" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words words = { .n = 0 };
	struct arena *arena;
	int code = EX_USAGE;

	if (!options_read(argc, argv, "queue [VERB] [ID...|all]", rows, &words,
	    sizeof words.word / sizeof *words.word))
		return EX_USAGE;
	if (!read_address("--from", from, &a.request.from) || !read_address("--to", to, &a.request.to))
		return EX_USAGE;
	a.request.text = a.request.text || a.body;
	arena = arena_new(REQUEST_MOST);
	if (read_words(&a, &words, arena))
		code = ask(&a, file);
	buf_free(&a.text);
	arena_free(arena);
	return code;
}
