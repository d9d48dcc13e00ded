/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/map.h"
#include "base/pack.h"
#include "base/rng.h"
#include "base/text.h"
#include "unit.h"

static void
a_buf_stops_at_its_ceiling(void **state)
{
	struct buf b = BUF(10);

	(void)state;
	assert_true(buf_add(&b, S("12345")));
	assert_true(buf_printf(&b, "%d", 67890));
	assert_false(buf_byte(&b, 'x'));
	assert_true(b.full);
	assert_slice(buf_slice(&b), "1234567890");
	buf_drop(&b, 8);
	assert_slice(buf_slice(&b), "90");
	buf_free(&b);
}

static void
an_arena_stops_at_its_ceiling(void **state)
{
	struct arena *a = arena_new(10000);

	(void)state;
	assert_non_null(arena_get(a, 9000));
	assert_false(arena_full(a));
	assert_null(arena_get(a, 1001));
	assert_true(arena_full(a));
	assert_slice(arena_lower(a, S("AbC-9")), "abc-9");
	assert_slice(arena_printf(a, "%s=%d", "x", 5), "x=5");
	arena_reset(a);
	assert_int_equal(arena_spent(a), 0);
	assert_false(arena_full(a));
	assert_non_null(arena_get(a, 9000));
	arena_free(a);
}

static void
a_heap_gives_the_earliest_and_equals_in_turn(void **state)
{
	enum { N = 500 };
	static struct heap_entry e[N];
	struct heap h = { 0 };
	struct rng r = rng_seeded(7);
	int64_t last = -1;
	size_t out = 0;

	(void)state;
	for (int i = 0; i < N; i++)
		heap_put(&h, &e[i], (int64_t)rng_below(&r, 50));
	for (int i = 0; i < N; i += 3)
		heap_remove(&h, &e[i]);
	for (int i = 1; i < N; i += 3)
		heap_put(&h, &e[i], (int64_t)rng_below(&r, 50));    /* moved */
	for (struct heap_entry *f, *before = NULL; (f = heap_first(&h)) != NULL; before = f) {
		assert_true(f->when >= last);
		if (f->when == last)
			assert_true(f->turn > before->turn);
		last = f->when;
		heap_remove(&h, f);
		out++;
	}
	assert_int_equal(out, N - (N + 2) / 3);
	heap_free(&h);
}

static void
a_map_finds_what_was_put(void **state)
{
	enum { N = 3000 };
	static char keys[N][8];
	struct map m = { 0 };
	size_t at = 0, n = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(keys[i], sizeof keys[i], "K%d", i);
		map_put(&m, slice(keys[i]), keys[i]);
	}
	for (int i = 0; i < N; i += 2)
		assert_ptr_equal(map_remove(&m, slice(keys[i])), keys[i]);
	for (int i = 0; i < N; i++)
		assert_ptr_equal(map_get(&m, slice(keys[i])), i % 2 ? keys[i] : NULL);
	assert_ptr_equal(map_get(&m, S("k1")), keys[1]);
	while (map_next(&m, &at) != NULL)
		n++;
	assert_int_equal(n, N / 2);
	assert_int_equal(m.n, N / 2);
	map_free(&m);
}

static void
what_is_packed_between_begin_and_end_is_one_slice(void **state)
{
	struct buf b = BUF(1000), small = BUF(9);
	struct unpack u, inside;
	size_t outer, inner;

	(void)state;
	outer = pack_begin(&b);
	pack_u8(&b, 7);
	inner = pack_begin(&b);
	buf_add(&b, S("text"));
	pack_end(&b, inner);
	pack_end(&b, outer);
	pack_u8(&b, 9);
	u = (struct unpack){ .left = buf_slice(&b) };
	inside = (struct unpack){ .left = unpack_slice(&u) };
	assert_int_equal(unpack_u8(&inside), 7);
	assert_slice(unpack_slice(&inside), "text");
	assert_true(unpack_done(&inside));
	assert_int_equal(unpack_u8(&u), 9);
	assert_true(unpack_done(&u));
	outer = pack_begin(&small);
	buf_add(&small, S("no room"));
	pack_end(&small, outer);
	assert_true(small.full);
	buf_free(&b);
	buf_free(&small);
}

static void
packed_values_come_back_and_short_ones_are_bad(void **state)
{
	struct buf b = BUF(1000);
	struct unpack u;

	(void)state;
	pack_u8(&b, 200);
	pack_u16(&b, 65535);
	pack_u32(&b, 4000000000u);
	pack_u64(&b, UINT64_MAX - 1);
	pack_slice(&b, S("text"));
	for (size_t n = 0; n <= b.n; n++) {
		u = (struct unpack){ .left = slice_head(buf_slice(&b), n) };
		uint8_t a = unpack_u8(&u);
		uint16_t c = unpack_u16(&u);
		uint32_t d = unpack_u32(&u);
		uint64_t e = unpack_u64(&u);
		struct slice s = unpack_slice(&u);

		assert_int_equal(unpack_done(&u), n == b.n);
		if (n < b.n) {
			assert_int_equal(s.n, 0);
			continue;
		}
		assert_int_equal(a, 200);
		assert_int_equal(c, 65535);
		assert_true(d == 4000000000u && e == UINT64_MAX - 1);
		assert_slice(s, "text");
	}
	buf_free(&b);
}

static const struct { const char *bytes, *text; } base64_cases[] = {  /* RFC 4648 10 */
	{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
};

static void
base64(void **state)
{
	static const char *const bad[] = { "Zg=", "Zg", "Z", "Zh==", "Zm9=", "Zm9v=", "Zm*v", "Zg==Zg==", "=" };

	(void)state;
	for (size_t i = 0; i < COUNT(base64_cases); i++) {
		struct buf to = BUF(100), back = BUF(100);

		base64_add(&to, slice(base64_cases[i].bytes));
		assert_slice(buf_slice(&to), base64_cases[i].text);
		assert_true(base64_decode(&back, buf_slice(&to)));
		assert_slice(buf_slice(&back), base64_cases[i].bytes);
		buf_free(&to);
		buf_free(&back);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct buf back = BUF(100);

		assert_case(!base64_decode(&back, slice(bad[i])), i, bad[i]);
		buf_free(&back);
	}
}

static void
identifiers_sort_like_their_numbers(void **state)
{
	char a[ID_TEXT + 1], b[ID_TEXT + 1];
	uint64_t back = 0;

	(void)state;
	id_text(0x123456789abcdefu, a);
	id_text(0x123456789abcdf0u, b);
	assert_true(strcmp(a, b) < 0);
	assert_true(id_parse(slice(a), &back));
	assert_true(back == 0x123456789abcdefu);
	assert_false(id_parse(S("1S3W6QK4T9Z"), &back));
	assert_false(id_parse(S("1S3W6QK4T9ZU"), &back));
}

static void
nothing_shown_ends_a_line(void **state)
{
	struct buf b = BUF(1000);

	(void)state;
	shown_add(&b, S("a\r\nb\x1b[2J\\ \xc3\xa4 \xc3 \xe2\x80\xa8 \xc2\x9b"));
	assert_slice(buf_slice(&b),
	    "a\\x0D\\x0Ab\\x1B[2J\\x5C \xc3\xa4 \\xC3 \\xE2\\x80\\xA8 \\xC2\\x9B");
	buf_clear(&b);
	shown_add(&b, S("\xd8\x9c\xe2\x80\x8e\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9"));
	assert_slice(buf_slice(&b), "\\xD8\\x9C\\xE2\\x80\\x8E\\xE2\\x80\\xAE\\xE2\\x81\\xA6\\xE2\\x81\\xA9");
	buf_clear(&b);
	shown_add(&b, S("\xd8\x9b\xe2\x80\x8d\xe2\x81\xa5\xe2\x82\xac\xf0\x9f\x98\x80"));  /* these do no harm */
	assert_slice(buf_slice(&b), "\xd8\x9b\xe2\x80\x8d\xe2\x81\xa5\xe2\x82\xac\xf0\x9f\x98\x80");
	buf_clear(&b);
	harmless_add(&b, slice_of("\\\r\\\n\0", 5));
	assert_slice(buf_slice(&b), "\\\\x0D\\\\x0A\\x00");
	buf_free(&b);
}

static void
utf8_is_checked_strictly(void **state)
{
	(void)state;
	assert_true(utf8_valid(S("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")));
	assert_false(utf8_valid(S("\xc0\x80")));
	assert_false(utf8_valid(S("\xed\xa0\x80")));
	assert_false(utf8_valid(S("\xf4\x90\x80\x80")));
	assert_false(utf8_valid(S("\xe2\x82")));
}

static void
crc32c_is_the_one_of_iscsi(void **state)
{
	char zeros[32] = { 0 };

	(void)state;                    /* RFC 3720 B.4 */
	assert_true(crc32c(0, slice_of(zeros, 32)) == 0x8a9136aa);
	assert_true(crc32c(0, S("123456789")) == 0xe3069283);
	assert_true(crc32c(crc32c(0, S("1234")), S("56789")) == 0xe3069283);
}

static void
numbers(void **state)
{
	uint64_t n = 7;

	(void)state;
	assert_true(slice_number(S("0"), 10, &n) && n == 0);
	assert_true(slice_number(S("18446744073709551615"), UINT64_MAX, &n) && n == UINT64_MAX);
	assert_false(slice_number(S("18446744073709551616"), UINT64_MAX, &n));
	assert_false(slice_number(S("11"), 10, &n));
	assert_false(slice_number(S("5"), 4, &n));
	assert_false(slice_number(S(""), 10, &n));
	assert_false(slice_number(S("-1"), 10, &n));
	assert_false(slice_number(S("1 "), 10, &n));
}

static void
distances(void **state)
{
	(void)state;
	assert_int_equal(word_distance(S("expires"), S("expire")), 1);
	assert_int_equal(word_distance(S("domian"), S("domain")), 2);
	assert_int_equal(word_distance(S("kitten"), S("sitting")), 3);
	assert_int_equal(word_distance(S(""), S("ab")), 2);
}

static const struct event_kind RECEIVED = { "received", LOG_INFO, "client from size", "" };

static void
keep_line(void *arg, struct slice line)
{
	buf_add(arg, line);
}

static void
a_line_of_the_log(void **state)
{
	struct buf out = BUF(10000);
	struct clock clock = clock_virtual(1795342332412);
	struct log log = { &clock, LOG_INFO, false, keep_line, &out, NULL };

	(void)state;
	for (int json = 0; json < 2; json++) {
		log.json = json;
		struct log_line l = log_event(&log, &RECEIVED, 1);

		log_text(&l, "client", "a \"b\"\nc");
		log_path(&l, "from", S("a@b.test"));
		log_text(&l, "client", "");             /* says nothing */
		log_path(&l, "from", NONE);             /* the null sender */
		log_number(&l, "size", 42);
		log_end(&l);
	}
	assert_slice(buf_slice(&out),
	    "2026-11-22T10:12:12.412Z info 000000000001 received client=\"a \\\"b\\\"\\x0Ac\""
	    " from=<a@b.test> from=<> size=42\n"
	    "{\"t\":\"2026-11-22T10:12:12.412Z\",\"level\":\"info\",\"id\":\"000000000001\","
	    "\"event\":\"received\",\"client\":\"a \\\"b\\\"\\\\x0Ac\",\"from\":\"a@b.test\",\"from\":\"\",\"size\":42}\n");
	buf_free(&out);
}

static bool
wants_ids(void *arg, const struct event_kind *kind, uint64_t id)
{
	(void)arg;
	(void)kind;
	return id != 0;
}

/* He gets the plain form, also of what is not written, and of nothing else. */
static void
somebody_reads_along(void **state)
{
	static const struct { bool json; enum log_level least; uint64_t id; size_t written, read; } cases[] = {
		{ false, LOG_DEBUG, 1, 1, 1 }, { true, LOG_DEBUG, 1, 1, 1 }, { false, LOG_ERROR, 1, 0, 1 },
		{ true, LOG_ERROR, 1, 0, 1 }, { false, LOG_DEBUG, 0, 1, 0 }, { true, LOG_ERROR, 0, 0, 0 },
	};
	struct clock clock = clock_virtual(1795342332412);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf written = BUF(1000), read = BUF(1000);
		struct log_reader reader = { wants_ids, keep_line, &read };
		struct log log = { &clock, cases[i].least, cases[i].json, keep_line, &written, &reader };
		struct log_line l = log_event(&log, &RECEIVED, cases[i].id);

		log_path(&l, "from", S("a@b.test"));
		log_number(&l, "size", 42);
		log_end(&l);
		assert_case((written.n > 0) == cases[i].written, i, "written");
		assert_case(written.n == 0 || (*written.p == '{') == cases[i].json, i, "its form");
		assert_case((read.n > 0) == cases[i].read, i, "read");
		if (read.n > 0)
			assert_slice(buf_slice(&read),
			    "2026-11-22T10:12:12.412Z info 000000000001 received from=<a@b.test> size=42\n");
		buf_free(&written);
		buf_free(&read);
	}
}

static void
files_are_replaced_in_one_step(void **state)
{
	char dir[] = "/tmp/chainmail-unit-XXXXXX", path[100];
	struct buf b = BUF(100), small = BUF(3);
	struct error why = { 0 };
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a/b/c//", dir);
	assert_true(dir_make(path, 0700, &why));
	assert_true(stat(path, &st) == 0 && (st.st_mode & 0777) == 0700);       /* it, not what is above it */
	snprintf(path, sizeof path, "%s/a/b/c/file", dir);
	assert_true(file_replace(path, S("old"), 0600, &why));
	assert_true(file_replace(path, S("newer"), 0600, &why));
	assert_true(file_read(path, &b, &why));
	assert_slice(buf_slice(&b), "newer");
	assert_false(file_read(path, &small, &why));
	assert_non_null(strstr(why.text, "larger than 3 bytes"));
	assert_true(dir_remove(dir, &why));
	assert_false(file_read(path, &b, &why));
	assert_non_null(strstr(why.text, "No such file"));
	buf_free(&b);
	buf_free(&small);
}

/* More pieces than one call takes, empty ones among them. */
static void
pieces_are_written_one_behind_the_other(void **state)
{
	char dir[] = "/tmp/chainmail-unit-XXXXXX", path[100];
	struct iovec piece[3000];
	struct buf b = BUF(10000);
	struct error why = { 0 };
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (size_t i = 0; i < COUNT(piece); i++)
		piece[i] = (struct iovec){ (char *)"abc", i % 4 };
	assert_true(file_write_pieces(fd, piece, COUNT(piece), 2, &why));
	assert_true(file_read_fd(fd, path, &b, &why));
	assert_int_equal(b.n, 2 + COUNT(piece) / 4 * 6);
	assert_memory_equal(b.p, "\0\0aababcaab", 11);
	assert_memory_equal(b.p + b.n - 6, "aababc", 6);
	close(fd);
	assert_true(file_rename(path, dir, &why) == false && why.number != 0);
	assert_true(file_remove(path, &why));
	assert_true(file_remove(path, &why));
	assert_true(dir_remove(dir, &why));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buf_stops_at_its_ceiling),
		cmocka_unit_test(an_arena_stops_at_its_ceiling),
		cmocka_unit_test(a_heap_gives_the_earliest_and_equals_in_turn),
		cmocka_unit_test(a_map_finds_what_was_put),
		cmocka_unit_test(packed_values_come_back_and_short_ones_are_bad),
		cmocka_unit_test(base64),
		cmocka_unit_test(identifiers_sort_like_their_numbers),
		cmocka_unit_test(nothing_shown_ends_a_line),
		cmocka_unit_test(what_is_packed_between_begin_and_end_is_one_slice),
		cmocka_unit_test(utf8_is_checked_strictly),
		cmocka_unit_test(crc32c_is_the_one_of_iscsi),
		cmocka_unit_test(numbers),
		cmocka_unit_test(distances),
		cmocka_unit_test(a_line_of_the_log),
		cmocka_unit_test(somebody_reads_along),
		cmocka_unit_test(files_are_replaced_in_one_step),
		cmocka_unit_test(pieces_are_written_one_behind_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
