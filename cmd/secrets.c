/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/file.h"
#include "cmd/owner.h"
#include "cmd/secrets.h"

enum { PATH_BYTES = 4096, TEXT_MOST = 4096 };

static bool
renew(const char *path, struct buf *text, int64_t now, bool *renewed, struct error *why)
{
	unsigned char fresh[SECRET_BYTES];
	struct buf next = BUF(TEXT_MOST);
	bool ok;

	if (getrandom(fresh, sizeof fresh, 0) != sizeof fresh)
		return error_sys(why, "no random bytes for %s", path);
	*renewed = secrets_renew(buf_slice(text), now, fresh, &next);
	ok = !*renewed || owner_replace(path, buf_slice(&next), 0600, why);
	if (*renewed) {
		buf_clear(text);
		buf_add(text, buf_slice(&next));
	}
	buf_free(&next);
	return ok;
}

bool
secrets_keep(struct slice state, int64_t now, struct files *files, bool *renewed, struct error *why)
{
	char path[PATH_BYTES];
	struct buf text = BUF(TEXT_MOST);
	struct error missing = { 0 };
	bool ok;

	snprintf(path, sizeof path, "%.*s/secrets", FMT(state));
	ok = file_read(path, &text, &missing) || missing.number == ENOENT ||
	    error_set(why, "%s", missing.text);
	ok = ok && renew(path, &text, now, renewed, why);
	if (ok)
		buf_add(&files_add(files, S(SECRETS_NAME), FILE_SECRETS)->bytes, buf_slice(&text));
	buf_free(&text);
	return ok;
}
