/* SPDX-License-Identifier: ISC */
/*
 * settings -- the configuration of a host of the world, as a text on its disk.
 *
 * What the scenario's host block says stands in it word for word; around it what
 * every host needs: its name, its directory, a certificate, two doors (25 for
 * strangers, 587 for the lab's users), the world's resolver and root, and the
 * keys that the scenario asks for.  Mail to a domain without `deliver to` goes to
 * Maildirs.  `chainmail config check` takes the same text.
 */
#ifndef LAB_SETTINGS_H
#define LAB_SETTINGS_H

#include "lab/world.h"

/* Writes configuration, certificate and keys; the citizen's certificate is made already. */
bool settings_write(struct citizen *, struct error *why);

/* The signing keys that a host's domain has, by turn from 0; false at the end. */
struct domain_key {
	const char *selector;           /* "rsa", "ed25519" */
	int         kind;               /* enum key_kind */
};
bool domain_key_nth(const struct statement *host, const struct statement *domain, size_t turn,
    struct domain_key *);
/* The key itself; the caller frees it. */
EVP_PKEY *domain_key_make(const struct world *, struct slice domain, const struct domain_key *);

#endif
