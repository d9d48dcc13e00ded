/* SPDX-License-Identifier: ISC */
/*
 * TLSA record sets of any kind, each record with a length of one or two octets
 * before it.  What we call usable OpenSSL must take, so that a plan that demands
 * DANE can be carried out; and of what OpenSSL takes for usage 2 and 3 nothing
 * may be called unusable, so that nobody loses his protection.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/bug.h"
#include "delivery/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MOST = 64 };

static size_t
cut_records(const uint8_t *data, size_t size, struct record *records)
{
	size_t n = 0;

	while (size > 0 && n < RECORDS_MOST) {
		size_t length = *data++;

		size--;
		if (length >= 0xc0 && size > 0) {               /* two octets */
			length = (length & 0x3f) << 8 | *data++;
			size--;
		}
		if (length > size)
			length = size;
		records[n++].data = slice_of(data, length);
		data += length;
		size -= length;
	}
	return n;
}

static SSL *
dane_client(void)
{
	static SSL_CTX *context;
	SSL *ssl;

	if (context == NULL) {
		bug_if((context = SSL_CTX_new(TLS_client_method())) == NULL);
		bug_if(SSL_CTX_dane_enable(context) != 1);
	}
	bug_if((ssl = SSL_new(context)) == NULL || SSL_dane_enable(ssl, "mx.a.test") != 1);
	return ssl;
}

static void
compare(const struct tlsa_set *set)
{
	SSL *ssl = dane_client();

	for (size_t i = 0; i < set->count; i++) {
		const struct tlsa *t = &set->records[i];
		bool ours = t->use != TLSA_UNUSABLE, theirs;

		if (t->usage != 2 && t->usage != 3) {
			bug_if(ours);
			continue;
		}
		theirs = SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching,
		    (const unsigned char *)t->data.p, t->data.n) > 0;
		ERR_clear_error();
		bug_if(ours != theirs);
	}
	SSL_free(ssl);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(1 << 22);
	struct record records[RECORDS_MOST] = { 0 };
	struct fact f = { .count = cut_records(data, size, records), .records = records };
	struct plan_host host = { .name = S("mx.a.test") };
	struct tlsa_set set;

	bug_if(!tlsa_read(&set, &f, arena));
	compare(&set);
	plan_label_tlsa(&host, S("mx.a.test"), &set, arena);
	bug_if(host.label.string_count != f.count);
	arena_free(arena);
	return 0;
}
