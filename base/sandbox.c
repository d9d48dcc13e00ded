/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sandbox.h"

/* Newer than the headers of Debian 12; the numbers are the kernel's interface. */
#define FS_REFER          (1ULL << 13)          /* ABI 2 */
#define FS_TRUNCATE       (1ULL << 14)          /* ABI 3 */
#define FS_IOCTL_DEV      (1ULL << 15)          /* ABI 5 */
#define NET_BIND_TCP      (1ULL << 0)           /* ABI 4 */
#define NET_CONNECT_TCP   (1ULL << 1)
#define SCOPE_ABSTRACT    (1ULL << 0)           /* ABI 6 */
#define SCOPE_SIGNAL      (1ULL << 1)
enum { RULE_NET_PORT = 2 };

struct ruleset {
	uint64_t fs, net, scoped;
};

struct net_port {
	uint64_t allowed, port;
};

static const uint64_t FS_READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

static void
lacks(struct buf *lacking, const char *what)
{
	buf_printf(lacking, "%s%s", lacking->n ? ", " : "", what);
}

/* Everything Landlock of this version can forbid. */
static struct ruleset
all_of(int abi, enum sandbox_net net)
{
	struct ruleset all = { .fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };

	if (abi >= 2)
		all.fs |= FS_REFER;
	if (abi >= 3)
		all.fs |= FS_TRUNCATE;
	if (abi >= 5)
		all.fs |= FS_IOCTL_DEV;
	if (abi >= 4)
		all.net = NET_BIND_TCP | (net == SANDBOX_CONNECT ? 0 : NET_CONNECT_TCP);
	if (abi >= 6)
		all.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	return all;
}

static bool
allow_paths(int fd, const char *const *paths, uint64_t access, struct error *why)
{
	for (; paths != NULL && *paths != NULL; paths++) {
		struct landlock_path_beneath_attr rule = { .allowed_access = access };
		long result;

		rule.parent_fd = open(*paths, O_PATH | O_CLOEXEC);
		if (rule.parent_fd == -1)
			return error_sys(why, "sandbox: cannot open %s", *paths);
		result = syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
		close(rule.parent_fd);
		if (result == -1)
			return error_sys(why, "sandbox: %s", *paths);
	}
	return true;
}

static bool
allow_ports(int fd, const struct ruleset *all, const uint16_t *ports, struct error *why)
{
	for (; all->net != 0 && ports != NULL && *ports != 0; ports++) {
		struct net_port rule = { NET_CONNECT_TCP, *ports };

		if (syscall(SYS_landlock_add_rule, fd, RULE_NET_PORT, &rule, 0) == -1)
			return error_sys(why, "sandbox: port %u", *ports);
	}
	return true;
}

static bool
enter_landlock(const struct sandbox_rights *r, struct buf *lacking, struct error *why)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset all;
	size_t size;
	int fd;
	bool ok;

	if (abi < 1) {
		lacks(lacking, "landlock");
		return true;
	}
	if (abi < 4)
		lacks(lacking, "landlock-net");
	all = all_of(abi, r->net);
	size = abi >= 6 ? sizeof all : abi >= 4 ? 16 : 8;
	fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (fd == -1)
		return error_sys(why, "sandbox: landlock");
	ok = allow_paths(fd, r->writable, all.fs & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE, why) &&
	    allow_paths(fd, r->readable, FS_READ, why) && allow_ports(fd, &all, r->ports, why) &&
	    (syscall(SYS_landlock_restrict_self, fd, 0) == 0 || error_sys(why, "sandbox: landlock"));
	close(fd);
	return ok;
}

#ifndef SANITIZED                               /* sanitizers need system calls of their own */

static const int COMMON[] = {
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pread64),
	SCMP_SYS(preadv), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(sync_file_range),
	SCMP_SYS(close), SCMP_SYS(fstat),
	SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(lseek), SCMP_SYS(mmap), SCMP_SYS(munmap),
	SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getuid),
	SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(poll),
	SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
	SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(prlimit64), SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(sysinfo),
	SCMP_SYS(uname), SCMP_SYS(fcntl), SCMP_SYS(ioctl), SCMP_SYS(dup), SCMP_SYS(dup2),
	SCMP_SYS(dup3), SCMP_SYS(pipe2), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendto),
	SCMP_SYS(recvfrom), SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(accept4), SCMP_SYS(accept),
	SCMP_SYS(tgkill), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(membarrier), SCMP_SYS(prctl),
};

static const int FILES[] = {
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
	SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat),
	SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
	SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(getdents64),
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	SCMP_SYS(fchmod), SCMP_SYS(chmod), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(flock),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(umask), SCMP_SYS(copy_file_range),
	SCMP_SYS(sendfile), SCMP_SYS(getcwd), SCMP_SYS(fadvise64), SCMP_SYS(pwritev2), SCMP_SYS(chdir),
	SCMP_SYS(utimensat),
};

static const int SOCKETS[] = {
	SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(socketpair), SCMP_SYS(recvmmsg),
	SCMP_SYS(sendmmsg),
};

static bool
allow_calls(scmp_filter_ctx filter, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (calls[i] >= 0 && seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) != 0)
			return false;
	return true;
}

#define ALLOW(filter, list) allow_calls(filter, list, sizeof(list) / sizeof *(list))

/*
 * What is not in the list does not exist (ENOSYS): a C library that tries a new
 * call falls back to an old one, an intruder finds no execve, ptrace or mount.
 */
static bool
enter_seccomp(const struct sandbox_rights *r, struct error *why)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	bool files = r->writable != NULL || r->readable != NULL;
	bool ok = filter != NULL && ALLOW(filter, COMMON) && (!files || ALLOW(filter, FILES)) &&
	    (r->net == SANDBOX_NO_SOCKETS || ALLOW(filter, SOCKETS));

	if (ok) {
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
		errno = -seccomp_load(filter);
		ok = errno == 0;
	}
	seccomp_release(filter);
	return ok || error_sys(why, "sandbox: seccomp");
}

#endif

static void
set_limits(void)
{
	struct rlimit none = { 0, 0 }, files;

	setrlimit(RLIMIT_CORE, &none);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

bool
sandbox_enter(const struct sandbox_rights *r, struct buf *lacking, struct error *why)
{
	set_limits();
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return error_sys(why, "sandbox: no_new_privs");
#ifdef SANITIZED
	lacks(lacking, "seccomp");
	return enter_landlock(r, lacking, why);
#else
	return enter_landlock(r, lacking, why) && enter_seccomp(r, why);
#endif
}

bool
sandbox_become(const char *user, struct error *why)
{
	const struct passwd *p = getpwnam(user);

	if (p == NULL)
		return error_set(why, "there is no user %s", user);
	if (getuid() == p->pw_uid && geteuid() == p->pw_uid)
		return true;
	if (geteuid() != 0)
		return error_set(why, "only root can become %s", user);
	if (setgroups(0, NULL) == -1 || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) == -1 ||
	    setresuid(p->pw_uid, p->pw_uid, p->pw_uid) == -1)
		return error_sys(why, "cannot become %s", user);
	return true;
}
