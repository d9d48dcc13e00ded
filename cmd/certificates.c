/* SPDX-License-Identifier: ISC */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

#include "cmd/certificates.h"
#include "conf/events.h"

void
certificates_begin(struct certificates *c)
{
	for (size_t i = 0; i < CERTIFICATES_MOST; i++)
		c->told[i] = -1;
}

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

/* When it ends in ms since 1970; 0: it cannot be read, which others have told. */
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

static void
look_at(struct certificates *c, size_t i, struct slice file, enum file_purpose purpose,
    const struct files *files, int64_t now, struct log *log)
{
	int64_t end = file.n > 0 ? end_of(files, file, purpose) : 0;
	int stage = end > 0 ? certificate_stage(end - now) : -1;

	if (stage != -1 && stage != c->told[i])
		tell(log, file, end, end - now);
	c->told[i] = stage;
}

void
certificates_warn(struct certificates *c, const struct conf *conf, const struct files *files,
    int64_t now, struct log *log)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->listen_count && n < CERTIFICATES_MOST; i++)
		look_at(c, n++, conf->listen[i].tls_cert, FILE_TLS_CERTIFICATE, files, now, log);
	for (size_t i = 0; i < conf->web.tls_count && n < CERTIFICATES_MOST; i++)
		look_at(c, n++, conf->web.tls[i].cert, FILE_WEB_CERTIFICATE, files, now, log);
}
