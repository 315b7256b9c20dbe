"""The members of a stack climbing their duals: the quick way along a path of strengths where rows are sparse.

Each member climbs by itself, one thread each, from the weights that it is given. What it is judged by costs no product
and no copy of the rows held out: a visit of a row that has no weight changes nothing, and if the dual probabilities of
that row are its label, then the divergence that the visit tells, `KL(Y || softmax(o))`, is its held-out loss (less the
entropy of the label). A member is done when two looks in succession have hardly changed its mean, and its gap is small
as well; then one pass over the rows proves the gap and reads the logits of the rows held out.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial

import numpy as np

from softreg.optimize.dual.acceleration import BufferPool
from softreg.optimize.dual.coordinate_ascent import HeldOutRows, budgets, lost, prove, starts
from softreg.optimize.dual.state import DualIterate, begin
from softreg.optimize.objective.cached import Objective
from softreg.optimize.problem.result import StackFit
from softreg.rows import Array, in_order
from softreg.rows.reductions import Labels

LOOK, NEAR = 5.0, 0.5
"""The estimated gaps from which on a member is looked at, and at which it may be done, in units of the change of a
held-out loss that counts as none."""
UNSEEN = 0.1
"""The estimated gap at which a member may be done that is judged on rows it is trained on: no visit looks at those."""
ENOUGH, EVERY = 2.0, 2
"""How far its held-out loss may still be expected to go, in the same units, and sweeps from look to look: just after a
move of the anchor all is in motion."""
BY_CHANCE = 4.0
"""A mean over rows may stand still where gains and losses cancel by chance: it is taken to move by at least
`BY_CHANCE / sqrt(rows)` of the mean movement of a row's loss."""
SPAN, FASTEST, SLOWEST = 4, 0.25, 0.98
"""The pace is that of so many sweeps: what a sweep leaves of the gap, at least and at most."""
FINEST = 1e-6
"""Where held-out losses are to be known better than this, in nats, steps in float32 are not enough."""
NEVER = -80.0
"""The logarithm of a probability that is 0 in float32 products, and whose exponential is still a normal number."""


def climb_members(
    objective: Objective,
    judge: Array,
    count: Array,
    start: tuple[Array, Array] | None,
    settled: float,
    seed: int = 0,
    rooms: list[BufferPool] | None = None,
) -> StackFit | None:
    """All members of a stack until their held-out losses have settled, or None where this is not the way.

    `judge` (L, n) names the member that each row judges in each layer, -1 for none, `count` (n,) how much it counts
    there; `start` is weights (m, d, q) and bias (m, q), `settled` in nats. `rooms` are used and
    added to: the same list for one strength after another spares memory and time.
    """
    squares = objective.rows.row_squares()
    most = budgets(objective, squares) if settled >= FINEST else None
    if squares is None or most is None:
        return None
    single = objective.rows.precise(dtype=np.float32)  # proofs in the precision of the steps: half the price
    objective = Objective(single, objective.q, objective.penalty, objective.coordinates, objective.fit_intercept)
    climbing = _Climbing(objective, judge, count, settled, seed, squares, most, [] if rooms is None else rooms)
    members = list(enumerate(starts(objective, start)))
    todo = [partial(climbing.run_sdca, j, begun) for j, begun in members]
    todo += [partial(climbing.prove, j) for j, _ in members]
    if not all(list(in_order(lambda work: work(), todo))):
        return None
    value, gap, visits = np.array(climbing.told).T
    passes = round(float(visits.max()) / single.n) + 1
    return StackFit(climbing.W, climbing.b, value, gap, climbing.held, passes, settled=True)


class _Climbing:
    """What the members share, and where each writes what it has found."""

    def __init__(
        self,
        objective: Objective,
        judge: Array,
        count: Array,
        settled: float,
        seed: int,
        squares: Array,
        most: list[float],
        rooms: list[BufferPool],
    ) -> None:
        self.objective, self.judge, self.count, self.settled = objective, judge, count, settled
        self.seed, self.squares, self.most, self.rooms = seed, squares, most, rooms
        rows, m, q = objective.rows, objective.m, objective.q
        self.labels = rows.map(Labels())
        self.W = np.empty((m, rows.d, q), np.float32)
        self.b = np.empty((m, q))
        self.held = np.full((*judge.shape, q), np.nan, dtype=rows.dtype)
        self.told = [(np.inf, np.inf, 0.0)] * m
        self.climbs: list[Future[DualIterate | None]] = [Future() for _ in range(m)]

    def run_sdca(self, j: int, start: tuple[Array, Array] | None) -> bool:
        """DualIterate with one member; False where it is the wrong way after all."""
        try:
            with self._room() as room:
                self.climbs[j].set_result(self._climb(j, start, room))
        except BaseException as error:
            self.climbs[j].set_exception(error)  # for who waits to prove it
            raise
        return self.climbs[j].result() is not None

    def _climb(self, j: int, start: tuple[Array, Array] | None, room: BufferPool) -> DualIterate | None:
        objective = self.objective
        one = begin(objective, j, self.labels, self.squares, self.seed, start, room, self.W[j])
        look = _Look(one, np.flatnonzero((self.judge == j).any(axis=0)), self.labels, self.count)
        while True:
            one.sweep(objective.rows)
            if lost(one, self.most[j] * objective.rows.n, self.settled):
                return None
            gap = one.gaps[-1] / self.settled
            if gap > LOOK or len(one.gaps) % EVERY:
                continue
            if look.left(objective) <= ENOUGH * self.settled and gap <= look.near:
                one.momentum = None  # its arrays are another member's next
                return one

    def prove(self, j: int) -> bool:
        """Prove where a member is, when its climb has ended, and read the logits of the rows that it is judged by.

        Proofs come after all climbs: with fewer threads than members, some would wait for the last climb.
        """
        one = self.climbs[j].result()
        if one is None:
            return False

        with self._room() as room:
            value, gap = prove(self.objective, j, one, HeldOutRows(self.judge, j, self.held), room)
        self.b[j], self.told[j] = one.bias, (value, gap, float(one.visits))
        return True

    @contextmanager
    def _room(self) -> Iterator[BufferPool]:
        """A room that no other member uses meanwhile."""
        try:
            room = self.rooms.pop()
        except IndexError:
            room = BufferPool(self.objective.rows.d, self.objective.q)
        yield room
        self.rooms.append(room)


class _Look:
    """The held-out loss of a member, from visits to the rows that judge it."""

    def __init__(self, one: DualIterate, rows: Array, labels: Array, count: Array) -> None:
        free = one.weights is not None and not one.weights[rows].any()  # a row may be judged and trained on as well
        self.near = NEAR if free or len(rows) == 0 else UNSEEN
        self.one, self.rows = one, rows if free else rows[:0]
        self.count = count[self.rows]
        if labels.ndim == 1:
            self.given = np.full((len(self.rows), one.dual.log_alpha.shape[1]), NEVER, np.float32)
            self.given[np.arange(len(self.rows)), labels[self.rows]] = 0.0
        else:
            self.given = np.log(np.maximum(labels[self.rows], np.exp(NEVER))).astype(np.float32)
        one.dual.log_alpha[self.rows] = self.given
        self.share = min(1.0, BY_CHANCE / np.sqrt(max(len(self.rows), 1)))
        self.weight = self.count / max(float(self.count.sum()), 1e-300)
        self.last, self.moved = np.full(len(self.rows), np.inf), 0.0

    def left(self, objective: Objective) -> float:
        """How far the mean loss may still go: its last change, going on at the pace of the gap; 0 for no rows.

        The loss goes with the weights, whose distance from the best ones is as the root of the gap.
        """
        if len(self.rows) == 0:
            return 0.0
        objective.rows.dual_steps(self.rows, self.one.dual)
        now = self.one.dual.divergence[self.rows]
        change, self.last = now - self.last, now
        if not np.isfinite(change).all():  # the first look, or steps that have overflowed
            return np.inf
        before, self.moved = self.moved, max(abs(change @ self.weight), self.share * (np.abs(change) @ self.weight))
        gaps = np.maximum(self.one.gaps[-SPAN - 1 :], 1e-12)  # rounding may have made them negative
        ratio = (gaps[-1] / gaps[0]) ** (1 / max(len(gaps) - 1, 1))
        pace = np.sqrt(min(max(ratio, FASTEST), SLOWEST)) ** EVERY
        return float(max(self.moved, pace * before) * pace / (1 - pace))
