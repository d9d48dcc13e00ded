/* SPDX-License-Identifier: ISC */
/* date -- the date-time of RFC 5322 3.3, always in UTC. */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include <stdint.h>

enum { DATE_TEXT = 31 };

/* "Sun, 22 Nov 2026 01:30:00 +0000" of milliseconds since 1970. */
void date_text(int64_t now, char text_r[DATE_TEXT + 1]);

#endif
