# SPDX-License-Identifier: ISC
"""The message of b_auth through other verifiers, each in turn with ours, as ratios.

Ours is the whole verdict: SPF, DKIM, ARC, DMARC, iprev and the results in
writing.  OpenDKIM's library and python3-dkim verify the signature alone, their
key at hand.  rspamd is a server: its worker is asked over HTTP, with SPF, DKIM,
ARC and DMARC and nothing else, and once more with no module at all; the
difference is what its checks add.  (OpenDKIM's library and rspamd are unpacked in
peers/, never installed.)  Time of the processor, one core; of rspamd that of the
worker, without the client and the name server, which are this process.
"""
import collections
import contextlib
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import opendkim  # noqa: E402
import rspamd  # noqa: E402
from chainmail import DEADLINE  # noqa: E402
from nameserver import NameServer, strings  # noqa: E402

B_AUTH, ROUNDS = os.path.join("obj", "tests", "bench", "b_auth"), 7
KEY = "s2026._domainkey.example.net."
CHECKS = {"spf": "", "dkim": "", "arc": "", "dmarc": ""}
CHECKED = b'"R_SPF_ALLOW"', b'"R_DKIM_ALLOW"', b'"ARC_NA"', b'"DMARC_POLICY_ALLOW"'
UNCHECKED = (b'"symbols":{}',)
WARM, REQUESTS, IN_FLIGHT = 200, 2000, 4
HEAD = ("POST /checkv2 HTTP/1.1\r\nHost: localhost\r\nIp: 192.0.2.1\r\nHelo: mail.example.net\r\n"
        "Hostname: mail.example.net\r\nFrom: ann@example.net\r\nContent-Length: {}\r\n\r\n")


def told(word):
    return subprocess.run([B_AUTH, word], capture_output=True, check=True).stdout


def known():
    """The records of b_auth, as a NameServer has them."""
    lines = [line.split(None, 2) for line in told("records").decode().splitlines()]
    return {(name, kind): strings(data.strip('"')) if kind == "TXT" else data for name, kind, data in lines}


# --- verifiers that are functions ---------------------------------------------------------


def rate(verify, count):
    begun = time.process_time()
    for _ in range(count):
        assert verify()
    return count / (time.process_time() - begun)


def functions(record, message):
    """Name, and what verifies a second; None where it is not there."""
    name = "libopendkim, the signature alone"
    if opendkim.found() is not None:
        peer = opendkim.OpenDkim(record)
        yield name, lambda: rate(lambda: peer.verify(message), 1500)
    else:
        yield name, None
    name = "python3-dkim, the signature alone"
    try:
        import dkim
        yield name, lambda: rate(lambda: dkim.verify(message, dnsfunc=lambda name, timeout=5: record), 60)
    except ImportError:
        yield name, None


# --- rspamd -------------------------------------------------------------------------------


class Repeating(NameServer):
    """It makes an answer once and then says it again, so that nobody waits for Python."""

    def __init__(self, records):
        super().__init__(records)
        self.made = {}

    def reply(self, packet):
        if packet[2:] not in self.made:
            self.made[packet[2:]] = super().reply(packet)[2:]
        return packet[:2] + self.made[packet[2:]]


Cost = collections.namedtuple("Cost", "worker clock client")        # seconds a message


class Asked:
    """A server, one request, and what each answer has to contain."""

    def __init__(self, server, message, expected):
        self.address, self.expected = ("127.0.0.1", server.port), expected
        self.request = HEAD.format(len(message)).encode() + message
        self.stat = f"/proc/{server.worker()}/stat"
        self.flow(WARM)

    def spent(self):
        """Seconds of the processor, user and system."""
        with open(self.stat) as f:
            return sum(map(int, f.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")

    def begin(self):
        connection = socket.create_connection(self.address, DEADLINE)
        connection.sendall(self.request)
        return connection

    def finish(self, connection):
        """It closes behind each answer, whatever the client asks for."""
        with connection:
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert all(word in answer for word in self.expected), answer

    def flow(self, count):
        flying = collections.deque()
        for _ in range(count):
            if len(flying) == IN_FLIGHT:
                self.finish(flying.popleft())
            flying.append(self.begin())
        for connection in flying:
            self.finish(connection)

    def cost(self):
        clocks = self.spent, time.monotonic, time.process_time
        begun = [clock() for clock in clocks]
        self.flow(REQUESTS)
        return Cost(*((clock() - since) / REQUESTS for clock, since in zip(clocks, begun)))


@contextlib.contextmanager
def servers(records, message):
    """rspamd with its checks and without, or nothing."""
    if not rspamd.found():
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Repeating(records) as names, \
            rspamd.Rspamd(pathlib.Path(name, "checks"), names.port, CHECKS, "warning") as checks, \
            rspamd.Rspamd(pathlib.Path(name, "none"), names.port, {}, "warning") as none:
        yield [Asked(checks, message, CHECKED), Asked(none, message, UNCHECKED)]


# --- in turn ------------------------------------------------------------------------------


def say(name, mine, theirs):
    ratios = sorted(a / b for a, b in zip(mine, theirs))
    print(f"  {statistics.median(ratios):7.1f} times {name}: {statistics.median(theirs):.0f}/s"
          f" ({ratios[0]:.1f} to {ratios[-1]:.1f})", flush=True)


def say_servers(mine, costs):
    """`costs` has, of each round, those of a request with the checks and without."""
    say("rspamd, a request with SPF, DKIM, ARC, DMARC", mine, [1 / with_.worker for with_, _ in costs])
    say("rspamd, what these four add to a request", mine, [1 / (with_.worker - none.worker) for with_, none in costs])
    middle = Cost(*(statistics.median(values) for values in zip(*(with_ for with_, _ in costs))))
    print(f"          by the clock {1 / middle.clock:.0f} requests/s, {IN_FLIGHT} in flight, a connection each;"
          f" client and name server {1e6 * middle.client:.0f} us each, not counted", flush=True)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    records, message = known(), told("message")
    peers = dict(functions(records[KEY, "TXT"].replace('" "', "").strip('"').encode(), message))
    mine, rates, costs = [], collections.defaultdict(list), []
    with servers(records, message) as asked:
        for _ in range(ROUNDS):
            mine.append(float(told("rate")))
            for name in filter(peers.get, peers):
                rates[name].append(peers[name]())
            costs.append([server.cost() for server in asked])
    for name in peers:
        if name in rates:
            say(name, mine, rates[name])
        else:
            print(f"  {name}: not there")
    if asked:
        say_servers(mine, costs)
    else:
        print("  rspamd: not there")


main()
