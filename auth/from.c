/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/from.h"
#include "mail/address.h"

static bool
one_domain(const struct mailbox *boxes, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (!slice_eqi(boxes[i].address.domain, boxes[0].address.domain))
			return false;
	return true;
}

static struct from
read_field(struct slice value, struct arena *arena)
{
	struct mailbox boxes[FROM_MOST];
	struct from from = { 0 };
	size_t count;

	if (!mailboxes_parse(value, arena, boxes, FROM_MOST, &count))
		from.flaw = FROM_UNPARSABLE;
	else if (count == 0)
		from.flaw = slice_trim(value).n > 0 ? FROM_NOBODY : FROM_NONE;
	else if (count > FROM_MOST)
		from.flaw = FROM_MANY;
	else if (!one_domain(boxes, count))
		from.flaw = FROM_DOMAINS;
	else
		from.domain = boxes[0].address.domain;
	if (from.flaw == FROM_OK && count > 1)
		from.flaw = FROM_ADDRESSES;
	else if (from.flaw == FROM_OK)
		from.address = boxes[0].address.text;
	return from;
}

struct from
from_read(const struct header *header, struct arena *arena)
{
	size_t fields = header_count(header, "From");

	if (fields != 1)
		return (struct from){ .flaw = fields == 0 ? FROM_NONE : FROM_FIELDS };
	return read_field(header_find(header, "From")->value, arena);
}

const char *
from_flaw_name(enum from_flaw flaw)
{
	static const char *const names[] = {
		"ok", "none", "nobody", "fields", "addresses", "domains", "many", "unparsable",
	};

	return names[flaw];
}
