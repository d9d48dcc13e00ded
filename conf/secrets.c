/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "conf/secrets.h"

#define DAY_S ((int64_t)24 * 60 * 60)

/* --- a line ------------------------------------------------------------------- */

struct secret {
	int64_t       since;            /* seconds */
	unsigned char bytes[SECRET_BYTES];
};

static bool
read_line(struct slice line, struct secret *s)
{
	struct slice since, hex;
	struct buf bytes = BUF(2 * SECRET_BYTES);
	uint64_t number = 0;
	bool ok = slice_word(&line, &since) && slice_word(&line, &hex) && slice_trim(line).n == 0 &&
	    slice_number(since, INT64_MAX / 1000, &number) && hex_decode(&bytes, hex) &&
	    bytes.n == SECRET_BYTES;

	s->since = (int64_t)number;
	if (ok)
		memcpy(s->bytes, bytes.p, SECRET_BYTES);
	buf_free(&bytes);
	return ok;
}

static bool
next_secret(struct slice *text, struct secret *s)
{
	struct slice line;

	while (slice_cut(text, '\n', &line))
		if (read_line(line, s))
			return true;
	return false;
}

/* --- reading ---------------------------------------------------------------------- */

/* A key for one use: what is marked for another one proves nothing. */
static struct slice
key_for(const struct secret *s, const char *use, struct arena *arena)
{
	unsigned char mac[HMAC_BYTES];

	hmac_sha256(slice_of(s->bytes, SECRET_BYTES), slice(use), mac);
	return arena_copy(arena, slice_of(mac, sizeof mac));
}

void
secrets_parse(struct secret_set *set, struct slice text, struct arena *arena)
{
	struct secret s;
	size_t n = 0;

	*set = (struct secret_set){ .srs.count = 0 };
	while (n < SECRETS_MOST && next_secret(&text, &s)) {
		set->srs_keys[n] = key_for(&s, "srs", arena);
		set->ticket_keys[n] = key_for(&s, "ticket", arena);
		set->leave_keys[n] = key_for(&s, "unsubscribe", arena);
		if (set->srs_keys[n].p == NULL || set->ticket_keys[n].p == NULL ||
		    set->leave_keys[n].p == NULL)
			break;
		n++;
	}
	set->srs = (struct secrets){ set->srs_keys, n };
	set->tickets = (struct secrets){ set->ticket_keys, n };
	set->leaves = (struct secrets){ set->leave_keys, n };
}

void
secrets_read(struct secret_set *set, const struct reader *r, struct arena *arena)
{
	struct slice name, bytes = NONE;
	struct error why;

	if (r->read(r->arg, S(SECRETS_NAME), FILE_SECRETS, 0, &name, &bytes, &why) != READ_FILE)
		bytes = NONE;
	secrets_parse(set, bytes, arena);
}

/* --- renewing ------------------------------------------------------------------------ */

static void
add_line(struct buf *b, int64_t since, const unsigned char *bytes)
{
	buf_printf(b, "%lld ", (long long)since);
	hex_add(b, slice_of(bytes, SECRET_BYTES));
	buf_byte(b, '\n');
}

bool
secrets_renew(struct slice text, int64_t now, const unsigned char fresh[SECRET_BYTES], struct buf *b)
{
	struct slice left = text;
	struct secret s;
	size_t n = 1;

	now /= 1000;
	/* A clock that was set back is no reason to go on with an old secret for ever. */
	if (next_secret(&left, &s) && s.since <= now + DAY_S && now - s.since < SECRET_FRESH * DAY_S)
		return false;
	add_line(b, now, fresh);
	for (left = text; n < SECRETS_MOST && next_secret(&left, &s); n++)
		if (now - s.since < SECRET_KEPT * DAY_S)
			add_line(b, s.since, s.bytes);
	return true;
}

/* --- joining --------------------------------------------------------------------------- */

static bool
same_secret(const struct secret *a, const struct secret *b)
{
	return a->since == b->since && memcmp(a->bytes, b->bytes, SECRET_BYTES) == 0;
}

void
secrets_join(struct slice one, struct slice other, struct buf *b)
{
	struct secret s, t;
	bool left = next_secret(&one, &s), right = next_secret(&other, &t);

	for (size_t n = 0; n < SECRETS_MOST && (left || right); n++) {
		bool both = left && right && same_secret(&s, &t);
		bool first = left && (!right || s.since >= t.since);

		add_line(b, first ? s.since : t.since, first ? s.bytes : t.bytes);
		if (first)
			left = next_secret(&one, &s);
		if (!first || both)
			right = next_secret(&other, &t);
	}
}
