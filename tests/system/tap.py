# SPDX-License-Identifier: ISC
"""
Run pytest and tell its outcome as TAP, a line a test.

    tap.py FOLDER       each file of tests in a process of its own, two at a time,
                        the largest first: the tests mostly wait
    tap.py FILE         the tests of one file, as it happens
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

import pytest

AT_A_TIME = 2


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
        if report.skipped:              # the whole file, while it was read
            print(f"ok - {report.nodeid} # skip {report.longrepr[2]}", flush=True)
        if report.failed:
            print(f"not ok - cannot read {report.nodeid}", flush=True)
            for line in str(report.longrepr).splitlines()[-20:]:
                print(f"#   {line}", flush=True)


def run_here(path):
    for name in "PYTEST_ADDOPTS", "PYTEST_PLUGINS":     # somebody's own: another order, other output
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    code = pytest.main(["-p", "no:cacheprovider", "-p", "no:terminal", str(path)], plugins=[Tap()])
    return 0 if code in (0, 5) else 1


def run_apart(path):
    """Its outcome, told as a whole; a file that ends without a word has failed."""
    child = subprocess.run([sys.executable, __file__, path], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, text=True, errors="replace")
    if child.returncode != 0 and "not ok" not in child.stdout:
        return 1, f"{child.stdout}not ok - {path} ended with status {child.returncode}\n"
    return child.returncode, child.stdout


def run_all(folder):
    files = sorted(folder.glob("test_*.py"), key=lambda f: -f.stat().st_size)
    worst = 0
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        for run in concurrent.futures.as_completed([pool.submit(run_apart, f) for f in files]):
            code, told = run.result()
            print(told, end="", flush=True)
            worst = max(worst, abs(code))
    return min(worst, 1)


where = pathlib.Path(sys.argv[1])
sys.exit(run_all(where) if where.is_dir() else run_here(where))
