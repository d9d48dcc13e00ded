/* SPDX-License-Identifier: ISC */
/*
 * outgoing -- what a message looks like when it leaves.
 *
 *     ARC set        sealed from the verdict of its arrival (RFC 8617 5.1)
 *     DKIM-Signature of our domain, when it is ours (RFC 6376)
 *     trace          Received, Authentication-Results, …, written at arrival
 *     header         as it came, without what was left out at arrival
 *
 * In this order of making: trace, then DKIM, then the seal over all of it.  The
 * body is not looked at; its hash was made when it came in, unless there was no key
 * then.  Signatures are made in a job, since an RSA signature takes half a millisecond.
 *
 * Large content is checked by the deliverer, who reads the body anyway: he goes on with
 * the checksum of the header, made of the very bytes that the header here is made of.
 * Once it was found damaged, nobody is troubled with it again before it has been read
 * whole here.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "arc/seal.h"
#include "arc/verdict.h"
#include "auth/canon.h"
#include "auth/from.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "conf/events.h"
#include "mail/domain.h"
#include "mail/listheader.h"
#include "queue/inside.h"

enum { HEAD_MOST = 1 << 20, SIGNERS_MOST = 4, MEMORY = 8 << 20, PIECE = 256 << 10 };

struct outgoing {
	struct queue   *queue;
	uint64_t        id;
	struct arena   *arena;
	struct buf      base;           /* trace and header */
	struct buf      fields;         /* what was made: seal above signature */
	struct buf      head;
	bool            kept;           /* the fields were made before */
	bool            post;           /* of a list: many get the same */
	bool            own;            /* nobody gets the same: it is not kept */
	unsigned char   body_hash[BODY_HASH];
	struct envelope check;          /* what is needed to check the content, … */
	int             check_fd;       /* … if it is to be done here; else -1 */
	struct checksum sum;            /* of the content, up to the end of the header */
	bool            flawed;         /* it cannot be read, or is damaged: see `why` */
	bool            unhashed;       /* to be made of: */
	struct slice    body;
	int             body_fd;        /* or this, from body_at to body_end; else -1 */
	uint64_t        body_at, body_end;
	struct verdict_record verdict;
	const struct queue_key *signers[SIGNERS_MOST];
	size_t          signer_count;
	const struct queue_key *sealer;
	struct slice    seal_domain;
	int64_t         now;
	/* what the job found */
	enum arc_sealing sealing;
	struct error    why;
	bool            signed_;
	/* who waits */
	void          (*made)(void *arg, struct slice head);
	void           *arg;
	bool            working, forgotten;
	struct later    tell;
	/* the same is being made for another member of the list */
	struct outgoing *maker;         /* whom this one waits for, or NULL */
	struct outgoing *waiting;       /* who waits for this one … */
	struct outgoing *next;          /* … and next to it */
};

/* Nobody waits for it now; of those for whom it waits, it is one less. */
static void
part(struct outgoing *o)
{
	struct outgoing **at;

	if (o->queue->sealed_post.maker == o)
		o->queue->sealed_post.maker = NULL;
	if (o->maker == NULL)
		return;
	for (at = &o->maker->waiting; *at != o; at = &(*at)->next)
		;
	*at = o->next;
	o->maker = NULL;
}

static void
free_now(struct outgoing *o)
{
	bug_if(o->waiting != NULL);
	part(o);
	later_cancel(o->queue->loop, &o->tell);
	buf_free(&o->base);
	buf_free(&o->fields);
	buf_free(&o->head);
	if (o->body_fd != -1)
		close(o->body_fd);
	if (o->check_fd != -1)
		close(o->check_fd);
	arena_free(o->arena);
	free(o);
}

void
outgoing_free(struct outgoing *o)
{
	if (o == NULL)
		return;
	if (o->working)
		o->forgotten = true;    /* the job still has it */
	else
		free_now(o);
}

struct slice
outgoing_fields(const struct outgoing *o)
{
	return o == NULL || o->kept || o->own ? NONE : buf_slice(&o->fields);
}

const struct error *
outgoing_flaw(const struct outgoing *o)
{
	return o->flawed ? &o->why : NULL;
}

struct checksum
outgoing_checksum(const struct outgoing *o)
{
	return o->sum;
}

/* --- whose keys ------------------------------------------------------------------ */

static size_t
keys_of(const struct queue *q, struct slice domain, const struct queue_key **to, size_t most)
{
	size_t n = 0;

	for (size_t i = 0; i < q->key_count && n < most; i++)
		if (slice_eqi(q->keys[i].conf->domain, domain))
			to[n++] = &q->keys[i];
	return n;
}

/* The keys of a domain, or of the closest one above it: still aligned (RFC 9989 5.3.3). */
static size_t
keys_for(const struct queue *q, struct slice domain, const struct queue_key **to, size_t most)
{
	size_t n = 0;

	for (; domain.n > 0 && n == 0; domain = domain_parent(domain))
		n = keys_of(q, domain, to, most);
	return n;
}

static const struct listen_conf *
listener_of(const struct queue *q, struct slice name)
{
	for (size_t i = 0; i < q->options.conf->listen_count; i++)
		if (slice_eq(q->options.conf->listen[i].name, name))
			return &q->options.conf->listen[i];
	return NULL;
}

/* Of mail of our own clients: whom their door says, or else the author. */
static struct slice
client_domain(struct outgoing *o, const struct envelope *e)
{
	const struct listen_conf *listener = listener_of(o->queue, e->listener);
	struct header header;

	if (listener != NULL && listener->sign_dkim.n > 0)
		return listener->sign_dkim;
	return header_parse(&header, buf_slice(&o->base), o->arena, NULL)
	    ? from_read(&header, o->arena).domain : NONE;
}

/*
 * Whose message is it?  What our own clients send is signed for its author, or for
 * whom their door says; a list's post for the list, a report for this host.  What
 * only passes through is not ours to sign, and nothing is that would make an author
 * of ours look proved who was not when the message arrived, whatever became of the
 * door meanwhile.
 */
static struct slice
signing_domain(struct outgoing *o, const struct envelope *e)
{
	struct slice domain;

	if (e->parent != 0 || e->listener.n == 0)
		return e->sender.n > 0 ? slice_skip(e->sender, slice_find(e->sender, '@') + 1)
		                       : o->queue->options.conf->hostname;
	if (!e->relayed)
		return NONE;
	domain = client_domain(o, e);
	return verdict_misuses(&o->verdict, domain) ? NONE : domain;
}

static void
choose_keys(struct outgoing *o, const struct envelope *e, bool leaves)
{
	const struct queue_key *sealers[SIGNERS_MOST];
	size_t n;

	if (leaves)
		o->signer_count = keys_for(o->queue, signing_domain(o, e), o->signers, SIGNERS_MOST);
	n = o->seal_domain.n > 0 ? keys_for(o->queue, o->seal_domain, sealers, SIGNERS_MOST) : 0;
	for (size_t i = 0; i < n && o->sealer == NULL; i++)
		if (sealers[i]->key.type == KEY_RSA)
			o->sealer = sealers[i];
}

/* --- the header as it leaves -------------------------------------------------------- */

bool
stored_header(const struct stored *s, struct buf *header, struct error *why)
{
	size_t n = (size_t)s->envelope.header_size;
	char *room;

	if (s->fd == -1)
		return buf_add(header, slice_head(s->content, n)) ||
		    error_set(why, "the header is too large");
	if ((room = buf_room(header, n)) == NULL)
		return error_set(why, "the header is too large");
	header->n += n;
	return file_read_at(s->fd, room, n, 0, why);
}

void
header_leaving(const struct envelope *e, struct slice header, struct buf *to)
{
	struct piece piece;

	for (size_t at = 0; envelope_piece(e, &at, &piece); ) {
		uint64_t end = piece.span.at + piece.span.n;
		struct slice from = piece.trace ? e->trace : header;

		if (!piece.trace && end > e->header_size)
			end = e->header_size;   /* the body goes its own way */
		if (end > piece.span.at)
			buf_add(to, slice_head(slice_skip(from, (size_t)piece.span.at),
			    (size_t)(end - piece.span.at)));
	}
}

static bool
build_base(struct outgoing *o, const struct stored *s, struct error *why)
{
	struct buf header = BUF(HEAD_MOST);
	bool ok = stored_header(s, &header, why);

	if (ok)
		header_leaving(&s->envelope, buf_slice(&header), &o->base);
	o->sum = envelope_checksum(&s->envelope);
	checksum_add(&o->sum, buf_slice(&header));
	buf_free(&header);
	return ok && (!o->base.full || error_set(why, "it is too large"));
}

/* A member's own way off the list, in the header of his copy. */
static bool
add_one_click(struct outgoing *o, struct slice uri, struct error *why)
{
	struct header header;
	struct edit edit;
	struct slice block = arena_copy(o->arena, buf_slice(&o->base));

	if (block.p == NULL || !header_parse(&header, block, o->arena, why))
		return error_set(why, "it cannot be parsed again");
	edit_begin(&edit, &header, o->arena);
	listheader_one_click(&edit, uri);
	buf_clear(&o->base);
	for (size_t i = 0; i < edit.header.count; i++)
		buf_add(&o->base, edit.header.fields[i].whole);
	return (!edit.full && !o->base.full) || error_set(why, "it is too large");
}

/* --- a body that nobody hashed --------------------------------------------------------- */

static bool
keep_body(struct outgoing *o, const struct stored *s)
{
	o->unhashed = true;
	o->body_at = s->envelope.header_size + 2;
	o->body_end = s->envelope.size;
	if (s->fd == -1) {
		o->body = arena_copy(o->arena, slice_skip(s->content, (size_t)o->body_at));
		return o->body.p != NULL || o->body.n == 0 || error_set(&o->why, "its body is too large");
	}
	o->body_fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
	return o->body_fd != -1 || error_sys(&o->why, "cannot keep its content");
}

static bool
update_from_file(struct outgoing *o, struct bodies *b)
{
	char *room = must_grow(NULL, PIECE);
	bool ok = true;

	while (ok && o->body_at < o->body_end) {
		uint64_t left = o->body_end - o->body_at;
		size_t n = left < PIECE ? (size_t)left : PIECE;

		if ((ok = file_read_at(o->body_fd, room, n, (off_t)o->body_at, &o->why)))
			bodies_update(b, slice_of(room, n));
		o->body_at += n;
	}
	free(room);
	return ok;
}

static bool
hash_body(struct outgoing *o)
{
	struct bodies b = { .count = 0 };

	bodies_add(&b, CANON_RELAXED, BODY_WHOLE);
	if (o->body_fd == -1)
		bodies_update(&b, o->body);
	else if (!update_from_file(o, &b))
		return false;
	bodies_finish(&b);
	memcpy(o->body_hash, bodies_get(&b, CANON_RELAXED, BODY_WHOLE)->digest, sizeof o->body_hash);
	return true;
}

/* --- the job ---------------------------------------------------------------------------- */

static struct signer
signer_of(const struct queue_key *k)
{
	return (struct signer){ .domain = k->conf->domain, .selector = k->conf->selector, .key = &k->key };
}

/* All that stands in the header now: the made fields above the base. */
static bool
parse_now(struct outgoing *o, struct header *h)
{
	struct buf all = BUF(HEAD_MOST);
	struct slice block;

	buf_add(&all, buf_slice(&o->fields));
	buf_add(&all, buf_slice(&o->base));
	block = arena_copy(o->arena, buf_slice(&all));
	buf_free(&all);
	return block.p != NULL && header_parse(h, block, o->arena, &o->why);
}

static void
put_above(struct outgoing *o, struct buf *fresh)
{
	buf_add(fresh, buf_slice(&o->fields));
	buf_free(&o->fields);
	o->fields = *fresh;
}

static void
sign(struct outgoing *o)
{
	struct header h;

	if (o->signer_count == 0 || !parse_now(o, &h))
		return;
	for (size_t i = 0; i < o->signer_count; i++) {
		struct signer signer = signer_of(o->signers[i]);
		struct buf field = BUF(HEAD_MOST);

		if (dkim_sign(&signer, &h, o->body_hash, o->now, &field, &o->why))
			o->signed_ = true;
		else
			buf_clear(&field);
		put_above(o, &field);
	}
}

static void
seal(struct outgoing *o)
{
	struct arc_arrival arrival = { o->verdict.arc, o->verdict.results };
	struct buf set = BUF(HEAD_MOST);
	struct signer signer;
	struct header h;

	o->sealing = ARC_BROKEN;
	if (o->sealer == NULL || !parse_now(o, &h))
		return;
	signer = signer_of(o->sealer);
	o->sealing = arc_seal(&signer, &h, o->body_hash, &arrival, o->now, &set, &o->why);
	if (o->sealing != ARC_SEALED)
		buf_clear(&set);
	put_above(o, &set);
}

static void
make(void *arg)
{
	struct outgoing *o = arg;

	o->flawed = (o->check_fd != -1 && !content_check(o->check_fd, &o->check, &o->why)) ||
	    (o->unhashed && !hash_body(o));
	if (o->flawed || o->kept)
		return;
	sign(o);
	seal(o);
}

/* --- telling ------------------------------------------------------------------------------- */

static const char *
why_not_sealed(const struct outgoing *o)
{
	return o->sealer == NULL ? "no RSA key of this domain" : o->sealing == ARC_ENDED
	    ? "the chain ended with cv=fail" : o->sealing == ARC_FULL ? "there are 50 sets" : o->why.text;
}

static void
log_made(const struct outgoing *o)
{
	struct log_line l;

	if (o->flawed || o->kept || (o->seal_domain.n == 0 && o->signer_count == 0))
		return;
	l = log_event(o->queue->options.log, &EVENT_SEALED, o->id);
	if (o->seal_domain.n > 0) {
		log_slice(&l, "domain", o->seal_domain);
		if (o->sealing == ARC_SEALED) {
			log_slice(&l, "selector", o->sealer->conf->selector);
			log_number(&l, "instance", o->verdict.sets + 1);
			log_text(&l, "cv", arc_result_name(o->verdict.arc));
		} else {
			log_text(&l, "reason", why_not_sealed(o));
		}
	}
	if (o->signed_)
		log_slice(&l, "dkim", o->signers[0]->conf->domain);
	else if (o->seal_domain.n == 0)
		log_text(&l, "reason", o->why.text);
	log_end(&l);
}

static void
tell(void *arg)
{
	struct outgoing *o = arg;

	o->head = BUF(2 * HEAD_MOST);
	buf_add(&o->head, buf_slice(&o->fields));
	buf_add(&o->head, buf_slice(&o->base));
	o->made(o->arg, buf_slice(&o->head));
}

/* Made for another member of the list, or at an earlier try? */
static bool
fields_kept(struct outgoing *o)
{
	const struct sealed_post *p = &o->queue->sealed_post;

	if (o->seal_domain.n == 0 || o->own)
		return false;
	o->kept = o->post && p->id == o->id && slice_eqi(buf_slice(&p->domain), o->seal_domain)
	    ? buf_add(&o->fields, buf_slice(&p->fields))
	    : spool_read_seal(o->queue->spool, o->id, o->seal_domain, &o->fields);
	return o->kept;
}

/* Its members have an envelope sender each, but the same message: one seal is enough. */
static void
remember(const struct outgoing *o)
{
	struct sealed_post *p = &o->queue->sealed_post;

	if (o->sealing != ARC_SEALED)
		return;
	p->id = o->id;
	buf_clear(&p->domain);
	buf_clear(&p->fields);
	buf_add(&p->domain, o->seal_domain);
	buf_add(&p->fields, buf_slice(&o->fields));
}

static void job_done(void *arg);

/* Signed and sealed in a job, unless there is nothing to do, or it was done. */
static void
begin(struct outgoing *o)
{
	if (!o->kept && !o->flawed && (o->signer_count > 0 || o->sealer != NULL || o->check_fd != -1)) {
		o->working = true;
		job(o->queue->jobs, make, job_done, o);
		return;
	}
	log_made(o);
	loop_later(o->queue->loop, &o->tell, tell, o);
}

static void
job_done(void *arg)
{
	struct outgoing *o = arg;
	bool shared = o->post && !o->own && !o->kept;

	o->working = false;
	if (shared)
		remember(o);
	for (struct outgoing *other; (other = o->waiting) != NULL;) {
		part(other);
		fields_kept(other);
		begin(other);
	}
	if (o->forgotten) {
		free_now(o);
		return;
	}
	part(o);
	log_made(o);
	tell(o);
}

/* The first of a list's members has it made; those who come meanwhile wait for that. */
static bool
waits(struct outgoing *o)
{
	struct sealed_post *p = &o->queue->sealed_post;
	struct outgoing *maker = p->maker;

	if (!o->post || o->own || o->kept || o->flawed || o->sealer == NULL || o->check_fd != -1)
		return false;
	if (maker == NULL || maker->id != o->id || !slice_eqi(maker->seal_domain, o->seal_domain)) {
		p->maker = o;
		return false;
	}
	o->maker = maker;
	o->next = maker->waiting;
	maker->waiting = o;
	return true;
}

/* Its header cannot be made: there is nothing to be signed, nor to be sent. */
static bool
base_is_flawed(struct outgoing *o, const struct stored *s, const struct place_to_go *to)
{
	struct error why = { 0 };
	char id[ID_TEXT + 1];

	o->flawed = !build_base(o, s, &why) || (o->own && !add_one_click(o, to->one_click, &why));
	id_text(o->id, id);
	if (o->flawed)
		error_set(&o->why, "the header of message %s: %.200s", id, why.text);
	o->why.number = why.number;
	return o->flawed;
}

/* Whose body cannot be hashed now waits: unsigned it might be refused for that. */
static void
choose_signers(struct outgoing *o, const struct stored *s, const struct place_to_go *to)
{
	if (s->envelope.verdict.n == 0 ||
	    !verdict_unpack(&o->verdict, arena_copy(o->arena, s->envelope.verdict)))
		o->verdict = verdict_record_own();
	choose_keys(o, &s->envelope, to->kind == PLACE_SMTP);
	o->flawed = (o->signer_count > 0 || o->sealer != NULL) && !s->envelope.hashed && !keep_body(o, s);
}

/* Without a descriptor for it the deliverer finds out. */
static void
keep_doubted(struct outgoing *o, const struct stored *s)
{
	o->check = (struct envelope){ .id = s->envelope.id, .size = s->envelope.size,
	    .summed = s->envelope.summed, .content_sum = s->envelope.content_sum };
	o->check_fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
}

struct outgoing *
outgoing_make(struct queue *q, const struct stored *s, const struct place_to_go *to, bool doubted,
    void (*made)(void *, struct slice), void *arg)
{
	struct outgoing *o = must_alloc(sizeof *o);

	*o = (struct outgoing){ .queue = q, .id = s->envelope.id, .arena = arena_new(MEMORY),
	    .base = BUF(HEAD_MOST), .fields = BUF(HEAD_MOST), .sealing = ARC_BROKEN, .body_fd = -1,
	    .check_fd = -1, .now = clock_now(q->loop->clock), .made = made, .arg = arg };
	o->seal_domain = arena_copy(o->arena, to->seal);
	o->own = to->one_click.n > 0;
	o->post = s->envelope.parent != 0;
	memcpy(o->body_hash, s->envelope.body_hash, sizeof o->body_hash);
	if (base_is_flawed(o, s, to)) {
		loop_later(q->loop, &o->tell, tell, o);
		return o;
	}
	if (doubted)
		keep_doubted(o, s);
	if (!fields_kept(o))
		choose_signers(o, s, to);
	if (!waits(o))
		begin(o);
	return o;
}
