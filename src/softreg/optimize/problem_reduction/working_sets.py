"""Working sets for penalties that set whole columns to zero: a fit on some columns, checked on all.

An l1 part keeps the weight of a column at 0 while the gradient of the loss there does not exceed its strength, and most
columns of data with many columns stay below. So a fit uses the columns that are active or have the largest gradients;
then half a pass over all columns gives the gradients of those left out. Columns above the threshold join the working
set, until they make no difference. Objective and certified gap are those of all columns, so nothing rests on the guess.

The first working set at strength s' comes from the gradient at a stronger one, s: a column whose gradient was below
`2 s' - s` there is rarely active at s' (the sequential strong rule). That discards nothing where s' is below half of s,
and too little before; so only the columns with the largest gradients are added at first, as many as are active.

Tibshirani, Bien, Friedman, Hastie, Simon, Taylor and Tibshirani (2012), Strong rules for discarding predictors in
lasso-type problems; Massias, Gramfort and Salmon (2018), Celer, for working sets that double.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from softreg.optimize.certificate import duality as certificate
from softreg.optimize.cost.meter import current_meter
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.loss_reductions import NOTHING
from softreg.optimize.objective.reduction_work import RowSizes, product_operations
from softreg.optimize.objective.stack_state import StackState
from softreg.optimize.problem.penalty_protocol import Penalty
from softreg.optimize.problem.result import StackFit
from softreg.optimize.problem.standardization import Coordinates
from softreg.rows import Array, Block, DenseRows, Rows, SparseRows, Sums

Columns = NDArray[np.intp]
"""Indices of columns, increasing."""
Weights = tuple[Array, Array]
"""W (m, d, q) and b (m, q) of the members of a stack."""

MAX_SHARE = 0.25
"""Largest share of the stored numbers in a working set, which is a copy; where more are needed, the fit goes on with
all columns, from where it is. (MNIST needs more already where 200 weights are active.)"""
MAX_VIOLATING_SHARE = 0.5
"""Share of the stored numbers in columns above the threshold from which on, with more rows than columns, most columns
may become active and no working set is tried: 20,000 x 1,000 of which 615 are active then take 0.8 s in place of 1.1 s.
(With fewer rows most never are: 115 of 10,000 for 1,000 rows.)"""
MIN_ADDED = 50
"""Columns that may join a working set at once in any case; otherwise at most as many as it has, or as are active."""
MAX_GAP_GROWTH = 2.0
"""Columns left out may multiply the certified gap by this; otherwise they join the working set."""


@dataclass(frozen=True)
class ColumnCheck:
    """A fit on some columns, evaluated on all.

    Parameters
    ----------
    A : ndarray of shape (m, q, d)
        Gradient of the loss.
    value, gap : ndarray of shape (m,)
        Objective and certified gap.
    b : ndarray of shape (m, q)
        The bias, balanced on all rows.
    ratio : ndarray of shape (d,)
        Largest dual norm of each column outside the working set, in units of its threshold; 0 inside.
    """

    A: Array
    value: Array
    gap: Array
    b: Array
    ratio: Array

    @property
    def violated(self) -> bool:
        """Whether a column outside the working set is above its threshold."""
        return bool((self.ratio > 1).any())


class Screening:
    """The columns of some rows, and their dual norms at the strengths of the fits so far."""

    def __init__(self, rows: Rows, coordinates: Coordinates, q: int, fit_intercept: bool) -> None:
        self.rows, self.coordinates, self.q, self.fit_intercept = rows, coordinates, q, fit_intercept
        self.norms: list[tuple[float, Array]] = []
        """Thresholds, and the largest dual norm (d,) of each column over the members at that threshold."""
        self._stored: Array | None = None

    def share(self, keep: Array) -> float:
        """Return the share of the stored numbers that lies in these columns."""
        if not isinstance(self.rows, SparseRows):
            return float(keep.mean())
        if self._stored is None:
            self._stored = np.bincount(self.rows.X.indices, minlength=self.rows.d)
        return float(self._stored[keep].sum() / max(1, self.rows.stored))

    def first_working_set(self, rows: Rows, penalty: Penalty, W: Array, b: Array, active: Array) -> Array:
        """Return the columns (d,) of the first fit: those that are active or have the largest gradients.

        Parameters
        ----------
        rows : Rows
            The rows with the weights of all members.
        penalty : Penalty
        W : ndarray of shape (m, k, q)
            Weights of the active columns.
        b : ndarray of shape (m, q)
        active : ndarray of bool of shape (d,)

        Returns
        -------
        ndarray of bool of shape (d,)
            All columns, where most may become active.
        """
        if not self.norms:
            columns = np.flatnonzero(active)
            check = self.check(rows, penalty, take_columns(self.rows, columns), columns, W, b)
            norm = penalty.column_dual_norm(check.A).max(axis=0)
            self.norms.append((max(float(norm.max()), float(penalty.threshold.max())), norm))
        ratio, keep = np.zeros(rows.d), np.zeros(rows.d, dtype=bool)
        for threshold in np.unique(penalty.threshold):
            s, norm = min(self.norms, key=lambda known: (known[0] < threshold, abs(known[0] - threshold)))
            ratio, keep = np.maximum(ratio, norm / threshold), keep | (norm >= 2 * threshold - s)
        if rows.n > rows.d and self.share(ratio > 1) > MAX_VIOLATING_SHARE:
            return np.ones(rows.d, dtype=bool)
        keep |= ratio == ratio.max()  # one at least
        return active | largest(ratio, keep & ~active, max(MIN_ADDED, int(active.sum())))

    def record(self, penalty: Penalty, A: Array) -> None:
        """Keep the dual norms of the columns at these strengths."""
        norms = penalty.column_dual_norm(A)
        for threshold in np.unique(penalty.threshold):
            norm = norms[penalty.threshold == threshold].max(axis=0)
            self.norms = [known for known in self.norms if known[0] != threshold] + [(float(threshold), norm)]

    def check(self, rows: Rows, penalty: Penalty, some: Rows, columns: Columns, W: Array, b: Array) -> ColumnCheck:
        """Evaluate weights of some columns on all: half a pass, for the logits come from those columns alone.

        Parameters
        ----------
        rows : Rows
            All columns, with the weights of all members.
        penalty : Penalty
        some : Rows
            The columns of the working set.
        columns : ndarray of shape (k,)
            Their indices.
        W : ndarray of shape (m, k, q)
        b : ndarray of shape (m, q)

        Returns
        -------
        ColumnCheck
        """
        objective = Objective(rows, self.q, penalty, self.coordinates, self.fit_intercept)
        some = some if some.dtype == rows.dtype else some.with_higher_precision()
        W = np.ascontiguousarray(np.moveaxis(W, 1, 2))
        _place(objective, some, columns, W, b)
        shift, imbalance = objective.balance()
        loss, G = objective.gradient(shift)
        A = G[..., :-1]
        A *= self.coordinates.scale
        ratio = np.asarray((penalty.column_dual_norm(A) / penalty.threshold[:, None]).max(axis=0))
        matters = ratio > 1  # otherwise a weight of 0 leaves no gap
        matters[columns] = True
        weights = np.zeros((*W.shape[:2], int(matters.sum())))
        weights[..., np.isin(np.flatnonzero(matters), columns)] = W
        of_those = penalty.keep_columns(np.flatnonzero(matters))
        gap = certificate.gap_of(objective, of_those, shift, loss, A[..., matters], weights)
        gap = np.where(imbalance <= certificate.BALANCED, gap, np.inf)
        ratio[columns] = 0.0
        return ColumnCheck(A, loss + penalty.keep_columns(columns).value(W), gap, b + shift, ratio)


class WorkingSetSearch:
    """Working sets for one penalty, each larger than the one before.

    While `is_small`, the caller fits on `rows`, in `coordinates`, from `start`, calls `check` with the fit, and then
    either `finish` or `grow`. Otherwise a fit on all columns begins at `start_for_all`.

    Parameters
    ----------
    screening : Screening
        The columns and their norms.
    all_columns : Rows
        The rows of the screening with the weights of all members, in the precision of the checks.
    penalty : Penalty
    start : tuple of ndarray, optional
        Weights W (m, d, q) and bias b (m, q).
    """

    def __init__(self, screening: Screening, all_columns: Rows, penalty: Penalty, start: Weights | None) -> None:
        self.screening, self.all_columns, self.penalty = screening, all_columns, penalty
        self.start_for_all = start
        """Where a fit on all columns begins."""
        m, q = len(penalty), screening.q
        W, b = (np.zeros((m, all_columns.d, q)), np.zeros((m, q))) if start is None else map(np.asarray, start)
        self.W, self.b, self.passes = W, b, 0.0
        self.keep = (W != 0).any(axis=(0, 2))
        if self.is_small:
            self.keep = screening.first_working_set(all_columns, penalty, W[:, self.keep], b, self.keep)
        self.columns: Columns = np.zeros(0, dtype=np.intp)
        self._rows: Rows | None = None

    @property
    def is_small(self) -> bool:
        """Whether the working set is small enough to be copied."""
        return self.screening.share(self.keep) <= MAX_SHARE

    @property
    def rows(self) -> Rows:
        """The columns of the working set."""
        if self._rows is None or len(self.columns) < self.keep.sum():
            self.columns = np.flatnonzero(self.keep)
            self._rows = take_columns(self.screening.rows, self.columns)
        return self._rows

    @property
    def coordinates(self) -> Coordinates:
        """The coordinates of these columns."""
        return self.screening.coordinates.some(self.columns)

    @property
    def start(self) -> Weights:
        """Weights (m, k, q) and bias (m, q) with which a fit on them begins."""
        return self.W[:, self.columns], self.b

    def check(self, fit: StackFit) -> ColumnCheck:
        """Evaluate a fit on the working set on all columns."""
        check = self._evaluate(fit)
        inexact = not check.violated and (check.gap > MAX_GAP_GROWTH * fit.gap).any()
        if inexact and self.all_columns.dtype != np.float64:  # rounding, which the fit must have met before
            self.all_columns = self.all_columns.with_higher_precision()
            check = self._evaluate(fit)
        self.passes += fit.passes * self.screening.share(self.keep) + 0.5
        self.W, self.b = np.zeros(self.W.shape), check.b
        self.W[:, self.columns] = fit.W
        self.start_for_all = self.W, self.b
        return check

    def _evaluate(self, fit: StackFit) -> ColumnCheck:
        with current_meter().certificate():
            return self.screening.check(self.all_columns, self.penalty, self.rows, self.columns, fit.W, fit.b)

    def grow(self, check: ColumnCheck) -> None:
        """Add the columns that are farthest above their threshold."""
        self.keep = self.keep | largest(check.ratio, check.ratio > 1, max(MIN_ADDED, len(self.columns)))

    def finish(self, fit: StackFit, check: ColumnCheck) -> StackFit:
        """Return the fit with the weights, objective and gap of all columns."""
        self.screening.record(self.penalty, check.A)
        passes = int(np.ceil(self.passes))
        return replace(fit, W=self.W, b=self.b, value=check.value, gap=check.gap, passes=passes)


def _place(objective: Objective, some: Rows, columns: Columns, W: Array, b: Array) -> None:
    """Keep the logits of weights W (m, q, k) of some columns beside the rows with all columns."""
    assert isinstance(some, DenseRows | SparseRows)
    coordinates = objective.coordinates.some(columns)
    of_columns = coordinates.from_user(W, b)
    theta = np.zeros((*b.shape, objective.rows.d + 1))
    theta[..., columns], theta[..., -1] = of_columns[..., :-1], of_columns[..., -1]
    objective.here = objective.point(theta)
    W, b = coordinates.to_stored(of_columns)
    prepared, bias = some.prepare(W.reshape(b.size, -1)), b.reshape(-1, 1).astype(some.dtype)
    objective.sum(KeepLogitsOfColumns(objective.state, some, prepared, bias))


@dataclass(frozen=True, slots=True, eq=False)
class KeepLogitsOfColumns:
    """Keep the logits of weights of a few columns, whose rows are `some`, as those of the point of the state."""

    state: StackState
    some: DenseRows | SparseRows
    prepared: Array
    bias: Array
    half_passes: ClassVar[int] = 0

    def work(self, sizes: RowSizes, m: int, q: int) -> tuple[float, float]:
        """Return the reading of these columns as a part of one of all, and the operations of their product."""
        share = self.some.stored / max(1, sizes.stored)
        return share, share * product_operations(sizes, m * q)

    def evaluate(self, block: Block) -> Sums:
        """Keep the logits of one block."""
        o = self.some.cut(block.start, block.stop).times(self.prepared)
        o += self.bias
        o = o.reshape(self.state.m, self.state.q, -1)
        offset = block.offset
        if offset is not None:
            o += offset
        self.state.store.entry(block.place).arrays[self.state.point.version] = o
        return NOTHING


def take_columns(rows: Rows, columns: Columns) -> Rows:
    """Return a copy of the rows with some of the columns."""
    assert isinstance(rows, DenseRows | SparseRows)
    return rows.take(columns)


def largest(values: Array, among: Array, most: int) -> Array:
    """Return a mask of the `most` largest values of those marked, and of those that equal the last of these.

    The columns of a group have the same dual norm, so a group is in the mask as a whole.

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> largest(np.array([3.0, 1.0, 2.0]), np.array([False, True, True]), 1)
    array([False, False,  True])
    """
    candidates = np.flatnonzero(among)
    mask = np.zeros(len(values), dtype=bool)
    if len(candidates) and most > 0:
        ordered = np.sort(values[candidates])[::-1]
        mask[candidates[values[candidates] >= ordered[min(most, len(ordered)) - 1]]] = True
    return mask
