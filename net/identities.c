/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/bug.h"
#include "net/identities.h"

static bool
read_file(const struct reader *r, struct slice name, enum file_purpose purpose, struct slice *bytes,
    struct error *why)
{
	struct slice found;

	if (r->read(r->arg, name, purpose, 0, &found, bytes, why) == READ_FILE)
		return true;
	return error_set(why, "cannot read the %s %.*s", file_purpose_name(purpose), FMT(name));
}

struct tls_server *
identities_open(const struct identities *from, const struct reader *r, struct error *why)
{
	struct tls_identity ids[TLS_IDENTITIES_MOST];
	char *names[TLS_IDENTITIES_MOST];
	struct tls_server *tls = NULL;
	bool ok = true;
	size_t n = 0;

	bug_if(from->count == 0 || from->count > TLS_IDENTITIES_MOST);
	for (; ok && n < from->count; n++) {
		const struct identity_conf *f = &from->each[n];

		ids[n].name = names[n] = must_copy(f->cert.p, f->cert.n);
		ok = read_file(r, f->cert, from->certificate, &ids[n].certificate, why) &&
		    read_file(r, f->key, from->key, &ids[n].key, why);
	}
	if (ok && (tls = tls_server_new(ids, n, why)) != NULL && from->only_13)
		tls_only_13(tls_server_context(tls));
	while (n > 0)
		free(names[--n]);
	return tls;
}
