/* SPDX-License-Identifier: ISC */
/* pure */
#include "mail/status.h"

/* "5.1.1" in front of the text; what follows must be white space or the end. */
static bool
take_enhanced(struct slice *text, struct status *s)
{
	struct slice rest = *text, word, part;
	uint64_t number[3];

	if (!slice_word(&rest, &word))
		return false;
	for (int i = 0; i < 3; i++)
		if (!slice_cut(&word, '.', &part) || part.n > 3 ||
		    !slice_number(part, 999, &number[i]))
			return false;
	if (word.n > 0 || number[0] != s->class)
		return false;
	s->subject = (unsigned)number[1];
	s->detail = (unsigned)number[2];
	*text = slice_trim(rest);
	return true;
}

struct status
status_of_reply(unsigned reply, struct slice text)
{
	struct status s = { .reply = reply, .class = reply / 100 };

	s.uncoded = !take_enhanced(&text, &s);
	s.text = text;
	return s;
}
