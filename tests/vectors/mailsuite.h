/* SPDX-License-Identifier: ISC */
/*
 * mailsuite -- what the suites of DKIM and ARC have in common: zones from JSON,
 * CRLFs, and cases that are contested with a result.
 *
 * Their lines in CONTESTED go on behind the section with our result:
 *
 *     dkim-chasquid 09-limited_body RFC 6376 8.2: policy,pass,pass: why
 *
 * Such a case must have exactly that result, and the suite must want another: a
 * line that is no longer true fails.
 */
#ifndef TESTS_MAILSUITE_H
#define TESTS_MAILSUITE_H

#include "dns/zone.h"
#include "suites.h"

static inline void
suite_txt(struct buf *zone, const char *name, struct slice text)
{
	buf_printf(zone, "%s TXT \"", name);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '"' || text.p[i] == '\\' || text.p[i] < ' ' || text.p[i] > '~')
			buf_printf(zone, "\\%03u", (unsigned char)text.p[i]);
		else
			buf_byte(zone, text.p[i]);
	buf_add(zone, S("\"\n"));
}

/* A name with a TXT payload, with a list of them, or with "NXDOMAIN" or "SERVFAIL". */
static inline void
suite_record(struct buf *zone, const char *name, json_t *payloads)
{
	struct slice word = json_slice(payloads);
	json_t *payload;
	size_t i;

	if (slice_eq(word, S("NXDOMAIN")))
		buf_printf(zone, "%s !nxdomain\n", name);
	else if (slice_eq(word, S("SERVFAIL")))
		buf_printf(zone, "%s TXT !servfail\n", name);
	else if (word.p != NULL)
		suite_txt(zone, name, word);
	json_array_foreach(payloads, i, payload)
		suite_txt(zone, name, json_slice(payload));
}

static inline struct zone *
suite_zone(json_t *txt)
{
	struct buf text = BUF(1 << 20);
	struct zone *zone;
	const char *name;
	json_t *payloads;

	json_object_foreach(txt, name, payloads)
		suite_record(&text, name, payloads);
	zone = zone_parse(buf_slice(&text), "txt", NULL);
	buf_free(&text);
	return zone;
}

/* With CRLFs where there are bare LFs, and without the "From " line of a mailbox file. */
static inline void
suite_message(struct slice text, bool bare_lf, struct buf *message)
{
	if (slice_starts(text, S("From ")))
		text = slice_skip(text, slice_find(text, '\n') + 1);
	for (size_t i = 0; i < text.n; i++) {
		if (bare_lf && text.p[i] == '\n')
			buf_byte(message, '\r');
		buf_byte(message, text.p[i]);
	}
}

/* What time it is in that suite, in milliseconds: "now" in seconds, or a day in 2026. */
static inline int64_t
suite_now(json_t *suite)
{
	json_t *now = json_object_get(suite, "now");

	return (now != NULL ? json_integer_value(now) : 1795311000) * INT64_C(1000);
}

/* One case: does the suite agree with our result? Blanks in its name are written as "_". */
static inline void
suite_tell(const char *suite, const char *name, struct slice result, bool agreed, struct slice reason)
{
	struct buf why = BUF(SUITE_PATH);
	struct slice section = NONE, ours;
	char word[200];

	snprintf(word, sizeof word, "%s", name);
	for (char *p = word; *p != '\0'; p++)
		if (*p == ' ')
			*p = '_';
	if (contested_why(suite, word, &why)) {
		ours = buf_slice(&why);
		slice_cut(&ours, ':', &section);
		ours = slice_trim(slice_head(ours, slice_find(ours, ':')));
		tap_ok(!agreed && slice_eq(ours, result), "%s %s: %.*s (contested, %.*s)", suite, name,
		    FMT(result), FMT(section));
	} else {
		tap_ok(agreed, "%s %s: %.*s%s%.*s", suite, name, FMT(result), reason.n ? ": " : "", FMT(reason));
	}
	buf_free(&why);
}

#endif
