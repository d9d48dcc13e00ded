# SPDX-License-Identifier: ISC
"""rspamd as Debian has it, unpacked into peers/ and never installed, with the modules that a test names."""
import http.client
import json
import os
import pathlib
import re
import subprocess

from chainmail import DEADLINE, PEERS, children_of, until_or_end
from ports import free_ports

HERE = PEERS / "rspamd" / "usr"
LIBRARIES = [*PEERS.glob("lib*/usr/lib/*-linux-gnu"), HERE / "lib" / "rspamd"]
ENVIRONMENT = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, LIBRARIES))}
FIELDS = "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"
VERDICTS = {"ARC_NA": "none", "ARC_ALLOW": "pass", "ARC_REJECT": "fail", "ARC_INVALID": "fail"}

CONFIGURATION = """
options {{
    filters = "{filters}"; local_addrs = []; tempdir = "{dir}"; hs_cache_dir = "{dir}/"; cache_file = "{dir}/symbols";
    url_tld = "{dir}/suffixes"; control_socket = "{dir}/control"; task_timeout = 20s;
    dns {{ nameserver = ["127.0.0.1:{dns}"]; timeout = 5s; }}
}}
logging {{ type = "console"; level = "{level}"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
"""
SEALING = """
    use_domain = "recipient"; use_esld = false; sign_inbound = true; allow_hdrfrom_mismatch = true; try_fallback = false;
    domain {{ {domains} }}
"""


def found():
    """Whether its program starts: what it links to comes from other packages."""
    program = HERE / "bin" / "rspamd"
    return program.exists() and subprocess.run([program, "--version"], env=ENVIRONMENT, capture_output=True,
                                               check=False).returncode == 0


def as_lines(name, value):
    folded = re.sub(r"[\r\n]+", "\r\n", value)
    return f"{name}: {folded}\r\n".encode()


def blocks(modules):
    """What configures them; that for DKIM is part of the program, the others are files."""
    files = "".join(f'path = "{HERE}/share/rspamd/plugins/{name}.lua"; ' for name in modules if name != "dkim")
    named = [("modules", files), *modules.items()] if files else modules.items()
    return "".join(f"{name} {{ {text} }}\n" for name, text in named)


class Rspamd:
    """
    One process that works, with `modules`: name and configuration of each.  It asks
    one name server; the public suffixes are example and net.
    """

    def __init__(self, directory, dns, modules, level="info"):
        [self.port] = free_ports(1)
        self.directory = directory
        directory.mkdir()
        (directory / "suffixes").write_text("example\nnet\n")
        (directory / "rspamd.conf").write_text(blocks(modules) + CONFIGURATION.format(
            dir=directory, dns=dns, port=self.port, level=level, filters="dkim" if "dkim" in modules else ""))

    def __enter__(self):
        share = HERE / "share" / "rspamd"
        places = {"SHAREDIR": share, "LUALIBDIR": share / "lualib", "DBDIR": self.directory, "RUNDIR": self.directory}
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                [HERE / "bin" / "rspamd", "-f", "-i", "-c", self.directory / "rspamd.conf",
                 *(f"--var={name}={place}" for name, place in places.items())],
                env=ENVIRONMENT, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until_or_end(self.process, self.answers, lambda: (self.directory / "log").read_text()[-4000:], 3 * DEADLINE)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)

    def worker(self):
        """The process that answers requests; one beside it compiles expressions."""
        [pid] = [pid for pid in children_of(self.process.pid)
                 if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"rspamd: normal")]
        return pid

    def answers(self):
        assert self.process.poll() is None, (self.directory / "log").read_text()[-4000:]
        try:
            return self.ask("GET", "/ping") == b"pong\r\n"
        except OSError:
            return False

    def ask(self, method, path, body=None, **fields):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3 * DEADLINE)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in fields.items()})
        answer = connection.getresponse().read()
        connection.close()
        return answer

    def look(self, message, **fields):
        return json.loads(self.ask("POST", "/checkv2", message, Ip="192.0.2.1", From="a@example.org", **fields))


class Sealer(Rspamd):
    """It seals for `domains` with a key in a PEM file under the selector s."""

    def __init__(self, directory, dns, domains, key):
        pem = directory / "key.pem"         # a path that could be base64 would be taken for a key
        super().__init__(directory, dns, {"dkim": "", "arc": SEALING.format(domains="".join(
            f'"{domain}" {{ path = "{pem}"; selector = "s"; }}\n' for domain in domains))})
        pem.write_bytes(key.read_bytes())

    def arc(self, message):
        """What it says of the chain: none, pass, fail."""
        said = [VERDICTS[name] for name in self.look(message)["symbols"] if name in VERDICTS]
        assert len(said) == 1, said
        return said[0]

    def seal(self, message, domain):
        """The message with its set in front; what it writes there it has seen by itself."""
        fields = self.look(message, Rcpt=f"ann@{domain}", MTA_Name=f"mx.{domain}")["milter"]["add_headers"]
        assert sorted(fields) == sorted(FIELDS)
        return b"".join(as_lines(name, fields[name]["value"]) for name in FIELDS) + message
