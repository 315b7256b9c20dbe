"""Fits with an l1 part on the columns that matter, and a look at all others afterwards.

An l1 part holds the weight of a column at 0 for as long as the gradient of the loss there is no larger than its
strength, and most columns of wide rows never come near. So the fit is made on those columns alone that live or are
pulled hardest, which makes its steps short; then half a pass over all columns tells which of those left out are pulled
harder than l1 holds them. These come in and the fit goes on, until they make no difference. What is reported is about
all columns: objective and certified gap are read off that last look, so nothing rests on the guess.

The first guess at strength s' is made from the gradient at a stronger one, s: a column whose gradient was below
`2 s' - s` there seldom matters at s' (the sequential strong rule). That leaves out nothing where s' is below half of s,
and too little before; so of the columns that it keeps only those come in at first that were pulled hardest, as many as
there are living ones.

Tibshirani, Bien, Friedman, Hastie, Simon, Taylor and Tibshirani (2012), Strong rules for discarding predictors in
lasso-type problems; Massias, Gramfort and Salmon (2018), Celer, for working sets that double.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from softreg.optimize.certificate import duality as certificate
from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.reductions import NOTHING
from softreg.optimize.objective.stack_state import StackState
from softreg.optimize.problem.penalty_protocol import Penalty, Trait
from softreg.optimize.problem.result import StackFit
from softreg.optimize.problem.standardization import Coordinates
from softreg.rows import Array, Block, DenseRows, Rows, SparseRows, Sums

Columns = NDArray[np.intp]
"""Numbers of columns, increasing."""
Weights = tuple[Array, Array]
"""W (m, d, q) and b (m, q) of the members of a stack."""
Fit = Callable[[Rows, Coordinates, Columns, Weights], StackFit]
"""What fits all members on some of the columns, given their numbers, from these weights on."""
Enough = Callable[[StackFit, Array, bool], bool | None]
"""Whether certified gaps (m,) with all columns are small enough, given the fit on some of them and whether others are
pulled harder than l1 holds them; None where a fit with all columns has to go on."""

LEAST = 256
"""Fewer columns than this are never screened: a fit of 20,000 x 300 with 18 living columns takes 0.2 s either way, of
20,000 x 1,000 0.25 in place of 0.8 s."""
SMALL_PART = 0.25
"""Columns are copied for the fits on them, so these may hold this part of the stored numbers at most; where more are
needed, the fit goes on with all columns, from where it is. (MNIST needs more already where 200 weights live.)"""
PULLED = 0.5
"""Where this part of the stored numbers, or more, lies in columns that are pulled harder than l1 will hold them, and
rows are more than columns, most may come to live, and nothing is left out: 20,000 x 1,000 of which 615 live then take
0.8 s, and 1.1 s if rounds are tried. (Where rows are fewer, most never live: 115 of 10,000 for 1,000 rows.)"""
FIRST = 50
"""So many columns may come in at once in any case; otherwise at most as many as there are, or as live."""
MORE = 2.0
"""Columns that were left out may make the certified gap so many times as large; otherwise they come in."""
MOST_FACTORS, SMALL_FACTORS = 4.0, 1 << 20
"""Factors of the curvature, one a class, may hold so many times the stored numbers of the columns taken, which count as
the second number at least; otherwise a diagonal serves."""


def can_screen(rows: Rows, penalty: Penalty) -> bool:
    """Whether columns of these rows may be left out: they are in memory, many, and l1 holds every weight.

    Example:
        >>> from softreg.optimize.problem.penalties import elastic_net
        >>> from softreg.rows import as_rows
        >>> wide = as_rows(np.zeros((9, 500)), np.zeros(9, int))
        >>> [can_screen(wide, elastic_net(1.0, np.array([0.5, share]))) for share in (1.0, 0.0)]
        [True, False]
    """
    home = type(rows) in (DenseRows, SparseRows) and rows.fits_in_memory
    return home and rows.d >= LEAST and Trait.SELECTS_COLUMNS in penalty.traits


@dataclass(frozen=True)
class Look:
    """A look at all columns: the gradient A of the loss (m, q, d), objective and certified gap (m,), balanced bias."""

    A: Array
    value: Array
    gap: Array
    b: Array


class Screening:
    """The columns of some rows, and how hard each was pulled at the strengths passed."""

    def __init__(self, rows: Rows, coordinates: Coordinates, q: int, fit_intercept: bool) -> None:
        self.rows, self.coordinates, self.q, self.fit_intercept = rows, coordinates, q, fit_intercept
        self.pulls: list[tuple[float, Array]] = []
        """Strengths of the l1 part, and the largest `|A|` (d,) of all classes and members there."""
        self.stored: Array | None = None

    def fit(
        self, rows: Rows, penalty: Penalty, start: Weights | None, fit: Fit, enough: Enough
    ) -> tuple[StackFit | None, Weights | None]:
        """The members with this penalty, fitted on the columns that matter; None where those are too many, and where
        a fit with all columns may begin.

        `rows` are the rows of the screening with the weights of all members, in the precision of the looks at them.
        """
        m = len(penalty)
        W, b = (np.zeros((m, rows.d, self.q)), np.zeros((m, self.q))) if start is None else map(np.asarray, start)
        alive = (W != 0).any(axis=(0, 2))
        if self._share(alive) > SMALL_PART:
            return None, start
        keep = self._first(rows, penalty, W[:, alive], b, alive)
        passes, found, columns = 0.0, None, np.zeros(0, dtype=np.intp)
        while (share := self._share(keep)) <= SMALL_PART:
            if len(columns) < keep.sum():
                columns = np.flatnonzero(keep)
                few = taken(self.rows, columns)
            found = fit(few, self.coordinates.some(columns), columns, (W[:, columns], b))
            look, over = self._look(rows, penalty, few, columns, found.W, found.b)
            if not (over > 1).any() and (look.gap > MORE * found.gap).any() and rows.dtype != np.float64:
                rows = rows.with_higher_precision()  # rounding, as the fit must have found before
                look, over = self._look(rows, penalty, few, columns, found.W, found.b)
            passes += found.passes * share + 0.5
            W, b = np.zeros(W.shape), look.b
            W[:, columns] = found.W
            done = enough(found, look.gap, bool((over > 1).any()))
            if done is None:
                break
            if done:
                self._remember(penalty, look.A)
                found = replace(found, W=W, b=b, value=look.value, gap=look.gap)
                return replace(found, passes=int(np.ceil(passes))), None
            keep = keep | hardest(over, over > 1, max(FIRST, len(columns)))
        return None, (start if found is None else (W, b))

    def _share(self, keep: Array) -> float:
        """The part of the stored numbers that lies in these columns."""
        if not isinstance(self.rows, SparseRows):
            return float(keep.mean())
        if self.stored is None:
            self.stored = np.bincount(self.rows.X.indices, minlength=self.rows.d)
        return float(self.stored[keep].sum() / max(1, self.rows.stored))

    def _first(self, rows: Rows, penalty: Penalty, W: Array, b: Array, alive: Array) -> Array:
        """The columns (d,) of the first fit: those that live, and those pulled hardest at the nearest strength; all,
        where too many are."""
        if not self.pulls:
            columns = np.flatnonzero(alive)
            look, _ = self._look(rows, penalty, taken(self.rows, columns), columns, W, b)
            force = penalty.column_dual_norm(look.A).max(axis=0)
            self.pulls.append((max(float(force.max()), float(penalty.threshold.max())), force))
        over, keep = np.zeros(rows.d), np.zeros(rows.d, dtype=bool)
        for threshold in np.unique(penalty.threshold):
            s, force = min(self.pulls, key=lambda pull: (pull[0] < threshold, abs(pull[0] - threshold)))
            over, keep = np.maximum(over, force / threshold), keep | (force >= 2 * threshold - s)
        if rows.n > rows.d and self._share(over > 1) > PULLED:
            return np.ones(rows.d, dtype=bool)
        keep |= over == over.max()  # one at least
        return alive | hardest(over, keep & ~alive, max(FIRST, int(alive.sum())))

    def _remember(self, penalty: Penalty, A: Array) -> None:
        """Keep how hard the columns are pulled at these strengths."""
        norms = penalty.column_dual_norm(A)
        for threshold in np.unique(penalty.threshold):
            force = norms[penalty.threshold == threshold].max(axis=0)
            self.pulls = [pull for pull in self.pulls if pull[0] != threshold] + [(float(threshold), force)]

    def _look(
        self, rows: Rows, penalty: Penalty, few: Rows, columns: Columns, W: Array, b: Array
    ) -> tuple[Look, Array]:
        """What all columns say of weights W (m, k, q) of some, and how hard each other one is pulled (d,), in units of
        what l1 holds: half a pass, for the logits come from the few alone."""
        objective = Objective(rows, self.q, penalty, self.coordinates, self.fit_intercept)
        few = few if few.dtype == rows.dtype else few.with_higher_precision()
        W = np.ascontiguousarray(np.moveaxis(W, 1, 2))
        _place(objective, few, columns, W, b)
        shift, left = objective.balance()
        loss, G = objective.gradient(shift)
        A = G[..., :-1]
        A *= self.coordinates.scale
        over = np.asarray((penalty.column_dual_norm(A) / penalty.threshold[:, None]).max(axis=0))
        matters = over > 1  # else a weight of 0 leaves no gap
        matters[columns] = True
        wide = np.zeros((*W.shape[:2], int(matters.sum())))
        wide[..., np.isin(np.flatnonzero(matters), columns)] = W
        few_penalty = penalty.keep_columns(np.flatnonzero(matters))
        gap = certificate.gap_of(objective, few_penalty, shift, loss, A[..., matters], wide)
        gap = np.where(left <= certificate.BALANCED, gap, np.inf)
        over[columns] = 0.0
        return Look(A, loss + penalty.value(W), gap, b + shift), over


def diagonal_suffices(objective: Objective) -> bool:
    """Whether factors of the curvature among the columns taken would be larger than the rows: a diagonal serves."""
    return objective.q * (objective.rows.d + 1) ** 2 > MOST_FACTORS * max(objective.rows.stored, SMALL_FACTORS)


def _place(objective: Objective, few: Rows, columns: Columns, W: Array, b: Array) -> None:
    """Keep the logits of weights W (m, q, k) of a few columns beside the rows with all columns."""
    assert isinstance(few, DenseRows | SparseRows)
    coordinates = objective.coordinates.some(columns)
    of_columns = coordinates.from_user(W, b)
    theta = np.zeros((*b.shape, objective.rows.d + 1))
    theta[..., columns], theta[..., -1] = of_columns[..., :-1], of_columns[..., -1]
    objective.here = objective.point(theta)
    W, b = coordinates.to_stored(of_columns)
    prepared, bias = few.prepare(W.reshape(b.size, -1)), b.reshape(-1, 1).astype(few.dtype)
    objective.sum(KeepLogitsOfColumns(objective.state, few, prepared, bias))


@dataclass(frozen=True, slots=True, eq=False)
class KeepLogitsOfColumns:
    """Keep the logits of weights of a few columns, whose rows `few` are at hand, as those of the point of the state."""

    state: StackState
    few: DenseRows | SparseRows
    prepared: Array
    bias: Array
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Keep the logits of one block."""
        o = self.few.cut(block.start, block.stop).times(self.prepared)
        o += self.bias
        self.state.store.entry(block.start).arrays[self.state.point.version] = o.reshape(self.state.m, self.state.q, -1)
        return NOTHING


def taken(rows: Rows, columns: Columns) -> Rows:
    """The same rows with some of the columns: a copy of those."""
    assert isinstance(rows, DenseRows | SparseRows)
    return rows.take(columns)


def hardest(pull: Array, among: Array, most: int) -> Array:
    """A mask of the `most` columns that are pulled hardest, of those marked.

    Example:
        >>> hardest(np.array([3.0, 1.0, 2.0]), np.array([False, True, True]), 1)
        array([False, False,  True])
    """
    where = np.flatnonzero(among)
    out = np.zeros(len(pull), dtype=bool)
    out[where[np.argsort(-pull[where], kind="stable")[:most]]] = True
    return out
