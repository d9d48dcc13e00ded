/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "mail/domain.h"
#include "sts/policy.h"
#include "sts/record.h"

enum { AGE_DIGITS = 10 };

const char *
sts_mode_name(enum sts_mode mode)
{
	static const char *const names[] = { "none", "testing", "enforce" };

	return names[mode];
}

/* --- lines and keys ------------------------------------------------------ */

bool
sts_policy_line(struct slice *rest, struct slice *line)
{
	while (rest->n > 0) {
		size_t at = slice_find(*rest, '\n');

		*line = slice_head(*rest, at);
		if (at < rest->n && at > 0 && line->p[at - 1] == '\r')
			line->n--;
		*rest = slice_skip(*rest, at + 1);
		while (line->n > 0 && is_wsp(line->p[line->n - 1]))
			line->n--;
		if (line->n > 0)
			return true;
	}
	return false;
}

/* Printable ASCII, blanks within, and UTF-8. */
static bool
value_ok(struct slice value)
{
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
			return false;
	return value.n > 0 && utf8_valid(value);
}

static bool
cut_line(struct slice line, struct slice *key, struct slice *value)
{
	size_t at = slice_find(line, ':');

	if (at == line.n)
		return false;
	*key = slice_head(line, at);
	*value = slice_skip(line, at + 1);
	while (value->n > 0 && is_wsp(*value->p))
		*value = slice_skip(*value, 1);
	return sts_key_ok(*key) && value_ok(*value);
}

/* --- patterns ------------------------------------------------------------ */

static struct slice
without_dot(struct slice name)
{
	return name.n > 0 && name.p[name.n - 1] == '.' ? slice_head(name, name.n - 1) : name;
}

/* The Domain of RFC 5321 4.1.2, in A-labels: hyphens only within a label. */
static bool
domain_ok(struct slice domain)
{
	struct slice label;

	if (!domain_lengths_ok(domain))
		return false;
	while (slice_cut(&domain, '.', &label)) {
		if (*label.p == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!is_alnum(label.p[i]) && label.p[i] != '-')
				return false;
	}
	return true;
}

static bool
pattern_ok(struct slice pattern)
{
	return domain_ok(slice_starts(pattern, S("*.")) ? slice_skip(pattern, 2) : pattern);
}

bool
sts_mx_matches(struct slice pattern, struct slice host)
{
	size_t label;

	host = without_dot(host);
	if (!slice_starts(pattern, S("*.")))
		return slice_eqi(pattern, host);
	label = slice_find(host, '.');
	return label > 0 && label < host.n &&
	    slice_eqi(slice_skip(pattern, 2), slice_skip(host, label + 1));
}

bool
sts_policy_lists(const struct sts_policy *p, struct slice host)
{
	for (size_t i = 0; i < p->mx_count; i++)
		if (sts_mx_matches(p->mx[i], host))
			return true;
	return false;
}

/* --- the policy ---------------------------------------------------------- */

/* What was read so far: each of these keys counts once. */
struct seen {
	bool version, mode, max_age;
};

static bool
read_version(struct slice value, struct error *why)
{
	return slice_eq(value, S("STSv1")) ||
	    error_set(why, "the version is not STSv1");
}

static bool
read_mode(struct sts_policy *p, struct slice value, struct error *why)
{
	for (enum sts_mode mode = STS_NONE; mode <= STS_ENFORCE; mode++)
		if (slice_eq(value, slice(sts_mode_name(mode)))) {
			p->mode = mode;
			return true;
		}
	return error_set(why, "the mode is neither enforce, testing nor none");
}

static bool
read_max_age(struct sts_policy *p, struct slice value, struct error *why)
{
	uint64_t seconds;

	if (value.n > AGE_DIGITS || !slice_number(value, UINT64_MAX, &seconds))
		return error_set(why, "max_age is not a number of seconds");
	p->max_age = seconds < STS_MAX_AGE ? (uint32_t)seconds : STS_MAX_AGE;
	return true;
}

/* There is room for every line that has one. */
static bool
read_mx(struct sts_policy *p, struct slice value)
{
	if (pattern_ok(value))
		p->mx[p->mx_count++] = value;
	return true;
}

static bool
first_time(bool *seen)
{
	bool first = !*seen;

	*seen = true;
	return first;
}

static bool
read_line(struct sts_policy *p, struct seen *seen, struct slice line, struct error *why)
{
	struct slice key, value;

	if (!cut_line(line, &key, &value))
		return error_set(why, "a line is not \"key: value\"");
	if (slice_eq(key, S("version")))
		return !first_time(&seen->version) || read_version(value, why);
	if (slice_eq(key, S("mode")))
		return !first_time(&seen->mode) || read_mode(p, value, why);
	if (slice_eq(key, S("max_age")))
		return !first_time(&seen->max_age) || read_max_age(p, value, why);
	return !slice_eq(key, S("mx")) || read_mx(p, value);
}

static bool
complete(const struct sts_policy *p, const struct seen *seen, struct error *why)
{
	if (!seen->version)
		return error_set(why, "no version");
	if (!seen->mode)
		return error_set(why, "no mode");
	if (!seen->max_age)
		return error_set(why, "no max_age");
	return p->mode == STS_NONE || p->mx_count > 0 ||
	    error_set(why, "mode %s without an mx", sts_mode_name(p->mode));
}

/* How many lines might be patterns: that much room is needed, and no more. */
static size_t
count_mx(struct slice text)
{
	struct slice line;
	size_t n = 0;

	while (sts_policy_line(&text, &line))
		n += slice_starts(line, S("mx:"));
	return n;
}

bool
sts_policy_parse(struct sts_policy *policy, struct slice text, struct arena *arena,
    struct error *why)
{
	struct sts_policy p = { .text = arena_copy(arena, text) };
	struct slice rest = p.text, line;
	struct seen seen = { 0 };

	if (text.n > STS_POLICY_MOST)
		return error_set(why, "longer than %d bytes", STS_POLICY_MOST);
	p.mx = arena_get(arena, (count_mx(text) + 1) * sizeof *p.mx);
	if (p.text.p == NULL || p.mx == NULL)
		return error_set(why, "no memory left for the policy");
	while (sts_policy_line(&rest, &line))
		if (!read_line(&p, &seen, line, why))
			return false;
	if (!complete(&p, &seen, why))
		return false;
	*policy = p;
	return true;
}
