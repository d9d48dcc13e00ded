/* SPDX-License-Identifier: ISC */
/*
 * TLSRPT: any bytes as a received report (JSON, gzip, a message), as a session,
 * as a tally, as an address to report to.  What is taken can be written, and
 * reads the same.
 */
#include "base/bug.h"
#include "base/text.h"
#include "sts/report_mail.h"
#include "sts/tally.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_report(struct slice json, struct arena *arena)
{
	struct buf one = BUF(TLSRPT_REPORT_MOST), two = BUF(TLSRPT_REPORT_MOST), text = BUF(1 << 24);
	struct tlsrpt_report r, again;

	if (!tlsrpt_report_read(&r, json, arena, NULL))
		return;
	tlsrpt_report_text(&r, &text);
	bug_if(!utf8_valid(buf_slice(&text)));
	if (tlsrpt_report_write(&r, &one)) {
		bug_if(!tlsrpt_report_read(&again, buf_slice(&one), arena, NULL) && !arena_full(arena));
		if (!arena_full(arena))
			bug_if(!tlsrpt_report_write(&again, &two) || !slice_eq(buf_slice(&one), buf_slice(&two)));
	}
	buf_free(&one), buf_free(&two), buf_free(&text);
}

static void
try_file(struct slice file, struct arena *arena)
{
	struct buf json = BUF(1 << 20);
	struct error why = { 0 };

	if (tlsrpt_open(file, arena, &json, &why))
		try_report(buf_slice(&json), arena);
	else
		bug_if(why.text[0] == '\0');
	buf_free(&json);
}

static void
try_session(struct slice bytes, struct arena *arena)
{
	struct buf packed = BUF(TALLY_MOST), key = BUF(TALLY_KEY);
	struct tlsrpt_counts c = { 0 }, again;
	struct tlsrpt_session s;
	struct slice domain;
	uint32_t day;

	if (!session_unpack(&s, bytes, arena))
		return;
	tally_key(&s.label, 1, &key);
	bug_if(!tally_key_read(buf_slice(&key), &day, &domain) && slice_find(s.label.domain, '\0') == s.label.domain.n);
	tally_add(&c, &s, arena);
	tally_add(&c, &s, arena);
	tally_pack(&c, &packed);
	bug_if(packed.full || !tally_unpack(&again, buf_slice(&packed), arena));
	bug_if(again.good + again.bad != 2);
	buf_free(&packed), buf_free(&key);
}

static void
try_tally(struct slice bytes, struct arena *arena)
{
	struct buf packed = BUF(TALLY_MOST);
	struct tlsrpt_counts c;

	if (!tally_unpack(&c, bytes, arena))
		return;
	tally_pack(&c, &packed);
	bug_if(packed.full);
	buf_free(&packed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(1 << 23);
	struct slice bytes = slice_of(data, size);
	struct address address;

	try_report(bytes, arena);
	try_file(bytes, arena);
	try_session(bytes, arena);
	try_tally(bytes, arena);
	if (tlsrpt_mailto(bytes, arena, &address))
		bug_if(address.domain.n == 0 || !ascii_only(address.text));
	arena_free(arena);
	return 0;
}
