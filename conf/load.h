/* SPDX-License-Identifier: ISC */
/*
 * load -- a configuration from the disk, with everything it names.
 *
 * The only part of conf that opens files; the master and the config commands
 * use it, the roles get what was read (files.h).
 */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "conf/conf.h"

/* Reads from the disk and keeps in the set what it has read; a file is read once. */
struct reader disk_reader(struct files *);

/*
 * Read a configuration, its outside files and what those include into `files`.
 * Never NULL.  Flaws: everything that the texts and tables have, and files that
 * cannot be read; a default that is not there is none.
 */
struct conf *conf_load(const char *path, struct files *, struct flaws *);

/*
 * Only its texts, for commands: keys and tables are none of their business, and whoever
 * gives one may not be allowed to read them.
 */
struct conf *conf_load_texts(const char *path, struct files *, struct flaws *);

/*
 * The same texts as those in force, and what they name read anew: a certificate was
 * renewed, and what an administrator has begun to write waits for his word.
 */
struct conf *conf_load_renewed(const char *path, const struct files *in_force, struct files *,
    struct flaws *);

/*
 * What the world says of it: certificates that do not fit their keys or have
 * expired, keys that cannot sign, a trust anchor that is of no use, directories that
 * cannot be used, secrets that others may read.  Ports are tried by `run`.
 */
void world_check(const struct conf *, const struct files *, int64_t now, struct flaws *);

#endif
