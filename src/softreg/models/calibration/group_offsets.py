"""Offsets of groups of rows: a softmax regression on columns of 0 and 1 with log-probabilities as its fixed part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from softreg.models.calibration.temperature import Codes, Floats
from softreg.optimize import Solution, l2, minimise
from softreg.probability import log_softmax, softmax
from softreg.rows import as_rows

POOLED_DEVIATION = 3.0
"""Standard deviation of the prior of the offset of all rows, which keeps those of classes without a label finite."""
MAX_DENSE = 40
"""Columns of 0 and 1 up to which they are stored as a dense array, which is faster."""


@dataclass(frozen=True, eq=False)
class GroupOffsets:
    """The map `softmax(log P + shared + sum_c groups_c[g_c])`.

    Attributes
    ----------
    shared : ndarray of shape (q,)
        Offset of all rows.
    groups : tuple of ndarray of shape (G_c, q)
        Offsets of the groups of each column; 0 for a group that was not seen.

    Examples
    --------
    >>> half = GroupOffsets(np.zeros(2), (np.log([[1.0, 3.0]]),))
    >>> half.apply(np.log([[0.5, 0.5], [0.5, 0.5]]), (np.array([0, -1]),))
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """

    shared: Floats
    groups: tuple[Floats, ...]

    def logits(self, L: Floats, codes: Sequence[Codes]) -> Floats:
        """Return log-probabilities L (n, q) with the offsets of rows of these groups, -1 for unseen ones."""
        out = L + self.shared
        for offsets, code in zip(self.groups, codes, strict=True):
            out = out + np.vstack([offsets, np.zeros(offsets.shape[1])])[code]
        return np.asarray(out)

    def apply(self, L: Floats, codes: Sequence[Codes]) -> Floats:
        """Return probabilities (n, q)."""
        return np.asarray(softmax(self.logits(L, codes)), dtype=np.float64)

    def losses(self, L: Floats, codes: Sequence[Codes], y: Codes) -> Floats:
        """Return the log loss (n,) of labels in nats."""
        return np.asarray(-log_softmax(self.logits(L, codes))[np.arange(len(y)), y], dtype=np.float64)


def no_offsets(q: int, sizes: Sequence[int]) -> GroupOffsets:
    """Return offsets of 0 for columns of so many groups."""
    return GroupOffsets(np.zeros(q), tuple(np.zeros((size, q)) for size in sizes))


def fit_offsets(
    L: Floats, y: Codes, codes: Sequence[Codes], sizes: Sequence[int], deviation: float
) -> tuple[GroupOffsets, Solution]:
    """Fit the shared offset and those of the groups, as a softmax regression with the fixed part L of the logits.

    Parameters
    ----------
    L : ndarray of shape (n, q)
        Finite log-probabilities.
    y : ndarray of shape (n,)
        Labels.
    codes : sequence of ndarray of shape (n,)
        Group of each row by each column, from 0.
    sizes : sequence of int
        Number of groups of each column.
    deviation : float
        Standard deviation of the offsets of groups in their prior; 0 for the shared offset alone.

    Returns
    -------
    offsets : GroupOffsets
    solution : Solution
        The solution of the regression, with its certificate.

    Examples
    --------
    >>> L, y = np.log(np.full((400, 2), 0.5)), np.repeat([0, 1], [300, 100])
    >>> offsets, solution = fit_offsets(L, y, (np.repeat([0, 1], 200),), (2,), 0.5)
    >>> offsets.groups[0][:, 1].round(1), solution.gap < 1e-6
    (array([-1. ,  0.9]), True)
    """
    (n, q), first = L.shape, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    used, scale = (codes, deviation) if deviation > 0 else ((), 1.0)
    width = 1 + (int(first[-1]) if deviation > 0 else 0)
    place = np.column_stack([np.zeros(n, dtype=np.int64), *(1 + first[c] + code for c, code in enumerate(used))])
    values = np.ones(place.shape)
    values[:, 0] = POOLED_DEVIATION / scale  # the penalty of the shared offset is then that of its own deviation
    X = sp.csr_array((values.ravel(), place.ravel(), np.arange(n + 1) * place.shape[1]), shape=(n, width))
    penalty = l2(1 / (n * scale**2))
    rows = as_rows(X.toarray() if width <= MAX_DENSE else X, y, None, L)
    (solution,) = minimise(rows, q, penalty, fit_intercept=False)
    shared = solution.W[0] * values[0, 0]
    groups = no_offsets(q, sizes).groups
    if deviation > 0:
        groups = tuple(solution.W[1 + first[c] : 1 + first[c + 1]] for c in range(len(sizes)))
    return GroupOffsets(shared - shared.mean(), groups), solution
