/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "base/map.h"
#include "mail/listheader.h"
#include "sts/ours.h"
#include "web/site.h"

enum { SITE_MEMORY = 256 << 20 };

struct site {
	struct arena *arena;
	struct map    policies;         /* "mta-sts.a.test" -> struct slice */
	struct map    doors;            /* paths before a member's word -> the site */
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

static void
add_door(struct site *s, const struct list_conf *l)
{
	struct slice path = arena_copy(s->arena, one_click_path(l->one_click));

	bug_if(path.p == NULL);
	if (path.n > 0)
		map_put(&s->doors, path, s);
}

struct site *
site_new(const struct conf *conf)
{
	struct site *s = must_alloc(sizeof *s);

	s->arena = arena_new(SITE_MEMORY);
	for (size_t i = 0; i < conf->domain_count; i++) {
		if (conf->domain[i].sts != SERVE_OFF)
			add_policy(s, &conf->domain[i]);
		for (size_t j = 0; j < conf->domain[i].list_count; j++)
			add_door(s, conf->domain[i].lists[j]);
	}
	return s;
}

void
site_free(struct site *s)
{
	if (s == NULL)
		return;
	map_free(&s->policies);
	map_free(&s->doors);
	arena_free(s->arena);
	free(s);
}

/* --- leaving a list ------------------------------------------------------------------- */

#define PAGE(body) S("<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">" \
    "<title>Mailing list</title>\n" body "</html>\n")

static struct http_response
page(unsigned status, struct slice text)
{
	return (struct http_response){ .status = status, .type = S("text/html; charset=utf-8"),
	    .body = text };
}

/* What stands behind the path of a list's one-click; false: it is not such a path. */
static bool
word_of(const struct site *s, struct slice path, struct slice *word)
{
	size_t slash = path.n;

	while (slash > 0 && path.p[slash - 1] != '/')
		slash--;
	*word = slice_skip(path, slash);
	return word->n > 0 && slash > 1 && map_get(&s->doors, slice_head(path, slash - 1)) != NULL;
}

/* RFC 8058 3.2: the pair alone, or as a part of multipart/form-data. */
static bool
is_one_click(struct slice body)
{
	static const char name[] = "name=\"List-Unsubscribe\"";
	const char *at = body.n > 0 ? memmem(body.p, body.n, name, sizeof name - 1) : NULL;
	const char *value = at != NULL ? memmem(at, (size_t)(body.p + body.n - at), "\r\n\r\n", 4) : NULL;

	if (value != NULL)
		return slice_starts(slice_skip(body, (size_t)(value + 4 - body.p)), S("One-Click\r\n"));
	return slice_eq(slice_trim(body), S("List-Unsubscribe=One-Click"));
}

bool
site_leaves(const struct site *s, const struct http_request *request, struct slice *word)
{
	return slice_eq(request->method, S("POST")) && word_of(s, request->path, word) &&
	    is_one_click(request->body);
}

struct http_response
site_left(enum left left)
{
	switch (left) {
	case LEFT_DONE:
		return page(200, PAGE("<p>You have left the list: nothing more will be sent to you.</p>"));
	case LEFT_UNKNOWN:
		return page(404, PAGE("<p>This link leads to no list, or it is too old. A newer message "
		    "of the list has a newer one.</p>"));
	default:
		return page(503, PAGE("<p>That cannot be done just now. Please try again later.</p>"));
	}
}

/* RFC 8058 3.1: whoever only looks must not be taken off the list. */
static struct http_response
door(const struct http_request *request)
{
	if (!http_is_safe(request))
		return http_plain(400);
	return page(200, PAGE("<form method=\"post\"><p>Leave the mailing list? "
	    "<button name=\"List-Unsubscribe\" value=\"One-Click\">Leave</button></p></form>"));
}

struct http_response
site_answer(const struct site *s, const struct http_request *request)
{
	const struct slice *policy = NULL;
	struct slice word;

	if (word_of(s, request->path, &word))
		return door(request);
	if (slice_eq(request->path, S(OURS_PATH)))
		policy = map_get(&s->policies, request->host);
	if (policy == NULL)
		return http_plain(404);
	if (!http_is_safe(request))
		return http_plain(405);
	return (struct http_response){ .status = 200, .type = S("text/plain"), .body = *policy };
}
