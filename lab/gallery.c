/* SPDX-License-Identifier: ISC */
#include "base/bug.h"
#include "lab/gallery.h"

static const struct { const char *name, *text; } TEXTS[] = {
#include "gallery.inc"
};

enum { TEXT_COUNT = sizeof TEXTS / sizeof *TEXTS, ROW_MOST = 4096 };

void
gallery_files(struct files *files)
{
	buf_add(&files_add(files, GALLERY_NAME, FILE_CONFIG)->bytes, S("include \"gallery/*.lab\"\n"));
	for (size_t i = 0; i < TEXT_COUNT; i++) {
		struct buf name = BUF(ROW_MOST);

		buf_printf(&name, "gallery/%s", TEXTS[i].name);
		buf_add(&files_add(files, buf_slice(&name), FILE_CONFIG)->bytes, slice(TEXTS[i].text));
		buf_free(&name);
	}
}

/* --- the table ------------------------------------------------------------------------- */

static struct slice
domain_of(struct slice address)
{
	return slice_skip(address, slice_find(address, '@') + 1);
}

/* The statement that sends to this address. */
static const struct statement *
send_of(const struct statement *s, struct slice address)
{
	for (; s != NULL; s = s->next)
		if (statement_id(s) == LAB_SEND)
			for (const struct word *w = value_first(s); w != NULL; w = value_next(w))
				if (slice_eqi(w->text, address))
					return s;
	return NULL;
}

static bool
only_tells(const struct statement *s)
{
	return statement_id(s) == LAB_OUTCOME_FLAW || statement_id(s) == LAB_OUTCOME_RFC ||
	    statement_id(s) == LAB_OUTCOME_CONVERTED;
}

/* "delivered; tls verified by sts; attempts 2" */
static struct slice
expected_of(const struct statement *outer, struct slice outcome, struct arena *arena)
{
	struct buf b = BUF(ROW_MOST);
	struct slice copy;

	buf_add(&b, outcome);
	for (const struct statement *s = outer->block; s != NULL; s = s->next)
		if (!only_tells(s))
			buf_printf(&b, "; %.*s", FMT(statement_words(s, arena)));
	copy = arena_copy(arena, buf_slice(&b));
	buf_free(&b);
	return copy;
}

static struct slice
tls_of(const struct statement *outer, struct arena *arena)
{
	const struct statement *s = statement_find(outer->block, LAB_OUTCOME_TLS);

	return s != NULL ? slice_skip(statement_words(s, arena), 4) : NONE;
}

static struct gallery_row *
new_row(const struct scenario *sc, const struct statement *s, bool changes, struct arena *arena)
{
	struct gallery_row *r = arena_get(arena, sizeof *r);
	struct slice address = value_first(s)->text;

	bug_if(r == NULL);
	*r = (struct gallery_row){ .statement = s, .send = send_of(sc->first, address), .address = address,
	    .domain = domain_of(address), .changes = changes,
	    .alone = statement_find(s->block, LAB_OUTCOME_ALONE) != NULL,
	    .convertible = statement_find(s->block, LAB_OUTCOME_CONVERTED) != NULL,
	    .outcome = s->words->next->text, .tls = tls_of(s, arena),
	    .flaw = statement_text(s->block, LAB_OUTCOME_FLAW) };
	r->rfc = arena_printf(arena, "RFC %.*s", FMT(statement_text(s->block, LAB_OUTCOME_RFC)));
	r->expected = expected_of(s, r->outcome, arena);
	return r;
}

struct gallery_row *
gallery_rows(const struct scenario *sc, struct arena *arena)
{
	struct gallery_row *first = NULL, **last = &first;
	bool changes = false;

	for (const struct statement *s = sc->first; s != NULL; s = s->next) {
		int id = statement_id(s);

		changes |= id == LAB_CHANGE_RECORD || id == LAB_CHANGE_STS;
		if (id != LAB_EXPECT_OUTCOME || statement_find(s->block, LAB_OUTCOME_FLAW) == NULL)
			continue;
		*last = new_row(sc, s, changes, arena);
		last = &(*last)->next;
	}
	return first;
}

/* --- after a play ------------------------------------------------------------------------ */

static bool
belongs(const struct verdict_line *l, const struct gallery_row *r)
{
	const struct statement *s = r->statement->block;

	while (s != NULL && s != l->statement)
		s = s->next;
	return s != NULL || l->statement == r->statement;
}

/* "deferred" of "deferred at attempt 2: …" */
static struct slice
outcome_of(struct slice reply)
{
	size_t end = slice_find(reply, ' ');

	return slice_eq(reply, S("nobody tried")) ? reply : slice_head(reply, end);
}

/* What came, in the words in which it was expected. */
static void
add_what_came(struct buf *b, const struct gallery_row *r, const struct verdict_line *l,
    struct arena *arena)
{
	struct slice came = l->statement == r->statement ? outcome_of(l->came)
	    : l->holds ? statement_words(l->statement, arena) : l->came;

	buf_printf(b, "%s%.*s", b->n > 0 ? "; " : "", FMT(came));
}

static void
judge(struct gallery_row *r, const struct play *p, struct arena *arena)
{
	struct buf b = BUF(ROW_MOST);
	bool found = false;

	r->right = true;
	for (const struct verdict_line *l = p->first; l != NULL; l = l->next) {
		if (!belongs(l, r))
			continue;
		found = true;
		r->right &= l->holds;
		if (l->statement == r->statement)
			r->reply = l->came;
		add_what_came(&b, r, l, arena);
	}
	r->right &= found;
	r->got = arena_copy(arena, buf_slice(&b));
	buf_free(&b);
}

void
gallery_judge(struct gallery_row *first, const struct play *p, struct arena *arena)
{
	for (struct gallery_row *r = first; r != NULL; r = r->next)
		judge(r, p, arena);
}

/* --- somebody else's sender ---------------------------------------------------------------- */

static struct gallery_row *
row_of(struct gallery_row *r, struct slice domain)
{
	while (r != NULL && !slice_eqi(r->domain, domain))
		r = r->next;
	return r;
}

void
gallery_asked(struct gallery_row *first, struct slice name)
{
	struct gallery_row *r = row_of(first, name);

	if (r != NULL)
		r->asked = true;
}

void
gallery_took(struct gallery_row *first, struct slice address, bool encrypted, bool ascii)
{
	struct gallery_row *r = row_of(first, domain_of(address));

	if (r == NULL)
		return;
	r->company |= !slice_eqi(address, r->address);
	r->eight_bit |= !ascii;
	if (encrypted)
		r->encrypted++;
	else
		r->clear++;
}

/* One message in the clear is one too many where the row wants TLS (RFC 7672 2.2, RFC 8461 5). */
static bool
seen_right(const struct gallery_row *r)
{
	bool taken = r->encrypted + r->clear > 0;

	if (!slice_eq(r->outcome, S("delivered")))
		return !taken || (r->convertible && !r->eight_bit);
	if (r->alone && r->company)
		return false;
	return taken && (r->clear == 0 || r->tls.n == 0 || slice_eq(r->tls, S("none")));
}

static struct slice
what_is_seen(const struct gallery_row *r)
{
	enum { PLAIN, COMPANY, CONVERTED };
	static const char *const words[2][3] = {
		{ "delivered; tls encrypted", "delivered; tls encrypted; in company",
		    "delivered; tls encrypted; converted" },
		{ "delivered; tls none", "delivered; tls none; in company",
		    "delivered; tls none; converted" },
	};

	if (r->encrypted + r->clear == 0)
		return S("not delivered");
	return slice(words[r->clear > 0][r->alone && r->company ? COMPANY
	    : r->convertible && !r->eight_bit ? CONVERTED : PLAIN]);
}

static void
judge_seen(struct gallery_row *r)
{
	bool taken = r->encrypted + r->clear > 0;

	r->skipped = r->changes ? "only right after a change"
	    : taken || r->asked ? NULL : "nobody asked for it";
	r->right = r->skipped == NULL && seen_right(r);
	r->got = r->skipped != NULL ? slice(r->skipped) : what_is_seen(r);
}

void
gallery_judge_seen(struct gallery_row *first)
{
	for (struct gallery_row *r = first; r != NULL; r = r->next)
		judge_seen(r);
}
