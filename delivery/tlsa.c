/* SPDX-License-Identifier: ISC */
/* pure */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "delivery/tlsa.h"
#include "mail/domain.h"

enum { USAGE_TA = 2, USAGE_EE = 3 };
enum { SELECTOR_CERT = 0, SELECTOR_SPKI = 1 };
enum { MATCHING_FULL = 0, MATCHING_SHA256 = 1, MATCHING_SHA512 = 2 };

/* --- one record ---------------------------------------------------------- */

/* A whole certificate with a key we can read, and nothing behind it. */
static bool
is_certificate(struct slice data)
{
	const unsigned char *p = (const unsigned char *)data.p;
	X509 *certificate = d2i_X509(NULL, &p, (long)data.n);
	bool good = certificate != NULL && p == (const unsigned char *)data.p + data.n &&
	    X509_get0_pubkey(certificate) != NULL;

	X509_free(certificate);
	ERR_clear_error();
	return good;
}

static bool
is_public_key(struct slice data)
{
	const unsigned char *p = (const unsigned char *)data.p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)data.n);
	bool good = key != NULL && p == (const unsigned char *)data.p + data.n;

	EVP_PKEY_free(key);
	ERR_clear_error();
	return good;
}

static bool
data_ok(const struct tlsa *t)
{
	switch (t->matching) {
	case MATCHING_FULL:
		return t->data.n > 0 &&
		    (t->selector == SELECTOR_CERT ? is_certificate(t->data) : is_public_key(t->data));
	case MATCHING_SHA256:
		return t->data.n == 32;
	case MATCHING_SHA512:
		return t->data.n == 64;
	default:
		return false;
	}
}

static struct tlsa
read_record(struct slice rdata)
{
	struct tlsa t = { .rdata = rdata, .use = TLSA_UNUSABLE };

	if (rdata.n < 3)
		return t;
	t.usage = (uint8_t)rdata.p[0];
	t.selector = (uint8_t)rdata.p[1];
	t.matching = (uint8_t)rdata.p[2];
	t.data = slice_skip(rdata, 3);
	if ((t.usage == USAGE_TA || t.usage == USAGE_EE) && t.selector <= SELECTOR_SPKI && data_ok(&t))
		t.use = TLSA_USABLE;
	return t;
}

/* RFC 7671 9: per usage and selector the strongest digest, and Full(0) beside it. */
static void
mark_weaker(struct tlsa_set *set)
{
	bool strong[4][2] = { 0 };
	struct tlsa *t;

	for (t = set->records; t < set->records + set->count; t++)
		if (t->use == TLSA_USABLE && t->matching == MATCHING_SHA512)
			strong[t->usage][t->selector] = true;
	for (t = set->records; t < set->records + set->count; t++) {
		if (t->use == TLSA_USABLE && t->matching == MATCHING_SHA256 &&
		    strong[t->usage][t->selector])
			t->use = TLSA_WEAKER;
		set->usable += t->use == TLSA_USABLE;
	}
}

/* By their bytes: the DNS turns the order, but the set stays one policy. */
static int
by_rdata(const void *a, const void *b)
{
	struct slice x = ((const struct tlsa *)a)->rdata, y = ((const struct tlsa *)b)->rdata;
	int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);

	return order != 0 ? order : x.n < y.n ? -1 : x.n > y.n;
}

bool
tlsa_read(struct tlsa_set *set, const struct fact *f, struct arena *arena)
{
	*set = (struct tlsa_set){ .records = arena_get(arena, (f->count + 1) * sizeof *set->records) };
	if (set->records == NULL)
		return false;
	for (; set->count < f->count; set->count++)
		set->records[set->count] = read_record(f->records[set->count].data);
	qsort(set->records, set->count, sizeof *set->records, by_rdata);
	mark_weaker(set);
	return true;
}

struct slice
tlsa_text(const struct tlsa *t, struct arena *arena)
{
	bool whole = t->rdata.n >= 3;
	struct slice bytes = whole ? t->data : t->rdata;
	char *to = arena_get(arena, sizeof "255 255 255 " + 2 * bytes.n);
	size_t n;

	if (to == NULL)
		return NONE;
	n = (size_t)(whole ? snprintf(to, 16, "%u %u %u ", t->usage, t->selector, t->matching)
	    : snprintf(to, 16, "\\# %zu ", bytes.n));
	for (size_t i = 0; i < bytes.n; i++) {
		to[n++] = "0123456789ABCDEF"[(unsigned char)bytes.p[i] >> 4];
		to[n++] = "0123456789ABCDEF"[(unsigned char)bytes.p[i] & 15];
	}
	return slice_of(to, n);
}

/* --- where they stand ---------------------------------------------------- */

/* The answer at _25._tcp.BASE; a name too long to be asked does not exist. */
static const struct fact *
tlsa_at(struct slice base, uint16_t port, struct facts *facts)
{
	char name[DOMAIN_MAX + 32];
	int n = snprintf(name, sizeof name, "_%u._tcp.%.*s", port, FMT(slice_head(base, DOMAIN_MAX)));

	return fact(facts, slice_of(name, (size_t)n), RR_TLSA);
}

void
dane_ask(const struct mx_host *host, uint16_t port, struct facts *facts)
{
	tlsa_at(host->name, port, facts);
}

static bool
unknown(struct dane *dane, const char *what, struct slice name, const struct fact *f,
    struct arena *arena)
{
	dane->state = DANE_UNKNOWN;
	dane->why = arena_printf(arena, "the %s of %.*s cannot be looked up: %.*s", what,
	    FMT(name), FMT(f->why));
	return true;
}

static bool
absent(struct dane *dane, struct slice why)
{
	dane->state = DANE_ABSENT;
	dane->why = why;
	return true;
}

/* The records at one candidate: true when they decide (RFC 7672 2.2.3). */
static bool
try_base(struct dane *dane, struct slice base, const struct fact *f, struct arena *arena)
{
	if (f->answer == ANSWER_BROKEN)
		return unknown(dane, "TLSA records", base, f, arena);
	if (f->answer != ANSWER_FOUND || f->security != DNS_SECURE)
		return false;
	dane->base = base;
	if (!tlsa_read(&dane->set, f, arena)) {
		dane->state = DANE_UNKNOWN;
		dane->why = S("there is no memory left for the TLSA records");
	} else {
		dane->state = dane->set.usable > 0 ? DANE_USABLE : DANE_UNUSABLE;
		dane->why = S("none of its TLSA records is usable");
	}
	return true;
}

/* Everything behind the CNAMEs is signed: first there, then at the host's own name. */
static bool
find_behind_secure_alias(struct dane *dane, const struct mx_host *h, uint16_t port,
    struct facts *facts, struct arena *arena)
{
	const struct fact *there = tlsa_at(h->canonical, port, facts);
	const struct fact *here = tlsa_at(h->name, port, facts);

	if (there == NULL)
		return false;
	if (try_base(dane, h->canonical, there, arena))
		return true;
	return here != NULL && (try_base(dane, h->name, here, arena) ||
	    absent(dane, S("it has no secure TLSA records")));
}

/*
 * The end of the CNAMEs is not signed, but the first one may be: then only the
 * own name counts.  Both are asked for together, and if the first one is not
 * signed either nobody waits for the other answer.
 */
static bool
find_at_insecure_alias(struct dane *dane, const struct mx_host *h, uint16_t port,
    struct facts *facts, struct arena *arena)
{
	const struct fact *alias = fact(facts, h->name, RR_CNAME);
	const struct fact *here = tlsa_at(h->name, port, facts);

	if (alias == NULL)
		return false;
	if (alias->answer == ANSWER_BROKEN)
		return unknown(dane, "CNAME", h->name, alias, arena);
	if (alias->answer != ANSWER_FOUND || alias->security != DNS_SECURE)
		return absent(dane, S("its addresses are not signed"));
	return here != NULL && (try_base(dane, h->name, here, arena) ||
	    absent(dane, S("it has no secure TLSA records")));
}

bool
dane_find(struct dane *dane, const struct mx_host *h, uint16_t port, struct facts *facts,
    struct arena *arena)
{
	const struct fact *here;

	*dane = (struct dane){ .base = h->name, .alias = !slice_eqi(h->name, h->canonical) };
	if (h->security != DNS_SECURE)
		return dane->alias ? find_at_insecure_alias(dane, h, port, facts, arena)
		    : absent(dane, S("its addresses are not signed"));
	if (dane->alias)
		return find_behind_secure_alias(dane, h, port, facts, arena);
	here = tlsa_at(h->name, port, facts);
	return here != NULL && (try_base(dane, h->name, here, arena) ||
	    absent(dane, S("it has no secure TLSA records")));
}
