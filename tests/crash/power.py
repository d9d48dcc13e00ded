# SPDX-License-Identifier: ISC
"""
True power cuts: state and Maildirs lie on an ext4 image that is shut down
without a flush of its journal while mail flows, and mounted again.

    power.py CUTS [ACKNOWLEDGED]

So many cuts, and more until so many messages were acknowledged.  What was not
acknowledged before a cut began is not counted.  At the end the same with flushes
that do nothing, which must lose messages, or none of this proves anything.
"""
import asyncio
import datetime
import fcntl
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

from ledger import explained
from world import Switch, Tap, World, until

EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, (2).to_bytes(4, sys.byteorder)
MEGABYTES, COMMIT = 1536, 300        # of the image; seconds between commits that nobody asked for


class Image:
    def __init__(self, directory):
        self.file, self.place = directory / "image", directory / "disk"
        self.place.mkdir()
        with open(self.file, "wb") as f:
            f.truncate(MEGABYTES << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,nodiscard", self.file], check=True,
                       capture_output=True, timeout=60)

    def mount(self):
        subprocess.run(["mount", "-o", f"loop,commit={COMMIT}", self.file, self.place], check=True,
                       capture_output=True, timeout=60)

    def unmount(self):
        subprocess.run(["umount", self.place], check=True, capture_output=True, timeout=60)

    def cut(self):
        fd = os.open(self.place, os.O_RDONLY)
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
        os.close(fd)


def alone():
    """In a mount namespace of our own: nobody else's copy of the mount keeps the dead file system alive."""
    if os.geteuid() == 0 and shutil.which("unshare") and "POWER_ALONE" not in os.environ:
        os.environ["POWER_ALONE"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])


def possible():
    """Why not, or None."""
    if os.geteuid() != 0:
        return "only root mounts"
    if not shutil.which("mkfs.ext4"):
        return "there is no mkfs.ext4"
    with tempfile.TemporaryDirectory() as name:
        image = Image(pathlib.Path(name))
        try:
            image.mount()
        except subprocess.CalledProcessError:
            return "no loop mounts here"
        image.unmount()
    return None


def withdraw(world, when):
    """A 250 that came while the power failed is nobody's promise."""
    for letter in world.ledger.letters.values():
        if letter.acknowledged is not None and letter.acknowledged >= when and letter.number not in world.sealed:
            letter.acknowledged = None
    world.sealed.update(letter.number for letter in world.ledger.letters.values())


async def cut(world, image):
    """The ioctl sleeps for a while; clients go on meanwhile.  Gives when the power failed."""
    when = time.time()
    await asyncio.get_running_loop().run_in_executor(None, image.cut)
    await world.kill()
    await world.unload()
    withdraw(world, when)
    image.unmount()
    image.mount()
    return when


async def cut_often(world, image, dice, cuts, enough):
    strikes = []
    while len(strikes) < cuts or len(world.ledger.acknowledged()) < enough:
        world.load(8)
        await asyncio.sleep(dice.uniform(0.1, 0.8))
        strikes.append((await cut(world, image), "program"))
        await world.start()
        world.well.append(time.time())
    return strikes


def new_world(directory, image, name, environment=None):
    world = World(directory / name, state=image.place / name / "state", mail=image.place / name / "mail",
                  environment=environment)
    world.sealed, world.well = set(), []
    return world


def in_the_dark(world, strikes, event):
    """It was said between a cut and the death of who said it; damage is no such thing, a disk that is off is."""
    when = datetime.datetime.fromisoformat(event["t"]).timestamp()
    dark = zip((when for when, _ in strikes), world.well)
    return any(first - 0.01 <= when <= last for first, last in dark) and (
        "record" not in event["why"] or event["why"].endswith("Input/output error"))


async def keeps_promises(tap, directory, image, cuts, enough, dice):
    world = new_world(directory, image, "true")
    try:
        await world.begin()
        strikes = await cut_often(world, image, dice, cuts, enough)
        missing = await world.settle()
        ledger = world.ledger
        strange = [(key, whens) for key, whens in ledger.repeated() if not explained(whens[0], strikes, ledger.slowest())]
        tap.note(f"{len(strikes)} cuts, {len(ledger.acknowledged())} acknowledged, {len(missing)} lost, "
                 f"{len(ledger.changed)} changed, {len(ledger.repeated())} repeated, refused {world.said}")
        tap.say(not missing, f"power cuts: of {len(ledger.acknowledged())} acknowledged none is lost", missing[:20])
        tap.say(not ledger.changed, "power cuts: none is changed", ledger.changed[:20])
        tap.say(not strange, f"power cuts: {len(ledger.repeated())} came twice, all under way at a cut", strange[:20])
        alarms = [e for e in world.events("alarm") if not in_the_dark(world, strikes, e)]
        tap.say(not alarms, "power cuts: no alarm about what was found afterwards", alarms[:5])
    finally:
        await world.end()


async def control_loses(tap, directory, image):
    """The same cut, with flushes that do nothing."""
    switch = Switch(directory / "switch")
    world = new_world(directory, image, "faked", switch.environment(image.place))
    try:
        await world.begin()
        switch.set(Switch.FAKE, Switch.FLUSH)
        world.sink.down = True              # nothing gets away in time
        world.load(4)
        await until(lambda: len(world.ledger.acknowledged()) > 20, "something to lose")
        await cut(world, image)
        switch.off()
        world.sink.down = False
        await world.start()
        await world.wait_empty()
        lost = len(await world.settle(seconds=0))       # not late: nobody has it
        tap.note(f"with faked flushes {lost} deliveries of {len(world.ledger.acknowledged())} messages lost")
        tap.say(lost > 0, "power cuts: with faked flushes messages are lost")
    finally:
        await world.end()


async def run(tap, cuts, enough, seed):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="chainmail-power-"))
    image = Image(directory)
    image.mount()
    try:
        await keeps_promises(tap, directory, image, cuts, enough, random.Random(seed))
        await control_loses(tap, directory, image)
    finally:
        image.unmount()
    tap.leave(directory)


def main():
    alone()
    tap = Tap()
    numbers = [int(word) for word in sys.argv[1:3]]
    cuts, enough = (numbers + [20, 0][len(numbers):])[:2]
    seed = int(time.time())
    if (why := possible()) is not None:
        tap.skip("power cuts", why)
        return
    tap.note(f"seed {seed}")
    asyncio.run(run(tap, cuts, enough, seed))
    sys.exit(tap.failures > 0)


if __name__ == "__main__":
    main()
