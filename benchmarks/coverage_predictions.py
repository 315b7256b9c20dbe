"""How often 95% intervals of predictions and comparisons hold the truth: `make bench PROBLEM=coverage_predictions`.

Labels are drawn from known probabilities. The intervals are those of the probabilities of fixed rows (a typical one and
one with each normal column at 2), single and jointly over the classes; of the average probabilities at z = 1; and of
differences, ratios and odds ratios of average probabilities between z = 0 and 1. The truth of an average is that of the
rows of the sample at the true parameters. Samples without finite estimates are counted and left out. In the design
"posterior", the weights of each sample are drawn from the normal distribution that its L2 penalty stands for.

    python benchmarks/coverage_predictions.py [SAMPLES [DESIGN]]
"""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from softreg import SoftmaxRegression, infer
from softreg.models import Inference


@dataclass(frozen=True)
class Design:
    """A way to draw samples: rows, intercepts of the classes (a low one is a rare class), and kinds of errors."""

    name: str
    n: int
    intercepts: tuple[float, ...]
    clusters: int = 0
    prior: float = 0.0
    """Precision of the prior of the weights of z-scored columns, for posterior intervals."""


DESIGNS = (
    Design("2 classes, 300 rows", 300, (0.0, -0.5)),
    Design("3 classes, 500 rows", 500, (0.0, 0.3, -0.3)),
    Design("3 classes, 1,500 rows, one class 3%", 1500, (0.0, 0.3, -3.0)),
    Design("5 classes, 1,000 rows", 1000, (0.0, 0.3, -0.3, 0.2, -0.5)),
    Design("3 classes, 600 rows in 150 clusters", 600, (0.0, 0.3, -0.3), clusters=150),
    Design("3 classes, 200 rows, posterior", 200, (0.0, 0.0, 0.0), prior=4.0),
    Design("3 classes, 60 rows", 60, (0.0, 0.3, -0.3)),
    Design("3 classes, 300 rows, one class 3%", 300, (0.0, 0.3, -3.0)),
)
POINTS = np.array([[0.0, 0.0, 0.0], [2.0, 2.0, 1.0]])
"""Rows whose probabilities are predicted."""


def weights(design: Design, random: np.random.Generator) -> np.ndarray:
    """The weights (3, q): fixed, or drawn from the prior."""
    q = len(design.intercepts)
    if design.prior:
        return random.normal(size=(3, q)) / np.sqrt(design.prior)
    return np.array([np.linspace(-0.6, 0.8, q), 0.5 * (-1.0) ** np.arange(q), np.linspace(0.7, -0.5, q) ** 2])


def probabilities(design: Design, W: np.ndarray, X: np.ndarray) -> np.ndarray:
    return np.asarray(softmax(np.array(design.intercepts) + X @ W, axis=1))


def drawn(design: Design, W: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two normal columns and one of zeros and ones (n, 3), labels, clusters; rows of a cluster are near copies."""
    group = np.arange(design.n) % (design.clusters or design.n)
    X = np.column_stack([random.normal(size=(design.n, 2)), random.random(design.n) < 0.4]).astype(float)
    noise = random.gumbel(size=(design.n, len(design.intercepts)))
    if design.clusters:  # the rows of a cluster share columns, and half of them the noise: labels are dependent
        shared = random.random(design.n) < 0.5
        X = X[group]
        noise[shared] = noise[group[shared]]
    return X, (np.array(design.intercepts) + X @ W + noise).argmax(axis=1), group


Interval = tuple[str, np.ndarray, np.ndarray, np.ndarray]
"""What it is of, lower and upper ends, and the truth."""


def fitted(design: Design, X: np.ndarray, y: np.ndarray, group: np.ndarray) -> Inference:
    """The statistics of a sample; raises `ValueError` where it has no finite estimates, or lacks a class."""
    if len(np.unique(y)) < len(design.intercepts):
        raise ValueError("a class has no row")
    if design.prior:  # the penalty is that of z-scored columns: strength = precision / rows, in the objective's mean
        model = SoftmaxRegression(design.prior / design.n, tol=1e-9).fit(X, y)
        return infer(model, X, y, errors="posterior")
    options: dict[str, Any] = {"clusters": group} if design.clusters else {}
    return infer(SoftmaxRegression(penalty=None).fit(X, y), X, y, **options)


def intervals(design: Design, W: np.ndarray, X: np.ndarray, found: Inference) -> Iterator[Interval]:
    """The intervals of all kinds from one sample."""
    truth = probabilities(design, W, POINTS)
    single, joint = found.predictions(POINTS), found.predictions(POINTS, simultaneous=True)
    yield "probabilities, typical row", single.low[0], single.high[0], truth[0]
    yield "probabilities, far row", single.low[1], single.high[1], truth[1]
    held = ((joint.low <= truth) & (truth <= joint.high)).all(axis=1).astype(float)
    yield "all classes of the row, simultaneous", held, held, np.ones(2)
    ends = [probabilities(design, W, np.column_stack([X[:, :2], np.full(len(X), z)])).mean(axis=0) for z in (0.0, 1.0)]
    average = found.predictions(grid={2: 1}, others="observed")
    yield "average probabilities", average.low[0], average.high[0], ends[1]
    compared, odds = found.comparisons(2), [p / (1 - p) for p in ends]
    for estimates, true in [
        (compared.difference, ends[1] - ends[0]),
        (compared.ratio, ends[1] / ends[0]),
        (compared.odds_ratio, odds[1] / odds[0]),
    ]:
        yield estimates.what.replace("_", " "), estimates.lower[:, 0], estimates.upper[:, 0], true


def main(samples: int, chosen: str) -> None:
    """Print a line for each kind of interval of each design whose name has `chosen` in it."""
    warnings.simplefilter("ignore")
    for design in (one for one in DESIGNS if chosen in one.name):
        held, left_out = defaultdict[str, list[np.ndarray]](list), 0
        for seed in range(samples):
            random = np.random.default_rng([seed, design.n])
            W = weights(design, random)
            X, y, group = drawn(design, W, random)
            try:
                found = list(intervals(design, W, X, fitted(design, X, y, group)))
            except ValueError:
                left_out += 1
                continue
            for name, low, high, true in found:
                held[name].append((low <= true) & (true <= high))
        print(f"{design.name}: {samples} samples, {left_out} without finite estimates")
        for name, hits in held.items():
            shares = ", ".join(f"{share:.1%}" for share in np.mean(hits, axis=0))
            print(f"  {name:38} {shares}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, sys.argv[2] if len(sys.argv) > 2 else "")
