# SPDX-License-Identifier: ISC
"""
A test with a network of its own, where any address and port 25 are ours:

    @alone("192.0.2.10", "192.0.2.20")
    def test_...(place): ...

Its body runs in a child that has left the machine's network; nothing of it can
reach another machine, and nothing outlives it that it did not start.
"""
import ctypes
import functools
import os
import shutil
import subprocess
import traceback

import pytest

import chainmail

CLONE_NEWNET = 0x40000000


def leave(addresses):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in addresses:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)


def child(pipe, addresses, body):
    """Never returns: what went wrong goes into the pipe."""
    said = ""
    chainmail.launched.clear()                  # those are the parent's
    try:
        leave(addresses)
        body()
    except BaseException:                       # a failed assertion, a skip: all of it is for the parent to tell
        said = traceback.format_exc()
    chainmail.end_all()
    os.write(pipe, said.encode()[-60000:])
    os._exit(0)


def run(addresses, body):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        child(writer, addresses, body)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"the child has ended with {status}"
    if said:
        pytest.fail(said, pytrace=False)


@functools.cache
def possible():
    """Not every root may: in a container he seldom has all rights."""
    return os.geteuid() == 0 and shutil.which("ip") and shutil.which("unshare") and subprocess.run(
        ["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode == 0


def alone(*addresses):
    def decorate(test):
        @functools.wraps(test)
        def wrapped(*arguments, **named):
            if not possible():
                pytest.skip("no network of our own: root, ip and unshare are needed")
            run(addresses, lambda: test(*arguments, **named))
        return wrapped
    return decorate
