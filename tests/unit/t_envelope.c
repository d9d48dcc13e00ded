/* SPDX-License-Identifier: ISC */
#include "base/pack.h"
#include "packed.h"
#include "queue/envelope.h"

static struct recipient RECIPIENTS[] = {
	{ S_INIT("a@x.test"), S_INIT("rfc822;A@x.test"), NOTIFY_FAILURE | NOTIFY_DELAY, NO_RECIPIENT },
	{ S_INIT("\"b c\"@y.test"), { NULL, 0 }, 0, NO_RECIPIENT },
	{ S_INIT("member@z.test"), { NULL, 0 }, NOTIFY_NEVER, 0 },
};
static struct span OMIT[] = { { 0, 10 }, { 40, 5 }, { 95, 5 } };

/* Everything that can be said is said. */
static struct envelope
full(void)
{
	struct envelope e = {
		.id = 0x123456789abcdef, .arrival = 1795342332412, .sender = S("s@x.test"),
		.recipients = RECIPIENTS, .count = COUNT(RECIPIENTS),
		.listener = S("submission"), .helo = S("host.x.test"), .login = S("ann"), .relayed = true,
		.smtputf8 = true, .eight_bit = true, .requiretls = true, .tls_optional = true,
		.ret = RET_HDRS, .envid = S("id 1"), .trace = S("Received: from x\r\n"),
		.omit = OMIT, .omitted = COUNT(OMIT), .header_size = 100, .size = 1000, .hashed = true,
		.verdict = S_INIT("\1\2\3"), .parent = 77, .parent_recipient = 3, .hold = true, .srs = true,
		.bulk = true, .summed = true, .content_sum = 0xfedcba98,
	};

	ip_parse(S("2001:db8::1"), &e.client);
	memset(e.body_hash, 0xab, BODY_HASH);
	return e;
}

static void
assert_same_recipients(const struct recipient *a, const struct recipient *b, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_true(slice_eq(a[i].address, b[i].address) && slice_eq(a[i].orcpt, b[i].orcpt));
		assert_int_equal(a[i].notify, b[i].notify);
		assert_int_equal(a[i].parent, b[i].parent);
	}
}

static void
assert_same(const struct envelope *a, const struct envelope *b)
{
	assert_int_equal(a->id, b->id);
	assert_int_equal(a->arrival, b->arrival);
	assert_int_equal(a->count, b->count);
	assert_same_recipients(a->recipients, b->recipients, a->count);
	assert_true(slice_eq(a->sender, b->sender) && slice_eq(a->listener, b->listener));
	assert_true(slice_eq(a->helo, b->helo) && slice_eq(a->login, b->login));
	assert_true(ip_eq(a->client, b->client) && a->relayed == b->relayed);
	assert_true(a->smtputf8 == b->smtputf8 && a->eight_bit == b->eight_bit);
	assert_true(a->requiretls == b->requiretls && a->tls_optional == b->tls_optional);
	assert_true(a->ret == b->ret && slice_eq(a->envid, b->envid));
	assert_true(slice_eq(a->trace, b->trace) && slice_eq(a->verdict, b->verdict));
	assert_int_equal(a->omitted, b->omitted);
	for (size_t i = 0; i < a->omitted; i++)
		assert_true(a->omit[i].at == b->omit[i].at && a->omit[i].n == b->omit[i].n);
	assert_true(a->header_size == b->header_size && a->size == b->size);
	assert_int_equal(a->hashed, b->hashed);
	assert_memory_equal(a->body_hash, b->body_hash, BODY_HASH);
	assert_true(a->parent == b->parent && a->parent_recipient == b->parent_recipient);
	assert_int_equal(a->hold, b->hold);
	assert_int_equal(a->srs, b->srs);
	assert_int_equal(a->bulk, b->bulk);
	assert_true(a->summed == b->summed && a->content_sum == b->content_sum);
}

static void
an_envelope_comes_back(void **state)
{
	struct envelope e = full(), least = { .id = 1, .parent_recipient = NO_RECIPIENT }, got;

	(void)state;
	envelope_pack(&e, &bytes);
	assert_true(envelope_unpack(&got, buf_slice(&bytes), arena, NULL));
	assert_same(&e, &got);
	buf_clear(&bytes);
	envelope_pack(&least, &bytes);
	assert_true(envelope_unpack(&got, buf_slice(&bytes), arena, NULL));
	assert_same(&least, &got);
}

static void
a_cut_or_longer_envelope_is_refused(void **state)
{
	struct envelope e = full(), got;
	struct error why = { 0 };

	(void)state;
	envelope_pack(&e, &bytes);
	for (size_t n = 0; n < bytes.n; n++) {
		arena_reset(arena);
		assert_case(!envelope_unpack(&got, slice_head(buf_slice(&bytes), n), arena, &why), n, "cut");
	}
	buf_byte(&bytes, 0);
	assert_false(envelope_unpack(&got, buf_slice(&bytes), arena, &why));
	assert_string_equal(why.text, "the envelope is damaged");
}

static void
a_newer_version_is_refused_by_name(void **state)
{
	struct envelope e = full(), got;
	struct recipient_state s;
	struct error why = { 0 };

	(void)state;
	envelope_pack(&e, &bytes);
	bytes.p[0] = 9;
	assert_false(envelope_unpack(&got, buf_slice(&bytes), arena, &why));
	assert_string_equal(why.text, "the envelope has version 9, this program knows up to 1");
	assert_false(state_unpack(&s, buf_slice(&bytes), arena, &why));
	assert_string_equal(why.text, "the recipient's state has version 9, this program knows up to 1");
}

/* One value is wrong. */
static void wrong_id(struct envelope *e)       { e->id = ID_MOST + 1; }
static void no_id(struct envelope *e)          { e->id = 0; }
static void wrong_parent(struct envelope *e)   { e->parent = UINT64_MAX; }
static void before_1970(struct envelope *e)    { e->arrival = -1; }
static void wrong_ret(struct envelope *e)      { e->ret = (enum ret)3; }
static void wrong_client(struct envelope *e)   { e->client.n = 5; }
static void header_over_all(struct envelope *e) { e->header_size = e->size + 1; }
static void omits_the_body(struct envelope *e) { e->omit = (struct span[]){ { 99, 2 } }; e->omitted = 1; }
static void omits_nothing(struct envelope *e)  { e->omit = (struct span[]){ { 9, 0 } }; e->omitted = 1; }
static void omits_twice(struct envelope *e)    { e->omit = (struct span[]){ { 9, 9 }, { 17, 1 } }; e->omitted = 2; }
static void omits_round(struct envelope *e)    { e->omit = (struct span[]){ { 9, UINT64_MAX - 5 } }; e->omitted = 1; }
static void too_large(struct envelope *e)      { e->size = UINT64_MAX; }
static void own_parent(struct envelope *e)
{
	static struct recipient r[] = { { S_INIT("a@x.test"), { NULL, 0 }, 0, 0 } };

	e->recipients = r;
	e->count = 1;
}
static void odd_notify(struct envelope *e)
{
	static struct recipient r[] = { { S_INIT("a@x.test"), { NULL, 0 }, 16, NO_RECIPIENT } };

	e->recipients = r;
	e->count = 1;
}

static void
impossible_values_are_refused(void **state)
{
	static void (*const wrong[])(struct envelope *) = {
		wrong_id, no_id, wrong_parent, before_1970, wrong_ret, wrong_client, header_over_all,
		omits_the_body, omits_nothing, omits_twice, omits_round, too_large, own_parent, odd_notify,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct envelope e = full(), got;

		wrong[i](&e);
		buf_clear(&bytes);
		envelope_pack(&e, &bytes);
		assert_case(!envelope_unpack(&got, buf_slice(&bytes), arena, NULL), i, "accepted");
	}
}

static void
a_wrong_count_costs_no_memory(void **state)
{
	struct envelope e = { .id = 1 }, got;
	size_t count_at = 2 + 8 + 8 + 2 + 4;

	(void)state;
	envelope_pack(&e, &bytes);
	memset(bytes.p + count_at, 0xff, 2);
	assert_false(envelope_unpack(&got, buf_slice(&bytes), arena, NULL));
	assert_in_range(arena_spent(arena), 0, 100);
}

static void
an_arena_that_is_full_is_a_failure(void **state)
{
	struct arena *small = arena_new(50);
	struct envelope e = full(), got;
	struct error why = { 0 };

	(void)state;
	envelope_pack(&e, &bytes);
	assert_false(envelope_unpack(&got, buf_slice(&bytes), small, &why));
	assert_non_null(strstr(why.text, "memory"));
	arena_free(small);
}

static void
a_summary_keeps_what_a_list_shows(void **state)
{
	struct envelope e = full(), s = envelope_summary(&e), got;

	(void)state;
	envelope_pack(&s, &bytes);
	assert_true(envelope_unpack(&got, buf_slice(&bytes), arena, NULL));
	assert_int_equal(got.id, e.id);
	assert_int_equal(got.arrival, e.arrival);
	assert_int_equal(got.size, e.size);
	assert_true(slice_eq(got.sender, e.sender) && got.hold && got.requiretls);
	assert_int_equal(got.count, e.count);
	assert_int_equal(got.trace.n + got.verdict.n + got.helo.n + got.omitted + got.hashed + got.summed, 0);
}

/* --- what goes out ---------------------------------------------------------- */

static const struct {
	struct span omit[3];
	size_t      omitted;
	const char *trace, *out;        /* of the message "0123456789", header_size 8 */
} piece_cases[] = {
	{ { { 0, 0 } }, 0, "T", "T0123456789" },
	{ { { 0, 0 } }, 0, "", "0123456789" },
	{ { { 0, 3 } }, 1, "T", "T3456789" },
	{ { { 5, 3 } }, 1, "T", "T0123489" },
	{ { { 0, 2 }, { 2, 2 }, { 6, 1 } }, 3, "Tr", "Tr45789" },
	{ { { 0, 8 } }, 1, "", "89" },
};

static void
what_goes_out_is_trace_and_message_without_the_omitted(void **state)
{
	const char *message = "0123456789";

	(void)state;
	for (size_t i = 0; i < COUNT(piece_cases); i++) {
		struct span omit[3];
		struct envelope e = { .id = 1, .trace = slice(piece_cases[i].trace), .omit = omit,
			.omitted = piece_cases[i].omitted, .header_size = 8, .size = 10 };
		struct buf out = BUF(100);
		struct piece p;
		size_t at = 0;

		memcpy(omit, piece_cases[i].omit, sizeof omit);
		while (envelope_piece(&e, &at, &p)) {
			assert_true(p.span.n > 0);
			buf_add(&out, slice_of((p.trace ? e.trace.p : message) + p.span.at, p.span.n));
		}
		assert_slice(buf_slice(&out), piece_cases[i].out);
		assert_int_equal(envelope_size(&e), out.n);
		buf_free(&out);
	}
}

static void
a_message_of_nothing_has_no_pieces(void **state)
{
	struct envelope e = { .id = 1 };
	struct piece p;
	size_t at = 0;

	(void)state;
	assert_false(envelope_piece(&e, &at, &p));
	assert_false(envelope_piece(&e, &at, &p));
}

/* --- recipients --------------------------------------------------------------- */

static void
a_state_comes_back(void **state)
{
	struct recipient_state s = {
		.recipient = 70000, .stage = RECIPIENT_WAITING, .until = 1795342332412, .tried = 5,
		.attempts = 3, .told = NOTIFY_DELAY, .host = S("mx.x.test"),
		.last = { 450, 4, 2, 0, S("greylisted"), true },
	}, got;

	(void)state;
	state_pack(&s, &bytes);
	assert_int_equal(state_recipient(buf_slice(&bytes)), 70000);
	assert_true(state_unpack(&got, buf_slice(&bytes), arena, NULL));
	assert_int_equal(got.recipient, 70000);
	assert_int_equal(got.stage, RECIPIENT_WAITING);
	assert_true(got.until == s.until && got.tried == 5 && got.attempts == 3);
	assert_int_equal(got.told, NOTIFY_DELAY);
	assert_slice(got.host, "mx.x.test");
	assert_true(got.last.reply == 450 && got.last.class == 4 && got.last.subject == 2 && got.last.uncoded);
	assert_slice(got.last.text, "greylisted");
	for (size_t n = 0; n < bytes.n; n++)
		assert_false(state_unpack(&got, slice_head(buf_slice(&bytes), n), arena, NULL));
}

static void
an_expansion_brings_its_recipients(void **state)
{
	struct recipient made[] = {
		{ S_INIT("m@x.test"), { NULL, 0 }, NOTIFY_NEVER, 1 },
		{ S_INIT("n@x.test"), { NULL, 0 }, 0, 1 },
	};
	struct recipient_state s = { .recipient = 1, .stage = RECIPIENT_EXPANDED, .first = 3,
		.made = made, .count = 2 }, got;

	(void)state;
	state_pack(&s, &bytes);
	assert_true(state_unpack(&got, buf_slice(&bytes), arena, NULL));
	assert_int_equal(got.first, 3);
	assert_int_equal(got.count, 2);
	assert_same_recipients(got.made, made, 2);
	s.first = RECIPIENTS_MOST - 1;                  /* one too many */
	buf_clear(&bytes);
	state_pack(&s, &bytes);
	assert_false(state_unpack(&got, buf_slice(&bytes), arena, NULL));
}

static void
what_is_no_state_is_nobodys(void **state)
{
	struct recipient_state s = { .recipient = RECIPIENTS_MOST, .stage = RECIPIENT_DONE }, got;

	(void)state;
	assert_int_equal(state_recipient(S("")), NO_RECIPIENT);
	assert_int_equal(state_recipient(S("\1\0\0")), NO_RECIPIENT);
	state_pack(&s, &bytes);
	assert_int_equal(state_recipient(buf_slice(&bytes)), NO_RECIPIENT);
	assert_false(state_unpack(&got, buf_slice(&bytes), arena, NULL));
	s = (struct recipient_state){ .recipient = 0, .stage = 0 };
	buf_clear(&bytes);
	state_pack(&s, &bytes);
	assert_false(state_unpack(&got, buf_slice(&bytes), arena, NULL));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_envelope_comes_back),
		T(a_cut_or_longer_envelope_is_refused),
		T(a_newer_version_is_refused_by_name),
		T(impossible_values_are_refused),
		T(a_wrong_count_costs_no_memory),
		T(an_arena_that_is_full_is_a_failure),
		T(a_summary_keeps_what_a_list_shows),
		T(what_goes_out_is_trace_and_message_without_the_omitted),
		T(a_message_of_nothing_has_no_pieces),
		T(a_state_comes_back),
		T(an_expansion_brings_its_recipients),
		T(what_is_no_state_is_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
