/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "base/buf.h"
#include "base/text.h"
#include "mail/ticket.h"

enum {
	/* Letters of base64, and the other parts: no number in them is longer than 20 digits. */
	SEALED_MOST = (TICKET_RESULTS_MOST + 2 * TICKET_AUTHOR_MOST) / 3 * 4 + 200,
	VALUE_MOST = 2 * SEALED_MOST,           /* with all its white space */
	MESSAGE_ID_MOST = 256 << 10,            /* as long as a header may be */
	LINE_LETTERS = 70,
	SECOND = 1000,
	MINUTE = 60 * SECOND,
};

static const int64_t DAY = 24 * 60 * (int64_t)MINUTE;

const char *
ticket_result_name(enum ticket_result result)
{
	static const char *const names[] = { "valid", "none", "malformed", "forged", "expired" };

	return names[result];
}

bool
ticket_field(const struct field *f)
{
	return field_is(f, TICKET_FIELD);
}

/* --- what is signed ----------------------------------------------------------------- */

static void
add_without_space(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_space(s.p[i]))
			buf_byte(b, s.p[i]);
}

static void
add_value(struct buf *b, const char *name, struct slice value, size_t most)
{
	buf_printf(b, ";%s=", name);
	if (value.n <= most)
		base64_add(b, value);
}

/* "v=2;id=…;t=…;arc=…;from=…;proved=…;ar=…" */
static void
add_sealed(struct buf *b, const struct ticket *t)
{
	char id[ID_TEXT + 1];

	id_text(t->id, id);
	buf_printf(b, "v=2;id=%s;t=%lld;arc=%.*s", id, (long long)(t->arrived / SECOND), FMT(t->arc));
	add_value(b, "from", t->from, TICKET_AUTHOR_MOST);
	add_value(b, "proved", t->proved, TICKET_AUTHOR_MOST);
	add_value(b, "ar", t->results, TICKET_RESULTS_MOST);
}

/* False when the message has no Message-ID.  Of several the first is as good as any: all are a stranger's. */
static bool
make_mac(struct slice key, struct slice sealed, const struct header *h,
    unsigned char mac[HMAC_BYTES])
{
	const struct field *id = header_find(h, "message-id");
	struct buf text = BUF(SEALED_MOST + MESSAGE_ID_MOST + 1);
	bool good = id != NULL;

	if (good) {
		buf_add(&text, sealed);
		buf_byte(&text, '\n');
		add_without_space(&text, id->value);
		good = !text.full;
	}
	if (good)
		hmac_sha256(key, buf_slice(&text), mac);
	buf_free(&text);
	return good;
}

/* --- writing ------------------------------------------------------------------------- */

static bool
is_arc_word(struct slice s)
{
	return slice_eq(s, S("none")) || slice_eq(s, S("pass")) || slice_eq(s, S("fail"));
}

/* Lines end behind the parts, and where the letters are many. */
static void
add_folded(struct buf *b, struct slice sealed, struct slice mac)
{
	struct slice part;

	buf_add(b, S(TICKET_FIELD ":"));
	while (slice_cut(&sealed, ';', &part)) {
		buf_add(b, S("\r\n "));
		for (; part.n > LINE_LETTERS; part = slice_skip(part, LINE_LETTERS)) {
			buf_add(b, slice_head(part, LINE_LETTERS));
			buf_add(b, S("\r\n "));
		}
		buf_add(b, part);
		buf_byte(b, ';');
	}
	buf_add(b, S("\r\n h="));
	hex_add(b, mac);
	buf_add(b, S("\r\n"));
}

bool
ticket_add(struct buf *b, const struct ticket *t, const struct header *h, struct secrets keys)
{
	struct buf sealed = BUF(SEALED_MOST);
	unsigned char mac[HMAC_BYTES];
	size_t before = b->n;
	bool good;

	bug_if(!is_arc_word(t->arc) || keys.count == 0 || t->arrived < 0);
	add_sealed(&sealed, t);
	good = make_mac(keys.each[0], buf_slice(&sealed), h, mac);
	if (good) {
		add_folded(b, buf_slice(&sealed), slice_of(mac, sizeof mac));
		good = !b->full;
	}
	if (!good)
		b->n = before;
	buf_free(&sealed);
	return good;
}

/* --- reading -------------------------------------------------------------------------- */

static bool
take_part(struct slice *s, const char *name, struct slice *value)
{
	if (!slice_cut(s, ';', value) || !slice_starts(*value, slice(name)))
		return false;
	*value = slice_skip(*value, strlen(name));
	return true;
}

static bool
take_value(struct slice *s, const char *name, size_t most, struct arena *arena, struct slice *value)
{
	struct buf bytes = BUF(most);
	struct slice text;
	bool good = take_part(s, name, &text) && base64_decode(&bytes, text);

	*value = good ? arena_copy(arena, buf_slice(&bytes)) : NONE;
	buf_free(&bytes);
	return good && value->p != NULL;
}

/* The parts in the order in which we write them; `text` is without white space. */
static bool
parse(struct slice text, struct arena *arena, struct slice *sealed, struct slice *mac,
    struct ticket *t)
{
	struct slice left = text, version, id, seconds;
	uint64_t number = 0;
	bool good;

	good = take_part(&left, "v=", &version) && take_part(&left, "id=", &id) &&
	    take_part(&left, "t=", &seconds) && take_part(&left, "arc=", &t->arc) &&
	    take_value(&left, "from=", TICKET_AUTHOR_MOST, arena, &t->from) &&
	    take_value(&left, "proved=", TICKET_AUTHOR_MOST, arena, &t->proved) &&
	    take_value(&left, "ar=", TICKET_RESULTS_MOST, arena, &t->results);
	*sealed = slice_head(text, text.n - left.n - (good ? 1 : 0));
	good = good && take_part(&left, "h=", mac) && left.n == 0 && slice_eq(version, S("2")) &&
	    id_parse(id, &t->id) && slice_number(seconds, INT64_MAX / SECOND, &number) &&
	    is_arc_word(t->arc);
	t->arrived = (int64_t)number * SECOND;
	return good;
}

static bool
mac_holds(struct slice shown, struct slice sealed, const struct header *h, struct secrets keys)
{
	unsigned char mac[HMAC_BYTES];
	struct buf want = BUF(2 * HMAC_BYTES);
	bool holds = false;

	for (size_t i = 0; i < keys.count && make_mac(keys.each[i], sealed, h, mac); i++) {
		buf_clear(&want);
		hex_add(&want, slice_of(mac, sizeof mac));
		holds |= equal_secretly(buf_slice(&want), shown);
	}
	buf_free(&want);
	return holds;
}

static size_t
count_tickets(const struct header *h, const struct field **last)
{
	size_t n = 0;

	for (size_t i = 0; i < h->count; i++)
		if (ticket_field(&h->fields[i])) {
			*last = &h->fields[i];
			n++;
		}
	return n;
}

/* The value without its white space; NONE when it is longer than any of ours. */
static struct slice
bare_value(const struct field *f, struct arena *arena)
{
	struct buf b = BUF(SEALED_MOST);
	struct slice value = NONE;

	if (f->value.n <= VALUE_MOST) {
		add_without_space(&b, f->value);
		if (!b.full)
			value = arena_copy(arena, buf_slice(&b));
	}
	buf_free(&b);
	return value;
}

enum ticket_result
ticket_read(const struct header *h, struct secrets keys, int64_t now, struct arena *arena,
    struct ticket *ticket)
{
	const struct field *f = NULL;
	struct slice text, sealed, mac;
	struct ticket t;

	switch (count_tickets(h, &f)) {
	case 0:
		return TICKET_NONE;
	case 1:
		break;
	default:
		return TICKET_MALFORMED;
	}
	text = bare_value(f, arena);
	if (text.p == NULL || header_find(h, "message-id") == NULL ||
	    !parse(text, arena, &sealed, &mac, &t))
		return TICKET_MALFORMED;
	if (!mac_holds(mac, sealed, h, keys))
		return TICKET_FORGED;
	if (t.arrived > now + MINUTE || t.arrived < now - TICKET_DAYS * DAY)
		return TICKET_EXPIRED;
	*ticket = t;
	return TICKET_VALID;
}
