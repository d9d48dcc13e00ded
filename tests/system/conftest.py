# SPDX-License-Identifier: ISC
"""What the tests of the running program share."""
import shutil

import pytest

import chainmail


@pytest.fixture(scope="session")
def pems(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pems")
    chainmail.make_certificate(directory)
    chainmail.make_signing_key(directory / "dkim.pem")
    return directory


@pytest.fixture
def place(tmp_path, pems):
    """A directory with a certificate, keys and facts about nobody."""
    for name in "cert.pem", "key.pem", "dkim.pem":
        shutil.copy(pems / name, tmp_path / name)
    (tmp_path / "facts").write_text("local.test. MX 10 mx.local.test.\n")
    return tmp_path
