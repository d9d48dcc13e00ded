/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/iprev.h"
#include "mail/domain.h"

static bool
conclude(struct iprev *v, enum iprev_result result, struct slice name)
{
	v->result = result;
	v->name = name;
	return v->concluded = true;
}

static bool
leads_to(const struct fact *f, struct ip client)
{
	for (size_t i = 0; i < f->count; i++)
		if (ip_eq(ip_of(f->records[i].data), client))
			return true;
	return false;
}

/* The addresses of every name, asked together; the first that leads back decides. */
static bool
check_names(struct iprev *v, const struct fact *names, struct facts *facts)
{
	bool missing = false, broken = false;

	for (size_t i = 0; i < names->count && i < IPREV_NAMES; i++) {
		struct slice name = domain_normal(names->records[i].data, facts->arena);
		const struct fact *f;

		if (name.p == NULL)
			continue;
		f = fact(facts, name, v->client.n == 4 ? RR_A : RR_AAAA);
		if (f != NULL && !missing && leads_to(f, v->client))
			return conclude(v, IPREV_PASS, name);
		missing |= f == NULL;
		broken |= f != NULL && f->answer == ANSWER_BROKEN;
	}
	return !missing && conclude(v, broken ? IPREV_TEMPERROR : IPREV_FAIL, NONE);
}

bool
iprev_evaluate(struct iprev *v, struct ip client, struct facts *facts)
{
	char reverse[IP_REVERSE];
	const struct fact *names;

	if (v->concluded)
		return true;
	v->client = ip_unmapped(client);
	ip_reverse(v->client, reverse);
	if ((names = fact(facts, slice(reverse), RR_PTR)) == NULL)
		return false;
	if (names->answer == ANSWER_BROKEN)
		return conclude(v, IPREV_TEMPERROR, NONE);
	if (names->answer != ANSWER_FOUND)
		return conclude(v, IPREV_PERMERROR, NONE);
	return check_names(v, names, facts);
}

const char *
iprev_result_name(enum iprev_result result)
{
	static const char *const names[] = { "pass", "fail", "temperror", "permerror" };

	return names[result];
}

void
iprev_authres(const struct iprev *v, struct authres *a)
{
	char text[IP_TEXT];

	ip_text(v->client, text);
	authres_add(a, "iprev", iprev_result_name(v->result));
	authres_property(a, "policy.iprev", arena_copy(a->arena, slice(text)));
}
