/* SPDX-License-Identifier: ISC */
/* The steps of a change of our own MTA-STS policy, and their order (RFC 8461 8). */
#include "sts/change.h"
#include "sts/ours.h"
#include "unit.h"

/* The id that the configuration asks for, in the table: */
#define WANTED "wanted"
#define TESTING_7D "version: STSv1\nmode: testing\nmx: mx.a.test\nmax_age: 604800\n"
#define TESTING_1D "version: STSv1\r\nmode: testing\r\nmx: mx.a.test\r\nmax_age: 86400\r\n"
#define ENFORCE_7D "version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmax_age: 604800\r\n"
#define NONE_1D "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"

static const struct {
	enum sts_serving wanted;
	int64_t          age;           /* days */
	enum live        live;
	const char      *id;            /* of LIVE_VALID */
	const char      *served;        /* the policy file; NULL: the fetch failed */
	const char      *mx;            /* a host of the MX records; NULL: none, "." and "?" as below */
	bool             here;
	size_t           count;
	const char      *says[4];       /* each step in turn; of no steps: the note */
} cases[] = {
	/* for the first time: the policy, then the record */
	{ SERVE_TESTING, 7, LIVE_NONE, NULL, NULL, "mx.a.test", true, 2,
	    { "Serve the policy: let mta-sts.a.test lead to this machine, with a certificate for that name, and reload. "
	      "(Now: it rains.)", "Then publish the record: _mta-sts.a.test TXT \"v=STSv1; id=wanted\"." } },
	{ SERVE_TESTING, 7, LIVE_NONE, NULL, NULL, "mx.a.test", false, 2,
	    { "what \"chainmail sts export\" writes. (Now: it rains.)", "Then publish the record" } },
	{ SERVE_TESTING, 7, LIVE_NONE, NULL, TESTING_7D, "mx.a.test", true, 1, { "Then publish the record" } },
	{ SERVE_TESTING, 7, LIVE_BROKEN, NULL, TESTING_7D, "mx.a.test", true, 1,
	    { "Then publish one valid record and no other" } },
	{ SERVE_ENFORCE, 7, LIVE_VALID, WANTED, NULL, "mx.a.test", true, 1, { "Serve the policy" } },
	/* all is done; whoever serves it may end lines otherwise, whoever writes a name, too */
	{ SERVE_TESTING, 7, LIVE_VALID, WANTED, TESTING_7D, "MX.A.test", true, 0, { "say \"sts enforce\"" } },
	{ SERVE_ENFORCE, 7, LIVE_VALID, WANTED, ENFORCE_7D, "mx.a.test", true, 0, { "" } },
	{ SERVE_NONE, 1, LIVE_VALID, WANTED, NONE_1D, "mx.a.test", true, 0,
	    { "When the max-age of the policy before it is over, take down its TXT record. Then ask." } },
	/* a change: policy, id, and the old one is kept for its max_age (8.1) */
	{ SERVE_ENFORCE, 7, LIVE_VALID, "old", TESTING_1D, "mx.a.test", true, 3,
	    { "Serve the policy: let mta-sts.a.test lead to this machine, with a certificate for that name, and reload. "
	      "(Now: mode testing, max-age 1d.)", "Then change the id: _mta-sts.a.test TXT \"v=STSv1; id=wanted\". (Now: old.)",
	      "For 1d from then on, senders that have not looked may act by the old policy (mode testing)" } },
	{ SERVE_ENFORCE, 7, LIVE_VALID, "old", ENFORCE_7D, "mx.a.test", true, 1, { "Then change the id" } },
	{ SERVE_TESTING, 7, LIVE_VALID, "old", NONE_1D, "mx.a.test", true, 2, { "Serve the policy", "Then change the id" } },
	/* the id came first: whoever looked meanwhile has the old policy under it */
	{ SERVE_ENFORCE, 7, LIVE_VALID, WANTED, TESTING_1D, "mx.a.test", true, 3,
	    { "Serve the policy", "The record names the new id already", "For 1d from then on" } },
	/* a host that the policy does not name gets no mail (4.1): before everything else */
	{ SERVE_ENFORCE, 7, LIVE_VALID, "old", ENFORCE_7D, "mx2.b.test", true, 2,
	    { "Name mx2.b.test in \"mx\" of a.test, or take the MX record down", "Then change the id" } },
	{ SERVE_TESTING, 7, LIVE_VALID, WANTED, TESTING_7D, "mx2.b.test", true, 1, { "Name mx2.b.test" } },
	/* where mail goes to when no MX record says it, and where nobody knows (RFC 5321 5.1, RFC 7505) */
	{ SERVE_ENFORCE, 7, LIVE_VALID, WANTED, ENFORCE_7D, NULL, true, 1,
	    { "there are none, so mail goes to a.test itself, which the policy does not name." } },
	{ SERVE_ENFORCE, 7, LIVE_VALID, WANTED, ENFORCE_7D, ".", true, 1, { "a.test takes no mail." } },
	{ SERVE_ENFORCE, 7, LIVE_VALID, WANTED, ENFORCE_7D, "?", true, 1,
	    { "Ask again: the DNS does not tell the MX records of a.test." } },
	{ SERVE_TESTING, 7, LIVE_NONE, NULL, NULL, NULL, true, 3,
	    { "Publish the MX records that \"chainmail dns-records a.test\" prints", "Serve the policy", "Then publish" } },
	{ SERVE_NONE, 1, LIVE_VALID, WANTED, NONE_1D, "?", true, 0, { "take down its TXT record" } },
	/* taking it back (8.3): mode none first, and time */
	{ SERVE_NONE, 1, LIVE_VALID, "old", ENFORCE_7D, "mx2.b.test", true, 3,
	    { "Serve the policy", "Then change the id", "For 7d from then on" } },
	{ SERVE_OFF, 7, LIVE_VALID, "old", ENFORCE_7D, "mx.a.test", true, 2,
	    { "Say \"sts none max-age 1d\" in the block of a.test and reload", "Then ask again" } },
	/* then the record; then it is off: nothing leads in a circle */
	{ SERVE_NONE, 1, LIVE_NONE, NULL, NONE_1D, "mx.a.test", true, 0,
	    { "No record leads to a policy: when the max-age of the last one is over, say \"sts off\" and reload." } },
	{ SERVE_NONE, 1, LIVE_NONE, NULL, NULL, "mx.a.test", true, 0, { "say \"sts off\"" } },
	{ SERVE_NONE, 1, LIVE_NONE, NULL, ENFORCE_7D, "mx.a.test", true, 2, { "Serve the policy", "Then publish the record" } },
	/* off too early, or with a record that was left there: we cannot see which */
	{ SERVE_OFF, 7, LIVE_VALID, "old", NULL, "mx.a.test", true, 3,
	    { "If a policy of mode none stood there until the one before it had run out, take the record _mta-sts.a.test down",
	      "If not, say \"sts none max-age 1d\" in the block of a.test and reload", "Then ask again" } },
	{ SERVE_OFF, 7, LIVE_BROKEN, NULL, NULL, "mx.a.test", true, 3,
	    { "If a policy of mode none", "If not, say \"sts none", "Then ask again" } },
	{ SERVE_OFF, 7, LIVE_NONE, NULL, ENFORCE_7D, "mx.a.test", true, 2, { "Say \"sts none", "Then ask again" } },
	{ SERVE_OFF, 7, LIVE_VALID, "old", NONE_1D, "mx.a.test", true, 3,
	    { "Wait until", "Then take the record _mta-sts.a.test down", "Then take the policy host mta-sts.a.test down" } },
	{ SERVE_OFF, 7, LIVE_NONE, NULL, NONE_1D, "mx.a.test", true, 0, { "" } },
	{ SERVE_OFF, 7, LIVE_NONE, NULL, NULL, "mx.a.test", true, 0, { "" } },
	/* nothing is said about what cannot be seen */
	{ SERVE_ENFORCE, 7, LIVE_UNKNOWN, NULL, ENFORCE_7D, "mx.a.test", true, 1, { "Ask again" } },
	{ SERVE_OFF, 7, LIVE_UNKNOWN, NULL, NULL, "mx.a.test", true, 1, { "Ask again" } },
};

static struct domain_conf
wanted(size_t i, struct slice *mx)
{
	*mx = S("mx.a.test");
	return (struct domain_conf){ .name = S("a.test"), .mx = mx, .mx_count = 1, .sts = cases[i].wanted,
	    .sts_max_age = cases[i].age * DAY };
}

static void
id_of(const struct domain_conf *d, char id[OURS_ID + 1])
{
	struct buf text = BUF(OURS_POLICY_MOST);

	ours_policy_add(&text, d);
	ours_id(buf_slice(&text), id);
	buf_free(&text);
}

/* What is expected, with the id in place of its word. */
static bool
is_said(struct slice text, const char *want, const char *id)
{
	struct buf whole = BUF(4096);
	const char *at = strstr(want, "=" WANTED);
	bool found;

	if (at != NULL)
		buf_printf(&whole, "%.*s=%s%s", (int)(at - want), want, id, at + sizeof WANTED);
	else
		buf_add(&whole, slice(want));
	found = whole.n == 0 ? text.n == 0 : memmem(text.p, text.n, whole.p, whole.n) != NULL;
	if (!found)
		print_error("got  %.*s\nwant %.*s\n", FMT(text), FMT(buf_slice(&whole)));
	buf_free(&whole);
	return found;
}

static enum change_mx
mx_of(const char *mx)
{
	return mx == NULL ? CHANGE_MX_NONE : strcmp(mx, ".") == 0 ? CHANGE_MX_NULL
	    : strcmp(mx, "?") == 0 ? CHANGE_MX_UNKNOWN : CHANGE_MX_FOUND;
}

static void
look_at_case(size_t i, struct arena *arena)
{
	struct slice own, mx = slice(cases[i].mx != NULL ? cases[i].mx : "");
	struct domain_conf d = wanted(i, &own);
	struct sts_record record = { .live = cases[i].live };
	struct sts_fetch fetch = { .result = TLSRPT_STS_POLICY_FETCH_ERROR, .reason = S("it rains") };
	enum change_mx mx_is = mx_of(cases[i].mx);
	struct change_question q = { &d, cases[i].here, &record, &fetch, mx_is, &mx, mx_is == CHANGE_MX_FOUND };
	char id[OURS_ID + 1];
	struct change change;
	struct error why;

	id_of(&d, id);
	if (cases[i].id != NULL)
		record.id = strcmp(cases[i].id, WANTED) == 0 ? slice(id) : slice(cases[i].id);
	if (cases[i].served != NULL) {
		assert_true(sts_policy_parse(&fetch.policy, slice(cases[i].served), arena, &why));
		fetch.result = TLSRPT_SUCCESS;
	}
	sts_change(&change, &q, arena);
	assert_case(change.count == cases[i].count, i, "how many steps");
	for (size_t j = 0; j < change.count; j++)
		assert_case(is_said(change.step[j], cases[i].says[j], id), i, "a step");
	if (change.count == 0)
		assert_case(is_said(change.note, cases[i].says[0], id), i, "the note");
}

static void
steps_come_in_a_safe_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena *arena = arena_new(1 << 20);

		look_at_case(i, arena);
		arena_free(arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_come_in_a_safe_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
