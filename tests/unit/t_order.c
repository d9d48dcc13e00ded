/* SPDX-License-Identifier: ISC */
/* What the queue and its deliverers say to each other, packed, cut, and changed (queue/order). */
#include "packed.h"
#include "queue/order.h"

static struct order_recipient RECIPIENTS[] = {
	{ 3, S_INIT("a@x.test"), S_INIT("rfc822;a@first.test"), NOTIFY_NEVER },
	{ 70000, S_INIT("b@x.test"), S_INIT(""), NOTIFY_SUCCESS | NOTIFY_DELAY },
};

static struct order
an_order(void)
{
	return (struct order){ .number = 1, .id = 2, .kind = ORDER_LMTP, .domain = S("x.test"),
	    .place = S("127.0.0.1:24"), .sender = S("s@y.test"), .recipients = RECIPIENTS, .count = 2,
	    .ret = RET_HDRS, .envid = S("id"), .arrived = 1795342332000, .head = S("Subject: x\r\n"),
	    .body = S("\r\nbody\0\r\n"), .file_at = 5, .file_size = UINT64_MAX,
	    .file_sum = { true, 0x89abcdef, UINT32_MAX } };
}

/* --- orders --------------------------------------------------------------------------- */

static void
test_round_trip(void **state)
{
	struct order got, in = an_order();

	(void)state;
	order_pack(&in, &bytes);
	assert_true(order_unpack(&got, buf_slice(&bytes), arena));
	assert_int_equal(got.number, 1);
	assert_int_equal(got.id, 2);
	assert_int_equal(got.kind, ORDER_LMTP);
	assert_slice(got.domain, "x.test");
	assert_slice(got.place, "127.0.0.1:24");
	assert_slice(got.sender, "s@y.test");
	assert_int_equal(got.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(got.recipients[i].index, RECIPIENTS[i].index);
		assert_true(slice_eq(got.recipients[i].address, RECIPIENTS[i].address));
		assert_true(slice_eq(got.recipients[i].orcpt, RECIPIENTS[i].orcpt));
		assert_int_equal(got.recipients[i].notify, RECIPIENTS[i].notify);
	}
	assert_int_equal(got.ret, RET_HDRS);
	assert_slice(got.envid, "id");
	assert_int_equal(got.arrived, 1795342332000);
	assert_slice(got.head, "Subject: x\r\n");
	assert_int_equal(got.body.n, 9);
	assert_int_equal(got.file_at, 5);
	assert_true(got.file_size == UINT64_MAX);
	assert_true(got.file_sum.known && got.file_sum.sum == 0x89abcdef && got.file_sum.whole == UINT32_MAX);
}

/* Each flag travels alone. */
static void
test_flags(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		struct order got, in = an_order();

		in.eight_bit = i & 1, in.smtputf8 = i & 2, in.requiretls = i & 4;
		in.tls_optional = i & 8, in.in_file = i & 16, in.file_sum.known = i & 32;
		buf_clear(&bytes);
		order_pack(&in, &bytes);
		assert_true(order_unpack(&got, buf_slice(&bytes), arena));
		assert_true(got.eight_bit == in.eight_bit && got.smtputf8 == in.smtputf8 &&
		    got.requiretls == in.requiretls && got.tls_optional == in.tls_optional &&
		    got.in_file == in.in_file && got.file_sum.known == in.file_sum.known);
	}
}

static void
test_cut(void **state)
{
	struct order got, in = an_order();

	(void)state;
	order_pack(&in, &bytes);
	for (size_t n = 0; n < bytes.n; n++)
		assert_false(order_unpack(&got, slice_of(bytes.p, n), arena));
	buf_byte(&bytes, 0);
	assert_false(order_unpack(&got, buf_slice(&bytes), arena));
}

/* What no queue would say: kinds and wishes that there are not, nobody, more than there is room for. */
static void
test_senseless(void **state)
{
	enum { KIND = 16, COUNT_AT = 17 + 4 + 6 + 4 + 12 + 4 + 8 };
	static const struct { size_t at; char byte; } cases[] = {
		{ KIND, ORDER_MAILDIR + 1 }, { COUNT_AT, 0 }, { COUNT_AT, 100 }, { COUNT_AT + 3, (char)0xff },
	};
	struct order got, in = an_order();

	(void)state;
	order_pack(&in, &bytes);
	assert_int_equal(bytes.p[COUNT_AT], 2);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char was = bytes.p[cases[i].at];

		bytes.p[cases[i].at] = cases[i].byte;
		assert_case(!order_unpack(&got, buf_slice(&bytes), arena), i, "unpacked");
		bytes.p[cases[i].at] = was;
	}
	assert_true(order_unpack(&got, buf_slice(&bytes), arena));
	in.ret = (enum ret)3;
	buf_clear(&bytes);
	order_pack(&in, &bytes);
	assert_false(order_unpack(&got, buf_slice(&bytes), arena));
}

static void
test_no_memory(void **state)
{
	struct arena *small = arena_new(16);
	struct order got, in = an_order();

	(void)state;
	order_pack(&in, &bytes);
	assert_false(order_unpack(&got, buf_slice(&bytes), small));
	arena_free(small);
}

/* --- results ------------------------------------------------------------------------------ */

static struct order_outcome OUTCOMES[] = {
	{ 7, { 250, 2, 1, 5, S_INIT("ok"), true } }, { 70000, STATUS_INIT(0, 4, 4, 999, "nobody there") },
};

static struct order_result
a_result(void)
{
	return (struct order_result){ .number = 9, .id = 10, .outcomes = OUTCOMES, .count = 2,
	    .host = S("mx.x.test"), .peer = S("192.0.2.1:25"), .tls = S("TLSv1.3"), .policy = S("dane"),
	    .trust = S("verified"), .dsn_passed = true, .refused = true,
	    .story = S("mx.x.test: it took it\n") };
}

static void
test_result_round_trip(void **state)
{
	struct order_result got, in = a_result();

	(void)state;
	order_result_pack(&in, &bytes);
	assert_true(order_result_unpack(&got, buf_slice(&bytes), arena));
	assert_true(got.number == 9 && got.id == 10 && got.count == 2 && got.dsn_passed && got.refused);
	assert_slice(got.host, "mx.x.test");
	assert_slice(got.peer, "192.0.2.1:25");
	assert_slice(got.tls, "TLSv1.3");
	assert_slice(got.policy, "dane");
	assert_slice(got.trust, "verified");
	assert_slice(got.story, "mx.x.test: it took it\n");
	assert_int_equal(order_outcome_of(&got, 7)->status.reply, 250);
	assert_true(order_outcome_of(&got, 7)->status.uncoded);
	assert_false(order_outcome_of(&got, 70000)->status.uncoded);
	assert_int_equal(order_outcome_of(&got, 70000)->status.detail, 999);
	assert_slice(order_outcome_of(&got, 70000)->status.text, "nobody there");
	assert_null(order_outcome_of(&got, 8));
	for (size_t n = 0; n < bytes.n; n++)
		assert_false(order_result_unpack(&got, slice_of(bytes.p, n), arena));
	buf_byte(&bytes, 0);
	assert_false(order_result_unpack(&got, buf_slice(&bytes), arena));
}

static void
test_result_of_nobody(void **state)
{
	struct order_result got, in = { .number = 1 };

	(void)state;
	order_result_pack(&in, &bytes);
	assert_true(order_result_unpack(&got, buf_slice(&bytes), arena));
	assert_int_equal(got.count, 0);
	bytes.p[16] = 1;                        /* it claims one that is not there */
	assert_false(order_result_unpack(&got, buf_slice(&bytes), arena));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_round_trip), T(test_flags), T(test_cut), T(test_senseless), T(test_no_memory),
		T(test_result_round_trip), T(test_result_of_nobody),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
