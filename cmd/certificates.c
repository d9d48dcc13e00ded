/* SPDX-License-Identifier: ISC */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

#include "cmd/certificates.h"
#include "conf/events.h"

int
certificate_stage(int64_t left)
{
	static const int days[] = { 1, 7, 14 };

	if (left <= 0)
		return 0;
	for (size_t i = 0; i < sizeof days / sizeof *days; i++)
		if (left <= days[i] * DAY)
			return days[i];
	return -1;
}

static int
no_password(char *to, int size, int writing, void *arg)
{
	(void)to, (void)size, (void)writing, (void)arg;
	return -1;
}

static int64_t
end_of(const struct files *files, struct slice name, enum file_purpose purpose)
{
	const struct file *f = files_find(files, name, purpose);
	BIO *bio = f != NULL ? BIO_new_mem_buf(f->bytes.p, (int)f->bytes.n) : NULL;
	X509 *x = bio != NULL ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
	int64_t end = 0;
	struct tm t;

	if (x != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(x), &t) == 1)
		end = (int64_t)timegm(&t) * SECOND;
	X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
	return end;
}

static void
tell(struct log *log, struct slice file, int64_t end, int64_t left)
{
	struct log_line l = log_event(log, &EVENT_CERTIFICATE, 0);
	char day[LOG_TIME + 1];

	log_time(end, day);
	log_slice(&l, "file", file);
	log_number(&l, "days", left / DAY);
	log_slice(&l, "expires", slice_head(slice(day), 10));
	log_text(&l, "why", left <= 0 ? "it has expired: others no longer believe it"
	    : "it must be renewed");
	log_end(&l);
}

static bool
is_there(const struct certificates *c, struct slice name)
{
	for (size_t i = 0; i < c->count; i++)
		if (slice_eq(c->each[i].file, name))
			return true;
	return false;
}

static void
add(struct certificates *c, struct slice name, enum file_purpose purpose, const struct files *files)
{
	if (c->count == CERTIFICATES_MOST || is_there(c, name))
		return;
	c->each[c->count].file = name;
	c->each[c->count].end = end_of(files, name, purpose);
	c->each[c->count].told = -1;
	c->count++;
}

void
certificates_begin(struct certificates *c, const struct conf *conf, const struct files *files)
{
	c->count = 0;
	for (size_t i = 0; i < conf->listen_count; i++)
		for (size_t j = 0; j < conf->listen[i].tls_count; j++)
			add(c, conf->listen[i].tls[j].cert, FILE_TLS_CERTIFICATE, files);
	for (size_t i = 0; i < conf->web.tls_count; i++)
		add(c, conf->web.tls[i].cert, FILE_WEB_CERTIFICATE, files);
}

void
certificates_warn(struct certificates *c, int64_t now, struct log *log)
{
	for (size_t i = 0; i < c->count; i++) {
		int64_t end = c->each[i].end;
		int stage = end > 0 ? certificate_stage(end - now) : -1;

		if (stage != -1 && stage != c->each[i].told)
			tell(log, c->each[i].file, end, end - now);
		c->each[i].told = stage;
	}
}
