# SPDX-License-Identifier: ISC
"""
A letter that has everything to look at, and a name server that knows its domains.

It is signed by its author's domain and sealed by a forwarder (dkimpy does both); SPF
fails or passes by the address, DMARC passes by the signature.  Unbound answers from
local data on 127.0.0.1; ours and the milters ask it alike, and cache alike.
"""
import base64
import contextlib
import os
import subprocess

import dkim

from . import world as ground
from .servers import MILTERS, Chainmail, listens, wait_for

AUTHOR, SEALER, SERVER = b"bank.test", b"list.test", 53
SENDER = "alice@bank.test"
UNBOUND = os.path.join(ground.PEERS, "unbound/usr/sbin/unbound")


def can(table, what):
    for name in [*MILTERS, "unbound"]:
        if not os.path.isdir(os.path.join(ground.PEERS, name)):
            table.skip(what, f"{name} is not unpacked (./configure --deps)")
            return False
    return True


def make_key(path):
    subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                    "-out", path], check=True, stderr=subprocess.DEVNULL)
    der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], check=True,
                         capture_output=True).stdout
    with open(path, "rb") as f:
        return f.read(), base64.b64encode(der).decode()


def strings(text):
    return " ".join(f'"{text[i:i + 250]}"' for i in range(0, len(text), 250))


def letter(private):
    line = b"Dear customer, your account has not been touched by anybody today.\r\n"
    text = (b"From: Alice <alice@bank.test>\r\nTo: ann@local.test\r\nSubject: your account\r\n"
            b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@bank.test>\r\n"
            b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n")
    text += line * (3000 // len(line))
    text = dkim.sign(text, b"s1", AUTHOR, private, include_headers=[b"from", b"to", b"subject", b"date"]) + text
    text = b"Authentication-Results: list.test; dkim=pass header.d=bank.test; spf=pass\r\n" + text
    return b"".join(dkim.arc_sign(text, b"s1", SEALER, private, b"list.test")) + text


def records(public):
    key = strings("v=DKIM1; k=rsa; p=" + public)
    spf = strings("v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 ip4:127.0.0.1 -all")
    return [f"s1._domainkey.bank.test. TXT {key}", f"s1._domainkey.list.test. TXT {key}",
            f"bank.test. TXT {spf}", '_dmarc.bank.test. TXT "v=DMARC1; p=reject"']


def unbound_conf(place, public):
    path = os.path.join(place, "unbound.conf")
    data = "\n".join(f"  local-data: '{r}'" for r in records(public))
    with open(path, "w") as f:
        f.write(f"""server:
  interface: 127.0.0.1
  port: {SERVER}
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "{place}"
  pidfile: ""
  module-config: "iterator"
  local-zone: "." static
{data}
remote-control:
  control-enable: no
""")
    return path


@contextlib.contextmanager
def people(world):
    """The path of the letter; while inside, its domains are known."""
    private, public = make_key(os.path.join(world.top, "author.pem"))
    path = os.path.join(world.top, "letter.eml")
    with open(path, "wb") as f:
        f.write(letter(private))
    world.facts = "\n".join(records(public)) + "\n"
    if not ground.is_root() or not os.path.exists(UNBOUND):
        yield path                              # nobody to ask: the same records from a file
        return
    server = subprocess.Popen([UNBOUND, "-c", unbound_conf(world.top, public)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    asks, Chainmail.ASKS = Chainmail.ASKS, f"resolver {{ server 127.0.0.1:{SERVER}; anchor none }} # %s"
    try:
        wait_for(lambda: listens(SERVER), 10, "unbound does not listen")
        yield path
    finally:
        Chainmail.ASKS = asks
        server.terminate()
        server.wait()
