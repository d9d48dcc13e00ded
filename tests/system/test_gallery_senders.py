# SPDX-License-Identifier: ISC
"""
Senders before the gallery, over real sockets.  Our own is right about every row; how other people's fare is written
down beside it, not asserted.
"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

CHAINMAIL = os.path.abspath("chainmail")
HERE = pathlib.Path(__file__).resolve().parent
PEERS = pathlib.Path.cwd() / "peers"
ALONE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
MATRIX = pathlib.Path("obj/gallery-senders.txt")
WIDTH = len("! delivered; tls encrypted; in company")
# Who, and the program that must be there.
SENDERS = {"chainmail": "",
           "postfix": "postfix/usr/lib/postfix/sbin/master",
           "postfix-sts": "postfix-mta-sts-resolver/usr/bin/mta-sts-daemon",
           "exim": "exim4-daemon-light/usr/sbin/exim4"}
# Who waits for longer than the test (`patient` in gallery_sender.py).
PATIENT = {"chainmail": {"never-answers.test", "drip-too-slow.test"}}
# Rows whose message not every sender takes: they say nothing about who does not.
PARTICULAR = ("utf8", "eight-bit", "requiretls", "smuggle")

pytestmark = pytest.mark.skipif(not shutil.which("ldns-signzone"),
                                reason="ldns-signzone is not there (ldnsutils)")


def can_be_alone():
    return shutil.which("unshare") and shutil.which("ip") and os.geteuid() == 0 and subprocess.run(
        [*ALONE, "mount", "--bind", "/etc/hosts", "/etc/hosts"], capture_output=True, check=False).returncode == 0


def start(who, directory):
    (directory / who).mkdir(mode=0o755)
    return subprocess.Popen([*ALONE, "/usr/bin/python3", HERE / "gallery_sender.py", who, CHAINMAIL, PEERS, directory / who],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


class Table:
    """Domain -> row of what one sender did, and his log."""

    def __init__(self, rows, directory):
        self.rows = {row["domain"]: row for row in rows}
        self.tried = [row for row in rows if "skipped" not in row]
        self.directory = directory


def told(who, process, directory):
    _, errors = process.communicate(timeout=1200)
    assert process.returncode == 0, (who, errors)
    return Table(json.loads((directory / "matrix.json").read_text()), directory)


@pytest.fixture(scope="module")
def tables():
    """All of them at a time, each in a world of his own: they mostly wait.  Their users may not go to pytest's place."""
    if not can_be_alone():
        pytest.skip("no namespaces of our own: root and unshare are needed")
    with tempfile.TemporaryDirectory(prefix="gallery-") as name:
        directory = pathlib.Path(name)
        os.chmod(name, 0o755)
        running = {who: start(who, directory) for who, program in SENDERS.items() if (PEERS / program).exists()}
        try:
            yield {who: told(who, process, directory / who) for who, process in running.items()}
        finally:
            for process in running.values():
                process.kill()                  # and with unshare all that it began
                process.wait()


def table_of(tables, who):
    if who not in tables:
        pytest.skip(f"{who} is not there (./configure --deps)")
    return tables[who]


@pytest.mark.parametrize("who", SENDERS)
def test_they_were_before_all_of_it(tables, who):
    """The world that they saw: they had something to say about each row, and what they say is what it saw."""
    table = table_of(tables, who)
    assert len(table.rows) >= 120 and len(table.tried) >= 100
    refused = {row["domain"] for row in table.rows.values() if row["refused"]}
    assert [domain for domain in refused if not domain.startswith(PARTICULAR)] == []
    assert {row["domain"] for row in table.rows.values() if row.get("skipped") not in (None, "only right after a change")} == refused
    assert [row["domain"] for row in table.tried if not row["status"] and row["domain"] not in PATIENT.get(who, ())] == []
    assert {"sent", "deferred", "bounced"} <= {row["status"] for row in table.tried}
    assert [row["line"] for row in table.tried if (row["status"] == "sent") != row["got"].startswith("delivered")] == []


def test_our_own_is_right_about_every_row(tables):
    """The running program with its own validator, as the world saw it and as it said itself."""
    assert [row["domain"] for row in tables["chainmail"].rows.values() if row["refused"]] == []
    for row in tables["chainmail"].tried:
        assert row["right"], row
        said = {"sent": "delivered"}.get(row["status"], row["status"])
        assert said == row["expected"].split(";")[0] or row["domain"] in PATIENT["chainmail"], row
        event = json.loads(row["line"] or "{}")
        wanted = [word for word in ("dane", "sts", "requiretls") if f"tls verified by {word}" in row["expected"]]
        assert not wanted or (event["policy"].startswith(wanted[0]) and event["verified"] == "verified"), row


def test_dane_was_in_it(tables):
    for who in "postfix", "postfix-sts":
        assert "Verified TLS connection established to mx.dane-ee-ok.test" in (
            table_of(tables, who).directory / "log").read_text()
    assert " CV=dane " in table_of(tables, "exim").rows["dane-ee-ok.test"]["line"]


def test_policies_were_in_it(tables):
    """A real resolver has fetched them: what it believed, and what it did not."""
    table = table_of(tables, "postfix-sts")
    assert "Verified TLS connection established to mx.sts-ok.test" in (table.directory / "log").read_text()
    assert "Verified TLS connection established to mx.sts-ok.test" not in (
        table_of(tables, "postfix").directory / "log").read_text()
    assert table.rows["sts-wrong-name.test"]["status"] == "deferred"
    said = (table.directory / "sts.log").read_text()
    for domain in "sts-policy-404.test", "sts-policy-unknown-authority.test", "sts-policy-drip.test":
        assert f"fetch for domain '{domain}' failed" in said, domain


def cell(row):
    if "skipped" in row:
        return "  -"
    return f"{' ' if row['right'] else '!'} {row['got']}"


def test_their_matrix_is_written_beside_ours(tables):
    columns = {who: table.rows for who, table in tables.items()}
    own = columns["chainmail"]
    with MATRIX.open("w") as file:
        file.write("! is not what the RFC wants, - was not asked: it comes after a change, or its message is not taken"
                   " by the sender.  What is told is what the hosts have seen.\n")
        file.write(" ".join([f"{'':36} {'expected':44}", *(f"{who:{WIDTH}}" for who in columns)]) + "\n")
        for domain, row in own.items():
            cells = [f"{cell(column[domain]):{WIDTH}}" for column in columns.values()]
            file.write(" ".join([f"{domain:36} {row['expected']:44}", *cells, f"{row['rfc']:17} {row['flaw']}"]) + "\n")
        for who, column in columns.items():
            tried = [row for row in column.values() if "skipped" not in row]
            file.write(f"{who}: {sum(row['right'] for row in tried)} of {len(tried)}\n")
    lines, tried = MATRIX.read_text().splitlines(), len(tables["chainmail"].tried)
    assert len(lines) == 2 + len(own) + len(columns)
    assert lines[2 + len(own)] == f"chainmail: {tried} of {tried}"
    assert all(column.keys() == own.keys() for column in columns.values())
