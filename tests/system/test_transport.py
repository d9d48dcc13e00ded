# SPDX-License-Identifier: ISC
"""
Transport security as an administrator sees it: route, sts, dns-records, report,
the log of a session that failed, certificates that are replaced.
"""
import base64
import contextlib
import gzip
import hashlib
import json
import re
import shutil
import socketserver
import ssl
import subprocess
import threading
import warnings

import pytest

from ports import free_ports
from chainmail import (Chainmail, DEADLINE, EX_UNAVAILABLE, PLAIN, Sink, letter, make_certificate)

SITE = """
hostname mx.local.test
state    {dir}/state
log      json
roots    {dir}/cert.pem
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; tls cert {dir}/cert.pem key {dir}/key.pem; allow relay from 127.0.0.1 }
domain local.test { deliver to discard; alias team -> ann, ben@far.test }
key arc2026 { domain local.test; file {dir}/dkim.pem }
delivery { retry after 1h; to far.test { via mx.local.test:{far} } }
"""
# Addresses of the host that far.test goes to, and what its key is.
FACTS = "@secure local.test.\nlocal.test. MX 10 mx.local.test.\nmx.local.test. A 127.0.0.1\n"


def tlsa(place, port, digest=None):
    der = subprocess.run(["openssl", "x509", "-in", place / "cert.pem", "-noout", "-pubkey"], check=True,
                         capture_output=True, text=True).stdout
    key = base64.b64decode("".join(der.splitlines()[1:-1]))
    return f"_{port}._tcp.mx.local.test. TLSA 3 1 1 {digest or hashlib.sha256(key).hexdigest()}\n"


@pytest.fixture
def far(place):
    with Sink(certificate=place) as sink:
        yield sink


def chainmail(program, *arguments):
    return subprocess.run([PLAIN, *map(str, arguments), "-c", program.file], text=True, capture_output=True,
                          timeout=DEADLINE)


def route(program, *arguments):
    return chainmail(program, "route", *arguments)


def test_route_says_what_a_deliverer_does(place, far):
    (place / "facts").write_text(FACTS + tlsa(place, far.port))
    with Chainmail(place, SITE, program=PLAIN, far=far.port) as program:
        got = route(program, "ben@far.test", "--connect")
        assert got.returncode == 0, got.stdout + got.stderr
        assert "needs dane 3.1.1" in got.stdout
        assert "ok    mx.local.test [127.0.0.1:" in got.stdout and "verified" in got.stdout
        assert "certificate  mx.local.test, until 20" in got.stdout
        assert not far.taken                                    # nothing is sent
        program.send("a@x.test", ["ben@far.test"], letter("x"))
        assert program.wait("delivered")["policy"] == "dane"


def test_what_cannot_be_found_out_is_no_verdict(place):
    """75: nobody answers, in the DNS or at the port.  The root is not our name, though we have none."""
    [port] = free_ports(1)
    program = Chainmail(place, SITE, far=port)
    for facts, code, said in (FACTS, 75, "4.4.1"), (FACTS.replace("mx.local.test. A 127.0.0.1", "mx.local.test. A !servfail"),
                                                   75, "4.4.3"):
        (place / "facts").write_text(facts)
        got = route(program, "ben@far.test", "--connect")
        assert got.returncode == code and said in got.stdout, got.stdout + got.stderr
    zone = place / "zone"
    zone.write_text("b.test. MX 0 .\nb.test. MX 10 mx.a.test.\nmx.a.test. A 192.0.2.1\n")
    got = subprocess.run([PLAIN, "route", "x@b.test", "--dns", zone], text=True, capture_output=True, timeout=DEADLINE)
    assert got.returncode == 0 and "mx.a.test" in got.stdout and "loops back" not in got.stdout


def test_route_follows_aliases_and_prints_json(place, far):
    (place / "facts").write_text(FACTS)
    program = Chainmail(place, SITE, far=far.port)              # which does not run
    got = route(program, "team@local.test", "--json")
    ends = json.loads(got.stdout)["ends"]
    assert [end["address"] for end in ends] == ["ann@local.test", "ben@far.test"]
    assert ends[0]["kind"] == "discard"
    [host] = ends[1]["route"]["hosts"]
    assert host["host"] == "mx.local.test" and host["needs"] == "nothing" and host["go"]


def test_a_key_that_does_not_match_is_told_everywhere(place, far):
    (place / "facts").write_text(FACTS + tlsa(place, far.port, "00" * 32))
    with Chainmail(place, SITE, program=PLAIN, far=far.port) as program:
        got = route(program, "ben@far.test", "--connect")
        assert got.returncode == 1
        assert "FAIL  mx.local.test" in got.stdout and "DANE: the certificate of mx.local.test" in got.stdout
        got = route(program, "ben@far.test", "--connect", "--json")
        [session] = json.loads(got.stdout)["ends"][0]["route"]["hosts"][0]["sessions"]
        assert session["certificate"].startswith("mx.local.test, until 20"), session
        assert session["tls"] == "TLSv1.3" and session["cipher"] and "broke" not in session
        program.send("a@x.test", ["ben@far.test"], letter("x"))
        failed = program.wait("tls-failed")
        assert failed["policy"] == "dane" and failed["certificate"].startswith("mx.local.test, until 20")
        program.wait("deferred")
        assert not far.taken
        assert chainmail(program, "queue", "drop", "all").returncode == 0


class NoTls(socketserver.StreamRequestHandler):
    """Says that it goes on with TLS, and does not."""

    def handle(self):
        self.wfile.write(b"220 sink\r\n")
        self.rfile.readline()
        self.wfile.write(b"250-sink\r\n250 STARTTLS\r\n")
        self.rfile.readline()
        self.wfile.write(b"220 go\r\n")
        self.rfile.read(5)
        self.wfile.write(b"this is no TLS\r\n")


def test_a_handshake_that_breaks_keeps_its_words(place):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), NoTls) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        port = server.server_address[1]
        (place / "facts").write_text(FACTS + tlsa(place, port))
        got = route(Chainmail(place, SITE, far=port), "ben@far.test", "--connect", "--json")
        server.shutdown()
        assert got.returncode == 1
        [session] = json.loads(got.stdout)["ends"][0]["route"]["hosts"][0]["sessions"]
        assert "fails in the TLS handshake (" in session["refused"]["why"]
        assert "offered TLS 1.2 to 1.3)" in session["refused"]["why"]
        assert session["tls"] is None and session["broke"].endswith("; offered TLS 1.2 to 1.3")


class OldTls(socketserver.StreamRequestHandler):
    """Refuses our versions: with an alert of its own making, or as OpenSSL does it that knows TLS 1.1 alone."""

    def handle(self):
        for words in "220 sink", "250-sink\r\n250 STARTTLS", "220 go":
            self.wfile.write(words.encode() + b"\r\n")
            if words != "220 go" and not self.rfile.readline():
                return
        if self.server.alert:
            self.connection.recv(4096)
            self.wfile.write(self.server.alert)
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.place / "cert.pem", self.server.place / "key.pem")
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with contextlib.suppress(OSError):
            context.wrap_socket(self.connection, server_side=True)


@pytest.mark.parametrize("alert, spoke", [
    (None, ""), (b"\x15\3\3\0\2\2\x46", ""),                          # RFC 8446 5.1: 0x0303 may be any
    (b"\x15\3\2\0\2\2\x46", ", the other side spoke TLS 1.1"), (b"\x15\3\1\0\2\2\x46", ", the other side spoke TLS 1.0"),
], ids=["openssl", "1.2", "1.1", "1.0"])
def test_versions_that_do_not_meet_are_told(place, alert, spoke):
    """RFC 8996: log, why and route say what we offered and, where it can be seen, what the other side spoke."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), OldTls) as server:
        server.place, server.alert = place, alert
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        port = server.server_address[1]
        (place / "facts").write_text(FACTS + tlsa(place, port))
        words = f"protocol version; offered TLS 1.2 to 1.3{spoke}"
        with Chainmail(place, SITE, program=PLAIN, far=port) as program:
            got = route(program, "ben@far.test", "--connect", "--json")
            [session] = json.loads(got.stdout)["ends"][0]["route"]["hosts"][0]["sessions"]
            assert words + ")" in session["refused"]["why"] and session["broke"].endswith(words), session
            program.send("a@x.test", ["ben@far.test"], letter("x"))
            assert program.wait("tls-failed")["why"].endswith(words)
            id_ = program.wait("deferred")["id"]
            assert words + ")" in chainmail(program, "why", id_).stdout
            assert chainmail(program, "queue", "drop", "all").returncode == 0
        server.shutdown()


def sts(program, *arguments):
    return chainmail(program, "sts", *arguments)


def check_several(program):
    """Each of several domains has an answer of its own, in whatever order, and so has each error."""
    for form in [], ["--json"]:
        for domains in ["far.test", "nothing.test"], ["nothing.test", "far.test"]:
            got = sts(program, "show", *domains, *form)
            assert got.returncode == 1 and got.stdout.count("far.test") >= 1, got
            assert got.stderr == "chainmail sts show: nothing is kept of nothing.test\n"
    got = sts(program, "forget", "nothing.test", "other.test")
    assert (got.returncode, got.stdout) == (1, "") and got.stderr.count("nothing is kept of ") == 2
    got = sts(program, "refresh", "none.test", "other.test")
    assert got.returncode in (75, EX_UNAVAILABLE)
    assert [line.split(": ")[1] for line in got.stderr.splitlines()] == ["none.test", "other.test"]
    got = sts(program, "show", "a..b")
    assert got.returncode == 64 and '"a..b" is no domain' in got.stderr


def test_policies_are_seen_and_forgotten_while_it_runs_and_while_it_does_not(place, far):
    (place / "facts").write_text(FACTS + "_mta-sts.far.test. TXT \"v=STSv1; id=1\"\n"
                                 "mta-sts.far.test. A 127.0.0.1\n")
    with Chainmail(place, SITE, program=PLAIN, far=far.port) as program:
        assert sts(program).stdout == "no policy is kept\n"
        got = sts(program, "refresh", "none.test")
        assert got.returncode == 75 and "no valid record" in got.stderr
        got = sts(program, "refresh", "far.test")               # nobody listens on 443, or not with that name
        assert got.returncode == 75 and got.stderr.startswith("chainmail sts refresh: far.test: ")
        assert program.wait("policy", domain="far.test")["result"].startswith("sts-")
        [row] = map(json.loads, sts(program, "list", "--json").stdout.splitlines())
        assert row["domain"] == "far.test" and row["mode"] is None and row["failed"].startswith("sts-")
        got = sts(program, "show", "nothing.test")
        assert got.returncode == 1 and "nothing is kept" in got.stderr
        check_several(program)
        assert program.stop() == 0
        check_several(program)
        assert "far.test" in sts(program).stdout                # from the disk
        assert sts(program, "refresh", "far.test").returncode == EX_UNAVAILABLE
        assert sts(program, "forget", "far.test").returncode == 0
        got = sts(program, "forget", "far.test")
        assert (got.returncode, got.stdout) == (1, "") and "nothing is kept of far.test" in got.stderr
        assert sts(program).stdout == "no policy is kept\n"


def test_records_to_publish(place, far):
    program = Chainmail(place, SITE.replace("127.0.0.1:{port}", "127.0.0.1:25"), far=far.port)
    got = chainmail(program, "dns-records", "--json")
    assert got.returncode == 0, got.stderr
    rows = [json.loads(line) for line in got.stdout.splitlines()]
    data = {(row["type"], row["name"]): row["data"] for row in rows}
    assert data["MX", "local.test"] == "10 mx.local.test."
    assert data["TXT", "_smtp._tls.local.test"].startswith("v=TLSRPTv1; rua=")
    assert ("TXT", "_mta-sts.local.test") not in data           # it has no policy: see test_web
    assert data["TXT", "arc2026._domainkey.local.test"].startswith("v=DKIM1; k=rsa; p=MII")
    assert data["TLSA", "_25._tcp.mx.local.test"] in tlsa(place, 25)
    shutil.copy(place / "dkim.pem", place / "key.pem.next")     # the key that comes next
    got = chainmail(program, "dns-records")
    assert len([line for line in got.stdout.splitlines() if "TLSA" in line]) == 2
    assert chainmail(program, "dns-records", "LOCAL.test.").stdout == got.stdout
    assert chainmail(program, "dns-records", "far.test").returncode == 1
    zone = place / "zone"                                       # and our own reader takes what we print
    zone.write_text("".join(line + "\n" for line in got.stdout.splitlines()))
    got = subprocess.run([PLAIN, "route", "x@local.test", "--dns", zone], text=True, capture_output=True)
    assert "MX    local.test" in got.stdout
    (place / "key.pem.next").write_text("garbage")
    got = chainmail(program, "dns-records")
    assert got.returncode == 66 and f"{place}/key.pem.next: there is no private key in it" in got.stderr
    assert len([line for line in got.stdout.splitlines() if "TLSA" in line]) == 1


SMARTHOSTS = [("smtp.isp.test:587", True), ("192.0.2.1:25", True), ("127.0.0.1:{far}", False)]


@pytest.mark.parametrize("via, elsewhere", SMARTHOSTS)
def test_what_leaves_by_a_smarthost_does_not_fail(place, far, via, elsewhere):
    program = Chainmail(place, SITE.replace("retry after 1h;", f"retry after 1h; via {via};"), far=far.port)
    got = chainmail(program, "dns-records")
    assert re.findall(r'"v=spf1 (.*)"', got.stdout) == (["mx ?all", "a ?all"] if elsewhere else ["mx ~all", "a -all"])
    assert got.stdout.count("; Mail leaves by another host") == 2 * elsewhere
    assert "?all" in chainmail(program, "dns-records", "--json").stdout or not elsewhere


def test_what_no_record_can_say_is_remarked(place, far):
    program = Chainmail(place, SITE, far=far.port)
    got = chainmail(program, "dns-records")
    assert "certbot: --reuse-key" in got.stdout and "No key signs" not in got.stdout
    shutil.copy(place / "dkim.pem", place / "key.pem.next")
    assert "--reuse-key" not in chainmail(program, "dns-records").stdout
    program.configure(re.sub("(?m)^key .*\n", "", SITE))
    assert "; No key signs for local.test" in chainmail(program, "dns-records").stdout
    assert all(line.startswith("{") for line in chainmail(program, "dns-records", "--json").stdout.splitlines())


def test_keys_of_no_domain_of_ours_are_published(place, far):
    """Of the host, which signs the daily report, and of a parent: each once."""
    keys = {"local.test": "own", "mx.local.test": "host", "test": "parent"}
    rows = "".join(f"key {name} {{ domain {domain}; file {{dir}}/dkim.pem }}\n" for domain, name in keys.items())
    rows += "domain b.other { deliver to discard }\nkey elsewhere { domain other; file {dir}/dkim.pem }\n"
    program = Chainmail(place, SITE.replace("key arc2026 { domain local.test; file {dir}/dkim.pem }\n", rows), far=far.port)

    def printed(*domain):
        got = chainmail(program, "dns-records", *domain)
        assert got.returncode == 0, got.stderr
        return sorted(line.split()[0] for line in got.stdout.splitlines() if "v=DKIM1" in line)
    ours = sorted(f"{name}._domainkey.{domain}." for domain, name in keys.items())
    assert printed("local.test") == ours
    assert printed() == sorted([*ours, "elsewhere._domainkey.other."])


def test_each_port_has_its_tlsa(place, far):
    """A key once a port, whatever doors share it; without port 25 a word on that."""
    doors = "listen mx { on 127.0.0.1:2525, 127.0.0.2:2525; tls cert {dir}/cert.pem key {dir}/key.pem }\n" \
        "listen inner { on 127.0.0.1:4650; tls implicit; tls cert {dir}/cert.pem key {dir}/key.pem }\n"
    program = Chainmail(place, "".join(doors if line.startswith("listen mx") else line + "\n" for line in SITE.splitlines()),
                        far=far.port)
    got = chainmail(program, "dns-records")
    names = [line.split()[0] for line in got.stdout.splitlines() if " TLSA " in line and not line.startswith(";")]
    assert names == ["_2525._tcp.mx.local.test.", "_4650._tcp.mx.local.test."], got.stdout
    assert "; No listener has port 25" in got.stdout
    program.configure("hostname mx.local.test\nstate {dir}/state\nlisten mx { on 127.0.0.1:2525 }\n")
    got = chainmail(program, "dns-records")                     # without TLS nothing is said of it
    assert (got.returncode, got.stdout.count("\n")) == (0, 1) and "TLSA" not in got.stdout


def test_certificates_are_taken_as_they_come(place, far):
    (place / "facts").write_text(FACTS)
    with Chainmail(place, SITE, program=PLAIN, far=far.port) as program:
        fresh = place / "fresh"
        fresh.mkdir()
        make_certificate(fresh)
        for name in "cert.pem", "key.pem":
            (fresh / name).rename(place / name)
        program.wait("reloaded")


@pytest.mark.parametrize("days, told", [(30, False), (10, True)])
def test_the_end_of_a_certificate_is_foretold(place, far, days, told):
    subprocess.run(["openssl", "req", "-x509", "-key", place / "key.pem", "-out", place / "cert.pem", "-days",
                    str(days), "-subj", "/CN=mx.local.test", "-addext", "subjectAltName=DNS:mx.local.test"],
                   check=True, capture_output=True)
    with Chainmail(place, SITE, program=PLAIN, far=far.port) as program:
        if told:
            line = program.wait("certificate")
            assert line["days"] in (9, "9") and line["file"].endswith("cert.pem")
        else:
            assert chainmail(program, "queue").returncode == 0
            assert not program.events("certificate")


def test_a_report_that_somebody_sent(tmp_path):
    report = {"organization-name": "Far", "policies": [{
        "policy": {"policy-type": "sts", "policy-domain": "local.test"},
        "summary": {"total-successful-session-count": 5, "total-failure-session-count": 1},
        "failure-details": [{"result-type": "certificate-expired", "failed-session-count": 1}]}]}
    zipped = gzip.compress(json.dumps(report).encode())
    (tmp_path / "r.gz").write_bytes(zipped)
    mail = ("From: a@far.test\nContent-Type: application/tlsrpt+gzip\nContent-Transfer-Encoding: base64\n\n" +
            base64.encodebytes(zipped).decode())
    (tmp_path / "r.eml").write_text(mail)
    want = "Far\nlocal.test  sts  5 good, 1 failed\n       1  certificate-expired\n"
    for name in "r.gz", "r.eml":
        got = subprocess.run([PLAIN, "report", "show", tmp_path / name], text=True, capture_output=True)
        assert got.returncode == 0 and got.stdout == want, got.stderr
    got = subprocess.run([PLAIN, "report", "show", "-"], input=b"hello", capture_output=True)
    assert got.returncode == 65 and b"no report" in got.stderr


def test_why_tells_that_tls_broke_before_mail_went_in_the_clear(place):
    """RFC 7435 3: opportunistic; whoever asks later must see that it was tried."""
    (place / "facts").write_text(FACTS)
    with Sink(certificate=place / "nowhere") as far:            # it offers TLS and has no certificate
        with Chainmail(place, SITE, program=PLAIN, far=far.port) as program:
            program.send("a@x.test", ["ben@far.test"], letter("x"))
            delivered = program.wait("delivered")
            assert delivered["verified"] == "none" and "tls" not in delivered
            told = chainmail(program, "why", delivered["id"]).stdout
            assert "no proof from mx.local.test: TLS handshake failed: " in told and " in clear text, policy" in told, told


@pytest.mark.parametrize("marks, tls, policy", [
    ("", "require dane", "require-dane"), ("_{port}._tcp.mx.local.test. TLSA !bogus\n", "opportunistic", "dane"),
], ids=["required", "bogus"])
def test_the_policy_that_kept_us_away_is_logged(place, far, marks, tls, policy):
    """Nobody was talked to: the plan refused."""
    (place / "facts").write_text(FACTS + marks.format(port=far.port))
    site = SITE.replace("via mx.local.test:{far}", "via mx.local.test:{far}; tls " + tls)
    with Chainmail(place, site, program=PLAIN, far=far.port) as program:
        program.send("a@x.test", ["ben@far.test"], letter("x"))
        deferred = program.wait("deferred")
        assert deferred["policy"] == policy and "mx" not in deferred, deferred
        assert f"policy {policy}\n" in chainmail(program, "why", deferred["id"]).stdout
        assert chainmail(program, "queue", "drop", "all").returncode == 0


def test_a_proof_that_failed_is_logged(place, far):
    (place / "facts").write_text(FACTS + tlsa(place, far.port, "00" * 32))
    with Chainmail(place, SITE, program=PLAIN, far=far.port) as program:
        program.send("a@x.test", ["ben@far.test"], letter("x"))
        deferred = program.wait("deferred")
        assert (deferred["policy"], deferred["verified"]) == ("dane", "untrusted")
        told = chainmail(program, "why", deferred["id"]).stdout
        assert "policy dane, not proved\n" in told, told
        assert chainmail(program, "queue", "drop", "all").returncode == 0
