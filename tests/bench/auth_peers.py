# SPDX-License-Identifier: ISC
"""The message of b_auth through other verifiers, each in turn with ours, as ratios.

Ours is the whole verdict: SPF, DKIM, ARC, DMARC, iprev and the results in
writing.  OpenDKIM's library (unpacked in peers/, never installed) and
python3-dkim verify the signature alone, their key at hand.  Time of the
processor, one core.
"""
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import opendkim  # noqa: E402

B_AUTH, ROUNDS = os.path.join("obj", "tests", "bench", "b_auth"), 7


def ours():
    return float(subprocess.run([B_AUTH, "rate"], capture_output=True, check=True).stdout)


def rate(verify, count):
    begun = time.process_time()
    for _ in range(count):
        assert verify()
    return count / (time.process_time() - begun)


def peers(record, message):
    """Name, one verification, and how many of them for one figure."""
    if opendkim.found() is not None:
        peer = opendkim.OpenDkim(record)
        yield "libopendkim", lambda: peer.verify(message), 1500
    try:
        import dkim
        yield "python3-dkim", lambda: dkim.verify(message, dnsfunc=lambda name, timeout=5: record), 60
    except ImportError:
        pass


def main():
    text = subprocess.run([B_AUTH, "message"], capture_output=True, check=True).stdout
    record, _, message = text.partition(b"\n")
    compared = False
    for name, verify, count in peers(record, message):
        pairs = [(ours(), rate(verify, count)) for _ in range(ROUNDS)]
        ratios = sorted(mine / theirs for mine, theirs in pairs)
        print(f"  {statistics.median(ratios):7.1f} times {name}, which verifies {statistics.median(p[1] for p in pairs):.0f}/s"
              f" ({ratios[0]:.1f} to {ratios[-1]:.1f})", flush=True)
        compared = True
    if not compared:
        print("  no other verifier is here (peers/libopendkim11, python3-dkim)")


main()
