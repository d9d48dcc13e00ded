/* SPDX-License-Identifier: ISC */
/* pure */
/*
 * show_formatted() -- a text with its blanks and line breaks in order.
 *
 * It works on tokens, not on the tree, because comments and the choice between
 * one line and several belong to whoever wrote the text.
 */
#include "conf/show.h"
#include "conf/token.h"

struct format {
	struct buf  *out;
	struct lexer lexer;
	unsigned     depth;             /* of blocks on several lines */
	unsigned     inline_depth;      /* of blocks on this line */
	bool         begun;             /* something stands on this line */
	bool         ended;             /* and the statement on it is over */
	bool         comma;             /* the last word was a comma */
	bool         blank;             /* an empty line was seen */
	bool         first;             /* the first thing in its block */
	const char  *between;           /* what comes before the next word */
};

static void
end_line(struct format *f)
{
	if (f->begun)
		buf_byte(f->out, '\n');
	f->begun = f->ended = f->comma = f->blank = false;
}

static void
begin_line(struct format *f)
{
	if (f->blank && !f->first)
		buf_byte(f->out, '\n');
	buf_printf(f->out, "%*s", 4 * (int)f->depth, "");
	f->begun = true;
	f->blank = f->first = false;
	f->between = "";
}

static void
word(struct format *f, const struct token *t)
{
	if (f->ended)
		end_line(f);
	if (!f->begun)
		begin_line(f);
	f->comma = t->kind == TOKEN_COMMA;
	if (!f->comma)
		buf_add(f->out, slice(f->between));
	buf_add(f->out, t->raw);
	f->between = " ";
}

/* Does the block that opens here close on the same line? */
static bool
on_one_line(const struct format *f)
{
	struct lexer ahead = f->lexer;

	for (unsigned depth = 1; depth > 0; ) {
		struct token t = lexer_next(&ahead);

		if (t.kind >= TOKEN_NEWLINE)
			return false;
		depth += (t.kind == TOKEN_OPEN) - (t.kind == TOKEN_CLOSE);
	}
	return true;
}

static void
open_block(struct format *f)
{
	buf_add(f->out, S(" {"));
	f->between = " ";
	if (f->inline_depth > 0 || on_one_line(f)) {
		f->inline_depth++;
		return;
	}
	f->depth++;
	f->ended = f->first = true;
}

static void
close_block(struct format *f)
{
	if (f->inline_depth > 0) {
		buf_add(f->out, S(" }"));
		f->between = "; ";
		f->ended = --f->inline_depth == 0;
		return;
	}
	end_line(f);
	f->depth -= f->depth > 0;
	f->first = true;
	begin_line(f);
	buf_byte(f->out, '}');
	f->ended = true;
}

static void
comment(struct format *f, const struct token *t)
{
	if (!f->begun)
		begin_line(f);
	else
		buf_add(f->out, S("  "));
	buf_add(f->out, slice_trim(t->raw));
	f->ended = !f->comma;
}

/* A line end behind a comma goes on, one level deeper. */
static void
line_end(struct format *f)
{
	if (f->begun && f->comma && !f->ended) {
		buf_printf(f->out, "\n%*s", 4 * (int)(f->depth + 1), "");
		f->between = "";
		f->comma = false;
	} else if (f->begun) {
		end_line(f);
	} else {
		f->blank = true;
	}
}

bool
show_formatted(struct buf *out, const struct source *source)
{
	struct format f = { .out = out, .first = true };

	lexer_begin(&f.lexer, source);
	for (;;) {
		struct token t = lexer_next(&f.lexer);

		switch (t.kind) {
		case TOKEN_OPEN:      open_block(&f); break;
		case TOKEN_CLOSE:     close_block(&f); break;
		case TOKEN_COMMENT:   comment(&f, &t); break;
		case TOKEN_NEWLINE:   line_end(&f); break;
		case TOKEN_SEMICOLON:
			f.between = "; ";
			f.ended = f.inline_depth == 0;
			break;
		case TOKEN_END:
			end_line(&f);
			return !out->full;
		case TOKEN_BAD:
			return false;
		default:
			word(&f, &t);
		}
	}
}
