/* SPDX-License-Identifier: ISC */
/*
 * chainmail spf -- evaluate a policy and tell what decided: the term and its
 * place, every look-up with its answer, the explanation.
 */
#include <stdio.h>
#include <string.h>

#include "auth/spf.h"
#include "base/clock.h"
#include "base/text.h"
#include "cmd/answers.h"
#include "cmd/cmd.h"
#include "cmd/shown.h"

enum { MEMORY = 16 << 20, TEXT = 1 << 20 };

struct request {
	const char *ip, *helo, *mail_from, *identity, *receiver, *now;
	struct answers_options answers;
	bool        json;
};

/* --- what is asked ------------------------------------------------------------ */

static bool
complain(const char *what, const char *word)
{
	complaint("chainmail spf: %s%s%s", what, *word ? ": " : "", word);
	return false;
}

/* "a@b.test", "<a@b.test>", "<>", or a domain alone. */
static void
read_mail_from(const char *text, struct spf_question *q)
{
	struct slice from = slice(text);
	size_t at;

	if (slice_starts(from, S("<")) && slice_endsi(from, S(">")))
		from = slice_head(slice_skip(from, 1), from.n - 2);
	for (at = from.n; at > 0 && from.p[at - 1] != '@'; at--)
		;
	q->local = slice_head(from, at > 0 ? at - 1 : 0);
	q->domain = slice_skip(from, at);
}

/* Without --identity it is MAIL FROM where there is one. */
static bool
read_identity(const struct request *r, struct spf_question *q)
{
	const char *word = r->identity ? r->identity : r->mail_from ? "mailfrom" : "helo";

	q->identity = strcmp(word, "helo") == 0 ? SPF_HELO : SPF_MAILFROM;
	if (strcmp(word, spf_identity_name(q->identity)) != 0)
		return complain("an identity is helo or mailfrom", word);
	if (q->identity == SPF_MAILFROM && r->mail_from == NULL)
		return complain("--mail-from is missing", "");
	if (r->helo == NULL && (q->identity == SPF_HELO || q->domain.n == 0))
		return complain("--helo is missing", "");
	return true;
}

static bool
read_question(const struct request *r, struct spf_question *q)
{
	uint64_t now;

	*q = (struct spf_question){ .now = clock_now(&(struct clock){ 0 }) };
	if (r->ip == NULL || !ip_parse(slice(r->ip), &q->client))
		return complain(r->ip ? "this is not an address" : "--ip is missing", r->ip ? r->ip : "");
	if (r->now != NULL && !slice_number(slice(r->now), INT64_MAX / SECOND, &now))
		return complain("--now takes seconds since 1970", r->now);
	if (r->now != NULL)
		q->now = (int64_t)now * SECOND;
	if (r->helo != NULL)
		q->helo = slice(r->helo);
	if (r->receiver != NULL)
		q->receiver = slice(r->receiver);
	if (r->mail_from != NULL)
		read_mail_from(r->mail_from, q);
	return read_identity(r, q);
}

/* --- the answer for programs ---------------------------------------------------- */

static json_t *
json_queries(const struct facts *facts)
{
	json_t *list = json_array();

	for (const struct fact *f = facts->first; f != NULL; f = f->next)
		json_array_append_new(list, shown_fact_json(f));
	return list;
}

static json_t *
json_term(const struct spf_place *term)
{
	if (term->text.n == 0)
		return json_null();
	return json_pack("{s:o, s:I, s:o}", "text", shown_json(term->text),
	    "position", (json_int_t)term->at, "record_of", shown_json(term->domain));
}

static void
print_json(const struct spf *spf, const struct facts *facts)
{
	shown_print(json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:i, s:o}",
	    "result", spf_result_name(spf->result), "identity", spf_identity_name(spf->identity),
	    "domain", shown_json(spf->domain), "term", json_term(&spf->term),
	    "explanation", shown_json(spf->explanation), "why", shown_json(spf->why),
	    "lookups", (int)spf->lookups, "void_lookups", (int)spf->voids,
	    "queries", json_queries(facts)));
}

/* --- the answer for people ------------------------------------------------------ */

static void
print_shown(const char *label, struct slice s)
{
	struct buf b = BUF(TEXT);

	if (s.n == 0)
		return;
	shown_add(&b, s);
	printf("%-12s %.*s\n", label, FMT(buf_slice(&b)));
	buf_free(&b);
}

static void
print_term(const struct spf_place *term)
{
	struct buf b = BUF(TEXT);

	if (term->text.n == 0)
		return;
	shown_add(&b, term->text);
	buf_printf(&b, "   at position %zu in the record of ", term->at);
	shown_add(&b, term->domain);
	printf("%-12s %.*s\n", "term", FMT(buf_slice(&b)));
	buf_free(&b);
}

static void
print_query(const struct fact *f)
{
	struct buf b = BUF(TEXT), name = BUF(TEXT);

	shown_add(&name, f->name);
	shown_fact_add(&b, f);
	printf("  %-5s %-30.*s %-9s %.*s\n", rr_name(f->type), FMT(buf_slice(&name)), answer_name(f->answer),
	    FMT(buf_slice(&b)));
	buf_free(&name);
	buf_free(&b);
}

static void
print_text(const struct spf *spf, const struct facts *facts)
{
	printf("%-12s %s\n", "result", spf_result_name(spf->result));
	printf("%-12s %s\n", "identity", spf_identity_name(spf->identity));
	print_shown("domain", spf->domain);
	print_term(&spf->term);
	print_shown("why", spf->why);
	print_shown("explanation", spf->explanation);
	printf("%-12s %u of %d counted, %u of %d void\n", "look-ups", spf->lookups, SPF_TERMS_MOST,
	    spf->voids, SPF_VOIDS_MOST);
	for (const struct fact *f = facts->first; f != NULL; f = f->next)
		print_query(f);
}

/* --- the command ------------------------------------------------------------------ */

static int
exit_code(enum spf_result result)
{
	switch (result) {
	case SPF_FAIL:
	case SPF_SOFTFAIL:
	case SPF_PERMERROR:
		return EX_BAD;
	case SPF_TEMPERROR:
		return EX_TEMPFAIL;
	default:
		return 0;
	}
}

struct check {
	const struct spf_question *question;
	struct spf                 spf;
};

static bool
evaluate(void *arg, struct facts *facts)
{
	struct check *c = arg;

	return spf_evaluate(&c->spf, c->question, facts);
}

static int
check(const struct spf_question *question, const struct request *r)
{
	struct arena *arena = arena_new(MEMORY);
	struct check c = { .question = question };
	struct answers answers;
	int code;

	if ((code = answers_begin(&answers, "spf", &r->answers, arena)) == 0) {
		answers_run(&answers, evaluate, &c);
		(r->json ? print_json : print_text)(&c.spf, &answers.inquiry.facts);
		code = exit_code(c.spf.result);
	}
	answers_end(&answers);
	arena_free(arena);
	return code;
}

int
cmd_spf(int argc, char **argv)
{
	struct request r = { 0 };
	struct words operands = { 0 };
	struct spf_question question;
	const struct option_row rows[] = {
		{ "--ip", OPTION_TEXT, &r.ip, "ADDRESS", "the client's address" },
		{ "--helo", OPTION_TEXT, &r.helo, "NAME", "what it said in HELO or EHLO" },
		{ "--mail-from", OPTION_TEXT, &r.mail_from, "SENDER", "the one of MAIL FROM, <> for none" },
		{ "--identity", OPTION_TEXT, &r.identity, "helo|mailfrom", "which one to check" },
		{ "--receiver", OPTION_TEXT, &r.receiver, "NAME", "our host, for %{r} in an explanation" },
		{ "--now", OPTION_TEXT, &r.now, "UNIX", "the time, for %{t}" },
		ANSWERS_ROWS(&r.answers),
		{ "--json", OPTION_FLAG, &r.json, NULL, "print one JSON object" },
		{ 0 },
	};

	if (!options_read(argc, argv, "spf --ip ADDRESS --helo NAME --mail-from SENDER [OPTION]...",
	    rows, &operands, 0) || !read_question(&r, &question))
		return EX_USAGE;
	return check(&question, &r);
}
