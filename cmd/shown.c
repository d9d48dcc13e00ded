/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/shown.h"
#include "dns/zone.h"

enum { TEXT = 1 << 20 };

static json_t *
string_of(struct buf *b)
{
	json_t *json = json_stringn(b->p != NULL ? b->p : "", b->n);

	buf_free(b);
	return json;
}

json_t *
shown_json(struct slice s)
{
	struct buf b = BUF(TEXT);

	if (s.n == 0)
		return json_null();
	shown_add(&b, s);
	return string_of(&b);
}

static json_t *
records_json(const struct fact *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->count; i++) {
		struct buf b = BUF(TEXT);

		record_to_text(&b, f->type, &f->records[i]);
		json_array_append_new(list, string_of(&b));
	}
	return list;
}

json_t *
shown_fact_json(const struct fact *f)
{
	return json_pack("{s:o, s:s, s:s, s:s, s:o, s:o}",
	    "name", shown_json(f->name), "type", rr_name(f->type), "answer", answer_name(f->answer),
	    "security", security_name(f->security), "why", shown_json(f->why), "records", records_json(f));
}

void
shown_fact_add(struct buf *b, const struct fact *f)
{
	for (size_t i = 0; i < f->count; i++) {
		if (i > 0)
			buf_add(b, S(", "));
		record_to_text(b, f->type, &f->records[i]);
	}
	shown_add(b, f->why);
}

static void
write_visibly(struct slice bytes)
{
	struct buf shown = BUF(4 * bytes.n);

	for (size_t n = 0; bytes.n > 0; bytes = slice_skip(bytes, n + 1), n = 0) {
		while (n < bytes.n && bytes.p[n] != '\n' && bytes.p[n] != '\t')
			n++;
		harmless_add(&shown, slice_head(bytes, n > 0 && bytes.p[n - 1] == '\r' ? n - 1 : n));
		if (n < bytes.n)
			buf_byte(&shown, bytes.p[n]);
	}
	fwrite(shown.p, 1, shown.n, stdout);
	buf_free(&shown);
}

void
shown_write(struct slice bytes)
{
	if (isatty(STDOUT_FILENO))
		write_visibly(bytes);
	else
		fwrite(bytes.p, 1, bytes.n, stdout);
}

void
shown_print(json_t *json)
{
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

const char *
shown_day(int64_t seconds, char text[SHOWN_DAY])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(text, SHOWN_DAY, "%Y-%m-%d", &tm) == 0)
		snprintf(text, SHOWN_DAY, "-");
	return text;
}
