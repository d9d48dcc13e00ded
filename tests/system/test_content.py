# SPDX-License-Identifier: ISC
"""Content in a file of its own: what has rotted on the disk is named and goes to nobody."""
import pathlib
import socketserver
import struct
import subprocess
import tarfile
import threading

import pytest

from chainmail import PLAIN, Chainmail, Sink, letter, until

SITE = """
hostname mx.local.test
state {dir}/state
log json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; allow relay from 127.0.0.1 }
domain local.test {
    deliver to maildir {dir}/mail/%u
    users ann, bob
    list news { members ann; owner bob }
}
domain store.test { deliver to lmtp 127.0.0.1:{lmtp}; users ann }
delivery { via 127.0.0.1:{via}; retry after 1s }
"""
HOLD = "delivery { hold on }\n"
SHORT = "delivery { expire after 4s }\n"
DATA = pathlib.Path(__file__).resolve().parents[1] / "data"
LARGE = "a long line of it\n" * 20000


@pytest.fixture
def sinks():
    with Sink() as far, Sink(lmtp=True) as store:
        yield far, store


def contents(program):
    return sorted((program.directory / "state" / "queue" / "content").glob("[0-9A-Z]*"))


def turn_a_byte(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def cut_a_byte(path):
    path.write_bytes(path.read_bytes()[:-1])


def formats(program):
    """The numbers in the heads of all segments, oldest first."""
    segments = sorted((program.directory / "state" / "queue" / "seg").glob("[0-9]*"))
    heads = [path.read_bytes()[:24] for path in segments]
    assert all(head.startswith(b"chainmail spool\n") for head in heads)
    return [struct.unpack("<II", head[16:])[0] for head in heads]


@pytest.mark.parametrize("to", ["ben@far.test", "ann@store.test", "ann@local.test"], ids=["smtp", "lmtp", "maildir"])
def test_what_has_rotted_goes_to_nobody_and_its_sender_is_told(place, sinks, to):
    far, store = sinks
    with Chainmail(place, SITE + HOLD, program=PLAIN, via=far.port, lmtp=store.port, expect=["alarm"]) as program:
        program.send("bob@local.test", [to], letter("rotten", body=LARGE))
        program.send("bob@local.test", [to], letter("sound", body=LARGE))
        rotten, sound = [row["queue_id"] for row in program.queue()]
        assert [path.name for path in contents(program)] == [rotten, sound]
        turn_a_byte(contents(program)[0], 200000)
        program.configure(SITE)
        program.reload()
        assert "its text is damaged here" in program.wait("deferred", id=rotten)["reply"]
        program.wait("delivered", id=sound)
        got = program.command("queue", "verify")
        assert got.returncode == 1 and f"content/{rotten} is damaged" in got.stderr, got
        program.configure(SITE + SHORT)
        program.reload()
        assert program.wait("expired", id=rotten)["reply"] == "its text cannot be read here"
        report = until(lambda: program.maildir("bob"), program.text)[0].decode()
        assert "Action: failed" in report and "Its text can no longer be read here" in report
        assert "Subject: rotten" not in report
        program.wait_empty()
        assert [taken.subject for sink in sinks for taken in sink.taken] == ([] if "local" in to else ["sound"])
        assert [b"Subject: sound" in text for text in program.maildir("ann")] == ([True] if "local" in to else [])
        first, again = program.events("alarm")          # one of each queue role that met it
        for alarm in first, again:
            assert alarm["what"] == "message" and f"content/{rotten} is damaged" in alarm["why"]
        tale = subprocess.run([PLAIN, "why", rotten, "-c", program.file], capture_output=True, text=True, timeout=60)
        assert "its text is damaged here" in tale.stdout, tale


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_verify_names_each_content_that_is_not_what_it_was(place, up):
    with Chainmail(place, SITE + HOLD, program=PLAIN, via=1, lmtp=1, expect=["alarm"]) as program:
        for i in range(4):
            program.send("bob@local.test", ["ben@far.test"], letter(f"number {i}", body=LARGE))
        ids = [path.name for path in contents(program)]
        if not up:
            program.stop()
        assert program.command("queue", "verify").stdout == "verify: 4 messages\n"
        turn_a_byte(contents(program)[1], 0)
        cut_a_byte(contents(program)[2])
        got = program.command("queue", "verify")
        assert (got.returncode, got.stdout) == (1, ""), got
        assert f"content/{ids[1]} is damaged" in got.stderr and ids[2] in got.stderr, got
        assert ids[0] not in got.stderr and ids[3] not in got.stderr
        for id, code in zip(ids, (0, 1, 1, 0)):
            assert program.command("queue", "show", "--text", id).returncode == code


def test_a_list_posts_nothing_that_has_rotted(place):
    with Chainmail(place, SITE + HOLD, program=PLAIN, via=1, lmtp=1, expect=["alarm"]) as program:
        for name in ("sound", "rotten"):
            program.send("bob@local.test", ["news@local.test"], letter(name, body=LARGE))
        sound, rotten = [path.name for path in contents(program)]
        turn_a_byte(contents(program)[1], 200000)
        program.configure(SITE)
        program.reload()
        program.wait("delivered", to="ann@local.test")
        program.wait("alarm")
        program.configure(SITE + SHORT)
        program.reload()
        program.wait("expired", id=rotten)
        until(lambda: any(b"Content-Type: multipart/report" in text for text in program.maildir("bob")), program.text)
        [post] = program.maildir("ann")
        assert b"Subject: sound" in post
        assert program.events("queued", parent=sound) and not program.events("queued", parent=rotten)
        assert [f"content/{rotten} is damaged" in alarm["why"] for alarm in program.events("alarm")] == [True, True]


def test_a_spool_of_format_1_is_read_and_goes_on_in_format_2(place, sinks):
    """tests/data/spool-1.tar.xz: a small message for ann and a large one for ben, kept by the last such program."""
    far, store = sinks
    with tarfile.open(DATA / "spool-1.tar.xz") as tar:
        tar.extractall(place / "state")
    with Chainmail(place, SITE + HOLD, program=PLAIN, via=far.port, lmtp=store.port) as program:
        assert formats(program) == [1]
        assert [row["message_size"] for row in program.queue()] == [133, 420126]
        program.send("bob@local.test", ["new@far.test"], letter("new", body=LARGE))
        assert formats(program) == [1, 2]
        assert program.command("queue", "verify").stdout == "verify: 3 messages\n"
        program.kill()
        program.start()
        assert program.command("queue", "verify").stdout == "verify: 3 messages\n"
        program.configure(SITE)
        program.reload()
        program.wait_empty()
        [small] = program.maildir("ann")
        assert b"\nSubject: small\n" in small and small.endswith(b"\n\nsmall\n")
        assert sorted(taken.subject for taken in far.taken) == ["large", "new"]
        assert max(far.taken, key=lambda taken: len(taken.text)).text.endswith(b"\r\n\r\n" + b"large\r\n" * 60000)


class Impatient(socketserver.StreamRequestHandler):
    """Says in the middle of a text that it is too much for him, and goes, with the rest unread."""

    def handle(self):
        self.wfile.write(b"220 far\r\n")
        for line in self.rfile:
            if line.startswith(b"DATA"):
                self.wfile.write(b"354 go\r\n")
                self.rfile.read(100000)
                self.wfile.write(b"552 5.3.4 too much for me\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


def test_who_refuses_before_the_end_of_the_text_is_heard(place):
    with socketserver.TCPServer(("127.0.0.1", 0), Impatient) as far:
        threading.Thread(target=far.serve_forever, args=(0.05,), daemon=True).start()
        with Chainmail(place, SITE, via=far.server_address[1], lmtp=1) as program:
            program.send("ann@local.test", ["ben@far.test"], letter("large", body=LARGE * 40))
            assert "too much for me" in program.wait("bounced", to="ben@far.test", dsn="5.3.4")["reply"]
        far.shutdown()
