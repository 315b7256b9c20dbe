"""Running standardised coordinates for rows that arrive batch by batch, and the state that mini-batch training keeps.

Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance, for the moments of merged batches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.rows import Array

GROWTH = 100.0
"""A column that grows this many times wider within a batch is learned anew: its old weight would rule every logit."""
NARROWEST = 1e-280
"""A column with less spread counts as constant: its weights would overflow."""


@dataclass(frozen=True)
class State:
    """Where a model stands between batches: all that must be kept to go on."""

    W: Array
    """Weights (d, q) of the user's columns."""
    b: Array
    """Bias (q,)."""
    mean: Array
    """Mean (d,) of each column, over the rows seen so far by weight."""
    spread: Array
    """Standard deviation (d,) of each column, likewise; 0 for a column that has not varied."""
    weight: float = 0.0
    """Sum of the weights of the rows seen."""
    rows: int = 0
    """How many rows were seen."""
    steps: int = 0
    """How many batches the weights have been moved by."""


def begin(d: int, q: int) -> State:
    """The state before any row was seen: all weights 0, every class equally probable.

    Example:
        >>> begin(2, 3).W.shape
        (2, 3)
    """
    return State(np.zeros((d, q)), np.zeros(q), np.zeros(d), np.zeros(d))


def observe(state: State, X: Any, V: Array, fit_intercept: bool = True) -> State:
    """The state with these rows' moments merged in; the weights change only where a column bursts its old bounds.

    Sums are taken relative to the mean so far and in units of each column's size, so neither huge numbers nor many
    rows overflow or cancel, and a column that never varies has spread exactly 0.

    Example:
        >>> observe(begin(1, 2), np.array([[1e200], [3e200]]), np.ones(2)).spread
        array([1.e+200])
    """
    mass = float(V.sum())
    if mass == 0:
        return replace(state, rows=state.rows + len(V))
    mean, spread = _batch_moments(X, V / mass, state.mean if state.weight > 0 else _first_row(X))
    if state.weight > 0:
        share = mass / (state.weight + mass)
        half = mean / 2 - state.mean / 2  # the difference itself could overflow
        mean = state.mean + half * share + half * share
        between = 2 * np.sqrt(share * (1 - share)) * np.abs(half)
        spread = np.hypot(np.hypot(state.spread * np.sqrt(1 - share), spread * np.sqrt(share)), between)
    old, new = np.hypot(state.spread, state.mean), np.hypot(spread, mean)
    W, b = state.W, state.b
    if (burst := (old > 0) & (new / GROWTH > old)).any():  # weights from elsewhere may meet columns never seen
        W = np.where(burst, old / (np.where(burst, new, GROWTH) / GROWTH), 1.0)[:, None] * W
        b = b + state.mean @ (state.W - W) if fit_intercept else b
    return State(W, b, mean, spread, state.weight + mass, state.rows + len(V), state.steps)


def _batch_moments(X: Any, share: Array, origin: Array) -> tuple[Array, Array]:
    """Mean and standard deviation (d,) of the columns, by sums relative to `origin`; the rows' shares sum to 1."""
    size = abs(X).max(axis=0)
    size = size.toarray().ravel() if sp.issparse(size) else size
    unit = np.ldexp(1.0, np.frexp(np.maximum(size, np.abs(origin)))[1] - 1)  # a power of two: dividing by it is exact
    zero = -origin / unit
    if not sp.issparse(X):
        away = X.astype(np.float64) / unit + zero
        first = share @ away
        second = share @ (away - first) ** 2
        return unit * (first - zero), unit * np.sqrt(second)
    d, columns, share = X.shape[1], X.indices, np.repeat(share, np.diff(X.indptr))
    full = np.bincount(columns, minlength=d) == X.shape[0]
    rest = np.where(full, 0.0, np.maximum(0.0, 1.0 - np.bincount(columns, weights=share, minlength=d)))
    away = X.data.astype(np.float64) / unit[columns] + zero[columns]
    first = np.bincount(columns, weights=share * away, minlength=d) + rest * zero
    second = (
        np.bincount(columns, weights=share * (away - first[columns]) ** 2, minlength=d) + rest * (zero - first) ** 2
    )
    return unit * (first - zero), unit * np.sqrt(second)


def _first_row(X: Any) -> Array:
    row = X[[0]].toarray()[0] if sp.issparse(X) else X[0]
    return np.asarray(row, dtype=np.float64)


def coordinates(state: State, fit_intercept: bool) -> tuple[Array, Array, Array]:
    """Centre and scale of the standardised columns, and which of them vary; without a bias nothing is centred."""
    size = state.spread if fit_intercept else np.hypot(state.spread, state.mean)
    varies = size > NARROWEST
    return state.mean if fit_intercept else np.zeros_like(size), np.where(varies, size, 1.0), varies


def standardised(X: Any, centre: Array, scale: Array) -> tuple[Any, Array]:
    """`(X - centre) / scale` as a matrix Z and an offset (d,) to subtract from each row: CSR stays CSR."""
    if not sp.issparse(X):
        # halves: the difference of two huge numbers could overflow
        return (X.astype(np.float64) / 2 - centre / 2) / (scale / 2), np.zeros_like(centre)
    data = X.data / scale[X.indices]
    return sp.csr_array((data, X.indices, X.indptr), shape=X.shape), centre / scale
