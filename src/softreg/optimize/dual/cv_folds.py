"""Dual coordinate ascent for the folds of a cross-validation, along a path of strengths where rows are sparse.

Each member of the stack runs by itself on one thread, from the weights that it is given. Its held-out loss costs no
product and no copy of the rows held out: a visit of a row without a weight changes nothing, and if the dual
probabilities of that row are its label, then the divergence that the visit computes, `KL(Y || softmax(o))`, is its loss
(less the entropy of the label). A member ends when its held-out loss has hardly changed between two evaluations and its
gap is small as well; then one pass over the rows certifies the gap and reads the logits of the rows held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.dual.buffer_pool import BufferPool
from softreg.optimize.dual.coordinate_ascent import certify_iterate, count_visits, exceeds_budget, usable_starts
from softreg.optimize.dual.dual_iterate import DualIterate, initial_iterate
from softreg.optimize.dual.dual_reductions import HeldOutRows
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.problem.result import StackFit
from softreg.rows import in_order
from softreg.rows.column_statistics import Labels
from softreg.typing import Array, Float64Array, FloatArray, IntArray

EVALUATION_GAP, FINAL_GAP = 5.0, 0.5
"""Estimated gaps at which held-out losses are evaluated, and at which a member may end, in units of the tolerance of
the held-out loss."""
FINAL_GAP_IN_SAMPLE = 0.1
"""The second for a member whose evaluation rows are also training rows: its held-out loss is not evaluated."""
MAX_REMAINING, SWEEPS_PER_EVALUATION = 2.0, 2
"""How far the held-out loss may still move, in the same units, and sweeps from one evaluation to the next: just after a
move of the anchor all weights are in motion."""
CHANCE_FACTOR = 4.0
"""A mean over rows may stand still where gains and losses cancel by chance: it is taken to move by at least
`CHANCE_FACTOR / sqrt(rows)` of the mean movement of a row's loss."""
RATE_SWEEPS, MIN_RATE, MAX_RATE = 4, 0.25, 0.98
"""The convergence rate is that of so many sweeps: the factor by which a sweep shrinks the gap, within this range."""
MIN_GAP = 1e-12
"""Estimated gaps count as at least this: rounding errors may make them negative."""
LOG_ZERO = -80.0
"""The logarithm of a probability that is 0 in float32 products, and whose exponential is still a normal number."""


def run_sdca_on_folds(
    objective: Objective,
    held_out_by: IntArray,
    count: Float64Array,
    start: tuple[FloatArray, FloatArray] | None,
    tolerance: float,
    seed: int = 0,
    *,
    pools: list[BufferPool] | None = None,
    budgets: Sequence[float] | None = None,
) -> StackFit | None:
    """Run dual coordinate ascent for all members of a stack until their held-out losses have converged.

    Parameters
    ----------
    objective
        The objective of m members.
    held_out_by
        The member that evaluates each row in each layer (L, n), -1 for none.
    count
        Weight (n,) of each row in a held-out loss.
    start
        Weights (m, d, q) and bias (m, q) of the user's columns.
    tolerance
        Change of a held-out loss in nats that does not matter.
    seed
        Seed of the order of the rows.
    pools
        Arrays that are used and added to: the same list for one strength after another saves memory and time.
    budgets
        Sweeps that each member may take; any number if None.

    Returns
    -------
    StackFit or None
        None where the sweeps would exceed the budgets.
    """
    squares = objective.rows.row_squares()
    assert squares is not None
    max_sweeps = [np.inf] * objective.m if budgets is None else list(budgets)
    rows = objective.rows.precise(dtype=np.float32)  # certificates in the precision of the steps: half the cost
    objective = Objective(rows, objective.q, objective.penalty, objective.coordinates, objective.fit_intercept)
    folds = _FoldRuns(
        objective, held_out_by, count, tolerance, seed, squares, max_sweeps, [] if pools is None else pools
    )
    members = list(enumerate(usable_starts(objective, start)))
    tasks = [partial(folds.run, j, member_start) for j, member_start in members]
    tasks += [partial(folds.certify, j) for j, _ in members]
    with objective.meter.passes():
        done = all(list(in_order(lambda task: task(), tasks)))
    count_visits(objective, float(folds.visits.sum()) + rows.n * objective.m)  # with the certificates
    if not done:
        return None
    passes = round(float(folds.visits.max()) / rows.n) + 1
    return StackFit(folds.W, folds.b, folds.value, folds.gap, folds.held_out_logits, passes, converged=True)


class _FoldRuns:
    """The runs of all members, what they share, and where each writes its result.

    Each member runs by itself and writes at its own position, so none is dropped from the others' arrays.
    """

    def __init__(
        self,
        objective: Objective,
        held_out_by: IntArray,
        count: Float64Array,
        tolerance: float,
        seed: int,
        squares: FloatArray,
        budgets: list[float],
        pools: list[BufferPool],
    ) -> None:
        self.objective, self.held_out_by, self.count, self.tolerance = objective, held_out_by, count, tolerance
        self.seed, self.squares, self.budgets, self.pools = seed, squares, budgets, pools
        rows, m, q = objective.rows, objective.m, objective.q
        self.labels = rows.map(Labels())
        self.W = np.empty((m, rows.d, q), np.float32)
        self.b = np.empty((m, q))
        self.held_out_logits = np.full((*held_out_by.shape, q), np.nan, dtype=rows.dtype)
        self.value, self.gap, self.visits = np.full(m, np.inf), np.full(m, np.inf), np.zeros(m)
        self.iterates: list[Future[DualIterate | None]] = [Future() for _ in range(m)]

    def run(self, j: int, start: tuple[FloatArray, FloatArray] | None) -> bool:
        """Run one member; return False where it takes longer than L-BFGS would."""
        try:
            with self._pool() as pool:
                self.iterates[j].set_result(self._sweep_until_converged(j, start, pool))
        except BaseException as error:
            self.iterates[j].set_exception(error)  # the task that certifies this member waits for it
            raise
        return self.iterates[j].result() is not None

    def _sweep_until_converged(
        self, j: int, start: tuple[FloatArray, FloatArray] | None, pool: BufferPool
    ) -> DualIterate | None:
        objective = self.objective
        iterate = initial_iterate(objective, j, self.labels, self.squares, self.seed, start, buffers=pool, W=self.W[j])
        rows = np.flatnonzero((self.held_out_by == j).any(axis=0))
        monitor = _HeldOutMonitor(iterate, rows, self.labels, self.count)
        while True:
            iterate.sweep(objective.rows)
            if exceeds_budget(iterate, self.budgets[j] * objective.rows.n, self.tolerance):
                return None
            gap = iterate.gaps[-1] / self.tolerance
            if gap > EVALUATION_GAP or len(iterate.gaps) % SWEEPS_PER_EVALUATION:
                continue
            if monitor.remaining(objective) <= MAX_REMAINING * self.tolerance and gap <= monitor.final_gap:
                iterate.momentum = None  # its arrays are used by another member next
                return iterate

    def certify(self, j: int) -> bool:
        """Certify a member when its run has ended, and read the logits of its held-out rows.

        Certificates come after all runs: with fewer threads than members, some would wait for the last run.

        Returns
        -------
        bool
            Whether the run of the member has ended within its budget.
        """
        iterate = self.iterates[j].result()
        if iterate is None:
            return False

        held_out = HeldOutRows(self.held_out_by, j, self.held_out_logits)
        with self._pool() as pool:
            certificate = certify_iterate(self.objective, j, iterate, held_out=held_out, buffers=pool)
        self.b[j], self.visits[j] = iterate.bias, iterate.visits
        self.value[j], self.gap[j] = certificate.value, certificate.gap
        return True

    @contextmanager
    def _pool(self) -> Iterator[BufferPool]:
        """Yield a buffer pool that no other member uses at the same time."""
        try:
            pool = self.pools.pop()
        except IndexError:
            pool = BufferPool(self.objective.rows.d, self.objective.q)
        yield pool
        self.pools.append(pool)


class _HeldOutMonitor:
    """The held-out loss of a member, from visits to its held-out rows."""

    def __init__(self, iterate: DualIterate, rows: IntArray, labels: Array, count: Float64Array) -> None:
        out_of_sample = iterate.weights is not None and not iterate.weights[rows].any()
        self.final_gap = FINAL_GAP if out_of_sample or len(rows) == 0 else FINAL_GAP_IN_SAMPLE
        self.iterate, self.rows = iterate, rows if out_of_sample else rows[:0]
        count = count[self.rows]
        if labels.ndim == 1:
            log_labels = np.full((len(self.rows), iterate.dual.log_alpha.shape[1]), LOG_ZERO, np.float32)
            log_labels[np.arange(len(self.rows)), labels[self.rows]] = 0.0
        else:
            log_labels = np.log(np.maximum(labels[self.rows], np.exp(LOG_ZERO))).astype(np.float32)
        iterate.dual.log_alpha[self.rows] = log_labels
        self.chance = min(1.0, CHANCE_FACTOR / np.sqrt(max(len(self.rows), 1)))
        self.weight = count / max(float(count.sum()), TINY)
        self.losses, self.movement = np.full(len(self.rows), np.inf), 0.0

    def remaining(self, objective: Objective) -> float:
        """Return how far the mean loss may still move: its last change, extrapolated at the rate of the gap.

        It is 0 without rows. The loss depends on the weights, whose distance from the optimum is as the root of the
        gap.

        Returns
        -------
        float
            Movement in nats.
        """
        if len(self.rows) == 0:
            return 0.0
        objective.rows.dual_steps(self.rows, self.iterate.dual)
        losses = self.iterate.dual.divergence[self.rows]
        change, self.losses = losses - self.losses, losses
        if not np.isfinite(change).all():  # the first evaluation, or steps that have overflowed
            return np.inf
        before = self.movement
        self.movement = max(abs(change @ self.weight), self.chance * (np.abs(change) @ self.weight))
        gaps = np.maximum(self.iterate.gaps[-RATE_SWEEPS - 1 :], MIN_GAP)
        rate = (gaps[-1] / gaps[0]) ** (1 / max(len(gaps) - 1, 1))
        shrink = np.sqrt(min(max(rate, MIN_RATE), MAX_RATE)) ** SWEEPS_PER_EVALUATION
        return float(max(self.movement, shrink * before) * shrink / (1 - shrink))
