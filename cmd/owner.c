/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "cmd/owner.h"

enum { PATH_BYTES = 4096 };

bool
owner_become(const char *dir, struct error *why)
{
	struct stat st;

	if (geteuid() != 0)
		return true;
	if (stat(dir, &st) == -1)
		return error_sys(why, "cannot look at %s", dir);
	if (st.st_uid == 0)
		return true;
	if (setgroups(0, NULL) == -1 || setegid(st.st_gid) == -1 || seteuid(st.st_uid) == -1)
		return error_sys(why, "cannot become the owner of %s", dir);
	return true;
}

struct owner
owner_leave(void)
{
	const struct owner was = { geteuid(), getegid() };

	owner_return((struct owner){ getuid(), getgid() });
	return was;
}

/* The user who may change ids comes first and goes last; errno stays for who asks afterwards. */
void
owner_return(struct owner o)
{
	int number = errno;

	if (getuid() != 0 || geteuid() == o.user)
		return;
	bug_if(seteuid(0) == -1 || setegid(o.group) == -1 || seteuid(o.user) == -1);
	errno = number;
}

bool
owner_replace(const char *path, struct slice bytes, mode_t mode, struct error *why)
{
	const struct owner was = { geteuid(), getegid() };
	char dir[PATH_BYTES];
	const char *slash = strrchr(path, '/');
	bool ok;

	snprintf(dir, sizeof dir, "%.*s", slash != NULL ? (int)(slash - path) : 1,
	    slash != NULL ? path : ".");
	ok = owner_become(dir, why) && file_replace(path, bytes, mode, why);
	owner_return(was);
	return ok;
}

/* --- who it is to be ------------------------------------------------------------------------- */

const struct passwd *
owner_account(const struct conf *conf)
{
	char user[64];

	snprintf(user, sizeof user, "%.*s", FMT(conf->user));
	return geteuid() == 0 ? getpwnam(user) : NULL;
}

/* What somebody made for himself, root with mkdir perhaps, and has put nothing into. */
static bool
give_if_empty(const char *name, const struct passwd *to, struct error *why)
{
	DIR *dir = opendir(name);
	size_t entries = 0;
	bool ok;

	if (dir == NULL)
		return error_sys(why, "cannot open %s", name);
	while (entries <= 2 && readdir(dir) != NULL)
		entries++;
	ok = entries > 2 || fchown(dirfd(dir), to->pw_uid, to->pw_gid) == 0 ||
	    error_sys(why, "cannot give %s to %s", name, to->pw_name);
	closedir(dir);
	return ok;
}

bool
owner_make(const struct conf *conf, struct slice path, mode_t mode, struct error *why)
{
	struct slice fixed = slice_head(path, slice_find(path, '%'));
	const struct passwd *p = owner_account(conf);
	char name[PATH_BYTES];
	struct stat st;

	if (fixed.n < path.n)
		while (fixed.n > 1 && fixed.p[fixed.n - 1] != '/')
			fixed.n--;
	while (fixed.n > 1 && fixed.p[fixed.n - 1] == '/')
		fixed.n--;
	snprintf(name, sizeof name, "%.*s", FMT(fixed));
	if (stat(name, &st) == 0)
		return true;
	if (!dir_make(name, mode, why))
		return false;
	/* Where others may write it could be a link by now. */
	return p == NULL || lchown(name, p->pw_uid, p->pw_gid) == 0 ||
	    error_sys(why, "cannot give %s to %s", name, p->pw_name);
}

bool
owner_make_state(const struct conf *conf, struct error *why)
{
	const struct passwd *p = owner_account(conf);
	char name[PATH_BYTES];
	struct stat st;

	if (!owner_make(conf, conf->state, 0700, why))
		return false;
	snprintf(name, sizeof name, "%.*s", FMT(conf->state));
	if (p == NULL || stat(name, &st) == -1 || st.st_uid == p->pw_uid)
		return true;
	return give_if_empty(name, p, why);
}
