# SPDX-License-Identifier: ISC
"""`chainmail lab gallery` and `lab up`: our sender is right about every domain, and others see the same world."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import smtplib
import subprocess
import urllib.error
import urllib.request
import xml.etree.ElementTree

import pytest
from chainmail import until
from ports import free_ports
from test_lab_dns import Unbound, ask, unbound_program, verdict

CHAINMAIL = os.path.abspath("chainmail")
EX_BAD, EX_USAGE, EX_SOFTWARE, EX_CONFIG = 1, 64, 70, 78

pytestmark = pytest.mark.skipif(not shutil.which("ldns-signzone"),
                                reason="ldns-signzone is not there (ldnsutils)")


def gallery(*arguments, directory):
    return subprocess.run([CHAINMAIL, "lab", "gallery", *map(str, arguments)], text=True, capture_output=True,
                          timeout=300, env=dict(os.environ, TMPDIR=str(directory)))


# --- our own sender ---------------------------------------------------------------------


def test_every_row_is_right(tmp_path):
    got = gallery("--json", directory=tmp_path)
    assert got.returncode == 0, got.stdout + got.stderr
    table = json.loads(got.stdout)
    assert [row for row in table["rows"] if not row["right"]] == []
    assert table["right"] == table["of"] == len(table["rows"]) >= 100
    assert len({row["domain"] for row in table["rows"]}) == len(table["rows"])
    for row in table["rows"]:
        assert row["domain"].endswith(".test") and row["flaw"] and row["reply"], row
        assert re.fullmatch(r"RFC \d{4} \d[\d.]*", row["rfc"]), row
        assert row["got"] == row["expected"], row
        assert row["got"].split(";")[0] == row["reply"].split(" ")[0], row
    outcomes = {row["expected"].split(";")[0] for row in table["rows"]}
    assert outcomes == {"delivered", "deferred", "bounced"}
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_its_directory_goes(tmp_path, number):
    with subprocess.Popen([CHAINMAIL, "lab", "gallery"], stdout=subprocess.DEVNULL,
                          env=dict(os.environ, TMPDIR=str(tmp_path))) as run:
        until(lambda: list(tmp_path.glob("*/*")) or run.poll() is not None, "its directory")
        run.send_signal(number)
    assert run.returncode == -number
    until(lambda: os.listdir(tmp_path) == [], "its end")


# Two rows of which one is wrong: nobody lists the host.
SMALL = """lab {
    host a.test { domain a.test { } }
    scripted good.test { certificate good; sts enforce }
    scripted bad.test { certificate good; sts enforce { mx mx.other.test } }
    send from x@a.test to y@good.test, y@bad.test
    expect delivered to y@good.test { tls verified by sts; flaw "none"; rfc "8461 5" }
    expect delivered to y@bad.test { tls encrypted; flaw "<&\\">"; rfc "8461 4.1" }
    expect delivered to y@good.test
}
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.lab"
    path.write_text(SMALL)
    return path


def test_a_row_that_is_wrong_is_told_to_people(small, tmp_path):
    got = gallery(small, directory=tmp_path)
    assert got.returncode == EX_BAD
    assert re.search(r"^good\.test +delivered; tls verified by sts +ok +RFC 8461 5 +none$", got.stdout, re.M)
    assert re.search(r"^bad\.test +delivered; tls encrypted +WRONG +RFC 8461 4\.1 .*\n"
                     r"    got: deferred; tls none\n    last attempt: deferred at attempt 1: MTA-STS: the policy of "
                     r"bad\.test \(mode enforce\) does not list mx\.bad\.test$", got.stdout, re.M), got.stdout
    assert got.stdout.endswith("1 of 2 domains are served as they should be\n")


def test_a_row_that_is_wrong_is_told_to_programs(small, tmp_path):
    got = gallery(small, "--json", directory=tmp_path)
    table = json.loads(got.stdout)
    assert got.returncode == EX_BAD and (table["right"], table["of"]) == (1, 2)
    assert table["rows"][1]["got"] == "deferred; tls none"
    got = gallery(small, "--tap", directory=tmp_path)
    lines = got.stdout.splitlines()
    assert got.returncode == EX_BAD and lines[-1] == "1..2"
    assert [line for line in lines if line.startswith("not ok - bad.test")]
    got = gallery(small, "--junit", directory=tmp_path)
    suite = xml.etree.ElementTree.fromstring(got.stdout)
    assert got.returncode == EX_BAD and (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["bad.test"]


@pytest.mark.parametrize("arguments", [["gallery", "a", "b"], ["gallery", "--json", "--tap"], ["gallery", "--keep"],
                                       ["up", "a", "b"], ["up", "--smtp", "x"], ["up", "--json"], ["up", "--wait", "1s"], ["up", "--http", "x"],
                                       ["gallery", "--wait", "1s"], ["gallery", "--sender-only"], ["gallery", "--sender-only", "--wait", "0s"],
                                       ["run", "x", "--junit"]])
def test_usage(arguments):
    got = subprocess.run([CHAINMAIL, "lab", *arguments], capture_output=True, timeout=60)
    assert got.returncode == EX_USAGE


def test_a_gallery_with_flaws_says_where(tmp_path):
    path = tmp_path / "x.lab"
    path.write_text("lab {\n    scriptde x.test { }\n}\n")
    got = gallery(path, directory=tmp_path)
    assert got.returncode == EX_CONFIG and "x.lab:2:5" in got.stderr


# --- the world as others see it ------------------------------------------------------------


class OpenWorld:
    """`chainmail lab up` and what it says; it has ended with its block."""

    def __init__(self, directory, *arguments):
        self.directory = directory
        smtp, https, dns, self.http = free_ports(4)
        self.process = subprocess.Popen(
            [CHAINMAIL, "lab", "up", *map(str, arguments), "--dir", str(directory), "--smtp", str(smtp), "--https", str(https),
             "--dns", str(dns), "--http", str(self.http)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.ready = json.loads(line)
        self.table = json.loads((self.directory / "gallery.json").read_text())
        self.at = self.table["nameserver"], self.table["dns"]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def get(self, target):
        """Status, media type and text."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{target}", timeout=60) as response:
                return response.status, response.headers["Content-Type"], response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode()

    def end(self):
        self.process.terminate()
        out, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with OpenWorld(tmp_path_factory.mktemp("gallery")) as opened:
        yield opened
        opened.end()


def names_of(world):
    """All names and types that stand in its zones, and some that do not."""
    found = set()
    for path in (world.directory / "dns").glob("*.zone"):
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) > 4 and words[2] == "IN" and words[3] in ("A", "MX", "TXT", "TLSA", "CNAME"):
                found.add((words[0].rstrip("."), words[3]))
    for row in world.table["rows"]:
        found.update({(row["domain"], "MX"), ("_mta-sts." + row["domain"], "TXT"),
                      ("_25._tcp.mx." + row["domain"], "TLSA")})
    return sorted(found - {("_25._tcp.mx.dane-tlsa-silent.test", "TLSA")})       # to that nobody answers


def write_down(what, count):
    """How many of them somebody else agrees with: obj/gallery-world.txt."""
    path = pathlib.Path("obj/gallery-world.txt")
    old = path.read_text().splitlines() if path.exists() else []
    path.write_text("".join(f"{line}\n" for line in [*(line for line in old if not line.startswith(what + " ")), f"{what} {count}"]))


# What must be so, whatever anybody says.
MARKS = {
    ("dane-ee-ok.test", "MX"): ("found", "secure"),
    ("_25._tcp.mx.dane-ee-ok.test", "TLSA"): ("found", "secure"),
    ("_25._tcp.mx.dane-nsec3.test", "TLSA"): ("found", "secure"),
    ("_25._tcp.mx.dane-no-tlsa.test", "TLSA"): ("nxdomain", "secure"),
    ("_25._tcp.mx.dane-no-tlsa-nsec3.test", "TLSA"): ("nxdomain", "secure"),
    ("no-such-domain.test", "MX"): ("nxdomain", "secure"),
    ("dane-unsigned.test", "MX"): ("found", "insecure"),
    ("_25._tcp.mx.dane-unsigned.test", "TLSA"): ("found", "insecure"),
    ("dane-unsigned-mx-signed-host.test", "MX"): ("found", "insecure"),
    ("dane-mx-bogus.test", "MX"): ("broken", "bogus"),
    ("mx.dane-mx-bogus.test", "A"): ("found", "secure"),
    ("mx.dane-address-bogus.test", "A"): ("broken", "bogus"),
    ("_25._tcp.mx.dane-tlsa-bogus.test", "TLSA"): ("broken", "bogus"),
    ("dane-tlsa-bogus.test", "MX"): ("found", "secure"),
    ("dane-zone-bogus.test", "MX"): ("broken", "bogus"),
    ("_25._tcp.mx.dane-tlsa-servfail.test", "TLSA"): ("broken", "insecure"),
    ("mx-servfail.test", "MX"): ("broken", "insecure"),
}


def test_an_unbound_agrees_with_every_mark(world, tmp_path):
    upstream = f'forward-zone:\n    name: "."\n    forward-addr: {world.at[0]}@{world.at[1]}\n'
    unbound = Unbound(tmp_path, unbound_program(), world.directory / "anchor", upstream)
    try:
        names = names_of(world)
        assert set(MARKS) <= set(names)
        assert {row["domain"] for row in world.table["rows"]} <= {name for name, kind in names if kind == "MX"}
        for name, kind in names:
            theirs = verdict(unbound.at, name, kind)
            assert theirs == MARKS.get((name, kind), verdict(world.at, name, kind)), (name, kind)
        write_down("names-by-unbound", len(names))
    finally:
        unbound.end()


def test_a_second_world_in_the_same_directory_leaves_the_first_alone(world):
    before = (world.directory / "ca.pem").read_bytes()
    second = subprocess.run([CHAINMAIL, "lab", "up", "--dir", world.directory, *(word for option, port in zip(
        ("--smtp", "--https", "--dns", "--http"), free_ports(4)) for word in (option, str(port)))],
        capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode != 0 and "is in use" in second.stderr, second
    assert (world.directory / "ca.pem").read_bytes() == before


def all_of(function, places):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(function, places))


# X509_V_ERR_...; OpenSSL by itself still takes a CN when there is no SAN, which RFC 9525 6.3 forbids.
OPENSSL = {
    "good": 0, "root-sent": 0, "intermediate": 0, "common-name-only": 0, "expired": 10, "root-sent-expired": 10,
    "not-yet-valid": 9, "wrong-name": 62, "root-sent-wrong-name": 62, "self-signed": 18, "unknown-authority": 20,
    "intermediate-missing": 20,
}


# Hosts that come to no handshake: by what they say to the connection, or to STARTTLS; or because s_client takes
# the first bytes of a reply for all of it.
TALK_OTHERWISE = {
    "drip.test",
    "421-once.test", "mx-first-closes.test", "starttls-refused.test", "starttls-injection.test", "sts-starttls-fails.test",
    "sts-starttls-fails-for-good.test", "dane-starttls-fails.test",
}


def test_openssl_agrees_with_every_certificate_of_a_mail_host(world):
    def shake_hands(host):
        got = subprocess.run(
            ["openssl", "s_client", "-connect", f"{host['address']}:{world.ready['smtp']}", "-starttls", "smtp",
             "-CAfile", world.directory / "ca.pem", "-verify_hostname", host["hostname"]],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        error = re.search(r"verify error:num=(\d+)", got.stdout + got.stderr)
        assert "BEGIN CERTIFICATE" in got.stdout, host
        return host["name"], host["certificate"], int(error.group(1)) if error else 0

    hosts = [host for host in world.table["hosts"] if host["certificate"] != "none"]
    never = {host["name"] for host in hosts} & TALK_OTHERWISE
    assert never == TALK_OTHERWISE                      # each of them is there, and all others shake hands
    seen = all_of(shake_hands, [host for host in hosts if host["name"] not in never])
    assert len(seen) == len(hosts) - len(never)
    assert [one for one in seen if one[2] != OPENSSL[one[1]]] == []
    assert {kind for _, kind, _ in seen} == set(OPENSSL)
    write_down("mail-hosts-by-openssl", len(seen))


def test_curl_agrees_with_every_certificate_of_a_policy_host(world):
    def fetch(host):
        place = f"{host['hostname']}:{world.ready['https']}"
        got = subprocess.run(
            ["curl", "-q", "-sS", "-o", os.devnull, "--max-time", "60" if host["certificate"] in refused else "3", "--cacert",
             world.directory / "ca.pem", "--resolve", f"{place}:{host['address']}", f"https://{place}/.well-known/mta-sts.txt"],
            capture_output=True, text=True, timeout=120, check=False)
        return host["domain"], host["certificate"], got.returncode == 60, got.stderr

    refused = {"expired", "wrong-name", "self-signed", "unknown-authority"}     # some of the others never answer
    seen = all_of(fetch, world.table["policy-hosts"])
    assert [one for one in seen if one[2] != (one[1] in refused)] == []
    assert {kind for _, kind, _, _ in seen} == refused | {"good", "common-name-only"}
    assert len(seen) == len(world.table["policy-hosts"])
    write_down("policy-hosts-by-curl", len(seen))


# Whoever takes no notice of policies and certificates delivers all three; that of late.test is right after a change.
THREE = SMALL.replace("    send from", """    scripted late.test { certificate good }
    send from x@a.test to y@late.test
    send from""").replace("    expect delivered to y@good.test\n", """    expect delivered to y@good.test
    expect deferred to y@a.test { flaw "no such host"; rfc "5321 5.1" }
    change record late.test MX gone
    expect delivered to y@late.test { tls none; flaw "l"; rfc "5321 5.1" }
""")


def send(world, domain, tls):
    """As a sender does: the name server is asked where to go."""
    ask(world.at, domain, "MX")
    address = next(host["address"] for host in world.table["hosts"] if host["name"] == domain)
    with smtplib.SMTP(address, world.ready["smtp"], timeout=60) as client:
        if tls:
            client.starttls()
        client.sendmail("x@a.test", [f"y@{domain}"], "Subject: hello\r\n\r\nHello\r\n")


def test_what_a_sender_did_is_answered(tmp_path):
    path = tmp_path / "three.lab"
    path.write_text(THREE)
    with OpenWorld(tmp_path / "world", path) as world:
        three_domains(world)
        world.end()


def three_domains(world):
    status, kind, text = world.get("/lab/v1/gallery")
    assert (status, kind) == (200, "application/json")
    table = json.loads(text)
    assert (table["right"], table["skipped"], table["of"]) == (0, 4, 4)
    assert [row["skipped"] for row in table["rows"]] == ["nobody asked for it"] * 3 + ["only right after a change"]
    send(world, "good.test", True)
    send(world, "bad.test", False)
    send(world, "late.test", False)
    ask(world.at, "a.test", "MX")
    table = json.loads(world.get("/lab/v1/gallery?format=json")[2])
    assert [(row["domain"], row["got"], row["right"]) for row in table["rows"]] == [
        ("good.test", "delivered; tls encrypted", True), ("bad.test", "delivered; tls none", False),
        ("a.test", "not delivered", True), ("late.test", "only right after a change", False)]
    assert (table["right"], table["skipped"], table["of"]) == (2, 1, 4)
    status, kind, text = world.get("/lab/v1/gallery?format=tap")
    assert (status, kind) == (200, "text/plain")
    assert [re.match("(not )?ok - ([a-z.]+)", line).group(0) for line in text.splitlines() if "ok - " in line] == [
        "ok - good.test", "not ok - bad.test", "ok - a.test", "ok - late.test"]
    assert re.search("^ok - late.test: .* # skip only right after a change$", text, re.M) and text.endswith("1..4\n")
    status, kind, text = world.get("/lab/v1/gallery?format=junit")
    suite = xml.etree.ElementTree.fromstring(text)
    assert (status, kind) == (200, "application/xml")
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["4", "1", "1"]
    assert [case.find("failure") is not None for case in suite] == [False, True, False, False]
    assert suite[3].find("skipped").get("message") == "only right after a change"
    text = world.get("/lab/v1/gallery?format=people")[2]
    assert "2 of 3 domains are served as they should be\n" in text and "    got: delivered; tls none\n" in text
    for target, status in (("/lab/v1/gallery?format=xml", 400), ("/lab/v1/gallery?form=tap", 400), ("/lab/v1/galleries", 404),
                           ("/", 404)):
        assert world.get(target)[0] == status, target
    for method, status in ("HEAD", 200), ("POST", 405):             # RFC 9110 9.1, 15.5.6
        got = http.client.HTTPConnection("127.0.0.1", world.http, timeout=60)
        got.request(method, "/lab/v1/gallery")
        assert got.getresponse().status == status, method


def pass_on(world, row):
    """What a careless sender does: the text as it is, with dots doubled behind CRLF only."""
    ask(world.at, row["domain"], "MX")
    address = next(host["address"] for host in world.table["hosts"] if host["name"] == row["domain"])
    client = smtplib.SMTP(address, world.ready["smtp"], timeout=60)
    client.starttls()
    client.ehlo()
    client.command_encoding = "utf-8"
    for command in f"MAIL FROM:<{row['message']['from']}>", f"RCPT TO:<{row['address']}>", "DATA":
        assert client.docmd(command)[0] in (250, 354)
    client.send(row["message"]["text"].encode().replace(b"\r\n.", b"\r\n..") + b".\r\nQUIT\r\n")
    while client.file.readline():
        pass
    client.close()


def test_who_passes_everything_on_is_wrong(world):
    """The rows with a message of their own can be wrong, and are only then."""
    rows = [row for row in world.table["rows"] if row["domain"].startswith(("smuggle-", "utf8", "eight-bit"))]
    assert len(rows) == 12
    for row in rows:
        pass_on(world, row)
    seen = {row["domain"]: (row["got"], row["right"]) for row in json.loads(world.get("/lab/v1/gallery")[2])["rows"]}
    taken = "delivered; tls encrypted"
    assert {row["domain"]: seen[row["domain"]] for row in rows} == {
        "utf8.test": (taken, True), "utf8-not-offered.test": (taken, False), "utf8-header.test": (taken, True),
        "utf8-header-not-offered.test": (taken, False), "eight-bit.test": (taken, True),
        "eight-bit-not-offered.test": (taken, False), "smuggle-crlf-crlf.test": (taken, True),
        "smuggle-crlf-lf.test": (taken, True),          # behind CRLF the dot was doubled
        **{f"smuggle-{form}.test": (taken + "; in company", False)
           for form in ("lf-lf", "lf-crlf", "cr-cr", "cr-crlf")}}


# One of two addresses is company, whoever meant it so.
COMPANY = SMALL.replace("y@bad.test\n", "y@bad.test\n    send from x@a.test to y@alone.test, y@twice.test, z@twice.test\n", 1).replace(
    "    expect", """    scripted alone.test { certificate good }
    scripted twice.test { certificate good }
    expect delivered to y@alone.test { tls encrypted; alone; flaw "none"; rfc "5321 4.1.1.4" }
    expect delivered to y@twice.test { tls encrypted; alone; flaw "two"; rfc "5321 4.1.1.4" }
    expect""", 1)


def test_what_comes_alone(tmp_path):
    path = tmp_path / "company.lab"
    path.write_text(COMPANY)
    rows = {row["domain"]: row for row in json.loads(gallery(path, "--json", directory=tmp_path).stdout)["rows"]}
    assert (rows["alone.test"]["right"], rows["alone.test"]["got"]) == (True, "delivered; tls encrypted; alone")
    assert (rows["twice.test"]["right"], rows["twice.test"]["got"]) == (False, "delivered; tls encrypted; in company")


@pytest.mark.parametrize("tls, code", [(None, EX_BAD), (True, 0), (False, EX_BAD)])
def test_another_sender_is_judged_at_the_end(small, tmp_path, tls, code):
    """By SIGTERM here, so that nobody waits; --wait is the longest that it may take."""
    smtp, https, dns, http = free_ports(4)
    with subprocess.Popen([CHAINMAIL, "lab", "gallery", "--sender-only", "--wait", "5m", small, "--tap", "--dir", tmp_path / "w",
                           "--smtp", str(smtp), "--https", str(https), "--dns", str(dns), "--http", str(http)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        ready = json.loads(process.stderr.readline())
        table = json.loads((tmp_path / "w/gallery.json").read_text())
        host = next(host["address"] for host in table["hosts"] if host["name"] == "good.test")
        if tls is not None:
            with smtplib.SMTP(host, ready["smtp"], timeout=60) as client:
                if tls:
                    client.starttls()
                client.sendmail("x@a.test", ["y@good.test"], "Hello\r\n")
        process.terminate()
        out, _ = process.communicate(timeout=60)
    assert process.returncode == code, out
    assert out.startswith("not ok - good.test" if tls is False else "ok - good.test") and out.endswith("1..2\n")
    assert re.search("^ok - bad.test: .*# skip nobody asked for it$", out, re.M)


def test_the_wait_has_an_end(small, tmp_path):
    smtp, https, dns, http = map(str, free_ports(4))
    got = gallery("--sender-only", "--wait", "1s", small, "--smtp", smtp, "--https", https, "--dns", dns, "--http", http,
                  directory=tmp_path)
    assert got.returncode == EX_BAD and got.stdout.startswith("good.test") and '"ready"' in got.stderr
    assert sorted(os.listdir(tmp_path)) == ["small.lab"]


def test_what_a_host_takes_is_told(tmp_path):
    path = tmp_path / "small.lab"
    path.write_text(SMALL)
    with OpenWorld(tmp_path / "world", path) as world:
        address = next(host["address"] for host in world.table["hosts"] if host["name"] == "good.test")
        with smtplib.SMTP(address, world.ready["smtp"], timeout=60) as client:
            client.sendmail("x@a.test", ["y@good.test", "z@good.test"], "Subject: hello\r\n\r\nHello\r\n")
            client.starttls()
            client.sendmail("", ["y@good.test"], "Subject: hello\r\n\r\nHello\r\n")
        events = [event for event in world.end() if event["host"] == "good.test"]
    assert [(e["event"], e["from"], e["to"], bool(e["tls"])) for e in events] == [
        ("received", "x@a.test", ["y@good.test", "z@good.test"], False), ("received", "", ["y@good.test"], True)]
    assert all(e["bytes"] > 20 for e in events)
    for name in "ca.pem", "anchor", "gallery.json":
        assert (tmp_path / "world" / name).stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "world" / "resolv.conf").exists() == (world.ready["dns"] == 53)      # it knows no ports
