/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/file.h"
#include "cmd/record.h"
#include "dns/zone.h"

enum { OPTIONS_MOST = 100 };

char *
record_path(const char *dir, const char *name)
{
	size_t n = strlen(dir) + strlen(name) + 2;
	char *path = must_alloc(n);

	snprintf(path, n, "%s/%s", dir, name);
	return path;
}

static bool
write_file(const char *dir, const char *name, struct slice bytes, struct error *why)
{
	char *path = record_path(dir, name);
	bool ok = file_replace(path, bytes, 0600, why);

	free(path);
	return ok;
}

bool
record_write(const char *dir, struct slice message, const struct facts *facts, struct slice options,
    struct error *why)
{
	struct buf dns = BUF(RECORD_DNS);
	bool ok;

	facts_to_text(facts, &dns);
	ok = !dns.full || error_set(why, "the answers of the DNS are too long to be kept");
	ok = ok && dir_make(dir, 0700, why) && write_file(dir, "message", message, why) &&
	    write_file(dir, "dns", buf_slice(&dns), why) && write_file(dir, "options", options, why);
	buf_free(&dns);
	return ok;
}

void
record_option(struct buf *options, const char *name, struct slice value)
{
	if (value.p == NULL || slice_find(value, '\n') < value.n)
		return;
	buf_printf(options, "%s=%.*s\n", name, FMT(value));
}

/* The lines as words behind the name of the command. */
static int
split(struct slice text, char *words[OPTIONS_MOST], struct arena *arena)
{
	struct slice line;
	int n = 1;

	while (slice_cut(&text, '\n', &line) && n < OPTIONS_MOST - 1)
		if (line.n > 0)
			words[n++] = (char *)arena_copy(arena, line).p;
	return n;
}

bool
record_options(const char *dir, const struct option_row *rows, struct arena *arena)
{
	char *path = record_path(dir, "options"), command[] = "verify", *words[OPTIONS_MOST] = { command };
	struct buf text = BUF(RECORD_OPTIONS);
	struct words none = { 0 };
	struct error why;
	bool ok = file_read(path, &text, &why);

	if (ok)
		ok = options_read(split(buf_slice(&text), words, arena), words, "verify", rows, &none, 0);
	else
		complaint("chainmail verify: %s", why.text);
	buf_free(&text);
	free(path);
	return ok;
}
