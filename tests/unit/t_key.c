/* SPDX-License-Identifier: ISC */
#include "auth/signing_key.h"
#include "base/text.h"
#include "keys.h"
#include "unit.h"

/* RFC 6376 A.2 (without the private half) and RFC 8463 A.2. */
#define RSA_P "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt" \
	"IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi" \
	"tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
#define ED_P "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

/* --- records (RFC 6376 3.6.1) ------------------------------------------------- */

#define ALL "sha256 mail tlsrpt"         /* what a key without h= and s= is for */

static const struct { const char *record, *reads; } records[] = {
	{ "v=DKIM1; k=rsa; p=" RSA_P, "rsa " ALL },
	{ "p=" RSA_P, "rsa " ALL },                                     /* v= and k= may be missing */
	{ "v=DKIM1; p=" RSA_P ";", "rsa " ALL },
	{ "v=DKIM1; n=; p=" RSA_P, "rsa " ALL },
	{ "v=DKIM1; n=a note; x1=unknown; g=*; p=" RSA_P, "rsa " ALL },
	{ "k=rsa; t=y; p=" RSA_P, "rsa " ALL " testing" },
	{ "t=y:s; p=" RSA_P, "rsa " ALL " testing strict" },
	{ "t = s : future ; p=" RSA_P, "rsa " ALL " strict" },
	{ "t=; p=" RSA_P, "rsa " ALL },
	{ "h=sha256; p=" RSA_P, "rsa " ALL },
	{ "h=sha1:sha256:sha512; p=" RSA_P, "rsa " ALL },
	{ "h=sha1; p=" RSA_P, "rsa mail tlsrpt" },
	{ "h=; p=" RSA_P, "rsa mail tlsrpt" },
	{ "s=*; p=" RSA_P, "rsa " ALL },
	{ "s=email; p=" RSA_P, "rsa sha256 mail" },
	{ "s=other:email; p=" RSA_P, "rsa sha256 mail" },
	{ "s=other; p=" RSA_P, "rsa sha256" },
	{ "s=tlsrpt; p=" RSA_P, "rsa sha256 tlsrpt" },                  /* RFC 8460 3 */
	{ "v=DKIM1; k=ed25519; p=" ED_P, "ed25519 " ALL },
	{ "k=ed25519; p= 11qYAYKxCrfVS/7T\r\n yWQHOg7hcvPapiMlrwIaaPcHURo =", "ed25519 " ALL },
};

static void
records_are_read_in_every_legal_shape(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(records); i++) {
		struct buf reads = BUF(100);
		struct key k;
		enum key_flaw flaw = key_parse(&k, slice(records[i].record));

		assert_case(flaw == KEY_OK, i, key_flaw_text(flaw));
		assert_int_equal(k.bits, k.type == KEY_RSA ? 1024 : 256);
		buf_printf(&reads, "%s%s%s%s%s%s", key_type_name(k.type), k.for_sha256 ? " sha256" : "",
		    k.for_mail ? " mail" : "", k.for_tlsrpt ? " tlsrpt" : "",
		    k.testing ? " testing" : "", k.strict ? " strict" : "");
		assert_slice(buf_slice(&reads), records[i].reads);
		key_free(&k);
		buf_free(&reads);
	}
}

static const struct { const char *record; enum key_flaw flaw; } flaws[] = {
	{ "", KEY_SYNTAX },
	{ "omgwhatsgoingon", KEY_SYNTAX },
	{ "p=" RSA_P "; p=" RSA_P, KEY_SYNTAX },
	{ "v=spf1 -all", KEY_VERSION },
	{ "v=DKIM3; p=" RSA_P, KEY_VERSION },
	{ "v=dkim1; p=" RSA_P, KEY_VERSION },
	{ "v=DKIM1: g=*; p=" RSA_P, KEY_VERSION },
	{ "k=rsa; v=DKIM1; p=" RSA_P, KEY_VERSION },                    /* v= MUST be the first tag */
	{ "v=DKIM1; k=rsa", KEY_NO_DATA },
	{ "v=DKIM1; P=" RSA_P, KEY_NO_DATA },
	{ "v=DKIM1; k=rsa; p=", KEY_REVOKED },
	{ "v=DKIM1; k=unknown; p= ;", KEY_REVOKED },
	{ "k=foobar; p=" RSA_P, KEY_UNKNOWN_TYPE },
	{ "k=RSA; p=" RSA_P, KEY_UNKNOWN_TYPE },
	{ "k=; p=" RSA_P, KEY_UNKNOWN_TYPE },
	{ "k=ed25519-sha256; p=" ED_P, KEY_UNKNOWN_TYPE },
	{ "p=!!!!", KEY_ENCODING },
	{ "p=AAA", KEY_ENCODING },
	{ "p=" ED_P, KEY_ENCODING },
	{ "k=ed25519; p=" RSA_P, KEY_ENCODING },
	{ "k=ed25519; p=AAAA", KEY_ENCODING },
	{ "k=ed25519; p=MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", KEY_ENCODING }, /* 8463 4.2 */
};

static void
every_refusal_has_its_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(flaws); i++) {
		struct key k;
		enum key_flaw flaw = key_parse(&k, slice(flaws[i].record));

		assert_case(flaw == flaws[i].flaw, i, key_flaw_text(flaw));
		assert_null(k.pkey);
	}
}

/* --- DER ---------------------------------------------------------------------- */

/* One element: tag, length in the given number of octets (0: the shortest), content. */
static void
der(struct buf *to, int tag, struct slice content, int octets)
{
	size_t n = content.n;

	buf_byte(to, (char)tag);
	if (octets == 0)
		octets = n < 0x80 ? 1 : n < 0x100 ? 2 : 3;
	if (octets > 1)
		buf_byte(to, (char)(0x80 | (octets - 1)));
	for (int i = octets > 1 ? octets - 2 : 0; i >= 0; i--)
		buf_byte(to, (char)(n >> (8 * i)));
	buf_add(to, content);
}

/* A modulus of that many bits: 1000…0001 with `last` as its last octet. */
static void
modulus(struct buf *to, unsigned bits, char last)
{
	if (bits % 8 == 0)
		buf_byte(to, 0);
	buf_byte(to, (char)(1 << ((bits - 1) % 8)));
	for (unsigned i = 1; i < (bits - 1) / 8; i++)
		buf_byte(to, 0);
	buf_byte(to, last);
}

static void
rsa_key(struct buf *to, struct slice n, struct slice e)
{
	struct buf content = BUF(8192);

	der(&content, 0x02, n, 0);
	der(&content, 0x02, e, 0);
	der(to, 0x30, buf_slice(&content), 0);
	buf_free(&content);
}

static enum key_flaw
parse_der(struct slice bytes, unsigned *bits)
{
	struct buf record = BUF(16384);
	struct key k;
	enum key_flaw flaw;

	buf_add(&record, S("k=rsa; p="));
	base64_add(&record, bytes);
	flaw = key_parse(&k, buf_slice(&record));
	*bits = k.bits;
	key_free(&k);
	buf_free(&record);
	return flaw;
}

static const struct {
	unsigned      bits;
	char          last;
	struct slice  exponent;
	enum key_flaw flaw;
} limits[] = {
	{ 512, 1, S_INIT("\1\0\1"), KEY_SHORT },                        /* RFC 8301 3.2 */
	{ 1023, 1, S_INIT("\1\0\1"), KEY_SHORT },
	{ 1024, 1, S_INIT("\1\0\1"), KEY_OK },
	{ 1025, 1, S_INIT("\1\0\1"), KEY_OK },
	{ 2048, 1, S_INIT("\1\0\1"), KEY_OK },
	{ 4096, 1, S_INIT("\1\0\1"), KEY_OK },
	{ 8192, 1, S_INIT("\1\0\1"), KEY_OK },
	{ 8193, 1, S_INIT("\1\0\1"), KEY_LONG },
	{ 16384, 1, S_INIT("\1\0\1"), KEY_LONG },
	{ 2048, 1, S_INIT("\3"), KEY_OK },
	{ 2048, 1, S_INIT("\0\xff\xff"), KEY_OK },
	{ 2048, 1, S_INIT("\1"), KEY_WEAK },
	{ 2048, 1, S_INIT("\2"), KEY_WEAK },
	{ 2048, 1, S_INIT("\1\0\0"), KEY_WEAK },
	{ 2048, 1, S_INIT("\0\xff\xff\xff\xff"), KEY_OK },
	{ 2048, 1, S_INIT("\1\0\0\0\1"), KEY_WEAK },
	{ 2048, 2, S_INIT("\1\0\1"), KEY_WEAK },
	{ 2048, 1, S_INIT("\0\3"), KEY_ENCODING },                      /* not the shortest form */
	{ 2048, 1, S_INIT("\xff"), KEY_ENCODING },                      /* negative */
	{ 2048, 1, S_INIT("\0"), KEY_ENCODING },
	{ 2048, 1, S_INIT(""), KEY_ENCODING },
};

static void
rsa_keys_have_limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		struct buf n = BUF(8192), bytes = BUF(8192);
		unsigned bits;
		enum key_flaw flaw;

		modulus(&n, limits[i].bits, limits[i].last);
		rsa_key(&bytes, buf_slice(&n), limits[i].exponent);
		flaw = parse_der(buf_slice(&bytes), &bits);
		assert_case(flaw == limits[i].flaw, i, key_flaw_text(flaw));
		assert_case(flaw == KEY_ENCODING || bits == limits[i].bits, i, "bits");
		buf_free(&n);
		buf_free(&bytes);
	}
}

static const char RSA_ALGORITHM[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
static const char EC_ALGORITHM[] = "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x05\x00";

/* SubjectPublicKeyInfo around a 2048-bit key, well made or not. */
static void
info(struct buf *to, struct slice algorithm, char unused, int octets, struct slice behind)
{
	struct buf n = BUF(8192), key = BUF(8192), content = BUF(8192), bits = BUF(8192);

	modulus(&n, 2048, 1);
	buf_byte(&bits, unused);
	rsa_key(&bits, buf_slice(&n), S("\1\0\1"));
	der(&content, 0x30, algorithm, 0);
	der(&content, 0x03, buf_slice(&bits), 0);
	der(to, 0x30, buf_slice(&content), octets);
	buf_add(to, behind);
	buf_free(&n);
	buf_free(&key);
	buf_free(&content);
	buf_free(&bits);
}

static const struct {
	struct slice  algorithm;
	char          unused;
	int           octets;
	struct slice  behind;
	enum key_flaw flaw;
} infos[] = {
	{ S_INIT(RSA_ALGORITHM), 0, 0, S_INIT(""), KEY_OK },
	{ { RSA_ALGORITHM, 11 }, 0, 0, S_INIT(""), KEY_OK },            /* without the NULL */
	{ S_INIT(EC_ALGORITHM), 0, 0, S_INIT(""), KEY_ENCODING },
	{ S_INIT(""), 0, 0, S_INIT(""), KEY_ENCODING },
	{ S_INIT(RSA_ALGORITHM), 1, 0, S_INIT(""), KEY_ENCODING },
	{ S_INIT(RSA_ALGORITHM), 0, 0, S_INIT("x"), KEY_ENCODING },
	{ S_INIT(RSA_ALGORITHM), 0, 4, S_INIT(""), KEY_ENCODING },      /* a length not in its shortest form */
	{ S_INIT(RSA_ALGORITHM), 0, 5, S_INIT(""), KEY_ENCODING },
};

static void
key_infos_are_read_strictly(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(infos); i++) {
		struct buf bytes = BUF(8192);
		unsigned bits;
		enum key_flaw flaw;

		info(&bytes, infos[i].algorithm, infos[i].unused, infos[i].octets, infos[i].behind);
		flaw = parse_der(buf_slice(&bytes), &bits);
		assert_case(flaw == infos[i].flaw, i, key_flaw_text(flaw));
		if (flaw == KEY_OK)                     /* cut short anywhere it is no key */
			for (size_t n = 0; n < bytes.n; n++)
				assert_int_equal(parse_der(slice_of(bytes.p, n), &bits),
				    n == 0 ? KEY_REVOKED : KEY_ENCODING);
		buf_free(&bytes);
	}
}

/* --- the cache ------------------------------------------------------------------ */

static void
a_record_is_parsed_once_and_told_from_others_by_every_byte(void **state)
{
	struct keys *keys = keys_new(8);
	enum key_flaw flaw;
	const struct key *k = keys_get(keys, S("p=" RSA_P), &flaw);

	(void)state;
	assert_non_null(k);
	assert_int_equal(flaw, KEY_OK);
	assert_ptr_equal(keys_get(keys, S("p=" RSA_P), &flaw), k);
	assert_null(keys_get(keys, S("P=" RSA_P), &flaw));      /* its hash is the same */
	assert_int_equal(flaw, KEY_NO_DATA);
	assert_null(keys_get(keys, S("P=" RSA_P), &flaw));
	assert_int_equal(flaw, KEY_NO_DATA);
	assert_ptr_equal(keys_get(keys, S("p=" RSA_P), &flaw), k);
	assert_int_equal(flaw, KEY_OK);
	keys_free(keys);
	keys_free(NULL);
}

static void
a_full_cache_forgets_but_never_errs(void **state)
{
	struct keys *keys = keys_new(8);
	char record[400];
	enum key_flaw flaw;

	(void)state;
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 50; i++) {
			const struct key *k;

			snprintf(record, sizeof record, "n=%d; t=%s; p=" RSA_P, i, i % 2 ? "y" : "");
			k = keys_get(keys, slice(record), &flaw);
			assert_true(k != NULL && k->testing == (i % 2 == 1));
		}
	keys_free(keys);
}

static void
a_huge_record_is_not_even_kept(void **state)
{
	struct keys *keys = keys_new(1);
	struct buf record = BUF(1 << 20);
	enum key_flaw flaw;

	(void)state;
	buf_add(&record, S("p=" RSA_P "; n="));
	while (record.n <= KEY_RECORD_MOST)
		buf_byte(&record, 'x');
	assert_null(keys_get(keys, buf_slice(&record), &flaw));
	assert_int_equal(flaw, KEY_SYNTAX);
	keys_free(keys);
	buf_free(&record);
}

/* --- private keys ------------------------------------------------------------------ */

#define EC_PEM "-----BEGIN PRIVATE KEY-----\n" \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggNw1uAUVkJc1hKi3\n" \
	"R9sLvVn9pR3yz3Jn3iEGKNY7pK+hRANCAAQ5l5pV0mnpJjVlV0eU0oYw7m0kE0Ye\n" \
	"-----END PRIVATE KEY-----\n"
#define RSA_512_PEM "-----BEGIN PRIVATE KEY-----\n" \
	"MIIBVgIBADANBgkqhkiG9w0BAQEFAASCAUAwggE8AgEAAkEA4urJPYIsKr7xiWla\n" \
	"QDcEbGbkuNJPegZuEm1wk/Xt+YEnBCsLgh8McPINiG/EwAezIOZ+UU/mNbL3vTEX\n" \
	"oglh8QIDAQABAkEA10iLTnjOsGthus2iG2RXJQVloFefoZSyH3eHJElh0qDE7j8G\n" \
	"xXO11ua8/abOkHlsHPmlzsJu2EF1TAEt1gYmAQIhAPyXKGyRLVtZo5SEb1Er8Bdi\n" \
	"+ichlK2AQ7p79CQXX5NhAiEA5frpk0y3XG/x7dmbY0wwKVElTMWtcEGW7GblmY23\n" \
	"6JECIQCtlXuUUJipBIskD3cog1d12vEqXyt7qH/i8jgvbVijQQIgL9OPUZeppiqN\n" \
	"mFYhr3O/rEf4xs9xMyAgv8biRp2nOlECIQDmqKaqcEiYGpdfjmN7BD/qoHaaUCdN\n" \
	"ZeJwuoLGFSZorg==\n" \
	"-----END PRIVATE KEY-----\n"

static const struct {
	const char   *text;
	bool          ok;
	enum key_type type;
	unsigned      bits;
	const char   *why;
} privates[] = {
	{ KEY_RSA_2048_PEM, true, KEY_RSA, 2048, "" },
	{ KEY_RSA_1024_PEM, true, KEY_RSA, 1024, "" },
	{ KEY_ED25519_PEM, true, KEY_ED25519, 256, "" },
	{ KEY_ED25519_SEED, true, KEY_ED25519, 256, "" },
	{ RSA_512_PEM, false, KEY_RSA, 0, "512 bits cannot sign" },
	{ EC_PEM, false, KEY_RSA, 0, "no private key" },
	{ "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", false, 0, 0,
	  "encrypted" },
	{ "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", false, 0, 0, "no private key" },
	{ "-----BEGIN PRIVATE KEY-----\n", false, 0, 0, "no private key" },
	{ "-----BEGIN PUBLIC KEY-----\n" RSA_P "\n-----END PUBLIC KEY-----\n", false, 0, 0, "no private key" },
	{ "", false, 0, 0, "no private key" },
	{ "nWGxne/9WmC6hEr0kuwsxA==", false, 0, 0, "no private key" },
};

/* What a private key signs, the record that it names verifies; and nothing else. */
static void
sign_and_verify(const struct signing_key *k)
{
	struct buf record = BUF(4096), signature = BUF(4096);
	unsigned char digest[SHA256_BYTES];
	struct key public;

	sha256_of(S("a message"), digest);
	signing_key_record(k, &record);
	assert_int_equal(key_parse(&public, buf_slice(&record)), KEY_OK);
	assert_int_equal(public.type, k->type);
	assert_int_equal(public.bits, k->bits);
	assert_true(signing_key_sign(k, digest, &signature, NULL));
	assert_true(key_verifies(&public, digest, buf_slice(&signature)));
	assert_false(key_verifies(&public, digest, slice_head(buf_slice(&signature), signature.n - 1)));
	assert_false(key_verifies(&public, digest, S("")));
	signature.p[9] ^= 1;
	assert_false(key_verifies(&public, digest, buf_slice(&signature)));
	signature.p[9] ^= 1;
	digest[0] ^= 1;
	assert_false(key_verifies(&public, digest, buf_slice(&signature)));
	key_free(&public);
	buf_free(&record);
	buf_free(&signature);
}

static void
private_keys_are_read_and_sign(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(privates); i++) {
		struct signing_key k;
		struct error why = { 0 };
		bool ok = signing_key_parse(&k, slice(privates[i].text), &why);

		assert_case(ok == privates[i].ok, i, why.text);
		assert_case(strstr(why.text, privates[i].why) != NULL, i, why.text);
		assert_case((k.pkey != NULL) == privates[i].ok, i, "pkey");
		if (!ok)
			continue;
		assert_int_equal(k.type, privates[i].type);
		assert_int_equal(k.bits, privates[i].bits);
		sign_and_verify(&k);
		signing_key_free(&k);
	}
}

static void
a_record_is_what_the_rfc_says(void **state)
{
	struct signing_key k;
	struct buf record = BUF(4096);

	(void)state;
	assert_true(signing_key_parse(&k, slice(KEY_ED25519_SEED), NULL));
	signing_key_record(&k, &record);
	assert_slice(buf_slice(&record), KEY_ED25519_RECORD);           /* RFC 8463 A.2 */
	signing_key_free(&k);
	buf_free(&record);
}

static void
a_signature_needs_room(void **state)
{
	struct signing_key k;
	struct buf to = BUF(100);
	struct error why = { 0 };

	(void)state;
	assert_true(signing_key_parse(&k, slice(KEY_ED25519_SEED), NULL));
	assert_false(signing_key_sign(&k, (const unsigned char *)"0123456789abcdef0123456789abcdef", &to, &why));
	assert_non_null(strstr(why.text, "room"));
	signing_key_free(&k);
	buf_free(&to);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_read_in_every_legal_shape),
		cmocka_unit_test(every_refusal_has_its_reason),
		cmocka_unit_test(rsa_keys_have_limits),
		cmocka_unit_test(key_infos_are_read_strictly),
		cmocka_unit_test(a_record_is_parsed_once_and_told_from_others_by_every_byte),
		cmocka_unit_test(a_full_cache_forgets_but_never_errs),
		cmocka_unit_test(a_huge_record_is_not_even_kept),
		cmocka_unit_test(private_keys_are_read_and_sign),
		cmocka_unit_test(a_record_is_what_the_rfc_says),
		cmocka_unit_test(a_signature_needs_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
