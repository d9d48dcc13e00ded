/* SPDX-License-Identifier: ISC */
/*
 * What `chainmail queue` asks: requests as JSON, selections, rows with the keys of
 * `postqueue -j`, and all of it over the control socket of a running queue.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include "queue_world.h"
#include "refusing_disk.h"

static struct world w;

static const char CONF[] = "domain local.test { deliver to maildir /m/%u; users ann, ben; alias out -> a@out.test, b@out.test }\n"
    "delivery { retry after 10s; expire after 5m; warn sender never }\n";

/* --- requests ----------------------------------------------------------------------------- */

static void
test_requests(void **state)
{
	static const struct { const char *json; bool ok; } cases[] = {
		{ "{\"verb\":\"list\"}", true },
		{ "{\"verb\":\"list\",\"all\":true,\"ids\":[]}", true },
		{ "{\"verb\":\"drop\"}", false },                       /* everything is said with a word */
		{ "{\"verb\":\"drop\",\"ids\":[],\"from\":\"\",\"to\":\"\"}", false },
		{ "{\"verb\":\"drop\",\"all\":true}", true },
		{ "{\"verb\":\"drop\",\"all\":\"yes\"}", false },
		{ "{\"verb\":\"hold\",\"ids\":[\"000000000001\"]}", true },
		{ "{\"verb\":\"hold\",\"ids\":[\"00000000000u\"]}", false },
		{ "{\"verb\":\"hold\",\"ids\":[1]}", false },
		{ "{\"verb\":\"hold\",\"ids\":\"000000000001\"}", false },
		{ "{\"verb\":\"retry\",\"to\":\"x.test\"}", true },
		{ "{\"verb\":\"retry\",\"to\":7}", false },
		{ "{\"verb\":\"Retry\",\"all\":true}", false },
		{ "{\"verb\":7}", false }, { "{}", false }, { "[]", false }, { "", false }, { "list", false },
		{ "{\"verb\":\"list\"} x", false },
	};
	struct arena *arena = arena_new(1 << 16);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct queue_request r;

		assert_case(queue_request_read(&r, slice(cases[i].json), arena) == cases[i].ok, i, cases[i].json);
	}
	arena_free(arena);
}

static void
test_request_round_trip(void **state)
{
	struct arena *arena = arena_new(1 << 16);

	(void)state;
	for (int verb = 0; verb < QUEUE_VERBS; verb++) {
		uint64_t ids[] = { 1, ID_MOST };
		struct queue_request got, r = { .verb = (enum queue_verb)verb, .text = verb % 2, .ids = ids,
			.id_count = 2, .from = S("\"a b\"@x.test"), .to = S("\xc3\xa4@y.test") };
		json_t *j = queue_request_json(&r);
		char *text = json_dumps(j, 0);

		assert_true(queue_request_read(&got, slice(text), arena));
		assert_int_equal(got.verb, verb);
		assert_int_equal(got.text, verb % 2);
		assert_false(got.all);
		assert_int_equal(got.id_count, 2);
		assert_true(got.ids[0] == 1 && got.ids[1] == ID_MOST);
		assert_true(slice_eq(got.from, r.from) && slice_eq(got.to, r.to));
		free(text);
		json_decref(j);
	}
	arena_free(arena);
}

/* An argument that is not UTF-8 selects nothing, not everything. */
static void
test_request_not_utf8(void **state)
{
	struct arena *arena = arena_new(1 << 16);
	struct queue_request got, r = { .verb = QUEUE_DROP, .from = S("\xff@x.test") };
	json_t *j = queue_request_json(&r);
	char *text = json_dumps(j, 0);

	(void)state;
	assert_non_null(text);
	assert_true(queue_request_read(&got, slice(text), arena));
	assert_true(got.from.n > 0);
	free(text);
	json_decref(j);
	arena_free(arena);
}

/* --- a caller at the control socket ---------------------------------------------------------- */

static struct link *caller, *second;
static json_t      *rows[100], *end;
static size_t       row_count;
static struct buf   bytes, stream;
static uint64_t     to_drop;            /* once the first row is there */

static void
forget_answers(void)
{
	for (size_t i = 0; i < row_count && i < COUNT(rows); i++)
		json_decref(rows[i]);
	row_count = 0;
	json_decref(end);
	end = NULL;
	buf_clear(&bytes);
	buf_clear(&stream);
}

static void
keep_row(const struct queue_row *row)
{
	if (row_count < COUNT(rows))
		rows[row_count] = row_json(row);
	row_count++;
}

static void
drop_at_the_first_row(void)
{
	char text[ID_TEXT + 1], json[200];

	id_text(to_drop, text);
	snprintf(json, sizeof json, "{\"verb\":\"drop\",\"ids\":[\"%s\"]}", text);
	link_send(second, FRAME_REQUEST, slice(json), -1);
	to_drop = 0;
}

/* A row may be cut anywhere. */
static void
take_rows(struct slice part)
{
	struct arena *arena = arena_new(1 << 20);
	enum row_answer got;
	struct queue_row row;
	struct slice left;

	assert_true(buf_add(&stream, part));
	left = buf_slice(&stream);
	while ((got = row_unpack(&row, &left, arena)) == ROW_GOT) {
		if (to_drop != 0)
			drop_at_the_first_row();
		keep_row(&row);
		arena_reset(arena);
	}
	assert_int_equal(got, ROW_PART);
	buf_drop(&stream, stream.n - left.n);
	arena_free(arena);
}

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	(void)arg;
	assert_int_equal(fd, -1);
	if (kind == FRAME_ROWS) {
		take_rows(payload);
	} else if (kind == FRAME_BYTES) {
		buf_add(&bytes, payload);
	} else if (kind == FRAME_END) {
		json_decref(end);
		end = json_loadb(payload.p, payload.n, 0, NULL);
	}
}

static void
on_gone(void *arg)
{
	(void)arg;
	link_end(caller);
	caller = NULL;
}

static void
on_other_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	(void)arg;
	(void)payload;
	assert_int_equal(fd, -1);
	assert_int_equal(kind, FRAME_END);
}

static void
on_other_gone(void *arg)
{
	(void)arg;
	link_end(second);
	second = NULL;
}

static const struct link_user CALLER = { on_frame, on_gone }, OTHER = { on_other_frame, on_other_gone };

static struct sockaddr_un
address(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof a.sun_path, "%s/control", w.dir);
	return a;
}

static void
open_door(void)
{
	struct sockaddr_un a = address();
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listening, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(listening, 5), 0);
	queue_commands(w.queue, listening);
}

static struct link *
call(const struct link_user *user)
{
	struct sockaddr_un a = address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return link_new(&w.loop, fd, user, NULL);
}

static int
setup(void **state)
{
	(void)state;
	w.files = (struct files){ 0 };
	bytes = stream = BUF(1 << 20);
	to_drop = 0;
	world_begin(&w, CONF);
	open_door();
	caller = call(&CALLER);
	second = call(&OTHER);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	forget_answers();
	link_end(caller);
	link_end(second);
	buf_free(&bytes);
	buf_free(&stream);
	world_end(&w);
	return 0;
}

/* Ask, and say how many messages it was about; -1: an error. */
static int
ask(const char *json)
{
	forget_answers();
	link_send(caller, FRAME_REQUEST, slice(json), -1);
	world_run(&w, 20);
	assert_non_null(end);
	return json_object_get(end, "error") != NULL ? -1 : (int)json_integer_value(json_object_get(end, "count"));
}

static int
ask_id(const char *verb, uint64_t id)
{
	char text[ID_TEXT + 1], json[200];

	id_text(id, text);
	snprintf(json, sizeof json, "{\"verb\":\"%s\",\"ids\":[\"%s\"]}", verb, text);
	return ask(json);
}

static const char *
string_at(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s != NULL ? s : "-";
}

static const json_t *
recipient_at(size_t row, size_t n)
{
	return json_array_get(json_object_get(rows[row], "recipients"), n);
}

/* --- rows -------------------------------------------------------------------------------------- */

static void
test_row(void **state)
{
	uint64_t id = world_store(&w, "s@sender.test", "a@far.test b@other.test");
	char text[ID_TEXT + 1];
	const json_t *r;

	(void)state;
	world_answer(&w, 0, "451 4.3.0 not now");
	world_answer(&w, 1, "250 ok");
	world_run(&w, 20);
	assert_int_equal(ask("{\"verb\":\"list\"}"), 1);
	assert_int_equal(row_count, 1);
	id_text(id, text);
	assert_string_equal(string_at(rows[0], "queue_id"), text);
	assert_string_equal(string_at(rows[0], "queue_name"), "deferred");
	assert_string_equal(string_at(rows[0], "sender"), "s@sender.test");
	assert_int_equal(json_integer_value(json_object_get(rows[0], "arrival_time")), BEGIN_SECONDS);
	assert_int_equal(json_integer_value(json_object_get(rows[0], "message_size")), sizeof CONTENT - 1);
	assert_int_equal(json_integer_value(json_object_get(rows[0], "expires")), BEGIN_SECONDS + 300);
	assert_true(json_is_false(json_object_get(rows[0], "forced_expire")));
	assert_int_equal(json_array_size(json_object_get(rows[0], "recipients")), 1);
	r = recipient_at(0, 0);
	assert_string_equal(string_at(r, "address"), "a@far.test");
	assert_string_equal(string_at(r, "delay_reason"), "mx.far.test: 451 4.3.0 not now");
	assert_int_equal(json_integer_value(json_object_get(r, "attempts")), 1);
	assert_int_equal(json_integer_value(json_object_get(r, "last_attempt")), BEGIN_SECONDS);
	assert_int_equal(json_integer_value(json_object_get(r, "next_attempt")), BEGIN_SECONDS + 10);
}

static void
test_queue_names(void **state)
{
	uint64_t id = world_store(&w, "", "a@far.test");

	(void)state;
	assert_int_equal(ask("{\"verb\":\"list\"}"), 1);
	assert_string_equal(string_at(rows[0], "queue_name"), "active");
	assert_string_equal(string_at(rows[0], "sender"), "");
	world_answer(&w, 0, "451 4.3.0 not now");
	world_run(&w, 20);
	assert_int_equal(ask_id("hold", id), 1);
	ask("{\"verb\":\"list\"}");
	assert_string_equal(string_at(rows[0], "queue_name"), "hold");
	assert_int_equal(ask_id("release", id), 1);
	ask("{\"verb\":\"list\"}");
	assert_string_equal(string_at(rows[0], "queue_name"), "active");
	deliverer_dies(&w);
	world_run(&w, 20);
	world_store(&w, "", "b@other.test");
	ask("{\"verb\":\"list\",\"to\":\"other.test\"}");
	assert_int_equal(row_count, 1);
	assert_string_equal(string_at(rows[0], "queue_name"), "incoming");
}

/* --- selections ---------------------------------------------------------------------------------- */

static void
test_selections(void **state)
{
	static const struct { const char *json; int count; } cases[] = {
		{ "{\"verb\":\"list\"}", 3 },
		{ "{\"verb\":\"list\",\"from\":\"ann@local.test\"}", 1 },
		{ "{\"verb\":\"list\",\"from\":\"ANN@LOCAL.test\"}", 1 },
		{ "{\"verb\":\"list\",\"from\":\"sender.test\"}", 2 },
		{ "{\"verb\":\"list\",\"from\":\"@sender.test\"}", 2 },
		{ "{\"verb\":\"list\",\"from\":\"ender.test\"}", 0 },
		{ "{\"verb\":\"list\",\"to\":\"b@far.test\"}", 2 },
		{ "{\"verb\":\"list\",\"to\":\"other.test\"}", 1 },
		{ "{\"verb\":\"list\",\"from\":\"sender.test\",\"to\":\"b@far.test\"}", 1 },
		{ "{\"verb\":\"list\",\"from\":\"@\"}", 0 },
		{ "{\"verb\":\"list\",\"ids\":[\"00000000000Z\"]}", -1 },
	};

	(void)state;
	world_store(&w, "ann@local.test", "b@far.test");
	world_store(&w, "s@sender.test", "b@far.test c@far.test");
	world_store(&w, "t@sender.test", "c@far.test d@other.test");
	for (size_t i = 0; i < COUNT(cases); i++) {
		int count = ask(cases[i].json);

		if (count != cases[i].count)
			print_error("got %d\n", count);
		assert_case(count == cases[i].count, i, cases[i].json);
	}
	/* one that is not there does not keep the others from being shown */
	assert_int_equal(ask("{\"verb\":\"list\",\"ids\":[\"00000000000Z\",\"000000000001\"]}"), -1);
	assert_int_equal(row_count, 1);
	assert_int_equal(ask("nonsense"), -1);
}

/* Who has got it already does not count. */
static void
test_selection_of_open_ones(void **state)
{
	(void)state;
	world_store(&w, "s@sender.test", "b@far.test c@other.test");
	world_answer(&w, slice_eq(w.orders[0].order.domain, S("far.test")) ? 0 : 1, "250 ok");
	world_run(&w, 20);
	assert_int_equal(ask("{\"verb\":\"list\",\"to\":\"b@far.test\"}"), 0);
	assert_int_equal(ask("{\"verb\":\"list\",\"to\":\"c@other.test\"}"), 1);
}

/* --- long lists ----------------------------------------------------------------------------------- */

enum { POSTS = 12, OF_EACH = 3000 };     /* messages, recipients: several steps, and rows of many frames */

static uint64_t
store_for_many(void)
{
	struct buf text = BUF(1 << 20);
	uint64_t id;

	for (int i = 0; i < OF_EACH; i++)
		buf_printf(&text, "recipient-number-%d-of-a-long-list@many-others.test ", i);
	buf_byte(&text, '\0');
	id = world_store(&w, "s@sender.test", text.p);
	buf_free(&text);
	return id;
}

/* The queue does other things while a list is sent. */
static void
test_long_list(void **state)
{
	uint64_t ids[POSTS];
	char text[ID_TEXT + 1];

	(void)state;
	for (int i = 0; i < POSTS; i++)
		ids[i] = store_for_many();
	assert_int_equal(ask("{\"verb\":\"list\"}"), POSTS);
	assert_int_equal(row_count, POSTS);
	for (size_t i = 0; i < POSTS; i++) {
		id_text(ids[i], text);
		assert_string_equal(string_at(rows[i], "queue_id"), text);
		assert_int_equal(json_array_size(json_object_get(rows[i], "recipients")), OF_EACH);
	}
	to_drop = ids[POSTS - 1];
	assert_int_equal(ask("{\"verb\":\"list\"}"), POSTS - 1);
	assert_int_equal(row_count, POSTS - 1);
	assert_int_equal(to_drop, 0);
}

/* Nobody could tell the rows of the one from those of the other. */
static void
test_question_within_a_list(void **state)
{
	(void)state;
	for (int i = 0; i < POSTS; i++)
		store_for_many();
	forget_answers();
	link_send(caller, FRAME_REQUEST, S("{\"verb\":\"list\"}"), -1);
	link_send(caller, FRAME_REQUEST, S("{\"verb\":\"list\"}"), -1);
	world_run(&w, 20);
	assert_null(caller);
	assert_null(end);
	assert_int_equal(queue_messages(w.queue), POSTS);
}

/* --- text -------------------------------------------------------------------------------------------- */

static void
test_show(void **state)
{
	uint64_t id = world_store(&w, "s@sender.test", "a@far.test");
	char text[ID_TEXT + 1], json[200];

	(void)state;
	assert_int_equal(ask_id("show", id), 1);
	assert_int_equal(row_count, 1);
	assert_slice(buf_slice(&bytes), "From: s@sender.test\r\nSubject: x\r\n");
	id_text(id, text);
	snprintf(json, sizeof json, "{\"verb\":\"show\",\"text\":true,\"ids\":[\"%s\"]}", text);
	assert_int_equal(ask(json), 1);
	assert_slice(buf_slice(&bytes), CONTENT);
}

/* --- changes ----------------------------------------------------------------------------------------- */

static void
test_retry(void **state)
{
	uint64_t id = world_store(&w, "s@sender.test", "a@far.test");

	(void)state;
	world_unreachable(&w, 0);
	world_run(&w, 20);
	assert_int_equal(w.count, 1);
	assert_int_equal(ask_id("retry", id), 1);
	assert_int_equal(w.count, 2);           /* although its destination rests */
	world_answer(&w, 1, "451 4.3.0 not now");
	world_run(&w, 20);
	world_compare(&w);
}

static void
test_hold_and_release(void **state)
{
	uint64_t id = world_store(&w, "s@sender.test", "a@far.test");

	(void)state;
	world_answer(&w, 0, "451 4.3.0 not now");
	world_run(&w, 20);
	assert_int_equal(ask_id("hold", id), 1);
	world_compare(&w);
	world_run(&w, 60 * SECOND);
	assert_int_equal(ask_id("retry", id), 0);       /* held is held */
	world_compare(&w);
	assert_int_equal(w.count, 1);
	assert_int_equal(ask_id("release", id), 1);
	assert_int_equal(w.count, 2);
	world_answer(&w, 1, "250 ok");
	world_run(&w, 20);
	assert_int_equal(queue_messages(w.queue), 0);
}

/* For good, also while it is under way; whatever the deliverer says of it is not heard. */
static void
test_drop(void **state)
{
	uint64_t waiting = world_store(&w, "s@sender.test", "a@far.test");
	uint64_t active;

	(void)state;
	world_answer(&w, 0, "451 4.3.0 not now");
	world_run(&w, 20);
	active = world_store(&w, "s@sender.test", "b@far.test");
	assert_int_equal(ask_id("drop", waiting), 1);
	assert_int_equal(ask_id("drop", active), 1);
	assert_int_equal(ask_id("drop", active), -1);
	world_answer(&w, 1, "550 5.1.1 no");
	world_run(&w, 20);
	assert_int_equal(queue_messages(w.queue), 0);
	assert_int_equal(w.count, 2);
	world_compare(&w);
	assert_int_equal(ask("{\"verb\":\"list\"}"), 0);
	world_restart(&w);
	assert_int_equal(queue_messages(w.queue), 0);
}

/* Who asks at once does not see it any more, although the disk has not heard of its end. */
static void
test_drop_and_list_at_once(void **state)
{
	uint64_t id = world_store(&w, "s@sender.test", "a@far.test");
	char text[ID_TEXT + 1], json[200];

	(void)state;
	world_store(&w, "s@sender.test", "b@far.test");
	id_text(id, text);
	snprintf(json, sizeof json, "{\"verb\":\"drop\",\"ids\":[\"%s\"]}", text);
	link_send(second, FRAME_REQUEST, slice(json), -1);
	assert_int_equal(ask("{\"verb\":\"list\"}"), 1);
	assert_int_equal(row_count, 1);
	assert_string_not_equal(string_at(rows[0], "queue_id"), text);
}

/* Held with the first recipients, all are held; a new queue knows it. */
static void
test_hold_all(void **state)
{
	(void)state;
	world_store(&w, "s@sender.test", "a@far.test b@other.test");
	world_store(&w, "s@sender.test", "c@far.test");
	for (size_t i = 0; i < 3; i++)
		world_answer(&w, i, "451 4.3.0 not now");
	world_run(&w, 20);
	assert_int_equal(ask("{\"verb\":\"hold\",\"all\":true}"), 2);
	world_compare(&w);
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, 60 * SECOND);
	assert_int_equal(w.count, 3);
	world_compare(&w);
}

/* The disk refuses: it counts for now, and whoever asked is told that it is not kept yet. */
static void
test_refused_changes(void **state)
{
	(void)state;
	world_store(&w, "s@sender.test", "a@far.test");
	world_store(&w, "s@sender.test", "b@far.test");
	world_answer(&w, 0, "451 4.3.0 not now");
	world_answer(&w, 1, "451 4.3.0 not now");
	world_run(&w, 20);
	allow_bytes(0);
	assert_int_equal(ask("{\"verb\":\"hold\",\"all\":true}"), -1);
	assert_string_equal(string_at(end, "error"), "the disk does not take the change; 2 messages are "
	    "changed only until the program ends, or for good when the disk takes it");
	ask("{\"verb\":\"list\"}");                   /* what the disk has */
	assert_string_equal(string_at(rows[0], "queue_name"), "deferred");
	allow_bytes(RLIM_INFINITY);
	assert_int_equal(ask("{\"verb\":\"hold\",\"all\":true}"), 2);
	ask("{\"verb\":\"list\"}");
	assert_string_equal(string_at(rows[0], "queue_name"), "hold");
	world_compare(&w);
}

/*
 * What became of a recipient is on its way to the disk when somebody changes the message:
 * nothing older is written behind it.
 */
static void
test_changes_behind_what_is_on_its_way(void **state)
{
	static const char *const verbs[] = { "retry", "hold", "release" };

	(void)state;
	for (size_t i = 0; i < COUNT(verbs); i++) {
		size_t first = w.count;
		uint64_t id = world_store(&w, "s@sender.test", "taken@far.test x@other.test");

		allow_bytes(0);
		world_answer(&w, first, "250 ok");
		world_answer(&w, first + 1, "451 4.3.0 not now");
		world_run(&w, 20);
		assert_case(ask_id(verbs[i], id) == -1, i, verbs[i]);
		allow_bytes(RLIM_INFINITY);
		for (size_t n = first + 2; n < w.count; n++)
			world_answer(&w, n, "451 4.3.0 not now");
		world_run(&w, 2 * SECOND);
		world_compare(&w);
		assert_int_equal(ask_id("hold", id), 1);
	}
}

/* The same of a failure by command: whoever has it is not told of as one who has not. */
static void
test_bounce_behind_what_is_on_its_way(void **state)
{
	uint64_t id = world_store(&w, "s@sender.test", "taken@far.test x@other.test");
	struct slice report;

	(void)state;
	world_answer(&w, 1, "451 4.3.0 not now");
	world_run(&w, 20);
	allow_bytes(0);
	world_answer(&w, 0, "250 ok");
	world_run(&w, 20);
	assert_int_equal(ask_id("bounce", id), -1);
	allow_bytes(RLIM_INFINITY);
	world_run(&w, 20 * SECOND);
	report = world_text(&w, world_own(&w));
	assert_true(memmem(report.p, report.n, "x@other.test", 12) != NULL);
	assert_true(memmem(report.p, report.n, "taken@far.test", 14) == NULL);
	world_answer(&w, 2, "250 ok");
	world_run(&w, 20);
	world_compare(&w);
	assert_int_equal(queue_messages(w.queue), 0);
}

/* A new queue does not know what is being tried before the deliverer has told. */
static void
test_bounce_before_the_deliverer_told(void **state)
{
	struct order_outcome outcome = { .index = 0 };
	struct order_result r = { .outcomes = &outcome, .count = 1 };
	uint64_t id = world_store(&w, "s@sender.test", "a@far.test");

	(void)state;
	link_end(caller);
	link_end(second);
	second = NULL;
	world_restart(&w);
	assert_int_equal(unlink(address().sun_path), 0);
	open_door();
	caller = call(&CALLER);
	assert_int_equal(ask_id("bounce", id), -1);
	r.number = w.orders[0].order.number;
	r.id = id;
	send_result(&w, &w.orders[0], &r, FRAME_UNDER_WAY);
	deliverer_ready(&w);
	world_answer(&w, 0, "250 ok");
	world_run(&w, 20);
	assert_int_equal(queue_messages(w.queue), 0);
	assert_int_equal(w.count, 1);
	world_compare(&w);
}

/* Whom an alias made, and nobody can name any more, a command changes all the same. */
static void
test_bounce_of_what_rotted(void **state)
{
	uint64_t id = world_store(&w, "s@sender.test", "out@local.test c@far.test");
	struct slice report;

	(void)state;
	world_run(&w, 20);
	world_spoil(&w, "a@out.test");
	for (size_t i = 0, n = w.count; i < n; i++)
		world_answer(&w, i, "451 4.3.0 not now");
	world_run(&w, 20);
	assert_int_equal(ask_id("bounce", id), 1);
	world_run(&w, 20);
	report = world_text(&w, world_own(&w));
	assert_non_null(memmem(report.p, report.n, "rfc822; out@local.test", 22));
	assert_non_null(memmem(report.p, report.n, "rfc822; c@far.test", 18));
	assert_null(schedule_find(&w.queue->schedule, id));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests), cmocka_unit_test(test_request_round_trip),
		cmocka_unit_test(test_request_not_utf8), T(test_row), T(test_queue_names), T(test_selections),
		T(test_selection_of_open_ones),
		T(test_long_list), T(test_question_within_a_list), T(test_show), T(test_retry), T(test_hold_and_release),
		T(test_drop), T(test_drop_and_list_at_once), T(test_hold_all),
		T(test_refused_changes), T(test_changes_behind_what_is_on_its_way),
		T(test_bounce_behind_what_is_on_its_way), T(test_bounce_before_the_deliverer_told),
		T(test_bounce_of_what_rotted),
	};

	return cmocka_run_group_tests_name("commands", tests, NULL, NULL);
}
