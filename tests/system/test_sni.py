# SPDX-License-Identifier: ISC
"""Several certificates in one listener: by the name a client asks for, else the first (RFC 6066 3)."""
import os
import shutil
import smtplib
import ssl

import pytest

from chainmail import PLAIN, SANITIZED, Chainmail, letter, openssl, until
from test_web import certify, chainmail

SITE = """
hostname mx.local.test
state    {dir}/state
log      json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; tls cert {dir}/cert.pem key {dir}/key.pem; tls cert {dir}/b.pem key {dir}/b.key }
domain local.test { deliver to maildir {dir}/mail/%u; users ann }
"""


@pytest.fixture
def hosts(place):
    certify(place, "b", "mx.b.test")
    return place


def shown(program, name):
    """The certificate that a client is shown who asks for that name, as DER."""
    with smtplib.SMTP("127.0.0.1", program.port, timeout=60) as client:
        client._host = name
        client.starttls(context=ssl._create_unverified_context())
        return client.sock.getpeercert(True)


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


@pytest.mark.parametrize("variant", [PLAIN, SANITIZED], ids=["plain", "sanitized"])
def test_a_client_is_shown_the_certificate_of_the_name_it_asks_for(hosts, variant):
    with Chainmail(hosts, SITE, program=variant) as program:
        first, second = der(hosts / "cert.pem"), der(hosts / "b.pem")
        for name, want in [("mx.local.test", first), ("mx.b.test", second), ("MX.B.test", second),
                           ("c.test", first), (None, first)]:
            assert shown(program, name) == want, name
        program.send("x@far.test", ["ann@local.test"], letter())
        program.wait("delivered")


def test_each_is_replaced_without_a_restart(hosts):
    with Chainmail(hosts, SITE) as program:
        master = program.master()
        for name, files in [("mx.b.test", ("b.pem", "b.key")), ("mx.local.test", ("cert.pem", "key.pem"))]:
            certify(hosts, "new", name)
            for new, old in zip(("new.pem", "new.key"), files):
                os.replace(hosts / new, hosts / old)
            program.reload()
            until(lambda: shown(program, name) == der(hosts / files[0]), "the new certificate")
        assert program.master() == master


@pytest.mark.parametrize("edit", ["users bob", "user ann"], ids=["good", "typo"])
def test_a_renewal_brings_no_edit_into_force(hosts, edit):
    """The configuration waits for SIGHUP, good or bad, also a file that an include would find; the certificate does not."""
    (hosts / "conf.d").mkdir()
    site = SITE + "include conf.d/*.conf\n"
    with Chainmail(hosts, site, expect={"config-error"}) as program:
        program.configure(site.replace("users ann", edit))
        (hosts / "conf.d" / "new.conf").write_text("domain new.test { deliver to discard }\n")
        certify(hosts, "b", "mx.b.test")
        until(lambda: shown(program, "mx.b.test") == der(hosts / "b.pem"), "the new certificate")
        assert not program.events("config-error")
        with program.client() as client:
            client.ehlo()
            client.mail("x@far.test")
            assert client.rcpt("ann@local.test")[0] == 250
            assert client.rcpt("bob@local.test")[0] == 550
            assert client.rcpt("x@new.test")[0] == 550
        program.reload("config-error" if edit == "user ann" else "reloaded")


def test_the_end_of_each_is_foretold(hosts):
    """14 days ahead (issue 5): the first has 30 days, the second less than 7."""
    openssl("req", "-x509", "-key", hosts / "b.key", "-out", hosts / "b.pem", "-days", "6", "-subj", "/CN=x",
            "-addext", "subjectAltName=DNS:mx.b.test")
    with Chainmail(hosts, SITE) as program:
        assert program.wait("certificate")["file"] == str(hosts / "b.pem")


def test_senders_may_find_any_of_them(hosts):
    """TLSA records for all, and for the next key of each (RFC 7672 8.1)."""
    with Chainmail(hosts, SITE) as program:
        program.configure(program.file.read_text().replace(f"on 127.0.0.1:{program.port}", "on 127.0.0.1:25"))
        lines = [line for line in chainmail(program, "dns-records", "local.test").stdout.splitlines() if "TLSA" in line]
        assert len(lines) == len({line.split("3 1 1 ")[1] for line in lines}) == 2, lines
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", hosts / "b.key.next")
        more = [line for line in chainmail(program, "dns-records", "local.test").stdout.splitlines() if "TLSA" in line]
        assert len(more) == 3 and set(lines) < set(more), more


def test_one_that_does_not_fit_its_key_leaves_the_old_ones_in_force(hosts):
    with Chainmail(hosts, SITE, expect={"config-error"}) as program:
        before = der(hosts / "b.pem")
        shutil.copy(hosts / "key.pem", hosts / "b.key")
        program.reload("config-error")
        assert "do not belong together" in program.events("config-error")[0]["why"]
        assert shown(program, "mx.b.test") == before
