# SPDX-License-Identifier: ISC
"""`chainmail lab run`: whole mail worlds, played twice, wrong on purpose, and watched."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

CHAINMAIL = os.path.abspath("chainmail")
SOURCE = pathlib.Path(os.environ.get("srcdir", ".")).resolve()
SCENARIOS = sorted((SOURCE / "lab" / "scenarios").glob("*.lab"))
DEMO = SOURCE / "lab" / "scenarios" / "list-forward.lab"
EX_BAD, EX_USAGE, EX_SOFTWARE, EX_CONFIG = 1, 64, 70, 78

pytestmark = pytest.mark.skipif(not shutil.which("ldns-signzone"),
                                reason="ldns-signzone is not there (ldnsutils)")

TWO_HOSTS = """
    host a.test { domain a.test { sign dkim; dmarc reject } }
    host b.test { domain b.test { } }
"""


def lab(*arguments, directory=None, timeout=300):
    environment = dict(os.environ, TMPDIR=str(directory)) if directory else None
    return subprocess.run([CHAINMAIL, "lab", *map(str, arguments)], text=True, capture_output=True,
                          timeout=timeout, env=environment)


def play(tmp_path, text, *options):
    path = tmp_path / "x.lab"
    path.write_text("lab {" + text + "}\n")
    return lab("run", path, *options, directory=tmp_path)


# --- scenarios hold ------------------------------------------------------------------


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_expectation_holds(path, tmp_path):
    got = lab("run", path, "--tap", directory=tmp_path)
    assert got.returncode == 0, got.stdout + got.stderr
    lines = got.stdout.splitlines()
    assert len(lines) > 1 and lines[-1] == f"1..{len(lines) - 1}"
    assert all(line.startswith("ok - ") for line in lines[:-1])
    assert os.listdir(tmp_path) == []               # nothing is left behind


def test_several_scenarios_are_one_run(tmp_path):
    got = lab("run", *[s for s in SCENARIOS if s.stem in ("greylist", "null-mx")], "--json",
              directory=tmp_path)
    assert got.returncode == 0
    results = json.loads(got.stdout)
    assert [pathlib.Path(r["scenario"]).stem for r in results] == ["greylist", "null-mx"]
    for r in results:
        assert r["holds"] and r["held"] == r["of"] == len(r["expectations"]) > 0


# --- the same bytes, always -------------------------------------------------------------


def messages(path, tmp_path):
    return json.loads(lab("run", path, "--json", directory=tmp_path).stdout)[0]["messages"]


@pytest.mark.parametrize("name", ["list-forward", "alias", "crash", "null-mx"])
def test_the_same_seed_and_clock_give_the_same_bytes(name, tmp_path):
    path = SOURCE / "lab" / "scenarios" / f"{name}.lab"
    first = messages(path, tmp_path)
    assert first and messages(path, tmp_path) == first


def test_another_seed_gives_other_bytes(tmp_path):
    text = TWO_HOSTS + "send from x@a.test to y@b.test\n"
    seen = []
    for seed in 1, 2:
        got = play(tmp_path, f"seed {seed}\n" + text, "--json")
        seen.append(json.loads(got.stdout)[0]["messages"][0]["bytes"])
    assert seen[0] != seen[1]                       # another key signed it


# --- what does not hold is told ----------------------------------------------------------


def test_an_expectation_that_fails_says_what_came_instead(tmp_path):
    got = play(tmp_path, TWO_HOSTS + """
        send from x@a.test to y@b.test
        expect message to y@b.test { dmarc fail; attempts 2; tls none; subject "other"; arc pass with 1 set
            dkim none; dkim pass for b.test; body contains "other" }
        expect message to z@b.test
        expect bounced to y@b.test
        expect no message elsewhere
    """)
    assert got.returncode == EX_BAD
    told = dict(re.findall(r"expected (.*)\n +but it was: (.*)", got.stdout))
    assert told == {
        "message to y@b.test: dmarc fail": "dmarc pass",
        "message to y@b.test: attempts 2": "attempts 1",
        "message to y@b.test: tls none": "tls encrypted",
        'message to y@b.test: subject "other"': "hello",
        "message to y@b.test: arc pass with 1 set": "arc none with 0 sets",
        "message to y@b.test: dkim none": "dkim pass for a.test",
        "message to y@b.test: dkim pass for b.test": "dkim pass for a.test",
        'message to y@b.test: body contains "other"': "another body",
        "message to z@b.test": "nobody tried",
        "bounced to y@b.test": told["bounced to y@b.test"],
    }
    assert told["bounced to y@b.test"].startswith("delivered at attempt 1: 250 ")
    assert "x.lab:6:38: expected message to y@b.test: dmarc fail" in got.stdout
    assert "2 of 12 expectations hold" in got.stdout


def test_a_message_nobody_expected_is_told(tmp_path):
    got = play(tmp_path, TWO_HOSTS + "send from x@a.test to y@b.test\nexpect no message elsewhere\n", "--tap")
    assert got.returncode == EX_BAD
    assert "not ok - " in got.stdout and "#   it was: a message to y@b.test" in got.stdout


def test_json_tells_the_same(tmp_path):
    got = play(tmp_path, TWO_HOSTS + "send from x@a.test to y@b.test\nexpect message to y@b.test { dmarc fail }\n",
               "--json")
    assert got.returncode == EX_BAD
    result = json.loads(got.stdout)[0]
    assert not result["holds"] and (result["held"], result["of"]) == (1, 2)
    assert result["expectations"][1]["came"] == "dmarc pass"
    assert any(line["event"] == "delivered" and line["host"] == "a.test" for line in result["log"])


# --- the picture -------------------------------------------------------------------------------


def test_the_demo_draws_what_happened(tmp_path):
    got = lab("run", DEMO, directory=tmp_path)
    assert got.returncode == 0
    for part in (r"alice@bank\.test ──▶ list\.test ──┬──▶ ann@sts\.test +delivered +MTA-STS enforce: mx\.sts\.test verified",
                 r"DKIM, p=reject +\[members\]", r"\+ footer +└──▶ ben@dane\.test +deferred 421, delivered on 2nd try "
                 r"\(\+5m\) +DANE: mx\.dane\.test verified",
                 r"list\.test +spf=pass +dkim=pass\(bank\.test\) +dmarc=pass +arc=none +sealed i=1 cv=none",
                 r"sts\.test .*dmarc=fail +arc=pass +accepted: sealer list\.test is trusted here",
                 r"Not delivered: x@sts-wrong-name\.test", r"21 of 21 expectations hold"):
        assert re.search(part, got.stdout), part


# The same world with one thing changed: what is drawn follows, and the demo fails.
CHANGES = {
    "no fault": (r"    fault first-try.*\n", "", "ben@dane.test   delivered ", ["421", "delivered on 2nd"]),
    "no trust": (r"arc \{ trust list.test \}", "", "Not delivered: ann@sts.test", ["accepted: sealer"]),
    "no footer": (r"            footer .*\n", "", "[members]", ["+ footer"]),
    "no tag": (r"            tag .*\n", "", "+ footer", ["[members]"]),
    "no dkim": (r"; sign dkim", "", "p=reject", ["DKIM, p=reject", "pass(bank.test)"]),
    "no policy": (r"\{ sts enforce \}\n        arc", "{ }\n        arc", "opportunistic: mx.sts.test",
                  ["MTA-STS enforce: mx.sts.test"]),
    "no tlsa": (r"\{ dane \}", "{ }", "opportunistic: mx.dane.test", ["DANE: mx.dane.test"]),
    "good name": (r"        certificate wrong-name\n", "", "x@sts-wrong-name.test   delivered",
                  ["Not delivered: x@sts-wrong-name.test"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_in_the_picture_is_a_constant(name, tmp_path):
    pattern, instead, there, gone = CHANGES[name]
    text, count = re.subn(pattern, instead, DEMO.read_text())
    assert count >= 1
    (tmp_path / "changed.lab").write_text(text)
    shutil.copy(DEMO.parent / "hello.eml", tmp_path)
    got = lab("run", tmp_path / "changed.lab", directory=tmp_path)
    assert got.returncode == EX_BAD, got.stdout + got.stderr
    assert there in got.stdout, got.stdout
    for words in gone:
        assert words not in re.sub(r"(?s)\n  \S*changed\.lab:.*", "", got.stdout), got.stdout


# --- scenarios that cannot be played -----------------------------------------------------------------


def test_a_flaw_has_a_place_and_a_hint(tmp_path):
    got = play(tmp_path, "\n    hots a.test { }\n")
    assert got.returncode == EX_CONFIG and got.stdout == ""
    assert f'{tmp_path}/x.lab:2:5: error: "hots" is not a statement in a lab block' in got.stderr
    assert 'did you mean "host"?' in got.stderr


@pytest.mark.parametrize("arguments", [[], ["run"], ["play", "x"], ["run", "x", "--json", "--tap"], ["--nothing"]])
def test_usage(arguments):
    assert lab(*arguments).returncode == EX_USAGE


def test_a_scenario_that_is_not_there():
    got = lab("run", "/nowhere/x.lab")
    assert got.returncode == EX_CONFIG and "/nowhere/x.lab" in got.stderr


def test_a_world_that_cannot_be_is_told(tmp_path):
    got = play(tmp_path, "host a.test { hostname mx.a.test; domain a.test { deliver to lmtp unix:/x } "
                         "listen mx { on *:25 } }\n")
    assert got.returncode == EX_SOFTWARE and "a.test" in got.stderr
    got = play(tmp_path, TWO_HOSTS + "send from x@a.test to y@b.test file nothing.eml\n")
    assert got.returncode == EX_SOFTWARE and "nothing.eml" in got.stderr


# --- configurations are real ---------------------------------------------------------------------------


def test_a_host_has_a_configuration_that_stands_by_itself(tmp_path):
    text = TWO_HOSTS + "send from x@a.test to y@b.test\nexpect message to y@b.test\n"
    got = play(tmp_path, text, "--keep", "--transcript")
    assert got.returncode == 0
    world = pathlib.Path(re.search(r"is in (.*)", got.stderr).group(1))
    for name in "a.test", "b.test":
        path = world / "hosts" / name / "chainmail.conf"
        assert path.read_text() in got.stdout
        check = subprocess.run([CHAINMAIL, "config", "check", "-c", path], text=True, capture_output=True, timeout=60)
        assert check.returncode == 0, check.stderr
    assert "=== message to y@b.test on b.test" in got.stdout


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_packet_leaves_the_loopback_addresses(tmp_path):
    trace = tmp_path / "trace"
    subprocess.run(["strace", "-f", "-qq", "-o", trace, "-e", "trace=connect,bind,sendto,sendmsg", CHAINMAIL, "lab",
                    "run", str(DEMO)], capture_output=True, timeout=300, check=True)
    addresses = set(re.findall(r'inet_addr\("([^"]*)"\)|inet_pton\(AF_INET6, "([^"]*)"', trace.read_text()))
    assert addresses
    assert {a or b for a, b in addresses if not a.startswith("127.")} == set()


# --- the manual -----------------------------------------------------------------------------------------


def test_the_manual_page_is_what_the_table_gives():
    page = lab("manual")
    assert page.returncode == 0
    assert page.stdout == (SOURCE / "conf" / "man" / "chainmail-lab.5").read_text()


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_manual_page_is_good_mdoc():
    lint = subprocess.run(["mandoc", "-T", "lint"], input=lab("manual").stdout, text=True,
                          capture_output=True, timeout=60)
    assert [line for line in (lint.stdout + lint.stderr).splitlines() if "referenced manual" not in line] == []


def test_the_example_of_the_manual_page_holds(tmp_path):
    page = lab("manual").stdout
    example = re.search(r"(?s)\.Bd -literal -offset indent\n(lab \{.*?)\.Ed", page).group(1)
    path = tmp_path / "example.lab"
    path.write_text(example.replace("\\&", "").replace("\\e", "\\"))
    assert lab("run", path, directory=tmp_path).returncode == 0
