"""What fits cost, as parts of what one core can do: the table of docs/solvers.md.

    SOFTREG_NUM_THREADS=1 python benchmarks/fit_cost.py

Prints one line of the table for each fit: the plan, processor seconds, how they are divided, and the least part of them
that reading the rows and the counted operations take at the rates of this machine. Rows without a file are drawn.
"""

from __future__ import annotations

import os

os.environ.setdefault("SOFTREG_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Iterator
from typing import Any

import data
import numpy as np
import scipy.sparse as sp
from sklearn.datasets import load_digits

from softreg import SoftmaxRegression

REPEATS = 3


def problems() -> Iterator[tuple[str, Any, Any, float]]:
    """Yield a name, rows, labels and the strength."""
    try:
        X, y = data.mnist()[:2]
        yield "MNIST, 60,000 x 784 float32, 10 classes, strength 1e-4", X, y, 1e-4
    except data.Missing as missing:
        print(missing)
    yield "300,000 x 200 float32, 2 classes, strength 1e-3", *dense(300_000, 200, 2, np.float32), 1e-3
    yield "2,000,000 x 10, 3 classes, strength 1e-3", *dense(2_000_000, 10, 3, np.float64), 1e-3
    yield "one-hot, 200,000 x 16,000, 5 classes, strength 1e-3", *one_hot(200_000, 16_000, 5), 1e-3
    X, y = load_digits(return_X_y=True)
    yield "digits, 1,797 x 64, 10 classes, strength 1e-3", X, y, 1e-3


def dense(n: int, d: int, q: int, dtype: Any) -> tuple[Any, Any]:
    """Draw normal columns with one common factor, and labels."""
    random = np.random.default_rng(0)
    X = random.normal(size=(n, d)).astype(dtype)
    X += random.normal(size=(n, 1)).astype(dtype)
    return X, data.drawn(X @ random.normal(size=(d, q)).astype(dtype) / np.sqrt(d), random)


def one_hot(n: int, d: int, q: int) -> tuple[Any, Any]:
    """Draw eight categories of d / 8 levels each, with frequencies of Zipf's law, and labels."""
    random = np.random.default_rng(0)
    levels = d // 8
    share = 1 / np.arange(1, levels + 1)
    codes = random.choice(levels, size=(n, 8), p=share / share.sum()) + levels * np.arange(8)
    X = sp.csr_array((np.ones(8 * n), codes.ravel(), np.arange(0, 8 * n + 1, 8)), shape=(n, d))
    return X, data.drawn(X @ random.normal(size=(d, q)), random)


def main() -> None:
    """Print the table."""
    print("| fit | plan | seconds | passes, curvature, certificates, elsewhere | memory, arithmetic: at least |")
    print("| --- | --- | ---: | --- | --- |")
    for name, X, y, strength in problems():
        fits = [SoftmaxRegression(strength).fit(X, y).solution_ for _ in range(REPEATS)]
        best = min(fits, key=lambda solution: solution.cost.processor_seconds)
        cost = best.cost
        use = cost.on_this_machine()
        parts = [cost.passes_seconds, cost.curvature_seconds, cost.certificate_seconds, cost.other_seconds]
        shares = ", ".join(f"{part / cost.seconds:.0%}" for part in parts)
        limits = f"{use.memory:.0%}, {use.arithmetic:.0%}: {use.bottleneck.value}"
        print(f"| {name} | `{best.plan.name}` | {cost.processor_seconds:.2g} | {shares} | {limits} |", flush=True)
    single, double = use.limits.single_rate / 1e9, use.limits.double_rate / 1e9
    print(f"{single:.0f} and {double:.0f} GFLOP/s, {use.limits.read_rates[-1][1] / 1e9:.0f} GB/s")


if __name__ == "__main__":
    main()
