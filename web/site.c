/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "base/map.h"
#include "sts/ours.h"
#include "web/site.h"

enum { SITE_MEMORY = 256 << 20 };

struct site {
	struct arena *arena;
	struct map    policies;         /* "mta-sts.a.test" -> struct slice */
};

static void
add_policy(struct site *s, const struct domain_conf *d)
{
	struct buf text = BUF(OURS_POLICY_MOST);
	struct slice *policy = arena_get(s->arena, sizeof *policy);
	struct slice host = ours_host(d->name, s->arena);

	ours_policy_add(&text, d);
	bug_if(policy == NULL || host.p == NULL || text.full);
	*policy = arena_copy(s->arena, buf_slice(&text));
	bug_if(policy->p == NULL);
	map_put(&s->policies, host, policy);
	buf_free(&text);
}

struct site *
site_new(const struct conf *conf)
{
	struct site *s = must_alloc(sizeof *s);

	s->arena = arena_new(SITE_MEMORY);
	for (size_t i = 0; i < conf->domain_count; i++)
		if (conf->domain[i].sts != SERVE_OFF)
			add_policy(s, &conf->domain[i]);
	return s;
}

void
site_free(struct site *s)
{
	if (s == NULL)
		return;
	map_free(&s->policies);
	arena_free(s->arena);
	free(s);
}

struct http_response
site_answer(const struct site *s, const struct http_request *request)
{
	const struct slice *policy = NULL;

	if (slice_eq(request->path, S(OURS_PATH)))
		policy = map_get(&s->policies, request->host);
	if (policy == NULL)
		return http_plain(404);
	return (struct http_response){ .status = 200, .type = S("text/plain"), .body = *policy };
}
