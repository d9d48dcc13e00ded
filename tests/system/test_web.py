# SPDX-License-Identifier: ISC
"""Our own MTA-STS policies: served by the web role, read by others, whatever strangers do beside them."""
import hashlib
import json
import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from chainmail import DEADLINE, PLAIN, SANITIZED, Chainmail, Wire, children_of, have, letter, openssl, status_of, until

SITE = """
hostname mx.local.test
state    {dir}/state
log      json
roots    {dir}/roots.pem
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; tls cert {dir}/cert.pem key {dir}/key.pem; allow relay from 127.0.0.1 }
web { on {web}; tls cert {dir}/a.pem key {dir}/a.key; tls cert {dir}/b.pem key {dir}/b.key }
domain local.test { deliver to maildir {dir}/mail/%u; users ann; sts testing }
domain b.test { deliver to discard; sts enforce max-age 30d; mx mx.local.test, mx2.b.test }
"""
PATH = "/.well-known/mta-sts.txt"
TESTING = "version: STSv1\r\nmode: testing\r\nmx: mx.local.test\r\nmax_age: 604800\r\n"
ENFORCE = "version: STSv1\r\nmode: enforce\r\nmx: mx.local.test\r\nmx: mx2.b.test\r\nmax_age: 2592000\r\n"
GOOD = f"GET {PATH} HTTP/1.1\r\nHost: mta-sts.local.test\r\n\r\n".encode()


def certify(directory, name, host):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            directory / f"{name}.key", "-out", directory / f"{name}.pem", "-days", "30", "-subj", "/CN=x",
            "-addext", f"subjectAltName=DNS:{host}")
    (directory / f"{name}.key").chmod(0o600)


@pytest.fixture
def hosts(place):
    certify(place, "a", "mta-sts.local.test")
    certify(place, "b", "mta-sts.b.test")
    gather_roots(place)
    return place


def gather_roots(place):
    (place / "roots.pem").write_text("".join((place / name).read_text() for name in ("a.pem", "b.pem", "cert.pem")))


def serve(place, site=SITE, web="127.0.0.1:{second}", **options):
    return Chainmail(place, site.replace("{web}", web), program=options.pop("program", PLAIN), **options)


def curl(program, domain, path=PATH, *more):
    return subprocess.run(["curl", "-q", "-sS", "--noproxy", "*", "--max-time", str(DEADLINE), "--cacert",
                           program.directory / "roots.pem", "--connect-to", f"::127.0.0.1:{program.second}", *more,
                           f"https://mta-sts.{domain}{path}"], capture_output=True, timeout=2 * DEADLINE)


def policy(program, domain):
    got = curl(program, domain)
    assert got.returncode == 0, got.stderr
    return got.stdout.decode()


def trusting(program):
    return ssl.create_default_context(cafile=program.directory / "roots.pem")


def connect(program, context=None, source=None):
    wire = Wire(program.second, source=source)
    wire.socket = (context or trusting(program)).wrap_socket(wire.socket, server_hostname="mta-sts.local.test")
    return wire


def ask(program, request, context=None, source=None):
    """All that is answered until the door hangs up."""
    with connect(program, context, source) as wire:
        wire.put(request)
        while wire.more():
            pass
        return wire.input


def test_the_handshake_names_the_host_that_http_1_0_leaves_out(hosts):
    with serve(hosts) as program:
        for head in " HTTP/1.0\r\n\r\n", " HTTP/1.1\r\nHost: mta-sts.local.test.:\r\n\r\n":
            got = ask(program, b"GET " + PATH.encode() + head.encode())
            assert got.startswith(b"HTTP/1.1 200 ") and got.endswith(TESTING.encode()), got
        got = ask(program, b"GET " + PATH.encode() + b" HTTP/1.0\r\nHost: mta-sts.else.test\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 404 "), got                # what is said counts


@pytest.mark.skipif(not have("curl"), reason="curl is not there")
@pytest.mark.parametrize("variant", [PLAIN, SANITIZED], ids=["plain", "sanitized"])
def test_each_domain_has_its_policy_under_its_own_certificate(hosts, variant):
    with serve(hosts, program=variant) as program:
        assert policy(program, "local.test") == TESTING
        assert policy(program, "b.test") == ENFORCE
        got = curl(program, "b.test", PATH, "-o", os.devnull, "-w", "%{http_code} %{content_type}")
        assert got.stdout == b"200 text/plain"                      # RFC 8461 3.2
        got = curl(program, "b.test", PATH, "--head").stdout.decode()
        assert got.startswith("HTTP/1.1 200 ") and f"Content-Length: {len(ENFORCE)}\r\n" in got     # RFC 9110 9.3.2
        for path in "/", "/.well-known/", PATH + "x", "/.well-known/%2e%2e/etc/passwd":
            assert curl(program, "b.test", path, "-w", "%{http_code}").stdout.endswith(b"404"), path
        assert curl(program, "c.test").returncode == 60             # no certificate is for it
        program.send("x@far.test", ["ann@local.test"], letter("beside"))
        until(lambda: program.maildir("ann"), "mail beside it")


def test_nobody_serves_who_was_not_asked_to(hosts):
    for site in re.sub(r"(?m)^web .*\n", "", SITE), re.sub("; sts [^;}]*", "", SITE):
        with serve(hosts, site) as program:
            assert program.wait("ready")["listen"] == f"127.0.0.1:{program.port}"
            assert "web" not in [role for _, role in program.children()]


def test_it_has_no_more_rights_than_it_needs(hosts):
    with serve(hosts) as program:
        assert program.wait("ready")["listen"] == f"127.0.0.1:{program.port},127.0.0.1:{program.second}"
        pid = program.pid("web")
        until(lambda: status_of(pid, "Seccomp") == "2", "its filter")
        assert status_of(pid, "NoNewPrivs") == "1" and children_of(pid) == []
        mine = sorted(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
        # its door, its link to the master; no link to the queue, no file, no other socket
        assert len([name for name in mine if name.startswith("socket:")]) == 2, mine
        log = str(hosts / "log")
        assert not [name for name in mine if not re.match(r"socket:|pipe:|anon_inode:|/dev/null$", name) and name != log]
        assert len({name for name in mine if name.startswith("pipe:")}) < 2, mine       # libevent's, to itself


@pytest.mark.skipif(not have("curl"), reason="curl is not there")
def test_policies_and_certificates_change_while_it_runs(hosts):
    with serve(hosts) as program:
        before = program.pid("web")
        program.configure(program.file.read_text().replace("sts testing", "sts enforce max-age 1d"))
        program.reload()
        until(lambda: "mode: enforce\r\n" in policy(program, "local.test"), "the new policy")
        assert "max_age: 86400\r\n" in policy(program, "local.test")
        until(lambda: status_of(before, "Name") is None, "the end of the old one")
        certify(hosts, "new", "mta-sts.local.test")
        for end in "key", "pem":
            os.replace(hosts / f"new.{end}", hosts / f"a.{end}")
        gather_roots(hosts)                                         # without the old one
        program.reload()
        until(lambda: curl(program, "local.test").returncode == 0, "the new certificate")
        program.configure(re.sub("; sts [^;}]*", "", program.file.read_text()))
        program.reload()                                            # nothing is served any more
        until(lambda: "web" not in [role for _, role in program.children()], "no web role")


def test_a_mistake_leaves_what_was_served_in_force(hosts):
    with serve(hosts, expect={"config-error"}) as program:
        before = program.pid("web")
        shutil.copy(hosts / "b.key", hosts / "wrong.key")
        program.configure(program.file.read_text().replace(f"key {hosts}/a.key", f"key {hosts}/wrong.key")
                          .replace("sts testing", "sts enforce"))
        program.reload("config-error")
        assert "do not belong together" in program.events("config-error")[0]["why"]
        assert TESTING.encode() in ask(program, GOOD) and program.pid("web") == before


def test_a_death_is_repaired_and_no_mail_is_lost(hosts):
    with serve(hosts, expect={"child-died"}) as program:
        pid = program.pid("web")
        os.kill(pid, 9)
        program.send("x@far.test", ["ann@local.test"], letter("meanwhile"))
        until(lambda: program.pid("web") != pid, "a new one")
        until(lambda: TESTING.encode() in ask(program, GOOD), "the policy")
        until(lambda: program.maildir("ann"), "the mail")


@pytest.mark.parametrize("request_, status", [
    (b"what\r\n\r\n", 400), (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 411),
    (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 413),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
    (b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100000, 431), (b"\0" * 20000, 431),
    (b"GET ftp://mta-sts.local.test/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: tea\r\n\r\n", 417),
], ids=range(15))
def test_malformed_and_oversized_requests(hosts, request_, status):
    with serve(hosts) as program:
        assert ask(program, request_).startswith(f"HTTP/1.1 {status} ".encode())
        assert TESTING.encode() in ask(program, GOOD)


def test_other_forms_of_the_same_request(hosts):
    """RFC 9112 3.2.2: the whole URI, whose host counts; RFC 9110 6.2: a later 1.x."""
    with serve(hosts) as program:
        for request in (f"GET https://mta-sts.local.test{PATH} HTTP/1.1\r\nHost: a\r\n\r\n",
                        f"GET {PATH} HTTP/1.2\r\nHost: mta-sts.local.test\r\n\r\n"):
            assert TESTING.encode() in ask(program, request.encode()), request


def test_noise_instead_of_tls(hosts):
    with serve(hosts) as program:
        for noise in b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 70000, b"":
            with Wire(program.second) as wire:
                try:
                    wire.put(noise)
                    wire.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass                                            # it has hung up already
                while wire.more():
                    pass
        assert TESTING.encode() in ask(program, GOOD)


class Drippers:
    """
    Clients who come, say a little, and stay: a third in the clear, a third in the middle of a handshake, a third
    behind TLS in the middle of a request.  Who is sent away comes back.
    """
    def __init__(self, program, count):
        self.program, self.count, self.visits, self.stop = program, count, 0, False
        self.context = ssl._create_unverified_context()
        self.threads = [threading.Thread(target=self.work, args=(kind,), daemon=True) for kind in range(3)]

    def come(self, kind):
        s = socket.create_connection(("127.0.0.1", self.program.second), DEADLINE)
        try:
            if kind == 1:
                s.sendall(b"\x16\x03\x01\x02\x00\x01")              # the beginning of a ClientHello
            if kind == 2:
                s = self.context.wrap_socket(s, server_hostname="mta-sts.local.test")
                s.sendall(b"GET /.well-known/mta")
        except OSError:
            pass                                                    # another one has taken the place
        self.visits += 1
        return s

    def work(self, kind):
        mine = []
        while not self.stop:
            if len(mine) < self.count // 3:
                mine.append(self.come(kind))
                continue
            for i, s in enumerate(mine):
                try:
                    s.send(b"x")
                except OSError:
                    s.close()
                    mine[i] = self.come(kind)
                if self.stop:
                    break
            time.sleep(0.2)
        for s in mine:
            s.close()

    def __enter__(self):
        for t in self.threads:
            t.start()
        until(lambda: self.visits >= self.count // 3 * 3, lambda: f"{self.count} clients, {self.visits} are there", 120)
        return self

    def __exit__(self, *_):
        self.stop = True
        for t in self.threads:
            t.join(DEADLINE)


@pytest.mark.parametrize("most", [1000, 100])
def test_a_thousand_who_drip_do_not_stop_a_good_one(hosts, most):
    """
    They come from one address, and those who are sent away come back at once; the good one comes from another.
    He is not served because somebody's patience has ended: whoever came before him, from a third address, and said
    as little as they do, is still there afterwards.
    """
    few, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(few, 4096), allowed))     # 1024 is usual, and too few for so many clients
    with serve(hosts, SITE.replace("web { ", f"web {{ limit connections {most}; ")) as program:
        pid = program.pid("web")
        context = trusting(program)
        with Drippers(program, 1000 + most // 10):
            for _ in range(20):
                with Wire(program.second, source="127.0.0.3") as before:
                    assert TESTING.encode() in ask(program, GOOD, context, "127.0.0.2")
                    assert before.silent(0)                         # it has not been hung up on
            assert len(os.listdir(f"/proc/{pid}/fd")) < most + 200      # and it is bounded
            program.send("x@far.test", ["ann@local.test"], letter("beside"))
            until(lambda: program.maildir("ann"), "mail beside it")
        assert program.pid("web") == pid


def chainmail(program, *words):
    return subprocess.run([PLAIN, *map(str, words), "-c", program.file], capture_output=True, text=True, timeout=DEADLINE)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def test_what_to_publish_follows_from_the_configuration(hosts):
    program = serve(hosts, SITE + "domain c.test { deliver to discard }\n")
    rows = [json.loads(line) for line in chainmail(program, "dns-records", "--json").stdout.splitlines()]
    data = {(row["type"], row["name"], row["data"]) for row in rows}
    assert ("TXT", "_mta-sts.local.test", f"v=STSv1; id={digest(TESTING)}") in data
    assert ("TXT", "_mta-sts.b.test", f"v=STSv1; id={digest(ENFORCE)}") in data
    assert ("CNAME", "mta-sts.b.test", "mx.local.test.") in data
    assert {("MX", "b.test", "10 mx.local.test."), ("MX", "b.test", "20 mx2.b.test.")} <= data
    assert not [row for row in rows if row["name"].endswith("sts.c.test")]
    said = chainmail(program, "dns-records", "b.test").stdout
    assert "; https://mta-sts.b.test/.well-known/mta-sts.txt holds:\n;     version: STSv1\n;     mode: enforce\n" in said
    # people with a web server of their own get the same text, and no CNAME to this machine
    got = chainmail(program, "sts", "export", hosts / "www")
    assert got.returncode == 0, got.stderr
    assert got.stdout == "".join(f"{hosts}/www/{domain}{PATH}  id={digest(text)}\n"
                                 for domain, text in (("local.test", TESTING), ("b.test", ENFORCE)))
    assert (hosts / "www" / "b.test" / PATH[1:]).read_bytes() == ENFORCE.encode()
    assert sorted(p.name for p in (hosts / "www").iterdir()) == ["b.test", "local.test"]
    program.configure(re.sub(r"(?m)^web .*\n", "", program.file.read_text()))
    assert "CNAME" not in chainmail(program, "dns-records").stdout
    program.configure(re.sub("; sts [^;}]*", "", program.file.read_text()))
    got = chainmail(program, "sts", "export", hosts / "none")
    assert got.returncode == 1 and "no domain of this configuration has a policy" in got.stderr


@pytest.fixture
def address():
    """Others look at port 443 and nowhere else."""
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.43", 443))
        except OSError as error:
            pytest.skip(f"port 443 is for root, and for one: {error.strerror}")
    return "127.0.0.43"


def publish(program, address, domain, id_):
    """The facts of the world, in force once the program has read them again."""
    (program.directory / "facts").write_text(
        f'_mta-sts.{domain}. TXT "v=STSv1; id={id_}"\nmta-sts.{domain}. A {address}\n{domain}. MX 10 mx.local.test.\n')
    program.reload()


def test_our_own_sender_fetches_it(hosts, address):
    with serve(hosts, web=f"{address}:443") as program:
        publish(program, address, "b.test", digest(ENFORCE))
        got = chainmail(program, "sts", "refresh", "b.test")
        assert got.returncode == 0, got.stderr
        assert digest(ENFORCE) in got.stdout and "mode: enforce" in got.stdout and "mx: mx2.b.test" in got.stdout


# What the DNS says of MX, and what is then to be done first.
MX_STEPS = {
    "local.test. MX !SERVFAIL\n": "Ask again: the DNS does not tell the MX records of local.test.",
    "": "Publish the MX records that \"chainmail dns-records local.test\" prints: there are none",
    "local.test. MX 0 .\n": "Publish the MX records that \"chainmail dns-records local.test\" prints: the one that is there",
}


def test_the_steps_of_a_change(hosts, address):
    """From testing to enforce: each step is told when it is due, and the next one after it was taken."""
    with serve(hosts, web=f"{address}:443") as program:
        (hosts / "facts").write_text("local.test. MX 10 mx.local.test.\n")
        got = chainmail(program, "sts", "mode", "local.test")
        assert got.returncode == 1, got.stderr
        assert got.stdout.startswith("local.test: wanted testing, published nothing\n1. Serve the policy: ")
        assert "(Now: the policy host cannot be reached.)\n2. Then publish the record: " in got.stdout
        publish(program, address, "local.test", digest(TESTING))
        got = chainmail(program, "sts", "mode", "local.test")
        assert (got.returncode, got.stdout) == (0, "local.test: wanted testing, published testing\nNothing is left to do. "
                                                   "When reports on TLS (RFC 8460) tell of no failures, say \"sts enforce\".\n")
        program.configure(program.file.read_text().replace("sts testing", "sts enforce"))       # not yet in force
        got = json.loads(chainmail(program, "sts", "mode", "local.test", "--json").stdout)
        assert (got["wanted"], got["published"], got["id"]) == ("enforce", "testing", digest(TESTING))
        assert [step.split()[0] for step in got["steps"]] == ["Serve", "Then", "For"]
        program.reload()
        until(lambda: "1. Then change the id: " in chainmail(program, "sts", "mode", "local.test").stdout, "the policy")
        publish(program, address, "local.test", digest(TESTING.replace("testing", "enforce")))
        until(lambda: chainmail(program, "sts", "mode", "local.test").returncode == 0, "the end of the change")
        facts = (hosts / "facts").read_text()
        for mx, step in MX_STEPS.items():
            (hosts / "facts").write_text(facts.replace("local.test. MX 10 mx.local.test.\n", mx))
            got = chainmail(program, "sts", "mode", "local.test")
            assert got.returncode == 1 and f"1. {step}" in got.stdout, (mx, got.stdout)
        (hosts / "facts").write_text(facts)
        got = chainmail(program, "sts", "mode", "c.test")
        assert got.returncode == 1 and "that is no domain of this configuration" in got.stderr
        assert chainmail(program, "sts", "mode").returncode == 64
