"""From the logits of held-out rows to the scores of a point of the path."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models.estimators.regression import SoftmaxRegression
from softreg.models.inputs.tensors import host_rows
from softreg.models.selection.cv_splits import Folds
from softreg.models.selection.fold_stack import FoldStack, Place, StackSolution, Weights, strengths
from softreg.models.selection.leave_one_out import leave_one_out
from softreg.models.selection.regularization_path import PathPoint, standard_error
from softreg.models.selection.scorers import call, row_scores
from softreg.optimize import ElasticNet, Penalty, make_penalty
from softreg.probability.label_arrays import spell
from softreg.rows import Array


@dataclass
class FoldScorer:
    """Scores each fold on the rows held out from it, sample weights counted.

    Rows of a class that a fold never saw in training are left out of its scores: no strength could predict them. With
    `folds` None each row is a fold of its own (leave-one-out).
    """

    X: Any
    y: NDArray[Any]
    labels: Array
    weight: Array | None
    classes: NDArray[Any]
    stack: FoldStack
    folds: Folds | None
    scorer: Callable[..., float] | str

    def point(self, place: Place, answer: StackSolution, held: Array, whole: Weights) -> PathPoint:
        """What the held-out logits (L, n, q) say of this place on the path; `whole` are the weights of all rows."""
        strength, l1_ratio, relaxed = place
        loss, share = self._fold_scores("log_loss", answer, held)
        scores = loss if self.scorer == "log_loss" else self._fold_scores(self.scorer, answer, held)[0]
        mean, error = standard_error(scores, share)
        cost = self._penalty(place)
        penalty = float(np.mean([cost.value(W.T[None])[0] for weights, _ in answer.weights for W in weights]))
        return PathPoint(
            strength=strength,
            l1_ratio=l1_ratio,
            scores=scores,
            mean=mean,
            error=error,
            log_loss=standard_error(loss, share)[0],
            fold_losses=loss,
            gap=answer.gap,
            nonzero=int(np.count_nonzero(whole[0])),
            objective=answer.value,
            penalty=penalty,
            passes=answer.passes,
            settled=answer.settled,
            relaxed=relaxed,
        )

    def _penalty(self, place: Place) -> Penalty:
        """Return the penalty of one model at this place."""
        if place[2] < 1:
            return ElasticNet(*map(np.atleast_1d, strengths(place)))
        return make_penalty(self.stack.settings.penalty, *place[:2])

    def held_out(self, place: Place, answer: StackSolution) -> Array:
        """The logits (L, n, q) of each row from the folds that it judges, or from the model without it."""
        if self.folds is not None:
            return answer.held
        (W, b), V, intercept = self.stack.of_all_rows(answer), self.stack.V[0], self.stack.settings.fit_intercept
        free = W != 0 if place[2] < 1 else None
        counts = self.stack.count if self.stack.class_weights.value == "balanced" else None
        X, parts = host_rows(self.X), (W, b)
        return leave_one_out(X, self.labels, V, parts, *strengths(place), intercept, free, counts)[None]

    def _fold_scores(
        self, scorer: Callable[..., float] | str, answer: StackSolution, held: Array
    ) -> tuple[Array, Array]:
        """The score of each fold (K,), nan where no row can judge it, and the weight of its rows (K,)."""
        ones = np.ones(held.shape[1]) if self.weight is None else self.weight
        if self.folds is None:
            assert isinstance(scorer, str)
            fair = self._fair(np.arange(len(ones)), self._mass_without())
            return np.where(fair, row_scores(scorer, held[0], self.labels), np.nan), ones * fair
        scores, share = np.full(len(self.folds), np.nan), np.zeros(len(self.folds))
        for k, rows in enumerate(self.folds.test):
            rows = rows[self._fair(rows, self.stack.mass[k + 1])]
            share[k] = ones[rows].sum()
            if len(rows) == 0:
                continue
            if isinstance(scorer, str):
                values = row_scores(scorer, held[self.stack.layer[k], rows], self.labels[rows])
                scores[k] = np.average(values, weights=ones[rows])
            else:
                weight = None if self.weight is None else self.weight[rows]
                scores[k] = call(scorer, self._model(k, answer), host_rows(self.X[rows]), self.y[rows], weight)
        return scores, share

    def _mass_without(self) -> Array:
        """The mass of each class among all rows but this one, (n, q)."""
        ones = np.ones(len(self.labels)) if self.weight is None else self.weight
        own = np.eye(len(self.classes))[self.labels] if self.labels.ndim == 1 else self.labels
        left = self.stack.mass[0] - own * ones[:, None]
        return np.where(left > 1e-12 * self.stack.mass[0], left, 0.0)

    def _fair(self, rows: NDArray[np.intp], mass: Array) -> NDArray[np.bool_]:
        """Which rows have labels among the classes that were seen in training; mass is (q,) or one line a row."""
        labels, seen = self.labels[rows], np.broadcast_to(mass > 0, (len(rows), len(self.classes)))
        if labels.ndim == 1:
            return np.asarray(seen[np.arange(len(rows)), labels])
        return np.asarray((labels * ~seen).sum(axis=1) == 0)

    def _model(self, fold: int, answer: StackSolution) -> SoftmaxRegression:
        """The model of a fold as an estimator, for a scorer to ask."""
        for cohort, (W, b) in zip(self.stack.cohorts, answer.weights, strict=True):
            for j in np.flatnonzero(cohort.folds == fold):
                model = SoftmaxRegression()
                model.coef_, model.intercept_ = np.ascontiguousarray(W[j].T), b[j]
                model.classes_, model.n_features_in_ = self.classes[cohort.classes], W.shape[1]
                return model
        raise AssertionError(f"no cohort holds fold {fold}")

    def warn_of_unseen(self) -> None:
        """Say which classes some fold is judged on without having seen them."""
        if self.folds is None:
            lost = (self.stack.mass[0] > 0) & (self._mass_without() <= 0).any(axis=0)
        else:
            lost = np.zeros(len(self.classes), dtype=bool)
            for k, rows in enumerate(self.folds.test):
                given = self.labels[rows]
                tested = np.bincount(given, minlength=len(lost)) if given.ndim == 1 else given.sum(axis=0)
                lost |= (tested > 0) & (self.stack.mass[k + 1] == 0)
        if lost.any():
            names = ", ".join(spell(label) for label in self.classes[lost][:5])
            warnings.warn(
                f"some folds hold back all rows of a class ({names}{' and others' if lost.sum() > 5 else ''}): their "
                "models give it probability 0, and its rows are left out of their scores. Folds that are stratified, "
                "or more rows of that class, would judge it.",
                UserWarning,
                stacklevel=4,
            )


def out_of_fold(held: Array) -> Array:
    """Probabilities (n, q) from held-out logits (L, n, q), the mean over the folds that judge a row; nan for none."""
    z = held - held.max(axis=2, keepdims=True)
    P = np.exp(z.astype(np.float64))
    P /= P.sum(axis=2, keepdims=True)
    if len(P) == 1:
        return np.asarray(P[0])
    told = ~np.isnan(P[:, :, :1])
    count = told.sum(axis=0)
    total = np.where(told, P, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
