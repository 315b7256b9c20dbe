"""How long the audit of 100,000 rows of ten classes takes, part by part: `make bench PROBLEM=audit`.

Prints seconds (least and median of three rounds) and the size of the page. The bar is ten seconds for all of it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from softreg.models import label_audit
from softreg.probability import softmax
from softreg.report import ReportData, audit, render_report, show_rows

ROWS, CLASSES, ROUNDS = 100_000, 10, 3


def timed(seconds: dict[str, list[float]], name: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    found = work()
    seconds.setdefault(name, []).append(time.perf_counter() - start)
    return found


def one_round(P: np.ndarray, y: np.ndarray, seconds: dict[str, list[float]]) -> int:
    names = [f"class {k}" for k in range(CLASSES)]
    found = timed(seconds, "scores, confusion, reliability", lambda: audit(P, y, names))
    timed(seconds, "intervals, gap, exact test, classes", lambda: found.calibration)
    timed(seconds, "areas under curves", lambda: found.ranking)
    doubts = timed(seconds, "label audit", lambda: label_audit(P, y))
    rows = show_rows(found, doubts.order[:12], p_wrong=doubts.suspicion[doubts.order[:12]])
    surprising = show_rows(found, found.most_surprising)
    data = ReportData("Audit", found, doubtful=rows, most_surprising=surprising, trained=False)
    return len(timed(seconds, "the page", lambda: render_report(data)).encode())


def main() -> None:
    random = np.random.default_rng(0)
    o = random.normal(scale=1.5, size=(ROWS, CLASSES))
    y = np.minimum((softmax(o).cumsum(axis=1) < random.random((ROWS, 1))).sum(axis=1), CLASSES - 1)
    P = softmax(1.3 * o)
    seconds: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        size = one_round(P, y, seconds)
    print(f"{ROWS:,} rows, {CLASSES} classes; seconds, least and median of {ROUNDS} rounds")
    for name, taken in seconds.items():
        print(f"  {name:38} {min(taken):6.2f} {statistics.median(taken):6.2f}")
    total = [sum(taken) for taken in zip(*seconds.values(), strict=True)]
    print(f"  {'all':38} {min(total):6.2f} {statistics.median(total):6.2f}   (bar: 10 s)")
    print(f"  page: {size / 1e6:.2f} MB (bar: 2 MB)")


if __name__ == "__main__":
    main()
