/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/rng.h"
#include "queue/spool.h"
#include "tests/crash/work.h"

enum {
	SEGMENT = 32 << 10,
	IDS = 1000,                     /* more than any life uses */
	LAST = IDS - 1,                 /* the message that shows that all is well again */
	NEWEST = IDS - 2,               /* the one that work_check() adds */
};

/* --- one life --------------------------------------------------------------------------- */

struct asked {
	char     answer;
	uint64_t id;
	unsigned n;
};

struct life {
	const char          *dir;
	int                  ledger;
	struct clock         clock;
	struct spool_options options;
	struct spool        *spool;
	bool                 taken[IDS];
};

static struct life life;                /* of this process, which is made for it */

static void
tell(char what, uint64_t id, unsigned n)
{
	struct buf line = BUF(100);

	buf_printf(&line, "%c %d %u\n", what, (int)id, n);
	bug_if(!file_write(life.ledger, buf_slice(&line), NULL));
	buf_free(&line);
}

static void
answered(void *arg, struct status status)
{
	struct asked *a = arg;

	if (status_good(status)) {
		tell(a->answer, a->id, a->n);
		life.taken[a->id] = life.taken[a->id] || a->answer == 'a';
	}
	free(a);
}

static struct asked *
ask(char question, char answer, uint64_t id, unsigned n)
{
	struct asked *a = must_alloc(sizeof *a);

	tell(question, id, n);
	*a = (struct asked){ answer, id, n };
	return a;
}

static char
byte_of(uint64_t id, size_t i)
{
	return (char)(id * 37 + i * 11 + (i >> 9));
}

static char *
text_of(uint64_t id, size_t n)
{
	char *p = must_alloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = byte_of(id, i);
	return p;
}

static struct recipient to[] = { { S_INIT("a@x.test"), { NULL, 0 }, 0, NO_RECIPIENT } };

static struct envelope
envelope_of(uint64_t id, size_t size)
{
	return (struct envelope){ .id = id, .arrival = 1000, .sender = S("s@x.test"),
		.recipients = to, .count = 1, .size = size, .parent_recipient = NO_RECIPIENT };
}

static bool
start(void)
{
	struct error why;

	for (int attempt = 0; life.spool == NULL && attempt < 3; attempt++)
		life.spool = spool_open(&life.options, &why);
	return life.spool != NULL;
}

/* Everything that can end does. */
static void
complete(void)
{
	spool_drain(life.spool);
	spool_complete(life.spool);
}

static void
small(uint64_t id, size_t n)
{
	struct envelope e = envelope_of(id, n);
	char *text = text_of(id, n);

	spool_store(life.spool, &e, slice_of(text, n), answered, ask('s', 'a', id, (unsigned)n));
	free(text);
}

static void
large(uint64_t id, size_t n)
{
	struct envelope e = envelope_of(id, n);
	struct spool_content c;
	char *text = text_of(id, n);

	e.summed = true;
	e.content_sum = crc32c(0, slice_of(text, n));
	if (spool_content_begin(life.spool, &c, NULL)) {
		if (file_write(c.fd, slice_of(text, n), NULL))
			spool_store_file(life.spool, &e, c, answered, ask('s', 'a', id, (unsigned)n));
		else
			spool_content_drop(life.spool, &c);
	}
	free(text);
}

static void
state(uint64_t id, unsigned n, enum recipient_stage stage)
{
	struct recipient_state s = { .stage = stage, .attempts = n };

	if (life.taken[id])
		spool_state(life.spool, id, &s, answered, ask('t', 'T', id, n));
}

static void
gone(uint64_t id)
{
	if (life.taken[id])
		spool_gone(life.spool, id, answered, ask('g', 'G', id, 0));
}

static void
tidy(int turns)
{
	while (turns-- > 0) {
		clock_move(&life.clock, SECOND);
		spool_tidy(life.spool);
		spool_complete(life.spool);
	}
}

static bool
restart(void)
{
	spool_close(life.spool);
	life.spool = NULL;
	return start();
}

/* --- the lives ------------------------------------------------------------------------------ */

static bool
accept_small(void)
{
	small(1, 100);
	complete();
	small(2, 5000);
	small(3, 0);
	complete();
	small(4, 20000);
	small(5, 4000);
	small(6, 15000);
	complete();
	return true;
}

static bool
accept_large(void)
{
	struct spool_content c;

	large(1, SMALL_CONTENT + 10);
	complete();
	if (spool_content_begin(life.spool, &c, NULL))
		spool_content_drop(life.spool, &c);
	large(2, SMALL_CONTENT + 5000);
	small(3, 700);
	large(4, SMALL_CONTENT + 1);
	complete();
	gone(2);
	complete();
	tidy(2);
	return true;
}

static bool
deliver(void)
{
	for (uint64_t id = 1; id <= 4; id++) {
		small(id, 1000 * (size_t)id);
		complete();
	}
	for (uint64_t id = 1; id <= 3; id++) {
		state(id, 1, RECIPIENT_DONE);
		gone(id);
		complete();
	}
	tidy(1);
	return true;
}

static bool
defer(void)
{
	small(1, 3000);
	small(2, 3000);
	complete();
	for (unsigned n = 1; n <= 4; n++) {
		state(1, n, RECIPIENT_WAITING);
		state(2, n, RECIPIENT_WAITING);
		if (n == 2)
			spool_seal(life.spool, 1, S("lists"), S("ARC-Seal: i=1\r\n"), NULL, NULL);
		complete();
		tidy(2);
	}
	return restart();
}

/* The report is stored before the message it is about ends. */
static bool
expire(void)
{
	small(1, 2000);
	complete();
	state(1, 9, RECIPIENT_FAILED);
	small(2, 800);
	complete();
	if (life.taken[2])
		gone(1);
	complete();
	state(2, 1, RECIPIENT_DONE);
	gone(2);
	complete();
	tidy(2);
	return true;
}

static bool
recycle(void)
{
	for (uint64_t id = 1; id <= 24; id++) {
		small(id, 6000);
		complete();
		gone(id);
		complete();
		tidy(1);
	}
	return true;
}

static bool
copy_forward(void)
{
	small(1, 300);
	small(2, 300);
	large(3, SMALL_CONTENT + 100);
	complete();
	for (uint64_t id = 10; id <= 45; id++) {
		small(id, 6000);
		state(1, (unsigned)id, RECIPIENT_WAITING);
		complete();
		gone(id);
		if (id % 3 == 0)
			tidy(2);
	}
	complete();
	tidy(3);
	return true;
}

static bool
restarts(void)
{
	for (uint64_t id = 1; id <= 4; id++) {
		small(id, 900);
		complete();
		state(id, 1, RECIPIENT_WAITING);
		if (id > 1)
			gone(id - 1);
		complete();
		tidy(2);
		if (!restart())
			return false;
	}
	return true;
}

static bool
with_threads(void)
{
	spool_close(life.spool);
	life.spool = NULL;
	life.options.threadless = false;
	if (!start())
		return false;
	for (uint64_t id = 1; id <= 120; id++) {
		if (id % 10 == 0)
			large(id, SMALL_CONTENT + 50);
		else
			small(id, 3000);
		if (id > 8 && id % 4)
			gone(id - 8);
		if (id % 5 == 0)
			complete();
		tidy(1);
	}
	complete();
	return true;
}

const char *const WORKS[] = { "accept small", "accept large", "deliver", "defer", "expire",
	"recycle", "copy forward", "restart", "threads", NULL };
static bool (*const LIVES[])(void) = { accept_small, accept_large, deliver, defer, expire,
	recycle, copy_forward, restarts, with_threads };

static bool (*life_of(const char *name))(void)
{
	for (size_t i = 0; WORKS[i] != NULL; i++)
		if (strcmp(WORKS[i], name) == 0)
			return LIVES[i];
	bug(__FILE__, __LINE__, name);
}

enum work_end
work_run(const char *name, const char *dir, const char *ledger)
{
	life = (struct life){ .dir = dir, .clock = clock_virtual(1000) };
	life.options = (struct spool_options){ .dir = dir, .clock = &life.clock, .threadless = true,
		.segment = SEGMENT };
	life.ledger = open(ledger, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	bug_if(life.ledger == -1);
	if (!start() || !life_of(name)())
		return WORK_CLOSED;
	for (int attempt = 0; attempt < 3 && !life.taken[LAST]; attempt++) {
		tidy(3);
		small(LAST, 5000);      /* the first may meet the fault itself */
		complete();
	}
	spool_close(life.spool);
	close(life.ledger);
	return life.taken[LAST] ? WORK_DONE : WORK_UNWELL;
}

/* --- what must be true ---------------------------------------------------------------------------- */

struct fate {
	bool     submitted, acknowledged, ending, ended;
	uint64_t size;
	unsigned state, state_acknowledged;
};

struct check {
	struct spool *spool;
	struct fate   fate[IDS];
	struct buf    bytes;
	struct arena *arena;
	char          damage[256];
	char          lie[256];
	unsigned      lost;
};

static void
read_line(struct fate *fate, struct slice line)
{
	struct slice what, id_text, n_text;
	uint64_t id, n;

	if (!slice_word(&line, &what) || !slice_word(&line, &id_text) || !slice_word(&line, &n_text) ||
	    !slice_number(id_text, IDS - 1, &id) || !slice_number(n_text, UINT32_MAX, &n))
		return;                         /* the process died while it wrote */
	fate += id;
	switch (what.p[0]) {
	case 's': fate->submitted = true; fate->size = n; break;
	case 'a': fate->acknowledged = true; break;
	case 't': fate->state = (unsigned)n; break;
	case 'T': fate->state_acknowledged = (unsigned)n; break;
	case 'g': fate->ending = true; break;
	case 'G': fate->ended = true; break;
	}
}

static void
hear(void *arg, enum spool_news what, const char *sentence)
{
	struct check *k = arg;

	if (what == SPOOL_DAMAGE && k->damage[0] == '\0')
		snprintf(k->damage, sizeof k->damage, "%s", sentence);
}

static bool
lie(struct check *k, uint64_t id, const char *what)
{
	if (k->lie[0] == '\0')
		snprintf(k->lie, sizeof k->lie, "message %d: %s", (int)id, what);
	return false;
}

static bool
is_text(const struct check *k, uint64_t id, const struct stored *m)
{
	uint64_t size = k->fate[id].size;
	char *got = must_alloc(size + 1), *want = text_of(id, size);
	bool same;

	if (m->fd != -1)
		same = file_read_at(m->fd, got, size, 0, NULL) && memcmp(got, want, size) == 0;
	else
		same = slice_eq(m->content, slice_of(want, size));
	free(got);
	free(want);
	return same;
}

/* It lives: it was submitted so, to the byte, and its states are no older than was told. */
static bool
look_at(void *arg, const struct found *f)
{
	struct check *k = arg;
	uint64_t id = f->summary.id;
	unsigned attempts = f->count ? f->states[0].attempts : 0;
	struct stored m;
	bool same;

	if (id >= IDS || !k->fate[id].submitted)
		return lie(k, id, "nobody submitted it");
	if (k->fate[id].ended)
		return lie(k, id, "it had ended");
	if (attempts < k->fate[id].state_acknowledged)
		return lie(k, id, "a state that was acknowledged is gone");
	if (attempts > k->fate[id].state)
		return lie(k, id, "it has a state that nobody submitted");
	arena_reset(k->arena);
	if (!spool_read(k->spool, id, &k->bytes, k->arena, &m, NULL))
		return lie(k, id, "it cannot be read");
	same = m.envelope.id == id && m.envelope.size == k->fate[id].size && is_text(k, id, &m);
	if (m.fd != -1)
		close(m.fd);
	return same || lie(k, id, "it has changed");
}

static void
count_lost(struct check *k)
{
	for (uint64_t id = 0; id < IDS; id++)
		if (k->fate[id].acknowledged && !k->fate[id].ending && !spool_living(k->spool, id)) {
			k->lost++;
			lie(k, id, "it was acknowledged and is not there");
		}
}

static void
note_taken(void *arg, struct status status)
{
	*(bool *)arg = status_good(status);
}

/* It goes on: another message is taken. */
static void
work_on(struct check *k)
{
	struct envelope e = envelope_of(NEWEST, 3000);
	char *text = text_of(NEWEST, 3000);
	bool taken = false;

	if (!spool_living(k->spool, NEWEST)) {
		spool_store(k->spool, &e, slice_of(text, 3000), note_taken, &taken);
		spool_drain(k->spool);
		if (!taken)
			lie(k, NEWEST, "it is not taken");
	}
	k->fate[NEWEST] = (struct fate){ .submitted = true, .acknowledged = true, .size = 3000 };
	free(text);
	for (int i = 0; i < 3; i++) {
		spool_tidy(k->spool);
		spool_complete(k->spool);
	}
}

static void
look(struct check *k, struct error *why)
{
	spool_each(k->spool, look_at, k);
	count_lost(k);
	spool_drain(k->spool);
	if (!(spool_verify(k->spool, why) && spool_verify_contents(k->spool, why)) && k->lie[0] == '\0')
		snprintf(k->lie, sizeof k->lie, "%s", why->text);
}

bool
work_check(const char *dir, struct slice ledger, bool damage_allowed, unsigned *lost_r,
    struct error *why)
{
	static struct check k;
	struct clock clock = clock_virtual(100000);
	struct spool_options o = { .dir = dir, .clock = &clock, .threadless = true,
		.segment = SEGMENT, .news = hear, .arg = &k };
	struct slice line;

	k = (struct check){ .bytes = BUF(RECORD_MOST), .arena = arena_new(1 << 20) };
	while (slice_cut(&ledger, '\n', &line))
		read_line(k.fate, line);
	for (int turn = 0; turn < 2; turn++) {
		struct error local = { 0 };

		k.spool = spool_open(&o, &local);
		if (k.spool == NULL)
			return error_set(why, "opening: %s", local.text);
		look(&k, &local);
		work_on(&k);
		spool_close(k.spool);
		clock_move(&clock, MINUTE);
	}
	if (k.lie[0] == '\0' && k.damage[0] != '\0' && !damage_allowed)
		snprintf(k.lie, sizeof k.lie, "%s", k.damage);
	*lost_r = k.lost;
	arena_free(k.arena);
	buf_free(&k.bytes);
	return k.lie[0] == '\0' || error_set(why, "%s", k.lie);
}
