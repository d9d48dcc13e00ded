/* SPDX-License-Identifier: ISC */
#include <jansson.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/log.h"
#include "base/text.h"

enum { LINE_MAX_BYTES = 32768, VALUE_MAX_BYTES = 1024 };

static const char *const LEVELS[] = { "debug", "info", "warn", "error" };

void
log_time(int64_t now, char text[LOG_TIME + 1])
{
	time_t seconds = (time_t)(now / 1000);
	struct tm t;
	char day[21];

	bug_if(now < 0 || gmtime_r(&seconds, &t) == NULL);
	strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(text, LOG_TIME + 1, "%.19s.%03dZ", day, (int)(now % 1000));
}

/*
 * The table is closed: a key that is not in it is our own mistake, and tests end
 * there.  In production a line with a key too many is better than no mail.
 */
static void
check_key(const struct event_kind *kind, const char *key)
{
#ifdef SANITIZED
	struct slice keys = slice(kind->keys), word;

	while (slice_word(&keys, &word))
		if (slice_eq(word, slice(key)))
			return;
	fprintf(stderr, "chainmail: event %s has no key %s\n", kind->name, key);
	bug_if(true);
#else
	(void)kind;
	(void)key;
#endif
}

static void
json_quoted(struct buf *b, struct slice shown)
{
	json_t *value = json_stringn(shown.n > 0 ? shown.p : "", shown.n);
	size_t n;
	char *at;

	bug_if(value == NULL);          /* shown text is valid UTF-8 */
	n = json_dumpb(value, NULL, 0, JSON_ENCODE_ANY);
	if ((at = buf_room(b, n)) != NULL)
		b->n += json_dumpb(value, at, n, JSON_ENCODE_ANY);
	json_decref(value);
}

static bool
needs_quotes(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == ' ' || s.p[i] == '"' || s.p[i] == '=')
			return true;
	return s.n == 0;
}

static void
plain_value(struct buf *b, struct slice shown)
{
	if (!needs_quotes(shown)) {
		buf_add(b, shown);
		return;
	}
	buf_byte(b, '"');
	for (size_t i = 0; i < shown.n; i++) {
		if (shown.p[i] == '"')
			buf_byte(b, '\\');
		buf_byte(b, shown.p[i]);
	}
	buf_byte(b, '"');
}

static void
begin_plain(struct log_line *l, const char *when, const char *id)
{
	buf_printf(&l->plain, "%s %s %s %s", when, LEVELS[l->kind->level], *id != '\0' ? id : "-",
	    l->kind->name);
}

static void
begin_object(struct log_line *l, const char *when, const char *id)
{
	buf_printf(&l->object, "{\"t\":\"%s\",\"level\":\"%s\"", when, LEVELS[l->kind->level]);
	if (*id != '\0')
		buf_printf(&l->object, ",\"id\":\"%s\"", id);
	buf_printf(&l->object, ",\"event\":\"%s\"", l->kind->name);
}

struct log_line
log_event(struct log *log, const struct event_kind *kind, uint64_t id)
{
	struct log_line l = { .kind = kind, .plain = BUF(LINE_MAX_BYTES), .object = BUF(LINE_MAX_BYTES) };
	char when[LOG_TIME + 1], name[ID_TEXT + 1] = "";

	if (log == NULL)
		return l;
	l.written = kind->level >= log->least;
	l.json = l.written && log->json;
	l.read = log->reader != NULL && log->reader->wants(log->reader->arg, kind, id);
	if (!l.written && !l.read)
		return l;
	l.log = log;
	log_time(clock_now(log->clock), when);
	if (id)
		id_text(id, name);
	if (!l.json || l.read)
		begin_plain(&l, when, name);
	if (l.json)
		begin_object(&l, when, name);
	return l;
}

/* A pair goes into the line as a whole or, when the line is full, not at all. */
static void
add_pair(struct buf *line, struct buf *pair)
{
	if (!pair->full && line->n + pair->n + 2 <= LINE_MAX_BYTES)
		buf_add(line, buf_slice(pair));
	buf_free(pair);
}

static void
add_plain(struct log_line *l, const char *key, struct slice shown)
{
	struct buf pair = BUF(LINE_MAX_BYTES);

	if (l->plain.n == 0)
		return;
	buf_printf(&pair, " %s=", key);
	plain_value(&pair, shown);
	add_pair(&l->plain, &pair);
}

static void
add_member(struct log_line *l, const char *key, struct slice shown)
{
	struct buf pair = BUF(LINE_MAX_BYTES);

	if (l->object.n == 0)
		return;
	buf_printf(&pair, ",\"%s\":", key);
	json_quoted(&pair, shown);
	add_pair(&l->object, &pair);
}

static void
add_value(struct log_line *l, const char *key, struct slice plain, struct slice member)
{
	struct buf shown = BUF(4 * VALUE_MAX_BYTES);

	check_key(l->kind, key);
	if (l->log == NULL)
		return;
	shown_add(&shown, slice_head(plain, VALUE_MAX_BYTES));
	add_plain(l, key, buf_slice(&shown));
	if (l->json) {
		buf_clear(&shown);
		shown_add(&shown, slice_head(member, VALUE_MAX_BYTES));
		add_member(l, key, buf_slice(&shown));
	}
	buf_free(&shown);
}

void
log_slice(struct log_line *l, const char *key, struct slice value)
{
	if (value.n > 0)
		add_value(l, key, value, value);
}

void
log_text(struct log_line *l, const char *key, const char *value)
{
	log_slice(l, key, slice(value));
}

void
log_number(struct log_line *l, const char *key, int64_t value)
{
	struct buf plain = BUF(LINE_MAX_BYTES), member = BUF(LINE_MAX_BYTES);

	check_key(l->kind, key);
	if (l->plain.n > 0) {
		buf_printf(&plain, " %s=%lld", key, (long long)value);
		add_pair(&l->plain, &plain);
	}
	if (l->object.n > 0) {
		buf_printf(&member, ",\"%s\":%lld", key, (long long)value);
		add_pair(&l->object, &member);
	}
}

void
log_path(struct log_line *l, const char *key, struct slice address)
{
	struct buf path = BUF(VALUE_MAX_BYTES);

	buf_byte(&path, '<');
	buf_add(&path, address);
	buf_byte(&path, '>');
	add_value(l, key, buf_slice(&path), address);
	buf_free(&path);
}

void
log_end(struct log_line *l)
{
	struct log *log = l->log;

	if (log == NULL)
		return;
	buf_add(&l->plain, S("\n"));
	if (l->written && l->json) {
		buf_add(&l->object, S("}\n"));
		log->write(log->arg, buf_slice(&l->object));
	} else if (l->written) {
		log->write(log->arg, buf_slice(&l->plain));
	}
	if (l->read)
		log->reader->read(log->reader->arg, buf_slice(&l->plain));
	buf_free(&l->plain);
	buf_free(&l->object);
}

void
log_to_stderr(void *unused, struct slice line)
{
	(void)unused;
	if (write(STDERR_FILENO, line.p, line.n) == -1)
		return;                 /* nobody is left to tell */
}
