# SPDX-License-Identifier: ISC
"""
The running program under load, and a ledger of what it promised.

A world is one directory: configuration, state, Maildirs, log.  Beside the
program stand clients that send without end and a next hop that records.
Everything runs on one asyncio loop; the program is a process of its own.

The ledger has a line for each message: who it is for, and when the 250 came.
What arrives is written down with its time; the bytes are compared.  A message
that was acknowledged and neither arrived nor was reported is lost.

    recipients   ann@local.test      a Maildir
                 x@far.test          the next hop, at once
                 later@far.test      the next hop refuses it the first time
                 never@far.test      is refused for good: the sender is told
    sender       s@local.test        a Maildir, where the reports arrive
"""
import asyncio
import hashlib
import json
import mmap
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from ports import free_ports  # noqa: E402

ROOT = pathlib.Path.cwd()
CHAINMAIL = ROOT / "chainmail"
SHIM = ROOT / "obj" / "tests" / "crash" / "shim.so"
DEADLINE = 60                       # seconds; it only ends what hangs

CONFIG = """\
hostname mx.local.test
state {state}
log json
resolver {{ facts {directory}/facts }}
listen mx {{ on 127.0.0.1:{port}; allow relay from 127.0.0.1 }}
domain local.test {{ deliver to maildir {mail}/%u }}
delivery {{ via 127.0.0.1:{sink}; retry after 1s, then every 1s; expire after 1h }}
{more}"""


def body_of(number, size):
    """Unlike every other, and cheap; it is what is compared."""
    line = hashlib.sha256(str(number).encode()).hexdigest() + " " + str(number) + "\r\n"
    return (line * (size // len(line) + 1)).encode()


class Letter:
    def __init__(self, number, size, recipients):
        self.number, self.size, self.recipients = number, size, recipients
        self.acknowledged = None            # when
        self.took = 0.0                     # from its text to the 250, in seconds

    def text(self):
        head = (f"From: <s@local.test>\r\nTo: <{self.recipients[0]}>\r\nMessage-ID: <{self.number}@load.test>\r\n"
                "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nSubject: proof\r\n\r\n")
        return head.encode() + body_of(self.number, self.size)


class Ledger:
    def __init__(self):
        self.letters = {}
        self.arrivals = {}                  # (number, recipient): [when, ...]
        self.reports = {}                   # (number, recipient): [when, ...]
        self.changed = []                   # arrived, but not as it was sent

    def new(self, size, recipients):
        letter = Letter(len(self.letters) + 1, size, recipients)
        self.letters[letter.number] = letter
        return letter

    @staticmethod
    def number_in(text):
        found = re.search(rb"(?m)^Message-ID: <(\d+)@load\.test>", text)
        return int(found[1]) if found else None

    def arrived(self, recipient, text, when):
        number = self.number_in(text)
        _, _, body = text.replace(b"\r\n", b"\n").partition(b"\n\n")
        letter = self.letters.get(number)
        if letter is None or body != body_of(number, letter.size).replace(b"\r\n", b"\n"):
            self.changed.append((number, recipient))
        self.arrivals.setdefault((number, recipient), []).append(when)

    def reported(self, text, when):
        for recipient in re.findall(rb"(?mi)^Final-Recipient: rfc822; *(\S+)", text):
            self.reports.setdefault((self.number_in(text), recipient.decode()), []).append(when)

    def acknowledged(self, before=float("inf")):
        return [letter for letter in self.letters.values()
                if letter.acknowledged is not None and letter.acknowledged < before]

    def slowest(self):
        """What a flush can take on this machine, and until we hear of it."""
        return max((letter.took for letter in self.letters.values()), default=0.0)

    def fate(self, letter, recipient):
        key = letter.number, recipient
        return self.arrivals.get(key, []) + self.reports.get(key, [])

    def missing(self, before=float("inf")):
        return [(letter.number, recipient) for letter in self.acknowledged(before)
                for recipient in letter.recipients if not self.fate(letter, recipient)]

    def repeated(self):
        """(number, recipient), [when, ...] of all that arrived or were reported more than once."""
        both = {**self.arrivals}
        for key, whens in self.reports.items():
            both[key] = both.get(key, []) + whens
        return [(key, sorted(whens)) for key, whens in both.items() if len(whens) > 1]


# --- the next hop ------------------------------------------------------------------------


class Sink:
    def __init__(self, ledger):
        self.ledger, self.refused, self.server, self.port = ledger, set(), None, None
        self.down = False
        self.conversations = set()

    async def start(self, port=0):
        self.server = await asyncio.start_server(self.converse, "127.0.0.1", port, limit=1 << 20)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self.server.close()
        for task in list(self.conversations):
            task.cancel()
        await asyncio.gather(*self.conversations, return_exceptions=True)

    async def converse(self, reader, writer):
        task = asyncio.current_task()
        self.conversations.add(task)
        try:
            await self.talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.conversations.discard(task)
            writer.close()

    async def talk(self, reader, writer):
        recipients = []
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            verb, _, argument = line.strip().partition(b" ")
            verb = verb.upper()
            if self.down:
                writer.write(b"421 4.3.2 not now\r\n")
                break
            if verb in (b"EHLO", b"HELO"):
                writer.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif verb == b"MAIL":
                recipients = []
                writer.write(b"250 ok\r\n")
            elif verb == b"RCPT":
                self.recipient(re.search(rb"<(.*?)>", argument)[1].decode(), recipients, writer)
            elif verb == b"DATA" and recipients:
                writer.write(b"354 go\r\n")
                await self.text(reader, writer, recipients)
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n" if verb in (b"RSET", b"NOOP") else b"503 no\r\n")
        await writer.drain()

    @staticmethod
    def recipient(address, recipients, writer):
        if address.startswith("never@"):
            writer.write(b"550 5.1.1 never\r\n")
            return
        recipients.append(address)
        writer.write(b"250 ok\r\n")

    async def text(self, reader, writer, recipients):
        text = await reader.readuntil(b"\r\n.\r\n")
        text = text[:-3].replace(b"\r\n..", b"\r\n.")
        number = Ledger.number_in(text)
        if any(r.startswith("later@") for r in recipients) and number not in self.refused:
            self.refused.add(number)
            writer.write(b"451 4.2.0 later\r\n")
            return
        for recipient in recipients:
            self.ledger.arrived(recipient, text, time.time())
        writer.write(b"250 taken\r\n")


# --- clients -----------------------------------------------------------------------------


def mixture(number):
    """What the number-th message looks like: mostly small, some of 200 KiB, some larger yet."""
    size = 300000 if number % 60 == 0 else 200 << 10 if number % 20 == 0 else 500 + number * 37 % 6000
    if number % 15 == 0:
        return size, ["never@far.test"]
    if number % 11 == 0:
        return size, ["later@far.test"]
    return size, (["ann@local.test"], ["x@far.test"], ["ann@local.test", "x@far.test"])[number % 3]


class Refused(Exception):
    """The server said no."""


class Client:
    """One session after the other; what happens to them is no failure here."""

    def __init__(self, world):
        self.world, self.reader, self.writer = world, None, None

    async def reply(self):
        while True:
            line = await self.reader.readline()
            if not line:
                raise ConnectionError("end of file")
            if line[3:4] != b"-":
                return line.decode("utf-8", "replace").strip()

    async def expect(self, first):
        got = await self.reply()
        if not got.startswith(first):
            self.world.said[got[:9]] = self.world.said.get(got[:9], 0) + 1
            raise Refused(got)

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.world.port)
        await self.expect("220")
        self.writer.write(b"EHLO client.test\r\n")
        await self.expect("250")

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    async def send(self, letter):
        if self.writer is None:
            await self.connect()
        lines = ["MAIL FROM:<s@local.test>", *(f"RCPT TO:<{r}>" for r in letter.recipients), "DATA", ""]
        self.writer.write("\r\n".join(lines).encode())
        for _ in lines[:-2]:
            await self.expect("250")
        await self.expect("354")
        begun = time.time()
        self.writer.write(letter.text() + b".\r\n")
        await self.writer.drain()
        await self.expect("250")
        letter.acknowledged = time.time()
        letter.took = letter.acknowledged - begun

    async def try_to_send(self, letter):
        """True: it was acknowledged."""
        try:
            await asyncio.wait_for(self.send(letter), DEADLINE)
        except (OSError, Refused, asyncio.IncompleteReadError, asyncio.TimeoutError):
            self.close()
        return letter.acknowledged is not None

    async def send_for_ever(self, pause):
        while self.world.loaded:
            letter = self.world.ledger.new(*self.world.mixture(len(self.world.ledger.letters) + 1))
            if not await self.try_to_send(letter):
                await asyncio.sleep(0.05)
            await asyncio.sleep(pause)


# --- the whole ------------------------------------------------------------------------------


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def name_of(pid):
    """The role of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            return f.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


def dead(pid):
    """Gone, or only its name is left, for a parent that takes its time; none of its threads runs."""
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii", errors="replace") as f:
                if f.read().rpartition(")")[2].split()[0] not in "ZX":
                    return False
    except (FileNotFoundError, ProcessLookupError):
        pass
    return True


async def until(condition, what, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        await asyncio.sleep(0.01)


class World:
    def __init__(self, directory, state=None, mail=None, environment=None, more="", mixture=mixture):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.state = pathlib.Path(state or self.directory / "state")
        self.mail = pathlib.Path(mail or self.directory / "mail")
        self.environment = {**os.environ, **(environment or {})}
        self.more, self.mixture = more, mixture
        self.ledger, self.process, [self.port] = Ledger(), None, free_ports(1)
        self.sink = Sink(self.ledger)
        self.said, self.clients, self.read, self.loaded = {}, [], set(), False
        self.log, self.config = self.directory / "log", self.directory / "chainmail.conf"

    async def begin(self):
        await self.sink.start()
        (self.directory / "facts").write_text("local.test. MX 10 mx.local.test.\n")
        self.config.write_text(CONFIG.format(directory=self.directory, state=self.state, mail=self.mail,
                                             port=self.port, sink=self.sink.port, more=self.more))
        await self.start()

    async def start(self):
        before = self.count('"event":"ready"')
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([CHAINMAIL, "run", "-c", self.config], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=self.environment)
        await until(lambda: self.count('"event":"ready"') > before or self.process.poll() is not None, "a start")
        if self.process.poll() is not None:
            raise AssertionError("it does not start: " + self.log.read_text()[-2000:])

    def count(self, words):
        return self.log.read_text("utf-8", "replace").count(words) if self.log.exists() else 0

    def events(self, name):
        found = []
        for line in self.log.read_text("utf-8", "replace").splitlines():
            if f'"event":"{name}"' in line:
                found.append(json.loads(line))
        return found

    def pids(self, role):
        return [pid for pid in children_of(self.process.pid) if name_of(pid) == role]

    def kill_role(self, role):
        """When it was, or None when there was nobody."""
        pids = self.pids(role)
        for pid in pids[:1]:
            os.kill(pid, signal.SIGKILL)
        return time.time() if pids else None

    async def kill(self):
        """Every process at once; when it was."""
        pids = children_of(self.process.pid)
        for pid in [self.process.pid, *pids]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        when = time.time()
        self.process.wait(DEADLINE)
        await until(lambda: all(map(dead, pids)), "their end")
        return when

    async def stop(self):
        self.process.terminate()
        await until(lambda: self.process.poll() is not None, "a clean end", 2 * DEADLINE)
        return self.process.returncode

    def load(self, sessions, pause=0.0):
        self.loaded = True
        self.clients = [asyncio.create_task(Client(self).send_for_ever(pause)) for _ in range(sessions)]

    async def unload(self):
        """Each client ends what it has begun."""
        self.loaded = False
        await asyncio.gather(*self.clients)
        self.clients = []

    async def end(self):
        try:
            await self.unload()
        finally:
            if self.process is not None and self.process.poll() is None:
                await self.kill()
            await self.sink.stop()

    def collect(self):
        """Read what has come to the Maildirs since the last time."""
        for user in "ann", "s":
            new = self.mail / user / "new"
            for entry in os.scandir(new) if new.is_dir() else []:
                if entry.path in self.read:
                    continue
                self.read.add(entry.path)
                text, when = pathlib.Path(entry.path).read_bytes(), entry.stat().st_ctime
                if user == "s":
                    self.ledger.reported(text, when)
                else:
                    self.ledger.arrived("ann@local.test", text, when)

    async def settle(self, before=float("inf"), seconds=2 * DEADLINE):
        """Wait until every acknowledged message has arrived or was reported; gives those that have not."""
        end = time.monotonic() + seconds
        while True:
            self.collect()
            missing = self.ledger.missing(before)
            if not missing or time.monotonic() > end:
                return missing
            await asyncio.sleep(0.1)

    def queue(self, *words):
        """`chainmail queue ...`: what it wrote."""
        return subprocess.run([CHAINMAIL, "queue", *words, "-c", self.config], capture_output=True, text=True,
                              timeout=DEADLINE, check=False)

    def is_empty(self):
        got = self.queue("list", "--json")
        return got.returncode == 0 and got.stdout == ""

    async def wait_empty(self, seconds=DEADLINE):
        await until(self.is_empty, "an empty queue", seconds)


# --- the shim ------------------------------------------------------------------------------------


class Switch:
    """tests/crash/log.h, struct shim_switch: what happens to the file operations of the program."""
    OPEN, WRITE, FLUSH, NAME, MAKE, FORK = 1, 2, 4, 8, 16, 32
    FILES = OPEN | WRITE | FLUSH | NAME | MAKE
    NOTHING, FAIL, KILL, HALF, SHORT, FAKE = range(6)
    LAYOUT = struct.Struct("=IIiIQ")

    def __init__(self, path):
        path.write_bytes(bytes(self.LAYOUT.size))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), self.LAYOUT.size)
        self.path = path

    def environment(self, below):
        if not SHIM.exists():
            raise SystemExit(f"{SHIM} is not there: make check-build")
        return {"LD_PRELOAD": str(SHIM), "SHIM_DIR": str(below), "SHIM_SWITCH": str(self.path)}

    def set(self, act, operations=FILES, number=0, countdown=0):
        """The bytes of `act` come last: until then nothing is on."""
        self.map[0:4] = bytes(4)
        self.map[4:16] = struct.pack("=IiI", operations, number, countdown)
        self.map[0:4] = struct.pack("=I", act)

    def off(self):
        self.map[0:4] = bytes(4)

    def on(self):
        """What is still to happen; off by itself once its turn has come."""
        return self.LAYOUT.unpack(self.map[:])[0] != self.NOTHING

    def seen(self):
        return self.LAYOUT.unpack(self.map[:])[4]


# --- TAP ----------------------------------------------------------------------------------------


class Tap:
    def __init__(self):
        self.failures = 0

    def say(self, good, name, details=()):
        self.failures += not good
        print(f"{'ok' if good else 'not ok'} - {name}", flush=True)
        for line in details if not good else ():
            print(f"#   {line}", flush=True)

    def leave(self, directory):
        """At the end: what failed stays, to be looked at."""
        if self.failures:
            self.note(f"what is left: {directory}")
        else:
            shutil.rmtree(directory)

    @staticmethod
    def note(text):
        print(f"# {text}", flush=True)

    @staticmethod
    def skip(name, why):
        print(f"ok - {name} # skip {why}", flush=True)
