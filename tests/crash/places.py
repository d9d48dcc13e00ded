# SPDX-License-Identifier: ISC
"""
The queue role of the running program, killed at each of its file operations.

    places.py SOME      at SOME places of each life, or at all of them (0)

Between two places the program goes on: it was hurt some hundred times at the end.
"""
import asyncio
import pathlib
import random
import sys
import tempfile
import time

from world import Client, Switch, Tap, World, until

SMALL, LARGE = 3000, 300000
HOUSEKEEPING = 1.5                  # in seconds: rows of the catalogue, removals
WRITES = 8                          # that a day has at least


def letters(world):
    """One of each kind: what the queue role does in a day, in a second."""
    return [world.ledger.new(SMALL, ["ann@local.test"]), world.ledger.new(LARGE, ["x@far.test"]),
            world.ledger.new(SMALL, ["never@far.test"]), world.ledger.new(LARGE, ["ann@local.test"]),
            world.ledger.new(SMALL, ["later@far.test", "x@far.test"])]


async def send_all(world, some):
    clients = [Client(world) for _ in some]
    await asyncio.gather(*(c.try_to_send(letter) for c, letter in zip(clients, some)))
    for c in clients:
        c.close()


async def a_day(world, _):
    """Accepted, delivered, deferred, reported."""
    await send_all(world, letters(world))
    return await world.settle()


async def a_recovery(world, _):
    """What waits is there after a start that does not come to its end."""
    world.sink.down = True
    await send_all(world, letters(world)[1:])
    world.kill_role("queue")
    await asyncio.sleep(0.3)
    world.sink.down = False
    return await world.settle()


async def count(world, life):
    """How many operations it takes undisturbed, about; the second time, when directories are there."""
    await life(world, 0)
    await asyncio.sleep(HOUSEKEEPING)
    before = world.switch.seen()
    await life(world, 0)
    await asyncio.sleep(HOUSEKEEPING)
    return world.switch.seen() - before


async def kill_at(world, life, act, place):
    """What is missing, and whether it came so far."""
    world.switch.set(act, Switch.FILES if act == Switch.KILL else Switch.WRITE, 0, place)
    await life(world, place)
    try:
        await until(lambda: not world.switch.on(), "its turn", HOUSEKEEPING)
    except AssertionError:
        pass                            # it was quicker this time
    came = not world.switch.on()
    world.switch.off()
    return await world.settle(), came


async def enumerate_life(tap, world, life, act, some, name):
    total = WRITES if act == Switch.HALF else await count(world, life)
    dice = random.Random(sum(name.encode()))
    places = range(1, total + 1) if some == 0 else sorted(dice.sample(range(1, total + 1), some))
    lost, killed = [], 0
    for place in places:
        missing, came = await kill_at(world, life, act, place)
        lost += [(place, m) for m in missing]
        killed += came
    if killed == 0:                     # each time it was quicker: its first operation it cannot leave out
        missing, killed = await kill_at(world, life, act, 1)
        lost += [(1, m) for m in missing]
    tap.note(f"{name}: {killed} times killed at {len(places)} of about {total} places")
    tap.say(killed > 0 and not lost, f"{name}: nothing lost, killed {killed} times", lost[:20])


async def run(tap, some):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="chainmail-places-"))
    switch = Switch(directory / "switch")
    world = World(directory, environment=switch.environment(directory / "state" / "queue"))
    world.switch = switch
    try:
        await world.begin()
        for life, name in (a_day, "a day of the queue"), (a_recovery, "its recovery"):
            await enumerate_life(tap, world, life, Switch.KILL, some, name)
        await enumerate_life(tap, world, a_day, Switch.HALF, some and 2,
                             "a day, in the middle of a write")
        await world.wait_empty()
        world.collect()
        ledger = world.ledger
        tap.note(f"{len(ledger.acknowledged())} acknowledged of {len(ledger.letters)}, "
                 f"{len(ledger.repeated())} repeated, refused {world.said}")
        tap.say(not ledger.changed, "killed in place: nothing is changed", ledger.changed[:20])
        tap.say(not world.events("alarm"), "killed in place: no alarm", world.events("alarm")[:5])
        tap.say(await world.stop() == 0, "killed in place: a clean end afterwards")
    finally:
        await world.end()
    tap.leave(directory)


def main():
    tap = Tap()
    begun = time.monotonic()
    asyncio.run(run(tap, int(sys.argv[1]) if len(sys.argv) > 1 else 6))
    tap.note(f"{time.monotonic() - begun:.0f} s")
    sys.exit(tap.failures > 0)


if __name__ == "__main__":
    main()
