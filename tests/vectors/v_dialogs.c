/* SPDX-License-Identifier: ISC */
/*
 * dialogs -- conversations with the server's engine, in memory: those of the
 * public suite and our own (tests/dialog/NAME.dialog).  tests/system holds the same
 * conversations with the real server over a socket.  Each is played twice: as
 * it stands, and byte by byte.
 */
#include <dirent.h>
#include <regex.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "smtpd/session.h"
#include "smtpd/trace.h"
#include "tap.h"

/* --- a server with one user, in memory --------------------------------------- */

struct server {
	struct session session;
	struct buf     message, last, wire;     /* being received; stored last; not yet taken */
	unsigned       stored;
	bool           closed, trickle;
};

static struct status
recipient(void *unused, const struct address *a)
{
	(void)unused;
	if (a->domain.n > 0 && !slice_eq(a->domain, S("local.test")))
		return STATUS(550, 5, 7, 1, "no relaying");
	if (!slice_eqi(a->local, S("user")) && !slice_eqi(a->local, S("postmaster")))
		return STATUS(550, 5, 1, 1, "no such user");
	return STATUS(250, 2, 1, 5, "recipient ok");
}

static const struct session_terms TERMS = {
	.hostname = S_INIT("mx.local.test"), .tls_offered = true, .size_most = 1 << 20,
	.recipients_most = 1000, .errors_most = 20, .idle_most = 1000, .line_most = 65536,
	.recipient = recipient,
};

static void
take_piece(void *arg, struct slice piece)
{
	buf_add(&((struct server *)arg)->message, piece);
}

static void
begin(struct server *s, bool trickle)
{
	*s = (struct server){ .trickle = trickle };
	s->message = s->last = s->wire = BUF(64 << 20);
	session_begin(&s->session, &TERMS, take_piece, s);
}

static void
end(struct server *s)
{
	session_end(&s->session);
	buf_free(&s->message);
	buf_free(&s->last);
	buf_free(&s->wire);
}

/* What smtpd/connection does with the engine, without the world. */
static void
react(struct server *s)
{
	struct status flaw;

	switch (s->session.want) {
	case SESSION_ACCEPT:
		flaw = session_text_flaw(&s->session);
		if (flaw.class == 0) {
			s->stored++;
			buf_clear(&s->last);
			trace_add(&s->last, &(struct trace){ .helo = s->session.helo,
			    .client = { { 127, 0, 0, 1 }, 4 }, .by = TERMS.hostname,
			    .with = session_protocol(&s->session), .now = 1 });
			buf_add(&s->last, buf_slice(&s->message));
			flaw = STATUS(250, 2, 0, 0, "Ok: queued as 000000000001");
		}
		buf_clear(&s->message);
		session_finish(&s->session, flaw);
		break;
	case SESSION_TLS:
		buf_clear(&s->wire);            /* what came in the clear is purged */
		break;
	case SESSION_CLOSE:
		s->closed = true;
		break;
	default:
		break;
	}
}

static void
push(struct server *s, struct slice bytes)
{
	while (bytes.n > 0 && !s->closed) {
		struct slice some = slice_head(bytes, s->trickle ? 1 : bytes.n), input;
		size_t before;

		bytes = slice_skip(bytes, some.n);
		buf_add(&s->wire, some);
		do {
			input = buf_slice(&s->wire);
			before = input.n;
			if (s->session.want != SESSION_TLS)
				session_feed(&s->session, &input);
			buf_drop(&s->wire, before - input.n);
			react(s);
		} while (input.n < before && !s->closed && s->session.want == SESSION_MORE);
	}
}

/* The next reply of the server, all its lines; empty when there is none. */
static struct slice
next_reply(struct server *s)
{
	static struct buf reply;
	struct slice out = buf_slice(&s->session.out), line;

	reply.ceiling = 1 << 20;
	buf_clear(&reply);
	while (slice_cut(&out, '\n', &line)) {
		buf_add(&reply, line);
		buf_byte(&reply, '\n');
		if (line.n < 4 || line.p[3] != '-')
			break;
	}
	buf_drop(&s->session.out, reply.n);
	return buf_slice(&reply);
}

/* --- the public suite ----------------------------------------------------------- */

/* POSIX knows no \d, \b, [\s\S]*? and (?i): what the suite uses of Perl is rewritten. */
static void
to_posix(const char *pattern, struct buf *to)
{
	static const struct { const char *perl, *posix; } words[] = {
		{ "(?i)", "" }, { "(?im)", "" }, { "[\\s\\S]*?", "(.|\n)*" }, { "\\d", "[0-9]" }, { "\\b", "" },
	};

	while (*pattern != '\0') {
		size_t i = 0;

		while (i < 5 && strncmp(pattern, words[i].perl, strlen(words[i].perl)) != 0)
			i++;
		if (i < 5) {
			buf_add(to, slice(words[i].posix));
			pattern += strlen(words[i].perl);
		} else {
			buf_byte(to, *pattern++);
		}
	}
	buf_byte(to, '\0');
}

static bool
matches(const char *pattern, struct slice text)
{
	regex_t re;
	char *copy = must_copy(text.p, text.n);
	struct buf posix = BUF(4096);
	bool yes;

	to_posix(pattern, &posix);
	bug_if(regcomp(&re, posix.p, REG_EXTENDED | REG_ICASE | REG_NEWLINE | REG_NOSUB) != 0);
	yes = regexec(&re, copy, 0, NULL, 0) == 0;
	regfree(&re);
	buf_free(&posix);
	free(copy);
	return yes;
}

static bool
code_is(json_t *want, struct slice reply)
{
	size_t i;
	json_t *one;

	if (json_is_string(want))
		return slice_starts(reply, json_slice(want));
	json_array_foreach(want, i, one)
		if (slice_starts(reply, json_slice(one)))
			return true;
	return false;
}

static void
push_filler(struct server *s, uint64_t n, bool lines)
{
	static const char line[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
	bool trickle = s->trickle;

	s->trickle = false;
	for (uint64_t sent = 0; sent < n; sent += sizeof line - 1)
		push(s, slice_of(line, lines ? sizeof line - 1 : sizeof line - 3));
	s->trickle = trickle;
}

static bool
send_step(struct server *s, json_t *step)
{
	json_t *value;
	struct buf raw = BUF(1 << 20);

	if ((value = json_object_get(step, "c")) != NULL) {
		push(s, json_slice(value));
		push(s, S("\r\n"));
	} else if ((value = json_object_get(step, "raw8")) != NULL ||
	    (value = json_object_get(step, "bytewise")) != NULL) {
		push(s, json_slice(value));
	} else if ((value = json_object_get(step, "raw")) != NULL) {
		struct slice text = json_slice(value);          /* UTF-8 of Latin-1: back to bytes */

		for (size_t i = 0; i < text.n; i++)
			if (((unsigned char)text.p[i] & 0xe0) == 0xc0) {
				buf_byte(&raw, (char)((text.p[i] & 3) << 6 | (text.p[i + 1] & 63)));
				i++;
			} else {
				buf_byte(&raw, text.p[i]);
			}
		push(s, buf_slice(&raw));
	} else if ((value = json_object_get(step, "rawhex")) != NULL) {
		hex_decode(&raw, json_slice(value));
		push(s, buf_slice(&raw));
	} else if ((value = json_object_get(step, "big")) != NULL) {
		push_filler(s, (uint64_t)json_integer_value(value), true);
	} else if ((value = json_object_get(step, "bigraw")) != NULL) {
		push_filler(s, (uint64_t)json_integer_value(value), false);
	} else {
		return false;
	}
	buf_free(&raw);
	return true;
}

static bool
check_body(struct server *s, json_t *step)
{
	json_t *value, *one;
	struct slice last = buf_slice(&s->last);
	size_t i;
	bool ok = true;

	if ((value = json_object_get(step, "stored")) != NULL)
		ok = ok && s->stored == (unsigned)json_integer_value(value);
	if ((value = json_object_get(step, "stored_max")) != NULL)
		ok = ok && s->stored <= (unsigned)json_integer_value(value);
	if ((value = json_object_get(step, "body_contains")) != NULL)
		ok = ok && memmem(last.p, last.n, json_slice(value).p, json_slice(value).n) != NULL;
	if ((value = json_object_get(step, "header_re")) != NULL)
		ok = ok && matches(json_string_value(value), last);
	json_array_foreach(json_object_get(step, "body_lines"), i, one) {
		struct buf line = BUF(4096);

		buf_printf(&line, "\n%s\r\n", json_string_value(one));
		ok = ok && memmem(last.p, last.n, line.p, line.n) != NULL;
		buf_free(&line);
	}
	return ok;
}

static bool
expect_step(struct server *s, json_t *step)
{
	json_t *value;
	struct slice reply;
	bool ok;

	if ((value = json_object_get(step, "s")) != NULL) {
		reply = next_reply(s);
		ok = code_is(value, reply);
		if ((value = json_object_get(step, "re")) != NULL)
			ok = ok && matches(json_string_value(value), reply);
		if ((value = json_object_get(step, "ehlo")) != NULL)
			ok = ok && matches(json_string_value(value), reply);
		if ((value = json_object_get(step, "ehlo_not")) != NULL)
			ok = ok && !matches(json_string_value(value), reply);
		if (json_is_true(json_object_get(step, "no_extra")))
			ok = ok && s->session.out.n == 0;
		if (!ok)
			printf("# got: %.*s\n", FMT(slice_head(reply, reply.n ? reply.n - 1 : 0)));
		return ok;
	}
	if (json_object_get(step, "tls") != NULL || json_object_get(step, "tls_or_eof") != NULL) {
		if (s->session.want != SESSION_TLS)
			return json_object_get(step, "tls_or_eof") != NULL && s->closed;
		buf_clear(&s->wire);
		session_secured(&s->session);
		return s->session.out.n == 0;
	}
	if (json_object_get(step, "eof") != NULL)
		return s->closed;
	if (json_object_get(step, "any_replies") != NULL) {
		while (next_reply(s).n > 0)
			continue;
		return true;
	}
	return check_body(s, step);             /* also: delay, close */
}

static bool
needs_auth(json_t *dialog)
{
	size_t i;
	json_t *need;

	json_array_foreach(json_object_get(dialog, "needs"), i, need)
		if (slice_eq(json_slice(need), S("AUTH")))
			return true;
	return false;
}

static bool
play(json_t *dialog, bool trickle)
{
	struct server s;
	json_t *step;
	size_t i;
	bool ok = true;

	begin(&s, trickle);
	json_array_foreach(json_object_get(dialog, "steps"), i, step) {
		if (s.closed && json_object_get(step, "c") != NULL)
			ok = false;
		if (!send_step(&s, step) && !expect_step(&s, step)) {
			char *text = json_dumps(step, JSON_COMPACT);

			printf("# step %zu: %.300s\n", i, text);
			free(text);
			ok = false;
		}
		if (!ok)
			break;
	}
	end(&s);
	return ok;
}

static void
public_suite(void)
{
	json_t *suite = conformance("smtp-dialogs/dialogs.json"), *dialog;
	size_t i;

	if (suite == NULL) {
		tap_skip("smtp-dialogs: no suite here");
		return;
	}
	json_array_foreach(json_object_get(suite, "cases"), i, dialog) {
		const char *id = json_string_value(json_object_get(dialog, "id"));
		const char *level = json_string_value(json_object_get(dialog, "level"));

		if (needs_auth(dialog)) {
			tap_skip("%s: AUTH is not offered", id);
			continue;
		}
		tap_ok(play(dialog, false), "dialog %s (%s)", id, level);
		tap_ok(play(dialog, true), "dialog %s, byte by byte", id);
	}
	json_decref(suite);
}

/* --- smuggling: what does not end a text ------------------------------------------- */

static bool
smuggled(struct slice fake, bool trickle)
{
	struct server s;
	bool one;

	begin(&s, trickle);
	push(&s, S("EHLO a.test\r\nMAIL FROM:<a@a.test>\r\nRCPT TO:<user@local.test>\r\nDATA\r\n"));
	push(&s, S("Subject: one\r\n\r\nbody"));
	push(&s, fake);
	push(&s, S("MAIL FROM:<x@a.test>\r\nRCPT TO:<postmaster@local.test>\r\nDATA\r\nSubject: two\r\n\r\n"));
	push(&s, S("smuggled\r\n.\r\nQUIT\r\n"));
	one = s.closed && s.stored <= 1;
	end(&s);
	return !one;
}

static void
smuggling(void)
{
	json_t *suite = conformance("smtp-dialogs/smuggling.json"), *fake;
	size_t i;

	if (suite == NULL) {
		tap_skip("smuggling: no suite here");
		return;
	}
	json_array_foreach(json_object_get(suite, "fake_eod"), i, fake)
		for (int trickle = 0; trickle < 2; trickle++)
			tap_ok(!smuggled(json_slice(fake), trickle), "fake end %zu%s", i,
			    trickle ? ", byte by byte" : "");
	json_decref(suite);
}

/* --- our own dialogs: C:, R:, S:, TLS, CLOSED, STORED n, BODY text ---------------------- */

static void
unescape(struct slice text, struct buf *to)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '\\' || i + 1 == text.n) {
			buf_byte(to, text.p[i]);
		} else if (text.p[++i] == 'x' && i + 2 < text.n) {
			hex_decode(to, slice_of(text.p + i + 1, 2));
			i += 2;
		} else {
			buf_byte(to, text.p[i] == 'r' ? '\r' : text.p[i] == 'n' ? '\n' : text.p[i]);
		}
	}
}

static bool
own_step(struct server *s, struct slice line)
{
	struct slice rest = slice_skip(line, 3), reply;
	struct buf raw = BUF(1 << 20);
	uint64_t n;
	bool ok = true;

	if (slice_starts(line, S("C: ")) || slice_eq(line, S("C:"))) {
		push(s, rest);
		push(s, S("\r\n"));
	} else if (slice_starts(line, S("R: "))) {
		unescape(rest, &raw);
		push(s, buf_slice(&raw));
	} else if (slice_starts(line, S("S: "))) {
		reply = next_reply(s);
		ok = slice_starts(reply, slice_head(rest, 3)) && (rest.n < 5 ||
		    memmem(reply.p, reply.n, rest.p + 4, rest.n - 4) != NULL);
		if (!ok)
			printf("# got: %.*s\n", FMT(slice_head(reply, reply.n ? reply.n - 1 : 0)));
	} else if (slice_starts(line, S("NO: "))) {
		reply = buf_slice(&s->session.out);
		ok = memmem(reply.p, reply.n, rest.p + 1, rest.n - 1) == NULL;
	} else if (slice_eq(line, S("TLS"))) {
		if ((ok = s->session.want == SESSION_TLS))
			session_secured(&s->session);
	} else if (slice_eq(line, S("CLOSED"))) {
		ok = s->closed && s->session.out.n == 0;
	} else if (slice_starts(line, S("STORED "))) {
		ok = slice_number(slice_skip(line, 7), 100, &n) && s->stored == n;
	} else if (slice_starts(line, S("BODY "))) {
		unescape(slice_skip(line, 5), &raw);
		ok = memmem(s->last.p, s->last.n, raw.p, raw.n) != NULL;
	} else {
		ok = line.n == 0 || *line.p == '#';
	}
	buf_free(&raw);
	return ok;
}

static bool
play_own(struct slice text, bool trickle)
{
	struct server s;
	struct slice line;
	unsigned number = 0;
	bool ok = true;

	begin(&s, trickle);
	while (ok && slice_cut(&text, '\n', &line)) {
		number++;
		ok = own_step(&s, line);
		if (!ok)
			printf("# line %u: %.*s\n", number, FMT(line));
	}
	end(&s);
	return ok;
}

static int
is_dialog(const struct dirent *entry)
{
	return slice_endsi(slice(entry->d_name), S(".dialog"));
}

static void
own_dialogs(void)
{
	const char *srcdir = getenv("srcdir");
	char directory[4096], path[8192];
	struct dirent **entries;
	int n;

	snprintf(directory, sizeof directory, "%s/tests/dialog", srcdir ? srcdir : ".");
	n = scandir(directory, &entries, is_dialog, alphasort);
	tap_ok(n > 0, "there are dialogs of our own");
	for (int i = 0; i < n; i++) {
		struct buf text = BUF(1 << 20);

		snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
		if (file_read(path, &text, NULL)) {
			tap_ok(play_own(buf_slice(&text), false), "%s", entries[i]->d_name);
			tap_ok(play_own(buf_slice(&text), true), "%s, byte by byte", entries[i]->d_name);
		}
		buf_free(&text);
		free(entries[i]);
	}
	free(entries);
}

int
main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	own_dialogs();
	public_suite();
	smuggling();
	return tap_end();
}
