/* SPDX-License-Identifier: ISC */
/* pure */
#include <jansson.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/text.h"
#include "sts/report.h"

/* --- writing ------------------------------------------------------------------------ */

static json_t *
text(struct slice s)
{
	json_t *j = json_stringn(s.n > 0 ? s.p : "", s.n);
	struct buf shown = BUF(4 * TLSRPT_WORD_MOST);

	if (j == NULL) {                        /* no UTF-8: I-JSON has nothing else */
		shown_add(&shown, slice_head(s, TLSRPT_WORD_MOST));
		j = json_stringn(shown.p, shown.n);
		buf_free(&shown);
	}
	bug_if(j == NULL);
	return j;
}

static void
put(json_t *object, const char *name, struct slice s)
{
	json_object_set_new(object, name, text(s));
}

static void
put_if_there(json_t *object, const char *name, struct slice s)
{
	if (s.n > 0)
		put(object, name, s);
}

/* Exact to 2^53 in everybody's arithmetic (RFC 7493 2.2). */
static void
put_count(json_t *object, const char *name, uint64_t n)
{
	const uint64_t most = (uint64_t)1 << 53;

	json_object_set_new(object, name, json_integer((json_int_t)(n < most ? n : most - 1)));
}

static json_t *
texts(const struct slice *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, text(list[i]));
	return array;
}

static json_t *
failure_json(const struct tlsrpt_failure *f)
{
	json_t *j = json_object();

	put(j, "result-type", f->result);
	put_if_there(j, "sending-mta-ip", f->sending_ip);
	put_if_there(j, "receiving-mx-hostname", f->mx);
	put_if_there(j, "receiving-mx-helo", f->helo);
	put_if_there(j, "receiving-ip", f->receiving_ip);
	put_count(j, "failed-session-count", f->count);
	put_if_there(j, "additional-information", f->information);
	put_if_there(j, "failure-reason-code", f->reason);
	return j;
}

static json_t *
policy_json(const struct tlsrpt_counts *c)
{
	json_t *policy = json_object();

	put(policy, "policy-type", c->type);
	if (c->string_count > 0)
		json_object_set_new(policy, "policy-string", texts(c->strings, c->string_count));
	put(policy, "policy-domain", c->domain);
	if (c->mx_count > 0)
		json_object_set_new(policy, "mx-host", texts(c->mx, c->mx_count));
	return policy;
}

static json_t *
counts_json(const struct tlsrpt_counts *c)
{
	json_t *j = json_object(), *summary = json_object(), *failures = json_array();

	put_count(summary, "total-successful-session-count", c->good);
	put_count(summary, "total-failure-session-count", c->bad);
	for (size_t i = 0; i < c->failure_count; i++)
		json_array_append_new(failures, failure_json(&c->failures[i]));
	json_object_set_new(j, "policy", policy_json(c));
	json_object_set_new(j, "summary", summary);
	json_object_set_new(j, "failure-details", failures);
	return j;
}

bool
tlsrpt_report_write(const struct tlsrpt_report *r, struct buf *to)
{
	json_t *j = json_object(), *range = json_object(), *policies = json_array();
	char *dumped;
	bool fits;

	put(j, "organization-name", r->organization);
	put(range, "start-datetime", r->begin);
	put(range, "end-datetime", r->end);
	json_object_set_new(j, "date-range", range);
	put(j, "contact-info", r->contact);
	put(j, "report-id", r->id);
	for (size_t i = 0; i < r->count; i++)
		json_array_append_new(policies, counts_json(&r->policies[i]));
	json_object_set_new(j, "policies", policies);
	dumped = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	bug_if(dumped == NULL);
	fits = buf_add(to, slice(dumped));
	free(dumped);
	return fits;
}

/* --- reading ------------------------------------------------------------------------- */

struct reading {
	struct arena *arena;
	struct buf    notes;
	size_t        noted;
};

/* So many lines, each with a domain whose every octet has to be shown as four. */
enum { NOTES_BYTES = (TLSRPT_NOTES_MOST + 1) * (4 * TLSRPT_WORD_MOST + 200) };

static bool
may_note(struct reading *r)
{
	return r->noted++ < TLSRPT_NOTES_MOST;
}

static void
note_name(struct reading *r, const char *name, struct slice domain, const char *what)
{
	buf_printf(&r->notes, "%s%s", name, domain.n > 0 ? " of " : "");
	shown_add(&r->notes, domain);
	buf_printf(&r->notes, " %s\n", what);
}

static void
note_left_out(struct reading *r, const char *name, struct slice domain, size_t left_out, size_t all)
{
	char what[80];

	snprintf(what, sizeof what, "are too many: %zu of %zu are left out", left_out, all);
	if (left_out > 0 && may_note(r))
		note_name(r, name, domain, what);
}

/* What is missing, or null, is empty; that it is empty for another reason is told. */
static struct slice
word(struct reading *r, const json_t *value, const char *name, struct slice domain)
{
	struct slice s = slice_of(json_string_value(value), json_string_length(value));
	char what[60] = "is no text";

	if (value == NULL || json_is_null(value))
		return NONE;
	if (s.n > TLSRPT_WORD_MOST)
		snprintf(what, sizeof what, "is cut after %d octets", TLSRPT_WORD_MOST);
	if ((s.p == NULL || s.n > TLSRPT_WORD_MOST) && may_note(r))
		note_name(r, name, domain, what);
	return s.p == NULL ? NONE : arena_copy(r->arena, slice_head(s, TLSRPT_WORD_MOST));
}

static struct slice
get(struct reading *r, const json_t *object, const char *name, struct slice domain)
{
	return word(r, json_object_get(object, name), name, domain);
}

static const json_t *
get_object(struct reading *r, const json_t *object, const char *name, struct slice domain)
{
	const json_t *j = json_object_get(object, name);

	if (j != NULL && !json_is_null(j) && !json_is_object(j) && may_note(r))
		note_name(r, name, domain, "is no object");
	return j;
}

/* What stands alone where a list belongs may be one of `alone`; anything else is told. */
static const json_t *
get_list(struct reading *r, const json_t *object, const char *name, struct slice domain,
    json_type alone)
{
	const json_t *j = json_object_get(object, name);

	if (j != NULL && !json_is_null(j) && !json_is_array(j) && json_typeof(j) != alone && may_note(r))
		note_name(r, name, domain, "is no list");
	return j;
}

/* RFC 7493 2.2: 303.0 and 3.03e2 are the number 303. */
static bool
whole_number(const json_t *j, uint64_t *n)
{
	double real = json_real_value(j);

	if (json_is_integer(j) && json_integer_value(j) >= 0) {
		*n = (uint64_t)json_integer_value(j);
		return true;
	}
	if (!json_is_real(j) || real < 0 || real > 9007199254740992.0)
		return false;
	*n = (uint64_t)real;
	return (double)*n == real;
}

/* A count that is missing is 0; what is none is 0 too, and that is told. */
static uint64_t
get_count(struct reading *r, const json_t *object, const char *name, struct slice domain)
{
	const json_t *j = json_object_get(object, name);
	uint64_t n = 0;

	if (j == NULL || whole_number(j, &n))
		return n;
	if (may_note(r))
		note_name(r, name, domain, "is no count");
	return 0;
}

/* An array of strings, or one string alone, as the example of RFC 8460 B has it. */
static size_t
get_words(struct reading *r, const json_t *object, const char *name, struct slice domain,
    const struct slice **to)
{
	const json_t *value = get_list(r, object, name, domain, JSON_STRING);
	size_t all = json_is_string(value) ? 1 : json_array_size(value), n = 0;
	size_t most = all < TLSRPT_COUNTS_MOST ? all : TLSRPT_COUNTS_MOST;
	struct slice *words = arena_get(r->arena, (most + 1) * sizeof *words);

	note_left_out(r, name, domain, all - (words != NULL ? most : 0), all);
	if (words == NULL)
		return 0;
	for (size_t i = 0; i < most; i++) {
		const json_t *item = json_is_string(value) ? value : json_array_get(value, i);
		struct slice one = word(r, item, name, domain);

		if (one.n > 0)
			words[n++] = one;
	}
	*to = words;
	return n;
}

/* An array of objects, or one object alone; what is neither counts as empty. */
static size_t
list_size(const json_t *value)
{
	return json_is_object(value) ? 1 : json_array_size(value);
}

/* The next object of it; what is none, and what is too many, is told. */
static const json_t *
next_item(struct reading *r, const json_t *list, size_t *at, const char *name, struct slice domain)
{
	const size_t n = list_size(list), most = n < TLSRPT_COUNTS_MOST ? n : TLSRPT_COUNTS_MOST;
	char what[60];

	while (*at < most) {
		const json_t *j = json_is_object(list) ? list : json_array_get(list, *at);

		++*at;
		if (json_is_object(j))
			return j;
		snprintf(what, sizeof what, "is none at place %zu", *at);
		if (may_note(r))
			note_name(r, name, domain, what);
	}
	note_left_out(r, name, domain, n - most, n);
	return NULL;
}

/* Room for all objects of a list, or NULL. */
static void *
room_for(const struct reading *r, const json_t *list, size_t size)
{
	size_t n = list_size(list);

	return arena_get(r->arena, ((n < TLSRPT_COUNTS_MOST ? n : TLSRPT_COUNTS_MOST) + 1) * size);
}

static struct tlsrpt_failure
read_failure(struct reading *r, const json_t *j, struct slice domain)
{
	return (struct tlsrpt_failure){
		.result = get(r, j, "result-type", domain),
		.sending_ip = get(r, j, "sending-mta-ip", domain),
		.mx = get(r, j, "receiving-mx-hostname", domain),
		.helo = get(r, j, "receiving-mx-helo", domain),
		.receiving_ip = get(r, j, "receiving-ip", domain),
		.information = get(r, j, "additional-information", domain),
		.reason = get(r, j, "failure-reason-code", domain),
		.count = get_count(r, j, "failed-session-count", domain),
	};
}

static bool
read_counts(struct reading *r, const json_t *j, struct tlsrpt_counts *c)
{
	const json_t *policy = get_object(r, j, "policy", NONE), *summary, *failures, *one;
	size_t at = 0;

	*c = (struct tlsrpt_counts){ .domain = get(r, policy, "policy-domain", NONE) };
	c->type = get(r, policy, "policy-type", c->domain);
	summary = get_object(r, j, "summary", c->domain);
	failures = get_list(r, j, "failure-details", c->domain, JSON_OBJECT);
	c->string_count = get_words(r, policy, "policy-string", c->domain, &c->strings);
	c->mx_count = get_words(r, policy, "mx-host", c->domain, &c->mx);
	c->good = get_count(r, summary, "total-successful-session-count", c->domain);
	c->bad = get_count(r, summary, "total-failure-session-count", c->domain);
	if ((c->failures = room_for(r, failures, sizeof *c->failures)) == NULL)
		return false;
	while ((one = next_item(r, failures, &at, "failure-details", c->domain)) != NULL)
		c->failures[c->failure_count++] = read_failure(r, one, c->domain);
	return true;
}

static bool
read_policies(struct reading *r, const json_t *list, struct tlsrpt_report *to, struct error *why)
{
	const json_t *one;
	size_t at = 0;

	if ((to->policies = room_for(r, list, sizeof *to->policies)) == NULL)
		return error_set(why, "the report is too large");
	while ((one = next_item(r, list, &at, "policies", NONE)) != NULL)
		if (!read_counts(r, one, &to->policies[to->count++]))
			return error_set(why, "the report is too large");
	return to->count > 0 || error_set(why, "it has no policies, so it is no report on TLS");
}

static struct slice
notes_of(struct reading *r)
{
	if (r->noted > TLSRPT_NOTES_MOST)
		buf_printf(&r->notes, "and %zu more like these\n", r->noted - TLSRPT_NOTES_MOST);
	return arena_copy(r->arena, buf_slice(&r->notes));
}

struct slice
json_without_mark(struct slice json)
{
	return slice_starts(json, S("\xef\xbb\xbf")) ? slice_skip(json, 3) : json;
}

bool
tlsrpt_report_read(struct tlsrpt_report *r, struct slice bytes, struct arena *arena, struct error *why)
{
	struct reading reading = { .arena = arena, .notes = BUF(NOTES_BYTES) };
	json_error_t flaw;
	const json_t *range;
	json_t *j;
	bool ok;

	*r = (struct tlsrpt_report){ .count = 0 };
	bytes = json_without_mark(bytes);
	if (bytes.n > TLSRPT_REPORT_MOST)
		return error_set(why, "the report is too large");
	if ((j = json_loadb(bytes.p, bytes.n, JSON_REJECT_DUPLICATES, &flaw)) == NULL)
		return error_set(why, "no JSON: line %d: %s", flaw.line, flaw.text);
	range = get_object(&reading, j, "date-range", NONE);
	r->organization = get(&reading, j, "organization-name", NONE);
	r->contact = get(&reading, j, "contact-info", NONE);
	r->id = get(&reading, j, "report-id", NONE);
	r->begin = get(&reading, range, "start-datetime", NONE);
	r->end = get(&reading, range, "end-datetime", NONE);
	ok = read_policies(&reading, json_object_get(j, "policies"), r, why);
	r->notes = notes_of(&reading);
	buf_free(&reading.notes);
	json_decref(j);
	return ok && (!arena_full(arena) || error_set(why, "the report is too large"));
}

/* --- for people ------------------------------------------------------------------------ */

static void
say(struct buf *b, const char *before, struct slice s, const char *behind)
{
	if (s.n == 0)
		return;
	buf_add(b, slice(before));
	shown_add(b, s);
	buf_add(b, slice(behind));
}

static void
say_failure(struct buf *b, const struct tlsrpt_failure *f)
{
	buf_printf(b, "  %6llu  ", (unsigned long long)f->count);
	say(b, "", f->result.n > 0 ? f->result : S("(no result type)"), "");
	say(b, "  ", f->mx, "");
	say(b, " [", f->receiving_ip, "]");
	say(b, "  from ", f->sending_ip, "");
	say(b, "  ", f->reason, "");
	say(b, "  ", f->information, "");
	buf_byte(b, '\n');
}

void
tlsrpt_report_text(const struct tlsrpt_report *r, struct buf *b)
{
	say(b, "", r->organization.n > 0 ? r->organization : S("(no organization)"), "");
	say(b, " <", r->contact, ">");
	say(b, "  ", r->begin, " to ");
	say(b, "", r->end, "");
	say(b, "  ", r->id, "");
	buf_byte(b, '\n');
	for (size_t i = 0; i < r->count; i++) {
		const struct tlsrpt_counts *c = &r->policies[i];

		say(b, "", c->domain.n > 0 ? c->domain : S("(no domain)"), "");
		say(b, "  ", c->type, "");
		buf_printf(b, "  %llu good, %llu failed\n", (unsigned long long)c->good,
		    (unsigned long long)c->bad);
		for (size_t k = 0; k < c->failure_count; k++)
			say_failure(b, &c->failures[k]);
	}
}
