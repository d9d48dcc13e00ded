# SPDX-License-Identifier: ISC
"""python3-dkim, Mail::DKIM, rspamd and we: chains of one, two and five hops, sealed by one or by all in turn."""
import base64
import json
import os
import pathlib
import random
import re
import subprocess
import time

import dkim
import pytest

import corpus
import rspamd
from nameserver import NameServer, strings

HOPS = range(1, 6)
HERE = pathlib.Path(__file__).parent
PEERS = pathlib.Path.cwd() / "peers"
PERL = {**os.environ, "PERL5LIB": ":".join(
    str(path) for pattern in ("*/usr/share/perl5", "*/usr/lib/*/perl5/5.*") for path in PEERS.glob(pattern))}
NEEDS_PERL = pytest.mark.skipif(not (PEERS / "libmail-dkim-perl").is_dir(), reason="Mail::DKIM is not unpacked")
NEEDS_RSPAMD = pytest.mark.skipif(not rspamd.found(), reason="rspamd is not unpacked, or does not start")


def run(*command, data=None):
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout


class World:
    """One key for all hops, its records for python3-dkim, as a zone file, and as JSON."""

    def __init__(self, folder):
        self.key = folder / "rsa"
        run("openssl", "genrsa", "-traditional", "-out", str(self.key), "2048")
        public = base64.b64encode(run("openssl", "pkey", "-in", str(self.key), "-pubout", "-outform", "DER"))
        record = b"v=DKIM1; k=rsa; p=" + public
        self.records = {f"s._domainkey.hop{hop}.example".encode(): record for hop in HOPS}
        self.zone = folder / "zone"
        self.zone.write_text("".join(f'{name.decode()}. TXT "{record.decode()}"\n' for name in self.records))
        self.txt = {name.decode(): record.decode() for name in self.records}
        self.keys = folder / "keys"
        self.keys.write_text("".join(f"{name}\t{text}\n" for name, text in self.txt.items()))

    def lookup(self, name, timeout=5):
        return self.records.get(name.rstrip(b"."))

    def arc(self, message):
        """What python3-dkim says: none, pass, fail, or None for a chain that says fail of itself."""
        cv, _, reason = dkim.arc_verify(message, dnsfunc=self.lookup)
        return cv.decode() if cv is not None else None, reason

    def we_seal(self, message, hop):
        return run("./chainmail", "seal", "--domain", f"hop{hop}.example", "--selector", "s", "--key", str(self.key),
                   "--authserv-id", f"mx.hop{hop}.example", "--dns", str(self.zone),
                   "--results", "arc=x smtp.remote-ip=192.0.2.1;\n dmarc=pass header.from=a.example", data=message)

    def they_seal(self, message, hop):
        """It takes cv= from an Authentication-Results field and verifies nothing by itself."""
        arc = "none" if hop == 1 else "pass"
        message = f"Authentication-Results: mx.hop{hop}.example; arc={arc}; dmarc=pass\r\n".encode() + message
        fields = dkim.arc_sign(message, b"s", f"hop{hop}.example".encode(), self.key.read_bytes(),
                               f"mx.hop{hop}.example".encode())
        assert len(fields) == 3
        return b"".join(fields) + message

    def perl(self, message, *arguments):
        return subprocess.run(["perl", HERE / "mail_dkim.pl", arguments[0], str(self.keys), *arguments[1:]],
                              input=message, capture_output=True, check=True, timeout=60, env=PERL).stdout

    def perl_arc(self, message):
        """What Mail::DKIM says of the chain."""
        return self.perl(message, "verify").decode().strip()

    def perl_seals(self, message, hop):
        arc = "none" if hop == 1 else "pass"
        message = f"Authentication-Results: mx.hop{hop}.example; arc={arc}; dmarc=pass\r\n".encode() + message
        fields = self.perl(message, "seal", f"hop{hop}.example", "s", str(self.key), arc)
        assert fields.count(b"ARC-") == 3
        return fields + message

    def verdicts(self, cases, folder):
        """Which of the (message, expected) we judge otherwise."""
        suite = {"now": int(time.time()) + 60, "cases": [
            {"id": str(number), "message": message.decode(), "crlf": True, "txt": self.txt, "expect": expect}
            for number, (message, expect) in enumerate(cases)]}
        (folder / "arc.json").write_text(json.dumps(suite))
        done = subprocess.run(["obj/tests/vectors/v_arc", str(folder / "arc.json")], capture_output=True, timeout=120,
                              check=False, env={**os.environ, "CONFORMANCE": "/nonexistent"})
        lines = done.stdout.decode().splitlines()
        assert lines[-1] == f"1..{len(cases)}", done.stderr
        return [line for line in lines if line.startswith("not ok")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def daemon(world, tmp_path_factory):
    """rspamd, and a name server that knows the keys and nothing else."""
    records = {(f"{name}.", "TXT"): strings(text) for name, text in world.txt.items()}
    domains = [f"hop{hop}.example" for hop in HOPS]
    with NameServer(records) as server, \
            rspamd.Sealer(tmp_path_factory.mktemp("rspamd") / "run", server.port, domains, world.key) as running:
        yield running


def messages(count, seed):
    """As text, because they travel through JSON."""
    return [message.replace(b"\xe4\xf6", b"ae") for message in corpus.messages(count, seed)]


def as_a_list_does(message, hop):
    """Change the message before it is sealed: earlier message signatures break, the chain does not."""
    head, _, body = message.partition(b"\r\n\r\n")
    return b"Sender: list@hop%d.example\r\n" % hop + head + b"\r\n\r\n" + body + b"\r\n-- \r\nfooter %d\r\n" % hop


CHAINS = [(1, "us"), (1, "them"), (2, "us"), (2, "them"), (2, "both"), (5, "us"), (5, "them"), (5, "both")]


@pytest.mark.parametrize("hops, sealers", CHAINS)
def test_chains_pass_for_both(world, tmp_path, hops, sealers):
    rng = random.Random(f"{hops} {sealers}")
    cases = []
    for message in messages(12, seed=8617 + hops):
        for hop in range(1, hops + 1):
            ours = sealers == "us" or (sealers == "both" and rng.random() < 0.5)
            # `chainmail seal` verifies what it is given, so nothing may have been changed since it came.
            if rng.random() < 0.4 and (hop == 1 or not ours):
                message = as_a_list_does(message, hop)
            message = (world.we_seal if ours else world.they_seal)(message, hop)
        assert world.arc(message) == ("pass", "success")
        cases.append((message, "pass"))
    assert world.verdicts(cases, tmp_path) == []


@NEEDS_PERL
@pytest.mark.parametrize("hops, sealers", [(1, "us"), (1, "perl"), (2, "us"), (2, "perl"), (2, "all"), (5, "us"),
                                           (5, "perl"), (5, "all")])
def test_chains_pass_for_mail_dkim_too(world, tmp_path, hops, sealers):
    cases = []
    for number, message in enumerate(messages(3, seed=100 + hops)):
        for hop in range(1, hops + 1):
            seal = {"us": world.we_seal, "perl": world.perl_seals,
                    "all": (world.we_seal, world.perl_seals, world.they_seal)[(hop + number) % 3]}[sealers]
            if number == 2 and (hop == 1 or seal != world.we_seal):
                message = as_a_list_does(message, hop)
            message = seal(message, hop)
        assert world.perl_arc(message) == "pass"
        assert world.arc(message) == ("pass", "success")
        cases.append((message, "pass"))
    assert world.verdicts(cases, tmp_path) == []


def without_repetition(count, seed):
    """
    Messages with no two fields of one name: of those rspamd 3.4 does not always take the lowest first, as
    RFC 6376 5.4.2 says.  The other peers have them all.
    """
    def single(message):
        head = message.partition(b"\r\n\r\n")[0]
        names = [name.lower() for name in re.findall(rb"(?m)^([^\s:]+)[ \t]*:", head)]
        return len(names) == len(set(names))
    chosen = [message for message in messages(8 * count, seed) if single(message)][:count]
    assert len(chosen) == count
    return chosen


# It seals the first two hops at most: test_a_third_seal_of_rspamd_holds_for_nobody says why.
RSPAMD_CHAINS = ["u", "r", "uu", "rr", "ur", "ru", "uuuuu", "ruuuu", "rrupu", "urpku", "krukp"]


def chain(world, daemon, message, sealers):
    """One letter a hop: us, rspamd, python3-dkim (k), Mail::DKIM (p)."""
    seals = {"u": world.we_seal, "k": world.they_seal, "p": world.perl_seals,
             "r": lambda text, hop: daemon.seal(text, f"hop{hop}.example")}
    for hop, sealer in enumerate(sealers, 1):
        message = seals[sealer](message, hop)
    return message


@NEEDS_RSPAMD
@NEEDS_PERL
@pytest.mark.parametrize("sealers", RSPAMD_CHAINS)
def test_chains_pass_for_rspamd_too(world, daemon, tmp_path, sealers):
    cases = []
    for number, message in enumerate(without_repetition(4, seed=200 + len(sealers))):
        if number == 3:
            message = as_a_list_does(message, 1)
        message = chain(world, daemon, message, sealers)
        assert daemon.arc(message) == "pass"
        assert world.arc(message) == ("pass", "success")
        assert world.perl_arc(message) == "pass"
        cases.append((message, "pass"))
    assert world.verdicts(cases, tmp_path) == []


@NEEDS_RSPAMD
@NEEDS_PERL
def test_a_third_seal_of_rspamd_holds_for_nobody(world, daemon, tmp_path):
    """rspamd 3.4 hashes the sets before its own from the newest to the oldest; RFC 8617 5.1.1 wants them in
    order.  So not even itself believes what it seals behind two others."""
    [message] = without_repetition(1, seed=8)
    sealed = chain(world, daemon, message, "uur")
    assert (daemon.arc(sealed), world.arc(sealed)[0], world.perl_arc(sealed)) == ("fail", "fail", "fail")
    assert world.verdicts([(sealed, "fail")], tmp_path) == []


CHANGES = [
    ("the body behind the last seal", lambda m: m + b"more\r\n"),
    ("what the first hop saw", lambda m: m.replace(b"mx.hop1.example;", b"mx.evil.example;")),
    ("what the last hop saw", lambda m: m.replace(b"mx.hop3.example;", b"mx.evil.example;", 1)),
    ("From", lambda m: m.replace(b"From: A", b"From: B")),
    ("a seal that is gone", lambda m: m.replace(b"ARC-Seal: ", b"X-Gone: ", 1)),
    ("a set that is there twice", lambda m: m[:m.index(b"ARC-Authentication-Results:")] + m),
]


@NEEDS_PERL
@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
def test_changed_chains_fail_for_mail_dkim_too(world, tmp_path, change):
    [message] = messages(1, seed=6)
    for hop, seal in zip(range(1, 4), (world.we_seal, world.perl_seals, world.we_seal)):
        message = seal(message, hop)
    changed = change(message)
    assert world.perl_arc(changed) == "fail"
    assert world.verdicts([(changed, "fail")], tmp_path) == []


@NEEDS_RSPAMD
@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
def test_changed_chains_fail_for_rspamd_too(world, daemon, tmp_path, change):
    [message] = without_repetition(1, seed=6)
    changed = change(chain(world, daemon, message, "uru"))
    assert daemon.arc(changed) == "fail"
    assert world.verdicts([(changed, "fail")], tmp_path) == []


@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
def test_changed_chains_fail_for_both_and_are_sealed_as_failed(world, tmp_path, change):
    cases = []
    for number, message in enumerate(messages(4, seed=5)):
        for hop in range(1, 4):
            message = (world.we_seal if (hop + number) % 2 else world.they_seal)(message, hop)
        changed = change(message)
        assert changed != message
        assert world.arc(changed)[0] == "fail"
        cases.append((changed, "fail"))
        sealed = world.we_seal(changed, 4)
        assert sealed.startswith(b"ARC-Seal: i=4; a=rsa-sha256; cv=fail;")
        assert world.arc(sealed)[0] in (None, "fail")
        cases.append((sealed, "fail"))
        assert world.we_seal(sealed, 5) == sealed       # behind cv=fail nothing is added
    assert world.verdicts(cases, tmp_path) == []
