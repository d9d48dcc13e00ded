# SPDX-License-Identifier: ISC
"""
The conversations that tests/vectors/v_dialogs.c plays with the engine in
memory, played with the running program over a socket: our own
(tests/dialog/*.dialog) and those of the public suite.
"""
import json
import os
import pathlib
import re
import ssl
import time

import pytest

from chainmail import Chainmail, Wire, until

SOURCE = pathlib.Path(os.environ.get("srcdir", ".")).resolve()
CONFORMANCE = pathlib.Path(os.environ.get("CONFORMANCE", SOURCE / "../shared/conformance"))
SITE = """
hostname mx.local.test
state {dir}/state
log json
resolver { facts {dir}/facts }
listen mx { on 127.0.0.1:{port}; tls cert {dir}/cert.pem key {dir}/key.pem }
domain local.test { deliver to maildir {dir}/mail/%u; users user, postmaster }
limits { size 1MB; errors 20; commands 1000 }
policy { several-authors accept }           # the suite's messages have no author at all
"""
FILLER = b"x" * 76 + b"\r\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory, pems):
    place = tmp_path_factory.mktemp("dialogs")
    for name in "cert.pem", "key.pem":
        (place / name).write_bytes((pems / name).read_bytes())
    (place / "facts").write_text("local.test. MX 10 mx.local.test.\n")
    with Chainmail(place, SITE) as it:
        yield it


class Player(Wire):
    def __init__(self, program):
        super().__init__(program.port)
        self.program, self.before = program, len(program.events("received"))

    def tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.input = b""
        self.socket = context.wrap_socket(self.socket)

    def stored(self):
        return len(self.program.events("received")) - self.before

    def last(self):
        """The message stored last, as it was delivered."""
        event = self.program.events("received")[-1]
        where = pathlib.Path(self.program.wait("delivered", id=event["id"])["maildir"])
        [text] = [t for t in (path.read_bytes() for path in (where / "new").iterdir())
                  if event["id"].encode() in t.split(b"\n\n")[0]]
        return text.decode("latin-1")

    def leave(self):
        """Out of a text, if one was begun, and when all that was sent before has been answered."""
        self.put(b"\r\n.\r\nQUIT\r\n")
        while self.more():
            pass


# --- our own ----------------------------------------------------------------------------


def unescape(text):
    return re.sub(r"\\(x[0-9A-Fa-f]{2}|.)", lambda m: {"r": "\r", "n": "\n"}.get(
        m[1], chr(int(m[1][1:], 16)) if len(m[1]) == 3 else m[1]), text).encode("latin-1")


def own_step(player, line):
    word, _, rest = line.partition(" ")
    if word == "C:":
        player.put(rest.encode() + b"\r\n")
    elif word == "R:":
        player.put(unescape(rest))
    elif word == "S:":
        reply = player.reply()
        assert reply.startswith(rest[:3]) and rest[4:] in reply, (line, reply)
    elif word == "NO:":
        assert rest.strip() not in player.input.decode("latin-1")
    elif word == "TLS":
        player.tls()
    elif word == "CLOSED":
        assert not player.more(), player.input
    elif word == "STORED":
        until(lambda: player.stored() == int(rest), lambda: f"{line}: {player.stored()}")
    elif word == "BODY":
        assert unescape(rest).decode("latin-1").replace("\r\n", "\n") in player.last()
    else:
        assert line == "" or line.startswith("#"), line


@pytest.mark.parametrize("dialog", sorted((SOURCE / "tests/dialog").glob("*.dialog")), ids=lambda path: path.stem)
def test_own_dialog(program, dialog):
    lines = dialog.read_text().splitlines()
    if any(line.startswith("# Only in memory: ") for line in lines):
        pytest.skip(next(line[18:] for line in lines if line.startswith("# Only in memory: ")))
    with Player(program) as player:
        for line in lines:
            own_step(player, line)


# --- the public suite ---------------------------------------------------------------------


def send_step(player, step):
    """False: it is no step of the client's."""
    if "c" in step:
        player.put(step["c"].encode() + b"\r\n")
    elif "raw" in step:
        player.put(step["raw"].encode("latin-1"))
    elif "raw8" in step:
        player.put(step["raw8"].encode())
    elif "bytewise" in step:
        for byte in step["bytewise"].encode():
            player.put(bytes([byte]))
            time.sleep(0.001)
    elif "rawhex" in step:
        player.put(bytes.fromhex(step["rawhex"]))
    elif "big" in step:
        player.put((FILLER * (step["big"] // len(FILLER) + 1)))
    elif "bigraw" in step:
        player.put(b"x" * step["bigraw"])
    elif "close" in step:
        player.socket.close()
    elif "delay" in step:
        time.sleep(step["delay"] / 1000)
    else:
        return False
    return True


def expect_reply(player, step):
    reply = player.reply()
    codes = [step["s"]] if isinstance(step["s"], str) else step["s"]
    assert reply[:3] in codes, (step, reply)
    texts = [line[4:] for line in reply.split("\n")]
    if "re" in step:
        assert re.search(step["re"], reply), (step, reply)
    if "ehlo" in step:
        assert any(re.search(step["ehlo"], text) for text in texts[1:]), (step, reply)
    if "ehlo_not" in step:
        assert not any(re.search(step["ehlo_not"], text) for text in texts[1:]), (step, reply)
    if "no_extra" in step:
        assert player.silent(0.3)


def expect_stored(player, step):
    if "stored" in step:
        until(lambda: player.stored() == step["stored"], lambda: f"{step}: {player.stored()}")
    if "stored_max" in step:
        assert player.stored() <= step["stored_max"]
    for text in step.get("body_lines", ()):
        assert f"\n{text}\n" in player.last()
    if "body_contains" in step:
        assert step["body_contains"] in player.last()
    if "header_re" in step:
        assert re.search(step["header_re"], player.last())


def public_step(player, step):
    if send_step(player, step):
        return
    if "s" in step:
        expect_reply(player, step)
    elif "tls" in step or "tls_or_eof" in step:
        player.tls()
    elif "eof" in step:
        assert not player.more(), player.input
    elif "any_replies" in step:
        player.leave()
    else:
        expect_stored(player, step)


def cases():
    path = CONFORMANCE / "smtp-dialogs" / "dialogs.json"
    return json.loads(path.read_text())["cases"] if path.exists() else []


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"] if isinstance(case, dict) else "absent")
def test_public_dialog(program, case):
    if "AUTH" in case.get("needs", ()):
        pytest.skip("AUTH is not offered")
    with Player(program) as player:
        for step in case["steps"]:
            public_step(player, step)


# --- smuggling ---------------------------------------------------------------------------------


def fake_ends():
    path = CONFORMANCE / "smtp-dialogs" / "smuggling.json"
    return json.loads(path.read_text())["fake_eod"] if path.exists() else ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r"]


@pytest.mark.parametrize("fake", fake_ends(), ids=repr)
@pytest.mark.parametrize("slowly", [False, True], ids=["at once", "in pieces"])
def test_what_is_no_end_ends_nothing(program, fake, slowly):
    """What stands behind a fake end is text, and a bare CR or LF is refused (RFC 5321 2.3.8)."""
    with Player(program) as player:
        player.begin("a@far.test", "user@local.test")
        pieces = [b"From: a@far.test\r\nSubject: one\r\n\r\nbody", fake.encode("latin-1"),
                  b"MAIL FROM:<x@far.test>\r\nRCPT TO:<postmaster@local.test>\r\nDATA\r\n",
                  b"Subject: two\r\n\r\nsmuggled\r\n.\r\n"]
        for piece in pieces if slowly else [b"".join(pieces)]:
            player.put(piece)
            time.sleep(0.01 if slowly else 0)
        reply = player.reply()
        bare = re.search("(?<!\r)\n|\r(?!\n)", fake) is not None or "\0" in fake
        assert reply.startswith("550 5.5.2" if bare and "\0" not in fake else ("250", "5")), reply
        assert player.ask("QUIT").startswith("221")     # one reply, not four
        assert player.stored() <= 1
