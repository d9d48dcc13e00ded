# SPDX-License-Identifier: ISC
"""Looking after the queue: bounce, drain, export, stats, verify, rebuild, with the program up and down."""
import email
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import threading

import pytest

from chainmail import EX_CONFIG, EX_TEMPFAIL, EX_UNAVAILABLE, PLAIN, Chainmail, Sink, all_below, have, is_program, letter, status_of, until
from test_queue_command import SITE, begin, waiting  # noqa: F401 (a fixture)


def queue(program, *words):
    return program.command("queue", *words)


def test_a_bounce_tells_the_sender_once_and_nobody_is_tried(waiting):
    later, two, _ = waiting.ids
    got = queue(waiting, "bounce", two)
    assert (got.returncode, got.stdout) == (0, "bounce: 1 message\n")
    begin(waiting)
    report = waiting.far.wait(program=waiting)
    assert report.sender.startswith("FROM:<>") and report.recipients == ["TO:<b@other.test> NOTIFY=NEVER"]
    text = report.text.decode()
    assert re.findall(r"(?m)^Final-Recipient: rfc822; *(\S+)\r", text) == ["ben@far.test", "ann@local.test"]
    assert len(re.findall(r"(?m)^Status: 5\.4\.7\r", text)) == 2
    assert waiting.maildir("ann") == [] and two not in [row["queue_id"] for row in waiting.queue()]
    until(lambda: len(waiting.queue()) == 2, "the end of the report, on the disk")
    waiting.kill()
    waiting.start()
    assert len(waiting.far.taken) == 1 and later in [row["queue_id"] for row in waiting.queue()]


def test_of_a_null_sender_a_bounce_is_the_end(waiting):
    assert queue(waiting, "bounce", waiting.ids[2]).returncode == 0
    begin(waiting)
    waiting.wait("dropped", reason="null-sender")
    assert waiting.ids[2] not in [row["queue_id"] for row in waiting.queue()]


def test_export_writes_what_was_received_and_the_row(waiting):
    place = waiting.directory / "out"
    assert queue(waiting, "export", place, "all").stdout == "export: 3 messages\n"
    assert sorted(p.name for p in place.iterdir()) == sorted(f"{i}.{e}" for i in waiting.ids for e in ("eml", "json"))
    assert {p.stat().st_mode & 0o777 for p in place.iterdir()} == {0o600}      # wherever the directory lies
    row = json.loads((place / f"{waiting.ids[1]}.json").read_text())
    assert [r["address"] for r in row["recipients"]] == ["ben@far.test", "ann@local.test"]
    message = email.message_from_bytes((place / f"{waiting.ids[1]}.eml").read_bytes())
    assert message["Subject"] == "two" and message.get_payload() == "zwei\r\n" * 10
    again = queue(waiting, "export", place, waiting.ids[0])
    assert again.returncode != 0 and "File exists" in again.stderr


@pytest.mark.skipif(not have("strace"), reason="strace is not installed")
def test_a_restoration_is_killed_at_each_name_it_changes(waiting, tmp_path):
    """There is always a queue, the old one or the new; and what was not finished can be done again."""
    assert run(waiting, "backup", tmp_path / "saved").returncode == 0
    other = restored(waiting, tmp_path / "saved", tmp_path / "other")
    state, calls = other.directory / "state", "rename,renameat2,rmdir,unlink,mkdir"
    empty, done = tmp_path / "empty", 0
    run(other, "queue", "drop", "all")
    shutil.copytree(state, empty)
    for number in range(1, 200):
        shutil.rmtree(state)
        shutil.copytree(empty, state)
        got = subprocess.run(["strace", "-f", "-qq", "-o", tmp_path / "trace", "-e", f"trace={calls}", "-e",
                              f"inject={calls}:signal=KILL:when={number}", PLAIN, "restore", tmp_path / "saved",
                              "-c", other.file], capture_output=True, text=True, timeout=60, check=False)
        assert (state / "queue/seg").is_dir(), number
        here = len(run(other, "queue", "list", "--json").stdout.splitlines())
        again = run(other, "restore", tmp_path / "saved")
        assert here in (0, 3) and again.returncode == (0 if here == 0 else EX_UNAVAILABLE), (number, again)
        assert len(run(other, "queue", "list", "--json").stdout.splitlines()) == 3
        done += here == 3
        if got.returncode == 0:
            break
    assert got.returncode == 0 and number > 5 and done > 0


@pytest.mark.skipif(not have("strace"), reason="strace is not installed")
def test_a_restoration_where_names_cannot_be_exchanged(waiting, tmp_path):
    assert run(waiting, "backup", tmp_path / "saved").returncode == 0
    other = restored(waiting, tmp_path / "saved", tmp_path / "other")
    run(other, "queue", "drop", "all")
    got = subprocess.run(["strace", "-f", "-qq", "-o", tmp_path / "trace", "-e", "trace=renameat2",
                          "-e", "inject=renameat2:error=EINVAL", PLAIN, "restore", tmp_path / "saved", "-c", other.file],
                         capture_output=True, text=True, timeout=60, check=False)
    assert (got.returncode, got.stdout) == (0, "restore: 3 messages\n"), got
    assert len(run(other, "queue", "list", "--json").stdout.splitlines()) == 3


def test_rows_that_cannot_be_restored_leave_the_queue_as_it_was(waiting, tmp_path):
    saved = tmp_path / "saved"
    assert run(waiting, "backup", saved).returncode == 0
    whole = (saved / "state").read_text()
    other = restored(waiting, saved, tmp_path / "other")
    run(other, "queue", "drop", "all")
    (saved / "state").write_text(whole + "no row\n")
    got = run(other, "restore", saved)
    assert got.returncode == EX_UNAVAILABLE and "row" in got.stderr
    assert run(other, "queue", "list", "--json").stdout == ""
    (saved / "state").write_text(whole)
    assert run(other, "restore", saved).stdout == "restore: 3 messages\n"


@pytest.mark.skipif(not have("strace"), reason="strace is not installed")
@pytest.mark.parametrize("words", [("queue", "export"), ("backup",)])
def test_what_is_taken_out_is_durable_by_name(waiting, tmp_path, words):
    """Files, the directory that names them, and the one that names it."""
    out, trace = tmp_path / "out", tmp_path / "trace"
    got = subprocess.run(["strace", "-y", "-qq", "-o", trace, "-e", "trace=fsync", PLAIN, *words, out,
                          *(["all"] if words[0] == "queue" else []), "-c", waiting.file],
                         capture_output=True, text=True, timeout=60, check=False)
    flushed = re.findall(r"fsync\(\d+<([^>]*)>\) += 0", trace.read_text())
    assert got.returncode == 0 and flushed[-2:] == [str(out), str(tmp_path)], (got, flushed)


def stream(program, recipient, count):
    with program.client() as client:
        for _ in range(count):
            client.sendmail("a@far.test", [recipient], letter("m"))


@pytest.mark.parametrize("commands", [["retry"], ["hold", "release"]], ids="+".join)
def test_commands_in_a_stream_of_aliased_mail_change_nothing_that_is_done(place, commands):
    """What became of a recipient may be on its way to the disk: nothing older is written behind it."""
    site = SITE.replace("users ", "alias both -> ann, ben; users ben, ", 1)
    with Sink() as far, Chainmail(place, site, program=PLAIN, via=far.port) as program:
        senders = [threading.Thread(target=stream, args=(program, "both@local.test", 100)) for _ in range(2)]
        for sender in senders:
            sender.start()
        while any(sender.is_alive() for sender in senders):
            for command in commands:
                queue(program, command, "all")
        for sender in senders:
            sender.join()
        queue(program, commands[-1], "all")
        until(lambda: program.queue() == [], "an empty queue")
        program.stop()
        program.start()
        until(lambda: program.queue() == [], "an empty queue, as the disk has it")
        assert (len(program.maildir("ann")), len(program.maildir("ben"))) == (200, 200)


def test_drain_tries_everything_once(waiting):
    got = queue(waiting, "drain")
    if not waiting.up:
        assert (got.returncode, "nobody runs" in got.stderr) == (EX_UNAVAILABLE, True)
        return
    assert (got.returncode, got.stdout, got.stderr) == (EX_TEMPFAIL, "drain: 3 messages are left\n", "")
    waiting.wait("deferred", count=2, to="later@far.test")
    assert queue(waiting, "release", "all").returncode == 0
    waiting.far.reply = None
    got = queue(waiting, "drain")
    assert (got.returncode, got.stdout) == (0, "drain: 0 messages are left\n")
    assert len(waiting.far.taken) == 3 and len(waiting.maildir("ann")) == 1


def test_drain_names_all_that_are_not_there_and_waits_for_the_others(place):
    tries, gone = [], ["100000000000", "200000000000"]

    def reply(verb, argument):
        if verb == "RCPT":
            tries.append(argument)
        return "451 4.2.1 not now" if len(tries) == 1 and verb == "RCPT" else None

    with Sink(reply=reply) as far, Chainmail(place, SITE, via=far.port) as program:
        program.send("a@far.test", ["ben@far.test"], letter())
        program.wait("deferred")
        got = queue(program, "drain", gone[0], program.queue()[0]["queue_id"], gone[1])
        assert (got.returncode, got.stdout) == (1, "drain: 0 messages are left\n")
        assert got.stderr == f"chainmail queue: there is no message {', '.join(gone)} in the queue\n"
        assert [taken.recipients for taken in far.taken] == [["TO:<ben@far.test>"]]


@pytest.mark.parametrize("named", [False, True], ids=["all", "one"])
def test_drain_of_a_program_that_dies_is_not_done(place, named):
    """Nobody can say then that nothing is left."""
    tries, again, over = [], threading.Event(), threading.Event()

    def reply(verb, argument):
        if verb != "RCPT":
            return None
        tries.append(argument)
        if len(tries) > 1:                                      # it was asked for that
            again.set()
            over.wait(30)
        return "451 4.2.1 not now"

    with Sink(reply=reply) as far:
        program = Chainmail(place, SITE, program=PLAIN, via=far.port)
        program.start()
        program.send("a@far.test", ["x@far.test"], letter("one"))
        program.wait("deferred")
        ids = [row["queue_id"] for row in program.queue()] if named else []
        with subprocess.Popen([PLAIN, "queue", "drain", "-c", program.file, *ids], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as drain:
            assert again.wait(30)
            program.kill()
            said, why = drain.communicate(timeout=60)
        over.set()
        assert (drain.returncode, said) == (EX_TEMPFAIL, "") and "program ended" in why, (said, why)
        assert len(program.queue()) == 1


def test_stats_verify_and_rebuild_agree(waiting):
    stats = json.loads(queue(waiting, "stats", "--json").stdout)
    assert stats["messages"] == 3 and not stats["troubled"] and stats["segments"] >= 1
    assert re.search(r"(?m)^segment bytes +[\d.]+ (B|kB|MB)$", queue(waiting, "stats").stdout)
    for verb in "verify", "rebuild", "verify":
        got = queue(waiting, verb)
        assert (got.returncode, got.stdout, got.stderr) == (0, f"{verb}: 3 messages\n", "")
    assert [row["queue_id"] for row in waiting.queue()] == waiting.ids


def by_size(program):
    """Identifiers of one millisecond, from two processes, need not have the order of sending."""
    return [row["queue_id"] for row in sorted(program.queue(), key=lambda row: row["message_size"])]


def held_messages(place, count):
    """Stopped, with so many messages that wait; each is longer than the one before."""
    program = Chainmail(place, SITE + "delivery { hold on }\n", program=PLAIN, via=1)
    program.start()
    for n in range(count):
        program.send("a@far.test", ["ben@far.test"], letter(f"number {n}", body="x" * 60 + "\n" * n))
    ids = by_size(program)
    program.kill()
    assert len(ids) == count
    return program, ids


@pytest.mark.parametrize("harm", ["gone", "zeros", "noise", "one page"])
def test_a_catalogue_that_is_damaged_or_gone_is_made_again(place, harm):
    program, ids = held_messages(place, 20)
    catalogue = place / "state" / "queue" / "catalogue"
    if harm == "gone":
        shutil.rmtree(catalogue)
    for path in [p for p in catalogue.rglob("*") if p.is_file()] if harm != "gone" else []:
        data = bytearray(path.read_bytes())
        at, end = (4096, 8192) if harm == "one page" else (0, len(data))
        data[at:end] = (b"\xa5" if harm == "noise" else b"\0") * len(data[at:end])
        path.write_bytes(data)
    program.expect.update({"alarm", "child-died"})
    program.start()
    assert by_size(program) == ids
    assert program.command("queue", "verify").returncode == 0
    program.stop()


def test_a_record_that_rotted_is_named_and_the_others_stay(place):
    program, ids = held_messages(place, 6)
    [segment] = (place / "state" / "queue" / "seg").glob("0*")
    data = bytearray(segment.read_bytes())
    at = data.index(b"Subject: number 2")
    data[at:at + 7] = b"Gubject"
    segment.write_bytes(data)
    shutil.rmtree(place / "state" / "queue" / "catalogue")
    program.expect.add("alarm")
    program.start()
    assert "00000001" in program.wait("alarm", what="spool-damage")["why"]
    assert by_size(program) == ids[:2] + ids[3:]
    program.stop()


@pytest.mark.parametrize("up", [True, False])
def test_what_cannot_be_read_is_told_and_can_be_dropped(place, tmp_path, up):
    """One message has lost its file, one its record, of which a start makes an end."""
    program = Chainmail(place, SITE + "delivery { hold on }\n", program=PLAIN, expect=["alarm"], via=1)
    program.start()
    program.send("a@far.test", ["ben@far.test"], letter("long", body="a long line of it\n" * 20000))
    program.send("a@far.test", ["ben@far.test"], letter("number 2"))
    ids = by_size(program)[::-1]
    if not up:
        program.stop()
    [content] = (place / "state" / "queue" / "content").iterdir()
    content.unlink()
    [segment] = (place / "state" / "queue" / "seg").glob("0*")
    data = segment.read_bytes()
    with segment.open("r+b") as f:
        f.seek(data.index(b"Subject: number 2"))
        f.write(b"Gubject")
    for verb in ("show", "--text"), ("export", tmp_path / "out"):
        got = queue(program, verb[0], *verb[1:], ids[0])
        assert (got.returncode, "content" in got.stderr) == (1, True), got
    got = queue(program, "hold", ids[1])
    assert got.returncode == 1 and ids[1] in got.stderr or "of segment 1 is damaged" in got.stderr, got
    got = queue(program, "drop", "all")
    assert (got.returncode, got.stdout) == (0, "drop: 2 messages\n" if up else "drop: 1 message\n"), got
    assert queue(program, "list").stdout == "the queue is empty\n"
    if up:
        program.stop()


def test_what_cannot_be_written_is_no_success(waiting):
    """A list, a message, a dump that went to a full disk; whoever stops reading is nobody's failure."""
    assert run(waiting, "state", "load", text='{"table":"sts","key":"x.test","value":"one"}\n').returncode == 0
    for words in (["queue", "list"], ["queue", "list", "--json"], ["queue", "show", "--text", "all"],
                  ["queue", "stats"], ["state", "dump"], ["why", "later@far.test"], ["queue", "--help"]):
        words = [PLAIN, *words] + (["-c", waiting.file] if "--help" not in words else [])
        with open("/dev/full", "w", encoding="utf-8") as full:
            got = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        assert got.returncode == EX_IOERR and "cannot write to standard output" in got.stderr, (words, got)
        reading, writing = os.pipe()
        os.close(reading)                                       # and SIGPIPE does not end it
        with os.fdopen(writing, "w") as closed:
            got = subprocess.run(words, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
                                 restore_signals=False)
        assert (got.returncode, got.stderr) == (0, ""), (words, got)


# --- copies ---------------------------------------------------------------------------------


def run(program, *words, text=None):
    return subprocess.run([PLAIN, *map(str, words), "-c", program.file], input=text, capture_output=True, text=True,
                          timeout=60)


def restored(program, backup, place):
    """A program of another state directory, with what was saved."""
    place.mkdir()
    shutil.copy(program.directory / "facts", place)
    (place / "state").mkdir()
    other = Chainmail(place, SITE + "delivery { hold on }\n", program=PLAIN, via=1)
    got = run(other, "restore", backup)
    assert got.returncode == 0, got.stderr
    return other


def test_a_backup_is_a_queue_somewhere_else(waiting, tmp_path):
    state = '{"table":"sts","key":"x.test","value":"one\\u0001","expires":9999999999999}\n'
    assert run(waiting, "state", "load", text=state).stdout == "load: 1 row\n"
    got = run(waiting, "backup", tmp_path / "saved")
    assert (got.returncode, got.stdout, got.stderr) == (0, "backup: 3 messages\n", "")
    assert "File exists" in run(waiting, "backup", tmp_path / "saved").stderr
    rows = waiting.queue()
    other = restored(waiting, tmp_path / "saved", tmp_path / "other")
    with other:
        again = other.queue()
        assert [(r["queue_id"], r["recipients"]) for r in again] == [(r["queue_id"], r["recipients"]) for r in rows]
        assert other.command("queue", "verify").returncode == 0
        assert run(other, "state", "dump").stdout == state
    assert "3 messages wait in the queue here" in run(other, "restore", tmp_path / "saved").stderr


def test_a_backup_that_cannot_be_made_leaves_nothing(waiting, tmp_path):
    state = waiting.directory / "state"
    (tmp_path / "link").symlink_to(state / "queue")
    for inside in state / "saved", state / "queue" / "saved", tmp_path / "link" / "saved":
        got = run(waiting, "backup", inside)
        assert got.returncode == EX_UNAVAILABLE and f"must not lie in the state directory, {state}: " in got.stderr, got
        assert not inside.exists()
    other = tmp_path / "other.conf"
    other.write_text("hostname\n")
    got = subprocess.run([PLAIN, "backup", tmp_path / "saved", "-c", other], capture_output=True, check=False, timeout=60)
    assert got.returncode == EX_CONFIG and not (tmp_path / "saved").exists()
    assert run(waiting, "backup", state.with_name("state2")).returncode == 0        # alike by name alone


EX_DATAERR, EX_IOERR = 65, 74
LARGE = "large\n" * 60000


def harm_nothing(place):
    pass


def harm_a_segment(place):
    [segment] = (place / "seg").glob("0*")
    data = segment.read_bytes()
    segment.write_bytes(data[:4096])


def harm_a_head(place):
    [segment] = (place / "seg").glob("0*")
    data = segment.read_bytes()
    segment.write_bytes(data[:8] + b"X" + data[9:])


def harm_a_record(place):
    [segment] = (place / "seg").glob("0*")
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b"Subject: second", b"Subject: SECOND"))


def harm_content(place):
    [content] = (place / "content").iterdir()
    data = content.read_bytes()
    content.write_bytes(data[:300000] + b"X" + data[300001:])


def lose_content(place):
    [content] = (place / "content").iterdir()
    content.unlink()


@pytest.fixture
def four(place):
    """Three small messages and a large one, in a queue that holds them."""
    with Chainmail(place, SITE + "delivery { hold on }\n", program=PLAIN, via=1) as program:
        for name in ("first", "second", "third"):
            program.send("a@far.test", ["ben@far.test"], letter(name))
        program.send("a@far.test", ["ben@far.test"], letter("large", body=LARGE))
    return program


@pytest.mark.parametrize("harm, left, said", [
    (harm_nothing, 4, ""),
    (harm_a_segment, 0, r"seg/00000001 is not what was saved"),
    (harm_a_head, 4, r"seg/00000001 is not what was saved"),
    (harm_a_record, 3, r"seg/00000001 is not what was saved"),
    (harm_content, 4, r"content/\w+ is not what was saved"),
    (lose_content, 4, r"content/\w+ is not there"),
])
def test_a_backup_that_is_not_what_was_saved_takes_no_place(four, tmp_path, harm, left, said):
    saved, place = tmp_path / "saved", tmp_path / "other"
    assert run(four, "backup", saved).returncode == 0
    harm(saved / "queue")
    place.mkdir()
    shutil.copy(four.directory / "facts", place)
    (place / "state").mkdir()
    other = Chainmail(place, SITE + "delivery { hold on }\n", program=PLAIN, via=1)
    got = run(other, "restore", saved)
    assert bool(said) == (got.returncode == EX_DATAERR) and re.search(said, got.stderr), got
    assert len(other.queue()) == (0 if said else 4)
    if said:
        got = run(other, "restore", "--damaged", saved)
        assert (got.returncode, got.stdout) == (0, f"restore: {left} message{'' if left == 1 else 's'}\n"), got
        assert re.search(said, got.stderr)
        assert len(other.queue()) == left
        assert (f"{left} messages of 4 are left" in got.stderr) == (left < 4)


@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("harm, left, said", [
    (lose_content, 4, r"the content of message \w+ is not there"),
    (harm_content, 4, r"content/\w+ is damaged: it does not have the checksum it had"),
    (harm_a_record, 3, r"segment 00000001: \d+ bytes from \d+ on cannot be read"),
])
def test_a_backup_goes_on_past_what_is_damaged_and_says_so(four, tmp_path, harm, left, said, up):
    saved = tmp_path / "saved"
    if up:
        four.expect.add("alarm")
        four.start()
    harm(four.directory / "state" / "queue")
    got = run(four, "backup", saved)
    assert (got.returncode, got.stdout) == (EX_DATAERR, f"backup: {left} messages\n"), got
    assert re.search(said, got.stderr)
    if up:
        four.stop()
    shutil.rmtree(four.directory / "state" / "queue")
    got = run(four, "restore", saved)
    assert got.returncode == EX_DATAERR and "could not be copied when it was made" in got.stderr
    assert run(four, "restore", "--damaged", saved).stdout == f"restore: {left} messages\n"


def files_are_short():
    """As on a disk with little room: what is longer is cut, and its writer told."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200 << 10, 200 << 10))


def test_a_backup_that_fails_may_be_made_again(four, tmp_path):
    with four:
        words = [PLAIN, "backup", tmp_path / "saved", "-c", four.file]
        got = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, preexec_fn=files_are_short)
        assert got.returncode == EX_UNAVAILABLE and "File too large" in got.stderr, got
        assert not (tmp_path / "saved").exists()
        assert run(four, "backup", tmp_path / "saved").stdout == "backup: 4 messages\n"


DIRECTORY_FAILS = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct dirent *readdir(DIR *dir)
{
    struct dirent *(*real)(DIR *) = (struct dirent *(*)(DIR *))dlsym(RTLD_NEXT, "readdir");
    char link[64], path[4096] = "";

    snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd(dir));
    if (readlink(link, path, sizeof path - 1) > 0 && strstr(path, "/state/queue/seg") != NULL)
        return errno = EIO, NULL;
    return real(dir);
}
"""


def test_a_directory_that_is_not_read_to_its_end_is_named(four, tmp_path):
    (tmp_path / "fails.c").write_text(DIRECTORY_FAILS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "fails.so", tmp_path / "fails.c", "-ldl"], check=True,
                   timeout=60)
    with four:
        got = subprocess.run([PLAIN, "backup", tmp_path / "saved", "-c", four.file], capture_output=True, text=True,
                             timeout=60, check=False, env={**os.environ, "LD_PRELOAD": str(tmp_path / "fails.so")})
    assert got.returncode == EX_DATAERR and "cannot read all of queue/seg: Input/output error" in got.stderr, got


def test_caches_that_cannot_be_read_are_named_and_the_mail_is_saved(four, tmp_path):
    shutil.rmtree(four.directory / "state" / "caches")
    (four.directory / "state" / "caches").write_text("no directory")
    got = run(four, "backup", tmp_path / "saved")
    assert (got.returncode, got.stdout) == (EX_DATAERR, "backup: 4 messages\n") and "caches" in got.stderr, got
    assert (tmp_path / "saved" / "holds").read_text().endswith("lacks 1\nmessages 4\n")


@pytest.mark.parametrize("words", [("queue", "show", "--text", "all"), ("state", "dump")], ids=["queue", "state"])
def test_a_start_waits_for_a_reader(four, words):
    """Whoever looks at the queue with a pager while the program is down does not keep it from coming up."""
    rows = "".join(f'{{"table":"sts","key":"{n}.test","value":"{"x" * 1000}"}}\n' for n in range(1000))
    assert run(four, "state", "load", text=rows).returncode == 0
    with subprocess.Popen([PLAIN, *words, "-c", four.file], stdout=subprocess.PIPE) as reader:
        assert reader.stdout.read(1)                            # more than a pipe holds is left
        ready = len(four.events("ready"))
        four.launch()
        assert "is open in another process" in four.wait("note", what="waiting")["why"]
        assert len(four.events("ready")) == ready
        reader.stdout.read()
    assert reader.returncode == 0
    until(lambda: len(four.events("ready")) > ready, four.text)
    assert len(four.queue()) == 4
    four.stop()


def test_what_was_set_aside_is_not_lost_by_a_restoration(four, tmp_path):
    assert run(four, "backup", tmp_path / "saved").returncode == 0
    assert run(four, "queue", "drop", "all").returncode == 0
    aside = four.directory / "state" / "queue" / "damaged" / "00000007"
    aside.write_text("perhaps mail")
    got = run(four, "restore", tmp_path / "saved")
    assert got.returncode == EX_UNAVAILABLE and "queue/damaged has what was set aside" in got.stderr
    aside.rename(tmp_path / "aside")
    assert run(four, "restore", tmp_path / "saved").stdout == "restore: 4 messages\n"


def test_a_list_that_was_cut_is_none_and_without_one_a_backup_stands_for_itself(four, tmp_path):
    saved = tmp_path / "saved"
    assert run(four, "backup", saved).returncode == 0
    shutil.rmtree(four.directory / "state" / "queue")
    text = (saved / "holds").read_text()
    for cut in text[:text.index("lacks")], text[:text.index("4", text.index("messages"))], text[:-1]:
        (saved / "holds").write_text(cut)
        got = run(four, "restore", saved)
        assert got.returncode == EX_UNAVAILABLE and "ends too early" in got.stderr, (cut, got)
    (saved / "holds").unlink()
    got = run(four, "restore", saved)
    assert (got.returncode, got.stdout) == (0, "restore: 4 messages\n") and "of an older program" in got.stderr


def test_what_could_not_be_read_when_it_was_listed_is_not_what_was_saved(four, tmp_path):
    saved = tmp_path / "saved"
    assert run(four, "backup", saved).returncode == 0
    shutil.rmtree(four.directory / "state" / "queue")
    (saved / "secrets").unlink()
    (saved / "secrets").mkdir()                                 # nobody reads that as a file, root neither
    text = (saved / "holds").read_text()
    (saved / "holds").write_text(re.sub(r"(?m)^secrets .*", "secrets cannot be read", text))
    got = run(four, "restore", saved)
    assert got.returncode == EX_DATAERR and "secrets is not what was saved" in got.stderr, got
    assert four.queue() == []


def test_a_running_program_is_not_restored(waiting, tmp_path):
    assert run(waiting, "backup", tmp_path / "saved").returncode == 0
    begin(waiting)
    got = run(waiting, "restore", tmp_path / "saved")
    assert got.returncode == EX_UNAVAILABLE and "in use" in got.stderr


def test_a_backup_under_load_has_all_that_was_acknowledged_before(place, tmp_path):
    with Chainmail(place, SITE + "delivery { hold on }\n", program=PLAIN, via=1) as program:
        before, stop = [], threading.Event()

        def send():
            with program.client() as client:
                while not stop.is_set():
                    name = f"letter {len(before)}"
                    big = len(before) % 10 == 0
                    client.sendmail("a@far.test", ["ben@far.test"], letter(name, body="x" * 70 + "\n" * (300000 * big)))
                    before.append(name)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            for turn in range(3):
                until(lambda: len(before) > 20 * (turn + 1), "some mail")
                known = len(before)
                got = run(program, "backup", tmp_path / f"saved{turn}")
                assert got.returncode == 0, got.stderr
                assert int(re.search(r"\d+", got.stdout)[0]) >= known
        finally:
            stop.set()
            sender.join()
        other = restored(program, tmp_path / "saved2", tmp_path / "other")
        run(other, "queue", "export", tmp_path / "out", "all")
        subjects = {email.message_from_bytes(p.read_bytes())["Subject"] for p in (tmp_path / "out").glob("*.eml")}
        assert set(before[:known]) <= subjects


def is_stopped(pid):
    return (status_of(pid, "State") or "gone")[0] in "Tt"


@pytest.mark.skipif(not have("strace"), reason="strace is not installed")
def test_a_backup_begins_again_when_the_queue_is_replaced(place, tmp_path):
    """It stops by itself at a segment; what waits goes out with the next configuration, its content too."""
    with Sink() as far, Chainmail(place, SITE + "delivery { hold on }\n", program=PLAIN, via=far.port) as program:
        program.send("a@far.test", ["ben@far.test"], letter("large", body="x" * 70 + "\n" * 300000))
        segment = "seg/" + min(p.name for p in (place / "state/queue/seg").iterdir())
        words = ["strace", "-qq", "-o", tmp_path / "trace", "-P", f"queue/{segment}", "-e", "trace=openat",
                 "-e", "inject=openat:signal=STOP:when=1", PLAIN, "backup", tmp_path / "saved", "-c", program.file]
        tracer = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        backup = until(lambda: [pid for pid in all_below(tracer.pid) if is_program(pid)], "the backup")[0]
        until(lambda: (tmp_path / "saved/queue/content").exists() and is_stopped(backup), "its stop")
        program.configure(SITE)
        program.reload()
        program.wait_empty()
        os.kill(backup, signal.SIGCONT)
        out, said = tracer.communicate(timeout=60)
        assert said.splitlines()[-1] == "chainmail backup: the queue was replaced meanwhile; the copy begins again"
        assert (tracer.returncode, out) == (0, "backup: 0 messages\n")


def test_state_is_text_of_any_bytes_and_bad_rows_are_named(waiting):
    rows = ('{"table":"sts","key_hex":"ff00","value_hex":"00fe"}\n'
            '{"table":"tlsrpt","key":"größe","value":"\\"quoted\\""}\n')
    assert run(waiting, "state", "load", text=rows).returncode == 0
    assert run(waiting, "state", "dump").stdout.splitlines() == rows.splitlines()[::1]
    for bad in ('{"table":"elsewhere","key":"a","value":"b"}', '{"table":"sts","key":"a"}', "{]",
                '{"table":"sts","key":"a","value":"b","expires":"z"}'):
        got = run(waiting, "state", "load", text=rows + bad)
        assert (got.returncode, got.stdout) == (EX_DATAERR, "") and "row 3: " in got.stderr


def test_drain_says_that_delivery_is_held(place):
    with Chainmail(place, SITE + "delivery { hold on }\n", program=PLAIN, via=1) as program:
        program.send("ann@local.test", ["b@far.test"], letter("one"))
        for verb in ("retry", "drain"):
            got = queue(program, verb, *(["all"] if verb == "retry" else []))
            assert got.returncode != 0 and "delivery is held by the configuration (hold on)" in got.stderr
        assert got.stdout == "drain: 1 message is left\n"
        assert [row["queue_name"] for row in program.queue()] == ["incoming"]
