/* SPDX-License-Identifier: ISC */
/*
 * chainmail sts -- the MTA-STS policies of the domains we send to, as they are
 * kept: list, show, refresh, forget; and those of our own: mode, export.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/kept.h"
#include "cmd/published.h"
#include "cmd/shown.h"
#include "config.h"
#include "mail/domain.h"
#include "sts/cache.h"

enum { ENTRY_MEMORY = 1 << 20, WORDS_MEMORY = 64 << 10, SPAN = 24 };

struct asking {
	struct kept  kept;
	bool         json;
	const char  *verb;
	size_t       rows;              /* of all domains, … */
	size_t       found;             /* … and of the one that is asked about */
};

static int
complain(const char *verb, const char *what, int code)
{
	complaint("chainmail sts%s%s: %s", *verb ? " " : "", verb, what);
	return code;
}

/* --- an entry ------------------------------------------------------------------------- */

/* "in 3d07h", "2h14m ago", "never" */
static void
span_text(int64_t from, int64_t to, char text[SPAN])
{
	int64_t s = (to - from) / SECOND, a = s < 0 ? -s : s;
	char span[16];

	if (a < 3600)
		snprintf(span, sizeof span, "%dm%02ds", (int)(a / 60), (int)(a % 60));
	else if (a < 48 * 3600)
		snprintf(span, sizeof span, "%dh%02dm", (int)(a / 3600), (int)(a / 60 % 60));
	else
		snprintf(span, sizeof span, "%dd%02dh", (int)(a / 86400 % 100000), (int)(a / 3600 % 24));
	if (to == 0)
		snprintf(text, SPAN, "never");
	else
		snprintf(text, SPAN, s < 0 ? "%s ago" : "in %s", span);
}

static void
print_row(struct asking *a, struct slice domain, const struct sts_entry *e)
{
	int64_t now = clock_now(&a->kept.clock);
	char expires[SPAN], fetched[SPAN];

	span_text(now, e->known ? e->expires : 0, expires);
	span_text(now, e->known ? e->fetched : 0, fetched);
	if (a->rows == 0)
		printf("%-32s %-8s %-20s %-14s %-14s %s\n", "DOMAIN", "MODE", "ID", "FETCHED", "EXPIRES",
		    "LAST TRY");
	printf("%-32.*s %-8s %-20.*s %-14s %-14s %s\n", FMT(domain),
	    e->known ? sts_mode_name(e->policy.mode) : "-", FMT(e->known ? e->id : S("-")), fetched, expires,
	    e->failed != TLSRPT_SUCCESS ? tlsrpt_result_name(e->failed) : "ok");
}

/* Keys are only ever added. */
static json_t *
entry_json(struct slice domain, const struct sts_entry *e)
{
	json_t *j = json_object(), *mx = json_array();

	json_object_set_new(j, "domain", shown_json(domain));
	json_object_set_new(j, "mode", e->known ? json_string(sts_mode_name(e->policy.mode)) : json_null());
	json_object_set_new(j, "id", e->known ? shown_json(e->id) : json_null());
	for (size_t i = 0; e->known && i < e->policy.mx_count; i++)
		json_array_append_new(mx, shown_json(e->policy.mx[i]));
	json_object_set_new(j, "mx", mx);
	json_object_set_new(j, "max_age", json_integer(e->known ? e->policy.max_age : 0));
	json_object_set_new(j, "fetched", json_integer(e->fetched / SECOND));
	json_object_set_new(j, "expires", json_integer(e->expires / SECOND));
	json_object_set_new(j, "tried", json_integer(e->tried / SECOND));
	json_object_set_new(j, "failed",
	    e->failed != TLSRPT_SUCCESS ? json_string(tlsrpt_result_name(e->failed)) : json_null());
	json_object_set_new(j, "used", json_integer(e->used / SECOND));
	return j;
}

static void
print_policy(struct slice text)
{
	struct slice line;

	while (sts_policy_line(&text, &line)) {
		struct buf shown = BUF(4 * STS_POLICY_MOST);

		shown_add(&shown, line);
		printf("    %.*s\n", FMT(buf_slice(&shown)));
		buf_free(&shown);
	}
}

static void
take(void *arg, struct slice domain, struct slice packed)
{
	struct asking *a = arg;
	struct arena *arena = arena_new(ENTRY_MEMORY);
	struct sts_entry e;

	if (!sts_entry_unpack(&e, packed, arena)) {
		complain(a->verb, "there is an entry that cannot be read", 0);
	} else {
		if (a->json)
			shown_print(entry_json(domain, &e));
		else
			print_row(a, domain, &e);
		if (!a->json && e.known && strcmp(a->verb, "list") != 0)
			print_policy(e.policy.text);
		a->rows++;
		a->found++;
	}
	arena_free(arena);
}

/* --- verbs ------------------------------------------------------------------------------------ */

/* `about`: a domain, or nothing. */
static int
failed(const struct asking *a, struct slice about, const struct error *why)
{
	bool nobody = !kept_running(&a->kept) && strcmp(a->verb, "refresh") == 0;

	complaint("chainmail sts %s: %.*s%s%s", a->verb, FMT(about), about.n > 0 ? ": " : "",
	    why->text);
	return nobody ? EX_UNAVAILABLE : EX_TEMPFAIL;
}

static int
list(struct asking *a)
{
	struct error why;

	if (!kept_ask(&a->kept, "list", NONE, take, a, &why))
		return failed(a, NONE, &why);
	if (!a->json && a->rows == 0)
		puts("no policy is kept");
	return 0;
}

static int
nothing_kept(const struct asking *a, struct slice domain)
{
	complaint("chainmail sts %s: nothing is kept of %.*s", a->verb, FMT(domain));
	return EX_BAD;
}

static int
see_domain(struct asking *a, struct slice domain)
{
	struct error why;

	a->found = 0;
	if (!kept_ask(&a->kept, a->verb, domain, take, a, &why))
		return failed(a, domain, &why);
	return a->found > 0 ? 0 : nothing_kept(a, domain);
}

static void
note_entry(void *arg, struct slice domain, struct slice entry)
{
	(void)domain, (void)entry;
	((struct asking *)arg)->found++;
}

static int
forget_domain(struct asking *a, struct slice domain)
{
	struct error why;

	a->found = 0;
	if (!kept_ask(&a->kept, "show", domain, note_entry, a, &why) ||
	    !kept_ask(&a->kept, "forget", domain, NULL, NULL, &why))
		return failed(a, domain, &why);
	if (a->found == 0)
		return nothing_kept(a, domain);
	if (!a->json)
		printf("%.*s is forgotten\n", FMT(domain));
	return 0;
}

static int
about_domain(struct asking *a, struct slice domain)
{
	return strcmp(a->verb, "forget") == 0 ? forget_domain(a, domain) : see_domain(a, domain);
}

static int
not_a_domain(const struct asking *a, const char *word)
{
	complaint("chainmail sts %s: \"%s\" is no domain", a->verb, word);
	return EX_USAGE;
}

static int
each_domain(struct asking *a, const struct words *words)
{
	struct arena *arena = arena_new(WORDS_MEMORY);
	int code = 0;

	for (size_t i = 1; i < words->n; i++) {
		struct slice domain = domain_normal(slice(words->word[i]), arena);
		int one = domain.n > 0 ? about_domain(a, domain)
		    : not_a_domain(a, words->word[i]);

		code = code == 0 ? one : code;
	}
	arena_free(arena);
	return code;
}

static bool
knows(const char *verb)
{
	static const char *const verbs[] = { "list", "show", "refresh", "forget", "mode", "export" };

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verb, verbs[i]) == 0)
			return true;
	return false;
}

static int
about_kept(struct asking *a, const struct words *words, const struct conf *conf)
{
	struct error why = { 0 };
	int code;

	if (!kept_begin(&a->kept, conf, &why))
		code = complain(a->verb, why.text, EX_NOINPUT);
	else if (strcmp(a->verb, "list") == 0)
		code = list(a);
	else
		code = each_domain(a, words);
	kept_end(&a->kept);
	return code;
}

static int
run(struct asking *a, const struct words *words, const char *file)
{
	struct files files = { 0 };
	struct conf *conf;
	int code = EX_CONFIG;

	if (strcmp(a->verb, "mode") == 0)
		return published_mode(file, words->word[1], a->json);
	if ((conf = kept_conf(file, &files)) != NULL)
		code = strcmp(a->verb, "export") == 0 ? published_export(conf, words->word[1])
		    : about_kept(a, words, conf);
	conf_free(conf);
	files_free(&files);
	return code;
}

/* The operands behind the verb. */
static bool
words_fit(const char *verb, size_t n)
{
	if (strcmp(verb, "list") == 0)
		return n == 0;
	if (strcmp(verb, "mode") == 0 || strcmp(verb, "export") == 0)
		return n == 1;
	return n > 0;
}

int
cmd_sts(int argc, char **argv)
{
	struct asking a = { .verb = "list" };
	const char *file = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf";
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, &file, "FILE", "the configuration" },
		{ "--json", OPTION_FLAG, &a.json, NULL, "an object a line" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words words = { .n = 0 };

	if (!options_read(argc, argv, "sts [list | show DOMAIN... | refresh DOMAIN... | forget DOMAIN... | "
	    "mode DOMAIN | export DIR]", rows, &words, sizeof words.word / sizeof *words.word))
		return EX_USAGE;
	if (words.n > 0)
		a.verb = words.word[0];
	if (!knows(a.verb))
		return complain("", "it can list, show, refresh, forget, mode, export", EX_USAGE);
	if (!words_fit(a.verb, words.n > 0 ? words.n - 1 : 0))
		return complain(a.verb, "which domain, or which directory?", EX_USAGE);
	return run(&a, &words, file);
}
