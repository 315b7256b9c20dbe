"""How often 95% intervals of statistics hold the truth in small samples: `make bench PROBLEM=coverage`.

Two classes, a normal column and a column of zeros and ones, labels drawn from known probabilities. The truth of an
effect is its mean over the rows of the sample at the true weights. Samples whose classes are separated have no finite
estimates without a penalty: they are left out, and their number is printed.

    python benchmarks/coverage.py [SAMPLES [DESIGN]]
"""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from softreg import SoftmaxRegression, bootstrap, infer

WEIGHTS = np.array([0.8, 0.7])
"""Of the normal column and of the column of zeros and ones."""


@dataclass(frozen=True)
class Design:
    """A way to draw samples: rows, intercept (rare events where it is low), clusters, a square that is not fitted."""

    name: str
    n: int
    intercept: float = 0.0
    clusters: int = 0
    square: float = 0.0


DESIGNS = (
    Design("50 rows", 50),
    Design("200 rows", 200),
    Design("200 rows, 5% events", 200, intercept=-3.6),
    Design("1,000 rows, 5% events", 1000, intercept=-3.6),
    Design("300 rows, a square left out", 300, square=0.7),
    Design("300 rows in 10 clusters", 300, clusters=10),
    Design("300 rows in 60 clusters", 300, clusters=60),
)


def logistic(o: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-o)))


def drawn(design: Design, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns (n, 2), labels (n,) and clusters (n,). Of clusters, the normal column and an effect are shared."""
    group = np.arange(design.n) % max(1, design.clusters or design.n)
    own = random.normal(size=design.n)
    X = np.column_stack([own, random.random(design.n) < 0.4]).astype(float)
    o = design.intercept + X @ WEIGHTS + design.square * X[:, 0] ** 2
    if design.clusters:
        X[:, 0] = random.normal(size=design.clusters)[group]
        o = design.intercept + X @ WEIGHTS + random.normal(size=design.clusters)[group]
    return X, (random.random(design.n) < logistic(o)).astype(int), group


def truth(design: Design) -> np.ndarray:
    """Intercept and weights (3,) of the best fit to the population, which are the true ones where the form is right."""
    if not (design.square or design.clusters):
        return np.array([design.intercept, *WEIGHTS])
    large = Design("", 400_000, design.intercept, 400_000 if design.clusters else 0, design.square)
    X, y, _ = drawn(large, np.random.default_rng(0))
    model = SoftmaxRegression(penalty=None).fit(X, y)
    return np.array([model.intercept_[1] - model.intercept_[0], *(model.coef_[1] - model.coef_[0])])


def effects(X: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """The average marginal effects (2,) on the second class at these weights: a slope, and a difference."""
    p = logistic(theta[0] + X @ theta[1:])
    ends = [logistic(theta[0] + X[:, 0] * theta[1] + value * theta[2]).mean() for value in (0, 1)]
    return np.array([(p * (1 - p)).mean() * theta[1], ends[1] - ends[0]])


Interval = tuple[str, np.ndarray, np.ndarray, np.ndarray]
"""What it is of, lower and upper ends (k,), and the truth (k,)."""


def intervals(design: Design, X: np.ndarray, y: np.ndarray, group: np.ndarray, theta: np.ndarray) -> Iterator[Interval]:
    """Those of all kinds from one sample; raises `ValueError` where its classes are separated."""
    model = SoftmaxRegression(penalty=None).fit(X, y)
    kinds = {"model-based": {}, "robust": {"errors": "robust"}}
    if design.clusters:
        kinds["clustered"] = {"clusters": group}
    for name, settings in kinds.items():
        found = infer(model, X, y, **settings)
        weights, effect = found.coefficients, found.effects()
        yield f"weights, {name}", weights.lower[0], weights.upper[0], theta
        yield f"effects, {name}", effect.lower[1], effect.upper[1], effects(X, theta)
    if design.square or design.clusters:
        return
    profile = infer(model, X, y).profile()
    yield "weights, profile", profile.lower[0], profile.upper[0], theta
    firth = infer(SoftmaxRegression(penalty="firth").fit(X, y), X, y)
    yield "weights, Firth, Wald", firth.coefficients.lower[0], firth.coefficients.upper[0], theta
    profile = firth.profile()
    yield "weights, Firth, profile", profile.lower[0], profile.upper[0], theta
    if design.n <= 200 and not design.intercept:
        draws = bootstrap(SoftmaxRegression(1e-3).fit(X, y), X, y, 100, random_state=0)
        low, high = np.quantile(draws.coef[:, 1] - draws.coef[:, 0], [0.025, 0.975], axis=0)
        yield "weights, bootstrap at strength 1e-3", low, high, theta[1:]


def main(samples: int, chosen: str) -> None:
    """Print a line for each kind of interval of each design whose name has `chosen` in it."""
    warnings.simplefilter("ignore")
    for design in (one for one in DESIGNS if chosen in one.name):
        theta, held = truth(design), defaultdict[str, list[np.ndarray]](list)
        separated = 0
        for seed in range(samples):
            X, y, group = drawn(design, np.random.default_rng([seed, design.n]))
            try:
                found = list(intervals(design, X, y, group, theta))
            except ValueError:
                separated += 1
                continue
            for name, low, high, true in found:
                held[name].append((low <= true) & (true <= high))
        print(f"{design.name}: {samples} samples, {separated} separated")
        for name, hits in held.items():
            shares = ", ".join(f"{share:.1%}" for share in np.mean(hits, axis=0))
            print(f"  {name:38} {shares}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, sys.argv[2] if len(sys.argv) > 2 else "")
