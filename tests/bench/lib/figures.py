# SPDX-License-Identifier: ISC
"""Figures: two things measured in turn, medians, spread, ratios, a table and a file."""
import json
import statistics
import sys
import time


def said(value):
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


class Table:
    """
    Rows are printed as they come.  `wanted` is a ratio or a figure to reach; `more`
    tells whether more is better.  Nothing here fails: a bench prints.
    """
    HEAD = ("what", "wanted", "reached", "ours", "theirs", "spread")
    FORM = "{:<46} {:>10} {:>10} {:>14} {:>14}  {}"

    def __init__(self, title, facts):
        self.rows, self.title, self.facts = [], title, facts
        print(f"{title}: " + ", ".join(f"{k} {v}" for k, v in facts.items()))
        print(self.FORM.format(*self.HEAD), flush=True)

    def add(self, what, wanted, reached, ours=None, theirs=None, spread=None, more=True, unit=""):
        ok = None if wanted is None or reached is None else reached >= wanted if more else reached <= wanted
        self.rows.append({"what": what, "wanted": wanted, "reached": reached, "ours": ours, "theirs": theirs,
                          "spread": spread, "unit": unit, "met": ok})
        mark = "" if ok is None else " *" if ok else "  "
        span = "" if spread is None else f"{said(spread[0])} to {said(spread[1])} of {spread[2]}"
        sign = "" if wanted is None else ">= " if more else "<= "
        print(self.FORM.format(what, sign + said(wanted), said(reached) + mark, said(ours) + " " + unit,
                               said(theirs) + " " + unit if theirs is not None else "", span), flush=True)

    def skip(self, what, why):
        self.rows.append({"what": what, "skipped": why})
        print(f"{what:<46} skipped: {why}", flush=True)

    def write(self, path):
        with open(path, "w") as f:
            json.dump({"title": self.title, "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                       "facts": self.facts, "rows": self.rows}, f, indent=1)
        print(f"{self.title}: written to {path}")


def in_turn(pairs, first, second):
    """Two functions called in turn, the order changing from pair to pair; two lists."""
    a, b = [], []
    for i in range(pairs):
        for one, to in ((first, a), (second, b))[:: 1 if i % 2 == 0 else -1]:
            to.append(one())
    return a, b


def compare(table, what, wanted, pairs, ours, theirs, more=True, unit="", by=None):
    """A row: `ours` and `theirs` measure once each; the ratio is ours by theirs of each pair."""
    try:
        a, b = in_turn(pairs, ours, theirs)
    except Exception as e:                      # a row that cannot be measured is not the end
        table.skip(what, f"{type(e).__name__}: {str(e)[:300]}")
        return None
    ratios = [x / y for x, y in zip(a, b)]
    table.add(what, wanted, statistics.median(ratios), statistics.median(a), statistics.median(b),
              (min(ratios), max(ratios), f"{pairs} pairs"), more, unit)
    return statistics.median(a)


def alone(table, what, wanted, times, ours, more=False, unit=""):
    """A row of our own: a figure, not a ratio."""
    try:
        a = [ours() for _ in range(times)]
    except Exception as e:
        table.skip(what, f"{type(e).__name__}: {str(e)[:300]}")
        return None
    middle = statistics.median(a)
    table.add(what, wanted, middle, middle, None, (min(a), max(a), f"{times} runs"), more, unit)
    return middle


def note(text):
    print(f"  {text}", file=sys.stdout, flush=True)
