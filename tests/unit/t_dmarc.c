/* SPDX-License-Identifier: ISC */
#include "auth/dmarc.h"
#include "dns/zone.h"
#include "mail/domain.h"
#include "unit.h"

/* --- records -------------------------------------------------------------- */

/* shown: "p sp np" with what is not said in brackets, then what differs from the defaults. */
static const struct { const char *text, *shown; } record_cases[] = {
	{ "v=DMARC1; p=none", "none (none) (none)" },
	{ "v=DMARC1;p=reject;", "reject (reject) (reject)" },
	{ "V = DMARC1 ; P\t= Reject ;SP=none", "reject none (none)" },        /* RFC 9989 4.8 */
	{ "v=DMARC1; p=reject; np=quarantine", "reject (reject) quarantine" },
	{ "v=DMARC1; p=reject; sp=quarantine; np=none", "reject quarantine none" },
	{ "v=DMARC1; sp=none; p=reject", "reject none (none)" },              /* p need not be second */
	{ "v=DMARC1; p=none; p=reject", "none (none) (none)" },               /* the first counts */
	{ "v=DMARC1; p=none; adkim=s; aspf=S; t=y; psd=y", "none (none) (none) adkim aspf t psd=y" },
	{ "v=DMARC1; p=none; adkim=x; aspf=; t=x; psd=x", "none (none) (none)" },     /* 4.7: defaults */
	{ "v=DMARC1; p=none; psd=n", "none (none) (none) psd=n" },
	{ "v=DMARC1; p=none; psd=u; t=n; adkim=r", "none (none) (none)" },
	{ "v=DMARC1; p=reject; pct=0; rf=afrf; ri=1; x=y; =z; junk; ;;", "reject (reject) (reject)" },
	{ "v=DMARC1; p=none; ruf=mailto:a@x.test; fo=1:d:S", "none (none) (none) fo=14" },
	{ "v=DMARC1; p=none; fo=0:x", "none (none) (none)" },
	/* 4.10.1: no valid policy, but somebody to tell */
	{ "v=DMARC1; rua=mailto:a@x.test", "none (none) (none)" },
	{ "v=DMARC1; p=bogus; rua=mailto:a@x.test", "none (none) (none)" },
	{ "v=DMARC1; p=; rua=mailto:a@x.test", "none (none) (none)" },
	{ "v=DMARC1; p=reject; sp=bogus; rua=bogus, https://x.test/d", "none (none) (none)" },
	{ "v=DMARC1; p=reject; np=bogus; adkim=s; rua=mailto:a@x.test!10m", "none (none) (none) adkim" },
	/* and nobody to tell */
	{ "v=DMARC1", "unusable" }, { "v=DMARC1;", "unusable" }, { "v=DMARC1; p=bogus", "unusable" },
	{ "v=DMARC1; p=reject; sp=bogus", "unusable" }, { "v=DMARC1; rua=bogus", "unusable" },
	{ "v=DMARC1; p=reject; np=", "unusable" }, { "v=DMARC1; rua=mailto:", "unusable" },
	{ "v=DMARC1; rua=mailto:x.test", "unusable" }, { "v=DMARC1; ruf=mailto:a@x.test", "unusable" },
	{ "v=DMARC1; rua=mailto:a b@x.test", "unusable" }, { "v=DMARC1; rua=:a@x.test", "unusable" },
	/* no record at all */
	{ "", NULL }, { "v=", NULL }, { "v=dmarc1; p=none", NULL }, { "v=DMARC12; p=none", NULL },
	{ "v=DMARC1 p=none", NULL }, { "p=none; v=DMARC1", NULL }, { " v=DMARC1; p=none", NULL },
	{ ";v=DMARC1; p=none", NULL }, { "v=spf1 -all", NULL }, { "v DMARC1", NULL },
};

static void
show_record(const struct dmarc_record *r, char *to, size_t room)
{
	static const char *const psd[] = { "", " psd=y", " psd=n" };
	char fo[20] = "";

	if (r->fo != DMARC_FO_0)
		snprintf(fo, sizeof fo, " fo=%u", r->fo);
	if (!r->usable)
		snprintf(to, room, "unusable");
	else
		snprintf(to, room, r->sp_said ? r->np_said ? "%s %s %s%s%s%s%s%s" : "%s %s (%s)%s%s%s%s%s"
		    : r->np_said ? "%s (%s) %s%s%s%s%s%s" : "%s (%s) (%s)%s%s%s%s%s",
		    dmarc_policy_name(r->p), dmarc_policy_name(r->sp), dmarc_policy_name(r->np),
		    r->adkim_strict ? " adkim" : "", r->aspf_strict ? " aspf" : "",
		    r->test ? " t" : "", psd[r->psd], fo);
}

static void
records(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(record_cases); i++) {
		struct dmarc_record r;
		bool ok = dmarc_record_parse(slice(record_cases[i].text), &r);
		char shown[100];

		assert_case(ok == (record_cases[i].shown != NULL), i, record_cases[i].text);
		if (!ok)
			continue;
		show_record(&r, shown, sizeof shown);
		assert_case(strcmp(shown, record_cases[i].shown) == 0, i, shown);
	}
}

static void
a_text_without_end_is_no_record(void **state)
{
	char text[DMARC_RECORD + 1];
	struct dmarc_record r;

	(void)state;
	memset(text, ';', sizeof text);
	memcpy(text, "v=DMARC1;p=none", 15);
	assert_true(dmarc_record_parse(slice_of(text, DMARC_RECORD), &r) && r.usable);
	assert_false(dmarc_record_parse(slice_of(text, DMARC_RECORD + 1), &r));
	assert_false(dmarc_record_is(slice_of(text, DMARC_RECORD + 1)));
}

static void
report_uris_without_sizes(void **state)
{
	struct slice uri, list = S(" mailto:a@x.test!10m , bogus,,https://y.test/?d=1 ,mailto:b%2Cc@z.test!");

	(void)state;
	assert_true(dmarc_uri_next(&list, &uri));
	assert_slice(uri, "mailto:a@x.test");
	assert_true(dmarc_uri_next(&list, &uri));
	assert_slice(uri, "https://y.test/?d=1");
	assert_true(dmarc_uri_next(&list, &uri));
	assert_slice(uri, "mailto:b%2Cc@z.test");
	assert_false(dmarc_uri_next(&list, &uri));
}

/* --- the walk: J6 and RFC 9989 4.10 --------------------------------------- */

static const struct { const char *author, *names; } walk_cases[] = {
	{ "com", "com" },
	{ "example.com", "example.com com" },
	{ "a.b.c.d.e.f.g", "a.b.c.d.e.f.g b.c.d.e.f.g c.d.e.f.g d.e.f.g e.f.g f.g g" },
	{ "a.b.c.d.e.f.g.h", "a.b.c.d.e.f.g.h b.c.d.e.f.g.h c.d.e.f.g.h d.e.f.g.h e.f.g.h f.g.h g.h h" },
	{ "a.b.c.d.e.f.g.h.i", "a.b.c.d.e.f.g.h.i c.d.e.f.g.h.i d.e.f.g.h.i e.f.g.h.i f.g.h.i g.h.i h.i i" },
	{ "mail.a.b.c.d.e.f.g.example.com", "mail.a.b.c.d.e.f.g.example.com c.d.e.f.g.example.com "
	  "d.e.f.g.example.com e.f.g.example.com f.g.example.com g.example.com example.com com" },
	{ "a.b.c.d.e.f.g.h.i.j.mail.example.com", "a.b.c.d.e.f.g.h.i.j.mail.example.com "
	  "g.h.i.j.mail.example.com h.i.j.mail.example.com i.j.mail.example.com j.mail.example.com "
	  "mail.example.com example.com com" },
};

static void
a_walk_asks_these_names_and_no_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(walk_cases); i++) {
		struct dmarc_question q = { .author.domain = slice(walk_cases[i].author) };
		struct slice names = slice(walk_cases[i].names), name;
		struct arena *arena = arena_new(1 << 20);
		struct facts facts;
		struct dmarc d = { 0 };
		size_t n = 0;

		facts_begin(&facts, arena);
		assert_false(dmarc_evaluate(&d, &q, &facts));
		for (const struct fact *f = facts.first; f != NULL; f = f->next, n++) {
			assert_true(slice_word(&names, &name));
			assert_case(slice_eq(slice_skip(f->name, 7), name), i, walk_cases[i].author);
			assert_true(slice_starts(f->name, S("_dmarc.")) && f->type == RR_TXT);
		}
		assert_false(slice_word(&names, &name));
		assert_true(n <= DMARC_STEPS);
		facts_expire(&facts);
		assert_true(dmarc_evaluate(&d, &q, &facts));
		assert_int_equal(d.result, DMARC_TEMPERROR);
		assert_int_equal(d.queries, n);
		assert_true(dmarc_evaluate(&d, &q, &facts));                    /* stays concluded */
		arena_free(arena);
	}
}

/* --- evaluations ---------------------------------------------------------- */

/*
 * An identity is a domain that passed; "-" before it: it did not, "?": a DNS
 * error, "!": it passed but does not count.  The outcome: result, and when a
 * policy applies "domain tag=requested>policy org spf dkim…"; the alignments as
 * - (none), r, s, with ! when they prove something and ? when nobody knows.
 */
static const struct {
	const char *author, *spf, *dkim, *zone, *outcome;
	unsigned    rounds;
} cases[] = {
	/* which record: RFC 9989 4.10.1 */
	{ "example.com", "", "", "", "none", 1 },
	{ "example.com", "example.com", "", "_dmarc.example.com TXT \"v=DMARC1; p=reject\"",
	  "pass example.com p=reject>reject example.com s!", 1 },
	{ "a.example.com", "", "", "_dmarc.example.com TXT \"v=DMARC1; p=reject\"",
	  "fail example.com p=reject>reject example.com -", 1 },
	{ "a.example.com", "", "", "_dmarc.a.example.com TXT \"v=DMARC1; p=none\"\n"
	  "_dmarc.example.com TXT \"v=DMARC1; p=reject\"", "fail a.example.com p=none>none example.com -", 1 },
	{ "a.b.example.com", "", "", "_dmarc.b.example.com TXT \"v=DMARC1; p=none\"\n"
	  "_dmarc.example.com TXT \"v=DMARC1; p=reject\"", "fail example.com p=reject>reject example.com -", 1 },
	{ "a.b.example.com", "", "", "_dmarc.b.example.com TXT \"v=DMARC1; p=none; psd=n\"\n"
	  "_dmarc.example.com TXT \"v=DMARC1; p=reject\"", "fail b.example.com p=none>none b.example.com -", 1 },
	{ "x.y.example.com", "", "", "_dmarc.com TXT \"v=DMARC1; p=none; sp=reject; psd=y\"\n"
	  "x.y.example.com A 192.0.2.1", "fail com sp=reject>reject example.com -", 1 },
	{ "example.com", "", "", "_dmarc.com TXT \"v=DMARC1; p=none; sp=reject; psd=y\"\n"
	  "example.com A 192.0.2.1", "fail com sp=reject>reject example.com -", 1 },
	/* a PSD is asked only when its Organizational Domain says nothing */
	{ "x.example.com", "", "", "_dmarc.com TXT \"v=DMARC1; p=reject; psd=y\"\n"
	  "_dmarc.example.com TXT \"v=DMARC1; p=none\"", "fail example.com p=none>none example.com -", 1 },
	/* the PSD itself writes: psd=y where the walk starts is no rule of its own */
	{ "bank.example", "bank.example", "", "_dmarc.bank.example TXT \"v=DMARC1; p=reject; psd=y\"\n"
	  "_dmarc.example TXT \"v=DMARC1; p=none\"", "pass bank.example p=reject>reject bank.example s!", 1 },
	/* a walk passes over what lies between the seven labels and the name */
	{ "m.a.b.c.d.e.f.g.example.com", "", "", "_dmarc.a.b.c.d.e.f.g.example.com TXT \"v=DMARC1; p=none; psd=n\"\n"
	  "_dmarc.example.com TXT \"v=DMARC1; p=reject\"", "fail example.com p=reject>reject example.com -", 1 },
	/* 4.10 step 2: several records are none, other texts do not count */
	{ "a.example.com", "", "", "_dmarc.a.example.com TXT \"v=DMARC1; p=none\"\n"
	  "_dmarc.a.example.com TXT \"v=DMARC1; p=quarantine\"\n"
	  "_dmarc.example.com TXT \"v=DMARC1; p=reject\"", "fail example.com p=reject>reject example.com -", 1 },
	{ "example.com", "", "", "_dmarc.example.com TXT \"v=DMARC1; p=none\"\n"
	  "_dmarc.example.com TXT \"v=DMARC1; p=reject\"", "none", 1 },
	{ "example.com", "", "", "_dmarc.example.com TXT \"v=spf1 -all\"\n"
	  "_dmarc.example.com TXT \"v=DMARC1; p=reject\"", "fail example.com p=reject>reject example.com -", 1 },
	{ "example.com", "", "", "_dmarc.example.com TXT \"v=DMA\" \"RC1; p=reject\"",
	  "fail example.com p=reject>reject example.com -", 1 },
	/* a record without a policy ends it: no DMARC processing */
	{ "a.example.com", "", "", "_dmarc.a.example.com TXT \"v=DMARC1;\"\n"
	  "_dmarc.example.com TXT \"v=DMARC1; p=reject\"", "none", 1 },
	{ "example.com", "", "", "_dmarc.example.com TXT \"v=DMARC1; rua=mailto:a@x\"",
	  "fail example.com p=none>none example.com -", 1 },

	/* p, sp, np: J6; 3.2.13: what does not exist answers NXDOMAIN */
#define ORG "_dmarc.example.com TXT \"v=DMARC1; p=reject; sp=quarantine; np=none\"\n"
	{ "example.com", "", "", ORG, "fail example.com p=reject>reject example.com -", 1 },
	{ "sub.example.com", "", "", ORG "sub.example.com MX 1 mx.example.com",
	  "fail example.com sp=quarantine>quarantine example.com -", 2 },
	{ "sub.example.com", "", "", ORG "x.sub.example.com A 192.0.2.1",      /* empty, but there */
	  "fail example.com sp=quarantine>quarantine example.com -", 2 },
	{ "sub.example.com", "", "", ORG, "fail example.com np=none>none example.com -", 2 },
	{ "sub.example.com", "", "", ORG "sub.example.com TXT !servfail",
	  "temperror example.com sp=quarantine>quarantine example.com -", 2 },
	{ "sub.example.com", "sub.example.com", "", ORG "sub.example.com TXT !servfail",
	  "pass example.com sp=quarantine>quarantine example.com s!", 2 },
	{ "sub.example.com", "", "", "_dmarc.example.com TXT \"v=DMARC1; p=reject; np=quarantine\"\n"
	  "sub.example.com A 192.0.2.1", "fail example.com p=reject>reject example.com -", 2 },
	{ "sub.example.com", "", "", "_dmarc.example.com TXT \"v=DMARC1; p=reject; np=quarantine\"",
	  "fail example.com np=quarantine>quarantine example.com -", 2 },
	{ "sub.example.com", "", "", "_dmarc.example.com TXT \"v=DMARC1; p=reject; sp=none\"",
	  "fail example.com sp=none>none example.com -", 1 },
	{ "sub.corp", "", "x.corp", "_dmarc.corp TXT \"v=DMARC1; p=reject; np=none\"",       /* both asked together */
	  "pass corp np=none>none corp - r!", 2 },
	/* t=y: one level lower, never another result (4.7) */
	{ "example.com", "", "", "_dmarc.example.com TXT \"v=DMARC1; p=reject; t=y\"",
	  "fail example.com p=reject>quarantine example.com -", 1 },
	{ "example.com", "", "", "_dmarc.example.com TXT \"v=DMARC1; p=quarantine; t=y\"",
	  "fail example.com p=quarantine>none example.com -", 1 },
	{ "example.com", "", "", "_dmarc.example.com TXT \"v=DMARC1; p=none; t=y\"",
	  "fail example.com p=none>none example.com -", 1 },
	{ "sub.example.com", "", "", "_dmarc.example.com TXT \"v=DMARC1; p=none; sp=reject; t=y\"",
	  "fail example.com sp=reject>quarantine example.com -", 1 },

	/* alignment: 4.10.2 */
#define TOP "_dmarc.example.com TXT \"v=DMARC1; p=reject\"\n"
#define STRICT "_dmarc.example.com TXT \"v=DMARC1; p=reject; adkim=s; aspf=s\"\n"
#define PASS "pass example.com p=reject>reject example.com "
#define FAIL "fail example.com p=reject>reject example.com "
	{ "a.example.com", "", "b.example.com", TOP, PASS "- r!", 1 },
	{ "a.example.com", "", "b.example.com", STRICT, FAIL "- -", 1 },
	{ "a.example.com", "b.example.com", "", STRICT, FAIL "-", 1 },
	{ "a.example.com", "", "A.example.com", STRICT, PASS "- s!", 1 },
	{ "a.example.com", "b.example.com", "b.example.com",
	  "_dmarc.example.com TXT \"v=DMARC1; p=reject; adkim=s\"\n", PASS "r! -", 1 },
	{ "example.com", "example.org", "example.net notexample.com", TOP, FAIL "- - -", 1 },
	{ "example.com", "", "x.test bounce.example.com example.com", TOP, PASS "- - r! s!", 1 },
	{ "example.com", "-example.com", "-example.com -a.example.com", TOP, FAIL "s s -", 1 },
	{ "example.com", "", "!example.com", TOP, FAIL "- s", 1 },             /* l=: C1.5 */
	{ "example.com", "", "!example.com a.example.com", TOP, PASS "- s r!", 1 },
	/* separate walks: the same tree, another organization */
	{ "a.example.com", "", "b.example.com", "_dmarc.a.example.com TXT \"v=DMARC1; p=reject; psd=n\"\n" TOP,
	  "fail a.example.com p=reject>reject a.example.com - -", 1 },
	{ "a.example.com", "", "b.example.com", "_dmarc.b.example.com TXT \"v=DMARC1; p=reject; psd=n\"\n" TOP,
	  FAIL "- -", 1 },
	{ "a.b.example.com", "c.b.example.com", "d.example.com",
	  "_dmarc.b.example.com TXT \"v=DMARC1; p=reject; psd=n\"\n" TOP,
	  "pass b.example.com p=reject>reject b.example.com r! -", 1 },
	{ "giant.bank.example", "mail.giant.bank.example", "mail.mega.bank.example", /* B.4.3 */
	  "_dmarc.bank.example TXT \"v=DMARC1; p=reject; psd=y\"\n"
	  "_dmarc.giant.bank.example TXT \"v=DMARC1; p=quarantine\"",
	  "pass giant.bank.example p=quarantine>quarantine giant.bank.example r! -", 1 },
	/* a name under another top could only be aligned through that top */
	{ "a.corp", "", "b.corp", "_dmarc.corp TXT \"v=DMARC1; p=reject\"", "pass corp p=reject>reject corp - r!", 2 },
	{ "a.corp", "", "b.corp", "_dmarc.corp TXT \"v=DMARC1; p=reject; psd=y\"",
	  "fail corp p=reject>reject a.corp - -", 1 },

	/* DNS errors: neither pass nor fail (5.3.6) */
	{ "example.com", "example.com", "", "_dmarc.example.com TXT !servfail", "temperror", 1 },
	{ "a.example.com", "a.example.com", "", "_dmarc.example.com TXT !timeout", "temperror", 1 },
	{ "a.example.com", "", "", "_dmarc.com TXT !bogus\n" TOP, "temperror", 1 },
	{ "example.com", "example.com", "", "_dmarc.com TXT !servfail\n" TOP,
	  "pass example.com p=reject>reject  s!", 1 },
	{ "example.com", "a.example.com", "", "_dmarc.com TXT !servfail\n" TOP,
	  "temperror example.com p=reject>reject  -?", 1 },
	{ "example.com", "x.test", "", "_dmarc.com TXT !servfail\n" TOP,
	  "fail example.com p=reject>reject  -", 1 },
	{ "example.com", "a.example.com", "", "_dmarc.com TXT !servfail\n" STRICT,
	  "fail example.com p=reject>reject  -", 1 },
	{ "a.example.com", "", "b.example.com", "_dmarc.b.example.com TXT !servfail\n" TOP,
	  "temperror example.com p=reject>reject example.com - -?", 1 },
	{ "a.example.com", "", "b.example.com a.example.com", "_dmarc.b.example.com TXT !servfail\n" TOP,
	  PASS "- -? s!", 1 },
	{ "a.example.com", "", "", "_dmarc.com TXT !servfail\n"
	  "_dmarc.example.com TXT \"v=DMARC1; p=reject; psd=n\"", FAIL "-", 1 },       /* stopped below */
	/* a temperror of SPF or DKIM counts where it could have been aligned, nowhere else */
	{ "example.com", "?a.example.com", "", TOP, "temperror example.com p=reject>reject example.com r?", 1 },
	{ "example.com", "?evil.test", "?evil.test", TOP, FAIL "- -", 1 },
	{ "example.com", "?example.com", "example.com", TOP, PASS "s? s!", 1 },
	{ "example.com", "", "?example.com", TOP, "temperror example.com p=reject>reject example.com - s?", 1 },

	/* no Author Domain */
	{ "[192.0.2.1]", "", "", "", "none", 0 },
	{ "xn--bcher-kva.test", "xn--bcher-kva.test", "", "_dmarc.xn--bcher-kva.test TXT \"v=DMARC1; p=reject\"",
	  "pass xn--bcher-kva.test p=reject>reject xn--bcher-kva.test s!", 1 },
};

static struct dmarc_identity
identity(struct slice text)
{
	struct dmarc_identity id = { text, text.n ? DMARC_PROVEN : DMARC_UNPROVEN, false };

	if (text.n && strchr("-?!", *text.p) != NULL) {
		id.evidence = *text.p == '-' ? DMARC_UNPROVEN : *text.p == '?' ? DMARC_UNSURE : DMARC_PROVEN;
		id.ignored = *text.p == '!';
		id.domain = slice_skip(text, 1);
	}
	return id;
}

static void
show_alignment(const struct dmarc_identifier *id, struct buf *to)
{
	bool proven = id->alignment != DMARC_UNALIGNED && id->identity.evidence == DMARC_PROVEN &&
	    !id->identity.ignored;

	buf_printf(to, " %c%s", "-rs"[id->alignment], id->unsure ? "?" : proven ? "!" : "");
}

static void
show(const struct dmarc *d, struct buf *to)
{
	buf_clear(to);
	buf_printf(to, "%s", dmarc_result_name(d->result));
	if (d->policy_domain.n == 0)
		return;
	buf_printf(to, " %.*s %s=%s>%s %.*s", FMT(d->policy_domain), d->tag,
	    dmarc_policy_name(d->requested), dmarc_policy_name(d->policy), FMT(d->org_domain));
	show_alignment(&d->spf, to);
	for (size_t i = 0; i < d->dkim_count; i++)
		show_alignment(&d->dkim[i], to);
}

/* Rounds of questions until it has concluded. */
static unsigned
evaluate(struct dmarc *d, const struct dmarc_question *q, const char *text, struct facts *facts)
{
	struct error why = { 0 };
	struct zone *zone = zone_parse(slice(text), "zone", &why);
	unsigned rounds = 0;

	if (zone == NULL)
		print_error("%s\n", why.text);
	assert_non_null(zone);
	*d = (struct dmarc){ 0 };
	for (; !dmarc_evaluate(d, q, facts); rounds++)
		zone_answer_all(zone, facts);
	zone_free(zone);
	return rounds;
}

static void
evaluations(void **state)
{
	struct buf shown = BUF(4096);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena *arena = arena_new(1 << 20);
		struct dmarc_identity dkim[8];
		struct slice list = slice(cases[i].dkim), word;
		struct dmarc_question q = { .author.domain = slice(cases[i].author), .dkim = dkim };
		struct facts facts;
		struct dmarc d;
		unsigned rounds;

		q.spf = identity(slice(cases[i].spf));
		while (slice_word(&list, &word))
			dkim[q.dkim_count++] = identity(word);
		facts_begin(&facts, arena);
		rounds = evaluate(&d, &q, cases[i].zone, &facts);
		show(&d, &shown);
		if (!slice_eq(buf_slice(&shown), slice(cases[i].outcome)))
			print_error("case %zu: %s: %s\n", i, cases[i].author, cases[i].zone);
		assert_slice(buf_slice(&shown), cases[i].outcome);
		if (rounds != cases[i].rounds)
			print_error("case %zu took %u rounds: %s\n", i, rounds, cases[i].zone);
		assert_int_equal(rounds, cases[i].rounds);
		assert_true(d.why.n > 0);
		arena_free(arena);
	}
	buf_free(&shown);
}

static void
a_flawed_from_is_a_permerror(void **state)
{
	static const enum from_flaw flaws[] = { FROM_NONE, FROM_NOBODY, FROM_FIELDS, FROM_DOMAINS,
	    FROM_MANY, FROM_UNPARSABLE };

	(void)state;
	for (size_t i = 0; i < COUNT(flaws); i++) {
		struct dmarc_question q = { .author.flaw = flaws[i] };
		struct arena *arena = arena_new(1 << 16);
		struct facts facts;
		struct dmarc d = { 0 };

		facts_begin(&facts, arena);
		assert_true(dmarc_evaluate(&d, &q, &facts));
		assert_int_equal(d.result, DMARC_PERMERROR);
		assert_true(d.why.n > 0);
		assert_false(facts_pending(&facts));
		arena_free(arena);
	}
}

/* A stranger signs with many deep names, all next door to the author's. */
static void
questions_are_bounded(void **state)
{
	static const struct { const char *author, *below; unsigned asked, needed; enum dmarc_alignment last; } rows[] = {
		{ "a.example.com", "example.com", 3 + 6 * DMARC_SIGNATURES, 3 + 6 * DMARC_SIGNATURES, DMARC_RELAXED },
		{ "bank.co.uk", "co.uk", 3 + 6 * 3, 3, DMARC_UNALIGNED },      /* the first few only */
	};

	(void)state;
	for (size_t row = 0; row < COUNT(rows); row++) {
		struct dmarc_identity dkim[DMARC_SIGNATURES + 8];
		struct dmarc_question q = { .dkim = dkim, .dkim_count = COUNT(dkim) };
		struct arena *arena = arena_new(1 << 22);
		struct facts facts;
		struct dmarc d;

		for (size_t i = 0; i < COUNT(dkim); i++)
			dkim[i] = (struct dmarc_identity){
				arena_printf(arena, "1.2.3.4.5.6.7.x%zu.%s", i, rows[row].below), DMARC_PROVEN, false };
		q.author.domain = slice(rows[row].author);
		facts_begin(&facts, arena);
		assert_true(evaluate(&d, &q, "_dmarc.example.com TXT \"v=DMARC1; p=reject\"\n"
		    "_dmarc.bank.co.uk TXT \"v=DMARC1; p=reject\"\n", &facts) <= 2);
		assert_int_equal(facts.count, rows[row].asked);
		assert_int_equal(d.queries, rows[row].needed);
		assert_int_equal(d.dkim_count, DMARC_SIGNATURES);
		assert_int_equal(d.dkim[DMARC_SIGNATURES - 1].alignment, rows[row].last);
		arena_free(arena);
	}
}

static void
strangers_trees_are_not_walked(void **state)
{
	struct dmarc_identity dkim = { S("1.2.3.esp.com"), DMARC_PROVEN, false };
	struct dmarc_question q = {
		.author.domain = S("example.com"), .spf = { S("bounce.esp.com"), DMARC_PROVEN, false },
		.dkim = &dkim, .dkim_count = 1,
	};
	struct arena *arena = arena_new(1 << 20);
	struct facts facts;
	struct dmarc d;

	(void)state;
	facts_begin(&facts, arena);
	assert_int_equal(evaluate(&d, &q, "_dmarc.example.com TXT \"v=DMARC1; p=reject\"\n", &facts), 1);
	assert_int_equal(d.result, DMARC_FAIL);
	assert_int_equal(d.queries, 2);
	arena_free(arena);
}

static void
it_is_written_as_registered(void **state)
{
	struct dmarc_question q = { .author.domain = S("sub.example.com") };
	struct arena *arena = arena_new(1 << 20);
	struct buf text = BUF(4096);
	struct authres a;
	struct facts facts;
	struct dmarc d;

	(void)state;
	facts_begin(&facts, arena);
	evaluate(&d, &q, "_dmarc.example.com TXT \"v=DMARC1; p=none; sp=reject; t=y\"\n", &facts);
	authres_begin(&a, S("id"), arena);
	dmarc_authres(&d, &a);
	d = (struct dmarc){ .result = DMARC_PERMERROR, .why = S("there are several From fields") };
	dmarc_authres(&d, &a);
	authres_write(&a, false, &text);
	assert_slice(buf_slice(&text), "id;\r\n\tdmarc=fail header.from=sub.example.com policy.dmarc=quarantine;"
	    "\r\n\tdmarc=permerror reason=\"there are several From fields\"");
	buf_free(&text);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(a_text_without_end_is_no_record),
		cmocka_unit_test(report_uris_without_sizes),
		cmocka_unit_test(a_walk_asks_these_names_and_no_other),
		cmocka_unit_test(evaluations),
		cmocka_unit_test(a_flawed_from_is_a_permerror),
		cmocka_unit_test(questions_are_bounded),
		cmocka_unit_test(strangers_trees_are_not_walked),
		cmocka_unit_test(it_is_written_as_registered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
