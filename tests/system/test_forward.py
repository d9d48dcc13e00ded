# SPDX-License-Identifier: ISC
"""Forwards, lists and list managers: the running program, its configuration, and what others get to see."""
import base64
import email
import json
import os
import re
import shutil
import smtplib
import subprocess

import dkim
import pytest

from chainmail import EX_CONFIG, PLAIN, Chainmail, Sink, letter, until

SITE = """
hostname mx.local.test
state    {dir}/state
log      json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port} }
listen back { on 127.0.0.1:{second}; allow relay from 127.0.0.1; seal arc; sign dkim local.test }
domain local.test {
    deliver to maildir {dir}/mail/%u; users ann, owen, mona
    alias team -> ann, ben@far.test
    alias crew -> team, ben@far.test, cid@far.test
    list news { members ben@far.test, cid@far.test, owen; owner owen; tag subject "[news]"
        footer "-- \\nnews"; name "News"; from when-needed; archive "https://local.test/archive" }
    list plain { members ben@far.test; owner owen; skip sender, addressed; from when-needed; members dan@far.test, eva@far.test; verp off }
    list kept { members ben@far.test; owner owen; tag subject "[kept]"; from keep }
    list shut { members ben@far.test; post members; moderator mona; owner owen }
    list closed { members ben@far.test; post members; owner owen }
    lists from mailman {dir}/map
}
key      arc2026 { domain local.test; file {dir}/dkim.pem }
arc      { trust from file {dir}/sealers }
delivery { via 127.0.0.1:{via}; retry after 1s; expire after 1h }
"""

FACTS = """
mx.local.test.        A   192.0.2.1
local.test.           MX  10 mx.local.test.
local.test.           TXT "v=spf1 a:mx.local.test -all"
_dmarc.local.test.    TXT "v=DMARC1; p=reject"
strict.test.          TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.strict.test.   TXT "v=DMARC1; p=reject"
loose.test.           A   192.0.2.9
_dmarc.loose.test.    TXT "v=DMARC1; p=none"
both.test.            TXT "v=spf1 ip4:127.0.0.1 ip4:192.0.2.1 -all"
other.test.           TXT "v=spf1 ip4:127.0.0.1 -all"
"""

OURS = "SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=strict.test=a@local.test"


def public(key):
    der = subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-outform", "DER"], check=True,
                         capture_output=True, timeout=60).stdout
    return f'TXT "v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"'


@pytest.fixture
def site(place):
    record = public(place / "dkim.pem")
    keys = [f"{name} {record}" for name in ("arc2026._domainkey.local.test.", "s._domainkey.strict.test.",
                                            "s._domainkey.loose.test.", "s._domainkey.hop.test.")]
    (place / "facts").write_text(FACTS + "\n".join(keys) + "\n")
    (place / "sealers").write_text("# nobody\n")
    with Sink() as far, Sink(lmtp=True) as manager:
        (place / "map").write_text("# made by Mailman\n" + "".join(
            f"mm{suffix}@local.test  lmtp:[127.0.0.1]:{manager.port}\n" for suffix in ("", "-bounces", "-request")))
        with Chainmail(place, SITE, via=far.port) as program:
            program.far, program.manager = far, manager
            yield program


def signed(program, text, domain="strict.test", selector=b"s"):
    key = (program.directory / "dkim.pem").read_bytes()
    return dkim.sign(text, selector, domain.encode(), key, include_headers=[b"From", b"To", b"Subject", b"Date"]) + text


def sealed_by(program, text, domain, results):
    """A seal of somebody else's, over what he says he saw."""
    key = (program.directory / "dkim.pem").read_bytes()
    text = f"Authentication-Results: mx.{domain}; arc=none; {results}\r\n".encode() + text
    return b"".join(dkim.arc_sign(text, b"s", domain.encode(), key, f"mx.{domain}".encode())) + text


def arc_of(program, text):
    """What python3-dkim says of the chain."""
    records = {}
    for line in (program.directory / "facts").read_text().splitlines():
        found = re.match(r'(\S+_domainkey\S+)\s+TXT "(.*)"', line)
        if found:
            records[found[1].encode()] = found[2].encode()
    cv, _, reason = dkim.arc_verify(text, dnsfunc=lambda name, timeout=5: records.get(name))
    return (cv or b"none").decode(), reason


def path(line):
    """The address in "FROM:<a@b> SIZE=1"."""
    return re.search(r"<(.*?)>", line)[1]


def answer(program, sender, recipient):
    with program.client() as client:
        client.ehlo()
        assert client.mail(sender)[0] == 250
        code, text = client.rcpt(recipient)
        return f"{code} {text.decode()}"


# --- forwards -----------------------------------------------------------------------------


FORWARDED = [
    ("a@strict.test", OURS),                            # SPF would fail for it
    ("a@other.test", "SRS0=.*=other.test=a@local.test"),
    ("a@both.test", "a@both.test"),                     # SPF names us too
    ("a@loose.test", "a@loose.test"),                   # no SPF: nothing can fail
    ("ann@local.test", "ann@local.test"),               # our own
    ("SRS0=AAAA=BB=first.test=x@other.test", "SRS1=[A-Z2-7]{6}=other.test==AAAA=BB=first.test=x@local.test"),
    ("", ""),
]


@pytest.mark.parametrize("sender, onward", FORWARDED, ids=[s or "null" for s, _ in FORWARDED])
def test_a_forward_gets_a_sender_of_ours_where_spf_would_fail(site, sender, onward):
    site.send(sender, ["team@local.test"], letter(From="x@loose.test"))
    taken = site.far.wait(program=site)
    assert re.fullmatch(onward, path(taken.sender))
    site.wait("delivered", to="ann@local.test")
    assert site.maildir("ann")[0].startswith(b"Return-Path: <%s>\n" % sender.encode())       # at home it stays


# p=reject, but it looks like the post of a list elsewhere, so it is taken: nothing proves that we wrote it.
FORGED = b"List-Id: <x.test>\r\n" + letter("pay", From='"CEO" <ceo@local.test>')


def test_a_forward_proves_no_author_of_ours_who_was_not_proved(site):
    site.send("a@strict.test", ["team@local.test"], FORGED)
    assert site.wait("received")["dmarc"].startswith("fail")
    taken = site.far.wait(program=site)
    assert path(taken.sender) == "a@strict.test" and b"DKIM-Signature" not in taken.text
    assert "dmarc=fail" in email.message_from_bytes(taken.text)["ARC-Authentication-Results"]


def test_a_bounce_finds_back_and_nothing_else_does(site):
    site.send("a@strict.test", ["team@local.test"], letter())
    ours = path(site.far.wait(program=site).sender)
    assert answer(site, "spam@loose.test", ours).startswith("550 5.7.1")
    forged = ours.replace("SRS0=", "SRS0=A" if ours[5] != "A" else "SRS0=B", 1)
    forged = forged[:6] + forged[7:]
    assert answer(site, "", forged) == "550 5.1.1 no such user here: the forwarding address is forged"
    assert answer(site, "", "SRS0=x@local.test").startswith("550 5.1.1")
    # what it stands for survives a restart: the secret is kept
    assert oct((site.directory / "state" / "secrets").stat().st_mode & 0o777) == "0o600"
    site.stop()
    site.start()
    site.send("", [ours.lower()], letter("it came back"))       # others fold the case
    back = site.far.wait(2, program=site)
    assert path(back.recipients[0]) == "a@strict.test" and path(back.sender) == ""
    site.wait_empty()


def test_a_bounce_finds_back_after_a_restoration(site, tmp_path):
    """What only this host knows is in the backup, and joins what it has made since."""
    saved, state = tmp_path / "saved", site.directory / "state"
    site.send("a@strict.test", ["team@local.test"], letter())
    ours = path(site.far.wait(program=site).sender)
    site.wait_empty()
    got = site.command("backup", saved)
    assert (got.returncode, got.stderr) == (0, "")
    assert oct((saved / "secrets").stat().st_mode & 0o777) == "0o600"
    site.stop()
    shutil.rmtree(state)
    state.mkdir(0o700)
    site.start()
    assert "forged" in answer(site, "", ours)
    site.send("a@strict.test", ["team@local.test"], letter())
    since = path(site.far.wait(2, program=site).sender)
    site.wait_empty()
    site.stop()
    got = site.command("restore", saved)
    assert (got.returncode, got.stderr) == (0, "")
    assert oct((state / "secrets").stat().st_mode & 0o777) == "0o600"
    site.start()
    assert answer(site, "", ours).startswith("250") and answer(site, "", since).startswith("250")
    site.stop()
    (saved / "secrets").write_bytes((saved / "secrets").read_bytes()[:-9] + b"00000000\n")
    got = site.command("restore", saved)
    assert got.returncode == 65 and "secrets is not what was saved" in got.stderr


def test_who_is_reached_twice_gets_one_copy(site):
    site.send("a@loose.test", ["team@local.test", "crew@local.test", "ann@local.test"], letter("once"))
    site.wait("delivered", 3)
    site.wait_empty()
    assert len(site.maildir("ann")) == 1
    got = sorted(path(r) for t in site.far.taken for r in t.recipients)
    assert got == ["ben@far.test", "cid@far.test"]


# --- lists that are run here -----------------------------------------------------------------


def posts(program, count):
    program.far.wait(count, program=program)
    return {path(t.recipients[0]): t for t in program.far.taken}


def test_a_post_is_sealed_once_for_all_its_members(site):
    """They are tried at the same time; the first has it made, the others wait for that."""
    members = [f"m{n}@far{n}.test" for n in range(60)]
    site.configure(SITE + "domain many.test { list all { members %s; owner ann@local.test } }\n" % ", ".join(members)
                   + "key many { domain many.test; file {dir}/dkim.pem }\n")
    site.reload()
    site.send("a@loose.test", ["all@many.test"], letter())
    got = posts(site, len(members))
    assert sorted(got) == sorted(members) and len({taken.text for taken in got.values()}) == 1
    site.wait_empty()
    assert len(site.events("sealed")) == 1


def test_a_post_has_the_marks_of_its_list(site):
    site.send("a@loose.test", ["news@local.test"], signed(site, letter("hello", From="A <a@loose.test>"), "loose.test"))
    got = posts(site, 2)
    assert sorted(got) == ["ben@far.test", "cid@far.test"]
    for member, taken in got.items():
        assert path(taken.sender) == f"news-bounces+{member.replace('@', '=')}@local.test"
    message = email.message_from_bytes(taken.text)
    assert message["Subject"] == "[news] hello" and message["From"] == "A <a@loose.test>"     # p=none: it is his
    assert message["List-Id"] == '"News" <news.local.test>'
    assert message["List-Post"] == "<mailto:news@local.test>"
    assert message["List-Owner"] == "<mailto:news-owner@local.test>"
    assert message["List-Unsubscribe"] == "<mailto:news-owner@local.test?subject=unsubscribe>"
    assert message["List-Archive"] == "<https://local.test/archive>"
    assert message.get_payload().endswith("-- \r\nnews\r\n")
    assert arc_of(site, taken.text)[0] == "pass"
    assert "dkim=pass" in message["ARC-Authentication-Results"] and "i=1" in message["ARC-Seal"]
    assert message["DKIM-Signature"].find("d=local.test") >= 0
    # both have a sender of their own and the same seal
    assert got["ben@far.test"].text == got["cid@far.test"].text
    assert dkim.verify(taken.text, dnsfunc=lambda name, timeout=5: public(site.directory / "dkim.pem")[5:-1].encode())
    site.wait("delivered", to="owen@local.test")


BEFORE = """
hostname mx.local.test
state    {dir}/state
log      json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; allow relay from 127.0.0.1 }
domain local.test { deliver to maildir {dir}/mail/%u; users ann, postmaster }
delivery { via 127.0.0.1:{via}; retry after 1s; expire after 1h }
"""


def test_what_came_before_the_key_is_signed(place):
    """Nobody hashed its body then; short mail lies in the record, long mail in a file."""
    record = public(place / "dkim.pem")
    (place / "facts").write_text(FACTS)
    with Sink() as far, Chainmail(place, BEFORE + "delivery { hold on }\n", via=far.port) as program:
        for lines in 1, 20000:
            text = letter(str(lines), body="A  line, \tand more.  \n" * lines, From="ann@local.test")
            program.send("ann@local.test", ["ben@far.test"], text)
        assert len(program.queue()) == 2 and far.taken == []
        program.configure(BEFORE + "key k { domain local.test; file {dir}/dkim.pem }\n")
        program.reload()
        for taken in far.wait(1), far.wait(2):
            assert dkim.verify(taken.text, dnsfunc=lambda name, timeout=5: record[5:-1].encode()), taken.subject


def test_what_our_clients_send_is_signed_or_it_is_said_why_not(place):
    (place / "facts").write_text(FACTS)
    with Sink() as far, Chainmail(place, BEFORE + "key k { domain local.test; file {dir}/dkim.pem }\n", via=far.port) as program:
        with pytest.raises(smtplib.SMTPDataError) as said:
            program.send("ann@local.test", ["ben@far.test"], b"From: eve@other.test\r\n" + letter("two", From="ann@local.test"))
        assert said.value.smtp_code == 550 and b"From" in said.value.smtp_error
        program.send("ann@local.test", ["ben@far.test"], b"Resent-To: x@y.test\r\n" * 1001 + letter("many", From="ann@local.test"))
        assert b"DKIM-Signature" not in far.wait(1).text
        event = program.wait("sealed")
        assert "dkim" not in event and "1000" in event["reason"]
        assert f"not signed: {event['reason']}" in program.command("why", event["id"]).stdout


AUTHORS = [
    ("news", "strict.test", True, "A via News <news@local.test>"),      # tag and footer: his signature breaks
    ("plain", "strict.test", True, None),                               # it survives
    ("plain", "strict.test", False, "A via plain <plain@local.test>"),  # there was none
    ("kept", "strict.test", True, None),
    ("news", "loose.test", True, None),
    ("news", "local.test", True, None),                                 # ours: we sign
]


@pytest.mark.parametrize("name, domain, sign, author", AUTHORS)
def test_the_list_becomes_the_author_only_where_it_must(site, name, domain, sign, author):
    text = letter("hello", From=f"A <a@{domain}>")
    text = signed(site, text, domain, b"arc2026" if domain == "local.test" else b"s") if sign else text
    site.send(f"a@{domain}", [f"{name}@local.test"], text)
    taken = until(lambda: posts(site, 1).get("ben@far.test"), "the post to ben: others may have theirs before him")
    message = email.message_from_bytes(taken.text)
    assert re.sub(r"\s+", " ", message["From"]).replace('"', "") == (author or f"A <a@{domain}>")
    if author:
        assert message["Reply-To"] == message["X-Original-From"] == f"A <a@{domain}>"
    site.wait_empty()


@pytest.mark.parametrize("name", ["kept", "news"])
def test_a_list_proves_no_author_of_ours_who_was_not_proved(site, name):
    """Whatever its `from` says: signed for the list, it would pass DMARC as the author."""
    site.send("ceo@local.test", [f"{name}@local.test"], FORGED)
    message = email.message_from_bytes(until(lambda: posts(site, 1).get("ben@far.test"), "the post").text)
    assert message["From"].endswith(f"<{name}@local.test>") and message["X-Original-From"].endswith("<ceo@local.test>")


def test_a_bounce_of_a_post_goes_to_the_owner_and_names_the_member(site):
    site.send("", ["news-bounces+ben=far.test@local.test"], letter("failed"))
    event = site.wait("list-bounce")
    assert event["list"] == "news@local.test" and event["member"] == "<ben@far.test>".strip("<>")
    site.wait("delivered", to="owen@local.test")
    assert b"Subject: failed" in site.maildir("owen")[0]


def test_who_may_not_post_goes_to_the_moderator_or_away(site):
    assert answer(site, "x@loose.test", "closed@local.test").startswith("550 5.7.2")
    assert answer(site, "", "news@local.test").startswith("550 5.7.2")
    site.send("x@loose.test", ["shut@local.test"], letter("please"))
    site.wait("delivered", to="mona@local.test")
    assert not site.far.taken
    site.send("mona@local.test", ["shut@local.test"],
              signed(site, letter("approved", From="mona@local.test"), "local.test", b"arc2026"))
    assert site.far.wait(program=site).subject == "approved"
    site.send("ben@far.test", ["shut@local.test"], letter("of a member", From="ben@far.test"))
    assert site.far.wait(2, program=site).subject == "of a member"


def test_who_has_a_post_already_gets_no_copy(site):
    site.send("ben@far.test", ["plain@local.test"],
              letter(From="ben@far.test", To="plain@local.test", Cc="Eva <eva@FAR.test>"))
    taken = site.far.wait(program=site)
    assert [path(r) for r in taken.recipients] == ["dan@far.test"]
    assert path(taken.sender) == "plain-bounces@local.test"             # verp off
    site.wait_empty()
    assert len(site.far.taken) == 1


def test_a_post_does_not_go_round(site):
    site.send("a@loose.test", ["plain@local.test"], letter(List_Id="<plain.local.test>"))
    site.wait("dropped", reason="list-loop")
    site.wait_empty()


# --- list managers ------------------------------------------------------------------------------


def hand_back(program, text, recipients=("ben@far.test",), sender="mm-bounces@local.test"):
    with smtplib.SMTP("127.0.0.1", program.second, "localhost", 60) as client:
        client.sendmail(sender, list(recipients), text)


def changed(text):
    """As a list manager does: folds anew, a tag, a footer."""
    text = text.replace(b"Subject: ", b"Subject: [mm] ", 1)
    return text + b"-- \r\nfooter\r\n"


def test_a_post_keeps_what_was_seen_when_it_arrived(site):
    site.send("a@strict.test", ["mm@local.test"], signed(site, letter("hello", From="a@strict.test")))
    got = site.manager.wait(program=site)
    assert path(got.recipients[0]) == "mm@local.test" and got.text.startswith(b"X-Chainmail-Ticket:\r\n v=2;")
    hand_back(site, changed(got.text))
    taken = site.far.wait(program=site)
    message = email.message_from_bytes(taken.text)
    assert site.wait("received", listener="back")["ticket"] == "valid"
    assert b"Ticket" not in taken.text
    assert arc_of(site, taken.text) == ("pass", "success")
    saw = re.sub(r"\s+", " ", message["ARC-Authentication-Results"])
    assert saw.startswith("i=1; mx.local.test;") and "dkim=pass" in saw and "dmarc=pass header.from=strict.test" in saw
    assert "spf=pass smtp.mailfrom=strict.test" in saw and "cv=none" in message["ARC-Seal"]
    # what is true of it now is not what is sealed
    assert "dmarc=pass" not in (message["Authentication-Results"] or "")


@pytest.mark.parametrize("proved", [True, False])
def test_the_door_of_a_list_manager_signs_only_for_authors_who_were_proved(site, proved):
    text = letter("hello", From="a@local.test")
    site.send("a@strict.test", ["mm@local.test"], signed(site, text, "local.test", b"arc2026") if proved else FORGED)
    hand_back(site, changed(site.manager.wait(program=site).text))
    message = email.message_from_bytes(site.far.wait(program=site).text)
    ours = [re.search(r"s=(\w+)", s)[1] for s in message.get_all("DKIM-Signature", [])]
    assert len(ours) == 2 * proved and message["ARC-Seal"]


def test_a_chain_is_continued_behind_a_list_manager(site):
    text = signed(site, letter("hello", From="a@strict.test"))
    site.send("a@hop.test", ["mm@local.test"],
              sealed_by(site, text, "hop.test", "dmarc=pass header.from=strict.test"))
    hand_back(site, changed(site.manager.wait(program=site).text))
    taken = site.far.wait(program=site)
    assert arc_of(site, taken.text) == ("pass", "success")
    seals = email.message_from_bytes(taken.text).get_all("ARC-Seal")
    assert "i=2" in seals[0] and "cv=pass" in seals[0] and "d=local.test" in seals[0]


TICKETS = [
    ("none", lambda text: re.sub(rb"X-Chainmail-Ticket:.*\r\n(?:[ \t].*\r\n)*", b"", text), None),
    ("on another message", lambda text: re.sub(rb"Message-ID: <", b"Message-ID: <x", text), "forged"),
    ("two of them", lambda text: text[:text.index(b"Received")] + text, "malformed"),
    ("changed", lambda text: text.replace(b"arc=none", b"arc=pass", 1), "forged"),
]


@pytest.mark.parametrize("change, word", [t[1:] for t in TICKETS], ids=[t[0] for t in TICKETS])
def test_without_a_good_ticket_it_is_looked_at_as_it_is(site, change, word):
    site.send("a@strict.test", ["mm@local.test"], signed(site, letter("hello", From="a@strict.test")))
    hand_back(site, changed(change(site.manager.wait(program=site).text)))
    taken = site.far.wait(program=site)
    assert site.wait("received", listener="back").get("ticket") == word
    assert b"Ticket" not in taken.text
    assert "dkim=fail" in email.message_from_bytes(taken.text)["ARC-Authentication-Results"]


def test_a_ticket_from_outside_is_worth_nothing_and_goes_nowhere(site):
    site.send("a@strict.test", ["mm@local.test"], letter("first", From="a@loose.test"))
    mine = site.manager.wait(program=site).text
    site.send("evil@loose.test", ["ann@local.test", "team@local.test", "mm@local.test"], mine)
    event = site.wait("received", count=2)
    assert "ticket" not in event
    site.far.wait(program=site)
    again = site.manager.wait(2, program=site).text
    site.wait("delivered", to="ann@local.test", count=1)
    assert b"Ticket" not in site.far.taken[0].text and b"Ticket" not in site.maildir("ann")[0]
    assert len(re.findall(rb"(?m)^X-Chainmail-Ticket:", again)) == 1
    assert mine.split(b"h=")[1][:30] != again.split(b"h=")[1][:30]


def test_a_report_about_a_post_shows_no_ticket(site):
    site.far.reply = lambda verb, argument: "550 5.1.1 nobody" if verb == "RCPT" and "gone@" in argument else None
    site.send("a@strict.test", ["mm@local.test"], signed(site, letter("hello", From="a@strict.test")))
    hand_back(site, changed(site.manager.wait(program=site).text), ["gone@far.test"])
    report = site.manager.wait(2, program=site)
    assert path(report.recipients[0]) == "mm-bounces@local.test"
    assert b"Ticket" not in report.text and b"Subject: [mm] hello" in report.text


def test_the_map_of_a_list_manager_is_followed(site):
    assert answer(site, "a@loose.test", "fresh@local.test").startswith("550 5.1.1")
    assert answer(site, "a@loose.test", "mm-nonsense@local.test").startswith("550 5.1.1")
    site.send("a@loose.test", ["mm-request+x@local.test"], letter())
    site.manager.wait(program=site)
    new = site.directory / "map.new"
    new.write_text((site.directory / "map").read_text() + f"fresh@local.test lmtp:[127.0.0.1]:{site.manager.port}\n")
    os.rename(new, site.directory / "map")
    site.wait("reloaded")
    until(lambda: accepted(site, "a@loose.test", "fresh@local.test"), site.text,
          60)                                   # the new processes start on a busy machine
    assert site.manager.wait(2, program=site).subject == "to the new one"


def accepted(program, sender, recipient):
    """False while a process of the old configuration answers."""
    try:
        program.send(sender, [recipient], letter("to the new one"))
        return True
    except smtplib.SMTPRecipientsRefused:
        return False


# --- authors of ours whom nothing proved -----------------------------------------------------------


NO_POLICY = lambda text: text.replace('_dmarc.local.test.    TXT "v=DMARC1; p=reject"\n', "")
NO_ANSWER = lambda text: text.replace('_dmarc.local.test.    TXT "v=DMARC1; p=reject"', "_dmarc.local.test. TXT !servfail")
ACCEPT = "policy { several-authors accept }\n"


def again(program, conf=SITE, facts=lambda text: text):
    """The same site under another configuration, and with other facts in the DNS."""
    program.stop()
    path = program.directory / "facts"
    path.write_text(facts(path.read_text()))
    program.configure(conf)
    program.start()


def speaks_for(taken):
    """What of ours could be aligned with an author in it: signatures, From, the envelope's sender."""
    message = email.message_from_bytes(taken.text)
    return {"signed": any("d=local.test" in s for s in message.get_all("DKIM-Signature", [])),
            "from": message["From"], "sender": path(taken.sender)}


def through(program, name, text, sender="a@strict.test"):
    """To that address, round through the list manager if it is his, to a member."""
    program.send(sender, [f"{name}@local.test"], text)
    if name == "mm":
        hand_back(program, changed(program.manager.wait(program=program).text))
    return until(lambda: [t for t in program.far.taken if path(t.recipients[0]) == "ben@far.test"], program.text)[0]


DOORS = [SITE, SITE.replace("; sign dkim local.test", "")]


@pytest.mark.parametrize("conf", DOORS, ids=["sign", "author"])
@pytest.mark.parametrize("proved", [True, False])
def test_no_door_signs_for_an_author_who_was_not_proved(site, conf, proved):
    again(site, conf)
    honest = signed(site, letter("hello", From="ann@local.test"), "local.test", b"arc2026")
    taken = through(site, "mm", honest if proved else FORGED)
    selectors = email.message_from_bytes(taken.text).get_all("DKIM-Signature", [])
    assert len(selectors) == 2 * proved                     # the author's own, broken, and ours


ODD_IDS = {
    "none": re.sub(rb"Message-ID:.*\r\n", b"", FORGED),
    "two": b"Message-ID: <a@b>\r\n" + FORGED,
    "empty": re.sub(rb"Message-ID:.*\r\n", b"Message-ID: \r\n", FORGED),
    "long": re.sub(rb"Message-ID: <", b"Message-ID: <" + b"x" * 900 + b"\r\n " + b"x" * 900, FORGED),
}


@pytest.mark.parametrize("text", ODD_IDS.values(), ids=ODD_IDS)
def test_nobody_can_prevent_his_ticket(site, text):
    site.send("a@strict.test", ["mm@local.test"], text)
    got = site.manager.wait(program=site).text
    assert got.count(b"X-Chainmail-Ticket:") == 1 and b"Message-ID:" in got
    hand_back(site, changed(got))
    taken = site.far.wait(program=site)
    assert site.wait("received", listener="back")["ticket"] == "valid"
    assert not speaks_for(taken)["signed"]
    assert "dmarc=fail" in email.message_from_bytes(taken.text)["ARC-Authentication-Results"]


def without_ticket(text):
    return re.sub(rb"X-Chainmail-Ticket:.*\r\n(?:[ \t].*\r\n)*", b"", text)


def by_the_list(text):
    return re.sub(rb"(?m)^From:.*$", b'From: "CEO via mm" <mm@local.test>\r', text)


AT_THE_DOOR = [
    ("a notice", None, lambda text: letter("confirm", From="mm-request+c0ffee@local.test"), True),
    ("nobody's", None, lambda text: letter("pay", From="ceo@local.test"), False),
    ("the ticket is gone", FORGED, without_ticket, False),
    ("the ticket is another's", FORGED, lambda text: text.replace(b"Message-ID: <", b"Message-ID: <x"), False),
    ("the list became the author", FORGED, by_the_list, True),
    ("a stranger was the list before", re.sub(rb"(?m)^From:.*$", b"From: MM <MM@local.test>\r", FORGED), by_the_list, False),
]


@pytest.mark.parametrize("text, change, good", [t[1:] for t in AT_THE_DOOR], ids=[t[0] for t in AT_THE_DOOR])
def test_the_door_signs_what_the_list_manager_says_himself(site, text, change, good):
    got = b""
    if text:
        site.send("a@strict.test", ["mm@local.test"], text)
        got = site.manager.wait(program=site).text
    hand_back(site, change(got))
    assert speaks_for(site.far.wait(program=site))["signed"] == good


CLIENTS = SITE.replace("on 127.0.0.1:{port} }", "on 127.0.0.1:{port}; allow relay from 127.0.0.2 }")


def submit(program, recipient, text, sender="ann@local.test"):
    with smtplib.SMTP("127.0.0.1", program.port, "localhost", 60, source_address=("127.0.0.2", 0)) as client:
        client.sendmail(sender, [recipient], text)


@pytest.mark.parametrize("name", ["kept", "news", "mm"])
def test_what_our_clients_post_is_theirs(site, name):
    """Nobody proves them: they are our own, and stay it on the way through a list manager."""
    again(site, CLIENTS)
    submit(site, f"{name}@local.test", letter("hello", From="Ann <ann@local.test>"))
    if name == "mm":
        hand_back(site, changed(site.manager.wait(program=site).text))
    said = speaks_for(site.far.wait(program=site))
    assert said["signed"] and said["from"] == "Ann <ann@local.test>"


@pytest.mark.parametrize("facts", [NO_POLICY, NO_ANSWER], ids=["no policy", "no answer"])
@pytest.mark.parametrize("proved", [True, False])
@pytest.mark.parametrize("name", ["kept", "news", "mm", "team"])
def test_an_author_is_proved_by_what_passed_and_not_by_his_policy(site, name, proved, facts):
    again(site, SITE, facts)
    text = letter("hello", From="Ann <ann@local.test>")
    said = speaks_for(through(site, name, signed(site, text, "local.test", b"arc2026") if proved else text))
    if name in ("kept", "news"):
        assert said["signed"] and ("via" not in said["from"]) == proved
    elif name == "mm":
        ours = len(email.message_from_bytes(site.far.taken[0].text).get_all("DKIM-Signature", []))
        assert ours == 2 * proved
    else:
        assert (re.fullmatch(OURS, said["sender"]) is not None) == proved


UNREADABLE = {
    "two": letter("pay", From="ceo@local.test, x@evil.test"),
    "fields": b"From: CEO <ceo@local.test>\r\n" + letter("pay", From="x@evil.test"),
    "words": letter("pay", From="A@B CEO <ceo@local.test>"),
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("name", ["kept", "news", "mm", "team"])
def test_nothing_speaks_for_an_author_who_cannot_be_read(site, name, text):
    again(site, SITE + ACCEPT)
    taken = through(site, name, text)
    said = speaks_for(taken)
    if name in ("kept", "news"):                            # the list alone, and no other From
        authors = email.message_from_bytes(taken.text).get_all("From")
        assert len(authors) == 1 and authors[0].endswith(f"<{name}@local.test>") and said["signed"]
    else:
        assert not said["signed"] and not said["sender"].startswith("SRS")


@pytest.mark.parametrize("proved", [True, False])
def test_a_door_that_was_renamed_signs_no_more_than_it_did(site, proved):
    """Whoever wrote, what waits is signed for him by what was known when it came."""
    again(site, SITE.replace("via 127.0.0.1:{via};", "via 127.0.0.1:1;"))
    text = signed(site, letter("hello", From="ann@local.test"), "local.test", b"arc2026") if proved else FORGED
    site.send("a@strict.test", ["mm@local.test"], text)
    hand_back(site, changed(site.manager.wait(program=site).text))
    site.wait("deferred")
    again(site, SITE.replace("listen back", "listen mailman"))
    taken = site.far.wait(program=site)
    assert len(email.message_from_bytes(taken.text).get_all("DKIM-Signature", [])) == 2 * proved


def test_what_a_script_redirects_is_not_what_a_client_wrote(site):
    """Dovecot hands a stranger's mail back to the door for clients; our results still stand on it."""
    again(site, CLIENTS)
    honest = signed(site, letter("hello", From="ann@local.test"), "local.test", b"arc2026")
    for text in FORGED, honest:
        site.send("a@strict.test", ["ann@local.test"], text)
    kept = until(lambda: len(site.maildir("ann")) == 2 and site.maildir("ann"), site.text)
    for text in kept:
        submit(site, "ben@far.test", text.replace(b"\n", b"\r\n"), "a@strict.test")
    site.far.wait(2, program=site)
    ours = {t.subject: len(re.findall(rb"(?m)^DKIM-Signature:", t.text)) for t in site.far.taken}
    assert ours == {"pay": 0, "hello": 2}                   # his own, and ours


# --- trust ----------------------------------------------------------------------------------------


def forged_but_vouched_for(program):
    """It fails DMARC here; hop.test has sealed that it passed there."""
    return sealed_by(program, letter("vouched", From="a@strict.test"), "hop.test", "dmarc=pass header.from=strict.test")


def trust_of(program, sealer):
    """What `chainmail trust` counts of it."""
    rows = [json.loads(line) for line in program.command("trust", "--json").stdout.splitlines()]
    return [{key: row[key] for key in ("untrusted", "believed")} for row in rows if row["sealer"] == sealer][0]


def test_trust_is_read_again_and_what_it_would_change_is_told(site):
    text = forged_but_vouched_for(site)
    site.send("a@hop.test", ["ann@local.test"], text)
    event = site.wait("received")
    assert event["dmarc"] == "fail" and event["arc"] == "pass" and event["untrusted"] == "hop.test"
    site.wait("delivered")
    found = re.sub(r"\s+", " ", site.maildir("ann")[0].decode())
    assert "as[1].d=" not in found
    (site.directory / "sealers").write_text("hop.test s\n")
    site.wait("reloaded")
    until(lambda: (site.send("a@hop.test", ["ann@local.test"], text), site.events("received", override="hop.test"))[1],
          "trust", 60)
    event = site.events("received", override="hop.test")[0]
    assert "untrusted" not in event
    counted = {"untrusted": len(site.events("received", untrusted="hop.test")),
               "believed": len(site.events("received", override="hop.test"))}
    until(lambda: trust_of(site, "hop.test") == counted, lambda: f"{counted} {trust_of(site, 'hop.test')}")
    assert site.stop() == 0
    assert trust_of(site, "hop.test") == counted                    # kept, and told when nobody runs
    site.start()
    site.wait_empty()
    all_of_them = " ".join(re.sub(r"\s+", " ", m.decode()) for m in site.maildir("ann"))
    assert 'dmarc=fail reason="local_policy arc=pass as[1].d=hop.test as[1].s=s' in all_of_them


def test_a_list_manager_without_a_door_is_warned_of(place):
    (place / "map").write_text("mm@lists.example.net lmtp:[127.0.0.1]:8024\n")
    conf = place / "c"
    conf.write_text(f"hostname mx.example.net\ndomain example.net {{ lists from mailman {place}/map }}\n"
                    f"key k {{ domain example.net; file {place}/dkim.pem }}\nlisten mx {{ on *:2525 }}\n")
    got = subprocess.run([PLAIN, "config", "check", str(conf)], capture_output=True, text=True, timeout=60)
    assert "the list manager of example.net has no door for its posts" in got.stdout + got.stderr


# --- before it happens ------------------------------------------------------------------------------


ONWARD = [
    ("team@local.test", "a@strict.test",
     {"rewritten": True, "sender": "local.test", "spf": "pass", "spf-unchanged": "fail", "dkim-survives": True,
      "dmarc": "pass", "dmarc-unsigned": "fail", "seal": True}),
    ("team@local.test", "a@both.test", {"rewritten": False, "sender": "both.test", "spf": "pass", "seal": False}),
    ("team@local.test", "ann@local.test", {"rewritten": False, "dmarc": "pass", "dmarc-unsigned": "pass", "seal": False}),
    ("news@local.test", "a@strict.test", {"dkim-survives": True, "author": "local.test", "policy": "reject", "seal": False}),
    ("kept@local.test", "a@strict.test", {"dkim-survives": False, "author": "strict.test", "dmarc": "fail", "seal": True}),
    ("plain@local.test", "a@strict.test", {"dkim-survives": True, "dmarc": "pass", "dmarc-unsigned": "fail", "seal": True}),
]


@pytest.mark.parametrize("address, sender, want", ONWARD)
def test_route_says_what_the_next_hop_will_find(site, address, sender, want):
    got = subprocess.run([PLAIN, "route", address, "--from", sender, "-c", site.file, "--json"], capture_output=True,
                         text=True, timeout=60)
    found = [end["onward"] for end in json.loads(got.stdout)["ends"] if "onward" in end]
    assert {key: found[0][key] for key in want} == want
    said = subprocess.run([PLAIN, "route", address, "--from", sender, "-c", site.file], capture_output=True, text=True,
                          timeout=60).stdout
    assert ("a seal is needed" if want["seal"] else "a seal adds nothing") in said


def test_route_does_not_guess_what_a_table_says(tmp_path):
    conf = tmp_path / "c.conf"
    conf.write_text(f"hostname mx.local.test\nstate {tmp_path}/state\nlisten mx {{ on 127.0.0.1:2525 }}\n"
                    f"domain local.test {{ deliver to maildir {tmp_path}/mail/%u; users from file users }}\n")
    command = [PLAIN, "route", "ann@local.test", "-c", conf, "--dns", tmp_path / "facts"]
    (tmp_path / "facts").write_text("local.test. MX 10 mx.local.test.\n")
    got = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (got.returncode, got.stdout) == (EX_CONFIG, "") and "users: No such file" in got.stderr
    (tmp_path / "users").write_text("ann\n")
    got = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (got.returncode, got.stderr) == (0, "") and "maildir" in got.stdout
