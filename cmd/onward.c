/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include "arc/forecast.h"
#include "cmd/onward.h"
#include "cmd/shown.h"

struct asking {
	struct forecast_question question;
	struct forecast          forecast;
};

static bool
evaluate(void *arg, struct facts *facts)
{
	struct asking *a = arg;

	return forecast_evaluate(&a->forecast, &a->question, facts);
}

/* The address of ours that was written to. */
static const struct address *
first_address(const struct hop *path)
{
	while (path->from != NULL)
		path = path->from;
	return &path->address;
}

static bool
is_sent_on(const struct reached *end)
{
	return end->route.kind == ROUTE_LIST || (end->route.kind == ROUTE_REMOTE && end->path->from != NULL);
}

static struct forecast_question
question_of(const struct answers *a, const struct address *from, const struct reached *end)
{
	const struct list_conf *list = end->route.kind == ROUTE_LIST ? end->route.list->conf : NULL;
	struct forecast_question q = {
		.hostname = a->conf->hostname, .own = first_address(end->path)->domain, .sender = *from,
		.sender_is_ours = map_get(&a->conf->domains, from->domain) != NULL,
		.author = from->domain, .srs = a->conf->delivery.srs, .now = clock_now(&a->clock),
	};

	if (list != NULL) {
		q.passage = PASSAGE_LIST;
		q.own = list->address.address.domain;
		q.changed = list->tag.n + list->footer.n > 0;
		q.rewrites_from = !list->keep_from;
	}
	return q;
}

static json_t *
describe(const struct forecast *f)
{
	static const char *const policies[] = { [DMARC_P_NONE] = "none",
	    [DMARC_P_QUARANTINE] = "quarantine", [DMARC_P_REJECT] = "reject" };

	return json_pack("{s:o, s:b, s:s, s:s, s:b, s:o, s:s, s:s, s:s, s:b, s:s}",
	    "sender", shown_json(f->sender), "rewritten", f->rewritten,
	    "spf", spf_result_name(f->spf), "spf-unchanged", spf_result_name(f->as_it_is),
	    "dkim-survives", f->signature, "author", shown_json(f->author),
	    "policy", policies[f->asked], "dmarc", dmarc_result_name(f->dmarc),
	    "dmarc-unsigned", dmarc_result_name(f->unsigned_), "seal", f->seal, "why", f->why);
}

json_t *
onward_ask(struct answers *a, const struct address *from, const struct reached *end)
{
	struct asking asking = { 0 };

	if (!is_sent_on(end))
		return NULL;
	asking.question = question_of(a, from, end);
	answers_run(a, evaluate, &asking);
	return describe(&asking.forecast);
}

static const char *
word(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s != NULL ? s : "";
}

void
onward_print(const json_t *j)
{
	printf("  sender  %s%s, SPF there: %s", word(j, "sender"),
	    json_is_true(json_object_get(j, "rewritten")) ? " (ours)" : "", word(j, "spf"));
	if (json_is_true(json_object_get(j, "rewritten")))
		printf(" (unchanged: %s)", word(j, "spf-unchanged"));
	printf("\n  author  %s, whose domain asks for %s\n", word(j, "author"), word(j, "policy"));
	printf("  DKIM    a signature of the author's domain %s\n",
	    json_is_true(json_object_get(j, "dkim-survives")) ? "survives" : "breaks");
	printf("  DMARC   %s; without a signature %s\n", word(j, "dmarc"), word(j, "dmarc-unsigned"));
	printf("  ARC     %s: %s\n", json_is_true(json_object_get(j, "seal"))
	    ? "a seal is needed" : "a seal adds nothing", word(j, "why"));
}
