/* SPDX-License-Identifier: ISC */
/* pure */
#include <arpa/inet.h>
#include <idn2.h>

#include "base/text.h"
#include "mail/domain.h"

static struct slice
to_a_labels(struct slice name, struct arena *arena)
{
	struct slice text = arena_copy(arena, name);
	uint8_t *ascii = NULL;
	struct slice result = NONE;

	if (text.p == NULL || memchr(text.p, '\0', text.n) != NULL)
		return NONE;
	if (idn2_to_ascii_8z(text.p, (char **)&ascii,
	    IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) == IDN2_OK)
		result = arena_copy(arena, slice((char *)ascii));
	idn2_free(ascii);
	return result;
}

bool
domain_lengths_ok(struct slice name)
{
	struct slice label;

	if (name.n == 0 || name.n > DOMAIN_MAX || name.p[name.n - 1] == '.')
		return false;
	while (slice_cut(&name, '.', &label))
		if (label.n == 0 || label.n > LABEL_MAX)
			return false;
	return true;
}

static bool
letters_ok(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '.' &&
		    name.p[i] != '_')
			return false;
	return true;
}

bool
domain_valid(struct slice name)
{
	return domain_lengths_ok(name) && letters_ok(name);
}

struct slice
domain_normal(struct slice name, struct arena *arena)
{
	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > 4 * DOMAIN_MAX)
		return NONE;
	if (!ascii_only(name) && (name = to_a_labels(name, arena)).p == NULL)
		return NONE;
	if (!domain_valid(name))
		return NONE;
	return arena_lower(arena, name);
}

unsigned
domain_labels(struct slice name)
{
	struct slice label;
	unsigned n = 0;

	while (slice_cut(&name, '.', &label))
		n++;
	return n;
}

struct slice
domain_parent(struct slice name)
{
	return slice_skip(name, slice_find(name, '.') + 1);
}

struct slice
domain_tail(struct slice name, unsigned n)
{
	for (unsigned have = domain_labels(name); have > n; have--)
		name = domain_parent(name);
	return name;
}

bool
domain_within(struct slice name, struct slice top)
{
	return slice_endsi(name, top) &&
	    (name.n == top.n || name.p[name.n - top.n - 1] == '.');
}

bool
domain_matches(struct slice pattern, struct slice name)
{
	if (pattern.n && *pattern.p == '.')
		return name.n > pattern.n - 1 && domain_within(name, slice_skip(pattern, 1));
	return slice_eqi(pattern, name);
}

size_t
domain_literal(struct slice s, unsigned char address[16])
{
	char text[64];
	bool v6;

	if (s.n < 4 || s.p[0] != '[' || s.p[s.n - 1] != ']')
		return 0;
	s = slice_head(slice_skip(s, 1), s.n - 2);
	v6 = slice_startsi(s, S("IPv6:"));
	if (v6)
		s = slice_skip(s, 5);
	if (s.n >= sizeof text)
		return 0;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (memchr(text, '\0', s.n) != NULL || inet_pton(v6 ? AF_INET6 : AF_INET, text, address) != 1)
		return 0;
	return v6 ? 16 : 4;
}
