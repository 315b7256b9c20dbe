"""One contestant on one problem in a process of its own: climbs its ladder of settings and writes what it measured.

    python benchmarks/worker.py '{"problem": "iris", "peer": "bench_softreg", "contestant": "softreg", "limit": 60,
                                  "out": "lines.json"}'

Every fit is one line of JSON: setting, seconds, gap to the optimum, peak memory beyond the data, held-out log loss.
Only the fit is on the clock. A fit that would pass the limit ends the process (SIGALRM): its line stays half written.
"""

from __future__ import annotations

import importlib
import json
import math
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import measure
import numpy as np
import problems
import scipy.sparse as sp
from peers import Contestant, Facts

SHORT, REPEATS = 0.3, 30
"""Fits shorter than this together, in seconds, are repeated up to so often; the median counts."""
REFINED = 2
"""Settings tried between the last rung that misses a gap and the first that reaches it."""


def facts_of(problem: problems.Problem, X: Any, y: Any) -> Facts:
    return Facts(X.shape[0], X.shape[1], int(y.max()) + 1, problem.strength, sp.issparse(X), X.dtype)


def find(facts: Facts, peer: str, name: str) -> Contestant:
    """The contestant of that name; no other peer is imported: it would bring its own threads and memory along."""
    module = importlib.import_module(f"peers.{peer}")
    return next(contestant for contestant in module.contestants(facts) if contestant.name == name)


class Course:
    """The problem as one contestant meets it, with a clock that it cannot overrun."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.problem = problems.PROBLEMS[order["problem"]]
        self.best = problems.optimum(self.problem).value
        self.X, self.y, self.X_test, self.y_test = problems.load(self.problem)
        self.contestant = find(facts_of(self.problem, self.X, self.y), order["peer"], order["contestant"])
        self.left = float(order["limit"])
        self.out = open(order["out"], "a", buffering=1)  # noqa: SIM115  (open as long as the process lives)
        self.seen = self.X.astype(self.contestant.dtype, copy=False) if self.contestant.dtype else self.X
        if self.seen is not self.X:
            self.X = self.seen  # the wider copy holds the same numbers
        self.gaps: dict[float, float] = {}
        self.seconds: dict[float, float] = {}

    def say(self, **figures: Any) -> None:
        self.out.write(json.dumps(figures) + "\n")

    def warm_up(self) -> None:
        """Load libraries and start thread pools on a few rows of every class."""
        rows = np.sort(np.unique(np.concatenate([np.unique(self.y, return_index=True)[1], np.arange(50)])))
        setting = self.contestant.ladder[0] if self.contestant.ladder else None
        try:
            self.contestant.fit(self.seen[rows], self.y[rows], setting)
        except Exception as error:
            self.say(note=f"warm-up: {error}")

    def run(self, setting: float | None) -> None:
        """Fit at one setting as often as it is short, and write its line."""
        times: list[float] = []
        self.say(started=setting)
        measure.forget_peak()
        before = measure.peak_bytes()
        while not times or (sum(times) < SHORT and len(times) < REPEATS):
            signal.setitimer(signal.ITIMER_REAL, max(self.left, 0.01))
            start = time.perf_counter()
            model = self.contestant.fit(self.seen, self.y, setting)
            times.append(time.perf_counter() - start)
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.left -= times[-1]
            if self.left <= 0:
                break
        extra = measure.peak_bytes() - before
        W, b = self.contestant.weights(model)
        gap = measure.objective(self.X, self.y, W, b, self.problem.strength) - self.best
        held_out = None if self.X_test is None else measure.log_loss(self.X_test, self.y_test, W, b)
        seconds = float(np.median(times))
        gap = gap if math.isfinite(gap) else 1e300
        self.say(setting=setting, seconds=seconds, gap=gap, extra=extra, log_loss=held_out)
        if setting is not None:
            self.gaps[setting], self.seconds[setting] = gap, seconds

    def climb(self) -> None:
        """Rungs from large to small until the smallest gap is reached or nothing changes any more."""
        same, patience = 0, 2 if self.contestant.whole else 4  # tolerances are often passed by several at once
        last = math.inf
        for setting in self.contestant.ladder:
            self.run(setting)
            gap = self.gaps[setting]
            same = same + 1 if abs(gap - last) <= 1e-3 * abs(last) else 0
            last = gap
            if gap <= self.problem.gaps[-1] or same == patience or self.left <= 0:
                return

    def refine(self) -> None:
        """Settings between rungs, so that no contestant pays for the steps of its ladder."""
        for target in self.problem.gaps:
            for _ in range(REFINED):
                setting = self.between(target)
                if setting is None or self.left <= self.seconds[self.first(target)]:
                    break
                self.run(setting)

    def order(self) -> list[float]:
        coarse_first = sorted(self.gaps)
        ladder = self.contestant.ladder
        return coarse_first if len(ladder) < 2 or ladder[0] < ladder[1] else coarse_first[::-1]

    def first(self, target: float) -> float:
        return next(s for s in self.order() if self.gaps[s] <= target)

    def between(self, target: float) -> float | None:
        """A setting expected to reach `target` just so, from the gaps on either side; None where there is none."""
        order = self.order()
        hits = [k for k, s in enumerate(order) if self.gaps[s] <= target]
        if not hits or hits[0] == 0:
            return None
        miss, hit = order[hits[0] - 1], order[hits[0]]
        high, low = self.gaps[miss], max(self.gaps[hit], target / 100)
        share = math.log(high / (target * 0.8)) / math.log(high / low) if high < 1e3 else 0.5
        setting = miss * (hit / miss) ** min(max(share, 0.2), 0.8)
        setting = float(math.ceil(setting)) if self.contestant.whole else setting
        near = max(hit, miss) / min(hit, miss) < 1.12
        return None if near or setting in self.gaps else setting


def main(order: dict[str, Any]) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # by default it ends the process, in the middle of C code too
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    course = Course(order)

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            course.say(error=f"{type(error).__name__}: {str(error)[:200]}")

    course.warm_up()
    if "settings" in order:
        for setting in order["settings"]:
            guarded(lambda setting=setting: course.run(setting))
        return
    if course.contestant.defaults:
        guarded(lambda: course.run(None))
    guarded(course.climb)
    guarded(course.refine)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
