#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""
How fast mail is taken, kept and passed on, beside Postfix and Exim: in one run, in
turn, on one disk, with every message flushed before its 250 on all sides.

    queue.py [--pairs N] [--rows WORD,...] [--most N] [--nice N] [--dir DIR] [--json FILE]

A row is run when one of the words is in its name.  Run in the build directory,
after `make bench` or `make chainmail obj/tests/bench/load`; as root, or only
Chainmail is measured.
"""
import argparse
import os
import signal
import statistics
import subprocess
import sys

import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import evaluated, traced, world as ground                                # noqa: E402
from lib.figures import Table, alone, compare, note                               # noqa: E402
from lib.servers import (NEXT_HOP, Chainmail, Exim, NextHop, Postfix, available, greets, load,  # noqa: E402
                         wait_for)

OUTSIDE = "someone@far.test"
BIG = 25 << 20


class Bench:
    def __init__(self, world, table, options):
        self.world, self.table, self.options = world, table, options

    def wants(self, what):
        return not self.options.rows or any(w in what for w in self.options.rows.split(","))

    def can(self, what, *classes):
        for cls in classes:
            if available(cls) is not None:
                self.table.skip(what, f"{cls.name} {available(cls)}")
                return False
        return self.wants(what)

    # --- taking mail ------------------------------------------------------------------

    def accept(self, cls, messages, *options, mode="accept", key="per_second", warm=100):
        """A fresh server takes some messages to get warm, then those that count."""
        with cls(self.world, mode) as server:
            load(server, "-n", warm, "-s", 10, *options[2:])
            server.settle()
            return load(server, "-n", messages, *options)[key]

    def accept_rows(self):
        rows = [("accept 4 KiB, 1 session", 4, 1500, 600, ("-s", 1)),
                ("accept 4 KiB, 10 kept sessions", 8, 10000, 1500, ("-s", 10)),
                ("accept 4 KiB, 100 kept sessions", 8, 15000, 2000, ("-s", 100)),
                ("accept, connection per message, 10 sessions", 6, 6000, 1000, ("-s", 10, "-1"))]
        for what, wanted, ours, theirs, options in rows:
            if self.can(what, Postfix):
                compare(self.table, what, wanted, self.options.pairs,
                        lambda: self.accept(Chainmail, ours, *options),
                        lambda: self.accept(Postfix, theirs, *options), unit="/s")
        what = "accept 4 KiB, 10 kept sessions, beside Exim"
        if self.can(what, Exim):
            compare(self.table, what, None, self.options.pairs,
                    lambda: self.accept(Chainmail, 10000, "-s", 10),
                    lambda: self.accept(Exim, 800, "-s", 10), unit="/s")

    def latency_row(self):
        what = "DATA end to 250, one session, median"
        if self.can(what, Postfix):
            compare(self.table, what, 0.25, self.options.pairs,
                    lambda: self.accept(Chainmail, 500, "-s", 1, key="median"),
                    lambda: self.accept(Postfix, 500, "-s", 1, key="median"), more=False, unit="ms")

    def big_row(self):
        what = "25 MiB message"
        if not self.can(what, Postfix):
            return

        def rate(cls):
            return 25 * self.accept(cls, 8, "-s", 1, "-l", BIG, warm=10)
        compare(self.table, what, 5, self.options.pairs, lambda: rate(Chainmail), lambda: rate(Postfix),
                unit="MiB/s")

    # --- passing it on -------------------------------------------------------------------

    def relay(self, cls, messages):
        """From the first connection until the next hop has all."""
        with cls(self.world, "relay") as server:
            hop = NextHop(messages + 100)
            try:
                load(server, "-n", 100, "-s", 10, "-t", OUTSIDE)
                server.settle()
                begun = time.monotonic()
                load(server, "-n", messages, "-s", 10, "-t", OUTSIDE)
                hop.wait(120)
                return messages / (time.monotonic() - begun)
            finally:
                hop.end()

    def relay_rows(self):
        for what, cls, wanted, messages in (("accept to relayed, 10 sessions", Postfix, 10, 1000),
                                            ("accept to relayed, 10 sessions, Exim", Exim, 50, 300)):
            if self.can(what, Postfix, cls):
                compare(self.table, what, wanted, self.options.pairs,
                        lambda: self.relay(Chainmail, 8000), lambda: self.relay(cls, messages), unit="/s")

    def delivered(self, cls):
        """A load with a sink of its own is the next hop; what it sees first counts like the rest."""
        with cls(self.world, "relay") as server:
            return load(server, "-n", 500, "-d", NEXT_HOP, "-t", OUTSIDE)["median"]

    def delivered_row(self):
        what = "DATA to delivered, one session, median"
        if self.can(what, Postfix):
            compare(self.table, what, 0.25, self.options.pairs, lambda: self.delivered(Chainmail),
                    lambda: self.delivered(Postfix), more=False, unit="ms")

    # --- looking at it --------------------------------------------------------------------

    def evaluated_rows(self):
        first = "evaluated (SPF DKIM DMARC ARC), 10 sessions"
        second = "evaluated, beside our own rate without"
        if not (self.wants(first) or self.wants(second)):
            return
        with evaluated.people(self.world) as letter:
            options = ("-s", 10, "-m", letter, "-f", evaluated.SENDER)
            ours = lambda: self.accept(Chainmail, 4000, *options, mode="evaluate")      # noqa: E731
            if self.can(first, Postfix) and evaluated.can(self.table, first):
                compare(self.table, first, 10, self.options.pairs, ours,
                        lambda: self.accept(Postfix, 600, *options, mode="evaluate"), unit="/s")
            if self.wants(second):
                compare(self.table, second, 0.6, self.options.pairs, ours,
                        lambda: self.accept(Chainmail, 8000, *options), unit="/s")

    # --- what it costs ----------------------------------------------------------------------

    def flush_row(self):
        what = "flushes per message, 100 sessions"
        if not self.wants(what):
            return
        if self.world.flushes() is None:
            self.table.skip(what, "the disk does not count them")
            return

        def flushes():
            with Chainmail(self.world, "accept") as server:
                load(server, "-n", 2000, "-s", 100)
                server.settle()
                before = self.world.flushes()
                load(server, "-n", 10000, "-s", 100)
                return (self.world.flushes() - before) / 10000
        alone(self.table, what, 0.1, 3, flushes)

    def memory_rows(self):
        each, all_ = "memory per idle plain session", "memory in all, 10,000 idle sessions"
        if not self.wants(each):
            return
        sessions = 10000
        with Chainmail(self.world, "accept") as server:
            load(server, "-n", 2000, "-s", 100)
            before = memory(server.pids())
            idle = subprocess.Popen([ground.LOAD, "-i", "-s", str(sessions), "127.0.0.1", str(server.port)],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            line = idle.stdout.readline()
            after = memory(server.pids())
            idle.stdin.close()
            idle.wait(60)
        if not line.startswith(f"{sessions} sessions"):
            self.table.skip(each, f"only this came: {line!r}")
            return
        self.table.add(each, 4, (after - before) / sessions, (after - before) / sessions, more=False, unit="KiB")
        self.table.add(all_, 60, after / 1024, after / 1024, more=False, unit="MiB")

    # --- much that waits -------------------------------------------------------------------------

    def fill(self, server, messages):
        """How many of 4 KiB it takes a second while the last tenth comes."""
        part = messages // 10
        return [load(server, "-n", part, "-s", 100) for _ in range(10)][-1]["per_second"]

    def restart(self, server):
        """Seconds to the first 220, and until everything is scheduled."""
        server.stop()
        log = os.path.join(server.dir, "log")
        os.unlink(log)
        begun = time.monotonic()
        server.process = server.run(*server.command())
        wait_for(lambda: greets(server.port), 60, "no greeting")
        greeted = time.monotonic() - begun
        wait_for(lambda: " ready " in read(log), 60, "not ready")
        # The queue answers nobody before it has scheduled all; this is no message's ID.
        said = subprocess.run([ground.CHAINMAIL, "queue", "show", "358Y7B65GG01", "-c", server.conf],
                              capture_output=True, text=True).stderr
        if "no message" not in said:
            raise RuntimeError(f"queue show: {said!r}")
        return greeted, time.monotonic() - begun

    def list_seconds(self, server, messages):
        begun = time.monotonic()
        out = subprocess.run([ground.CHAINMAIL, "queue", "list", "-c", server.conf], capture_output=True)
        took = time.monotonic() - begun
        if out.stdout.count(b"\n") < messages:
            raise RuntimeError(f"queue list: {out.stdout[-200:]!r} {out.stderr[-200:]!r}")
        return took

    def many_rows(self):
        if not self.wants("queued"):
            return
        for power in 10 ** 4, 10 ** 5, 10 ** 6:
            if power <= self.options.most:
                try:
                    self.many(power)
                except Exception as e:
                    self.table.skip(f"{power:,} queued", f"{type(e).__name__}: {e}")

    def many(self, messages):
        goals = (0.1, 0.5, 0.2) if messages == 10 ** 5 else (None, None, None)
        with Chainmail(self.world, "accept") as server:
            rate = self.fill(server, messages)
            self.table.add(f"{messages:,} queued: a message more", None, 1e6 / rate, 1e6 / rate, unit="us")
            starts = [self.restart(server) for _ in range(3)]
            lists = [self.list_seconds(server, messages) for _ in range(3)]
            for what, goal, values in ((f"{messages:,} queued: restart to 220", goals[0], [s[0] for s in starts]),
                                       (f"{messages:,} queued: all scheduled", goals[1], [s[1] for s in starts]),
                                       (f"{messages:,} queued: list", goals[2], lists)):
                middle = statistics.median(values)
                self.table.add(what, goal, middle, middle, None, (min(values), max(values), "3 runs"), False, "s")

    # --- honesty -------------------------------------------------------------------------------

    def early(self, cls):
        with cls(self.world, "accept") as server:
            return traced.replies_before_flush(server)

    def flushed_rows(self):
        for cls in Chainmail, Postfix, Exim:
            what = f"flushed before 250: {cls.name}"
            if self.can(what, cls):
                alone(self.table, what + ", early replies", 0, 1, lambda: self.early(cls))

    def run(self):
        for rows in (self.flushed_rows, self.accept_rows, self.latency_row, self.delivered_row, self.relay_rows,
                     self.big_row, self.evaluated_rows, self.flush_row, self.memory_rows, self.many_rows):
            rows()


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def memory(pids):
    """KiB that belong to these processes, shared pages divided."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--rows", default="")
    parser.add_argument("--most", type=int, default=10 ** 6, help="largest queue of the restart rows")
    parser.add_argument("--nice", type=int, default=0, help="below 0: less disturbed by others (root)")
    parser.add_argument("--dir", default="/var/tmp", help="where the image of the disk lies")
    parser.add_argument("--json", default="bench-queue.json")
    options = parser.parse_args()
    ground.enter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with ground.world(where=options.dir) as world:
        world.nice = options.nice
        if options.nice:
            ground.hurry(os.getpid(), options.nice)
        table = Table("queue", {"disk": world.kind, "cores": os.cpu_count(), "pairs": options.pairs,
                                "load average": f"{os.getloadavg()[0]:.1f}"})
        Bench(world, table, options).run()
        table.write(options.json)


if __name__ == "__main__":
    main()
