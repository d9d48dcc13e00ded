# SPDX-License-Identifier: ISC
"""
What the running program bears, a sample of everything, side by side: most of
the time is waiting.  tests/long has each of them complete.
"""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PARTS = ["ledger.py", "20"], ["places.py", "2"], ["power.py", "20"], ["faults.py", "0.6"]


def main():
    running = [subprocess.Popen([sys.executable, HERE / name, *words], stdout=subprocess.PIPE, text=True)
               for name, *words in PARTS]
    for process, (name, *_) in zip(running, PARTS):
        print(process.communicate()[0], end="", flush=True)
        if process.returncode not in (0, 1):
            print(f"not ok - {name} ended with status {process.returncode}", flush=True)
    sys.exit(any(process.returncode for process in running))


if __name__ == "__main__":
    main()
