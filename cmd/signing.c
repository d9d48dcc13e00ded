/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include "auth/taglist.h"
#include "base/clock.h"
#include "base/file.h"
#include "cmd/signing.h"
#include "mail/domain.h"

static int
complain(const char *command, int code, const char *what, const char *word)
{
	complaint("chainmail %s: %s%s", command, what, word);
	return code;
}

int
signing_failed(const char *command, const char *why)
{
	return complain(command, EX_DATAERR, why, "");
}

static int
read_key(struct signing *s, const char *command, const char *path)
{
	struct buf text = BUF(64 << 10);
	struct error why;
	int code = 0;

	if (!file_read(path, &text, &why))
		code = complain(command, EX_NOINPUT, why.text, "");
	else if (!signing_key_parse(&s->key, buf_slice(&text), &why))
		code = complain(command, EX_DATAERR, why.text, "");
	else if (s->key.type == KEY_RSA && s->key.bits < 2048)
		complaint("chainmail %s: the key has only %u bits, RFC 8301 advises 2048", command,
		    s->key.bits);
	if (text.p != NULL)
		explicit_bzero(text.p, text.room);
	buf_free(&text);
	return code;
}

/*
 * RFC 5322 3.6.8, but no semicolon: it would end h=.  RFC 5322 2.1.1: h= is folded
 * behind each name, so one must fit on a line.
 */
static bool
is_field_name(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~' || name.p[i] == ':' || name.p[i] == ';')
			return false;
	return name.n > 0 && name.n <= FIELD_NAME_MOST;
}

/* The names with colons between them and nothing else; NONE when one is none. */
static struct slice
field_names(const char *headers, struct arena *arena)
{
	struct slice left = slice(headers), name, all = NONE;

	while (taglist_item(&left, &name)) {
		if (!is_field_name(name))
			return NONE;
		all = arena_printf(arena, "%.*s%s%.*s", FMT(all), all.n > 0 ? ":" : "", FMT(name));
	}
	return all;
}

static int
read_signer(struct signing *s, const char *command, const struct signing_options *o)
{
	if (o->domain == NULL || o->selector == NULL || o->key == NULL)
		return complain(command, EX_USAGE, "--domain, --selector and --key are needed", "");
	s->signer.domain = domain_normal(slice(o->domain), s->arena);
	if (domain_labels(s->signer.domain) < 2)
		return complain(command, EX_USAGE, "this is no domain: ", o->domain);
	s->signer.selector = domain_normal(slice(o->selector), s->arena);
	if (s->signer.selector.n == 0)
		return complain(command, EX_USAGE, "this is no selector: ", o->selector);
	if (o->headers != NULL) {
		s->signer.names = field_names(o->headers, s->arena);
		if (s->signer.names.n == 0)
			return complain(command, EX_USAGE,
			    "these are no names of fields, of 76 letters at most: ", o->headers);
	}
	s->signer.key = &s->key;
	return read_key(s, command, o->key);
}

static int
read_time(struct signing *s, const char *command, const char *text)
{
	struct clock clock = { 0 };
	uint64_t seconds;

	s->now = clock_now(&clock);
	if (text == NULL)
		return 0;
	if (!slice_number(slice(text), 999999999999, &seconds))
		return complain(command, EX_USAGE, "this is no time in seconds: ", text);
	s->now = (int64_t)seconds * SECOND;
	return 0;
}

/*
 * Lines end with CRLF (bare LFs have become that by now): a CR that stands alone, or a
 * NUL, no SMTP server takes (RFC 5321 2.3.8), so nobody would ever verify what is signed.
 * RFC 6376 5.3: a text is made fit for its transport before it is signed; how, its
 * author knows.
 */
static const char *
unfit_line(struct slice text, unsigned *line_r)
{
	for (*line_r = 1; text.n > 0; text = slice_skip(text, 1)) {
		if (*text.p == '\0')
			return "holds a NUL";
		if (*text.p == '\r' && (text.n < 2 || text.p[1] != '\n'))
			return "holds a CR without LF";
		*line_r += *text.p == '\n';
	}
	return NULL;
}

static int
check_lines(struct signing *s, const char *command)
{
	unsigned line;
	const char *flaw = unfit_line(buf_slice(&s->message), &line);

	if (flaw != NULL)
		complaint("chainmail %s: line %u %s, which no SMTP server takes: nothing was signed",
		    command, line, flaw);
	return flaw != NULL ? EX_DATAERR : 0;
}

static int
read_message(struct signing *s, const char *command)
{
	struct slice whole;
	struct error why;
	size_t n;

	if (!message_from_stdin(&s->message, SIGNING_MESSAGE))
		return complain(command, EX_DATAERR, "the message cannot be read", "");
	whole = buf_slice(&s->message);
	n = header_length(whole);
	s->body = slice_skip(whole, n + 2);
	if (!header_parse(&s->header, slice_head(whole, n), s->arena, &why))
		return complain(command, EX_DATAERR, why.text, "");
	return check_lines(s, command);
}

int
signing_begin(struct signing *s, const char *command, const struct signing_options *o)
{
	int code;

	*s = (struct signing){ .arena = arena_new(16 << 20) };
	if ((code = read_signer(s, command, o)) != 0 || (code = read_time(s, command, o->time)) != 0)
		return code;
	if ((code = read_message(s, command)) == 0)
		bodies_add(&s->bodies, CANON_RELAXED, BODY_WHOLE);
	return code;
}

void
signing_hash_body(struct signing *s)
{
	bodies_update(&s->bodies, s->body);
	bodies_finish(&s->bodies);
	memcpy(s->body_hash, bodies_get(&s->bodies, CANON_RELAXED, BODY_WHOLE)->digest, SHA256_BYTES);
}

void
signing_end(struct signing *s)
{
	signing_key_free(&s->key);
	buf_free(&s->message);
	arena_free(s->arena);
}

int
signing_write(const struct signing *s, const char *command, struct slice fields)
{
	if (fwrite(fields.p, 1, fields.n, stdout) == fields.n &&
	    fwrite(s->message.p, 1, s->message.n, stdout) == s->message.n && fflush(stdout) == 0)
		return 0;
	return complain(command, EX_IOERR, "standard output cannot be written", "");
}
