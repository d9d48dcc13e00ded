# SPDX-License-Identifier: ISC
"""`chainmail sign` and `chainmail seal`: what they write, what they refuse, and how they say so."""
import base64
import subprocess

import pytest

MESSAGE = b"From: a@example.org\nTo: b@example.net\nSubject: x\n\nhi\n"


def run(*arguments, data=MESSAGE):
    return subprocess.run(["./chainmail", *arguments], input=data, capture_output=True, timeout=30, check=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signing")
    for name, bits in ("key", "2048"), ("weak", "1024"), ("short", "512"):
        subprocess.run(["openssl", "genrsa", "-out", str(folder / name), bits], check=True, capture_output=True)
    public = subprocess.run(["openssl", "pkey", "-in", str(folder / "key"), "-pubout", "-outform", "DER"], check=True,
                            capture_output=True).stdout
    (folder / "zone").write_text(f's._domainkey.example.org. TXT "p={base64.b64encode(public).decode()}"\n')
    (folder / "silent").write_text("s._domainkey.example.org. TXT !timeout\n")
    (folder / "broken").write_text("example.org. A nonsense\n")
    (folder / "garbage").write_text("no key\n")
    (folder / "conf").write_text(f"hostname mx.example.org\nstate {folder}\nresolver {{ facts {folder}/zone }}\n")
    return folder


def sign(files, *more, key="key", data=MESSAGE):
    return run("sign", "--domain", "Example.ORG", "--selector", "s", "--key", str(files / key), "--time", "1795311000",
               *more, data=data)


def seal(files, *more, data=MESSAGE):
    return run("seal", "--domain", "example.org", "--selector", "s", "--key", str(files / "key"), "--time",
               "1795311000", "--authserv-id", "mx.example.org", *more, data=data)


def test_a_signed_message_is_the_message_behind_a_field(files):
    done = sign(files)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"\r\n" + MESSAGE.replace(b"\n", b"\r\n"))
    assert done.stdout.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s;\r\n")
    assert done.stdout == sign(files).stdout


REFUSED = [
    ("no domain", 64, ["sign", "--selector", "s", "--key", "KEY"]),
    ("a bad domain", 64, ["sign", "--domain", "org", "--selector", "s", "--key", "KEY"]),
    ("a bad selector", 64, ["sign", "--domain", "example.org", "--selector", "a b", "--key", "KEY"]),
    ("a bad time", 64, ["sign", "--domain", "example.org", "--selector", "s", "--key", "KEY", "--time", "now"]),
    ("an unknown option", 64, ["sign", "--domian", "example.org"]),
    ("no such key", 66, ["sign", "--domain", "example.org", "--selector", "s", "--key", "/nonexistent"]),
    ("no key in the file", 65, ["sign", "--domain", "example.org", "--selector", "s", "--key", "GARBAGE"]),
    ("a key too short", 65, ["sign", "--domain", "example.org", "--selector", "s", "--key", "SHORT"]),
    ("From not signed", 65, ["sign", "--domain", "example.org", "--selector", "s", "--key", "KEY", "--headers", "to"]),
    ("no authserv-id", 64, ["seal", "--domain", "example.org", "--selector", "s", "--key", "KEY"]),
    ("a bad authserv-id", 64, ["seal", "--domain", "example.org", "--selector", "s", "--key", "KEY",
                               "--authserv-id", "a;b"]),
    ("results that end the field", 65, ["seal", "--domain", "example.org", "--selector", "s", "--key", "KEY",
                                        "--authserv-id", "mx", "--results", "dmarc=pass\nBcc: x"]),
]


@pytest.mark.parametrize("code, arguments", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refusals_have_a_code_and_a_sentence(files, code, arguments):
    names = {"KEY": "key", "GARBAGE": "garbage", "SHORT": "short"}
    done = run(*[str(files / names[word]) if word in names else word for word in arguments])
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(b"chainmail s") and done.stderr.count(b"\n") == 1


def test_messages_that_cannot_be_signed(files):
    for message in b"To: x\n\nhi\n", b"From: a\nFrom: b\n\nhi\n", b"no header\n":
        assert sign(files, data=message).returncode == 65


UNFIT = [
    (b"From: a@example.org\n\nhi\rho\n", b"line 3 holds a CR without LF"),
    (b"From: a@example.org\r\n\r\none\r\r\ntwo\r\n", b"line 3 holds a CR without LF"),
    (b"From: a@example.org\r\nSubject: a\rb\r\n\r\nhi\r\n", b"line 2"),
    (b"From: a@example.org\n\nend\r", b"line 3 holds a CR without LF"),
    (b"From: a@example.org\n\n\nx\0\n", b"line 4 holds a NUL"),
]


@pytest.mark.parametrize("data, said", UNFIT)
def test_what_no_server_takes_is_not_signed(files, data, said):
    for make in sign, seal:
        done = make(files, data=data)
        assert (done.returncode, done.stdout) == (65, b"")
        assert said in done.stderr and done.stderr.count(b"\n") == 1


def test_bare_line_feeds_are_taken_for_line_ends(files):
    assert sign(files, data=b"From: a@example.org\r\n\none\ntwo\r\n").stdout.endswith(b"\r\n\r\none\r\ntwo\r\n")


def test_a_weak_key_signs_with_a_warning(files):
    done = sign(files, key="weak")
    assert done.returncode == 0 and b"1024 bits" in done.stderr and done.stdout.startswith(b"DKIM-Signature:")


def test_a_first_seal_needs_no_dns(files):
    done = seal(files, "--results", "spf=pass smtp.mailfrom=a;\n dmarc=pass header.from=a")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"ARC-Authentication-Results: i=1; mx.example.org; spf=pass smtp.mailfrom=a;\r\n dmarc=pass" in done.stdout
    assert done.stdout.startswith(b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.org; s=s; t=1795311000;")


def test_a_chain_is_verified_before_it_is_sealed(files):
    first = seal(files).stdout
    assert b"ARC-Authentication-Results: i=1; mx.example.org; arc=none\r\n" in first
    assert seal(files, "-c", str(files / "conf"), data=first).stdout.startswith(b"ARC-Seal: i=2; a=rsa-sha256; cv=pass;")
    second = seal(files, "--dns", str(files / "zone"), data=first)
    assert second.returncode == 0 and second.stdout.startswith(b"ARC-Seal: i=2; a=rsa-sha256; cv=pass;")
    changed = seal(files, "--dns", str(files / "zone"), data=first.replace(b"hi", b"ho"))
    assert changed.returncode == 0 and changed.stdout.startswith(b"ARC-Seal: i=2; a=rsa-sha256; cv=fail;")
    assert b"the body hash differs" in changed.stderr
    after = seal(files, "--dns", str(files / "zone"), data=changed.stdout)
    assert (after.returncode, after.stdout) == (0, changed.stdout) and b"nothing was added" in after.stderr


def test_a_silent_dns_is_no_reason_to_fail_a_chain_for_ever(files):
    first = seal(files).stdout
    done = seal(files, "--dns", str(files / "silent"), data=first)
    assert (done.returncode, done.stdout) == (75, b"") and b"timeout" in done.stderr
    assert seal(files, "--dns", str(files / "broken"), data=first).returncode == 65
    assert seal(files, "--dns", "/nonexistent", data=first).returncode == 66
