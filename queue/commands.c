/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "queue/commands.h"
#include "queue/leaving.h"
#include "queue/state.h"
#include "queue/vouching.h"

enum { TEXT_MEMORY = 32 << 20, PIECE = 256 << 10 };

static const char *const VERBS[QUEUE_VERBS] = {
	"list", "show", "retry", "hold", "release", "drop", "bounce", "stats", "verify", "rebuild",
	"backup", "dump", "load", "why", "left", "sealers", "forget",
};

const char *
queue_verb_word(enum queue_verb verb)
{
	return VERBS[verb];
}

bool
queue_verb_parse(struct slice word, enum queue_verb *verb)
{
	for (int i = 0; i < QUEUE_VERBS; i++)
		if (slice_eq(word, slice(VERBS[i]))) {
			*verb = (enum queue_verb)i;
			return true;
		}
	return false;
}

/* --- requests --------------------------------------------------------------------------- */

json_t *
queue_request_json(const struct queue_request *r)
{
	json_t *j = json_pack("{s:s, s:b, s:b, s:o, s:o}", "verb", VERBS[r->verb], "text", r->text,
	    "all", r->all, "from", row_text(r->from), "to", row_text(r->to));
	json_t *ids = json_array();
	char id[ID_TEXT + 1];

	for (size_t i = 0; i < r->id_count; i++) {
		id_text(r->ids[i], id);
		json_array_append_new(ids, json_string(id));
	}
	json_object_set_new(j, "ids", ids);
	return j;
}

static struct slice
text_of(const json_t *object, const char *key, struct arena *arena)
{
	const json_t *value = json_object_get(object, key);

	return arena_copy(arena, slice_of(json_string_value(value), json_string_length(value)));
}

static bool
read_ids(struct queue_request *r, const json_t *ids, struct arena *arena)
{
	r->id_count = json_array_size(ids);
	r->ids = arena_get(arena, (r->id_count + 1) * sizeof *r->ids);
	for (size_t i = 0; r->ids != NULL && i < r->id_count; i++) {
		const char *text = json_string_value(json_array_get(ids, i));

		if (text == NULL || !id_parse(slice(text), &r->ids[i]))
			return false;
	}
	return r->ids != NULL;
}

/* Nobody drops everything by saying nothing. */
static bool
says_which(const struct queue_request *r)
{
	return r->verb == QUEUE_LIST || r->verb > QUEUE_BOUNCE || r->all || r->id_count > 0 ||
	    r->from.n > 0 || r->to.n > 0;
}

bool
queue_request_read(struct queue_request *r, struct slice bytes, struct arena *arena)
{
	json_t *j = json_loadb(bytes.p, bytes.n, 0, NULL);
	const char *verb = json_string_value(json_object_get(j, "verb"));
	bool ok;

	*r = (struct queue_request){
		.text = json_is_true(json_object_get(j, "text")),
		.all = json_is_true(json_object_get(j, "all")),
		.from = text_of(j, "from", arena), .to = text_of(j, "to", arena),
	};
	ok = verb != NULL && queue_verb_parse(slice(verb), &r->verb) &&
	    read_ids(r, json_object_get(j, "ids"), arena) && says_which(r);
	json_decref(j);
	return ok;
}

/* --- selecting ---------------------------------------------------------------------------- */

/* "ann@x.test" or a domain, "x.test" or "@x.test"; "<>" is nobody. */
static bool
address_fits(struct slice address, struct slice wanted)
{
	if (wanted.n == 0 || slice_eqi(address, wanted))
		return true;
	if (slice_eq(wanted, S("<>")))
		return address.n == 0;
	if (*wanted.p == '@')
		wanted = slice_skip(wanted, 1);
	return address.n > wanted.n && address.p[address.n - wanted.n - 1] == '@' &&
	    slice_eqi(slice_skip(address, address.n - wanted.n), wanted);
}

static bool
fits_not(void *arg, uint32_t number, const struct recipient *r, const struct recipient_state *s)
{
	(void)number;
	(void)s;
	return !address_fits(r->address, ((const struct queue_request *)arg)->to);
}

static bool
fits(const struct queue_request *r, const struct found *f)
{
	struct queue_request copy = *r;

	return address_fits(f->summary.sender, r->from) &&
	    (r->to.n == 0 || !found_each_open(f, fits_not, &copy));
}

struct selecting {
	const struct queue_request *request;
	bool (*each)(void *arg, const struct found *);
	void  *arg;
	size_t left;                    /* to look at in this call */
	bool   stopped;
};

static bool
select_one(void *arg, const struct found *f)
{
	struct selecting *s = arg;

	s->stopped = (fits(s->request, f) && !s->each(s->arg, f)) || --s->left == 0;
	return !s->stopped;
}

static void
miss(struct queue_selection *selection, uint64_t id)
{
	const size_t most = sizeof selection->missing / sizeof *selection->missing;

	if (selection->missing_count < most)
		selection->missing[selection->missing_count] = id;
	selection->missing_count++;
}

bool
queue_selection_whole(const struct queue_selection *s, struct error *why)
{
	const size_t most = sizeof s->missing / sizeof *s->missing;
	size_t named = s->missing_count < most ? s->missing_count : most;
	struct buf ids = BUF(sizeof why->text);
	char text[ID_TEXT + 1];

	if (s->why.text[0] != '\0')
		return error_set(why, "%s", s->why.text);
	if (named == 0)
		return true;
	for (size_t i = 0; i < named; i++) {
		id_text(s->missing[i], text);
		buf_printf(&ids, "%s%s", i > 0 ? ", " : "", text);
	}
	if (s->missing_count > named)
		buf_printf(&ids, " and %zu others", s->missing_count - named);
	error_set(why, "there is no message %.*s in the queue", FMT(buf_slice(&ids)));
	buf_free(&ids);
	return false;
}

static void
select_by_ids(struct spool *spool, struct queue_selection *selection, struct selecting *s)
{
	const struct queue_request *r = s->request;

	while (selection->ids < r->id_count && !s->stopped) {
		uint64_t id = r->ids[selection->ids++];
		struct error flaw;

		if (!spool_living(spool, id))
			miss(selection, id);
		else if (!queue_look_at(spool, r->verb, id, select_one, s, &flaw))
			selection->why = flaw;
	}
}

bool
queue_look_at(struct spool *spool, enum queue_verb verb, uint64_t id,
    bool (*each)(void *, const struct found *), void *arg, struct error *why)
{
	const struct found unknown = { .summary.id = id };

	if (spool_look(spool, id, each, arg, why))
		return true;
	if (verb != QUEUE_DROP || !spool_living(spool, id))
		return false;
	each(arg, &unknown);
	return true;
}

bool
queue_select(struct spool *spool, const struct queue_request *r, struct queue_selection *selection,
    bool (*each)(void *, const struct found *), void *arg)
{
	struct selecting s = { r, each, arg, SIZE_MAX, false };

	if (selection->most > 0)
		s.left = selection->most;
	if (r->id_count == 0)
		return spool_walk(spool, &selection->walk, select_one, &s);
	select_by_ids(spool, selection, &s);
	return s.stopped;
}

void
queue_selection_end(struct queue_selection *selection)
{
	spool_walk_end(&selection->walk);
}

/* --- showing ---------------------------------------------------------------------------------- */

static bool
text_of_file(const struct stored *s, uint64_t n, void (*piece)(void *, struct slice), void *arg,
    struct error *why)
{
	struct checksum sum = envelope_checksum(&s->envelope);
	char *room = must_grow(NULL, PIECE);
	bool ok = true;

	for (uint64_t at = 0; ok && at < n; ) {
		size_t part = n - at < PIECE ? (size_t)(n - at) : PIECE;

		if ((ok = file_read_at(s->fd, room, part, (off_t)at, why))) {
			checksum_add(&sum, slice_of(room, part));
			piece(arg, slice_of(room, part));
		}
		at += part;
	}
	free(room);
	return ok && (n < s->envelope.size || checksum_right(&sum) ||
	    error_set(why, "its content is damaged: it does not have the checksum it had"));
}

bool
queue_text(struct spool *spool, uint64_t id, bool all, void (*piece)(void *, struct slice), void *arg,
    struct error *why)
{
	struct buf bytes = BUF(RECORD_MOST);
	struct arena *arena = arena_new(TEXT_MEMORY);
	struct stored s = { .fd = -1 };
	bool ok = spool_read(spool, id, &bytes, arena, &s, why);
	uint64_t n = all ? s.envelope.size : s.envelope.header_size;

	if (ok && s.fd != -1) {
		ok = text_of_file(&s, n, piece, arg, why);
		close(s.fd);
	} else if (ok) {
		for (struct slice left = slice_head(s.content, (size_t)n); left.n > 0;
		    left = slice_skip(left, PIECE))
			piece(arg, slice_head(left, PIECE));
	}
	arena_free(arena);
	buf_free(&bytes);
	return ok;
}

/* --- the whole spool ------------------------------------------------------------------------ */

json_t *
queue_stats(struct spool *spool)
{
	struct spool_usage u;

	spool_usage(spool, &u);
	return json_pack("{sI, sI, sI, sI, sI, sI, sI, sI, sI, sI, sI, sI, sI, sI, sb, sb, sb}",
	    "messages", (json_int_t)u.messages, "large", (json_int_t)u.large,
	    "segments", (json_int_t)u.segments, "spares", (json_int_t)u.spares,
	    "segment_bytes", (json_int_t)u.segment_bytes, "spare_bytes", (json_int_t)u.spare_bytes,
	    "content_bytes", (json_int_t)u.content_bytes, "living_bytes", (json_int_t)u.living_bytes,
	    "records", (json_int_t)u.records, "flushes", (json_int_t)u.flushes,
	    "copied", (json_int_t)u.copied, "refused", (json_int_t)u.refused,
	    "slowest_flush_us", (json_int_t)u.slowest_flush, "damages", (json_int_t)u.damages,
	    "troubled", u.troubled, "catalogued", u.catalogued, "rebuilt", u.rebuilt);
}

bool
queue_verify(struct spool *spool, enum queue_verb verb, struct error *why)
{
	if (!spool_drain(spool))
		return error_set(why, "the disk refuses what waits to be written");
	if (verb == QUEUE_REBUILD)
		spool_rebuild(spool);
	return spool_verify(spool, why);
}

/* --- changing ----------------------------------------------------------------------------------- */

struct changing {
	const struct found *found;
	const struct known *known;
	enum queue_verb     verb;
	void              (*each)(void *arg, const struct recipient_state *);
	void               *arg;
};

static struct recipient_state
failed_by_command(struct recipient_state s)
{
	s.stage = RECIPIENT_FAILED;
	s.told &= ~(unsigned)NOTIFY_FAILURE;            /* a report is owed */
	s.host = NONE;
	s.last = STATUS(0, 5, 4, 7, "returned by the administrator before its time was over");
	return s;
}

/* Is it left alone, as far as the disk says, or whoever knows better? */
static bool
spares(const struct changing *c, uint32_t number, const struct recipient_state *s)
{
	if (c->known != NULL)
		return number >= c->known->count || c->known->tries[number] == 0;
	return c->verb == QUEUE_RETRY &&
	    (s != NULL ? s->stage == RECIPIENT_HELD : c->found->summary.hold);
}

static bool
change_recipient(void *arg, uint32_t number, const struct recipient *r,
    const struct recipient_state *s)
{
	const struct changing *c = arg;
	struct recipient_state new = s != NULL ? *s : (struct recipient_state){ .recipient = number };

	(void)r;
	if (spares(c, number, s))
		return true;
	if (c->known != NULL) {
		new.attempts = c->known->tries[number] - 1;
		new.told |= numbers_has(c->known->warned, number) ? NOTIFY_DELAY : 0;
	}
	new.stage = c->verb == QUEUE_HOLD ? RECIPIENT_HELD : RECIPIENT_WAITING;
	new.until = 0;
	if (c->verb == QUEUE_BOUNCE)
		new = failed_by_command(new);
	c->each(c->arg, &new);
	return true;
}

/* Also those whom the spool does not show any more: what said who they are has rotted. */
static void
change_known(struct changing *c)
{
	for (uint32_t i = 0; i < c->known->count; i++) {
		const struct recipient_state *s = state_find(c->found->states, c->found->count, i);

		if (s == NULL || s->stage == RECIPIENT_WAITING || s->stage == RECIPIENT_HELD)
			change_recipient(c, i, NULL, s);
	}
}

void
queue_change_each(enum queue_verb verb, const struct found *f, const struct known *known,
    void (*each)(void *, const struct recipient_state *), void *arg)
{
	struct changing c = { f, known, verb, each, arg };

	if (known == NULL)
		found_each_open(f, change_recipient, &c);
	else
		change_known(&c);
}

static void
note_change(void *arg, const struct recipient_state *s)
{
	(void)s;
	*(bool *)arg = true;
}

bool
queue_changes(enum queue_verb verb, const struct found *f, const struct known *known)
{
	bool changes = verb != QUEUE_RETRY;

	queue_change_each(verb, f, known, note_change, &changes);
	return changes;
}

struct keeping {
	struct spool *spool;
	uint64_t      id;
};

static void
keep_state(void *arg, const struct recipient_state *s)
{
	const struct keeping *k = arg;

	spool_state(k->spool, k->id, s, NULL, NULL);
}

void
queue_change(struct spool *spool, enum queue_verb verb, const struct found *f,
    const struct known *known)
{
	struct keeping k = { spool, f->summary.id };

	if (verb == QUEUE_DROP)
		spool_gone(spool, f->summary.id, NULL, NULL);
	else
		queue_change_each(verb, f, known, keep_state, &k);
}

/* --- what is kept beside mail ------------------------------------------------------------------- */

struct giving {
	bool  (*each)(void *arg, json_t *row);
	void   *arg;
	size_t *count;
};

static bool
give_row(struct giving *g, json_t *row)
{
	++*g->count;
	return g->each(g->arg, row);
}

static bool
give_state(void *arg, json_t *row)
{
	return give_row(arg, row);
}

static bool
give_left(void *arg, const struct left_row *row)
{
	return give_row(arg, json_pack("{s:o, s:o, s:I}", "list", row_text(row->list), "member",
	    row_text(row->member), "since", (json_int_t)(row->when / SECOND)));
}

static bool
give_voucher(void *arg, const struct voucher *v)
{
	return give_row(arg, json_pack("{s:o, s:I, s:I, s:I}", "sealer", row_text(v->sealer),
	    "untrusted", (json_int_t)v->count[VOUCHED_UNTRUSTED],
	    "believed", (json_int_t)v->count[VOUCHED_BELIEVED], "last", (json_int_t)(v->last / SECOND)));
}

static bool
load_rows(struct kv *kv, const json_t *rows, size_t *count_r, struct error *why)
{
	const json_t *row;
	size_t i;
	bool ok = true;

	json_array_foreach(rows, i, row)
		if (ok && (ok = state_load(kv, row, why)))
			++*count_r;
	return kv_commit(kv, KV_SYNC, ok ? why : NULL) && ok;
}

static bool
forget_left(struct kv *kv, const struct queue_request *r, size_t *count_r, struct error *why)
{
	enum kv_answer there = left_find(kv, r->from, r->to, why);

	*count_r = there == KV_FOUND;
	return there != KV_FAILED && left_forget(kv, r->from, r->to, why);
}

bool
queue_kept(struct kv *kv, const struct queue_request *r, const json_t *rows,
    bool (*each)(void *, json_t *), void *arg, size_t *count_r, struct error *why)
{
	struct giving g = { each, arg, count_r };

	*count_r = 0;
	switch (r->verb) {
	case QUEUE_DUMP:
		return state_dump(kv, give_state, &g, why);
	case QUEUE_LOAD:
		return load_rows(kv, rows, count_r, why);
	case QUEUE_LEFT:
		return left_each(kv, r->from, give_left, &g, why);
	case QUEUE_SEALERS:
		return vouching_each(kv, give_voucher, &g, why);
	default:
		return forget_left(kv, r, count_r, why);
	}
}
