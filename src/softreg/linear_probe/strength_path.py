"""Fits at one strength after another, each from the optimum before, with the scores of the held-out rows.

A strength is not a member of a stack here: dense products with hundreds of columns are limited by arithmetic, so that a
stack saves no time, and fits that start at the neighbouring optimum need fewer passes. (12,811 x 384, 1,000 classes,
seven strengths from 1e-2 to 1e-6: 61 passes and 10 s one after another, 94 passes and 14 s each from its own start,
59 s as a stack, which takes nine times the memory.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from softreg.linear_probe.embedding_arrays import Embeddings, column_moments
from softreg.linear_probe.held_out_scores import RowScores, score_rows
from softreg.linear_probe.probe_result import StrengthScores
from softreg.optimize import Solution, l2, minimise
from softreg.rows import DenseRows
from softreg.splits import split_rows, stratified_fold_numbers
from softreg.typing import Array, Codes

COPIED_BYTES = 256 << 20
"""Training rows are copied where all rows take no more bytes than this; otherwise held-out rows have weight 0."""
FIRST_SHARE = 1e-2
"""The first strength of an automatic path, as a share of the mean squared distance of rows from their mean."""
MOST_DECADES = 9
"""Strengths of an automatic path, at most, before those beside the best are added."""
BESIDE = 3.0
"""Factor between the best strength of an automatic path and those that are added beside it."""


@dataclass(frozen=True, eq=False)
class ProbeData:
    """Checked embeddings, codes of their labels, and the number of classes."""

    embeddings: Embeddings
    codes: Codes
    q: int

    def rows(self, weights: Array | None = None) -> DenseRows:
        """Return all rows for a fit, with weights (1, n)."""
        return DenseRows(self.embeddings.X, self.codes, weights, dtype=self.embeddings.dtype)

    def rows_of(self, train: Array) -> DenseRows:
        """Return some of the rows for a fit: a copy, or all rows with weights 0 and 1."""
        X = self.embeddings.X
        if X.nbytes <= COPIED_BYTES:
            return DenseRows(X[train], self.codes[train], dtype=self.embeddings.dtype)
        weights = np.zeros((1, len(X)))
        weights[0, train] = 1.0
        return self.rows(weights)


@dataclass(frozen=True)
class FitOptions:
    """Tolerance in nats, most iterations, and seed of the fits."""

    tol: float
    max_iter: int
    seed: int


@dataclass(frozen=True, eq=False)
class HeldOutPart:
    """Training rows, and the numbers of the rows that are held out from them."""

    rows: DenseRows
    held: Array


def hold_out(data: ProbeData, share: float, folds: int | None, seed: int) -> list[HeldOutPart]:
    """Return the parts of the rows: one that holds out a share, or one for each fold.

    Every class keeps a training row in each part, so a class with a single row is never held out.

    Parameters
    ----------
    data : ProbeData
    share : float
        Share of the rows that are held out; not used with folds.
    folds : int or None
    seed : int

    Returns
    -------
    list of HeldOutPart

    Raises
    ------
    ValueError
        If no row can be held out.
    """
    counts = np.bincount(data.codes, minlength=data.q)
    spare = int((counts - 1).sum())
    if spare == 0:
        raise ValueError(
            "every class has a single row, so no row can be held out to choose the strength; give one strength and a "
            "test set."
        )
    if folds is None:
        split = split_rows(data.codes, min(max(1, round(share * len(data.codes))), spare), seed)
        return [HeldOutPart(data.rows_of(split.train), split.test)]
    fold = stratified_fold_numbers(data.codes, folds, seed)
    fold[counts[data.codes] < 2] = -1
    # consecutive rows of a class are in consecutive folds, so a class with two rows is in two folds
    return [HeldOutPart(data.rows_of(np.flatnonzero(fold != k)), np.flatnonzero(fold == k)) for k in range(folds)]


@dataclass(frozen=True, eq=False)
class PathResult:
    """The strengths with their scores, the index of the chosen one, its fits and the scores of the held-out rows."""

    points: tuple[StrengthScores, ...]
    chosen: int
    parts: tuple[HeldOutPart, ...]
    solutions: tuple[Solution, ...]
    scores: RowScores

    def start(self) -> tuple[Array, Array]:
        """Return the mean W (1, d, q) and b (1, q) of the fits, from which the fit of all rows begins."""
        W = np.mean([solution.W for solution in self.solutions], axis=0)
        return W[None], np.mean([solution.b for solution in self.solutions], axis=0)[None]


def automatic_strengths(X: Array) -> Iterator[float]:
    """Yield the decreasing powers of ten of an automatic path.

    Parameters
    ----------
    X : ndarray of shape (n, d)

    Yields
    ------
    float

    Examples
    --------
    >>> list(automatic_strengths(np.array([[-1.0], [1.0]])))[:3]
    [0.01, 0.001, 0.0001]
    """
    first = FIRST_SHARE * float(column_moments(X)[1].sum())
    exponent = round(np.log10(max(first, np.finfo(np.float64).tiny)))
    for k in range(MOST_DECADES):
        yield float(f"1e{exponent - k}")


def run_path(
    data: ProbeData,
    parts: Sequence[HeldOutPart],
    strengths: Iterable[float],
    options: FitOptions,
    *,
    score: str,
    automatic: bool,
    listener: Callable[[StrengthScores], Any] | None = None,
) -> PathResult:
    """Fit the parts at each strength, and choose the one with the best score of the held-out rows.

    Parameters
    ----------
    data : ProbeData
    parts : sequence of HeldOutPart
    strengths : iterable of float
        Decreasing.
    options : FitOptions
    score : str
        "log_loss" or "accuracy"; of equal scores, the stronger penalty is chosen.
    automatic : bool
        Whether the path ends when the score has turned, and strengths beside the best are added.
    listener : callable, optional
        Receives the scores of each strength.

    Returns
    -------
    PathResult
    """
    search = _Search(data, tuple(parts), options, score, listener)
    for strength in strengths:
        is_better = search.add(strength, search.last)
        if automatic and not is_better:
            break
    if automatic:
        for strength in (search.best.point.strength * BESIDE, search.best.point.strength / BESIDE):
            search.add(float(f"{strength:.0e}"), search.best)
    points = tuple(sorted(search.points, key=lambda point: -point.strength))
    best = search.best
    return PathResult(points, points.index(best.point), search.parts, best.solutions, best.scores)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """The fits of all parts at one strength, and the scores of the held-out rows."""

    point: StrengthScores
    solutions: tuple[Solution, ...]
    scores: RowScores


class _Search:
    """The strengths so far, with the fits of the last and of the best."""

    def __init__(
        self,
        data: ProbeData,
        parts: tuple[HeldOutPart, ...],
        options: FitOptions,
        score: str,
        listener: Callable[[StrengthScores], Any] | None,
    ) -> None:
        self.data, self.parts, self.options, self.score, self.listener = data, parts, options, score, listener
        self.points: list[StrengthScores] = []
        self.last: _Fitted | None = None
        self._best: _Fitted | None = None

    @property
    def best(self) -> _Fitted:
        """The fits with the best score."""
        assert self._best is not None, "add comes first"
        return self._best

    def add(self, strength: float, start: _Fitted | None) -> bool:
        """Fit all parts at a strength, from the optimum of another one; return whether it is the best so far."""
        begin, data = perf_counter(), self.data
        starts = [None] * len(self.parts) if start is None else [(s.W[None], s.b[None]) for s in start.solutions]
        solutions = tuple(
            fit(part.rows, data.q, strength, self.options, at) for part, at in zip(self.parts, starts, strict=True)
        )
        scores = _held_out_scores(data, self.parts, solutions)
        point = StrengthScores.of(strength, scores, solutions, perf_counter() - begin)
        self.points.append(point)
        self.last = _Fitted(point, solutions, scores)
        is_better = self._best is None or point.value(self.score) < self._best.point.value(self.score)
        if is_better:
            self._best = self.last
        if self.listener is not None:
            self.listener(point)
        return is_better


def _held_out_scores(data: ProbeData, parts: Sequence[HeldOutPart], solutions: Sequence[Solution]) -> RowScores:
    """Return the scores of the held-out rows of all parts, one part after another."""
    scores = [
        score_rows(data.embeddings.X, part.held, data.codes[part.held], solution.W, solution.b)
        for part, solution in zip(parts, solutions, strict=True)
    ]
    return RowScores(np.concatenate([s.loss for s in scores]), np.concatenate([s.rank for s in scores]))


def fit(
    rows: DenseRows, q: int, strength: float, options: FitOptions, start: tuple[Array, Array] | None = None
) -> Solution:
    """Return the certified optimum at one strength.

    Parameters
    ----------
    rows : DenseRows
    q : int
        Number of classes.
    strength : float
    options : FitOptions
    start : pair of ndarray, optional
        W (1, d, q) and b (1, q) to begin with.

    Returns
    -------
    Solution
    """
    (solution,) = minimise(
        rows, q, l2(strength), tol=options.tol, max_iter=options.max_iter, seed=options.seed, start=start
    )
    return solution
