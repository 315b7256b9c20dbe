"""Scores of the folds on their held-out rows, for each penalty of the path."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.estimators.regression import SoftmaxRegression
from softreg.models.inputs.tensors import to_host
from softreg.models.selection.cv_splits import Folds
from softreg.models.selection.fold_stack import FoldStack, StackSolution, Weights
from softreg.models.selection.leave_one_out import leave_one_out
from softreg.models.selection.penalty_spec import PenaltySpec
from softreg.models.selection.regularization_path import PathPoint, mean_and_error
from softreg.models.selection.scorers import call_scorer, row_scores
from softreg.optimize import ElasticNet, Penalty
from softreg.probability.label_arrays import spell
from softreg.typing import Array, BoolArray, Float64Array, IntArray

MAX_LISTED = 5
"""Classes that a warning lists."""
ROUNDING = 1e-12
"""A remainder of a class mass below this share of the mass is rounding error."""


def path_point(
    spec: PenaltySpec,
    solution: StackSolution,
    penalty: Penalty,
    losses: Float64Array,
    scores: Float64Array,
    share: Float64Array,
    full_weights: Weights,
) -> PathPoint:
    """Return the point of the path for a penalty.

    Parameters
    ----------
    spec : PenaltySpec
        The penalty.
    solution : StackSolution
        The models of the folds.
    penalty : Penalty
        The penalty of one model.
    losses, scores : ndarray of shape (K,)
        Held-out log loss and score of each fold.
    share : ndarray of shape (K,)
        Weight of the rows of each fold.
    full_weights : pair of ndarray
        W (d, q) and b (q,) of the model of all rows, or the mean of the folds.

    Returns
    -------
    PathPoint
        Scores and statistics.
    """
    mean, error = mean_and_error(scores, share)
    values = [penalty.value(W.T[None])[0] for weights, _ in solution.weights for W in weights]
    return PathPoint(
        strength=spec.strength,
        l1_ratio=spec.l1_ratio,
        scores=scores,
        mean=mean,
        error=error,
        log_loss=mean_and_error(losses, share)[0],
        fold_losses=losses,
        gap=solution.gap,
        nonzero=int(np.count_nonzero(full_weights[0])),
        objective=solution.value,
        penalty=float(np.mean(values)),
        passes=solution.passes,
        settled=solution.settled,
        relaxed=spec.relaxed,
    )


@dataclass
class FoldScorer:
    """Scores each fold on its held-out rows, with sample weights.

    Rows of a class that a fold has no training rows of are left out of its scores, since no strength could predict
    them.

    Parameters
    ----------
    X : ndarray, csr_array or OnDevice of shape (n, d)
        Features.
    y : ndarray of shape (n,)
        Hard labels.
    labels : ndarray of shape (n,) or (n, q)
        Codes of the classes or label probabilities.
    weight : ndarray of shape (n,) or None
        Sample weights.
    classes : ndarray of shape (q,)
        The classes.
    stack : FoldStack
        The models of the folds.
    folds : Folds or None
        The folds; None for leave-one-out, where each row is a fold of its own.
    scorer : str or callable
        Name of a score of `softreg.models.selection.scorers`, or a scorer of scikit-learn.
    """

    X: Any
    y: Array
    labels: Array
    weight: Array | None
    classes: Array
    stack: FoldStack
    folds: Folds | None
    scorer: Callable[..., float] | str

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
        held_out_logits : ndarray of shape (L, n, q)
            Logits of the held-out rows.
        full_weights : pair of ndarray
            W (d, q) and b (q,) of the model of all rows, or the mean of the folds.

        Returns
        -------
        PathPoint
            Scores and statistics.
        """
        losses, share = self._fold_scores("log_loss", solution, held_out_logits)
        scores = losses
        if self.scorer != "log_loss":
            scores, _ = self._fold_scores(self.scorer, solution, held_out_logits)
        return path_point(spec, solution, self._penalty(spec), losses, scores, share, full_weights)

    def _penalty(self, spec: PenaltySpec) -> Penalty:
        """Return the penalty of one model."""
        if spec.is_relaxed:
            return ElasticNet(np.atleast_1d(spec.l1), np.atleast_1d(spec.l2))
        return self.stack.settings.make_penalty(spec.strength, spec.l1_ratio)

    def held_out_logits(self, spec: PenaltySpec, solution: StackSolution) -> Array:
        """Return the logits (L, n, q) of each row by the folds that are tested on it, or by the model without it."""
        if self.folds is not None:
            return solution.held_out_logits
        W, b = self.stack.full_weights(solution)
        logits = leave_one_out(
            to_host(self.X),
            self.labels,
            self.stack.V[0],
            weights=(W, b),
            l1=spec.l1,
            l2=spec.l2,
            fit_intercept=self.stack.settings.fit_intercept,
            free=W != 0 if spec.is_relaxed else None,
            balanced=self.stack.count if self.stack.class_weights.value == "balanced" else None,
            offset=self.stack.offset,
        )
        return logits[None]

    def out_of_fold(self, held_out_logits: Array) -> Array:
        """Return the out-of-fold probabilities (n, q) in the precision of the logits (L, n, q)."""
        return out_of_fold_probabilities(held_out_logits).astype(held_out_logits.dtype)

    def _fold_scores(
        self, scorer: Callable[..., float] | str, solution: StackSolution, held_out_logits: Array
    ) -> tuple[Float64Array, Float64Array]:
        """Return the score of each fold (K,), nan for a fold without rows to score, and the weight of its rows (K,)."""
        weight = np.ones(held_out_logits.shape[1]) if self.weight is None else self.weight
        if self.folds is None:
            assert isinstance(scorer, str)
            scored = self._has_known_label(np.arange(len(weight)), self._class_mass_without_row())
            return np.where(scored, row_scores(scorer, held_out_logits[0], self.labels), np.nan), weight * scored
        scores, share = np.full(len(self.folds), np.nan), np.zeros(len(self.folds))
        for k, rows in enumerate(self.folds.test):
            rows = rows[self._has_known_label(rows, self.stack.class_mass[k + 1])]
            share[k] = weight[rows].sum()
            if not share[k] > 0:  # no row, or weights that are 0 beside those of other folds
                continue
            if isinstance(scorer, str):
                values = row_scores(scorer, held_out_logits[self.stack.layer_of_fold[k], rows], self.labels[rows])
                scores[k] = np.average(values, weights=weight[rows])
            else:
                row_weight = None if self.weight is None else self.weight[rows]
                X = to_host(self.X[rows])
                scores[k] = call_scorer(scorer, self._fold_model(k, solution, rows), X, self.y[rows], row_weight)
        return scores, share

    def _class_mass_without_row(self) -> Float64Array:
        """Return the mass (n, q) of each class among all rows except one."""
        weight = np.ones(len(self.labels)) if self.weight is None else self.weight
        own = np.eye(len(self.classes))[self.labels] if self.labels.ndim == 1 else self.labels
        total = self.stack.class_mass[0]
        remaining = total - own * weight[:, None]
        return np.where(remaining > ROUNDING * total, remaining, 0.0)

    def _has_known_label(self, rows: IntArray, mass: Float64Array) -> BoolArray:
        """Return which rows have labels among the classes with training rows, of mass (q,) or (rows, q)."""
        labels, known = self.labels[rows], np.broadcast_to(mass > 0, (len(rows), len(self.classes)))
        if labels.ndim == 1:
            return np.asarray(known[np.arange(len(rows)), labels])
        return np.asarray((labels * ~known).sum(axis=1) == 0)

    def _fold_model(self, fold: int, solution: StackSolution, rows: IntArray) -> SoftmaxRegression:
        """Return the model of a fold as an estimator, for a scorer to call with these held-out rows."""
        for cohort, (W, b) in zip(self.stack.cohorts, solution.weights, strict=True):
            for j in np.flatnonzero(cohort.folds == fold):
                offset = self.stack.offset
                fixed = None if offset is None else offset[np.ix_(rows, cohort.classes)]
                model = SoftmaxRegression() if fixed is None else ModelOfRows(fixed)
                model.coef_, model.intercept_ = np.ascontiguousarray(W[j].T), b[j]
                model.classes_, model.n_features_in_ = self.classes[cohort.classes], W.shape[1]
                return model
        raise AssertionError(f"no cohort holds fold {fold}")

    def warn_of_unseen_classes(self) -> None:
        """Warn of classes that a fold is tested on without training rows of them."""
        if self.folds is None:
            unseen = (self.stack.class_mass[0] > 0) & (self._class_mass_without_row() <= 0).any(axis=0)
        else:
            unseen = np.zeros(len(self.classes), dtype=bool)
            for k, rows in enumerate(self.folds.test):
                labels = self.labels[rows]
                tested = np.bincount(labels, minlength=len(unseen)) if labels.ndim == 1 else labels.sum(axis=0)
                unseen |= (tested > 0) & (self.stack.class_mass[k + 1] == 0)
        warn_of_unseen(self.classes[unseen], stacklevel=6)


def warn_of_unseen(classes: Array, stacklevel: int) -> None:
    """Warn of classes that a fold is tested on without training rows of them.

    Parameters
    ----------
    classes : ndarray
        These classes; none gives no warning.
    stacklevel : int
        Frames between the warning and the caller of the fit.
    """
    if len(classes) == 0:
        return
    names = ", ".join(spell(label) for label in classes[:MAX_LISTED])
    warnings.warn(
        f"some folds hold out all rows of a class ({names}{' and others' if len(classes) > MAX_LISTED else ''}"
        "): their models give it probability 0, and its rows are left out of their scores. Use stratified "
        "folds, or more rows of that class.",
        UserWarning,
        stacklevel=stacklevel,
    )


class ModelOfRows(SoftmaxRegression):
    """The model of a fold as a scorer calls it: with the features of its held-out rows, whose offset is known.

    Parameters
    ----------
    rows_offset : ndarray of shape (b, q)
        Offset of the held-out rows.
    """

    def __init__(self, rows_offset: Array) -> None:
        super().__init__()
        self.rows_offset = rows_offset

    def _scores(self, X: Any, probabilities: bool = False, offset: Any = None) -> Any:
        return super()._scores(X, probabilities, self.rows_offset if offset is None else offset)


def out_of_fold_probabilities(held_out_logits: Array) -> Float64Array:
    """Return probabilities (n, q) from logits (L, n, q): the mean over the folds that test a row, nan for none."""
    z = held_out_logits - held_out_logits.max(axis=2, keepdims=True)
    P = np.exp(z.astype(np.float64))
    P /= P.sum(axis=2, keepdims=True)
    if len(P) == 1:
        return np.asarray(P[0])
    tested = ~np.isnan(P[:, :, :1])
    count = tested.sum(axis=0)
    total = np.where(tested, P, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
