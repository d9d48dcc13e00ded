/* SPDX-License-Identifier: ISC */
/* pure */
#include <openssl/evp.h>

#include "base/bug.h"
#include "delivery/plan.h"

const char *
need_name(enum need need)
{
	static const char *const names[] = { "nothing", "tls", "pkix", "dane" };

	return names[need];
}

/* The word in the log, and how a sentence about it begins. */
static const struct { const char *name, *title; } POLICIES[] = {
	[PLAN_OPPORTUNISTIC] = { "opportunistic", "TLS" },
	[PLAN_DANE] = { "dane", "DANE" },
	[PLAN_DANE_UNUSABLE] = { "dane-unusable", "DANE" },
	[PLAN_STS_ENFORCE] = { "sts-enforce", "MTA-STS" },
	[PLAN_STS_TESTING] = { "sts-testing", "MTA-STS" },
	[PLAN_ENCRYPT] = { "encrypt", "tls require encrypt" },
	[PLAN_VERIFIED] = { "verified", "tls require verified" },
	[PLAN_REQUIRE_DANE] = { "require-dane", "tls require dane" },
	[PLAN_REQUIRE_STS] = { "require-sts", "tls require sts" },
	[PLAN_REQUIRE_DANE_OR_STS] = { "require-dane-or-sts", "tls require dane-or-sts" },
	[PLAN_REQUIRETLS] = { "requiretls", "REQUIRETLS" },
};

const char *
plan_policy_name(enum plan_policy policy)
{
	return POLICIES[policy].name;
}

const char *
plan_policy_title(enum plan_policy policy)
{
	return POLICIES[policy].title;
}

/* --- making -------------------------------------------------------------- */

void
plan_add_name(struct plan_host *h, struct slice name)
{
	for (size_t i = 0; i < h->name_count; i++)
		if (slice_eqi(h->names[i], name))
			return;
	bug_if(h->name_count == PLAN_NAMES_MOST);
	h->names[h->name_count++] = name;
}

void
plan_label_tlsa(struct plan_host *h, struct slice base, const struct tlsa_set *set,
    struct arena *arena)
{
	struct slice *strings = arena_get(arena, (set->count + 1) * sizeof *strings);

	h->label = (struct tlsrpt_label){ .type = TLSRPT_TLSA, .domain = base };
	for (size_t i = 0; i < set->count && strings != NULL; i++)
		strings[i] = tlsa_text(&set->records[i], arena);
	h->label.strings = strings;
	h->label.string_count = strings != NULL ? set->count : 0;
}

struct tlsrpt_label
plan_sts_label(struct slice domain, const struct sts_policy *policy, struct arena *arena)
{
	struct slice rest = policy->text, line, *strings;
	size_t n = 0;

	while (n < PLAN_STRINGS_MOST && sts_policy_line(&rest, &line))
		n++;
	strings = arena_get(arena, (n + 1) * sizeof *strings);
	rest = policy->text;
	for (n = 0; n < PLAN_STRINGS_MOST && strings != NULL && sts_policy_line(&rest, &line); n++)
		strings[n] = line;
	return (struct tlsrpt_label){ .type = TLSRPT_STS, .domain = domain, .strings = strings,
	    .string_count = n, .mx = policy->mx, .mx_count = policy->mx_count };
}

void
plan_label_sts(struct plan_host *h, struct slice domain, const struct sts_policy *policy,
    struct arena *arena)
{
	h->label = plan_sts_label(domain, policy, arena);
}

/* Everything is hashed with its length, so that no two plans run together. */
static void
hash(EVP_MD_CTX *digest, struct slice bytes)
{
	uint64_t n = bytes.n;

	bug_if(EVP_DigestUpdate(digest, &n, sizeof n) != 1);
	bug_if(EVP_DigestUpdate(digest, bytes.p, bytes.n) != 1);
}

/*
 * What decides whether a session proves as much as this host asks for; its SNI is a name.
 * The rule is in it: what is said of a connection is what it was opened for.
 */
static void
hash_proof(EVP_MD_CTX *digest, const struct plan_host *h, uint16_t port)
{
	const uint64_t numbers[] = { port, h->need, h->watch, h->policy, h->requiretls,
		h->name_count, h->tlsa.count };

	hash(digest, slice_of(numbers, sizeof numbers));
	hash(digest, h->name);
	for (size_t i = 0; i < h->name_count; i++)
		hash(digest, h->names[i]);
	for (size_t i = 0; i < h->tlsa.count; i++)
		hash(digest, h->tlsa.records[i].rdata);
}

void
plan_make_key(struct plan_host *h, uint16_t port)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	unsigned n = 0;

	bug_if(digest == NULL || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1);
	hash_proof(digest, h, port);
	bug_if(EVP_DigestFinal_ex(digest, h->key, &n) != 1 || n != PLAN_KEY);
	EVP_MD_CTX_free(digest);
}

/* --- showing ------------------------------------------------------------- */

static void
add_records(const struct plan_host *h, struct buf *b)
{
	for (size_t i = 0; i < h->tlsa.count; i++) {
		const struct tlsa *t = &h->tlsa.records[i];

		if (t->use == TLSA_USABLE)
			buf_printf(b, " %u.%u.%u", t->usage, t->selector, t->matching);
	}
}

static void
add_need(const struct plan_host *h, struct buf *b)
{
	buf_printf(b, "needs %s", need_name(h->need));
	if (h->need == NEED_DANE)
		add_records(h, b);
	if (h->watch > h->need) {
		buf_printf(b, ", watches %s", need_name(h->watch));
		if (h->watch == NEED_DANE)
			add_records(h, b);
	}
	if (h->watch >= NEED_PKIX) {
		buf_add(b, S(", names"));
		for (size_t i = 0; i < h->name_count; i++)
			buf_printf(b, " %.*s", FMT(h->names[i]));
	}
	if (h->requiretls)
		buf_add(b, S(", requiretls"));
}

static void
add_status(const struct status *s, struct buf *b)
{
	buf_printf(b, "no: %u.%u.%u %.*s", s->class, s->subject, s->detail, FMT(s->text));
}

void
plan_text(const struct plan *plan, struct buf *b)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_host *h = &plan->hosts[i];

		buf_printf(b, "%u %.*s  ", h->preference, FMT(h->name));
		if (h->go)
			add_need(h, b);
		else
			add_status(&h->why_not, b);
		buf_printf(b, "; %s %.*s", tlsrpt_policy_name(h->label.type), FMT(h->label.domain));
		if (h->flaw != TLSRPT_SUCCESS)
			buf_printf(b, " %s", tlsrpt_result_name(h->flaw));
		buf_byte(b, '\n');
	}
	if (plan->count == 0) {
		add_status(&plan->status, b);
		buf_byte(b, '\n');
	}
}
