# SPDX-License-Identifier: ISC
"""python3-dkim and we: what one signs, the other verifies."""
import base64
import json
import os
import random
import re
import subprocess
import time

import dkim
import pytest

import corpus

COUNT = 520
SEED = b"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="        # RFC 8032 7.1, test 1
NAME = {"rsa": b"rsa._domainkey.example.org", "ed25519": b"ed25519._domainkey.example.org"}


def run(*command, data=None):
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Private keys in files, and the records that belong to them."""
    folder = tmp_path_factory.mktemp("keys")
    rsa, ed25519 = folder / "rsa", folder / "ed25519"
    run("openssl", "genrsa", "-traditional", "-out", str(rsa), "2048")
    ed25519.write_bytes(SEED)
    public = base64.b64encode(run("openssl", "pkey", "-in", str(rsa), "-pubout", "-outform", "DER"))
    records = {
        NAME["rsa"]: b"v=DKIM1; k=rsa; p=" + public,
        NAME["ed25519"]: b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    }
    return {"rsa": rsa, "ed25519": ed25519, "records": records}


def lookup(records):
    return lambda name, timeout=5: records.get(name.rstrip(b"."))


def our_signature(message, algorithm, keys, *more):
    return run("./chainmail", "sign", "--domain", "example.org", "--selector", algorithm,
               "--key", str(keys[algorithm]), *more, data=message)


def test_python3_dkim_verifies_what_we_sign(keys):
    """Every second one by the other algorithm, every third with a list of its own."""
    bad = []
    for number, message in enumerate(corpus.messages(COUNT, seed=6376)):
        if message.endswith(b"\r\n"):
            more = ["--headers", "from:from:to:x-long:subject"] if number % 3 == 0 else []
        else:
            more = ["--time", str(int(time.time()) - 100)]
        signed = our_signature(message, ("rsa", "ed25519")[number % 2], keys, *more)
        assert signed.endswith(message)
        if not dkim.verify(signed, dnsfunc=lookup(keys["records"])):
            bad.append(number)
    assert not bad


def their_signature(message, rng, keys):
    algorithm = rng.choice(["rsa", "rsa", "ed25519"])
    forms = tuple(rng.choice([b"simple", b"relaxed"]) for _ in range(2))
    names = rng.choice([None, [b"from", b"to", b"from", b"subject", b"x-long"], [b"from", b"list-id", b"list-id", b"references"]])
    return dkim.sign(message, algorithm.encode(), b"example.org", keys[algorithm].read_bytes(),
                     canonicalize=forms, include_headers=names, length=rng.random() < 0.2,
                     identity=rng.choice([None, b"x@example.org", b"@sub.example.org"]),
                     signature_algorithm=algorithm.encode() + b"-sha256") + message


def judged(suite, program, folder):
    """Our verdicts over a suite of the shape that the public ones have."""
    (folder / "cases.json").write_text(json.dumps(suite))
    done = subprocess.run([program, str(folder)], capture_output=True, timeout=120, check=False,
                          env={**os.environ, "CONFORMANCE": "/nonexistent"})
    lines = done.stdout.decode().splitlines()
    assert done.returncode in (0, 1), done.stderr
    assert lines[-1] == f"1..{len(suite['cases'])}"
    return [line for line in lines if line.startswith("not ok")]


def test_we_verify_what_python3_dkim_signs(keys, tmp_path):
    rng = random.Random(8463)
    txt = {name.decode(): [record.decode()] for name, record in keys["records"].items()}
    suite = {"now": int(time.time()) + 60, "txt": txt, "cases": []}
    for number, message in enumerate(corpus.messages(COUNT, seed=8463)):
        (tmp_path / str(number)).write_bytes(their_signature(message, rng, keys))
        suite["cases"].append({"id": str(number), "message": str(number), "eol": "crlf", "sigs": ["pass"]})
    assert judged(suite, "obj/tests/vectors/v_dkim", tmp_path) == []


def test_neither_of_us_verifies_what_was_changed(keys, tmp_path):
    """One letter of the header or of the body is another."""
    txt = {name.decode(): [record.decode()] for name, record in keys["records"].items()}
    suite = {"now": int(time.time()) + 60, "txt": txt, "cases": []}
    for number, message in enumerate(corpus.messages(40, seed=8301)):
        if number % 2:
            message += b"more\r\n"
            signed = our_signature(message, "ed25519", keys).replace(b"more\r\n", b"mora\r\n")
        else:
            signed = our_signature(message, "rsa", keys).replace(b"From: A", b"From: B")
        assert not dkim.verify(signed, dnsfunc=lookup(keys["records"]))
        (tmp_path / str(number)).write_bytes(signed)
        suite["cases"].append({"id": str(number), "message": str(number), "eol": "crlf", "sigs": ["fail"]})
    assert judged(suite, "obj/tests/vectors/v_dkim", tmp_path) == []


def test_what_is_written_is_folded_and_ends_with_crlf(keys):
    for message in corpus.messages(20, seed=5322):
        signed = our_signature(message, "rsa", keys, "--time", "1795311000")
        field = signed[:len(signed) - len(message)]
        assert all(len(text) <= 78 for text in field.split(b"\r\n"))
        assert field.endswith(b"\r\n") and not re.search(rb"(?<!\r)\n|\r(?!\n)", field)
        assert signed == our_signature(message, "rsa", keys, "--time", "1795311000")
