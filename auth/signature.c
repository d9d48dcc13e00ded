/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/signature.h"
#include "auth/taglist.h"
#include "base/bug.h"
#include "base/text.h"
#include "mail/domain.h"

const char *
signature_state_name(enum signature_state state)
{
	static const char *const names[] = {
		[SIGNATURE_OPEN] = "open",
		[SIGNATURE_GOOD] = "ok",
		[SIGNATURE_MALFORMED] = "malformed",
		[SIGNATURE_REFUSED] = "algorithm refused",
		[SIGNATURE_EXPIRED] = "expired",
		[SIGNATURE_FUTURE] = "from the future",
		[SIGNATURE_UNCHECKED] = "not checked",
		[SIGNATURE_UNDECIDED] = "could not find out",
		[SIGNATURE_KEY_MISSING] = "key missing",
		[SIGNATURE_KEY_REVOKED] = "key revoked",
		[SIGNATURE_KEY_UNFIT] = "key unfit",
		[SIGNATURE_BODY_CHANGED] = "body changed",
		[SIGNATURE_BODY_SHORT] = "body too short",
		[SIGNATURE_WRONG] = "does not verify",
	};

	return names[state];
}

bool
signature_key_failed(enum signature_state state)
{
	return state == SIGNATURE_UNDECIDED || state == SIGNATURE_KEY_MISSING ||
	    state == SIGNATURE_KEY_REVOKED || state == SIGNATURE_KEY_UNFIT;
}

bool
signature_partial(const struct signature *s)
{
	return s->limit < s->body_length;
}

/* Always false: so that a flaw is one line. */
static bool
conclude(struct signature *s, enum signature_state state, struct slice reason)
{
	s->state = state;
	s->reason = reason;
	return false;
}

/* --- parsing (RFC 6376 3.5, RFC 8617 4.1.2, 4.1.3) ------------------------------ */

struct parsing {
	struct signature *s;
	struct taglist    tags;
	struct arena     *arena;
};

static bool
malformed(struct parsing *p, const char *tag, const char *flaw)
{
	return conclude(p->s, SIGNATURE_MALFORMED, arena_printf(p->arena, "%s= %s", tag, flaw));
}

static bool
no_room(struct parsing *p)
{
	return conclude(p->s, SIGNATURE_UNCHECKED, S("the header takes too much memory"));
}

/* A required tag: NULL, and concluded, when it is missing or empty. */
static const struct tag *
required(struct parsing *p, const char *name)
{
	const struct tag *tag = taglist_find(&p->tags, name);

	if (tag != NULL && tag->value.n > 0)
		return tag;
	malformed(p, name, tag == NULL ? "is missing" : "is empty");
	return NULL;
}

/* RFC 8617 4.2.1: one or two digits, 1 to 50; the ceiling is chain's to judge. */
static bool
take_instance(struct parsing *p)
{
	const struct tag *tag = required(p, "i");
	uint64_t instance;

	if (tag == NULL)
		return false;
	if (tag->value.n > 2 || !slice_number(tag->value, 99, &instance) || instance == 0)
		return malformed(p, "i", "is no instance");
	p->s->instance = (unsigned)instance;
	return true;
}

static bool
take_version(struct parsing *p)
{
	const struct tag *tag = required(p, "v");

	return tag != NULL && (slice_eq(tag->value, S("1")) || malformed(p, "v", "is not 1"));
}

static bool
take_name(struct parsing *p, const char *name, unsigned labels, struct slice *name_r)
{
	const struct tag *tag = required(p, name);

	if (tag == NULL)
		return false;
	*name_r = domain_normal(tag->value, p->arena);
	return domain_labels(*name_r) >= labels || malformed(p, name, "is no proper name");
}

/* d= and s=, and where their key is. A domain has two labels at least. */
static bool
take_names(struct parsing *p)
{
	struct signature *s = p->s;

	if (!take_name(p, "d", 2, &s->domain) || !take_name(p, "s", 1, &s->selector))
		return false;
	s->key_name = arena_printf(p->arena, "%.*s._domainkey.%.*s", FMT(s->selector), FMT(s->domain));
	return s->key_name.p != NULL || no_room(p);
}

/* RFC 8301 3.1: rsa-sha1 MUST NOT be used; others nobody knows. */
static bool
take_algorithm(struct parsing *p)
{
	const struct tag *tag = required(p, "a");

	if (tag == NULL)
		return false;
	for (enum key_type type = KEY_RSA; type <= KEY_ED25519; type++)
		if (slice_eq(tag->value, slice(key_algorithm(type)))) {
			p->s->algorithm = type;
			return true;
		}
	return conclude(p->s, SIGNATURE_REFUSED, slice_eq(tag->value, S("rsa-sha1"))
	    ? S("rsa-sha1 is no longer accepted (RFC 8301)") : S("a= is an unknown algorithm"));
}

/* The letters of a base64 value in the arena, folding left out. */
static struct slice
unfolded(struct slice value, struct arena *arena)
{
	char *to = arena_get(arena, value.n + 1);
	size_t n = 0;

	if (to == NULL)
		return NONE;
	for (size_t i = 0; i < value.n; i++)
		if (!is_space(value.p[i]))
			to[n++] = value.p[i];
	return slice_of(to, n);
}

static bool
take_signature(struct parsing *p)
{
	const struct tag *tag = required(p, "b");
	struct buf bytes = BUF(KEY_BITS_MOST / 8);
	struct signature *s = p->s;
	bool ok, full;

	if (tag == NULL)
		return false;
	s->b_raw = tag->raw;
	s->b_text = unfolded(tag->value, p->arena);
	if ((ok = base64_decode(&bytes, tag->value)))
		s->b = arena_copy(p->arena, buf_slice(&bytes));
	full = bytes.full;
	buf_free(&bytes);
	if (full)
		return malformed(p, "b", "is longer than a signature of 8192 bits");
	if (!ok)
		return malformed(p, "b", "is no signature in base64");
	return (s->b.p != NULL && s->b_text.p != NULL) || no_room(p);
}

static bool
take_body_hash(struct parsing *p)
{
	const struct tag *tag = required(p, "bh");
	struct buf bytes = BUF(SHA256_BYTES);
	bool ok;

	if (tag == NULL)
		return false;
	ok = base64_decode(&bytes, tag->value) && bytes.n == SHA256_BYTES;
	if (ok)
		memcpy(p->s->body_hash, bytes.p, SHA256_BYTES);
	buf_free(&bytes);
	return ok || malformed(p, "bh", "is no SHA-256 hash in base64");
}

static bool
canon_parse(struct slice word, enum canon *canon)
{
	*canon = slice_eq(word, S("relaxed")) ? CANON_RELAXED : CANON_SIMPLE;
	return slice_eq(word, slice(canon_name(*canon)));
}

/* "relaxed" alone is "relaxed/simple". */
static bool
take_canon(struct parsing *p)
{
	const struct tag *tag = taglist_find(&p->tags, "c");
	struct slice header, body;
	bool ok;

	if (tag == NULL)
		return true;
	header = slice_head(tag->value, slice_find(tag->value, '/'));
	body = slice_skip(tag->value, header.n + 1);
	ok = canon_parse(header, &p->s->header_canon) &&
	    (header.n == tag->value.n || canon_parse(body, &p->s->body_canon));
	return ok || malformed(p, "c", "is no known canonicalization");
}

/*
 * h=: a DKIM signature must cover From (RFC 6376 5.4), an AMS must not cover
 * ARC-Seal (RFC 8617 4.1.2: seals come after it).
 */
static bool
take_signed_names(struct parsing *p)
{
	const struct tag *tag = taglist_find(&p->tags, "h");
	struct slice left, item;
	size_t count = 0;
	bool from = false, seal = false;

	if (tag == NULL)
		return malformed(p, "h", "is missing");
	for (left = tag->value; taglist_item(&left, &item); count++) {
		from |= slice_eqi(item, S("from"));
		seal |= slice_eqi(item, S("arc-seal"));
	}
	p->s->names = tag->value;
	if (count > SIGNED_NAMES_MOST)
		return malformed(p, "h", "names too many fields");
	if (p->s->kind == SIGNATURE_DKIM && !from)
		return malformed(p, "h", "does not name From");
	return p->s->kind == SIGNATURE_DKIM || !seal || malformed(p, "h", "names ARC-Seal");
}

/* l=: up to 76 digits; what no body can have is counted as that. */
static bool
take_limit(struct parsing *p)
{
	const struct tag *tag = taglist_find(&p->tags, "l");

	if (tag == NULL)
		return true;
	for (size_t i = 0; i < tag->value.n; i++)
		if (!is_digit(tag->value.p[i]))
			return malformed(p, "l", "is no number");
	if (tag->value.n == 0 || tag->value.n > 76)
		return malformed(p, "l", "is no number");
	if (!slice_number(tag->value, BODY_WHOLE - 1, &p->s->limit))
		p->s->limit = BODY_WHOLE - 1;
	return true;
}

static bool
take_query(struct parsing *p)
{
	const struct tag *tag = taglist_find(&p->tags, "q");

	return tag == NULL || taglist_lists(tag->value, S("dns/txt")) ||
	    malformed(p, "q", "does not name dns/txt");
}

static bool
all_digits(struct slice s)
{
	size_t n = 0;

	while (n < s.n && is_digit(s.p[n]))
		n++;
	return n > 0 && n == s.n;
}

/* RFC 6376 3.5: twelve digits at least; what has more is as good as for ever. */
static bool
take_time(struct parsing *p, const char *name, int64_t *time)
{
	const struct tag *tag = taglist_find(&p->tags, name);
	uint64_t number = SIGNATURE_FOREVER;

	if (tag == NULL)
		return true;
	if (!all_digits(tag->value))
		return malformed(p, name, "is no time");
	slice_number(tag->value, SIGNATURE_FOREVER, &number);
	*time = (int64_t)number;
	return true;
}

/* RFC 6376 3.5: x= MUST be greater than t= if both are present. */
static bool
take_times(struct parsing *p)
{
	struct signature *s = p->s;

	if (!take_time(p, "t", &s->signed_at) || !take_time(p, "x", &s->expires_at))
		return false;
	return s->signed_at < 0 || s->expires_at < 0 || s->expires_at > s->signed_at ||
	    s->expires_at == SIGNATURE_FOREVER || malformed(p, "x", "is not after t=");
}

/* dkim-quoted-printable (RFC 6376 2.11): folding ignored, "=3D" decoded. */
static struct slice
decode_quoted(struct slice value, struct arena *arena)
{
	struct buf text = BUF(value.n);
	struct slice result = NONE;
	bool ok = true;

	while (ok && value.n) {
		size_t n = *value.p == '=' ? 3 : 1;

		if (n == 3)
			ok = value.n >= 3 && hex_decode(&text, slice_of(value.p + 1, 2));
		else if (!is_space(*value.p))
			buf_byte(&text, *value.p);
		value = slice_skip(value, n);
	}
	if (ok)
		result = arena_copy(arena, buf_slice(&text));
	buf_free(&text);
	return result;
}

/* What stands behind the last "@". */
static struct slice
identity_domain(struct slice identity, struct arena *arena)
{
	size_t at = identity.n;

	while (at > 0 && identity.p[at - 1] != '@')
		at--;
	return at > 0 ? domain_normal(slice_skip(identity, at), arena) : NONE;
}

/* RFC 6376 3.5: the domain of i= is that of d= or below it. */
static bool
take_identity(struct parsing *p)
{
	const struct tag *tag = taglist_find(&p->tags, "i");
	struct signature *s = p->s;
	struct slice domain;

	if (tag == NULL) {
		s->identity = arena_printf(p->arena, "@%.*s", FMT(s->domain));
		return s->identity.p != NULL || no_room(p);
	}
	s->identity = decode_quoted(tag->value, p->arena);
	domain = identity_domain(s->identity, p->arena);
	if (domain.n == 0)
		return malformed(p, "i", "is no identity");
	s->below = domain.n != s->domain.n;
	return domain_within(domain, s->domain) || malformed(p, "i", "is not within d=");
}

/* RFC 8617 4.1.3: nothing but the sets is sealed, and only in relaxed form. */
static bool
take_seal(struct parsing *p)
{
	const struct tag *cv = required(p, "cv");

	p->s->header_canon = CANON_RELAXED;
	if (cv == NULL)
		return false;
	if (!slice_eq(cv->value, S("none")) && !slice_eq(cv->value, S("pass")) &&
	    !slice_eq(cv->value, S("fail")))
		return malformed(p, "cv", "is neither none, pass nor fail");
	return taglist_find(&p->tags, "h") == NULL || malformed(p, "h", "has no place in a seal");
}

static bool
take_tags(struct parsing *p)
{
	bool dkim = p->s->kind == SIGNATURE_DKIM, seal = p->s->kind == SIGNATURE_SEAL;
	const struct tag *cv = taglist_find(&p->tags, "cv");

	if (seal && cv != NULL)
		p->s->cv = cv->value;   /* told also of a seal that has other flaws */
	if (!(dkim || take_instance(p)))
		return false;
	if (!take_names(p) || !take_signature(p) || !take_times(p))
		return false;
	if ((dkim && !take_version(p)) || !take_algorithm(p))
		return false;
	if (seal)
		return take_seal(p);
	return take_canon(p) && take_body_hash(p) && take_signed_names(p) && take_limit(p) &&
	    take_query(p) && (!dkim || take_identity(p));
}

void
signature_parse(struct signature *s, enum signature_kind kind, const struct field *field,
    struct arena *arena)
{
	struct parsing p = { .s = s, .arena = arena };
	struct error why;

	*s = (struct signature){
		.kind = kind, .field = field, .limit = BODY_WHOLE, .signed_at = -1, .expires_at = -1,
	};
	if (taglist_parse(&p.tags, field->value, &why))
		take_tags(&p);
	else
		conclude(s, SIGNATURE_MALFORMED, arena_copy(arena, slice(why.text)));
}

/* --- the conclusion (RFC 6376 6.1.2, 6.1.3) --------------------------------------- */

void
signature_want_body(struct signature *s, struct bodies *bodies)
{
	if (s->state == SIGNATURE_OPEN && !bodies_add(bodies, s->body_canon, s->limit))
		conclude(s, SIGNATURE_UNCHECKED, S("there are too many different l= in this message"));
}

bool
signature_key_known(const struct signature *s, struct facts *facts)
{
	return s->state != SIGNATURE_OPEN ||
	    fact_within(facts, s->key_name, RR_TXT, KEY_RECORD_MOST) != NULL;
}

static bool
in_time(struct signature *s, int64_t seconds)
{
	if (s->expires_at >= 0 && s->expires_at < seconds)
		return conclude(s, SIGNATURE_EXPIRED, S("the signature has expired (x=)"));
	if (s->signed_at > seconds + CLOCK_SKEW)
		return conclude(s, SIGNATURE_FUTURE, S("the signature was made in the future (t=)"));
	return true;
}

/* RFC 6376 6.1.2, steps 3 to 8: why this key is not one for this signature, or NULL. */
static const char *
unfit(const struct signature *s, const struct key *k)
{
	if (k->type != s->algorithm)
		return "the key is of another type than a= says";
	if (!k->for_sha256)
		return "the key is not for SHA-256 (h=)";
	if (!k->for_mail)
		return "the key is not for mail (s=)";
	if (k->strict && s->below)
		return "the key forbids i= in a subdomain (t=s)";
	return NULL;
}

/* bh= against what came. */
static bool
body_right(struct signature *s, const struct bodies *bodies)
{
	const struct body_hash *h = bodies_get(bodies, s->body_canon, s->limit);

	bug_if(h == NULL || !bodies->finished);
	s->body_length = h->length;
	if (s->limit != BODY_WHOLE && s->limit > h->length)
		return conclude(s, SIGNATURE_BODY_SHORT, S("l= counts more than the body has"));
	if (memcmp(h->digest, s->body_hash, SHA256_BYTES) != 0)
		return conclude(s, SIGNATURE_BODY_CHANGED, S("the body hash differs"));
	return true;
}

static bool
affordable(struct signature *s, struct verifier *v, uint64_t work)
{
	if (v->work >= WORK_MOST || work > WORK_MOST - v->work)
		return conclude(s, SIGNATURE_UNCHECKED, S("the signatures take too much work"));
	v->work += (unsigned)work;
	return true;
}

static void
try_key(struct signature *s, const struct key *k, const unsigned char digest[SHA256_BYTES],
    struct verifier *v)
{
	s->key_bits = k->bits;
	s->testing = k->testing;
	if (s->kind != SIGNATURE_SEAL && v->bodies != NULL && !body_right(s, v->bodies))
		return;
	if (!affordable(s, v, key_work(k)))
		return;
	if (key_verifies(k, digest, s->b))
		conclude(s, SIGNATURE_GOOD, NONE);
	else
		conclude(s, SIGNATURE_WRONG, S("the signature does not verify"));
}

/* The first record that verifies decides; else a key that fits; else the first flaw. */
static void
try_records(struct signature *s, const struct fact *f, const unsigned char digest[SHA256_BYTES],
    struct verifier *v)
{
	for (size_t i = 0; i < f->count && i < KEY_RECORDS_TRIED && s->state != SIGNATURE_GOOD; i++) {
		enum key_flaw flaw;
		const struct key *k = keys_get(v->keys, f->records[i].data, &flaw);
		const char *why = k == NULL ? key_flaw_text(flaw) : unfit(s, k);

		if (!affordable(s, v, 1))
			return;
		if (why == NULL)
			try_key(s, k, digest, v);
		else if (s->state == SIGNATURE_OPEN)
			conclude(s, flaw == KEY_REVOKED ? SIGNATURE_KEY_REVOKED : SIGNATURE_KEY_UNFIT,
			    slice(why));
	}
	if (s->state == SIGNATURE_OPEN && f->left_out > 0)
		conclude(s, SIGNATURE_KEY_UNFIT, S("the key record is longer than 8 KiB"));
}

void
signature_verify_digest(struct signature *s, const unsigned char digest[SHA256_BYTES], struct verifier *v)
{
	const struct fact *f;

	if (s->state != SIGNATURE_OPEN || !in_time(s, v->now / 1000))
		return;
	f = fact(v->facts, s->key_name, RR_TXT);
	bug_if(f == NULL);
	if (f->answer == ANSWER_BROKEN)
		conclude(s, SIGNATURE_UNDECIDED, f->why.n ? f->why : S("the DNS does not answer"));
	else if (f->answer != ANSWER_FOUND)
		conclude(s, SIGNATURE_KEY_MISSING, S("there is no key record"));
	else
		try_records(s, f, digest, v);
}

void
signature_verify(struct signature *s, struct field_order *o, struct verifier *v)
{
	struct signed_text t = signed_text_begin(s->header_canon, o->header->block.n);
	unsigned char digest[SHA256_BYTES];

	if (s->state == SIGNATURE_OPEN && affordable(s, v, 0)) {
		signed_text_add_names(&t, o, s->names, s->field);
		signed_text_digest(&t, s->field->whole, s->b_raw, digest);
		if (affordable(s, v, t.octets / WORK_OCTETS))
			signature_verify_digest(s, digest, v);
	}
	signed_text_free(&t);
}
