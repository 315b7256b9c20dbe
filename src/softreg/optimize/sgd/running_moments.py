"""Standardized coordinates from running moments of batches, and the state of mini-batch training.

References
----------
Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance, for the moments of merged batches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from softreg.typing import BoolArray, Float64Array, Matrix

MAX_GROWTH = 100.0
"""Growth of a column's size within a batch above which its weights are reduced: they would dominate every logit."""
MIN_SPREAD = 1e-280
"""Standard deviation below which a column counts as constant: its weights would overflow."""


@dataclass(frozen=True)
class SGDState:
    """The state of a model between batches: everything that the next batch needs."""

    W: Float64Array
    """Weights (d, q) of the user's columns."""
    b: Float64Array
    """Bias (q,)."""
    mean: Float64Array
    """Weighted mean (d,) of each column over the rows so far."""
    spread: Float64Array
    """Weighted standard deviation (d,) of each column; 0 for a constant column."""
    weight: float = 0.0
    """Sum of the weights of the rows so far."""
    rows: int = 0
    """Rows so far."""
    steps: int = 0
    """Batches that have changed the weights."""


def begin(d: int, q: int) -> SGDState:
    """Return the state before the first row: weights of 0, equal class probabilities.

    Parameters
    ----------
    d
        Number of columns.
    q
        Number of classes.

    Returns
    -------
    SGDState
        The initial state.

    Examples
    --------
    >>> begin(2, 3).W.shape
    (2, 3)
    """
    return SGDState(np.zeros((d, q)), np.zeros(q), np.zeros(d), np.zeros(d))


def update_moments(state: SGDState, X: Matrix, V: Float64Array, fit_intercept: bool = True) -> SGDState:
    """Return the state with the moments of a batch merged in.

    Sums are relative to the mean so far and in units of each column's size, so neither large numbers nor many rows
    overflow or cancel, and a constant column has spread exactly 0. The weights of a column that grows by more than
    `MAX_GROWTH` are reduced.

    Parameters
    ----------
    state
        The state before the batch.
    X
        Rows (n, d), dense or CSR.
    V
        Row weights (n,).
    fit_intercept
        Whether the bias makes up for reduced weights.

    Returns
    -------
    SGDState
        The state after the batch.

    Examples
    --------
    >>> update_moments(begin(1, 2), np.array([[1e200], [3e200]]), np.ones(2)).spread
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
    if (grown := (old > 0) & (new / MAX_GROWTH > old)).any():  # a column without moments may have a weight of the user
        W = np.where(grown, old / (np.where(grown, new, MAX_GROWTH) / MAX_GROWTH), 1.0)[:, None] * W
        b = b + state.mean @ (state.W - W) if fit_intercept else b
    return SGDState(W, b, mean, spread, state.weight + mass, state.rows + len(V), state.steps)


def _batch_moments(X: Matrix, share: Float64Array, origin: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return mean and standard deviation (d,) of the columns, by sums relative to `origin`; shares (n,) sum to 1."""
    size = abs(X).max(axis=0)
    size = size.toarray().ravel() if sp.issparse(size) else size
    unit = np.ldexp(1.0, np.frexp(np.maximum(size, np.abs(origin)))[1] - 1)  # a power of two: dividing by it is exact
    zero = -origin / unit
    if not sp.issparse(X):
        centred = X.astype(np.float64) / unit + zero
        first = share @ centred
        second = share @ (centred - first) ** 2
        return unit * (first - zero), unit * np.sqrt(second)
    d, columns, share = X.shape[1], X.indices, np.repeat(share, np.diff(X.indptr))
    without_zeros = np.bincount(columns, minlength=d) == X.shape[0]
    rest = np.where(without_zeros, 0.0, np.maximum(0.0, 1.0 - np.bincount(columns, weights=share, minlength=d)))
    centred = X.data.astype(np.float64) / unit[columns] + zero[columns]
    first = np.bincount(columns, weights=share * centred, minlength=d) + rest * zero
    second = (
        np.bincount(columns, weights=share * (centred - first[columns]) ** 2, minlength=d) + rest * (zero - first) ** 2
    )
    return unit * (first - zero), unit * np.sqrt(second)


def _first_row(X: Matrix) -> Float64Array:
    row = X[[0]].toarray()[0] if sp.issparse(X) else X[0]
    return np.asarray(row, dtype=np.float64)


@dataclass(frozen=True)
class RunningCoordinates:
    """Standardized columns `(x - centre) / scale`."""

    centre: Float64Array
    """Centre (d,) of each column; 0 without a bias."""
    scale: Float64Array
    """Scale (d,) of each column; 1 for a constant column."""
    varies: BoolArray
    """Mask (d,) of the columns that are not constant."""


def coordinates(state: SGDState, fit_intercept: bool) -> RunningCoordinates:
    """Return the standardized coordinates of the rows so far."""
    size = state.spread if fit_intercept else np.hypot(state.spread, state.mean)
    varies = size > MIN_SPREAD
    centre = state.mean if fit_intercept else np.zeros_like(size)
    return RunningCoordinates(centre, np.where(varies, size, 1.0), varies)


def standardized(X: Matrix, centre: Float64Array, scale: Float64Array) -> tuple[Matrix, Float64Array]:
    """Return `(X - centre) / scale` as a matrix Z, CSR for CSR, and an offset (d,) to subtract from each row."""
    if not sp.issparse(X):
        # halves: the difference of two huge numbers could overflow
        return (X.astype(np.float64) / 2 - centre / 2) / (scale / 2), np.zeros_like(centre)
    data = X.data / scale[X.indices]
    return sp.csr_array((data, X.indices, X.indptr), shape=X.shape), centre / scale
