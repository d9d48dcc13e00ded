/* SPDX-License-Identifier: ISC */
/*
 * identities -- the certificates of one door, as the configuration names them, opened for accepting.
 *
 * A door may have several; net/tls.h says which of them a client is shown.  The
 * reader has their bytes: nothing is opened here, and nothing of it is kept.
 */
#ifndef NET_IDENTITIES_H
#define NET_IDENTITIES_H

#include "conf/conf.h"
#include "net/tls.h"

struct identities {
	const struct identity_conf *each;       /* at least one, at most TLS_IDENTITIES_MOST */
	size_t            count;
	enum file_purpose certificate, key;     /* which files of the reader they are */
	bool              only_13;              /* nothing older than TLS 1.3 */
};

/* NULL with *why, which names the file. */
struct tls_server *identities_open(const struct identities *, const struct reader *, struct error *why);

#endif
