# SPDX-License-Identifier: ISC
"""The limits of HACKING 8 that a message, its client or their DNS can reach: each just kept, and just passed."""
import base64
import json
import os
import pathlib
import subprocess

import pytest

CHAINMAIL = os.environ.get("CHAINMAIL", "./chainmail")
HACKING = pathlib.Path(__file__).resolve().parents[2] / "HACKING"
IP = "192.0.2.7"
EMPTY = "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="          # the hash of a simple body without a line
FROM = "From: a@b.test\r\n"


def der(tag, content):
    size = len(content)
    octets = bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    return tag + octets + content


def rsa(bits, pad=0):
    """A key record of so many octets at least; nobody has the other half."""
    number = (1 << (bits - 1) | 1).to_bytes((bits + 7) // 8, "big")
    number = number if number[0] < 0x80 else b"\0" + number
    record = "p=" + base64.b64encode(der(b"\x30", der(b"\x02", number) + der(b"\x02", b"\1\0\1"))).decode()
    return record + (";n=" + "x" * (pad - len(record) - 3) if pad else "")


def key(*records):
    return "".join(f's._domainkey.b.test. TXT "{record}"\n' for record in records)


def signed(more="", b="A" * 172, names="from"):
    return f"DKIM-Signature: v=1; a=rsa-sha256; d=b.test; s=s; h={names}; bh={EMPTY}; b={b}{more}\r\n"


def numbered(count, line, first=0):
    return "".join(line.format(i) for i in range(first, first + count))


def spf(record, more=""):
    return f'b.test. TXT "v=spf1 {record}"\n{more}'


def terms(count):
    return spf(numbered(count, "a:x{}.test ") + "-all", numbered(count, "x{}.test. A 192.0.2.1\n"))


def voids(count):
    return spf(numbered(count, "a:gone{}.test ") + "-all")


def exchangers(count):
    return spf("mx -all", numbered(count, "b.test. MX {0} m{0}.test.\n") + numbered(count, "m{}.test. A 192.0.2.1\n"))


def pointers(count, record):
    names = numbered(count - 1, "7.2.0.192.in-addr.arpa. PTR n{}.test.\n") + "7.2.0.192.in-addr.arpa. PTR m.good.test.\n"
    return spf(record, names + "m.good.test. A 192.0.2.7\n")


def sized(octets):
    return spf("-all x=" + "y" * (octets - len("v=spf1 -all x=")))


def explained(octets):
    return spf("-all exp=e.test", f'e.test. TXT "{"y" * octets}"\n')


def expanded(octets):
    return spf("exists:" + "%{l}" * 63 + "." + "y" * (octets - 63 * 64 - 8) + ".x.test -all")


def policy(octets):
    record = "v=DMARC1; p=reject; x="
    return f'_dmarc.b.test. TXT "{record}{"y" * (octets - len(record))}"\n'


def authors(count):
    return "From: " + ",".join(f"a{i}@b.test" for i in range(count)) + "\r\n"


def dkim(answer):
    words = [signature["result"] for signature in answer["dkim"]]
    left_out = f" +{answer['dkim_left_out']}" if "dkim_left_out" in answer else ""
    return " ".join(words if len(set(words)) > 1 else words[:1]) + left_out


def dmarc(answer):
    return answer["dmarc"]["result"]


def sender(answer):
    return answer["spf"]["result"]


def explanation(answer):
    return "some" if "explanation" in answer["spf"] else "none"


def iprev(answer):
    return answer["iprev"]["result"]


def action(answer):
    return answer["action"]


DEAR = key(*(f"{rsa(8192)};n={i}" for i in range(4)))
# What HACKING says, what is looked at, header and zone at the limit with the result, the same above it.
ROWS = [
    ("DKIM signatures 10, the nearest to From", dkim, (signed() * 10 + FROM, "", "permerror"),
     (signed() * 13 + FROM, "", "permerror +3")),
    ("tags of a signature or key 64 the list is invalid: permerror", dkim,
     (signed(numbered(57, "; x{}=")) + FROM, key(rsa(1024)), "fail"), (signed(numbered(58, "; x{}=")) + FROM, key(rsa(1024)), "permerror")),
    ("names in h= 1,000 permerror", dkim, (signed(names="from" + ":a" * 999) + FROM, key(rsa(1024)), "fail"),
     (signed(names="from" + ":a" * 1000) + FROM, key(rsa(1024)), "permerror")),
    ("different l= 4 of a message those above: neutral", dkim,
     (numbered(4, signed("; l={}")) + FROM, "", "permerror"),
     (numbered(5, signed("; l={}")) + FROM, "", "permerror permerror permerror permerror neutral")),
    ("key records of a name the first 4", dkim, (signed() + FROM, key("n=1", "n=2", "n=3", rsa(1024)), "fail"),
     (signed() + FROM, key("n=1", "n=2", "n=3", "n=4", rsa(1024)), "permerror")),
    ("key record, RSA key 8 KiB, 1,024 to 8,192 bits permerror", dkim, (signed() + FROM, key(rsa(1024)), "fail"),
     (signed() + FROM, key(rsa(1023)), "permerror")),
    ("key record, RSA key 8 KiB, 1,024 to 8,192 bits permerror", dkim, (signed() + FROM, key(rsa(8192)), "fail"),
     (signed() + FROM, key(rsa(8193)), "permerror")),
    ("key record, RSA key 8 KiB, 1,024 to 8,192 bits permerror", dkim, (signed() + FROM, key(rsa(1024, 8192)), "fail"),
     (signed() + FROM, key(rsa(1024, 8193)), "permerror")),
    ("records of a name 8 KiB are kept those that found no place: permerror", dkim,
     (signed() + FROM, key("n=" + "x" * 6998, rsa(1024, 1192)), "fail"),
     (signed() + FROM, key("n=" + "x" * 6998, rsa(1024, 1193)), "permerror")),
    ("DKIM, and ARC, each the work of 400 RSA-2048 those left: neutral", dkim,
     (signed(b="A" * 1366 + "==") * 5 + FROM, DEAR, "fail"),
     (signed(b="A" * 1366 + "==") * 7 + FROM, DEAR, "fail fail fail fail fail neutral neutral")),
    ("SPF 10 terms that ask, 2 voids, 10 MX, 8 KiB permerror", sender, (FROM, terms(10), "fail"), (FROM, terms(11), "permerror")),
    ("SPF 10 terms that ask, 2 voids, 10 MX, 8 KiB permerror", sender, (FROM, voids(2), "fail"), (FROM, voids(3), "permerror")),
    ("SPF 10 terms that ask, 2 voids, 10 MX, 8 KiB permerror", sender, (FROM, exchangers(10), "fail"),
     (FROM, exchangers(11), "permerror")),
    ("SPF 10 terms that ask, 2 voids, 10 MX, 8 KiB permerror", sender, (FROM, sized(8192), "fail"), (FROM, sized(8193), "permerror")),
    ("PTR names 10 others are ignored", sender, (FROM, pointers(10, "ptr:good.test -all"), "pass"),
     (FROM, pointers(11, "ptr:good.test -all"), "fail")),
    ("TXT records of a name 32 KiB permerror", sender, (FROM, sized(8192) + numbered(3, 'b.test. TXT "{}' + "y" * 8191 + '"\n'), "fail"),
     (FROM, sized(8192) + numbered(3, 'b.test. TXT "{}' + "y" * 8191 + '"\n') + 'b.test. TXT "y"\n', "permerror")),
    ("domain-spec, expanded 4 KiB permerror", sender, (FROM, expanded(4096), "fail"), (FROM, expanded(4097), "permerror")),
    ("explanation 400 octets none is told", explanation, (FROM, explained(400), "some"), (FROM, explained(401), "none")),
    ("DMARC record 4,096 octets no record", dmarc, (FROM, policy(4096), "fail"), (FROM, policy(4097), "none")),
    ("addresses in From 16", action, (authors(16), "", "accept"), (authors(17), "", "reject")),
    ("route before an address 10 names the field cannot be read", action,
     (f"From: <{','.join(['@r.test'] * 10)}:a@b.test>\r\n", "", "accept"),
     (f"From: <{','.join(['@r.test'] * 11)}:a@b.test>\r\n", "", "reject")),
    ("comments in comments 20 the field cannot be read", action, (f"From: {'(' * 20}{')' * 20} a@b.test\r\n", "", "accept"),
     (f"From: {'(' * 21}{')' * 21} a@b.test\r\n", "", "reject")),
    ("iprev 10 names others are not looked at", iprev, (FROM, pointers(10, "-all"), "pass"), (FROM, pointers(11, "-all"), "fail")),
]


def result(folder, look, header, zone):
    (folder / "zone").write_text(zone)
    done = subprocess.run([CHAINMAIL, "verify", "--ip", IP, "--helo", "h.test", "--mail-from", "l" * 64 + "@b.test", "--dns",
                           str(folder / "zone"), "--json"], input=(header + "\r\n").encode(), capture_output=True, check=False)
    assert done.stderr == b""
    return look(json.loads(done.stdout))


@pytest.mark.parametrize("row", ROWS, ids=[f"{i}-{row[0].split(' ')[0]}" for i, row in enumerate(ROWS)])
def test_the_table_says_what_happens(tmp_path, row):
    table = " ".join(HACKING.read_text("utf-8").split("8. Limits")[1].split("9. Decided")[0].split())
    says, look, kept, passed = row
    assert says in table
    assert result(tmp_path, look, *kept[:2]) == kept[2]
    assert result(tmp_path, look, *passed[:2]) == passed[2]
