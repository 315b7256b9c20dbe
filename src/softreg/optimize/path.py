"""One stack of models at one strength after another: what they share is made once and handed on."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from softreg.optimize.curvature.class_clusters import ClusterSketch
from softreg.optimize.curvature.importance_sampled import DoubtSketch, can_importance_sample
from softreg.optimize.curvature.subsampled import DiagonalSketch, Sketch
from softreg.optimize.dual.buffer_pool import BufferPool
from softreg.optimize.dual.cv_folds import run_sdca_on_folds
from softreg.optimize.heldout_stopping import Watch, WatchedDescent
from softreg.optimize.minimisation import REVIEWS_MANY, SAMPLE_SHARE, SMALL, choose, many_classes, sampled, warm
from softreg.optimize.objective.cached import Objective
from softreg.optimize.problem.penalties import Penalty
from softreg.optimize.problem.result import StackFit, Status
from softreg.optimize.problem.standardization import Coordinates, standardise
from softreg.optimize.reduction.row_space import Reduction, reduce, row_space_pays
from softreg.optimize.reduction.screening import MORE, Screening, can_screen, diagonal_suffices
from softreg.optimize.solvers.direction import DirectionMethod
from softreg.optimize.solvers.lbfgs import LBFGS, PathLBFGS
from softreg.optimize.solvers.lbfgs_memory import LossPair
from softreg.optimize.solvers.newton import Newton
from softreg.optimize.solvers.orthant_lbfgs import OrthantLBFGS
from softreg.rows import Array, Rows, one_blas_thread
from softreg.typing import IntArray

PROOF, EXACT = 1e-12, 1e-10
"""Members whose gap is proved to be below this leave before they are settled, in nats; and where nothing settles."""
EASY = 12
"""A fit that took more passes than this says that the next one deserves a better sketch of the curvature."""


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
        self.pools: list[BufferPool] = []
        with one_blas_thread():
            self.rows, self.coordinates = standardise(rows, centred=fit_intercept)
            self.hard, self.pairs = False, list[LossPair]()
            self._ready()
            self.screening: Screening | None = Screening(self.rows, self.coordinates, n_classes, fit_intercept)

    def _ready(self) -> None:
        """What sketches of the curvature of these rows are made of."""
        few = max(SMALL // 4, self.rows.n // SAMPLE_SHARE)
        drawn, self.few = can_importance_sample(self.rows, self.q), self.rows.n <= few
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
            if row_space_pays(self.rows, self.q, penalty):
                return self._reduced(penalty, start, settled, max_iter, copies)
            if self.screening is not None and can_screen(self.rows, penalty):
                found, start = self._screened(self.screening, penalty, start, settled, max_iter, copies)
                if found is not None:
                    return found
            rows = _tiled(self.rows, copies)
            sample = rows if self.sample is self.rows else _tiled(self.sample, copies)
            if rows.reduced_precision and choose(rows, self.q, penalty, self.solver) == "newton":
                rows = rows.with_higher_precision()
            objective = Objective(rows, self.q, penalty, self.coordinates, self.fit_intercept)
            judges = self._judges(copies, objective.m // copies)
            if choose(objective.rows, self.q, penalty, self.solver) == "lbfgs":
                climbed = run_sdca_on_folds(objective, judges, self.count, start, settled, self.seed, pools=self.pools)
                if climbed is not None:
                    return climbed
            watch = Watch(judges, self.count, self.q, objective)
            strategy, theta = self._strategy(objective, sample), self._begin(objective, start, copies)
            tol = PROOF if settled else EXACT
            descent = WatchedDescent(watch, settled, objective, strategy, theta, tol=tol, max_iter=max_iter)
            outcome = descent.run()
            W, b = self.coordinates.to_user(outcome.theta)
            self.hard = objective.passes > EASY
            self.pairs = strategy.loss_pairs() if isinstance(strategy, PathLBFGS) else []
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

        def fit(rows: Rows, coordinates: Coordinates, columns: IntArray, begin: tuple[Array, Array]) -> StackFit:
            few = copy.copy(self)
            few.screening, few.rows, few.coordinates = None, rows, coordinates
            few._ready()
            found = few.fit(penalty.keep_columns(columns), begin, settled=settled, max_iter=max_iter, copies=copies)
            self.hard = few.hard
            return found

        def enough(found: StackFit, gap: Array, pulled: bool) -> bool:
            return not pulled or bool((gap <= np.maximum(MORE * found.gap, PROOF)).all())

        rows = _tiled(self.rows, copies)
        rows = rows if settled or rows.dtype == np.float64 else rows.with_higher_precision()
        return screening.fit(rows, penalty, start, fit, enough)

    def _strategy(self, objective: Objective, sample: Rows) -> DirectionMethod:
        if choose(objective.rows, self.q, objective.penalty, self.solver) == "newton":
            return Newton()
        if many_classes(objective):
            return LBFGS(ClusterSketch(), REVIEWS_MANY)
        if self.screening is None and diagonal_suffices(objective):
            return OrthantLBFGS(DiagonalSketch(sample))
        if self.sketch is not None:
            self.sketch.hard = self.hard
        sketch = self.sketch or Sketch(sample)
        if not objective.penalty.is_smooth:
            return OrthantLBFGS(sketch)
        return PathLBFGS(sketch, objective.ridge, self.pairs)

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
    return rows.labelled(
        source.labels, None if weights is None else weights if copies == 1 else np.tile(weights, (copies, 1))
    )
