/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/taglist.h"
#include "base/text.h"

enum { WIDTH = 78 };

static bool
name_ok(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!is_alnum(name.p[i]) && name.p[i] != '_')
			return false;
	return name.n > 0 && is_alpha(*name.p);
}

/* VALCHAR and folding white space; UTF-8 as RFC 8616 5 opens it. */
static bool
value_ok(struct slice value)
{
	for (size_t i = 0; i < value.n; i++)
		if (((unsigned char)value.p[i] < ' ' && !is_space(value.p[i])) || value.p[i] == 0x7f)
			return false;
	return true;
}

static bool
parse_tag(struct taglist *t, struct slice spec, struct error *why)
{
	size_t equals = slice_find(spec, '=');
	struct slice name = slice_trim(slice_head(spec, equals));
	struct tag *tag = &t->tags[t->count];

	if (equals == spec.n)
		return error_set(why, "tag %zu has no \"=\"", t->count + 1);
	if (!name_ok(name))
		return error_set(why, "tag %zu has no proper name", t->count + 1);
	for (size_t i = 0; i < t->count; i++)
		if (slice_eq(t->tags[i].name, name))
			return error_set(why, "tag %zu stands twice", t->count + 1);
	if (t->count == TAGS_MOST)
		return error_set(why, "there are more than %d tags", TAGS_MOST);
	*tag = (struct tag){ .name = name, .raw = slice_skip(spec, equals + 1) };
	tag->value = slice_trim(tag->raw);
	if (!value_ok(tag->value))
		return error_set(why, "tag %zu holds a control character", t->count + 1);
	t->count++;
	return true;
}

bool
taglist_parse(struct taglist *t, struct slice text, struct error *why)
{
	const char *end = text.n ? text.p + text.n : NULL;
	struct slice spec;

	t->count = 0;
	while (slice_cut(&text, ';', &spec)) {
		if (spec.p + spec.n == end && t->count > 0 && slice_trim(spec).n == 0)
			break;                  /* blanks behind the last semicolon */
		if (!parse_tag(t, spec, why))
			return false;
	}
	return t->count > 0 || error_set(why, "there are no tags");
}

const struct tag *
taglist_find(const struct taglist *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (slice_eq(t->tags[i].name, slice(name)))
			return &t->tags[i];
	return NULL;
}

bool
taglist_item(struct slice *list, struct slice *item)
{
	if (!slice_cut(list, ':', item))
		return false;
	*item = slice_trim(*item);
	return true;
}

bool
taglist_lists(struct slice list, struct slice word)
{
	struct slice item;

	while (taglist_item(&list, &item))
		if (slice_eq(item, word))
			return true;
	return false;
}

/* --- writing --------------------------------------------------------------- */

struct tagwriter
tagwriter_begin(struct buf *to, const char *field_name)
{
	buf_printf(to, "%s:", field_name);
	return (struct tagwriter){ .to = to, .column = strlen(field_name) + 1 };
}

static void
put(struct tagwriter *w, struct slice s)
{
	buf_add(w->to, s);
	w->column += s.n;
}

/* White space before something of that length: on this line or on the next. */
static void
space(struct tagwriter *w, size_t length)
{
	if (w->column + 1 + length <= WIDTH) {
		put(w, S(" "));
		return;
	}
	buf_add(w->to, S("\r\n "));
	w->column = 1;
}

static void
name(struct tagwriter *w, const char *text, size_t value_length)
{
	if (w->tagged)
		put(w, S(";"));
	space(w, strlen(text) + 1 + value_length + 1);
	put(w, slice(text));
	put(w, S("="));
	w->tagged = true;
}

void
tagwriter_add(struct tagwriter *w, const char *text, struct slice value)
{
	name(w, text, value.n);
	put(w, value);
}

void
tagwriter_list(struct tagwriter *w, const char *text, struct slice value)
{
	struct slice item;

	name(w, text, slice_find(value, ':') + 1);
	while (slice_cut(&value, ':', &item)) {
		if (w->column + item.n + 1 > WIDTH)
			space(w, WIDTH);
		put(w, item);
		if (value.n)
			put(w, S(":"));
	}
}

void
tagwriter_open(struct tagwriter *w, const char *text)
{
	name(w, text, 0);
}

void
tagwriter_end(struct tagwriter *w, struct slice bytes)
{
	struct buf text = BUF(2 * bytes.n + 4);
	struct slice left;

	base64_add(&text, bytes);
	left = buf_slice(&text);
	while (left.n) {
		size_t n = w->column < WIDTH ? WIDTH - w->column : 0;

		put(w, slice_head(left, n));
		left = slice_skip(left, n);
		if (left.n)
			space(w, WIDTH);
	}
	buf_add(w->to, S("\r\n"));
	buf_free(&text);
}
