"""A process of the sweep: it holds one problem at a time and fits contestants of one peer on request.

Requests and answers are lines of JSON on stdin and stdout. Only the fit is on the clock. A fit that would pass its
limit ends the process (SIGALRM); who asked sees the end of the stream and starts another process.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import measure
import numpy as np
import scipy.sparse as sp
from peers import Contestant, Facts
from problems import kept
from threadpoolctl import threadpool_limits
from worker import find

WARM_UP_ROWS = 60
"""Rows of the warm-up fit beside one of each class."""
MOST_REPEATS = 50
ONE_THREAD = 4e6
"""Multiplications of a pass up to which all libraries get one thread: a second one gains nothing there, and a library
that nevertheless starts it waits for it milliseconds where other programs run."""


class Server:
    """The problem in hand, and the contestants that have been warmed up on it."""

    def __init__(self) -> None:
        self.contestants: dict[str, Contestant] = {}
        self.casts: dict[str, Any] = {}

    def open(self, folder: str, peer: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Load X and y, and make the facts for the peer."""
        self.contestants, self.casts = {}, {}
        self.peer, self.l1_ratio = peer, facts["l1_ratio"]
        self.X, self.y = kept(Path(folder) / "X"), kept(Path(folder) / "y")
        self.facts = Facts(
            *self.X.shape, facts["q"], facts["strength"], sp.issparse(self.X), self.X.dtype, facts["l1_ratio"]
        )
        stored = self.X.nnz if self.facts.sparse else self.X.size
        self.threads = 1 if stored * self.facts.q < ONE_THREAD else None
        if peer == "bench_sklearnex":  # its threads are its own
            import daal4py

            daal4py.daalinit(self.threads or os.cpu_count() or 1)
        return {}

    def rows_of(self, name: str) -> Any:
        """Return X in the type that the contestant wants; the cast is off the clock."""
        dtype = self.contestants[name].dtype or str(self.X.dtype)
        if dtype not in self.casts:
            self.casts[dtype] = self.X if dtype == self.X.dtype else self.X.astype(dtype)
        return self.casts[dtype]

    def enter(self, name: str) -> dict[str, Any]:
        """Fit a few rows with the coarsest setting: it loads libraries, starts threads and compiles."""
        self.contestants[name] = contestant = find(self.facts, self.peer, name)
        X, few = self.rows_of(name), np.unique(self.y, return_index=True)[1]
        rows = np.unique(np.concatenate([few, np.arange(min(WARM_UP_ROWS, len(self.y)))]))
        note = ""
        try:
            contestant.fit(X[rows], self.y[rows], contestant.ladder[0])
        except Exception as error:
            note = f"{type(error).__name__}: {error}"
        return {"note": note}

    def fit(self, name: str, setting: float, limit: float, budget: float) -> dict[str, Any]:
        """Fit once, and again as long as all fits together take less than the budget."""
        contestant, X = self.contestants[name], self.rows_of(name)
        seconds: list[float] = []
        processor: list[float] = []
        gc.collect()
        with threadpool_limits(self.threads):
            while not seconds or (sum(seconds) + min(seconds) < budget and len(seconds) < MOST_REPEATS):
                signal.setitimer(signal.ITIMER_REAL, limit)
                cpu, start = time.process_time(), time.perf_counter()
                model = contestant.fit(X, self.y, setting)
                seconds.append(time.perf_counter() - start)
                processor.append(time.process_time() - cpu)
                signal.setitimer(signal.ITIMER_REAL, 0)
        W, b = contestant.weights(model)
        value = measure.objective(self.X, self.y, W, b, self.facts.strength, self.l1_ratio)
        solution = getattr(model, "solution_", None)
        how = (
            {}
            if solution is None
            else {"plan": solution.plan.name, "passes": solution.passes, "iterations": solution.n_iter}
        )
        return {"seconds": min(seconds), "cpu": min(processor), "fits": len(seconds), "value": value, **how}

    def optimum(self, tol: float, limit: float) -> dict[str, Any]:
        """Return the minimum that softreg finds in float64, and the gap that it proves."""
        from softreg import SoftmaxRegression

        options = {"penalty": "elasticnet", "l1_ratio": self.l1_ratio} if self.l1_ratio else {}
        wide = self.X.astype(np.float64)
        signal.setitimer(signal.ITIMER_REAL, limit)
        model = SoftmaxRegression(self.facts.strength, tol=tol, max_iter=20_000, **options).fit(wide, self.y)
        signal.setitimer(signal.ITIMER_REAL, 0)
        W, b = model.coef_.T, model.intercept_
        value = measure.objective(wide, self.y, W, b, self.facts.strength, self.l1_ratio)
        return {"value": value, "gap": float(model.solution_.gap), "bound": model.solution_.bound}

    def memory(self, name: str, setting: float, limit: float) -> dict[str, Any]:
        """Return the bytes that a fit needs at its peak beyond what the process held before."""
        contestant, X = self.contestants[name], self.rows_of(name)
        gc.collect()
        measure.forget_peak()
        before = measure.peak_bytes()
        signal.setitimer(signal.ITIMER_REAL, limit)
        contestant.fit(X, self.y, setting)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return {"bytes": measure.peak_bytes() - before}


def main() -> None:
    """Answer requests until stdin ends."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # by default it ends the process, in the middle of C code too
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    server = Server()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(server, request.pop("do"))(**request)
        except Exception as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            answer = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
