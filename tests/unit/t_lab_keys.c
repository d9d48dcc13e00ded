/* SPDX-License-Identifier: ISC */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/bug.h"
#include "base/text.h"
#include "lab/keys.h"
#include "unit.h"

static const struct {
	enum key_kind kind;
	uint64_t      seed;
	const char   *name;
	int           bits;
	const char   *digest;           /* SHA-256 of the public key; from an independent program */
} keys[] = {
	{ KEY_RSA_1024, 42, "weak.test", 1024,
	    "ac797f34ac0735b9863c6a023a235a0eabd92f4d1160251629510e5e07f55a9c" },
	{ KEY_RSA_2048, 42, "bank.test", 2048,
	    "4becc7292d1c6268eb3df6f5aa1119214b07f077e45e81acafe7c5995a47c945" },
	{ KEY_RSA_2048, 43, "bank.test", 2048,
	    "bdefbc99812c319487701c2dac3eb5e62da3f4474a27d915d4110d55eac8f83e" },
	{ KEY_RSA_2048, 42, "list.test", 2048,
	    "c7da075201402737c87881e381fa10f44b7fb93d7c1218b4341ea791cebcdde7" },
	{ KEY_P256, 42, "mx.bank.test", 256,
	    "1743ceab6487363a99fc93c629c4ee0810f3ed167c21fe54193dbc42a6d99448" },
	{ KEY_P256, 42, "mx.list.test", 256,
	    "c67cd10ddbcf4ab737ace1279fa250dc94c47be8ad7c8790a3ac5f6243beca3a" },
	{ KEY_ED25519, 42, "bank.test", 256,
	    "51ba7cc7c41386ba98d05f52320494eaa77994784b875ff781ff4a441486e3dd" },
	{ KEY_ED25519, UINT64_MAX, "", 256,
	    "bd27ec70a01574fc3a21c7103de30f80720c79b0fb80cef4caf1330e1071eafb" },
};

static const char MESSAGE[] = "a message";

/* Every key is made once for all tests: an RSA key takes a while. */
static EVP_PKEY *made[COUNT(keys)];

static int
make_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++)
		made[i] = key_make(keys[i].kind, keys[i].seed, slice(keys[i].name));
	return 0;
}

static int
free_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++)
		EVP_PKEY_free(made[i]);
	return 0;
}

static void
public_digest(const EVP_PKEY *key, struct buf *hex)
{
	unsigned char *der = NULL, digest[32];
	int n = i2d_PUBKEY(key, &der);

	assert_true(n > 0);
	EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL);
	hex_add(hex, slice_of(digest, sizeof digest));
	OPENSSL_free(der);
}

static void
a_seed_and_a_name_give_one_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		struct buf hex = BUF(100);

		assert_int_equal(EVP_PKEY_get_bits(made[i]), keys[i].bits);
		public_digest(made[i], &hex);
		assert_slice(buf_slice(&hex), keys[i].digest);
		buf_free(&hex);
	}
}

static void
pem_is_the_key_and_made_again_the_same_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		EVP_PKEY *again = key_make(keys[i].kind, keys[i].seed, slice(keys[i].name)), *read;
		struct buf pem[2] = { BUF(10000), BUF(10000) };
		BIO *bio;

		key_pem(made[i], &pem[0]);
		key_pem(again, &pem[1]);
		assert_true(slice_eq(buf_slice(&pem[0]), buf_slice(&pem[1])));
		bio = BIO_new_mem_buf(pem[0].p, (int)pem[0].n);
		read = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
		assert_case(EVP_PKEY_eq(read, made[i]) == 1, i, keys[i].name);
		BIO_free(bio);
		EVP_PKEY_free(read);
		EVP_PKEY_free(again);
		buf_free(&pem[0]);
		buf_free(&pem[1]);
	}
}

static void
keys_are_consistent(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(made[i], NULL);

		assert_case(EVP_PKEY_pairwise_check(ctx) == 1, i, keys[i].name);
		EVP_PKEY_CTX_free(ctx);
	}
}

static BIGNUM *
number(const EVP_PKEY *key, const char *name)
{
	BIGNUM *n = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
	return n;
}

/* RFC 8017 3.2: two primes of half the size, their product, and e as everybody has it. */
static void
rsa_keys_are_made_of_primes(void **state)
{
	BN_CTX *ctx = BN_CTX_new();

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		BIGNUM *p, *q, *n, *e, *product = BN_new();

		if (keys[i].kind != KEY_RSA_1024 && keys[i].kind != KEY_RSA_2048) {
			BN_free(product);
			continue;
		}
		p = number(made[i], OSSL_PKEY_PARAM_RSA_FACTOR1);
		q = number(made[i], OSSL_PKEY_PARAM_RSA_FACTOR2);
		n = number(made[i], OSSL_PKEY_PARAM_RSA_N);
		e = number(made[i], OSSL_PKEY_PARAM_RSA_E);
		assert_int_equal(BN_check_prime(p, ctx, NULL), 1);
		assert_int_equal(BN_check_prime(q, ctx, NULL), 1);
		assert_int_equal(BN_num_bits(p), keys[i].bits / 2);
		assert_int_equal(BN_num_bits(q), keys[i].bits / 2);
		assert_int_not_equal(BN_cmp(p, q), 0);
		BN_mul(product, p, q, ctx);
		assert_int_equal(BN_cmp(product, n), 0);
		assert_true(BN_is_word(e, 65537));
		BN_free(p);
		BN_free(q);
		BN_free(n);
		BN_free(e);
		BN_free(product);
	}
	BN_CTX_free(ctx);
}

static void
sign(EVP_PKEY *key, struct buf *signature)
{
	const EVP_MD *md = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = 512;
	char *to = buf_room(signature, n);

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, (unsigned char *)to, &n,
	    (const unsigned char *)MESSAGE, sizeof MESSAGE), 1);
	signature->n += n;
	EVP_MD_CTX_free(ctx);
}

static bool
verifies(EVP_PKEY *key, struct slice signature)
{
	const EVP_MD *md = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 &&
	    EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n,
	    (const unsigned char *)MESSAGE, sizeof MESSAGE) == 1;

	EVP_MD_CTX_free(ctx);
	return ok;
}

/* What stands in the DNS, made into a key as a verifier would. */
static EVP_PKEY *
key_of_record(struct slice record)
{
	bool ed25519 = slice_starts(record, S("v=DKIM1; k=ed25519; p="));
	struct slice p = slice_skip(record, ed25519 ? 22 : 18);
	struct buf bytes = BUF(2000);
	const unsigned char *der;
	EVP_PKEY *key;

	assert_true(ed25519 || slice_starts(record, S("v=DKIM1; k=rsa; p=")));
	assert_true(base64_decode(&bytes, p));
	der = (const unsigned char *)bytes.p;
	key = ed25519 ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, der, bytes.n)
	    : d2i_PUBKEY(NULL, &der, (long)bytes.n);
	assert_non_null(key);
	buf_free(&bytes);
	return key;
}

static void
what_a_key_signs_its_record_verifies_and_no_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		struct buf signature = BUF(1000), again = BUF(1000), record = BUF(1000);
		EVP_PKEY *public, *other = made[i == 3 ? 1 : 3];

		sign(made[i], &signature);
		sign(made[i], &again);
		assert_case(verifies(made[i], buf_slice(&signature)), i, keys[i].name);
		assert_case(!verifies(other, buf_slice(&signature)), i, keys[i].name);
		if (keys[i].kind != KEY_P256) {
			key_dkim_record(made[i], &record);
			public = key_of_record(buf_slice(&record));
			assert_case(verifies(public, buf_slice(&signature)), i, keys[i].name);
			assert_true(slice_eq(buf_slice(&signature), buf_slice(&again)));
			EVP_PKEY_free(public);
		}
		buf_free(&signature);
		buf_free(&again);
		buf_free(&record);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_and_a_name_give_one_key),
		cmocka_unit_test(pem_is_the_key_and_made_again_the_same_bytes),
		cmocka_unit_test(keys_are_consistent),
		cmocka_unit_test(rsa_keys_are_made_of_primes),
		cmocka_unit_test(what_a_key_signs_its_record_verifies_and_no_other),
	};

	return cmocka_run_group_tests(tests, make_all, free_all);
}
