# SPDX-License-Identifier: ISC
"""A whole site: every statement of the complete configuration does what it says."""
import email
import os
import re
import shutil
import subprocess

import pytest

from chainmail import Chainmail, Sink, Wire, have, letter, until
from ports import has_ipv6

# The complete configuration of the interface, on free ports; see conf/examples/machine.conf.
SITE = """
hostname mx.local.test
state    {dir}/state
log      json
roots    {dir}/cert.pem
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}, [::1]:{port}; tls cert {dir}/cert.pem key {dir}/key.pem; allow relay from 127.0.0.2 }
domain local.test { deliver to maildir {dir}/mail/%u; alias team -> ann, ben@far.test; catch-all ann }
domain lists.test { deliver to lmtp 127.0.0.1:{lmtp} }
key      arc2026 { domain local.test; file {dir}/dkim.pem }
arc      { trust list.test; seal forwards }
delivery { via 127.0.0.1:{via}; retry after 1s, 2s, then every 2s; expire after 1h; tls opportunistic }
"""
if not has_ipv6():
    SITE = SITE.replace(", [::1]:{port}", "")


@pytest.fixture
def site(place):
    with Sink(certificate=place) as far, Sink(lmtp=True) as lists:
        with Chainmail(place, SITE, via=far.port, lmtp=lists.port) as program:
            program.far, program.lists = far, lists
            yield program


def swaks(program, *arguments):
    got = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(program.port), *map(str, arguments)],
                         text=True, capture_output=True, timeout=60)
    assert got.returncode == 0, got.stdout + got.stderr
    return got.stdout


@pytest.mark.skipif(not have("swaks"), reason="swaks is not there")
def test_a_message_by_starttls_lies_in_the_maildir_with_its_trace(site):
    said = swaks(site, "--tls", "--from", "a@far.test", "--to", "ann@local.test", "--ehlo", "client.far.test",
                 "--header", "Subject: one")
    assert re.search(r"(?m)^=== TLS started with cipher TLSv1\.3", said)
    site.wait("delivered", to="ann@local.test")
    [text] = site.maildir("ann")
    head = text.split(b"\n\n")[0].decode()
    assert head.startswith("Return-Path: <a@far.test>\nDelivered-To: ann@local.test\n")
    received = re.search(r"(?m)^Received: from client\.far\.test .*\n(?:[ \t].*\n)*", head)[0]
    assert "127.0.0.1" in received and "by mx.local.test" in received and "ESMTPS" in received
    assert "TLS" in received
    found = re.search(r"(?m)^Authentication-Results: mx\.local\.test;(.*\n(?:[ \t].*\n)*)", head + "\n")[1]
    for method in "spf=", "dmarc=", "dkim=none", "arc=none":
        assert method in found
    assert head.index("Authentication-Results:") < head.index("Subject: one")
    assert b"\r" not in text


def test_an_alias_goes_home_and_away_and_what_leaves_is_sealed(site):
    site.send("a@far.test", ["team@local.test"], letter("both"))
    taken = site.far.wait(program=site)
    assert taken.recipients[0].startswith("TO:<ben@far.test>")
    assert taken.tls == "TLSv1.3"               # opportunistic: it is offered
    fields = email.message_from_bytes(taken.text)
    seal = fields["ARC-Seal"]
    assert "i=1" in seal and "d=local.test" in seal and "s=arc2026" in seal and "cv=none" in seal
    assert fields["ARC-Authentication-Results"].startswith("i=1; mx.local.test;")
    assert "ARC-Message-Signature" in fields
    site.wait("delivered", to="ann@local.test", orig_to="team@local.test")
    event = site.wait("delivered", to="ben@far.test", orig_to="team@local.test")
    assert event["tls"] == "TLSv1.3" and event["mx"] == f"127.0.0.1:{site.far.port}"
    assert b"ARC-Seal" not in site.maildir("ann")[0]


def test_a_catch_all_takes_names_that_nobody_has(site):
    site.send("a@far.test", ["anybody@local.test"], letter("caught"))
    site.wait("delivered", to="ann@local.test", orig_to="anybody@local.test")


def test_lmtp_answers_for_each_recipient(site):
    def reply(verb, argument):
        if verb == "TEXT" and "<full@" in argument:
            return "452 4.2.2 mailbox full"
        if verb == "TEXT" and "<never@" in argument:
            return "550 5.2.1 mailbox closed"
        return None
    site.lists.reply = reply
    site.send("a@far.test", [f"{user}@lists.test" for user in ("good", "full", "never")], letter("three"))
    assert site.wait("delivered", to="good@lists.test")["lmtp"] == f"127.0.0.1:{site.lists.port}"
    assert site.wait("deferred", to="full@lists.test")["reply"].startswith("452 ")
    assert site.wait("bounced", to="never@lists.test")["dsn"] == "5.2.1"
    site.lists.reply = None
    site.wait("delivered", to="full@lists.test")
    assert [t.recipients for t in site.lists.taken] == [["TO:<good@lists.test>"], ["TO:<full@lists.test>"]]
    report = site.far.wait(program=site)           # to a@far.test, by the fixed next hop
    assert report.sender.startswith("FROM:<>") and b"never@lists.test" in report.text


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
def test_both_families_are_listened_on(site):
    for host in "127.0.0.1", "::1":
        with Wire(site.port, host) as wire:
            assert wire.reply().startswith("220 mx.local.test ESMTP")


def test_only_one_client_may_relay(site):
    for source, code in ("127.0.0.2", "250"), ("127.0.0.1", "550"), ("127.0.0.3", "550"):
        with Wire(site.port, source=source) as wire:
            wire.reply()
            wire.ask("EHLO x.far.test")
            wire.ask("MAIL FROM:<a@far.test>")
            assert wire.ask("RCPT TO:<b@other.test>").startswith(code), source


def test_held_mail_waits(place):
    with Sink() as far:
        with Chainmail(place, SITE + "delivery { hold on }\n", via=far.port, lmtp=1) as program:
            program.send("a@far.test", ["ann@local.test"], letter("held"))
            [row] = until(program.queue, "a row")
            assert row["recipients"][0]["address"] == "ann@local.test"
            assert program.events("delivered") == [] and program.maildir("ann") == []
            # a new configuration lets it go
            program.configure(SITE)
            program.reload()
            program.wait("delivered", to="ann@local.test")


# --- extensions ------------------------------------------------------------------------


def test_eight_bits_and_utf8_arrive_as_they_were_sent(site):
    with site.client() as client:
        client.ehlo("client.far.test")
        for word in "8bitmime", "smtputf8", "chunking", "pipelining", "size", "starttls", "enhancedstatuscodes":
            assert client.has_extn(word), word
        body = "grüße\n"
        text = letter("eight", body="").replace(b"\r\n\r\n", b"\r\nMIME-Version: 1.0\r\n"
                                                b"Content-Type: text/plain; charset=utf-8\r\n"
                                                b"Content-Transfer-Encoding: 8bit\r\n\r\n") + body.encode()
        client.sendmail("a@far.test", ["ann@local.test"], text.replace(b"e\n", b"e\r\n"), ["BODY=8BITMIME"])
        client.sendmail("jürgen@far.test", ["jörg@lists.test"], letter("utf8"), ["SMTPUTF8", "BODY=8BITMIME"])
    site.wait("delivered", to="ann@local.test")
    assert site.maildir("ann")[0].endswith(b"\n\n" + body.encode())
    taken = site.lists.wait(program=site)
    assert "SMTPUTF8" in taken.sender and taken.recipients == ["TO:<jörg@lists.test>"]


def test_chunks_are_one_message(site):
    with Wire(site.port) as wire:
        wire.reply()
        wire.ask("EHLO client.far.test")
        wire.ask("MAIL FROM:<a@far.test> BODY=BINARYMIME")
        wire.ask("RSET")
        assert wire.ask("MAIL FROM:<a@far.test>").startswith("250")
        assert wire.ask("RCPT TO:<ann@local.test>").startswith("250")
        text = letter("chunked", body="one\n.\ntwo\n")
        for i, at in enumerate(range(0, len(text), 50)):
            piece = text[at:at + 50]
            assert wire.ask(f"BDAT {len(piece)}\r\n".encode() + piece).startswith("250"), i
        assert wire.ask("BDAT 0 LAST").startswith("250")
    site.wait("delivered", to="ann@local.test")
    assert site.maildir("ann")[0].endswith(b"\n\none\n.\ntwo\n")


def test_a_large_message_goes_through_a_file(site):
    body = "".join(f"{i:075d}\n" for i in range(20000))       # 1.5 MB
    site.send("a@far.test", ["ann@local.test", "x@lists.test"], letter("large", body=body))
    site.wait("delivered", to="ann@local.test")
    assert site.maildir("ann")[0].endswith(b"\n\n" + body.encode())
    assert site.lists.wait(program=site).text.endswith(body.replace("\n", "\r\n").encode())
    site.wait_empty()
    until(lambda: not list((site.directory / "state/queue/content").iterdir()), "no file is left")


# --- every way, every end -----------------------------------------------------------------

WAYS = {
    "maildir": "domain way.test { deliver to maildir {dir}/way/%u }",
    "lmtp": "domain way.test { deliver to lmtp 127.0.0.1:{sink} }",
    "smtp": "delivery { to way.test { via 127.0.0.1:{sink} } }",
}
REPLIES = {"delivered": None, "deferred": "451 4.3.0 later", "bounced": "550 5.1.1 nobody", "expired": "451 4.3.0 later"}


@pytest.mark.parametrize("way", WAYS)
def test_each_end_is_told_of_each_way(place, way):
    """The log knows a line for every end of every way; ends are chosen by the first letter."""
    def reply(verb, argument):
        return REPLIES["deferred"] if "<d" in argument else REPLIES["bounced"] if "<b" in argument else None
    with Sink(lmtp=way == "lmtp", reply=lambda v, a: reply(v, a) if v == "RCPT" else None) as sink:
        conf = ("hostname mx.local.test\nstate {dir}/state\nlog json\nresolver { facts {dir}/facts }\n"
                "domain far.test { deliver to discard }\n"
                "listen mx { on 127.0.0.1:{port}; allow relay from 127.0.0.1 }\n"
                "delivery { retry after 1s }\n" + WAYS[way])
        with Chainmail(place, conf, sink=sink.port) as program:
            (place / "way").mkdir(exist_ok=True)
            (place / "way" / "dora").write_text("in the way of a Maildir")
            for user in "good", "dora", "bert":
                program.send("a@far.test", [f"{user}@way.test"], letter(user))
            program.wait("delivered", to="good@way.test")
            seen = program.wait("deferred", to="dora@way.test")
            assert (way if way != "smtp" else "mx") in seen and seen["next"] >= 0 and seen["dsn"].startswith("4.")
            program.configure(conf + "\ndelivery { expire after 2s }\n")
            program.reload()
            program.wait("expired", to="dora@way.test")
            if way == "maildir":
                program.wait("delivered", to="bert@way.test")  # nothing is for good in a Maildir
            else:
                seen = program.wait("bounced", to="bert@way.test")
                assert (way if way != "smtp" else "mx") in seen and seen["dsn"] == "5.1.1"
            program.wait_empty()


# --- foreign peers ---------------------------------------------------------------------------


def postfix(name):
    import glob
    from chainmail import PEERS, ENVIRONMENT
    base = PEERS / "postfix" / "usr"
    if not (base / "sbin" / name).exists():
        pytest.skip(f"{name} of Postfix is not unpacked (./configure --deps)")
    libraries = [str(base / "lib" / "postfix"), *glob.glob(str(PEERS / "*" / "usr" / "lib" / "*-linux-gnu"))]
    return str(base / "sbin" / name), {**ENVIRONMENT, "LD_LIBRARY_PATH": ":".join(libraries)}


def test_smtp_source_of_postfix_delivers_here(site):
    program, environment = postfix("smtp-source")
    got = subprocess.run([program, "-s", "5", "-m", "40", "-l", "3000", "-f", "a@far.test", "-t", "ann@local.test",
                          "-M", "client.far.test", f"inet:127.0.0.1:{site.port}"],
                         env=environment, text=True, capture_output=True, timeout=60)
    assert got.returncode == 0 and got.stderr == "", got.stderr
    until(lambda: len(site.maildir("ann")) == 40, "40 messages")
    site.wait_empty()


def test_smtp_sink_of_postfix_takes_from_here(site):
    program, environment = postfix("smtp-sink")
    site.far.__exit__()
    sink = subprocess.Popen([program, *(["-u", "nobody"] if os.geteuid() == 0 else []), "-c", "-h", "sink.far.test", f"inet:127.0.0.1:{site.far.port}", "50"],
                            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for i in range(10):
            site.send("x@elsewhere.test", ["team@local.test"], letter(f"out {i}"))
        for i in range(10):
            site.wait("delivered", count=i + 1, to="ben@far.test")
    finally:
        sink.terminate()
        sink.wait(60)
