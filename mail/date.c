/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>
#include <time.h>

#include "base/bug.h"
#include "mail/date.h"

void
date_text(int64_t now, char text[DATE_TEXT + 1])
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t seconds = (time_t)(now / 1000);
	struct tm t;

	bug_if(now < 0 || gmtime_r(&seconds, &t) == NULL || t.tm_year > 8099);
	snprintf(text, DATE_TEXT + 1, "%s, %02u %s %04u %02u:%02u:%02u +0000",
	    days[t.tm_wday], (unsigned)t.tm_mday % 100, months[t.tm_mon],
	    (unsigned)(t.tm_year + 1900) % 10000, (unsigned)t.tm_hour % 100,
	    (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
}
