/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "mail/unsubscribe.h"

/* --- base64url without padding (RFC 4648 5) ----------------------------------------- */

static void
add_url(struct buf *b, struct slice bytes)
{
	size_t at = b->n;

	base64_add(b, bytes);
	while (b->n > at && b->p[b->n - 1] == '=')
		b->n--;
	for (; at < b->n; at++)
		b->p[at] = b->p[at] == '+' ? '-' : b->p[at] == '/' ? '_' : b->p[at];
}

static bool
decode_url(struct buf *bytes, struct slice text)
{
	struct buf b = BUF(UNSUBSCRIBE_MOST + 4);
	bool ok = slice_find(text, '+') == text.n && slice_find(text, '/') == text.n &&
	    slice_find(text, '=') == text.n;

	for (size_t i = 0; i < text.n; i++)
		buf_byte(&b, text.p[i] == '-' ? '+' : text.p[i] == '_' ? '/' : text.p[i]);
	while (b.n % 4 != 0 && !b.full)
		buf_byte(&b, '=');
	ok = ok && !b.full && base64_decode(bytes, buf_slice(&b));
	buf_free(&b);
	return ok;
}

/* --- the word ------------------------------------------------------------------------ */

bool
unsubscribe_add(struct buf *b, struct slice list, struct slice member, struct secrets keys)
{
	struct buf who = BUF(UNSUBSCRIBE_MOST);
	unsigned char mac[HMAC_BYTES];
	size_t before = b->n;
	bool ok;

	buf_add(&who, list), buf_byte(&who, '\n'), buf_add(&who, member);
	for (size_t i = 0; i < who.n; i++)
		who.p[i] = to_lower(who.p[i]);
	ok = keys.count > 0 && !who.full;
	if (ok) {
		hmac_sha256(keys.each[0], buf_slice(&who), mac);
		add_url(b, buf_slice(&who));
		buf_byte(b, '.');
		add_url(b, slice_of(mac, sizeof mac));
		ok = !b->full && b->n - before <= UNSUBSCRIBE_MOST;
	}
	if (!ok)
		b->n = before;
	buf_free(&who);
	return ok;
}

static bool
mac_holds(struct slice who, struct slice shown, struct secrets keys)
{
	unsigned char mac[HMAC_BYTES];
	bool holds = false;

	for (size_t i = 0; i < keys.count; i++) {
		hmac_sha256(keys.each[i], who, mac);
		holds |= equal_secretly(slice_of(mac, sizeof mac), shown);
	}
	return holds;
}

bool
unsubscribe_read(struct slice word, struct secrets keys, struct arena *arena, struct slice *list,
    struct slice *member)
{
	struct buf who = BUF(UNSUBSCRIBE_MOST), mac = BUF(HMAC_BYTES);
	size_t dot = slice_find(word, '.');
	bool ok = word.n <= UNSUBSCRIBE_MOST && dot < word.n && decode_url(&who, slice_head(word, dot)) &&
	    decode_url(&mac, slice_skip(word, dot + 1)) &&
	    mac_holds(buf_slice(&who), buf_slice(&mac), keys);

	if (ok) {
		*member = arena_copy(arena, buf_slice(&who));
		ok = member->p != NULL && slice_cut(member, '\n', list) && list->n > 0 && member->n > 0;
	}
	buf_free(&who), buf_free(&mac);
	return ok;
}
