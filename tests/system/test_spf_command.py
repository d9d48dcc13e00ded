# SPDX-License-Identifier: ISC
"""`chainmail spf`: what it prints, and the exit code that says how it ended."""
import json
import os
import subprocess

import pytest

from nameserver import NameServer

CHAINMAIL = os.environ.get("CHAINMAIL", "./chainmail")

ZONE = """\
example.org.     TXT  "v=spf1 a:gone.example.org mx ?ip4:198.51.100.9 -all exp=why.example.org"
example.org.     MX   10 mx.example.org.
mx.example.org.  A    192.0.2.7
why.example.org. TXT  "%{i} is no host of %{d}, says %{r} at %{t}"
soft.test.       TXT  "v=spf1 ~all"
broken.test.     TXT  !servfail
wrong.test.      TXT  "v=spf1 moo -all"
odd.test.        TXT  "v=spf1 a:x\\027[31m\\195\\164.test -all"
mail.soft.test.  TXT  "v=spf1 ip4:192.0.2.7 -all"
"""


@pytest.fixture(name="zone")
def zone_file(tmp_path):
    file = tmp_path / "zone"
    file.write_text(ZONE)
    return str(file)


def run(*words):
    return subprocess.run([CHAINMAIL, "spf", *words], capture_output=True, check=False, text=True)


@pytest.mark.parametrize("client, sender, code, result", [
    ("192.0.2.7", "bob@example.org", 0, "pass"),
    ("198.51.100.9", "bob@example.org", 0, "neutral"),
    ("192.0.2.1", "bob@example.org", 1, "fail"),
    ("192.0.2.1", "<bob@example.org>", 1, "fail"),
    ("192.0.2.1", "soft.test", 1, "softfail"),
    ("192.0.2.1", "bob@wrong.test", 1, "permerror"),
    ("192.0.2.1", "bob@odd.test", 1, "permerror"),
    ("192.0.2.1", "bob@broken.test", 75, "temperror"),
    ("192.0.2.1", "bob@none.test", 0, "none"),
    ("192.0.2.7", "<>", 0, "pass"),
    ("192.0.2.7", "", 0, "pass"),
])
def test_exit_codes(zone, client, sender, code, result):
    for words in ([], ["--json"]):
        done = run("--ip", client, "--helo", "mail.soft.test", "--mail-from", sender, "--dns", zone, *words)
        assert done.returncode == code, done.stderr
        assert done.stderr == ""
        assert done.stdout.replace("\n", "").isprintable()
        if words:
            assert json.loads(done.stdout)["result"] == result
        else:
            assert done.stdout.splitlines()[0].split() == ["result", result]


def test_json_tells_the_whole_story(zone):
    done = run("--ip", "192.0.2.1", "--helo", "h.test", "--mail-from", "bob@example.org", "--receiver", "mx.here.test",
               "--now", "1795311000", "--dns", zone, "--json")
    answer = json.loads(done.stdout)
    queries = answer.pop("queries")
    assert answer == {
        "result": "fail", "identity": "mailfrom", "domain": "example.org",
        "term": {"text": "-all", "position": 47, "record_of": "example.org"},
        "explanation": "192.0.2.1 is no host of example.org, says mx.here.test at 1795311000",
        "why": None, "lookups": 2, "void_lookups": 1,
    }
    assert [(query["type"], query["name"], query["answer"]) for query in queries] == [
        ("TXT", "example.org", "found"), ("A", "gone.example.org", "nxdomain"), ("MX", "example.org", "found"),
        ("A", "mx.example.org", "found"), ("TXT", "why.example.org", "found")]
    assert [query["records"] for query in queries[1:4]] == [[], ["10 mx.example.org."], ["192.0.2.7"]]


def test_text_names_term_and_look_ups(zone):
    done = run("--ip", "192.0.2.7", "--helo", "h.test", "--mail-from", "bob@example.org", "--dns", zone)
    assert "mx   at position 26 in the record of example.org" in done.stdout
    assert "2 of 10 counted, 1 of 2 void" in done.stdout
    for query in ("gone.example.org", "nxdomain", "10 mx.example.org.", "192.0.2.7"):
        assert query in done.stdout
    done = run("--ip", "192.0.2.7", "--helo", "h.test", "--mail-from", "bob@broken.test", "--dns", zone)
    assert "looking up TXT of broken.test failed: SERVFAIL" in done.stdout


def test_the_helo_identity(zone):
    words = ["--ip", "192.0.2.7", "--helo", "mail.soft.test", "--dns", zone, "--json"]
    for more in ([], ["--identity", "helo"], ["--identity", "helo", "--mail-from", "bob@example.org"]):
        answer = json.loads(run(*words, *more).stdout)
        assert (answer["identity"], answer["domain"], answer["result"]) == ("helo", "mail.soft.test", "pass")


@pytest.mark.parametrize("sender", ["foo@", "@", "@a.test", "<x@soft.test", "x@soft.test>", "<x@soft.test>y", "<soft.test>",
                                    "a b@soft.test", "so ft.test", "x@\x1b.test", "x@a..test", "a..test"])
def test_what_is_no_sender_is_not_judged(zone, sender):
    done = run("--ip", "192.0.2.7", "--helo", "mail.soft.test", "--mail-from", sender, "--dns", zone)
    assert (done.returncode, done.stdout) == (64, "") and "this is no sender: " in done.stderr


@pytest.mark.parametrize("words, complaint", [
    ([], "--ip is missing"),
    (["--ip", "192.0.2"], "this is not an address: 192.0.2"),
    (["--ip", "192.0.2.1"], "--helo is missing"),
    (["--ip", "192.0.2.1", "--helo", "h.test", "--identity", "mailfrom"], "--mail-from is missing"),
    (["--ip", "192.0.2.1", "--mail-from", "<>"], "--helo is missing"),
    (["--ip", "192.0.2.1", "--helo", "h.test", "--identity", "ehlo"], "an identity is helo or mailfrom: ehlo"),
    (["--ip", "192.0.2.1", "--helo", "h.test", "--now", "noon"], "--now takes seconds since 1970: noon"),
    (["--ip", "192.0.2.1", "--helo", "h.test", "--jason"], "did you mean --json?"),
    (["--ip", "192.0.2.1", "--helo", "h.test", "more"], "nothing was expected at more"),
])
def test_usage(words, complaint):
    done = run(*words)
    assert done.returncode == 64
    assert complaint in done.stderr
    assert done.stdout == ""


def test_files(tmp_path):
    words = ["--ip", "192.0.2.1", "--helo", "h.test", "--dns"]
    assert run(*words, str(tmp_path / "nothing")).returncode == 66
    file = tmp_path / "zone"
    file.write_text("a.test. BOX x\n")
    done = run(*words, str(file))
    assert done.returncode == 65
    assert "zone:1:" in done.stderr


def test_a_configuration_says_who_answers(tmp_path, zone):
    """Its facts, or its servers, which are really asked; a server that is silent is a temperror."""
    config = tmp_path / "chainmail.conf"
    words = ["--ip", "192.0.2.7", "--helo", "h.test", "--mail-from", "bob@example.org", "-c", str(config), "--json"]
    config.write_text(f"hostname mx.here.test\nstate {tmp_path}\nresolver {{ facts {zone} }}\n")
    assert json.loads(run(*words).stdout)["result"] == "pass"
    with NameServer({("example.org.", "TXT"): '"v=spf1 ip4:192.0.2.7 -all"'}) as server:
        config.write_text(f"hostname mx.here.test\nstate {tmp_path}\n"
                          f"resolver {{ server 127.0.0.1:{server.port}; anchor none }}\n")
        done = run(*words)
        assert (done.returncode, json.loads(done.stdout)["result"]) == (0, "pass"), done.stderr
        assert server.asked == [("example.org.", "TXT")]
        assert json.loads(run(*words[:5], "bob@gone.test", *words[6:]).stdout)["result"] == "none"
        server.rcode = "SERVFAIL"
        assert run(*words[:5], "bob@other.test", *words[6:]).returncode == 75
    config.write_text("hostnam mx.here.test\n")
    done = run(*words)
    assert done.returncode == 78 and "did you mean \"hostname\"" in done.stderr


def test_nothing_of_a_strangers_zone_reaches_the_terminal(tmp_path):
    file = tmp_path / "zone"
    file.write_text("x.test. A \x1b]0;owned\x07\n")
    done = run("--ip", "192.0.2.7", "--helo", "h.test", "--mail-from", "a@x.test", "--dns", str(file))
    assert done.returncode == 65 and done.stderr.rstrip("\n").isprintable() and r"\x1B]0;owned\x07" in done.stderr
