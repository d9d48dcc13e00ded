# SPDX-License-Identifier: ISC
"""What `make install` puts where, and what `make uninstall` leaves: nothing."""
import ctypes
import os
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from alone import alone
from chainmail import openssl, until
from ports import free_ports

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
BUILD = Path.cwd()


def make(*words):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
    subprocess.run(["make", "-C", BUILD, *words], check=True, timeout=120, capture_output=True, env=environment)


def places(top):
    return f"DESTDIR={top}", "prefix=/usr", "sbindir=/usr/sbin", "sysconfdir=/etc", "mandir=/usr/share/man"


def files(top):
    return sorted(str(p.relative_to(top)) for p in top.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    top = tmp_path_factory.mktemp("install")
    make("install", *places(top))
    return top


def test_the_program_its_pages_and_its_unit(installed):
    names = files(installed)
    assert "usr/sbin/chainmail" in names
    assert "usr/share/man/man5/chainmail.conf.5" in names
    assert "usr/share/man/man8/chainmail.8" in names
    assert "usr/lib/systemd/system/chainmail.service" in names
    assert "usr/lib/sysusers.d/chainmail.conf" in names
    assert (installed / "etc/chainmail").is_dir()


def test_the_unit_names_what_was_installed(installed):
    unit = (installed / "usr/lib/systemd/system/chainmail.service").read_text()
    assert "ExecStart=/usr/sbin/chainmail run -c /etc/chainmail/chainmail.conf" in unit


def test_pages_and_unit_name_the_places_of_the_build(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "prefix=/opt", "sbindir=/opt/sbin", "sysconfdir=/opt/etc",
         "localstatedir=/opt/var", "mandir=/opt/man")
    unit = (tmp_path / "opt/lib/systemd/system/chainmail.service").read_text()
    page = (tmp_path / "opt/man/man8/chainmail.8").read_text()
    assert "ExecStart=/opt/sbin/chainmail run -c /opt/etc/chainmail/chainmail.conf" in unit
    assert "ReadWritePaths=/opt/var/lib/chainmail\n" in unit and "StateDirectory" not in unit
    assert ".It Pa /opt/var/lib/chainmail/queue" in page and " /etc/chainmail" not in page


# --- the first hour, as README tells it ----------------------------------------------------

README = (SOURCE / "README").read_text()
HOST = "203.0.113.10"


def configured(build):
    """What plain ./configure decides, in a directory of its own."""
    build.mkdir()
    environment = {k: v for k, v in os.environ.items() if k not in ("CFLAGS", "CPPFLAGS", "LDFLAGS")}
    subprocess.run([SOURCE.resolve() / "configure"], cwd=build, check=True, capture_output=True, timeout=120,
                   env=environment)
    return build


def block(heading):
    """The commands of an indented paragraph, without what is said of them."""
    text = re.search(re.escape(heading) + r".*?\n\n((?:    [^\n]*\n)+)", README, re.S)[1]
    return [line.split("   #")[0].strip() for line in text.splitlines()]


def move_in(top):
    """A mount name space, where /etc, /usr/local and /var/lib are ours and nothing else has changed."""
    CLONE_NEWNS = 0x20000
    assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) == 0
    sh("mount --make-rprivate /")
    shutil.copytree("/etc", top / "etc", symlinks=True, ignore_dangling_symlinks=True)
    for name, over in ("etc", "/etc"), ("local", "/usr/local"), ("lib", "/var/lib"), ("run", "/run"):
        (top / name).mkdir(exist_ok=True)
        sh(f"mount --bind {top / name} {over}")


def sh(command, **options):
    return subprocess.run(command, shell=True, check=True, timeout=120, capture_output=True, text=True, **options).stdout


def make_account():
    """What systemd-sysusers does; it need not be there."""
    name = re.search(r"(?m)^u (\S+) ", Path("/usr/local/lib/sysusers.d/chainmail.conf").read_text())[1]
    with open("/etc/passwd", "a") as users, open("/etc/group", "a") as groups:
        users.write(f"{name}:x:64025:64025::/var/lib/chainmail:/usr/sbin/nologin\n")
        groups.write(f"{name}:x:64025:\n")


def unit():
    text = Path("/usr/local/lib/systemd/system/chainmail.service").read_text()
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", text))


def as_the_unit_does(said, what):
    """That command under the account, with the one capability and a state directory that it is given."""
    state = Path("/var/lib") / said["StateDirectory"]
    state.mkdir(exist_ok=True)
    shutil.chown(state, said["User"], said["User"])
    state.chmod(int(said["StateDirectoryMode"], 8))
    caps = "-all,+net_bind_service"
    return ["setpriv", "--reuid", said["User"], "--regid", said["User"], "--clear-groups", "--no-new-privs",
            "--inh-caps", caps, "--ambient-caps", caps, "--bounding-set", caps, *said[what].split()]


def renew(days):
    """certbot: its own directory is closed, then it calls the hook."""
    lineage = Path("/etc/letsencrypt/live/mail.example.org")
    lineage.mkdir(parents=True, exist_ok=True, mode=0o700)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", days,
            "-keyout", lineage / "privkey.pem", "-out", lineage / "fullchain.pem", "-subj", "/CN=mail.example.org",
            "-addext", "subjectAltName=DNS:mail.example.org")
    (lineage / "privkey.pem").chmod(0o600)
    hook = re.search(r"\n    #!/bin/sh\n((?:    [^\n]*\n)+)", README)[1]
    sh(hook, env={**os.environ, "RENEWED_LINEAGE": str(lineage)})
    return ssl.PEM_cert_to_DER_cert((lineage / "fullchain.pem").read_text())


def shown():
    with smtplib.SMTP(HOST, 25, timeout=60) as client:
        client.starttls(context=ssl._create_unverified_context())
        return client.sock.getpeercert(True)


@alone(HOST)
def start_as_readme_says(build, top):
    move_in(top)
    first, *others = block("Installing the first of these")
    assert first == "./configure && make && make install" and others[0] == "systemd-sysusers"
    subprocess.run(["make", "-C", build, "-o", "chainmail", "install"], check=True, capture_output=True, timeout=60)
    make_account()
    for command in others[1:]:
        sh(command)
    config = re.search(r"1\. A small site.*?\n\n((?:    [^\n]*\n)+)", README, re.S)[1]
    Path("/etc/chainmail/chainmail.conf").write_text(config)
    Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    fresh = renew(20)
    for command in block("With everything in its"):
        if command.startswith("chainmail"):
            sh("/usr/local/sbin/" + command)
    said = unit()
    subprocess.run(as_the_unit_does(said, "ExecStartPre"), check=True, timeout=60)
    with open(top / "log", "w") as log:
        program = subprocess.Popen(as_the_unit_does(said, "ExecStart"), stderr=log)
    try:
        until(lambda: "ready" in (top / "log").read_text() or program.poll() is not None, "ready")
        assert program.poll() is None, (top / "log").read_text()
        assert shown() == fresh
        with smtplib.SMTP("127.0.0.1", 2525, timeout=60) as client:
            client.sendmail("bob@example.org", ["alice@example.org"], "Subject: hello\n\nhello\n")
        fresh = renew(30)
        until(lambda: shown() == fresh, lambda: "the renewed certificate\n" + (top / "log").read_text(), 60)
        program.terminate()
        assert program.wait(60) == 0
        assert {p.owner() for p in Path("/var/lib/chainmail").rglob("*")} == {"chainmail"}
    finally:
        program.kill()


def test_the_first_hour_of_readme(tmp_path):
    """./configure without a word, and every command of README, under the account of the unit."""
    build = configured(tmp_path / "build")
    told = (build / "config.h").read_text()
    assert '"/etc"' in told and '"/var"' in told
    if told != (BUILD / "config.h").read_text():
        pytest.skip("the program under test was configured for other places")
    shutil.copy(BUILD / "chainmail", build / "chainmail")
    start_as_readme_says(build, tmp_path)


def test_a_directory_of_ones_own_has_all_of_it(tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    subprocess.run([SOURCE.resolve() / "configure", "--prefix=/home/me/mail"], cwd=build, check=True,
                   capture_output=True, timeout=120)
    told = (build / "config.h").read_text()
    assert '"/home/me/mail/etc"' in told and '"/home/me/mail/var"' in told


def test_the_unit_gives_few_rights(installed):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not there")
    unit = installed / "usr/lib/systemd/system/chainmail.service"
    said = subprocess.run(["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True,
                          timeout=60).stdout
    found = re.search(r"exposure level for chainmail\.service: ([0-9.]+)", said)
    if found is None:
        pytest.skip("this systemd-analyze knows no --offline")
    assert float(found[1]) < 2.0


FACES = ("mailq", "newaliases", "postcat", "postqueue", "postsuper", "sendmail")


def test_install_takes_no_name_of_another_mail_system(installed):
    assert not [name for name in FACES if os.path.lexists(installed / "usr/sbin" / name)]


def test_another_mail_system_keeps_its_names(installed):
    theirs = installed / "usr/sbin/sendmail"
    theirs.write_text("another one's")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make("install-faces", *places(installed))
    assert b"sendmail is another mail system's" in refused.value.stderr
    assert theirs.read_text() == "another one's"
    assert not os.path.lexists(installed / "usr/sbin/mailq")            # nor is half of it done
    theirs.unlink()


def test_the_faces_are_links_to_the_program(installed):
    for _ in range(2):                                                  # a second time is fine
        make("install-faces", *places(installed))
        assert [os.readlink(installed / "usr/sbin" / name) for name in FACES] == ["/usr/sbin/chainmail"] * len(FACES)
    said = subprocess.run(["mailq", "--help"], executable=installed / "usr/sbin/chainmail", capture_output=True, text=True,
                          timeout=60)
    assert "mailq" in said.stdout + said.stderr


def test_uninstall_leaves_no_file(installed):
    make("uninstall", *places(installed))
    assert files(installed) == [] and not [name for name in FACES if os.path.lexists(installed / "usr/sbin" / name)]


def test_the_service_manager_is_told(tmp_path):
    [port] = free_ports(1)
    (tmp_path / "facts").write_text("\n")
    (tmp_path / "c.conf").write_text(f"hostname mx.local.test\nstate state\nresolver {{ facts facts }}\n"
                                     f"listen mx {{ on 127.0.0.1:{port} }}\n"
                                     f"domain local.test {{ deliver to maildir {tmp_path}/mail/%u }}\n")
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    told.settimeout(60)
    program = subprocess.Popen([BUILD / "chainmail", "run", "-c", tmp_path / "c.conf"], stderr=subprocess.DEVNULL,
                               env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")})
    try:
        assert told.recv(100) == b"READY=1"
        program.terminate()
        assert told.recv(100) == b"STOPPING=1"
        assert program.wait(60) == 0
    finally:
        program.kill()
        told.close()
