# SPDX-License-Identifier: ISC
"""What we write as Authentication-Results is read alike by python3-authres and by us.

The values are what senders write: ordinary ones and hostile ones. Each goes
through tests/vectors/v_authres, which writes the field and reads it back.

Of the peer: a quoted value must be the last of its result (its parser looks
ahead for a semicolon), so the value under test stands last, which is also
where we put header.b; it leaves quoted pairs as they are; it knows no UTF-8
(RFC 8601 2.2), so those fields are read by us alone; they are given unfolded.
"""
import json
import os
import random
import re
import subprocess

import pytest

authres = pytest.importorskip("authres")

PROGRAM = os.path.join("obj", "tests", "vectors", "v_authres")

METHODS = {
    "spf": (["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"], ["smtp.helo", "smtp.mailfrom"]),
    "dkim": (["none", "pass", "fail", "policy", "neutral", "temperror", "permerror"],
             ["header.d", "header.s", "header.a", "header.i", "header.b"]),
    "dmarc": (["none", "pass", "fail", "temperror", "permerror"], ["header.from", "policy.dmarc"]),
    "arc": (["none", "pass", "fail"], ["header.oldest-pass", "smtp.remote-ip"]),
    "iprev": (["pass", "fail", "temperror", "permerror"], ["policy.iprev"]),
    "auth": (["pass", "fail"], ["smtp.auth"]),
}
PLAIN = ["example.org", "a.b.example", "rsa-sha256", "s1", "192.0.2.1", "0", "@example.org", "ann@example.org",
         "prvs=12/3=ann+x@example.org", "xn--bcher-kva.example", "reject"]
QUOTED = ["2001:db8::1", "Ab/dEf+h", "a b@example.org", '"a b"@example.org', "a@b@c", "x; dmarc=pass",
          'x"; dmarc=pass header.from="bank.test', "x\\", "x\\\"", "(open", "close)", "x\r\nSubject: y", "x\ny", "x\0y",
          "\tx", " ", ";", "=", "<>", "a@[192.0.2.1]", "b\u00fccher.example", "\u00e4@b\u00fccher.example", "\u2028",
          "x" * 300]
ALPHABET = 'ab.@;="\\()<>[]:/ \t\r\n\x00\x7f\u00e4\u4e2d'


def fields():
    """Every value in every place, then what a seeded generator makes."""
    rng = random.Random(9989)
    for value in PLAIN + QUOTED:
        for eai in (False, True):
            yield field([result("spf", "pass", [("smtp.mailfrom", value)]), result("dmarc", "fail", [])], eai)
            yield field([result("dkim", "fail", [("header.d", "example.org")], reason=value)], eai)
    for _ in range(400):
        results = []
        for _ in range(rng.randint(0, 6)):
            method = rng.choice(list(METHODS))
            words, names = METHODS[method]
            properties = [(name, rng.choice(PLAIN)) for name in names[:-1]]
            properties.append((names[-1], rng.choice([rng.choice(PLAIN), rng.choice(QUOTED), noise(rng)])))
            results.append(result(method, rng.choice(words), properties,
                                  reason=rng.choice(["", "", "bad signature", rng.choice(QUOTED), noise(rng)])))
        yield field(results, rng.random() < 0.3)


def noise(rng):
    return "".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 30)))


def field(results, eai):
    return {"id": "mx.example.net", "eai": eai, "results": results}


def result(method, word, properties, reason=""):
    return {"method": method, "result": word, "reason": reason, "properties": properties}


def harmless(value, eai):
    """What may be left of a value: RFC 8601 2.2, STANDARDS B7.10."""
    shown = []
    for char in value:
        if ord(char) >= 0x80:
            shown.append(char if eai else "?" * len(char.encode()))
        else:
            shown.append(char if 0x20 <= ord(char) < 0x7f else "?")
    return "".join(shown)


def wanted(given):
    return [{"method": r["method"], "result": r["result"], "reason": harmless(r["reason"], given["eai"]),
             "properties": [[name, harmless(value, given["eai"])] for name, value in r["properties"]]}
            for r in given["results"]]


def read_by_peer(text):
    header = authres.AuthenticationResultsHeader.parse("Authentication-Results: " + text)
    results = [{"method": r.method, "result": r.result, "reason": unpaired(r.reason or ""),
                "properties": [[f"{p.type}.{p.name}", unpaired(p.value)] for p in r.properties]}
               for r in header.results]
    return header.authserv_id, results


def unpaired(value):
    return re.sub(r"\\(.)", r"\1", value)


def test_fields_are_read_alike():
    given, read_by_both = list(fields()), 0
    lines = "".join(json.dumps(f) + "\n" for f in given)
    answers = subprocess.run([PROGRAM, "write"], input=lines, capture_output=True, text=True, check=True,
                             timeout=60).stdout.splitlines()
    assert len(answers) == len(given) and len(given) > 500
    for asked, answer in zip(given, map(json.loads, answers)):
        text = answer["field"]
        assert not [line for line in text.split("\r\n")[1:] if not line.startswith("\t")], text
        assert "\n" not in text.replace("\r\n", "") and "\r" not in text.replace("\r\n", "")
        assert all(len(line.encode()) <= 998 for line in text.split("\r\n"))
        assert answer["read"] == {"id": "mx.example.net", "results": wanted(asked)}, text
        if text.isascii():
            assert read_by_peer(text.replace("\r\n", "")) == ("mx.example.net", wanted(asked)), text
            read_by_both += 1
    assert read_by_both > 400
