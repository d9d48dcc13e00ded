/* SPDX-License-Identifier: ISC */
/*
 * chainmail verify -- what a server here would have concluded about a message:
 * the same evaluation (arc/verdict.h), for a message in a file.
 *
 * Exit codes: 0 when DMARC passes, a trusted sealer vouches, or there is no
 * policy; 1 when the verdict is bad; 75 when the DNS hides it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arc/explain.h"
#include "base/file.h"
#include "cmd/answers.h"
#include "cmd/cmd.h"
#include "cmd/record.h"
#include "cmd/shown.h"
#include "cmd/story.h"

static const char SYNOPSIS[] = "verify [OPTION]... < message";

enum {
	MESSAGE_MOST = 64 << 20,
	VERDICT_ARENA = 8 << 20,        /* as the server has it (smtpd/intake.h) */
	STEPS_ARENA = 256 << 20, TEXTS_ARENA = 1 << 20,
	KEYS = 64,
	RESULTS_MOST = 64 << 10, TEXT_MOST = 64 << 20,
};

struct request {
	const char  *ip, *helo, *mail_from, *now, *authserv_id, *record, *world;
	struct words trust, policy;
	struct answers_options answers;
	bool         json, explain;
};

struct verification {
	struct request request;
	struct arena  *texts;           /* of the options */
	struct arena  *arena;           /* of the evaluation */
	struct arena  *steps;
	struct answers answers;
	struct trust  *trust;
	struct policy  policy;
	struct keys   *keys;
	struct buf     message;
	size_t         bare;            /* lines that ended with a bare LF */
	struct header  header;
	struct slice   body;
	struct bodies  bodies;
	struct slice   authserv_id;
	struct verdict_question question;
	struct verdict verdict;
	struct buf     results;         /* the payload of Authentication-Results */
	struct step   *story;           /* NULL: nobody wants to know */
};

static int
complain(int code, const char *what, const char *word)
{
	complaint("chainmail verify: %s%s", what, word);
	return code;
}

/* --- what is asked ------------------------------------------------------------------ */

/* What belongs to a case: these are recorded, and nothing else is read back. */
#define CASE_ROWS(r) \
	{ "--ip", OPTION_TEXT, &(r)->ip, "ADDRESS", "the client's address; without it no SPF, no iprev" }, \
	{ "--helo", OPTION_TEXT, &(r)->helo, "NAME", "what it said in HELO or EHLO" }, \
	{ "--mail-from", OPTION_TEXT, &(r)->mail_from, "SENDER", "the one of MAIL FROM, <> for none" }, \
	{ "--from", OPTION_TEXT, &(r)->mail_from, "SENDER", "the same" }, \
	{ "--now", OPTION_TEXT, &(r)->now, "UNIX", "the time when it came, in seconds since 1970" }, \
	{ "--authserv-id", OPTION_TEXT, &(r)->authserv_id, "ID", "who we are, in Authentication-Results" }, \
	{ "--trust", OPTION_LIST, &(r)->trust, "DOMAIN", "believe this ARC sealer; may be repeated" }, \
	{ "--policy", OPTION_LIST, &(r)->policy, "NAME=WORD", "as dmarc_reject=never; may be repeated" }

/* The words of a recorded case first, so that those on the command line win. */
static int
read_options(struct request *r, int argc, char **argv, struct arena *texts)
{
	const struct option_row rows[] = {
		CASE_ROWS(r),
		ANSWERS_ROWS(&r->answers),
		{ "--json", OPTION_FLAG, &r->json, NULL, "print one JSON object" },
		{ "--explain", OPTION_FLAG, &r->explain, NULL, "tell every step, with hints and the chain" },
		{ "--record", OPTION_TEXT, &r->record, "DIR", "keep the message and all answers there" },
		{ "--world", OPTION_TEXT, &r->world, "DIR", "judge what was recorded there, offline" },
		{ 0 },
	};
	const struct option_row case_rows[] = { CASE_ROWS(r), { 0 } };
	struct words none = { 0 };
	const char *world;

	if (!options_read(argc, argv, SYNOPSIS, rows, &none, 0))
		return EX_USAGE;
	if ((world = r->world) == NULL)
		return 0;
	*r = (struct request){ 0 };
	if (!record_options(world, case_rows, texts))
		return EX_NOINPUT;
	return options_read(argc, argv, SYNOPSIS, rows, &none, 0) ? 0 : EX_USAGE;
}

static int
read_client(struct verification *v)
{
	const struct request *r = &v->request;

	if (r->ip != NULL && !ip_parse(slice(r->ip), &v->question.client))
		return complain(EX_USAGE, "this is not an address: ", r->ip);
	if (r->ip == NULL && (r->helo != NULL || r->mail_from != NULL))
		complain(0, "without --ip there is no client, and SPF is not asked", "");
	if (r->helo != NULL)
		v->question.helo = slice(r->helo);
	return 0;
}

/* "a@b.test", "<a@b.test>", "<>", and nothing, which is the null sender too. */
static int
read_sender(struct verification *v)
{
	const char *from = v->request.mail_from;
	struct slice path;

	if (from == NULL || *from == '\0')
		return 0;
	path = *from == '<' ? slice(from) : arena_printf(v->texts, "<%s>", from);
	if (path_parse(&path, true, v->texts, &v->question.sender) != PATH_OK || path.n > 0)
		return complain(EX_USAGE, "this is no sender: ", from);
	return 0;
}

static int
read_time(struct verification *v)
{
	uint64_t seconds;

	v->question.now = clock_now(&v->answers.clock);
	if (v->request.now == NULL)
		return 0;
	if (!slice_number(slice(v->request.now), 999999999999, &seconds))
		return complain(EX_USAGE, "--now takes seconds since 1970: ", v->request.now);
	v->question.now = (int64_t)seconds * SECOND;
	return 0;
}

/* --- who we are, whom we trust --------------------------------------------------------- */

static struct slice
name_of_machine(struct arena *arena)
{
	char name[256] = "";

	if (gethostname(name, sizeof name - 1) != 0 || *name == '\0')
		return S("localhost");
	return arena_copy(arena, slice(name));
}

/* What --authserv-id says, what the configuration is called, what the machine is. */
static void
name_ourselves(struct verification *v)
{
	const char *id = v->request.authserv_id;

	v->question.hostname = v->answers.conf->hostname;
	if (v->question.hostname.n == 0)
		v->question.hostname = id != NULL ? slice(id) : name_of_machine(v->texts);
	v->authserv_id = id != NULL ? slice(id) : v->question.hostname;
}

/* The sealers of the configuration, and those of the command line. */
static int
read_trust(struct verification *v)
{
	const struct words *more = &v->request.trust;
	struct arc_conf arc = v->answers.conf->arc;
	struct slice *patterns = arena_get(v->texts, (arc.trust_count + more->n + 1) * sizeof *patterns);
	struct flaws flaws;
	struct buf text = BUF(TEXT_MOST);
	int code = 0;

	for (size_t i = 0; i < arc.trust_count; i++)
		patterns[i] = arc.trust[i];
	for (size_t i = 0; i < more->n; i++)
		if (!value_pattern(slice(more->word[i]), v->texts, &patterns[arc.trust_count++]))
			return complain(EX_USAGE, "this is no domain: ", more->word[i]);
	arc.trust = patterns;
	flaws_begin(&flaws);
	v->trust = trust_new(&arc, &v->answers.reader, &flaws);
	if (flaws.errors > 0) {
		flaws_add_text(&text, &flaws);
		fwrite(text.p, 1, text.n, stderr);
		code = EX_CONFIG;
	}
	buf_free(&text);
	flaws_end(&flaws);
	return code;
}

/* The switches of the configuration, but for those that the case or the command line sets. */
static int
read_policy(struct verification *v)
{
	const struct words *set = &v->request.policy;

	v->policy = policy_configured(&v->answers.conf->policy);
	for (size_t i = 0; i < set->n; i++) {
		struct slice word = slice(set->word[i]), name;

		slice_cut(&word, '=', &name);
		if (!policy_set(&v->policy, name, word))
			return complain(EX_USAGE, "this is no switch of the policy: ", set->word[i]);
	}
	return 0;
}

/* --- the message -------------------------------------------------------------------------- */

/* What comes in; of a recorded case the recorded one, when nothing does. */
static bool
read_input(struct verification *v)
{
	const char *world = v->request.world;
	bool ok = true;
	char *path;
	int fd;

	if (world == NULL || !isatty(STDIN_FILENO))
		ok = message_from_file(STDIN_FILENO, "standard input", &v->message, MESSAGE_MOST, &v->bare);
	if (!ok || world == NULL || v->message.n > 0)
		return ok;
	buf_free(&v->message);
	path = record_path(world, "message");
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		complaint("chainmail verify: cannot open %s", path);
	ok = fd != -1 && message_from_file(fd, path, &v->message, MESSAGE_MOST, &v->bare);
	if (fd != -1)
		close(fd);
	free(path);
	return ok;
}

static int
read_message(struct verification *v)
{
	struct slice whole;
	struct error why;
	size_t n;

	if (!read_input(v))
		return EX_DATAERR;
	whole = buf_slice(&v->message);
	if (whole.n == 0)
		return complain(EX_DATAERR, "there is no message on standard input", "");
	n = header_length(whole);
	v->body = slice_skip(whole, n + 2);
	if (!header_parse(&v->header, slice_head(whole, n), v->arena, &why))
		return complain(EX_DATAERR, why.text, "");
	if (!verdict_begin(&v->verdict, &v->header, &v->bodies, v->arena))
		return complain(EX_DATAERR, "the header takes too much memory", "");
	return 0;
}

/* --- the verdict --------------------------------------------------------------------------- */

static bool
evaluate(void *arg, struct facts *facts)
{
	struct verification *v = arg;

	return verdict_evaluate(&v->verdict, &v->question, &v->bodies, v->keys, facts);
}

static void
judge(struct verification *v)
{
	struct verdict_terms terms = { .policy = &v->policy, .trust = v->trust };
	bool told = v->request.explain || !v->request.json;
	struct authres results;

	if (told)
		explain_begin(&v->verdict, &v->bodies, v->steps);
	bodies_update(&v->bodies, v->body);
	bodies_finish(&v->bodies);
	answers_run(&v->answers, evaluate, v);
	verdict_decide(&v->verdict, &v->question, &terms);
	verdict_results(&v->verdict, &v->question, v->authserv_id, &results);
	authres_write(&results, true, &v->results);
	if (told)
		v->story = explain(&v->verdict, v->trust, v->steps);
}

static int
exit_code(const struct verdict *v)
{
	if (v->voucher.n > 0 || v->dmarc.result == DMARC_PASS || v->dmarc.result == DMARC_NONE)
		return 0;
	if (v->dmarc.result == DMARC_TEMPERROR || v->decision.action == POLICY_DEFER)
		return EX_TEMPFAIL;
	return EX_BAD;
}

/* --- for programs ---------------------------------------------------------------------------- */

/* What need not be there is left out, rather than null. */
static void
set_if_any(json_t *json, const char *key, struct slice value)
{
	if (value.n > 0)
		json_object_set_new(json, key, shown_json(value));
}

static json_t *
spf_json(const struct verdict *v)
{
	json_t *json = json_pack("{s:s, s:o}", "result", spf_result_name(v->mail.result),
	    "domain", shown_json(v->mail.domain));

	set_if_any(json, "explanation", v->mail.explanation);
	set_if_any(json, "reason", v->mail.why);
	if (v->spf_asked)
		json_object_set_new(json, "helo", json_pack("{s:s, s:o}",
		    "result", spf_result_name(v->helo.result), "domain", shown_json(v->helo.domain)));
	return json;
}

static json_t *
dkim_json(const struct dkim *dkim)
{
	json_t *list = json_array();

	for (size_t i = 0; i < dkim->count; i++) {
		const struct signature *s = &dkim->signatures[i];
		json_t *json = json_pack("{s:s, s:o, s:o, s:o}", "result", dkim_result_name(dkim_result(s)),
		    "domain", shown_json(s->domain), "selector", shown_json(s->selector),
		    "algorithm", s->names.n > 0 ? json_string(key_algorithm(s->algorithm)) : json_null());

		set_if_any(json, "reason", dkim_reason(s));
		json_array_append_new(list, json);
	}
	return list;
}

static json_t *
dmarc_json(const struct verdict *v)
{
	const struct dmarc *d = &v->dmarc;
	bool policy = d->policy_domain.n > 0;
	json_t *json = json_pack("{s:s, s:o, s:s, s:o, s:o}", "result", dmarc_result_name(d->result),
	    "policy", policy ? json_string(dmarc_policy_name(d->policy)) : json_null(),
	    "disposition", v->decision.disposition, "domain", shown_json(d->author),
	    "org_domain", shown_json(d->walk.org));

	set_if_any(json, "policy_domain", d->policy_domain);
	if (d->result != DMARC_PASS)
		set_if_any(json, "reason", d->why);
	if (v->decision.reason != REASON_NONE) {
		json_object_set_new(json, "override", json_string(policy_reason_name(v->decision.reason)));
		set_if_any(json, "override_comment", v->decision.comment);
	}
	return json;
}

/* The sealers by instance; of a broken chain some may not be known. */
static json_t *
arc_json(const struct verdict *v)
{
	const struct arc *a = &v->arc;
	json_t *sealers = json_array(), *json;

	for (unsigned i = 0; i < a->count; i++)
		json_array_append_new(sealers, shown_json(a->sets[i] ? a->sets[i]->seal.domain : NONE));
	json = json_pack("{s:s, s:i, s:o, s:o, s:b}", "result", arc_result_name(a->result),
	    "sets", (int)a->count,
	    "oldest_pass", a->result == ARC_PASS ? json_integer(a->oldest_pass) : json_null(),
	    "sealers", sealers, "trusted", v->trust.trusted > 0);
	set_if_any(json, "reason", a->result == ARC_FAIL ? a->reason : NONE);
	set_if_any(json, "voucher", v->voucher);
	return json;
}

static json_t *
iprev_json(const struct verdict *v)
{
	char ip[IP_TEXT];

	if (!v->spf_asked)
		return json_pack("{s:n}", "result");
	ip_text(v->iprev.client, ip);
	return json_pack("{s:s, s:s, s:o}", "result", iprev_result_name(v->iprev.result), "address", ip,
	    "name", shown_json(v->iprev.name));
}

/* On one line: its folds are a CRLF and a tab. */
static json_t *
results_json(const struct buf *results)
{
	struct buf line = BUF(RESULTS_MOST);
	json_t *json;

	for (size_t i = 0; i < results->n; i++)
		if (results->p[i] != '\r' && results->p[i] != '\n')
			buf_byte(&line, results->p[i] == '\t' ? ' ' : results->p[i]);
	json = shown_json(buf_slice(&line));
	buf_free(&line);
	return json;
}

static void
print_json(const struct verification *v, int code)
{
	size_t left_out = v->verdict.dkim.left_out;
	json_t *json = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:i}",
	    "spf", spf_json(&v->verdict), "dkim", dkim_json(&v->verdict.dkim),
	    "dmarc", dmarc_json(&v->verdict),
	    "arc", arc_json(&v->verdict), "iprev", iprev_json(&v->verdict),
	    "authentication_results", results_json(&v->results),
	    "action", policy_action_name(v->verdict.decision.action), "exit", code);

	if (left_out > 0)
		json_object_set_new(json, "dkim_left_out", json_integer((json_int_t)left_out));
	if (v->request.explain) {
		json_t *story = v->story != NULL ? story_json(v->story) : json_null();

		if (v->story != NULL && v->bare > 0)
			json_object_set_new(story, "bare_line_ends", json_integer((json_int_t)v->bare));
		json_object_set_new(json, "explain", story);
	}
	shown_print(json);
}

/* --- for people -------------------------------------------------------------------------------- */

/* "dmarc=fail, p=reject: quarantine, p=reject, but it came through a list      exit 1" */
static void
add_conclusion(struct buf *b, const struct verdict *v, int code)
{
	buf_printf(b, "\nverdict: dmarc=%s", dmarc_result_name(v->dmarc.result));
	if (v->dmarc.policy_domain.n > 0)
		buf_printf(b, ", p=%s", dmarc_policy_name(v->dmarc.policy));
	buf_printf(b, "; %s: ", policy_action_name(v->decision.action));
	buf_add(b, v->decision.why);
	buf_printf(b, "      exit %d\n", code);
}

static void
print_text(const struct verification *v, int code)
{
	struct buf b = BUF(TEXT_MOST), unix_lines = BUF(TEXT_MOST);

	if (v->bare > 0 && v->request.explain)
		buf_printf(&b, "note: %zu lines ended with a bare LF and were taken as ended with CRLF\n",
		    v->bare);
	if (v->story != NULL)
		story_results(&b, v->story);
	if (v->story != NULL && v->request.explain) {
		story_chain(&b, v->story);
		story_steps(&b, v->story);
	}
	add_conclusion(&b, &v->verdict, code);
	buf_printf(&b, "Authentication-Results: %.*s\n", FMT(buf_slice(&v->results)));
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] != '\r')
			buf_byte(&unix_lines, b.p[i]);
	shown_write(buf_slice(&unix_lines));
	buf_free(&b);
	buf_free(&unix_lines);
}

/* --- the record ---------------------------------------------------------------------------------- */

/* The sealers of this message that were trusted, whoever named them. */
static void
record_trust(const struct verification *v, struct buf *options)
{
	const struct arc *a = &v->verdict.arc;

	for (unsigned i = 0; i < v->verdict.trust.trusted; i++) {
		const struct arc_set *set = a->sets[a->count - 1 - i];

		record_option(options, "--trust", set->seal.domain);
		if (!slice_eq(set->seal.domain, set->ams.domain))
			record_option(options, "--trust", set->ams.domain);
	}
}

/* All of them: what is the default here need not be it where the case is judged again. */
static void
record_policy(const struct verification *v, struct buf *options)
{
	for (size_t i = 0; i < POLICY_SWITCHES; i++) {
		const char *name;
		struct slice word = policy_switch(&v->policy, i, &name);

		buf_printf(options, "--policy=%s=%.*s\n", name, FMT(word));
	}
}

static int
record(const struct verification *v)
{
	const struct request *r = &v->request;
	struct buf options = BUF(RECORD_OPTIONS), now = BUF(32);
	struct error why;
	bool ok;

	if (r->record == NULL)
		return 0;
	buf_printf(&now, "%lld", (long long)(v->question.now / SECOND));
	record_option(&options, "--ip", r->ip != NULL ? slice(r->ip) : NONE);
	record_option(&options, "--helo", v->question.helo);
	record_option(&options, "--mail-from", r->mail_from != NULL ? slice(r->mail_from) : NONE);
	record_option(&options, "--now", buf_slice(&now));
	record_option(&options, "--authserv-id", v->authserv_id);
	record_trust(v, &options);
	record_policy(v, &options);
	ok = record_write(r->record, buf_slice(&v->message), &v->answers.inquiry.facts, buf_slice(&options),
	    &why);
	buf_free(&options);
	buf_free(&now);
	return ok ? 0 : complain(EX_CANTCREAT, why.text, "");
}

/* --- the command ----------------------------------------------------------------------------------- */

/* Everything that is needed, in the order in which it can be wrong. */
static int
prepare(struct verification *v)
{
	int code;

	name_ourselves(v);
	if ((code = read_client(v)) != 0 || (code = read_sender(v)) != 0 || (code = read_time(v)) != 0 ||
	    (code = read_trust(v)) != 0 || (code = read_policy(v)) != 0)
		return code;
	return read_message(v);
}

static int
judge_and_tell(struct verification *v)
{
	int code, written;

	judge(v);
	code = exit_code(&v->verdict);
	(v->request.json ? print_json : print_text)(v, code);
	written = record(v);
	return written != 0 ? written : code;
}

/* A recorded world answers for itself, unless something else is named. */
static int
verify(struct verification *v)
{
	struct answers_options o = v->request.answers;
	char *recorded = v->request.world != NULL ? record_path(v->request.world, "dns") : NULL;
	int code;

	if (o.dns == NULL)
		o.dns = recorded;
	if ((code = answers_begin(&v->answers, "verify", &o, v->arena)) == 0 && (code = prepare(v)) == 0)
		code = judge_and_tell(v);
	answers_end(&v->answers);
	free(recorded);
	return code;
}

static void
end(struct verification *v)
{
	trust_free(v->trust);
	keys_free(v->keys);
	bodies_free(&v->bodies);
	buf_free(&v->message);
	buf_free(&v->results);
	arena_free(v->steps);
	arena_free(v->arena);
	arena_free(v->texts);
}

int
cmd_verify(int argc, char **argv)
{
	struct verification v = {
		.texts = arena_new(TEXTS_ARENA), .arena = arena_new(VERDICT_ARENA),
		.steps = arena_new(STEPS_ARENA), .keys = keys_new(KEYS), .results = BUF(RESULTS_MOST),
	};
	int code;

	if ((code = read_options(&v.request, argc, argv, v.texts)) == 0)
		code = verify(&v);
	end(&v);
	return code;
}
