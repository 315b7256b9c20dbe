"""Search for the strength with one model of each fold in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from softreg.models.parameters.parameter_checks import SearchGrid
from softreg.models.selection.fold_stack import Weights
from softreg.models.selection.folds_in_sequence.sequential_folds import SequentialFolds
from softreg.models.selection.penalty_spec import PenaltySpec
from softreg.models.selection.regularization_path import PathPoint
from softreg.models.selection.scorers import more_is_better
from softreg.models.selection.selection_rule import choose_point
from softreg.models.selection.strength_grid import (
    has_ended,
    largest_strength,
    next_strength,
    null_gradient,
    refining_strengths,
)
from softreg.models.selection.strength_search import SearchResult
from softreg.optimize import Solution
from softreg.optimize.cost.meter import metered
from softreg.optimize.problem.result import Status


def search_in_sequence(
    folds: SequentialFolds, model: Any, grid: SearchGrid, listener: Callable[[PathPoint], object] | None
) -> SearchResult:
    """Return the result of the search of an estimator.

    Parameters
    ----------
    folds : SequentialFolds
        The folds.
    model : SoftmaxRegressionCV
        Its `scoring` and `rule` are used.
    grid : SearchGrid
        Strengths and l1_ratios.
    listener : callable or None
        Receives each `PathPoint`.

    Returns
    -------
    SearchResult
        The points and the chosen one.
    """
    scorer = str(model.scoring)
    search = SequentialSearch(folds, scorer, rule=model.rule, more_is_better=more_is_better(scorer), listener=listener)
    return search.run(grid)


class SequentialSearch:
    """Fits and scores the folds at each strength, one after the other, from their models at the strength before.

    In memory are one model of each fold, the mean of the folds at the chosen point, and the fit that runs.

    Parameters
    ----------
    folds : SequentialFolds
        The folds.
    scorer : str
        One of `scorers.OWN_SCORES`.
    rule : {"min", "1se"}
        How a point is chosen.
    more_is_better : bool
        Whether a larger score is better.
    listener : callable or None
        Receives each `PathPoint`.
    """

    def __init__(
        self,
        folds: SequentialFolds,
        scorer: str,
        *,
        rule: str,
        more_is_better: bool,
        listener: Callable[[PathPoint], object] | None,
    ) -> None:
        self.folds, self.scorer, self.rule = folds, scorer, rule
        self.more_is_better, self.listener = more_is_better, listener
        self.points: list[PathPoint] = []
        self._current: list[Weights | None] = [None] * len(folds.folds)
        self._chosen: Weights | None = None

    def run(self, grid: SearchGrid) -> SearchResult:
        """Fit the strengths of the grid, or those of a path that the data determine, and choose one.

        Parameters
        ----------
        grid : SearchGrid
            Strengths and l1_ratios.

        Returns
        -------
        SearchResult
            The points and the chosen one, without out-of-fold probabilities.
        """
        with metered() as meter:
            self._fit_grid(grid)
        cost = meter.finish()
        return SearchResult(
            points=self.points,
            chosen=choose_point(self.points, self.rule, self.more_is_better),
            weights=self._chosen,
            relaxed_weights=None,
            out_of_fold=None,
            passes=sum(point.passes for point in self.points),
            cost=cost,
        )

    def _fit_grid(self, grid: SearchGrid) -> None:
        """Fit the strengths of the grid, or those of a path that the data determine."""
        for ratio in grid.l1_ratios:
            if grid.strengths is None:
                self._descend(ratio)
            else:
                for strength in grid.strengths:
                    self._fit(PenaltySpec(strength, ratio))
        while grid.strengths is None:
            chosen = choose_point(self.points, self.rule, self.more_is_better)
            between = refining_strengths(self.points, chosen)
            if not between:
                break
            for strength in between:
                self._fit(PenaltySpec(strength, chosen.l1_ratio))

    def _descend(self, l1_ratio: float) -> None:
        """Fit decreasing strengths until the log loss has turned."""
        settings = self.folds.settings
        A, entropy = null_gradient(self.folds.all_rows(), self.folds.q, settings.fit_intercept)
        strength = largest_strength(A, entropy, l1_ratio, settings.penalty, settings.structure)
        del A
        curve: list[PathPoint] = []
        while not curve or not has_ended(curve, entropy):
            curve.append(self._fit(PenaltySpec(strength, l1_ratio)))
            strength = next_strength(curve[-1], entropy)

    def _fit(self, spec: PenaltySpec) -> PathPoint:
        """Fit and score all folds at a penalty, and add the point to the path."""
        folds, settings, solutions, figures = self.folds, self.folds.settings, list[Solution](), []
        penalties, nonzero = [], []
        for k, fold in enumerate(folds.folds):
            start = self._current[k]
            self._current[k] = None  # the fit holds it alone
            solution = folds.fit(k, spec, start)
            del start
            figures.append(folds.scores(k, solution, self.scorer))
            cost = settings.of_classes(fold.classes).make_penalty(spec.strength, spec.l1_ratio)
            penalties.append(float(cost.value(solution.W.T[None])[0]))
            nonzero.append(int(np.count_nonzero(solution.W)))
            if solution.status is not Status.SEPARATED:
                self._current[k] = solution.W, solution.b
            solutions.append(replace(solution, W=np.zeros((0, 0))))
        point = replace(folds.point(spec, solutions, figures, float(np.mean(penalties))), nonzero=max(nonzero))
        self.points.append(point)
        if choose_point(self.points, self.rule, self.more_is_better) is point or self._chosen is None:
            models = [weights for weights in self._current if weights is not None]
            if len(models) == len(self._current):
                self._chosen = folds.mean_weights(models)
        if self.listener is not None:
            self.listener(point)
        return point
