# SPDX-License-Identifier: ISC
"""The lab's DNS in the eyes of others: a real unbound, delv, drill and dnspython.

The world comes from tests/unit/lab_world.h; t_lab_dns serves it and says what
our own resolver, with the zones in memory, thinks of every name in it.
"""
import glob
import os
import shutil
import socket
import subprocess

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from chainmail import until_or_end
from ports import free_ports

HELPER = "obj/tests/unit/t_lab_dns"
NOW = "20260601120000"          # the lab's clock; a peer's own may be anywhere near
ADDRESS = "127.0.42.53"         # of ns.test: only there a resolver may follow the NS records


pytestmark = pytest.mark.skipif(not shutil.which("ldns-signzone"),
                                reason="ldns-signzone is not there (ldnsutils)")


class World:
    """The helper, serving, and what it said about its world."""

    def __init__(self, directory, *where):
        self.process = subprocess.Popen(
            [HELPER, "serve", directory, *where], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        self.verdicts, self.at = [], None
        for line in self.process.stdout:
            words = line.split()
            if words[0] == "at":
                address, port = words[1].rsplit(":", 1)
                self.at = address, int(port)
            elif words[0] == "anchor":
                self.anchor = words[1]
            elif words[0] == "verdict":
                self.verdicts.append(tuple(words[1:]))
            elif words[0] == "ready":
                return
        self.end()
        raise OSError(f"the helper does not serve at {where}")

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    served = World(str(tmp_path_factory.mktemp("lab")))
    assert len(served.verdicts) > 50
    yield served
    served.end()


def ask(at, name, kind, cd=False, do=True, ad=False, tcp=False):
    query = dns.message.make_query(name + ".", kind, want_dnssec=do)
    if cd:
        query.flags |= dns.flags.CD
    if ad:
        query.flags |= dns.flags.AD
    if tcp:
        return dns.query.tcp(query, at[0], port=at[1], timeout=60)
    return dns.query.udp_with_fallback(query, at[0], port=at[1], timeout=60)[0]


def verdict(at, name, kind):
    """What a resolver's answer means, in the words of dns/facts.h."""
    answer = ask(at, name, kind)
    if answer.rcode() == dns.rcode.SERVFAIL:
        raw = ask(at, name, kind, cd=True)
        return ("broken", "bogus") if raw.rcode() != dns.rcode.SERVFAIL else ("broken", "insecure")
    security = "secure" if answer.flags & dns.flags.AD else "insecure"
    if answer.rcode() == dns.rcode.NXDOMAIN:
        return "nxdomain", security
    found = any(rrset.rdtype == dns.rdatatype.from_text(kind) for rrset in answer.answer)
    return "found" if found else "nodata", security


def differences(world, at):
    return [f"{name} {kind}: we say {ours}, they say {theirs}"
            for name, kind, *ours in world.verdicts
            if (theirs := verdict(at, name, kind)) != tuple(ours)]


# --- our server, by itself ---------------------------------------------------------


def test_the_server_says_what_our_resolver_thinks(world):
    assert differences(world, world.at) == []


def test_all_kinds_of_verdict_are_in_the_world(world):
    kinds = {(answer, security) for _, _, answer, security in world.verdicts}
    assert kinds == {("found", "secure"), ("found", "insecure"), ("nodata", "secure"),
                     ("nxdomain", "secure"), ("nxdomain", "insecure"), ("broken", "bogus")}


def test_flags_are_those_of_a_resolver(world):
    plain = ask(world.at, "mx.secure.test", "A", do=False)
    assert plain.flags & dns.flags.RA and plain.flags & dns.flags.AA
    assert not plain.flags & dns.flags.AD                      # not asked for
    assert not any(r.rdtype == dns.rdatatype.RRSIG for r in plain.answer)
    assert ask(world.at, "mx.secure.test", "A", do=False, ad=True).flags & dns.flags.AD
    signed = ask(world.at, "mx.secure.test", "A")
    assert any(r.rdtype == dns.rdatatype.RRSIG for r in signed.answer)
    assert signed.ednsflags & dns.flags.DO


def test_udp_is_cut_and_tcp_is_whole(world):
    query = dns.message.make_query("long.secure.test.", "TXT", want_dnssec=True, payload=65000)
    cut = dns.query.udp(query, world.at[0], port=world.at[1], timeout=60)
    assert cut.flags & dns.flags.TC and not cut.answer
    whole = ask(world.at, "long.secure.test", "TXT", tcp=True)
    assert sum(len(s) for s in whole.answer[0][0].strings) == 30000
    assert not whole.flags & dns.flags.TC


# --- validators of others ------------------------------------------------------------


def peer_environment():
    libraries = glob.glob(os.path.abspath("peers/*/usr/lib/*-linux-gnu"))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}


class Unbound:
    """Debian's unbound; it has the lab's anchor and asks the lab's server."""

    def __init__(self, directory, program, anchor, upstream):
        self.at = "127.0.0.1", *free_ports(1)
        config = directory / "unbound.conf"
        config.write_text(f"""
server:
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{directory}"
    pidfile: ""
    use-syslog: no
    logfile: "{directory}/log"
    interface: 127.0.0.1@{self.at[1]}
    access-control: 127.0.0.0/8 allow
    module-config: "validator iterator"
    trust-anchor-file: "{anchor}"
    val-override-date: "{NOW}"
    do-not-query-localhost: no
    do-ip6: no
    unblock-lan-zones: yes
    local-zone: "test." nodefault
    local-zone: "invalid." nodefault
    local-zone: "127.in-addr.arpa." nodefault
    local-zone: "home.arpa." nodefault
remote-control:
    control-enable: no
{upstream}
""")
        self.process = subprocess.Popen([program, "-d", "-c", str(config)], env=peer_environment(),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_or_end(self.process, self.listens, lambda: "unbound: " + (directory / "log").read_text())

    def listens(self):
        assert self.process.poll() is None, "unbound has ended"
        with socket.socket() as s:
            return s.connect_ex(self.at) == 0

    def end(self):
        self.process.kill()             # it has nothing to lose
        self.process.wait()


def unbound_program():
    for program in ["peers/unbound/usr/sbin/unbound", shutil.which("unbound")]:
        if program and os.path.exists(program):
            if subprocess.run([program, "-V"], env=peer_environment(), capture_output=True,
                              check=False).returncode == 0:
                return program
    pytest.skip("unbound is not there (./configure --deps)")


def test_an_unbound_that_forwards_agrees(world, tmp_path):
    upstream = f'forward-zone:\n    name: "."\n    forward-addr: {world.at[0]}@{world.at[1]}\n'
    unbound = Unbound(tmp_path, unbound_program(), world.anchor, upstream)
    try:
        assert differences(world, unbound.at) == []
    finally:
        unbound.end()


def test_an_unbound_that_asks_the_root_agrees(tmp_path):
    """It follows our NS records, to port 53 of the name server's address."""
    program = unbound_program()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((ADDRESS, 53))
    except OSError as error:
        pytest.skip(f"port 53 of {ADDRESS}: {error.strerror}")
    world = World(str(tmp_path), f"{ADDRESS}:53")
    try:
        upstream = f'stub-zone:\n    name: "."\n    stub-addr: {ADDRESS}\n    stub-prime: yes\n'
        unbound = Unbound(tmp_path, program, world.anchor, upstream)
        try:
            assert differences(world, unbound.at) == []
        finally:
            unbound.end()
    finally:
        world.end()


def test_an_unbound_without_the_anchor_sees_no_security(world, tmp_path):
    """So that the tests above cannot be right by accident."""
    (tmp_path / "none").write_text("")
    upstream = f'forward-zone:\n    name: "."\n    forward-addr: {world.at[0]}@{world.at[1]}\n'
    unbound = Unbound(tmp_path, unbound_program(), tmp_path / "none", upstream)
    try:
        assert verdict(unbound.at, "mx.secure.test", "A") == ("found", "insecure")
    finally:
        unbound.end()


def delv_anchor(world, directory):
    """delv wants the root's key, not its digest."""
    answer = ask(world.at, "", "DNSKEY")
    key = next(r for r in answer.answer if r.rdtype == dns.rdatatype.DNSKEY)[0]
    path = directory / "delv.key"
    _, _, _, base64 = key.to_text().split(" ", 3)
    path.write_text(f'trust-anchors {{ . static-key {key.flags} {key.protocol} '
                    f'{int(key.algorithm)} "{base64}"; }};\n')
    return str(path)


# RFC 5155 9.2: what an opt-out span covers is not secure. unbound and we say so, delv does not.
DELV_DIFFERS = {("nothing.opt-out.test", "A")}
DELV = {"; fully validated": "secure", "; unsigned answer": "insecure",
        "; negative response, fully validated": "secure",
        "; negative response, unsigned answer": "insecure"}


def delv_verdict(world, key, name, kind):
    """As secure as the weakest part of the answer."""
    run = subprocess.run(["delv", f"@{world.at[0]}", "-p", str(world.at[1]), "-a", key, "+root=.",
                          name + ".", kind], capture_output=True, text=True, check=False, timeout=30)
    parts = {DELV[line] for line in run.stdout.splitlines() if line in DELV}
    if not parts:
        return "bogus" if "resolution failed" in run.stderr else run.stdout + run.stderr
    return "insecure" if "insecure" in parts else "secure"


def test_delv_agrees(world, tmp_path):
    """BIND's validator, which has no code in common with unbound."""
    if not shutil.which("delv"):
        pytest.skip("delv is not there (bind9-dnsutils)")
    key = delv_anchor(world, tmp_path)
    wrong = [f"{name} {kind}: we say {ours}, delv says {theirs}"
             for name, kind, _, ours in world.verdicts
             if (name, kind) not in DELV_DIFFERS
             and (theirs := delv_verdict(world, key, name, kind)) != ours]
    assert wrong == []


def test_drill_follows_the_chain(world, tmp_path):
    if not shutil.which("drill"):
        pytest.skip("drill is not there (ldnsutils)")
    for name, good in [("mx.secure.test", True), ("mx.bogus.test", False)]:
        run = subprocess.run(["drill", "-p", str(world.at[1]), "-k", world.anchor, "-S", name, "A",
                              f"@{world.at[0]}"], capture_output=True, text=True, check=False, timeout=30)
        assert ("Chase successful" in run.stdout) == good, run.stdout


# --- sealed ------------------------------------------------------------------------------


def test_no_packet_leaves(tmp_path):
    """Our resolver with the zones in memory asks about the whole world and sends nothing at all."""
    if not shutil.which("strace"):
        pytest.skip("strace is not there")
    log = tmp_path / "strace"
    run = subprocess.run(["strace", "-f", "-o", str(log), "-e", "trace=connect,sendto,sendmsg,sendmmsg",
                          HELPER, "serve", str(tmp_path)], input="", capture_output=True,
                         text=True, check=False, timeout=60)
    assert run.returncode == 0 and "ready" in run.stdout
    calls = [line for line in log.read_text().splitlines() if "AF_INET" in line or "sendto(" in line]
    assert calls == []
