"""Rows a second of predictions with intervals, beside predictions without: `make bench PROBLEM=prediction_intervals`.

A model without a penalty on 5,000 rows predicts random rows; d columns, q classes. Rows are counted a second of the
clock, the best of five runs, and a second of the processor, all threads together, which other programs disturb less.
The ratio is the processor's time with intervals divided by that of `predict_proba`.

    python benchmarks/prediction_intervals.py [ROWS]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from softreg import SoftmaxRegression, infer
from softreg.rows.parallel import thread_count

SHAPES = ((20, 2), (20, 3), (20, 5), (20, 10), (100, 3))
"""Numbers of columns and classes."""
RUNS = 5


def best(work: Callable[[], object]) -> np.ndarray:
    """Seconds (2,) of the clock and of the processor, the least of `RUNS` calls each."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter(), time.process_time()
        work()
        seconds.append([time.perf_counter() - start[0], time.process_time() - start[1]])
    return np.min(seconds, axis=0)


def measure(n: int, d: int, q: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seconds of predictions with intervals, of an average with an interval, and of probabilities alone."""
    X, W = random.normal(size=(5_000, d)), random.normal(size=(d, q)) / np.sqrt(d)
    y = (X @ W + random.gumbel(size=(len(X), q))).argmax(axis=1)
    model = SoftmaxRegression(penalty=None).fit(X, y)
    inference, rows = infer(model, X, y), random.normal(size=(n, d))
    return (
        best(lambda: inference.predictions(rows)),
        best(lambda: inference.predictions(rows, grid={0: 1.0}, others="observed")),
        best(lambda: model.predict_proba(rows)),
    )


def main(n: int) -> None:
    """Print a line for each shape."""
    random = np.random.default_rng(0)
    print(f"{n:,} rows of float64, {thread_count()} threads; rows a second of the clock / of the processor")
    print(f"{'d':>4} {'q':>3}  {'predictions':>23}  {'average':>23}  {'ratio to predict_proba':>22}")
    for d, q in SHAPES:
        intervals, average, plain = measure(n, d, q, random)
        shown = [" / ".join(f"{n / s:10,.0f}" for s in seconds) for seconds in (intervals, average)]
        print(f"{d:4} {q:3}  {shown[0]}  {shown[1]}  {intervals[1] / plain[1]:22.0f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
