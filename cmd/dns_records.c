/* SPDX-License-Identifier: ISC */
/*
 * chainmail dns-records -- the lines to publish so that others believe and reach
 * the domains of this configuration: MX, SPF, DKIM, DMARC, MTA-STS, TLSRPT and,
 * for the host itself, TLSA of the certificate's key and of the next one.
 *
 * The next key is the file that is called like the key of a listener with
 * ".next" behind it: published before it is used, so that no sender ever meets
 * a key that his cache does not know (RFC 7671 8.1).
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/kept.h"
#include "cmd/shown.h"
#include "config.h"
#include "mail/domain.h"
#include "sts/ours.h"

enum {
	KEY_FILE_MOST = 1 << 20, PATH_BYTES = 4096, TEXT_MOST = 8192, STRING_MOST = 255,
	SMTP = 25, SEEN_MOST = 64, DOMAIN_MEMORY = 4096,
};

struct writing {
	const struct conf *conf;
	bool   json;
	int    code;
	/* TLSA records that stand there already: two doors, one key. */
	struct { unsigned port; unsigned char digest[SHA256_BYTES]; } seen[SEEN_MOST];
	size_t seen_count;
};

/* --- one line ------------------------------------------------------------------------ */

static void
print_json(const char *type, struct slice name, struct slice data)
{
	shown_print(json_pack("{s:o, s:s, s:o}", "name", shown_json(name), "type", type, "data",
	    shown_json(data)));
}

/* A TXT record is made of strings of up to 255 octets (RFC 1035 3.3). */
static void
print_strings(struct slice text)
{
	for (bool first = true; text.n > 0; text = slice_skip(text, STRING_MOST), first = false)
		printf("%s\"%.*s\"", first ? "" : " ", FMT(slice_head(text, STRING_MOST)));
	putchar('\n');
}

__attribute__((format(printf, 4, 5))) static void
say(const struct writing *w, const char *type, struct slice name, const char *format, ...)
{
	char text[TEXT_MOST];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (w->json) {
		print_json(type, name, slice(text));
		return;
	}
	printf("%.*s.%*s IN %-5s ", FMT(name), (int)(name.n < 40 ? 40 - name.n : 0), "", type);
	if (strcmp(type, "TXT") == 0)
		print_strings(slice(text));
	else
		puts(text);
}

static struct slice
below(char name[300], const char *prefix, struct slice domain)
{
	snprintf(name, 300, "%s.%.*s", prefix, FMT(domain));
	return slice(name);
}

/* --- keys ------------------------------------------------------------------------------- */

static int
no_password(char *to, int size, int writing, void *arg)
{
	(void)to, (void)size, (void)writing, (void)arg;
	return -1;
}

static bool
read_file(struct slice name, const char *more, struct buf *bytes, struct error *why)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof path, "%.*s%s", FMT(name), more);
	return file_read(path, bytes, why);
}

static EVP_PKEY *
private_key(struct slice pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);

	BIO_free(bio);
	return key;
}

static EVP_PKEY *
key_of_certificate(struct slice pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *c = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	EVP_PKEY *key = c != NULL ? X509_get_pubkey(c) : NULL;

	X509_free(c);
	BIO_free(bio);
	return key;
}

/* What cannot be read is told, and the other lines are printed all the same. */
static void
cannot(struct writing *w, struct slice name, const char *why)
{
	complaint("chainmail dns-records: %.*s: %s", FMT(name), why);
	w->code = EX_NOINPUT;
}

/* --- DKIM (RFC 6376 3.6.1, RFC 8463 4) ------------------------------------------------------- */

static bool
public_bytes(EVP_PKEY *key, struct buf *to)
{
	unsigned char raw[32], *der = NULL;
	size_t n = sizeof raw;
	int length;

	if (EVP_PKEY_base_id(key) == EVP_PKEY_ED25519)
		return EVP_PKEY_get_raw_public_key(key, raw, &n) == 1 && buf_add(to, slice_of(raw, n));
	length = i2d_PUBKEY(key, &der);
	if (length > 0)
		buf_add(to, slice_of(der, (size_t)length));
	OPENSSL_free(der);
	return length > 0;
}

static void
say_key(struct writing *w, const struct key_conf *k, EVP_PKEY *key)
{
	struct buf bytes = BUF(KEY_FILE_MOST), text = BUF(TEXT_MOST);
	char selector[100], name[300];

	snprintf(selector, sizeof selector, "%.*s._domainkey", FMT(k->selector));
	if (public_bytes(key, &bytes)) {
		base64_add(&text, buf_slice(&bytes));
		say(w, "TXT", below(name, selector, k->domain), "v=DKIM1; k=%s; p=%.*s",
		    EVP_PKEY_base_id(key) == EVP_PKEY_ED25519 ? "ed25519" : "rsa", FMT(buf_slice(&text)));
	}
	buf_free(&bytes), buf_free(&text);
}

static void
say_key_file(struct writing *w, const struct key_conf *k)
{
	struct buf bytes = BUF(KEY_FILE_MOST);
	struct error why = { .text = "there is no private key in it" };
	EVP_PKEY *key = NULL;

	if (read_file(k->file, "", &bytes, &why))
		key = private_key(buf_slice(&bytes));
	if (key != NULL)
		say_key(w, k, key);
	else
		cannot(w, k->file, why.text);
	EVP_PKEY_free(key);
	buf_free(&bytes);
}

static void
say_dkim(struct writing *w, struct slice domain)
{
	for (size_t i = 0; i < w->conf->key_count; i++)
		if (slice_eq(w->conf->key[i].domain, domain))
			say_key_file(w, &w->conf->key[i]);
}

/*
 * A key may sign for names below its own (conf_signs()), so it can be one of the
 * host, whose reports nobody could verify without it, or of a parent of our domains.
 */
static void
say_other_keys(struct writing *w, struct slice only)
{
	for (size_t i = 0; i < w->conf->key_count; i++) {
		const struct key_conf *k = &w->conf->key[i];

		if (map_get(&w->conf->domains, k->domain) == NULL && (only.n == 0 ||
		    domain_within(only, k->domain) || domain_within(w->conf->hostname, k->domain)))
			say_key_file(w, k);
	}
}

/* --- TLSA (RFC 7672 3.1.1: DANE-EE, the key, SHA2-256) ------------------------------------------ */

static bool
seen_before(struct writing *w, unsigned port, const unsigned char digest[SHA256_BYTES])
{
	for (size_t i = 0; i < w->seen_count; i++)
		if (w->seen[i].port == port && memcmp(w->seen[i].digest, digest, SHA256_BYTES) == 0)
			return true;
	if (w->seen_count < SEEN_MOST) {
		w->seen[w->seen_count].port = port;
		memcpy(w->seen[w->seen_count++].digest, digest, SHA256_BYTES);
	}
	return false;
}

static void
say_tlsa(struct writing *w, unsigned port, EVP_PKEY *key)
{
	unsigned char *der = NULL, digest[SHA256_BYTES];
	struct buf hex = BUF(2 * SHA256_BYTES);
	int n = i2d_PUBKEY(key, &der);
	char name[300], prefix[20];

	bug_if(n <= 0);                         /* it was read a moment ago */
	sha256_of(slice_of(der, (size_t)n), digest);
	OPENSSL_free(der);
	hex_add(&hex, slice_of(digest, sizeof digest));
	snprintf(prefix, sizeof prefix, "_%u._tcp", port);
	if (!seen_before(w, port, digest))
		say(w, "TLSA", below(name, prefix, w->conf->hostname), "3 1 1 %.*s", FMT(buf_slice(&hex)));
	buf_free(&hex);
}

/* One key, where each port of the listener finds it. */
static void
say_ports(struct writing *w, const struct listen_conf *l, EVP_PKEY *key)
{
	for (size_t i = 0; key != NULL && i < l->on_count; i++)
		if (l->on[i].port != 0)
			say_tlsa(w, l->on[i].port, key);
}

static EVP_PKEY *
key_in_use(struct writing *w, const struct identity_conf *identity)
{
	struct error why = { .text = "there is no certificate in it" };
	struct buf bytes = BUF(KEY_FILE_MOST);
	EVP_PKEY *key = NULL;

	if (read_file(identity->cert, "", &bytes, &why))
		key = key_of_certificate(buf_slice(&bytes));
	if (key == NULL)
		cannot(w, identity->cert, why.text);
	buf_free(&bytes);
	return key;
}

/* There need not be one; but what stands there and is none would be missed on the day it counts. */
static EVP_PKEY *
next_key(struct writing *w, const struct identity_conf *identity)
{
	struct error why = { .text = "there is no private key in it" };
	struct buf bytes = BUF(KEY_FILE_MOST);
	char path[PATH_BYTES];
	EVP_PKEY *key = NULL;

	snprintf(path, sizeof path, "%.*s.next", FMT(identity->key));
	if (file_read(path, &bytes, &why))
		key = private_key(buf_slice(&bytes));
	if (key == NULL && why.number != ENOENT)
		cannot(w, slice(path), why.text);
	buf_free(&bytes);
	return key;
}

static bool
takes_mail(const struct listen_conf *l)
{
	for (size_t i = 0; i < l->on_count; i++)
		if (l->on[i].port == SMTP)
			return !l->tls_implicit;
	return false;
}

/* What the key is now, and what it will be. */
static void
say_identity(struct writing *w, const struct listen_conf *l, const struct identity_conf *identity)
{
	EVP_PKEY *key = key_in_use(w, identity), *later = next_key(w, identity);

	say_ports(w, l, key);
	say_ports(w, l, later);
	EVP_PKEY_free(key), EVP_PKEY_free(later);
}

/* Of several certificates any may be shown: a sender asks for whatever name leads it here. */
static void
say_host(struct writing *w)
{
	bool reached = false;

	for (size_t i = 0; i < w->conf->listen_count; i++) {
		const struct listen_conf *l = &w->conf->listen[i];

		reached = reached || takes_mail(l);
		for (size_t j = 0; j < l->tls_count; j++)
			say_identity(w, l, &l->tls[j]);
	}
	if (!reached && w->seen_count > 0 && !w->json)
		puts("; No listener has port 25, where mail comes in: if another port leads to one of these, "
		    "publish its TLSA records for _25._tcp too.");
}

/* --- a domain ---------------------------------------------------------------------------------------- */

/* Where the policy host is: here, when the web door serves it (RFC 8461 3.3). */
static void
say_policy_host(struct writing *w, struct slice domain)
{
	char name[300];
	struct slice host = below(name, "mta-sts", domain);

	if (w->conf->web.there && !slice_eq(host, w->conf->hostname))
		say(w, "CNAME", host, "%.*s.", FMT(w->conf->hostname));
}

static void
say_policy(struct slice host, struct slice policy)
{
	struct slice line;

	printf("; https://%.*s" OURS_PATH " holds:\n", FMT(host));
	while (sts_policy_line(&policy, &line))
		printf(";     %.*s\n", FMT(line));
}

/* What publishes the policy comes last: first the policy, then its id (RFC 8461 8.1). */
static void
say_sts(struct writing *w, const struct domain_conf *d)
{
	char name[300], id[OURS_ID + 1];
	struct buf policy = BUF(OURS_POLICY_MOST);

	if (d->sts == SERVE_OFF)
		return;
	ours_policy_add(&policy, d);
	ours_id(buf_slice(&policy), id);
	say_policy_host(w, d->name);
	if (!w->json)
		say_policy(below(name, "mta-sts", d->name), buf_slice(&policy));
	say(w, "TXT", below(name, "_mta-sts", d->name), "v=STSv1; id=%s", id);
	buf_free(&policy);
}

static void
say_domain(struct writing *w, const struct domain_conf *d)
{
	struct slice domain = d->name;
	char name[300];

	for (size_t i = 0; i < d->mx_count; i++)
		say(w, "MX", domain, "%zu %.*s.", 10 * (i + 1), FMT(d->mx[i]));
	say(w, "TXT", domain, "v=spf1 mx ~all");
	say_dkim(w, domain);
	say(w, "TXT", below(name, "_dmarc", domain), "v=DMARC1; p=none; rua=mailto:postmaster@%.*s",
	    FMT(domain));
	say_sts(w, d);
	say(w, "TXT", below(name, "_smtp._tls", domain), "v=TLSRPTv1; rua=mailto:postmaster@%.*s",
	    FMT(domain));
}

/* `only`: one domain, or empty. */
static void
say_all(struct writing *w, struct slice only)
{
	for (size_t i = 0; i < w->conf->domain_count; i++)
		if (only.n == 0 || slice_eq(w->conf->domain[i].name, only))
			say_domain(w, &w->conf->domain[i]);
	if (map_get(&w->conf->domains, w->conf->hostname) == NULL)
		say(w, "TXT", w->conf->hostname, "v=spf1 a -all");      /* for reports (RFC 7208 2.3) */
	say_other_keys(w, only);
	say_host(w);
}

static void
say_one(struct writing *w, const char *word)
{
	struct arena *arena = arena_new(DOMAIN_MEMORY);
	struct slice domain = domain_normal(slice(word), arena);

	if (domain.n > 0 && map_get(&w->conf->domains, domain) != NULL) {
		say_all(w, domain);
	} else {
		complaint("chainmail dns-records: %s is no domain of this configuration", word);
		w->code = EX_BAD;
	}
	arena_free(arena);
}

int
cmd_dns_records(int argc, char **argv)
{
	struct writing w = { .json = false };
	const char *file = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf";
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, &file, "FILE", "the configuration" },
		{ "--json", OPTION_FLAG, &w.json, NULL, "an object a line" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words words = { .n = 0 };
	struct files files = { 0 };
	struct conf *conf;

	if (!options_read(argc, argv, "dns-records [DOMAIN]", rows, &words, 1))
		return EX_USAGE;
	if ((w.conf = conf = kept_conf(file, &files)) == NULL)
		w.code = EX_CONFIG;
	else if (words.n > 0)
		say_one(&w, words.word[0]);
	else
		say_all(&w, NONE);
	conf_free(conf);
	files_free(&files);
	return w.code;
}
