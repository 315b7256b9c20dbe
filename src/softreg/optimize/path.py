"""One stack of models at one strength after another: what they share is made once, and folds stop when judged enough.

A fold of cross-validation is fitted for its score on the rows held out from it. The kept logits of a stack are those of
all rows, so the held-out loss of every member is at hand after each step, without a product: a member is settled when
what is left of its movement, judged by the last two steps, is less than it needs to be known. (A bound of the training
objective says little of it: where a penalty is weak, a gap of 1e-6 nats has been seen to move the held-out loss by
3e-3.)
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from softreg.optimize.climbing_path import climb_members
from softreg.optimize.clusters import ClusterSketch
from softreg.optimize.coordinates import Coordinates, standardise
from softreg.optimize.descent import Descent
from softreg.optimize.doubt import DoubtSketch, doubtful
from softreg.optimize.lbfgs import LBFGS
from softreg.optimize.momentum import Room
from softreg.optimize.newton import Newton
from softreg.optimize.objective import Objective
from softreg.optimize.orthant import OrthantLBFGS
from softreg.optimize.penalties import Penalty
from softreg.optimize.precondition import DiagonalSketch, Sketch
from softreg.optimize.reduction import Reduction, pays, reduce
from softreg.optimize.remembered import Pair, RememberedLBFGS
from softreg.optimize.screening import MORE, Screening, serves, sparing
from softreg.optimize.solution import StackFit, Status
from softreg.optimize.solve import REVIEWS_MANY, SAMPLE_SHARE, SMALL, choose, many_classes, sampled, warm
from softreg.optimize.strategy import Strategy
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Rows, Sums, one_blas_thread

PROOF, EXACT = 1e-12, 1e-10
"""Members whose gap is proved to be below this leave before they are settled, in nats; and where nothing settles."""
BY_CHANCE = 8.0
"""The mean loss of some rows stands still where gains and losses cancel by chance, which they will not do for long: it
is taken to move by at least `BY_CHANCE / sqrt(rows)` of the mean movement of a row's. (Folds of digits are then within
9e-5 nats at strengths down to 1e-6; by the movement of the mean alone they are 1e-3 off there.)"""
LEAVE = 0.5
"""Settled members wait until this part of the stack is, and leave together: a proof costs about as much as a step."""
UNKNOWN = 1e300
"""The movement of a loss that has been looked at but once."""
UNSEEN = 1e30
"""The loss of a row that has not been looked at, in float32."""
EASY = 12
"""A fit that took more passes than this says that the next one deserves a better sketch of the curvature."""
LEAST_SHRINK, MOST_SHRINK, AGE = 0.5, 0.95, 2.0
"""Movements of a held-out loss are taken to shrink by factors in between, from one step to the next, and after t steps
by no less than `1 - AGE / t`: what has taken long goes on for long."""
TIMES = 3.0
"""What is left of the movement may be so many times the change that counts as none: it is less in truth (measured: half
of it, or less, at nine members of ten on digits, letter and MNIST)."""


class StackPath:
    """A stack over rows that is fitted at several strengths.

    `rows` come with the weights (m, n) of the members. `judge` (L, n) names the member that each row judges in each
    layer, -1 for none, and `count` (n,) how much it counts there.

    Example:
        >>> from softreg.optimize import l2
        >>> from softreg.rows import as_rows
        >>> rows = as_rows(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1]), np.array([[1.0, 1, 1, 0]]))
        >>> fit = StackPath(rows, 2, np.array([[-1, -1, -1, 0]]), np.ones(4)).fit(l2(0.1), None, settled=1e-5)
        >>> fit.settled, np.isnan(fit.held[0, :, 0]).tolist()
        (True, [True, True, True, False])
    """

    def __init__(
        self,
        rows: Rows,
        n_classes: int,
        judge: Array,
        count: Array,
        *,
        fit_intercept: bool = True,
        solver: str = "auto",
        seed: int = 0,
    ) -> None:
        self.q, self.judge, self.count = n_classes, judge, count
        self.fit_intercept, self.solver, self.seed = fit_intercept, solver, seed
        self.small: tuple[Reduction, StackPath] | None = None
        self.rooms: list[Room] = []
        with one_blas_thread():
            self.rows, self.coordinates = standardise(rows, centred=fit_intercept)
            self.hard, self.pairs = False, list[Pair]()
            self._ready()
            self.screening: Screening | None = Screening(self.rows, self.coordinates, n_classes, fit_intercept)

    def _ready(self) -> None:
        """What sketches of the curvature of these rows are made of."""
        few = max(SMALL // 4, self.rows.n // SAMPLE_SHARE)
        drawn, self.few = doubtful(self.rows, self.q), self.rows.n <= few
        self.sample = self.rows if self.few or drawn else self.rows.sample(few, self.seed)
        self.sketch = DoubtSketch() if drawn and not self.few else None

    def fit(
        self,
        penalty: Penalty,
        start: tuple[Array, Array] | None,
        *,
        settled: float,
        max_iter: int = 1000,
        copies: int = 1,
    ) -> StackFit:
        """The members with this penalty, from weights W (m, d, q) and b (m, q) on, or from 0.

        `settled` is in nats: how far a held-out loss may still move, as its last steps tell; 0 asks for proofs of 1e-10
        instead. With `copies` the penalty has that many times m strengths, each m of them for the m members.
        """
        with one_blas_thread():
            if pays(self.rows, self.q, penalty):
                return self._reduced(penalty, start, settled, max_iter, copies)
            if self.screening is not None and serves(self.rows, penalty):
                found, start = self._screened(self.screening, penalty, start, settled, max_iter, copies)
                if found is not None:
                    return found
            rows, sample = (_tiled(r, copies) for r in (self.rows, self.sample))
            if rows.coarse and choose(rows, self.q, penalty, self.solver) == "newton":
                rows = rows.sharper()
            objective = Objective(rows, self.q, penalty, self.coordinates, self.fit_intercept)
            judges = self._judges(copies, objective.m // copies)
            if choose(objective.rows, self.q, penalty, self.solver) == "lbfgs":
                climbed = climb_members(objective, judges, self.count, start, settled, self.seed, self.rooms)
                if climbed is not None:
                    return climbed
            watch = Watch(judges, self.count, self.q, objective)
            strategy, theta = self._strategy(objective, sample), self._begin(objective, start, copies)
            tol = PROOF if settled else EXACT
            descent = WatchedDescent(watch, settled, objective, strategy, theta, tol=tol, max_iter=max_iter)
            outcome = descent.run()
            W, b = self.coordinates.to_user(outcome.theta)
            self.hard = objective.passes > EASY
            self.pairs = strategy.handed_on() if isinstance(strategy, RememberedLBFGS) else []
            done = all(calm or s is Status.CONVERGED for calm, s in zip(descent.calm, outcome.status, strict=True))
            return StackFit(np.moveaxis(W, 1, 2), b, outcome.value, outcome.gap, watch.logits, objective.passes, done)

    def _reduced(
        self, penalty: Penalty, start: tuple[Array, Array] | None, settled: float, max_iter: int, copies: int
    ) -> StackFit:
        """The same in as many dimensions as there are rows; they are factored once for the whole path."""
        if self.small is None:
            small = reduce(self.rows, self.coordinates)
            more = {"fit_intercept": self.fit_intercept, "solver": self.solver, "seed": self.seed}
            self.small = small, StackPath(small.rows, self.q, self.judge, self.count, **more)  # type: ignore[arg-type]
        reduction, path = self.small
        begin = None if start is None else reduction.start(*start)
        found = path.fit(penalty, begin, settled=settled, max_iter=max_iter, copies=copies)
        W, b = reduction.weights(found.W, found.b)
        return replace(found, W=W, b=b)

    def _screened(
        self,
        screening: Screening,
        penalty: Penalty,
        start: tuple[Array, Array] | None,
        settled: float,
        max_iter: int,
        copies: int,
    ) -> tuple[StackFit | None, tuple[Array, Array] | None]:
        """The same on the columns that matter; None where those are too many, and a start for all."""

        def fit(rows: Rows, coordinates: Coordinates, begin: tuple[Array, Array]) -> StackFit:
            few = copy.copy(self)
            few.screening, few.rows, few.coordinates = None, rows, coordinates
            few._ready()
            found = few.fit(penalty, begin, settled=settled, max_iter=max_iter, copies=copies)
            self.hard = few.hard
            return found

        def enough(found: StackFit, gap: Array, pulled: bool) -> bool:
            return not pulled or bool((gap <= np.maximum(MORE * found.gap, PROOF)).all())

        rows = _tiled(self.rows, copies)
        rows = rows if settled or rows.dtype == np.float64 else rows.sharper()
        return screening.fit(rows, penalty, start, fit, enough)

    def _strategy(self, objective: Objective, sample: Rows) -> Strategy:
        if choose(objective.rows, self.q, objective.penalty, self.solver) == "newton":
            return Newton()
        if many_classes(objective):
            return LBFGS(ClusterSketch(), REVIEWS_MANY)
        if self.screening is None and sparing(objective):
            return OrthantLBFGS(DiagonalSketch(sample))
        if self.sketch is not None:
            self.sketch.hard = self.hard
        sketch = self.sketch or Sketch(sample)
        if not objective.penalty.smooth:
            return OrthantLBFGS(sketch)
        return RememberedLBFGS(sketch, objective.ridge, self.pairs)

    def _begin(self, objective: Objective, start: tuple[Array, Array] | None, copies: int) -> Array:
        if start is None:
            theta = np.zeros((objective.m, objective.q, objective.rows.d + 1))
            newton = choose(objective.rows, self.q, objective.penalty, self.solver) == "newton"
            if newton or objective.rows.n <= SMALL or many_classes(objective):
                return theta
            return warm(objective, "lbfgs", _tiled(sampled(self.rows, self.seed), copies), theta)
        W, b = start
        return self.coordinates.from_user(np.moveaxis(W, 1, 2), b)

    def _judges(self, copies: int, m: int) -> Array:
        """The judged member of each row, for all copies of the members: (copies x L, n)."""
        return np.concatenate([np.where(self.judge >= 0, self.judge + r * m, -1) for r in range(copies)])


def _tiled(rows: Rows, copies: int) -> Rows:
    """Fresh rows, whose blocks remember nothing, with the weights repeated."""
    source: Any = rows
    weights = source.weights
    return rows.labelled(source.labels, None if weights is None else np.tile(weights, (copies, 1)))


class Watch:
    """The mean held-out loss (m,) of each member after each step, how far it has moved, and the logits behind it."""

    def __init__(self, judge: Array, count: Array, q: int, objective: Objective) -> None:
        self.judge, self.count, self.members = judge, count, objective.m
        self.logits = np.full((*judge.shape, q), np.nan, dtype=objective.rows.dtype)
        self.losses = np.full(judge.shape, UNSEEN, dtype=np.float32)
        mine = [(judge == j).any(axis=0) for j in range(self.members)]
        self.mass, self.rows = np.array([count[rows].sum() for rows in mine]), np.array([rows.sum() for rows in mine])

    def __call__(self, objective: Objective) -> tuple[Array, Array]:
        """Mean losses (m,) of the members still in the stack, and how far those of their rows move; nan for none."""
        place = np.full(self.members + 1, -1)  # the last entry stands for "nobody"
        place[objective.members] = np.arange(objective.m)

        def part(block: Block) -> Sums:
            total, moved = np.zeros((2, objective.m))
            softmax = objective.softmax(block)
            for layer, judge in enumerate(self.judge):
                at = place[judge[block.start : block.stop]]
                for j in np.unique(at[at >= 0]):
                    mine = np.flatnonzero(at == j)
                    o, rows = softmax.picked(int(j), mine), block.start + mine
                    self.logits[layer, rows] = o.T
                    _, log_mass = loss.probabilities(o[None])
                    lost = log_mass - loss.given(o[None], block.labels[mine])
                    total[j] += loss.weigh(lost, self.count[None, rows])[0]
                    moved[j] += np.abs(lost[0] - self.losses[layer, rows]) @ self.count[rows]
                    self.losses[layer, rows] = lost[0]
            return total, moved

        mass = self.mass[objective.members]
        told = [np.divide(a, mass, out=np.full(objective.m, np.nan), where=mass > 0) for a in objective.rows.sum(part)]
        return told[0], told[1]


def left_to_move(before: Array, last: Array, steps: Array) -> Array:
    """How far a held-out loss (m,) will still move, if movements go on to shrink as the last has from the one before.

    A movement may be small by chance, so it counts as at least half the one before; and never is all over at once, the
    less so the more steps (m,) it has taken.

    Example:
        >>> left_to_move(np.array([2e-5, 1e-5, 2e-5]), np.array([5e-6, 9e-6, 5e-6]), np.array([3, 3, 20])).round(7)
        array([1.0e-05, 8.1e-05, 9.0e-05])
    """
    least = np.maximum(LEAST_SHRINK, 1 - AGE / np.maximum(steps, 1.0))
    shrink = np.divide(last, before, out=np.zeros_like(last), where=before > 0)
    shrink = np.clip(shrink, least, np.maximum(MOST_SHRINK, least))
    return np.asarray(np.maximum(last, before / 2) * shrink / (1 - shrink))


class WatchedDescent(Descent):
    """A descent that ends when the held-out losses of all members have settled; of a model of all rows, its own."""

    def __init__(self, watch: Watch, limit: float, objective: Objective, *rest: Any, **more: Any) -> None:
        super().__init__(objective, *rest, **more)
        self.watch, self.limit = watch, limit
        self.last, self.steps = np.full(watch.members, UNKNOWN), np.zeros(watch.members, dtype=np.int64)
        self.moves = np.full((2, watch.members), UNKNOWN)
        self.calm = np.zeros(watch.members, dtype=bool)
        self._look()

    def _look(self) -> None:
        (held, moved), mine = self.watch(self.objective), self.objective.members
        now = np.where(np.isnan(held), self.loss, held)
        share = np.minimum(1.0, BY_CHANCE / np.sqrt(np.maximum(self.watch.rows[mine], 1.0)))
        latest = np.fmax(np.abs(now - self.last[mine]), share * moved)  # of nan and a number, the number
        moves = np.stack([self.moves[1, mine], latest])
        self.moves[:, mine] = np.where(self.out.n_iter[mine] > self.steps[mine], moves, self.moves[:, mine])
        self.last[mine], self.steps[mine] = now, self.out.n_iter[mine]

    def _keep(self, keep: Array) -> bool:
        if not keep.all():
            self.watch(self.objective)  # the proof with which members leave has balanced their bias
        return super()._keep(keep)

    def _iterate(self, iteration: int) -> bool:
        """One step of all models in the stack; False when none is left to improve."""
        going = super()._iterate(iteration)
        if not going:
            return False
        self._look()
        mine = self.objective.members
        done = left_to_move(self.moves[0, mine], self.moves[1, mine], self.steps[mine]) <= TIMES * self.limit
        if self.limit == 0 or done.sum() < max(1, LEAVE * len(done)):
            return True
        gap, bound = self._prove(np.full(self.objective.m, np.inf), last=True)
        self._record(done, gap, bound, Status.STOPPED)
        self.calm[self.objective.members[done]] = True
        self._keep(~done)
        return self.objective.m > 0
