# SPDX-License-Identifier: ISC
"""
What the running program does when the machine refuses, and when it gives again.

    faults.py SECONDS       how long each fault stays

New mail is refused for a while or not at all, what was accepted stays and goes
on where it can, somebody is told once, and all is well without a restart.
"""
import asyncio
import contextlib
import errno
import os
import pathlib
import resource
import sys
import tempfile
import time

from world import DEADLINE, Client, Switch, Tap, World, name_of, until

A_RETRY = 1.5                       # seconds until what waits was tried once more


class Fault:
    """
    `codes`: what clients may be told; `alarms`: how often somebody is told, at least
    and at most; `goes_on`: how many of those that were accepted are delivered meanwhile:
    the last of them has a file, and where files cannot be opened it waits, with an alarm.
    """

    def __init__(self, name, on, off, codes=(), refuses=True, alarms=(1, 1), goes_on=5):
        self.name, self.on, self.off, self.goes_on = name, on, off, goes_on
        self.codes, self.refuses, self.alarms = codes, refuses, alarms


def by_switch(name, act, operations, number=0, **more):
    return Fault(name, lambda world: world.switch.set(act, operations, number), lambda world: world.switch.off(), **more)


def no_descriptors(role):
    """Not one more than it has now."""
    def on(world):
        for pid in world.pids(role):
            have = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1
            world.limits[pid] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (have, world.limits[pid][1]))

    def off(world):
        for pid, limits in world.limits.items():
            if name_of(pid) == role:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        world.limits.clear()
    return on, off


def no_forks(world):
    """Somebody dies, and his successor cannot be born."""
    world.switch.set(Switch.FAIL, Switch.FORK, errno.EAGAIN)
    world.kill_role("delivery")
    world.kill_role("smtpd")


FULL = Switch.WRITE | Switch.MAKE | Switch.OPEN | Switch.NAME
FAULTS = (
    by_switch("no space", Switch.FAIL, FULL, errno.ENOSPC, codes=("452 4.3.1",)),
    by_switch("writes fail", Switch.FAIL, Switch.WRITE, errno.EIO, codes=("451 4.3.0", "452 4.3.1")),
    by_switch("flushes fail", Switch.FAIL, Switch.FLUSH, errno.EIO, codes=("451 4.3.0", "452 4.3.1")),
    by_switch("everything fails", Switch.FAIL, Switch.FILES, errno.EIO, goes_on=4, alarms=(1, 1),
              codes=("451 4.3.0", "452 4.3.1")),
    by_switch("a read-only disk", Switch.FAIL, Switch.FILES, errno.EROFS, goes_on=4, alarms=(1, 1),
              codes=("451 4.3.0", "452 4.3.1")),
    by_switch("no descriptor for a file", Switch.FAIL, Switch.OPEN, errno.EMFILE, refuses=False, goes_on=4, alarms=(0, 2),
              codes=("451 4.3.0", "452 4.3.1")),
    by_switch("every write is short", Switch.SHORT, Switch.WRITE, refuses=False, alarms=(0, 0)),
    Fault("smtpd has no descriptors", *no_descriptors("smtpd"), refuses=False, alarms=(0, 1), codes=("421", "451", "452")),
    Fault("queue has no descriptors", *no_descriptors("queue"), refuses=False, goes_on=0, alarms=(0, 2), codes=("451", "452")),
    Fault("delivery has no descriptors", *no_descriptors("delivery"), refuses=False, goes_on=0, alarms=(0, 1)),
    Fault("nobody can be born", no_forks, lambda world: world.switch.off(), refuses=False, goes_on=0, alarms=(0, 1)),
)


def cpu_seconds(world):
    """Of each process that is there."""
    spent = {}
    for role in "smtpd", "queue", "delivery":
        for pid in world.pids(role):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):    # it has died meanwhile
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
                spent[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent


async def waiting_letters(world):
    """Accepted, and tried again while the fault is there."""
    letters = [world.ledger.new(size, ["later@far.test"]) for size in (2000, 2000, 2000, 2000, 300000)]
    client = Client(world)
    for letter in letters:
        assert await client.try_to_send(letter), f"before a fault: {world.said}"
    client.close()
    return letters


async def takes_mail(world):
    """How long until a message is taken again."""
    begun = time.monotonic()
    while time.monotonic() < begun + DEADLINE:
        client, letter = Client(world), world.ledger.new(1000, ["x@far.test"])
        taken = await client.try_to_send(letter)
        client.close()
        if taken:
            return time.monotonic() - begun
        await asyncio.sleep(0.05)
    return float("inf")


async def stay(world, fault, seconds):
    """So long, and until who must hear of it has; how busy they were."""
    begun, before = time.monotonic(), cpu_seconds(world)
    await asyncio.sleep(seconds)
    while fault.refuses and not world.said and time.monotonic() < begun + DEADLINE:
        await asyncio.sleep(0.01)
    spent = sum(seconds - before.get(pid, 0) for pid, seconds in cpu_seconds(world).items())
    return spent / (time.monotonic() - begun)


async def meet(tap, world, fault, seconds):
    world.said.clear()
    alarms = len(world.events("alarm"))
    letters = await waiting_letters(world)
    begun = time.time()
    fault.on(world)
    world.load(3, pause=0.01)
    busy = await stay(world, fault, seconds)
    fault.off(world)
    ended = time.time()
    late = await takes_mail(world)
    await world.unload()
    missing = await world.settle()
    alarms = [e["why"] for e in world.events("alarm")[alarms:]]
    gone_on = sum(any(begun < when < ended for when in world.ledger.fate(x, "later@far.test")) for x in letters)
    strange = [code for code in world.said if not code.startswith(fault.codes or ("-",))]
    tap.note(f"{fault.name}: refused {world.said}, {len(alarms)} alarms, {gone_on} of {len(letters)} delivered meanwhile, "
             f"well after {late:.2f} s, {busy:.0%} busy")
    tap.say(not missing, f"{fault.name}: nothing is lost", missing[:10])
    tap.say(not strange and (bool(world.said) or not fault.refuses),
            f"{fault.name}: new mail waits or is told {' or '.join(fault.codes) or 'nothing'}", [world.said])
    tap.say(fault.alarms[0] <= len(alarms) <= fault.alarms[1], f"{fault.name}: somebody is told, once", alarms[:10])
    if seconds >= A_RETRY:
        tap.say(gone_on >= fault.goes_on, f"{fault.name}: what waits goes out", [gone_on])
    tap.say(late < float("inf"), f"{fault.name}: it takes mail again by itself", [late])
    tap.say(busy < 0.9, f"{fault.name}: nobody runs in circles", [busy])


async def interrupted(tap, world):
    """EINTR at one write after the other."""
    world.said.clear()
    world.load(3, pause=0.005)
    for _ in range(20):
        world.switch.set(Switch.FAIL, Switch.WRITE, errno.EINTR, 2)
        await until(lambda: not world.switch.on(), "a write")
    await world.unload()
    tap.say(not world.said, "interrupted writes: nobody hears of it", [world.said])


async def run(tap, seconds):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="chainmail-faults-"))
    switch = Switch(directory / "switch")
    world = World(directory, environment=switch.environment(directory / "state" / "queue"))
    world.switch, world.limits = switch, {}
    try:
        await world.begin()
        for fault in FAULTS:
            await meet(tap, world, fault, seconds)
        await interrupted(tap, world)
        missing = await world.settle()
        await world.wait_empty()
        world.collect()
        tap.say(not missing, "faults: nothing is lost", missing[:10])
        tap.say(not world.ledger.changed, "faults: nothing is changed", world.ledger.changed[:10])
        tap.say(await world.stop() == 0, "faults: a clean end afterwards")
    finally:
        await world.end()
    tap.leave(directory)


def main():
    tap = Tap()
    asyncio.run(run(tap, float(sys.argv[1]) if len(sys.argv) > 1 else 1.5))
    sys.exit(tap.failures > 0)


if __name__ == "__main__":
    main()
