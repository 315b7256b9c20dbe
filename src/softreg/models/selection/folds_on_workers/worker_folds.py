"""The strength of the penalty by cross-validation of rows on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.inputs.sample_and_class_weights import (
    balanced_class_weights,
    class_weights,
    rescale_extreme_weights,
)
from softreg.models.selection.fold_scores import path_point
from softreg.models.selection.fold_stack import StackSettings, StackSolution, Weights
from softreg.models.selection.folds_on_workers.fold_rows import FoldClassMass, FoldFragment, FoldScores, RowFolds
from softreg.models.selection.penalty_spec import PenaltySpec
from softreg.models.selection.regularization_path import PathPoint
from softreg.models.selection.scorers import OWN_SCORES
from softreg.optimize import minimise
from softreg.probability.label_arrays import spell
from softreg.rows.cluster.cluster_rows import ClusterRows
from softreg.typing import Array, Float64Array

FOLD_TOLERANCE = 1e-8
"""Certified gap of the model of a fold, in nats. (A gap of 1e-6 has been seen to move a held-out loss by 3e-3 where the
penalty is weak.)"""


class WorkerFolds:
    """The models of K folds and, if `whole`, the model of all rows, as one stack over rows of a cluster.

    The fold of a row is drawn from its hashed number, so that it does not depend on the workers.

    Parameters
    ----------
    scored : ClusterRows
        Rows with their sample weights, by which folds are scored.
    classes : ndarray of shape (q,)
        The classes.
    folds : RowFolds
        The folds.
    class_weight : dict, "balanced" or None
        Weights of the classes in the fits.
    settings : StackSettings
        Parameters of the fits.
    whole : bool
        Whether the model of all rows is a member.

    Attributes
    ----------
    member_rows, rows : ClusterRows
        Rows with the weights of the members, and with those of a fit of all rows.
    mass : ndarray of shape (K,)
        Weight of the rows of each fold.

    Raises
    ------
    ValueError
        If a fold has no training row of some class.
    """

    def __init__(
        self,
        scored: ClusterRows,
        classes: Array,
        folds: RowFolds,
        class_weight: Any,
        settings: StackSettings,
        *,
        whole: bool,
    ) -> None:
        self.scored, self.folds, self.settings, self.whole = scored, folds, settings, whole
        self.q, self.K = len(classes), folds.count
        (held_out,) = scored.sum(FoldClassMass(folds, self.q))
        self.mass: Float64Array = held_out.sum(axis=1)
        self.members = (*((-1,) if whole else ()), *range(self.K))
        training = held_out.sum(axis=0) - held_out
        _check_classes(training, classes)
        factors = None
        total = held_out.sum(axis=0)
        if class_weight is not None:
            of_member = np.stack([total if k < 0 else training[k] for k in self.members])
            factors = _class_factors(class_weight, classes, of_member)
        self.member_rows = self._weighted(self.members, factors)
        whole_factors = None if class_weight is None else _class_factors(class_weight, classes, total[None])
        self.rows = self._weighted((-1,), whole_factors)

    def _weighted(self, members: tuple[int, ...], factors: Array | None) -> ClusterRows:
        """Return the rows with the weights of these members."""
        lines = None if factors is None else tuple(tuple(line) for line in factors.tolist())
        fragments = [
            FoldFragment(fragment, fragment.number, self.folds, members, lines) for fragment in self.scored.fragments
        ]
        return ClusterRows(fragments, self.scored.engine)

    def fit(self, specs: Sequence[PenaltySpec], start: Sequence[StackSolution] | None) -> list[StackSolution]:
        """Return every member at each penalty; `start` holds a solution for each penalty."""
        found = [self._fit(spec, None if start is None else start[at]) for at, spec in enumerate(specs)]
        passes = sum(solution.passes for solution in found)
        return [StackSolution(s.weights, s.held_out_logits, s.value, s.gap, passes, s.settled) for s in found]

    def _fit(self, spec: PenaltySpec, start: StackSolution | None) -> StackSolution:
        """Return every member at one penalty."""
        settings, ones = self.settings, np.ones(len(self.members))
        fits = minimise(
            self.member_rows,
            self.q,
            settings.make_penalty(spec.strength * ones, spec.l1_ratio * ones),
            fit_intercept=settings.fit_intercept,
            solver=settings.solver,
            tol=FOLD_TOLERANCE,
            max_iter=settings.max_iter,
            start=None if start is None else start.weights[0],
            seed=settings.seed,
        )
        return StackSolution(
            weights=((np.stack([fit.W for fit in fits]), np.stack([fit.b for fit in fits])),),
            held_out_logits=np.zeros(0),
            value=float(np.mean([fit.value for fit in fits])),
            gap=max(fit.gap for fit in fits),
            passes=fits[0].passes,
            settled=all(fit.converged for fit in fits),
        )

    def full_weights(self, solution: StackSolution) -> Weights:
        """Return W (d, q) and b (q,) of the model of all rows, or the mean of the folds."""
        W, b = solution.weights[0]
        return (W[0].copy(), b[0].copy()) if self.whole else (W.mean(axis=0), b.mean(axis=0))

    def start_from(self, weights: Weights) -> StackSolution:
        """Return a start for every member from W (d, q) and b (q,)."""
        m = len(self.members)
        pair = tuple(np.repeat(part[None], m, axis=0) for part in weights)
        return StackSolution((pair,), np.zeros(0), np.inf, np.inf, 0, settled=False)  # type: ignore[arg-type]

    def close(self) -> None:
        """Free what the workers hold."""
        for rows in (self.member_rows, self.rows, self.scored):
            rows.engine.release(rows.fragments)


@dataclass
class WorkerFoldScorer:
    """Scores each fold on its held-out rows, with sample weights, on the workers.

    Parameters
    ----------
    stack : WorkerFolds
        The models of the folds.
    scorer : str
        One of `scorers.OWN_SCORES`.
    """

    stack: WorkerFolds
    scorer: str
    X: None = None

    def held_out_logits(self, spec: PenaltySpec, solution: StackSolution) -> Array:
        """Return an empty array: logits of rows stay on the workers."""
        return solution.held_out_logits

    def out_of_fold(self, held_out_logits: Array) -> None:
        """Return None: probabilities of rows stay on the workers."""

    def score_point(
        self, spec: PenaltySpec, solution: StackSolution, held_out_logits: Array, full_weights: Weights
    ) -> PathPoint:
        """Return the point of the path for a penalty.

        Parameters
        ----------
        spec : PenaltySpec
            The penalty.
        solution : StackSolution
            The models of the folds.
        held_out_logits : ndarray
            Not used.
        full_weights : pair of ndarray
            W (d, q) and b (q,) of the model of all rows, or the mean of the folds.

        Returns
        -------
        PathPoint
            Scores and statistics.
        """
        stack = self.stack
        W, b = (part[int(stack.whole) :] for part in solution.weights[0])
        losses = self._mean_scores("log_loss", W, b)
        scores = losses if self.scorer == "log_loss" else self._mean_scores(self.scorer, W, b)
        penalty = stack.settings.make_penalty(spec.strength, spec.l1_ratio)
        return path_point(spec, solution, penalty, losses, scores, stack.mass, full_weights)

    def _mean_scores(self, name: str, W: Array, b: Array) -> Float64Array:
        """Return the weighted mean score of each fold; nan for a fold without rows."""
        stack = self.stack
        (sums,) = stack.scored.sum(FoldScores(stack.folds, np.ascontiguousarray(W.transpose(0, 2, 1)), b, name))
        return np.asarray(np.divide(sums, stack.mass, out=np.full(stack.K, np.nan), where=stack.mass > 0))


def check_worker_folds(model: Any, groups: Any) -> int:
    """Return the number of folds of a search on workers.

    Parameters
    ----------
    model : SoftmaxRegressionCV
        The estimator.
    groups : array or None
        Groups of the rows, which such folds cannot keep together.

    Returns
    -------
    int
        Number of folds.

    Raises
    ------
    ValueError
        If a parameter needs all rows in one process.
    """
    if isinstance(model.cv, bool) or not isinstance(model.cv, int | np.integer) or model.cv < 2:
        raise ValueError(
            f"cv={model.cv!r}: rows on a cluster are divided into a number of folds by their hashed numbers; give an "
            "integer of 2 or more."
        )
    if groups is not None:
        raise ValueError("groups: rows on a cluster are divided into folds one by one; leave groups out.")
    if model.scoring not in OWN_SCORES:
        raise ValueError(
            f"scoring={model.scoring!r} needs the rows in one process; on a cluster use one of {', '.join(OWN_SCORES)}."
        )
    if np.min(model.relaxed) < 1:
        raise ValueError("relaxed fits need the rows in one process; leave relaxed out.")
    if model.device is not None:
        raise ValueError("rows on a cluster are multiplied by its workers; leave device out.")
    return int(model.cv)


def _check_classes(training: Array, classes: Array) -> None:
    """Raise `ValueError` if a fold has no training row of a class."""
    lacking = np.argwhere(training <= 0)
    if len(lacking):
        k, c = lacking[0]
        raise ValueError(
            f"the rows of class {spell(classes[c])} are so few that fold {k} has none of them to train on; use more "
            "folds, leave the class out, or fit the rows in memory, where folds are stratified."
        )


def _class_factors(class_weight: Any, classes: Array, mass: Array) -> Array:
    """Return the factor (m, q) of the weights of each class for training rows with the mass (m, q)."""
    if isinstance(class_weight, str):
        factors = balanced_class_weights(mass)
    else:
        one = class_weights(class_weight, classes, np.arange(len(classes)), mass[0])
        factors = np.repeat(one[None], len(mass), axis=0)
    return np.stack([rescale_extreme_weights(line) for line in factors])
