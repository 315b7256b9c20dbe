"""How often 95% intervals of `table_statistics` contain the truth: `make bench PROBLEM=coverage_statistics`.

Two classes, a normal column and one of zeros and ones, labels drawn from known probabilities. The designs are small
samples and rare events with penalty="auto" (separated samples have Firth's estimates and count), samples drawn with
unequal probabilities and sampling weights, and effects of variables of a formula with an interaction. The truth of an
effect is its mean over the population.

    python benchmarks/coverage_statistics.py [SAMPLES [DESIGN]]
"""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from softreg import table_statistics

WEIGHTS = np.array([0.8, 0.7, 0.5])
"""Of the normal column, of the boolean, and of their product (where a formula has it)."""
POPULATION = 400_000


@dataclass(frozen=True)
class Design:
    """A way to draw samples: rows, intercept (rare events where it is low), and what is fitted."""

    name: str
    n: int
    intercept: float = 0.0
    product: bool = False
    sampled: bool = False


DESIGNS = (
    Design("40 rows, auto", 40),
    Design("200 rows, 5% events, auto", 200, intercept=-3.6),
    Design("100 rows, interaction, formula", 100, product=True),
    Design("400 rows, interaction, formula", 400, product=True),
    Design("300 rows, sampling weights", 300, sampled=True),
    Design("1,000 rows, sampling weights", 1000, sampled=True),
)


def logistic(o: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-o)))


def logits(design: Design, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    bend = 0.6 * x**2 if design.sampled else 0.0  # not fitted: then weights matter
    return design.intercept + WEIGHTS[0] * x + WEIGHTS[1] * z + design.product * WEIGHTS[2] * x * z + bend


def drawn(design: Design, n: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Columns of n rows; of a sampled design, rows are drawn with a probability that depends on x and the label."""
    many = 8 * n if design.sampled else n
    x, z = random.normal(size=many), (random.random(many) < 0.4) * 1.0
    y = random.random(many) < logistic(logits(design, x, z))
    share = np.clip(0.15 + 0.3 * y + 0.3 * (x > 0.5), 0, 1) if design.sampled else np.ones(many)
    kept = np.flatnonzero(random.random(many) < share)[:n] if design.sampled else np.arange(n)
    return {"x": x[kept], "z": z[kept], "y": np.where(y[kept], "yes", "no"), "w": 1 / share[kept]}


def truth(design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the best fit to the population, and its effects: of x per unit, of z from 0 to 1."""
    random = np.random.default_rng(0)
    x, z = random.normal(size=POPULATION), (random.random(POPULATION) < 0.4) * 1.0
    theta = np.array([design.intercept, *WEIGHTS[: 2 + design.product]])
    if design.sampled:
        y = np.where(random.random(POPULATION) < logistic(logits(design, x, z)), "yes", "no")
        theta = table_statistics(pa.table({"x": x, "z": z, "y": y}), "y").inference.coefficients.estimate[0]
    cross = theta[3] if design.product else 0.0
    p = logistic(theta[0] + theta[1] * x + theta[2] * z + cross * x * z)
    ends = [logistic(theta[0] + theta[1] * x + (theta[2] + cross * x) * value).mean() for value in (0.0, 1.0)]
    return theta, np.array([(p * (1 - p) * (theta[1] + cross * z)).mean(), ends[1] - ends[0]])


Interval = tuple[str, np.ndarray, np.ndarray, np.ndarray]
"""What it is of, lower and upper ends (k,), and the truth (k,)."""


def intervals(design: Design, table: pa.Table, theta: np.ndarray, effect: np.ndarray) -> Iterator[Interval]:
    """The intervals of all kinds from one sample."""
    settings: dict[str, Any] = {"drop": ["w"]}
    if design.sampled:
        settings = {"weights": "w", "weight_kind": "sampling"}
    if design.product:
        settings = {"formula": "y ~ x * z"}
    found = table_statistics(table, "y", **settings)
    w, e = found.coefficients(), found.effects()
    yield "coefficients", w.lower[0], w.upper[0], theta
    yield "ratios", found.ratios().lower[0], found.ratios().upper[0], np.exp(theta[1:])
    yield "effects", e.lower[1], e.upper[1], effect
    if design.sampled:
        plain = table_statistics(table, "y", drop=["w"])
        w, e = plain.coefficients(), plain.effects()
        yield "coefficients, weights ignored", w.lower[0], w.upper[0], theta
        counts = table_statistics(table, "y", weights="w", weight_kind="frequency").coefficients()
        yield "coefficients, taken for frequencies", counts.lower[0], counts.upper[0], theta


def main(samples: int, chosen: str) -> None:
    """Print a line for each kind of interval of each design whose name has `chosen` in it."""
    warnings.simplefilter("ignore")
    for design in (one for one in DESIGNS if chosen in one.name):
        (theta, effect), held = truth(design), defaultdict[str, list[np.ndarray]](list)
        for seed in range(samples):
            table = pa.table(drawn(design, design.n, np.random.default_rng([seed, design.n])))
            for name, low, high, true in intervals(design, table, theta, effect):
                held[name].append((low <= true) & (true <= high))
        print(f"{design.name}: {samples} samples")
        for name, hits in held.items():
            shares = ", ".join(f"{share:.1%}" for share in np.mean(hits, axis=0))
            print(f"  {name:38} {shares}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, sys.argv[2] if len(sys.argv) > 2 else "")
