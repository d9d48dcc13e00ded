# SPDX-License-Identifier: ISC
"""Messages of every shape that may stand between two signers, always the same ones."""
import random

NAMES = [b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"Reply-To", b"MIME-Version", b"Content-Type",
         b"References", b"In-Reply-To", b"List-Id", b"List-Unsubscribe", b"X-Long", b"Comments"]
WORDS = [b"a", b"word", b"<a@example.org>", b"=?utf-8?q?x?=", "größe".encode(), b"\xe4\xf6", b"semi;colon", b"colon:",
         b"\"quoted string\"", b"(comment)", b"1234567890" * 9]


def white(rng):
    return rng.choice([b" ", b" ", b" ", b"  ", b"\t", b" \t "])


def value(rng):
    """Words with all kinds of white space and folding between them."""
    text = rng.choice([b"", b" ", b" ", b"\t ", b"\r\n "])
    for _ in range(rng.randint(0, 8)):
        text += rng.choice(WORDS) + rng.choice([white(rng), b"\r\n" + white(rng)])
    return text.rstrip(b"\r\n\t ") + rng.choice([b"", b"", b" ", b"\t"])


def header(rng):
    fields = [b"From: A <a@example.org>\r\n"]
    for _ in range(rng.randint(0, 10)):
        name = rng.choice(NAMES)
        name = rng.choice([name, name, name.lower(), name.upper()])
        fields.insert(rng.randint(0, len(fields)), name + b":" + value(rng) + b"\r\n")
    return b"".join(fields)


def line(rng):
    text = b"".join(rng.choice(WORDS) + white(rng) for _ in range(rng.randint(0, 12)))
    return rng.choice([text, text.rstrip(), b"", b" ", b"\t", b".", b"..", white(rng) + text])


def body(rng):
    kind = rng.randint(0, 9)
    if kind == 0:
        return b""
    if kind == 1:
        return b"\r\n" * rng.randint(1, 4)
    text = b"".join(line(rng) + b"\r\n" for _ in range(rng.randint(1, 20)))
    # White space behind the last CRLF is left out: RFC 6376 3.4.4 says that it goes, python3-dkim keeps it.
    return {2: text + b"no end of line", 3: text + b"\r\n" * 5, 4: text[:-2].rstrip(b" \t")}.get(kind, text)


def messages(count, seed):
    rng = random.Random(seed)
    return [header(rng) + b"\r\n" + body(rng) for _ in range(count)]
