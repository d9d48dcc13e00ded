# SPDX-License-Identifier: ISC
"""Looking after the queue: bounce, drain, export, stats, verify, rebuild, with the program up and down."""
import email
import json
import re
import shutil
import subprocess

import pytest

from chainmail import EX_TEMPFAIL, EX_UNAVAILABLE, PLAIN, Chainmail, Sink, letter
from test_queue_command import SITE, begin, waiting  # noqa: F401 (a fixture)


def queue(program, *words):
    return program.command("queue", *words)


def test_a_bounce_tells_the_sender_once_and_nobody_is_tried(waiting):
    later, two, _ = waiting.ids
    got = queue(waiting, "bounce", two)
    assert (got.returncode, got.stdout) == (0, "bounce: 1 message\n")
    begin(waiting)
    report = waiting.far.wait(program=waiting)
    assert report.sender.startswith("FROM:<>") and report.recipients == ["TO:<b@other.test> NOTIFY=NEVER"]
    text = report.text.decode()
    assert re.findall(r"(?m)^Final-Recipient: rfc822; *(\S+)\r", text) == ["ben@far.test", "ann@local.test"]
    assert len(re.findall(r"(?m)^Status: 5\.4\.7\r", text)) == 2
    assert waiting.maildir("ann") == [] and two not in [row["queue_id"] for row in waiting.queue()]
    waiting.kill()
    waiting.start()
    assert len(waiting.far.taken) == 1 and later in [row["queue_id"] for row in waiting.queue()]


def test_of_a_null_sender_a_bounce_is_the_end(waiting):
    assert queue(waiting, "bounce", waiting.ids[2]).returncode == 0
    begin(waiting)
    waiting.wait("dropped", reason="null-sender")
    assert waiting.ids[2] not in [row["queue_id"] for row in waiting.queue()]


def test_export_writes_what_was_received_and_the_row(waiting):
    place = waiting.directory / "out"
    assert queue(waiting, "export", place, "all").stdout == "export: 3 messages\n"
    assert sorted(p.name for p in place.iterdir()) == sorted(f"{i}.{e}" for i in waiting.ids for e in ("eml", "json"))
    row = json.loads((place / f"{waiting.ids[1]}.json").read_text())
    assert [r["address"] for r in row["recipients"]] == ["ben@far.test", "ann@local.test"]
    message = email.message_from_bytes((place / f"{waiting.ids[1]}.eml").read_bytes())
    assert message["Subject"] == "two" and message.get_payload() == "zwei\r\n" * 10
    again = queue(waiting, "export", place, waiting.ids[0])
    assert again.returncode != 0 and "File exists" in again.stderr


def test_drain_tries_everything_once(waiting):
    got = queue(waiting, "drain")
    if not waiting.up:
        assert (got.returncode, "nobody runs" in got.stderr) == (EX_UNAVAILABLE, True)
        return
    assert (got.returncode, got.stdout) == (EX_TEMPFAIL, "drain: 3 messages are left\n")
    waiting.wait("deferred", count=2, to="later@far.test")
    assert queue(waiting, "release", "all").returncode == 0
    waiting.far.reply = None
    got = queue(waiting, "drain")
    assert (got.returncode, got.stdout) == (0, "drain: 0 messages are left\n")
    assert len(waiting.far.taken) == 3 and len(waiting.maildir("ann")) == 1


def test_stats_verify_and_rebuild_agree(waiting):
    stats = json.loads(queue(waiting, "stats", "--json").stdout)
    assert stats["messages"] == 3 and not stats["troubled"] and stats["segments"] >= 1
    assert re.search(r"(?m)^segment bytes +[\d.]+ (B|kB|MB)$", queue(waiting, "stats").stdout)
    for verb in "verify", "rebuild", "verify":
        got = queue(waiting, verb)
        assert (got.returncode, got.stdout, got.stderr) == (0, f"{verb}: 3 messages\n", "")
    assert [row["queue_id"] for row in waiting.queue()] == waiting.ids


def held_messages(place, count):
    """Stopped, with so many messages that wait."""
    program = Chainmail(place, SITE + "delivery { hold on }\n", program=PLAIN, via=1)
    program.start()
    for n in range(count):
        program.send("a@far.test", ["ben@far.test"], letter(f"number {n}", body="x" * 60 + "\n" * n))
    ids = [row["queue_id"] for row in program.queue()]
    program.kill()
    assert len(ids) == count
    return program, ids


@pytest.mark.parametrize("harm", ["gone", "zeros", "noise", "one page"])
def test_a_catalogue_that_is_damaged_or_gone_is_made_again(place, harm):
    program, ids = held_messages(place, 20)
    catalogue = place / "state" / "queue" / "catalogue"
    if harm == "gone":
        shutil.rmtree(catalogue)
    for path in [p for p in catalogue.rglob("*") if p.is_file()] if harm != "gone" else []:
        data = bytearray(path.read_bytes())
        at, end = (4096, 8192) if harm == "one page" else (0, len(data))
        data[at:end] = (b"\xa5" if harm == "noise" else b"\0") * len(data[at:end])
        path.write_bytes(data)
    program.expect.update({"alarm", "child-died"})
    program.start()
    assert [row["queue_id"] for row in program.queue()] == ids
    assert program.command("queue", "verify").returncode == 0
    program.stop()


def test_a_record_that_rotted_is_named_and_the_others_stay(place):
    program, ids = held_messages(place, 6)
    [segment] = (place / "state" / "queue" / "seg").glob("0*")
    data = bytearray(segment.read_bytes())
    at = data.index(b"Subject: number 2")
    data[at:at + 7] = b"Gubject"
    segment.write_bytes(data)
    shutil.rmtree(place / "state" / "queue" / "catalogue")
    program.expect.add("alarm")
    program.start()
    assert "00000001" in program.wait("alarm", what="spool-damage")["why"]
    assert [row["queue_id"] for row in program.queue()] == ids[:2] + ids[3:]
    program.stop()
