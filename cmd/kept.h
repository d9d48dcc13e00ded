/* SPDX-License-Identifier: ISC */
/*
 * kept -- the MTA-STS policies in the cache: of the program that runs, by its
 * control socket (queue/commands.h), or from the disk when nobody runs.
 */
#ifndef CMD_KEPT_H
#define CMD_KEPT_H

#include "base/kv.h"
#include "conf/load.h"
#include "net/link.h"

struct kept {
	struct clock clock;
	struct loop  loop;
	struct link *link;              /* NULL: nobody runs, … */
	struct kv   *kv;                /* … and there may be nothing on the disk either */
	/* while an answer comes */
	void       (*each)(void *arg, struct slice domain, struct slice entry);
	void        *arg;
	struct error why;
	bool         failed;
};

/*
 * The configuration, its text alone: what else it names may be unreadable for
 * whoever gives the command.  NULL after a message.  `files` outlive it.
 */
struct conf *kept_conf(const char *path, struct files *);

/* False when program or cache may be there and cannot be reached. kept_end() is needed in any case. */
bool kept_begin(struct kept *, const struct conf *, struct error *why);
void kept_end(struct kept *);
bool kept_running(const struct kept *);

/*
 * "list", or "show", "refresh", "forget" of a normal domain; `each` gets the
 * entries (sts/cache.h) and may be NULL.  False when it cannot be done.
 */
bool kept_ask(struct kept *, const char *verb, struct slice domain,
    void (*each)(void *arg, struct slice domain, struct slice entry), void *arg, struct error *why);

#endif
