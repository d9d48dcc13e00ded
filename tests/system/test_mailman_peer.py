# SPDX-License-Identifier: ISC
"""
Mailman 3 as Debian has it, really running, between our two doors: a post of an
author whose domain asks for p=reject reaches a strict receiver that trusts the
list, and no other one.  Debian's packages lie unpacked in peers/; nothing of
them is installed or started by the system.
"""
import email
import os
import re
import socket
import subprocess

import dkim
import pytest

from chainmail import PEERS, Chainmail, letter, until, until_or_end
from ports import free_ports
from test_forward import answer, arc_of, public

PATIENCE = 120                          # a dozen Python processes on a busy machine

pytestmark = pytest.mark.skipif(not (PEERS / "mailman3").is_dir(), reason="mailman3 is not unpacked")

LIST_HOST = """
hostname mx.lists.test
state    {dir}/state
log      json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port} }
listen mailman { on 127.0.0.1:{second}; allow relay from 127.0.0.1; seal arc; sign dkim lists.test }
domain lists.test { lists from mailman {map}; alias postmaster -> owner@far.test }
key    arc2026 { domain lists.test; file {dir}/dkim.pem }
delivery { retry after 1s; to far.test { via 127.0.0.1:{far} }; to wary.test { via 127.0.0.1:{wary} } }
"""

RECEIVER = """
hostname mx.{name}
state    {dir}/state
log      json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port} }
domain {name} { deliver to maildir {dir}/mail/%u; users ben, owner, postmaster }
policy { dmarc reject strict }
{trust}
"""

FACTS = """
strict.test.          TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.strict.test.   TXT "v=DMARC1; p=reject"
lists.test.           TXT "v=spf1 ip4:127.0.0.1 -all"
mx.lists.test.        A   127.0.0.1
"""

MAILMAN = """
[mailman]
site_owner: owner@far.test
layout: here
[paths.here]
var_dir: {dir}
bin_dir: {bin}
log_dir: {dir}/logs
etc_dir: {dir}/etc
pid_file: {dir}/master.pid
[webservice]
port: {rest}
[mta]
incoming: mailman.mta.postfix.LMTP
outgoing: mailman.mta.deliver.deliver
smtp_host: 127.0.0.1
smtp_port: {smtp}
lmtp_host: 127.0.0.1
lmtp_port: {lmtp}
configuration: {dir}/mta.cfg
remove_dkim_headers: no
""" + "".join(f"[runner.{name}]\nstart: no\n" for name in
              ("archive", "command", "digest", "nntp", "rest", "retry", "task", "virgin"))


class Mailman:
    """Its own programs with a configuration in a directory of ours."""

    def __init__(self, directory, smtp):
        self.directory = directory
        self.lmtp, rest = free_ports(2)
        libraries = PEERS / "mailman3" / "usr" / "lib" / "mailman3" / "bin"
        directory.mkdir()
        (directory / "mailman.cfg").write_text(MAILMAN.format(dir=directory, bin=libraries, smtp=smtp, lmtp=self.lmtp,
                                                              rest=rest))
        (directory / "mta.cfg").write_text("[postfix]\npostmap_command: /bin/true\ntransport_file_type: hash\n")
        # Debian's packages beside each other: their .pth files make the shared name spaces.
        (directory / "sitecustomize.py").write_text(
            "import glob, site\n"
            f"for path in sorted(glob.glob({str(PEERS)!r} + '/*/usr/lib/python3/dist-packages')):\n"
            "    site.addsitedir(path)\n")
        self.programs = libraries
        self.environment = {**os.environ, "PYTHONPATH": str(directory)}

    def command(self, *arguments, **options):
        root = ["--run-as-root"] if os.geteuid() == 0 else []
        return subprocess.run(["/usr/bin/python3", self.programs / "mailman", *root, "-C",
                               self.directory / "mailman.cfg", *arguments], check=True, capture_output=True,
                              env=self.environment, cwd=self.directory, timeout=PATIENCE, **options)

    def __enter__(self):
        log = open(self.directory / "master.log", "wb")
        self.master = subprocess.Popen(["/usr/bin/python3", self.programs / "master", "-C",
                                        self.directory / "mailman.cfg"], env=self.environment, cwd=self.directory, stdout=log,
                                       stderr=log)
        until_or_end(self.master, self.listens, lambda: "LMTP\n" + self.text(), PATIENCE)
        return self

    def __exit__(self, *_):
        self.master.terminate()
        self.master.wait(PATIENCE)

    def listens(self):
        try:
            with socket.create_connection(("127.0.0.1", self.lmtp), 1) as s:
                return s.recv(3) == b"220"
        except OSError:
            return False

    def text(self):
        logs = [self.directory / "master.log", *(self.directory / "logs").glob("*.log")]
        return "".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in logs if log.exists())


def receiver(directory, name, trust):
    program = Chainmail(directory, RECEIVER, name=name, trust=trust)
    program.domain = name
    return program


def receivers(place):
    """One that trusts the list, one that trusts nobody; the facts of all three are written."""
    (place / "facts").write_text(FACTS + "".join(
        f"{name} {public(place / 'dkim.pem')}\n" for name in
        ("s._domainkey.strict.test.", "arc2026._domainkey.lists.test.")))
    far, wary = place / "far", place / "wary"
    for directory in far, wary:
        directory.mkdir()
        (directory / "facts").write_text((place / "facts").read_text())
    return receiver(far, "far.test", "arc { trust lists.test }"), receiver(wary, "wary.test", "")


@pytest.fixture
def world(tmp_path, place):
    programs = receivers(place)
    host = Chainmail(place, LIST_HOST, map=place / "mailman/data/postfix_lmtp", far=programs[0].port, wary=programs[1].port)
    manager = Mailman(place / "mailman", host.second)
    manager.command("create", "--owner", "owner@far.test", "--domain", "test@lists.test")
    manager.command("addmembers", "--no-welcome-msg", "-", "test@lists.test",
                    input=b"a@strict.test\nben@far.test\nben@wary.test\n")
    with programs[0] as trusting, programs[1] as strict, host, manager:
        host.trusting, host.strict, host.manager = trusting, strict, manager
        yield host


def signed(program, text):
    return dkim.sign(text, b"s", b"strict.test", (program.directory / "dkim.pem").read_bytes(),
                     include_headers=[b"From", b"To", b"Subject", b"Date"]) + text


def test_a_post_survives_the_journey_through_mailman(world):
    survives(world, "test-bounces", "[Test] hello")


def survives(world, bounces, subject):
    """A post of a strict author: through the list manager, to who trusts the list and to who trusts nobody."""
    text = signed(world, letter("hello", From="A <a@strict.test>", To="test@lists.test"))
    world.send("a@strict.test", ["test@lists.test"], text)
    event = until(lambda: world.events("received", listener="mailman", ticket="valid"),
                  lambda: world.text() + world.manager.text(), PATIENCE)[0]
    assert event["from"].startswith(bounces)
    assert world.events("delivered", to="test@lists.test") or world.wait("delivered", to="test@lists.test")

    # who trusts the list takes it, and says why
    took = world.trusting.wait("received", seconds=PATIENCE)
    assert took["dmarc"] == "fail" and took["arc"] == "pass" and took["override"] == "lists.test"
    world.trusting.wait("delivered", to="ben@far.test")
    [mail] = world.trusting.maildir("ben")
    mail = mail.replace(b"\n", b"\r\n")
    assert b"Ticket" not in mail
    message = email.message_from_bytes(mail)
    assert message["Subject"] == subject and message["From"] == "A <a@strict.test>"
    saw = re.sub(r"\s+", " ", message["ARC-Authentication-Results"])
    assert saw.startswith("i=1; mx.lists.test;") and "dmarc=pass header.from=strict.test" in saw
    assert "dkim=pass" in saw and "spf=pass smtp.mailfrom=strict.test" in saw
    results = re.sub(r"\s+", " ", message["Authentication-Results"])
    assert 'dmarc=fail reason="local_policy arc=pass as[1].d=lists.test' in results
    # the Maildir's trace stands above what was sealed; without it the chain is whole for others as well
    assert arc_of(world, mail[mail.index(b"ARC-Seal:"):])[0] == "pass"

    # who trusts nobody does as the author's domain asks, and says what trust would have changed
    refusal = world.strict.wait("rejected", seconds=PATIENCE)
    assert refusal["dsn"] == "5.7.26" and refusal["arc"] == "pass" and refusal["untrusted"] == "lists.test"
    assert not world.strict.maildir("ben")
    world.wait("bounced", to="ben@wary.test")


def test_new_lists_work_at_once_and_sub_addresses_are_known(world):
    assert answer(world, "a@strict.test", "test-nonsense@lists.test").startswith("550 5.1.1")
    assert answer(world, "a@strict.test", "second@lists.test").startswith("550 5.1.1")
    assert answer(world, "a@strict.test", "test-confirm+0123abcd@lists.test").startswith("250")
    world.manager.command("create", "--owner", "owner@far.test", "second@lists.test")
    world.wait("reloaded", seconds=PATIENCE)
    until(lambda: answer(world, "a@strict.test", "second@lists.test").startswith("250"), "the new list", PATIENCE)
