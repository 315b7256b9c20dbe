"""Average marginal effects of the columns on the probabilities, and their derivatives by the parameters.

The effect of a numeric column is the mean derivative of the probability. The effect of a column of zeros and ones, or
of a level of a category, is the mean difference of the probabilities between two values of the column (a discrete
change), because a derivative does not correspond to a possible change of a row. Greene, Econometric Analysis (2012),
section 17.3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.models.likelihood.likelihood import Likelihood, RowsAt
from softreg.optimize.objective.column_reductions import column_logits
from softreg.probability import block_loss as loss
from softreg.rows import Array, Block, Sums
from softreg.typing import Matrix

PER_UNIT = "per unit"
"""Description of the change of a numeric column."""
REFERENCE = "the reference"
"""Description of the level with which the other levels of a category are compared."""
TOGETHER = 4_000_000
"""Number of derivatives that are summed in one pass over the rows."""
ROWS = 1 << 16
"""Rows of a dense array that are checked together for columns of zeros and ones."""


@dataclass(frozen=True)
class Change:
    """A discrete change: values of some columns of X, by index of the column, before and after, in every row."""

    before: Mapping[int, float]
    after: Mapping[int, float]
    words: str = "1 rather than 0"
    """Description of the change."""


def zero_one_columns(X: Matrix) -> NDArray[np.intp]:
    """Return the columns of X that contain zeros and ones, both of them, and nothing else.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n, d)
        Rows.

    Returns
    -------
    ndarray of intp
        Indices of the columns.

    Examples
    --------
    >>> zero_one_columns(np.array([[0.0, 1.0, 0.0], [1.0, 1.0, 2.0]]))
    array([0])
    """
    n, d = X.shape
    if sp.issparse(X):
        kept = X.data != 0
        count = np.bincount(X.indices[kept], minlength=d)
        other = np.bincount(X.indices[kept & (X.data != 1)], minlength=d) > 0
        return np.flatnonzero(~other & (count > 0) & (count < n))
    fits, ones = np.ones(d, dtype=bool), np.zeros(d, dtype=np.int64)
    for a in range(0, n, ROWS):
        part = X[a : a + ROWS]
        is_one = part == 1
        fits &= (is_one | (part == 0)).all(axis=0)
        ones += is_one.sum(axis=0)
    return np.flatnonzero(fits & (ones > 0) & (ones < n))


def find_changes(X: Matrix, categories: Sequence[Sequence[int]] = ()) -> dict[int, Change]:
    """Return the discrete change of each column of X that has one.

    A level of a category is compared with the state in which a row has none of its levels or, where every row has one,
    with the most frequent level, whose effect is then 0.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n, d)
        Rows.
    categories : sequence of sequence of int
        For each category, the indices of the columns of its levels: zeros and ones, at most a single one in each row.

    Returns
    -------
    dict of int to Change
        Changes by the index of the column.
    """
    changes = {int(j): Change({int(j): 0.0}, {int(j): 1.0}) for j in zero_one_columns(X)}
    for levels in categories:
        _check_category(X, levels)
        count = np.asarray(X[:, list(levels)].sum(axis=0)).ravel()
        full = round(float(count.sum())) == X.shape[0]
        base = levels[int(count.argmax())] if full else None
        before = {k: float(k == base) for k in levels}
        for j in levels:
            words = REFERENCE if j == base else "1 rather than 0, other levels 0"
            changes[j] = Change(before, {k: float(k == j) for k in levels}, words)
    return changes


def _check_category(X: Matrix, levels: Sequence[int]) -> None:
    """Raise `ValueError` if these columns of X are not the levels of one category, naming a row."""
    part = X[:, list(levels)]
    part = part.toarray() if sp.issparse(part) else np.asarray(part)
    odd = ~((part == 0) | (part == 1)).all(axis=1) | (part.sum(axis=1) > 1)
    if odd.any():
        row = int(odd.argmax())
        raise ValueError(
            f"the columns of a category hold 1 for the level of a row and 0 for the others, but row {row} has "
            f"{', '.join(f'{value:g}' for value in part[row][:10])} in them; give each of `categories` its own columns."
        )


def effects(likelihood: Likelihood, theta: Array, changes: Mapping[int, Change]) -> tuple[Array, Array]:
    """Return the effect of each column, and its derivatives by the parameters.

    The effect of a column with a change is the mean difference of the probabilities; of the others, the mean
    derivative. Effects refer to the user's columns, derivatives to the solver's parameters.

    Parameters
    ----------
    likelihood : Likelihood
        Likelihood of the fit.
    theta : ndarray of shape (q, d + 1)
        Parameters.
    changes : mapping of int to Change
        Discrete changes by the index of the column.

    Returns
    -------
    estimate : ndarray of shape (q, d)
        Effects.
    J : ndarray of shape (q, d, q, d + 1)
        Derivatives of the effects.
    """
    estimate, J = slopes(likelihood, theta)
    columns, q, size = list(changes), likelihood.q, likelihood.d + 1
    step = max(1, TOGETHER // (q * q * size))
    for a in range(0, len(columns), step):
        selected = columns[a : a + step]
        difference, derivatives = _differences(likelihood, theta, [changes[j] for j in selected])
        estimate[:, selected], J[:, selected] = difference.T, derivatives.transpose(1, 0, 2, 3)
    return estimate, J


@dataclass(frozen=True, slots=True, eq=False)
class DifferenceSums:
    """Reduction to the sum of `p_k(after) - p_k(before)`, (c, q), and its derivatives (c, q, q, d + 1)."""

    at: RowsAt
    ends: tuple[tuple[Array, Array, Array], ...]
    """For each change, the indices of its columns, and their values before and after."""

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        theta, (q, size) = self.at.theta, self.at.theta.shape
        total, J = np.zeros((len(self.ends), q)), np.zeros((len(self.ends), q, q, size))
        offset = block.offset
        for run, Z, _, V in self.at.runs(block):
            o = column_logits(theta, Z, offset, run)
            for i, (columns, before, after) in enumerate(self.ends):
                P0, P1 = (_changed(o, theta, Z, columns, values) for values in (before, after))
                w0, w1 = (P if V is None else P * V for P in (P0, P1))
                total[i] += (w1 - w0).sum(axis=1)
                for k in range(q):  # one class at a time: q^2 numbers per row may exceed the memory
                    S0, S1 = -w0[k] * P0, -w1[k] * P1
                    S0[k] += w0[k]
                    S1[k] += w1[k]
                    derivative = (S1 - S0) @ Z.T
                    derivative[:, columns] = np.multiply.outer(S1.sum(axis=1), after)
                    derivative[:, columns] -= np.multiply.outer(S0.sum(axis=1), before)
                    J[i, k] += derivative
        return total, J


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityMoments:
    """Reduction to the sums of `p_k z`, `p_k p_c z` and `p_k p_c p_l z`, stacked to (q + q^2 + q^3, d + 1)."""

    at: RowsAt

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        q, size = self.at.theta.shape
        sums = np.zeros((q + q * q + q**3, size))
        for _, Z, P, V in self.at.runs(block):
            weighted = P if V is None else P * V
            sums[:q] += weighted @ Z.T
            for k in range(q):  # one class at a time: q^3 numbers per row may exceed the memory
                products = weighted[k] * P
                sums[q + q * k : q + q * k + q] += products @ Z.T
                first = q + q * q + q * q * k
                sums[first : first + q * q] += (products[:, None] * P).reshape(q * q, -1) @ Z.T
        return (sums,)


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityProducts:
    """Reduction to the sums of `p_k` (q,) and `p_k p_c` (q, q)."""

    at: RowsAt

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        q = len(self.at.theta)
        p, pp = np.zeros(q), np.zeros((q, q))
        for _, _, P, V in self.at.runs(block):
            weighted = P if V is None else P * V
            p, pp = p + weighted.sum(axis=1), pp + weighted @ P.T
        return p, pp


def _differences(likelihood: Likelihood, theta: Array, changes: Sequence[Change]) -> tuple[Array, Array]:
    """Return the mean over the rows of `p_k(after) - p_k(before)`, and its derivatives.

    `dp_k / dtheta_cm = p_k (delta_kc - p_c) z_m`, at either value of the columns that change.

    Returns
    -------
    difference : ndarray of shape (c, q)
        Mean differences of the c changes.
    derivatives : ndarray of shape (c, q, q, d + 1)
        Their derivatives.
    """
    ends = [_ends(likelihood, change) for change in changes]
    total, J = likelihood.objective.rows.sum(DifferenceSums(likelihood.at(theta), tuple(ends)))
    return total / likelihood.mass, J / likelihood.mass


def _ends(likelihood: Likelihood, change: Change) -> tuple[Array, Array, Array]:
    """Return the columns that change, and their values before and after in the solver's coordinates."""
    columns = np.array(list(change.after))
    scale, shift = likelihood.coordinates.scale[columns], likelihood.coordinates.shift[columns]
    before, after = (
        (np.array([values[j] for j in columns]) - shift) / scale for values in (change.before, change.after)
    )
    return columns, before, after


def _changed(o: Array, theta: Array, Z: Array, columns: Array, values: Array) -> Array:
    """Return the probabilities (q, b) of rows Z (d + 1, b) with logits o, with `values` in `columns`."""
    logits = o + theta[:, columns] @ (values[:, None] - Z[columns])
    return np.asarray(loss.probabilities(logits[None])[0][0])


def slopes(likelihood: Likelihood, theta: Array) -> tuple[Array, Array]:
    """Return the mean of `dp_k / dx_j` over the rows, (q, d), and its derivatives (q, d, q, d + 1)."""
    q, d, W = likelihood.q, likelihood.d, theta[:, :-1]
    first, second, third = _moments(likelihood, theta)
    p, pp = first[:, -1], second[..., -1]  # without z: means of p_k and of p_k p_c
    if not likelihood.bias:
        p, pp = _products(likelihood, theta)
    estimate = p[:, None] * W - pp @ W
    # E_kjm = sum p_k D_kj z_m and F_kcjm = sum p_k p_c D_kj z_m
    E = W[:, :, None] * first[:, None] - np.einsum("klm,lj->kjm", second, W)
    F = W[:, None, :, None] * second[:, :, None] - np.einsum("kclm,lj->kcjm", third, W, optimize=True)
    J = -(F + F.transpose(1, 0, 2, 3)).transpose(0, 2, 1, 3)  # (k, j, c, m)
    k, j = np.arange(q), np.arange(d)
    J[k, :, k] += E
    J[:, j, :, j] += np.diag(p) - pp
    scale = likelihood.coordinates.scale
    return estimate / scale, J / scale[:, None, None]


def _moments(likelihood: Likelihood, theta: Array) -> tuple[Array, Array, Array]:
    """Return the means of `p_k z` (q, d + 1), `p_k p_c z` (q, q, d + 1) and `p_k p_c p_l z` (q, q, q, d + 1)."""
    q, size = likelihood.q, likelihood.d + 1
    sums = likelihood.objective.rows.sum(ProbabilityMoments(likelihood.at(theta)))[0] / likelihood.mass
    first, second, third = np.split(sums, [q, q + q * q])
    return first, second.reshape(q, q, size), third.reshape(q, q, q, size)


def _products(likelihood: Likelihood, theta: Array) -> tuple[Array, Array]:
    """Return the means of `p_k` and `p_k p_c`, for a model without an intercept."""
    p, pp = likelihood.objective.rows.sum(ProbabilityProducts(likelihood.at(theta)))
    return p / likelihood.mass, pp / likelihood.mass
