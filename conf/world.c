/* SPDX-License-Identifier: ISC */
/*
 * world_check() -- does the world hold what the configuration says of it?
 */
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "conf/anchor.h"
#include "conf/load.h"

struct world {
	const struct conf  *conf;
	const struct files *files;
	int64_t             now;
	struct flaws       *flaws;
};

/* --- keys and certificates --------------------------------------------------------- */

static BIO *
bytes_of(const struct world *w, struct slice name, enum file_purpose purpose)
{
	const struct file *file = files_find(w->files, name, purpose);

	if (file == NULL || file->bytes.n == 0)
		return NULL;
	return BIO_new_mem_buf(file->bytes.p, (int)file->bytes.n);
}

/* A key behind a password is of no use to a server: never ask for one. */
static int
no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static EVP_PKEY *
read_key(const struct world *w, struct slice name, enum file_purpose purpose)
{
	BIO *bio = bytes_of(w, name, purpose);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return key;
}

static EVP_PKEY *
private_key(const struct world *w, const struct conf_file *f)
{
	EVP_PKEY *key = read_key(w, f->name, f->purpose);

	if (key == NULL)
		flaw_error(w->flaws, f->place, "there is no private key in PEM without a password in it");
	return key;
}

static X509 *
certificate(const struct world *w, const struct conf_file *f)
{
	BIO *bio = bytes_of(w, f->name, f->purpose);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	if (x == NULL)
		flaw_error(w->flaws, f->place, "there is no certificate in PEM in it");
	return x;
}

/* The first letters of the SHA-256 of a public key, as in a TLSA record 3 1 1. */
static void
add_fingerprint(struct buf *b, EVP_PKEY *key)
{
	unsigned char *der = NULL, digest[SHA256_DIGEST_LENGTH];
	int n = i2d_PUBKEY(key, &der);

	if (n <= 0)
		return;
	SHA256(der, (size_t)n, digest);
	hex_add(b, slice_of(digest, 4));
	OPENSSL_free(der);
}

static void
tell_pair(const struct world *w, const struct conf_file *f, EVP_PKEY *certified, EVP_PKEY *key)
{
	struct buf a = BUF(64), b = BUF(64);

	add_fingerprint(&a, certified);
	add_fingerprint(&b, key);
	flaw_error(w->flaws, f->place, "certificate and key do not belong together");
	flaw_hint(w->flaws, "public key %.*s…, but the key file has %.*s…", FMT(buf_slice(&a)),
	    FMT(buf_slice(&b)));
	buf_free(&a);
	buf_free(&b);
}

static void
check_dates(const struct world *w, const struct conf_file *f, const X509 *x)
{
	time_t now = (time_t)(w->now / 1000);

	if (X509_cmp_time(X509_get0_notAfter(x), &now) < 0)
		flaw_warning(w->flaws, f->place, "the certificate has expired");
	else if (X509_cmp_time(X509_get0_notBefore(x), &now) > 0)
		flaw_warning(w->flaws, f->place, "the certificate is not valid yet");
}

static void
check_pair(const struct world *w, const struct conf_file *cert_file, const struct conf_file *key_file)
{
	X509 *x = certificate(w, cert_file);
	EVP_PKEY *key = private_key(w, key_file);

	if (x != NULL && key != NULL && EVP_PKEY_eq(X509_get0_pubkey(x), key) != 1)
		tell_pair(w, cert_file, X509_get0_pubkey(x), key);
	if (x != NULL)
		check_dates(w, cert_file, x);
	X509_free(x);
	EVP_PKEY_free(key);
	ERR_clear_error();
}

/* RFC 8301 3.2, RFC 8463 */
static void
check_signing_key(const struct world *w, const struct conf_file *f)
{
	EVP_PKEY *key = private_key(w, f);

	if (key == NULL)
		return;
	if (EVP_PKEY_base_id(key) != EVP_PKEY_RSA && EVP_PKEY_base_id(key) != EVP_PKEY_ED25519)
		flaw_error(w->flaws, f->place, "only RSA and Ed25519 keys sign mail");
	else if (EVP_PKEY_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_bits(key) < 1024)
		flaw_error(w->flaws, f->place, "the key has %d bits; 1024 are the least", EVP_PKEY_bits(key));
	else if (EVP_PKEY_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_bits(key) < 2048)
		flaw_warning(w->flaws, f->place, "the key has %d bits; 2048 are better", EVP_PKEY_bits(key));
	EVP_PKEY_free(key);
}

static bool
is_ed25519(const struct world *w, const struct key_conf *k)
{
	EVP_PKEY *key = read_key(w, k->file, FILE_SIGNING_KEY);
	bool is = key != NULL && EVP_PKEY_base_id(key) == EVP_PKEY_ED25519;

	EVP_PKEY_free(key);
	return is;
}

/* RFC 8617 knows RSA alone, and many receivers do. */
static void
check_algorithms(const struct world *w)
{
	for (size_t i = 0; i < w->conf->key_count; i++) {
		const struct key_conf *first = &w->conf->key[i], *k = first;
		size_t n = 0;

		if (conf_key(w->conf, first->domain, 0) != first)
			continue;
		while (k != NULL && is_ed25519(w, k))
			k = conf_key(w->conf, first->domain, ++n);
		if (k == NULL)
			flaw_warning(w->flaws, first->domain_place, "%.*s has no RSA key: what it forwards "
			    "is not sealed, and many receivers cannot check its signatures",
			    FMT(first->domain));
	}
}

/*
 * RFC 8460 3: those by mail must be signed; without a key they are not sent.  Who has
 * no key at all, in a test or behind another server, does not miss them.
 */
static void
check_reports(const struct world *w)
{
	const struct conf *conf = w->conf;

	if (!conf->delivery.tls_reports || conf->key_count == 0 || conf_signs(conf, conf->hostname))
		return;
	flaw_warning(w->flaws, conf->begin, "there is no key for %.*s: reports on TLS are not sent by mail",
	    FMT(conf->hostname));
	flaw_hint(w->flaws, "key NAME { domain ...; file ... }, or \"delivery { tls-reports off }\"");
}

static void
check_roots(const struct world *w, const struct conf_file *f)
{
	if (files_find(w->files, f->name, f->purpose) != NULL)
		X509_free(certificate(w, f));
	else
		flaw_warning(w->flaws, f->place, "%.*s is not there: no server can be verified",
		    FMT(f->name));
}

/* --- the trust anchor (RFC 7672 2.1) ------------------------------------------------------ */

static void
tell_anchor_line(const struct world *w, const struct file *file, struct slice line, unsigned number,
    bool bad, const char *why)
{
	struct source source = { slice_of(file->name, file->name_length), buf_slice(&file->bytes) };
	struct place place = { &source, line.p, number, (unsigned)line.n };

	if (bad)
		flaw_error(w->flaws, place, "%s", why);
	else
		flaw_warning(w->flaws, place, "the resolver does not know the algorithm of this record");
}

static void
check_anchor_text(const struct world *w, const struct conf_file *f, const struct file *file)
{
	struct slice text = buf_slice(&file->bytes), line;
	unsigned number = 0, bad = 0;
	enum anchor_line got;
	struct error why;

	while ((got = anchor_next(&text, &line, &number, &why)) != ANCHOR_END) {
		if (got == ANCHOR_BAD || got == ANCHOR_UNKNOWN)
			tell_anchor_line(w, file, line, number, got == ANCHOR_BAD, why.text);
		bad += got == ANCHOR_BAD;
	}
	if (bad == 0 && !anchor_covers_root(buf_slice(&file->bytes), &why))
		flaw_error(w->flaws, f->place, "%s", why.text);
}

static void
check_anchor(const struct world *w, const struct conf_file *f)
{
	const struct file *file = files_find(w->files, f->name, f->purpose);

	if (file != NULL) {
		check_anchor_text(w, f, file);
		return;
	}
	flaw_error(w->flaws, f->place, "the trust anchor %.*s is not there: who has DANE could not be told",
	    FMT(f->name));
	flaw_hint(w->flaws, "install dns-root-data, or say \"resolver { anchor none }\"");
}

static void
check_validation(const struct world *w)
{
	const struct resolver_conf *r = &w->conf->resolver;

	if (r->facts.n == 0 && r->anchor.n == 0)
		flaw_warning(w->flaws, r->anchor_place, "nothing is validated: mail to hosts with DANE goes "
		    "out like any other");
}

/* A secret that everybody on the machine may read is none. */
static void
check_secret(const struct world *w, const struct conf_file *f)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof path, "%.*s", FMT(f->name));
	if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0)
		flaw_warning(w->flaws, f->place, "everybody may read this key (mode %03o)",
		    st.st_mode & 0777u);
}

static void
check_files(const struct world *w)
{
	struct conf_file *const *f = w->conf->file;

	for (size_t i = 0; i < w->conf->file_count; i++)
		switch (f[i]->purpose) {
		case FILE_TLS_CERTIFICATE:
		case FILE_WEB_CERTIFICATE:
			check_pair(w, f[i], f[i + 1]);  /* its key is named behind it */
			break;
		case FILE_TLS_KEY:
		case FILE_WEB_KEY:
			check_secret(w, f[i]);
			break;
		case FILE_SIGNING_KEY:
			check_signing_key(w, f[i]);
			check_secret(w, f[i]);
			break;
		case FILE_ROOTS:
			check_roots(w, f[i]);
			break;
		case FILE_ANCHOR:
			check_anchor(w, f[i]);
			break;
		default:
			break;
		}
}

/* --- whom certificates are for --------------------------------------------------------------------- */

/* As a sender of that policy looks at it: the SAN and nothing but the SAN (RFC 8461 3.3). */
enum { SAN_ALONE = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS };

static bool
is_for(const struct world *w, const struct identity_conf *identity, enum file_purpose purpose,
    unsigned flags, struct slice host)
{
	BIO *bio = bytes_of(w, identity->cert, purpose);
	X509 *x = bio != NULL ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
	bool good = x != NULL && X509_check_host(x, host.p, host.n, flags, NULL) == 1;

	X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
	return good;
}

static bool
has_certificate(const struct world *w, struct slice host)
{
	const struct web_conf *web = &w->conf->web;

	for (size_t i = 0; i < web->tls_count; i++)
		if (is_for(w, &web->tls[i], FILE_WEB_CERTIFICATE, SAN_ALONE, host))
			return true;
	return false;
}

/* Whoever asks for no name is shown the first one, so there it is told. */
static void
check_listener(const struct world *w, const struct listen_conf *l)
{
	for (size_t i = 0; i < l->tls_count; i++)
		if (is_for(w, &l->tls[i], FILE_TLS_CERTIFICATE, 0, w->conf->hostname))
			return;
	if (l->tls_count > 0)
		flaw_warning(w->flaws, l->tls[0].place, l->tls_count == 1 ? "the certificate is not for %.*s"
		    : "none of these certificates is for %.*s", FMT(w->conf->hostname));
}

/* What cannot be read has been told. */
static void
check_listeners(const struct world *w)
{
	for (size_t i = 0; w->flaws->errors == 0 && i < w->conf->listen_count; i++)
		check_listener(w, &w->conf->listen[i]);
}

static void
check_policy_host(const struct world *w, const struct domain_conf *d)
{
	char host[300];

	snprintf(host, sizeof host, "mta-sts.%.*s", FMT(d->name));
	if (!has_certificate(w, slice(host)))
		flaw_warning(w->flaws, d->sts_place,
		    "no certificate of \"web\" is for %s: nobody will believe the policy", host);
}

/* Another server may stand before our door; then its certificate counts. */
static void
check_leaving_host(const struct world *w, const struct list_conf *l)
{
	struct slice host = slice_skip(l->one_click, strlen("https://"));
	char name[300];

	snprintf(name, sizeof name, "%.*s", FMT(slice_head(host, slice_find(host, '/'))));
	name[strcspn(name, ":")] = '\0';
	if (l->one_click.n > 0 && !has_certificate(w, slice(name)))
		flaw_warning(w->flaws, l->address.place,
		    "no certificate of \"web\" is for %s: members may not be able to leave there", name);
}

static void
check_web_hosts(const struct world *w)
{
	for (size_t i = 0; conf_serves(w->conf) && i < w->conf->domain_count; i++) {
		const struct domain_conf *d = &w->conf->domain[i];

		if (d->sts != SERVE_OFF)
			check_policy_host(w, d);
		for (size_t j = 0; j < d->list_count; j++)
			check_leaving_host(w, d->lists[j]);
	}
}

/* --- directories and accounts ------------------------------------------------------- */

/* Can there be a directory of this name: is it one, or can it be made? */
static void
check_directory(const struct world *w, struct slice name, struct place place)
{
	char path[PATH_MAX];
	struct stat st;
	size_t n = name.n;

	if (n >= sizeof path)
		return;                         /* stat would say no more */
	for (;;) {
		snprintf(path, sizeof path, "%.*s", (int)(n ? n : 1), n ? name.p : "/");
		if (stat(path, &st) == 0 || errno != ENOENT || n == 0)
			break;
		while (n > 0 && name.p[n - 1] != '/')
			n--;
		while (n > 0 && name.p[n - 1] == '/')
			n--;
		if (n == 0 && *name.p != '/')
			return;                 /* relative: where we are */
	}
	if (stat(path, &st) != 0)
		flaw_error(w->flaws, place, "cannot look at %s: %s", path, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		flaw_error(w->flaws, place, "%s is not a directory", path);
	else if (access(path, W_OK | X_OK) != 0)
		flaw_warning(w->flaws, place, "%s cannot be written to: %s", path, strerror(errno));
}

static void
check_directories(const struct world *w)
{
	check_directory(w, w->conf->state, w->conf->state_place);
	for (size_t i = 0; i < w->conf->domain_count; i++) {
		const struct domain_conf *d = &w->conf->domain[i];
		size_t n = slice_find(d->maildir, '%');

		while (n > 0 && n < d->maildir.n && d->maildir.p[n - 1] != '/')
			n--;
		if (d->deliver == DELIVER_MAILDIR)
			check_directory(w, slice_head(d->maildir, n), d->deliver_place);
	}
}

/* The account matters only to a program that was started as root. */
static void
check_user(const struct world *w)
{
	char name[64];

	snprintf(name, sizeof name, "%.*s", FMT(w->conf->user));
	if (geteuid() == 0 && !w->conf->user_usual && getpwnam(name) == NULL)
		flaw_error(w->flaws, w->conf->user_place, "there is no account \"%s\"", name);
}

void
world_check(const struct conf *conf, const struct files *files, int64_t now, struct flaws *flaws)
{
	struct world w = { conf, files, now, flaws };

	check_files(&w);
	check_validation(&w);
	check_algorithms(&w);
	check_reports(&w);
	check_listeners(&w);
	check_web_hosts(&w);
	check_directories(&w);
	check_user(&w);
}
