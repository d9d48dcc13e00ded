/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/buf.h"
#include "base/text.h"
#include "mail/cfws.h"
#include "mail/listheader.h"
#include "mail/words.h"

enum { FIELD_MOST = 8192, LINE_MOST = 78, ONE_CLICK_MOST = 200 };

/* --- what is configured ------------------------------------------------------------ */

static bool
stands_in_uri(char c)
{
	return is_alnum(c) || (c != '\0' && strchr("-._~!$'*+", c) != NULL);
}

static void
add_escaped(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (stands_in_uri(s.p[i]))
			buf_byte(b, s.p[i]);
		else
			buf_printf(b, "%%%02X", (unsigned char)s.p[i]);
}

void
mailto_add(struct buf *b, const struct address *a)
{
	buf_add(b, S("mailto:"));
	add_escaped(b, slice_head(a->text, a->text.n - a->domain.n - (a->domain.n > 0)));
	if (a->domain.n > 0)
		buf_byte(b, '@');
	add_escaped(b, a->domain);
}

/* A scheme, and nothing that would end the angle brackets around it. */
static bool
uri_good(struct slice uri)
{
	size_t colon = slice_find(uri, ':');

	for (size_t i = 0; i < uri.n; i++)
		if (uri.p[i] <= ' ' || uri.p[i] > '~' || strchr("<>\",\\", uri.p[i]) != NULL)
			return false;
	return uri.n <= LIST_URI_MOST && (uri.n == 0 || (colon > 0 && colon + 1 < uri.n));
}

/* RFC 2919 3: list-label "." list-id-namespace */
static bool
id_good(struct slice id)
{
	return id.n <= LIST_ID_MOST && is_dot_atom(id) && ascii_only(id) && slice_find(id, '.') < id.n;
}

static bool
name_good(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f)
			return false;
	return name.n <= LIST_NAME_MOST && utf8_valid(name);
}

struct slice
one_click_path(struct slice uri)
{
	struct slice rest = slice_skip(uri, strlen("https://"));
	size_t host = slice_find(rest, '/');

	if (!slice_startsi(uri, S("https://")) || host == 0 || slice_find(uri, '?') < uri.n ||
	    slice_find(uri, '#') < uri.n)
		return NONE;
	rest = slice_skip(rest, host);
	return slice_head(rest, rest.n - (rest.n > 0 && rest.p[rest.n - 1] == '/'));
}

bool
list_check(const struct list_identity *l, struct error *why)
{
	const struct slice *const uris[] = {
		&l->help, &l->subscribe, &l->unsubscribe, &l->owner, &l->archive, &l->one_click,
	};

	if (!id_good(l->id))
		return error_set(why, "the list identifier is no name with a dot in it");
	if (!name_good(l->name))
		return error_set(why, "the name of the list is too long, or not printable UTF-8");
	for (size_t i = 0; i < sizeof uris / sizeof *uris; i++)
		if (!uri_good(*uris[i]))
			return error_set(why, "a URI of the list is none");
	if (l->one_click.n > 0 && (one_click_path(l->one_click).n == 0 || l->one_click.n > ONE_CLICK_MOST))
		return error_set(why, "one-click unsubscription needs an https URI "
		    "with a path, and no query");
	return true;
}

/* --- loops ---------------------------------------------------------------------------- */

/* RFC 2919 3: the last "<…>" of the value; tolerated without its brackets. */
static struct slice
id_in(struct slice value)
{
	struct slice id = slice_trim(value), rest = value;
	size_t open;

	while ((open = slice_find(rest, '<')) < rest.n) {
		rest = slice_skip(rest, open + 1);
		id = slice_trim(slice_head(rest, slice_find(rest, '>')));
	}
	return id;
}

bool
listheader_loops(const struct header *h, const struct list_identity *l)
{
	for (size_t i = 0; i < h->count; i++) {
		const struct field *f = &h->fields[i];

		if ((field_is(f, "list-id") && slice_eqi(id_in(f->value), l->id)) ||
		    (field_is(f, "x-beenthere") && slice_eqi(slice_trim(f->value), l->address.text)))
			return true;
	}
	return false;
}

bool
listheader_answers(const struct header *h)
{
	const struct field *f = header_find(h, "auto-submitted");
	struct slice word = f != NULL ? f->value : NONE;
	size_t n = 0;

	if (!cfws_skip(&word))
		return false;
	while (n < word.n && is_token_char(word.p[n]))
		n++;
	return slice_eqi(slice_head(word, n), S("auto-replied"));
}

/* --- the fields of a list ---------------------------------------------------------------- */

static bool
is_the_lists(const struct field *f)
{
	return slice_startsi(f->name, S("list-")) || field_is(f, "precedence") ||
	    field_is(f, "return-path") || field_is(f, "x-original-from");
}

static bool
is_sender(const struct field *f)
{
	return field_is(f, "sender");
}

/* A blank, or a fold where the line would be long with what follows. */
static void
add_blank(struct buf *b, size_t follows)
{
	size_t line = b->n;

	while (line > 0 && b->p[line - 1] != '\n')
		line--;
	buf_add(b, b->n - line + 1 + follows > LINE_MOST ? S("\r\n ") : S(" "));
}

static void
add_id(struct edit *e, const struct list_identity *l)
{
	struct buf b = BUF(FIELD_MOST);

	buf_add(&b, S("List-Id: "));
	if (l->name.n > 0) {
		phrase_add(&b, l->name);
		add_blank(&b, l->id.n + 2);
	}
	buf_printf(&b, "<%.*s>\r\n", FMT(l->id));
	edit_add_buf(e, &b);
}

/* Without a URI there is no field. */
static void
add_uri(struct edit *e, const char *name, struct slice uri)
{
	struct buf b = BUF(FIELD_MOST);

	if (uri.n == 0)
		return;
	buf_printf(&b, "%s: <%.*s>\r\n", name, FMT(uri));
	edit_add_buf(e, &b);
}

static void
add_post(struct edit *e, const struct list_identity *l)
{
	struct buf uri = BUF(FIELD_MOST);

	mailto_add(&uri, &l->address);
	if (l->no_posts)
		edit_add(e, S("List-Post: NO\r\n"));            /* RFC 2369 3.4 */
	else
		add_uri(e, "List-Post", buf_slice(&uri));
	buf_free(&uri);
}

static void
add_been_there(struct edit *e, const struct list_identity *l)
{
	struct buf b = BUF(FIELD_MOST);

	buf_printf(&b, "X-BeenThere: %.*s\r\n", FMT(l->address.text));
	edit_add_buf(e, &b);
}

static void
set_sender(struct edit *e, const struct address *sender)
{
	struct buf b = BUF(FIELD_MOST);

	edit_remove(e, is_sender);
	buf_printf(&b, "Sender: <%.*s>\r\n", FMT(sender->text));
	edit_add_buf(e, &b);
}

void
listheader_write(struct edit *e, const struct list_identity *l)
{
	edit_remove(e, is_the_lists);
	add_id(e, l);
	add_post(e, l);
	add_uri(e, "List-Help", l->help);
	add_uri(e, "List-Subscribe", l->subscribe);
	add_uri(e, "List-Unsubscribe", l->unsubscribe);
	add_uri(e, "List-Owner", l->owner);
	add_uri(e, "List-Archive", l->archive);
	edit_add(e, S("Precedence: list\r\n"));                 /* RFC 3834 2: nobody answers */
	add_been_there(e, l);
	if (l->sender.text.n > 0)
		set_sender(e, &l->sender);
}

static bool
is_unsubscription(const struct field *f)
{
	return field_is(f, "list-unsubscribe") || field_is(f, "list-unsubscribe-post");
}

void
listheader_one_click(struct edit *e, struct slice uri)
{
	const struct field *f = header_find(&e->header, "list-unsubscribe");
	struct slice others = f != NULL ? slice_trim(f->value) : NONE;
	struct buf b = BUF(FIELD_MOST);

	buf_printf(&b, "List-Unsubscribe: <%.*s>", FMT(uri));
	if (others.n > 0)
		buf_printf(&b, ",\r\n %.*s", FMT(others));
	buf_add(&b, S("\r\n"));
	edit_remove(e, is_unsubscription);
	edit_add_buf(e, &b);
	edit_add(e, S("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
}

/* --- in the list's name ---------------------------------------------------------------- */

enum { NAME_MOST = 200 };               /* octets of the author's name */

/* A display name in the making: what is written, and text that waits for what follows it. */
struct name {
	struct buf out, text;
	bool       behind_word;         /* out ends with an encoded word */
};

static void
separate(struct name *n)
{
	if (n->out.n > 0)
		buf_add(&n->out, S("\r\n "));
}

/* The blank between two encoded words is none (RFC 2047 6.2): it must stand in one of them. */
static void
write_text(struct name *n, bool before_word)
{
	struct buf padded = BUF(FIELD_MOST);
	bool encoded = !ascii_only(buf_slice(&n->text));

	if (n->text.n > 0) {
		if (encoded && n->behind_word)
			buf_byte(&padded, ' ');
		buf_add(&padded, buf_slice(&n->text));
		if (encoded && before_word)
			buf_byte(&padded, ' ');
		separate(n);
		phrase_add(&n->out, buf_slice(&padded));
		n->behind_word = encoded;
	}
	buf_clear(&n->text);
	buf_free(&padded);
}

static void
add_text(struct name *n, struct slice text)
{
	if (n->text.n > 0 && text.n > 0)
		buf_byte(&n->text, ' ');
	buf_add(&n->text, text);
}

static void
add_encoded_word(struct name *n, struct slice word)
{
	write_text(n, true);
	separate(n);
	buf_add(&n->out, word);
	n->behind_word = true;
}

/* A word that is neither in quotes nor a comment, in bytes. */
static size_t
bare_length(struct slice s)
{
	size_t n = 0;

	while (n < s.n && !is_space(s.p[n]) && s.p[n] != '"' && s.p[n] != '(')
		n++;
	return n;
}

/* At most so many octets, and no character cut. */
static struct slice
shortened(struct slice s, size_t most)
{
	if (s.n <= most)
		return s;
	while (most > 0 && ((unsigned char)s.p[most] & 0xc0) == 0x80)
		most--;
	return slice_head(s, most);
}

/* As it may stand in a phrase (RFC 2047 5, rule 3): it is an atom, and not too long. */
static bool
is_encoded_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_atext(s.p[i]))
			return false;
	return s.n > 0 && s.n <= WORD_MOST && encoded_word_length(s) == s.n;
}

/* phrase: quoted strings, encoded words, and everything else, as far as there is room. */
static void
add_phrase(struct name *n, struct slice left, struct arena *arena)
{
	while (cfws_skip(&left) && left.n > 0 && n->out.n + n->text.n < NAME_MOST) {
		size_t quoted = quoted_length(left, true), bare = bare_length(left);
		struct slice word = slice_head(left, quoted > 0 ? quoted : bare > 0 ? bare : 1);

		left = slice_skip(left, word.n);
		if (quoted > 0)
			word = slice_trim(quoted_text(word, arena));
		if (quoted == 0 && is_encoded_word(word))
			add_encoded_word(n, word);
		else
			add_text(n, shortened(word, NAME_MOST));
	}
}

static void
add_author(struct name *n, const struct mailbox *author, struct arena *arena)
{
	add_phrase(n, author->name, arena);
	if (n->out.n + n->text.n == 0)
		add_text(n, shortened(author->address.local, NAME_MOST));
	add_text(n, S("via"));
}

/* "Ann via Members" <members@list.test>; of nobody: "Members" <members@list.test> */
static void
write_from(struct buf *b, const struct list_identity *l, const struct mailbox *author,
    struct arena *arena)
{
	struct name n = { BUF(FIELD_MOST), BUF(FIELD_MOST), false };

	if (author != NULL)
		add_author(&n, author, arena);
	add_text(&n, l->name.n > 0 ? l->name : shortened(l->address.local, LIST_NAME_MOST));
	write_text(&n, false);
	buf_printf(b, "From: %.*s", FMT(buf_slice(&n.out)));
	add_blank(b, l->address.text.n + 2);
	buf_printf(b, "<%.*s>\r\n", FMT(l->address.text));
	buf_free(&n.out);
	buf_free(&n.text);
}

static void
add_value(struct edit *e, const char *name, struct slice value)
{
	struct buf b = BUF(value.n + 100);

	buf_printf(&b, "%s: ", name);
	buf_add(&b, value);
	buf_add(&b, S("\r\n"));
	edit_add_buf(e, &b);
}

static bool
is_empty_reply_to(const struct field *f)
{
	return field_is(f, "reply-to") && slice_trim(f->value).n == 0;
}

static void
keep_author(struct edit *e, struct slice value)
{
	edit_remove(e, is_empty_reply_to);
	if (header_find(&e->header, "reply-to") == NULL)
		add_value(e, "Reply-To", value);
	add_value(e, "X-Original-From", value);
	if (header_find(&e->header, "author") == NULL)
		add_value(e, "Author", value);
}

static bool
is_from(const struct field *f)
{
	return field_is(f, "from");
}

static void
replace_author(struct edit *e, const struct list_identity *l, const struct field *from,
    const struct mailbox *author)
{
	struct slice value = slice_trim(from->value);
	struct buf b = BUF(FIELD_MOST);

	write_from(&b, l, author, e->arena);
	edit_replace_buf(e, from, &b);
	keep_author(e, value);
}

static void
replace_nobody(struct edit *e, const struct list_identity *l, const struct field *from)
{
	struct buf b = BUF(FIELD_MOST);

	if (from != NULL)
		add_value(e, "X-Original-From", slice_trim(from->value));
	edit_remove(e, is_from);
	write_from(&b, l, NULL, e->arena);
	edit_add_buf(e, &b);
}

void
listheader_from(struct edit *e, const struct list_identity *l)
{
	const struct field *from = header_find(&e->header, "from");
	struct mailbox author;
	size_t count;

	if (header_count(&e->header, "from") == 1 &&
	    mailboxes_parse(slice_trim(from->value), e->arena, &author, 1, &count) && count > 0)
		replace_author(e, l, from, &author);
	else
		replace_nobody(e, l, from);
	/* RFC 5322 3.6.2: none when it would say the same as From. */
	edit_remove(e, is_sender);
	if (l->sender.text.n > 0 && !address_eq(&l->sender, &l->address))
		set_sender(e, &l->sender);
}
