/* SPDX-License-Identifier: ISC */
/*
 * log -- one event, one line.
 *
 * What can be logged is a closed table (conf/events.def): each kind of event
 * has a name, a level and the keys it may carry.  A line is begun, given its
 * values in any number, and ended; it goes out in one write, as
 *
 *     2026-11-22T10:04:31.412Z info 1S3W6QK4T9ZC received client=192.0.2.25 …
 *     {"t":"2026-11-22T10:04:31.412Z","level":"info","id":"…","event":"received",…}
 *
 * Values are a stranger's bytes: they are made harmless here (text.h, shown).
 * An empty value says nothing and is left out; an empty path is the null sender.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/buf.h"
#include "base/clock.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct event_kind {
	const char    *name;
	enum log_level level;
	const char    *keys;            /* the words a line may carry, one space between */
	const char    *meaning;         /* one sentence, for chainmail-log(5) */
};

/* Who reads along: always the plain form, whatever is written and from which level on. */
struct log_reader {
	bool (*wants)(void *arg, const struct event_kind *, uint64_t id);
	void (*read)(void *arg, struct slice line);     /* with its line end */
	void  *arg;
};

struct log {
	const struct clock *clock;
	enum log_level      least;      /* what is below is dropped */
	bool                json;
	void              (*write)(void *arg, struct slice line); /* with its line end */
	void               *arg;
	const struct log_reader *reader;        /* or NULL */
};

struct log_line {
	struct log              *log;   /* NULL: nobody wants it */
	const struct event_kind *kind;
	bool                     written, json, read;   /* which forms are wanted */
	struct buf               plain, object;
};

/* `id`: the queue identifier of the message (text.h), 0 when there is none. */
struct log_line log_event(struct log *, const struct event_kind *, uint64_t id);
void log_slice(struct log_line *, const char *key, struct slice);
void log_text(struct log_line *, const char *key, const char *);
void log_number(struct log_line *, const char *key, int64_t);
void log_path(struct log_line *, const char *key, struct slice); /* as <a@b> */
void log_end(struct log_line *);

/* The usual sink: one write(2) to standard error. */
void log_to_stderr(void *unused, struct slice line);

/* "2026-11-22T10:04:31.412Z": RFC 3339, in UTC. */
enum { LOG_TIME = 24 };
void log_time(int64_t now, char text_r[LOG_TIME + 1]);

#endif
