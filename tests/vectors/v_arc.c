/* SPDX-License-Identifier: ISC */
/*
 * ValiMail's ARC suite in both directions: all validations, all signatures.  With
 * a file as its argument: the validations in there, of the same shape.
 *
 * The suite's b= come from a signer that sorts its tags.  So ours are compared
 * tag by tag without b=, and a verifier judges both: our sets and the suite's.
 */
#include "arc/seal.h"
#include "auth/taglist.h"
#include "judge.h"
#include "mailsuite.h"

static struct slice
text_of(json_t *test, const char *name)
{
	return json_slice(json_object_get(test, name));
}

static const char *
id_of(json_t *test)
{
	return json_string_value(json_object_get(test, "id"));
}

/* --- validation ------------------------------------------------------------------- */

/* Evaluated, and left in *j; false when the message has no header that can be read. */
static bool
judge(struct judged *j, struct slice message, const struct zone *zone, int64_t now)
{
	if (!judge_begin(j, message) || !arc_begin(&j->arc, &j->header, &j->bodies, j->arena))
		return false;
	bodies_add(&j->bodies, CANON_RELAXED, BODY_WHOLE);
	judge_body(j, message);
	judge_arc(j, zone, now);
	return true;
}

static void
validate(json_t *test, int64_t now)
{
	struct zone *zone = suite_zone(json_object_get(test, "txt"));
	struct buf message = BUF(16 << 20);
	struct judged j;
	const char *result = "error";

	suite_message(text_of(test, "message"), !json_is_true(json_object_get(test, "crlf")), &message);
	if (judge(&j, buf_slice(&message), zone, now))
		result = arc_result_name(j.arc.result);
	suite_tell("arc-valimail", id_of(test), slice(result), slice_eq(slice(result), text_of(test, "expect")),
	    j.arc.reason);
	judge_end(&j);
	zone_free(zone);
	buf_free(&message);
}

static void
validate_all(json_t *suite)
{
	json_t *test;
	size_t i;

	json_array_foreach(json_object_get(suite, "cases"), i, test)
		validate(test, suite_now(suite));
}

/* --- signing ----------------------------------------------------------------------- */

/* The same tags with the same values, b= and all white space aside. */
static bool
tags_agree(struct slice ours, struct slice theirs)
{
	struct taglist a, b;

	if (!taglist_parse(&a, ours, NULL) || !taglist_parse(&b, theirs, NULL) || a.count != b.count)
		return false;
	for (size_t i = 0; i < a.count; i++) {
		char name[16] = { 0 };
		const struct tag *other;

		memcpy(name, a.tags[i].name.p, a.tags[i].name.n % sizeof name);
		other = taglist_find(&b, name);
		if (other == NULL || (strcmp(name, "b") != 0 && !slice_eq(a.tags[i].value, other->value)))
			return false;
	}
	return true;
}

/* Is the seal of the newest set good over the sets that it should cover? */
static bool
seal_good(const struct judged *j, const struct signing_key *key)
{
	const struct arc_set *set = j->arc.sets[j->arc.count - 1];
	struct signed_text t = signed_text_begin(CANON_RELAXED, j->header.block.n);
	struct buf record = BUF(4096);
	unsigned char digest[SHA256_BYTES];
	struct key public;
	bool good;

	if (!slice_eq(set->seal.cv, S("fail")))
		arc_seal_text(&j->arc, j->arc.count - 1, &t);
	signed_text_add(&t, set->aar->whole);
	signed_text_add(&t, set->ams.field->whole);
	signed_text_digest(&t, set->seal.field->whole, set->seal.b_raw, digest);
	signing_key_record(key, &record);
	good = key_parse(&public, buf_slice(&record)) == KEY_OK && key_verifies(&public, digest, set->seal.b);
	key_free(&public);
	buf_free(&record);
	signed_text_free(&t);
	return good;
}

/* The AMS of the newest set, also where the chain has failed and nobody looks at it. */
static bool
ams_good(struct judged *j, const struct zone *zone)
{
	struct signature ams = j->arc.sets[j->arc.count - 1]->ams;
	struct field_order order;

	field_order_make(&order, &j->header, j->arena);
	while (!signature_key_known(&ams, &j->facts))
		zone_answer_all(zone, &j->facts);
	signature_verify(&ams, &order, &j->verifier);
	return ams.state == SIGNATURE_GOOD;
}

/* A message with a new set on top: its result, and are both new signatures good? */
static void
judge_sealed(json_t *test, const char *whose, struct slice message, const struct zone *zone,
    const struct signing_key *key, int64_t now)
{
	struct judged j;
	bool ok = judge(&j, message, zone, now);
	bool failed = ok && j.arc.ended;

	tap_ok(ok && j.arc.result == (failed ? ARC_FAIL : ARC_PASS) && seal_good(&j, key) && ams_good(&j, zone),
	    "arc signing %s: %s set is good, chain %s", id_of(test), whose,
	    ok ? arc_result_name(j.arc.result) : "error");
	judge_end(&j);
}

/*
 * The suite's lines as a field.  It was sealed folded behind semicolons only: the
 * line ends within a b= are not part of it, and an AMS is itself under a seal.
 */
static void
add_field(struct buf *to, const char *name, struct slice lines)
{
	struct slice line;

	lines = slice_trim(lines);
	buf_printf(to, "%s: ", name);
	while (slice_cut(&lines, '\n', &line)) {
		line = slice_trim(line);
		buf_add(to, line);
		if (lines.n && slice_endsi(line, S(";")))
			buf_add(to, S("\r\n "));
	}
	buf_add(to, S("\r\n"));
}

static bool
read_suite_key(json_t *test, struct signing_key *key)
{
	struct buf pem = BUF(8192);
	bool ok;

	buf_printf(&pem, "-----BEGIN RSA PRIVATE KEY-----\n%.*s\n-----END RSA PRIVATE KEY-----\n",
	    FMT(text_of(test, "private_key_base64")));
	ok = signing_key_parse(key, buf_slice(&pem), NULL);
	buf_free(&pem);
	return ok;
}

/* Our fields for that case, as `chainmail seal` makes them. */
static enum arc_sealing
make_set(json_t *test, struct judged *j, const struct signing_key *key, struct buf *set)
{
	struct signer signer = { text_of(test, "domain"), text_of(test, "sel"), key, text_of(test, "sig-headers") };
	struct slice aar = text_of(test, "AAR");
	struct arc_arrival arrival = { j->arc.result, slice_trim(slice_skip(aar, slice_find(aar, ';') + 1)) };
	struct buf folded = BUF(8192);
	enum arc_sealing done;

	if (arrival.results.n == 0)
		arrival.results = S("lists.example.org; none");
	add_field(&folded, "", arrival.results);
	arrival.results = slice_trim(slice_skip(buf_slice(&folded), 1));
	done = arc_seal(&signer, &j->header, bodies_get(&j->bodies, CANON_RELAXED, BODY_WHOLE)->digest, &arrival,
	    json_integer_value(json_object_get(test, "t")) * INT64_C(1000), set, NULL);
	buf_free(&folded);
	return done;
}

static void
compare_tags(json_t *test, struct slice set)
{
	struct arena *arena = arena_new(1 << 16);
	struct header h;

	tap_ok(header_parse(&h, set, arena, NULL) && h.count == 3 &&
	    field_is(&h.fields[0], "ARC-Seal") && tags_agree(h.fields[0].value, text_of(test, "AS")) &&
	    field_is(&h.fields[1], "ARC-Message-Signature") && tags_agree(h.fields[1].value, text_of(test, "AMS")) &&
	    field_is(&h.fields[2], "ARC-Authentication-Results"), "arc signing %s: the tags agree", id_of(test));
	arena_free(arena);
}

static void
judge_both(json_t *test, struct slice message, struct slice set, const struct zone *zone,
    const struct signing_key *key, int64_t now)
{
	struct buf ours = BUF(1 << 20), theirs = BUF(1 << 20);

	buf_add(&ours, set);
	buf_add(&ours, message);
	judge_sealed(test, "our", buf_slice(&ours), zone, key, now);
	add_field(&theirs, "ARC-Seal", text_of(test, "AS"));
	add_field(&theirs, "ARC-Message-Signature", text_of(test, "AMS"));
	add_field(&theirs, "ARC-Authentication-Results", text_of(test, "AAR"));
	buf_add(&theirs, message);
	judge_sealed(test, "the suite's", buf_slice(&theirs), zone, key, now);
	buf_free(&ours);
	buf_free(&theirs);
}

static void
sign(json_t *test, int64_t now)
{
	struct zone *zone = suite_zone(json_object_get(test, "txt"));
	struct buf message = BUF(1 << 20), set = BUF(1 << 16);
	struct signing_key key = { 0 };
	struct judged j;
	enum arc_sealing done = ARC_BROKEN;

	suite_message(text_of(test, "message"), true, &message);
	if (judge(&j, buf_slice(&message), zone, now) && read_suite_key(test, &key))
		done = make_set(test, &j, &key, &set);
	judge_end(&j);
	if (text_of(test, "AS").n == 0) {
		tap_ok(done == ARC_ENDED && set.n == 0, "arc signing %s: nothing is added", id_of(test));
	} else if (done == ARC_SEALED) {
		compare_tags(test, buf_slice(&set));
		judge_both(test, buf_slice(&message), buf_slice(&set), zone, &key, now);
	} else {
		tap_ok(false, "arc signing %s", id_of(test));
	}
	signing_key_free(&key);
	zone_free(zone);
	buf_free(&message);
	buf_free(&set);
}

/* -------------------------------------------------------------------------------------- */

int
main(int argc, char **argv)
{
	json_t *validation = argc > 1 ? json_load_file(argv[1], JSON_ALLOW_NUL, NULL)
	                              : conformance("arc-valimail/validation.json");
	json_t *signing = argc > 1 ? NULL : conformance("arc-valimail/sign.json"), *test;
	size_t i;

	validate_all(validation);
	json_array_foreach(json_object_get(signing, "cases"), i, test)
		sign(test, suite_now(signing));
	if (validation == NULL || (argc == 1 && signing == NULL))
		tap_skip("a suite is not there");
	json_decref(validation);
	json_decref(signing);
	return tap_end();
}
