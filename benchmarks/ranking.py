"""How often the 95% intervals of the report hold the truth, and the size of its test: `make bench PROBLEM=ranking`.

Scores are normal, of unit variance, shifted by `shift` for positives. The truth is that of 2,000,000 rows. Bands are
compared with the curve at 0.1, 0.2, ..., 0.9 of their axis. Costs of removal are those of the two models as fitted, on
new rows. The size of the test of a straight line is the share of samples, of models that are linear, in which its
p-value is at most 0.05; `any` is that of the least corrected one.

    python benchmarks/ranking.py [SAMPLES]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from softreg import SoftmaxRegression
from softreg.models import added_on_rows, linearity_tests
from softreg.probability import softmax
from softreg.report.evaluation.roc_and_precision_recall import GRID, Discrimination, discrimination
from softreg.report.page.column_tables import removal_interval

AT = np.arange(5, 50, 5)
"""Places of the grid at which bands are judged: 0.1, 0.2, ..., 0.9."""


@dataclass(frozen=True)
class Design:
    """Rows, share of positives, shift of their scores, and rows of each group that share half of the variance."""

    n: int
    share: float
    shift: float
    together: int = 1


DESIGNS = (
    Design(60, 0.5, 1.0), Design(100, 0.1, 1.5), Design(263, 0.4, 1.2), Design(1000, 0.1, 2.0), Design(1000, 0.01, 2.0),
    Design(100, 0.5, 4.0), Design(500, 0.3, 1.0, together=5),
)  # fmt: skip


def drawn(
    design: Design, random: np.random.Generator, n: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, labels and groups; rows of a group share their label and half of the variance of the score."""
    n = n or design.n
    group = np.arange(n) // design.together
    y = (random.random(n) < design.share)[group]
    x = random.normal(size=n)
    if design.together > 1:
        x = (x + random.normal(size=n)[group]) / np.sqrt(2)
    return x + design.shift * y, y, group


def precision_at(found: Discrimination) -> np.ndarray:
    return found.precision[np.minimum(np.searchsorted(found.recall, GRID[AT] - 1e-12), len(found.recall) - 1)]


def of_curves(samples: int) -> None:
    print(
        f"{'rows':>6} {'share':>6} {'shift':>6} {'groups of':>9} | {'AUC':>6} {'AP':>6} {'ROC band':>9} {'PR band':>8}"
    )
    for design in DESIGNS:
        random = np.random.default_rng(0)
        x, y, _ = drawn(design, random, 2_000_000)
        whole = discrimination(x, y)
        tpr, precision = np.interp(GRID[AT], whole.fpr, whole.tpr), precision_at(whole)
        held = []
        while len(held) < samples:
            x, y, group = drawn(design, random)
            if not 2 <= y.sum() <= len(y) - 2:
                continue
            found = discrimination(x, y, groups=group if design.together > 1 else None)
            areas = [(found.auc, whole.auc), (found.average_precision, whole.average_precision)]
            bands = [(found.tpr_band[:, AT], tpr), (found.precision_band[:, AT], precision)]
            held.append(
                [one.low <= true.value <= one.high for one, true in areas]
                + [((band[0] <= true) & (true <= band[1])).mean() for band, true in bands]
            )
        shown = " ".join(
            f"{share:{width}.1%}" for share, width in zip(np.mean(held, axis=0), (6, 6, 9, 8), strict=True)
        )
        print(f"{design.n:6} {design.share:6} {design.shift:6} {design.together:9} | {shown}", flush=True)


def made(n: int, q: int, random: np.random.Generator, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    X = random.normal(size=(n, len(W)))
    X[:, 0] = np.exp(0.6 * X[:, 0]) - np.exp(0.18)
    X[:, 1] += X[:, 2]
    return X, np.minimum((softmax(X @ W).cumsum(axis=1) < random.random((n, 1))).sum(axis=1), q - 1)


def column_options(samples: int) -> None:
    print(f"\n{'rows':>6} {'columns':>7} {'classes':>7} {'strength':>8} | {'removal':>8} {'size':>6} {'any':>6}")
    for n, d, q, strength in ((300, 4, 2, 0.01), (1000, 6, 2, 0.1), (600, 4, 3, 0.01), (3000, 8, 4, 0.001)):
        random = np.random.default_rng(0)
        W = random.normal(size=(d, q)) / 2
        far, y_far = made(100_000, q, random, W)
        groups = {str(j): [j] for j in range(d)}
        held, rejected, least = [], [], []
        for _ in range(samples):
            X, y = made(n, q, random, W)
            new, y_new = made(n // 4, q, random, W)
            model = SoftmaxRegression(strength=strength, tol=1e-6)
            costs, true = (added_on_rows(X, y, *rows, {"0": [0]}, model=model) for rows in ((new, y_new), (far, y_far)))
            low, high = removal_interval(costs[0])
            held.append(low <= true[0].nats <= high)
            tests = linearity_tests(X, y, model.fit(X, y).predict_proba(X), {name: j[0] for name, j in groups.items()})
            rejected += [test.p_value <= 0.05 for test in tests]
            least.append(min(test.corrected for test in tests) <= 0.05)
        shares = f"{np.mean(held):8.1%} {np.mean(rejected):6.1%} {np.mean(least):6.1%}"
        print(f"{n:6} {d:7} {q:7} {strength:8} | {shares}", flush=True)


if __name__ == "__main__":
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    of_curves(samples)
    column_options(max(samples // 5, 50))
