/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>

#include "auth/sign.h"
#include "base/text.h"

/*
 * RFC 6376 5.4.1 and what was learnt since.  ONCE_MORE: listed once more than it
 * is there, so that adding one breaks the signature.  IF_THERE: the same, but
 * only when there is one already.
 */
enum often { AS_IT_IS, IF_THERE, ONCE_MORE };

static const struct { const char *name; enum often often; } SIGNED[] = {
	{ "from", ONCE_MORE },
	{ "reply-to", ONCE_MORE },
	{ "to", ONCE_MORE },
	{ "cc", ONCE_MORE },
	{ "subject", ONCE_MORE },
	{ "date", ONCE_MORE },
	{ "message-id", ONCE_MORE },
	{ "sender", IF_THERE },                 /* lists add one */
	{ "in-reply-to", AS_IT_IS },
	{ "references", AS_IT_IS },
	{ "mime-version", ONCE_MORE },
	{ "content-type", ONCE_MORE },
	{ "content-transfer-encoding", ONCE_MORE },
	{ "content-disposition", AS_IT_IS },
	{ "content-id", AS_IT_IS },
	{ "content-description", AS_IT_IS },
	{ "content-language", AS_IT_IS },
	{ "resent-date", AS_IT_IS },
	{ "resent-from", AS_IT_IS },
	{ "resent-sender", AS_IT_IS },
	{ "resent-to", AS_IT_IS },
	{ "resent-cc", AS_IT_IS },
	{ "resent-message-id", AS_IT_IS },
	{ "list-id", AS_IT_IS },
	{ "list-help", AS_IT_IS },
	{ "list-subscribe", AS_IT_IS },
	{ "list-unsubscribe", IF_THERE },
	{ "list-unsubscribe-post", IF_THERE },
	{ "list-post", AS_IT_IS },
	{ "list-owner", AS_IT_IS },
	{ "list-archive", AS_IT_IS },
	{ "tls-report-domain", AS_IT_IS },      /* RFC 8460 5.3 */
	{ "tls-report-submitter", AS_IT_IS },
};

bool
sign_names(const struct header *header, struct buf *to)
{
	size_t start = to->n;

	for (size_t i = 0; i < sizeof SIGNED / sizeof *SIGNED; i++) {
		size_t times = header_count(header, SIGNED[i].name);

		times += SIGNED[i].often == ONCE_MORE || (SIGNED[i].often == IF_THERE && times > 0);
		while (times-- > 0)
			buf_printf(to, "%s%s", to->n > start ? ":" : "", SIGNED[i].name);
	}
	return !to->full;
}

/* ftext of RFC 5322 3.6.8; a ";" would end h=, and a colon cannot be in an item. */
static bool
field_name_ok(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~' || name.p[i] == ';')
			return false;
	return name.n > 0;
}

static bool
names_ok(struct slice names, struct error *why)
{
	struct slice item;
	size_t count = 0;
	bool from = false;

	for (; taglist_item(&names, &item); count++) {
		from |= slice_eqi(item, S("from"));
		if (!field_name_ok(item))
			return error_set(why, "item %zu of the fields to sign is no field name", count + 1);
	}
	if (count > SIGNED_NAMES_MOST)
		return error_set(why, "there are more than %d fields to sign", SIGNED_NAMES_MOST);
	return from || error_set(why, "From must be among the signed fields (RFC 6376 5.4)");
}

bool
sign_choose(const struct signer *signer, const struct header *header, struct buf *names, struct error *why)
{
	if (signer->names.n)
		buf_add(names, signer->names);
	else
		sign_names(header, names);
	if (names->full)
		return error_set(why, "there are too many fields to sign");
	return names_ok(buf_slice(names), why);
}

void
sign_time(struct tagwriter *w, int64_t now)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)(now / 1000));
	tagwriter_add(w, "t", slice(text));
}

void
sign_tags(struct tagwriter *w, const struct signer *signer, struct slice names,
    const unsigned char body_hash[SHA256_BYTES], int64_t now)
{
	struct buf hash = BUF(2 * SHA256_BYTES);

	base64_add(&hash, slice_of(body_hash, SHA256_BYTES));
	tagwriter_add(w, "a", slice(key_algorithm(signer->key->type)));
	tagwriter_add(w, "c", S("relaxed/relaxed"));
	tagwriter_add(w, "d", signer->domain);
	tagwriter_add(w, "s", signer->selector);
	sign_time(w, now);
	tagwriter_list(w, "h", names);
	tagwriter_add(w, "bh", buf_slice(&hash));
	tagwriter_open(w, "b");
	buf_free(&hash);
}

bool
sign_digest(const struct header *header, struct slice names, struct slice own,
    unsigned char digest[SHA256_BYTES], struct error *why)
{
	struct arena *arena = arena_new((HEADER_FIELDS + HEADER_OURS) * 4 * sizeof(void *));
	struct signed_text t = signed_text_begin(CANON_RELAXED, header->block.n + own.n);
	struct field_order order;
	bool ok = field_order_make(&order, header, arena);

	if (ok) {
		signed_text_add_names(&t, &order, names, NULL);
		signed_text_digest(&t, own, slice_skip(own, own.n), digest);
	}
	signed_text_free(&t);
	arena_free(arena);
	return ok || error_set(why, "the header has too many fields");
}

bool
sign_end(struct tagwriter *w, const struct signing_key *key, const unsigned char digest[SHA256_BYTES],
    struct error *why)
{
	struct buf signature = BUF(KEY_BITS_MOST / 8);
	bool ok = signing_key_sign(key, digest, &signature, why);

	if (ok)
		tagwriter_end(w, buf_slice(&signature));
	buf_free(&signature);
	return ok && (!w->to->full || error_set(why, "there is no room for the signature"));
}

static bool
write_field(const struct signer *signer, const struct header *header, struct slice names,
    const unsigned char body_hash[SHA256_BYTES], int64_t now, struct buf *to, struct error *why)
{
	size_t start = to->n;
	struct tagwriter w = tagwriter_begin(to, "DKIM-Signature");
	unsigned char digest[SHA256_BYTES];

	tagwriter_add(&w, "v", S("1"));
	sign_tags(&w, signer, names, body_hash, now);
	return sign_digest(header, names, slice_skip(buf_slice(to), start), digest, why) &&
	    sign_end(&w, signer->key, digest, why);
}

bool
dkim_sign(const struct signer *signer, const struct header *header,
    const unsigned char body_hash[SHA256_BYTES], int64_t now, struct buf *to, struct error *why)
{
	struct buf names = BUF(64 << 10);
	size_t start = to->n;
	bool ok;

	if (header_count(header, "From") != 1)
		return error_set(why, "the message has no From field, or more than one");
	ok = sign_choose(signer, header, &names, why) &&
	    write_field(signer, header, buf_slice(&names), body_hash, now, to, why);
	if (!ok)
		to->n = start;
	buf_free(&names);
	return ok;
}
