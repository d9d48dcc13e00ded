# SPDX-License-Identifier: ISC
"""What `make install` puts where, and what `make uninstall` leaves: nothing."""
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
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
    assert "DIR/" not in unit


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
    told.settimeout(20)
    program = subprocess.Popen([BUILD / "chainmail", "run", "-c", tmp_path / "c.conf"], stderr=subprocess.DEVNULL,
                               env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")})
    try:
        assert told.recv(100) == b"READY=1"
        program.terminate()
        assert told.recv(100) == b"STOPPING=1"
        assert program.wait(20) == 0
    finally:
        program.kill()
        told.close()
