/* SPDX-License-Identifier: ISC */
/*
 * `chainmail lab up [FILE]`: the world of a scenario, open to other MTAs.
 *
 *     DIR/ca.pem          the root that they shall trust
 *     DIR/anchor          the DNSSEC trust anchor
 *     DIR/resolv.conf     for those whose resolver is our name server
 *     DIR/gallery.json    who is where, and how a correct sender fares
 *
 * Nothing that happens in the scenario does: no message is sent, no time passes
 * but the machine's.  DNS faults that stand before all changes hold from the
 * beginning.
 *
 * How the rows of the gallery stand is answered at any time, in the clear and to
 * this machine only: GET /lab/v1/gallery?format=json|junit|tap|people (without a
 * format: json).  `chainmail lab gallery --sender-only` is the same world for a
 * while, and then the table.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/gallery_table.h"
#include "conf/value.h"
#include "lab/dns_server.h"
#include "lab/site.h"
#include "lab/written.h"
#include "mail/domain.h"
#include "web/responder.h"

enum {
	UP_MEMORY = 16 << 20, LINE_MOST = 1 << 20, NAMES_PORT = 53, HTTP_PORT = 8025, PORT_MOST = 65535,
	READERS_MOST = 16,
};

static const unsigned char NAMES_ADDRESS[] = { 127, 0, 42, 53 }, HTTP_ADDRESS[] = { 127, 0, 0, 1 };

struct up {
	struct scenario   *scenario;
	const char        *directory;
	uint16_t           smtp, https, dns, http;
	int64_t            wait;                /* 0: until a signal, and events are told */
	struct arena      *arena;               /* of the rows */
	struct gallery_row *rows;
	struct buf         table;               /* that is being answered */
	struct world      *world;
	struct dns_server *names;
	struct responder  *reader;
	struct timer       over;
	struct event       term, interrupt;
};

/* --- what is told ------------------------------------------------------------------------ */

/* Of a run that ends with a table, standard output has nothing else. */
static void
print_line(const struct up *u, json_t *j)
{
	char *line = json_dumps(j, JSON_COMPACT);
	struct buf b = BUF(LINE_MOST);

	if (line != NULL)
		buf_printf(&b, "%s\n", line);
	if (u->wait > 0)
		file_write(STDERR_FILENO, buf_slice(&b), NULL);
	else
		output_now(buf_slice(&b));
	buf_free(&b);
	free(line);
}

static json_t *
text(struct slice s)
{
	return json_stringn(s.n > 0 ? s.p : "", s.n);
}

/* A script has taken a message: {"event": "received", "to": […], "tls": null, …} */
static void
note_message(struct up *u, const json_t *j)
{
	const char *event = json_string_value(json_object_get(j, "event"));
	const json_t *to = json_object_get(j, "to"), *tls = json_object_get(j, "tls");
	bool ascii = json_is_true(json_object_get(j, "ascii"));
	size_t i;
	json_t *address;

	if (event == NULL || strcmp(event, "received") != 0 || tls == NULL)
		return;
	json_array_foreach(to, i, address)
		gallery_took(u->rows, slice(json_string_value(address)), json_is_string(tls), ascii);
}

static void
said(void *arg, struct slice host, struct slice line)
{
	struct up *u = arg;
	json_t *j = json_loadb(line.p, line.n, 0, NULL), *all = json_object();

	note_message(u, j);
	json_object_set_new(all, "host", text(host));
	if (j != NULL)
		json_object_update(all, j);
	if (u->wait == 0)
		print_line(u, all);
	json_decref(all);
	json_decref(j);
}

static void
asked(void *arg, struct slice name, uint16_t type)
{
	struct up *u = arg;

	if (type == RR_MX)
		gallery_asked(u->rows, name);
}

/* --- the files ----------------------------------------------------------------------------- */

/* What MAIL has to say about the message. */
static json_t *
parameters_of(const struct written *w)
{
	json_t *list = json_array();

	if (w->eight_bit)
		json_array_append_new(list, json_string("BODY=8BITMIME"));
	if (w->smtputf8)
		json_array_append_new(list, json_string("SMTPUTF8"));
	if (w->requiretls)
		json_array_append_new(list, json_string("REQUIRETLS"));
	return list;
}

/* The message of a row; null: there is none, or its bytes are no text (RFC 8259 8.1). */
static json_t *
message_of(const struct up *u, const struct gallery_row *r, unsigned number)
{
	struct written_by by = { u->scenario->seed, clock_now(&u->world->clock), number };
	struct written w;
	struct error why;
	json_t *j = NULL;

	if (r->send != NULL && written_make(&w, r->send, &by, u->arena, &why))
		j = json_pack("{s:o, s:o, s:o}", "from", text(w.from), "parameters", parameters_of(&w),
		    "text", text(w.text));
	return j != NULL ? j : json_null();
}

static json_t *
rows_of(const struct up *u)
{
	json_t *list = json_array();
	unsigned number = 0;

	for (const struct gallery_row *r = u->rows; r != NULL; r = r->next)
		json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}",
		    "domain", text(r->domain), "address", text(r->address), "flaw", text(r->flaw), "rfc",
		    text(r->rfc), "expected", text(r->expected), "outcome", text(r->outcome), "tls",
		    text(r->tls), "changes", r->changes, "message", message_of(u, r, ++number)));
	return list;
}

static struct slice
certificate_of(const struct citizen *c)
{
	bool scripted = statement_id(c->statement) == LAB_SCRIPTED;

	return statement_text(c->statement->block,
	    scripted ? LAB_SCRIPTED_CERTIFICATE : LAB_HOST_CERTIFICATE);
}

static json_t *
hosts_of(const struct up *u)
{
	json_t *list = json_array();
	char ip[IP_TEXT];

	for (const struct citizen *c = u->world->citizens; c != NULL; c = c->next) {
		ip_text(c->ip, ip);
		json_array_append_new(list, json_pack("{s:o, s:o, s:s, s:o}", "name", text(c->name),
		    "hostname", text(c->hostname), "address", ip, "certificate", text(certificate_of(c))));
	}
	return list;
}

static json_t *
policy_hosts_of(const struct up *u)
{
	json_t *list = json_array();
	struct site_place p;
	char ip[IP_TEXT];

	for (size_t i = 0; site_nth(u->world, i, &p); i++) {
		ip_text(p.ip, ip);
		json_array_append_new(list, json_pack("{s:o, s:o, s:s, s:o}", "domain", text(p.domain),
		    "hostname", text(p.host), "address", ip, "certificate",
		    text(statement_text(p.statement->block, LAB_STS_CERTIFICATE))));
	}
	return list;
}

static bool
write_file(const struct up *u, const char *name, struct slice bytes, struct error *why)
{
	char *path = world_path(u->world, "%s", name);
	bool ok = file_replace(path, bytes, 0644, why);

	free(path);
	return ok;
}

static bool
write_gallery(const struct up *u, struct error *why)
{
	json_t *all = json_pack("{s:s, s:i, s:i, s:i, s:i, s:o, s:o, s:o}", "nameserver", "127.0.42.53",
	    "dns", (int)u->dns, "smtp", (int)u->smtp, "https", (int)u->https, "http", (int)u->http,
	    "hosts", hosts_of(u), "policy-hosts", policy_hosts_of(u), "rows", rows_of(u));
	char *out = json_dumps(all, JSON_INDENT(2));
	bool ok;

	bug_if(out == NULL);
	ok = write_file(u, "gallery.json", slice(out), why);
	free(out);
	json_decref(all);
	return ok;
}

/* It cannot name a port: where the name server has another one, no such file would be true. */
static bool
write_resolv_conf(const struct up *u, struct error *why)
{
	return u->dns != NAMES_PORT ||
	    write_file(u, "resolv.conf", S("nameserver 127.0.42.53\noptions edns0 trust-ad\n"), why);
}

static bool
write_files(const struct up *u, struct error *why)
{
	return write_file(u, "anchor", zones_anchor(u->world->zones), why) &&
	    write_resolv_conf(u, why) && write_gallery(u, why);
}

/* --- how the rows stand ------------------------------------------------------------------------ */

/* "format=json": false when nobody knows that form, or it says something else. */
static bool
wanted_form(struct slice query, enum lab_form *form)
{
	struct slice value = query, key;

	*form = LAB_JSON;
	return query.n == 0 ||
	    (slice_cut(&value, '=', &key) && slice_eq(key, S("format")) && gallery_table_form(value, form));
}

static void
answer(void *arg, const struct http_request *request, struct response_plan *plan)
{
	struct up *u = arg;
	enum lab_form form;

	if (!slice_eq(request->path, S("/lab/v1/gallery"))) {
		plan->response = http_plain(404);
		return;
	}
	if (!http_is_safe(request)) {
		plan->response = http_plain(405);
		return;
	}
	if (!wanted_form(request->query, &form)) {
		plan->response = http_plain(400);
		return;
	}
	gallery_judge_seen(u->rows);
	buf_clear(&u->table);
	gallery_table(u->rows, form, &u->table);
	plan->response = (struct http_response){ .status = 200, .type = gallery_table_type(form),
	    .body = buf_slice(&u->table) };
}

static bool
open_reader(struct up *u, struct error *why)
{
	struct peer at = { .ip = ip_of(slice_of(HTTP_ADDRESS, sizeof HTTP_ADDRESS)), .port = u->http };
	int fd = peer_listen(&at, why);

	if (fd != -1)
		u->reader = responder_new(&(struct responder_options){ .loop = &u->world->loop,
		    .most = READERS_MOST, .answer = answer, .arg = u }, fd);
	return fd != -1;
}

/* --- the world ------------------------------------------------------------------------------- */

static void
add_fault(struct zones *zones, const struct statement *s, struct arena *arena)
{
	const struct statement *when = statement_find(s->block, LAB_FAULT_WHEN);
	const struct word *name = value_first(when), *type = value_next(name);
	uint16_t number;

	if (statement_says(when, "dns") && type != NULL && rr_type(type->text, &number))
		zones_fault(zones, domain_normal(name->text, arena), number,
		    statement_find(s->block, LAB_FAULT_SILENCE) != NULL ? DNS_SILENCE : DNS_SERVFAIL);
}

static void
add_faults(const struct up *u)
{
	for (const struct statement *s = u->scenario->first; s != NULL; s = s->next) {
		int id = statement_id(s);

		if (id == LAB_CHANGE_RECORD || id == LAB_CHANGE_STS)
			return;
		if (id == LAB_FAULT)
			add_fault(u->world->zones, s, u->world->arena);
	}
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct up *u = arg;

	(void)number, (void)what;
	loop_stop(&u->world->loop);
}

static void
time_is_over(void *arg)
{
	struct up *u = arg;

	loop_stop(&u->world->loop);
}

static void
watch_signals(struct up *u)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGPIPE, &ignore, NULL);
	evsignal_assign(&u->term, u->world->loop.base, SIGTERM, on_signal, u);
	evsignal_assign(&u->interrupt, u->world->loop.base, SIGINT, on_signal, u);
	evsignal_add(&u->term, NULL);
	evsignal_add(&u->interrupt, NULL);
	if (u->wait > 0)
		timer_set(&u->world->loop, &u->over, u->wait, time_is_over, u);
}

static void
leave_signals(struct up *u)
{
	evsignal_del(&u->term);
	evsignal_del(&u->interrupt);
	timer_clear(&u->world->loop, &u->over);
}

static void
tell_ready(const struct up *u)
{
	json_t *j = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "event", "ready", "directory",
	    u->directory, "dns", (int)u->dns, "smtp", (int)u->smtp, "https", (int)u->https, "http",
	    (int)u->http);

	bug_if(j == NULL);
	print_line(u, j);
	json_decref(j);
}

static bool
open_world(struct up *u, struct error *why)
{
	struct world_doors doors = { u->smtp, u->https, said, u };
	struct peer at = { .ip = ip_of(slice_of(NAMES_ADDRESS, sizeof NAMES_ADDRESS)), .port = u->dns };

	if ((u->world = world_open(u->scenario, u->directory, &doors, why)) == NULL)
		return false;
	add_faults(u);
	if ((u->names = dns_server_new(&u->world->loop, at, u->world->zones, why)) == NULL)
		return false;
	dns_server_watch(u->names, asked, u);
	return open_reader(u, why) && write_files(u, why);
}

static int
live(struct up *u)
{
	struct error why;
	int code = 0;

	if (open_world(u, &why)) {
		watch_signals(u);
		tell_ready(u);
		loop_run(&u->world->loop);
		leave_signals(u);
	} else {
		code = lab_failed("up", &why);
	}
	responder_free(u->reader);
	dns_server_free(u->names);
	world_free(u->world);
	return code;
}

/* --- the command ------------------------------------------------------------------------------ */

static bool
port(const char *option, unsigned privileged, unsigned otherwise, uint16_t *port)
{
	uint64_t n = geteuid() == 0 ? privileged : otherwise;
	bool ok = option == NULL || (slice_number(slice(option), PORT_MOST, &n) && n > 0);

	if (!ok)
		fprintf(stderr, "chainmail lab up: \"%s\" is no port\n", option);
	*port = (uint16_t)n;
	return ok;
}

static int
live_in(struct up *u, const char *directory)
{
	struct error why;
	int code, lock;

	u->directory = directory;
	if (!dir_lock(directory, &lock, &why))          /* another world lives there */
		return lab_failed("up", &why);
	code = live(u);
	close(lock);
	return code;
}

static int
live_somewhere(struct up *u, const char *directory)
{
	struct lab_place place;
	struct error why;
	int code;

	if (directory != NULL)
		return dir_make(directory, 0755, &why) ? live_in(u, directory) : lab_failed("up", &why);
	if (!lab_place_begin(&place, &why))
		return lab_failed("up", &why);
	code = live_in(u, place.path);
	lab_place_end(&place);
	return code;
}

/* From its file to its end; what was seen stays in the rows. */
static int
begin(struct up *u, const char *file, const struct lab_up *o, struct files *files)
{
	int code;

	u->arena = arena_new(UP_MEMORY);
	u->table = BUF(GALLERY_TABLE_MOST);
	if (!port(o->smtp, MX_PORT, 2525, &u->smtp) || !port(o->https, POLICY_PORT, 8443, &u->https) ||
	    !port(o->dns, NAMES_PORT, 5353, &u->dns) || !port(o->http, HTTP_PORT, HTTP_PORT, &u->http))
		return EX_USAGE;
	if ((u->scenario = lab_world(file, files, &code)) == NULL)
		return code;
	u->rows = gallery_rows(u->scenario, u->arena);
	return live_somewhere(u, o->directory);
}

static void
end(struct up *u, struct files *files)
{
	scenario_free(u->scenario);
	files_free(files);
	buf_free(&u->table);
	arena_free(u->arena);
}

int
lab_up(const char *file, const struct lab_up *o)
{
	struct files files = { 0 };
	struct up u = { .wait = 0 };
	int code = o->wait != NULL ? EX_USAGE : begin(&u, file, o, &files);

	end(&u, &files);
	return code;
}

int
lab_sender(const char *file, enum lab_form form, const struct lab_up *o)
{
	struct files files = { 0 };
	struct up u = { .wait = 0 };
	int code = EX_USAGE;

	if (o->wait != NULL && value_duration(slice(o->wait), &u.wait) && u.wait > 0)
		code = begin(&u, file, o, &files);
	if (code == 0) {
		gallery_judge_seen(u.rows);
		code = gallery_tell(u.rows, form);
	}
	end(&u, &files);
	return code;
}
