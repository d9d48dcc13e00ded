# SPDX-License-Identifier: ISC
"""
A day's report on TLS (RFC 8460), by the running program with another clock:
sessions of one day are counted, and told early on the next one.
"""
import contextlib
import datetime
import email
import glob
import http.server
import json
import re
import ssl
import subprocess
import threading

import dkim
import pytest

from alone import alone
from chainmail import DEADLINE, PEERS, PLAIN, Chainmail, Sink, letter, until

SITE = """
hostname mx.local.test
state    {dir}/state
log      json
roots    {dir}/roots.pem
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; allow relay from 127.0.0.1; sign dkim local.test }
domain local.test { deliver to discard }
key arc2026 { domain local.test; file {dir}/dkim.pem }
"""
MAIL, WEB, HTTPS = "192.0.2.1", "192.0.2.2", "192.0.2.3"
FACTS = f"""
@secure test.
local.test. MX 10 mx.local.test.
mail.test. MX 10 mx.mail.test.
mx.mail.test. A {MAIL}
_smtp._tls.mail.test. TXT "v=TLSRPTv1; rua=mailto:tls@mail.test"
web.test. MX 10 mx.web.test.
mx.web.test. A {WEB}
report.web.test. A {HTTPS}
_smtp._tls.web.test. TXT "v=TLSRPTv1; rua=https://report.web.test/v1?who=us"
"""
# When the report is sent, nobody can prove to be mx.mail.test any more.
NO_PROOF = f"_25._tcp.mx.mail.test. TLSA 3 1 1 {'00' * 32}\n"
FAKETIME = glob.glob(f"{PEERS}/libfaketime/usr/lib/*/faketime/libfaketimeMT.so.1")

pytestmark = pytest.mark.skipif(not FAKETIME, reason="libfaketime is not there (./configure --deps)")


TODAY = datetime.datetime.now(datetime.timezone.utc).date()     # also when midnight comes meanwhile


def at(day, hour):
    """For a command whose clock begins so many days from now.  In the past: some mistrust signatures of the future."""
    then = TODAY + datetime.timedelta(days=day)
    return ["env", "TZ=UTC", f"LD_PRELOAD={FAKETIME[0]}", f"FAKETIME=@{then} {hour:02}:00:00", "FAKETIME_DONT_FAKE_MONOTONIC=1"]


class Collector:
    """Takes what is posted over HTTPS."""

    def __init__(self, certificate):
        self.posts = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.posts.append((self.path, self.headers["Content-Type"], body))
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((HTTPS, 443), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


def certify(place):
    far = place / "far"
    far.mkdir()
    subprocess.run([*at(-3, 0), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", far / "key.pem", "-out", far / "cert.pem", "-days", "30", "-subj", "/CN=far", "-addext",
                    "subjectAltName=DNS:mx.mail.test,DNS:report.web.test"], check=True, capture_output=True, timeout=60)
    (place / "roots.pem").write_bytes((far / "cert.pem").read_bytes())
    return far


def shown(path):
    got = subprocess.run([PLAIN, "report", "show", path], text=True, capture_output=True, timeout=DEADLINE)
    assert got.returncode == 0, got.stderr
    return got.stdout


def key_record(place):
    text = subprocess.run(["openssl", "pkey", "-in", place / "dkim.pem", "-pubout"], check=True, capture_output=True,
                          text=True).stdout
    return ("v=DKIM1; k=rsa; p=" + "".join(text.splitlines()[1:-1])).encode()


def check_letter(place, taken):
    """RFC 8460 3, 5.3"""
    assert taken.sender.startswith("FROM:<>") and "<tls@mail.test>" in taken.recipients[0]
    message = email.message_from_bytes(taken.text)
    assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "tlsrpt"
    assert (message["TLS-Report-Domain"], message["TLS-Report-Submitter"]) == ("mail.test", "mx.local.test")
    assert message["TLS-Required"] == "No"
    assert "application/tlsrpt+gzip" in [part.get_content_type() for part in message.walk()]
    signature = re.sub(r"\s", "", message["DKIM-Signature"])
    assert ";d=local.test;" in signature and ";l=" not in signature
    signed = re.search(r";h=([^;]*)", signature)[1].lower().split(":")
    assert {"tls-report-domain", "tls-report-submitter"} <= set(signed)
    assert dkim.verify(taken.text, dnsfunc=lambda name, timeout=5: key_record(place))
    (place / "r.eml").write_bytes(taken.text)
    assert "mail.test  no-policy-found  1 good, 0 failed\n" in shown(place / "r.eml")


def check_post(place, post):
    """RFC 8460 5.4"""
    path, kind, body = post
    assert (path, kind) == ("/v1?who=us", "application/tlsrpt+gzip")
    (place / "r.gz").write_bytes(body)
    text = shown(place / "r.gz")
    assert "web.test  no-policy-found  0 good, 1 failed\n" in text and "starttls-not-supported" in text, text


@contextlib.contextmanager
def the_day_after(place, site=SITE):
    """Yesterday morning; the day before each of two hosts had a session, one of them with TLS."""
    far = certify(place)
    (place / "facts").write_text(FACTS)
    with Sink(host=MAIL, port=25, certificate=far) as mail, Sink(host=WEB, port=25) as web:
        collector = Collector(far)
        program = Chainmail(place, site, program=PLAIN, prefix=at(-2, 12))
        with program:
            program.send("a@local.test", ["ben@mail.test"], letter("x"))
            program.send("a@local.test", ["ben@web.test"], letter("x"))
            mail.wait(program=program), web.wait(program=program)
            program.wait("delivered", count=2)
        assert mail.taken[0].tls and not web.taken[0].tls and not collector.posts
        program.prefix = at(-1, 5)
        yield program, mail, collector


@alone(MAIL, WEB, HTTPS)
def test_a_day_is_told_on_the_next(place):
    with the_day_after(place) as (program, mail, collector):
        (place / "facts").write_text(FACTS + NO_PROOF)
        with program:
            until(lambda: collector.posts, lambda: "a report by HTTPS\n" + program.text(), 60)
            check_letter(place, mail.wait(2, 60, program))
            check_post(place, collector.posts[0])
            # a message that may not do without is held up by the same record
            program.send("a@local.test", ["cid@mail.test"], letter("x"))
            assert json.dumps(program.wait("deferred", to="cid@mail.test")).count("DANE")
            assert program.command("queue", "drop", "all").returncode == 0
        assert len(collector.posts) == 1 and len(mail.taken) == 2


@alone(MAIL, WEB, HTTPS)
def test_without_a_key_no_report_goes_by_mail(place):
    """RFC 8460 3: by mail it must be signed, by HTTPS it need not; and the contact in it takes mail."""
    site = SITE.replace("; sign dkim local.test", "").replace("key arc2026 { domain local.test; file {dir}/dkim.pem }\n", "")
    with the_day_after(place, site) as (program, mail, collector):
        with program:
            until(lambda: collector.posts, lambda: "a report by HTTPS\n" + program.text(), 60)
            deferred = program.wait("tls-report", domain="mail.test", result="deferred")
            assert "must be signed, and there is no key for mx.local.test" in deferred["why"]
            program.send("b@web.test", ["postmaster@mx.local.test"], letter("x"), source="127.0.0.2")
            program.wait("delivered", to="postmaster@mx.local.test")
        assert len(mail.taken) == 1
