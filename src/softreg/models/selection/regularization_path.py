"""The path over strengths: where it begins, how it goes on, when it ends, and which point is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softreg.optimize import make_penalty
from softreg.rows import Array, Block, Rows, Sums

TRIVIAL = 0.01
"""At the first strength of an automatic path the weights explain at most this share of the entropy of the labels."""
WORTH = 1e-3
"""A strength is worth a fit if the training loss can fall by this share of the entropy of the labels until there."""
CLEAR = 2e-3
"""The loss has clearly turned if it is above its minimum by one standard error and this share of the entropy."""
LONGEST = 1e-12
"""An automatic path ends at this share of its first strength."""
FINE = 10**0.25 * 1.001
"""Around the chosen strength, neighbours of an automatic path differ by no more than this factor."""


@dataclass(frozen=True, eq=False)
class PathPoint:
    """What cross-validation found at one strength.

    `scores` (K,) of the folds; `mean` over folds, weighted by their rows, and its standard `error`; `log_loss`, the
    mean held-out log loss in nats, whatever the scoring; `gap`, the largest certified gap of the members of the stack,
    in nats; `nonzero` weights of the model of all rows (of the folds' mean, for an l2 penalty); `objective` and
    `penalty`, the mean training objective of the members and what of that is penalty, in nats; `passes` over the rows,
    which points that were fitted together share; `settled`, whether the folds' losses were known well enough before
    `max_iter`; `relaxed`, the share of the l1 part that was left for the fit on the chosen weights, 1 for the elastic
    net itself.
    """

    strength: float
    l1_ratio: float
    scores: Array
    mean: float
    error: float
    log_loss: float
    fold_losses: Array
    gap: float
    nonzero: int
    objective: float
    penalty: float
    passes: int
    settled: bool
    relaxed: float = 1.0


@dataclass(frozen=True, eq=False)
class Path:
    """The points of a path as arrays, from the strongest penalty to the weakest.

    strength, l1_ratio, relaxed, mean, error, log_loss, gap, nonzero: (S,); scores: (S, K). `chosen` is the place of the
    chosen point. `passes` over the rows and `seconds` are those of the whole search, without the final fit (points
    fitted together share their passes); 0 and nan where they are not known. `as_dict()` makes a data frame:
    `pandas.DataFrame(path.as_dict())`.
    """

    scoring: str
    more_is_better: bool
    chosen: int
    strength: Array
    l1_ratio: Array
    relaxed: Array
    scores: Array
    mean: Array
    error: Array
    log_loss: Array
    gap: Array
    nonzero: Array
    passes: int = 0
    seconds: float = float("nan")

    def __len__(self) -> int:
        return len(self.strength)

    def as_dict(self) -> dict[str, Array]:
        """Its columns by name, without the scores of single folds."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = ("strength", "l1_ratio", "relaxed", "mean", "error", "log_loss", "gap", "nonzero")


def make_path(
    points: Sequence[PathPoint], chosen: PathPoint, scoring: str, more: bool, *, passes: int, seconds: float
) -> Path:
    """The path of these points, strongest penalty first; `passes` and `seconds` that the search took."""
    order = sorted(points, key=lambda p: (-p.strength, -p.l1_ratio, -p.relaxed))
    columns = {name: np.array([getattr(p, name) for p in order]) for name in (*COLUMNS, "scores")}
    return Path(scoring, more, order.index(chosen), **columns, passes=passes, seconds=seconds)


# --- where it begins ------------------------------------------------------------------------------------------------


def pull(rows: Rows, q: int, fit_intercept: bool) -> tuple[Array, float]:
    """The gradient (q, d) of the mean loss at weights of zero, and the loss there: the entropy of the labels."""

    def mass(block: Block) -> Sums:
        V = np.ones((1, block.stop - block.start)) if block.weights is None else block.weights
        hard = block.labels.ndim == 1
        return (np.bincount(block.labels, weights=V[0], minlength=q) if hard else V[0] @ block.labels,)

    (total,) = rows.sum(mass)
    given = total / total.sum()
    rates = given if fit_intercept else np.full(q, 1 / q)

    def part(block: Block) -> Sums:
        Y = np.eye(q)[block.labels] if block.labels.ndim == 1 else block.labels
        R = (rates - Y).T
        R = R if block.weights is None else R * block.weights[0]
        return (block.transposed_times(np.ascontiguousarray(R, dtype=rows.dtype)),)

    (G,) = rows.sum(part)
    return np.asarray(G / total.sum()), float(-(given[given > 0] * np.log(rates[given > 0])).sum())


def largest_strength(A: Array, entropy: float, l1_ratio: float, penalty: str = "elasticnet") -> float:
    """The least power of ten at which weights can explain no more than 1% of the entropy of the labels.

    By duality they gain at most the conjugate of the penalty at the gradient A (q, d) of the loss at weights of zero.

    Example:
        >>> print(largest_strength(np.array([[1.0]]), 0.7, 0.0), largest_strength(np.array([[1.0]]), 0.7, 1.0))
        100.0 1.0
    """
    if not A.any():
        return 1.0

    def explains(k: int) -> bool:
        return float(make_penalty(penalty, 10.0**k, l1_ratio).conjugate(A[None])[0]) > TRIVIAL * entropy

    k = 0
    while explains(k):
        k += 1
    while not explains(k - 1):
        k -= 1
    return float(10.0**k)


# --- how it goes on -------------------------------------------------------------------------------------------------


def next_strength(point: PathPoint, entropy: float) -> float:
    """The next strength worth a fit: a tenth, or less where the penalty is so small that a tenth would change nothing.

    Until strength s' the training loss can fall by no more than `penalty * (s / s' - 1)` below its value at s (duality,
    for an l2 penalty; a rule of thumb for l1).
    """
    share = point.penalty / (WORTH * entropy) if entropy > 0 else 0.0
    if point.l1_ratio > 0 and point.nonzero == 0:
        share = 1.0  # l1 still holds all weights at 0
    return rounded(point.strength * min(0.1, share))


def rounded(strength: float) -> float:
    """A strength that a person can read and write again: six digits.

    Example:
        >>> rounded(0.1 * 0.001)
        0.0001
    """
    return float(f"{strength:.6g}")


def has_ended(points: Sequence[PathPoint], entropy: float) -> bool:
    """Whether weaker penalties than the last point's promise nothing: the loss has turned, or nothing is left of it.

    It has turned where it is clearly above its minimum: by the standard error of the difference between folds, or
    where it has also risen since the point before.
    """
    last = points[-1]
    if last.objective <= WORTH * entropy or next_strength(last, entropy) < LONGEST * points[0].strength:
        return True
    best = min(points, key=lambda p: p.log_loss)
    if best is last:
        return False
    margin = last.log_loss - best.log_loss
    rising = points[-2] is not best and last.log_loss > points[-2].log_loss
    return margin > CLEAR * entropy and (rising or margin > _paired_error(last, best))


def _paired_error(a: PathPoint, b: PathPoint) -> float:
    """The standard error of the mean difference of the folds' log losses; nan for a single fold."""
    with np.errstate(invalid="ignore"):
        difference = a.fold_losses - b.fold_losses
    return standard_error(difference, np.ones(len(difference)))[1]


def standard_error(values: Array, weights: Array) -> tuple[float, float]:
    """Weighted mean of the folds' values and its standard error; folds without a value (nan) count nowhere.

    `sqrt(sum w (v - mean)^2 / sum w / (K - 1))`; nan for a single fold.

    Example:
        >>> standard_error(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
        (2.0, 1.0)
    """
    told = (weights > 0) & ~np.isnan(values)
    v, w = values[told], weights[told]
    if len(v) == 0:
        return float("nan"), float("nan")
    mean = float(np.average(v, weights=w))
    if len(v) == 1 or not np.isfinite(mean):
        return mean, float("nan")
    return mean, float(np.sqrt(np.average((v - mean) ** 2, weights=w) / (len(v) - 1)))


def between(points: Sequence[PathPoint], chosen: PathPoint) -> list[float]:
    """Strengths half-way (geometrically) to the neighbours of the chosen point that are far from it."""
    mine = sorted({p.strength for p in points if p.l1_ratio == chosen.l1_ratio})
    at = mine.index(chosen.strength)
    near = mine[max(0, at - 1) : at] + mine[at + 1 : at + 2]
    far = [s for s in near if max(s, chosen.strength) / min(s, chosen.strength) > FINE]
    return sorted((rounded(np.sqrt(s * chosen.strength)) for s in far), reverse=True)


# --- which point is chosen ------------------------------------------------------------------------------------------


def choose(points: Sequence[PathPoint], rule: str, more: bool) -> PathPoint:
    """The point with the best mean score, or by rule "1se" the strongest penalty within one standard error of it.

    Of equals, the strongest penalty; of several shares of the l1 part there, the one with the best mean. A point whose
    scorer gave nan for a fold that others have a score of is not compared with them. Raises `ValueError` where no mean
    is a finite number, or "1se" has one fold only.
    """
    sign = -1.0 if more else 1.0
    judged = ~np.isnan([p.scores for p in points]).all(axis=0)
    told = [p for p in points if np.isfinite(p.mean) and not np.isnan(p.scores[judged]).any()]
    if not told:
        raise ValueError(
            f"no strength has a finite mean score (the first one's is {points[0].mean}), so none can be chosen; look "
            "at the scoring, and at folds that are judged on labels for which their training rows leave no probability."
        )
    best = min(told, key=lambda p: (sign * p.mean, -p.strength, -p.relaxed))
    if rule == "min":
        return best
    if not np.isfinite(best.error):
        raise ValueError("rule='1se' needs the standard error over at least two folds; use more folds, or rule='min'.")
    near = [p for p in told if p.l1_ratio == best.l1_ratio and sign * p.mean <= sign * best.mean + best.error]
    return max(near, key=lambda p: (p.strength, -sign * p.mean, p.relaxed))
