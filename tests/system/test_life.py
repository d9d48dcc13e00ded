# SPDX-License-Identifier: ISC
"""Reading the configuration again, stopping, and the order in which things reach the disk."""
import contextlib
import errno
import os
import re
import signal
import smtplib
import socket
import subprocess
import threading
import time

import pytest

from chainmail import DEADLINE, EX_CONFIG, EX_OSERR, EX_SOFTWARE, EX_TEMPFAIL, PLAIN, Chainmail, Sink, Wire, have, letter, until
from ports import free_ports

SITE = """
hostname mx.local.test
state {dir}/state
log json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; allow relay from 127.0.0.1 }
domain local.test { deliver to maildir {dir}/mail/%u }
delivery { via 127.0.0.1:{via}; retry after 1s }
"""


def test_reading_it_again_under_load_costs_nothing(place):
    """Fifty sessions of some messages each, while five configurations follow each other."""
    flaws, refused, messages = [], [], 6

    def session(number):
        try:
            with program.client() as client:
                for i in range(messages):
                    client.sendmail("a@far.test", ["ann@local.test", "b@far.test"], letter(f"{number}-{i}"))
                    time.sleep(0.3)
        except (smtplib.SMTPException, OSError) as flaw:
            flaws.append((number, flaw))

    with Sink() as far, Chainmail(place, SITE, via=far.port) as program:
        sessions = [threading.Thread(target=session, args=(n,)) for n in range(50)]
        for i, thread in enumerate(sessions):
            thread.start()
            if i % 10 == 5:
                program.configure(SITE + f"domain new{i}.test {{ deliver to discard }}\n")
                program.reload()
        for thread in sessions:
            thread.join()
        assert flaws == [] and refused == []
        wanted = sorted(f"{n}-{i}" for n in range(50) for i in range(messages))
        far.wait(len(wanted), program=program)
        program.wait_empty()
        assert far.subjects() == wanted                 # each once
        assert len(program.maildir("ann")) == len(wanted)
        # the last configuration is in force, the others are not
        with Wire(program.port, source="127.0.0.3") as wire:
            wire.reply()
            wire.ask("EHLO x.far.test")
            wire.ask("MAIL FROM:<a@far.test>")
            assert wire.ask("RCPT TO:<x@new45.test>").startswith("250")
            assert wire.ask("RCPT TO:<x@new35.test>").startswith("550")


def test_many_signals_before_anybody_is_ready(place):
    """Each brings processes of its own, and there is room for some only."""
    with Chainmail(place, SITE, program=PLAIN, via=1) as program:
        for _ in range(40):
            program.process.send_signal(signal.SIGHUP)
            time.sleep(0.01)
        program.wait("reloaded")
        until(lambda: len(program.children()) <= 6, lambda: f"the end of the old ones: {program.children()}")
        program.send("a@far.test", ["ann@local.test"], letter())
        program.wait("delivered")


def test_doors_come_and_go(place):
    with Chainmail(place, SITE, via=1) as program:
        with Wire(program.port) as old:
            assert old.reply().startswith("220")
            program.configure(SITE.replace("127.0.0.1:{port};", "127.0.0.1:{second};"))
            program.reload()
            with Wire(program.second) as wire:
                assert wire.reply().startswith("220")

            def closed():
                try:
                    Wire(program.port).socket.close()
                    return False
                except ConnectionRefusedError:
                    return True
            until(closed, "the end of the old door")
            assert old.ask("EHLO x.far.test").startswith("250")     # who was inside may stay
            assert old.ask("QUIT").startswith("221")


def test_a_domain_that_comes_has_its_directory(place):
    with Chainmail(place, SITE, via=1) as program:
        program.configure(SITE + "domain new.test { deliver to maildir {dir}/new/below/%u }\n")
        program.reload()
        program.send("a@far.test", ["x@new.test"], letter())
        program.wait("delivered", to="x@new.test")
        assert len(list((place / "new/below/x/new").iterdir())) == 1


@pytest.mark.parametrize("text, line, why, hint", ids=("typo", "key", "hostname", "state", "port"), argvalues=[
    (SITE + "delivery { expires after 5d }\n", 9, '"expires" is not a statement', 'did you mean "expire"?'),
    (SITE + "key k { domain local.test; file {dir}/gone }\n", 9, "cannot open", None),
    (SITE.replace("hostname mx.local.test", "hostname other.local.test"), None, "only with a restart", None),
    (SITE.replace("{dir}/state", "{dir}/elsewhere"), None, "only with a restart", None),
    (SITE.replace("127.0.0.1:{port};", "127.0.0.1:{port}, 127.0.0.1:{second}, 127.0.0.1:{busy};"), None,
     "Address already in use", None),
])
def test_a_bad_configuration_changes_nothing(place, text, line, why, hint):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        with Chainmail(place, SITE, via=1, busy=busy.getsockname()[1], expect={"config-error"}) as program:
            before = program.children()
            program.configure(text)
            program.reload("config-error")
            [event] = program.events("config-error")
            assert why in event["why"] and event.get("hint") == hint and event.get("line") == line
            assert program.children() == before
            with socket.socket() as stranger:       # no door stands there behind which nobody is
                assert stranger.connect_ex(("127.0.0.1", program.second)) == errno.ECONNREFUSED
            program.send("a@far.test", ["ann@local.test"], letter())
            program.wait("delivered")
            program.configure(SITE)             # and it can be mended
            program.reload()


@contextlib.contextmanager
def attempt_in_its_text(place):
    """A program, its next hop, and the gate in front of which an attempt waits with its text."""
    gate = threading.Event()

    def slow(verb, argument):
        if verb == "TEXT":
            gate.wait()
        return None
    with Sink(reply=slow) as far, Chainmail(place, SITE, via=far.port) as program:
        program.send("a@far.test", ["b@far.test"], letter("on its way"))
        until(lambda: "DATA" in far.lines, "the attempt")
        yield program, far, gate


def test_sigterm_lets_everybody_finish(place):
    with attempt_in_its_text(place) as (program, far, gate):
        with Wire(program.port) as idle, Wire(program.port) as busy:
            assert idle.reply().startswith("220")
            busy.begin("a@far.test", "ann@local.test")
            busy.put(b"Subject: half\r\n")
            program.process.send_signal(signal.SIGTERM)
            assert idle.reply().startswith("421 ")
            program.process.send_signal(signal.SIGHUP)      # and is not begun anew
            busy.put(b"From: a@far.test\r\n\r\nwhole\r\n.\r\n")
            assert busy.reply().startswith("250 ")
            assert busy.reply().startswith("421 ") and not busy.more()
        gate.set()
        assert program.process.wait(DEADLINE) == 0
        program.start()
        program.wait("delivered", to="ann@local.test")
        program.wait_empty()
        assert len(far.taken) == 1 and len(program.maildir("ann")) == 1


def test_sigterm_goes_through_while_an_old_configuration_still_serves(place):
    with Chainmail(place, SITE, via=1) as program:
        with Wire(program.port) as old:
            assert old.reply().startswith("220")
            program.reload()
            until(lambda: len(program.children()) > 4, "both generations")
            program.process.send_signal(signal.SIGTERM)
            assert old.reply().startswith("421 ")
            assert program.process.wait(DEADLINE) == 0


def test_whoever_dies_while_all_are_ending_is_named(place):
    """What the deliverer still had to tell is lost with the queue: such an end was not in order."""
    gate = threading.Event()

    def slow(verb, argument):
        if verb == "TEXT":
            gate.wait()
        return None
    with Sink(reply=slow) as far, Chainmail(place, SITE, via=far.port, expect={"child-died"}) as program:
        program.send("a@far.test", ["b@far.test"], letter("on its way"))
        until(lambda: "DATA" in far.lines, "the attempt")
        queue = program.pid("queue")
        program.process.send_signal(signal.SIGTERM)
        until(lambda: program.events("stopping"), "the end to begin")
        os.kill(queue, signal.SIGKILL)
        gate.set()
        assert program.process.wait(DEADLINE) == EX_SOFTWARE
        assert [(e["role"], e["pid"], e["signal"]) for e in program.events("child-died")] == [("queue", queue, 9)]


def test_a_policy_is_forgotten_while_all_are_ending(place):
    """Nobody takes orders then, and somebody may still ask the queue for something."""
    with attempt_in_its_text(place) as (program, far, gate):
        program.process.send_signal(signal.SIGTERM)
        until(lambda: [name for _, name in program.children()] == ["queue", "delivery"], "the last two")
        for verb, code in (("forget", 1), ("refresh", EX_TEMPFAIL)):
            done = subprocess.run([program.program, "sts", verb, "-c", program.file, "far.test"], text=True,
                                  capture_output=True, timeout=60)
            assert done.returncode == code, (verb, done)
        gate.set()
        assert program.process.wait(DEADLINE) == 0
        program.start()
        program.wait_empty()
        assert len(far.taken) == 1


def test_sigint_ends_it_at_once(place):
    """The attempt, which SIGTERM would wait for, is made again."""
    with attempt_in_its_text(place) as (program, far, gate):
        assert program.stop(signal.SIGINT) == 0
        gate.set()
        program.start()
        program.wait_empty()
        assert 1 <= len(far.taken) <= 2


# --- starting ---------------------------------------------------------------------------


def refused(place, text, code, program=None, **names):
    it = Chainmail(place, text, **names)
    it.launch()
    assert it.process.wait(DEADLINE) == code, it.text()
    return it.log.read_text()


def test_a_typo_ends_it_with_its_place(place):
    said = refused(place, SITE + "delivery {\n    expires after 5d\n}\n", EX_CONFIG, via=1)
    assert said == (f'{place}/chainmail.conf:10:5: error: "expires" is not a statement in a delivery block\n'
                    "   10 |     expires after 5d\n"
                    '      |     ^^^^^^^ did you mean "expire"?\n'
                    "1 error\n")


def test_a_key_that_cannot_be_read_ends_it(place):
    said = refused(place, SITE + "key k { domain local.test; file {dir}/gone.pem }\n", EX_CONFIG, via=1)
    assert re.search(r"chainmail\.conf:9:33: error: cannot open .*/gone\.pem: No such file", said)


def test_a_busy_port_ends_it_with_one_line(place):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        said = refused(place, SITE.replace("{port}", str(port)), EX_OSERR, via=1)
        assert said.splitlines()[-1] == f"chainmail: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_one_state_directory_one_program(place):
    with Chainmail(place, SITE, via=1) as program:
        other = place / "other"
        other.mkdir()
        (other / "facts").write_text("")
        said = refused(other, SITE.replace("{dir}/state", str(place / "state")), EX_OSERR, via=1)
        assert said.splitlines()[-1] == f"chainmail: another chainmail runs with the state directory {place}/state"
        program.send("a@far.test", ["ann@local.test"], letter())
        program.wait("delivered")


def test_a_state_directory_that_cannot_be_made_ends_it(place):
    (place / "file").write_text("")
    said = refused(place, SITE.replace("{dir}/state", "{dir}/file/state"), EX_CONFIG, via=1)
    assert ":3:7: error:" in said


# --- what reaches the disk before the 250 --------------------------------------------------


@pytest.mark.skipif(not have("strace"), reason="strace is not installed")
@pytest.mark.parametrize("size", [100, 1 << 20])
def test_the_flush_returns_before_the_250_is_written(place, size):
    """The spool.h promise, seen from outside: text read, written down, flushed, and only then 250."""
    trace = place / "trace"
    calls = "fsync,fdatasync,pwrite64,pwritev,write,writev,sendto,sendmsg,read,recvfrom,recvmsg,readv"
    prefix = ["strace", "-f", "-y", "-s", "120", "-o", trace, "-e", f"trace={calls}"]
    with Chainmail(place, SITE + "delivery { hold on }\n", program=PLAIN, prefix=prefix, via=1) as program:
        queue = program.pid("queue")
        threads = set(os.listdir(f"/proc/{queue}/task"))
        program.send("a@far.test", ["ann@local.test"], letter("flush", body=("x" * 70 + "\n") * (size // 71) + "THE-END\n"))
        os.kill(program.master(), signal.SIGTERM)
        assert program.process.wait(DEADLINE) == 0      # strace ends with who it looked at
    lines = trace.read_text("utf-8", "replace").splitlines()
    told = next(i for i, l in enumerate(lines) if "250 2.0.0 Ok: queued" in l)
    data = next(i for i, l in enumerate(lines) if '"354 ' in l)
    flushes = []                                # (begun, returned, file)
    begun = {}
    for i, l in enumerate(lines[:told]):
        thread = l.split()[0]
        if re.search(r"f(data)?sync\(", l):
            begun[thread] = (i, re.search(r"sync\(\d+<(.*?)>", l)[1])
        if thread in begun and thread in threads and re.search(r"sync.*= 0$", l):
            flushes.append((begun[thread][0], i, begun[thread][1]))
    flushes = [f for f in flushes if f[0] > data]
    segment = [f for f in flushes if re.search(r"/queue/seg/\d+$", f[2])]      # not the spare ones
    written = [i for i, l in enumerate(lines[:told])
               if i > data and re.search(r"pwritev?(64)?\(\d+<.*/queue/seg/\d+>", l)]
    assert segment and written and written[-1] < segment[-1][0] <= segment[-1][1] < told
    if size > 1 << 19:                          # the content is on the disk before the record that names it
        content = [f for f in flushes if "/queue/content/" in f[2]]
        assert content and content[0][1] < segment[-1][1]
