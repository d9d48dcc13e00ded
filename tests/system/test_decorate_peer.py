# SPDX-License-Identifier: ISC
"""Posts of all shapes get a footer; python's email package then reads them.

What it saw before it must see again, byte for byte, and the footer once.
"""
import email
import email.policy
import functools
import pathlib
import random
import subprocess

import pytest

PROGRAM = pathlib.Path("obj/tests/vectors/v_decorate")
TAG = "[members]"
FOOTERS = ["-- \nmembers mailing list", "-- \nMitgliederliste für alle = 📧 \n"]
MARK = "=_decorated_9E107D9D372BB682"
POLICIES = {"compat32": email.policy.compat32, "SMTP": email.policy.SMTP}

if not PROGRAM.exists():
    pytest.skip("obj/tests/vectors/v_decorate is not built", allow_module_level=True)


@functools.cache
def decorate(message, footer):
    """The message as the list sends it, and what was chosen."""
    done = subprocess.run([PROGRAM, TAG, footer], input=message, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    choice, _, rest = done.stdout.partition(b"\r\n")
    return rest, choice.removeprefix(b"X-Choice: ").decode()


def crlf(text):
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


# --- posts ---------------------------------------------------------------------

HEAD = b"From: Ann <ann@bank.test>\r\nTo: members@list.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n" \
       b"Message-ID: <1@bank.test>\r\n"

TEXTS = ["Hello.\r\n", "Hello", "", "Grüße\r\nund mehr\r\n", "a=b \t\r\n-- \r\nAnn\r\n", "x" * 300 + "\r\n", "=\r\n", "é"]


def encodings(text, charset):
    """The body in every transfer encoding that can hold it."""
    import base64
    import quopri
    raw = text.encode(charset)
    if raw.isascii():
        yield "7bit", raw
    yield "8bit", raw
    quoted = b"\r\n".join(quopri.encodestring(line, quotetabs=False) for line in raw.split(b"\r\n"))
    yield "quoted-printable", quoted.replace(b"=\n", b"=\r\n")
    letters = base64.b64encode(raw)
    lines = [letters[i:i + 76] for i in range(0, len(letters), 76)]
    yield "base64", b"".join(line + b"\r\n" for line in lines)
    yield "base64", letters


def text_posts():
    for text in TEXTS:
        for charset in ("us-ascii", "utf-8", "iso-8859-1", "utf-16"):
            try:
                bodies = list(encodings(text, charset))
            except UnicodeEncodeError:
                continue
            for encoding, body in bodies:
                for more in ("", "; format=flowed"):
                    yield (HEAD + b"MIME-Version: 1.0\r\n" + f"Content-Type: text/plain; charset={charset}{more}\r\n"
                           f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body)
    yield HEAD + b"\r\nplain old text\r\n"
    yield HEAD + b"\r\n"
    yield HEAD + b"Content-Disposition: attachment; filename=x\r\n\r\nattached\r\n"


LEAVES = [
    b"\r\nplain\r\n",
    b"",
    b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=BC</p>\r\n",
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n",
    b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\n-- \r\n--x\r\n\r\n",
    b"Content-Type: message/rfc822\r\n\r\nFrom: x@y.test\r\n\r\ninner\r\n",
    b"\r\n8-bit: \xc3\xbc\r\n",
]
KINDS = ["mixed", "mixed", "alternative", "related", "report", "signed; micalg=x", "digest", "parallel", "x-new"]


def multipart(rng, depth):
    """A random multipart: its Content-Type and its body."""
    boundary = rng.choice(["b", "=_x", "a b", "'()+_,-./:=?", "b" * 70]) + str(depth)
    parts = []
    for _ in range(rng.randint(1, 3)):
        if depth < 4 and rng.random() < 0.4:
            kind, body = multipart(rng, depth + 1)
            parts.append(b"Content-Type: " + kind + b"\r\n\r\n" + body)
        else:
            parts.append(rng.choice(LEAVES))
    mark = boundary.encode()
    body = b"preamble\r\n" if rng.random() < 0.3 else b""
    body += b"".join(b"--" + mark + rng.choice([b"", b" ", b"\t "]) + b"\r\n" + part + b"\r\n" for part in parts)
    if depth > 0 or rng.random() < 0.8:
        body += b"--" + mark + b"--" + rng.choice([b"", b"\r\n", b"\r\nepilogue\r\n"])
    return f'multipart/{rng.choice(KINDS)}; boundary="{boundary}"'.encode(), body


def multipart_posts(count):
    rng = random.Random(9057)
    for _ in range(count):
        kind, body = multipart(rng, 0)
        yield HEAD + b"MIME-Version: 1.0\r\nContent-Type: " + kind + b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body


def odd_posts():
    yield HEAD + b"Content-Type: text/html\r\n\r\n<p>hi"
    yield HEAD + b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n" \
        b"Content-Transfer-Encoding: base64\r\n\r\nMIAG\r\n"
    yield HEAD + b"Content-Type: multipart/mixed\r\n\r\nno boundary\r\n"
    yield HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno delimiter\r\n"
    yield HEAD + b"Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\r\n\r\n--ab\r\n\r\nx\r\n--ab--\r\n"
    yield HEAD + b"Content-Type: multipart/mixed; boundary=b (really)\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
    yield HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--bc\r\n\r\ny\r\n--b--\r\n"
    yield HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\n\nx\n--b--\n"
    yield HEAD + b"Content-Type: text\r\n\r\nx\r\n"
    yield HEAD + b"Content-Type: message/partial; number=1; total=2; id=x\r\n\r\nx\r\n"
    yield HEAD + b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89PNG\r\n\x1a\n"


POSTS = [*text_posts(), *multipart_posts(120), *odd_posts()]


# --- what a reader sees ---------------------------------------------------------------

def parse(message, policy):
    return email.message_from_bytes(message, policy=policy)


def tree(part, loose=False):
    """Everything in a part: type, bytes of the content, and what is below."""
    if part.is_multipart():
        below = [tree(p, loose) for p in part.get_payload()]
        epilogue = part.epilogue or ""
        return (part.get_content_type(), part.preamble, below, epilogue.rstrip("\r\n") if loose else epilogue)
    content = part.get_payload(decode=True)
    return (part.get_content_type(), part.get_content_charset(), content.rstrip(b"\r\n") if loose else content)


def is_broken(message):
    """Never closed, or without parts: then python is not sure whose the last line end is."""
    return bool(message.defects)


def fields(message, but=()):
    return [(k, v) for k, v in message.raw_items() if k.lower() not in but]


def footer_bytes(footer):
    lines = footer if footer.endswith("\n") else footer + "\n"
    return crlf(lines).encode()


def check_footer_part(part, footer):
    assert part.get_content_type() == "text/plain"
    assert not part.defects
    assert part.get_payload(decode=True) == footer_bytes(footer).removesuffix(b"\r\n")
    assert part.get_content_charset() == ("us-ascii" if footer.isascii() else "utf-8")


def check_appended(old, new, footer):
    before, after = old.get_payload(decode=True), new.get_payload(decode=True)
    assert fields(old, {"subject"}) == fields(new, {"subject"})
    assert after.startswith(before)
    between = after[len(before):].removesuffix(footer_bytes(footer))
    assert after.endswith(footer_bytes(footer)) and between in (b"", b"\r\n", b"\r\n\r\n")
    assert not before or (before + between).endswith(b"\n")
    after.decode(new.get_content_charset() or "us-ascii", "strict" if before.isascii() else "replace")


def check_added(old, new, footer):
    assert fields(old, {"subject"}) == fields(new, {"subject"})
    assert new.preamble == old.preamble
    *parts, last = new.get_payload()
    assert [tree(p, is_broken(old)) for p in parts] == [tree(p, is_broken(old)) for p in old.get_payload()]
    check_footer_part(last, footer)
    assert not new.defects


def check_wrapped(old, new, footer, message, decorated):
    assert new.get_content_type() == "multipart/mixed" and new.get_boundary() == MARK
    assert new["MIME-Version"] == "1.0" and not new.defects
    assert new["Content-Transfer-Encoding"] in (None, "7bit", "8bit", "binary")
    first, last = new.get_payload()
    assert tree(first, is_broken(old)) == tree(old, is_broken(old))
    assert fields(first) == [(k, v) for k, v in fields(old) if k.lower().startswith("content-")]
    body = message.partition(b"\r\n\r\n")[2]
    assert decorated.count(b"\r\n\r\n" + body + b"\r\n--" + MARK.encode() + b"\r\n") == 1
    check_footer_part(last, footer)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("footer", FOOTERS, ids=["ascii", "utf8"])
def test_posts_of_all_shapes(policy, footer):
    seen = {}
    for message in POSTS:
        decorated, choice = decorate(message, footer)
        old, new = parse(message, POLICIES[policy]), parse(decorated, POLICIES[policy])
        seen[choice] = seen.get(choice, 0) + 1
        if choice == "appended":
            check_appended(old, new, footer)
        elif choice == "part added":
            check_added(old, new, footer)
        else:
            assert choice == "wrapped"
            check_wrapped(old, new, footer, message, decorated)
    assert seen["appended"] > 30 and seen["part added"] > 10 and seen["wrapped"] > 100, seen


@pytest.mark.parametrize("subject,shown", [
    ("hello", "[members] hello"),
    ("", "[members]"),
    ("Re: [members] hello", "Re: [members] hello"),
    ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "[members] Grüße"),
    ("=?utf-8?b?R3LDvMOfZQ==?=\r\n =?iso-8859-1?q?_und_=E9?=", "[members] Grüße und é"),
    ("=?utf-8?q?AW:_[members]_Gr=C3=BC=C3=9Fe?=", "AW: [members] Grüße"),
    ("long " * 14 + "\r\n folded", "[members] " + "long " * 14 + " folded"),
])
def test_subjects_stay_readable(subject, shown):
    decorated, _ = decorate(f"Subject: {subject}\r\n\r\nx\r\n".encode(), FOOTERS[0])
    assert str(parse(decorated, email.policy.SMTP)["Subject"]).split() == shown.split()
    assert all(len(line) <= 78 for line in decorated.split(b"\r\n"))


def test_depth_is_no_problem():
    body = b"--b\r\n\r\nx\r\n--b--\r\n"
    for depth in range(60):
        mark = f"b{depth}".encode()
        inner = b"b" if depth == 0 else f"b{depth - 1}".encode()
        body = b"--" + mark + b"\r\nContent-Type: multipart/mixed; boundary=" + inner + b"\r\n\r\n" + body + \
            b"\r\n--" + mark + b"--\r\n"
    message = HEAD + b"Content-Type: multipart/mixed; boundary=b59\r\n\r\n" + body
    decorated, choice = decorate(message, FOOTERS[0])
    assert choice == "part added"
    check_added(parse(message, email.policy.SMTP), parse(decorated, email.policy.SMTP), FOOTERS[0])
