/* SPDX-License-Identifier: ISC */
#include <curl/curl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/buf.h"
#include "sts/fetch.h"

enum { CONNECT_S = 10, AT_ONCE = 50, PORT = 443, NAME_BYTES = 300, ADDRESSES_MOST = 8,
	PATH_BYTES = 1000, URL_BYTES = NAME_BYTES + PATH_BYTES + 20,
};

struct fetcher {
	struct loop  *loop;
	CURLM        *multi;
	SSL_CTX      *roots;
	struct timer  timeout;
	struct later  finished;
};

struct fetch {
	struct fetcher    *fetcher;
	CURL              *easy;
	struct curl_slist *resolve, *connect_to, *fields;
	struct buf         body, posted;
	char               name[NAME_BYTES];            /* of the host: mta-sts.DOMAIN */
	uint16_t           port;
	int                verify;                      /* X509_V_ERR_* of the handshake */
	void             (*done)(void *arg, const struct sts_answer *);
	void              *arg;
};

/* A socket of curl's, watched by us. */
struct watch {
	struct fetcher *fetcher;
	curl_socket_t   fd;
	struct event    event;
};

/* --- ends ---------------------------------------------------------------------- */

static void
free_fetch(struct fetch *f)
{
	curl_multi_remove_handle(f->fetcher->multi, f->easy);
	curl_easy_cleanup(f->easy);
	curl_slist_free_all(f->resolve);
	curl_slist_free_all(f->connect_to);
	curl_slist_free_all(f->fields);
	buf_free(&f->body);
	buf_free(&f->posted);
	f->fetcher->loop->in_flight--;
	free(f);
}

void
fetch_forget(struct fetch *f)
{
	if (f != NULL)
		free_fetch(f);
}

static enum sts_transport
transport_of(const struct fetch *f, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return STS_ANSWERED;
	case CURLE_OPERATION_TIMEDOUT:
		return STS_TIMEOUT;
	case CURLE_FILESIZE_EXCEEDED:
		return STS_TOO_BIG;
	case CURLE_WRITE_ERROR:
		return f->body.full ? STS_TOO_BIG : STS_UNREACHABLE;
	case CURLE_PEER_FAILED_VERIFICATION:
		return STS_UNTRUSTED;
	default:
		return f->verify != X509_V_OK ? STS_UNTRUSTED : STS_UNREACHABLE;
	}
}

static void
conclude(struct fetch *f, CURLcode code)
{
	struct sts_answer answer = { .transport = transport_of(f, code), .verify = f->verify };
	const char *type = NULL;
	long status = 0;

	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(f->easy, CURLINFO_CONTENT_TYPE, &type);
	answer.status = (unsigned)status;
	answer.type = type != NULL ? slice(type) : NONE;
	answer.body = buf_slice(&f->body);
	f->done(f->arg, &answer);
	free_fetch(f);
}

static void
finish_all(void *arg)
{
	struct fetcher *fs = arg;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(fs->multi, &left)) != NULL)
		if (message->msg == CURLMSG_DONE) {
			CURLcode code = message->data.result;
			struct fetch *f;

			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&f);
			conclude(f, code);
		}
}

/* --- curl on our loop -------------------------------------------------------------- */

static void
act(struct fetcher *fs, curl_socket_t fd, int events)
{
	int running;

	loop_happened(fs->loop);
	curl_multi_socket_action(fs->multi, fd, events, &running);
	loop_later(fs->loop, &fs->finished, finish_all, fs);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	act(((struct watch *)arg)->fetcher, fd,
	    (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static int
socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *watching)
{
	struct fetcher *fs = arg;
	struct watch *w = watching;

	(void)easy;
	if (w != NULL)
		event_del(&w->event);
	if (what == CURL_POLL_REMOVE) {
		free(w);
		curl_multi_assign(fs->multi, fd, NULL);
		return 0;
	}
	if (w == NULL) {
		w = must_alloc(sizeof *w);
		*w = (struct watch){ .fetcher = fs, .fd = fd };
		curl_multi_assign(fs->multi, fd, w);
	}
	event_assign(&w->event, fs->loop->base, fd, (short)(EV_PERSIST |
	    (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0)),
	    on_socket, w);
	event_add(&w->event, NULL);
	return 0;
}

static void
on_timeout(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int
time_wanted(CURLM *multi, long ms, void *arg)
{
	struct fetcher *fs = arg;

	(void)multi;
	if (ms < 0)
		timer_clear(fs->loop, &fs->timeout);
	else
		timer_set(fs->loop, &fs->timeout, ms, on_timeout, fs);
	return 0;
}

struct fetcher *
fetcher_new(struct loop *loop, SSL_CTX *roots)
{
	struct fetcher *fs = must_alloc(sizeof *fs);

	fs->loop = loop;
	fs->roots = roots;
	bug_if(curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || (fs->multi = curl_multi_init()) == NULL);
	curl_multi_setopt(fs->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	curl_multi_setopt(fs->multi, CURLMOPT_SOCKETDATA, fs);
	curl_multi_setopt(fs->multi, CURLMOPT_TIMERFUNCTION, time_wanted);
	curl_multi_setopt(fs->multi, CURLMOPT_TIMERDATA, fs);
	curl_multi_setopt(fs->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)AT_ONCE);
	return fs;
}

void
fetcher_free(struct fetcher *fs)
{
	if (fs == NULL)
		return;
	curl_multi_cleanup(fs->multi);
	timer_clear(fs->loop, &fs->timeout);
	later_cancel(fs->loop, &fs->finished);
	free(fs);
}

/* --- one transfer --------------------------------------------------------------------- */

static size_t
take_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;

	/* A response in chunks has no length to look at before (DEPENDENCIES 2). */
	return buf_add(&f->body, slice_of(bytes, size * n)) ? size * n : 0;
}

static int
note_verify(int good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct fetch *f = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (!good && f->verify == X509_V_OK)
		f->verify = X509_STORE_CTX_get_error(store);
	return good;
}

/* Our store, our clock, the SAN and nothing but the SAN (RFC 8461 3.3). */
static CURLcode
set_proof(CURL *easy, void *context, void *arg)
{
	struct fetch *f = arg;
	SSL_CTX *ctx = context;
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
	const struct clock *clock = f->fetcher->loop->clock;

	(void)easy;
	SSL_CTX_set1_cert_store(ctx, SSL_CTX_get_cert_store(f->fetcher->roots));
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_host(param, f->name, 0) != 1)
		return CURLE_SSL_CERTPROBLEM;
	if (clock->is_virtual)
		X509_VERIFY_PARAM_set_time(param, (time_t)(clock_now(clock) / 1000));
	SSL_CTX_set_app_data(ctx, f);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, note_verify);
	return CURLE_OK;
}

/* "mta-sts.D:443:192.0.2.1,[2001:db8::1]" */
static void
give_addresses(struct fetch *f, const struct ip *ips, size_t count)
{
	struct buf line = BUF(2000);
	const struct loop *loop = f->fetcher->loop;
	char text[IP_TEXT];

	buf_printf(&line, "+%s:%u:", f->name, f->port);
	for (size_t i = 0; i < count && i < ADDRESSES_MOST; i++) {
		ip_text(ips[i], text);
		buf_printf(&line, ips[i].n == 4 ? "%s%s" : "%s[%s]", i ? "," : "", text);
	}
	buf_byte(&line, '\0');
	f->resolve = curl_slist_append(NULL, line.p);
	curl_easy_setopt(f->easy, CURLOPT_RESOLVE, f->resolve);
	if (loop->map != NULL) {                        /* the lab: URL, Host and SNI stay as they are */
		struct peer peer = { .ip = ips[0], .port = f->port };
		char there[PEER_TEXT];

		loop->map(loop->map_arg, &peer);
		peer_text(&peer, there);
		buf_clear(&line);
		buf_printf(&line, "%s:%u:%s%c", f->name, f->port, there, '\0');
		f->connect_to = curl_slist_append(NULL, line.p);
		curl_easy_setopt(f->easy, CURLOPT_CONNECT_TO, f->connect_to);
	}
	buf_free(&line);
}

static void
set_options(struct fetch *f, const char *path)
{
	CURL *c = f->easy;
	char url[URL_BYTES];

	if (f->port == PORT)
		snprintf(url, sizeof url, "https://%s%s", f->name, path);
	else
		snprintf(url, sizeof url, "https://%s:%u%s", f->name, f->port, path);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PRIVATE, f);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)STS_FETCH_TIME);
	curl_easy_setopt(c, CURLOPT_MAXFILESIZE, (long)STS_POLICY_MOST);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(c, CURLOPT_CAINFO, NULL);      /* our store is set below */
	curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
}

static void
prove(struct fetch *f)
{
	curl_easy_setopt(f->easy, CURLOPT_SSL_CTX_FUNCTION, set_proof);
	curl_easy_setopt(f->easy, CURLOPT_SSL_CTX_DATA, f);
}

static struct fetch *
new_fetch(struct fetcher *fs, uint16_t port, void (*done)(void *, const struct sts_answer *), void *arg)
{
	struct fetch *f = must_alloc(sizeof *f);

	*f = (struct fetch){ .fetcher = fs, .body = BUF(STS_POLICY_MOST), .port = port, .done = done,
	    .arg = arg };
	bug_if((f->easy = curl_easy_init()) == NULL);
	return f;
}

static struct fetch *
begin(struct fetch *f, const struct ip *ips, size_t count)
{
	bug_if(count == 0);
	give_addresses(f, ips, count);
	f->fetcher->loop->in_flight++;
	curl_multi_add_handle(f->fetcher->multi, f->easy);
	return f;
}

struct fetch *
fetch_begin(struct fetcher *fs, struct slice domain, const struct ip *ips, size_t count,
    void (*done)(void *, const struct sts_answer *), void *arg)
{
	struct fetch *f = new_fetch(fs, PORT, done, arg);

	snprintf(f->name, sizeof f->name, "mta-sts.%.*s", FMT(domain));
	set_options(f, "/.well-known/mta-sts.txt");
	prove(f);
	return begin(f, ips, count);
}

static void
set_post(struct fetch *f, const struct fetch_post *p)
{
	char type[200];

	snprintf(type, sizeof type, "Content-Type: %.*s", FMT(p->type));
	f->fields = curl_slist_append(curl_slist_append(NULL, type), "Expect:");
	f->posted = BUF(p->body.n + 1);
	buf_add(&f->posted, p->body);
	curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->fields);
	curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE, (long)p->body.n);
	curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, f->posted.p);
	curl_easy_setopt(f->easy, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(f->easy, CURLOPT_SSL_VERIFYHOST, 0L);
}

struct fetch *
fetch_post(struct fetcher *fs, const struct fetch_post *p, const struct ip *ips, size_t count,
    void (*done)(void *, const struct sts_answer *), void *arg)
{
	struct fetch *f = new_fetch(fs, p->port, done, arg);
	char path[PATH_BYTES];

	snprintf(f->name, sizeof f->name, "%.*s", FMT(p->host));
	snprintf(path, sizeof path, "%.*s", FMT(p->path));
	set_options(f, path);
	set_post(f, p);
	return begin(f, ips, count);
}
