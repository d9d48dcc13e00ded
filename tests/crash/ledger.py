# SPDX-License-Identifier: ISC
"""
kill -9, at random instants, of a role or of the whole program under load.

    ledger.py STRIKES [SEED]

Nothing that was acknowledged may be lost or changed.  A copy too many is a
defect unless its first arrival was under way when a strike hit who knew of it:
the windows stand in HACKING, section "The spool and what a crash can do".
"""
import asyncio
import pathlib
import random
import sys
import tempfile
import time

from world import DEADLINE, Tap, World, until

# The first copy arrived so shortly before the strike, in seconds: its result had not reached the
# disk.  What arrives later than a strike was under way when it hit; an attempt takes less than that.
# Where a 250 took longer, so may these: a result rides with the same flushes.
BEFORE, AFTER = 1.0, 5.0
PROMISES = 5                        # 250s between two strikes, at least
VICTIMS = ("queue", "delivery", "smtpd", "program")


async def strike(world, victim):
    """When it hit, or None."""
    if victim != "program":
        when = world.kill_role(victim)
    else:
        when = await world.kill()
        await world.start()
    return when


def explained(first, strikes, slowest, report=False):
    """Was somebody killed who alone knew of it?  Of arrivals a new queue is told again, not of reports."""
    knew = ("queue", "delivery", "program") if report else ("delivery", "program")
    return any(victim in knew and when - max(BEFORE, slowest) <= first <= when + max(AFTER, slowest)
               for when, victim in strikes)


async def some_promises(world, known):
    """A strike counts when there is something to lose since the last one; gives how many there are."""
    enough = len(known) + PROMISES
    await until(lambda: len(world.ledger.acknowledged()) >= enough, "messages between strikes", 2 * DEADLINE)
    return world.ledger.acknowledged()


async def under_strikes(world, dice, count):
    strikes, known = [], []
    world.load(6, pause=0.002)
    while len(strikes) < count:
        known = await some_promises(world, known)
        await asyncio.sleep(dice.uniform(0, 0.3))
        victim = dice.choice(VICTIMS)
        when = await strike(world, victim)
        if when is not None:
            strikes.append((when, victim))
    await world.unload()
    return strikes


def judge(tap, world, strikes, missing):
    ledger = world.ledger
    repeated = ledger.repeated()
    strange = [(key, whens, min(strikes, key=lambda s: abs(s[0] - whens[0]))) for key, whens in repeated
               if not explained(whens[0], strikes, ledger.slowest(), key in ledger.reports)]
    killed = {victim: sum(v == victim for _, v in strikes) for victim in VICTIMS}
    tap.note(f"{len(strikes)} strikes {killed}, {len(ledger.acknowledged())} acknowledged of {len(ledger.letters)}, "
             f"{len(missing)} lost, {len(repeated)} repeated, slowest 250 {ledger.slowest():.2f} s, refused {world.said}")
    tap.say(not missing, f"kill -9: of {len(ledger.acknowledged())} acknowledged none is lost", missing[:20])
    tap.say(not ledger.changed, "kill -9: none is changed", ledger.changed[:20])
    tap.say(not strange, f"kill -9: {len(repeated)} came twice, all of them under way at a strike", strange[:20])


async def run(tap, count, seed):
    directory = tempfile.mkdtemp(prefix="chainmail-ledger-")
    world = World(directory)
    dice = random.Random(seed)
    try:
        await world.begin()
        strikes = await under_strikes(world, dice, count)
        missing = await world.settle()
        await world.wait_empty()
        world.collect()
        judge(tap, world, strikes, missing)
        tap.say(not world.events("alarm"), "kill -9: no alarm", world.events("alarm")[:5])
        tap.say(await world.stop() == 0, "kill -9: a clean end afterwards")
    finally:
        await world.end()
    if tap.failures:
        pathlib.Path(directory, "said").write_text(str(world.said))
    tap.leave(directory)


def main():
    tap = Tap()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    tap.note(f"seed {seed}")
    asyncio.run(run(tap, count, seed))
    sys.exit(tap.failures > 0)


if __name__ == "__main__":
    main()
