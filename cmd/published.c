/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "cmd/answers.h"
#include "cmd/cmd.h"
#include "cmd/published.h"
#include "cmd/shown.h"
#include "mail/domain.h"
#include "net/tls.h"
#include "sts/change.h"
#include "sts/fetch.h"
#include "sts/ours.h"

enum { PATH_BYTES = 4096, MEMORY = 16 << 20, ADDRESSES_MOST = 8 };

static int
complain(const char *verb, const char *what, int code)
{
	complaint("chainmail sts %s: %s", verb, what);
	return code;
}

/* --- export ----------------------------------------------------------------------------- */

static bool
export_one(const struct domain_conf *d, const char *directory, struct error *why)
{
	char path[PATH_BYTES], id[OURS_ID + 1];
	struct buf policy = BUF(OURS_POLICY_MOST);
	bool ok;

	ours_policy_add(&policy, d);
	ours_id(buf_slice(&policy), id);
	snprintf(path, sizeof path, "%s/%.*s/.well-known", directory, FMT(d->name));
	ok = dir_make(path, 0755, why);
	snprintf(path, sizeof path, "%s/%.*s" OURS_PATH, directory, FMT(d->name));
	ok = ok && file_replace(path, buf_slice(&policy), 0644, why);
	if (ok)
		printf("%s  id=%s\n", path, id);
	buf_free(&policy);
	return ok;
}

int
published_export(const struct conf *conf, const char *directory)
{
	struct error why;
	size_t n = 0;

	for (size_t i = 0; i < conf->domain_count; i++) {
		if (conf->domain[i].sts == SERVE_OFF)
			continue;
		if (!export_one(&conf->domain[i], directory, &why))
			return complain("export", why.text, EX_CANTCREAT);
		n++;
	}
	return n > 0 ? 0 : complain("export", "no domain of this configuration has a policy", EX_BAD);
}

/* --- what the world sees --------------------------------------------------------------------- */

struct looking {
	struct answers            answers;
	struct arena             *arena;
	const struct domain_conf *domain;
	struct sts_record         record;
	struct sts_fetch          fetch;
	enum change_mx            mx_is;
	struct slice             *mx;
	size_t                    mx_count;
	struct ip                 ips[ADDRESSES_MOST];
	size_t                    ip_count;
};

static void
take_hosts(struct looking *l, const struct fact *mx)
{
	l->mx_is = mx->answer == ANSWER_BROKEN ? CHANGE_MX_UNKNOWN : CHANGE_MX_NONE;
	if (mx->answer != ANSWER_FOUND)
		return;
	l->mx = arena_get(l->arena, mx->count * sizeof *l->mx);
	for (size_t i = 0; l->mx != NULL && i < mx->count; i++)
		if (mx->records[i].data.n > 0)          /* RFC 7505: no mail at all */
			l->mx[l->mx_count++] = mx->records[i].data;
	l->mx_is = l->mx_count > 0 ? CHANGE_MX_FOUND : CHANGE_MX_NULL;
}

static void
take_addresses(struct looking *l, const struct fact *f)
{
	for (size_t i = 0; f->answer == ANSWER_FOUND && i < f->count && l->ip_count < ADDRESSES_MOST; i++)
		l->ips[l->ip_count++] = ip_of(f->records[i].data);
}

static bool
look_up(void *arg, struct facts *facts)
{
	struct looking *l = arg;
	struct slice host = ours_host(l->domain->name, l->arena);
	const struct fact *mx = fact(facts, l->domain->name, RR_MX);
	const struct fact *v4 = fact(facts, host, RR_A), *v6 = fact(facts, host, RR_AAAA);

	if (!sts_record_find(&l->record, l->domain->name, facts) || mx == NULL || v4 == NULL || v6 == NULL)
		return false;
	take_hosts(l, mx);
	take_addresses(l, v6);
	take_addresses(l, v4);
	return true;
}

static void
fetched(void *arg, const struct sts_answer *answer)
{
	struct looking *l = arg;

	sts_answer_judge(&l->fetch, answer, l->arena);
	loop_stop(&l->answers.loop);
}

/* As a sender does it. */
static bool
fetch(struct looking *l, struct error *why)
{
	struct answers *a = &l->answers;
	struct slice name, roots = NONE;
	struct fetcher *fetcher;
	SSL_CTX *tls;

	if (l->ip_count == 0) {
		sts_answer_judge(&l->fetch, &(struct sts_answer){ .transport = STS_UNREACHABLE }, l->arena);
		return true;
	}
	a->reader.read(a->reader.arg, a->conf->roots, FILE_ROOTS, 0, &name, &roots, why);
	if ((tls = tls_client_new(roots, why)) == NULL)
		return false;
	fetcher = fetcher_new(&a->loop, tls);
	fetch_begin(fetcher, l->domain->name, l->ips, l->ip_count, fetched, l);
	loop_run(&a->loop);
	fetcher_free(fetcher);
	SSL_CTX_free(tls);
	return true;
}

/* --- mode -------------------------------------------------------------------------------------- */

static const char *
wanted_mode(const struct domain_conf *d)
{
	return d->sts == SERVE_OFF ? "off" : sts_mode_name(ours_mode(d->sts));
}

static const char *
seen_mode(const struct looking *l)
{
	return l->fetch.result == TLSRPT_SUCCESS ? sts_mode_name(l->fetch.policy.mode) : NULL;
}

static void
print_step(size_t number, struct slice step)
{
	struct buf shown = BUF(1 << 20);

	shown_add(&shown, step);
	printf("%zu. %.*s\n", number, FMT(buf_slice(&shown)));
	buf_free(&shown);
}

static void
print_change(const struct looking *l, const struct change *c)
{
	const char *seen = seen_mode(l);

	printf("%.*s: wanted %s, published %s\n", FMT(l->domain->name), wanted_mode(l->domain),
	    seen != NULL ? seen : l->record.live == LIVE_NONE ? "nothing" : "a record without a policy");
	for (size_t i = 0; i < c->count; i++)
		print_step(i + 1, c->step[i]);
	if (c->count == 0)
		printf("Nothing is left to do.%s%.*s\n", c->note.n > 0 ? " " : "", FMT(c->note));
}

/* Keys are only ever added. */
static void
print_change_json(const struct looking *l, const struct change *c)
{
	json_t *steps = json_array(), *j = json_object();

	json_object_set_new(j, "domain", shown_json(l->domain->name));
	json_object_set_new(j, "wanted", json_string(wanted_mode(l->domain)));
	json_object_set_new(j, "published", seen_mode(l) != NULL ? json_string(seen_mode(l)) : json_null());
	json_object_set_new(j, "id", l->record.live == LIVE_VALID ? shown_json(l->record.id) : json_null());
	for (size_t i = 0; i < c->count; i++)
		json_array_append_new(steps, shown_json(c->step[i]));
	json_object_set_new(j, "steps", steps);
	json_object_set_new(j, "note", c->note.n > 0 ? shown_json(c->note) : json_null());
	shown_print(j);
}

static int
look_at_domain(struct looking *l, bool json)
{
	struct change_question q = { .domain = l->domain, .here = l->answers.conf->web.there,
	    .record = &l->record, .fetch = &l->fetch };
	struct change change;
	struct error why = { .text = "" };

	answers_run(&l->answers, look_up, l);
	if (!fetch(l, &why))
		return complain("mode", why.text, EX_TEMPFAIL);
	q.mx_is = l->mx_is;
	q.mx = l->mx;
	q.mx_count = l->mx_count;
	sts_change(&change, &q, l->arena);
	if (json)
		print_change_json(l, &change);
	else
		print_change(l, &change);
	return change.count > 0 ? EX_BAD : 0;
}

int
published_mode(const char *config, const char *domain, bool json)
{
	struct answers_options o = { .config = config };
	struct looking l = { .arena = arena_new(MEMORY) };
	int code = answers_begin(&l.answers, "sts mode", &o, l.arena);

	if (code == 0) {
		l.domain = map_get(&l.answers.conf->domains, domain_normal(slice(domain), l.arena));
		code = l.domain != NULL ? look_at_domain(&l, json)
		    : complain("mode", "that is no domain of this configuration", EX_BAD);
	}
	answers_end(&l.answers);
	arena_free(l.arena);
	return code;
}
