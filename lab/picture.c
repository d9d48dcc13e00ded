/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/file.h"
#include "lab/picture.h"

void
picture_draw(const struct play *p, struct buf *b)
{
	(void)p;
	(void)b;
}

/* --- the transcript ------------------------------------------------------------------- */

static void
write_configuration(const struct citizen *c, struct buf *b)
{
	struct buf text = BUF(4 << 20);

	buf_printf(b, "=== configuration of %.*s\n", FMT(c->name));
	if (file_read(c->config, &text, NULL))
		buf_add(b, buf_slice(&text));
	buf_free(&text);
}

void
transcript_write(const struct play *p, struct buf *b)
{
	for (const struct citizen *c = p->world->citizens; c != NULL; c = c->next)
		if (c->host != NULL)
			write_configuration(c, b);
	buf_add(b, S("=== log\n"));
	for (const struct event_line *e = p->world->events.first; e != NULL; e = e->next) {
		char *line = json_dumps(e->keys, JSON_COMPACT);

		buf_printf(b, "%-20.*s %s\n", FMT(e->host), line);
		free(line);
	}
	for (const struct captured *m = p->captures.first; m != NULL; m = m->next)
		buf_printf(b, "=== message to %.*s on %.*s\n%.*s", FMT(m->address), FMT(m->citizen->name),
		    FMT(m->bytes));
}
