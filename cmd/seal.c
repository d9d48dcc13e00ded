/* SPDX-License-Identifier: ISC */
/*
 * seal -- `chainmail seal`: standard input with an ARC set on top.
 *
 * The chain that is there is verified before anything is said about it; a DNS
 * that does not answer is no reason to seal a chain as failed for ever.
 */
#include <stdio.h>

#include "arc/seal.h"
#include "cmd/answers.h"
#include "cmd/signing.h"

static const char SYNOPSIS[] =
    "seal --domain D --selector S --key FILE --authserv-id ID [OPTION]... < message";

enum { KEYS = 64, RESULTS = 64 << 10 };

struct options {
	struct signing_options signing;
	struct answers_options answers;
	const char *authserv_id, *results;
};

static int
complain(int code, const char *what, const char *word)
{
	complaint("chainmail seal: %s%s", what, word);
	return code;
}

/* --- the chain at arrival ----------------------------------------------------------- */

struct judging {
	struct arc     *arc;
	struct verifier verifier;
};

static bool
evaluate(void *arg, struct facts *facts)
{
	struct judging *j = arg;

	j->verifier.facts = facts;
	return arc_evaluate(j->arc, &j->verifier);
}

static void
judge(struct arc *arc, struct signing *s, struct answers *answers)
{
	struct judging j = {
		arc, { .bodies = &s->bodies, .keys = keys_new(KEYS), .now = s->now },
	};

	answers_run(answers, evaluate, &j);
	keys_free(j.verifier.keys);
}

/* The exit code, 0 when the chain was judged. */
static int
verify(struct arc *arc, struct signing *s, const struct answers_options *o)
{
	struct answers answers;
	int code;

	if (arc->concluded)
		return 0;
	if ((code = answers_begin(&answers, "seal", o, s->arena)) == 0)
		judge(arc, s, &answers);
	answers_end(&answers);
	if (code == 0 && arc->temporary) {
		complaint("chainmail seal: %.*s", FMT(arc->reason));
		return complain(EX_TEMPFAIL, "could not find out whether the chain is valid, "
		    "nothing was sealed", "");
	}
	return code;
}

/* --- our set -------------------------------------------------------------------------- */

/* "ID; results", with CRLFs; without --results what this command found itself. */
static void
write_results(const struct options *o, const struct arc *arc, struct buf *to)
{
	buf_printf(to, "%s; ", o->authserv_id);
	if (o->results == NULL) {
		buf_printf(to, "arc=%s", arc_result_name(arc->result));
		return;
	}
	for (const char *p = o->results; *p != '\0'; p++) {
		if (*p == '\n' && (p == o->results || p[-1] != '\r'))
			buf_byte(to, '\r');
		buf_byte(to, *p);
	}
}

static int
write_sealed(struct signing *s, const struct arc *arc, enum arc_sealing done, struct slice set,
    const char *why)
{
	switch (done) {
	case ARC_SEALED:
		break;
	case ARC_ENDED:
		complain(0, "the chain has ended with cv=fail: nothing was added", "");
		break;
	case ARC_FULL:
		complain(0, "there are 50 sets already: nothing was added", "");
		break;
	default:
		return signing_failed("seal", why);
	}
	if (arc->reason.n)
		complaint("chainmail seal: arc=%s: %.*s", arc_result_name(arc->result),
		    FMT(arc->reason));
	return signing_write(s, "seal", set);
}

static int
seal(struct signing *s, const struct options *o, const struct arc *arc)
{
	struct buf results = BUF(RESULTS), set = BUF(SIGNING_HEADER);
	struct error why = { 0 };
	struct arc_arrival arrival = { .result = arc->result };
	enum arc_sealing done;
	int code;

	write_results(o, arc, &results);
	arrival.results = buf_slice(&results);
	done = arc_seal(&s->signer, &s->header, s->body_hash, &arrival, s->now, &set, &why);
	code = write_sealed(s, arc, done, buf_slice(&set), why.text);
	buf_free(&results);
	buf_free(&set);
	return code;
}

static int
verify_and_seal(struct signing *s, const struct options *o)
{
	struct arc arc;
	int code;

	if (!arc_begin(&arc, &s->header, &s->bodies, s->arena))
		return complain(EX_DATAERR, "the header takes too much memory", "");
	signing_hash_body(s);
	code = verify(&arc, s, &o->answers);
	return code == 0 ? seal(s, o, &arc) : code;
}

/* A token of RFC 2045 5.1, and UTF-8. */
static bool
authserv_id_ok(const char *id)
{
	return id != NULL && *id != '\0' && id[strcspn(id, " \t\r\n;()<>@,:\\\"/[]?=")] == '\0';
}

int
cmd_seal(int argc, char **argv)
{
	struct options o = { 0 };
	const struct option_row rows[] = {
		SIGNING_ROWS(&o.signing),
		{ "--authserv-id", OPTION_TEXT, &o.authserv_id, "ID", "who we are, in the new set" },
		{ "--results", OPTION_TEXT, &o.results, "AR", "what was found: \"spf=pass; dmarc=pass\"" },
		ANSWERS_ROWS(&o.answers),
		{ 0 },
	};
	struct words none = { 0 };
	struct signing s;
	int code;

	if (!options_read(argc, argv, SYNOPSIS, rows, &none, 0))
		return EX_USAGE;
	if (!authserv_id_ok(o.authserv_id))
		return complain(EX_USAGE, "--authserv-id is needed, and is one word: mx.example.org", "");
	if ((code = signing_begin(&s, "seal", &o.signing)) == 0)
		code = verify_and_seal(&s, &o);
	signing_end(&s);
	return code;
}
