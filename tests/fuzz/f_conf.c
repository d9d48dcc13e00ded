/* SPDX-License-Identifier: ISC */
/*
 * Configurations and their tables: nothing crashes, every flaw has a place, and
 * what is shown and formatted of a good one is as good as it.
 *
 * The input is the configuration and, behind a NUL, the text of every file that
 * it names.
 */
#include <stdlib.h>

#include "conf/show.h"
#include "texts.h"

/* A text that must have no errors has none. */
static void
must_be_good(struct slice text)
{
	struct flaws flaws;
	struct tree *tree;

	flaws_begin(&flaws);
	tree = tree_parse_text(S("/c/again"), text, &flaws);
	keywords_check(&CONF_VOCABULARY, tree->first, "", tree->arena, &flaws);
	bug_if(flaws.errors > 0);
	tree_free(tree);
	flaws_end(&flaws);
}

static void
look_up(const struct routes *routes, const char *text)
{
	struct arena *arena = arena_new(1 << 24);
	struct address address;
	struct expansion x;

	if (address_parse(slice(text), arena, &address))
		if (route_expand(routes, &address, arena, &x))
			for (const struct reached *r = x.first; r != NULL; r = r->next) {
				bug_if(r->route.kind == ROUTE_ALIAS);
				bug_if(r->route.kind == ROUTE_MAILDIR && r->route.maildir.p[0] != '/');
			}
	arena_free(arena);
}

static void
use(const struct conf *conf, const struct reader *reader, struct flaws *flaws)
{
	struct routes *routes = routes_new(conf, reader, flaws);
	struct trust *trust = trust_new(&conf->arc, reader, flaws);
	struct buf out = BUF(1 << 24);

	show_tree(&out, &CONF_VOCABULARY, conf->tree, true);
	must_be_good(buf_slice(&out));
	buf_clear(&out);
	explain_conf(&out, conf, routes, trust);
	buf_free(&out);
	look_up(routes, "ann@a.test");
	look_up(routes, "Team+x@a.test");
	look_up(routes, "postmaster@b.test");
	(void)route_destination(conf, S("x.y.b.test"));
	(void)trust_holds(trust, S("x.b.test"), S("s"));
	trust_free(trust);
	routes_free(routes);
}

/* Formatting what was formatted changes nothing. */
static void
format_twice(struct slice text)
{
	struct source source = { S("/c/x"), text };
	struct buf once = BUF(1 << 24), twice = BUF(1 << 24);

	if (show_formatted(&once, &source)) {
		source.bytes = buf_slice(&once);
		bug_if(!show_formatted(&twice, &source));
		bug_if(!slice_eq(buf_slice(&once), buf_slice(&twice)));
	}
	buf_free(&once);
	buf_free(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = slice_of(data, size);
	size_t nul = slice_find(all, '\0');
	struct texts in = { slice_head(all, nul), slice_skip(all, nul + 1) };
	struct reader reader = { texts_read, &in };
	struct flaws flaws;
	struct conf *conf;

	flaws_begin(&flaws);
	conf = conf_parse(S("/c/x"), &reader, &flaws);
	if (flaws.errors == 0) {
		use(conf, &reader, &flaws);
		format_twice(in.first);
	}
	check_flaws(&flaws);
	conf_free(conf);
	flaws_end(&flaws);
	return 0;
}
