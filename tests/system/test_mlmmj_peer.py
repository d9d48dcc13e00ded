# SPDX-License-Identifier: ISC
"""
mlmmj as Debian has it between our two doors, behind aiosmtpd: a list manager that is reached
by SMTP.  What test_mailman_peer.py asserts of Mailman holds for it too.
"""
import subprocess
import sys

import pytest

from chainmail import PEERS, Chainmail
from ports import free_ports
from test_forward import answer
from test_mailman_peer import LIST_HOST, receivers, survives

LIBRARIES = [PEERS / name / "usr/lib/python3/dist-packages" for name in ("python3-aiosmtpd", "python3-public")]
PROGRAMS = PEERS / "mlmmj" / "usr" / "bin"
FOLDERS = ("incoming queue queue/discarded archive text subconf unsubconf bounce control moderation subscribers.d "
           "digesters.d requeue nomailsubs.d").split()

pytestmark = pytest.mark.skipif(not all(path.is_dir() for path in (PROGRAMS, *LIBRARIES)),
                                reason="mlmmj or python3-aiosmtpd is not unpacked")


class Mlmmj:
    """A list test@lists.test in a directory of ours; its posts go back to the door at `port`."""

    def __init__(self, directory, port, members):
        self.directory, self.failures = directory, []
        directory.mkdir()
        for name in FOLDERS:
            (directory / name).mkdir()
        (directory / "index").write_text("")
        for member in members:
            with (directory / "subscribers.d" / member[0]).open("a") as file:
                file.write(member + "\n")
        for name, value in {"listaddress": "test@lists.test", "owner": "owner@far.test", "prefix": "[test]",
                            "footer": "-- \nthe test list", "relayhost": "127.0.0.1", "smtpport": str(port)}.items():
            (directory / "control" / name).write_text(value + "\n")
        sys.path[:0] = map(str, LIBRARIES)
        from aiosmtpd.controller import Controller
        [self.port] = free_ports(1)
        self.door = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, _server, _session, envelope):
        """What a pipe of a mail server does: it writes down the envelope, and LF at the end of lines."""
        trace = f"Return-Path: <{envelope.mail_from}>\nDelivered-To: {envelope.rcpt_tos[0]}\n".encode()
        done = subprocess.run([PROGRAMS / "mlmmj-receive", "-F", "-L", self.directory], check=False, capture_output=True,
                              input=trace + envelope.content.replace(b"\r\n", b"\n"), timeout=60)
        if done.returncode != 0:
            self.failures.append(done.stderr.decode())
            return "451 4.3.0 it did not take it"
        return "250 2.0.0 taken"

    def __enter__(self):
        self.door.start()
        return self

    def __exit__(self, *_):
        self.door.stop()

    def text(self):
        log = self.directory / "mlmmj.operation.log"
        return "\n".join(self.failures) + (log.read_text() if log.exists() else "")


@pytest.fixture
def world(place):
    programs = receivers(place)
    host = Chainmail(place, LIST_HOST, map=place / "map", far=programs[0].port, wary=programs[1].port)
    manager = Mlmmj(place / "mlmmj", host.second, ["a@strict.test", "ben@far.test", "ben@wary.test"])
    (place / "map").write_text(f"test@lists.test  smtp:[127.0.0.1]:{manager.port}\n")
    with programs[0] as trusting, programs[1] as strict, host, manager:
        host.trusting, host.strict, host.manager = trusting, strict, manager
        yield host


def test_a_post_survives_the_journey_through_mlmmj(world):
    survives(world, "test+bounces", "[test] hello")


def test_its_addresses_are_known_with_what_stands_behind_the_plus(world):
    assert answer(world, "a@strict.test", "test+subscribe@lists.test").startswith("250")
    assert answer(world, "a@strict.test", "other@lists.test").startswith("550 5.1.1")
