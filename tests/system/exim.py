# SPDX-License-Identifier: ISC
"""
Exim as Debian has it, unpacked into peers/ and never installed: a host that takes everything,
once its own parser has found the header good, and writes down what it understood.

It wants a user of its own and asks the name servers of resolv.conf; so it runs in a name space
of mounts in which both are ours.  Its program is copied: with the set-user-ID bit that it has it
would not find its libraries; without it all it does is done as its user.
"""
import os
import pathlib
import shutil
import subprocess

from chainmail import DEADLINE, PEERS, Wire, until, until_or_end
from ports import free_ports

USER = 5027
EXIM = PEERS / "exim4-daemon-light" / "usr" / "sbin" / "exim4"
ALONE = ["unshare", "--mount"]
START = 'for file in passwd group resolv.conf; do mount --bind "$0/$file" /etc/$file || exit 1; done; exec "$@"'

CONFIGURATION = """
exim_path = {dir}/exim4
exim_user = Debian-exim
exim_group = Debian-exim
keep_environment = LD_LIBRARY_PATH
deliver_drop_privilege = true
spool_directory = {dir}/spool
log_file_path = {dir}/spool/log/%slog
pid_file_path = {dir}/spool/pid
primary_hostname = exim.far.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
check_spool_space = 0
check_spool_inodes = 0
acl_smtp_rcpt = acl_rcpt
acl_smtp_dkim = acl_dkim
acl_smtp_data = acl_data
begin acl
acl_rcpt:
  accept
acl_dkim:
  accept logwrite = SIGNATURE $dkim_cur_signer $dkim_verify_status
acl_data:
  require verify = header_syntax
  warn    logwrite = FROM ${{address:$h_from:}}
  accept  logwrite = SEAL ${{extract{{d}}{{${{sg{{$h_arc-seal:}}{{;}}{{ }}}}}}}}
begin routers
here:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail
  maildir_format
  user = Debian-exim
  group = Debian-exim
"""


def missing():
    """Why it cannot run here, or None."""
    if not EXIM.exists():
        return "exim4-daemon-light is not unpacked (./configure --deps)"
    alone = os.geteuid() == 0 and shutil.which("unshare") and subprocess.run(
        [*ALONE, "mount", "--bind", "/etc/hosts", "/etc/hosts"], capture_output=True, check=False).returncode == 0
    return None if alone else "no mounts of our own: root and unshare are needed"


class Exim:
    """In a directory where its user may go; it asks `server`, an address with a name server on port 53."""

    def __init__(self, directory, server):
        [self.port] = free_ports(1)
        self.directory = pathlib.Path(directory)
        for name in "spool", "spool/log", "mail":
            (self.directory / name).mkdir()
            os.chown(self.directory / name, USER, USER)
        self.write("resolv.conf", f"nameserver {server}\noptions timeout:5\n")
        self.write("passwd", pathlib.Path("/etc/passwd").read_text() + f"Debian-exim:x:{USER}:{USER}::/:/bin/false\n")
        self.write("group", pathlib.Path("/etc/group").read_text() + f"Debian-exim:x:{USER}:\n")
        self.write("conf", CONFIGURATION.format(dir=self.directory, port=self.port))
        shutil.copyfile(EXIM, self.directory / "exim4")
        (self.directory / "exim4").chmod(0o755)

    def write(self, name, text):
        (self.directory / name).write_text(text)

    def __enter__(self):
        libraries = ":".join(map(str, PEERS.glob("libidn12/usr/lib/*")))
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                [*ALONE, "sh", "-c", START, self.directory,
                 self.directory / "exim4", "-C", self.directory / "conf", "-bdf"],
                env={**os.environ, "LD_LIBRARY_PATH": libraries}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until_or_end(self.process, self.greets, self.text)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)

    def greets(self):
        assert self.process.poll() is None, self.text()
        try:
            with Wire(self.port) as wire:
                return wire.reply().startswith("220")
        except OSError:
            return False

    def text(self):
        logs = [self.directory / "log", *(self.directory / "spool/log").glob("*log")]
        return "".join(log.read_text("utf-8", "replace") for log in logs)

    def understood(self, word):
        """What stands behind this word in its log, in order."""
        return [line.split(f" {word} ", 1)[1] for line in self.text().splitlines() if f" {word} " in line]

    def taken(self, count):
        """So many messages, as they lie in the Maildir, with the line ends they came with."""
        new = self.directory / "mail" / "new"
        paths = until(lambda: new.is_dir() and len(found := sorted(new.iterdir())) >= count and found, self.text)
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in paths]
