# SPDX-License-Identifier: ISC
"""
The real program for tests: on free ports, in a directory of its own, watched.

    with Chainmail(directory, SITE) as program:
        program.send("a@far.test", ["ann@local.test"], letter("hello"))
        program.wait("delivered", to="ann@local.test")

Leaving the block stops the program and insists on a clean end: exit code 0,
nothing on stderr but events, no event that tells of trouble unless the test
said that it expects it.  Everything has a deadline; nothing sleeps for luck.
A deadline only ends what hangs: it says nothing of how long something may take.
"""
import atexit
import email.utils
import itertools
import json
import os
import pathlib
import re
import select
import shutil
import signal
import smtplib
import socket
import socketserver
import ssl
import subprocess
import threading
import time

from ports import free_ports

ROOT = pathlib.Path.cwd()
PLAIN, SANITIZED = ROOT / "chainmail", ROOT / "san" / "chainmail"
PEERS = ROOT / "peers"
DEADLINE = 60                       # seconds; generous, since the machine may be busy
EX_USAGE, EX_NOINPUT, EX_UNAVAILABLE, EX_SOFTWARE, EX_OSERR, EX_TEMPFAIL, EX_CONFIG = 64, 66, 69, 70, 71, 75, 78

# What a test that does not ask for trouble must not see.
TROUBLE = ("alarm", "child-died", "config-error")

# What a start says of a configuration that is good enough.
A_WARNING = re.compile(r": warning: |^ +\d* *\| |^\d+ warnings?$")

ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=0",
               "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


def until(condition, what, seconds=DEADLINE):
    """The first true value of condition()."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what() if callable(what) else what}"
        time.sleep(0.01)


def until_or_end(process, condition, what, seconds=DEADLINE):
    """Of a peer that was started: one that never answers does not stay."""
    try:
        return until(condition, what, seconds)
    except BaseException:
        process.terminate()
        process.wait(DEADLINE)
        raise


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def make_certificate(directory):
    """cert.pem and key.pem for mx.local.test, which is its own authority."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", directory / "key.pem", "-out", directory / "cert.pem", "-days", "30",
            "-subj", "/CN=mx.local.test", "-addext", "subjectAltName=DNS:mx.local.test")
    (directory / "key.pem").chmod(0o600)


def make_signing_key(path):
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path)
    path.chmod(0o600)


_numbers = itertools.count(1)
launched = []                       # every program of this process of tests


@atexit.register
def end_all():
    """Whatever became of its test, no program outlives it."""
    for program in launched:
        if program.process is not None and program.process.poll() is None:
            program.kill()


def letter(subject=None, body="hello\n", **fields):
    """The bytes of a message; its subject is unlike any other's unless given."""
    head = {"From": "a@far.test", "To": "ann@local.test", "Date": email.utils.formatdate(),
            "Message-ID": f"<{next(_numbers)}.{os.getpid()}@far.test>",
            "Subject": subject or f"letter {next(_numbers)}"}
    head.update({name.replace("_", "-"): value for name, value in fields.items()})
    text = "".join(f"{name}: {value}\n" for name, value in head.items()) + "\n" + body
    return text.replace("\n", "\r\n").encode()


class Chainmail:
    """
    The program with a configuration.  `{port}` and `{dir}` in the text are
    filled in; `self.port` is where the listener called mx is.
    """

    def __init__(self, directory, config, program=SANITIZED, prefix=(), expect=(), **names):
        self.directory = pathlib.Path(directory)
        self.program, self.prefix, self.expect = program, list(map(str, prefix)), set(expect)
        self.port, self.second = free_ports(2)
        self.names = {"dir": self.directory, "port": self.port, "second": self.second, **names}
        self.file = self.directory / "chainmail.conf"
        self.log = self.directory / "log"
        self.log.write_bytes(b"")
        self.process, self.exit_code = None, None
        self._read, self._rest, self.all = 0, b"", []
        self.configure(config)

    def configure(self, config):
        self.file.write_text(re.sub(r"\{(\w+)\}", lambda m: str(self.names.get(m[1], m[0])), config))

    # --- running ---------------------------------------------------------------------

    def launch(self):
        """Start it and wait for nothing."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, str(self.program), "run", "-c", str(self.file)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT)
        launched.append(self)
        return self

    def start(self):
        before = len(self.events("ready"))
        self.launch()
        until(lambda: len(self.events("ready")) > before or self.process.poll() is not None,
              lambda: "ready\n" + self.text())
        assert self.process.poll() is None, self.text()
        return self

    def stop(self, number=signal.SIGTERM, seconds=DEADLINE):
        self.process.send_signal(number)
        self.exit_code = self.process.wait(seconds)
        return self.exit_code

    def kill(self):
        """The power is cut for the program, not for the machine: every process at once."""
        pids = all_below(self.process.pid)
        self.process.kill()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(DEADLINE)
        until(lambda: all(map(has_ended, pids)), "their end")

    def reload(self, event="reloaded"):
        before = len(self.events(event))
        self.process.send_signal(signal.SIGHUP)
        until(lambda: len(self.events(event)) > before, lambda: event + "\n" + self.text())

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            if self in launched:
                self.kill()
            raise

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            if kind is not None:
                self.kill()
                return
            assert self.stop() == 0, self.text()
        if kind is None:
            self.check()

    def check(self):
        for event in self.events():
            assert event["event"] not in TROUBLE or event["event"] in self.expect, event
        strange = [line for line in self.all if isinstance(line, str) and not A_WARNING.search(line)]
        assert not strange, "\n".join(strange)

    # --- processes -------------------------------------------------------------------

    def master(self):
        """With a prefix (strace, unshare) the program is a child of what was started."""
        return next(pid for pid in [self.process.pid, *all_below(self.process.pid)] if is_program(pid))

    def children(self):
        """(pid, role) of all processes but the master."""
        return [(pid, name) for pid in children_of(self.master())
                if (name := status_of(pid, "Name")) is not None]

    def pid(self, role):
        return until(lambda: [p for p, name in self.children() if name == role], f"a {role}")[0]

    # --- the log ----------------------------------------------------------------------

    def events(self, event=None, **keys):
        """What has been said until now: events are dicts, all else is a string."""
        with open(self.log, "rb") as log:
            log.seek(self._read)
            fresh = log.read()
        self._read += len(fresh)
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        for line in lines:
            try:
                self.all.append(json.loads(line))
            except ValueError:
                self.all.append(line.decode("utf-8", "replace"))
        return [e for e in self.all if isinstance(e, dict) and event in (None, e["event"]) and
                all(e.get(name.replace("_", "-")) == value for name, value in keys.items())]

    def wait(self, event, count=1, seconds=DEADLINE, **keys):
        """The count-th such event."""
        return until(lambda: len(self.events(event, **keys)) >= count and self.events(event, **keys)[count - 1],
                     lambda: f"{event} {keys}\n{self.text()}", seconds)

    def text(self):
        return self.log.read_text("utf-8", "replace")[-8000:]

    # --- what one does with it ----------------------------------------------------------

    def client(self, **options):
        return smtplib.SMTP("127.0.0.1", options.pop("port", self.port), "client.far.test", DEADLINE, **options)

    def send(self, sender, recipients, text, source="127.0.0.1"):
        with self.client(source_address=(source, 0)) as client:
            refused = client.sendmail(sender, recipients, text)
        assert refused == {}

    def command(self, *arguments):
        """`chainmail queue ...` and the like, always with sanitizers."""
        verb, *rest = map(str, arguments)
        return subprocess.run([str(SANITIZED), verb, *rest[:1], "-c", str(self.file), *rest[1:]],
                              text=True, capture_output=True, timeout=DEADLINE, env=ENVIRONMENT)

    def queue(self):
        """The rows of `chainmail queue list --json`."""
        got = self.command("queue", "list", "--json")
        assert got.returncode == 0, got.stderr
        return [json.loads(line) for line in got.stdout.splitlines()]

    def wait_empty(self, seconds=DEADLINE):
        until(lambda: not self.queue(), lambda: f"an empty queue\n{self.queue()}\n{self.text()}", seconds)

    def maildir(self, user):
        """The messages that have arrived, oldest first."""
        new = self.directory / "mail" / user / "new"
        return [path.read_bytes() for path in sorted(new.iterdir())] if new.exists() else []


def children_of(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                found += map(int, f.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def all_below(pid):
    return [one for child in children_of(pid) for one in [child, *all_below(child)]]


def is_program(pid):
    """And not what is to become it, nor a process that strace tries itself out with."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "chainmail"
    except (FileNotFoundError, ProcessLookupError):
        return False


def statuses(pid):
    """What /proc/PID/status says at one instant; nothing when the process is gone."""
    try:
        with open(f"/proc/{pid}/status") as f:
            return {name: value.strip() for name, _, value in (line.partition(":") for line in f)}
    except (FileNotFoundError, ProcessLookupError):
        return {}


def status_of(pid, key):
    return statuses(pid).get(key)


def has_ended(pid):
    """
    Gone, or only its name is left: not every first process of a container takes note of it.
    While other threads of it still end, its files are open and locked.
    """
    return statuses(pid).get("State", "Z")[0] in "ZX" and len(all_names(f"/proc/{pid}/task")) <= 1


def all_names(directory):
    try:
        return os.listdir(directory)
    except OSError:
        return []


# --- who takes mail ---------------------------------------------------------------------


class Taken:
    def __init__(self, sender, recipients, text, tls):
        self.sender, self.recipients, self.text, self.tls = sender, recipients, text, tls
        self.when = time.monotonic()

    @property
    def subject(self):
        found = re.search(rb"(?m)^Subject: (.*?)\r?$", self.text)
        return found[1].decode() if found else None


class Sink:
    """
    An SMTP or LMTP server that keeps what it gets.  `reply(verb, argument)` may
    answer otherwise ("451 4.2.0 later"), wait, or hang up (HANG_UP); the verb of
    the end of a text is "TEXT", with LMTP once for each recipient.  `secured` is
    what it offers behind STARTTLS only.
    """
    HANG_UP = object()
    FEATURES = ("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "SIZE 20000000", "ENHANCEDSTATUSCODES", "DSN")

    def __init__(self, lmtp=False, reply=None, features=FEATURES, certificate=None, host="127.0.0.1", port=0,
                 secured=()):
        self.secured = secured
        self.lmtp, self.reply, self.features, self.certificate = lmtp, reply, features, certificate
        self.taken, self.sessions, self.lines = [], 0, []
        self.open = set()
        sink = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                Conversation(sink, self.request).run()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads, request_queue_size = True, True, 100

        self.server = Server((host, port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        for s in list(self.open):
            s.close()

    def wait(self, count=1, seconds=DEADLINE, program=None):
        until(lambda: len(self.taken) >= count,
              lambda: f"{count} messages, {len(self.taken)} have come\n{program.text() if program else ''}", seconds)
        return self.taken[count - 1]

    def subjects(self):
        return sorted(t.subject for t in self.taken)


class Conversation:
    def __init__(self, sink, connection):
        self.sink, self.socket, self.tls = sink, connection, None
        self.socket.settimeout(DEADLINE)
        self.file = connection.makefile("rwb")
        self.sender, self.recipients, self.chunks = None, [], b""

    def run(self):
        self.sink.sessions += 1
        self.sink.open.add(self.socket)
        try:
            if self.answer("CONNECT", "", "220 sink ready"):
                while self.one():
                    pass
        except (OSError, ValueError):
            pass
        finally:
            self.sink.open.discard(self.socket)
            try:
                self.file.close()
            except (OSError, ValueError):
                pass

    def say(self, text):
        self.file.write(text.encode() + b"\r\n")
        self.file.flush()
        return True

    def answer(self, verb, argument, usual):
        """False: hang up.  Otherwise the reply that was given."""
        return self.give(self.decide(verb, argument, usual))

    def decide(self, verb, argument, usual):
        return self.sink.reply and self.sink.reply(verb, argument) or usual

    def give(self, reply):
        if reply is Sink.HANG_UP:
            self.socket.shutdown(socket.SHUT_RDWR)
            return False
        self.say(reply)
        return reply

    def one(self):
        line = self.file.readline()
        if not line:
            return False
        words = line.decode("utf-8", "replace").strip()
        self.sink.lines.append(words)
        verb, _, argument = words.partition(" ")
        method = getattr(self, "on_" + verb.lower(), None)
        return method(argument) if method else self.answer(verb.upper(), argument, "500 5.5.1 what?")

    def on_ehlo(self, argument):
        features = [f for f in self.sink.features if f]
        if self.sink.certificate and not self.tls:
            features.append("STARTTLS")
        if self.tls:
            features.extend(self.sink.secured)
        lines = ["sink", *features]
        return self.answer("EHLO", argument, "\r\n".join(
            f"250{' ' if i == len(lines) - 1 else '-'}{text}" for i, text in enumerate(lines)))

    on_lhlo = on_ehlo

    def on_helo(self, argument):
        return self.answer("HELO", argument, "250 sink")

    def on_starttls(self, argument):
        self.say("220 2.0.0 go")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.sink.certificate / "cert.pem", self.sink.certificate / "key.pem")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.file = self.socket.makefile("rwb")
        self.tls = self.socket.version()
        return True

    def on_mail(self, argument):
        self.sender, self.recipients, self.chunks = argument, [], b""
        return self.answer("MAIL", argument, "250 2.1.0 ok")

    def on_rcpt(self, argument):
        said = self.answer("RCPT", argument, "250 2.1.5 ok")
        if said and said.startswith("2"):
            self.recipients.append(argument)
        return said

    def on_data(self, argument):
        if not self.recipients:
            return self.answer("DATA", argument, "503 5.5.1 nobody")
        said = self.answer("DATA", argument, "354 go")
        if not said or not said.startswith("3"):
            return said
        text = b""
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                return False
            text += line[1:] if line.startswith(b".") else line
        return self.end_of_text(text)

    def on_bdat(self, argument):
        size, _, last = argument.partition(" ")
        self.chunks += self.file.read(int(size))
        if not last:
            return self.say("250 2.0.0 more")
        return self.end_of_text(self.chunks)

    def end_of_text(self, text):
        """It is taken before that is said: whoever hears it may look at once."""
        whose = self.recipients if self.sink.lmtp else [" ".join(self.recipients)]
        replies = [self.decide("TEXT", recipient, "250 2.0.0 taken") for recipient in whose]
        good = [recipient for recipient, reply in zip(whose, replies) if reply is not Sink.HANG_UP and reply.startswith("2")]
        if good:
            self.sink.taken.append(Taken(self.sender, good if self.sink.lmtp else self.recipients, text, self.tls))
        return all(self.give(reply) for reply in replies)

    def on_rset(self, argument):
        return self.answer("RSET", argument, "250 2.0.0 ok")

    def on_noop(self, argument):
        return self.answer("NOOP", argument, "250 2.0.0 ok")

    def on_quit(self, argument):
        self.answer("QUIT", argument, "221 2.0.0 bye")
        return False


# --- bytes as they are --------------------------------------------------------------------


class Wire:
    """A connection without any manners."""

    def __init__(self, port, host="127.0.0.1", source=None):
        self.socket = socket.create_connection((host, port), DEADLINE, (source, 0) if source else None)
        self.input = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def put(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def more(self, seconds=DEADLINE):
        """False: the other side has hung up."""
        self.socket.settimeout(seconds)
        try:
            got = self.socket.recv(65536)
        except ConnectionResetError:
            got = b""
        self.input += got
        return got != b""

    def line(self, seconds=DEADLINE):
        while b"\n" not in self.input:
            if not self.more(seconds):
                return ""
        line, _, self.input = self.input.partition(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r")

    def reply(self, seconds=DEADLINE):
        """All lines of a reply, one text; "" at the end of the connection."""
        lines = [self.line(seconds)]
        while lines[-1][3:4] == "-":
            lines.append(self.line(seconds))
        return "\n".join(lines)

    def ask(self, data, seconds=DEADLINE):
        self.put(data + ("\r\n" if isinstance(data, str) else b""))
        return self.reply(seconds)

    def silent(self, seconds):
        readable = select.poll()                # descriptors may be beyond what select() can take
        readable.register(self.socket, select.POLLIN)
        return not self.input and not readable.poll(seconds * 1000)

    def begin(self, sender="a@far.test", *recipients, welcome=True):
        """Up to the 354."""
        assert not welcome or self.reply().startswith("220")
        assert self.ask("EHLO client.far.test").startswith("250")
        assert self.ask(f"MAIL FROM:<{sender}>").startswith("250")
        for recipient in recipients or ("ann@local.test",):
            assert self.ask(f"RCPT TO:<{recipient}>").startswith("250")
        assert self.ask("DATA").startswith("354")
        return self


def have(program):
    return shutil.which(program) is not None
