/* SPDX-License-Identifier: ISC */
/*
 * Messages sealed per second on all cores, beside what OpenSSL can sign with the same
 * key on all cores: a seal is two signatures (RFC 8617 5.1), so half of that is the
 * bound.  Both in turn, several times, medians.
 *
 * A message is sealed as the queue does it in its jobs: from the header as it leaves
 * and the hash of the body that was made at arrival.
 */
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "arc/seal.h"
#include "base/bug.h"
#include "base/clock.h"
#include "tests/unit/keys.h"

enum { PAIRS = 9, RUN_MS = 400, THREADS_MOST = 64, MEMORY = 1 << 20, SET_MOST = 1 << 16 };

static const char HEADER[] =
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=bank.test; s=s1; h=from:to:subject;\r\n"
    " bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n"
    "Received: from client.bank.test (client.bank.test [192.0.2.7])\r\n"
    "\tby mx.lists.test with ESMTPS id 1; Sun, 22 Nov 2026 10:00:00 +0000\r\n"
    "From: Alice <alice@bank.test>\r\nTo: members@lists.test\r\nSubject: [members] Minutes\r\n"
    "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@bank.test>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/plain\r\nList-Id: <members.lists.test>\r\n";

static struct signing_key key;
static atomic_bool over;

/* Seals until the time is over; how many. */
static size_t
seal_on(void)
{
	const struct arc_arrival seen = { ARC_NONE, S("mx.lists.test; spf=pass smtp.mailfrom=bank.test;"
	    " dkim=pass header.d=bank.test; dmarc=pass header.from=bank.test; arc=none") };
	const struct signer signer = { .domain = S("lists.test"), .selector = S("arc1"), .key = &key };
	const unsigned char hash[SHA256_BYTES] = "thirty-two octets of a body here";
	struct buf set = BUF(SET_MOST);
	struct error why;
	size_t n = 0;

	while (!over) {
		struct arena *arena = arena_new(MEMORY);
		struct header h;

		bug_if(!header_parse(&h, slice(HEADER), arena, &why));
		buf_clear(&set);
		bug_if(arc_seal(&signer, &h, hash, &seen, 1795342332000, &set, &why) != ARC_SEALED);
		arena_free(arena);
		n++;
	}
	buf_free(&set);
	return n;
}

/* What `openssl speed rsa2048` does. */
static size_t
sign_on(void)
{
	const unsigned char digest[SHA256_BYTES] = { 1 };
	unsigned char signature[512];
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key.pkey, NULL);
	size_t n = 0;

	bug_if(c == NULL || EVP_PKEY_sign_init(c) != 1);
	for (; !over; n++) {
		size_t size = sizeof signature;

		bug_if(EVP_PKEY_sign(c, signature, &size, digest, sizeof digest) != 1);
	}
	EVP_PKEY_CTX_free(c);
	return n;
}

struct worker {
	pthread_t thread;
	size_t  (*work)(void);
	size_t    n;
};

static void *
work(void *arg)
{
	struct worker *w = arg;

	w->n = w->work();
	return NULL;
}

/* On all cores, a while. */
static double
rate(size_t (*what)(void), size_t threads)
{
	const struct timespec run = { RUN_MS / 1000, RUN_MS % 1000 * 1000000 };
	struct worker w[THREADS_MOST];
	int64_t begun = clock_micros();
	size_t n = 0;

	over = false;
	for (size_t i = 0; i < threads; i++) {
		w[i].work = what;
		bug_if(pthread_create(&w[i].thread, NULL, work, &w[i]) != 0);
	}
	nanosleep(&run, NULL);
	over = true;
	for (size_t i = 0; i < threads; i++) {
		pthread_join(w[i].thread, NULL);
		n += w[i].n;
	}
	return (double)n * 1e6 / (double)(clock_micros() - begun);
}

static int
ascending(const void *a, const void *b)
{
	double p = *(const double *)a, q = *(const double *)b;

	return (p > q) - (p < q);
}

int
main(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t threads = cores < 1 ? 1 : cores > THREADS_MOST ? THREADS_MOST : (size_t)cores;
	double sealed[PAIRS], bare[PAIRS], ratio[PAIRS];
	struct error why;

	if (!signing_key_parse(&key, slice(KEY_RSA_2048_PEM), &why))
		return 1;
	for (int i = 0; i < PAIRS; i++) {
		sealed[i] = rate(seal_on, threads);
		bare[i] = rate(sign_on, threads);
		ratio[i] = 2 * sealed[i] / bare[i];
	}
	qsort(sealed, PAIRS, sizeof *sealed, ascending);
	qsort(bare, PAIRS, sizeof *bare, ascending);
	qsort(ratio, PAIRS, sizeof *ratio, ascending);
	printf("seal: %.0f messages/s on %zu cores; OpenSSL signs %.0f/s with the same RSA-2048 key\n"
	    "  %.2f of the bound of two signatures a message (0.70 wanted; %.2f to %.2f of %d pairs)\n",
	    sealed[PAIRS / 2], threads, bare[PAIRS / 2], ratio[PAIRS / 2], ratio[0], ratio[PAIRS - 1],
	    PAIRS);
	signing_key_free(&key);
	return 0;
}
