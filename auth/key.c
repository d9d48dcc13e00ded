/* SPDX-License-Identifier: ISC */
/* pure */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "auth/key.h"
#include "auth/taglist.h"
#include "base/bug.h"
#include "base/text.h"

enum { ED25519_BYTES = 32, EXPONENT_MOST = 4 };

const char *
key_type_name(enum key_type type)
{
	return type == KEY_ED25519 ? "ed25519" : "rsa";
}

const char *
key_algorithm(enum key_type type)
{
	return type == KEY_ED25519 ? "ed25519-sha256" : "rsa-sha256";
}

const char *
key_flaw_text(enum key_flaw flaw)
{
	static const char *const texts[] = {
		[KEY_OK] = "the key is good",
		[KEY_SYNTAX] = "the key record is no list of tags",
		[KEY_VERSION] = "the key record is not of version DKIM1",
		[KEY_NO_DATA] = "the key record has no p=",
		[KEY_REVOKED] = "the key is revoked (p= is empty)",
		[KEY_UNKNOWN_TYPE] = "the key is of an unknown type (k=)",
		[KEY_ENCODING] = "p= holds no such key",
		[KEY_SHORT] = "the RSA key is shorter than 1024 bits",
		[KEY_LONG] = "the RSA key is longer than 8192 bits",
		[KEY_WEAK] = "the RSA key has an unfit modulus or exponent",
	};

	return texts[flaw];
}

/* --- DER (X.690), only what a public key needs ------------------------------- */

enum { DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_SEQUENCE = 0x30 };

/* The length behind a tag, in its shortest form, at most 65535. */
static bool
der_length(struct slice *in, size_t *length)
{
	unsigned char first = in->n ? (unsigned char)*in->p : 0x80;
	size_t octets = first & 0x7f;

	*in = slice_skip(*in, 1);
	*length = first;
	if (first < 0x80)
		return true;
	if (octets < 1 || octets > 2 || in->n < octets)
		return false;
	*length = (unsigned char)in->p[0];
	if (octets == 2)
		*length = *length << 8 | (unsigned char)in->p[1];
	*in = slice_skip(*in, octets);
	return *length >= (octets == 2 ? 0x100 : 0x80);
}

/* The content of the element in front, which must be of that tag. */
static bool
der_take(struct slice *in, unsigned char tag, struct slice *content)
{
	size_t length;

	if (in->n == 0 || (unsigned char)*in->p != tag)
		return false;
	*in = slice_skip(*in, 1);
	if (!der_length(in, &length) || length > in->n)
		return false;
	*content = slice_head(*in, length);
	*in = slice_skip(*in, length);
	return true;
}

/* A positive integer in its shortest form, without the zero that makes it positive. */
static bool
der_positive(struct slice *in, struct slice *number)
{
	if (!der_take(in, DER_INTEGER, number) || number->n == 0 || (unsigned char)*number->p >= 0x80)
		return false;
	if (*number->p != 0)
		return true;
	*number = slice_skip(*number, 1);
	return number->n > 0 && (unsigned char)*number->p >= 0x80;
}

/* RSAPublicKey (RFC 8017 A.1.1), and nothing behind it. */
static bool
der_rsa_key(struct slice der, struct slice *modulus, struct slice *exponent)
{
	struct slice key;

	return der_take(&der, DER_SEQUENCE, &key) && der.n == 0 &&
	    der_positive(&key, modulus) && der_positive(&key, exponent) && key.n == 0;
}

/* SubjectPublicKeyInfo (RFC 5280 4.1) around it, as everybody publishes it. */
static bool
der_rsa_info(struct slice der, struct slice *modulus, struct slice *exponent)
{
	static const char RSA_ENCRYPTION[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
	struct slice info, algorithm, bits;

	if (!der_take(&der, DER_SEQUENCE, &info) || der.n != 0 ||
	    !der_take(&info, DER_SEQUENCE, &algorithm) ||
	    !der_take(&info, DER_BIT_STRING, &bits) || info.n != 0)
		return false;
	if (!slice_starts(algorithm, S(RSA_ENCRYPTION)) || bits.n == 0 || *bits.p != 0)
		return false;
	return der_rsa_key(slice_skip(bits, 1), modulus, exponent);
}

/* --- public keys -------------------------------------------------------------- */

static unsigned
bits_of(struct slice number)
{
	unsigned bits = (unsigned)(8 * (number.n - 1));

	for (unsigned char top = (unsigned char)*number.p; top; top >>= 1)
		bits++;
	return bits;
}

static bool
odd(struct slice number)
{
	return number.p[number.n - 1] & 1;
}

/* A number as OpenSSL's parameters want it: in the byte order of the machine. */
static OSSL_PARAM
number_param(const char *name, struct slice number, unsigned char room[])
{
	BIGNUM *bn = BN_bin2bn((const unsigned char *)number.p, (int)number.n, NULL);

	bug_if(bn == NULL || BN_bn2nativepad(bn, room, (int)number.n) < 0);
	BN_free(bn);
	return OSSL_PARAM_construct_BN(name, room, number.n);
}

static EVP_PKEY *
make_rsa(struct slice modulus, struct slice exponent)
{
	unsigned char n[KEY_BITS_MOST / 8], e[EXPONENT_MOST];
	OSSL_PARAM params[] = {
		number_param(OSSL_PKEY_PARAM_RSA_N, modulus, n),
		number_param(OSSL_PKEY_PARAM_RSA_E, exponent, e),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *pkey = NULL;

	bug_if(c == NULL || EVP_PKEY_fromdata_init(c) <= 0);
	if (EVP_PKEY_fromdata(c, &pkey, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		ERR_clear_error();
	EVP_PKEY_CTX_free(c);
	return pkey;
}

/* What every verification with this key needs; it may serve any number. */
static EVP_PKEY_CTX *
ready_to_verify(EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(pkey, NULL);

	bug_if(c == NULL);
	if (EVP_PKEY_verify_init(c) > 0 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) > 0 &&
	    EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) > 0)
		return c;
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return NULL;
}

static enum key_flaw
parse_rsa(struct key *k, struct slice der)
{
	struct slice modulus, exponent;

	if (!der_rsa_info(der, &modulus, &exponent) && !der_rsa_key(der, &modulus, &exponent))
		return KEY_ENCODING;
	k->bits = bits_of(modulus);
	if (k->bits < KEY_BITS_LEAST)
		return KEY_SHORT;
	if (k->bits > KEY_BITS_MOST)
		return KEY_LONG;
	/* A long exponent makes each verification as dear as a signature. */
	if (!odd(modulus) || !odd(exponent) || bits_of(exponent) < 2 || exponent.n > EXPONENT_MOST)
		return KEY_WEAK;
	if ((k->pkey = make_rsa(modulus, exponent)) != NULL &&
	    (k->verify = ready_to_verify(k->pkey)) != NULL)
		return KEY_OK;
	key_free(k);
	return KEY_ENCODING;
}

/* RFC 8463 4.2: the 32 bytes themselves. */
static enum key_flaw
parse_ed25519(struct key *k, struct slice raw)
{
	k->bits = 256;
	if (raw.n != ED25519_BYTES)
		return KEY_ENCODING;
	k->pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)raw.p, raw.n);
	if (k->pkey == NULL)
		ERR_clear_error();
	return k->pkey != NULL ? KEY_OK : KEY_ENCODING;
}

static enum key_flaw
parse_data(struct key *k, struct slice base64)
{
	struct buf data = BUF(KEY_RECORD_MOST);
	enum key_flaw flaw = KEY_ENCODING;

	if (base64_decode(&data, base64))
		flaw = k->type == KEY_RSA ? parse_rsa(k, buf_slice(&data))
		                          : parse_ed25519(k, buf_slice(&data));
	buf_free(&data);
	return flaw;
}

static bool
parse_type(struct key *k, const struct tag *type)
{
	k->type = type != NULL && slice_eq(type->value, S("ed25519")) ? KEY_ED25519 : KEY_RSA;
	return type == NULL || slice_eq(type->value, slice(key_type_name(k->type)));
}

/* What h=, s= and t= allow; n=, the old g= and unknown tags mean nothing. */
static void
parse_limits(struct key *k, const struct taglist *t)
{
	const struct tag *hashes = taglist_find(t, "h"), *services = taglist_find(t, "s"),
	    *flags = taglist_find(t, "t");
	bool any = services == NULL || taglist_lists(services->value, S("*"));

	k->for_sha256 = hashes == NULL || taglist_lists(hashes->value, S("sha256"));
	k->for_mail = any || taglist_lists(services->value, S("email"));
	k->for_tlsrpt = any || taglist_lists(services->value, S("tlsrpt"));
	k->testing = flags != NULL && taglist_lists(flags->value, S("y"));
	k->strict = flags != NULL && taglist_lists(flags->value, S("s"));
}

enum key_flaw
key_parse(struct key *k, struct slice record)
{
	struct taglist t;
	const struct tag *version, *data;

	*k = (struct key){ 0 };
	if (record.n > KEY_RECORD_MOST || !taglist_parse(&t, record, NULL))
		return KEY_SYNTAX;
	version = taglist_find(&t, "v");
	if (version != NULL && (version != t.tags || !slice_eq(version->value, S("DKIM1"))))
		return KEY_VERSION;
	if ((data = taglist_find(&t, "p")) == NULL)
		return KEY_NO_DATA;
	if (data->value.n == 0)
		return KEY_REVOKED;
	if (!parse_type(k, taglist_find(&t, "k")))
		return KEY_UNKNOWN_TYPE;
	parse_limits(k, &t);
	return parse_data(k, data->value);
}

void
key_free(struct key *k)
{
	EVP_PKEY_CTX_free(k->verify);
	EVP_PKEY_free(k->pkey);
	k->verify = NULL;
	k->pkey = NULL;
}

unsigned
key_work(const struct key *k)
{
	unsigned kilobits = k->bits / 1024;

	return k->type == KEY_ED25519 ? 5 : kilobits <= 2 ? 1 : kilobits * kilobits / 4;
}

static bool
rsa_verifies(EVP_PKEY_CTX *c, const unsigned char digest[SHA256_BYTES], struct slice signature)
{
	return EVP_PKEY_verify(c, (const unsigned char *)signature.p, signature.n, digest,
	    SHA256_BYTES) == 1;
}

/* RFC 8463 3: PureEdDSA over the 32 bytes of the hash. */
static bool
ed25519_verifies(EVP_PKEY *pkey, const unsigned char digest[SHA256_BYTES], struct slice signature)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool good;

	bug_if(c == NULL);
	good = EVP_DigestVerifyInit(c, NULL, NULL, NULL, pkey) > 0 &&
	    EVP_DigestVerify(c, (const unsigned char *)signature.p, signature.n, digest, SHA256_BYTES) == 1;
	EVP_MD_CTX_free(c);
	return good;
}

bool
key_verifies(const struct key *k, const unsigned char digest[SHA256_BYTES], struct slice signature)
{
	bool good = signature.n > 0 && (k->type == KEY_ED25519
	    ? ed25519_verifies(k->pkey, digest, signature)
	    : rsa_verifies(k->verify, digest, signature));

	if (!good)
		ERR_clear_error();
	return good;
}

/* --- the cache ----------------------------------------------------------------- */

/*
 * A record may stand in one of four places that its hash chooses.  Records are
 * compared byte by byte: base64 differs by the case of its letters.
 */
enum { WAYS = 4, HASHED = 64 };         /* octets: keys differ at their ends, too */

struct place {
	struct slice  record;           /* a copy; p == NULL: free */
	enum key_flaw flaw;
	struct key    key;
	uint64_t      used;
};

struct keys {
	uint64_t     turn;
	size_t       sets;
	struct place places[];
};

struct keys *
keys_new(size_t most)
{
	size_t sets = most / WAYS + 1;
	struct keys *c = must_alloc(sizeof *c + sets * WAYS * sizeof *c->places);

	c->sets = sets;
	return c;
}

static void
place_empty(struct place *p)
{
	key_free(&p->key);
	free((char *)p->record.p);
	*p = (struct place){ 0 };
}

void
keys_free(struct keys *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->sets * WAYS; i++)
		place_empty(&c->places[i]);
	free(c);
}

static struct place *
place_for(struct place *set, struct slice record)
{
	struct place *oldest = set;

	for (struct place *p = set; p < set + WAYS; p++) {
		if (p->record.p != NULL && slice_eq(p->record, record))
			return p;
		if (p->used < oldest->used)
			oldest = p;
	}
	place_empty(oldest);
	return oldest;
}

const struct key *
keys_get(struct keys *c, struct slice record, enum key_flaw *flaw)
{
	struct place *p;
	uint64_t hash;

	*flaw = KEY_SYNTAX;
	if (record.n > KEY_RECORD_MOST)
		return NULL;
	hash = slice_hash(slice_skip(record, record.n > HASHED ? record.n - HASHED : 0));
	p = place_for(&c->places[hash % c->sets * WAYS], record);
	if (p->record.p == NULL) {
		p->flaw = key_parse(&p->key, record);
		p->record = slice_of(must_copy(record.p, record.n), record.n);
	}
	p->used = ++c->turn;
	*flaw = p->flaw;
	return p->flaw == KEY_OK ? &p->key : NULL;
}
