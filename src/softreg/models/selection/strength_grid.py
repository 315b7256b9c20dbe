"""The strengths that cross-validation tries: the largest, each next one, the end of the path, and the refining ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softreg.models.likelihood.null_model import null_model
from softreg.models.selection.regularization_path import PathPoint, mean_and_error
from softreg.optimize import WeightTerms, make_penalty
from softreg.optimize.problem.penalty_table import Structure
from softreg.rows import Block, Rows, Sums
from softreg.typing import Array

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


def refining_strengths(points: Sequence[PathPoint], chosen: PathPoint) -> list[float]:
    """Return the geometric means of the chosen strength and those of its neighbours that are far from it."""
    curve = sorted({p.strength for p in points if p.l1_ratio == chosen.l1_ratio})
    at = curve.index(chosen.strength)
    neighbours = curve[max(0, at - 1) : at] + curve[at + 1 : at + 2]
    far = [s for s in neighbours if max(s, chosen.strength) / min(s, chosen.strength) > REFINED_RATIO]
    return sorted((rounded(np.sqrt(s * chosen.strength)) for s in far), reverse=True)
