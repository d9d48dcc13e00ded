/* SPDX-License-Identifier: ISC */
/* pure */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

bool
error_set(struct error *why, const char *format, ...)
{
	va_list args;

	if (why == NULL)
		return false;
	why->number = 0;
	va_start(args, format);
	vsnprintf(why->text, sizeof why->text, format, args);
	va_end(args);
	return false;
}

bool
error_sys(struct error *why, const char *format, ...)
{
	int number = errno;
	va_list args;
	size_t n;

	if (why == NULL)
		return false;
	why->number = number;
	va_start(args, format);
	vsnprintf(why->text, sizeof why->text, format, args);
	va_end(args);
	n = strlen(why->text);
	snprintf(why->text + n, sizeof why->text - n, ": %s", strerror(number));
	return false;
}
