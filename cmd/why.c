/* SPDX-License-Identifier: ISC */
/*
 * why -- what became of a message: of one by its identifier or Message-ID, of the
 * last ones from or to an address, and of mail that was refused.
 *
 *     what was typed -> lines that name it -> the messages they are about
 *     -> all lines of those -> how they stand in the queue -> their tales
 *
 * The running program is asked over its control socket; when nobody runs, history
 * and spool are opened here.
 */
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "cmd/owner.h"
#include "cmd/shown.h"
#include "cmd/tale.h"
#include "conf/value.h"
#include "config.h"
#include "queue/history.h"

enum {
	MEMORY = 64 << 20, TEXT_MOST = 16 << 20,
	LINES_MOST = 20000,             /* about messages, … */
	REFUSALS_MOST = 1000,           /* … about commands, and … */
	NOTES_MOST = 20000,             /* … about what is not kept */
	IDS_MOST = HISTORY_WORDS,       /* messages in one answer */
};

struct lines {
	struct past_line *line;
	size_t            count, room;
};

struct asking {
	struct house  house;
	struct arena *arena;
	bool          json;
	struct slice  what;             /* as it stands in lines */
	int64_t       since;
	struct kv    *kv;               /* nobody runs, and there is a history; else NULL */
	struct spool *spool;            /* nobody runs */
	bool          down;
	uint64_t      below;            /* of the answer */
	bool          enough;           /* no further page is needed, … */
	bool          more;             /* … and not everything is told */
	struct lines  lines, refusals, left_out;
	struct slice  ids[IDS_MOST];
	json_t       *rows[IDS_MOST];
	size_t        count;
	int           code;
};

static bool
complain(struct asking *a, const char *why, int code)
{
	complaint("chainmail why: %s", why);
	a->code = code;
	return false;
}

/* --- lines -------------------------------------------------------------------------- */

static void
add_line(struct asking *a, struct lines *to, size_t most, struct slice text)
{
	struct slice copy = to->count < most ? arena_copy(a->arena, text) : NONE;
	struct past_line l;

	if (copy.p == NULL) {
		a->enough = a->more = true;
		return;
	}
	if (!past_line(copy, &l))
		return;
	if (to->count == to->room) {
		to->room = to->room > 0 ? 2 * to->room : 64;
		to->line = must_grow(to->line, to->room * sizeof *to->line);
	}
	to->line[to->count++] = l;
}

struct naming {
	struct slice word;
	bool         found;
};

static void
match(void *arg, struct slice word)
{
	struct naming *n = arg;

	n->found = n->found || slice_eqi(word, n->word);
}

/* The hash of a word may be that of another. */
static bool
names(struct slice text, struct slice word)
{
	struct naming n = { word, false };

	past_words(text, match, &n);
	return n.found;
}

/* --- the history -------------------------------------------------------------------- */

/* The first time: which messages is it about?  They come newest first, more or less. */
static void
note_id(struct asking *a, struct slice id)
{
	for (size_t i = 0; i < a->count; i++)
		if (slice_eqi(a->ids[i], id))
			return;
	if (a->count == IDS_MOST)
		a->enough = a->more = true;
	else
		a->ids[a->count++] = arena_copy(a->arena, id);
}

static void
take_found(struct asking *a, struct slice text)
{
	struct past_line l;

	if (!past_line(text, &l))
		return;
	if (slice_eq(l.event, S(PAST_NOT_KEPT)))
		add_line(a, &a->left_out, NOTES_MOST, text);
	else if (!names(text, a->what))
		return;
	else if (slice_eq(l.id, S("-")))
		add_line(a, &a->refusals, REFUSALS_MOST, text);
	else
		note_id(a, l.id);
}

struct belonging {
	const struct asking *asking;
	bool                 found;
};

static void
match_any(void *arg, struct slice word)
{
	struct belonging *b = arg;

	for (size_t i = 0; i < b->asking->count && word.n == ID_TEXT; i++)
		b->found = b->found || slice_eqi(word, b->asking->ids[i]);
}

/* The second time: everything about them. */
static void
take_told(struct asking *a, struct slice text)
{
	struct belonging b = { a, false };

	past_words(text, match_any, &b);
	if (b.found)
		add_line(a, &a->lines, LINES_MOST, text);
}

struct page {
	struct asking *asking;
	void         (*take)(struct asking *, struct slice line);
};

static void
take_lines(void *arg, struct slice text)
{
	struct page *p = arg;
	struct slice line;

	while (slice_cut(&text, '\n', &line))
		p->take(p->asking, line);
}

static bool
take_below(void *arg, json_t *row)
{
	struct page *p = arg;

	p->asking->below = (uint64_t)json_integer_value(json_object_get(row, "below"));
	json_decref(row);
	return true;
}

static json_t *
request_of(const struct history_question *q)
{
	json_t *j = json_pack("{s:s, s:b, s:I, s:I}", "verb", queue_verb_word(QUEUE_WHY), "all", 1, "below",
	    (json_int_t)q->below, "since", (json_int_t)q->since), *hashes = json_array();

	for (size_t i = 0; i < q->count; i++)
		json_array_append_new(hashes, json_integer(q->hashes[i]));
	json_object_set_new(j, "hashes", hashes);
	return j;
}

/* Whether it is there; false with *why when nobody may say. */
static bool
look_for(const struct asking *a, const char *name, bool *there_r, struct error *why)
{
	struct stat st;

	*there_r = stat(name, &st) == 0;
	return *there_r || errno == ENOENT ||
	    error_sys(why, "cannot look at %.*s/%s", FMT(a->house.conf->state), name);
}

static bool
open_history(struct asking *a, struct error *why)
{
	bool there;

	if (a->kv != NULL)
		return true;
	if (!look_for(a, "history", &there, why))
		return false;
	return !there || (owner_become(".", why) &&
	    (a->kv = history_open("history", &a->house.clock, why)) != NULL);
}

/* It may be missing as well: nothing was ever queued. */
static bool
open_queue(struct asking *a, struct error *why)
{
	bool there;

	if (a->spool != NULL)
		return true;
	return look_for(a, "queue", &there, why) &&
	    (!there || (a->spool = house_spool(&a->house, why)) != NULL);
}

static bool
open_disk(struct asking *a, struct error *why)
{
	return open_history(a, why) && open_queue(a, why);
}

static bool
ask_program(struct asking *a, const struct history_question *q, struct page *p, struct error *why)
{
	const struct answer_user user = { .row = take_below, .bytes = take_lines, .arg = p };
	size_t count;
	enum control_answer got = control_ask(&a->house, request_of(q), &user, &count, why);

	a->down = got == CONTROL_NOBODY;
	return got == CONTROL_DONE;
}

static bool
ask_disk(struct asking *a, const struct history_question *q, struct page *p, struct error *why)
{
	struct buf lines = BUF(HISTORY_PAGE);
	bool ok = a->kv == NULL || history_look(a->kv, q, &lines, &a->below, why);

	take_lines(p, buf_slice(&lines));
	buf_free(&lines);
	return ok;
}

static bool
ask(struct asking *a, const struct history_question *q, struct page *p, struct error *why)
{
	if (!a->down && ask_program(a, q, p, why))
		return true;
	return a->down && open_disk(a, why) && ask_disk(a, q, p, why);
}

/* Page for page, until that was all or enough. */
static bool
look(struct asking *a, struct history_question *q, void (*take)(struct asking *, struct slice))
{
	struct page page = { a, take };
	struct error why = { 0 };

	a->enough = false;
	do {
		a->below = 0;
		if (!ask(a, q, &page, &why))
			return complain(a, why.text, EX_TEMPFAIL);
		q->below = a->below;
	} while (a->below != 0 && !a->enough);
	return true;
}

static bool
find_messages(struct asking *a)
{
	struct history_question q = { .hashes = { past_hash(a->what), past_hash(S(PAST_NOT_KEPT)) },
	    .count = 2, .since = a->since };

	return look(a, &q, take_found);
}

static bool
find_lines(struct asking *a)
{
	struct history_question q = { .since = a->since };

	while (q.count < a->count) {
		q.hashes[q.count] = past_hash(a->ids[q.count]);
		q.count++;
	}
	return q.count == 0 || look(a, &q, take_told);
}

/* --- the queue ---------------------------------------------------------------------- */

static bool
take_message(void *arg, const struct queue_row *row)
{
	struct asking *a = arg;
	char id[ID_TEXT + 1];
	size_t i = 0;

	id_text(row->found.summary.id, id);
	note_id(a, slice(id));
	while (i < a->count && !slice_eqi(a->ids[i], slice(id)))
		i++;
	if (i < a->count && a->rows[i] == NULL)
		a->rows[i] = row_json(row);
	return true;
}

static bool
take_waiting(void *arg, const struct found *f)
{
	struct asking *a = arg;
	const struct queue_row row = { *f, false,
		f->summary.arrival + conf_patience(a->house.conf, f->summary.sender.n == 0) };

	return take_message(a, &row);
}

/* Not every one is still there: that is no failure.  False: the program ended, and nobody tells. */
static bool
list(struct asking *a, const struct queue_request *r)
{
	bool missing = false;
	const struct answer_user user = { .message = take_message, .arg = a, .missing_r = &missing };
	struct queue_selection selection = { 0 };
	struct error why = { .text = "the program ended before it answered" };
	enum control_answer got;
	size_t count;

	if (a->spool != NULL)
		queue_select(a->spool, r, &selection, take_waiting, a);
	queue_selection_end(&selection);
	if (a->spool != NULL || a->down)
		return true;
	got = control_ask(&a->house, queue_request_json(r), &user, &count, &why);
	if (got == CONTROL_FAILED && !missing)
		complaint("chainmail why: %s", why.text);
	return got == CONTROL_DONE || got == CONTROL_FAILED || complain(a, why.text, EX_TEMPFAIL);
}

static bool
list_by_address(struct asking *a)
{
	struct queue_request from = { .verb = QUEUE_LIST, .from = a->what },
	    to = { .verb = QUEUE_LIST, .to = a->what };

	return list(a, &from) && list(a, &to);
}

static bool
list_by_id(struct asking *a)
{
	uint64_t ids[IDS_MOST];
	struct queue_request r = { .verb = QUEUE_LIST, .ids = ids };

	for (size_t i = 0; i < a->count; i++)
		r.id_count += id_parse(a->ids[i], &ids[r.id_count]);
	return r.id_count == 0 || list(a, &r);
}

/* --- telling ------------------------------------------------------------------------ */

static int
by_time(const void *x, const void *y)
{
	const struct past_line *a = x, *b = y;
	size_t n = a->when.n < b->when.n ? a->when.n : b->when.n;
	int order = memcmp(a->when.p, b->when.p, n);

	return order != 0 ? order : a->when.p < b->when.p ? -1 : a->when.p > b->when.p;
}

static void
sort_lines(struct lines *l)
{
	if (l->count > 0)
		qsort(l->line, l->count, sizeof *l->line, by_time);
}

/* The lines that name it, in the order of time. */
static size_t
lines_of(const struct asking *a, struct slice id, struct past_line *lines)
{
	size_t n = 0;

	for (size_t i = 0; i < a->lines.count; i++) {
		const struct past_line *l = &a->lines.line[i];
		struct slice text = slice_of(l->when.p, (size_t)(l->pairs.p + l->pairs.n - l->when.p));

		if (names(text, id))
			lines[n++] = *l;
	}
	return n;
}

/* False: nothing is known of it. */
static bool
tell_message(struct asking *a, size_t at)
{
	struct past_line *lines = must_alloc((a->lines.count + 1) * sizeof *lines);
	struct tale t = { .id = a->ids[at], .lines = lines, .row = a->rows[at],
	    .now = clock_now(&a->house.clock) };
	struct buf text = BUF(TEXT_MOST);
	bool known;

	t.count = lines_of(a, t.id, lines);
	known = t.count > 0 || t.row != NULL;
	if (known && a->json) {
		shown_print(tale_json(&t));
	} else if (known) {
		tale_add(&text, &t);
		printf("%.*s\n", FMT(buf_slice(&text)));
	}
	buf_free(&text);
	free(lines);
	return known;
}

static void
tell_refusals(struct asking *a)
{
	struct buf text = BUF(TEXT_MOST);

	for (size_t i = 0; a->json && i < a->refusals.count; i++)
		shown_print(tale_line_json(&a->refusals.line[i]));
	if (!a->json) {
		tale_refusals_add(&text, a->refusals.line, a->refusals.count);
		fwrite(text.p, 1, text.n, stdout);
	}
	buf_free(&text);
}

/* What cannot be told is said: silence would be taken for an answer. */
static void
tell_limits(struct asking *a)
{
	uint64_t number, sum = 0;

	for (size_t i = 0; i < a->left_out.count; i++)
		if (slice_number(past_value(&a->left_out.line[i], "count"), UINT32_MAX, &number))
			sum += number;
	if (sum > 0)
		complaint("chainmail why: %llu refusals were too many in their minute and are not kept,"
		    " between %.19s and %.19s", (unsigned long long)sum, a->left_out.line[0].when.p,
		    a->left_out.line[a->left_out.count - 1].when.p);
	if (a->more)
		complaint("chainmail why: there is more than this");
	if (a->house.conf->history == 0)
		complaint("chainmail why: nothing is kept of the past (history never)");
}

struct ordered {
	struct slice id;
	json_t      *row;
};

static int
by_id(const void *x, const void *y)
{
	const struct ordered *a = x, *b = y;

	return memcmp(a->id.p, b->id.p, a->id.n < b->id.n ? a->id.n : b->id.n);
}

/* Identifiers are in the order of time. */
static void
sort_messages(struct asking *a)
{
	struct ordered all[IDS_MOST];

	for (size_t i = 0; i < a->count; i++)
		all[i] = (struct ordered){ a->ids[i], a->rows[i] };
	qsort(all, a->count, sizeof *all, by_id);
	for (size_t i = 0; i < a->count; i++) {
		a->ids[i] = all[i].id;
		a->rows[i] = all[i].row;
	}
}

static void
tell(struct asking *a)
{
	size_t told = a->refusals.count;

	sort_messages(a);
	sort_lines(&a->lines);
	sort_lines(&a->refusals);
	sort_lines(&a->left_out);
	tell_refusals(a);
	for (size_t i = 0; i < a->count; i++)
		told += tell_message(a, i);
	tell_limits(a);
	if (told == 0) {
		a->code = EX_BAD;
		complaint("chainmail why: neither history nor queue know of %.*s", FMT(a->what));
	}
}

/* --- the command -------------------------------------------------------------------- */

static void
find_out(struct asking *a)
{
	if (!find_messages(a))
		return;
	if (slice_find(a->what, '@') < a->what.n && !list_by_address(a))
		return;
	if (find_lines(a) && list_by_id(a))
		tell(a);
}

static bool
read_what(struct asking *a, const char *word, const char *since)
{
	struct buf what = BUF(1000);
	int64_t span = a->house.conf->history;
	uint64_t id;
	char name[ID_TEXT + 1];
	bool ok = *since == '\0' || value_duration(slice(since), &span);

	past_word_add(&what, slice(word));
	a->what = arena_copy(a->arena, buf_slice(&what));
	a->since = clock_now(&a->house.clock) - span;
	if (id_parse(a->what, &id)) {
		id_text(id, name);
		note_id(a, slice(name));
	}
	buf_free(&what);
	return (ok && a->what.n > 0) || complain(a, "of which message, and since when (2d, 12h)?", EX_USAGE);
}

static void
forget(struct asking *a)
{
	for (size_t i = 0; i < a->count; i++)
		json_decref(a->rows[i]);
	free(a->lines.line);
	free(a->refusals.line);
	free(a->left_out.line);
	spool_close(a->spool);
	kv_close(a->kv);
	arena_free(a->arena);
}

int
cmd_why(int argc, char **argv)
{
	struct asking a = { .code = 0 };
	const char *file = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf", *since = "";
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, &file, "FILE", "the configuration" },
		{ "--json", OPTION_FLAG, &a.json, NULL, "an object a message, an object a refusal" },
		{ "--since", OPTION_TEXT, &since, "DURATION", "only what happened since then, such as 2d" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words words = { .n = 0 };

	if (!options_read(argc, argv, "why ID|ADDRESS|MESSAGE-ID", rows, &words,
	    sizeof words.word / sizeof *words.word))
		return EX_USAGE;
	a.arena = arena_new(MEMORY);
	if (words.n != 1)
		complain(&a, "of which message? an ID, an address or a Message-ID", EX_USAGE);
	else if ((a.code = house_enter(&a.house, "why", file)) == 0 && read_what(&a, words.word[0], since))
		find_out(&a);
	if (words.n == 1)
		house_leave(&a.house);
	forget(&a);
	return a.code;
}
