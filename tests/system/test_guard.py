# SPDX-License-Identifier: ISC
"""What a stranger must not get: relaying, and more than his share of anything."""
import contextlib
import os
import signal
import ssl
import threading
import time

import pytest

from chainmail import Chainmail, Wire, letter, until

SITE = """
hostname mx.local.test
state {dir}/state
log json debug
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; allow relay from 127.0.0.2; limit messages 1000/min per client }
listen few { on 127.0.0.1:{second}; limit connections 2; limit messages 2/min per client; limit size 10kB }
domain local.test { deliver to maildir {dir}/mail/%u; users ann, ben, "odd%far.test", postmaster; alias out -> x@far.test }
limits { recipients 5; size 200kB; line 2kB; received 10; errors 8; commands 12 }
delivery { hold on }
"""


def guard(place, site=SITE):
    (place / "facts").write_text("local.test. MX 10 mx.local.test.\n")
    return Chainmail(place, site)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    with guard(tmp_path_factory.mktemp("guard")) as it:
        yield it


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """For tests of slowness only: no other test should have to be quick."""
    with guard(tmp_path_factory.mktemp("impatient"), SITE.replace("commands 12", "commands 12; idle 3s")) as it:
        yield it


@pytest.fixture
def wire(program):
    with Wire(program.port) as it:
        assert it.reply().startswith("220")
        assert it.ask("EHLO client.far.test").startswith("250")
        yield it


# --- relaying ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [
    "<x@far.test>", "<x%far.test@mx.other.test>", "<@local.test:x@far.test>", '<"x@far.test">', "<x@[127.0.0.1]>",
    "<x@[192.0.2.1]>", "<x@[IPv6:::1]>", "<x@local.test.far.test>", "<x@sub.local.test>", "<x@far.test@local.test>",
    "<x@local.test@far.test>", "<far.test!x@far.test>", "<x>", "<x@>", "<@far.test>", "x@far.test", "<x@mx.local.test>",
    "<x@local.test.>", "<x@xn--n3h.test>", "<x@localhost>", "<nobody@local.test>", "<x%far.test@local.test>",
    "<far.test!x@local.test>", '<"x@far.test"@local.test>', "<@a.test,@b.test:x@far.test>", "< x@far.test>", "<x@far.test >",
])
@pytest.mark.parametrize("sender", ["<a@far.test>", "<>", "<ann@local.test>", "<postmaster@mx.local.test>"])
def test_nobody_relays(program, path, sender):
    with Wire(program.port) as wire:
        wire.reply()
        wire.ask("EHLO client.far.test")
        assert wire.ask(f"MAIL FROM:{sender}").startswith("250")
        assert wire.ask(f"RCPT TO:{path}")[:1] == "5"
        assert wire.ask("DATA")[:3] in ("503", "554")


def test_whoever_may_relay_may(program):
    with Wire(program.port, source="127.0.0.2") as wire:
        wire.reply()
        wire.ask("EHLO client.far.test")
        wire.ask("MAIL FROM:<a@far.test>")
        assert wire.ask("RCPT TO:<x@far.test>").startswith("250")
        assert wire.ask("RCPT TO:<nobody@local.test>").startswith("550")
    with Wire(program.second, source="127.0.0.2") as wire:      # but not through another door
        wire.reply()
        wire.ask("EHLO client.far.test")
        wire.ask("MAIL FROM:<a@far.test>")
        assert wire.ask("RCPT TO:<x@far.test>").startswith("550 5.7.1")


# --- limits ----------------------------------------------------------------------------------


def begin(wire, recipient="ann@local.test"):
    assert wire.ask("MAIL FROM:<a@far.test>").startswith("250")
    assert wire.ask(f"RCPT TO:<{recipient}>").startswith("250")


def listeners(program):
    """Processes that listen."""
    return sum(name == "smtpd" for _, name in program.children())


def test_recipients(wire):
    assert wire.ask("MAIL FROM:<a@far.test>").startswith("250")
    for local in "ann", "ben", "postmaster", "out":
        assert wire.ask(f"RCPT TO:<{local}@local.test>").startswith("250")
    assert wire.ask("RCPT TO:<postmaster>").startswith("250")
    for _ in range(3):
        assert wire.ask("RCPT TO:<odd%far.test@local.test>").startswith("452 4.5.3")
    assert wire.ask("DATA").startswith("354")           # those who were accepted get it
    assert wire.ask(letter() + b".\r\n").startswith("250")


def test_size_is_said_and_meant(program, wire):
    assert wire.ask("MAIL FROM:<a@far.test> SIZE=204801").startswith("552 5.3.4")
    begin(wire)
    assert wire.ask("DATA").startswith("354")
    wire.put(letter(body=("x" * 70 + "\n") * 3000) + b".\r\n")
    assert wire.reply().startswith("552 5.3.4")
    begin(wire)                                         # and the session goes on
    assert wire.ask("BDAT 300000 LAST\r\n".encode() + b"x" * 300000).startswith("552 5.3.4")
    begin(wire)
    assert wire.ask("DATA").startswith("354")
    assert wire.ask(letter() + b".\r\n").startswith("250")
    with Wire(program.second) as other:                 # each door by its own measure
        other.reply()
        assert "SIZE 10240" in other.ask("EHLO client.far.test")
        assert other.ask("MAIL FROM:<a@far.test> SIZE=10241").startswith("552")


def test_lines(wire):
    assert wire.ask("NOOP " + "x" * 20000).startswith("500 5.5.2")
    assert wire.ask("NOOP").startswith("250")
    begin(wire)
    assert wire.ask("DATA").startswith("354")
    assert wire.ask(letter(body="x" * 3000 + "\n") + b".\r\n")[:4] in ("550 ", "554 ", "500 ")
    begin(wire)
    assert wire.ask("DATA").startswith("354")
    assert wire.ask(letter(body="x" * 1500 + "\n") + b".\r\n").startswith("250")


def test_a_header_without_an_end(wire):
    begin(wire)
    assert wire.ask("DATA").startswith("354")
    wire.put("".join(f"X-{i}: y\r\n" for i in range(15000)) + ".\r\n")
    assert wire.reply()[:1] == "5"
    assert wire.ask("NOOP").startswith("250")


def test_a_circle_is_noticed(wire):
    trace = b"Received: from a.test by b.test; Mon, 1 Jun 2026 12:00:00 +0000\r\n"
    begin(wire)
    assert wire.ask("DATA").startswith("354")
    assert wire.ask(trace * 9 + letter() + b".\r\n").startswith("250")
    begin(wire)
    assert wire.ask("DATA").startswith("354")
    assert wire.ask(trace * 12 + letter() + b".\r\n").startswith("554 5.4.6")


def test_errors_end_the_session(program):
    with Wire(program.port) as wire:
        wire.reply()
        codes = []
        while codes[-1:] not in (["421"], [""]) and len(codes) < 20:
            codes.append(wire.ask("XYZZY")[:3] if wire.input == b"" else wire.reply()[:3])
        assert codes[:8] == ["500"] * 8 and len(codes) <= 10, codes
        assert not wire.more()


def test_commands_without_aim_end_the_session(program):
    with Wire(program.port) as wire:
        wire.reply()
        wire.ask("EHLO client.far.test")
        replies = []
        for _ in range(20):
            replies.append(wire.ask("NOOP")[:3])
            if replies[-1] in ("421", ""):
                break
        assert 10 <= replies.count("250") <= 13 and replies[-1] == "421", replies


def test_connections_at_once(program):
    """Two, however many processes listen."""
    wires = [Wire(program.second) for _ in range(2 * listeners(program) + 4)]
    replies = [wire.reply() for wire in wires]
    assert all(r.startswith(("220 ", "421 4.7.0")) for r in replies), replies
    assert sum(r.startswith("220") for r in replies) == 2, replies
    for wire in wires:
        wire.socket.close()

    def again():
        with Wire(program.second) as wire:
            return wire.reply().startswith("220")
    until(again, "room for one more")


def test_connections_of_a_process_that_died_do_not_count(tmp_path):
    (tmp_path / "facts").write_text("local.test. MX 10 mx.local.test.\n")
    with Chainmail(tmp_path, SITE, expect={"child-died"}) as program:
        wires = [Wire(program.second) for _ in range(2)]
        assert all(wire.reply().startswith("220") for wire in wires)
        for pid, name in program.children():
            if name == "smtpd":
                os.kill(pid, signal.SIGKILL)

        def both():
            with Wire(program.second) as one, Wire(program.second) as two:
                return one.reply().startswith("220") and two.reply().startswith("220")
        until(both, "room for two")
        for wire in wires:
            wire.socket.close()


def a_place(program, source):
    """Those who have hung up are counted until that is noticed."""
    def come():
        wire = Wire(program.second, source=source)
        if wire.reply().startswith("220"):
            return wire
        wire.socket.close()
    return until(come, "a place")


def test_messages_in_a_minute(program):
    replies, most = [], 2 * listeners(program)
    for i in range(most + 4):
        with a_place(program, "127.0.0.9") as wire:
            wire.begin(welcome=False)
            replies.append(wire.ask(letter(f"rate {i}") + b".\r\n")[:9])
    assert replies[:2] == ["250 2.0.0"] * 2 and replies.count("250 2.0.0") <= most
    assert set(replies) == {"250 2.0.0", "451 4.7.0"}


# --- slowness ------------------------------------------------------------------------------------


def interrupted(wire, pieces, pause):
    """Pieces one after the other; the server speaks, or hangs up, before the last of them."""
    for piece in pieces:
        try:
            wire.put(piece)
        except OSError:
            return True
        if not wire.silent(pause):
            return True
    return False


def last(program, event, **keys):
    """The place in the log of the newest such event."""
    return program.all.index(program.events(event, **keys)[-1])


def test_silence_ends_the_session(impatient):
    with Wire(impatient.port) as wire:
        wire.reply()
        port = wire.socket.getsockname()[1]
        assert wire.reply().startswith("421 4.4.2") and not wire.more()
    impatient.wait("connected", port=port)
    impatient.wait("disconnected", reason="timeout")
    assert last(impatient, "connected", port=port) < last(impatient, "disconnected", reason="timeout")


def test_a_dripping_command_ends_the_session(impatient):
    with Wire(impatient.port) as wire:
        wire.reply()
        assert interrupted(wire, [b"E"] * 600, 0.1)
        assert wire.reply().startswith("421 4.4.2") and not wire.more()


def test_a_dripping_text_ends_the_session(impatient):
    """A text must move: a byte now and then is not moving."""
    with Wire(impatient.port) as wire:
        wire.begin()
        assert interrupted(wire, [b"x"] * 600, 0.1)
        assert wire.reply().startswith("421 4.4.2") and not wire.more()


def moves_slowly(program):
    """A text of four seconds and more, with 8 kB in each: the reply, and the longest pause."""
    pauses = []
    with Wire(program.port) as wire:
        wire.begin()
        wire.put(letter().split(b"\r\n\r\n")[0] + b"\r\n\r\n")
        for _ in range(11):
            began = time.monotonic()
            wire.put((b"x" * 78 + b"\r\n") * 50)
            wire.silent(0.4)
            pauses.append(time.monotonic() - began)
        return wire.ask(b".\r\n"), max(pauses)


def test_a_slow_text_that_moves_is_taken(impatient):
    """Where this machine made the pauses, not we, it is sent once more."""
    reply = ""
    for _ in range(5):
        with contextlib.suppress(AssertionError, OSError):
            reply, pause = moves_slowly(impatient)
            if reply.startswith("250") or pause < 1:
                break
    assert reply.startswith("250"), reply


def test_strangers_who_wait_do_not_keep_others_out(program):
    """Two hundred connections that say nothing, and a message in between."""
    idle = [Wire(program.port) for _ in range(200)]
    assert all(wire.reply().startswith("220") for wire in idle)
    before = len(program.events("received"))
    program.send("a@far.test", ["ann@local.test"], letter("between"))
    program.wait("received", before + 1)
    stranger = last(program, "connected", port=idle[-1].socket.getsockname()[1])
    assert stranger < last(program, "received")
    for wire in idle:
        wire.socket.close()


def test_all_at_once(program):
    """Forty clients who say different nonsense at the same time; afterwards all is well."""
    junk = [b"\0" * 5000, b"\xff\xfe" * 3000, b"\r" * 4000, b"\n" * 4000, b"EHLO " + b"\xc3\x28" * 500 + b"\r\n",
            b"BDAT 99999999999999999999\r\n", b"BDAT -1\r\n", b"STARTTLS\r\n" * 50, b"\x16\x03\x01\x02\x00" * 200,
            b"MAIL FROM:<" + b"a" * 2000 + b"@b.test>\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]

    def talk(i):
        try:
            with Wire(program.port) as wire:
                wire.put(junk[i % len(junk)])
                while wire.more(5):
                    pass
        except OSError:
            pass
    threads = [threading.Thread(target=talk, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    program.send("a@far.test", ["ann@local.test"], letter("after"))


# --- the process --------------------------------------------------------------------------


def encrypted(wire):
    """TLS on the wire, and where its records gather until they are put there."""
    wire.ask("STARTTLS")
    theirs, ours = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl._create_unverified_context().wrap_bio(theirs, ours)
    while True:
        try:
            tls.do_handshake()
            return tls, ours
        except ssl.SSLWantReadError:
            wire.put(ours.read()).more()
            theirs.write(wire.input)
            wire.input = b""


def test_what_comes_behind_a_goodbye_is_heard_by_nobody(place):
    secure = SITE.replace("allow relay", "tls cert {dir}/cert.pem key {dir}/key.pem; allow relay")
    with Chainmail(place, secure) as program:             # which tells at its end that a child has died
        with Wire(program.port) as wire:
            wire.reply()
            tls, records = encrypted(wire)
            for line in b"EHLO client.far.test\r\n", b"QUIT\r\n", b"NOOP\r\n":
                tls.write(line)
            wire.put(records.read())
            while wire.more():
                pass
