# SPDX-License-Identifier: ISC
"""`chainmail queue`: the same words and the same answers whether the program runs or not."""
import contextlib
import json
import os
import re
import subprocess

import pytest

from chainmail import EX_CONFIG, EX_NOINPUT, EX_UNAVAILABLE, EX_USAGE, PLAIN, Chainmail, Sink, letter, until

SITE = """
hostname mx.local.test
state {dir}/state
log json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; allow relay from 127.0.0.1 }
domain local.test { deliver to maildir {dir}/mail/%u; users ann, postmaster }
delivery { via 127.0.0.1:{via}; retry after 1h }
"""


@pytest.fixture(params=["up", "down"])
def waiting(request, place):
    """Three messages, one deferred for an hour, two held by hand; the program runs or does not."""
    with Sink(reply=lambda v, a: "451 4.2.1 not today" if v == "RCPT" and "<later@" in a else None) as far:
        with Chainmail(place, SITE, program=PLAIN, via=far.port) as program:
            program.far, program.up = far, request.param == "up"
            program.send("a@far.test", ["later@far.test"], letter("deferred"))
            program.wait("deferred")
            program.configure(SITE + "delivery { hold on }\n")
            program.reload()
            program.send("b@other.test", ["ben@far.test", "ann@local.test"], letter("two", body="zwei\n" * 10))
            program.send("", ["ben@far.test"], letter("null"))
            ids = [row["queue_id"] for row in program.queue()]
            assert len(ids) == 3
            assert program.command("queue", "hold", *ids[1:]).returncode == 0
            program.configure(SITE)
            if program.up:
                program.reload()
                until(lambda: program.queue(), "the new queue")
            else:
                program.stop()
            program.ids = ids
            yield program


def rows(program, *words):
    got = program.command("queue", *words, "--json")
    assert (got.returncode, got.stderr) == (0, ""), got.stderr
    return [json.loads(line) for line in got.stdout.splitlines()]


def begin(program):
    if not program.up:
        program.start()


def test_list(waiting):
    listed = rows(waiting, "list")
    assert [(r["queue_id"], r["queue_name"], r["sender"]) for r in listed] == [
        (waiting.ids[0], "deferred", "a@far.test"), (waiting.ids[1], "hold", "b@other.test"),
        (waiting.ids[2], "hold", "")]
    first = listed[0]
    assert first["message_size"] > 0 and first["arrival_time"] > 1700000000
    [recipient] = first["recipients"]
    assert recipient["address"] == "later@far.test" and "451" in recipient["delay_reason"]
    assert recipient["attempts"] == 1 and recipient["next_attempt"] > first["arrival_time"] + 3000
    assert [r["address"] for r in listed[1]["recipients"]] == ["ben@far.test", "ann@local.test"]
    assert [r["queue_id"] for r in rows(waiting, "list", "--from", "b@other.test")] == [waiting.ids[1]]
    assert [r["queue_id"] for r in rows(waiting, "list", "--to", "far.test")] == waiting.ids
    assert [r["queue_id"] for r in rows(waiting, "list", "--to", "ann@local.test")] == [waiting.ids[1]]
    assert rows(waiting, "list", "--from", "nobody.test") == []
    assert [r["queue_id"] for r in rows(waiting, "list", "--from", "<>")] == [waiting.ids[2]]
    text = waiting.command("queue", "list").stdout
    lines = text.splitlines()
    assert re.match(r"ID +AGE +SIZE +FROM +TO +STATE$", lines[0])
    assert any(line.startswith(waiting.ids[2]) and " <> " in line for line in lines)
    assert re.search("try 2 in (5[0-9]m|1h)", text)
    assert re.search(r"└ .*451 .*not today", text)
    assert re.match(r"3 messages, .*, oldest ", lines[-1])


def test_show(waiting):
    got = waiting.command("queue", "show", waiting.ids[1])
    assert got.returncode == 0 and "b@other.test" in got.stdout and "ann@local.test" in got.stdout
    assert "Subject: two" in got.stdout and "zwei" not in got.stdout
    assert "zwei" in waiting.command("queue", "show", waiting.ids[1], "--text").stdout
    assert [r["queue_id"] for r in rows(waiting, "show", waiting.ids[1])] == [waiting.ids[1]]
    got = waiting.command("queue", "show", "zzzzzzzzzzzz")
    assert got.returncode != 0 and got.stdout == ""
    unknown = "0000000000G1"
    got = waiting.command("queue", "show", unknown)
    assert got.returncode == 1 and unknown in got.stderr


EVIL = "\x1b]0;owned\x07 \u202eback \u2066turned \u009b31m \u00e4"


def on_a_terminal(program, *words):
    """What a command writes to a terminal."""
    outer, inner = os.openpty()
    done = subprocess.run([PLAIN, *words, "-c", program.file], stdout=inner, stderr=inner, check=False, timeout=60)
    os.close(inner)
    said = b""
    with contextlib.suppress(OSError):                  # EIO: everything has been read
        while piece := os.read(outer, 4096):
            said += piece
    os.close(outer)
    assert done.returncode == 0, said
    return said


def test_a_stranger_does_nothing_to_a_terminal(place):
    with Chainmail(place, SITE + "delivery { hold on }\n", program=PLAIN, via=1) as program:
        with program.client() as client:
            client.sendmail("a@far.test", ["ben@far.test"], letter(EVIL, body=f"\tbody {EVIL}\n"))
        [row] = program.queue()
        listed = on_a_terminal(program, "queue", "list")
        said = on_a_terminal(program, "queue", "show", row["queue_id"], "--text")
        assert b"ben@far.test" in listed
        for bad in ("\x1b", "\x07", "\u202e", "\u2066", "\u009b"):
            assert bad.encode() not in said + listed, said
        assert "\r\n\tbody \\x1B]0;owned\\x07 \\xE2\\x80\\xAEback ".encode() in said and "31m \u00e4\r\n".encode() in said
        # a file gets it as it was received
        got = subprocess.run([PLAIN, "queue", "show", row["queue_id"], "--text", "-c", program.file],
                             capture_output=True, check=True, timeout=60)
        assert f"\tbody {EVIL}\r\n".encode() in got.stdout
        got = program.command("queue", "show", "\x1b[2J\u009b")
        assert got.returncode == EX_USAGE and "\\x1B[2J" in got.stderr and "\x1b" not in got.stderr


def test_retry_tries_at_once(waiting):
    waiting.far.reply = None
    assert waiting.command("queue", "retry", waiting.ids[0]).returncode == 0
    begin(waiting)
    assert waiting.far.wait(1).subject == "deferred"
    until(lambda: [r["queue_id"] for r in waiting.queue()] == waiting.ids[1:], "the others wait on")


def test_hold_keeps_and_release_lets_go(waiting):
    assert waiting.command("queue", "hold", "all").stdout == "hold: 3 messages\n"
    waiting.far.reply = None
    waiting.command("queue", "retry", waiting.ids[0])
    assert waiting.command("queue", "release", waiting.ids[2]).returncode == 0
    begin(waiting)
    assert waiting.far.wait(1).subject == "null"
    assert {r["queue_id"] for r in waiting.queue() if r["queue_name"] == "hold"} >= {waiting.ids[1]}
    assert waiting.command("queue", "release", "--from", "b@other.test").returncode == 0
    waiting.wait("delivered", to="ann@local.test")
    waiting.wait("delivered", to="ben@far.test", count=2)


def test_rules_hold_what_comes(place):
    """Others of the same message go; `why` names the rule; release lets go, and the rule does not hold it again."""
    with Sink(reply=lambda v, a: "451 4.2.1 not now" if v == "RCPT" and "<slow@" in a else None) as far:
        rules = SITE + "delivery { hold to far.test, postmaster@local.test; hold from .spam.test }\n"
        with Chainmail(place, rules, program=PLAIN, via=far.port) as program:
            program.send("a@own.test", ["slow@far.test", "ben@far.test", "ann@local.test"], letter("part"))
            program.send("x@a.spam.test", ["ann@local.test"], letter("spam"))
            program.wait("delivered", to="ann@local.test")
            listed = {r["sender"]: r for r in program.queue()}
            part, spam = listed["a@own.test"]["queue_id"], listed["x@a.spam.test"]["queue_id"]
            assert {r["queue_name"] for r in listed.values()} == {"hold"} and far.taken == []
            told = program.command("why", part).stdout
            assert 'held for <ben@far.test>: the configuration says "hold to far.test"' in told
            assert f"chainmail queue release {part}" in told
            assert 'says "hold from .spam.test"' in program.command("why", spam).stdout
            assert program.command("queue", "release", part).returncode == 0
            assert "ben@far.test" in str(far.wait(1).recipients) and len(far.taken[0].recipients) == 1
            program.wait("deferred", to="slow@far.test")
            program.reload()
            assert program.command("queue", "list", part, "--json").returncode == 0
            assert {r["queue_id"]: r["queue_name"] for r in program.queue()} == {part: "deferred", spam: "hold"}


def test_drop(waiting):
    assert waiting.command("queue", "drop", waiting.ids[0], waiting.ids[2]).stdout == "drop: 2 messages\n"
    assert [r["queue_id"] for r in waiting.queue()] == [waiting.ids[1]]
    assert waiting.command("queue", "drop", "all").returncode == 0
    assert waiting.command("queue", "list").stdout == "the queue is empty\n"
    if not waiting.up:
        waiting.start()
    waiting.send("a@far.test", ["ann@local.test"], letter("after"))
    waiting.wait("delivered", to="ann@local.test")
    assert waiting.far.taken == []                      # nobody was told, nothing was sent


def test_all_of_many(waiting):
    """More than are changed in one turn of the loop: each once, and what stands where it stood."""
    many = 700
    if waiting.up:
        with waiting.client() as client:
            for i in range(many):
                assert client.sendmail("a@far.test", ["later@far.test"], f"Subject: {i}\r\n\r\n") == {}
    count = 3 + many * waiting.up
    assert waiting.command("queue", "hold", "all").stdout == f"hold: {count} messages\n"
    until(lambda: [r["queue_name"] for r in waiting.queue()] == ["hold"] * count, "those under way are held behind it")
    assert waiting.command("queue", "show", "all").returncode == 0
    dropped = waiting.command("queue", "drop", "--to", "later@far.test").stdout
    assert dropped.startswith(f"drop: {count - 2} message")
    assert [r["queue_id"] for r in waiting.queue()] == waiting.ids[1:]


def test_as_many_ids_as_a_line_has(waiting):
    got = waiting.command("queue", "hold", *["100000000000"] * 9000, waiting.ids[0])
    assert got.returncode == 1 and "there is no message 100000000000" in got.stderr
    assert [r["queue_name"] for r in waiting.queue()] == ["hold"] * 3


def test_wrong_words(waiting):
    for words in ["lsit"], ["drop"], ["hold", "xyz!"], ["drop", "all", "100000000000"], ["list", "--jsno"], \
            ["drop", "--from", "", "--to", "far.test"], ["drop", "--to="], ["drain", "--from", ""]:
        got = waiting.command("queue", *words)
        assert got.returncode == EX_USAGE and got.stderr.startswith("chainmail queue"), (words, got)
    assert len(waiting.queue()) == 3


def test_without_a_configuration_or_a_state(place):
    program = Chainmail(place, SITE, via=1)
    assert program.command("queue", "list").returncode == EX_NOINPUT        # never started: no such directory
    program.configure("hostname\n")
    assert program.command("queue", "list").returncode == EX_CONFIG
    program.configure(SITE)
    with program:
        assert program.command("queue", "list").stdout == "the queue is empty\n"
    assert program.command("queue", "list").stdout == "the queue is empty\n"
    program.process = None
