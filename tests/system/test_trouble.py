# SPDX-License-Identifier: ISC
"""When something outside is broken: each time one clear line, and what was accepted is kept."""
import email
import os
import pathlib
import re
import smtplib
import subprocess
import threading
import time

import pytest

from chainmail import PLAIN, Chainmail, Sink, have, letter, until
from ports import free_ports

SITE = """
hostname mx.local.test
state {dir}/state
log json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; allow relay from 127.0.0.1 }
domain local.test { deliver to maildir {dir}/mail/%u; users ann, postmaster }
delivery { via 127.0.0.1:{via}; retry after 1s, 2s; expire after 1h }
"""
HOLD = "delivery { hold on }\n"


# --- a full disk ------------------------------------------------------------------------


def own_mounts():
    return os.geteuid() == 0 and have("unshare") and \
        subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


def subject(text):
    return re.search(rb"(?m)^Subject: (.*?)\r?$", text)[1].decode()


@pytest.mark.skipif(not own_mounts(), reason="only root may mount a small disk for itself")
def test_a_full_disk(place):
    """452 for new mail; what was accepted stays, and is delivered when there is room, without a restart."""
    state = place / "state"
    state.mkdir()
    mount = ["unshare", "-m", "--propagation", "private", "sh", "-c",
             'mount -t tmpfs -o size=150m,mode=700 tmpfs "$0" && exec "$@"', state]
    with Chainmail(place, SITE + HOLD, program=PLAIN, prefix=mount, via=1, expect={"alarm"}) as program:
        inside = pathlib.Path(f"/proc/{program.master()}/root{state}")
        assert not (state / "queue").exists() and (inside / "queue").exists()
        accepted, refused = [], []

        def send(client, name, body):
            try:
                client.sendmail("a@far.test", ["ann@local.test"], letter(name, body=body))
                accepted.append(name)
            except smtplib.SMTPDataError as flaw:
                assert flaw.smtp_code == 452 and b"4.3.1" in flaw.smtp_error, flaw
                refused.append(name)
            except smtplib.SMTPSenderRefused as flaw:
                assert flaw.smtp_code == 452, flaw
                refused.append(name)

        line = "y" * 70 + "\n"
        with program.client() as client:
            for i in range(20):
                send(client, f"before {i}", line * 1000)
            with open(inside / "filler", "wb", 0) as filler, pytest.raises(OSError):
                while True:
                    filler.write(bytes(1 << 16))
            send(client, "large", line * 10000)         # a file of its own
            assert refused == ["large"] and len(accepted) == 20
            in_a_row = 0                                # a spare segment is room, too
            while in_a_row < 3:
                before = len(refused)
                send(client, f"middle {len(accepted)}", line * 3500)
                in_a_row = in_a_row + 1 if len(refused) > before else 0
                assert len(accepted) < 600
            alarms = [e["why"] for e in program.events("alarm")]
            assert any("No space left" in why or "disk is full" in why for why in alarms) and len(alarms) < 5, alarms
            (inside / "filler").unlink()

            def room_again():
                send(client, f"after {time.monotonic()}", "x\n")
                return accepted[-1].startswith("after")
            until(room_again, "a 250")
        program.configure(SITE)
        program.reload()
        until(lambda: len(program.maildir("ann")) >= len(accepted), "everything that was acknowledged")
        assert sorted(map(subject, program.maildir("ann"))) == sorted(accepted)


# --- a dead resolver ------------------------------------------------------------------------


def test_a_dead_resolver(place):
    """Mail for us is accepted without knowing what the DNS would say; mail for others waits."""
    [nobody] = free_ports(1)
    text = SITE.replace("facts {dir}/facts", "server 127.0.0.1:{nobody}").replace("via 127.0.0.1:{via}; ", "")
    with Chainmail(place, text, nobody=nobody, via=1) as program:
        clients = [threading.Thread(target=program.send, args=("a@far.test", [to], letter("deaf"), source))
                   for to, source in (("ben@other.test", "127.0.0.1"), ("ann@local.test", "127.0.0.3"))]
        for client in clients:
            client.start()
        event = program.wait("received", client="127.0.0.3")    # a stranger: ours is evaluated
        assert event["spf"] == "temperror" and event["dmarc"] == "temperror"
        program.wait("delivered", to="ann@local.test")
        assert b"spf=temperror" in program.maildir("ann")[0]
        event = program.wait("deferred", to="ben@other.test")
        assert event["dsn"].startswith("4.4.") and ("DNS" in event["reply"] or "look" in event["reply"]), event
        [row] = program.queue()
        assert row["recipients"][0]["delay_reason"]


# --- trying again -------------------------------------------------------------------------------


def test_the_schedule(place):
    """1s, 2s: 451 twice, then accepted."""
    times = []

    def reply(verb, argument):
        if verb != "RCPT":
            return None
        times.append(time.monotonic())
        return "451 4.3.0 come again" if len(times) < 3 else None
    with Sink(reply=reply) as far, Chainmail(place, SITE, via=far.port) as program:
        program.send("a@far.test", ["ben@far.test"], letter("again"))
        first = program.wait("deferred", to="ben@far.test")
        assert first["try"] == 1 and first["next"] == 1 and first["reply"] == "451 come again" and first["dsn"] == "4.3.0"
        assert program.wait("deferred", count=2)["next"] == 2
        assert program.wait("delivered")["try"] == 3
        assert times[1] - times[0] > 0.9 and times[2] - times[1] > 1.9         # and no sooner
        program.wait_empty()


def test_greylisting_of_the_whole_host(place):
    """421 at the greeting, then a closed port, then well."""
    count = []

    def reply(verb, argument):
        if verb == "CONNECT":
            count.append(1)
            return "421 4.3.2 not now" if len(count) == 1 else Sink.HANG_UP if len(count) == 2 else None
        return None
    with Sink(reply=reply) as far, Chainmail(place, SITE, via=far.port) as program:
        program.send("a@far.test", ["ben@far.test"], letter("patience"))
        assert program.wait("deferred")["reply"].startswith("421")
        program.wait("delivered")
        assert len(far.taken) == 1


# --- reports ------------------------------------------------------------------------------------


def never(verb, argument):
    return "550 5.1.1 there is no such person" if verb == "RCPT" and "<ben@" in argument else None


def test_one_report_for_a_550(place):
    with Sink(reply=never) as far, Chainmail(place, SITE, via=far.port) as program:
        program.send("ann@local.test", ["ben@far.test", "cara@far.test"], letter("to two", Message_ID="<x1@local.test>"))
        assert program.wait("bounced", to="ben@far.test")["dsn"] == "5.1.1"
        program.wait("delivered", to="ann@local.test")
        program.wait("delivered", to="cara@far.test")
        program.wait_empty()
        [text] = program.maildir("ann")
        assert text.startswith(b"Return-Path: <>\n")
        report = email.message_from_bytes(text)
        assert report.get_content_type() == "multipart/report"
        assert report.get_param("report-type") == "delivery-status"
        assert report["Auto-Submitted"] == "auto-replied" and report["To"] == "<ann@local.test>"
        human, status, original = report.get_payload()
        assert human.get_content_type() == "text/plain" and "no such person" in human.get_payload()
        assert status.get_content_type() == "message/delivery-status"
        about, recipient = status.get_payload()             # only the one who failed
        assert about["Reporting-MTA"] == "dns; mx.local.test" and about["Arrival-Date"]
        assert recipient["Final-Recipient"] == "rfc822; ben@far.test"
        assert recipient["Action"] == "failed" and recipient["Status"] == "5.1.1"
        assert recipient["Diagnostic-Code"].startswith("smtp; 550 ")
        assert original.get_content_type() == "message/rfc822"
        assert original.get_payload()[0]["Message-ID"] == "<x1@local.test>"


@pytest.mark.parametrize("text", [b"hi", "hï".encode()], ids=["ascii", "utf-8"])
def test_a_report_reaches_an_ascii_mailbox_that_knows_no_smtputf8(place, text):
    """As behind LMTP: an address of the message that is not ASCII is no reason to hear nothing of it (RFC 6533 4)."""
    site = SITE.replace("maildir {dir}/mail/%u", "lmtp 127.0.0.1:{box}")
    nobody = lambda verb, argument: "550 5.1.1 nobody" if verb == "RCPT" else None
    plain = ("PIPELINING", "ENHANCEDSTATUSCODES")
    with Sink(features=plain, lmtp=True) as box, Sink(reply=nobody) as far, \
            Chainmail(place, site, via=far.port, box=box.port) as program:
        with program.client() as client:
            client.ehlo()
            client.sendmail("ann@local.test", ["jörg@far.test"], b"Subject: " + text + b"\r\n\r\nhi\r\n", ["SMTPUTF8"])
        report = email.message_from_bytes(box.wait(program=program).text)
        human, status, original = report.get_payload()
        assert "<jörg@far.test>: failed" in human.get_payload(decode=True).decode()
        assert status.get_payload()[1]["Final-Recipient"] == "utf-8; j\\x{F6}rg@far.test"
        assert original.get_content_type() == ("message/rfc822" if text.isascii() else "message/global")
        program.wait_empty()
        assert program.events("dropped") == []


def test_no_report_about_a_report(place):
    with Sink(reply=never) as far, Chainmail(place, SITE, via=far.port) as program:
        program.send("", ["ben@far.test"], letter("null"))
        program.wait("bounced", to="ben@far.test")
        assert program.wait("dropped", to="ben@far.test")["reason"] == "null-sender"
        program.wait_empty()
        assert program.events("report") == [] and far.taken == []
        # a sender that does not exist: the report about its message fails, and that is the end
        program.send("ben@far.test", ["ben@far.test"], letter("double"))
        program.wait("report", to="ben@far.test")
        program.wait("dropped", count=2, to="ben@far.test")
        program.wait_empty()
        assert len(program.events("report")) == 1 and far.taken == []


def test_whoever_wants_no_report_gets_none(place):
    with Sink(reply=never) as far, Chainmail(place, SITE, via=far.port) as program:
        with program.client() as client:
            client.sendmail("ann@local.test", ["ben@far.test"], letter(), rcpt_options=["NOTIFY=NEVER"])
            client.sendmail("ann@local.test", ["ann@local.test"], letter("asked"), rcpt_options=["NOTIFY=SUCCESS"])
        assert program.wait("dropped", to="ben@far.test")["reason"] == "notify"
        program.wait("report", kind="delivered", to="ann@local.test")
        program.wait_empty()
        assert len(program.maildir("ann")) == 2


def test_a_delay_is_told_once_and_the_end_too(place):
    text = SITE.replace("retry after 1s, 2s; expire after 1h", "retry after 1s; warn sender after 1s; expire after {expire}")
    with Sink(reply=lambda v, a: "450 4.2.0 full" if v == "RCPT" else None) as far:
        with Chainmail(place, text, via=far.port, expire="1h") as program:
            program.send("ann@local.test", ["ben@far.test"], letter("slow"))
            program.wait("report", kind="delayed")
            program.names["expire"] = "4s"              # however long that took: its time is over only now
            program.configure(text)
            program.reload()
            event = program.wait("expired", to="ben@far.test")
            assert event["reply"].startswith("450") and float(event["delay"]) >= 4
            program.wait("report", kind="failed")
            program.wait_empty()
            assert [e["kind"] for e in program.events("report")] == ["delayed", "failed"]
            until(lambda: len(program.maildir("ann")) == 2, "two reports")
            actions = []
            for text in program.maildir("ann"):
                status = email.message_from_bytes(text).get_payload()[1].get_payload()[1]
                actions.append((status["Action"], status["Status"], bool(status["Will-Retry-Until"])))
            assert sorted(actions) == [("delayed", "4.2.0", True), ("failed", "4.4.7", False)]
