# SPDX-License-Identifier: ISC
"""Leaving a list with one click (RFC 8058): the fields, the door, what stays of it, and the way back."""
import email
import json
import re
import subprocess

import dkim
import pytest

from chainmail import DEADLINE, PLAIN, Chainmail, Sink, have, letter
from test_forward import arc_of, path, posts, public
from test_web import certify

SITE = """
hostname mx.local.test
state    {dir}/state
log      json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port} }
web { on 127.0.0.1:{second}; tls cert {dir}/web.pem key {dir}/web.key }
domain local.test {
    deliver to maildir {dir}/mail/%u; users owen, lia
    list news { members from file {dir}/members; owner owen; one-click "https://lists.local.test/leave"; tag subject "[n]" }
    list other { members ben@far.test; owner owen; one-click https://lists.local.test/leave/; verp off }
    list plain { members ben@far.test; owner owen }
}
key      arc2026 { domain local.test; file {dir}/dkim.pem }
delivery { via 127.0.0.1:{via}; retry after 1s; expire after 1h }
"""
ONE_CLICK = "List-Unsubscribe=One-Click"

pytestmark = pytest.mark.skipif(not have("curl"), reason="curl is not there")


@pytest.fixture
def site(place):
    (place / "facts").write_text(f"arc2026._domainkey.local.test. {public(place / 'dkim.pem')}\n")
    (place / "members").write_text("Ben@far.test\ncid@far.test\nlia@local.test\n")
    certify(place, "web", "lists.local.test")
    with Sink() as far, Chainmail(place, SITE, via=far.port) as program:
        program.far = far
        yield program


def post(site, count, to="news@local.test"):
    """What comes of a post to so many members elsewhere: member -> message."""
    site.far.taken.clear()
    site.send("a@loose.test", [to], letter("hello", From="a@loose.test", To=to))
    site.wait_empty()
    got = posts(site, count)
    assert len(got) == count
    return {member: email.message_from_bytes(taken.text) for member, taken in got.items()}


def uri_of(message):
    assert message["List-Unsubscribe-Post"] == ONE_CLICK
    return re.match(r"<(https://lists\.local\.test/leave/[\w.-]+)>", message["List-Unsubscribe"])[1]


def curl(site, uri, *arguments):
    """Status and page."""
    got = subprocess.run(["curl", "-q", "-sS", "--noproxy", "*", "--max-time", str(DEADLINE), "--cacert",
                          site.directory / "web.pem", "--connect-to", f"::127.0.0.1:{site.second}", "-w", "\n%{http_code}",
                          *arguments, uri], capture_output=True, timeout=2 * DEADLINE, text=True, check=True)
    page, _, status = got.stdout.rpartition("\n")
    return int(status), page


def left(site):
    got = site.command("lists", "left", "--json")
    assert got.returncode == 0, got.stderr
    return [(row["list"], row["member"]) for row in map(json.loads, got.stdout.splitlines())]


def test_each_member_has_a_way_of_his_own_and_it_is_signed(site):
    got = post(site, 2)
    site.wait("delivered", to="lia@local.test")
    [local] = site.maildir("lia")
    messages = [*got.values(), email.message_from_bytes(local)]
    assert len({uri_of(message) for message in messages}) == 3
    key = public(site.directory / "dkim.pem")[5:-1].encode()
    for taken in site.far.taken:
        message = email.message_from_bytes(taken.text)
        assert re.sub(r"\s+", " ", message["List-Unsubscribe"]).endswith(", <mailto:news-owner@local.test?subject=unsubscribe>")
        covered = re.search(r"h=([^;]*)", re.sub(r"\s+", "", message["DKIM-Signature"]))[1].lower().split(":")
        assert {"list-unsubscribe", "list-unsubscribe-post"} <= set(covered)        # RFC 8058 4
        assert dkim.verify(taken.text, dnsfunc=lambda name, timeout=5: key)
        assert arc_of(site, taken.text) == ("pass", "success")
    [plain] = post(site, 1, "plain@local.test").values()
    assert "List-Unsubscribe-Post" not in plain and "https:" not in plain["List-Unsubscribe"]


def test_who_clicks_is_off_and_may_come_back(site):
    uri = uri_of(post(site, 2)["Ben@far.test"])
    status, page = curl(site, uri)                                  # RFC 8058 3.1: looking does nothing
    assert status == 200 and '<form method="post">' in page and f'name="{ONE_CLICK.split("=")[0]}"' in page
    assert curl(site, uri, "-d", "List-Unsubscribe=No")[0] == 400
    assert curl(site, uri, "-d", "")[0] == 400
    assert curl(site, uri, "-X", "PUT")[0] == 405
    assert left(site) == []

    assert curl(site, uri, "-d", ONE_CLICK)[0] == 200
    event = site.wait("list-left")
    assert event["list"] == "news@local.test" and event["member"] == "ben@far.test"
    assert curl(site, uri, "-d", ONE_CLICK)[0] == 200               # again: nothing new
    assert len(site.events("list-left")) == 1
    assert left(site) == [("news@local.test", "ben@far.test")]
    assert list(post(site, 1)) == ["cid@far.test"]
    assert list(post(site, 1, "other@local.test")) == ["ben@far.test"]          # one list, not all

    site.kill()                                                     # the disk knows it
    site.start()
    assert list(post(site, 1)) == ["cid@far.test"]
    site.stop()
    assert left(site) == [("news@local.test", "ben@far.test")]      # also when nobody runs
    site.start()
    got = site.command("lists", "forget", "news@local.test", "BEN@far.test")
    assert got.returncode == 0, got.stderr
    assert site.command("lists", "forget", "news@local.test", "ben@far.test").returncode == 1
    assert left(site) == [] and sorted(post(site, 2)) == ["Ben@far.test", "cid@far.test"]


def test_multipart_and_the_words_of_others(site):
    got = post(site, 2)
    good = uri_of(got["cid@far.test"])
    base, _, word = good.rpartition("/")
    who, _, mac = word.partition(".")
    for bad in f"{base}/x", f"{base}/{who}.", f"{base}/{who}.{'A' * len(mac)}", f"{base}/{who[::-1]}.{mac}":
        assert curl(site, bad, "-d", ONE_CLICK)[0] == 404
    assert curl(site, base, "-d", ONE_CLICK)[0] == 404 and curl(site, f"{base}/", "-d", ONE_CLICK)[0] == 404
    assert left(site) == []
    assert curl(site, good, "-F", ONE_CLICK)[0] == 200              # multipart/form-data (RFC 8058 3.2)
    assert left(site) == [("news@local.test", "cid@far.test")]


def test_the_last_member_gone_nothing_is_posted(site):
    [message] = post(site, 1, "other@local.test").values()
    assert curl(site, uri_of(message), "-d", ONE_CLICK)[0] == 200
    site.send("a@loose.test", ["other@local.test"], letter("to nobody"))
    site.wait("dropped", reason="no-member")


def test_a_certificate_for_another_name_is_warned_of(site):
    check = [PLAIN, "config", "check", site.file]
    got = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
    assert got.returncode == 0 and "no certificate of" not in got.stdout + got.stderr
    certify(site.directory, "web", "www.local.test")
    got = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
    assert 'no certificate of "web" is for lists.local.test' in got.stdout + got.stderr


def test_without_door_or_key_it_is_refused(place):
    for less, why in (("web {", "needs a door for HTTPS"), ("key ", "needs a signature")):
        text = "".join(line + "\n" for line in SITE.splitlines() if not line.startswith(less))
        (place / "members").write_text("ben@far.test\n")
        certify(place, "web", "lists.local.test")
        program = Chainmail(place, text, via=1)
        got = subprocess.run([PLAIN, "config", "check", program.file], capture_output=True, text=True, timeout=60, check=False)
        assert got.returncode != 0 and why in got.stdout + got.stderr
