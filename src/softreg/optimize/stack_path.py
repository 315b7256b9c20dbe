"""Fits a stack of models, such as the folds of a cross-validation, at one strength after another."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from softreg.optimize.curvature.importance_sampled import ImportanceSampledCurvature
from softreg.optimize.curvature.subsampled import DiagonalCurvature, SubsampledCurvature
from softreg.optimize.dual.buffer_pool import BufferPool
from softreg.optimize.dual.cv_folds import run_sdca_on_folds
from softreg.optimize.heldout_stopping import HeldOutDescent, HeldOutRows
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.plan.conditions import sample_size
from softreg.optimize.plan.dual_cost import dual_budgets
from softreg.optimize.plan.problem_facts import Facts, Purpose, facts_of
from softreg.optimize.plan.rules import FAMILIES, choose, without_single_rows
from softreg.optimize.plan.strategies import DIRECTIONS, sampled, strategy_for, warm_start
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.penalty_table import Penalty
from softreg.optimize.problem.result import StackFit, Status
from softreg.optimize.problem.solver_plan import CurvatureModel, Method, Plan, Start, Transform
from softreg.optimize.problem.standardization import standardise
from softreg.optimize.problem_reduction.row_space import Reduction, reduce
from softreg.optimize.problem_reduction.working_sets import MAX_GAP_GROWTH, Screening, Weights, WorkingSetSearch
from softreg.optimize.solvers.direction import DirectionMethod
from softreg.optimize.solvers.lbfgs import REVIEWS, PathLBFGS
from softreg.optimize.solvers.lbfgs_memory import LossPair
from softreg.rows import Array, Rows, one_blas_thread

TOLERANCE, EXACT_TOLERANCE = 1e-12, 1e-10
"""Certified gaps in nats at which members leave before their held-out losses have converged, and where no tolerance of
these is given."""
HARD_PASSES = 12
"""After a fit with more passes than this, the next one samples more rows for its curvature."""


class StackPath:
    """A stack over rows that is fitted at several strengths.

    What fits at different strengths share is computed once: the coordinates, the factorisation in the space of the
    rows, samples, curvature, correction pairs and the dual norms of the columns.

    Parameters
    ----------
    rows : Rows
        Rows with the weights (m, n) of the members.
    n_classes : int
    held_out_by : ndarray of shape (L, n)
        The member that each row evaluates in each layer, -1 for none.
    count : ndarray of shape (n,)
        Weight of each row in a held-out loss.
    fit_intercept : bool
    solver : str
        As in `minimise`.
    seed : int
    limits : Limits
        Thresholds of the choice of a method.

    Examples
    --------
    >>> from softreg.optimize import l2
    >>> from softreg.rows import as_rows
    >>> rows = as_rows(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1]), np.array([[1.0, 1, 1, 0]]))
    >>> fit = StackPath(rows, 2, np.array([[-1, -1, -1, 0]]), np.ones(4)).fit(l2(0.1), None, tolerance=1e-5)
    >>> fit.converged, np.isnan(fit.held_out_logits[0, :, 0]).tolist()
    (True, [True, True, True, False])
    """

    def __init__(
        self,
        rows: Rows,
        n_classes: int,
        held_out_by: Array,
        count: Array,
        *,
        fit_intercept: bool = True,
        solver: str = "auto",
        seed: int = 0,
        limits: Limits = LIMITS,
    ) -> None:
        self.q, self.held_out_by, self.count = n_classes, held_out_by, count
        self.fit_intercept, self.solver, self.seed, self.limits = fit_intercept, solver, seed, limits
        self.small: tuple[Reduction, StackPath] | None = None
        self.pools: list[BufferPool] = []
        with one_blas_thread():
            self.rows, self.coordinates = standardise(rows, centred=fit_intercept)
            self.hard, self.pairs = False, list[LossPair]()
            self.sample: Rows | None = None
            self.sketch: ImportanceSampledCurvature | None = None
            self.screening: Screening | None = Screening(self.rows, self.coordinates, n_classes, fit_intercept)

    def fit(
        self,
        penalty: Penalty,
        start: Weights | None,
        *,
        tolerance: float,
        max_iter: int = 1000,
        copies: int = 1,
    ) -> StackFit:
        """Fit the members with this penalty.

        Parameters
        ----------
        penalty : Penalty
            One strength for each member; with `copies`, that many times m strengths, each m of them for the m members.
        start : tuple of ndarray, optional
            Weights W (m, d, q) and bias b (m, q) to begin with.
        tolerance : float
            Nats: how far a held-out loss may still move, extrapolated from its last iterations; 0 asks for certified
            gaps of 1e-10 instead.
        max_iter : int
        copies : int

        Returns
        -------
        StackFit
        """
        with one_blas_thread():
            facts = self._facts(penalty, start, tolerance)
            plan = choose(facts, self.solver, self.limits)
            if plan.transform is Transform.ROW_SPACE:
                return self._in_row_space(penalty, start, tolerance, max_iter, copies)
            if plan.transform is Transform.WORKING_SET:
                fit, start = self._on_working_sets(penalty, start, tolerance, max_iter, copies)
                if fit is not None:
                    return fit
                facts = replace(self._facts(penalty, start, tolerance), column_access=False)
                plan = choose(facts, self._inner_solver(), self.limits)
            return self._by_plan(facts, plan, penalty, start, tolerance, max_iter, copies)

    def _facts(self, penalty: Penalty, start: Weights | None, tolerance: float) -> Facts:
        """Return the facts about the stack at this penalty."""
        return facts_of(
            self.rows,
            self.q,
            penalty,
            started=start is not None,
            working_set=self.screening is None,
            purpose=Purpose.PATH,
            tolerance=tolerance,
        )

    def _inner_solver(self) -> str:
        """Return the solver of a transformed problem: a plan that was forced is the transform's."""
        return self.solver if self.solver in FAMILIES else "auto"

    def _by_plan(
        self,
        facts: Facts,
        plan: Plan,
        penalty: Penalty,
        start: Weights | None,
        tolerance: float,
        max_iter: int,
        copies: int,
    ) -> StackFit:
        """Fit the members by a plan without a transform."""
        rows = _tiled(self.rows, copies)
        if rows.reduced_precision and plan.curvature is CurvatureModel.EXACT:
            rows = rows.with_higher_precision()
        objective = Objective(rows, self.q, penalty, self.coordinates, self.fit_intercept)
        held_out_by = self._held_out_by(copies, objective.m // copies)
        if plan.method is Method.DUAL_ASCENT:
            budgets = dual_budgets(facts, self.limits) if self.solver in FAMILIES else None
            fit = run_sdca_on_folds(
                objective, held_out_by, self.count, start, tolerance, self.seed, pools=self.pools, budgets=budgets
            )
            if fit is not None:
                return fit
            plan = choose(without_single_rows(facts), "lbfgs", self.limits)
        held_out = HeldOutRows(held_out_by, self.count, self.q, objective)
        strategy, theta = self._strategy(objective, plan, copies), self._begin(objective, plan, start, copies)
        tol = TOLERANCE if tolerance else EXACT_TOLERANCE
        descent = HeldOutDescent(held_out, tolerance, objective, strategy, theta, tol=tol, max_iter=max_iter)
        outcome = descent.run()
        W, b = self.coordinates.to_user(outcome.theta)
        self.hard = objective.passes > HARD_PASSES
        self.pairs = strategy.loss_pairs() if isinstance(strategy, PathLBFGS) else []
        at_optimum = (Status.CONVERGED, Status.UNCERTIFIED)
        converged = descent.converged | (outcome.gap <= tolerance) | np.isin(outcome.status, at_optimum)
        done = bool(converged.all())
        return StackFit(np.moveaxis(W, 1, 2), b, outcome.value, outcome.gap, held_out.logits, objective.passes, done)

    def _in_row_space(
        self, penalty: Penalty, start: Weights | None, tolerance: float, max_iter: int, copies: int
    ) -> StackFit:
        """Fit in as many dimensions as there are rows; they are factored once for the whole path."""
        if self.small is None:
            small = reduce(self.rows, self.coordinates)
            path = StackPath(
                small.rows,
                self.q,
                self.held_out_by,
                self.count,
                fit_intercept=self.fit_intercept,
                solver=self._inner_solver(),
                seed=self.seed,
                limits=self.limits,
            )
            self.small = small, path
        reduction, path = self.small
        begin = None if start is None else reduction.start(*start)
        fit = path.fit(penalty, begin, tolerance=tolerance, max_iter=max_iter, copies=copies)
        W, b = reduction.weights(fit.W, fit.b)
        return replace(fit, W=W, b=b)

    def _on_working_sets(
        self,
        penalty: Penalty,
        start: Weights | None,
        tolerance: float,
        max_iter: int,
        copies: int,
    ) -> tuple[StackFit | None, Weights | None]:
        """Return the fit on working sets, or None where these grow too large, and the start of a fit on all columns."""
        assert self.screening is not None
        rows = _tiled(self.rows, copies)
        rows = rows if tolerance or rows.dtype == np.float64 else rows.with_higher_precision()
        search = WorkingSetSearch(self.screening, rows, penalty, start)
        while search.is_small:
            path = copy.copy(self)
            path.screening, path.rows, path.coordinates = None, search.rows, search.coordinates
            path.sample = path.sketch = None
            path.solver = self._inner_solver()
            of_columns = penalty.keep_columns(search.columns)
            fit = path.fit(of_columns, search.start, tolerance=tolerance, max_iter=max_iter, copies=copies)
            self.hard = path.hard
            check = search.check(fit)
            if not check.violated or (check.gap <= np.maximum(MAX_GAP_GROWTH * fit.gap, TOLERANCE)).all():
                return search.finish(fit, check), None
            search.grow(check)
        return None, search.start_for_all

    def _strategy(self, objective: Objective, plan: Plan, copies: int) -> DirectionMethod:
        """Return the directions of the plan; sketches of the curvature and pairs are those of the strength before."""
        if plan.curvature not in (CurvatureModel.SAMPLED, CurvatureModel.IMPORTANCE_SAMPLED):
            if plan.curvature is CurvatureModel.DIAGONAL and plan.method is Method.LBFGS:
                return PathLBFGS(DiagonalCurvature(objective.rows), objective.ridge, self.pairs)
            return strategy_for(plan, objective.rows, limits=self.limits)
        if plan.curvature is CurvatureModel.IMPORTANCE_SAMPLED:
            self.sketch = self.sketch or ImportanceSampledCurvature(self.limits)
            self.sketch.use_more_rows(self.hard)
            sketch: SubsampledCurvature = self.sketch
        else:
            sketch = SubsampledCurvature(self._sample(objective, copies), self.limits)
        if plan.method is Method.LBFGS:
            return PathLBFGS(sketch, objective.ridge, self.pairs)
        return DIRECTIONS[plan.method](sketch, REVIEWS, self.limits)

    def _sample(self, objective: Objective, copies: int) -> Rows:
        """Return the rows from which the curvature is computed: a sample that is drawn once for the whole path."""
        size = sample_size(self.rows.n, self.limits)
        if self.rows.n <= size:
            return objective.rows
        if self.sample is None:
            self.sample = self.rows.sample(size, self.seed)
        return _tiled(self.sample, copies)

    def _begin(self, objective: Objective, plan: Plan, start: Weights | None, copies: int) -> Array:
        """Return the given parameters, those of a sample, or zeros."""
        if start is not None:
            W, b = start
            return self.coordinates.from_user(np.moveaxis(W, 1, 2), b)
        theta = np.zeros((objective.m, objective.q, objective.rows.d + 1))
        if plan.start is not Start.SAMPLE:
            return theta
        sample = _tiled(sampled(self.rows, self.seed, self.limits), copies)
        return warm_start(objective, plan, sample, theta, limits=self.limits)

    def _held_out_by(self, copies: int, m: int) -> Array:
        """Return the member that each row evaluates, for all copies of the members: (copies x L, n)."""
        return np.concatenate([np.where(self.held_out_by >= 0, self.held_out_by + r * m, -1) for r in range(copies)])


def _tiled(rows: Rows, copies: int) -> Rows:
    """Return the rows with the weights repeated."""
    source: Any = rows
    weights = source.weights
    return rows.labelled(
        source.labels, None if weights is None else weights if copies == 1 else np.tile(weights, (copies, 1))
    )
