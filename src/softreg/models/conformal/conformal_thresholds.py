"""Thresholds of split conformal prediction: which calibration rows share one, and its value, with or without weights.

A category is a pair of a group of rows and a group of classes. Each has a cell, the set of calibration rows from which
its threshold is computed; categories with few rows may share a cell, their pool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats

from softreg.models.calibration.temperature import Codes, Floats

ROUNDING = 1e-9
"""Rounding error of a rank, relative to 1, and of a sum of weights, relative to itself."""


def least_rows(level: float) -> int:
    """Return the least number of rows n with a finite threshold: ceil((n + 1) level) <= n.

    Parameters
    ----------
    level : float
        Coverage.

    Returns
    -------
    int
        The least n, at least 1.

    Examples
    --------
    >>> least_rows(0.9), least_rows(0.95)
    (9, 19)
    """
    return max(1, math.ceil(level / (1 - level) - ROUNDING))


def ranks(n_rows: Codes, level: float) -> Codes:
    """Return ceil((n + 1) level) for each number of rows n; the tolerance keeps ceil((9 + 1) * 0.9) at 9."""
    return np.asarray(np.maximum(np.ceil((n_rows + 1) * level - ROUNDING), 1), dtype=np.int64)


@dataclass(frozen=True)
class Cells:
    """Calibration rows that share a threshold.

    A category with fewer than `least` rows has the cell of its pool, which holds the rows of all categories of the pool
    with at most `least` rows. Those with exactly `least` rows have a cell of their own as well; this makes the pool a
    symmetric function of calibration rows *and* new row, so coverage over the rows of pooled categories is exact.

    Attributes
    ----------
    table : ndarray of shape (m + 1, c)
        Cell of each group of rows and of classes; the last row is for groups without calibration rows.
    rows : ndarray
        Calibration rows of the cells, one cell after the other.
    n_rows : ndarray of shape (cells,)
        Number of rows of each cell.
    first_pool : int
        The first cell that is a pool.
    """

    table: Codes
    rows: Codes
    n_rows: Codes
    first_pool: int


def make_cells(
    group: Codes, class_group: Codes, shape: tuple[int, int], least: int, *, pool_groups: bool, pool_classes: bool
) -> Cells:
    """Return the cells of calibration rows with these groups.

    Parameters
    ----------
    group, class_group : ndarray of shape (n,)
        Group of each row and of its label.
    shape : (int, int)
        Number of groups of rows, and of classes.
    least : int
        Least number of rows of a category with a cell of its own, where it can be pooled.
    pool_groups, pool_classes : bool
        Whether small categories of different groups of rows, and of classes, share a cell.

    Returns
    -------
    Cells
        The cells.
    """
    m, c = shape
    category = group * c + class_group
    counts = np.bincount(category, minlength=m * c)
    pool = np.zeros(m * c, dtype=np.int64) if pool_classes else np.tile(np.arange(c), m)
    n_pools = 1 if pool_classes else c
    cell = np.arange(m * c)
    small, member = counts < least, counts <= least
    if not (pool_groups or pool_classes):
        small = member = np.zeros(m * c, dtype=bool)
    cell[small] = m * c + pool[small]
    pooled = np.flatnonzero(member[category])
    cell_of_entry = np.concatenate([category, m * c + pool[category[pooled]]])
    entry = np.concatenate([np.arange(len(category)), pooled])
    table = np.vstack([cell.reshape(m, c), m * c + (np.zeros(c, dtype=np.int64) if pool_classes else np.arange(c))])
    n_rows = np.bincount(cell_of_entry, minlength=m * c + n_pools)
    return Cells(table, entry[np.argsort(cell_of_entry, kind="stable")], n_rows, m * c)


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of cells.

    Attributes
    ----------
    values : ndarray of shape (cells,)
        The threshold of each cell; with weights, that of a new row with the mean weight of the cell. It is inf where
        the rows are too few.
    starts : ndarray of shape (cells + 1,)
        Where the rows of each cell start in `scores`.
    scores : ndarray
        With weights, the scores of each cell in order; else empty.
    masses : ndarray
        With weights, the cumulative weight within each cell; else empty.
    """

    values: Floats
    starts: Codes
    scores: Floats
    masses: Floats

    def at(self, cells: Codes, weights: Floats | None, level: float) -> Floats:
        """Return thresholds for new rows.

        Parameters
        ----------
        cells : ndarray of shape (n, c)
            Cell of each new row and group of classes.
        weights : ndarray, broadcast to (n, c), or None
            Weights of the new rows.
        level : float
            Coverage.

        Returns
        -------
        ndarray of shape (n, c)
            Without weights, `values`; with weights, the least score s of a cell whose rows with scores up to s weigh at
            least `level` times the weight of the cell and the new row, and inf if there is none.
        """
        if weights is None:
            return np.asarray(self.values[cells])
        weights = np.broadcast_to(weights, cells.shape)
        t = np.full(cells.shape, np.inf)
        for cell in np.unique(cells):
            here = cells == cell
            t[here] = self._weighted(cell, weights[here], level)
        return t

    def _weighted(self, cell: int, weights: Floats, level: float) -> Floats:
        """Return the threshold of one cell for new rows with these weights (n,)."""
        scores = self.scores[self.starts[cell] : self.starts[cell + 1]]
        masses = self.masses[self.starts[cell] : self.starts[cell + 1]]
        if not len(scores) or not masses[-1] > 0:
            return np.full(len(weights), np.inf)
        position = np.searchsorted(masses, level * (masses[-1] + weights) * (1 - ROUNDING))
        return np.asarray(np.append(scores, np.inf)[position])


def make_thresholds(cells: Cells, scores: Floats, weights: Floats | None, level: float) -> Thresholds:
    """Return the thresholds of cells from the scores and weights of all calibration rows (n,).

    Parameters
    ----------
    cells : Cells
        Which rows share a threshold.
    scores : ndarray of shape (n,)
        Scores of the labels.
    weights : ndarray of shape (n,) or None
        Weights of the rows.
    level : float
        Coverage.

    Returns
    -------
    Thresholds
        The ceil((n + 1) level)-th smallest score of the n rows of each cell.
    """
    starts = np.concatenate([[0], np.cumsum(cells.n_rows)])
    cell = np.repeat(np.arange(len(cells.n_rows)), cells.n_rows)
    order = np.lexsort((scores[cells.rows], cell))
    ordered = scores[cells.rows][order]
    rank = ranks(cells.n_rows, level)
    known = rank <= cells.n_rows
    values = np.full(len(rank), np.inf)
    values[known] = ordered[(starts[:-1] + rank - 1)[known]]
    if weights is None:
        return Thresholds(values, starts, np.empty(0), np.empty(0))
    masses = weights[cells.rows][order]
    for start, end in pairwise(starts):
        masses[start:end] = np.cumsum(masses[start:end])
    weighted = Thresholds(values, starts, ordered, masses)
    for k in np.flatnonzero(cells.n_rows):
        values[k] = weighted._weighted(int(k), masses[[starts[k + 1] - 1]] / cells.n_rows[k], level)[0]
    return weighted


def coverage_quantiles(n_rows: Codes, level: float, probability: float, new_rows: int | None) -> Floats:
    """Return a quantile of the coverage, given the calibration rows, for scores without ties.

    The coverage of a threshold at rank r of n rows is distributed as Beta(r, n + 1 - r); the number of covered rows
    among m new rows as Beta-binomial(m, r, n + 1 - r).

    Parameters
    ----------
    n_rows : ndarray of shape (k,)
        Numbers of calibration rows.
    level : float
        Coverage.
    probability : float
        Probability of a coverage up to the quantile.
    new_rows : int or None
        Number m of new rows, or None for the expected coverage of further rows.

    Returns
    -------
    ndarray of shape (k,)
        Quantiles; 1 where the threshold is inf.
    """
    rank = ranks(n_rows, level)
    known = rank <= n_rows
    r, rest = rank[known], n_rows[known] + 1 - rank[known]
    quantile = np.ones(len(rank))
    if new_rows is None:
        quantile[known] = stats.beta.ppf(probability, r, rest)
    else:
        quantile[known] = stats.betabinom.ppf(probability, new_rows, r, rest) / new_rows
    return quantile
