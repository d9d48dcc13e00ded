# SPDX-License-Identifier: ISC
"""The same program with and without root, and what its roles have given up."""
import ctypes
import os
import pathlib
import pwd
import re
import shutil
import signal
import ssl
import subprocess
import tempfile

import pytest

from chainmail import (DEADLINE, ENVIRONMENT, EX_OSERR, PLAIN, SANITIZED, Chainmail, Sink, have, letter,
                       make_certificate, statuses, until)

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


def as_nobody():
    return ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"]


# And the program lies where he may go, which root's home is not.
CAN_BE_NOBODY = ROOT and have("setpriv") and subprocess.run([*as_nobody(), "test", "-x", PLAIN], check=False).returncode == 0


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


@pytest.mark.skipif(not CAN_BE_NOBODY, reason="only root can become an ordinary user")
@pytest.mark.parametrize("variant", [PLAIN, SANITIZED], ids=["plain", "sanitized"])
def test_an_ordinary_user_can_run_it(open_place, variant):
    give_away(open_place)
    with Sink() as far:
        with Chainmail(open_place, SITE, program=variant, prefix=as_nobody(), via=far.port, expect={"child-died"}) as program:
            lives(program, far)
            for pid, role in program.children():
                assert statuses(pid).get("Uid") in (uids(NOBODY.pw_uid), None), role        # an old one may have gone


def uids(uid):
    return f"{uid}\t" * 3 + str(uid)


def shown(program):
    with program.client() as client:
        client.starttls(context=ssl._create_unverified_context())
        return client.sock.getpeercert(True)


@pytest.mark.skipif(not CAN_BE_NOBODY, reason="only root can keep a key from an ordinary user")
def test_a_key_whose_rights_come_after_its_name_is_taken(open_place):
    """As certbot does it: links to new files that are root's, and a hook that gives them to the account later."""
    give_away(open_place)
    for old in "cert.pem", "key.pem":
        (open_place / old).rename(open_place / ("1-" + old))
        (open_place / old).symlink_to("1-" + old)
    new = open_place / "new"
    new.mkdir()
    make_certificate(new)
    with Chainmail(open_place, SITE, prefix=as_nobody(), via=1, expect={"config-error"}) as program:
        for name in "cert.pem", "key.pem":
            (new / name).chmod(0o600)
            (open_place / "link").symlink_to(new / name)
            os.rename(open_place / "link", open_place / name)
        told = program.wait("config-error")
        assert "Permission denied" in told["why"]
        for name in "cert.pem", "key.pem":
            os.chown(new / name, 0, NOBODY.pw_gid)
            (new / name).chmod(0o640)
        fresh = ssl.PEM_cert_to_DER_cert((new / "cert.pem").read_text())
        until(lambda: shown(program) == fresh, lambda: "the new certificate\n" + program.text())
        assert all("Permission denied" in e["why"] for e in program.events("config-error"))


def test_what_a_changed_table_lacks_is_looked_for_again(place):
    """No file that is known changes when the missing one comes; and it is told once that it is missing."""
    (place / "aliases").write_text("team: ann\n")
    site = re.sub("alias team [^;]*", "alias from file {dir}/aliases", SITE.replace("user nobody\n", ""))
    with Chainmail(place, site, via=1, expect={"config-error"}) as program:
        (place / "aliases").write_text("team: :include:{}\n".format(place / "more"))
        assert "more" in program.wait("config-error")["why"]
        (place / "more").write_text("bob\n")
        program.wait("reloaded")
        said = [(e["why"], e["line"]) for e in program.events("config-error")]
        assert len(said) == len(set(said))
        program.send("a@far.test", ["team@local.test"], letter())
        program.wait("delivered", to="bob@local.test")


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
        # a new role gives up its rights a moment after its birth; an old one may go meanwhile
        is_so = until(lambda pid=pid: [now for now in [statuses(pid)] if now.get("Seccomp") in ("2", None)],
                      lambda: f"{role} is not filtered")[0]
        if is_so:
            assert is_so["NoNewPrivs"] == "1" and is_so["Uid"] == uids(uid), role
            assert uid == "0" or (int(is_so["CapEff"], 16) == 0 and is_so["Groups"] == ""), role
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
    assert program.process.wait(DEADLINE) == EX_OSERR
    assert f"{open_place}/state/lock: Permission denied" in program.text()


@pytest.mark.skipif(not CAN_BE_NOBODY, reason="only root can become an ordinary user")
def test_a_first_trial_of_root_closes_nothing_to_the_account(open_place):
    """Root, the account, root again: all that lies there is the account's, also what root made by itself."""
    give_away(open_place)
    for prefix in [], as_nobody(), []:
        with Chainmail(open_place, SITE, program=PLAIN, prefix=prefix, via=1):
            assert of_root(open_place / "state") == []
        assert of_root(open_place / "state") == []


@pytest.mark.skipif(not CAN_BE_NOBODY, reason="only root can become an ordinary user")
@pytest.mark.parametrize("prefix", [[], as_nobody()], ids=["root", "account"])
@pytest.mark.parametrize("name", ["", "ids", "queue"])
def test_what_belongs_to_another_is_named_with_its_repair(open_place, prefix, name):
    with Chainmail(open_place, SITE, program=PLAIN, via=1):
        pass
    give_away(open_place)
    os.chown(open_place / "state" / name, 0, 0)
    program = Chainmail(open_place, SITE, program=PLAIN, prefix=prefix, via=1).launch()
    assert program.process.wait(DEADLINE) == EX_OSERR
    assert f"another account: chown -R nobody {open_place}/state\n" in program.text()


@pytest.mark.skipif(not ROOT, reason="only root can keep its rights")
def test_root_talks_to_no_stranger(open_place):
    """Without an account it is a lab on loopback, or it is refused, also by a new configuration; "user root" is a word."""
    if any(p.pw_name == "chainmail" for p in pwd.getpwall()):
        pytest.skip("this machine has the account")
    site = SITE.replace("user nobody\n", "").replace("web {", "# web {")
    outside = site.replace("on 127.0.0.1:{port}", "on 127.0.0.1:{port}, *:{second}")
    program = Chainmail(open_place, outside, program=PLAIN, via=1).launch()
    assert program.process.wait(DEADLINE) == EX_OSERR
    assert "there is no account chainmail, and root does not talk to strangers" in program.text()
    assert not (open_place / "state").exists()
    with Chainmail(open_place, site, program=PLAIN, via=1, expect={"config-error"}) as program:
        program.configure(outside)
        program.reload("config-error")
        program.configure(outside + "user root\n")
        program.reload()


@pytest.mark.skipif(not ROOT, reason="only root can give rights away")
def test_another_account_is_refused_what_it_cannot_open(open_place):
    with Chainmail(open_place, SITE, program=PLAIN, via=1, expect={"config-error"}) as program:
        program.configure(SITE.replace("user nobody", "user daemon"))
        program.reload("config-error")
        program.send("a@far.test", ["ann@local.test"], letter())
        program.wait("delivered")


@pytest.mark.skipif(not ROOT, reason="only root can give rights away")
@pytest.mark.parametrize("made", [False, True], ids=["missing", "made by root"])
def test_a_restoration_onto_a_new_disk_is_the_accounts(open_place, tmp_path, made):
    with Chainmail(open_place, SITE, program=PLAIN, via=1) as program:
        program.send("a@far.test", ["b@far.test"], letter())
        program.wait("deferred")
        rows = '{"table":"sts","key":"far.test","value":"x"}\n'
        subprocess.run([PLAIN, "state", "load", "-c", program.file], input=rows, text=True, check=True, timeout=DEADLINE)
        assert program.command("backup", tmp_path / "backup").returncode == 0
    shutil.rmtree(open_place / "state")
    if made:
        (open_place / "state").mkdir()
    got = subprocess.run([PLAIN, "restore", tmp_path / "backup", "-c", program.file], text=True, capture_output=True,
                         timeout=DEADLINE, env=ENVIRONMENT)
    assert (got.returncode, got.stdout, of_root(open_place / "state")) == (0, "restore: 1 message\n", []), got.stderr
    assert (open_place / "state").stat().st_uid == NOBODY.pw_uid
    with program:
        assert len(program.queue()) == 1


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
    return [p for p in state.rglob("*") if p.stat().st_uid == 0]


@pytest.mark.skipif(not ROOT, reason="only root can give rights away")
def test_commands_of_root_leave_nothing_that_the_account_cannot_open(open_place, tmp_path):
    state, later = open_place / "state", ["451 4.2.0 later"]
    tmp_path.chmod(0o700)
    with Sink(reply=lambda verb, _: later[0] if verb == "TEXT" and later else None) as far:
        program = Chainmail(open_place, SITE, program=PLAIN, via=far.port)
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


@pytest.mark.skipif(not CAN_BE_NOBODY, reason="only root can become another user")
@pytest.mark.parametrize("mode", [0o700, 0o711], ids=["the directory", "what is in it"])
def test_what_another_user_may_not_see_is_not_called_missing(open_place, mode):
    """Only what is not there is not there: EACCES is a failure that names the file."""
    site = SITE.replace("user nobody\n", "user mail\n").replace("via 127.0.0.1:{via}; ", "")
    (open_place / "key.pem").chmod(0o600)                   # no command needs it
    with Chainmail(open_place, site, program=PLAIN) as program:
        (open_place / "state").chmod(mode)
        words = [*as_nobody(), str(PLAIN)]
        for command in NOT_FOR_HIM:
            got = subprocess.run([*words, *command, "-c", str(program.file)], text=True, capture_output=True,
                                 timeout=DEADLINE, env=ENVIRONMENT)
            assert got.returncode in (66, 69) and got.stdout == "", (command, got)
            assert f"{open_place}/state" in got.stderr and "Permission denied" in got.stderr, (command, got)
        for command in ("queue",), ("why", "b@far.test"):
            got = subprocess.run([*words, *command, "-c", str(program.file)], text=True, capture_output=True,
                                 timeout=DEADLINE, env=ENVIRONMENT)
            asks = "only root and the account of the program may ask" in got.stderr
            assert got.returncode in (1, 66, 69, 75) and "Permission denied" in got.stderr, got
            assert asks == (mode == 0o700), got
            assert "empty" not in got.stdout, got
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
