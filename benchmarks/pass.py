"""One loss-and-gradient pass against the time to read X once; compiled kernels beside their NumPy twins.

    python benchmarks/pass.py [dense] [sparse] [fit]

Random rows of the shapes of MNIST (60,000 x 784, q = 10) and of newsgroups (15,000 x 77,515, q = 20). The contestants
take turns, and each figure is the least and the median of many rounds in this run; compare ratios, not milliseconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import data
import numpy as np
import problems
import scipy.sparse as sp

from softreg import SoftmaxRegression
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.problem.penalty_table import ElasticNet
from softreg.optimize.problem.standardization import Coordinates
from softreg.rows import as_rows, in_order, kernels_in_use, one_blas_thread
from softreg.rows.column_statistics import BlockFunction
from softreg.rows.kernels import products as switch

ROUNDS = int(os.environ.get("ROUNDS", "15"))
COMPILED = switch._module


def zipf(n: int, d: int, words: int, random: np.random.Generator) -> sp.csr_array:
    """Rows of about `words` different columns, drawn with the frequencies that words have."""
    share = 1 / (np.arange(d) + 10.0)
    columns = random.permutation(d)[random.choice(d, size=(n, words), p=share / share.sum())]
    X = sp.csr_array((np.ones(n * words, np.float32), (np.repeat(np.arange(n), words), columns.ravel())), shape=(n, d))
    X.sum_duplicates()
    X.data = random.random(X.nnz, dtype=np.float32)
    return X


def turns(contestants: dict[str, tuple[bool, Callable[[], object]]]) -> dict[str, list[float]]:
    """Milliseconds of each contestant, one after another in each round; the first round is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS + 1):
        for name, (compiled, work) in contestants.items():
            switch._module = COMPILED if compiled else None
            start = time.perf_counter()
            work()
            spent[name].append(1e3 * (time.perf_counter() - start))
    switch._module = COMPILED
    return {name: times[1:] for name, times in spent.items()}


def whole(rows, q: int):
    """What to time: logits, gradient from kept logits, and a pass, which is both; with the change of coordinates that a
    solver needs, and without."""
    d = rows.d
    coordinates = Coordinates(np.zeros(d), np.ones(d), np.zeros(d, bool))
    objective = Objective(rows, q, ElasticNet(np.zeros(1), np.array([1e-4])), coordinates)
    theta = np.random.default_rng(1).normal(size=(1, q, d + 1)) / 100
    objective.place(theta)

    W, bias = rows.prepare(theta[0, :, :-1]), theta[0, :, -1].astype(rows.dtype)

    def sums() -> None:
        rows.sum(BlockFunction(lambda block: block.loss_and_gradient(W, bias, q, None, None) or (block.times(W),)))

    return {
        "logits": lambda: objective.place(theta),
        "gradient": objective.gradient,
        "pass": lambda: objective.evaluate(theta),
        "pass, its sums alone": sums,
    }


def predictor(X: np.ndarray, q: int) -> Callable[[], object]:
    """What asks a model, with weights as they come, for the probabilities of all rows."""
    random, model = np.random.default_rng(2), SoftmaxRegression()
    model.coef_, model.intercept_ = random.normal(size=(q, X.shape[1])) / 30, random.normal(size=q)
    model.classes_, model.n_features_in_ = np.arange(q), X.shape[1]
    return lambda: model.predict_proba(X)


def compare(
    name: str,
    rows,
    q: int,
    read: Callable[[], object],
    others: dict[str, Callable[[], object]],
    more: dict[str, Callable[[], object]],
) -> None:
    work = whole(rows, q) | more
    one_thread: dict[str, float] = {}
    contestants = {"read X once": (False, read), **{key: (False, one) for key, one in others.items()}}
    contestants |= {f"{key}, NumPy": (False, one) for key, one in work.items() if "alone" not in key}
    if COMPILED is not None:
        contestants |= {f"{key}, compiled": (True, one) for key, one in work.items()}
    for threads in ("1", "2"):
        os.environ["SOFTREG_NUM_THREADS"] = threads
        with one_blas_thread():
            spent = turns(contestants)
        columns = "least (median) ms, least / least of reading" + (", one thread / two" if one_thread else "")
        print(f"{name}, {threads} thread{'s' if one_thread else ''}: {columns}")
        floor, theirs = min(spent["read X once"]), sum(min(spent[key]) for key in others)
        for key, times in spent.items():
            faster = f"   {one_thread[key] / min(times):5.2f}" if one_thread else ""
            if theirs and "pass" in key:
                faster += f"   {theirs / min(times):.1f} times as fast as SciPy's two products"
            print(f"  {key:<31s} {min(times):7.1f} ({np.median(times):6.1f})   {min(times) / floor:6.2f}{faster}")
        one_thread = {key: min(times) for key, times in spent.items()}


def dense() -> None:
    n, d, q = 60_000, 784, 10
    random = np.random.default_rng(0)
    X = random.random((n, d), dtype=np.float32)
    rows = as_rows(X, random.integers(0, q, n))
    numbers = [X[b.start : b.stop].reshape(-1).view(np.uint64) for b in rows.blocks]
    compare(
        "dense 60,000 x 784 float32, q = 10",
        rows,
        q,
        lambda: list(in_order(np.max, numbers)),
        {},
        {"predict_proba": predictor(X, q)},
    )


def sparse() -> None:
    n, d, q = 15_000, 77_515, 20
    random = np.random.default_rng(0)
    X = zipf(n, d, 215, random)
    rows = as_rows(X, random.integers(0, q, n))
    W, R = random.normal(size=(d, q)).astype(np.float32), random.normal(size=(n, q)).astype(np.float32)
    pieces = [part for b in rows.blocks for part in (b.X.data, b.X.indices)]
    others = {"SciPy X @ W": lambda: X @ W, "SciPy X.T @ R": lambda: X.T @ R}
    name = f"CSR {n:,} x {d:,}, {X.nnz:,} stored, q = {q}"
    compare(name, rows, q, lambda: list(in_order(np.max, pieces)), others, {})


def fit() -> None:
    """A whole fit of MNIST by one thread and by two, and whether the weights are the same to the last bit."""
    try:
        X, y, _, _ = problems.load(problems.PROBLEMS["mnist"])
    except data.Missing as missing:
        print(f"fit of MNIST: skipped, {missing}")
        return
    spent: dict[str, list[float]] = {"1": [], "2": []}
    weights = {}
    for _ in range(1 + ROUNDS // 4):
        for threads, times in spent.items():
            os.environ["SOFTREG_NUM_THREADS"] = threads
            start = time.perf_counter()
            weights[threads] = SoftmaxRegression(problems.PROBLEMS["mnist"].strength).fit(X, y).coef_
            times.append(time.perf_counter() - start)
    one, two = (min(times[1:]) for times in spent.values())
    same = np.array_equal(weights["1"], weights["2"])
    print(f"fit of MNIST: one thread {one:.2f} s, two {two:.2f} s ({one / two:.2f} times); the same bits: {same}")


if __name__ == "__main__":
    used = kernels_in_use()
    print(f"kernels: {'compiled for ' + str(used.level) if used.compiled else 'NumPy, ' + used.reason}")
    for part in sys.argv[1:] or ["dense", "sparse", "fit"]:
        {"dense": dense, "sparse": sparse, "fit": fit}[part]()
