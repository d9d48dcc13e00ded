/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "mail/date.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "queue/report.h"

enum {
	WORDS_MOST = 600,               /* of another server's words, as they are shown */
	FINAL_MOST = 900,               /* an address: short of what a line may be (RFC 5322 2.1.1) */
	WORDS_OVER = 20,                /* the last of them may go so far beyond */
	FIXED_FOR_PEOPLE = 120,         /* our own words about one recipient, … */
	FIXED_FOR_PROGRAMS = 300,       /* … and the names of his fields */
};

bool
report_utf8(const struct report *r)
{
	return !ascii_only(r->to);
}

/* --- what goes with it ------------------------------------------------------------ */

/* Up to the last whole line within the limit. */
static struct slice
whole_lines(struct slice s, size_t most)
{
	s = slice_head(s, most);
	while (s.n > 0 && s.p[s.n - 1] != '\n')
		s.n--;
	return s;
}

static bool
attaches_all(const struct report *r)
{
	return r->full && r->original.n <= REPORT_FULL_MOST;
}

/* What of the message goes with the report. */
static struct slice
attached(const struct report *r)
{
	size_t header = header_length(r->original);

	if (attaches_all(r))
		return r->original;
	return header <= REPORT_HEADER_MOST ? slice_head(r->original, header)
	    : whole_lines(r->original, REPORT_HEADER_MOST);
}

/* A header in UTF-8 is that of an internationalized message (RFC 6532 3.7, RFC 6533 5). */
static bool
attaches_global(const struct report *r)
{
	struct slice part = attached(r), header = slice_head(part, header_length(part));

	return report_utf8(r) || (!ascii_only(header) && utf8_valid(header));
}

bool
report_eight_bit(const struct report *r)
{
	return report_utf8(r) || !(attaches_global(r) || ascii_only(attached(r)));
}

/* --- the parts --------------------------------------------------------------------- */

const char *
report_word(enum report_action action)
{
	static const char *const words[] = { "failed", "delayed", "delivered", "relayed", "expanded" };

	return words[action];
}

static const char *
subject_of(const struct report *r)
{
	bool failed = false, delayed = false;

	if (r->lost)
		return "A report to a sender of this house could not be delivered";
	for (size_t i = 0; i < r->count; i++) {
		failed = failed || r->recipients[i].action == REPORT_FAILED;
		delayed = delayed || r->recipients[i].action == REPORT_DELAYED;
	}
	return failed ? "Your message could not be delivered"
	     : delayed ? "Your message is delayed, no need to send it again"
	     : "Your message was delivered";
}

/* Cannot stand in the parts: they hold no line that begins with two hyphens and this. */
static void
boundary_text(const struct report *r, char text[2 * ID_TEXT + 16])
{
	char id[ID_TEXT + 1], about[ID_TEXT + 1];

	id_text(r->id, id);
	id_text(r->about, about);
	memcpy(text, "=_", 2);
	memcpy(text + 2, id, ID_TEXT);
	text[2 + ID_TEXT] = '_';
	memcpy(text + 3 + ID_TEXT, about, ID_TEXT + 1);
}

/* Whether people read an address that is not ASCII: then other servers' words may be that as well. */
static bool
tells_utf8(const struct report *r)
{
	bool utf8 = report_utf8(r);

	for (size_t i = 0; i < r->count && !utf8; i++)
		utf8 = !ascii_only(r->recipients[i].address);
	return utf8;
}

/* RFC 2045 6.2, 6.4: 7bit needs no word. */
static void
add_encoding(struct buf *b, bool eight_bit)
{
	if (eight_bit)
		buf_add(b, S("Content-Transfer-Encoding: 8bit\r\n"));
}

static void
write_header(struct buf *b, const struct report *r, const char *boundary)
{
	char date[DATE_TEXT + 1], id[ID_TEXT + 1];

	date_text(r->now, date);
	id_text(r->id, id);
	buf_printf(b, "From: Mail Delivery System <MAILER-DAEMON@%.*s>\r\n", FMT(r->hostname));
	buf_printf(b, "To: <%.*s>\r\n", FMT(r->to));
	buf_printf(b, "Subject: %s\r\n", subject_of(r));
	buf_printf(b, "Date: %s\r\n", date);
	buf_printf(b, "Message-ID: <%s@%.*s>\r\n", id, FMT(r->hostname));
	buf_add(b, S("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"));     /* RFC 3834 3.1.7 */
	add_encoding(b, report_eight_bit(r));
	buf_printf(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"%s\"\r\n\r\n", boundary);
}

/* How many octets of UTF-8 begin with this one. */
static size_t
sequence(unsigned char first)
{
	return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/*
 * Another server's words: one line, nothing that could end it, short of what a
 * line may be (RFC 5322 2.1.1), ASCII unless UTF-8 may stand there.
 */
static void
add_words(struct buf *b, bool utf8, struct slice words)
{
	size_t end = b->n + WORDS_MOST;

	words = slice_trim(words);
	for (size_t n; words.n > 0 && b->n < end; words = slice_skip(words, n)) {
		n = utf8 ? sequence((unsigned char)*words.p) : 1;
		if (utf8 || (unsigned char)*words.p < 0x80)
			harmless_add(b, slice_head(words, n));
		else
			buf_printf(b, "\\x%02X", (unsigned char)*words.p);
	}
}

static void
tell_recipient(struct buf *b, const struct report_recipient *one, bool utf8)
{
	buf_printf(b, "  <%.*s>: %s\r\n", FMT(one->address), report_word(one->action));
	if (one->status.text.n == 0)
		return;
	buf_add(b, S("    "));
	if (one->host.n > 0)
		buf_printf(b, "%.*s said: ", FMT(one->host));
	if (one->status.reply > 0)
		buf_printf(b, "%u ", one->status.reply);
	add_words(b, utf8, one->status.text);
	buf_add(b, S("\r\n"));
}

static void
tell_people(struct buf *b, const struct report *r, bool utf8)
{
	char about[ID_TEXT + 1], arrived[DATE_TEXT + 1], until[DATE_TEXT + 1];

	id_text(r->about, about);
	date_text(r->arrived, arrived);
	date_text(r->until, until);
	buf_printf(b, "This is the mail system at %.*s.\r\n\r\n", FMT(r->hostname));
	buf_printf(b, r->lost ? "Its report of %s (%s) did not reach a sender of this house.\r\n"
	    "What it says, and about which message, stands below:\r\n\r\n"
	    : "Your message of %s (%s):\r\n\r\n", arrived, about);
	for (size_t i = 0; i < r->count; i++) {
		tell_recipient(b, &r->recipients[i], utf8);
		if (r->recipients[i].action == REPORT_DELAYED)
			buf_printf(b, "    It will be tried until %s.\r\n", until);
	}
	if (r->original.n == 0)
		buf_add(b, S("\r\nIts text can no longer be read here, and is not returned.\r\n"));
}

/* These bytes as a part of a message that needs no SMTPUTF8, whatever they are. */
static void
write_in_base64(struct buf *b, struct slice bytes)
{
	buf_add(b, S("Content-Transfer-Encoding: base64\r\n\r\n"));
	base64_lines_add(b, bytes);
}

static void
write_for_people(struct buf *b, const struct report *r)
{
	bool utf8 = tells_utf8(r);
	struct buf text = BUF(b->ceiling);

	buf_printf(b, "Content-Type: text/plain; charset=%s\r\n", utf8 ? "utf-8" : "us-ascii");
	if (utf8 && !report_utf8(r)) {
		tell_people(&text, r, true);
		write_in_base64(b, buf_slice(&text));
	} else {
		add_encoding(b, utf8);
		buf_add(b, S("\r\n"));
		tell_people(b, r, utf8);
	}
	buf_free(&text);
}

/* RFC 3464 2.2 */
static void
write_per_message(struct buf *b, const struct report *r)
{
	char arrived[DATE_TEXT + 1];

	date_text(r->arrived, arrived);
	if (r->envid.n > 0) {
		buf_add(b, S("Original-Envelope-Id: "));
		add_words(b, false, r->envid);
		buf_add(b, S("\r\n"));
	}
	buf_printf(b, "Reporting-MTA: dns; %.*s\r\n", FMT(r->hostname));
	buf_printf(b, "Arrival-Date: %s\r\n", arrived);
}

/*
 * "rfc822;" and the address as it is, not as xtext (RFC 3464 2.3.1, RFC 3461 6.3).  What
 * is UTF-8 is spelled in ASCII where the report is (RFC 6533 3).
 */
static void
add_orcpt(struct buf *b, const struct report *r, struct slice orcpt)
{
	struct buf ascii = BUF(WORDS_MOST + 100), address = BUF(WORDS_MOST + 100);
	struct slice type;

	if (!report_utf8(r) && orcpt_add_ascii(&ascii, orcpt))
		orcpt = buf_slice(&ascii);
	type = slice_head(orcpt, slice_find(orcpt, ';'));
	buf_add(b, S("Original-Recipient: "));
	if (xtext_decode(slice_skip(orcpt, type.n + 1), &address)) {
		add_words(b, report_utf8(r), type);
		buf_byte(b, ';');
		add_words(b, report_utf8(r), buf_slice(&address));
	} else {
		add_words(b, report_utf8(r), orcpt);
	}
	buf_add(b, S("\r\n"));
	buf_free(&ascii);
	buf_free(&address);
}

/* RFC 3464 2.3.4: also when the server has its reasons, that it was too late we say. */
static void
add_status(struct buf *b, const struct report_recipient *one)
{
	const struct status *s = &one->status;

	if (one->action == REPORT_FAILED && status_transient(*s))
		buf_add(b, S("Status: 4.4.7\r\n"));
	else
		buf_printf(b, "Status: %u.%u.%u\r\n", s->class, s->subject, s->detail);
}

/* RFC 3464 2.3.6: what the server said, and nothing else. */
static void
add_diagnostic(struct buf *b, const struct report *r, const struct status *s)
{
	buf_printf(b, "Diagnostic-Code: smtp; %u ", s->reply);
	if (!s->uncoded)
		buf_printf(b, "%u.%u.%u ", s->class, s->subject, s->detail);
	add_words(b, report_utf8(r), s->text);
	buf_add(b, S("\r\n"));
}

static size_t
words_most(struct slice words)
{
	if (words.n == 0)
		return 0;
	return (4 * words.n < WORDS_MOST ? 4 * words.n : WORDS_MOST) + WORDS_OVER;
}

/* What people read may be in base64, for another one's sake. */
size_t
report_name_most(const struct report_recipient *one)
{
	size_t people = FIXED_FOR_PEOPLE + one->address.n + one->host.n + words_most(one->status.text);
	size_t final = ascii_only(one->address) ? one->address.n : FINAL_MOST;

	return people + people / 2 + FIXED_FOR_PROGRAMS + final + one->host.n +
	    words_most(one->status.text) + 2 * words_most(one->orcpt);
}

/* RFC 3464 2.3.2, RFC 6533 4: as it is only in a report that may hold UTF-8. */
static void
add_final_recipient(struct buf *b, const struct report *r, struct slice address)
{
	struct buf ascii = BUF(FINAL_MOST);
	bool is_ascii = ascii_only(address);

	if (!is_ascii && !report_utf8(r) && address_add_ascii(&ascii, address))
		address = buf_slice(&ascii);
	buf_printf(b, "Final-Recipient: %s; ", is_ascii ? "rfc822" : "utf-8");
	if (report_utf8(r) || ascii_only(address))
		buf_add(b, address);
	else
		add_words(b, false, address);
	buf_add(b, S("\r\n"));
	buf_free(&ascii);
}

/* RFC 3464 2.3 */
static void
write_per_recipient(struct buf *b, const struct report *r, const struct report_recipient *one)
{
	const struct status *s = &one->status;
	char date[DATE_TEXT + 1];

	buf_add(b, S("\r\n"));
	if (one->orcpt.n > 0)
		add_orcpt(b, r, one->orcpt);
	add_final_recipient(b, r, one->address);
	buf_printf(b, "Action: %s\r\n", report_word(one->action));
	add_status(b, one);
	if (one->host.n > 0)
		buf_printf(b, "Remote-MTA: dns; %.*s\r\n", FMT(one->host));
	if (s->reply > 0)
		add_diagnostic(b, r, s);
	if (one->tried > 0) {
		date_text(one->tried, date);
		buf_printf(b, "Last-Attempt-Date: %s\r\n", date);
	}
	if (one->action == REPORT_DELAYED) {
		date_text(r->until, date);
		buf_printf(b, "Will-Retry-Until: %s\r\n", date);
	}
}

static void
write_original(struct buf *b, const struct report *r)
{
	struct slice part = attached(r);
	bool global = attaches_global(r);

	if (attaches_all(r))
		buf_printf(b, "Content-Type: message/%s\r\n", global ? "global" : "rfc822");
	else
		buf_printf(b, "Content-Type: %s\r\n",
		    global ? "message/global-headers" : "text/rfc822-headers");
	if (global && !report_utf8(r)) {
		write_in_base64(b, part);
		return;
	}
	add_encoding(b, !ascii_only(part));
	buf_add(b, S("\r\n"));
	buf_add(b, part);
	if (!slice_endsi(part, S("\r\n")))
		buf_add(b, S("\r\n"));
}

void
report_write(struct buf *b, const struct report *r)
{
	char boundary[2 * ID_TEXT + 16];
	bool utf8 = report_utf8(r);

	boundary_text(r, boundary);
	write_header(b, r, boundary);
	buf_printf(b, "--%s\r\n", boundary);
	write_for_people(b, r);
	buf_printf(b, "\r\n--%s\r\nContent-Type: message/%sdelivery-status\r\n", boundary,
	    utf8 ? "global-" : "");
	add_encoding(b, utf8);
	buf_add(b, S("\r\n"));
	write_per_message(b, r);
	for (size_t i = 0; i < r->count; i++)
		write_per_recipient(b, r, &r->recipients[i]);
	if (r->original.n > 0) {
		buf_printf(b, "\r\n--%s\r\n", boundary);
		write_original(b, r);
	}
	buf_printf(b, "\r\n--%s--\r\n", boundary);
}
