# SPDX-License-Identifier: ISC
"""`chainmail why`: what became of a message, while the program runs, when it is down, and after a crash."""
import json
import re
import smtplib
import time

import pytest

from chainmail import EX_TEMPFAIL, Chainmail, Sink, letter, until

SITE = """
hostname mx.local.test
state    {dir}/state
log      json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; allow relay from 127.0.0.9 }
domain local.test {
    deliver to maildir {dir}/mail/%u; users ann, ben
    list news { members ann, ben; owner ann }
}
delivery { via 127.0.0.1:{via}; retry after 1s; expire after {expire} }
policy { dmarc reject strict }
"""

FACTS = """
local.test.           MX  10 mx.local.test.
far.test.             TXT "v=spf1 ip4:127.0.0.1 -all"
strict.test.          TXT "v=spf1 -all"
_dmarc.strict.test.   TXT "v=DMARC1; p=reject"
"""


def answers(verb, argument):
    if verb == "RCPT" and "later" in argument:
        return "451 4.2.1 not <now>, \"please\""
    if verb == "RCPT" and "never" in argument:
        return "550 5.1.1 nobody of that name"
    return None


@pytest.fixture
def site(place, request):
    (place / "facts").write_text(FACTS)
    with Sink(reply=answers) as far, Chainmail(place, SITE, via=far.port, expire=getattr(request, "param", "1h")) as program:
        program.far = far
        yield program


def why(site, what, *options, code=0):
    got = site.command("why", what, *options)
    assert got.returncode == code, (got.stdout, got.stderr)
    return got


def told(site, what, *options):
    """The tales, by the ID of their message; refusals are gathered under None."""
    tales = {}
    for line in why(site, what, "--json", *options).stdout.splitlines():
        tale = json.loads(line)
        tales.setdefault(tale["id"] if "end" in tale else None, []).append(tale)
    return {key: value if key is None else value[0] for key, value in tales.items()}


def events(tale):
    """Without what each attempt at a server says that has no STARTTLS."""
    return [e["event"] for e in tale["events"] if e["event"] != "tls-failed"]


def arrived(site, what):
    """Those of which the listener has told, a moment after the queue knew."""
    return {id: t for id, t in told_if_any(site, what).items() if {"received", "rejected"} & set(events(t))}


def told_if_any(site, what):
    got = site.command("why", what, "--json")
    return {t["id"]: t for t in map(json.loads, got.stdout.splitlines()) if "end" in t}


def relay(site, sender, recipients, text):
    site.send(sender, recipients, text, source="127.0.0.9")


def test_delivered_is_found_by_each_of_its_names(site):
    site.send("a@far.test", ["ann@local.test", "ben@local.test"], letter(Message_ID="<one@far.test>"))
    id = site.wait("received")["id"]
    site.wait("delivered", count=2)
    for name in id, id.lower(), "a@far.test", "<A@far.test>", "Ben@Local.test", "one@far.test", "<one@far.test>":
        tale = until(lambda: arrived(site, name).get(id), name)
        assert (tale["end"], events(tale)) == ("delivered", ["received", "delivered", "delivered"]), name
        assert tale["queue"] is None
    received = tale["events"][0]
    assert received["to"] == "<ann@local.test>,<ben@local.test>" and received["client"] == "127.0.0.1"
    assert received["spf"] == "pass" and received["dmarc"] == "none"
    text = why(site, id).stdout
    assert re.match(rf"{id}  Delivered to 2 recipients\.\n  \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d  accepted from 127\.0\.0\.1 "
                    r"\(client\.far\.test\), from <a@far\.test> to <ann@local\.test>,<ben@local\.test>, \d+ bytes\n", text), text
    assert "Message-ID <one@far.test>" in text and "found spf=pass" in text
    assert f"delivered to <ann@local.test> in {site.directory}/mail/ann" in text
    got = why(site, "nobody@far.test", code=1)
    assert got.stdout == "" and "neither history nor queue know of nobody@far.test" in got.stderr
    site.command("why", id)
    got = site.command("why", "a", "b")
    assert got.returncode == 64


def test_what_waits_tells_what_was_found_and_what_comes(site):
    relay(site, "ann@local.test", ["later@far.test"], letter())
    id = site.wait("received")["id"]
    site.wait("deferred", count=3)
    tale = until(lambda: arrived(site, "later@far.test").get(id), "its tale")
    assert tale["end"] == "waiting" and events(tale)[:4] == ["received", "deferred", "deferred", "deferred"]
    assert tale["queue"]["recipients"][0]["address"] == "later@far.test"
    assert [e["reply"] for e in tale["events"] if e["event"] == "deferred"][0] == '451 not <now>, "please"'
    text = why(site, id).stdout
    assert re.search(r"^\w+  Not delivered yet to 1 recipient; it will be tried until .* \(5\dm", text), text
    assert re.search(r"try 1: not delivered yet to <later@far.test> at 127.0.0.1\S*(, policy \S+)?\n"
                     r' +451 4\.2\.1 not <now>, "please"\n'
                     r" +and \d+ more tr(y|ies) with the same end, the last at 20", text), text
    assert re.search(r"next: try \d+ for <later@far.test>", text), text
    assert site.command("queue", "hold", id).returncode == 0
    assert f"Held: it is not tried until somebody says chainmail queue release {id}." in why(site, id).stdout
    assert site.stop() == 0
    assert told(site, id)[id]["end"] == "held" and told(site, "later@far.test")[id]["queue"]["queue_id"] == id
    site.start()
    assert site.command("queue", "drop", id).returncode == 0
    until(lambda: told(site, id)[id]["end"] == "dropped", "its end")
    assert "given up, nobody was told; reason: command" in why(site, id).stdout


def test_refused_at_rcpt(site):
    with site.client() as client:
        client.ehlo()
        client.mail("a@far.test")
        for _ in range(3):
            assert client.rcpt("nobody@local.test")[0] == 550
        assert client.rcpt("x@elsewhere.test")[0] == 550
    until(lambda: site.command("why", "a@far.test", "--json").stdout.count("\n") == 4, "the refusals, which come together")
    refused = told(site, "nobody@local.test")[None]
    assert [(e["from"], e["verb"], e["reply"]) for e in refused] == [("<a@far.test>", "rcpt", "550")] * 3
    text = why(site, "nobody@local.test").stdout
    assert re.fullmatch(r"Refused before a message was sent:\n  \S+ \S+  rcpt refused from 127.0.0.1 \(client.far.test\), "
                        r"from <a@far.test> to <nobody@local.test>\n +answered 550 5\.1\.1 .*; and 2 more times\n", text), text
    assert len(told(site, "a@far.test")[None]) == 4
    assert site.stop() == 0
    assert len(told(site, "a@far.test")[None]) == 4 and why(site, "x@elsewhere.test").stdout.count("relaying") == 1


def test_refused_by_dmarc(site):
    with pytest.raises(smtplib.SMTPDataError):
        site.send("a@far.test", ["ann@local.test"], letter(From="boss@strict.test", Message_ID="<forged@strict.test>"))
    id = site.wait("rejected")["id"]
    for name in id, "ann@local.test", "a@far.test", "forged@strict.test":
        tale = until(lambda: arrived(site, name).get(id), name)
        assert (tale["end"], events(tale)) == ("refused", ["rejected"])
    text = why(site, "ann@local.test").stdout
    assert f"{id}  Refused: it was never taken in; whoever brought it was told so." in text
    assert "dmarc=fail" in text and re.search(r"answered 550 5\.7\.26 ", text), text


def test_bounced_and_the_report_about_it(site):
    relay(site, "ann@local.test", ["never@far.test", "fine@far.test"], letter())
    id = site.wait("received")["id"]
    site.wait("bounced")
    report = site.wait("report")["id"]
    site.wait("delivered", id=report)
    tale = until(lambda: arrived(site, "never@far.test").get(id), "its tale")
    assert tale["end"] == "failed" and sorted(events(tale)) == ["bounced", "delivered", "received", "report"]
    tales = told(site, id)
    assert sorted(tales) == sorted([id, report]) and tales[report]["end"] == "delivered"
    text = why(site, id).stdout
    assert f"{id}  It could not be delivered to 1 recipient; it was delivered to 1 recipient. The sender was told." in text
    assert f"the sender was told (failed): report {report} to <ann@local.test>" in text
    assert "refused for good for <never@far.test>" in text and "550 5.1.1 nobody of that name" in text


@pytest.mark.parametrize("site", ["2s"], indirect=True)
def test_expired(site):
    relay(site, "ann@local.test", ["later@far.test"], letter())
    id = site.wait("received")["id"]
    site.wait("expired")
    site.wait("report")
    tale = until(lambda: told(site, id)[id]["queue"] is None and told(site, id)[id], "its end")
    assert tale["end"] == "failed" and events(tale)[-2:] == ["expired", "report"]
    assert "given up after too long a time: <later@far.test>" in why(site, id).stdout


def test_a_list_and_its_post(site):
    site.send("a@far.test", ["news@local.test"], letter(Message_ID="<post@far.test>"))
    id = site.wait("received")["id"]
    post = site.wait("queued", parent=id)["id"]
    site.wait("delivered", count=2, id=post)
    tales = until(lambda: len(told(site, id)) == 2 and told(site, id), "both tales")
    assert tales[id]["end"] == "passed-on" and tales[post]["end"] == "delivered"
    text = why(site, id).stdout
    assert f"posted to the list as {post} for 2 recipients" in text and f"made here by a list of {id}" in text


def test_a_flood_of_refusals_is_counted_and_not_kept(site):
    """Of one client twenty in a minute and process; the end of the listener tells how many there were more."""
    for _ in range(5):
        with site.client() as client:
            client.ehlo()
            client.mail("a@far.test")
            for i in range(12):
                client.rcpt(f"{i}@local.test")
    assert site.stop() == 0
    got = why(site, "a@far.test", "--json")
    kept = len(got.stdout.splitlines())
    assert 20 <= kept <= 40
    assert f"{60 - kept} refusals were too many in their minute and are not kept, between 20" in got.stderr


def test_a_crash_costs_the_last_seconds_and_nothing_else(site):
    ids = []
    for turn in range(3):
        site.send("a@far.test", ["ann@local.test"], letter())
        ids.append(site.wait("received", count=turn + 1, to="<ann@local.test>")["id"])
        until(lambda: ids[-1] in arrived(site, "a@far.test"), "that it is written")
        until(lambda: told(site, ids[-1])[ids[-1]]["end"] == "delivered", "its end")
        site.send("a@far.test", ["ben@local.test"], letter())
        site.kill()
        assert set(ids) <= set(told_if_any(site, "a@far.test"))
        site.start()
    assert set(ids) <= set(told(site, "a@far.test")) and not site.events("alarm")


def test_never_and_a_shorter_time(site):
    site.send("a@far.test", ["ann@local.test"], letter())
    id = site.wait("received")["id"]
    until(lambda: id in told_if_any(site, id), "that it is kept")
    assert site.stop() == 0
    time.sleep(1.1)
    assert site.command("why", id, "--since", "1s").returncode == 1
    site.configure(SITE.replace("log      json", "log json; history never"))
    site.start()
    site.send("b@far.test", ["ann@local.test"], letter())
    site.wait("delivered", count=2)
    got = why(site, "b@far.test", code=1)
    assert "history never" in got.stderr


@pytest.mark.parametrize("name", ["history", "queue"])
def test_what_may_not_be_looked_at_is_not_missing(site, name):
    """Root may look at everything: so a link to itself stands for what is forbidden."""
    site.send("a@far.test", ["ann@local.test"], letter())
    id = site.wait("received")["id"]
    until(lambda: id in told_if_any(site, id), "that it is kept")
    assert site.stop() == 0
    (site.directory / "state" / name).rename(site.directory / "away")
    (site.directory / "state" / name).symlink_to(name)
    got = why(site, "ben@far.test", code=EX_TEMPFAIL)
    assert f"cannot look at {site.directory}/state/{name}: " in got.stderr, got
    (site.directory / "state" / name).unlink()
    why(site, "ben@far.test", code=1)                       # missing: nothing was ever queued
