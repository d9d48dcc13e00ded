# SPDX-License-Identifier: ISC
"""What our own clients leave out is added before it is signed: Date and Message-ID (RFC 6409 8.2, 8.3)."""
import email
import email.utils
import re
import subprocess
import time

import dkim
import pytest

from chainmail import Chainmail, Sink, until
from ports import free_ports

SITE = """
hostname mx.local.test
state    {dir}/state
log      json
resolver { facts {dir}/facts }
listen mx      { on 127.0.0.1:{port} }
listen signing { on 127.0.0.1:{second}; allow relay from 127.0.0.1; sign dkim local.test }
listen manager { on 127.0.0.1:{third}; allow relay from 127.0.0.1; seal arc; sign dkim local.test }
listen plain   { on 127.0.0.1:{fourth}; allow relay from 127.0.0.1 }
domain   local.test { deliver to maildir {dir}/mail/%u; users ann; list news { members ben@far.test } }
key      s { domain local.test; file {dir}/dkim.pem }
delivery { via 127.0.0.1:{via}; retry after 1s; expire after 1h }
"""

BARE = "From: scanner@local.test\r\nTo: b@far.test\r\nSubject: scan\r\n\r\nseen\r\n"


@pytest.fixture
def site(place):
    (place / "facts").write_text("local.test. MX 10 mx.local.test.\n")
    third, fourth = free_ports(2)
    with Sink() as far, Chainmail(place, SITE, via=far.port, third=third, fourth=fourth) as program:
        program.far = far
        yield program


def send(program, port, text, recipient="b@far.test"):
    """At one of the doors; gives what came out behind it."""
    with program.client(port=port) as client:
        client.sendmail("scanner@local.test", [recipient], text)
    program.far.wait(1, program=program)
    return program.far.taken[0].text


def is_signed(program, text):
    key = subprocess.run(["openssl", "pkey", "-in", str(program.directory / "dkim.pem"), "-pubout"], check=True,
                         capture_output=True, timeout=60).stdout
    record = b"v=DKIM1; k=rsa; p=" + b"".join(key.splitlines()[1:-1])
    return dkim.verify(text, dnsfunc=lambda name, timeout=5: record)


def test_a_printer_gets_both_and_nobody_behind_need_add_them(site):
    text = send(site, site.names["second"], BARE)
    header = email.message_from_bytes(text)
    assert len(header.get_all("Date")) == len(header.get_all("Message-ID")) == 1
    assert abs(email.utils.parsedate_to_datetime(header["Date"]).timestamp() - time.time()) < 600
    assert re.fullmatch(r"<\S+@mx\.local\.test>", header["Message-ID"])
    assert site.wait("received")["message-id"] == header["Message-ID"]
    assert list(header.keys())[:5] == ["DKIM-Signature", "Received", "Date", "Message-ID", "From"]
    assert is_signed(site, text)


@pytest.mark.parametrize("there, added", [
    ("Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n", "Message-ID"),
    ("message-id: <x@local.test>\r\n", "Date"),
    ("DATE: x\r\nMessage-Id: <x@local.test>\r\n", None),
])
def test_what_is_there_stays(site, there, added):
    text = send(site, site.names["second"], there + BARE)
    header = email.message_from_bytes(text)
    assert there.encode() in text and is_signed(site, text)
    assert len(header.get_all("Date")) == 1 and text.lower().count(b"\r\nmessage-id") == 1
    received = text[text.index(b"\r\nReceived:") + 2:text.index(there.encode())].decode()
    assert [name for name in ("Date", "Message-ID") if f"\r\n{name}: " in received] == ([added] if added else [])


def test_a_list_of_ours_has_it_too(site):
    header = email.message_from_bytes(send(site, site.names["second"], BARE, "news@local.test"))
    assert header["Date"] and header["Message-ID"]


def test_who_is_signed_for_as_the_author_gets_both_too(site):
    text = send(site, site.names["fourth"], BARE)
    header = email.message_from_bytes(text)
    assert header["Date"] and header["Message-ID"] and is_signed(site, text)


@pytest.mark.parametrize("door, author", [("third", "local.test"), ("fourth", "without.key.test")])
def test_a_list_manager_and_who_is_not_signed_for_say_it_themselves(site, door, author):
    header = email.message_from_bytes(send(site, site.names[door], BARE.replace("local.test", author)))
    assert header["Date"] is None and header["Message-ID"] is None


def test_a_stranger_is_left_as_he_is(site):
    with site.client() as client:
        client.sendmail("x@far.test", ["ann@local.test"], BARE.replace("scanner@local", "x@far"))
    until(lambda: site.maildir("ann"), site.text)
    header = email.message_from_bytes(site.maildir("ann")[0])
    assert header["Date"] is None and header["Message-ID"] is None
