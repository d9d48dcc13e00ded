/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bug.h"
#include "cmd/owner.h"

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
