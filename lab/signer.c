/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "lab/keys.h"
#include "lab/records.h"
#include "lab/signer.h"

enum { ED25519 = 15, SHA256 = 2, KEY_BYTES = 32, PROCESSES_MOST = 8, TIME_TEXT = 16 };

/* --- keys ----------------------------------------------------------------------- */

/* The data of the DNSKEY record (RFC 4034 2.1): a zone key that is an entry point. */
static void
add_dnskey(const EVP_PKEY *key, struct buf *to)
{
	unsigned char public[KEY_BYTES];
	size_t n = sizeof public;

	bug_if(EVP_PKEY_get_raw_public_key(key, public, &n) != 1);
	buf_add(to, S("\x01\x01\x03\x0f"));
	buf_add(to, slice_of(public, n));
}

/* RFC 4034, Appendix B. */
static unsigned
key_tag(struct slice dnskey)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < dnskey.n; i++)
		sum += (uint32_t)(unsigned char)dnskey.p[i] << (i & 1 ? 0 : 8);
	return (sum + (sum >> 16)) & 0xffff;
}

/* RFC 4034 5.1.4: the digest of the owner's name and the key's data. */
static void
add_ds(struct slice name, struct slice dnskey, struct buf *to)
{
	struct buf in = BUF(1000);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n;

	bug_if(!name_to_wire(name, &in));
	buf_add(&in, dnskey);
	bug_if(EVP_Digest(in.p, in.n, digest, &n, EVP_sha256(), NULL) != 1);
	buf_printf(to, "%u %u %u ", key_tag(dnskey), ED25519, SHA256);
	hex_add(to, slice_of(digest, n));
	buf_free(&in);
}

static void
add_private(const EVP_PKEY *key, struct buf *to)
{
	unsigned char private[KEY_BYTES];
	size_t n = sizeof private;

	bug_if(EVP_PKEY_get_raw_private_key(key, private, &n) != 1);
	buf_add(to, S("Private-key-format: v1.2\nAlgorithm: 15 (ED25519)\nPrivateKey: "));
	base64_add(to, slice_of(private, n));
	buf_byte(to, '\n');
}

static void
keep(struct buf *text, char *to, size_t room)
{
	bug_if(text->full || text->n >= room);
	memcpy(to, text->p, text->n);
	to[text->n] = '\0';
	buf_clear(text);
}

void
zone_key_make(uint64_t seed, struct slice name, struct zone_key *k)
{
	struct buf text = BUF(1000), dnskey = BUF(100), label = BUF(300);
	EVP_PKEY *key;

	buf_printf(&label, "zone %.*s.", FMT(name));
	key = key_make(KEY_ED25519, seed, buf_slice(&label));
	add_dnskey(key, &dnskey);
	buf_add(&text, S("257 3 15 "));
	base64_add(&text, slice_skip(buf_slice(&dnskey), 4));
	keep(&text, k->dnskey, sizeof k->dnskey);
	add_ds(name, buf_slice(&dnskey), &text);
	keep(&text, k->ds, sizeof k->ds);
	add_private(key, &text);
	keep(&text, k->private, sizeof k->private);
	EVP_PKEY_free(key);
	buf_free(&text);
	buf_free(&dnskey);
	buf_free(&label);
}

/* --- running the signer --------------------------------------------------------------- */

extern char **environ;

/* YYYYMMDDhhmmss */
static void
time_text(int64_t at, char text[TIME_TEXT])
{
	time_t seconds = (time_t)(at / 1000);
	struct tm t;

	bug_if(gmtime_r(&seconds, &t) == NULL || strftime(text, TIME_TEXT, "%Y%m%d%H%M%S", &t) == 0);
}

static bool
path_of(char path[PATH_MAX], const char *base, const char *end, struct error *why)
{
	return snprintf(path, PATH_MAX, "%s.%s", base, end) < PATH_MAX ||
	    error_set(why, "the path %.60s… is too long", base);
}

/* What the signer is told, and where its words go: to a file, for the error. */
struct command {
	char        zone[PATH_MAX], out[PATH_MAX], log[PATH_MAX];
	char        from[TIME_TEXT], until[TIME_TEXT];
	const char *argv[16];
};

static void
set_arguments(struct command *c, const struct signing *s)
{
	static const char *const opt_out[] = { "-n", "-t", "0", "-p" };
	size_t extra = s->denial == ZONE_NSEC ? 0 : s->denial == ZONE_NSEC3 ? 3 : 4, n = 0;

	c->argv[n++] = "ldns-signzone";
	c->argv[n++] = "-i";
	c->argv[n++] = c->from;
	c->argv[n++] = "-e";
	c->argv[n++] = c->until;
	c->argv[n++] = "-f";
	c->argv[n++] = c->out;
	for (size_t i = 0; i < extra; i++)
		c->argv[n++] = opt_out[i];
	c->argv[n++] = c->zone;
	c->argv[n++] = s->base;
	c->argv[n] = NULL;
}

static int
spawn(struct signing *s, const struct command *c)
{
	posix_spawn_file_actions_t files;
	int code;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 2, c->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&files, 2, 1);
	code = posix_spawnp(&s->process, c->argv[0], &files, NULL, (char *const *)c->argv, environ);
	posix_spawn_file_actions_destroy(&files);
	return code;
}

static bool
start(struct signing *s, int64_t from, int64_t until, struct error *why)
{
	struct command c;
	int code;

	s->done = false;
	s->process = -1;
	if (!path_of(c.zone, s->base, "zone", why) || !path_of(c.out, s->base, "signed", why) ||
	    !path_of(c.log, s->base, "log", why))
		return false;
	time_text(from, c.from);
	time_text(until, c.until);
	set_arguments(&c, s);
	if ((code = spawn(s, &c)) == 0)
		return true;
	s->process = -1;
	errno = code;
	return error_sys(why, "cannot run ldns-signzone (Debian package ldnsutils)");
}

/* The first line that it wrote, or nothing. */
static void
why_not(const struct signing *s, struct error *why)
{
	char log[PATH_MAX];
	struct buf text = BUF(100000);
	struct slice rest, line = NONE;

	if (path_of(log, s->base, "log", why) && file_read(log, &text, NULL)) {
		rest = buf_slice(&text);
		slice_cut(&rest, '\n', &line);
	}
	error_set(why, "ldns-signzone refuses %s.zone: %.*s", s->base, FMT(slice_head(line, 120)));
	buf_free(&text);
}

static bool
finish(struct signing *s, struct error *why)
{
	int status;

	while (waitpid(s->process, &status, 0) == -1)
		if (errno != EINTR)
			return error_sys(why, "cannot wait for ldns-signzone");
	s->done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (!s->done)
		why_not(s, why);
	return s->done;
}

static size_t
width(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return processors < 1 ? 1 : processors > PROCESSES_MOST ? PROCESSES_MOST : (size_t)processors;
}

/* Zone i begins when zone i - width has ended; zones are about as long as each other. */
bool
sign_zones(struct signing *s, size_t n, int64_t from, int64_t until, struct error *why)
{
	size_t wide = width();
	struct error first = { 0 };
	bool ok = true;

	for (size_t i = 0; i < n + wide; i++) {
		struct error *tell = ok ? &first : NULL;

		if (i >= wide && i - wide < n && s[i - wide].process != -1)
			ok &= finish(&s[i - wide], tell);
		tell = ok ? &first : NULL;
		if (i < n)
			ok &= start(&s[i], from, until, tell);
	}
	if (!ok && why != NULL)
		*why = first;
	return ok;
}

/* --- breaking signatures ------------------------------------------------------------------ */

/* OWNER TTL IN RRSIG TYPE …: which type's signature this is; NONE for other lines. */
static struct slice
covered_type(struct slice line, struct slice *owner)
{
	struct slice word = NONE, type = NONE;

	if (!slice_word(&line, owner) || !slice_word(&line, &word) || !slice_word(&line, &word) ||
	    !slice_word(&line, &word) || !slice_eqi(word, S("RRSIG")) || !slice_word(&line, &type))
		return NONE;
	if (owner->n > 0 && owner->p[owner->n - 1] == '.')
		owner->n--;
	return type;
}

/* The signature is the last word: its first letter becomes another one. */
static void
add_broken(struct buf *to, struct slice line)
{
	size_t at;

	line = slice_trim(line);
	for (at = line.n; at > 0 && !is_space(line.p[at - 1]);)
		at--;
	buf_add(to, slice_head(line, at));
	buf_byte(to, line.p[at] == 'A' ? 'B' : 'A');
	buf_add(to, slice_skip(line, at + 1));
	buf_add(to, S(" ;bogus\n"));
}

void
signatures_break(struct slice text, bool (*breaks)(void *, struct slice, struct slice), void *arg,
    struct buf *to)
{
	struct slice line, owner, type;

	while (slice_cut(&text, '\n', &line)) {
		type = covered_type(line, &owner);
		if (type.n > 0 && breaks(arg, owner, type)) {
			add_broken(to, line);
		} else {
			buf_add(to, line);
			buf_byte(to, '\n');
		}
	}
}
