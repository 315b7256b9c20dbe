"""The regularization path: the results of cross-validation at each strength, as records and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from softreg.optimize import FitCost
from softreg.typing import Array, Float64Array


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
    cost : FitCost or None
        Bytes, operations and seconds of the search, without the final fit; None for a model from a file.

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
    cost: FitCost | None = field(default=None, compare=False)

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
    points: Sequence[PathPoint], chosen: PathPoint, scoring: str, more_is_better: bool, *, passes: int, cost: FitCost
) -> Path:
    """Return the path of these points, strongest penalty first, with the passes and the cost of the search."""
    ordered = sorted(points, key=lambda p: (-p.strength, -p.l1_ratio, -p.relaxed))
    columns = {name: np.array([getattr(p, name) for p in ordered]) for name in (*PATH_COLUMNS, "scores")}
    return Path(
        scoring, more_is_better, ordered.index(chosen), **columns, passes=passes, seconds=cost.seconds, cost=cost
    )


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
