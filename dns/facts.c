/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "dns/facts.h"
#include "mail/domain.h"

/* Above a ceiling there are no more questions: the answer is "broken", never a hang. */
static const struct fact TOO_MANY = {
	.state = FACT_KNOWN, .answer = ANSWER_BROKEN, .why = S_INIT("too many questions"),
};

void
facts_begin(struct facts *fs, struct arena *arena)
{
	*fs = (struct facts){ .arena = arena };
	fs->last = &fs->first;
	facts_turn(fs, 0, FACTS_MOST);
}

bool
facts_turn(struct facts *fs, unsigned part, size_t most)
{
	unsigned bit = 1u << part;
	bool first, stirred;

	bug_if(part >= FACTS_PARTS);
	first = (fs->begun & bit) == 0;
	stirred = (fs->stirred & bit) != 0;
	if (first)
		fs->left[part] = most;
	fs->part = part;
	fs->begun |= bit;
	fs->stirred &= ~bit;
	return first || stirred;
}

static struct fact *
find(struct facts *fs, uint64_t hash, struct slice name, uint16_t type)
{
	for (struct fact *f = fs->buckets[hash % FACTS_BUCKETS]; f != NULL; f = f->bucket)
		if (f->hash == hash && f->type == type && slice_eqi(f->name, name))
			return f;
	return NULL;
}

/* NULL: this part may ask no more, or there is no room. */
static struct fact *
note(struct facts *fs, uint64_t hash, struct slice name, uint16_t type, size_t octets)
{
	struct fact *f, **bucket = &fs->buckets[hash % FACTS_BUCKETS];

	if (fs->left[fs->part] == 0 || (f = arena_get(fs->arena, sizeof *f)) == NULL)
		return NULL;
	*f = (struct fact){ .hash = hash, .type = type, .name = arena_lower(fs->arena, name),
	    .bucket = *bucket, .room = octets };
	if (f->name.p == NULL)
		return NULL;
	f->canonical = f->name;
	*bucket = *fs->last = f;
	fs->last = &f->next;
	fs->count++;
	fs->left[fs->part]--;
	if (!domain_lengths_ok(name))
		fact_known(fs, f, ANSWER_NXDOMAIN, "");
	return f;
}

static struct fact *
find_or_note(struct facts *fs, struct slice name, uint16_t type, size_t octets)
{
	uint64_t hash = slice_hash(name);
	struct fact *f = find(fs, hash, name, type);

	return f != NULL ? f : note(fs, hash, name, type, octets);
}

const struct fact *
fact(struct facts *fs, struct slice name, uint16_t type)
{
	return fact_within(fs, name, type, FACT_OCTETS);
}

const struct fact *
fact_within(struct facts *fs, struct slice name, uint16_t type, size_t octets)
{
	struct fact *f = find_or_note(fs, name, type, octets);

	if (f == NULL)
		return &TOO_MANY;
	if (f->state == FACT_KNOWN)
		return f;
	f->waiting |= 1u << fs->part;
	return NULL;
}

void
fact_ahead(struct facts *fs, struct slice name, uint16_t type)
{
	find_or_note(fs, name, type, FACT_OCTETS);
}

struct fact *
facts_next_wanted(struct facts *fs)
{
	for (struct fact *f = fs->first; f != NULL; f = f->next)
		if (f->state == FACT_WANTED) {
			f->state = FACT_ASKED;
			return f;
		}
	return NULL;
}

bool
facts_pending(const struct facts *fs)
{
	return fs->known < fs->count;
}

bool
fact_expect(struct facts *fs, struct fact *f, size_t records)
{
	size_t most = f->room / FACT_OCTETS_RECORD;

	f->places = records < most ? records : most;
	f->records = arena_get(fs->arena, (f->places + 1) * sizeof *f->records);
	return f->records != NULL;
}

bool
fact_add(struct facts *fs, struct fact *f, uint16_t preference, struct slice data)
{
	struct record r = { .preference = preference };

	if (f->count == f->places || data.n > f->room) {
		f->left_out++;
		return true;
	}
	if ((r.data = arena_copy(fs->arena, data)).p == NULL)
		return false;
	f->records[f->count++] = r;
	f->room -= data.n;
	return true;
}

void
fact_known(struct facts *fs, struct fact *f, enum answer answer, const char *why)
{
	bug_if(f->state == FACT_KNOWN);
	f->state = FACT_KNOWN;
	f->answer = answer;
	if (*why != '\0')
		f->why = arena_copy(fs->arena, slice(why));
	fs->known++;
	fs->stirred |= f->waiting;
}

void
facts_expire(struct facts *fs)
{
	for (struct fact *f = fs->first; f != NULL; f = f->next)
		if (f->state != FACT_KNOWN)
			fact_known(fs, f, ANSWER_BROKEN, "no answer in time");
}

static const struct { uint16_t type; const char *name; } TYPES[] = {
	{ RR_A, "A" }, { RR_NS, "NS" }, { RR_CNAME, "CNAME" }, { RR_SOA, "SOA" },
	{ RR_PTR, "PTR" }, { RR_MX, "MX" }, { RR_TXT, "TXT" }, { RR_AAAA, "AAAA" },
	{ RR_TLSA, "TLSA" },
};

const char *
rr_name(uint16_t type)
{
	for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
		if (TYPES[i].type == type)
			return TYPES[i].name;
	return NULL;
}

bool
rr_type(struct slice name, uint16_t *type)
{
	for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
		if (slice_eqi(slice(TYPES[i].name), name)) {
			*type = TYPES[i].type;
			return true;
		}
	return false;
}

const char *
answer_name(enum answer answer)
{
	static const char *const names[] = { "found", "nodata", "nxdomain", "broken" };

	return names[answer];
}

const char *
security_name(enum security security)
{
	static const char *const names[] = { "insecure", "secure", "bogus" };

	return names[security];
}
