# SPDX-License-Identifier: ISC
"""
DNSSEC is unplugged: somebody strips the signatures, nobody answers, or the
clock is wrong.  Mail that depends on it waits and says why; other mail flows on.

The running program, with its own validator, before a small world of
`chainmail lab up`: dane.test must be proved, and nobody may be taken for him.
"""
import contextlib
import glob
import json
import socket
import subprocess
import threading

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from alone import alone
from chainmail import DEADLINE, PEERS, PLAIN, Chainmail, Sink, letter, until

WORLD = "lab { scripted dane.test { certificate good; dane } scripted plain.test { certificate good } }\n"
SITE = """
hostname mx.local.test
state    {dir}/state
log      json
roots    {dir}/world/ca.pem
resolver { server {resolver}; anchor {dir}/world/anchor }
listen mx { on 127.0.0.1:{port}; allow relay from 127.0.0.1 }
domain local.test { deliver to maildir {dir}/mail/%u; users ann }
delivery { retry after 1h; to near.test { via 127.0.0.1:{near} } }
"""
LAB = "127.0.42.53"
SIGNATURES = {dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.NSEC3}
FAKETIME = glob.glob(f"{PEERS}/libfaketime/usr/lib/*/faketime/libfaketimeMT.so.1")


class Resolver:
    """On the way to the lab's name server; `how` it does its duty may change at any time."""

    def __init__(self, how):
        self.how, self.asked = how, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.at = f"127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            packet, peer = self.socket.recvfrom(4096)
            self.asked += 1
            if self.how != "dead":
                self.socket.sendto(self.answer(dns.message.from_wire(packet)).to_wire(), peer)

    def answer(self, query):
        response, _ = dns.query.udp_with_fallback(query, LAB, timeout=60)
        if self.how == "stripped":
            response.flags &= ~dns.flags.AD
            for section in response.answer, response.authority, response.additional:
                section[:] = [rrset for rrset in section if rrset.rdtype not in SIGNATURES]
        return response


@contextlib.contextmanager
def world(place):
    (place / "w.lab").write_text(WORLD)
    with subprocess.Popen([PLAIN, "lab", "up", place / "w.lab", "--dir", place / "world"], stdout=subprocess.PIPE,
                          text=True) as process:
        try:
            assert json.loads(process.stdout.readline())["event"] == "ready"
            yield
        finally:
            process.terminate()


def no_delivery_to_dane(program):
    return not program.events("delivered", to="x@dane.test")


def unplugged(place, how, why, prefix=()):
    """The message to dane.test is deferred because of that, those beside it arrive; the program is still running."""
    resolver = Resolver(how)
    with Sink() as near:
        program = Chainmail(place, SITE, program=PLAIN, prefix=prefix, resolver=resolver.at, near=near.port)
        with program:
            program.send("a@local.test", ["x@dane.test"], letter("to be proved"))
            until(lambda: resolver.asked, "a question")
            program.send("a@local.test", ["ben@near.test"], letter("beside"))
            near.wait(program=program)
            program.send("a@local.test", ["ann@local.test"], letter("beside"))
            until(lambda: program.maildir("ann"), "the message in a mailbox")
            deferred = program.wait("deferred", to="x@dane.test", seconds=90)
            assert deferred["dsn"] in ("4.4.3", "4.7.5") and why in deferred["reply"], deferred
            got = subprocess.run([*prefix, PLAIN, "why", "-c", program.file, deferred["id"]], text=True, capture_output=True,
                                 timeout=DEADLINE)
            assert got.returncode == 0 and why in got.stdout, got.stdout + got.stderr
            assert no_delivery_to_dane(program) and deferred["try"] == 1
    return program, resolver


def plugged_in(program, resolver):
    """Started again with a resolver that does its duty: the same message goes, proved."""
    resolver.how = "well"
    with program:
        assert program.command("queue", "retry", "all").returncode == 0
        assert program.wait("delivered", to="x@dane.test")["policy"] == "dane"


@alone()
def test_signatures_are_stripped(place):
    with world(place):
        plugged_in(*unplugged(place, "stripped", "validation failure"))


@alone()
def test_nobody_answers(place):
    with world(place):
        plugged_in(*unplugged(place, "dead", "DNS: "))


@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not there (./configure --deps)")
@pytest.mark.parametrize("clock", ["-6y", "+11y"])
@alone()
def test_the_clock_is_wrong(place, clock):
    """Signatures of the lab are good from five years ago for fifteen years."""
    with world(place):
        unplugged(place, "well", "validation failure",
                  prefix=["env", f"LD_PRELOAD={FAKETIME[0]}", f"FAKETIME={clock}", "FAKETIME_DONT_FAKE_MONOTONIC=1"])


@alone()
def test_it_goes_when_nothing_is_wrong(place):
    """The same without a fault: so what stood in the way above was the fault."""
    with world(place), Sink() as near:
        with Chainmail(place, SITE, program=PLAIN, resolver=Resolver("well").at, near=near.port) as program:
            program.send("a@local.test", ["x@dane.test"], letter("x"))
            delivered = program.wait("delivered", to="x@dane.test")
            assert (delivered["policy"], delivered["verified"]) == ("dane", "verified")
