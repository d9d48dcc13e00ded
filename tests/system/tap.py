# SPDX-License-Identifier: ISC
"""Run pytest and tell its outcome as TAP, a line a test, as it happens."""
import sys

import pytest


class Tap:
    def pytest_addoption(self, parser):
        # pytest's account of a failed assertion asks for it; the terminal plugin, left out, has it
        parser.addoption("--verbose", type=int, default=0)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.replace("#", "")
        if report.skipped:
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            if report.when != "teardown":
                print(f"ok - {name} # skip {why}", flush=True)
        elif report.failed:
            print(f"not ok - {name} ({report.when})", flush=True)
            for line in str(report.longrepr).splitlines()[-40:]:
                print(f"#   {line}", flush=True)
        elif report.when == "call":
            print(f"ok - {name}", flush=True)

    def pytest_collectreport(self, report):
        if report.failed:
            print(f"not ok - cannot read {report.nodeid}", flush=True)
            for line in str(report.longrepr).splitlines()[-20:]:
                print(f"#   {line}", flush=True)


arguments = ["-p", "no:cacheprovider", "-p", "no:terminal", *sys.argv[1:]]
code = pytest.main(arguments, plugins=[Tap()])
sys.exit(0 if code in (0, 5) else 1)
