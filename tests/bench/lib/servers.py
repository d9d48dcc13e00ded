# SPDX-License-Identifier: ISC
"""
The servers that are compared, each with a directory of its own on the same file
system, started in the foreground and ended by their process numbers.

A mode says what a server is to do:

    accept     take mail and keep it
    relay      take mail and pass it on to the next hop
    evaluate   take mail from a stranger and keep it, with SPF, DKIM, DMARC (and
               ours ARC) looked at
"""
import glob
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

from . import world as ground

NEXT_HOP = 10026
MILTERS = {"opendkim": 10031, "opendmarc": 10032}


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.002)
    raise TimeoutError(what)


def greets(port):
    """Does somebody say 220 there?"""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
            said = s.recv(1000).startswith(b"220")
            s.sendall(b"QUIT\r\n")
            return said
    except OSError:
        return False


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return True
    except OSError:
        return False


def family(pid):
    """A process and all below it."""
    found, at = [pid], 0
    while at < len(found):
        for task in ground_tasks(found[at]):
            try:
                with open(f"/proc/{found[at]}/task/{task}/children") as f:
                    found += map(int, f.read().split())
            except OSError:
                pass
        at += 1
    return found


def ground_tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


class Server:
    name = kind = None
    port = 0

    def __init__(self, world, mode):
        self.world, self.mode = world, mode
        self.dir = os.path.join(world.spool, self.name)
        self.process = None
        self.helpers = []

    def __enter__(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        os.mkdir(self.dir)
        try:
            self.configure()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, *command, **options):
        log = open(os.path.join(self.dir, "log"), "ab")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   start_new_session=True, **options)
        log.close()
        if self.world.nice:
            ground.hurry(process.pid, self.world.nice)
        return process

    def start(self):
        self.process = self.run(*self.command())
        wait_for(lambda: greets(self.port), 30, f"{self.name} does not greet: {self.tail()}")
        self.settle()

    def tail(self):
        try:
            with open(os.path.join(self.dir, "log"), errors="replace") as f:
                return f.read()[-2000:]
        except OSError:
            return ""

    def stop(self):
        for process in filter(None, [self.process, *self.helpers]):
            end_process(process)
        self.process, self.helpers = None, []

    def settle(self):
        """What it does behind the scenes when it is new, it has done."""

    def pids(self):
        return family(self.process.pid)

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path


def end_process(process):
    group = process.pid                     # start_new_session: it leads its group
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(group, signal.SIGKILL)    # whoever of its group is still there
    except ProcessLookupError:
        pass
    process.wait()


class Chainmail(Server):
    name, port = "chainmail", 10025
    ASKS = "resolver { facts %s }"
    extra = ""                              # more of the configuration

    CONFIG = """
hostname mx.bench.test
state    {dir}/state
log      text info
{user}
{resolver}
listen   mx {{ on 127.0.0.1:{port}; limit connections 20000; {relay} }}
domain   local.test {{ deliver to discard }}
delivery {{ via 127.0.0.1:{hop}; dane off; sts off; {hold} }}
{extra}
"""

    def configure(self):
        relay = "" if self.mode == "evaluate" else "allow relay from 127.0.0.1"
        hold = "" if self.mode == "relay" else "hold on"
        facts = self.file("facts", self.world.facts if self.mode == "evaluate" else "")
        self.conf = self.file("conf", self.CONFIG.format(
            dir=self.dir, port=self.port, hop=NEXT_HOP, relay=relay, hold=hold, extra=self.extra,
            user="user chainmail" if ground.is_root() else "", resolver=self.ASKS % facts))

    def command(self):
        return ground.CHAINMAIL, "run", "-c", self.conf

    def settle(self):
        """
        A server that has run for a while writes into segments that were used before; so
        does this one, once the next segment is ready.
        """
        spares = os.path.join(self.dir, "state/*/seg/spare-[0-9]*")
        wait_for(lambda: glob.glob(spares), 30, "no spare segment")

    def role(self, name):
        """The processes of a role."""
        found = []
        for pid in self.pids():
            with open(f"/proc/{pid}/comm") as f:
                if f.read().strip() == name:
                    found.append(pid)
        return found


class Postfix(Server):
    name, port = "postfix", 10125
    root = os.path.join(ground.PEERS, "postfix")

    MAIN = """
compatibility_level = 3.7
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = {root}/usr/sbin
daemon_directory = {root}/usr/lib/postfix/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {dir}
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.bench.test
mynetworks = 127.0.0.0/8
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
default_process_limit = 100
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = {hold} permit_mynetworks, reject
smtp_dns_support_level = disabled
smtp_host_lookup = native
relayhost = [127.0.0.1]:{hop}
message_size_limit = 60000000
mailbox_size_limit = 0
smtpd_milters = {milters}
milter_default_action = accept
"""
    MASTER = """
{port}    inet  n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
local     unix  - n n - - local
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
"""

    def configure(self):
        # smtpd's "hold" leaves the message where it is, as ours does: no manager, no delivery.
        hold = "" if self.mode == "relay" else "check_recipient_access static:HOLD,"
        milters = ", ".join(f"inet:127.0.0.1:{port}" for port in MILTERS.values())
        self.file("main.cf", self.MAIN.format(
            dir=self.dir, root=self.root, hop=NEXT_HOP, hold=hold,
            milters=milters if self.mode == "evaluate" else ""))
        self.file("master.cf", self.MASTER.format(port=self.port))
        self.make_queue()
        if self.mode == "evaluate":
            self.start_milters()

    def make_queue(self):
        owner, drop = pwd.getpwnam("postfix"), pwd.getpwnam("postdrop").pw_gid
        os.mkdir(os.path.join(self.dir, "queue"))
        os.mkdir(os.path.join(self.dir, "data"))
        os.chown(os.path.join(self.dir, "data"), owner.pw_uid, owner.pw_gid)
        for name in ("incoming active bounce defer deferred flush hold trace corrupt saved private public "
                     "maildrop pid").split():
            path = os.path.join(self.dir, "queue", name)
            os.mkdir(path, 0o700)
            if name != "pid":
                os.chown(path, owner.pw_uid, drop if name in ("public", "maildrop") else owner.pw_gid)
        os.chmod(os.path.join(self.dir, "queue/public"), 0o2710)
        os.chmod(os.path.join(self.dir, "queue/maildrop"), 0o1730)
        os.chmod(os.path.join(self.dir, "queue/pid"), 0o755)

    def command(self):
        return os.path.join(self.root, "usr/lib/postfix/sbin/master"), "-c", self.dir, "-d"

    def start_milters(self):
        dkim, dmarc = (os.path.join(ground.PEERS, p, "usr/sbin", p) for p in MILTERS)
        conf = self.file("opendkim.conf", f"""
Mode v
Socket inet:{MILTERS["opendkim"]}@127.0.0.1
AuthservID postfix.bench.test
PeerList /dev/null
InternalHosts /dev/null
Syslog no
""")
        self.helpers.append(self.run(dkim, "-f", "-x", conf))
        # OpenDMARC looks at SPF itself.
        conf = self.file("opendmarc.conf", f"""
Socket inet:{MILTERS["opendmarc"]}@127.0.0.1
AuthservID postfix.bench.test
TrustedAuthservIDs postfix.bench.test
IgnoreHosts /dev/null
SPFSelfValidate true
SPFIgnoreResults true
Syslog false
""")
        self.helpers.append(self.run(dmarc, "-f", "-c", conf))
        for port in MILTERS.values():
            wait_for(lambda port=port: listens(port), 20, f"a milter does not listen: {self.tail()}")


class Exim(Server):
    name, port = "exim", 10225
    root = os.path.join(ground.PEERS, "exim4-daemon-light")

    CONFIG = """
exim_path = {exim}
keep_environment = LD_LIBRARY_PATH
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = {dir}/spool
log_file_path = {dir}/spool/log/%slog
pid_file_path = {dir}/spool/pid
primary_hostname = exim.bench.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_accept_reserve = 0
smtp_connect_backlog = 200
smtp_enforce_sync = false
message_size_limit = 60M
check_spool_space = 0
check_spool_inodes = 0
deliver_drop_privilege = true
split_spool_directory = true
{queue}
acl_smtp_rcpt = acl_all
acl_smtp_data = acl_all

begin acl
acl_all:
  accept

begin routers
on:
  driver = manualroute
  transport = smtp
  route_list = * 127.0.0.1::{hop}
  self = send

begin transports
smtp:
  driver = smtp
  hosts_try_fastopen =
"""

    def configure(self):
        owner = pwd.getpwnam("Debian-exim")
        for name in "spool", "spool/log":
            path = os.path.join(self.dir, name)
            os.mkdir(path)
            os.chown(path, owner.pw_uid, owner.pw_gid)
        queue = "queue_only = true" if self.mode == "accept" else ""
        self.exim = os.path.join(self.root, "usr/sbin/exim4")
        self.conf = self.file("exim.conf", self.CONFIG.format(
            dir=self.dir, exim=self.exim, port=self.port, hop=NEXT_HOP, queue=queue))

    def command(self):
        return self.exim, "-C", self.conf, "-bdf", *(["-q5s"] if self.mode == "relay" else [])


class NextHop:
    """Postfix's smtp-sink: it ends when so many messages have come."""
    sink = os.path.join(Postfix.root, "usr/sbin/smtp-sink")

    def __init__(self, messages):
        self.process = subprocess.Popen([self.sink, "-u", "nobody", "-M", str(messages), f"127.0.0.1:{NEXT_HOP}", "1000"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: listens(NEXT_HOP), 10, "smtp-sink does not listen")

    def wait(self, seconds):
        self.process.wait(seconds)

    def end(self):
        self.process.kill()
        self.process.wait()


def load(server, *arguments, timeout=300):
    """What the load generator says: per_second, median (ms) and p99 (ms)."""
    said = subprocess.run([ground.LOAD, *map(str, arguments), "127.0.0.1", str(server.port)], text=True,
                          capture_output=True, timeout=timeout)
    if said.returncode != 0:
        raise RuntimeError(f"{server.name}: {said.stderr.strip()} {server.tail()}")
    found = re.match(r"(\d+) messages (\S+) s (\S+) per-second (\S+) median-ms (\S+) p99-ms", said.stdout)
    return {"seconds": float(found[2]), "per_second": float(found[3]), "median": float(found[4]),
            "p99": float(found[5])}


def available(cls):
    """None, or why this server cannot be measured."""
    if cls is Chainmail:
        return None
    if not ground.is_root():
        return "needs root"
    return None if os.path.isdir(cls.root) else "is not unpacked (./configure --deps)"


def read_json(path):
    with open(path) as f:
        return json.load(f)
