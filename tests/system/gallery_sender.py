# SPDX-License-Identifier: ISC
"""Somebody's sender before the gallery, in namespaces of its own: python3 gallery_sender.py WHO CHAINMAIL PEERS DIR.

The caller gives it a network, mounts and processes that nobody else has (unshare), so
that ports 25, 53 and 443, /etc/resolv.conf and the users of the senders are ours, and
nothing outlives it.  DIR/matrix.json says what became of each row's message: in the
eyes of the world (`chainmail lab up` answers that), and in the sender's own log.
"""
import glob
import json
import os
import pathlib
import re
import smtplib
import socket
import subprocess
import sys
import time
import urllib.request

PORT, STS_PORT = 2526, 8461
PATIENCE = 600          # for what needs a second attempt, on a busy machine; what is not told by then stays untold


class Sender:
    """One of them: the daemons, how they are started, and what stands in the log about a domain."""
    owners, log_name = {}, "log"            # user and group -> number
    patient = ()                            # with whom it waits for longer than we do

    def __init__(self, program, peers, directory):
        self.program, self.peers, self.directory = program, peers, directory
        self.log = directory / self.log_name

    def make(self, *names, owner=None):
        for name in names:
            (self.directory / name).mkdir(mode=0o755)
            if owner is not None:
                os.chown(self.directory / name, owner, -1)

    def attempts(self):
        """Domain -> (status, line) of each attempt: "sent", "deferred", "bounced"."""
        found = {}
        for line in self.log.read_text(errors="replace").splitlines() if self.log.exists() else []:
            if what := self.attempt(line):
                found.setdefault(what[0], []).append((what[1], line))
        return found


# --- Postfix ----------------------------------------------------------------------------

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


class Postfix(Sender):
    """DANE, and nothing known of MTA-STS."""
    owners = {"postfix": 5025, "postdrop": 5026}
    main = MAIN

    def lay_out(self):
        postfix = self.peers / "postfix/usr"
        self.make("etc", "queue", "queue/pid")
        self.make("data", *(f"queue/{name}" for name in QUEUES), owner=self.owners["postfix"])
        (self.directory / "etc/main.cf").write_text(self.main.format(directory=self.directory, postfix=postfix))
        (self.directory / "etc/master.cf").write_text(MASTER.format(port=PORT))
        (self.directory / "etc/dynamicmaps.cf").write_text("")

    def start(self):
        postfix = self.peers / "postfix/usr/lib/postfix"
        subprocess.Popen([postfix / "sbin/master", "-c", self.directory / "etc", "-d"],
                         env={**os.environ, "MAIL_CONFIG": str(self.directory / "etc"),
                              "LD_LIBRARY_PATH": f"{postfix}:{postfix}/sbin"})

    def attempt(self, line):
        found = re.search(r" to=<x@([^>]+)>.* status=(\w+) ", line)
        return found and (found[1], found[2])


STS_DAEMON = """
host: 127.0.0.1
port: {port}
cache:
  type: internal
  options:
    cache_size: 10000
default_zone:
  strict_testing: false
  timeout: 4
"""


class PostfixWithSts(Postfix):
    """With Debian's postfix-mta-sts-resolver beside it, which fetches policies from the world's policy hosts."""
    main = MAIN + f"smtp_tls_policy_maps = socketmap:inet:127.0.0.1:{STS_PORT}:postfix\n"

    def start(self):
        config = self.directory / "etc/mta-sts-daemon.yml"
        config.write_text(STS_DAEMON.format(port=STS_PORT))
        environment = {**os.environ, "SSL_CERT_FILE": str(self.directory / "world/ca.pem"),
                       "PYTHONPATH": ":".join(glob.glob(f"{self.peers}/*/usr/lib/python3/dist-packages"))}
        subprocess.Popen([sys.executable, self.peers / "postfix-mta-sts-resolver/usr/bin/mta-sts-daemon", "-c", config, "-l",
                          self.directory / "sts.log"], env=environment)
        until(lambda: listens(STS_PORT))
        super().start()


# --- Exim -------------------------------------------------------------------------------

EXIM = """
exim_path = {exim}
keep_environment =
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = {directory}/spool
log_file_path = {directory}/spool/log/%s
log_selector = +tls_cipher +tls_certificate_verified +dnssec
pid_file_path = {directory}/spool/pid
primary_hostname = sender.other.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
disable_ipv6 = true
dns_dnssec_ok = 1
deliver_drop_privilege = true
check_spool_space = 0
check_spool_inodes = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
acl_smtp_rcpt = acl_all
acl_smtp_data = acl_all

begin acl
acl_all:
  accept

begin routers
elsewhere:
  driver = dnslookup
  domains = *
  transport = smtp
  self = send
  dnssec_request_domains = *

begin transports
smtp:
  driver = smtp
  allow_localhost = true
  dnssec_request_domains = *
  hosts_try_dane = *
  tls_verify_certificates = {directory}/world/ca.pem
  connect_timeout = 5s
  command_timeout = 5s
  hosts_try_fastopen =

begin retry
* * F,1h,3s
"""


class Exim(Sender):
    """DANE, by GnuTLS; Exim knows nothing of MTA-STS."""
    owners, log_name = {"Debian-exim": 5030}, "spool/log/main"
    words = {"=>": "sent", "->": "sent", "==": "deferred", "**": "bounced"}

    def lay_out(self):
        self.make("etc")
        self.make("spool", "spool/log", owner=self.owners["Debian-exim"])
        self.exim = self.peers / "exim4-daemon-light/usr/sbin/exim4"
        (self.directory / "etc/exim.conf").write_text(
            EXIM.format(directory=self.directory, exim=self.exim, port=PORT))

    def start(self):
        subprocess.Popen([self.exim, "-C", self.directory / "etc/exim.conf", "-bdf", "-q3s"])

    def attempt(self, line):
        found = re.search(r" (=>|->|==|\*\*) x@([^ :]+)", line)
        return found and (found[2], self.words[found[1]])


# --- our own ----------------------------------------------------------------------------

OURS = """
hostname mx.sender.test
state    {directory}/state
log      json
roots    {directory}/world/ca.pem
resolver {{ server 127.0.42.53:53; anchor {directory}/world/anchor }}
listen mx {{ on 127.0.0.1:{port}; allow relay from 127.0.0.1; tls cert {directory}/pem key {directory}/key }}
domain sender.test {{ deliver to discard }}
delivery {{ retry after 3s }}
"""


class Ours(Sender):
    """The real program: its own validator, its own policy cache, sockets and processes."""
    patient = ("never-answers.test", "drip-too-slow.test")      # RFC 5321 4.5.3.2: five minutes for a reply to MAIL

    def lay_out(self):
        self.make("state")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                        "/CN=mx.sender.test", "-keyout", self.directory / "key", "-out", self.directory / "pem"],
                       check=True, capture_output=True)
        (self.directory / "chainmail.conf").write_text(OURS.format(directory=self.directory, port=PORT))

    def start(self):
        with self.log.open("wb") as log:
            subprocess.Popen([self.program, "run", "-c", self.directory / "chainmail.conf"], stdout=log, stderr=log)

    def attempt(self, line):
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") in ("delivered", "deferred", "bounced") and event["to"].startswith("x@"):
            return event["to"][2:], {"delivered": "sent"}.get(event["event"], event["event"])
        return None


# --- the world ----------------------------------------------------------------------------


def mount_over(path, text, directory):
    """This process and its children see this text instead of the file."""
    own = directory / pathlib.Path(path).name
    own.write_text(text)
    subprocess.run(["mount", "--bind", own, path], check=True)


def add_owners(owners, directory):
    for path, line in (("/etc/passwd", "{0}:x:{1}:{1}::/:/usr/sbin/nologin"), ("/etc/group", "{0}:x:{1}:")):
        keep = [old for old in pathlib.Path(path).read_text().splitlines() if old.split(":")[0] not in owners]
        own = [line.format(name, number) for name, number in owners.items()]
        mount_over(path, "\n".join([*keep, *own, ""]), directory)


def find_libraries(peers, directory):
    """Exim runs itself anew with an empty environment; its libraries are where the linker finds all others."""
    cache = directory / "ld.so.cache"
    subprocess.run(["ldconfig", "-C", cache, *glob.glob(f"{peers}/*/usr/lib/*-linux-gnu")], check=True)
    subprocess.run(["mount", "--bind", cache, "/etc/ld.so.cache"], check=True)


def start_world(chainmail, directory):
    with open(directory / "events", "wb") as events:
        subprocess.Popen([chainmail, "lab", "up", "--dir", directory / "world"], stdout=events)
    until(lambda: b'"ready"' in (directory / "events").read_bytes())


def until(done, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.5)


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Refused(Exception):
    """The sender does not take such a message."""


def expect(code, reply):
    if reply[0] != code:
        raise Refused(reply)


def transaction(client, row):
    """Bare CRs and LFs go out as they stand; smtplib's own sendmail would mend them."""
    message = row["message"]
    text = message["text"].encode()
    for parameter in message["parameters"]:
        if not client.has_extn(parameter.removeprefix("BODY=")):
            raise Refused(parameter)
    expect(250, client.mail(message["from"], message["parameters"]))
    expect(250, client.rcpt(row["address"]))
    expect(354, client.docmd("DATA"))
    client.send(text.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    expect(250, client.getreply())


def leave(client):
    """A text that seemed to end early has more replies than commands: all are heard, so that all was read there."""
    if client.sock is not None:
        client.send(b"QUIT\r\n")
        while client.file.readline():
            pass
        client.close()


def hand_in(row):
    """None, or why not."""
    client = smtplib.SMTP("127.0.0.1", PORT, timeout=60)
    client.ehlo()
    if client.has_extn("starttls"):
        client.starttls()
        client.ehlo()
    try:
        transaction(client, row)
    except (Refused, smtplib.SMTPServerDisconnected) as why:
        return str(why)
    finally:
        leave(client)
    return None


def hand_in_all(rows):
    """Domain -> why its message was not taken."""
    return {row["domain"]: why for row in rows if (why := hand_in(row))}


def answered(world):
    """The world's own table, now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{world['http']}/lab/v1/gallery?format=json", timeout=60) as response:
        return json.load(response)


def are_told(attempts, rows):
    """Each has ended, or was tried twice: greylisting and the like are over."""
    each = [attempts.get(row["domain"], []) for row in rows]
    return all(len(one) > 1 or (one and one[0][0] != "deferred") for one in each)


def await_all(sender, rows):
    try:
        until(lambda: are_told(sender.attempts(), rows), PATIENCE)
    except TimeoutError:
        pass                                # the caller sees what was told, and what was not


def matrix(sender, world, refused):
    attempts = sender.attempts()
    for row in answered(world)["rows"]:
        status, line = attempts.get(row["domain"], [("", "")])[-1]
        yield {**row, "status": status, "line": line, "refused": refused.get(row["domain"])}


SENDERS = {"chainmail": Ours, "postfix": Postfix, "postfix-sts": PostfixWithSts, "exim": Exim}


def main(who, chainmail, peers, directory):
    sender = SENDERS[who](chainmail, peers, directory)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    start_world(chainmail, directory)
    world = json.loads((directory / "world/gallery.json").read_text())
    mount_over("/etc/resolv.conf", (directory / "world/resolv.conf").read_text(), directory)
    add_owners(sender.owners, directory)
    find_libraries(peers, directory)
    sender.lay_out()
    sender.start()
    until(lambda: listens(PORT))
    rows = [row for row in world["rows"] if not row["changes"]]
    refused = hand_in_all(rows)
    await_all(sender, [row for row in rows if row["domain"] not in refused and row["domain"] not in sender.patient])
    (directory / "matrix.json").write_text(json.dumps(list(matrix(sender, world, refused)), indent=2))


main(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4]))
