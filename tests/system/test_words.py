# SPDX-License-Identifier: ISC
"""What README and manual name is there, and does what they say."""
import re
import subprocess
from pathlib import Path

import pytest

from chainmail import ENVIRONMENT, SANITIZED, Chainmail, letter

SOURCE = Path(__file__).resolve().parents[2]
README = (SOURCE / "README").read_text()
MANUAL = (SOURCE / "conf/man/chainmail.8").read_text()
SITE = """
hostname mx.local.test
state {dir}/state
log json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port} }
domain local.test { deliver to maildir {dir}/mail/%u; users ann }
key k2026 { domain local.test; file {dir}/dkim.pem }
delivery { hold on }
"""


def run(*words, text=None):
    return subprocess.run([SANITIZED, *words], input=text, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)


def commands_of_the_program():
    return set(re.findall(r"(?m)^  (\S+) ", run("help").stdout))


def commands_of_the_readme():
    """The column in front of what each does."""
    column = re.search(r"\nCommands\n\n(.*?)\n\n", README, re.S)[1]
    return set(re.findall(r"[a-z-]+", " ".join(line[4:20] for line in column.splitlines())))


def test_readme_manual_and_program_name_the_same_commands():
    known = commands_of_the_program()
    assert len(known) > 15
    assert commands_of_the_readme() == known
    assert set(re.findall(r"(?m)^\.It Cm (\S+)", MANUAL)) == known


def test_every_command_tells_its_options():
    for command in commands_of_the_program() - {"version"}:
        got = run(command, "--help")
        assert got.returncode == 0 and got.stdout.startswith(f"usage: chainmail {command}"), got


def test_the_words_in_running_text_are_commands():
    said = re.sub(r"\s+", " ", README)
    named = re.findall(r"`(?:chainmail )?((?:config|queue|sts|lab) [a-z]+)", said)
    explaining = re.search(r"Every decision can be explained: chainmail ([^.]*)\.", said)[1].split(", ")
    assert "config check" in named and "why" in explaining
    for words in named + explaining:
        assert run(*words.split(), "--help").returncode == 0, words
        assert words.split()[0] in commands_of_the_program()


@pytest.fixture(scope="module")
def program(tmp_path_factory, pems):
    place = tmp_path_factory.mktemp("words")
    (place / "dkim.pem").write_bytes((pems / "dkim.pem").read_bytes())
    (place / "facts").write_text('local.test. MX 10 mx.local.test.\nfar.test. MX 10 mx.far.test.\n'
                                 'far.test. TXT "v=spf1 -all"\nmx.far.test. A 192.0.2.1\n')
    with Chainmail(place, SITE) as it:
        it.send("a@far.test", ["ann@local.test"], letter("words"))
        yield it


# What is run, and a word of what the manual promises; {m} is a message, {o} an unused directory.
PROMISES = [
    ("config check", ""),
    ("config show", r"hostname +mx\.local\.test"),
    ("config show --defaults", "# default"),
    ("config explain", r"local\.test is yours"),
    ("config fmt", "hostname mx.local.test"),
    ("queue", r"1 message, .*, oldest"),
    ("queue show all", "Subject: words"),
    ("queue stats", r"(?m)^messages +1$"),
    ("queue verify", "verify: 1 message"),
    ("queue export {o} all", "export: 1 message"),
    ("queue hold all", "hold: 1 message"),
    ("queue release all", "release: 1 message"),
    ("backup {o}", "backup: 1 message"),
    ("state dump", ""),
    ("why ann@local.test", "Not delivered yet to 1 recipient"),
    ("route x@far.test", r"MX +far\.test"),
    ("dns-records local.test", r"k2026\._domainkey\.local\.test\."),
    ("sts list", "no policy is kept"),
    ("verify --ip 192.0.2.9 --helo h.test --mail-from a@far.test --explain < {m}", r"spf +fail"),
    ("spf --ip 192.0.2.9 --helo h.test --mail-from a@far.test", r"result +fail"),
    ("sign --domain far.test --selector s --key {k} < {m}", "DKIM-Signature:"),
    ("seal --domain far.test --selector s --key {k} --authserv-id x.test < {m}", "ARC-Seal: i=1"),
    ("version", r"chainmail [0-9.]+"),
]


@pytest.mark.parametrize("command, promise", PROMISES, ids=[command.split(" <")[0] for command, _ in PROMISES])
def test_it_does_what_is_promised(program, tmp_path, command, promise):
    reads = command.endswith(" < {m}")
    words = command.removesuffix(" < {m}").format(o=tmp_path / "new", k=program.directory / "dkim.pem").split()
    if words[0] not in ("sign", "version"):
        words += ["-c", program.file]
    got = run(*words, text=letter("words").decode() if reads else None)
    said = got.stdout + (got.stderr if words[0] == "config" else "")
    assert got.returncode in ((0, 1) if words[0] in ("verify", "spf") else (0,)), got
    assert re.search(promise, said), got
