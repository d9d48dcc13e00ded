# SPDX-License-Identifier: ISC
"""
The ground on which servers are compared: the same for all of them.

As root everything happens in a network and a mount namespace of its own: only
loopback is there, so nobody can ask a public name server, and the accounts and
library paths that the peers want are seen there alone.  All spools lie on one
ext4 image with a journal.  Without root only Chainmail can be measured, on the
file system that is there.
"""
import contextlib
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.abspath(os.path.join(HERE, "../../.."))
BUILD = os.getcwd()
PEERS = os.path.join(BUILD, "peers")
CHAINMAIL = os.path.join(BUILD, "chainmail")
LOAD = os.path.join(BUILD, "obj/tests/bench/load")
INSIDE = "CHAINMAIL_BENCH_INSIDE"
ACCOUNTS = ["postfix", "postdrop", "Debian-exim", "chainmail", "opendkim", "opendmarc"]


def is_root():
    return os.geteuid() == 0


def enter():
    """Start again inside the namespaces; without root stay where we are."""
    if is_root() and INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--propagation", "private",
                              sys.executable, *sys.argv])


def hurry(pid, nice):
    """
    Less disturbed by others on this machine: the kernel shares it out by sessions first,
    each server has one of its own, and all get the same.
    """
    try:
        with open(f"/proc/{pid}/autogroup", "w") as f:
            f.write(str(nice))
    except OSError:
        os.setpriority(os.PRIO_PROCESS, pid, nice)


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        up = struct.pack("16sh", b"lo", 0x1 | 0x40)         # IFF_UP, IFF_RUNNING
        fcntl.ioctl(s, 0x8914, up + bytes(24 - len(up)))    # SIOCSIFFLAGS


def over(path, text, place):
    """In this namespace, `path` reads as `text`."""
    own = os.path.join(place, os.path.basename(path))
    with open(own, "w") as f:
        f.write(text)
    os.chmod(own, 0o644)
    subprocess.run(["mount", "--bind", own, path], check=True)


def add_accounts(place):
    with open("/etc/passwd") as f:
        users = f.read()
    with open("/etc/group") as f:
        groups = f.read()
    for number, name in enumerate(ACCOUNTS, 64000):
        if f"\n{name}:" not in users:
            users += f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n"
        if f"\n{name}:" not in groups:
            groups += f"{name}:x:{number}:\n"
    over("/etc/passwd", users, place)
    over("/etc/group", groups, place)


def library_dirs():
    for top, dirs, files in os.walk(PEERS):
        if "/usr/lib" in top and any(".so" in f for f in files):
            yield top


def add_libraries(place):
    """
    The peers' libraries, by a cache of the dynamic linker that only this namespace sees;
    and by the environment, for when somebody installs a package meanwhile, which
    uncovers the machine's cache again.
    """
    with open("/etc/ld.so.conf") as f:
        conf = f.read()
    dirs = list(library_dirs())
    own = os.path.join(place, "ld.so.conf")
    cache = os.path.join(place, "ld.so.cache")
    with open(own, "w") as f:
        f.write(conf + "\n".join(dirs) + "\n")
    subprocess.run(["ldconfig", "-X", "-f", own, "-C", cache], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["mount", "--bind", cache, "/etc/ld.so.cache"], check=True)
    os.environ["LD_LIBRARY_PATH"] = ":".join(dirs)


class World:
    """Where the spools are (`spool`), how many flushes its disk saw, and what it is (`kind`)."""

    def __init__(self, top, gigabytes):
        self.top = top
        self.spool = os.path.join(top, "spool")
        self.stat = None
        self.nice = 0
        self.facts = ""
        os.mkdir(self.spool)
        os.chmod(top, 0o755)
        if is_root():
            loopback_up()
            add_accounts(top)
            over("/etc/resolv.conf", "nameserver 127.0.0.1\n", top)
            if os.path.isdir(PEERS):
                add_libraries(top)
            self.mount_image(gigabytes)
        self.kind = self.file_system()

    def mount_image(self, gigabytes):
        image = os.path.join(self.top, "image")
        with open(image, "w") as f:
            f.truncate(gigabytes << 30)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, self.spool], check=True)
        os.chmod(self.spool, 0o755)

    def file_system(self):
        best = ("", "", "")
        with open("/proc/mounts") as f:
            for device, at, kind, *_ in map(str.split, f):
                if (self.spool + "/").startswith(at.rstrip("/") + "/") and len(at) >= len(best[0]):
                    best = at, kind, device
        stat = f"/sys/block/{os.path.basename(best[2])}/stat"
        self.stat = stat if os.path.exists(stat) else None
        image = " in a loop image" if "loop" in best[2] else ""
        journal = image or not is_root() and " (unknown journal)" or ""
        return best[1] + journal

    def flushes(self):
        """Flushes that the disk below the spools has done, or None."""
        if self.stat is None:
            return None
        with open(self.stat) as f:
            return int(f.read().split()[15])

    def end(self):
        if is_root():
            subprocess.run(["umount", self.spool], check=False)


@contextlib.contextmanager
def world(gigabytes=12, where="/var/tmp"):
    top = tempfile.mkdtemp(prefix="chainmail-bench-", dir=where)
    w = None
    try:
        w = World(top, gigabytes)
        yield w
    finally:
        if w is not None:
            w.end()
        shutil.rmtree(top, ignore_errors=True)
