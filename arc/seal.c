/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>

#include "arc/seal.h"

enum { NAMES = 64 << 10, FIELD = 256 << 10 };

/* What is known before anything is written. */
struct sealing {
	const struct signer *signer;
	const struct header *header;
	const unsigned char *body_hash;
	int64_t         now;
	struct slice    results;
	struct arc      chain;          /* of the header as it leaves */
	unsigned        instance;
	enum arc_result cv;
	struct buf      aar, ams, seal; /* the new fields */
};

/* The careful default for h=: sign_names() and every DKIM-Signature (RFC 8617 4.1.2). */
static bool
usual_names(const struct header *header, struct buf *to)
{
	sign_names(header, to);
	for (size_t n = header_count(header, "DKIM-Signature"); n > 0; n--)
		buf_add(to, S(":dkim-signature"));
	return !to->full;
}

/* RFC 8617 5.1 with 5.1.2: what we say of the chain before us. */
static enum arc_result
choose_cv(const struct arc *chain, enum arc_result arrival)
{
	if (chain->count == 0)
		return arrival == ARC_FAIL ? ARC_FAIL : ARC_NONE;
	return arrival == ARC_PASS && chain->result != ARC_FAIL ? ARC_PASS : ARC_FAIL;
}

/* RFC 8617 4.1.2: neither Authentication-Results nor any ARC field. */
static bool
names_allowed(struct slice names, struct error *why)
{
	struct slice name;

	while (taglist_item(&names, &name))
		if (slice_startsi(name, S("ARC-")) || slice_eqi(name, S("Authentication-Results")))
			return error_set(why, "%.*s must not be among the signed fields", FMT(name));
	return true;
}

/* A payload is folded properly and ends no field: each CRLF has white space behind it. */
static bool
results_ok(struct slice results)
{
	for (size_t i = 0; i < results.n; i++) {
		char c = results.p[i];

		if (c == '\r' && i + 2 < results.n && results.p[i + 1] == '\n' && is_wsp(results.p[i + 2]))
			i++;
		else if (((unsigned char)c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return slice_trim(results).n > 0;
}

static void
write_instance(const struct sealing *s, struct tagwriter *w)
{
	char text[16];

	snprintf(text, sizeof text, "%u", s->instance);
	tagwriter_add(w, "i", slice(text));
}

/* RFC 8617 4.1.1. */
static bool
write_aar(struct sealing *s, struct error *why)
{
	buf_printf(&s->aar, "ARC-Authentication-Results: i=%u; ", s->instance);
	buf_add(&s->aar, slice_trim(s->results));
	buf_add(&s->aar, S("\r\n"));
	return !s->aar.full || error_set(why, "the results take too much room");
}

static bool
write_ams_over(struct sealing *s, struct slice names, struct error *why)
{
	struct tagwriter w = tagwriter_begin(&s->ams, "ARC-Message-Signature");
	unsigned char digest[SHA256_BYTES];

	write_instance(s, &w);
	sign_tags(&w, s->signer, names, s->body_hash, s->now);
	return sign_digest(s->header, names, buf_slice(&s->ams), digest, why) &&
	    sign_end(&w, s->signer->key, digest, why);
}

/* RFC 8617 4.1.2. */
static bool
write_ams(struct sealing *s, struct error *why)
{
	struct signer signer = *s->signer;
	struct buf standard = BUF(NAMES), names = BUF(NAMES);
	bool ok;

	if (signer.names.n == 0 && usual_names(s->header, &standard))
		signer.names = buf_slice(&standard);
	ok = sign_choose(&signer, s->header, &names, why) && names_allowed(buf_slice(&names), why) &&
	    write_ams_over(s, buf_slice(&names), why);
	buf_free(&standard);
	buf_free(&names);
	return ok;
}

/* RFC 8617 4.1.3, 5.1.1: over all sets up to ours, or over ours alone when the chain failed. */
static bool
write_seal(struct sealing *s, struct error *why)
{
	struct signed_text t = signed_text_begin(CANON_RELAXED, s->header->block.n + FIELD);
	struct tagwriter w = tagwriter_begin(&s->seal, "ARC-Seal");
	unsigned char digest[SHA256_BYTES];
	struct slice own;

	write_instance(s, &w);
	tagwriter_add(&w, "a", slice(key_algorithm(s->signer->key->type)));
	tagwriter_add(&w, "cv", slice(arc_result_name(s->cv)));
	tagwriter_add(&w, "d", s->signer->domain);
	tagwriter_add(&w, "s", s->signer->selector);
	sign_time(&w, s->now);
	tagwriter_open(&w, "b");
	own = buf_slice(&s->seal);
	if (s->cv == ARC_PASS)
		arc_seal_text(&s->chain, s->instance - 1, &t);
	signed_text_add(&t, buf_slice(&s->aar));
	signed_text_add(&t, buf_slice(&s->ams));
	signed_text_digest(&t, own, slice_skip(own, own.n), digest);
	signed_text_free(&t);
	return sign_end(&w, s->signer->key, digest, why);
}

static bool
write_set(struct sealing *s, struct buf *to, struct error *why)
{
	size_t start = to->n;

	if (!write_aar(s, why) || !write_ams(s, why) || !write_seal(s, why))
		return false;
	buf_add(to, buf_slice(&s->seal));
	buf_add(to, buf_slice(&s->ams));
	buf_add(to, buf_slice(&s->aar));
	if (!to->full)
		return true;
	to->n = start;
	return error_set(why, "there is no room for the new set");
}

static enum arc_sealing
seal(struct sealing *s, enum arc_result arrival, struct buf *to, struct error *why)
{
	if (s->chain.ended)
		return ARC_ENDED;
	if (s->chain.full)
		return ARC_FULL;
	s->instance = s->chain.count + 1;
	s->cv = choose_cv(&s->chain, arrival);
	return write_set(s, to, why) ? ARC_SEALED : ARC_BROKEN;
}

static bool
input_ok(const struct sealing *s, struct error *why)
{
	if (s->signer->key->type != KEY_RSA)
		return error_set(why, "a chain is sealed with RSA keys only");
	return results_ok(s->results) || error_set(why, "the results are empty or not folded properly");
}

enum arc_sealing
arc_seal(const struct signer *signer, const struct header *header,
    const unsigned char body_hash[SHA256_BYTES], const struct arc_arrival *arrival, int64_t now,
    struct buf *to, struct error *why)
{
	struct arena *arena = arena_new(8 << 20);
	struct sealing s = {
		.signer = signer, .header = header, .body_hash = body_hash, .now = now,
		.results = arrival->results, .aar = BUF(FIELD), .ams = BUF(FIELD), .seal = BUF(FIELD),
	};
	enum arc_sealing done = ARC_BROKEN;

	if (input_ok(&s, why)) {
		if (arc_begin(&s.chain, header, NULL, arena))
			done = seal(&s, arrival->result, to, why);
		else
			error_set(why, "the chain takes too much memory");
	}
	buf_free(&s.aar);
	buf_free(&s.ams);
	buf_free(&s.seal);
	arena_free(arena);
	return done;
}
