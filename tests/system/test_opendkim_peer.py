# SPDX-License-Identifier: ISC
"""OpenDKIM and we: what one signs, the other verifies, and neither takes what was changed."""
import base64
import json
import os
import random
import subprocess
import time

import pytest

import corpus
import opendkim

COUNT = 520

pytestmark = pytest.mark.skipif(opendkim.found() is None, reason="libopendkim11 is not unpacked in peers/")


def messages(count, seed):
    """It refuses a body whose last line has no end (dkim_eom: "CRLF at end of body missing"); on the wire it has."""
    return [message if message.endswith(b"\r\n") else message + b"\r\n" for message in corpus.messages(count, seed)]


def run(*command, data=None):
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout


class Keys:
    def __init__(self, folder):
        self.file = folder / "rsa"
        run("openssl", "genrsa", "-traditional", "-out", str(self.file), "2048")
        public = base64.b64encode(run("openssl", "pkey", "-in", str(self.file), "-pubout", "-outform", "DER"))
        self.record = b"v=DKIM1; k=rsa; p=" + public
        self.zone = folder / "zone"
        self.zone.write_text(f's._domainkey.example.org. TXT "{self.record.decode()}"\n')
        self.peer = opendkim.OpenDkim(self.record)

    def our_signature(self, message, *more):
        return run("./chainmail", "sign", "--domain", "example.org", "--selector", "s", "--key", str(self.file), *more,
                   data=message)


@pytest.fixture(scope="module", name="keys")
def one_key(tmp_path_factory):
    keys = Keys(tmp_path_factory.mktemp("opendkim"))
    yield keys
    keys.peer.end()


def judged(cases, record, folder):
    """Which of the (message, expected) we judge otherwise; by the same code as `chainmail verify`."""
    suite = {"now": int(time.time()) + 60, "txt": {"s._domainkey.example.org": [record.decode()]}, "cases": []}
    for number, (message, expected) in enumerate(cases):
        (folder / str(number)).write_bytes(message)
        suite["cases"].append({"id": str(number), "message": str(number), "eol": "crlf", "sigs": [expected]})
    (folder / "cases.json").write_text(json.dumps(suite))
    done = subprocess.run(["obj/tests/vectors/v_dkim", str(folder)], capture_output=True, timeout=120, check=False,
                          env={**os.environ, "CONFORMANCE": "/nonexistent"})
    lines = done.stdout.decode().splitlines()
    assert lines[-1] == f"1..{len(cases)}", done.stderr
    return [line for line in lines if line.startswith("not ok")]


def test_opendkim_verifies_what_we_sign(keys):
    bad = []
    for number, message in enumerate(messages(COUNT, seed=2026)):
        more = ["--headers", "from:from:to:x-long:subject"] if number % 3 == 0 else []
        if not keys.peer.verify(keys.our_signature(message, *more)):
            bad.append(number)
    assert not bad


def test_we_verify_what_opendkim_signs(keys, tmp_path):
    rng = random.Random(5863)
    cases = []
    for message in messages(COUNT, seed=5863):
        canons = tuple(rng.choice([b"simple", b"relaxed"]) for _ in range(2))
        field = keys.peer.sign(message, keys.file.read_bytes(), b"s", b"example.org", canons)
        cases.append((field + message, "pass"))
    assert judged(cases, keys.record, tmp_path) == []


def test_neither_of_us_verifies_what_was_changed(keys, tmp_path):
    cases = []
    for number, message in enumerate(messages(60, seed=6008)):
        message += b"more\r\n"
        if number % 2:
            signed = keys.our_signature(message)
        else:
            signed = keys.peer.sign(message, keys.file.read_bytes(), b"s", b"example.org", (b"relaxed", b"simple")) + message
        changed = signed.replace(b"more\r\n", b"mora\r\n") if number % 3 else signed.replace(b"From: A", b"From: B")
        assert changed != signed and not keys.peer.verify(changed)
        cases.append((changed, "fail"))
    assert judged(cases, keys.record, tmp_path) == []


def test_verify_says_so_too(keys):
    """A few of them through the program itself."""
    for number, message in enumerate(messages(8, seed=7)):
        field = keys.peer.sign(message, keys.file.read_bytes(), b"s", b"example.org", (b"relaxed", b"relaxed"))
        changed = field + message.replace(b"From: A", b"From: B") if number % 2 else field + message
        done = subprocess.run(["./chainmail", "verify", "--dns", str(keys.zone), "--json"], input=changed,
                              capture_output=True, check=False, timeout=60)
        assert [one["result"] for one in json.loads(done.stdout)["dkim"]] == ["fail" if number % 2 else "pass"]
