/* SPDX-License-Identifier: ISC */
#include <inttypes.h>

#include "base/pack.h"
#include "mail/domain.h"
#include "queue/inside.h"
#include "queue/vouching.h"

enum { VALUE_MOST = 100, SWEEP = 200 };

/* --- a row: "untrusted believed last" ------------------------------------------------- */

static bool
read_value(struct slice value, struct voucher *v)
{
	uint64_t last = 0;
	struct slice word;

	for (int i = 0; i < VOUCHED_WORDS; i++)
		if (!slice_word(&value, &word) || !slice_number(word, INT64_MAX, &v->count[i]))
			return false;
	if (!slice_word(&value, &word) || !slice_number(word, INT64_MAX, &last))
		return false;
	v->last = (int64_t)last;
	return true;
}

static struct kv_table *
rows_of(struct kv *kv)
{
	return kv_table(kv, "sealers");
}

struct going_over {
	bool (*each)(void *arg, const struct voucher *);
	void  *arg;
};

static bool
read_row(void *arg, const struct kv_entry *e)
{
	const struct going_over *g = arg;
	struct voucher v = { .sealer = e->key };

	return !read_value(e->value, &v) || g->each(g->arg, &v);
}

bool
vouching_each(struct kv *kv, bool (*each)(void *, const struct voucher *), void *arg, struct error *why)
{
	struct going_over g = { each, arg };

	return kv_range(rows_of(kv), NONE, NONE, read_row, &g, why);
}

/* --- room for a new one -------------------------------------------------------------------- */

struct choosing {
	size_t     n;
	uint64_t   least;
	int64_t    last;
	struct buf sealer;
};

/* The fewest counts; among these the one that is silent for longest. */
static bool
choose(void *arg, const struct voucher *v)
{
	struct choosing *c = arg;
	uint64_t sum = v->count[VOUCHED_UNTRUSTED] + v->count[VOUCHED_BELIEVED];

	if (c->n++ == 0 || sum < c->least || (sum == c->least && v->last < c->last)) {
		c->least = sum;
		c->last = v->last;
		buf_clear(&c->sealer);
		buf_add(&c->sealer, v->sealer);
	}
	return true;
}

static bool
make_room(struct kv *kv, struct error *why)
{
	struct choosing c = { .sealer = BUF(KV_KEY) };
	size_t removed;
	bool ok = kv_sweep(rows_of(kv), SWEEP, &removed, why) && vouching_each(kv, choose, &c, why);

	if (ok && c.n >= VOUCHING_MOST)
		ok = kv_delete(rows_of(kv), buf_slice(&c.sealer), why);
	buf_free(&c.sealer);
	return ok;
}

/* --- counting --------------------------------------------------------------------------------- */

bool
vouching_count(struct kv *kv, enum vouched what, struct slice sealer, int64_t now, struct error *why)
{
	struct buf value = BUF(VALUE_MOST);
	struct voucher v = { .last = now };
	enum kv_answer before = kv_get(rows_of(kv), sealer, &value, why);
	bool ok = before != KV_FAILED && (before == KV_FOUND || make_room(kv, why));

	if (before == KV_FOUND && !read_value(buf_slice(&value), &v))
		v = (struct voucher){ .last = now };
	v.count[what]++;
	buf_clear(&value);
	buf_printf(&value, "%" PRIu64 " %" PRIu64 " %" PRId64, v.count[VOUCHED_UNTRUSTED],
	    v.count[VOUCHED_BELIEVED], now);
	ok = ok && kv_put_until(rows_of(kv), sealer, buf_slice(&value), now + VOUCHING_KEPT, why);
	buf_free(&value);
	return ok;
}

void
vouching_take(struct queue *q, struct slice payload)
{
	struct unpack u = { .left = payload };
	unsigned what = unpack_u8(&u);
	struct slice sealer = unpack_slice(&u);
	struct error why;

	if (!unpack_done(&u) || what >= VOUCHED_WORDS || !domain_valid(sealer) || q->kv == NULL)
		return;
	if (vouching_count(q->kv, (enum vouched)what, sealer, clock_now(q->loop->clock), &why))
		caches_changed(q);
	else
		queue_alarm(q, "caches", why.text);
}
