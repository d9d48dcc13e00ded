/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/bug.h"
#include "conf/value.h"
#include "lab/fault.h"
#include "lab/site.h"
#include "web/responder.h"

enum { POLICY_MOST = 70000, VISITORS_MOST = 64 };

struct site {
	struct site            *next;
	struct world           *world;
	struct slice            domain, host;   /* "sts.test", "mta-sts.sts.test" */
	struct slice           *mail_hosts;
	size_t                  mail_host_count;
	struct ip               ip;
	unsigned                id;             /* in its TXT record */
	const struct statement *statement;
	struct buf              policy;
	struct certificate      certificate;
	struct tls_server      *tls;
	struct responder       *responder;
};

/* --- the policy ------------------------------------------------------------------------ */

static const char *
mode_of(const struct statement *sts)
{
	return statement_says(sts, "enforce") ? "enforce"
	    : statement_says(sts, "testing") ? "testing" : "none";
}

/* RFC 8461 3.2 */
static void
write_policy(struct site *s)
{
	const struct statement *mx = statement_find(s->statement->block, LAB_STS_MX);
	int64_t age;

	bug_if(!value_duration(statement_text(s->statement->block, LAB_STS_MAX_AGE), &age));
	buf_clear(&s->policy);
	buf_printf(&s->policy, "version: STSv1\r\nmode: %s\r\n", mode_of(s->statement));
	for (const struct word *w = mx != NULL ? value_first(mx) : NULL; w != NULL; w = value_next(w))
		buf_printf(&s->policy, "mx: %.*s\r\n", FMT(w->text));
	for (size_t i = 0; mx == NULL && i < s->mail_host_count; i++)
		buf_printf(&s->policy, "mx: %.*s\r\n", FMT(s->mail_hosts[i]));
	buf_printf(&s->policy, "max_age: %lld\r\n", (long long)(age / SECOND));
}

/* --- answering ----------------------------------------------------------------------------- */

static void
answer(void *arg, const struct http_request *request, struct response_plan *plan)
{
	const struct site *s = arg;
	const struct statement *block = s->statement->block;
	const struct statement *body = statement_find(block, LAB_STS_BODY);
	struct slice drip = statement_text(block, LAB_STS_DRIP);
	uint64_t status;

	if (!http_is_safe(request) || !slice_eqi(request->host, s->host) ||
	    !slice_eq(request->path, S("/.well-known/mta-sts.txt"))) {
		plan->response = http_plain(http_is_safe(request) ? 404 : 405);
		return;
	}
	bug_if(!slice_number(statement_text(block, LAB_STS_STATUS), 1000000, &status));
	plan->response = (struct http_response){ .status = (unsigned)status % 1000,
	    .type = statement_text(block, LAB_STS_TYPE),
	    .location = statement_text(block, LAB_STS_REDIRECT),
	    .body = body != NULL ? value_first(body)->text : buf_slice(&s->policy) };
	if (plan->response.location.n > 0)
		plan->response.status = 301;
	if (drip.n > 0)
		bug_if(!value_duration(drip, &plan->pause));
	faults_https(s->world, s->domain, plan);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* RFC 8461 3.1 */
static bool
publish_id(struct site *s, struct error *why)
{
	struct arena *arena = s->world->arena;
	struct slice name = arena_printf(arena, "_mta-sts.%.*s", FMT(s->domain));
	struct record txt = { .data = statement_text(s->statement->block, LAB_STS_RECORD) };

	if (txt.data.n == 0)
		txt.data = arena_printf(arena, "v=STSv1; id=%u", s->id);
	return zones_add(s->world->zones, name, RR_TXT, &txt, why);
}

static bool
publish(struct site *s, const struct ip *ip, struct error *why)
{
	struct record a = { .data = slice_of(ip->bytes, ip->n) };

	return publish_id(s, why) && zones_add(s->world->zones, s->host, RR_A, &a, why);
}

static bool
serve(struct site *s, const struct ip *ip, struct error *why)
{
	struct world *w = s->world;
	struct peer at = { .ip = *ip, .port = POLICY_PORT };
	struct tls_identity id = { .name = "a policy host" };
	enum certificate_kind kind = CERTIFICATE_GOOD;
	int fd;

	certificate_kind_parse(statement_text(s->statement->block, LAB_STS_CERTIFICATE), &kind);
	certificate_make(w->authority, kind, &s->host, 1, &s->certificate);
	id.certificate = buf_slice(&s->certificate.chain);
	id.key = buf_slice(&s->certificate.key);
	if ((s->tls = tls_server_new(&id, 1, why)) == NULL ||
	    (fd = places_listen(&w->places, &at, why)) == -1)
		return false;
	s->responder = responder_new(&(struct responder_options){ &w->loop, s->tls, VISITORS_MOST,
	    0, answer, s }, fd);
	return true;
}

bool
site_open(struct world *w, struct slice domain, const struct statement *sts,
    const struct slice *hosts, size_t count, struct error *why)
{
	struct site *s = must_alloc(sizeof *s);
	struct ip ip = world_address(w);

	*s = (struct site){ .next = w->sites, .world = w, .domain = domain, .statement = sts,
	    .id = 1, .ip = ip,
	    .host = arena_printf(w->arena, "mta-sts.%.*s", FMT(domain)), .policy = BUF(POLICY_MOST),
	    .certificate = { BUF(POLICY_MOST), BUF(POLICY_MOST) } };
	w->sites = s;
	s->mail_hosts = arena_get(w->arena, count * sizeof *hosts + 1);
	bug_if(s->mail_hosts == NULL);
	for (; s->mail_host_count < count; s->mail_host_count++)
		s->mail_hosts[s->mail_host_count] = hosts[s->mail_host_count];
	write_policy(s);
	if (ip.n == 0)
		return error_set(why, "the world has too many policy hosts");
	return publish(s, &ip, why) && serve(s, &ip, why);
}

bool
site_change(struct world *w, struct slice domain, const struct statement *sts, struct error *why)
{
	struct site *s = w->sites;

	while (s != NULL && !slice_eqi(s->domain, domain))
		s = s->next;
	if (s == NULL)
		return error_set(why, "%.*s has no policy that could change", FMT(domain));
	s->statement = sts;
	s->id++;
	write_policy(s);
	zones_remove(w->zones, arena_printf(w->arena, "_mta-sts.%.*s", FMT(s->domain)), RR_TXT);
	return publish_id(s, why);
}

bool
site_nth(const struct world *w, size_t turn, struct site_place *p)
{
	const struct site *s = w->sites;

	while (s != NULL && turn-- > 0)
		s = s->next;
	if (s == NULL)
		return false;
	*p = (struct site_place){ s->domain, s->host, s->ip, s->statement };
	return true;
}

void
sites_close(struct world *w)
{
	struct site *s;

	while ((s = w->sites) != NULL) {
		w->sites = s->next;
		responder_free(s->responder);
		tls_server_free(s->tls);
		certificate_free(&s->certificate);
		buf_free(&s->policy);
		free(s);
	}
}
