# SPDX-License-Identifier: ISC
"""
kill -9, of each role and of all of them: what was acknowledged is delivered,
and once.  The one window in which a message may arrive twice is named where it
is tested: the deliverer dies after the next hop has taken the message and
before it has told the queue so.
"""
import collections
import os
import signal
import smtplib
import threading
import time

import pytest

from chainmail import DEADLINE, Chainmail, Sink, children_of, has_ended, letter, until

SITE = """
hostname mx.local.test
state {dir}/state
log json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; allow relay from 127.0.0.1 }
domain local.test { deliver to maildir {dir}/mail/%u }
delivery { via 127.0.0.1:{via}; retry after 1s }
"""
HOLD = "delivery { hold on }\n"
ROLES = ("smtpd", "queue", "delivery")


class Gate:
    """A sink's reply that waits: `arrived` is set when somebody stands before it."""

    def __init__(self, verb="TEXT"):
        self.verb, self.arrived, self.open = verb, threading.Event(), threading.Event()

    def __call__(self, verb, argument):
        if verb == self.verb:
            self.arrived.set()
            self.open.wait()
        return None


def strike(program, who):
    """Kill one role, the master, or everything; afterwards the program runs again."""
    if who in ROLES:
        victim = program.pid(who)
        os.kill(victim, signal.SIGKILL)
        until(lambda: any(e["pid"] == victim for e in program.events("child-died")), f"the end of {who}")
    elif who == "master":
        orphans = children_of(program.master())
        program.process.kill()
        program.process.wait(DEADLINE)
        until(lambda: all(map(has_ended, orphans)), "the end of the orphans")
        program.start()
    else:
        program.kill()
        program.start()


def arrivals(sink):
    return collections.Counter(t.subject for t in sink.taken)


@pytest.mark.parametrize("who", [*ROLES, "master", "all"])
def test_killed_between_250_and_delivery(place, who):
    with Sink() as far, Chainmail(place, SITE + HOLD, via=far.port, expect={"child-died"}) as program:
        subjects = [f"held {i}" for i in range(6)]
        for subject in subjects:
            program.send("a@far.test", ["ann@local.test", "ben@far.test"], letter(subject))
        program.send("a@far.test", ["ben@far.test"], letter("held large", body="x" * 70 + "\n") * 8000)
        strike(program, who)
        program.configure(SITE)
        program.reload()
        far.wait(7, program=program)
        until(lambda: len(program.maildir("ann")) == 6, "the Maildir")
        program.wait_empty()
        assert set(arrivals(far).values()) == {1} and len(far.taken) == 7
        assert len(program.maildir("ann")) == 6
        assert program.events("note") == []             # nothing had to be made again


@pytest.mark.parametrize("who", ["smtpd", "queue", "queue queue"])
def test_killed_while_the_next_hop_takes_it(place, who):
    """The deliverer lives: it tells the new queue what is under way, and nobody tries it again."""
    gate = Gate()
    with Sink(reply=gate) as far, Chainmail(place, SITE, via=far.port, expect={"child-died"}) as program:
        program.send("a@far.test", ["ben@far.test", "cara@far.test"], letter("slow"))
        assert gate.arrived.wait(DEADLINE)
        for role in who.split():
            strike(program, role)
        program.send("a@far.test", ["ann@local.test"], letter("meanwhile"))
        program.wait("delivered", to="ann@local.test")          # the new queue works
        gate.open.set()
        program.wait("delivered", to="ben@far.test")
        program.wait("delivered", to="cara@far.test")
        program.wait_empty()
        assert arrivals(far) == {"slow": 1}


def test_many_recipients_under_way_are_not_mixed_up(place):
    """250 recipients are three transactions; the new queue knows each of them by its recipients."""
    gate = Gate()
    with Sink(reply=gate) as far, Chainmail(place, SITE, via=far.port, expect={"child-died"}) as program:
        everybody = [f"r{i}@far.test" for i in range(250)]
        program.send("a@far.test", everybody, letter("many"))
        until(lambda: far.lines.count("DATA") == 3, lambda: f"three transactions\n{program.text()}")
        strike(program, "queue")
        gate.open.set()
        for i in range(250):
            program.wait("delivered", count=1, to=everybody[i])
        program.wait_empty()
        got = collections.Counter(r for t in far.taken for r in t.recipients)
        assert len(far.taken) == 3 and len(got) == 250 and set(got.values()) == {1}


def test_what_was_catalogued_survives(place):
    """Rows that were committed are there after kill -9: nothing is made again from the segments."""
    with Chainmail(place, SITE + HOLD, via=1, expect={"child-died"}) as program:
        for i in range(5):
            program.send("a@far.test", ["ann@local.test"], letter(f"{i}"))
        rows, sent = place / "state" / "queue" / "catalogue", time.time()
        until(lambda: any(path.stat().st_mtime > sent for path in rows.rglob("log.*")),
              "rows: they are written a second or two after their records")
        program.send("a@far.test", ["ann@local.test"], letter("last"))
        strike(program, "queue")
        assert len(program.queue()) == 6 and rows.is_dir()
        assert program.events("note") == [] and program.events("alarm") == []


def until_it_was_told(far):
    """The deliverer has heard the reply, told the queue, which is stopped, and kept the connection for a while."""
    until(lambda: "QUIT" in far.lines, "the end of the session")


def test_a_result_that_the_queue_did_not_hear_is_told_again(place):
    """The queue is stopped, the next hop says 250, the queue is killed: it never knew."""
    gate = Gate()
    with Sink(reply=gate) as far, Chainmail(place, SITE, via=far.port, expect={"child-died"}) as program:
        program.send("a@far.test", ["ben@far.test"], letter("unheard"))
        assert gate.arrived.wait(DEADLINE)
        queue = program.pid("queue")
        os.kill(queue, signal.SIGSTOP)
        gate.open.set()
        far.wait(1)
        until_it_was_told(far)
        os.kill(queue, signal.SIGKILL)
        program.wait("delivered", to="ben@far.test")
        program.wait_empty()
        assert arrivals(far) == {"unheard": 1}


def test_a_bounce_that_the_queue_did_not_hear_comes_once(place):
    gate = Gate("RCPT")

    def reply(verb, argument):
        gate(verb, argument)
        return "550 5.1.1 nobody" if verb == "RCPT" and "<ben@" in argument else None
    with Sink(reply=reply) as far, Chainmail(place, SITE, via=far.port, expect={"child-died"}) as program:
        program.send("ann@local.test", ["ben@far.test"], letter("unheard"))
        assert gate.arrived.wait(DEADLINE)
        queue = program.pid("queue")
        os.kill(queue, signal.SIGSTOP)
        gate.open.set()
        until_it_was_told(far)
        os.kill(queue, signal.SIGKILL)
        program.wait("delivered", to="ann@local.test")
        program.wait_empty()
        assert len(program.maildir("ann")) == 1


@pytest.mark.parametrize("who", ["delivery", "all"])
def test_the_documented_window(place, who):
    """The deliverer dies while the next hop says 250: it may arrive twice, it must arrive."""
    gate = Gate()
    with Sink(reply=gate) as far, Chainmail(place, SITE, via=far.port, expect={"child-died"}) as program:
        program.send("a@far.test", ["ben@far.test"], letter("window"))
        assert gate.arrived.wait(DEADLINE)
        strike(program, who)
        gate.open.set()
        program.wait("delivered", to="ben@far.test")
        program.wait_empty()
        assert 1 <= arrivals(far)["window"] <= 2


def test_a_client_whose_listener_died_was_not_promised_anything(place):
    with Chainmail(place, SITE + HOLD, via=1, expect={"child-died"}) as program:
        client = program.client()
        client.ehlo("x.far.test")
        client.mail("a@far.test")
        client.rcpt("ann@local.test")
        for pid, name in program.children():
            if name == "smtpd":
                os.kill(pid, signal.SIGKILL)
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            client.data(letter())
        program.wait("child-died", count=2)
        until(lambda: sum(name == "smtpd" for _, name in program.children()) == 2, "new listeners")
        program.send("a@far.test", ["ann@local.test"], letter("after"))
        assert len(program.queue()) == 1


def test_roles_die_under_load(place):
    """Clients that try again until they hear 250, for as long as somebody kills roles."""
    acknowledged, tries, over = [], collections.Counter(), threading.Event()

    def client(number):
        i = 0
        while not over.is_set():
            subject, i = f"load {number}-{i}", i + 1
            while not over.is_set():
                tries[subject] += 1
                try:
                    program.send("a@far.test", ["ann@local.test"], letter(subject))
                    acknowledged.append(subject)
                    break
                except (smtplib.SMTPException, OSError):
                    time.sleep(0.02)

    with Chainmail(place, SITE, via=1, expect={"child-died"}) as program:
        clients = [threading.Thread(target=client, args=(n,)) for n in range(4)]
        for thread in clients:
            thread.start()
        try:
            for _ in range(3):
                for role in "queue", "delivery", "smtpd":
                    time.sleep(0.2)
                    strike(program, role)
            until(lambda: len(acknowledged) > 20, "some mail")
        finally:
            over.set()
            for thread in clients:
                thread.join()
        program.wait_empty()
        seen = collections.Counter(text.split(b"Subject: ")[1].split(b"\n")[0].decode()
                                   for text in program.maildir("ann"))
        assert [s for s in acknowledged if not seen[s]] == []
        # a Maildir file is named after the message: even a second delivery does not double it
        assert [s for s in seen if seen[s] > tries[s]] == []
        assert [s for s in seen if seen[s] > 1 and tries[s] == 1] == []
