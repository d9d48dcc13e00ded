# SPDX-License-Identifier: ISC
"""`chainmail verify`: every exit code, every key, the explanation, recorded cases, public messages."""
import base64
import json
import os
import re
import smtplib
import socket
import subprocess

import pytest

from chainmail import until
from nameserver import NameServer
from ports import free_ports

CHAINMAIL = os.environ.get("CHAINMAIL", "./chainmail")
CONFORMANCE = os.environ.get("CONFORMANCE", "../shared/conformance")
NOW = "1795311020"
LETTER = (b"From: Alice <alice@bank.test>\r\nTo: list@lists.example\r\nSubject: Minutes\r\n"
          b"Date: Sun, 22 Nov 2026 08:00:00 +0000\r\nMessage-ID: <1@bank.test>\r\n\r\nHello,\r\n\r\nhere they are.\r\n")
RECORDS = """\
_dmarc.bank.test.      TXT  "v=DMARC1; p=reject"
bank.test.             TXT  "v=spf1 ip4:192.0.2.7 -all exp=why.bank.test"
why.bank.test.         TXT  "%{i} is no host of %{d}"
lists.example.         TXT  "v=spf1 include:in.example ip4:192.0.2.25 -all"
in.example.            TXT  "v=spf1 a:gone.example -all"
mx.lists.example.      A    192.0.2.25
25.2.0.192.in-addr.arpa.    PTR  mx.lists.example.
_dmarc.soft.test.      TXT  "v=DMARC1; p=none"
_dmarc.slow.test.      TXT  !timeout
"""


def run(*words, data=LETTER):
    return subprocess.run([CHAINMAIL, *words], input=data, capture_output=True, timeout=60, check=False)


class World:
    """Keys, a zone, and one letter at every station of its way."""

    def __init__(self, folder):
        self.folder, self.zone = folder, folder / "zone"
        records = RECORDS
        for name, place in ("bank", "s1._domainkey.bank.test"), ("lists", "k1._domainkey.lists.example"):
            subprocess.run(["openssl", "genrsa", "-out", str(folder / name), "2048"], check=True, capture_output=True)
            public = subprocess.run(["openssl", "pkey", "-in", str(folder / name), "-pubout", "-outform", "DER"],
                                    check=True, capture_output=True).stdout
            records += f'{place}. TXT "v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"\n'
        self.zone.write_text(records)
        (folder / "silent").write_text(re.sub(r"(k1\S+ TXT).*", r"\1 !timeout", records))
        self.signed = self.made("sign", "bank.test", "s1", "bank", LETTER)
        self.listed = self.made("seal", "lists.example", "k1", "lists", self.changed(self.signed), "--authserv-id",
                                "mx.lists.example", "--results", "spf=pass smtp.mailfrom=bank.test;\n dkim=pass "
                                "header.d=bank.test;\n dmarc=pass header.from=bank.test")

    def made(self, command, domain, selector, key, data, *more):
        done = run(command, "--domain", domain, "--selector", selector, "--key", str(self.folder / key), "--time",
                   "1795311000", *more, data=data)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @staticmethod
    def changed(message):
        """As lists do."""
        return message.replace(b"Subject: ", b"Subject: [l] ") + b"-- \r\nlist footer\r\nunsubscribe\r\n"

    def message(self, name):
        return {"letter": LETTER, "signed": self.signed, "listed": self.listed, "empty": b"", "garbage": b"no header\n",
                "two authors": LETTER.replace(b"To: ", b"From: eve@evil.test\r\nTo: "),
                "broken chain": self.listed.replace(b"ARC-Seal: ", b"X-Gone: "),
                "nobody": LETTER.replace(b"bank.test>\r\nTo", b"nowhere.test>\r\nTo"),
                "soft": LETTER.replace(b"bank.test>\r\nTo", b"soft.test>\r\nTo"),
                "slow": LETTER.replace(b"bank.test>\r\nTo", b"slow.test>\r\nTo")}[name]

    def options(self, zone="zone", sender="l-bounces@lists.example", ip="192.0.2.25", helo="mx.lists.example"):
        return ["verify", "--ip", ip, "--helo", helo, "--mail-from", sender, "--dns", str(self.folder / zone), "--now",
                NOW, "--authserv-id", "mx.here.test"]


@pytest.fixture(scope="module", name="world")
def whole_world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("verify"))


# --- exit codes ---------------------------------------------------------------

CODES = [
    # what is so, message, more options, exit code, dmarc
    ("an aligned signature", "signed", [], 0, "pass"),
    ("SPF of the author's domain", "letter", ["--ip", "192.0.2.7", "--mail-from", "alice@bank.test"], 0, "pass"),
    ("no policy", "nobody", [], 0, "none"),
    ("a trusted sealer vouches", "listed", ["--trust", "lists.example"], 0, "fail"),
    ("trust for what is below a domain", "listed", ["--trust", ".example"], 0, "fail"),
    ("nothing aligned", "letter", [], 1, "fail"),
    ("changed by a list", "listed", [], 1, "fail"),
    ("somebody else is trusted", "listed", ["--trust", "other.example"], 1, "fail"),
    ("a trusted sealer, but the chain is broken", "broken chain", ["--trust", "lists.example"], 1, "fail"),
    ("a policy that asks for nothing", "soft", [], 1, "fail"),
    ("two authors", "two authors", [], 1, "permerror"),
    ("the policy is not to be had", "slow", [], 75, "temperror"),
    ("the sealer's key is not to be had", "listed", ["--dns", "SILENT", "--trust", "lists.example"], 75, "fail"),
]


@pytest.mark.parametrize("message, more, code, dmarc", [row[1:] for row in CODES], ids=[row[0] for row in CODES])
def test_the_exit_code_is_the_verdict(world, message, more, code, dmarc):
    more = [str(world.folder / "silent") if word == "SILENT" else word for word in more]
    for style in [], ["--explain"], ["--json"], ["--json", "--explain"]:
        done = run(*world.options(), *more, *style, data=world.message(message))
        assert (done.returncode, done.stderr) == (code, b"")
        if "--json" in style:
            answer = json.loads(done.stdout)
            assert (answer["dmarc"]["result"], answer["exit"]) == (dmarc, code)
        else:
            assert f"verdict: dmarc={dmarc}" in done.stdout.decode()
            assert f"exit {code}\n" in done.stdout.decode()


REFUSED = [
    ("no address", 64, "signed", ["--ip", "192.0.2"], "this is not an address: 192.0.2"),
    ("no sender", 64, "signed", ["--mail-from", "a b@c"], "this is no sender"),
    ("no time", 64, "signed", ["--now", "noon"], "--now takes seconds since 1970: noon"),
    ("no domain to trust", 64, "signed", ["--trust", "a b"], "this is no domain: a b"),
    ("an unknown option", 64, "signed", ["--explian"], "did you mean --explain?"),
    ("an operand", 64, "signed", ["message"], "nothing was expected at message"),
    ("no message", 65, "empty", [], "there is no message"),
    ("no header", 65, "garbage", [], "has no colon"),
    ("no zone", 66, "signed", ["--dns", "/nonexistent"], "cannot open /nonexistent"),
    ("no case", 66, "signed", ["--world", "/nonexistent"], "cannot open /nonexistent/options"),
    ("nowhere to keep it", 73, "signed", ["--record", "/proc/nonexistent"], "/proc/nonexistent"),
    ("no configuration", 78, "signed", ["-c", "/nonexistent"], "cannot open /nonexistent"),
]


@pytest.mark.parametrize("code, message, more, complaint", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_judged_has_a_code_and_a_sentence(world, code, message, more, complaint):
    done = run(*world.options(), *more, data=world.message(message))
    assert done.returncode == code and complaint in done.stderr.decode()


# --- for programs -------------------------------------------------------------

def test_every_key_of_the_object(world):
    answer = json.loads(run(*world.options(), "--trust", "lists.example", "--json", data=world.listed).stdout)
    assert answer.pop("authentication_results").startswith("mx.here.test; spf=pass smtp.mailfrom=lists.example; dkim=fail ")
    assert answer == {
        "spf": {"result": "pass", "domain": "lists.example", "helo": {"result": "none", "domain": "mx.lists.example"}},
        "dkim": [{"result": "fail", "domain": "bank.test", "selector": "s1", "algorithm": "rsa-sha256",
                  "reason": "the body hash differs"}],
        "dmarc": {"result": "fail", "policy": "reject", "disposition": "none", "domain": "bank.test",
                  "org_domain": "bank.test", "policy_domain": "bank.test", "reason": "nothing aligned passed",
                  "override": "local_policy", "override_comment": "arc=pass as[1].d=lists.example as[1].s=k1"},
        "arc": {"result": "pass", "sets": 1, "oldest_pass": 0, "sealers": ["lists.example"], "trusted": True,
                "voucher": "lists.example"},
        "iprev": {"result": "pass", "address": "192.0.2.25", "name": "mx.lists.example"},
        "action": "accept", "exit": 0}


def test_keys_that_are_there_only_sometimes(world):
    answer = json.loads(run(*world.options(sender="alice@bank.test"), "--json").stdout)
    assert answer["spf"] == {"result": "fail", "domain": "bank.test", "explanation": "192.0.2.25 is no host of bank.test",
                             "helo": {"result": "none", "domain": "mx.lists.example"}}
    assert answer["arc"] == {"result": "none", "sets": 0, "oldest_pass": None, "sealers": [], "trusted": False}
    assert (answer["dkim"], answer["dmarc"]["disposition"], answer["action"]) == ([], "reject", "reject")
    answer = json.loads(run("verify", "--dns", str(world.zone), "--json", data=world.message("nobody")).stdout)
    assert (answer["spf"], answer["iprev"]) == ({"result": "none", "domain": None}, {"result": None})
    assert answer["dmarc"]["policy"] is None and "override" not in answer["dmarc"]
    assert "spf=" not in answer["authentication_results"]
    answer = json.loads(run(*world.options(), "--json", data=world.message("broken chain")).stdout)
    assert answer["arc"] == {"result": "fail", "sets": 1, "oldest_pass": None, "sealers": [None], "trusted": False,
                             "reason": "set 1: there is no ARC-Seal"}
    assert json.loads(run(*world.options(), "--json", data=world.signed).stdout)["dkim"][0] == {
        "result": "pass", "domain": "bank.test", "selector": "s1", "algorithm": "rsa-sha256"}


def all_steps(step):
    yield step
    for below in step.get("steps", []):
        yield from all_steps(below)


def test_the_explanation_is_a_tree(world):
    story = json.loads(run(*world.options(), "--json", "--explain", data=world.listed).stdout)["explain"]
    assert (story["step"], story["subject"]) == ("message", "alice@bank.test")
    assert [step["step"] for step in story["steps"]] == ["spf", "spf", "dkim", "arc", "iprev", "dmarc", "decision"]
    steps = list(all_steps(story))
    for name, rule in (("spf", "RFC 7208"), ("term", "RFC 7208"), ("dkim", "RFC 6376"), ("arc", "RFC 8617"),
                       ("iprev", "RFC 8601"), ("dmarc", "RFC 9989"), ("walk", "RFC 9989 4.10")):
        some = [step for step in steps if step["step"] == name]
        assert some and all(step["rule"].startswith(rule) and step["result"] for step in some), name
    hints = [step["subject"] for step in steps if step["step"] == "hint"]
    assert hints == ["body hash is right again without the last 3 lines (a footer was added at line 4)",
                     'header hash is right again with Subject "Minutes" instead of "[l] Minutes"']
    queries = {(step["query"]["type"], step["query"]["name"]): step["query"] for step in steps if "query" in step}
    assert queries["TXT", "_dmarc.bank.test"]["records"] == ['"v=DMARC1; p=reject"']
    assert queries["A", "gone.example"]["answer"] == "nxdomain"
    assert queries["PTR", "25.2.0.192.in-addr.arpa"]["security"] == "insecure"
    hop = next(step for step in steps if step["step"] == "set")
    assert {key: hop[key] for key in ("instance", "sealer", "cv", "ams", "as", "trusted", "authserv_id", "saw")} == {
        "instance": 1, "sealer": "lists.example", "cv": "none", "ams": "ok", "as": "ok", "trusted": "no",
        "authserv_id": "mx.lists.example", "saw": "spf=pass dkim=pass(bank.test) dmarc=pass"}


def methods_of(field):
    """What python3-authres reads out of the field: a list of (method, result)."""
    authres = pytest.importorskip("authres")
    header = authres.AuthenticationResultsHeader.parse("Authentication-Results: " + field)
    assert header.authserv_id == "mx.here.test"
    return [(result.method, result.result) for result in header.results]


@pytest.mark.parametrize("message, more", [row[1:3] for row in CODES], ids=[row[0] for row in CODES])
def test_the_field_says_what_the_object_says(world, message, more):
    more = [str(world.folder / "silent") if word == "SILENT" else word for word in more]
    answer = json.loads(run(*world.options(), *more, "--json", data=world.message(message)).stdout)
    dkim = [one["result"] for one in answer["dkim"]] or ["none"]
    spf = [answer["spf"]["result"]] + [answer["spf"]["helo"]["result"]] * (answer["spf"]["helo"]["result"] != "none")
    assert methods_of(answer["authentication_results"]) == [
        *(("spf", result) for result in spf), *(("dkim", result) for result in dkim),
        ("dmarc", answer["dmarc"]["result"]), ("arc", answer["arc"]["result"]), ("iprev", answer["iprev"]["result"])]


# --- for people ---------------------------------------------------------------

EXPLAINED = """\
From alice@bank.test     policy p=reject at _dmarc.bank.test (tree walk, 2 queries)
  spf    pass      lists.example               "ip4:192.0.2.25" matched             not aligned: lists.example ≠ bank.test
  spf    none      mx.lists.example (helo)     mx.lists.example has no SPF record
  dkim   fail      bank.test/s1                the body hash differs                would be aligned (strict)
                   hint: body hash is right again without the last 3 lines (a footer was added at line 4)
                   hint: header hash is right again with Subject "Minutes" instead of "[l] Minutes"
  arc    pass      1 set                       every message signature verifies
  iprev  pass      192.0.2.25                  mx.lists.example
  dmarc  fail      bank.test                   nothing aligned passed

  bank.test
    ──▶ [1] lists.example                        cv=none   AMS ok   AS ok
            saw  spf=pass dkim=pass(bank.test) dmarc=pass   (as mx.lists.example)
            trusted sealer: no, so not used   (config: arc { trust lists.example })
    ──▶ here: arc=pass, oldest-pass 0

step by step
"""


def test_the_explanation_for_people(world):
    text = run(*world.options(), "--explain", data=world.listed).stdout.decode()
    assert text.startswith(EXPLAINED)
    assert "\nverdict: dmarc=fail, p=reject; quarantine: p=reject, but it was forwarded      exit 1\n" in text
    assert "      term include:in.example: no match   [RFC 7208 5.2]\n" in text
    assert "          A gone.example: nxdomain, insecure\n" in re.sub(r" +\n", "\n", text)
    assert text.count(" p=MII") == 2 and "(as above)" in text
    trusted = run(*world.options(), "--explain", "--trust", "lists.example", data=world.listed).stdout.decode()
    assert "trusted sealer: yes, and this hop's results are believed\n" in trusted
    short = run(*world.options(), data=world.listed).stdout.decode()
    assert short.startswith(EXPLAINED[:EXPLAINED.index("\n\n")]) and "step by step" not in short


def test_bare_line_ends_are_taken_as_crlf_and_told(world):
    saved = world.signed.replace(b"\r\n", b"\n")
    done = run(*world.options(), "--explain", data=saved)
    lines = saved.count(b"\n")
    assert done.returncode == 0
    assert done.stdout.decode().startswith(f"note: {lines} lines ended with a bare LF and were taken as ended with CRLF\n")
    story = json.loads(run(*world.options(), "--explain", "--json", data=saved).stdout)["explain"]
    assert story["bare_line_ends"] == lines
    assert b"bare" not in run(*world.options(), "--explain", data=world.signed).stdout


def test_nothing_a_stranger_wrote_reaches_the_terminal(world):
    evil = world.listed.replace(b"[l] Minutes", b"[\x1b[31m\x07] \xff\x9b Minutes").replace(b"Alice", b"\x1b]0;x\x07")
    evil = b"DKIM-Signature: v=1; d=\x1b[2Jx.test; s=\x07\r\n" + evil
    for style in "--explain", "--json":
        done = run(*world.options(helo="\x1b[1m"), style, data=evil)
        assert done.stdout.decode().replace("\n", "").replace("\t", "").isprintable()


@pytest.mark.parametrize("sender, results", [
    ("bob@h.test", ["spf=pass smtp.mailfrom=h.test", "spf=fail smtp.helo=h.test"]), ("eve@h.test", ["spf=fail smtp.mailfrom=h.test"]),
    ("<>", ["spf=fail smtp.mailfrom=h.test"]), ("bob@nowhere.test", ["spf=none smtp.mailfrom=nowhere.test", "spf=fail smtp.helo=h.test"])])
def test_helo_has_a_result_of_its_own(world, tmp_path, sender, results):
    (tmp_path / "zone").write_text('h.test. TXT "v=spf1 exists:%{l}.users.test -all"\nbob.users.test. A 127.0.0.2\n')
    answer = json.loads(run(*world.options(sender=sender, helo="h.test"), "--dns", str(tmp_path / "zone"), "--json").stdout)
    assert [part for part in answer["authentication_results"].split("; ") if part.startswith("spf=")] == results


def test_reasons_say_what_is_so(world):
    long = b"DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=s; h=from; bh=; b=" + b"A" * 1368 + b"\r\n"
    answer = json.loads(run(*world.options(), "--json", data=long + LETTER).stdout)
    assert answer["dkim"][0]["reason"] == "b= is longer than a signature of 8192 bits"
    many = LETTER.replace(b"Alice <alice@bank.test>", b",".join(b"a%d@bank.test" % i for i in range(17)))
    answer = json.loads(run(*world.options(), "--json", data=many).stdout)
    assert (answer["action"], answer["dmarc"]["reason"]) == ("reject", "the From field names too many addresses")
    routed = json.loads(run(*world.options(), "--json", data=LETTER.replace(b"<alice@", b"<@x.test,@y.test:alice@")).stdout)
    assert routed["dmarc"] == json.loads(run(*world.options(), "--json").stdout)["dmarc"]


def test_from_is_mail_from(world):
    words = ["--from" if word == "--mail-from" else word for word in world.options()]
    assert run(*words, "--json").stdout == run(*world.options(), "--json").stdout


def test_no_line_of_a_signature_is_too_long(world):
    words = ["sign", "--domain", "bank.test", "--selector", "s1", "--key", str(world.folder / "bank"), "--headers"]
    assert max(map(len, run(*words, "from:" + "x" * 76).stdout.splitlines())) <= 78
    done = run(*words, "from:" + "x" * 77)
    assert (done.returncode, done.stdout) == (64, b"") and b"these are no names of fields, of 76 letters at most" in done.stderr


@pytest.mark.parametrize("headers, code", [("from:\n to", 0), (" from :\t to ", 0), ("from:su\nbject", 64), ("from:a b", 64),
                                           ("from:a;b", 64), (":from", 64), ("from:\xfc", 64)])
def test_only_names_of_fields_are_signed(world, headers, code):
    done = run("sign", "--domain", "bank.test", "--selector", "s1", "--key", str(world.folder / "bank"), "--headers", headers)
    assert done.returncode == code and (b"no names of fields" in done.stderr) == (code != 0)
    assert b"\n" not in done.stdout.replace(b"\r\n", b"") and (code != 0 or b"h=from:to;" in done.stdout)


def test_results_of_several_signatures_can_be_told_apart(world):
    # RFC 6008 4: as many letters of b= as that takes, at least eight
    field = world.signed.split(b"\r\nFrom:")[0] + b"\r\n"
    b = re.sub(rb"\s", b"", field.split(b" b=")[1].rstrip()).decode()
    flip = {i: b[:i] + ("A" if b[i] != "A" else "B") + b[i + 1:] for i in (3, 20, 40)}
    twins = "".join(f"DKIM-Signature: v=1; a=rsa-sha256; d=bank.test; s=s1; h=from; bh={'A' * 43}=; b={text}\r\n" for text in flip.values())
    answer = json.loads(run(*world.options(), "--json", data=twins.encode() + world.signed).stdout)
    shown = re.findall(r'header\.b="?([\w+/=]+)', answer["authentication_results"])
    assert shown == [flip[3][:8], flip[20][:21], flip[40][:41], b[:41]]
    twice = json.loads(run(*world.options(), "--json", data=field + world.signed).stdout)
    assert re.findall(r'header\.b="?([\w+/=]+)', twice["authentication_results"]) == [b[:320], b[:320]]


def test_the_authors_signature_is_seen_below_any_number_of_others(world):
    foreign = b"".join(b"DKIM-Signature: v=1; a=rsa-sha256; d=x%d.test; s=s; h=from; bh=; b=\r\n" % i for i in range(12))
    answer = json.loads(run(*world.options(), "--json", "--explain", data=foreign + world.signed).stdout)
    assert answer["dmarc"]["result"] == "pass" and answer["dkim_left_out"] == 3
    assert [s["domain"] for s in answer["dkim"]] == [f"x{i}.test" for i in range(9)] + ["bank.test"]
    steps = [s for s in answer["explain"]["steps"] if s["step"] == "dkim" and s["result"] == "left out"]
    assert [s["left_out"] for s in steps] == [3]
    assert b"3 more signatures are not looked at" in run(*world.options(), "--explain", data=foreign + world.signed).stdout
    assert "dkim_left_out" not in json.loads(run(*world.options(), "--json", data=world.signed).stdout)


@pytest.mark.parametrize("options", ["--mail-from=\x1b]0;owned\x07", "--ip=\x1b]0;owned\x07", "--\x1b]0;owned\x07=1",
                                     "--now=\x9b31m", "--trust=\x1b[2J", "--policy=\x1b[2J", "--authserv-id=a\n\x1b"])
def test_nothing_of_a_strangers_case_reaches_the_terminal(world, tmp_path, options):
    case = tmp_path / "case"
    run(*world.options(), "--record", str(case), data=world.signed)
    (case / "options").write_text(options + "\n", encoding="latin-1")
    done = run("verify", "--world", str(case), data=b"")
    assert done.returncode in (64, 66) and b"chainmail verify: " in done.stderr
    assert not set(done.stderr.replace(b"\n", b"")) & {*range(32), *range(127, 256)}


def test_nothing_of_a_strangers_zone_reaches_the_terminal(world, tmp_path):
    (tmp_path / "zone").write_bytes(b"x.test. A \x1b]0;owned\x07\n")
    done = run(*world.options(), "--dns", str(tmp_path / "zone"))
    assert done.returncode == 65 and rb"\x1B]0;owned\x07" in done.stderr
    assert not set(done.stderr.rstrip(b"\n")) & {*range(32), *range(127, 256)}


# --- recorded cases -------------------------------------------------------------

@pytest.mark.parametrize("message, more", [row[1:3] for row in CODES], ids=[row[0] for row in CODES])
def test_a_recorded_case_has_the_same_verdict(world, tmp_path, message, more):
    case = str(tmp_path / "new" / "case")
    more = [str(world.folder / "silent") if word == "SILENT" else word for word in more]
    first = run(*world.options(), *more, "--json", "--explain", "--record", case, data=world.message(message))
    assert sorted(os.listdir(case)) == ["dns", "message", "options"]
    with open(os.path.join(case, "message"), "rb") as kept:
        assert kept.read() == world.message(message)
    again = run("verify", "--world", case, "--json", "--explain", data=b"")
    given = run("verify", "--world", case, "--json", "--explain", data=world.message(message))
    for other in again, given:
        assert (other.returncode, other.stdout) == (first.returncode, first.stdout), other.stderr


@pytest.mark.parametrize("words", ["dmarc reject never", "dmarc reject strict", "dmarc temperror defer",
                                   "several-authors accept", "spf fail reject", "arc temperror accept"])
@pytest.mark.parametrize("message, zone", [("letter", "zone"), ("listed", "silent"), ("slow", "zone"), ("two authors", "zone"),
                                           ("nobody", "zone")])
def test_a_recorded_case_has_the_policy_it_was_judged_by(world, tmp_path, words, message, zone):
    case, config = str(tmp_path / "case"), tmp_path / "chainmail.conf"
    config.write_text(f"hostname mx.here.test\nresolver {{ facts {world.folder / zone} }}\npolicy {{ {words} }}\n")
    asked = ["verify", "-c", str(config), "--ip", "192.0.2.99", "--helo", "h.test", "--mail-from", "a@bank.test", "--now", NOW]
    first = run(*asked, "--json", "--record", case, data=world.message(message))
    assert first.stderr == b"" and first.stdout != b""
    assert run("verify", "--world", case, "--json", data=b"").stdout == first.stdout


@pytest.mark.parametrize("line, why", [
    ("s1._domainkey.bank.test. CNAME c.test.\nc.test. CNAME s1._domainkey.bank.test.", "the CNAMEs form a loop"),
    ('s1._domainkey.bank.test. TXT !timeout "no answer in time"', "no answer in time"),
    ("s1._domainkey.bank.test. TXT !timeout", "timeout"), ("s1._domainkey.bank.test. TXT !servfail", "SERVFAIL")])
def test_a_recorded_failure_keeps_its_words(world, tmp_path, line, why):
    zone, case = tmp_path / "zone", str(tmp_path / "case")
    zone.write_text(re.sub(r"s1\S+ TXT.*", lambda _: line, world.zone.read_text()))
    first = run(*world.options(), "--dns", str(zone), "--json", "--explain", "--record", case, data=world.signed)
    assert f'reason="{why}"' in json.loads(first.stdout)["authentication_results"].replace(f"={why} ", f'="{why}" ')
    assert run("verify", "--world", case, "--json", "--explain", data=b"").stdout == first.stdout


def test_a_switch_can_be_tried_upon_a_case(world, tmp_path):
    case = str(tmp_path / "case")
    asked = [*world.options(sender="a@other.test"), "--json"]
    answer = json.loads(run(*asked, "--policy", "dmarc_reject=never", "--record", case).stdout)
    assert answer["action"] == "quarantine"
    for switch, action in (("never", "quarantine"), ("strict", "reject"), ("evidence", "reject")):
        done = run("verify", "--world", case, "--json", "--policy", f"dmarc_reject={switch}", data=b"")
        assert json.loads(done.stdout)["action"] == action
    assert run(*asked, "--policy", "dmarc_reject=often").returncode == 64


def test_a_case_recorded_from_servers_needs_none(world, tmp_path):
    """Asked over the network, then judged again when nobody answers any more."""
    records = {}
    for line in world.zone.read_text().splitlines():
        name, kind, data = line.split(None, 2)
        if not data.startswith("!"):
            # character-strings of at most 255 octets, as zone files want them
            records[name, kind] = " ".join(f'"{data.strip(chr(34))[at:at + 250]}"'
                                           for at in range(0, len(data.strip('"')), 250)) if kind == "TXT" else data
    config, case = tmp_path / "conf", str(tmp_path / "case")
    with NameServer(records) as server:
        config.write_text(f"hostname mx.here.test\nstate {tmp_path}\narc {{ trust lists.example }}\n"
                          f"resolver {{ server 127.0.0.1:{server.port}; anchor none }}\n")
        words = [word for word in world.options() if word not in ("--dns", str(world.zone))]
        live = run(*words, "-c", str(config), "--json", "--record", case, data=world.listed)
        assert ("_dmarc.bank.test.", "TXT") in server.asked
    offline = run(*world.options(), "--trust", "lists.example", "--json", data=world.listed)
    assert (live.returncode, live.stdout) == (offline.returncode, offline.stdout), live.stderr
    again = run("verify", "--world", case, "--json", data=b"")
    assert (again.returncode, again.stdout) == (live.returncode, live.stdout)


def test_a_case_of_a_stranger_writes_nothing(world, tmp_path):
    """Its options are those of a question; whoever sends one cannot have files written."""
    case = tmp_path / "case"
    run(*world.options(), "--record", str(case), data=world.signed)
    with open(case / "options", "a", encoding="ascii") as options:
        options.write(f"--record={tmp_path}/stolen\n")
    done = run("verify", "--world", str(case), data=b"")
    assert done.returncode == 66 and b"there is no option --record" in done.stderr
    assert not (tmp_path / "stolen").exists()


# --- public messages --------------------------------------------------------------

def suite(name):
    path = os.path.join(CONFORMANCE, name)
    if not os.path.exists(path):
        pytest.skip(f"{name} is not there")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def zone_of(records, path):
    """As a zone file; each string is one record, two words are failures."""
    lines = []
    for name, texts in records.items():
        name = name.rstrip(".")
        if texts in ("SERVFAIL", "NXDOMAIN"):
            lines.append(f"{name}. TXT !servfail\n" if texts == "SERVFAIL" else f"{name}. !nxdomain\n")
            continue
        for text in [texts] if isinstance(texts, str) else texts:
            text = "".join(f"\\{byte:03d}" if byte in b'"\\;' or not 32 <= byte < 127 else chr(byte)
                           for byte in text.encode())
            lines.append(f'{name}. TXT "{text}"\n')
    path.write_text("".join(lines))
    return str(path)


def results_of_the_vectors(program, name):
    """What the test of the public suites found, by case: those of CONTESTED too."""
    done = subprocess.run([f"obj/tests/vectors/{program}"], capture_output=True, timeout=120, check=False)
    lines = re.findall(rf"^ok \d+ - {name} (.*?): ([a-z,]+)(?::.*| \(contested.*)?$", done.stdout.decode(), re.M)
    return dict(lines)


def test_chains_of_valimail(tmp_path):
    cases, expected = suite("arc-valimail/validation.json")["cases"], results_of_the_vectors("v_arc", "arc-valimail")
    assert len(cases) > 100
    for case in cases:
        zone = zone_of(case["txt"], tmp_path / "zone")
        done = run("verify", "--dns", zone, "--now", NOW, "--json", "--explain", data=case["message"].encode())
        assert json.loads(done.stdout)["arc"]["result"] == expected[case["id"]], case["id"]


@pytest.mark.parametrize("name", ["dkim-chasquid", "dkim-verifier-addon", "dkim-jdkim", "dkim-mail-dkim"])
def test_signatures_of_public_suites(name, tmp_path):
    whole, expected = suite(f"{name}/cases.json"), results_of_the_vectors("v_dkim", name)
    beside = suite(f"{name}/dns.json") if name == "dkim-mail-dkim" else whole.get("txt")
    for case in whole["cases"]:
        own = whole.get("default_txt") if isinstance(case.get("txt"), str) else case.get("txt")
        with open(os.path.join(CONFORMANCE, name, case["message"]), "rb") as file:
            message = re.sub(rb"\AFrom .*\n", b"", file.read())
        done = run("verify", "--dns", zone_of(own if own is not None else beside, tmp_path / "zone"), "--now",
                   "1795311000", "--json", "--explain", data=message)
        if done.returncode == 65:
            assert expected[case["id"]] == "error", done.stderr
            continue
        results = [one["result"] for one in json.loads(done.stdout)["dkim"]]
        assert (",".join(results) or "none") == expected[case["id"]], case["id"]
    assert len(whole["cases"]) >= 7


# --- the server ---------------------------------------------------------------------

def results_field(message):
    head = message.partition(b"\r\n\r\n")[0] if b"\r\n\r\n" in message else message.partition(b"\n\n")[0]
    field = re.search(rb"^Authentication-Results:((?:.*\n)(?:[ \t].*\n)*)", head + b"\n", re.M)
    return b" ".join(field.group(1).split()).decode()


def test_the_server_and_verify_say_the_same(world, tmp_path):
    """Each letter goes through a running server; what it wrote into it is what verify says of it."""
    [port], boxes = free_ports(1), tmp_path / "mail"
    (boxes / "ann" / "new").mkdir(parents=True)
    (boxes / "ann" / "cur").mkdir()
    (boxes / "ann" / "tmp").mkdir()
    (tmp_path / "zone").write_text(world.zone.read_text())
    config = tmp_path / "conf"
    config.write_text(f"hostname mx.here.test\nstate {tmp_path}/state\nresolver {{ facts {tmp_path}/zone }}\n"
                      f"listen mx {{ on 127.0.0.1:{port} }}\narc {{ trust lists.example }}\n"
                      f"policy {{ dmarc reject never }}\n"
                      f"domain local.test {{ deliver to maildir {boxes}/%u; users ann }}\n")
    checked = run("config", "check", "-c", str(config))
    assert checked.returncode == 0, checked.stderr
    server = subprocess.Popen([CHAINMAIL, "run", "-c", str(config)], stderr=subprocess.PIPE)
    try:
        for letter in world.signed, world.listed, world.message("soft"), world.message("nobody"):
            until(lambda: can_connect(port), "the server")
            with smtplib.SMTP("127.0.0.1", port, local_hostname="mx.lists.example", timeout=60) as client:
                client.sendmail("l-bounces@lists.example", ["ann@local.test"], letter)
            name = until(lambda: os.listdir(boxes / "ann" / "new"), "the message")[0]
            saved = (boxes / "ann" / "new" / name).read_bytes()
            (boxes / "ann" / "new" / name).unlink()
            done = run("verify", "--ip", "127.0.0.1", "--helo", "mx.lists.example", "--mail-from",
                       "l-bounces@lists.example", "-c", str(config), "--json", data=saved)
            assert json.loads(done.stdout)["authentication_results"] == results_field(saved)
            assert len(methods_of(results_field(saved))) >= 5
    finally:
        server.terminate()
        server.communicate(timeout=60)


def can_connect(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
