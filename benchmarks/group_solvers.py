"""CPU time to a gap of 1e-6 and 1e-8 nats with the group penalty: proximal Newton and accelerated proximal gradient.

    python benchmarks/group_solvers.py
    python benchmarks/group_solvers.py active [old]

The gap of the gradient method is measured against the certified optimum of the other. It is given that method's
standardised columns and the exact Lipschitz constant.

"active" times the fits with many active columns and classes alone, and groups of five columns beside single ones: CPU
time in seconds, the least of `RUNS` runs. "active old" leaves out the groups, for versions without them.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from softreg.optimize import make_penalty, minimise
from softreg.rows import as_rows

LIMIT = 60.0
"""Seconds after which a fit is given up."""
RUNS = 3
"""Runs of which the fastest counts."""
GROUP = 5
"""Columns of a group."""


def problem(n: int, d: int, q: int, active: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """Return standardised columns of which some have weights, and labels drawn from the model."""
    random = np.random.default_rng(0)
    X = np.sqrt(1 - correlation) * random.normal(size=(n, d)) + np.sqrt(correlation) * random.normal(size=(n, 1))
    W = np.zeros((d, q))
    W[:active] = random.normal(size=(active, q))
    y = (X @ W + random.gumbel(size=(n, q))).argmax(axis=1)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def accelerated(X: np.ndarray, y: np.ndarray, q: int, strength: float, least: float) -> list[float]:
    """Return the seconds at which the objective is within 1e-6 and 1e-8 of `least` (FISTA with adaptive restart)."""
    n, d = X.shape
    Y, radius = np.eye(q)[y], strength * np.sqrt(q)
    step = 1 / (0.5 * max(1.0, float(np.linalg.eigvalsh(X.T @ X / n)[-1])))
    W, b = np.zeros((d, q)), np.log(Y.mean(axis=0))
    V, c, momentum = W, b, 1.0
    reached, begin = [], time.perf_counter()
    while time.perf_counter() - begin < LIMIT and len(reached) < 2:
        o = X @ V + c
        P = np.exp(o - o.max(axis=1, keepdims=True))
        P /= P.sum(axis=1, keepdims=True)
        U = V - step * (X.T @ (P - Y)) / n
        norm = np.sqrt((U**2).sum(axis=1, keepdims=True))
        W1 = U * np.maximum(1 - step * radius / np.maximum(norm, 1e-300), 0.0)
        b1 = c - step * (P - Y).mean(axis=0)
        if ((V - W1) * (W1 - W)).sum() + ((c - b1) * (b1 - b)).sum() > 0:
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        V, c = W1 + (momentum - 1) / following * (W1 - W), b1 + (momentum - 1) / following * (b1 - b)
        W, b, momentum = W1, b1, following
        o = X @ W + b
        largest = o.max(axis=1)
        loss = (np.log(np.exp(o - largest[:, None]).sum(axis=1)) + largest - o[np.arange(n), y]).mean()
        gap = loss + radius * np.sqrt((W**2).sum(axis=1)).sum() - least
        while len(reached) < 2 and gap <= (1e-6, 1e-8)[len(reached)]:
            reached.append(time.perf_counter() - begin)
    return reached + [float("inf")] * (2 - len(reached))


def cpu_seconds(X: np.ndarray, y: np.ndarray, q: int, penalty: object) -> tuple[float, int]:
    """Return the least CPU time of some fits to a gap of 1e-6, and the active columns."""
    seconds = []
    for _ in range(RUNS):
        begin = time.process_time()
        (fit,) = minimise(as_rows(X, y), q, penalty, tol=1e-6)
        seconds.append(time.process_time() - begin)
    return min(seconds), int((fit.W != 0).any(axis=1).sum())


def largest_strength(X: np.ndarray, y: np.ndarray, q: int) -> float:
    """Return the least strength at which all weights are 0."""
    Y = np.eye(q)[y]
    return float(np.sqrt(((X.T @ (Y.mean(axis=0) - Y) / len(X)) ** 2).sum(axis=1)).max() / np.sqrt(q))


def active(grouped: bool) -> None:
    """Print a line for each problem with many active columns."""
    print(f"{'n x d, q, correlation':28}{'strength':>9}{'columns':>16}{'groups of 5':>16}")
    for n, d, q, correlation in ((2000, 200, 10, 0.3), (2000, 1000, 10, 0.3), (20000, 100, 5, 0.9)):
        X, y = problem(n, d, q, 20 if d > 100 else 30, correlation)
        for share in (0.1, 0.03, 0.01):
            strength = share * largest_strength(X, y, q)
            line = "{:9.2f} ({:4})".format(*cpu_seconds(X, y, q, make_penalty("group", strength, 1.0)))
            if grouped:
                from softreg.optimize import ColumnGroups

                penalty = make_penalty("group", strength, 1.0, ColumnGroups.of(np.arange(d) // GROUP))
                line += "{:9.2f} ({:4})".format(*cpu_seconds(X, y, q, penalty))
            print(f"{f'{n} x {d}, {q}, {correlation:g}':28}{share:9g}{line}", flush=True)


def main() -> None:
    """Print a line for each problem and strength."""
    head = f"{'n x d, q, correlation':28}{'strength':>9}{'active':>8}"
    print(f"{head}{'Newton 1e-6':>13}{'1e-8':>8}{'FISTA 1e-6':>12}{'1e-8':>8}")
    for n, d, q, active, correlation in (
        (500, 100, 4, 10, 0.5),
        (2000, 200, 10, 20, 0.3),
        (2000, 1000, 10, 20, 0.3),
        (20000, 100, 5, 30, 0.0),
        (20000, 100, 5, 30, 0.9),
    ):
        X, y = problem(n, d, q, active, correlation)
        largest = largest_strength(X, y, q)
        for share in (0.3, 0.1, 0.03):
            seconds = []
            for tol in (1e-6, 1e-8):
                begin = time.process_time()
                (fit,) = minimise(as_rows(X, y), q, make_penalty("group", share * largest, 1.0), tol=tol)
                seconds.append(time.process_time() - begin)
            best = minimise(as_rows(X, y), q, make_penalty("group", share * largest, 1.0), tol=1e-10)[0].value
            slow = accelerated(X, y, q, share * largest, best)
            name = f"{n} x {d}, {q}, {correlation:g}"
            live = int((fit.W != 0).any(axis=1).sum())
            times = f"{seconds[0]:13.2f}{seconds[1]:8.2f}{slow[0]:12.2f}{slow[1]:8.2f}"
            print(f"{name:28}{share:9g}{live:8}{times}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["active"]:
        active(sys.argv[2:] != ["old"])
    else:
        main()
