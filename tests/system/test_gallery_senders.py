# SPDX-License-Identifier: ISC
"""Other people's senders before the gallery: how they fare is written down beside ours, not asserted."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

CHAINMAIL = os.path.abspath("chainmail")
HERE = pathlib.Path(__file__).resolve().parent
POSTFIX = pathlib.Path.cwd() / "peers" / "postfix" / "usr"
ALONE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
MATRIX = pathlib.Path("obj/gallery-postfix.txt")

pytestmark = pytest.mark.skipif(not shutil.which("ldns-signzone"),
                                reason="ldns-signzone is not there (ldnsutils)")


@pytest.fixture
def directory():
    """Where Postfix's own user may go, which is not pytest's place."""
    with tempfile.TemporaryDirectory(prefix="gallery-") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


def can_be_alone():
    return shutil.which("unshare") and shutil.which("ip") and subprocess.run(
        [*ALONE, "mount", "--bind", "/etc/hosts", "/etc/hosts"], capture_output=True, check=False).returncode == 0


def write_down(rows):
    """What Postfix (DANE, no MTA-STS) did, beside what is right; a + where they differ."""
    with MATRIX.open("w") as file:
        for row in rows:
            right = row["delivered"] == (row["outcome"] == "delivered")
            file.write(f"{' ' if right else '+'} {row['domain']:36} {row['expected']:44} {row['status']:9} "
                       f"{','.join(version or 'clear' for version in row['versions']):10} {row['rfc']:17} {row['flaw']}\n")


def test_postfix_with_dane(directory):
    if not (POSTFIX / "lib/postfix/sbin/master").exists():
        pytest.skip("postfix is not there (./configure --deps)")
    if os.geteuid() != 0 or not can_be_alone():
        pytest.skip("no namespaces of our own: root and unshare are needed")
    got = subprocess.run([*ALONE, "/usr/bin/python3", HERE / "gallery_postfix.py", CHAINMAIL, POSTFIX, directory],
                         capture_output=True, text=True, timeout=200, check=False)
    assert got.returncode == 0, got.stderr
    rows = {row["domain"]: row for row in json.loads((directory / "matrix.json").read_text())}
    write_down(rows.values())
    # the world that Postfix saw: it had something to say about every row, and DANE was in it
    assert [name for name, row in rows.items() if not row["status"]] == []
    assert len(rows) >= 100 and {"sent", "deferred", "bounced"} <= {row["status"] for row in rows.values()}
    assert rows["dane-ee-ok.test"]["versions"] == ["TLSv1.3"]
    assert "Verified TLS connection established to mx.dane-ee-ok.test" in (directory / "log").read_text()
    assert all(row["delivered"] == (row["status"] == "sent") for row in rows.values())
