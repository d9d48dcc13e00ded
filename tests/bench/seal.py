#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""
One post to a list with 10,000 members, VERP on: until all of it is durably queued.
(How many messages are sealed a second: obj/tests/bench/b_seal.)

    seal.py [--members N] [--runs N] [--json FILE]
"""
import argparse
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import world as ground                                                   # noqa: E402
from lib.figures import Table, alone                                              # noqa: E402
from lib.servers import Chainmail, load, wait_for                                 # noqa: E402


class ListHost(Chainmail):
    members = 10000

    def configure(self):
        names = self.file("members", "".join(f"member{i}@far{i % 500}.test\n" for i in range(self.members)))
        self.extra = f"domain lists.test {{ list all@lists.test {{ members from file {names}; verp on }} }}"
        super().configure()


def peak(pids):
    """MiB of memory of their own that these processes had at most."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as f:
            total += int(re.search(r"(?m)^VmHWM:\s+(\d+)", f.read())[1])
    return total / 1024


def post(world, figures):
    with ListHost(world, "relay") as server:
        load(server, "-n", 100, "-s", 10)
        server.settle()
        begun = time.monotonic()
        load(server, "-n", 1, "-t", "all@lists.test")
        log = os.path.join(server.dir, "log")
        # The line is written when the post with all its recipients is on the disk.
        queued = re.compile(r" queued .*rcpts=%d\b" % server.members)
        wait_for(lambda: queued.search(read(log)), 20, server.tail())
        figures.append(peak(server.role("queue")))
        return time.monotonic() - begun


def read(path):
    with open(path) as f:
        return f.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--members", type=int, default=10000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dir", default="/var/tmp", help="where the image of the disk lies")
    parser.add_argument("--json", default="bench-seal.json")
    options = parser.parse_args()
    ListHost.members = options.members
    ground.enter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with ground.world(4, options.dir) as world:
        table = Table("seal", {"disk": world.kind, "cores": os.cpu_count(), "members": options.members})
        memory = []
        alone(table, "post to a list, until it is durably queued", 2, options.runs,
              lambda: post(world, memory), unit="s")
        if memory:
            table.add("memory of the queue role, at most", 64, max(memory), max(memory), more=False, unit="MiB")
        table.write(options.json)


if __name__ == "__main__":
    main()
