# SPDX-License-Identifier: ISC
"""Postfix before the gallery, in namespaces of its own: python3 gallery_postfix.py CHAINMAIL POSTFIX DIR.

The caller gives it a network, mounts and processes that nobody else has (unshare), so
that ports 25, 53 and 443, /etc/resolv.conf and the users of Postfix are ours, and
nothing outlives it.  DIR/matrix.json says what became of each row's message.
"""
import json
import os
import pathlib
import smtplib
import subprocess
import sys
import time

OWNER, GROUP, DROP = "postfix", 5025, 5026
PORT = 2526
QUEUES = ("active bounce corrupt defer deferred flush hold incoming private saved trace public maildrop").split()

MAIN = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
daemon_directory = {postfix}/lib/postfix/sbin
command_directory = {postfix}/sbin
shlib_directory = {postfix}/lib/postfix
meta_directory = {directory}/etc
mail_owner = postfix
setgid_group = postdrop
myhostname = sender.other.test
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_dns_support_level = dnssec
smtp_tls_security_level = dane
smtp_tls_CAfile = {directory}/world/ca.pem
smtp_tls_loglevel = 1
smtp_connect_timeout = 5s
smtp_helo_timeout = 5s
smtp_mail_timeout = 5s
minimal_backoff_time = 3s
maximal_backoff_time = 3s
queue_run_delay = 3s
maillog_file = {directory}/log
maillog_file_prefixes = {directory}
import_environment = LD_LIBRARY_PATH MAIL_CONFIG
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup   unix n - n 60 1 pickup
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
tlsmgr   unix - - n 1000? 1 tlsmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
flush    unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp     unix - - n - - smtp
error    unix - - n - - error
retry    unix - - n - - error
scache   unix - - n - 1 scache
anvil    unix - - n - 1 anvil
postlog  unix-dgram n - n - 1 postlogd
"""


def mount_over(path, text, directory):
    """This process and its children see this text instead of the file."""
    own = directory / pathlib.Path(path).name
    own.write_text(text)
    subprocess.run(["mount", "--bind", own, path], check=True)


def add_owner(directory):
    users, groups = pathlib.Path("/etc/passwd").read_text(), pathlib.Path("/etc/group").read_text()
    keep = [line for line in users.splitlines() if not line.startswith(f"{OWNER}:")]
    keep_groups = [line for line in groups.splitlines() if line.split(":")[0] not in (OWNER, "postdrop")]
    mount_over("/etc/passwd", "\n".join([*keep, f"{OWNER}:x:{GROUP}:{GROUP}::/:/usr/sbin/nologin", ""]), directory)
    mount_over("/etc/group", "\n".join([*keep_groups, f"{OWNER}:x:{GROUP}:", f"postdrop:x:{DROP}:", ""]), directory)


def lay_out(directory, postfix):
    for name in "etc", "data", "queue", "queue/pid", *(f"queue/{name}" for name in QUEUES):
        (directory / name).mkdir(mode=0o755)
    for name in "data", *(f"queue/{name}" for name in QUEUES):
        os.chown(directory / name, GROUP, -1)
    (directory / "etc/main.cf").write_text(MAIN.format(directory=directory, postfix=postfix))
    (directory / "etc/master.cf").write_text(MASTER.format(port=PORT))
    (directory / "etc/dynamicmaps.cf").write_text("")


def start_world(chainmail, directory):
    with open(directory / "events", "wb") as events:
        subprocess.Popen([chainmail, "lab", "up", "--dir", directory / "world"], stdout=events)
    until(lambda: b'"ready"' in (directory / "events").read_bytes())


def until(done, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.2)


def answers():
    try:
        with smtplib.SMTP("127.0.0.1", PORT, timeout=5):
            return True
    except OSError:
        return False


def start_postfix(directory, postfix):
    environment = {**os.environ, "MAIL_CONFIG": str(directory / "etc"),
                   "LD_LIBRARY_PATH": f"{postfix}/lib/postfix:{postfix}/lib/postfix/sbin"}
    subprocess.Popen([f"{postfix}/lib/postfix/sbin/master", "-c", directory / "etc", "-d"], env=environment)
    until(answers)


def send(rows):
    with smtplib.SMTP("127.0.0.1", PORT, timeout=20) as client:
        for row in rows:
            client.sendmail("me@client.test", ["x@" + row["domain"]], "Subject: hello\r\n\r\nHello\r\n")


def taken(directory):
    """Domain -> the TLS version of each message that was taken for it."""
    found = {}
    for line in (directory / "events").read_text().splitlines():
        event = json.loads(line)
        for address in event.get("to", []) if event["event"] == "received" and "tls" in event else []:
            found.setdefault(address.split("@")[1], []).append(event["tls"])
    return found


def status_of(log, domain):
    """Postfix's own last word: "sent", "deferred", "bounced"; and the line."""
    lines = [line for line in log if f"to=<x@{domain}>" in line and "status=" in line]
    return (lines[-1].split("status=")[1].split()[0], lines[-1]) if lines else ("", "")


def matrix(directory, rows):
    log, found = (directory / "log").read_text().splitlines(), taken(directory)
    for row in rows:
        status, line = status_of(log, row["domain"])
        yield {**row, "delivered": row["domain"] in found, "versions": found.get(row["domain"], []), "status": status,
               "line": line}


def main(chainmail, postfix, directory):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    start_world(chainmail, directory)
    mount_over("/etc/resolv.conf", (directory / "world/resolv.conf").read_text(), directory)
    add_owner(directory)
    lay_out(directory, postfix)
    start_postfix(directory, postfix)
    rows = json.loads((directory / "world/gallery.json").read_text())["rows"]
    rows = [row for row in rows if not row["changes"]]
    send(rows)
    time.sleep(25)                              # so long that everything was tried, and some things twice
    (directory / "matrix.json").write_text(json.dumps(list(matrix(directory, rows)), indent=2))


main(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]))
