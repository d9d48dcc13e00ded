/* SPDX-License-Identifier: ISC */
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "dns/resolve.h"
#include "lab_world.h"

/* --- the ground of each test ----------------------------------------------------- */

static struct loop loop;
static struct clock clock_;
static struct arena *arena;

static int
setup(void **state)
{
	(void)state;
	clock_ = clock_virtual(NOW);
	loop_begin(&loop, &clock_);
	arena = arena_new(4 << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	loop_end(&loop);
	return 0;
}

static void nothing(void *unused) { (void)unused; }

static void
check_cases(struct zones *zs, int64_t at, const struct expected *cases, size_t n)
{
	struct resolver_options o = { .timeout = 5000 };
	struct error why = { 0 };
	struct resolver *r;

	zones_resolver(zs, at, &o);
	r = resolver_new(&loop, &o, &why);
	if (r == NULL)
		fail_msg("%s", why.text);
	assert_true(resolver_validates(r));
	for (size_t i = 0; i < n; i++) {
		struct inquiry inq;
		const struct fact *f;

		arena_reset(arena);
		inquiry_begin(&inq, r, arena);
		fact(&inq.facts, slice(cases[i].name), cases[i].type);
		inquiry_ask(&inq, nothing, NULL);
		loop_run_until(&loop, clock_.now);
		f = fact(&inq.facts, slice(cases[i].name), cases[i].type);
		assert_case(f != NULL, i, cases[i].name);
		if (f->answer != cases[i].answer || f->security != cases[i].security)
			print_error("%s %s: %s, %s: %.*s\n", cases[i].name, rr_name(cases[i].type),
			    answer_name(f->answer), security_name(f->security), FMT(f->why));
		assert_case(f->answer == cases[i].answer, i, cases[i].name);
		assert_case(f->security == cases[i].security, i, cases[i].name);
		if (cases[i].canonical != NULL)
			assert_slice(f->canonical, cases[i].canonical);
		inquiry_end(&inq);
	}
	resolver_free(r);
}

/* --- tests ----------------------------------------------------------------------------- */

static void
the_resolver_sees_the_world_as_it_was_made(void **state)
{
	(void)state;
	check_cases(zones, NOW, world_cases, COUNT(world_cases));
}

static void
data_arrive_as_they_were_given(void **state)
{
	struct resolver_options o = { 0 };
	struct resolver *r;
	struct inquiry inq;
	const struct fact *f;

	(void)state;
	zones_resolver(zones, NOW, &o);
	r = resolver_new(&loop, &o, NULL);
	inquiry_begin(&inq, r, arena);
	fact(&inq.facts, S("long.secure.test"), RR_TXT);
	fact(&inq.facts, S("null.secure.test"), RR_MX);
	fact(&inq.facts, S("2.42.0.127.in-addr.arpa"), RR_PTR);
	fact(&inq.facts, S("_25._tcp.mx.tampered.test"), RR_TLSA);
	inquiry_ask(&inq, nothing, NULL);
	loop_run_until(&loop, clock_.now);
	f = fact(&inq.facts, S("long.secure.test"), RR_TXT);
	assert_int_equal(f->records[0].data.n, LONG_TEXT);
	f = fact(&inq.facts, S("null.secure.test"), RR_MX);
	assert_int_equal(f->records[0].preference, 0);
	assert_int_equal(f->records[0].data.n, 0);
	f = fact(&inq.facts, S("2.42.0.127.in-addr.arpa"), RR_PTR);
	assert_slice(f->records[0].data, "mx.secure.test");
	f = fact(&inq.facts, S("_25._tcp.mx.tampered.test"), RR_TLSA);
	assert_int_equal(f->count, 0);          /* bogus data are not even shown */
	inquiry_end(&inq);
	resolver_free(r);
}

/* Signatures hold for years around the lab's now, and not for ever. */
static void
the_clock_moves(void **state)
{
	static const struct expected good[] = {
		{ "secure.test", RR_MX, FOUND, SECURE, NULL },
		{ "nothing.test", RR_MX, NXDOMAIN, SECURE, NULL },
		{ "insecure.test", RR_MX, FOUND, INSECURE, NULL },
		{ "bogus.test", RR_MX, BROKEN, BOGUS, NULL },
	};
	static const struct expected over[] = {
		{ "secure.test", RR_MX, BROKEN, BOGUS, NULL },
		{ "nothing.test", RR_MX, BROKEN, BOGUS, NULL },
		{ "insecure.test", RR_MX, BROKEN, BOGUS, NULL },
	};

	(void)state;
	check_cases(zones, NOW + YEARS(9), good, COUNT(good));
	check_cases(zones, NOW - YEARS(4), good, COUNT(good));
	check_cases(zones, NOW + YEARS(11), over, COUNT(over));
	check_cases(zones, NOW - YEARS(6), over, COUNT(over));
}

static struct timespec
written(const char *world, const char *zone)
{
	char path[200];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s/%s.signed", directory, world, zone);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mtim;
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* What changes a zone signs that zone, and its parent when the DS comes or goes. */
static void
a_change_signs_what_it_must(void **state)
{
	static const struct expected before[] = {
		{ "secure.test", RR_MX, FOUND, SECURE, NULL },
		{ "secure.test", RR_A, NODATA, SECURE, NULL },
		{ "tampered.test", RR_MX, FOUND, SECURE, NULL },
	}, after[] = {
		{ "secure.test", RR_MX, NODATA, SECURE, NULL },
		{ "secure.test", RR_A, FOUND, SECURE, NULL },
		{ "tampered.test", RR_MX, BROKEN, BOGUS, NULL },
		{ "_25._tcp.mx.tampered.test", RR_TLSA, FOUND, SECURE, NULL },
	}, later[] = {
		{ "secure.test", RR_A, FOUND, INSECURE, NULL },
		{ "child.secure.test", RR_TXT, FOUND, INSECURE, NULL },
	};
	static const char *const signed_zones[] = { "@", "test", "secure.test", "tampered.test",
		"bogus.test", "example.org" };
	static const bool touched[][COUNT(signed_zones)] = {
		{ false, false, true, true, false, false },
		{ false, true, true, false, false, false },
		{ false, false, false, false, false, false },
	};
	struct zones *zs = new_world("change");
	struct timespec was[COUNT(signed_zones)];
	uint64_t generation = zones_generation(zs);

	(void)state;
	assert_int_equal(generation, 1);
	check_cases(zs, NOW, before, COUNT(before));
	for (size_t round = 0; round < COUNT(touched); round++) {
		for (size_t i = 0; i < COUNT(signed_zones); i++)
			was[i] = written("change", signed_zones[i]);
		if (round == 0) {
			zones_remove(zs, S("Secure.test"), RR_MX);
			assert_true(zones_add_text(zs, S("secure.test"), RR_A, S("127.0.42.77"), NULL));
			zones_tamper(zs, S("tampered.test"), RR_MX, true);
			zones_tamper(zs, S("_25._tcp.mx.tampered.test"), RR_TLSA, false);
		} else if (round == 1) {
			assert_true(zones_domain(zs, S("secure.test"), ZONE_INSECURE, ZONE_NSEC, NULL));
		}
		assert_true(zones_publish(zs, NULL));
		assert_int_equal(zones_generation(zs), generation + (round < 2 ? round + 1 : round));
		for (size_t i = 0; i < COUNT(signed_zones); i++)
			assert_case(same_time(was[i], written("change", signed_zones[i])) !=
			    touched[round][i], i, signed_zones[i]);
		if (round == 0)
			check_cases(zs, NOW, after, COUNT(after));
		else
			check_cases(zs, NOW, later, COUNT(later));
	}
	zones_free(zs);
}

/* Seed and calls are the same: so are all bytes, in another directory too. */
static void
the_same_world_has_the_same_bytes(void **state)
{
	const struct published_zone *a, *b;
	struct zones *again = new_world("again");
	size_t n = zones_published(zones, &a);

	(void)state;
	assert_int_equal(zones_published(again, &b), n);
	assert_int_equal(n, COUNT(domains) + 3);
	for (size_t i = 0; i < n; i++) {
		assert_true(slice_eq(a[i].name, b[i].name));
		assert_true(slice_eq(a[i].text, b[i].text));
		assert_true(a[i].text.n > 0);
	}
	zones_free(again);
}

static void
chains_of_trust_are_known(void **state)
{
	static const struct { const char *name; enum security chain; } cases[] = {
		{ "", SECURE }, { "test", SECURE }, { "secure.test", SECURE },
		{ "insecure.test", INSECURE }, { "bogus.test", SECURE }, { "child.bogus.test", BOGUS },
		{ "child.insecure.test", INSECURE }, { "child.secure.test", SECURE },
	};
	const struct published_zone *p;
	size_t n = zones_published(zones, &p), seen = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t j = 0; j < n; j++)
			if (slice_eq(p[j].name, slice(cases[i].name))) {
				assert_case(p[j].chain == cases[i].chain, i, cases[i].name);
				seen++;
			}
	assert_int_equal(seen, COUNT(cases));
}

/* RFC 1034 4.2.1: for whoever serves these files as they are. */
static void
the_root_has_glue_for_the_name_server(void **state)
{
	static const char glue[] = "\nns.test.\t3600\tIN\tA\t127.0.42.53\n";
	const struct published_zone *p;

	(void)state;
	assert_true(zones_published(zones, &p) > 0);
	assert_slice(p[0].name, "");
	assert_non_null(memmem(p[0].text.p, p[0].text.n, glue, sizeof glue - 1));
}

/* A fault needs no new resolver and no signature. */
static void
questions_fail_as_they_are_told(void **state)
{
	static const struct expected faulty[] = {
		{ "_25._tcp.mx.secure.test", RR_TLSA, BROKEN, INSECURE, NULL },
		{ "mx.secure.test", RR_A, FOUND, SECURE, NULL },
		{ "mx.secure.test", RR_AAAA, BROKEN, INSECURE, NULL },
		{ "nothing.here.test", RR_A, BROKEN, INSECURE, NULL },
	}, well[] = {
		{ "_25._tcp.mx.secure.test", RR_TLSA, FOUND, SECURE, NULL },
	};
	uint64_t generation = zones_generation(zones);

	(void)state;
	zones_fault(zones, S("_25._tcp.mx.Secure.test"), RR_TLSA, DNS_SERVFAIL);
	zones_fault(zones, S("mx.secure.test"), RR_AAAA, DNS_SERVFAIL);
	zones_fault(zones, S("nothing.here.test"), RR_A, DNS_SERVFAIL);
	check_cases(zones, NOW, faulty, COUNT(faulty));
	zones_fault(zones, S("_25._tcp.mx.secure.test"), RR_TLSA, DNS_NO_FAULT);
	zones_fault(zones, S("mx.secure.test"), RR_AAAA, DNS_NO_FAULT);
	zones_fault(zones, S("nothing.here.test"), RR_A, DNS_NO_FAULT);
	check_cases(zones, NOW, well, COUNT(well));
	assert_true(zones_publish(zones, NULL));
	assert_int_equal(zones_generation(zones), generation);
}

static void
silence_lasts_as_long_as_the_question(void **state)
{
	struct resolver_options o = { .timeout = 4000 };
	struct resolver *r;
	struct inquiry inq;
	const struct fact *f;

	(void)state;
	zones_fault(zones, S("mx.secure.test"), RR_A, DNS_SILENCE);
	zones_resolver(zones, NOW, &o);
	r = resolver_new(&loop, &o, NULL);
	inquiry_begin(&inq, r, arena);
	fact(&inq.facts, S("mx.secure.test"), RR_A);
	inquiry_ask(&inq, nothing, NULL);
	loop_run_until(&loop, NOW + 3999);
	assert_null(fact(&inq.facts, S("mx.secure.test"), RR_A));
	loop_run_until(&loop, NOW + 4000);
	f = fact(&inq.facts, S("mx.secure.test"), RR_A);
	assert_int_equal(f->answer, ANSWER_BROKEN);
	assert_slice(f->why, "no answer in time");
	inquiry_end(&inq);
	resolver_free(r);
	zones_fault(zones, S("mx.secure.test"), RR_A, DNS_NO_FAULT);
}

static const struct { const char *name; uint16_t type; const char *data, *why; } refused[] = {
	{ "a b.test", RR_A, "127.0.0.1", "is no name of a record" },
	{ "", RR_A, "127.0.0.1", "is no name of a record" },
	{ "a.*.test", RR_A, "127.0.0.1", "is no name of a record" },
	{ "x.test\nevil.test", RR_A, "127.0.0.1", "is no name of a record" },
	{ "a..test", RR_A, "127.0.0.1", "is no name of a record" },
	{ "x.test", RR_A, "localhost", "data that its record cannot have: localhost" },
	{ "x.test", RR_MX, "10 evil$.test.", "data that no MX record can have" },
	{ "x.test", RR_NS, "ns.test.", "the lab has no records of type 2" },
	{ "x.test", RR_SOA, "x", "the lab has no records of type 6" },
	{ "secure.test", RR_CNAME, "x.test.", "a CNAME stands alone" },
	{ "bogus.test", RR_CNAME, "x.test.", "a CNAME stands alone" },
	{ "alias.secure.test", RR_A, "127.0.0.1", "which stands alone" },
};

static void
what_cannot_be_is_refused(void **state)
{
	static const char too_long[65000];
	struct error why = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		bool ok = zones_add_text(zones, slice(refused[i].name), refused[i].type,
		    slice(refused[i].data), &why);

		assert_case(!ok, i, refused[i].name);
		assert_case(strstr(why.text, refused[i].why) != NULL, i, why.text);
	}
	assert_false(zones_add(zones, S("x.test"), RR_TXT,
	    &(struct record){ .data = slice_of(too_long, sizeof too_long) }, &why));
	assert_string_equal(why.text, "x.test: the data are too long");
	assert_false(zones_domain(zones, S("*.test"), ZONE_SECURE, ZONE_NSEC, &why));
	assert_non_null(strstr(why.text, "is no name of a domain"));
	assert_false(zones_domain(zones, S("alias.secure.test"), ZONE_SECURE, ZONE_NSEC, &why));
	assert_non_null(strstr(why.text, "stands alone"));
	assert_false(zones_domain(zones, S("../../etc/x"), ZONE_SECURE, ZONE_NSEC, &why));
	assert_true(zones_publish(zones, NULL));
	assert_int_equal(zones_generation(zones), 1);
}

/* No signer: said in one sentence, and tried again when it has come. */
static void
without_a_signer_it_says_so(void **state)
{
	static const struct expected good[] = { { "ns.test", RR_A, FOUND, SECURE, NULL } };
	char path[4096];
	struct error why = { 0 };
	struct zones *zs = new_zones("later", &why);

	(void)state;
	snprintf(path, sizeof path, "%s", getenv("PATH"));
	setenv("PATH", "/nonexistent", 1);
	assert_false(zones_publish(zs, &why));
	setenv("PATH", path, 1);
	assert_string_equal(why.text,
	    "cannot run ldns-signzone (Debian package ldnsutils): No such file or directory");
	assert_true(zones_publish(zs, &why));
	check_cases(zs, NOW, good, COUNT(good));
	zones_free(zs);
}

/* A signer that fails: its first words are told, the other zones are signed all the same. */
static void
a_signer_that_fails_is_quoted(void **state)
{
	static const char script[] = "#!/bin/sh\ncase $* in *in-addr*) echo 'the key is rusty' >&2\n"
	    "exit 1;; esac\nexec %s \"$@\"\n";
	char path[4096], bin[200], file[300], text[1200];
	struct error why = { 0 };
	struct zones *zs = new_zones("refused", &why);

	(void)state;
	snprintf(path, sizeof path, "%s", getenv("PATH"));
	snprintf(bin, sizeof bin, "%s/bin", directory);
	snprintf(file, sizeof file, "%s/ldns-signzone", bin);
	snprintf(text, sizeof text, script, signer());
	assert_true(dir_make(bin, 0700, &why));
	assert_true(file_replace(file, slice(text), 0700, &why));
	setenv("PATH", bin, 1);
	assert_false(zones_publish(zs, &why));
	setenv("PATH", path, 1);
	assert_non_null(strstr(why.text, "42.0.127.in-addr.arpa.zone: the key is rusty"));
	written("refused", "test");
	assert_true(zones_publish(zs, &why));
	zones_free(zs);
}

static void
a_directory_that_cannot_be(void **state)
{
	struct error why = { 0 };
	struct zones_options o = { .directory = "/proc/lab", .seed = 1, .now = NOW };

	(void)state;
	assert_null(zones_new(&o, &why));
	assert_non_null(strstr(why.text, "cannot make /proc/lab"));
}

static void
states_have_words(void **state)
{
	enum zone_security security;

	(void)state;
	assert_true(zone_security_parse(S("secure"), &security) && security == ZONE_SECURE);
	assert_true(zone_security_parse(S("insecure"), &security) && security == ZONE_INSECURE);
	assert_true(zone_security_parse(S("bogus"), &security) && security == ZONE_BOGUS);
	assert_false(zone_security_parse(S("signed"), &security));
}

int
main(void)
{
#define RESOLVING(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		RESOLVING(the_resolver_sees_the_world_as_it_was_made),
		RESOLVING(data_arrive_as_they_were_given),
		RESOLVING(the_clock_moves),
		RESOLVING(a_change_signs_what_it_must),
		cmocka_unit_test(the_same_world_has_the_same_bytes),
		cmocka_unit_test(chains_of_trust_are_known),
		cmocka_unit_test(the_root_has_glue_for_the_name_server),
		RESOLVING(questions_fail_as_they_are_told),
		RESOLVING(silence_lasts_as_long_as_the_question),
		cmocka_unit_test(what_cannot_be_is_refused),
		RESOLVING(without_a_signer_it_says_so),
		cmocka_unit_test(a_signer_that_fails_is_quoted),
		cmocka_unit_test(a_directory_that_cannot_be),
		cmocka_unit_test(states_have_words),
	};

	return signer() == NULL ? 0 : cmocka_run_group_tests(tests, begin, end);
}
