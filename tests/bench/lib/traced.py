# SPDX-License-Identifier: ISC
"""Is a message really flushed before its 250?  strace knows."""
import os
import re
import signal
import subprocess
import time

from .servers import load, wait_for

CALLS = "fsync,fdatasync,sync_file_range,write,writev,sendto,sendmsg"
FLUSHED = re.compile(r"\b(fsync|fdatasync)\(.*= 0$|<\.\.\. (fsync|fdatasync) resumed>.*= 0$")
TAKEN = re.compile(r"\"250 .*(queued|id=)", re.I)


def replies_before_flush(server, messages=40):
    """One session: how many of the replies to a text came without a flush since the one before."""
    out = os.path.join(server.dir, "trace")
    load(server, "-n", 20, "-s", 1)             # everybody is there
    who = [word for pid in server.pids() for word in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-f", "-s", "60", "-e", "trace=" + CALLS, "-o", out, *who],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: os.path.exists(out), 10, "strace does not begin")
        time.sleep(1)
        load(server, "-n", messages, "-s", 1)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=30)
    flushed, early, seen = False, 0, 0
    with open(out, errors="replace") as f:
        for line in f:
            if FLUSHED.search(line.rstrip()):
                flushed = True
            elif TAKEN.search(line) and "resumed" not in line:
                seen += 1
                early += not flushed
                flushed = False
    if seen < messages:
        raise RuntimeError(f"{server.name}: strace saw {seen} replies of {messages}")
    return early
