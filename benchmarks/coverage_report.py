"""How often each 95% interval of the report and of `bootstrap` holds the truth: `make bench PROBLEM=coverage_report`.

Five designs, n = 50, 200 and 1,000 rows: two classes at an accuracy of 80%; of 99.7%; logits of the t distribution
with 3 degrees of freedom, doubled in the prediction (a heavy-tailed log loss); ten classes of unequal rates; and 5%
events. The truth is that of 200,000 rows, over all labels where that can be computed. The calibration gap is a
gain by a recalibration that n rows fit: its truth is the mean over the samples. The calibration error is that of bins
of neighbouring probabilities, of which many rows fill more than n rows do: its truth is the root of the mean debiased
squared error of the samples, and 0 where the probabilities are right. "cannot tell" is the share of samples whose gap
has no lower end, as mistakes are few.

    python benchmarks/coverage_report.py [SAMPLES [PART [DESIGN]]]    PART: scores, ranking, bootstrap, columns
"""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from intervals import LEAST, labels, scale_of, scores

from softreg import SoftmaxRegression, bootstrap
from softreg.models import added_on_rows
from softreg.probability import operating_point, softmax
from softreg.report import audit
from softreg.report.evaluation.roc_and_precision_recall import GRID, discrimination
from softreg.report.page.calibration_assessment import calibration_error
from softreg.report.page.column_tables import removal_interval
from softreg.report.page.evaluation_record import evaluation_record

ROWS = (50, 200, 1000)
POPULATION = 200_000
TINY = 1e-12
"""Rounding error of an end."""
LEAST_ROWS = 2
"""Rows of a class and of the others from which the report draws its curves."""
RARE = -3.6
"""Intercept of 5% events."""
WEIGHTS = np.array([0.8, -0.5, 0.0])
Interval = tuple[float, float, float]
Truth = dict[str, float]


@dataclass(frozen=True)
class Design:
    """A way to draw logits (n, q) of the truth, and the factor of the predicted ones."""

    name: str
    q: int
    draw: Callable[[np.random.Generator, int], np.ndarray]
    factor: float = 1.0

    def sample(self, random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true probabilities of n rows."""
        o = self.draw(random, n)
        return np.maximum(softmax(self.factor * o), LEAST), np.maximum(softmax(o), LEAST)


def normal(accuracy: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    scale = scale_of(accuracy, 2)
    return lambda random, n: scale * random.normal(size=(n, 2))


def events(random: np.random.Generator, n: int) -> np.ndarray:
    return np.stack([np.zeros(n), RARE + 1.2 * random.normal(size=n)], axis=1)


DESIGNS = (
    Design("2 classes, accuracy 80%", 2, normal(0.8)),
    Design("2 classes, accuracy 99.7%", 2, normal(0.997)),
    Design("heavy-tailed log loss", 2, lambda random, n: 3.0 * random.standard_t(3, size=(n, 2)), factor=2.0),
    Design(
        "10 classes, unequal rates", 10, lambda random, n: np.linspace(2, -2, 10) + 1.5 * random.normal(size=(n, 10))
    ),
    Design("5% events", 2, events),
)


def cost_of(q: int) -> np.ndarray:
    """Costs of a missed second class five times those of other mistakes."""
    cost = 1.0 - np.eye(q)
    cost[1] *= 5
    return cost


def score_truth(design: Design, P: np.ndarray, truth: np.ndarray) -> Truth:
    at, top = np.arange(len(P)), P.argmax(axis=1)
    rates = truth.mean(axis=0)
    loss = float((truth * scores(P, "log loss")).sum(axis=1).mean())
    decided = (P @ cost_of(design.q)).argmin(axis=1)
    return {
        "accuracy": float(truth[at, top].mean()),
        "log loss": loss,
        "Brier score": float((truth * scores(P, "Brier")).sum(axis=1).mean()),
        "skill": 1 - loss / float(-(rates @ np.log(rates))),
        "cost of decisions": float((truth * cost_of(design.q)[:, decided].T).sum(axis=1).mean()),
    }


def score_intervals(design: Design, P: np.ndarray, y: np.ndarray) -> tuple[dict[str, Interval], float]:
    """Intervals, and the debiased squared calibration error."""
    found = audit(P, y, range(design.q))
    c = found.calibration
    square = c.check.error / 2 if design.q == 2 else c.check.top_error
    paid = operating_point(P, y, cost_of(design.q)).paid
    named = {
        "accuracy": c.accuracy, "log loss": c.log_loss, "Brier score": c.brier, "skill": c.skill,
        "calibration gap": c.gap, "Brier gap": c.brier_gap, "calibration error": calibration_error(c, design.q),
        "cost of decisions": paid,
    }  # fmt: skip
    return {name: (one.low, one.value, one.high) for name, one in named.items()}, square


def run_scores(design: Design, n: int, samples: int) -> dict[str, list[bool]]:
    random = np.random.default_rng([n, design.q, 1])
    true = score_truth(design, *design.sample(np.random.default_rng(7), POPULATION))
    ends = defaultdict[str, list[Interval]](list)
    squares = list[float]()
    for _ in range(samples):
        P, truth = design.sample(random, n)
        found, square = score_intervals(design, P, labels(random, truth))
        squares.append(square)
        for name, end in found.items():
            ends[name].append(end)
    true["calibration error"] = 0.0 if design.factor == 1 else float(np.sqrt(max(np.mean(squares), 0.0)))
    for name in ("calibration gap", "Brier gap"):
        true[name] = float(np.mean([value for _, value, _ in ends[name]]))
    held = {name: [low - TINY <= true[name] <= high + TINY for low, _, high in found] for name, found in ends.items()}
    for name in ("calibration gap", "Brier gap"):  # without those that say that they cannot tell
        told = [np.isfinite(low) for low, _, _ in ends[name]]
        held[name] = [one for one, known in zip(held[name], told, strict=True) if known]
    return held | {"calibration gap, cannot tell": [not known for known in told]}


def run_ranking(design: Design, n: int, samples: int) -> dict[str, list[bool]]:
    """AUC and average precision of the second class, curves at three places, and observed frequencies of the bins."""
    random = np.random.default_rng([n, design.q, 2])
    P, truth = design.sample(np.random.default_rng(7), POPULATION)
    large = discrimination(P[:, 1], labels(np.random.default_rng(8), truth) == 1)
    edges = np.arange(11) / 10
    bins = np.minimum(np.searchsorted(edges, P[:, 1], side="right") - 1, 9)
    frequency = np.bincount(bins, truth[:, 1], minlength=10) / np.maximum(np.bincount(bins, minlength=10), 1)
    places = [int(np.argmin(np.abs(GRID - x))) for x in (0.1, 0.5, 0.9)]
    tpr = np.interp(GRID, large.fpr, large.tpr)
    precision = large.precision[np.minimum(np.searchsorted(large.recall, GRID - 1e-9), len(large.recall) - 1)]
    held = defaultdict[str, list[bool]](list)
    for _ in range(samples):
        P, truth = design.sample(random, n)
        y = labels(random, truth)
        if not LEAST_ROWS <= (y == 1).sum() <= n - LEAST_ROWS:
            continue
        one = discrimination(P[:, 1], y == 1)
        held["AUC"].append(one.auc.low <= large.auc.value <= one.auc.high)
        held["average precision"].append(
            one.average_precision.low <= large.average_precision.value <= one.average_precision.high
        )
        for place in places:
            held["ROC band"].append(one.tpr_band[0, place] <= tpr[place] <= one.tpr_band[1, place])
            held["precision band"].append(
                one.precision_band[0, place] <= precision[place] <= one.precision_band[1, place]
            )
        record = evaluation_record(audit(P, y, range(design.q)), training_rows=0)
        curve = next((c for c in record.reliability if str(c.label) == "1"), None)
        for b in curve.bins if curve else ():
            held["frequency of a bin"].append(b.low <= frequency[round(b.lower * 10)] <= b.high)
    return held


@dataclass(frozen=True)
class Regression:
    """A way to draw three columns and labels: classes, intercepts, a factor of the weights, and the columns."""

    name: str
    intercepts: tuple[float, ...]
    factor: float = 1.0
    skewed: bool = False

    def sample(self, random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        X = random.normal(size=(n, 3))
        if self.skewed:
            X[:, 0] = np.exp(X[:, 0])
        q = len(self.intercepts)
        W = self.factor * np.outer(WEIGHTS, np.linspace(-1, 1, q)) * (2 if q > 2 else 1)
        return X, (np.array(self.intercepts) + X @ W + random.gumbel(size=(n, q))).argmax(axis=1)


REGRESSIONS = (
    Regression("2 classes", (0.0, 0.0)),
    Regression("2 classes, accuracy 97%", (0.0, 0.0), factor=12.0),
    Regression("2 classes, a skewed column", (0.5, -0.5), skewed=True),
    Regression("3 classes, unequal rates", (1.0, 0.0, -1.0)),
    Regression("5% events", (0.0, -3.6)),
)
STRENGTH = 1e-3
POINTS = np.array([[0.0, 0.0, 0.0], [2.0, -1.0, 1.0]])
"""Rows whose probabilities have intervals."""


def run_bootstrap(design: Regression, n: int, samples: int) -> dict[str, list[bool]]:
    """Weights and probabilities; the truth is that of the same penalised fit of many rows."""
    random, q = np.random.default_rng([n, len(design.intercepts), 3]), len(design.intercepts)
    large = SoftmaxRegression(strength=STRENGTH, tol=1e-9).fit(*design.sample(np.random.default_rng(7), POPULATION))
    held = defaultdict[str, list[bool]](list)
    for seed in range(samples):
        X, y = design.sample(random, n)
        if len(np.unique(y)) < q or np.bincount(y).min() < LEAST_ROWS:
            continue
        found = bootstrap(SoftmaxRegression(strength=STRENGTH).fit(X, y), X, y, 200, random_state=seed)
        low, high = found.coef_interval()
        held["coefficients"] += ((low <= large.coef_) & (large.coef_ <= high))[-1].tolist()
        low, high = found.proba_interval(POINTS)
        inside = (low <= large.predict_proba(POINTS)) & (large.predict_proba(POINTS) <= high)
        held["probabilities, typical row"].append(bool(inside[0, -1]))
        held["probabilities, far row"].append(bool(inside[1, -1]))
    return held


def run_columns(design: Regression, n: int, samples: int) -> dict[str, list[bool]]:
    """Cost of removing a column, by a model of 500 rows that is evaluated on n others."""
    random = np.random.default_rng([n, len(design.intercepts), 4])
    X, y = design.sample(np.random.default_rng(8), 500)
    groups = {"first": [0], "noise": [2]}
    large = added_on_rows(X, y, *design.sample(np.random.default_rng(7), POPULATION), groups)
    held = defaultdict[str, list[bool]](list)
    for _ in range(samples):
        for one, true in zip(added_on_rows(X, y, *design.sample(random, n), groups), large, strict=True):
            low, high = removal_interval(one)
            held[f"cost of removing, {one.name}"].append(low <= true.nats <= high)
    return held


PARTS = {
    "scores": (run_scores, DESIGNS),
    "ranking": (run_ranking, DESIGNS),
    "bootstrap": (run_bootstrap, REGRESSIONS),
    "columns": (run_columns, REGRESSIONS),
}


def table(part: str, samples: int, chosen: str) -> Iterator[str]:
    """Yield the lines of a table: for each design and interval, the share at each number of rows."""
    run, designs = PARTS[part]
    for design in designs:
        if chosen not in design.name:
            continue
        found = [run(design, n, samples) for n in ROWS]
        for name in dict.fromkeys(name for one in found for name in one):
            cells = [f"{np.mean(one[name]):.1%}" if len(one.get(name, [])) >= samples / 10 else "–" for one in found]
            yield f"| {design.name} | {name} | {' | '.join(cells)} |"


def main(samples: int, chosen: str = "", design: str = "") -> None:
    """Print the share of samples whose interval contains the truth."""
    warnings.simplefilter("ignore")
    for part in (name for name in PARTS if chosen in name):
        print(f"\n| design | interval | {' | '.join(f'n = {n:,}' for n in ROWS)} |\n| --- | --- | --- | --- | --- |")
        for line in table(part, samples, design):
            print(line, flush=True)
    print(f"\nStandard error of a share of 95% in {samples} samples: {np.sqrt(0.95 * 0.05 / samples):.1%}.")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400, *sys.argv[2:4])
