# SPDX-License-Identifier: ISC
"""`chainmail config` as an administrator meets it: typos, files, exit codes."""
import email
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess

import pytest

import chainmail
from chainmail import Chainmail, Sink, letter
from ports import free_ports

CHAINMAIL = os.path.abspath("chainmail")
SOURCE = pathlib.Path(os.environ.get("srcdir", ".")).resolve()
EXAMPLES = SOURCE / "conf" / "examples"
EX_USAGE, EX_NOINPUT, EX_CONFIG = 64, 66, 78
OURS = "hostname mx.a.test\ndomain a.test { deliver to discard }\n"


def run(*arguments, cwd=None):
    return subprocess.run([CHAINMAIL, "config", *map(str, arguments)], cwd=cwd, text=True,
                          capture_output=True, timeout=60)


def without_account(text):
    """The account of the default need not be on this machine."""
    return re.sub(r"(?m)^user chainmail.*\n", "", text)


def check(text, directory, *arguments):
    path = directory / "chainmail.conf"
    path.write_text(text)
    return run("check", "-c", path, *arguments)


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=120)


def make_pair(directory, name, host="mx.a.test"):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem",
            "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-days", "30")
    (directory / f"{name}.key").chmod(0o600)


def make_signing_key(path, *algorithm):
    openssl("genpkey", *(algorithm or ("-algorithm", "RSA")), "-out", path)
    path.chmod(0o600)


# --- errors -------------------------------------------------------------------------


def test_a_typo_is_told_with_its_place_and_what_was_meant(tmp_path):
    got = check(OURS + "delivery {\n    expires after 5d\n}\n", tmp_path)
    assert got.returncode == EX_CONFIG
    assert got.stderr == (
        f'{tmp_path}/chainmail.conf:4:5: error: "expires" is not a statement in a delivery block\n'
        "    4 |     expires after 5d\n"
        '      |     ^^^^^^^ did you mean "expire"?\n'
        "1 error\n")
    assert got.stdout == ""


def test_all_errors_of_a_run_are_told_in_order(tmp_path):
    got = check("hostnmae mx.a.test\nlog jsno\ndelivery { expire after 5 }\nlisten mx { tls cert /c }\n", tmp_path)
    assert got.returncode == EX_CONFIG
    places = re.findall(r"chainmail\.conf:(\d+:\d+): error", got.stderr)
    assert places == ["1:1", "2:5", "3:25", "4:24"]
    assert got.stderr.endswith("4 errors\n")


def test_a_duplicate_names_the_first_one(tmp_path):
    (tmp_path / "more.conf").write_text("delivery { expire after 6d }\n")
    got = check(OURS + "delivery { expire after 5d }\ninclude more.conf\n", tmp_path)
    assert got.returncode == EX_CONFIG
    assert f'{tmp_path}/more.conf:1:12: error: "expire after" is set twice' in got.stderr
    assert f"first set here: {tmp_path}/chainmail.conf:3" in got.stderr


def test_no_more_than_twenty_errors_are_shown(tmp_path):
    got = check("nonsense\n" * 50, tmp_path)
    assert got.stderr.count(": error: ") == 20
    assert got.stderr.endswith("50 errors (20 of a kind are shown)\n")


def test_json_says_the_same(tmp_path):
    got = check(OURS + "delivery {\n    expires after 5d\n}\n", tmp_path, "--json")
    assert got.returncode == EX_CONFIG
    assert json.loads(got.stdout) == {
        "ok": False, "errors": 1, "warnings": 0, "flaws": [{
            "severity": "error", "file": f"{tmp_path}/chainmail.conf", "line": 4, "column": 5,
            "message": '"expires" is not a statement in a delivery block',
            "hint": 'did you mean "expire"?'}]}
    got = check(OURS + "state .; user root\n", tmp_path, "--json")
    assert got.returncode == 0
    assert json.loads(got.stdout) == {"ok": True, "errors": 0, "warnings": 0, "flaws": []}


@pytest.mark.skipif(os.geteuid() != 0 or any(p.pw_name == "chainmail" for p in pwd.getpwall()),
                    reason="only root without the account is refused")
def test_what_run_refuses_for_lack_of_an_account_is_foretold(tmp_path):
    got = check(OURS + "state .\n", tmp_path)
    assert got.returncode == 0 and "1:1: warning: there is no account chainmail, and root does not talk" in got.stderr
    assert check(OURS + "state .; listen mx { on 127.0.0.1:25 }\n", tmp_path).stderr == ""


def test_exit_codes(tmp_path):
    good = tmp_path / "good.conf"
    good.write_text(OURS + "state .; user root\n")
    assert run("check", good).returncode == 0
    assert run("check", "-c", tmp_path / "gone.conf").returncode == EX_CONFIG
    assert run("fmt", tmp_path / "gone.conf").returncode == EX_NOINPUT
    assert run().returncode == EX_USAGE
    assert run("chekc").returncode == EX_USAGE
    assert run("check", "--jsno").returncode == EX_USAGE
    assert run("defaults", "x").returncode == EX_USAGE
    assert run("explain", "xyzzy").returncode == EX_USAGE
    # without -c the file of the build is taken, which may be there
    [etc] = re.findall(r'SYSCONFDIR "(.*)"', pathlib.Path("config.h").read_text())
    got, same = run("check"), run("check", "-c", f"{etc}/chainmail/chainmail.conf")
    assert (got.returncode, got.stderr) == (same.returncode, same.stderr)
    assert got.returncode == 0 or f"{etc}/chainmail/" in got.stderr


def test_a_relative_name_of_the_configuration_works(tmp_path):
    (tmp_path / "al").write_text("team: x@b.test\n")
    (tmp_path / "x.conf").write_text("hostname mx.a.test; state .; user root\n"
                                     "domain a.test { alias from file al; alias postmaster -> team }\n")
    got = run("check", "-c", "x.conf", cwd=tmp_path)
    assert (got.returncode, got.stderr) == (0, "")
    (tmp_path / "al").write_text("team: |x\n")
    got = run("check", "-c", "x.conf", cwd=tmp_path)
    assert got.returncode == EX_CONFIG
    assert f"{tmp_path}/al:1:7: error: commands are not run" in got.stderr


def test_includes_in_the_order_of_their_names(tmp_path):
    (tmp_path / "d").mkdir()
    for name, text in ("2.conf", "log json"), ("1.conf", "hostname mx.a.test"), (".3.conf", "nonsense"), ("x", "nonsense"):
        (tmp_path / "d" / name).write_text(text)
    path = tmp_path / "x.conf"
    path.write_text("include d/*.conf\nstate .\ndomain a.test { deliver to discard }\n")
    got = run("show", "-c", path)
    assert got.returncode == 0
    assert got.stdout.splitlines()[:2] == [f"hostname mx.a.test  # {tmp_path}/d/1.conf:1",
                                           f"log json  # {tmp_path}/d/2.conf:1"]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_directory_that_is_not_read_to_its_end_is_an_error(tmp_path):
    """The rest of a configuration is another configuration."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1.conf").write_text(OURS)
    path = tmp_path / "x.conf"
    path.write_text("include d/*.conf\nstate .\n" + OURS)
    got = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", "inject=getdents64:error=EIO", CHAINMAIL, "config",
                          "check", "-c", path], text=True, capture_output=True, timeout=60)
    assert got.returncode == EX_CONFIG
    assert f"{path}:1:9: error: cannot read all of {tmp_path}/d/: Input/output error" in got.stderr


# --- the world -----------------------------------------------------------------------


def test_certificate_and_key_must_belong_together(tmp_path):
    make_pair(tmp_path, "a")
    make_pair(tmp_path, "b")
    good = OURS + "state .; user root\nlisten mx { tls cert a.pem key a.key }\n"
    got = check(good, tmp_path)
    assert (got.returncode, got.stderr) == (0, "")
    got = check(good.replace("a.key", "b.key"), tmp_path)
    assert got.returncode == EX_CONFIG
    assert ":4:22: error: certificate and key do not belong together" in got.stderr
    assert re.search(r"\^{5} public key [0-9a-f]{8}…, but the key file has [0-9a-f]{8}…", got.stderr)
    got = check(good.replace("mx.a.test", "other.a.test"), tmp_path)
    assert got.returncode == 0 and "warning: the certificate is not for other.a.test" in got.stderr


def test_one_of_several_certificates_must_be_for_the_hostname(tmp_path):
    make_pair(tmp_path, "a", "mx.b.test")
    make_pair(tmp_path, "b", "mx.a.test")
    text = OURS + "state .; user root\nlisten mx { tls cert a.pem key a.key; tls cert b.pem key b.key }\n"
    got = check(text, tmp_path)
    assert (got.returncode, got.stderr) == (0, "")
    got = check(text.replace("mx.a.test", "other.a.test"), tmp_path)
    assert got.returncode == 0 and ":4:22: warning: none of these certificates is for other.a.test" in got.stderr


def test_a_policy_needs_a_certificate_for_its_host(tmp_path):
    """RFC 8461 3.3: the SAN of one of them names mta-sts and the domain."""
    make_pair(tmp_path, "mx", "mx.a.test")
    make_pair(tmp_path, "one", "mta-sts.a.test")
    make_pair(tmp_path, "other", "mta-sts.b.test")
    text = ("hostname mx.a.test\nstate .; user root\nlisten mx { tls cert mx.pem key mx.key }\n"
            "web { tls cert other.pem key other.key; tls cert one.pem key one.key }\n"
            "domain a.test { deliver to discard; sts testing }\n")
    got = check(text, tmp_path)
    assert (got.returncode, got.stderr) == (0, "")
    got = check(text + "domain c.test { deliver to discard; sts none }\n", tmp_path)
    assert got.returncode == 0
    assert ":6:37: warning: no certificate of \"web\" is for mta-sts.c.test: nobody will believe" in got.stderr
    got = check(text.replace("one.key", "mx.key"), tmp_path)
    assert got.returncode == EX_CONFIG and ":4:50: error: certificate and key do not belong" in got.stderr


DIGEST = "e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d"
ANCHORS = {
    "empty": "", "comment": "; the root\n", "foreign": f"example.com. IN DS 20326 8 2 {DIGEST}\n",
    "unknown": f". IN DS 12345 253 2 {DIGEST}\n", "garbage": f". IN DS 20326 8 2 {DIGEST}\ngarbage\n",
}


@pytest.mark.parametrize("text, error", [
    ("listen mx { tls cert gone.pem key gone.key }", r":4:22: error: cannot open .*/gone.pem: No such file"),
    ("listen mx { tls cert empty key empty }", r":4:22: error: there is no certificate in PEM"),
    ("listen mx { tls cert empty key empty }", r":4:32: error: there is no private key in PEM"),
    ("key k { domain a.test; file empty }", r":4:29: error: there is no private key in PEM"),
    ("key k { domain a.test; file ec.pem }", r":4:29: error: only RSA and Ed25519 keys sign mail"),
    ("key k { domain a.test; file locked.pem }", r":4:29: error: there is no private key in PEM without a password"),
    ("key k { domain a.test; file open.pem }", r":4:29: warning: everybody may read this key \(mode 644\)"),
    ("key k { domain a.test; file short.pem }", r":4:29: warning: the key has 1024 bits"),
    ("key k { domain a.test; file edwards.pem }", r":4:16: warning: a.test has no RSA key"),
    ("domain c.test { deliver to discard }\nkey k { domain c.test; file open.pem }",
     r":1:1: warning: there is no key for mx.a.test: reports on TLS are not sent by mail"),
    ("roots empty", r":4:7: error: there is no certificate in PEM"),
    ("roots gone", r":4:7: error: cannot open .*/gone: No such file"),
    ("resolver { anchor empty }", r":4:19: error: there is no DS or DNSKEY record of the root zone in it"),
    ("resolver { anchor comment }", r":4:19: error: there is no DS or DNSKEY record of the root zone in it"),
    ("resolver { anchor foreign }", r":4:19: error: there is no DS or DNSKEY record of the root zone in it"),
    ("resolver { anchor unknown }", r":4:19: error: there is no DS or DNSKEY record of the root zone in it"),
    ("resolver { anchor garbage }", r"/garbage:2:1: error: this is no DS or DNSKEY record"),
    ("resolver { anchor none }", r":4:19: warning: nothing is validated"),
    ("arc { trust from file gone }", r":4:23: error: cannot open .*/gone: No such file"),
    ("domain b.test { deliver to maildir /dev/null/%u; users x }", r":4:17: error: cannot look at|is not a directory"),
])
def test_what_is_wrong_in_the_world(tmp_path, text, error):
    for name, anchor in ANCHORS.items():
        (tmp_path / name).write_text(anchor)
    make_signing_key(tmp_path / "open.pem")
    (tmp_path / "open.pem").chmod(0o644)
    if "ec.pem" in text:
        make_signing_key(tmp_path / "ec.pem", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    if "edwards" in text:
        make_signing_key(tmp_path / "edwards.pem", "-algorithm", "ED25519")
    if "locked" in text:
        make_signing_key(tmp_path / "locked.pem", "-algorithm", "RSA", "-aes256", "-pass", "pass:x")
    if "short" in text:
        make_signing_key(tmp_path / "short.pem", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
    got = check(OURS + "state .; user root\n" + text + "\n", tmp_path)
    assert re.search(error, got.stderr), got.stderr
    assert got.returncode == (0 if "warning" in error else EX_CONFIG)


def test_a_map_that_may_not_be_read_names_the_remedy(tmp_path):
    """As Mailman's, which only its group may read."""
    (tmp_path / "map").touch(mode=0o000)
    (tmp_path / "chainmail.conf").write_text(OURS + "state .; user root\ndomain l.test { lists from mailman map }\n")
    humble = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    got = subprocess.run([*humble, CHAINMAIL, "config", "check", "-c", tmp_path / "chainmail.conf"], text=True,
                         capture_output=True, timeout=60)
    assert got.returncode == EX_CONFIG and "/map: Permission denied" in got.stderr
    assert "let the user that runs this read it, or put him into a group that may" in got.stderr


def test_the_state_directory_may_be_missing_but_not_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    assert check(OURS + "state some/where/below\n", tmp_path).returncode == 0
    got = check(OURS + "state file\n", tmp_path)
    assert got.returncode == EX_CONFIG and ":3:7: error:" in got.stderr
    assert check(OURS + "state file/below\n", tmp_path).returncode == EX_CONFIG
    assert not (tmp_path / "some").exists()             # a check makes nothing


# --- whole configurations --------------------------------------------------------------


def furnished(example, directory):
    """An example with the files that it names, in a directory of its own."""
    text = re.sub("/etc/letsencrypt/live/mail.example.org|/etc/chainmail|/etc/ssl|/var/lib/mailman3/data|/tmp",
                  str(directory), example.read_text())
    make_pair(directory, "cert", "mx.local.test")
    make_pair(directory, "fullchain", "mail.example.org")
    shutil.copy(directory / "cert.key", directory / "key.pem")
    shutil.copy(directory / "fullchain.key", directory / "privkey.pem")
    shutil.copy(directory / "cert.pem", directory / "ca.pem")
    make_signing_key(directory / "k2026.pem")
    make_signing_key(directory / "dkim.pem")
    (directory / "root.key").write_text(". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n")
    shutil.copy(directory / "cert.pem", directory / "mail.pem")
    shutil.copy(directory / "cert.key", directory / "mail.key")
    (directory / "facts").write_text("far.test. MX 10 mx.far.test.\n")
    (directory / "postfix_lmtp").write_text("members@lists.example.net lmtp:[127.0.0.1]:8024\n")
    (directory / "announce").write_text("# members\nann@example.org\n")
    (directory / "trusted-sealers").write_text("example.com\n.ietf.org\n")
    path = directory / example.name
    path.write_text(text)
    return path


def of_the_readme():
    """Its configurations, as they would be typed."""
    readme = (EXAMPLES.parents[1] / "README").read_text()
    blocks = [block for block in re.split(r"\n(?!    )", readme.replace("\n\n    hostname", "\n.\n    hostname"))
              if block.lstrip(".\n").startswith("    hostname")]
    assert len(blocks) == 3
    return [re.sub(r"(?m)^    ", "", block.lstrip(".\n")) + "\n" for block in blocks]


# What the list host needs to run here: free ports, a directory, answers, somebody to send to.
ON_THIS_MACHINE = """
state    {dir}/state
log      json
resolver { facts {dir}/facts }
delivery { via 127.0.0.1:{far}; retry after 1s }
"""


def test_the_list_host_of_the_readme_does_what_it_says(tmp_path):
    example = tmp_path / "list-host.conf"
    example.write_text(of_the_readme()[1])
    text = furnished(example, tmp_path).read_text()
    chainmail.make_signing_key(tmp_path / "k2026.pem")              # RSA, as ARC wants it
    [web] = free_ports(1)
    for there, here in (("*:25", "127.0.0.1:{port}"), ("127.0.0.1:8026", "127.0.0.1:{second}"),
                        ("web { ", f"web {{ on 127.0.0.1:{web}; ")):
        assert text.count(there) == 1
        text = text.replace(there, here)
    with Sink() as far, Sink(lmtp=True) as manager:
        (tmp_path / "postfix_lmtp").write_text(f"members@lists.example.net lmtp:[127.0.0.1]:{manager.port}\n")
        with Chainmail(tmp_path, text + ON_THIS_MACHINE, far=far.port) as program:
            # its own list: for members, with its marks, signed and sealed, and a way off it
            program.send("ann@example.org", ["announce@lists.example.net"], letter("news", From="ann@example.org"))
            post = email.message_from_bytes(far.wait(program=program).text)
            assert post["Subject"] == "[announce] news" and "The announce list of" in post.get_payload()
            assert "d=lists.example.net" in post["ARC-Seal"] and "d=lists.example.net" in post["DKIM-Signature"]
            assert post["List-Unsubscribe"].startswith("<https://lists.example.net/leave/")
            with program.client() as client:
                client.ehlo()
                client.mail("x@far.test")
                assert client.rcpt("announce@lists.example.net")[0] == 550
                assert client.rcpt("nobody@lists.example.net")[0] == 550
                assert client.rcpt("postmaster@lists.example.net")[0] == 250
            # the list manager's: there with a ticket, back through its own door, sealed
            program.send("x@far.test", ["members@lists.example.net"], letter("question"))
            got = manager.wait(program=program)
            assert b"X-Chainmail-Ticket:" in got.text
            with program.client(port=program.second) as client:
                client.sendmail("members-bounces@lists.example.net", ["ben@far.test"], got.text + b"-- \r\nfooter\r\n")
            assert program.wait("received", listener="mailman")["ticket"] == "valid"
            back = email.message_from_bytes(far.wait(2, program=program).text)
            assert "d=lists.example.net" in back["ARC-Seal"] and "X-Chainmail-Ticket" not in back


def test_the_configurations_of_the_readme_are_good(tmp_path):
    for i, text in enumerate(of_the_readme()):
        (tmp_path / str(i)).mkdir()
        example = tmp_path / f"{i}.conf"
        example.write_text(text)
        got = run("check", furnished(example, tmp_path / str(i)))
        assert got.returncode == 0, got.stderr


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.conf")), ids=lambda path: path.name)
def test_the_examples_are_good_as_they_stand(tmp_path, example):
    path = furnished(example, tmp_path)
    got = run("check", path)
    assert got.returncode == 0, got.stderr
    assert "error" not in got.stderr
    explained = run("explain", "-c", path)
    assert explained.returncode == 0 and "is yours" in explained.stdout


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.conf")), ids=lambda path: path.name)
def test_shown_and_formatted_examples_mean_the_same(tmp_path, example):
    path = furnished(example, tmp_path)
    shown = run("show", "--defaults", "-c", path).stdout
    formatted = run("fmt", path).stdout
    for text in shown, formatted:
        path.write_text(without_account(text))
        assert run("check", path).returncode == 0
    assert run("fmt", path).stdout == formatted

    def statements(text):
        return re.sub(r"  # .*", "", text)
    path.write_text(without_account(shown))
    shown = without_account(shown)
    assert statements(run("show", "-c", path).stdout) == statements(shown)


def test_every_statement_of_the_issue_works_as_it_stands(tmp_path):
    path = furnished(EXAMPLES / "machine.conf", tmp_path)
    text = path.read_text().replace("resolver { server 127.0.0.1:5300; anchor root.key }", "resolver { facts FACTS }")
    path.write_text(text.replace("log      json", "log text"))
    (tmp_path / "FACTS").write_text("local.test. MX 10 mx.local.test.\n")
    got = run("check", path)
    assert got.returncode == 0, got.stderr
    assert [line for line in got.stderr.splitlines() if ": warning: " in line] == \
        [f"{path}:9:21: warning: mail to every name at lists.test is accepted"]


def test_what_it_does_is_explained(tmp_path):
    path = furnished(EXAMPLES / "small-site.conf", tmp_path)
    assert run("explain", "-c", path).stdout == """\
example.org is yours. Mail to its users is delivered by LMTP to unix:/run/dovecot/lmtp; who is a user is listed.
  postmaster, abuse, root → alice@example.org
  sales → alice@example.org, bob@example.org
  carol → carol@example.net (leaves this machine: ARC-sealed as example.org, selector k2026)
  Mail to postmaster reaches alice@example.org.
*:25 (mx, STARTTLS): anybody may send to the addresses above.
Nobody may relay.
What programs of this machine send to a name alone, as cron to root, goes to that name at example.org.
Mail failing DMARC with p=reject is refused (550 5.7.26) when nothing shows a list or forwarder in between. A trusted ARC sealer \
could vouch for it; you trust none.
Going out by MX records; DANE when the destination has it, else MTA-STS, else opportunistic TLS; 20 connections.
Tried again after 5m, 10m, 20m, 40m, then every 2h, for 5d; the sender is warned after 4h.
"""


def test_the_defaults_are_a_configuration(tmp_path):
    text = run("defaults").stdout
    assert "# When an undelivered message is given up and its sender told.\n    expire after 5d\n" in text
    text = text.replace("listen NAME", "listen mx").replace("domain DOMAIN", "domain a.test")
    text = text.replace("list MAILBOX {", "list l {\nmembers x@b.test\n")
    path = tmp_path / "x.conf"
    text = without_account(text)
    path.write_text("hostname mx.a.test\n" + text.replace(re.search(r"state (\S+)", text).group(1), str(tmp_path)))
    got = run("check", path)
    assert got.returncode == 0, got.stderr


# --- the manual -----------------------------------------------------------------------------


def test_the_manual_page_is_what_the_table_gives():
    page = run("manual")
    assert page.returncode == 0
    assert page.stdout == (SOURCE / "conf" / "man" / "chainmail.conf.5").read_text()
    for word in "hostname", "deliver", "dane-or-sts", "5m, 10m, 20m, 40m, then every 2h":
        assert word in page.stdout


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_manual_page_is_good_mdoc():
    lint = subprocess.run(["mandoc", "-T", "lint"], input=run("manual").stdout, text=True,
                          capture_output=True, timeout=60)
    # whether aliases(5) is installed here says nothing about the page
    assert [line for line in (lint.stdout + lint.stderr).splitlines() if "referenced manual" not in line] == []


# --- many files, large tables ------------------------------------------------------------------


def test_a_hundred_thousand_aliases_are_ordinary(tmp_path):
    (tmp_path / "aliases").write_text("".join(f"a{i}: u{i}, x{i}@b.test\n" for i in range(100000)))
    (tmp_path / "users").write_text("postmaster\n" + "".join(f"u{i}\n" for i in range(100000)))
    got = check("hostname mx.a.test; state .; user root\ndomain a.test { deliver to discard; users from file users\n"
                "alias from file aliases }\n", tmp_path)
    assert (got.returncode, got.stderr) == (0, "")
