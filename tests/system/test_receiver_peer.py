# SPDX-License-Identifier: ISC
"""Exim as the final receiver of what we forward and post: what its parser, its DKIM, and Python's tools make of it."""
import email
import email.policy
import os
import re
import tempfile

import authres
import pytest

import exim
from chainmail import Chainmail, letter
from nameserver import NameServer, strings
from test_forward import FACTS, SITE, arc_of, public, signed

SERVER = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 256}.53"      # resolv.conf knows no ports

pytestmark = pytest.mark.skipif(exim.missing() is not None, reason=str(exim.missing()))


@pytest.fixture
def directory():
    """Where Exim's own user may go, which is not pytest's place."""
    with tempfile.TemporaryDirectory(prefix="exim-") as name:
        os.chmod(name, 0o755)
        yield name


@pytest.fixture
def site(place, directory):
    record = public(place / "dkim.pem")
    names = "arc2026._domainkey.local.test.", "s._domainkey.strict.test."
    (place / "facts").write_text(FACTS + "".join(f"{name} {record}\n" for name in names))
    (place / "sealers").write_text("# nobody\n")
    (place / "map").write_text("# no list manager\n")
    said = strings(record.removeprefix("TXT ").strip('"'))
    with NameServer({(name, "TXT"): said for name in names}, (SERVER, 53)), \
            exim.Exim(directory, SERVER) as far, Chainmail(place, SITE, via=far.port) as program:
        program.far = far
        yield program


SENT = [
    ("team@local.test", 1, "a@strict.test", ["strict.test pass"]),                       # a forward keeps the author's signature
    ("kept@local.test", 1, "a@strict.test", ["local.test pass", "strict.test fail"]),       # a list changes it
    ("news@local.test", 2, "news@local.test", ["local.test pass", "strict.test fail"]),
]


@pytest.mark.parametrize("to, copies, author, signatures", SENT, ids=[to for to, *_ in SENT])
def test_exim_takes_and_understands_what_we_send(site, to, copies, author, signatures):
    text = letter("hello", From="A <a@strict.test>", To=to)
    site.send("a@strict.test", [to], signed(site, text))
    messages = site.far.taken(copies)
    site.wait_empty()
    assert site.far.understood("FROM") == [author] * copies
    assert site.far.understood("SEAL") == ["local.test"] * copies
    said = [line for line in site.far.understood("SIGNATURE") if not line.startswith("@")]     # i= is said again
    assert sorted(said) == sorted(signatures * copies)
    for raw in messages:
        message = email.message_from_bytes(raw, policy=email.policy.SMTP)
        assert message.defects == [] and [message[name].defects for name in message.keys()
                                          if hasattr(message[name], "defects") and message[name].defects] == []
        assert arc_of(site, raw) == ("pass", "success")
        instance, saw = re.sub(r"\s+", " ", message["ARC-Authentication-Results"]).split(";", 1)
        results = authres.AuthenticationResultsHeader.parse("Authentication-Results:" + saw)
        assert instance == "i=1" and results.authserv_id == "mx.local.test"
        found = {result.method: result.result for result in results.results}
        assert found["dmarc"] == found["spf"] == found["dkim"] == "pass" and found["arc"] == "none"
