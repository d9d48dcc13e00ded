# SPDX-License-Identifier: ISC
"""The same program with and without root, and what its roles have given up."""
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

import pytest

from chainmail import (DEADLINE, ENVIRONMENT, EX_OSERR, PLAIN, SANITIZED, Chainmail, Sink, have, letter, status_of,
                       until)

SITE = """
hostname mx.local.test
state {dir}/state
log json
user nobody
roots {dir}/cert.pem
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; tls cert {dir}/cert.pem key {dir}/key.pem; allow relay from 127.0.0.1 }
web { on 127.0.0.1:{second}; tls cert {dir}/cert.pem key {dir}/key.pem }
domain local.test { deliver to maildir {dir}/mail/%u; alias team -> ann, ben@far.test; sts testing }
key k2026 { domain local.test; file {dir}/dkim.pem }
delivery { via 127.0.0.1:{via}; retry after 1s }
"""
ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def open_place(pems):
    """A directory that an ordinary user can reach, with readable keys of his own."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="chainmail-rights-", dir="/tmp"))
    place.chmod(0o755)
    for name in "cert.pem", "key.pem", "dkim.pem":
        shutil.copy(pems / name, place / name)
    (place / "facts").write_text("local.test. MX 10 mx.local.test.\n")
    yield place
    shutil.rmtree(place)


def give_away(place):
    for path in [place, *place.rglob("*")]:
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)


def lives(program, far):
    """In by STARTTLS; home, away and sealed; a death; a new configuration."""
    with program.client() as client:
        client.starttls()
        client.sendmail("a@far.test", ["team@local.test"], letter("one"))
    program.wait("delivered", to="ann@local.test")
    far.wait(1, program=program)
    assert b"ARC-Seal: i=1" in far.taken[0].text
    for role in "queue", "delivery":
        os.kill(program.pid(role), signal.SIGKILL)
        program.send("a@far.test", ["ann@local.test"], letter(f"after the {role}"))
    program.reload()
    program.send("a@far.test", ["b@far.test"], letter("after"))
    far.wait(2, program=program)
    program.wait_empty()
    until(lambda: len(program.maildir("ann")) == 3, "three messages")


@pytest.mark.skipif(not ROOT or not have("setpriv"), reason="only root can become an ordinary user")
@pytest.mark.parametrize("variant", [PLAIN, SANITIZED], ids=["plain", "sanitized"])
def test_an_ordinary_user_can_run_it(open_place, variant):
    give_away(open_place)
    prefix = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"]
    with Sink() as far:
        with Chainmail(open_place, SITE, program=variant, prefix=prefix, via=far.port, expect={"child-died"}) as program:
            lives(program, far)
            for pid, role in program.children():
                assert status_of(pid, "Uid").split() == [str(NOBODY.pw_uid)] * 4, role


@pytest.mark.skipif(not ROOT, reason="only root can give rights away")
def test_root_keeps_nothing_in_the_roles(open_place):
    with Sink() as far:
        with Chainmail(open_place, SITE, program=PLAIN, via=far.port, expect={"child-died"}) as program:
            check_rights(program, str(NOBODY.pw_uid))
            lives(program, far)
            check_rights(program, str(NOBODY.pw_uid))           # also those who came later
            assert (open_place / "state").stat().st_mode & 0o777 == 0o700
            assert (open_place / "state").stat().st_uid == NOBODY.pw_uid


def test_rights_are_given_up_without_root_too(place):
    """Whoever starts it: no new privileges, system calls filtered, nothing missing but an account."""
    with Sink() as far, Chainmail(place, SITE.replace("user nobody\n", ""), program=PLAIN, via=far.port) as program:
        check_rights(program, str(os.geteuid()))


def check_rights(program, uid):
    until(lambda: {name for _, name in program.children()} >= {"smtpd", "queue", "delivery", "web"}, "the roles")
    for pid, role in program.children():
        # a new role gives up its rights a moment after its birth
        until(lambda pid=pid: status_of(pid, "Seccomp") in ("2", None), lambda: f"{role} is not filtered")
        if status_of(pid, "Seccomp") is None:
            continue                    # replaced meanwhile
        assert status_of(pid, "NoNewPrivs") == "1", role
        assert status_of(pid, "Uid").split() == [uid] * 4, role
        if uid != "0":
            assert int(status_of(pid, "CapEff"), 16) == 0 and status_of(pid, "Groups") == "", role
    version = landlock()
    wanted = {"landlock"} if version < 1 else {"landlock-net"} if version < 4 else set()
    for event in program.events("sandbox"):
        lacking = {word for word in event["missing"].split(", ") if not word.startswith("the account ")}
        assert lacking == wanted, event
    if wanted:
        assert program.events("sandbox")


def landlock():
    """The version of Landlock that this kernel has; 0 or less: none."""
    create_ruleset, just_the_version = 444, 1
    return ctypes.CDLL(None, use_errno=True).syscall(create_ruleset, None, 0, just_the_version)


@pytest.mark.skipif(not ROOT, reason="only root can give rights away")
def test_a_state_that_the_account_cannot_reach_is_told(open_place):
    open_place.chmod(0o700)
    program = Chainmail(open_place, SITE, program=PLAIN, via=1)
    program.launch()
    assert program.process.wait(20) == EX_OSERR
    event = program.events("alarm")[0]                  # of whoever noticed first
    assert event["what"] in ("queue", "delivery") and "Permission denied" in event["why"]


# Each opens spool, caches or history when nobody runs; {out} is a directory that only root may enter.  They are plain:
# to a process that has changed its ids LeakSanitizer cannot attach.
COMMANDS = """
queue list
queue show all
queue hold all
queue release all
queue stats
queue verify
queue rebuild
queue export {out}/exported all
sts list
sts forget far.test
why b@far.test
route b@far.test
state dump
state load
backup {out}/backup
queue drop all
restore {out}/backup
"""


def of_root(state):
    """What root has in there, but for what the master keeps for itself."""
    return [p for p in state.rglob("*") if p.stat().st_uid == 0 and p not in (
        state / "lock", state / "control", state / "secrets", state / "ids")]


@pytest.mark.skipif(not ROOT, reason="only root can give rights away")
def test_commands_of_root_leave_nothing_that_the_account_cannot_open(open_place, tmp_path):
    state, later = open_place / "state", ["451 4.2.0 later"]
    tmp_path.chmod(0o700)
    with Sink(reply=lambda verb, _: later[0] if verb == "TEXT" and later else None) as far:
        program = Chainmail(open_place, SITE, via=far.port)
        with program:
            program.send("a@far.test", ["b@far.test"], letter("patience"))
            program.wait("deferred")
        assert (state / "queue").stat().st_uid == NOBODY.pw_uid and of_root(state) == []
        rows = ""
        for command in COMMANDS.format(out=tmp_path).split("\n")[1:-1]:
            words = [str(PLAIN), *command.split(), "-c", str(program.file)]
            got = subprocess.run(words, input=rows, text=True, capture_output=True, timeout=DEADLINE, env=ENVIRONMENT)
            rows = got.stdout if command == "state dump" else ""
            nothing = command == "sts forget far.test"         # which was never kept
            assert (got.returncode, of_root(state)) == (int(nothing), []), command + "\n" + got.stdout + got.stderr
        assert len(list((tmp_path / "exported").iterdir())) == 2
        assert all(p.stat().st_uid == 0 for p in tmp_path.rglob("*"))
        later.clear()
        with program:
            far.wait(program=program)
            program.wait_empty()


# What another user asks for, and how it must not end: as if nothing was there.
NOT_FOR_HIM = [("sts", "list"), ("sts", "show", "far.test"), ("sts", "forget", "far.test"), ("sts", "refresh", "far.test"),
               ("lists", "left"), ("trust",), ("state", "dump")]


@pytest.mark.skipif(not ROOT or not have("setpriv"), reason="only root can become another user")
@pytest.mark.parametrize("mode", [0o700, 0o711], ids=["the directory", "what is in it"])
def test_what_another_user_may_not_see_is_not_called_missing(open_place, mode):
    """Only what is not there is not there: EACCES is a failure that names the file."""
    site = SITE.replace("user nobody\n", "user mail\n").replace("via 127.0.0.1:{via}; ", "")
    for key in open_place.glob("*.pem"):
        key.chmod(0o644)                                    # they are another matter
    with Chainmail(open_place, site, program=PLAIN) as program:
        (open_place / "state").chmod(mode)
        words = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups", str(PLAIN)]
        for command in NOT_FOR_HIM:
            got = subprocess.run([*words, *command, "-c", str(program.file)], text=True, capture_output=True,
                                 timeout=DEADLINE, env=ENVIRONMENT)
            assert got.returncode in (66, 69) and got.stdout == "", (command, got)
            assert f"{open_place}/state" in got.stderr and "Permission denied" in got.stderr, (command, got)
        got = subprocess.run([*words, "route", "b@far.test", "-c", str(program.file)], text=True, capture_output=True,
                             timeout=DEADLINE, env=ENVIRONMENT)
        assert "chainmail route: the policies that are kept: cannot " in got.stderr and "Permission denied" in got.stderr
        (open_place / "state").chmod(0o700)
        assert program.stop() == 0
        (open_place / "state").chmod(mode)
        for command in NOT_FOR_HIM:                         # nobody runs: the disk
            got = subprocess.run([*words, *command, "-c", str(program.file)], text=True, capture_output=True,
                                 timeout=DEADLINE, env=ENVIRONMENT)
            assert got.returncode in (66, 69) and "Permission denied" in got.stderr, (command, got)
