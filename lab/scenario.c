/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bug.h"
#include "base/clock.h"
#include "base/map.h"
#include "conf/show.h"
#include "lab/authority.h"
#include "lab/scenario.h"
#include "mail/domain.h"

static const struct keyword ROWS[] = {
#define KEYWORD(id, context, words, shape, times, usual, meaning) \
	{ context, words, shape, times, usual, "0.1", meaning, LAB_##id },
#include "lab/scenario.def"
#undef KEYWORD
};

enum { ROW_COUNT = sizeof ROWS / sizeof *ROWS };

/* A host is a configuration and more; a domain on it a domain of both. */
static const struct context_link LINKS[] = { { "host", "" }, { "domain", "zone" }, { "scripted", "zone" },
	{ NULL, NULL } };

const struct vocabulary SCENARIO_VOCABULARY = { ROWS, ROW_COUNT, LINKS, &CONF_VOCABULARY };

/* --- looking at statements ------------------------------------------------------------- */

int
statement_id(const struct statement *s)
{
	return s->keyword != NULL ? s->keyword->id : -1;
}

const struct statement *
statement_find(const struct statement *s, int id)
{
	while (s != NULL && statement_id(s) != id)
		s = s->next;
	return s;
}

/* The first word behind those of the keyword. */
static const struct word *
word_behind(const struct statement *s)
{
	struct slice words = slice(s->keyword->words), one;
	const struct word *w = s->words;

	while (w != NULL && slice_word(&words, &one))
		w = w->next;
	return w;
}

struct slice
statement_text(const struct statement *first, int id)
{
	const struct statement *s = statement_find(first, id);
	const struct word *w = s == NULL ? NULL : value_first(s) != NULL ? value_first(s) : word_behind(s);
	struct slice usual = NONE;

	if (w != NULL)
		return w->text;
	for (size_t i = 0; i < ROW_COUNT && usual.n == 0; i++)
		if (ROWS[i].id == id && ROWS[i].usual != NULL)
			usual = slice(ROWS[i].usual);
	if (slice_starts(usual, S("\"")))
		usual = slice_of(usual.p + 1, usual.n - 2);
	return usual;
}

/* --- time --------------------------------------------------------------------------------- */

static bool
digits(struct slice *s, size_t n, char end, uint64_t most, int *value)
{
	uint64_t number;

	if (s->n <= n || s->p[n] != end || !slice_number(slice_head(*s, n), most, &number))
		return false;
	*value = (int)number;
	*s = slice_skip(*s, n + 1);
	return true;
}

bool
time_parse(struct slice s, int64_t *ms)
{
	struct tm t = { 0 }, back;
	time_t seconds;

	if (!digits(&s, 4, '-', 9999, &t.tm_year) || !digits(&s, 2, '-', 12, &t.tm_mon) ||
	    !digits(&s, 2, 'T', 31, &t.tm_mday) || !digits(&s, 2, ':', 23, &t.tm_hour) ||
	    !digits(&s, 2, ':', 59, &t.tm_min) || !digits(&s, 2, 'Z', 59, &t.tm_sec) || s.n > 0 ||
	    t.tm_year < 1990 || t.tm_mon == 0)
		return false;
	t.tm_year -= 1900;
	t.tm_mon -= 1;
	back = t;
	seconds = timegm(&back);
	if (back.tm_mday != t.tm_mday || back.tm_mon != t.tm_mon)
		return false;                   /* the 31st of February */
	*ms = (int64_t)seconds * 1000;
	return true;
}

/* --- what the table cannot tell ---------------------------------------------------------------- */

struct check {
	struct scenario *scenario;
	struct flaws    *flaws;
	struct map       hosts, domains;        /* name -> the word that names it */
	struct arena    *arena;
};

static void
know(struct check *c, struct map *map, const struct word *name)
{
	struct slice normal = domain_normal(name->text, c->arena);
	const struct word *before;

	bug_if(normal.p == NULL);
	if (map == &c->domains && (before = map_get(map, normal)) != NULL) {
		flaw_error(c->flaws, name->place, "domain \"%.*s\" is there twice", FMT(name->text));
		flaw_hint_first(c->flaws, before->place);
		return;
	}
	map_put(map, normal, (void *)(uintptr_t)name);
}

static void
know_domains(struct check *c, const struct statement *block)
{
	for (const struct statement *s = block; s != NULL; s = s->next)
		if (statement_id(s) == KEYWORD_DOMAIN && value_first(s) != NULL)
			know(c, &c->domains, value_first(s));
}

static void
know_world(struct check *c)
{
	for (const struct statement *s = c->scenario->first; s != NULL; s = s->next) {
		int id = statement_id(s);

		if (id == LAB_HOST || id == LAB_SCRIPTED)
			know(c, &c->hosts, value_first(s));
		if (id == LAB_SCRIPTED || id == LAB_WORLD_DOMAIN)
			know(c, &c->domains, value_first(s));
		if (id == LAB_HOST)
			know_domains(c, s->block);
	}
}

static void
must_be_known(struct check *c, const struct map *map, const struct word *name, const char *what)
{
	struct slice normal = domain_normal(name->text, c->arena);
	struct guess guess = { .word = normal };
	const struct word *other;
	size_t at = 0;

	if (normal.p == NULL || map_get(map, normal) != NULL)
		return;
	flaw_error(c->flaws, name->place, "there is no %s \"%.*s\"", what, FMT(name->text));
	while ((other = map_next(map, &at)) != NULL)
		guess_add(&guess, other->text);
	flaw_hint_guess(c->flaws, &guess);
}

/* Who sends without saying where needs a host that has his domain. */
static void
check_send(struct check *c, const struct statement *s)
{
	const struct statement *at = statement_find(s->block, LAB_SEND_AT);
	const struct word *from = value_first(s);
	struct address a;

	if (at != NULL) {
		must_be_known(c, &c->hosts, value_first(at), "host");
		return;
	}
	if (statement_says(s, "null") || !address_parse(from->text, c->arena, &a)) {
		flaw_error(c->flaws, statement_says(s, "null") ? s->words->place : from->place,
		    "no host is known for this sender");
		flaw_hint(c->flaws, "at HOST, in a block");
	} else if (map_get(&c->domains, a.domain) == NULL) {
		flaw_error(c->flaws, from->place, "no host has the domain \"%.*s\"", FMT(a.domain));
		flaw_hint(c->flaws, "at HOST, in a block, sends as a stranger");
	}
}

/* What can go wrong where. */
static const struct { int id; const char *moments; } EFFECTS[] = {
	{ LAB_FAULT_REPLY, "host" }, { LAB_FAULT_DELAY, "host" }, { LAB_FAULT_RESET, "host https" },
	{ LAB_FAULT_SILENCE, "host https dns" }, { LAB_FAULT_SERVFAIL, "dns" }, { LAB_FAULT_HTTP, "https" },
};

static void
check_effects(struct check *c, const struct statement *fault, const char *moment)
{
	unsigned count = 0;

	for (size_t i = 0; i < sizeof EFFECTS / sizeof *EFFECTS; i++) {
		const struct statement *s = statement_find(fault->block, EFFECTS[i].id);

		if (s == NULL)
			continue;
		count++;
		if (strstr(EFFECTS[i].moments, moment) == NULL)
			flaw_error(c->flaws, s->words->place, "\"%s\" is nothing that can fail then",
			    s->keyword->words);
	}
	if (count == 0) {
		flaw_error(c->flaws, fault->words->place, "the fault does not say what");
		flaw_hint(c->flaws, "reply CODE, reset, silence, servfail, ...");
	}
}

static void
check_fault(struct check *c, const struct statement *s)
{
	const struct statement *when = statement_find(s->block, LAB_FAULT_WHEN);
	const char *moment;

	if (when == NULL) {
		flaw_error(c->flaws, s->words->place, "the fault does not say when");
		flaw_hint(c->flaws, "when connect to HOST");
		return;
	}
	moment = statement_says(when, "dns") ? "dns" : statement_says(when, "https") ? "https" : "host";
	if (strcmp(moment, "host") == 0)
		must_be_known(c, &c->hosts, value_first(when), "host");
	check_effects(c, s, moment);
}

static void
check_clock(struct check *c)
{
	struct slice text = statement_text(c->scenario->first, LAB_CLOCK);
	const struct statement *s = statement_find(c->scenario->first, LAB_CLOCK);

	if (time_parse(text, &c->scenario->clock))
		return;
	flaw_error(c->flaws, value_first(s)->place, "\"%.*s\" is no time", FMT(text));
	flaw_hint(c->flaws, "2026-06-01T12:00:00Z");
}

static void
check_statement(struct check *c, const struct statement *s)
{
	switch (statement_id(s)) {
	case LAB_SEND:
		check_send(c, s);
		break;
	case LAB_FAULT:
		check_fault(c, s);
		break;
	case LAB_STOP:
	case LAB_START:
		must_be_known(c, &c->hosts, value_first(s), "host");
		break;
	default:
		break;
	}
}

static void
check_whole(struct scenario *sc, struct flaws *flaws)
{
	struct check c = { .scenario = sc, .flaws = flaws, .arena = sc->tree->arena };
	uint64_t seed;

	bug_if(!slice_number(statement_text(sc->first, LAB_SEED), UINT32_MAX, &seed));
	sc->seed = seed;
	check_clock(&c);
	know_world(&c);
	for (const struct statement *s = sc->first; s != NULL; s = s->next)
		check_statement(&c, s);
	map_free(&c.hosts);
	map_free(&c.domains);
}

/* --- reading -------------------------------------------------------------------------------------- */

/* Several lab blocks are read as one. */
static void
join_blocks(struct scenario *sc)
{
	struct statement **end = NULL, *first = NULL;

	for (struct statement *s = sc->tree->first; s != NULL; s = s->next) {
		if (statement_id(s) != LAB_LAB || s->block == NULL)
			continue;
		if (end != NULL)
			*end = s->block;
		else
			first = s->block;
		for (end = &s->block; *end != NULL; )
			end = &(*end)->next;
	}
	sc->first = first;
}

struct scenario *
scenario_read(struct slice name, const struct reader *reader, struct flaws *flaws)
{
	struct scenario *sc = must_alloc(sizeof *sc);

	sc->name = name;
	sc->tree = tree_parse(name, reader, flaws);
	keywords_check(&SCENARIO_VOCABULARY, sc->tree->first, "scenario", sc->tree->arena, flaws);
	if (flaws->errors > 0)
		return sc;
	join_blocks(sc);
	if (sc->first == NULL) {
		flaw_error(flaws, sc->tree->begin, "there is no lab block in it");
		flaw_hint(flaws, "lab { ... }");
		return sc;
	}
	check_whole(sc, flaws);
	return sc;
}

void
scenario_free(struct scenario *sc)
{
	if (sc == NULL)
		return;
	tree_free(sc->tree);
	free(sc);
}

/* --- the manual page --------------------------------------------------------------------------------- */

static const char HEAD[] =
    ".\\\" SPDX-License-Identifier: ISC\n"
    ".\\\" Written by `chainmail lab manual`; change lab/scenario.def instead.\n"
    ".Dd November 22, 2026\n"
    ".Dt CHAINMAIL-LAB 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm chainmail-lab\n"
    ".Nd scenarios of a mail world in one process\n"
    ".Sh DESCRIPTION\n"
    "A scenario describes a sealed world of mail hosts, domains and policies,\n"
    "what happens in it, and what is expected.\n"
    ".Pp\n"
    ".Dl chainmail lab run FILE...\n"
    ".Pp\n"
    "plays scenarios and exits 0 when every expectation holds, 1 when one does not,\n"
    "64 after wrong usage, 78 when a scenario has flaws,\n"
    "70 when the world could not be made or the run hangs.\n"
    "It needs no root, and no packet leaves the loopback addresses.\n"
    "Time is the scenario's own: nothing waits,\n"
    "and the same scenario gives the same messages, byte for byte.\n"
    ".Pp\n"
    "The grammar is that of\n"
    ".Xr chainmail.conf 5 .\n"
    "In a host block all its statements stand beside those below:\n"
    "the block is the configuration of a complete MTA.\n"
    "Statements about what happens and what is expected are gone through\n"
    "in their order.\n"
    "Keys follow from the seed and are no secrets.\n"
    ".Sh THE GALLERY\n"
    ".Dl chainmail lab gallery [FILE] [--json | --tap | --junit]\n"
    ".Pp\n"
    "sends a message to each of many domains under MTA-STS, DANE and plain SMTP,\n"
    "all of them in one world, and prints a table:\n"
    "the domain, how a correct sender fares, whether this one did,\n"
    "the section of the RFC, and what is wrong with the domain.\n"
    "It exits 1 when a row is wrong.\n"
    "A scenario of one's own is a gallery too:\n"
    "each\n"
    ".Cm expect\n"
    "of an outcome that has a\n"
    ".Cm flaw\n"
    "is a row.\n"
    ".Pp\n"
    ".Dl chainmail lab up [FILE] [--dir DIR] [--smtp PORT] [--https PORT] [--dns PORT] [--http PORT]\n"
    ".Pp\n"
    "opens the same world to other mail servers, on the machine's clock,\n"
    "until SIGTERM:\n"
    "a name server with DNSSEC at 127.0.42.53,\n"
    "mail hosts and policy hosts at other addresses 127.0.42.*.\n"
    "Ports are 25, 443 and 53 for root, else 2525, 8443 and 5353.\n"
    "Nothing of what happens in the scenario does,\n"
    "but the DNS fails where it says so before the first change.\n"
    "Standard output has a line of JSON when the world is ready (event ready),\n"
    "one for each message that a scripted host has taken\n"
    "(event received: host, from, to, tls or null, bytes, ascii or not),\n"
    "and the logs of complete hosts.\n"
    "In DIR are\n"
    ".Pa ca.pem ,\n"
    "the root to trust;\n"
    ".Pa anchor ,\n"
    "the DNSSEC trust anchor;\n"
    ".Pa resolv.conf ;\n"
    "and\n"
    ".Pa gallery.json :\n"
    "ports, hosts with addresses and certificates,\n"
    "and the rows with what is expected.\n"
    "Each row has an\n"
    ".Cm address\n"
    "and a\n"
    ".Cm message\n"
    "(from, parameters of MAIL, text) to send to it;\n"
    "where the message decides what a correct sender does, no other will do.\n"
    "Its text goes over the wire as it stands, bare CRs and LFs too,\n"
    "but for the dots to be doubled behind each CRLF.\n"
    "A sender that does not take such a message is no better or worse for that:\n"
    "nobody asks for the row.\n"
    "A row that\n"
    ".Cm changes\n"
    "is only right after something in the scenario has happened.\n"
    ".Pp\n"
    "How the sender fares so far is answered at port 8025 of 127.0.0.1, in the clear:\n"
    ".Pa GET /lab/v1/gallery?format=json ,\n"
    ".Cm junit , tap\n"
    "or\n"
    ".Cm people .\n"
    "What is judged is what a world can see of somebody else's sender.\n"
    "A row is skipped until he has asked for its domain.\n"
    "One that must be delivered is right when a host took it,\n"
    "under TLS unless the row expects none;\n"
    "one that must not be is right as long as no host took it,\n"
    "or took it in ASCII only where the row allows it\n"
    ".Pq Cm or converted ;\n"
    "one that must come alone is wrong when another address of its domain got\n"
    "something too.\n"
    "Whether he proved what the row wants to be proved only he knows,\n"
    "but there is a row beside it in which he cannot.\n"
    ".Pp\n"
    ".Dl chainmail lab gallery --sender-only --wait DURATION [FILE] [--json | --tap | --junit]\n"
    ".Pp\n"
    "is the same world for that long, and then this table.\n"
    "It exits 1 when a row is wrong, or when all were skipped;\n"
    "the line with the event ready goes to standard error.\n"
    "It ends early, with the table, by SIGTERM.\n"
    ".Sh STATEMENTS\n";

static const char TAIL[] =
    ".Sh EXAMPLES\n"
    "A message is deferred by greylisting, and comes five minutes later:\n"
    ".Bd -literal -offset indent\n"
    "lab {\n"
    "    host a.test { domain a.test { sign dkim; dmarc reject } }\n"
    "    host b.test { domain b.test { } }\n"
    "    fault grey { when rcpt to b.test; times 1; reply 450 \"4.7.1 later\" }\n"
    "    send from ann@a.test to ben@b.test\n"
    "    expect deferred to ben@b.test { dsn 4.7.1 }\n"
    "    advance 5m\n"
    "    expect message to ben@b.test { attempts 2; dmarc pass }\n"
    "}\n"
    ".Ed\n"
    ".Sh SEE ALSO\n"
    ".Xr chainmail.conf 5\n";

void
scenario_manual(struct buf *b)
{
	struct vocabulary own = { ROWS, ROW_COUNT, NULL, NULL };

	buf_add(b, slice(HEAD));
	manual_statements(b, &own, "scenario");
	buf_add(b, slice(TAIL));
}
