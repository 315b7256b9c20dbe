"""Search for the strength: fits along the path, each started from those before, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from softreg.models.parameters.parameter_checks import SearchGrid
from softreg.models.selection.fold_scores import FoldScorer
from softreg.models.selection.fold_stack import FoldStack, StackSolution, Weights
from softreg.models.selection.folds_on_workers.worker_folds import WorkerFolds, WorkerFoldScorer
from softreg.models.selection.penalty_spec import PenaltySpec
from softreg.models.selection.regularization_path import PathPoint
from softreg.models.selection.relaxed_fits import fit_relaxed
from softreg.models.selection.selection_rule import choose_point
from softreg.models.selection.strength_grid import (
    has_ended,
    largest_strength,
    next_strength,
    null_gradient,
    refining_strengths,
)
from softreg.optimize import FitCost
from softreg.optimize.cost.meter import metered
from softreg.typing import Array

EXTRAPOLATION = 0.6
"""How far a start is extrapolated beyond the last solution, in steps of the path, where these are long."""
SHORT_STEP = 4.0
"""Up to this factor between strengths a start continues the parabola through the last three solutions, as functions of
the logarithm of the strength; measured on MNIST in factors of 2.8: 0.25 of the distance remains instead of 0.6."""
EVEN_STEPS = 1.5
"""Steps whose lengths differ by less than this factor are even enough for a parabola."""
RUN = 1024
"""Features whose weights are combined at a time, so that temporary arrays stay in the cache of the processor."""
MAX_STORED_BYTES = 2**28
"""Bytes of the stored weights of all members at visited points, which give better starts between these."""


@dataclass(frozen=True)
class VisitedPoint:
    """A strength and the solution there."""

    strength: float
    solution: StackSolution


@dataclass(frozen=True)
class SearchResult:
    """Result of the search.

    Parameters
    ----------
    points : list of PathPoint
        All points of the path, in the order of their fits.
    chosen : PathPoint
        The chosen point.
    weights : pair of ndarray or None
        W (d, q) and b (q,) at the elastic net of the chosen point: of all rows, or the mean of the folds.
    relaxed_weights : pair of ndarray or None
        The same at the chosen point, if that is relaxed.
    out_of_fold : ndarray of shape (n, q), or None
        Out-of-fold probabilities at the chosen point; None where rows stay on workers.
    passes : int
        Passes over the rows.
    cost : FitCost
        What the search cost.
    """

    points: list[PathPoint]
    chosen: PathPoint
    weights: Weights | None
    relaxed_weights: Weights | None
    out_of_fold: Array | None
    passes: int
    cost: FitCost


class StrengthSearch:
    """Fits and scores the points of the path.

    Parameters
    ----------
    stack : FoldStack or WorkerFolds
        The models of the folds.
    scorer : FoldScorer or WorkerFoldScorer
        Scores them on held-out rows.
    rule : {"min", "1se"}
        How a point is chosen.
    more_is_better : bool
        Whether a larger score is better.
    listener : callable or None
        Receives each `PathPoint`.
    """

    def __init__(
        self,
        stack: FoldStack | WorkerFolds,
        scorer: FoldScorer | WorkerFoldScorer,
        *,
        rule: str,
        more_is_better: bool,
        listener: Callable[[PathPoint], object] | None,
    ) -> None:
        self.stack, self.scorer, self.rule = stack, scorer, rule
        self.more_is_better, self.listener = more_is_better, listener
        self.points: list[PathPoint] = []
        self._weights: dict[PenaltySpec, Weights] = {}
        """Weights of all rows, or the mean of the folds, at each penalty."""
        self._probabilities: dict[PenaltySpec, Array | None] = {}
        self._stored: dict[PenaltySpec, StackSolution] = {}
        self._passes = 0

    def run(self, grid: SearchGrid) -> SearchResult:
        """Fit the strengths of the grid, or those of a path that the data determine, and choose one.

        Parameters
        ----------
        grid : SearchGrid
            Strengths, l1_ratios and relaxed shares.

        Returns
        -------
        SearchResult
            The points and the chosen one.
        """
        with metered() as meter:
            self._fit_grid(grid)
        cost = meter.finish()
        chosen = choose_point(self.points, self.rule, self.more_is_better)
        spec = PenaltySpec(chosen.strength, chosen.l1_ratio, chosen.relaxed)
        return SearchResult(
            points=self.points,
            chosen=chosen,
            weights=self._weights[spec.elastic_net],
            relaxed_weights=self._weights[spec] if spec.is_relaxed else None,
            out_of_fold=self._probabilities[spec],
            passes=self._passes,
            cost=cost,
        )

    def _fit_grid(self, grid: SearchGrid) -> None:
        """Fit the strengths of the grid, or those of a path that the data determine."""
        self.relaxed_shares, self._stores = grid.relaxed, grid.strengths is None
        if grid.strengths is None:
            self._descend(grid.l1_ratios)
            self._refine()
        else:
            visited: dict[float, list[VisitedPoint]] = {ratio: [] for ratio in grid.l1_ratios}
            for strength in grid.strengths:
                self._fit_strength(strength, grid.l1_ratios, visited)

    def _descend(self, l1_ratios: Sequence[float]) -> None:
        """Fit decreasing strengths, from practically zero weights until the log loss of each l1_ratio has turned."""
        settings = self.stack.settings
        A, entropy = null_gradient(self.stack.rows, self.stack.q, settings.fit_intercept)
        strength = max(largest_strength(A, entropy, r, settings.penalty, settings.structure) for r in l1_ratios)
        active = list(l1_ratios)
        visited: dict[float, list[VisitedPoint]] = {ratio: [] for ratio in l1_ratios}
        while active:
            points = self._fit_strength(strength, active, visited)
            curves = {p.l1_ratio: [q for q in self.points if _same_curve(q, p)] for p in points}
            active = [p.l1_ratio for p in points if not has_ended(curves[p.l1_ratio], entropy)]
            strength = max((next_strength(p, entropy) for p in points if p.l1_ratio in active), default=0.0)

    def _fit_strength(
        self, strength: float, l1_ratios: Sequence[float], visited: dict[float, list[VisitedPoint]]
    ) -> list[PathPoint]:
        """Fit the next strength, started from the last points of each l1_ratio, and add it to `visited`."""
        start = None
        if all(visited[ratio] for ratio in l1_ratios):
            start = [_extrapolate(strength, visited[ratio]) for ratio in l1_ratios]
        for ratio in l1_ratios:
            visited[ratio] = visited[ratio][-2:]  # frees the memory of older solutions
        fits = self._fit([PenaltySpec(strength, ratio) for ratio in l1_ratios], start)
        for ratio, (_, solution) in zip(l1_ratios, fits, strict=True):
            visited[ratio] = [*visited[ratio], VisitedPoint(strength, solution)]
        return [point for point, _ in fits]

    def _refine(self) -> None:
        """Fit strengths between the chosen point and its neighbours, until they are close."""
        while True:
            chosen = choose_point(self.points, self.rule, self.more_is_better)
            strengths = refining_strengths(self.points, chosen)
            if not strengths:
                return
            specs = [PenaltySpec(strength, chosen.l1_ratio) for strength in strengths]
            self._fit(specs, [self._interpolate(spec) for spec in specs])

    def _interpolate(self, spec: PenaltySpec) -> StackSolution:
        """Return a start between two points: the mean of the members there, or of the models of all rows."""
        curve = [key for key in self._weights if key.l1_ratio == spec.l1_ratio and not key.is_relaxed]
        above = min((key for key in curve if key.strength > spec.strength), key=lambda key: key.strength)
        below = max((key for key in curve if key.strength < spec.strength), key=lambda key: key.strength)
        if above in self._stored and below in self._stored:
            return _combine([self._stored[above], self._stored[below]], [0.5, 0.5])
        (W, b), (V, c) = self._weights[above], self._weights[below]
        return self.stack.start_from(((W + V) / 2, (b + c) / 2))

    def _fit(
        self, specs: Sequence[PenaltySpec], start: Sequence[StackSolution] | None
    ) -> list[tuple[PathPoint, StackSolution]]:
        """Fit and score elastic nets and their relaxed fits; return the point with the largest share of each net."""
        nets = self.stack.fit(specs, start)
        self._passes += nets[0].passes  # those of all penalties together
        relaxed = self._fit_relaxed(specs, nets)
        fits = []
        for spec, net in zip(specs, nets, strict=True):
            self._weights[spec] = self.stack.full_weights(net)
            variants = self._variants(spec)
            points = [self._score(variant, relaxed.get(variant, net)) for variant in variants]
            fits.append((points[0], replace(net, held_out_logits=np.zeros(0))))  # a start needs the weights alone
            if self._stores:
                self._store(spec, net)
        return fits

    def _variants(self, spec: PenaltySpec) -> list[PenaltySpec]:
        """Return the elastic net with each relaxed share; without an l1 part there is nothing to relax."""
        return [replace(spec, relaxed=share) for share in self.relaxed_shares] if spec.l1_ratio > 0 else [spec]

    def _fit_relaxed(
        self, specs: Sequence[PenaltySpec], nets: Sequence[StackSolution]
    ) -> dict[PenaltySpec, StackSolution]:
        """Return the fits on the supports of the elastic nets, for each relaxed share below 1."""
        pairs = zip(specs, nets, strict=True)
        todo = {v: net for spec, net in pairs for v in self._variants(spec) if v.is_relaxed}
        if not todo:
            return {}
        assert isinstance(self.stack, FoldStack)  # relaxed fits need rows in memory
        solutions = fit_relaxed(self.stack, self.scorer.X, list(todo), list(todo.values()))
        relaxed = dict(zip(todo, solutions, strict=True))
        self._passes += solutions[0].passes
        self._weights |= {spec: self.stack.full_weights(solution) for spec, solution in relaxed.items()}
        return relaxed

    def _score(self, spec: PenaltySpec, solution: StackSolution) -> PathPoint:
        """Add a point to the path, with its out-of-fold probabilities."""
        logits = self.scorer.held_out_logits(spec, solution)
        point = self.scorer.score_point(spec, solution, logits, self._weights[spec])
        self._probabilities[spec] = self.scorer.out_of_fold(logits)
        self.points.append(point)
        if self.listener is not None:
            self.listener(point)
        return point

    def _store(self, spec: PenaltySpec, solution: StackSolution) -> None:
        """Store the weights of all members, as long as the memory for them lasts."""
        self._stored[spec] = replace(solution, held_out_logits=np.zeros(0))
        size = sum(W.nbytes for W, _ in solution.weights)
        while len(self._stored) * size > MAX_STORED_BYTES and self._stored:
            del self._stored[next(iter(self._stored))]


def _same_curve(a: PathPoint, b: PathPoint) -> bool:
    """Return True if two points differ in their strength alone."""
    return (a.l1_ratio, a.relaxed) == (b.l1_ratio, b.relaxed)


def _extrapolate(strength: float, visited: Sequence[VisitedPoint]) -> StackSolution:
    """Return a start for the next strength, extrapolated from the last two or three solutions."""
    # Measured on digits, in factors of ten: 93 passes to the end of the path instead of 103 from the last solution.
    solutions = [point.solution for point in visited]
    x = np.log([point.strength for point in visited])
    if len(visited) == 1:
        return solutions[0]
    steps = np.diff([*x, np.log(strength)])
    short = (steps < 0).all() and -steps.min() <= np.log(SHORT_STEP)
    if short and steps.min() >= EVEN_STEPS * steps.max():
        return _combine(solutions, _lagrange_weights(x, np.log(strength)))
    return _combine(solutions[-2:], [-EXTRAPOLATION, 1 + EXTRAPOLATION])


def _lagrange_weights(x: Array, at: float) -> list[float]:
    """Return the coefficients of values at x (k,) in the value at `at` of the polynomial through them."""
    return [float(np.prod([(at - b) / (a - b) for b in x if b != a])) for a in x]


def _combine(solutions: Sequence[StackSolution], coefficients: Sequence[float]) -> StackSolution:
    """Return the linear combination of the weights of solutions, in the precision of the weights."""
    weights = []
    for pairs in zip(*(solution.weights for solution in solutions), strict=True):
        W = np.empty_like(pairs[0][0])
        for j, d in np.ndindex(len(W), -(-W.shape[1] // RUN)):
            run = slice(d * RUN, (d + 1) * RUN)
            terms = (W.dtype.type(c) * V[j, run] for c, (V, _) in zip(coefficients, pairs, strict=True))
            W[j, run] = sum(terms)
        weights.append((W, sum(c * b for c, (_, b) in zip(coefficients, pairs, strict=True))))
    return replace(solutions[-1], weights=tuple(weights))
