# SPDX-License-Identifier: ISC
"""The names by which others call a mail system: mailq, postqueue, postsuper, postcat, sendmail."""
import email
import json
import re
import socket
import subprocess
import threading

import pytest

from chainmail import EX_TEMPFAIL, EX_USAGE, PLAIN, Chainmail, Sink, until
from test_queue_command import SITE, waiting  # noqa: F401 (a fixture)

EX_DATAERR, EX_NOUSER = 65, 67


def face(program, name, *words, text=None, option="-c"):
    link = program.directory / "bin" / name
    link.parent.mkdir(exist_ok=True)
    if not link.exists():
        link.symlink_to(PLAIN)
    return subprocess.run([link, option, program.file, *words], input=text, capture_output=True, timeout=60, text=True)


def names(program):
    return [row["queue_name"] for row in program.queue()]


def test_mailq_and_postqueue_list(waiting):
    listed = waiting.command("queue", "list").stdout
    for got in face(waiting, "mailq"), face(waiting, "postqueue", "-p"):
        assert got.returncode == 0 and got.stdout.splitlines()[-1].split(",")[0] == "3 messages"
        assert got.stdout.count("\n") == listed.count("\n")
    rows = [json.loads(line) for line in face(waiting, "postqueue", "-j").stdout.splitlines()]
    assert [row["queue_id"] for row in rows] == waiting.ids
    assert face(waiting, "sendmail", "-bp", option="-C").stdout.splitlines()[-1].startswith("3 messages")


def test_postsuper_holds_releases_and_drops(waiting):
    first, second, third = waiting.ids
    assert face(waiting, "postsuper", "-h", first).returncode == 0
    assert names(waiting) == ["hold"] * 3
    assert face(waiting, "postsuper", "-H", first, "-d", second).returncode == 0
    assert [row["queue_id"] for row in waiting.queue()] == [first, third]
    assert face(waiting, "postsuper", "-d", "-", text=f"{third}\n").returncode == 0
    assert [row["queue_id"] for row in waiting.queue()] == [first]
    assert face(waiting, "postsuper", "-h", first).returncode == 0
    assert waiting.command("queue", "retry", "all").stdout.startswith("retry: 0 ") and names(waiting) == ["hold"]
    assert face(waiting, "postsuper", "-r", first).returncode == 0 and "hold" not in names(waiting)
    got = face(waiting, "postsuper", "-e", first)
    assert got.returncode == EX_USAGE and "chainmail queue bounce" in got.stderr and len(waiting.queue()) == 1
    got = face(waiting, "postsuper", "-\x1b", first)
    assert got.returncode == EX_USAGE and "-\\x1B" in got.stderr and "\x1b" not in got.stderr
    got = face(waiting, "postsuper", "-d", "ALL", "deferred")
    assert got.returncode == EX_USAGE and len(waiting.queue()) == 1
    assert face(waiting, "postsuper", "-d", "ALL").returncode == 0 and waiting.queue() == []


def test_postsuper_returns_what_is_held_too(waiting):
    """Postfix's -f: the sender is told, as when its time is over."""
    second = waiting.ids[1]
    assert names(waiting) == ["deferred", "hold", "hold"]
    got = face(waiting, "postsuper", "-f", second)
    assert got.returncode == 0, got
    if not waiting.up:
        waiting.start()
    event = waiting.wait("report", to="b@other.test")
    assert event["kind"] == "failed" and event["of"] == second, event


def test_postsuper_takes_all_for_no_id(waiting):
    """Postfix's word is ALL, as an argument; a list that a program made of what it read must not empty the queue."""
    for words, text in (("-d", "all"), None), (("-d", "-"), "all\n"), (("-d", "-"), "ALL\n"), (("-d", "--json"), None):
        got = face(waiting, "postsuper", *words, text=text)
        assert got.returncode == EX_USAGE and "is not the ID of a message" in got.stderr, got
        assert [row["queue_id"] for row in waiting.queue()] == waiting.ids
    got = face(waiting, "postsuper", "-d", "-", text=f"all\n\n{waiting.ids[0]}\n")
    assert got.returncode == EX_USAGE and [row["queue_id"] for row in waiting.queue()] == waiting.ids[1:]


def without_age(text):
    """A second may pass between two looks at it."""
    return re.sub(r"(?m)^(\w{12} +)\w+ +", r"\1AGE ", text)


def test_postqueue_retries_and_postcat_shows(waiting):
    shown = face(waiting, "postcat", "-q", waiting.ids[1]).stdout
    assert "Subject: two\r\n" in shown or "Subject: two\n" in shown
    header, body = face(waiting, "postcat", "-hq", waiting.ids[1]).stdout, face(waiting, "postcat", "-bq", waiting.ids[1]).stdout
    assert "Subject: two" in header and waiting.ids[1] not in header and body.strip() and "Subject" not in body
    assert face(waiting, "postcat", "-hbq", waiting.ids[1]).stdout == header + "\n" + body
    envelope = face(waiting, "postcat", "-eq", waiting.ids[1]).stdout
    assert waiting.ids[1] in envelope and "Subject" not in envelope
    assert without_age(shown) == without_age(envelope) + header + "\n" + body
    waiting.far.reply = None
    assert face(waiting, "sendmail", "-bi", option="-C").returncode == 0
    got = face(waiting, "sendmail", "-bv", "ann@local.test", option="-C")
    assert got.returncode == EX_USAGE and "chainmail route" in got.stderr
    assert face(waiting, "postqueue", "-i", waiting.ids[0]).returncode == 0
    if waiting.up:
        waiting.far.wait(program=waiting)
    assert face(waiting, "postqueue", "-f").returncode == 0
    assert face(waiting, "sendmail", "-q", option="-C").returncode == 0
    assert face(waiting, "postqueue", "-x").returncode == EX_USAGE


@pytest.fixture
def site(place):
    with Sink() as far, Chainmail(place, SITE, program=PLAIN, via=far.port) as program:
        program.far = far
        yield program


def sendmail(site, *words, text):
    return face(site, "sendmail", *words, text=text, option="-C")


def test_sendmail_takes_recipients_from_the_header_and_bcc_goes(site):
    got = sendmail(site, "-t", "-i", "-f", "me@local.test", text="To: Ben <ben@far.test>,\n ann@local.test\n"
                   "Bcc: secret@far.test\nSubject: hello\n\nline\n.\n..two\nlast without end")
    assert (got.returncode, got.stderr) == (0, "")
    until(lambda: sum(len(t.recipients) for t in site.far.taken) == 2, "two recipients")
    [ann] = until(lambda: site.maildir("ann"), "mail for ann")
    message = email.message_from_bytes(ann)
    assert message["Bcc"] is None and message["From"] == "<me@local.test>" and message["Date"] and message["Message-ID"]
    assert message.get_payload() == "line\n.\n..two\nlast without end\n"
    assert message["Return-Path"] == "<me@local.test>"


def test_sendmail_ends_at_a_dot_unless_told(site):
    assert sendmail(site, "ann@local.test", text="Subject: dot\n\none\n.\ntwo\n").returncode == 0
    [ann] = until(lambda: site.maildir("ann"), "mail for ann")
    assert email.message_from_bytes(ann).get_payload() == "one\n"


def test_sendmail_takes_text_without_a_header(site):
    assert sendmail(site, "-oi", "ann@local.test", text="no header at all\n").returncode == 0
    [ann] = until(lambda: site.maildir("ann"), "mail for ann")
    assert email.message_from_bytes(ann).get_payload() == "no header at all\n"


def test_sendmail_reports_who_does_not_get_it(site):
    """As Postfix's, which takes it for all and bounces for some."""
    got = sendmail(site, "-t", "-G", "-f", "ann@local.test", text="To: ben@far.test, nobody@local.test\nSubject: x\n\n.x\n")
    assert got.returncode == 0 and "nobody@local.test: 550" in got.stderr
    assert site.far.wait(program=site).text.endswith(b"\r\n\r\n.x\r\n")
    [report] = until(lambda: site.maildir("ann"), "a report for ann")
    human, status, original = email.message_from_bytes(report).get_payload()
    assert "<nobody@local.test>: failed" in human.get_payload()
    assert status.get_payload()[1]["Status"] == "5.1.1" and original.get_payload(0)["Subject"] == "x"
    assert email.message_from_bytes(report)["Return-Path"] == "<>"


def test_sendmail_reports_to_postmaster_when_the_sender_is_nobody(site):
    """As root, whose mail nobody has: the report about him is for who is there."""
    got = sendmail(site, "-f", "root", "ben@far.test", "nobody", text="Subject: x\n\nx\n")
    assert got.returncode == 0 and "nobody@local.test: 550" in got.stderr
    [report] = until(lambda: site.maildir("postmaster") + site.maildir("ann"), "a report")
    assert email.message_from_bytes(report)["To"] == "<postmaster@local.test>"
    site.far.wait(program=site)
    got = sendmail(site, "-N", "never", "-f", "ann@local.test", "ben@far.test", "nobody", text="Subject: x\n\nx\n")
    assert got.returncode == 0
    site.wait_empty()
    assert len(site.maildir("postmaster") + site.maildir("ann")) == 1


def test_a_name_without_a_domain_is_of_the_first_domain(site):
    """The hostname, mx.local.test, is no domain of ours: mail to it would come back to this host."""
    assert sendmail(site, "-t", "-f", "ann", text="To: ann, Ben <ben@far.test>\nSubject: x\n\nx\n").returncode == 0
    [ann] = until(lambda: site.maildir("ann"), "mail for ann")
    message = email.message_from_bytes(ann)
    assert (message["Return-Path"], message["Delivered-To"]) == ("<ann@local.test>", "ann@local.test")
    assert message["From"] == "<ann@local.test>"


def test_there_is_nothing_to_do_for_newaliases(site):
    got = face(site, "newaliases")
    assert got.returncode == 0 and "nothing to do" in got.stdout
    assert face(site, "sendmail", "-I", option="-C").returncode == 0


def test_sendmail_is_all_or_nothing_when_nobody_is_there(site):
    got = sendmail(site, "gone@local.test", "nobody@local.test", text="Subject: x\n\nx\n")
    assert got.returncode == EX_NOUSER and "nobody@local.test: 550" in got.stderr
    assert sendmail(site, "-t", text="no header\n").returncode == EX_DATAERR
    assert sendmail(site, text="x\n").returncode == EX_USAGE
    assert sendmail(site, "a b@c", text="x\n").returncode == EX_NOUSER
    assert site.maildir("ann") == [] and site.queue() == []


def test_sendmail_passes_on_who_shall_be_told(site):
    site.far.reply = lambda verb, argument: "550 5.1.1 no" if verb == "RCPT" else None
    assert sendmail(site, "-N", "sometimes", "ben@far.test", text="x\n").returncode == EX_USAGE
    assert sendmail(site, "-N", "never", "-f", "ann@local.test", "ben@far.test", text="Subject: x\n\nx\n").returncode == 0
    site.wait("bounced")
    site.wait_empty()
    assert site.events("dropped")[-1]["reason"] == "notify" and site.maildir("ann") == []


def test_sendmail_speaks_smtp(site):
    got = sendmail(site, "-bs", text="EHLO x\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nQUIT\r\n")
    codes = [line[:3] for line in got.stdout.splitlines() if line[3:4] == " "]
    assert (got.returncode, codes) == (0, ["220", "250", "250", "250", "221"])


def test_sendmail_says_try_again_when_nobody_listens(place):
    program = Chainmail(place, SITE, program=PLAIN, via=1)
    got = sendmail(program, "ann@local.test", text="Subject: x\n\nx\n")
    assert got.returncode == EX_TEMPFAIL and "refused" in got.stderr


def test_sendmail_says_try_again_when_the_listener_hangs_up(place):
    program = Chainmail(place, SITE, program=PLAIN, via=1)

    def hang_up(server):
        with server.accept()[0] as client:
            client.sendall(b"220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 go\r\n")
            while b"DATA" not in client.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", program.port)) as server:
        thread = threading.Thread(target=hang_up, args=(server,))
        thread.start()
        got = sendmail(program, "ann@local.test", text="Subject: x\n\n" + "long\n" * 1000000)
        thread.join()
    assert got.returncode == EX_TEMPFAIL and "connection was lost" in got.stderr


def test_sendmail_names_an_author_also_for_the_null_sender(site):
    got = sendmail(site, "-f", "<>", "ann@local.test", text="Subject: null\n\nx\n")
    assert got.returncode == 0, got.stderr
    [text] = until(lambda: site.maildir("ann"), "the message")
    message = email.message_from_bytes(text)
    assert message["From"] == "<mailer-daemon@local.test>" and message["Message-ID"].endswith("@local.test>")
