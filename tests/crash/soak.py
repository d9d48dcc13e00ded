# SPDX-License-Identifier: ISC
"""
Full load for a long time, with retries, a next hop that comes and goes, faults
of the disk and the recycling of segments: nothing is lost, and memory and
descriptors of every role stay what they were.

    soak.py MINUTES
"""
import asyncio
import errno
import os
import pathlib
import random
import sys
import tempfile
import time

from world import Switch, Tap, World

# After so much of the time a role has what it needs; by so much it may grow after that.
WARM, GROWTH_KB, GROWTH_FDS = 0.25, 24 << 10, 40
ROLES = ("queue", "delivery", "smtpd")


def memory_of(pid):
    """Resident, in kB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def measure(world):
    """{pid: (role, kB, descriptors)}"""
    return {pid: (role, memory_of(pid), len(os.listdir(f"/proc/{pid}/fd")))
            for role in ROLES for pid in world.pids(role)}


async def disturb(world, dice):
    """A short fault, and a next hop that is away for a moment."""
    await asyncio.sleep(dice.uniform(1, 5))
    world.switch.set(Switch.FAIL, dice.choice((Switch.WRITE, Switch.FLUSH, Switch.FILES)),
                     dice.choice((errno.ENOSPC, errno.EIO)), 0)
    await asyncio.sleep(dice.uniform(0.05, 0.3))
    world.switch.off()
    await asyncio.sleep(dice.uniform(1, 5))
    world.sink.down = True
    await asyncio.sleep(dice.uniform(0.1, 1))
    world.sink.down = False


def forget_arrived(world):
    """What has come to its end needs no place in this ledger; its numbers go on."""
    world.collect()
    for letter in [x for x in world.ledger.letters.values() if x.acknowledged is not None]:
        if all(world.ledger.fate(letter, r) for r in letter.recipients):
            letter.recipients = []
    for user in "ann", "s":
        for entry in os.scandir(world.mail / user / "new") if (world.mail / user / "new").is_dir() else []:
            if entry.path in world.read:
                os.unlink(entry.path)
                world.read.discard(entry.path)


async def under_load(world, minutes, dice):
    """The measures, one a disturbance, with their times."""
    end, measures = time.monotonic() + minutes * 60, []
    world.load(8)
    while time.monotonic() < end:
        await disturb(world, dice)
        measures.append((time.monotonic(), measure(world)))
        forget_arrived(world)
    await world.unload()
    return measures


def grown(measures, minutes):
    """[(role, what, before, after)] of all that grew too much after it was warm."""
    warm = [m for when, m in measures if when > measures[0][0] + minutes * 60 * WARM]
    found = []
    for pid in warm[0] if warm else []:
        series = [m[pid] for m in warm if pid in m]
        for what, at, most in ("kB", 1, GROWTH_KB), ("descriptors", 2, GROWTH_FDS):
            first = max(x[at] for x in series[:max(1, len(series) // 3)])
            last = max(x[at] for x in series[-max(1, len(series) // 3):])
            if last > first + most:
                found.append((series[0][0], what, first, last))
    return found


def spool_bytes(world):
    return sum(p.stat().st_blocks * 512 for p in (world.state / "queue").rglob("*") if p.is_file())


async def run(tap, minutes):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="chainmail-soak-"))
    switch = Switch(directory / "switch")
    world = World(directory, environment=switch.environment(directory / "state" / "queue"))
    world.switch = switch
    try:
        await world.begin()
        before = {pid for role in ROLES for pid in world.pids(role)}
        measures = await under_load(world, minutes, random.Random(1))
        missing = await world.settle()
        await world.wait_empty()
        ledger, growth = world.ledger, grown(measures, minutes)
        tap.note(f"{minutes} minutes, {len(ledger.acknowledged())} acknowledged, {len(missing)} lost, "
                 f"{len(ledger.repeated())} repeated, refused {world.said}, {spool_bytes(world) >> 20} MiB of spool")
        for pid, (role, kilobytes, descriptors) in measures[-1][1].items():
            tap.note(f"{role} {pid}: {kilobytes} kB, {descriptors} descriptors")
        tap.say(not missing and not ledger.changed, "soak: nothing is lost or changed", [missing[:9], ledger.changed[:9]])
        tap.say(not ledger.repeated(), "soak: nothing came twice", ledger.repeated()[:9])
        tap.say(before == set(measures[-1][1]), "soak: nobody died")
        tap.say(not growth, "soak: memory and descriptors are flat", growth)
        tap.say(spool_bytes(world) < 1 << 30, "soak: the spool is recycled", [spool_bytes(world)])
        verdict = world.queue("verify")
        tap.say(verdict.returncode == 0, "soak: segments and catalogue agree", [verdict.stderr])
        tap.say(await world.stop() == 0, "soak: a clean end")
    finally:
        await world.end()
    tap.leave(directory)


def main():
    tap = Tap()
    asyncio.run(run(tap, float(sys.argv[1]) if len(sys.argv) > 1 else 30))
    sys.exit(tap.failures > 0)


if __name__ == "__main__":
    main()
