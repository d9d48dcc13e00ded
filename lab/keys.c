/* SPDX-License-Identifier: ISC */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/bug.h"
#include "base/pack.h"
#include "base/text.h"
#include "lab/keys.h"

enum {
	BLOCK = 32, RSA_E = 65537, P256_BYTES = 32, P256_POINT = 65,
	WINDOW = 16384, DIVISORS = 8192,
};

/* Bytes without end that depend on nothing but seed, kind and name. */
struct stream {
	uint64_t      seed, counter;
	enum key_kind kind;
	struct slice  name;
	unsigned char block[BLOCK];
	size_t        left;             /* of the block */
};

static void
next_block(struct stream *s)
{
	struct buf in = BUF(s->name.n + 128);

	buf_add(&in, S("chainmail lab key"));
	pack_u64(&in, s->seed);
	pack_u64(&in, s->counter++);
	pack_u8(&in, (uint8_t)s->kind);
	pack_slice(&in, s->name);
	bug_if(in.full || EVP_Digest(in.p, in.n, s->block, NULL, EVP_sha256(), NULL) != 1);
	s->left = BLOCK;
	buf_free(&in);
}

static void
take(struct stream *s, unsigned char *to, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s->left == 0)
			next_block(s);
		to[i] = s->block[BLOCK - s->left--];
	}
}

/* --- RSA -------------------------------------------------------------------- */

/*
 * Which of the odd numbers p, p + 2, p + 4, … have a small divisor: a cheap look
 * that spares most of the dear ones.  Divisors that are no primes mark nothing new.
 */
static void
sieve(const BIGNUM *p, bool composite[WINDOW])
{
	memset(composite, 0, WINDOW * sizeof *composite);
	for (BN_ULONG q = 3; q < DIVISORS; q += 2) {
		BN_ULONG lacks = (q - BN_mod_word(p, q)) % q;   /* p + lacks is divisible */

		for (BN_ULONG k = (lacks + (lacks % 2 ? q : 0)) / 2; k < WINDOW; k += q)
			composite[k] = true;
	}
}

/* The first prime at or above an odd number that suits the exponent. */
static void
next_prime(BIGNUM *p, BN_CTX *scratch)
{
	bool composite[WINDOW];
	int bits = BN_num_bits(p);

	sieve(p, composite);
	for (size_t k = 0; composite[k] || BN_mod_word(p, RSA_E) == 1 ||
	    BN_check_prime(p, scratch, NULL) != 1; k++) {
		bug_if(k + 1 == WINDOW);        /* one in 355 is a prime at this size */
		BN_add_word(p, 2);
	}
	bug_if(BN_num_bits(p) != bits);
}

/* With both top bits set, so that the product of two has all its bits. */
static BIGNUM *
take_prime(struct stream *s, int bits, BN_CTX *scratch)
{
	unsigned char bytes[256];
	size_t n = (size_t)bits / 8;
	BIGNUM *p;

	take(s, bytes, n);
	bytes[0] |= 0xc0;
	bytes[n - 1] |= 1;
	p = BN_bin2bn(bytes, (int)n, NULL);
	bug_if(p == NULL);
	next_prime(p, scratch);
	return p;
}

/* The numbers of a key that follow from its primes, by their names in OpenSSL. */
enum { N, E, D, P, Q, DP, DQ, QINV, NUMBERS };

static const char *const NUMBER_NAMES[NUMBERS] = {
	OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_D,
	OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
	OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2,
	OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

/* RFC 8017 3.2, with phi in place of the least common multiple: as good, and shorter. */
static void
derive(BIGNUM *number[NUMBERS], BN_CTX *scratch)
{
	BIGNUM *p1 = BN_dup(number[P]), *q1 = BN_dup(number[Q]), *phi = BN_new();

	BN_sub_word(p1, 1);
	BN_sub_word(q1, 1);
	BN_mul(phi, p1, q1, scratch);
	BN_set_word(number[E], RSA_E);
	BN_mul(number[N], number[P], number[Q], scratch);
	bug_if(BN_mod_inverse(number[D], number[E], phi, scratch) == NULL);
	BN_mod(number[DP], number[D], p1, scratch);
	BN_mod(number[DQ], number[D], q1, scratch);
	bug_if(BN_mod_inverse(number[QINV], number[Q], number[P], scratch) == NULL);
	BN_free(p1);
	BN_free(q1);
	BN_free(phi);
}

static EVP_PKEY *
from_data(const char *algorithm, OSSL_PARAM_BLD *build)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY *key = NULL;

	bug_if(ctx == NULL || params == NULL || EVP_PKEY_fromdata_init(ctx) != 1);
	bug_if(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *
make_rsa(struct stream *s, int bits)
{
	BN_CTX *scratch = BN_CTX_new();
	BIGNUM *number[NUMBERS];
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *key;

	bug_if(scratch == NULL || build == NULL);
	for (int i = 0; i < NUMBERS; i++)
		number[i] = i == P || i == Q ? take_prime(s, bits / 2, scratch) : BN_new();
	derive(number, scratch);
	for (int i = 0; i < NUMBERS; i++)
		OSSL_PARAM_BLD_push_BN(build, NUMBER_NAMES[i], number[i]);
	key = from_data("RSA", build);
	for (int i = 0; i < NUMBERS; i++)
		BN_free(number[i]);
	BN_CTX_free(scratch);
	return key;
}

/* --- elliptic curves ------------------------------------------------------------ */

/* A scalar between 1 and the group's order, both excluded. */
static BIGNUM *
take_scalar(struct stream *s, const EC_GROUP *group)
{
	unsigned char bytes[P256_BYTES];
	BIGNUM *scalar = BN_new();

	do {
		take(s, bytes, sizeof bytes);
		BN_bin2bn(bytes, sizeof bytes, scalar);
	} while (BN_is_zero(scalar) || BN_cmp(scalar, EC_GROUP_get0_order(group)) >= 0);
	return scalar;
}

static EVP_PKEY *
make_p256(struct stream *s)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT *point = EC_POINT_new(group);
	BIGNUM *scalar = take_scalar(s, group);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	unsigned char public[P256_POINT];
	EVP_PKEY *key;

	bug_if(EC_POINT_mul(group, point, scalar, NULL, NULL, NULL) != 1);
	bug_if(EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, public,
	    sizeof public, NULL) != sizeof public);
	OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
	OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, scalar);
	OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, public, sizeof public);
	key = from_data("EC", build);
	BN_free(scalar);
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return key;
}

static EVP_PKEY *
make_ed25519(struct stream *s)
{
	unsigned char bytes[BLOCK];
	EVP_PKEY *key;

	take(s, bytes, sizeof bytes);
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes, sizeof bytes);
	bug_if(key == NULL);
	return key;
}

/* --- keys -------------------------------------------------------------------------- */

EVP_PKEY *
key_make(enum key_kind kind, uint64_t seed, struct slice name)
{
	struct stream s = { .seed = seed, .kind = kind, .name = name };

	switch (kind) {
	case KEY_RSA_1024:
		return make_rsa(&s, 1024);
	case KEY_RSA_2048:
		return make_rsa(&s, 2048);
	case KEY_P256:
		return make_p256(&s);
	case KEY_ED25519:
		break;
	}
	return make_ed25519(&s);
}

void
key_pem(const EVP_PKEY *key, struct buf *to)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	bug_if(bio == NULL ||
	    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1);
	n = BIO_get_mem_data(bio, &p);
	buf_add(to, slice_of(p, (size_t)n));
	BIO_free(bio);
}

static void
add_raw_public(const EVP_PKEY *key, struct buf *to)
{
	unsigned char bytes[BLOCK];
	size_t n = sizeof bytes;

	bug_if(EVP_PKEY_get_raw_public_key(key, bytes, &n) != 1);
	base64_add(to, slice_of(bytes, n));
}

static void
add_public_info(const EVP_PKEY *key, struct buf *to)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	bug_if(n <= 0);
	base64_add(to, slice_of(der, (size_t)n));
	OPENSSL_free(der);
}

void
key_dkim_record(const EVP_PKEY *key, struct buf *to)
{
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) {
		buf_add(to, S("v=DKIM1; k=ed25519; p="));
		add_raw_public(key, to);
	} else {
		bug_if(EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA);
		buf_add(to, S("v=DKIM1; k=rsa; p="));
		add_public_info(key, to);
	}
}
