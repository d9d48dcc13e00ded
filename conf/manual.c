/* SPDX-License-Identifier: ISC */
/* pure */
/*
 * manual_conf() -- chainmail.conf(5), written from the keyword table.
 */
#include <stdio.h>

#include "conf/show.h"
#include "conf/type.h"
#include "config.h"

static const char HEAD[] =
    ".\\\" SPDX-License-Identifier: ISC\n"
    ".\\\" Written by `chainmail config manual`; change conf/keywords.def instead.\n"
    ".Dd November 22, 2026\n"
    ".Dt CHAINMAIL.CONF 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm chainmail.conf\n"
    ".Nd configuration of the Chainmail mail transfer agent\n"
    ".Sh DESCRIPTION\n"
    "The configuration consists of statements, one a line.\n"
    "A statement is made of words and may end with a block of further statements\n"
    "in braces.\n"
    "Everything has a default except the host name.\n"
    "The order of statements does not matter.\n"
    ".Bd -literal -offset indent\n"
    "config    = { statement }\n"
    "statement = WORD { arg } ( NEWLINE | \";\" | \"{\" { statement } \"}\" )\n"
    "arg       = WORD | STRING | \"->\" | \",\"\n"
    ".Ed\n"
    ".Pp\n"
    "A word is a run of characters except blanks and\n"
    ".Ql { } \\&; , \\(dq # .\n"
    "A string stands in double quotes on one line and may hold\n"
    ".Ql \\e\\(dq ,\n"
    ".Ql \\e\\e\n"
    "and\n"
    ".Ql \\en .\n"
    "A line that ends in a comma goes on.\n"
    "A\n"
    ".Ql #\n"
    "begins a comment.\n"
    "Relative file names are taken from the directory of the file they stand in.\n"
    ".Pp\n"
    "Two statements may stand anywhere:\n"
    ".Bl -tag -width Ds\n"
    ".It Ic include Ar file\n"
    "Read the statements of another file in this place.\n"
    "Behind the last slash\n"
    ".Ql *\n"
    "and\n"
    ".Ql \\&?\n"
    "stand for any characters and for one;\n"
    "the files that match are read in the order of their names.\n"
    ".It Ic let Ar NAME No = Ar value\n"
    "From here on\n"
    ".Li $NAME\n"
    "in a word, but not in a string, stands for the value.\n"
    ".El\n"
    ".Pp\n"
    ".Dl chainmail config check\n"
    ".Pp\n"
    "tells everything that is wrong with a configuration,\n"
    "with file, line and column.\n"
    ".Ss Values\n"
    ".Bl -tag -width PATTERN\n";

static const char TAIL[] =
    ".Sh FILES\n"
    ".Bl -tag -width Ds\n"
    ".It Pa /etc/chainmail/chainmail.conf\n"
    "The configuration, below the system configuration directory of the build.\n"
    "The program never writes it.\n"
    ".El\n"
    ".Ss Tables\n"
    "In all tables empty lines and lines that begin with\n"
    ".Ql #\n"
    "mean nothing.\n"
    "Files of users hold a name as the first word of each line;\n"
    "a colon ends it too.\n"
    "Files of members hold an address a line.\n"
    "Files of trusted sealers hold a domain a line,\n"
    "with a selector behind it if only that one counts.\n"
    "Files of aliases are those of\n"
    ".Xr aliases 5 ;\n"
    "commands and files as targets are refused,\n"
    ".Li :include:\\&\n"
    "is read when the configuration is.\n"
    ".Ss Who gets what is sent to an address\n"
    "Local parts are compared without regard to case.\n"
    "First counts the alias, the list or the user of that name,\n"
    "then that of the part before a\n"
    ".Ql + .\n"
    "The names postmaster and abuse always exist:\n"
    "without an entry of their own they are the catch-all of the domain,\n"
    "else the first postmaster that any domain has, else a user of that name.\n"
    "Last comes the catch-all.\n"
    "Without\n"
    ".Ic users\n"
    "every name is a user,\n"
    "but beside a catch-all only those names to which something is delivered.\n"
    ".Sh EXAMPLES\n"
    "Mail for one domain on one machine:\n"
    ".Bd -literal -offset indent\n"
    "hostname mail.example.org\n"
    "listen mx { on *:25; tls cert /etc/ssl/mail.pem key /etc/ssl/mail.key }\n"
    "key k2026 { domain example.org; file /etc/chainmail/k2026.pem }\n"
    "domain example.org {\n"
    "    deliver to lmtp unix:/run/dovecot/lmtp\n"
    "    users alice, bob\n"
    "    alias postmaster, abuse -> alice\n"
    "    alias carol -> carol@example.net      # forwarded: ARC-sealed\n"
    "}\n"
    ".Ed\n"
    "The same domain with an MTA-STS policy, served from here.\n"
    "Begin with\n"
    ".Cm testing ;\n"
    ".Dl chainmail sts mode example.org\n"
    "says what is to be done next.\n"
    ".Bd -literal -offset indent\n"
    "web { tls cert /etc/ssl/sts.pem key /etc/ssl/sts.key }    # for mta-sts.example.org\n"
    "domain example.org { sts testing; deliver to lmtp unix:/run/dovecot/lmtp; users alice, bob }\n"
    ".Ed\n"
    ".Sh SEE ALSO\n"
    ".Xr aliases 5\n"
    ".Rs\n"
    ".%T The Authenticated Received Chain (ARC) Protocol\n"
    ".%R RFC 8617\n"
    ".Re\n"
    ".Rs\n"
    ".%T SMTP MTA Strict Transport Security (MTA-STS)\n"
    ".%R RFC 8461\n"
    ".Re\n";

enum { COLUMNS = 78 };

/* A word of the table as mdoc text: nothing in it is an escape, nor a macro at a line's start. */
static void
add_word(struct buf *b, struct slice word)
{
	if (word.n > 0 && (*word.p == '.' || *word.p == '\''))
		buf_add(b, S("\\&"));
	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] == '\\')
			buf_add(b, S("\\e"));
		else
			buf_byte(b, word.p[i]);
}

/* Sentences, each on a line of its own as mdoc wants it, and no line too long. */
static void
add_text(struct buf *b, struct slice text)
{
	struct slice word, before = NONE;
	size_t column = 0;

	for (; slice_word(&text, &word); before = word) {
		bool sentence = before.n > 1 && before.p[before.n - 1] == '.' &&
		    *word.p >= 'A' && *word.p <= 'Z';

		if (before.n > 0)
			buf_byte(b, sentence || column + 1 + word.n > COLUMNS ? '\n' : ' ');
		if (sentence || column + 1 + word.n > COLUMNS)
			column = 0;
		add_word(b, word);
		column += word.n + 1;
	}
	buf_byte(b, '\n');
}

static bool
is_type(struct slice word)
{
	return type_find(word) != NULL;
}

/* One word of a statement, and whether it touches the one before it. */
static void
add_argument(struct buf *b, struct slice word, bool touching)
{
	bool literal = is_alnum(*word.p) && !is_type(word);

	buf_printf(b, "%s %s ", touching ? " Ns" : "", is_type(word) ? "Ar" : literal ? "Ic" : "No");
	if (!literal && !is_type(word))
		buf_add(b, S("\\&"));
	add_word(b, word);
}

/* "limit messages RATE per client" as .It Ic limit Ic messages Ar RATE Ic per Ic client */
static void
add_item(struct buf *b, const struct keyword *row)
{
	struct buf usage = BUF(1024);
	struct slice left, word;

	keyword_add_usage(&usage, row);
	left = buf_slice(&usage);
	buf_add(b, S(".It"));
	while (slice_word(&left, &word)) {
		bool opened = strchr("([", *word.p) != NULL, touching = false;

		if (opened) {
			add_argument(b, slice_head(word, 1), false);
			word = slice_skip(word, 1);
			touching = word.n > 0;
		}
		while (word.n > 0) {
			size_t n = word.n;

			for (size_t i = word.n; i > 1 && strchr(")],", word.p[i - 1]) != NULL; i--)
				n = i - 1;
			add_argument(b, slice_head(word, n), touching);
			word = slice_skip(word, n);
			touching = true;
		}
	}
	buf_byte(b, '\n');
	buf_free(&usage);
}

/* Where the build keeps its state differs from machine to machine; the page does not. */
static void
add_default(struct buf *b, const struct keyword *row)
{
	struct slice usual = slice(row->usual), here = S(CHAINMAIL_LOCALSTATEDIR);

	buf_printf(b, "The default is\n.Ql ");
	if (slice_starts(usual, here) && usual.n > here.n && usual.p[here.n] == '/') {
		buf_add(b, S("/var"));
		usual = slice_skip(usual, here.n);
	}
	add_word(b, usual);
	buf_add(b, S(" .\n"));
}

static void
add_rows(struct buf *b, const struct vocabulary *v, const char *context)
{
	const struct keyword *row;

	buf_add(b, S(".Bl -tag -width Ds\n"));
	for (size_t i = 0; (row = keyword_nth(v, context, i)) != NULL; i++) {
		add_item(b, row);
		add_text(b, slice(row->meaning));
		if (row->usual != NULL)
			add_default(b, row);
	}
	buf_add(b, S(".El\n"));
}

/* The contexts in the order in which the table opens them. */
void
manual_statements(struct buf *b, const struct vocabulary *v, const char *top)
{
	buf_add(b, S(".Ss Statements outside of blocks\n"));
	add_rows(b, v, top);
	for (size_t i = 0; i < v->count; i++) {
		struct slice block = keyword_block(&v->rows[i]);
		char context[32];

		if (block.n == 0)
			continue;
		snprintf(context, sizeof context, "%.*s", FMT(block));
		buf_printf(b, ".Ss \\&In %s %s block\n", strchr("aeiou", *context) ? "an" : "a", context);
		add_rows(b, v, context);
	}
}

void
manual_conf(struct buf *b, const struct vocabulary *v)
{
	const struct type *type;

	buf_add(b, slice(HEAD));
	for (size_t i = 0; (type = type_nth(i)) != NULL; i++) {
		buf_printf(b, ".It Ar %s\n", type->name);
		add_text(b, slice(type->meaning));
	}
	buf_add(b, S(".El\n"));
	manual_statements(b, v, "");
	buf_add(b, slice(TAIL));
}
