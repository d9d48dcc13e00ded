/* SPDX-License-Identifier: ISC */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/clock.h"
#include "base/pack.h"
#include "lab/authority.h"
#include "lab/keys.h"

enum { PEM_BYTES = 65536, SERIAL_BYTES = 16, COMMON_NAME_MOST = 64 };

#define YEAR (365 * DAY)

/* Whoever signs: made when it is first wanted, for it costs an RSA key. */
struct issuer {
	const char *name;
	EVP_PKEY   *key;
	X509       *certificate;
};

struct authority {
	uint64_t      seed;
	int64_t       now;
	struct issuer root, intermediate, stranger;
	struct buf    root_pem;
};

/* What a certificate says. */
struct draft {
	const struct slice  *names;     /* of hosts; NULL: an authority */
	size_t               count;
	const char          *common_name;       /* NULL: none */
	EVP_PKEY            *key;
	const struct issuer *issuer;    /* NULL: signed with its own key */
	int64_t              from, until;
};

static const struct {
	const char   *name;
	enum key_kind key;
	bool          own_signature;
	size_t        issuer;           /* where it stands in struct authority */
	int64_t       from, until;      /* from now */
} KINDS[CERTIFICATE_KINDS] = {
#define BY(who)     offsetof(struct authority, who)
#define VALID       -5 * YEAR, 10 * YEAR
	[CERTIFICATE_GOOD]              = { "good", KEY_P256, false, BY(root), VALID },
	[CERTIFICATE_ROOT_SENT]         = { "root-sent", KEY_P256, false, BY(root), VALID },
	[CERTIFICATE_ROOT_SENT_EXPIRED] =
	    { "root-sent-expired", KEY_P256, false, BY(root), -5 * YEAR, -DAY },
	[CERTIFICATE_ROOT_SENT_WRONG_NAME] =
	    { "root-sent-wrong-name", KEY_P256, false, BY(root), VALID },
	[CERTIFICATE_INTERMEDIATE]      = { "intermediate", KEY_P256, false, BY(intermediate), VALID },
	[CERTIFICATE_INTERMEDIATE_MISSING] =
	    { "intermediate-missing", KEY_P256, false, BY(intermediate), VALID },
	[CERTIFICATE_EXPIRED]           = { "expired", KEY_P256, false, BY(root), -5 * YEAR, -DAY },
	[CERTIFICATE_NOT_YET_VALID]     =
	    { "not-yet-valid", KEY_P256, false, BY(root), 5 * YEAR, 10 * YEAR },
	[CERTIFICATE_WRONG_NAME]        = { "wrong-name", KEY_P256, false, BY(root), VALID },
	[CERTIFICATE_COMMON_NAME_ONLY]  = { "common-name-only", KEY_P256, false, BY(root), VALID },
	[CERTIFICATE_SELF_SIGNED]       = { "self-signed", KEY_RSA_2048, true, 0, VALID },
	[CERTIFICATE_UNKNOWN_AUTHORITY] =
	    { "unknown-authority", KEY_P256, false, BY(stranger), VALID },
	[CERTIFICATE_WEAK]              = { "weak", KEY_RSA_1024, false, BY(root), VALID },
#undef BY
#undef VALID
};

/* --- one certificate ---------------------------------------------------------- */

/* The same draft has the same number, another one another (RFC 5280 4.1.2.2). */
static void
set_serial(X509 *x, const struct draft *d)
{
	struct buf in = BUF(PEM_BYTES);
	unsigned char digest[EVP_MAX_MD_SIZE], *key = NULL;
	int key_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &key);
	BIGNUM *number;

	bug_if(key_size <= 0);
	pack_slice(&in, slice_of(key, (size_t)key_size));
	pack_u64(&in, (uint64_t)d->from);
	pack_u64(&in, (uint64_t)d->until);
	pack_slice(&in, slice(d->issuer ? d->issuer->name : ""));
	pack_slice(&in, slice(d->common_name ? d->common_name : ""));
	for (size_t i = 0; i < d->count; i++)
		pack_slice(&in, d->names[i]);
	bug_if(in.full || EVP_Digest(in.p, in.n, digest, NULL, EVP_sha256(), NULL) != 1);
	digest[0] = (digest[0] & 0x7f) | 0x40;          /* positive, and always as long */
	number = BN_bin2bn(digest, SERIAL_BYTES, NULL);
	bug_if(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) == NULL);
	BN_free(number);
	OPENSSL_free(key);
	buf_free(&in);
}

static void
add_text(X509_NAME *name, const char *field, const char *text)
{
	bug_if(X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, (const unsigned char *)text,
	    -1, -1, 0) != 1);
}

static void
set_subject(X509 *x, const struct draft *d)
{
	X509_NAME *name = X509_get_subject_name(x);

	add_text(name, "O", "Chainmail lab, for tests only");
	if (d->common_name != NULL)
		add_text(name, "CN", d->common_name);
	bug_if(X509_set_issuer_name(x,
	    d->issuer ? X509_get_subject_name(d->issuer->certificate) : name) != 1);
}

static void
add_extension(X509 *x, const struct draft *d, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, d->issuer ? d->issuer->certificate : x, x, NULL, NULL, 0);
	bug_if((e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value)) == NULL);
	bug_if(X509_add_ext(x, e, -1) != 1);
	X509_EXTENSION_free(e);
}

static void
add_names(X509 *x, const struct draft *d)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();

	for (size_t i = 0; i < d->count; i++) {
		GENERAL_NAME *name = GENERAL_NAME_new();
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();

		bug_if(ASN1_STRING_set(text, d->names[i].p, (int)d->names[i].n) != 1);
		GENERAL_NAME_set0_value(name, GEN_DNS, text);
		sk_GENERAL_NAME_push(names, name);
	}
	bug_if(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1);
	GENERAL_NAMES_free(names);
}

static void
add_extensions(X509 *x, const struct draft *d)
{
	bool host = d->names != NULL;

	add_extension(x, d, NID_basic_constraints, host ? "critical,CA:FALSE" : "critical,CA:TRUE");
	add_extension(x, d, NID_key_usage, !host ? "critical,keyCertSign,cRLSign"
	    : EVP_PKEY_get_base_id(d->key) == EVP_PKEY_RSA
	    ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature");
	add_extension(x, d, NID_subject_key_identifier, "hash");
	if (d->issuer != NULL)
		add_extension(x, d, NID_authority_key_identifier, "keyid:always");
	if (host)
		add_extension(x, d, NID_ext_key_usage, "serverAuth");
	if (d->count > 0)
		add_names(x, d);
}

static X509 *
sign_draft(const struct draft *d)
{
	X509 *x = X509_new();

	bug_if(x == NULL || X509_set_version(x, X509_VERSION_3) != 1);
	bug_if(X509_set_pubkey(x, d->key) != 1);
	set_serial(x, d);
	set_subject(x, d);
	bug_if(ASN1_TIME_set(X509_getm_notBefore(x), (time_t)(d->from / 1000)) == NULL);
	bug_if(ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(d->until / 1000)) == NULL);
	add_extensions(x, d);
	bug_if(X509_sign(x, d->issuer ? d->issuer->key : d->key, EVP_sha256()) == 0);
	return x;
}

static void
add_pem(struct buf *to, X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	bug_if(bio == NULL || PEM_write_bio_X509(bio, x) != 1);
	n = BIO_get_mem_data(bio, &p);
	buf_add(to, slice_of(p, (size_t)n));
	BIO_free(bio);
}

/* --- those who sign -------------------------------------------------------------- */

static void
issuer_begin(struct authority *a, struct issuer *i, const char *name, const struct issuer *by)
{
	struct draft d = {
		.common_name = name, .issuer = by,
		.from = a->now - 5 * YEAR, .until = a->now + 10 * YEAR,
	};

	if (i->key != NULL)
		return;
	i->name = name;
	i->key = d.key = key_make(KEY_RSA_2048, a->seed, slice(name));
	i->certificate = sign_draft(&d);
}

static void
issuer_end(struct issuer *i)
{
	EVP_PKEY_free(i->key);
	X509_free(i->certificate);
}

struct authority *
authority_new(uint64_t seed, int64_t now)
{
	struct authority *a = must_alloc(sizeof *a);

	a->seed = seed;
	a->now = now;
	a->root_pem = BUF(PEM_BYTES);
	issuer_begin(a, &a->root, "lab root", NULL);
	add_pem(&a->root_pem, a->root.certificate);
	return a;
}

void
authority_free(struct authority *a)
{
	if (a == NULL)
		return;
	issuer_end(&a->root);
	issuer_end(&a->intermediate);
	issuer_end(&a->stranger);
	buf_free(&a->root_pem);
	free(a);
}

struct slice
authority_root(const struct authority *a)
{
	return buf_slice(&a->root_pem);
}

/* --- certificates for hosts --------------------------------------------------------- */

const char *
certificate_kind_name(enum certificate_kind kind)
{
	return KINDS[kind].name;
}

bool
certificate_kind_parse(struct slice name, enum certificate_kind *kind)
{
	for (size_t i = 0; i < CERTIFICATE_KINDS; i++)
		if (slice_eq(slice(KINDS[i].name), name)) {
			*kind = (enum certificate_kind)i;
			return true;
		}
	return false;
}

static const struct issuer *
issuer_of(struct authority *a, enum certificate_kind kind)
{
	const struct issuer *i = (struct issuer *)((char *)a + KINDS[kind].issuer);

	if (KINDS[kind].own_signature)
		return NULL;
	if (i == &a->intermediate)
		issuer_begin(a, &a->intermediate, "lab intermediate", &a->root);
	if (i == &a->stranger)
		issuer_begin(a, &a->stranger, "somebody else", NULL);
	return i;
}

static void
add_chain(const struct authority *a, enum certificate_kind kind, struct buf *chain)
{
	if (kind == CERTIFICATE_INTERMEDIATE)
		add_pem(chain, a->intermediate.certificate);
	if (kind == CERTIFICATE_ROOT_SENT || kind == CERTIFICATE_ROOT_SENT_EXPIRED ||
	    kind == CERTIFICATE_ROOT_SENT_WRONG_NAME)
		add_pem(chain, a->root.certificate);
}

void
certificate_make(struct authority *a, enum certificate_kind kind, const struct slice *names,
    size_t count, struct certificate *c)
{
	static const struct slice other = S_INIT("other.test");
	char first[COMMON_NAME_MOST + 1];
	struct draft d = {
		.names = names, .count = count, .issuer = issuer_of(a, kind),
		.key = key_make(KINDS[kind].key, a->seed, names[0]),
		.from = a->now + KINDS[kind].from, .until = a->now + KINDS[kind].until,
	};
	X509 *x;

	if (kind == CERTIFICATE_WRONG_NAME || kind == CERTIFICATE_ROOT_SENT_WRONG_NAME) {
		d.names = &other;
		d.count = 1;
	} else if (kind == CERTIFICATE_COMMON_NAME_ONLY) {
		bug_if(names[0].n > COMMON_NAME_MOST);
		memcpy(first, names[0].p, names[0].n);
		first[names[0].n] = '\0';
		d.common_name = first;
		d.count = 0;
	}
	x = sign_draft(&d);
	*c = (struct certificate){ BUF(PEM_BYTES), BUF(PEM_BYTES) };
	add_pem(&c->chain, x);
	add_chain(a, kind, &c->chain);
	key_pem(d.key, &c->key);
	bug_if(c->chain.full || c->key.full);
	EVP_PKEY_free(d.key);
	X509_free(x);
}

void
certificate_free(struct certificate *c)
{
	buf_free(&c->chain);
	buf_free(&c->key);
}

/* --- TLSA ------------------------------------------------------------------------------ */

static X509 *
certificate_at(struct slice chain, unsigned depth)
{
	BIO *bio = BIO_new_mem_buf(chain.p, (int)chain.n);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	while (x != NULL && depth-- > 0) {
		X509_free(x);
		x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	}
	BIO_free(bio);
	ERR_clear_error();              /* the end of the chain is no error */
	return x;
}

/* RFC 6698 2.1.2 and 2.1.3: what is matched, and how. */
static void
add_association(X509 *x, struct tlsa_form t, struct buf *to)
{
	const EVP_MD *md = t.matching == 1 ? EVP_sha256() : t.matching == 2 ? EVP_sha512() : NULL;
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	unsigned size;
	int n;

	n = t.selector == 0 ? i2d_X509(x, &der) : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	bug_if(n <= 0);
	if (md == NULL) {
		buf_add(to, slice_of(der, (size_t)n));
	} else {
		bug_if(EVP_Digest(der, (size_t)n, digest, &size, md, NULL) != 1);
		buf_add(to, slice_of(digest, size));
	}
	OPENSSL_free(der);
}

bool
certificate_tlsa(struct slice chain, unsigned depth, struct tlsa_form t, struct buf *to,
    struct error *why)
{
	X509 *x;

	if (t.selector > 1 || t.matching > 2)
		return error_set(why, "TLSA selector %u with matching type %u is not known here",
		    t.selector, t.matching);
	if ((x = certificate_at(chain, depth)) == NULL)
		return error_set(why, "there is no certificate %u in the chain", depth);
	buf_byte(to, (char)t.usage);
	buf_byte(to, (char)t.selector);
	buf_byte(to, (char)t.matching);
	add_association(x, t, to);
	X509_free(x);
	return true;
}
