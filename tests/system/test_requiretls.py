# SPDX-License-Identifier: ISC
"""
REQUIRETLS and TLS-Required: No (RFC 8689) through the running program: what is
taken from whom, and to which hosts it goes on.

In the world of these tests each domain NAME.test has the host mx.NAME.test, and
is what it is called:

    good        signed, with a certificate, and offers REQUIRETLS behind STARTTLS
    plain       the same without REQUIRETLS
    clear       signed, no STARTTLS
    wrong       signed, a certificate for somebody else, offers REQUIRETLS
    unsigned    as good, but its MX records are not signed
    dane        as good, but its TLSA record is of another key
    second      its hosts are plain's and, behind it, good's
"""
import contextlib
import email
import smtplib
import ssl

import pytest

from alone import alone
from chainmail import DEADLINE, Chainmail, Sink, letter, openssl, until

SITE = """
hostname mx.local.test
state    {dir}/state
log      json
roots    {dir}/roots.pem
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; tls cert {dir}/cert.pem key {dir}/key.pem; allow relay from 127.0.0.1 }
listen bare { on 127.0.0.1:{second}; allow relay from 127.0.0.1 }
domain local.test {
    deliver to maildir {dir}/mail/%u; users ann
    alias team -> ann, ben@good.test
    list news { members ben@good.test; owner ann }
}
key arc2026 { domain local.test; file {dir}/dkim.pem }
delivery { retry after 1s }
"""
HOSTS = {"good": "192.0.2.1", "plain": "192.0.2.2", "clear": "192.0.2.3", "wrong": "192.0.2.4", "unsigned": "192.0.2.5",
         "dane": "192.0.2.6"}
ALL = tuple(HOSTS.values())


def facts():
    lines = ["@secure test.", "@insecure unsigned.test.", "local.test. MX 10 mx.local.test.",
             "second.test. MX 10 mx.plain.test.", "second.test. MX 20 mx.good.test.",
             f"_25._tcp.mx.dane.test. TLSA 3 1 1 {'00' * 32}"]
    for name, address in HOSTS.items():
        lines += [f"{name}.test. MX 10 mx.{name}.test.", f"mx.{name}.test. A {address}"]
    return "".join(line + "\n" for line in lines)


def certify(place):
    """One certificate for all hosts that have one; mx.wrong.test shows ours."""
    far = place / "far"
    far.mkdir()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", far / "key.pem",
            "-out", far / "cert.pem", "-days", "30", "-subj", "/CN=far", "-addext",
            "subjectAltName=" + ",".join(f"DNS:mx.{name}.test" for name in HOSTS if name != "wrong"))
    (place / "roots.pem").write_bytes((far / "cert.pem").read_bytes() + (place / "cert.pem").read_bytes())
    return far


class World:
    """The program, and all the hosts."""

    def __init__(self, place, reply=None, site=SITE):
        (place / "facts").write_text(facts())
        far, self.stack = certify(place), contextlib.ExitStack()
        self.hosts = {name: self.stack.enter_context(Sink(
            host=address, port=25, certificate={"clear": None, "wrong": place}.get(name, far),
            secured=() if name == "plain" else ("REQUIRETLS",), reply=reply if name == "good" else None))
            for name, address in HOSTS.items()}
        self.program = Chainmail(place, site)

    def __enter__(self):
        self.stack.enter_context(self.program)
        return self

    def __exit__(self, *what):
        return self.stack.__exit__(*what)

    def send(self, to, *options, sender="ann@good.test", text=None):
        """Over TLS, with these parameters of MAIL."""
        with self.program.client() as client:
            client.starttls(context=ssl._create_unverified_context())
            client.ehlo()
            assert client.mail(sender, options)[0] == 250
            assert client.rcpt(to)[0] == 250
            assert client.data(text or letter("secret", "the body\n"))[0] == 250

    def end_of(self, to):
        """How an attempt to this address ended: the event."""
        return until(lambda: [e for e in self.program.events(to=to) if e["event"] in ("delivered", "deferred", "bounced")],
                     lambda: f"an attempt to {to}\n{self.program.text()}")[0]

    def bounce(self, host="good"):
        return self.hosts[host].wait(program=self.program)


# --- in (RFC 8689 2, 4.1) ---------------------------------------------------------------


def test_it_is_offered_and_taken_behind_tls_only(place):
    with Chainmail(place, SITE.replace("roots    {dir}/roots.pem\n", "")) as program:
        with program.client() as client:
            client.ehlo()
            assert client.has_extn("starttls") and not client.has_extn("requiretls")
            code, words = client.mail("a@far.test", ["REQUIRETLS"])
            assert (code, words[:5]) == (530, b"5.7.0")
            client.starttls(context=ssl._create_unverified_context())
            client.ehlo()
            assert client.esmtp_features["requiretls"] == ""            # it has no parameter
            code, words = client.mail("a@far.test", ["REQUIRETLS=yes"])
            assert code == 501, words
            assert client.mail("a@far.test", ["REQUIRETLS"])[0] == 250
            assert client.rcpt("ann@local.test")[0] == 250
            assert client.data(letter("x"))[0] == 250
        until(lambda: program.maildir("ann"), "the message")            # a mailbox here is no further hop
        with smtplib.SMTP("127.0.0.1", program.second, "client.far.test", DEADLINE) as client:
            client.ehlo()                                               # a listener without TLS never offers it
            assert not client.has_extn("starttls") and not client.has_extn("requiretls")
            assert client.mail("a@far.test", ["REQUIRETLS"])[0] == 530


# --- out (RFC 8689 4.2.1) ------------------------------------------------------------------

OUT = [
    ("good", "delivered", None, "good"),
    ("second", "delivered", None, "good"),              # the first host does not offer it
    ("plain", "bounced", "5.7.30", None),
    ("clear", "bounced", "5.7.10", None),
    ("wrong", "bounced", "5.7.10", None),
    ("unsigned", "bounced", "5.7.10", None),            # anybody could have named that host
    ("dane", "bounced", "5.7.10", None),
]


@alone(*ALL)
def test_it_goes_to_hosts_that_are_proved_and_promise_the_same(place):
    with World(place) as world:
        for name, outcome, dsn, host in OUT:
            world.send(f"ben@{name}.test", "REQUIRETLS", sender="")    # so that no bounce comes between
            world.send(f"eva@{name}.test", "REQUIRETLS", sender="ann@nowhere.test")
            got = world.end_of(f"eva@{name}.test")
            assert (got["event"], got.get("dsn", "")[:len(dsn or "")]) == (outcome, dsn or ""), (name, got)
            if host is not None:
                taken = until(lambda: [t for t in world.hosts[host].taken if f"<eva@{name}.test>" in t.recipients[0]], name)[0]
                assert taken.tls and " REQUIRETLS" in taken.sender, taken.sender
        # a report is not held up by it (RFC 8689 5): even where a message was refused it goes on
        for name in "plain", "clear", "unsigned":
            assert world.end_of(f"ben@{name}.test")["event"] == "delivered", name
        assert not any("eva@" in t.recipients[0] for name in ("plain", "clear", "wrong", "unsigned", "dane")
                       for t in world.hosts[name].taken)


REUSED = """delivery { retry after 1s; to second.test { tls require verified }; to good.test { tls require verified } }"""


@alone(*ALL)
def test_a_connection_serves_only_what_it_was_opened_for(place):
    """A host that is still connected for the mail before is judged as any other; the log says why it was chosen."""
    with World(place, site=SITE.replace("delivery { retry after 1s }", REUSED)) as world:
        for to, options, host, policy in [("ordinary@second.test", [], "plain", "verified"),
                                          ("required@second.test", ["REQUIRETLS"], "good", "requiretls"),
                                          ("ordinary@good.test", [], "good", "verified"),
                                          ("required@good.test", ["REQUIRETLS"], "good", "requiretls")]:
            world.send(to, *options, sender="ann@nowhere.test")
            end = world.end_of(to)
            assert end["event"] == "delivered" and end["mx"].startswith(f"mx.{host}.test"), end
            assert (end["policy"], end["verified"]) == (policy, "verified"), end
        assert world.hosts["good"].sessions == 3
        # it does serve one that needs the same, if that comes in the seconds for which it is kept
        assert any(again(world, f"again{n}@good.test") for n in range(5))


def again(world, to):
    """Whether another message for it went over a connection that was there."""
    before = world.hosts["good"].sessions
    world.send(to, "REQUIRETLS", sender="ann@nowhere.test")
    end = world.end_of(to)
    assert (end["event"], end["policy"], end["verified"]) == ("delivered", "requiretls", "verified"), end
    return world.hosts["good"].sessions == before


# --- reports (RFC 8689 5) --------------------------------------------------------------------


@alone(*ALL)
@pytest.mark.parametrize("options, required, full", [
    (["RET=FULL"], False, True), (["REQUIRETLS", "RET=FULL"], True, False), (["REQUIRETLS"], True, False),
    (["REQUIRETLS", "RET=HDRS"], True, False),
], ids=["ordinary", "full", "unsaid", "headers"])
def test_a_bounce_says_no_more_than_it_may(place, options, required, full):
    with World(place) as world:
        # what was not required is refused there by name
        world.hosts["plain"].reply = lambda verb, argument: "550 5.1.1 nobody" if verb == "RCPT" else None
        world.send("ben@plain.test", *options)
        report = world.bounce()
        assert report.sender.startswith("FROM:<>") and (" REQUIRETLS" in report.sender) == required, report.sender
        parts = [part.get_content_type() for part in email.message_from_bytes(report.text).walk()]
        assert ("message/rfc822" in parts) == full and ("text/rfc822-headers" in parts) == (not full), parts
        assert b"Subject: secret" in report.text and (b"the body" in report.text) == full


@alone(*ALL)
def test_a_bounce_finds_a_sender_whose_host_does_not_know_it(place):
    with World(place) as world:
        world.send("ben@clear.test", "REQUIRETLS", sender="ann@plain.test")
        report = world.bounce("plain")
        assert report.sender.startswith("FROM:<>") and "REQUIRETLS" not in report.sender
        assert b"5.7.10" in report.text and b"the body" not in report.text


@pytest.mark.parametrize("lmtp", [False, True], ids=["relay", "lmtp"])
def test_a_neighbour_on_this_machine_need_not_know_it(place, lmtp):
    """A filter, a list manager: the way to it is no network (RFC 8689 4.2.1 is about hosts out there)."""
    door = "deliver to lmtp 127.0.0.1:{near}" if lmtp else "deliver to discard"
    site = SITE.replace("roots    {dir}/roots.pem\n", "").replace("domain local.test {", "domain own.test { " + door + " }\n"
                        "domain local.test {").replace("delivery {", "delivery { to far.test { via 127.0.0.1:{near} };")
    with Sink(lmtp=lmtp) as sink, Chainmail(place, site, near=sink.port) as program:
        with program.client() as client:
            client.starttls(context=ssl._create_unverified_context())
            client.ehlo()
            assert client.mail("a@far.test", ["REQUIRETLS"])[0] == 250
            assert client.rcpt("ben@own.test" if lmtp else "ben@far.test")[0] == 250
            assert client.data(letter("x"))[0] == 250
        assert "REQUIRETLS" not in sink.wait(program=program).sender


# --- what keeps it (RFC 8689 4.1, 6) -----------------------------------------------------------


@alone(*ALL)
@pytest.mark.parametrize("to", ["team@local.test", "news@local.test"])
def test_aliases_and_lists_keep_it(place, to):
    with World(place) as world:
        world.send(to, "REQUIRETLS", sender="cid@good.test")
        taken = world.hosts["good"].wait(program=world.program)
        assert "ben@good.test" in taken.recipients[0] and " REQUIRETLS" in taken.sender


@alone(*ALL)
@pytest.mark.parametrize("options", [["REQUIRETLS"], []], ids=["required", "optional"])
def test_it_outlives_a_death(place, options):
    """Required, or not required at all: both are as they were after kill -9."""
    with World(place, lambda verb, argument: "451 4.3.0 later" if verb == "MAIL" else None) as world:
        to, text = ("ben@good.test", None) if options else ("ben@dane.test", letter("x", TLS_Required="No"))
        if not options:
            world.hosts["dane"].reply = world.hosts["good"].reply
        world.send(to, *options, text=text)
        assert world.end_of(to)["event"] == "deferred"
        world.program.kill()
        for name in "good", "dane":
            world.hosts[name].reply = None
        world.program.start()
        taken = world.hosts["good" if options else "dane"].wait(program=world.program)
        assert (" REQUIRETLS" in taken.sender) == bool(options)


# --- TLS-Required: No (RFC 8689 3, 4.1, 4.2.2) ---------------------------------------------------


@alone(*ALL)
def test_a_message_may_do_without(place):
    with World(place) as world:
        world.send("ann@dane.test")
        assert world.end_of("ann@dane.test")["event"] == "deferred"
        world.send("ben@dane.test", text=letter("x", TLS_Required="No"))
        assert world.end_of("ben@dane.test")["event"] == "delivered"
        assert world.hosts["dane"].taken[0].tls                 # it is still tried
        # the field means nothing when REQUIRETLS was given, and nothing when it says something else
        world.send("cid@dane.test", "REQUIRETLS", sender="ann@nowhere.test", text=letter("x", TLS_Required="No"))
        assert world.end_of("cid@dane.test")["event"] == "bounced"
        world.send("dan@dane.test", text=letter("x", TLS_Required="Yes"))
        assert world.end_of("dan@dane.test")["event"] == "deferred"
        assert len(world.hosts["dane"].taken) == 1
        assert world.program.command("queue", "drop", "all").returncode == 0


@alone(*ALL)
@pytest.mark.parametrize("to", ["team@local.test", "news@local.test"])
def test_aliases_and_lists_keep_that_too(place, to):
    with World(place) as world:
        (place / "facts").write_text(facts() + f"_25._tcp.mx.good.test. TLSA 3 1 1 {'00' * 32}\n")
        world.program.reload()
        world.send(to, sender="cid@good.test", text=letter("x", TLS_Required="No"))
        taken = world.hosts["good"].wait(program=world.program)
        assert "ben@good.test" in taken.recipients[0] and b"\r\nTLS-Required: No\r\n" in taken.text
