"""The path of strengths: where it starts, how it proceeds, when it ends, and which point is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softreg.models.likelihood.null_model import null_model
from softreg.optimize import WeightTerms, make_penalty
from softreg.optimize.problem.penalty_table import Structure
from softreg.rows import Block, Rows, Sums
from softreg.typing import Array, Float64Array

START_SHARE = 0.01
"""At the first strength of an automatic path the weights explain at most this share of the entropy of the labels."""
MIN_GAIN = 1e-3
"""A strength is fitted only if the training loss can decrease by this share of the entropy until there."""
CLEAR_RISE = 2e-3
"""The held-out loss has turned if it is above its minimum by one standard error and this share of the entropy."""
MIN_STRENGTH_RATIO = 1e-12
"""An automatic path ends at this share of its first strength."""
MAX_STEP = 0.1
"""The next strength is at most this share of the last one."""
REFINED_RATIO = 10**0.25 * 1.001
"""Neighbours of the chosen strength on an automatic path differ by no more than this factor."""


@dataclass(frozen=True, eq=False)
class PathPoint:
    """Results of cross-validation at one penalty.

    Parameters
    ----------
    strength : float
        Strength of the penalty.
    l1_ratio : float
        Share of the l1 part.
    scores : ndarray of shape (K,)
        Score of each fold.
    mean : float
        Mean score of the folds, weighted by their rows.
    error : float
        Standard error of the mean.
    log_loss : float
        Mean held-out log loss in nats, whatever the scoring.
    fold_losses : ndarray of shape (K,)
        Held-out log loss of each fold, in nats.
    gap : float
        Largest certified gap of the members of the stack, in nats.
    nonzero : int
        Weights that are not 0 in the model of all rows, or in the mean of the folds for an l2 penalty.
    objective : float
        Mean training objective of the members, in nats.
    penalty : float
        Part of the objective that is the penalty, in nats.
    passes : int
        Passes over the rows; points that were fitted together share them.
    settled : bool
        Whether the held-out losses of the folds reached their accuracy before `max_iter`.
    relaxed : float
        Share of the l1 part in the fit on the support; 1 for the elastic net itself.

    Examples
    --------
    >>> import softreg
    >>> X, y = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
    >>> points = []
    >>> _ = softreg.SoftmaxRegressionCV([1.0, 0.1], cv=2, verbose=points.append).fit(X, y)
    >>> [(point.strength, len(point.scores)) for point in points]
    [(1.0, 2), (0.1, 2)]
    """

    strength: float
    l1_ratio: float
    scores: Float64Array
    mean: float
    error: float
    log_loss: float
    fold_losses: Float64Array
    gap: float
    nonzero: int
    objective: float
    penalty: float
    passes: int
    settled: bool
    relaxed: float = 1.0


@dataclass(frozen=True, eq=False)
class Path:
    """The S points of a path as arrays, from the strongest penalty to the weakest.

    Parameters
    ----------
    scoring : str
        Name of the score.
    more_is_better : bool
        Whether a larger score is better.
    chosen : int
        Index of the chosen point.
    strength, l1_ratio, relaxed : ndarray of shape (S,)
        The penalty of each point.
    scores : ndarray of shape (S, K)
        Score of each fold.
    mean, error : ndarray of shape (S,)
        Mean score of the folds, weighted by their rows, and its standard error.
    log_loss : ndarray of shape (S,)
        Mean held-out log loss in nats.
    gap : ndarray of shape (S,)
        Largest certified gap of the folds, in nats.
    nonzero : ndarray of int, shape (S,)
        Weights that are not 0.
    passes : int
        Passes over the rows of the whole search, without the final fit; 0 if not known.
    seconds : float
        Time of the search; nan if not known.

    Examples
    --------
    >>> import softreg
    >>> X, y = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
    >>> path = softreg.SoftmaxRegressionCV([1.0, 0.1], cv=2).fit(X, y).path_
    >>> len(path), path.scores.shape, path.strength.tolist()
    (2, (2, 2), [1.0, 0.1])
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
        """Return the columns by name, without the scores of single folds, for `pandas.DataFrame(path.as_dict())`.

        Returns
        -------
        dict of str to ndarray
            Arrays of shape (S,).

        Examples
        --------
        >>> import softreg
        >>> X, y = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
        >>> list(softreg.SoftmaxRegressionCV([1.0, 0.1], cv=2).fit(X, y).path_.as_dict())[:3]
        ['strength', 'l1_ratio', 'relaxed']
        """
        return {name: getattr(self, name) for name in PATH_COLUMNS}


PATH_COLUMNS = ("strength", "l1_ratio", "relaxed", "mean", "error", "log_loss", "gap", "nonzero")
"""Columns of a path that have one number for each point."""


def make_path(
    points: Sequence[PathPoint], chosen: PathPoint, scoring: str, more_is_better: bool, *, passes: int, seconds: float
) -> Path:
    """Return the path of these points, strongest penalty first, with the passes and seconds of the search."""
    ordered = sorted(points, key=lambda p: (-p.strength, -p.l1_ratio, -p.relaxed))
    columns = {name: np.array([getattr(p, name) for p in ordered]) for name in (*PATH_COLUMNS, "scores")}
    return Path(scoring, more_is_better, ordered.index(chosen), **columns, passes=passes, seconds=seconds)


# --- the first strength -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClassMass:
    """The summed label of each class (q,), with the row weights of the first model."""

    q: int

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        V = np.ones((1, block.stop - block.start)) if block.weights is None else block.weights
        hard = block.labels.ndim == 1
        return (np.bincount(block.labels, weights=V[0], minlength=self.q) if hard else V[0] @ block.labels,)


@dataclass(frozen=True, slots=True, eq=False)
class NullGradient:
    """The summed gradient (q, d) of the loss where every row has the probabilities `rates` (q,)."""

    rates: Array

    def evaluate(self, block: Block) -> Sums:
        """Return the sum of one block."""
        Y = np.eye(len(self.rates))[block.labels] if block.labels.ndim == 1 else block.labels
        R = (self.rates - Y).T
        R = R if block.weights is None else R * block.weights[0]
        return (block.transposed_times(np.ascontiguousarray(R, dtype=block.dtype)),)


def null_gradient(rows: Rows, q: int, fit_intercept: bool) -> tuple[Array, float]:
    """Return the gradient and the value of the mean loss at weights of zero.

    Parameters
    ----------
    rows : Rows
        The rows, with their weights.
    q : int
        Number of classes.
    fit_intercept : bool
        Whether the bias predicts the class rates; without it all classes are equally probable.

    Returns
    -------
    A : ndarray of shape (q, d)
        Gradient with respect to the weights.
    entropy : float
        The loss of the intercept-only model: the entropy of the labels, in nats. With an offset, the loss of the model
        with offset and bias alone.
    """
    if rows.has_offset:
        null = null_model(rows, q, fit_intercept)
        return null.gradient, null.loss
    (total,) = rows.sum(ClassMass(q))
    observed = total / total.sum()
    rates = observed if fit_intercept else np.full(q, 1 / q)
    (G,) = rows.sum(NullGradient(rates))
    return np.asarray(G / total.sum()), float(-(observed[observed > 0] * np.log(rates[observed > 0])).sum())


def largest_strength(
    A: Array, entropy: float, l1_ratio: float, penalty: str = "elasticnet", structure: Structure | None = None
) -> float:
    """Return the least power of ten at which the weights explain no more than 1% of the entropy of the labels.

    By duality they decrease the loss by at most the conjugate of the penalty at the gradient A.

    Parameters
    ----------
    A : ndarray of shape (q, d)
        Gradient of the loss at weights of zero.
    entropy : float
        Entropy of the labels, in nats.
    l1_ratio : float
        Share of the l1 part.
    penalty : str
        Name of the penalty.
    structure : WeightTerms or ColumnGroups, optional
        Penalty factors of single weights (weights without penalty do not count, and bounds are left out), or groups of
        columns.

    Returns
    -------
    float
        The first strength of a path.

    Examples
    --------
    >>> print(largest_strength(np.array([[1.0]]), 0.7, 0.0), largest_strength(np.array([[1.0]]), 0.7, 1.0))
    100.0 1.0
    """
    if isinstance(structure, WeightTerms):
        penalised = (structure.l2_factor > 0) & (structure.lower < structure.upper)
        A, structure = np.where(penalised, A, 0.0), structure.unbounded()
    if not A.any():
        return 1.0

    def explains(k: int) -> bool:
        return float(make_penalty(penalty, 10.0**k, l1_ratio, structure).conjugate(A[None])[0]) > START_SHARE * entropy

    k = 0
    while explains(k):
        k += 1
    while not explains(k - 1):
        k -= 1
    return float(10.0**k)


# --- the next strengths -------------------------------------------------------------------------------------------


def next_strength(point: PathPoint, entropy: float) -> float:
    """Return the next strength to fit: a tenth, or less if the training loss can hardly decrease until a tenth."""
    # Down to strength s' the training loss can decrease by at most `penalty * (s / s' - 1)` below its value at s
    # (by duality, for an l2 penalty; a rule of thumb for l1).
    share = point.penalty / (MIN_GAIN * entropy) if entropy > 0 else 0.0
    if point.l1_ratio > 0 and (point.nonzero == 0 or point.penalty == 0):
        share = 1.0  # the l1 part still sets all penalised weights to 0
    return rounded(point.strength * min(MAX_STEP, share))


def rounded(strength: float) -> float:
    """Return a strength rounded to six digits, so that it can be read and typed."""
    return float(f"{strength:.6g}")


def has_ended(points: Sequence[PathPoint], entropy: float) -> bool:
    """Return True if the path can end at the last point: the held-out loss has turned, or the training loss is 0.

    The held-out loss has turned if it is above its minimum by more than the standard error of the difference between
    folds, or if it also increased since the point before.

    Parameters
    ----------
    points : sequence of PathPoint
        Points of one l1_ratio, strongest first.
    entropy : float
        Entropy of the labels, in nats.

    Returns
    -------
    bool
        Whether the path has ended.
    """
    last = points[-1]
    if last.objective <= MIN_GAIN * entropy or next_strength(last, entropy) < MIN_STRENGTH_RATIO * points[0].strength:
        return True
    best = min(points, key=lambda p: p.log_loss)
    if best is last:
        return False
    margin = last.log_loss - best.log_loss
    rising = points[-2] is not best and last.log_loss > points[-2].log_loss
    return margin > CLEAR_RISE * entropy and (rising or margin > _paired_error(last, best))


def _paired_error(a: PathPoint, b: PathPoint) -> float:
    """Return the standard error of the mean difference of the folds' log losses; nan for a single fold."""
    with np.errstate(invalid="ignore"):
        difference = a.fold_losses - b.fold_losses
    return mean_and_error(difference, np.ones(len(difference)))[1]


def mean_and_error(values: Array, weights: Array) -> tuple[float, float]:
    """Return the weighted mean of the folds' values and its standard error.

    The standard error is `sqrt(sum w (v - mean)^2 / sum w / (K - 1))`.

    Parameters
    ----------
    values : ndarray of shape (K,)
        A value for each fold; folds with nan are left out.
    weights : ndarray of shape (K,)
        Weight of the rows of each fold.

    Returns
    -------
    mean, error : float
        Mean and standard error; the latter is nan for a single fold.

    Examples
    --------
    >>> mean_and_error(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    (2.0, 1.0)
    """
    valid = (weights > 0) & ~np.isnan(values)
    v, w = values[valid], weights[valid]
    if len(v) == 0:
        return float("nan"), float("nan")
    mean = float(np.average(v, weights=w))
    if len(v) == 1 or not np.isfinite(mean):
        return mean, float("nan")
    return mean, float(np.sqrt(np.average((v - mean) ** 2, weights=w) / (len(v) - 1)))


def refining_strengths(points: Sequence[PathPoint], chosen: PathPoint) -> list[float]:
    """Return the geometric means of the chosen strength and those of its neighbours that are far from it."""
    curve = sorted({p.strength for p in points if p.l1_ratio == chosen.l1_ratio})
    at = curve.index(chosen.strength)
    neighbours = curve[max(0, at - 1) : at] + curve[at + 1 : at + 2]
    far = [s for s in neighbours if max(s, chosen.strength) / min(s, chosen.strength) > REFINED_RATIO]
    return sorted((rounded(np.sqrt(s * chosen.strength)) for s in far), reverse=True)
