/* SPDX-License-Identifier: ISC */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "conf/value.h"
#include "lab/fault.h"
#include "lab/publish.h"
#include "lab/settings.h"
#include "lab/site.h"
#include "lab/world.h"
#include "mail/domain.h"
#include "net/tls.h"

enum {
	WORLD_MEMORY = 256 << 20, ADDRESS_FIRST = 10, ADDRESS_NAMES = 53, ADDRESS_LAST = 250,
	PEM_MOST = 65536, SCRIPT_MOST = 64, SHOWN_MOST = 1 << 18,
};

/* --- files ----------------------------------------------------------------------------- */

char *
world_path(const struct world *w, const char *format, ...)
{
	char name[PATH_MAX], whole[2 * PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof name, format, args);
	va_end(args);
	snprintf(whole, sizeof whole, "%s/%s", w->directory, name);
	return must_copy(whole, strlen(whole));
}

bool
world_write(const char *path, struct slice bytes, struct error *why)
{
	return file_replace(path, bytes, 0600, why);
}

static bool
make_directory(const char *path, struct error *why)
{
	return dir_make(path, 0700, why);
}

/* --- who is where ------------------------------------------------------------------------ */

struct ip
world_address(struct world *w)
{
	unsigned char bytes[] = { 127, 0, 42, 0 };
	unsigned last = ADDRESS_FIRST + w->addresses++;

	if (last >= ADDRESS_NAMES)
		last++;                         /* the name server's */
	bytes[3] = (unsigned char)last;
	return last <= ADDRESS_LAST ? ip_of(slice_of(bytes, 4)) : (struct ip){ .n = 0 };
}

struct citizen *
world_citizen(const struct world *w, struct slice name)
{
	struct citizen *c = w->citizens;

	while (c != NULL && !slice_eqi(c->name, name))
		c = c->next;
	return c;
}

static bool
has_domain(const struct citizen *c, struct slice domain)
{
	if (c->host == NULL)
		return slice_eqi(c->name, domain);
	for (const struct statement *s = c->statement->block; s != NULL; s = s->next)
		if (statement_id(s) == KEYWORD_DOMAIN && slice_eqi(value_first(s)->text, domain))
			return true;
	return false;
}

struct citizen *
world_citizen_of(const struct world *w, struct slice domain)
{
	struct citizen *c = w->citizens;

	while (c != NULL && !has_domain(c, domain))
		c = c->next;
	return c;
}

/* --- one host ------------------------------------------------------------------------------- */

static void
said(void *arg, struct slice line)
{
	struct citizen *c = arg;
	const struct world_doors *doors = &c->world->doors;

	if (doors->said != NULL)
		doors->said(doors->arg, c->name, line);
	else
		events_add(&c->world->events, c->name, line);
}

static void
dns_of_world(void *arg, struct resolver_options *o)
{
	struct world *w = ((struct citizen *)arg)->world;

	zones_resolver(w->zones, clock_now(&w->clock), o);
	o->fault = faults_dns;
	o->fault_arg = w;
}

static struct slice
hostname_of(struct world *w, const struct statement *s, struct slice name)
{
	struct slice own = statement_text(s->block, KEYWORD_HOSTNAME);

	return own.n > 0 ? domain_normal(own, w->arena) : arena_printf(w->arena, "mx.%.*s", FMT(name));
}

static bool
make_certificate(struct citizen *c, struct error *why)
{
	bool scripted = statement_id(c->statement) == LAB_SCRIPTED;
	struct slice kind_name = statement_text(c->statement->block,
	    scripted ? LAB_SCRIPTED_CERTIFICATE : LAB_HOST_CERTIFICATE);
	enum certificate_kind kind = CERTIFICATE_GOOD;
	struct tls_identity id = { .name = "a host" };

	if (slice_eq(kind_name, S("none")))
		return true;
	bug_if(!certificate_kind_parse(kind_name, &kind));
	certificate_make(c->world->authority, kind, &c->hostname, 1, &c->certificate);
	id.certificate = buf_slice(&c->certificate.chain);
	id.key = buf_slice(&c->certificate.key);
	return (c->tls = tls_server_new(&id, 1, why)) != NULL;
}

static struct citizen *
new_citizen(struct world *w, const struct statement *s, struct error *why)
{
	struct citizen *c = must_alloc(sizeof *c);

	*c = (struct citizen){ .world = w, .statement = s,
	    .name = domain_normal(value_first(s)->text, w->arena), .ip = world_address(w),
	    .certificate = { BUF(PEM_MOST), BUF(PEM_MOST) } };
	*w->last = c;
	w->last = &c->next;
	c->hostname = hostname_of(w, s, c->name);
	c->directory = world_path(w, "hosts/%.*s", FMT(c->name));
	c->config = world_path(w, "hosts/%.*s/chainmail.conf", FMT(c->name));
	if (c->ip.n == 0) {
		error_set(why, "the world has too many hosts");
		return NULL;
	}
	return make_directory(c->directory, why) && make_certificate(c, why) && publish_host(c, why)
	    ? c : NULL;
}

static bool
add_host(struct world *w, const struct statement *host, struct error *why)
{
	struct citizen *c = new_citizen(w, host, why);

	if (c == NULL)
		return false;
	c->host = host_new(&(struct host_options){ &w->loop, &w->places, c->config, w->scenario->seed,
	    w->addresses, dns_of_world, said, c });
	for (const struct statement *s = host->block; s != NULL; s = s->next)
		if (statement_id(s) == KEYWORD_DOMAIN && !publish_domain(w, c, value_first(s)->text, s, why))
			return false;
	return settings_write(c, why);
}

/* Each line of a text ends with CRLF on the wire. */
static struct slice
wire_lines(struct world *w, struct slice text)
{
	struct buf b = BUF(65536);
	struct slice line;

	while (slice_cut(&text, '\n', &line))
		buf_printf(&b, "%.*s\r\n", FMT(line));
	line = arena_copy(w->arena, buf_slice(&b));
	buf_free(&b);
	return line;
}

/* "8BITMIME SMTPUTF8" */
static struct slice
offers_of(struct world *w, const struct statement *block)
{
	const struct statement *s = statement_find(block, LAB_SCRIPTED_OFFER);
	struct buf b = BUF(4096);
	struct slice all;

	if (s == NULL)
		return SCRIPT_OFFERS;
	for (const struct word *one = value_first(s); one != NULL; one = value_next(one))
		buf_printf(&b, "%.*s ", FMT(one->text));
	all = arena_copy(w->arena, buf_slice(&b));
	buf_free(&b);
	return all;
}

/* Between two bytes, in ms. */
static int64_t
pause_of(const struct statement *block)
{
	const struct statement *s = statement_find(block, LAB_SCRIPTED_DRIP);
	struct rate rate;

	if (s == NULL)
		return 0;
	bug_if(!value_rate(value_first(s)->text, &rate));
	return rate.per / rate.count > 0 ? rate.per / rate.count : 1;
}

static void
write_script(struct world *w, struct citizen *c)
{
	const struct statement *block = c->statement->block;

	c->script = (struct script){ .hostname = c->hostname, .offers = offers_of(w, block),
	    .pause = pause_of(block), .bare_cr = statement_find(block, LAB_SCRIPTED_BARE_CR) != NULL,
	    .rows = arena_get(w->arena, SCRIPT_MOST * sizeof *c->script.rows) };
	bug_if(c->script.rows == NULL);
	for (const struct statement *s = block; s != NULL; s = s->next)
		if (statement_id(s) == LAB_SCRIPTED_ON && c->script.count < SCRIPT_MOST)
			c->script.rows[c->script.count++] = (struct script_row){
			    .when = script_moment_of(s->words->next->text),
			    .say = value_first(s) != NULL ? wire_lines(w, value_first(s)->text) : NONE,
			    .then = statement_says(s, "close") ? SCRIPT_CLOSE : statement_says(s, "nothing")
			        ? SCRIPT_SILENCE : SCRIPT_GO_ON,
			    .once = statement_says(s, "once") };
}

/* A stranger's bytes, so that they can be printed. */
static json_t *
shown(struct slice s)
{
	struct buf b = BUF(SHOWN_MOST);
	json_t *j;

	shown_add(&b, s);
	j = json_stringn(b.n > 0 ? b.p : "", b.n);
	buf_free(&b);
	return j != NULL ? j : json_null();
}

static json_t *
addresses(struct slice paths)
{
	json_t *list = json_array();
	struct slice one;

	while (slice_word(&paths, &one))
		json_array_append_new(list, shown(one));
	return list;
}

/* A script took a message: hosts that are complete say so in their logs. */
static void
took(void *arg, const struct script_visit *v)
{
	struct citizen *c = arg;
	json_t *tls = v->tls != NULL ? json_string(v->tls) : json_null();
	json_t *j = json_pack("{s:s, s:o, s:o, s:o, s:I, s:b}", "event", "received", "from",
	    shown(v->from), "to", addresses(v->to), "tls", tls, "bytes", (json_int_t)v->bytes, "ascii",
	    v->ascii);
	char *line = json_dumps(j, JSON_COMPACT | JSON_ENSURE_ASCII);

	if (line != NULL)
		said(c, slice(line));
	free(line);
	json_decref(j);
}

static bool
add_scripted(struct world *w, const struct statement *s, struct error *why)
{
	struct citizen *c = new_citizen(w, s, why);
	struct peer at;
	int fd;

	if (c == NULL)
		return false;
	at = (struct peer){ .ip = c->ip, .port = MX_PORT };
	write_script(w, c);
	if (!publish_domain(w, c, c->name, s, why) || (fd = places_listen(&w->places, &at, why)) == -1)
		return false;
	c->scripted = scripted_new(&(struct scripted_options){ .loop = &w->loop, .tls = c->tls,
	    .script = &c->script, .took = took, .arg = c }, fd);
	return true;
}

/* --- the whole ------------------------------------------------------------------------------------ */

static bool
write_root(struct world *w, struct error *why)
{
	char *path = world_path(w, "ca.pem");
	bool ok = file_replace(path, authority_root(w->authority), 0644, why);

	free(path);
	w->tls = tls_client_new(authority_root(w->authority), why);
	return ok && w->tls != NULL;
}

static bool
make_zones(struct world *w, struct error *why)
{
	char *directory = world_path(w, "dns");
	struct zones_options o = { .directory = directory, .seed = w->scenario->seed,
	    .now = w->scenario->clock };

	w->zones = zones_new(&o, why);
	free(directory);
	return w->zones != NULL;
}

static bool
people(struct world *w, struct error *why)
{
	for (const struct statement *s = w->scenario->first; s != NULL; s = s->next) {
		int id = statement_id(s);

		if ((id == LAB_HOST && !add_host(w, s, why)) ||
		    (id == LAB_SCRIPTED && !add_scripted(w, s, why)) ||
		    (id == LAB_WORLD_DOMAIN && !publish_domain(w, NULL, value_first(s)->text, s, why)))
			return false;
	}
	return zones_publish(w->zones, why);
}

static bool
start_hosts(struct world *w, struct error *why)
{
	for (struct citizen *c = w->citizens; c != NULL; c = c->next)
		if (c->host != NULL && !host_start(c->host, why))
			return false;
	if (w->clock.is_virtual)
		world_settle(w);
	return true;
}

static void
open_doors(struct world *w)
{
	places_open(&w->places, MX_PORT, w->doors.smtp);
	places_open(&w->places, POLICY_PORT, w->doors.https);
	w->clock = (struct clock){ 0 };
	w->scenario->clock = clock_now(&w->clock);
}

struct world *
world_new(struct scenario *scenario, const char *directory, struct error *why)
{
	return world_open(scenario, directory, &(struct world_doors){ 0 }, why);
}

struct world *
world_open(struct scenario *scenario, const char *directory, const struct world_doors *doors,
    struct error *why)
{
	struct world *w = must_alloc(sizeof *w);

	w->scenario = scenario;
	w->directory = must_copy(directory, strlen(directory));
	w->arena = arena_new(WORLD_MEMORY);
	w->clock = clock_virtual(scenario->clock);
	if ((w->doors = *doors).said != NULL)
		open_doors(w);
	w->last = &w->citizens;
	loop_begin(&w->loop, &w->clock);
	w->loop.map = places_map;
	w->loop.map_arg = &w->places;
	events_begin(&w->events);
	w->faults = faults_new(w);
	w->places.guard = (struct place_guard){ faults_take, w->faults };
	w->authority = authority_new(scenario->seed, scenario->clock);
	if (write_root(w, why) && make_zones(w, why) && people(w, why) && start_hosts(w, why))
		return w;
	world_free(w);
	return NULL;
}

static void
free_citizen(struct citizen *c)
{
	host_free(c->host);
	scripted_free(c->scripted);
	tls_server_free(c->tls);
	certificate_free(&c->certificate);
	free(c->directory);
	free(c->config);
	free(c);
}

void
world_free(struct world *w)
{
	struct citizen *c;

	if (w == NULL)
		return;
	faults_free(w->faults);
	while ((c = w->citizens) != NULL) {
		w->citizens = c->next;
		free_citizen(c);
	}
	sites_close(w);
	zones_free(w->zones);
	authority_free(w->authority);
	SSL_CTX_free(w->tls);
	loop_end(&w->loop);
	events_end(&w->events);
	for (size_t i = 0; i < w->tree_count; i++)
		tree_free(w->trees[i]);
	free(w->trees);
	arena_free(w->arena);
	free(w->directory);
	free(w);
}

/* --- time --------------------------------------------------------------------------------------------- */

void
world_settle(struct world *w)
{
	loop_run_until(&w->loop, clock_now(&w->clock));
}

void
world_advance(struct world *w, int64_t ms)
{
	loop_run_until(&w->loop, clock_now(&w->clock) + ms);
}
