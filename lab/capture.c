/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "lab/capture.h"

enum { MEMORY = 512 << 20, MESSAGE_MOST = 128 << 20 };

struct look {
	struct captures    *captures;
	const struct world *world;
	struct citizen     *citizen;
	struct captured   **last;
	struct error       *why;
};

void
captures_begin(struct captures *c)
{
	*c = (struct captures){ .arena = arena_new(MEMORY) };
}

void
captures_end(struct captures *c)
{
	arena_free(c->arena);
}

/* --- one file -------------------------------------------------------------------------- */

/* Lines end with LF in a Maildir. */
static struct slice
wire_lines(struct captures *c, struct slice text)
{
	struct buf b = BUF(2 * MESSAGE_MOST);
	struct slice line, copy;

	while (slice_cut(&text, '\n', &line))
		buf_printf(&b, "%.*s\r\n", FMT(line));
	copy = arena_copy(c->arena, buf_slice(&b));
	buf_free(&b);
	bug_if(copy.p == NULL);
	return copy;
}

/* "1780315200.0F3K…r0.mx.sts.test": the letters between the first dot and the r. */
static struct slice
id_of(struct slice file)
{
	return slice_head(slice_skip(file, slice_find(file, '.') + 1), ID_TEXT);
}

static bool
read_one(struct look *l, const char *path, struct slice file, struct slice address)
{
	struct captures *cs = l->captures;
	struct captured *c = arena_get(cs->arena, sizeof *c);
	struct buf text = BUF(MESSAGE_MOST);

	bug_if(c == NULL);
	if (!file_read(path, &text, l->why)) {
		buf_free(&text);
		return false;
	}
	*c = (struct captured){ .citizen = l->citizen, .file = arena_copy(cs->arena, file),
	    .address = address };
	c->id = id_of(c->file);
	c->bytes = wire_lines(cs, buf_slice(&text));
	buf_free(&text);
	c->body = slice_skip(c->bytes, header_length(c->bytes));
	c->next = *l->last;
	*l->last = c;
	l->last = &c->next;
	cs->count++;
	return header_parse(&c->header, slice_head(c->bytes, header_length(c->bytes) - 2), cs->arena, l->why);
}

/* --- directories ---------------------------------------------------------------------------- */

static int
visible(const struct dirent *d)
{
	return *d->d_name != '.';
}

/* Go over a directory in the order of its names; one that is not there is empty. */
static bool
each_entry(struct look *l, const char *path, struct slice above,
    bool (*entry)(struct look *, const char *path, struct slice name, struct slice above))
{
	struct dirent **entries;
	int n = scandir(path, &entries, visible, alphasort);
	char below[PATH_MAX];
	bool ok = true;

	for (int i = 0; i < n; i++) {
		ok = ok && snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name) < PATH_MAX &&
		    entry(l, below, slice(entries[i]->d_name), above);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return ok;
}

static bool
known(struct look *l, struct slice file, struct slice address)
{
	for (struct captured *c = l->captures->first; c != NULL; c = c->next)
		if (c->citizen == l->citizen && slice_eq(c->file, file) && slice_eq(c->address, address)) {
			l->last = &c->next;
			return true;
		}
	return false;
}

static bool
look_at_file(struct look *l, const char *path, struct slice name, struct slice address)
{
	return known(l, name, address) || read_one(l, path, name, address);
}

static bool
look_at_user(struct look *l, const char *path, struct slice user, struct slice domain)
{
	struct slice address = arena_printf(l->captures->arena, "%.*s@%.*s", FMT(user), FMT(domain));
	char fresh[PATH_MAX];

	return snprintf(fresh, sizeof fresh, "%s/new", path) < PATH_MAX &&
	    each_entry(l, fresh, address, look_at_file);
}

static bool
look_at_domain(struct look *l, const char *path, struct slice domain, struct slice above)
{
	(void)above;
	return each_entry(l, path, arena_copy(l->captures->arena, domain), look_at_user);
}

bool
captures_look(struct captures *cs, const struct world *w, struct error *why)
{
	struct look l = { .captures = cs, .world = w, .last = &cs->first, .why = why };
	char path[PATH_MAX];

	for (l.citizen = w->citizens; l.citizen != NULL; l.citizen = l.citizen->next)
		if (snprintf(path, sizeof path, "%s/mail", l.citizen->directory) < PATH_MAX &&
		    !each_entry(&l, path, NONE, look_at_domain))
			return false;
	return true;
}

/* --- what they say ----------------------------------------------------------------------------- */

struct slice
captured_sender(const struct captured *c, struct arena *arena)
{
	const struct field *f = header_find(&c->header, "Return-Path");
	struct slice path = f != NULL ? field_unfolded(f, arena) : NONE;

	return path.n >= 2 && *path.p == '<' ? slice_of(path.p + 1, path.n - 2) : path;
}

bool
captured_results(const struct captured *c, struct arena *arena, struct authres *results)
{
	for (size_t i = 0; i < c->header.count; i++)
		if (field_is(&c->header.fields[i], "Authentication-Results") &&
		    authres_parse(c->header.fields[i].value, arena, results) &&
		    slice_eqi(results->authserv_id, c->citizen->hostname))
			return true;
	return false;
}

/* "mx.b.test[127.0.42.11]:25": is that this host? */
static bool
leads_to(const struct event_line *e, const struct citizen *c, struct arena *arena)
{
	struct slice mx = event_text(e, "mx", arena), at = slice_skip(mx, slice_find(mx, '[') + 1);
	char ip[IP_TEXT];

	ip_text(c->ip, ip);
	return slice_eq(slice_head(at, slice_find(at, ']')), slice(ip));
}

/* Whoever handed it over was told "queued as ID". */
const struct event_line *
captured_hop(const struct captured *c, struct arena *arena)
{
	const struct event_line *found = NULL;

	for (const struct event_line *e = c->citizen->world->events.first; e != NULL; e = e->next) {
		struct slice reply;

		if (!event_is(e, "delivered") || !leads_to(e, c->citizen, arena))
			continue;
		reply = event_text(e, "reply", arena);
		if (reply.n >= c->id.n && slice_endsi(reply, c->id))
			found = e;
	}
	return found;
}

const struct event_line *
captured_arrival(const struct captured *c)
{
	for (const struct event_line *e = c->citizen->world->events.first; e != NULL; e = e->next) {
		const char *id = json_string_value(json_object_get(e->keys, "id"));

		if (event_is(e, "received") && slice_eq(e->host, c->citizen->name) && id != NULL &&
		    slice_eq(slice(id), c->id))
			return e;
	}
	return NULL;
}
