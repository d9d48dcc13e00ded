/* SPDX-License-Identifier: ISC */
/*
 * hops -- a message on its way through sealers hop1.example, hop2.example, …,
 * each with selector s and the same RSA key.
 */
#ifndef TESTS_HOPS_H
#define TESTS_HOPS_H

#include "arc/seal.h"
#include "judge.h"
#include "keys.h"
#include "unit.h"

#define NOW INT64_C(1795311000000)

static struct signing_key hop_key;

/* The records of hops 1 to `hops`. */
static inline struct zone *
hop_zone(unsigned hops, const char *more)
{
	struct buf text = BUF(1 << 20), record = BUF(4096);
	struct zone *zone;

	signing_key_record(&hop_key, &record);
	buf_printf(&text, "%s", more);
	for (unsigned i = 1; i <= hops; i++)
		buf_printf(&text, "s._domainkey.hop%u.example. TXT \"%.*s\"\n", i, FMT(buf_slice(&record)));
	zone = zone_parse(buf_slice(&text), "zone", NULL);
	buf_free(&text);
	buf_free(&record);
	assert_non_null(zone);
	return zone;
}

/* The set of hop `hop` on top of the message, which arrived with that result. */
static inline enum arc_sealing
hop_seals(struct buf *message, unsigned hop, enum arc_result arrival)
{
	char domain[40], results[100];
	struct signer signer = { .selector = S("s"), .key = &hop_key };
	struct arc_arrival seen = { .result = arrival };
	struct buf set = BUF(1 << 16), whole = BUF(1 << 20);
	struct error why = { 0 };
	struct judged j;
	enum arc_sealing done;

	snprintf(domain, sizeof domain, "hop%u.example", hop);
	snprintf(results, sizeof results, "mx.hop%u.example; arc=%s;\r\n dmarc=pass header.from=a.example", hop,
	    arc_result_name(arrival));
	signer.domain = slice(domain);
	seen.results = slice(results);
	assert_true(judge_begin(&j, buf_slice(message)));
	bodies_add(&j.bodies, CANON_RELAXED, BODY_WHOLE);
	judge_body(&j, buf_slice(message));
	done = arc_seal(&signer, &j.header, j.bodies.hashes[0].digest, &seen, NOW, &set, &why);
	assert_string_equal(why.text, "");
	judge_end(&j);
	buf_add(&whole, buf_slice(&set));
	buf_add(&whole, buf_slice(message));
	buf_free(&set);
	buf_free(message);
	*message = whole;
	return done;
}

/* A message that came through so many hops, all of them honest. */
static inline struct buf
hops_message(const char *text, unsigned hops)
{
	struct buf message = BUF(1 << 20);

	buf_add(&message, slice(text));
	for (unsigned i = 1; i <= hops; i++)
		assert_int_equal(hop_seals(&message, i, i == 1 ? ARC_NONE : ARC_PASS), ARC_SEALED);
	return message;
}

/* Judged, and left in *j for a closer look. */
static inline void
hops_judge(struct judged *j, struct slice message, const struct zone *zone)
{
	assert_true(judge_begin(j, message));
	assert_true(arc_begin(&j->arc, &j->header, &j->bodies, j->arena));
	judge_body(j, message);
	judge_arc(j, zone, NOW);
}

/* The first `from` in the message becomes `to`. */
static inline void
hops_replace(struct buf *message, const char *from, const char *to)
{
	struct buf changed = BUF(1 << 20);
	const char *at;

	buf_byte(message, '\0');
	at = strstr(message->p, from);
	assert_non_null(at);
	buf_printf(&changed, "%.*s%s%s", (int)(at - message->p), message->p, to, at + strlen(from));
	buf_free(message);
	*message = changed;
}

static inline int
hops_setup(void **state)
{
	(void)state;
	return signing_key_parse(&hop_key, slice(KEY_RSA_1024_PEM), NULL) ? 0 : -1;
}

static inline int
hops_teardown(void **state)
{
	(void)state;
	signing_key_free(&hop_key);
	return 0;
}

#endif
